package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/quant"
)

// quantizeFlags are the flags that say how the numbers of the model change.
type quantizeFlags struct {
	scheme    string
	calibrate string
	samples   int
	method    string
	block     int
	repair    bool
	maxDrop   string
	fallback  string
	strict    bool
	report    string
	train     trainFlags
}

// A scheme is a value of --quantize.
type scheme struct {
	name, about string
	samples     need
	measured    bool // layer by layer: --method, --max-drop and --report go with it
	bits        int  // of weights in blocks; 0 otherwise
}

// A need says whether a scheme observes the model on samples.
type need int

const (
	never need = iota
	maybe
	always
)

var schemes = []scheme{
	{name: "none", about: "keeps the numbers of the source"},
	{name: "dynamic", about: "int8 weights, activations quantized while it runs"},
	{name: "int8", about: "weights and activations", samples: always, measured: true},
	{name: "int16x8", about: "int8 weights, int16 activations", samples: always, measured: true},
	{name: "int8-weights", about: "weights stored as int8 in blocks", samples: maybe, bits: 8},
	{name: "int4", about: "weights stored as int4 in blocks", samples: maybe, bits: 4},
	{name: "fp16", about: "weights stored as float16"},
	{name: "bf16", about: "weights stored as bfloat16"},
}

// schemeOf returns the scheme of a name, nil if there is none.
func schemeOf(name string) *scheme {
	if i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == name }); i >= 0 {
		return &schemes[i]
	}
	return nil
}

// about lists the schemes for the help.
func about() string {
	var list []string
	for _, s := range schemes {
		list = append(list, s.name+": "+s.about)
	}
	return strings.Join(list, "; ")
}

// named lists the names of the schemes that a test holds for.
func named(ok func(scheme) bool) string {
	var list []string
	for _, s := range schemes {
		if ok(s) {
			list = append(list, s.name)
		}
	}
	return strings.Join(list, ", ")
}

// check finds what is wrong with the flags alone.
func (f *quantizeFlags) check() error {
	s := schemeOf(f.scheme)
	if s == nil {
		return fmt.Errorf("--quantize %s: choose one of %s", f.scheme, named(func(scheme) bool { return true }))
	}
	switch {
	case f.strict && f.scheme != "int8" && f.scheme != "none":
		return fmt.Errorf("--strict-int8 cannot hold with --quantize %s, which is not int8 end to end", f.scheme)
	case f.calibrate == "" && s.samples == always:
		return errors.New("--quantize " + f.scheme + " observes the model on samples: give some with --calibrate DIR, FILE.npz or FILE.csv (some tens are enough), or use --quantize dynamic")
	case f.calibrate != "" && s.samples == never:
		return fmt.Errorf("--calibrate goes with --quantize %s", named(func(s scheme) bool { return s.samples != never }))
	case f.calibrate != "" && f.samples < 1:
		return fmt.Errorf("--samples %d: at least 1 is needed", f.samples)
	case !s.measured && f.maxDrop != "":
		return fmt.Errorf("--max-drop goes with --quantize %s", named(func(s scheme) bool { return s.measured }))
	case fallbacks[f.fallback] == format.Invalid:
		return fmt.Errorf("--fallback %s: choose float32 or int16", f.fallback)
	case f.block != 32 && f.block != 64 && f.block != 128:
		return fmt.Errorf("--block %d: choose 32, 64 or 128", f.block)
	}
	if _, err := quant.ParseMethod(f.method); err != nil {
		return fmt.Errorf("--method: %w", err)
	}
	if err := f.train.check(); err != nil {
		return err
	}
	if f.train.cluster != 0 && f.scheme != "none" {
		return fmt.Errorf("--cluster stores the weights in its own way: leave --quantize %s away", f.scheme)
	}
	_, err := parseBudget(f.maxDrop)
	return err
}

// fallbacks are the values of --fallback.
var fallbacks = map[string]format.DType{"float32": format.Float32, "int16": format.Int16}

// parseBudget reads --max-drop: "26dB" is the least signal-to-noise ratio of
// the outputs, "0.005" or "0.5%" the greatest loss of accuracy.
func parseBudget(s string) (b quant.Budget, err error) {
	if s == "" {
		return b, nil
	}
	number, unit := s, 1.0
	db := false
	if n := len(s) - 2; n > 0 && strings.EqualFold(s[n:], "dB") {
		number, db = s[:n], true
	} else if t, ok := strings.CutSuffix(s, "%"); ok {
		number, unit = t, 0.01
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	v *= unit
	switch {
	case err != nil || math.IsNaN(v) || db && (v <= 0 || v > 150) || !db && (v < 0 || v > 1):
		return b, fmt.Errorf("--max-drop %q: write the least signal-to-noise ratio of the outputs as 26dB, or the greatest loss of accuracy as 0.005 or 0.5%%", s)
	case db:
		b.SQNR = v
	default:
		b.Drop = &v
	}
	return b, nil
}

// apply quantizes a model. The report is nil for schemes that measure nothing.
func (f *quantizeFlags) apply(ctx context.Context, m *format.Model, stderr io.Writer) (*format.Model, *quant.Report, error) {
	s := schemeOf(f.scheme)
	switch {
	case s.measured:
		return f.static(ctx, m, stderr)
	case s.bits != 0:
		return f.blocks(ctx, m, s.bits, stderr)
	}
	out, err := m, error(nil)
	switch f.scheme {
	case "none":
		out, err = f.train.store(m)
	case "dynamic":
		out, err = quant.Dynamic(m)
	case "fp16":
		out, err = quant.Half(m, format.Float16)
	case "bf16":
		out, err = quant.Half(m, format.BFloat16)
	}
	if err != nil {
		return nil, nil, err
	}
	if f.scheme != "none" {
		note(out, f.scheme+" weights")
	}
	if f.strict {
		err = strict(out)
	}
	return out, nil, err
}

// blocks stores the weights in blocks; with samples it says what that costs.
func (f *quantizeFlags) blocks(ctx context.Context, m *format.Model, bits int, stderr io.Writer) (*format.Model, *quant.Report, error) {
	o := quant.BlockOptions{Bits: bits, Size: f.block}
	what := fmt.Sprintf("int%d weights in blocks of %d", bits, f.block)
	if f.calibrate == "" {
		out, err := quant.Blocks(ctx, m, o)
		if err == nil {
			note(out, what)
		}
		return out, nil, err
	}
	c, err := openCalibration(m, f.calibrate, f.samples)
	if err != nil {
		return nil, nil, err
	}
	b := newBar(stderr, c.n)
	defer b.done()
	b.stage("rounding the weights")
	o.Samples = c.samples(b.set)
	out, err := quant.Blocks(ctx, m, o)
	if err != nil {
		return nil, nil, err
	}
	b.stage("comparing with the float model")
	r, err := quant.Compare(ctx, m, out, o.Samples, c.class)
	if err != nil {
		return nil, nil, err
	}
	note(out, fmt.Sprintf("%s, rounded over %d samples", what, r.Samples))
	return out, r, nil
}

func (f *quantizeFlags) static(ctx context.Context, m *format.Model, stderr io.Writer) (*format.Model, *quant.Report, error) {
	c, err := openCalibration(m, f.calibrate, f.samples)
	if err != nil {
		return nil, nil, err
	}
	o := quant.Options{Wide: f.scheme == "int16x8", Plain: !f.repair, Class: c.class, Ranges: pixelRanges(m), Fallback: fallbacks[f.fallback]}
	if o.Method, err = quant.ParseMethod(f.method); err != nil {
		return nil, nil, err
	}
	if o.Budget, err = parseBudget(f.maxDrop); err != nil {
		return nil, nil, err
	}
	b := newBar(stderr, c.n)
	defer b.done()
	o.Stage = b.stage
	r, err := quant.Quantize(ctx, m, c.samples(b.set), o)
	if err != nil {
		return nil, nil, err
	}
	if f.strict {
		if err := strict(r.Model); err != nil {
			return nil, nil, err
		}
	}
	what := fmt.Sprintf("%s, %s over %d samples", f.scheme, r.Report.Method, r.Report.Samples)
	if r.Report.Equalized > 0 {
		what += fmt.Sprintf(", %d layers equalized", r.Report.Equalized)
	}
	if r.Report.Corrected {
		what += ", biases corrected"
	}
	if n := len(r.Report.Kept); n > 0 {
		what += fmt.Sprintf(", %d nodes kept in %s", n, r.Report.Kept[0].Type)
	}
	note(r.Model, what)
	metrics := maps.Clone(r.Model.Header.Metrics)
	if metrics == nil {
		metrics = map[string]float64{}
	}
	metrics["calibration_sqnr_db"] = math.Round(r.Report.Score.SQNR*100) / 100
	if a := r.Report.Score.Accuracy; a != nil {
		metrics["calibration_accuracy"] = *a
	}
	r.Model.Header.Metrics = metrics
	return r.Model, r.Report, nil
}

// write writes the report that --report asks for: JSON to a file of that name,
// else a page.
func (f *quantizeFlags) write(r pageReport, title string) error {
	return vfs.WriteFile(vfs.OS, f.report, func(w io.Writer) error {
		if strings.EqualFold(filepath.Ext(f.report), ".json") {
			return writeJSON(w, r)
		}
		return writePage(w, r, title, f.scheme)
	})
}

// note adds to what the model says about its making.
func note(m *format.Model, what string) {
	if n := m.Header.Source.Note; n != "" {
		what = n + "; " + what
	}
	m.Header.Source.Note = what
}

// pixelRanges fixes the range of an input that takes pixels as they are: its
// codes are then the pixels' own, which is how 8-bit inputs are filled.
func pixelRanges(m *format.Model) quant.Ranges {
	r := quant.Ranges{}
	for i, in := range m.Main().Inputs {
		image, real := false, false
		for _, t := range m.Header.Pre {
			if t.Tensor == in.Tensor || t.Tensor == "" && i == 0 {
				image = image || t.Op == "image"
				real = real || t.Op != "image"
			}
		}
		if image && !real {
			r[in.Tensor] = [2]float32{0, 255}
		}
	}
	return r
}

// strict fails when an activation of the model is a floating-point tensor.
func strict(m *format.Model) error {
	tensors := map[string]*format.Tensor{}
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	float := func(names []string) string {
		for _, name := range names {
			if t := tensors[name]; t != nil && !t.Const() && t.Type.Float() {
				return name
			}
		}
		return ""
	}
	for _, g := range m.Graphs {
		for _, n := range g.Nodes {
			// The node that computes in float is to blame, not the conversion
			// on its border.
			if n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" {
				continue
			}
			name := float(n.Outputs)
			if name == "" {
				name = float(n.Inputs)
			}
			if name != "" {
				return fmt.Errorf("--strict-int8: node %q (%s) computes in %v: tensor %q: replace the op in the source, or leave --strict-int8 away", n.Name, n.Op, tensors[name].Type, name)
			}
		}
		for _, in := range g.Inputs {
			if name := float([]string{in.Tensor}); name != "" {
				return fmt.Errorf("--strict-int8: input %q is %v: quantize the model with --quantize int8", name, tensors[name].Type)
			}
		}
		if name := float(g.Outputs); name != "" {
			return fmt.Errorf("--strict-int8: output %q is %v: quantize the model with --quantize int8", name, tensors[name].Type)
		}
	}
	return nil
}

// printQuantization says in a few lines what the scheme cost and where.
func printQuantization(w io.Writer, scheme string, r *quant.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s against float over %d samples: %.1f dB", scheme, r.Compared, r.Score.SQNR)
	if r.Score.Agreement != nil {
		fmt.Fprintf(&b, ", the same answer for %.1f%%", 100**r.Score.Agreement)
	}
	if r.Accuracy != nil && r.Score.Accuracy != nil {
		fmt.Fprintf(&b, ", accuracy %.4f (float %.4f)", *r.Score.Accuracy, *r.Accuracy)
	}
	b.WriteByte('\n')
	for _, l := range r.Guilty(3) {
		fmt.Fprintf(&b, "  %s (%s) adds noise of %.2g%% of its signal: range [%.4g, %.4g] of [%.4g, %.4g], %.2g%% beyond it\n",
			short(l.Node), l.Op, 100*l.Added, l.Chosen[0], l.Chosen[1], l.Observed[0], l.Observed[1], 100*l.Saturated)
	}
	for _, k := range r.Kept {
		fmt.Fprintf(&b, "  kept in %s: %s (%s), %d bytes more, %d multiply-accumulates\n", k.Type, short(k.Node), k.Op, k.Bytes, k.MACs)
	}
	var float []string
	for _, name := range r.Float {
		float = append(float, short(name))
	}
	if len(float) > 0 {
		fmt.Fprintf(&b, "  in float32: %s\n", strings.Join(float, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// short cuts the names that TensorFlow makes of all that it fused.
func short(name string) string {
	if r := []rune(name); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return name
}

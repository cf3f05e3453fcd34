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
	repair    bool
	maxDrop   string
	strict    bool
	report    string
}

var schemes = []string{"none", "dynamic", "int8", "int16x8", "fp16"}

// check finds what is wrong with the flags alone.
func (f *quantizeFlags) check() error {
	if !slices.Contains(schemes, f.scheme) {
		return fmt.Errorf("--quantize %s: choose one of %s", f.scheme, strings.Join(schemes, ", "))
	}
	if f.scheme == "int8" || f.scheme == "int16x8" {
		switch {
		case f.strict && f.scheme != "int8":
			return errors.New("--strict-int8 cannot hold with --quantize int16x8")
		case f.calibrate == "":
			return errors.New("--quantize " + f.scheme + " observes the model on samples: give some with --calibrate DIR, FILE.npz or FILE.csv (some tens are enough), or use --quantize dynamic")
		case f.samples < 1:
			return fmt.Errorf("--samples %d: at least 1 is needed", f.samples)
		}
		if _, err := quant.ParseMethod(f.method); err != nil {
			return fmt.Errorf("--method: %w", err)
		}
		_, err := parseBudget(f.maxDrop)
		return err
	}
	for flag, set := range map[string]bool{"calibrate": f.calibrate != "", "report": f.report != "", "max-drop": f.maxDrop != ""} {
		if set {
			return fmt.Errorf("--%s goes with --quantize int8 and int16x8", flag)
		}
	}
	if f.strict && f.scheme != "none" {
		return fmt.Errorf("--strict-int8 cannot hold with --quantize %s, which leaves the activations float32", f.scheme)
	}
	return nil
}

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
	var out *format.Model
	var err error
	switch f.scheme {
	case "none":
		out = m
	case "dynamic":
		out, err = quant.Dynamic(m)
	case "fp16":
		out, err = quant.Half(m)
	default:
		return f.static(ctx, m, stderr)
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

func (f *quantizeFlags) static(ctx context.Context, m *format.Model, stderr io.Writer) (*format.Model, *quant.Report, error) {
	c, err := openCalibration(m, f.calibrate, f.samples)
	if err != nil {
		return nil, nil, err
	}
	o := quant.Options{Wide: f.scheme == "int16x8", Plain: !f.repair, Class: c.class, Ranges: pixelRanges(m)}
	if o.Method, err = quant.ParseMethod(f.method); err != nil {
		return nil, nil, err
	}
	if o.Budget, err = parseBudget(f.maxDrop); err != nil {
		return nil, nil, err
	}
	if o.Budget.Drop != nil && c.class == nil {
		return nil, nil, fmt.Errorf("--max-drop %s bounds the loss of accuracy, but %s does not say the model's class of each sample: give labelled samples, or bound the error as in --max-drop 26dB", f.maxDrop, f.calibrate)
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
		what += fmt.Sprintf(", %d nodes kept float32", n)
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
func (f *quantizeFlags) write(r *quant.Report, title string) error {
	if f.report == "" {
		return nil
	}
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

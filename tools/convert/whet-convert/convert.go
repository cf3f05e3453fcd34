package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/tools/convert"
)

// options are the flags.
type options struct {
	in, out                             string
	labels, image                       string
	quantize                            quantizeFlags
	title, description, license, author string
	json                                bool
	source                              sourceFlags
	describe                            describeFlags
	stream                              streamFlag
	compare                             checkFlags
	trace                               convert.Trace // what became of the source's nodes
}

// check finds what is wrong with the flags alone, before any work.
func (o *options) check() error {
	switch {
	case o.out == "":
		return usageError{errors.New("no output file: give one with -o OUT.whet")}
	case filepath.Clean(o.in) == filepath.Clean(o.out):
		return usageError{fmt.Errorf("%s would overwrite its own source: give another -o", o.out)}
	}
	if err := o.quantize.check(); err != nil {
		return usageError{err}
	}
	if o.stream.spec != "" {
		_, _, _, err := o.stream.parse()
		return err
	}
	return nil
}

// convert does the work. Nothing is written until the whole model is sound.
func (o *options) convert(ctx context.Context, stderr io.Writer) (*report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	image, err := parseImage(o.image)
	if err != nil {
		return nil, usageError{err}
	}
	var labels []string
	if o.labels != "" {
		if labels, err = readLabels(o.labels); err != nil {
			return nil, err
		}
	}
	say := progress(stderr)
	say("reading %s", o.in)
	m, err := o.load()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if labels != nil {
		m.Header.Labels = labels
	}
	if image != nil {
		if m.Header.Pre, err = image.steps(m); err != nil {
			return nil, fmt.Errorf("%s: %w", o.in, err)
		}
		if _, err := pre.ForModel(m); err != nil {
			return nil, fmt.Errorf("%s: --image: %w", o.in, err)
		}
	}
	if o.describe.given() {
		if err := o.describe.apply(m); err != nil {
			return nil, fmt.Errorf("%s: %w", o.in, err)
		}
	}
	for key, value := range map[string]string{"title": o.title, "description": o.description, "license": o.license, "author": o.author} {
		if value == "" {
			continue
		}
		if m.Header.Card == nil {
			m.Header.Card = map[string]string{}
		}
		m.Header.Card[key] = value
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	say("")
	m, pruned, err := o.quantize.train.apply(ctx, m, o.quantize.scheme == "int8", stderr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.in, err)
	}
	m, quantization, err := o.quantize.apply(ctx, m, stderr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.in, err)
	}
	m, streamed, err := o.stream.apply(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.in, err)
	}
	if o.quantize.report != "" {
		page, err := fates(ctx, m, &o.trace, quantization, o.quantize.scheme)
		if err != nil {
			return nil, fmt.Errorf("%s: --report: %w", o.in, err)
		}
		if err := o.quantize.write(page, o.reportTitle()); err != nil {
			return nil, err
		}
	}
	bound := defaultTolerance
	if quantization != nil || pruned != nil || o.quantize.scheme != "none" || o.quantize.train.given() {
		bound = 0 // the loss is for the user to judge
	}
	checked, err := o.compare.run(ctx, m, bound)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.in, err)
	}
	say("writing %s", o.out)
	if err := format.WriteFile(o.out, m); err != nil {
		return nil, err
	}
	say("")
	r, err := o.report(m, quantization)
	if err != nil {
		return nil, err
	}
	r.Pruned, r.Stream, r.Checked = pruned, streamed, checked
	return r, nil
}

// load reads the source. A .whet model is one when its numbers are to change.
func (o *options) load() (*format.Model, error) {
	changed := o.quantize.scheme != "none" || o.quantize.train.given() || o.describe.given() || o.labels != "" || o.image != "" || o.stream.spec != "" || o.compare.file != ""
	if !changed || !strings.EqualFold(filepath.Ext(o.in), ".whet") {
		opts, err := o.source.options()
		if err != nil {
			return nil, err
		}
		return convert.Import(o.in, append(opts, convert.WithTrace(&o.trace))...)
	}
	m, err := format.Open(o.in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.in, err)
	}
	return m, nil
}

// reportTitle names the model on the page that --report writes.
func (o *options) reportTitle() string { return cmp.Or(o.title, filepath.Base(o.in)) }

func (o *options) report(m *format.Model, q *quant.Report) (*report, error) {
	src, err := os.Stat(o.in)
	if err != nil {
		return nil, err
	}
	dst, err := os.Stat(o.out)
	if err != nil {
		return nil, err
	}
	r := &report{
		Output: o.out, Bytes: dst.Size(), Source: o.in, SourceBytes: src.Size(), SourceHash: m.Header.Source.SHA256,
		Nodes: len(m.Main().Nodes), Tensors: len(m.Tensors), States: len(m.States), Labels: len(m.Header.Labels),
		Scheme: o.quantize.scheme, Quantization: q,
	}
	for _, t := range m.Tensors {
		r.WeightBytes += int64(len(t.Data))
	}
	info := func(name string) tensor {
		t := m.Tensor(name)
		return tensor{t.Name, t.Type.String(), t.Shape}
	}
	for _, in := range m.Main().Inputs {
		r.Inputs = append(r.Inputs, info(in.Tensor))
	}
	for _, name := range m.Main().Outputs {
		r.Outputs = append(r.Outputs, info(name))
	}
	return r, nil
}

// progress returns a function that shows what is being done: on a terminal
// only, in one line, which an empty text clears. Short work shows nothing.
func progress(w io.Writer) func(string, ...any) {
	if !terminal(w) {
		return func(string, ...any) {}
	}
	start := time.Now()
	return func(format string, a ...any) {
		if format != "" && time.Since(start) < time.Second/2 {
			return
		}
		fmt.Fprintf(w, "\r\x1b[K"+format, a...)
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}

// maxLabels bounds the file with the labels.
const maxLabels = 1 << 20

// readLabels reads one label a line.
func readLabels(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []string
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		line := strings.TrimRight(s.Text(), "\r")
		if t := strings.TrimSpace(line); t != "" {
			line = t // the label of a blank may be a space
		}
		out = append(out, line)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	if len(out) == 0 || len(out) > maxLabels {
		return nil, fmt.Errorf("%s: %d labels: give one a line", path, len(out))
	}
	return out, nil
}

// imageSpec is a parsed --image.
type imageSpec struct {
	none        bool
	image       format.Attrs
	mean, scale []float64
}

// parseImage reads the value of --image; nil when it is empty.
func parseImage(s string) (*imageSpec, error) {
	if s == "" {
		return nil, nil
	}
	spec := &imageSpec{image: format.Attrs{}}
	if s == "none" {
		spec.none = true
		return spec, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "mean":
			spec.mean, err = numbers(value)
		case "scale":
			spec.scale, err = numbers(value)
		case "size":
			h, w, ok := strings.Cut(value, "x")
			hn, err1 := strconv.ParseUint(h, 10, 16)
			wn, err2 := strconv.ParseUint(w, 10, 16)
			if !ok || err1 != nil || err2 != nil || hn == 0 || wn == 0 {
				err = errors.New("write it as HEIGHTxWIDTH")
			}
			spec.image["size"] = []int64{int64(hn), int64(wn)}
		case "fit":
			spec.image[key], err = oneOf(value, "stretch", "crop", "pad", "corner")
		case "filter":
			spec.image[key], err = oneOf(value, "bilinear", "antialias")
		case "order":
			spec.image[key], err = oneOf(value, "rgb", "bgr", "gray")
		default:
			err = errors.New("the keys are mean, scale, size, fit, filter and order")
		}
		if err != nil {
			return nil, fmt.Errorf("--image %q: %w", part, err)
		}
	}
	return spec, nil
}

func numbers(s string) ([]float64, error) {
	var out []float64
	for f := range strings.SplitSeq(s, "/") {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || v != v || v-v != 0 {
			return nil, fmt.Errorf("%q is not a number", f)
		}
		out = append(out, v)
	}
	return out, nil
}

func oneOf(s string, allowed ...string) (string, error) {
	if slices.Contains(allowed, s) {
		return s, nil
	}
	return "", fmt.Errorf("choose one of %s", strings.Join(allowed, ", "))
}

// steps returns the preprocessing for model m's first input.
func (s *imageSpec) steps(m *format.Model) ([]format.Transform, error) {
	if s.none {
		return nil, nil
	}
	if len(m.Main().Inputs) == 0 {
		return nil, errors.New("--image: the model has no input")
	}
	t := m.Tensor(m.Main().Inputs[0].Tensor)
	colours := func(n int) bool { return n == 1 || n == 3 }
	if len(t.Shape) != 4 || t.Shape[0] != 1 || !colours(t.Shape[1]) && !colours(t.Shape[3]) {
		return nil, fmt.Errorf("--image: input %q is of shape %v: a picture needs [1 height width channels] or [1 channels height width] with one or three channels", t.Name, t.Shape)
	}
	h, w, c := t.Shape[1], t.Shape[2], t.Shape[3]
	if !colours(c) {
		h, w, c = t.Shape[2], t.Shape[3], t.Shape[1]
	}
	if size := s.image.Ints("size"); size != nil && (size[0] != int64(h) || size[1] != int64(w)) {
		return nil, fmt.Errorf("--image: size %dx%d, but input %q takes %dx%d", size[0], size[1], t.Name, h, w)
	}
	for _, v := range [][]float64{s.mean, s.scale} {
		if len(v) > 1 && len(v) != c {
			return nil, fmt.Errorf("--image: %d values for the %d channels of input %q", len(v), c, t.Name)
		}
	}
	steps := []format.Transform{{Op: "image", Tensor: t.Name, Attrs: s.image}}
	if s.mean == nil && s.scale == nil {
		return steps, nil
	}
	attrs := format.Attrs{}
	if s.mean != nil {
		attrs["mean"] = s.mean
	}
	if s.scale != nil {
		attrs["scale"] = s.scale
	}
	return append(steps, format.Transform{Op: "normalize", Tensor: t.Name, Attrs: attrs}), nil
}

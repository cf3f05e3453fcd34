package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// Verdicts.
const (
	pass = "pass"
	fail = "FAIL"
	skip = "skip"
)

// A result is one line of the table.
type result struct {
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`
	Reason  string   `json:"reason,omitempty"`
	Ops     []string `json:"unsupported,omitempty"`     // operators that kept the model from being converted
	Fixed   []string `json:"constant_inputs,omitempty"` // inputs that were made constants
	Scope   string   `json:"out_of_scope,omitempty"`    // why it is
	dir     string
}

// A testCase is a model and the data that it is tried with.
type testCase struct {
	name, model string
	sets        []dataSet
	opts        []convert.Option
	rel, floor  float64 // how far a float may be off: relative to itself, or to floor times the greatest of its tensor
	abs         float64 // and always
}

// A dataSet is what goes in and what is to come out, in the model's order.
type dataSet struct{ in, out []*format.Tensor }

// find lists the cases below a folder, by name.
func find(dir string) ([]testCase, error) {
	var cases []testCase
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "model.onnx" {
			cases = append(cases, testCase{name: filepath.Base(filepath.Dir(p)), model: p, rel: 1e-3, abs: 1e-5})
		}
		return err
	})
	return cases, err
}

// load reads the data sets of a case that has none yet.
func (c *testCase) load() error {
	sets, err := filepath.Glob(filepath.Join(filepath.Dir(c.model), "test_data_set_*"))
	if err != nil {
		return err
	}
	for _, dir := range sets {
		var d dataSet
		if d.in, err = tensors(dir, "input"); err != nil {
			return err
		}
		if d.out, err = tensors(dir, "output"); err != nil {
			return err
		}
		c.sets = append(c.sets, d)
	}
	return nil
}

// check runs all data sets of a case.
func (c testCase) check() (r result) {
	r = result{Name: c.name, Verdict: pass}
	defer func() {
		if p := recover(); p != nil {
			r.Verdict, r.Reason = fail, fmt.Sprintf("panic: %v", p)
		}
	}()
	if c.sets == nil {
		if err := c.load(); err != nil {
			r.Verdict, r.Reason = skip, err.Error()
			return r
		}
	}
	if len(c.sets) == 0 {
		r.Verdict, r.Reason = skip, "it has no data"
	}
	for _, set := range c.sets {
		if err := c.run(set, &r); err != nil {
			r.Reason = strings.ReplaceAll(err.Error(), "\n", "; ")
			if r.Verdict == pass {
				r.Verdict = fail
			}
			return r
		}
	}
	return r
}

// fixable finds the input that a conversion asks to be a constant.
var fixable = regexp.MustCompile(`--const (\S+)=VALUE`)

// run runs one data set.
func (c testCase) run(set dataSet, r *result) error {
	in, want := set.in, set.out
	names, err := convert.ONNXInputs(c.model)
	if err != nil {
		r.Verdict = skip
		return err
	}
	for i := range in { // older suites do not name the data
		if i < len(names) {
			in[i].Name = names[i]
		}
	}
	m, err := c.convert(in, r)
	if err != nil {
		r.Verdict = skip
		if u, ok := errors.AsType[*convert.UnsupportedError](err); ok {
			var reasons []string
			for _, o := range u.Ops {
				r.Ops = append(r.Ops, o.Op)
				reasons = append(reasons, o.Op+": "+o.Reason)
			}
			return errors.New(strings.Join(reasons, "; "))
		}
		return err
	}
	p, err := runtime.Compile(m, runtime.WithThreads(1), runtime.WithLevel(kernels.Best()))
	if err != nil {
		return err
	}
	s := p.NewSession()
	defer s.Close()
	for i, x := range p.Inputs() {
		k := slices.IndexFunc(in, func(t *format.Tensor) bool { return t.Name == x.Name })
		if k < 0 {
			return fmt.Errorf("the data set has no input %q", x.Name)
		}
		storedBits(in[k], x.Type)
		if t := s.Input(i); in[k].Type != t.Type || !in[k].Shape.Equal(t.Shape) {
			r.Verdict = skip
			return fmt.Errorf("the data do not fit the model: input %q is %v %v, the data %v %v", x.Name, t.Type, t.Shape, in[k].Type, in[k].Shape)
		}
		copy(s.Input(i).Bytes(), in[k].Data)
	}
	if err := s.Run(context.Background()); err != nil {
		return err
	}
	outs := p.Outputs()
	if len(outs) != len(want) {
		return fmt.Errorf("%d outputs, the data has %d", len(outs), len(want))
	}
	for i := range outs {
		o := s.Output(i)
		if err := c.compare(o, want[i]); err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
	}
	return nil
}

// convert imports the model, and makes constants of the inputs that it must know.
func (c testCase) convert(in []*format.Tensor, r *result) (*format.Model, error) {
	opts := slices.Clone(c.opts)
	r.Fixed = nil
	for {
		m, err := convert.Import(c.model, opts...)
		if err == nil {
			return m, nil
		}
		more := false
		for _, found := range fixable.FindAllStringSubmatch(err.Error(), -1) {
			k := slices.IndexFunc(in, func(t *format.Tensor) bool { return t.Name == found[1] })
			if k < 0 || slices.Contains(r.Fixed, found[1]) {
				continue
			}
			v, err := numbers(in[k].Type, in[k].Data)
			if err != nil {
				return nil, err
			}
			opts = append(opts, convert.WithConst(found[1], v...))
			r.Fixed = append(r.Fixed, found[1])
			more = true
		}
		if !more {
			return nil, err
		}
	}
}

// tensors reads NAME_0.pb, NAME_1.pb ...
func tensors(set, name string) ([]*format.Tensor, error) {
	var list []*format.Tensor
	for i := 0; ; i++ {
		t, err := convert.ReadONNXTensor(filepath.Join(set, fmt.Sprintf("%s_%d.pb", name, i)))
		if errors.Is(err, os.ErrNotExist) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
}

// storedBits gives data the type bfloat16 where an older suite, made with a numpy
// that has none, stores its bits as uint16.
func storedBits(t *format.Tensor, want format.DType) {
	if t.Type == format.Uint16 && want == format.BFloat16 {
		t.Type = want
	}
}

// compare says how an output differs from what is expected.
func (c testCase) compare(o *runtime.Tensor, want *format.Tensor) error {
	storedBits(want, o.Type)
	if o.Type != want.Type || !o.Shape.Equal(want.Shape) {
		return fmt.Errorf("it is %v %v, expected %v %v", o.Type, o.Shape, want.Type, want.Shape)
	}
	a, err := numbers(o.Type, o.Bytes())
	if err != nil {
		return err
	}
	b, err := numbers(want.Type, want.Data)
	if err != nil {
		return err
	}
	rel, abs := 0.0, 0.0
	if o.Type.Float() {
		top := 0.0
		for _, v := range b {
			if !math.IsInf(v, 0) && !math.IsNaN(v) {
				top = max(top, math.Abs(v))
			}
		}
		rel, abs = c.rel, c.abs+c.rel*c.floor*top
	}
	for i := range b {
		if a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]) {
			continue
		}
		if d := math.Abs(a[i] - b[i]); !(d <= abs+rel*math.Abs(b[i])) || math.IsInf(b[i], 0) {
			return fmt.Errorf("element %d of %v is %g, expected %g", i, o.Shape, a[i], b[i])
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// checkFlags compare the converted model with what its source gives.
type checkFlags struct {
	file      string
	tolerance float64
}

func (f *checkFlags) add(s *pflag.FlagSet) {
	s.StringVar(&f.file, "check", "", "an .npz with inputs and the outputs that the source gives for them, each under its name: the new model must give the same; a wrong one is not written")
	s.Float64Var(&f.tolerance, "tolerance", 0, "how far --check lets an output be off, as a part of its greatest number (default 1e-4, and no bound where the model is quantized here)")
}

// A difference is how far an output is from what was expected.
type difference struct {
	Output   string  `json:"output"`
	Elems    int     `json:"elements"`
	MaxError float64 `json:"max_error"` // greatest difference
	Relative float64 `json:"relative"`  // that over the expected output's greatest number
	SNR      float64 `json:"snr_db"`    // signal to noise; 999 where nothing differs
	At       int     `json:"at"`        // the element that is off the most
	SameTop  bool    `json:"same_top"`  // the greatest element is the same one
}

// defaultTolerance is what float32 arithmetic in another order may do.
const defaultTolerance = 1e-4

// same stands for a signal without noise, which JSON cannot say.
const same = 999

// run feeds the inputs, runs the model and compares. bound is what an output may be
// off; 0: nothing is refused.
func (f *checkFlags) run(ctx context.Context, m *format.Model, bound float64) ([]difference, error) {
	if f.file == "" {
		return nil, nil
	}
	if f.tolerance > 0 {
		bound = f.tolerance
	}
	p, err := runtime.Compile(m)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	defer s.Close()
	for i := range p.Inputs() {
		if err := f.put(s.Input(i)); err != nil {
			return nil, err
		}
	}
	if err := s.Run(ctx); err != nil {
		return nil, err
	}
	var list []difference
	for i := range p.Outputs() {
		d, err := f.compare(s.Output(i))
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	for _, d := range list {
		if bound > 0 && !(d.Relative <= bound) {
			return list, fmt.Errorf("--check: output %q is off by %.3g (%.3g of its greatest number) at element %d, more than %.3g", d.Output, d.MaxError, d.Relative, d.At, bound)
		}
	}
	return list, nil
}

func (f *checkFlags) read(t *runtime.Tensor) (*pre.Array, error) {
	arrays, err := pre.ReadNPZ(f.file, t.Name)
	if err != nil {
		return nil, err
	}
	a := arrays[t.Name]
	if a.Elems() != t.Shape.Elems() {
		return nil, fmt.Errorf("%s: %q has shape %v, the model's has %v", f.file, t.Name, []int(a.Shape), []int(t.Shape))
	}
	return a, nil
}

// put sets an input, of its own type or in real numbers.
func (f *checkFlags) put(t *runtime.Tensor) error {
	a, err := f.read(t)
	if err != nil {
		return err
	}
	if a.Type == t.Type {
		copy(t.Bytes(), a.Data)
		return nil
	}
	x, err := a.Float32s()
	if err == nil {
		err = t.SetFloat32(x)
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w", f.file, t.Name, err)
	}
	return nil
}

// compare compares real numbers.
func (f *checkFlags) compare(t *runtime.Tensor) (d difference, err error) {
	a, err := f.read(t)
	if err != nil {
		return d, err
	}
	got, err := reals(&pre.Array{Type: t.Type, Shape: t.Shape, Data: t.Bytes()}, t)
	if err != nil {
		return d, err
	}
	want, err := reals(a, t)
	if err != nil {
		return d, fmt.Errorf("%s: %q: %w", f.file, t.Name, err)
	}
	d = difference{Output: t.Name, Elems: len(got)}
	var top, gotTop, signal, noise, greatest float64
	best, gotBest := 0, 0
	for i, w := range want {
		g := got[i]
		e := math.Abs(g - w)
		if math.IsNaN(g) && math.IsNaN(w) || g == w {
			e = 0
		}
		if !(e <= d.MaxError) { // also the first NaN
			d.MaxError, d.At = e, i
		}
		greatest = max(greatest, math.Abs(w))
		signal, noise = signal+w*w, noise+e*e
		if i == 0 || w > top {
			top, best = w, i
		}
		if i == 0 || g > gotTop {
			gotTop, gotBest = g, i
		}
	}
	d.SameTop, d.SNR = best == gotBest, same
	if noise > 0 {
		d.SNR = 10 * math.Log10(signal/noise)
	}
	if d.Relative = d.MaxError; greatest > 0 {
		d.Relative /= greatest
	}
	for _, v := range []*float64{&d.MaxError, &d.Relative, &d.SNR} {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			return d, fmt.Errorf("--check: output %q has no finite number at element %d where %v is expected", t.Name, d.At, want[d.At])
		}
	}
	return d, nil
}

// reals are the numbers that an array's codes stand for if it has the tensor's type,
// else the array's own numbers.
func reals(a *pre.Array, t *runtime.Tensor) ([]float64, error) {
	x, err := a.Float32s()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	if t.Quant != nil && a.Type == t.Type {
		for i := range out {
			out[i] = (out[i] - float64(t.Quant.ZeroPoint())) * float64(t.Quant.Scale[0])
		}
	}
	return out, nil
}

func printChecked(w io.Writer, list []difference) error {
	for _, d := range list {
		top := ""
		if d.Elems > 1 && !d.SameTop {
			top = ", another element is the greatest"
		}
		snr := "nothing differs"
		if d.SNR != same {
			snr = fmt.Sprintf("off by %.3g at most, %.3g of the greatest number, %.1f dB", d.MaxError, d.Relative, d.SNR)
		}
		if _, err := fmt.Fprintf(w, "check %s: %d numbers, %s%s\n", d.Output, d.Elems, snr, top); err != nil {
			return err
		}
	}
	return nil
}

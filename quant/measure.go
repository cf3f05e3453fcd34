package quant

import (
	"context"
	"fmt"

	"github.com/whet-edge/whet/format"
)

// A reference is what the float model says about samples, to measure others
// against.
type reference struct {
	samples Samples
	values  [][]float32 // the outputs, one after another, sample by sample
	signal  float64     // their summed squares
	width   int         // elements of the first output
	class   []int       // labels of the samples, nil if unknown
}

// newReference runs the float model on the samples.
func newReference(ctx context.Context, m *format.Model, samples Samples, class []int) (*reference, error) {
	ref := &reference{samples: samples, class: class}
	r, err := newRunner(m, nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	n := 0
	for x, err := range samples {
		if err != nil {
			return nil, err
		}
		if err := r.run(ctx, n, x); err != nil {
			return nil, err
		}
		n++
		var all []float32
		for i := range m.Main().Outputs {
			all = append(all, r.real(i)...)
			if i == 0 {
				ref.width = len(all)
			}
		}
		ref.values = append(ref.values, all)
		for _, v := range all {
			ref.signal += float64(float64(v) * float64(v))
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("quant: no calibration samples")
	}
	if class != nil && len(class) != n {
		return nil, fmt.Errorf("quant: %d labels for %d samples", len(class), n)
	}
	return ref, nil
}

// first is the reference of the first n samples.
func (ref *reference) first(n int) *reference {
	if len(ref.values) <= n {
		return ref
	}
	r := &reference{values: ref.values[:n], width: ref.width, samples: func(yield func(Sample, error) bool) {
		i := 0
		for x, err := range ref.samples {
			if i == n || !yield(x, err) {
				return
			}
			i++
		}
	}}
	if ref.class != nil {
		r.class = ref.class[:n]
	}
	for _, row := range r.values {
		for _, v := range row {
			r.signal += float64(float64(v) * float64(v))
		}
	}
	return r
}

// A Score says how far a model is from the float one on the samples.
type Score struct {
	SQNR      float64  `json:"sqnr_db"`             // of all outputs, in decibels
	Agreement *float64 `json:"agreement,omitempty"` // fraction of samples with the same greatest score, where the first output is a row of scores
	Accuracy  *float64 `json:"accuracy,omitempty"`  // where the samples have labels
}

// score measures a model. The classes are those of the first output.
func (ref *reference) score(ctx context.Context, m *format.Model) (Score, error) {
	r, err := newRunner(m, nil)
	if err != nil {
		return Score{}, err
	}
	defer r.close()
	noise, same, right, n := 0.0, 0, 0, 0
	for x, err := range ref.samples {
		if err != nil {
			return Score{}, err
		}
		if err := r.run(ctx, n, x); err != nil {
			return Score{}, err
		}
		want := ref.values[n]
		top := -1
		for i := range m.Main().Outputs {
			got := r.real(i)
			if i == 0 {
				top = argmax(got)
				if top == argmax(want[:len(got)]) {
					same++
				}
			}
			for k, v := range got {
				d := float64(v) - float64(want[k])
				noise += float64(d * d)
			}
			want = want[len(got):]
		}
		if ref.class != nil && ref.class[n] == top {
			right++
		}
		n++
	}
	s := Score{SQNR: decibels(ref.signal, noise)}
	fraction := func(k int) *float64 {
		f := float64(k) / float64(n)
		return &f
	}
	if shape := r.session.Output(0).Shape; ref.width > 1 && shape[len(shape)-1] == ref.width {
		s.Agreement = fraction(same)
	}
	if ref.class != nil {
		s.Accuracy = fraction(right)
	}
	return s, nil
}

// Compare runs a float model and another form of it on the samples. class is as
// in [Options].
func Compare(ctx context.Context, float, other *format.Model, samples Samples, class []int) (*Report, error) {
	ref, err := newReference(ctx, float, samples, class)
	if err != nil {
		return nil, err
	}
	r := &Report{Samples: len(ref.values), Compared: len(ref.values)}
	if class != nil {
		a := ref.accuracy()
		r.Accuracy = &a
	}
	r.Score, err = ref.score(ctx, other)
	return r, err
}

// argmax is the index of the first greatest value, -1 of none.
func argmax(x []float32) int {
	best := -1
	for i, v := range x {
		if best < 0 || v > x[best] {
			best = i
		}
	}
	return best
}

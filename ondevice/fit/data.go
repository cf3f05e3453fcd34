package fit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// Data is samples in memory.
type Data struct {
	X      [][]float32 // of each sample the elements of the model's input
	Class  []int       // the right classes, for [ondevice.CrossEntropy]
	Target [][]float32 // or the right values, one an output, for the other losses
}

// Len returns the number of samples.
func (d *Data) Len() int { return len(d.X) }

// Subset returns the samples of the indices.
func (d *Data) Subset(indices []int) *Data {
	s := &Data{}
	for _, i := range indices {
		s.X = append(s.X, d.X[i])
		if d.Class != nil {
			s.Class = append(s.Class, d.Class[i])
		}
		if d.Target != nil {
			s.Target = append(s.Target, d.Target[i])
		}
	}
	return s
}

// check refuses samples that do not fit a model with so many inputs and outputs.
func (d *Data) check(inputs, outputs int, classes bool) error {
	if d.Len() == 0 {
		return fmt.Errorf("fit: there are no samples")
	}
	if classes && len(d.Class) != d.Len() || !classes && len(d.Target) != d.Len() {
		return fmt.Errorf("fit: %d samples, %d classes, %d targets: cross-entropy needs a class for every sample, other losses a target", d.Len(), len(d.Class), len(d.Target))
	}
	for i, x := range d.X {
		switch {
		case len(x) != inputs:
			return fmt.Errorf("fit: sample %d has %d values; the model's input has %d", i, len(x), inputs)
		case classes && (d.Class[i] < 0 || d.Class[i] >= outputs):
			return fmt.Errorf("fit: sample %d is of class %d; the model has %d outputs", i, d.Class[i], outputs)
		case !classes && len(d.Target[i]) != outputs:
			return fmt.Errorf("fit: sample %d has a target of %d values; the model has %d outputs", i, len(d.Target[i]), outputs)
		}
	}
	return nil
}

// Stratified divides the indices of samples so that about the fraction of every
// class (rounded, but one at least where a class has two) comes second. With one
// class for all it is a plain random split. Both parts ascend.
func Stratified(class []int, fraction float64, seed uint64) (train, val []int) {
	return BySource(class, nil, fraction, seed)
}

// BySource is [Stratified] by whole sources: samples of one recording, person or
// burst are alike, so they never come on both sides. The class of a source is that
// of its first sample; one that is the only source of its class stays first.
func BySource(class []int, source []string, fraction float64, seed uint64) (train, val []int) {
	r := rand.New(rand.NewPCG(seed, 0x7370_6c69_74))
	number := map[string]int{}
	var groups [][]int
	var classes []int
	byClass := map[int][]int{}
	for i, c := range class {
		k, known := len(groups), false
		if source != nil {
			k, known = number[source[i]]
			if !known {
				k = len(groups)
				number[source[i]] = k
			}
		}
		if !known {
			groups = append(groups, nil)
			if byClass[c] == nil {
				classes = append(classes, c)
			}
			byClass[c] = append(byClass[c], k)
		}
		groups[k] = append(groups[k], i)
	}
	slices.Sort(classes)
	for _, c := range classes {
		own, size := byClass[c], 0
		r.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
		for _, k := range own {
			size += len(groups[k])
		}
		want := int(fraction*float64(size) + 0.5)
		if want == 0 && fraction > 0 && size > 1 {
			want = 1
		}
		for i, k := range own {
			if want > 0 && i < len(own)-1 {
				val = append(val, groups[k]...)
				want -= len(groups[k])
			} else {
				train = append(train, groups[k]...)
			}
		}
	}
	slices.Sort(train)
	slices.Sort(val)
	return train, val
}

// ByTime puts the last samples of n second, for what is to be foretold.
func ByTime(n int, fraction float64) (train, val []int) {
	first := n - int(fraction*float64(n)+0.5)
	for i := range n {
		if i < first {
			train = append(train, i)
		} else {
			val = append(val, i)
		}
	}
	return train, val
}

// Predict runs a model whose input and first output are float32 on every sample.
func Predict(ctx context.Context, m *format.Model, x [][]float32, opts ...runtime.Option) ([][]float32, error) {
	prog, err := runtime.Compile(m, opts...)
	if err != nil {
		return nil, err
	}
	in, out := prog.Inputs()[0], prog.Outputs()[0]
	if in.Type != format.Float32 || out.Type != format.Float32 {
		return nil, fmt.Errorf("fit: input %q is %v and output %q is %v: Predict needs float32", in.Name, in.Type, out.Name, out.Type)
	}
	s := prog.NewSession()
	defer s.Close()
	y := make([][]float32, len(x))
	for i, v := range x {
		dst := s.Input(0).Float32()
		if len(v) != len(dst) {
			return nil, fmt.Errorf("fit: sample %d has %d values; the model's input has %d", i, len(v), len(dst))
		}
		copy(dst, v)
		s.Reset()
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		y[i] = slices.Clone(s.Output(0).Float32())
	}
	return y, nil
}

package ondevice

import (
	"fmt"
	"slices"
)

// Data is a set of labelled samples. It need not hold the inputs in memory:
// every one is asked for once (and once more in a resumed job).
type Data interface {
	Len() int
	// Sample describes sample i; its Input may be nil.
	Sample(i int) Sample
	// Input fills dst with sample i's input: the elements of the model's input
	// tensor, in its own type and layout, after preprocessing.
	Input(i int, dst []byte) error
}

// A Sample is one labelled example.
type Sample struct {
	Input []byte // used by Samples; see Data.Input

	// Label is the name of the sample's class. A model without labels has
	// classes named "0", "1" and so on.
	Label string

	// Target is what the outputs should be, for MSE; nil stands for 1 at the
	// label's class and 0 elsewhere.
	Target []float32

	// Source names the recording, person or burst that the sample was cut from.
	// Samples of one source are alike, so a split never puts them on both sides.
	// Empty: the sample is a source of its own.
	Source string

	// ViewOf marks a changed copy of an earlier sample (package augment makes such): the
	// number of that sample, counted from 1; 0: it is none. A view is trained on where
	// its sample is, and nothing is ever judged by it.
	ViewOf int
}

// Samples is Data in memory.
type Samples []Sample

// Len implements [Data].
func (s Samples) Len() int { return len(s) }

// Sample implements [Data].
func (s Samples) Sample(i int) Sample { return s[i] }

// Input implements [Data].
func (s Samples) Input(i int, dst []byte) error {
	if len(s[i].Input) != len(dst) {
		return fmt.Errorf("sample %d has %d bytes; the model's input has %d", i, len(s[i].Input), len(dst))
	}
	copy(dst, s[i].Input)
	return nil
}

// grouping is samples gathered by source, and sources by class: that of their
// first sample.
type grouping struct {
	groups  [][]int32 // the samples of each source
	byClass [][]int32 // the sources of each class
}

func group(n int, class func(i int) int, source func(i int) string) *grouping {
	g := &grouping{}
	number := map[string]int{}
	for i := range n {
		k, ok := number[source(i)]
		if !ok {
			k = len(g.groups)
			number[source(i)] = k
			g.groups = append(g.groups, nil)
			for len(g.byClass) <= class(i) {
				g.byClass = append(g.byClass, nil)
			}
			g.byClass[class(i)] = append(g.byClass[class(i)], int32(k))
		}
		g.groups[k] = append(g.groups[k], int32(i))
	}
	return g
}

// split divides the samples into training and validation parts, each in
// ascending order. About the fraction frac of every class is held out, by whole
// sources; a class (or the one source of a class) that cannot be divided stays
// in training.
func (g *grouping) split(frac float64, seed uint64) (train, val []int32) {
	r := newRNG(seed, streamSplit)
	for _, own := range g.byClass {
		own := slices.Clone(own)
		r.shuffle(own)
		size := 0
		for _, k := range own {
			size += len(g.groups[k])
		}
		want := int(frac*float64(size) + 0.5)
		if want == 0 && frac > 0 && size > 1 {
			want = 1
		}
		for i, k := range own {
			if want > 0 && i < len(own)-1 {
				val = append(val, g.groups[k]...)
				want -= len(g.groups[k])
			} else {
				train = append(train, g.groups[k]...)
			}
		}
	}
	slices.Sort(train)
	slices.Sort(val)
	return train, val
}

// folds deals the sources of every class to n parts in turn, each part in
// ascending order. A class with one source is in none: it could not be trained
// while it is held out.
func (g *grouping) folds(n int, seed uint64) [][]int32 {
	r := newRNG(seed, streamSplit)
	parts := make([][]int32, n)
	next := 0
	for _, own := range g.byClass {
		if len(own) < 2 {
			continue
		}
		own := slices.Clone(own)
		r.shuffle(own)
		for _, k := range own {
			parts[next%n] = append(parts[next%n], g.groups[k]...)
			next++
		}
	}
	for _, p := range parts {
		slices.Sort(p)
	}
	return parts
}

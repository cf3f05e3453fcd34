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

// split divides n samples into training and validation parts, each in
// ascending order. About the fraction frac of every class is held out, by whole
// sources; a class (or the one source of a class) that cannot be divided stays
// in training.
func split(n int, class func(i int) int, source func(i int) string, frac float64, seed uint64) (train, val []int32) {
	type group struct {
		class   int
		members []int32
	}
	var groups []*group
	bySource := map[string]*group{}
	classes := 0
	for i := range n {
		c := class(i)
		classes = max(classes, c+1)
		g := bySource[source(i)]
		if g == nil {
			g = &group{class: c}
			groups = append(groups, g)
			bySource[source(i)] = g
		}
		g.members = append(g.members, int32(i))
	}
	r := newRNG(seed, streamSplit)
	for c := range classes {
		var own []int32 // indices of this class's groups
		size := 0
		for i, g := range groups {
			if g.class == c {
				own = append(own, int32(i))
				size += len(g.members)
			}
		}
		r.shuffle(own)
		want := int(frac*float64(size) + 0.5)
		if want == 0 && frac > 0 && size > 1 {
			want = 1
		}
		for k, i := range own {
			g := groups[i]
			if want > 0 && k < len(own)-1 {
				val = append(val, g.members...)
				want -= len(g.members)
			} else {
				train = append(train, g.members...)
			}
		}
	}
	slices.Sort(train)
	slices.Sort(val)
	return train, val
}

// Package augment makes more of few samples: changed views of them, which a job trains
// on beside the samples themselves and is never judged by.
//
//	chain, err := augment.Parse("shift=0.1,flip,brightness=0.2")
//	data, err := augment.Views(data, model, chain, 4, seed) // 4 views of each sample
//
// A view is a function of the sample, its number, the number of the view and the seed,
// on every CPU: so the features of views are cached like those of samples.
//
// # Changes
//
// A sample is seen as values [h, w, c]: a picture [1, h, w, c] as its rows, columns and
// channels, a spectrogram [1, h, w] or [1, h, w, 1] as frames and bands, a series or a
// sound as rows of channels. Amounts are fractions; each is drawn evenly between its
// negative and itself, or 0 and itself, once a view. The span of a sample is the
// distance between its greatest and its least value.
//
//	shift=0.1       pictures: moved by up to a tenth of the height and of the width; the
//	                edge is repeated
//	flip            pictures: mirrored, left to right, every other one
//	brightness=0.2  up to a fifth of the span is added
//	contrast=0.2    up to a fifth more or less distance from the mean
//	erase=0.3       a rectangle of up to 0.3 of the height and the width becomes the mean
//	                (DeVries and Taylor, "Improved Regularization of Convolutional Neural
//	                Networks with Cutout", 2017)
//	slide=0.1       moved in time by up to a tenth of the rows; the edge is repeated
//	scale=0.2       multiplied by 0.8 to 1.2: gain
//	noise=0.02      normal noise of a deviation of up to 0.02 of the span is added: jitter
//	mask=0.2        a run of up to a fifth of the rows, and one of the columns, become the
//	                mean (Park et al., "SpecAugment", 2019)
//
// Of data whose samples are sounds before the model's own front end (package pre reads
// such), slide, scale and noise change the sound, and the others what the front end makes
// of it.
package augment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A Change is one way to change a sample.
type Change struct {
	Name   string // one of [Names]
	Amount float32
}

// Names are the changes that there are.
func Names() []string {
	var list []string
	for _, k := range kinds {
		list = append(list, k.name)
	}
	return list
}

// kind is how a change is carried out.
type kind struct {
	name  string
	most  float32 // amount
	sound bool    // it is meant for the sound, where there is one
	do    func(g *grid, amount float32, r *random)
}

var kinds = []kind{
	{"shift", 0.5, false, func(g *grid, a float32, r *random) { g.move(g.part(g.h, a, r), g.part(g.w, a, r)) }},
	{"flip", 0, false, func(g *grid, _ float32, r *random) {
		if r.Uint64()&1 == 0 {
			g.flip()
		}
	}},
	{"brightness", 1, false, func(g *grid, a float32, r *random) { g.add(float32(r.even(a) * g.span())) }},
	{"contrast", 1, false, func(g *grid, a float32, r *random) { g.stretch(1+r.even(a), g.mean()) }},
	{"erase", 1, false, func(g *grid, a float32, r *random) {
		h, w := r.upTo(g.h, a), r.upTo(g.w, a)
		g.fill(r.IntN(g.h-h+1), h, r.IntN(g.w-w+1), w, g.mean())
	}},
	{"slide", 0.5, true, func(g *grid, a float32, r *random) { g.move(g.part(g.h, a, r), 0) }},
	{"scale", 1, true, func(g *grid, a float32, r *random) { g.stretch(1+r.even(a), g.zero) }},
	{"noise", 1, true, func(g *grid, a float32, r *random) { g.noise(float32((r.even(a/2)+a/2)*g.span()), r) }},
	{"mask", 1, false, func(g *grid, a float32, r *random) {
		mean, h, w := g.mean(), r.upTo(g.h, a), r.upTo(g.w, a)
		g.fill(r.IntN(g.h-h+1), h, 0, g.w, mean)
		g.fill(0, g.h, r.IntN(g.w-w+1), w, mean)
	}},
}

// A Chain is changes, done one after the other.
type Chain []Change

// Parse reads a list of changes such as "shift=0.1,flip".
func Parse(list string) (Chain, error) {
	var c Chain
	for item := range strings.SplitSeq(list, ",") {
		name, amount, given := strings.Cut(strings.TrimSpace(item), "=")
		change := Change{Name: name}
		if given {
			v, err := strconv.ParseFloat(amount, 32)
			if err != nil {
				return nil, fmt.Errorf("augment: %s: %q is not a number", name, amount)
			}
			change.Amount = float32(v)
		}
		c = append(c, change)
	}
	return c, c.check()
}

func (c Chain) check() error {
	for _, x := range c {
		k, ok := find(x.Name)
		switch {
		case !ok:
			return fmt.Errorf("augment: %q is not known; %s are", x.Name, strings.Join(Names(), ", "))
		case k.most == 0 && x.Amount != 0:
			return fmt.Errorf("augment: %s has no amount", x.Name)
		case k.most > 0 && !(x.Amount > 0 && x.Amount <= k.most):
			return fmt.Errorf("augment: %s=%v: an amount above 0 and at most %v is needed", x.Name, x.Amount, k.most)
		}
	}
	return nil
}

func find(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// apply carries out the changes; those meant for sounds only if sound says so, the
// others if not, and all if it is nil.
func (c Chain) apply(g *grid, r *random, sound *bool) {
	for _, x := range c {
		if k, _ := find(x.Name); sound == nil || k.sound == *sound {
			k.do(g, x.Amount, r)
		}
	}
}

// random is PCG (O'Neill, 2014), whose numbers are the same on every CPU.
type random struct{ *rand.Rand }

func newRandom(seed uint64, sample, view int) *random {
	return &random{rand.New(rand.NewPCG(seed, uint64(sample)<<16|uint64(view)))}
}

// even is evenly distributed within [-a, a).
func (r *random) even(a float32) float32 {
	return float32(a * (float32(r.Uint64()>>40)/(1<<23) - 1))
}

// upTo is evenly distributed over the whole numbers up to a fraction of n.
func (r *random) upTo(n int, fraction float32) int {
	return r.IntN(int(fraction*float32(n)) + 1)
}

// normal is a draw of mean 0 and deviation 1: the sum of twelve even ones less six
// (Irwin and Hall), which needs no logarithm and is exact.
func (r *random) normal() float32 {
	var s uint64
	for range 12 {
		s += r.Uint64() >> 41 // 23 bits
	}
	return float32(int64(s)-6<<23) / (1 << 23)
}

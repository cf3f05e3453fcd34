package ondevice

import (
	"math/bits"

	"github.com/whet-edge/whet/kernels"
)

// A batch is the samples of one step and what is done to them on their way into the
// trained part. All of it follows from the seed and the number of the step, so that a
// resumed job goes on with the same bits and a checkpoint holds nothing of it.
type batch struct {
	rows []int32

	// With mixup sample k is mixed with other[k], of which it gets 1-share (Zhang et al.,
	// "mixup: Beyond Empirical Risk Minimization", 2018), where the trained part begins
	// (Verma et al., "Manifold Mixup", 2019). Nil: no mixup.
	other []int32
	share float32

	drop dropout
}

// newBatch makes the batch of a step that begins after done others.
func (p *TunePlan) newBatch(rows []int32, done int) *batch {
	b := &batch{rows: rows}
	if p.opt.Mixup == 0 && p.opt.Dropout == 0 {
		return b
	}
	r := newRNG(p.opt.Seed, streamStep+uint64(done)<<8)
	if p.opt.Mixup > 0 {
		b.share = r.beta(p.opt.Mixup)
		b.other = append(b.other, rows...)
		r.shuffle(b.other)
	}
	if p.opt.Dropout > 0 {
		b.drop = newDropout(p.opt.Dropout, r.uint64())
	}
	return b
}

// mix adds the other sample's values to x, which are the sample's own.
func (b *batch) mix(x, other []float32) {
	for i, v := range x {
		x[i] = float32(b.share*v) + float32((1-b.share)*other[i])
	}
}

// beta returns a draw from Beta(a, a), by Jöhnk's method ("Erzeugung von betaverteilten
// und gammaverteilten Zufallszahlen", 1964).
func (r *rng) beta(a float32) float32 {
	uniform := func() float64 { return float64(r.uint64()>>11|1) / (1 << 53) }
	power := 1 / float64(a)
	for {
		x, y := kernels.Pow(uniform(), power), kernels.Pow(uniform(), power)
		if s := x + y; s > 0 && s <= 1 {
			return float32(x / s)
		}
	}
}

// dropout zeroes what a head reads, each element with the same chance, and makes the
// others larger by as much (Srivastava et al., "Dropout: A Simple Way to Prevent Neural
// Networks from Overfitting", 2014). An element's fate is a hash of the step's key, the
// sample's place in the batch and its own place: blocks and panels do not show.
type dropout struct {
	key   uint64
	below uint64 // of 1<<32: what is dropped
	scale float32
}

func newDropout(p float32, key uint64) dropout {
	return dropout{key: key, below: uint64(float64(p) * (1 << 32)), scale: 1 / (1 - p)}
}

// apply changes the elements from on of sample k.
func (d *dropout) apply(x []float32, k, from int) {
	if d.below == 0 {
		return
	}
	for i := range x {
		// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014) over a counter.
		z := d.key + (uint64(k)<<32|uint64(from+i))*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		if hi, _ := bits.Mul64(z, 1<<32); hi < d.below {
			x[i] = 0
		} else {
			x[i] = float32(x[i] * d.scale)
		}
	}
}

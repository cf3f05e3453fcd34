package main

import (
	"math/rand/v2"
)

// jitter adds noise to the values of a row.
func jitter(deviation float64) func(r *rand.Rand, x []float32) {
	return func(r *rand.Rand, x []float32) {
		for i := range x {
			x[i] += float32(deviation * r.NormFloat64())
		}
	}
}

// shift moves a picture of 28x28 by up to two pixels and mirrors half of them.
func shift(r *rand.Rand, x []float32) {
	const side = 28
	dy, dx, mirror := r.IntN(5)-2, r.IntN(5)-2, r.IntN(2) == 1
	old := append([]float32(nil), x...)
	for y := range side {
		for k := range side {
			sy, sx := y-dy, k-dx
			if mirror {
				sx = side - 1 - sx
			}
			x[y*side+k] = 0
			if sy >= 0 && sy < side && sx >= 0 && sx < side {
				x[y*side+k] = old[sy*side+sx]
			}
		}
	}
}

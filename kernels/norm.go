package kernels

import (
	"math"
	"unsafe"
)

// A Norm divides rows of N elements by their spread, with the kernels of a level.
// The sums are in 16 lanes (see [Sum16]), that of squares a chain of fused
// multiply-adds in each.
type Norm struct {
	N     int
	Eps   float32
	Level Level
}

// Scratch is the number of floats that a thread needs.
func (p *Norm) Scratch() int { return 2 * p.N }

// Layer normalizes the rows [from, to):
//
//	y = (x - mean) / sqrt(variance + eps) * scale + bias
//
// where the last product and sum are one fused multiply-add. bias may be nil.
func (p *Norm) Layer(dst, src, scale, bias, scratch []float32, from, to int) {
	ones := p.ones(scratch)
	for row := from; row < to; row++ {
		x, y := src[row*p.N:][:p.N], dst[row*p.N:][:p.N]
		mean := sum16(p.Level, x) / float32(p.N)
		for i, v := range x {
			y[i] = v - mean
		}
		p.normalize(y, y, scale, bias, scratch[:p.N], ones)
	}
}

// RMS divides the rows [from, to) by the square root of their mean square:
//
//	y = x / sqrt(mean(x*x) + eps) * scale
func (p *Norm) RMS(dst, src, scale, scratch []float32, from, to int) {
	for row := from; row < to; row++ {
		p.normalize(dst[row*p.N:][:p.N], src[row*p.N:][:p.N], scale, nil, scratch[:p.N], nil)
	}
}

// ones returns N of them, behind the first part of scratch.
func (p *Norm) ones(scratch []float32) []float32 {
	s := scratch[p.N:][:p.N]
	for i := range s {
		s[i] = 1
	}
	return s
}

// normalize is the part that both share; y may be x.
func (p *Norm) normalize(y, x, scale, bias, t, ones []float32) {
	d := float32(math.Sqrt(float64(squares16(p.Level, x)/float32(p.N) + p.Eps)))
	divideBy(p.Level, t, x, d)
	if bias == nil {
		inChunks(p.N, 16*chunk, func(from, to int) int {
			arith(p.Level, Mul, y[from:to], t[from:to], scale[from:to], -inf32, inf32)
			return to - from
		})
		return
	}
	copy(y, bias)
	// A cell of an LSTM, c = fma(i, z, f*c), with f = 1.
	done := inChunks(p.N, 16*chunk, func(from, to int) int {
		return cellFront(p.Level, y[from:to], t[from:to], scale[from:to], ones[from:to], -inf32, inf32)
	})
	for i := done; i < p.N; i++ {
		y[i] = FMA32(t[i], scale[i], y[i])
	}
}

// squares16 is the sum of squares in the lanes of [Sum16], each a chain of fused
// multiply-adds.
func squares16(l Level, x []float32) float32 {
	var s [64]float32 // pair may use so many
	if n := len(x) &^ 15; n > 0 {
		pair(l, &pairArgs{A: pointer(x), B: pointer(x), ACol: 64, BCol: 64, Cols: uintptr(n / 16), Rows: 1, N: 16, S: unsafe.Pointer(&s)})
	}
	for i, v := range x[len(x)&^15:] {
		s[i] = FMA32(v, v, s[i])
	}
	for h := 8; h > 0; h >>= 1 {
		for i := range h {
			s[i] += s[i+h]
		}
	}
	return s[0]
}

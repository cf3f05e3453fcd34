package quant

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// halfBins is the number of a histogram's bins on each side of zero. Between
// half and all of them are in use on the longer side, which makes at least four
// bins for each of the 255 steps of int8.
const halfBins = 2048

// A Histogram counts values in bins of one width, a power of two, that meet at
// zero. When a value falls outside, the width is doubled and pairs of bins are
// merged, so the counts depend on the values alone, not on their order.
type Histogram struct {
	Width float64  // of a bin; 0 while nothing but zeros was added
	Count []uint64 // of [(i-halfBins)*Width, (i+1-halfBins)*Width); nil while Width is 0
	Zeros uint64   // exact zeros, which are in no bin
	Total uint64   // of all values
	exp   int      // Width = 2^exp
}

// add counts the values of every nth of the rows of x, each of size row. most
// is the greatest magnitude in x.
func (h *Histogram) add(x []float32, row, every int, most float32) {
	if most != 0 {
		h.reach(most)
	}
	if h.Count == nil {
		n := uint64((len(x)/row + every - 1) / every * row)
		h.Total += n
		h.Zeros += n
		return
	}
	inv := 1 / h.Width
	zeros := uint64(0)
	for at := 0; at < len(x); at += row * every {
		part := x[at : at+row]
		for _, v := range part {
			// Zeros are counted without a branch, which would be mispredicted
			// behind a Relu.
			h.Count[int(math.Floor(float64(v)*inv))+halfBins]++
			zeros += (uint64(math.Float32bits(v)<<1) - 1) >> 63
		}
		h.Total += uint64(len(part))
	}
	h.Count[halfBins] -= zeros
	h.Zeros += zeros
}

// reach widens the bins until values of that magnitude fall into them.
func (h *Histogram) reach(most float32) {
	// most = f·2^e with f in [0.5, 1): at width 2^e/halfBins it is in range.
	_, e := math.Frexp(float64(most))
	e -= 11
	if h.Count == nil {
		h.Count = make([]uint64, 2*halfBins)
		h.exp = e
		h.Width = math.Ldexp(1, e)
		return
	}
	if e <= h.exp {
		return
	}
	merged := make([]uint64, 2*halfBins)
	for i, n := range h.Count {
		k := (i-halfBins)>>min(e-h.exp, 62) + halfBins
		merged[k] += n
	}
	h.Count, h.exp, h.Width = merged, e, math.Ldexp(1, e)
}

// A bin of a histogram that is not empty.
type bin struct{ center, n float64 }

// bins lists the bins that are not empty, in ascending order.
func (h *Histogram) bins() []bin {
	var b []bin
	for i, n := range h.Count {
		if n > 0 {
			b = append(b, bin{(float64(i-halfBins) + 0.5) * h.Width, float64(n)})
		}
	}
	return b
}

// power is the mean of the squares.
func (h *Histogram) power() float64 {
	sum := 0.0
	for _, b := range h.bins() {
		sum += float64(b.n * float64(b.center*b.center))
	}
	return sum / float64(max(h.Total, 1))
}

// noise is the mean squared error that quantizing the values by q causes.
// Exact zeros have none.
func (h *Histogram) noise(q *format.Quant, w width) float64 {
	return noise(h.bins(), q, w) / float64(max(h.Total, 1))
}

// noise is the summed squared error of the bins' centers.
func noise(bins []bin, q *format.Quant, w width) float64 {
	scale, zero := float64(q.Scale[0]), float64(q.ZeroPoint())
	inv := 1 / scale
	lo, hi := w.least-zero, w.most-zero
	sum := 0.0
	for _, b := range bins {
		code := math.RoundToEven(b.center * inv)
		d := b.center - float64(min(max(code, lo), hi)*scale)
		sum += float64(b.n * float64(d*d))
	}
	return sum
}

// clipped is the fraction of the values that lie outside the range of q.
func (h *Histogram) clipped(q *format.Quant, w width) float64 {
	scale, zero := float64(q.Scale[0]), float64(q.ZeroPoint())
	lo, hi := (w.least-0.5-zero)*scale, (w.most+0.5-zero)*scale
	sum := 0.0
	for _, b := range h.bins() {
		if b.center < lo || b.center > hi {
			sum += b.n
		}
	}
	return sum / float64(max(h.Total, 1))
}

// over recounts the values into n equal bins from lo to hi, widened to hold 0.
func (h *Histogram) over(lo, hi float32, n int) []uint64 {
	l, r := min(float64(lo), 0), max(float64(hi), 0)
	out := make([]uint64, n)
	at := func(x float64) int {
		if r == l {
			return 0
		}
		return min(max(int((x-l)/(r-l)*float64(n)), 0), n-1)
	}
	for _, b := range h.bins() {
		out[at(b.center)] += uint64(b.n)
	}
	out[at(0)] += h.Zeros
	return out
}

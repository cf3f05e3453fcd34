package kernels

import (
	"fmt"
	"math"
)

// A PoolShape is the geometry of a 2-D pooling: X[N,H,W,C], windows of KH by KW
// in steps of SH, SW, dilated by DH, DW, starting Top and Left before the
// input, to Y[N,OH,OW,C]. Positions outside of the input are never counted.
type PoolShape struct {
	N, H, W, C, KH, KW, SH, SW, DH, DW, Top, Left, OH, OW int

	Level Level // of the kernels; the zero value is portable Go
}

// Check refuses geometries that a pooling cannot have; it also guarantees that
// every window holds at least one element.
func (s *PoolShape) Check() error {
	if s.N < 0 || s.C < 0 || s.OH < 0 || s.OW < 0 || s.H <= 0 || s.W <= 0 ||
		s.KH <= 0 || s.KW <= 0 || s.SH <= 0 || s.SW <= 0 || s.DH <= 0 || s.DW <= 0 {
		return fmt.Errorf("kernels: pooling needs positive sizes, strides and dilations: %+v", *s)
	}
	if !windowsMeet(s.OH, s.KH, s.SH, s.DH, s.Top, s.H) || !windowsMeet(s.OW, s.KW, s.SW, s.DW, s.Left, s.W) {
		return fmt.Errorf("kernels: a pooling window lies wholly in the padding: %+v", *s)
	}
	return nil
}

func windowsMeet(out, k, stride, dil, pad, in int) bool {
	for _, o := range []int{0, out - 1} {
		lo, hi := window(o, k, stride, dil, pad, in)
		if out > 0 && lo >= hi {
			return false
		}
	}
	return true
}

// window returns the taps [lo, hi) of output position o that lie inside.
func window(o, k, stride, dil, pad, in int) (lo, hi int) {
	start := o*stride - pad
	if start < 0 {
		lo = (-start + dil - 1) / dil
	}
	hi = k
	if last := start + (k-1)*dil; last >= in {
		hi = 0
		if start < in {
			hi = (in - 1 - start + dil) / dil
		}
	}
	return lo, hi
}

// Rows is the number of output rows (N*OH): the unit of work of the poolings.
func (s *PoolShape) Rows() int { return s.N * s.OH }

// eachWindow calls f for the output positions of the rows [from, to) with the
// offset of their outputs and the input taps of their windows. Neighbouring
// windows that lie inside come together, at most most of them.
func (s *PoolShape) eachWindow(from, to, most int, f func(out int, t taps)) {
	inside := (s.W - 1 - (s.KW-1)*s.DW + s.Left) / s.SW // the last whole window
	for row := from; row < to; row++ {
		n, oy := row/s.OH, row%s.OH
		y0, y1 := window(oy, s.KH, s.SH, s.DH, s.Top, s.H)
		for ox := 0; ox < s.OW; {
			x0, x1 := window(ox, s.KW, s.SW, s.DW, s.Left, s.W)
			outs := 1
			if x0 == 0 && x1 == s.KW {
				outs = min(most, inside+1-ox, s.OW-ox)
			}
			top, left := oy*s.SH-s.Top+y0*s.DH, ox*s.SW-s.Left+x0*s.DW
			f((row*s.OW+ox)*s.C, taps{
				base: ((n*s.H+top)*s.W + left) * s.C,
				rows: y1 - y0, cols: x1 - x0,
				rowStep: s.DH * s.W * s.C, colStep: s.DW * s.C,
				outs: outs, dstStep: s.C, srcStep: s.SW * s.C,
			})
			ox += outs
		}
	}
}

// MaxPool computes the output rows [from, to): the greatest element of each
// window, max(a,b) = b > a ? b : a, taken in ascending (kh, kw).
func MaxPool[T Float | Integer](s *PoolShape, dst, src []T, from, to int) {
	s.eachWindow(from, to, s.OW, func(out int, t taps) { maxTaps(s.Level, dst[out:], src, s.C, t) })
}

// maxInto sets d[k] to max(d[k], x[k]).
func maxInto[T Float | Integer](d, x []T) {
	switch d := any(d).(type) {
	case []int8: // without branches
		for k, v := range any(x).([]int8)[:len(d)] {
			d[k] = max(d[k], v)
		}
		return
	case []int16:
		for k, v := range any(x).([]int16)[:len(d)] {
			d[k] = max(d[k], v)
		}
		return
	}
	x = x[:len(d)]
	for k, m := range d {
		if v := x[k]; v > m {
			m = v
		}
		d[k] = m
	}
}

// AvgPool computes the output rows [from, to) of the float average pooling: a
// chain of additions from +0 in ascending (kh, kw), divided by the number of
// elements, clamped to [lo, hi] (infinities for none).
func AvgPool[T Float](s *PoolShape, dst, src []T, lo, hi T, from, to int) {
	s.eachWindow(from, to, s.OW, func(out int, t taps) {
		avgTaps(s.Level, dst[out:], src, s.C, t, T(t.count()), lo, hi)
	})
}

// A QAvgPool is an average pooling of codes. Where input and output have the
// same parameters it is the mean of the codes, rounded half away from zero, as
// TensorFlow Lite does it: half away from the zero of the codes as the model
// stores them, so Unsigned says that int8 codes stand for a model's uint8
// (code+128). Where they differ, the sum is requantized with
// m = InScale/(OutScale*n), which is rounded to float32 for int8.
type QAvgPool struct {
	Shape    PoolShape
	In, Out  QParams
	Lo, Hi   int32 // clamp, in output codes
	Unsigned bool
}

// Check reports what is wrong with the geometry, or a window so large that
// its sum would not fit in an int32.
func (p *QAvgPool) Check() error {
	if err := p.Shape.Check(); err != nil {
		return err
	}
	if p.Shape.KH > math.MaxInt32/65536/p.Shape.KW {
		return fmt.Errorf("kernels: an average over a window of %dx%d is too large", p.Shape.KH, p.Shape.KW)
	}
	return nil
}

// windows is how many neighbouring windows are summed before they are divided.
func (p *QAvgPool) windows() int { return max(1, min(p.Shape.OW, chunk/max(p.Shape.C, 1))) }

// Scratch is the number of int32 sums that a worker needs.
func (p *QAvgPool) Scratch() int { return p.windows() * p.Shape.C }

// RunQAvgPool computes the output rows [from, to); sums has p.Scratch()
// elements.
func RunQAvgPool[T int8 | int16](p *QAvgPool, dst, src []T, sums []int32, from, to int) {
	s := &p.Shape
	var shift int32
	if p.Unsigned {
		shift = 128
	}
	s.eachWindow(from, to, p.windows(), func(out int, t taps) {
		sums := sums[:t.outs*s.C]
		sumTaps(s.Level, sums, src, s.C, t)
		d, n := dst[out:][:len(sums)], int32(t.count())
		if p.In == p.Out {
			meanSums(s.Level, d, sums, n, shift, p.Lo, p.Hi)
			return
		}
		m := float64(p.In.Scale) / (float64(p.Out.Scale) * float64(n))
		requantizeSums(s.Level, d, sums, n*p.In.Zero, m, p.Out.Zero, p.Lo, p.Hi)
	})
}

// meanSums sets dst to the means of n codes each, rounded half away from the
// zero of the codes plus shift.
func meanSums[T int8 | int16](l Level, dst []T, sums []int32, n, shift, lo, hi int32) {
	if d, ok := any(dst).([]int8); ok && n < 1<<15 { // sums below 2**23
		done := qmeanFront(l, d, sums, n, shift, lo, hi)
		dst, sums = dst[done:], sums[done:]
	}
	for k, v := range sums {
		v += n * shift
		if v >= 0 {
			v += n / 2
		} else {
			v -= n / 2
		}
		dst[k] = T(min(max(v/n-shift, lo), hi))
	}
}

// requantizeSums sets dst to the codes of sums - sub.
func requantizeSums[T int8 | int16](l Level, dst []T, sums []int32, sub int32, m float64, zero, lo, hi int32) {
	if d, ok := any(dst).([]int8); ok {
		done := requantizeFront(l, d, sums, sub, float32(m), float32(lo-zero), float32(hi-zero), zero)
		dst, sums = dst[done:], sums[done:]
	}
	for k, v := range sums {
		dst[k] = requantizeTo[T](int64(v)-int64(sub), m, zero, lo, hi)
	}
}

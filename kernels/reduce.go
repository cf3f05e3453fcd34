package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// A Reduce is the plan of a reduction over some axes of a row-major tensor.
// Its shape is merged to alternating kept and reduced dimensions. Sums follow the rule of the design: over the innermost
// axis (merged with reduced neighbours) 16 lanes, see [Sum16]; over others one
// ascending chain an output.
type Reduce struct {
	dims    []int  // merged, outermost first
	reduced []bool // alternating
	Count   int    // elements that go into one output
	Out     int    // outputs
	Level   Level  // of the kernels; the zero value is portable Go
}

// NewReduce plans the reduction of shape over the axes (negative ones count
// from the end; none at all means every axis).
func NewReduce(shape []int, axes []int) (*Reduce, error) {
	red := make([]bool, len(shape))
	for _, a := range axes {
		if a < 0 {
			a += len(shape)
		}
		if a < 0 || a >= len(shape) {
			return nil, fmt.Errorf("kernels: axis %d is outside of a tensor of rank %d", a, len(shape))
		}
		red[a] = true
	}
	r := &Reduce{Count: 1, Out: 1}
	for i, d := range shape {
		on := red[i] || len(axes) == 0
		if on {
			r.Count *= d
		} else {
			r.Out *= d
		}
		if d == 1 {
			continue
		}
		if n := len(r.dims); n > 0 && r.reduced[n-1] == on {
			r.dims[n-1] *= d
			continue
		}
		r.dims, r.reduced = append(r.dims, d), append(r.reduced, on)
	}
	if len(r.dims) == 0 {
		r.dims, r.reduced = []int{1}, []bool{false}
	}
	if r.Count == 0 {
		return nil, fmt.Errorf("kernels: a reduction over an empty axis of %v has no value", shape)
	}
	return r, nil
}

// each walks over the input in order and calls f with runs of n input
// elements at src: a run is reduced into the one output dst if all is true,
// else it goes element by element into the n outputs at dst. first says that
// nothing went into them before.
func (r *Reduce) each(f func(dst, src, n int, all, first bool)) {
	last := len(r.dims) - 1
	run, all := r.dims[last], r.reduced[last]
	rows := r.Out * r.Count / run
	outRun := run
	if all {
		outRun = 1
	}
	for row := range rows {
		o, step, first := 0, outRun, true
		for i, k := row, last-1; k >= 0; k-- {
			j := i % r.dims[k]
			i /= r.dims[k]
			if r.reduced[k] {
				first = first && j == 0
				continue
			}
			o += j * step
			step *= r.dims[k]
		}
		f(o, row*run, run, all, first)
	}
}

// columns reports whether the reduction is that of [outer][Count][n] along its
// middle, where vector kernels go down the columns.
func (r *Reduce) columns() (outer, n int, ok bool) {
	switch {
	case len(r.dims) == 2 && r.reduced[0]:
		return 1, r.dims[1], true
	case len(r.dims) == 3 && r.reduced[1]:
		return r.dims[0], r.dims[2], true
	}
	return 0, 0, false
}

// Vector reports whether vector kernels do the reduction of float32 or int8:
// down columns, and sums of floats along rows too.
func (r *Reduce) Vector(floatSum bool) bool {
	_, _, columns := r.columns()
	return columns || floatSum && r.reduced[len(r.dims)-1]
}

// Sum16 is the sum of x as every level computes it: lane l of 16 starts from
// +0 and adds x[l], x[l+16], ...; then lane l adds lane l+8, l+4, l+2, l+1.
func Sum16[T Float](x []T) T {
	var s [16]T
	return addLanes(&s, x, min(len(x), 16))
}

// addLanes goes on with the lanes of [Sum16] over x and adds them up. The lanes
// from used on are +0, and a lane that is not -0 stays when +0 is added.
func addLanes[T Float](s *[16]T, x []T, used int) T {
	for ; len(x) >= 16; x = x[16:] {
		y := (*[16]T)(x)
		for i := range s {
			s[i] += y[i]
		}
	}
	for i, v := range x {
		s[i&15] += v
	}
	for h := 8; h > 0; h >>= 1 {
		for i := h; i < used; i++ {
			s[i-h] += s[i]
		}
		used = min(used, h)
	}
	return s[0]
}

// Sum32 sets dst to the sums; lanes and chains as described at [Reduce], row sums
// of an inner reduction being added in ascending order of the outer axes.
func (r *Reduce) Sum32(dst, src []float32) { reduceSum(r, dst, src) }

// Sum64 is Sum32 for float64.
func (r *Reduce) Sum64(dst, src []float64) { reduceSum(r, dst, src) }

func reduceSum[T Float](r *Reduce, dst, src []T) {
	if outer, n, ok := r.columns(); ok {
		for o := range outer {
			avgTaps(r.Level, dst[o*n:], src, n, line(o*r.Count*n, r.Count, n), 1, T(-inf32), T(inf32))
		}
		return
	}
	r.each(func(o, i, n int, all, first bool) {
		x := src[i:][:n]
		if all {
			s := sum16(r.Level, x)
			if !first {
				s = dst[o] + s
			}
			dst[o] = s
			return
		}
		d := dst[o:][:n]
		if first {
			for k, v := range x {
				d[k] = 0 + v // the chain starts from +0: -0 becomes +0
			}
			return
		}
		for k, v := range x {
			d[k] += v
		}
	})
}

// Mean32 sets dst to the means: the sums divided by Count.
func (r *Reduce) Mean32(dst, src []float32) {
	r.Sum32(dst, src)
	divideBy(r.Level, dst[:r.Out], dst[:r.Out], float32(r.Count))
}

// ReduceMax sets dst to the greatest elements, max(a,b) = b > a ? b : a in
// ascending order.
func ReduceMax[T Float | Integer](r *Reduce, dst, src []T) {
	if outer, n, ok := r.columns(); ok {
		for o := range outer {
			maxTaps(r.Level, dst[o*n:], src, n, line(o*r.Count*n, r.Count, n))
		}
		return
	}
	r.each(func(o, i, n int, all, first bool) {
		x := src[i:][:n]
		if all {
			m := x[0]
			if !first {
				m = dst[o]
			}
			for _, v := range x {
				if v > m {
					m = v
				}
			}
			dst[o] = m
			return
		}
		d := dst[o:][:n]
		if first {
			copy(d, x)
			return
		}
		maxInto(d, x)
	})
}

// ReduceSumInt sets dst to the sums modulo the width of T.
func ReduceSumInt[T Integer](r *Reduce, dst, src []T) {
	clear(dst[:r.Out])
	r.each(func(o, i, n int, all, _ bool) {
		for k, v := range src[i:][:n] {
			if all {
				k = 0
			}
			dst[o+k] += v
		}
	})
}

// A QReduce is a sum or mean over codes: y = zy + rne(clamp((sum of (x-zx)) * m))
// with m = sx/sy for a sum and sx/(sy*Count) for a mean, in float32 for int8
// and float64 for int16.
type QReduce struct {
	r      *Reduce
	zx, zy int32
	m      float64
	lo, hi int32
}

// NewQReduce prepares the sum, or the mean, between two quantizations; the
// result is clamped to the codes [lo, hi].
func NewQReduce(r *Reduce, mean bool, x, y QParams, lo, hi int32) (*QReduce, error) {
	if r.Count > math.MaxInt32/256 {
		return nil, fmt.Errorf("kernels: a sum of %d 8-bit codes does not fit in an int32", r.Count)
	}
	m := float64(x.Scale) / float64(y.Scale)
	if mean {
		m = float64(x.Scale) / (float64(y.Scale) * float64(r.Count))
	}
	return &QReduce{r: r, zx: x.Zero, zy: y.Zero, m: m, lo: lo, hi: hi}, nil
}

// Scratch is the number of int64 sums that Run needs.
func (q *QReduce) Scratch() int { return q.r.Out }

// RunQReduce computes all outputs; sums has q.Scratch() elements.
func RunQReduce[T int8 | int16](q *QReduce, dst, src []T, sums []int64) {
	if outer, n, ok := q.r.columns(); ok && unsafe.Sizeof(*new(T)) == 1 { // the sums fit in int32
		narrow := unsafe.Slice((*int32)(pointer(sums)), n)
		for o := range outer {
			sumTaps(q.r.Level, narrow, src, n, line(o*q.r.Count*n, q.r.Count, n))
			requantizeSums(q.r.Level, dst[o*n:][:n], narrow, int32(q.r.Count)*q.zx, q.m, q.zy, q.lo, q.hi)
		}
		return
	}
	sums = sums[:q.r.Out]
	clear(sums)
	q.r.each(func(o, i, n int, all, _ bool) {
		x := src[i:][:n]
		if all {
			var s int64
			for _, v := range x {
				s += int64(v)
			}
			sums[o] += s
			return
		}
		d := sums[o:][:n]
		for k, v := range x {
			d[k] += int64(v)
		}
	})
	for i, s := range sums {
		dst[i] = requantizeTo[T](s-int64(q.r.Count)*int64(q.zx), q.m, q.zy, q.lo, q.hi)
	}
}

package kernels

import "math"

// Softmax computes the rows [from, to) of n elements each:
//
//	y[i] = e**(x[i]-max) / sum,  sum in 16 lanes (see [Sum16])
//
// dst may be src. An infinite maximum gives NaN, as the formula does.
func Softmax[T Float](dst, src []T, n, from, to int) { SoftmaxAt(Generic, dst, src, n, from, to) }

// SoftmaxAt is [Softmax] with the kernels of a level.
func SoftmaxAt[T Float](l Level, dst, src []T, n, from, to int) {
	for from < to {
		rows := expRows(l, dst[from*n:], src[from*n:], n, to-from)
		if n == 2 { // what detectors have, thousands of rows of them
			dividePairs(dst[from*n:][:rows*n])
			from += rows
			continue
		}
		for range rows {
			y := dst[from*n:][:n]
			divideBy(l, y, y, sum16(l, y))
			from++
		}
	}
}

// dividePairs divides the elements of each pair by their sum.
func dividePairs[T Float](x []T) {
	for ; len(x) >= 2; x = x[2:] {
		s := x[0] + x[1]
		x[0], x[1] = x[0]/s, x[1]/s
	}
}

// LogSoftmax computes the rows [from, to) of n elements each:
// y[i] = (x[i]-max) - log(sum of e**(x-max)). dst must not overlap src.
func LogSoftmax[T Float](dst, src []T, n, from, to int) { LogSoftmaxAt(Generic, dst, src, n, from, to) }

// LogSoftmaxAt is [LogSoftmax] with the kernels of a level.
func LogSoftmaxAt[T Float](l Level, dst, src []T, n, from, to int) {
	for from < to {
		rows := expRows(l, dst[from*n:], src[from*n:], n, to-from)
		for range rows {
			x, y := src[from*n:][:n], dst[from*n:][:n]
			m, s := maxAt(l, x), Log(sum16(l, y))
			for i, v := range x {
				y[i] = (v - m) - s
			}
			from++
		}
	}
}

// expRows sets y to e**(x-max) for some of the rows and returns how many: narrow
// ones go through the exponential together.
func expRows[T Float](l Level, y, x []T, n, rows int) int {
	if n >= 32 {
		expAt(l, y[:n], x[:n], maxAt(l, x[:n]))
		return 1
	}
	rows = min(rows, chunk/max(n, 1))
	if n == 2 {
		y := y[:2*rows]
		for i := 1; i < len(y); i += 2 {
			a, b := x[i-1], x[i]
			m := a
			if b > a {
				m = b
			}
			y[i-1], y[i] = a-m, b-m
		}
		expAt(l, y, y, 0)
		return rows
	}
	for r := range rows {
		x, y := x[r*n:][:n], y[r*n:][:n]
		m := maxOf(x)
		for i, v := range x {
			y[i] = v - m
		}
	}
	expAt(l, y[:rows*n], y[:rows*n], 0)
	return rows
}

// expAt sets y[i] = e**(x[i]-m).
func expAt[T Float](l Level, y, x []T, m T) {
	if f, ok := any(x).([]float32); ok {
		d := any(y).([]float32)
		done := inChunks(len(f), chunk, func(from, to int) int { return expFront(l, d[from:to], f[from:], float32(m)) })
		d, f = d[done:], f[done:]
		var buf [widest]float32
		if copy(buf[:], f) == len(f) && expFront(l, buf[:], buf[:], float32(m)) > 0 {
			copy(d, buf[:])
			return
		}
		y, x = y[done:], x[done:]
	}
	for i, v := range x {
		y[i] = Exp(v - m)
	}
}

// maxOf is the greatest element, b > a ? b : a in ascending order.
func maxOf[T Float | Integer](x []T) T {
	var m T
	if len(x) > 0 {
		m = x[0]
	}
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// A QSoftmax is Softmax or LogSoftmax from int8 codes to int8 or int16 ones:
// dequantized, computed and quantized in float32. As x-max depends only on the
// difference d of two codes, e**(-scale*d) comes from a table of 256.
type QSoftmax struct {
	Level Level // of the kernels; the zero value is portable Go
	n     int
	log   bool
	in    QParams
	out   QParams
	exp   [256]float32
}

// NewQSoftmax prepares the function over rows of n codes.
func NewQSoftmax(n int, log bool, in, out QParams) *QSoftmax {
	q := &QSoftmax{n: n, log: log, in: in, out: out}
	for d := range q.exp {
		q.exp[d] = Exp(-float32(float32(d) * in.Scale))
	}
	return q
}

// Scratch is the number of float32 that a worker needs.
func (q *QSoftmax) Scratch() int { return q.n }

// RunQSoftmax computes the rows [from, to); e has q.Scratch() elements.
func RunQSoftmax[O int8 | int16](q *QSoftmax, dst []O, src []int8, e []float32, from, to int) {
	lo, hi := limits[O]()
	low, high := float32(lo-q.out.Zero), float32(hi-q.out.Zero)
	e = e[:q.n]
	for r := from; r < to; r++ {
		x := src[r*q.n:][:q.n]
		m := maxCode(q.Level, x)
		for i, v := range x {
			e[i] = q.exp[uint8(int(m)-int(v))]
		}
		s := sum16(q.Level, e)
		if q.log {
			l := Log(s)
			for i, v := range x {
				e[i] = -float32(float32(int(m)-int(v))*q.in.Scale) - l
			}
		} else {
			divideBy(q.Level, e, e, s)
		}
		quantizeSmall(q.Level, dst[r*q.n:][:q.n], e, q.out.Scale, q.out.Zero, low, high)
	}
}

// A Softmax16 is Softmax or LogSoftmax over int16 codes, through float32.
type Softmax16 struct {
	Level   Level // of the kernels; the zero value is portable Go
	N       int
	Log     bool
	In, Out QParams
}

// Scratch is the number of float32 that a worker needs.
func (q *Softmax16) Scratch() int { return 2 * q.N }

// Run computes the rows [from, to); buf has q.Scratch() elements.
func (q *Softmax16) Run(dst, src []int16, buf []float32, from, to int) {
	low, high := float32(math.MinInt16-q.Out.Zero), float32(math.MaxInt16-q.Out.Zero)
	x, y := buf[:q.N], buf[q.N:][:q.N]
	for r := from; r < to; r++ {
		for i, v := range src[r*q.N:][:q.N] {
			x[i] = float32(float32(int32(v)-q.In.Zero) * q.In.Scale)
		}
		if q.Log {
			LogSoftmaxAt(q.Level, y, x, q.N, 0, 1)
		} else {
			SoftmaxAt(q.Level, y, x, q.N, 0, 1)
		}
		quantizeSmall(q.Level, dst[r*q.N:][:q.N], y, q.Out.Scale, q.Out.Zero, low, high)
	}
}

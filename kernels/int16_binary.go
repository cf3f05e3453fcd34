package kernels

import "math"

// A QBinary16 computes an element-wise function of two int16 tensors with
// per-tensor quantizations (the activations of 16x8 models). It is immutable
// and may be shared.
type QBinary16 struct {
	Level        Level // of the kernels that Run uses; the zero value is portable Go
	op           BinaryOp
	bcast        *Bcast
	a, b, y      QParams
	ra, rb, m    float64
	lo, hi, zero int32
}

// NewQBinary16 prepares op on int16 codes, clamped to [lo, hi]. All is done in
// float64, every operation rounded:
//
//	Add, Sub:  y = zy + rne(clamp((a-za)*(sa/sy) ± (b-zb)*(sb/sy)))
//	Mul:       y = zy + rne(clamp((a-za)*(b-zb) * (sa*sb/sy)))
//
// The other functions dequantize, work and quantize in float32.
func NewQBinary16(op BinaryOp, c *Bcast, a, b, y QParams, lo, hi int32) *QBinary16 {
	q := &QBinary16{op: op, bcast: c, a: a, b: b, y: y, lo: lo, hi: hi, zero: y.Zero}
	q.ra = float64(a.Scale) / float64(y.Scale)
	q.rb = float64(b.Scale) / float64(y.Scale)
	if op == Sub {
		q.rb = -q.rb
	}
	q.m = float64(a.Scale) * float64(b.Scale) / float64(y.Scale)
	return q
}

// Run computes the elements [from, to) of the result.
func (q *QBinary16) Run(dst, a, b []int16, from, to int) {
	stepA, stepB := q.bcast.inner()
	q.bcast.each(from, to, func(o, ia, ib, n int) {
		done := 0
		if stepA == 1 && stepB == 1 {
			done = inChunks(n, 16*chunk, func(i, j int) int { return binary16Front(q.Level, dst[o+i:o+j], a[ia+i:ia+j], b[ib+i:ib+j], q) })
		}
		for i := done; i < n; i++ {
			x, y := int32(a[ia+i*stepA])-q.a.Zero, int32(b[ib+i*stepB])-q.b.Zero
			dst[o+i] = q.one(x, y)
		}
	})
}

func (q *QBinary16) one(x, y int32) int16 {
	switch q.op {
	case Add, Sub:
		return int16(q.round(float64(float64(x)*q.ra) + float64(float64(y)*q.rb)))
	case Mul:
		return int16(q.round(float64(int64(x)*int64(y)) * q.m))
	}
	var fx, fy, fz [1]float32
	fx[0], fy[0] = float32(x)*q.a.Scale, float32(y)*q.b.Scale
	binaryLoop(q.op, fz[:], fx[:], fy[:])
	return int16(QuantizeOne(fz[0], q.y.Scale, q.zero, q.lo, q.hi))
}

// round is zero + rne(clamp(v)).
func (q *QBinary16) round(v float64) int32 {
	if v < float64(q.lo-q.zero) {
		return q.lo
	}
	if v > float64(q.hi-q.zero) {
		return q.hi
	}
	return q.zero + int32(math.RoundToEven(v))
}

package kernels

import (
	"fmt"
	"math"
	"slices"
)

// A Bcast is a pair of shapes broadcast together as numpy does it (dimensions
// are aligned at the end; a dimension of 1 is repeated). Neighbouring
// dimensions that both operands step through alike are merged, so that equal
// shapes become one run, and [N,H,W,C] with [C] becomes N*H*W runs of C.
type Bcast struct {
	Shape []int // of the result
	Elems int
	dims  []int // merged, outermost first, at least one
	sa    []int // element steps of the operands along dims; 0 where repeated
	sb    []int
	tile  *Bcast // where short rows of one operand go with a short row of the other: the rows as one run
	tileA bool   // that other one is a
}

// NewBcast broadcasts the shapes a and b.
func NewBcast(a, b []int) (*Bcast, error) {
	r := max(len(a), len(b))
	c := &Bcast{Shape: make([]int, r), Elems: 1}
	var sa, sb []int
	stepA, stepB := 1, 1
	for i := 1; i <= r; i++ { // innermost first
		da, db := 1, 1
		if i <= len(a) {
			da = a[len(a)-i]
		}
		if i <= len(b) {
			db = b[len(b)-i]
		}
		d := max(da, db)
		if da == 0 || db == 0 {
			d = 0
		}
		if da != d && da != 1 || db != d && db != 1 {
			return nil, fmt.Errorf("kernels: shapes %v and %v do not broadcast", a, b)
		}
		c.Shape[r-i] = d
		c.Elems *= d
		xa, xb := stepA, stepB
		if da == 1 {
			xa = 0
		}
		if db == 1 {
			xb = 0
		}
		stepA *= da
		stepB *= db
		if d == 1 {
			continue
		}
		if n := len(c.dims); n > 0 && xa == sa[n-1]*c.dims[n-1] && xb == sb[n-1]*c.dims[n-1] {
			c.dims[n-1] *= d
			continue
		}
		c.dims, sa, sb = append(c.dims, d), append(sa, xa), append(sb, xb)
	}
	if len(c.dims) == 0 {
		c.dims, sa, sb = []int{1}, []int{1}, []int{1}
	}
	slices.Reverse(c.dims)
	slices.Reverse(sa)
	slices.Reverse(sb)
	c.sa, c.sb = sa, sb
	c.tileRows()
	return c, nil
}

// tileRows sets tile: [pixels][C] with [C], say, for few channels.
func (c *Bcast) tileRows() {
	last := len(c.dims) - 1
	if last < 1 || c.dims[last] > block/2 || c.sa[last] != 1 || c.sb[last] != 1 {
		return
	}
	c.tileA = c.sa[last-1] == 0 && c.sb[last-1] == c.dims[last]
	if !c.tileA && (c.sb[last-1] != 0 || c.sa[last-1] != c.dims[last]) {
		return
	}
	c.tile = &Bcast{dims: slices.Clone(c.dims[:last]), sa: slices.Clone(c.sa[:last]), sb: slices.Clone(c.sb[:last])}
	c.tile.dims[last-1] *= c.dims[last]
	c.tile.sa[last-1], c.tile.sb[last-1] = 1, 0
	if c.tileA {
		c.tile.sa[last-1], c.tile.sb[last-1] = 0, 1
	}
}

// each cuts the elements [from, to) of the result into runs along the
// innermost merged dimension and calls f with the position of each in the
// result and in the operands. Within a run an operand steps by c.inner().
func (c *Bcast) each(from, to int, f func(o, a, b, n int)) {
	last := len(c.dims) - 1
	run := c.dims[last]
	for from < to {
		row, skip := from/run, from%run
		n := min(run-skip, to-from)
		a, b := skip*c.sa[last], skip*c.sb[last]
		for k := last - 1; k >= 0; k-- {
			i := row % c.dims[k]
			row /= c.dims[k]
			a += i * c.sa[k]
			b += i * c.sb[k]
		}
		f(from, a, b, n)
		from += n
	}
}

// inner returns the steps of the operands within a run, each 0 or 1.
func (c *Bcast) inner() (a, b int) {
	last := len(c.dims) - 1
	return c.sa[last], c.sb[last]
}

// BinaryOp names an element-wise function of two arguments.
type BinaryOp uint8

// The element-wise functions of two arguments.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div // integers: truncated, x/0 = 0
	Max // b > a ? b : a
	Min // b < a ? b : a
	PowOp
	SquaredDifference // (a-b)**2
)

// block is how many elements of a repeated operand are spread out at a time,
// so that one loop over two vectors serves all broadcasts.
const block = 128

// Binary sets dst[i] = op(a, b) for the elements [from, to) of the broadcast
// result; pieces may be computed on different threads. dst may be a (or b) if
// that operand has the shape of the result.
func Binary[T Float | Integer](op BinaryOp, c *Bcast, dst, a, b []T, from, to int) {
	stepA, stepB := c.inner()
	var bufA, bufB [block]T
	c.each(from, to, func(o, ia, ib, n int) {
		piece := spread(&bufA, a, ia, stepA, spread(&bufB, b, ib, stepB, min(n, 16*chunk)))
		for i := 0; i < n; i += piece {
			m := min(piece, n-i)
			binaryLoop(op, dst[o+i:][:m], operand(&bufA, a, ia+i, stepA, m), operand(&bufB, b, ib+i, stepB, m))
		}
	})
}

// Arith is [Binary] on float32 with the kernels of a level and the result
// clamped to [lo, hi]. Infinite bounds are no clamp.
func Arith(l Level, op BinaryOp, c *Bcast, dst, a, b []float32, lo, hi float32, from, to int) {
	if c.tile != nil {
		c.arithTiled(l, op, dst, a, b, lo, hi, from, to)
		return
	}
	stepA, stepB := c.inner()
	var bufA, bufB [block]float32
	c.each(from, to, func(o, ia, ib, n int) {
		piece := spread(&bufA, a, ia, stepA, spread(&bufB, b, ib, stepB, min(n, 16*chunk)))
		for i := 0; i < n; i += piece {
			m := min(piece, n-i)
			x, y := operand(&bufA, a, ia+i, stepA, m), operand(&bufB, b, ib+i, stepB, m)
			if op == PowOp && stepB == 0 && b[ib] == 2 { // the power that models take
				arith(l, Mul, dst[o+i:][:m], x, x, lo, hi)
				continue
			}
			arith(l, op, dst[o+i:][:m], x, y, lo, hi)
		}
	})
}

// arithTiled is Arith for short rows: the repeated one is laid out as often as it
// fits into a buffer.
func (c *Bcast) arithTiled(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32, from, to int) {
	run := c.dims[len(c.dims)-1]
	var buf [block]float32
	c.tile.each(from, to, func(o, ia, ib, n int) {
		row := b[ib:]
		if c.tileA {
			row = a[ia:]
		}
		piece := min(block/run*run, n)
		for k, at := 0, o%run; k < piece; k, at = k+1, at+1 {
			if at == run {
				at = 0
			}
			buf[k] = row[at]
		}
		for i := 0; i < n; i += piece {
			m := min(piece, n-i)
			if c.tileA {
				arith(l, op, dst[o+i:][:m], buf[:m], b[ib+i:][:m], lo, hi)
			} else {
				arith(l, op, dst[o+i:][:m], a[ia+i:][:m], buf[:m], lo, hi)
			}
		}
	})
}

// spread fills buf with element i of x if x is repeated (step 0), and returns
// how many elements of n a loop may then do at a time.
func spread[T any](buf *[block]T, x []T, i, step, n int) int {
	if step == 1 {
		return n
	}
	n = min(n, block)
	for k := range buf[:n] {
		buf[k] = x[i]
	}
	return n
}

// operand is n elements of x from i on, or of what spread made of it.
func operand[T any](buf *[block]T, x []T, i, step, n int) []T {
	if step == 1 {
		return x[i:][:n]
	}
	return buf[:n]
}

// arith sets dst[i] = clamp(op(a[i], b[i]), lo, hi).
func arith(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32) {
	n := arithFront(l, op, dst, a, b, lo, hi)
	dst = dst[n:]
	binaryLoop(op, dst, a[n:], b[n:])
	for i, x := range dst {
		dst[i] = clampFloat(x, lo, hi)
	}
}

func binaryLoop[T Float | Integer](op BinaryOp, dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case Add:
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	case Sub:
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	case Mul:
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	case Div:
		for i := range dst {
			dst[i] = divide(a[i], b[i])
		}
	case Max:
		for i, x := range a {
			if y := b[i]; y > x {
				x = y
			}
			dst[i] = x
		}
	case Min:
		for i, x := range a {
			if y := b[i]; y < x {
				x = y
			}
			dst[i] = x
		}
	case PowOp:
		for i := range dst {
			dst[i] = power(a[i], b[i])
		}
	case SquaredDifference:
		for i := range dst {
			d := a[i] - b[i]
			dst[i] = d * d
		}
	}
}

func isFloat[T Float | Integer]() bool {
	switch any(T(0)).(type) {
	case float32, float64:
		return true
	}
	return false
}

func divide[T Float | Integer](x, y T) T {
	if y == 0 && !isFloat[T]() {
		return 0
	}
	return x / y
}

// power is Pow for floats. For integers it is the product modulo the width of
// the type; a negative exponent truncates the real result to an integer.
func power[T Float | Integer](x, y T) T {
	switch v := any(x).(type) {
	case float32:
		return T(Pow(v, float32(y)))
	case float64:
		return T(Pow(v, float64(y)))
	}
	if y < 0 {
		switch {
		case x == 1:
			return 1
		case x+1 == 0: // -1
			if y/2*2 == y {
				return 1
			}
			return x
		}
		return 0
	}
	r := T(1)
	for n := uint64(y); n > 0; n >>= 1 {
		if n&1 == 1 {
			r *= x
		}
		x *= x
	}
	return r
}

// A QBinary computes an element-wise function of two int8 tensors with
// per-tensor quantizations. It is immutable and may be shared.
type QBinary struct {
	Level  Level // of the kernels that Run uses; the zero value is portable Go
	op     BinaryOp
	bcast  *Bcast
	ta, tb [256]float64 // by code of each operand, see NewQBinary
	m      float32
	ra, rb float32
	za, zb int32
	zero   int32
	lo, hi float32 // clamp relative to zero
	sa, sb float32
	sy     float32
	wide   bool // sums may reach 2**20 codes
}

// QParams is the per-tensor quantization of one tensor.
type QParams struct {
	Scale float32
	Zero  int32
}

// NewQBinary prepares op on int8 codes: operands a and b, result y clamped to
// the codes [lo, hi]. With ra = sa/sy and rb = sb/sy rounded to float32,
//
//	Add, Sub:  y = zy + rne(clamp(fma(±(b-zb), rb, (a-za)*ra)))
//	Mul:       y = zy + rne(clamp(float32((a-za)*(b-zb)) * m)),  m = sa*sb/sy
//	others:    y = quantize(op(sa*(a-za), sb*(b-zb)))
//
// where every operation rounds to float32, the fma once.
func NewQBinary(op BinaryOp, c *Bcast, a, b, y QParams, lo, hi int32) *QBinary {
	q := &QBinary{op: op, bcast: c, za: a.Zero, zb: b.Zero, zero: y.Zero, sa: a.Scale, sb: b.Scale, sy: y.Scale,
		lo: float32(lo - y.Zero), hi: float32(hi - y.Zero)}
	q.m = float32(float64(a.Scale) * float64(b.Scale) / float64(y.Scale))
	switch op {
	case Add, Sub:
		ra, rb := a.Scale/y.Scale, b.Scale/y.Scale
		if op == Sub {
			rb = -rb
		}
		q.ra, q.rb = ra, rb
		q.wide = 256*(float64(ra)+math.Abs(float64(rb))) >= 1<<20
		for i := range q.ta {
			x := int32(int8(i))
			q.ta[i] = float64(float32(x-a.Zero) * ra)
			q.tb[i] = float64(x-b.Zero) * float64(rb) // exact: 9 by 24 bits
		}
	default:
		for i := range q.ta {
			x := int32(int8(i))
			q.ta[i] = float64(float32(x-a.Zero) * a.Scale)
			q.tb[i] = float64(float32(x-b.Zero) * b.Scale)
		}
	}
	return q
}

// Run computes the elements [from, to) of the result.
func (q *QBinary) Run(dst, a, b []int8, from, to int) {
	stepA, stepB := q.bcast.inner()
	var bufA, bufB [block]int8
	q.bcast.each(from, to, func(o, ia, ib, n int) {
		piece := spread(&bufA, a, ia, stepA, spread(&bufB, b, ib, stepB, min(n, 16*chunk)))
		for i := 0; i < n; i += piece {
			m := min(piece, n-i)
			q.run(dst[o+i:][:m], operand(&bufA, a, ia+i, stepA, m), operand(&bufB, b, ib+i, stepB, m))
		}
	})
}

func (q *QBinary) run(dst, a, b []int8) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch q.op {
	case Add, Sub:
		n := qaddFront(q.Level, dst, a, b, q)
		dst, a, b = dst[n:], a[n:], b[n:]
		ta, tb := &q.ta, &q.tb
		zero, least, most := q.zero, q.zero+int32(q.lo), q.zero+int32(q.hi)
		wide := q.wide
		for i := range dst {
			p, z := tb[uint8(b[i])], ta[uint8(a[i])]
			// The fma with the product at hand: rounding the float64 sum is
			// right unless it lies exactly between two float32 (a subnormal
			// sum rounds to 0 in the end anyway).
			s := p + z
			x := float32(s)
			if math.Float64bits(s)&(1<<29-1) == 1<<28 {
				x = FMA32(float32(int32(b[i])-q.zb), q.rb, float32(z))
			}
			if wide { // beyond what roundEven takes
				x = clampFloat(x, q.lo, q.hi)
			}
			// The same clamp on integers, which needs no branch.
			dst[i] = int8(min(max(zero+roundEven(x), least), most))
		}
	case Mul:
		n := qmulFront(q.Level, dst, a, b, q)
		dst, a, b = dst[n:], a[n:], b[n:]
		for i := range dst {
			dst[i] = requantize((int32(a[i])-q.za)*(int32(b[i])-q.zb), q.m, q.lo, q.hi, q.zero)
		}
	default:
		for len(dst) > 0 {
			n := min(block, len(dst))
			q.real(dst[:n], a[:n], b[:n])
			dst, a, b = dst[n:], a[n:], b[n:]
		}
	}
}

// real goes through real numbers, at most a block of them.
func (q *QBinary) real(dst, a, b []int8) {
	var bufX, bufY [block]float32
	x, y := bufX[:len(dst)], bufY[:len(dst)]
	for i := dequantizeFront(q.Level, x, a, q.sa, q.za); i < len(dst); i++ {
		x[i] = float32(q.ta[uint8(a[i])])
	}
	for i := dequantizeFront(q.Level, y, b, q.sb, q.zb); i < len(dst); i++ {
		y[i] = float32(q.tb[uint8(b[i])])
	}
	arith(q.Level, q.op, x, x, y, -inf32, inf32)
	quantizeSmall(q.Level, dst, x, q.sy, q.zero, q.lo, q.hi)
}

package kernels

import "math"

// CompareOp names a comparison.
type CompareOp uint8

// The comparisons. NaN is neither equal to, less than nor greater than anything.
const (
	Equal CompareOp = iota
	Less
	LessOrEqual
)

// Compare sets dst[i] to 1 where a and b compare so, else to 0, for the elements
// [from, to) of the broadcast result.
func Compare[T Float | Integer](op CompareOp, c *Bcast, dst []uint8, a, b []T, from, to int) {
	stepA, stepB := c.inner()
	c.each(from, to, func(o, ia, ib, n int) {
		for i := range dst[o:][:n] {
			x, y := a[ia+i*stepA], b[ib+i*stepB]
			yes := false
			switch op {
			case Equal:
				yes = x == y
			case Less:
				yes = x < y
			default:
				yes = x <= y
			}
			dst[o+i] = truth(yes)
		}
	})
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// LogicOp names a function of two bools.
type LogicOp uint8

// The functions of two bools.
const (
	And LogicOp = iota
	Or
	Xor
)

// Logic sets dst to op(a, b) on bools 0 and 1, for the elements [from, to) of the
// broadcast result.
func Logic(op LogicOp, c *Bcast, dst, a, b []uint8, from, to int) {
	stepA, stepB := c.inner()
	c.each(from, to, func(o, ia, ib, n int) {
		for i := range dst[o:][:n] {
			x, y := a[ia+i*stepA], b[ib+i*stepB]
			switch op {
			case And:
				x &= y
			case Or:
				x |= y
			default:
				x ^= y
			}
			dst[o+i] = x
		}
	})
}

// Not sets dst[i] = 1 - src[i] on bools 0 and 1.
func Not(dst, src []uint8) {
	for i, v := range src {
		dst[i] = v ^ 1
	}
}

// Sign sets dst[i] to -1, 0 or 1; NaN stays.
func Sign[T Float | Integer](dst, src []T) {
	for i, v := range src {
		switch {
		case v > 0:
			v = 1
		case v < 0:
			v = 0
			v--
		case v == 0:
			v = 0
		}
		dst[i] = v
	}
}

// Mod sets dst to the remainder of a / b for the elements [from, to) of the
// broadcast result: with the sign of a if truncated is set, else with that of b.
// Integers modulo 0 are 0.
func Mod[T Float | Integer](truncated bool, c *Bcast, dst, a, b []T, from, to int) {
	stepA, stepB := c.inner()
	float := isFloat[T]()
	c.each(from, to, func(o, ia, ib, n int) {
		for i := range dst[o:][:n] {
			x, y := a[ia+i*stepA], b[ib+i*stepB]
			var r T
			switch {
			case float:
				r = T(math.Mod(float64(x), float64(y)))
			case y != 0:
				r = x - x/y*y
			}
			if !truncated && r != 0 && (r < 0) != (y < 0) {
				r += y
			}
			dst[o+i] = r
		}
	})
}

// Where is a choice between two tensors, all three shapes broadcast.
type Where struct {
	dims  []int // of the result
	steps [3][]int
	rows  int
}

// NewWhere broadcasts the shapes of the condition and of both operands.
func NewWhere(cond, a, b []int) (*Where, error) {
	c, err := NewBcast(a, b)
	if err != nil {
		return nil, err
	}
	if c, err = NewBcast(cond, c.Shape); err != nil {
		return nil, err
	}
	w := &Where{dims: c.Shape, rows: 1}
	if len(w.dims) == 0 {
		w.dims = []int{1}
	}
	for i, s := range [][]int{cond, a, b} {
		w.steps[i] = bcastSteps(s, len(w.dims))
	}
	for _, d := range w.dims[:len(w.dims)-1] {
		w.rows *= d
	}
	return w, nil
}

// bcastSteps returns the element steps of a shape in a result of that rank: 0
// along what is repeated.
func bcastSteps(shape []int, rank int) []int {
	steps := make([]int, rank)
	n := 1
	for i := 1; i <= len(shape); i++ {
		if d := shape[len(shape)-i]; d != 1 {
			steps[rank-i] = n
			n *= d
		}
	}
	return steps
}

// Run sets dst to a where cond is not 0, else to b. Elements have size bytes.
func (w *Where) Run(dst, cond, a, b []byte, size int) {
	last := len(w.dims) - 1
	n := w.dims[last]
	for row := range w.rows {
		var at [3]int
		for i, k := row, last-1; k >= 0; k-- {
			j := i % w.dims[k]
			i /= w.dims[k]
			for s := range at {
				at[s] += j * w.steps[s][k]
			}
		}
		if size == 4 {
			pick4(view[uint32](dst, 4*row*n, n), cond[at[0]:], view[uint32](a, 4*at[1], len(a)/4-at[1]), view[uint32](b, 4*at[2], len(b)/4-at[2]),
				w.steps[0][last], w.steps[1][last], w.steps[2][last])
			continue
		}
		for i := range n {
			src, p := b, at[2]+i*w.steps[2][last]
			if cond[at[0]+i*w.steps[0][last]] != 0 {
				src, p = a, at[1]+i*w.steps[1][last]
			}
			copy(dst[(row*n+i)*size:][:size], src[p*size:])
		}
	}
}

// pick4 is a row of Where for elements of 4 bytes, with the steps of the operands.
func pick4(dst []uint32, cond []byte, a, b []uint32, sc, sa, sb int) {
	for i := range dst {
		v := b[i*sb]
		if cond[i*sc] != 0 {
			v = a[i*sa]
		}
		dst[i] = v
	}
}

// NewExpand is the repetition of a tensor along dimensions of size 1, or before
// its first, as a [Copy].
func NewExpand(shape, to []int) (*Copy, error) {
	c, err := NewBcast(shape, to)
	if err != nil {
		return nil, err
	}
	return newCopy(c.Shape, steps(c.Shape), bcastSteps(shape, len(c.Shape)), 0, 0), nil
}

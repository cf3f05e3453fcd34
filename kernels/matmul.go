package kernels

import "fmt"

// A MatMul is the plan of batched matrix products A[..., M, K] · B[..., K, N] of
// two computed operands, whose leading dimensions broadcast as numpy's do.
type MatMul struct {
	M, K, N int
	batch   *Bcast
	a, b    []int // offsets of the operands of every product
}

// NewMatMul plans the products of two shapes.
func NewMatMul(a, b []int) (*MatMul, error) {
	ra, rb := len(a)-2, len(b)-2
	if ra < 0 || rb < 0 || a[ra+1] != b[rb] {
		return nil, fmt.Errorf("kernels: shapes %v and %v have no product", a, b)
	}
	c, err := NewBcast(a[:ra], b[:rb])
	if err != nil {
		return nil, err
	}
	m := &MatMul{M: a[ra], K: a[ra+1], N: b[rb+1], batch: c}
	c.each(0, c.Elems, func(_, ia, ib, n int) {
		sa, sb := c.inner()
		for i := range n {
			m.a = append(m.a, (ia+i*sa)*m.M*m.K)
			m.b = append(m.b, (ib+i*sb)*m.K*m.N)
		}
	})
	return m, nil
}

// Rows is the unit of work: rows of all results.
func (m *MatMul) Rows() int { return m.batch.Elems * m.M }

// MACs returns the multiply-accumulates of one run.
func (m *MatMul) MACs() int { return m.Rows() * m.K * m.N }

// MatMulRows computes the rows [from, to) of the results. An output is one chain
// of fused multiply-adds from +0 in ascending k; integers wrap.
func MatMulRows[T Float | Integer](m *MatMul, dst, a, b []T, from, to int) {
	for row := from; row < to; row++ {
		p := row / m.M
		x := a[m.a[p]+row%m.M*m.K:][:m.K]
		y := dst[row*m.N:][:m.N]
		clear(y)
		for k, v := range x {
			axpy(y, v, b[m.b[p]+k*m.N:])
		}
	}
}

// axpy adds v*x to y.
func axpy[T Float | Integer](y []T, v T, x []T) {
	switch y := any(y).(type) {
	case []float32:
		w, x := any(v).(float32), any(x).([]float32)[:len(y)]
		for i := range y {
			y[i] = FMA32(w, x[i], y[i])
		}
	case []float64:
		w, x := any(v).(float64), any(x).([]float64)[:len(y)]
		for i := range y {
			y[i] = FMA(w, x[i], y[i])
		}
	default:
		axpyInt(y.([]T), v, x)
	}
}

func axpyInt[T Float | Integer](y []T, v T, x []T) {
	x = x[:len(y)]
	for i := range y {
		y[i] += v * x[i]
	}
}

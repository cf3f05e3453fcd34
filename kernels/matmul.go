package kernels

import (
	"fmt"
	"unsafe"
)

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
// of fused multiply-adds from +0 in ascending k, to which +0 is added; integers wrap.
func MatMulRows[T Float | Integer](m *MatMul, dst, a, b []T, from, to int) {
	for row := from; row < to; row++ {
		p := row / m.M
		x := a[m.a[p]+row%m.M*m.K:][:m.K]
		y := dst[row*m.N:][:m.N]
		clear(y)
		for k, v := range x {
			axpy(y, v, b[m.b[p]+k*m.N:])
		}
		for i := range y {
			y[i] += 0 // the absent bias, which turns -0 into +0
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

// A FloatMatMul is a [MatMul] of float32 on the matrix kernels of a level. A task
// lays out a panel of columns of one B and multiplies some rows of its A by it.
type FloatMatMul struct {
	*MatMul
	level      Level
	tile       gemmShape
	panels     int     // of a B
	rows, tall int     // rows of A in a task; tasks of a panel
	off        []int32 // of the rows of a tile, then of the last one, which may be smaller
}

// taskRows is how many rows of A share a panel: enough that laying it out costs little.
const taskRows = 192

// NewFloatMatMul plans the products of two shapes at level l.
func NewFloatMatMul(l Level, a, b []int) (*FloatMatMul, error) {
	m, err := NewMatMul(a, b)
	if err != nil {
		return nil, err
	}
	f := &FloatMatMul{MatMul: m, level: l, tile: fgemmShape(l)}
	mr := f.tile.mr
	f.panels = ceilDiv(m.N, f.tile.nr)
	f.rows = taskRows / mr * mr
	f.tall = ceilDiv(m.M, f.rows)
	for _, rows := range []int{mr, (m.M-1)%mr + 1} {
		for r := range mr {
			f.off = append(f.off, int32(4*m.K*min(r, rows-1)))
		}
	}
	return f, nil
}

// Tasks is the number of tasks of a run.
func (f *FloatMatMul) Tasks() int { return f.batch.Elems * f.panels * f.tall }

// Scratch is the number of bytes that a thread needs.
func (f *FloatMatMul) Scratch() int { return 4 * f.tile.nr * (1 + f.K) }

// Run computes the tasks [from, to) as [MatMulRows] does.
func (f *FloatMatMul) Run(dst, a, b []float32, scratch []byte, from, to int) {
	nr, packed := f.tile.nr, -1
	w := view[float32](scratch, 0, nr*(1+f.K))
	for t := from; t < to; t++ {
		panel := t / f.tall
		p, n := panel/f.panels, panel%f.panels*nr
		cols := min(nr, f.N-n)
		if panel != packed {
			packed = panel
			clear(w[:nr])
			for k := range f.K {
				row := w[nr*(1+k):][:nr]
				clear(row[copy(row, b[f.b[p]+k*f.N+n:][:cols]):])
			}
		}
		for r := t % f.tall * f.rows; r < min(t%f.tall*f.rows+f.rows, f.M); r += f.tile.mr {
			off, rows := f.off, min(f.tile.mr, f.M-r)
			if rows < f.tile.mr {
				off = off[f.tile.mr:]
			}
			gemm(f.level, &gemmArgs{A: pointer(a[f.a[p]+r*f.K:]), Off: &off[0], Taps: 1, KC: uintptr(f.K), W: unsafe.Pointer(&w[0]),
				C: pointer(dst[(p*f.M+r)*f.N+n:]), LDC: uintptr(4 * f.N), Rows: uintptr(rows), Cols: uintptr(cols), Lo: -inf32, Hi: inf32})
		}
	}
}

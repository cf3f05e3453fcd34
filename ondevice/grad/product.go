package grad

import (
	"fmt"

	"github.com/whet-edge/whet/kernels"
)

// A Product is what the costly rules compute with: [Portable], or the kernels of a
// level, to the same bits. It is not for concurrent use.
type Product[T Float] interface {
	// Multiply computes dst[m,n] = a[m,k] b[n,k]ᵀ, each element one chain of fused
	// multiply-adds over k, from +0 and ascending.
	Multiply(dst, a, b []T, m, n, k int)

	// denseGrad adds dyᵀ x of n samples to dw [out, in], one chain over the samples.
	denseGrad(dw, x, dy []T, n, in, out int)

	add(dst, src []T) // dst += src
	level() kernels.Level
	sumRows(dst, src []T, rows, n int) // dst[j] += Σ over the rows, ascending from +0, of src[r,j]
	within(dy, y []T, lo, hi T)        // dy = 0 where y is not between lo and hi
}

// Portable is the [Product] that defines the bits of all.
type Portable[T Float] struct{}

// Multiply implements [Product].
func (Portable[T]) Multiply(dst, a, b []T, m, n, k int) { Dense(dst, a, b, nil, m, k, n) }

func (Portable[T]) denseGrad(dw, x, dy []T, n, in, out int) {
	s := kernels.GemmShape(n, out, in)
	kernels.ConvWeightGrad(&s, dw, x, dy)
}

func (Portable[T]) level() kernels.Level { return kernels.Generic }

func (Portable[T]) add(dst, src []T) { addTo(dst, src) }

func (Portable[T]) sumRows(dst, src []T, rows, n int) { addPositions(dst, src, rows, n) }

func (Portable[T]) within(dy, y []T, lo, hi T) {
	for i, v := range y {
		if !(v > lo && v < hi) {
			dy[i] = 0
		}
	}
}

// OnLevel returns the product on the matrix kernels of a level.
func OnLevel(level kernels.Level) Product[float32] { return &leveled{l: level} }

type leveled struct {
	l       kernels.Level
	scratch []byte
	turned  []float32
}

// room returns scratch of n bytes.
func (l *leveled) room(n int) []byte {
	if len(l.scratch) < n {
		l.scratch = make([]byte, n)
	}
	return l.scratch
}

// run does all tasks of a kernel.
func (l *leveled) run(scratch, tasks int, kernel func(dst, src []float32, scratch []byte, t0, t1 int), dst, src []float32) {
	kernel(dst, src, l.room(scratch), 0, tasks)
}

func (l *leveled) pack(b []float32, m, n, k int) *kernels.Conv {
	lo, hi := unbounded[float32]()
	c, err := kernels.NewConv(l.l, &kernels.ConvParams{Shape: kernels.GemmShape(m, n, k), Weights: b[:n*k], Lo: lo, Hi: hi})
	if err != nil {
		panic(fmt.Sprintf("grad: product of %d x %d x %d: %v", m, n, k, err)) // the tape has checked the sizes
	}
	return c
}

// Multiply implements [Product]. It packs the smaller operand: the two may change
// places, which turns the result.
func (l *leveled) Multiply(dst, a, b []float32, m, n, k int) {
	if m >= n {
		c := l.pack(b, m, n, k)
		l.run(c.Scratch(), c.Tasks(), c.Run, dst, a)
		return
	}
	c := l.pack(a, n, m, k)
	if len(l.turned) < n*m {
		l.turned = make([]float32, n*m)
	}
	l.run(c.Scratch(), c.Tasks(), c.Run, l.turned, b)
	transposed(dst, l.turned[:n*m], n, m)
}

func (l *leveled) weightGrad(g *kernels.WeightGrad, dw, x, dy []float32) {
	g.Run(dw, x, dy, l.room(g.Scratch()), 0, g.Tasks())
}

func (l *leveled) denseGrad(dw, x, dy []float32, n, in, out int) {
	g, err := kernels.NewWeightGrad(l.l, kernels.GemmShape(n, out, in))
	if err != nil {
		panic(fmt.Sprintf("grad: dense layer of %d x %d x %d: %v", n, in, out, err)) // the tape has checked the sizes
	}
	l.weightGrad(g, dw, x, dy)
}

func (l *leveled) level() kernels.Level { return l.l }

func (l *leveled) add(dst, src []float32) { kernels.AddTo(l.l, dst, src) }

func (l *leveled) sumRows(dst, src []float32, rows, n int) {
	kernels.SumRows(l.l, dst, src, rows, n)
}

func (l *leveled) within(dy, y []float32, lo, hi float32) { kernels.MaskRange(l.l, dy, y, lo, hi) }

// buffer returns memory that a rule keeps.
func (b *bound[T]) buffer(n int) []T {
	b.tape.extra += int64(n)
	return make([]T, n)
}

// transposed writes the transpose of x [rows, cols].
func transposed[T Float](dst, x []T, rows, cols int) {
	for r := range rows {
		for c, v := range x[r*cols:][:cols] {
			dst[c*rows+r] = v
		}
	}
}

// addTo adds x to sum, element by element.
func addTo[T Float](sum, x []T) {
	for i, v := range x {
		sum[i] += v
	}
}

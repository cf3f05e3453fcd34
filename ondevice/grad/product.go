package grad

import (
	"fmt"

	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

// A Product is what the costly rules compute with: [Portable], or the kernels of a
// level, to the same bits. It is not for concurrent use.
type Product[T Float] interface {
	// Multiply computes dst[m,n] = a[m,k] b[n,k]ᵀ, each element one chain of fused
	// multiply-adds over k, from +0 and ascending.
	Multiply(dst, a, b []T, m, n, k int)

	// denseGrad adds dyᵀ x of n samples to dw [out, in], one chain over the samples.
	denseGrad(dw, x, dy []T, n, in, out int)

	// weightsGrad returns [kernels.ConvWeightGrad] of a shape.
	weightsGrad(s kernels.ConvShape) func(dw, x, dy []T)

	begin() // of many products: threads are taken until end
	end()
	add(dst, src []T) // dst += src
	level() kernels.Level
	sumRows(dst, src []T, rows, n int) // dst[j] += Σ over the rows, ascending from +0, of src[r,j]
}

// Portable is the [Product] that defines the bits of all.
type Portable[T Float] struct{}

// Multiply implements [Product].
func (Portable[T]) Multiply(dst, a, b []T, m, n, k int) { Dense(dst, a, b, nil, m, k, n) }

func (p Portable[T]) denseGrad(dw, x, dy []T, n, in, out int) {
	p.weightsGrad(kernels.GemmShape(n, out, in))(dw, x, dy)
}

func (Portable[T]) weightsGrad(s kernels.ConvShape) func(dw, x, dy []T) {
	return func(dw, x, dy []T) { kernels.ConvWeightGrad(&s, dw, x, dy) }
}

func (Portable[T]) begin() {}

func (Portable[T]) end() {}

func (Portable[T]) level() kernels.Level { return kernels.Generic }

func (Portable[T]) add(dst, src []T) { addTo(dst, src) }

func (Portable[T]) sumRows(dst, src []T, rows, n int) { addPositions(dst, src, rows, n) }

// OnLevel returns the product on the matrix kernels of a level.
func OnLevel(level kernels.Level) Product[float32] { return OnThreads(level, 1) }

// OnThreads returns the product on the matrix kernels of a level, which at most so
// many threads of package runtime's pool share. The threads do not show in the bits.
func OnThreads(level kernels.Level, threads int) Product[float32] {
	return &leveled{l: level, crew: runtime.NewCrew(threads)}
}

type leveled struct {
	l      kernels.Level
	crew   *runtime.Crew
	bytes  int // of a thread's scratch
	turned []float32
}

func (l *leveled) begin() { l.crew.Begin() }

func (l *leveled) end() { l.crew.End() }

// room makes scratch of n bytes for every thread, and returns how many bytes that
// are more than before.
func (l *leveled) room(n int) int {
	more := max(0, n-l.bytes)
	l.bytes += more
	l.crew.Room(n)
	return more * l.crew.Threads()
}

// worth is how many multiply-adds make up for what it costs to share them: a few
// microseconds' worth.
const worth = 1 << 17

// run does all tasks of a kernel of so many multiply-adds.
func (l *leveled) run(macs, tasks int, kernel func(dst, src []float32, scratch []byte, t0, t1 int), dst, src []float32) {
	l.share(macs, tasks, func(scratch []byte, t0, t1 int) { kernel(dst, src, scratch, t0, t1) })
}

func (l *leveled) share(macs, tasks int, f func(scratch []byte, t0, t1 int)) {
	if macs < worth {
		l.crew.Alone(tasks, f)
		return
	}
	l.crew.Run(tasks, f)
}

func (l *leveled) pack(b []float32, m, n, k int) *kernels.Conv {
	lo, hi := unbounded[float32]()
	c, err := kernels.NewConv(l.l, &kernels.ConvParams{Shape: kernels.GemmShape(m, n, k), Weights: b[:n*k], Lo: lo, Hi: hi})
	if err != nil {
		panic(fmt.Sprintf("grad: product of %d x %d x %d: %v", m, n, k, err)) // the tape has checked the sizes
	}
	l.room(c.Scratch())
	return c
}

// Multiply implements [Product]. It packs the smaller operand: the two may change
// places, which turns the result.
func (l *leveled) Multiply(dst, a, b []float32, m, n, k int) {
	if m >= n {
		c := l.pack(b, m, n, k)
		l.run(m*n*k, c.Tasks(), c.Run, dst, a)
		return
	}
	c := l.pack(a, n, m, k)
	if len(l.turned) < n*m {
		l.turned = make([]float32, n*m)
	}
	l.run(m*n*k, c.Tasks(), c.Run, l.turned, b)
	transposed(dst, l.turned[:n*m], n, m)
}

func (l *leveled) weightGrad(g *kernels.WeightGrad, macs int, dw, x, dy []float32) {
	l.share(macs, g.Tasks(), func(scratch []byte, t0, t1 int) { g.Run(dw, x, dy, scratch, t0, t1) })
}

func (l *leveled) weightsGrad(s kernels.ConvShape) func(dw, x, dy []float32) {
	g, err := kernels.NewWeightGrad(l.l, s)
	if err != nil {
		panic(fmt.Sprintf("grad: the gradient of weights of %+v: %v", s, err)) // the tape has checked the sizes
	}
	l.room(g.Scratch())
	return func(dw, x, dy []float32) { l.weightGrad(g, macs(s), dw, x, dy) }
}

func (l *leveled) denseGrad(dw, x, dy []float32, n, in, out int) {
	l.weightsGrad(kernels.GemmShape(n, out, in))(dw, x, dy)
}

func (l *leveled) level() kernels.Level { return l.l }

func (l *leveled) add(dst, src []float32) { kernels.AddTo(l.l, dst, src) }

func (l *leveled) sumRows(dst, src []float32, rows, n int) {
	kernels.SumRows(l.l, dst, src, rows, n)
}

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

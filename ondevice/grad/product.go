package grad

import (
	"fmt"
	"math"

	"github.com/whet-edge/whet/kernels"
)

// A Product multiplies matrices: dst[m,n] = a[m,k] b[n,k]ᵀ, each element one
// chain of fused multiply-adds over k, from +0 and ascending. It is not for
// concurrent use.
type Product[T Float] interface {
	Multiply(dst, a, b []T, m, n, k int)
	// Pack returns Multiply for one b, which it may copy.
	Pack(b []T, m, n, k int) func(dst, a []T)
}

// Portable is the [Product] that defines the bits of all.
type Portable[T Float] struct{}

// Multiply implements [Product].
func (Portable[T]) Multiply(dst, a, b []T, m, n, k int) { Dense(dst, a, b, nil, m, k, n) }

// Pack implements [Product].
func (p Portable[T]) Pack(b []T, m, n, k int) func(dst, a []T) {
	return func(dst, a []T) { p.Multiply(dst, a, b, m, n, k) }
}

// OnLevel returns the product on the matrix kernels of a level.
func OnLevel(level kernels.Level) Product[float32] { return &leveled{level: level} }

type leveled struct {
	level   kernels.Level
	scratch []byte
	turned  []float32
}

func (l *leveled) pack(b []float32, m, n, k int) *kernels.Conv {
	inf := float32(math.Inf(1))
	c, err := kernels.NewConv(l.level, &kernels.ConvParams{Shape: kernels.GemmShape(m, n, k), Weights: b[:n*k], Lo: -inf, Hi: inf})
	if err != nil {
		panic(fmt.Sprintf("grad: product of %d x %d x %d: %v", m, n, k, err)) // the tape has checked the sizes
	}
	if s := c.Scratch(); len(l.scratch) < s {
		l.scratch = make([]byte, s)
	}
	return c
}

// Multiply implements [Product]. It packs the smaller operand: the two may change
// places, which turns the result.
func (l *leveled) Multiply(dst, a, b []float32, m, n, k int) {
	if m >= n {
		c := l.pack(b, m, n, k)
		c.Run(dst, a, l.scratch, 0, c.Tasks())
		return
	}
	c := l.pack(a, n, m, k)
	if len(l.turned) < n*m {
		l.turned = make([]float32, n*m)
	}
	c.Run(l.turned, b, l.scratch, 0, c.Tasks())
	transposed(dst, l.turned[:n*m], n, m)
}

// Pack implements [Product].
func (l *leveled) Pack(b []float32, m, n, k int) func(dst, a []float32) {
	c := l.pack(b, m, n, k)
	return func(dst, a []float32) { c.Run(dst, a, l.scratch, 0, c.Tasks()) }
}

// packed returns the product with a trained or frozen matrix, packed anew when
// its tensor was [Tensor.Set]; matrix gives its [n,k] values.
func (b *bound[T]) packed(x *Tensor[T], m, n, k int, matrix func() []T) func(dst, a []T) {
	b.tape.extra += 4 * int64(n*k)
	version := -1
	var multiply func(dst, a []T)
	return func(dst, a []T) {
		if version != x.version {
			multiply = b.product.Pack(matrix(), m, n, k)
			version = x.version
		}
		multiply(dst, a)
	}
}

// buffer returns memory that a rule keeps.
func (b *bound[T]) buffer(n int) []T {
	b.tape.extra += 4 * int64(n)
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

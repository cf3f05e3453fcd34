package grad

import (
	"fmt"
	"math"

	"github.com/whet-edge/whet/kernels"
)

// A Product computes dst[m,n] = a[m,k] b[n,k]ᵀ, each element one chain of fused
// multiply-adds over k, from +0 and ascending.
type Product[T Float] func(dst, a, b []T, m, n, k int)

// Portable is the [Product] that defines the bits of all.
func Portable[T Float](dst, a, b []T, m, n, k int) { Dense(dst, a, b, nil, m, k, n) }

// OnLevel returns a product on the matrix kernels of a level. It is not for
// concurrent use.
func OnLevel(level kernels.Level) Product[float32] {
	inf := float32(math.Inf(1))
	var scratch []byte
	return func(dst, a, b []float32, m, n, k int) {
		c, err := kernels.NewConv(level, &kernels.ConvParams{
			Shape: kernels.GemmShape(m, n, k), Weights: b[:n*k], Lo: -inf, Hi: inf,
		})
		if err != nil {
			panic(fmt.Sprintf("grad: product of %d x %d x %d: %v", m, n, k, err)) // the tape has checked the sizes
		}
		if s := c.Scratch(); len(scratch) < s {
			scratch = make([]byte, s)
		}
		c.Run(dst, a, scratch, 0, c.Tasks())
	}
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

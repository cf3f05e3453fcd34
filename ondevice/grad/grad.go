// Package grad has the gradients, losses and optimizers that on-device training
// is made of.
//
// Everything here gives the same bits on every CPU, on any number of threads
// and for any split of a batch: an output of a product is one chain of fused
// multiply-adds in a fixed order, a product that is added elsewhere is rounded
// first, and exp and log are the kernels' own. The portable functions are
// generic, so that what the float64 tests check against central differences is
// the code that trains in float32.
//
// Matrices are row-major slices; a matrix [r, c] has r*c elements. Weights lie
// as [out, in], as Gemm with transB and PyTorch's Linear have them.
package grad

import "github.com/whet-edge/whet/kernels"

// Float is the element type of the portable functions: float32 in training,
// float64 in gradient checks.
type Float = kernels.Float

// finite reports whether x is neither an infinity nor NaN.
func finite[T Float](x T) bool { return x-x == 0 }

// Finite reports whether no element of x is an infinity or NaN.
func Finite[T Float](x []T) bool {
	for _, v := range x {
		if !finite(v) {
			return false
		}
	}
	return true
}

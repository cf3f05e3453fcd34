//go:build !purego

package arm64

// Tile size of the float32 kernels.
const (
	GemmNEONMR = 8
	GemmNEONNR = 8
)

// The kernels below compute, for every row r < Rows and column n < Cols
//
//	acc := float32(0)
//	for t := range Taps {
//		row := A + Off[t*MR+r], or Pad where the offset is -1
//		for k := range KC {
//			acc = fma(row[k], w[t][k][n], acc)
//		}
//	}
//	x := acc + bias[n]
//	if x < Lo { x = Lo }
//	if x > Hi { x = Hi }
//	C[r*LDC+n] = x

// Gemm8x8NEON is the tile of ARMv8.0.
//
//go:noescape
func Gemm8x8NEON(a *GemmArgs)

// Gemm8x8InOrderNEON is Gemm8x8NEON in the order of instructions that suits the Cortex-A53
// and A55.
//
//go:noescape
func Gemm8x8InOrderNEON(a *GemmArgs)

// Gemm4x8NEON is Gemm8x8NEON for Rows <= 4. Off keeps its eight entries a tap.
//
//go:noescape
func Gemm4x8NEON(a *GemmArgs)

// Gemm1x8NEON is Gemm8x8NEON for Rows == 1. Off keeps its eight entries a tap.
//
//go:noescape
func Gemm1x8NEON(a *GemmArgs)

// GemvNEONNR is the number of columns of [Gemv32NEON].
const GemvNEONNR = 32

// Gemv32NEON is the kernel for products of one row: Rows is 1, Off has one entry a
// tap and a panel 32 columns.
//
//go:noescape
func Gemv32NEON(a *GemmArgs)

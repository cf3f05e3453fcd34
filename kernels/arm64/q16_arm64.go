//go:build !purego

package arm64

import "unsafe"

// Tiles of the kernels of 16x8 products.
const (
	Q16GemmNEONMR      = 4
	Q16GemmNEONNR      = 8
	Q16DepthwiseNEONCB = 8
)

// Q16Gemm4x8NEON multiplies up to four rows of int16 with int8 weights: as [QGemmArgs]
// with int16 A, Pad and C, no Corr, no Zero, KC a multiple of 2 and a panel
// [NR]float64 scale, [NR]int32 bias, [Taps][KC/2][NR]int8. For every row m and column n
//
//	acc := bias[n] // and the sums, in int32
//	for t := range Taps { for k := range KC/2 { acc += int32(row(m, t)[k]) * int32(w[t][k][n]) } }
//	C[m][n] = int16(clamp(rne(float64(acc)*scale[n]), Lo, Hi))
//
// where |acc*scale[n]| <= 2**30. With Raw it stores acc.
//
//go:noescape
func Q16Gemm4x8NEON(a *QGemmArgs)

// Q16Gemm1x8NEON is Q16Gemm4x8NEON for one row; Off still has four.
//
//go:noescape
func Q16Gemm1x8NEON(a *QGemmArgs)

// Q16DepthwiseNEON is the depthwise product of int16 with int16 weights, for C a
// multiple of 8: as [QDepthwiseNEON] with int16 A, Pad and Out and blocks [CB]int32
// bias, [Taps][CB]int16, [CB]float64 scale. It rounds as [Q16Gemm4x8NEON].
//
//go:noescape
func Q16DepthwiseNEON(a *QDWArgs)

// QBinary16Args are the parameters of [QAdd16NEON] and [QMul16NEON].
type QBinary16Args struct {
	Ra, Rb       float64 // scale of a, of b (negative to subtract), each over the output's; for a product Ra
	Lo, Hi       float64 // lowest and highest output code, minus Zero
	Za, Zb, Zero int32   // zero points of a, b and the output
}

// QAdd16NEON adds two int16 tensors of different scales, n a multiple of 8, not 0:
//
//	dst[i] = Zero + rne(clamp((a[i]-Za)*Ra + (b[i]-Zb)*Rb, Lo, Hi)) // float64, every operation rounded
//
//go:noescape
func QAdd16NEON(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)

// QMul16NEON multiplies them: dst[i] = Zero + rne(clamp((a[i]-Za)*(b[i]-Zb)*Ra, Lo, Hi)).
//
//go:noescape
func QMul16NEON(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)

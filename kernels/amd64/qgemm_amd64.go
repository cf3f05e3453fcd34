//go:build !purego

package amd64

// QSumArgs are the parameters of the Add in QGemmArgs.Sum.
type QSumArgs struct {
	Ra, Rb       float32 // scale of the first and the second operand, each over the sum's
	Lo, Hi       int32   // lowest and highest code of the sum
	Za, Zb, Zero int32   // zero points of the operands and the sum
}

// QGemm12x32VNNI computes a tile of at most 12 rows by 32 columns with
// AVX-512 VNNI. KR is 4; x is read as x^0x80 = x+128, so the packed bias holds
// -(zx+128)·Σw. The scales are below 1. Step says that the flip is done (see package kernels). It equals
// the loop below for this tile and for Left more, whose A and Off follow in Next
// and whose C follows the last row, or for the panels behind W if there is one row
// and Cols is more than 32; it changes A, Off, W, C, Cols, Next and Left.
//
//	for r := range Rows { for n := range Cols {
//		acc := bias[n] + Corr[r]
//		for t := range Taps { for k := range KC { acc += (A[Off[t][r]+k]+128) * W[t][k][n] } }
//		C[r][n] = Zero + rne(clamp(float32(acc)*scale[n], Lo, Hi))
//	} }
//
// With Residual it equals the loop for C in the place of which the sum of two codes comes,
//
//	x := float32(rne(clamp(float32(acc)*scale[n], Lo, Hi)))
//	y := float32(residual[r][n] - Zb)
//	C[r][n] = clamp(Sum.Zero + rne(fma(y, Rb, x*Ra)), Sum.Lo, Sum.Hi)
//
// or with Second y := residual[r][n] - Za and fma(x, Rb, y*Ra).
//
//go:noescape
func QGemm12x32VNNI(a *QGemmArgs)

// QGemm12x16AVX2 computes a tile of at most 12 rows by 16 columns with AVX2.
// KR is 4 and the panel's weights are widened to int16. It equals
//
//	for r := range Rows { for n := range Cols {
//		acc := bias[n] + Corr[r]
//		for t := range Taps { for k := range KC { acc += A[Off[t][r]+k] * W[t][k][n] } }
//		C[r][n] = Zero + rne(clamp(float32(acc)*scale[n], Lo, Hi))
//	} }
//
//go:noescape
func QGemm12x16AVX2(a *QGemmArgs)

// QGemm12x16AVXVNNI computes a tile of at most 12 rows by 16 columns with
// AVX-VNNI (VEX encoding). It equals the loop of QGemm12x32VNNI.
//
//go:noescape
func QGemm12x16AVXVNNI(a *QGemmArgs)

// QGemm12x16VNNI256 is QGemm12x16AVXVNNI in the EVEX encoding, for CPUs that have
// AVX-512 VNNI and VL but not AVX-VNNI.
//
//go:noescape
func QGemm12x16VNNI256(a *QGemmArgs)

// QRowSumsVNNI sums the input of each row of a tile of QGemm12x32VNNI, with
// AVX-512 VNNI. It equals
//
//	for r := range Rows {
//		sums[r] = 0
//		for t := range Taps { for k := range run { sums[r] += A[Off[t][r]+k] } }
//	}
//
//go:noescape
func QRowSumsVNNI(a *QGemmArgs, run uintptr, sums *int32)

//go:build !purego

package amd64

// Q16Gemm12x32VNNI computes a tile of at most 12 rows by 32 columns of a product of
// int16 by int8 with AVX-512 VNNI. KR is 2. No sum leaves int32, no scaled one either
// (see package kernels). It equals
//
//	for r := range Rows { for n := range Cols {
//		acc := bias[n]
//		for t := range Taps { for k := range KC/2 { acc += A[Off[t][r]+k] * W[t][k][n] } }
//		C[r][n] = clamp(rne(float64(acc)*scale[n]), Lo, Hi)
//	} }
//
//go:noescape
func Q16Gemm12x32VNNI(a *QGemmArgs)

// Q16Gemm12x32AVX512 is Q16Gemm12x32VNNI with AVX-512 alone.
//
//go:noescape
func Q16Gemm12x32AVX512(a *QGemmArgs)

// Q16Gemm6x16AVX2 computes a tile of at most 6 rows by 16 columns with AVX2. It
// equals the loop of Q16Gemm12x32VNNI.
//
//go:noescape
func Q16Gemm6x16AVX2(a *QGemmArgs)

// Q16Depthwise32VNNI computes Pixels output pixels of a depthwise convolution of int16
// by int8 with AVX-512 VNNI: blocks of 32 channels, weights as pairs of taps, the last
// block masked. No sum leaves int32, no scaled one either. It equals
//
//	for p := range Pixels { for c := range C {
//		acc := bias[c]
//		for t := range Taps { acc += A[Off[p][t]+c] * W[t][c] }
//		Out[p][c] = clamp(rne(float64(acc)*scale[c]), Lo, Hi)
//	} }
//
//go:noescape
func Q16Depthwise32VNNI(a *QDWArgs)

// Q16DepthwiseColumns32VNNI does the same for 3x3 windows at horizontal stride 1: Off is
// [Pixels+2][3], the offsets of every input column.
//
//go:noescape
func Q16DepthwiseColumns32VNNI(a *QDWArgs)

// Q16Depthwise16AVX2 does the same with AVX2 and blocks of 16 channels; C is a
// multiple of 16.
//
//go:noescape
func Q16Depthwise16AVX2(a *QDWArgs)

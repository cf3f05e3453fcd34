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

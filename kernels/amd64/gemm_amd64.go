//go:build !purego

package amd64

// Gemm12x32AVX512 computes a tile of at most 12 rows by 32 columns of a
// float32 product with AVX-512. It equals
//
//	for r := range Rows { for n := range Cols {
//		var acc float32
//		for t := range Taps { for k := range KC { acc = fma(A[Off[t][r]+k], W[t][k][n], acc) } }
//		C[r][n] = clamp(acc+bias[n], Lo, Hi)
//	} }
//
//go:noescape
func Gemm12x32AVX512(a *GemmArgs)

// Gemm6x16AVX2 computes a tile of at most 6 rows by 16 columns of a float32
// product with AVX2 and FMA. It equals the loop of Gemm12x32AVX512.
//
//go:noescape
func Gemm6x16AVX2(a *GemmArgs)

// Gemv64AVX2 computes one row by at most 64 columns of a float32 product with
// AVX2 and FMA: MR is 1 and NR 64. It equals the loop of Gemm12x32AVX512.
//
//go:noescape
func Gemv64AVX2(a *GemmArgs)

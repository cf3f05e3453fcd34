//go:build !purego

package amd64

import "unsafe"

// OuterArgs is outerArgs of package kernels (train.go), which explains it.
type OuterArgs struct {
	A, B        unsafe.Pointer
	ACol, ARow  uintptr
	BCol, BRow  uintptr
	Cols, Rows  uintptr
	M, N        uintptr
	S           unsafe.Pointer
	C           unsafe.Pointer
	LDC         uintptr
	First, Last bool
}

// Outer12x32AVX512 adds up a tile of a float32 weight gradient with AVX-512; M is
// 1, 4, 8 or 12. It equals
//
//	for r := range Rows { for c := range Cols { for m := range M { for n := range N {
//		S[m][n] = fma(A[r][c][m], B[r][c][n], S[m][n])
//	} } } }
//
// S being zeros if First is set, and added to C, not kept, if Last is.
//
//go:noescape
func Outer12x32AVX512(a *OuterArgs)

// PairArgs is pairArgs of package kernels (train.go), which explains it.
type PairArgs struct {
	A, B       unsafe.Pointer
	ACol, ARow uintptr
	BCol, BRow uintptr
	Cols, Rows uintptr
	N          uintptr
	S          unsafe.Pointer
}

// Pair64AVX512 adds up the weight gradient of a tap of at most 64 channels of a
// depthwise convolution with AVX-512. It equals
//
//	for r := range Rows { for c := range Cols { for n := range N { S[n] = fma(A[r][c][n], B[r][c][n], S[n]) } } }
//
//go:noescape
func Pair64AVX512(a *PairArgs)

// Turn8AVX2 writes the first n columns of 8 rows of float32 as rows, with AVX2; n
// is a multiple of 8, and rows of src and dst lie srcLD and dstLD bytes apart. It
// equals
//
//	for k := range n { for r := range 8 { dst[k][r] = src[r][k] } }
//
//go:noescape
func Turn8AVX2(dst, src unsafe.Pointer, n, dstLD, srcLD uintptr)

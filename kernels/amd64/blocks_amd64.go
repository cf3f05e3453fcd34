//go:build !purego

package amd64

import "unsafe"

// BlockArgs describes one row of a float32 product with weights in blocks; package
// kernels (convblocks.go) explains it.
type BlockArgs struct {
	A     unsafe.Pointer
	W     unsafe.Pointer
	C     unsafe.Pointer
	K     uintptr
	Block uintptr
	Cols  uintptr
	Lo    float32
	Hi    float32
}

// BlockGemv64Int4AVX512 computes one row by at most 64 columns of a float32 product
// with weights of 4 bits in blocks, with AVX-512. It equals
//
//	for n := range Cols {
//		var acc float32
//		for k := range K { acc = fma(A[k], float32(code[k][n])*scale[k/Block][n], acc) }
//		C[n] = clamp(acc+bias[n], Lo, Hi)
//	}
//
//go:noescape
func BlockGemv64Int4AVX512(a *BlockArgs)

// BlockGemv64Int8AVX512 does so with weights of 8 bits.
//
//go:noescape
func BlockGemv64Int8AVX512(a *BlockArgs)

// BlockGemv32Int4AVX2 is BlockGemv64Int4AVX512 for 32 columns with AVX2 and FMA.
//
//go:noescape
func BlockGemv32Int4AVX2(a *BlockArgs)

// BlockGemv32Int8AVX2 does so with weights of 8 bits.
//
//go:noescape
func BlockGemv32Int8AVX2(a *BlockArgs)

// UnpackInt4AVX512 writes the k x 32 weights of a block of 4 bits with AVX-512:
// dst[k][n] = float32(code[k][n]) * scale[n].
//
//go:noescape
func UnpackInt4AVX512(dst, block unsafe.Pointer, k uintptr)

// UnpackInt8AVX512 does so with 8 bits.
//
//go:noescape
func UnpackInt8AVX512(dst, block unsafe.Pointer, k uintptr)

// UnpackInt4AVX2 writes the k x 16 weights of a block of 4 bits with AVX2.
//
//go:noescape
func UnpackInt4AVX2(dst, block unsafe.Pointer, k uintptr)

// UnpackInt8AVX2 does so with 8 bits.
//
//go:noescape
func UnpackInt8AVX2(dst, block unsafe.Pointer, k uintptr)

//go:build !purego

package arm64

import "unsafe"

// BlockGemvNEONNR are the columns of a panel of [BlockGemv32Int4NEON].
const BlockGemvNEONNR = 32

// BlockGemv32Int4NEON multiplies a row of floats with a panel of codes of 4 bits in
// blocks: [NR]float32 bias, and for every block of k
// [NR]float32 scale, [ceil(k/8)][NR]uint32; bits 4i of word j are the signed code of
// k = 8j+i.
//
//	acc = one chain of fused multiply-adds from +0 over A[k] and float32(code)*scale[n]
//	C[n] = acc + bias[n], then x<Lo ? Lo : x, then x>Hi ? Hi : x
//
//go:noescape
func BlockGemv32Int4NEON(a *BlockArgs)

// BlockGemv32Int8NEON is BlockGemv32Int4NEON for codes [k][NR]int8.
//
//go:noescape
func BlockGemv32Int8NEON(a *BlockArgs)

// UnpackInt4NEON writes the k weights float32(code)*scale[n] of a block of 8 columns, as
// in a panel of [BlockGemv32Int4NEON], to dst: [k][8]float32.
//
//go:noescape
func UnpackInt4NEON(dst, block unsafe.Pointer, k uintptr)

// UnpackInt8NEON is UnpackInt4NEON for codes [k][8]int8.
//
//go:noescape
func UnpackInt8NEON(dst, block unsafe.Pointer, k uintptr)

//go:build !purego

package amd64

import "unsafe"

// RangeBitsAVX2 sets the n bits that say where y is between lo and hi. N is a multiple
// of 8, as in all of these, which equal the loops of train.go.
//
//go:noescape
func RangeBitsAVX2(bits, y unsafe.Pointer, n uintptr, lo, hi float32)

// KeepBitsAVX2 clears the n elements of dy whose bit is not set.
//
//go:noescape
func KeepBitsAVX2(dy, bits unsafe.Pointer, n uintptr)

// SGDStepAVX2 is a step of gradient descent; v may be nil.
//
//go:noescape
func SGDStepAVX2(p, d, v unsafe.Pointer, n uintptr, lr, momentum, decay float32)

// AdamWStepAVX2 is a step of AdamW; c is rate, correction, shrinkage, the betas,
// epsilon, and one less the betas.
//
//go:noescape
func AdamWStepAVX2(p, d, m, v unsafe.Pointer, n uintptr, c *[8]float32)

// MaxTapAVX2 writes the maximum of n channels over the taps of a window, which
// lie off elements behind src, and to won the first tap that has it.
//
//go:noescape
func MaxTapAVX2(dst, won, src unsafe.Pointer, off *int32, taps, n uintptr)

// MaxTapGradAVX2 writes dy at the taps that won and zeros at the others, or adds
// them.
//
//go:noescape
func MaxTapGradAVX2(dx, dy, won unsafe.Pointer, off *int32, taps, n, add uintptr)

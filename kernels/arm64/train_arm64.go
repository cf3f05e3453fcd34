//go:build !purego

package arm64

import "unsafe"

// RangeBitsNEON sets the n bits that say where y is between lo and hi. N is a multiple
// of 8, as in all of these, which equal the loops of train.go.
//
//go:noescape
func RangeBitsNEON(bits, y unsafe.Pointer, n uintptr, lo, hi float32)

// KeepBitsNEON clears the n elements of dy whose bit is not set.
//
//go:noescape
func KeepBitsNEON(dy, bits unsafe.Pointer, n uintptr)

// SGDStepNEON is a step of gradient descent; v may be nil.
//
//go:noescape
func SGDStepNEON(p, d, v unsafe.Pointer, n uintptr, lr, momentum, decay float32)

// AdamWStepNEON is a step of AdamW; c is rate, correction, shrinkage, the betas,
// epsilon, and one less the betas.
//
//go:noescape
func AdamWStepNEON(p, d, m, v unsafe.Pointer, n uintptr, c *[8]float32)

// MaxTapNEON writes the maximum of n channels over the taps of a window, which
// lie off elements behind src, and to won the first tap that has it.
//
//go:noescape
func MaxTapNEON(dst, won, src unsafe.Pointer, off *int32, taps, n uintptr)

// MaxTapGradNEON writes dy at the taps that won and zeros at the others, or adds
// them.
//
//go:noescape
func MaxTapGradNEON(dx, dy, won unsafe.Pointer, off *int32, taps, n, add uintptr)

// Turn8NEON writes 8 rows of n floats as n rows of 8. Rows lie srcLD bytes apart, the
// written ones dstLD.
//
//go:noescape
func Turn8NEON(dst, src unsafe.Pointer, n, dstLD, srcLD uintptr)

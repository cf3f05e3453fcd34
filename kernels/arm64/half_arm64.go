//go:build !purego

package arm64

import "unsafe"

// WidenHalvesNEON converts n IEEE 754 binary16 numbers (a multiple of 8, not 0) to
// float32. ARMv8.0 has the conversion, not the arithmetic.
//
//go:noescape
func WidenHalvesNEON(dst, src unsafe.Pointer, n uintptr)

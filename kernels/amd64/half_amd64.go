//go:build !purego

package amd64

import "unsafe"

// WidenHalvesAVX2 converts n IEEE 754 binary16 numbers (a multiple of 8, not 0) to
// float32.
//
//go:noescape
func WidenHalvesAVX2(dst, src unsafe.Pointer, n uintptr)

//go:build !purego

package amd64

import "unsafe"

// Dot8AVX2 returns the sum of x[i]*w[i] in int32 over n int8 (a multiple of 8).
// Sums wrap around, as they do in Go.
//
//go:noescape
func Dot8AVX2(x, w unsafe.Pointer, n uintptr) int32

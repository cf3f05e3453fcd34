//go:build !purego

package arm64

import "unsafe"

// Dot8NEON is the sum of x[i]*w[i] over n int8 (a multiple of 16, not 0), modulo
// 2^32.
//
//go:noescape
func Dot8NEON(x, w unsafe.Pointer, n uintptr) int32

// Dot8Dotprod is Dot8NEON for the dot product extension.
//
//go:noescape
func Dot8Dotprod(x, w unsafe.Pointer, n uintptr) int32

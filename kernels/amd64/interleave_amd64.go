//go:build !purego

package amd64

import "unsafe"

// Interleave3AVX2 makes n pixels of three 32-bit channels from three planes; n is a
// multiple of 8, not 0. It equals
//
//	for i := range n { dst[3*i], dst[3*i+1], dst[3*i+2] = a[i], b[i], c[i] }
//
//go:noescape
func Interleave3AVX2(dst, a, b, c unsafe.Pointer, n uintptr)

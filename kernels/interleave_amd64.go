//go:build amd64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/amd64"
)

// interleave3Front makes pixels of three channels of 4 bytes, as many of the n as
// fill whole vectors, and returns their number.
func interleave3Front(l Level, dst, a, b, c unsafe.Pointer, n int) int {
	n &^= 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.Interleave3AVX2(dst, a, b, c, uintptr(n))
	return n
}

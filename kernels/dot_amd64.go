//go:build amd64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/amd64"
)

// dot8 is the sum of x*w in int32; w is at least as long as x.
func dot8(l Level, x, w []int8) int32 {
	w = w[:len(x)]
	n := len(x) &^ 7
	if l < AVX2 || n == 0 {
		return dot8Go(x, w)
	}
	return amd64.Dot8AVX2(unsafe.Pointer(&x[0]), unsafe.Pointer(&w[0]), uintptr(n)) + dot8Go(x[n:], w[n:])
}

// DotAsm reports whether the recurrent int8 layers' sums of products are
// assembly at the level.
func DotAsm(l Level) bool { return l >= AVX2 }

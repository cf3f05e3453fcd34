//go:build arm64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/arm64"
)

// dot8 is the sum of x*w in int32; w is at least as long as x.
func dot8(l Level, x, w []int8) int32 {
	w = w[:len(x)]
	n := len(x) &^ 15
	if l == Generic || n == 0 {
		return dot8Go(x, w)
	}
	var sum int32
	if l == NEON {
		sum = arm64.Dot8NEON(unsafe.Pointer(&x[0]), unsafe.Pointer(&w[0]), uintptr(n))
	} else {
		sum = arm64.Dot8Dotprod(unsafe.Pointer(&x[0]), unsafe.Pointer(&w[0]), uintptr(n))
	}
	return sum + dot8Go(x[n:], w[n:])
}

// DotAsm reports whether the recurrent int8 layers' sums of products are
// assembly at the level.
func DotAsm(l Level) bool { return l != Generic }

//go:build amd64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/amd64"
)

// widenHalves converts a multiple of 8 numbers from the front and returns how many.
func widenHalves(l Level, dst []float32, src []uint16) int {
	n := len(src) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	amd64.WidenHalvesAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n))
	return n
}

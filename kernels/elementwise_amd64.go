//go:build amd64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/amd64"
)

// The functions below do the front of a slice, as many elements as fill whole
// vectors, and return their number; the portable loops do the rest. At a level
// without such a kernel they do nothing.

func qaddFront(l Level, dst, a, b []int8, q *QBinary) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QAddAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), uintptr(n),
		&amd64.QAddArgs{Ra: q.ra, Rb: q.rb, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero})
	return n
}

func arithFront(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	d, x, y := unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0])
	switch op {
	case Add:
		amd64.AddAVX2(d, x, y, uintptr(n), lo, hi)
	case Sub:
		amd64.SubAVX2(d, x, y, uintptr(n), lo, hi)
	case Mul:
		amd64.MulAVX2(d, x, y, uintptr(n), lo, hi)
	default:
		return 0
	}
	return n
}

func spanFront(l Level, src []float32) (n int, lo, hi float32) {
	n = len(src) &^ 7
	if l < AVX2 || n == 0 {
		return 0, 0, 0
	}
	lo, hi = amd64.SpanAVX2(unsafe.Pointer(&src[0]), uintptr(n))
	return n, lo, hi
}

func quantizeFront(l Level, dst []int8, src []float32, inv, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QuantizeAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n), inv, lo, hi, zero)
	return n
}

func dynFront(l Level, dst []float32, sums, wsum []int32, scale, bias []float32, sx float32, zx int32, lo, hi float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.DynAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&sums[0]), unsafe.Pointer(&wsum[0]), unsafe.Pointer(&scale[0]), unsafe.Pointer(&bias[0]),
		uintptr(n), &amd64.DynArgs{Scale: sx, Zero: zx, Lo: lo, Hi: hi})
	return n
}

func unaryFront(l Level, op UnaryOp, dst, src []float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	switch op {
	case SigmoidOp:
		amd64.SigmoidAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n))
	case TanhOp:
		amd64.TanhAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n))
	case ExpOp:
		amd64.ExpAVX2(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n))
	default:
		return 0
	}
	return n
}

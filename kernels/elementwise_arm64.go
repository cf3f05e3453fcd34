//go:build arm64 && !purego

package kernels

import (
	"unsafe"

	"github.com/whet-edge/whet/kernels/arm64"
)

// The functions below do the front of a slice, as many elements as fill whole
// vectors, and return their number; the portable loops do the rest. At Generic
// they do nothing.

func qaddFront(l Level, dst, a, b []int8, q *QBinary) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QAddNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), uintptr(n),
		&arm64.QAddArgs{Ra: q.ra, Rb: q.rb, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero})
	return n
}

func arithFront(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	d, x, y := unsafe.Pointer(&dst[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0])
	switch op {
	case Add:
		arm64.AddNEON(d, x, y, uintptr(n), lo, hi)
	case Sub:
		arm64.SubNEON(d, x, y, uintptr(n), lo, hi)
	case Mul:
		arm64.MulNEON(d, x, y, uintptr(n), lo, hi)
	default:
		return 0
	}
	return n
}

func spanFront(l Level, src []float32) (n int, lo, hi float32) {
	n = len(src) &^ 3
	if l == Generic || n == 0 {
		return 0, 0, 0
	}
	lo, hi = arm64.SpanNEON(unsafe.Pointer(&src[0]), uintptr(n))
	return n, lo, hi
}

func quantizeFront(l Level, dst []int8, src []float32, inv, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QuantizeNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(n), inv, lo, hi, zero)
	return n
}

func dynFront(l Level, dst []float32, sums, wsum []int32, scale, bias []float32, sx float32, zx int32, lo, hi float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	arm64.DynNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&sums[0]), unsafe.Pointer(&wsum[0]), unsafe.Pointer(&scale[0]), unsafe.Pointer(&bias[0]),
		uintptr(n), &arm64.DynArgs{Scale: sx, Zero: zx, Lo: lo, Hi: hi})
	return n
}

func unaryFront(l Level, u Unary, dst, src []float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	d, x := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch u.Op {
	case SigmoidOp:
		arm64.SigmoidNEON(d, x, uintptr(n))
	case TanhOp:
		arm64.TanhNEON(d, x, uintptr(n))
	case ExpOp:
		arm64.ExpNEON(d, x, uintptr(n))
	default:
		return 0
	}
	return n
}

func qmulFront(Level, []int8, []int8, []int8, *QBinary) int { return 0 }

func quantizeDivFront(Level, []int8, []float32, float32, float32, float32, int32) int { return 0 }

func dequantizeFront(Level, []float32, []int8, float32, int32) int { return 0 }

func requantizeFront(Level, []int8, []int32, int32, float32, float32, float32, int32) int { return 0 }

func qmeanFront(Level, []int8, []int32, int32, int32, int32, int32) int { return 0 }

func lookupFront(Level, []int8, []int8, *Table8) int { return 0 }

func expFront(Level, []float32, []float32, float32) int { return 0 }

func divideFront(Level, []float32, []float32, float32) int { return 0 }

func cellFront(Level, []float32, []float32, []float32, []float32, float32, float32) int { return 0 }

func qsumFront(Level, []int32, []int8, *taps) int { return 0 }

func qmaxFront(Level, []int8, []int8, *taps) int { return 0 }

func maxFront(Level, []float32, []float32, *taps) int { return 0 }

func avgFront(Level, []float32, []float32, *taps, float32, float32, float32) int { return 0 }

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
	arm64.QAddNEON(pointer(dst), pointer(a), pointer(b), uintptr(n),
		&arm64.QAddArgs{Ra: q.ra, Rb: q.rb, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero})
	return n
}

func qmulFront(l Level, dst, a, b []int8, q *QBinary) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QMulNEON(pointer(dst), pointer(a), pointer(b), uintptr(n),
		&arm64.QMulArgs{M: q.m, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero})
	return n
}

func arithFront(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	d, x, y := pointer(dst), pointer(a), pointer(b)
	switch op {
	case Add:
		arm64.AddNEON(d, x, y, uintptr(n), lo, hi)
	case Sub:
		arm64.SubNEON(d, x, y, uintptr(n), lo, hi)
	case Mul:
		arm64.MulNEON(d, x, y, uintptr(n), lo, hi)
	case Div:
		arm64.DivNEON(d, x, y, uintptr(n), lo, hi)
	case Max:
		arm64.MaxNEON(d, x, y, uintptr(n), lo, hi)
	case Min:
		arm64.MinNEON(d, x, y, uintptr(n), lo, hi)
	case SquaredDifference:
		arm64.SquaredDifferenceNEON(d, x, y, uintptr(n), lo, hi)
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
	lo, hi = arm64.SpanNEON(pointer(src), uintptr(n))
	return n, lo, hi
}

func quantizeFront(l Level, dst []int8, src []float32, inv, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QuantizeNEON(pointer(dst), pointer(src), uintptr(n), inv, lo, hi, zero)
	return n
}

func quantizeDivFront(l Level, dst []int8, src []float32, scale, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QuantizeDivNEON(pointer(dst), pointer(src), uintptr(n), scale, lo, hi, zero)
	return n
}

func dequantizeFront(l Level, dst []float32, src []int8, scale float32, zero int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.DequantizeNEON(pointer(dst), pointer(src), uintptr(n), scale, zero)
	return n
}

func requantizeFront(l Level, dst []int8, sums []int32, sub int32, m, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.RequantizeNEON(pointer(dst), pointer(sums), uintptr(n), &arm64.RequantizeArgs{M: m, Lo: lo, Hi: hi, Sub: sub, Zero: zero})
	return n
}

func qmeanFront(l Level, dst []int8, sums []int32, count, shift, lo, hi int32) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.QMeanNEON(pointer(dst), pointer(sums), uintptr(n),
		&arm64.QMeanArgs{Count: float32(count), Half: float32(count / 2), SumShift: count * shift, Shift: shift, Lo: lo, Hi: hi})
	return n
}

func flipFront(l Level, dst, src []byte) int {
	n := len(src) &^ 63
	if l == Generic || n == 0 {
		return 0
	}
	arm64.FlipNEON(pointer(dst), pointer(src), uintptr(n))
	return n
}

func lookupFront(l Level, dst, src []int8, t *Table8) int {
	n := len(dst) &^ 15
	if l == Generic || n == 0 {
		return 0
	}
	arm64.LookupNEON(pointer(dst), pointer(src), uintptr(n), unsafe.Pointer(t))
	return n
}

func dynFront(l Level, dst []float32, sums, wsum []int32, scale, bias []float32, sx float32, zx int32, lo, hi float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	arm64.DynNEON(pointer(dst), pointer(sums), pointer(wsum), pointer(scale), pointer(bias),
		uintptr(n), &arm64.DynArgs{Scale: sx, Zero: zx, Lo: lo, Hi: hi})
	return n
}

func unaryFront(l Level, u Unary, dst, src []float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	d, x, a, b := pointer(dst), pointer(src), float32(u.A), float32(u.B)
	switch u.Op {
	case Relu:
		arm64.ClampNEON(d, x, uintptr(n), 0, inf32)
	case Clip:
		arm64.ClampNEON(d, x, uintptr(n), a, b)
	case LeakyRelu:
		arm64.LeakyNEON(d, x, uintptr(n), a)
	case Elu:
		arm64.EluNEON(d, x, uintptr(n), a)
	case HardSwish:
		arm64.HardSwishNEON(d, x, uintptr(n))
	case SigmoidOp:
		arm64.SigmoidNEON(d, x, uintptr(n))
	case TanhOp:
		arm64.TanhNEON(d, x, uintptr(n))
	case ExpOp:
		arm64.ExpNEON(d, x, uintptr(n), 0)
	case LogOp:
		arm64.LogNEON(d, x, uintptr(n))
	case SqrtOp:
		arm64.SqrtNEON(d, x, uintptr(n))
	case Rsqrt:
		arm64.RsqrtNEON(d, x, uintptr(n))
	case Abs:
		arm64.AbsNEON(d, x, uintptr(n))
	case Neg:
		arm64.NegNEON(d, x, uintptr(n))
	case ErfOp:
		arm64.ErfNEON(d, x, uintptr(n))
	case Gelu:
		arm64.GeluNEON(d, x, uintptr(n))
	case GeluTanh:
		arm64.GeluTanhNEON(d, x, uintptr(n))
	case HardSigmoid:
		arm64.HardSigmoidNEON(d, x, uintptr(n), a, b)
	case Floor:
		arm64.FloorNEON(d, x, uintptr(n))
	case Ceil:
		arm64.CeilNEON(d, x, uintptr(n))
	case Round:
		arm64.RoundNEON(d, x, uintptr(n))
	case Reciprocal:
		arm64.ReciprocalNEON(d, x, uintptr(n))
	case Square:
		arm64.MulNEON(d, x, x, uintptr(n), -inf32, inf32)
	case Softplus:
		arm64.SoftplusNEON(d, x, uintptr(n))
	case Silu:
		arm64.SiluNEON(d, x, uintptr(n))
	default:
		return 0
	}
	return n
}

func expFront(l Level, dst, src []float32, sub float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	arm64.ExpNEON(pointer(dst), pointer(src), uintptr(n), sub)
	return n
}

func divideFront(l Level, dst, src []float32, by float32) int {
	n := len(dst) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	arm64.DivideNEON(pointer(dst), pointer(src), uintptr(n), by)
	return n
}

func cellFront(l Level, c, i, z, f []float32, lo, hi float32) int {
	n := len(c) &^ 3
	if l == Generic || n == 0 {
		return 0
	}
	arm64.CellNEON(pointer(c), pointer(i), pointer(z), pointer(f), uintptr(n), lo, hi)
	return n
}

// windowArgs describes the windows for n channels, which are whole vectors.
func windowArgs[D, S any](dst []D, src []S, n int, t *taps) arm64.WindowArgs {
	d, s := unsafe.Sizeof(dst[0]), unsafe.Sizeof(src[0])
	dst, src = dst[:(t.outs-1)*t.dstStep+n], within(t, src, n)
	return arm64.WindowArgs{
		Dst: pointer(dst), Src: pointer(src), N: uintptr(n), Rows: uintptr(t.rows), Cols: uintptr(t.cols),
		RowStep: uintptr(t.rowStep) * s, ColStep: uintptr(t.colStep) * s,
		Outs: uintptr(t.outs), DstStep: uintptr(t.dstStep) * d, SrcStep: uintptr(t.srcStep) * s,
	}
}

func qsumFront(l Level, dst []int32, src []int8, n int, t *taps) int {
	if n &^= 15; l == Generic || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	arm64.QSumNEON(&a)
	return n
}

func qmaxFront(l Level, dst, src []int8, n int, t *taps) int {
	if n &^= 15; l == Generic || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	arm64.QMaxNEON(&a)
	return n
}

func maxFront(l Level, dst, src []float32, n int, t *taps) int {
	if n &^= 3; l == Generic || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	arm64.MaxWindowNEON(&a)
	return n
}

func avgFront(l Level, dst, src []float32, n int, t *taps, count, lo, hi float32) int {
	if n &^= 3; l == Generic || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	a.Count, a.Lo, a.Hi = count, lo, hi
	arm64.AvgWindowNEON(&a)
	return n
}

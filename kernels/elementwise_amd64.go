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
	args := amd64.QAddArgs{Ra: q.ra, Rb: q.rb, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero}
	if l >= AVX512 && !q.wide {
		amd64.QAddAVX512(pointer(dst), pointer(a), pointer(b), uintptr(len(dst)), &args)
		return len(dst)
	}
	amd64.QAddAVX2(pointer(dst), pointer(a), pointer(b), uintptr(n), &args)
	return n
}

func qmulFront(l Level, dst, a, b []int8, q *QBinary) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QMulAVX2(pointer(dst), pointer(a), pointer(b), uintptr(n),
		&amd64.QMulArgs{M: q.m, Lo: q.lo, Hi: q.hi, Za: q.za, Zb: q.zb, Zero: q.zero})
	return n
}

func arithFront(l Level, op BinaryOp, dst, a, b []float32, lo, hi float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	d, x, y := pointer(dst), pointer(a), pointer(b)
	switch op {
	case Add:
		amd64.AddAVX2(d, x, y, uintptr(n), lo, hi)
	case Sub:
		amd64.SubAVX2(d, x, y, uintptr(n), lo, hi)
	case Mul:
		amd64.MulAVX2(d, x, y, uintptr(n), lo, hi)
	case Div:
		amd64.DivAVX2(d, x, y, uintptr(n), lo, hi)
	case Max: // b > a ? b : a
		amd64.MaxAVX2(d, y, x, uintptr(n), lo, hi)
	case Min:
		amd64.MinAVX2(d, y, x, uintptr(n), lo, hi)
	case SquaredDifference:
		amd64.SquaredDifferenceAVX2(d, x, y, uintptr(n), lo, hi)
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
	lo, hi = amd64.SpanAVX2(pointer(src), uintptr(n))
	return n, lo, hi
}

func quantizeFront(l Level, dst []int8, src []float32, inv, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QuantizeAVX2(pointer(dst), pointer(src), uintptr(n), inv, lo, hi, zero)
	return n
}

func quantizeDivFront(l Level, dst []int8, src []float32, scale, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QuantizeDivAVX2(pointer(dst), pointer(src), uintptr(n), scale, lo, hi, zero)
	return n
}

func dequantizeFront(l Level, dst []float32, src []int8, scale float32, zero int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.DequantizeAVX2(pointer(dst), pointer(src), uintptr(n), scale, zero)
	return n
}

func requantizeFront(l Level, dst []int8, sums []int32, sub int32, m, lo, hi float32, zero int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.RequantizeAVX2(pointer(dst), pointer(sums), uintptr(n), &amd64.RequantizeArgs{M: m, Lo: lo, Hi: hi, Sub: sub, Zero: zero})
	return n
}

func qmeanFront(l Level, dst []int8, sums []int32, count, shift, lo, hi int32) int {
	n := len(dst) &^ 15
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.QMeanAVX2(pointer(dst), pointer(sums), uintptr(n),
		&amd64.QMeanArgs{Count: float32(count), Half: float32(count / 2), SumShift: count * shift, Shift: shift, Lo: lo, Hi: hi})
	return n
}

func flipFront(l Level, dst, src []byte) int {
	n := len(src) &^ 63
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.FlipAVX2(pointer(dst), pointer(src), uintptr(n))
	return n
}

func lookupFront(l Level, dst, src []int8, t *Table8) int {
	if l == AVX512VNNI && vbmi {
		amd64.LookupVBMI(pointer(dst), pointer(src), uintptr(len(dst)), unsafe.Pointer(t))
		return len(dst)
	}
	n := len(dst) &^ 63
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.LookupAVX2(pointer(dst), pointer(src), uintptr(n), unsafe.Pointer(t))
	return n
}

func dynFront(l Level, dst []float32, sums, wsum []int32, scale, bias []float32, sx float32, zx int32, lo, hi float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.DynAVX2(pointer(dst), pointer(sums), pointer(wsum), pointer(scale), pointer(bias),
		uintptr(n), &amd64.DynArgs{Scale: sx, Zero: zx, Lo: lo, Hi: hi})
	return n
}

func unaryFront(l Level, u Unary, dst, src []float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	if k := len(dst) &^ 15; l >= AVX512 && k > 0 {
		switch u.Op {
		case SigmoidOp:
			amd64.SigmoidAVX512(pointer(dst), pointer(src), uintptr(k))
			return k
		case Silu:
			amd64.SiluAVX512(pointer(dst), pointer(src), uintptr(k))
			return k
		}
	}
	d, x, a, b := pointer(dst), pointer(src), float32(u.A), float32(u.B)
	switch u.Op {
	case Relu:
		amd64.ClampAVX2(d, x, uintptr(n), 0, inf32)
	case Clip:
		amd64.ClampAVX2(d, x, uintptr(n), a, b)
	case LeakyRelu:
		amd64.LeakyAVX2(d, x, uintptr(n), a)
	case Elu:
		amd64.EluAVX2(d, x, uintptr(n), a)
	case HardSwish:
		amd64.HardSwishAVX2(d, x, uintptr(n))
	case SigmoidOp:
		amd64.SigmoidAVX2(d, x, uintptr(n))
	case TanhOp:
		amd64.TanhAVX2(d, x, uintptr(n))
	case ExpOp:
		amd64.ExpAVX2(d, x, uintptr(n), 0)
	case LogOp:
		amd64.LogAVX2(d, x, uintptr(n))
	case SqrtOp:
		amd64.SqrtAVX2(d, x, uintptr(n))
	case Rsqrt:
		amd64.RsqrtAVX2(d, x, uintptr(n))
	case Abs:
		amd64.AbsAVX2(d, x, uintptr(n))
	case Neg:
		amd64.NegAVX2(d, x, uintptr(n))
	case ErfOp:
		amd64.ErfAVX2(d, x, uintptr(n))
	case Gelu:
		amd64.GeluAVX2(d, x, uintptr(n))
	case GeluTanh:
		amd64.GeluTanhAVX2(d, x, uintptr(n))
	case HardSigmoid:
		amd64.HardSigmoidAVX2(d, x, uintptr(n), a, b)
	case Floor:
		amd64.FloorAVX2(d, x, uintptr(n))
	case Ceil:
		amd64.CeilAVX2(d, x, uintptr(n))
	case Round:
		amd64.RoundAVX2(d, x, uintptr(n))
	case Reciprocal:
		amd64.ReciprocalAVX2(d, x, uintptr(n))
	case Square:
		amd64.MulAVX2(d, x, x, uintptr(n), -inf32, inf32)
	case Softplus:
		amd64.SoftplusAVX2(d, x, uintptr(n))
	case Silu:
		amd64.SiluAVX2(d, x, uintptr(n))
	default:
		return 0
	}
	return n
}

func expFront(l Level, dst, src []float32, sub float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.ExpAVX2(pointer(dst), pointer(src), uintptr(n), sub)
	return n
}

func divideFront(l Level, dst, src []float32, by float32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.DivideAVX2(pointer(dst), pointer(src), uintptr(n), by)
	return n
}

func cellFront(l Level, c, i, z, f []float32, lo, hi float32) int {
	n := len(c) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.CellAVX2(pointer(c), pointer(i), pointer(z), pointer(f), uintptr(n), lo, hi)
	return n
}

// windowArgs describes the windows for n channels, which are whole vectors.
func windowArgs[D, S any](dst []D, src []S, n int, t *taps) amd64.WindowArgs {
	d, s := unsafe.Sizeof(dst[0]), unsafe.Sizeof(src[0])
	dst, src = dst[:(t.outs-1)*t.dstStep+n], within(t, src, n)
	return amd64.WindowArgs{
		Dst: pointer(dst), Src: pointer(src), N: uintptr(n), Rows: uintptr(t.rows), Cols: uintptr(t.cols),
		RowStep: uintptr(t.rowStep) * s, ColStep: uintptr(t.colStep) * s,
		Outs: uintptr(t.outs), DstStep: uintptr(t.dstStep) * d, SrcStep: uintptr(t.srcStep) * s,
	}
}

func qsumFront(l Level, dst []int32, src []int8, n int, t *taps) int {
	if n &^= 15; l < AVX2 || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	amd64.QSumAVX2(&a)
	return n
}

func qmaxFront(l Level, dst, src []int8, n int, t *taps) int {
	if n &^= 15; l < AVX2 || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	amd64.QMaxAVX2(&a)
	return n
}

func maxFront(l Level, dst, src []float32, n int, t *taps) int {
	if n &^= 7; l < AVX2 || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	amd64.MaxWindowAVX2(&a)
	return n
}

func avgFront(l Level, dst, src []float32, n int, t *taps, count, lo, hi float32) int {
	if n &^= 7; l < AVX2 || n == 0 {
		return 0
	}
	a := windowArgs(dst, src, n, t)
	a.Count, a.Lo, a.Hi = count, lo, hi
	amd64.AvgWindowAVX2(&a)
	return n
}

//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

func gemm16Shape(l Level) gemmShape {
	if l == Generic {
		return gemm16ShapeGo
	}
	return gemmShape{mr: arm64.Q16GemmNEONMR, nr: arm64.Q16GemmNEONNR, kr: 1, near: true}
}

func gemm16(l Level, a *qGemmArgs) {
	b := (*arm64.QGemmArgs)(a)
	switch {
	case l == Generic:
		gemm16Go(a)
	case a.Rows == 1:
		arm64.Q16Gemm1x8NEON(b)
	default:
		arm64.Q16Gemm4x8NEON(b)
	}
}

func dw16Shape(l Level) dwShape {
	if l == Generic {
		return dw16ShapeGo
	}
	return dwShape{cb: arm64.Q16DepthwiseNEONCB}
}

func dw16(l Level, _ bool, a *qDWArgs) {
	if l == Generic {
		dw16Go(a)
		return
	}
	arm64.Q16DepthwiseNEON((*arm64.QDWArgs)(a))
}

// Conv16Asm reports whether the level has assembly for 16x8 products.
func Conv16Asm(l Level) bool { return l != Generic }

// binary16Front does the front of a slice, as many elements as fill whole vectors,
// and returns their number.
func binary16Front(l Level, dst, a, b []int16, q *QBinary16) int {
	n := len(dst) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	zero := float64(q.zero)
	p := arm64.QBinary16Args{Ra: q.ra, Rb: q.rb, Lo: float64(q.lo) - zero, Hi: float64(q.hi) - zero, Za: q.a.Zero, Zb: q.b.Zero, Zero: q.zero}
	switch q.op {
	case Add, Sub:
		arm64.QAdd16NEON(pointer(dst), pointer(a), pointer(b), uintptr(n), &p)
	case Mul:
		p.Ra = q.m
		arm64.QMul16NEON(pointer(dst), pointer(a), pointer(b), uintptr(n), &p)
	default:
		return 0
	}
	return n
}

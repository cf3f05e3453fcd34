//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

func gemm16Shape(l Level) gemmShape {
	switch l {
	case AVX512, AVX512VNNI:
		return gemmShape{mr: 12, nr: 32, kr: 2}
	case AVX2, AVXVNNI:
		return gemmShape{mr: 6, nr: 16, kr: 2}
	}
	return gemm16ShapeGo
}

func gemm16(l Level, a *qGemmArgs) {
	switch l {
	case AVX512VNNI:
		amd64.Q16Gemm12x32VNNI((*amd64.QGemmArgs)(a))
	case AVX512:
		amd64.Q16Gemm12x32AVX512((*amd64.QGemmArgs)(a))
	case AVX2, AVXVNNI:
		amd64.Q16Gemm6x16AVX2((*amd64.QGemmArgs)(a))
	default:
		gemm16Go(a)
	}
}

func dw16Shape(l Level) dwShape {
	switch l {
	case AVX512VNNI:
		return dwShape{cb: 32, mask: true, pairs: true, columns: true}
	case AVX2, AVXVNNI, AVX512:
		return dwShape{cb: 16, pairs: true}
	}
	return dw16ShapeGo
}

func dw16(l Level, columns bool, a *qDWArgs) {
	b := (*amd64.QDWArgs)(a)
	switch {
	case columns:
		amd64.Q16DepthwiseColumns32VNNI(b)
	case l == AVX512VNNI:
		amd64.Q16Depthwise32VNNI(b)
	case l >= AVX2:
		amd64.Q16Depthwise16AVX2(b)
	default:
		dw16Go(a)
	}
}

// Conv16Asm reports whether the level has assembly for 16x8 products.
func Conv16Asm(l Level) bool { return l != Generic }

// binary16Front does the front of a slice, as many elements as fill whole vectors,
// and returns their number.
func binary16Front(l Level, dst, a, b []int16, q *QBinary16) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	zero := float64(q.zero)
	p := amd64.QBinary16Args{Ra: q.ra, Rb: q.rb, Lo: float64(q.lo) - zero, Hi: float64(q.hi) - zero, Za: q.a.Zero, Zb: q.b.Zero, Zero: q.zero}
	switch q.op {
	case Add, Sub:
		amd64.QAdd16AVX2(pointer(dst), pointer(a), pointer(b), uintptr(n), &p)
	case Mul:
		p.Ra = q.m
		amd64.QMul16AVX2(pointer(dst), pointer(a), pointer(b), uintptr(n), &p)
	default:
		return 0
	}
	return n
}

//go:build amd64 && !purego

package kernels

import (
	"slices"
	"unsafe"

	"github.com/whet-edge/whet/kernels/amd64"
)

func outer(l Level, a *outerArgs) {
	if l == AVX512 || l == AVX512VNNI {
		amd64.Outer12x32AVX512((*amd64.OuterArgs)(a))
		return
	}
	outerGo(a)
}

func pair(l Level, a *pairArgs) {
	if l == AVX512 || l == AVX512VNNI {
		amd64.Pair64AVX512((*amd64.PairArgs)(a))
		return
	}
	pairGo(a)
}

// turnFront turns 8 rows of n columns and returns how many columns are done.
func turnFront(l Level, dst, src []float32, n, dstLD, srcLD int) int {
	if n &^= 7; n == 0 || l == Generic {
		return 0
	}
	_, _ = dst[(n-1)*dstLD+7], src[7*srcLD+n-1]
	amd64.Turn8AVX2(pointer(dst), pointer(src), uintptr(n), uintptr(4*dstLD), uintptr(4*srcLD))
	return n
}

func sgdFront(l Level, p, g, v []float32, lr, momentum, decay float32) int {
	n := len(p) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.SGDStepAVX2(pointer(p), pointer(g), pointer(v), uintptr(n), lr, momentum, decay)
	return n
}

func adamFront(l Level, c *[8]float32, p, g, m, v []float32) int {
	n := len(p) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	amd64.AdamWStepAVX2(pointer(p), pointer(g), pointer(m), pointer(v), uintptr(n), c)
	return n
}

func rangeBitsFront(l Level, bits []byte, y []float32, lo, hi float32) int {
	n := len(y) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	_ = bits[n/8-1]
	amd64.RangeBitsAVX2(unsafe.Pointer(&bits[0]), pointer(y), uintptr(n), lo, hi)
	return n
}

func keepBitsFront(l Level, dy []float32, bits []byte) int {
	n := len(dy) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	_ = bits[n/8-1]
	amd64.KeepBitsAVX2(pointer(dy), unsafe.Pointer(&bits[0]), uintptr(n))
	return n
}

func maxTapFront(l Level, dst []float32, won []uint8, src []float32, off []int32) int {
	n := len(dst) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	_ = src[int(slices.Max(off))+n-1]
	amd64.MaxTapAVX2(pointer(dst), pointer(won), pointer(src), &off[0], uintptr(len(off)), uintptr(n))
	return n
}

func maxTapGradFront(l Level, dx, dy []float32, won []uint8, off []int32, add bool) int {
	n := len(dy) &^ 7
	if l < AVX2 || n == 0 {
		return 0
	}
	_, _ = dx[int(slices.Max(off))+n-1], won[n-1]
	sum := uintptr(0)
	if add {
		sum = 1
	}
	amd64.MaxTapGradAVX2(pointer(dx), pointer(dy), pointer(won), &off[0], uintptr(len(off)), uintptr(n), sum)
	return n
}

//go:build arm64 && !purego

package kernels

import (
	"slices"
	"unsafe"

	"github.com/whet-edge/whet/kernels/arm64"
)

// outer cuts the tile into pieces that a kernel computes, and leaves the rest to outerGo.
func outer(l Level, a *outerArgs) {
	if l == Generic {
		outerGo(a)
		return
	}
	rows, lanes := uintptr(4), uintptr(8)
	if a.M == 1 {
		rows, lanes = 1, tileCols
	}
	for m := uintptr(0); m < a.M; m += rows {
		for n := uintptr(0); n < a.N; n += lanes {
			b := *a
			b.M, b.N = rows, min(lanes, a.N-n)
			b.A, b.B = unsafe.Add(a.A, 4*m), unsafe.Add(a.B, 4*n)
			b.S = unsafe.Add(a.S, 4*(m*tileCols+n))
			if a.Last {
				b.C = unsafe.Add(a.C, m*a.LDC+4*n)
			}
			switch {
			case b.N < lanes:
				outerGo(&b)
			case rows == 1:
				arm64.Outer1x32NEON((*arm64.OuterArgs)(&b))
			default:
				arm64.Outer4x8NEON((*arm64.OuterArgs)(&b))
			}
		}
	}
}

func pair(l Level, a *pairArgs) {
	b := *a
	for ; l != Generic && b.N >= 16; b.N -= 16 {
		arm64.Pair16NEON((*arm64.PairArgs)(&b))
		b.A, b.B, b.S = unsafe.Add(b.A, 64), unsafe.Add(b.B, 64), unsafe.Add(b.S, 64)
	}
	if b.N > 0 {
		pairGo(&b)
	}
}

// turnFront turns 8 rows of n columns and returns how many columns are done.
func turnFront(l Level, dst, src []float32, n, dstLD, srcLD int) int {
	if n &^= 3; n == 0 || l == Generic {
		return 0
	}
	_, _ = dst[(n-1)*dstLD+7], src[7*srcLD+n-1]
	arm64.Turn8NEON(pointer(dst), pointer(src), uintptr(n), uintptr(4*dstLD), uintptr(4*srcLD))
	return n
}

func sgdFront(l Level, p, g, v []float32, lr, momentum, decay float32) int {
	n := len(p) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	arm64.SGDStepNEON(pointer(p), pointer(g), pointer(v), uintptr(n), lr, momentum, decay)
	return n
}

func adamFront(l Level, c *[8]float32, p, g, m, v []float32) int {
	n := len(p) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	arm64.AdamWStepNEON(pointer(p), pointer(g), pointer(m), pointer(v), uintptr(n), c)
	return n
}

func rangeBitsFront(l Level, bits []byte, y []float32, lo, hi float32) int {
	n := len(y) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	_ = bits[n/8-1]
	arm64.RangeBitsNEON(unsafe.Pointer(&bits[0]), pointer(y), uintptr(n), lo, hi)
	return n
}

func keepBitsFront(l Level, dy []float32, bits []byte) int {
	n := len(dy) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	_ = bits[n/8-1]
	arm64.KeepBitsNEON(pointer(dy), unsafe.Pointer(&bits[0]), uintptr(n))
	return n
}

func maxTapFront(l Level, dst []float32, won []uint8, src []float32, off []int32) int {
	n := len(dst) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	_ = src[int(slices.Max(off))+n-1]
	arm64.MaxTapNEON(pointer(dst), pointer(won), pointer(src), &off[0], uintptr(len(off)), uintptr(n))
	return n
}

func maxTapGradFront(l Level, dx, dy []float32, won []uint8, off []int32, add bool) int {
	n := len(dy) &^ 7
	if l == Generic || n == 0 {
		return 0
	}
	_, _ = dx[int(slices.Max(off))+n-1], won[n-1]
	sum := uintptr(0)
	if add {
		sum = 1
	}
	arm64.MaxTapGradNEON(pointer(dx), pointer(dy), pointer(won), &off[0], uintptr(len(off)), uintptr(n), sum)
	return n
}

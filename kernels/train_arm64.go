//go:build arm64 && !purego

package kernels

import (
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

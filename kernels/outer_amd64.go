//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

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

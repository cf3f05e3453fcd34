//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

// qdwByColumns and dwByColumns do windows at horizontal stride 1. Their Off is
// [Pixels+KW-1][KH]: the offsets of every input column.

func qdwByColumns(l Level, a *qDWArgs) {
	switch l {
	case AVX512VNNI:
		amd64.QDepthwiseColumns32VNNI((*amd64.QDWArgs)(a))
	}
}

func dwByColumns(l Level, a *dwArgs) {
	switch l {
	case AVX512, AVX512VNNI:
		if a.Taps == 25 {
			amd64.DepthwiseColumns5x5AVX512((*amd64.DWArgs)(a))
		} else {
			amd64.DepthwiseColumns32AVX512((*amd64.DWArgs)(a))
		}
	}
}

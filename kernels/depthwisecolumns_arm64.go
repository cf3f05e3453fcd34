//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

// qdwByColumns and dwByColumns do 3x3 windows at horizontal stride 1. Their Off
// is [Pixels+2][3]: the offsets of every input column.

func qdwByColumns(l Level, a *qDWArgs) {
	switch l {
	case NEON:
		arm64.QDepthwiseColumnsNEON((*arm64.QDWArgs)(a))
	case Dotprod, I8MM:
		arm64.QDepthwiseColumnsDotprod((*arm64.QDWArgs)(a))
	}
}

func dwByColumns(_ Level, a *dwArgs) { arm64.DepthwiseColumnsNEON((*arm64.DWArgs)(a)) }

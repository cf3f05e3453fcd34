//go:build arm64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/arm64"

// fgemvShape returns the tile of the level's float32 kernel for products of one
// row, if it has one. A row that shares its tile with no other leaves the
// latency of its additions in the open unless many columns are summed side by
// side.
func fgemvShape(l Level) (gemmShape, bool) {
	return gemmShape{mr: 1, nr: arm64.GemvNEONNR, kr: 1}, l != Generic
}

func gemv(_ Level, a *gemmArgs) { arm64.Gemv32NEON((*arm64.GemmArgs)(a)) }

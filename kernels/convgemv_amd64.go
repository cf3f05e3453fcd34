//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

// fgemvShape returns the tile of the level's float32 kernel for products of one
// row, if it has one. A row that shares its tile with no other leaves the
// latency of its additions in the open unless many columns are summed side by
// side. With 512 bits the common tile has enough of them.
func fgemvShape(l Level) (gemmShape, bool) {
	return gemmShape{mr: 1, nr: 64, kr: 1}, l == AVX2 || l == AVXVNNI
}

func gemv(_ Level, a *gemmArgs) { amd64.Gemv64AVX2((*amd64.GemmArgs)(a)) }

//go:build amd64 && !purego

package kernels

import "github.com/whet-edge/whet/kernels/amd64"

// hasRowSums tells that the level has a kernel for the sums of a tile's rows.
func hasRowSums(l Level) bool { return l == AVX512VNNI }

// rowSums sums the first run elements of every tap of each row of the tile.
func rowSums(a *qGemmArgs, run int, sums []int32) {
	amd64.QRowSumsVNNI((*amd64.QGemmArgs)(a), uintptr(run), &sums[0])
}

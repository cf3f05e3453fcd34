//go:build !purego

package arm64

// Tile sizes of the int8 kernels: MR rows, NR columns, KR consecutive k a column.
const (
	QGemmNEONMR = 16
	QGemmNEONNR = 8
	QGemmNEONKR = 8

	QGemmDotprodMR = 12
	QGemmDotprodNR = 16
	QGemmDotprodKR = 4

	QGemmI8MMMR = 4
	QGemmI8MMNR = 16
	QGemmI8MMKR = 8
)

// The kernels below compute, with the tile sizes of their level, for every row
// r < Rows and column n < Cols
//
//	acc := bias[n] + Corr[r]
//	for t := range Taps {
//		row := A + Off[t*MR+r], or Pad where the offset is -1
//		for k := range KC {
//			acc += int32(row[k]) * int32(w[t][k/KR][n][k%KR])
//		}
//	}
//	C[r*LDC+n] = int8(Zero + int32(rne(clamp(float32(acc)*scale[n], Lo, Hi))))
//
// exactly, for all int8 values, with sums modulo 2^32. Lo, Hi are integers, so the
// clamp may follow the rounding.

// QGemm2x8c8NEON is the tile of ARMv8.0. It goes over its rows in twos: what a call
// costs is shared by all, and they find the panel in the first cache.
//
//go:noescape
func QGemm2x8c8NEON(a *QGemmArgs)

// QGemm2x8c8PairsNEON is QGemm2x8c8NEON for weights above -128 and KC >= 16.
//
//go:noescape
func QGemm2x8c8PairsNEON(a *QGemmArgs)

// QGemm1x8c8NEON is QGemm2x8c8NEON for Rows == 1. Off keeps its MR entries a tap.
//
//go:noescape
func QGemm1x8c8NEON(a *QGemmArgs)

// QGemm4x16c4Dotprod is the tile of the dot product extension. It goes over its rows in
// fours.
//
//go:noescape
func QGemm4x16c4Dotprod(a *QGemmArgs)

// QGemm1x16c4Dotprod is QGemm4x16c4Dotprod for Rows == 1. Off keeps its MR
// entries a tap.
//
//go:noescape
func QGemm1x16c4Dotprod(a *QGemmArgs)

// QGemm4x16c8I8MM is the tile of the int8 matrix multiply extension.
//
//go:noescape
func QGemm4x16c8I8MM(a *QGemmArgs)

// QGemm2x16c8I8MM is QGemm4x16c8I8MM for Rows <= 2. Off keeps its four entries a
// tap.
//
//go:noescape
func QGemm2x16c8I8MM(a *QGemmArgs)

//go:build !purego

package arm64

// Channels in a block of packed depthwise weights.
const (
	QDepthwiseNEONCB = 16
	DepthwiseNEONCB  = 8
)

// QDepthwiseNEON computes, for every pixel p < Pixels and channel c < C
//
//	acc := bias[c]
//	for t := range Taps {
//		row := A + Off[p*Taps+t], or Pad where the offset is -1
//		acc += int32(row[c]) * int32(w[t][c])
//	}
//	Out[p*LDC+c] = int8(Zero + int32(rne(clamp(float32(acc)*scale[c], Lo, Hi))))
//
// It neither reads nor writes past channel C of a pixel, whatever C is.
//
//go:noescape
func QDepthwiseNEON(a *QDWArgs)

// QDepthwise9NEON is QDepthwiseNEON for Taps == 9 and C >= 16, which keeps the
// addresses of the nine taps in registers.
//
//go:noescape
func QDepthwise9NEON(a *QDWArgs)

// QDepthwiseColumnsNEON is QDepthwiseNEON for 3x3 windows at horizontal stride 1. Off
// is [Pixels+2][3], the offsets of the input columns: pixel p has columns p to p+2,
// tap 3*kh+kw is row kh of column p+kw.
//
//go:noescape
func QDepthwiseColumnsNEON(a *QDWArgs)

// QDepthwiseColumnsDotprod is QDepthwiseColumnsNEON for the dot product extension.
//
//go:noescape
func QDepthwiseColumnsDotprod(a *QDWArgs)

// DepthwiseNEON computes, for every pixel p < Pixels and channel c < C
//
//	acc := float32(0)
//	for t := range Taps {
//		row := A + Off[p*Taps+t], or Pad where the offset is -1
//		acc = fma(row[c], w[t][c], acc)
//	}
//	x := acc + bias[c]
//	if x < Lo { x = Lo }
//	if x > Hi { x = Hi }
//	Out[p*LDC+c] = x
//
// It neither reads nor writes past channel C of a pixel, whatever C is.
//
//go:noescape
func DepthwiseNEON(a *DWArgs)

// DepthwiseColumnsNEON is DepthwiseNEON for 3x3 windows at horizontal stride 1. Off is
// [Pixels+2][3], as for [QDepthwiseColumnsNEON].
//
//go:noescape
func DepthwiseColumnsNEON(a *DWArgs)

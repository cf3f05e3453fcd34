//go:build !purego

package amd64

// QDepthwise32VNNI computes a run of pixels of an int8 depthwise convolution
// with AVX-512 VNNI, 32 channels at a time, the last block under a mask. The
// weights are packed in pairs of taps (see the assembly). It equals
//
//	for p := range Pixels { for c := range C {
//		acc := bias[c]
//		for t := range Taps { acc += A[Off[p][t]+c] * W[t][c] }
//		Out[p][c] = Zero + rne(clamp(float32(acc)*scale[c], Lo, Hi))
//	} }
//
//go:noescape
func QDepthwise32VNNI(a *QDWArgs)

// Depthwise32AVX512 computes a run of pixels of a float32 depthwise
// convolution, 32 channels at a time, the last block under a mask. It equals
//
//	for p := range Pixels { for c := range C {
//		var acc float32
//		for t := range Taps { acc = fma(A[Off[p][t]+c], W[t][c], acc) }
//		Out[p][c] = clamp(acc+bias[c], Lo, Hi)
//	} }
//
//go:noescape
func Depthwise32AVX512(a *DWArgs)

// QDepthwise16AVX2 computes a run of pixels of an int8 depthwise convolution
// with AVX2, 16 channels at a time; C is a multiple of 16. The weights are
// packed in pairs of taps. It equals the loop of QDepthwise32VNNI.
//
//go:noescape
func QDepthwise16AVX2(a *QDWArgs)

// Depthwise16AVX2 computes a run of pixels of a float32 depthwise convolution
// with AVX2 and FMA, 16 channels at a time; C is a multiple of 16. It equals
// the loop of Depthwise32AVX512.
//
//go:noescape
func Depthwise16AVX2(a *DWArgs)

// QDepthwiseColumns32VNNI computes a run of pixels of an int8 3x3 depthwise
// convolution at horizontal stride 1, 32 channels at a time, the last block
// under a mask. Off is [Pixels+2][3], the offsets of every input column. It equals
//
//	for p := range Pixels { for c := range C {
//		acc := bias[c]
//		for kh := range 3 { for kw := range 3 { acc += A[Off[p+kw][kh]+c] * W[kh][kw][c] } }
//		Out[p][c] = Zero + rne(clamp(float32(acc)*scale[c], Lo, Hi))
//	} }
//
//go:noescape
func QDepthwiseColumns32VNNI(a *QDWArgs)

// DepthwiseColumns32AVX512 computes a run of pixels of a float32 3x3 depthwise
// convolution at horizontal stride 1, 32 channels a block, the last under a
// mask. Off is [Pixels+2][3], the offsets of every input column. It equals
//
//	for p := range Pixels { for c := range C {
//		var acc float32
//		for kh := range 3 { for kw := range 3 { acc = fma(A[Off[p+kw][kh]+c], W[kh][kw][c], acc) } }
//		Out[p][c] = clamp(acc+bias[c], Lo, Hi)
//	} }
//
//go:noescape
func DepthwiseColumns32AVX512(a *DWArgs)

// DepthwiseColumns5x5AVX512 does the same for 5x5 windows: Off is [Pixels+4][5].
//
//go:noescape
func DepthwiseColumns5x5AVX512(a *DWArgs)

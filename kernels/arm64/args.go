package arm64

import "unsafe"

// The structs are the micro-kernel ABI of package kernels, which converts its
// own, identical types to these.

// QGemmArgs describes one tile of an int8 matrix product or indirect
// convolution: up to MR rows (output pixels) by NR columns (output channels).
type QGemmArgs struct {
	A    unsafe.Pointer // base of the input, int8
	Pad  unsafe.Pointer // KC bytes that stand for a padded tap
	Off  *int32         // [Taps][MR] byte offsets from A, -1 for Pad; rows from Rows on repeat the last valid one
	Taps uintptr
	KC   uintptr        // bytes a tap, a multiple of KR
	W    unsafe.Pointer // the panel: [NR]int32 bias, [Taps][KC/KR][NR][KR]int8, [NR]float32 scale
	C    unsafe.Pointer // output tile, int8 (int32 if Raw)
	LDC  uintptr        // bytes from one output row to the next
	Rows uintptr        // valid rows, 1..MR
	Cols uintptr        // valid columns, 1..NR; nothing outside Rows x Cols is written
	Corr *int32         // [MR] added to all sums of the row; nil for none
	Lo   float32        // lowest output code minus Zero, an integer
	Hi   float32        // highest output code minus Zero, an integer
	Zero int32          // zero point of the output
	Raw  uint32         // 1: C receives the int32 sums; scale, Lo, Hi, Zero are not used
	Step uintptr        // 0, as Left and Residual: no kernel here takes them
	Next unsafe.Pointer
	Left uintptr

	Residual uintptr
	Sum      unsafe.Pointer
	Second   uint32
	Least    int32
	Most     int32

	Pairs uint32 // 1: no weight is -128
}

// GemmArgs describes one tile of a float32 matrix product or indirect
// convolution.
type GemmArgs struct {
	A    unsafe.Pointer // base of the input, float32
	Pad  unsafe.Pointer // KC zeros
	Off  *int32         // [Taps][MR] byte offsets from A, -1 for Pad; rows from Rows on repeat the last valid one
	Taps uintptr
	KC   uintptr        // floats a tap
	W    unsafe.Pointer // the panel: [NR]float32 bias, [Taps][KC][NR]float32
	C    unsafe.Pointer // output tile, float32
	LDC  uintptr        // bytes from one output row to the next
	Rows uintptr        // valid rows, 1..MR
	Cols uintptr        // valid columns, 1..NR; nothing outside Rows x Cols is written
	Lo   float32
	Hi   float32 // not -0
}

// QDWArgs describes a run of output pixels of an int8 depthwise convolution. W
// is a sequence of blocks of CB channels, each [CB]int32 bias, [Taps][CB]int16
// weights, [CB]float32 scale, padded with zeros to whole blocks.
type QDWArgs struct {
	A      unsafe.Pointer // base of the input, int8
	Pad    unsafe.Pointer // C bytes that stand for a padded tap
	Off    *int32         // [Pixels][Taps] byte offsets from A, -1 for Pad
	Taps   uintptr
	C      uintptr // channels
	W      unsafe.Pointer
	Out    unsafe.Pointer // int8
	LDC    uintptr        // bytes from one output pixel to the next
	Pixels uintptr        // at least 1
	Lo     float32
	Hi     float32
	Zero   int32
}

// DWArgs describes a run of output pixels of a float32 depthwise convolution. W
// is a sequence of blocks [CB]float32 bias, [Taps][CB]float32.
type DWArgs struct {
	A      unsafe.Pointer // base of the input, float32
	Pad    unsafe.Pointer // C zeros
	Off    *int32         // [Pixels][Taps] byte offsets from A, -1 for Pad
	Taps   uintptr
	C      uintptr // channels
	W      unsafe.Pointer
	Out    unsafe.Pointer // float32
	LDC    uintptr        // bytes from one output pixel to the next
	Pixels uintptr        // at least 1
	Lo     float32
	Hi     float32 // not -0
}

// WinogradArgs describes the transform of one tile of N channels, a multiple of 8. The
// input transform reads 6x6 pixels and writes 36 points, the output transform reads the
// points and writes 4x4 pixels.
type WinogradArgs struct {
	Tile   unsafe.Pointer // pixel (0, 0), float32
	Row    uintptr        // bytes from one row of pixels to the next
	Pixel  uintptr        // bytes from one pixel to the next
	Points unsafe.Pointer // point (0, 0), float32; point (i, j) is the (6i+j)-th
	Step   uintptr        // bytes from one point to the next
	N      uintptr
	Bias   unsafe.Pointer // output only: [N]float32
	Lo     float32        // output only
	Hi     float32        // output only; not -0
}

// OuterArgs describes a tile of a weight gradient: S[m][n] (+)= the sum over positions
// of A[m]*B[n].
type OuterArgs struct {
	A, B        unsafe.Pointer // of the first position, float32
	ACol, ARow  uintptr        // bytes from one position to the next of a row, and from one row to the next
	BCol, BRow  uintptr
	Cols, Rows  uintptr // positions
	M, N        uintptr // rows and lanes
	S           unsafe.Pointer
	C           unsafe.Pointer // what the sums are added to if Last
	LDC         uintptr        // bytes from one row of C to the next
	First, Last bool           // the sums start from +0, not from S; they go to C, not to S
}

// PairArgs describes the weight gradient of a tap of a depthwise convolution: S[n] += the
// sum over positions of A[n]*B[n].
type PairArgs struct {
	A, B       unsafe.Pointer // of the first position, float32
	ACol, ARow uintptr        // bytes from one position to the next of a row, and from one row to the next
	BCol, BRow uintptr
	Cols, Rows uintptr // positions
	N          uintptr // lanes
	S          unsafe.Pointer
}

// BlockArgs describes one row by up to NR columns of a float32 product with a panel of
// codes in blocks.
type BlockArgs struct {
	A     unsafe.Pointer // [K]float32
	W     unsafe.Pointer // the panel
	C     unsafe.Pointer // float32
	K     uintptr
	Block uintptr // k of a block; the last one may be shorter
	Cols  uintptr // valid columns, 1..NR; nothing outside is written
	Lo    float32
	Hi    float32
}

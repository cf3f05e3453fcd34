package kernels

import "unsafe"

// The structs below are the ABI of the micro-kernels. kernels/amd64 and
// kernels/arm64 declare the same structs (they import nothing of ours); the
// dispatch in micro_<arch>.go converts between the identical types.
//
// A micro-kernel computes one tile: up to MR rows (output pixels) by up to NR
// columns (output channels). It reads the input in place, through a table of
// byte offsets for each tap of the convolution kernel (indirect convolution,
// Dukhan 2019, arXiv:1907.02129), so there is no im2col copy; see convPlan and
// dwPlan for what the offsets point at.

// qGemmArgs describes one tile of an int8 matrix product or convolution:
//
//	acc[r][n] = bias'[n] + Corr[r] + Σ over taps t, k of A[Off[t][r]+k] · W[t][k][n]
//	C[r][n]   = Zero + int32(rne(clamp(float32(acc)·scale[n], Lo, Hi)))
type qGemmArgs struct {
	A    unsafe.Pointer // base of the input, int8
	Pad  unsafe.Pointer // KC bytes of the input's zero point: the row that stands for padding
	Off  *int32         // [Taps][MR] byte offsets from A, -1 for Pad; rows from Rows on repeat the last valid one
	Taps uintptr
	KC   uintptr        // bytes a tap, a multiple of KR
	W    unsafe.Pointer // the panel: [NR]int32 bias', [Taps][KC/KR][NR][KR]int8, [NR]float32 scale
	C    unsafe.Pointer // output tile, int8 (int32 if Raw)
	LDC  uintptr        // bytes from one output row to the next
	Rows uintptr        // valid rows, 1..MR
	Cols uintptr        // valid columns, 1..NR; nothing outside Rows x Cols is written. With gemmShape.lists, one row and not Raw also more: panels lie one behind the other
	Corr *int32         // [MR] added to all sums of the row; nil for none
	Lo   float32        // lowest output code minus Zero
	Hi   float32        // highest output code minus Zero
	Zero int32          // zero point of the output
	Raw  uint32         // 1: C receives the int32 sums themselves; scale, Lo, Hi, Zero are not used
	Step uintptr        // not 0 (gemmShape.flat only): the input holds x^0x80, no row is Pad, a tap lies Step bytes behind the one before
	Next unsafe.Pointer // gemmShape.lists only: the [Left]qTile that follow this tile of MR rows; each result lies below the one before
	Left uintptr

	// gemmShape.adds only: with Residual not 0, C is the sum of the code above and of the one that
	// lies Residual bytes behind it, as Sum (the struct of QAdd) says; Second: the code is
	// the second operand.
	Residual uintptr
	Sum      unsafe.Pointer
	Second   uint32

	// gemmShape.lists only: Lo and Hi plus Zero, for a kernel that clamps codes. What comes from
	// memory need not pass through general registers, which would wait for the sums.
	Least, Most int32

	Pairs uint32 // gemmShape.pairs only: 1 if no weight is -128, so that two products fit int16
}

// The same struct describes a tile of a 16x8 product, whose KR counts int16 and whose
// KC still counts bytes; what is not named here is zero:
//
//	acc[r][n] = bias[n] + Σ over taps t, k of A[Off[t][r]+k] · W[t][k][n]    int32, which every sum fits
//	C[r][n]   = int16(clamp(rne(float64(acc)·scale[n]), Lo, Hi))             the product fits int32
//
// There W is [NR]float64 scale, [NR]int32 bias, [Taps][KC/2/KR][NR][KR]int8, and Raw
// gives the sums.

// A qTile is what one tile of a list reads: A and Off of [qGemmArgs]. They are
// plain numbers, for the list lies in scratch: what they point at is kept alive
// by the caller's slices and the plan.
type qTile struct{ a, off uintptr }

// gemmArgs describes one tile of a float32 matrix product or convolution:
//
//	acc[r][n] = one chain of fused multiply-adds from +0, taps ascending, then k
//	C[r][n]   = clamp(acc + bias[n]): x<Lo ? Lo : x, then x>Hi ? Hi : x
type gemmArgs struct {
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
	Hi   float32
}

// qDWArgs describes a run of output pixels of an int8 depthwise convolution.
//
//	acc[p][c] = bias'[c] + Σ over taps t of A[Off[p][t]+c] · W[t][c]
//	Out[p][c] = Zero + int32(rne(clamp(float32(acc)·scale[c], Lo, Hi)))
//
// W is a sequence of blocks of CB channels, each [CB]int32 bias',
// [Taps][CB]int16 weights minus their zero point, [CB]float32 scale, padded
// with zeros to whole blocks; dwShape.pairs packs the weights as pairs of taps.
// C is a multiple of CB unless the level's dwShape says that its kernels mask
// the tail.
//
// For int16 codes (16x8) the scales are float64 and Zero is 0:
//
//	Out[p][c] = int16(clamp(rne(float64(acc)·scale[c]), Lo, Hi))             the product fits int32
type qDWArgs struct {
	A      unsafe.Pointer // base of the input, int8
	Pad    unsafe.Pointer // C bytes of the input's zero point
	Off    *int32         // [Pixels][Taps] byte offsets from A, -1 for Pad
	Taps   uintptr
	C      uintptr // channels
	W      unsafe.Pointer
	Out    unsafe.Pointer // int8
	LDC    uintptr        // bytes from one output pixel to the next
	Pixels uintptr
	Lo     float32
	Hi     float32
	Zero   int32
}

// dwArgs describes a run of output pixels of a float32 depthwise convolution:
// a chain of fused multiply-adds from +0 over the taps, then bias and clamp.
// W is a sequence of blocks [CB]float32 bias, [Taps][CB]float32.
type dwArgs struct {
	A      unsafe.Pointer // base of the input, float32
	Pad    unsafe.Pointer // C zeros
	Off    *int32         // [Pixels][Taps] byte offsets from A, -1 for Pad
	Taps   uintptr
	C      uintptr // channels
	W      unsafe.Pointer
	Out    unsafe.Pointer // float32
	LDC    uintptr        // bytes from one output pixel to the next
	Pixels uintptr
	Lo     float32
	Hi     float32
}

// gemmShape is the tile of a level's matrix micro-kernel.
type gemmShape struct {
	mr, nr int
	kr     int  // consecutive k that lie side by side for one channel; 1 for float32
	near   bool // tasks are cut so that their input and output stay in L1
	wide   bool // the panel's weights are int16
	below1 bool // the kernel needs scales below 1; int8 scales seldom are not
	flat   bool // the kernel takes qGemmArgs.Step
	adds   bool // the kernel takes qGemmArgs.Residual
	lists  bool // the kernel takes qGemmArgs.Next and Left
	pairs  bool // the kernel takes qGemmArgs.Pairs
	u8     bool // the kernel reads x as uint8(x^0x80) = x+128: the packer folds -128·Σw into bias'
}

// dwShape is the channel block of a level's depthwise micro-kernel.
type dwShape struct {
	cb       int
	mask     bool // the kernel masks the last block: C need not be a multiple of cb
	pairs    bool // int8: weights are packed as pairs of taps, channels in the order of dwLane
	columns  bool // there is a kernel for 3x3 windows by columns too
	columns5 bool // and one for 5x5 windows
}

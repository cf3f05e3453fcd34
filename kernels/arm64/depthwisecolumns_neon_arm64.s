//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// 3x3 depthwise convolution at horizontal stride 1, eight channels at a time. An
// input column is loaded once and serves three pixels; two pixels are summed side by
// side, in V12, V13 and V14, V15.
//
// R0 are the arguments, R1 the offsets of the next column, R4 and R5 the bases of
// offsets >= 0 and of -1 (A and Pad+1, plus the channel), R6 the pixels left, R7 the
// channels left, R8 the output, R14 LDC, R21 the bias and behind it the scales, R22
// the weights, R23 the channel.
//
// Weights that fit int8 (all but some with a zero point) are multiplied as such. At
// the first eight channels with weights that do not fit, the kernels leave the rest
// to wide, which multiplies int16.

// LOAD(x, y, z) loads the three rows of the next column.
#define LOAD(x, y, z) \
	MOVW.P 12(R1), R10; \
	MOVW -8(R1), R11; \
	MOVW -4(R1), R12; \
	CMP  $0, R10; \
	CSEL LT, R5, R4, R16; \
	CMP  $0, R11; \
	CSEL LT, R5, R4, R17; \
	CMP  $0, R12; \
	CSEL LT, R5, R4, R19; \
	LDRD_X(10, 16, x); \
	LDRD_X(11, 17, y); \
	LDRD_X(12, 19, z)

// LOAD_PART(x, y, z) does so for the last R7 < 8 channels. Eight bytes that end with
// the last channel stay inside the pixel unless C < 8: R24 is where they begin, R25
// the shift that drops those before the tail. R26 is not 0 if C < 8.
#define LOAD_PART(x, y, z) \
	LOAD_PART_TAP(x); \
	LOAD_PART_TAP(y); \
	LOAD_PART_TAP(z)

#define LOAD_PART_TAP(x) \
	MOVW.P 4(R1), R10; \
	CMP  $0, R10; \
	CSEL LT, R5, R4, R16; \
	ADD  R10, R16; \
	CBNZ R26, 4(PC); \
	MOVD (R16)(R24), R19; \
	LSR  R25, R19, R19; \
	B    7(PC); \
	MOVD R7, R20; \
	MOVD ZR, R19; \
	SUBS $1, R20; \
	MOVBU (R16)(R20), R17; \
	ORR  R19<<8, R17, R19; \
	BNE  -3(PC); \
	FMOVD_X(19, x)

#define PART_CONSTANTS \
	MOVD QDWArgs_C(R0), R26; \
	CMP  $8, R26; \
	CSET LT, R26; \
	SUB  $8, R7, R24; \
	NEG  R24<<3, R25

#define STORE(f) \
	FMOVD f, (R8); \
	ADD   R14, R8

#define STORE_PART \
	MOVD R8, R19; \
	STORE_BELOW_8(V12, R19, R7); \
	ADD  R14, R8

// START sets the sums of two pixels to the bias.
#define START \
	FLDPQ (R21), (F12, F13); \
	FLDPQ (R21), (F14, F15)

// CODES makes the codes of two pixels in the halves of V12, in two steps. Clobbers
// V25, V26.
#define SCALE \
	FLDPQ 352(R21), (F25, F26); \
	SCVTF_4S(12, 12); \
	SCVTF_4S(13, 13); \
	SCVTF_4S(14, 14); \
	SCVTF_4S(15, 15); \
	FMUL_4S(25, 12, 12); \
	FMUL_4S(26, 13, 13); \
	FMUL_4S(25, 14, 14); \
	FMUL_4S(26, 15, 15)

#define CODES \
	SCALE; \
	ROUND_16(12, 13, 14, 15)

#define STORE_2 \
	VEXT $8, V12.B16, V12.B16, V13.B16; \
	STORE(F12); \
	STORE(F13)

// PIXELS does all pixels of eight channels. column(load, c) loads a column to
// registers from c on, a, b, c and d in turn; sums(a, b, c, d) sums two pixels. The
// columns of the next two pixels are loaded before the codes of these are finished,
// for the cores that issue in order.
#define PIXELS(column, sums, a, b, c, d) \
	column(LOAD, a); \
	column(LOAD, b); \
	SUBS $2, R6; \
	BLT  odd; \
	column(LOAD, c); \
	column(LOAD, d); \
pair: \
	START; \
	sums(a, b, c, d); \
	SUBS $2, R6; \
	BLT  last; \
	column(LOAD, a); \
	SCALE; \
	column(LOAD, b); \
	ROUND_16(12, 13, 14, 15); \
	STORE_2; \
	START; \
	sums(c, d, a, b); \
	SUBS $2, R6; \
	BLT  swapped; \
	column(LOAD, c); \
	SCALE; \
	column(LOAD, d); \
	ROUND_16(12, 13, 14, 15); \
	STORE_2; \
	B    pair; \
last: \
	CODES; \
	STORE_2; \
	ADDS $1, R6; \
	BNE  done; \
	column(LOAD, a); \
	START; \
	sums(c, d, a, b); \
	CODES; \
	STORE(F12); \
	B    done; \
swapped: \
	CODES; \
	STORE_2; \
odd: \
	ADDS $1, R6; \
	BNE  done; \
	column(LOAD, c); \
	START; \
	sums(a, b, c, d); \
	CODES; \
	STORE(F12); \
done:

// PART_PIXELS does all pixels of the last R7 < 8 channels, one after the other: few networks
// have such channels. shift moves columns b and c to a and b.
#define PART_PIXELS(column, sums, shift, a, b, c, d) \
	column(LOAD_PART, a); \
	column(LOAD_PART, b); \
pixel: \
	column(LOAD_PART, c); \
	START; \
	sums(a, b, c, d); \
	CODES; \
	STORE_PART; \
	shift; \
	SUBS $1, R6; \
	BNE  pixel

// SETUP prepares the first eight channels, CHANNELS the pixels of all of them.
#define SETUP \
	LOAD_CODE_RANGE(QDWArgs_Lo, QDWArgs_Hi, QDWArgs_Zero); \
	OUTPUT_CONSTANTS; \
	LDP  QDWArgs_A(R0), (R4, R5); \
	ADD  $1, R5; \
	LDP  QDWArgs_C(R0), (R7, R21); \
	ADD  $64, R21, R22; \
	MOVD ZR, R23

#define CHANNELS \
	LDP   QDWArgs_Out(R0), (R8, R14); \
	ADD   R23, R8; \
	MOVD  QDWArgs_Off(R0), R1; \
	MOVD  QDWArgs_Pixels(R0), R6

// NEXT goes on to the next eight channels.
#define NEXT(channels, end) \
	SUBS $8, R7; \
	BEQ  end; \
	ADD  $8, R4; \
	ADD  $8, R5; \
	ADD  $8, R23; \
	ADD  $32, R21; \
	ADD  $16, R22; \
	TBNZ $3, R23, channels; \
	ADD  $352, R21; \
	ADD  $384, R22; \
	B    channels

// The wide kernel: columns in V0-V2, V3-V5, V6-V8, V9-V11 as int16, weights in
// V16-V24.

#define COLUMN_WIDE(load, c) \
	load(c+0, c+1, c+2); \
	SXTL_8H(c+0, c+0); \
	SXTL_8H(c+1, c+1); \
	SXTL_8H(c+2, c+2)

// SHIFT_3 moves two columns of three registers to the ones before.
#define SHIFT_3 \
	VMOV V3.B16, V0.B16; \
	VMOV V4.B16, V1.B16; \
	VMOV V5.B16, V2.B16; \
	VMOV V6.B16, V3.B16; \
	VMOV V7.B16, V4.B16; \
	VMOV V8.B16, V5.B16

#define TAP(w, x, y) \
	SMLAL_4S(w, x, 12); \
	SMLAL2_4S(w, x, 13); \
	SMLAL_4S(w, y, 14); \
	SMLAL2_4S(w, y, 15)

#define SUMS_WIDE(a, b, c, d) \
	TAP(16, a+0, b+0); \
	TAP(17, b+0, c+0); \
	TAP(18, c+0, d+0); \
	TAP(19, a+1, b+1); \
	TAP(20, b+1, c+1); \
	TAP(21, c+1, d+1); \
	TAP(22, a+2, b+2); \
	TAP(23, b+2, c+2); \
	TAP(24, c+2, d+2)

TEXT wide<>(SB), NOSPLIT|NOFRAME, $0-0
channels:
	CHANNELS
	FMOVQ (R22), F16
	FMOVQ 32(R22), F17
	FMOVQ 64(R22), F18
	FMOVQ 96(R22), F19
	FMOVQ 128(R22), F20
	FMOVQ 160(R22), F21
	FMOVQ 192(R22), F22
	FMOVQ 224(R22), F23
	FMOVQ 256(R22), F24
	CMP  $8, R7
	BLT  part
	PIXELS(COLUMN_WIDE, SUMS_WIDE, 0, 3, 6, 9)
	NEXT(channels, end)

part:
	PART_CONSTANTS
	PART_PIXELS(COLUMN_WIDE, SUMS_WIDE, SHIFT_3, 0, 3, 6, 9)

end:
	RET

// NARROW_WEIGHTS(narrow, misfit) makes the weights int8 in V16-V24, or goes to
// misfit. narrow(x, n) is SQXTN_8B or NARROW_127. Clobbers V0, V10, V11.
#define NARROW_WEIGHT(narrow, x, n) \
	FMOVQ x(R22), F0; \
	narrow(0, n); \
	SXTL_8H(n, 11); \
	EOR_16B(0, 11, 11); \
	VORR V11.B16, V10.B16, V10.B16

#define NARROW_WEIGHTS(narrow, misfit) \
	VMOVI $0, V10.B16; \
	NARROW_WEIGHT(narrow, 0, 16); \
	NARROW_WEIGHT(narrow, 32, 17); \
	NARROW_WEIGHT(narrow, 64, 18); \
	NARROW_WEIGHT(narrow, 96, 19); \
	NARROW_WEIGHT(narrow, 128, 20); \
	NARROW_WEIGHT(narrow, 160, 21); \
	NARROW_WEIGHT(narrow, 192, 22); \
	NARROW_WEIGHT(narrow, 224, 23); \
	NARROW_WEIGHT(narrow, 256, 24); \
	VMOV V10.D[0], R10; \
	VMOV V10.D[1], R11; \
	ORR  R10, R11; \
	CBNZ R11, misfit

// The kernel of ARMv8.0: columns in V0-V2, V3-V5, V6-V8, V9-V11, weights in V16-V24.
// Two products are summed in int16, which holds any two if no weight is -128.

#define NARROW_127(x, n) \
	SQXTN_8B(x, n); \
	SQNEG_8B(n, n); \                 // 128 becomes 127
	SQNEG_8B(n, n)

#define COLUMN_BYTES(load, c) load(c+0, c+1, c+2)

// ADD_2(p, q) adds products of the first pixel in p, of the second in q.
#define ADD_2(p, q) \
	SADDW_4S(p, 12, 12); \
	SADDW2_4S(p, 13, 13); \
	SADDW_4S(q, 14, 14); \
	SADDW2_4S(q, 15, 15)

#define SUMS_BYTES(a, b, c, d) \
	SMULL_8H(16, a+0, 25); \
	SMULL_8H(16, b+0, 26); \
	SMULL_8H(18, c+0, 27); \
	SMULL_8H(18, d+0, 31); \
	SMLAL_8H(17, b+0, 25); \
	SMLAL_8H(17, c+0, 26); \
	SMLAL_8H(19, a+1, 27); \
	SMLAL_8H(19, b+1, 31); \
	ADD_2(25, 26); \
	SMULL_8H(20, b+1, 25); \
	SMULL_8H(20, c+1, 26); \
	ADD_2(27, 31); \
	SMULL_8H(22, a+2, 27); \
	SMULL_8H(22, b+2, 31); \
	SMLAL_8H(21, c+1, 25); \
	SMLAL_8H(21, d+1, 26); \
	SMLAL_8H(23, b+2, 27); \
	SMLAL_8H(23, c+2, 31); \
	ADD_2(25, 26); \
	SMULL_8H(24, c+2, 25); \
	SMULL_8H(24, d+2, 26); \
	ADD_2(27, 31); \
	ADD_2(25, 26)

// func QDepthwiseColumnsNEON(a *QDWArgs)
TEXT ·QDepthwiseColumnsNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	SETUP

channels:
	NARROW_WEIGHTS(NARROW_127, misfit)
	CHANNELS
	CMP  $8, R7
	BLT  part
	PIXELS(COLUMN_BYTES, SUMS_BYTES, 0, 3, 6, 9)
	NEXT(channels, end)

part:
	PART_CONSTANTS
	PART_PIXELS(COLUMN_BYTES, SUMS_BYTES, SHIFT_3, 0, 3, 6, 9)

end:
	RET

misfit:
	B wide<>(SB)

// The kernel of the dot product extension: a column is four bytes a channel, rows 0
// to 2 and anything, which meets a zero: V16, V17 ... V22, V23. Weights alike: V0, V1
// of the first column, V2, V3 and V4, V5.

#define COLUMN_QUADS(load, c) \
	load(6, 7, 8); \
	ZIP1_16B(8, 6, 6); \
	ZIP1_16B(7, 7, 7); \
	ZIP1_16B(7, 6, c); \
	ZIP2_16B(7, 6, c+1)

#define SHIFT_2 \
	VMOV V18.B16, V16.B16; \
	VMOV V19.B16, V17.B16; \
	VMOV V20.B16, V18.B16; \
	VMOV V21.B16, V19.B16

#define DOT(w, x, y) \
	SDOT_4S(w, x, 12); \
	SDOT_4S(w+1, x+1, 13); \
	SDOT_4S(w, y, 14); \
	SDOT_4S(w+1, y+1, 15)

#define SUMS_QUADS(a, b, c, d) \
	DOT(0, a, b); \
	DOT(2, b, c); \
	DOT(4, c, d)

// WEIGHT_QUADS(x, y, z, w) interleaves the weights of a column. V11 is zero.
#define WEIGHT_QUADS(x, y, z, w) \
	ZIP1_16B(z, x, 6); \
	ZIP1_16B(11, y, 7); \
	ZIP1_16B(7, 6, w); \
	ZIP2_16B(7, 6, w+1)

// func QDepthwiseColumnsDotprod(a *QDWArgs)
TEXT ·QDepthwiseColumnsDotprod(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	SETUP

channels:
	NARROW_WEIGHTS(SQXTN_8B, misfit)
	CHANNELS
	VMOVI $0, V11.B16
	WEIGHT_QUADS(16, 19, 22, 0)
	WEIGHT_QUADS(17, 20, 23, 2)
	WEIGHT_QUADS(18, 21, 24, 4)
	CMP  $8, R7
	BLT  part
	PIXELS(COLUMN_QUADS, SUMS_QUADS, 16, 18, 20, 22)
	NEXT(channels, end)

part:
	PART_CONSTANTS
	PART_PIXELS(COLUMN_QUADS, SUMS_QUADS, SHIFT_2, 16, 18, 20, 22)

end:
	RET

misfit:
	B wide<>(SB)

//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"

// Float32 3x3 depthwise convolution at horizontal stride 1: four pixels at a time, so
// that an input is loaded once for up to three of them, and all their channels. The
// addresses of the six columns are in
//
//	row 0: R5  R8  R11 R14 R17 R21
//	row 1: R6  R9  R12 R15 R19 R22
//	row 2: R7  R10 R13 R16 R20 R23
//
// R0 are the arguments, R1 the offsets, R2 the pixels left, R3 the weights, R4 the
// channel in bytes, R24 the output, R25 the bytes from one pixel to the next.

// ROW(p) turns an offset into an address. R3 is A, R4 is Pad. Clobbers R26.
#define ROW(p) \
	CMP  $0, p; \
	ADD  p, R3, R26; \
	CSEL LT, R4, R26, p

// ROWS(p, q) loads two.
#define ROWS(p, q) \
	LDPSW.P 8(R1), (p, q); \
	ROW(p); \
	ROW(q)

// INPUT_3(load, k, a, b, c, x) loads three columns at register k to v<x> ... v<x+2>.
#define INPUT_3(load, k, a, b, c, x) \
	load(k, a, x+0); \
	load(k, b, x+1); \
	load(k, c, x+2)

// INPUT(load, a, b, c, d, e, f, x) loads a row of the columns to v<x> ... v<x+5>.
#define INPUT(load, a, b, c, d, e, f, x) \
	INPUT_3(load, 4, a, b, c, x); \
	INPUT_3(load, 4, d, e, f, x+3)

// FMA_TO(w, x, s) adds a tap of four pixels, whose first input is in v<x>, to
// v<s> ... v<s+3>.
#define FMA_TO(w, x, s) \
	FMLA_4S(x+0, w, s+0); \
	FMLA_4S(x+1, w, s+1); \
	FMLA_4S(x+2, w, s+2); \
	FMLA_4S(x+3, w, s+3)

#define FMA_4(w, x) FMA_TO(w, x, 0)

// ROW_8(a, b, c, d, e, f, w) does a row of taps of eight channels: the first four in
// V16-V21 to V0-V3, the others, at R26, in V22-V27 to V4-V7.
#define ROW_8(a, b, c, d, e, f, w) \
	INPUT(LDRQ_X, a, b, c, d, e, f, 16); \
	LOAD_2(w+0, F8, F9); \
	LOAD_2(w+32, F10, F11); \
	FMA_TO(8, 16, 0); \
	INPUT_3(LDRQ_X, 26, a, b, c, 22); \
	INPUT_3(LDRQ_X, 26, d, e, f, 25); \
	FMA_TO(9, 22, 4); \
	LOAD_2(w+64, F12, F13); \
	FMA_TO(10, 17, 0); \
	FMA_TO(11, 23, 4); \
	FMA_TO(12, 18, 0); \
	FMA_TO(13, 24, 4)

// LOAD_2(w, x, y) loads eight weights at w(R3). Two loads take an out-of-order core no
// longer than one of a pair; to the Cortex-A55 a pair is six cycles.
#define LOAD_2(w, x, y) \
	FMOVQ w+0(R3), x; \
	FMOVQ w+16(R3), y

// CLAMP_4(x) clamps v<x> ... v<x+3> to V30, V31. FMAX(-0, +0) is +0, where the comparison
// leaves -0; FMIN differs from a comparison only for a bound of -0. Clobbers v<x+16> ...
#define CLAMP_4(x) \
	FCMGT_4S(x+0, 30, x+16); \
	FCMGT_4S(x+1, 30, x+17); \
	FCMGT_4S(x+2, 30, x+18); \
	FCMGT_4S(x+3, 30, x+19); \
	BIT_16B(x+16, 30, x+0); \
	BIT_16B(x+17, 30, x+1); \
	BIT_16B(x+18, 30, x+2); \
	BIT_16B(x+19, 30, x+3); \
	FMIN_4S(31, x+0, x+0); \
	FMIN_4S(31, x+1, x+1); \
	FMIN_4S(31, x+2, x+2); \
	FMIN_4S(31, x+3, x+3)

// LAST_PIXEL makes R26 the place of the fourth pixel.
#define LAST_PIXEL \
	ADD R4, R24, R26; \
	ADD R25<<1, R26; \
	ADD R25, R26

// PIXELS_8 makes four pixels of eight channels, whose chains of additions are enough to
// hide their latency.
#define PIXELS_8 \
	ADD  $16, R4, R26; \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16; \
	VMOVI $0, V2.B16; \
	VMOVI $0, V3.B16; \
	VMOVI $0, V4.B16; \
	VMOVI $0, V5.B16; \
	VMOVI $0, V6.B16; \
	VMOVI $0, V7.B16; \
	ROW_8(5, 8, 11, 14, 17, 21, 32); \
	ROW_8(6, 9, 12, 15, 19, 22, 128); \
	ROW_8(7, 10, 13, 16, 20, 23, 224); \
	LOAD_2(0, F8, F9); \
	FADD_4S(8, 0, 0); \
	FADD_4S(8, 1, 1); \
	FADD_4S(8, 2, 2); \
	FADD_4S(8, 3, 3); \
	FADD_4S(9, 4, 4); \
	FADD_4S(9, 5, 5); \
	FADD_4S(9, 6, 6); \
	FADD_4S(9, 7, 7); \
	CLAMP_4(0); \
	CLAMP_4(4); \
	LAST_PIXEL; \
	FSTPQ (F3, F7), (R26); \
	SUB  R25, R26; \
	FSTPQ (F2, F6), (R26); \
	SUB  R25, R26; \
	FSTPQ (F1, F5), (R26); \
	SUB  R25, R26; \
	FSTPQ (F0, F4), (R26)

// PIXELS(load, move) makes four pixels of the channels that load and move take.
#define PIXELS(load, move) \
	INPUT(load, 5, 8, 11, 14, 17, 21, 16); \
	move 32(R3), F4; \
	move 64(R3), F5; \
	move 96(R3), F6; \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16; \
	VMOVI $0, V2.B16; \
	VMOVI $0, V3.B16; \
	FMA_4(4, 16); \
	INPUT(load, 6, 9, 12, 15, 19, 22, 22); \
	FMA_4(5, 17); \
	move 128(R3), F4; \
	move 160(R3), F5; \
	FMA_4(6, 18); \
	move 192(R3), F6; \
	FMA_4(4, 22); \
	INPUT(load, 7, 10, 13, 16, 20, 23, 16); \
	FMA_4(5, 23); \
	move 224(R3), F4; \
	move 256(R3), F5; \
	FMA_4(6, 24); \
	move 288(R3), F6; \
	FMA_4(4, 16); \
	move (R3), F7; \
	FMA_4(5, 17); \
	FMA_4(6, 18); \
	FADD_4S(7, 0, 0); \
	FADD_4S(7, 1, 1); \
	FADD_4S(7, 2, 2); \
	FADD_4S(7, 3, 3); \
	CLAMP_4(0); \
	LAST_PIXEL; \
	move F3, (R26); \
	SUB  R25, R26; \
	move F2, (R26); \
	SUB  R25, R26; \
	move F1, (R26); \
	SUB  R25, R26; \
	move F0, (R26)

// func DepthwiseColumnsNEON(a *DWArgs)
TEXT ·DepthwiseColumnsNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	ADD  $DWArgs_Lo, R0, R3
	VLD1R.P 4(R3), [V30.S4]
	VLD1R (R3), [V31.S4]
	MOVD DWArgs_Off(R0), R1
	LDP  DWArgs_Out(R0), (R24, R25)
	MOVD DWArgs_Pixels(R0), R2

pixels:
	LDP  DWArgs_A(R0), (R3, R4)
	ROWS(R5, R6)
	ROWS(R7, R8)
	ROWS(R9, R10)
	ROWS(R11, R12)
	CMP  $4, R2
	BLT  single
	ROWS(R13, R14)
	ROWS(R15, R16)
	ROWS(R17, R19)
	ROWS(R20, R21)
	ROWS(R22, R23)

channels:
	MOVD DWArgs_W(R0), R3
	MOVD ZR, R4
	MOVD DWArgs_C(R0), R26
	SUBS $8, R26
	BLT  below8

channels8:
	PIXELS_8
	ADD  $32, R4
	ADD  $320, R3                      // the next block
	MOVD DWArgs_C(R0), R26
	SUB  R4>>2, R26
	SUBS $8, R26
	BGE  channels8

below8:
	ADDS $4, R26
	BLT  below4
	PIXELS(LDRQ_X, FMOVQ)
	ADD  $16, R4
	ADD  $16, R3
	MOVD DWArgs_C(R0), R26
	SUB  R4>>2, R26
	SUB  $4, R26

below4:
	ADD  $4, R26

tail:
	CBZ  R26, next

channel1:
	PIXELS(LDRS_X, FMOVS)
	ADD  $4, R4
	ADD  $4, R3
	MOVD DWArgs_C(R0), R26
	CMP  R26<<2, R4
	BLT  channel1

next:
	CBZ  R25, next1

	// The last four of a row begin early and repeat pixels of those before.
	SUBS $4, R2
	BEQ  end
	SUB  $24, R1                       // the last two columns are the next first two
	ADD  R25<<2, R24
	SUBS $4, R2, R3
	BGE  pixels
	MOVD $4, R2
	MOVD $12, R4                       // bytes of a column's offsets
	MADD R4, R1, R3, R1                // R3 < 0 pixels from here
	MADD R25, R24, R3, R24
	B    pixels

	// Fewer than four pixels are done one by one: the columns behind the third repeat
	// it, and all four results go to the place of the first, which comes last.
single:
	MOVW.P 4(R1), R13
	ROW(R13)
	MOVD ZR, R25
	MOVD R11, R14
	MOVD R12, R15
	MOVD R13, R16
	MOVD R11, R17
	MOVD R12, R19
	MOVD R13, R20
	MOVD R11, R21
	MOVD R12, R22
	MOVD R13, R23
	B    channels

next1:
	SUB  $24, R1
	MOVD DWArgs_LDC(R0), R3
	ADD  R3, R24
	SUBS $1, R2
	BNE  pixels

end:
	RET

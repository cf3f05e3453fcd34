//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"

// The transforms of Winograd's F(4x4, 3x3), four channels at a time. R1 is the tile, R2
// and R3 the bytes from a row and from a pixel to the next, R4 the points, R5 and R7 the
// bytes from a point and from a row of points to the next, R6 the channels left.

#define WINOGRAD_ARGS \
	MOVD a+0(FP), R0; \
	LDP  WinogradArgs_Tile(R0), (R1, R2); \
	LDP  WinogradArgs_Pixel(R0), (R3, R4); \
	LDP  WinogradArgs_Step(R0), (R5, R6); \
	ADD  R5<<1, R5, R7; \
	LSL  $1, R7

// CONSTANTS(a, b, v) makes the four float32 in a and b, low half first, lanes of v.
#define CONSTANTS(a, b, v) \
	MOVD a, R8; \
	MOVD b, R9; \
	VMOV R8, v.D[0]; \
	VMOV R9, v.D[1]

// LOAD_6(p, step, x) loads v<x> ... v<x+5> from p on, step apart. Clobbers R11.
#define LOAD_6(p, step, f0, f1, f2, f3, f4, f5) \
	FMOVQ (p), f0; \
	ADD   step, p, R11; \
	FMOVQ (R11), f1; \
	ADD   step, R11; \
	FMOVQ (R11), f2; \
	ADD   step, R11; \
	FMOVQ (R11), f3; \
	ADD   step, R11; \
	FMOVQ (R11), f4; \
	ADD   step, R11; \
	FMOVQ (R11), f5

// IN_6 is winogradIn6 of V0-V5, with -B*B, -A*A, -S, P in V30 and A, -A, B, -B in V31.
// Its result is in V4, V10, V6, V11, V8, V5; STORE_6 stores it from p on.
#define IN_6 \
	VMOV V4.B16, V6.B16; \
	VMOV V3.B16, V7.B16; \
	VMOV V4.B16, V8.B16; \
	VMOV V3.B16, V9.B16; \
	FMLA_4S_LANE(0, 30, 2, 6); \
	FMLA_4S_LANE(0, 30, 1, 7); \
	FMLA_4S_LANE(1, 30, 2, 8); \
	FMLA_4S_LANE(1, 30, 1, 9); \
	FMLA_4S_LANE(2, 30, 2, 4); \
	FMLA_4S_LANE(2, 30, 3, 5); \
	VMOV V6.B16, V10.B16; \
	VMOV V8.B16, V11.B16; \
	FMLA_4S_LANE(3, 30, 0, 4); \
	FMLA_4S_LANE(3, 30, 1, 5); \
	FMLA_4S_LANE(0, 31, 7, 10); \
	FMLA_4S_LANE(1, 31, 7, 6); \
	FMLA_4S_LANE(2, 31, 9, 11); \
	FMLA_4S_LANE(3, 31, 9, 8)

#define STORE_6(p, step) \
	FMOVQ F4, (p); \
	ADD   step, p, R11; \
	FMOVQ F10, (R11); \
	ADD   step, R11; \
	FMOVQ F6, (R11); \
	ADD   step, R11; \
	FMOVQ F11, (R11); \
	ADD   step, R11; \
	FMOVQ F8, (R11); \
	ADD   step, R11; \
	FMOVQ F5, (R11)

// func WinogradInNEON(a *WinogradArgs)
TEXT ·WinogradInNEON(SB), NOSPLIT, $0-8
	WINOGRAD_ARGS
	CONSTANTS($0xbf100000c0100000, $0x3fa20000c0340000, V30)
	CONSTANTS($0xbf4000003f400000, $0xbfc000003fc00000, V31)

	// The columns of pixels become columns of points, then each row in its place.
channels:
	MOVD R1, R8
	MOVD R4, R9
	MOVD $6, R10

column:
	LOAD_6(R8, R2, F0, F1, F2, F3, F4, F5)
	IN_6
	STORE_6(R9, R7)
	ADD  R3, R8
	ADD  R5, R9
	SUBS $1, R10
	BNE  column

	MOVD R4, R9
	MOVD $6, R10

row:
	LOAD_6(R9, R5, F0, F1, F2, F3, F4, F5)
	IN_6
	STORE_6(R9, R5)
	ADD  R7, R9
	SUBS $1, R10
	BNE  row

	ADD  $16, R1
	ADD  $16, R4
	SUBS $4, R6
	BNE  channels
	RET

// OUT_COLUMN(a, b, c, d) is winogradOut4 of the column of points at R8, in the vectors
// a-d; A, B, A*A, B*B are in V30, A*A*A, B*B*B in V31. Goes on to the next column.
#define OUT_COLUMN(a, b, c, d, va, vb, vc, vd) \
	LOAD_6(R8, R7, F24, F25, F26, F27, F28, F29); \
	ADD  R5, R8; \
	FADD_4S(26, 25, a); \
	FSUB_4S(26, 25, b); \
	FADD_4S(28, 27, c); \
	FSUB_4S(28, 27, d); \
	FADD_4S(a, 24, 24); \
	FMUL_4S_LANE(0, 30, b, 25); \
	FMUL_4S_LANE(2, 30, a, 26); \
	FMLA_4S_LANE(0, 31, b, 29); \
	FADD_4S(c, 24, 24); \
	FMLA_4S_LANE(1, 30, d, 25); \
	FMLA_4S_LANE(3, 30, c, 26); \
	FMLA_4S_LANE(1, 31, d, 29); \
	VMOV V24.B16, va.B16; \
	VMOV V25.B16, vb.B16; \
	VMOV V26.B16, vc.B16; \
	VMOV V29.B16, vd.B16

// CLAMP(x) adds the bias in V24 to v<x> and clamps it to V25, V26. FMAX(-0, +0) is +0,
// where the comparison leaves -0; FMIN differs from a comparison only for a bound of -0.
#define CLAMP(x) \
	FADD_4S(24, x, x); \
	FCMGT_4S(x, 25, 27); \
	BIT_16B(27, 25, x); \
	FMIN_4S(26, x, x)

// OUT_ROW is winogradOut4 of the row a-f, whose result is the row of pixels at R9. Goes
// on to the next row.
#define OUT_ROW(a, b, c, d, e, f, fa, ff) \
	FADD_4S(c, b, 24); \
	FSUB_4S(c, b, 25); \
	FADD_4S(e, d, 26); \
	FSUB_4S(e, d, 27); \
	FADD_4S(24, a, a); \
	FMUL_4S_LANE(0, 30, 25, 28); \
	FMUL_4S_LANE(2, 30, 24, 29); \
	FMLA_4S_LANE(0, 31, 25, f); \
	FADD_4S(26, a, a); \
	FMLA_4S_LANE(1, 30, 27, 28); \
	FMLA_4S_LANE(3, 30, 26, 29); \
	FMLA_4S_LANE(1, 31, 27, f); \
	FMOVQ (R12), F24; \
	VLD1R (R13), [V25.S4]; \
	VLD1R (R14), [V26.S4]; \
	CLAMP(a); \
	CLAMP(28); \
	CLAMP(29); \
	CLAMP(f); \
	FMOVQ fa, (R9); \
	ADD   R3, R9, R11; \
	FMOVQ F28, (R11); \
	ADD   R3, R11; \
	FMOVQ F29, (R11); \
	ADD   R3, R11; \
	FMOVQ ff, (R11); \
	ADD   R2, R9

// func WinogradOutNEON(a *WinogradArgs)
TEXT ·WinogradOutNEON(SB), NOSPLIT, $0-8
	WINOGRAD_ARGS
	CONSTANTS($0x3fc000003f400000, $0x401000003f100000, V30)
	CONSTANTS($0x405800003ed80000, $0, V31)
	MOVD WinogradArgs_Bias(R0), R12
	ADD  $WinogradArgs_Lo, R0, R13
	ADD  $WinogradArgs_Hi, R0, R14

channels:
	MOVD R4, R8
	OUT_COLUMN(0, 1, 2, 3, V0, V1, V2, V3)
	OUT_COLUMN(4, 5, 6, 7, V4, V5, V6, V7)
	OUT_COLUMN(8, 9, 10, 11, V8, V9, V10, V11)
	OUT_COLUMN(12, 13, 14, 15, V12, V13, V14, V15)
	OUT_COLUMN(16, 17, 18, 19, V16, V17, V18, V19)
	OUT_COLUMN(20, 21, 22, 23, V20, V21, V22, V23)
	MOVD R1, R9
	OUT_ROW(0, 4, 8, 12, 16, 20, F0, F20)
	OUT_ROW(1, 5, 9, 13, 17, 21, F1, F21)
	OUT_ROW(2, 6, 10, 14, 18, 22, F2, F22)
	OUT_ROW(3, 7, 11, 15, 19, 23, F3, F23)
	ADD  $16, R1
	ADD  $16, R4
	ADD  $16, R12
	SUBS $4, R6
	BNE  channels
	RET

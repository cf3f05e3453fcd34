//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// Rows of A are in V16-V19, sums of row r in V(4r) ... V(4r+3).

// DOT_4x4 adds four k: those of lane i of the rows, against the columns in b. j is the
// first of their sums.
#define DOT_4x4(i, b, j) \
	SDOT_4S_LANE(i, 16, b, j); \
	SDOT_4S_LANE(i, 17, b, j+4); \
	SDOT_4S_LANE(i, 18, b, j+8); \
	SDOT_4S_LANE(i, 19, b, j+12)

#define DOT_4x16(i, b0, b1, b2, b3) \
	DOT_4x4(i, b0, 0); \
	DOT_4x4(i, b1, 1); \
	DOT_4x4(i, b2, 2); \
	DOT_4x4(i, b3, 3)

// DOT_LOAD_24, DOT_LOAD_20 are DOT_4x16 of the weights in one set of registers, among
// the loads of those at w(R3) to the other, for the cores that issue in order.
#define DOT_LOAD_24(i, w) \
	DOT_4x4(i, 20, 0); \
	FMOVQ w+0(R3), F24; \
	DOT_4x4(i, 21, 1); \
	FMOVQ w+16(R3), F25; \
	DOT_4x4(i, 22, 2); \
	FMOVQ w+32(R3), F26; \
	DOT_4x4(i, 23, 3); \
	FMOVQ w+48(R3), F27

#define DOT_LOAD_20(i, w) \
	DOT_4x4(i, 24, 0); \
	FMOVQ w+0(R3), F20; \
	DOT_4x4(i, 25, 1); \
	FMOVQ w+16(R3), F21; \
	DOT_4x4(i, 26, 2); \
	FMOVQ w+32(R3), F22; \
	DOT_4x4(i, 27, 3); \
	FMOVQ w+48(R3), F23

#define DOT_1x16(i, b0, b1, b2, b3) \
	SDOT_4S_LANE(i, 16, b0, 0); \
	SDOT_4S_LANE(i, 16, b1, 1); \
	SDOT_4S_LANE(i, 16, b2, 2); \
	SDOT_4S_LANE(i, 16, b3, 3)

// ROW(off, p) points p at the row with offset off. R4 is A, R5 is Pad.
#define ROW(off, p) \
	ADD  off, R4, p; \
	CMP  $0, off; \
	CSEL LT, R5, p, p

// ADD_ROW(s0, s1, s2, s3) adds the next correction, at R26, to the sums of a row.
#define ADD_ROW(s0, s1, s2, s3) \
	VLD1R.P 4(R26), [V16.S4]; \
	VADD V16.S4, s0.S4, s0.S4; \
	VADD V16.S4, s1.S4, s1.S4; \
	VADD V16.S4, s2.S4, s2.S4; \
	VADD V16.S4, s3.S4, s3.S4

// func QGemm4x16c4Dotprod(a *QGemmArgs)
TEXT ·QGemm4x16c4Dotprod(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  QGemmArgs_A(R0), (R4, R5)
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)
	OUTPUT_CONSTANTS
	LDP  QGemmArgs_Off(R0), (R20, R21)
	LDP  QGemmArgs_KC(R0), (R6, R17)
	LDP  QGemmArgs_C(R0), (R22, R23)
	LDP  QGemmArgs_Rows(R0), (R24, R25)
	MOVD QGemmArgs_Corr(R0), R26
	MOVWU QGemmArgs_Raw(R0), R16

	// Four rows: R20 are their offsets, R24 the rows left, R22 the output, R26 the
	// corrections. Sums start at the bias.
rows:
	MOVD R20, R1
	MOVD R21, R2
	MOVD R17, R3
	FLDPQ.P 32(R3), (F0, F1)
	FLDPQ.P 32(R3), (F2, F3)
	VMOV V0.B16, V4.B16
	VMOV V1.B16, V5.B16
	VMOV V2.B16, V6.B16
	VMOV V3.B16, V7.B16
	VMOV V0.B16, V8.B16
	VMOV V1.B16, V9.B16
	VMOV V2.B16, V10.B16
	VMOV V3.B16, V11.B16
	VMOV V0.B16, V12.B16
	VMOV V1.B16, V13.B16
	VMOV V2.B16, V14.B16
	VMOV V3.B16, V15.B16

tap:
	LDPSW 8(R1), (R13, R14)
	LDPSW.P (4*const_QGemmDotprodMR)(R1), (R11, R12)
	ROW(R11, R7)
	ROW(R12, R8)
	ROW(R13, R9)
	ROW(R14, R10)
	SUBS $16, R6, R15                  // k left after a step of 16
	BLT  tail

step16:
	FMOVQ.P 16(R7), F16
	FMOVQ (R3), F20
	FMOVQ.P 16(R8), F17
	FMOVQ 16(R3), F21
	FMOVQ.P 16(R9), F18
	FMOVQ 32(R3), F22
	FMOVQ.P 16(R10), F19
	FMOVQ 48(R3), F23
	DOT_LOAD_24(0, 64)
	DOT_LOAD_20(1, 128)
	DOT_LOAD_24(2, 192)
	ADD  $256, R3
	SUBS $16, R15
	DOT_4x16(3, 24, 25, 26, 27)
	BGE  step16

tail:
	ADDS $16, R15
	BEQ  next

step4:
	FMOVS.P 4(R7), F16
	FMOVS.P 4(R8), F17
	FMOVS.P 4(R9), F18
	FMOVS.P 4(R10), F19
	FLDPQ.P 32(R3), (F20, F21)
	FLDPQ.P 32(R3), (F22, F23)
	SUBS $4, R15
	DOT_4x16(0, 20, 21, 22, 23)
	BNE  step4

next:
	SUBS $1, R2
	BNE  tap

	CBZ  R26, scale
	ADD_ROW(V0, V1, V2, V3)
	ADD_ROW(V4, V5, V6, V7)
	ADD_ROW(V8, V9, V10, V11)
	ADD_ROW(V12, V13, V14, V15)

scale:
	// A row at or above Rows goes where the last valid one goes, before it.
	MOVD R22, R7
	CMP  $2, R24
	CSEL GE, R23, ZR, R14
	ADD  R14, R7, R8
	CSEL GT, R23, ZR, R14
	ADD  R14, R8, R9
	CMP  $3, R24
	CSEL GT, R23, ZR, R14
	ADD  R14, R9, R10
	CBNZ R16, raw

	FLDPQ (R3), (F20, F21)
	FLDPQ 32(R3), (F22, F23)
	REQUANTIZE_16(0, 1, 2, 3, 20, 21, 22, 23)
	REQUANTIZE_16(4, 5, 6, 7, 20, 21, 22, 23)
	REQUANTIZE_16(8, 9, 10, 11, 20, 21, 22, 23)
	REQUANTIZE_16(12, 13, 14, 15, 20, 21, 22, 23)
	CMP  $16, R25
	BNE  partial
	FMOVQ F12, (R10)
	FMOVQ F8, (R9)
	FMOVQ F4, (R8)
	FMOVQ F0, (R7)

nextrows:
	ADD  $16, R20
	ADD  R23<<2, R22
	SUBS $4, R24
	BGT  rows
	RET

partial:
	STORE_BELOW_16(V12, R10, R25)
	STORE_BELOW_16(V8, R9, R25)
	STORE_BELOW_16(V4, R8, R25)
	STORE_BELOW_16(V0, R7, R25)
	B    nextrows

raw:
	CMP  $16, R25
	BNE  rawpartial
	VST1 [V12.S4, V13.S4, V14.S4, V15.S4], (R10)
	VST1 [V8.S4, V9.S4, V10.S4, V11.S4], (R9)
	VST1 [V4.S4, V5.S4, V6.S4, V7.S4], (R8)
	VST1 [V0.S4, V1.S4, V2.S4, V3.S4], (R7)
	B    nextrows

rawpartial:
	STORE_WORDS_BELOW_16(V12, V13, V14, V15, R10, R25)
	STORE_WORDS_BELOW_16(V8, V9, V10, V11, R9, R25)
	STORE_WORDS_BELOW_16(V4, V5, V6, V7, R8, R25)
	STORE_WORDS_BELOW_16(V0, V1, V2, V3, R7, R25)
	B    nextrows

// func QGemm1x16c4Dotprod(a *QGemmArgs)
TEXT ·QGemm1x16c4Dotprod(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  QGemmArgs_A(R0), (R4, R5)
	LDP  QGemmArgs_Off(R0), (R1, R2)
	LDP  QGemmArgs_KC(R0), (R6, R3)
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)
	OUTPUT_CONSTANTS
	FLDPQ.P 32(R3), (F0, F1)
	FLDPQ.P 32(R3), (F2, F3)

tap1:
	MOVW.P (4*const_QGemmDotprodMR)(R1), R11
	ROW(R11, R7)
	SUBS $16, R6, R15
	BLT  tail1

step16x1:
	FMOVQ.P 16(R7), F16
	FLDPQ.P 32(R3), (F20, F21)
	FLDPQ.P 32(R3), (F22, F23)
	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	DOT_1x16(0, 20, 21, 22, 23)
	FLDPQ.P 32(R3), (F20, F21)
	FLDPQ.P 32(R3), (F22, F23)
	DOT_1x16(1, 24, 25, 26, 27)
	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	DOT_1x16(2, 20, 21, 22, 23)
	SUBS $16, R15
	DOT_1x16(3, 24, 25, 26, 27)
	BGE  step16x1

tail1:
	ADDS $16, R15
	BEQ  next1

step4x1:
	FMOVS.P 4(R7), F16
	FLDPQ.P 32(R3), (F20, F21)
	FLDPQ.P 32(R3), (F22, F23)
	SUBS $4, R15
	DOT_1x16(0, 20, 21, 22, 23)
	BNE  step4x1

next1:
	SUBS $1, R2
	BNE  tap1

	MOVD QGemmArgs_Corr(R0), R26
	CBZ  R26, scale1
	ADD_ROW(V0, V1, V2, V3)

scale1:
	MOVD QGemmArgs_C(R0), R7
	MOVD QGemmArgs_Cols(R0), R13
	MOVWU QGemmArgs_Raw(R0), R11
	CBNZ R11, raw1

	FLDPQ (R3), (F20, F21)
	FLDPQ 32(R3), (F22, F23)
	REQUANTIZE_16(0, 1, 2, 3, 20, 21, 22, 23)
	CMP  $16, R13
	BNE  partial1
	FMOVQ F0, (R7)
	RET

partial1:
	STORE_BELOW_16(V0, R7, R13)
	RET

raw1:
	CMP  $16, R13
	BNE  rawpartial1
	VST1 [V0.S4, V1.S4, V2.S4, V3.S4], (R7)
	RET

rawpartial1:
	STORE_WORDS_BELOW_16(V0, V1, V2, V3, R7, R13)
	RET

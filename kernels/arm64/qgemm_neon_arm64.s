//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// SMULL makes eight int16 products of eight k of one row and one column, SADALP
// adds them in pairs to four int32 partial sums. QGemm2x8c8PairsNEON adds the products
// of two steps in int16 first, which saves every other SADALP; that overflows where two
// weights and two inputs are all -128.
//
// The products of a column wait for three columns before they are accumulated:
// that hides the latency of SMULL from a core that issues in order (Cortex-A53).
// Those of the last three columns wait in V26-V31 for the next step, where they
// hide the latency of its loads.

#define PRODUCT_2(b, t0, t1) \
	SMULL_8H(b, 16, t0); \
	SMULL_8H(b, 17, t1)

#define SUM_2(t0, t1, s0, s1) \
	SADALP_4S(t0, s0); \
	SADALP_4S(t1, s1)

// START_2(t0, t1, s0, s1) makes the first sums.
#define START_2(t0, t1, s0, s1) \
	SADDLP_4S(t0, s0); \
	SADDLP_4S(t1, s1)

// COLUMNS_2x8(w, sum) multiplies V16, V17 with the weights in V18-V23 and the last
// two of w(R3), and sums columns 0 to 4.
#define COLUMNS_2x8(w, sum) \
	PRODUCT_2(18, 24, 25); \
	PRODUCT_2(19, 26, 27); \
	FLDPD w+48(R3), (F18, F19); \
	PRODUCT_2(20, 28, 29); \
	sum(24, 25, 0, 8); \
	PRODUCT_2(21, 30, 31); \
	sum(26, 27, 1, 9); \
	PRODUCT_2(22, 24, 25); \
	sum(28, 29, 2, 10); \
	PRODUCT_2(23, 26, 27); \
	sum(30, 31, 3, 11); \
	PRODUCT_2(18, 28, 29); \
	sum(24, 25, 4, 12); \
	PRODUCT_2(19, 30, 31)

// FIRST_2x8 does the first eight k, at (R8), (R9) and (R3).
#define FIRST_2x8 \
	FMOVD.P 8(R8), F16; \
	FLDPD (R3), (F18, F19); \
	FMOVD.P 8(R9), F17; \
	FLDPD 16(R3), (F20, F21); \
	FLDPD 32(R3), (F22, F23); \
	COLUMNS_2x8(0, START_2); \
	ADD  $64, R3

// STEP_2x8(k, w) does the eight k at k(R8), k(R9) and w(R3).
#define STEP_2x8(k, w) \
	FMOVD k(R8), F16; \
	FLDPD w+0(R3), (F18, F19); \
	SADALP_4S(26, 5); \
	FMOVD k(R9), F17; \
	SADALP_4S(27, 13); \
	FLDPD w+16(R3), (F20, F21); \
	SUM_2(28, 29, 6, 14); \
	FLDPD w+32(R3), (F22, F23); \
	SUM_2(30, 31, 7, 15); \
	COLUMNS_2x8(w, SUM_2)

// ROWS_2 points R8, R9 at the two rows of the next tap. A tap has an offset of four
// bytes for each of the QGemmNEONMR rows.
#define ROWS_2 \
	LDPSW.P (4*const_QGemmNEONMR)(R1), (R11, R12); \
	ADD  R11, R4, R8; \
	ADD  R12, R4, R9; \
	CMP  $0, R11; \
	CSEL LT, R5, R8, R8; \
	CMP  $0, R12; \
	CSEL LT, R5, R9, R9

// STEP_1x8(k, w) does the eight k at k(R8) and w(R3), in V16 and V17-V24. Columns 2
// to 7 wait; before the first step their products are zero.
#define STEP_1x8(k, w) \
	FMOVD k(R8), F16; \
	FLDPD w+0(R3), (F17, F18); \
	SADALP_4S(26, 2); \
	FLDPD w+16(R3), (F19, F20); \
	SADALP_4S(27, 3); \
	FLDPD w+32(R3), (F21, F22); \
	SADALP_4S(28, 4); \
	FLDPD w+48(R3), (F23, F24); \
	SADALP_4S(29, 5); \
	SADALP_4S(30, 6); \
	SADALP_4S(31, 7); \
	SMULL_8H(17, 16, 25); \
	SMULL_8H(18, 16, 17); \
	SMULL_8H(19, 16, 26); \
	SMULL_8H(20, 16, 27); \
	SMULL_8H(21, 16, 28); \
	SMULL_8H(22, 16, 29); \
	SADALP_4S(25, 0); \
	SMULL_8H(23, 16, 30); \
	SADALP_4S(17, 1); \
	SMULL_8H(24, 16, 31)

// REDUCE_4(a, b, c, d) leaves the sums of the four vectors in the lanes of a.
#define REDUCE_4(a, b, c, d) \
	VADDP b.S4, a.S4, a.S4; \
	VADDP d.S4, c.S4, c.S4; \
	VADDP c.S4, a.S4, a.S4

// REDUCE_2 does two such reductions side by side.
#define REDUCE_2(a, b, c, d, e, f, g, h) \
	VADDP b.S4, a.S4, a.S4; \
	VADDP d.S4, c.S4, c.S4; \
	VADDP f.S4, e.S4, e.S4; \
	VADDP h.S4, g.S4, g.S4; \
	VADDP c.S4, a.S4, a.S4; \
	VADDP g.S4, e.S4, e.S4

// BEGIN_2x8 loads the arguments at R0.
#define BEGIN_2x8 \
	LDP  QGemmArgs_A(R0), (R4, R5); \
	LDP  QGemmArgs_KC(R0), (R6, R7); \
	LDP  QGemmArgs_C(R0), (R15, R20); \
	LDP  QGemmArgs_Rows(R0), (R14, R22); \
	LDP  QGemmArgs_Off(R0), (R13, R24); \
	MOVD QGemmArgs_Corr(R0), R21; \
	MOVWU QGemmArgs_Raw(R0), R23; \
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)

// BEGIN_ROWS_2 begins the next two rows: R13 are their offsets, R14 the rows left, R15 the
// output, R21 the corrections.
#define BEGIN_ROWS_2 \
	MOVD R13, R1; \
	MOVD R24, R2; \
	ADD  $32, R7, R3; \
	VMOVI $0, V5.B16; \
	VMOVI $0, V6.B16; \
	VMOVI $0, V7.B16; \
	VMOVI $0, V13.B16; \
	VMOVI $0, V14.B16; \
	VMOVI $0, V15.B16; \
	ROWS_2

// END_2x8 makes the output of the two rows whose partial sums are V0-V7 and V8-V15, and
// goes on at label rows until none is left. Without a second row its copy of the first is
// stored to the same place.
#define END_2x8 \
	FLDPQ (R7), (F16, F17); \
	REDUCE_2(V0, V1, V2, V3, V8, V9, V10, V11); \
	REDUCE_2(V4, V5, V6, V7, V12, V13, V14, V15); \
	VADD V16.S4, V0.S4, V0.S4; \
	VADD V16.S4, V8.S4, V8.S4; \
	VADD V17.S4, V4.S4, V4.S4; \
	VADD V17.S4, V12.S4, V12.S4; \
	CBZ  R21, scale; \
	VLD1R.P 4(R21), [V16.S4]; \
	VLD1R.P 4(R21), [V17.S4]; \
	VADD V16.S4, V0.S4, V0.S4; \
	VADD V16.S4, V4.S4, V4.S4; \
	VADD V17.S4, V8.S4, V8.S4; \
	VADD V17.S4, V12.S4, V12.S4; \
scale: \
	CMP  $1, R14; \
	CSEL GT, R20, ZR, R9; \
	ADD  R15, R9, R9; \
	MOVD R15, R8; \
	CBNZ R23, raw; \
	FLDPQ (R3), (F16, F17); \
	OUTPUT_CONSTANTS; \
	REQUANTIZE_16(0, 4, 8, 12, 16, 17, 16, 17); \
	CMP  $8, R22; \
	BNE  partial; \
	VST1 V0.D[1], (R9); \
	FMOVD F0, (R8); \
nextrows: \
	ADD  $8, R13; \
	ADD  R20<<1, R15; \
	SUBS $2, R14; \
	BGT  rows; \
	RET; \
partial: \
	VEXT $8, V0.B16, V0.B16, V1.B16; \
	STORE_BELOW_8(V1, R9, R22); \
	STORE_BELOW_8(V0, R8, R22); \
	B    nextrows; \
raw: \
	CMP  $8, R22; \
	BNE  rawpartial; \
	FSTPQ (F8, F12), (R9); \
	FSTPQ (F0, F4), (R8); \
	B    nextrows; \
rawpartial: \
	STORE_WORDS_BELOW_8(V8, V12, R9, R22); \
	STORE_WORDS_BELOW_8(V0, V4, R8, R22); \
	B    nextrows

// func QGemm2x8c8NEON(a *QGemmArgs)
TEXT ·QGemm2x8c8NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	BEGIN_2x8

rows:
	BEGIN_ROWS_2
	FIRST_2x8
	SUB  $8, R6, R10
	B    k16

tap:
	ROWS_2
	MOVD R6, R10

k16:
	SUBS $16, R10                      // k left after a step of 16
	BLT  last8

step16:
	STEP_2x8(0, 0)
	STEP_2x8(8, 64)
	ADD  $16, R8
	ADD  $16, R9
	ADD  $128, R3
	SUBS $16, R10
	BGE  step16

last8:
	ADDS $16, R10
	BEQ  next
	STEP_2x8(0, 0)
	ADD  $64, R3

next:
	SUBS $1, R2
	BNE  tap
	SUM_2(26, 27, 5, 13)
	SUM_2(28, 29, 6, 14)
	SUM_2(30, 31, 7, 15)
	END_2x8

#define NONE_2(n, d)
#define NONE_3(m, n, d)

#define LOAD_D(from, to) \
	FMOVD from, to

#define LOAD_DD(from, to0, to1) \
	FLDPD from, (to0, to1)

// STEP_PAIRS does the sixteen k at (R8), (R9) and (R3): the products of the lower eight are
// in V24-V31, those of the upper eight are added to them. Of each column first the lower
// products are made, then those of the column before it get their upper ones; the column
// of three before is summed. So nothing waits for what is made just before it, and a load
// is four operations old when it is used. Column 7 waits for its upper products, and
// columns 5 to 7 wait to be summed, for the next step.
//
// R10 are the k left behind the step, less 16. The parameters are what is done with the columns that wait (add7, late), with the others
// (sum), and with the upper eight k (upper for the inputs, uppers for the weights, add).
#define STEP_PAIRS(add7, late, sum, upper, uppers, add) \
	FLDPD (R3), (F20, F21); \
	add7(23, 18, 30); \
	FMOVD (R8), F16; \
	add7(23, 19, 31); \
	FMOVD (R9), F17; \
	late(26, 5); \
	late(27, 13); \
	PRODUCT_2(20, 24, 25); \
	upper(8(R8), F18); \
	upper(8(R9), F19); \
	late(28, 6); \
	late(29, 14); \
	uppers(64(R3), F22, F23); \
	PRODUCT_2(21, 26, 27); \
	FLDPD 16(R3), (F20, F21); \
	UPPER_2(add, 22, 24, 25); \
	SLOT_PAIRS(late, 30, 31, 7, 15, 20, 28, 29, add, 23, 26, 27); \
	uppers(80(R3), F22, F23); \
	SUM_BY(sum, 24, 25, 0, 8); \
	PRODUCT_2(21, 30, 31); \
	FLDPD 32(R3), (F20, F21); \
	UPPER_2(add, 22, 28, 29); \
	SLOT_PAIRS(sum, 26, 27, 1, 9, 20, 24, 25, add, 23, 30, 31); \
	uppers(96(R3), F22, F23); \
	SUM_BY(sum, 28, 29, 2, 10); \
	PRODUCT_2(21, 26, 27); \
	FLDPD 48(R3), (F20, F21); \
	UPPER_2(add, 22, 24, 25); \
	SLOT_PAIRS(sum, 30, 31, 3, 11, 20, 28, 29, add, 23, 26, 27); \
	uppers(112(R3), F22, F23); \
	SUM_BY(sum, 24, 25, 4, 12); \
	ADD  $16, R8; \
	ADD  $16, R9; \
	ADD  $128, R3; \
	SUBS $16, R10; \
	PRODUCT_2(21, 30, 31); \
	UPPER_2(add, 22, 28, 29)

#define SUM_BY(sum, t0, t1, s0, s1) \
	sum(t0, s0); \
	sum(t1, s1)

#define UPPER_2(add, b, t0, t1) \
	add(b, 18, t0); \
	add(b, 19, t1)

#define SLOT_PAIRS(sum, p0, p1, s0, s1, b, t0, t1, add, g, q0, q1) \
	SUM_BY(sum, p0, p1, s0, s1); \
	UPPER_2(add, g, q0, q1); \
	PRODUCT_2(b, t0, t1)

// func QGemm2x8c8PairsNEON(a *QGemmArgs)
TEXT ·QGemm2x8c8PairsNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	BEGIN_2x8

rows:
	BEGIN_ROWS_2
	MOVD R6, R10
	STEP_PAIRS(NONE_3, NONE_2, SADDLP_4S, LOAD_D, LOAD_DD, SMLAL_8H)
	B    k16

tap:
	ROWS_2
	MOVD R6, R10

k16:
	SUBS $16, R10                      // k left after a step of 16
	BLT  last8

step16:
	STEP_PAIRS(SMLAL_8H, SADALP_4S, SADALP_4S, LOAD_D, LOAD_DD, SMLAL_8H)
	BGE  step16

last8:
	ADDS $16, R10
	BEQ  next
	STEP_PAIRS(SMLAL_8H, SADALP_4S, SADALP_4S, NONE_2, NONE_3, NONE_3)
	SUB  $64, R3
	VMOVI $0, V18.B16                  // column 7 waits for nothing
	VMOVI $0, V19.B16

next:
	SUBS $1, R2
	BNE  tap
	SMLAL_8H(23, 18, 30)
	SMLAL_8H(23, 19, 31)
	SUM_2(26, 27, 5, 13)
	SUM_2(28, 29, 6, 14)
	SUM_2(30, 31, 7, 15)
	END_2x8

// func QGemm1x8c8NEON(a *QGemmArgs)
TEXT ·QGemm1x8c8NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  QGemmArgs_A(R0), (R4, R5)
	LDP  QGemmArgs_Off(R0), (R1, R2)
	LDP  QGemmArgs_KC(R0), (R6, R7)
	ADD  $32, R7, R3
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16
	VMOVI $0, V26.B16
	VMOVI $0, V27.B16
	VMOVI $0, V28.B16
	VMOVI $0, V29.B16
	VMOVI $0, V30.B16
	VMOVI $0, V31.B16

tap1:
	MOVW.P (4*const_QGemmNEONMR)(R1), R11
	ADD  R11, R4, R8
	CMP  $0, R11
	CSEL LT, R5, R8, R8
	SUBS $16, R6, R10
	BLT  last8x1

step16x1:
	STEP_1x8(0, 0)
	STEP_1x8(8, 64)
	ADD  $16, R8
	ADD  $128, R3
	SUBS $16, R10
	BGE  step16x1

last8x1:
	ADDS $16, R10
	BEQ  next1
	STEP_1x8(0, 0)
	ADD  $64, R3

next1:
	SUBS $1, R2
	BNE  tap1
	SUM_2(26, 27, 2, 3)
	SUM_2(28, 29, 4, 5)
	SUM_2(30, 31, 6, 7)

	REDUCE_4(V0, V1, V2, V3)
	REDUCE_4(V4, V5, V6, V7)
	FLDPQ (R7), (F16, F17)
	VADD V16.S4, V0.S4, V0.S4
	VADD V17.S4, V4.S4, V4.S4
	MOVD QGemmArgs_Corr(R0), R11
	CBZ  R11, scale1
	VLD1R (R11), [V16.S4]
	VADD V16.S4, V0.S4, V0.S4
	VADD V16.S4, V4.S4, V4.S4

scale1:
	MOVD QGemmArgs_C(R0), R8
	MOVD QGemmArgs_Cols(R0), R12
	MOVWU QGemmArgs_Raw(R0), R11
	CBNZ R11, raw1

	FLDPQ (R3), (F16, F17)
	OUTPUT_CONSTANTS
	REQUANTIZE_16(0, 4, 8, 12, 16, 17, 16, 17) // the upper eight codes are of no use
	CMP  $8, R12
	BNE  partial1
	FMOVD F0, (R8)
	RET

partial1:
	STORE_BELOW_8(V0, R8, R12)
	RET

raw1:
	CMP  $8, R12
	BNE  rawpartial1
	FSTPQ (F0, F4), (R8)
	RET

rawpartial1:
	STORE_WORDS_BELOW_8(V0, V4, R8, R12)
	RET

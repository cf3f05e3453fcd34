//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// SMMLA multiplies a 2x8 by an 8x2 block: its operands are eight k of two rows and
// of two columns, its four sums are row-major. V(8p+j) has the sums of row pair p
// and column pair j. Row pairs are in V16, V17 (and V18, V19 for the next eight k),
// column pairs in V20-V27.

#define LOAD_WEIGHTS \
	FLDPQ.P 32(R3), (F20, F21); \
	FLDPQ.P 32(R3), (F22, F23); \
	FLDPQ.P 32(R3), (F24, F25); \
	FLDPQ.P 32(R3), (F26, F27)

#define MUL_2x16(a, b) \
	SMMLA_4S(20, a, b+0); \
	SMMLA_4S(21, a, b+1); \
	SMMLA_4S(22, a, b+2); \
	SMMLA_4S(23, a, b+3); \
	SMMLA_4S(24, a, b+4); \
	SMMLA_4S(25, a, b+5); \
	SMMLA_4S(26, a, b+6); \
	SMMLA_4S(27, a, b+7)

// UNZIP(a, b, r, s) makes four columns of two rows, r and s, of two column pairs.
#define UNZIP(a, b, r, s) \
	VUZP1 b.D2, a.D2, r.D2; \
	VUZP2 b.D2, a.D2, s.D2

// ADD_BIAS(a, b, c, d) adds the bias in V24-V27 to a row.
#define ADD_BIAS(a, b, c, d) \
	VADD V24.S4, a.S4, a.S4; \
	VADD V25.S4, b.S4, b.S4; \
	VADD V26.S4, c.S4, c.S4; \
	VADD V27.S4, d.S4, d.S4

// ADD_CORR(a, b, c, d) adds the next correction to a row.
#define ADD_CORR(a, b, c, d) \
	VLD1R.P 4(R11), [V31.S4]; \
	VADD V31.S4, a.S4, a.S4; \
	VADD V31.S4, b.S4, b.S4; \
	VADD V31.S4, c.S4, c.S4; \
	VADD V31.S4, d.S4, d.S4

// ROW(off, p) points p at the row with offset off. R4 is A, R5 is Pad.
#define ROW(off, p) \
	ADD  off, R4, p; \
	CMP  $0, off; \
	CSEL LT, R5, p, p

// func QGemm4x16c8I8MM(a *QGemmArgs)
TEXT ·QGemm4x16c8I8MM(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  QGemmArgs_A(R0), (R4, R5)
	LDP  QGemmArgs_Off(R0), (R1, R2)
	LDP  QGemmArgs_KC(R0), (R6, R3)
	ADD  $64, R3                       // weights after the bias
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16
	VMOVI $0, V8.B16
	VMOVI $0, V9.B16
	VMOVI $0, V10.B16
	VMOVI $0, V11.B16
	VMOVI $0, V12.B16
	VMOVI $0, V13.B16
	VMOVI $0, V14.B16
	VMOVI $0, V15.B16

tap:
	LDPSW.P 8(R1), (R11, R12)
	LDPSW.P 8(R1), (R13, R14)
	ROW(R11, R7)
	ROW(R12, R8)
	ROW(R13, R9)
	ROW(R14, R10)
	SUBS $16, R6, R15                  // k left after a step of 16
	BLT  last8

step16:
	FMOVQ.P 16(R7), F28
	FMOVQ.P 16(R8), F29
	FMOVQ.P 16(R9), F30
	FMOVQ.P 16(R10), F31
	LOAD_WEIGHTS
	VZIP1 V29.D2, V28.D2, V16.D2
	VZIP1 V31.D2, V30.D2, V17.D2
	VZIP2 V29.D2, V28.D2, V18.D2
	VZIP2 V31.D2, V30.D2, V19.D2
	MUL_2x16(16, 0)
	MUL_2x16(17, 8)
	LOAD_WEIGHTS
	SUBS $16, R15
	MUL_2x16(18, 0)
	MUL_2x16(19, 8)
	BGE  step16

last8:
	ADDS $16, R15
	BEQ  next
	FMOVD (R7), F28
	FMOVD (R8), F29
	FMOVD (R9), F30
	FMOVD (R10), F31
	LOAD_WEIGHTS
	VZIP1 V29.D2, V28.D2, V16.D2
	VZIP1 V31.D2, V30.D2, V17.D2
	MUL_2x16(16, 0)
	MUL_2x16(17, 8)

next:
	SUBS $1, R2
	BNE  tap

	// Rows 0 and 1 to V16, V18, V20, V22 and V17, V19, V21, V23, then rows 2 and 3
	// to V0, V2, V4, V6 and V1, V3, V5, V7.
	UNZIP(V0, V1, V16, V17)
	UNZIP(V2, V3, V18, V19)
	UNZIP(V4, V5, V20, V21)
	UNZIP(V6, V7, V22, V23)
	UNZIP(V8, V9, V0, V1)
	UNZIP(V10, V11, V2, V3)
	UNZIP(V12, V13, V4, V5)
	UNZIP(V14, V15, V6, V7)
	MOVD QGemmArgs_W(R0), R15
	FLDPQ (R15), (F24, F25)
	FLDPQ 32(R15), (F26, F27)
	ADD_BIAS(V16, V18, V20, V22)
	ADD_BIAS(V17, V19, V21, V23)
	ADD_BIAS(V0, V2, V4, V6)
	ADD_BIAS(V1, V3, V5, V7)
	MOVD QGemmArgs_Corr(R0), R11
	CBZ  R11, scale
	ADD_CORR(V16, V18, V20, V22)
	ADD_CORR(V17, V19, V21, V23)
	ADD_CORR(V0, V2, V4, V6)
	ADD_CORR(V1, V3, V5, V7)

scale:
	// A row at or above Rows goes where the last valid one goes, before it.
	LDP  QGemmArgs_C(R0), (R7, R11)
	LDP  QGemmArgs_Rows(R0), (R12, R13)
	CMP  $2, R12
	CSEL GE, R11, ZR, R14
	ADD  R14, R7, R8
	CSEL GT, R11, ZR, R14
	ADD  R14, R8, R9
	CMP  $3, R12
	CSEL GT, R11, ZR, R14
	ADD  R14, R9, R10
	MOVWU QGemmArgs_Raw(R0), R11
	CBNZ R11, raw

	FLDPQ (R3), (F24, F25)
	FLDPQ 32(R3), (F26, F27)
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)
	OUTPUT_CONSTANTS
	REQUANTIZE_16(16, 18, 20, 22, 24, 25, 26, 27)
	REQUANTIZE_16(17, 19, 21, 23, 24, 25, 26, 27)
	REQUANTIZE_16(0, 2, 4, 6, 24, 25, 26, 27)
	REQUANTIZE_16(1, 3, 5, 7, 24, 25, 26, 27)
	CMP  $16, R13
	BNE  partial
	FMOVQ F1, (R10)
	FMOVQ F0, (R9)
	FMOVQ F17, (R8)
	FMOVQ F16, (R7)
	RET

partial:
	STORE_BELOW_16(V1, R10, R13)
	STORE_BELOW_16(V0, R9, R13)
	STORE_BELOW_16(V17, R8, R13)
	STORE_BELOW_16(V16, R7, R13)
	RET

raw:
	CMP  $16, R13
	BNE  rawpartial
	FSTPQ (F1, F3), (R10)
	FSTPQ (F5, F7), 32(R10)
	FSTPQ (F0, F2), (R9)
	FSTPQ (F4, F6), 32(R9)
	FSTPQ (F17, F19), (R8)
	FSTPQ (F21, F23), 32(R8)
	FSTPQ (F16, F18), (R7)
	FSTPQ (F20, F22), 32(R7)
	RET

rawpartial:
	STORE_WORDS_BELOW_16(V1, V3, V5, V7, R10, R13)
	STORE_WORDS_BELOW_16(V0, V2, V4, V6, R9, R13)
	STORE_WORDS_BELOW_16(V17, V19, V21, V23, R8, R13)
	STORE_WORDS_BELOW_16(V16, V18, V20, V22, R7, R13)
	RET

// func QGemm2x16c8I8MM(a *QGemmArgs)
TEXT ·QGemm2x16c8I8MM(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  QGemmArgs_A(R0), (R4, R5)
	LDP  QGemmArgs_Off(R0), (R1, R2)
	LDP  QGemmArgs_KC(R0), (R6, R3)
	ADD  $64, R3
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16

tap2:
	LDPSW.P 16(R1), (R11, R12)
	ROW(R11, R7)
	ROW(R12, R8)
	SUBS $16, R6, R15
	BLT  last8x2

step16x2:
	FMOVQ.P 16(R7), F28
	FMOVQ.P 16(R8), F29
	LOAD_WEIGHTS
	VZIP1 V29.D2, V28.D2, V16.D2
	VZIP2 V29.D2, V28.D2, V18.D2
	MUL_2x16(16, 0)
	LOAD_WEIGHTS
	SUBS $16, R15
	MUL_2x16(18, 0)
	BGE  step16x2

last8x2:
	ADDS $16, R15
	BEQ  next2
	FMOVD (R7), F28
	FMOVD (R8), F29
	LOAD_WEIGHTS
	VZIP1 V29.D2, V28.D2, V16.D2
	MUL_2x16(16, 0)

next2:
	SUBS $1, R2
	BNE  tap2

	UNZIP(V0, V1, V16, V17)
	UNZIP(V2, V3, V18, V19)
	UNZIP(V4, V5, V20, V21)
	UNZIP(V6, V7, V22, V23)
	MOVD QGemmArgs_W(R0), R15
	FLDPQ (R15), (F24, F25)
	FLDPQ 32(R15), (F26, F27)
	ADD_BIAS(V16, V18, V20, V22)
	ADD_BIAS(V17, V19, V21, V23)
	MOVD QGemmArgs_Corr(R0), R11
	CBZ  R11, scale2
	ADD_CORR(V16, V18, V20, V22)
	ADD_CORR(V17, V19, V21, V23)

scale2:
	LDP  QGemmArgs_C(R0), (R7, R11)
	LDP  QGemmArgs_Rows(R0), (R12, R13)
	CMP  $1, R12
	CSEL GT, R11, ZR, R14
	ADD  R14, R7, R8
	MOVWU QGemmArgs_Raw(R0), R11
	CBNZ R11, raw2

	FLDPQ (R3), (F24, F25)
	FLDPQ 32(R3), (F26, F27)
	LOAD_CODE_RANGE(QGemmArgs_Lo, QGemmArgs_Hi, QGemmArgs_Zero)
	OUTPUT_CONSTANTS
	REQUANTIZE_16(16, 18, 20, 22, 24, 25, 26, 27)
	REQUANTIZE_16(17, 19, 21, 23, 24, 25, 26, 27)
	CMP  $16, R13
	BNE  partial2
	FMOVQ F17, (R8)
	FMOVQ F16, (R7)
	RET

partial2:
	STORE_BELOW_16(V17, R8, R13)
	STORE_BELOW_16(V16, R7, R13)
	RET

raw2:
	CMP  $16, R13
	BNE  rawpartial2
	FSTPQ (F17, F19), (R8)
	FSTPQ (F21, F23), 32(R8)
	FSTPQ (F16, F18), (R7)
	FSTPQ (F20, F22), 32(R7)
	RET

rawpartial2:
	STORE_WORDS_BELOW_16(V17, V19, V21, V23, R8, R13)
	STORE_WORDS_BELOW_16(V16, V18, V20, V22, R7, R13)
	RET

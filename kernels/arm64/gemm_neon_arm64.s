//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// Row r of A is in V(16+r), its sums in V(2r), V(2r+1). Every sum is one chain of
// fused multiply-adds; sixteen chains cover the latency of FMLA.

// FMA_ROW adds the k in lane i of row a times the columns b0, b1.
#define FMA_ROW(i, a, b0, b1, s0, s1) \
	FMLA_4S_LANE(i, a, b0, s0); \
	FMLA_4S_LANE(i, a, b1, s1)

#define FMA_1x8(i, b0, b1) \
	FMA_ROW(i, 16, b0, b1, 0, 1)

#define FMA_4x8(i, b0, b1) \
	FMA_ROW(i, 16, b0, b1, 0, 1); \
	FMA_ROW(i, 17, b0, b1, 2, 3); \
	FMA_ROW(i, 18, b0, b1, 4, 5); \
	FMA_ROW(i, 19, b0, b1, 6, 7)

#define FMA_8x8(i, b0, b1) \
	FMA_4x8(i, b0, b1); \
	FMA_ROW(i, 20, b0, b1, 8, 9); \
	FMA_ROW(i, 21, b0, b1, 10, 11); \
	FMA_ROW(i, 22, b0, b1, 12, 13); \
	FMA_ROW(i, 23, b0, b1, 14, 15)

// LOAD_2(w, x, y) loads eight weights at w(R3). Two loads take an out-of-order core no
// longer than one of a pair; to the Cortex-A55 a pair is six cycles.
#define LOAD_2(w, x, y) \
	FMOVQ w+0(R3), x; \
	FMOVQ w+16(R3), y

// ROW(off, p) points p at the row with offset off. R4 is A, R5 is Pad.
#define ROW(off, p) \
	ADD  off, R4, p; \
	CMP  $0, off; \
	CSEL LT, R5, p, p

// The ends of a row: BIAS adds the bias in V24, V25; CLAMP_LO and CLAMP_HI clamp to
// V26, V27. FMAX(-0, +0) is +0, where the comparison leaves -0; FMIN differs from a
// comparison only for a bound of -0. Clobber V28, V29.
#define BIAS(x0, x1) \
	FADD_4S(24, x0, x0); \
	FADD_4S(25, x1, x1)

#define CLAMP_LO(x0, x1) \
	FCMGT_4S(x0, 26, 28); \
	FCMGT_4S(x1, 26, 29); \
	BIT_16B(28, 26, x0); \
	BIT_16B(29, 26, x1)

#define CLAMP_HI(x0, x1) \
	FMIN_4S(27, x0, x0); \
	FMIN_4S(27, x1, x1)

#define ROWS_4(end) \
	end(0, 1); \
	end(2, 3); \
	end(4, 5); \
	end(6, 7)

#define ROWS_8(end) \
	ROWS_4(end); \
	end(8, 9); \
	end(10, 11); \
	end(12, 13); \
	end(14, 15)

// EPILOGUE_CONSTANTS loads the bias, Lo and Hi; R16 is 0 if Lo is -Inf, R17 if Hi is
// +Inf.
#define EPILOGUE_CONSTANTS \
	MOVD GemmArgs_W(R0), R3; \
	MOVWU GemmArgs_Lo(R0), R16; \
	MOVWU GemmArgs_Hi(R0), R17; \
	FLDPQ (R3), (F24, F25); \
	VDUP R16, V26.S4; \
	VDUP R17, V27.S4; \
	EORW $0xff800000, R16; \
	EORW $0x7f800000, R17

// BEGIN_8x8 loads the arguments at R0 and clears the sums.
#define BEGIN_8x8 \
	LDP  GemmArgs_A(R0), (R4, R5); \
	LDP  GemmArgs_Off(R0), (R1, R2); \
	LDP  GemmArgs_KC(R0), (R6, R3); \
	ADD  $32, R3; \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16; \
	VMOVI $0, V2.B16; \
	VMOVI $0, V3.B16; \
	VMOVI $0, V4.B16; \
	VMOVI $0, V5.B16; \
	VMOVI $0, V6.B16; \
	VMOVI $0, V7.B16; \
	VMOVI $0, V8.B16; \
	VMOVI $0, V9.B16; \
	VMOVI $0, V10.B16; \
	VMOVI $0, V11.B16; \
	VMOVI $0, V12.B16; \
	VMOVI $0, V13.B16; \
	VMOVI $0, V14.B16; \
	VMOVI $0, V15.B16

// ROWS_8x8 points R7-R14 at the rows of the next tap.
#define ROWS_8x8 \
	LDPSW.P 8(R1), (R16, R17); \
	ROW(R16, R7); \
	ROW(R17, R8); \
	LDPSW.P 8(R1), (R16, R17); \
	ROW(R16, R9); \
	ROW(R17, R10); \
	LDPSW.P 8(R1), (R16, R17); \
	ROW(R16, R11); \
	ROW(R17, R12); \
	LDPSW.P 8(R1), (R16, R17); \
	ROW(R16, R13); \
	ROW(R17, R14)

// STEP1_8x8 adds one k.
#define STEP1_8x8 \
	FLDPQ.P 32(R3), (F24, F25); \
	FMOVS.P 4(R7), F16; \
	FMOVS.P 4(R8), F17; \
	FMOVS.P 4(R9), F18; \
	FMOVS.P 4(R10), F19; \
	FMOVS.P 4(R11), F20; \
	FMOVS.P 4(R12), F21; \
	FMOVS.P 4(R13), F22; \
	FMOVS.P 4(R14), F23; \
	SUBS $1, R15; \
	FMA_8x8(0, 24, 25)

// end8x8 makes the output of the sums; R0 are the arguments. A row at or above Rows goes
// where the last valid one goes, before it.
TEXT end8x8<>(SB), NOSPLIT|NOFRAME, $0-0
	EPILOGUE_CONSTANTS
	ROWS_8(BIAS)
	CBZW R16, high                   // no Lo
	ROWS_8(CLAMP_LO)

high:
	CBZW R17, store                  // no Hi
	ROWS_8(CLAMP_HI)

store:
	LDP  GemmArgs_C(R0), (R7, R15)
	LDP  GemmArgs_Rows(R0), (R1, R2)
	CMP  $2, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R7, R8
	CSEL GT, R15, ZR, R16
	ADD  R16, R8, R9
	CMP  $4, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R9, R10
	CSEL GT, R15, ZR, R16
	ADD  R16, R10, R11
	CMP  $6, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R11, R12
	CSEL GT, R15, ZR, R16
	ADD  R16, R12, R13
	CMP  $8, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R13, R14
	CMP  $8, R2
	BNE  partial
	FSTPQ (F14, F15), (R14)
	FSTPQ (F12, F13), (R13)
	FSTPQ (F10, F11), (R12)
	FSTPQ (F8, F9), (R11)
	FSTPQ (F6, F7), (R10)
	FSTPQ (F4, F5), (R9)
	FSTPQ (F2, F3), (R8)
	FSTPQ (F0, F1), (R7)
	RET

partial:
	STORE_WORDS_BELOW_8(V14, V15, R14, R2)
	STORE_WORDS_BELOW_8(V12, V13, R13, R2)
	STORE_WORDS_BELOW_8(V10, V11, R12, R2)
	STORE_WORDS_BELOW_8(V8, V9, R11, R2)
	STORE_WORDS_BELOW_8(V6, V7, R10, R2)
	STORE_WORDS_BELOW_8(V4, V5, R9, R2)
	STORE_WORDS_BELOW_8(V2, V3, R8, R2)
	STORE_WORDS_BELOW_8(V0, V1, R7, R2)
	RET

// func Gemm8x8NEON(a *GemmArgs)
TEXT ·Gemm8x8NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	BEGIN_8x8

tap:
	ROWS_8x8
	SUBS $4, R6, R15                   // k left after a step of 4
	BLT  tail

	// The first k of four is interleaved with the loads of the rows, for the
	// cores that issue in order.
step4:
	LOAD_2(0, F24, F25)
	FMOVQ.P 16(R7), F16
	FMOVQ.P 16(R8), F17
	FMOVQ.P 16(R9), F18
	FMA_ROW(0, 16, 24, 25, 0, 1)
	FMOVQ.P 16(R10), F19
	FMA_ROW(0, 17, 24, 25, 2, 3)
	FMOVQ.P 16(R11), F20
	FMA_ROW(0, 18, 24, 25, 4, 5)
	FMOVQ.P 16(R12), F21
	FMA_ROW(0, 19, 24, 25, 6, 7)
	FMOVQ.P 16(R13), F22
	FMA_ROW(0, 20, 24, 25, 8, 9)
	FMOVQ.P 16(R14), F23
	FMA_ROW(0, 21, 24, 25, 10, 11)
	LOAD_2(32, F26, F27)
	FMA_ROW(0, 22, 24, 25, 12, 13)
	LOAD_2(64, F28, F29)
	FMA_ROW(0, 23, 24, 25, 14, 15)
	LOAD_2(96, F30, F31)
	FMA_8x8(1, 26, 27)
	FMA_8x8(2, 28, 29)
	ADD  $128, R3
	SUBS $4, R15
	FMA_8x8(3, 30, 31)
	BGE  step4

tail:
	ADDS $4, R15
	BEQ  next

step1:
	STEP1_8x8
	BNE  step1

next:
	SUBS $1, R2
	BNE  tap
	B    end8x8<>(SB)

// The loop for cores that issue two instructions a cycle in order, of which one may work on
// 128 bits (Cortex-A53, A55). There a load of 128 bits keeps all else from issuing for two
// cycles (measured by others: ncnn, docs/developer-guide/arm-a53-a55-dual-issue.md;
// daniestevez/qsdr, instruction_benchmark). So vectors come in halves: the upper one through
// a general register, whose load a multiply-add hides, the lower one by a load that hides the
// insertion of the upper half of the vector before. On the A55 multiply-adds hide all of
// these. On the A53 load and insertion take a cycle together, and no multiply-add may
// lie four cycles before them: so there are three between two loads, and an insertion that
// takes a cycle alone where there were more.
//
// The weights of the first two k and five of the rows are loaded a step ahead, behind
// the last step the same ones again, for nothing may be read beyond them.

// FMA(j) is the j-th of the 64 multiply-adds of a step: k is j/16, the row j/2 mod 8. Row r
// is in V(16+r), the weights of k in V(24+2k), V(25+2k).
#define FMA(j) FMLA_4S_LANE((j)>>4, 16+(((j)>>1)&7), 24+2*((j)>>4)+((j)&1), (j)&15)

// FMA_LOAD(j, scalar, o, p, x, f, y, v) does three multiply-adds from j on, loads the upper
// half of the vector at o(p) into x and its lower half into f, and makes y the upper half of
// v.
#define FMA_LOAD(j, scalar, o, p, x, f, y, v) \
	FMA(j); \
	MOVD o+8(p), x; \
	FMA(j+1); \
	scalar; \
	FMA(j+2); \
	FMOVD o+0(p), f; \
	VMOV y, v.D[1]

// FMA_NEXT(j, q, o, p, x, f, y, v) does that, and points q at the row's next k.
#define FMA_NEXT(j, q, o, p, x, f, y, v) \
	FMA(j); \
	MOVD o+8(p), x; \
	FMA(j+1); \
	ADD  R19, q; \
	FMA(j+2); \
	FMOVD o+0(p), f; \
	VMOV y, v.D[1]

#define FMA_4(j) \
	FMA(j); \
	FMA(j+1); \
	FMA(j+2); \
	FMA(j+3)

// R15 are the k left behind a step, R19 the bytes from its rows to the next ones, R20 the
// next weights.
#define COUNT SUBS $4, R15
#define ADVANCE CSEL GE, R21, ZR, R19
#define NEXT_WEIGHTS ADD R19<<3, R3, R20
#define PAST_WEIGHTS ADD $128, R3
#define NOTHING

// func Gemm8x8InOrderNEON(a *GemmArgs)
TEXT ·Gemm8x8InOrderNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	BEGIN_8x8
	MOVD $16, R21

tap:
	ROWS_8x8
	SUBS $4, R6, R15
	BLT  tail
	FMOVQ (R7), F16
	FMOVQ (R8), F17
	FMOVQ (R9), F18
	FMOVQ (R10), F19
	FMOVQ (R11), F20
	LOAD_2(0, F24, F25)
	LOAD_2(32, F26, F27)
	MOVD 8(R11), R17
	MOVD $0, R19

step4:
	FMA_NEXT(0, R13, 0, R12, R16, F21, R17, V20)
	FMA_NEXT(3, R14, 0, R13, R17, F22, R16, V21)
	FMA_LOAD(6, NOTHING, 0, R14, R16, F23, R17, V22)
	FMA_LOAD(9, COUNT, 64, R3, R17, F28, R16, V23)
	FMA_LOAD(12, ADVANCE, 80, R3, R16, F29, R17, V28)
	FMA_LOAD(15, NEXT_WEIGHTS, 96, R3, R17, F30, R16, V29)
	FMA_LOAD(18, NOTHING, 112, R3, R16, F31, R17, V30)
	FMA_LOAD(21, PAST_WEIGHTS, 0, R20, R17, F24, R16, V31)
	FMA_LOAD(24, NOTHING, 16, R20, R16, F25, R17, V24)
	FMA_4(27)
	FMA_4(31)
	FMA_4(35)
	FMA_4(39)
	VMOV R16, V25.D[1]                 // for the A53 to pass a cycle: FMA_LOAD does it again
	FMA_LOAD(43, NOTHING, 32, R20, R17, F26, R16, V25)
	FMA_NEXT(46, R7, 48, R20, R16, F27, R17, V26)
	FMA_NEXT(49, R8, 0, R7, R17, F16, R16, V27)
	FMA_NEXT(52, R9, 0, R8, R16, F17, R17, V16)
	FMA_NEXT(55, R10, 0, R9, R17, F18, R16, V17)
	FMA_NEXT(58, R11, 0, R10, R16, F19, R17, V18)
	FMA_NEXT(61, R12, 0, R11, R17, F20, R16, V19)
	BGE  step4

	ADD  $16, R7
	ADD  $16, R8
	ADD  $16, R9
	ADD  $16, R10
	ADD  $16, R11
	ADD  $16, R12
	ADD  $16, R13
	ADD  $16, R14

tail:
	ADDS $4, R15
	BEQ  next

step1:
	STEP1_8x8
	BNE  step1

next:
	SUBS $1, R2
	BNE  tap
	B    end8x8<>(SB)

// func Gemm4x8NEON(a *GemmArgs)
TEXT ·Gemm4x8NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  GemmArgs_A(R0), (R4, R5)
	LDP  GemmArgs_Off(R0), (R1, R2)
	LDP  GemmArgs_KC(R0), (R6, R3)
	ADD  $32, R3
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16

tap_4:
	LDPSW.P 8(R1), (R16, R17)
	ROW(R16, R7)
	ROW(R17, R8)
	LDPSW.P 24(R1), (R16, R17)
	ROW(R16, R9)
	ROW(R17, R10)
	SUBS $4, R6, R15
	BLT  tail_4

step4_4:
	LOAD_2(0, F24, F25)
	FMOVQ.P 16(R7), F16
	FMOVQ.P 16(R8), F17
	FMOVQ.P 16(R9), F18
	FMA_ROW(0, 16, 24, 25, 0, 1)
	FMOVQ.P 16(R10), F19
	FMA_ROW(0, 17, 24, 25, 2, 3)
	LOAD_2(32, F26, F27)
	FMA_ROW(0, 18, 24, 25, 4, 5)
	LOAD_2(64, F28, F29)
	FMA_ROW(0, 19, 24, 25, 6, 7)
	LOAD_2(96, F30, F31)
	FMA_4x8(1, 26, 27)
	FMA_4x8(2, 28, 29)
	ADD  $128, R3
	SUBS $4, R15
	FMA_4x8(3, 30, 31)
	BGE  step4_4

tail_4:
	ADDS $4, R15
	BEQ  next_4

step1_4:
	FLDPQ.P 32(R3), (F24, F25)
	FMOVS.P 4(R7), F16
	FMOVS.P 4(R8), F17
	FMOVS.P 4(R9), F18
	FMOVS.P 4(R10), F19
	SUBS $1, R15
	FMA_4x8(0, 24, 25)
	BNE  step1_4

next_4:
	SUBS $1, R2
	BNE  tap_4

	EPILOGUE_CONSTANTS
	ROWS_4(BIAS)
	CBZW R16, high_4                   // no Lo
	ROWS_4(CLAMP_LO)

high_4:
	CBZW R17, store_4                  // no Hi
	ROWS_4(CLAMP_HI)

store_4:
	LDP  GemmArgs_C(R0), (R7, R15)
	LDP  GemmArgs_Rows(R0), (R1, R2)
	CMP  $2, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R7, R8
	CSEL GT, R15, ZR, R16
	ADD  R16, R8, R9
	CMP  $4, R1
	CSEL GE, R15, ZR, R16
	ADD  R16, R9, R10
	CMP  $8, R2
	BNE  partial_4
	FSTPQ (F6, F7), (R10)
	FSTPQ (F4, F5), (R9)
	FSTPQ (F2, F3), (R8)
	FSTPQ (F0, F1), (R7)
	RET

partial_4:
	STORE_WORDS_BELOW_8(V6, V7, R10, R2)
	STORE_WORDS_BELOW_8(V4, V5, R9, R2)
	STORE_WORDS_BELOW_8(V2, V3, R8, R2)
	STORE_WORDS_BELOW_8(V0, V1, R7, R2)
	RET

// func Gemm1x8NEON(a *GemmArgs)
TEXT ·Gemm1x8NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  GemmArgs_A(R0), (R4, R5)
	LDP  GemmArgs_Off(R0), (R1, R2)
	LDP  GemmArgs_KC(R0), (R6, R3)
	ADD  $32, R3
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16

tap_1:
	MOVW.P 32(R1), R16
	ROW(R16, R7)
	SUBS $4, R6, R15
	BLT  tail_1

step4_1:
	FMOVQ.P 16(R7), F16
	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	FLDPQ.P 32(R3), (F28, F29)
	FLDPQ.P 32(R3), (F30, F31)
	FMA_1x8(0, 24, 25)
	FMA_1x8(1, 26, 27)
	SUBS $4, R15
	FMA_1x8(2, 28, 29)
	FMA_1x8(3, 30, 31)
	BGE  step4_1

tail_1:
	ADDS $4, R15
	BEQ  next_1

step1_1:
	FMOVS.P 4(R7), F16
	FLDPQ.P 32(R3), (F24, F25)
	SUBS $1, R15
	FMA_1x8(0, 24, 25)
	BNE  step1_1

next_1:
	SUBS $1, R2
	BNE  tap_1

	EPILOGUE_CONSTANTS
	BIAS(0, 1)
	CBZW R16, high_1                   // no Lo
	CLAMP_LO(0, 1)

high_1:
	CBZW R17, store_1                  // no Hi
	CLAMP_HI(0, 1)

store_1:
	MOVD GemmArgs_C(R0), R7
	MOVD GemmArgs_Cols(R0), R2
	CMP  $8, R2
	BNE  partial_1
	FSTPQ (F0, F1), (R7)
	RET

partial_1:
	STORE_WORDS_BELOW_8(V0, V1, R7, R2)
	RET

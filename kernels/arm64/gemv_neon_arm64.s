//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// Float32 product of one row and 32 columns. An output is one chain of additions, so
// it takes eight registers of columns side by side, V0-V7, to hide its latency.

// FMA_2(i, b, x) adds the k in lane i of the row in V16, for the weights in v<b>,
// v<b+1>, to v<x>, v<x+1>.
#define FMA_2(i, b, x) \
	FMLA_4S_LANE(i, 16, b, x); \
	FMLA_4S_LANE(i, 16, b+1, x+1)

#define FMA_32(i, b) \
	FMA_2(i, b, 0); \
	FMA_2(i, b+2, 2); \
	FMA_2(i, b+4, 4); \
	FMA_2(i, b+6, 6)

// LOAD_2(w, x, y) loads eight weights at w(R3). Two loads take an out-of-order core no
// longer than one of a pair; to the Cortex-A55 a pair is six cycles.
#define LOAD_2(w, x, y) \
	FMOVQ w+0(R3), x; \
	FMOVQ w+16(R3), y

// LOAD_20(w) loads the weights of a k at w(R3) to V20-V27.
#define LOAD_20(w) \
	LOAD_2(w+0, F20, F21); \
	LOAD_2(w+32, F22, F23); \
	LOAD_2(w+64, F24, F25); \
	LOAD_2(w+96, F26, F27)

// FMA_LOAD_8, FMA_LOAD_20 are FMA_32 of the weights in the one set of registers among
// the loads to the other, for the cores that issue in order.
#define FMA_LOAD_8(i, w) \
	LOAD_2(w+0, F8, F9); \
	FMA_2(i, 20, 0); \
	LOAD_2(w+32, F10, F11); \
	FMA_2(i, 22, 2); \
	LOAD_2(w+64, F12, F13); \
	FMA_2(i, 24, 4); \
	LOAD_2(w+96, F14, F15); \
	FMA_2(i, 26, 6)

#define FMA_LOAD_20(i, w) \
	LOAD_2(w+0, F20, F21); \
	FMA_2(i, 8, 0); \
	LOAD_2(w+32, F22, F23); \
	FMA_2(i, 10, 2); \
	LOAD_2(w+64, F24, F25); \
	FMA_2(i, 12, 4); \
	LOAD_2(w+96, F26, F27); \
	FMA_2(i, 14, 6)

// ALL_8(end) does end for the eight registers.
#define ALL_8(end) \
	end(0, 28); \
	end(1, 29); \
	end(2, 30); \
	end(3, 31); \
	end(4, 28); \
	end(5, 29); \
	end(6, 30); \
	end(7, 31)

// BIAS and CLAMP end the sums in v<x>; the bias is in V16-V23, the clamp in V24, V25.
// FMAX(-0, +0) is +0, where the comparison leaves -0; FMIN differs from a comparison
// only for a bound of -0.
#define BIAS(x, t) FADD_4S(x+16, x, x)

#define CLAMP(x, t) \
	FCMGT_4S(x, 24, t); \
	BIT_16B(t, 24, x); \
	FMIN_4S(25, x, x)

// func Gemv32NEON(a *GemmArgs)
TEXT ·Gemv32NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  GemmArgs_A(R0), (R4, R5)
	LDP  GemmArgs_Off(R0), (R1, R2)
	LDP  GemmArgs_KC(R0), (R6, R3)
	ADD  $128, R3                      // weights after the bias
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16

tap:
	MOVW.P 4(R1), R16
	ADD  R16, R4, R7
	CMP  $0, R16
	CSEL LT, R5, R7, R7
	SUBS $4, R6, R15                   // k left after a step of 4
	BLT  tail

step4:
	FMOVQ.P 16(R7), F16
	LOAD_20(0)
	FMA_LOAD_8(0, 128)
	FMA_LOAD_20(1, 256)
	FMA_LOAD_8(2, 384)
	ADD  $512, R3
	SUBS $4, R15
	FMA_32(3, 8)
	BGE  step4

tail:
	ADDS $4, R15
	BEQ  next

step1:
	FMOVS.P 4(R7), F16
	LOAD_20(0)
	ADD  $128, R3
	SUBS $1, R15
	FMA_32(0, 20)
	BNE  step1

next:
	SUBS $1, R2
	BNE  tap

	MOVD GemmArgs_W(R0), R3
	FLDPQ (R3), (F16, F17)
	FLDPQ 32(R3), (F18, F19)
	FLDPQ 64(R3), (F20, F21)
	FLDPQ 96(R3), (F22, F23)
	ADD  $GemmArgs_Lo, R0, R16
	VLD1R.P 4(R16), [V24.S4]
	VLD1R (R16), [V25.S4]
	ALL_8(BIAS)
	ALL_8(CLAMP)

	MOVD GemmArgs_C(R0), R7
	MOVD GemmArgs_Cols(R0), R2
	CMP  $32, R2
	BNE  partial
	FSTPQ (F0, F1), (R7)
	FSTPQ (F2, F3), 32(R7)
	FSTPQ (F4, F5), 64(R7)
	FSTPQ (F6, F7), 96(R7)
	RET

partial:
	TBZ  $4, R2, below16
	FSTPQ.P (F0, F1), 32(R7)
	FSTPQ.P (F2, F3), 32(R7)
	VMOV V4.B16, V0.B16
	VMOV V5.B16, V1.B16
	VMOV V6.B16, V2.B16
	VMOV V7.B16, V3.B16

below16:
	STORE_WORDS_BELOW_16(V0, V1, V2, V3, R7, R2)
	RET

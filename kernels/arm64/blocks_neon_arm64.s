//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"
#include "epilogue_arm64.h"

// Products of one row with weights of 4 or 8 bits in blocks: sums of 32 columns in V0-V7,
// scales in V8-V15, R1 the row, R3 the panel, R6 the k left, R7 those of a block.

#define GEMV_ARGS \
	MOVD a+0(FP), R0; \
	LDP  BlockArgs_A(R0), (R1, R3); \
	LDP  BlockArgs_K(R0), (R6, R7); \
	ADD  $128, R3; \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16; \
	VMOVI $0, V2.B16; \
	VMOVI $0, V3.B16; \
	VMOVI $0, V4.B16; \
	VMOVI $0, V5.B16; \
	VMOVI $0, V6.B16; \
	VMOVI $0, V7.B16

#define UNPACK_ARGS \
	MOVD dst+0(FP), R0; \
	MOVD block+8(FP), R1; \
	MOVD k+16(FP), R2; \
	FLDPQ.P 32(R1), (F8, F9)

// BLOCK begins the next block, of R9 k.
#define BLOCK \
	CMP  R7, R6; \
	CSEL LT, R6, R7, R9; \
	SUB  R9, R6; \
	FLDPQ.P 32(R3), (F8, F9); \
	FLDPQ.P 32(R3), (F10, F11); \
	FLDPQ.P 32(R3), (F12, F13); \
	FLDPQ.P 32(R3), (F14, F15)

// FINISH(v) adds the bias in v16+v and clamps to V24, V25.
#define FINISH(v) \
	FADD_4S(v+16, v, v); \
	FCMGT_4S(v, 24, 26); \
	BIT_16B(26, 24, v); \
	FCMGT_4S(25, v, 26); \
	BIT_16B(26, 25, v)

// sums32 stores the sums of up to 32 columns.
TEXT sums32<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVD BlockArgs_W(R0), R3
	MOVD BlockArgs_C(R0), R8
	MOVD BlockArgs_Cols(R0), R9
	ADD  $BlockArgs_Lo, R0, R1
	LD1R_4S_P(1, 24)
	LD1R_4S(1, 25)
	FLDPQ (R3), (F16, F17)
	FLDPQ 32(R3), (F18, F19)
	FLDPQ 64(R3), (F20, F21)
	FLDPQ 96(R3), (F22, F23)
	FINISH(0)
	FINISH(1)
	FINISH(2)
	FINISH(3)
	FINISH(4)
	FINISH(5)
	FINISH(6)
	FINISH(7)
	SUBS $8, R9
	BLT  part

eight:
	FSTPQ.P (F0, F1), 32(R8)
	VMOV V2.B16, V0.B16
	VMOV V3.B16, V1.B16
	VMOV V4.B16, V2.B16
	VMOV V5.B16, V3.B16
	VMOV V6.B16, V4.B16
	VMOV V7.B16, V5.B16
	SUBS $8, R9
	BGE  eight

part:
	ADDS $8, R9
	BEQ  end
	STORE_WORDS_BELOW_8(V0, V1, R8, R9)

end:
	RET

// NIBBLES(w, s, a) does four vectors from v<w> of words, v<s> of scales and v<a>
// of sums. The lowest code of a word, shifted to its top, is a fraction of 28 bits to
// SCVTF; the word then moves on to its next code.
#define NIBBLES(w, s, a) \
	SHL28_4S(w+0, 25); \
	SHL28_4S(w+1, 26); \
	SHL28_4S(w+2, 27); \
	SHL28_4S(w+3, 28); \
	SCVTF28_4S(25, 25); \
	SCVTF28_4S(26, 26); \
	SCVTF28_4S(27, 27); \
	SCVTF28_4S(28, 28); \
	FMUL_4S(s+0, 25, 25); \
	FMUL_4S(s+1, 26, 26); \
	FMUL_4S(s+2, 27, 27); \
	FMUL_4S(s+3, 28, 28); \
	USHR4_4S(w+0, w+0); \
	USHR4_4S(w+1, w+1); \
	USHR4_4S(w+2, w+2); \
	USHR4_4S(w+3, w+3); \
	FMLA_4S(24, 25, a+0); \
	FMLA_4S(24, 26, a+1); \
	FMLA_4S(24, 27, a+2); \
	FMLA_4S(24, 28, a+3)

// func BlockGemv32Int4NEON(a *BlockArgs)
TEXT ·BlockGemv32Int4NEON(SB), NOSPLIT, $0-8
	GEMV_ARGS

block:
	BLOCK

word:
	FLDPQ.P 32(R3), (F16, F17)
	FLDPQ.P 32(R3), (F18, F19)
	FLDPQ.P 32(R3), (F20, F21)
	FLDPQ.P 32(R3), (F22, F23)
	MOVD $8, R10
	CMP  R10, R9
	CSEL LT, R9, R10, R10
	SUB  R10, R9

k:
	LD1R_4S_P(1, 24)
	NIBBLES(16, 8, 0)
	SUBS $1, R10
	NIBBLES(20, 12, 4)
	BNE  k
	CBNZ R9, word
	CBNZ R6, block
	B    sums32<>(SB)

// SIXTEEN_CODES(n, s, a) does sixteen codes in v<n>, from v<s> of scales and v<a> of sums.
#define SIXTEEN_CODES(n, s, a) \
	SXTL_8H(n, 18); \
	SXTL2_8H(n, 19); \
	SXTL_4S(18, 20); \
	SXTL2_4S(18, 21); \
	SXTL_4S(19, 22); \
	SXTL2_4S(19, 23); \
	SCVTF_4S(20, 20); \
	SCVTF_4S(21, 21); \
	SCVTF_4S(22, 22); \
	SCVTF_4S(23, 23); \
	FMUL_4S(s+0, 20, 20); \
	FMUL_4S(s+1, 21, 21); \
	FMUL_4S(s+2, 22, 22); \
	FMUL_4S(s+3, 23, 23); \
	FMLA_4S(24, 20, a+0); \
	FMLA_4S(24, 21, a+1); \
	FMLA_4S(24, 22, a+2); \
	FMLA_4S(24, 23, a+3)

// func BlockGemv32Int8NEON(a *BlockArgs)
TEXT ·BlockGemv32Int8NEON(SB), NOSPLIT, $0-8
	GEMV_ARGS

block:
	BLOCK

k:
	FLDPQ (R3), (F16, F17)
	LD1R_4S_P(1, 24)
	ADD  $32, R3
	SUBS $1, R9
	SIXTEEN_CODES(16, 8, 0)
	SIXTEEN_CODES(17, 12, 4)
	BNE  k
	CBNZ R6, block
	B    sums32<>(SB)

// func UnpackInt4NEON(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt4NEON(SB), NOSPLIT, $0-24
	UNPACK_ARGS

word:
	FLDPQ.P 32(R1), (F16, F17)
	MOVD $8, R3
	CMP  R3, R2
	CSEL LT, R2, R3, R3
	SUB  R3, R2

k:
	SHL28_4S(16, 0)
	SHL28_4S(17, 1)
	USHR4_4S(16, 16)
	USHR4_4S(17, 17)
	SCVTF28_4S(0, 0)
	SCVTF28_4S(1, 1)
	SUBS $1, R3
	FMUL_4S(8, 0, 0)
	FMUL_4S(9, 1, 1)
	FSTPQ.P (F0, F1), 32(R0)
	BNE  k
	CBNZ R2, word
	RET

// func UnpackInt8NEON(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt8NEON(SB), NOSPLIT, $0-24
	UNPACK_ARGS

k:
	FMOVD.P 8(R1), F16
	SUBS $1, R2
	SXTL_8H(16, 16)
	SXTL_4S(16, 0)
	SXTL2_4S(16, 1)
	SCVTF_4S(0, 0)
	SCVTF_4S(1, 1)
	FMUL_4S(8, 0, 0)
	FMUL_4S(9, 1, 1)
	FSTPQ.P (F0, F1), 32(R0)
	BNE  k
	RET

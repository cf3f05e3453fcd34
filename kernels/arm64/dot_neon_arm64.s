//go:build !purego

#include "textflag.h"
#include "macros_arm64.h"

#define DOT_ARGS \
	MOVD x+0(FP), R0; \
	MOVD w+8(FP), R1; \
	MOVD n+16(FP), R2; \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16

// DOT_SUM leaves the sum of V0 and V1 in R3.
#define DOT_SUM \
	VADD  V1.S4, V0.S4, V0.S4; \
	VADDV V0.S4, V0; \
	VMOV  V0.S[0], R3

// func Dot8NEON(x, w unsafe.Pointer, n uintptr) int32
TEXT ·Dot8NEON(SB), NOSPLIT, $0-28
	DOT_ARGS

dot16:
	FMOVQ.P 16(R0), F2
	FMOVQ.P 16(R1), F3
	SUBS $16, R2
	SMULL_8H(3, 2, 4)
	SMULL2_8H(3, 2, 5)
	SADALP_4S(4, 0)
	SADALP_4S(5, 1)
	BNE  dot16
	DOT_SUM
	MOVW R3, ret+24(FP)
	RET

// func Dot8Dotprod(x, w unsafe.Pointer, n uintptr) int32
TEXT ·Dot8Dotprod(SB), NOSPLIT, $0-28
	DOT_ARGS
	SUBS $32, R2
	BLT  last16

dot32:
	FLDPQ.P 32(R0), (F2, F3)
	FLDPQ.P 32(R1), (F4, F5)
	SUBS $32, R2
	SDOT_4S(4, 2, 0)
	SDOT_4S(5, 3, 1)
	BGE  dot32

last16:
	ADDS $32, R2
	BEQ  end
	FMOVQ (R0), F2
	FMOVQ (R1), F4
	SDOT_4S(4, 2, 0)

end:
	DOT_SUM
	MOVW R3, ret+24(FP)
	RET

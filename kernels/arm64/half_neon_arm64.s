//go:build !purego

#include "textflag.h"
#include "macros_elementwise_arm64.h"

// func WidenHalvesNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·WidenHalvesNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2

widen8:
	FMOVQ.P 16(R1), F0
	SUBS $8, R2
	FCVTL_4S(0, 1)
	FCVTL2_4S(0, 2)
	FSTPQ.P (F1, F2), 32(R0)
	BNE  widen8
	RET

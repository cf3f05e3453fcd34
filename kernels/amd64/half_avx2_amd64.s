//go:build !purego

#include "textflag.h"

// The exponent and the mantissa of a half, as those of a float32, are 2**-112 of its
// value, for subnormals too. Infinities and NaNs, whose exponent is 31, get all bits of
// the exponent. (VCVTPH2PS does the same, but F16C is not part of the level.)

// func WidenHalvesAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·WidenHalvesAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x7fff, AX
	VMOVD AX, X4
	VPBROADCASTD X4, Y4               // all but the sign
	MOVL $0x7bff, AX
	VMOVD AX, X5
	VPBROADCASTD X5, Y5               // the greatest finite half
	MOVL $0x77800000, AX
	VMOVD AX, X6
	VPBROADCASTD X6, Y6               // 2**112
	MOVL $0x7f800000, AX
	VMOVD AX, X7
	VPBROADCASTD X7, Y7

widen8:
	VPMOVZXWD (SI), Y0
	VPAND     Y4, Y0, Y1
	VPXOR     Y1, Y0, Y0              // the sign
	VPCMPGTD  Y5, Y1, Y2
	VPSLLD    $13, Y1, Y1
	VMULPS    Y6, Y1, Y1
	VPAND     Y7, Y2, Y2
	VPSLLD    $16, Y0, Y0
	VPOR      Y2, Y1, Y1
	VPOR      Y0, Y1, Y1
	VMOVUPS   Y1, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNE       widen8
	VZEROUPPER
	RET

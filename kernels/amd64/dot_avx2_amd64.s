//go:build !purego

#include "textflag.h"

// func Dot8AVX2(x, w unsafe.Pointer, n uintptr) int32
TEXT ·Dot8AVX2(SB), NOSPLIT, $0-28
	MOVQ  x+0(FP), SI
	MOVQ  w+8(FP), DI
	MOVQ  n+16(FP), CX
	VPXOR Y0, Y0, Y0
	SUBQ  $16, CX
	JLT   tail

dot16:
	VPMOVSXBW (SI), Y1
	VPMOVSXBW (DI), Y2
	VPMADDWD  Y1, Y2, Y1
	VPADDD    Y1, Y0, Y0
	ADDQ      $16, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JGE       dot16

tail:
	VEXTRACTI128 $1, Y0, X1
	VPADDD       X1, X0, X0
	ADDQ         $16, CX
	JEQ          sum
	VPMOVSXBW    (SI), X1 // eight are left
	VPMOVSXBW    (DI), X2
	VPMADDWD     X1, X2, X1
	VPADDD       X1, X0, X0

sum:
	VPSHUFD $0x4e, X0, X1
	VPADDD  X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPADDD  X1, X0, X0
	VMOVD   X0, AX
	MOVL    AX, ret+24(FP)
	VZEROUPPER
	RET

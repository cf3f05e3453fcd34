//go:build !purego

#include "textflag.h"

// HALVES interleaves rows a and b: the columns 0 1 4 5 go to lo, 2 3 6 7 to hi.
#define HALVES(a, b, lo, hi) \
	VUNPCKLPS b, a, lo; \
	VUNPCKHPS b, a, hi

#define PAIRS(a, b, lo, hi) \
	VUNPCKLPD b, a, lo; \
	VUNPCKHPD b, a, hi

// STORE writes column c and the one four behind it.
#define STORE(low, high, at, four) \
	VPERM2F128 $0x20, high, low, Y14; \
	VPERM2F128 $0x31, high, low, Y15; \
	VMOVUPS    Y14, at; \
	VMOVUPS    Y15, four

// func Turn8AVX2(dst, src unsafe.Pointer, n, dstLD, srcLD uintptr)
TEXT ·Turn8AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ dstLD+24(FP), R8
	MOVQ srcLD+32(FP), R9
	LEAQ (R9)(R9*2), R10
	LEAQ (SI)(R9*4), BX
	LEAQ (R8)(R8*2), R11
	SHRQ $3, CX

loop:
	VMOVUPS (SI), Y0
	VMOVUPS (SI)(R9*1), Y1
	VMOVUPS (SI)(R9*2), Y2
	VMOVUPS (SI)(R10*1), Y3
	VMOVUPS (BX), Y4
	VMOVUPS (BX)(R9*1), Y5
	VMOVUPS (BX)(R9*2), Y6
	VMOVUPS (BX)(R10*1), Y7
	HALVES(Y0, Y1, Y8, Y9)
	HALVES(Y2, Y3, Y10, Y11)
	HALVES(Y4, Y5, Y12, Y13)
	HALVES(Y6, Y7, Y14, Y15)
	PAIRS(Y8, Y10, Y0, Y1)
	PAIRS(Y9, Y11, Y2, Y3)
	PAIRS(Y12, Y14, Y4, Y5)
	PAIRS(Y13, Y15, Y6, Y7)
	LEAQ (DI)(R8*4), DX
	STORE(Y0, Y4, (DI), (DX))
	STORE(Y1, Y5, (DI)(R8*1), (DX)(R8*1))
	STORE(Y2, Y6, (DI)(R8*2), (DX)(R8*2))
	STORE(Y3, Y7, (DI)(R11*1), (DX)(R11*1))
	LEAQ (DX)(R8*4), DI
	ADDQ $32, SI
	ADDQ $32, BX
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

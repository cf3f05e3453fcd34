//go:build !purego

#include "textflag.h"

// Pixels of three channels from three planes, AVX2 (go doc Interleave3AVX2).
//
// Eight elements of a plane are spread over three vectors, every third lane of each.
// One permutation puts them into lanes where the three vectors only have to pick:
// element i goes to lane 3i mod 8, one further for the second plane, two for the third.

GLOBL ·third0(SB), RODATA|NOPTR, $32
DATA ·third0+0(SB)/8, $0x0000000300000000
DATA ·third0+8(SB)/8, $0x0000000100000006
DATA ·third0+16(SB)/8, $0x0000000700000004
DATA ·third0+24(SB)/8, $0x0000000500000002
GLOBL ·third1(SB), RODATA|NOPTR, $32
DATA ·third1+0(SB)/8, $0x0000000000000005
DATA ·third1+8(SB)/8, $0x0000000600000003
DATA ·third1+16(SB)/8, $0x0000000400000001
DATA ·third1+24(SB)/8, $0x0000000200000007
GLOBL ·third2(SB), RODATA|NOPTR, $32
DATA ·third2+0(SB)/8, $0x0000000500000002
DATA ·third2+8(SB)/8, $0x0000000300000000
DATA ·third2+16(SB)/8, $0x0000000100000006
DATA ·third2+24(SB)/8, $0x0000000700000004

// func Interleave3AVX2(dst, a, b, c unsafe.Pointer, n uintptr)
TEXT ·Interleave3AVX2(SB), NOSPLIT, $0-40
	MOVQ    dst+0(FP), DI
	MOVQ    a+8(FP), AX
	MOVQ    b+16(FP), BX
	MOVQ    c+24(FP), CX
	MOVQ    n+32(FP), DX
	VMOVUPS ·third0(SB), Y13
	VMOVUPS ·third1(SB), Y14
	VMOVUPS ·third2(SB), Y15

loop:
	VPERMPS (AX), Y13, Y0
	VPERMPS (BX), Y14, Y1
	VPERMPS (CX), Y15, Y2

	// Lanes of the first plane: 0 3 6 of the first vector, 1 4 7 of the second, 2 5 of the third.
	VBLENDPS $0x92, Y1, Y0, Y3
	VBLENDPS $0x24, Y2, Y3, Y3
	VBLENDPS $0x24, Y1, Y0, Y4
	VBLENDPS $0x49, Y2, Y4, Y4
	VBLENDPS $0x49, Y1, Y0, Y5
	VBLENDPS $0x92, Y2, Y5, Y5
	VMOVUPS  Y3, (DI)
	VMOVUPS  Y4, 32(DI)
	VMOVUPS  Y5, 64(DI)
	ADDQ     $32, AX
	ADDQ     $32, BX
	ADDQ     $32, CX
	ADDQ     $96, DI
	SUBQ     $8, DX
	JNZ      loop
	VZEROUPPER
	RET

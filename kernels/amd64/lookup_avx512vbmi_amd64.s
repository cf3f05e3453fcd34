//go:build !purego

#include "textflag.h"

// LOOKUP sets Z1 to the table's bytes for the codes in Z0: the table is Z16..Z19,
// VPERMI2B picks from 128 bytes by the low seven bits, and the sign tells the half.
#define LOOKUP \
	VPMOVB2M Z0, K2;             \
	VMOVDQA64 Z0, Z1;            \
	VPERMI2B Z19, Z18, Z0;       \
	VPERMI2B Z17, Z16, Z1;       \
	VMOVDQU8 Z0, K2, Z1

// func LookupVBMI(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)
TEXT ·LookupVBMI(SB), NOSPLIT, $0-32
	MOVQ      dst+0(FP), DI
	MOVQ      src+8(FP), SI
	MOVQ      n+16(FP), CX
	MOVQ      table+24(FP), R8
	VMOVDQU64 (R8), Z16
	VMOVDQU64 64(R8), Z17
	VMOVDQU64 128(R8), Z18
	VMOVDQU64 192(R8), Z19
	SUBQ      $64, CX
	JLT       lookupTail

lookup64:
	VMOVDQU64 (SI), Z0
	LOOKUP
	VMOVDQU64 Z1, (DI)
	ADDQ      $64, SI
	ADDQ      $64, DI
	SUBQ      $64, CX
	JGE       lookup64

lookupTail:
	ADDQ     $64, CX
	JZ       lookupDone
	MOVQ     $-1, AX
	BZHIQ    CX, AX, AX
	KMOVQ    AX, K1
	VMOVDQU8.Z (SI), K1, Z0
	LOOKUP
	VMOVDQU8 Z1, K1, (DI)

lookupDone:
	VZEROUPPER
	RET

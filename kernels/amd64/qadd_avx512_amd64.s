//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// The order in which the dwords of four vectors lie after VPACKSSDW and VPACKSSWB.
DATA packed<>+0(SB)/8, $0x0000000400000000
DATA packed<>+8(SB)/8, $0x0000000c00000008
DATA packed<>+16(SB)/8, $0x0000000500000001
DATA packed<>+24(SB)/8, $0x0000000d00000009
DATA packed<>+32(SB)/8, $0x0000000600000002
DATA packed<>+40(SB)/8, $0x0000000e0000000a
DATA packed<>+48(SB)/8, $0x0000000700000003
DATA packed<>+56(SB)/8, $0x0000000f0000000b
GLOBL packed<>(SB), RODATA|NOPTR, $64

// SUM rounds 16 sums to z, of the codes at o of both operands, as many as k says.
#define SUM(o, k, z) \
	VPMOVSXBD.Z o(SI), k, z;   \
	VPMOVSXBD.Z o(DX), k, Z8;  \
	VPSUBD      Z12, z, z;     \
	VPSUBD      Z13, Z8, Z8;   \
	VCVTDQ2PS   z, z;          \
	VCVTDQ2PS   Z8, Z8;        \
	VMULPS      Z10, z, z;     \
	VFMADD231PS Z8, Z11, z;    \
	VCVTPS2DQ   z, z

// ADD64 makes 64 codes in Z0, as many as K1 to K4 say.
#define ADD64 \
	SUM(0, K1, Z0);        \
	SUM(16, K2, Z1);       \
	SUM(32, K3, Z2);       \
	SUM(48, K4, Z3);       \
	VPACKSSDW Z1, Z0, Z0;  \
	VPACKSSDW Z3, Z2, Z2;  \
	VPADDSW   Z14, Z0, Z0; \
	VPADDSW   Z14, Z2, Z2; \
	VPACKSSWB Z2, Z0, Z0;  \
	VPMAXSB   Z16, Z0, Z0; \
	VPMINSB   Z17, Z0, Z0; \
	VPERMD    Z0, Z15, Z0

// func QAddAVX512(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)
TEXT ·QAddAVX512(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVQ         p+32(FP), R8
	VBROADCASTSS QAddArgs_Ra(R8), Z10
	VBROADCASTSS QAddArgs_Rb(R8), Z11
	VPBROADCASTD QAddArgs_Za(R8), Z12
	VPBROADCASTD QAddArgs_Zb(R8), Z13
	VPBROADCASTD QAddArgs_Zero(R8), Z14
	VPACKSSDW    Z14, Z14, Z14
	VMOVDQU64    packed<>(SB), Z15
	VCVTTSS2SI   QAddArgs_Lo(R8), AX
	VCVTTSS2SI   QAddArgs_Hi(R8), BX
	ADDL         QAddArgs_Zero(R8), AX
	ADDL         QAddArgs_Zero(R8), BX
	VPBROADCASTB AX, Z16
	VPBROADCASTB BX, Z17
	KXNORW       K0, K0, K1
	KMOVW        K1, K2
	KMOVW        K1, K3
	KMOVW        K1, K4
	SUBQ         $64, CX
	JLT          tail

add64:
	ADD64
	VMOVDQU64 Z0, (DI)
	ADDQ      $64, SI
	ADDQ      $64, DX
	ADDQ      $64, DI
	SUBQ      $64, CX
	JGE       add64

tail:
	ADDQ     $64, CX
	JZ       done
	MOVQ     $-1, AX
	BZHIQ    CX, AX, AX
	KMOVQ    AX, K5
	KMOVW    AX, K1
	SHRQ     $16, AX
	KMOVW    AX, K2
	SHRQ     $16, AX
	KMOVW    AX, K3
	SHRQ     $16, AX
	KMOVW    AX, K4
	ADD64
	VMOVDQU8 Z0, K5, (DI)

done:
	VZEROUPPER
	RET

//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Elementwise kernels on int16 codes (16x8) in float64, for AVX2: eight codes at a
// time, as Y0 and Y1 of the first operand, Y2 and Y3 of the second.

// LOAD gives the codes of both operands minus their zero points as float64.
#define LOAD \
	VPMOVSXWD    (SI), Y0; \
	VPMOVSXWD    (DX), Y2; \
	VPSUBD       Y12, Y0, Y0; \
	VPSUBD       Y13, Y2, Y2; \
	VEXTRACTI128 $1, Y0, X1; \
	VEXTRACTI128 $1, Y2, X3; \
	VCVTDQ2PD    X0, Y0; \
	VCVTDQ2PD    X1, Y1; \
	VCVTDQ2PD    X2, Y2; \
	VCVTDQ2PD    X3, Y3

// STORE clamps and rounds Y0 and Y1 and goes on to the next eight; it leaves ZF set
// behind the last.
#define STORE \
	VMAXPD     Y10, Y0, Y0; \
	VMAXPD     Y10, Y1, Y1; \
	VMINPD     Y11, Y0, Y0; \
	VMINPD     Y11, Y1, Y1; \
	VCVTPD2DQY Y0, X0; \
	VCVTPD2DQY Y1, X1; \
	VPADDD     X14, X0, X0; \
	VPADDD     X14, X1, X1; \
	VPACKSSDW  X1, X0, X0; \
	VMOVDQU    X0, (DI); \
	ADDQ       $16, SI; \
	ADDQ       $16, DX; \
	ADDQ       $16, DI; \
	SUBQ       $8, CX

#define ARGS \
	MOVQ         dst+0(FP), DI; \
	MOVQ         a+8(FP), SI; \
	MOVQ         b+16(FP), DX; \
	MOVQ         n+24(FP), CX; \
	MOVQ         p+32(FP), R8; \
	VBROADCASTSD QBinary16Args_Ra(R8), Y8; \
	VBROADCASTSD QBinary16Args_Rb(R8), Y9; \
	VBROADCASTSD QBinary16Args_Lo(R8), Y10; \
	VBROADCASTSD QBinary16Args_Hi(R8), Y11; \
	VPBROADCASTD QBinary16Args_Za(R8), Y12; \
	VPBROADCASTD QBinary16Args_Zb(R8), Y13; \
	VPBROADCASTD QBinary16Args_Zero(R8), X14

// func QAdd16AVX2(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)
TEXT ·QAdd16AVX2(SB), NOSPLIT, $0-40
	ARGS

add:
	LOAD
	VMULPD Y8, Y0, Y0
	VMULPD Y8, Y1, Y1
	VMULPD Y9, Y2, Y2
	VMULPD Y9, Y3, Y3
	VADDPD Y2, Y0, Y0
	VADDPD Y3, Y1, Y1
	STORE
	JNZ    add
	VZEROUPPER
	RET

// func QMul16AVX2(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)
TEXT ·QMul16AVX2(SB), NOSPLIT, $0-40
	ARGS

mul:
	LOAD
	VMULPD Y2, Y0, Y0
	VMULPD Y3, Y1, Y1
	VMULPD Y8, Y0, Y0
	VMULPD Y8, Y1, Y1
	STORE
	JNZ    mul
	VZEROUPPER
	RET

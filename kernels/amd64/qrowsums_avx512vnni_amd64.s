//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Sums of the rows of an int8 tile, AVX-512 VNNI (go doc QRowSumsVNNI): VPDPBUSD
// with ones. CX = the row's offset of the current tap, R9 = that of the first tap,
// R10 = taps left, R11 = bytes left, R8 = input, DI = sum, SI = rows left, DX =
// arguments, R12 = whole 64-byte blocks of a tap, K1 = what is left behind them.

// func QRowSumsVNNI(a *QGemmArgs, run uintptr, sums *int32)
TEXT ·QRowSumsVNNI(SB), NOSPLIT, $0-24
	MOVQ         a+0(FP), DX
	MOVQ         run+8(FP), R12
	MOVQ         sums+16(FP), DI
	MOVL         $0x01010101, AX
	VPBROADCASTD AX, Z1
	MOVQ         R12, R8
	ANDQ         $63, R8
	MOVQ         $-1, R9
	BZHIQ        R8, R9, R9
	KMOVQ        R9, K1
	SHRQ         $6, R12
	MOVQ         GEMM_A(DX), AX
	MOVQ         GEMM_PAD(DX), BX
	MOVQ         GEMM_OFF(DX), R9
	MOVQ         GEMM_ROWS(DX), SI

row:
	VPXORD Z0, Z0, Z0
	MOVQ   R9, CX
	MOVQ   GEMM_TAPS(DX), R10

tap:
	ROW(0, R8)
	MOVQ  R12, R11
	TESTQ R11, R11
	JZ    rest

block:
	VPDPBUSD (R8), Z1, Z0
	ADDQ     $64, R8
	DECQ     R11
	JNZ      block

rest:
	VMOVDQU8.Z (R8), K1, Z2
	VPDPBUSD   Z2, Z1, Z0
	ADDQ       $48, CX
	DECQ       R10
	JNZ        tap

	VEXTRACTI64X4 $1, Z0, Y2
	VPADDD        Y2, Y0, Y0
	VEXTRACTI128  $1, Y0, X2
	VPADDD        X2, X0, X0
	VPSHUFD       $0x4e, X0, X2
	VPADDD        X2, X0, X0
	VPSHUFD       $0xb1, X0, X2
	VPADDD        X2, X0, X0
	VMOVD         X0, (DI)
	ADDQ          $4, DI
	ADDQ          $4, R9
	DECQ          SI
	JNZ           row
	VZEROUPPER
	RET

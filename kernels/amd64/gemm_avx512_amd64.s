//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "rows_avx512_amd64.h"

// Float32 matrix product and indirect convolution, AVX-512, 12 rows x 32
// columns (go doc Gemm12x32AVX512).
//
// Row r sums in Z(2r) and Z(2r+1); Z28 and Z29 hold the weights of one k, Z30
// the activation. Row pointers take R8-R15, DI, AX, BX, CX; SI walks the panel
// and DX counts the bytes of a tap from -4·KC up to 0. What else a tap needs is
// on the stack: mask registers would be free, but a move from one waits behind
// all vector work in flight.
//
// There is a body for 12, 8, 4 and 1 rows, each for 32 and for 16 columns; a
// tile takes the smallest that holds it.

// FMA adds one k of one row to 32 or 16 columns.
#define FMA32(row, c0, c1) \
	VBROADCASTSS (row)(DX*1), Z30; \
	VFMADD231PS  Z28, Z30, c0; \
	VFMADD231PS  Z29, Z30, c1

#define FMA16(row, c0) \
	VFMADD231PS.BCST (row)(DX*1), Z28, c0

#define WEIGHTS32 \
	VMOVUPS (SI), Z28; \
	VMOVUPS 64(SI), Z29; \
	ADDQ    $128, SI

#define WEIGHTS16 \
	VMOVUPS (SI), Z28; \
	ADDQ    $128, SI

// STORE finishes a row: bias Z28 and Z29, bounds Z24 and Z25. The bound is the
// first source, so that a NaN or -0 in the sums stays (DI = row of C, K1 and
// K2 = valid columns, R9 = LDC, R8 = rows left).
#define STORE(c0, c1) \
	VADDPS  Z28, c0, c0; \
	VADDPS  Z29, c1, c1; \
	VMAXPS  c0, Z24, c0; \
	VMAXPS  c1, Z24, c1; \
	VMINPS  c0, Z25, c0; \
	VMINPS  c1, Z25, c1; \
	VMOVUPS c0, K1, (DI); \
	VMOVUPS c1, K2, 64(DI); \
	ADDQ    R9, DI; \
	DECQ    R8; \
	JZ      done

// func Gemm12x32AVX512(a *GemmArgs)
TEXT ·Gemm12x32AVX512(SB), NOSPLIT, $24-8
	MOVQ  a+0(FP), DX
	MOVQ  GEMM_W(DX), SI
	ADDQ  $128, SI
	MOVQ  GEMM_OFF(DX), CX
	MOVQ  CX, off-8(SP)
	MOVQ  GEMM_TAPS(DX), CX
	MOVQ  CX, taps-16(SP)
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z20, Z20, Z20
	VPXORD Z21, Z21, Z21
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23
	MOVQ  GEMM_ROWS(DX), CX
	CMPQ  GEMM_COLS(DX), $16
	JLE   narrow
	CMPQ  CX, $8
	JGT   wide12
	CMPQ  CX, $4
	JGT   wide8
	CMPQ  CX, $1
	JGT   wide4
	JMP   wide1

narrow:
	CMPQ CX, $8
	JGT  narrow12
	CMPQ CX, $4
	JGT  narrow8
	CMPQ CX, $1
	JGT  narrow4
	JMP  narrow1

wide12:
	TAP(4)
	ROWS12
	COUNT(4)

wide12k:
	WEIGHTS32
	FMA32(R8, Z0, Z1)
	FMA32(R9, Z2, Z3)
	FMA32(R10, Z4, Z5)
	FMA32(R11, Z6, Z7)
	FMA32(R12, Z8, Z9)
	FMA32(R13, Z10, Z11)
	FMA32(R14, Z12, Z13)
	FMA32(R15, Z14, Z15)
	FMA32(DI, Z16, Z17)
	FMA32(AX, Z18, Z19)
	FMA32(BX, Z20, Z21)
	FMA32(CX, Z22, Z23)
	ADDQ $4, DX
	JNZ  wide12k
	NEXT
	JNZ  wide12
	JMP  finish

wide8:
	TAP(4)
	ROWS8
	COUNT(4)

wide8k:
	WEIGHTS32
	FMA32(R8, Z0, Z1)
	FMA32(R9, Z2, Z3)
	FMA32(R10, Z4, Z5)
	FMA32(R11, Z6, Z7)
	FMA32(R12, Z8, Z9)
	FMA32(R13, Z10, Z11)
	FMA32(R14, Z12, Z13)
	FMA32(R15, Z14, Z15)
	ADDQ $4, DX
	JNZ  wide8k
	NEXT
	JNZ  wide8
	JMP  finish

wide4:
	TAP(4)
	ROWS4
	COUNT(4)

wide4k:
	WEIGHTS32
	FMA32(R8, Z0, Z1)
	FMA32(R9, Z2, Z3)
	FMA32(R10, Z4, Z5)
	FMA32(R11, Z6, Z7)
	ADDQ $4, DX
	JNZ  wide4k
	NEXT
	JNZ  wide4
	JMP  finish

wide1:
	TAP(4)
	ROW(0, R8)
	COUNT(4)

wide1k:
	WEIGHTS32
	FMA32(R8, Z0, Z1)
	ADDQ $4, DX
	JNZ  wide1k
	NEXT
	JNZ  wide1
	JMP  finish

narrow12:
	TAP(4)
	ROWS12
	COUNT(4)

narrow12k:
	WEIGHTS16
	FMA16(R8, Z0)
	FMA16(R9, Z2)
	FMA16(R10, Z4)
	FMA16(R11, Z6)
	FMA16(R12, Z8)
	FMA16(R13, Z10)
	FMA16(R14, Z12)
	FMA16(R15, Z14)
	FMA16(DI, Z16)
	FMA16(AX, Z18)
	FMA16(BX, Z20)
	FMA16(CX, Z22)
	ADDQ $4, DX
	JNZ  narrow12k
	NEXT
	JNZ  narrow12
	JMP  finish

narrow8:
	TAP(4)
	ROWS8
	COUNT(4)

narrow8k:
	WEIGHTS16
	FMA16(R8, Z0)
	FMA16(R9, Z2)
	FMA16(R10, Z4)
	FMA16(R11, Z6)
	FMA16(R12, Z8)
	FMA16(R13, Z10)
	FMA16(R14, Z12)
	FMA16(R15, Z14)
	ADDQ $4, DX
	JNZ  narrow8k
	NEXT
	JNZ  narrow8
	JMP  finish

narrow4:
	TAP(4)
	ROWS4
	COUNT(4)

narrow4k:
	WEIGHTS16
	FMA16(R8, Z0)
	FMA16(R9, Z2)
	FMA16(R10, Z4)
	FMA16(R11, Z6)
	ADDQ $4, DX
	JNZ  narrow4k
	NEXT
	JNZ  narrow4
	JMP  finish

narrow1:
	TAP(4)
	ROW(0, R8)
	COUNT(4)

narrow1k:
	WEIGHTS16
	FMA16(R8, Z0)
	ADDQ $4, DX
	JNZ  narrow1k
	NEXT
	JNZ  narrow1
	JMP  finish

finish:
	MOVQ  a+0(FP), DX
	MOVQ  GEMM_W(DX), SI
	MOVQ  GEMM_C(DX), DI
	MOVQ  GEMM_LDC(DX), R9
	MOVQ  GEMM_ROWS(DX), R8
	MOVQ  GEMM_COLS(DX), CX
	MOVL  $-1, AX
	BZHIL CX, AX, AX
	KMOVW AX, K1
	SHRL  $16, AX
	KMOVW AX, K2

	VBROADCASTSS FGEMM_LO(DX), Z24
	VBROADCASTSS FGEMM_HI(DX), Z25
	VMOVUPS      (SI), Z28
	VMOVUPS      64(SI), Z29
	STORE(Z0, Z1)
	STORE(Z2, Z3)
	STORE(Z4, Z5)
	STORE(Z6, Z7)
	STORE(Z8, Z9)
	STORE(Z10, Z11)
	STORE(Z12, Z13)
	STORE(Z14, Z15)
	STORE(Z16, Z17)
	STORE(Z18, Z19)
	STORE(Z20, Z21)
	STORE(Z22, Z23)

done:
	VZEROUPPER
	RET

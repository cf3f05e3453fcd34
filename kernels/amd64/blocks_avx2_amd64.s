//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Float32 products of one row with weights of 4 or 8 bits in blocks, and the
// unpacking of a block, AVX2 (go doc BlockGemv32Int4AVX2, UnpackInt4AVX2).
//
// The dword of a column holds eight k of 4 bits, which two shifts widen; where fewer than
// eight are left, it is shifted from one k to the next. Y0-Y3 are the sums of 32 columns,
// Y4-Y7 eight k of their codes, Y8-Y11 the weights of one k, Y12 the activation; R8 =
// scales of the block. AX walks the row, SI the panel; CX = k left, DX = k left of
// the block, BX = k left of the dwords.

// START points the registers at the row and the panel and clears the sums.
#define START \
	MOVQ  a+0(FP), R15; \
	MOVQ  BlockArgs_A(R15), AX; \
	MOVQ  BlockArgs_W(R15), SI; \
	MOVQ  BlockArgs_K(R15), CX; \
	ADDQ  $128, SI; \
	VPXOR Y0, Y0, Y0; \
	VPXOR Y1, Y1, Y1; \
	VPXOR Y2, Y2, Y2; \
	VPXOR Y3, Y3, Y3

// BLOCK goes on to the next block, of DX k.
#define BLOCK \
	MOVQ    BlockArgs_Block(R15), DX; \
	CMPQ    CX, DX; \
	CMOVQLT CX, DX; \
	SUBQ    DX, CX; \
	MOVQ    SI, R8; \
	ADDQ    $128, SI

// LOW makes floats of the low codes of eight columns and moves the next ones there.
#define LOW(codes, f) \
	VPSLLD    $28, codes, f; \
	VPSRLD    $4, codes, codes; \
	VPSRAD    $28, f, f; \
	VCVTDQ2PS f, f

// CODE makes floats of code number (28-shift)/4 of eight columns.
#define CODE(codes, shift, f) \
	VPSLLD    $shift, codes, f; \
	VPSRAD    $28, f, f; \
	VCVTDQ2PS f, f

// STEP does one k of a whole dword.
#define STEP(shift) \
	CODE(Y4, shift, Y8); \
	CODE(Y5, shift, Y9); \
	CODE(Y6, shift, Y10); \
	CODE(Y7, shift, Y11); \
	ADD

// ADD scales the codes and adds the products of one k.
#define ADD \
	VBROADCASTSS (AX), Y12; \
	ADDQ         $4, AX; \
	VMULPS       (R8), Y8, Y8; \
	VMULPS       32(R8), Y9, Y9; \
	VMULPS       64(R8), Y10, Y10; \
	VMULPS       96(R8), Y11, Y11; \
	VFMADD231PS  Y8, Y12, Y0; \
	VFMADD231PS  Y9, Y12, Y1; \
	VFMADD231PS  Y10, Y12, Y2; \
	VFMADD231PS  Y11, Y12, Y3

// FINISH stores 8 of the columns: the bound is the first source, so that a NaN or -0
// in the sums stays (SI = bias, DI = C, CX = columns left, Y13 and Y14 = bounds).
#define FINISH(y, at) \
	VADDPS     at(SI), y, y; \
	VMAXPS     y, Y13, y; \
	VMINPS     y, Y14, y; \
	MOVL       $8, DX; \
	CMPQ       CX, DX; \
	CMOVQLT    CX, DX; \
	SHLQ       $2, DX; \
	LEAQ       ·lanes+64(SB), BX; \
	SUBQ       DX, BX; \
	VMOVUPS    (BX), Y15; \
	VMASKMOVPS y, Y15, at(DI); \
	SUBQ       $8, CX; \
	JLE        done

#define COLUMNS \
	MOVQ         BlockArgs_W(R15), SI; \
	MOVQ         BlockArgs_C(R15), DI; \
	MOVQ         BlockArgs_Cols(R15), CX; \
	VBROADCASTSS BlockArgs_Lo(R15), Y13; \
	VBROADCASTSS BlockArgs_Hi(R15), Y14; \
	FINISH(Y0, 0); \
	FINISH(Y1, 32); \
	FINISH(Y2, 64); \
	FINISH(Y3, 96)

// func BlockGemv32Int4AVX2(a *BlockArgs)
TEXT ·BlockGemv32Int4AVX2(SB), NOSPLIT, $0-8
	START

block:
	BLOCK

dwords:
	VMOVDQU (SI), Y4
	VMOVDQU 32(SI), Y5
	VMOVDQU 64(SI), Y6
	VMOVDQU 96(SI), Y7
	SUBQ    $-128, SI
	SUBQ    $8, DX
	JLT     few
	STEP(28)
	STEP(24)
	STEP(20)
	STEP(16)
	STEP(12)
	STEP(8)
	STEP(4)
	STEP(0)
	TESTQ   DX, DX
	JNZ     dwords
	JMP     next

few:
	ADDQ $8, DX

k:
	LOW(Y4, Y8)
	LOW(Y5, Y9)
	LOW(Y6, Y10)
	LOW(Y7, Y11)
	ADD
	DECQ  DX
	JNZ   k

next:
	TESTQ CX, CX
	JNZ   block
	COLUMNS

done:
	VZEROUPPER
	RET

// func BlockGemv32Int8AVX2(a *BlockArgs)
TEXT ·BlockGemv32Int8AVX2(SB), NOSPLIT, $0-8
	START

block:
	BLOCK

k:
	VPMOVSXBD (SI), Y8
	VPMOVSXBD 8(SI), Y9
	VPMOVSXBD 16(SI), Y10
	VPMOVSXBD 24(SI), Y11
	ADDQ      $32, SI
	VCVTDQ2PS Y8, Y8
	VCVTDQ2PS Y9, Y9
	VCVTDQ2PS Y10, Y10
	VCVTDQ2PS Y11, Y11
	ADD
	DECQ      DX
	JNZ       k
	TESTQ     CX, CX
	JNZ       block
	COLUMNS

done:
	VZEROUPPER
	RET

// func UnpackInt4AVX2(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt4AVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    block+8(FP), SI
	MOVQ    k+16(FP), DX
	VMOVUPS (SI), Y12
	VMOVUPS 32(SI), Y13

dwords:
	VMOVDQU 64(SI), Y4
	VMOVDQU 96(SI), Y5
	ADDQ    $64, SI
	MOVL    $8, BX
	CMPQ    DX, BX
	CMOVQLT DX, BX
	SUBQ    BX, DX

k:
	LOW(Y4, Y8)
	LOW(Y5, Y9)
	VMULPS  Y12, Y8, Y8
	VMULPS  Y13, Y9, Y9
	VMOVUPS Y8, (DI)
	VMOVUPS Y9, 32(DI)
	ADDQ    $64, DI
	DECQ    BX
	JNZ     k
	TESTQ   DX, DX
	JNZ     dwords
	VZEROUPPER
	RET

// func UnpackInt8AVX2(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt8AVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    block+8(FP), SI
	MOVQ    k+16(FP), DX
	VMOVUPS (SI), Y12
	VMOVUPS 32(SI), Y13

k:
	VPMOVSXBD 64(SI), Y8
	VPMOVSXBD 72(SI), Y9
	ADDQ      $16, SI
	VCVTDQ2PS Y8, Y8
	VCVTDQ2PS Y9, Y9
	VMULPS    Y12, Y8, Y8
	VMULPS    Y13, Y9, Y9
	VMOVUPS   Y8, (DI)
	VMOVUPS   Y9, 32(DI)
	ADDQ      $64, DI
	DECQ      DX
	JNZ       k
	VZEROUPPER
	RET

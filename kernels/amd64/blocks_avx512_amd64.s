//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Float32 products of one row with weights of 4 or 8 bits in blocks, and the
// unpacking of a block, AVX-512 (go doc BlockGemv64Int4AVX512, UnpackInt4AVX512).
//
// A code of 4 bits is the index of its value in a table of 16 floats: VPERMPS reads
// the low 4 bits of every dword and ignores the others, so the dword of a column,
// which holds eight k, is shifted from one k to the next. Z0-Z3 are the sums of 64
// columns, Z4-Z7 the scales of the block, Z8-Z11 eight k of codes, Z12-Z15 the weights
// of one k, Z16 the table, Z17 the activation. AX walks the row, SI the panel; CX = k
// left, DX = k left of the block, BX = k left of the dwords.

DATA int4<>+0(SB)/4, $0.0
DATA int4<>+4(SB)/4, $1.0
DATA int4<>+8(SB)/4, $2.0
DATA int4<>+12(SB)/4, $3.0
DATA int4<>+16(SB)/4, $4.0
DATA int4<>+20(SB)/4, $5.0
DATA int4<>+24(SB)/4, $6.0
DATA int4<>+28(SB)/4, $7.0
DATA int4<>+32(SB)/4, $-8.0
DATA int4<>+36(SB)/4, $-7.0
DATA int4<>+40(SB)/4, $-6.0
DATA int4<>+44(SB)/4, $-5.0
DATA int4<>+48(SB)/4, $-4.0
DATA int4<>+52(SB)/4, $-3.0
DATA int4<>+56(SB)/4, $-2.0
DATA int4<>+60(SB)/4, $-1.0
GLOBL int4<>(SB), RODATA|NOPTR, $64

// START points the registers at the row and the panel and clears the sums.
#define START \
	MOVQ   a+0(FP), R15; \
	MOVQ   BlockArgs_A(R15), AX; \
	MOVQ   BlockArgs_W(R15), SI; \
	MOVQ   BlockArgs_K(R15), CX; \
	ADDQ   $256, SI; \
	VPXORD Z0, Z0, Z0; \
	VPXORD Z1, Z1, Z1; \
	VPXORD Z2, Z2, Z2; \
	VPXORD Z3, Z3, Z3

// BLOCK goes on to the next block, of DX k.
#define BLOCK \
	MOVQ    BlockArgs_Block(R15), DX; \
	CMPQ    CX, DX; \
	CMOVQLT CX, DX; \
	SUBQ    DX, CX; \
	VMOVUPS (SI), Z4; \
	VMOVUPS 64(SI), Z5; \
	VMOVUPS 128(SI), Z6; \
	VMOVUPS 192(SI), Z7; \
	ADDQ    $256, SI

// ADD scales the codes and adds the products of one k.
#define ADD \
	VBROADCASTSS (AX), Z17; \
	ADDQ         $4, AX; \
	VMULPS       Z4, Z12, Z12; \
	VMULPS       Z5, Z13, Z13; \
	VMULPS       Z6, Z14, Z14; \
	VMULPS       Z7, Z15, Z15; \
	VFMADD231PS  Z12, Z17, Z0; \
	VFMADD231PS  Z13, Z17, Z1; \
	VFMADD231PS  Z14, Z17, Z2; \
	VFMADD231PS  Z15, Z17, Z3

// FINISH stores 16 of the columns: the bound is the first source, so that a NaN or -0
// in the sums stays (SI = bias, DI = C, CX = columns left, Z18 and Z19 = bounds).
#define FINISH(z, at) \
	MOVL    $-1, AX; \
	BZHIL   CX, AX, AX; \
	KMOVW   AX, K1; \
	VADDPS  at(SI), z, z; \
	VMAXPS  z, Z18, z; \
	VMINPS  z, Z19, z; \
	VMOVUPS z, K1, at(DI); \
	SUBQ    $16, CX; \
	JLE     done

#define COLUMNS \
	MOVQ         BlockArgs_W(R15), SI; \
	MOVQ         BlockArgs_C(R15), DI; \
	MOVQ         BlockArgs_Cols(R15), CX; \
	VBROADCASTSS BlockArgs_Lo(R15), Z18; \
	VBROADCASTSS BlockArgs_Hi(R15), Z19; \
	FINISH(Z0, 0); \
	FINISH(Z1, 64); \
	FINISH(Z2, 128); \
	FINISH(Z3, 192)

// func BlockGemv64Int4AVX512(a *BlockArgs)
TEXT ·BlockGemv64Int4AVX512(SB), NOSPLIT, $0-8
	START
	VMOVUPS int4<>(SB), Z16

block:
	BLOCK

dwords:
	VMOVDQU32 (SI), Z8
	VMOVDQU32 64(SI), Z9
	VMOVDQU32 128(SI), Z10
	VMOVDQU32 192(SI), Z11
	ADDQ      $256, SI
	MOVL      $8, BX
	CMPQ      DX, BX
	CMOVQLT   DX, BX
	SUBQ      BX, DX

k:
	VPERMPS Z16, Z8, Z12
	VPERMPS Z16, Z9, Z13
	VPERMPS Z16, Z10, Z14
	VPERMPS Z16, Z11, Z15
	VPSRLD  $4, Z8, Z8
	VPSRLD  $4, Z9, Z9
	VPSRLD  $4, Z10, Z10
	VPSRLD  $4, Z11, Z11
	ADD
	DECQ    BX
	JNZ     k
	TESTQ   DX, DX
	JNZ     dwords
	TESTQ   CX, CX
	JNZ     block
	COLUMNS

done:
	VZEROUPPER
	RET

// func BlockGemv64Int8AVX512(a *BlockArgs)
TEXT ·BlockGemv64Int8AVX512(SB), NOSPLIT, $0-8
	START

block:
	BLOCK

k:
	VPMOVSXBD (SI), Z12
	VPMOVSXBD 16(SI), Z13
	VPMOVSXBD 32(SI), Z14
	VPMOVSXBD 48(SI), Z15
	ADDQ      $64, SI
	VCVTDQ2PS Z12, Z12
	VCVTDQ2PS Z13, Z13
	VCVTDQ2PS Z14, Z14
	VCVTDQ2PS Z15, Z15
	ADD
	DECQ      DX
	JNZ       k
	TESTQ     CX, CX
	JNZ       block
	COLUMNS

done:
	VZEROUPPER
	RET

// func UnpackInt4AVX512(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt4AVX512(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    block+8(FP), SI
	MOVQ    k+16(FP), DX
	VMOVUPS int4<>(SB), Z16
	VMOVUPS (SI), Z4
	VMOVUPS 64(SI), Z5

dwords:
	VMOVDQU32 128(SI), Z8
	VMOVDQU32 192(SI), Z9
	ADDQ      $128, SI
	MOVL      $8, BX
	CMPQ      DX, BX
	CMOVQLT   DX, BX
	SUBQ      BX, DX

k:
	VPERMPS Z16, Z8, Z12
	VPERMPS Z16, Z9, Z13
	VPSRLD  $4, Z8, Z8
	VPSRLD  $4, Z9, Z9
	VMULPS  Z4, Z12, Z12
	VMULPS  Z5, Z13, Z13
	VMOVUPS Z12, (DI)
	VMOVUPS Z13, 64(DI)
	ADDQ    $128, DI
	DECQ    BX
	JNZ     k
	TESTQ   DX, DX
	JNZ     dwords
	VZEROUPPER
	RET

// func UnpackInt8AVX512(dst, block unsafe.Pointer, k uintptr)
TEXT ·UnpackInt8AVX512(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    block+8(FP), SI
	MOVQ    k+16(FP), DX
	VMOVUPS (SI), Z4
	VMOVUPS 64(SI), Z5

k:
	VPMOVSXBD 128(SI), Z12
	VPMOVSXBD 144(SI), Z13
	ADDQ      $32, SI
	VCVTDQ2PS Z12, Z12
	VCVTDQ2PS Z13, Z13
	VMULPS    Z4, Z12, Z12
	VMULPS    Z5, Z13, Z13
	VMOVUPS   Z12, (DI)
	VMOVUPS   Z13, 64(DI)
	ADDQ      $128, DI
	DECQ      DX
	JNZ       k
	VZEROUPPER
	RET

//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "q16codes_avx512_amd64.h"

// 3x3 depthwise convolution of int16 by int8 at horizontal stride 1, AVX-512 VNNI,
// 32 channels a block (go doc Q16DepthwiseColumns32VNNI).
//
// Every input column is loaded and interleaved once, and serves three pixels. P(j) interleaves rows 0 and 1 of column j, Q(j) row 2 of
// columns j and j+1, so that pixel j is
//
//	P(j)·(w00,w10) + P(j+1)·(w01,w11) + P(j+2)·(w02,w12) + Q(j)·(w20,w21) + Q(j+1)·(0,w22)
//
// with VPDPWSSD. Interleaving works within 128-bit lanes: Z0 sums
// the channels 0-3 of every eight and Z1 the channels 4-7; VPACKSSDW puts them
// back in order. Bias, weights and scales are packed in that order:
//
//	[32]int32 bias, [5][32][2]int16, [32]float64 scale
//
// P(j), P(j+1), P(j+2) are Z2-Z7, Q(j), Q(j+1) Z8-Z11, row 2 of the newest
// column Z12. AX and BX are A and Pad at the block's channels, SI the column's
// offsets, DI the pixel's output, CX the pixels left, DX the arguments, R15 the
// block, R13 LDC, R12 the channels left, R11 the bytes done, K1 the valid channels.

// COLUMN loads the next column: pl and ph = P, ql and qh = Q with the one before.
#define COLUMN(pl, ph, ql, qh) \
	TAPROW(0, R8); \
	TAPROW(1, R9); \
	TAPROW(2, R10); \
	ADDQ        $12, SI; \
	VMOVDQU16.Z (R8), K1, Z13; \
	VMOVDQU16.Z (R9), K1, Z14; \
	VMOVDQU16.Z (R10), K1, Z15; \
	VPUNPCKLWD  Z14, Z13, pl; \
	VPUNPCKHWD  Z14, Z13, ph; \
	VPUNPCKLWD  Z15, Z12, ql; \
	VPUNPCKHWD  Z15, Z12, qh; \
	VMOVDQA64   Z15, Z12

// func Q16DepthwiseColumns32VNNI(a *QDWArgs)
TEXT ·Q16DepthwiseColumns32VNNI(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), DX
	CLAMP(DX)
	MOVQ DW_A(DX), AX
	MOVQ DW_PAD(DX), BX
	MOVQ DW_W(DX), R15
	MOVQ DW_LDC(DX), R13
	MOVQ DW_C(DX), R12
	XORQ R11, R11

block:
	MOVL  $-1, R8
	CMPQ  R12, $32
	JGE   whole
	BZHIL R12, R8, R8

whole:
	KMOVD     R8, K1
	VMOVDQU64 128(R15), Z16
	VMOVDQU64 192(R15), Z17
	VMOVDQU64 256(R15), Z18
	VMOVDQU64 320(R15), Z19
	VMOVDQU64 384(R15), Z20
	VMOVDQU64 448(R15), Z21
	VMOVDQU64 512(R15), Z22
	VMOVDQU64 576(R15), Z23
	VMOVDQU64 640(R15), Z24
	VMOVDQU64 704(R15), Z25
	MOVQ      DW_OFF(DX), SI
	MOVQ      DW_PIXELS(DX), CX
	MOVQ      DW_OUT(DX), DI
	ADDQ      R11, DI
	COLUMN(Z2, Z3, Z8, Z9)           // Z8 and Z9 are not used yet
	COLUMN(Z4, Z5, Z8, Z9)

pixel:
	COLUMN(Z6, Z7, Z10, Z11)
	VMOVDQU64 (R15), Z0
	VMOVDQU64 64(R15), Z1
	VPDPWSSD  Z16, Z2, Z0
	VPDPWSSD  Z17, Z3, Z1
	VPDPWSSD  Z18, Z4, Z0
	VPDPWSSD  Z19, Z5, Z1
	VPDPWSSD  Z20, Z6, Z0
	VPDPWSSD  Z21, Z7, Z1
	VPDPWSSD  Z22, Z8, Z0
	VPDPWSSD  Z23, Z9, Z1
	VPDPWSSD  Z24, Z10, Z0
	VPDPWSSD  Z25, Z11, Z1
	VMOVDQA64 Z4, Z2
	VMOVDQA64 Z5, Z3
	VMOVDQA64 Z6, Z4
	VMOVDQA64 Z7, Z5
	VMOVDQA64 Z10, Z8
	VMOVDQA64 Z11, Z9
	CODES(768(R15), 832(R15), 896(R15), 960(R15))
	VMOVDQU16 Z0, K1, (DI)
	ADDQ      R13, DI
	DECQ      CX
	JNZ       pixel
	ADDQ      $1024, R15
	ADDQ      $64, AX
	ADDQ      $64, BX
	ADDQ      $64, R11
	SUBQ      $32, R12
	JGT       block
	VZEROUPPER
	RET

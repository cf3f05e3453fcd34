//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "q16codes_avx512_amd64.h"

// Depthwise convolution of int16 by int8, AVX-512 VNNI, 32 channels a block (go doc
// Q16Depthwise32VNNI).
//
// Two taps are interleaved, so that one VPDPWSSD adds both products. Interleaving
// works within 128-bit lanes: Z0 sums the channels 0-3 of every eight and Z1 the
// channels 4-7; VPACKSSDW puts them back in order. Bias, weights and scales are
// packed in that order:
//
//	[32]int32 bias, [ceil(Taps/2)][32][2]int16, [32]float64 scale
//
// An odd last tap is paired with itself at weight 0. AX and BX are A and Pad
// at the block's channels, SI the pixel's offsets, DI its output, CX the pixels
// left, R15 the block, R14 bytes of offsets a pixel, R13 LDC, R10 walks the weights, R12
// counts taps, K1 the valid channels, K2 and K3 the channels left and the output at the
// block's channels.

// PAIR interleaves the taps at r0 and r1 and adds them.
#define PAIR(r0, r1) \
	VMOVDQU16.Z (r0), K1, Z2; \
	VMOVDQU16.Z (r1), K1, Z3; \
	VPUNPCKLWD  Z3, Z2, Z4; \
	VPUNPCKHWD  Z3, Z2, Z5; \
	VPDPWSSD    (R10), Z4, Z0; \
	VPDPWSSD    64(R10), Z5, Z1; \
	ADDQ        $128, R10

// func Q16Depthwise32VNNI(a *QDWArgs)
TEXT ·Q16Depthwise32VNNI(SB), NOSPLIT, $0-8
	MOVQ  a+0(FP), DX
	CLAMP(DX)
	MOVQ  DW_A(DX), AX
	MOVQ  DW_PAD(DX), BX
	MOVQ  DW_W(DX), R15
	MOVQ  DW_TAPS(DX), R14
	SHLQ  $2, R14
	MOVQ  DW_LDC(DX), R13
	MOVQ  DW_C(DX), R12
	KMOVQ R12, K2
	MOVQ  DW_OUT(DX), R12
	KMOVQ R12, K3

block:
	KMOVQ K2, R12
	MOVL  $-1, R11
	CMPQ  R12, $32
	JGE   whole
	BZHIL R12, R11, R11

whole:
	KMOVD     R11, K1
	VMOVDQU64 (R15), Z26
	VMOVDQU64 64(R15), Z27
	MOVQ      DW_OFF(DX), SI
	MOVQ      DW_PIXELS(DX), CX
	KMOVQ     K3, DI
	MOVQ      R14, R12
	SHRQ      $2, R12
	INCQ      R12
	ANDQ      $-2, R12
	SHLQ      $6, R12                  // 64 bytes a tap, taps rounded up to pairs
	LEAQ      128(R15)(R12*1), R10
	VMOVUPD   (R10), Z22
	VMOVUPD   64(R10), Z23
	VMOVUPD   128(R10), Z24
	VMOVUPD   192(R10), Z25

pixel:
	VMOVDQA64 Z26, Z0
	VMOVDQA64 Z27, Z1
	LEAQ      128(R15), R10
	MOVQ      R14, R12
	SHRQ      $2, R12
	SUBQ      $2, R12
	JLT       odd

pair:
	TAPROW(0, R8)
	TAPROW(1, R9)
	PAIR(R8, R9)
	ADDQ $8, SI
	SUBQ $2, R12
	JGE  pair

odd:
	CMPQ R12, $-1
	JNE  write
	TAPROW(0, R8)
	PAIR(R8, R8)
	ADDQ $4, SI

write:
	CODES(Z22, Z23, Z24, Z25)
	VMOVDQU16 Z0, K1, (DI)
	ADDQ      R13, DI
	DECQ      CX
	JNZ       pixel
	LEAQ      256(R10), R15
	ADDQ      $64, AX
	ADDQ      $64, BX
	KMOVQ     K3, R12
	ADDQ      $64, R12
	KMOVQ     R12, K3
	KMOVQ     K2, R12
	SUBQ      $32, R12
	KMOVQ     R12, K2
	JGT       block
	VZEROUPPER
	RET

//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Int8 depthwise convolution, AVX-512 VNNI, 32 channels a block (go doc
// QDepthwise32VNNI).
//
// Two taps are widened to int16 and interleaved, so that one VPDPWSSD adds
// both products exactly. Interleaving works within 128-bit lanes: Z0 sums the
// channels 0-3 of every eight and Z1 the channels 4-7; VPACKSSDW puts them
// back in order. Bias, weights and scales are packed in that order:
//
//	[32]int32 bias', [ceil(Taps/2)][32][2]int16, [32]float32 scale
//
// An odd last tap is paired with itself at weight 0. AX and BX are A and Pad
// at the block's channels, SI the pixel's offsets, DI its output, CX the pixels
// left, R15 the block, R14 bytes of offsets a pixel, R13 LDC, K1 the valid channels.

// PAIR interleaves the taps at r0 and r1 and adds them with weights wl and wh.
#define PAIR(r0, r1, wl, wh) \
	VPMOVSXBW.Z (r0), K1, Z2; \
	VPMOVSXBW.Z (r1), K1, Z3; \
	VPUNPCKLWD  Z3, Z2, Z4; \
	VPUNPCKHWD  Z3, Z2, Z5; \
	VPDPWSSD    wl, Z4, Z0; \
	VPDPWSSD    wh, Z5, Z1

#define LAST(r0, wl, wh) \
	VPMOVSXBW.Z (r0), K1, Z2; \
	VPUNPCKLWD  Z2, Z2, Z4; \
	VPUNPCKHWD  Z2, Z2, Z5; \
	VPDPWSSD    wl, Z4, Z0; \
	VPDPWSSD    wh, Z5, Z1

#define REQUANTIZE(c, scale) \
	VCVTDQ2PS c, c; \
	VMULPS    scale, c, c; \
	VMAXPS    Z13, c, c; \
	VMINPS    Z14, c, c; \
	VCVTPS2DQ c, c; \
	VPADDD    Z15, c, c

#define FINISH \
	REQUANTIZE(Z0, Z28); \
	REQUANTIZE(Z1, Z29); \
	VPACKSSDW Z1, Z0, Z0; \
	VPMOVWB   Z0, K1, (DI)

// func QDepthwise32VNNI(a *QDWArgs)
TEXT ·QDepthwise32VNNI(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VBROADCASTSS DW_LO(DX), Z13
	VBROADCASTSS DW_HI(DX), Z14
	VPBROADCASTD QDW_ZERO(DX), Z15
	MOVQ         DW_A(DX), AX
	MOVQ         DW_PAD(DX), BX
	MOVQ         DW_W(DX), R15
	MOVQ         DW_TAPS(DX), R14
	SHLQ         $2, R14
	MOVQ         DW_LDC(DX), R13
	MOVQ         DW_C(DX), R12
	KMOVQ        R12, K2             // channels left
	MOVQ         DW_OUT(DX), R12
	KMOVQ        R12, K3             // output at the block's channels

block:
	KMOVQ     K2, R12
	MOVL      $-1, R11
	CMPQ      R12, $32
	JGE       whole
	BZHIL     R12, R11, R11

whole:
	KMOVD     R11, K1
	VMOVDQU64 (R15), Z26
	VMOVDQU64 64(R15), Z27
	MOVQ      a+0(FP), DX
	MOVQ      DW_OFF(DX), SI
	MOVQ      DW_PIXELS(DX), CX
	KMOVQ     K3, DI
	CMPQ      R14, $36
	JNE       any

	// 3x3: the weights stay in registers.
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
	VMOVUPS   768(R15), Z28
	VMOVUPS   832(R15), Z29
	ADDQ      $896, R15

pixel9:
	VMOVDQA64 Z26, Z0
	VMOVDQA64 Z27, Z1
	TAPROW(0, R8)
	TAPROW(1, R9)
	PAIR(R8, R9, Z16, Z17)
	TAPROW(2, R8)
	TAPROW(3, R9)
	PAIR(R8, R9, Z18, Z19)
	TAPROW(4, R8)
	TAPROW(5, R9)
	PAIR(R8, R9, Z20, Z21)
	TAPROW(6, R8)
	TAPROW(7, R9)
	PAIR(R8, R9, Z22, Z23)
	TAPROW(8, R8)
	LAST(R8, Z24, Z25)
	FINISH
	ADDQ R14, SI
	ADDQ R13, DI
	DECQ CX
	JNZ  pixel9
	JMP  next

	// Any number of taps: R10 walks the weights, R12 counts taps.
any:
	MOVQ    R14, R12
	SHRQ    $2, R12
	INCQ    R12
	ANDQ    $-2, R12
	SHLQ    $6, R12                  // 64 bytes a tap, taps rounded up to pairs
	VMOVUPS 128(R15)(R12*1), Z28
	VMOVUPS 192(R15)(R12*1), Z29

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
	PAIR(R8, R9, (R10), 64(R10))
	ADDQ $128, R10
	ADDQ $8, SI
	SUBQ $2, R12
	JGE  pair

odd:
	CMPQ R12, $-1
	JNE  write
	TAPROW(0, R8)
	LAST(R8, (R10), 64(R10))
	ADDQ $128, R10
	ADDQ $4, SI

write:
	FINISH
	ADDQ R13, DI
	DECQ CX
	JNZ  pixel
	LEAQ 128(R10), R15

next:
	ADDQ  $32, AX
	ADDQ  $32, BX
	KMOVQ K3, R12
	ADDQ  $32, R12
	KMOVQ R12, K3
	KMOVQ K2, R12
	SUBQ  $32, R12
	KMOVQ R12, K2
	JGT   block
	VZEROUPPER
	RET

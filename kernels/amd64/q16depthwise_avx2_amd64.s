//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Depthwise convolution of int16 by int8, AVX2, 16 channels a block (go doc
// Q16Depthwise16AVX2).
//
// Two taps are interleaved, so that one VPMADDWD adds both products. Interleaving works within 128-bit lanes: Y0 sums the
// channels 0-3 of every eight and Y1 the channels 4-7; VPACKSSDW puts them
// back in order. Bias, weights and scales are packed in that order:
//
//	[16]int32 bias, [ceil(Taps/2)][16][2]int16, [16]float64 scale
//
// An odd last tap is paired with itself at weight 0. AX and BX are A and Pad
// at the block's channels, SI the pixel's offsets, DI its output, CX the pixels
// left, R15 the block, R14 bytes of offsets a pixel, R13 LDC, R11 the bytes done,
// R10 walks the weights, R12 counts taps.

#define PRODUCTS \
	VPUNPCKLWD Y3, Y2, Y4; \
	VPUNPCKHWD Y3, Y2, Y5; \
	VPMADDWD   (R10), Y4, Y4; \
	VPMADDWD   32(R10), Y5, Y5; \
	VPADDD     Y4, Y0, Y0; \
	VPADDD     Y5, Y1, Y1; \
	ADDQ       $64, R10

// SCALE makes int32 codes in x of the eight sums in y, whose products fit.
#define SCALE(y, x, at) \
	VEXTRACTI128 $1, y, X2; \
	VCVTDQ2PD    x, y; \
	VCVTDQ2PD    X2, Y2; \
	VMULPD       at(R10), y, y; \
	VMULPD       32+at(R10), Y2, Y2; \
	VCVTPD2DQY   y, x; \
	VCVTPD2DQY   Y2, X2; \
	VINSERTI128  $1, X2, y, y

// func Q16Depthwise16AVX2(a *QDWArgs)
TEXT ·Q16Depthwise16AVX2(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VCVTTSS2SI   DW_LO(DX), R8
	VCVTTSS2SI   DW_HI(DX), R9
	VMOVD        R8, X13
	VMOVD        R9, X14
	VPBROADCASTW X13, Y13
	VPBROADCASTW X14, Y14
	MOVQ         DW_A(DX), AX
	MOVQ         DW_PAD(DX), BX
	MOVQ         DW_W(DX), R15
	MOVQ         DW_TAPS(DX), R14
	SHLQ         $2, R14
	MOVQ         DW_LDC(DX), R13
	XORQ         R11, R11

block:
	VMOVDQU (R15), Y8
	VMOVDQU 32(R15), Y9
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	MOVQ    DW_OUT(DX), DI
	ADDQ    R11, DI

pixel:
	VMOVDQA Y8, Y0
	VMOVDQA Y9, Y1
	LEAQ    64(R15), R10
	MOVQ    R14, R12
	SHRQ    $2, R12
	SUBQ    $2, R12
	JLT     odd

pair:
	TAPROW(0, R8)
	TAPROW(1, R9)
	VMOVDQU (R8), Y2
	VMOVDQU (R9), Y3
	PRODUCTS
	ADDQ $8, SI
	SUBQ $2, R12
	JGE  pair

odd:
	CMPQ R12, $-1
	JNE  write
	TAPROW(0, R8)
	VMOVDQU (R8), Y2
	VMOVDQA   Y2, Y3
	PRODUCTS
	ADDQ $4, SI

write:
	SCALE(Y0, X0, 0)
	SCALE(Y1, X1, 64)
	VPACKSSDW Y1, Y0, Y0
	VPMAXSW   Y13, Y0, Y0
	VPMINSW   Y14, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      R13, DI
	DECQ      CX
	JNZ       pixel
	LEAQ      128(R10), R15
	ADDQ      $32, AX
	ADDQ      $32, BX
	ADDQ      $32, R11
	MOVQ      R11, R8
	SHRQ      $1, R8
	CMPQ      R8, DW_C(DX)
	JLT       block
	VZEROUPPER
	RET

//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Int8 depthwise convolution, AVX2, 16 channels a block (go doc
// QDepthwise16AVX2).
//
// Two taps are widened to int16 and interleaved, so that one VPMADDWD adds both
// products exactly. Interleaving works within 128-bit lanes: Y0 sums the
// channels 0-3 of every eight and Y1 the channels 4-7; VPACKSSDW puts them
// back in order. Bias, weights and scales are packed in that order:
//
//	[16]int32 bias', [ceil(Taps/2)][16][2]int16, [16]float32 scale
//
// An odd last tap is paired with itself at weight 0. AX and BX are A and Pad
// at the block's channels, SI the pixel's offsets, DI its output, CX the pixels
// left, R15 the block, R14 bytes of offsets a pixel, R13 LDC, R11 the channel,
// R10 walks the weights, R12 counts taps.

#define PRODUCTS \
	VPUNPCKLWD Y3, Y2, Y4; \
	VPUNPCKHWD Y3, Y2, Y5; \
	VPMADDWD   (R10), Y4, Y4; \
	VPMADDWD   32(R10), Y5, Y5; \
	VPADDD     Y4, Y0, Y0; \
	VPADDD     Y5, Y1, Y1; \
	ADDQ       $64, R10

#define REQUANTIZE(c, scale) \
	VCVTDQ2PS c, c; \
	VMULPS    scale, c, c; \
	VMAXPS    Y13, c, c; \
	VMINPS    Y14, c, c; \
	VCVTPS2DQ c, c; \
	VPADDD    Y15, c, c

// func QDepthwise16AVX2(a *QDWArgs)
TEXT ·QDepthwise16AVX2(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VBROADCASTSS DW_LO(DX), Y13
	VBROADCASTSS DW_HI(DX), Y14
	VPBROADCASTD QDW_ZERO(DX), Y15
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
	MOVQ    R14, R12
	SHRQ    $2, R12
	INCQ    R12
	ANDQ    $-2, R12
	SHLQ    $5, R12                   // 32 bytes a tap, taps rounded up to pairs
	VMOVUPS 64(R15)(R12*1), Y10
	VMOVUPS 96(R15)(R12*1), Y11
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
	VPMOVSXBW (R8), Y2
	VPMOVSXBW (R9), Y3
	PRODUCTS
	ADDQ $8, SI
	SUBQ $2, R12
	JGE  pair

odd:
	CMPQ R12, $-1
	JNE  write
	TAPROW(0, R8)
	VPMOVSXBW (R8), Y2
	VMOVDQA   Y2, Y3
	PRODUCTS
	ADDQ $4, SI

write:
	REQUANTIZE(Y0, Y10)
	REQUANTIZE(Y1, Y11)
	VPACKSSDW    Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKSSWB    X1, X0, X0
	VMOVDQU      X0, (DI)
	ADDQ         R13, DI
	DECQ         CX
	JNZ          pixel
	LEAQ         64(R10), R15
	ADDQ         $16, AX
	ADDQ         $16, BX
	ADDQ         $16, R11
	CMPQ         R11, DW_C(DX)
	JLT          block
	VZEROUPPER
	RET

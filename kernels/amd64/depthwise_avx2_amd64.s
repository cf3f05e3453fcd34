//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 depthwise convolution, AVX2 and FMA, 16 channels a block (go doc
// Depthwise16AVX2). Y0 and Y1 sum a pixel. AX and BX are A and Pad at the
// block's channels, SI the pixel's offsets, DI its output, CX the pixels left,
// R15 the block, R14 bytes of offsets a pixel, R13 LDC, R11 the channel, R10
// walks the weights, R12 counts taps.

// func Depthwise16AVX2(a *DWArgs)
TEXT ·Depthwise16AVX2(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VBROADCASTSS DW_LO(DX), Y14
	VBROADCASTSS DW_HI(DX), Y15
	MOVQ         DW_A(DX), AX
	MOVQ         DW_PAD(DX), BX
	MOVQ         DW_W(DX), R15
	MOVQ         DW_TAPS(DX), R14
	SHLQ         $2, R14
	MOVQ         DW_LDC(DX), R13
	XORQ         R11, R11

block:
	VMOVUPS (R15), Y12
	VMOVUPS 32(R15), Y13
	ADDQ    $64, R15
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	MOVQ    DW_OUT(DX), DI
	LEAQ    (DI)(R11*4), DI

pixel:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	MOVQ   R15, R10
	MOVQ   R14, R12

tap:
	TAPROW(0, R8)
	VMOVUPS     (R10), Y2
	VMOVUPS     32(R10), Y3
	VFMADD231PS (R8), Y2, Y0
	VFMADD231PS 32(R8), Y3, Y1
	ADDQ        $64, R10
	ADDQ        $4, SI
	SUBQ        $4, R12
	JNZ         tap

	// The bound is the first source, so that a NaN or -0 in the sums stays.
	VADDPS  Y12, Y0, Y0
	VADDPS  Y13, Y1, Y1
	VMAXPS  Y0, Y14, Y0
	VMAXPS  Y1, Y14, Y1
	VMINPS  Y0, Y15, Y0
	VMINPS  Y1, Y15, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    R13, DI
	DECQ    CX
	JNZ     pixel
	MOVQ    R10, R15
	ADDQ    $64, AX
	ADDQ    $64, BX
	ADDQ    $16, R11
	CMPQ    R11, DW_C(DX)
	JLT     block
	VZEROUPPER
	RET

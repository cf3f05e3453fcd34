//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 depthwise convolution, AVX2 and FMA, 16 channels a block (go doc
// Depthwise16AVX2). Four pixels are summed side by side in Y0-Y7, so that the
// weights of a tap are loaded once and no sum waits for itself; the pixels left are
// summed one by one. AX and BX are A and Pad at the block's channels, SI the pixel's
// offsets, R9 those of the next but one, DI its output, CX the pixels left, R15 the
// block, R14 bytes of offsets a pixel, R13 LDC, R11 the channel, R10 walks the
// weights, R12 counts taps.

#define TAP(row, c0, c1) \
	VFMADD231PS (row), Y8, c0; \
	VFMADD231PS 32(row), Y9, c1

// STORE finishes a pixel. The bound is the first source, so that a NaN or -0 in the
// sums stays.
#define STORE(c0, c1) \
	VADDPS  Y12, c0, c0; \
	VADDPS  Y13, c1, c1; \
	VMAXPS  c0, Y14, c0; \
	VMAXPS  c1, Y14, c1; \
	VMINPS  c0, Y15, c0; \
	VMINPS  c1, Y15, c1; \
	VMOVUPS c0, (DI); \
	VMOVUPS c1, 32(DI); \
	ADDQ    R13, DI

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
	SUBQ    $4, CX
	JLT     rest

four:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	LEAQ   (SI)(R14*2), R9
	MOVQ   R15, R10
	MOVQ   R14, R12

tap4:
	VMOVUPS (R10), Y8
	VMOVUPS 32(R10), Y9
	TAPAT((SI), R8)
	TAP(R8, Y0, Y1)
	TAPAT((SI)(R14*1), R8)
	TAP(R8, Y2, Y3)
	TAPAT((R9), R8)
	TAP(R8, Y4, Y5)
	TAPAT((R9)(R14*1), R8)
	TAP(R8, Y6, Y7)
	ADDQ    $64, R10
	ADDQ    $4, SI
	ADDQ    $4, R9
	SUBQ    $4, R12
	JNZ     tap4
	LEAQ    (R9)(R14*1), SI
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	SUBQ    $4, CX
	JGE     four

rest:
	ADDQ $4, CX
	JZ   next

one:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	MOVQ   R15, R10
	MOVQ   R14, R12

tap1:
	VMOVUPS (R10), Y8
	VMOVUPS 32(R10), Y9
	TAPAT((SI), R8)
	TAP(R8, Y0, Y1)
	ADDQ    $64, R10
	ADDQ    $4, SI
	SUBQ    $4, R12
	JNZ     tap1
	STORE(Y0, Y1)
	DECQ    CX
	JNZ     one

next:
	MOVQ R10, R15
	ADDQ $64, AX
	ADDQ $64, BX
	ADDQ $16, R11
	CMPQ R11, DW_C(DX)
	JLT  block
	VZEROUPPER
	RET

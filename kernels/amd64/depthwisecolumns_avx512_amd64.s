//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 3x3 depthwise convolution at horizontal stride 1, AVX-512, 32
// channels a block, done 16 at a time (go doc DepthwiseColumns32AVX512).
//
// Every input column is loaded once and serves three pixels; two pixels are
// summed side by side, for each is one chain of nine additions. Columns j to
// j+3 are Z4-Z6, Z7-Z9, Z10-Z12, Z13-Z15, the weights Z16-Z24. AX and BX are A and
// Pad at the 16 channels, SI the column's offsets, DI the pixel's output, CX the
// pixels left, DX the arguments, R15 the weights, R13 LDC, R12 the channels
// left, R11 the bytes done, K1 the valid channels.

#define COLUMN(x0, x1, x2) \
	TAPROW(0, R8); \
	TAPROW(1, R9); \
	TAPROW(2, R10); \
	ADDQ      $12, SI; \
	VMOVUPS.Z (R8), K1, x0; \
	VMOVUPS.Z (R9), K1, x1; \
	VMOVUPS.Z (R10), K1, x2

// STORE finishes a pixel. The bound is the first source of VMAXPS and VMINPS,
// so that a NaN or -0 in the sums stays.
#define STORE(c) \
	VADDPS  Z25, c, c; \
	VMAXPS  c, Z26, c; \
	VMINPS  c, Z27, c; \
	VMOVUPS c, K1, (DI); \
	ADDQ    R13, DI

// func DepthwiseColumns32AVX512(a *DWArgs)
TEXT ·DepthwiseColumns32AVX512(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VBROADCASTSS DW_LO(DX), Z26
	VBROADCASTSS DW_HI(DX), Z27
	MOVQ         DW_A(DX), AX
	MOVQ         DW_PAD(DX), BX
	MOVQ         DW_W(DX), R15
	MOVQ         DW_LDC(DX), R13
	MOVQ         DW_C(DX), R12
	XORQ         R11, R11

half:
	MOVL  $0xffff, R8
	CMPQ  R12, $16
	JGE   whole
	BZHIL R12, R8, R8

whole:
	KMOVW   R8, K1
	VMOVUPS (R15), Z25
	VMOVUPS 128(R15), Z16
	VMOVUPS 256(R15), Z17
	VMOVUPS 384(R15), Z18
	VMOVUPS 512(R15), Z19
	VMOVUPS 640(R15), Z20
	VMOVUPS 768(R15), Z21
	VMOVUPS 896(R15), Z22
	VMOVUPS 1024(R15), Z23
	VMOVUPS 1152(R15), Z24
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	MOVQ    DW_OUT(DX), DI
	ADDQ    R11, DI
	COLUMN(Z4, Z5, Z6)
	COLUMN(Z7, Z8, Z9)
	SUBQ    $2, CX
	JLT     odd

pair:
	COLUMN(Z10, Z11, Z12)
	COLUMN(Z13, Z14, Z15)
	VPXORD      Z0, Z0, Z0
	VPXORD      Z1, Z1, Z1
	VFMADD231PS Z16, Z4, Z0
	VFMADD231PS Z16, Z7, Z1
	VFMADD231PS Z17, Z7, Z0
	VFMADD231PS Z17, Z10, Z1
	VFMADD231PS Z18, Z10, Z0
	VFMADD231PS Z18, Z13, Z1
	VFMADD231PS Z19, Z5, Z0
	VFMADD231PS Z19, Z8, Z1
	VFMADD231PS Z20, Z8, Z0
	VFMADD231PS Z20, Z11, Z1
	VFMADD231PS Z21, Z11, Z0
	VFMADD231PS Z21, Z14, Z1
	VFMADD231PS Z22, Z6, Z0
	VFMADD231PS Z22, Z9, Z1
	VFMADD231PS Z23, Z9, Z0
	VFMADD231PS Z23, Z12, Z1
	VFMADD231PS Z24, Z12, Z0
	VFMADD231PS Z24, Z15, Z1
	VMOVAPS     Z10, Z4
	VMOVAPS     Z11, Z5
	VMOVAPS     Z12, Z6
	VMOVAPS     Z13, Z7
	VMOVAPS     Z14, Z8
	VMOVAPS     Z15, Z9
	STORE(Z0)
	STORE(Z1)
	SUBQ        $2, CX
	JGE         pair

odd:
	CMPQ CX, $-1
	JNE  next
	COLUMN(Z10, Z11, Z12)
	VPXORD      Z0, Z0, Z0
	VFMADD231PS Z16, Z4, Z0
	VFMADD231PS Z17, Z7, Z0
	VFMADD231PS Z18, Z10, Z0
	VFMADD231PS Z19, Z5, Z0
	VFMADD231PS Z20, Z8, Z0
	VFMADD231PS Z21, Z11, Z0
	VFMADD231PS Z22, Z6, Z0
	VFMADD231PS Z23, Z9, Z0
	VFMADD231PS Z24, Z12, Z0
	STORE(Z0)

next:
	ADDQ  $64, AX
	ADDQ  $64, BX
	ADDQ  $64, R15
	ADDQ  $64, R11
	TESTQ $64, R11
	JNZ   same
	ADDQ  $1152, R15                 // from the block's second half to the next block

same:
	SUBQ $16, R12
	JGT  half
	VZEROUPPER
	RET

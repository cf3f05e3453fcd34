//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 5x5 depthwise convolution at horizontal stride 1, AVX-512, 32 channels a
// block, done 16 at a time (go doc DepthwiseColumns5x5AVX512).
//
// Seven pixels (the maps of most networks are a multiple of seven wide) are summed
// side by side in Z0-Z6. Row by row of the window, the eleven pixels under it are
// loaded to Z7-Z17 and the row's weights to Z18-Z22. The pixels left are summed one
// by one. AX and BX are A and Pad at the 16 channels, SI the first column's offsets,
// DI the pixel's output, CX the pixels left, DX the arguments, R15 the weights, R13
// LDC, R12 the channels left, R11 the bytes done, R10 walks the weights, R9 counts
// the window's rows, K1 are the valid channels.

#define PIXEL(j, x) \
	TAPAT((20*j)(SI), R8); \
	VMOVUPS.Z (R8), K1, x

#define WEIGHTS \
	VMOVUPS (R10), Z18; \
	VMOVUPS 128(R10), Z19; \
	VMOVUPS 256(R10), Z20; \
	VMOVUPS 384(R10), Z21; \
	VMOVUPS 512(R10), Z22; \
	ADDQ    $640, R10

// STORE finishes a pixel. The bound is the first source of VMAXPS and VMINPS, so
// that a NaN or -0 in the sums stays.
#define STORE(c) \
	VADDPS  Z25, c, c; \
	VMAXPS  c, Z26, c; \
	VMINPS  c, Z27, c; \
	VMOVUPS c, K1, (DI); \
	ADDQ    R13, DI

// func DepthwiseColumns5x5AVX512(a *DWArgs)
TEXT ·DepthwiseColumns5x5AVX512(SB), NOSPLIT, $0-8
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
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	MOVQ    DW_OUT(DX), DI
	ADDQ    R11, DI
	SUBQ    $7, CX
	JLT     rest

seven:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	LEAQ   128(R15), R10
	MOVQ   $5, R9

row7:
	WEIGHTS
	PIXEL(0, Z7)
	PIXEL(1, Z8)
	PIXEL(2, Z9)
	PIXEL(3, Z10)
	PIXEL(4, Z11)
	PIXEL(5, Z12)
	PIXEL(6, Z13)
	PIXEL(7, Z14)
	PIXEL(8, Z15)
	PIXEL(9, Z16)
	PIXEL(10, Z17)
	VFMADD231PS Z18, Z7, Z0
	VFMADD231PS Z18, Z8, Z1
	VFMADD231PS Z18, Z9, Z2
	VFMADD231PS Z18, Z10, Z3
	VFMADD231PS Z18, Z11, Z4
	VFMADD231PS Z18, Z12, Z5
	VFMADD231PS Z18, Z13, Z6
	VFMADD231PS Z19, Z8, Z0
	VFMADD231PS Z19, Z9, Z1
	VFMADD231PS Z19, Z10, Z2
	VFMADD231PS Z19, Z11, Z3
	VFMADD231PS Z19, Z12, Z4
	VFMADD231PS Z19, Z13, Z5
	VFMADD231PS Z19, Z14, Z6
	VFMADD231PS Z20, Z9, Z0
	VFMADD231PS Z20, Z10, Z1
	VFMADD231PS Z20, Z11, Z2
	VFMADD231PS Z20, Z12, Z3
	VFMADD231PS Z20, Z13, Z4
	VFMADD231PS Z20, Z14, Z5
	VFMADD231PS Z20, Z15, Z6
	VFMADD231PS Z21, Z10, Z0
	VFMADD231PS Z21, Z11, Z1
	VFMADD231PS Z21, Z12, Z2
	VFMADD231PS Z21, Z13, Z3
	VFMADD231PS Z21, Z14, Z4
	VFMADD231PS Z21, Z15, Z5
	VFMADD231PS Z21, Z16, Z6
	VFMADD231PS Z22, Z11, Z0
	VFMADD231PS Z22, Z12, Z1
	VFMADD231PS Z22, Z13, Z2
	VFMADD231PS Z22, Z14, Z3
	VFMADD231PS Z22, Z15, Z4
	VFMADD231PS Z22, Z16, Z5
	VFMADD231PS Z22, Z17, Z6
	ADDQ $4, SI
	DECQ R9
	JNZ  row7
	ADDQ $120, SI                    // from the end of a column to the one seven further
	STORE(Z0)
	STORE(Z1)
	STORE(Z2)
	STORE(Z3)
	STORE(Z4)
	STORE(Z5)
	STORE(Z6)
	SUBQ $7, CX
	JGE  seven

rest:
	ADDQ $7, CX
	JZ   next

one:
	VPXORD Z0, Z0, Z0
	LEAQ   128(R15), R10
	MOVQ   $5, R9

row1:
	WEIGHTS
	PIXEL(0, Z7)
	PIXEL(1, Z8)
	PIXEL(2, Z9)
	PIXEL(3, Z10)
	PIXEL(4, Z11)
	VFMADD231PS Z18, Z7, Z0
	VFMADD231PS Z19, Z8, Z0
	VFMADD231PS Z20, Z9, Z0
	VFMADD231PS Z21, Z10, Z0
	VFMADD231PS Z22, Z11, Z0
	ADDQ        $4, SI
	DECQ        R9
	JNZ         row1
	STORE(Z0)
	DECQ        CX
	JNZ         one

next:
	ADDQ  $64, AX
	ADDQ  $64, BX
	ADDQ  $64, R15
	ADDQ  $64, R11
	TESTQ $64, R11
	JNZ   same
	ADDQ  $3200, R15                 // from the block's second half to the next block

same:
	SUBQ $16, R12
	JGT  half
	VZEROUPPER
	RET

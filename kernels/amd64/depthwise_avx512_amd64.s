//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 depthwise convolution, AVX-512, 32 channels a block (go doc
// Depthwise32AVX512). Z0 and Z1 sum a pixel. AX and BX are A and Pad at the
// block's channels, SI the pixel's offsets, DI its output, CX the pixels left,
// R15 the block, R14 bytes of offsets a pixel, R13 LDC, K1 and K2 the valid channels.

// STORE finishes a pixel. The bound is the first source of VMAXPS and VMINPS,
// so that a NaN or -0 in the sums stays.
#define STORE \
	VADDPS  Z26, Z0, Z0; \
	VADDPS  Z27, Z1, Z1; \
	VMAXPS  Z0, Z28, Z0; \
	VMAXPS  Z1, Z28, Z1; \
	VMINPS  Z0, Z29, Z0; \
	VMINPS  Z1, Z29, Z1; \
	VMOVUPS Z0, K1, (DI); \
	VMOVUPS Z1, K2, 64(DI)

#define TAP(row, w0, w1) \
	VFMADD231PS (row), w0, K1, Z0; \
	VFMADD231PS 64(row), w1, K2, Z1

// func Depthwise32AVX512(a *DWArgs)
TEXT ·Depthwise32AVX512(SB), NOSPLIT, $0-8
	MOVQ         a+0(FP), DX
	VBROADCASTSS DW_LO(DX), Z28
	VBROADCASTSS DW_HI(DX), Z29
	MOVQ         DW_A(DX), AX
	MOVQ         DW_PAD(DX), BX
	MOVQ         DW_W(DX), R15
	MOVQ         DW_TAPS(DX), R14
	SHLQ         $2, R14
	MOVQ         DW_LDC(DX), R13
	MOVQ         DW_C(DX), R12
	KMOVQ        R12, K3             // channels left
	MOVQ         DW_OUT(DX), R12
	KMOVQ        R12, K4             // output at the block's channels

block:
	KMOVQ   K3, R12
	MOVL    $-1, R11
	CMPQ    R12, $32
	JGE     whole
	BZHIL   R12, R11, R11

whole:
	KMOVW   R11, K1
	SHRL    $16, R11
	KMOVW   R11, K2
	VMOVUPS (R15), Z26
	VMOVUPS 64(R15), Z27
	ADDQ    $128, R15
	MOVQ    a+0(FP), DX
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	KMOVQ   K4, DI
	CMPQ    R14, $36
	JNE     pixel

	// 3x3: the weights stay in registers.
	VMOVUPS 0(R15), Z2
	VMOVUPS 64(R15), Z3
	VMOVUPS 128(R15), Z4
	VMOVUPS 192(R15), Z5
	VMOVUPS 256(R15), Z6
	VMOVUPS 320(R15), Z7
	VMOVUPS 384(R15), Z8
	VMOVUPS 448(R15), Z9
	VMOVUPS 512(R15), Z10
	VMOVUPS 576(R15), Z11
	VMOVUPS 640(R15), Z12
	VMOVUPS 704(R15), Z13
	VMOVUPS 768(R15), Z14
	VMOVUPS 832(R15), Z15
	VMOVUPS 896(R15), Z16
	VMOVUPS 960(R15), Z17
	VMOVUPS 1024(R15), Z18
	VMOVUPS 1088(R15), Z19
	ADDQ    $1152, R15

pixel9:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	TAPROW(0, R8)
	TAP(R8, Z2, Z3)
	TAPROW(1, R9)
	TAP(R9, Z4, Z5)
	TAPROW(2, R8)
	TAP(R8, Z6, Z7)
	TAPROW(3, R9)
	TAP(R9, Z8, Z9)
	TAPROW(4, R8)
	TAP(R8, Z10, Z11)
	TAPROW(5, R9)
	TAP(R9, Z12, Z13)
	TAPROW(6, R8)
	TAP(R8, Z14, Z15)
	TAPROW(7, R9)
	TAP(R9, Z16, Z17)
	TAPROW(8, R8)
	TAP(R8, Z18, Z19)
	STORE
	ADDQ R14, SI
	ADDQ R13, DI
	DECQ CX
	JNZ  pixel9
	JMP  next

	// Any number of taps: R10 walks the weights, R12 counts.
pixel:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	MOVQ   R15, R10
	MOVQ   R14, R12

tap:
	TAPROW(0, R8)
	VMOVUPS (R10), Z2
	VMOVUPS 64(R10), Z3
	TAP(R8, Z2, Z3)
	ADDQ $128, R10
	ADDQ $4, SI
	SUBQ $4, R12
	JNZ  tap
	STORE
	ADDQ R13, DI
	DECQ CX
	JNZ  pixel
	MOVQ R10, R15

next:
	ADDQ  $128, AX
	ADDQ  $128, BX
	KMOVQ K4, R12
	ADDQ  $128, R12
	KMOVQ R12, K4
	KMOVQ K3, R12
	SUBQ  $32, R12
	KMOVQ R12, K3
	JGT   block
	VZEROUPPER
	RET

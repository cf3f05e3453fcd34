//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 depthwise convolution, AVX-512, 32 channels a block (go doc
// Depthwise32AVX512). Four pixels are summed side by side in Z0-Z7, so that the
// weights of a tap are loaded once and no sum waits for itself; the pixels left are
// summed one by one. AX and BX are A and Pad at the block's channels, SI the pixel's
// offsets, R9 those of the next but one, DI its output, CX the pixels left, R15 the
// block, R14 bytes of offsets a pixel, R13 LDC, R10 walks the weights, R12 counts
// taps, K1 and K2 are the valid channels.

#define TAP(row, c0, c1) \
	VFMADD231PS (row), Z8, K1, c0; \
	VFMADD231PS 64(row), Z9, K2, c1

#define TAP9(row, w0, w1) \
	VFMADD231PS (row), w0, K1, Z0; \
	VFMADD231PS 64(row), w1, K2, Z1

// STORE finishes a pixel. The bound is the first source of VMAXPS and VMINPS, so
// that a NaN or -0 in the sums stays.
#define STORE(c0, c1) \
	VADDPS  Z26, c0, c0; \
	VADDPS  Z27, c1, c1; \
	VMAXPS  c0, Z28, c0; \
	VMAXPS  c1, Z28, c1; \
	VMINPS  c0, Z29, c0; \
	VMINPS  c1, Z29, c1; \
	VMOVUPS c0, K1, (DI); \
	VMOVUPS c1, K2, 64(DI); \
	ADDQ    R13, DI

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
	XORQ         R11, R11            // bytes of channels done

block:
	MOVQ    DW_C(DX), R12
	SHLQ    $2, R12
	SUBQ    R11, R12
	SHRQ    $2, R12                  // channels left
	MOVL    $-1, R8
	CMPQ    R12, $32
	JGE     whole
	BZHIL   R12, R8, R8

whole:
	KMOVW   R8, K1
	SHRL    $16, R8
	KMOVW   R8, K2
	VMOVUPS (R15), Z26
	VMOVUPS 64(R15), Z27
	ADDQ    $128, R15
	MOVQ    DW_OFF(DX), SI
	MOVQ    DW_PIXELS(DX), CX
	MOVQ    DW_OUT(DX), DI
	ADDQ    R11, DI
	CMPQ    R14, $36
	JEQ     nine
	SUBQ    $4, CX
	JLT     rest

four:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	LEAQ   (SI)(R14*2), R9
	MOVQ   R15, R10
	MOVQ   R14, R12

tap4:
	VMOVUPS (R10), Z8
	VMOVUPS 64(R10), Z9
	TAPAT((SI), R8)
	TAP(R8, Z0, Z1)
	TAPAT((SI)(R14*1), R8)
	TAP(R8, Z2, Z3)
	TAPAT((R9), R8)
	TAP(R8, Z4, Z5)
	TAPAT((R9)(R14*1), R8)
	TAP(R8, Z6, Z7)
	ADDQ    $128, R10
	ADDQ    $4, SI
	ADDQ    $4, R9
	SUBQ    $4, R12
	JNZ     tap4
	LEAQ    (R9)(R14*1), SI
	STORE(Z0, Z1)
	STORE(Z2, Z3)
	STORE(Z4, Z5)
	STORE(Z6, Z7)
	SUBQ    $4, CX
	JGE     four

rest:
	ADDQ $4, CX
	JZ   next

one:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	MOVQ   R15, R10
	MOVQ   R14, R12

tap1:
	VMOVUPS (R10), Z8
	VMOVUPS 64(R10), Z9
	TAPAT((SI), R8)
	TAP(R8, Z0, Z1)
	ADDQ    $128, R10
	ADDQ    $4, SI
	SUBQ    $4, R12
	JNZ     tap1
	STORE(Z0, Z1)
	DECQ    CX
	JNZ     one
	JMP     next

	// 3x3: the weights stay in registers, Z10-Z25 and Z2-Z3.
nine:
	VMOVUPS 0(R15), Z10
	VMOVUPS 64(R15), Z11
	VMOVUPS 128(R15), Z12
	VMOVUPS 192(R15), Z13
	VMOVUPS 256(R15), Z14
	VMOVUPS 320(R15), Z15
	VMOVUPS 384(R15), Z16
	VMOVUPS 448(R15), Z17
	VMOVUPS 512(R15), Z18
	VMOVUPS 576(R15), Z19
	VMOVUPS 640(R15), Z20
	VMOVUPS 704(R15), Z21
	VMOVUPS 768(R15), Z22
	VMOVUPS 832(R15), Z23
	VMOVUPS 896(R15), Z24
	VMOVUPS 960(R15), Z25
	VMOVUPS 1024(R15), Z2
	VMOVUPS 1088(R15), Z3
	LEAQ 1152(R15), R10

pixel9:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	TAPROW(0, R8)
	TAP9(R8, Z10, Z11)
	TAPROW(1, R9)
	TAP9(R9, Z12, Z13)
	TAPROW(2, R8)
	TAP9(R8, Z14, Z15)
	TAPROW(3, R9)
	TAP9(R9, Z16, Z17)
	TAPROW(4, R8)
	TAP9(R8, Z18, Z19)
	TAPROW(5, R9)
	TAP9(R9, Z20, Z21)
	TAPROW(6, R8)
	TAP9(R8, Z22, Z23)
	TAPROW(7, R9)
	TAP9(R9, Z24, Z25)
	TAPROW(8, R8)
	TAP9(R8, Z2, Z3)
	ADDQ R14, SI
	STORE(Z0, Z1)
	DECQ CX
	JNZ  pixel9

next:
	MOVQ R10, R15
	ADDQ $128, AX
	ADDQ $128, BX
	ADDQ $128, R11
	MOVQ R11, R12
	SHRQ $2, R12
	CMPQ R12, DW_C(DX)
	JLT  block
	VZEROUPPER
	RET

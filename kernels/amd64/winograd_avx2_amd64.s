//go:build !purego

#include "textflag.h"

// Transforms of Winograd's algorithm F(4x4, 3x3), AVX2 and FMA, eight channels at a
// time (go doc WinogradInAVX2, WinogradOutAVX2). The columns of a tile are
// transformed to two rows at once, which then fill the registers Y0-Y5 and Y6-Y11
// and are transformed along the row: nothing is stored between.
//
// Wider vectors would not help: the additions and multiplications of 256 bits
// already keep both pipes of a core busy.

#define W_TILE 0
#define W_ROW 8
#define W_PIXEL 16
#define W_POINTS 24
#define W_STEP 32
#define W_N 40
#define W_BIAS 48
#define W_LO 56
#define W_HI 60

// The points A and B, their powers, P = A2·B2 and S = A2 + B2, in eight lanes each.
#define A ·winograd+0(SB)
#define B ·winograd+32(SB)
#define A2 ·winograd+64(SB)
#define B2 ·winograd+96(SB)
#define A3 ·winograd+128(SB)
#define B3 ·winograd+160(SB)
#define P ·winograd+192(SB)
#define S ·winograd+224(SB)

GLOBL ·winograd(SB), RODATA|NOPTR, $256
DATA ·winograd+0(SB)/8, $0x3f4000003f400000 // A = 0.75
DATA ·winograd+8(SB)/8, $0x3f4000003f400000
DATA ·winograd+16(SB)/8, $0x3f4000003f400000
DATA ·winograd+24(SB)/8, $0x3f4000003f400000
DATA ·winograd+32(SB)/8, $0x3fc000003fc00000 // B = 1.5
DATA ·winograd+40(SB)/8, $0x3fc000003fc00000
DATA ·winograd+48(SB)/8, $0x3fc000003fc00000
DATA ·winograd+56(SB)/8, $0x3fc000003fc00000
DATA ·winograd+64(SB)/8, $0x3f1000003f100000 // A2 = 0.5625
DATA ·winograd+72(SB)/8, $0x3f1000003f100000
DATA ·winograd+80(SB)/8, $0x3f1000003f100000
DATA ·winograd+88(SB)/8, $0x3f1000003f100000
DATA ·winograd+96(SB)/8, $0x4010000040100000 // B2 = 2.25
DATA ·winograd+104(SB)/8, $0x4010000040100000
DATA ·winograd+112(SB)/8, $0x4010000040100000
DATA ·winograd+120(SB)/8, $0x4010000040100000
DATA ·winograd+128(SB)/8, $0x3ed800003ed80000 // A3 = 0.421875
DATA ·winograd+136(SB)/8, $0x3ed800003ed80000
DATA ·winograd+144(SB)/8, $0x3ed800003ed80000
DATA ·winograd+152(SB)/8, $0x3ed800003ed80000
DATA ·winograd+160(SB)/8, $0x4058000040580000 // B3 = 3.375
DATA ·winograd+168(SB)/8, $0x4058000040580000
DATA ·winograd+176(SB)/8, $0x4058000040580000
DATA ·winograd+184(SB)/8, $0x4058000040580000
DATA ·winograd+192(SB)/8, $0x3fa200003fa20000 // P = 1.265625
DATA ·winograd+200(SB)/8, $0x3fa200003fa20000
DATA ·winograd+208(SB)/8, $0x3fa200003fa20000
DATA ·winograd+216(SB)/8, $0x3fa200003fa20000
DATA ·winograd+224(SB)/8, $0x4034000040340000 // S = 2.8125
DATA ·winograd+232(SB)/8, $0x4034000040340000
DATA ·winograd+240(SB)/8, $0x4034000040340000
DATA ·winograd+248(SB)/8, $0x4034000040340000

// Input: AX = tile, BX = bytes of a row, R10 and R11 = 3 and 5 of them, CX = bytes of
// a pixel, R9 = column; DX = points, SI = step, R12, R13, R15 = 3, 5, 6 of them, DI =
// row of points; R8 = channels left.

// INPAIR transforms a column to the rows of the points +p and -p: Y14 = the other
// point's square, Y15 = p.
#define INPAIR(plus, minus) \
	VMOVUPS      (R9)(BX*4), minus; \
	VMOVUPS      (R9)(R10*1), Y12; \
	VFNMADD231PS (R9)(BX*2), Y14, minus; \
	VFNMADD231PS (R9)(BX*1), Y14, Y12; \
	VMOVAPS      minus, plus; \
	VFMADD231PS  Y12, Y15, plus; \
	VFNMADD231PS Y12, Y15, minus; \
	ADDQ         CX, R9

// INENDS transforms a column to the rows of the points 0 and infinity: Y14 = S, Y15 = P.
#define INENDS(zero, infinity) \
	VMOVUPS      (R9)(BX*4), zero; \
	VMOVUPS      (R9)(R11*1), infinity; \
	VFNMADD231PS (R9)(BX*2), Y14, zero; \
	VFNMADD231PS (R9)(R10*1), Y14, infinity; \
	VFMADD231PS  (R9), Y15, zero; \
	VFMADD231PS  (R9)(BX*1), Y15, infinity; \
	ADDQ         CX, R9

// INROW transforms along a row and stores its six points at DI.
#define INROW(x0, x1, x2, x3, x4, x5) \
	VFNMADD231PS S, x3, x5; \
	VMOVAPS      x4, Y12; \
	VFNMADD231PS S, x2, Y12; \
	VFMADD231PS  P, x1, x5; \
	VFMADD231PS  P, x0, Y12; \
	VMOVUPS      x5, (DI)(R13*1); \
	VMOVUPS      Y12, (DI); \
	VMOVAPS      x4, x0; \
	VMOVAPS      x3, Y13; \
	VFNMADD231PS B2, x2, x0; \
	VFNMADD231PS B2, x1, Y13; \
	VFNMADD231PS A2, x2, x4; \
	VFNMADD231PS A2, x1, x3; \
	VMOVAPS      x0, Y12; \
	VFMADD231PS  A, Y13, x0; \
	VFNMADD231PS A, Y13, Y12; \
	VMOVUPS      x0, (DI)(SI*1); \
	VMOVUPS      Y12, (DI)(SI*2); \
	VMOVAPS      x4, x2; \
	VFMADD231PS  B, x3, x2; \
	VFNMADD231PS B, x3, x4; \
	VMOVUPS      x2, (DI)(R12*1); \
	VMOVUPS      x4, (DI)(SI*4)

// func WinogradInAVX2(a *WinogradArgs)
TEXT ·WinogradInAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), R8
	MOVQ W_TILE(R8), AX
	MOVQ W_ROW(R8), BX
	MOVQ W_PIXEL(R8), CX
	MOVQ W_POINTS(R8), DX
	MOVQ W_STEP(R8), SI
	MOVQ W_N(R8), R8
	LEAQ (BX)(BX*2), R10
	LEAQ (BX)(BX*4), R11
	LEAQ (SI)(SI*2), R12
	LEAQ (SI)(SI*4), R13
	LEAQ (R12*2), R15

in:
	MOVQ    AX, R9
	VMOVUPS B2, Y14
	VMOVUPS A, Y15
	INPAIR(Y0, Y6)
	INPAIR(Y1, Y7)
	INPAIR(Y2, Y8)
	INPAIR(Y3, Y9)
	INPAIR(Y4, Y10)
	INPAIR(Y5, Y11)
	LEAQ    (DX)(R15*1), DI
	INROW(Y0, Y1, Y2, Y3, Y4, Y5)
	ADDQ    R15, DI
	INROW(Y6, Y7, Y8, Y9, Y10, Y11)
	MOVQ    AX, R9
	VMOVUPS A2, Y14
	VMOVUPS B, Y15
	INPAIR(Y0, Y6)
	INPAIR(Y1, Y7)
	INPAIR(Y2, Y8)
	INPAIR(Y3, Y9)
	INPAIR(Y4, Y10)
	INPAIR(Y5, Y11)
	ADDQ    R15, DI
	INROW(Y0, Y1, Y2, Y3, Y4, Y5)
	ADDQ    R15, DI
	INROW(Y6, Y7, Y8, Y9, Y10, Y11)
	MOVQ    AX, R9
	VMOVUPS S, Y14
	VMOVUPS P, Y15
	INENDS(Y0, Y6)
	INENDS(Y1, Y7)
	INENDS(Y2, Y8)
	INENDS(Y3, Y9)
	INENDS(Y4, Y10)
	INENDS(Y5, Y11)
	ADDQ    R15, DI
	INROW(Y6, Y7, Y8, Y9, Y10, Y11)
	MOVQ    DX, DI
	INROW(Y0, Y1, Y2, Y3, Y4, Y5)
	ADDQ    $32, AX
	ADDQ    $32, DX
	SUBQ    $8, R8
	JNZ     in
	VZEROUPPER
	RET

// Output: AX = tile, BX = bytes of a row, CX = bytes of a pixel, R14 = 3 of them, DI =
// row of pixels; DX = points, SI = step, R15, R12, R13 = 6, 18, 30 of them, R9 =
// column; R8 = channels left, R10 = bias, R11 = arguments.

// OUTEVEN transforms a column to its rows 0 and 2: Y14 = A2, Y15 = B2.
#define OUTEVEN(y0, y2) \
	VMOVUPS     (R9)(R15*1), Y12; \
	VMOVUPS     (R9)(R12*1), Y13; \
	VADDPS      (R9)(R15*2), Y12, Y12; \
	VADDPS      (R9)(R15*4), Y13, Y13; \
	VADDPS      (R9), Y12, y0; \
	VMULPS      Y14, Y12, y2; \
	VADDPS      Y13, y0, y0; \
	VFMADD231PS Y15, Y13, y2; \
	ADDQ        SI, R9

// OUTODD transforms a column to its rows 1 and 3: Y14 = A, Y15 = B.
#define OUTODD(y1, y3) \
	VMOVUPS     (R9)(R15*1), Y12; \
	VMOVUPS     (R9)(R12*1), Y13; \
	VSUBPS      (R9)(R15*2), Y12, Y12; \
	VSUBPS      (R9)(R15*4), Y13, Y13; \
	VMOVUPS     (R9)(R13*1), y3; \
	VMULPS      Y14, Y12, y1; \
	VFMADD231PS A3, Y12, y3; \
	VFMADD231PS Y15, Y13, y1; \
	VFMADD231PS B3, Y13, y3; \
	ADDQ        SI, R9

// PIXEL adds the bias and clamps. The bound is the first source, so that a NaN or
// -0 in the sums stays.
#define PIXEL(y) \
	VADDPS (R10), y, y; \
	VMAXPS y, Y12, y; \
	VMINPS y, Y13, y

// OUTROW transforms along a row and stores its four pixels at DI.
#define OUTROW(x0, x1, x2, x3, x4, x5) \
	VADDPS       x2, x1, Y12; \
	VSUBPS       x2, x1, x1; \
	VADDPS       x4, x3, Y13; \
	VSUBPS       x4, x3, x3; \
	VADDPS       Y12, x0, x0; \
	VMULPS       A2, Y12, x2; \
	VMULPS       A, x1, x4; \
	VFMADD231PS  A3, x1, x5; \
	VADDPS       Y13, x0, x0; \
	VFMADD231PS  B2, Y13, x2; \
	VFMADD231PS  B, x3, x4; \
	VFMADD231PS  B3, x3, x5; \
	VBROADCASTSS W_LO(R11), Y12; \
	VBROADCASTSS W_HI(R11), Y13; \
	PIXEL(x0); \
	PIXEL(x4); \
	PIXEL(x2); \
	PIXEL(x5); \
	VMOVUPS      x0, (DI); \
	VMOVUPS      x4, (DI)(CX*1); \
	VMOVUPS      x2, (DI)(CX*2); \
	VMOVUPS      x5, (DI)(R14*1)

// func WinogradOutAVX2(a *WinogradArgs)
TEXT ·WinogradOutAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), R11
	MOVQ W_TILE(R11), AX
	MOVQ W_ROW(R11), BX
	MOVQ W_PIXEL(R11), CX
	MOVQ W_POINTS(R11), DX
	MOVQ W_STEP(R11), SI
	MOVQ W_N(R11), R8
	MOVQ W_BIAS(R11), R10
	LEAQ (CX)(CX*2), R14
	LEAQ (SI)(SI*2), R15
	ADDQ R15, R15
	LEAQ (R15)(R15*2), R12
	LEAQ (R15)(R15*4), R13

out:
	MOVQ    DX, R9
	VMOVUPS A2, Y14
	VMOVUPS B2, Y15
	OUTEVEN(Y0, Y6)
	OUTEVEN(Y1, Y7)
	OUTEVEN(Y2, Y8)
	OUTEVEN(Y3, Y9)
	OUTEVEN(Y4, Y10)
	OUTEVEN(Y5, Y11)
	MOVQ    AX, DI
	OUTROW(Y0, Y1, Y2, Y3, Y4, Y5)
	LEAQ    (AX)(BX*2), DI
	OUTROW(Y6, Y7, Y8, Y9, Y10, Y11)
	MOVQ    DX, R9
	VMOVUPS A, Y14
	VMOVUPS B, Y15
	OUTODD(Y0, Y6)
	OUTODD(Y1, Y7)
	OUTODD(Y2, Y8)
	OUTODD(Y3, Y9)
	OUTODD(Y4, Y10)
	OUTODD(Y5, Y11)
	LEAQ    (AX)(BX*1), DI
	OUTROW(Y0, Y1, Y2, Y3, Y4, Y5)
	LEAQ    (DI)(BX*2), DI
	OUTROW(Y6, Y7, Y8, Y9, Y10, Y11)
	ADDQ    $32, AX
	ADDQ    $32, DX
	ADDQ    $32, R10
	SUBQ    $8, R8
	JNZ     out
	VZEROUPPER
	RET

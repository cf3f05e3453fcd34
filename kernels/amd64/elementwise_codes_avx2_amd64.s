//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Elementwise kernels on int8 codes for AVX2: products, tables, and the ends of
// sums. Callers give multiples of a vector.

// PACK16 packs the int32 lanes of Y0 and Y1 to the 16 bytes of X0. They lie
// in the range of int8. Uses X1.
#define PACK16 \
	VPACKSSDW    Y1, Y0, Y0;    \ // 0..3 8..11 | 4..7 12..15
	VPERMQ       $0xd8, Y0, Y0; \
	VEXTRACTI128 $1, Y0, X1;    \
	VPACKSSWB    X1, X0, X0

DATA codes<>+0(SB)/8, $0x1010101010101010 // the codes in a row of a table
DATA codes<>+8(SB)/8, $0x8080808080808080 // their sign
GLOBL codes<>(SB), RODATA|NOPTR, $16

// ROUND16 makes 16 codes in X0 of the numbers in Y0 and Y1: clamped to Y10 and
// Y11, rounded, Y14 added. Uses X1.
#define ROUND16 \
	VMAXPS    Y10, Y0, Y0; \
	VMAXPS    Y10, Y1, Y1; \
	VMINPS    Y11, Y0, Y0; \
	VMINPS    Y11, Y1, Y1; \
	VCVTPS2DQ Y0, Y0;      \
	VCVTPS2DQ Y1, Y1;      \
	VPADDD    Y14, Y0, Y0; \
	VPADDD    Y14, Y1, Y1; \
	PACK16

// func QMulAVX2(dst, a, b unsafe.Pointer, n uintptr, p *QMulArgs)
TEXT ·QMulAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ p+32(FP), R8
	VBROADCASTSS QMulArgs_M(R8), Y8
	VBROADCASTSS QMulArgs_Lo(R8), Y10
	VBROADCASTSS QMulArgs_Hi(R8), Y11
	VPBROADCASTD QMulArgs_Za(R8), Y12
	VPBROADCASTD QMulArgs_Zb(R8), Y13
	VPBROADCASTD QMulArgs_Zero(R8), Y14

qmul16:
	VPMOVSXBD (SI), Y0
	VPMOVSXBD 8(SI), Y1
	VPMOVSXBD (DX), Y2
	VPMOVSXBD 8(DX), Y3
	VPSUBD    Y12, Y0, Y0
	VPSUBD    Y12, Y1, Y1
	VPSUBD    Y13, Y2, Y2
	VPSUBD    Y13, Y3, Y3
	VPMULLD   Y2, Y0, Y0
	VPMULLD   Y3, Y1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMULPS    Y8, Y0, Y0
	VMULPS    Y8, Y1, Y1
	ROUND16
	VMOVDQU   X0, (DI)
	ADDQ      $16, SI
	ADDQ      $16, DX
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNE       qmul16
	VZEROUPPER
	RET

// func RequantizeAVX2(dst, sums unsafe.Pointer, n uintptr, p *RequantizeArgs)
TEXT ·RequantizeAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ sums+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ p+24(FP), R8
	VBROADCASTSS RequantizeArgs_M(R8), Y8
	VBROADCASTSS RequantizeArgs_Lo(R8), Y10
	VBROADCASTSS RequantizeArgs_Hi(R8), Y11
	VPBROADCASTD RequantizeArgs_Sub(R8), Y12
	VPBROADCASTD RequantizeArgs_Zero(R8), Y14

requantize16:
	VMOVDQU   (SI), Y0
	VMOVDQU   32(SI), Y1
	VPSUBD    Y12, Y0, Y0
	VPSUBD    Y12, Y1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMULPS    Y8, Y0, Y0
	VMULPS    Y8, Y1, Y1
	ROUND16
	VMOVDQU   X0, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNE       requantize16
	VZEROUPPER
	RET

// MEAN(y, t) divides the sums of y by the count, half away from zero. A
// quotient of integers below 2**24 never rounds up to the next integer, so the
// truncation gives the integer quotient. (Y8 count, Y9 half, Y12 its shift, Y13
// sign, Y15 shift of a code.)
#define MEAN(y, t) \
	VPADDD     Y12, y, y; \
	VCVTDQ2PS  y, y;      \
	VANDPS     Y13, y, t; \
	VORPS      Y9, t, t;  \
	VADDPS     t, y, y;   \
	VDIVPS     Y8, y, y;  \
	VCVTTPS2DQ y, y;      \
	VPSUBD     Y15, y, y; \
	VPMAXSD    Y10, y, y; \
	VPMINSD    Y11, y, y

// func QMeanAVX2(dst, sums unsafe.Pointer, n uintptr, p *QMeanArgs)
TEXT ·QMeanAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ sums+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ p+24(FP), R8
	VBROADCASTSS QMeanArgs_Count(R8), Y8
	VBROADCASTSS QMeanArgs_Half(R8), Y9
	VPBROADCASTD QMeanArgs_Lo(R8), Y10
	VPBROADCASTD QMeanArgs_Hi(R8), Y11
	VPBROADCASTD QMeanArgs_SumShift(R8), Y12
	VPBROADCASTD QMeanArgs_Shift(R8), Y15
	VPCMPEQD     Y13, Y13, Y13
	VPSLLD       $31, Y13, Y13

qmean16:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	MEAN(Y0, Y2)
	MEAN(Y1, Y3)
	PACK16
	VMOVDQU X0, (DI)
	ADDQ    $64, SI
	ADDQ    $16, DI
	SUBQ    $16, CX
	JNE     qmean16
	VZEROUPPER
	RET

// func QuantizeDivAVX2(dst, src unsafe.Pointer, n uintptr, scale, lo, hi float32, zero int32)
TEXT ·QuantizeDivAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS scale+24(FP), Y8
	VBROADCASTSS lo+28(FP), Y10
	VBROADCASTSS hi+32(FP), Y11
	VBROADCASTSS zero+36(FP), Y14

quantizeDiv16:
	VMOVUPS   (SI), Y0
	VMOVUPS   32(SI), Y1
	VDIVPS    Y8, Y0, Y0
	VDIVPS    Y8, Y1, Y1
	VCMPPS    $7, Y0, Y0, Y2 // not a NaN
	VCMPPS    $7, Y1, Y1, Y3
	VANDPS    Y2, Y0, Y0
	VANDPS    Y3, Y1, Y1
	ROUND16
	VMOVDQU   X0, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNE       quantizeDiv16
	VZEROUPPER
	RET

// func DequantizeAVX2(dst, src unsafe.Pointer, n uintptr, scale float32, zero int32)
TEXT ·DequantizeAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS scale+24(FP), Y8
	VBROADCASTSS zero+28(FP), Y9

dequantize16:
	VPMOVSXBD (SI), Y0
	VPMOVSXBD 8(SI), Y1
	VPSUBD    Y9, Y0, Y0
	VPSUBD    Y9, Y1, Y1
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VMULPS    Y8, Y0, Y0
	VMULPS    Y8, Y1, Y1
	VMOVUPS   Y0, (DI)
	VMOVUPS   Y1, 32(DI)
	ADDQ      $16, SI
	ADDQ      $64, DI
	SUBQ      $16, CX
	JNE       dequantize16
	VZEROUPPER
	RET

// func FlipAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·FlipAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VPBROADCASTQ codes<>+8(SB), Y8

flip64:
	VPXOR   (SI), Y8, Y0
	VPXOR   32(SI), Y8, Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	SUBQ    $64, CX
	JNE     flip64
	VZEROUPPER
	RET

// LOOKUP(o) goes on by 16 codes: Y4 is row o of the table xored with the row
// before, Y2 and Y3 how far the codes lie behind the row's first. VPSHUFB gives
// 0 for a code before it (the byte is negative), so each code collects the
// differences up to its own row. Clobbers Y5 and Y6.
#define LOOKUP(o) \
	VBROADCASTI128 o(R8), Y4;     \
	VPXOR          Y4, Y7, Y5;    \
	VMOVDQA        Y4, Y7;        \
	VPSHUFB        Y2, Y5, Y6;    \
	VPXOR          Y6, Y0, Y0;    \
	VPSHUFB        Y3, Y5, Y6;    \
	VPXOR          Y6, Y1, Y1;    \
	VPSUBSB        Y8, Y2, Y2;    \
	VPSUBSB        Y8, Y3, Y3

// LOOKUP_HALF(o) is LOOKUP over 128 codes from o on.
#define LOOKUP_HALF(o) \
	VPXOR Y7, Y7, Y7; \
	LOOKUP(o);        \
	LOOKUP(o+16);     \
	LOOKUP(o+32);     \
	LOOKUP(o+48);     \
	LOOKUP(o+64);     \
	LOOKUP(o+80);     \
	LOOKUP(o+96);     \
	LOOKUP(o+112)

// func LookupAVX2(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)
TEXT ·LookupAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ table+24(FP), R8
	VPBROADCASTQ codes<>+0(SB), Y8
	VPBROADCASTQ codes<>+8(SB), Y9

lookup64:
	VMOVDQU (SI), Y2
	VMOVDQU 32(SI), Y3
	VPXOR   Y9, Y2, Y10
	VPXOR   Y9, Y3, Y11
	VPXOR   Y0, Y0, Y0
	VPXOR   Y1, Y1, Y1
	LOOKUP_HALF(0)
	VMOVDQA Y10, Y2
	VMOVDQA Y11, Y3
	LOOKUP_HALF(128)
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	SUBQ    $64, CX
	JNE     lookup64
	VZEROUPPER
	RET

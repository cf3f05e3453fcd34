//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Int8 matrix product and indirect convolution, AVX2, 12 rows x 16 columns
// (go doc QGemm12x16AVX2).
//
// VPMADDUBSW would saturate, so activations are widened to int16 on the way
// and weights by the packer, and VPMADDWD adds pairs of products exactly.
// A 64-bit lane holds one column: the sums of the even and of the odd pair of
// four k, joined at the end. The tile is done three rows at a time in Y0-Y3,
// Y4-Y7, Y8-Y11, or one row in Y0-Y3.
//
// AX = end of a tap at A, BX = end of the pad row, CX = offsets of the tap and
// row group, R14 = those of the group's first tap, DI = taps left, SI walks the
// panel, DX counts a tap from -KC up to 0, R8-R10 = rows, R11 = KC, R12 = row of
// C, R13 = rows left, R15 = arguments.

#define BIAS(c0, c1, c2, c3) \
	VPMOVZXDQ (SI), c0; \
	VPMOVZXDQ 16(SI), c1; \
	VPMOVZXDQ 32(SI), c2; \
	VPMOVZXDQ 48(SI), c3

// LOAD broadcasts four k of a row as int16.
#define LOAD(row, x, y) \
	VPBROADCASTD (row)(DX*1), x; \
	VPMOVSXBW    x, y

#define DOT(x, c0, c1, c2, c3) \
	VPMADDWD (SI), x, Y15; \
	VPADDD   Y15, c0, c0; \
	VPMADDWD 32(SI), x, Y15; \
	VPADDD   Y15, c1, c1; \
	VPMADDWD 64(SI), x, Y15; \
	VPADDD   Y15, c2, c2; \
	VPMADDWD 96(SI), x, Y15; \
	VPADDD   Y15, c3, c3

// JOIN adds the two sums of each column; c0 gets columns 0-7, c2 columns 8-15.
// It adds the row's correction, a broadcast in Y15.
#define JOIN(c0, c1, c2, c3) \
	VPHADDD c1, c0, c0; \
	VPERMQ  $0xd8, c0, c0; \
	VPADDD  Y15, c0, c0; \
	VPHADDD c3, c2, c2; \
	VPERMQ  $0xd8, c2, c2; \
	VPADDD  Y15, c2, c2

// func QGemm12x16AVX2(a *QGemmArgs)
TEXT ·QGemm12x16AVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), R15
	MOVQ GEMM_KC(R15), R11
	MOVQ GEMM_OFF(R15), R14
	MOVQ GEMM_C(R15), R12
	MOVQ GEMM_ROWS(R15), R13

group:
	MOVQ GEMM_A(R15), AX
	MOVQ GEMM_PAD(R15), BX
	ADDQ R11, AX
	ADDQ R11, BX
	MOVQ R14, CX
	MOVQ GEMM_TAPS(R15), DI
	MOVQ GEMM_W(R15), SI
	BIAS(Y0, Y1, Y2, Y3)
	CMPQ R13, $1
	JEQ  one
	VMOVDQA Y0, Y4
	VMOVDQA Y1, Y5
	VMOVDQA Y2, Y6
	VMOVDQA Y3, Y7
	VMOVDQA Y0, Y8
	VMOVDQA Y1, Y9
	VMOVDQA Y2, Y10
	VMOVDQA Y3, Y11
	ADDQ    $64, SI

tap:
	ROW(0, R8)
	ROW(1, R9)
	ROW(2, R10)
	MOVQ R11, DX
	NEGQ DX

k:
	LOAD(R8, X12, Y12)
	LOAD(R9, X13, Y13)
	LOAD(R10, X14, Y14)
	DOT(Y12, Y0, Y1, Y2, Y3)
	DOT(Y13, Y4, Y5, Y6, Y7)
	DOT(Y14, Y8, Y9, Y10, Y11)
	SUBQ $-128, SI
	ADDQ $4, DX
	JNZ  k
	ADDQ $48, CX
	DECQ DI
	JNZ  tap
	JMP  finish

one:
	ADDQ $64, SI

tap1:
	ROW(0, R8)
	MOVQ R11, DX
	NEGQ DX

k1:
	LOAD(R8, X12, Y12)
	DOT(Y12, Y0, Y1, Y2, Y3)
	SUBQ $-128, SI
	ADDQ $4, DX
	JNZ  k1
	ADDQ $48, CX
	DECQ DI
	JNZ  tap1

finish:
	MOVQ  QGEMM_CORR(R15), AX
	VPXOR Y12, Y12, Y12
	VPXOR Y13, Y13, Y13
	VPXOR Y15, Y15, Y15
	TESTQ AX, AX
	JZ    join

	// The corrections of this group's rows lie as far behind Corr as its
	// offsets behind Off.
	ADDQ         R14, AX
	SUBQ         GEMM_OFF(R15), AX
	VPBROADCASTD (AX), Y15
	VPBROADCASTD 4(AX), Y12
	VPBROADCASTD 8(AX), Y13

join:
	JOIN(Y0, Y1, Y2, Y3)
	VMOVDQA Y12, Y15
	JOIN(Y4, Y5, Y6, Y7)
	VMOVDQA Y13, Y15
	JOIN(Y8, Y9, Y10, Y11)
	MOVQ GEMM_COLS(R15), CX
	CMPL QGEMM_RAW(R15), $0
	JNE  sums

	VBROADCASTSS QGEMM_LO(R15), Y12
	VBROADCASTSS QGEMM_HI(R15), Y13
	VPBROADCASTD QGEMM_ZERO(R15), Y14
	MOVQ         $3, R9

code:
	// One row of codes: Y0 and Y2 are its sums; the next row moves up.
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y2, Y2
	VMULPS    (SI), Y0, Y0
	VMULPS    32(SI), Y2, Y2
	VMAXPS    Y12, Y0, Y0
	VMAXPS    Y12, Y2, Y2
	VMINPS    Y13, Y0, Y0
	VMINPS    Y13, Y2, Y2
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y2, Y2
	VPADDD    Y14, Y0, Y0
	VPADDD    Y14, Y2, Y2
	VPACKSSDW Y2, Y0, Y0
	VPERMQ    $0xd8, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKSSWB X1, X0, X0
	CMPQ      CX, $16
	JNE       part
	VMOVDQU   X0, (R12)

stored:
	ADDQ    GEMM_LDC(R15), R12
	DECQ    R13
	JZ      done
	VMOVDQA Y4, Y0
	VMOVDQA Y6, Y2
	VMOVDQA Y8, Y4
	VMOVDQA Y10, Y6
	DECQ    R9
	JNZ     code
	ADDQ    $12, R14
	JMP     group

	// Fewer than 16 codes: 8, 4, 2, 1 of them.
part:
	MOVQ    R12, DI
	TESTQ   $8, CX
	JZ      part4
	VMOVQ   X0, (DI)
	VPSRLDQ $8, X0, X0
	ADDQ    $8, DI

part4:
	TESTQ   $4, CX
	JZ      part2
	VMOVD   X0, (DI)
	VPSRLDQ $4, X0, X0
	ADDQ    $4, DI

part2:
	VMOVD X0, AX
	TESTQ $2, CX
	JZ    part1
	MOVW  AX, (DI)
	SHRL  $16, AX
	ADDQ  $2, DI

part1:
	TESTQ $1, CX
	JZ    stored
	MOVB  AX, (DI)
	JMP   stored

sums:
	LEAQ    ·lanes+64(SB), AX
	SHLQ    $2, CX
	SUBQ    CX, AX
	VMOVDQU (AX), Y12
	VMOVDQU 32(AX), Y13
	MOVQ    $3, R9

sum:
	VPMASKMOVD Y0, Y12, (R12)
	VPMASKMOVD Y2, Y13, 32(R12)
	ADDQ       GEMM_LDC(R15), R12
	DECQ       R13
	JZ         done
	VMOVDQA    Y4, Y0
	VMOVDQA    Y6, Y2
	VMOVDQA    Y8, Y4
	VMOVDQA    Y10, Y6
	DECQ       R9
	JNZ        sum
	ADDQ       $12, R14
	JMP        group

done:
	VZEROUPPER
	RET

//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Matrix product and indirect convolution of int16 by int8, AVX2, 6 rows x 16 columns
// (go doc Q16Gemm6x16AVX2).
//
// Row r sums in Y(2r) and Y(2r+1); Y12 and Y13 hold the weights of two k, widened, Y14
// the activations. AX = end of a tap at A, BX = end of the pad row, CX = offsets of
// the tap, DI = taps left, SI walks the panel, DX counts a tap from -KC up to 0, R8-R13 =
// rows, R15 = arguments.

#define WEIGHTS \
	VPMOVSXBW (SI), Y12; \
	VPMOVSXBW 16(SI), Y13; \
	ADDQ      $32, SI

#define DOT(row, c0, c1) \
	VPBROADCASTD (row)(DX*1), Y14; \
	VPMADDWD     Y12, Y14, Y15; \
	VPADDD       Y15, c0, c0; \
	VPMADDWD     Y13, Y14, Y14; \
	VPADDD       Y14, c1, c1

// CODES makes 8 int16 codes in x of the sums in y, whose products fit int32.
#define CODES(y, x, scale) \
	VEXTRACTI128 $1, y, X12; \
	VCVTDQ2PD    x, y; \
	VCVTDQ2PD    X12, Y12; \
	VMULPD       scale(SI), y, y; \
	VMULPD       32+scale(SI), Y12, Y12; \
	VCVTPD2DQY   y, x; \
	VCVTPD2DQY   Y12, X12; \
	VPACKSSDW    X12, x, x; \
	VPMAXSW      X14, x, x; \
	VPMINSW      X15, x, x

// func Q16Gemm6x16AVX2(a *QGemmArgs)
TEXT ·Q16Gemm6x16AVX2(SB), NOSPLIT, $0-8
	MOVQ    a+0(FP), R15
	MOVQ    GEMM_A(R15), AX
	MOVQ    GEMM_PAD(R15), BX
	ADDQ    GEMM_KC(R15), AX
	ADDQ    GEMM_KC(R15), BX
	MOVQ    GEMM_OFF(R15), CX
	MOVQ    GEMM_TAPS(R15), DI
	MOVQ    GEMM_W(R15), SI
	VMOVDQU 128(SI), Y0
	VMOVDQU 160(SI), Y1
	ADDQ    $192, SI
	CMPQ    GEMM_ROWS(R15), $1
	JEQ     tap1
	VMOVDQA Y0, Y2
	VMOVDQA Y1, Y3
	VMOVDQA Y0, Y4
	VMOVDQA Y1, Y5
	VMOVDQA Y0, Y6
	VMOVDQA Y1, Y7
	VMOVDQA Y0, Y8
	VMOVDQA Y1, Y9
	VMOVDQA Y0, Y10
	VMOVDQA Y1, Y11

tap:
	ROW(0, R8)
	ROW(1, R9)
	ROW(2, R10)
	ROW(3, R11)
	ROW(4, R12)
	ROW(5, R13)
	MOVQ GEMM_KC(R15), DX
	NEGQ DX

k:
	WEIGHTS
	DOT(R8, Y0, Y1)
	DOT(R9, Y2, Y3)
	DOT(R10, Y4, Y5)
	DOT(R11, Y6, Y7)
	DOT(R12, Y8, Y9)
	DOT(R13, Y10, Y11)
	ADDQ $4, DX
	JNZ  k
	ADDQ $24, CX
	DECQ DI
	JNZ  tap
	JMP  finish

tap1:
	ROW(0, R8)
	MOVQ GEMM_KC(R15), DX
	NEGQ DX

k1:
	WEIGHTS
	DOT(R8, Y0, Y1)
	ADDQ $4, DX
	JNZ  k1
	ADDQ $24, CX
	DECQ DI
	JNZ  tap1

finish:
	MOVQ GEMM_W(R15), SI
	MOVQ GEMM_C(R15), R12
	MOVQ GEMM_ROWS(R15), R13
	MOVQ GEMM_COLS(R15), CX
	CMPL QGEMM_RAW(R15), $0
	JNE  raw
	VCVTTSS2SI   QGEMM_LO(R15), AX
	VCVTTSS2SI   QGEMM_HI(R15), BX
	VMOVD        AX, X14
	VMOVD        BX, X15
	VPBROADCASTW X14, X14
	VPBROADCASTW X15, X15

row:
	CODES(Y0, X0, 0)
	CODES(Y1, X1, 64)
	MOVQ    R12, DI
	MOVQ    CX, DX
	SUBQ    $8, DX
	JLT     part
	VMOVDQU X0, (DI)
	JZ      stored
	ADDQ    $16, DI
	VMOVDQA X1, X0
	CMPQ    DX, $8
	JNE     part
	VMOVDQU X0, (DI)
	JMP     stored

	// Fewer than 8 codes: 4, 2, 1 of them.
part:
	TESTQ   $4, CX
	JZ      part2
	VMOVQ   X0, (DI)
	VPSRLDQ $8, X0, X0
	ADDQ    $8, DI

part2:
	TESTQ   $2, CX
	JZ      part1
	VMOVD   X0, (DI)
	VPSRLDQ $4, X0, X0
	ADDQ    $4, DI

part1:
	TESTQ $1, CX
	JZ    stored
	VMOVD X0, AX
	MOVW  AX, (DI)

stored:
	ADDQ    GEMM_LDC(R15), R12
	DECQ    R13
	JZ      done
	VMOVDQA Y2, Y0
	VMOVDQA Y3, Y1
	VMOVDQA Y4, Y2
	VMOVDQA Y5, Y3
	VMOVDQA Y6, Y4
	VMOVDQA Y7, Y5
	VMOVDQA Y8, Y6
	VMOVDQA Y9, Y7
	VMOVDQA Y10, Y8
	VMOVDQA Y11, Y9
	JMP     row

raw:
	LEAQ    ·lanes+64(SB), AX
	SHLQ    $2, CX
	SUBQ    CX, AX
	VMOVDQU (AX), Y12
	VMOVDQU 32(AX), Y13

sums:
	VPMASKMOVD Y0, Y12, (R12)
	VPMASKMOVD Y1, Y13, 32(R12)
	ADDQ       GEMM_LDC(R15), R12
	DECQ       R13
	JZ         done
	VMOVDQA    Y2, Y0
	VMOVDQA    Y3, Y1
	VMOVDQA    Y4, Y2
	VMOVDQA    Y5, Y3
	VMOVDQA    Y6, Y4
	VMOVDQA    Y7, Y5
	VMOVDQA    Y8, Y6
	VMOVDQA    Y9, Y7
	VMOVDQA    Y10, Y8
	VMOVDQA    Y11, Y9
	JMP        sums

done:
	VZEROUPPER
	RET

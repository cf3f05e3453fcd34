//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 matrix product and indirect convolution, AVX2 and FMA, 6 rows x 16
// columns (go doc Gemm6x16AVX2).
//
// Row r sums in Y(2r) and Y(2r+1); Y12 and Y13 hold the weights of one k, Y14
// the activation. R8-R13 = rows, AX = end of a tap at A, BX = end of the pad row,
// CX = offsets of the tap, DI = taps left, SI walks the panel, DX counts the
// bytes of a tap from -4·KC up to 0, R14 = -4·KC, R15 = arguments.

#define WEIGHTS \
	VMOVUPS (SI), Y12; \
	VMOVUPS 32(SI), Y13; \
	ADDQ    $64, SI

#define FMA(row, c0, c1) \
	VBROADCASTSS (row)(DX*1), Y14; \
	VFMADD231PS  Y12, Y14, c0; \
	VFMADD231PS  Y13, Y14, c1

// STORE finishes a row: bias at (SI), bounds Y14 and Y15, lanes Y12 and Y13. The
// bound is the first source, so that a NaN or -0 in the sums stays.
#define STORE(c0, c1) \
	VADDPS     (SI), c0, c0; \
	VADDPS     32(SI), c1, c1; \
	VMAXPS     c0, Y14, c0; \
	VMAXPS     c1, Y14, c1; \
	VMINPS     c0, Y15, c0; \
	VMINPS     c1, Y15, c1; \
	VMASKMOVPS c0, Y12, (DI); \
	VMASKMOVPS c1, Y13, 32(DI); \
	ADDQ       R9, DI; \
	DECQ       R8; \
	JZ         done

// func Gemm6x16AVX2(a *GemmArgs)
TEXT ·Gemm6x16AVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), R15
	MOVQ GEMM_KC(R15), R14
	SHLQ $2, R14
	MOVQ GEMM_A(R15), AX
	MOVQ GEMM_PAD(R15), BX
	ADDQ R14, AX
	ADDQ R14, BX
	NEGQ R14
	MOVQ GEMM_OFF(R15), CX
	MOVQ GEMM_TAPS(R15), DI
	MOVQ GEMM_W(R15), SI
	ADDQ $64, SI
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	CMPQ GEMM_ROWS(R15), $3
	JGT  tap6
	CMPQ GEMM_ROWS(R15), $1
	JGT  tap3

tap1:
	ROW(0, R8)
	MOVQ R14, DX

k1:
	WEIGHTS
	FMA(R8, Y0, Y1)
	ADDQ $4, DX
	JNZ  k1
	ADDQ $24, CX
	DECQ DI
	JNZ  tap1
	JMP  finish

tap3:
	ROW(0, R8)
	ROW(1, R9)
	ROW(2, R10)
	MOVQ R14, DX

k3:
	WEIGHTS
	FMA(R8, Y0, Y1)
	FMA(R9, Y2, Y3)
	FMA(R10, Y4, Y5)
	ADDQ $4, DX
	JNZ  k3
	ADDQ $24, CX
	DECQ DI
	JNZ  tap3
	JMP  finish

tap6:
	ROW(0, R8)
	ROW(1, R9)
	ROW(2, R10)
	ROW(3, R11)
	ROW(4, R12)
	ROW(5, R13)
	MOVQ R14, DX

k6:
	WEIGHTS
	FMA(R8, Y0, Y1)
	FMA(R9, Y2, Y3)
	FMA(R10, Y4, Y5)
	FMA(R11, Y6, Y7)
	FMA(R12, Y8, Y9)
	FMA(R13, Y10, Y11)
	ADDQ $4, DX
	JNZ  k6
	ADDQ $24, CX
	DECQ DI
	JNZ  tap6

finish:
	MOVQ    GEMM_COLS(R15), CX
	LEAQ    ·lanes+64(SB), AX
	SHLQ    $2, CX
	SUBQ    CX, AX
	VMOVUPS (AX), Y12
	VMOVUPS 32(AX), Y13
	MOVQ    GEMM_W(R15), SI
	MOVQ    GEMM_C(R15), DI
	MOVQ    GEMM_LDC(R15), R9
	MOVQ    GEMM_ROWS(R15), R8

	VBROADCASTSS FGEMM_LO(R15), Y14
	VBROADCASTSS FGEMM_HI(R15), Y15
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	STORE(Y8, Y9)
	STORE(Y10, Y11)

done:
	VZEROUPPER
	RET

// Int8 matrix product and indirect convolution, 12 rows x 16 columns, VPDPBUSD
// on 256 bits: the body that QGemm12x16AVXVNNI and QGemm12x16VNNI256 share. The
// including file defines DPBUSD(m, v, d): ymm d += unsigned bytes of ymm v times
// signed bytes of ymm m.
//
// The activations are flipped to x^0x80 = x+128, which is unsigned, and the
// packer folds the 128 back into the bias. The tile is done six rows at a time:
// row r sums in Y(2r) and Y(2r+1); Y12 and Y13 hold the weights of four k, Y14 the
// activations, Y15 the sign bits.
//
// AX = end of a tap at A, BX = end of the pad row, CX = offsets of the tap and
// row group, R14 = those of the group's first tap, DI = taps left, SI walks the
// panel, DX counts a tap from -KC up to 0, R8-R13 = rows, R15 = arguments.
// Between groups R13 = rows left.

#define WEIGHTS \
	VMOVDQU (SI), Y12; \
	VMOVDQU 32(SI), Y13; \
	ADDQ    $64, SI

#define DOT(row, c0, c1) \
	VPBROADCASTD (row)(DX*1), Y14; \
	VPXOR        Y15, Y14, Y14; \
	DPBUSD(12, 14, c0); \
	DPBUSD(13, 14, c1)

#define BODY \
	MOVQ         a+0(FP), R15; \
	MOVQ         GEMM_OFF(R15), R14; \
	MOVQ         GEMM_ROWS(R15), R13; \
group: \
	MOVL         $0x80808080, AX; \
	VMOVD        AX, X15; \
	VPBROADCASTD X15, Y15; \
	MOVQ         GEMM_KC(R15), DX; \
	MOVQ         GEMM_A(R15), AX; \
	MOVQ         GEMM_PAD(R15), BX; \
	ADDQ         DX, AX; \
	ADDQ         DX, BX; \
	MOVQ         R14, CX; \
	MOVQ         GEMM_TAPS(R15), DI; \
	MOVQ         GEMM_W(R15), SI; \
	VMOVDQU      (SI), Y0; \
	VMOVDQU      32(SI), Y1; \
	ADDQ         $64, SI; \
	CMPQ         R13, $1; \
	JEQ          one; \
	VMOVDQA      Y0, Y2; \
	VMOVDQA      Y1, Y3; \
	VMOVDQA      Y0, Y4; \
	VMOVDQA      Y1, Y5; \
	VMOVDQA      Y0, Y6; \
	VMOVDQA      Y1, Y7; \
	VMOVDQA      Y0, Y8; \
	VMOVDQA      Y1, Y9; \
	VMOVDQA      Y0, Y10; \
	VMOVDQA      Y1, Y11; \
tap: \
	ROW(0, R8); \
	ROW(1, R9); \
	ROW(2, R10); \
	ROW(3, R11); \
	ROW(4, R12); \
	ROW(5, R13); \
	MOVQ GEMM_KC(R15), DX; \
	NEGQ DX; \
k: \
	WEIGHTS; \
	DOT(R8, 0, 1); \
	DOT(R9, 2, 3); \
	DOT(R10, 4, 5); \
	DOT(R11, 6, 7); \
	DOT(R12, 8, 9); \
	DOT(R13, 10, 11); \
	ADDQ $4, DX; \
	JNZ  k; \
	ADDQ $48, CX; \
	DECQ DI; \
	JNZ  tap; \
	JMP  finish; \
one: \
	VPXOR Y2, Y2, Y2; \
	VPXOR Y3, Y3, Y3; \
tap1: \
	ROW(0, R8); \
	MOVQ GEMM_KC(R15), DX; \
	NEGQ DX; \
	ADDQ $4, DX; \
	JZ   last; \
k1: \
	SUBQ $4, DX; \
	WEIGHTS; \
	DOT(R8, 0, 1); \
	ADDQ $4, DX; \
	WEIGHTS; \
	DOT(R8, 2, 3); \
	ADDQ $8, DX; \
	JLT  k1; \
	JG   next1; \
last: \
	SUBQ $4, DX; \
	WEIGHTS; \
	DOT(R8, 0, 1); \
next1: \
	ADDQ   $48, CX; \
	DECQ   DI; \
	JNZ    tap1; \
	VPADDD Y2, Y0, Y0; \
	VPADDD Y3, Y1, Y1; \
finish: \
	MOVQ  R14, R12; \
	SUBQ  GEMM_OFF(R15), R12; \
	MOVQ  QGEMM_CORR(R15), BX; \
	LEAQ  (BX)(R12*1), DX; \
	TESTQ BX, BX; \
	CMOVQNE DX, BX; \
	SHRQ  $2, R12; \
	MOVQ  GEMM_ROWS(R15), R13; \
	SUBQ  R12, R13; \
	IMULQ GEMM_LDC(R15), R12; \
	ADDQ  GEMM_C(R15), R12; \
	MOVQ  GEMM_COLS(R15), CX; \
	MOVQ  $6, R9; \
	VBROADCASTSS QGEMM_LO(R15), Y12; \
	VBROADCASTSS QGEMM_HI(R15), Y13; \
	VPBROADCASTD QGEMM_ZERO(R15), Y14; \
	CMPL  QGEMM_RAW(R15), $0; \
	JEQ   row; \
	LEAQ  ·lanes+64(SB), AX; \
	MOVQ  CX, DX; \
	SHLQ  $2, DX; \
	SUBQ  DX, AX; \
	VMOVDQU (AX), Y12; \
	VMOVDQU 32(AX), Y13; \
row: \
	TESTQ BX, BX; \
	JZ    corrected; \
	VPBROADCASTD (BX), Y15; \
	ADDQ   $4, BX; \
	VPADDD Y15, Y0, Y0; \
	VPADDD Y15, Y1, Y1; \
corrected: \
	CMPL QGEMM_RAW(R15), $0; \
	JNE  raw; \
	VCVTDQ2PS    Y0, Y0; \
	VCVTDQ2PS    Y1, Y1; \
	VMULPS       (SI), Y0, Y0; \
	VMULPS       32(SI), Y1, Y1; \
	VMAXPS       Y12, Y0, Y0; \
	VMAXPS       Y12, Y1, Y1; \
	VMINPS       Y13, Y0, Y0; \
	VMINPS       Y13, Y1, Y1; \
	VCVTPS2DQ    Y0, Y0; \
	VCVTPS2DQ    Y1, Y1; \
	VPADDD       Y14, Y0, Y0; \
	VPADDD       Y14, Y1, Y1; \
	VPACKSSDW    Y1, Y0, Y0; \
	VPERMQ       $0xd8, Y0, Y0; \
	VEXTRACTI128 $1, Y0, X1; \
	VPACKSSWB    X1, X0, X0; \
	CMPQ         CX, $16; \
	JNE          part; \
	VMOVDQU      X0, (R12); \
	JMP          stored; \
raw: \
	VPMASKMOVD Y0, Y12, (R12); \
	VPMASKMOVD Y1, Y13, 32(R12); \
stored: \
	ADDQ    GEMM_LDC(R15), R12; \
	DECQ    R13; \
	JZ      done; \
	VMOVDQA Y2, Y0; \
	VMOVDQA Y3, Y1; \
	VMOVDQA Y4, Y2; \
	VMOVDQA Y5, Y3; \
	VMOVDQA Y6, Y4; \
	VMOVDQA Y7, Y5; \
	VMOVDQA Y8, Y6; \
	VMOVDQA Y9, Y7; \
	VMOVDQA Y10, Y8; \
	VMOVDQA Y11, Y9; \
	DECQ    R9; \
	JNZ     row; \
	ADDQ    $24, R14; \
	JMP     group; \
part: \
	MOVQ    R12, DI; \
	TESTQ   $8, CX; \
	JZ      part4; \
	VMOVQ   X0, (DI); \
	VPSRLDQ $8, X0, X0; \
	ADDQ    $8, DI; \
part4: \
	TESTQ   $4, CX; \
	JZ      part2; \
	VMOVD   X0, (DI); \
	VPSRLDQ $4, X0, X0; \
	ADDQ    $4, DI; \
part2: \
	VMOVD X0, AX; \
	TESTQ $2, CX; \
	JZ    part1; \
	MOVW  AX, (DI); \
	SHRL  $16, AX; \
	ADDQ  $2, DI; \
part1: \
	TESTQ $1, CX; \
	JZ    stored; \
	MOVB  AX, (DI); \
	JMP   stored; \
done: \
	VZEROUPPER; \
	RET

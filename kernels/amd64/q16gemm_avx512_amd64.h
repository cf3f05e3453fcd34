// Matrix product and indirect convolution of int16 by int8, AVX-512, 12 rows x 32
// columns: the body of Q16Gemm12x32VNNI and Q16Gemm12x32AVX512. The including
// file defines PAIR(w, x, c): c += the two products of each dword of w and x.
//
// Row r sums in Z(2r) and Z(2r+1); Z28 and Z29 hold the weights of two k, widened,
// Z30 the activations. SI walks the panel. There is a body for 12, 8, 4 and 1 rows,
// each for 32 and for 16 columns; a tile takes the smallest that holds it.

#define WEIGHTS32 \
	VPMOVSXBW (SI), Z28; \
	VPMOVSXBW 32(SI), Z29; \
	ADDQ      $64, SI

#define WEIGHTS16 \
	VPMOVSXBW (SI), Z28; \
	ADDQ      $64, SI

// DOT adds two k of one row to 32 or 16 columns.
#define DOT32(row, c0, c1) \
	VPBROADCASTD (row)(DX*1), Z30; \
	PAIR(Z28, Z30, c0); \
	PAIR(Z29, Z30, c1)

#define DOT16(row, c0) \
	VPBROADCASTD (row)(DX*1), Z30; \
	PAIR(Z28, Z30, c0)

// WIDE1K4 adds four dwords of k of one row, each to sums of its own.
#define WIDE1K4 \
	VPBROADCASTD -12(R8)(DX*1), Z24; \
	VPBROADCASTD -8(R8)(DX*1), Z25; \
	VPBROADCASTD -4(R8)(DX*1), Z26; \
	VPBROADCASTD (R8)(DX*1), Z27; \
	VPMOVSXBW    (SI), Z8; \
	VPMOVSXBW    32(SI), Z9; \
	VPMOVSXBW    64(SI), Z10; \
	VPMOVSXBW    96(SI), Z11; \
	VPMOVSXBW    128(SI), Z12; \
	VPMOVSXBW    160(SI), Z13; \
	VPMOVSXBW    192(SI), Z14; \
	VPMOVSXBW    224(SI), Z15; \
	PAIR(Z8, Z24, Z0); \
	PAIR(Z9, Z24, Z1); \
	PAIR(Z10, Z25, Z2); \
	PAIR(Z11, Z25, Z3); \
	PAIR(Z12, Z26, Z4); \
	PAIR(Z13, Z26, Z5); \
	PAIR(Z14, Z27, Z6); \
	PAIR(Z15, Z27, Z7); \
	ADDQ         $256, SI

// CODES makes int16 codes in y of 16 sums in z: the dwords of a product fit int32,
// and packing leaves the middle quarters of y exchanged.
#define CODES(z, y, scale0, scale1) \
	VEXTRACTI64X4 $1, z, Y28; \
	VCVTDQ2PD     y, z; \
	VCVTDQ2PD     Y28, Z28; \
	VMULPD        scale0, z, z; \
	VMULPD        scale1, Z28, Z28; \
	VCVTPD2DQ     z, y; \
	VCVTPD2DQ     Z28, Y28; \
	VPACKSSDW     Y28, y, y

// STORE writes a row of 32 or 16 codes, SUMS one of raw sums (DI = row of C, K1 and K2 = valid
// columns, R9 = LDC, R8 = rows left).
#define STORE32(z0, y0, z1, y1) \
	CODES(z0, y0, Z24, Z25); \
	CODES(z1, y1, Z26, Z27); \
	VINSERTI64X4 $1, y1, z0, z0; \
	VPERMQ       $0xd8, z0, z0; \
	VPMAXSW      Z30, z0, z0; \
	VPMINSW      Z31, z0, z0; \
	VMOVDQU16    z0, K1, (DI); \
	NEXTROW

#define STORE16(z0, y0) \
	CODES(z0, y0, Z24, Z25); \
	VPERMQ    $0xd8, y0, y0; \
	VPMAXSW   Y30, y0, y0; \
	VPMINSW   Y31, y0, y0; \
	VMOVDQU16 y0, K1, (DI); \
	NEXTROW

#define SUMS(z0, z1) \
	VMOVDQU32 z0, K1, (DI); \
	VMOVDQU32 z1, K2, 64(DI); \
	NEXTROW

#define NEXTROW \
	ADDQ R9, DI; \
	DECQ R8; \
	JZ   done

	MOVQ      a+0(FP), DX
	MOVQ      GEMM_W(DX), SI
	VMOVDQA64 256(SI), Z0
	VMOVDQA64 320(SI), Z1
	VMOVDQA64 Z0, Z2
	VMOVDQA64 Z1, Z3
	VMOVDQA64 Z0, Z4
	VMOVDQA64 Z1, Z5
	VMOVDQA64 Z0, Z6
	VMOVDQA64 Z1, Z7
	VMOVDQA64 Z0, Z8
	VMOVDQA64 Z1, Z9
	VMOVDQA64 Z0, Z10
	VMOVDQA64 Z1, Z11
	VMOVDQA64 Z0, Z12
	VMOVDQA64 Z1, Z13
	VMOVDQA64 Z0, Z14
	VMOVDQA64 Z1, Z15
	VMOVDQA64 Z0, Z16
	VMOVDQA64 Z1, Z17
	VMOVDQA64 Z0, Z18
	VMOVDQA64 Z1, Z19
	VMOVDQA64 Z0, Z20
	VMOVDQA64 Z1, Z21
	VMOVDQA64 Z0, Z22
	VMOVDQA64 Z1, Z23
	ADDQ      $384, SI
	MOVQ      GEMM_OFF(DX), CX
	MOVQ      CX, off-8(SP)
	MOVQ      GEMM_TAPS(DX), CX
	MOVQ      CX, taps-16(SP)
	MOVQ      GEMM_ROWS(DX), CX
	CMPQ      GEMM_COLS(DX), $16
	JLE       narrow
	CMPQ      CX, $8
	JGT       wide12
	CMPQ      CX, $4
	JGT       wide8
	CMPQ      CX, $1
	JGT       wide4
	JMP       wide1

narrow:
	CMPQ CX, $8
	JGT  narrow12
	CMPQ CX, $4
	JGT  narrow8
	CMPQ CX, $1
	JGT  narrow4
	JMP  narrow1

#include "qloops_avx512_amd64.h"

finish:
	MOVQ  a+0(FP), DX
	MOVQ  GEMM_C(DX), DI
	MOVQ  GEMM_LDC(DX), R9
	MOVQ  GEMM_ROWS(DX), R8
	MOVQ  GEMM_COLS(DX), CX
	MOVL  $-1, AX
	BZHIL CX, AX, AX
	CMPL  QGEMM_RAW(DX), $0
	JNE   sums

	KMOVD        AX, K1
	MOVQ         GEMM_W(DX), SI
	VMOVUPD      (SI), Z24
	VMOVUPD      64(SI), Z25
	VMOVUPD      128(SI), Z26
	VMOVUPD      192(SI), Z27
	VCVTTSS2SI   QGEMM_LO(DX), AX
	VCVTTSS2SI   QGEMM_HI(DX), BX
	VPBROADCASTW AX, Z30
	VPBROADCASTW BX, Z31
	CMPQ         CX, $16
	JLE          store16
	STORE32(Z0, Y0, Z1, Y1)
	STORE32(Z2, Y2, Z3, Y3)
	STORE32(Z4, Y4, Z5, Y5)
	STORE32(Z6, Y6, Z7, Y7)
	STORE32(Z8, Y8, Z9, Y9)
	STORE32(Z10, Y10, Z11, Y11)
	STORE32(Z12, Y12, Z13, Y13)
	STORE32(Z14, Y14, Z15, Y15)
	STORE32(Z16, Y16, Z17, Y17)
	STORE32(Z18, Y18, Z19, Y19)
	STORE32(Z20, Y20, Z21, Y21)
	STORE32(Z22, Y22, Z23, Y23)

store16:
	STORE16(Z0, Y0)
	STORE16(Z2, Y2)
	STORE16(Z4, Y4)
	STORE16(Z6, Y6)
	STORE16(Z8, Y8)
	STORE16(Z10, Y10)
	STORE16(Z12, Y12)
	STORE16(Z14, Y14)
	STORE16(Z16, Y16)
	STORE16(Z18, Y18)
	STORE16(Z20, Y20)
	STORE16(Z22, Y22)

sums:
	KMOVW AX, K1
	SHRL  $16, AX
	KMOVW AX, K2
	SUMS(Z0, Z1)
	SUMS(Z2, Z3)
	SUMS(Z4, Z5)
	SUMS(Z6, Z7)
	SUMS(Z8, Z9)
	SUMS(Z10, Z11)
	SUMS(Z12, Z13)
	SUMS(Z14, Z15)
	SUMS(Z16, Z17)
	SUMS(Z18, Z19)
	SUMS(Z20, Z21)
	SUMS(Z22, Z23)

done:
	VZEROUPPER
	RET

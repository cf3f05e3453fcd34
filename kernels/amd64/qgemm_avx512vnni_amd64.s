//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "rows_avx512_amd64.h"
#include "go_asm.h"

// Int8 matrix product and indirect convolution, AVX-512 VNNI, 12 rows x 32
// columns (go doc QGemm12x32VNNI).
//
// VPDPBUSD multiplies unsigned by signed bytes: the activations are flipped to
// x^0x80 while they are broadcast, and the packer folds the 128 back into the
// bias. Row r sums in Z(2r) and Z(2r+1); Z28 and Z29 hold the weights of four
// k, Z30 the activations, Z31 the sign bits.
//
// Row pointers take R8-R15, DI, AX, BX, CX; SI walks the panel and DX counts a
// tap from -KC up to 0. What else a tap needs is on the stack: mask registers
// would be free, but a move from one waits behind all vector work in flight.
//
// There is a body for 12, 8, 4 and 1 rows, each for 32 and for 16 columns; a
// tile takes the smallest that holds it. Tiles of more than 8 rows have one more
// for rows whose signs are flipped already and whose taps lie Step apart (Step
// is 0 for others): it needs no VPXORD, which competes with VPDPBUSD for two of
// the four vector pipes, and loads the row pointers once.

// The order in which CODES finds the dwords of a row.
DATA order<>+0(SB)/8, $0x0000000400000000
DATA order<>+8(SB)/8, $0x0000000c00000008
DATA order<>+16(SB)/8, $0x0000000500000001
DATA order<>+24(SB)/8, $0x0000000d00000009
DATA order<>+32(SB)/8, $0x0000000600000002
DATA order<>+40(SB)/8, $0x0000000e0000000a
DATA order<>+48(SB)/8, $0x0000000700000003
DATA order<>+56(SB)/8, $0x0000000f0000000b
GLOBL order<>(SB), RODATA|NOPTR, $64

// DOT adds four k of one row to 32 or 16 columns.
#define DOT32(row, c0, c1) \
	VPXORD.BCST (row)(DX*1), Z31, Z30; \
	VPDPBUSD    Z28, Z30, c0; \
	VPDPBUSD    Z29, Z30, c1

#define DOT16(row, c0) \
	VPXORD.BCST (row)(DX*1), Z31, Z30; \
	VPDPBUSD    Z28, Z30, c0

// FLAT does so with signs that are flipped already.
#define FLAT32(row, c0, c1) \
	VPBROADCASTD (row)(DX*1), Z30; \
	VPDPBUSD     Z28, Z30, c0; \
	VPDPBUSD     Z29, Z30, c1

#define FLAT16(row, c0) \
	VPBROADCASTD (row)(DX*1), Z30; \
	VPDPBUSD     Z28, Z30, c0

#define FLAT8(row, c0) \
	VPBROADCASTD (row)(DX*1), Y30; \
	VPDPBUSD     Y28, Y30, c0

// FLATROWS points the registers at the rows of the first tap, DX at its start;
// FLATNEXT goes on to the next tap and leaves ZF set behind the last.
#define FLATROWS \
	MOVQ a+0(FP), DX; \
	MOVQ GEMM_KC(DX), CX; \
	MOVQ CX, end-8(SP); \
	MOVQ CX, kc-32(SP); \
	MOVQ QGEMM_STEP(DX), CX; \
	MOVQ CX, step-40(SP); \
	MOVQ GEMM_OFF(DX), CX; \
	MOVQ GEMM_A(DX), AX; \
	MOVQ AX, BX; \
	ROWS12; \
	XORL DX, DX

#define FLATNEXT \
	ADDQ step-40(SP), DX; \
	MOVQ DX, end-8(SP); \
	SUBQ kc-32(SP), DX; \
	DECQ taps-16(SP)

#define WEIGHTS32 \
	VMOVDQA64 (SI), Z28; \
	VMOVDQA64 64(SI), Z29; \
	ADDQ      $128, SI

#define WEIGHTS16 \
	VMOVDQA64 (SI), Z28; \
	ADDQ      $128, SI

// CORR adds the row's correction (BX = Corr).
#define CORR(i, c0, c1) \
	VPADDD.BCST (4*i)(BX), c0, c0; \
	VPADDD.BCST (4*i)(BX), c1, c1

// REQUANTIZE makes codes minus Zero of sums. The clamp comes behind the rounding,
// which is the same for whole bounds, on the bytes of four vectors at once: a
// product is a fraction of a sum, so it never leaves the range of an int32.
#define REQUANTIZE(c, scale) \
	VCVTDQ2PS c, c; \
	VMULPS    scale, c, c; \
	VCVTPS2DQ c, c

// CODES packs four vectors of a row's (or of four rows') 16 codes to 64 bytes in a.
#define CODES(a, b, c, d) \
	VPACKSSDW b, a, a; \
	VPACKSSDW d, c, c; \
	VPADDSW   Z26, a, a; \
	VPADDSW   Z26, c, c; \
	VPACKSSWB c, a, a; \
	VPMAXSB   Z24, a, a; \
	VPMINSB   Z25, a, a; \
	VPERMD    a, Z27, a

#define NEXTROW \
	ADDQ R9, DI; \
	DECQ R8; \
	JZ   done

// STORE writes two rows of codes, STORE16 four, SUMS a row of raw sums (DI = row
// of C, K1 and K2 = valid columns, R9 = LDC, R8 = rows left).
#define STORE(c0, c1, c2, c3, y) \
	REQUANTIZE(c0, Z28); \
	REQUANTIZE(c1, Z29); \
	REQUANTIZE(c2, Z28); \
	REQUANTIZE(c3, Z29); \
	STORED(c0, c1, c2, c3, y)

#define STORE16(c0, c1, c2, c3, x) \
	REQUANTIZE(c0, Z28); \
	REQUANTIZE(c1, Z28); \
	REQUANTIZE(c2, Z28); \
	REQUANTIZE(c3, Z28); \
	STORED16(c0, c1, c2, c3, x)

// A residual is added before sums become codes: WHOLE makes the code minus its zero point of
// a sum, as a float, and RESIDUAL the same of the residual's codes at o(R10), as many as k
// says. FIRST and SECOND add one row whose sums are the first or the second operand of
// the Add (Z24 and Z25 = bounds of the convolution's code, Z26 = zero point of
// the residual, Z27 and Z31 = multipliers, R11 = rows left).
#define WHOLE(c, scale) \
	VCVTDQ2PS   c, c; \
	VMULPS      scale, c, c; \
	VMAXPS      Z24, c, c; \
	VMINPS      Z25, c, c; \
	VRNDSCALEPS $0, c, c

#define RESIDUAL(o, k) \
	VPMOVSXBD.Z o(R10), k, Z30; \
	VPSUBD      Z26, Z30, Z30; \
	VCVTDQ2PS   Z30, Z30

#define FIRST(c, o, k, scale) \
	WHOLE(c, scale); \
	RESIDUAL(o, k); \
	VMULPS      Z27, c, c; \
	VFMADD231PS Z30, Z31, c; \
	VCVTPS2DQ   c, c

#define SECOND(c, o, k, scale) \
	WHOLE(c, scale); \
	RESIDUAL(o, k); \
	VMULPS      Z27, Z30, Z30; \
	VFMADD231PS c, Z31, Z30; \
	VCVTPS2DQ   Z30, c

#define NEXTSUM \
	ADDQ R9, R10; \
	DECQ R11; \
	JZ   added

#define FIRST32(c0, c1) \
	FIRST(c0, 0, K1, Z28); \
	FIRST(c1, 16, K2, Z29); \
	NEXTSUM

#define SECOND32(c0, c1) \
	SECOND(c0, 0, K1, Z28); \
	SECOND(c1, 16, K2, Z29); \
	NEXTSUM

// STORED and STORED16 are STORE and STORE16 of sums that are rounded.
#define STORED(c0, c1, c2, c3, y) \
	CODES(c0, c1, c2, c3); \
	VMOVDQU8      y, K1, (DI); \
	NEXTROW; \
	VEXTRACTI64X4 $1, c0, Y30; \
	VMOVDQU8      Y30, K1, (DI); \
	NEXTROW

#define STORED16(c0, c1, c2, c3, x) \
	CODES(c0, c1, c2, c3); \
	VMOVDQU8      x, K1, (DI); \
	NEXTROW; \
	VEXTRACTI32X4 $1, c0, X30; \
	VMOVDQU8      X30, K1, (DI); \
	NEXTROW; \
	VEXTRACTI32X4 $2, c0, X30; \
	VMOVDQU8      X30, K1, (DI); \
	NEXTROW; \
	VEXTRACTI32X4 $3, c0, X30; \
	VMOVDQU8      X30, K1, (DI); \
	NEXTROW

#define SUMS(c0, c1) \
	VMOVDQU32 c0, K1, (DI); \
	VMOVDQU32 c1, K2, 64(DI); \
	ADDQ      R9, DI; \
	DECQ      R8; \
	JZ        done

// WIDE1K4 adds four dwords of k of one row, each to sums of its own.
#define WIDE1K4 \
	VPXORD.BCST -12(R8)(DX*1), Z31, Z26; \
	VPXORD.BCST -8(R8)(DX*1), Z31, Z27; \
	VPXORD.BCST -4(R8)(DX*1), Z31, Z28; \
	VPXORD.BCST (R8)(DX*1), Z31, Z29; \
	VPDPBUSD    (SI), Z26, Z0; \
	VPDPBUSD    64(SI), Z26, Z1; \
	VPDPBUSD    128(SI), Z27, Z2; \
	VPDPBUSD    192(SI), Z27, Z3; \
	VPDPBUSD    256(SI), Z28, Z4; \
	VPDPBUSD    320(SI), Z28, Z5; \
	VPDPBUSD    384(SI), Z29, Z6; \
	VPDPBUSD    448(SI), Z29, Z7; \
	ADDQ        $512, SI

// func QGemm12x32VNNI(a *QGemmArgs)
TEXT ·QGemm12x32VNNI(SB), NOSPLIT, $40-8
	MOVQ a+0(FP), DX

tile:
	MOVQ  QGEMM_RES(DX), R10
	TESTQ R10, R10
	JZ    start

	// The residual's rows lie far apart: fetch them while the products are summed.
	ADDQ GEMM_C(DX), R10
	MOVQ GEMM_LDC(DX), R9
	MOVQ GEMM_ROWS(DX), R8

fetch:
	PREFETCHT0 (R10)
	ADDQ       R9, R10
	DECQ       R8
	JNZ        fetch

start:
	XORL         AX, AX
	MOVL         $0x80808080, CX
	CMPQ         QGEMM_STEP(DX), $0
	CMOVLEQ      CX, AX
	VPBROADCASTD AX, Z31
	MOVQ         GEMM_W(DX), SI
	VMOVDQA64    (SI), Z0
	VMOVDQA64    64(SI), Z1
	VMOVDQA64    Z0, Z2
	VMOVDQA64    Z1, Z3
	VMOVDQA64    Z0, Z4
	VMOVDQA64    Z1, Z5
	VMOVDQA64    Z0, Z6
	VMOVDQA64    Z1, Z7
	VMOVDQA64    Z0, Z8
	VMOVDQA64    Z1, Z9
	VMOVDQA64    Z0, Z10
	VMOVDQA64    Z1, Z11
	VMOVDQA64    Z0, Z12
	VMOVDQA64    Z1, Z13
	VMOVDQA64    Z0, Z14
	VMOVDQA64    Z1, Z15
	VMOVDQA64    Z0, Z16
	VMOVDQA64    Z1, Z17
	VMOVDQA64    Z0, Z18
	VMOVDQA64    Z1, Z19
	VMOVDQA64    Z0, Z20
	VMOVDQA64    Z1, Z21
	VMOVDQA64    Z0, Z22
	VMOVDQA64    Z1, Z23
	ADDQ         $128, SI
	MOVQ         GEMM_OFF(DX), CX
	MOVQ         CX, off-8(SP)
	MOVQ         GEMM_TAPS(DX), CX
	MOVQ         CX, taps-16(SP)
	MOVQ         GEMM_ROWS(DX), CX
	CMPQ         GEMM_COLS(DX), $16
	JLE          narrow
	CMPQ         CX, $8
	JLE          wideLess
	TESTQ        AX, AX
	JZ           flat32
	JMP          wide12

wideLess:
	CMPQ         CX, $4
	JGT          wide8
	CMPQ         CX, $1
	JGT          wide4
	JMP          wide1

narrow:
	CMPQ CX, $8
	JLE  narrowLess
	TESTQ AX, AX
	JZ   flat16
	JMP  narrow12

narrowLess:
	CMPQ CX, $4
	JGT  narrow8
	CMPQ CX, $1
	JGT  narrow4
	JMP  narrow1

flat32:
	FLATROWS

flat32k:
	WEIGHTS32
	FLAT32(R8, Z0, Z1)
	FLAT32(R9, Z2, Z3)
	FLAT32(R10, Z4, Z5)
	FLAT32(R11, Z6, Z7)
	FLAT32(R12, Z8, Z9)
	FLAT32(R13, Z10, Z11)
	FLAT32(R14, Z12, Z13)
	FLAT32(R15, Z14, Z15)
	FLAT32(DI, Z16, Z17)
	FLAT32(AX, Z18, Z19)
	FLAT32(BX, Z20, Z21)
	FLAT32(CX, Z22, Z23)
	ADDQ $4, DX
	CMPQ DX, end-8(SP)
	JLT  flat32k
	FLATNEXT
	JNZ  flat32k
	JMP  finish

	// At most 8 columns: half a vector, half the time.
flat8:
	FLATROWS

flat8k:
	VMOVDQA64 (SI), Y28
	ADDQ      $128, SI
	FLAT8(R8, Y0)
	FLAT8(R9, Y2)
	FLAT8(R10, Y4)
	FLAT8(R11, Y6)
	FLAT8(R12, Y8)
	FLAT8(R13, Y10)
	FLAT8(R14, Y12)
	FLAT8(R15, Y14)
	FLAT8(DI, Y16)
	FLAT8(AX, Y18)
	FLAT8(BX, Y20)
	FLAT8(CX, Y22)
	ADDQ $4, DX
	CMPQ DX, end-8(SP)
	JLT  flat8k
	FLATNEXT
	JNZ  flat8k
	JMP  finish

flat16:
	MOVQ a+0(FP), DX
	CMPQ GEMM_COLS(DX), $8
	JLE  flat8
	FLATROWS

flat16k:
	WEIGHTS16
	FLAT16(R8, Z0)
	FLAT16(R9, Z2)
	FLAT16(R10, Z4)
	FLAT16(R11, Z6)
	FLAT16(R12, Z8)
	FLAT16(R13, Z10)
	FLAT16(R14, Z12)
	FLAT16(R15, Z14)
	FLAT16(DI, Z16)
	FLAT16(AX, Z18)
	FLAT16(BX, Z20)
	FLAT16(CX, Z22)
	ADDQ $4, DX
	CMPQ DX, end-8(SP)
	JLT  flat16k
	FLATNEXT
	JNZ  flat16k
	JMP  finish

#include "qloops_avx512_amd64.h"

finish:
	MOVQ  a+0(FP), DX
	MOVQ  QGEMM_CORR(DX), BX
	TESTQ BX, BX
	JZ    store
	CORR(0, Z0, Z1)
	CORR(1, Z2, Z3)
	CORR(2, Z4, Z5)
	CORR(3, Z6, Z7)
	CORR(4, Z8, Z9)
	CORR(5, Z10, Z11)
	CORR(6, Z12, Z13)
	CORR(7, Z14, Z15)
	CORR(8, Z16, Z17)
	CORR(9, Z18, Z19)
	CORR(10, Z20, Z21)
	CORR(11, Z22, Z23)

store:
	MOVQ  GEMM_C(DX), DI
	MOVQ  GEMM_LDC(DX), R9
	MOVQ  GEMM_ROWS(DX), R8
	MOVQ  GEMM_COLS(DX), CX
	MOVL  $-1, AX
	MOVL  $32, BX
	CMPQ  CX, BX
	CMOVQGT BX, CX // BZHI reads no more than a byte
	BZHIL CX, AX, AX
	CMPL  QGEMM_RAW(DX), $0
	JNE   sums

	MOVQ         QGEMM_RES(DX), R10
	TESTQ        R10, R10
	JNZ          residual
	KMOVD        AX, K1
	VPBROADCASTW QGEMM_ZERO(DX), Z26
	VPBROADCASTB QGEMM_LEAST(DX), Z24
	VPBROADCASTB QGEMM_MOST(DX), Z25
	VMOVDQU64    order<>(SB), Z27
	VMOVUPS      (SI), Z28
	VMOVUPS      64(SI), Z29
	CMPQ         CX, $16
	JLE          store16
	STORE(Z0, Z1, Z2, Z3, Y0)
	STORE(Z4, Z5, Z6, Z7, Y4)
	STORE(Z8, Z9, Z10, Z11, Y8)
	STORE(Z12, Z13, Z14, Z15, Y12)
	STORE(Z16, Z17, Z18, Z19, Y16)
	STORE(Z20, Z21, Z22, Z23, Y20)

store16:
	STORE16(Z0, Z2, Z4, Z6, X0)
	STORE16(Z8, Z10, Z12, Z14, X8)
	STORE16(Z16, Z18, Z20, Z22, X16)

	// The residual lies as far behind every row of the output.
residual:
	ADDQ         DI, R10
	MOVQ         R8, R11
	KMOVW        AX, K1
	SHRL         $16, AX
	KMOVW        AX, K2
	VBROADCASTSS QGEMM_LO(DX), Z24
	VBROADCASTSS QGEMM_HI(DX), Z25
	VMOVUPS      (SI), Z28
	VMOVUPS      64(SI), Z29
	MOVQ         QGEMM_SUM(DX), BX
	VBROADCASTSS QSumArgs_Ra(BX), Z27
	VBROADCASTSS QSumArgs_Rb(BX), Z31
	CMPL         QGEMM_SECOND(DX), $0
	JNE          second
	VPBROADCASTD QSumArgs_Zb(BX), Z26
	FIRST32(Z0, Z1)
	FIRST32(Z2, Z3)
	FIRST32(Z4, Z5)
	FIRST32(Z6, Z7)
	FIRST32(Z8, Z9)
	FIRST32(Z10, Z11)
	FIRST32(Z12, Z13)
	FIRST32(Z14, Z15)
	FIRST32(Z16, Z17)
	FIRST32(Z18, Z19)
	FIRST32(Z20, Z21)
	FIRST32(Z22, Z23)

second:
	VPBROADCASTD QSumArgs_Za(BX), Z26
	SECOND32(Z0, Z1)
	SECOND32(Z2, Z3)
	SECOND32(Z4, Z5)
	SECOND32(Z6, Z7)
	SECOND32(Z8, Z9)
	SECOND32(Z10, Z11)
	SECOND32(Z12, Z13)
	SECOND32(Z14, Z15)
	SECOND32(Z16, Z17)
	SECOND32(Z18, Z19)
	SECOND32(Z20, Z21)
	SECOND32(Z22, Z23)

added:
	MOVL         $-1, AX
	BZHIL        CX, AX, AX
	KMOVD        AX, K1
	VPBROADCASTW QSumArgs_Zero(BX), Z26
	VPBROADCASTB QSumArgs_Lo(BX), Z24
	VPBROADCASTB QSumArgs_Hi(BX), Z25
	VMOVDQU64    order<>(SB), Z27
	CMPQ         CX, $16
	JLE          stored16
	STORED(Z0, Z1, Z2, Z3, Y0)
	STORED(Z4, Z5, Z6, Z7, Y4)
	STORED(Z8, Z9, Z10, Z11, Y8)
	STORED(Z12, Z13, Z14, Z15, Y12)
	STORED(Z16, Z17, Z18, Z19, Y16)
	STORED(Z20, Z21, Z22, Z23, Y20)

stored16:
	STORED16(Z0, Z2, Z4, Z6, X0)
	STORED16(Z8, Z10, Z12, Z14, X8)
	STORED16(Z16, Z18, Z20, Z22, X16)

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

	// The next tile: its input and offsets from the list, its output below.
done:
	MOVQ  a+0(FP), DX
	MOVQ  QGEMM_LEFT(DX), CX
	TESTQ CX, CX
	JZ    last
	DECQ  CX
	MOVQ  CX, QGEMM_LEFT(DX)
	MOVQ  QGEMM_NEXT(DX), AX
	MOVQ  (AX), CX
	MOVQ  CX, GEMM_A(DX)
	MOVQ  8(AX), CX
	MOVQ  CX, GEMM_OFF(DX)
	ADDQ  $16, AX
	MOVQ  AX, QGEMM_NEXT(DX)
	MOVQ  DI, GEMM_C(DX)
	JMP   tile

	// The next panel, behind the scales of this one, for the columns beyond 32.
last:
	CMPQ GEMM_COLS(DX), $32
	JLE  return
	SUBQ $32, GEMM_COLS(DX)
	ADDQ $32, GEMM_C(DX)
	ADDQ $128, SI
	MOVQ SI, GEMM_W(DX)
	JMP  tile

return:
	VZEROUPPER
	RET

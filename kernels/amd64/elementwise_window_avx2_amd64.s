//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Reductions over the taps of a window, channel by channel, for AVX2: poolings,
// and sums and maxima over outer axes. A block of channels stays in registers
// while all taps go by in ascending order of rows and columns.

#define WINDOW_ARGS \
	MOVQ a+0(FP), AX;                \
	MOVQ WindowArgs_Dst(AX), DI;     \
	MOVQ WindowArgs_Src(AX), SI;     \
	MOVQ WindowArgs_N(AX), CX;       \
	MOVQ WindowArgs_Rows(AX), R12;   \
	MOVQ WindowArgs_Cols(AX), R13;   \
	MOVQ WindowArgs_RowStep(AX), DX; \
	MOVQ WindowArgs_ColStep(AX), BX

// NEXT_OUT(label) goes on to the next output at label, if there is one.
#define NEXT_OUT(label) \
	MOVQ WindowArgs_Dst(AX), DI;     \
	ADDQ WindowArgs_DstStep(AX), DI; \
	MOVQ DI, WindowArgs_Dst(AX);     \
	MOVQ WindowArgs_Src(AX), SI;     \
	ADDQ WindowArgs_SrcStep(AX), SI; \
	MOVQ SI, WindowArgs_Src(AX);     \
	MOVQ WindowArgs_N(AX), CX;       \
	DECQ WindowArgs_Outs(AX);        \
	JNE  label

// TAPS(row, col, TAP) does TAP for every tap of the channels at SI, the tap at
// R10. Uses R8..R11; row and col are its labels.
#define TAPS(row, col, TAP) \
	MOVQ SI, R8;  \
	MOVQ R12, R9; \
row: \
	MOVQ R8, R10;  \
	MOVQ R13, R11; \
col: \
	TAP;           \
	ADDQ BX, R10;  \
	DECQ R11;      \
	JNE  col;      \
	ADDQ DX, R8;   \
	DECQ R9;       \
	JNE  row

#define QSUM16 \
	VPMOVSXBW (R10), Y4;  \
	VPADDW    Y4, Y0, Y0

#define QSUM64 \
	VPMOVSXBW (R10), Y4;   \
	VPMOVSXBW 16(R10), Y5; \
	VPMOVSXBW 32(R10), Y6; \
	VPMOVSXBW 48(R10), Y7; \
	VPADDW    Y4, Y0, Y0;  \
	VPADDW    Y5, Y1, Y1;  \
	VPADDW    Y6, Y2, Y2;  \
	VPADDW    Y7, Y3, Y3

// ADD_SUMS(y, x, o) adds the 16 int16 of y, whose low half is x, to the int32
// at o(DI).
#define ADD_SUMS(y, x, o) \
	VPMOVSXWD    x, Y4;           \
	VEXTRACTI128 $1, y, X5;       \
	VPMOVSXWD    X5, Y5;          \
	VPADDD       o(DI), Y4, Y4;   \
	VPADDD       o+32(DI), Y5, Y5; \
	VMOVDQU      Y4, o(DI);       \
	VMOVDQU      Y5, o+32(DI)

// func QSumAVX2(a *WindowArgs)
TEXT ·QSumAVX2(SB), NOSPLIT, $0-8
	WINDOW_ARGS

qsum:
	CMPQ CX, $64
	JLT  qsumNarrow
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	TAPS(qsumRow64, qsumCol64, QSUM64)
	ADD_SUMS(Y0, X0, 0)
	ADD_SUMS(Y1, X1, 64)
	ADD_SUMS(Y2, X2, 128)
	ADD_SUMS(Y3, X3, 192)
	ADDQ $64, SI
	ADDQ $256, DI
	SUBQ $64, CX
	JMP  qsum

qsumNarrow:
	TESTQ CX, CX
	JEQ   qsumEnd
	VPXOR Y0, Y0, Y0
	TAPS(qsumRow16, qsumCol16, QSUM16)
	ADD_SUMS(Y0, X0, 0)
	ADDQ $16, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JMP  qsumNarrow

qsumEnd:
	NEXT_OUT(qsum)
	VZEROUPPER
	RET

#define QMAX16 \
	VPMAXSB (R10), X0, X0

#define QMAX64 \
	VPMAXSB (R10), Y0, Y0;   \
	VPMAXSB 32(R10), Y1, Y1

// func QMaxAVX2(a *WindowArgs)
TEXT ·QMaxAVX2(SB), NOSPLIT, $0-8
	WINDOW_ARGS

qmax:
	CMPQ CX, $64
	JLT  qmaxNarrow
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	TAPS(qmaxRow64, qmaxCol64, QMAX64)
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $64, CX
	JMP  qmax

qmaxNarrow:
	TESTQ CX, CX
	JEQ   qmaxEnd
	VMOVDQU (SI), X0
	TAPS(qmaxRow16, qmaxCol16, QMAX16)
	VMOVDQU X0, (DI)
	ADDQ $16, SI
	ADDQ $16, DI
	SUBQ $16, CX
	JMP  qmaxNarrow

qmaxEnd:
	NEXT_OUT(qmax)
	VZEROUPPER
	RET

// x > m ? x : m, so a NaN is passed over unless it came first.
#define MAX8 \
	VMOVUPS (R10), Y4;   \
	VMAXPS  Y0, Y4, Y0

#define MAX32 \
	VMOVUPS (R10), Y4;   \
	VMOVUPS 32(R10), Y5; \
	VMOVUPS 64(R10), Y6; \
	VMOVUPS 96(R10), Y7; \
	VMAXPS  Y0, Y4, Y0;  \
	VMAXPS  Y1, Y5, Y1;  \
	VMAXPS  Y2, Y6, Y2;  \
	VMAXPS  Y3, Y7, Y3

// func MaxWindowAVX2(a *WindowArgs)
TEXT ·MaxWindowAVX2(SB), NOSPLIT, $0-8
	WINDOW_ARGS

max:
	CMPQ CX, $32
	JLT  maxNarrow
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	TAPS(maxRow32, maxCol32, MAX32)
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JMP  max

maxNarrow:
	TESTQ CX, CX
	JEQ   maxEnd
	VMOVUPS (SI), Y0
	TAPS(maxRow8, maxCol8, MAX8)
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JMP  maxNarrow

maxEnd:
	NEXT_OUT(max)
	VZEROUPPER
	RET

#define SUM8 \
	VADDPS (R10), Y0, Y0

#define SUM16 \
	VADDPS (R10), Y0, Y0;   \
	VADDPS 32(R10), Y1, Y1

#define SUM32 \
	VADDPS (R10), Y0, Y0;   \
	VADDPS 32(R10), Y1, Y1; \
	VADDPS 64(R10), Y2, Y2; \
	VADDPS 96(R10), Y3, Y3

// AVERAGE(y, o) stores clamp(y/Count) at o(DI); a NaN stays.
#define AVERAGE(y, o) \
	VDIVPS  Y8, y, y;   \
	VMAXPS  y, Y9, y;   \
	VMINPS  y, Y10, y;  \
	VMOVUPS y, o(DI)

// func AvgWindowAVX2(a *WindowArgs)
TEXT ·AvgWindowAVX2(SB), NOSPLIT, $0-8
	WINDOW_ARGS
	VBROADCASTSS WindowArgs_Count(AX), Y8
	VBROADCASTSS WindowArgs_Lo(AX), Y9
	VBROADCASTSS WindowArgs_Hi(AX), Y10

avg:
	CMPQ CX, $32
	JLT  avgMiddle
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	TAPS(avgRow32, avgCol32, SUM32)
	AVERAGE(Y0, 0)
	AVERAGE(Y1, 32)
	AVERAGE(Y2, 64)
	AVERAGE(Y3, 96)
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JMP  avg

avgMiddle:
	CMPQ CX, $16
	JLT  avgNarrow
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	TAPS(avgRow16, avgCol16, SUM16)
	AVERAGE(Y0, 0)
	AVERAGE(Y1, 32)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX

avgNarrow:
	TESTQ CX, CX
	JEQ   avgEnd
	VXORPS Y0, Y0, Y0
	TAPS(avgRow8, avgCol8, SUM8)
	AVERAGE(Y0, 0)

avgEnd:
	NEXT_OUT(avg)
	VZEROUPPER
	RET

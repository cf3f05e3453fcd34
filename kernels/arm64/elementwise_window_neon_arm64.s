//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"

// Reductions over the taps of a window, channel by channel: poolings, and sums and
// maxima over outer axes. A block of channels stays in registers while all taps go
// by in ascending order of rows and columns.

#define WINDOW_ARGS \
	MOVD a+0(FP), R0; \
	MOVD WindowArgs_Dst(R0), R1; \
	MOVD WindowArgs_Src(R0), R2; \
	MOVD WindowArgs_N(R0), R3; \
	MOVD WindowArgs_Rows(R0), R4; \
	MOVD WindowArgs_Cols(R0), R5; \
	MOVD WindowArgs_RowStep(R0), R6; \
	MOVD WindowArgs_ColStep(R0), R7

// NEXT_OUT(label) goes on to the next output at label, if there is one. (R0 holds
// the arguments.)
#define NEXT_OUT(label) \
	MOVD WindowArgs_Dst(R0), R1; \
	MOVD WindowArgs_DstStep(R0), R8; \
	MOVD WindowArgs_Src(R0), R2; \
	MOVD WindowArgs_SrcStep(R0), R9; \
	MOVD WindowArgs_Outs(R0), R10; \
	MOVD WindowArgs_N(R0), R3; \
	ADD  R8, R1; \
	ADD  R9, R2; \
	SUBS $1, R10; \
	MOVD R1, WindowArgs_Dst(R0); \
	MOVD R2, WindowArgs_Src(R0); \
	MOVD R10, WindowArgs_Outs(R0); \
	BNE  label

// TAPS(row, col, TAP) does TAP for every tap of the channels at R2, the tap at R10.
// Clobbers R8-R11; row and col are its labels.
#define TAPS(row, col, TAP) \
	MOVD R2, R8; \
	MOVD R4, R9; \
row: \
	MOVD R8, R10; \
	MOVD R5, R11; \
col: \
	TAP; \
	ADD  R7, R10; \
	SUBS $1, R11; \
	BNE  col; \
	ADD  R6, R8; \
	SUBS $1, R9; \
	BNE  row

#define QSUM16 \
	FMOVQ (R10), F4; \
	SADDW_8H(4, 16, 16); \
	SADDW2_8H(4, 17, 17)

#define QSUM64 \
	VLD1 (R10), [V4.B16, V5.B16, V6.B16, V7.B16]; \
	SADDW_8H(4, 16, 16); \
	SADDW2_8H(4, 17, 17); \
	SADDW_8H(5, 18, 18); \
	SADDW2_8H(5, 19, 19); \
	SADDW_8H(6, 20, 20); \
	SADDW2_8H(6, 21, 21); \
	SADDW_8H(7, 22, 22); \
	SADDW2_8H(7, 23, 23)

// ADD_SUMS(v) adds the 8 int16 of v to the int32 at R1, and steps over these.
#define ADD_SUMS(v) \
	FLDPQ (R1), (F4, F5); \
	SXTL_4S(v, 6); \
	SXTL2_4S(v, 7); \
	VADD  V6.S4, V4.S4, V4.S4; \
	VADD  V7.S4, V5.S4, V5.S4; \
	FSTPQ.P (F4, F5), 32(R1)

// func QSumNEON(a *WindowArgs)
TEXT ·QSumNEON(SB), NOSPLIT, $0-8
	WINDOW_ARGS

qsum:
	CMP  $64, R3
	BLT  qsumNarrow
	VMOVI $0, V16.B16
	VMOVI $0, V17.B16
	VMOVI $0, V18.B16
	VMOVI $0, V19.B16
	VMOVI $0, V20.B16
	VMOVI $0, V21.B16
	VMOVI $0, V22.B16
	VMOVI $0, V23.B16
	TAPS(qsumRow64, qsumCol64, QSUM64)
	ADD_SUMS(16)
	ADD_SUMS(17)
	ADD_SUMS(18)
	ADD_SUMS(19)
	ADD_SUMS(20)
	ADD_SUMS(21)
	ADD_SUMS(22)
	ADD_SUMS(23)
	ADD  $64, R2
	SUB  $64, R3
	B    qsum

qsumNarrow:
	CBZ  R3, qsumEnd
	VMOVI $0, V16.B16
	VMOVI $0, V17.B16
	TAPS(qsumRow16, qsumCol16, QSUM16)
	ADD_SUMS(16)
	ADD_SUMS(17)
	ADD  $16, R2
	SUB  $16, R3
	B    qsumNarrow

qsumEnd:
	NEXT_OUT(qsum)
	RET

#define QMAX16 \
	FMOVQ (R10), F4; \
	SMAX_16B(4, 16, 16)

#define QMAX64 \
	VLD1 (R10), [V4.B16, V5.B16, V6.B16, V7.B16]; \
	SMAX_16B(4, 16, 16); \
	SMAX_16B(5, 17, 17); \
	SMAX_16B(6, 18, 18); \
	SMAX_16B(7, 19, 19)

// func QMaxNEON(a *WindowArgs)
TEXT ·QMaxNEON(SB), NOSPLIT, $0-8
	WINDOW_ARGS

qmax:
	CMP  $64, R3
	BLT  qmaxNarrow
	VLD1 (R2), [V16.B16, V17.B16, V18.B16, V19.B16]
	TAPS(qmaxRow64, qmaxCol64, QMAX64)
	VST1.P [V16.B16, V17.B16, V18.B16, V19.B16], 64(R1)
	ADD  $64, R2
	SUB  $64, R3
	B    qmax

qmaxNarrow:
	CBZ  R3, qmaxEnd
	FMOVQ (R2), F16
	TAPS(qmaxRow16, qmaxCol16, QMAX16)
	FMOVQ.P F16, 16(R1)
	ADD  $16, R2
	SUB  $16, R3
	B    qmaxNarrow

qmaxEnd:
	NEXT_OUT(qmax)
	RET

// MORE(x, m) sets m to x>m ? x : m, so a NaN is passed over unless it came first.
// FMAX would make it the result. Clobbers V3.
#define MORE(x, m) \
	FCMGT_4S(m, x, 3); \
	BIT_16B(3, x, m)

#define MAX4 \
	FMOVQ (R10), F4; \
	MORE(4, 16)

#define MAX16 \
	VLD1 (R10), [V4.S4, V5.S4, V6.S4, V7.S4]; \
	MORE(4, 16); \
	MORE(5, 17); \
	MORE(6, 18); \
	MORE(7, 19)

// func MaxWindowNEON(a *WindowArgs)
TEXT ·MaxWindowNEON(SB), NOSPLIT, $0-8
	WINDOW_ARGS

max:
	CMP  $16, R3
	BLT  maxNarrow
	VLD1 (R2), [V16.S4, V17.S4, V18.S4, V19.S4]
	TAPS(maxRow16, maxCol16, MAX16)
	VST1.P [V16.S4, V17.S4, V18.S4, V19.S4], 64(R1)
	ADD  $64, R2
	SUB  $16, R3
	B    max

maxNarrow:
	CBZ  R3, maxEnd
	FMOVQ (R2), F16
	TAPS(maxRow4, maxCol4, MAX4)
	FMOVQ.P F16, 16(R1)
	ADD  $16, R2
	SUB  $4, R3
	B    maxNarrow

maxEnd:
	NEXT_OUT(max)
	RET

#define SUM4 \
	FMOVQ (R10), F4; \
	FADD_4S(4, 16, 16)

#define SUM16 \
	VLD1 (R10), [V4.S4, V5.S4, V6.S4, V7.S4]; \
	FADD_4S(4, 16, 16); \
	FADD_4S(5, 17, 17); \
	FADD_4S(6, 18, 18); \
	FADD_4S(7, 19, 19)

// AVERAGE(v) makes v clamp(v/V24, V25, V26); a NaN stays. Clobbers V3.
#define AVERAGE(v) \
	FDIV_4S(24, v, v); \
	FCMGT_4S(v, 25, 3); \
	BIT_16B(3, 25, v); \
	FCMGT_4S(26, v, 3); \
	BIT_16B(3, 26, v)

// func AvgWindowNEON(a *WindowArgs)
TEXT ·AvgWindowNEON(SB), NOSPLIT, $0-8
	WINDOW_ARGS
	ADD  $WindowArgs_Count, R0, R8
	VLD1R.P 4(R8), [V24.S4]
	VLD1R.P 4(R8), [V25.S4]
	VLD1R (R8), [V26.S4]

avg:
	CMP  $16, R3
	BLT  avgNarrow
	VMOVI $0, V16.B16
	VMOVI $0, V17.B16
	VMOVI $0, V18.B16
	VMOVI $0, V19.B16
	TAPS(avgRow16, avgCol16, SUM16)
	AVERAGE(16)
	AVERAGE(17)
	AVERAGE(18)
	AVERAGE(19)
	VST1.P [V16.S4, V17.S4, V18.S4, V19.S4], 64(R1)
	ADD  $64, R2
	SUB  $16, R3
	B    avg

avgNarrow:
	CBZ  R3, avgEnd
	VMOVI $0, V16.B16
	TAPS(avgRow4, avgCol4, SUM4)
	AVERAGE(16)
	FMOVQ.P F16, 16(R1)
	ADD  $16, R2
	SUB  $4, R3
	B    avgNarrow

avgEnd:
	NEXT_OUT(avg)
	RET

//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"

// Sums over positions: R1 and R2 are A and B of the first position of a row, R10 and R11
// of the next position, R3 to R6 the bytes between them, R7 the positions of a row, R8 the
// rows left.

#define OUTER_ARGS \
	MOVD a+0(FP), R0; \
	LDP  OuterArgs_A(R0), (R1, R2); \
	LDP  OuterArgs_ACol(R0), (R3, R4); \
	LDP  OuterArgs_BCol(R0), (R5, R6); \
	LDP  OuterArgs_Cols(R0), (R7, R8); \
	MOVD OuterArgs_S(R0), R9; \
	MOVBU OuterArgs_First(R0), R13; \
	MOVBU OuterArgs_Last(R0), R14

#define ZERO_8 \
	VMOVI $0, V0.B16; \
	VMOVI $0, V1.B16; \
	VMOVI $0, V2.B16; \
	VMOVI $0, V3.B16; \
	VMOVI $0, V4.B16; \
	VMOVI $0, V5.B16; \
	VMOVI $0, V6.B16; \
	VMOVI $0, V7.B16

#define ROW_START \
	MOVD R1, R10; \
	MOVD R2, R11; \
	MOVD R7, R12

#define NEXT_POSITION \
	ADD  R3, R10; \
	ADD  R5, R11; \
	SUBS $1, R12

#define NEXT_ROW \
	ADD  R4, R1; \
	ADD  R6, R2; \
	SUBS $1, R8

// ADD_TO(p, x, fx, y, fy) adds v<x>, v<y> to the numbers at p.
#define ADD_TO(p, x, fx, y, fy) \
	FLDPQ (p), (F16, F17); \
	FADD_4S(16, x, x); \
	FADD_4S(17, y, y); \
	FSTPQ (fx, fy), (p)

// func Outer4x8NEON(a *OuterArgs)
TEXT ·Outer4x8NEON(SB), NOSPLIT, $0-8
	OUTER_ARGS
	ZERO_8
	CBNZ R13, rows
	FLDPQ (R9), (F0, F1)
	FLDPQ 128(R9), (F2, F3)
	FLDPQ 256(R9), (F4, F5)
	FLDPQ 384(R9), (F6, F7)

rows:
	ROW_START

position:
	FMOVQ (R10), F16
	FMOVQ (R11), F20
	FMOVQ 16(R11), F21
	NEXT_POSITION
	FMLA_4S_LANE(0, 16, 20, 0)
	FMLA_4S_LANE(0, 16, 21, 1)
	FMLA_4S_LANE(1, 16, 20, 2)
	FMLA_4S_LANE(1, 16, 21, 3)
	FMLA_4S_LANE(2, 16, 20, 4)
	FMLA_4S_LANE(2, 16, 21, 5)
	FMLA_4S_LANE(3, 16, 20, 6)
	FMLA_4S_LANE(3, 16, 21, 7)
	BNE  position
	NEXT_ROW
	BNE  rows

	CBNZ R14, last
	FSTPQ (F0, F1), (R9)
	FSTPQ (F2, F3), 128(R9)
	FSTPQ (F4, F5), 256(R9)
	FSTPQ (F6, F7), 384(R9)
	RET

last:
	LDP  OuterArgs_C(R0), (R9, R10)
	ADD_TO(R9, 0, F0, 1, F1)
	ADD  R10, R9
	ADD_TO(R9, 2, F2, 3, F3)
	ADD  R10, R9
	ADD_TO(R9, 4, F4, 5, F5)
	ADD  R10, R9
	ADD_TO(R9, 6, F6, 7, F7)
	RET

// func Outer1x32NEON(a *OuterArgs)
TEXT ·Outer1x32NEON(SB), NOSPLIT, $0-8
	OUTER_ARGS
	ZERO_8
	CBNZ R13, rows1
	FLDPQ (R9), (F0, F1)
	FLDPQ 32(R9), (F2, F3)
	FLDPQ 64(R9), (F4, F5)
	FLDPQ 96(R9), (F6, F7)

rows1:
	ROW_START

position1:
	FMOVS (R10), F16
	FLDPQ (R11), (F20, F21)
	FLDPQ 32(R11), (F22, F23)
	FLDPQ 64(R11), (F24, F25)
	FLDPQ 96(R11), (F26, F27)
	NEXT_POSITION
	FMLA_4S_LANE(0, 16, 20, 0)
	FMLA_4S_LANE(0, 16, 21, 1)
	FMLA_4S_LANE(0, 16, 22, 2)
	FMLA_4S_LANE(0, 16, 23, 3)
	FMLA_4S_LANE(0, 16, 24, 4)
	FMLA_4S_LANE(0, 16, 25, 5)
	FMLA_4S_LANE(0, 16, 26, 6)
	FMLA_4S_LANE(0, 16, 27, 7)
	BNE  position1
	NEXT_ROW
	BNE  rows1

	CBNZ R14, last1
	FSTPQ (F0, F1), (R9)
	FSTPQ (F2, F3), 32(R9)
	FSTPQ (F4, F5), 64(R9)
	FSTPQ (F6, F7), 96(R9)
	RET

last1:
	MOVD OuterArgs_C(R0), R9
	ADD_TO(R9, 0, F0, 1, F1)
	ADD  $32, R9
	ADD_TO(R9, 2, F2, 3, F3)
	ADD  $32, R9
	ADD_TO(R9, 4, F4, 5, F5)
	ADD  $32, R9
	ADD_TO(R9, 6, F6, 7, F7)
	RET

// func Pair16NEON(a *PairArgs)
TEXT ·Pair16NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LDP  PairArgs_A(R0), (R1, R2)
	LDP  PairArgs_ACol(R0), (R3, R4)
	LDP  PairArgs_BCol(R0), (R5, R6)
	LDP  PairArgs_Cols(R0), (R7, R8)
	MOVD PairArgs_S(R0), R9
	FLDPQ (R9), (F0, F1)
	FLDPQ 32(R9), (F2, F3)

rows16:
	ROW_START

position16:
	FLDPQ (R10), (F16, F17)
	FLDPQ 32(R10), (F18, F19)
	FLDPQ (R11), (F20, F21)
	FLDPQ 32(R11), (F22, F23)
	NEXT_POSITION
	FMLA_4S(16, 20, 0)
	FMLA_4S(17, 21, 1)
	FMLA_4S(18, 22, 2)
	FMLA_4S(19, 23, 3)
	BNE  position16
	NEXT_ROW
	BNE  rows16
	FSTPQ (F0, F1), (R9)
	FSTPQ (F2, F3), 32(R9)
	RET

//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"
#include "epilogue_arm64.h"

// ROW_16(off) makes the address of a row of its offset. R4 is A, R5 is Pad.
#define ROW_16(off) \
	ADD  off, R4, R12; \
	CMP  $0, off; \
	CSEL LT, R5, R12, off

#define GEMM_ARGS \
	MOVD a+0(FP), R0; \
	LDP  QGemmArgs_A(R0), (R4, R5); \
	LDP  QGemmArgs_Off(R0), (R1, R2); \
	LDP  QGemmArgs_KC(R0), (R6, R21); \
	ADD  $64, R21, R3; \
	FLDPQ.P 32(R3), (F16, F17)

// PAIR_ARGS loads the arguments of the functions of two tensors.
#define PAIR_ARGS \
	MOVD dst+0(FP), R1; \
	MOVD a+8(FP), R2; \
	MOVD b+16(FP), R3; \
	MOVD n+24(FP), R4; \
	MOVD p+32(FP), R0; \
	FLDPD QBinary16Args_Ra(R0), (F16, F17); \
	FLDPD QBinary16Args_Lo(R0), (F18, F19); \
	ADD  $QBinary16Args_Za, R0, R5; \
	VLD1R.P 4(R5), [V20.S4]; \
	VLD1R.P 4(R5), [V21.S4]; \
	VLD1R (R5), [V22.S4]; \
	VDUP V16.D[0], V16.D2; \
	VDUP V17.D[0], V17.D2; \
	VDUP V18.D[0], V18.D2; \
	VDUP V19.D[0], V19.D2

// CODES_16 makes eight codes in V24 of the sums in V16, V17. The scales are in V4-V7, the
// lowest and the highest code in V29, V30. Clobbers V25-V27.
#define CODES_16 \
	SXTL_2D(16, 24); \
	SXTL2_2D(16, 25); \
	SXTL_2D(17, 26); \
	SXTL2_2D(17, 27); \
	SCVTF_2D(24, 24); \
	SCVTF_2D(25, 25); \
	SCVTF_2D(26, 26); \
	SCVTF_2D(27, 27); \
	FMUL_2D(4, 24, 24); \
	FMUL_2D(5, 25, 25); \
	FMUL_2D(6, 26, 26); \
	FMUL_2D(7, 27, 27); \
	FCVTNS_2D(24, 24); \
	FCVTNS_2D(25, 25); \
	FCVTNS_2D(26, 26); \
	FCVTNS_2D(27, 27); \
	SQXTN_2S(24, 24); \
	SQXTN_2S(26, 26); \
	SQXTN2_4S(25, 24); \
	SQXTN2_4S(27, 26); \
	SQXTN_4H(24, 24); \
	SQXTN2_8H(26, 24); \
	SMAX_8H(29, 24, 24); \
	SMIN_8H(30, 24, 24)

// RANGE_16(lo, hi) loads V29, V30 of fields of the arguments at R0.
#define RANGE_16(lo, hi) \
	FMOVS lo(R0), F29; \
	FMOVS hi(R0), F30; \
	FCVTZSSW F29, R16; \
	FCVTZSSW F30, R17; \
	VDUP R16, V29.H8; \
	VDUP R17, V30.H8

// tile16 stores the rows whose sums are in V16, V17 to V22, V23.
TEXT tile16<>(SB), NOSPLIT|NOFRAME, $0-0
	LDP   QGemmArgs_C(R0), (R15, R20)
	LDP   QGemmArgs_Rows(R0), (R14, R22)
	MOVWU QGemmArgs_Raw(R0), R23
	RANGE_16(QGemmArgs_Lo, QGemmArgs_Hi)
	FLDPQ (R21), (F4, F5)
	FLDPQ 32(R21), (F6, F7)
	LSL   $1, R22, R24

row:
	MOVD R15, R8
	CBNZ R23, raw
	CODES_16
	CMP  $8, R22
	BNE  part
	FMOVQ F24, (R15)
	B    next

part:
	STORE_BELOW_16(V24, R8, R24)
	B    next

raw:
	CMP  $8, R22
	BNE  rawPart
	FSTPQ (F16, F17), (R15)
	B    next

rawPart:
	STORE_WORDS_BELOW_8(V16, V17, R8, R22)

next:
	VMOV V18.B16, V16.B16
	VMOV V19.B16, V17.B16
	VMOV V20.B16, V18.B16
	VMOV V21.B16, V19.B16
	VMOV V22.B16, V20.B16
	VMOV V23.B16, V21.B16
	ADD  R20, R15
	SUBS $1, R14
	BNE  row
	RET

// K_4(i, w) adds the products of element i of the rows in V0-V3 with the weights in v<w>.
#define K_4(i, w) \
	SMLAL_4S_LANE(i, 0, w, 16); \
	SMLAL2_4S_LANE(i, 0, w, 17); \
	SMLAL_4S_LANE(i, 1, w, 18); \
	SMLAL2_4S_LANE(i, 1, w, 19); \
	SMLAL_4S_LANE(i, 2, w, 20); \
	SMLAL2_4S_LANE(i, 2, w, 21); \
	SMLAL_4S_LANE(i, 3, w, 22); \
	SMLAL2_4S_LANE(i, 3, w, 23)

// func Q16Gemm4x8NEON(a *QGemmArgs)
TEXT ·Q16Gemm4x8NEON(SB), NOSPLIT, $0-8
	GEMM_ARGS
	VMOV V16.B16, V18.B16
	VMOV V17.B16, V19.B16
	VMOV V16.B16, V20.B16
	VMOV V17.B16, V21.B16
	VMOV V16.B16, V22.B16
	VMOV V17.B16, V23.B16

tap:
	LDPSW.P 8(R1), (R8, R9)
	LDPSW.P 8(R1), (R10, R11)
	ROW_16(R8)
	ROW_16(R9)
	ROW_16(R10)
	ROW_16(R11)
	SUBS $8, R6, R7
	BLT  last

k4:
	FLDPQ (R3), (F24, F25)
	FMOVD.P 8(R8), F0
	FMOVD.P 8(R9), F1
	SXTL_8H(24, 28)
	FMOVD.P 8(R10), F2
	SXTL2_8H(24, 29)
	FMOVD.P 8(R11), F3
	SXTL_8H(25, 30)
	ADD  $32, R3
	SXTL2_8H(25, 31)
	SUBS $8, R7
	K_4(0, 28)
	K_4(1, 29)
	K_4(2, 30)
	K_4(3, 31)
	BGE  k4

last:
	ADDS $8, R7
	BEQ  next

k1:
	FMOVD.P 8(R3), F24
	VLD1.P 2(R8), V0.H[0]
	VLD1.P 2(R9), V1.H[0]
	VLD1.P 2(R10), V2.H[0]
	VLD1.P 2(R11), V3.H[0]
	SXTL_8H(24, 28)
	SUBS $2, R7
	K_4(0, 28)
	BNE  k1

next:
	SUBS $1, R2
	BNE  tap
	B    tile16<>(SB)

// K_1(i, w, a, b) adds the products of element i of the row in V0 to v<a>, v<b>.
#define K_1(i, w, a, b) \
	SMLAL_4S_LANE(i, 0, w, a); \
	SMLAL2_4S_LANE(i, 0, w, b)

// func Q16Gemm1x8NEON(a *QGemmArgs)
TEXT ·Q16Gemm1x8NEON(SB), NOSPLIT, $0-8
	GEMM_ARGS
	VMOVI $0, V18.B16
	VMOVI $0, V19.B16
	VMOVI $0, V20.B16
	VMOVI $0, V21.B16
	VMOVI $0, V22.B16
	VMOVI $0, V23.B16

tap:
	MOVW.P (4*const_Q16GemmNEONMR)(R1), R8
	ROW_16(R8)
	SUBS $8, R6, R7
	BLT  last

	// Four chains of sums, for the latency of a sum.
k4:
	FLDPQ (R3), (F24, F25)
	FMOVD.P 8(R8), F0
	ADD  $32, R3
	SXTL_8H(24, 28)
	SXTL2_8H(24, 29)
	SXTL_8H(25, 30)
	SXTL2_8H(25, 31)
	SUBS $8, R7
	K_1(0, 28, 16, 17)
	K_1(1, 29, 18, 19)
	K_1(2, 30, 20, 21)
	K_1(3, 31, 22, 23)
	BGE  k4

last:
	ADDS $8, R7
	BEQ  next

k1:
	FMOVD.P 8(R3), F24
	VLD1.P 2(R8), V0.H[0]
	SXTL_8H(24, 28)
	SUBS $2, R7
	K_1(0, 28, 16, 17)
	BNE  k1

next:
	SUBS $1, R2
	BNE  tap
	VADD V18.S4, V16.S4, V16.S4
	VADD V19.S4, V17.S4, V17.S4
	VADD V22.S4, V20.S4, V20.S4
	VADD V23.S4, V21.S4, V21.S4
	VADD V20.S4, V16.S4, V16.S4
	VADD V21.S4, V17.S4, V17.S4
	B    tile16<>(SB)

// func Q16DepthwiseNEON(a *QDWArgs)
TEXT ·Q16DepthwiseNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	RANGE_16(QDWArgs_Lo, QDWArgs_Hi)
	LDP  QDWArgs_Off(R0), (R1, R6)
	LDP  QDWArgs_Out(R0), (R8, R14)
	MOVD QDWArgs_Pixels(R0), R13

pixel:
	LDP  QDWArgs_A(R0), (R4, R5)
	LDP  QDWArgs_C(R0), (R7, R3)
	MOVD R8, R9

block:
	FLDPQ.P 32(R3), (F16, F17)
	MOVD R1, R2
	MOVD R6, R10

tap:
	MOVW.P 4(R2), R11
	FMOVQ.P 16(R3), F1
	ROW_16(R11)
	FMOVQ (R11), F0
	SUBS $1, R10
	SMLAL_4S(1, 0, 16)
	SMLAL2_4S(1, 0, 17)
	BNE  tap

	FLDPQ.P 32(R3), (F4, F5)
	FLDPQ.P 32(R3), (F6, F7)
	CODES_16
	FMOVQ.P F24, 16(R9)
	ADD  $16, R4
	ADD  $16, R5
	SUBS $8, R7
	BNE  block

	ADD  R14, R8
	ADD  R6<<2, R1
	SUBS $1, R13
	BNE  pixel
	RET

// PAIR loads the next eight of two tensors less their zero points, as int32 in V0, V1
// and V2, V3.
#define PAIR \
	FMOVQ (R2), F1; \
	FMOVQ (R3), F3; \
	ADD  $16, R2; \
	ADD  $16, R3; \
	SXTL_4S(1, 0); \
	SXTL2_4S(1, 1); \
	SXTL_4S(3, 2); \
	SXTL2_4S(3, 3); \
	SUB_4S(20, 0, 0); \
	SUB_4S(20, 1, 1); \
	SUB_4S(21, 2, 2); \
	SUB_4S(21, 3, 3)

// DOUBLES(v, s, d) makes the four of v<v> float64 times v<s> in v<d>, v<d+1>.
#define DOUBLES(v, s, d) \
	SXTL_2D(v, d); \
	SXTL2_2D(v, d+1); \
	SCVTF_2D(d, d); \
	SCVTF_2D(d+1, d+1); \
	FMUL_2D(s, d, d); \
	FMUL_2D(s, d+1, d+1)

// CLAMP_2(v) clamps to V18, V19 and rounds.
#define CLAMP_2(v) \
	FMAX_2D(18, v, v); \
	FMIN_2D(19, v, v); \
	FCVTNS_2D(v, v)

// PAIR_CODES stores the codes of V4-V7 and goes on to label.
#define PAIR_CODES(label) \
	CLAMP_2(4); \
	CLAMP_2(5); \
	CLAMP_2(6); \
	CLAMP_2(7); \
	SQXTN_2S(4, 4); \
	SQXTN_2S(6, 6); \
	SQXTN2_4S(5, 4); \
	SQXTN2_4S(7, 6); \
	ADD_4S(22, 4, 4); \
	ADD_4S(22, 6, 6); \
	SQXTN_4H(4, 4); \
	SQXTN2_8H(6, 4); \
	FMOVQ.P F4, 16(R1); \
	SUBS $8, R4; \
	BNE  label

// func QAdd16NEON(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)
TEXT ·QAdd16NEON(SB), NOSPLIT, $0-40
	PAIR_ARGS

add8:
	PAIR
	DOUBLES(0, 16, 4)
	DOUBLES(1, 16, 6)
	DOUBLES(2, 17, 24)
	DOUBLES(3, 17, 26)
	FADD_2D(24, 4, 4)
	FADD_2D(25, 5, 5)
	FADD_2D(26, 6, 6)
	FADD_2D(27, 7, 7)
	PAIR_CODES(add8)
	RET

// func QMul16NEON(dst, a, b unsafe.Pointer, n uintptr, p *QBinary16Args)
TEXT ·QMul16NEON(SB), NOSPLIT, $0-40
	PAIR_ARGS

mul8:
	PAIR
	SMULL_2D(2, 0, 4)
	SMULL2_2D(2, 0, 5)
	SMULL_2D(3, 1, 6)
	SMULL2_2D(3, 1, 7)
	SCVTF_2D(4, 4)
	SCVTF_2D(5, 5)
	SCVTF_2D(6, 6)
	SCVTF_2D(7, 7)
	FMUL_2D(16, 4, 4)
	FMUL_2D(16, 5, 5)
	FMUL_2D(16, 6, 6)
	FMUL_2D(16, 7, 7)
	PAIR_CODES(mul8)
	RET

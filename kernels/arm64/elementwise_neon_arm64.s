//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"
#include "macros_elementwise_arm64.h"

// Elementwise kernels. Each does the operations of its portable twin in the same
// order, so the bits are equal. Callers give whole vectors; the rest of a slice is
// done in Go.
//
// Floats go by four vectors, then by one. A kernel's operation OP is a list of steps,
// each of which is done for all vectors before the next one, for the cores that issue
// in order. STEP(v) works on v<v>, the second operand is v<v+4>, v<v+20> is free.

#define ONE(STEP) STEP(0)

#define FOUR(STEP) \
	STEP(0); \
	STEP(1); \
	STEP(2); \
	STEP(3)

// LOAD_FOUR(p, f, ...) loads four vectors and steps over them. Post-indexed loads
// would make each wait for the one before.
#define LOAD_FOUR(p, f, g, h, i) \
	FMOVQ (p), f; \
	FMOVQ 16(p), g; \
	FMOVQ 32(p), h; \
	FMOVQ 48(p), i; \
	ADD   $64, p

#define ARITH_ARGS \
	MOVD dst+0(FP), R1; \
	MOVD a+8(FP), R2; \
	MOVD b+16(FP), R3; \
	MOVD n+24(FP), R4; \
	FMOVS lo+32(FP), F16; \
	FMOVS hi+36(FP), F17; \
	VDUP V16.S[0], V16.S4; \
	VDUP V17.S[0], V17.S4

// CLAMP clamps to V16, V17 by comparison, for FMAX and FMIN treat -0 and NaN
// differently.
#define IS_BELOW(v) FCMGT_4S(v, 16, v+20)
#define RAISE(v) BIT_16B(v+20, 16, v)
#define IS_ABOVE(v) FCMGT_4S(17, v, v+20)
#define LOWER(v) BIT_16B(v+20, 17, v)

#define CLAMP(EACH) \
	EACH(IS_BELOW); \
	EACH(RAISE); \
	EACH(IS_ABOVE); \
	EACH(LOWER)

// ARITH(OP, many, few, one, end) does OP of the slices at R2 and R3. The last arguments
// are labels.
#define ARITH(OP, many, few, one, end) \
	SUBS $16, R4; \
	BLT  few; \
many: \
	LOAD_FOUR(R2, F0, F1, F2, F3); \
	LOAD_FOUR(R3, F4, F5, F6, F7); \
	SUBS $16, R4; \
	OP(FOUR); \
	CLAMP(FOUR); \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1); \
	BGE  many; \
few: \
	ADDS $16, R4; \
	BEQ  end; \
one: \
	FMOVQ.P 16(R2), F0; \
	FMOVQ.P 16(R3), F4; \
	SUBS $4, R4; \
	OP(ONE); \
	CLAMP(ONE); \
	FMOVQ.P F0, 16(R1); \
	BNE  one; \
end: \
	RET

#define ADD_STEP(v) FADD_4S(v+4, v, v)
#define ADD_OP(EACH) EACH(ADD_STEP)

// func AddNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·AddNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(ADD_OP, addMany, addFew, addOne, addEnd)

#define SUB_STEP(v) FSUB_4S(v+4, v, v)
#define SUB_OP(EACH) EACH(SUB_STEP)

// func SubNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·SubNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(SUB_OP, subMany, subFew, subOne, subEnd)

#define MUL_STEP(v) FMUL_4S(v+4, v, v)
#define MUL_OP(EACH) EACH(MUL_STEP)

// func MulNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MulNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(MUL_OP, mulMany, mulFew, mulOne, mulEnd)

#define DIV_STEP(v) FDIV_4S(v+4, v, v)
#define DIV_OP(EACH) EACH(DIV_STEP)

// func DivNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·DivNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(DIV_OP, divMany, divFew, divOne, divEnd)

#define SQUARE(v) FMUL_4S(v, v, v)
#define SQUARED_OP(EACH) EACH(SUB_STEP); EACH(SQUARE)

// func SquaredDifferenceNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·SquaredDifferenceNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(SQUARED_OP, squaredDifferenceMany, squaredDifferenceFew, squaredDifferenceOne, squaredDifferenceEnd)

// FMAX and FMIN would make a NaN the result and prefer one zero to the other.
#define IS_MORE(v) FCMGT_4S(v, v+4, v+20)
#define TAKE(v) BIT_16B(v+20, v+4, v)
#define MAX_OP(EACH) EACH(IS_MORE); EACH(TAKE)

// func MaxNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MaxNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(MAX_OP, maxMany, maxFew, maxOne, maxEnd)

#define IS_LESS(v) FCMGT_4S(v+4, v, v+20)
#define MIN_OP(EACH) EACH(IS_LESS); EACH(TAKE)

// func MinNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MinNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS
	ARITH(MIN_OP, minMany, minFew, minOne, minEnd)

// i in V8-V11, z in V12-V15: c*f, then the product of these is added.
#define GATE(v) FMLA_4S(v+12, v+8, v)
#define CELL_OP(EACH) EACH(MUL_STEP); EACH(GATE); CLAMP(EACH)

// func CellNEON(c, i, z, f unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·CellNEON(SB), NOSPLIT, $0-48
	MOVD c+0(FP), R1
	MOVD i+8(FP), R2
	MOVD z+16(FP), R3
	MOVD f+24(FP), R5
	MOVD n+32(FP), R4
	FMOVS lo+40(FP), F16
	FMOVS hi+44(FP), F17
	VDUP V16.S[0], V16.S4
	VDUP V17.S[0], V17.S4
	MOVD R1, R6
	SUBS $16, R4
	BLT  cellFew

cellMany:
	LOAD_FOUR(R6, F0, F1, F2, F3)
	LOAD_FOUR(R5, F4, F5, F6, F7)
	LOAD_FOUR(R2, F8, F9, F10, F11)
	LOAD_FOUR(R3, F12, F13, F14, F15)
	SUBS $16, R4
	CELL_OP(FOUR)
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	BGE  cellMany

cellFew:
	ADDS $16, R4
	BEQ  cellEnd

cellOne:
	FMOVQ.P 16(R6), F0
	FMOVQ.P 16(R5), F4
	FMOVQ.P 16(R2), F8
	FMOVQ.P 16(R3), F12
	SUBS $4, R4
	CELL_OP(ONE)
	FMOVQ.P F0, 16(R1)
	BNE  cellOne

cellEnd:
	RET

// The least of each lane is kept in V0-V3, the greatest in V4-V7; the elements are in
// V8-V11.
#define IS_LEAST(v) FCMGT_4S(v+8, v, v+20)
#define KEEP_LEAST(v) BIT_16B(v+20, v+8, v)
#define IS_MOST(v) FCMGT_4S(v+4, v+8, v+24)
#define KEEP_MOST(v) BIT_16B(v+24, v+8, v+4)
#define SPAN_OP(EACH) \
	EACH(IS_LEAST); \
	EACH(IS_MOST); \
	EACH(KEEP_LEAST); \
	EACH(KEEP_MOST)

// FOLD(a, b) takes in the elements of v<a> for the least and those of v<b> for the
// greatest.
#define FOLD(a, b) \
	FCMGT_4S(a, 0, 20); \
	FCMGT_4S(4, b, 24); \
	BIT_16B(20, a, 0); \
	BIT_16B(24, b, 4)

// func SpanNEON(src unsafe.Pointer, n uintptr) (lo, hi float32)
TEXT ·SpanNEON(SB), NOSPLIT, $0-24
	MOVD src+0(FP), R0
	MOVD n+8(FP), R1
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16
	SUBS $16, R1
	BLT  spanFew

spanMany:
	LOAD_FOUR(R0, F8, F9, F10, F11)
	SUBS $16, R1
	SPAN_OP(FOUR)
	BGE  spanMany

	FOLD(1, 5)
	FOLD(2, 6)
	FOLD(3, 7)

spanFew:
	ADDS $16, R1
	BEQ  spanEnd

spanOne:
	FMOVQ.P 16(R0), F8
	SUBS $4, R1
	SPAN_OP(ONE)
	BNE  spanOne

spanEnd:
	VEXT $8, V0.B16, V0.B16, V1.B16
	VEXT $8, V4.B16, V4.B16, V5.B16
	FOLD(1, 5)
	VEXT $4, V0.B16, V0.B16, V1.B16
	VEXT $4, V4.B16, V4.B16, V5.B16
	FOLD(1, 5)
	FMOVS F0, lo+16(FP)
	FMOVS F4, hi+20(FP)
	RET

// Sums in V0-V3, sums of weights in V4-V7, scales in V8-V11, biases in V12-V15; the
// row's scale in V18, its zero point in V19.
#define TIMES_ZERO(v) MUL_4S(19, v+4, v+4)
#define ROW_SCALE(v) FMUL_4S(18, v+8, v+8)
#define LESS_ZERO(v) SUB_4S(v+4, v, v)
#define TO_FLOAT(v) SCVTF_4S(v, v)
#define SCALE(v) FMUL_4S(v+8, v, v)
#define BIAS(v) FADD_4S(v+12, v, v)
#define DYN_OP(EACH) \
	EACH(TIMES_ZERO); \
	EACH(ROW_SCALE); \
	EACH(LESS_ZERO); \
	EACH(TO_FLOAT); \
	EACH(SCALE); \
	EACH(BIAS); \
	CLAMP(EACH)

// func DynNEON(dst, sums, wsum, scale, bias unsafe.Pointer, n uintptr, p *DynArgs)
TEXT ·DynNEON(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R1
	MOVD sums+8(FP), R2
	MOVD wsum+16(FP), R3
	MOVD scale+24(FP), R4
	MOVD bias+32(FP), R5
	MOVD n+40(FP), R6
	MOVD p+48(FP), R0
	VLD1R.P 4(R0), [V18.S4]            // Scale, Zero, Lo, Hi
	VLD1R.P 4(R0), [V19.S4]
	VLD1R.P 4(R0), [V16.S4]
	VLD1R (R0), [V17.S4]
	SUBS $16, R6
	BLT  dynFew

dynMany:
	LOAD_FOUR(R3, F4, F5, F6, F7)
	LOAD_FOUR(R4, F8, F9, F10, F11)
	LOAD_FOUR(R2, F0, F1, F2, F3)
	LOAD_FOUR(R5, F12, F13, F14, F15)
	SUBS $16, R6
	DYN_OP(FOUR)
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	BGE  dynMany

dynFew:
	ADDS $16, R6
	BEQ  dynEnd

dynOne:
	FMOVQ.P 16(R3), F4
	FMOVQ.P 16(R4), F8
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R5), F12
	SUBS $4, R6
	DYN_OP(ONE)
	FMOVQ.P F0, 16(R1)
	BNE  dynOne

dynEnd:
	RET

// func QAddNEON(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)
TEXT ·QAddNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R1
	MOVD a+8(FP), R2
	MOVD b+16(FP), R3
	MOVD n+24(FP), R4
	MOVD p+32(FP), R0
	LOAD_CODE_RANGE(QAddArgs_Lo, QAddArgs_Hi, QAddArgs_Zero)
	OUTPUT_CONSTANTS
	ADD  $QAddArgs_Ra, R0, R5
	VLD1R.P 4(R5), [V26.S4]
	VLD1R (R5), [V27.S4]
	MOVW QAddArgs_Za(R0), R5
	MOVW QAddArgs_Zb(R0), R6
	VDUP R5, V24.B16
	VDUP R6, V25.B16

qadd16:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	SSUBL_8H(24, 0, 2)
	SSUBL2_8H(24, 0, 3)
	SSUBL_8H(25, 1, 8)
	SSUBL2_8H(25, 1, 9)
	SXTL_4S(2, 4)
	SXTL2_4S(2, 5)
	SXTL_4S(3, 6)
	SXTL2_4S(3, 7)
	SXTL_4S(8, 10)
	SXTL2_4S(8, 11)
	SXTL_4S(9, 12)
	SXTL2_4S(9, 13)
	SCVTF_4S(4, 4)
	SCVTF_4S(5, 5)
	SCVTF_4S(6, 6)
	SCVTF_4S(7, 7)
	SCVTF_4S(10, 10)
	SCVTF_4S(11, 11)
	SCVTF_4S(12, 12)
	SCVTF_4S(13, 13)
	FMUL_4S(26, 4, 4)
	FMUL_4S(26, 5, 5)
	FMUL_4S(26, 6, 6)
	FMUL_4S(26, 7, 7)
	FMLA_4S(27, 10, 4)
	FMLA_4S(27, 11, 5)
	FMLA_4S(27, 12, 6)
	FMLA_4S(27, 13, 7)
	ROUND_16(4, 5, 6, 7)
	FMOVQ.P F4, 16(R1)
	SUBS $16, R4
	BNE  qadd16
	RET

// func QuantizeNEON(dst, src unsafe.Pointer, n uintptr, inv, lo, hi float32, zero int32)
TEXT ·QuantizeNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R1
	MOVD src+8(FP), R2
	MOVD n+16(FP), R4
	FMOVS inv+24(FP), F27
	FMOVS lo+28(FP), F29
	FMOVS hi+32(FP), F30
	MOVW zero+36(FP), R19
	VDUP V27.S[0], V27.S4
	CODE_RANGE
	OUTPUT_CONSTANTS

	// FCVTNS takes NaN to 0.
quantize16:
	FLDPQ.P 32(R2), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	FMUL_4S(27, 0, 0)
	FMUL_4S(27, 1, 1)
	FMUL_4S(27, 2, 2)
	FMUL_4S(27, 3, 3)
	ROUND_16(0, 1, 2, 3)
	FMOVQ.P F0, 16(R1)
	SUBS $16, R4
	BNE  quantize16
	RET

// MAP_ARGS loads the arguments that the functions of one slice share.
#define MAP_ARGS \
	MOVD dst+0(FP), R0; \
	MOVD src+8(FP), R1; \
	MOVD n+16(FP), R2

// MAP(OP, many, few, one, end) does OP of the slice at R1. The last arguments are labels.
#define MAP(OP, many, few, one, end) \
	SUBS $16, R2; \
	BLT  few; \
many: \
	LOAD_FOUR(R1, F0, F1, F2, F3); \
	SUBS $16, R2; \
	OP(FOUR); \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0); \
	BGE  many; \
few: \
	ADDS $16, R2; \
	BEQ  end; \
one: \
	FMOVQ.P 16(R1), F0; \
	SUBS $4, R2; \
	OP(ONE); \
	FMOVQ.P F0, 16(R0); \
	BNE  one; \
end: \
	RET


// func ClampNEON(dst, src unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·ClampNEON(SB), NOSPLIT, $0-32
	MAP_ARGS
	FMOVS lo+24(FP), F16
	FMOVS hi+28(FP), F17
	VDUP V16.S[0], V16.S4
	VDUP V17.S[0], V17.S4
	MAP(CLAMP, clampMany, clampFew, clampOne, clampEnd)

// x < 0 ? a*x : x
#define SLOPE(v) FMUL_4S(18, v, v+4)
#define BEND(v) BIT_16B(v+20, v+4, v)
#define LEAKY_OP(EACH) EACH(SLOPE); EACH(IS_BELOW); EACH(BEND)

// func LeakyNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·LeakyNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	FMOVS alpha+24(FP), F18
	VDUP V18.S[0], V18.S4
	VMOVI $0, V16.B16
	MAP(LEAKY_OP, leakyMany, leakyFew, leakyOne, leakyEnd)

// x * clamp(x+3, 0, 6) / 6
#define KEEP(v) MOV_16B(v, v+4)
#define ADD_3(v) FADD_4S(18, v, v)
#define BY(v) FDIV_4S(17, v, v)
#define HARD_SWISH_OP(EACH) EACH(KEEP); EACH(ADD_3); CLAMP(EACH); EACH(MUL_STEP); EACH(BY)

// func HardSwishNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·HardSwishNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $3.0, F18
	FMOVS $6.0, F17
	VDUP V18.S[0], V18.S4
	VDUP V17.S[0], V17.S4
	VMOVI $0, V16.B16
	MAP(HARD_SWISH_OP, hardSwishMany, hardSwishFew, hardSwishOne, hardSwishEnd)

#define BETA(v) MOV_16B(19, v)
#define ALPHA(v) FMLA_4S(18, v+4, v)
#define HARD_SIGMOID_OP(EACH) EACH(KEEP); EACH(BETA); EACH(ALPHA); CLAMP(EACH)

// func HardSigmoidNEON(dst, src unsafe.Pointer, n uintptr, alpha, beta float32)
TEXT ·HardSigmoidNEON(SB), NOSPLIT, $0-32
	MAP_ARGS
	FMOVS alpha+24(FP), F18
	FMOVS beta+28(FP), F19
	FMOVS $1.0, F17
	VDUP V18.S[0], V18.S4
	VDUP V19.S[0], V19.S4
	VDUP V17.S[0], V17.S4
	VMOVI $0, V16.B16
	MAP(HARD_SIGMOID_OP, hardSigmoidMany, hardSigmoidFew, hardSigmoidOne, hardSigmoidEnd)

#define DIVIDE_OP(EACH) EACH(BY)

// func DivideNEON(dst, src unsafe.Pointer, n uintptr, by float32)
TEXT ·DivideNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	FMOVS by+24(FP), F17
	VDUP V17.S[0], V17.S4
	MAP(DIVIDE_OP, divideMany, divideFew, divideOne, divideEnd)

#define ROOT(v) FSQRT_4S(v, v)
#define SQRT_OP(EACH) EACH(ROOT)

// func SqrtNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SqrtNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(SQRT_OP, sqrtMany, sqrtFew, sqrtOne, sqrtEnd)

#define INVERT(v) FDIV_4S(v, 17, v)
#define RSQRT_OP(EACH) EACH(ROOT); EACH(INVERT)

// func RsqrtNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·RsqrtNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $1.0, F17
	VDUP V17.S[0], V17.S4
	MAP(RSQRT_OP, rsqrtMany, rsqrtFew, rsqrtOne, rsqrtEnd)

#define RECIPROCAL_OP(EACH) EACH(INVERT)

// func ReciprocalNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·ReciprocalNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $1.0, F17
	VDUP V17.S[0], V17.S4
	MAP(RECIPROCAL_OP, reciprocalMany, reciprocalFew, reciprocalOne, reciprocalEnd)

#define FLOOR_STEP(v) FRINTM_4S(v, v)
#define FLOOR_OP(EACH) EACH(FLOOR_STEP)

// func FloorNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·FloorNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(FLOOR_OP, floorMany, floorFew, floorOne, floorEnd)

#define CEIL_STEP(v) FRINTP_4S(v, v)
#define CEIL_OP(EACH) EACH(CEIL_STEP)

// func CeilNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·CeilNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(CEIL_OP, ceilMany, ceilFew, ceilOne, ceilEnd)

#define ROUND_STEP(v) FRINTN_4S(v, v)
#define ROUND_OP(EACH) EACH(ROUND_STEP)

// func RoundNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·RoundNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(ROUND_OP, roundMany, roundFew, roundOne, roundEnd)

#define ABS_STEP(v) FABS_4S(v, v)
#define ABS_OP(EACH) EACH(ABS_STEP)

// func AbsNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·AbsNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(ABS_OP, absMany, absFew, absOne, absEnd)

#define NEG_STEP(v) FNEG_4S(v, v)
#define NEG_OP(EACH) EACH(NEG_STEP)

// func NegNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·NegNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	MAP(NEG_OP, negMany, negFew, negOne, negEnd)

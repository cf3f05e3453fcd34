//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"
#include "macros_elementwise_arm64.h"

// Elementwise kernels. Each does the operations of its portable twin in the same
// order, so the bits are equal. Callers give whole vectors; the rest of a slice is
// done in Go.

#define ARITH_ARGS \
	MOVD dst+0(FP), R1; \
	MOVD a+8(FP), R2; \
	MOVD b+16(FP), R3; \
	MOVD n+24(FP), R4; \
	FMOVS lo+32(FP), F16; \
	FMOVS hi+36(FP), F17; \
	VDUP V16.S[0], V16.S4; \
	VDUP V17.S[0], V17.S4

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
	VDUP R5, V24.H8
	VDUP R6, V25.H8

qadd16:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	SXTL_8H(0, 2)
	SXTL2_8H(0, 3)
	SXTL_8H(1, 8)
	SXTL2_8H(1, 9)
	VSUB V24.H8, V2.H8, V2.H8
	VSUB V24.H8, V3.H8, V3.H8
	VSUB V25.H8, V8.H8, V8.H8
	VSUB V25.H8, V9.H8, V9.H8
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

// CLAMP_STORE clamps V0 by comparison, for FMAX and FMIN treat -0 and NaN
// differently.
#define CLAMP_STORE \
	FCMGT_4S(0, 16, 2); \
	BIT_16B(2, 16, 0); \
	FCMGT_4S(17, 0, 2); \
	BIT_16B(2, 17, 0); \
	FMOVQ.P F0, 16(R1)

// LESS(x, lo) sets lo to x<lo ? x : lo, and MORE likewise, so a NaN is passed
// over. FMIN would make it the result and prefers -0 to +0. Clobber V3.
#define LESS(x, lo) \
	FCMGT_4S(x, lo, 3); \
	BIT_16B(3, x, lo)

#define MORE(x, hi) \
	FCMGT_4S(hi, x, 3); \
	BIT_16B(3, x, hi)

// func AddNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·AddNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

add4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FADD_4S(1, 0, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  add4
	RET

// func SubNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·SubNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

sub4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FSUB_4S(1, 0, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  sub4
	RET

// func MulNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MulNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

mul4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FMUL_4S(1, 0, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  mul4
	RET

// func DivNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·DivNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

div4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FDIV_4S(1, 0, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  div4
	RET

// func SquaredDifferenceNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·SquaredDifferenceNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

squared4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FSUB_4S(1, 0, 0)
	FMUL_4S(0, 0, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  squared4
	RET

// func MaxNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MaxNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

max4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	MORE(1, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  max4
	RET

// func MinNEON(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·MinNEON(SB), NOSPLIT, $0-40
	ARITH_ARGS

min4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	LESS(1, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  min4
	RET

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

cell4:
	FMOVQ (R1), F0
	FMOVQ.P 16(R5), F1
	FMOVQ.P 16(R2), F4
	FMOVQ.P 16(R3), F5
	FMUL_4S(1, 0, 0)
	FMLA_4S(5, 4, 0)
	CLAMP_STORE
	SUBS $4, R4
	BNE  cell4
	RET

// func SpanNEON(src unsafe.Pointer, n uintptr) (lo, hi float32)
TEXT ·SpanNEON(SB), NOSPLIT, $0-24
	MOVD src+0(FP), R0
	MOVD n+8(FP), R1
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16

span4:
	FMOVQ.P 16(R0), F2
	LESS(2, 0)
	MORE(2, 1)
	SUBS $4, R1
	BNE  span4

	VEXT $8, V0.B16, V0.B16, V2.B16
	LESS(2, 0)
	VEXT $4, V0.B16, V0.B16, V2.B16
	LESS(2, 0)
	VEXT $8, V1.B16, V1.B16, V2.B16
	MORE(2, 1)
	VEXT $4, V1.B16, V1.B16, V2.B16
	MORE(2, 1)
	FMOVS F0, lo+16(FP)
	FMOVS F1, hi+20(FP)
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

// func DynNEON(dst, sums, wsum, scale, bias unsafe.Pointer, n uintptr, p *DynArgs)
TEXT ·DynNEON(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R1
	MOVD sums+8(FP), R2
	MOVD wsum+16(FP), R3
	MOVD scale+24(FP), R4
	MOVD bias+32(FP), R5
	MOVD n+40(FP), R6
	MOVD p+48(FP), R0
	VLD1R.P 4(R0), [V16.S4]            // Scale, Zero, Lo, Hi
	VLD1R.P 4(R0), [V17.S4]
	VLD1R.P 4(R0), [V18.S4]
	VLD1R (R0), [V19.S4]

dyn4:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	FMOVQ.P 16(R4), F2
	FMOVQ.P 16(R5), F4
	MUL_4S(17, 1, 1)
	VSUB V1.S4, V0.S4, V0.S4
	SCVTF_4S(0, 0)
	FMUL_4S(16, 2, 2)
	FMUL_4S(2, 0, 0)
	FADD_4S(4, 0, 0)
	FCMGT_4S(0, 18, 3)
	BIT_16B(3, 18, 0)
	FCMGT_4S(19, 0, 3)
	BIT_16B(3, 19, 0)
	FMOVQ.P F0, 16(R1)
	SUBS $4, R6
	BNE  dyn4
	RET

// The constants of exp and tanh, in the order in which they are loaded.
DATA unary<>+0(SB)/4, $0x3fb8aa3b  // V16: log2 e
DATA unary<>+4(SB)/4, $0x4b400000  // V17: 1.5*2**23
DATA unary<>+8(SB)/4, $0xbf317218  // V18: -ln 2, high part
DATA unary<>+12(SB)/4, $0x3102e308 // V19: -ln 2, low part
DATA unary<>+16(SB)/4, $0x3ab511eb // V20: the polynomial of exp
DATA unary<>+20(SB)/4, $0x3c091cf7 // V21: 0.008368722
DATA unary<>+24(SB)/4, $0x3d2aac79 // V22: 0.04166839
DATA unary<>+28(SB)/4, $0x3e2aaa49 // V23: 0.16666521
DATA unary<>+32(SB)/4, $0x3efffffe // V24: 0.49999994
DATA unary<>+36(SB)/4, $0x3f800000 // V25: 1
DATA unary<>+40(SB)/4, $127        // V26: bias of a float's exponent
DATA unary<>+44(SB)/4, $0x42b20000 // V27: 89
DATA unary<>+48(SB)/4, $0xc2d00000 // V28: -104
DATA unary<>+52(SB)/4, $0x7f800000 // V29: infinity
DATA unary<>+56(SB)/4, $0x40000000 // V30: 2
DATA unary<>+60(SB)/4, $0x80000000 // V31: the sign
DATA unary<>+64(SB)/4, $0xbbbaeee7 // V8: the polynomial of tanh
DATA unary<>+68(SB)/4, $0x3ca912d0 // V9: 0.020638853
DATA unary<>+72(SB)/4, $0xbd5c1e17 // V10: -0.053739633
DATA unary<>+76(SB)/4, $0x3e088393 // V11: 0.13331442
DATA unary<>+80(SB)/4, $0xbeaaaa99 // V12: -0.3333328
DATA unary<>+84(SB)/4, $0x3f200000 // V13: 0.625
DATA unary<>+88(SB)/4, $0x4111999a // V14: 9.1
GLOBL unary<>(SB), RODATA|NOPTR, $92

#define EXP_CONSTANTS \
	MOVD $unary<>(SB), R3; \
	VLD1R.P 4(R3), [V16.S4]; \
	VLD1R.P 4(R3), [V17.S4]; \
	VLD1R.P 4(R3), [V18.S4]; \
	VLD1R.P 4(R3), [V19.S4]; \
	VLD1R.P 4(R3), [V20.S4]; \
	VLD1R.P 4(R3), [V21.S4]; \
	VLD1R.P 4(R3), [V22.S4]; \
	VLD1R.P 4(R3), [V23.S4]; \
	VLD1R.P 4(R3), [V24.S4]; \
	VLD1R.P 4(R3), [V25.S4]; \
	VLD1R.P 4(R3), [V26.S4]; \
	VLD1R.P 4(R3), [V27.S4]; \
	VLD1R.P 4(R3), [V28.S4]; \
	VLD1R.P 4(R3), [V29.S4]; \
	VLD1R.P 4(R3), [V30.S4]; \
	VLD1R.P 4(R3), [V31.S4]

// EXP_REDUCE writes V0 as n*ln 2 + r and sets V2 to n (an integer), V3 to r and V1
// to the polynomial q with e**r = 1 + r + r*r*q. Clobbers V4. (exp32 of package
// kernels)
#define EXP_REDUCE \
	VMOV V17.B16, V2.B16; \            // n = rne(x*log2 e), by the magic number
	FMLA_4S(16, 0, 2); \
	FSUB_4S(17, 2, 2); \
	VMOV V0.B16, V3.B16; \
	FMLA_4S(18, 2, 3); \
	FMLA_4S(19, 2, 3); \
	VMOV V21.B16, V4.B16; \
	VMOV V22.B16, V1.B16; \
	FMLA_4S(20, 3, 4); \
	FCVTZS_4S(2, 2); \
	FMLA_4S(4, 3, 1); \
	VMOV V23.B16, V4.B16; \
	FMLA_4S(1, 3, 4); \
	VMOV V24.B16, V1.B16; \
	FMLA_4S(4, 3, 1)

// EXP_SCALE makes e**x in V1 of what EXP_REDUCE left. Clobbers V2, V4 and V5.
#define EXP_SCALE \
	VMOV V25.B16, V4.B16; \
	FMLA_4S(1, 3, 4); \
	VMOV V25.B16, V1.B16; \
	FMLA_4S(4, 3, 1); \
	SSHR1_4S(2, 5); \                  // 2**n in two factors
	VSUB V5.S4, V2.S4, V2.S4; \
	VADD V26.S4, V5.S4, V5.S4; \
	VADD V26.S4, V2.S4, V2.S4; \
	VSHL $23, V5.S4, V5.S4; \
	VSHL $23, V2.S4, V2.S4; \
	FMUL_4S(5, 1, 1); \
	FMUL_4S(2, 1, 1)

// EXP sets V1 to e**V0 where V0 lies in the range of finite results; other lanes
// hold anything. Clobbers V2-V5.
#define EXP \
	EXP_REDUCE; \
	EXP_SCALE

// MAP_ARGS loads the arguments that the functions of one slice share.
#define MAP_ARGS \
	MOVD dst+0(FP), R0; \
	MOVD src+8(FP), R1; \
	MOVD n+16(FP), R2

// MAP_NEXT stores V1 and goes on to the next vector at label, or returns.
#define MAP_NEXT(label) \
	FMOVQ.P F1, 16(R0); \
	SUBS $4, R2; \
	BNE  label; \
	RET

// func ExpNEON(dst, src unsafe.Pointer, n uintptr, sub float32)
TEXT ·ExpNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	FMOVS sub+24(FP), F6
	VDUP V6.S[0], V6.S4
	EXP_CONSTANTS

exp4:
	FMOVQ.P 16(R1), F0
	FSUB_4S(6, 0, 0)
	EXP
	FCMGT_4S(0, 28, 2)                 // x < -104: 0
	BIC_16B(2, 1, 1)
	FCMGT_4S(27, 0, 2)                 // x > 89: infinity
	BIT_16B(2, 29, 1)
	MAP_NEXT(exp4)

// SIGMOID sets V1 to 1/(1+e**-V6). V7 is 0. Clobbers V0 and V2-V5.
#define SIGMOID \
	FABS_4S(6, 0); \
	FNEG_4S(0, 0); \
	EXP; \                             // e = e**-|x|
	FCMGT_4S(0, 28, 2); \
	BIC_16B(2, 1, 1); \
	FCMGT_4S(6, 7, 2); \               // x < 0 ? e : 1
	VMOV V25.B16, V3.B16; \
	BIT_16B(2, 1, 3); \
	FADD_4S(1, 25, 1); \
	FDIV_4S(1, 3, 1)

// func SigmoidNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS
	VMOVI $0, V7.B16

sigmoid4:
	FMOVQ.P 16(R1), F6
	SIGMOID
	MAP_NEXT(sigmoid4)

// func SiluNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SiluNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS
	VMOVI $0, V7.B16

silu4:
	FMOVQ.P 16(R1), F6
	SIGMOID
	FMUL_4S(6, 1, 1)
	MAP_NEXT(silu4)

#define TANH_CONSTANTS \
	EXP_CONSTANTS; \
	VLD1R.P 4(R3), [V8.S4]; \
	VLD1R.P 4(R3), [V9.S4]; \
	VLD1R.P 4(R3), [V10.S4]; \
	VLD1R.P 4(R3), [V11.S4]; \
	VLD1R.P 4(R3), [V12.S4]; \
	VLD1R.P 4(R3), [V13.S4]; \
	VLD1R (R3), [V14.S4]

// TANH sets V1 to the hyperbolic tangent of V6. Clobbers V0, V2-V5 and V7.
#define TANH \
	FABS_4S(6, 7); \                   // a
	FADD_4S(7, 7, 0); \
	EXP; \                             // e**2a
	FADD_4S(25, 1, 1); \
	FDIV_4S(1, 30, 1); \
	FSUB_4S(1, 25, 1); \               // t = 1 - 2/(e**2a + 1)
	FCMGT_4S(7, 14, 2); \              // a < 9.1 ? t : 1
	BIF_16B(2, 25, 1); \
	FMUL_4S(6, 6, 3); \                // z = x*x
	VMOV V9.B16, V4.B16; \
	FMLA_4S(8, 3, 4); \
	VMOV V10.B16, V5.B16; \
	FMLA_4S(4, 3, 5); \
	VMOV V11.B16, V4.B16; \
	FMLA_4S(5, 3, 4); \
	VMOV V12.B16, V5.B16; \
	FMLA_4S(4, 3, 5); \
	FMUL_4S(3, 6, 3); \                // fma(x*z, p, x)
	VMOV V6.B16, V4.B16; \
	FMLA_4S(5, 3, 4); \
	FCMGT_4S(7, 13, 2); \              // a < 0.625
	BIT_16B(2, 4, 1); \
	BIT_16B(31, 6, 1); \               // the sign of x
	FCMEQ_4S(6, 6, 2); \               // NaN stays
	BIF_16B(2, 6, 1)

// func TanhNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·TanhNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	TANH_CONSTANTS

tanh4:
	FMOVQ.P 16(R1), F6
	TANH
	MAP_NEXT(tanh4)

DATA gelu<>+0(SB)/4, $0x3d372713 // V27: 0.044715
DATA gelu<>+4(SB)/4, $0x3f4c422a // V28: sqrt(2/pi)
DATA gelu<>+8(SB)/4, $0x3f000000 // V29, V13: 0.5
DATA gelu<>+12(SB)/4, $0x3f3504f3 // V12: 1/sqrt 2
GLOBL gelu<>(SB), RODATA|NOPTR, $16

// func GeluTanhNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluTanhNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	TANH_CONSTANTS
	MOVD $gelu<>(SB), R3               // TANH does without V27-V29
	VLD1R.P 4(R3), [V27.S4]
	VLD1R.P 4(R3), [V28.S4]
	VLD1R (R3), [V29.S4]

geluTanh4:
	FMOVQ.P 16(R1), F15
	FMUL_4S(15, 15, 6)                 // sqrt(2/pi) * (x + 0.044715*x**3)
	FMUL_4S(15, 6, 6)
	FMUL_4S(27, 6, 6)
	FADD_4S(15, 6, 6)
	FMUL_4S(28, 6, 6)
	TANH
	FADD_4S(25, 1, 1)
	FMUL_4S(29, 15, 2)
	FMUL_4S(2, 1, 1)
	MAP_NEXT(geluTanh4)

// The constants of erf, in the order in which they are used.
DATA erf<>+0(SB)/4, $0x38a4af03  // the polynomial below 1
DATA erf<>+4(SB)/4, $0xba51f932  // -0.000800985
DATA erf<>+8(SB)/4, $0x3baa0285  // 0.0051882886
DATA erf<>+12(SB)/4, $0xbcdbfc7c // -0.026853792
DATA erf<>+16(SB)/4, $0x3de7167b // 0.11283585
DATA erf<>+20(SB)/4, $0xbec0939f // -0.37612626
DATA erf<>+24(SB)/4, $0x3e0375d4 // 0.12837917
DATA erf<>+28(SB)/4, $0xb7b63dfd // the polynomial of log(erfc) from 1 to 4
DATA erf<>+32(SB)/4, $0x39e7a2f0 // 0.0004418115
DATA erf<>+36(SB)/4, $0xbb89db46 // -0.0042070476
DATA erf<>+40(SB)/4, $0x3cce9061 // 0.02521533
DATA erf<>+44(SB)/4, $0xbdde10c3 // -0.10843041
DATA erf<>+48(SB)/4, $0xbf2219f0 // -0.6332083
DATA erf<>+52(SB)/4, $0xbf90963b // -1.1295847
DATA erf<>+56(SB)/4, $0x3946a510 // 0.00018944242
DATA erf<>+60(SB)/4, $0x40800000 // 4
GLOBL erf<>(SB), RODATA|NOPTR, $64

// TERM(p, x, T, t) sets v<t>, which T names, to the next constant at R4 plus v<p>*v<x>.
#define TERM(p, x, T, t) \
	VLD1R.P 4(R4), [T.S4]; \
	FMLA_4S(p, x, t)

// ERF sets V1 to the error function of V6. Clobbers V0, V2-V5, V7-V9 and R4. (erf32
// of package kernels)
#define ERF \
	MOVD $erf<>(SB), R4; \
	FABS_4S(6, 7); \                   // a
	FMUL_4S(6, 6, 9); \                // below 1: fma(x, p(x*x), x)
	VLD1R.P 4(R4), [V4.S4]; \
	TERM(4, 9, V5, 5); \
	TERM(5, 9, V4, 4); \
	TERM(4, 9, V5, 5); \
	TERM(5, 9, V4, 4); \
	TERM(4, 9, V5, 5); \
	TERM(5, 9, V4, 4); \
	VMOV V6.B16, V8.B16; \
	FMLA_4S(4, 6, 8); \
	VLD1R.P 4(R4), [V4.S4]; \          // to 4: 1 - e**g(a)
	TERM(4, 7, V5, 5); \
	TERM(5, 7, V4, 4); \
	TERM(4, 7, V5, 5); \
	TERM(5, 7, V4, 4); \
	TERM(4, 7, V5, 5); \
	TERM(5, 7, V4, 4); \
	TERM(4, 7, V0, 0); \
	EXP; \
	FSUB_4S(1, 25, 1); \
	VLD1R (R4), [V3.S4]; \
	FCMGT_4S(7, 3, 2); \               // a < 4 ? t : 1
	BIF_16B(2, 25, 1); \
	BIT_16B(31, 6, 1); \               // the sign of x
	FCMGT_4S(7, 25, 2); \              // a < 1
	BIT_16B(2, 8, 1); \
	FCMEQ_4S(6, 6, 2); \               // NaN stays
	BIF_16B(2, 6, 1)

// func ErfNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·ErfNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS

erf4:
	FMOVQ.P 16(R1), F6
	ERF
	MAP_NEXT(erf4)

// func GeluNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS
	MOVD $gelu<>+8(SB), R3
	VLD1R.P 4(R3), [V13.S4]
	VLD1R (R3), [V12.S4]

gelu4:
	FMOVQ.P 16(R1), F11
	FMUL_4S(12, 11, 6)
	ERF
	FADD_4S(25, 1, 1)
	FMUL_4S(13, 11, 2)
	FMUL_4S(2, 1, 1)
	MAP_NEXT(gelu4)

DATA elu<>+0(SB)/4, $0xbeb17218 // -ln(2)/2
GLOBL elu<>(SB), RODATA|NOPTR, $4

// func EluNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·EluNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	EXP_CONSTANTS
	FMOVS alpha+24(FP), F8
	VDUP V8.S[0], V8.S4
	MOVD $elu<>(SB), R3
	VLD1R (R3), [V9.S4]
	VMOVI $0, V10.B16

elu4:
	FMOVQ.P 16(R1), F0
	EXP_REDUCE
	FMUL_4S(0, 0, 6)                   // above -ln(2)/2, where r = x: fma(x*x, q, x)
	VMOV V0.B16, V7.B16
	FMLA_4S(1, 6, 7)
	BIT_16B(31, 0, 7)
	EXP_SCALE
	FCMGT_4S(0, 28, 2)
	BIC_16B(2, 1, 1)
	FSUB_4S(25, 1, 1)
	FCMGT_4S(9, 0, 2)
	BIT_16B(2, 7, 1)
	FMUL_4S(8, 1, 1)
	FCMGT_4S(0, 10, 2)                 // x < 0 ? a*(e**x - 1) : x
	BIF_16B(2, 0, 1)
	MAP_NEXT(elu4)

// The constants of log, in the order in which they are used.
DATA log<>+0(SB)/4, $0x00800000  // 2**-126, the least normal number
DATA log<>+4(SB)/4, $0x4c000000  // 2**25
DATA log<>+8(SB)/4, $0xc1c80000  // -25
DATA log<>+12(SB)/4, $0x3f3504f3 // sqrt(1/2)
DATA log<>+16(SB)/4, $0x3f800000 // 1
DATA log<>+20(SB)/4, $0x3d8a3a76 // the polynomial
DATA log<>+24(SB)/4, $0xbdef2c32 // -0.116783515
DATA log<>+28(SB)/4, $0x3df37908 // 0.11888319
DATA log<>+32(SB)/4, $0xbdfe0e63 // -0.12405088
DATA log<>+36(SB)/4, $0x3e119b73 // 0.14219455
DATA log<>+40(SB)/4, $0xbe2aae3b // -0.16668026
DATA log<>+44(SB)/4, $0x3e4cd25f // 0.20002125
DATA log<>+48(SB)/4, $0xbe800003 // -0.2500001
DATA log<>+52(SB)/4, $0x3eaaaaa4 // 0.33333313
DATA log<>+56(SB)/4, $0xb95e8083 // ln 2, low part
DATA log<>+60(SB)/4, $0xbf000000 // -0.5
DATA log<>+64(SB)/4, $0x3f318000 // ln 2, high part with trailing zeros
DATA log<>+68(SB)/4, $0xff800000 // -infinity
DATA log<>+72(SB)/4, $0x7fc00000 // NaN
DATA log<>+76(SB)/4, $0x7f7fffff // the greatest finite number
GLOBL log<>(SB), RODATA|NOPTR, $80

// LOG sets V1 to the natural logarithm of V6. V15 is 0. Clobbers V0, V2-V5, V7 and
// R4. (log32 of package kernels)
#define LOG \
	MOVD $log<>(SB), R4; \
	VLD1R.P 4(R4), [V2.S4]; \
	VLD1R.P 4(R4), [V3.S4]; \
	VLD1R.P 4(R4), [V7.S4]; \
	FCMGT_4S(6, 2, 2); \               // x < 2**-126: 2**25*x, e = -25
	FMUL_4S(3, 6, 3); \
	VMOV V6.B16, V0.B16; \
	BIT_16B(2, 3, 0); \
	VAND V2.B16, V7.B16, V7.B16; \
	VLD1R.P 4(R4), [V5.S4]; \
	VLD1R.P 4(R4), [V4.S4]; \
	VSUB V5.S4, V0.S4, V2.S4; \        // x = 2**k * (1+f)
	SSHR23_4S(2, 2); \
	SCVTF_4S(2, 3); \
	FADD_4S(3, 7, 7); \
	VSHL $23, V2.S4, V2.S4; \
	VSUB V2.S4, V0.S4, V0.S4; \
	FSUB_4S(4, 0, 0); \
	VLD1R.P 4(R4), [V1.S4]; \
	TERM(1, 0, V2, 2); \
	TERM(2, 0, V1, 1); \
	TERM(1, 0, V2, 2); \
	TERM(2, 0, V1, 1); \
	TERM(1, 0, V2, 2); \
	TERM(2, 0, V1, 1); \
	TERM(1, 0, V2, 2); \
	TERM(2, 0, V1, 1); \
	FMUL_4S(0, 0, 3); \                // z = f*f
	FMUL_4S(3, 0, 4); \                // y = f*z*p
	FMUL_4S(4, 1, 1); \
	VLD1R.P 4(R4), [V2.S4]; \
	FMLA_4S(2, 7, 1); \
	VLD1R.P 4(R4), [V2.S4]; \
	FMLA_4S(2, 3, 1); \
	FADD_4S(0, 1, 1); \
	VLD1R.P 4(R4), [V2.S4]; \
	FMLA_4S(2, 7, 1); \
	VLD1R.P 4(R4), [V3.S4]; \
	FCMEQ_4S(15, 6, 2); \              // 0: -infinity
	BIT_16B(2, 3, 1); \
	VLD1R.P 4(R4), [V3.S4]; \
	FCMGT_4S(6, 15, 2); \              // below: NaN
	BIT_16B(2, 3, 1); \
	VLD1R (R4), [V3.S4]; \
	FCMGT_4S(3, 6, 2); \               // infinity and NaN stay
	BIT_16B(2, 6, 1); \
	FCMEQ_4S(6, 6, 2); \
	BIF_16B(2, 6, 1)

// func LogNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·LogNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVI $0, V15.B16

log4:
	FMOVQ.P 16(R1), F6
	LOG
	MAP_NEXT(log4)

// func SoftplusNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SoftplusNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS
	VMOVI $0, V15.B16

softplus4:
	FMOVQ.P 16(R1), F8
	FABS_4S(8, 0)
	FNEG_4S(0, 0)
	EXP
	FCMGT_4S(0, 28, 2)
	BIC_16B(2, 1, 1)
	FADD_4S(25, 1, 6)
	LOG
	FADD_4S(8, 1, 2)                   // x > 0 ? x + log(1 + e**-|x|) : log(1 + e**-|x|)
	FCMGT_4S(15, 8, 3)
	BIT_16B(3, 2, 1)
	MAP_NEXT(softplus4)

// func ClampNEON(dst, src unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·ClampNEON(SB), NOSPLIT, $0-32
	MAP_ARGS
	FMOVS lo+24(FP), F16
	FMOVS hi+28(FP), F17
	VDUP V16.S[0], V16.S4
	VDUP V17.S[0], V17.S4

clamp4:
	FMOVQ.P 16(R1), F1
	FCMGT_4S(1, 16, 2)
	BIT_16B(2, 16, 1)
	FCMGT_4S(17, 1, 2)
	BIT_16B(2, 17, 1)
	MAP_NEXT(clamp4)

// func LeakyNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·LeakyNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	FMOVS alpha+24(FP), F8
	VDUP V8.S[0], V8.S4
	VMOVI $0, V10.B16

leaky4:
	FMOVQ.P 16(R1), F1
	FMUL_4S(8, 1, 3)
	FCMGT_4S(1, 10, 2)                 // x < 0 ? a*x : x
	BIT_16B(2, 3, 1)
	MAP_NEXT(leaky4)

// func HardSwishNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·HardSwishNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $3.0, F8
	FMOVS $6.0, F9
	VDUP V8.S[0], V8.S4
	VDUP V9.S[0], V9.S4
	VMOVI $0, V10.B16

hardSwish4:
	FMOVQ.P 16(R1), F0
	FADD_4S(8, 0, 1)
	FCMGT_4S(1, 10, 2)
	BIT_16B(2, 10, 1)
	FCMGT_4S(9, 1, 2)
	BIT_16B(2, 9, 1)
	FMUL_4S(1, 0, 1)
	FDIV_4S(9, 1, 1)
	MAP_NEXT(hardSwish4)

// func HardSigmoidNEON(dst, src unsafe.Pointer, n uintptr, alpha, beta float32)
TEXT ·HardSigmoidNEON(SB), NOSPLIT, $0-32
	MAP_ARGS
	FMOVS alpha+24(FP), F8
	FMOVS beta+28(FP), F9
	FMOVS $1.0, F11
	VDUP V8.S[0], V8.S4
	VDUP V9.S[0], V9.S4
	VDUP V11.S[0], V11.S4
	VMOVI $0, V10.B16

hardSigmoid4:
	FMOVQ.P 16(R1), F0
	VMOV V9.B16, V1.B16
	FMLA_4S(8, 0, 1)
	FCMGT_4S(1, 10, 2)
	BIT_16B(2, 10, 1)
	FCMGT_4S(11, 1, 2)
	BIT_16B(2, 11, 1)
	MAP_NEXT(hardSigmoid4)

// func DivideNEON(dst, src unsafe.Pointer, n uintptr, by float32)
TEXT ·DivideNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	FMOVS by+24(FP), F8
	VDUP V8.S[0], V8.S4

divide4:
	FMOVQ.P 16(R1), F1
	FDIV_4S(8, 1, 1)
	MAP_NEXT(divide4)

// func SqrtNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SqrtNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

sqrt4:
	FMOVQ.P 16(R1), F1
	FSQRT_4S(1, 1)
	MAP_NEXT(sqrt4)

// func RsqrtNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·RsqrtNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $1.0, F8
	VDUP V8.S[0], V8.S4

rsqrt4:
	FMOVQ.P 16(R1), F1
	FSQRT_4S(1, 1)
	FDIV_4S(1, 8, 1)
	MAP_NEXT(rsqrt4)

// func ReciprocalNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·ReciprocalNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	FMOVS $1.0, F8
	VDUP V8.S[0], V8.S4

reciprocal4:
	FMOVQ.P 16(R1), F1
	FDIV_4S(1, 8, 1)
	MAP_NEXT(reciprocal4)

// func FloorNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·FloorNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

floor4:
	FMOVQ.P 16(R1), F1
	FRINTM_4S(1, 1)
	MAP_NEXT(floor4)

// func CeilNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·CeilNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

ceil4:
	FMOVQ.P 16(R1), F1
	FRINTP_4S(1, 1)
	MAP_NEXT(ceil4)

// func RoundNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·RoundNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

round4:
	FMOVQ.P 16(R1), F1
	FRINTN_4S(1, 1)
	MAP_NEXT(round4)

// func AbsNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·AbsNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

abs4:
	FMOVQ.P 16(R1), F1
	FABS_4S(1, 1)
	MAP_NEXT(abs4)

// func NegNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·NegNEON(SB), NOSPLIT, $0-24
	MAP_ARGS

neg4:
	FMOVQ.P 16(R1), F1
	FNEG_4S(1, 1)
	MAP_NEXT(neg4)

//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

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

// LESS(x, lo) sets lo to x<lo ? x : lo, and MORE likewise, so a NaN is passed
// over. FMIN would make it the result and prefers -0 to +0. Clobber V3.
#define LESS(x, lo) \
	FCMGT_4S(x, lo, 3); \
	BIT_16B(3, x, lo)

#define MORE(x, hi) \
	FCMGT_4S(hi, x, 3); \
	BIT_16B(3, x, hi)

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

// EXP sets V1 to e**V0 where V0 lies in the range of finite results; other lanes
// hold anything. Clobbers V2-V5. (exp32 of package kernels)
#define EXP \
	VMOV V17.B16, V2.B16; \            // n = rne(x*log2 e), by the magic number
	FMLA_4S(16, 0, 2); \
	FSUB_4S(17, 2, 2); \
	VMOV V0.B16, V3.B16; \             // r = x - n*ln 2
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
	FMLA_4S(4, 3, 1); \
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

// func ExpNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·ExpNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	EXP_CONSTANTS

exp4:
	FMOVQ.P 16(R1), F0
	EXP
	FCMGT_4S(0, 28, 2)                 // x < -104: 0
	BIC_16B(2, 1, 1)
	FCMGT_4S(27, 0, 2)                 // x > 89: infinity
	BIT_16B(2, 29, 1)
	FMOVQ.P F1, 16(R0)
	SUBS $4, R2
	BNE  exp4
	RET

// func SigmoidNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	EXP_CONSTANTS
	VMOVI $0, V7.B16

sigmoid4:
	FMOVQ.P 16(R1), F6
	FABS_4S(6, 0)
	FNEG_4S(0, 0)
	EXP                                // e = e**-|x|
	FCMGT_4S(0, 28, 2)
	BIC_16B(2, 1, 1)
	FCMGT_4S(6, 7, 2)                  // x < 0 ? e : 1
	VMOV V25.B16, V3.B16
	BIT_16B(2, 1, 3)
	FADD_4S(1, 25, 1)
	FDIV_4S(1, 3, 1)
	FMOVQ.P F1, 16(R0)
	SUBS $4, R2
	BNE  sigmoid4
	RET

// func TanhNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·TanhNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	EXP_CONSTANTS
	VLD1R.P 4(R3), [V8.S4]
	VLD1R.P 4(R3), [V9.S4]
	VLD1R.P 4(R3), [V10.S4]
	VLD1R.P 4(R3), [V11.S4]
	VLD1R.P 4(R3), [V12.S4]
	VLD1R.P 4(R3), [V13.S4]
	VLD1R (R3), [V14.S4]

tanh4:
	FMOVQ.P 16(R1), F6
	FABS_4S(6, 7)                      // a
	FADD_4S(7, 7, 0)
	EXP                                // e**2a
	FADD_4S(25, 1, 1)
	FDIV_4S(1, 30, 1)
	FSUB_4S(1, 25, 1)                  // t = 1 - 2/(e**2a + 1)
	FCMGT_4S(7, 14, 2)                 // a < 9.1 ? t : 1
	BIF_16B(2, 25, 1)
	FMUL_4S(6, 6, 3)                   // z = x*x
	VMOV V9.B16, V4.B16
	FMLA_4S(8, 3, 4)
	VMOV V10.B16, V5.B16
	FMLA_4S(4, 3, 5)
	VMOV V11.B16, V4.B16
	FMLA_4S(5, 3, 4)
	VMOV V12.B16, V5.B16
	FMLA_4S(4, 3, 5)
	FMUL_4S(3, 6, 3)                   // fma(x*z, p, x)
	VMOV V6.B16, V4.B16
	FMLA_4S(5, 3, 4)
	FCMGT_4S(7, 13, 2)                 // a < 0.625
	BIT_16B(2, 4, 1)
	BIT_16B(31, 6, 1)                  // the sign of x
	FCMEQ_4S(6, 6, 2)                  // NaN stays
	BIF_16B(2, 6, 1)
	FMOVQ.P F1, 16(R0)
	SUBS $4, R2
	BNE  tanh4
	RET

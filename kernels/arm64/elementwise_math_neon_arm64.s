//go:build !purego

#include "textflag.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"

// Functions by polynomials. Each does the operations of its portable twin in the same
// order, so the bits are equal.
//
// A polynomial is one long chain of multiply-adds, so two vectors go side by side: one in
// V0-V7, the other in V8-V15. Constants are in V16-V31 or, where these do not suffice,
// behind R4 in the order of their use. If one vector is left at the end, both are that
// vector and are stored to the same place.

#define BOTH(op, m, n, d) \
	op(m, n, d); \
	op(m+8, n+8, d+8)

#define BOTH_1(op, n, d) \
	op(n, d); \
	op(n+8, d+8)

// BOTH_M and BOTH_N have a constant for their first or second operand.
#define BOTH_M(op, m, n, d) \
	op(m, n, d); \
	op(m, n+8, d+8)

#define BOTH_N(op, m, n, d) \
	op(m, n, d); \
	op(m+8, n, d+8)

// COPY(c, d) sets both to a constant, NEXT(d) to the next one behind R4.
#define COPY(c, d) \
	MOV_16B(c, d); \
	MOV_16B(c, d+8)

#define NEXT(d) \
	LD1R_4S(4, d); \
	LD1R_4S_P(4, d+8)

// TERM(p, x, d) sets d to the next constant plus p*x.
#define TERM(p, x, d) \
	NEXT(d); \
	BOTH(FMLA_4S, p, x, d)

// MAP_ARGS loads the arguments that the functions share. R6 is the step to a second
// vector.
#define MAP_ARGS \
	MOVD dst+0(FP), R0; \
	MOVD src+8(FP), R1; \
	MOVD n+16(FP), R2; \
	MOVD $16, R6

// LOAD(f, v) begins a passage: it loads the next vectors to f, which is v<v>, and to
// v<v+8>. STORE(label) ends it: V1 and V9 are the results. The flags in between tell
// whether it is the last.
#define LOAD(f, v) \
	SUBS $8, R2; \
	CSEL GE, R6, ZR, R7; \
	RELOAD(f, v)

#define RELOAD(f, v) \
	FMOVQ (R1), f; \
	LDRQ_X(7, 1, v+8)

#define STORE(label) \
	FMOVQ F1, (R0); \
	STRQ_X(7, 0, 9); \
	ADD   $32, R1; \
	ADD   $32, R0; \
	BGT   label; \
	RET

// The constants of exp, in the order in which they are loaded, and others that many use.
DATA exp<>+0(SB)/4, $0x3fb8aa3b  // V16: log2 e
DATA exp<>+4(SB)/4, $0x4b400000  // V17: 1.5*2**23
DATA exp<>+8(SB)/4, $0xbf317218  // V18: -ln 2, high part
DATA exp<>+12(SB)/4, $0x3102e308 // V19: -ln 2, low part
DATA exp<>+16(SB)/4, $0x3ab511eb // V20: the polynomial of exp
DATA exp<>+20(SB)/4, $0x3c091cf7 // V21: 0.008368722
DATA exp<>+24(SB)/4, $0x3d2aac79 // V22: 0.04166839
DATA exp<>+28(SB)/4, $0x3e2aaa49 // V23: 0.16666521
DATA exp<>+32(SB)/4, $0x3efffffe // V24: 0.49999994
DATA exp<>+36(SB)/4, $0x3f800000 // V25: 1
DATA exp<>+40(SB)/4, $127        // V26: bias of a float's exponent
DATA exp<>+44(SB)/4, $0xc2d00000 // V27: -104
DATA exp<>+48(SB)/4, $0x80000000 // V28: the sign
GLOBL exp<>(SB), RODATA|NOPTR, $52

// EXP_CONSTANTS loads them, and leaves V29-V31 to the functions. V31 is 0.
#define EXP_CONSTANTS \
	MOVD $exp<>(SB), R4; \
	LD1R_4S_P(4, 16); \
	LD1R_4S_P(4, 17); \
	LD1R_4S_P(4, 18); \
	LD1R_4S_P(4, 19); \
	LD1R_4S_P(4, 20); \
	LD1R_4S_P(4, 21); \
	LD1R_4S_P(4, 22); \
	LD1R_4S_P(4, 23); \
	LD1R_4S_P(4, 24); \
	LD1R_4S_P(4, 25); \
	LD1R_4S_P(4, 26); \
	LD1R_4S_P(4, 27); \
	LD1R_4S(4, 28); \
	VMOVI $0, V31.B16

// EXP_REDUCE writes V0 as n*ln 2 + r and sets V2 to n (an integer), V3 to r and V1
// to the polynomial q with e**r = 1 + r + r*r*q. Clobbers V4. (exp32 of package
// kernels)
#define EXP_REDUCE \
	COPY(17, 2); \                     // n = rne(x*log2 e), by the magic number
	BOTH_M(FMLA_4S, 16, 0, 2); \
	BOTH_1(MOV_16B, 0, 3); \
	BOTH_M(FSUB_4S, 17, 2, 2); \
	COPY(21, 4); \
	COPY(22, 1); \
	BOTH_M(FMLA_4S, 18, 2, 3); \
	BOTH_M(FMLA_4S, 19, 2, 3); \
	BOTH_M(FMLA_4S, 20, 3, 4); \
	BOTH_1(FCVTZS_4S, 2, 2); \
	BOTH(FMLA_4S, 4, 3, 1); \
	COPY(23, 4); \
	BOTH(FMLA_4S, 1, 3, 4); \
	COPY(24, 1); \
	BOTH(FMLA_4S, 4, 3, 1)

// EXP_SCALE makes e**x in V1 of what EXP_REDUCE left. Clobbers V2, V4 and V5.
#define EXP_SCALE \
	COPY(25, 4); \
	BOTH(FMLA_4S, 1, 3, 4); \
	BOTH_1(SSHR1_4S, 2, 5); \          // 2**n in two factors
	COPY(25, 1); \
	BOTH(SUB_4S, 5, 2, 2); \
	BOTH_M(ADD_4S, 26, 5, 5); \
	BOTH_M(ADD_4S, 26, 2, 2); \
	BOTH(FMLA_4S, 4, 3, 1); \
	BOTH_1(SHL23_4S, 5, 5); \
	BOTH_1(SHL23_4S, 2, 2); \
	BOTH(FMUL_4S, 5, 1, 1); \
	BOTH(FMUL_4S, 2, 1, 1)

// EXP sets V1 to e**V0 where V0 lies in the range of finite results; other lanes
// hold anything. Clobbers V2-V5.
#define EXP \
	EXP_REDUCE; \
	EXP_SCALE

// UNDERFLOW makes V1 0 where V0 < -104. Clobbers V2.
#define UNDERFLOW \
	BOTH_N(FCMGT_4S, 0, 27, 2); \
	BOTH(BIC_16B, 2, 1, 1)

// SIGN_AND_NAN gives V1 the sign of V6, or V6 where that is NaN. Clobbers V2.
#define SIGN_AND_NAN \
	BOTH_M(BIT_16B, 28, 6, 1); \
	BOTH(FCMEQ_4S, 6, 6, 2); \
	BOTH(BIF_16B, 2, 6, 1)

DATA overflow<>+0(SB)/4, $0x42b20000 // V29: 89
DATA overflow<>+4(SB)/4, $0x7f800000 // V30: infinity
GLOBL overflow<>(SB), RODATA|NOPTR, $8

// func ExpNEON(dst, src unsafe.Pointer, n uintptr, sub float32)
TEXT ·ExpNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	EXP_CONSTANTS
	MOVD $overflow<>(SB), R4
	LD1R_4S_P(4, 29)
	LD1R_4S(4, 30)
	FMOVS sub+24(FP), F31
	VDUP V31.S[0], V31.S4

exp8:
	LOAD(F0, 0)
	BOTH_M(FSUB_4S, 31, 0, 0)
	EXP
	UNDERFLOW
	BOTH_M(FCMGT_4S, 29, 0, 2)
	BOTH_N(BIT_16B, 2, 30, 1)
	STORE(exp8)

// SIGMOID sets V1 to 1/(1+e**-V6). Clobbers V0 and V2-V5.
#define SIGMOID \
	BOTH_1(FABS_4S, 6, 0); \
	BOTH_1(FNEG_4S, 0, 0); \
	EXP; \                             // e = e**-|x|
	UNDERFLOW; \
	BOTH_N(FCMGT_4S, 6, 31, 2); \      // x < 0 ? e : 1
	COPY(25, 3); \
	BOTH(BIT_16B, 2, 1, 3); \
	BOTH_M(FADD_4S, 25, 1, 1); \
	BOTH(FDIV_4S, 1, 3, 1)

// func SigmoidNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS

sigmoid8:
	LOAD(F6, 6)
	SIGMOID
	STORE(sigmoid8)

// func SiluNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SiluNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS

silu8:
	LOAD(F6, 6)
	SIGMOID
	BOTH(FMUL_4S, 6, 1, 1)
	STORE(silu8)

DATA tanh<>+0(SB)/4, $0xbbbaeee7  // the polynomial of tanh
DATA tanh<>+4(SB)/4, $0x3ca912d0  // 0.020638853
DATA tanh<>+8(SB)/4, $0xbd5c1e17  // -0.053739633
DATA tanh<>+12(SB)/4, $0x3e088393 // 0.13331442
DATA tanh<>+16(SB)/4, $0xbeaaaa99 // -0.3333328
DATA tanh<>+20(SB)/4, $0x3f200000 // V29: 0.625
DATA tanh<>+24(SB)/4, $0x4111999a // V30: 9.1
DATA tanh<>+28(SB)/4, $0x40000000 // V31: 2
GLOBL tanh<>(SB), RODATA|NOPTR, $32

#define TANH_CONSTANTS \
	EXP_CONSTANTS; \
	MOVD $tanh<>+20(SB), R4; \
	LD1R_4S_P(4, 29); \
	LD1R_4S_P(4, 30); \
	LD1R_4S(4, 31)

// TANH sets V1 to the hyperbolic tangent of V6. Clobbers V0, V2-V5, V7 and R4.
#define TANH \
	MOVD $tanh<>(SB), R4; \
	BOTH_1(FABS_4S, 6, 7); \           // a
	BOTH(FADD_4S, 7, 7, 0); \
	EXP; \                             // e**2a
	BOTH_M(FADD_4S, 25, 1, 1); \
	BOTH_N(FDIV_4S, 1, 31, 1); \
	BOTH(FMUL_4S, 6, 6, 3); \          // z = x*x
	NEXT(0); \
	TERM(0, 3, 4); \
	TERM(4, 3, 5); \
	TERM(5, 3, 4); \
	TERM(4, 3, 5); \
	BOTH_N(FSUB_4S, 1, 25, 1); \       // t = 1 - 2/(e**2a + 1)
	BOTH_N(FCMGT_4S, 7, 30, 2); \      // a < 9.1 ? t : 1
	BOTH_N(BIF_16B, 2, 25, 1); \
	BOTH(FMUL_4S, 3, 6, 3); \          // fma(x*z, p, x)
	BOTH_1(MOV_16B, 6, 4); \
	BOTH(FMLA_4S, 5, 3, 4); \
	BOTH_N(FCMGT_4S, 7, 29, 2); \      // a < 0.625
	BOTH(BIT_16B, 2, 4, 1); \
	SIGN_AND_NAN

// func TanhNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·TanhNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	TANH_CONSTANTS

tanh8:
	LOAD(F6, 6)
	TANH
	STORE(tanh8)

DATA gelu<>+0(SB)/4, $0x3d372713  // 0.044715
DATA gelu<>+4(SB)/4, $0x3f4c422a  // sqrt(2/pi)
DATA gelu<>+8(SB)/4, $0x3f000000  // 0.5
DATA gelu<>+12(SB)/4, $0x3f3504f3 // 1/sqrt 2
GLOBL gelu<>(SB), RODATA|NOPTR, $16

// TIMES(n, d) sets d to n times the next constant behind R5. Clobbers V2.
#define TIMES(n, d) \
	LD1R_4S_P(5, 2); \
	BOTH_M(FMUL_4S, 2, n, d)

// func GeluTanhNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluTanhNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	TANH_CONSTANTS

geluTanh8:
	LOAD(F0, 0)
	MOVD $gelu<>(SB), R5
	BOTH(FMUL_4S, 0, 0, 6)             // sqrt(2/pi) * (x + 0.044715*x**3)
	BOTH(FMUL_4S, 0, 6, 6)
	TIMES(6, 6)
	BOTH(FADD_4S, 0, 6, 6)
	TIMES(6, 6)
	TANH
	RELOAD(F0, 0)
	BOTH_M(FADD_4S, 25, 1, 1)
	TIMES(0, 3)
	BOTH(FMUL_4S, 3, 1, 1)
	STORE(geluTanh8)

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

// ERF sets V1 to the error function of V6. Clobbers V0, V2-V5, V7 and R4. (erf32 of
// package kernels)
#define ERF \
	MOVD $erf<>(SB), R4; \
	BOTH(FMUL_4S, 6, 6, 0); \          // below 1: fma(x, p(x*x), x)
	NEXT(4); \
	TERM(4, 0, 5); \
	TERM(5, 0, 4); \
	TERM(4, 0, 5); \
	TERM(5, 0, 4); \
	TERM(4, 0, 5); \
	TERM(5, 0, 4); \
	BOTH_1(MOV_16B, 6, 7); \
	BOTH(FMLA_4S, 4, 6, 7); \
	BOTH_1(FABS_4S, 6, 3); \           // a to 4: 1 - e**g(a)
	NEXT(4); \
	TERM(4, 3, 5); \
	TERM(5, 3, 4); \
	TERM(4, 3, 5); \
	TERM(5, 3, 4); \
	TERM(4, 3, 5); \
	TERM(5, 3, 4); \
	TERM(4, 3, 0); \
	EXP; \
	BOTH_1(FABS_4S, 6, 0); \
	BOTH_N(FSUB_4S, 1, 25, 1); \
	LD1R_4S(4, 3); \
	BOTH_N(FCMGT_4S, 0, 3, 2); \       // a < 4 ? t : 1
	BOTH_N(BIF_16B, 2, 25, 1); \
	BOTH_M(BIT_16B, 28, 6, 1); \
	BOTH_N(FCMGT_4S, 0, 25, 2); \      // a < 1
	BOTH(BIT_16B, 2, 7, 1); \
	BOTH(FCMEQ_4S, 6, 6, 2); \         // NaN stays
	BOTH(BIF_16B, 2, 6, 1)

// func ErfNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·ErfNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS

erf8:
	LOAD(F6, 6)
	ERF
	STORE(erf8)

// func GeluNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS
	MOVD $gelu<>+8(SB), R4
	LD1R_4S_P(4, 29)
	LD1R_4S(4, 30)

gelu8:
	LOAD(F6, 6)
	BOTH_M(FMUL_4S, 30, 6, 6)
	ERF
	RELOAD(F0, 0)
	BOTH_M(FADD_4S, 25, 1, 1)
	BOTH_M(FMUL_4S, 29, 0, 0)
	BOTH(FMUL_4S, 0, 1, 1)
	STORE(gelu8)

DATA elu<>+0(SB)/4, $0xbeb17218 // -ln(2)/2
GLOBL elu<>(SB), RODATA|NOPTR, $4

// func EluNEON(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·EluNEON(SB), NOSPLIT, $0-28
	MAP_ARGS
	EXP_CONSTANTS
	MOVD $elu<>(SB), R4
	LD1R_4S(4, 29)
	FMOVS alpha+24(FP), F30
	VDUP V30.S[0], V30.S4

elu8:
	LOAD(F0, 0)
	EXP_REDUCE
	BOTH(FMUL_4S, 0, 0, 6)             // above -ln(2)/2, where r = x: fma(x*x, q, x)
	BOTH_1(MOV_16B, 0, 7)
	BOTH(FMLA_4S, 1, 6, 7)
	BOTH_M(BIT_16B, 28, 0, 7)
	EXP_SCALE
	UNDERFLOW
	BOTH_M(FSUB_4S, 25, 1, 1)
	BOTH_M(FCMGT_4S, 29, 0, 2)
	BOTH(BIT_16B, 2, 7, 1)
	BOTH_M(FMUL_4S, 30, 1, 1)
	BOTH_N(FCMGT_4S, 0, 31, 2)         // x < 0 ? a*(e**x - 1) : x
	BOTH(BIF_16B, 2, 0, 1)
	STORE(elu8)

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

// LOG sets V1 to the natural logarithm of V6. V31 is 0. Clobbers V0, V2-V5, V7 and
// R4. (log32 of package kernels)
#define LOG \
	MOVD $log<>(SB), R4; \
	LD1R_4S_P(4, 4); \
	BOTH_N(FCMGT_4S, 6, 4, 2); \       // x < 2**-126: 2**25*x, e = -25
	LD1R_4S_P(4, 5); \
	BOTH_M(FMUL_4S, 5, 6, 3); \
	BOTH_1(MOV_16B, 6, 0); \
	BOTH(BIT_16B, 2, 3, 0); \
	LD1R_4S_P(4, 4); \
	BOTH_M(AND_16B, 4, 2, 7); \
	LD1R_4S_P(4, 5); \
	BOTH_M(SUB_4S, 5, 0, 2); \         // x = 2**k * (1+f)
	LD1R_4S_P(4, 4); \
	BOTH_1(SSHR23_4S, 2, 2); \
	BOTH_1(SCVTF_4S, 2, 3); \
	BOTH(FADD_4S, 3, 7, 7); \
	BOTH_1(SHL23_4S, 2, 2); \
	BOTH(SUB_4S, 2, 0, 0); \
	BOTH_M(FSUB_4S, 4, 0, 0); \
	NEXT(1); \
	TERM(1, 0, 2); \
	TERM(2, 0, 1); \
	TERM(1, 0, 2); \
	TERM(2, 0, 1); \
	TERM(1, 0, 2); \
	TERM(2, 0, 1); \
	TERM(1, 0, 2); \
	TERM(2, 0, 1); \
	BOTH(FMUL_4S, 0, 0, 3); \          // z = f*f
	BOTH(FMUL_4S, 3, 0, 4); \          // y = f*z*p
	BOTH(FMUL_4S, 4, 1, 1); \
	LD1R_4S_P(4, 2); \
	BOTH_M(FMLA_4S, 2, 7, 1); \
	LD1R_4S_P(4, 5); \
	BOTH_M(FMLA_4S, 5, 3, 1); \
	BOTH(FADD_4S, 0, 1, 1); \
	LD1R_4S_P(4, 2); \
	BOTH_M(FMLA_4S, 2, 7, 1); \
	LD1R_4S_P(4, 3); \
	BOTH_M(FCMEQ_4S, 31, 6, 2); \      // 0: -infinity
	BOTH_N(BIT_16B, 2, 3, 1); \
	LD1R_4S_P(4, 3); \
	BOTH_N(FCMGT_4S, 6, 31, 2); \      // below: NaN
	BOTH_N(BIT_16B, 2, 3, 1); \
	LD1R_4S(4, 3); \
	BOTH_M(FCMGT_4S, 3, 6, 2); \       // infinity and NaN stay
	BOTH(BIT_16B, 2, 6, 1); \
	BOTH(FCMEQ_4S, 6, 6, 2); \
	BOTH(BIF_16B, 2, 6, 1)

// func LogNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·LogNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVI $0, V31.B16

log8:
	LOAD(F6, 6)
	LOG
	STORE(log8)

// func SoftplusNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·SoftplusNEON(SB), NOSPLIT, $0-24
	MAP_ARGS
	EXP_CONSTANTS

softplus8:
	LOAD(F0, 0)
	BOTH_1(FABS_4S, 0, 0)
	BOTH_1(FNEG_4S, 0, 0)
	EXP
	UNDERFLOW
	BOTH_M(FADD_4S, 25, 1, 6)
	LOG
	RELOAD(F0, 0)
	BOTH(FADD_4S, 0, 1, 2)             // x > 0 ? x + log(1 + e**-|x|) : log(1 + e**-|x|)
	BOTH_M(FCMGT_4S, 31, 0, 3)
	BOTH(BIT_16B, 3, 2, 1)
	STORE(softplus8)

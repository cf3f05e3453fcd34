//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Elementwise kernels for AVX2 and FMA. Each does, eight lanes at a time, the
// operations of its portable twin in the same order, so the bits are equal.
// Callers give multiples of a vector; the rest of a slice is done in Go.

// CONST(name, bits) is eight copies of a 32-bit constant.
#define CONST(name, bits) \
	DATA name<>+0(SB)/4, $bits;  \
	DATA name<>+4(SB)/4, $bits;  \
	DATA name<>+8(SB)/4, $bits;  \
	DATA name<>+12(SB)/4, $bits; \
	DATA name<>+16(SB)/4, $bits; \
	DATA name<>+20(SB)/4, $bits; \
	DATA name<>+24(SB)/4, $bits; \
	DATA name<>+28(SB)/4, $bits; \
	GLOBL name<>(SB), RODATA|NOPTR, $32

CONST(f_log2e, 0x3fb8aa3b) // log2(e)
CONST(f_magic, 0x4b400000) // 1.5*2**23
CONST(f_nln2hi, 0xbf317218) // -ln 2, high part
CONST(f_nln2lo, 0x3102e308) // -ln 2, low part
CONST(f_e0, 0x3ab511eb) // polynomial of exp
CONST(f_e1, 0x3c091cf7) // 0.008368722
CONST(f_e2, 0x3d2aac79) // 0.04166839
CONST(f_e3, 0x3e2aaa49) // 0.16666521
CONST(f_e4, 0x3efffffe) // 0.49999994
CONST(f_one, 0x3f800000) // 1
CONST(f_two, 0x40000000) // 2
CONST(f_t0, 0xbbbaeee7) // polynomial of tanh
CONST(f_t1, 0x3ca912d0) // 0.020638853
CONST(f_t2, 0xbd5c1e17) // -0.053739633
CONST(f_t3, 0x3e088393) // 0.13331442
CONST(f_t4, 0xbeaaaa99) // -0.3333328
CONST(f_tcut, 0x3f200000) // 0.625
CONST(f_tone, 0x4111999a) // 9.1
CONST(f_emax, 0x42b20000) // 89
CONST(f_emin, 0xc2d00000) // -104
CONST(f_half, 0x3f000000) // 0.5
CONST(f_three, 0x40400000) // 3
CONST(f_four, 0x40800000) // 4
CONST(f_six, 0x40c00000) // 6
CONST(f_ecut, 0xbeb17218) // -ln(2)/2
CONST(f_r0, 0x38a4af03) // polynomial of erf below 1
CONST(f_r1, 0xba51f932) // -0.000800985
CONST(f_r2, 0x3baa0285) // 0.0051882886
CONST(f_r3, 0xbcdbfc7c) // -0.026853792
CONST(f_r4, 0x3de7167b) // 0.11283585
CONST(f_r5, 0xbec0939f) // -0.37612626
CONST(f_r6, 0x3e0375d4) // 0.12837917
CONST(f_g0, 0xb7b63dfd) // polynomial of log(erfc) from 1 to 4
CONST(f_g1, 0x39e7a2f0) // 0.0004418115
CONST(f_g2, 0xbb89db46) // -0.0042070476
CONST(f_g3, 0x3cce9061) // 0.02521533
CONST(f_g4, 0xbdde10c3) // -0.10843041
CONST(f_g5, 0xbf2219f0) // -0.6332083
CONST(f_g6, 0xbf90963b) // -1.1295847
CONST(f_g7, 0x3946a510) // 0.00018944242
CONST(f_rsqrt2, 0x3f3504f3) // 1/sqrt 2, also where the logarithm cuts
CONST(f_cube, 0x3d372713) // 0.044715
CONST(f_rpi, 0x3f4c422a) // sqrt(2/pi)
CONST(f_l0, 0x3d8a3a76) // polynomial of log
CONST(f_l1, 0xbdef2c32) // -0.116783515
CONST(f_l2, 0x3df37908) // 0.11888319
CONST(f_l3, 0xbdfe0e63) // -0.12405088
CONST(f_l4, 0x3e119b73) // 0.14219455
CONST(f_l5, 0xbe2aae3b) // -0.16668026
CONST(f_l6, 0x3e4cd25f) // 0.20002125
CONST(f_l7, 0xbe800003) // -0.2500001
CONST(f_l8, 0x3eaaaaa4) // 0.33333313
CONST(f_ln2hi, 0x3f318000) // ln 2 with trailing zeros
CONST(f_ln2lo, 0xb95e8083) // the rest of it
CONST(f_mhalf, 0xbf000000) // -0.5
CONST(f_least, 0x00800000) // 2**-126, the least normal number
CONST(f_2p25, 0x4c000000) // 2**25
CONST(f_m25, 0xc1c80000) // -25
CONST(f_ninf, 0xff800000) // -infinity
CONST(f_nan, 0x7fc00000) // NaN
CONST(i_127, 0x7f) // bias of a float's exponent
CONST(f_abs, 0x7fffffff) // all but the sign
CONST(f_inf, 0x7f800000) // infinity
CONST(f_fmax, 0x7f7fffff) // the greatest finite number

// EXP_REDUCE writes Y0 as n*ln 2 + r and sets Y2 to n, Y3 to r and Y1 to the
// polynomial q with e**r = 1 + r + r*r*q. (exp32 of package kernels)
#define EXP_REDUCE \
	VMOVUPS      f_magic<>(SB), Y2;      \ // n = rne(x*log2 e), by the magic number
	VFMADD231PS  f_log2e<>(SB), Y0, Y2;  \
	VSUBPS       f_magic<>(SB), Y2, Y2;  \
	VMOVAPS      Y0, Y3;                 \
	VFMADD231PS  f_nln2hi<>(SB), Y2, Y3; \
	VFMADD231PS  f_nln2lo<>(SB), Y2, Y3; \
	VMOVUPS      f_e0<>(SB), Y1;         \
	VFMADD213PS  f_e1<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e2<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e3<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e4<>(SB), Y3, Y1

// EXP_SCALE makes e**x in Y1 of what EXP_REDUCE left. Uses Y2, Y4 and Y5.
#define EXP_SCALE \
	VFMADD213PS  f_one<>(SB), Y3, Y1;    \
	VFMADD213PS  f_one<>(SB), Y3, Y1;    \
	VCVTTPS2DQ   Y2, Y4;                 \ // 2**n in two factors
	VPSRAD       $1, Y4, Y5;             \
	VPSUBD       Y5, Y4, Y4;             \
	VPADDD       i_127<>(SB), Y5, Y5;    \
	VPADDD       i_127<>(SB), Y4, Y4;    \
	VPSLLD       $23, Y5, Y5;            \
	VPSLLD       $23, Y4, Y4;            \
	VMULPS       Y5, Y1, Y1;             \
	VMULPS       Y4, Y1, Y1

// EXP sets Y1 to e**Y0 where Y0 lies in the range of finite results; other
// lanes hold anything. Uses Y2..Y5.
#define EXP \
	EXP_REDUCE; \
	EXP_SCALE

// MAP_ARGS loads the arguments that the functions of one slice share.
#define MAP_ARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ n+16(FP), CX

// MAP_NEXT stores Y1 and goes on to the next vector at label, or returns.
#define MAP_NEXT(label) \
	VMOVUPS Y1, (DI); \
	ADDQ    $32, SI;  \
	ADDQ    $32, DI;  \
	SUBQ    $8, CX;   \
	JNE     label;    \
	VZEROUPPER;       \
	RET

// func ExpAVX2(dst, src unsafe.Pointer, n uintptr, sub float32)
TEXT ·ExpAVX2(SB), NOSPLIT, $0-28
	MAP_ARGS
	VBROADCASTSS sub+24(FP), Y8

exp8:
	VMOVUPS   (SI), Y0
	VSUBPS    Y8, Y0, Y0
	EXP
	VCMPPS    $1, f_emin<>(SB), Y0, Y2  // x < -104: 0
	VANDNPS   Y1, Y2, Y1
	VCMPPS    $14, f_emax<>(SB), Y0, Y2 // x > 89: infinity
	VBLENDVPS Y2, f_inf<>(SB), Y1, Y1
	MAP_NEXT(exp8)

// SIGMOID sets Y1 to 1/(1+e**-Y6). Y8 is 1, Y9 0. Uses Y0 and Y2..Y5.
#define SIGMOID \
	VANDPS    f_abs<>(SB), Y6, Y0;      \
	VSUBPS    Y0, Y9, Y0;               \ // -|x|
	EXP;                                \ // e = e**-|x|
	VCMPPS    $1, f_emin<>(SB), Y0, Y2; \
	VANDNPS   Y1, Y2, Y1;               \
	VCMPPS    $1, Y9, Y6, Y2;           \ // x < 0 ? e : 1
	VBLENDVPS Y2, Y1, Y8, Y3;           \
	VADDPS    Y1, Y8, Y1;               \
	VDIVPS    Y1, Y3, Y1

// func SigmoidAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VXORPS  Y9, Y9, Y9

sigmoid8:
	VMOVUPS (SI), Y6
	SIGMOID
	MAP_NEXT(sigmoid8)

// func SiluAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·SiluAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VXORPS  Y9, Y9, Y9

silu8:
	VMOVUPS (SI), Y6
	SIGMOID
	VMULPS  Y6, Y1, Y1
	MAP_NEXT(silu8)

// TANH sets Y1 to the hyperbolic tangent of Y6. Y8 is 1, Y9 all bits but the
// sign. Uses Y0..Y5 and Y7.
#define TANH \
	VANDPS      Y9, Y6, Y7;               \ // a = |x|
	VADDPS      Y7, Y7, Y0;               \
	EXP;                                  \ // e**2a
	VADDPS      Y8, Y1, Y1;               \
	VMOVUPS     f_two<>(SB), Y2;          \
	VDIVPS      Y1, Y2, Y1;               \
	VSUBPS      Y1, Y8, Y1;               \ // t = 1 - 2/(e**2a + 1)
	VCMPPS      $1, f_tone<>(SB), Y7, Y2; \
	VBLENDVPS   Y2, Y1, Y8, Y1;           \ // a < 9.1 ? t : 1
	VMULPS      Y6, Y6, Y3;               \ // z = x*x
	VMOVUPS     f_t0<>(SB), Y4;           \
	VFMADD213PS f_t1<>(SB), Y3, Y4;       \
	VFMADD213PS f_t2<>(SB), Y3, Y4;       \
	VFMADD213PS f_t3<>(SB), Y3, Y4;       \
	VFMADD213PS f_t4<>(SB), Y3, Y4;       \
	VMULPS      Y3, Y6, Y5;               \ // fma(x*z, p, x)
	VFMADD213PS Y6, Y5, Y4;               \
	VCMPPS      $1, f_tcut<>(SB), Y7, Y2; \
	VBLENDVPS   Y2, Y4, Y1, Y1;           \ // a < 0.625
	VANDPS      Y9, Y1, Y1;               \ // the sign of x
	VANDNPS     Y6, Y9, Y2;               \
	VORPS       Y2, Y1, Y1;               \
	VCMPPS      $3, Y6, Y6, Y2;           \ // NaN
	VBLENDVPS   Y2, Y6, Y1, Y1

// func TanhAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·TanhAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VMOVUPS f_abs<>(SB), Y9

tanh8:
	VMOVUPS (SI), Y6
	TANH
	MAP_NEXT(tanh8)

// func GeluTanhAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluTanhAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VMOVUPS f_abs<>(SB), Y9

geluTanh8:
	VMOVUPS (SI), Y10
	VMULPS  Y10, Y10, Y6 // sqrt(2/pi) * (x + 0.044715*x**3)
	VMULPS  Y10, Y6, Y6
	VMULPS  f_cube<>(SB), Y6, Y6
	VADDPS  Y10, Y6, Y6
	VMULPS  f_rpi<>(SB), Y6, Y6
	TANH
	VADDPS  Y8, Y1, Y1
	VMULPS  f_half<>(SB), Y10, Y2
	VMULPS  Y2, Y1, Y1
	MAP_NEXT(geluTanh8)

// ERF sets Y1 to the error function of Y6. Y8 is 1, Y9 all bits but the sign.
// Uses Y0..Y5, Y7 and Y10. (erf32 of package kernels)
#define ERF \
	VANDPS      Y9, Y6, Y7;               \ // a = |x|
	VMULPS      Y6, Y6, Y3;               \ // below 1: fma(x, p(x*x), x)
	VMOVUPS     f_r0<>(SB), Y10;          \
	VFMADD213PS f_r1<>(SB), Y3, Y10;      \
	VFMADD213PS f_r2<>(SB), Y3, Y10;      \
	VFMADD213PS f_r3<>(SB), Y3, Y10;      \
	VFMADD213PS f_r4<>(SB), Y3, Y10;      \
	VFMADD213PS f_r5<>(SB), Y3, Y10;      \
	VFMADD213PS f_r6<>(SB), Y3, Y10;      \
	VFMADD213PS Y6, Y6, Y10;              \
	VMOVUPS     f_g0<>(SB), Y0;           \ // to 4: 1 - e**g(a)
	VFMADD213PS f_g1<>(SB), Y7, Y0;       \
	VFMADD213PS f_g2<>(SB), Y7, Y0;       \
	VFMADD213PS f_g3<>(SB), Y7, Y0;       \
	VFMADD213PS f_g4<>(SB), Y7, Y0;       \
	VFMADD213PS f_g5<>(SB), Y7, Y0;       \
	VFMADD213PS f_g6<>(SB), Y7, Y0;       \
	VFMADD213PS f_g7<>(SB), Y7, Y0;       \
	EXP;                                  \
	VSUBPS      Y1, Y8, Y1;               \
	VCMPPS      $1, f_four<>(SB), Y7, Y2; \
	VBLENDVPS   Y2, Y1, Y8, Y1;           \ // a < 4 ? t : 1
	VANDPS      Y9, Y1, Y1;               \ // the sign of x
	VANDNPS     Y6, Y9, Y2;               \
	VORPS       Y2, Y1, Y1;               \
	VCMPPS      $1, Y8, Y7, Y2;           \
	VBLENDVPS   Y2, Y10, Y1, Y1;          \ // a < 1
	VCMPPS      $3, Y6, Y6, Y2;           \ // NaN
	VBLENDVPS   Y2, Y6, Y1, Y1

// func ErfAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·ErfAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VMOVUPS f_abs<>(SB), Y9

erf8:
	VMOVUPS (SI), Y6
	ERF
	MAP_NEXT(erf8)

// func GeluAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·GeluAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8
	VMOVUPS f_abs<>(SB), Y9

gelu8:
	VMOVUPS (SI), Y11
	VMULPS  f_rsqrt2<>(SB), Y11, Y6
	ERF
	VADDPS  Y8, Y1, Y1
	VMULPS  f_half<>(SB), Y11, Y2
	VMULPS  Y2, Y1, Y1
	MAP_NEXT(gelu8)

// func EluAVX2(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·EluAVX2(SB), NOSPLIT, $0-28
	MAP_ARGS
	VBROADCASTSS alpha+24(FP), Y8
	VMOVUPS      f_abs<>(SB), Y9
	VXORPS       Y11, Y11, Y11

elu8:
	VMOVUPS     (SI), Y0
	EXP_REDUCE
	VMULPS      Y0, Y0, Y6 // above -ln(2)/2, where r = x: fma(x*x, q, x)
	VFMADD213PS Y0, Y1, Y6
	VANDPS      Y9, Y6, Y6
	VANDNPS     Y0, Y9, Y7
	VORPS       Y7, Y6, Y6
	EXP_SCALE
	VCMPPS      $1, f_emin<>(SB), Y0, Y2
	VANDNPS     Y1, Y2, Y1
	VSUBPS      f_one<>(SB), Y1, Y1
	VCMPPS      $14, f_ecut<>(SB), Y0, Y2
	VBLENDVPS   Y2, Y6, Y1, Y1
	VMULPS      Y8, Y1, Y1
	VCMPPS      $1, Y11, Y0, Y2 // x < 0 ? a*(e**x - 1) : x
	VBLENDVPS   Y2, Y1, Y0, Y1
	MAP_NEXT(elu8)

// LOG sets Y1 to the natural logarithm of Y6. Y11 is 0. Uses Y0, Y2..Y4 and Y7.
// (log32 of package kernels)
#define LOG \
	VCMPPS      $1, f_least<>(SB), Y6, Y2; \ // x < 2**-126: 2**25*x, e = -25
	VMULPS      f_2p25<>(SB), Y6, Y3;      \
	VBLENDVPS   Y2, Y3, Y6, Y0;            \
	VANDPS      f_m25<>(SB), Y2, Y7;       \
	VPSUBD      f_rsqrt2<>(SB), Y0, Y2;    \ // x = 2**k * (1+f)
	VPSRAD      $23, Y2, Y2;               \
	VCVTDQ2PS   Y2, Y3;                    \
	VADDPS      Y3, Y7, Y7;                \
	VPSLLD      $23, Y2, Y2;               \
	VPSUBD      Y2, Y0, Y0;                \
	VSUBPS      f_one<>(SB), Y0, Y0;       \
	VMOVUPS     f_l0<>(SB), Y1;            \
	VFMADD213PS f_l1<>(SB), Y0, Y1;        \
	VFMADD213PS f_l2<>(SB), Y0, Y1;        \
	VFMADD213PS f_l3<>(SB), Y0, Y1;        \
	VFMADD213PS f_l4<>(SB), Y0, Y1;        \
	VFMADD213PS f_l5<>(SB), Y0, Y1;        \
	VFMADD213PS f_l6<>(SB), Y0, Y1;        \
	VFMADD213PS f_l7<>(SB), Y0, Y1;        \
	VFMADD213PS f_l8<>(SB), Y0, Y1;        \
	VMULPS      Y0, Y0, Y3;                \ // z = f*f
	VMULPS      Y3, Y0, Y4;                \ // y = f*z*p
	VMULPS      Y4, Y1, Y1;                \
	VFMADD231PS f_ln2lo<>(SB), Y7, Y1;     \
	VFMADD231PS f_mhalf<>(SB), Y3, Y1;     \
	VADDPS      Y0, Y1, Y1;                \
	VFMADD231PS f_ln2hi<>(SB), Y7, Y1;     \
	VCMPPS      $0, Y11, Y6, Y2;           \ // 0: -infinity
	VBLENDVPS   Y2, f_ninf<>(SB), Y1, Y1;  \
	VCMPPS      $1, Y11, Y6, Y2;           \ // below: NaN
	VBLENDVPS   Y2, f_nan<>(SB), Y1, Y1;   \
	VCMPPS      $6, f_fmax<>(SB), Y6, Y2;  \ // infinity and NaN stay
	VBLENDVPS   Y2, Y6, Y1, Y1

// func LogAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·LogAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VXORPS Y11, Y11, Y11

log8:
	VMOVUPS (SI), Y6
	LOG
	MAP_NEXT(log8)

// func SoftplusAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·SoftplusAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VXORPS Y11, Y11, Y11

softplus8:
	VMOVUPS   (SI), Y10
	VANDPS    f_abs<>(SB), Y10, Y0
	VSUBPS    Y0, Y11, Y0 // -|x|
	EXP
	VCMPPS    $1, f_emin<>(SB), Y0, Y2
	VANDNPS   Y1, Y2, Y1
	VADDPS    f_one<>(SB), Y1, Y6
	LOG
	VADDPS    Y10, Y1, Y2 // x > 0 ? x + log(1 + e**-|x|) : log(1 + e**-|x|)
	VCMPPS    $14, Y11, Y10, Y3
	VBLENDVPS Y3, Y2, Y1, Y1
	MAP_NEXT(softplus8)

// func ClampAVX2(dst, src unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·ClampAVX2(SB), NOSPLIT, $0-32
	MAP_ARGS
	VBROADCASTSS lo+24(FP), Y10
	VBROADCASTSS hi+28(FP), Y11

clamp8:
	VMAXPS (SI), Y10, Y1 // lo > x ? lo : x, so a NaN stays
	VMINPS Y1, Y11, Y1
	MAP_NEXT(clamp8)

// func LeakyAVX2(dst, src unsafe.Pointer, n uintptr, alpha float32)
TEXT ·LeakyAVX2(SB), NOSPLIT, $0-28
	MAP_ARGS
	VBROADCASTSS alpha+24(FP), Y8
	VXORPS       Y9, Y9, Y9

leaky8:
	VMOVUPS   (SI), Y0
	VMULPS    Y8, Y0, Y1
	VCMPPS    $1, Y9, Y0, Y2 // x < 0 ? a*x : x
	VBLENDVPS Y2, Y1, Y0, Y1
	MAP_NEXT(leaky8)

// func HardSwishAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·HardSwishAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_three<>(SB), Y8
	VMOVUPS f_six<>(SB), Y9
	VXORPS  Y10, Y10, Y10

hardSwish8:
	VMOVUPS (SI), Y0
	VADDPS  Y8, Y0, Y1
	VMAXPS  Y1, Y10, Y1
	VMINPS  Y1, Y9, Y1
	VMULPS  Y1, Y0, Y1
	VDIVPS  Y9, Y1, Y1
	MAP_NEXT(hardSwish8)

// func HardSigmoidAVX2(dst, src unsafe.Pointer, n uintptr, alpha, beta float32)
TEXT ·HardSigmoidAVX2(SB), NOSPLIT, $0-32
	MAP_ARGS
	VBROADCASTSS alpha+24(FP), Y8
	VBROADCASTSS beta+28(FP), Y9
	VXORPS       Y10, Y10, Y10
	VMOVUPS      f_one<>(SB), Y11

hardSigmoid8:
	VMOVUPS     (SI), Y1
	VFMADD213PS Y9, Y8, Y1
	VMAXPS      Y1, Y10, Y1
	VMINPS      Y1, Y11, Y1
	MAP_NEXT(hardSigmoid8)

// func DivideAVX2(dst, src unsafe.Pointer, n uintptr, by float32)
TEXT ·DivideAVX2(SB), NOSPLIT, $0-28
	MAP_ARGS
	VBROADCASTSS by+24(FP), Y8

divide8:
	VMOVUPS (SI), Y0
	VDIVPS  Y8, Y0, Y1
	MAP_NEXT(divide8)

// func SqrtAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·SqrtAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS

sqrt8:
	VSQRTPS (SI), Y1
	MAP_NEXT(sqrt8)

// func RsqrtAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·RsqrtAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8

rsqrt8:
	VSQRTPS (SI), Y1
	VDIVPS  Y1, Y8, Y1
	MAP_NEXT(rsqrt8)

// func ReciprocalAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·ReciprocalAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_one<>(SB), Y8

reciprocal8:
	VDIVPS (SI), Y8, Y1
	MAP_NEXT(reciprocal8)

// func FloorAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·FloorAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS

floor8:
	VROUNDPS $9, (SI), Y1
	MAP_NEXT(floor8)

// func CeilAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·CeilAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS

ceil8:
	VROUNDPS $10, (SI), Y1
	MAP_NEXT(ceil8)

// func RoundAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·RoundAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS

round8:
	VROUNDPS $8, (SI), Y1
	MAP_NEXT(round8)

// func AbsAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·AbsAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_abs<>(SB), Y8

abs8:
	VANDPS (SI), Y8, Y1
	MAP_NEXT(abs8)

// func NegAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·NegAVX2(SB), NOSPLIT, $0-24
	MAP_ARGS
	VMOVUPS f_abs<>(SB), Y8
	VPCMPEQD Y9, Y9, Y9
	VXORPS Y9, Y8, Y8 // the sign

neg8:
	VXORPS (SI), Y8, Y1
	MAP_NEXT(neg8)

// func CellAVX2(c, i, z, f unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·CellAVX2(SB), NOSPLIT, $0-48
	MOVQ c+0(FP), DI
	MOVQ i+8(FP), SI
	MOVQ z+16(FP), DX
	MOVQ f+24(FP), R8
	MOVQ n+32(FP), CX
	VBROADCASTSS lo+40(FP), Y10
	VBROADCASTSS hi+44(FP), Y11

cell8:
	VMOVUPS     (DI), Y0
	VMOVUPS     (SI), Y1
	VMULPS      (R8), Y0, Y0
	VFMADD231PS (DX), Y1, Y0
	VMAXPS      Y0, Y10, Y0
	VMINPS      Y0, Y11, Y0
	VMOVUPS     Y0, (DI)
	ADDQ        $32, DI
	ADDQ        $32, SI
	ADDQ        $32, DX
	ADDQ        $32, R8
	SUBQ        $8, CX
	JNE         cell8
	VZEROUPPER
	RET

// PACK16 packs the int32 lanes of Y0 and Y1 to the 16 bytes of X0. They lie
// in the range of int8. Uses X1.
#define PACK16 \
	VPACKSSDW    Y1, Y0, Y0;    \ // 0..3 8..11 | 4..7 12..15
	VPERMQ       $0xd8, Y0, Y0; \
	VEXTRACTI128 $1, Y0, X1;    \
	VPACKSSWB    X1, X0, X0

// func QAddAVX2(dst, a, b unsafe.Pointer, n uintptr, p *QAddArgs)
TEXT ·QAddAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ p+32(FP), R8
	VBROADCASTSS QAddArgs_Ra(R8), Y8
	VBROADCASTSS QAddArgs_Rb(R8), Y9
	VBROADCASTSS QAddArgs_Lo(R8), Y10
	VBROADCASTSS QAddArgs_Hi(R8), Y11
	VPBROADCASTD QAddArgs_Za(R8), Y12
	VPBROADCASTD QAddArgs_Zb(R8), Y13
	VPBROADCASTD QAddArgs_Zero(R8), Y14

qadd16:
	VPMOVSXBD   (SI), Y0
	VPMOVSXBD   8(SI), Y1
	VPMOVSXBD   (DX), Y2
	VPMOVSXBD   8(DX), Y3
	VPSUBD      Y12, Y0, Y0
	VPSUBD      Y12, Y1, Y1
	VPSUBD      Y13, Y2, Y2
	VPSUBD      Y13, Y3, Y3
	VCVTDQ2PS   Y0, Y0
	VCVTDQ2PS   Y1, Y1
	VCVTDQ2PS   Y2, Y2
	VCVTDQ2PS   Y3, Y3
	VMULPS      Y8, Y0, Y0
	VMULPS      Y8, Y1, Y1
	VFMADD231PS Y9, Y2, Y0
	VFMADD231PS Y9, Y3, Y1
	VMAXPS      Y10, Y0, Y0
	VMAXPS      Y10, Y1, Y1
	VMINPS      Y11, Y0, Y0
	VMINPS      Y11, Y1, Y1
	VCVTPS2DQ   Y0, Y0
	VCVTPS2DQ   Y1, Y1
	VPADDD      Y14, Y0, Y0
	VPADDD      Y14, Y1, Y1
	PACK16
	VMOVDQU     X0, (DI)
	ADDQ        $16, SI
	ADDQ        $16, DX
	ADDQ        $16, DI
	SUBQ        $16, CX
	JNE         qadd16
	VZEROUPPER
	RET

// func SpanAVX2(src unsafe.Pointer, n uintptr) (lo, hi float32)
TEXT ·SpanAVX2(SB), NOSPLIT, $0-24
	MOVQ   src+0(FP), SI
	MOVQ   n+8(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1

span8:
	VMOVUPS (SI), Y2
	VMINPS  Y0, Y2, Y0 // x < lo ? x : lo, so a NaN is passed over
	VMAXPS  Y1, Y2, Y1
	ADDQ    $32, SI
	SUBQ    $8, CX
	JNE     span8

	VEXTRACTF128 $1, Y0, X2
	VEXTRACTF128 $1, Y1, X3
	VMINPS       X2, X0, X0
	VMAXPS       X3, X1, X1
	VPERMILPS    $0x4e, X0, X2
	VPERMILPS    $0x4e, X1, X3
	VMINPS       X2, X0, X0
	VMAXPS       X3, X1, X1
	VPERMILPS    $0xb1, X0, X2
	VPERMILPS    $0xb1, X1, X3
	VMINPS       X2, X0, X0
	VMAXPS       X3, X1, X1
	VMOVSS       X0, lo+16(FP)
	VMOVSS       X1, hi+20(FP)
	VZEROUPPER
	RET

// func QuantizeAVX2(dst, src unsafe.Pointer, n uintptr, inv, lo, hi float32, zero int32)
TEXT ·QuantizeAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS inv+24(FP), Y8
	VBROADCASTSS lo+28(FP), Y10
	VBROADCASTSS hi+32(FP), Y11
	MOVL zero+36(FP), AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14

quantize16:
	VMULPS    (SI), Y8, Y0
	VMULPS    32(SI), Y8, Y1
	VCMPPS    $7, Y0, Y0, Y2 // not a NaN
	VCMPPS    $7, Y1, Y1, Y3
	VANDPS    Y2, Y0, Y0
	VANDPS    Y3, Y1, Y1
	VMAXPS    Y10, Y0, Y0
	VMAXPS    Y10, Y1, Y1
	VMINPS    Y11, Y0, Y0
	VMINPS    Y11, Y1, Y1
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VPADDD    Y14, Y0, Y0
	VPADDD    Y14, Y1, Y1
	PACK16
	VMOVDQU   X0, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNE       quantize16
	VZEROUPPER
	RET

// func DynAVX2(dst, sums, wsum, scale, bias unsafe.Pointer, n uintptr, p *DynArgs)
TEXT ·DynAVX2(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ sums+8(FP), SI
	MOVQ wsum+16(FP), DX
	MOVQ scale+24(FP), R9
	MOVQ bias+32(FP), R10
	MOVQ n+40(FP), CX
	MOVQ p+48(FP), R8
	VBROADCASTSS DynArgs_Scale(R8), Y8
	VPBROADCASTD DynArgs_Zero(R8), Y9
	VBROADCASTSS DynArgs_Lo(R8), Y10
	VBROADCASTSS DynArgs_Hi(R8), Y11

dyn8:
	VPMULLD   (DX), Y9, Y0
	VMOVDQU   (SI), Y1
	VPSUBD    Y0, Y1, Y0
	VCVTDQ2PS Y0, Y0
	VMULPS    (R9), Y8, Y1
	VMULPS    Y1, Y0, Y0
	VADDPS    (R10), Y0, Y0
	VMAXPS    Y0, Y10, Y0 // lo > y ? lo : y, so a NaN stays
	VMINPS    Y0, Y11, Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $32, DI
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $32, R9
	ADDQ      $32, R10
	SUBQ      $8, CX
	JNE       dyn8
	VZEROUPPER
	RET

// ARITH(name, label, OP) is func name(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32):
// dst[i] = clamp(a[i] OP b[i]).
#define ARITH(name, label, OP) \
TEXT name(SB), NOSPLIT, $0-40     \
	MOVQ dst+0(FP), DI;           \
	MOVQ a+8(FP), SI;             \
	MOVQ b+16(FP), DX;            \
	MOVQ n+24(FP), CX;            \
	VBROADCASTSS lo+32(FP), Y10;  \
	VBROADCASTSS hi+36(FP), Y11;  \
label: \
	VMOVUPS (SI), Y0;      \
	OP      (DX), Y0, Y0;  \
	VMAXPS  Y0, Y10, Y0;   \ // lo > y ? lo : y, so a NaN stays
	VMINPS  Y0, Y11, Y0;   \
	VMOVUPS Y0, (DI);      \
	ADDQ    $32, SI;       \
	ADDQ    $32, DX;       \
	ADDQ    $32, DI;       \
	SUBQ    $8, CX;        \
	JNE     label;         \
	VZEROUPPER;            \
	RET

ARITH(·AddAVX2, add8, VADDPS)
ARITH(·SubAVX2, sub8, VSUBPS)
ARITH(·MulAVX2, mul8, VMULPS)
ARITH(·DivAVX2, div8, VDIVPS)
ARITH(·MaxAVX2, max8, VMAXPS)
ARITH(·MinAVX2, min8, VMINPS)

// func SquaredDifferenceAVX2(dst, a, b unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·SquaredDifferenceAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS lo+32(FP), Y10
	VBROADCASTSS hi+36(FP), Y11

squared8:
	VMOVUPS (SI), Y0
	VSUBPS  (DX), Y0, Y0
	VMULPS  Y0, Y0, Y0
	VMAXPS  Y0, Y10, Y0
	VMINPS  Y0, Y11, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNE     squared8
	VZEROUPPER
	RET

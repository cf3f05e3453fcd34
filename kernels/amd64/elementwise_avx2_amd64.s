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
CONST(i_127, 0x7f) // bias of a float's exponent
CONST(f_abs, 0x7fffffff) // all but the sign
CONST(f_inf, 0x7f800000) // infinity

// EXP sets Y1 to e**Y0 where Y0 lies in the range of finite results; other
// lanes hold anything. Uses Y2..Y5. (exp32 of package kernels)
#define EXP \
	VMOVUPS      f_magic<>(SB), Y2;      \ // n = rne(x*log2 e), by the magic number
	VFMADD231PS  f_log2e<>(SB), Y0, Y2;  \
	VSUBPS       f_magic<>(SB), Y2, Y2;  \
	VMOVAPS      Y0, Y3;                 \ // r = x - n*ln 2
	VFMADD231PS  f_nln2hi<>(SB), Y2, Y3; \
	VFMADD231PS  f_nln2lo<>(SB), Y2, Y3; \
	VMOVUPS      f_e0<>(SB), Y1;         \
	VFMADD213PS  f_e1<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e2<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e3<>(SB), Y3, Y1;     \
	VFMADD213PS  f_e4<>(SB), Y3, Y1;     \
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

// func ExpAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·ExpAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

exp8:
	VMOVUPS   (SI), Y0
	EXP
	VCMPPS    $1, f_emin<>(SB), Y0, Y2 // x < -104: 0
	VANDNPS   Y1, Y2, Y1
	VCMPPS    $14, f_emax<>(SB), Y0, Y2 // x > 89: infinity
	VBLENDVPS Y2, f_inf<>(SB), Y1, Y1
	VMOVUPS   Y1, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNE       exp8
	VZEROUPPER
	RET

// func SigmoidAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS f_one<>(SB), Y8
	VXORPS Y9, Y9, Y9

sigmoid8:
	VMOVUPS   (SI), Y6
	VANDPS    f_abs<>(SB), Y6, Y0
	VSUBPS    Y0, Y9, Y0 // -|x|
	EXP                  // e = e**-|x|
	VCMPPS    $1, f_emin<>(SB), Y0, Y2
	VANDNPS   Y1, Y2, Y1
	VCMPPS    $1, Y9, Y6, Y2 // x < 0 ? e : 1
	VBLENDVPS Y2, Y1, Y8, Y3
	VADDPS    Y1, Y8, Y1
	VDIVPS    Y1, Y3, Y1
	VMOVUPS   Y1, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNE       sigmoid8
	VZEROUPPER
	RET

// func TanhAVX2(dst, src unsafe.Pointer, n uintptr)
TEXT ·TanhAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS f_one<>(SB), Y8
	VMOVUPS f_abs<>(SB), Y9

tanh8:
	VMOVUPS   (SI), Y6
	VANDPS    Y9, Y6, Y7 // a = |x|
	VADDPS    Y7, Y7, Y0
	EXP                  // e**2a
	VADDPS    Y8, Y1, Y1
	VMOVUPS   f_two<>(SB), Y2
	VDIVPS    Y1, Y2, Y1
	VSUBPS    Y1, Y8, Y1           // t = 1 - 2/(e**2a + 1)
	VCMPPS    $1, f_tone<>(SB), Y7, Y2
	VBLENDVPS Y2, Y1, Y8, Y1       // a < 9.1 ? t : 1
	VMULPS    Y6, Y6, Y3           // z = x*x
	VMOVUPS   f_t0<>(SB), Y4
	VFMADD213PS f_t1<>(SB), Y3, Y4
	VFMADD213PS f_t2<>(SB), Y3, Y4
	VFMADD213PS f_t3<>(SB), Y3, Y4
	VFMADD213PS f_t4<>(SB), Y3, Y4
	VMULPS    Y3, Y6, Y5           // fma(x*z, p, x)
	VFMADD213PS Y6, Y5, Y4
	VCMPPS    $1, f_tcut<>(SB), Y7, Y2
	VBLENDVPS Y2, Y4, Y1, Y1       // a < 0.625
	VANDPS    Y9, Y1, Y1           // the sign of x
	VANDNPS   Y6, Y9, Y2
	VORPS     Y2, Y1, Y1
	VCMPPS    $3, Y6, Y6, Y2       // NaN
	VBLENDVPS Y2, Y6, Y1, Y1
	VMOVUPS   Y1, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNE       tanh8
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

//go:build !purego

#include "textflag.h"

// Elementwise kernels for AVX-512, sixteen lanes at a time (go doc SigmoidAVX512).
// Memory decides the speed of most elementwise functions, so that wider vectors
// gain nothing. Here a long chain of operations does: twice as many are under way.

#define CONST(name, bits) \
	DATA name<>+0(SB)/4, $bits; \
	GLOBL name<>(SB), RODATA|NOPTR, $4

CONST(w_log2e, 0x3fb8aa3b) // log2(e)
CONST(w_magic, 0x4b400000) // 1.5*2**23
CONST(w_nln2hi, 0xbf317218) // -ln 2, high part
CONST(w_nln2lo, 0x3102e308) // -ln 2, low part
CONST(w_e0, 0x3ab511eb) // polynomial of exp
CONST(w_e1, 0x3c091cf7) // 0.008368722
CONST(w_e2, 0x3d2aac79) // 0.04166839
CONST(w_e3, 0x3e2aaa49) // 0.16666521
CONST(w_e4, 0x3efffffe) // 0.49999994
CONST(w_one, 0x3f800000) // 1
CONST(w_emin, 0xc2d00000) // -104
CONST(w_abs, 0x7fffffff) // all but the sign

#define START \
	MOVQ         dst+0(FP), DI; \
	MOVQ         src+8(FP), SI; \
	MOVQ         n+16(FP), CX; \
	VBROADCASTSS w_log2e<>(SB), Z16; \
	VBROADCASTSS w_magic<>(SB), Z17; \
	VBROADCASTSS w_nln2hi<>(SB), Z18; \
	VBROADCASTSS w_nln2lo<>(SB), Z19; \
	VBROADCASTSS w_e0<>(SB), Z20; \
	VBROADCASTSS w_e1<>(SB), Z21; \
	VBROADCASTSS w_e2<>(SB), Z22; \
	VBROADCASTSS w_e3<>(SB), Z23; \
	VBROADCASTSS w_e4<>(SB), Z24; \
	VBROADCASTSS w_one<>(SB), Z25; \
	VBROADCASTSS w_emin<>(SB), Z26; \
	VBROADCASTSS w_abs<>(SB), Z27; \
	VPXORD       Z28, Z28, Z28

// SIGMOID sets Z1 to 1/(1+e**-x) of x in Z6, by the operations of SIGMOID in
// elementwise_avx2_amd64.s; VSCALEFPS rounds as its two multiplications do.
#define SIGMOID \
	VMOVUPS     (SI), Z6; \
	VPANDD      Z27, Z6, Z0; \
	VSUBPS      Z0, Z28, Z0; \ // -|x|
	VMOVAPS     Z17, Z2; \ // n = rne(-|x|*log2 e)
	VFMADD231PS Z16, Z0, Z2; \
	VSUBPS      Z17, Z2, Z2; \
	VMOVAPS     Z0, Z3; \
	VFMADD231PS Z18, Z2, Z3; \
	VFMADD231PS Z19, Z2, Z3; \
	VMOVAPS     Z20, Z1; \
	VFMADD213PS Z21, Z3, Z1; \
	VFMADD213PS Z22, Z3, Z1; \
	VFMADD213PS Z23, Z3, Z1; \
	VFMADD213PS Z24, Z3, Z1; \
	VFMADD213PS Z25, Z3, Z1; \
	VFMADD213PS Z25, Z3, Z1; \
	VSCALEFPS   Z2, Z1, Z1; \
	VCMPPS      $5, Z26, Z0, K1; \ // not below -104: else 0
	VMOVAPS.Z   Z1, K1, Z1; \
	VCMPPS      $1, Z28, Z6, K2; \ // x < 0 ? e : 1
	VBLENDMPS   Z1, Z25, K2, Z3; \
	VADDPS      Z1, Z25, Z1; \
	VDIVPS      Z1, Z3, Z1

// NEXT stores Z1 and goes on to the next vector at label, or returns.
#define NEXT(label) \
	VMOVUPS Z1, (DI); \
	ADDQ    $64, SI; \
	ADDQ    $64, DI; \
	SUBQ    $16, CX; \
	JNE     label; \
	VZEROUPPER; \
	RET

// func SigmoidAVX512(dst, src unsafe.Pointer, n uintptr)
TEXT ·SigmoidAVX512(SB), NOSPLIT, $0-24
	START

sigmoid16:
	SIGMOID
	NEXT(sigmoid16)

// func SiluAVX512(dst, src unsafe.Pointer, n uintptr)
TEXT ·SiluAVX512(SB), NOSPLIT, $0-24
	START

silu16:
	SIGMOID
	VMULPS Z6, Z1, Z1
	NEXT(silu16)

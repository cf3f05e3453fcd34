//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"
#include "epilogue_arm64.h"

// Elementwise kernels on int8 codes: products, tables, and the ends of sums.
// Callers give multiples of a vector.

// func QMulNEON(dst, a, b unsafe.Pointer, n uintptr, p *QMulArgs)
TEXT ·QMulNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R1
	MOVD a+8(FP), R2
	MOVD b+16(FP), R3
	MOVD n+24(FP), R4
	MOVD p+32(FP), R0
	LOAD_CODE_RANGE(QMulArgs_Lo, QMulArgs_Hi, QMulArgs_Zero)
	OUTPUT_CONSTANTS
	VLD1R (R0), [V26.S4] // M
	MOVW QMulArgs_Za(R0), R5
	MOVW QMulArgs_Zb(R0), R6
	VDUP R5, V24.B16
	VDUP R6, V25.B16

qmul16:
	FMOVQ.P 16(R2), F0
	FMOVQ.P 16(R3), F1
	SSUBL_8H(24, 0, 2)
	SSUBL2_8H(24, 0, 3)
	SSUBL_8H(25, 1, 8)
	SSUBL2_8H(25, 1, 9)
	SMULL_4S(8, 2, 4)
	SMULL2_4S(8, 2, 5)
	SMULL_4S(9, 3, 6)
	SMULL2_4S(9, 3, 7)
	REQUANTIZE_16(4, 5, 6, 7, 26, 26, 26, 26)
	FMOVQ.P F4, 16(R1)
	SUBS $16, R4
	BNE  qmul16
	RET

// func RequantizeNEON(dst, sums unsafe.Pointer, n uintptr, p *RequantizeArgs)
TEXT ·RequantizeNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R1
	MOVD sums+8(FP), R2
	MOVD n+16(FP), R4
	MOVD p+24(FP), R0
	LOAD_CODE_RANGE(RequantizeArgs_Lo, RequantizeArgs_Hi, RequantizeArgs_Zero)
	OUTPUT_CONSTANTS
	VLD1R (R0), [V26.S4] // M
	MOVW RequantizeArgs_Sub(R0), R5
	VDUP R5, V24.S4

requantize16:
	FLDPQ.P 32(R2), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	VSUB V24.S4, V0.S4, V0.S4
	VSUB V24.S4, V1.S4, V1.S4
	VSUB V24.S4, V2.S4, V2.S4
	VSUB V24.S4, V3.S4, V3.S4
	REQUANTIZE_16(0, 1, 2, 3, 26, 26, 26, 26)
	FMOVQ.P F0, 16(R1)
	SUBS $16, R4
	BNE  requantize16
	RET

// MEAN(v) divides the sums in v by V20, half (V21) away from zero. A quotient of
// integers below 2**24 never rounds up to the next integer, so the truncation gives
// the integer quotient. V24 is the sign. Clobbers V4.
#define MEAN(v) \
	SCVTF_4S(v, v); \
	VMOV V21.B16, V4.B16; \
	BIT_16B(24, v, 4); \
	FADD_4S(4, v, v); \
	FDIV_4S(20, v, v); \
	FCVTZS_4S(v, v)

// func QMeanNEON(dst, sums unsafe.Pointer, n uintptr, p *QMeanArgs)
TEXT ·QMeanNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R1
	MOVD sums+8(FP), R2
	MOVD n+16(FP), R4
	MOVD p+24(FP), R0
	VLD1R.P 4(R0), [V20.S4] // Count, Half, SumShift, Shift, Lo, Hi
	VLD1R.P 4(R0), [V21.S4]
	VLD1R.P 4(R0), [V22.S4]
	VLD1R.P 4(R0), [V23.S4]
	MOVW (R0), R5
	MOVW 4(R0), R6
	VDUP R5, V29.B16
	VDUP R6, V30.B16
	MOVD $0x80000000, R5
	VDUP R5, V24.S4

qmean16:
	FLDPQ.P 32(R2), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	VADD V22.S4, V0.S4, V0.S4
	VADD V22.S4, V1.S4, V1.S4
	VADD V22.S4, V2.S4, V2.S4
	VADD V22.S4, V3.S4, V3.S4
	MEAN(0)
	MEAN(1)
	MEAN(2)
	MEAN(3)
	VSUB V23.S4, V0.S4, V0.S4
	VSUB V23.S4, V1.S4, V1.S4
	VSUB V23.S4, V2.S4, V2.S4
	VSUB V23.S4, V3.S4, V3.S4
	SQXTN_4H(0, 0)
	SQXTN_4H(2, 2)
	SQXTN2_8H(1, 0)
	SQXTN2_8H(3, 2)
	SQXTN_8B(0, 0)
	SQXTN2_16B(2, 0)
	SMAX_16B(29, 0, 0)
	SMIN_16B(30, 0, 0)
	FMOVQ.P F0, 16(R1)
	SUBS $16, R4
	BNE  qmean16
	RET

// func QuantizeDivNEON(dst, src unsafe.Pointer, n uintptr, scale, lo, hi float32, zero int32)
TEXT ·QuantizeDivNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R1
	MOVD src+8(FP), R2
	MOVD n+16(FP), R4
	FMOVS scale+24(FP), F27
	FMOVS lo+28(FP), F29
	FMOVS hi+32(FP), F30
	MOVW zero+36(FP), R19
	VDUP V27.S[0], V27.S4
	CODE_RANGE
	OUTPUT_CONSTANTS

	// FCVTNS takes NaN to 0.
quantizeDiv16:
	FLDPQ.P 32(R2), (F0, F1)
	FLDPQ.P 32(R2), (F2, F3)
	FDIV_4S(27, 0, 0)
	FDIV_4S(27, 1, 1)
	FDIV_4S(27, 2, 2)
	FDIV_4S(27, 3, 3)
	ROUND_16(0, 1, 2, 3)
	FMOVQ.P F0, 16(R1)
	SUBS $16, R4
	BNE  quantizeDiv16
	RET

// func DequantizeNEON(dst, src unsafe.Pointer, n uintptr, scale float32, zero int32)
TEXT ·DequantizeNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R1
	MOVD src+8(FP), R2
	MOVD n+16(FP), R4
	FMOVS scale+24(FP), F27
	MOVW zero+28(FP), R5
	VDUP V27.S[0], V27.S4
	VDUP R5, V24.H8

dequantize16:
	FMOVQ.P 16(R2), F0
	SXTL_8H(0, 1)
	SXTL2_8H(0, 2)
	VSUB V24.H8, V1.H8, V1.H8
	VSUB V24.H8, V2.H8, V2.H8
	SXTL_4S(1, 4)
	SXTL2_4S(1, 5)
	SXTL_4S(2, 6)
	SXTL2_4S(2, 7)
	SCVTF_4S(4, 4)
	SCVTF_4S(5, 5)
	SCVTF_4S(6, 6)
	SCVTF_4S(7, 7)
	FMUL_4S(27, 4, 4)
	FMUL_4S(27, 5, 5)
	FMUL_4S(27, 6, 6)
	FMUL_4S(27, 7, 7)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R1)
	SUBS $16, R4
	BNE  dequantize16
	RET

// func FlipNEON(dst, src unsafe.Pointer, n uintptr)
TEXT ·FlipNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R1
	MOVD src+8(FP), R2
	MOVD n+16(FP), R4
	VMOVI $0x80, V8.B16

flip64:
	VLD1.P 64(R2), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR V8.B16, V0.B16, V0.B16
	VEOR V8.B16, V1.B16, V1.B16
	VEOR V8.B16, V2.B16, V2.B16
	VEOR V8.B16, V3.B16, V3.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	SUBS $64, R4
	BNE  flip64
	RET

// func LookupNEON(dst, src unsafe.Pointer, n uintptr, table unsafe.Pointer)
TEXT ·LookupNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R1
	MOVD src+8(FP), R2
	MOVD n+16(FP), R4
	MOVD table+24(FP), R3
	VLD1.P 64(R3), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1.P 64(R3), [V20.B16, V21.B16, V22.B16, V23.B16]
	VLD1.P 64(R3), [V24.B16, V25.B16, V26.B16, V27.B16]
	VLD1   (R3), [V28.B16, V29.B16, V30.B16, V31.B16]
	VMOVI $64, V7.B16

	// A quarter of the table at a time: an index beyond it leaves the byte alone.
lookup16:
	FMOVQ.P 16(R2), F0
	VSUB V7.B16, V0.B16, V1.B16
	VSUB V7.B16, V1.B16, V2.B16
	VSUB V7.B16, V2.B16, V3.B16
	VTBL V0.B16, [V16.B16, V17.B16, V18.B16, V19.B16], V4.B16
	VTBX V1.B16, [V20.B16, V21.B16, V22.B16, V23.B16], V4.B16
	VTBX V2.B16, [V24.B16, V25.B16, V26.B16, V27.B16], V4.B16
	VTBX V3.B16, [V28.B16, V29.B16, V30.B16, V31.B16], V4.B16
	FMOVQ.P F4, 16(R1)
	SUBS $16, R4
	BNE  lookup16
	RET

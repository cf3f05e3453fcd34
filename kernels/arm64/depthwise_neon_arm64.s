//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "macros_arm64.h"
#include "epilogue_arm64.h"

// Kernels for any taps take two pixels at a time, so that a weight is loaded once
// for both; an odd last pixel is computed twice. R4 and R5 are the bases of taps whose
// offset is >= 0 and -1: A and Pad+1, both plus the channel.

#define WIDEN(x, lo, hi) \
	SXTL_8H(x, lo); \
	SXTL2_8H(x, hi)

// LOAD_2(w, x, y) loads two vectors at w(R3). Two loads take an out-of-order core no
// longer than one of a pair; to the Cortex-A55 a pair is six cycles.
#define LOAD_2(w, x, y) \
	FMOVQ w+0(R3), x; \
	FMOVQ w+16(R3), y

// MAC_16(lo, hi, s0, s1, s2, s3) adds sixteen products with the weights in V16, V17.
#define MAC_16(lo, hi, s0, s1, s2, s3) \
	SMLAL_4S(16, lo, s0); \
	SMLAL2_4S(16, lo, s1); \
	SMLAL_4S(17, hi, s2); \
	SMLAL2_4S(17, hi, s3)

// func QDepthwiseNEON(a *QDWArgs)
TEXT ·QDepthwiseNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LOAD_CODE_RANGE(QDWArgs_Lo, QDWArgs_Hi, QDWArgs_Zero)
	OUTPUT_CONSTANTS
	LDP  QDWArgs_Off(R0), (R1, R6)
	LDP  QDWArgs_Out(R0), (R8, R14)
	MOVD QDWArgs_Pixels(R0), R13

pair:
	// Offsets of the two pixels at R1 and R2, outputs at R8 and R9.
	CMP  $1, R13
	CSEL GT, R6, ZR, R2
	ADD  R2<<2, R1, R2
	CSEL GT, R14, ZR, R9
	ADD  R8, R9, R9
	LDP  QDWArgs_A(R0), (R4, R5)
	ADD  $1, R5
	LDP  QDWArgs_C(R0), (R7, R3)
	SUBS $16, R7
	BLT  tail

block:
	FLDPQ.P 32(R3), (F0, F1)
	FLDPQ.P 32(R3), (F2, F3)
	VMOVI $0, V20.B16
	VMOVI $0, V21.B16
	VMOVI $0, V22.B16
	VMOVI $0, V23.B16
	VMOV V0.B16, V4.B16
	VMOV V1.B16, V5.B16
	VMOV V2.B16, V6.B16
	VMOV V3.B16, V7.B16
	MOVD ZR, R10

	// The inputs of a tap are loaded before the products of the tap before it,
	// which are zero at first.
tap:
	MOVW (R1)(R10<<2), R11
	MOVW (R2)(R10<<2), R12
	ADD  $1, R10
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	CMP  $0, R12
	CSEL LT, R5, R4, R17
	LDRQ_X(11, 16, 18)
	LDRQ_X(12, 17, 19)
	CMP  R6, R10
	MAC_16(20, 21, 0, 1, 2, 3)
	MAC_16(22, 23, 4, 5, 6, 7)
	LOAD_2(0, F16, F17)
	ADD  $32, R3
	WIDEN(18, 20, 21)
	WIDEN(19, 22, 23)
	BNE  tap
	MAC_16(20, 21, 0, 1, 2, 3)
	MAC_16(22, 23, 4, 5, 6, 7)

	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	REQUANTIZE_16(0, 1, 2, 3, 24, 25, 26, 27)
	REQUANTIZE_16(4, 5, 6, 7, 24, 25, 26, 27)
	FMOVQ.P F4, 16(R9)
	FMOVQ.P F0, 16(R8)
	ADD  $16, R4
	ADD  $16, R5
	SUBS $16, R7
	BGE  block

tail:
	ADDS $16, R7
	BEQ  next

	// The last R7 = 1..15 channels. Eight bytes that end with the last channel stay
	// inside the pixel unless C < 8; a shift drops the channels before the tail.
	SUB  $8, R7, R24
	NEG  R24<<3, R25
	MOVD QDWArgs_C(R0), R26
	CMP  $8, R26
	BLT  pixels
	CMP  $8, R7
	BGT  pixels

	// At most eight: both pixels side by side in one vector.
	FLDPQ (R3), (F0, F1)
	ADD  $64, R3
	VMOV V0.B16, V2.B16
	VMOV V1.B16, V3.B16
	MOVD ZR, R10

tap8:
	MOVW (R1)(R10<<2), R11
	MOVW (R2)(R10<<2), R12
	FMOVQ.P 32(R3), F16
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	CMP  $0, R12
	CSEL LT, R5, R4, R17
	ADD  R11, R16
	ADD  R12, R17
	MOVD (R16)(R24), R11
	MOVD (R17)(R24), R12
	ADD  $1, R10
	CMP  R6, R10
	LSR  R25, R11, R11
	LSR  R25, R12, R12
	FMOVD R11, F18
	FMOVD R12, F19
	SXTL_8H(18, 20)
	SXTL_8H(19, 21)
	SMLAL_4S(16, 20, 0)
	SMLAL2_4S(16, 20, 1)
	SMLAL_4S(16, 21, 2)
	SMLAL2_4S(16, 21, 3)
	BNE  tap8

	FLDPQ (R3), (F24, F25)
	REQUANTIZE_16(0, 1, 2, 3, 24, 25, 24, 25)
	VEXT $8, V0.B16, V0.B16, V1.B16
	CMP  $8, R7
	BNE  partial8
	FMOVD F1, (R9)
	FMOVD F0, (R8)
	B    next

partial8:
	MOVD R8, R23
	STORE_BELOW_8(V1, R9, R7)
	STORE_BELOW_8(V0, R23, R7)
	B    next

	// More than eight, or C < 8: one pixel after the other, the second, then, with
	// R20 zero, the first.
pixels:
	MOVD $1, R20
	MOVD R3, R21
	MOVD R2, R22
	MOVD R9, R23

tail_pixel:
	MOVD R21, R3
	FLDPQ.P 32(R3), (F0, F1)
	FLDPQ.P 32(R3), (F2, F3)
	MOVD ZR, R10

tail_tap:
	MOVW (R22)(R10<<2), R11
	FLDPQ.P 32(R3), (F16, F17)
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	ADD  R11, R16
	CMP  $8, R26
	BLT  bytes
	MOVD (R16)(R24), R12
	LSR  R25, R12, R12
	FMOVD (R16), F18
	VMOV R12, V18.D[1]
	B    tail_mul

bytes:
	MOVD R7, R17
	MOVD ZR, R12

byte:
	SUBS $1, R17
	MOVBU (R16)(R17), R11
	ORR  R12<<8, R11, R12
	BNE  byte
	FMOVD R12, F18

tail_mul:
	ADD  $1, R10
	CMP  R6, R10
	WIDEN(18, 20, 21)
	MAC_16(20, 21, 0, 1, 2, 3)
	BNE  tail_tap

	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	REQUANTIZE_16(0, 1, 2, 3, 24, 25, 26, 27)
	STORE_BELOW_16(V0, R23, R7)
	MOVD R1, R22
	MOVD R8, R23
	SUBS $1, R20
	BEQ  tail_pixel

next:
	// R8 is past the full blocks of the first pixel.
	MOVD QDWArgs_C(R0), R7
	AND  $~15, R7
	SUB  R7, R8
	ADD  R14<<1, R8
	ADD  R6<<3, R1
	SUBS $2, R13
	BGT  pair
	RET

// The taps of QDepthwise9NEON, even and odd ones: inputs in V18, V24, widened to
// V20, V21 and V25, V26; weights in V16, V17 and V22, V23; sums in V0-V3. R4 is the
// first of the sixteen channels.
#define LOAD_EVEN(p) LDRQ_X(4, p, 18)
#define LOAD_ODD(p) LDRQ_X(4, p, 24)
#define WEIGHTS_EVEN(w) LOAD_2(w, F16, F17)
#define WEIGHTS_ODD(w) LOAD_2(w, F22, F23)

#define WIDEN_EVEN WIDEN(18, 20, 21)
#define WIDEN_ODD WIDEN(24, 25, 26)

// The last channels lie at the end of the sixteen that are loaded; V31 are the
// indices that move them to the front.
#define SHIFT_WIDEN_EVEN \
	VTBL V31.B16, [V18.B16], V18.B16; \
	WIDEN_EVEN

#define SHIFT_WIDEN_ODD \
	VTBL V31.B16, [V24.B16], V24.B16; \
	WIDEN_ODD

#define MAC_EVEN MAC_16(20, 21, 0, 1, 2, 3)

#define MAC_ODD \
	SMLAL_4S(22, 25, 0); \
	SMLAL2_4S(22, 25, 1); \
	SMLAL_4S(23, 26, 2); \
	SMLAL2_4S(23, 26, 3)

// BLOCK_9(even, odd) leaves the codes of sixteen channels in V0. A tap is loaded
// two taps ahead and widened one ahead, for the cores that issue in order.
#define BLOCK_9(even, odd) \
	LOAD_EVEN(5); \
	WEIGHTS_EVEN(64); \
	LOAD_ODD(6); \
	WEIGHTS_ODD(96); \
	LOAD_2(0, F0, F1); \
	even; \
	LOAD_EVEN(9); \
	LOAD_2(32, F2, F3); \
	odd; \
	LOAD_ODD(10); \
	MAC_EVEN; \
	WEIGHTS_EVEN(128); \
	even; \
	LOAD_EVEN(11); \
	MAC_ODD; \
	WEIGHTS_ODD(160); \
	odd; \
	LOAD_ODD(12); \
	MAC_EVEN; \
	WEIGHTS_EVEN(192); \
	even; \
	LOAD_EVEN(15); \
	MAC_ODD; \
	WEIGHTS_ODD(224); \
	odd; \
	LOAD_ODD(16); \
	MAC_EVEN; \
	WEIGHTS_EVEN(256); \
	even; \
	LOAD_EVEN(17); \
	MAC_ODD; \
	WEIGHTS_ODD(288); \
	odd; \
	MAC_EVEN; \
	WEIGHTS_EVEN(320); \
	even; \
	MAC_ODD; \
	LOAD_2(352, F22, F23); \
	LOAD_2(384, F24, F25); \
	MAC_EVEN; \
	REQUANTIZE_16(0, 1, 2, 3, 22, 23, 24, 25)

// ROW(off, p) points p at the row with offset off. R14 is A, R19 is Pad.
#define ROW(off, p) \
	ADD  off, R14, p; \
	CMP  $0, off; \
	CSEL LT, R19, p, p

// func QDepthwise9NEON(a *QDWArgs)
TEXT ·QDepthwise9NEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	LOAD_CODE_RANGE(QDWArgs_Lo, QDWArgs_Hi, QDWArgs_Zero)
	OUTPUT_CONSTANTS
	LDP  QDWArgs_A(R0), (R14, R19)
	MOVD QDWArgs_Off(R0), R1
	LDP  QDWArgs_Out(R0), (R22, R23)
	MOVD QDWArgs_Pixels(R0), R13

	// Byte i of V31 is i + 16 - C%16.
	MOVD QDWArgs_C(R0), R7
	MOVD $0x0706050403020100, R20
	MOVD $0x0f0e0d0c0b0a0908, R21
	VMOV R20, V31.D[0]
	VMOV R21, V31.D[1]
	AND  $15, R7, R24
	NEG  R24, R20
	ADD  $16, R20
	VDUP R20, V0.B16
	VADD V0.B16, V31.B16, V31.B16

pixel:
	LDPSW.P 8(R1), (R20, R21)
	ROW(R20, R5)
	ROW(R21, R6)
	LDPSW.P 8(R1), (R20, R21)
	ROW(R20, R9)
	ROW(R21, R10)
	LDPSW.P 8(R1), (R20, R21)
	ROW(R20, R11)
	ROW(R21, R12)
	LDPSW.P 8(R1), (R20, R21)
	ROW(R20, R15)
	ROW(R21, R16)
	MOVW.P 4(R1), R20
	ROW(R20, R17)
	MOVD QDWArgs_W(R0), R3
	MOVD R22, R8
	MOVD ZR, R4
	SUB  $16, R7, R2                   // last place for sixteen channels

block:
	BLOCK_9(WIDEN_EVEN, WIDEN_ODD)
	FMOVQ.P F0, 16(R8)
	ADD  $416, R3
	ADD  $16, R4
	CMP  R2, R4
	BLE  block

	CBZ  R24, next
	MOVD R2, R4
	BLOCK_9(SHIFT_WIDEN_EVEN, SHIFT_WIDEN_ODD)
	STORE_BELOW_16(V0, R8, R24)

next:
	ADD  R23, R22
	SUBS $1, R13
	BNE  pixel
	RET

// CLAMP(x, t) clamps v<x> to V26, V27. FMAX(-0, +0) is +0, where the comparison leaves
// -0; FMIN differs from a comparison only for a bound of -0. Clobbers v<t>.
#define CLAMP(x, t) \
	FCMGT_4S(x, 26, t); \
	BIT_16B(t, 26, x); \
	FMIN_4S(27, x, x)

// func DepthwiseNEON(a *DWArgs)
TEXT ·DepthwiseNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R0
	ADD  $DWArgs_Lo, R0, R16
	VLD1R.P 4(R16), [V26.S4]
	VLD1R (R16), [V27.S4]
	LDP  DWArgs_Off(R0), (R1, R6)
	LDP  DWArgs_Out(R0), (R8, R14)
	MOVD DWArgs_Pixels(R0), R13
	ADD  R6<<2, R1

	// R1 and R2 are behind the offsets of the two pixels, R10 counts up to 0.
pair:
	CMP  $1, R13
	CSEL GT, R6, ZR, R2
	ADD  R2<<2, R1, R2
	CSEL GT, R14, ZR, R9
	ADD  R8, R9, R9
	LDP  DWArgs_A(R0), (R4, R5)
	ADD  $1, R5
	LDP  DWArgs_C(R0), (R7, R3)
	SUBS $8, R7
	BLT  tail

block:
	FLDPQ.P 32(R3), (F24, F25)
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	NEG  R6, R10

tap:
	MOVW (R1)(R10<<2), R11
	MOVW (R2)(R10<<2), R12
	LOAD_2(0, F16, F17)
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	CMP  $0, R12
	CSEL LT, R5, R4, R17
	ADD  R11, R16
	ADD  R12, R17
	FMOVQ (R16), F18
	FMOVQ 16(R16), F19
	FMOVQ (R17), F20
	FMOVQ 16(R17), F21
	ADD  $32, R3
	ADDS $1, R10
	VFMLA V16.S4, V18.S4, V0.S4
	VFMLA V17.S4, V19.S4, V1.S4
	VFMLA V16.S4, V20.S4, V2.S4
	VFMLA V17.S4, V21.S4, V3.S4
	BNE  tap

	FADD_4S(24, 0, 0)
	FADD_4S(25, 1, 1)
	FADD_4S(24, 2, 2)
	FADD_4S(25, 3, 3)
	CLAMP(0, 28)
	CLAMP(1, 29)
	CLAMP(2, 30)
	CLAMP(3, 31)
	FSTPQ.P (F2, F3), 32(R9)
	FSTPQ.P (F0, F1), 32(R8)
	ADD  $32, R4
	ADD  $32, R5
	SUBS $8, R7
	BGE  block

tail:
	ADDS $8, R7
	BEQ  next
	SUBS $4, R7
	BLT  tail1

	// Four of the last block's channels.
	FMOVQ (R3), F24
	VMOVI $0, V0.B16
	VMOVI $0, V2.B16
	ADD  $32, R3, R15
	NEG  R6, R10

tap4:
	MOVW (R1)(R10<<2), R11
	MOVW (R2)(R10<<2), R12
	FMOVQ.P 32(R15), F16
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	CMP  $0, R12
	CSEL LT, R5, R4, R17
	LDRQ_X(11, 16, 18)
	LDRQ_X(12, 17, 20)
	ADDS $1, R10
	VFMLA V16.S4, V18.S4, V0.S4
	VFMLA V16.S4, V20.S4, V2.S4
	BNE  tap4

	FADD_4S(24, 0, 0)
	FADD_4S(24, 2, 2)
	CLAMP(0, 28)
	CLAMP(2, 30)
	FMOVQ.P F2, 16(R9)
	FMOVQ.P F0, 16(R8)
	ADD  $16, R3
	ADD  $16, R4
	ADD  $16, R5
	SUB  $4, R7

tail1:
	ADDS $4, R7
	BEQ  next

channel:
	FMOVS (R3), F24
	VMOVI $0, V0.B16
	VMOVI $0, V2.B16
	ADD  $32, R3, R15
	NEG  R6, R10

tap1:
	MOVW (R1)(R10<<2), R11
	MOVW (R2)(R10<<2), R12
	FMOVS.P 32(R15), F16
	CMP  $0, R11
	CSEL LT, R5, R4, R16
	CMP  $0, R12
	CSEL LT, R5, R4, R17
	FMOVS (R16)(R11), F18
	FMOVS (R17)(R12), F20
	ADDS $1, R10
	VFMLA V16.S4, V18.S4, V0.S4
	VFMLA V16.S4, V20.S4, V2.S4
	BNE  tap1

	FADD_4S(24, 0, 0)
	FADD_4S(24, 2, 2)
	CLAMP(0, 28)
	CLAMP(2, 30)
	FMOVS.P F2, 4(R9)
	FMOVS.P F0, 4(R8)
	ADD  $4, R3
	ADD  $4, R4
	ADD  $4, R5
	SUBS $1, R7
	BNE  channel

next:
	// R8 is past the channels of the first pixel.
	MOVD DWArgs_C(R0), R7
	SUB  R7<<2, R8
	ADD  R14<<1, R8
	ADD  R6<<3, R1
	SUBS $2, R13
	BGT  pair
	RET

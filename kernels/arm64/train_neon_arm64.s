//go:build !purego

#include "textflag.h"
#include "macros_arm64.h"
#include "macros_elementwise_arm64.h"

// Elementwise kernels for training: two vectors at a time, n a multiple of eight. Every
// operation is rounded, as the portable loops of train.go have it.

// BOTH(op, m, n, d) does op of two neighbouring registers each, BOTH_M with a constant m.
#define BOTH(op, m, n, d) \
	op(m, n, d); \
	op(m+1, n+1, d+1)

#define BOTH_M(op, m, n, d) \
	op(m, n, d); \
	op(m, n+1, d+1)

DATA lane<>+0(SB)/8, $0x0000000200000001
DATA lane<>+8(SB)/8, $0x0000000800000004
DATA lane<>+16(SB)/8, $0x0000002000000010
DATA lane<>+24(SB)/8, $0x0000008000000040
GLOBL lane<>(SB), RODATA|NOPTR, $32

// func RangeBitsNEON(bits, y unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·RangeBitsNEON(SB), NOSPLIT, $0-32
	MOVD bits+0(FP), R0
	MOVD y+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS lo+24(FP), F16
	FMOVS hi+28(FP), F17
	VDUP V16.S[0], V16.S4
	VDUP V17.S[0], V17.S4
	MOVD $lane<>(SB), R3
	VLD1 (R3), [V18.B16, V19.B16]

bits:
	FMOVQ (R1), F2
	FMOVQ 16(R1), F3
	ADD  $32, R1
	SUBS $8, R2
	BOTH_M(FCMGT_4S, 16, 2, 4)         // y > lo, false for NaN
	FCMGT_4S(2, 17, 6)                 // y < hi
	FCMGT_4S(3, 17, 7)
	VAND V6.B16, V4.B16, V4.B16
	VAND V7.B16, V5.B16, V5.B16
	VAND V18.B16, V4.B16, V4.B16
	VAND V19.B16, V5.B16, V5.B16
	VORR V4.B16, V5.B16, V4.B16
	VADDV V4.S4, V4
	VMOV V4.S[0], R4
	MOVB.P R4, 1(R0)
	BNE  bits
	RET

// func KeepBitsNEON(dy, bits unsafe.Pointer, n uintptr)
TEXT ·KeepBitsNEON(SB), NOSPLIT, $0-24
	MOVD dy+0(FP), R0
	MOVD bits+8(FP), R1
	MOVD n+16(FP), R2
	MOVD $lane<>(SB), R3
	VLD1 (R3), [V18.B16, V19.B16]

keep:
	MOVBU.P 1(R1), R4
	VDUP R4, V2.S4
	FMOVQ (R0), F0
	FMOVQ 16(R0), F1
	SUBS $8, R2
	VAND V18.B16, V2.B16, V4.B16
	VAND V19.B16, V2.B16, V5.B16
	VCMEQ V18.S4, V4.S4, V4.S4
	VCMEQ V19.S4, V5.S4, V5.S4
	VAND V4.B16, V0.B16, V0.B16
	VAND V5.B16, V1.B16, V1.B16
	FSTPQ (F0, F1), (R0)
	ADD  $32, R0
	BNE  keep
	RET

// func SGDStepNEON(p, d, v unsafe.Pointer, n uintptr, lr, momentum, decay float32)
TEXT ·SGDStepNEON(SB), NOSPLIT, $0-44
	MOVD p+0(FP), R0
	MOVD d+8(FP), R1
	MOVD v+16(FP), R3
	MOVD n+24(FP), R2
	FMOVS lr+32(FP), F16
	FMOVS momentum+36(FP), F17
	FMOVS decay+40(FP), F18
	VDUP V16.S[0], V16.S4
	VDUP V17.S[0], V17.S4
	VDUP V18.S[0], V18.S4

sgd:
	FMOVQ (R0), F0
	FMOVQ 16(R0), F1
	FMOVQ (R1), F2
	FMOVQ 16(R1), F3
	ADD  $32, R1
	BOTH_M(FMUL_4S, 18, 0, 4)
	BOTH(FADD_4S, 4, 2, 2)
	CBZ  R3, plain
	FMOVQ (R3), F6
	FMOVQ 16(R3), F7
	BOTH_M(FMUL_4S, 17, 6, 6)
	BOTH(FADD_4S, 6, 2, 2)
	FSTPQ (F2, F3), (R3)
	ADD  $32, R3

plain:
	SUBS $8, R2
	BOTH_M(FMUL_4S, 16, 2, 2)
	BOTH(FSUB_4S, 2, 0, 0)
	FSTPQ (F0, F1), (R0)
	ADD  $32, R0                       // not by the store, whose address would wait for its data
	BNE  sgd
	RET

// func AdamWStepNEON(p, d, m, v unsafe.Pointer, n uintptr, c *[8]float32)
TEXT ·AdamWStepNEON(SB), NOSPLIT, $0-48
	MOVD p+0(FP), R0
	MOVD d+8(FP), R1
	MOVD m+16(FP), R3
	MOVD v+24(FP), R5
	MOVD n+32(FP), R2
	MOVD c+40(FP), R4
	LD1R_4S_P(4, 16)                   // rate
	LD1R_4S_P(4, 17)                   // correction
	LD1R_4S_P(4, 18)                   // shrinkage
	LD1R_4S_P(4, 19)                   // beta 1
	LD1R_4S_P(4, 20)                   // beta 2
	LD1R_4S_P(4, 21)                   // epsilon
	LD1R_4S_P(4, 22)                   // 1 - beta 1
	LD1R_4S(4, 23)                     // 1 - beta 2

adam:
	FMOVQ (R0), F0
	FMOVQ 16(R0), F1
	FMOVQ (R1), F2
	FMOVQ 16(R1), F3
	FMOVQ (R3), F4
	FMOVQ 16(R3), F5
	FMOVQ (R5), F6
	FMOVQ 16(R5), F7
	ADD  $32, R1
	SUBS $8, R2
	BOTH_M(FMUL_4S, 20, 6, 6)
	BOTH_M(FMUL_4S, 23, 2, 24)
	BOTH(FMUL_4S, 2, 24, 24)
	BOTH(FADD_4S, 24, 6, 6)
	BOTH_M(FMUL_4S, 19, 4, 4)
	BOTH_M(FMUL_4S, 22, 2, 26)
	BOTH(FADD_4S, 26, 4, 4)
	VST1.P [V6.B16, V7.B16], 32(R5)
	FSQRT_4S(6, 6)
	FSQRT_4S(7, 7)
	VST1.P [V4.B16, V5.B16], 32(R3)
	BOTH_M(FDIV_4S, 17, 6, 6)
	BOTH_M(FMUL_4S, 18, 0, 24)
	BOTH(FSUB_4S, 24, 0, 0)
	BOTH_M(FADD_4S, 21, 6, 6)
	BOTH(FDIV_4S, 6, 4, 4)
	BOTH_M(FMUL_4S, 16, 4, 4)
	BOTH(FSUB_4S, 4, 0, 0)
	VST1.P [V0.B16, V1.B16], 32(R0)
	BNE  adam
	RET

// func MaxTapNEON(dst, won, src unsafe.Pointer, off *int32, taps, n uintptr)
TEXT ·MaxTapNEON(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD won+8(FP), R1
	MOVD src+16(FP), R2
	MOVD off+24(FP), R3
	MOVD taps+32(FP), R4
	MOVD n+40(FP), R5
	MOVD $1, R6
	VDUP R6, V17.S4

	// The maxima in V0, V1, the winners in V2, V3, the tap in V16.
eight:
	MOVD R3, R7
	SUBS $1, R4, R9
	MOVW.P 4(R7), R8
	ADD  R8<<2, R2, R8
	FMOVQ (R8), F0
	FMOVQ 16(R8), F1
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V16.B16
	BEQ  store

tap:
	MOVW.P 4(R7), R8
	ADD  R8<<2, R2, R8
	FMOVQ (R8), F4
	FMOVQ 16(R8), F5
	ADD_4S(17, 16, 16)
	SUBS $1, R9
	BOTH(FCMGT_4S, 0, 4, 6)
	BOTH(BIT_16B, 6, 4, 0)
	BIT_16B(6, 16, 2)
	BIT_16B(7, 16, 3)
	BNE  tap

store:
	VST1.P [V0.B16, V1.B16], 32(R0)
	SQXTN_4H(2, 2)
	SQXTN2_8H(3, 2)
	VUZP1 V2.B16, V2.B16, V2.B16
	FMOVD.P F2, 8(R1)
	ADD  $32, R2
	SUBS $8, R5
	BNE  eight
	RET

// func MaxTapGradNEON(dx, dy, won unsafe.Pointer, off *int32, taps, n, add uintptr)
TEXT ·MaxTapGradNEON(SB), NOSPLIT, $0-56
	MOVD dx+0(FP), R0
	MOVD dy+8(FP), R1
	MOVD won+16(FP), R2
	MOVD off+24(FP), R3
	MOVD taps+32(FP), R4
	MOVD n+40(FP), R5
	MOVD add+48(FP), R6
	MOVD $1, R7
	VDUP R7, V17.S4

eight:
	FMOVQ (R1), F0
	FMOVQ 16(R1), F1
	FMOVD.P 8(R2), F2
	ADD  $32, R1
	VUXTL V2.B8, V2.H8
	VUXTL2 V2.H8, V3.S4
	VUXTL V2.H4, V2.S4
	VMOVI $0, V16.B16
	MOVD R3, R7
	MOVD R4, R9

tap:
	MOVW.P 4(R7), R8
	ADD  R8<<2, R0, R8
	SUBS $1, R9
	VCMEQ V16.S4, V2.S4, V4.S4
	VCMEQ V16.S4, V3.S4, V5.S4
	ADD_4S(17, 16, 16)
	BOTH(AND_16B, 0, 4, 4)
	CBZ  R6, write
	FMOVQ (R8), F6
	FMOVQ 16(R8), F7
	BOTH(FADD_4S, 6, 4, 4)

write:
	FSTPQ (F4, F5), (R8)
	BNE  tap
	ADD  $32, R0
	SUBS $8, R5
	BNE  eight
	RET

// TURN_4 turns four vectors of rows into columns. Clobbers V16-V19.
#define TURN_4(a, b, c, d) \
	VTRN1 b.S4, a.S4, V16.S4; \
	VTRN2 b.S4, a.S4, V17.S4; \
	VTRN1 d.S4, c.S4, V18.S4; \
	VTRN2 d.S4, c.S4, V19.S4; \
	VTRN1 V18.D2, V16.D2, a.D2; \
	VTRN1 V19.D2, V17.D2, b.D2; \
	VTRN2 V18.D2, V16.D2, c.D2; \
	VTRN2 V19.D2, V17.D2, d.D2

// func Turn8NEON(dst, src unsafe.Pointer, n, dstLD, srcLD uintptr)
TEXT ·Turn8NEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	MOVD dstLD+24(FP), R3
	MOVD srcLD+32(FP), R4
	ADD  R4<<2, R1, R5                 // row 4

four:
	ADD  R4, R1, R6
	ADD  R4, R5, R7
	FMOVQ (R1), F0
	FMOVQ (R6), F1
	FMOVQ (R5), F4
	FMOVQ (R7), F5
	ADD  R4, R6
	ADD  R4, R7
	FMOVQ (R6), F2
	FMOVQ (R7), F6
	ADD  R4, R6
	ADD  R4, R7
	FMOVQ (R6), F3
	FMOVQ (R7), F7
	TURN_4(V0, V1, V2, V3)
	TURN_4(V4, V5, V6, V7)
	ADD  $16, R1
	ADD  $16, R5
	SUBS $4, R2
	FSTPQ (F0, F4), (R0)
	ADD  R3, R0
	FSTPQ (F1, F5), (R0)
	ADD  R3, R0
	FSTPQ (F2, F6), (R0)
	ADD  R3, R0
	FSTPQ (F3, F7), (R0)
	ADD  R3, R0
	BNE  four
	RET

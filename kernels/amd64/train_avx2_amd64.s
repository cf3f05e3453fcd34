//go:build !purego

#include "textflag.h"

// Elementwise kernels for training, AVX2: eight lanes at a time, n a multiple of
// eight. Every operation is rounded, as the portable loops of train.go have it.

// func RangeBitsAVX2(bits, y unsafe.Pointer, n uintptr, lo, hi float32)
TEXT ·RangeBitsAVX2(SB), NOSPLIT, $0-32
	MOVQ bits+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS lo+24(FP), Y0
	VBROADCASTSS hi+28(FP), Y1

bits:
	VMOVUPS   (SI), Y2
	VCMPPS    $0x1e, Y0, Y2, Y3 // y > lo, false for NaN
	VCMPPS    $0x11, Y1, Y2, Y4 // y < hi
	VANDPS    Y3, Y4, Y3
	VMOVMSKPS Y3, AX
	MOVB      AX, (DI)
	ADDQ      $32, SI
	INCQ      DI
	SUBQ      $8, CX
	JNZ       bits
	VZEROUPPER
	RET

DATA lane<>+0(SB)/8, $0x0000000200000001
DATA lane<>+8(SB)/8, $0x0000000800000004
DATA lane<>+16(SB)/8, $0x0000002000000010
DATA lane<>+24(SB)/8, $0x0000008000000040
GLOBL lane<>(SB), RODATA|NOPTR, $32

// func KeepBitsAVX2(dy, bits unsafe.Pointer, n uintptr)
TEXT ·KeepBitsAVX2(SB), NOSPLIT, $0-24
	MOVQ dy+0(FP), DI
	MOVQ bits+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVDQU lane<>(SB), Y0

keep:
	VPBROADCASTB (SI), Y1
	VPAND        Y0, Y1, Y1
	VPCMPEQD     Y0, Y1, Y1
	VANDPS       (DI), Y1, Y1
	VMOVUPS      Y1, (DI)
	ADDQ         $32, DI
	INCQ         SI
	SUBQ         $8, CX
	JNZ          keep
	VZEROUPPER
	RET

// func SGDStepAVX2(p, d, v unsafe.Pointer, n uintptr, lr, momentum, decay float32)
TEXT ·SGDStepAVX2(SB), NOSPLIT, $0-44
	MOVQ p+0(FP), DI
	MOVQ d+8(FP), SI
	MOVQ v+16(FP), BX
	MOVQ n+24(FP), CX
	VBROADCASTSS lr+32(FP), Y0
	VBROADCASTSS momentum+36(FP), Y1
	VBROADCASTSS decay+40(FP), Y2

sgd:
	VMOVUPS (DI), Y3
	VMULPS  Y3, Y2, Y4
	VADDPS  (SI), Y4, Y4
	TESTQ   BX, BX
	JZ      plain
	VMULPS  (BX), Y1, Y5
	VADDPS  Y5, Y4, Y4
	VMOVUPS Y4, (BX)
	ADDQ    $32, BX

plain:
	VMULPS  Y4, Y0, Y4
	VSUBPS  Y4, Y3, Y3
	VMOVUPS Y3, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNZ     sgd
	VZEROUPPER
	RET

// func AdamWStepAVX2(p, d, m, v unsafe.Pointer, n uintptr, c *[8]float32)
TEXT ·AdamWStepAVX2(SB), NOSPLIT, $0-48
	MOVQ p+0(FP), DI
	MOVQ d+8(FP), SI
	MOVQ m+16(FP), R8
	MOVQ v+24(FP), R9
	MOVQ n+32(FP), CX
	MOVQ c+40(FP), AX
	VBROADCASTSS (AX), Y8    // rate
	VBROADCASTSS 4(AX), Y9   // corr
	VBROADCASTSS 8(AX), Y10  // shrink
	VBROADCASTSS 12(AX), Y11 // beta1
	VBROADCASTSS 16(AX), Y12 // beta2
	VBROADCASTSS 20(AX), Y13 // eps
	VBROADCASTSS 24(AX), Y14 // 1-beta1
	VBROADCASTSS 28(AX), Y15 // 1-beta2

adam:
	VMOVUPS (DI), Y0
	VMOVUPS (SI), Y1
	VMULPS  Y0, Y10, Y2
	VSUBPS  Y2, Y0, Y0
	VMULPS  (R8), Y11, Y3
	VMULPS  Y1, Y14, Y4
	VADDPS  Y4, Y3, Y3
	VMOVUPS Y3, (R8)
	VMULPS  (R9), Y12, Y5
	VMULPS  Y1, Y15, Y6
	VMULPS  Y1, Y6, Y6
	VADDPS  Y6, Y5, Y5
	VMOVUPS Y5, (R9)
	VSQRTPS Y5, Y5
	VDIVPS  Y9, Y5, Y5
	VADDPS  Y13, Y5, Y5
	VDIVPS  Y5, Y3, Y3
	VMULPS  Y3, Y8, Y3
	VSUBPS  Y3, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	ADDQ    $32, R8
	ADDQ    $32, R9
	SUBQ    $8, CX
	JNZ     adam
	VZEROUPPER
	RET

// func MaxTapAVX2(dst, won, src unsafe.Pointer, off *int32, taps, n uintptr)
TEXT ·MaxTapAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ won+8(FP), BX
	MOVQ src+16(FP), SI
	MOVQ off+24(FP), R8
	MOVQ taps+32(FP), R9
	MOVQ n+40(FP), CX
	VPCMPEQD Y7, Y7, Y7
	VPSRLD   $31, Y7, Y7 // 1

eight:
	MOVLQSX (R8), AX
	VMOVUPS (SI)(AX*4), Y0
	VPXOR   Y1, Y1, Y1 // the winner
	VPXOR   Y2, Y2, Y2 // the tap
	MOVQ    $1, DX

tap:
	CMPQ      DX, R9
	JGE       store
	MOVLQSX   (R8)(DX*4), AX
	VPADDD    Y7, Y2, Y2
	VMOVUPS   (SI)(AX*4), Y3
	VCMPPS    $0x1e, Y0, Y3, Y4
	VBLENDVPS Y4, Y3, Y0, Y0
	VBLENDVPS Y4, Y2, Y1, Y1
	INCQ      DX
	JMP       tap

store:
	VMOVUPS      Y0, (DI)
	VEXTRACTI128 $1, Y1, X3
	VPACKUSDW    X3, X1, X1
	VPACKUSWB    X1, X1, X1
	VMOVQ        X1, (BX)
	ADDQ $32, DI
	ADDQ $8, BX
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ  eight
	VZEROUPPER
	RET

// func MaxTapGradAVX2(dx, dy, won unsafe.Pointer, off *int32, taps, n, add uintptr)
TEXT ·MaxTapGradAVX2(SB), NOSPLIT, $0-56
	MOVQ dx+0(FP), DI
	MOVQ dy+8(FP), SI
	MOVQ won+16(FP), BX
	MOVQ off+24(FP), R8
	MOVQ taps+32(FP), R9
	MOVQ n+40(FP), CX
	MOVQ add+48(FP), R10
	VPCMPEQD Y7, Y7, Y7
	VPSRLD   $31, Y7, Y7

eight:
	VPMOVZXBD (BX), Y1
	VMOVUPS   (SI), Y0
	VPXOR     Y2, Y2, Y2
	XORQ      DX, DX

tap:
	MOVLQSX  (R8)(DX*4), AX
	VPCMPEQD Y1, Y2, Y3
	VANDPS   Y0, Y3, Y3
	TESTQ    R10, R10
	JZ       write
	VADDPS   (DI)(AX*4), Y3, Y3

write:
	VMOVUPS Y3, (DI)(AX*4)
	VPADDD  Y7, Y2, Y2
	INCQ    DX
	CMPQ    DX, R9
	JLT     tap
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $8, BX
	SUBQ $8, CX
	JNZ  eight
	VZEROUPPER
	RET

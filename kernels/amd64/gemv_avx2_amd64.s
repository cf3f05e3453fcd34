//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// Float32 product of one row, AVX2 and FMA, 64 columns (go doc Gemv64AVX2).
//
// An output is one chain of additions, so it takes 8 registers of columns side
// by side, Y0-Y7, to hide the latency of the addition. Columns that are not
// valid are computed from packed zeros and not stored. R8 = the row, AX = end of
// a tap at A, BX = end of the pad row, CX = offset of the tap, DI = taps left, SI
// walks the panel, DX counts the bytes of a tap from -4·KC up to 0, R9 = -4·KC,
// R15 = arguments.

// func Gemv64AVX2(a *GemmArgs)
TEXT ·Gemv64AVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), R15
	MOVQ GEMM_KC(R15), R9
	SHLQ $2, R9
	MOVQ GEMM_A(R15), AX
	MOVQ GEMM_PAD(R15), BX
	ADDQ R9, AX
	ADDQ R9, BX
	NEGQ R9
	MOVQ GEMM_OFF(R15), CX
	MOVQ GEMM_TAPS(R15), DI
	MOVQ GEMM_W(R15), SI
	ADDQ $256, SI
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7

tap:
	ROW(0, R8)
	MOVQ R9, DX

k:
	VBROADCASTSS (R8)(DX*1), Y8
	VFMADD231PS  (SI), Y8, Y0
	VFMADD231PS  32(SI), Y8, Y1
	VFMADD231PS  64(SI), Y8, Y2
	VFMADD231PS  96(SI), Y8, Y3
	VFMADD231PS  128(SI), Y8, Y4
	VFMADD231PS  160(SI), Y8, Y5
	VFMADD231PS  192(SI), Y8, Y6
	VFMADD231PS  224(SI), Y8, Y7
	ADDQ         $256, SI
	ADDQ         $4, DX
	JNZ          k
	ADDQ         $4, CX
	DECQ         DI
	JNZ          tap

	// The bound is the first source of VMAXPS and VMINPS, so that a NaN or -0
	// in the sums stays.
	MOVQ         GEMM_W(R15), SI
	MOVQ         GEMM_C(R15), DI
	MOVQ         GEMM_COLS(R15), CX
	VBROADCASTSS FGEMM_LO(R15), Y9
	VBROADCASTSS FGEMM_HI(R15), Y10
	VADDPS       (SI), Y0, Y0
	VMAXPS       Y0, Y9, Y0
	VMINPS       Y0, Y10, Y0
	VADDPS       32(SI), Y1, Y1
	VMAXPS       Y1, Y9, Y1
	VMINPS       Y1, Y10, Y1
	VADDPS       64(SI), Y2, Y2
	VMAXPS       Y2, Y9, Y2
	VMINPS       Y2, Y10, Y2
	VADDPS       96(SI), Y3, Y3
	VMAXPS       Y3, Y9, Y3
	VMINPS       Y3, Y10, Y3
	VADDPS       128(SI), Y4, Y4
	VMAXPS       Y4, Y9, Y4
	VMINPS       Y4, Y10, Y4
	VADDPS       160(SI), Y5, Y5
	VMAXPS       Y5, Y9, Y5
	VMINPS       Y5, Y10, Y5
	VADDPS       192(SI), Y6, Y6
	VMAXPS       Y6, Y9, Y6
	VMINPS       Y6, Y10, Y6
	VADDPS       224(SI), Y7, Y7
	VMAXPS       Y7, Y9, Y7
	VMINPS       Y7, Y10, Y7

store:
	CMPQ    CX, $8
	JLT     part
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	VMOVAPS Y1, Y0
	VMOVAPS Y2, Y1
	VMOVAPS Y3, Y2
	VMOVAPS Y4, Y3
	VMOVAPS Y5, Y4
	VMOVAPS Y6, Y5
	VMOVAPS Y7, Y6
	SUBQ    $8, CX
	JNZ     store
	JMP     done

part:
	LEAQ       ·lanes+64(SB), AX
	SHLQ       $2, CX
	SUBQ       CX, AX
	VMOVUPS    (AX), Y1
	VMASKMOVPS Y0, Y1, (DI)

done:
	VZEROUPPER
	RET

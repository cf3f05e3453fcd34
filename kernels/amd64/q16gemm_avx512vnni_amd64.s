//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "rows_avx512_amd64.h"

// PAIR adds products of pairs with AVX-512 VNNI (go doc Q16Gemm12x32VNNI).
#define PAIR(w, x, c) \
	VPDPWSSD w, x, c

// func Q16Gemm12x32VNNI(a *QGemmArgs)
TEXT ·Q16Gemm12x32VNNI(SB), NOSPLIT, $24-8
#include "q16gemm_avx512_amd64.h"

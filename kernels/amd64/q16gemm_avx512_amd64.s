//go:build !purego

#include "textflag.h"
#include "args_amd64.h"
#include "rows_avx512_amd64.h"

// PAIR adds products of pairs with AVX-512 (go doc Q16Gemm12x32AVX512).
#define PAIR(w, x, c) \
	VPMADDWD w, x, Z31; \
	VPADDD   Z31, c, c

// func Q16Gemm12x32AVX512(a *QGemmArgs)
TEXT ·Q16Gemm12x32AVX512(SB), NOSPLIT, $24-8
#include "q16gemm_avx512_amd64.h"

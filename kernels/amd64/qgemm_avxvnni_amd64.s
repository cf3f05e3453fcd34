//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// VPDPBUSD ymm(d), ymm(v), ymm(m) in the VEX encoding of AVX-VNNI, for registers
// 0-15. Go's assembler knows the EVEX form only, which faults on CPUs without AVX-512.
#define DPBUSD(m, v, d) \
	BYTE $0xC4; \
	BYTE $(0x42 | ((~(d)&8)<<4) | ((~(m)&8)<<2)); \
	BYTE $(0x05 | ((~(v)&15)<<3)); \
	BYTE $0x50; \
	BYTE $(0xC0 | ((d)&7)<<3 | ((m)&7))

#include "qgemm_vnni256_amd64.h"

// func QGemm12x16AVXVNNI(a *QGemmArgs)
TEXT ·QGemm12x16AVXVNNI(SB), NOSPLIT, $0-8
	BODY

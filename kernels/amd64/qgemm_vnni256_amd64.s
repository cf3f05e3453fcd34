//go:build !purego

#include "textflag.h"
#include "args_amd64.h"

// VPDPBUSD ymm(d), ymm(v), ymm(m) in the EVEX encoding of AVX-512 VL and VNNI, for
// registers 0-15. Go's assembler knows it, but not by number, as the body names
// its registers for the sake of the VEX encoding.
#define DPBUSD(m, v, d) \
	BYTE $0x62; \
	BYTE $(0x52 | ((~(d)&8)<<4) | ((~(m)&8)<<2)); \
	BYTE $(0x05 | ((~(v)&15)<<3)); \
	BYTE $0x28; \
	BYTE $0x50; \
	BYTE $(0xC0 | ((d)&7)<<3 | ((m)&7))

#include "qgemm_vnni256_amd64.h"

// func QGemm12x16VNNI256(a *QGemmArgs)
TEXT ·QGemm12x16VNNI256(SB), NOSPLIT, $0-8
	BODY

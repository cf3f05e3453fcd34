//go:build !purego

#include "textflag.h"

// 16 set and 16 clear lanes: a load at lane 16-n gives n set lanes, for VMASKMOVPS.
GLOBL ·lanes(SB), RODATA|NOPTR, $128
DATA ·lanes+0(SB)/8, $-1
DATA ·lanes+8(SB)/8, $-1
DATA ·lanes+16(SB)/8, $-1
DATA ·lanes+24(SB)/8, $-1
DATA ·lanes+32(SB)/8, $-1
DATA ·lanes+40(SB)/8, $-1
DATA ·lanes+48(SB)/8, $-1
DATA ·lanes+56(SB)/8, $-1
DATA ·lanes+64(SB)/8, $0
DATA ·lanes+72(SB)/8, $0
DATA ·lanes+80(SB)/8, $0
DATA ·lanes+88(SB)/8, $0
DATA ·lanes+96(SB)/8, $0
DATA ·lanes+104(SB)/8, $0
DATA ·lanes+112(SB)/8, $0
DATA ·lanes+120(SB)/8, $0

// Row pointers of a tile of at most 12 rows, for the AVX-512 matrix products. They
// take R8-R15, DI, AX, BX, CX. What else a tap needs is on the stack (off-8, taps-16,
// row9-24): mask registers would be free, but a move from one waits behind all vector
// work in flight.

// TAP loads what ROW needs; KC counts elements of size bytes.
#define TAP(size) \
	MOVQ a+0(FP), DX; \
	MOVQ GEMM_KC(DX), CX; \
	MOVQ GEMM_A(DX), AX; \
	MOVQ GEMM_PAD(DX), BX; \
	LEAQ (AX)(CX*size), AX; \
	LEAQ (BX)(CX*size), BX; \
	MOVQ off-8(SP), CX

// COUNT starts DX, which counts the bytes of a tap up to 0.
#define COUNT(size) \
	MOVQ  a+0(FP), DX; \
	MOVQ  GEMM_KC(DX), DX; \
	IMULQ $-size, DX

// NEXT goes on to the next tap; it leaves ZF set behind the last.
#define NEXT \
	ADDQ $48, off-8(SP); \
	DECQ taps-16(SP)

#define ROWS4 \
	ROW(0, R8); \
	ROW(1, R9); \
	ROW(2, R10); \
	ROW(3, R11)

#define ROWS8 \
	ROWS4; \
	ROW(4, R12); \
	ROW(5, R13); \
	ROW(6, R14); \
	ROW(7, R15)

// The last pointers replace the registers that ROW reads.
#define ROWS12 \
	ROWS8; \
	ROW(8, DI); \
	ROW(9, DX); \
	MOVQ DX, row9-24(SP); \
	ROW(10, DX); \
	ROW(11, CX); \
	MOVQ DX, BX; \
	MOVQ row9-24(SP), AX

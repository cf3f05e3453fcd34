// Byte offsets of the fields of QGemmArgs, GemmArgs, QDWArgs and DWArgs.

#define GEMM_A 0
#define GEMM_PAD 8
#define GEMM_OFF 16
#define GEMM_TAPS 24
#define GEMM_KC 32
#define GEMM_W 40
#define GEMM_C 48
#define GEMM_LDC 56
#define GEMM_ROWS 64
#define GEMM_COLS 72
#define QGEMM_CORR 80
#define QGEMM_LO 88
#define QGEMM_HI 92
#define QGEMM_ZERO 96
#define QGEMM_RAW 100
#define QGEMM_STEP 104
#define QGEMM_NEXT 112
#define QGEMM_LEFT 120
#define QGEMM_RES 128
#define QGEMM_SUM 136
#define QGEMM_SECOND 144
#define QGEMM_LEAST 148
#define QGEMM_MOST 152
#define FGEMM_LO 80
#define FGEMM_HI 84

#define DW_A 0
#define DW_PAD 8
#define DW_OFF 16
#define DW_TAPS 24
#define DW_C 32
#define DW_W 40
#define DW_OUT 48
#define DW_LDC 56
#define DW_PIXELS 64
#define DW_LO 72
#define DW_HI 76
#define QDW_ZERO 80

// ROW points reg at the input of tile row i for the current tap:
// CX = the tap's offsets, AX = end of the tap at A, BX = end of the pad row.
#define ROW(i, reg) \
	MOVLQSX (4*i)(CX), reg; \
	TESTQ   reg, reg; \
	LEAQ    (AX)(reg*1), reg; \
	CMOVQLT BX, reg

// TAPAT points reg at the input of a depthwise tap whose offset lies at off: AX =
// A, BX = Pad, both at the current channels. TAPROW does so for tap i of the current
// pixel: SI = the pixel's offsets.
#define TAPAT(off, reg) \
	MOVLQSX off, reg; \
	TESTQ   reg, reg; \
	LEAQ    (AX)(reg*1), reg; \
	CMOVQLT BX, reg

#define TAPROW(i, reg) TAPAT((4*i)(SI), reg)

// Ends of the int8 kernels: int32 sums to int8 codes, and the stores of partial
// rows. Constants while they run: V28.H8 zero point, V29.B16 lowest code, V30.B16
// highest code.
//
// The contract clamps the scaled sum to [lo-zy, hi-zy], rounds it to nearest even
// and adds zy. These bounds are integers, rounding is monotone, and FCVTNS, SQXTN
// and SQADD saturate, so clamping the final code to [lo, hi] gives the same code.

// CODE_RANGE makes the lowest and the highest code in R16, R17 of the clamp in F29,
// F30 and the zero point in R19.
#define CODE_RANGE \
	FCVTZSSW F29, R16; \
	FCVTZSSW F30, R17; \
	ADDW R19, R16, R16; \
	ADDW R19, R17, R17

// LOAD_CODE_RANGE(lo, hi, zero) makes them and R19 of three fields of the arguments
// at R0.
#define LOAD_CODE_RANGE(lo, hi, zero) \
	FMOVS lo(R0), F29; \
	FMOVS hi(R0), F30; \
	MOVW zero(R0), R19; \
	CODE_RANGE

// OUTPUT_CONSTANTS makes the constants of R16, R17, R19.
#define OUTPUT_CONSTANTS \
	VDUP R19, V28.H8; \
	VDUP R16, V29.B16; \
	VDUP R17, V30.B16

// ROUND_16(a, b, c, d) makes sixteen codes in v<a> of the numbers in v<a>-v<d>.
// Clobbers v<b>-v<d>.
#define ROUND_16(a, b, c, d) \
	FCVTNS_4S(a, a); \
	FCVTNS_4S(b, b); \
	FCVTNS_4S(c, c); \
	FCVTNS_4S(d, d); \
	SQXTN_4H(a, a); \
	SQXTN_4H(c, c); \
	SQXTN2_8H(b, a); \
	SQXTN2_8H(d, c); \
	SQADD_8H(28, a, a); \
	SQADD_8H(28, c, c); \
	SQXTN_8B(a, a); \
	SQXTN2_16B(c, a); \
	SMAX_16B(29, a, a); \
	SMIN_16B(30, a, a)

// REQUANTIZE_16(a, b, c, d, s, t, u, v) makes sixteen codes in v<a> of the sums in
// v<a>-v<d> and the scales in v<s>-v<v>. Clobbers v<b>-v<d>.
#define REQUANTIZE_16(a, b, c, d, s, t, u, v) \
	SCVTF_4S(a, a); \
	SCVTF_4S(b, b); \
	SCVTF_4S(c, c); \
	SCVTF_4S(d, d); \
	FMUL_4S(s, a, a); \
	FMUL_4S(t, b, b); \
	FMUL_4S(u, c, c); \
	FMUL_4S(v, d, d); \
	ROUND_16(a, b, c, d)

// STORE_BELOW_8(v, p, n) stores the first n < 8 bytes of v at p. Clobbers v and p.
#define STORE_BELOW_8(v, p, n) \
	TBZ $2, n, 3(PC); \
	VST1.P v.S[0], 4(p); \
	VEXT $4, v.B16, v.B16, v.B16; \
	TBZ $1, n, 3(PC); \
	VST1.P v.H[0], 2(p); \
	VEXT $2, v.B16, v.B16, v.B16; \
	TBZ $0, n, 2(PC); \
	VST1 v.B[0], (p)

// STORE_BELOW_16(v, p, n) stores the first n < 16 bytes of v at p. Clobbers v and p.
#define STORE_BELOW_16(v, p, n) \
	TBZ $3, n, 3(PC); \
	VST1.P v.D[0], 8(p); \
	VEXT $8, v.B16, v.B16, v.B16; \
	STORE_BELOW_8(v, p, n)

// STORE_WORDS_BELOW_8(a, b, p, n) stores the first n < 8 words of a, b at p.
// Clobbers a, b and p.
#define STORE_WORDS_BELOW_8(a, b, p, n) \
	TBZ $2, n, 3(PC); \
	VST1.P [a.S4], 16(p); \
	VMOV b.B16, a.B16; \
	TBZ $1, n, 3(PC); \
	VST1.P a.D[0], 8(p); \
	VEXT $8, a.B16, a.B16, a.B16; \
	TBZ $0, n, 2(PC); \
	VST1 a.S[0], (p)

// STORE_WORDS_BELOW_16(a, b, c, d, p, n) stores the first n < 16 words of
// a, b, c, d at p. Clobbers a, b and p.
#define STORE_WORDS_BELOW_16(a, b, c, d, p, n) \
	TBZ $3, n, 5(PC); \
	VST1.P [a.S4], 16(p); \
	VST1.P [b.S4], 16(p); \
	VMOV c.B16, a.B16; \
	VMOV d.B16, b.B16; \
	STORE_WORDS_BELOW_8(a, b, p, n)

// Instructions that the Go 1.26 assembler lacks, as WORDs.
//
// Arguments are register numbers in the order of Go's own instructions: sources
// from last to first, then the destination; i is a lane. The line above a macro
// is the instruction it stands for; macros_test.go decodes the expansion of every
// macro for many registers and compares the two. Base words: Arm ARM (DDI 0487),
// chapters C4 and C7. (Some exist in the
// assembler; those here take numbers as the others do.)

// ldr s<t>, [x<n>, x<m>]
#define LDRS_X(m, n, t) WORD $(0xbc606800 | (m)<<16 | (n)<<5 | (t))
// ldr d<t>, [x<n>, x<m>]
#define LDRD_X(m, n, t) WORD $(0xfc606800 | (m)<<16 | (n)<<5 | (t))
// ldr q<t>, [x<n>, x<m>]
#define LDRQ_X(m, n, t) WORD $(0x3ce06800 | (m)<<16 | (n)<<5 | (t))
// fmov d<d>, x<n>
#define FMOVD_X(n, d) WORD $(0x9e670000 | (n)<<5 | (d))

// smull v<d>.8h, v<n>.8b, v<m>.8b
#define SMULL_8H(m, n, d) WORD $(0x0e20c000 | (m)<<16 | (n)<<5 | (d))
// smull2 v<d>.8h, v<n>.16b, v<m>.16b
#define SMULL2_8H(m, n, d) WORD $(0x4e20c000 | (m)<<16 | (n)<<5 | (d))
// smlal v<d>.8h, v<n>.8b, v<m>.8b
#define SMLAL_8H(m, n, d) WORD $(0x0e208000 | (m)<<16 | (n)<<5 | (d))
// sadalp v<d>.4s, v<n>.8h
#define SADALP_4S(n, d) WORD $(0x4e606800 | (n)<<5 | (d))
// saddw v<d>.4s, v<n>.4s, v<m>.4h
#define SADDW_4S(m, n, d) WORD $(0x0e601000 | (m)<<16 | (n)<<5 | (d))
// saddw2 v<d>.4s, v<n>.4s, v<m>.8h
#define SADDW2_4S(m, n, d) WORD $(0x4e601000 | (m)<<16 | (n)<<5 | (d))
// zip1 v<d>.16b, v<n>.16b, v<m>.16b
#define ZIP1_16B(m, n, d) WORD $(0x4e003800 | (m)<<16 | (n)<<5 | (d))
// zip2 v<d>.16b, v<n>.16b, v<m>.16b
#define ZIP2_16B(m, n, d) WORD $(0x4e007800 | (m)<<16 | (n)<<5 | (d))
// saddlp v<d>.4s, v<n>.8h
#define SADDLP_4S(n, d) WORD $(0x4e602800 | (n)<<5 | (d))
// smlal v<d>.4s, v<n>.4h, v<m>.4h
#define SMLAL_4S(m, n, d) WORD $(0x0e608000 | (m)<<16 | (n)<<5 | (d))
// smlal2 v<d>.4s, v<n>.8h, v<m>.8h
#define SMLAL2_4S(m, n, d) WORD $(0x4e608000 | (m)<<16 | (n)<<5 | (d))
// sxtl v<d>.8h, v<n>.8b
#define SXTL_8H(n, d) WORD $(0x0f08a400 | (n)<<5 | (d))
// sxtl2 v<d>.8h, v<n>.16b
#define SXTL2_8H(n, d) WORD $(0x4f08a400 | (n)<<5 | (d))

// sxtl v<d>.4s, v<n>.4h
#define SXTL_4S(n, d) WORD $(0x0f10a400 | (n)<<5 | (d))
// sxtl2 v<d>.4s, v<n>.8h
#define SXTL2_4S(n, d) WORD $(0x4f10a400 | (n)<<5 | (d))
// mul v<d>.4s, v<n>.4s, v<m>.4s
#define MUL_4S(m, n, d) WORD $(0x4ea09c00 | (m)<<16 | (n)<<5 | (d))
// sshr v<d>.4s, v<n>.4s, #1
#define SSHR1_4S(n, d) WORD $(0x4f3f0400 | (n)<<5 | (d))

// sdot v<d>.4s, v<n>.16b, v<m>.16b
#define SDOT_4S(m, n, d) WORD $(0x4e809400 | (m)<<16 | (n)<<5 | (d))
// sdot v<d>.4s, v<n>.16b, v<m>.4b[<i>]
#define SDOT_4S_LANE(i, m, n, d) WORD $(0x4f80e000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d))
// smmla v<d>.4s, v<n>.16b, v<m>.16b
#define SMMLA_4S(m, n, d) WORD $(0x4e80a400 | (m)<<16 | (n)<<5 | (d))

// fmla v<d>.4s, v<n>.4s, v<m>.s[<i>]
#define FMLA_4S_LANE(i, m, n, d) WORD $(0x4f801000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d))
// fadd v<d>.4s, v<n>.4s, v<m>.4s
#define FADD_4S(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d))
// fsub v<d>.4s, v<n>.4s, v<m>.4s
#define FSUB_4S(m, n, d) WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d))
// fmul v<d>.4s, v<n>.4s, v<m>.4s
#define FMUL_4S(m, n, d) WORD $(0x6e20dc00 | (m)<<16 | (n)<<5 | (d))
// fmla v<d>.4s, v<n>.4s, v<m>.4s
#define FMLA_4S(m, n, d) WORD $(0x4e20cc00 | (m)<<16 | (n)<<5 | (d))
// fdiv v<d>.4s, v<n>.4s, v<m>.4s
#define FDIV_4S(m, n, d) WORD $(0x6e20fc00 | (m)<<16 | (n)<<5 | (d))
// fabs v<d>.4s, v<n>.4s
#define FABS_4S(n, d) WORD $(0x4ea0f800 | (n)<<5 | (d))
// fneg v<d>.4s, v<n>.4s
#define FNEG_4S(n, d) WORD $(0x6ea0f800 | (n)<<5 | (d))
// fcmeq v<d>.4s, v<n>.4s, v<m>.4s
#define FCMEQ_4S(m, n, d) WORD $(0x4e20e400 | (m)<<16 | (n)<<5 | (d))
// fmin v<d>.4s, v<n>.4s, v<m>.4s
#define FMIN_4S(m, n, d) WORD $(0x4ea0f400 | (m)<<16 | (n)<<5 | (d))
// fcmgt v<d>.4s, v<n>.4s, v<m>.4s
#define FCMGT_4S(m, n, d) WORD $(0x6ea0e400 | (m)<<16 | (n)<<5 | (d))
// sqneg v<d>.8b, v<n>.8b
#define SQNEG_8B(n, d) WORD $(0x2e207800 | (n)<<5 | (d))
// bit v<d>.16b, v<n>.16b, v<m>.16b
#define BIT_16B(m, n, d) WORD $(0x6ea01c00 | (m)<<16 | (n)<<5 | (d))
// bif v<d>.16b, v<n>.16b, v<m>.16b
#define BIF_16B(m, n, d) WORD $(0x6ee01c00 | (m)<<16 | (n)<<5 | (d))
// eor v<d>.16b, v<n>.16b, v<m>.16b
#define EOR_16B(m, n, d) WORD $(0x6e201c00 | (m)<<16 | (n)<<5 | (d))
// bic v<d>.16b, v<n>.16b, v<m>.16b
#define BIC_16B(m, n, d) WORD $(0x4e601c00 | (m)<<16 | (n)<<5 | (d))
// scvtf v<d>.4s, v<n>.4s
#define SCVTF_4S(n, d) WORD $(0x4e21d800 | (n)<<5 | (d))
// fcvtzs v<d>.4s, v<n>.4s
#define FCVTZS_4S(n, d) WORD $(0x4ea1b800 | (n)<<5 | (d))
// fcvtns v<d>.4s, v<n>.4s
#define FCVTNS_4S(n, d) WORD $(0x4e21a800 | (n)<<5 | (d))

// sqxtn v<d>.4h, v<n>.4s
#define SQXTN_4H(n, d) WORD $(0x0e614800 | (n)<<5 | (d))
// sqxtn2 v<d>.8h, v<n>.4s
#define SQXTN2_8H(n, d) WORD $(0x4e614800 | (n)<<5 | (d))
// sqxtn v<d>.8b, v<n>.8h
#define SQXTN_8B(n, d) WORD $(0x0e214800 | (n)<<5 | (d))
// sqxtn2 v<d>.16b, v<n>.8h
#define SQXTN2_16B(n, d) WORD $(0x4e214800 | (n)<<5 | (d))
// sqadd v<d>.8h, v<n>.8h, v<m>.8h
#define SQADD_8H(m, n, d) WORD $(0x4e600c00 | (m)<<16 | (n)<<5 | (d))
// smax v<d>.16b, v<n>.16b, v<m>.16b
#define SMAX_16B(m, n, d) WORD $(0x4e206400 | (m)<<16 | (n)<<5 | (d))
// smin v<d>.16b, v<n>.16b, v<m>.16b
#define SMIN_16B(m, n, d) WORD $(0x4e206c00 | (m)<<16 | (n)<<5 | (d))

// smlal v<d>.4s, v<n>.4h, v<h>.h[<i>]
#define SMLAL_4S_LANE(i, h, n, d) WORD $(0x0f402000 | ((i)&1)<<20 | ((i)>>1)<<21 | (h)<<16 | (n)<<5 | (d))
// smlal2 v<d>.4s, v<n>.8h, v<h>.h[<i>]
#define SMLAL2_4S_LANE(i, h, n, d) WORD $(0x4f402000 | ((i)&1)<<20 | ((i)>>1)<<21 | (h)<<16 | (n)<<5 | (d))
// sxtl v<d>.2d, v<n>.2s
#define SXTL_2D(n, d) WORD $(0x0f20a400 | (n)<<5 | (d))
// sxtl2 v<d>.2d, v<n>.4s
#define SXTL2_2D(n, d) WORD $(0x4f20a400 | (n)<<5 | (d))
// scvtf v<d>.2d, v<n>.2d
#define SCVTF_2D(n, d) WORD $(0x4e61d800 | (n)<<5 | (d))
// fmul v<d>.2d, v<n>.2d, v<m>.2d
#define FMUL_2D(m, n, d) WORD $(0x6e60dc00 | (m)<<16 | (n)<<5 | (d))
// fcvtns v<d>.2d, v<n>.2d
#define FCVTNS_2D(n, d) WORD $(0x4e61a800 | (n)<<5 | (d))
// sqxtn v<d>.2s, v<n>.2d
#define SQXTN_2S(n, d) WORD $(0x0ea14800 | (n)<<5 | (d))
// sqxtn2 v<d>.4s, v<n>.2d
#define SQXTN2_4S(n, d) WORD $(0x4ea14800 | (n)<<5 | (d))
// smax v<d>.8h, v<n>.8h, v<m>.8h
#define SMAX_8H(m, n, d) WORD $(0x4e606400 | (m)<<16 | (n)<<5 | (d))
// smin v<d>.8h, v<n>.8h, v<m>.8h
#define SMIN_8H(m, n, d) WORD $(0x4e606c00 | (m)<<16 | (n)<<5 | (d))

// shl v<d>.4s, v<n>.4s, #28
#define SHL28_4S(n, d) WORD $(0x4f3c5400 | (n)<<5 | (d))
// ushr v<d>.4s, v<n>.4s, #4
#define USHR4_4S(n, d) WORD $(0x6f3c0400 | (n)<<5 | (d))
// scvtf v<d>.4s, v<n>.4s, #28
#define SCVTF28_4S(n, d) WORD $(0x4f24e400 | (n)<<5 | (d))

// smull v<d>.2d, v<n>.2s, v<m>.2s
#define SMULL_2D(m, n, d) WORD $(0x0ea0c000 | (m)<<16 | (n)<<5 | (d))
// smull2 v<d>.2d, v<n>.4s, v<m>.4s
#define SMULL2_2D(m, n, d) WORD $(0x4ea0c000 | (m)<<16 | (n)<<5 | (d))
// fadd v<d>.2d, v<n>.2d, v<m>.2d
#define FADD_2D(m, n, d) WORD $(0x4e60d400 | (m)<<16 | (n)<<5 | (d))
// fmax v<d>.2d, v<n>.2d, v<m>.2d
#define FMAX_2D(m, n, d) WORD $(0x4e60f400 | (m)<<16 | (n)<<5 | (d))
// fmin v<d>.2d, v<n>.2d, v<m>.2d
#define FMIN_2D(m, n, d) WORD $(0x4ee0f400 | (m)<<16 | (n)<<5 | (d))

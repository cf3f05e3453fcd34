// Instructions of the elementwise kernels that the Go 1.26 assembler lacks, beside
// those of macros_arm64.h, which says how to read them.

// saddw v<d>.8h, v<n>.8h, v<m>.8b
#define SADDW_8H(m, n, d) WORD $(0x0e201000 | (m)<<16 | (n)<<5 | (d))
// saddw2 v<d>.8h, v<n>.8h, v<m>.16b
#define SADDW2_8H(m, n, d) WORD $(0x4e201000 | (m)<<16 | (n)<<5 | (d))
// ssubl v<d>.8h, v<n>.8b, v<m>.8b
#define SSUBL_8H(m, n, d) WORD $(0x0e202000 | (m)<<16 | (n)<<5 | (d))
// ssubl2 v<d>.8h, v<n>.16b, v<m>.16b
#define SSUBL2_8H(m, n, d) WORD $(0x4e202000 | (m)<<16 | (n)<<5 | (d))
// smull v<d>.4s, v<n>.4h, v<m>.4h
#define SMULL_4S(m, n, d) WORD $(0x0e60c000 | (m)<<16 | (n)<<5 | (d))
// smull2 v<d>.4s, v<n>.8h, v<m>.8h
#define SMULL2_4S(m, n, d) WORD $(0x4e60c000 | (m)<<16 | (n)<<5 | (d))
// sshr v<d>.4s, v<n>.4s, #23
#define SSHR23_4S(n, d) WORD $(0x4f290400 | (n)<<5 | (d))
// fsqrt v<d>.4s, v<n>.4s
#define FSQRT_4S(n, d) WORD $(0x6ea1f800 | (n)<<5 | (d))
// frintn v<d>.4s, v<n>.4s
#define FRINTN_4S(n, d) WORD $(0x4e218800 | (n)<<5 | (d))
// frintm v<d>.4s, v<n>.4s
#define FRINTM_4S(n, d) WORD $(0x4e219800 | (n)<<5 | (d))
// frintp v<d>.4s, v<n>.4s
#define FRINTP_4S(n, d) WORD $(0x4ea18800 | (n)<<5 | (d))
// fcvtl v<d>.4s, v<n>.4h
#define FCVTL_4S(n, d) WORD $(0x0e217800 | (n)<<5 | (d))
// fcvtl2 v<d>.4s, v<n>.8h
#define FCVTL2_4S(n, d) WORD $(0x4e217800 | (n)<<5 | (d))
// fmul v<d>.4s, v<n>.4s, v<m>.s[<i>]
#define FMUL_4S_LANE(i, m, n, d) WORD $(0x4f809000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d))

// str q<t>, [x<n>, x<m>]
#define STRQ_X(m, n, t) WORD $(0x3ca06800 | (m)<<16 | (n)<<5 | (t))
// ld1r { v<t>.4s }, [x<n>]
#define LD1R_4S(n, t) WORD $(0x4d40c800 | (n)<<5 | (t))
// ld1r { v<t>.4s }, [x<n>], #4
#define LD1R_4S_P(n, t) WORD $(0x4ddfc800 | (n)<<5 | (t))
// mov v<d>.16b, v<n>.16b
#define MOV_16B(n, d) WORD $(0x4ea01c00 | (n)<<16 | (n)<<5 | (d))
// and v<d>.16b, v<n>.16b, v<m>.16b
#define AND_16B(m, n, d) WORD $(0x4e201c00 | (m)<<16 | (n)<<5 | (d))
// add v<d>.4s, v<n>.4s, v<m>.4s
#define ADD_4S(m, n, d) WORD $(0x4ea08400 | (m)<<16 | (n)<<5 | (d))
// sub v<d>.4s, v<n>.4s, v<m>.4s
#define SUB_4S(m, n, d) WORD $(0x6ea08400 | (m)<<16 | (n)<<5 | (d))
// shl v<d>.4s, v<n>.4s, #23
#define SHL23_4S(n, d) WORD $(0x4f375400 | (n)<<5 | (d))

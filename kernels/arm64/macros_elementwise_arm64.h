// Instructions of the elementwise kernels that the Go 1.26 assembler lacks, beside
// those of macros_arm64.h, which says how to read them.

// saddw v<d>.8h, v<n>.8h, v<m>.8b
#define SADDW_8H(m, n, d) WORD $(0x0e201000 | (m)<<16 | (n)<<5 | (d))
// saddw2 v<d>.8h, v<n>.8h, v<m>.16b
#define SADDW2_8H(m, n, d) WORD $(0x4e201000 | (m)<<16 | (n)<<5 | (d))
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

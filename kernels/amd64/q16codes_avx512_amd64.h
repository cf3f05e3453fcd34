// The end of the AVX-512 depthwise kernels of int16 by int8: sums to codes.

// CLAMP loads the bounds of the codes.
#define CLAMP(args) \
	VCVTTSS2SI   DW_LO(args), R8; \
	VCVTTSS2SI   DW_HI(args), R9; \
	VPBROADCASTW R8, Z30; \
	VPBROADCASTW R9, Z31

// CODES makes int16 codes in Z0 of the sums in Z0 and Z1, whose lanes have the scales
// s0 and s1, s2 and s3. A scaled sum fits int32.
#define CODES(s0, s1, s2, s3) \
	VEXTRACTI64X4 $1, Z0, Y28; \
	VEXTRACTI64X4 $1, Z1, Y29; \
	VCVTDQ2PD     Y0, Z0; \
	VCVTDQ2PD     Y28, Z28; \
	VCVTDQ2PD     Y1, Z1; \
	VCVTDQ2PD     Y29, Z29; \
	VMULPD        s0, Z0, Z0; \
	VMULPD        s1, Z28, Z28; \
	VMULPD        s2, Z1, Z1; \
	VMULPD        s3, Z29, Z29; \
	VCVTPD2DQ     Z0, Y0; \
	VCVTPD2DQ     Z28, Y28; \
	VCVTPD2DQ     Z1, Y1; \
	VCVTPD2DQ     Z29, Y29; \
	VPACKSSDW     Y1, Y0, Y0; \
	VPACKSSDW     Y29, Y28, Y28; \
	VINSERTI64X4  $1, Y28, Z0, Z0; \
	VPMAXSW       Z30, Z0, Z0; \
	VPMINSW       Z31, Z0, Z0

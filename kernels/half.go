package kernels

import "math"

// Float16ToFloat32 converts IEEE 754 binary16 numbers; every one is exact. dst is at
// least as long as src. It takes the vector instructions of [Best].
func Float16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	n := widenHalves(Best(), dst, src)
	float16ToFloat32Go(dst[n:], src[n:])
}

func float16ToFloat32Go(dst []float32, src []uint16) {
	for i, h := range src {
		sign, e, m := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
		switch {
		case e == 31: // Inf, NaN
			dst[i] = math.Float32frombits(sign | 0xff<<23 | m<<13)
		case e == 0: // 0 and subnormals: m * 2**-24
			dst[i] = math.Float32frombits(sign | math.Float32bits(float32(m)*0x1p-24))
		default:
			dst[i] = math.Float32frombits(sign | (e+112)<<23 | m<<13)
		}
	}
}

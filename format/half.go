package format

import "math"

// The scales of a quantization in blocks are float16 in a file wherever every
// one of them is a float16 number: at 4 bits and blocks of 32 a float32 scale
// would take a quarter of what the codes take.

// toHalf returns the binary16 bits of a positive number, and whether they stand
// for it exactly.
func toHalf(x float32) (h uint16, exact bool) {
	switch {
	case !(x > 0) || x > 65504: // the greatest finite binary16
		return 0, false
	case x < 0x1p-14: // subnormal, in units of 2^-24
		h = uint16(x * 0x1p24)
	default:
		h = uint16(math.Float32bits(x)>>13 - 112<<10)
	}
	return h, fromHalf(h) == x
}

// fromHalf returns the positive number of binary16 bits, all of which float32
// holds. Negative ones, infinities and NaN give an infinity, which no scale may
// be.
func fromHalf(h uint16) float32 {
	switch exponent := h >> 10 & 31; {
	case exponent == 31 || h>>15 != 0:
		return float32(math.Inf(1))
	case exponent == 0:
		return float32(h&0x3ff) * 0x1p-24
	}
	return math.Float32frombits(uint32(h)<<13 + 112<<23)
}

// halves returns the scales as little-endian binary16, nil unless all are exact.
func halves(scale []float32) []byte {
	b := make([]byte, 0, 2*len(scale))
	for _, x := range scale {
		h, exact := toHalf(x)
		if !exact {
			return nil
		}
		b = append(b, byte(h), byte(h>>8))
	}
	return b
}

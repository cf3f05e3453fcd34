package kernels

import "math"

// Cast converts numbers: floats to integers truncate towards zero, saturate at
// the bounds of the type and take NaN to 0 (what Go leaves to the CPU is
// defined here); integers wrap; integers to floats and float64 to float32
// round to nearest even.
func Cast[D, S Float | Integer](dst []D, src []S) {
	dst = dst[:len(src)]
	if !isFloat[S]() || isFloat[D]() {
		for i, x := range src {
			dst[i] = D(x)
		}
		return
	}
	lo, hi, min, max := castBounds[D]()
	for i, x := range src {
		switch v := float64(x); {
		case v <= lo:
			dst[i] = min
		case v >= hi:
			dst[i] = max
		case v != v:
			dst[i] = 0
		case v >= 1<<63: // only uint64 comes here: Go converts through int64
			dst[i] = D(uint64(v-1<<63) + 1<<63)
		default:
			dst[i] = D(int64(v))
		}
	}
}

// castBounds returns the bounds of an integer type: a float64 up to lo becomes
// min, one from hi on becomes max.
func castBounds[D Float | Integer]() (lo, hi float64, min, max D) {
	bound := func(least int64, most uint64) (float64, float64, D, D) {
		return float64(least), float64(most), D(least), D(most)
	}
	switch any(D(0)).(type) {
	case int8:
		return bound(math.MinInt8, math.MaxInt8)
	case int16:
		return bound(math.MinInt16, math.MaxInt16)
	case int32:
		return bound(math.MinInt32, math.MaxInt32)
	case int64:
		return bound(math.MinInt64, math.MaxInt64)
	case uint8:
		return bound(0, math.MaxUint8)
	case uint16:
		return bound(0, math.MaxUint16)
	case uint32:
		return bound(0, math.MaxUint32)
	}
	return bound(0, math.MaxUint64)
}

// CastToBool sets dst to 1 where src is not 0 (NaN included), else to 0.
func CastToBool[S Float | Integer](dst []uint8, src []S) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = 0
		if x != 0 {
			dst[i] = 1
		}
	}
}

// Float16ToFloat32 converts IEEE 754 binary16 numbers; every one is exact.
func Float16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
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

// Float32ToFloat16 rounds to IEEE 754 binary16, ties to even.
func Float32ToFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		b := math.Float32bits(x)
		sign := uint16(b>>16) & 0x8000
		a := math.Float32frombits(b &^ (1 << 31))
		switch {
		case a != a:
			dst[i] = sign | 0x7e00
		case a >= 65520: // halfway between the greatest and what would follow
			dst[i] = sign | 0x7c00
		case a < 0x1p-14:
			// Adding 0.5 leaves units of 2**-24, those of a subnormal half.
			dst[i] = sign | uint16(math.Float32bits(a+0.5)-math.Float32bits(0.5))
		default:
			u := b &^ (1 << 31)
			u += 0xfff + u>>13&1
			dst[i] = sign | uint16(u>>13-112<<10)
		}
	}
}

// BFloat16ToFloat32 converts bfloat16 numbers; every one is exact.
func BFloat16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// Float32ToBFloat16 rounds to bfloat16, ties to even.
func Float32ToBFloat16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		u := math.Float32bits(x)
		if x != x {
			dst[i] = uint16(u>>16) | 0x40
			continue
		}
		dst[i] = uint16((u + 0x7fff + u>>16&1) >> 16)
	}
}

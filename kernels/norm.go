package kernels

import "math"

// LayerNorm normalizes the rows [from, to) of n elements each:
//
//	y = (x - mean) / sqrt(variance + eps) * scale + bias
//
// where the mean and the mean of the squared differences are sums in 16 lanes
// (see [Sum16]) and the last product and sum are one fused multiply-add. bias may
// be nil.
func LayerNorm(dst, src, scale, bias []float32, n int, eps float32, from, to int) {
	for row := from; row < to; row++ {
		x, y := src[row*n:][:n], dst[row*n:][:n]
		mean := Sum16(x) / float32(n)
		for i, v := range x {
			y[i] = v - mean
		}
		normalize(y, y, scale, bias, eps)
	}
}

// RMSNorm divides the rows [from, to) by the square root of their mean square:
//
//	y = x / sqrt(mean(x*x) + eps) * scale
func RMSNorm(dst, src, scale []float32, n int, eps float32, from, to int) {
	for row := from; row < to; row++ {
		normalize(dst[row*n:][:n], src[row*n:][:n], scale, nil, eps)
	}
}

// normalize is the part that both share; y may be x.
func normalize(y, x, scale, bias []float32, eps float32) {
	d := float32(math.Sqrt(float64(squares16(x)/float32(len(x)) + eps)))
	for i, v := range x {
		v /= d
		if bias != nil {
			y[i] = FMA32(v, scale[i], bias[i])
		} else {
			y[i] = v * scale[i]
		}
	}
}

// squares16 is the sum of squares in the lanes of [Sum16], each a chain of fused
// multiply-adds.
func squares16(x []float32) float32 {
	var s [16]float32
	for i, v := range x {
		s[i&15] = FMA32(v, v, s[i&15])
	}
	for h := 8; h > 0; h >>= 1 {
		for i := range h {
			s[i] += s[i+h]
		}
	}
	return s[0]
}

package kernels

import "math"

// Float is what the portable float kernels are generic over: float32 for
// inference and training, float64 for gradient checks.
type Float interface{ float32 | float64 }

// FMA32 returns x*y + z rounded once to float32.
//
// The product of two float32 is exact in float64, so only the sum rounds
// there. Rounding that again to float32 is right unless the float64 sum lies
// exactly between two float32 (its low 29 bits are 0x10000000) or the result
// is subnormal, where fewer bits are kept: then the sum is rounded to odd
// first. Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums:
// proved algorithms using rounding to odd", IEEE Trans. Computers 57 (2008).
func FMA32(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	if roundsTwice(s) {
		s = sumToOdd(p, float64(z), s)
	}
	return float32(s)
}

// roundsTwice reports whether float32(s) may differ from rounding the exact
// sum, of which s is the float64 rounding, to float32. It is small enough to
// be inlined into the inner loops.
func roundsTwice(s float64) bool {
	b := math.Float64bits(s)
	return b&(1<<29-1) == 1<<28 || b<<1 < minNormal32<<1
}

// minNormal32 holds the float64 bits of 2^-126, the smallest normal float32.
const minNormal32 = (1023 - 126) << 52

// sumToOdd returns the exact p+z rounded to odd, given s = p+z rounded to
// nearest: if inexact, that one of the two neighbours whose last bit is 1.
//
//go:noinline
func sumToOdd(p, z, s float64) float64 {
	// Knuth's TwoSum: p+z = s+e exactly.
	b := s - p
	e := (p - (s - b)) + (z - b)
	bits := math.Float64bits(s)
	switch {
	case e == 0 || e != e || bits&1 == 1:
		return s
	case (e > 0) == (s > 0):
		return math.Float64frombits(bits + 1)
	default:
		return math.Float64frombits(bits - 1)
	}
}

// FMA returns x*y + z rounded once.
func FMA[T Float](x, y, z T) T {
	if _, ok := any(x).(float32); ok {
		return T(FMA32(float32(x), float32(y), float32(z)))
	}
	return T(math.FMA(float64(x), float64(y), float64(z)))
}

package kernels

import "math"

// The fixed-point arithmetic of integer LSTMs, as gemmlowp defines it
// (fixedpoint/fixedpoint.h, doc/quantization.md): a Qm.n number is an int16 with m
// integer bits and n = 15-m fraction bits behind the sign. Models were trained
// and calibrated against these very roundings, so the functions follow the
// definition step by step; they are exact integers on every machine.

// mulQ15 is the product of two Q0.15 numbers (or of a Qa and a Qb number, as
// Q(a+b)): round(a*b / 2**15), ties upwards, as the instruction SQRDMULH.
func mulQ15(a, b int32) int32 { return min((a*b+1<<14)>>15, math.MaxInt16) }

// shlSat16 is v * 2**n saturated to 16 bits.
func shlSat16(v int32, n uint) int32 { return int32(sat16(v << n)) }

// Constants with 15 fraction bits, 13 for those of the division.
const (
	expEighth      = 28918  // e**(-1/8)
	third          = 10923  // 1/3
	div48over17    = 23130  // 48/17
	divNeg32over17 = -15420 // -32/17
)

// expPowers[i] is e**-(2**(i-2)) in Q0.15.
var expPowers = [...]int32{25520, 19875, 12055, 4435, 600, 11, 0}

// expQ is e**a in Q0.15 for a Qm number a <= 0: a Taylor polynomial of degree 4
// around -1/8 for the remainder in [-1/4, 0), times e**-(2**i) for every bit of
// the rest.
func expQ(a int32, m int) int32 {
	if a == 0 {
		return math.MaxInt16
	}
	frac := 15 - m
	quarter := int32(1) << (frac - 2)
	r := a&(quarter-1) - quarter
	x := shlSat16(r, uint(m)) + 1<<12
	x2 := mulQ15(x, x)
	x3 := mulQ15(x2, x)
	x4 := mulQ15(x2, x2)
	p := roundShift(mulQ15(roundShift(x4, 2)+x3, third)+x2, 1)
	e := int32(sat16(expEighth + mulQ15(expEighth, x+p)))
	rest := r - a
	for i, f := range expPowers {
		if i < m+2 && rest>>(frac-2+i)&1 == 1 {
			e = mulQ15(e, f)
		}
	}
	if m > 5 && a < -(1<<(20-m)) { // -32
		return 0
	}
	return e
}

// reciprocalQ is 1/d in Q2.13 for d = (1+a)/2 with a in [0, 1] in Q0.15: three steps
// of Newton and Raphson from 48/17 - 32/17*d.
func reciprocalQ(a int32) int32 {
	d := (a + math.MaxInt16 + 1) >> 1
	x := div48over17 + mulQ15(d, divNeg32over17)
	for range 3 {
		x += shlSat16(mulQ15(x, 1<<13-mulQ15(d, x)), 2)
	}
	return x
}

// sigmoidQ is the sigmoid in Q0.15 of the Q3.12 number a.
func sigmoidQ(a int32) int32 {
	if a == 0 {
		return 1 << 14
	}
	s := shlSat16(reciprocalQ(expQ(-max(a, -a), 3)), 1)
	if a < 0 {
		s = math.MaxInt16 - s
	}
	return s
}

// tanhQ is the hyperbolic tangent in Q0.15 of the Qm number a, m <= 6.
func tanhQ(a int32, m int) int32 {
	if a == 0 {
		return 0
	}
	t := shlSat16(reciprocalQ(expQ(-max(a, -a), m+1))-1<<13, 2)
	if a < 0 {
		t = -t
	}
	return t
}

// A fixedMul multiplies int32 by a positive real number that is held as a
// 31-bit fraction and a shift, the requantization of gemmlowp: the product is
// rounded to 31 fraction bits, then shifted and rounded again.
type fixedMul struct {
	frac  int64
	shift int
}

func newFixedMul(m float64) fixedMul {
	f, e := math.Frexp(m)
	q := int64(math.Round(f * (1 << 31)))
	if q == 1<<31 {
		q /= 2
		e++
	}
	if e < -31 {
		return fixedMul{}
	}
	return fixedMul{q, e}
}

func (m fixedMul) mul(v int32) int32 {
	x := int64(v)
	if m.shift > 0 {
		x = int64(int32(x << m.shift))
	}
	p := int32((x*m.frac + 1<<30) >> 31)
	if m.shift < 0 {
		p = roundShift(p, uint(-m.shift))
	}
	return p
}

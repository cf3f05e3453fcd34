package kernels

import (
	"math"
	"math/bits"
)

// TrigOp names a trigonometric or hyperbolic function.
type TrigOp uint8

// The trigonometric and hyperbolic functions.
const (
	Sin TrigOp = iota
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Asinh
	Acosh
	Atanh
)

// TrigFunc returns the function on one element, within 1 ulp. All of them work
// in float64 with every operation rounded by itself or as an FMA, so that no
// machine's results differ.
func TrigFunc(op TrigOp) func(float32) float32 {
	var f func(float64) float64
	switch op {
	case Sin:
		f = func(x float64) float64 { s, _ := sinCos(x); return s }
	case Cos:
		f = func(x float64) float64 { _, c := sinCos(x); return c }
	case Tan:
		f = func(x float64) float64 { s, c := sinCos(x); return s / c }
	case Asin:
		f = func(x float64) float64 { return atan(x / math.Sqrt(float64((1-x)*(1+x)))) }
	case Acos: // half the angle's tangent: no cancellation near 1
		f = func(x float64) float64 { return 2 * atan(math.Sqrt((1-x)/(1+x))) }
	case Atan:
		f = atan
	case Sinh:
		f = func(x float64) float64 {
			e := Expm1(math.Abs(x))
			return math.Copysign((e+e/(e+1))/2, x)
		}
	case Cosh:
		f = func(x float64) float64 { e := Exp(math.Abs(x)); return (e + 1/e) / 2 }
	case Asinh:
		f = func(x float64) float64 {
			a := math.Abs(x)
			if a < 1e-4 {
				return math.FMA(float64(x*x)*x, -1.0/6, x)
			}
			return math.Copysign(Log(a+math.Sqrt(math.FMA(a, a, 1))), x)
		}
	case Acosh:
		f = func(x float64) float64 { return Log(x + math.Sqrt(float64((x-1)*(x+1)))) }
	case Atanh:
		f = func(x float64) float64 {
			if math.Abs(x) < 1e-4 {
				return math.FMA(float64(x*x)*x, 1.0/3, x)
			}
			return Log((1+x)/(1-x)) / 2
		}
	default:
		f = func(x float64) float64 { return x }
	}
	return func(x float32) float32 { return float32(f(float64(x))) }
}

// ApplyTrig sets dst[i] = f(src[i]).
func ApplyTrig(f func(float32) float32, dst, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = f(x)
	}
}

// sinCos returns the sine and cosine of a float32: of the rest r of x by pi/2,
// |r| <= pi/4, turned by the quadrant. The polynomials are minimax ones of
// degree 13 and 14 (S. Moshier, Methods and Programs for Mathematical
// Functions, 1989; the same as in fdlibm).
func sinCos(x float64) (sin, cos float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN(), math.NaN()
	}
	r, quadrant := reducePi(x)
	z := float64(r * r)
	s := 1.58969099521155010221e-10
	for _, c := range [...]float64{-2.50507602534068634195e-08, 2.75573137070700676789e-06, -1.98412698298579493134e-04,
		8.33333333332248946124e-03, -1.66666666666666324348e-01} {
		s = math.FMA(s, z, c)
	}
	s = math.FMA(float64(s*z), r, r)
	k := -1.13596475577881948265e-11
	for _, c := range [...]float64{2.08757232129817482790e-09, -2.75573143513906633035e-07, 2.48015872894767294178e-05,
		-1.38888888888741095749e-03, 4.16666666666666019037e-02, -0.5} {
		k = math.FMA(k, z, c)
	}
	k = math.FMA(k, z, 1)
	switch quadrant & 3 {
	case 1:
		return k, -s
	case 2:
		return -s, -k
	case 3:
		return -k, s
	}
	return s, k
}

// twoOverPi is 2/pi in binary, from the place of 1/2 on.
var twoOverPi = [...]uint64{0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561}

// reducePi returns x = r + quadrant*pi/2 for a float32. Up to 2^20 two parts of
// pi/2 do; above, the product with as many bits of 2/pi as x needs is taken
// modulo 4 (M. Payne and R. Hanek, "Radian reduction for trigonometric
// functions", SIGNUM Newsletter 18, 1983).
func reducePi(x float64) (r float64, quadrant int) {
	const hi, lo = 1.57079632679489655800, 6.12323399573676603587e-17 // pi/2
	if math.Abs(x) < 1<<20 {
		k := math.RoundToEven(x * (2 / math.Pi))
		r = math.FMA(-k, hi, x)
		return math.FMA(-k, lo, r), int(k)
	}
	frac, exp := math.Frexp(math.Abs(x))
	m, e := uint64(frac*(1<<24)), exp-24 // x = m * 2^e
	// 128 bits of 2/pi from place e-2 on, the two before it being worth 2 and 1.
	word := func(at int) uint64 { // 64 bits from place at on
		if at < 0 {
			return twoOverPi[0] >> -at
		}
		w, s := at/64, at%64
		v := twoOverPi[w] << s
		if s > 0 {
			v |= twoOverPi[w+1] >> (64 - s)
		}
		return v
	}
	top, bottom := word(e-2), word(e+62)
	carry, low := bits.Mul64(m, bottom)
	high := m*top + carry
	quadrant = int(high >> 62)
	// The fraction, made signed by taking the nearer quadrant.
	high = high<<2 | low>>62
	f := float64(int64(high)) * 0x1p-64
	if int64(high) < 0 {
		quadrant++
	}
	r = float64(f * hi)
	if x < 0 {
		return -r, -quadrant
	}
	return r, quadrant
}

// atan returns the arctangent. Above 1 it is that of the inverse; above
// tan(pi/8) it is taken from pi/4, so that the series converges fast.
func atan(x float64) float64 {
	a, inverse := math.Abs(x), false
	if a > 1 {
		a, inverse = 1/a, true
	}
	base := 0.0
	if a > math.Sqrt2-1 {
		a, base = (a-1)/(a+1), math.Pi/4
	}
	z, s := float64(a*a), 0.0
	for k := 16; k >= 1; k-- { // sum of (-1)^k z^k / (2k+1)
		c := 1 / float64(2*k+1)
		if k%2 == 1 {
			c = -c
		}
		s = math.FMA(s, z, c)
	}
	s = base + math.FMA(float64(s*z), a, a)
	if inverse {
		s = math.Pi/2 - s
	}
	return math.Copysign(s, x)
}

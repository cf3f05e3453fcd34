package kernels

import (
	"math"
	"unsafe"
)

var inf32 = float32(math.Inf(1))

// The elementary functions below are the project's own, because those of the
// standard library differ between amd64 and arm64 in their last bits. Each is
// one straight chain of fused multiply-adds, divisions and comparisons, so that
// a vector unit can do the same and get the same bits. They follow the usual
// three steps (range reduction in the style of Cody and Waite, a minimax
// polynomial, reconstruction; Muller, "Elementary Functions", 3rd ed.), the
// polynomials were fitted by weighted least squares iterated to the minimax
// (Lawson) in 50 digits. Errors are stated in units in the last place (ulp) of
// the result, as the tests measure them.

// Exp returns e**x, within 1 ulp (2 where the result is subnormal).
func Exp[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(exp32(float32(x)))
	}
	return T(exp64(float64(x)))
}

// Expm1 returns e**x - 1 without cancellation near 0, within 2.5 ulp.
func Expm1[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(expm1f32(float32(x)))
	}
	return T(expm1f64(float64(x)))
}

// Log returns the natural logarithm of x, within 1 ulp: -Inf at 0, NaN below.
func Log[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(log32(float32(x)))
	}
	return T(log64(float64(x)))
}

// Tanh returns the hyperbolic tangent of x, within 2 ulp.
func Tanh[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(tanh32(float32(x)))
	}
	return T(tanh64(float64(x)))
}

// Erf returns the error function of x, within 2 ulp.
func Erf[T Float](x T) T {
	if unsafe.Sizeof(x) == 4 {
		return T(erf32(float32(x)))
	}
	return T(erf64(float64(x)))
}

// Sigmoid returns 1/(1+e**-x), within 2.5 ulp. The exponential is always taken
// of -|x|, so nothing overflows and small results keep their precision.
func Sigmoid[T Float](x T) T {
	if x < 0 {
		e := Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + Exp(-x))
}

// Sqrt returns the square root of x, correctly rounded.
func Sqrt[T Float](x T) T {
	// For float32 the double rounding of a square root taken in float64 is
	// harmless (Figueroa 1995: 53 >= 2*24+2).
	return T(math.Sqrt(float64(x)))
}

// Pow returns x**y: exactly rounded products for the exponents 2 and 3,
// else through float64: exp(y*log|x|), so within 1 ulp of float32 for results
// in its range and within y*log|x| ulp of float64. Special cases are those of
// IEEE 754 pow.
func Pow[T Float](x, y T) T {
	switch y {
	case 0:
		return 1
	case 1:
		return x
	case 2:
		return x * x
	case 3:
		return T(x*x) * x
	case 0.5:
		if x >= 0 && !math.IsInf(float64(x), 1) {
			return Sqrt(x) + 0 // pow(-0, 0.5) is +0
		}
	case -1:
		return 1 / x
	}
	return T(pow64(float64(x), float64(y)))
}

func pow64(x, y float64) float64 {
	switch {
	case x == 1:
		return 1
	case x != x || y != y:
		return math.NaN()
	case math.IsInf(y, 0):
		a := math.Abs(x)
		switch {
		case a == 1:
			return 1
		case (a > 1) == (y > 0):
			return math.Inf(1)
		}
		return 0
	}
	// odd: y is an odd integer, so the sign of x survives. Every float64 from
	// 2**53 on is even.
	t := math.Trunc(y)
	whole := t == y
	odd := whole && math.Abs(y) < 1<<53 && int64(t)&1 == 1
	if x < 0 && !whole && !math.IsInf(x, -1) {
		return math.NaN()
	}
	r := exp64(y * log64(math.Abs(x)))
	if odd && math.Signbit(x) {
		r = -r
	}
	return r
}

// Splitting constants: ln 2 = hi + lo. With a fused multiply-add the whole
// significand of hi can be used for reduction; the logarithm needs e*hi exact,
// so its hi has trailing zeros.
const (
	ln2Hi32, ln2Lo32       = 0.693147182464599609375, -1.904654299957767878541e-9
	ln2Hi64, ln2Lo64       = 0.69314718055994528622676398299518041312694549560546875, 2.319046813846299558417771e-17
	logLn2Hi32, logLn2Lo32 = 0.693359375, -2.12194440054690583e-4
	logLn2Hi64, logLn2Lo64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	log2e                  = 1.44269504088896340735992468100189214

	// Adding and subtracting 1.5*2**p rounds to an integer, ties to even.
	magic32 = 12582912.0
	magic64 = 6755399441055744.0
)

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func copysign32(x, sign float32) float32 {
	const s = 1 << 31
	return math.Float32frombits(math.Float32bits(x)&^s | math.Float32bits(sign)&s)
}

// expPoly32 returns q(r) with e**r = 1 + r + r*r*q(r) on |r| <= ln(2)/2,
// relative error of the whole 2**-28.3.
func expPoly32(r float32) float32 {
	q := FMA32(0.0013814544, r, 0.008368722)
	q = FMA32(q, r, 0.04166839)
	q = FMA32(q, r, 0.16666521)
	return FMA32(q, r, 0.49999994)
}

func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > 89:
		return float32(math.Inf(1))
	case x < -104: // below half of the least subnormal
		return 0
	}
	n := FMA32(x, log2e, magic32) - magic32
	r := FMA32(n, -ln2Lo32, FMA32(n, -ln2Hi32, x))
	p := FMA32(FMA32(expPoly32(r), r, 1), r, 1)
	// 2**n in two factors: n reaches 128, and -150 where the second product
	// is the only one that rounds.
	k := int32(n)
	h := k >> 1
	return float32(p*exp2i32(h)) * exp2i32(k-h)
}

func exp2i32(k int32) float32 { return math.Float32frombits(uint32(k+127) << 23) }

func expm1f32(x float32) float32 {
	if x > -ln2Hi32/2 && x < ln2Hi32/2 {
		return copysign32(FMA32(float32(x*x), expPoly32(x), x), x) // x may be -0
	}
	return exp32(x) - 1
}

// expPoly64 is expPoly32 for float64: relative error 2**-64.
func expPoly64(r float64) float64 {
	q := math.FMA(2.0826566491552626e-09, r, 2.5112044140168337e-08)
	q = math.FMA(q, r, 2.755758209407879e-07)
	q = math.FMA(q, r, 2.755723483813964e-06)
	q = math.FMA(q, r, 2.480158692625712e-05)
	q = math.FMA(q, r, 0.0001984126989641146)
	q = math.FMA(q, r, 0.0013888888889115893)
	q = math.FMA(q, r, 0.008333333333317022)
	q = math.FMA(q, r, 0.041666666666666095)
	q = math.FMA(q, r, 0.16666666666666682)
	return math.FMA(q, r, 0.5)
}

func exp64(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 710:
		return math.Inf(1)
	case x < -746:
		return 0
	}
	n := math.FMA(x, log2e, magic64) - magic64
	r := math.FMA(n, -ln2Lo64, math.FMA(n, -ln2Hi64, x))
	p := math.FMA(math.FMA(expPoly64(r), r, 1), r, 1)
	k := int64(n)
	h := k >> 1
	return float64(p*exp2i64(h)) * exp2i64(k-h)
}

func exp2i64(k int64) float64 { return math.Float64frombits(uint64(k+1023) << 52) }

func expm1f64(x float64) float64 {
	if x > -ln2Hi64/2 && x < ln2Hi64/2 {
		return math.Copysign(math.FMA(float64(x*x), expPoly64(x), x), x)
	}
	return exp64(x) - 1
}

// log32: x = 2**e * (1+f) with 1+f in [sqrt(1/2), sqrt(2)) and
// log(1+f) = f - f*f/2 + f**3*p(f), relative error 2**-30.
func log32(x float32) float32 {
	switch {
	case x != x || x > math.MaxFloat32:
		return x
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	}
	var e float32
	if x < 0x1p-126 {
		x *= 0x1p25
		e = -25
	}
	const sqrtHalf = 0x3f3504f3
	b := math.Float32bits(x)
	k := int32(b-sqrtHalf) >> 23
	e += float32(k)
	f := math.Float32frombits(b-uint32(k)<<23) - 1
	p := FMA32(0.06749432, f, -0.116783515)
	p = FMA32(p, f, 0.11888319)
	p = FMA32(p, f, -0.12405088)
	p = FMA32(p, f, 0.14219455)
	p = FMA32(p, f, -0.16668026)
	p = FMA32(p, f, 0.20002125)
	p = FMA32(p, f, -0.2500001)
	p = FMA32(p, f, 0.33333313)
	z := f * f
	y := float32(f*z) * p
	y = FMA32(e, logLn2Lo32, y)
	y = FMA32(-0.5, z, y)
	return FMA32(e, logLn2Hi32, f+y)
}

// log64: the same reduction; with s = f/(2+f), log(1+f) = 2*atanh(s) =
// f - (h - s*(h+R)), h = f*f/2, R = s*s*p(s*s) (Sun's fdlibm, e_log.c),
// relative error 2**-58.
func log64(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	var e float64
	if x < 0x1p-1022 {
		x *= 0x1p54
		e = -54
	}
	const sqrtHalf = 0x3fe6a09e667f3bcd
	b := math.Float64bits(x)
	k := int64(b-sqrtHalf) >> 52
	e += float64(k)
	f := math.Float64frombits(b-uint64(k)<<52) - 1
	s := f / (2 + f)
	z := s * s
	p := math.FMA(0.14796037092979178, z, 0.15314041087434505)
	p = math.FMA(p, z, 0.18183564732422394)
	p = math.FMA(p, z, 0.2222219856443979)
	p = math.FMA(p, z, 0.28571428742485466)
	p = math.FMA(p, z, 0.39999999999414154)
	p = math.FMA(p, z, 0.6666666666666734)
	h := float64(float64(0.5*f) * f)
	y := math.FMA(s, math.FMA(z, p, h), float64(e*logLn2Lo64))
	return math.FMA(e, logLn2Hi64, -((h - y) - f))
}

// tanh32: below 0.625 x + x**3*p(x*x) (relative error 2**-27.8), above
// 1 - 2/(e**2x + 1), which is 1 in float32 from 9.02 on.
func tanh32(x float32) float32 {
	a := abs32(x)
	if a < 0.625 {
		z := x * x
		p := FMA32(-0.005704749, z, 0.020638853)
		p = FMA32(p, z, -0.053739633)
		p = FMA32(p, z, 0.13331442)
		p = FMA32(p, z, -0.3333328)
		return copysign32(FMA32(float32(x*z), p, x), x) // x may be -0
	}
	if x != x {
		return x
	}
	t := float32(1)
	if a < 9.1 {
		t = 1 - 2/(exp32(2*a)+1)
	}
	return copysign32(t, x)
}

// tanh64 is tanh32 for float64: relative error 2**-61 below 0.625.
func tanh64(x float64) float64 {
	a := math.Abs(x)
	if a < 0.625 {
		z := x * x
		p := math.FMA(6.042296391761088e-06, z, -3.0186813883986328e-05)
		p = math.FMA(p, z, 9.155799052852956e-05)
		p = math.FMA(p, z, -0.00023701147910498832)
		p = math.FMA(p, z, 0.000589451703913554)
		p = math.FMA(p, z, -0.0014557259242657138)
		p = math.FMA(p, z, 0.0035921139958925404)
		p = math.FMA(p, z, -0.008863234312138835)
		p = math.FMA(p, z, 0.02186948846868455)
		p = math.FMA(p, z, -0.053968253966057624)
		p = math.FMA(p, z, 0.1333333333332974)
		p = math.FMA(p, z, -0.33333333333333315)
		return math.Copysign(math.FMA(float64(x*z), p, x), x)
	}
	if x != x {
		return x
	}
	t := 1.0
	if a < 19.1 {
		t = 1 - 2/(exp64(2*a)+1)
	}
	return math.Copysign(t, x)
}

// erf32: below 1 x + x*p(x*x) (relative error 2**-29.6); from 1 to 4
// 1 - e**g(x) with a polynomial g for log(erfc(x)) (2**-35); then 1.
func erf32(x float32) float32 {
	a := abs32(x)
	if a < 1 {
		z := x * x
		p := FMA32(7.852728e-05, z, -0.000800985)
		p = FMA32(p, z, 0.0051882886)
		p = FMA32(p, z, -0.026853792)
		p = FMA32(p, z, 0.11283585)
		p = FMA32(p, z, -0.37612626)
		p = FMA32(p, z, 0.12837917)
		return FMA32(x, p, x)
	}
	if x != x {
		return x
	}
	t := float32(1)
	if a < 4 {
		g := FMA32(-2.1724956e-05, a, 0.0004418115)
		g = FMA32(g, a, -0.0042070476)
		g = FMA32(g, a, 0.02521533)
		g = FMA32(g, a, -0.10843041)
		g = FMA32(g, a, -0.6332083)
		g = FMA32(g, a, -1.1295847)
		g = FMA32(g, a, 0.00018944242)
		t = 1 - exp32(g)
	}
	return copysign32(t, x)
}

// erf64 is erf32 for float64: relative errors 2**-62.7 below 1 and 2**-59.5
// from 1 to 6, where g is a polynomial in |x|-3.5.
func erf64(x float64) float64 {
	a := math.Abs(x)
	if a < 1 {
		z := x * x
		p := math.FMA(5.945220357317492e-11, z, -1.1365641008357272e-09)
		p = math.FMA(p, z, 1.4657873259357732e-08)
		p = math.FMA(p, z, -1.635002422482924e-07)
		p = math.FMA(p, z, 1.6460972721081922e-06)
		p = math.FMA(p, z, -1.4925593500794516e-05)
		p = math.FMA(p, z, 0.00012055331036641093)
		p = math.FMA(p, z, -0.000854832697873498)
		p = math.FMA(p, z, 0.005223977624780739)
		p = math.FMA(p, z, -0.026866170645072882)
		p = math.FMA(p, z, 0.11283791670954857)
		p = math.FMA(p, z, -0.3761263890318375)
		p = math.FMA(p, z, 0.1283791670955126)
		return math.FMA(x, p, x)
	}
	if x != x {
		return x
	}
	t := 1.0
	if a < 6 {
		u := a - 3.5
		g := 0.0
		for _, c := range erfcLog64 {
			g = math.FMA(g, u, c)
		}
		t = 1 - exp64(g)
	}
	return math.Copysign(t, x)
}

var erfcLog64 = [...]float64{
	1.04984886208661e-12, 1.8171261357662642e-11, 1.3937064609267864e-10, 6.329849591358134e-10,
	1.7769539878710374e-09, 3.0879255443023513e-09, 2.2081554344422007e-09, -3.428995635269326e-09,
	5.638665452464019e-10, -9.066571999415599e-08, 5.821702538815201e-07, -3.885653790042965e-06,
	2.4391668200449688e-05, -0.00014729549105148653, 0.0008736872666246736, -0.005225658612400893,
	-0.9667530548593263, -7.266099588371936, -14.112437402147227,
}

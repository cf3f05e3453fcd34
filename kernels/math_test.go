package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// ulps32 is the distance of got from the real number want in units of the
// last place of a float32 near want.
func ulps32(got float32, want float64) float64 {
	w := float32(want)
	if got == w || got != got && want != want {
		return 0
	}
	if math.IsInf(want, 0) || math.IsInf(float64(got), 0) && math.Abs(want) < 3.4e38 || got != got || want != want {
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func ulps64(got, want float64) float64 {
	if got == want || got != got && want != want {
		return 0
	}
	if math.IsInf(want, 0) || math.IsInf(got, 0) || got != got || want != want {
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(got-want) / math.Ldexp(1, max(e-53, -1074))
}

var mathFuncs = []struct {
	name       string
	f32        func(float32) float32
	f64        func(float64) float64
	ref        func(float64) float64
	lo, hi     float64
	ulp, ulp64 float64 // float64's reference has errors of its own
}{
	{"Exp", Exp[float32], Exp[float64], math.Exp, -103.9, 88.8, 1, 2},
	{"Expm1", Expm1[float32], Expm1[float64], math.Expm1, -20, 88.8, 2.5, 3.5},
	{"Log", Log[float32], Log[float64], math.Log, 1e-45, 3e38, 1, 2},
	{"LogNear1", Log[float32], Log[float64], math.Log, 0.5, 2, 1, 2},
	{"Tanh", Tanh[float32], Tanh[float64], math.Tanh, -12, 12, 2, 3},
	{"TanhSmall", Tanh[float32], Tanh[float64], math.Tanh, -1e-3, 1e-3, 1, 2},
	{"Erf", Erf[float32], Erf[float64], math.Erf, -6.5, 6.5, 2, 3},
	{"Sigmoid", Sigmoid[float32], Sigmoid[float64], func(x float64) float64 {
		if x < 0 {
			return math.Exp(x) / (1 + math.Exp(x))
		}
		return 1 / (1 + math.Exp(-x))
	}, -87, 87, 2.5, 4},
	{"Sqrt", Sqrt[float32], Sqrt[float64], math.Sqrt, 0, 3e38, 0.5, 0.5},
}

func TestMathAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range mathFuncs {
		t.Run(f.name, func(t *testing.T) {
			var worst, worst64, at, at64 float64
			for range 200_000 {
				x := f.lo + (f.hi-f.lo)*r.Float64()
				if f.name == "Log" || f.name == "Sqrt" {
					x = math.Exp(-103 + 191*r.Float64())
				}
				x32 := float32(x)
				if u := ulps32(f.f32(x32), f.ref(float64(x32))); u > worst {
					worst, at = u, float64(x32)
				}
				if u := ulps64(f.f64(x), f.ref(x)); u > worst64 {
					worst64, at64 = u, x
				}
			}
			t.Logf("float32: %.3f ulp at %g; float64: %.3f ulp at %g", worst, at, worst64, at64)
			if worst > f.ulp {
				t.Errorf("float32: %.3f ulp at %g, at most %g allowed", worst, at, f.ulp)
			}
			if worst64 > f.ulp64 {
				t.Errorf("float64: %.3f ulp at %g, at most %g allowed", worst64, at64, f.ulp64)
			}
		})
	}
}

func TestMathEdges(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	edges := []float64{0, math.Copysign(0, -1), inf, -inf, nan, 1, -1, 0x1p-149, -0x1p-149, 0x1p-126, 0x1.fffffcp-127,
		math.MaxFloat32, -math.MaxFloat32, 88.72283, 88.72284, 89, -87.34, -103.97, -103.98, -104, 9.01, 9.1, 0.625, 4, 3.9999}
	for _, f := range mathFuncs {
		for _, x := range edges {
			if f.name == "LogNear1" || f.name == "TanhSmall" {
				continue
			}
			x32 := float32(x)
			got, want := f.f32(x32), f.ref(float64(x32))
			if u := ulps32(got, want); u > f.ulp && !(math.Abs(want) > math.MaxFloat32 && math.IsInf(float64(got), 0)) {
				t.Errorf("%s(float32 %g) = %g, want %g", f.name, x32, got, want)
			}
			if got, want := f.f64(x), f.ref(x); ulps64(got, want) > f.ulp64 {
				t.Errorf("%s(float64 %g) = %g, want %g", f.name, x, got, want)
			}
			if want == 0 && math.Signbit(float64(got)) != math.Signbit(want) {
				t.Errorf("%s(%g) = %g, want the sign of %g", f.name, x32, got, want)
			}
		}
	}
}

func TestPow(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	vals := []float64{0, math.Copysign(0, -1), 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, 7, 1e10, -1e10, 1e-10, 10.25, inf, -inf, nan}
	for _, x := range vals {
		for _, y := range vals {
			x32, y32 := float32(x), float32(y)
			want := math.Pow(float64(x32), float64(y32))
			got := Pow(x32, y32)
			// x*x*x rounds twice; everything else once after float64.
			if u := ulps32(got, want); u > 1.5 && !(math.Abs(want) > math.MaxFloat32 && math.IsInf(float64(got), int(math.Copysign(1, want)))) ||
				want == 0 && math.Signbit(float64(got)) != math.Signbit(want) {
				t.Errorf("Pow(%g, %g) = %g, want %g", x32, y32, got, want)
			}
		}
	}
	for _, x := range vals {
		if got := fmt.Sprint(Pow(x, 0)); got != "1" {
			t.Errorf("Pow(%g, 0) = %s", x, got)
		}
	}
}

func BenchmarkMath(b *testing.B) {
	x, y := make([]float32, 1024), make([]float32, 1024)
	for i := range x {
		x[i] = float32(i-512) / 64
	}
	for _, f := range []struct {
		name string
		op   UnaryOp
	}{{"Exp", ExpOp}, {"Sigmoid", SigmoidOp}, {"Tanh", TanhOp}, {"Erf", ErfOp}, {"Gelu", Gelu}} {
		b.Run(f.name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				ApplyUnary(Unary{Op: f.op}, y, x)
			}
		})
	}
}

package kernels

import (
	"math"
	"testing"
)

var unaryRefs = []struct {
	name string
	u    Unary
	ref  func(float64) float64
}{
	{"Relu", Unary{Op: Relu}, func(x float64) float64 { return max(x, 0) }},
	{"Clip", Unary{Op: Clip, A: -1, B: 6}, func(x float64) float64 { return min(max(x, -1), 6) }},
	{"LeakyRelu", Unary{Op: LeakyRelu, A: 0.1}, func(x float64) float64 { return max(x, float64(float32(0.1))*x) }},
	{"Elu", Unary{Op: Elu, A: 1.5}, func(x float64) float64 {
		if x < 0 {
			return 1.5 * math.Expm1(x)
		}
		return x
	}},
	{"HardSwish", Unary{Op: HardSwish}, func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 }},
	{"HardSigmoid", Unary{Op: HardSigmoid, A: 0.2, B: 0.5}, func(x float64) float64 { return min(max(0.2*x+0.5, 0), 1) }},
	{"Sigmoid", Unary{Op: SigmoidOp}, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
	{"Tanh", Unary{Op: TanhOp}, math.Tanh},
	{"Exp", Unary{Op: ExpOp}, math.Exp},
	{"Log", Unary{Op: LogOp}, math.Log},
	{"Sqrt", Unary{Op: SqrtOp}, math.Sqrt},
	{"Rsqrt", Unary{Op: Rsqrt}, func(x float64) float64 { return 1 / math.Sqrt(x) }},
	{"Abs", Unary{Op: Abs}, math.Abs},
	{"Neg", Unary{Op: Neg}, func(x float64) float64 { return -x }},
	{"Erf", Unary{Op: ErfOp}, math.Erf},
	{"Gelu", Unary{Op: Gelu}, func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }},
	{"GeluTanh", Unary{Op: GeluTanh}, func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}},
	{"Floor", Unary{Op: Floor}, math.Floor},
	{"Ceil", Unary{Op: Ceil}, math.Ceil},
	{"Round", Unary{Op: Round}, math.RoundToEven},
	{"Reciprocal", Unary{Op: Reciprocal}, func(x float64) float64 { return 1 / x }},
	{"Square", Unary{Op: Square}, func(x float64) float64 { return x * x }},
	{"Softplus", Unary{Op: Softplus}, func(x float64) float64 { return math.Log1p(math.Exp(-math.Abs(x))) + max(x, 0) }},
	{"Silu", Unary{Op: Silu}, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
}

func TestUnary(t *testing.T) {
	var xs []float32
	for x := float32(-9); x < 9; x += 0.0371 {
		xs = append(xs, x)
	}
	xs = append(xs, 0, 2.5, -2.5, 0.5, 1e-6, -1e-6, 100, -100)
	for _, f := range unaryRefs {
		t.Run(f.name, func(t *testing.T) {
			got := make([]float32, len(xs))
			ApplyUnary(f.u, got, xs)
			one := UnaryFunc[float32](f.u)
			x64, got64 := make([]float64, len(xs)), make([]float64, len(xs))
			for i, x := range xs {
				x64[i] = float64(x)
			}
			ApplyUnary(f.u, got64, x64)
			for i, x := range xs {
				want := f.ref(float64(x))
				if math.IsNaN(want) && got[i] != got[i] && got64[i] != got64[i] {
					continue
				}
				if d := math.Abs(float64(got[i]) - want); d > 4e-6+1e-6*math.Abs(want) && float64(got[i]) != float64(float32(want)) {
					t.Errorf("f(%g) = %g, want %g", x, got[i], want)
				}
				// Parameters are rounded to float32 in the references only.
				if d := math.Abs(got64[i] - want); d > 1e-7*max(1, math.Abs(want)) && got64[i] != want {
					t.Errorf("float64: f(%g) = %g, want %g", x, got64[i], want)
				}
				if a, b := math.Float32bits(one(x)), math.Float32bits(got[i]); a != b && got[i] == got[i] {
					t.Errorf("UnaryFunc(%g) = %#x, ApplyUnary %#x", x, a, b)
				}
			}
			in := append([]float32(nil), xs...)
			ApplyUnary(f.u, in, in)
			for i := range in {
				if math.Float32bits(in[i]) != math.Float32bits(got[i]) && in[i] == in[i] {
					t.Fatalf("in place at %g: %g, else %g", xs[i], in[i], got[i])
				}
			}
		})
	}
}

func TestUnaryNaN(t *testing.T) {
	nan := float32(math.NaN())
	for _, f := range unaryRefs {
		x := []float32{nan}
		ApplyUnary(f.u, x, x)
		if x[0] == x[0] {
			t.Errorf("%s(NaN) = %g", f.name, x[0])
		}
	}
	negZero := []float32{float32(math.Copysign(0, -1))}
	ApplyUnary(Unary{Op: Relu}, negZero, negZero)
	if math.Float32bits(negZero[0]) != 1<<31 {
		t.Errorf("relu(-0) = %g; x<0 ? +0 : x keeps it", negZero[0])
	}
}

// A table entry is the float64 result rounded, but for values that lie within
// float32 precision of a tie.
func TestMakeTable(t *testing.T) {
	for _, f := range unaryRefs {
		const sx, zx, sy, zy = 0.047, -17, 0.031, 5
		tab := MakeTable(UnaryFunc[float32](f.u), sx, zx, sy, zy)
		src, dst := make([]int8, 256), make([]int8, 256)
		for i := range src {
			src[i] = int8(i)
		}
		tab.Apply(dst, src)
		src16, dst16 := make([]int16, 256), make([]int16, 256)
		for i := range src {
			src16[i] = int16(src[i])
		}
		MapInt16(UnaryFunc[float32](f.u), dst16, src16, sx, zx, sy, zy)
		for i, q := range src {
			y := f.ref(float64(float32(sx))*float64(int(q)-zx)) / float64(float32(sy))
			if math.IsNaN(y) {
				y = 0
			}
			want := min(max(math.RoundToEven(y)+zy, -128), 127)
			tie := math.Abs(y-math.Floor(y)-0.5) < 1e-4*max(1, math.Abs(y))
			if d := math.Abs(float64(dst[i]) - want); d > 1 || d > 0 && !tie {
				t.Errorf("%s: table[%d] = %d, want %g", f.name, q, dst[i], want)
			}
			if got := min(max(dst16[i], -128), 127); int8(got) != dst[i] {
				t.Errorf("%s: MapInt16(%d) = %d, table %d", f.name, q, dst16[i], dst[i])
			}
		}
	}
}

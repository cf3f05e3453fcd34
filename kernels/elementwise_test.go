package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// oddFloats are values at which vector and scalar code tend to differ.
var oddFloats = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.625, -0.625, 9.1, 9.0999, -9.2, 88.9, 89, 89.1, -103.9, -104, -104.1, 127, -128,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-38, -1e-38, 1e-20}

func oddSlice(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * scale)
		if r.IntN(8) == 0 {
			x[i] = oddFloats[r.IntN(len(oddFloats))]
		}
	}
	return x
}

func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestElementwiseLevels compares the vector kernels with the portable loops,
// bit for bit, at every length around the vectors' and on odd values.
func TestElementwiseLevels(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(7, uint64(l)))
		for round := range 400 {
			n := r.IntN(70)
			if round%50 == 0 {
				n = 1000 + r.IntN(100)
			}
			x := oddSlice(r, n, []float64{0.1, 1, 10, 60}[r.IntN(4)])

			for _, op := range []UnaryOp{SigmoidOp, TanhOp, ExpOp, Gelu} {
				u := Unary{Op: op}
				got, want := make([]float32, n), make([]float32, n)
				ApplyUnaryAt(l, u, UnaryFunc[float32](u), got, x)
				ApplyUnary(u, want, x)
				for i := range want {
					if !sameFloat(got[i], want[i]) {
						t.Fatalf("%v: op %d of %g (%d of %d): %g, want %g", l, op, x[i], i, n, got[i], want[i])
					}
				}
			}

			for _, op := range []BinaryOp{Add, Sub, Mul} {
				y := oddSlice(r, n, 1)
				lo, hi := float32(math.Inf(-1)), float32(math.Inf(1))
				if r.IntN(2) == 0 {
					lo, hi = 0, 6
				}
				got, want := make([]float32, n), make([]float32, n)
				Arith(l, op, got, x, y, lo, hi)
				Arith(Generic, op, want, x, y, lo, hi)
				for i := range want {
					if !sameFloat(got[i], want[i]) {
						t.Fatalf("%v: op %d of %g and %g: %g, want %g", l, op, x[i], y[i], got[i], want[i])
					}
				}
			}

			got, want := make([]int8, n), make([]int8, n)
			s1, z1 := QuantizeRowAt(l, got, x)
			s2, z2 := QuantizeRow(want, x)
			if !sameFloat(s1, s2) || z1 != z2 {
				t.Fatalf("%v: row of %d has scale %g, zero %d; want %g, %d", l, n, s1, z1, s2, z2)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%v: quantized %g to %d, want %d", l, x[i], got[i], want[i])
				}
			}

			a, b := make([]int8, n), make([]int8, n)
			for i := range a {
				a[i], b[i] = int8(r.IntN(256)-128), int8(r.IntN(256)-128)
			}
			param := func() QParams {
				return QParams{float32(math.Exp2(r.Float64()*12 - 6)), int32(r.IntN(256) - 128)}
			}
			c, err := NewBcast([]int{n}, []int{n})
			if err != nil {
				t.Fatal(err)
			}
			lo, hi := int32(-128), int32(127)
			if r.IntN(2) == 0 {
				lo = int32(r.IntN(100) - 128)
			}
			q := NewQBinary([]BinaryOp{Add, Sub}[r.IntN(2)], c, param(), param(), param(), lo, hi)
			q.Run(want, a, b, 0, n)
			q.Level = l
			q.Run(got, a, b, 0, n)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%v: %+v of %d and %d: %d, want %d", l, q.op, a[i], b[i], got[i], want[i])
				}
			}
		}
	}
}

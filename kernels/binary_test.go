package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var bcastShapes = [][2][]int{
	{{}, {}}, {{5}, {}}, {{}, {3, 2}}, {{1}, {1}}, {{7}, {7}}, {{2, 3}, {3}}, {{3}, {2, 3}}, {{2, 3}, {2, 1}}, {{2, 1}, {2, 3}},
	{{4, 1, 3}, {1, 5, 1}}, {{1, 5, 5, 8}, {8}}, {{1, 5, 5, 8}, {1, 1, 1, 8}}, {{2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {3, 1, 5}},
	{{6, 1, 1}, {1, 300}}, {{3, 257}, {3, 1}}, {{1, 1000}, {1, 1000}}, {{0, 3}, {1}}, {{2, 1, 2, 1}, {2, 2, 1, 2}}, {{400}, {1}},
}

// naive returns the positions of the operands for every output element.
func naiveBroadcast(a, b []int) (shape []int, ia, ib []int) {
	r := max(len(a), len(b))
	pa, pb := append(slices.Repeat([]int{1}, r-len(a)), a...), append(slices.Repeat([]int{1}, r-len(b)), b...)
	shape = make([]int, r)
	for i := range shape {
		shape[i] = max(pa[i], pb[i])
		if pa[i] == 0 || pb[i] == 0 {
			shape[i] = 0
		}
	}
	for e := range product(shape) {
		x, y, sa, sb, rest := 0, 0, 1, 1, e
		for i := r - 1; i >= 0; i-- {
			j := rest % shape[i]
			rest /= shape[i]
			x += min(j, pa[i]-1) * sa
			y += min(j, pb[i]-1) * sb
			sa *= pa[i]
			sb *= pb[i]
		}
		ia, ib = append(ia, x), append(ib, y)
	}
	return shape, ia, ib
}

func randFloats(r *rand.Rand, n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = scale * (2*r.Float32() - 1)
	}
	return x
}

func randInt8s(r *rand.Rand, n int) []int8 {
	x := make([]int8, n)
	for i := range x {
		x[i] = int8(r.IntN(256) - 128)
	}
	return x
}

// inPieces calls f on ranges that cover [0, n), as threads do.
func inPieces(r *rand.Rand, n int, f func(from, to int)) {
	for i := 0; i < n; {
		j := min(n, i+1+r.IntN(max(n/2, 1)))
		f(i, j)
		i = j
	}
}

func TestBinaryBroadcast(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	ops := map[BinaryOp]func(a, b float32) float32{
		Add: func(a, b float32) float32 { return a + b }, Sub: func(a, b float32) float32 { return a - b },
		Mul: func(a, b float32) float32 { return a * b }, Div: func(a, b float32) float32 { return a / b },
		Max: func(a, b float32) float32 { return max(a, b) }, Min: func(a, b float32) float32 { return min(a, b) },
		SquaredDifference: func(a, b float32) float32 { return float32(a-b) * float32(a-b) },
		PowOp:             func(a, b float32) float32 { return Pow(a, b) },
	}
	for _, s := range bcastShapes {
		c, err := NewBcast(s[0], s[1])
		if err != nil {
			t.Fatal(err)
		}
		shape, ia, ib := naiveBroadcast(s[0], s[1])
		if !slices.Equal(c.Shape, shape) {
			t.Errorf("%v with %v is %v, want %v", s[0], s[1], c.Shape, shape)
		}
		a, b := randFloats(r, product(s[0]), 3), randFloats(r, product(s[1]), 3)
		for op, f := range ops {
			dst := make([]float32, len(ia))
			inPieces(r, len(dst), func(from, to int) { Binary(op, c, dst, a, b, from, to) })
			for i := range dst {
				want := f(a[ia[i]], b[ib[i]])
				if math.Float32bits(dst[i]) != math.Float32bits(want) && want == want {
					t.Fatalf("%v op %d %v: [%d] = %g, want %g", s[0], op, s[1], i, dst[i], want)
				}
			}
		}
	}
	if _, err := NewBcast([]int{2, 3}, []int{4}); err == nil {
		t.Error("shapes [2 3] and [4] broadcast")
	}
}

func TestBinaryInts(t *testing.T) {
	c, _ := NewBcast([]int{10}, []int{10})
	a := []int32{7, -7, 7, -7, math.MinInt32, 3, 0, 2, -1, -1}
	b := []int32{2, 2, -2, 0, -1, 4, -3, 31, -3, -2}
	want := map[BinaryOp][]int32{
		Div:   {3, -3, -3, 0, math.MinInt32, 0, 0, 0, 0, 0},
		Max:   {7, 2, 7, 0, -1, 4, 0, 31, -1, -1},
		PowOp: {49, 49, 0, 1, 0, 81, 0, math.MinInt32, -1, 1},
		Mul:   {14, -14, -14, 0, math.MinInt32, 12, 0, 62, 3, 2},
	}
	for op, w := range want {
		got := make([]int32, 10)
		Binary(op, c, got, a, b, 0, 10)
		if !slices.Equal(got, w) {
			t.Errorf("op %d: %v, want %v", op, got, w)
		}
	}
}

// TestQBinary compares with the formulas taken in float64, which may differ
// from the defined float32 roundings only next to a tie.
func TestQBinary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, op := range []BinaryOp{Add, Sub, Mul, Div, Max, Min, SquaredDifference} {
		for k, s := range bcastShapes {
			c, _ := NewBcast(s[0], s[1])
			_, ia, ib := naiveBroadcast(s[0], s[1])
			a, b := randInt8s(r, product(s[0])), randInt8s(r, product(s[1]))
			pa := QParams{0.01 + r.Float32()/20, int32(r.IntN(256) - 128)}
			pb := QParams{0.01 + r.Float32()/20, int32(r.IntN(256) - 128)}
			py := QParams{0.02 + r.Float32()/10, int32(r.IntN(256) - 128)}
			lo, hi := int32(-128), int32(127)
			if k%3 == 0 {
				lo, hi = -100, 90
			}
			dst := make([]int8, len(ia))
			q := NewQBinary(op, c, pa, pb, py, lo, hi)
			inPieces(r, len(dst), func(from, to int) { q.Run(dst, a, b, from, to) })
			a16, b16, dst16 := make([]int16, len(a)), make([]int16, len(b)), make([]int16, len(ia))
			for i, v := range a {
				a16[i] = int16(v)
			}
			for i, v := range b {
				b16[i] = int16(v)
			}
			q16 := NewQBinary16(op, c, pa, pb, py, lo, hi)
			inPieces(r, len(dst), func(from, to int) { q16.Run(dst16, a16, b16, from, to) })
			for i := range dst {
				x := float64(pa.Scale) * float64(int32(a[ia[i]])-pa.Zero)
				y := float64(pb.Scale) * float64(int32(b[ib[i]])-pb.Zero)
				var v float64
				switch op {
				case Add:
					v = x + y
				case Sub:
					v = x - y
				case Mul:
					v = x * y
				case Div:
					v = x / y
				case Max:
					v = max(x, y)
				case Min:
					v = min(x, y)
				case SquaredDifference:
					v = (x - y) * (x - y)
				}
				v /= float64(py.Scale)
				if v != v { // 0/0 takes the code of 0
					v = 0
				}
				want := min(max(math.RoundToEven(v)+float64(py.Zero), float64(lo)), float64(hi))
				tie := math.Abs(v-math.Floor(v)-0.5) < 1e-4*max(1, math.Abs(v))
				for _, got := range []float64{float64(dst[i]), float64(dst16[i])} {
					if d := math.Abs(got - want); d > 1 || d > 0 && !tie {
						t.Fatalf("%v op %d %v: [%d] = %g, want %g (%g)", s[0], op, s[1], i, got, want, v)
					}
				}
			}
		}
	}
}

// TestQAddExact compares every pair of codes with the design's formula, the
// fused multiply-add taken by FMA32.
func TestQAddExact(t *testing.T) {
	var a, b []int8
	for i := range 256 {
		for j := range 256 {
			a, b = append(a, int8(i)), append(b, int8(j))
		}
	}
	c, _ := NewBcast([]int{len(a)}, []int{len(b)})
	for _, p := range [][3]QParams{
		{{0.02, 3}, {0.07, -128}, {0.09, 12}},
		{{1, 0}, {0.5, 0}, {1, 0}}, // every other sum is a tie
		{{1e-9, 100}, {3, -5}, {2, 0}},
		{{3, 1}, {1e-12, 0}, {0.75, -3}},
	} {
		dst := make([]int8, len(a))
		NewQBinary(Add, c, p[0], p[1], p[2], -128, 127).Run(dst, a, b, 0, len(a))
		for i := range a {
			r1, r2 := p[0].Scale/p[2].Scale, p[1].Scale/p[2].Scale
			s := FMA32(float32(int32(b[i])-p[1].Zero), r2, float32(float32(int32(a[i])-p[0].Zero)*r1))
			want := int8(min(max(math.RoundToEven(float64(s))+float64(p[2].Zero), -128), 127))
			if dst[i] != want {
				t.Fatalf("%v: %d + %d = %d, want %d (%g)", p, a[i], b[i], dst[i], want, s)
			}
		}
	}
}

func BenchmarkQAdd(b *testing.B) {
	const n = 56 * 56 * 24
	r := rand.New(rand.NewPCG(1, 1))
	x, y, z := randInt8s(r, n), randInt8s(r, n), make([]int8, n)
	c, _ := NewBcast([]int{n}, []int{n})
	q := NewQBinary(Add, c, QParams{0.02, 3}, QParams{0.07, -12}, QParams{0.09, 12}, -128, 127)
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		q.Run(z, x, y, 0, n)
	}
}

func BenchmarkBinaryAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][2][]int{{{56, 56, 24}, {56, 56, 24}}, {{56, 56, 24}, {24}}, {{56, 56, 24}, {1}}} {
		b.Run(fmt.Sprint(s), func(b *testing.B) {
			x, y := randFloats(r, product(s[0]), 1), randFloats(r, product(s[1]), 1)
			z := make([]float32, len(x))
			c, _ := NewBcast(s[0], s[1])
			b.SetBytes(int64(4 * len(x)))
			b.ReportAllocs()
			for b.Loop() {
				Binary(Add, c, z, x, y, 0, len(z))
			}
		})
	}
}

// TestArithTiled: short rows of one operand with one row of the other, in pieces that
// begin anywhere.
func TestArithTiled(t *testing.T) {
	for _, s := range [][2][]int{{{3, 5, 7}, {7}}, {{7}, {3, 5, 7}}, {{2, 40, 16}, {2, 1, 16}}, {{2, 1, 3}, {2, 90, 3}}, {{4, 64}, {1, 64}}} {
		c, err := NewBcast(s[0], s[1])
		if err != nil {
			t.Fatal(err)
		}
		a, b := make([]float32, product(s[0])), make([]float32, product(s[1]))
		for i := range a {
			a[i] = float32(i) + 0.5
		}
		for i := range b {
			b[i] = 3 - float32(i)/3
		}
		want, got := make([]float32, c.Elems), make([]float32, c.Elems)
		Binary(Sub, c, want, a, b, 0, c.Elems)
		for _, l := range Levels() {
			clear(got)
			cut := c.Elems/2 - 1
			Arith(l, Sub, c, got, a, b, -inf32, inf32, cut, c.Elems)
			Arith(l, Sub, c, got, a, b, -inf32, inf32, 0, cut)
			sameRow(t, l.String(), got, want)
		}
	}
}

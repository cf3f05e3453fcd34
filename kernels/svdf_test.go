package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// svdfRef is the layer in float64 on real numbers; it returns y and the next
// state.
func svdfRef(s *SVDFShape, feature, time, bias, x, state []float64) (y, next []float64) {
	f := s.Filters()
	y, next = make([]float64, s.N*s.Units), make([]float64, len(state))
	for n := range s.N {
		for i := range f {
			row := next[(n*f+i)*s.M:][:s.M]
			copy(row, state[(n*f+i)*s.M+1:][:s.M-1])
			row[s.M-1] = 0
			for k := range s.I {
				row[s.M-1] += feature[i*s.I+k] * x[n*s.I+k]
			}
			for m, v := range row {
				y[n*s.Units+i/s.Rank] += time[i*s.M+m] * v
			}
		}
		for u := range s.Units {
			if bias != nil {
				y[n*s.Units+u] += bias[u]
			}
		}
	}
	return y, next
}

func TestSVDF(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	for _, s := range []SVDFShape{{N: 1, I: 6, Units: 4, Rank: 1, M: 5}, {N: 2, I: 33, Units: 3, Rank: 2, M: 8}, {N: 1, I: 1, Units: 1, Rank: 1, M: 1}} {
		feature, time, bias := randFloats(r, s.Filters()*s.I, 1), randFloats(r, s.Filters()*s.M, 1), randFloats(r, s.Units, 1)
		if s.I == 1 {
			bias = nil
		}
		x, state := randFloats(r, s.N*s.I, 2), randFloats(r, s.N*s.Filters()*s.M, 2)
		var wb []float64
		if bias != nil {
			wb = widen(bias)
		}
		wy, wn := svdfRef(&s, widen(feature), widen(time), wb, widen(x), widen(state))
		q8 := make([]int8, len(feature))
		for i, v := range feature {
			q8[i] = int8(math.Round(float64(v) * 127))
		}
		for _, l := range Levels() {
			y, next := make([]float32, len(wy)), make([]float32, len(wn))
			c, err := NewSVDF(l, s, feature, time, bias)
			if err != nil {
				t.Fatal(err)
			}
			c.Run(y, next, x, state, alignedBytes(c.Scratch()))
			near(t, "y", y, wy, 1e-4)
			near(t, "state", next, wn, 1e-4)
			h, err := NewHybridSVDF(l, s, q8, []float32{1.0 / 127}, time, bias)
			if err != nil {
				t.Fatal(err)
			}
			h.Run(y, next, x, state, alignedBytes(h.Scratch()))
			near(t, "hybrid state", next, wn, 0.02*float64(s.I)+0.02)
			near(t, "hybrid y", y, wy, 0.1*float64(s.I)+0.1)
		}
	}
	if _, err := NewSVDF(Generic, SVDFShape{N: 1, I: 2, Units: 2, Rank: 1, M: 3}, make([]float32, 4), make([]float32, 5), nil); err == nil {
		t.Error("5 time weights were accepted for 2 filters of 3")
	}
}

func testQSVDF[T int8 | int16](t *testing.T, state QParams) {
	r := rand.New(rand.NewPCG(31, 32))
	s := SVDFShape{N: 2, I: 16, Units: 5, Rank: 2, M: 6}
	lo, hi := limits[T]()
	random := func(n int) []T {
		x := make([]T, n)
		for i := range x {
			x[i] = T(int64(lo) + r.Int64N(int64(hi)-int64(lo)+1))
		}
		return x
	}
	real := func(n int, at func(i int) float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = at(i)
		}
		return x
	}
	feature, time, bias := randInt8s(r, s.Filters()*s.I), random(s.Filters()*s.M), make([]int32, s.Units)
	x, y := QParams{0.05, -7}, QParams{0, 13}
	const fs = 0.01
	ts := float32(1 / float64(hi))
	y.Scale = 0.05 * float32(hi) * state.Scale
	for i := range bias {
		bias[i] = int32(float64(r.IntN(2000)-1000) / 1000 * float64(y.Scale*20) / float64(state.Scale*ts))
	}
	c, err := NewQSVDF(s, feature, fs, time, ts, bias, x, state, y)
	if err != nil {
		t.Fatal(err)
	}
	in, old := randInt8s(r, s.N*s.I), random(s.N*s.Filters()*s.M)
	out, next := make([]int8, s.N*s.Units), make([]T, len(old))
	c.Run(out, next, in, old)
	ref := func(v T) float64 { return float64(state.Scale) * float64(int32(v)-state.Zero) }
	_, wn := svdfRef(&s, real(len(feature), func(i int) float64 { return fs * float64(feature[i]) }), real(len(time), func(i int) float64 { return float64(ts) * float64(time[i]) }), nil,
		real(len(in), func(i int) float64 { return float64(x.Scale) * float64(int32(in[i])-x.Zero) }), real(len(old), func(i int) float64 { return ref(old[i]) }))
	for i, v := range next {
		want := min(max(wn[i]/float64(state.Scale)+float64(state.Zero), float64(lo)), float64(hi))
		if math.Abs(float64(v)-want) > 0.51 {
			t.Fatalf("state[%d] = %d, want %g", i, v, want)
		}
	}
	// The output, given the state's codes.
	run := s.Rank * s.M
	for i, v := range out {
		acc := float64(bias[i%s.Units])
		for k := range run {
			acc += float64(time[i%s.Units*run+k]) * float64(int32(next[i*run+k])-state.Zero)
		}
		want := min(max(acc*float64(state.Scale)*float64(ts)/float64(y.Scale)+float64(y.Zero), -128), 127)
		if math.Abs(float64(v)-want) > 0.51 {
			t.Fatalf("y[%d] = %d, want %g", i, v, want)
		}
	}
}

func TestQSVDF(t *testing.T) {
	testQSVDF[int8](t, QParams{0.3, -20})
	testQSVDF[int16](t, QParams{0.001, 0})
}

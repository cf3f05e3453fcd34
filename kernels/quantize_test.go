package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantizeOne(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		x, scale     float32
		zero, lo, hi int32
		want         int32
	}{
		{0, 1, 5, -128, 127, 5}, {0.5, 1, 0, -128, 127, 0}, {1.5, 1, 0, -128, 127, 2}, {2.5, 1, 0, -128, 127, 2}, {-0.5, 1, 0, -128, 127, 0},
		{-1.5, 1, 0, -128, 127, -2}, {inf, 1, 3, -128, 127, 127}, {-inf, 1, 3, -128, 127, -128}, {nan, 1, 3, -128, 127, 3}, {1e30, 1, 0, -128, 127, 127},
		{127.4, 1, 0, -128, 127, 127}, {127.6, 1, 0, -128, 127, 127}, {1, 0.1, 0, -128, 127, 10}, {3e9, 1, 0, math.MinInt32, math.MaxInt32, math.MaxInt32},
		{-3e9, 1, 0, math.MinInt32, math.MaxInt32, math.MinInt32}, {2147483520, 1, 100, math.MinInt32, math.MaxInt32, 2147483620},
		{2147483520, 1, 200, math.MinInt32, math.MaxInt32, math.MaxInt32}, {-100, 1, -100, -128, 127, -128},
	} {
		if got := QuantizeOne(c.x, c.scale, c.zero, c.lo, c.hi); got != c.want {
			t.Errorf("QuantizeOne(%g, %g, %d, %d, %d) = %d, want %d", c.x, c.scale, c.zero, c.lo, c.hi, got, c.want)
		}
	}
}

func testQuantize[T Code](t *testing.T, r *rand.Rand) {
	lo, hi := limits[T]()
	for _, a := range []Affine{
		PerTensor(60, 0.037, 4), PerTensor(60, 3e-9, 0),
		{Scale: []float32{0.1, 0.02, 3}, Zero: []int32{1, -2, 3}, Outer: 4, Channels: 3, Inner: 5},
		{Scale: []float32{0.1, 0.02, 3}, Outer: 1, Channels: 3, Inner: 20},
	} {
		x := randFloats(r, 60, 10)
		x[0], x[1], x[2] = float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
		q, y := make([]T, 60), make([]float32, 60)
		Quantize(&a, q, x)
		Dequantize(&a, y, q)
		for i := range x {
			s, z := a.channel(i / a.Inner % a.Channels)
			if want := QuantizeOne(x[i], s, z, lo, hi); int32(q[i]) != want {
				t.Errorf("%T: [%d] %g by %g, %d = %d, want %d", q, i, x[i], s, z, q[i], want)
			}
			if want := float32(float64(int64(q[i])-int64(z))) * s; y[i] != want {
				t.Errorf("%T: [%d] %d = %g, want %g", q, i, q[i], y[i], want)
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	testQuantize[int8](t, r)
	testQuantize[int16](t, r)
	testQuantize[int32](t, r)
}

func testRequantize[O, I Code](t *testing.T, r *rand.Rand) {
	lo, hi := limits[O]()
	inLo, inHi := limits[I]()
	for range 50 {
		rs := NewRescale(0.01+r.Float32(), int32(r.IntN(100)-50), 0.01+r.Float32(), int32(r.IntN(100)-50))
		src, dst := make([]I, 100), make([]O, 100)
		for i := range src {
			src[i] = I(int64(inLo) + r.Int64N(int64(inHi)-int64(inLo)+1))
		}
		Requantize(rs, dst, src)
		for i, x := range src {
			v := (float64(x) - float64(rs.InZero)) * rs.m
			want := min(max(math.RoundToEven(v)+float64(rs.OutZero), float64(lo)), float64(hi))
			tie := math.Abs(v-math.Floor(v)-0.5) < 1e-4*max(1, math.Abs(v))
			if d := math.Abs(float64(dst[i]) - want); d > 1 || d > 0 && !tie {
				t.Fatalf("%T to %T: %d by %+v = %d, want %g", src, dst, x, rs, dst[i], want)
			}
		}
	}
}

func TestRequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	testRequantize[int8, int8](t, r)
	testRequantize[int8, int16](t, r)
	testRequantize[int8, int32](t, r)
	testRequantize[int16, int8](t, r)
	testRequantize[int16, int16](t, r)
	testRequantize[int16, int32](t, r)
	testRequantize[int32, int8](t, r)
	testRequantize[int32, int16](t, r)
	testRequantize[int32, int32](t, r)

	rs := NewRescale(0.3, 5, 0.2, -7)
	src, a, b := make([]int8, 256), make([]int8, 256), make([]int8, 256)
	for i := range src {
		src[i] = int8(i)
	}
	Requantize(rs, a, src)
	rs.Table().Apply(b, src)
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("code %d: %d, by table %d", src[i], a[i], b[i])
		}
	}
	if !NewRescale(0.5, 3, 0.5, 3).Identity() || rs.Identity() || NewRescale(0.5, 3, 0.5, 4).Identity() {
		t.Error("Identity is wrong")
	}
}

// TestQuantizeRow checks what a hybrid product relies on: 0 has an exact code,
// every value is within one scale, the range is used.
func TestQuantizeRow(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for range 500 {
		n := 1 + r.IntN(40)
		x := randFloats(r, n, float32(math.Ldexp(1, r.IntN(40)-20)))
		switch r.IntN(4) {
		case 0:
			for i := range x {
				x[i] = abs32(x[i])
			}
		case 1:
			for i := range x {
				x[i] = -abs32(x[i])
			}
		}
		q := make([]int8, n)
		scale, zero := QuantizeRow(q, x)
		if zero < -128 || zero > 127 {
			t.Fatalf("zero point %d", zero)
		}
		lo, hi := float32(0), float32(0)
		for i, v := range x {
			lo, hi = min(lo, v), max(hi, v)
			if d := math.Abs(float64(int32(q[i])-zero)*float64(scale) - float64(v)); d > 1.001*float64(scale) {
				t.Fatalf("%g became %d: off by %g of scale %g", v, q[i], d, scale)
			}
		}
		if want := (hi - lo) / 255; lo != hi && math.Abs(float64(scale-want)) > 1e-6*float64(want) {
			t.Fatalf("scale %g for [%g, %g], want %g", scale, lo, hi, want)
		}
	}
	q := make([]int8, 3)
	if s, z := QuantizeRow(q, []float32{0, 0, 0}); s != 1 || int32(q[0]) != z {
		t.Errorf("a row of zeros has scale %g, zero %d, codes %v", s, z, q)
	}
	if s, z := QuantizeRow(q, []float32{-1, 0, 1}); s != float32(2)/255 && s != 1/(float32(255)/2) || q[0] != -128 || q[2] != 127 && q[2] != 126 || int32(q[1]) != z {
		t.Errorf("[-1 0 1]: scale %g, zero %d, codes %v", s, z, q)
	}
	if s, z := QuantizeRow(nil, nil); s != 1 || z < -128 || z > 127 {
		t.Errorf("an empty row: scale %g, zero %d", s, z)
	}
}

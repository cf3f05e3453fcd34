package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA32 compares with exact arithmetic, above all where rounding twice
// goes wrong: sums near the middle of two float32 and subnormal results.
func TestFMA32(t *testing.T) {
	check := func(x, y, z float32) {
		t.Helper()
		got := FMA32(x, y, z)
		exact := new(big.Float).SetPrec(2000).SetFloat64(float64(x))
		exact.Mul(exact, new(big.Float).SetFloat64(float64(y)))
		exact.Add(exact, new(big.Float).SetFloat64(float64(z)))
		want, _ := exact.Float32()
		if exact.Sign() == 0 { // big.Float follows IEEE here but for the sum of zeros
			want = x*y + z
		}
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("FMA32(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() float32 {
		for {
			v := math.Float32frombits(rng.Uint32())
			if v == v && !math.IsInf(float64(v), 0) {
				return v
			}
		}
	}
	for range 200_000 {
		check(draw(), draw(), draw())
		// A short product far below a short sum: a tie or nearly one.
		x := float32(1+rng.IntN(1<<12)) * float32(math.Ldexp(1, rng.IntN(60)-60))
		y := float32(1+rng.IntN(1<<12)) * float32(math.Ldexp(1, rng.IntN(20)-20))
		check(x, y, float32(rng.IntN(1<<24)+1))
		check(x, -y, float32(rng.IntN(1<<24)+1))
		// Subnormal results.
		check(x*1e-20, y*1e-20, math.Float32frombits(rng.Uint32()&0x807fffff))
	}
	// 2^24+1 is a tie; what lies beyond float64's last bit decides it.
	check(1, 1, 1<<24)
	check(float32(math.Ldexp(1, -40)), float32(math.Ldexp(1, -40)), 1)
	tie := math.Float32frombits(0x3f800001)
	check(tie, tie, float32(math.Ldexp(1, 30)))
	for _, v := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
		if got, want := FMA32(v, 2, 1), v*2+1; got != want && want == want {
			t.Errorf("FMA32(%v, 2, 1) = %v", v, got)
		}
		if got := FMA32(1, 2, v); got != v && v == v {
			t.Errorf("FMA32(1, 2, %v) = %v", v, got)
		}
	}
	if got := FMA32(float32(math.Inf(1)), 0, 1); got == got {
		t.Errorf("FMA32(+Inf, 0, 1) = %v, want NaN", got)
	}
}

func BenchmarkFMA32(b *testing.B) {
	var s float32
	for i := range b.N {
		s = FMA32(float32(i), 0.5, s)
	}
	fmaSink = s
}

var fmaSink float32

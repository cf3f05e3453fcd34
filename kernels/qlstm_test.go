package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFixedPoint bounds the error of the fixed-point functions in units of
// 2**-15 over all their arguments, and checks where they are exact.
func TestFixedPoint(t *testing.T) {
	var worstS, worstT float64
	for a := int32(math.MinInt16); a <= math.MaxInt16; a++ {
		x := float64(a) / 4096
		worstS = max(worstS, math.Abs(float64(sigmoidQ(a))-32768/(1+math.Exp(-x))))
		if s := sigmoidQ(a); s < 0 || s > math.MaxInt16 {
			t.Fatalf("sigmoid(%d) = %d", a, s)
		}
		for m := range 7 {
			x := float64(a) / float64(int(1)<<(15-m))
			v := tanhQ(a, m)
			worstT = max(worstT, math.Abs(float64(v)-32768*math.Tanh(x)))
			if a > math.MinInt16 && tanhQ(-a, m) != -v {
				t.Fatalf("tanh is not odd at %d, m=%d", a, m)
			}
		}
	}
	t.Logf("sigmoid within %.1f, tanh within %.1f units of 2^-15", worstS, worstT)
	if worstS > 8 || worstT > 24 {
		t.Errorf("sigmoid is off by %.1f, tanh by %.1f units of 2^-15", worstS, worstT)
	}
	if sigmoidQ(0) != 1<<14 || tanhQ(0, 3) != 0 {
		t.Error("sigmoid(0) or tanh(0) is not exact")
	}
}

func TestFixedMul(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	for range 100_000 {
		m := math.Ldexp(0.5+r.Float64()/2, r.IntN(30)-26)
		v := int32(r.Uint32()) >> (4 + r.IntN(20))
		want := float64(v) * m
		if math.Abs(want) > 1<<30 {
			continue
		}
		// Two roundings: each is half a unit at most.
		if got := newFixedMul(m).mul(v); math.Abs(float64(got)-want) > 0.5+0.5+math.Abs(want)*0x1p-30 {
			t.Fatalf("%d * %g = %d, want %g", v, m, got, want)
		}
	}
	for _, c := range []struct {
		m    float64
		v, w int32
	}{{0.5, 3, 2}, {0.5, -3, -1}, {0.25, 2, 1}, {0.25, -2, -1}, {1, 7, 7}, {4, -5, -20}, {0x1p-40, 1 << 30, 0}, {0.99999999999, 8, 8}} {
		if got := newFixedMul(c.m).mul(c.v); got != c.w {
			t.Errorf("%d * %g = %d, want %d", c.v, c.m, got, c.w)
		}
	}
}

func TestRoundShift(t *testing.T) {
	for _, c := range []struct {
		v    int32
		n    uint
		want int32
	}{{5, 1, 3}, {-5, 1, -3}, {4, 2, 1}, {6, 2, 2}, {-6, 2, -2}, {5, 2, 1}, {7, 0, 7}, {math.MinInt32, 31, -1}, {math.MaxInt32, 31, 1}} {
		if got := roundShift(c.v, c.n); got != c.want {
			t.Errorf("%d / 2^%d = %d, want %d", c.v, c.n, got, c.want)
		}
	}
}

// TestQLSTM compares the integer LSTM with the float one on the real numbers
// that its tensors stand for.
func TestQLSTM(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	for _, major := range []bool{false, true} {
		p := &QLSTMParams{T: 6, N: 2, I: 9, H: 7, TimeMajor: major, X: QParams{0.02, 11}, Hidden: QParams{1.0 / 128, -3}, CellExp: -11}
		f := &LSTMParams{T: p.T, N: p.N, I: p.I, H: p.H, Dirs: 1}
		order := [4]int{0, 3, 1, 2} // where ONNX's i, o, f, c are among i, f, c, o
		for k := range 4 {
			p.W[k], p.R[k] = randInt8s(r, p.H*p.I), randInt8s(r, p.H*p.H)
			p.ScaleW[k], p.ScaleR[k] = 0.005+0.002*float32(k), 0.004+0.001*float32(k)
			for range p.H {
				p.B[k] = append(p.B[k], int32(r.IntN(4000)-2000))
			}
		}
		bias := make([]float32, 8*p.H)
		for g, k := range order {
			for _, w := range p.W[k] {
				f.W = append(f.W, float32(w)*p.ScaleW[k])
			}
			for _, w := range p.R[k] {
				f.R = append(f.R, float32(w)*p.ScaleR[k])
			}
			for u, b := range p.B[k] {
				bias[g*p.H+u] = float32(b) * p.X.Scale * p.ScaleW[k]
			}
		}
		f.B = bias
		x, h, cell := randInt8s(r, p.T*p.N*p.I), make([]int8, p.N*p.H), make([]int16, p.N*p.H)
		for i := range h {
			h[i], cell[i] = int8(r.IntN(200)-100), int16(r.IntN(8000)-4000)
		}
		fx, wh, wc := make([]float32, len(x)), make([]float64, len(h)), make([]float64, len(h))
		at := func(n, t, i int) int {
			if major {
				return (t*p.N+n)*p.I + i
			}
			return (n*p.T+t)*p.I + i
		}
		for n := range p.N {
			for s := range p.T {
				for i := range p.I {
					fx[(s*p.N+n)*p.I+i] = float32(int32(x[at(n, s, i)])-p.X.Zero) * p.X.Scale
				}
			}
		}
		for i := range h {
			wh[i], wc[i] = float64(int32(h[i])-p.Hidden.Zero)*float64(p.Hidden.Scale), math.Ldexp(float64(cell[i]), p.CellExp)
		}
		wy := make([]float64, p.T*p.N*p.H)
		lstmRef(f, wy, wh, wc, fx, nil)
		c, err := NewQLSTM(p)
		if err != nil {
			t.Fatal(err)
		}
		y := make([]int8, len(wy))
		scratch := make([]int8, c.Scratch())
		c.Run(y, h, cell, x, scratch)
		for n := range p.N {
			for s := range p.T {
				for u := range p.H {
					i := (n*p.T+s)*p.H + u
					if major {
						i = (s*p.N+n)*p.H + u
					}
					got := float64(int32(y[i])-p.Hidden.Zero) * float64(p.Hidden.Scale)
					want := min(max(wy[(s*p.N+n)*p.H+u], -125.0/128), 130.0/128)
					if math.Abs(got-want) > 2.5/128 {
						t.Fatalf("time-major %v: y[%d,%d,%d] = %g, want %g", major, n, s, u, got, want)
					}
				}
			}
		}
		for i := range cell {
			if got := math.Ldexp(float64(cell[i]), p.CellExp); math.Abs(got-wc[i]) > 0.03 {
				t.Fatalf("cell[%d] = %g, want %g", i, got, wc[i])
			}
		}
		if n := testing.AllocsPerRun(3, func() { c.Run(y, h, cell, x, scratch) }); n != 0 {
			t.Errorf("Run allocates %v times", n)
		}

		p.CellClip = 0.25
		clipped, err := NewQLSTM(p)
		if err != nil {
			t.Fatal(err)
		}
		clipped.Run(y, h, cell, x, scratch)
		for i, v := range cell {
			if v < -512 || v > 512 {
				t.Fatalf("cell[%d] = %d lies beyond the clip of 512", i, v)
			}
		}
	}
	if _, err := NewQLSTM(&QLSTMParams{T: 1, N: 1, I: 1, H: 1, CellExp: -3}); err == nil {
		t.Error("a cell scale of 2^-3 was accepted")
	}
}

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// lstmRef is ONNX's LSTM in float64; h and c are changed in place.
func lstmRef(p *LSTMParams, y, h, c []float64, x []float32, lens []int32) {
	sig := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	for d := range p.Dirs {
		for n := range p.N {
			length := p.T
			if lens != nil {
				length = int(lens[n])
			}
			hn, cn := h[(d*p.N+n)*p.H:][:p.H], c[(d*p.N+n)*p.H:][:p.H]
			for s := range length {
				t := s
				if p.Reverse || d == 1 {
					t = length - 1 - s
				}
				g := make([]float64, 4*p.H)
				for k := range g {
					if p.B != nil {
						g[k] = float64(p.B[d*8*p.H+k]) + float64(p.B[d*8*p.H+4*p.H+k])
					}
					for i := range p.I {
						g[k] += float64(x[(t*p.N+n)*p.I+i]) * float64(p.W[(d*4*p.H+k)*p.I+i])
					}
					for i := range p.H {
						g[k] += hn[i] * float64(p.R[(d*4*p.H+k)*p.H+i])
					}
				}
				for k := range p.H {
					i, o, f, z := sig(g[k]), sig(g[p.H+k]), sig(g[2*p.H+k]), math.Tanh(g[3*p.H+k])
					v := f*cn[k] + i*z
					if p.CellClip > 0 {
						v = min(max(v, -float64(p.CellClip)), float64(p.CellClip))
					}
					cn[k] = v
					hn[k] = o * math.Tanh(v)
					y[((t*p.Dirs+d)*p.N+n)*p.H+k] = hn[k]
				}
			}
		}
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	for i, v := range got {
		if !(math.Abs(float64(v)-want[i]) <= tol) {
			t.Fatalf("%s[%d] = %g, want %g", what, i, v, want[i])
		}
	}
}

func TestLSTM(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for k, p := range []LSTMParams{
		{T: 7, N: 1, I: 5, H: 4, Dirs: 1}, {T: 1, N: 3, I: 1, H: 1, Dirs: 1}, {T: 5, N: 2, I: 3, H: 17, Dirs: 2}, {T: 6, N: 2, I: 33, H: 8, Dirs: 1, Reverse: true},
		{T: 9, N: 1, I: 2, H: 3, Dirs: 1, CellClip: 0.2},
	} {
		for _, withLens := range []bool{false, true} {
			p.W, p.R = randFloats(r, p.Dirs*4*p.H*p.I, 1), randFloats(r, p.Dirs*4*p.H*p.H, 0.5)
			if k != 1 {
				p.B = randFloats(r, p.Dirs*8*p.H, 1)
			}
			x := randFloats(r, p.T*p.N*p.I, 2)
			h0, c0 := randFloats(r, p.Dirs*p.N*p.H, 1), randFloats(r, p.Dirs*p.N*p.H, 1)
			var lens []int32
			if withLens {
				for range p.N {
					lens = append(lens, int32(r.IntN(p.T+1)))
				}
			}
			wy, wh, wc := make([]float64, p.T*p.Dirs*p.N*p.H), widen(h0), widen(c0)
			lstmRef(&p, wy, wh, wc, x, lens)
			var first []float32
			for _, l := range Levels() {
				c, err := NewLSTM(l, &p)
				if err != nil {
					t.Fatal(err)
				}
				y, h, cell := make([]float32, len(wy)), append([]float32(nil), h0...), append([]float32(nil), c0...)
				for i := range y {
					y[i] = 9 // what lies behind a sequence's end must become 0
				}
				scratch := alignedBytes(c.Scratch())
				c.Run(y, h, cell, x, lens, scratch)
				what := fmt.Sprintf("%v case %d lens %v: ", l, k, lens)
				near(t, what+"y", y, wy, 1e-5)
				near(t, what+"h", h, wh, 1e-5)
				near(t, what+"c", cell, wc, 1e-5)
				all := append(append(y, h...), cell...)
				if first == nil {
					first = all
				}
				for i := range all {
					if math.Float32bits(all[i]) != math.Float32bits(first[i]) {
						t.Fatalf("%sbits differ from those of %v", what, Generic)
					}
				}
				h2, cell2 := append([]float32(nil), h0...), append([]float32(nil), c0...)
				if n := testing.AllocsPerRun(3, func() { c.Run(nil, h2, cell2, x, lens, scratch) }); n != 0 {
					t.Errorf("%sRun allocates %v times", what, n)
				}
			}
		}
	}
	if _, err := NewLSTM(Generic, &LSTMParams{T: 1, N: 1, I: 2, H: 3, Dirs: 1, W: make([]float32, 24), R: make([]float32, 35)}); err == nil {
		t.Error("R of 35 elements was accepted for H=3")
	}
}

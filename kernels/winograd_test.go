package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// winogradRef is the algorithm as its definition reads, tile by tile.
func winogradRef(p *ConvParams, src []float32) []float32 {
	s := &p.Shape
	dst := make([]float32, s.OutLen())
	u := winogradWeights(p.Weights, s.O, s.C)
	high, wide := ceilDiv(s.OH, 4), ceilDiv(s.OW, 4)
	for t := range s.N * high * wide {
		n, y0, x0 := t/wide/high, t/wide%high*4, t%wide*4
		var v [36][]float32
		for c := range s.C {
			var rows [6][6]float32
			for j := range 6 {
				var d [6]float32
				for i := range 6 {
					if y, x := y0+i-s.Top, x0+j-s.Left; y >= 0 && x >= 0 && y < s.H && x < s.W {
						d[i] = src[((n*s.H+y)*s.W+x)*s.C+c]
					}
				}
				for i, d := range winogradIn6(&d) {
					rows[i][j] = d
				}
			}
			for i := range rows {
				for j, d := range winogradIn6(&rows[i]) {
					v[6*i+j] = append(v[6*i+j], d)
				}
			}
		}
		for o := range s.O {
			var rows [4][6]float32
			for j := range 6 {
				var m [6]float32
				for i := range 6 {
					k := 6*i + j
					for c, d := range v[k] {
						m[i] = FMA32(d, u[(k*s.O+o)*s.C+c], m[i])
					}
				}
				for i, m := range winogradOut4(&m) {
					rows[i][j] = m
				}
			}
			var bias float32
			if p.Bias != nil {
				bias = p.Bias[o]
			}
			for i := range min(4, s.OH-y0) {
				for j, y := range winogradOut4(&rows[i]) {
					if j < s.OW-x0 {
						dst[((n*s.OH+y0+i)*s.OW+x0+j)*s.O+o] = clampFloat(y+bias, p.Lo, p.Hi)
					}
				}
			}
		}
	}
	return dst
}

// winogradShapes are those that the algorithm is chosen for, at every residue of
// the tiles, with and without padding.
func winogradShapes(rng *rand.Rand) []ConvShape {
	n := rounds(40)
	var list []ConvShape
	for len(list) < n {
		s := ConvShape{
			N: 1 + rng.IntN(2), H: 4 + rng.IntN(16), W: 4 + rng.IntN(16), C: 8 * (2 + rng.IntN(8)), O: 8 * (2 + rng.IntN(8)),
			KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: rng.IntN(4), Left: rng.IntN(4), Groups: 1,
		}
		s.OH, s.OW = s.H+s.Top+rng.IntN(4)-2, s.W+s.Left+rng.IntN(4)-2
		if s.Winograd() && s.MACs() < 3_000_000 {
			list = append(list, s)
		}
	}
	return list
}

// TestWinogradError: the result is what the windows give, to within a few roundings.
func TestWinogradError(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	s := ConvShape{
		N: 1, H: 12, W: 12, C: 64, O: 32, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 12, OW: 12, Groups: 1,
	}
	p := ConvParams{Shape: s, Weights: randomFloats(rng, s.WeightLen(), false), Lo: -inf32, Hi: inf32}
	src := randomFloats(rng, s.InLen(), false)
	c, err := NewConv(Best(), &p)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, s.OutLen())
	c.Run(dst, src, alignedBytes(c.Scratch()), 0, c.Tasks())
	var worst, squares float64
	for i, got := range dst {
		o := i % s.O
		var want float64
		s.window(0, i/s.O/s.OW, i/s.O%s.OW, func(tap, pixel int) {
			for c := range s.C {
				if pixel >= 0 {
					want += float64(src[pixel*s.C+c]) * float64(p.Weights[(o*9+tap)*s.C+c])
				}
			}
		})
		squares += want * want
		worst = max(worst, math.Abs(want-float64(got)))
	}
	if rms := math.Sqrt(squares / float64(len(dst))); worst > 6e-6*rms {
		t.Errorf("off by %.2g of the root mean square", worst/rms)
	} else {
		t.Logf("off by at most %.2g of the root mean square", worst/rms)
	}
}

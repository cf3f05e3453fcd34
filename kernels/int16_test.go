package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestConv16(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	shapes := []ConvShape{GemmShape(3, 5, 700), GemmShape(1, 1, 1), GemmShape(2, 3, 513),
		{N: 1, H: 5, W: 6, C: 4, O: 4, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 5, OW: 6, Groups: 4},
		{N: 2, H: 7, W: 5, C: 6, O: 4, KH: 3, KW: 2, SH: 2, SW: 1, DH: 2, DW: 1, Top: 0, Left: 0, OH: 2, OW: 4, Groups: 2}}
	for _, s := range shapes {
		x, w, b := make([]int16, s.InLen()), randInt8s(r, s.WeightLen()), make([]int64, s.O)
		for i := range x {
			x[i] = int16(r.IntN(1<<16) - 1<<15)
		}
		if s.C == 700 { // the greatest sums there are
			for i := range x {
				x[i] = math.MinInt16
			}
			for i := range w {
				w[i] = -128
			}
		}
		scale := make([]float64, s.O)
		for i := range b {
			b[i] = r.Int64N(1<<40) - 1<<39
			scale[i] = math.Ldexp(1+r.Float64(), -26)
		}
		p := &Conv16Params{Shape: s, Weights: w, Bias: b, Scale: scale, Lo: -30000, Hi: 31000}
		c, err := NewConv16(p)
		if err != nil {
			t.Fatal(err)
		}
		y := make([]int16, s.OutLen())
		inPieces(r, c.Tasks(), func(from, to int) { c.Run(y, x, from, to) })
		cg := s.C / s.Groups
		for i := range y {
			o, ox := i%s.O, i/s.O%s.OW
			oy, n := i/s.O/s.OW%s.OH, i/s.O/s.OW/s.OH
			acc := big.NewInt(b[o])
			for ky := range s.KH {
				for kx := range s.KW {
					iy, ix := oy*s.SH-s.Top+ky*s.DH, ox*s.SW-s.Left+kx*s.DW
					if iy < 0 || iy >= s.H || ix < 0 || ix >= s.W {
						continue
					}
					for k := range cg {
						xv := int64(x[((n*s.H+iy)*s.W+ix)*s.C+o/(s.O/s.Groups)*cg+k])
						acc.Add(acc, big.NewInt(xv*int64(w[((o*s.KH+ky)*s.KW+kx)*cg+k])))
					}
				}
			}
			f, _ := new(big.Float).SetInt(acc).Float64()
			want := int16(min(max(math.RoundToEven(f*scale[o]), -30000), 31000))
			if y[i] != want {
				t.Fatalf("%+v [%d] = %d, want %d", s, i, y[i], want)
			}
		}
	}
	bad := &Conv16Params{Shape: GemmShape(1, 2, 3), Weights: make([]int8, 5), Scale: []float64{1}, Hi: 1}
	if _, err := NewConv16(bad); err == nil {
		t.Error("5 weights for 2x3 were accepted")
	}
	bad.Weights, bad.Hi = make([]int8, 6), 40000
	if _, err := NewConv16(bad); err == nil {
		t.Error("a clamp beyond int16 was accepted")
	}
}

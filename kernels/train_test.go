package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var trainShapes = []ConvShape{
	{N: 2, H: 7, W: 9, C: 3, O: 5, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 5, OW: 7, Groups: 1},
	{N: 1, H: 13, W: 13, C: 32, O: 64, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 11, OW: 11, Groups: 1},
	{N: 2, H: 8, W: 8, C: 3, O: 32, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, Top: 0, Left: 0, OH: 4, OW: 4, Groups: 1},
	{N: 1, H: 8, W: 7, C: 17, O: 13, KH: 3, KW: 2, SH: 2, SW: 1, DH: 1, DW: 2, Top: 1, Left: 1, OH: 4, OW: 6, Groups: 1},
	{N: 1, H: 7, W: 6, C: 40, O: 29, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, OH: 7, OW: 6, Groups: 1},
	{N: 1, H: 7, W: 7, C: 24, O: 40, KH: 1, KW: 1, SH: 2, SW: 2, DH: 1, DW: 1, OH: 4, OW: 4, Groups: 1},
	{N: 1, H: 6, W: 6, C: 12, O: 18, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 6, OW: 6, Groups: 3},
	{N: 1, H: 6, W: 6, C: 4, O: 8, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 6, OW: 6, Groups: 4},
	{N: 2, H: 9, W: 8, C: 35, O: 35, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 9, OW: 8, Groups: 35},
	{N: 1, H: 9, W: 8, C: 96, O: 96, KH: 3, KW: 3, SH: 2, SW: 2, DH: 1, DW: 1, Top: 0, Left: 1, OH: 4, OW: 4, Groups: 96},
	{N: 1, H: 6, W: 5, C: 2, O: 3, KH: 2, KW: 2, SH: 1, SW: 1, DH: 1, DW: 1, Top: 3, Left: 2, OH: 9, OW: 8, Groups: 1},  // windows wholly in the padding
	{N: 2, H: 11, W: 8, C: 5, O: 6, KH: 2, KW: 3, SH: 3, SW: 2, DH: 1, DW: 1, Top: 1, Left: 1, OH: 4, OW: 4, Groups: 1}, // positions that no window sees
	{N: 1, H: 9, W: 9, C: 3, O: 4, KH: 3, KW: 3, SH: 2, SW: 2, DH: 2, DW: 2, Top: 1, Left: 1, OH: 4, OW: 4, Groups: 1},  // strided and dilated
	{N: 1, H: 10, W: 9, C: 34, O: 34, KH: 5, KW: 4, SH: 2, SW: 3, DH: 1, DW: 1, Top: 2, Left: 0, OH: 5, OW: 2, Groups: 34},
	GemmShape(33, 10, 129),
	GemmShape(1, 40, 70),
}

// The three passes of a layer are the portable ones on every level, in any cut
// into tasks, also after the weights were set anew.
func TestConvTrainer(t *testing.T) {
	for _, s := range trainShapes {
		r := rand.New(rand.NewPCG(7, 8))
		x, dy := randomFloats(r, s.InLen(), false), randomFloats(r, s.OutLen(), false)
		y, dx, dw := make([]float32, s.OutLen()), make([]float32, s.InLen()), randomFloats(r, s.WeightLen(), false)
		start := append([]float32(nil), dw...)
		w, b := randomFloats(r, s.WeightLen(), false), randomFloats(r, s.O, false)
		ConvForward(&s, y, x, w, b)
		ConvInputGrad(&s, dx, dy, w)
		ConvWeightGrad(&s, dw, x, dy)
		for _, l := range Levels() {
			t.Run(fmt.Sprint(l, s), func(t *testing.T) {
				c, err := NewConvTrainer(l, s, -inf32, inf32, true)
				if err != nil {
					t.Fatal(err)
				}
				scratch := make([]byte, c.Scratch())
				c.SetWeights(randomFloats(r, s.WeightLen(), false), b)
				c.SetWeights(w, b)
				y2, dx2, dw2 := make([]float32, len(y)), make([]float32, len(dx)), append([]float32(nil), start...)
				for i := range c.ForwardTasks() {
					c.Forward(y2, x, scratch, i, i+1)
				}
				for i := range c.InputGradTasks() {
					c.InputGrad(dx2, dy, scratch, i, i+1)
				}
				for i := range c.WeightGrad().Tasks() {
					c.WeightGrad().Run(dw2, x, dy, scratch, i, i+1)
				}
				sameRow(t, "y", y2, y)
				sameRow(t, "dx", dx2, dx)
				sameRow(t, "dw", dw2, dw)
			})
		}
	}
}

// The elementwise kernels are the loops of Generic on every level.
func TestTrainElementwise(t *testing.T) {
	for _, n := range []int{1, 7, 8, 9, 31, 64, 5000} {
		type result map[string][]float32
		run := func(l Level) result {
			r := rand.New(rand.NewPCG(uint64(n), 8))
			f := func(n int) []float32 { return randomFloats(r, n, false) }
			p, g, v, q, m, s := f(n), f(n), f(n), f(n), f(n), make([]float32, n)
			for i, x := range f(n) {
				s[i] = x * x
			}
			SGDStep(l, p, g, v, 0.1, 0.9, 0.01)
			SGDStep(l, p, g, nil, 0.1, 0, 0)
			for range 2 {
				AdamWStep(l, AdamW{0.1, 0.3, 0.001, 0.9, 0.999, 1e-8}, q, g, m, s)
			}
			sum, dy, y := f(n), f(n), f(n)
			AddTo(l, sum, g)
			SumRows(l, sum, f(5*n), 5, n)
			y[0] = float32(math.NaN())
			bits := make([]byte, (n+7)/8)
			RangeBits(l, bits, y, -0.5, 0.75)
			KeepBits(l, dy, bits)
			src, won, dst := f(4*n), make([]uint8, n), make([]float32, n)
			for i := range src {
				src[i] = float32(int(src[i] * 2)) // with ties
			}
			off := []int32{0, int32(n), int32(3 * n), int32(2 * n)}
			MaxTap(l, dst, won, src, off)
			dx, dx2 := make([]float32, 4*n), f(4*n)
			MaxTapGrad(l, dx, dy, won, off, false)
			MaxTapGrad(l, dx2, dy, won, off, true)
			return result{"p": p, "v": v, "q": q, "m": m, "s": s, "sum": sum, "mask": dy, "max": dst, "dx": dx, "dx2": dx2}
		}
		want := run(Generic)
		for _, l := range Levels() {
			got := run(l)
			for name := range want {
				sameRow(t, fmt.Sprint(l, " ", name, " ", n), got[name], want[name])
			}
		}
	}
}

func BenchmarkConvTrainer(b *testing.B) {
	for _, s := range []ConvShape{
		{N: 1, H: 28, W: 28, C: 1, O: 32, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 26, OW: 26, Groups: 1},
		{N: 1, H: 13, W: 13, C: 32, O: 64, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 11, OW: 11, Groups: 1},
		{N: 1, H: 56, W: 56, C: 144, O: 144, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, Top: 1, Left: 1, OH: 56, OW: 56, Groups: 144},
		{N: 1, H: 56, W: 56, C: 144, O: 24, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, OH: 56, OW: 56, Groups: 1},
		{N: 1, H: 7, W: 7, C: 160, O: 960, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, OH: 7, OW: 7, Groups: 1},
		GemmShape(1, 128, 1600), GemmShape(16, 128, 1600),
	} {
		r := rand.New(rand.NewPCG(7, 8))
		x, dy := randomFloats(r, s.InLen(), false), randomFloats(r, s.OutLen(), false)
		y, dx, dw := make([]float32, s.OutLen()), make([]float32, s.InLen()), make([]float32, s.WeightLen())
		w := randomFloats(r, s.WeightLen(), false)
		c, err := NewConvTrainer(Best(), s, 0, inf32, true)
		if err != nil {
			b.Fatal(err)
		}
		scratch := make([]byte, c.Scratch())
		c.SetWeights(w, nil)
		for name, f := range map[string]func(){
			"set":     func() { c.SetWeights(w, nil) },
			"forward": func() { c.Forward(y, x, scratch, 0, c.ForwardTasks()) },
			"input":   func() { c.InputGrad(dx, dy, scratch, 0, c.InputGradTasks()) },
			"weights": func() { c.WeightGrad().Run(dw, x, dy, scratch, 0, c.WeightGrad().Tasks()) },
		} {
			b.Run(fmt.Sprintf("%dx%dx%d-%d/%s", s.H, s.W, s.C, s.O, name), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(s.MACs())*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GMAC/s")
			})
		}
	}
}

package kernels

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// TestBadParams: what cannot be computed is refused with a word that tells why.
func TestBadParams(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	ok := func() *QConvParams {
		return &QConvParams{Shape: GemmShape(2, 3, 4), Weights: make([]int8, 12), Scale: []float32{1}, Lo: -128, Hi: 127}
	}
	if _, err := NewQConv(Generic, ok()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		word  string
		spoil func(p *QConvParams)
	}{
		{"OH is 0", func(p *QConvParams) { p.Shape.OH = 0 }},
		{"SH is -1", func(p *QConvParams) { p.Shape.SH = -1 }},
		{"padding", func(p *QConvParams) { p.Shape.Left = -1 }},
		{"groups", func(p *QConvParams) { p.Shape.Groups = 2 }},
		{"too large", func(p *QConvParams) { p.Shape.OW, p.Shape.SW = 1<<20, 1<<20 }},
		{"too large", func(p *QConvParams) { p.Shape.KH, p.Shape.DH = 1<<30, 1<<30 }},
		{"too large", func(p *QConvParams) { p.Shape.H, p.Shape.W = 1<<16, 1<<16 }},
		{"weights", func(p *QConvParams) { p.Weights = p.Weights[1:] }},
		{"biases", func(p *QConvParams) { p.Bias = make([]int32, 2) }},
		{"scales", func(p *QConvParams) { p.Scale = make([]float32, 2) }},
		{"scale 0", func(p *QConvParams) { p.Scale = []float32{nan} }},
		{"scale 2", func(p *QConvParams) { p.Scale = []float32{1, 1, inf} }},
		{"128", func(p *QConvParams) { p.InZero = 128 }},
		{"-129", func(p *QConvParams) { p.WeightZero = -129 }},
		{"empty", func(p *QConvParams) { p.Lo, p.Hi = 5, 4 }},
	} {
		p := ok()
		c.spoil(p)
		if _, err := NewQConv(Generic, p); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%+v: error %v, want one with %q", p, err, c.word)
		}
	}
	for _, p := range []*ConvParams{
		{Shape: GemmShape(0, 3, 4), Weights: make([]float32, 12), Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]float32, 11), Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]float32, 12), Bias: make([]float32, 1), Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]float32, 12), Lo: nan, Hi: inf},
	} {
		if _, err := NewConv(Generic, p); err == nil {
			t.Errorf("NewConv took %+v", p)
		}
	}
	for _, p := range []*QDynParams{
		{Shape: GemmShape(2, 3, 0), Weights: make([]int8, 12), Scale: []float32{1}, Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]int8, 13), Scale: []float32{1}, Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]int8, 12), Scale: []float32{-1}, Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]int8, 12), Scale: []float32{1}, Bias: make([]float32, 4), Lo: -inf, Hi: inf},
		{Shape: GemmShape(2, 3, 4), Weights: make([]int8, 12), Scale: []float32{1}, Lo: 1, Hi: 0},
	} {
		if _, err := NewQDyn(Generic, p); err == nil {
			t.Errorf("NewQDyn took %+v", p)
		}
	}
}

// TestShortBuffers: a buffer that is too short is a panic, not a stray write.
func TestShortBuffers(t *testing.T) {
	for _, s := range []ConvShape{GemmShape(5, 6, 7), {N: 1, H: 4, W: 4, C: 2, O: 2, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 2, OW: 2, Groups: 2}} {
		for _, l := range Levels() {
			c, err := NewQConv(l, &QConvParams{Shape: s, Weights: make([]int8, s.WeightLen()), Scale: []float32{1}, Lo: -128, Hi: 127})
			if err != nil {
				t.Fatal(err)
			}
			for short := range 3 {
				n := [3]int{s.OutLen(), s.InLen(), c.Scratch()}
				n[short]--
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%v: no panic for buffers of %v", l, n)
						}
					}()
					c.Run(make([]int8, n[0]), make([]int8, n[1]), make([]byte, n[2]), 0, c.Tasks())
				}()
			}
		}
	}
}

// TestRunAllocatesNothing covers every form a convolution takes.
func TestRunAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []benchShape{
		square("direct", 6, 32, 8, 1, 1, 1),
		square("indirect", 6, 64, 8, 3, 1, 1),
		square("bordered", 6, 3, 8, 3, 2, 1),
		square("columns", 6, 64, 64, 3, 1, 64),
		square("taps", 6, 64, 64, 3, 2, 64),
		square("flat", 12, 8, 8, 3, 1, 8),
	} {
		for _, l := range Levels() {
			q, err := NewQConv(l, &QConvParams{
				Shape: s.ConvShape, Weights: randomInt8(rng, s.WeightLen()), WeightZero: 1, Scale: []float32{1}, Lo: -128, Hi: 127,
			})
			if err != nil {
				t.Fatal(err)
			}
			f, err := NewConv(l, &ConvParams{Shape: s.ConvShape, Weights: randomFloats(rng, s.WeightLen(), false), Lo: 0, Hi: 6})
			if err != nil {
				t.Fatal(err)
			}
			x, y, scratch := make([]int8, s.InLen()), make([]int8, s.OutLen()), make([]byte, max(q.Scratch(), f.Scratch()))
			u, v := make([]float32, s.InLen()), make([]float32, s.OutLen())
			if n := testing.AllocsPerRun(3, func() { q.Run(y, x, scratch, 0, q.Tasks()) }); n != 0 {
				t.Errorf("%v, int8 %s: %v allocations", l, s.name, n)
			}
			if n := testing.AllocsPerRun(3, func() { f.Run(v, u, scratch, 0, f.Tasks()) }); n != 0 {
				t.Errorf("%v, float32 %s: %v allocations", l, s.name, n)
			}
		}
	}
}

// TestTasksAtOnce runs the tasks of one packed convolution on many goroutines.
func TestTasksAtOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []benchShape{
		square("direct", 60, 32, 80, 1, 1, 1),
		square("indirect", 20, 64, 80, 3, 1, 1),
		square("bordered", 80, 3, 32, 3, 1, 1),
		square("depthwise", 40, 40, 40, 3, 1, 40),
		square("flat", 40, 8, 8, 3, 1, 8),
	} {
		p := &QConvParams{Shape: s.ConvShape, Weights: randomInt8(rng, s.WeightLen()), Scale: []float32{1e-3}, InZero: 9, Lo: -128, Hi: 127}
		src := randomInt8(rng, s.InLen())
		want := qconvRef(p, src)
		for _, l := range Levels() {
			c, err := NewQConv(l, p)
			if err != nil {
				t.Fatal(err)
			}
			if c.Tasks() < 2 {
				t.Fatalf("%s is one task", s.name)
			}
			got := make([]int8, s.OutLen())
			var wg sync.WaitGroup
			for i := range c.Tasks() {
				wg.Go(func() { c.Run(got, src, make([]byte, c.Scratch()), i, i+1) })
			}
			wg.Wait()
			if !equal(got, want) {
				t.Errorf("%v, %s: wrong result", l, s.name)
			}
		}
	}
}

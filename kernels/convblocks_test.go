package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestConvBlocks(t *testing.T) { eachLevel(t, fewShapes, checkConvBlocks) }

// randomBlocks draws n weights as codes in blocks; rarely in ones that no kernel takes.
func randomBlocks(r *rand.Rand, n, inner int) (*Blocks, []byte) {
	b := &Blocks{Bits: 4 + 4*r.IntN(2), Unsigned: r.IntN(4) == 0, Inner: inner, Block: []int{8, 32, 32, 64, 128, 1 + r.IntN(40)}[r.IntN(6)]}
	codes := make([]byte, ceilDiv(n*b.Bits, 8))
	for i := range codes {
		codes[i] = byte(r.Int())
	}
	b.Scale = make([]float32, n/inner*ceilDiv(inner, b.Block))
	if b.Unsigned || r.IntN(4) == 0 {
		b.Zero = make([]int32, len(b.Scale))
	}
	for i := range b.Scale {
		b.Scale[i] = r.Float32() + 0.01
		if b.Zero != nil {
			b.Zero[i] = int32(r.IntN(1 << b.Bits))
			if b.Unsigned && r.IntN(2) == 0 {
				b.Zero[i] = 1 << (b.Bits - 1)
			}
		}
	}
	return b, codes
}

func checkConvBlocks(t *testing.T, l Level, m *memory, s ConvShape) {
	inf := float32(math.Inf(1))
	p := ConvParams{Shape: s, Lo: -inf, Hi: inf}
	if m.r.IntN(2) == 0 {
		p.Lo, p.Hi = 0, 60
	}
	if m.r.IntN(4) != 0 {
		p.Bias = randomFloats(m.r, s.O, false)
	}
	p.Blocks, p.Codes = randomBlocks(m.r, s.WeightLen(), s.C/s.Groups)
	c, err := NewConv(l, &p)
	if err != nil {
		t.Fatal(err)
	}
	if c.blocks != nil {
		c.blocks.packed, c.pad = m.packed(c.blocks.packed), taken(m, c.pad)
	}
	src := taken(m, randomFloats(m.r, s.InLen(), m.r.IntN(2) == 0))
	dst := take[float32](m, s.OutLen())
	runTasks(t, m, c, func(scratch []byte, t0, t1 int) { c.Run(dst, src, scratch, t0, t1) })
	sameFloats(t, dst, convRef(p.dequantized(), src))
}

func TestConvBlocksRefuses(t *testing.T) {
	for name, change := range map[string]func(p *ConvParams){
		"codes":       func(p *ConvParams) { p.Codes = p.Codes[1:] },
		"block":       func(p *ConvParams) { p.Blocks.Block = 0 },
		"row":         func(p *ConvParams) { p.Blocks.Inner = 10 },
		"bits":        func(p *ConvParams) { p.Blocks.Bits = 5 },
		"scales":      func(p *ConvParams) { p.Blocks.Scale = p.Blocks.Scale[1:] },
		"zero points": func(p *ConvParams) { p.Blocks.Zero = make([]int32, 1) },
	} {
		p := &ConvParams{Shape: GemmShape(1, 3, 20), Hi: 1, Codes: make([]byte, 30), Blocks: &Blocks{Bits: 4, Inner: 20, Block: 8, Scale: make([]float32, 9)}}
		if _, err := NewConv(Generic, p); err != nil {
			t.Fatal(err)
		}
		change(p)
		if _, err := NewConv(Generic, p); err == nil {
			t.Errorf("wrong %s accepted", name)
		}
	}
}

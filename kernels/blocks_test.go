package kernels

import (
	"slices"
	"testing"
)

func TestDequantizeBlocks(t *testing.T) {
	// Two rows of three: the second begins in the middle of a byte.
	codes := []byte{0x21, 0xf8, 0x07} // 1 2 8, 15 7 0
	for name, c := range map[string]struct {
		b    Blocks
		want []float32
	}{
		"signed":           {Blocks{Bits: 4, Scale: []float32{1, 10, 0.5, 2}}, []float32{1, 2, -80, -0.5, 3.5, 0}},
		"unsigned":         {Blocks{Bits: 4, Unsigned: true, Scale: []float32{1, 10, 0.5, 2}}, []float32{1, 2, 80, 7.5, 3.5, 0}},
		"with zero points": {Blocks{Bits: 4, Unsigned: true, Scale: []float32{1, 10, 0.5, 2}, Zero: []int32{8, 7, 6, 5}}, []float32{-7, -6, 10, 4.5, 0.5, -10}},
	} {
		c.b.Inner, c.b.Block = 3, 2
		got := make([]float32, 6)
		if DequantizeBlocks(&c.b, got, codes); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	bytes := []byte{0x01, 0xff, 0x80}
	for _, c := range []struct {
		unsigned bool
		want     []float32
	}{{false, []float32{2, -2, -128}}, {true, []float32{2, 510, 128}}} {
		got := make([]float32, 3)
		b := Blocks{Bits: 8, Unsigned: c.unsigned, Inner: 3, Block: 2, Scale: []float32{2, 1}}
		if DequantizeBlocks(&b, got, bytes); !slices.Equal(got, c.want) {
			t.Errorf("8 bits, unsigned %v: %v, want %v", c.unsigned, got, c.want)
		}
	}
}

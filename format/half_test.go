package format

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHalf(t *testing.T) {
	for h := uint16(1); h < 0x7c00; h++ { // all that are positive and finite
		if back, exact := toHalf(fromHalf(h)); back != h || !exact {
			t.Fatalf("%#x is %g, which is %#x", h, fromHalf(h), back)
		}
	}
	for h, want := range map[uint16]float32{0x3c00: 1, 0x0001: 0x1p-24, 0x7bff: 65504, 0x3555: 0x1.554p-2} {
		if got := fromHalf(h); got != want {
			t.Errorf("%#x is %g, want %g", h, got, want)
		}
	}
	for _, h := range []uint16{0x7c00, 0x7e00, 0x8001, 0xbc00} {
		if !math.IsInf(float64(fromHalf(h)), 1) {
			t.Errorf("%#x is %g, want an infinity", h, fromHalf(h))
		}
	}
	for _, x := range []float32{0, -1, 0.1, 65520, 0x1p-25, 0x1.801p-24, float32(math.Inf(1)), float32(math.NaN())} {
		if _, exact := toHalf(x); exact {
			t.Errorf("%g counts as a float16", x)
		}
	}
}

// blockModel dequantizes 4-bit weights in blocks of 32.
func blockModel(scale ...float32) *Model {
	return &Model{
		Tensors: []*Tensor{
			{Name: "w", Type: Int4, Shape: Shape{2, 48}, Data: bytes.Repeat([]byte{0x7f}, 48), Quant: &Quant{Scale: scale, Block: 32}},
			{Name: "y", Type: Float32, Shape: Shape{2, 48}},
		},
		Graphs: []*Graph{{Name: "main", Outputs: []string{"y"}, Nodes: []*Node{{Name: "n", Op: "DequantizeLinear", Inputs: []string{"w"}, Outputs: []string{"y"}}}}},
	}
}

func TestBlockScalesAreHalves(t *testing.T) {
	size := func(scale ...float32) int {
		m := blockModel(scale...)
		var b bytes.Buffer
		if err := Write(&b, m); err != nil {
			t.Fatal(err)
		}
		got, err := FromBytes(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.Tensors[0].Quant, got.Tensors[0].Quant); d != "" {
			t.Error(d)
		}
		e := newEncoder()
		e.quant(m.Tensors[0].Quant)
		return e.buf.Len()
	}
	exact, inexact := size(0.5, 1, 0x1p-20, 3), size(0.1, 1, 0x1p-20, 3)
	if want := (1 + 4*5) - (2 + 4*2); inexact-exact != want {
		t.Errorf("float16 scales save %d bytes, want %d", inexact-exact, want)
	}
}

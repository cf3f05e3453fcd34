package runtime

import (
	"testing"

	"github.com/whet-edge/whet/format"
)

func TestDequantizeBlocks(t *testing.T) {
	codes := []byte{0x21, 0xf8, 0x07} // 1 2 8, 15 7 0
	y := func() *format.Tensor { return out("y", format.Float32, nil, 2, 3) }
	for _, c := range []struct {
		what string
		x    *format.Tensor
		want []float32
	}{
		{"4 bits in blocks", arr("const", format.Int4, &format.Quant{Scale: []float32{1, 10, 0.5, 2}, Block: 2}, codes, 2, 3), []float32{1, 2, -80, -0.5, 3.5, 0}},
		{"4 bits, a scale a row", arr("const", format.Int4, &format.Quant{Scale: []float32{1, 10}}, codes, 2, 3), []float32{1, 2, -8, -10, 70, 0}},
		{"4 bits, one scale", arr("const", format.Uint4, format.PerTensor(0.5, 8), codes, 2, 3), []float32{-3.5, -3, 0, 3.5, -0.5, -4}},
		{"int8", arr("const", format.Int8, &format.Quant{Scale: []float32{1, 10, 0.5, 2}, Block: 2}, []int8{1, 2, 3, -4, -5, -6}, 2, 3), []float32{1, 2, 30, -2, -2.5, -12}},
		{"uint8", arr("const", format.Uint8, &format.Quant{Scale: []float32{1, 1}, Zero: []int32{128, 1}, Block: 3}, []uint8{128, 0, 255, 0, 1, 2}, 2, 3), []float32{0, -128, 127, -1, 0, 1}},
	} {
		equalF32(t, c.what, runOp(t, "DequantizeLinear", nil, []*format.Tensor{c.x}, y())[0], c.want)
	}
}

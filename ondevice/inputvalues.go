package ondevice

import (
	"encoding/binary"
	"math"

	"github.com/whet-edge/whet/format"
)

// RealInput returns the real values of an input as the model receives it. The tensor is
// float32, or int8 or uint8 with one scale.
func RealInput(t *format.Tensor, raw []byte) []float32 {
	v := make([]float32, t.Shape.Elems())
	for i := range v {
		switch t.Type {
		case format.Float32:
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case format.Int8:
			v[i] = float32(int32(int8(raw[i]))-t.Quant.ZeroPoint()) * t.Quant.Scale[0]
		default:
			v[i] = float32(int32(raw[i])-t.Quant.ZeroPoint()) * t.Quant.Scale[0]
		}
	}
	return v
}

// RawInput returns the input, as the model receives it, that is nearest to real values.
func RawInput(t *format.Tensor, values []float32) []byte {
	var b []byte
	lo, hi, zero := float32(math.MinInt8), float32(math.MaxInt8), float32(t.Quant.ZeroPoint())
	if t.Type == format.Uint8 {
		lo, hi = 0, math.MaxUint8
	}
	for _, x := range values {
		if t.Type == format.Float32 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			continue
		}
		q := min(max(float32(math.RoundToEven(float64(x/t.Quant.Scale[0])))+zero, lo), hi)
		b = append(b, byte(int32(q)))
	}
	return b
}

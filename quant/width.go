package quant

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// A width is what the activations of an integer graph are: int8 with a zero
// point, or int16 without one (16x8), which 16-bit kernels ask for.
type width struct {
	typ         format.DType
	least, most float64 // codes
}

var (
	int8Wide  = width{format.Int8, -128, 127}
	int16Wide = width{format.Int16, -32768, 32767}
)

// widthOf is that of a quantized tensor.
func widthOf(t *format.Tensor) width {
	if t.Type == format.Int16 {
		return int16Wide
	}
	return int8Wide
}

// quant is the quantization of values in [lo, hi].
func (w width) quant(lo, hi float32) *format.Quant {
	if w.typ == format.Int8 {
		return Activation(lo, hi)
	}
	scale := max(abs(lo), abs(hi)) / 32767
	if scale == 0 {
		scale = 1
	}
	return format.PerTensor(scale, 0)
}

// unit is the quantization of a function whose range is known, that of the
// reference TensorFlow Lite kernels.
func (w width) unit(op string) *format.Quant {
	switch {
	case w.typ == format.Int16:
		return format.PerTensor(1.0/32768, 0)
	case op == "Tanh":
		return format.PerTensor(1.0/128, 0)
	}
	return format.PerTensor(1.0/256, -128)
}

// data is a constant's bytes: clamp(rne(x/scale) + zero).
func (w width) data(x []float32, q *format.Quant) []byte {
	if w.typ == format.Int8 {
		codes := make([]int8, len(x))
		for i, v := range x {
			codes[i] = quantize(v, q)
		}
		return bytesOf(codes)
	}
	codes := make([]int16, len(x))
	for i, v := range x {
		codes[i] = int16(min(max(math.RoundToEven(float64(v/q.Scale[0])), w.least), w.most))
	}
	return bytesOf(codes)
}

// span is the real values of the least and the greatest code.
func (w width) span(q *format.Quant) [2]float32 {
	scale, zero := float64(q.Scale[0]), float64(q.ZeroPoint())
	return [2]float32{float32((w.least - zero) * scale), float32((w.most - zero) * scale)}
}

// bias is the type of a bias.
func (w width) bias() format.DType {
	if w.typ == format.Int16 {
		return format.Int64
	}
	return format.Int32
}

// mostBias is the greatest magnitude of a bias' codes. Of int64 it is what
// float64 counts exactly.
func (w width) mostBias() float64 {
	if w.typ == format.Int16 {
		return 1 << 52
	}
	return math.MaxInt32
}

// biasData is the bytes of a bias.
func (w width) biasData(b []int64) []byte {
	if w.typ == format.Int16 {
		return bytesOf(b)
	}
	narrow := make([]int32, len(b))
	for i, v := range b {
		narrow[i] = int32(v)
	}
	return bytesOf(narrow)
}

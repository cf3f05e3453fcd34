package tflite

import (
	"encoding/binary"
	"math"

	"github.com/whet-edge/whet/format"
)

// integers returns the elements of a constant of an integer type.
func integers(t *tensor) ([]int64, bool) {
	n := t.shape.Elems()
	out := make([]int64, n)
	for i := range out {
		switch t.dtype {
		case format.Int64:
			out[i] = int64(binary.LittleEndian.Uint64(t.data[8*i:]))
		case format.Int32:
			out[i] = int64(int32(binary.LittleEndian.Uint32(t.data[4*i:])))
		case format.Int16:
			out[i] = int64(int16(binary.LittleEndian.Uint16(t.data[2*i:])))
		case format.Int8:
			out[i] = int64(int8(t.data[i]))
		case format.Uint8:
			out[i] = int64(t.data[i])
		default:
			return nil, false
		}
	}
	return out, true
}

// number returns the value of a constant with one element.
func number(t *tensor) (float64, bool) {
	if t.data == nil || t.shape.Elems() != 1 {
		return 0, false
	}
	if t.dtype == format.Float32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.data))), true
	}
	v, ok := integers(t)
	if !ok {
		return 0, false
	}
	if t.quant == nil {
		return float64(v[0]), true
	}
	return float64(t.quant.Scale[0]) * float64(v[0]-int64(t.quant.ZeroPoint())), true
}

// lastFirst permutes [1, h, w, o] to [o, h, w, 1], for elements of size bytes:
// the weights of a depthwise convolution in the layout of all others.
func lastFirst(data []byte, shape format.Shape, size int) []byte {
	hw, o := shape[1]*shape[2], shape[3]
	out := make([]byte, len(data))
	for p := range hw {
		for c := range o {
			copy(out[(c*hw+p)*size:][:size], data[(p*o+c)*size:])
		}
	}
	return out
}

// float16s returns the little-endian float32 bytes of IEEE half floats. Every
// half is a float32: nothing is rounded.
func float16s(data []byte) []byte {
	out := make([]byte, 2*len(data))
	for i := 0; i+1 < len(data); i += 2 {
		binary.LittleEndian.PutUint32(out[2*i:], math.Float32bits(float16(binary.LittleEndian.Uint16(data[i:]))))
	}
	return out
}

func float16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, man := uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormals: man * 2^-24
		v := float32(man) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31: // infinities and NaNs
		return math.Float32frombits(sign | 0xff<<23 | man<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | man<<13)
}

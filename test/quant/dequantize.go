package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
)

// dequantized turns a quantized model into the float one that its numbers stand
// for: networks whose float weights nobody published can be quantized anew.
func dequantized(m *format.Model) (*format.Model, error) {
	out := &format.Model{Header: m.Header, Graphs: m.Graphs}
	for _, t := range m.Tensors {
		u := &format.Tensor{Name: t.Name, Type: t.Type, Shape: t.Shape, Data: t.Data}
		if t.Quant != nil {
			u.Type = format.Float32
			if t.Const() {
				var err error
				if u.Data, err = realBytes(t); err != nil {
					return nil, err
				}
			}
		}
		out.Tensors = append(out.Tensors, u)
	}
	return out, format.Check(out)
}

// realBytes are the real values of a quantized constant as float32.
func realBytes(t *format.Tensor) ([]byte, error) {
	if t.Quant.Axis != 0 || t.Quant.Block != 0 {
		return nil, fmt.Errorf("tensor %q: only scales of the first axis can be read", t.Name)
	}
	n := t.Shape.Elems()
	per := n / len(t.Quant.Scale)
	b := make([]byte, 0, 4*n)
	for i := range n {
		var code int32
		switch t.Type {
		case format.Uint8:
			code = int32(t.Data[i])
		case format.Int8:
			code = int32(int8(t.Data[i]))
		case format.Int32:
			code = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
		default:
			return nil, fmt.Errorf("tensor %q is %v", t.Name, t.Type)
		}
		zero := int32(0)
		if k := i / per; k < len(t.Quant.Zero) {
			zero = t.Quant.Zero[k]
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(t.Quant.Scale[i/per]*float32(code-zero)))
	}
	return b, nil
}

package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// affine returns the quantization of a tensor as its kernels take it.
func (v *value) affine() kernels.Affine {
	q := v.quant
	if len(q.Scale) == 1 {
		return kernels.PerTensor(v.elems(), q.Scale[0], q.ZeroPoint())
	}
	a := kernels.Affine{Scale: q.Scale, Zero: q.Zero, Outer: 1, Channels: len(q.Scale), Inner: 1}
	for i, d := range v.shape {
		switch {
		case i < q.Axis:
			a.Outer *= d
		case i > q.Axis:
			a.Inner *= d
		}
	}
	return a
}

// bindQuantize binds QuantizeLinear: float32 to the codes of the output.
func bindQuantize(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if x.typ != format.Float32 || y.quant == nil || y.quant.Block > 0 {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	a := y.affine()
	switch y.typ {
	case format.Int8:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i8(y), m.f32(x)) }}, nil
	case format.Int16:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i16(y), m.f32(x)) }}, nil
	case format.Int32:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i32(y), m.f32(x)) }}, nil
	}
	return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
}

// bindDequantize binds DequantizeLinear.
func bindDequantize(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if y.typ != format.Float32 || x.quant == nil || x.quant.Block > 0 {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	a := x.affine()
	switch x.typ {
	case format.Int8:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Dequantize(&a, m.f32(y), m.i8(x)) }}, nil
	case format.Int16:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Dequantize(&a, m.f32(y), m.i16(x)) }}, nil
	case format.Int32:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Dequantize(&a, m.f32(y), m.i32(x)) }}, nil
	}
	return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
}

// bindRequantize binds Requantize: codes of one quantization to another's.
// Between uint8 and int8 with the same values nothing is left to do: inside,
// both are int8.
func bindRequantize(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if x.quant == nil || y.quant == nil {
		return nil, n.errf("input and output need a quantization")
	}
	r := kernels.NewRescale(x.scale(), x.zero(), y.scale(), y.zero())
	if x.typ == format.Int8 && y.typ == format.Int8 {
		if r.Identity() {
			y.alias = x
			return nil, nil
		}
		return bindTable(n, r.Table()), nil
	}
	s := &step{}
	switch [2]format.DType{x.typ, y.typ} {
	case [2]format.DType{format.Int8, format.Int16}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i16(y), m.i8(x)) }
	case [2]format.DType{format.Int8, format.Int32}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i32(y), m.i8(x)) }
	case [2]format.DType{format.Int16, format.Int8}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i8(y), m.i16(x)) }
	case [2]format.DType{format.Int16, format.Int16}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i16(y), m.i16(x)) }
	case [2]format.DType{format.Int16, format.Int32}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i32(y), m.i16(x)) }
	case [2]format.DType{format.Int32, format.Int8}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i8(y), m.i32(x)) }
	case [2]format.DType{format.Int32, format.Int16}:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Requantize(r, m.i16(y), m.i32(x)) }
	default:
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	return s, nil
}

// bindCast binds Cast between plain numbers.
func bindCast(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	from, to := x.typ, y.typ
	s := &step{}
	switch {
	case from == to:
		y.alias = x
		return nil, nil
	case from == format.Float32 && to == format.Int32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.i32(y), m.f32(x)) }
	case from == format.Float32 && to == format.Int64:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.i64(y), m.f32(x)) }
	case from == format.Int32 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.i32(x)) }
	case from == format.Int64 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.i64(x)) }
	case from == format.Int32 && to == format.Int64:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.i64(y), m.i32(x)) }
	case from == format.Int64 && to == format.Int32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.i32(y), m.i64(x)) }
	case from == format.Uint8 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.u8(x)) }
	case from == format.Int8 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.i8(x)) }
	case from == format.Int16 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.i16(x)) }
	case from == format.Bool && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.f32(y), m.u8(x)) }
	case from == format.Float32 && to == format.Bool:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.CastToBool(m.u8(y), m.f32(x)) }
	case from == format.Float16 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.Float16ToFloat32(m.f32(y), view[uint16](m.bytes(x))) }
	case from == format.BFloat16 && to == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { kernels.BFloat16ToFloat32(m.f32(y), view[uint16](m.bytes(x))) }
	default:
		return nil, n.errf("no kernel from %v to %v", from, to)
	}
	return s, nil
}

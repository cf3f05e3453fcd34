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
func bindQuantize(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if x.typ != format.Float32 || y.quant == nil || y.quant.Block > 0 {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	a := y.affine()
	a.Level = l
	switch y.typ {
	case format.Int8:
		s := &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i8(y), m.f32(x)) }}
		return s.vector(l, n), nil
	case format.Int16:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i16(y), m.f32(x)) }}, nil
	case format.Int32:
		return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Quantize(&a, m.i32(y), m.f32(x)) }}, nil
	}
	return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
}

// bindDequantize binds DequantizeLinear.
func bindDequantize(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if y.typ != format.Float32 || x.quant == nil || x.quant.Block > 0 {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	a := x.affine()
	a.Level = l
	switch x.typ {
	case format.Int8:
		s := &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Dequantize(&a, m.f32(y), m.i8(x)) }}
		return s.vector(l, n), nil
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
func bindRequantize(n *node, l kernels.Level) (*step, error) {
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
		return bindTable(n, l, r.Table()), nil
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

// bindCast binds Cast between plain numbers of all types. The 16-bit floats,
// which are for storage, go through float32 and the smaller integers through
// int64, both exactly: a loop for every pair of types would double the size of
// this package.
func bindCast(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if x.typ == y.typ {
		y.alias = x
		return nil, nil
	}
	from, to := x.typ, y.typ
	widen, wide := widenOf(from)
	if widen != nil {
		from = wide
	}
	narrow := halfTo(to)
	if narrow != nil {
		to = format.Float32
	}
	cast := castOf(to, from)
	if cast == nil {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	s := &step{}
	first, second := 0, 0 // bytes of the widened input, of the result before it is narrowed
	if widen != nil {
		first = 8 * x.elems()
	}
	if narrow != nil {
		second = 4 * x.elems()
	}
	s.scratch = first + second
	s.run = func(m *mem, scratch []byte, _, _ int) {
		in, out := m.bytes(x), m.bytes(y)
		if widen != nil {
			widened := scratch[:wide.Bytes(x.elems())]
			widen(widened, in)
			in = widened
		}
		if narrow == nil {
			cast(out, in)
			return
		}
		result := scratch[first : first+second]
		cast(result, in)
		narrow(view[uint16](out), view[float32](result))
	}
	return s, nil
}

// widenOf returns the exact conversion of a type without casts of its own to
// one that has them, and that type.
func widenOf(t format.DType) (func(dst, src []byte), format.DType) {
	switch t {
	case format.Float16:
		return func(dst, src []byte) { kernels.Float16ToFloat32(view[float32](dst), view[uint16](src)) }, format.Float32
	case format.BFloat16:
		return func(dst, src []byte) { kernels.BFloat16ToFloat32(view[float32](dst), view[uint16](src)) }, format.Float32
	case format.Int32:
		return cast[int64, int32], format.Int64
	case format.Int16:
		return cast[int64, int16], format.Int64
	case format.Int8:
		return cast[int64, int8], format.Int64
	case format.Uint32:
		return cast[int64, uint32], format.Int64
	case format.Uint16:
		return cast[int64, uint16], format.Int64
	case format.Uint8, format.Bool:
		return cast[int64, uint8], format.Int64
	}
	return nil, t
}

func halfTo(t format.DType) func([]uint16, []float32) {
	switch t {
	case format.Float16:
		return kernels.Float32ToFloat16
	case format.BFloat16:
		return kernels.Float32ToBFloat16
	}
	return nil
}

// castOf returns the conversion from one of the four widest types, nil for
// others.
func castOf(to, from format.DType) func(dst, src []byte) {
	switch from {
	case format.Float64:
		return castFrom[float64](to)
	case format.Float32:
		return castFrom[float32](to)
	case format.Int64:
		return castFrom[int64](to)
	case format.Uint64:
		return castFrom[uint64](to)
	}
	return nil
}

func castFrom[S kernels.Float | kernels.Integer](to format.DType) func(dst, src []byte) {
	switch to {
	case format.Float64:
		return cast[float64, S]
	case format.Float32:
		return cast[float32, S]
	case format.Int64:
		return cast[int64, S]
	case format.Int32:
		return cast[int32, S]
	case format.Int16:
		return cast[int16, S]
	case format.Int8:
		return cast[int8, S]
	case format.Uint64:
		return cast[uint64, S]
	case format.Uint32:
		return cast[uint32, S]
	case format.Uint16:
		return cast[uint16, S]
	case format.Uint8:
		return cast[uint8, S]
	case format.Bool:
		return func(dst, src []byte) { kernels.CastToBool(dst, view[S](src)) }
	}
	return nil
}

func cast[D, S kernels.Float | kernels.Integer](dst, src []byte) {
	kernels.Cast(view[D](dst), view[S](src))
}

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
	if y.typ != format.Float32 || x.quant == nil {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	if x.quant.Block > 0 || x.typ.Bits() == 4 {
		return bindDequantizeBlocks(n)
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

// bindDequantizeBlocks binds DequantizeLinear of weights of 4 bits or in blocks.
// They are constants, so this runs once, when the graph is folded.
func bindDequantizeBlocks(n *node) (*step, error) {
	x, y := n.in[0], n.out[0]
	b, err := x.blocks(n)
	if err != nil {
		return nil, err
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.DequantizeBlocks(b, m.f32(y), m.bytes(x)) }}, nil
}

// blocks returns the quantization of weights of 4 bits or in blocks, which n reads.
func (v *value) blocks(n *node) (*kernels.Blocks, error) {
	q := v.quant
	b := &kernels.Blocks{Bits: v.typ.Bits(), Unsigned: v.typ == format.Uint4, Block: q.Block, Scale: q.Scale, Zero: q.Zero}
	switch {
	case b.Bits != 4 && b.Bits != 8:
		return nil, n.errf("blocks of %v have no kernel", v.typ)
	case q.Block > 0:
		b.Inner = v.shape[len(v.shape)-1]
	case q.Axis == 0:
		b.Inner = v.elems() / len(q.Scale)
		b.Block = b.Inner
	default:
		return nil, n.errf("%v with a scale a channel of axis %d has no kernel; quantize it in blocks", v.typ, q.Axis)
	}
	return b, nil
}

// stored returns the weights in blocks that v, the float32 operand of a product,
// is computed from, or nil.
func (v *value) stored() *value {
	if v.later == nil || v.later.node.op != "DequantizeLinear" {
		return nil
	}
	if w := v.later.in[0]; w.quant.Block > 0 && w.shape[len(w.shape)-1] == v.shape[len(v.shape)-1] {
		return w
	}
	return nil
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

// bindCast binds Cast between plain numbers of all types.
func bindCast(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	if x.typ == y.typ {
		y.alias = x
		return nil, nil
	}
	from, to := numberOf(x.typ), numberOf(y.typ)
	if from.Size == 0 || to.Size == 0 {
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Cast(m.bytes(y), to, m.bytes(x), from) }}, nil
}

// numberOf says how a type stores its numbers; Size is 0 for those smaller
// than a byte.
func numberOf(t format.DType) kernels.Number {
	n := kernels.Number{Kind: kernels.Signed, Size: t.Bits() / 8}
	switch t {
	case format.Float64, format.Float32, format.Float16:
		n.Kind = kernels.IEEE
	case format.BFloat16:
		n.Kind = kernels.Brain
	case format.Uint64, format.Uint32, format.Uint16, format.Uint8:
		n.Kind = kernels.Unsigned
	case format.Bool:
		n.Kind = kernels.Truth
	}
	return n
}

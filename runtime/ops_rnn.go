package runtime

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// input returns input i, or nil when it is absent.
func (n *node) input(i int) *value {
	if i < len(n.in) {
		return n.in[i]
	}
	return nil
}

// output returns output i, or nil when nobody wants it.
func (n *node) output(i int) *value {
	if i < len(n.out) {
		return n.out[i]
	}
	return nil
}

// kept returns v, or memory for a result that the kernel needs and the graph
// does not use.
func (n *node) kept(v *value, like string, t format.DType, shape ...int) *value {
	if v != nil {
		return v
	}
	s := format.Shape(shape)
	return &value{name: n.name + "/" + like, typ: t, shape: s, size: t.Bytes(s.Elems())}
}

// begin copies the initial state to where the kernel changes it in place.
func begin(m *mem, state, initial *value) {
	if initial == nil {
		clear(m.bytes(state))
		return
	}
	copy(m.bytes(state), m.bytes(initial))
}

// bindLSTM binds ONNX's LSTM in float32.
func bindLSTM(n *node, l kernels.Level) (*step, error) {
	x, w, r := n.in[0], n.in[1], n.in[2]
	b, lens, h0, c0 := n.input(3), n.input(4), n.input(5), n.input(6)
	if x.typ != format.Float32 || w.typ != format.Float32 {
		return nil, n.errf("no kernel for %v and weights %v", x.typ, w.typ)
	}
	if !w.isConst() || !r.isConst() || b != nil && !b.isConst() {
		return nil, n.errf("the weights must be constant")
	}
	p := &kernels.LSTMParams{
		T: x.shape[0], N: x.shape[1], I: x.shape[2], H: r.shape[2], Dirs: w.shape[0],
		Reverse: n.attrs.Str("direction", "forward") == "reverse",
		W:       w.constF32(), R: r.constF32(), CellClip: float32(n.attrs.Float("cell_clip", 0)),
	}
	if b != nil {
		p.B = b.constF32()
	}
	c, err := kernels.NewLSTM(l, p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	y := n.output(0)
	h := n.kept(n.output(1), "h", format.Float32, p.Dirs, p.N, p.H)
	cell := n.kept(n.output(2), "c", format.Float32, p.Dirs, p.N, p.H)
	return &step{kernel: l.String() + " lstm", asm: l != kernels.Generic, macs: int64(c.MACs()), weights: c.PackedBytes(), scratch: c.Scratch(),
		in: n.in, out: []*value{y, h, cell},
		run: func(m *mem, scratch []byte, _, _ int) {
			begin(m, h, h0)
			begin(m, cell, c0)
			var out []float32
			if y != nil {
				out = m.f32(y)
			}
			var ends []int32
			if lens != nil {
				ends = m.i32(lens)
			}
			c.Run(out, m.f32(h), m.f32(cell), m.f32(x), ends, scratch)
		}}, nil
}

// bindQLSTM binds the integer LSTM of TensorFlow Lite.
func bindQLSTM(n *node, l kernels.Level) (*step, error) {
	x, h0, c0 := n.in[0], n.in[13], n.in[14]
	for _, v := range n.in {
		if v == nil || v.quant == nil && v.typ != format.Int32 {
			return nil, n.errf("every input must be there and quantized")
		}
	}
	frac, exp := math.Frexp(float64(c0.scale()))
	if frac != 0.5 {
		return nil, n.errf("the cell's scale %g is not a power of two", c0.scale())
	}
	p := &kernels.QLSTMParams{
		N: x.shape[0], T: x.shape[1], I: x.shape[2], H: h0.shape[1],
		TimeMajor: n.attrs.Int("time_major", 0) == 1,
		X:         x.params(), Hidden: h0.params(), CellExp: exp - 1, CellClip: n.attrs.Float("cell_clip", 0),
	}
	if p.TimeMajor {
		p.N, p.T = p.T, p.N
	}
	weights := 0
	for k := range 4 {
		w, r, b := n.in[1+k], n.in[5+k], n.in[9+k]
		if !w.isConst() || !r.isConst() || !b.isConst() {
			return nil, n.errf("the weights must be constant")
		}
		p.W[k], p.R[k], p.B[k] = w.constI8(), r.constI8(), b.constI32()
		p.ScaleW[k], p.ScaleR[k] = w.scale(), r.scale()
		weights += w.size + r.size + b.size
	}
	c, err := kernels.NewQLSTM(p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	y := n.kept(n.output(0), "y", format.Int8, p.N*p.T, p.H)
	h := n.kept(n.output(1), "h", format.Int8, p.N, p.H)
	cell := n.kept(n.output(2), "c", format.Int16, p.N, p.H)
	c.Level = l
	return &step{kernel: l.String() + " integer lstm", asm: kernels.DotAsm(l), macs: int64(c.MACs()), weights: weights, scratch: c.Scratch(),
		in: n.in, out: []*value{y, h, cell},
		run: func(m *mem, scratch []byte, _, _ int) {
			begin(m, h, h0)
			begin(m, cell, c0)
			c.Run(m.i8(y), m.i8(h), m.i16(cell), m.i8(x), view[int8](scratch))
		}}, nil
}

// bindSVDF binds TensorFlow Lite's SVDF by the types of its tensors.
func bindSVDF(n *node, l kernels.Level) (*step, error) {
	x, wf, wt, b, old := n.in[0], n.in[1], n.in[2], n.in[3], n.in[4]
	if !wf.isConst() || !wt.isConst() || b != nil && !b.isConst() {
		return nil, n.errf("the weights must be constant")
	}
	rank := n.attrs.Int("rank", 1)
	s := kernels.SVDFShape{N: x.shape[0], I: x.shape[1], Rank: rank, Units: wf.shape[0] / max(rank, 1), M: wt.shape[1]}
	y := n.kept(n.output(0), "y", x.typ, s.N, s.Units)
	state := n.kept(n.output(1), "state", old.typ, old.shape...)
	st := &step{kernel: "portable svdf", macs: int64(s.MACs()), weights: wf.size + wt.size, in: n.in, out: []*value{y, state}}
	var err error
	switch {
	case x.typ == format.Float32 && wf.typ == format.Float32:
		var c *kernels.SVDF
		if c, err = kernels.NewSVDF(l, s, wf.constF32(), wt.constF32(), biasF32(b)); err == nil {
			st.kernel, st.asm, st.weights, st.scratch = l.String()+" svdf", l != kernels.Generic, c.PackedBytes(), c.Scratch()
			st.run = func(m *mem, scratch []byte, _, _ int) { c.Run(m.f32(y), m.f32(state), m.f32(x), m.f32(old), scratch) }
		}
	case x.typ == format.Float32 && wf.typ == format.Int8 && wf.quant != nil && wt.quant != nil:
		if zeroAt(wf.quant, 0) != 0 || len(wt.quant.Scale) != 1 {
			return nil, n.errf("hybrid weights need zero point 0 and time weights one scale")
		}
		time := make([]float32, wt.elems())
		a := wt.affine()
		kernels.Dequantize(&a, time, wt.constI8())
		var c *kernels.HybridSVDF
		if c, err = kernels.NewHybridSVDF(l, s, wf.constI8(), wf.quant.Scale, time, biasF32(b)); err == nil {
			st.kernel, st.asm, st.weights, st.scratch = l.String()+" hybrid svdf", l != kernels.Generic, c.PackedBytes(), c.Scratch()
			st.run = func(m *mem, scratch []byte, _, _ int) { c.Run(m.f32(y), m.f32(state), m.f32(x), m.f32(old), scratch) }
		}
	case x.typ == format.Int8 && old.typ == format.Int16 && wt.typ == format.Int16:
		var c *kernels.QSVDF[int16]
		if c, err = kernels.NewQSVDF(s, wf.constI8(), wf.scale(), wt.constI16(), wt.scale(), biasI32(b), x.params(), old.params(), y.params()); err == nil {
			c.Level, st.kernel, st.asm = l, l.String()+" integer svdf", kernels.DotAsm(l)
			st.run = func(m *mem, _ []byte, _, _ int) { c.Run(m.i8(y), m.i16(state), m.i8(x), m.i16(old)) }
		}
	case x.typ == format.Int8 && old.typ == format.Int8 && wt.typ == format.Int8:
		var c *kernels.QSVDF[int8]
		if c, err = kernels.NewQSVDF(s, wf.constI8(), wf.scale(), wt.constI8(), wt.scale(), biasI32(b), x.params(), old.params(), y.params()); err == nil {
			c.Level, st.kernel, st.asm = l, l.String()+" integer svdf", kernels.DotAsm(l)
			st.run = func(m *mem, _ []byte, _, _ int) { c.Run(m.i8(y), m.i8(state), m.i8(x), m.i8(old)) }
		}
	default:
		return nil, n.errf("no kernel for input %v, weights %v and %v, state %v", x.typ, wf.typ, wt.typ, old.typ)
	}
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return st, nil
}

func biasF32(b *value) []float32 {
	if b == nil {
		return nil
	}
	return b.constF32()
}

func biasI32(b *value) []int32 {
	if b == nil {
		return nil
	}
	return b.constI32()
}

func (v *value) constI16() []int16 { return view[int16](v.root().data) }

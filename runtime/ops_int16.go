package runtime

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// bindConvS16 binds int16 activations with int8 weights (16x8), multipliers in
// float64.
func bindConvS16(n *node, l kernels.Level, s kernels.ConvShape, bias *value) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	if y.typ != format.Int16 || x.quant == nil || w.quant == nil || y.quant == nil || x.zero() != 0 || y.zero() != 0 {
		return nil, n.errf("16x8 needs int16 input and output with zero point 0 and quantized weights")
	}
	p := &kernels.Conv16Params{Shape: s, Weights: w.constI8()}
	for i, sw := range w.quant.Scale {
		if zeroAt(w.quant, i) != 0 {
			return nil, n.errf("16x8 weights need zero point 0")
		}
		p.Scale = append(p.Scale, float64(x.scale())*float64(sw)/float64(y.scale()))
	}
	p.Lo, p.Hi = n.clampCodes(math.MinInt16, math.MaxInt16)
	if bias != nil {
		if bias.typ == format.Int64 {
			p.Bias = bias.constI64()
		} else {
			for _, b := range bias.constI32() {
				p.Bias = append(p.Bias, int64(b))
			}
		}
	}
	c, err := kernels.NewConv16(l, p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return &step{kernel: productKernel(l, s) + " 16x8", asm: kernels.Conv16Asm(l), weights: c.PackedBytes(), packed: true, tasks: c.Tasks(), scratch: c.Scratch(),
		run: func(m *mem, scratch []byte, t0, t1 int) { c.Run(m.i16(y), m.i16(x), scratch, t0, t1) }}, nil
}

// bindBinary16 binds a sum or product of int16 codes.
func bindBinary16(n *node, l kernels.Level, s *step, op kernels.BinaryOp, c *kernels.Bcast) {
	a, b, y := n.in[0], n.in[1], n.out[0]
	lo, hi := n.clampCodes(math.MinInt16, math.MaxInt16)
	q := kernels.NewQBinary16(op, c, a.params(), b.params(), y.params(), lo, hi)
	q.Level = l
	count := y.shape.Elems()
	s.run = func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, count)
		q.Run(m.i16(y), m.i16(a), m.i16(b), from, to)
	}
}

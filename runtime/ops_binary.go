package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

func (v *value) params() kernels.QParams { return kernels.QParams{Scale: v.scale(), Zero: v.zero()} }

// bindBinary binds the elementwise functions of two tensors, broadcast as
// numpy does it, with a fused clamp.
func bindBinary(n *node, l kernels.Level) (*step, error) {
	ops := map[string]kernels.BinaryOp{"Add": kernels.Add, "Sub": kernels.Sub, "Mul": kernels.Mul, "Div": kernels.Div,
		"Max": kernels.Max, "Min": kernels.Min, "Pow": kernels.PowOp, "SquaredDifference": kernels.SquaredDifference}
	op := ops[n.op]
	a, b, y := n.in[0], n.in[1], n.out[0]
	c, err := kernels.NewBcast(a.shape, b.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	count := c.Elems
	s := &step{tasks: chunks(count)}
	quantized := a.quant != nil && b.quant != nil && y.quant != nil
	switch {
	case a.typ == format.Float32:
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.Binary(op, c, m.f32(y), m.f32(a), m.f32(b), from, to)
		}
		if n.clamp {
			inner, u := s.run, kernels.Unary{Op: kernels.Clip, A: n.lo, B: n.hi}
			s.run = func(m *mem, scratch []byte, t0, t1 int) {
				inner(m, scratch, t0, t1)
				from, to := span(t0, t1, count)
				kernels.ApplyUnary(u, m.f32(y)[from:to], m.f32(y)[from:to])
			}
		}
	case a.typ == format.Int8 && quantized:
		lo, hi := n.clampCodes(-128, 127)
		q := kernels.NewQBinary(op, c, a.params(), b.params(), y.params(), lo, hi)
		q.Level = l
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			q.Run(m.i8(y), m.i8(a), m.i8(b), from, to)
		}
	case a.typ == format.Int16 && quantized:
		lo, hi := n.clampCodes(-32768, 32767)
		q := kernels.NewQBinary16(op, c, a.params(), b.params(), y.params(), lo, hi)
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			q.Run(m.i16(y), m.i16(a), m.i16(b), from, to)
		}
	case a.typ == format.Int32 && !n.clamp:
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.Binary(op, c, m.i32(y), m.i32(a), m.i32(b), from, to)
		}
	case a.typ == format.Int64 && !n.clamp:
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.Binary(op, c, m.i64(y), m.i64(a), m.i64(b), from, to)
		}
	default:
		return nil, n.errf("no kernel for %v and %v", a.typ, b.typ)
	}
	return s, nil
}

package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

func (v *value) params() kernels.QParams { return kernels.QParams{Scale: v.scale(), Zero: v.zero()} }

// binaryOf returns the elementwise function of two tensors that an op is.
func binaryOf(op string) (kernels.BinaryOp, bool) {
	ops := map[string]kernels.BinaryOp{"Add": kernels.Add, "Sub": kernels.Sub, "Mul": kernels.Mul, "Div": kernels.Div,
		"Max": kernels.Max, "Min": kernels.Min, "Pow": kernels.PowOp, "SquaredDifference": kernels.SquaredDifference}
	o, ok := ops[op]
	return o, ok
}

// bindBinary binds the elementwise functions of two tensors, broadcast as
// numpy does it, with a fused clamp.
func bindBinary(n *node, l kernels.Level) (*step, error) {
	op, _ := binaryOf(n.op)
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
		lo, hi := n.clampF32()
		if op != kernels.PowOp || b.isConst() && b.elems() == 1 && b.constF32()[0] == 2 {
			s.vector(l, n)
		}
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.Arith(l, op, c, m.f32(y), m.f32(a), m.f32(b), lo, hi, from, to)
		}
	case a.typ == format.Int8 && quantized:
		lo, hi := n.clampCodes(-128, 127)
		q := kernels.NewQBinary(op, c, a.params(), b.params(), y.params(), lo, hi)
		q.Level = l
		if op != kernels.PowOp {
			s.vector(l, n)
		}
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			q.Run(m.i8(y), m.i8(a), m.i8(b), from, to)
		}
	case a.typ == format.Int16 && quantized:
		if rareBinary16 == nil {
			return nil, n.errf("the kernel for int16 codes is not in this program: import _ %q", morePackage)
		}
		rareBinary16(n, l, s, op, c)
	case !n.clamp && (a.quant == nil || a.typ == format.Int32 || a.typ == format.Int64):
		f := plainBinary(a.typ)
		if f == nil {
			return widenBinary(n, op, c)
		}
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			f(op, c, m.bytes(y), m.bytes(a), m.bytes(b), from, to)
		}
	default:
		return nil, n.errf("no kernel for %v and %v", a.typ, b.typ)
	}
	return s, nil
}

type binaryFunc func(op kernels.BinaryOp, c *kernels.Bcast, dst, a, b []byte, from, to int)

// plainBinary returns the elementwise functions on plain numbers of a type, nil
// for those that go through int64.
func plainBinary(t format.DType) binaryFunc {
	switch t {
	case format.Float64:
		return binaryOn[float64]
	case format.Int64:
		return binaryOn[int64]
	case format.Int32:
		return binaryOn[int32]
	case format.Uint64:
		return binaryOn[uint64]
	}
	return nil
}

// widenBinary binds the functions on plain numbers that are rare: through int64,
// in which all of them are exact or wrap as the smaller type does. Loops of their
// own would make every program larger.
func widenBinary(n *node, op kernels.BinaryOp, c *kernels.Bcast) (*step, error) {
	a, b, y := n.in[0], n.in[1], n.out[0]
	from, wide := numberOf(a.typ), numberOf(format.Int64)
	if from.Size == 0 || from.Kind != kernels.Signed && from.Kind != kernels.Unsigned {
		return nil, n.errf("no kernel for %v", a.typ)
	}
	na, nb, ny := 8*a.elems(), 8*b.elems(), 8*y.elems()
	s := &step{scratch: na + nb + ny}
	s.run = func(m *mem, scratch []byte, _, _ int) {
		wa, wb, wy := scratch[:na], scratch[na:na+nb], scratch[na+nb:na+nb+ny]
		kernels.Cast(wa, wide, m.bytes(a), from)
		kernels.Cast(wb, wide, m.bytes(b), from)
		binaryOn[int64](op, c, wy, wa, wb, 0, c.Elems)
		kernels.Cast(m.bytes(y), from, wy, wide)
	}
	return s, nil
}

func binaryOn[T kernels.Float | kernels.Integer](op kernels.BinaryOp, c *kernels.Bcast, dst, a, b []byte, from, to int) {
	kernels.Binary(op, c, view[T](dst), view[T](a), view[T](b), from, to)
}

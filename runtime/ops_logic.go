package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// bindTrig binds the trigonometric and hyperbolic functions, in float32.
func bindTrig(n *node, _ kernels.Level) (*step, error) {
	ops := map[string]kernels.TrigOp{"Sin": kernels.Sin, "Cos": kernels.Cos, "Tan": kernels.Tan,
		"Asin": kernels.Asin, "Acos": kernels.Acos, "Atan": kernels.Atan, "Sinh": kernels.Sinh, "Cosh": kernels.Cosh,
		"Asinh": kernels.Asinh, "Acosh": kernels.Acosh, "Atanh": kernels.Atanh}
	f := kernels.TrigFunc(ops[n.op])
	x, y := n.in[0], n.out[0]
	count := x.elems()
	return &step{tasks: chunks(count), run: func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, count)
		kernels.ApplyTrig(f, m.f32(y)[from:to], m.f32(x)[from:to])
	}}, nil
}

// bindNot binds Not on bools.
func bindNot(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	return &step{run: func(m *mem, _ []byte, _, _ int) { kernels.Not(m.bytes(y), m.bytes(x)) }}, nil
}

// bindLogic binds And, Or and Xor on bools.
func bindLogic(n *node, _ kernels.Level) (*step, error) {
	op := map[string]kernels.LogicOp{"And": kernels.And, "Or": kernels.Or, "Xor": kernels.Xor}[n.op]
	a, b, y := n.in[0], n.in[1], n.out[0]
	c, err := kernels.NewBcast(a.shape, b.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return &step{tasks: chunks(c.Elems), run: func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, c.Elems)
		kernels.Logic(op, c, m.bytes(y), m.bytes(a), m.bytes(b), from, to)
	}}, nil
}

// ordered are the functions that need an order, numeric those that compute, for one
// type of elements. Every type costs every program that links this package some
// kilobytes, so rare ones have none: converters widen them with a Cast.
type (
	ordered struct {
		compare func(op kernels.CompareOp, c *kernels.Bcast, dst, a, b []byte, from, to int)
		min     reduceFunc
		arg     func(a kernels.Along, dst, src []byte, least, last bool)
		topK    func(a kernels.Along, k int, values, indices, src []byte, least bool, heap []int32)
	}
	numeric struct {
		sign    func(dst, src []byte)
		mod     func(truncated bool, c *kernels.Bcast, dst, a, b []byte, from, to int)
		prod    reduceFunc
		cum     func(a kernels.Along, product, exclusive, reverse bool, dst, src []byte)
		scatter func(e *kernels.Elements, s *kernels.Slices, op kernels.Combine, dst []byte, pos []int64, updates []byte)
	}
)

// ordered returns the functions for the type of v. Codes are ordered as the real
// numbers that they stand for.
func (n *node) ordered(v *value) (*ordered, error) {
	switch v.typ {
	case format.Float32:
		return orderedOn[float32](), nil
	case format.Int64:
		return orderedOn[int64](), nil
	case format.Int32:
		return orderedOn[int32](), nil
	case format.Int8:
		return orderedOn[int8](), nil
	case format.Uint8, format.Bool:
		return orderedOn[uint8](), nil
	}
	return nil, n.errf("no kernel for %v", v.typ)
}

func orderedOn[T kernels.Float | kernels.Integer]() *ordered {
	return &ordered{
		compare: func(op kernels.CompareOp, c *kernels.Bcast, dst, a, b []byte, from, to int) {
			kernels.Compare(op, c, dst, view[T](a), view[T](b), from, to)
		},
		min: func(r *kernels.Reduce, dst, src []byte) { kernels.ReduceMin(r, view[T](dst), view[T](src)) },
		arg: func(a kernels.Along, dst, src []byte, least, last bool) {
			kernels.ArgExtreme(a, view[int64](dst), view[T](src), least, last)
		},
		topK: func(a kernels.Along, k int, values, indices, src []byte, least bool, heap []int32) {
			kernels.TopK(a, k, view[T](values), view[int64](indices), view[T](src), least, heap)
		},
	}
}

// numeric returns the functions for the type of v.
func (n *node) numeric(v *value) (*numeric, error) {
	switch v.typ {
	case format.Float32:
		return numericOn[float32](), nil
	case format.Int64:
		return numericOn[int64](), nil
	case format.Int32:
		return numericOn[int32](), nil
	}
	return nil, n.errf("no kernel for %v", v.typ)
}

func numericOn[T kernels.Float | kernels.Integer]() *numeric {
	return &numeric{
		sign: func(dst, src []byte) { kernels.Sign(view[T](dst), view[T](src)) },
		mod: func(truncated bool, c *kernels.Bcast, dst, a, b []byte, from, to int) {
			kernels.Mod(truncated, c, view[T](dst), view[T](a), view[T](b), from, to)
		},
		prod: func(r *kernels.Reduce, dst, src []byte) { kernels.ReduceProd(r, view[T](dst), view[T](src)) },
		cum: func(a kernels.Along, product, exclusive, reverse bool, dst, src []byte) {
			kernels.Cumulate(a, product, exclusive, reverse, view[T](dst), view[T](src))
		},
		scatter: func(e *kernels.Elements, s *kernels.Slices, op kernels.Combine, dst []byte, pos []int64, updates []byte) {
			if e != nil {
				kernels.ScatterElements(e, op, view[T](dst), pos, view[T](updates))
			} else {
				kernels.ScatterND(s, op, view[T](dst), pos, view[T](updates))
			}
		},
	}
}

// bindCompare binds the comparisons and Mod.
func bindCompare(n *node, _ kernels.Level) (*step, error) {
	a, b, y := n.in[0], n.in[1], n.out[0]
	c, err := kernels.NewBcast(a.shape, b.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	if n.op == "Mod" {
		f, err := n.numeric(a)
		if err != nil {
			return nil, err
		}
		truncated := n.attrs.Int("fmod", 0) == 1
		return &step{tasks: chunks(c.Elems), run: func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, c.Elems)
			f.mod(truncated, c, m.bytes(y), m.bytes(a), m.bytes(b), from, to)
		}}, nil
	}
	f, err := n.ordered(a)
	if err != nil {
		return nil, err
	}
	op := map[string]kernels.CompareOp{"Equal": kernels.Equal, "Less": kernels.Less, "LessOrEqual": kernels.LessOrEqual}[n.op]
	return &step{tasks: chunks(c.Elems), run: func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, c.Elems)
		f.compare(op, c, m.bytes(y), m.bytes(a), m.bytes(b), from, to)
	}}, nil
}

// bindSign binds Sign.
func bindSign(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	f, err := n.numeric(x)
	if err != nil {
		return nil, err
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) { f.sign(m.bytes(y), m.bytes(x)) }}, nil
}

// bindWhere binds Where; the elements' type does not matter.
func bindWhere(n *node, _ kernels.Level) (*step, error) {
	cond, a, b, y := n.in[0], n.in[1], n.in[2], n.out[0]
	size, whole := a.elemBytes()
	if !whole {
		return nil, n.errf("no kernel for %v", a.typ)
	}
	w, err := kernels.NewWhere(cond.shape, a.shape, b.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) {
		w.Run(m.bytes(y), m.bytes(cond), m.bytes(a), m.bytes(b), size)
	}}, nil
}

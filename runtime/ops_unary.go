package runtime

import (
	"math"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// grain is how many elements of an elementwise op make a task: enough that a
// small tensor is not worth a second thread.
const grain = 1 << 14

// chunks is the number of tasks for n elements, span the elements of tasks
// [t0, t1).
func chunks(n int) int { return (n + grain - 1) / grain }

func span(t0, t1, n int) (from, to int) { return t0 * grain, min(t1*grain, n) }

// unaryOf returns the elementwise function that a node computes.
func unaryOf(n *node) (kernels.Unary, bool) {
	ops := map[string]kernels.UnaryOp{
		"Relu": kernels.Relu, "Clip": kernels.Clip, "LeakyRelu": kernels.LeakyRelu, "Elu": kernels.Elu, "HardSwish": kernels.HardSwish,
		"Sigmoid": kernels.SigmoidOp, "Tanh": kernels.TanhOp, "Exp": kernels.ExpOp, "Log": kernels.LogOp, "Sqrt": kernels.SqrtOp,
		"Rsqrt": kernels.Rsqrt, "Abs": kernels.Abs, "Neg": kernels.Neg, "Erf": kernels.ErfOp, "Gelu": kernels.Gelu,
		"HardSigmoid": kernels.HardSigmoid, "Softplus": kernels.Softplus, "Reciprocal": kernels.Reciprocal,
		opSilu:  kernels.Silu,
		"Floor": kernels.Floor, "Ceil": kernels.Ceil, "Round": kernels.Round,
	}
	op, ok := ops[n.op]
	u := kernels.Unary{Op: op}
	switch n.op {
	case "Clip":
		u.A, u.B = n.attrs.Float("min", math.Inf(-1)), n.attrs.Float("max", math.Inf(1))
	case "LeakyRelu":
		u.A = n.attrs.Float("alpha", 0.01)
	case "Elu":
		u.A = n.attrs.Float("alpha", 1)
	case "HardSigmoid":
		u.A, u.B = n.attrs.Float("alpha", 0.2), n.attrs.Float("beta", 0.5)
	case "Gelu":
		if n.attrs.Str("approximate", "none") == "tanh" {
			u.Op = kernels.GeluTanh
		}
	}
	return u, ok
}

// bindUnary binds the elementwise functions of one tensor: float32 directly,
// int8 through a table of 256 entries, int16 through float32.
func bindUnary(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	u, ok := unaryOf(n)
	if !ok {
		return nil, n.errf("this op has no kernel")
	}
	f := kernels.UnaryFunc[float32](u)
	count := x.elems()
	switch {
	case x.typ == format.Float32:
		s := &step{tasks: chunks(count), run: func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.ApplyUnaryAt(l, u, f, m.f32(y)[from:to], m.f32(x)[from:to])
		}}
		return s.vector(l, n), nil
	case x.typ == format.Int8 && x.quant != nil && y.quant != nil:
		return bindTable(n, l, kernels.MakeTable(f, x.scale(), x.zero(), y.scale(), y.zero())), nil
	case x.typ == format.Int16 && x.quant != nil && y.quant != nil:
		sx, zx, sy, zy := x.scale(), x.zero(), y.scale(), y.zero()
		return &step{tasks: chunks(count), run: func(m *mem, _ []byte, t0, t1 int) {
			from, to := span(t0, t1, count)
			kernels.MapInt16(f, m.i16(y)[from:to], m.i16(x)[from:to], sx, zx, sy, zy)
		}}, nil
	}
	if f := plainUnary(x.typ); f != nil && (n.op == "Abs" || n.op == "Neg") {
		return &step{run: func(m *mem, _ []byte, _, _ int) { f(n.op, m.bytes(y), m.bytes(x)) }}, nil
	}
	return nil, n.errf("no kernel for %v", x.typ)
}

// bindTable maps int8 codes to int8 codes.
func bindTable(n *node, l kernels.Level, t *kernels.Table8) *step {
	x, y := n.in[0], n.out[0]
	count := x.elems()
	s := &step{tasks: chunks(count), run: func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, count)
		t.ApplyAt(l, m.i8(y)[from:to], m.i8(x)[from:to])
	}}
	return s.named(l, "table")
}

// vector says that the step's loop is a vector kernel of the level, or at
// Generic its portable twin.
func (s *step) vector(l kernels.Level, n *node) *step { return s.named(l, strings.ToLower(n.op)) }

// named says what loop the step runs, and whether it is a vector kernel.
func (s *step) named(l kernels.Level, kind string) *step {
	s.asm = l != kernels.Generic
	s.kernel = "portable " + kind
	if s.asm {
		s.kernel = l.Elementwise().String() + " " + kind
	}
	return s
}

// plainUnary returns Abs and Neg on plain integers of a type.
func plainUnary(t format.DType) func(op string, dst, src []byte) {
	switch t {
	case format.Int64:
		return unaryOn[int64]
	case format.Int32:
		return unaryOn[int32]
	case format.Int16:
		return unaryOn[int16]
	case format.Int8:
		return unaryOn[int8]
	}
	return nil
}

func unaryOn[T int64 | int32 | int16 | int8](op string, dst, src []byte) {
	d := view[T](dst)
	for i, v := range view[T](src) {
		if op == "Neg" || v < 0 {
			v = -v
		}
		d[i] = v
	}
}

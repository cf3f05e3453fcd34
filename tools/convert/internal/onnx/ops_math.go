package onnx

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// Element by element operators.

func init() {
	register(map[string]row{
		"Abs": {1, unary("Abs")}, "Ceil": {1, unary("Ceil")}, "Erf": {1, unary("Erf")}, "Exp": {1, unary("Exp")},
		"Floor": {1, unary("Floor")}, "HardSwish": {1, unary("HardSwish")}, "Log": {1, unary("Log")}, "Neg": {1, unary("Neg")},
		"Reciprocal": {1, unary("Reciprocal")}, "Relu": {1, relu}, "Round": {1, unary("Round")}, "Sigmoid": {1, unary("Sigmoid")},
		"Sign": {1, unary("Sign")}, "Softplus": {1, unary("Softplus")}, "Sqrt": {1, unary("Sqrt")}, "Tanh": {1, unary("Tanh")},
		"Sin": {1, unary("Sin")}, "Cos": {1, unary("Cos")}, "Tan": {1, unary("Tan")},
		"Asin": {1, unary("Asin")}, "Acos": {1, unary("Acos")}, "Atan": {1, unary("Atan")},
		"Sinh": {1, unary("Sinh")}, "Cosh": {1, unary("Cosh")}, "Asinh": {1, unary("Asinh")}, "Acosh": {1, unary("Acosh")}, "Atanh": {1, unary("Atanh")},

		"Celu": {1, celu}, "Elu": {1, alpha("Elu", 1)}, "Gelu": {1, gelu}, "HardSigmoid": {1, hardSigmoid}, "LeakyRelu": {1, alpha("LeakyRelu", 0.01)},
		"Mish": {1, mish}, "PRelu": {2, prelu}, "Selu": {1, selu}, "Shrink": {1, shrink}, "Softsign": {1, softsign},
		"Swish": {1, swish}, "SwiGLU": {2, swiGLU}, "ThresholdedRelu": {1, thresholdedRelu}, "Clip": {1, clip},

		"Add": {2, addition}, "Sub": {2, binaryOp("Sub")}, "Mul": {2, binaryOp("Mul")}, "Div": {2, binaryOp("Div")},
		"Pow": {2, pow}, "Mod": {2, mod}, "Max": {1, variadic("Max")}, "Min": {1, variadic("Min")}, "Sum": {1, variadic("Add")}, "Mean": {1, mean},

		"And": {2, compare("And", false)}, "Or": {2, compare("Or", false)}, "Xor": {2, compare("Xor", false)}, "Not": {1, unary("Not")},
		"Equal": {2, compare("Equal", false)}, "Less": {2, compare("Less", false)}, "LessOrEqual": {2, compare("LessOrEqual", false)},
		"Greater": {2, compare("Less", true)}, "GreaterOrEqual": {2, compare("LessOrEqual", true)},
		"BitShift": {2, bitShift}, "IsNaN": {1, isNaN}, "IsInf": {1, isInf}, "Where": {3, where},
	})
}

// each applies an op of one input, in whatever layout that has.
func (c *converter) each(name string, attrs format.Attrs, typ format.DType, x *value) *value {
	return &value{t: c.emit(name, attrs, typ, nil, x.t), perm: x.perm}
}

func unary(name string) func(*op) []*value {
	return func(o *op) []*value { return result(o.each(name, nil, o.in[0].typ(), o.in[0])) }
}

func alpha(name string, def float64) func(*op) []*value {
	return func(o *op) []*value {
		return result(o.each(name, format.Attrs{"alpha": o.float("alpha", def)}, o.in[0].typ(), o.in[0]))
	}
}

// relu is Relu, which ONNX has for integers too.
func relu(o *op) []*value {
	if x := o.in[0]; !x.typ().Float() {
		return result(o.binary("Max", x, o.number(x.typ(), 0)))
	}
	return unary("Relu")(o)
}

// number is a value to be broadcast.
func (c *converter) number(typ format.DType, v float64) *value { return &value{t: c.scalar(typ, v)} }

// float is number for float32.
func (c *converter) real(v float64) *value { return c.number(format.Float32, v) }

func (c *converter) mul(a, b *value) *value { return c.binary("Mul", a, b) }
func (c *converter) add(a, b *value) *value { return c.binary("Add", a, b) }

func celu(o *op) []*value {
	a := o.real(o.float("alpha", 1))
	e := o.each("Elu", format.Attrs{"alpha": 1.0}, format.Float32, o.binary("Div", o.in[0], a))
	return result(o.mul(e, a))
}

func selu(o *op) []*value {
	e := o.each("Elu", format.Attrs{"alpha": o.float("alpha", 1.67326319217681884765625)}, format.Float32, o.in[0])
	return result(o.mul(e, o.real(o.float("gamma", 1.05070102214813232421875))))
}

func gelu(o *op) []*value {
	return result(o.each("Gelu", format.Attrs{"approximate": o.str("approximate", "none")}, format.Float32, o.in[0]))
}

func hardSigmoid(o *op) []*value {
	return result(o.each("HardSigmoid", format.Attrs{"alpha": o.float("alpha", 0.2), "beta": o.float("beta", 0.5)}, format.Float32, o.in[0]))
}

func mish(o *op) []*value {
	t := o.each("Tanh", nil, format.Float32, o.each("Softplus", nil, format.Float32, o.in[0]))
	return result(o.mul(o.in[0], t))
}

func swish(o *op) []*value {
	x := o.in[0]
	if a := o.float("alpha", 1); a != 1 {
		x = o.mul(x, o.real(a))
	}
	return result(o.mul(o.in[0], o.each("Sigmoid", nil, format.Float32, x)))
}

func swiGLU(o *op) []*value { return result(o.mul(swish(o)[0], o.in[1])) }

func softsign(o *op) []*value {
	x := o.in[0]
	return result(o.binary("Div", x, o.add(o.each("Abs", nil, x.typ(), x), o.real(1))))
}

func prelu(o *op) []*value {
	x := o.in[0]
	slope := o.in[1]
	if o.opset < 7 && slope.rank() == 1 && x.rank() > 1 { // one a channel
		slope = o.channel(slope, x.rank())
	}
	if x.typ() == format.Float32 { // max(x, 0) + slope·min(x, 0): arithmetic has vector kernels
		return result(o.add(o.each("Relu", nil, format.Float32, x), o.mul(o.binary("Min", x, o.real(0)), slope)))
	}
	negative := o.logic("Less", x, o.number(x.typ(), 0))
	return result(o.where(negative, o.mul(x, slope), x))
}

func shrink(o *op) []*value {
	x := o.in[0]
	typ, lambda, bias := x.typ(), o.float("lambd", 0.5), o.float("bias", 0)
	high := o.logic("Less", o.number(typ, lambda), x)
	low := o.logic("Less", x, o.number(typ, -lambda))
	rest := o.where(high, o.binary("Sub", x, o.number(typ, bias)), o.number(typ, 0))
	return result(o.where(low, o.add(x, o.number(typ, bias)), rest))
}

func thresholdedRelu(o *op) []*value {
	x := o.in[0]
	return result(o.where(o.logic("Less", o.real(o.float("alpha", 1)), x), x, o.real(0)))
}

// clip is Clip: with bounds as attributes up to opset 10, as inputs since. A
// bound that is computed, of integers or above the other takes a Max and a Min.
func clip(o *op) []*value {
	x := o.in[0]
	var lo, hi *value
	if o.opset < 11 {
		if o.attr("min") != nil {
			lo = o.real(o.float("min", 0))
		}
		if o.attr("max") != nil {
			hi = o.real(o.float("max", 0))
		}
	} else {
		if o.has(1) {
			lo = o.in[1]
		}
		if o.has(2) {
			hi = o.in[2]
		}
	}
	attrs := format.Attrs{}
	simple := x.typ() == format.Float32
	bound := func(name string, v *value) {
		if v == nil {
			return
		}
		if f := v.t; !f.isConst() || f.typ != format.Float32 || f.shape.Elems() != 1 || !finite(f.data) {
			simple = false
		} else {
			attrs[name] = float64(float32s(f)[0])
		}
	}
	bound("min", lo)
	bound("max", hi)
	if simple && attrs.Float("min", math.Inf(-1)) <= attrs.Float("max", math.Inf(1)) {
		return result(o.each("Clip", attrs, x.typ(), x))
	}
	if lo != nil {
		x = o.binary("Max", x, lo)
	}
	if hi != nil {
		x = o.binary("Min", x, hi)
	}
	return result(x)
}

// spread brings values into one layout, in which they broadcast as they do in
// the source: that of the first value of full rank that has another than the
// source's. It returns the layout too.
func (c *converter) spread(in ...*value) ([]*tensor, []int) {
	rank := 0
	for _, v := range in {
		rank = max(rank, v.rank())
	}
	perm := identity(rank)
	for _, v := range in {
		if v.rank() == rank && v.perm != nil {
			perm = v.perm
			break
		}
	}
	out := make([]*tensor, len(in))
	for i, v := range in {
		if v.t.shape.Elems() == 1 && v.rank() < rank {
			out[i] = v.t
			continue
		}
		if v.rank() < rank {
			t := c.plain(v)
			shape := make(format.Shape, rank)
			for k := range shape {
				shape[k] = 1
			}
			copy(shape[rank-v.rank():], t.shape)
			if perm == nil || isIdentity(perm) {
				shape = t.shape
			}
			v = &value{t: c.reshape(t, shape)}
			if v.rank() < rank {
				out[i] = v.t
				continue
			}
		}
		out[i] = c.arrange(v, perm)
	}
	return out, perm
}

func isIdentity(p []int) bool {
	for i, v := range p {
		if i != v {
			return false
		}
	}
	return true
}

// binary applies an op of two inputs with a result of their type.
func (c *converter) binary(name string, a, b *value) *value {
	in, perm := c.spread(a, b)
	return view(c.emit(name, nil, a.typ(), nil, in...), perm)
}

// logic applies an op of two inputs with a bool result.
func (c *converter) logic(name string, a, b *value) *value {
	in, perm := c.spread(a, b)
	return view(c.emit(name, nil, format.Bool, nil, in...), perm)
}

// where picks a where cond is true, else b.
func (c *converter) where(cond, a, b *value) *value {
	in, perm := c.spread(cond, a, b)
	return view(c.emit("Where", nil, a.typ(), nil, in...), perm)
}

// addition of a constant a channel behind a Conv or Gemm that has no bias becomes
// its bias: the same sum.
func addition(o *op) []*value {
	operands := []*value{o.in[0], o.second()}
	for k, x := range operands {
		b, n := operands[1-k], x.t.def
		if n == nil || n.op != "Conv" && n.op != "Gemm" || len(n.in) != 2 || n.out[0].typ != format.Float32 || o.uses[o.n.inputs[k]] != 1 || !o.stored(b.t) {
			continue
		}
		last := len(x.t.shape) - 1
		in, perm := o.spread(x, b)
		if s := in[1].shape; in[0] == x.t && len(s) > 0 && s.Elems() == x.t.shape[last] && s[len(s)-1] == x.t.shape[last] {
			return result(view(o.emit(n.op, n.attrs, format.Float32, nil, n.in[0], n.in[1], o.reshape(in[1], format.Shape{s.Elems()})), perm))
		}
	}
	return binaryOp("Add")(o)
}

func binaryOp(name string) func(*op) []*value {
	return func(o *op) []*value { return result(o.binary(name, o.in[0], o.second())) }
}

// second is the second operand. Up to opset 6 it is matched with the first one's
// dimensions from an axis on, where the node says so.
func (o *op) second() *value {
	b := o.in[1]
	if o.opset >= 7 || o.int("broadcast", 0) == 0 || o.attr("axis") == nil {
		return b
	}
	rank := o.in[0].rank()
	var behind []int
	for i := o.axis(o.int("axis", 0), rank) + b.rank(); i < rank; i++ {
		behind = append(behind, len(behind)+b.rank())
	}
	return o.insert(b, behind)
}

func compare(name string, swap bool) func(*op) []*value {
	return func(o *op) []*value {
		a, b := o.in[0], o.second()
		if swap {
			a, b = b, a
		}
		return result(o.logic(name, a, b))
	}
}

func where(o *op) []*value { return result(o.where(o.in[0], o.in[1], o.in[2])) }

func variadic(name string) func(*op) []*value {
	return func(o *op) []*value {
		v := o.in[0]
		for _, x := range o.in[1:] {
			if x == nil {
				o.fail("an input is absent")
			}
			v = o.binary(name, v, x)
		}
		return result(v)
	}
}

func mean(o *op) []*value {
	sum := variadic("Add")(o)[0]
	return result(o.binary("Div", sum, o.number(sum.typ(), float64(len(o.in)))))
}

// pow has the type of the base; the exponent may have another.
func pow(o *op) []*value {
	a, b := o.in[0], o.second()
	if a.typ() == b.typ() {
		return result(o.binary("Pow", a, b))
	}
	if a.typ().Float() {
		return result(o.binary("Pow", a, o.cast(b, a.typ())))
	}
	y := o.binary("Pow", o.cast(a, format.Float32), o.cast(b, format.Float32))
	return result(o.cast(y, a.typ()))
}

func (c *converter) cast(v *value, to format.DType) *value {
	if v.typ() == to {
		return v
	}
	if (to.Bits() < 8 || v.typ().Bits() < 8) && !v.t.isConst() {
		c.fail("from %v to %v: only constants have 4 bits", v.typ(), to)
	}
	return c.each("Cast", nil, to, v)
}

// bitShift multiplies or divides unsigned integers by a power of two.
func bitShift(o *op) []*value {
	switch o.in[0].typ() {
	case format.Int8, format.Int16, format.Int32, format.Int64:
		o.fail("its input is of type %v: only unsigned numbers are shifted", o.in[0].typ())
	}
	by := o.binary("Pow", o.number(o.in[0].typ(), 2), o.in[1])
	if o.str("direction", "") == "LEFT" {
		return result(o.mul(o.in[0], by))
	}
	return result(o.binary("Div", o.in[0], by))
}

func mod(o *op) []*value {
	if a, b := o.in[0], o.in[1]; a.typ() == format.Uint64 { // which the kernel has not
		return result(o.binary("Sub", a, o.mul(o.binary("Div", a, b), b)))
	}
	in, perm := o.spread(o.in[0], o.in[1])
	return result(view(o.emit("Mod", format.Attrs{"fmod": o.int("fmod", 0)}, o.in[0].typ(), nil, in...), perm))
}

// isNaN compares with itself, which NaN alone fails.
func isNaN(o *op) []*value {
	x := o.in[0]
	if !x.typ().Float() {
		o.fail("its input is of type %v", x.typ())
	}
	return result(o.each("Not", nil, format.Bool, o.logic("Equal", x, x)))
}

func isInf(o *op) []*value {
	x := o.in[0]
	if !x.typ().Float() {
		o.fail("its input is of type %v", x.typ())
	}
	inf := func(sign int) *value { return o.logic("Equal", x, o.real(math.Inf(sign))) }
	switch pos, neg := o.int("detect_positive", 1) != 0, o.int("detect_negative", 1) != 0; {
	case pos && neg:
		return result(o.logic("Or", inf(1), inf(-1)))
	case pos:
		return result(inf(1))
	case neg:
		return result(inf(-1))
	}
	return result(o.logic("Less", x, x)) // never
}

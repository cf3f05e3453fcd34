package onnx

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Quantized graphs. ONNX writes them with nodes between codes and floats; whet
// gives the tensors a quantization and has the same ops on them. A
// DequantizeLinear is kept as the mark of a float tensor that has codes; a
// QuantizeLinear looks through the op before it: if all that op's operands have
// codes, the op is done on them, and the float nodes, which nobody reads, are
// not written. The QLinear operators are taken apart and go the same way.

func init() {
	register(map[string]row{
		"QuantizeLinear": {2, quantizeLinear}, "DequantizeLinear": {2, dequantizeLinear},
		"com.microsoft.QuantizeLinear": {3, quantizeLinear}, "com.microsoft.DequantizeLinear": {3, dequantizeLinear},
		"DynamicQuantizeLinear": {1, dynamicQuantizeLinear},
		"QLinearConv":           {8, qlinearConv}, "QLinearMatMul": {8, qlinearMatMul},
		"com.microsoft.QLinearAdd": {7, qlinearBinary("Add")}, "com.microsoft.QLinearMul": {7, qlinearBinary("Mul")},
		"com.microsoft.QLinearSigmoid": {4, qlinearUnary(unary("Sigmoid"))}, "com.microsoft.QLinearLeakyRelu": {4, qlinearUnary(alpha("LeakyRelu", 0.01))},
		"com.microsoft.QLinearSoftmax": {4, qlinearUnary(softmax("Softmax"))}, "com.microsoft.QLinearGlobalAveragePool": {4, qlinearGlobalPool},
		"com.microsoft.QLinearAveragePool": {4, qlinearUnary(averagePool)}, "com.microsoft.QLinearConcat": {5, qlinearConcat}, "com.microsoft.QGemm": {6, qGemm},
	})
}

// dequantized returns the codes of a float tensor that was dequantized, else nil.
func (c *converter) dequantized(t *tensor) *tensor {
	if t != nil && t.def != nil && t.def.op == "DequantizeLinear" {
		return t.def.in[0]
	}
	return nil
}

// dequantize returns the floats that codes stand for.
func (c *converter) dequantize(q *tensor) *tensor {
	const key = "floats"
	if f := q.forms[key]; f != nil {
		return f
	}
	f := c.emit("DequantizeLinear", nil, format.Float32, nil, q)
	if q.forms == nil {
		q.forms = map[string]*tensor{}
	}
	q.forms[key] = f
	return f
}

// params reads a scale and a zero point, inputs k and k+1, for a value of which
// a is the axis of several scales; nil if they are not constant.
func (o *op) params(k, z int, x *value, axis int64) (format.DType, *format.Quant) {
	typ := format.Uint8
	if o.has(z) {
		typ = o.in[z].typ()
	}
	s := o.plain(o.in[k])
	if !s.isConst() || s.typ != format.Float32 || o.has(z) && !o.plain(o.in[z]).isConst() {
		return typ, nil
	}
	q := &format.Quant{Scale: float32s(s)}
	if o.has(z) {
		v, ok := integers(o.plain(o.in[z]))
		if !ok || len(v) != len(q.Scale) && len(v) != 1 {
			o.fail("zero points of type %v for %d scales", typ, len(q.Scale))
		}
		for i := range q.Scale {
			q.Zero = append(q.Zero, int32(v[min(i, len(v)-1)]))
		}
	}
	if o.int("block_size", 0) != 0 {
		return typ, nil
	}
	if len(q.Scale) > 1 {
		if len(s.shape) != 1 {
			o.fail("scales of shape %v", s.shape)
		}
		q.Axis = x.where(o.axis(axis, x.rank()))
		if len(q.Scale) != x.t.shape[q.Axis] {
			o.fail("%d scales for axis %d of %v", len(q.Scale), axis, x.shape())
		}
	}
	return typ, q
}

func quantizeLinear(o *op) []*value {
	x := o.in[0]
	typ, q := o.params(1, 2, x, o.int("axis", 1))
	if d := o.int("output_dtype", 0); d != 0 && !o.has(2) {
		typ = o.elem(d)
	}
	if x.typ() != format.Float32 {
		o.fail("its input is of type %v", x.typ())
	}
	if q != nil && (typ == format.Int8 || typ == format.Uint8 || typ == format.Int16 || typ == format.Int32) && (len(q.Scale) == 1 || x.t.isConst()) {
		return result(&value{t: o.quantize(x.t, typ, q), perm: x.perm})
	}
	var zero *value
	if o.has(2) {
		zero = o.cast(o.perAxis(o.in[2], x), format.Float32)
	}
	return result(o.quantizeBy(x, o.perAxis(o.in[1], x), zero, typ))
}

// quantizeBy is QuantizeLinear with parameters that are computed; the codes are
// plain integers.
func (c *converter) quantizeBy(x, scale, zero *value, typ format.DType) *value {
	if typ != format.Int8 && typ != format.Uint8 && typ != format.Int16 && typ != format.Uint16 {
		c.fail("codes of type %v", typ)
	}
	y := c.each("Round", nil, format.Float32, c.binary("Div", x, scale))
	if zero != nil {
		y = c.add(y, zero)
	}
	lo, hi := codeRange(typ)
	y = c.each("Clip", format.Attrs{"min": lo, "max": hi}, format.Float32, y)
	return c.cast(y, typ)
}

func codeRange(typ format.DType) (lo, hi float64) {
	bits := typ.Bits()
	if typ == format.Uint8 || typ == format.Uint16 {
		return 0, float64(int(1)<<bits - 1)
	}
	return -float64(int(1) << (bits - 1)), float64(int(1)<<(bits-1) - 1)
}

func dequantizeLinear(o *op) []*value {
	x := o.in[0]
	_, q := o.params(1, 2, x, o.int("axis", 1))
	if q != nil {
		if t := o.withQuant(x, q, o.n.inputs[0]); t != nil {
			return result(&value{t: o.dequantize(t), perm: x.perm})
		}
	}
	y := o.cast(x, format.Float32)
	if o.has(2) {
		y = o.binary("Sub", y, o.cast(o.perAxis(o.in[2], x), format.Float32))
	}
	return result(o.mul(y, o.perAxis(o.in[1], x)))
}

// perAxis shapes a scale or zero point so that it broadcasts along its axis of x:
// one number, one for each position, or, for blocks, a tensor like x with one for
// every block_size positions.
func (o *op) perAxis(p, x *value) *value {
	n := p.t.shape.Elems()
	if n == 1 && p.rank() < 2 {
		return &value{t: o.reshape(p.t, format.Shape{})}
	}
	a := o.axis(o.int("axis", 1), x.rank())
	s := x.shape()
	if block := int(o.int("block_size", 0)); block > 0 {
		if p.rank() != x.rank() || (s[a]+block-1)/block != p.shape()[a] {
			o.fail("scales %v in blocks of %d for %v", p.shape(), block, s)
		}
		t := o.plain(p)
		wide := slices.Insert(slices.Clone(t.shape), a+1, 1)
		grown := slices.Clone(wide)
		grown[a+1] = block
		whole := slices.Clone(t.shape)
		whole[a] *= block
		t = o.reshape(o.grow(o.reshape(t, wide), grown), whole)
		return o.cut(&value{t: t}, a, 0, int64(s[a]), 1)
	}
	if p.rank() != 1 || n != s[a] {
		o.fail("scales %v along axis %d of %v", p.shape(), a, s)
	}
	to := make(format.Shape, x.rank())
	for i := range to {
		to[i] = 1
	}
	to[a] = n
	return &value{t: o.reshape(p.t, to)}
}

// withQuant returns the codes of x as a tensor with the quantization; nil if x
// is a computed tensor of plain integers, which nothing can be said of
// afterwards.
func (c *converter) withQuant(x *value, q *format.Quant, name string) *tensor {
	t := x.t
	switch {
	case t.typ == format.Bool || t.typ.Float():
		c.fail("codes of type %v", t.typ)
	case t.quant != nil && t.quant.Equal(q):
		return t
	case t.isConst():
		return &tensor{name: t.name, typ: t.typ, shape: t.shape, quant: q, data: t.data}
	case t.quant == nil && t.def == nil && c.uses[name] == 1:
		t.quant = q
		return t
	case t.quant != nil:
		c.fail("its input %q has another quantization than the node says", name)
	}
	return nil
}

// quantize returns the codes of float tensor t.
func (c *converter) quantize(t *tensor, typ format.DType, q *format.Quant) *tensor {
	if y := c.onCodes(t, typ, q); y != nil {
		return y
	}
	if s := c.dequantized(t); s != nil && len(s.quant.Scale) == 1 && len(q.Scale) == 1 {
		return c.requantize(s, typ, q)
	}
	return c.emit("QuantizeLinear", nil, typ, q, t)
}

// requantize changes the quantization of codes, and takes back one that was
// changed to the present one.
func (c *converter) requantize(t *tensor, typ format.DType, q *format.Quant) *tensor {
	for s := t; ; s = s.def.in[0] {
		if s.typ == typ && s.quant.Equal(q) {
			return s
		}
		// Between int8 and uint8 of one scale no code is lost on the way.
		if s.def == nil || s.def.op != "Requantize" || !mirrored(s, s.def.in[0]) {
			break
		}
	}
	return c.emit("Requantize", nil, typ, q, t)
}

// mirrored reports whether a and b are uint8 and int8 codes of the same numbers.
func mirrored(a, b *tensor) bool {
	return a.typ.Bits() == 8 && b.typ.Bits() == 8 && a.typ != b.typ && a.quant.Scale[0] == b.quant.Scale[0] &&
		signedZero(a) == signedZero(b)
}

func signedZero(t *tensor) int32 {
	if t.typ == format.Uint8 {
		return t.quant.ZeroPoint() - 128
	}
	return t.quant.ZeroPoint()
}

// What may stand between codes besides convolutions.
var (
	codesUnary = []string{"AveragePool", "Abs", "Elu", "Erf", "Exp", "Gelu", "HardSwish", "LeakyRelu", "Log", "LogSoftmax", "Neg",
		"ReduceMean", "ReduceSum", "Rsqrt", "Sigmoid", "Softmax", "Sqrt", "Tanh", "Relu", "Clip"}
	codesBinary = []string{"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "SquaredDifference"}
)

// onCodes returns the codes of t computed from codes, or nil if the op that makes
// t cannot be done on them.
func (c *converter) onCodes(t *tensor, typ format.DType, q *format.Quant) *tensor {
	n := t.def
	if n == nil || len(q.Scale) != 1 || typ != format.Int8 && typ != format.Uint8 && typ != format.Int16 {
		return nil
	}
	codes := func(k int) *tensor {
		s := c.dequantized(n.in[k])
		if s == nil || s.typ != typ || len(s.quant.Scale) != 1 || s.quant.Block != 0 {
			return nil
		}
		return s
	}
	switch {
	case n.op == "Conv" || n.op == "Gemm":
		return c.productOnCodes(n, typ, q)
	case n.op == "Relu" || n.op == "Clip":
		// An activation of a product takes the codes of its own result.
		if x := c.onCodes(n.in[0], typ, q); x != nil {
			if r := x.def; r != nil && r.op == "Requantize" && mirrored(x, r.in[0]) { // beside the product, to be fused with it
				s := r.in[0]
				return c.requantize(c.emit(n.op, n.attrs, s.typ, s.quant, s), typ, q)
			}
			return c.emit(n.op, n.attrs, typ, q, x)
		}
		fallthrough
	case slices.Contains(codesUnary, n.op):
		if x := codes(0); x != nil {
			return c.emit(n.op, n.attrs, typ, q, x)
		}
	case slices.Contains(codesBinary, n.op):
		if a, b := codes(0), codes(1); a != nil && b != nil {
			return c.emit(n.op, n.attrs, typ, q, a, b)
		}
	case n.op == "Reshape" || n.op == "Transpose":
		if x := c.onCodes(n.in[0], typ, q); x != nil {
			return c.emit(n.op, n.attrs, typ, q, x)
		}
	}
	return nil
}

// productOnCodes is onCodes for Conv and Gemm. Their input and weights must have
// one type: uint8 codes become int8 ones of the same numbers, which costs
// nothing, since the runtime holds them so.
func (c *converter) productOnCodes(n *node, typ format.DType, q *format.Quant) *tensor {
	x, w := c.dequantized(n.in[0]), c.dequantized(n.in[1])
	if x == nil || w == nil || !w.isConst() || x.typ.Bits() != 8 || w.typ.Bits() != 8 || typ.Bits() != 8 || len(x.quant.Scale) != 1 {
		return nil
	}
	x, w = c.signed(x), c.signed(w)
	if len(w.quant.Scale) > 1 && (w.quant.Axis != 0 || slices.ContainsFunc(w.quant.Zero, func(z int32) bool { return z != 0 })) {
		return nil
	}
	in := []*tensor{x, w}
	if len(n.in) > 2 {
		b := c.codedBias(n.in[2], x.quant.Scale[0], w.quant.Scale)
		if b == nil {
			return nil
		}
		in = append(in, b)
	}
	inner := q
	if typ == format.Uint8 {
		inner = format.PerTensor(q.Scale[0], q.ZeroPoint()-128)
	}
	return c.requantize(c.emit(n.op, n.attrs, format.Int8, inner, in...), typ, q)
}

// signed returns 8-bit codes as int8.
func (c *converter) signed(t *tensor) *tensor {
	if t.typ == format.Int8 {
		return t
	}
	q := &format.Quant{Scale: t.quant.Scale, Axis: t.quant.Axis}
	for i := range q.Scale {
		z := int32(0)
		if i < len(t.quant.Zero) {
			z = t.quant.Zero[i]
		}
		q.Zero = append(q.Zero, z-128)
	}
	if !t.isConst() {
		return c.requantize(t, format.Int8, q)
	}
	data := make([]byte, len(t.data))
	for i, v := range t.data {
		data[i] = v ^ 0x80
	}
	return &tensor{name: t.name, typ: format.Int8, shape: t.shape, quant: q, data: data}
}

// codedBias returns a bias in units of the products of the scales, nil if it is
// not constant or too large.
func (c *converter) codedBias(b *tensor, sx float32, sw []float32) *tensor {
	q := c.dequantized(b)
	n := b.shape.Elems()
	out := make([]int64, n)
	var codes []int64
	if q != nil && q.isConst() && q.typ == format.Int32 {
		codes, _ = integers(q)
	} else if !b.isConst() {
		return nil
	}
	for i := range out {
		unit := float64(sx) * float64(sw[min(i, len(sw)-1)])
		var v float64
		if codes != nil {
			s := float64(q.quant.Scale[min(i, len(q.quant.Scale)-1)])
			if len(q.quant.Zero) > 0 {
				codes[i] -= int64(q.quant.Zero[min(i, len(q.quant.Zero)-1)])
			}
			// The exporter's scale is this product rounded to float32, and its
			// codes are meant in these units.
			if math.Abs(s-unit) <= 1e-6*unit {
				out[i] = codes[i]
				continue
			}
			v = float64(codes[i]) * s
		} else {
			v = float64(float32s(b)[i])
		}
		v = math.RoundToEven(v / unit)
		if !(math.Abs(v) <= math.MaxInt32) {
			return nil
		}
		out[i] = int64(v)
	}
	return &tensor{name: b.name, typ: format.Int32, shape: b.shape, data: intBytes(format.Int32, out)}
}

// dynamicQuantizeLinear is computed as the specification says, from the range of
// the input.
func dynamicQuantizeLinear(o *op) []*value {
	x := o.in[0]
	all := identity(x.rank())
	hi := o.binary("Max", o.reduce("ReduceMax", x, all, false), o.real(0))
	lo := o.binary("Min", o.reduce("ReduceMin", x, all, false), o.real(0))
	scale := o.binary("Div", o.binary("Sub", hi, lo), o.real(255))
	zero := o.each("Round", nil, format.Float32, o.binary("Div", o.binary("Sub", o.real(0), lo), scale))
	zero = o.each("Clip", format.Attrs{"min": 0.0, "max": 255.0}, format.Float32, zero)
	return []*value{o.quantizeBy(x, scale, zero, format.Uint8), scale, o.cast(zero, format.Uint8)}
}

// real8 returns the floats of an operand of a QLinear operator: its codes,
// their scale and zero point are inputs k, s and z.
func (o *op) real8(k, s, z int, axis int64) *value {
	x := o.in[k]
	_, q := o.params(s, z, x, axis)
	if q == nil {
		o.fixed(s, "it is a scale")
		o.fixed(z, "it is a zero point")
		o.fail("scale %q is not a float", o.n.inputs[s])
	}
	t := o.withQuant(x, q, o.n.inputs[k])
	if t == nil {
		o.fail("the codes %q are computed by a node that gives them no quantization", o.n.inputs[k])
	}
	return &value{t: o.dequantize(t), perm: x.perm}
}

// codes8 returns the codes of a result, whose scale and zero point are inputs s
// and z.
func (o *op) codes8(y *value, s, z int) []*value {
	typ, q := o.params(s, z, y, 0)
	if q == nil {
		o.fixed(s, "it is the scale of the result")
		o.fixed(z, "it is the zero point of the result")
	}
	if q == nil || len(q.Scale) != 1 {
		o.fail("the result needs one scale")
	}
	return result(&value{t: o.quantize(y.t, typ, q), perm: y.perm})
}

func qlinearConv(o *op) []*value {
	o.fixed(3, "weights are packed before the model runs")
	x, w := o.real8(0, 1, 2, 0), o.real8(3, 4, 5, 0)
	var b *tensor
	if o.has(8) {
		// The bias counts in units of the products of the scales.
		t := o.fixed(8, "it is a bias")
		q := &format.Quant{}
		sx := o.dequantized(x.t).quant.Scale[0]
		for _, sw := range o.dequantized(w.t).quant.Scale {
			q.Scale = append(q.Scale, float32(float64(sx)*float64(sw)))
		}
		b = o.dequantize(&tensor{name: t.name, typ: t.typ, shape: t.shape, quant: q, data: t.data})
	}
	return o.codes8(o.convolve(x, w, b), 6, 7)
}

func qlinearMatMul(o *op) []*value {
	a := o.real8(0, 1, 2, 0)
	return o.codes8(o.matmul(a, o.real8(3, 4, 5, 1)), 6, 7)
}

func qlinearBinary(name string) func(*op) []*value {
	return func(o *op) []*value {
		return o.codes8(o.binary(name, o.real8(0, 1, 2, 0), o.real8(3, 4, 5, 0)), 6, 7)
	}
}

// qlinearUnary is an operator on X, X_scale, X_zero_point, Y_scale, Y_zero_point.
func qlinearUnary(f func(*op) []*value) func(*op) []*value {
	return func(o *op) []*value {
		inner := *o
		inner.in = []*value{o.real8(0, 1, 2, 0)}
		return o.codes8(f(&inner)[0], 3, 4)
	}
}

func qlinearGlobalPool(o *op) []*value {
	if o.int("channels_last", 0) != 0 {
		o.fail("channels_last")
	}
	return qlinearUnary(globalPool("ReduceMean"))(o)
}

// qlinearConcat has the inputs Y_scale, Y_zero_point, then three for each tensor.
func qlinearConcat(o *op) []*value {
	var in []*value
	for k := 2; k+2 < len(o.in); k += 3 {
		// All in the quantization of the result, so that codes can be joined.
		typ, q := o.params(0, 1, o.in[k], 0)
		if q == nil {
			o.fixed(0, "it is the scale of the result")
		}
		x := o.real8(k, k+1, k+2, 0)
		in = append(in, &value{t: o.dequantize(o.quantize(x.t, typ, q)), perm: x.perm})
	}
	inner := *o
	inner.in = in
	return o.codes8(concat(&inner)[0], 0, 1)
}

// qGemm has A, a_scale, a_zero, B, b_scale, b_zero, C?, y_scale?, y_zero?.
func qGemm(o *op) []*value {
	columns := int64(1) // the axis of several scales
	if o.int("transB", 0) != 0 {
		columns = 0
	}
	a, b := o.real8(0, 1, 2, 0), o.real8(3, 4, 5, columns)
	inner := *o
	inner.in = []*value{a, b}
	if o.has(6) {
		t := o.fixed(6, "it is a bias")
		q := &format.Quant{}
		for _, s := range o.dequantized(b.t).quant.Scale {
			q.Scale = append(q.Scale, float32(o.float("alpha", 1)*float64(o.dequantized(a.t).quant.Scale[0])*float64(s)))
		}
		inner.in = append(inner.in, &value{t: o.dequantize(&tensor{name: t.name, typ: t.typ, shape: t.shape, quant: q, data: t.data})})
	}
	y := gemm(&inner)
	if !o.has(7) {
		return y
	}
	return o.codes8(y[0], 7, 8)
}

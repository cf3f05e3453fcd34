package onnx

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Operators that onnxruntime adds (domain com.microsoft), which its optimizer and
// quantizer leave in models.

func init() {
	const ms = "com.microsoft."
	register(map[string]row{
		ms + "Gelu": {1, gelu}, ms + "FastGelu": {1, fastGelu}, ms + "BiasGelu": {2, biasGelu}, ms + "QuickGelu": {1, quickGelu},
		ms + "SkipLayerNormalization": {3, skipNorm(layerNorm)}, ms + "SkipSimplifiedLayerNormalization": {3, skipNorm(rmsNorm)},
		ms + "SimplifiedLayerNormalization": {2, rmsNorm}, ms + "FusedMatMul": {2, fusedMatMul}, ms + "FusedConv": {2, fusedConv}, ms + "FusedGemm": {2, fusedGemm},
		ms + "MatMulNBits": {3, matMulNBits}, ms + "DynamicQuantizeMatMul": {3, dynamicQuantizeMatMul}, ms + "MatMulIntegerToFloat": {4, matMulIntegerToFloat},
		ms + "RotaryEmbedding": {4, contribRotary},
	})
}

func (o *op) fast(x *value) []*value {
	return result(o.each("Gelu", format.Attrs{"approximate": "tanh"}, format.Float32, x))
}

func fastGelu(o *op) []*value {
	x := o.in[0]
	if o.has(1) {
		x = o.add(x, o.in[1])
	}
	return o.fast(x)
}

func biasGelu(o *op) []*value {
	return result(o.each("Gelu", format.Attrs{"approximate": "none"}, format.Float32, o.add(o.in[0], o.in[1])))
}

func quickGelu(o *op) []*value {
	x := o.in[0]
	s := o.each("Sigmoid", nil, format.Float32, o.mul(x, o.real(o.float("alpha", 1.702))))
	return result(o.mul(x, s))
}

// with is the node with other inputs.
func (o *op) with(in ...*value) *op {
	p := *o
	p.in = in
	return &p
}

// skipNorm normalizes the sum of its first two inputs; with a bias for that, last.
func skipNorm(norm func(*op) []*value) func(*op) []*value {
	return func(o *op) []*value {
		sum := o.add(o.in[0], o.in[1])
		in := []*value{sum, o.in[2]}
		last := 3
		if o.n.op == "SkipLayerNormalization" {
			if last = 4; o.has(3) {
				in = append(in, o.in[3])
			}
		}
		if o.has(last) {
			sum = o.add(sum, o.in[last])
			in[0] = sum
		}
		p := o.with(in...)
		n := *o.n
		n.outputs = n.outputs[:1]
		p.n = &n
		return []*value{norm(p)[0], nil, nil, sum}
	}
}

// sides turns the matrices of operands that the node says are transposed.
func (o *op) sides() (a, b *value) {
	side := func(v *value, attr string) *value {
		if o.int(attr, 0) == 0 || v.rank() < 2 {
			return v
		}
		order := identity(v.rank())
		order[v.rank()-1], order[v.rank()-2] = v.rank()-2, v.rank()-1
		return &value{t: o.arrange(v, order)}
	}
	if o.int("transBatchA", 0) != 0 || o.int("transBatchB", 0) != 0 {
		o.fail("transBatchA or transBatchB")
	}
	return side(o.in[0], "transA"), side(o.in[1], "transB")
}

func fusedMatMul(o *op) []*value {
	y := o.matmul(o.sides())
	if alpha := o.float("alpha", 1); alpha != 1 {
		y = o.mul(y, o.real(alpha))
	}
	return result(y)
}

// activated applies the activation that a node names.
func (o *op) activated(y *value) []*value {
	name := o.str("activation", "")
	if name == "" {
		return result(y)
	}
	params := func(attr string, k int) func(float64) float64 {
		return func(def float64) float64 {
			if a := o.attr(attr); a != nil && k < len(a.floats) {
				return float64(a.floats[k])
			}
			return o.float(attr, def)
		}
	}
	if name == "Clip" {
		lo, hi := params("activation_params", 0)(math.Inf(-1)), params("activation_params", 1)(math.Inf(1))
		return result(o.each("Clip", format.Attrs{"min": lo, "max": hi}, format.Float32, y))
	}
	if o.n.op == "FusedGemm" {
		return result(o.function(name, params("activation_alpha", 0), params("activation_beta", 0))(y))
	}
	return result(o.function(name, params("activation_params", 0), params("activation_params", 1))(y))
}

func fusedConv(o *op) []*value {
	y := conv(o)[0]
	if o.has(3) {
		y = o.add(y, o.in[3])
	}
	return o.activated(y)
}

func fusedGemm(o *op) []*value { return o.activated(gemm(o)[0]) }

// matMulNBits multiplies with weights of 4 or 8 bits in blocks along K: B is
// [N, K/block, block·bits/8], scales [N · K/block], zero points packed as B or
// float32. They become float weights.
func matMulNBits(o *op) []*value {
	k, n, bits, block := o.int("K", 0), o.int("N", 0), o.int("bits", 4), o.int("block_size", 0)
	if bits != 4 && bits != 8 || block < 1 || k < 1 || n < 1 || k > maxTaps || n > maxTaps || k*n > maxFold || o.has(4) {
		o.fail("weights of %d bits in blocks of %d, [%d, %d], or reordered", bits, block, n, k)
	}
	b, scales := o.fixed(1, "weights are packed before the model runs"), o.fixedFloats(2)
	blocks := (k + block - 1) / block
	if b.typ != format.Uint8 || int64(len(b.data)) != n*blocks*block*bits/8 || int64(len(scales)) != n*blocks {
		o.fail("%d bytes of weights and %d scales for [%d, %d] in blocks of %d", len(b.data), len(scales), n, k, block)
	}
	code := func(data []byte, i int64) float32 {
		if bits == 8 {
			return float32(data[i])
		}
		return float32(data[i/2] >> (4 * (i % 2)) & 15)
	}
	zero := func(row, at int64) float32 { return float32(int64(1) << (bits - 1)) }
	if o.has(3) {
		z := o.fixed(3, "weights are packed before the model runs")
		packed := (blocks*bits + 7) / 8
		switch {
		case z.typ == format.Float32 && int64(len(z.data)) == 4*n*blocks:
			v := float32s(z)
			zero = func(row, at int64) float32 { return v[row*blocks+at] }
		case z.typ == format.Uint8 && int64(len(z.data)) == n*packed:
			zero = func(row, at int64) float32 { return code(z.data[row*packed:], at) }
		default:
			o.fail("zero points %v %v", z.typ, z.shape)
		}
	}
	w := make([]float32, 0, n*k) // codes less their zero points
	for row := range n {
		for i := range k {
			w = append(w, code(b.data, (row*blocks+i/block)*block+i%block)-zero(row, i/block))
		}
	}
	shape := format.Shape{int(n), int(k)}
	weights := o.blocked(b.name, shape, w, scales, int(block))
	if x := o.in[0]; weights != nil && x.typ() == format.Float32 && x.rank() > 0 && x.shape()[x.rank()-1] == int(k) {
		s := x.shape()
		t := o.emit("Gemm", format.Attrs{"transB": int64(1)}, format.Float32, nil, o.reshape(o.plain(x), format.Shape{s.Elems() / int(k), int(k)}), weights)
		y := &value{t: o.reshape(t, append(slices.Clone(s[:len(s)-1]), int(n)))}
		if o.has(5) {
			y = o.add(y, o.in[5])
		}
		return result(y)
	}
	for i := range w {
		w[i] *= scales[int64(i)/k*blocks+int64(i)%k/block]
	}
	weights = o.floats(shape, w...)
	weights.name = b.name
	y := o.matmul(o.in[0], o.turned(&value{t: weights}))
	if o.has(5) {
		y = o.add(y, o.in[5])
	}
	return result(y)
}

// blocked stores weights as codes of 4 bits, or of 8 where those are too few, in blocks
// of the innermost dimension. It returns nil where they are no such codes.
func (o *op) blocked(name string, shape format.Shape, w, scales []float32, block int) *tensor {
	k := shape[1]
	blocks := (k + block - 1) / block
	scale := make([]float32, len(scales))
	for i, s := range scales {
		// A scale is positive; onnxruntime's are negative where the greatest weight is.
		if scale[i] = float32(math.Abs(float64(s))); !(scale[i] <= math.MaxFloat32) {
			return nil
		}
		if s == 0 {
			scale[i] = 1
		}
	}
	codes := make([]int8, len(w))
	narrow := true
	for i, v := range w {
		switch s := scales[i/k*blocks+i%k/block]; {
		case s < 0:
			v = -v
		case s == 0:
			v = 0
		}
		if v < -128 || v > 127 || v != float32(int8(v)) {
			return nil
		}
		codes[i] = int8(v)
		narrow = narrow && v >= -8 && v <= 7
	}
	t := &tensor{name: name, typ: format.Int8, shape: shape, quant: &format.Quant{Scale: scale, Block: block}}
	if narrow {
		t.typ, t.data = format.Int4, make([]byte, (len(codes)+1)/2)
		for i, c := range codes {
			t.data[i/2] |= byte(c) & 15 << (i % 2 * 4)
		}
	} else {
		for _, c := range codes {
			t.data = append(t.data, byte(c))
		}
	}
	o.spend(len(t.data))
	return o.emit("DequantizeLinear", nil, format.Float32, nil, t)
}

// columns shapes a scale or zero point, of all or of each column.
func (o *op) columns(k int) *value {
	v := o.cast(o.in[k], format.Float32)
	if v.t.shape.Elems() == 1 {
		return &value{t: o.reshape(v.t, format.Shape{})}
	}
	return v
}

// dynamicQuantizeMatMul rounds A to the codes that its own range asks for, and
// multiplies with the weights that B's codes stand for.
func dynamicQuantizeMatMul(o *op) []*value {
	q := dynamicQuantizeLinear(o.with(o.in[0]))
	a := o.mul(o.binary("Sub", o.cast(q[0], format.Float32), o.cast(q[2], format.Float32)), q[1])
	b := o.cast(o.in[1], format.Float32)
	if o.has(3) {
		b = o.binary("Sub", b, o.columns(3))
	}
	y := o.matmul(a, o.mul(b, o.columns(2)))
	if o.has(4) {
		y = o.add(y, o.in[4])
	}
	return result(y)
}

func matMulIntegerToFloat(o *op) []*value {
	a, b := o.cast(o.in[0], format.Float32), o.cast(o.in[1], format.Float32)
	if o.has(4) {
		a = o.binary("Sub", a, o.columns(4))
	}
	if o.has(5) {
		b = o.binary("Sub", b, o.columns(5))
	}
	y := o.matmul(o.mul(a, o.columns(2)), o.mul(b, o.columns(3)))
	if o.has(6) {
		y = o.add(y, o.in[6])
	}
	return result(y)
}

// contribRotary has the positions before the tables; one position is where a
// sequence starts.
func contribRotary(o *op) []*value {
	x, at := o.in[0], o.in[1]
	if x.rank() < 3 || x.rank() > 4 {
		o.fail("an input %v", x.shape())
	}
	s := x.shape()
	if at.t.shape.Elems() == 1 {
		first := o.reshape(o.plain(at), format.Shape{1, 1})
		at = o.add(&value{t: first}, o.places(1, s[x.rank()-2]))
	}
	at = o.expand(at, list(s[0], s[x.rank()-2]))
	p := o.with(x, o.in[2], o.in[3], at)
	n := *o.n
	n.inputs = []string{n.inputs[0], n.inputs[2], n.inputs[3], n.inputs[1]}
	if o.int("num_heads", 0) == 0 && x.rank() == 3 {
		half := o.in[2].shape()[1] * 2
		if half < 1 || s[2]%half != 0 {
			o.fail("tables of %d for an input %v", half, s)
		}
		n.attrs = append(slices.DeleteFunc(slices.Clone(n.attrs), func(a *attrProto) bool { return a.name == "num_heads" }), &attrProto{name: "num_heads", i: int64(s[2] / half)})
	}
	p.n = &n
	return rotary(p)
}

package runtime

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

var le = binary.LittleEndian

// bindConv binds Conv: X[N,H,W,C], W[O,KH,KW,C/group], B[O]?.
func bindConv(n *node, l kernels.Level) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	if len(x.shape) != 4 || len(w.shape) != 4 {
		return nil, n.errf("only 2-D convolution has a kernel; X is %v, W is %v", x.shape, w.shape)
	}
	stride, dil, pads := pair(n.attrs.Ints("strides")), pair(n.attrs.Ints("dilations")), n.attrs.Ints("pads")
	s := kernels.ConvShape{
		N: x.shape[0], H: x.shape[1], W: x.shape[2], C: x.shape[3],
		O: w.shape[0], KH: w.shape[1], KW: w.shape[2],
		SH: stride[0], SW: stride[1], DH: dil[0], DW: dil[1],
		OH: y.shape[1], OW: y.shape[2], Groups: n.attrs.Int("group", 1),
	}
	if len(pads) == 4 {
		s.Top, s.Left = int(pads[0]), int(pads[1])
	}
	return bindProduct(n, l, s)
}

func pair(v []int64) [2]int {
	if len(v) == 2 {
		return [2]int{int(v[0]), int(v[1])}
	}
	return [2]int{1, 1}
}

// bindGemm binds Gemm with transB=1: A[M,K], B[N,K], C[N]?. It is a 1x1
// convolution over M positions.
func bindGemm(n *node, l kernels.Level) (*step, error) {
	a, b := n.in[0], n.in[1]
	if n.attrs.Int("transB", 0) != 1 || n.attrs.Int("transA", 0) != 0 {
		return nil, n.errf("only transA=0, transB=1 has a kernel")
	}
	if n.attrs.Float("alpha", 1) != 1 || n.attrs.Float("beta", 1) != 1 {
		return nil, n.errf("only alpha=1, beta=1 has a kernel")
	}
	return bindProduct(n, l, kernels.ConvShape{
		N: 1, H: a.shape[0], W: 1, C: a.shape[1], O: b.shape[0], KH: 1, KW: 1,
		SH: 1, SW: 1, DH: 1, DW: 1, OH: a.shape[0], OW: 1, Groups: 1,
	})
}

// bindProduct picks the arithmetic of a convolution or matrix product by the
// types of its tensors.
func bindProduct(n *node, l kernels.Level, s kernels.ConvShape) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	var bias *value
	if len(n.in) > 2 {
		bias = n.in[2]
	}
	if !w.isConst() || bias != nil && !bias.isConst() {
		return nil, n.errf("the weights must be constant")
	}
	macs := int64(s.N*s.OH*s.OW) * int64(s.O) * int64(s.KH*s.KW*(s.C/max(s.Groups, 1)))
	var st *step
	var err error
	switch {
	case x.typ == format.Float32 && w.typ == format.Float32:
		st, err = bindConvF32(n, l, s, bias)
	case x.typ == format.Int8 && w.typ == format.Int8 && y.typ == format.Int8:
		st, err = bindConvS8(n, l, s, bias)
	case w.typ == format.Int8 && (x.typ == format.Int16 || x.typ == format.Float32 && w.quant != nil):
		rare := rareConv[x.typ]
		if rare == nil {
			return nil, n.errf("the kernel for %v activations with int8 weights is not in this program: import _ %q", x.typ, morePackage)
		}
		st, err = rare(n, l, s, bias)
	default:
		return nil, n.errf("no kernel for input %v, weights %v, output %v", x.typ, w.typ, y.typ)
	}
	if err != nil {
		return nil, err
	}
	st.macs = macs
	return st, nil
}

func bindConvF32(n *node, l kernels.Level, s kernels.ConvShape, bias *value) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	p := &kernels.ConvParams{Shape: s}
	var err error
	if codes := w.stored(); codes != nil {
		p.Codes = codes.root().data
		p.Blocks, err = codes.blocks(n)
	} else {
		p.Weights = w.constF32()
	}
	if err != nil {
		return nil, err
	}
	p.Lo, p.Hi = n.clampF32()
	if bias != nil {
		p.Bias = bias.constF32()
	}
	c, err := kernels.NewConv(l, p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	kernel := productKernel(l, s)
	switch {
	case s.Winograd():
		kernel = l.String() + " winograd"
	case c.Bits() > 0:
		kernel += " int" + strconv.Itoa(c.Bits()) + " blocks"
	}
	return &step{kernel: kernel, asm: l != kernels.Generic, weights: c.PackedBytes(), packed: true, tasks: c.Tasks(), scratch: c.Scratch(),
		run: func(m *mem, scratch []byte, t0, t1 int) { c.Run(m.f32(y), m.f32(x), scratch, t0, t1) }}, nil
}

// bindConvS8 binds int8 activations and weights (DESIGN: int8).
func bindConvS8(n *node, l kernels.Level, s kernels.ConvShape, bias *value) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	if x.quant == nil || w.quant == nil || y.quant == nil {
		return nil, n.errf("input, weights and output need a quantization")
	}
	p := &kernels.QConvParams{Shape: s, Weights: w.constI8(), InZero: x.zero(), OutZero: y.zero(), Scale: multipliers(x, w, y)}
	for i, z := range w.quant.Zero {
		if i > 0 && z != w.quant.Zero[0] {
			return nil, n.errf("weights with a zero point a channel have no kernel; quantize them symmetrically")
		}
		p.WeightZero = z
	}
	p.Lo, p.Hi = n.clampCodes(-128, 127)
	if bias != nil {
		p.Bias = bias.constI32()
	}
	if n.sum != nil {
		p.Add = n.sumParams()
	}
	c, err := kernels.NewQConv(l, p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	st := &step{kernel: productKernel(l, s), asm: l != kernels.Generic, weights: c.PackedBytes(), packed: true, tasks: c.Tasks(), scratch: c.Scratch()}
	if n.sum == nil {
		st.run = func(m *mem, scratch []byte, t0, t1 int) { c.Run(m.i8(y), m.i8(x), scratch, t0, t1) }
		return st, nil
	}
	residual, out := n.residual(), n.sum.out[0]
	st.in, st.out = append(slices.Clone(n.in), residual), []*value{out}
	st.run = func(m *mem, scratch []byte, t0, t1 int) {
		c.RunAdd(m.i8(out), m.i8(x), m.i8(residual), scratch, t0, t1)
	}
	return st, nil
}

// multipliers are m = float32(float64(sx)*float64(sw)/float64(sy)), one for
// all output channels or one a channel.
func multipliers(x, w, y *value) []float32 {
	m := make([]float32, len(w.quant.Scale))
	for i, sw := range w.quant.Scale {
		m[i] = float32(float64(x.scale()) * float64(sw) / float64(y.scale()))
	}
	return m
}

// productKernel names the kernel of a convolution for people.
func productKernel(l kernels.Level, s kernels.ConvShape) string {
	kind := "igemm"
	switch {
	case s.Groups > 1 && s.Groups == s.C && s.C == s.O:
		kind = "depthwise"
	case s.KH*s.KW == 1 && s.OH*s.OW*s.N == 1:
		kind = "gemv"
	case s.KH*s.KW == 1:
		kind = "gemm"
	}
	return l.String() + " " + kind
}

// bindConvHybrid binds float32 activations with int8 weights: a first step
// quantizes the activations, row by row or image by image, the second one
// multiplies. A depthwise convolution stays float32.
func bindConvHybrid(n *node, l kernels.Level, s kernels.ConvShape, bias *value) (*step, error) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	var b []float32
	if bias != nil {
		b = bias.constF32()
	}
	lo, hi := n.clampF32()
	if s.Groups > 1 && s.Groups == s.C {
		c, err := kernels.NewConv(l, &kernels.ConvParams{Shape: s, Weights: dequantized(w), Bias: b, Lo: lo, Hi: hi})
		if err != nil {
			return nil, n.errf("%v", err)
		}
		return &step{kernel: productKernel(l, s), asm: l != kernels.Generic, weights: c.PackedBytes(), packed: true, tasks: c.Tasks(), scratch: c.Scratch(),
			run: func(m *mem, scratch []byte, t0, t1 int) { c.Run(m.f32(y), m.f32(x), scratch, t0, t1) }}, nil
	}
	if zeroAt(w.quant, 0) != 0 {
		return nil, n.errf("hybrid weights with a zero point have no kernel; quantize them symmetrically")
	}
	c, err := kernels.NewQDyn(l, &kernels.QDynParams{Shape: s, Weights: w.constI8(), Scale: w.quant.Scale, Bias: b, Lo: lo, Hi: hi})
	if err != nil {
		return nil, n.errf("%v", err)
	}
	rows := c.Rows()
	depth := x.elems() / rows
	codes := &value{name: x.name + "/codes", typ: format.Int8, shape: x.shape, size: x.elems()}
	scale := &value{name: x.name + "/scale", typ: format.Float32, shape: format.Shape{rows}, size: 4 * rows}
	zero := &value{name: x.name + "/zero", typ: format.Int32, shape: format.Shape{rows}, size: 4 * rows}
	quantize := &step{in: []*value{x}, out: []*value{codes, scale, zero}, tasks: rows, run: func(m *mem, _ []byte, t0, t1 int) {
		src, dst, sc, ze := m.f32(x), m.i8(codes), m.f32(scale), m.i32(zero)
		for r := t0; r < t1; r++ {
			sc[r], ze[r] = kernels.QuantizeRowAt(l, dst[r*depth:(r+1)*depth], src[r*depth:(r+1)*depth])
		}
	}}
	quantize.named(l, "quantize rows")
	return &step{first: quantize, in: []*value{codes, scale, zero}, out: []*value{y},
		kernel: productKernel(l, s) + " hybrid", asm: l != kernels.Generic, weights: c.PackedBytes(), packed: true, tasks: c.Tasks(), scratch: c.Scratch(),
		run: func(m *mem, scratch []byte, t0, t1 int) {
			c.Run(m.f32(y), m.i8(codes), m.f32(scale), m.i32(zero), scratch, t0, t1)
		}}, nil
}

// dequantized returns int8 weights as real numbers.
func dequantized(w *value) []float32 {
	codes := w.constI8()
	r := make([]float32, len(codes))
	n := len(codes) / len(w.quant.Scale)
	for i, q := range codes {
		c := i / n
		r[i] = w.quant.Scale[c] * float32(int32(q)-zeroAt(w.quant, c))
	}
	return r
}

package onnx

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Convolutions, pools and normalizations.

func init() {
	register(map[string]row{
		"Conv": {2, conv}, "ConvTranspose": {2, convTranspose}, "ConvInteger": {2, convInteger},
		"MaxPool": {1, volume(maxPool)}, "AveragePool": {1, volume(averagePool)}, "LpPool": {1, volume(lpPool)},
		"GlobalAveragePool": {1, globalPool("ReduceMean")}, "GlobalMaxPool": {1, globalPool("ReduceMax")}, "GlobalLpPool": {1, globalLpPool},
		"BatchNormalization": {5, batchNorm}, "InstanceNormalization": {3, instanceNorm}, "GroupNormalization": {3, groupNorm},
		"LayerNormalization": {2, layerNorm}, "RMSNormalization": {2, rmsNorm}, "SimplifiedLayerNormalization": {2, rmsNorm},
		"LpNormalization": {1, lpNorm}, "MeanVarianceNormalization": {1, meanVariance}, "LRN": {1, lrn},
		"Resize": {1, resize}, "Upsample": {1, upsample}, "GridSample": {2, gridSample}, "AffineGrid": {2, affineGrid},
	})
}

// picture returns [N, C, W] or [N, C, H, W] as a tensor [N, H, W, C].
func (o *op) picture(x *value) *tensor {
	if r := x.rank(); r != 3 && r != 4 {
		o.fail("its input has the shape %v: only one and two spatial dimensions are possible", x.shape())
	}
	t := o.arrange(x, channelsLast(x.rank()))
	if len(t.shape) == 3 {
		t = o.reshape(t, format.Shape{t.shape[0], 1, t.shape[1], t.shape[2]})
	}
	return t
}

// pictured is the value that a result [N, H, W, C] is in the source.
func (o *op) pictured(t *tensor, rank int) *value {
	if rank == 3 {
		t = o.reshape(t, format.Shape{t.shape[0], t.shape[2], t.shape[3]})
	}
	return view(t, channelsLast(rank))
}

// window is the geometry that convolutions and pools share, by spatial
// dimension; always two of them.
type window struct {
	kernel, strides, dilations, before, after [2]int
}

// window reads the geometry for an input with the spatial dimensions size.
func (o *op) window(size, kernel format.Shape) window {
	w := window{kernel: [2]int{1, 1}, strides: [2]int{1, 1}, dilations: [2]int{1, 1}}
	n := len(size)
	if len(kernel) != n || n > 2 {
		o.fail("kernel %v for %d spatial dimensions", kernel, n)
	}
	read := func(name string, to *[2]int) {
		list := o.ints(name)
		if list == nil {
			return
		}
		if len(list) != n {
			o.fail("%s %v for %d spatial dimensions", name, list, n)
		}
		for i, v := range list {
			if v < 1 || v > maxElems {
				o.fail("%s %v", name, list)
			}
			to[2-n+i] = int(v)
		}
	}
	for i, k := range kernel {
		if k < 1 || k > maxTaps {
			o.fail("kernel %v", kernel)
		}
		w.kernel[2-n+i] = k
	}
	if w.kernel[0] > maxTaps/w.kernel[1] {
		o.fail("kernel %v: more than %d elements", kernel, maxTaps)
	}
	read("strides", &w.strides)
	read("dilations", &w.dilations)
	pads := o.ints("pads")
	if pads != nil && len(pads) != 2*n {
		o.fail("pads %v for %d spatial dimensions", pads, n)
	}
	auto := o.str("auto_pad", "NOTSET")
	for i, d := range size {
		k := 2 - n + i
		span := (w.kernel[k]-1)*w.dilations[k] + 1
		switch auto {
		case "NOTSET", "":
			if pads != nil {
				if min(pads[i], pads[i+n]) < 0 || max(pads[i], pads[i+n]) > maxElems {
					o.fail("pads %v", pads)
				}
				w.before[k], w.after[k] = int(pads[i]), int(pads[i+n])
			}
		case "VALID":
		case "SAME_UPPER", "SAME_LOWER":
			out := (d + w.strides[k] - 1) / w.strides[k]
			total := max((out-1)*w.strides[k]+span-d, 0)
			w.before[k], w.after[k] = total/2, total-total/2
			if auto == "SAME_LOWER" {
				w.before[k], w.after[k] = w.after[k], w.before[k]
			}
		default:
			o.fail("auto_pad %q", auto)
		}
	}
	return w
}

func list(v ...int) []int64 { return dims(v) }

func (w *window) pads() []int64 { return list(w.before[0], w.before[1], w.after[0], w.after[1]) }

func conv(o *op) []*value {
	var b *tensor
	if o.has(2) {
		b = o.plain(o.in[2])
	}
	return result(o.convolve(o.in[0], o.in[1], b))
}

// stored reports whether a tensor is constant, as floats or as codes.
func (c *converter) stored(t *tensor) bool {
	q := c.dequantized(t)
	return t.isConst() || q != nil && q.isConst()
}

// convolve adds a Conv with weights [O, C/group, kernel...].
func (o *op) convolve(x, w *value, b *tensor) *value {
	ws := w.shape()
	if len(ws) != x.rank() {
		o.fail("weights %v for an input %v", ws, x.shape())
	}
	if x.rank() == 5 {
		return o.convolveVolume(x, w, b)
	}
	t, k := o.picture(x), o.picture(w)
	if !o.stored(k) {
		o.fixed(1, "weights are packed before the model runs")
		o.fail("weights that are computed")
	}
	g := o.window(x.shape()[2:], ws[2:])
	attrs := format.Attrs{"strides": dims(g.strides[:]), "dilations": dims(g.dilations[:]), "pads": g.pads(), "group": o.int("group", 1)}
	return o.pictured(o.product("Conv", attrs, t, k, b), x.rank())
}

// convolveVolume is a convolution of [N, C, D, H, W]: one of pictures whose
// channels are those of all the planes that a position in D sees.
func (o *op) convolveVolume(x, w *value, b *tensor) *value {
	group := int(o.int("group", 1))
	ws, s := w.shape(), x.shape()
	if !o.stored(o.plain(w)) {
		o.fixed(1, "weights are packed before the model runs")
	}
	if group < 1 || s[1] != ws[1]*group {
		o.fail("weights %v in %d groups for an input %v", ws, group, s)
	}
	depth := o.part(0, 1, nil)
	g := depth.window(s[2:3], ws[2:3])
	planes := ws[2]
	x = o.pad(x, []int64{0, 0, int64(g.before[1]), 0, 0}, []int64{0, 0, int64(g.after[1]), 0, 0}, "constant", 0)
	out := format.ConvOut(s[2], planes, g.strides[1], g.dilations[1], g.before[1], g.after[1])
	if out < 1 {
		o.fail("a kernel %v does not fit into %v", ws[2:], s)
	}
	var seen []*tensor // [N, out, H, W, group, 1, C/group] for every plane
	for k := range planes {
		from := int64(k * g.dilations[1])
		p := o.cut(x, 2, from, from+int64((out-1)*g.strides[1]+1), int64(g.strides[1]))
		t := o.arrange(p, channelsLast(5))
		seen = append(seen, o.reshape(t, format.Shape{s[0] * out, s[3], s[4], group, 1, ws[1]}))
	}
	t := seen[0]
	if planes > 1 {
		t = o.move("Concat", format.Attrs{"axis": int64(4)}, seen...)
	}
	t = o.reshape(t, format.Shape{s[0] * out, s[3], s[4], s[1] * planes})
	// Weights [O, C/group, KD, KH, KW] as [O, KD*C/group, KH, KW].
	k := o.arrange(w, []int{0, 2, 1, 3, 4})
	k = o.reshape(k, format.Shape{ws[0], planes * ws[1], ws[3], ws[4]})
	flat := o.part(1, 3, nil)
	y := o.arrange(flat.convolve(view(t, channelsLast(4)), &value{t: k}, b), channelsLast(4))
	return view(o.reshape(y, format.Shape{s[0], out, y.shape[1], y.shape[2], ws[0]}), channelsLast(5))
}

// product adds a Conv or Gemm; a bias that is computed is added behind it.
func (c *converter) product(op string, attrs format.Attrs, x, w, b *tensor) *tensor {
	if b != nil && !c.stored(b) {
		y := c.emit(op, attrs, format.Float32, nil, x, w)
		return c.emit("Add", nil, format.Float32, nil, y, b)
	}
	return c.emit(op, attrs, format.Float32, nil, x, w, b)
}

// convInteger convolves exactly: the sums of its codes are integers below 2^24
// for every kernel of up to 2^8 taps and channels, which float32 holds.
func convInteger(o *op) []*value {
	x, w := o.cast(o.in[0], format.Float32), o.cast(o.in[1], format.Float32)
	if o.has(2) {
		x = o.binary("Sub", x, o.cast(o.in[2], format.Float32))
	}
	if o.has(3) {
		if o.in[3].t.shape.Elems() != 1 {
			o.fail("a zero point for every channel of the weights")
		}
		w = o.binary("Sub", w, o.cast(o.in[3], format.Float32))
	}
	if taps := w.shape()[min(1, w.rank()):].Elems(); taps > 1<<8 {
		o.fail("sums of %d products may not be exact", taps)
	}
	return result(o.cast(o.convolve(x, w, nil), format.Int32))
}

// convTranspose spreads the input with zeros between its elements and convolves
// with the mirrored kernel, which gives the same sums.
func convTranspose(o *op) []*value {
	x, w := o.in[0], o.in[1]
	ws, group := w.shape(), int(o.int("group", 1))
	if len(ws) != x.rank() || len(ws) < 3 || group < 1 || ws[0] != x.shape()[1] || ws[0]%group != 0 {
		o.fail("weights %v in %d groups for an input %v", ws, group, x.shape())
	}
	rank, size := x.rank(), x.shape()[2:]
	if rank == 5 {
		return convTransposeVolume(o)
	}
	t := o.picture(x)
	k := o.picture(o.cast(w, format.Float32)) // [C, KH, KW, M/group]
	if !k.isConst() {
		o.fixed(1, "weights are packed before the model runs")
		o.fail("quantized weights")
	}
	auto := o.str("auto_pad", "NOTSET")
	g := o.windowTransposed(size, ws[2:], auto)
	out, plain := g.transposed(t.shape), group == 1 && g.dilations == [2]int{1, 1} && (!o.has(2) || o.plain(o.in[2]).isConst() && o.in[2].t.shape.Elems() == k.shape[3])
	if p, ok := net.NewPhases(g.kernel[:], g.strides[:], g.before[:], t.shape[1:3], out); ok && plain && slices.Min(out) > 0 {
		return result(o.pictured(o.phases(t, k, &p, g), rank))
	}
	// Weights [M, KH, KW, C/group], upside down.
	c, kh, kw, m := k.shape[0], k.shape[1], k.shape[2], k.shape[3]
	per := c / group
	v, flat := float32s(k), make([]float32, 0, c*kh*kw*m)
	for o := range m * group {
		for i := range kh {
			for j := range kw {
				for ch := range per {
					src := (o/m)*per + ch
					flat = append(flat, v[((src*kh+kh-1-i)*kw+kw-1-j)*m+o%m])
				}
			}
		}
	}
	flipped := o.floats(format.Shape{m * group, kh, kw, per}, flat...)
	// Zeros: [N, H, 1, W, 1, C] padded to [N, H, sh, W, sw, C].
	n, h, wd := t.shape[0], t.shape[1], t.shape[2]
	sh, sw := g.strides[0], g.strides[1]
	if sh*sw > 1 {
		t = o.reshape(t, format.Shape{n, h, 1, wd, 1, c})
		t = o.pad(&value{t: t}, make([]int64, 6), []int64{0, 0, int64(sh - 1), 0, int64(sw - 1), 0}, "constant", 0).t
		t = o.reshape(t, format.Shape{n, h * sh, wd * sw, c})
	}
	// Borders of a full convolution, less the pads and the zeros behind the last
	// element; what is negative is cut off.
	before, after := make([]int64, 4), make([]int64, 4)
	pads := make([]int64, 4)
	for i := range 2 {
		full := (g.kernel[i] - 1) * g.dilations[i]
		b, a := full-g.before[i], full-g.after[i]-(g.strides[i]-1)
		before[i+1], after[i+1] = int64(min(b, 0)), int64(min(a, 0))
		pads[i], pads[i+2] = int64(max(b, 0)), int64(max(a, 0))
	}
	t = o.pad(&value{t: t}, before, after, "constant", 0).t
	var b *tensor
	if o.has(2) {
		b = o.plain(o.in[2])
	}
	attrs := format.Attrs{"dilations": dims(g.dilations[:]), "pads": pads, "group": int64(group)}
	return result(o.pictured(o.product("Conv", attrs, t, flipped, b), rank))
}

// transposed returns the spatial sizes of a transposed convolution's result.
func (g *window) transposed(in format.Shape) []int {
	var out []int
	for i, k := range g.kernel {
		out = append(out, (in[1+i]-1)*g.strides[i]+(k-1)*g.dilations[i]+1-g.before[i]-g.after[i])
	}
	return out
}

// phases is a transposed convolution of t with the kernel k, [C, KH, KW, M], in
// [net.Phases].
func (o *op) phases(t, k *tensor, p *net.Phases, g window) *tensor {
	c, taps, m := k.shape[0], k.shape[1]*k.shape[2], k.shape[3]
	v, rows := float32s(k), make([]byte, 0, 4*c*taps*m)
	for o := range m {
		for i := range taps {
			for ch := range c {
				rows = binary.LittleEndian.AppendUint32(rows, math.Float32bits(v[(ch*taps+i)*m+o]))
			}
		}
	}
	packed := p.Weights(rows, m, 4*c)
	w := make([]float32, len(packed)/4)
	for i := range w {
		w[i] = math.Float32frombits(binary.LittleEndian.Uint32(packed[4*i:]))
	}
	var b *tensor
	if o.has(2) {
		b = o.floats(format.Shape{m * p.Copies()}, slices.Repeat(float32s(o.plain(o.in[2])), p.Copies())...)
	}
	attrs := format.Attrs{"pads": list(p.Before[0], p.Before[1], p.After[0], p.After[1]), "group": int64(1)}
	y := o.product("Conv", attrs, t, o.floats(format.Shape{m * p.Copies(), p.Kernel[0], p.Kernel[1], c}, w...), b)
	shape, perm, flat := p.Spread(y.shape[0], y.shape[1:3], m)
	y = o.reshape(o.transpose(o.reshape(y, shape), perm), flat)
	for i, size := range g.transposed(t.shape) {
		y = o.cut(&value{t: y}, 1+i, 0, int64(size), 1).t
	}
	return y
}

// windowTransposed reads the geometry of ConvTranspose. output_padding counts as
// less padding behind.
func (o *op) windowTransposed(size, kernel format.Shape, auto string) window {
	plain := *o
	plain.n = &nodeProto{attrs: slices.DeleteFunc(slices.Clone(o.n.attrs), func(a *attrProto) bool { return a.name == "auto_pad" })}
	g := plain.window(size, kernel)
	n := len(size)
	extra, shape := o.ints("output_padding"), o.ints("output_shape")
	if len(shape) > n {
		shape = shape[len(shape)-n:]
	}
	if extra != nil && len(extra) != n || shape != nil && len(shape) != n {
		o.fail("output_padding %v and output_shape %v for %d spatial dimensions", extra, shape, n)
	}
	for i, d := range size {
		k := 2 - n + i
		add := 0
		if extra != nil {
			add = int(extra[i])
		}
		full := (d-1)*g.strides[k] + (g.kernel[k]-1)*g.dilations[k] + 1 + add
		switch {
		case shape != nil || auto == "SAME_UPPER" || auto == "SAME_LOWER":
			want := d * g.strides[k]
			if shape != nil {
				want = int(shape[i])
			}
			total := full - want
			g.before[k], g.after[k] = total/2, total-total/2
			if auto == "SAME_LOWER" || auto == "NOTSET" {
				g.before[k], g.after[k] = g.after[k], g.before[k]
			}
			if total < 0 { // no padding can make it that large: zeros follow
				g.before[k], g.after[k] = 0, total
			}
		case auto == "VALID":
			g.before[k], g.after[k] = 0, 0
		}
		g.after[k] -= add
	}
	return g
}

// pooled is a pool's geometry, with the padding that ceil_mode adds behind.
func (o *op) pooled(x *value) (window, [2]int) {
	var kernel format.Shape
	for _, k := range o.ints("kernel_shape") {
		kernel = append(kernel, int(min(max(k, 0), maxElems)))
	}
	if r := x.rank(); r != 3 && r != 4 {
		o.fail("its input has the shape %v: only one to three spatial dimensions are possible", x.shape())
	}
	size := x.shape()[2:]
	g := o.window(size, kernel)
	var extra [2]int
	if o.int("ceil_mode", 0) == 0 {
		return g, extra
	}
	for i, d := range size {
		k := 2 - len(size) + i
		whole, span := d+g.before[k]+g.after[k], (g.kernel[k]-1)*g.dilations[k]+1
		out := (whole-span+g.strides[k]-1)/g.strides[k] + 1
		if (out-1)*g.strides[k] >= d+g.before[k] {
			out-- // a window may not start in the padding behind
		}
		extra[k] = max((out-1)*g.strides[k]+span-whole, 0)
	}
	return g, extra
}

func (g *window) attrs(extra [2]int) format.Attrs {
	g.after[0] += extra[0]
	g.after[1] += extra[1]
	a := format.Attrs{"kernel_shape": dims(g.kernel[:]), "strides": dims(g.strides[:]), "pads": g.pads()}
	if g.dilations != [2]int{1, 1} {
		a["dilations"] = dims(g.dilations[:])
	}
	return a
}

// volume pools [N, C, D, H, W]: over H and W, then over D, which gives the same
// maxima, means and norms.
func volume(pool func(*op) []*value) func(*op) []*value {
	return func(o *op) []*value {
		x := o.in[0]
		if x.rank() != 5 || len(o.n.outputs) > 1 {
			return pool(o)
		}
		t := o.arrange(x, channelsLast(5))
		s := t.shape
		y := pool(o.part(1, 3, view(o.reshape(t, format.Shape{s[0] * s[1], s[2], s[3], s[4]}), channelsLast(4))))[0]
		t = o.arrange(y, channelsLast(4))
		h, w := t.shape[1], t.shape[2]
		y = pool(o.part(0, 1, view(o.reshape(t, format.Shape{s[0], s[1], h * w * s[4]}), channelsLast(3))))[0]
		t = o.arrange(y, channelsLast(3))
		return result(view(o.reshape(t, format.Shape{s[0], t.shape[1], h, w, s[4]}), channelsLast(5)))
	}
}

// part is the node applied to x with its spatial attributes of the dimensions
// [from, to) of three.
func (o *op) part(from, to int, x *value) *op {
	n := *o.n
	n.attrs = nil
	for _, a := range o.n.attrs {
		a := *o.resolve(a)
		switch {
		case a.name == "pads" && len(a.ints) == 6:
			a.ints = slices.Concat(a.ints[from:to], a.ints[3+from:3+to])
		case len(a.ints) == 3:
			a.ints = a.ints[from:to]
		}
		n.attrs = append(n.attrs, &a)
	}
	p := *o
	p.n, p.in = &n, []*value{x}
	return &p
}

func maxPool(o *op) []*value {
	x := o.in[0]
	if o.wants(1) {
		if x.rank() < 3 {
			o.fail("its input has the shape %v", x.shape())
		}
		return maxPoolIndices(o)
	}
	g, extra := o.pooled(x)
	if x.typ().Bits() == 8 && x.t.quant == nil { // plain bytes, which float32 holds exactly
		t := o.picture(o.cast(x, format.Float32))
		y := o.pictured(o.emit("MaxPool", g.attrs(extra), format.Float32, nil, t), x.rank())
		return result(o.cast(y, x.typ()))
	}
	return result(o.pictured(o.move("MaxPool", g.attrs(extra), o.picture(x)), x.rank()))
}

func averagePool(o *op) []*value {
	g, extra := o.pooled(o.in[0])
	t := o.picture(o.in[0])
	if o.int("count_include_pad", 0) != 0 {
		t = o.padded(t, &g)
	}
	return result(o.pictured(o.emit("AveragePool", g.attrs(extra), format.Float32, nil, t), o.in[0].rank()))
}

// padded pads a picture with the zeros of a window, which then count.
func (o *op) padded(t *tensor, g *window) *tensor {
	t = o.pad(&value{t: t}, []int64{0, int64(g.before[0]), int64(g.before[1]), 0}, []int64{0, int64(g.after[0]), int64(g.after[1]), 0}, "constant", 0).t
	g.before, g.after = [2]int{}, [2]int{}
	return t
}

// lpPool is the p-norm of every window.
func lpPool(o *op) []*value {
	x := o.in[0]
	g, extra := o.pooled(x)
	if extra != [2]int{} {
		o.fail("ceil_mode")
	}
	p := float64(o.int("p", 2))
	t := o.padded(o.picture(o.each("Abs", nil, format.Float32, x)), &g)
	y := &value{t: o.emit("Pow", nil, format.Float32, nil, t, o.scalar(format.Float32, p))}
	y = &value{t: o.emit("AveragePool", g.attrs(extra), format.Float32, nil, y.t)}
	y = o.mul(y, o.real(float64(g.kernel[0]*g.kernel[1])))
	y = o.binary("Pow", y, o.real(1/p))
	return result(o.pictured(y.t, x.rank()))
}

// spatial is the axes behind batch and channels.
func (o *op) spatial(x *value) []int {
	if x.rank() < 3 {
		o.fail("its input has the shape %v", x.shape())
	}
	return identity(x.rank())[2:]
}

func globalPool(name string) func(*op) []*value {
	return func(o *op) []*value { return result(o.reduce(name, o.in[0], o.spatial(o.in[0]), true)) }
}

func globalLpPool(o *op) []*value {
	p := o.real(float64(o.int("p", 2)))
	y := o.binary("Pow", o.each("Abs", nil, format.Float32, o.in[0]), p)
	y = o.reduce("ReduceSum", y, o.spatial(o.in[0]), true)
	return result(o.binary("Pow", y, o.binary("Div", o.real(1), p)))
}

// channel shapes [C] so that it broadcasts along axis 1 of a tensor.
func (c *converter) channel(v *value, rank int) *value {
	s := make(format.Shape, max(rank-1, 1))
	for i := range s {
		s[i] = 1
	}
	s[0] = v.t.shape.Elems()
	return &value{t: c.reshape(c.plain(v), s)}
}

// batchNorm is a factor and an offset a channel. Where they are constant and the
// input comes from a convolution that nobody else reads, they go into its
// weights.
func batchNorm(o *op) []*value {
	x := o.in[0]
	if x.rank() < 2 {
		o.fail("its input %v has no channels", x.shape())
	}
	if o.int("spatial", 1) == 0 {
		o.fail("spatial 0: export the model with opset 9 or above")
	}
	if o.int("training_mode", 0) != 0 {
		return o.batchNormTraining()
	}
	eps := o.float("epsilon", 1e-5)
	constant := true
	for _, v := range o.in[1:5] {
		constant = constant && v.t.isConst() && v.typ() == format.Float32
	}
	if !constant {
		return result(o.normalized(x, o.channel(o.in[3], x.rank()), o.channel(o.in[4], x.rank()), eps, o.channel(o.in[1], x.rank()), o.channel(o.in[2], x.rank())))
	}
	scale, bias, mean, variance := float32s(o.in[1].t), float32s(o.in[2].t), float32s(o.in[3].t), float32s(o.in[4].t)
	n := len(scale)
	if len(bias) != n || len(mean) != n || len(variance) != n || x.shape()[1] != n {
		o.fail("its parameters do not fit an input %v", x.shape())
	}
	mul, add := make([]float64, n), make([]float64, n)
	for i := range mul {
		mul[i] = float64(scale[i]) / math.Sqrt(float64(variance[i])+eps)
		add[i] = float64(bias[i]) - float64(mean[i])*mul[i]
	}
	if y := o.intoWeights(x, mul, add); y != nil {
		return result(y)
	}
	m, a := make([]float32, n), make([]float32, n)
	for i := range m {
		m[i], a[i] = float32(mul[i]), float32(add[i])
	}
	y := o.mul(x, o.channel(&value{t: o.floats(format.Shape{n}, m...)}, x.rank()))
	return result(o.add(y, o.channel(&value{t: o.floats(format.Shape{n}, a...)}, x.rank())))
}

// batchNormTraining normalizes by the batch's own mean and variance; the other
// outputs are the running ones.
func (o *op) batchNormTraining() []*value {
	x := o.in[0]
	axes := append([]int{0}, identity(x.rank())[2:]...)
	mean := o.reduce("ReduceMean", x, axes, true)
	d := o.binary("Sub", x, mean)
	variance := o.reduce("ReduceMean", o.mul(d, d), axes, true)
	y := o.normalized(x, mean, variance, o.float("epsilon", 1e-5), o.channel(o.in[1], x.rank()), o.channel(o.in[2], x.rank()))
	momentum := o.float("momentum", 0.9)
	running := func(old, now *value) *value {
		now = &value{t: o.reshape(o.plain(now), old.shape())}
		return o.add(o.mul(old, o.real(momentum)), o.mul(now, o.real(1-momentum)))
	}
	return []*value{y, running(o.in[3], mean), running(o.in[4], variance)}
}

// intoWeights folds a factor and an offset a channel into the Conv or Gemm that
// computes x, nil if there is none.
func (o *op) intoWeights(x *value, mul, add []float64) *value {
	n := x.t.def
	if n == nil || n.op != "Conv" && n.op != "Gemm" || o.uses[o.n.inputs[0]] != 1 || !n.in[1].isConst() ||
		n.in[1].shape[0] != len(mul) || x.where(1) != len(x.t.shape)-1 || len(n.in) > 2 && !n.in[2].isConst() {
		return nil
	}
	w := float32s(n.in[1])
	b := make([]float32, len(mul))
	per := len(w) / len(mul)
	for i, m := range mul {
		for k := range w[i*per:][:per] {
			w[i*per+k] = float32(float64(w[i*per+k]) * m)
		}
		old := 0.0
		if len(n.in) > 2 {
			old = float64(float32s(n.in[2])[i])
		}
		b[i] = float32(old*m + add[i])
	}
	folded := o.floats(n.in[1].shape, w...)
	folded.name = n.in[1].name
	return &value{t: o.emit(n.op, n.attrs, format.Float32, nil, n.in[0], folded, o.floats(format.Shape{len(b)}, b...)), perm: x.perm}
}

// normalized is (x - mean) / sqrt(variance + eps) · scale + bias.
func (o *op) normalized(x, mean, variance *value, eps float64, scale, bias *value) *value {
	y := o.binary("Div", o.binary("Sub", x, mean), o.each("Sqrt", nil, format.Float32, o.add(variance, o.real(eps))))
	if scale != nil {
		y = o.mul(y, scale)
	}
	if bias != nil {
		y = o.add(y, bias)
	}
	return y
}

// moments returns the mean and variance over axes, which are kept.
func (o *op) moments(x *value, axes []int) (mean, variance *value) {
	mean = o.reduce("ReduceMean", x, axes, true)
	d := o.binary("Sub", x, mean)
	return mean, o.reduce("ReduceMean", o.mul(d, d), axes, true)
}

func instanceNorm(o *op) []*value {
	x := o.in[0]
	mean, variance := o.moments(x, o.spatial(x))
	return result(o.normalized(x, mean, variance, o.float("epsilon", 1e-5), o.channel(o.in[1], x.rank()), o.channel(o.in[2], x.rank())))
}

// groupNorm normalizes groups of channels: [N, groups, the rest].
func groupNorm(o *op) []*value {
	x := o.in[0]
	s := x.shape()
	groups := int(o.int("num_groups", 0))
	if x.rank() < 3 || groups < 1 || s[1]%groups != 0 {
		o.fail("%d groups for an input %v", groups, s)
	}
	t := &value{t: o.reshape(o.plain(x), format.Shape{s[0], groups, s[1:].Elems() / groups})}
	mean, variance := o.moments(t, []int{2})
	y := o.normalized(t, mean, variance, o.float("epsilon", 1e-5), nil, nil)
	scale, bias := o.in[1], o.in[2]
	if o.opset < 21 { // one a group
		each := func(v *value) *value {
			v = o.insert(v, []int{1})
			v = o.expand(v, list(groups, s[1]/groups))
			return &value{t: o.reshape(o.plain(v), format.Shape{s[1]})}
		}
		scale, bias = each(scale), each(bias)
	}
	y = &value{t: o.reshape(y.t, s)}
	return result(o.add(o.mul(y, o.channel(scale, x.rank())), o.channel(bias, x.rank())))
}

// rows returns x as [..., n] with all dimensions from the axis on in one.
func (o *op) rows(x *value, axis int64) (t *tensor, s format.Shape, n int) {
	s = x.shape()
	a := o.axis(axis, len(s))
	n = s[a:].Elems()
	return o.reshape(o.plain(x), append(slices.Clone(s[:a]), n)), s, n
}

// flat returns a scale or bias as [n].
func (o *op) flat(k int, s format.Shape, n int) *tensor {
	if !o.has(k) {
		return nil
	}
	v := o.in[k]
	if v.t.shape.Elems() != n && v.rank() <= len(s) {
		v = o.expand(v, dims(s[len(s)-max(v.rank(), 1):]))
	}
	if v.t.shape.Elems() != n {
		o.fail("input %d has the shape %v", k, v.shape())
	}
	return o.reshape(o.plain(v), format.Shape{n})
}

func layerNorm(o *op) []*value {
	x, eps := o.in[0], o.float("epsilon", 1e-5)
	t, s, n := o.rows(x, o.int("axis", -1))
	y := o.emit("LayerNormalization", format.Attrs{"epsilon": eps}, format.Float32, nil, t, o.flat(1, s, n), o.flat(2, s, n))
	out := plainResult(o.reshape(y, s))
	if o.wants(1) || o.wants(2) {
		var axes []int
		for i := o.axis(o.int("axis", -1), len(s)); i < len(s); i++ {
			axes = append(axes, i)
		}
		mean, variance := o.moments(x, axes)
		deviation := o.each("Sqrt", nil, format.Float32, o.add(variance, o.real(eps)))
		out = append(out, mean, o.binary("Div", o.real(1), deviation))
	}
	return out
}

func rmsNorm(o *op) []*value {
	t, s, n := o.rows(o.in[0], o.int("axis", -1))
	y := o.emit("RMSNormalization", format.Attrs{"epsilon": o.float("epsilon", 1e-5)}, format.Float32, nil, t, o.flat(1, s, n))
	return plainResult(o.reshape(y, s))
}

// lpNorm divides by the norm along the axis; where that is zero the result is.
func lpNorm(o *op) []*value {
	x := o.in[0]
	a := []int{o.axis(o.int("axis", -1), x.rank())}
	var norm *value
	switch p := o.int("p", 2); p {
	case 1:
		norm = o.reduce("ReduceSum", o.each("Abs", nil, format.Float32, x), a, true)
	case 2:
		norm = o.each("Sqrt", nil, format.Float32, o.reduce("ReduceSum", o.mul(x, x), a, true))
	default:
		o.fail("p %d", p)
	}
	zero := o.logic("Equal", norm, o.real(0))
	return result(o.binary("Div", x, o.where(zero, o.real(1), norm)))
}

func meanVariance(o *op) []*value {
	x := o.in[0]
	axes := []int64{0, 2, 3}
	if l := o.ints("axes"); l != nil {
		axes = l
	}
	mean, variance := o.moments(x, o.axes(axes, x.rank()))
	d := o.each("Sqrt", nil, format.Float32, variance)
	return result(o.binary("Div", o.binary("Sub", x, mean), o.add(d, o.real(1e-9))))
}

// lrn divides by the sum of squares of the neighbouring channels: an average
// over them, with zeros around, as a pool along the channels.
func lrn(o *op) []*value {
	x := o.in[0]
	n := int(o.int("size", 1))
	if x.rank() < 2 {
		o.fail("its input has the shape %v", x.shape())
	}
	t := o.arrange(x, channelsLast(x.rank())) // [..., C]
	s := t.shape
	c := s[len(s)-1]
	if n < 1 || n > maxFold {
		o.fail("size %d", n)
	}
	sq := o.reshape(o.emit("Mul", nil, format.Float32, nil, t, t), format.Shape{s.Elems() / c, c, 1, 1})
	before, after := int64((n-1)/2), int64(n-1-(n-1)/2)
	sq = o.pad(&value{t: sq}, []int64{0, before, 0, 0}, []int64{0, after, 0, 0}, "constant", 0).t
	avg := o.emit("AveragePool", format.Attrs{"kernel_shape": list(n, 1)}, format.Float32, nil, sq)
	d := o.add(o.mul(&value{t: o.reshape(avg, s)}, o.real(o.float("alpha", 1e-4))), o.real(o.float("bias", 1)))
	d = o.binary("Pow", d, o.real(o.float("beta", 0.75)))
	return result(view(o.emit("Div", nil, format.Float32, nil, t, d.t), channelsLast(x.rank())))
}

func upsample(o *op) []*value {
	x := o.in[0]
	var scales []float64
	if a := o.attr("scales"); a != nil {
		for _, v := range a.floats {
			scales = append(scales, float64(v))
		}
	} else if o.attr("height_scale") != nil {
		scales = []float64{1, 1, o.float("height_scale", 1), o.float("width_scale", 1)}
	} else if o.has(1) {
		for _, v := range o.fixedFloats(1) {
			scales = append(scales, float64(v))
		}
	}
	mode := o.str("mode", "nearest")
	return result(o.resize(x, identity(x.rank()), scales, nil, format.Attrs{
		"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}))
}

func resize(o *op) []*value {
	x := o.in[0]
	axes := identity(x.rank())
	if l := o.ints("axes"); l != nil {
		axes = o.axes(l, x.rank())
	}
	roi, sc, sz := 1, 2, 3
	if o.opset < 11 {
		roi, sc, sz = -1, 1, 4
	}
	attrs := format.Attrs{
		"mode": o.str("mode", "nearest"), "nearest_mode": o.str("nearest_mode", "round_prefer_floor"),
		"coordinate_transformation_mode": o.str("coordinate_transformation_mode", "half_pixel"),
		"cubic_coeff_a":                  o.float("cubic_coeff_a", -0.75), "exclude_outside": o.int("exclude_outside", 0),
		"antialias": o.int("antialias", 0), "extrapolation_value": o.float("extrapolation_value", 0),
	}
	if o.opset < 11 {
		attrs["coordinate_transformation_mode"], attrs["nearest_mode"] = "asymmetric", "floor"
	}
	if attrs["coordinate_transformation_mode"] == "tf_crop_and_resize" {
		region := o.fixedFloats(roi)
		if len(region) != 2*len(axes) {
			o.fail("a region of %d numbers for %d axes", len(region), len(axes))
		}
		all := make([]float64, 2*x.rank())
		for i := range x.rank() {
			all[x.rank()+i] = 1
		}
		for i, a := range axes {
			all[x.where(a)], all[x.rank()+x.where(a)] = float64(region[i]), float64(region[i+len(axes)])
		}
		attrs["roi"] = all
	}
	var scales []float64
	if o.has(sc) && !o.in[sc].t.empty() {
		for _, v := range o.fixedFloats(sc) {
			scales = append(scales, float64(v))
		}
	}
	var sizes []int64
	if scales == nil {
		sizes = o.fixedInts(sz)
	}
	if len(scales) == 0 && len(sizes) != len(axes) || len(scales) > 0 && len(scales) != len(axes) {
		o.fail("%d scales and %d sizes for %d axes", len(scales), len(sizes), len(axes))
	}
	if policy := o.str("keep_aspect_ratio_policy", "stretch"); sizes != nil && policy != "stretch" {
		scale := 0.0
		for i, a := range axes {
			s := float64(sizes[i]) / float64(x.shape()[a])
			if i == 0 || policy == "not_larger" && s < scale || policy == "not_smaller" && s > scale {
				scale = s
			}
		}
		for i, a := range axes {
			scales = append(scales, scale)
			sizes[i] = int64(math.Floor(scale*float64(x.shape()[a]) + 0.5))
		}
	}
	return result(o.resize(x, axes, scales, sizes, attrs))
}

// resize adds a Resize: in the layout of x, with one scale and size a dimension.
func (o *op) resize(x *value, axes []int, scales []float64, sizes []int64, attrs format.Attrs) *value {
	r := x.rank()
	size, scale := make([]int64, r), make([]float64, r)
	for i, d := range x.t.shape {
		size[i], scale[i] = int64(d), 1
	}
	for i, a := range axes {
		k := x.where(a)
		d := x.t.shape[k]
		switch {
		case sizes != nil && scales != nil:
			size[k], scale[k] = sizes[i], scales[i]
		case sizes != nil:
			size[k], scale[k] = sizes[i], float64(sizes[i])/float64(d)
		default:
			if i >= len(scales) || !(scales[i] > 0) || scales[i] > maxElems {
				o.fail("scales %v", scales)
			}
			size[k], scale[k] = int64(math.Floor(float64(d)*scales[i])), scales[i]
		}
	}
	for _, n := range size {
		if n > maxTaps {
			o.fail("sizes %v: the weights of %d positions would be kept", size, n)
		}
	}
	attrs["sizes"], attrs["scales"] = size, scale
	switch attrs["mode"] {
	case "bilinear":
		attrs["mode"] = "linear"
	case "nearest":
		if s := o.dequantized(x.t); s != nil {
			return &value{t: o.move("Resize", attrs, x.t), perm: x.perm}
		}
	}
	return &value{t: o.emit("Resize", attrs, x.typ(), x.t.quant, x.t), perm: x.perm}
}

func gridSample(o *op) []*value {
	if o.in[0].rank() == 5 {
		return gridSampleVolume(o)
	}
	if o.in[0].rank() != 4 {
		o.fail("its input has the shape %v", o.in[0].shape())
	}
	mode := o.str("mode", "linear")
	switch mode {
	case "bilinear":
		mode = "linear"
	case "bicubic":
		mode = "cubic"
	}
	t := o.arrange(o.in[0], channelsLast(4))
	y := o.emit("GridSample", format.Attrs{"mode": mode, "padding_mode": o.str("padding_mode", "zeros"), "align_corners": o.int("align_corners", 0)},
		format.Float32, nil, t, o.plain(o.in[1]))
	return result(view(y, channelsLast(4)))
}

// affineGrid is a product of the positions of the result with each matrix.
func affineGrid(o *op) []*value {
	size := o.fixedInts(1)
	theta := o.plain(o.in[0])
	n := len(size) - 2
	if n < 2 || n > 3 || len(theta.shape) != 3 || theta.shape[1] != n || theta.shape[2] != n+1 {
		o.fail("theta %v for a size %v", theta.shape, size)
	}
	points := 1
	for _, d := range size[2:] {
		if d < 1 || d > maxFold || points > maxFold/int(d) {
			o.fail("size %v", size)
		}
		points *= int(d)
	}
	grid := make([]float32, 0, points*(n+1))
	for p := range points {
		row, rest := make([]float32, n+1), p
		for i := n - 1; i >= 0; i-- { // x is the innermost axis and comes first
			d := int(size[2+i])
			k := float64(rest % d)
			rest /= d
			v := 0.0
			if o.int("align_corners", 0) == 0 {
				v = (2*k+1)/float64(d) - 1
			} else if d > 1 {
				v = 2*k/float64(d-1) - 1
			} else {
				v = -1
			}
			row[n-1-i] = float32(v)
		}
		row[n] = 1
		grid = append(grid, row...)
	}
	base := &value{t: o.floats(format.Shape{points, n + 1}, grid...)}
	y := o.matmul(base, view(o.transpose(theta, []int{0, 2, 1}), identity(3)))
	s := format.Shape{theta.shape[0]}
	for _, d := range size[2:] {
		s = append(s, int(d))
	}
	return plainResult(o.reshape(o.plain(y), append(s, n)))
}

package keras

import (
	"maps"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	separable := func(l *layer) []*variable {
		if l.cfg.bool("use_bias", true) {
			return own("depthwise_kernel", "pointwise_kernel", "bias")
		}
		return own("depthwise_kernel", "pointwise_kernel")
	}
	for name, r := range map[string]row{
		"Conv1D": {vars: kernelBias, call: conv(1)}, "Conv2D": {vars: kernelBias, call: conv(2)}, "Conv3D": {vars: kernelBias, call: conv(3)},
		"DepthwiseConv1D": {vars: kernelBias, call: depthwise(1)}, "DepthwiseConv2D": {vars: kernelBias, call: depthwise(2)},
		"SeparableConv1D": {vars: separable, call: separableConv(1)}, "SeparableConv2D": {vars: separable, call: separableConv(2)},
		"Conv1DTranspose": {vars: kernelBias, call: transposedConv(1)}, "Conv2DTranspose": {vars: kernelBias, call: transposedConv(2)},
		"Conv3DTranspose": {vars: kernelBias, call: transposedConv(3)},
		"MaxPooling1D":    {call: pool("MaxPool", 1)}, "MaxPooling2D": {call: pool("MaxPool", 2)}, "MaxPooling3D": {call: pool("MaxPool", 3)},
		"AveragePooling1D": {call: pool("AveragePool", 1)}, "AveragePooling2D": {call: pool("AveragePool", 2)}, "AveragePooling3D": {call: pool("AveragePool", 3)},
		"GlobalMaxPooling1D": {call: globalPool("ReduceMax", 1)}, "GlobalMaxPooling2D": {call: globalPool("ReduceMax", 2)}, "GlobalMaxPooling3D": {call: globalPool("ReduceMax", 3)},
		"GlobalAveragePooling2D": {call: globalPool("ReduceMean", 2)}, "GlobalAveragePooling3D": {call: globalPool("ReduceMean", 3)},
		"ZeroPadding1D": {call: border(1, 1)}, "ZeroPadding2D": {call: border(2, 1)}, "ZeroPadding3D": {call: border(3, 1)},
		"Cropping1D": {call: border(1, -1)}, "Cropping2D": {call: border(2, -1)}, "Cropping3D": {call: border(3, -1)},
		"UpSampling1D": {call: upsample(1)}, "UpSampling2D": {call: upsample(2)}, "UpSampling3D": {call: upsample(3)},
		"Resizing": {call: resizing}, "CenterCrop": {call: centerCrop},
	} {
		r.mask = maskDropped
		rows[name] = r
	}
	rows["GlobalAveragePooling1D"] = row{call: globalPool("ReduceMean", 1), mask: maskUsed}
}

// last returns the layer's input with channels last, and a function that gives a
// result the layer's own order. The input has n spatial dimensions.
func (c *call) last(n int) (*format.Tensor, func(*format.Tensor) *format.Tensor) {
	x := c.x()
	if len(x.Shape) != n+2 {
		net.Fail("its input is of shape %v, and %d dimensions are needed", x.Shape, n+2)
	}
	if c.l.cfg.str("data_format", "channels_last") != "channels_first" {
		return x, func(y *format.Tensor) *format.Tensor { return y }
	}
	to, back := []int{0}, []int{0, n + 1}
	for i := range n {
		to, back = append(to, i+2), append(back, i+1)
	}
	return c.net.Transpose(x, append(to, 1)...), func(y *format.Tensor) *format.Tensor {
		if len(y.Shape) != n+2 {
			return y
		}
		return c.net.Transpose(y, back...)
	}
}

// window reads the geometry of a layer over the input x.
func (c *call) window(x *format.Tensor, kernel, strides []int) net.Window {
	n := len(x.Shape) - 2
	g := net.Window{Kernel: kernel, Strides: strides, Dilations: c.l.cfg.each("dilation_rate", n, 1),
		Before: make([]int, n), After: make([]int, n)}
	padding := c.l.cfg.str("padding", "valid")
	for i, k := range kernel {
		span := (k-1)*g.Dilations[i] + 1
		switch padding {
		case "valid":
		case "causal":
			g.Before[i] = span - 1
		case "same":
			out := (x.Shape[i+1] + strides[i] - 1) / strides[i]
			total := max((out-1)*strides[i]+span-x.Shape[i+1], 0)
			g.Before[i], g.After[i] = total/2, total-total/2
		default:
			net.Fail("padding %q", padding)
		}
	}
	return g
}

// outputsFirst turns a kernel [taps..., in, out] into [out, taps..., in].
func outputsFirst(v []float32, out int) []float32 { return transposed(v, len(v)/max(out, 1), out) }

func conv(n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		cfg, ch := c.l.cfg, x.Shape[n+1]
		filters, groups := cfg.positive("filters", 0), cfg.positive("groups", 1)
		if ch%groups != 0 || filters%groups != 0 {
			net.Fail("%d groups do not divide %d channels and %d filters", groups, ch, filters)
		}
		kernel := cfg.each("kernel_size", n, 1)
		v := c.l.need("kernel", slices.Concat(kernel, []int{ch / groups, filters})...)
		g := c.window(x, kernel, cfg.each("strides", n, 1))
		y := c.net.Conv(x, net.Weights{Out: filters, In: ch / groups, V: outputsFirst(v, filters)}, c.bias(filters), g, groups)
		return c.activation(back(y), cfg["activation"])
	}
}

// depthwiseConv adds a convolution of each channel by itself.
func (c *call) depthwiseConv(x *format.Tensor, name string, bias func(int) *format.Tensor) *format.Tensor {
	n := len(x.Shape) - 2
	cfg, ch := c.l.cfg, x.Shape[n+1]
	multiplier := cfg.positive("depth_multiplier", 1)
	kernel := cfg.each("kernel_size", n, 1)
	v := c.l.need(name, slices.Concat(kernel, []int{ch, multiplier})...)
	out := ch * multiplier
	g := c.window(x, kernel, cfg.each("strides", n, 1))
	return c.net.Conv(x, net.Weights{Out: out, In: 1, V: outputsFirst(v, out)}, bias(out), g, ch)
}

func depthwise(n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		return c.activation(back(c.depthwiseConv(x, "kernel", c.bias)), c.l.cfg["activation"])
	}
}

func separableConv(n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		x = c.depthwiseConv(x, "depthwise_kernel", func(int) *format.Tensor { return nil })
		ch, filters := x.Shape[n+1], c.l.cfg.positive("filters", 0)
		ones := slices.Repeat([]int{1}, n)
		v := c.l.need("pointwise_kernel", slices.Concat(ones, []int{ch, filters})...)
		zeros := make([]int, n)
		y := c.net.Conv(x, net.Weights{Out: filters, In: ch, V: outputsFirst(v, filters)}, c.bias(filters),
			net.Window{Kernel: ones, Strides: ones, Dilations: ones, Before: zeros, After: zeros}, 1)
		return c.activation(back(y), c.l.cfg["activation"])
	}
}

// transposedConv is Conv*DTranspose. Its size is that of the input of the
// convolution that it is the gradient of, which with output_padding is told.
func transposedConv(n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		cfg, ch := c.l.cfg, x.Shape[n+1]
		filters := cfg.positive("filters", 0)
		kernel, strides := cfg.each("kernel_size", n, 1), cfg.each("strides", n, 1)
		dilations := cfg.each("dilation_rate", n, 1)
		extra := cfg.ints("output_padding")
		if len(extra) == 1 {
			extra = slices.Repeat(extra, n)
		}
		same := cfg.str("padding", "valid") == "same"
		size, before := make([]int, n), make([]int, n)
		for i, k := range kernel {
			in, s, span := x.Shape[i+1], strides[i], (k-1)*dilations[i]+1
			full := (in-1)*s + span
			switch {
			case extra == nil && same:
				size[i] = in * s
			case extra == nil:
				size[i] = in*s + max(span-s, 0)
			case len(extra) != n || extra[i] < 0:
				net.Fail("output_padding %v", extra)
			case same:
				size[i] = full - 2*(span/2) + extra[i]
			default:
				size[i] = full + extra[i]
			}
			if size[i] < 1 {
				net.Fail("its output has the size %d", size[i])
			}
			if same {
				before[i] = max(full-size[i], 0) / 2
			}
		}
		// The kernel [taps..., out, in] becomes [out, taps..., in].
		v := c.l.need("kernel", slices.Concat(kernel, []int{filters, ch})...)
		taps := len(v) / max(filters*ch, 1)
		w := make([]float32, 0, len(v))
		for o := range filters {
			for t := range taps {
				w = append(w, v[(t*filters+o)*ch:][:ch]...)
			}
		}
		y := c.net.ConvTransposed(x, net.Weights{Out: filters, In: ch, V: w}, c.bias(filters),
			net.Window{Kernel: kernel, Strides: strides, Dilations: dilations, Before: before}, size)
		return c.activation(back(y), cfg["activation"])
	}
}

func pool(op string, n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		kernel := c.l.cfg.each("pool_size", n, 2)
		strides := kernel
		if c.l.cfg.has("strides") {
			strides = c.l.cfg.each("strides", n, 1)
		}
		return back(c.net.Pool(op, x, c.window(x, kernel, strides)))
	}
}

func globalPool(op string, n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		axes := make([]int, n)
		for i := range axes {
			axes[i] = i + 1
		}
		keep := c.l.cfg.bool("keepdims", false)
		if op == "ReduceMean" && n == 1 {
			if mask := c.given()[0]; mask != nil {
				if !mask.Shape.Equal(x.Shape[:2]) {
					net.Fail("a mask of shape %v for an input %v", mask.Shape, x.Shape)
				}
				mask = c.column(mask)
				sum := c.net.Reduce("ReduceSum", c.choose(mask, x, c.net.Number(0)), keep, axes...)
				return back(c.net.Op("Div", nil, sum, c.net.Reduce("ReduceSum", c.number(mask), keep, axes...)))
			}
		}
		return back(c.net.Reduce(op, x, keep, axes...))
	}
}

// border is ZeroPadding and, with sign -1, Cropping.
func border(n, sign int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		name := "padding"
		if sign < 0 {
			name = "cropping"
		}
		b, a := c.l.cfg.pairs(name, n)
		before, after := make([]int, n+2), make([]int, n+2)
		for i := range n {
			before[i+1], after[i+1] = sign*b[i], sign*a[i]
		}
		return back(c.net.Pad(x, before, after))
	}
}

// interpolations are the ways of Resize that Keras names.
var interpolations = map[string]format.Attrs{
	"nearest":  {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
	"bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
	"bicubic":  {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.5, "exclude_outside": int64(1)},
}

// resize scales the dimensions of x to sizes.
func (c *call) resize(x *format.Tensor, sizes []int, how string) *format.Tensor {
	attrs := maps.Clone(interpolations[how])
	if attrs == nil {
		net.Fail("interpolation %q: nearest, bilinear and bicubic are possible", how)
	}
	scales := make([]float64, len(sizes))
	for i, s := range sizes {
		scales[i] = float64(s) / float64(x.Shape[i])
	}
	attrs["sizes"], attrs["scales"] = build.Ints(sizes...), scales
	return c.net.Op("Resize", attrs, x)
}

func upsample(n int) func(*call) any {
	return func(c *call) any {
		x, back := c.last(n)
		sizes := slices.Clone(x.Shape)
		for i, f := range c.l.cfg.each("size", n, 2) {
			sizes[i+1] *= f
		}
		return back(c.resize(x, sizes, c.l.cfg.str("interpolation", "nearest")))
	}
}

func resizing(c *call) any {
	x, back := c.last(2)
	if c.l.cfg.bool("crop_to_aspect_ratio", false) || c.l.cfg.bool("pad_to_aspect_ratio", false) || c.l.cfg.bool("antialias", false) {
		net.Fail("crop_to_aspect_ratio, pad_to_aspect_ratio and antialias are not supported: resize pictures before the model")
	}
	sizes := []int{x.Shape[0], c.l.cfg.positive("height", 0), c.l.cfg.positive("width", 0), x.Shape[3]}
	return back(c.resize(x, sizes, c.l.cfg.str("interpolation", "bilinear")))
}

func centerCrop(c *call) any {
	x, back := c.last(2)
	h, w := c.l.cfg.positive("height", 0), c.l.cfg.positive("width", 0)
	if h > x.Shape[1] || w > x.Shape[2] {
		net.Fail("a crop of %dx%d from %v", h, w, x.Shape)
	}
	top, left := (x.Shape[1]-h)/2, (x.Shape[2]-w)/2
	return back(c.net.Slice(c.net.Slice(x, 1, top, top+h), 2, left, left+w))
}

package net

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// A Window is the geometry of convolutions and pools over the spatial dimensions
// of a tensor [N, spatial..., C]; all lists have one entry for each.
type Window struct {
	Kernel, Strides, Dilations []int
	Before, After              []int // zeros around the input
}

// picture makes a tensor of one spatial dimension one of two.
func (n *Net) picture(x *format.Tensor) *format.Tensor {
	if len(x.Shape) == 3 {
		return n.Reshape(x, x.Shape[0], 1, x.Shape[1], x.Shape[2])
	}
	return x
}

// pictured undoes picture.
func (n *Net) pictured(x *format.Tensor, rank int) *format.Tensor {
	if rank == 3 {
		return n.Reshape(x, x.Shape[0], x.Shape[2], x.Shape[3])
	}
	return x
}

// two returns a list for two spatial dimensions from one for one or two.
func two(v []int, fill int) []int64 {
	if len(v) == 1 {
		return build.Ints(fill, v[0])
	}
	return build.Ints(v...)
}

func (w *Window) attrs() format.Attrs {
	a := format.Attrs{"strides": two(w.Strides, 1), "pads": append(two(w.Before, 0), two(w.After, 0)...)}
	if w.Dilations != nil {
		a["dilations"] = two(w.Dilations, 1)
	}
	return a
}

// last drops the first spatial dimension.
func (w *Window) last() Window {
	r := Window{w.Kernel[1:], w.Strides[1:], nil, w.Before[1:], w.After[1:]}
	if w.Dilations != nil {
		r.Dilations = w.Dilations[1:]
	}
	return r
}

// Weights are those of a convolution, [O, kernel..., C/group], row-major.
type Weights struct {
	Out, In int // In is C/group
	V       []float32
}

// Conv adds a convolution over one, two or three spatial dimensions; bias may be
// nil.
func (n *Net) Conv(x *format.Tensor, w Weights, bias *format.Tensor, g Window, group int) *format.Tensor {
	rank := len(x.Shape)
	if rank == 5 {
		return n.convVolume(x, w, bias, g, group)
	}
	shape := format.Shape{w.Out, 1, g.Kernel[0], w.In}
	if rank == 4 {
		shape = format.Shape{w.Out, g.Kernel[0], g.Kernel[1], w.In}
	}
	attrs := g.attrs()
	attrs["group"] = int64(group)
	return n.pictured(n.Op("Conv", attrs, n.picture(x), n.Floats("kernel", shape, w.V), bias), rank)
}

// convVolume is the sum of the convolutions of pictures by each depth of the
// kernel.
func (n *Net) convVolume(x *format.Tensor, w Weights, bias *format.Tensor, g Window, group int) *format.Tensor {
	x = n.Pad(x, []int{0, g.Before[0], 0, 0, 0}, []int{0, g.After[0], 0, 0, 0})
	s := x.Shape
	depth := format.ConvOut(s[1], g.Kernel[0], g.Strides[0], g.Dilations[0], 0, 0)
	if depth < 1 {
		Fail("a kernel %v does not fit into %v", g.Kernel, s)
	}
	area := g.Kernel[1] * g.Kernel[2] * w.In
	var sum *format.Tensor
	for d := range g.Kernel[0] {
		from := d * g.Dilations[0]
		part := n.Op("Slice", format.Attrs{"starts": build.Ints(from), "ends": build.Ints(from + (depth-1)*g.Strides[0] + 1),
			"axes": build.Ints(1), "steps": build.Ints(g.Strides[0])}, x)
		part = n.Reshape(part, s[0]*depth, s[2], s[3], s[4])
		plane := Weights{w.Out, w.In, make([]float32, 0, w.Out*area)}
		for o := range w.Out {
			plane.V = append(plane.V, w.V[(o*g.Kernel[0]+d)*area:][:area]...)
		}
		y := n.Conv(part, plane, bias, g.last(), group)
		bias = nil
		if sum == nil {
			sum = y
		} else {
			sum = n.Op("Add", nil, sum, y)
		}
	}
	return n.Reshape(sum, s[0], depth, sum.Shape[1], sum.Shape[2], w.Out)
}

// ConvTransposed adds a transposed convolution with the weights of a plain one
// from x's channels, whose result is cut to Before and padded or cut to size.
// It is done in [Phases], or zeros are put between the elements of x; then it is a
// plain convolution with the kernel upside down.
func (n *Net) ConvTransposed(x *format.Tensor, w Weights, bias *format.Tensor, g Window, size []int) *format.Tensor {
	rank, s := len(x.Shape), x.Shape
	if p, ok := NewPhases(g.Kernel, g.Strides, g.Before, s[1:rank-1], size); ok && product(g.Dilations) == 1 {
		if bias != nil {
			bias = n.Floats("bias", format.Shape{w.Out * p.Copies()}, slices.Repeat(Values(bias), p.Copies()))
		}
		return n.Spread(&p, n.Conv(x, Weights{w.Out * p.Copies(), w.In, w.phased(&p)}, bias,
			Window{p.Kernel, slices.Repeat([]int{1}, rank-2), g.Dilations, p.Before, p.After}, 1), size)
	}
	spread, before, after := []int{s[0]}, make([]int, 2*rank-2), make([]int, 2*rank-2)
	together := []int{s[0]}
	for i, stride := range g.Strides {
		spread = append(spread, s[i+1], 1)
		after[2*i+2] = stride - 1
		together = append(together, s[i+1]*stride)
	}
	c := s[rank-1]
	y := n.Reshape(n.Pad(n.Reshape(x, append(spread, c)...), before, after), append(together, c)...)
	before, after = make([]int, rank), make([]int, rank)
	taps := 1
	for i, k := range g.Kernel {
		full := (k - 1) * g.Dilations[i]
		before[i+1] = full - g.Before[i]
		after[i+1] = size[i] + full - before[i+1] - y.Shape[i+1]
		taps *= k
	}
	y = n.Pad(y, before, after)
	flipped := make([]float32, 0, len(w.V))
	for o := range w.Out {
		for k := range taps {
			flipped = append(flipped, w.V[(o*taps+taps-1-k)*w.In:][:w.In]...)
		}
	}
	zero := make([]int, rank-2)
	return n.Conv(y, Weights{w.Out, w.In, flipped}, bias, Window{g.Kernel, slices.Repeat([]int{1}, rank-2), g.Dilations, zero, zero}, 1)
}

// phased is [Phases.Weights] of w.
func (w Weights) phased(p *Phases) []float32 {
	b := make([]byte, 0, 4*len(w.V))
	for _, v := range w.V {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	b = p.Weights(b, w.Out, 4*w.In)
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// Pool adds a MaxPool or AveragePool over one, two or three spatial dimensions;
// padding is not counted. A pool over a volume is one over its pictures, then one
// over its depth: greatest elements and means over boxes come apart so.
func (n *Net) Pool(op string, x *format.Tensor, g Window) *format.Tensor {
	rank, s := len(x.Shape), x.Shape
	if rank == 5 {
		y := n.Pool(op, n.Reshape(x, s[0]*s[1], s[2], s[3], s[4]), g.last())
		h, w := y.Shape[1], y.Shape[2]
		y = n.Pool(op, n.Reshape(y, s[0], s[1], h*w*s[4]), Window{g.Kernel[:1], g.Strides[:1], nil, g.Before[:1], g.After[:1]})
		return n.Reshape(y, s[0], y.Shape[1], h, w, s[4])
	}
	attrs := g.attrs()
	attrs["kernel_shape"] = two(g.Kernel, 1)
	return n.pictured(n.Op(op, attrs, n.picture(x)), rank)
}

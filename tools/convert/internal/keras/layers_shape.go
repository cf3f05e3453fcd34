package keras

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	register(map[string]row{
		"Flatten": {call: flattenLayer, mask: maskDropped}, "Reshape": {call: reshapeLayer, mask: maskDropped},
		"Permute": {call: permute, mask: maskDropped}, "RepeatVector": {call: repeatVector, mask: maskDropped},
		"TimeDistributed": {call: timeDistributed},
	})
}

func flattenLayer(c *call) any {
	x := c.x()
	if n := len(x.Shape) - 2; n > 0 && c.l.cfg.str("data_format", "channels_last") == "channels_first" {
		x, _ = c.last(n)
	}
	n := x.Shape[0]
	return c.net.Reshape(x, n, x.Shape.Elems()/n)
}

func reshapeLayer(c *call) any {
	x := c.x()
	return c.shaped(x, append([]int{x.Shape[0]}, c.l.cfg.ints("target_shape")...))
}

// shaped returns x in a shape one of whose sizes may be -1: what is left.
func (c *call) shaped(x *format.Tensor, shape []int) *format.Tensor {
	shape = slices.Clone(shape)
	rest, free := x.Shape.Elems(), -1
	for i, d := range shape {
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 1 || rest%d != 0:
			net.Fail("%v cannot be seen as %v", x.Shape, shape)
		default:
			rest /= d
		}
	}
	if free >= 0 {
		shape[free] = rest
	}
	return c.net.Reshape(x, shape...)
}

func permute(c *call) any {
	x := c.x()
	perm := append([]int{0}, c.l.cfg.ints("dims")...)
	sorted := slices.Clone(perm)
	slices.Sort(sorted)
	for i, p := range sorted {
		if i != p || len(perm) != len(x.Shape) {
			net.Fail("dims %v for an input %v", perm[1:], x.Shape)
		}
	}
	return c.net.Transpose(x, perm...)
}

func repeatVector(c *call) any {
	x := c.x()
	if len(x.Shape) != 2 {
		net.Fail("its input is of shape %v", x.Shape)
	}
	n := c.l.cfg.positive("n", 1)
	wide := c.net.Reshape(x, x.Shape[0], 1, x.Shape[1])
	return c.net.Op("Expand", shapeAttr(format.Shape{x.Shape[0], n, x.Shape[1]}), wide)
}

// timeDistributed runs its layer on all steps at once, as a batch.
func timeDistributed(c *call) any {
	x := flatten(c.args)[0]
	if len(x.Shape) < 3 {
		net.Fail("its input is of shape %v", x.Shape)
	}
	n, t := x.Shape[0], x.Shape[1]
	inner := &call{l: c.l.subs[0].layer, args: []any{c.net.Reshape(x, append([]int{n * t}, x.Shape[2:]...)...)}}
	out := flatten(c.apply(inner))
	for i, y := range out {
		if len(y.Shape) < 1 || y.Shape[0] != n*t {
			net.Fail("its layer makes %v of a batch of %d", y.Shape, n*t)
		}
		out[i] = c.net.Reshape(y, append([]int{n, t}, y.Shape[1:]...)...)
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

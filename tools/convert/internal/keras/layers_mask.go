package keras

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A mask says which steps of a sequence count: a bool tensor [N, T] that goes with a
// tensor [N, T, ...] from the layer that made it (Masking, Embedding) to those that heed
// it. What each layer does with a mask is that of Keras's call and compute_mask.

func init() {
	rows["Masking"] = row{call: masking, mask: maskUsed}
}

// hidden is the score of what a mask hides from a softmax.
const hidden = -1e9

// given returns the masks of the layer's inputs, nil for one without: those of the argument
// mask, or those that the inputs carry.
func (c *call) given() []*format.Tensor {
	in := flatten(c.args)
	masks := make([]*format.Tensor, len(in))
	for i, t := range in {
		masks[i] = c.masks[t]
	}
	if len(in) == 0 {
		return nil
	}
	switch v := c.kwargs["mask"].(type) {
	case *format.Tensor:
		masks[0] = c.flag(v)
	case []any:
		for i, m := range v[:min(len(v), len(masks))] {
			masks[i] = nil
			if t, ok := m.(*format.Tensor); ok {
				masks[i] = c.flag(t)
			}
		}
	}
	return masks
}

// steps returns the mask of the layer's first input, nil if it has none. It must say one
// thing of each of the input's steps.
func (c *call) steps() *format.Tensor {
	x, m := flatten(c.args)[0], c.given()[0]
	if c.major >= 3 && c.kwargs["mask"] == nil && len(flatten(c.args))+len(flatten(c.kwargs["initial_state"])) > 1 {
		return nil // Keras 3 hands no mask to a layer that it gives several tensors
	}
	if m != nil && (len(x.Shape) < 2 || !m.Shape.Equal(x.Shape[:2])) {
		net.Fail("a mask of shape %v for an input %v", m.Shape, x.Shape)
	}
	return m
}

// flag returns a tensor as bool: what is not 0.
func (c *call) flag(t *format.Tensor) *format.Tensor {
	if t.Type == format.Bool {
		return t
	}
	return c.net.Typed("Cast", format.Bool, nil, t)
}

// number returns a mask as 0 and 1.
func (c *call) number(mask *format.Tensor) *format.Tensor {
	return c.net.Typed("Cast", format.Float32, nil, mask)
}

// choose is yes where the mask says so, else no.
func (c *call) choose(mask, yes, no *format.Tensor) *format.Tensor {
	return c.net.Typed("Where", format.Float32, nil, mask, yes, no)
}

// both is where two masks agree on true; either of them may be nil.
func (c *call) both(a, b *format.Tensor) *format.Tensor {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return c.net.Typed("And", format.Bool, nil, a, b)
}

// column returns a mask [N, T] as [N, T, 1].
func (c *call) column(mask *format.Tensor) *format.Tensor {
	return c.net.Reshape(mask, append(slices.Clone(mask.Shape), 1)...)
}

// spread gives the outputs of a layer that hands masks on, or that ends them, their masks.
func (c *call) spread(row row, out any) any {
	list := flatten(out)
	var mask *format.Tensor
	for _, m := range c.given() {
		if mask == nil {
			mask = m
		}
	}
	switch {
	case mask == nil || len(list) == 0 || row.mask == maskUsed:
	case row.mask == maskKept:
		c.masks[list[0]] = mask
	case len(list) == 1 && c.masks[list[0]] != nil: // it did nothing: its result is its input
		return c.net.Op("Reshape", shapeAttr(list[0].Shape), list[0])
	}
	return out
}

// masking hides the steps all of whose elements are mask_value.
func masking(c *call) any {
	x := c.x()
	if len(x.Shape) < 2 {
		net.Fail("its input is of shape %v", x.Shape)
	}
	same := c.net.Typed("Equal", format.Bool, nil, x, c.net.Number(c.l.cfg.float("mask_value", 0)))
	other := c.number(c.net.Typed("Not", format.Bool, nil, same))
	any := c.net.Reduce("ReduceMax", other, true, len(x.Shape)-1)
	y := c.net.Op("Mul", nil, x, any)
	c.masks[y] = c.net.Typed("Less", format.Bool, nil, c.net.Number(0), c.net.Reshape(any, x.Shape[:len(x.Shape)-1]...))
	return y
}

// joined is the mask of what merges all of the inputs: Keras 3 hides a step that all of
// them hide, Keras 2 one that any of them hides.
func (c *call) joined(masks []*format.Tensor) (mask *format.Tensor) {
	op := "And"
	if c.major >= 3 {
		op = "Or"
		if slices.Contains(masks, nil) {
			return nil
		}
	}
	for _, m := range masks {
		switch {
		case mask == nil:
			mask = m
		case m != nil:
			mask = c.net.Typed(op, format.Bool, nil, mask, m)
		}
	}
	return mask
}

// masked returns the inputs of a merge with those steps that a mask hides as 1, which a
// product passes over. Keras 2 multiplies what is there.
func (c *call) masked(list, masks []*format.Tensor) []*format.Tensor {
	out := slices.Clone(list)
	for i, m := range masks {
		if m != nil && c.major >= 3 {
			out[i] = c.choose(c.column(m), list[i], c.net.Number(1))
		}
	}
	return out
}

// concatenated is the mask of tensors [N, T, C] one after another along an axis.
func (c *call) concatenated(axis int, list, masks []*format.Tensor) *format.Tensor {
	if !slices.ContainsFunc(masks, func(m *format.Tensor) bool { return m != nil }) {
		return nil
	}
	all := make([]*format.Tensor, len(masks))
	for i, m := range masks {
		if all[i] = m; m == nil {
			n := list[i].Shape[:2].Elems()
			all[i] = c.flag(c.net.Floats("ones", list[i].Shape[:2], slices.Repeat([]float32{1}, made(n))))
		}
		if len(list[i].Shape) != 3 {
			net.Fail("masked inputs of shape %v: sequences [batch, steps, features] are possible", list[i].Shape)
		}
	}
	switch axis {
	case 1:
		parts := make([]*format.Tensor, len(all))
		for i, m := range all {
			parts[i] = c.number(m)
		}
		return c.flag(c.net.Concat(1, parts...))
	case 2:
		return c.joined(all)
	}
	net.Fail("masked inputs one after another along axis %d", axis)
	return nil
}

// A packing puts the steps that a mask shows before those that it hides, in their order,
// and back.
type packing struct {
	c             *call
	flags         *format.Tensor // [N, T], 0 or 1
	count, length *format.Tensor // shown steps up to each [N, T], of each sequence [N, 1]
}

func (c *call) packing(mask *format.Tensor) *packing {
	p := &packing{c: c, flags: c.number(mask)}
	p.count = c.net.Op("CumSum", format.Attrs{"axis": int64(1)}, p.flags)
	p.length = c.net.Reduce("ReduceSum", p.flags, true, 1)
	return p
}

// pick returns of x [N, T, I] the steps at places [N, T].
func (p *packing) pick(x, places *format.Tensor) *format.Tensor {
	return p.c.net.Typed("GatherND", format.Float32, format.Attrs{"batch_dims": int64(1)}, x, p.c.column(places))
}

// pack returns x with the shown steps first.
func (p *packing) pack(x *format.Tensor) *format.Tensor {
	n := p.c.net
	steps := x.Shape[1]
	late := make([]float32, made(steps))
	for t := range late {
		late[t] = float32(steps - 1 - t)
	}
	key := n.Op("Add", nil, n.Op("Mul", nil, p.flags, n.Number(float64(steps))), n.Floats("places", format.Shape{steps}, late))
	order := n.Ops("TopK", []format.DType{format.Float32, format.Int64}, format.Attrs{"axis": int64(1), "k": int64(steps)}, key)
	return p.pick(x, order[1])
}

// lengths returns the number of shown steps of each sequence.
func (p *packing) lengths() *format.Tensor {
	return p.c.net.Typed("Cast", format.Int32, nil, p.c.net.Reshape(p.length, p.length.Shape[0]))
}

// unpack returns the results y [N, T, H] of packed steps in the order of time: at a hidden
// step that of the shown one before it (behind it for a layer that goes backwards), 0
// where there is none.
func (p *packing) unpack(y *format.Tensor, backwards bool) *format.Tensor {
	n := p.c.net
	op := func(name string, a, b *format.Tensor) *format.Tensor { return n.Op(name, nil, a, b) }
	place, some := op("Sub", p.count, n.Number(1)), op("Min", p.count, n.Number(1))
	if backwards {
		place = op("Sub", p.count, p.flags)
		some = op("Min", op("Sub", p.length, place), n.Number(1))
	}
	last := float64(y.Shape[1] - 1)
	place = n.Typed("Cast", format.Int64, nil, p.c.clip(place, 0, last))
	return op("Mul", p.pick(y, place), p.c.column(some))
}

package format

import "slices"

// A call of a graph needs more than shapes, which only [Check] knows.
type graphOf func(attr string) (in, out []*Tensor)

// body returns the tensors of a graph that the node calls.
func (c *call) body(attr string) (in, out []*Tensor) {
	if c.graph == nil {
		c.fail("what it gives depends on graphs, which only a model has")
	}
	return c.graph(attr)
}

// fits requires values and the tensors that take them to be alike.
func (c *call) fits(what string, have, want []*Tensor) {
	if len(have) != len(want) {
		c.fail("%s: %d tensors where there are %d", what, len(have), len(want))
	}
	for i, t := range have {
		if w := want[i]; t.Type != w.Type || !t.Shape.Equal(w.Shape) || !t.Quant.Equal(w.Quant) {
			c.fail("%s %d: %s %v where %s %v is expected", what, i, describe([]*Tensor{t}), t.Shape, describe([]*Tensor{w}), w.Shape)
		}
	}
}

func shapesOf(list []*Tensor) []Shape {
	out := make([]Shape, len(list))
	for i, t := range list {
		out[i] = t.Shape
	}
	return out
}

func inferIf(c *call) []Shape {
	c.want(0, Shape{})
	thenIn, thenOut := c.body("then_branch")
	elseIn, elseOut := c.body("else_branch")
	c.fits("input of then_branch", thenIn, c.in[1:])
	c.fits("input of else_branch", elseIn, c.in[1:])
	c.fits("output of else_branch", elseOut, thenOut)
	if c.out != nil {
		c.fits("output", c.out, thenOut)
	}
	return shapesOf(thenOut)
}

func inferLoop(c *call) []Shape {
	for i := range min(2, len(c.in)) {
		c.want(i, Shape{})
	}
	in, out := c.body("body")
	carried, scanned, limit := int(c.attrs.Int("carried", 0)), int(c.attrs.Int("scanned", 0)), c.attrs.Int("limit", 0)
	if len(c.in) < 2 {
		c.in = append(c.in, make([]*Tensor, 2-len(c.in))...)
	}
	x := c.in[2:]
	if carried < 0 || scanned < 0 || carried+scanned > len(x) || limit < 1 || limit > MaxDim || len(out) < 1+carried {
		c.fail("%d carried and %d scanned values of %d, at most %d rounds, %d outputs of the body", carried, scanned, len(x), limit, len(out))
	}
	round := []*Tensor{{Type: Int64}}
	for i, t := range x {
		if i >= len(x)-scanned {
			if len(t.Shape) < 1 || t.Shape[0] < limit {
				c.fail("scanned value %v for %d rounds", t.Shape, limit)
			}
			t = &Tensor{Type: t.Type, Shape: t.Shape[1:], Quant: t.Quant}
		}
		round = append(round, t)
	}
	c.fits("input of the body", in, round)
	c.fits("output of the body", out[:1+carried], slices.Concat([]*Tensor{{Type: Bool}}, x[:carried]))
	results := slices.Clone(out[1 : 1+carried])
	for _, t := range out[1+carried:] {
		results = append(results, &Tensor{Type: t.Type, Shape: slices.Concat(Shape{limit}, t.Shape), Quant: t.Quant})
	}
	results = append(results, &Tensor{Type: Int64})
	if c.out != nil {
		c.fits("output", c.out, results)
	}
	return shapesOf(results)
}

func inferTrim(c *call) []Shape {
	c.want(1, Shape{})
	c.axis(c.attrs["axis"].(int64), len(c.in[0].Shape))
	return []Shape{c.in[0].Shape}
}

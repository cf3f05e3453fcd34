package format

import (
	"fmt"
	"math"
	"slices"
)

// A call is an op applied to tensors, as the shape rules see it.
type call struct {
	attrs Attrs     // with defaults
	in    []*Tensor // nil: absent
	state *State    // that attribute "state" names
	graph graphOf   // inputs and outputs of the graph that an attribute names; nil: unknown
	out   []*Tensor // of a node that calls graphs

	same [][2]int // set by a rule: input and output that must have one quantization
}

// fail leaves the rule with an error; see OpSpec.shapes.
func (c *call) fail(msg string, args ...any) {
	panic(ruleError(fmt.Sprintf(msg, args...)))
}

// rank returns the shape of input i, which must have n dimensions.
func (c *call) rank(i, n int) Shape {
	s := c.in[i].Shape
	if len(s) != n {
		c.fail("input %d has the shape %v and needs %d dimensions", i, s, n)
	}
	return s
}

// want requires input i, if present, to have the shape.
func (c *call) want(i int, s Shape) {
	if i < len(c.in) && c.in[i] != nil && !c.in[i].Shape.Equal(s) {
		c.fail("input %d has the shape %v and needs %v", i, c.in[i].Shape, s)
	}
}

// known returns the dimensions of input i, none of which may be symbolic.
func (c *call) known(i int) Shape {
	s := c.in[i].Shape
	if !s.Static() {
		c.fail("input %d has a symbolic dimension, which this op does not take", i)
	}
	return s
}

// axis turns the axis a of a tensor of n dimensions into 0..n-1.
func (c *call) axis(a int64, n int) int {
	if a < -int64(n) || a >= int64(n) {
		c.fail("axis %d is outside a tensor of %d dimensions", a, n)
	}
	if a < 0 {
		a += int64(n)
	}
	return int(a)
}

// ints returns a list of integers, each within lo..MaxDim.
func (c *call) ints(name string, lo int64) []int {
	v := c.attrs.Ints(name)
	r := make([]int, len(v))
	for i, x := range v {
		if x < lo || x > MaxDim {
			c.fail("attribute %s is %v: each must be within %d..%d", name, v, lo, int64(MaxDim))
		}
		r[i] = int(x)
	}
	return r
}

// dim makes a dimension of a computed size.
func (c *call) dim(n int64) int {
	if n < 1 || n > MaxDim {
		c.fail("a dimension of the output would have the size %d, outside 1..%d", n, int64(MaxDim))
	}
	return int(n)
}

// ConvOut returns the number of positions that a window of k taps, dilation d and
// stride s takes along a dimension of size n with padding before and after; 0
// when the window does not fit.
func ConvOut(n, k, s, d, before, after int) int {
	room := int64(n) + int64(before) + int64(after) - (int64(k)-1)*int64(d) - 1
	if room < 0 || s < 1 {
		return 0
	}
	return int(room/int64(s)) + 1
}

// windows is the part that convolution and pooling share.
func (c *call) windows(x Shape, kh, kw int) (oh, ow int) {
	s, pads := c.ints("strides", 1), c.ints("pads", 0)
	d := []int{1, 1}
	if c.attrs.Ints("dilations") != nil {
		d = c.ints("dilations", 1)
	}
	if x[1] < 1 || x[2] < 1 || x[3] < 1 {
		c.fail("input 0 has the shape %v: height, width and channels must be known", x)
	}
	if int64(x[1])+int64(pads[0])+int64(pads[2]) > MaxDim || int64(x[2])+int64(pads[1])+int64(pads[3]) > MaxDim {
		c.fail("pads %v make the input larger than %d", pads, MaxDim)
	}
	oh = ConvOut(x[1], kh, s[0], d[0], pads[0], pads[2])
	ow = ConvOut(x[2], kw, s[1], d[1], pads[1], pads[3])
	if oh < 1 || ow < 1 {
		c.fail("a window of %dx%d taps with dilations %v does not fit into %dx%d with pads %v", kh, kw, d, x[1], x[2], pads)
	}
	return oh, ow
}

func inferConv(c *call) []Shape {
	x, w := c.rank(0, 4), c.rank(1, 4)
	if !w.Static() {
		c.fail("the weights have a symbolic dimension")
	}
	g := c.attrs.Int("group", 1)
	if g < 1 || x[3]%g != 0 || w[0]%g != 0 {
		c.fail("group %d does not divide %d input and %d output channels", g, x[3], w[0])
	}
	oh, ow := c.windows(x, w[1], w[2])
	c.want(1, Shape{w[0], w[1], w[2], x[3] / g})
	c.want(2, Shape{w[0]})
	return []Shape{{x[0], oh, ow, w[0]}}
}

func inferGemm(c *call) []Shape {
	a, b := c.rank(0, 2), c.rank(1, 2)
	if !b.Static() {
		c.fail("the weights have a symbolic dimension")
	}
	c.want(0, Shape{a[0], b[1]})
	c.want(2, Shape{b[0]})
	return []Shape{{a[0], b[0]}}
}

func inferPool(c *call) []Shape {
	x, k, pads := c.rank(0, 4), c.ints("kernel_shape", 1), c.ints("pads", 0)
	// With less padding than kernel every window holds an element, so that a
	// maximum and a mean exist.
	if pads[0] >= k[0] || pads[2] >= k[0] || pads[1] >= k[1] || pads[3] >= k[1] {
		c.fail("pads %v are not smaller than the window %v", pads, k)
	}
	oh, ow := c.windows(x, k[0], k[1])
	return []Shape{{x[0], oh, ow, x[3]}}
}

func inferSame(c *call) []Shape {
	if a, ok := c.attrs["axis"].(int64); ok { // Softmax and LogSoftmax
		n := len(c.in[0].Shape)
		if n == 0 || c.axis(a, n) != n-1 {
			c.fail("axis %d is not the innermost: transpose the input", a)
		}
	}
	lo, hasLo := c.attrs["min"].(float64)
	if hi, hasHi := c.attrs["max"].(float64); hasLo && hasHi && lo > hi {
		c.fail("min %g is greater than max %g", lo, hi)
	}
	return []Shape{c.in[0].Shape}
}

func inferBroadcast(c *call) []Shape {
	a, b := c.in[0].Shape, c.in[1].Shape
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		switch j := i + len(a) - len(b); {
		case out[j] == d || d == 1:
		case out[j] == 1:
			out[j] = d
		default:
			c.fail("shapes %v and %v do not broadcast", c.in[0].Shape, c.in[1].Shape)
		}
	}
	return []Shape{out}
}

func inferReduce(c *call) []Shape {
	x := c.in[0].Shape
	gone := make([]bool, len(x))
	for _, a := range c.attrs.Ints("axes") {
		i := c.axis(a, len(x))
		if gone[i] {
			c.fail("axes %v name an axis twice", c.attrs.Ints("axes"))
		}
		if x[i] < 0 {
			c.fail("axis %d is symbolic", i)
		}
		gone[i] = true
	}
	var out Shape
	for i, d := range x {
		switch {
		case !gone[i]:
			out = append(out, d)
		case c.attrs.Int("keepdims", 1) == 1:
			out = append(out, 1)
		}
	}
	return []Shape{out}
}

func inferReshape(c *call) []Shape {
	n := c.known(0).Elems()
	if n < 0 {
		c.fail("the shape %v of the input is too large", c.in[0].Shape)
	}
	want := c.attrs.Ints("shape")
	out, rest, free := make(Shape, len(want)), int64(n), -1
	for i, d := range want {
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 1 || d > MaxDim || rest%d != 0:
			c.fail("%d elements do not fill the shape %v", n, want)
		default:
			out[i] = int(d)
			rest /= d
		}
	}
	switch {
	case free >= 0:
		out[free] = c.dim(rest)
	case rest != 1:
		c.fail("%d elements do not fill the shape %v", n, want)
	}
	return []Shape{out}
}

func inferTranspose(c *call) []Shape {
	x, perm := c.in[0].Shape, c.attrs.Ints("perm")
	out, seen := make(Shape, len(x)), make([]bool, len(x))
	if len(perm) != len(x) {
		c.fail("perm %v is not a permutation of %d axes", perm, len(x))
	}
	for i, p := range perm {
		if p < 0 || p >= int64(len(x)) || seen[p] {
			c.fail("perm %v is not a permutation of %d axes", perm, len(x))
		}
		seen[p] = true
		out[i] = x[p]
	}
	return []Shape{out}
}

func inferConcat(c *call) []Shape {
	out := slices.Clone(c.in[0].Shape)
	a := c.axis(c.attrs["axis"].(int64), len(out))
	sum := int64(0)
	for i, t := range c.in {
		if len(t.Shape) != len(out) || t.Shape[a] < 0 {
			c.fail("input %d has the shape %v, which cannot follow %v along axis %d", i, t.Shape, c.in[0].Shape, a)
		}
		sum += int64(t.Shape[a])
		out[a] = t.Shape[a]
		if !t.Shape.Equal(out) {
			c.fail("input %d has the shape %v, which cannot follow %v along axis %d", i, t.Shape, c.in[0].Shape, a)
		}
	}
	out[a] = c.dim(sum)
	return []Shape{out}
}

func inferSplit(c *call) []Shape {
	x := c.in[0].Shape
	a := c.axis(c.attrs["axis"].(int64), len(x))
	var outs []Shape
	sum := int64(0)
	for _, n := range c.ints("split", 1) {
		s := slices.Clone(x)
		s[a] = n
		sum += int64(n)
		outs = append(outs, s)
	}
	if sum != int64(x[a]) {
		c.fail("split %v does not add up to the size %d of axis %d", c.attrs.Ints("split"), x[a], a)
	}
	return outs
}

// SliceRange resolves one axis of a Slice: from start, count elements in steps,
// of a dimension of size n. It clamps as numpy does; count may be 0.
func SliceRange(n int, start, end, step int64) (first, count int) {
	size := int64(n)
	clamp := func(v, lo, hi int64) int64 {
		if v < 0 {
			v = max(v, -size-1) + size // no overflow for the least int64
		}
		return min(max(v, lo), hi)
	}
	if step > 0 {
		start, end = clamp(start, 0, size), clamp(end, 0, size)
		if end <= start {
			return int(start), 0
		}
		return int(start), int((end-start-1)/step) + 1
	}
	start, end = clamp(start, -1, size-1), clamp(end, -1, size-1)
	if end >= start {
		return int(max(start, 0)), 0
	}
	if step < -size { // one element; also avoids negating the least int64
		return int(start), 1
	}
	return int(start), int((start-end-1)/-step) + 1
}

func inferSlice(c *call) []Shape {
	x := c.in[0].Shape
	out := slices.Clone(x)
	starts, ends := c.attrs.Ints("starts"), c.attrs.Ints("ends")
	axes, steps := SliceAxes(c.attrs)
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		c.fail("starts, ends, axes and steps have %d, %d, %d and %d entries", len(starts), len(ends), len(axes), len(steps))
	}
	seen := make([]bool, len(x))
	for i := range starts {
		a := c.axis(axes[i], len(x))
		if seen[a] {
			c.fail("axes %v name an axis twice", axes)
		}
		seen[a] = true
		if x[a] < 0 {
			c.fail("axis %d is symbolic", a)
		}
		if steps[i] == 0 {
			c.fail("a step is 0")
		}
		if _, out[a] = SliceRange(x[a], starts[i], ends[i], steps[i]); out[a] == 0 {
			c.fail("nothing is left of axis %d of size %d from %d to %d in steps of %d", a, x[a], starts[i], ends[i], steps[i])
		}
	}
	return []Shape{out}
}

// SliceAxes returns the axes and steps of a Slice, with those that the node
// leaves out.
func SliceAxes(a Attrs) (axes, steps []int64) {
	axes, steps = a.Ints("axes"), a.Ints("steps")
	for i := range a.Ints("starts") {
		if a["axes"] == nil {
			axes = append(axes, int64(i))
		}
		if a["steps"] == nil {
			steps = append(steps, 1)
		}
	}
	return axes, steps
}

func inferPad(c *call) []Shape {
	x, pads := c.in[0].Shape, c.ints("pads", 0)
	if len(pads) != 2*len(x) {
		c.fail("%d pads do not fit a tensor of %d dimensions: give them before and after each", len(pads), len(x))
	}
	out := slices.Clone(x)
	for i, d := range x {
		before, after := pads[i], pads[i+len(x)]
		switch {
		case before == 0 && after == 0:
			continue
		case d < 0:
			c.fail("axis %d is symbolic", i)
		case c.attrs.Str("mode", "") == "reflect" && (before >= d || after >= d):
			c.fail("axis %d of size %d cannot be mirrored over %d and %d elements", i, d, before, after)
		}
		out[i] = c.dim(int64(d) + int64(before) + int64(after))
	}
	return []Shape{out}
}

func inferGather(c *call) []Shape {
	x, idx := c.in[0].Shape, c.in[1].Shape
	a := c.axis(int64(c.attrs.Int("axis", 0)), len(x))
	if x[a] < 0 {
		c.fail("axis %d is symbolic", a)
	}
	return []Shape{slices.Concat(x[:a], idx, x[a+1:])}
}

func inferStateRead(c *call) []Shape {
	if c.state == nil {
		c.fail("the state is not known")
	}
	return []Shape{c.state.Shape}
}

func inferStateWrite(c *call) []Shape {
	if c.state == nil {
		c.fail("the state is not known")
	}
	c.want(0, c.state.Shape)
	return nil
}

func powerOfTwo(f float32) bool {
	frac, _ := math.Frexp(float64(f))
	return frac == 0.5
}

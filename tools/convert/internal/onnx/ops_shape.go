package onnx

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Operators on shapes, and those that move elements.

func init() {
	register(map[string]row{
		"BitCast": {1, bitCast}, "Cast": {1, cast}, "CastLike": {2, castLike}, "CenterCropPad": {2, centerCropPad}, "Concat": {1, concat},
		"Constant": {0, constant}, "ConstantOfShape": {1, constantOfShape}, "DepthToSpace": {1, depthToSpace},
		"Dropout": {1, dropout}, "Expand": {2, expand}, "EyeLike": {1, eyeLike}, "Flatten": {1, flatten}, "Gather": {2, gather},
		"GatherElements": {2, gatherElements}, "GatherND": {2, gatherND}, "Identity": {1, first}, "OneHot": {3, oneHot},
		"Pad": {1, pad}, "Range": {3, rangeOp}, "Reshape": {1, reshape}, "Scatter": {3, scatterElements}, "ScatterElements": {3, scatterElements},
		"ScatterND": {3, scatterND}, "Shape": {1, shape}, "Size": {1, size}, "Slice": {1, slice}, "SpaceToDepth": {1, spaceToDepth},
		"Split": {1, split}, "Squeeze": {1, squeeze}, "Tile": {2, tile}, "Transpose": {1, transpose}, "Trilu": {1, trilu}, "Unsqueeze": {1, unsqueeze},
	})
}

func first(o *op) []*value { return result(o.in[0]) }

// int64s is a list of integers as shape operators have it.
func (c *converter) int64s(v ...int64) *value {
	return &value{t: c.constant(format.Int64, format.Shape{len(v)}, intBytes(format.Int64, v))}
}

func shape(o *op) []*value {
	s := dims(o.in[0].shape())
	n := int64(len(s))
	bound := func(v int64) int64 {
		if v < 0 {
			v += n
		}
		return min(max(v, 0), n)
	}
	from, to := bound(o.int("start", 0)), bound(o.int("end", n))
	return result(o.int64s(s[from:max(from, to)]...))
}

func size(o *op) []*value {
	return plainResult(o.constant(format.Int64, format.Shape{}, intBytes(format.Int64, []int64{int64(o.in[0].t.shape.Elems())})))
}

func constant(o *op) []*value {
	for _, a := range o.n.attrs {
		a = o.resolve(a)
		if a == nil {
			continue
		}
		switch a.name {
		case "value":
			if a.t == nil {
				break
			}
			t, _, err := a.t.tensor(o.options.Dir)
			if err != nil {
				o.fail("%v", err)
			}
			t.name = o.hint
			return plainResult(t)
		case "value_float":
			return plainResult(o.floats(format.Shape{}, a.f))
		case "value_floats":
			return plainResult(o.floats(format.Shape{len(a.floats)}, a.floats...))
		case "value_int":
			return plainResult(o.constant(format.Int64, format.Shape{}, intBytes(format.Int64, []int64{a.i})))
		case "value_ints":
			return result(o.int64s(a.ints...))
		}
	}
	o.fail("it has no number as its value: texts and sparse tensors are not possible")
	return nil
}

func constantOfShape(o *op) []*value {
	s, n, err := shapeOf(o.fixedInts(0))
	if err != nil {
		o.fail("%v", err)
	}
	if n > maxFold {
		o.fail("a constant of %d elements", n)
	}
	one := o.floats(format.Shape{1}, 0)
	if a := o.attr("value"); a != nil && a.t != nil {
		if one, _, err = a.t.tensor(""); err != nil {
			o.fail("%v", err)
		}
	}
	if len(one.data) != one.typ.Bits()/8 {
		o.fail("its value is not one element")
	}
	return plainResult(o.constant(one.typ, s, slices.Repeat(one.data, n)))
}

// maxFold bounds the elements of a constant that is made from a few numbers.
const maxFold = 1 << 24

// maxTaps bounds the elements that one output of a window is made of, and other
// tables that kernels keep.
const maxTaps = 1 << 20

func rangeOp(o *op) []*value {
	typ := o.in[0].typ()
	var v [3]float64
	for k := range v {
		t := o.fixed(k, "the shape of the result depends on it")
		if t.shape.Elems() != 1 {
			o.fail("input %d is not one number", k)
		}
		if typ.Float() {
			v[k] = float64(o.fixedFloats(k)[0])
		} else {
			v[k] = float64(o.fixedInt(k, 0))
		}
	}
	n := math.Ceil((v[1] - v[0]) / v[2])
	if math.IsNaN(n) || n > maxFold {
		o.fail("from %g to %g in steps of %g", v[0], v[1], v[2])
	}
	list := make([]float64, max(int(n), 0))
	for i := range list {
		list[i] = v[0] + float64(float64(i)*v[2])
	}
	return plainResult(o.numbers(typ, format.Shape{len(list)}, list))
}

func eyeLike(o *op) []*value {
	s := o.in[0].shape()
	if len(s) != 2 || s.Elems() > maxFold {
		o.fail("its input has the shape %v", s)
	}
	typ := o.in[0].typ()
	if a := o.attr("dtype"); a != nil {
		typ = o.elem(a.i)
	}
	list := make([]float64, s.Elems())
	k := o.int("k", 0)
	for i := range s[0] {
		if j := int64(i) + k; j >= 0 && j < int64(s[1]) {
			list[i*s[1]+int(j)] = 1
		}
	}
	return plainResult(o.numbers(narrow(typ), s, list))
}

// elem is the type of a number in onnx.proto.
func (c *converter) elem(n int64) format.DType {
	t, err := elemType(n)
	if err != nil {
		c.fail("%v", err)
	}
	return t
}

// narrow is the type that a tensor of a source's type has inside.
func narrow(t format.DType) format.DType {
	if t == format.Float16 || t == format.BFloat16 {
		return format.Float32
	}
	return t
}

func cast(o *op) []*value { return result(o.cast(o.in[0], narrow(o.elem(o.int("to", 0))))) }

func castLike(o *op) []*value { return result(o.cast(o.in[0], o.in[1].typ())) }

// bitCast is done where the bits are at hand: whet has no op for it.
func bitCast(o *op) []*value {
	t := o.fixed(0, "bits are reinterpreted during the conversion only")
	to := o.elem(o.int("to", 0))
	if to.Bits() != t.typ.Bits() || to == format.Bool || to.Float() && to != format.Float32 {
		o.fail("from %v to %v", t.typ, to)
	}
	return plainResult(o.constant(to, t.shape, t.data))
}

// dropout passes its input on; the mask says that nothing was dropped.
func dropout(o *op) []*value {
	x := o.in[0]
	if o.has(2) && o.has(1) && o.fixedInt(2, 0) != 0 && o.fixedFloats(1)[0] != 0 {
		o.fail("it is in training mode: export the model for inference")
	}
	out := result(x)
	if o.wants(1) {
		out = append(out, &value{t: o.constant(format.Bool, x.shape(), slices.Repeat([]byte{1}, x.t.shape.Elems()))})
	}
	return out
}

func reshape(o *op) []*value {
	want := o.fixedInts(1)
	if o.opset < 5 {
		want = o.ints("shape")
	}
	x := o.in[0]
	have := x.shape()
	to, free, known := make(format.Shape, len(want)), -1, 1
	for i, d := range want {
		switch {
		case d == 0 && o.int("allowzero", 0) == 0:
			if i >= len(have) {
				o.fail("shape %v keeps a dimension that %v does not have", want, have)
			}
			to[i] = have[i]
		case d == -1 && free < 0:
			free, to[i] = i, 1
		case d < 0 || d > maxElems:
			o.fail("shape %v", want)
		default:
			to[i] = int(d)
		}
		if known = known * to[i]; known > maxElems {
			o.fail("shape %v is too large", want)
		}
	}
	if n := have.Elems(); free >= 0 && known > 0 {
		to[free] = n / known
		known *= to[free]
	}
	if known != have.Elems() {
		o.fail("%v has not the elements of %v", have, want)
	}
	return plainResult(o.reshape(o.plain(x), to))
}

func flatten(o *op) []*value {
	s := o.in[0].shape()
	a := o.int("axis", 1)
	if a < 0 {
		a += int64(len(s))
	}
	if a < 0 || a > int64(len(s)) {
		o.fail("axis %d of a tensor of rank %d", o.int("axis", 1), len(s))
	}
	return plainResult(o.reshape(o.plain(o.in[0]), format.Shape{s[:a].Elems(), s[a:].Elems()}))
}

// squeeze keeps the layout: the dimensions go where they are.
func squeeze(o *op) []*value {
	x := o.in[0]
	s := x.shape()
	var gone []int
	if list := o.axesOf("axes", 1); list != nil {
		gone = o.axes(list, len(s))
	} else {
		for i, d := range s {
			if d == 1 {
				gone = append(gone, i)
			}
		}
	}
	for _, a := range gone {
		if s[a] != 1 {
			o.fail("axis %d of %v is not 1", a, s)
		}
	}
	return result(o.drop(x, gone))
}

// drop removes dimensions of size 1.
func (c *converter) drop(x *value, gone []int) *value {
	var to format.Shape
	var perm []int
	for i, p := range x.order() {
		if slices.Contains(gone, p) {
			continue
		}
		to = append(to, x.t.shape[i])
		perm = append(perm, p)
	}
	return view(c.reshape(x.t, to), ranked(perm))
}

// ranked renumbers distinct numbers by their order.
func ranked(list []int) []int {
	sorted := slices.Sorted(slices.Values(list))
	out := make([]int, len(list))
	for i, v := range list {
		out[i], _ = slices.BinarySearch(sorted, v)
	}
	return out
}

func unsqueeze(o *op) []*value {
	x := o.in[0]
	list := o.axesOf("axes", 1)
	added := o.axes(list, x.rank()+len(list))
	return result(o.insert(x, added))
}

// insert adds dimensions of size 1 at the places that they have in the result.
func (c *converter) insert(x *value, added []int) *value {
	rank := x.rank() + len(added)
	var old []int // the places of x's own dimensions
	for i := range rank {
		if !slices.Contains(added, i) {
			old = append(old, i)
		}
	}
	if x.perm == nil {
		s := make(format.Shape, rank)
		for i := range s {
			s[i] = 1
		}
		for i, p := range old {
			s[p] = x.t.shape[i]
		}
		return &value{t: c.reshape(x.t, s)}
	}
	var to format.Shape
	var perm []int
	for _, a := range added {
		to, perm = append(to, 1), append(perm, a)
	}
	for i, p := range x.perm {
		to, perm = append(to, x.t.shape[i]), append(perm, old[p])
	}
	return view(c.reshape(x.t, to), perm)
}

// transpose changes how the tensor is seen and moves nothing.
func transpose(o *op) []*value {
	x := o.in[0]
	p := make([]int, x.rank())
	if list := o.ints("perm"); list != nil {
		if len(list) != x.rank() {
			o.fail("perm %v for a tensor of rank %d", list, x.rank())
		}
		p = o.axes(list, x.rank())
	} else {
		for i := range p {
			p[i] = len(p) - 1 - i
		}
	}
	inv := inverse(p)
	perm := make([]int, len(p))
	for i, q := range x.order() {
		perm[i] = inv[q]
	}
	return result(view(x.t, perm))
}

// together brings values of one rank into one layout.
func (o *op) together(in []*value) ([]*tensor, []int) {
	perm := in[0].order()
	for _, v := range in {
		if v == nil || v.rank() != in[0].rank() {
			o.fail("its inputs differ in rank")
		}
		if v.perm != nil {
			perm = v.perm
		}
	}
	out := make([]*tensor, len(in))
	for i, v := range in {
		out[i] = o.arrange(v, perm)
	}
	return out, perm
}

func concat(o *op) []*value {
	var in []*value
	for _, v := range o.in {
		if v != nil && !(v.t.empty() && len(o.in) > 1) {
			in = append(in, v)
		}
	}
	if len(in) == 0 {
		return result(o.in[0])
	}
	if len(in) == 1 {
		return result(in[0])
	}
	a := o.axis(o.int("axis", 1), in[0].rank())
	list, perm := o.together(in)
	return result(view(o.move("Concat", format.Attrs{"axis": int64(slices.Index(perm, a))}, list...), perm))
}

func split(o *op) []*value {
	x := o.in[0]
	a := o.axis(o.int("axis", 0), x.rank())
	n := x.shape()[a]
	sizes := o.axesOf("split", 1)
	if sizes == nil {
		parts := len(o.n.outputs)
		if v := o.int("num_outputs", int64(parts)); v != int64(parts) {
			o.fail("num_outputs %d and %d outputs", v, parts)
		}
		each := (n + parts - 1) / parts
		for i := range parts {
			sizes = append(sizes, int64(min(each, n-i*each)))
		}
	}
	if len(sizes) < len(o.n.outputs) {
		o.fail("%d sizes for %d outputs", len(sizes), len(o.n.outputs))
	}
	var out []*value
	at := int64(0)
	for _, s := range sizes {
		if s < 0 || at+s > int64(n) {
			o.fail("sizes %v of an axis of %d", sizes, n)
		}
		out = append(out, o.cut(x, a, at, at+s, 1))
		at += s
	}
	return out
}

// cut takes the elements [from, to) in steps along axis a.
func (c *converter) cut(x *value, a int, from, to, step int64) *value {
	n := x.shape()[a]
	first, count := format.SliceRange(n, from, to, step)
	i := x.where(a)
	s := slices.Clone(x.t.shape)
	s[i] = count
	switch {
	case count == n && step == 1:
		return x
	case count == 0 || x.t.empty():
		return view(c.constant(x.typ(), s, []byte{}), x.order())
	}
	end := int64(first) + int64(count)*step
	if step < 0 && end < 0 {
		end = math.MinInt32 // before the first; -1 would be the last
	}
	attrs := format.Attrs{"starts": []int64{int64(first)}, "ends": []int64{end}, "axes": []int64{int64(i)}, "steps": []int64{step}}
	return view(c.move("Slice", attrs, x.t), x.order())
}

func slice(o *op) []*value {
	x := o.in[0]
	starts, ends, list, steps := o.ints("starts"), o.ints("ends"), o.ints("axes"), []int64(nil)
	if o.opset >= 10 {
		starts, ends, list, steps = o.fixedInts(1), o.fixedInts(2), o.fixedInts(3), o.fixedInts(4)
	}
	if list == nil {
		for i := range starts {
			list = append(list, int64(i))
		}
	}
	axes := o.axes(list, x.rank())
	if len(ends) != len(starts) || len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		o.fail("starts, ends, axes and steps have %d, %d, %d and %d entries", len(starts), len(ends), len(axes), len(steps))
	}
	for i, a := range axes {
		step := int64(1)
		if steps != nil {
			step = steps[i]
		}
		if step == 0 || step == math.MinInt64 {
			o.fail("a step of %d", step)
		}
		x = o.cut(x, a, starts[i], ends[i], max(min(step, math.MaxInt32), math.MinInt32))
	}
	return result(x)
}

func pad(o *op) []*value {
	x := o.in[0]
	pads, value := o.ints("pads"), o.float("value", 0)
	if o.opset >= 11 {
		pads = o.fixedInts(1)
		value = o.fixedNumber(2, 0)
	}
	var axes []int
	if list := o.fixedInts(3); list != nil {
		axes = o.axes(list, x.rank())
	} else {
		axes = identity(x.rank())
	}
	if len(pads) != 2*len(axes) {
		o.fail("%d pads for %d axes", len(pads), len(axes))
	}
	mode := o.str("mode", "constant")
	before, after := make([]int64, x.rank()), make([]int64, x.rank())
	for i, a := range axes {
		before[a], after[a] = pads[i], pads[i+len(axes)]
	}
	return result(o.pad(x, before, after, mode, value))
}

// fixedNumber is one number of any type.
func (o *op) fixedNumber(k int, def float64) float64 {
	if !o.has(k) || o.in[k].t.empty() {
		return def
	}
	if o.in[k].typ().Float() {
		return float64(o.fixedFloats(k)[0])
	}
	return float64(o.fixedInt(k, 0))
}

// pad puts a border around a value; negative widths cut.
func (c *converter) pad(x *value, before, after []int64, mode string, fill float64) *value {
	for a, n := range x.shape() {
		if before[a] < 0 || after[a] < 0 {
			x = c.cut(x, a, max(-before[a], 0), int64(n)-max(-after[a], 0), 1)
		}
	}
	pads := make([]int64, 2*x.rank())
	any := false
	for a := range before {
		b, e := max(before[a], 0), max(after[a], 0)
		any = any || b > 0 || e > 0
		if mode == "wrap" {
			x = c.wrap(x, a, b, e)
			continue
		}
		pads[x.where(a)], pads[x.rank()+x.where(a)] = b, e
	}
	if !any || mode == "wrap" {
		return x
	}
	attrs := format.Attrs{"pads": pads, "mode": mode}
	if mode == "constant" {
		attrs["value"] = fill
	}
	return &value{t: c.move("Pad", attrs, x.t), perm: x.perm}
}

// wrap continues a value around one axis.
func (c *converter) wrap(x *value, a int, before, after int64) *value {
	n := int64(x.shape()[a])
	if before > n || after > n {
		c.fail("axis %d of size %d cannot be wrapped around by %d and %d", a, n, before, after)
	}
	parts := []*tensor{x.t}
	if before > 0 {
		parts = slices.Insert(parts, 0, c.cut(x, a, n-before, n, 1).t)
	}
	if after > 0 {
		parts = append(parts, c.cut(x, a, 0, after, 1).t)
	}
	if len(parts) == 1 {
		return x
	}
	return &value{t: c.move("Concat", format.Attrs{"axis": int64(x.where(a))}, parts...), perm: x.perm}
}

// centerCropPad cuts or pads with zeros around the middle.
func centerCropPad(o *op) []*value {
	x := o.in[0]
	want := o.fixedInts(1)
	axes := identity(x.rank())
	if list := o.ints("axes"); list != nil {
		axes = o.axes(list, x.rank())
	}
	if len(want) != len(axes) {
		o.fail("shape %v for %d axes", want, len(axes))
	}
	before, after := make([]int64, x.rank()), make([]int64, x.rank())
	for i, a := range axes {
		more := want[i] - int64(x.shape()[a])
		before[a] = more / 2
		if more < 0 {
			before[a] = -(-more / 2)
		}
		after[a] = more - before[a]
	}
	return result(o.pad(x, before, after, "constant", 0))
}

func expand(o *op) []*value {
	return result(o.expand(o.in[0], o.fixedInts(1)))
}

// expand repeats dimensions of size 1, as broadcasting does.
func (c *converter) expand(x *value, want []int64) *value {
	have := x.shape()
	out := make(format.Shape, max(len(want), len(have)))
	for i := range out {
		out[i] = 1
		if k := i - len(out) + len(have); k >= 0 {
			out[i] = have[k]
		}
		if k := i - len(out) + len(want); k >= 0 && want[k] != 1 && want[k] != int64(out[i]) {
			if out[i] != 1 || want[k] < 1 || want[k] > maxElems {
				c.fail("%v does not broadcast to %v", have, want)
			}
			out[i] = int(want[k])
		}
	}
	if out.Equal(have) {
		return x
	}
	return &value{t: c.grow(c.plain(x), out)}
}

// grow is an Expand of a tensor.
func (c *converter) grow(t *tensor, to format.Shape) *tensor {
	if n := to.Elems(); n < 0 || t.isConst() && n > maxFold {
		c.fail("a tensor of shape %v is too large", to)
	}
	return c.move("Expand", format.Attrs{"shape": dims(to)}, t)
}

// tile repeats a tensor: with a dimension before each that is repeated.
func tile(o *op) []*value {
	t := o.plain(o.in[0])
	times := o.fixedInts(1)
	if len(times) != len(t.shape) {
		o.fail("repeats %v for a tensor of rank %d", times, len(t.shape))
	}
	var split, grown, whole format.Shape
	for i, d := range t.shape {
		if times[i] < 1 || times[i] > maxElems {
			o.fail("repeats %v", times)
		}
		if times[i] > 1 {
			split, grown = append(split, 1), append(grown, int(times[i]))
		}
		split, grown, whole = append(split, d), append(grown, d), append(whole, d*int(times[i]))
	}
	if whole.Equal(t.shape) {
		return result(o.in[0])
	}
	return plainResult(o.reshape(o.grow(o.reshape(t, split), grown), whole))
}

func gather(o *op) []*value {
	x, idx := o.plain(o.in[0]), o.plain(o.in[1])
	a := o.axis(o.int("axis", 0), len(x.shape))
	if idx.isConst() {
		return plainResult(o.move("Gather", format.Attrs{"axis": int64(a)}, x, idx))
	}
	// Computed indices: rows of the axis moved to the front.
	order := append([]int{a}, slices.Delete(identity(len(x.shape)), a, a+1)...)
	x = o.transpose(x, order)
	idx = o.reshape(idx, append(slices.Clone(idx.shape), 1))
	y := o.emit("GatherND", nil, x.typ, x.quant, x, idx)
	n := len(idx.shape) - 1
	back := make([]int, 0, len(y.shape)) // the dimensions before the axis, the indices', those behind it
	for i := range a {
		back = append(back, n+i)
	}
	for i := range n {
		back = append(back, i)
	}
	for i := n + a; i < len(y.shape); i++ {
		back = append(back, i)
	}
	return plainResult(o.transpose(y, back))
}

func gatherElements(o *op) []*value {
	x := o.plain(o.in[0])
	a := o.axis(o.int("axis", 0), len(x.shape))
	return plainResult(o.emit("GatherElements", format.Attrs{"axis": int64(a)}, x.typ, x.quant, x, o.plain(o.in[1])))
}

func gatherND(o *op) []*value {
	x := o.plain(o.in[0])
	return plainResult(o.emit("GatherND", format.Attrs{"batch_dims": o.int("batch_dims", 0)}, x.typ, x.quant, x, o.plain(o.in[1])))
}

func scatterElements(o *op) []*value {
	x := o.plain(o.in[0])
	a := o.axis(o.int("axis", 0), len(x.shape))
	return plainResult(o.emit("ScatterElements", format.Attrs{"axis": int64(a), "reduction": o.str("reduction", "none")},
		x.typ, x.quant, x, o.plain(o.in[1]), o.plain(o.in[2])))
}

func scatterND(o *op) []*value {
	x := o.plain(o.in[0])
	return plainResult(o.emit("ScatterND", format.Attrs{"reduction": o.str("reduction", "none")},
		x.typ, x.quant, x, o.plain(o.in[1]), o.plain(o.in[2])))
}

// oneHot compares the indices with 0, 1, 2 ... along the new axis.
func oneHot(o *op) []*value {
	idx := o.in[0]
	depth := int64(o.fixedNumber(1, 0))
	if depth < 1 || depth > maxFold {
		o.fail("depth %d", depth)
	}
	typ := idx.typ()
	values := o.in[2]
	if values.rank() != 1 || values.t.shape[0] != 2 {
		o.fail("values of shape %v", values.shape())
	}
	rank := idx.rank() + 1
	a := o.axis(o.int("axis", -1), rank)
	// A negative index counts from the end.
	negative := o.logic("Less", idx, o.number(typ, 0))
	idx = o.where(negative, o.add(idx, o.number(typ, float64(depth))), idx)
	list := make([]float64, depth)
	s := make(format.Shape, rank)
	for i := range list {
		list[i] = float64(i)
	}
	for i := range s {
		s[i] = 1
	}
	s[a] = int(depth)
	hot := o.logic("Equal", o.insert(idx, []int{a}), &value{t: o.numbers(typ, s, list)})
	return result(o.where(hot, o.drop(o.cut(values, 0, 1, 2, 1), []int{0}), o.drop(o.cut(values, 0, 0, 1, 1), []int{0})))
}

func trilu(o *op) []*value {
	x := o.in[0]
	s := x.shape()
	if len(s) < 2 {
		o.fail("its input has the shape %v", s)
	}
	h, w := s[len(s)-2], s[len(s)-1]
	if h*w > maxFold {
		o.fail("its input has the shape %v", s)
	}
	if x.t.empty() {
		return result(x)
	}
	k, upper := o.fixedInt(1, 0), o.int("upper", 1) != 0
	mask := make([]byte, 0, h*w)
	for i := range int64(h) {
		for j := range int64(w) {
			keep := byte(0)
			if upper && j-i >= k || !upper && j-i <= k {
				keep = 1
			}
			mask = append(mask, keep)
		}
	}
	return result(o.where(&value{t: o.constant(format.Bool, format.Shape{h, w}, mask)}, x, o.number(x.typ(), 0)))
}

// blocks is the attribute of DepthToSpace and SpaceToDepth.
func (o *op) blocks() (s format.Shape, b int) {
	s = o.in[0].shape()
	v := o.int("blocksize", 0)
	if len(s) != 4 || v < 1 || v > maxElems {
		o.fail("blocksize %d, input %v", v, s)
	}
	return s, int(v)
}

func depthToSpace(o *op) []*value {
	s, b := o.blocks()
	n, c, h, w := s[0], s[1], s[2], s[3]
	if c%(b*b) != 0 {
		o.fail("%d channels are not a multiple of %d", c, b*b)
	}
	t := o.arrange(o.in[0], channelsLast(4))
	if o.str("mode", "DCR") == "CRD" {
		t = o.reshape(t, format.Shape{n, h, w, c / (b * b), b, b})
		t = o.transpose(t, []int{0, 1, 4, 2, 5, 3})
	} else {
		t = o.reshape(t, format.Shape{n, h, w, b, b, c / (b * b)})
		t = o.transpose(t, []int{0, 1, 3, 2, 4, 5})
	}
	return result(view(o.reshape(t, format.Shape{n, h * b, w * b, c / (b * b)}), channelsLast(4)))
}

func spaceToDepth(o *op) []*value {
	s, b := o.blocks()
	n, c, h, w := s[0], s[1], s[2], s[3]
	if h%b != 0 || w%b != 0 {
		o.fail("%d x %d is not a multiple of %d", h, w, b)
	}
	t := o.arrange(o.in[0], channelsLast(4))
	t = o.reshape(t, format.Shape{n, h / b, b, w / b, b, c})
	if o.str("mode", "DCR") == "CRD" {
		t = o.transpose(t, []int{0, 1, 3, 5, 2, 4})
	} else {
		t = o.transpose(t, []int{0, 1, 3, 2, 4, 5})
	}
	return result(view(o.reshape(t, format.Shape{n, h / b, w / b, b * b * c}), channelsLast(4)))
}

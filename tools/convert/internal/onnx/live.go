package onnx

import (
	"slices"

	"github.com/whet-edge/whet/format"
)

// Values of which the data say how much there is: what NonZero, NonMaxSuppression
// and their like find. Their tensors have room for the most, 0 behind what there
// is. Operators that work on every slice alone take them as they are; those that
// would see the room that is not used are refused. An output of the graph is
// trimmed.

// liveRows say, by operator, which dimension of the first result is the one of
// which there is less than the room; -1 where the operator cannot tell.
var liveRows = map[string]func(*op, *value) int{}

func init() {
	elementwise := func(o *op, y *value) int { return o.liveBroadcast(y) }
	for _, name := range []string{"Abs", "Ceil", "Erf", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Tanh", "Not",
		"Cast", "Identity", "Clip", "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "And", "Or", "Xor", "Equal", "Less", "LessOrEqual",
		"Greater", "GreaterOrEqual", "Where", "LeakyRelu", "HardSigmoid", "Gelu", "Elu"} {
		liveRows[name] = elementwise
	}
	liveRows["Transpose"] = func(o *op, y *value) int {
		x := o.in[0]
		if p := o.ints("perm"); p != nil {
			return slices.Index(o.axes(p, x.rank()), x.along)
		}
		return x.rank() - 1 - x.along
	}
	liveRows["Gather"] = func(o *op, y *value) int {
		x, idx := o.in[0], o.in[1]
		a := o.axis(o.int("axis", 0), x.rank())
		switch {
		case x.live != nil && idx.live != nil || x.live != nil && x.along == a && !idx.t.isConst():
			return -1
		case idx.live != nil:
			return a + idx.along
		case x.along == a:
			return -1
		case x.along > a:
			return x.along + idx.rank() - 1
		}
		return x.along
	}
	liveRows["GatherND"] = func(o *op, y *value) int {
		if x, idx := o.in[0], o.in[1]; x.live == nil && idx.along < idx.rank()-1 {
			return idx.along
		}
		return -1
	}
	liveRows["Squeeze"] = func(o *op, y *value) int {
		x := o.in[0]
		at := x.along
		for a, d := range x.shape() {
			list := o.axesOf("axes", 1)
			if list == nil && d == 1 || list != nil && slices.Contains(o.axes(list, x.rank()), a) {
				if a == x.along {
					return -1
				}
				if a < x.along {
					at--
				}
			}
		}
		return at
	}
	liveRows["Unsqueeze"] = func(o *op, y *value) int {
		added := o.axes(o.axesOf("axes", 1), y.rank())
		for i, left := 0, o.in[0].along; i < y.rank(); i++ {
			if slices.Contains(added, i) {
				continue
			}
			if left == 0 {
				return i
			}
			left--
		}
		return -1
	}
	liveRows["Slice"] = func(o *op, y *value) int { return o.liveWhole(y) }
	liveRows["Split"] = liveRows["Slice"]
	for _, name := range []string{"Softmax", "LogSoftmax"} {
		liveRows[name] = func(o *op, y *value) int {
			if x := o.in[0]; o.opset < 13 || o.axis(o.int("axis", -1), x.rank()) == x.along {
				return -1
			}
			return o.in[0].along
		}
	}
	for _, name := range []string{"ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceProd", "ArgMax", "ArgMin"} {
		liveRows[name] = func(o *op, y *value) int {
			x := o.in[0]
			var gone []int
			if name[0] == 'A' {
				gone = []int{o.axis(o.int("axis", 0), x.rank())}
			} else {
				gone = o.reduced(x)
			}
			at := x.along
			for _, a := range gone {
				if a == x.along {
					return -1
				}
				if a < x.along && !o.keep() {
					at--
				}
			}
			return at
		}
	}
	liveRows["Concat"] = func(o *op, y *value) int {
		at := -1
		for _, v := range o.in {
			if v == nil || v.live != o.in[0].live || v.along != o.in[0].along {
				return -1
			}
			at = v.along
		}
		if at == o.axis(o.int("axis", 1), y.rank()) {
			return -1
		}
		return at
	}
	reshaped := func(o *op, y *value) int {
		// A dimension of the result with as many elements on either side of it.
		x := o.in[0]
		s, at := x.shape(), x.along
		for i, d := range y.shape() {
			if d == s[at] && y.shape()[:i].Elems() == s[:at].Elems() && o.in[0].live != nil && d > 1 {
				return i
			}
		}
		return -1
	}
	liveRows["Reshape"], liveRows["Flatten"] = reshaped, reshaped
}

// liveBroadcast is the rule of operators that go element by element.
func (o *op) liveBroadcast(y *value) int {
	var first *value
	for _, v := range o.in {
		if v == nil || v.live == nil {
			continue
		}
		if first != nil && (v.live != first.live || v.rank()-v.along != first.rank()-first.along) {
			return -1
		}
		first = v
	}
	behind := first.rank() - first.along
	for _, v := range o.in { // the others have one there, for all
		if v != nil && v.live == nil && v.rank() >= behind && v.shape()[v.rank()-behind] != 1 {
			return -1
		}
	}
	return y.rank() - behind
}

// liveWhole is the rule of operators that cut other dimensions than that.
func (o *op) liveWhole(y *value) int {
	if x := o.in[0]; y.shape()[x.along] == x.shape()[x.along] {
		return x.along
	}
	return -1
}

// convertLive converts a node with such values among its inputs.
func (o *op) convertLive(r row) []*value {
	name := o.n.rowName()
	if name == "Shape" {
		return o.liveShape()
	}
	rule := liveRows[name]
	var x *value
	for _, v := range o.in {
		if v != nil && v.live != nil {
			x = v
		}
	}
	where := -1
	var out []*value
	if rule != nil {
		out = slices.Clone(r.convert(o))
		where = rule(o, out[0])
	}
	if where < 0 {
		o.fail("how much of dimension %d of its input (shape %v at most) there is, the data say: it would see room that is not used. End the model before it", x.along, x.shape())
	}
	for i, y := range out {
		if y.shape()[where] != out[0].shape()[where] {
			o.fail("its outputs differ in dimension %d, of which the data say how much there is", where)
		}
		v := *y
		v.live, v.along = x.live, where
		out[i] = &v
	}
	return out
}

// liveShape is Shape, with the size that the data say.
func (o *op) liveShape() []*value {
	x := o.in[0]
	list := shape(&op{converter: o.converter, n: &nodeProto{}, scope: o.scope, opset: o.opset, in: []*value{x}})[0]
	parts := []*tensor{o.cut(list, 0, 0, int64(x.along), 1).t, o.reshape(x.live, format.Shape{1}), o.cut(list, 0, int64(x.along)+1, int64(x.rank()), 1).t}
	parts = slices.DeleteFunc(parts, func(t *tensor) bool { return t.empty() })
	all := &value{t: parts[0]}
	if len(parts) > 1 {
		all = &value{t: o.emit("Concat", format.Attrs{"axis": int64(0)}, format.Int64, nil, parts...)}
	}
	n := int64(x.rank())
	first, last := o.int("start", 0), o.int("end", n)
	return result(o.cut(all, 0, first, last, 1))
}

// counted makes a value of a result whose last output says how much there is.
func counted(out []*tensor, k, along int) *value {
	return &value{t: out[k], live: out[len(out)-1], along: along}
}

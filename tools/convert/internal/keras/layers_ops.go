package keras

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Functions called on tensors of a Functional graph, which a file holds as layers: those of
// keras.ops by their module, those of TensorFlow under Keras 2 as TFOpLambda. All numbers
// are computed as float32.

func init() {
	for class, op := range map[string]string{"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div",
		"Maximum": "Max", "Minimum": "Min", "Power": "Pow", "Matmul": "MatMul"} {
		rows["ops."+class] = row{call: func(c *call) any {
			return c.net.Op(op, nil, c.operand(0, "x1", "x", "a"), c.operand(1, "x2", "y", "b"))
		}}
	}
	for class, op := range map[string]string{"Negative": "Neg", "Absolute": "Abs", "Abs": "Abs", "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Rsqrt": "Rsqrt",
		"Sin": "Sin", "Cos": "Cos", "Floor": "Floor", "Ceil": "Ceil", "Round": "Round", "Sign": "Sign", "Erf": "Erf", "Reciprocal": "Reciprocal"} {
		rows["ops."+class] = row{call: func(c *call) any { return c.net.Op(op, nil, c.operand(0, "x")) }}
	}
	for class, name := range map[string]string{"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Relu6": "relu6", "Silu": "silu", "Softplus": "softplus",
		"Softsign": "softsign", "Selu": "selu", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh", "LogSigmoid": "log_sigmoid", "Mish": "mish"} {
		rows["ops."+class] = row{call: func(c *call) any { return c.named(c.operand(0, "x"), name) }}
	}
	for class, op := range map[string]string{"Mean": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin"} {
		rows["ops."+class] = row{call: func(c *call) any {
			x := c.operand(0, "x")
			keep, _ := c.setting("keepdims").(bool)
			return c.net.Reduce(op, x, keep, c.axesOf(x, c.setting("axis"))...)
		}}
	}
	for class, r := range map[string]struct {
		op            string
		swapped, deny bool
	}{"Less": {"Less", false, false}, "Greater": {"Less", true, false}, "LessEqual": {"LessOrEqual", false, false},
		"GreaterEqual": {"LessOrEqual", true, false}, "Equal": {"Equal", false, false}, "NotEqual": {"Equal", false, true}} {
		rows["ops."+class] = row{call: func(c *call) any {
			a, b := c.operand(0, "x1", "x"), c.operand(1, "x2", "y")
			if r.swapped {
				a, b = b, a
			}
			y := c.net.Typed(r.op, format.Bool, nil, a, b)
			if r.deny {
				y = c.net.Typed("Not", format.Bool, nil, y)
			}
			return y
		}}
	}
	for _, class := range []string{"Softmax", "LogSoftmax"} {
		rows["ops."+class] = row{call: func(c *call) any {
			x := c.operand(0, "x", "logits")
			axis := -1
			if v := c.setting("axis"); v != nil {
				axis = toInt(v)
			}
			return c.net.Softmax(class, x, net.Axis(axis, len(x.Shape)))
		}}
	}
	register(map[string]row{
		"ops.Square": {call: func(c *call) any { x := c.operand(0, "x"); return c.net.Op("Mul", nil, x, x) }},
		"ops.LeakyRelu": {call: func(c *call) any {
			return c.leaky(c.operand(0, "x"), config{"alpha": or(c.setting("negative_slope", "alpha"), 0.2)})
		}},
		"ops.Elu":  {call: func(c *call) any { return c.elu(c.operand(0, "x"), config{"a": c.setting("alpha")}.float("a", 1)) }},
		"ops.Gelu": {call: opGelu},
		"ops.Clip": {call: func(c *call) any {
			return c.clip(c.operand(0, "x"), number(c.setting("x_min")), number(c.setting("x_max")))
		}},
		"ops.Normalize": {call: opNormalize},
		"ops.Where": {call: func(c *call) any {
			return c.choose(c.flag(c.operand(0, "condition")), c.operand(1, "x1", "x"), c.operand(2, "x2", "y"))
		}},
		"ops.Cast":        {call: opCast},
		"ops.Reshape":     {call: func(c *call) any { return c.shaped(c.operand(0, "x", "tensor"), ints(c.setting("newshape", "shape"))) }},
		"ops.Transpose":   {call: opTranspose},
		"ops.ExpandDims":  {call: opExpandDims},
		"ops.Squeeze":     {call: opSqueeze},
		"ops.Concatenate": {call: func(c *call) any { return c.inLine(c.list(), false) }},
		"ops.Stack":       {call: func(c *call) any { return c.inLine(c.list(), true) }},
		"ops.GetItem":     {call: getItem},
		"ops.LogicalNot":  {call: func(c *call) any { return c.net.Typed("Not", format.Bool, nil, c.flag(c.operand(0, "x"))) }},
		"ops.Any":         {call: anyOf},
		"ops.OnesLike":    {call: func(c *call) any { return c.like(1) }},
		"ops.ZerosLike":   {call: func(c *call) any { return c.like(0) }},
	})
	for class, op := range map[string]string{"LogicalAnd": "And", "LogicalOr": "Or", "BitwiseAnd": "And", "BitwiseOr": "Or"} {
		rows["ops."+class] = row{call: func(c *call) any {
			a, b := c.operand(0, "x1", "x"), c.operand(1, "x2", "y")
			if strings.HasPrefix(class, "Bitwise") && (a.Type != format.Bool || b.Type != format.Bool) {
				net.Fail("bits of numbers of type %v and %v: whet has no arithmetic on bits, compute it outside of the model", a.Type, b.Type)
			}
			return c.net.Typed(op, format.Bool, nil, c.flag(a), c.flag(b))
		}}
	}
	for name, r := range rows { // a function hands no mask on
		if strings.HasPrefix(name, "ops.") {
			r.mask = maskDropped
			rows[name] = r
		}
	}
}

// tfFunctions are names of TensorFlow's that are not Keras's.
var tfFunctions = map[string]string{"Truediv": "TrueDivide", "RealDiv": "Divide", "Mul": "Multiply", "Sub": "Subtract", "Neg": "Negative", "Pow": "Power",
	"ReduceMean": "Mean", "ReduceSum": "Sum", "ReduceMax": "Max", "ReduceMin": "Min", "Concat": "Concatenate", "ClipByValue": "Clip", "L2Normalize": "Normalize"}

// tfFunction returns the row of a function of TensorFlow such as math.reduce_mean.
func tfFunction(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name[strings.LastIndex(name, ".")+1:], "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	class := b.String()
	if other, ok := tfFunctions[class]; ok {
		class = other
	}
	return "ops." + class
}

// setting returns what the call or the layer's settings say, under any of the names.
func (c *call) setting(names ...string) any {
	for _, n := range names {
		if v := c.kwargs[n]; v != nil {
			return v
		}
		if v := c.l.cfg[n]; v != nil {
			return v
		}
	}
	return nil
}

// operand returns an argument by its place or its name: a tensor, or a constant. Bools
// stay what they are, all else is float32.
func (c *call) operand(i int, names ...string) *format.Tensor {
	var v any
	if i < len(c.args) {
		v = c.args[i]
	} else {
		v = c.setting(names...)
	}
	switch v := v.(type) {
	case *format.Tensor:
		if v.Type == format.Bool && i == 0 && slices.Contains(names, "condition") {
			return v
		}
		return c.float(v)
	case nil:
		net.Fail("argument %s is missing", names[0])
	}
	return c.constant(v)
}

// constant returns numbers of a file, one or nested lists of them.
func (c *call) constant(v any) *format.Tensor {
	var values []float32
	var shape format.Shape
	var add func(v any, depth int)
	add = func(v any, depth int) {
		switch v := v.(type) {
		case float64:
			values = append(values, float32(v))
		case bool:
			values = append(values, float32(boolInt(v)))
		case []any:
			if depth == len(shape) {
				shape = append(shape, len(v))
			}
			if depth > maxDepth || len(v) != shape[depth] {
				net.Fail("an array whose rows differ in length")
			}
			for _, e := range v {
				add(e, depth+1)
			}
		default:
			net.Fail("%v where a number is needed", v)
		}
	}
	add(v, 0)
	if shape.Elems() != len(values) {
		net.Fail("%d numbers for a shape %v", len(values), shape)
	}
	return c.net.Floats("const", shape, values)
}

func or(v any, def float64) any {
	if v == nil {
		return def
	}
	return v
}

func number(v any) float64 {
	f, ok := v.(float64)
	if !ok {
		net.Fail("%v where a number is needed", v)
	}
	return f
}

func ints(v any) []int { return config{"": v}.ints("") }

// axesOf returns axes in ascending order; nil is all of them.
func (c *call) axesOf(x *format.Tensor, v any) []int {
	if v == nil {
		return count(0, len(x.Shape))
	}
	var out []int
	for _, a := range ints(v) {
		out = append(out, net.Axis(a, len(x.Shape)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// list returns the tensors of the first argument, a list.
func (c *call) list() []*format.Tensor {
	v := c.setting("xs", "values")
	if len(c.args) > 0 {
		v = c.args[0]
	}
	list := flatten(v)
	if len(list) == 0 {
		net.Fail("it has no inputs")
	}
	for i, t := range list {
		list[i] = c.float(t)
	}
	return list
}

// inLine returns tensors one after another, stacked along a new axis if there is to be one.
func (c *call) inLine(list []*format.Tensor, stacked bool) any {
	axis, rank := 0, len(list[0].Shape)
	if stacked {
		rank++
	}
	if v := c.setting("axis"); v != nil {
		axis = toInt(v)
	}
	axis = net.Axis(axis, rank)
	if stacked {
		for i, t := range list {
			if len(t.Shape) != rank-1 {
				net.Fail("inputs of shapes %v and %v", list[0].Shape, t.Shape)
			}
			list[i] = c.net.Reshape(t, slices.Insert(slices.Clone(t.Shape), axis, 1)...)
		}
	}
	return c.net.Concat(axis, list...)
}

// like is a tensor of equal numbers of the argument's shape.
func (c *call) like(v float32) *format.Tensor {
	s := c.operand(0, "x").Shape
	y := c.net.Floats("like", s, slices.Repeat([]float32{v}, made(s.Elems())))
	if c.setting("dtype") == "bool" {
		return c.flag(y)
	}
	return y
}

func anyOf(c *call) any {
	x := c.float(c.flag(c.operand(0, "x")))
	keep, _ := c.setting("keepdims").(bool)
	return c.flag(c.net.Reduce("ReduceMax", x, keep, c.axesOf(x, c.setting("axis"))...))
}

// opGelu is keras.ops.gelu, whose default is the approximation with tanh.
func opGelu(c *call) any {
	x := c.operand(0, "x", "features")
	approximate, said := c.setting("approximate").(bool)
	if approximate || !said && c.major >= 3 {
		return c.net.Op("Gelu", format.Attrs{"approximate": "tanh"}, x)
	}
	return c.net.Op("Gelu", nil, x)
}

func opNormalize(c *call) any {
	x := c.operand(0, "x")
	if v := c.setting("order"); v != nil && toInt(v) != 2 {
		net.Fail("order %v: 2 is possible", v)
	}
	return c.unit(x, c.axesOf(x, or(c.setting("axis"), -1.0))...)
}

func opCast(c *call) any {
	name, _ := c.setting("dtype").(string)
	typ, ok := dtypes[strings.TrimPrefix(name, "tf.")]
	if !ok {
		net.Fail("type %q, which whet does not have", name)
	}
	x := c.operand(0, "x")
	if list := flatten(c.args); len(list) > 0 {
		x = list[0]
	}
	if x.Type == typ {
		return x
	}
	return c.net.Typed("Cast", typ, nil, x)
}

func opTranspose(c *call) any {
	x := c.operand(0, "x", "a")
	perm := ints(c.setting("axes", "perm"))
	if perm == nil {
		perm = count(0, len(x.Shape))
		slices.Reverse(perm)
	}
	seen := make([]bool, len(x.Shape))
	for i, p := range perm {
		perm[i] = net.Axis(p, len(x.Shape))
		seen[perm[i]] = true
	}
	if len(perm) != len(x.Shape) || slices.Contains(seen, false) {
		net.Fail("axes %v for an input %v", perm, x.Shape)
	}
	return c.net.Transpose(x, perm...)
}

func opExpandDims(c *call) any {
	x := c.operand(0, "x", "input")
	axes := ints(c.setting("axis"))
	rank := len(x.Shape) + len(axes)
	shape := slices.Clone(x.Shape)
	for i, a := range axes {
		axes[i] = net.Axis(a, rank)
	}
	slices.Sort(axes)
	for i, a := range axes {
		if i > 0 && a == axes[i-1] {
			net.Fail("axis %d twice", a)
		}
		shape = slices.Insert(shape, a, 1)
	}
	return c.net.Reshape(x, shape...)
}

func opSqueeze(c *call) any {
	x := c.operand(0, "x", "input")
	v := c.setting("axis")
	axes := c.axesOf(x, v)
	shape := format.Shape{}
	for i, d := range x.Shape {
		switch cut := slices.Contains(axes, i); {
		case cut && d == 1:
		case cut && v != nil:
			net.Fail("axis %d of %v is not of size 1", i, x.Shape)
		default:
			shape = append(shape, d)
		}
	}
	return c.net.Reshape(x, shape...)
}

// getItem is x[key]: whole numbers, slices, None and an ellipsis.
func getItem(c *call) any {
	x := c.operand(0, "x")
	v := c.setting("key", "slice_spec")
	if len(c.args) > 1 {
		v = c.args[1]
	}
	keys, ok := v.([]any)
	if !ok {
		keys = []any{v}
	}
	class := func(k any) string { m, _ := k.(map[string]any); return config(m).str("class_name", "") }
	used := 0 // axes of x that keys name
	for _, k := range keys {
		if k != nil && class(k) != "__ellipsis__" {
			used++
		}
	}
	if used > len(x.Shape) {
		net.Fail("%d places for an input %v", used, x.Shape)
	}
	shape, axis := format.Shape{}, 0
	for _, k := range keys {
		if k == nil {
			shape = append(shape, 1)
			continue
		}
		if class(k) == "__ellipsis__" {
			n := len(x.Shape) - used
			shape = append(shape, x.Shape[axis:axis+n]...)
			axis, used = axis+n, len(x.Shape)
			continue
		}
		d := x.Shape[axis]
		if m, ok := k.(map[string]any); ok {
			s := config(m)
			if in := s.object("config"); in != nil {
				s = in
			}
			x = c.cut(x, axis, s)
			shape = append(shape, x.Shape[axis])
		} else {
			i := toInt(k)
			if i < 0 {
				i += d
			}
			if i < 0 || i >= d {
				net.Fail("place %v of %d", k, d)
			}
			x = c.net.Slice(x, axis, i, i+1)
		}
		axis++
	}
	return c.net.Reshape(x, append(shape, x.Shape[axis:]...)...)
}

// cut is a slice with start, stop and step along an axis.
func (c *call) cut(x *format.Tensor, axis int, s config) *format.Tensor {
	d, step := x.Shape[axis], s.int("step", 1)
	if step < 1 {
		net.Fail("step %d", step)
	}
	at := func(name string, def int) int {
		i := s.int(name, def)
		if i < 0 {
			i += d
		}
		return min(max(i, 0), d)
	}
	from, to := at("start", 0), at("stop", d)
	if from >= to {
		net.Fail("nothing is left of %v from %d to %d", x.Shape, from, to)
	}
	if step == 1 {
		return c.net.Slice(x, axis, from, to)
	}
	return c.net.Op("Slice", format.Attrs{"starts": []int64{int64(from)}, "ends": []int64{int64(to)}, "axes": []int64{int64(axis)}, "steps": []int64{int64(step)}}, x)
}

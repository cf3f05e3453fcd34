package onnx

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Reductions, and operators along one axis.

func init() {
	register(map[string]row{
		"ReduceMax": {1, reduction("ReduceMax", nil, nil)}, "ReduceMin": {1, reduction("ReduceMin", nil, nil)},
		"ReduceMean": {1, reduction("ReduceMean", nil, nil)}, "ReduceProd": {1, reduction("ReduceProd", nil, nil)},
		"ReduceSum": {1, reduction("ReduceSum", nil, nil)}, "ReduceL1": {1, reduction("ReduceSum", (*op).abs, nil)},
		"ReduceL2": {1, reduction("ReduceSum", (*op).square, (*op).root)}, "ReduceSumSquare": {1, reduction("ReduceSum", (*op).square, nil)},
		"ReduceLogSum": {1, reduction("ReduceSum", nil, (*op).log)}, "ReduceLogSumExp": {1, logSumExp},
		"ArgMax": {1, argExtreme("ArgMax")}, "ArgMin": {1, argExtreme("ArgMin")}, "TopK": {1, topK},
		"CumSum": {2, cumulate("CumSum")}, "CumProd": {2, cumulate("CumProd")},
		"Softmax": {1, softmax("Softmax")}, "LogSoftmax": {1, softmax("LogSoftmax")}, "Hardmax": {1, hardmax},
	})
}

func (o *op) abs(x *value) *value    { return o.each("Abs", nil, x.typ(), x) }
func (o *op) square(x *value) *value { return o.mul(x, x) }
func (o *op) root(x *value) *value   { return o.each("Sqrt", nil, x.typ(), x) }
func (o *op) log(x *value) *value    { return o.each("Log", nil, x.typ(), x) }

// reduce reduces axes of the value, in the layout that it has.
func (c *converter) reduce(name string, x *value, axes []int, keep bool) *value {
	var list []int64
	var perm []int
	for i, p := range x.order() {
		switch {
		case slices.Contains(axes, p):
			list = append(list, int64(i))
			if keep {
				perm = append(perm, p)
			}
		default:
			perm = append(perm, p)
		}
	}
	attrs := format.Attrs{"axes": list, "keepdims": int64(0)}
	if keep {
		attrs["keepdims"] = int64(1)
	}
	if len(list) == 0 {
		return x
	}
	return view(c.emit(name, attrs, x.typ(), nil, x.t), ranked(perm))
}

// reduction is a reduction between two functions of its elements.
func reduction(name string, before, after func(*op, *value) *value) func(*op) []*value {
	return func(o *op) []*value {
		x := o.in[0]
		axes := o.reduced(x)
		if x.t.empty() {
			y := o.overNothing(name, x, axes)
			if after != nil {
				y = after(o, y)
			}
			return result(y)
		}
		if before != nil {
			x = before(o, x)
		}
		if x.typ() == format.Bool { // the order of bools is that of 0 and 1
			y := o.reduce(name, o.cast(x, format.Uint8), axes, o.keep())
			return result(o.cast(y, format.Bool))
		}
		y := o.reduce(name, x, axes, o.keep())
		if after != nil {
			y = after(o, y)
		}
		return result(y)
	}
}

func (o *op) keep() bool { return o.int("keepdims", 1) != 0 }

// reduced returns the axes of a reduction; without any, all.
func (o *op) reduced(x *value) []int {
	list := o.axesOf("axes", 1)
	if len(list) == 0 {
		if o.int("noop_with_empty_axes", 0) != 0 {
			return nil
		}
		return identity(x.rank())
	}
	return o.axes(list, x.rank())
}

// overNothing is a reduction over an axis of size 0: the neutral element.
func (o *op) overNothing(name string, x *value, axes []int) *value {
	var s format.Shape
	for i, d := range x.shape() {
		switch {
		case !slices.Contains(axes, i):
			s = append(s, d)
		case o.keep():
			s = append(s, 1)
		}
	}
	n := s.Elems()
	if n <= 0 || n > maxFold || x.typ() != format.Float32 {
		o.fail("its input has no elements (shape %v)", x.shape())
	}
	neutral := map[string]float64{"ReduceSum": 0, "ReduceProd": 1, "ReduceMax": math.Inf(-1), "ReduceMin": math.Inf(1)}
	v, ok := neutral[name]
	if !ok {
		o.fail("its input has no elements (shape %v)", x.shape())
	}
	return &value{t: o.numbers(format.Float32, s, slices.Repeat([]float64{v}, n))}
}

// logSumExp takes the maximum out, so that nothing overflows.
func logSumExp(o *op) []*value {
	x := o.in[0]
	axes := o.reduced(x)
	if x.t.empty() {
		return result(o.log(o.overNothing("ReduceSum", x, axes)))
	}
	top := o.reduce("ReduceMax", x, axes, true)
	sum := o.reduce("ReduceSum", o.each("Exp", nil, x.typ(), o.binary("Sub", x, top)), axes, true)
	y := o.add(o.log(sum), top)
	if !o.keep() {
		y = o.drop(y, axes)
	}
	return result(y)
}

func argExtreme(name string) func(*op) []*value {
	return func(o *op) []*value {
		x := o.in[0]
		a := o.axis(o.int("axis", 0), x.rank())
		y := o.emit(name, format.Attrs{"axis": int64(x.where(a)), "select_last_index": o.int("select_last_index", 0)}, format.Int64, nil, x.t)
		v := &value{t: y, perm: x.perm}
		if !o.keep() {
			v = o.drop(v, []int{a})
		}
		return result(v)
	}
}

func topK(o *op) []*value {
	x := o.in[0]
	k := o.int("k", 0)
	if o.opset >= 10 {
		k = o.fixedInt(1, 0)
	}
	a := o.axis(o.int("axis", -1), x.rank())
	attrs := format.Attrs{"axis": int64(x.where(a)), "k": k, "largest": o.int("largest", 1)}
	y := o.emitAll("TopK", attrs, []kind{{x.typ(), nil}, {format.Int64, nil}}, x.t)
	return []*value{{t: y[0], perm: x.perm}, {t: y[1], perm: x.perm}}
}

func cumulate(name string) func(*op) []*value {
	return func(o *op) []*value {
		x := o.in[0]
		a := o.axis(o.fixedInt(1, 0), x.rank())
		attrs := format.Attrs{"axis": int64(x.where(a)), "exclusive": o.int("exclusive", 0), "reverse": o.int("reverse", 0)}
		return result(o.each(name, attrs, x.typ(), x))
	}
}

// innermost returns x with axis a last.
func (o *op) innermost(x *value, a int) *value {
	order := x.order()
	if order[len(order)-1] == a {
		return x
	}
	perm := append(slices.DeleteFunc(slices.Clone(order), func(p int) bool { return p == a }), a)
	return view(o.arrange(x, perm), perm)
}

// softmax is along one axis; up to opset 12 along all axes from that one on.
func softmax(name string) func(*op) []*value {
	return func(o *op) []*value {
		x := o.in[0]
		attrs := format.Attrs{"axis": int64(-1)}
		if o.opset < 13 {
			t, s, _ := o.rows(x, o.int("axis", 1))
			return plainResult(o.reshape(o.emit(name, attrs, format.Float32, nil, t), s))
		}
		x = o.innermost(x, o.axis(o.int("axis", -1), x.rank()))
		return result(o.each(name, attrs, format.Float32, x))
	}
}

// hardmax is 1 at the first maximum.
func hardmax(o *op) []*value {
	x := o.in[0]
	s := x.shape()
	from := -1
	if o.opset < 13 {
		from = 1
	}
	a := o.axis(o.int("axis", int64(from)), x.rank())
	if o.opset < 13 {
		t, _, _ := o.rows(x, int64(a))
		x = &value{t: t} // whose innermost axis is a
	}
	best := o.emit("ArgMax", format.Attrs{"axis": int64(x.where(a))}, format.Int64, nil, x.t)
	n := x.shape()[a]
	at := make(format.Shape, x.rank())
	places := make([]float64, n)
	for i := range at {
		at[i] = 1
	}
	at[a] = n
	for i := range places {
		places[i] = float64(i)
	}
	hot := o.cast(o.logic("Equal", &value{t: best, perm: x.perm}, &value{t: o.numbers(format.Int64, at, places)}), format.Float32)
	if o.opset < 13 {
		return plainResult(o.reshape(o.plain(hot), s))
	}
	return result(hot)
}

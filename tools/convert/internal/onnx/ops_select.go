package onnx

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// Operators that find things: how much they give, the data say.

func init() {
	register(map[string]row{"NonZero": {1, nonZero}, "Compress": {2, compress}, "Unique": {1, unique}, "NonMaxSuppression": {2, nonMaxSuppression}})
}

func nonZero(o *op) []*value {
	x := o.plain(o.cast(o.in[0], format.Bool))
	if len(x.shape) == 0 {
		x = o.reshape(x, format.Shape{1})
	}
	out := o.emitAll("NonZero", nil, []kind{{typ: format.Int64}, {typ: format.Int64}}, x)
	return result(counted(out, 0, 1))
}

func compress(o *op) []*value {
	x, keep := o.plain(o.in[0]), o.plain(o.in[1])
	a := 0
	if o.attr("axis") != nil {
		a = o.axis(o.int("axis", 0), len(x.shape))
	} else {
		x = o.reshape(x, format.Shape{x.shape.Elems()})
	}
	if len(keep.shape) != 1 || a >= len(x.shape) {
		o.fail("a condition of the shape %v for %v", keep.shape, x.shape)
	}
	if keep.isConst() {
		var list []int64
		for i, k := range keep.data {
			if k != 0 && i < x.shape[a] {
				list = append(list, int64(i))
			}
		}
		if len(list) == 0 {
			return result(o.cut(&value{t: x}, a, 0, 0, 1))
		}
		return plainResult(o.move("Gather", format.Attrs{"axis": int64(a)}, x, o.int64s(list...).t))
	}
	keep = o.cut(&value{t: keep}, 0, 0, int64(x.shape[a]), 1).t
	out := o.emitAll("Compress", format.Attrs{"axis": int64(a)}, []kind{{x.typ, x.quant}, {typ: format.Int64}}, x, keep)
	return result(counted(out, 0, a))
}

func unique(o *op) []*value {
	x := o.in[0]
	typ, wide := x.typ(), format.Int64
	if typ.Float() {
		wide = format.Float32
	}
	attrs := format.Attrs{"sorted": o.int("sorted", 1)}
	a := 0
	if o.attr("axis") != nil {
		a = o.axis(o.int("axis", 0), x.rank())
		attrs["axis"] = int64(a)
	}
	kinds := []kind{{typ: wide}, {}, {}, {}, {typ: format.Int64}}
	for k := 1; k < 4; k++ {
		if o.wants(k) {
			kinds[k].typ = format.Int64
		}
	}
	out := o.emitAll("Unique", attrs, kinds, o.plain(o.cast(x, wide)))
	y := counted(out, 0, a)
	y.t = o.cast(&value{t: y.t}, typ).t
	list := []*value{y, counted(out, 1, 0), {t: out[2]}, counted(out, 3, 0)}
	for k, v := range list {
		if v.t == nil {
			list[k] = nil
		}
	}
	return list
}

func nonMaxSuppression(o *op) []*value {
	boxes, scores := o.plain(o.in[0]), o.plain(o.in[1])
	most := o.fixedInt(2, 0)
	if most < 1 {
		return plainResult(o.constant(format.Int64, format.Shape{0, 3}, nil))
	}
	attrs := format.Attrs{"max_output_boxes_per_class": min(most, math.MaxInt32), "iou_threshold": o.fixedNumber(3, 0), "center_point_box": o.int("center_point_box", 0)}
	if o.has(4) {
		attrs["score_threshold"] = o.fixedNumber(4, 0)
	}
	out := o.emitAll("NonMaxSuppression", attrs, []kind{{typ: format.Int64}, {typ: format.Int64}}, boxes, scores)
	return result(counted(out, 0, 0))
}

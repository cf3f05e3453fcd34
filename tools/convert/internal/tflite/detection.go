package tflite

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Operators that choose among overlapping boxes.

func init() {
	register(map[string]row{
		"NON_MAX_SUPPRESSION_V4":                {5, 2, several(suppression)},
		"NON_MAX_SUPPRESSION_V5":                {6, 3, several(suppression)},
		`CUSTOM "TFLite_Detection_PostProcess"`: {3, 4, several(postProcess)},
	})
}

// chosen are the boxes that a suppression leaves.
type chosen struct {
	rows  *format.Tensor // batch, class and box of each, int64 [m, 3]; 0 behind the last
	count *format.Tensor // how many they are, float32 []
	valid *format.Tensor // which rows count, bool [m]
}

// suppress adds a NonMaxSuppression of boxes [1, N, 4] by scores [1, C, N].
func (o *op) suppress(boxes, scores *format.Tensor, most int64, iou, least float64) chosen {
	if most < 1 || most > 1<<16 {
		net.Fail("at most %d boxes", most)
	}
	out := o.net.Ops("NonMaxSuppression", []format.DType{format.Int64, format.Int64},
		format.Attrs{"max_output_boxes_per_class": most, "iou_threshold": iou, "score_threshold": least, "center_point_box": int64(0)}, boxes, scores)
	c := chosen{rows: out[0], count: o.net.Typed("Cast", format.Float32, nil, out[1])}
	c.valid = o.net.Typed("Less", format.Bool, nil, o.numbers(out[0].Shape[0]), o.net.Reshape(c.count, 1))
	return c
}

// numbers is the constant 0, 1, ... n-1.
func (o *op) numbers(n int) *format.Tensor {
	if n > maxKnown {
		net.Fail("%d boxes: at most %d are possible", n, maxKnown)
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)
	}
	return o.net.Floats("numbers", format.Shape{n}, v)
}

// column is one of the columns of chosen rows.
func (o *op) column(rows *format.Tensor, k int) *format.Tensor {
	return o.net.Reshape(o.net.Slice(rows, 1, k, k+1), rows.Shape[0])
}

// picked takes slices of x along its first axis, zeros where they do not count, and
// brings them to n.
func (o *op) picked(x, at, valid *format.Tensor, n int) *format.Tensor {
	y := o.net.Typed("Gather", x.Type, format.Attrs{"axis": int64(0)}, x, at)
	shape := make([]int, len(y.Shape))
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = valid.Shape[0]
	y = o.net.Typed("Where", format.Float32, nil, o.net.Reshape(valid, shape...), y, o.net.Number(0))
	return o.sized(y, n)
}

// sized cuts or fills the first axis to n.
func (o *op) sized(y *format.Tensor, n int) *format.Tensor {
	before, after := make([]int, len(y.Shape)), make([]int, len(y.Shape))
	after[0] = n - y.Shape[0]
	return o.net.Pad(y, before, after)
}

// scalarInput is a constant number.
func (o *op) scalarInput(k int) float64 {
	v, ok := number(o.in(k))
	if !ok {
		net.Fail("input %q must be a constant number", o.in(k).name)
	}
	return v
}

// suppression is NON_MAX_SUPPRESSION_V4, and _V5 without its softening.
func suppression(o *op) []*format.Tensor {
	boxes, scores := o.float(0), o.float(1)
	if len(boxes.Shape) != 2 || len(scores.Shape) != 1 {
		net.Fail("boxes %v and scores %v", boxes.Shape, scores.Shape)
	}
	soft := o.name == "NON_MAX_SUPPRESSION_V5"
	if soft && o.scalarInput(5) != 0 {
		net.Fail("soft_nms_sigma: only 0 is possible")
	}
	n, most := boxes.Shape[0], must(o.int(2))
	c := o.suppress(o.net.Reshape(boxes, 1, n, 4), o.net.Reshape(scores, 1, 1, n), most, o.scalarInput(3), o.scalarInput(4))
	at := o.column(c.rows, 2)
	index := o.net.Typed("Cast", format.Float32, nil, at) // exact below 2^24
	indices := o.sized(o.net.Typed("Where", format.Float32, nil, c.valid, index, o.net.Number(0)), int(most))
	if !soft {
		return []*format.Tensor{indices, c.count}
	}
	return []*format.Tensor{indices, o.picked(scores, at, c.valid, int(most)), c.count}
}

// postProcess is TFLite_Detection_PostProcess: box encodings [1, N, 4] around
// anchors [N, 4], scores [1, N, C], perhaps with a background in front. Its outputs
// are boxes, classes and scores of the best, and their number.
func postProcess(o *op) []*format.Tensor {
	opt, err := flexMap(o.custom)
	if err != nil {
		net.Fail("%v", err)
	}
	encodings, predictions, anchors := o.float(0), o.float(1), o.float(2)
	if len(encodings.Shape) != 3 || len(predictions.Shape) != 3 || encodings.Shape[0] != 1 || encodings.Shape[2] < 4 || anchors.Shape.Elems() != 4*encodings.Shape[1] {
		net.Fail("boxes %v, scores %v and anchors %v", encodings.Shape, predictions.Shape, anchors.Shape)
	}
	n, most, classes := encodings.Shape[1], int(opt["max_detections"]), int(opt["num_classes"])
	background := predictions.Shape[2] - classes
	switch {
	case predictions.Shape[1] != n || classes < 1 || background < 0 || most < 1 || most > 1<<16:
		net.Fail("%d classes and at most %d detections for scores %v", classes, most, predictions.Shape)
	case opt["max_classes_per_detection"] > 1:
		net.Fail("max_classes_per_detection %v: only 1 is possible", opt["max_classes_per_detection"])
	}
	boxes := o.decoded(encodings, anchors, opt)
	flat := o.net.Reshape(boxes, n, 4)
	scores := o.net.Slice(predictions, 2, background, background+classes)
	iou, least := opt["nms_iou_threshold"], opt["nms_score_threshold"]
	if opt["use_regular_nms"] != 0 {
		return o.byClass(boxes, flat, scores, most, int64(opt["detections_per_class"]), iou, least)
	}
	best := o.net.Reduce("ReduceMax", scores, false, 2)
	class := o.net.Typed("ArgMax", format.Int64, format.Attrs{"axis": int64(2)}, scores)
	class = o.net.Typed("Cast", format.Float32, nil, o.net.Reshape(class, n))
	c := o.suppress(boxes, o.net.Reshape(best, 1, 1, n), int64(most), iou, least)
	at := o.column(c.rows, 2)
	return []*format.Tensor{o.picked(flat, at, c.valid, most), o.picked(class, at, c.valid, most), o.picked(o.net.Reshape(best, n), at, c.valid, most), c.count}
}

// byClass chooses boxes for each class, then the best of all.
func (o *op) byClass(boxes, flat, scores *format.Tensor, most int, perClass int64, iou, least float64) []*format.Tensor {
	if perClass < 1 {
		perClass = 100 // as TensorFlow Lite has it
	}
	s := o.net.Transpose(scores, 0, 2, 1)
	c := o.suppress(boxes, s, perClass, iou, least)
	m := c.rows.Shape[0]
	value := o.net.Typed("GatherND", format.Float32, nil, o.net.Reshape(s, s.Shape[1], s.Shape[2]), o.net.Slice(c.rows, 1, 1, 3))
	value = o.net.Typed("Where", format.Float32, nil, c.valid, value, o.net.Number(-1))
	top := o.net.Ops("TopK", []format.DType{format.Float32, format.Int64}, format.Attrs{"axis": int64(0), "k": int64(min(most, m)), "largest": int64(1)}, value)
	valid := o.net.Typed("Less", format.Bool, nil, o.net.Number(-0.5), top[0])
	pick := func(k int) *format.Tensor {
		return o.net.Typed("Gather", format.Int64, format.Attrs{"axis": int64(0)}, o.column(c.rows, k), top[1])
	}
	class := o.net.Typed("Cast", format.Float32, nil, pick(1))
	zero := o.net.Number(0)
	where := func(x *format.Tensor) *format.Tensor {
		return o.sized(o.net.Typed("Where", format.Float32, nil, valid, x, zero), most)
	}
	count := o.net.Reduce("ReduceSum", o.net.Typed("Cast", format.Float32, nil, valid), false, 0)
	return []*format.Tensor{o.picked(flat, pick(2), valid, most), where(class), where(top[0]), count}
}

// decoded turns encodings (centre and logarithm of the size, relative to anchors)
// into corners ymin, xmin, ymax, xmax (Liu et al. 2016).
func (o *op) decoded(encodings, anchors *format.Tensor, opt map[string]float64) *format.Tensor {
	n := o.net
	mul := func(a, b *format.Tensor) *format.Tensor { return n.Op("Mul", nil, a, b) }
	e := n.Split(n.Slice(encodings, 2, 0, 4), 2, 4)
	a := n.Split(n.Reshape(anchors, 1, encodings.Shape[1], 4), 2, 4)
	scale := func(name string) *format.Tensor {
		if opt[name] == 0 || math.IsNaN(opt[name]) {
			net.Fail("%s is %v", name, opt[name])
		}
		return n.Number(1 / opt[name])
	}
	var low, high [2]*format.Tensor
	for i, s := range [2][2]string{{"y_scale", "h_scale"}, {"x_scale", "w_scale"}} {
		centre := n.Op("Add", nil, mul(mul(e[i], scale(s[0])), a[i+2]), a[i])
		half := mul(mul(n.Op("Exp", nil, mul(e[i+2], scale(s[1]))), a[i+2]), n.Number(0.5))
		low[i], high[i] = n.Op("Sub", nil, centre, half), n.Op("Add", nil, centre, half)
	}
	return n.Concat(2, low[0], low[1], high[0], high[1])
}

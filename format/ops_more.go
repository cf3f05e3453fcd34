package format

import "slices"

// Ops that few models have: calls of graphs, and results whose size depends on the
// data. Such a result has room for the largest one, and count says how much of it
// there is; the rest is 0. Trim makes an output of the program of both.
//
// Bodies of branches and loops get all that they use as inputs. Shapes stay what they
// are from one round to the next.

// rare are the names of the ops that [AddRare] adds.
var rare = []string{"Compress", "DeformableIm2Col", "If", "Loop", "MaxRoiPool", "NonMaxSuppression", "NonZero", "RoiAlign", "Trim", "Unique"}

// AddRare adds the ops that few models have to the table, at the start of a program
// that has kernels for them; package runtime/more calls it. Without it a model that
// uses one is refused by name, and a program does not carry what it does not need.
func AddRare() {
	for _, s := range []*OpSpec{
		&OpSpec{Name: "If",
			Doc:    "One of two graphs, run on X: then_branch where cond is true, else else_branch. Their inputs are like X, their outputs like Y.",
			Inputs: []string{"cond[]", "X?..."}, Outputs: []string{"Y..."},
			Attrs: []AttrSpec{{Name: "then_branch", Kind: KindGraph, Required: true}, {Name: "else_branch", Kind: KindGraph, Required: true}},
			Types: []string{"bool * -> *"}, infer: inferIf},

		&OpSpec{Name: "Loop",
			Doc: "A graph run again and again: at most limit and M times, as long as cond and then the body's first output is true. " +
				"X is first the carried values, then those that every round gets, and last the scanned ones, of which round i gets slice i along the first axis. " +
				"The body's inputs are the round's number (int64), the carried values, the others and the slices; its outputs whether to go on, the carried values and slices of the results. " +
				"Y is the carried values after the last round, then the results with the slices of all rounds along a new first axis of size limit, 0 where no round came to, and last the number of rounds.",
			Inputs: []string{"M[]?", "cond[]?", "X?..."}, Outputs: []string{"Y..."},
			Attrs: []AttrSpec{{Name: "body", Kind: KindGraph, Required: true}, {Name: "carried", Kind: KindInt, Default: int64(0)},
				{Name: "scanned", Kind: KindInt, Default: int64(0)}, {Name: "limit", Kind: KindInt, Required: true, Doc: "at least 1"}},
			Types: []string{"int64 bool * -> *"}, infer: inferLoop},

		&OpSpec{Name: "Trim",
			Doc:    "The first count slices of X along the axis, moved together; 0 in the rest of Y. As an output of the program Y has the size count.",
			Inputs: []string{"X", "count[]"}, Outputs: []string{"Y"}, Attrs: []AttrSpec{attrAxis},
			Types: []string{"T int64 -> T"}, infer: inferTrim},
		&OpSpec{Name: "NonZero", Doc: "The positions of the true elements of X in row-major order, one a column.",
			Inputs: []string{"X"}, Outputs: []string{"positions[rank,max]", "count[]"},
			Types: []string{"bool -> int64 int64"}, infer: inferNonZero},

		&OpSpec{Name: "Compress", Doc: "The slices of X along the axis whose element of condition is true; all elements of X in row-major order without an axis. A shorter condition ends with false.",
			Inputs: []string{"X", "condition[n]"}, Outputs: []string{"Y", "count[]"},
			Attrs: []AttrSpec{{Name: "axis", Kind: KindInt}},
			Types: []string{"T bool -> T int64"}, infer: inferCompress},

		&OpSpec{Name: "Unique", Doc: "The distinct slices of X along the axis, or its distinct elements without one: in ascending order, or in that of their first place (sorted 0). " +
			"indices are the first places in X, inverse says which slice of Y each of X is, counts how often it occurs.",
			Inputs: []string{"X"}, Outputs: []string{"Y", "indices[max]?", "inverse[n]?", "counts[max]?", "count[]"},
			Attrs: []AttrSpec{{Name: "axis", Kind: KindInt}, {Name: "sorted", Kind: KindInt, Default: int64(1), Ints: []int64{0, 1}}},
			Types: []string{"float32 -> float32 int64 int64 int64 int64", "int64 -> int64"}, infer: inferUnique},

		&OpSpec{Name: "NonMaxSuppression",
			Doc: "For each batch and class the boxes (y1, x1, y2, x2 of any two opposite corners, or the centre's x, y and the width and height) whose score is above score_threshold, best first, " +
				"but for those that overlap a chosen one by an intersection over union above iou_threshold; at most max_output_boxes_per_class. Rows of selected are batch, class, box.",
			Inputs: []string{"boxes[N,B,4]", "scores[N,C,B]"}, Outputs: []string{"selected[max,3]", "count[]"},
			Attrs: []AttrSpec{{Name: "max_output_boxes_per_class", Kind: KindInt, Required: true, Doc: "at least 1"}, {Name: "iou_threshold", Kind: KindFloat, Default: 0.0},
				{Name: "score_threshold", Kind: KindFloat, Doc: "absent: none"}, {Name: "center_point_box", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}}},
			Types: []string{"float32 float32 -> int64 int64"}, infer: inferNMS},

		&OpSpec{Name: "RoiAlign",
			Doc: "Each region (x1, y1, x2, y2, scaled) of the picture that batch_indices names, cut into OH x OW bins: the mean of bilinear samples in each (avg), or the greatest product of a sample's weight and pixel (max). " +
				"sampling_ratio 0 takes as many samples as the bin has pixels.",
			Inputs: []string{"X[N,H,W,C]", "rois[R,4]", "batch_indices[R]"}, Outputs: []string{"Y[R,OH,OW,C]"},
			Attrs: []AttrSpec{{Name: "output_height", Kind: KindInt, Default: int64(1)}, {Name: "output_width", Kind: KindInt, Default: int64(1)},
				{Name: "sampling_ratio", Kind: KindInt, Default: int64(0)}, {Name: "spatial_scale", Kind: KindFloat, Default: 1.0},
				{Name: "mode", Kind: KindString, Default: "avg", Strings: []string{"avg", "max"}},
				{Name: "coordinate_transformation_mode", Kind: KindString, Default: "half_pixel", Strings: []string{"half_pixel", "output_half_pixel"}}},
			Types: []string{"float32 float32 int64 -> float32"}, infer: inferRoiAlign},

		&OpSpec{Name: "MaxRoiPool",
			Doc:    "Each region (batch, x1, y1, x2, y2, scaled and rounded) cut into OH x OW bins: the greatest element in each, 0 in an empty one.",
			Inputs: []string{"X[N,H,W,C]", "rois[R,5]"}, Outputs: []string{"Y[R,OH,OW,C]"},
			Attrs: []AttrSpec{{Name: "pooled_shape", Kind: KindInts, Required: true, Len: 2, Doc: "height, width"}, {Name: "spatial_scale", Kind: KindFloat, Default: 1.0}},
			Types: []string{"float32 float32 -> float32"}, infer: inferMaxRoiPool},

		&OpSpec{Name: "DeformableIm2Col",
			Doc:    "What a deformable convolution multiplies with its weights: for each of its outputs the elements under the kernel, moved by the offsets (y and x of each, in groups of channels), bilinear between elements and 0 outside, times mask.",
			Inputs: []string{"X[N,H,W,C]", "offset[N,OH,OW,G*KH*KW*2]", "mask[N,OH,OW,G*KH*KW]?"}, Outputs: []string{"Y[N,OH,OW,KH*KW*C]"},
			Attrs: []AttrSpec{attrKernel, attrStrides, attrDilations, attrPads, {Name: "offset_group", Kind: KindInt, Default: int64(1), Doc: "G; divides C"}},
			Types: []string{"float32 float32 float32 -> float32"}, infer: inferDeformableIm2Col},
	} {
		Ops[s.Name] = s
	}
}

func inferNonZero(c *call) []Shape {
	x := c.known(0)
	return []Shape{{len(x), x.Elems()}, {}}
}

func inferCompress(c *call) []Shape {
	x, n := c.known(0), c.rank(1, 1)[0]
	a, ok := c.attrs["axis"].(int64)
	if !ok {
		x, a = Shape{x.Elems()}, 0
	}
	x = slices.Clone(x)
	k := c.axis(a, len(x))
	if n > x[k] {
		c.fail("a condition of %d for a dimension of %d", n, x[k])
	}
	x[k] = n
	return []Shape{x, {}}
}

func inferUnique(c *call) []Shape {
	x := c.known(0)
	a, ok := c.attrs["axis"].(int64)
	if !ok {
		x, a = Shape{x.Elems()}, 0
	}
	n := Shape{x[c.axis(a, len(x))]}
	return []Shape{x, n, n, n, {}}
}

func inferNMS(c *call) []Shape {
	boxes, scores := c.rank(0, 3), c.rank(1, 3)
	most := c.attrs["max_output_boxes_per_class"].(int64)
	if boxes[0] != scores[0] || boxes[1] != scores[2] || boxes[2] != 4 || !scores.Static() || most < 1 {
		c.fail("boxes %v and scores %v, at most %d", boxes, scores, most)
	}
	return []Shape{{scores[0] * scores[1] * int(min(most, int64(boxes[1]))), 3}, {}}
}

// regions checks that the regions have that many numbers, and returns the shape of
// what h x w bins of them give.
func (c *call) regions(numbers int, h, w int64) []Shape {
	x, rois := c.rank(0, 4), c.rank(1, 2)
	if !x.Static() || rois[1] != numbers || h < 1 || w < 1 || max(h, w) > MaxDim {
		c.fail("regions %v in %d x %d bins of an input %v", rois, h, w, x)
	}
	return []Shape{{rois[0], int(h), int(w), x[3]}}
}

func inferRoiAlign(c *call) []Shape {
	c.want(2, c.in[1].Shape[:1])
	if s := c.attrs["sampling_ratio"].(int64); s < 0 || s > MaxDim {
		c.fail("sampling_ratio %d", s)
	}
	return c.regions(4, c.attrs["output_height"].(int64), c.attrs["output_width"].(int64))
}

func inferMaxRoiPool(c *call) []Shape {
	p := c.attrs.Ints("pooled_shape")
	return c.regions(5, p[0], p[1])
}

func inferDeformableIm2Col(c *call) []Shape {
	x := c.rank(0, 4)
	y := inferPool(c)[0]
	k := c.ints("kernel_shape", 1)
	g := c.attrs["offset_group"].(int64)
	if g < 1 || x[3]%int(g) != 0 {
		c.fail("%d groups of offsets for %d channels", g, x[3])
	}
	taps := k[0] * k[1]
	c.want(1, Shape{y[0], y[1], y[2], int(g) * taps * 2})
	c.want(2, Shape{y[0], y[1], y[2], int(g) * taps})
	return []Shape{{y[0], y[1], y[2], taps * x[3]}}
}

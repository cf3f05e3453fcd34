package format

import "slices"

// Ops that models from PyTorch need beyond those of TensorFlow Lite.

//go:noinline
func logical(name, doc string, types ...string) *OpSpec {
	return &OpSpec{Name: name, Doc: doc + " The shapes broadcast as numpy's do.", Inputs: []string{"A", "B"}, Outputs: []string{"C"},
		Types: types, infer: inferBroadcast}
}

var (
	opHardSigmoid = with(unaryOp("HardSigmoid", "min(max(alpha·x + beta, 0), 1)."),
		AttrSpec{Name: "alpha", Kind: KindFloat, Default: 0.2}, AttrSpec{Name: "beta", Kind: KindFloat, Default: 0.5})

	opMod = &OpSpec{Name: "Mod", Doc: "The remainder of a / b, with the sign of b (fmod 0) or of a (fmod 1). That of a division of integers by zero is 0. The shapes broadcast as numpy's do.",
		Inputs: []string{"A", "B"}, Outputs: []string{"C"},
		Attrs: []AttrSpec{{Name: "fmod", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}}},
		Types: []string{"N N -> N"}, infer: inferBroadcast}

	opWhere = &OpSpec{Name: "Where", Doc: "A where condition is true, else B. The three shapes broadcast as numpy's do.",
		Inputs: []string{"condition", "A", "B"}, Outputs: []string{"C"},
		Types: []string{"bool T T -> T"}, infer: inferWhere}

	opMatMul = &OpSpec{Name: "MatMul", Doc: "Matrix products A·B of the two innermost dimensions; those before broadcast as numpy's do. Both operands may be computed; a layer's constant weights are faster as a Gemm.",
		Inputs: []string{"A[...,M,K]", "B[...,K,N]"}, Outputs: []string{"Y[...,M,N]"},
		Types: []string{"N N -> N"}, infer: inferMatMul}

	opExpand = &OpSpec{Name: "Expand", Doc: "X repeated along dimensions of size 1, or before its first, to the shape.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "shape", Kind: KindInts, Required: true, Doc: "sizes of Y, to which X's broadcast"}},
		Types: []string{"T -> T"}, infer: inferExpand}

	opArgMax = argExtreme("ArgMax", "greatest")
	opArgMin = argExtreme("ArgMin", "least")

	opTopK = &OpSpec{Name: "TopK", Doc: "The k greatest (or least) elements along the axis in order, and their positions. Of equal ones the first comes first.",
		Inputs: []string{"X"}, Outputs: []string{"values", "indices"},
		Attrs: []AttrSpec{attrAxis, {Name: "k", Kind: KindInt, Required: true, Doc: "1 to the axis's size"},
			{Name: "largest", Kind: KindInt, Default: int64(1), Ints: []int64{0, 1}}},
		Types: []string{"T -> T int64"}, infer: inferTopK}

	opCumSum  = cumulative("CumSum", "sums")
	opCumProd = cumulative("CumProd", "products")

	opGatherElements = &OpSpec{Name: "GatherElements", Doc: "Y[i][j][k] = data[indices[i][j][k]][j][k] for axis 0, and likewise for others. " + outOfRange,
		Inputs: []string{"data", "indices"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "axis", Kind: KindInt, Default: int64(0)}},
		Types: []string{"T int32 -> T", "T int64 -> T"}, infer: inferGatherElements}
	opGatherND = &OpSpec{Name: "GatherND", Doc: "Slices of data at the positions that the innermost dimension of indices holds, for its leading dimensions behind batch_dims common ones. " + outOfRange,
		Inputs: []string{"data", "indices"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "batch_dims", Kind: KindInt, Default: int64(0)}},
		Types: []string{"T int32 -> T", "T int64 -> T"}, infer: inferGatherND}
	opScatterElements = &OpSpec{Name: "ScatterElements", Doc: "data, with Y[indices[i][j][k]][j][k] replaced by updates[i][j][k] (or combined with it) for axis 0, and likewise for others, in ascending order of the updates. " + outOfRange,
		Inputs: []string{"data", "indices", "updates"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "axis", Kind: KindInt, Default: int64(0)}, attrReduction},
		Types: []string{"T int32 T -> T", "T int64 T -> T"}, infer: inferScatterElements}
	opScatterND = &OpSpec{Name: "ScatterND", Doc: "data, with the slices at the positions that the innermost dimension of indices holds replaced by those of updates (or combined with them), in ascending order. " + outOfRange,
		Inputs: []string{"data", "indices", "updates"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{attrReduction},
		Types: []string{"T int32 T -> T", "T int64 T -> T"}, infer: inferScatterND}

	opLayerNorm = &OpSpec{Name: "LayerNormalization", Doc: "(x - mean) / sqrt(variance + epsilon) · scale + bias along the innermost axis.",
		Inputs: []string{"X[...,N]", "scale[N]", "B[N]?"}, Outputs: []string{"Y"}, Attrs: []AttrSpec{attrEpsilon},
		Types: []string{"float32 float32 float32 -> float32"}, infer: inferNormalization}
	opRMSNorm = &OpSpec{Name: "RMSNormalization", Doc: "x / sqrt(mean(x²) + epsilon) · scale along the innermost axis.",
		Inputs: []string{"X[...,N]", "scale[N]"}, Outputs: []string{"Y"}, Attrs: []AttrSpec{attrEpsilon},
		Types: []string{"float32 float32 -> float32"}, infer: inferNormalization}

	opResize = &OpSpec{Name: "Resize", Doc: "ONNX's Resize, axis by axis in ascending order: each output position is mapped to the input by the coordinate transformation and takes the nearest element, or a mean of its neighbours.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{
			{Name: "sizes", Kind: KindInts, Required: true, Doc: "of Y, one a dimension"},
			{Name: "scales", Kind: KindFloats, Required: true, Doc: "Y's size through X's, one a dimension: what coordinates are mapped by, which need not be the quotient of the sizes"},
			{Name: "mode", Kind: KindString, Default: "nearest", Strings: []string{"nearest", "linear", "cubic"}},
			{Name: "coordinate_transformation_mode", Kind: KindString, Default: "half_pixel",
				Strings: []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"}},
			{Name: "nearest_mode", Kind: KindString, Default: "round_prefer_floor", Strings: []string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}},
			{Name: "cubic_coeff_a", Kind: KindFloat, Default: -0.75},
			{Name: "exclude_outside", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: neighbours outside of X have no weight"},
			{Name: "antialias", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: the filter widens where the size shrinks"},
			{Name: "roi", Kind: KindFloats, Doc: "of tf_crop_and_resize: starts, then ends, in 0..1, by dimension"},
			{Name: "extrapolation_value", Kind: KindFloat, Default: 0.0, Doc: "of tf_crop_and_resize, outside of X"},
		},
		Types: []string{"T -> T"}, infer: inferResize}

	opGridSample = &OpSpec{Name: "GridSample", Doc: "X at the positions (x, y) of grid, where -1 and 1 are its edges.",
		Inputs: []string{"X[N,H,W,C]", "grid[N,OH,OW,2]"}, Outputs: []string{"Y[N,OH,OW,C]"},
		Attrs: []AttrSpec{
			{Name: "mode", Kind: KindString, Default: "linear", Strings: []string{"linear", "nearest", "cubic"}},
			{Name: "padding_mode", Kind: KindString, Default: "zeros", Strings: []string{"zeros", "border", "reflection"}},
			{Name: "align_corners", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: the edges are the centres of the outermost elements"},
		},
		Types: []string{"float32 float32 -> float32"}, infer: inferGridSample}

	opGRU = &OpSpec{Name: "GRU",
		Doc: "ONNX's GRU in layout 0 with gates in the order z, r, h: z, r = sigmoid(W·x + Wb + R·h + Rb), g = tanh(W·x + Wb + R·(r*h) + Rb), or with r*(R·h + Rb) where linear_before_reset is 1; " +
			"h = (1 - z)*g + z*h. D, B and absent states as for LSTM.",
		Inputs:  []string{"X[T,N,I]", "W[D,3H,I]", "R[D,3H,H]", "B[D,6H]?", "sequence_lens[N]?", "initial_h[D,N,H]?"},
		Outputs: []string{"Y[T,D,N,H]?", "Y_h[D,N,H]?"},
		Attrs: []AttrSpec{
			{Name: "direction", Kind: KindString, Default: "forward", Strings: []string{"forward", "reverse", "bidirectional"}},
			{Name: "linear_before_reset", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}},
		},
		Types: []string{"float32 float32 float32 float32 int32 float32 -> float32 float32"}, infer: inferGates(3)}

	opRNN = &OpSpec{Name: "RNN", Doc: "ONNX's RNN in layout 0: h = tanh(W·x + Wb + R·h + Rb). D, B and absent states as for LSTM.",
		Inputs:  []string{"X[T,N,I]", "W[D,H,I]", "R[D,H,H]", "B[D,2H]?", "sequence_lens[N]?", "initial_h[D,N,H]?"},
		Outputs: []string{"Y[T,D,N,H]?", "Y_h[D,N,H]?"},
		Attrs:   []AttrSpec{{Name: "direction", Kind: KindString, Default: "forward", Strings: []string{"forward", "reverse", "bidirectional"}}},
		Types:   []string{"float32 float32 float32 float32 int32 float32 -> float32 float32"}, infer: inferGates(1)}
)

var (
	attrEpsilon   = AttrSpec{Name: "epsilon", Kind: KindFloat, Default: 1e-5}
	attrReduction = AttrSpec{Name: "reduction", Kind: KindString, Default: "none", Strings: []string{"none", "add", "mul", "max", "min"}}
)

const outOfRange = "An index may be negative: counted from the end. One out of range is an error when the op runs."

func argExtreme(name, which string) *OpSpec {
	return &OpSpec{Name: name, Doc: "The position of the " + which + " element along the axis, which stays with size 1.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{attrAxis, {Name: "select_last_index", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "which of equal ones: 0 the first, 1 the last"}},
		Types: []string{"T -> int64"}, infer: inferArg}
}

func cumulative(name, what string) *OpSpec {
	return &OpSpec{Name: name, Doc: "The " + what + " of all elements up to each along the axis.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{attrAxis, {Name: "exclusive", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: without the element itself"},
			{Name: "reverse", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: from the end"}},
		Types: []string{"N -> N"}, infer: inferCumulative}
}

// broadcast joins two shapes as numpy does.
func (c *call) broadcast(a, b Shape) Shape {
	return inferBroadcast(&call{attrs: c.attrs, in: []*Tensor{{Shape: a}, {Shape: b}}})[0]
}

func inferWhere(c *call) []Shape {
	return []Shape{c.broadcast(c.broadcast(c.in[0].Shape, c.in[1].Shape), c.in[2].Shape)}
}

func inferMatMul(c *call) []Shape {
	a, b := c.in[0].Shape, c.in[1].Shape
	if len(a) < 2 || len(b) < 2 || a[len(a)-1] != b[len(b)-2] || a[len(a)-1] < 1 {
		c.fail("shapes %v and %v have no product", a, b)
	}
	batch := c.broadcast(a[:len(a)-2], b[:len(b)-2])
	return []Shape{append(batch, a[len(a)-2], b[len(b)-1])}
}

func inferExpand(c *call) []Shape {
	want := c.ints("shape", 1)
	out := c.broadcast(c.known(0), want)
	if !out.Equal(want) {
		c.fail("%v does not broadcast to %v", c.in[0].Shape, want)
	}
	return []Shape{out}
}

func inferArg(c *call) []Shape {
	out := slices.Clone(c.in[0].Shape)
	out[c.axis(c.attrs["axis"].(int64), len(out))] = 1
	return []Shape{out}
}

func inferTopK(c *call) []Shape {
	out := slices.Clone(c.in[0].Shape)
	a, k := c.axis(c.attrs["axis"].(int64), len(out)), c.attrs["k"].(int64)
	if k < 1 || k > int64(out[a]) {
		c.fail("k %d is outside 1..%d", k, out[a])
	}
	out[a] = int(k)
	return []Shape{out, out}
}

func inferCumulative(c *call) []Shape {
	c.axis(c.attrs["axis"].(int64), len(c.in[0].Shape))
	return []Shape{c.in[0].Shape}
}

func inferGatherElements(c *call) []Shape {
	c.elements(c.known(0), c.known(1))
	return []Shape{c.in[1].Shape}
}

// elements checks that indices fit data but for the axis.
func (c *call) elements(data, idx Shape) {
	a := c.axis(int64(c.attrs.Int("axis", 0)), len(data))
	if len(idx) != len(data) {
		c.fail("indices %v and data %v differ in rank", idx, data)
	}
	for i := range data {
		if i != a && idx[i] > data[i] {
			c.fail("indices %v reach beyond data %v", idx, data)
		}
	}
}

func inferGatherND(c *call) []Shape {
	data, idx, b := c.known(0), c.known(1), int(c.attrs.Int("batch_dims", 0))
	if b < 0 || len(idx) < 1 || b >= len(idx) || b >= len(data) || b+idx[len(idx)-1] > len(data) || !data[:b].Equal(idx[:b]) {
		c.fail("indices %v with %d batch_dims do not fit data %v", idx, b, data)
	}
	return []Shape{slices.Concat(idx[:len(idx)-1], data[b+idx[len(idx)-1]:])}
}

func inferScatterElements(c *call) []Shape {
	c.elements(c.known(0), c.known(1))
	c.want(2, c.in[1].Shape)
	return []Shape{c.in[0].Shape}
}

func inferScatterND(c *call) []Shape {
	data, idx := c.known(0), c.known(1)
	if len(idx) < 1 || idx[len(idx)-1] > len(data) {
		c.fail("indices %v do not fit data %v", idx, data)
	}
	c.want(2, slices.Concat(idx[:len(idx)-1], data[idx[len(idx)-1]:]))
	return []Shape{data}
}

func inferNormalization(c *call) []Shape {
	x := c.in[0].Shape
	if len(x) == 0 || x[len(x)-1] < 1 {
		c.fail("input 0 has the shape %v: the innermost dimension must be known", x)
	}
	c.want(1, x[len(x)-1:])
	c.want(2, x[len(x)-1:])
	return []Shape{x}
}

func inferResize(c *call) []Shape {
	x, sizes := c.known(0), c.ints("sizes", 1)
	scales, roi := c.attrs.Floats("scales"), c.attrs.Floats("roi")
	if len(sizes) != len(x) || len(scales) != len(x) {
		c.fail("%d sizes and %d scales for the shape %v", len(sizes), len(scales), x)
	}
	for i, s := range scales {
		// A scale far from the sizes' quotient would read far outside.
		if q := float64(sizes[i]) / float64(x[i]); !(s > 0) || s > 2*q+1 || s < q/2-1 {
			c.fail("scale %g takes %d elements to %d", s, x[i], sizes[i])
		}
	}
	if c.attrs.Str("coordinate_transformation_mode", "") == "tf_crop_and_resize" && len(roi) != 2*len(x) {
		c.fail("roi has %d numbers for the shape %v", len(roi), x)
	}
	return []Shape{sizes}
}

func inferGridSample(c *call) []Shape {
	x, g := c.rank(0, 4), c.rank(1, 4)
	if !x.Static() || g[0] != x[0] || g[3] != 2 {
		c.fail("grid %v does not fit the input %v", g, x)
	}
	return []Shape{{x[0], g[1], g[2], x[3]}}
}

// inferGates is the rule of recurrent ops with that number of gates.
func inferGates(gates int) func(c *call) []Shape {
	return func(c *call) []Shape {
		x, w, r := c.rank(0, 3), c.rank(1, 3), c.rank(2, 3)
		dirs := 1
		if c.attrs.Str("direction", "") == "bidirectional" {
			dirs = 2
		}
		h := r[2]
		if h < 1 || h > MaxDim/8 || w[1] != gates*h {
			c.fail("W and R with the shapes %v and %v do not show one hidden size", w, r)
		}
		c.want(1, Shape{dirs, gates * h, x[2]})
		c.want(2, Shape{dirs, gates * h, h})
		c.want(3, Shape{dirs, 2 * gates * h})
		c.want(4, Shape{x[1]})
		c.want(5, Shape{dirs, x[1], h})
		return []Shape{{x[0], dirs, x[1], h}, {dirs, x[1], h}}
	}
}

package format

// Shorthands for the attribute lists.
var (
	attrStrides   = AttrSpec{Name: "strides", Kind: KindInts, Default: []int64{1, 1}, Len: 2, Doc: "vertical, horizontal"}
	attrDilations = AttrSpec{Name: "dilations", Kind: KindInts, Default: []int64{1, 1}, Len: 2, Doc: "vertical, horizontal"}
	attrPads      = AttrSpec{Name: "pads", Kind: KindInts, Default: []int64{0, 0, 0, 0}, Len: 4, Doc: "top, left, bottom, right"}
	attrKernel    = AttrSpec{Name: "kernel_shape", Kind: KindInts, Required: true, Len: 2, Doc: "height, width"}
	attrAxis      = AttrSpec{Name: "axis", Kind: KindInt, Required: true, Doc: "negative: counted from the end"}
	attrInner     = AttrSpec{Name: "axis", Kind: KindInt, Default: int64(-1), Doc: "the innermost axis, which is the only one supported"}
	attrAxes      = AttrSpec{Name: "axes", Kind: KindInts, Required: true, Doc: "each once; negative: counted from the end"}
	attrKeepdims  = AttrSpec{Name: "keepdims", Kind: KindInt, Default: int64(1), Ints: []int64{0, 1}, Doc: "1: a reduced axis stays with size 1"}
	attrState     = AttrSpec{Name: "state", Kind: KindStateRef, Required: true, Doc: "name of the state"}
)

// matmulTypes are the combinations of Conv and Gemm: input, weights, bias.
var matmulTypes = []string{
	"float32 float32 float32 -> float32",
	"qint8 wint8 int32 -> qint8",
	"quint8 wuint8 int32 -> quint8",
	"qint16 wint8 int64 -> qint16",
	"float32 wint8 float32 -> float32", // hybrid: the input is quantized when the op runs
}

// The makers of rows are not inlined: the table's initialization is a third of
// the size that way.

//go:noinline
func unaryOp(name, doc string, types ...string) *OpSpec {
	if types == nil {
		types = []string{"A -> A"}
	}
	return &OpSpec{Name: name, Doc: doc, Inputs: []string{"X"}, Outputs: []string{"Y"}, Types: types, infer: inferSame}
}

//go:noinline
func binaryOp(name, doc string) *OpSpec {
	return &OpSpec{Name: name, Doc: doc + " The shapes broadcast as numpy's do.", Inputs: []string{"A", "B"}, Outputs: []string{"C"},
		Types: []string{"A A -> A", "N N -> N"}, infer: inferBroadcast}
}

//go:noinline
func reduce(name, doc string, types ...string) *OpSpec {
	return &OpSpec{Name: name, Doc: doc, Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []AttrSpec{attrAxes, attrKeepdims},
		Types: types, infer: inferReduce}
}

//go:noinline
func pool(name, doc string, types ...string) *OpSpec {
	return &OpSpec{Name: name, Doc: doc, Inputs: []string{"X[N,H,W,C]"}, Outputs: []string{"Y[N,OH,OW,C]"},
		Attrs: []AttrSpec{attrKernel, attrStrides, attrDilations, attrPads}, Types: types, infer: inferPool}
}

//go:noinline
func with(s *OpSpec, attrs ...AttrSpec) *OpSpec {
	s.Attrs = attrs
	return s
}

// Ops is the op table; see [AddRare] for what it lacks. It must not be changed.
var Ops = table(
	// Linear layers.
	&OpSpec{Name: "Conv",
		Doc: "Two-dimensional convolution (cross-correlation) in group groups; depthwise when group is C. Padding is real zero, which is the zero point of a quantized X. " +
			"The bias of a quantized Conv counts in units of X's scale times W's; weights may have one zero point when they are quantized per tensor.",
		Inputs: []string{"X[N,H,W,C]", "W[O,KH,KW,C/group]", "B[O]?"}, Outputs: []string{"Y[N,OH,OW,O]"},
		Attrs: []AttrSpec{attrStrides, attrDilations, attrPads, {Name: "group", Kind: KindInt, Default: int64(1), Doc: "divides C and O"}},
		Types: matmulTypes, infer: inferConv},
	&OpSpec{Name: "Gemm",
		Doc:    "Y = A·Bᵀ + C: a fully connected layer with the weights B, one row an output. Types and bias as for Conv.",
		Inputs: []string{"A[M,K]", "B[N,K]", "C[N]?"}, Outputs: []string{"Y[M,N]"},
		Attrs: []AttrSpec{{Name: "transB", Kind: KindInt, Required: true, Ints: []int64{1}, Doc: "B is stored transposed: the only form"}},
		Types: matmulTypes, infer: inferGemm},

	opMatMul,

	// Normalization.
	opLayerNorm, opRMSNorm,

	// Pooling and sampling.
	opResize, opGridSample,
	pool("MaxPool", "The greatest element of each window; padding never wins.", "T -> T"),
	pool("AveragePool", "The mean of each window's elements. Padding is not counted.", "A -> A"),

	// Elementwise, one input.
	unaryOp("Relu", "x < 0 ? 0 : x."),
	with(unaryOp("Clip", "x bounded to [min, max], which are real values also where X is quantized."),
		AttrSpec{Name: "min", Kind: KindFloat, Doc: "absent: no lower bound"}, AttrSpec{Name: "max", Kind: KindFloat, Doc: "absent: no upper bound"}),
	unaryOp("Sigmoid", "1 / (1 + exp(-x))."),
	unaryOp("Tanh", "The hyperbolic tangent."),
	unaryOp("HardSwish", "x · min(max(x + 3, 0), 6) / 6."),
	with(unaryOp("LeakyRelu", "x < 0 ? alpha·x : x."), AttrSpec{Name: "alpha", Kind: KindFloat, Default: 0.01}),
	with(unaryOp("Elu", "x < 0 ? alpha·(exp(x) - 1) : x."), AttrSpec{Name: "alpha", Kind: KindFloat, Default: 1.0}),
	unaryOp("Exp", "e to the power of x."),
	unaryOp("Log", "The natural logarithm."),
	unaryOp("Sqrt", "The square root."),
	unaryOp("Rsqrt", "1 / sqrt(x)."),
	unaryOp("Abs", "The absolute value.", "A -> A", "N -> N"),
	unaryOp("Neg", "-x.", "A -> A", "N -> N"),
	unaryOp("Erf", "The error function."),
	with(unaryOp("Gelu", "x/2 · (1 + erf(x/sqrt(2))), or its approximation by a hyperbolic tangent."),
		AttrSpec{Name: "approximate", Kind: KindString, Default: "none", Strings: []string{"none", "tanh"}}),
	opHardSigmoid,
	unaryOp("Softplus", "log(1 + exp(x))."),
	unaryOp("Reciprocal", "1 / x."),
	unaryOp("Floor", "The greatest integer that is not above x."),
	unaryOp("Ceil", "The least integer that is not below x."),
	unaryOp("Round", "The nearest integer; of two, the even one."),
	unaryOp("Sign", "-1, 0 or 1.", "N -> N"),
	unaryOp("Sin", "The sine.", "float32 -> float32"),
	unaryOp("Cos", "The cosine.", "float32 -> float32"),
	unaryOp("Tan", "The tangent.", "float32 -> float32"),
	unaryOp("Asin", "The arcsine.", "float32 -> float32"),
	unaryOp("Acos", "The arccosine.", "float32 -> float32"),
	unaryOp("Atan", "The arctangent.", "float32 -> float32"),
	unaryOp("Sinh", "The hyperbolic sine.", "float32 -> float32"),
	unaryOp("Cosh", "The hyperbolic cosine.", "float32 -> float32"),
	unaryOp("Asinh", "The inverse hyperbolic sine.", "float32 -> float32"),
	unaryOp("Acosh", "The inverse hyperbolic cosine.", "float32 -> float32"),
	unaryOp("Atanh", "The inverse hyperbolic tangent.", "float32 -> float32"),
	with(unaryOp("Softmax", "exp(x - max) / sum(exp(x - max)) along the axis.", "A -> A", "qint8 -> qint16"), attrInner),
	with(unaryOp("LogSoftmax", "The logarithm of Softmax.", "A -> A", "qint8 -> qint16"), attrInner),

	// Elementwise, two inputs.
	binaryOp("Add", "a + b."),
	binaryOp("Sub", "a - b."),
	binaryOp("Mul", "a · b."),
	binaryOp("Div", "a / b; integers that are not quantized truncate towards zero."),
	binaryOp("Max", "b > a ? b : a."),
	binaryOp("Min", "b < a ? b : a."),
	binaryOp("Pow", "a to the power of b."),
	binaryOp("SquaredDifference", "(a - b)²."),
	opMod,

	// Logic.
	unaryOp("Not", "Not x.", "bool -> bool"),
	logical("And", "a and b.", "bool bool -> bool"),
	logical("Or", "a or b.", "bool bool -> bool"),
	logical("Xor", "Either a or b.", "bool bool -> bool"),
	logical("Equal", "a == b.", "N N -> bool", "bool bool -> bool"),
	logical("Less", "a < b.", "N N -> bool"),
	logical("LessOrEqual", "a <= b.", "N N -> bool"),
	opWhere,

	// Reductions.
	reduce("ReduceMean", "The mean over the axes.", "A -> A", "N -> N"),
	reduce("ReduceSum", "The sum over the axes.", "A -> A", "N -> N"),
	reduce("ReduceMax", "The greatest element over the axes.", "T -> T"),
	reduce("ReduceMin", "The least element over the axes.", "T -> T"),
	reduce("ReduceProd", "The product over the axes.", "N -> N"),
	opArgMax, opArgMin, opTopK, opCumSum, opCumProd,

	// Data movement. The output has the type and quantization of the input.
	&OpSpec{Name: "Reshape", Doc: "The same elements in the same order with another shape.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "shape", Kind: KindInts, Required: true, Doc: "sizes; one may be -1 and takes what is left"}},
		Types: []string{"T -> T"}, infer: inferReshape},
	&OpSpec{Name: "Transpose", Doc: "Dimension i of Y is dimension perm[i] of X.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "perm", Kind: KindInts, Required: true, Doc: "a permutation of the axes"}},
		Types: []string{"T -> T"}, infer: inferTranspose},
	&OpSpec{Name: "Concat", Doc: "The inputs one after another along the axis.",
		Inputs: []string{"X..."}, Outputs: []string{"Y"}, Attrs: []AttrSpec{attrAxis},
		Types: []string{"T -> T"}, infer: inferConcat},
	&OpSpec{Name: "Split", Doc: "X cut along the axis into pieces of the given sizes.",
		Inputs: []string{"X"}, Outputs: []string{"Y..."},
		Attrs: []AttrSpec{attrAxis, {Name: "split", Kind: KindInts, Required: true, Doc: "size of each output; their sum is the axis's size"}},
		Types: []string{"T -> T"}, infer: inferSplit},
	&OpSpec{Name: "Slice", Doc: "The elements from starts to before ends in steps, by axis. Starts and ends count from the end when negative and are clamped, as numpy's.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "starts", Kind: KindInts, Required: true}, {Name: "ends", Kind: KindInts, Required: true},
			{Name: "axes", Kind: KindInts, Doc: "absent: 0, 1, ..."}, {Name: "steps", Kind: KindInts, Doc: "not zero; absent: all 1"}},
		Types: []string{"T -> T"}, infer: inferSlice},
	&OpSpec{Name: "Pad", Doc: "X with a border: of a constant, of its mirror image without the edge (reflect), or of its edge.",
		Inputs: []string{"X"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "pads", Kind: KindInts, Required: true, Doc: "the number of elements before each axis, then after each axis; not negative"},
			{Name: "mode", Kind: KindString, Default: "constant", Strings: []string{"constant", "reflect", "edge"}},
			{Name: "value", Kind: KindFloat, Default: 0.0, Doc: "of constant mode, a real value also where X is quantized"}},
		Types: []string{"T -> T"}, infer: inferPad},
	&OpSpec{Name: "Gather", Doc: "Slices of data along the axis at the indices; Y has the indices' shape in the axis's place. An index may be negative: counted from the end. One out of range is an error when the op runs.",
		Inputs: []string{"data", "indices"}, Outputs: []string{"Y"},
		Attrs: []AttrSpec{{Name: "axis", Kind: KindInt, Default: int64(0)}},
		Types: []string{"T int32 -> T", "T int64 -> T"}, infer: inferGather},
	opExpand, opGatherElements, opGatherND, opScatterElements, opScatterND,

	// Types.
	unaryOp("Cast", "The same numbers as another type: floats to integers truncate towards zero, integers wrap, bool is 0 or 1 and != 0.", "N -> M", "bool -> N", "N -> bool"),
	unaryOp("QuantizeLinear", "Real numbers to the output's quantization: clamp(rne(x/scale) + zero).", "float32 -> Q"),
	unaryOp("DequantizeLinear", "The real numbers that a quantized tensor stands for: scale · (x - zero).", "W -> float32"),
	unaryOp("Requantize", "A quantized tensor to the output's type and quantization.", "Q -> R"),

	// Recurrent layers and state.
	opLSTM, opGRU, opRNN, opQLSTM, opSVDF,
	&OpSpec{Name: "StateRead", Doc: "The value of a state. It is the value before this run's StateWrite if it comes earlier in the list of nodes than that, else the new one.",
		Outputs: []string{"Y"}, Attrs: []AttrSpec{attrState}, Types: []string{"-> T"}, infer: inferStateRead},
	&OpSpec{Name: "StateWrite", Doc: "Sets the value of a state, from this node on and for the runs to come.",
		Inputs: []string{"X"}, Attrs: []AttrSpec{attrState}, Types: []string{"T ->"}, infer: inferStateWrite},
)

func table(specs ...*OpSpec) map[string]*OpSpec {
	t := make(map[string]*OpSpec, len(specs))
	for _, s := range specs {
		t[s.Name] = s
	}
	return t
}

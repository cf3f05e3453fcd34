package tflite

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// summary writes the nodes of a model, one a line: op, input shapes, output
// shapes, attributes.
func summary(m *format.Model) string {
	shape := func(names []string) string {
		var out []string
		for _, n := range names {
			if t := m.Tensor(n); t != nil {
				out = append(out, fmt.Sprint([]int(t.Shape)))
			} else {
				out = append(out, "-")
			}
		}
		return strings.Join(out, " ")
	}
	var lines []string
	for _, n := range m.Main().Nodes {
		var attrs []string
		for k, v := range n.Attrs {
			attrs = append(attrs, fmt.Sprintf("%s=%v", k, v))
		}
		slices.Sort(attrs)
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s -> %s %s", n.Op, shape(n.Inputs), shape(n.Outputs), strings.Join(attrs, " "))))
	}
	return strings.Join(lines, "\n")
}

func codeOf(name string) int32 { return int32(slices.Index(opNames[:], name)) }

// TestOperators converts a small model for every operator of the table. The
// expected geometry is worked out by hand from TensorFlow Lite's documentation.
func TestOperators(t *testing.T) {
	image := f32("x", 1, 5, 4, 2)
	tests := []struct {
		op   string
		in   []testTensor
		out  []testTensor
		opts []field
		want string
	}{
		{"ADD", []testTensor{f32("a", 2, 3), f32("b", 3)}, []testTensor{f32("y", 2, 3)}, nil, "Add [2 3] [3] -> [2 3]"},
		{"ADD", []testTensor{i8("a", 2, 3), i8("b", 3)}, []testTensor{i8("y", 2, 3)}, []field{{0, int8(actRelu6)}},
			"Add [2 3] [3] -> [2 3]\nClip [2 3] -> [2 3] max=6 min=0"},
		{"SUB", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, []field{{0, int8(actReluN1)}},
			"Sub [2] [2] -> [2]\nClip [2] -> [2] max=1 min=-1"},
		{"MUL", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, []field{{0, int8(actTanh)}},
			"Mul [2] [2] -> [2]\nTanh [2] -> [2]"},
		{"DIV", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, nil, "Div [2] [2] -> [2]"},
		{"MAXIMUM", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, nil, "Max [2] [2] -> [2]"},
		{"MINIMUM", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, nil, "Min [2] [2] -> [2]"},
		{"POW", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, nil, "Pow [2] [2] -> [2]"},
		{"SQUARED_DIFFERENCE", []testTensor{f32("a", 2), f32("b", 2)}, []testTensor{f32("y", 2)}, nil, "SquaredDifference [2] [2] -> [2]"},
		{"SQUARE", []testTensor{f32("a", 2)}, []testTensor{f32("y", 2)}, nil, "Mul [2] [2] -> [2]"},

		// SAME, stride 2, on height 5: 3 rows, 3*3 > 5, so (3-1)*2+3-5 = 2 rows of padding.
		{"CONV_2D", []testTensor{image, fill(f32("w", 6, 3, 3, 2)), fill(f32("b", 6))}, []testTensor{f32("y", 1, 3, 2, 6)},
			[]field{{0, int8(padSame)}, {1, int32(2)}, {2, int32(2)}, {3, int8(actRelu)}, {4, int32(1)}, {5, int32(1)}},
			"Conv [1 5 4 2] [6 3 3 2] [6] -> [1 3 2 6] dilations=[1 1] group=1 pads=[1 0 1 1] strides=[2 2]\nRelu [1 3 2 6] -> [1 3 2 6]"},
		{"CONV_2D", []testTensor{image, fill(f32("w", 6, 2, 3, 1))}, []testTensor{f32("y", 1, 3, 2, 6)}, // two groups; dilation 2
			[]field{{0, int8(padValid)}, {1, int32(1)}, {2, int32(1)}, {4, int32(1)}, {5, int32(2)}},
			"Conv [1 5 4 2] [6 2 3 1] -> [1 3 2 6] dilations=[2 1] group=2 pads=[0 0 0 0] strides=[1 1]"},
		{"DEPTHWISE_CONV_2D", []testTensor{image, fill(f32("w", 1, 3, 3, 4)), fill(f32("b", 4))}, []testTensor{f32("y", 1, 3, 2, 4)},
			[]field{{0, int8(padValid)}, {1, int32(1)}, {2, int32(1)}, {3, int32(2)}, {5, int32(1)}, {6, int32(1)}},
			"Conv [1 5 4 2] [4 3 3 1] [4] -> [1 3 2 4] dilations=[1 1] group=2 pads=[0 0 0 0] strides=[1 1]"},
		{"AVERAGE_POOL_2D", []testTensor{image}, []testTensor{f32("y", 1, 3, 2, 2)},
			[]field{{0, int8(padSame)}, {1, int32(2)}, {2, int32(2)}, {3, int32(2)}, {4, int32(2)}},
			"AveragePool [1 5 4 2] -> [1 3 2 2] kernel_shape=[2 2] pads=[0 0 1 0] strides=[2 2]"},
		{"MAX_POOL_2D", []testTensor{image}, []testTensor{f32("y", 1, 4, 2, 2)},
			[]field{{0, int8(padValid)}, {1, int32(2)}, {2, int32(1)}, {3, int32(2)}, {4, int32(2)}, {5, int8(actRelu)}},
			"MaxPool [1 5 4 2] -> [1 4 2 2] kernel_shape=[2 2] pads=[0 0 0 0] strides=[1 2]\nRelu [1 4 2 2] -> [1 4 2 2]"},
		{"FULLY_CONNECTED", []testTensor{f32("x", 1, 2, 6), fill(f32("w", 3, 4)), absent}, []testTensor{f32("y", 3, 3)},
			[]field{{0, int8(actRelu)}}, "Reshape [1 2 6] -> [3 4] shape=[3 4]\nGemm [3 4] [3 4] -> [3 3] transB=1\nRelu [3 3] -> [3 3]"},
		{"FULLY_CONNECTED", []testTensor{f32("x", 1, 2, 4), fill(f32("w", 3, 4)), fill(f32("b", 3))}, []testTensor{f32("y", 1, 2, 3)},
			[]field{{2, true}}, "Reshape [1 2 4] -> [2 4] shape=[2 4]\nGemm [2 4] [3 4] [3] -> [2 3] transB=1\nReshape [2 3] -> [1 2 3] shape=[1 2 3]"},

		{"RESHAPE", []testTensor{f32("x", 2, 3), list(3, -1)}, []testTensor{f32("y", 3, 2)}, nil, "Reshape [2 3] -> [3 2] shape=[3 2]"},
		{"SQUEEZE", []testTensor{f32("x", 1, 3)}, []testTensor{f32("y", 3)}, nil, "Reshape [1 3] -> [3] shape=[3]"},
		{"EXPAND_DIMS", []testTensor{f32("x", 3), scalar(0)}, []testTensor{f32("y", 1, 3)}, nil, "Reshape [3] -> [1 3] shape=[1 3]"},
		{"TRANSPOSE", []testTensor{f32("x", 2, 3, 4), list(2, 0, 1)}, []testTensor{f32("y", 4, 2, 3)}, nil, "Transpose [2 3 4] -> [4 2 3] perm=[2 0 1]"},
		{"CONCATENATION", []testTensor{f32("a", 2, 3), f32("b", 2, 1)}, []testTensor{f32("y", 2, 4)}, []field{{0, int32(-1)}, {1, int8(actRelu)}},
			"Concat [2 3] [2 1] -> [2 4] axis=1\nRelu [2 4] -> [2 4]"},
		{"PACK", []testTensor{f32("a", 2, 3), f32("b", 2, 3)}, []testTensor{f32("y", 2, 2, 3)}, []field{{0, int32(2)}, {1, int32(1)}},
			"Reshape [2 3] -> [2 1 3] shape=[2 1 3]\nReshape [2 3] -> [2 1 3] shape=[2 1 3]\nConcat [2 1 3] [2 1 3] -> [2 2 3] axis=1"},
		{"PACK", []testTensor{f32("a", 2, 3)}, []testTensor{f32("y", 2, 3, 1)}, []field{{0, int32(1)}, {1, int32(-1)}}, "Reshape [2 3] -> [2 3 1] shape=[2 3 1]"},
		{"UNPACK", []testTensor{f32("x", 2, 3)}, []testTensor{f32("a", 3), f32("b", 3)}, []field{{0, int32(2)}},
			"Split [2 3] -> [1 3] [1 3] axis=0 split=[1 1]\nReshape [1 3] -> [3] shape=[3]\nReshape [1 3] -> [3] shape=[3]"},
		{"SPLIT", []testTensor{scalar(-1), f32("x", 2, 4)}, []testTensor{f32("a", 2, 2), f32("b", 2, 2)}, []field{{0, int32(2)}},
			"Split [2 4] -> [2 2] [2 2] axis=1 split=[2 2]"},
		{"SPLIT_V", []testTensor{f32("x", 2, 4), list(1, -1), scalar(1)}, []testTensor{f32("a", 2, 1), f32("b", 2, 3)}, []field{{0, int32(2)}},
			"Split [2 4] -> [2 1] [2 3] axis=1 split=[1 3]"},
		{"SLICE", []testTensor{f32("x", 4, 5), list(1, 2), list(2, -1)}, []testTensor{f32("y", 2, 3)}, nil,
			"Slice [4 5] -> [2 3] axes=[0 1] ends=[3 5] starts=[1 2] steps=[1 1]"},
		{"STRIDED_SLICE", []testTensor{f32("x", 4, 5), list(1, 0), list(3, 0), list(1, 2)}, []testTensor{f32("y", 2, 3)},
			[]field{{0, int32(2)}, {1, int32(2)}}, // a[1:3, ::2]
			"Slice [4 5] -> [2 3] axes=[0 1] ends=[3 5] starts=[1 0] steps=[1 2]"},
		{"GATHER", []testTensor{f32("x", 4, 5), list(0, 2)}, []testTensor{f32("y", 4, 2)}, []field{{0, int32(1)}}, "Gather [4 5] [2] -> [4 2] axis=1"},
		{"PAD", []testTensor{f32("x", 2, 3), list(1, 0, 2, 3)}, []testTensor{f32("y", 3, 8)}, nil, "Pad [2 3] -> [3 8] mode=constant pads=[1 2 0 3]"},
		{"PADV2", []testTensor{f32("x", 2, 3), list(0, 0, 1, 1), float(-1.5)}, []testTensor{f32("y", 2, 5)}, nil, "Pad [2 3] -> [2 5] mode=constant pads=[0 1 0 1] value=-1.5"},
		{"MIRROR_PAD", []testTensor{f32("x", 2, 3), list(0, 0, 1, 1)}, []testTensor{f32("y", 2, 5)}, nil, "Pad [2 3] -> [2 5] mode=reflect pads=[0 1 0 1]"},

		{"MEAN", []testTensor{f32("x", 1, 5, 4, 2), list(2, -3, 2)}, []testTensor{f32("y", 1, 2)}, nil, "ReduceMean [1 5 4 2] -> [1 2] axes=[1 2] keepdims=0"},
		{"SUM", []testTensor{f32("x", 2, 3), list(1)}, []testTensor{f32("y", 2, 1)}, []field{{0, true}}, "ReduceSum [2 3] -> [2 1] axes=[1] keepdims=1"},
		{"REDUCE_MAX", []testTensor{f32("x", 2, 3), scalar(0)}, []testTensor{f32("y", 3)}, nil, "ReduceMax [2 3] -> [3] axes=[0] keepdims=0"},
		{"SOFTMAX", []testTensor{f32("x", 2, 3)}, []testTensor{f32("y", 2, 3)}, []field{{0, float32(1)}}, "Softmax [2 3] -> [2 3] axis=-1"},
		{"LOG_SOFTMAX", []testTensor{f32("x", 2, 3)}, []testTensor{f32("y", 2, 3)}, nil, "LogSoftmax [2 3] -> [2 3] axis=-1"},
		{"LEAKY_RELU", []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}, []field{{0, float32(0.25)}}, "LeakyRelu [2] -> [2] alpha=0.25"},
		{"GELU", []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}, []field{{0, true}}, "Gelu [2] -> [2] approximate=tanh"},
		{"RELU6", []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}, nil, "Clip [2] -> [2] max=6 min=0"},
		{"RELU_N1_TO_1", []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}, nil, "Clip [2] -> [2] max=1 min=-1"},
		{"RELU_0_TO_1", []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}, nil, "Clip [2] -> [2] max=1 min=0"},
		{"CAST", []testTensor{f32("x", 2)}, []testTensor{{name: "y", typ: format.Int32, shape: []int32{2}}}, nil, "Cast [2] -> [2]"},
		{"QUANTIZE", []testTensor{f32("x", 2)}, []testTensor{i8("y", 2)}, nil, "QuantizeLinear [2] -> [2]"},
		{"QUANTIZE", []testTensor{{name: "x", typ: format.Uint8, shape: []int32{2}, scale: []float32{1}, zero: []int64{9}}}, []testTensor{i8("y", 2)}, nil, "Requantize [2] -> [2]"},
		{"DEQUANTIZE", []testTensor{i8("x", 2)}, []testTensor{f32("y", 2)}, nil, "DequantizeLinear [2] -> [2]"},
		{"SVDF", []testTensor{f32("x", 1, 3), fill(f32("wf", 4, 3)), fill(f32("wt", 4, 5)), fill(f32("b", 2)), {name: "s", typ: format.Float32, shape: []int32{1, 20}, variable: true}},
			[]testTensor{f32("y", 1, 2)}, []field{{0, int32(2)}, {1, int8(actRelu)}},
			"StateRead  -> [1 20] state=s\nSVDF [1 3] [4 3] [4 5] [2] [1 20] -> [1 2] [1 20] rank=2\nRelu [1 2] -> [1 2]\nStateWrite [1 20] ->  state=s"},
	}
	for op, name := range map[string]string{"LOGISTIC": "Sigmoid", "TANH": "Tanh", "RELU": "Relu", "EXP": "Exp", "LOG": "Log", "SQRT": "Sqrt",
		"RSQRT": "Rsqrt", "ABS": "Abs", "NEG": "Neg", "ELU": "Elu", "HARD_SWISH": "HardSwish"} {
		tests = append(tests, struct {
			op   string
			in   []testTensor
			out  []testTensor
			opts []field
			want string
		}{op, []testTensor{f32("x", 2, 3)}, []testTensor{f32("y", 2, 3)}, nil, name + " [2 3] -> [2 3]"})
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.op, func(t *testing.T) {
			seen[tt.op] = true
			m, err := importBytes(one(codeOf(tt.op), tt.in, tt.out, tt.opts...).file(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(m); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if err := format.Check(m); err != nil {
				t.Error(err)
			}
			for i, in := range m.Main().Inputs {
				if name := tt.in[slices.IndexFunc(tt.in, func(x testTensor) bool { return x.name == in.Tensor })].name; name != in.Tensor {
					t.Errorf("input %d is called %q, not %q", i, in.Tensor, name)
				}
			}
			for i, name := range m.Main().Outputs {
				if name != tt.out[i].name {
					t.Errorf("output %d is called %q, not %q", i, name, tt.out[i].name)
				}
			}
		})
	}
	elsewhere := []string{"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "UNIDIRECTIONAL_SEQUENCE_LSTM", `CUSTOM "Convolution2DTransposeBias"`}
	for name, b := range archive(t) {
		if !strings.HasSuffix(name, ".tflite") {
			continue
		}
		src, err := decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range src.graphs {
			for _, o := range g.operators {
				elsewhere = append(elsewhere, o.name)
			}
		}
	}
	for name := range rows {
		if !seen[name] && !slices.Contains(elsewhere, name) {
			t.Errorf("no test converts %s", name)
		}
	}
}

// TestStridedSlice compares the slices that the masks describe with a direct
// reading of the definition, index by index.
func TestStridedSlice(t *testing.T) {
	tests := []struct {
		name                                        string
		begin, end, stride                          []int32
		beginMask, endMask, ellipsis, added, shrink int32
		offset                                      bool
		want                                        []int32 // output shape
		start, count, step                          []int   // of each dimension
	}{
		{"a[-3:-1, 1]", []int32{-3, 1}, []int32{-1, 2}, []int32{1, 1}, 0, 0, 0, 0, 2, false, []int32{2}, []int{1, 1}, []int{2, 1}, []int{1, 1}},
		{"a[::-1]", []int32{0}, []int32{0}, []int32{-1}, 1, 1, 0, 0, 0, false, []int32{4, 5}, []int{3, 0}, []int{4, 5}, []int{-1, 1}},
		{"a[3:0:-2]", []int32{3}, []int32{0}, []int32{-2}, 0, 0, 0, 0, 0, false, []int32{2, 5}, []int{3, 0}, []int{2, 5}, []int{-2, 1}},
		{"a[..., -1]", []int32{0, -1}, []int32{0, 0}, []int32{1, 1}, 0, 0, 1, 0, 2, false, []int32{4}, []int{0, 4}, []int{4, 1}, []int{1, 1}},
		{"a[None, 1:]", []int32{0, 1}, []int32{0, 0}, []int32{1, 1}, 0, 2, 0, 1, 0, false, []int32{1, 3, 5}, []int{1, 0}, []int{3, 5}, []int{1, 1}},
		{"a[1:99, -99:2]", []int32{1, -99}, []int32{99, 2}, []int32{1, 1}, 0, 0, 0, 0, 0, false, []int32{3, 2}, []int{1, 0}, []int{3, 2}, []int{1, 1}},
		{"a[1:1+2] by offset", []int32{1}, []int32{2}, []int32{1}, 0, 0, 0, 0, 0, true, []int32{2, 5}, []int{1, 0}, []int{2, 5}, []int{1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := importBytes(one(codeOf("STRIDED_SLICE"),
				[]testTensor{f32("a", 4, 5), list(tt.begin...), list(tt.end...), list(tt.stride...)}, []testTensor{f32("y", tt.want...)},
				field{0, tt.beginMask}, field{1, tt.endMask}, field{2, tt.ellipsis}, field{3, tt.added}, field{4, tt.shrink}, field{5, tt.offset}).file(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := format.Check(m); err != nil {
				t.Fatal(err)
			}
			a := m.Main().Nodes[0].Attrs
			for d, size := range []int{4, 5} {
				start, count := format.SliceRange(size, a.Ints("starts")[d], a.Ints("ends")[d], a.Ints("steps")[d])
				if start != tt.start[d] || count != tt.count[d] || int(a.Ints("steps")[d]) != tt.step[d] {
					t.Errorf("dimension %d: from %d, %d of them, in steps of %d; want %d, %d, %d",
						d, start, count, a.Ints("steps")[d], tt.start[d], tt.count[d], tt.step[d])
				}
			}
		})
	}
}

func TestDepthwiseWeights(t *testing.T) {
	w := testTensor{name: "w", typ: format.Int8, shape: []int32{1, 1, 2, 3}, data: []byte{1, 2, 3, 4, 5, 6},
		scale: []float32{1, 2, 3}, zero: []int64{0, 0, 0}, dimension: 3}
	x := i8("x", 1, 1, 2, 3)
	y := i8("y", 1, 1, 1, 3)
	m, err := importBytes(one(codeOf("DEPTHWISE_CONV_2D"), []testTensor{x, w}, []testTensor{y},
		field{0, int8(padValid)}, field{1, int32(1)}, field{2, int32(1)}, field{3, int32(1)}, field{5, int32(1)}, field{6, int32(1)}).file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := m.Tensor(m.Main().Nodes[0].Inputs[1])
	if want := []byte{1, 4, 2, 5, 3, 6}; !slices.Equal(got.Data, want) {
		t.Errorf("weights %v, want %v", got.Data, want)
	}
	if q := got.Quant; q.Axis != 0 || !slices.Equal(q.Scale, []float32{1, 2, 3}) || q.Zero != nil {
		t.Errorf("quantization %+v", q)
	}
	if err := format.Check(m); err != nil {
		t.Error(err)
	}
}

// TestKeepsWeights: an older uint8 model keeps its weights' bytes and their
// zero point.
func TestKeepsWeights(t *testing.T) {
	q := func(x testTensor, scale float32, zero int64) testTensor {
		x.typ, x.scale, x.zero = format.Uint8, []float32{scale}, []int64{zero}
		return x
	}
	x, w, y := q(f32("x", 1, 4), 0.5, 128), q(fill(f32("w", 2, 4)), 0.25, 117), q(f32("y", 1, 2), 1, 3)
	w.data = w.data[:8]
	b := list(5, -7)
	b.scale, b.zero = []float32{0.125}, []int64{0}
	m, err := importBytes(one(codeOf("FULLY_CONNECTED"), []testTensor{x, w, b}, []testTensor{y}, field{0, int8(actRelu6)}).file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := m.Tensor("w")
	if got.Type != format.Uint8 || !slices.Equal(got.Data, w.data) || got.Quant.ZeroPoint() != 117 {
		t.Errorf("weights became %v %v %+v", got.Type, got.Data, got.Quant)
	}
	pre := m.Tensor(m.Main().Nodes[0].Outputs[0])
	if pre.Name == "y" || !sameQuant(pre.Quant, m.Tensor("y").Quant) {
		t.Errorf("before its activation the output is %q with quantization %+v", pre.Name, pre.Quant)
	}
	if err := format.Check(m); err != nil {
		t.Error(err)
	}
}

// TestConcatRescales: TensorFlow Lite lets CONCATENATION and PACK take inputs
// of other scales than the output's.
func TestConcatRescales(t *testing.T) {
	a, b, y := i8("a", 2), i8("b", 2), i8("y", 4)
	b.scale = []float32{2}
	m, err := importBytes(one(codeOf("CONCATENATION"), []testTensor{a, b}, []testTensor{y}).file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(m), "Requantize [2] -> [2]\nConcat [2] [2] -> [4] axis=0"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := format.Check(m); err != nil {
		t.Error(err)
	}
}

// TestHalfWeights: a constant of half floats behind a DEQUANTIZE becomes a
// constant of floats.
func TestHalfWeights(t *testing.T) {
	h := testTensor{name: "h", typ: format.Float16, shape: []int32{2}, data: []byte{0x00, 0x3c, 0x01, 0x80}} // 1, -2^-24
	g := testGraph{
		tensors: []testTensor{h, f32("w", 2), f32("x", 2), f32("y", 2)},
		inputs:  []int32{2}, outputs: []int32{3},
		ops: []testOp{
			{code: codeOf("DEQUANTIZE"), in: []int32{0}, out: []int32{1}},
			{code: codeOf("MUL"), in: []int32{2, 1}, out: []int32{3}},
		},
	}
	m, err := importBytes(testModel{graphs: []testGraph{g}}.file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(m), "Mul [2] [2] -> [2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xb3}
	if w := m.Tensor("w"); !slices.Equal(w.Data, want) || m.Tensor("h") != nil {
		t.Errorf("weights % x, want % x", w.Data, want)
	}
}

// TestFloat16 compares with the value that IEEE 754 gives each half.
func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, man := 1.0, h>>10&31, float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		var want float64
		switch exp {
		case 0:
			want = sign * man * 0x1p-24
		case 31:
			want = math.Inf(int(sign))
			if man != 0 {
				want = math.NaN()
			}
		default:
			want = sign * math.Ldexp(1024+man, exp-25)
		}
		got := float64(float16(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("half %04x is %v, want %v", h, got, want)
		}
	}
}

// variables is a model whose only state is a variable that adds up its inputs.
func variables(init testTensor) testModel {
	handle := testTensor{name: "handle", resource: true}
	named := []field{{1, "sum"}}
	main := testGraph{
		tensors: []testTensor{handle, f32("old", 2), f32("x", 2), f32("y", 2)},
		inputs:  []int32{2}, outputs: []int32{3},
		ops: []testOp{
			{code: codeOf("CALL_ONCE"), options: []field{{0, int32(1)}}},
			{code: codeOf("VAR_HANDLE"), out: []int32{0}, options: named},
			{code: codeOf("READ_VARIABLE"), in: []int32{0}, out: []int32{1}},
			{code: codeOf("ADD"), in: []int32{1, 2}, out: []int32{3}},
			{code: codeOf("ASSIGN_VARIABLE"), in: []int32{0, 3}},
		},
	}
	setup := testGraph{
		tensors: []testTensor{handle, init},
		ops: []testOp{
			{code: codeOf("VAR_HANDLE"), out: []int32{0}, options: named},
			{code: codeOf("ASSIGN_VARIABLE"), in: []int32{0, 1}},
		},
	}
	return testModel{graphs: []testGraph{main, setup}}
}

func TestVariables(t *testing.T) {
	m, err := importBytes(variables(fill(f32("init", 2))).file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(m), "StateRead  -> [2] state=sum\nAdd [2] [2] -> [2]\nStateWrite [2] ->  state=sum"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := m.State("sum")
	if s == nil || s.Type != format.Float32 || !slices.Equal(s.Init, fill(f32("", 2)).data) {
		t.Errorf("state %+v", s)
	}
	if err := format.Check(m); err != nil {
		t.Error(err)
	}
	if _, err := importBytes(variables(f32("init", 2)).file(), Options{}); err == nil || !strings.Contains(err.Error(), "not a constant") {
		t.Errorf("an initial value that is computed: %v", err)
	}
	if _, err := importBytes(variables(fill(f32("init", 3))).file(), Options{}); err == nil || !strings.Contains(err.Error(), "set up as") {
		t.Errorf("an initial value of another shape: %v", err)
	}
}

// recurrent is a model of one LSTM with 3 inputs and 2 hidden units.
func recurrent(batch int32, typ format.DType, timeMajor bool) testModel {
	quantized := func(x testTensor, scale float32) testTensor {
		if x.typ = typ; typ != format.Float32 {
			x.scale, x.zero = []float32{scale}, []int64{0}
		}
		return x
	}
	steps := []int32{batch, 4, 3}
	out := []int32{batch, 4, 2}
	if timeMajor {
		steps[0], steps[1], out[0], out[1] = 4, batch, 4, batch
	}
	in := []testTensor{quantized(f32("x", steps...), 0.5)}
	for range 4 {
		in = append(in, fill(quantized(f32("w", 2, 3), 0.25)))
	}
	for range 4 {
		in = append(in, fill(quantized(f32("r", 2, 2), 0.25)))
	}
	in = append(in, absent, absent, absent)
	for range 4 {
		b := fill(f32("b", 2))
		if typ != format.Float32 {
			b.typ = format.Int32
		}
		in = append(in, b)
	}
	h, c := quantized(f32("h", batch, 2), 0.125), quantized(f32("c", batch, 2), 0x1p-11)
	h.variable, c.variable = true, true
	if typ != format.Float32 {
		c.typ = format.Int16
	}
	in = append(in, absent, absent, h, c)
	y := quantized(f32("y", out...), 0.125)
	return one(codeOf("UNIDIRECTIONAL_SEQUENCE_LSTM"), in, []testTensor{y},
		field{0, int8(actTanh)}, field{1, float32(10)}, field{3, timeMajor})
}

func TestLSTM(t *testing.T) {
	tests := []struct {
		name string
		m    testModel
		want string
	}{
		{"float", recurrent(1, format.Float32, false),
			"Reshape [1 4 3] -> [4 1 3] shape=[4 1 3]\nStateRead  -> [1 1 2] state=h\nStateRead  -> [1 1 2] state=c\n" +
				"LSTM [4 1 3] [1 8 3] [1 8 2] [1 16] - [1 1 2] [1 1 2] -> [4 1 1 2] [1 1 2] [1 1 2] cell_clip=10\n" +
				"Reshape [4 1 1 2] -> [1 4 2] shape=[1 4 2]\nStateWrite [1 1 2] ->  state=h\nStateWrite [1 1 2] ->  state=c"},
		{"float batch", recurrent(2, format.Float32, false),
			"Transpose [2 4 3] -> [4 2 3] perm=[1 0 2]\nStateRead  -> [1 2 2] state=h\nStateRead  -> [1 2 2] state=c\n" +
				"LSTM [4 2 3] [1 8 3] [1 8 2] [1 16] - [1 2 2] [1 2 2] -> [4 1 2 2] [1 2 2] [1 2 2] cell_clip=10\n" +
				"Reshape [4 1 2 2] -> [4 2 2] shape=[4 2 2]\nTranspose [4 2 2] -> [2 4 2] perm=[1 0 2]\n" +
				"StateWrite [1 2 2] ->  state=h\nStateWrite [1 2 2] ->  state=c"},
		{"float time major", recurrent(2, format.Float32, true),
			"StateRead  -> [1 2 2] state=h\nStateRead  -> [1 2 2] state=c\n" +
				"LSTM [4 2 3] [1 8 3] [1 8 2] [1 16] - [1 2 2] [1 2 2] -> [4 1 2 2] [1 2 2] [1 2 2] cell_clip=10\n" +
				"Reshape [4 1 2 2] -> [4 2 2] shape=[4 2 2]\nStateWrite [1 2 2] ->  state=h\nStateWrite [1 2 2] ->  state=c"},
		{"int8", recurrent(2, format.Int8, false),
			"StateRead  -> [2 2] state=h\nStateRead  -> [2 2] state=c\n" +
				"QLSTM [2 4 3] [2 3] [2 3] [2 3] [2 3] [2 2] [2 2] [2 2] [2 2] [2] [2] [2] [2] [2 2] [2 2] -> [2 4 2] [2 2] [2 2] cell_clip=10 time_major=0\n" +
				"StateWrite [2 2] ->  state=h\nStateWrite [2 2] ->  state=c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := importBytes(tt.m.file(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(m); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if err := format.Check(m); err != nil {
				t.Error(err)
			}
		})
	}
	// The gates i, f, c, o of the file become i, o, f, c.
	tm := recurrent(1, format.Float32, false)
	for g := range 4 {
		tm.graphs[0].tensors[1+g].data = slices.Repeat([]byte{0, 0, 0, byte(g)}, 6)
	}
	m, err := importBytes(tm.file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := m.Tensor("y/W").Data
	for k, want := range []byte{0, 3, 1, 2} {
		if got := w[24*k+3]; got != want {
			t.Errorf("gate %d holds the file's gate %d, want %d", k, got, want)
		}
	}
}

func TestUnsupported(t *testing.T) {
	g := testGraph{
		tensors: []testTensor{f32("x", 2), f32("a", 2), f32("b", 2), f32("y", 2)},
		inputs:  []int32{0}, outputs: []int32{3},
		ops: []testOp{
			{code: codeOf("SEGMENT_SUM"), in: []int32{0}, out: []int32{1}},
			{code: opCustom, custom: "MyOp", in: []int32{1}, out: []int32{2}},
			{code: codeOf("SOFTMAX"), in: []int32{2}, out: []int32{3}, options: []field{{0, float32(2)}}},
		},
	}
	_, err := Import("dir/m.tflite", testModel{graphs: []testGraph{g}}.file(), Options{})
	var u *build.UnsupportedError
	if !errors.As(err, &u) {
		t.Fatalf("error %v", err)
	}
	want := []build.UnsupportedOp{
		{Op: "SEGMENT_SUM", Node: 0, Output: "a", Reason: "whet has no such operator"},
		{Op: `CUSTOM "MyOp"`, Node: 1, Output: "b", Reason: "whet has no such operator"},
		{Op: "SOFTMAX", Node: 2, Output: "y", Reason: "beta 2: only 1 is possible"},
	}
	if u.File != "dir/m.tflite" || !slices.Equal(u.Ops, want) {
		t.Errorf("got %+v", u)
	}
	for _, part := range []string{"dir/m.tflite", "node 1", `"MyOp"`, `output "b"`, "--list-ops"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message lacks %q: %v", part, err)
		}
	}
}

// TestRefusals: each model is wrong, or asks for what whet does not do, in one
// way that the error has to name.
func TestRefusals(t *testing.T) {
	conv := func(x, w, y testTensor, opts ...field) testModel {
		return one(codeOf("CONV_2D"), []testTensor{x, w}, []testTensor{y}, opts...)
	}
	unit := []field{{0, int8(padValid)}, {1, int32(1)}, {2, int32(1)}, {4, int32(1)}, {5, int32(1)}}
	image, w, y := f32("x", 1, 4, 4, 2), fill(f32("w", 3, 1, 1, 2)), f32("y", 1, 4, 4, 3)
	short := f32("w", 2, 2)
	short.data = make([]byte, 15)
	badScale := i8("x", 2)
	badScale.scale = []float32{0}
	channels := i8("x", 2, 3)
	channels.scale, channels.zero, channels.dimension = []float32{1, 2}, []int64{0, 0}, 1
	sparse := fill(f32("w", 2))
	sparse.sparse = true
	twice := one(codeOf("NEG"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	twice.graphs[0].ops = append(twice.graphs[0].ops, twice.graphs[0].ops[0])
	early := one(codeOf("NEG"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	early.graphs[0].inputs = nil
	lonely := one(codeOf("NEG"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	lonely.graphs[0].ops = nil
	beyond := one(codeOf("NEG"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	beyond.graphs[0].ops[0].in[0] = 7
	few := one(codeOf("ADD"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	old := one(codeOf("NEG"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)})
	old.version = 2
	peephole := recurrent(1, format.Float32, false)
	peephole.graphs[0].ops[0].in[lstmPeephole] = peephole.graphs[0].ops[0].in[lstmBias]
	coupled := recurrent(1, format.Float32, false)
	coupled.graphs[0].ops[0].in[lstmWeights] = -1
	constantState := recurrent(1, format.Float32, false)
	constantState.graphs[0].ops[0].in[lstmCell] = constantState.graphs[0].ops[0].in[lstmBias]
	tests := []struct {
		name string
		m    testModel
		want string
	}{
		{"no graph", testModel{}, "no subgraph"},
		{"version", old, "schema version 2"},
		{"short data", one(codeOf("ADD"), []testTensor{f32("x", 2, 2), short}, []testTensor{f32("y", 2, 2)}), "15 bytes of data for float32 [2 2], which takes 16"},
		{"scale 0", one(codeOf("NEG"), []testTensor{badScale}, []testTensor{i8("y", 2)}), "scale 0"},
		{"scales do not fit", one(codeOf("NEG"), []testTensor{channels}, []testTensor{i8("y", 2, 3)}), "2 scales for dimension 1"},
		{"negative shape", one(codeOf("NEG"), []testTensor{f32("x", -1)}, []testTensor{f32("y", 2)}), "dimension -1"},
		{"huge shape", one(codeOf("NEG"), []testTensor{f32("x", 1<<30, 1<<30)}, []testTensor{f32("y", 2)}), "too large"},
		{"rank 9", one(codeOf("NEG"), []testTensor{f32("x", 1, 1, 1, 1, 1, 1, 1, 1, 1)}, []testTensor{f32("y", 1)}), "rank 9"},
		{"tensor index", beyond, "there is no tensor 7"},
		{"not computed", early, "not computed by any operator"},
		{"computed twice", twice, "already has a value"},
		{"output not computed", lonely, "no operator computes"},
		{"too few inputs", few, "it takes 2 and 1"},
		{"sparse", one(codeOf("ADD"), []testTensor{f32("x", 2), sparse}, []testTensor{f32("y", 2)}), "sparse storage"},
		{"type", one(codeOf("NEG"), []testTensor{{name: "x", typ: format.Uint4, shape: []int32{2}}}, []testTensor{f32("y", 2)}), "element type 8"},
		{"zeros of a type", one(codeOf("ZEROS_LIKE"), []testTensor{f32("x", 2)}, []testTensor{{name: "y", typ: format.Uint4, shape: []int32{2}}}), "element type"},
		{"normalization of a number", one(codeOf("LOCAL_RESPONSE_NORMALIZATION"), []testTensor{f32("x")}, []testTensor{f32("y")}), "radius 0 of 0"},
		{"stride 0", conv(image, w, y), "stride 0"},
		{"padding", conv(image, w, y, append([]field{{0, int8(9)}}, unit[1:]...)...), "padding 9"},
		{"weights do not fit", conv(image, fill(f32("w", 3, 1, 1, 5)), y, unit...), "do not fit input"},
		{"shape", conv(image, w, f32("y", 1, 4, 4, 4), unit...), "the file says [1 4 4 4]"},
		{"activation", conv(image, w, y, append([]field{{3, int8(actSignBit)}}, unit...)...), "fused activation 5"},
		{"axes not constant", one(codeOf("MEAN"), []testTensor{f32("x", 2), {name: "axes", typ: format.Int32, shape: []int32{1}}}, []testTensor{f32("y")}), "must be a constant"},
		{"axes not integers", one(codeOf("MEAN"), []testTensor{f32("x", 2), fill(f32("axes", 1))}, []testTensor{f32("y")}), "not an integer"},
		{"axis", one(codeOf("MEAN"), []testTensor{f32("x", 2), list(1)}, []testTensor{f32("y")}), "axis 1 of a tensor of rank 1"},
		{"slice", one(codeOf("SLICE"), []testTensor{f32("x", 4), list(3), list(2)}, []testTensor{f32("y", 2)}), "begin [3] and size [2]"},
		{"index", one(codeOf("STRIDED_SLICE"), []testTensor{f32("x", 4), list(4), list(5), list(1)}, []testTensor{f32("y")}, field{4, int32(1)}), "index 4"},
		{"stride", one(codeOf("STRIDED_SLICE"), []testTensor{f32("x", 4), list(0), list(4), list(0)}, []testTensor{f32("y", 4)}), "stride 0"},
		{"pads", one(codeOf("PAD"), []testTensor{f32("x", 4), list(1)}, []testTensor{f32("y", 5)}), "1 paddings"},
		{"symmetric", one(codeOf("MIRROR_PAD"), []testTensor{f32("x", 4), list(5, 1)}, []testTensor{f32("y", 10)}, field{0, int8(1)}), "paddings 5 and 1"},
		{"batch_dims", one(codeOf("GATHER"), []testTensor{f32("x", 4), list(1)}, []testTensor{f32("y", 1)}, field{1, int32(1)}), "batch_dims 1"},
		{"shuffled weights", one(codeOf("FULLY_CONNECTED"), []testTensor{f32("x", 1, 2), fill(f32("w", 1, 2))}, []testTensor{f32("y", 1, 1)}, field{1, int8(1)}), "weights format 1"},
		{"half activations", one(codeOf("DEQUANTIZE"), []testTensor{{name: "x", typ: format.Float16, shape: []int32{2}}}, []testTensor{f32("y", 2)}), "half-precision"},
		{"peephole", peephole, "peephole"},
		{"coupled gates", coupled, "coupled input gate"},
		{"constant state", constantState, "must be a variable tensor"},
		{"no such variable", one(codeOf("READ_VARIABLE"), []testTensor{{name: "h", resource: true}}, []testTensor{f32("y", 2)}), "not the handle"},
		{"initializer", testModel{graphs: []testGraph{{ops: []testOp{{code: codeOf("CALL_ONCE"), options: []field{{0, int32(5)}}}}}}}, "there is no subgraph 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := importBytes(tt.m.file(), Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestNames: tensors without a name, or with the name of another, get one of
// their own; inputs and outputs keep theirs.
func TestNames(t *testing.T) {
	g := testGraph{
		tensors: []testTensor{f32("", 2), f32("x", 2), f32("x", 2), f32("x", 2)},
		inputs:  []int32{2}, outputs: []int32{3},
		ops: []testOp{
			{code: codeOf("NEG"), in: []int32{2}, out: []int32{0}},
			{code: codeOf("NEG"), in: []int32{0}, out: []int32{1}},
			{code: codeOf("NEG"), in: []int32{1}, out: []int32{3}},
		},
	}
	m, err := importBytes(testModel{graphs: []testGraph{g}}.file(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if in, out := m.Main().Inputs[0].Tensor, m.Main().Outputs[0]; in != "x" || out != "x.1" {
		t.Errorf("input %q, output %q", in, out)
	}
	if m.Tensor("t0") == nil || m.Tensor("x.2") == nil {
		t.Errorf("tensors %v", m.Tensors)
	}
	if err := format.Check(m); err != nil {
		t.Error(err)
	}
}

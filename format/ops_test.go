package format

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// opCase applies an op to inputs of these shapes.
type opCase struct {
	op    string
	attrs Attrs
	in    []Shape // nil: absent
	out   []Shape // nil: the op refuses, saying err
	err   string
}

func i64(v ...int64) []int64 { return v }

var opCases = []opCase{
	{"Conv", nil, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, []Shape{{1, 6, 7, 4}}, ""},
	{"Conv", Attrs{"strides": i64(2, 3), "pads": i64(1, 0, 1, 2)}, []Shape{{2, 8, 9, 3}, {4, 3, 3, 3}, {4}}, []Shape{{2, 4, 3, 4}}, ""},
	{"Conv", Attrs{"dilations": i64(2, 1)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, []Shape{{1, 4, 7, 4}}, ""},
	{"Conv", Attrs{"group": int64(6)}, []Shape{{1, 8, 8, 6}, {12, 1, 1, 1}}, []Shape{{1, 8, 8, 12}}, ""},
	{"Conv", Attrs{"group": int64(2)}, []Shape{{-1, 8, 8, 6}, {4, 1, 1, 3}}, []Shape{{-1, 8, 8, 4}}, ""},
	{"Conv", nil, []Shape{{1, 8, 9, 3}, {4, 3, 3, 2}}, nil, "needs [4 3 3 3]"},
	{"Conv", nil, []Shape{{1, 2, 9, 3}, {4, 3, 3, 3}}, nil, "does not fit"},
	{"Conv", nil, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}, {5}}, nil, "input 2"},
	{"Conv", nil, []Shape{{8, 9, 3}, {4, 3, 3, 3}}, nil, "needs 4 dimensions"},
	{"Conv", Attrs{"strides": i64(0, 1)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "strides"},
	{"Conv", Attrs{"strides": i64(1)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "2 entries"},
	{"Conv", Attrs{"pads": i64(-1, 0, 0, 0)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "pads"},
	{"Conv", Attrs{"pads": i64(0, 0, math.MaxInt64, 0)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "pads"},
	{"Conv", Attrs{"pads": i64(0, 0, MaxDim, 0)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "make the input larger"},
	{"Conv", Attrs{"group": int64(0)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "group"},
	{"Conv", Attrs{"group": int64(2)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "group"},
	{"Conv", nil, []Shape{{1, -1, 9, 3}, {4, 3, 3, 3}}, nil, "must be known"},
	{"Conv", nil, []Shape{{1, 8, 9, 3}}, nil, "takes 2 to 3 inputs"},
	{"Conv", nil, []Shape{{1, 8, 9, 3}, nil}, nil, "input 1 of Conv is missing"},
	{"Conv", Attrs{"stride": i64(1, 1)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, `unknown attribute "stride": Conv has strides`},
	{"Conv", Attrs{"strides": int64(1)}, []Shape{{1, 8, 9, 3}, {4, 3, 3, 3}}, nil, "must be a list of integers"},
	{"Gemm", Attrs{"transB": int64(1)}, []Shape{{2, 3}, {5, 3}, {5}}, []Shape{{2, 5}}, ""},
	{"Gemm", Attrs{"transB": int64(1)}, []Shape{{2, 3}, {5, 4}}, nil, "needs [2 4]"},
	{"Gemm", Attrs{"transB": int64(0)}, []Shape{{2, 3}, {3, 5}}, nil, "one of [1]"},
	{"Gemm", nil, []Shape{{2, 3}, {5, 3}}, nil, `"transB" (an integer) is missing`},
	{"MaxPool", Attrs{"kernel_shape": i64(2, 2), "strides": i64(2, 2)}, []Shape{{1, 5, 4, 3}}, []Shape{{1, 2, 2, 3}}, ""},
	{"MaxPool", Attrs{"kernel_shape": i64(2, 2), "pads": i64(2, 0, 0, 0)}, []Shape{{1, 5, 4, 3}}, nil, "not smaller than the window"},
	{"AveragePool", Attrs{"kernel_shape": i64(5, 4)}, []Shape{{1, 5, 4, 3}}, []Shape{{1, 1, 1, 3}}, ""},
	{"AveragePool", Attrs{"kernel_shape": i64(6, 4)}, []Shape{{1, 5, 4, 3}}, nil, "does not fit"},
	{"AveragePool", nil, []Shape{{1, 5, 4, 3}}, nil, `"kernel_shape"`},
	{"Relu", nil, []Shape{{2, -1}}, []Shape{{2, -1}}, ""},
	{"Clip", Attrs{"min": 0.0, "max": 6.0}, []Shape{{2}}, []Shape{{2}}, ""},
	{"Clip", Attrs{"max": 6.0}, []Shape{{2}}, []Shape{{2}}, ""},
	{"Clip", Attrs{"min": 7.0, "max": 6.0}, []Shape{{2}}, nil, "greater than max"},
	{"Clip", Attrs{"max": math.Inf(1)}, []Shape{{2}}, nil, `"max" is +Inf`},
	{"Clip", Attrs{"max": int64(6)}, []Shape{{2}}, nil, "must be a float"},
	{"Sigmoid", nil, []Shape{{}}, []Shape{{}}, ""},
	{"Tanh", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"HardSwish", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"LeakyRelu", Attrs{"alpha": 0.3}, []Shape{{3}}, []Shape{{3}}, ""},
	{"Elu", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Exp", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Log", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Sqrt", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Rsqrt", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Abs", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Neg", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Erf", nil, []Shape{{3}}, []Shape{{3}}, ""},
	{"Gelu", Attrs{"approximate": "tanh"}, []Shape{{3}}, []Shape{{3}}, ""},
	{"Gelu", Attrs{"approximate": "fast"}, []Shape{{3}}, nil, `one of ["none" "tanh"]`},
	{"Softmax", nil, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"Softmax", Attrs{"axis": int64(1)}, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"Softmax", Attrs{"axis": int64(0)}, []Shape{{2, 3}}, nil, "not the innermost"},
	{"Softmax", nil, []Shape{{}}, nil, "innermost"},
	{"LogSoftmax", Attrs{"axis": int64(2)}, []Shape{{2, 3}}, nil, "outside a tensor of 2 dimensions"},
	{"Add", nil, []Shape{{2, 1, 4}, {3, 1}}, []Shape{{2, 3, 4}}, ""},
	{"Add", nil, []Shape{{4}, {-1, 3, 4}}, []Shape{{-1, 3, 4}}, ""},
	{"Add", nil, []Shape{{-1, 3}, {-2, 3}}, nil, "do not broadcast"},
	{"Sub", nil, []Shape{{}, {3}}, []Shape{{3}}, ""},
	{"Mul", nil, []Shape{{2}, {3}}, nil, "do not broadcast"},
	{"Div", nil, []Shape{{3}, {3}}, []Shape{{3}}, ""},
	{"Max", nil, []Shape{{3}, {3}}, []Shape{{3}}, ""},
	{"Min", nil, []Shape{{3}, {3}}, []Shape{{3}}, ""},
	{"Pow", nil, []Shape{{3}, {}}, []Shape{{3}}, ""},
	{"SquaredDifference", nil, []Shape{{3}, {1}}, []Shape{{3}}, ""},
	{"ReduceMean", Attrs{"axes": i64(1, -1)}, []Shape{{2, 3, 4}}, []Shape{{2, 1, 1}}, ""},
	{"ReduceMean", Attrs{"axes": i64(1, -2)}, []Shape{{2, 3, 4}}, nil, "twice"},
	{"ReduceMean", Attrs{"axes": i64(3)}, []Shape{{2, 3, 4}}, nil, "axis 3"},
	{"ReduceSum", Attrs{"axes": i64(0), "keepdims": int64(0)}, []Shape{{2, 3, 4}}, []Shape{{3, 4}}, ""},
	{"ReduceSum", Attrs{"axes": i64(0), "keepdims": int64(2)}, []Shape{{2, 3, 4}}, nil, "one of [0 1]"},
	{"ReduceMax", Attrs{"axes": i64(0)}, []Shape{{-1, 3}}, nil, "symbolic"},
	{"ReduceMax", Attrs{"axes": i64()}, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"Reshape", Attrs{"shape": i64(3, -1, 2)}, []Shape{{2, 3, 4}}, []Shape{{3, 4, 2}}, ""},
	{"Reshape", Attrs{"shape": i64()}, []Shape{{1, 1}}, []Shape{{}}, ""},
	{"Reshape", Attrs{"shape": i64(5, -1)}, []Shape{{2, 3}}, nil, "do not fill"},
	{"Reshape", Attrs{"shape": i64(-1, -1)}, []Shape{{2, 3}}, nil, "do not fill"},
	{"Reshape", Attrs{"shape": i64(0, 6)}, []Shape{{2, 3}}, nil, "do not fill"},
	{"Reshape", Attrs{"shape": i64(3)}, []Shape{{2, 3}}, nil, "do not fill"},
	{"Reshape", Attrs{"shape": i64(math.MinInt64)}, []Shape{{2, 3}}, nil, "do not fill"},
	{"Reshape", Attrs{"shape": i64(-1)}, []Shape{{-1, 3}}, nil, "symbolic"},
	{"Transpose", Attrs{"perm": i64(2, 0, 1)}, []Shape{{2, 3, 4}}, []Shape{{4, 2, 3}}, ""},
	{"Transpose", Attrs{"perm": i64(2, 0, 0)}, []Shape{{2, 3, 4}}, nil, "not a permutation"},
	{"Transpose", Attrs{"perm": i64(1, 0)}, []Shape{{2, 3, 4}}, nil, "not a permutation"},
	{"Concat", Attrs{"axis": int64(1)}, []Shape{{2, 3}, {2, 1}, {2, 4}}, []Shape{{2, 8}}, ""},
	{"Concat", Attrs{"axis": int64(1)}, []Shape{{2, 3}, {1, 3}}, nil, "cannot follow"},
	{"Concat", Attrs{"axis": int64(0)}, []Shape{{2, 3}, {2}}, nil, "cannot follow"},
	{"Concat", Attrs{"axis": int64(0)}, []Shape{{MaxDim}, {1}}, nil, "outside 1.."},
	{"Concat", Attrs{"axis": int64(0)}, nil, nil, "at least 1 inputs"},
	{"Split", Attrs{"axis": int64(-1), "split": i64(1, 3)}, []Shape{{2, 4}}, []Shape{{2, 1}, {2, 3}}, ""},
	{"Split", Attrs{"axis": int64(-1), "split": i64(1, 2)}, []Shape{{2, 4}}, nil, "does not add up"},
	{"Split", Attrs{"axis": int64(-1), "split": i64(4, 0)}, []Shape{{2, 4}}, nil, "split"},
	{"Slice", Attrs{"starts": i64(1, -2), "ends": i64(100, -1)}, []Shape{{5, 6}}, []Shape{{4, 1}}, ""},
	{"Slice", Attrs{"starts": i64(-1), "ends": i64(math.MinInt64), "axes": i64(1), "steps": i64(-2)}, []Shape{{5, 6}}, []Shape{{5, 3}}, ""},
	{"Slice", Attrs{"starts": i64(3), "ends": i64(3)}, []Shape{{5, 6}}, nil, "nothing is left"},
	{"Slice", Attrs{"starts": i64(3), "ends": i64(3, 4)}, []Shape{{5, 6}}, nil, "entries"},
	{"Slice", Attrs{"starts": i64(0), "ends": i64(1), "steps": i64(0)}, []Shape{{5, 6}}, nil, "step is 0"},
	{"Slice", Attrs{"starts": i64(0, 0), "ends": i64(1, 1), "axes": i64(0, 0)}, []Shape{{5, 6}}, nil, "twice"},
	{"Pad", Attrs{"pads": i64(0, 1, 2, 3), "mode": "reflect"}, []Shape{{5, 6}}, []Shape{{7, 10}}, ""},
	{"Pad", Attrs{"pads": i64(0, 1)}, []Shape{{-1}}, nil, "symbolic"},
	{"Pad", Attrs{"pads": i64(5, 0), "mode": "reflect"}, []Shape{{5}}, nil, "cannot be mirrored"},
	{"Pad", Attrs{"pads": i64(5)}, []Shape{{5}}, nil, "1 pads"},
	{"Pad", Attrs{"pads": i64(0, MaxDim)}, []Shape{{5}}, nil, "outside 1.."},
	{"Pad", Attrs{"pads": i64(1, 1), "mode": "wrap"}, []Shape{{5}}, nil, "one of"},
	{"Gather", nil, []Shape{{5, 6}, {2, 3}}, []Shape{{2, 3, 6}}, ""},
	{"Gather", Attrs{"axis": int64(-1)}, []Shape{{5, 6}, {}}, []Shape{{5}}, ""},
	{"Gather", nil, []Shape{{}, {2}}, nil, "axis 0"},
	{"Cast", nil, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"QuantizeLinear", nil, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"DequantizeLinear", nil, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"Requantize", nil, []Shape{{2, 3}}, []Shape{{2, 3}}, ""},
	{"LSTM", nil, []Shape{{7, 2, 3}, {1, 20, 3}, {1, 20, 5}}, []Shape{{7, 1, 2, 5}, {1, 2, 5}, {1, 2, 5}}, ""},
	{"LSTM", Attrs{"direction": "bidirectional"}, []Shape{{7, 2, 3}, {2, 20, 3}, {2, 20, 5}, {2, 40}, nil, {2, 2, 5}, {2, 2, 5}}, []Shape{{7, 2, 2, 5}, {2, 2, 5}, {2, 2, 5}}, ""},
	{"LSTM", nil, []Shape{{7, 2, 3}, {1, 20, 3}, {1, 20, 6}}, nil, "hidden size"},
	{"LSTM", nil, []Shape{{7, 2, 3}, {1, 20, 3}, {1, 20, 5}, {1, 20}}, nil, "input 3"},
	{"LSTM", nil, []Shape{{7, 2, 3}, {2, 20, 3}, {2, 20, 5}}, nil, "input 1"},
	{"LSTM", Attrs{"cell_clip": -1.0}, []Shape{{7, 2, 3}, {1, 20, 3}, {1, 20, 5}}, nil, "cell_clip"},
	{"QLSTM", nil, qlstmShapes(2, 7, 3, 5), []Shape{{2, 7, 5}, {2, 5}, {2, 5}}, ""},
	{"QLSTM", Attrs{"time_major": int64(1)}, qlstmShapes(2, 7, 3, 5, Shape{7, 2, 3}), []Shape{{7, 2, 5}, {2, 5}, {2, 5}}, ""},
	{"QLSTM", Attrs{"time_major": int64(1)}, qlstmShapes(2, 7, 3, 5), nil, "input 13"},
	{"QLSTM", Attrs{"cell_clip": -1.0}, qlstmShapes(2, 7, 3, 5), nil, "cell_clip"},
	{"SVDF", Attrs{"rank": int64(2)}, []Shape{{1, 3}, {8, 3}, {8, 5}, {4}, {1, 40}}, []Shape{{1, 4}, {1, 40}}, ""},
	{"SVDF", Attrs{"rank": int64(1)}, []Shape{{1, 3}, {8, 3}, {8, 5}, nil, {1, 40}}, []Shape{{1, 8}, {1, 40}}, ""},
	{"SVDF", Attrs{"rank": int64(3)}, []Shape{{1, 3}, {8, 3}, {8, 5}, nil, {1, 40}}, nil, "does not divide"},
	{"SVDF", Attrs{"rank": int64(1)}, []Shape{{1, 3}, {8, 3}, {8, 5}, nil, {1, 41}}, nil, "input 4"},
	{"StateRead", Attrs{"state": "s"}, nil, nil, "state is not known"}, // see TestCheckStates
	{"StateWrite", Attrs{"state": "s"}, []Shape{{1}}, nil, "state is not known"},
	{"Nop", nil, nil, nil, `unknown op "Nop"`},
	{"relu", nil, nil, nil, `did you mean "Relu"?`},
}

func qlstmShapes(n, t, i, h int, x ...Shape) []Shape {
	list := []Shape{{n, t, i}}
	if x != nil {
		list = x
	}
	for range 4 {
		list = append(list, Shape{h, i})
	}
	for range 4 {
		list = append(list, Shape{h, h})
	}
	for range 4 {
		list = append(list, Shape{h})
	}
	return append(list, Shape{n, h}, Shape{n, h})
}

func TestInfer(t *testing.T) {
	have := map[string]bool{}
	for _, c := range opCases {
		have[c.op] = true
		var in []*Tensor
		for _, s := range c.in {
			if s == nil {
				in = append(in, nil)
			} else {
				in = append(in, &Tensor{Shape: s})
			}
		}
		got, err := Infer(c.op, c.attrs, in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %v of %v: %v, want %q", c.op, c.attrs, c.in, err, c.err)
			}
		case err != nil:
			t.Errorf("%s %v of %v: %v", c.op, c.attrs, c.in, err)
		case !slices.EqualFunc(got, c.out, Shape.Equal):
			t.Errorf("%s %v of %v = %v, want %v", c.op, c.attrs, c.in, got, c.out)
		}
	}
	for _, name := range OpNames() {
		if !have[name] {
			t.Errorf("op %s has no case here", name)
		}
	}
}

// A rule must not panic, loop or allocate without bounds on any attributes and
// shapes; what it accepts must have valid dimensions.
func TestInferAnything(t *testing.T) {
	names := OpNames()
	number := rapid.OneOf(rapid.Int64Range(-3, 9), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MaxInt32, 1 << 31, -1 << 31}))
	dim := rapid.OneOf(rapid.IntRange(-2, 9), rapid.SampledFrom([]int{math.MaxInt32, 1 << 30, math.MinInt32}))
	rapid.Check(t, func(t *rapid.T) {
		spec := Ops[rapid.SampledFrom(names).Draw(t, "op")]
		a := Attrs{}
		for _, s := range spec.Attrs {
			if !s.Required && rapid.Bool().Draw(t, "leave out") {
				continue
			}
			switch s.Kind {
			case KindInt:
				a[s.Name] = number.Draw(t, s.Name)
				if s.Ints != nil {
					a[s.Name] = rapid.SampledFrom(s.Ints).Draw(t, s.Name)
				}
			case KindInts:
				n := s.Len
				if n == 0 {
					n = rapid.IntRange(0, 5).Draw(t, "n")
				}
				a[s.Name] = rapid.SliceOfN(number, n, n).Draw(t, s.Name)
			case KindFloat:
				a[s.Name] = rapid.Float64Range(-1e9, 1e9).Draw(t, s.Name)
			default:
				a[s.Name] = "x"
				if s.Strings != nil {
					a[s.Name] = rapid.SampledFrom(s.Strings).Draw(t, s.Name)
				}
			}
		}
		n := spec.MaxInputs()
		if n < 0 {
			n = rapid.IntRange(1, 3).Draw(t, "inputs")
		}
		var in []*Tensor
		for i := range n {
			x := &Tensor{Shape: rapid.SliceOfN(dim, 0, 5).Draw(t, "shape")}
			if optional(spec.Inputs, i) && rapid.Bool().Draw(t, "absent") {
				x = nil
			}
			in = append(in, x)
		}
		out, err := Infer(spec.Name, a, in)
		if err != nil {
			return
		}
		for _, s := range out {
			for _, d := range s {
				if d == 0 || d > MaxDim {
					t.Fatalf("%s made the shape %v", spec.Name, s)
				}
			}
		}
	})
}

// The table itself: every word of a type combination is one that matchType knows,
// defaults are of their kind, and names are unique.
func TestTable(t *testing.T) {
	for name, s := range Ops {
		if s.Name != name || s.Doc == "" || s.infer == nil || len(s.Types) == 0 {
			t.Errorf("%s: incomplete", name)
		}
		for _, sig := range s.Types {
			left, right, ok := strings.Cut(sig, "->")
			if !ok {
				t.Errorf("%s: %q has no arrow", name, sig)
			}
			for _, side := range []struct {
				words []string
				max   int
			}{{strings.Fields(left), s.MaxInputs()}, {strings.Fields(right), s.MaxOutputs()}} {
				if side.max >= 0 && len(side.words) > side.max || len(side.words) == 0 != (side.max == 0) {
					t.Errorf("%s: %q does not fit the operands", name, sig)
				}
				for _, w := range side.words {
					if _, ok := ParseDType(strings.TrimLeft(w, "qw")); !ok && !strings.Contains("A B N M Q R W T *", w) {
						t.Errorf("%s: %q has the unknown word %q", name, sig, w)
					}
				}
			}
		}
		seen := map[string]bool{}
		for _, a := range s.Attrs {
			if seen[a.Name] {
				t.Errorf("%s: attribute %s twice", name, a.Name)
			}
			seen[a.Name] = true
			if a.Required && a.Default != nil {
				t.Errorf("%s: attribute %s is required and has a default", name, a.Name)
			}
			if a.Default != nil {
				if err := a.check(nil, a.Default); err != nil {
					t.Errorf("%s: the default of %s %v", name, a.Name, err)
				}
			}
		}
	}
	if len(OpNames()) != len(Ops) || !slices.IsSorted(OpNames()) {
		t.Error("OpNames is not the sorted table")
	}
	if s, ok := Lookup("Conv"); !ok || s.Name != "Conv" {
		t.Error("Lookup does not find Conv")
	}
	if _, ok := Lookup("Nop"); ok {
		t.Error("Lookup finds Nop")
	}
}

func TestResolve(t *testing.T) {
	given := Attrs{"strides": i64(2, 2)}
	got := Ops["Conv"].Resolve(given)
	if fmt.Sprint(got) != "map[dilations:[1 1] group:1 pads:[0 0 0 0] strides:[2 2]]" {
		t.Errorf("Resolve = %v", got)
	}
	if len(given) != 1 {
		t.Error("Resolve changed its argument")
	}
}

// SliceRange against the definition: walk from start until end is reached.
func TestSliceRange(t *testing.T) {
	python := func(n int, start, end, step int64) (list []int64) {
		size := int64(n)
		norm := func(v, lo, hi int64) int64 {
			if v < 0 {
				v += size
			}
			return min(max(v, lo), hi)
		}
		if step > 0 {
			for i := norm(start, 0, size); i < norm(end, 0, size); i += step {
				list = append(list, i)
			}
			return list
		}
		for i := norm(start, -1, size-1); i > norm(end, -1, size-1); i += step {
			list = append(list, i)
		}
		return list
	}
	for n := 1; n <= 5; n++ {
		for start := int64(-7); start <= 7; start++ {
			for end := int64(-7); end <= 7; end++ {
				for _, step := range []int64{-7, -3, -2, -1, 1, 2, 3, 7} {
					want := python(n, start, end, step)
					first, count := SliceRange(n, start, end, step)
					if count != len(want) || count > 0 && int64(first) != want[0] || count == 0 && (first < 0 || first > n) {
						t.Fatalf("SliceRange(%d, %d, %d, %d) = %d, %d, want %v", n, start, end, step, first, count, want)
					}
				}
			}
		}
	}
	for _, step := range []int64{math.MinInt64, math.MaxInt64} {
		for _, start := range []int64{math.MinInt64, math.MaxInt64} {
			first, count := SliceRange(5, start, -start-1, step)
			if count > 1 || first < 0 || first > 5 {
				t.Errorf("SliceRange(5, %d, …, %d) = %d, %d", start, step, first, count)
			}
		}
	}
}

func TestConvOut(t *testing.T) {
	for n := 1; n <= 7; n++ {
		for k := 1; k <= 4; k++ {
			for s := 1; s <= 3; s++ {
				for d := 1; d <= 3; d++ {
					for p := 0; p <= 2; p++ {
						want := 0
						for at := -p; at+(k-1)*d < n+1; at += s { // one element of padding after
							want++
						}
						if got := ConvOut(n, k, s, d, p, 1); got != want {
							t.Fatalf("ConvOut(%d, %d, %d, %d, %d, 1) = %d, want %d", n, k, s, d, p, got, want)
						}
					}
				}
			}
		}
	}
}

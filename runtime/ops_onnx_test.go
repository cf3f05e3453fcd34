package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

func bools(name string, v []uint8, shape ...int) *format.Tensor {
	return arr(name, format.Bool, nil, v, shape...)
}

func int64s(name string, v []int64, shape ...int) *format.Tensor {
	return arr(name, format.Int64, nil, v, shape...)
}

func TestTrigOps(t *testing.T) {
	for op, f := range map[string]func(float64) float64{
		"Sin": math.Sin, "Cos": math.Cos, "Tan": math.Tan, "Asin": math.Asin, "Acos": math.Acos, "Atan": math.Atan,
		"Sinh": math.Sinh, "Cosh": math.Cosh, "Asinh": math.Asinh, "Acosh": func(x float64) float64 { return math.Acosh(x) }, "Atanh": math.Atanh,
		"Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven, "Reciprocal": func(x float64) float64 { return 1 / x },
		"Softplus": func(x float64) float64 { return math.Log1p(math.Exp(x)) }, "HardSigmoid": func(x float64) float64 { return min(max(0.2*x+0.5, 0), 1) },
		"Sign": func(x float64) float64 { return math.Copysign(1, x) },
	} {
		x := []float32{-0.75, 0.25, 0.5, 0.9}
		if op == "Acosh" {
			x = []float32{1, 1.5, 4, 9}
		}
		var want []float32
		for _, v := range x {
			want = append(want, float32(f(float64(v))))
		}
		equalF32(t, op, runOp(t, op, nil, []*format.Tensor{f32s("x", x, 4)}, out("y", format.Float32, nil, 4))[0], want)
	}
}

func TestLogicOps(t *testing.T) {
	a, b := bools("a", []uint8{0, 0, 1, 1}, 4), bools("b", []uint8{0, 1, 0, 1}, 4)
	y := func() *format.Tensor { return out("y", format.Bool, nil, 4) }
	for op, want := range map[string][]uint8{"And": {0, 0, 0, 1}, "Or": {0, 1, 1, 1}, "Xor": {0, 1, 1, 0}, "Equal": {1, 0, 0, 1}} {
		equalInts(t, op, runOp(t, op, nil, []*format.Tensor{a, b}, y())[0], want)
	}
	equalInts(t, "Not", runOp(t, "Not", nil, []*format.Tensor{b}, y())[0], []uint8{1, 0, 1, 0})
	p, q := f32s("p", []float32{1, 2, 3, 4}, 4), f32s("q", []float32{2}, 1)
	for op, want := range map[string][]uint8{"Equal": {0, 1, 0, 0}, "Less": {1, 0, 0, 0}, "LessOrEqual": {1, 1, 0, 0}} {
		equalInts(t, op, runOp(t, op, nil, []*format.Tensor{p, q}, y())[0], want)
	}
	equalF32(t, "Mod", runOp(t, "Mod", nil, []*format.Tensor{p, q}, out("y", format.Float32, nil, 4))[0], []float32{1, 0, 1, 0})
	equalF32(t, "Where", runOp(t, "Where", nil, []*format.Tensor{b, p, q}, out("y", format.Float32, nil, 4))[0], []float32{2, 2, 2, 4})
}

func TestSelectOps(t *testing.T) {
	x := f32s("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	attr := func(axis int64) format.Attrs { return format.Attrs{"axis": axis} }
	equalF32(t, "Expand", runOp(t, "Expand", format.Attrs{"shape": []int64{2, 2, 3}}, []*format.Tensor{f32s("x", []float32{1, 2}, 2, 1)},
		out("y", format.Float32, nil, 2, 2, 3))[0], []float32{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2})
	equalF32(t, "GatherElements", runOp(t, "GatherElements", attr(1), []*format.Tensor{x, int64s("i", []int64{-1, 1}, 2, 1)},
		out("y", format.Float32, nil, 2, 1))[0], []float32{3, 5})
	equalF32(t, "GatherND", runOp(t, "GatherND", nil, []*format.Tensor{x, arr("i", format.Int32, nil, []int32{1, 0, 0, -1}, 2, 2)},
		out("y", format.Float32, nil, 2))[0], []float32{4, 3})
	equalF32(t, "ScatterElements", runOp(t, "ScatterElements", format.Attrs{"axis": int64(1), "reduction": "add"},
		[]*format.Tensor{x, int64s("i", []int64{0, 2}, 2, 1), f32s("u", []float32{10, 20}, 2, 1)}, out("y", format.Float32, nil, 2, 3))[0], []float32{11, 2, 3, 4, 5, 26})
	equalF32(t, "ScatterND", runOp(t, "ScatterND", nil, []*format.Tensor{x, int64s("i", []int64{1}, 1, 1), f32s("u", []float32{7, 8, 9}, 1, 3)},
		out("y", format.Float32, nil, 2, 3))[0], []float32{1, 2, 3, 7, 8, 9})
	equalF32(t, "ReduceMin", runOp(t, "ReduceMin", format.Attrs{"axes": []int64{0}, "keepdims": int64(0)}, []*format.Tensor{x}, out("y", format.Float32, nil, 3))[0], []float32{1, 2, 3})
	equalF32(t, "ReduceProd", runOp(t, "ReduceProd", format.Attrs{"axes": []int64{1}, "keepdims": int64(0)}, []*format.Tensor{x}, out("y", format.Float32, nil, 2))[0], []float32{6, 120})
	equalInts(t, "ArgMax", runOp(t, "ArgMax", attr(1), []*format.Tensor{x}, out("y", format.Int64, nil, 2, 1))[0], []int64{2, 2})
	equalInts(t, "ArgMin", runOp(t, "ArgMin", attr(0), []*format.Tensor{x}, out("y", format.Int64, nil, 1, 3))[0], []int64{0, 0, 0})
	top := runOp(t, "TopK", format.Attrs{"axis": int64(1), "k": int64(2)}, []*format.Tensor{x}, out("y", format.Float32, nil, 2, 2), out("i", format.Int64, nil, 2, 2))
	equalF32(t, "TopK", top[0], []float32{3, 2, 6, 5})
	equalInts(t, "TopK", top[1], []int64{2, 1, 2, 1})
	equalF32(t, "CumSum", runOp(t, "CumSum", attr(1), []*format.Tensor{x}, out("y", format.Float32, nil, 2, 3))[0], []float32{1, 3, 6, 4, 9, 15})
	equalF32(t, "CumProd", runOp(t, "CumProd", attr(0), []*format.Tensor{x}, out("y", format.Float32, nil, 2, 3))[0], []float32{1, 2, 3, 4, 10, 18})
	refuses(t, "arithmetic on codes", "ScatterND", format.Attrs{"reduction": "add"},
		[]*format.Tensor{out("x", format.Int8, format.PerTensor(1, 0), 2), int64s("i", []int64{1}, 1, 1), out("u", format.Int8, format.PerTensor(1, 0), 1)},
		out("y", format.Int8, format.PerTensor(1, 0), 2))
}

// TestIndexOutOfRange checks that Run says which node met which index, and goes on
// with better ones.
func TestIndexOutOfRange(t *testing.T) {
	for _, c := range []struct {
		op   string
		dims []int // of the indices
		more []*format.Tensor
		out  []int
	}{
		{"Gather", []int{2}, nil, []int{2, 3}}, {"GatherElements", []int{2, 3}, nil, []int{2, 3}}, {"GatherND", []int{2, 1}, nil, []int{2, 3}},
		{"ScatterElements", []int{2, 3}, []*format.Tensor{out("u", format.Float32, nil, 2, 3)}, []int{2, 3}},
		{"ScatterND", []int{2, 1}, []*format.Tensor{out("u", format.Float32, nil, 2, 3)}, []int{2, 3}},
	} {
		for _, typ := range []format.DType{format.Int32, format.Int64} {
			tensors := append([]*format.Tensor{out("x", format.Float32, nil, 2, 3), out("i", typ, nil, c.dims...)}, c.more...)
			n := &format.Node{Name: "pick", Op: c.op, Outputs: []string{"y"}}
			g := &format.Graph{Name: "main", Nodes: []*format.Node{n}, Outputs: n.Outputs}
			for _, x := range tensors {
				g.Inputs = append(g.Inputs, format.Input{Tensor: x.Name})
				n.Inputs = append(n.Inputs, x.Name)
			}
			p, err := Compile(&format.Model{Graphs: []*format.Graph{g}, Tensors: append(tensors, out("y", format.Float32, nil, c.out...))})
			if err != nil {
				t.Fatal(err)
			}
			s := p.NewSession()
			for _, v := range []int64{2, -3, 1} {
				if idx := s.Input(1); typ == format.Int64 {
					idx.Int64()[1] = v
				} else {
					idx.Int32()[1] = int32(v)
				}
				err := s.Run(context.Background())
				var e *RunError
				if want := v != 1; errors.As(err, &e) != want || want && (e.Node != "pick" || e.Op != c.op || !strings.Contains(e.Reason, fmt.Sprintf("index %d (element 1", v))) {
					t.Errorf("%s by %v %d: %v", c.op, typ, v, err)
				}
			}
			s.Close()
		}
	}
}

func TestLayerOps(t *testing.T) {
	x := f32s("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	equalF32(t, "MatMul", runOp(t, "MatMul", nil, []*format.Tensor{x, f32s("w", []float32{1, 0, 0, 1, 1, 1}, 3, 2)}, out("y", format.Float32, nil, 2, 2))[0], []float32{4, 5, 10, 11})
	h := float32(math.Sqrt(1.5))
	eps := format.Attrs{"epsilon": 0.0}
	equalF32(t, "LayerNormalization", runOp(t, "LayerNormalization", eps, []*format.Tensor{x, f32s("s", []float32{1, 1, 2}, 3), f32s("b", []float32{0, 1, 0}, 3)},
		out("y", format.Float32, nil, 2, 3))[0], []float32{-h, 1, 2 * h, -h, 1, 2 * h})
	r := float32(math.Sqrt(14.0 / 3))
	equalF32(t, "RMSNormalization", runOp(t, "RMSNormalization", eps, []*format.Tensor{f32s("x", []float32{1, 2, 3}, 3), f32s("s", []float32{1, 1, 2}, 3)},
		out("y", format.Float32, nil, 3))[0], []float32{1 / r, 2 / r, 6 / r})
	attrs := format.Attrs{"sizes": []int64{2, 6}, "scales": []float64{1, 2}, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
	equalF32(t, "Resize", runOp(t, "Resize", attrs, []*format.Tensor{x}, out("y", format.Float32, nil, 2, 6))[0], []float32{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6})
	q := format.PerTensor(0.5, 3)
	equalInts(t, "Resize", runOp(t, "Resize", attrs, []*format.Tensor{arr("x", format.Int8, q, []int8{1, 2, 3, 4, 5, 6}, 2, 3)}, out("y", format.Int8, q, 2, 6))[0],
		[]int8{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6})
	refuses(t, "a linear resize of codes", "Resize", format.Attrs{"sizes": []int64{6}, "scales": []float64{2}, "mode": "linear"},
		[]*format.Tensor{out("x", format.Int8, q, 3)}, out("y", format.Int8, q, 6))
	equalF32(t, "GridSample", runOp(t, "GridSample", format.Attrs{"align_corners": int64(1)},
		[]*format.Tensor{f32s("x", []float32{1, 2, 3, 4}, 1, 2, 2, 1), f32s("g", []float32{0, 0, 1, -1}, 1, 1, 2, 2)}, out("y", format.Float32, nil, 1, 1, 2, 1))[0], []float32{2.5, 2})
	// One unit: z = r = 1/2 without a state, so that h = tanh(x)/2; and tanh(x).
	step := []*format.Tensor{f32s("x", []float32{1}, 1, 1, 1), f32s("const w", []float32{0, 0, 1}, 1, 3, 1), f32s("const r", []float32{0, 0, 1}, 1, 3, 1)}
	gru := runOp(t, "GRU", nil, step, out("y", format.Float32, nil, 1, 1, 1, 1), out("h", format.Float32, nil, 1, 1, 1))
	equalF32(t, "GRU", gru[0], []float32{float32(math.Tanh(1) / 2)})
	equalF32(t, "GRU", gru[1], []float32{float32(math.Tanh(1) / 2)})
	rnn := runOp(t, "RNN", nil, []*format.Tensor{f32s("x", []float32{1, 1}, 2, 1, 1), f32s("const w", []float32{1}, 1, 1, 1), f32s("const r", []float32{1}, 1, 1, 1)},
		out("y", format.Float32, nil, 2, 1, 1, 1), out("h", format.Float32, nil, 1, 1, 1))
	equalF32(t, "RNN", rnn[0], []float32{float32(math.Tanh(1)), float32(math.Tanh(1 + math.Tanh(1)))})
	refuses(t, "weights that are computed", "GRU", nil, []*format.Tensor{out("x", format.Float32, nil, 1, 1, 1), out("w", format.Float32, nil, 1, 3, 1), out("r", format.Float32, nil, 1, 3, 1)},
		out("y", format.Float32, nil, 1, 1, 1, 1))
}

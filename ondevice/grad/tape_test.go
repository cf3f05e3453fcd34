package grad_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
	_ "github.com/whet-edge/whet/ondevice/grad/more"
	_ "github.com/whet-edge/whet/runtime/more"
)

// opCase is one node whose gradients are checked with respect to all inputs.
type opCase struct {
	op     string
	attrs  format.Attrs
	inputs []format.Shape
	// in maps a normal deviate to an input value; nil keeps it. It keeps inputs
	// out of places where a function has no slope or no value.
	in func(x float64) float64
	// index is a constant of whole numbers, input place (0: the last) of a shape (nil:
	// a list).
	index []int64
	place int
	shape format.Shape
	bools bool // it is true or false, and the first input
}

func positive(x float64) float64 { return 0.2 + math.Abs(x) }

// away keeps x from the kinks at the given places.
func away(kinks ...float64) func(float64) float64 {
	return func(x float64) float64 {
		x *= 2
		for _, k := range kinks {
			if math.Abs(x-k) < 0.01 {
				x = k + 0.01
			}
		}
		return x
	}
}

func ints(v ...int64) []int64 { return v }

var opCases = []opCase{
	{op: "Conv", inputs: []format.Shape{{2, 5, 6, 3}, {4, 3, 2, 3}, {4}}},
	{op: "Conv", inputs: []format.Shape{{1, 7, 6, 2}, {3, 3, 3, 2}}, attrs: format.Attrs{"strides": ints(2, 1), "pads": ints(1, 2, 0, 1)}},
	{op: "Conv", inputs: []format.Shape{{1, 8, 7, 4}, {6, 2, 3, 2}, {6}}, attrs: format.Attrs{"dilations": ints(2, 3), "pads": ints(1, 1, 2, 2), "group": int64(2)}},
	{op: "Conv", inputs: []format.Shape{{2, 6, 5, 3}, {3, 3, 3, 1}, {3}}, attrs: format.Attrs{"strides": ints(2, 2), "pads": ints(1, 1, 1, 1), "group": int64(3)}},
	{op: "Conv", inputs: []format.Shape{{1, 5, 5, 2}, {6, 3, 2, 1}, {6}}, attrs: format.Attrs{"pads": ints(0, 1, 0, 0), "group": int64(2)}},
	{op: "Conv", inputs: []format.Shape{{1, 1, 1, 5}, {3, 1, 1, 5}, {3}}},
	{op: "Gemm", inputs: []format.Shape{{1, 6}, {4, 6}, {4}}, attrs: format.Attrs{"transB": int64(1)}},
	{op: "Gemm", inputs: []format.Shape{{3, 6}, {4, 6}}, attrs: format.Attrs{"transB": int64(1)}},
	{op: "MaxPool", inputs: []format.Shape{{2, 6, 5, 2}}, attrs: format.Attrs{"kernel_shape": ints(3, 2), "strides": ints(2, 1), "pads": ints(1, 0, 1, 1)}},
	{op: "AveragePool", inputs: []format.Shape{{2, 6, 5, 2}}, attrs: format.Attrs{"kernel_shape": ints(3, 2), "strides": ints(2, 2), "pads": ints(1, 1, 1, 1)}},
	{op: "Relu", inputs: []format.Shape{{40}}, in: away(0)},
	{op: "Clip", inputs: []format.Shape{{40}}, attrs: format.Attrs{"min": -0.5, "max": 1.25}, in: away(-0.5, 1.25)},
	{op: "Clip", inputs: []format.Shape{{40}}, attrs: format.Attrs{"min": 0.0}, in: away(0)},
	{op: "Sigmoid", inputs: []format.Shape{{40}}},
	{op: "Tanh", inputs: []format.Shape{{40}}},
	{op: "HardSwish", inputs: []format.Shape{{60}}, in: away(-3, 3)},
	{op: "LeakyRelu", inputs: []format.Shape{{40}}, attrs: format.Attrs{"alpha": 0.2}, in: away(0)},
	{op: "LeakyRelu", inputs: []format.Shape{{40}}, in: away(0)},
	{op: "Elu", inputs: []format.Shape{{40}}, in: away(0)},
	{op: "Elu", inputs: []format.Shape{{40}}, attrs: format.Attrs{"alpha": 0.7}, in: away(0)},
	{op: "Exp", inputs: []format.Shape{{40}}},
	{op: "Log", inputs: []format.Shape{{40}}, in: positive},
	{op: "Sqrt", inputs: []format.Shape{{40}}, in: positive},
	{op: "Rsqrt", inputs: []format.Shape{{40}}, in: positive},
	{op: "Abs", inputs: []format.Shape{{40}}, in: away(0)},
	{op: "Neg", inputs: []format.Shape{{40}}},
	{op: "Erf", inputs: []format.Shape{{40}}},
	{op: "Gelu", inputs: []format.Shape{{40}}},
	{op: "Gelu", inputs: []format.Shape{{40}}, attrs: format.Attrs{"approximate": "tanh"}},
	{op: "Softmax", inputs: []format.Shape{{3, 19}}},
	{op: "LogSoftmax", inputs: []format.Shape{{3, 19}}},
	{op: "Add", inputs: []format.Shape{{2, 3, 4}, {3, 1}}},
	{op: "Sub", inputs: []format.Shape{{4}, {2, 3, 4}}},
	{op: "Mul", inputs: []format.Shape{{2, 1, 4}, {3, 1}}},
	{op: "Mul", inputs: []format.Shape{{2, 3}, {2, 3}}},
	{op: "Div", inputs: []format.Shape{{2, 3, 4}, {1}}, in: positive},
	{op: "Max", inputs: []format.Shape{{5, 4}, {4}}},
	{op: "Min", inputs: []format.Shape{{5, 4}, {5, 1}}},
	{op: "Pow", inputs: []format.Shape{{5, 4}, {4}}, in: positive},
	{op: "SquaredDifference", inputs: []format.Shape{{5, 4}, {1, 4}}},
	{op: "ReduceMean", inputs: []format.Shape{{3, 4, 5}}, attrs: format.Attrs{"axes": ints(0, 2), "keepdims": int64(0)}},
	{op: "ReduceMean", inputs: []format.Shape{{2, 3, 3, 4}}, attrs: format.Attrs{"axes": ints(1, 2)}},
	{op: "ReduceSum", inputs: []format.Shape{{3, 4, 20}}, attrs: format.Attrs{"axes": ints(-1)}},
	{op: "ReduceMax", inputs: []format.Shape{{3, 4, 5}}, attrs: format.Attrs{"axes": ints(1)}},
	{op: "ReduceMin", inputs: []format.Shape{{3, 4, 5}}, attrs: format.Attrs{"axes": ints(0, 2)}},
	{op: "HardSigmoid", inputs: []format.Shape{{40}}, in: away(-2.5, 2.5)},
	{op: "HardSigmoid", inputs: []format.Shape{{40}}, attrs: format.Attrs{"alpha": 0.5, "beta": 0.25}, in: away(-0.5, 1.5)},
	{op: "Reciprocal", inputs: []format.Shape{{40}}, in: positive},
	{op: "Softplus", inputs: []format.Shape{{40}}},
	{op: "Expand", inputs: []format.Shape{{3, 1}}, attrs: format.Attrs{"shape": ints(2, 3, 4)}},
	{op: "MatMul", inputs: []format.Shape{{2, 1, 3, 4}, {3, 4, 5}}},
	{op: "MatMul", inputs: []format.Shape{{5, 4}, {4, 2}}},
	{op: "LayerNormalization", inputs: []format.Shape{{3, 19}, {19}, {19}}},
	{op: "LayerNormalization", inputs: []format.Shape{{2, 2, 5}, {5}}, attrs: format.Attrs{"epsilon": 0.1}},
	{op: "RMSNormalization", inputs: []format.Shape{{3, 19}, {19}}},
	{op: "Reshape", inputs: []format.Shape{{3, 4}}, attrs: format.Attrs{"shape": ints(2, -1)}},
	{op: "Transpose", inputs: []format.Shape{{2, 3, 4}}, attrs: format.Attrs{"perm": ints(2, 0, 1)}},
	{op: "Concat", inputs: []format.Shape{{2, 3, 2}, {2, 1, 2}, {2, 2, 2}}, attrs: format.Attrs{"axis": int64(1)}},
	{op: "Split", inputs: []format.Shape{{2, 6}}, attrs: format.Attrs{"axis": int64(-1), "split": ints(1, 3, 2)}},
	{op: "Slice", inputs: []format.Shape{{4, 6}}, attrs: format.Attrs{"starts": ints(-1, 1), "ends": ints(0, 6), "axes": ints(0, 1), "steps": ints(-1, 2)}},
	{op: "Slice", inputs: []format.Shape{{4, 6}}, attrs: format.Attrs{"starts": ints(1), "ends": ints(3)}},
	{op: "Pad", inputs: []format.Shape{{2, 3}}, attrs: format.Attrs{"pads": ints(1, 0, 0, 2), "value": 0.5}},
	{op: "Pad", inputs: []format.Shape{{4, 3}}, attrs: format.Attrs{"pads": ints(2, 1, 1, 2), "mode": "reflect"}},
	{op: "Pad", inputs: []format.Shape{{2, 3}}, attrs: format.Attrs{"pads": ints(1, 2, 0, 2), "mode": "edge"}},
	{op: "Gather", inputs: []format.Shape{{3, 4, 2}}, attrs: format.Attrs{"axis": int64(1)}, index: ints(2, -1, 2)},
	{op: "GatherElements", inputs: []format.Shape{{4, 3}}, attrs: format.Attrs{"axis": int64(1)}, index: ints(2, 0, -1, 1), shape: format.Shape{4, 1}},
	{op: "GatherND", inputs: []format.Shape{{4, 3, 2}}, index: ints(2, 0, -1, 1, 2, 0), shape: format.Shape{3, 2}},
	{op: "ScatterElements", inputs: []format.Shape{{4, 3}, {2, 3}}, index: ints(2, 0, 1, 2, 3, 0), place: 1, shape: format.Shape{2, 3}},
	{op: "ScatterND", inputs: []format.Shape{{4, 3}, {2, 3}}, index: ints(2, 0), place: 1, shape: format.Shape{2, 1}},
	{op: "Where", inputs: []format.Shape{{2, 1, 4}, {3, 1}}, index: ints(1, 0, 0), shape: format.Shape{3, 1}, bools: true},
	{op: "CumSum", inputs: []format.Shape{{2, 5, 3}}, attrs: format.Attrs{"axis": int64(1)}},
	{op: "CumSum", inputs: []format.Shape{{2, 5}}, attrs: format.Attrs{"axis": int64(1), "exclusive": int64(1), "reverse": int64(1)}},
	{op: "Resize", inputs: []format.Shape{{1, 4, 5, 2}}, attrs: format.Attrs{"sizes": ints(1, 8, 10, 2), "scales": []float64{1, 2, 2, 1}, "mode": "linear"}},
	{op: "Resize", inputs: []format.Shape{{1, 6, 5}}, attrs: format.Attrs{"sizes": ints(1, 3, 8), "scales": []float64{1, 0.5, 1.6}}},
	{op: "Resize", inputs: []format.Shape{{5, 4}}, attrs: format.Attrs{"sizes": ints(7, 4), "scales": []float64{1.4, 1}, "mode": "cubic"}},
	{op: "Sin", inputs: []format.Shape{{40}}},
	{op: "Cos", inputs: []format.Shape{{40}}},
	{op: "Tan", inputs: []format.Shape{{40}}, in: math.Tanh},
	{op: "Asin", inputs: []format.Shape{{40}}, in: math.Tanh},
	{op: "Acos", inputs: []format.Shape{{40}}, in: math.Tanh},
	{op: "Atan", inputs: []format.Shape{{40}}},
	{op: "Sinh", inputs: []format.Shape{{40}}},
	{op: "Cosh", inputs: []format.Shape{{40}}},
	{op: "Asinh", inputs: []format.Shape{{40}}},
	{op: "Acosh", inputs: []format.Shape{{40}}, in: func(x float64) float64 { return 1.5 + math.Abs(x) }},
	{op: "Atanh", inputs: []format.Shape{{40}}, in: func(x float64) float64 { return math.Tanh(x) * 0.9 }},
	{op: "GRU", inputs: []format.Shape{{4, 2, 3}, {1, 15, 3}, {1, 15, 5}, {1, 30}, nil, {1, 2, 5}}},
	{op: "GRU", inputs: []format.Shape{{3, 2, 2}, {2, 9, 2}, {2, 9, 3}, {2, 18}}, attrs: format.Attrs{"direction": "bidirectional", "linear_before_reset": int64(1)}},
	{op: "RNN", inputs: []format.Shape{{4, 2, 3}, {1, 5, 3}, {1, 5, 5}, {1, 10}}, attrs: format.Attrs{"direction": "reverse"}},
	{op: "LSTM", inputs: []format.Shape{{4, 2, 3}, {1, 20, 3}, {1, 20, 5}, {1, 40}, nil, {1, 2, 5}, {1, 2, 5}}},
	{op: "LSTM", inputs: []format.Shape{{3, 1, 2}, {1, 8, 2}, {1, 8, 2}}, attrs: format.Attrs{"direction": "reverse", "cell_clip": 0.3}},
	{op: "LSTM", inputs: []format.Shape{{3, 2, 2}, {2, 12, 2}, {2, 12, 3}, {2, 24}}, attrs: format.Attrs{"direction": "bidirectional"}},
}

// model makes the case's node with float32 inputs a, b, c and so on.
func (c *opCase) model(t *testing.T) (*format.Model, []string) {
	t.Helper()
	m := &format.Model{Header: format.Header{Opset: 1}}
	g := &format.Graph{Name: "main"}
	n := &format.Node{Name: "node", Op: c.op, Attrs: c.attrs}
	var names []string
	var in []*format.Tensor
	add := func(x *format.Tensor) {
		m.Tensors = append(m.Tensors, x)
		in = append(in, x)
		n.Inputs = append(n.Inputs, x.Name)
	}
	for i, s := range c.inputs {
		if s == nil {
			in, n.Inputs = append(in, nil), append(n.Inputs, "")
			continue
		}
		name := string(rune('a' + i))
		add(&format.Tensor{Name: name, Type: format.Float32, Shape: s})
		g.Inputs = append(g.Inputs, format.Input{Tensor: name})
		names = append(names, name)
	}
	if c.index != nil {
		x := &format.Tensor{Name: "index", Type: format.Int64, Shape: format.Shape{len(c.index)}}
		if c.shape != nil {
			x.Shape = c.shape
		}
		for _, i := range c.index {
			x.Data = binary.LittleEndian.AppendUint64(x.Data, uint64(i))
		}
		if c.bools {
			x.Type, x.Data = format.Bool, nil
			for _, i := range c.index {
				x.Data = append(x.Data, byte(i))
			}
		}
		m.Tensors = append(m.Tensors, x)
		place := c.place
		if place == 0 && !c.bools {
			place = len(in)
		}
		in, n.Inputs = slices.Insert(in, place, x), slices.Insert(n.Inputs, place, "index")
	}
	outs, err := format.Infer(c.op, c.attrs, in)
	if err != nil {
		t.Fatalf("%s: %v", c.op, err)
	}
	for i, s := range outs {
		name := fmt.Sprint("out", i)
		n.Outputs = append(n.Outputs, name)
		g.Outputs = append(g.Outputs, name)
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: s})
	}
	g.Nodes = []*format.Node{n}
	m.Graphs = []*format.Graph{g}
	return m, names
}

// run sets the inputs, the same for every type, and returns the tape after one
// run in each direction with the loss Σ seed·y.
func run[T grad.Float](t *testing.T, c *opCase, product grad.Product[T]) (tape *grad.Tape[T], names []string, loss func() float64) {
	t.Helper()
	m, names := c.model(t)
	tape, err := grad.NewTape(m, names, product)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range names {
		for i := range tape.Tensor(name).Data {
			x := r.NormFloat64()
			if c.in != nil {
				x = c.in(x)
			}
			tape.Tensor(name).Data[i] = T(float32(x))
		}
	}
	var seed [][]T
	for _, y := range tape.Outputs() {
		seed = append(seed, randoms[T](r, len(y.Data)))
	}
	loss = func() (sum float64) {
		tape.Forward()
		for k, y := range tape.Outputs() {
			for i, v := range y.Data {
				sum += float64(seed[k][i]) * float64(v)
			}
		}
		return sum
	}
	loss()
	tape.Backward(seed...)
	tape.Flush()
	return tape, names, loss
}

// Every op's gradients in float64 against central differences, and those in
// float32 against them; the latter on every level, where they must be the bits
// of portable Go.
func TestOpGradients(t *testing.T) {
	for i, c := range opCases {
		t.Run(fmt.Sprint(c.op, i), func(t *testing.T) {
			tape, names, loss := run[float64](t, &c, grad.Portable[float64]{})
			narrow, _, _ := run[float32](t, &c, grad.Portable[float32]{})
			for _, name := range names {
				x := tape.Tensor(name)
				g := append([]float64(nil), x.Grad...)
				checkGradient(t, name, x.Data, g, loss)
				var diff, norm float64
				for k, v := range narrow.Tensor(name).Grad {
					diff += (float64(v) - g[k]) * (float64(v) - g[k])
					norm += g[k] * g[k]
				}
				if math.Sqrt(diff) > 1e-5*math.Sqrt(norm) {
					t.Errorf("d/d%s: float32 differs from float64 by %g of its length", name, math.Sqrt(diff/norm))
				}
			}
			for _, level := range kernels.Levels() {
				fast, _, _ := run(t, &c, grad.OnLevel(level))
				for _, name := range names {
					same(t, fmt.Sprint(level, " ", name), fast.Tensor(name).Grad, narrow.Tensor(name).Grad)
				}
			}
		})
	}
}

// Every op has a gradient that is tested, or a reason for having none.
func TestEveryOp(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range opCases {
		tested[c.op] = true
	}
	for _, op := range format.OpNames() {
		if _, none := grad.NoGradient[op]; none == tested[op] {
			t.Errorf("%s: gradient tested: %v; reason for having none: %q", op, tested[op], grad.NoGradient[op])
		}
	}
	for op := range grad.NoGradient {
		if format.Ops[op] == nil {
			t.Errorf("%s has a reason for having no gradient, and is no op", op)
		}
	}
}

// Gradients of samples add up in order, and only for what is trained.
func TestTapeAccumulates(t *testing.T) {
	c := &opCase{op: "Gemm", inputs: []format.Shape{{1, 3}, {2, 3}, {2}}, attrs: format.Attrs{"transB": int64(1)}}
	m, _ := c.model(t)
	tape, err := grad.NewTape[float32](m, []string{"b", "c"}, grad.Portable[float32]{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	const n = 4
	x, dy := randoms[float32](r, n*3), randoms[float32](r, n*2)
	for i := range n {
		copy(tape.Tensor("a").Data, x[i*3:])
		tape.Forward()
		tape.Backward(dy[i*2:][:2])
	}
	tape.Flush()
	dw, db := make([]float32, 6), make([]float32, 2)
	grad.DenseWeightGrad(dw, db, x, dy, n, 3, 2)
	same(t, "weights", tape.Tensor("b").Grad, dw)
	same(t, "bias", tape.Tensor("c").Grad, db)
	if tape.Tensor("a").Grad != nil {
		t.Error("the input has a gradient that nobody asked for")
	}
	// Tensors and gradients; input and gradient of every sample.
	tape.Reserve(n)
	if want := int64(4 * (3 + 2*6 + 2*2 + 2*2 + n*(3+2))); tape.Bytes() != want {
		t.Errorf("%d bytes, want %d", tape.Bytes(), want)
	}
}

func TestTapeRefuses(t *testing.T) {
	for _, tt := range []struct {
		c    opCase
		typ  format.DType
		want string
	}{
		{opCase{op: "StateRead"}, format.Float32, "state"},
		{opCase{op: "Relu", inputs: []format.Shape{{2}}}, format.Int8, "need float32"},
	} {
		m := &format.Model{Graphs: []*format.Graph{{
			Nodes: []*format.Node{{Name: "odd", Op: tt.c.op, Inputs: []string{"x"}, Outputs: []string{"y"}}}, Outputs: []string{"y"},
		}}, Tensors: []*format.Tensor{{Name: "x", Type: tt.typ, Shape: format.Shape{2}}, {Name: "y", Type: tt.typ, Shape: format.Shape{2}}}}
		if _, err := grad.NewTape[float32](m, nil, grad.Portable[float32]{}); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "odd") {
			t.Errorf("%s: %v, want %q", tt.c.op, err, tt.want)
		}
		if _, err := grad.NewTape[float32](m, []string{"y"}, grad.Portable[float32]{}); err == nil {
			t.Error("a computed tensor can be trained")
		}
	}
}

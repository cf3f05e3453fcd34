package quant

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
)

// randomGraph draws a graph of maps [1,4,4,4] whose nodes read any tensor
// before them.
func randomGraph(t *rapid.T) *format.Model {
	seed := rapid.Uint64().Draw(t, "weights")
	r := rand.New(rand.NewPCG(seed, 1))
	m := &format.Model{Header: format.Header{Opset: 1}, Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "t0"}}}}}
	g := m.Main()
	act := func(name string, shape ...int) string {
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: shape})
		return name
	}
	constant := func(shape ...int) string {
		x := make([]float32, format.Shape(shape).Elems())
		for i := range x {
			x[i] = float32(r.NormFloat64()) / 2
		}
		name := fmt.Sprint("w", len(m.Tensors))
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: bytesOf(x)})
		return name
	}
	maps := []string{act("t0", 1, 4, 4, 4)}
	node := func(op string, attrs format.Attrs, out string, in ...string) string {
		g.Nodes = append(g.Nodes, &format.Node{Name: fmt.Sprint("n", len(g.Nodes)), Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
		return out
	}
	same := []int64{1, 1, 1, 1}
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		pick := func() string { return rapid.SampledFrom(maps).Draw(t, "operand") }
		x, y := pick(), act(fmt.Sprint("t", i+1), 1, 4, 4, 4)
		switch op := rapid.SampledFrom([]string{"Conv", "Depthwise", "Relu", "Clip", "MaxPool", "AveragePool", "Add", "Mul", "Scale", "Concat", "Pad",
			"Transpose", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "HardSwish", "LeakyRelu", "Abs", "Exp", "Reshape"}).Draw(t, "op"); op {
		case "Conv":
			node(op, format.Attrs{"pads": same}, y, x, constant(4, 3, 3, 4), constant(4))
		case "Depthwise":
			node("Conv", format.Attrs{"pads": same, "group": int64(4)}, y, x, constant(4, 3, 3, 1))
		case "Clip":
			node(op, format.Attrs{"min": -0.5, "max": 1.0}, y, x)
		case "MaxPool", "AveragePool":
			node(op, format.Attrs{"kernel_shape": []int64{3, 3}, "pads": same}, y, x)
		case "Add", "Mul":
			node(op, nil, y, x, pick())
		case "Scale":
			node("Mul", nil, y, x, constant(4))
		case "Concat":
			both := node(op, format.Attrs{"axis": int64(3)}, act(y+"both", 1, 4, 4, 8), x, pick())
			node("Slice", format.Attrs{"starts": []int64{2}, "ends": []int64{6}, "axes": []int64{3}}, y, both)
		case "Pad":
			wide := node(op, format.Attrs{"pads": []int64{0, 1, 0, 0, 0, 0, 0, 0}}, act(y+"wide", 1, 5, 4, 4), x)
			node("Slice", format.Attrs{"starts": []int64{0}, "ends": []int64{4}, "axes": []int64{1}}, y, wide)
		case "Transpose":
			node(op, format.Attrs{"perm": []int64{0, 2, 1, 3}}, y, x)
		case "Reshape":
			flat := node(op, format.Attrs{"shape": []int64{1, 64}}, act(y+"flat", 1, 64), x)
			node(op, format.Attrs{"shape": []int64{1, 4, 4, 4}}, y, flat)
		case "Exp": // of what is bounded, or a chain of them overflows
			node(op, nil, y, node("Tanh", nil, act(y+"tanh", 1, 4, 4, 4), x))
		default:
			node(op, nil, y, x)
		}
		maps = append(maps, y)
	}
	g.Outputs = []string{maps[len(maps)-1]}
	if rapid.Bool().Draw(t, "two outputs") && len(maps) > 2 {
		g.Outputs = append(g.Outputs, maps[len(maps)-2])
	}
	return m
}

// TestAnyGraph quantizes graphs of all shapes: the result is valid, runs, and
// with every node kept float computes what the source does.
func TestAnyGraph(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		m := randomGraph(t)
		if err := format.Check(m); err != nil {
			t.Fatalf("the test's own graph: %v", err)
		}
		samples := func(yield func(Sample, error) bool) {
			r := rand.New(rand.NewPCG(5, 5))
			for range 4 {
				x := make([]float32, 64)
				for i := range x {
					x[i] = float32(r.NormFloat64())
				}
				if !yield(Sample{x}, nil) {
					return
				}
			}
		}
		obs, err := Observe(ctx, m, samples)
		if err != nil {
			t.Skip(err) // products of products overflow
		}
		ref, err := newReference(ctx, m, samples, nil)
		if err != nil {
			t.Fatal(err)
		}
		keep, all := map[string]bool{}, map[string]bool{}
		for _, n := range m.Main().Nodes {
			all[n.Name] = true
			if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
				keep[n.Name] = true
			}
		}
		for _, o := range []StaticOptions{{}, {Wide: true}, {Keep: keep}, {Keep: all}} {
			q, float, err := Static(m, obs.Ranges(MinMax), o)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ref.score(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Keep) == len(all) && (len(float) != len(all) || s.SQNR != maxDecibels) {
				t.Fatalf("all nodes float: %v, %.1f dB", float, s.SQNR)
			}
		}
		eq, _ := Equalize(m, obs)
		if s, err := ref.score(ctx, eq); err != nil || s.SQNR < 110 {
			t.Fatalf("equalized: %.1f dB, %v", s.SQNR, err)
		}
		if _, err := Quantize(ctx, m, samples, Options{Method: MSE, Budget: Budget{SQNR: 20}}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStates keeps a state float and quantizes what stands around it.
func TestStates(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(6, 6)))
	g := m.Main()
	m.States = []*format.State{{Name: "s", Type: format.Float32, Shape: format.Shape{1, 10}}}
	for _, name := range []string{"past", "sum"} {
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: format.Shape{1, 10}})
	}
	state := format.Attrs{"state": "s"}
	g.Nodes = append(g.Nodes, &format.Node{Name: "read", Op: "StateRead", Outputs: []string{"past"}, Attrs: state},
		&format.Node{Name: "add", Op: "Add", Inputs: []string{"y", "past"}, Outputs: []string{"sum"}},
		&format.Node{Name: "write", Op: "StateWrite", Inputs: []string{"sum"}, Attrs: state})
	g.Outputs = []string{"sum"}
	r := quantized(t, m, Options{Budget: Budget{SQNR: 20}})
	if db := r.Report.Score.SQNR; db < 28 {
		t.Errorf("%.1f dB", db)
	}
	if s := r.Model.States[0]; s.Type != format.Float32 || r.Model.Tensor("sum").Type != format.Int8 {
		t.Errorf("state %v, sum %v", s.Type, r.Model.Tensor("sum").Type)
	}
}

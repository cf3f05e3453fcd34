package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// anyModel draws valid models: a chain of random ops with random constants,
// names, quantization and header.
var anyModel = rapid.Custom(func(t *rapid.T) *Model {
	b := &builder{t: t, m: &Model{Graphs: []*Graph{{Name: "main"}}}}
	b.g = b.m.Graphs[0]
	var q *Quant
	typ := rapid.SampledFrom([]DType{Float32, Int8, Uint8}).Draw(t, "type")
	if typ != Float32 {
		q = b.perTensor(typ)
	}
	x := b.tensor(typ, Shape{b.dim(1, 2), b.dim(4, 6), b.dim(4, 6), b.dim(1, 5)}, q)
	b.g.Inputs = append(b.g.Inputs, Input{Tensor: x.Name, Optional: b.bool()})
	for range b.dim(1, 6) {
		x = b.step(x)
	}
	b.g.Outputs = append(b.g.Outputs, x.Name)
	b.header()
	return b.m
})

type builder struct {
	t *rapid.T
	m *Model
	g *Graph
	n int
}

func (b *builder) dim(lo, hi int) int { return rapid.IntRange(lo, hi).Draw(b.t, "n") }
func (b *builder) bool() bool         { return rapid.Bool().Draw(b.t, "bool") }

func (b *builder) name(kind string) string {
	b.n++
	return fmt.Sprintf("%s/%d%s", kind, b.n, rapid.SampledFrom([]string{"", ":0", "ü", " with spaces", "\x00"}).Draw(b.t, "name"))
}

func (b *builder) scale() float32 {
	return rapid.Float32Range(1e-4, 2).Draw(b.t, "scale")
}

func (b *builder) perTensor(t DType) *Quant {
	lo, hi, _ := intRange(t)
	return PerTensor(b.scale(), int32(rapid.Int64Range(lo, hi).Draw(b.t, "zero")))
}

func (b *builder) tensor(t DType, s Shape, q *Quant) *Tensor {
	x := &Tensor{Name: b.name("t"), Type: t, Shape: s, Quant: q}
	b.m.Tensors = append(b.m.Tensors, x)
	return x
}

func (b *builder) constant(t DType, s Shape, q *Quant) *Tensor {
	x := b.tensor(t, s, q)
	x.Data = b.bytes(t, s.Elems())
	return x
}

func (b *builder) bytes(t DType, n int) []byte {
	data := make([]byte, t.Bytes(n))
	seed := rapid.Uint32().Draw(b.t, "data")
	for i := range data {
		seed = seed*1664525 + 1013904223
		data[i] = byte(seed >> 24)
	}
	if t == Float32 {
		for i := range n {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(int8(data[4*i]))/32))
		}
	}
	return data
}

// node adds a node whose outputs, of x's type and quantization, are shaped by the
// op's own rule.
func (b *builder) node(op string, a Attrs, in ...*Tensor) []*Tensor {
	shapes, err := Infer(op, a, in)
	if err != nil {
		panic(err)
	}
	n := &Node{Name: b.name("n"), Op: op, Attrs: a}
	for _, t := range in {
		if t == nil {
			n.Inputs = append(n.Inputs, "")
		} else {
			n.Inputs = append(n.Inputs, t.Name)
		}
	}
	var out []*Tensor
	for _, s := range shapes {
		y := b.tensor(in[0].Type, s, in[0].Quant)
		n.Outputs = append(n.Outputs, y.Name)
		out = append(out, y)
	}
	b.g.Nodes = append(b.g.Nodes, n)
	return out
}

// step adds one random op after x.
func (b *builder) step(x *Tensor) *Tensor {
	s := x.Shape
	ops := []string{"Relu", "Clip", "Sigmoid", "Softmax", "Add", "Reshape", "Transpose", "Concat", "Split", "Slice", "Pad", "ReduceMean", "Gather", "state", "quantize"}
	if len(s) == 4 {
		ops = append(ops, "Conv", "Conv", "MaxPool", "AveragePool")
	}
	rank := int64(len(s))
	switch op := rapid.SampledFrom(ops).Draw(b.t, "op"); op {
	case "Conv":
		group, c := 1, s[3]
		if b.bool() {
			group, c = s[3], 1
		}
		out := group * b.dim(1, 2)
		w, bias := b.constant(Float32, Shape{out, 2, 2, c}, nil), (*Tensor)(nil)
		if x.Type != Float32 {
			w.Type, w.Data = x.Type, b.bytes(x.Type, w.Shape.Elems())
			w.Quant = b.perTensor(x.Type)
			if x.Type == Int8 && b.bool() {
				w.Quant = &Quant{Scale: make([]float32, out)}
				for i := range w.Quant.Scale {
					w.Quant.Scale[i] = b.scale()
				}
			}
		}
		if b.bool() {
			if x.Type == Float32 {
				bias = b.constant(Float32, Shape{out}, nil)
			} else {
				bias = b.tensor(Int32, Shape{out}, nil)
				bias.Data = make([]byte, 4*out)
			}
		}
		a := Attrs{"pads": []int64{0, 1, 1, 0}, "group": int64(group)}
		y := b.node("Conv", a, x, w, bias)[0]
		if y.Quant != nil {
			y.Quant = b.perTensor(y.Type)
		}
		return y
	case "MaxPool", "AveragePool":
		return b.node(op, Attrs{"kernel_shape": []int64{2, 2}, "pads": []int64{1, 1, 1, 1}}, x)[0]
	case "Clip":
		return b.node(op, Attrs{"min": -0.5, "max": rapid.Float64Range(-0.5, 1e300).Draw(b.t, "max")}, x)[0]
	case "Add":
		return b.node(op, nil, x, b.constant(x.Type, Shape{s[len(s)-1]}, x.Quant))[0]
	case "Reshape":
		return b.node(op, Attrs{"shape": []int64{1, -1}}, x)[0]
	case "Transpose":
		perm := make([]int64, rank)
		for i := range perm {
			perm[i] = (int64(i) + 1) % rank
		}
		return b.node(op, Attrs{"perm": perm}, x)[0]
	case "Concat":
		return b.node(op, Attrs{"axis": int64(-1)}, x, x)[0]
	case "Split":
		if s[0] < 2 {
			return b.node("Split", Attrs{"axis": int64(0), "split": []int64{int64(s[0])}}, x)[0]
		}
		return b.node("Split", Attrs{"axis": int64(0), "split": []int64{1, int64(s[0]) - 1}}, x)[1]
	case "Slice":
		return b.node(op, Attrs{"starts": []int64{-1}, "ends": []int64{math.MinInt64}, "steps": []int64{-1}, "axes": []int64{rank - 1}}, x)[0]
	case "Pad":
		return b.node(op, Attrs{"pads": make([]int64, 2*rank), "mode": "edge"}, x)[0]
	case "ReduceMean":
		return b.node(op, Attrs{"axes": []int64{-1}}, x)[0]
	case "Gather":
		idx := b.tensor(Int32, Shape{}, nil)
		idx.Data = make([]byte, 4)
		if rank == 1 {
			return b.node("Relu", nil, x)[0]
		}
		return b.node(op, nil, x, idx)[0]
	case "state":
		st := &State{Name: b.name("s"), Type: x.Type, Shape: s, Quant: x.Quant}
		if b.bool() {
			st.Init = b.bytes(st.Type, s.Elems())
		}
		b.m.States = append(b.m.States, st)
		y := b.tensor(x.Type, s, x.Quant)
		a := Attrs{"state": st.Name}
		b.g.Nodes = append(b.g.Nodes,
			&Node{Name: b.name("n"), Op: "StateRead", Outputs: []string{y.Name}, Attrs: a},
			&Node{Name: b.name("n"), Op: "StateWrite", Inputs: []string{x.Name}, Attrs: a})
		return y
	case "quantize":
		if x.Type == Float32 {
			y := b.node("QuantizeLinear", nil, x)[0]
			y.Type, y.Quant = Int8, b.perTensor(Int8)
			return y
		}
		y := b.node("DequantizeLinear", nil, x)[0]
		y.Type, y.Quant = Float32, nil
		return y
	default:
		return b.node(op, nil, x)[0]
	}
}

func (b *builder) header() {
	text := rapid.StringN(0, 20, -1)
	h := &b.m.Header
	h.PeakBytes = rapid.Int64Range(0, 1<<40).Draw(b.t, "peak")
	h.Source = Source{Format: text.Draw(b.t, "format"), Tool: "tool", Note: text.Draw(b.t, "note")}
	h.Card = rapid.MapOf(text, text).Draw(b.t, "card")
	h.Labels = rapid.SliceOf(text).Draw(b.t, "labels")
	h.Metrics = rapid.MapOf(text, rapid.Float64()).Draw(b.t, "metrics")
	h.Pre = []Transform{{Op: "resize", Tensor: b.g.Inputs[0].Tensor, Attrs: Attrs{
		"size": []int64{8, 8}, "mean": []float64{0.5, 1}, "crop": true, "filter": "area", "n": int64(math.MinInt64), "scale": -1.5}}}
	h.Post = []Transform{{Op: "topk", Tensor: b.g.Outputs[0]}}
	if b.bool() {
		h.Tunable = []string{b.g.Nodes[0].Name}
	}
}

// sameModel compares all that a file holds; want may lack what the writer fills in.
func sameModel(t testing.TB, want, got *Model) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Model{}),
		cmpopts.IgnoreFields(Header{}, "Digest", "WeightBytes", "Opset")); d != "" {
		t.Fatalf("models differ (-want +got):\n%s", d)
	}
}

// smallModel is a fixed model with one of everything that a file can hold.
func smallModel() *Model {
	return &Model{
		Header: Header{Labels: []string{"cat", "dog"}, Card: map[string]string{"title": "small"}, Tunable: []string{"fc"},
			Metrics: map[string]float64{"accuracy": 0.5}, Source: Source{Format: "test"},
			Pre: []Transform{{Op: "scale", Tensor: "x", Attrs: Attrs{"by": 0.5}}}},
		Symbols: []string{"batch"},
		Tensors: []*Tensor{
			{Name: "x", Type: Int8, Shape: Shape{-1, 4}, Quant: PerTensor(0.5, -3)},
			{Name: "w", Type: Int8, Shape: Shape{2, 4}, Quant: &Quant{Scale: []float32{0.25, 0.125}}, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
			{Name: "b", Type: Int32, Shape: Shape{2}, Data: []byte{1, 0, 0, 0, 255, 255, 255, 255}},
			{Name: "y", Type: Int8, Shape: Shape{-1, 2}, Quant: PerTensor(1, 0)},
			{Name: "s", Type: Float32, Shape: Shape{1}},
			{Name: "z", Type: Float32, Shape: Shape{-1, 2}},
			{Name: "sum", Type: Float32, Shape: Shape{-1, 2}},
		},
		States: []*State{{Name: "state", Type: Float32, Shape: Shape{1}, Init: []byte{0, 0, 128, 63}}},
		Graphs: []*Graph{{
			Name: "main", Inputs: []Input{{Tensor: "x"}}, Outputs: []string{"sum"},
			Nodes: []*Node{
				{Name: "fc", Op: "Gemm", Inputs: []string{"x", "w", "b"}, Outputs: []string{"y"}, Attrs: Attrs{"transB": int64(1)}},
				{Name: "dq", Op: "DequantizeLinear", Inputs: []string{"y"}, Outputs: []string{"z"}},
				{Name: "read", Op: "StateRead", Outputs: []string{"s"}, Attrs: Attrs{"state": "state"}},
				{Name: "write", Op: "StateWrite", Inputs: []string{"s"}, Attrs: Attrs{"state": "state"}},
				{Name: "add", Op: "Add", Inputs: []string{"z", "s"}, Outputs: []string{"sum"}},
			},
		}},
	}
}

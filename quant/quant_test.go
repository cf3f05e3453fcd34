package quant

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more" // int16 and mixed types
)

func TestActivationHoldsZero(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		a, b := float32(r.NormFloat64()*10), float32(r.NormFloat64()*10)
		lo, hi := min(a, b), max(a, b)
		q := Activation(lo, hi)
		if z := q.ZeroPoint(); z < -128 || z > 127 {
			t.Fatalf("[%v, %v]: zero point %d", lo, hi, z)
		}
		if c := quantize(0, q); int32(c) != q.ZeroPoint() {
			t.Fatalf("[%v, %v]: 0 is code %d, zero point %d", lo, hi, c, q.ZeroPoint())
		}
		for _, x := range []float32{lo, hi, (lo + hi) / 2} {
			back := q.Scale[0] * float32(int32(quantize(x, q))-q.ZeroPoint())
			if math.Abs(float64(back-x)) > 1.01*float64(q.Scale[0]) {
				t.Fatalf("[%v, %v]: %v came back as %v, scale %v", lo, hi, x, back, q.Scale[0])
			}
		}
	}
	for _, r := range [][2]float32{{0, 0}, {5, 5}, {-5, -5}, {0, math.SmallestNonzeroFloat32}, {-math.MaxFloat32, math.MaxFloat32}} {
		if q := Activation(r[0], r[1]); !(q.Scale[0] > 0) {
			t.Errorf("%v: scale %v", r, q.Scale[0])
		}
	}
}

func TestWeightsAreSymmetric(t *testing.T) {
	w := []float32{1, -2, 0.5, 0, 0, 0, 127, -127, 3}
	codes, q := Weights(w, format.Shape{3, 3})
	want := []int8{64, -127, 32, 0, 0, 0, 127, -127, 3}
	for i := range want {
		if codes[i] != want[i] {
			t.Fatalf("codes %v, want %v", codes, want)
		}
	}
	if q.Scale[1] != 1 || q.Scale[2] != 1 {
		t.Errorf("scales %v", q.Scale)
	}
}

// floatNet is conv-relu-conv-reshape-gemm with random weights.
func floatNet(r *rand.Rand) *format.Model {
	act := func(name string, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	}
	weights := func(name string, shape ...int) *format.Tensor {
		n := format.Shape(shape).Elems()
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() / math.Sqrt(float64(n/shape[0])))
		}
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: bytesOf(x)}
	}
	conv := func(name, x, w, b, y string) *format.Node {
		return &format.Node{Name: name, Op: "Conv", Inputs: []string{x, w, b}, Outputs: []string{y},
			Attrs: format.Attrs{"strides": []int64{1, 1}, "dilations": []int64{1, 1}, "pads": []int64{1, 1, 1, 1}, "group": int64(1)}}
	}
	return &format.Model{
		Header: format.Header{Opset: 1},
		Tensors: []*format.Tensor{act("x", 1, 8, 8, 3), act("a", 1, 8, 8, 16), act("b", 1, 8, 8, 16), act("c", 1, 8, 8, 8), act("d", 1, 512), act("y", 1, 10),
			weights("w1", 16, 3, 3, 3), weights("w2", 8, 3, 3, 16), weights("w3", 10, 512), weights("b1", 16), weights("b2", 8), weights("b3", 10)},
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"}, Nodes: []*format.Node{
			conv("conv1", "x", "w1", "b1", "a"), {Name: "relu", Op: "Relu", Inputs: []string{"a"}, Outputs: []string{"b"}}, conv("conv2", "b", "w2", "b2", "c"),
			{Name: "flat", Op: "Reshape", Inputs: []string{"c"}, Outputs: []string{"d"}, Attrs: format.Attrs{"shape": []int64{1, 512}}},
			{Name: "fc", Op: "Gemm", Inputs: []string{"d", "w3", "b3"}, Outputs: []string{"y"}, Attrs: format.Attrs{"transB": int64(1)}},
		}}},
	}
}

var inf = math.Inf(1)

func samples(seed uint64, n int) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		r := rand.New(rand.NewPCG(seed, 9))
		for range n {
			x := make([]float32, 192)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			if !yield(Sample{x}, nil) {
				return
			}
		}
	}
}

// sqnr is the signal-to-noise ratio of the model against the float one in dB.
func sqnr(t *testing.T, float, q *format.Model) float64 {
	t.Helper()
	run := func(m *format.Model) (out []float32) {
		p, err := runtime.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		s := p.NewSession()
		for x := range samples(77, 20) {
			if err := s.Input(0).SetFloat32(x[0]); err != nil {
				t.Fatal(err)
			}
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			out = append(out, s.Output(0).Float32()...)
		}
		return out
	}
	a, b := run(float), run(q)
	var signal, noise float64
	for i := range a {
		signal += float64(a[i]) * float64(a[i])
		noise += float64(a[i]-b[i]) * float64(a[i]-b[i])
	}
	return 10 * math.Log10(signal/noise)
}

func TestStaticAndDynamic(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(3, 3)))
	r, err := Observe(context.Background(), m, samples(1, 32))
	if err != nil {
		t.Fatal(err)
	}
	q, float, err := Static(m, r.Ranges(MinMax), StaticOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(float) != 0 {
		t.Errorf("nodes %v stayed float", float)
	}
	for _, x := range q.Tensors {
		if !x.Const() && x.Type != format.Int8 && used(q, x.Name) {
			t.Errorf("tensor %q is %v", x.Name, x.Type)
		}
	}
	if db := sqnr(t, m, q); db < 28 {
		t.Errorf("int8: %.1f dB", db)
	}
	d, err := Dynamic(m)
	if err != nil {
		t.Fatal(err)
	}
	if db := sqnr(t, m, d); db < 32 {
		t.Errorf("dynamic: %.1f dB", db)
	}
	h, err := Half(m, format.Float16)
	if err != nil {
		t.Fatal(err)
	}
	if db := sqnr(t, m, h); db < 60 {
		t.Errorf("float16 weights: %.1f dB", db)
	}
	brain, err := Half(m, format.BFloat16)
	if err != nil {
		t.Fatal(err)
	}
	if db := sqnr(t, m, brain); db < 45 || brain.Tensor("w1").Type != format.BFloat16 {
		t.Errorf("%v weights: %.1f dB", brain.Tensor("w1").Type, db)
	}
	if h.Tensor("w1").Type != format.Float16 || 2*len(h.Tensor("w1").Data) != len(m.Tensor("w1").Data) {
		t.Error("the weights were not halved")
	}
	if m.Tensor("w1").Type != format.Float32 || m.Main().Nodes[0].Inputs[1] != "w1" {
		t.Error("the source model was changed")
	}
}

func used(m *format.Model, name string) bool {
	for _, n := range m.Main().Nodes {
		if slices.Contains(n.Inputs, name) || slices.Contains(n.Outputs, name) {
			return true
		}
	}
	return false
}

// TestFloatNodesAreWrapped keeps an op without an integer kernel in float32.
func TestFloatNodesAreWrapped(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(4, 4)))
	m.Tensors = append(m.Tensors, &format.Tensor{Name: "e", Type: format.Float32, Shape: format.Shape{1, 10}})
	m.Main().Nodes = append(m.Main().Nodes, &format.Node{Name: "exp", Op: "Exp", Inputs: []string{"y"}, Outputs: []string{"e"}})
	m.Main().Outputs = []string{"e"}
	r := Ranges{}
	for _, x := range m.Tensors {
		if !x.Const() {
			r[x.Name] = [2]float32{-3, 3}
		}
	}
	q, float, err := Static(m, r, StaticOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(float) != 1 || float[0] != "exp" {
		t.Errorf("float nodes %v, want exp", float)
	}
	var ops []string
	for _, n := range q.Main().Nodes {
		ops = append(ops, n.Op)
	}
	if n := len(ops); ops[n-2] != "DequantizeLinear" || ops[n-1] != "Exp" || q.Tensor("e").Type != format.Float32 {
		t.Errorf("ops %v", ops)
	}
}

func TestRefusals(t *testing.T) {
	m := floatNet(rand.New(rand.NewPCG(5, 5)))
	if _, err := Observe(context.Background(), m, samples(1, 0)); err == nil {
		t.Error("no samples were accepted")
	}
	short := func(yield func(Sample, error) bool) { yield(Sample{make([]float32, 3)}, nil) }
	if _, err := Observe(context.Background(), m, short); err == nil {
		t.Error("a short sample was accepted")
	}
	if _, _, err := Static(m, Ranges{}, StaticOptions{}); err == nil {
		t.Error("missing ranges were accepted")
	}
	q, err := Dynamic(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dynamic(q); err == nil {
		t.Error("a model without float weights was accepted")
	}
}

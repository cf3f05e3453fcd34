package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
)

// pairNet is conv, Relu, depthwise conv, Relu, conv.
func pairNet() *format.Model {
	r := rand.New(rand.NewPCG(1, 2))
	m := &format.Model{Header: format.Header{Opset: 1}}
	tensor := func(name string, constant bool, shape ...int) string {
		t := &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
		if constant {
			t.Data = []byte{}
			for range format.Shape(shape).Elems() {
				t.Data = le.AppendUint32(t.Data, math.Float32bits(float32(r.NormFloat64())))
			}
		}
		m.Tensors = append(m.Tensors, t)
		return name
	}
	conv := func(name, x, y string, group int64, shape ...int) *format.Node {
		return &format.Node{Name: name, Op: "Conv", Inputs: []string{x, tensor(name+"w", true, shape...), tensor(name+"b", true, shape[0])}, Outputs: []string{y},
			Attrs: format.Attrs{"group": group}}
	}
	relu := func(x, y string) *format.Node {
		return &format.Node{Name: y, Op: "Relu", Inputs: []string{x}, Outputs: []string{y}}
	}
	x := tensor("x", false, 1, 4, 4, 3)
	for _, name := range []string{"a", "ar", "b", "br"} {
		tensor(name, false, 1, 4, 4, 8)
	}
	y := tensor("y", false, 1, 4, 4, 2)
	m.Graphs = []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: x}}, Outputs: []string{y}, Nodes: []*format.Node{
		conv("c1", x, "a", 1, 8, 1, 1, 3), relu("a", "ar"), conv("c2", "ar", "b", 8, 8, 1, 1, 1), relu("b", "br"), conv("c3", "br", y, 1, 2, 1, 1, 8)}}}
	return m
}

func TestUpsetKeepsTheFunction(t *testing.T) {
	m := pairNet()
	u, err := upset(m)
	if err != nil {
		t.Fatal(err)
	}
	d := &data{x: [][]float32{make([]float32, 48)}}
	for i := range d.x[0] {
		d.x[0][i] = float32(i%7) - 3
	}
	want, err := outputs(context.Background(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := outputs(context.Background(), u, d)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want[0].values, got[0].values) {
		t.Errorf("%v became %v", want[0], got[0])
	}
	if slices.Equal(u.Tensor("c1w").Data, m.Tensor("c1w").Data) || slices.Equal(u.Tensor("c3w").Data, m.Tensor("c3w").Data) {
		t.Error("the weights are as before")
	}
}

func TestPaired(t *testing.T) {
	mean, half := paired([]float64{1, 2, 3, 6}, []float64{0, 2, 2, 4})
	if want := 1.96 * math.Sqrt(2.0/3/4); mean != 1 || math.Abs(half-want) > 1e-12 {
		t.Errorf("%v ± %v, want 1 ± %v", mean, half, want)
	}
}

func TestMargin(t *testing.T) {
	for _, c := range []struct {
		values []float32
		want   float64
	}{
		{[]float32{0.2, 0.7, 0.1}, 0.5},                                  // probabilities
		{[]float32{3, 1, 1}, (math.Exp(2) - 1) / (math.Exp(2) + 2)},      // scores
		{[]float32{-1, -1, -3}, 0}, {[]float32{0.5, 0.5, 0, 0, 0, 0}, 0}, // ties
	} {
		if got := (answer{c.values, len(c.values)}).margin(); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}

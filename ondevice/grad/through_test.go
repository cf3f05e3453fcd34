package grad

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
)

// TestThrough rounds what lies between two layers: forwards it counts,
// backwards it does not.
func TestThrough(t *testing.T) {
	x := func(name string, data ...float32) *format.Tensor {
		f := &format.Tensor{Name: name, Type: format.Float32, Shape: format.Shape{1, 2}}
		for _, v := range data {
			f.Data = binary.LittleEndian.AppendUint32(f.Data, math.Float32bits(v))
		}
		return f
	}
	m := &format.Model{Tensors: []*format.Tensor{x("x"), x("h"), x("y"), x("two", 2, 2), x("three", 3, 3)},
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"}, Nodes: []*format.Node{
			{Name: "a", Op: "Mul", Inputs: []string{"x", "two"}, Outputs: []string{"h"}}, {Name: "b", Op: "Mul", Inputs: []string{"h", "three"}, Outputs: []string{"y"}}}}}}
	tape, err := NewTape[float32](m, []string{"x", "three"}, Portable[float32]{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tape.Through("h", func(h []float32) {
		for i := range h {
			h[i] = float32(int(h[i]))
		}
	}); err != nil {
		t.Fatal(err)
	}
	copy(tape.Tensor("x").Data, []float32{0.75, 1.2})
	tape.Forward()
	tape.Backward([]float32{1, 1})
	tape.Flush()
	for name, c := range map[string][2][]float32{
		"y":     {tape.Tensor("y").Data, {3, 6}},
		"x":     {tape.Tensor("x").Grad, {6, 6}},
		"three": {tape.Tensor("three").Grad, {1, 2}},
	} {
		if !slices.Equal(c[0], c[1]) {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
	if tape.Through("x", nil) == nil || tape.Through("none", nil) == nil {
		t.Error("what no node computes was taken")
	}
}

package quant

import (
	"context"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
)

// A model that adds up the rows of a table that tokens name: what it remembers ends
// with a sequence.
func TestRunnerSequences(t *testing.T) {
	ctx := context.Background()
	state := format.Attrs{"state": "s"}
	m := &format.Model{Header: format.Header{Opset: 1}, States: []*format.State{{Name: "s", Type: format.Float32, Shape: format.Shape{1, 2}}}}
	act := func(name string) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: format.Shape{1, 2}}
	}
	m.Tensors = []*format.Tensor{
		{Name: "token", Type: format.Int32, Shape: format.Shape{1}}, {Name: "rows", Type: format.Float32, Shape: format.Shape{3, 2}, Data: bytesOf([]float32{1, 10, 2, 20, 4, 40})},
		act("row"), act("past"), act("sum"),
	}
	m.Graphs = []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "token"}}, Outputs: []string{"sum"}, Nodes: []*format.Node{
		{Name: "look", Op: "Gather", Inputs: []string{"rows", "token"}, Outputs: []string{"row"}},
		{Name: "read", Op: "StateRead", Outputs: []string{"past"}, Attrs: state},
		{Name: "add", Op: "Add", Inputs: []string{"row", "past"}, Outputs: []string{"sum"}},
		{Name: "write", Op: "StateWrite", Inputs: []string{"sum"}, Attrs: state},
	}}}
	for sequence, want := range map[int][]float32{0: {1, 2, 4, 1}, 2: {1, 3, 4, 5}, 4: {1, 3, 7, 8}} {
		r, err := newRunner(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.sequence = sequence
		var got []float32
		for n, token := range []float32{0, 1, 2, 0} {
			if err := r.run(ctx, n, Sample{{token}}); err != nil {
				t.Fatal(err)
			}
			got = append(got, r.real(0)[0])
		}
		r.close()
		if !slices.Equal(got, want) {
			t.Errorf("sequences of %d: %v, want %v", sequence, got, want)
		}
	}
}

package quant

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// matrixInputs names the inputs that are weights of matrices, by op. Where they
// are constants they are what makes a model large.
var matrixInputs = map[string][]int{
	"Conv": {1}, "Gemm": {1}, "MatMul": {0, 1}, "Gather": {0}, "LSTM": {1, 2}, "GRU": {1, 2}, "RNN": {1, 2},
}

// store changes how the model keeps the weights of its matrices: to gets each
// float32 constant that take accepts, once, and the nodes that back makes give
// its readers the float32 values again when the model is compiled. It returns
// the number of constants.
func store(m *format.Model, back func(stored, wide *format.Tensor) []*format.Node, take func(*format.Node, *format.Tensor) bool, to func(*format.Node, *format.Tensor) error) (int, error) {
	tensors := byName(m)
	stored := map[string]format.Shape{} // and the shapes they had
	for _, g := range m.Graphs {
		wide := map[string]string{} // stored weights to their float32 values in this graph
		var nodes []*format.Node
		for _, n := range g.Nodes {
			for _, i := range matrixInputs[n.Op] {
				if i >= len(n.Inputs) || n.Inputs[i] == "" {
					continue
				}
				w := tensors[n.Inputs[i]]
				if stored[w.Name] == nil {
					if !plainConst(w) || len(w.Shape) < 2 || !take(n, w) || slices.Contains(g.Outputs, w.Name) {
						continue
					}
					stored[w.Name] = w.Shape
					if err := to(n, w); err != nil {
						return 0, err
					}
				}
				if wide[w.Name] == "" {
					t := &format.Tensor{Name: w.Name + "/float32", Type: format.Float32, Shape: stored[w.Name]}
					for tensors[t.Name] != nil {
						t.Name += "'"
					}
					tensors[t.Name] = t
					m.Tensors = append(m.Tensors, t)
					nodes = append(nodes, back(w, t)...)
					wide[w.Name] = t.Name
				}
				n.Inputs[i] = wide[w.Name]
			}
			// Other readers of the constant need its values, too.
			for i, in := range n.Inputs {
				if wide[in] != "" {
					n.Inputs[i] = wide[in]
				}
			}
			nodes = append(nodes, n)
		}
		g.Nodes = nodes
	}
	return len(stored), nil
}

// by makes the node of an op that gives stored weights back.
func by(op string) func(stored, wide *format.Tensor) []*format.Node {
	return func(stored, wide *format.Tensor) []*format.Node {
		return []*format.Node{{Name: wide.Name, Op: op, Inputs: []string{stored.Name}, Outputs: []string{wide.Name}}}
	}
}

// Half returns a copy of the model in which the float32 weights of its matrices
// are stored as float16 or bfloat16, which halves the file. The node gets its
// float32 weights when the model is compiled, so arithmetic and speed stay those
// of float32. A weight beyond the range of float16 is an error.
func Half(m *format.Model, t format.DType) (*format.Model, error) {
	round := kernels.Float32ToFloat16
	switch t {
	case format.Float16:
	case format.BFloat16:
		round = kernels.Float32ToBFloat16
	default:
		return nil, fmt.Errorf("quant: weights cannot be stored as %v: choose float16 or bfloat16", t)
	}
	out := clone(m)
	n, err := store(out, by("Cast"), func(*format.Node, *format.Tensor) bool { return true }, func(n *format.Node, w *format.Tensor) error {
		x := float32s(w)
		codes := make([]uint16, len(x))
		round(codes, x)
		for i, c := range codes {
			if t == format.Float16 && c&0x7c00 == 0x7c00 || t == format.BFloat16 && c&0x7f80 == 0x7f80 {
				return fmt.Errorf("quant: node %q: weight %g is beyond the range of %v", n.Name, x[i], t)
			}
		}
		w.Type, w.Data = t, bytesOf(codes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("quant: the model has no matrices with float32 weights")
	}
	return out, format.Check(out)
}

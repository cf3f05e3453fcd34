package quant

import (
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// Half returns a copy of the model in which the float32 weights of every Conv
// and Gemm are stored as float16, which halves the file. A Cast gives the node
// its float32 weights when the model is compiled, so arithmetic and speed stay
// those of float32. A weight beyond the range of float16 is an error.
func Half(m *format.Model) (*format.Model, error) {
	out := clone(m)
	tensors := byName(out)
	done := map[string]string{} // stored weights to their float32 copy
	for _, g := range out.Graphs {
		var nodes []*format.Node
		for _, n := range g.Nodes {
			if linear(n) {
				w := tensors[n.Inputs[1]]
				if done[w.Name] == "" && w.Type == format.Float32 && w.Const() {
					wide := &format.Tensor{Name: w.Name + "/float32", Type: format.Float32, Shape: w.Shape}
					if tensors[wide.Name] != nil {
						return nil, fmt.Errorf("quant: tensor name %q is taken", wide.Name)
					}
					x := float32s(w)
					codes := make([]uint16, len(x))
					kernels.Float32ToFloat16(codes, x)
					for i, c := range codes {
						if c&0x7c00 == 0x7c00 {
							return nil, fmt.Errorf("quant: node %q: weight %g is beyond the range of float16", n.Name, x[i])
						}
					}
					w.Type, w.Data = format.Float16, bytesOf(codes)
					tensors[wide.Name] = wide
					out.Tensors = append(out.Tensors, wide)
					nodes = append(nodes, &format.Node{Name: n.Name + "/widen", Op: "Cast", Inputs: []string{w.Name}, Outputs: []string{wide.Name}})
					done[w.Name] = wide.Name
				}
				if wide := done[w.Name]; wide != "" {
					n.Inputs[1] = wide
				}
			}
			nodes = append(nodes, n)
		}
		g.Nodes = nodes
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("quant: the model has no Conv or Gemm with float32 weights")
	}
	return out, format.Check(out)
}

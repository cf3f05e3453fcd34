package net

import (
	"slices"

	"github.com/whet-edge/whet/format"
)

// Finish folds factors and terms that follow a linear layer, such as those of a
// batch normalization, into its weights, and drops what nothing uses.
func (n *Net) Finish() *format.Model {
	n.Scope = ""
	for pass := 0; pass < maxFolds && n.foldAffine(); pass++ {
	}
	n.prune()
	return n.Model
}

// maxFolds bounds the factors and terms that are folded into one layer.
const maxFolds = 16

// foldAffine folds each Mul and Add by constants of one number a channel into the
// Conv or Gemm before it, and reports whether it did so once.
func (n *Net) foldAffine() bool {
	tensors := make(map[string]*format.Tensor, len(n.Model.Tensors))
	for _, t := range n.Model.Tensors {
		tensors[t.Name] = t
	}
	uses, maker := map[string]int{}, map[string]*format.Node{}
	for _, node := range n.Graph.Nodes {
		for _, in := range node.Inputs {
			uses[in]++
		}
		for _, out := range node.Outputs {
			maker[out] = node
		}
	}
	for _, out := range n.Graph.Outputs {
		uses[out]++
	}
	// linear is the node that computes x, seen through reshapes that keep the
	// channels, when nothing else needs it.
	linear := func(x string, channels int) *format.Node {
		for {
			node := maker[x]
			if node == nil || uses[x] != 1 {
				return nil
			}
			if node.Op == "Conv" || node.Op == "Gemm" {
				return node
			}
			in := tensors[node.Inputs[0]]
			if s := in.Shape; node.Op != "Reshape" || len(s) == 0 || s[len(s)-1] != channels {
				return nil
			}
			x = node.Inputs[0]
		}
	}
	gone := map[*format.Node]bool{}
	renamed := map[string]string{}
	for _, node := range n.Graph.Nodes {
		if node.Op != "Mul" && node.Op != "Add" || gone[node] {
			continue
		}
		x, y := tensors[node.Inputs[0]], tensors[node.Outputs[0]]
		c := tensors[node.Inputs[1]]
		if len(x.Shape) == 0 || !c.Const() || c.Type != format.Float32 || !x.Shape.Equal(y.Shape) {
			continue
		}
		channels := x.Shape[len(x.Shape)-1]
		v := Values(c)
		if len(c.Shape) > 0 && (len(v) != channels || c.Shape[len(c.Shape)-1] != channels) || len(c.Shape) == 0 && channels == 0 {
			continue
		}
		for len(v) < channels {
			v = append(v, v[0])
		}
		p := linear(x.Name, channels)
		if p == nil {
			continue
		}
		n.scale(p, tensors, node.Op == "Mul", v)
		gone[node] = true
		renamed[x.Name] = y.Name // the result takes the later name, which may be an output's
		// A name is replaced once a pass: the next one sees the new graph.
		for _, in := range []string{x.Name, y.Name} {
			uses[in] = 2
		}
	}
	if len(gone) == 0 {
		return false
	}
	n.Graph.Nodes = slices.DeleteFunc(n.Graph.Nodes, func(node *format.Node) bool { return gone[node] })
	for _, node := range n.Graph.Nodes {
		for i, out := range node.Outputs {
			if to, ok := renamed[out]; ok {
				node.Outputs[i] = to
			}
		}
	}
	return true
}

// scale multiplies the outputs of a linear node by v, or adds v to them.
func (n *Net) scale(node *format.Node, tensors map[string]*format.Tensor, mul bool, v []float32) {
	w := tensors[node.Inputs[1]]
	bias := make([]float32, len(v))
	if len(node.Inputs) > 2 && node.Inputs[2] != "" {
		bias = Values(tensors[node.Inputs[2]])
	}
	name := w.Name
	if mul {
		values := Values(w)
		per := len(values) / len(v)
		for i := range values {
			values[i] = float32(float64(values[i]) * float64(v[i/per]))
		}
		w = n.Floats(name+"/scaled", w.Shape, values)
		tensors[w.Name] = w
	}
	for i := range bias {
		if mul {
			bias[i] *= v[i]
		} else {
			bias[i] += v[i]
		}
	}
	b := n.Floats(name+"/bias", format.Shape{len(v)}, bias)
	tensors[b.Name] = b
	node.Inputs = []string{node.Inputs[0], w.Name, b.Name}
}

// prune drops nodes whose outputs nothing needs, and tensors that no node has.
func (n *Net) prune() {
	need := map[string]bool{}
	for _, out := range n.Graph.Outputs {
		need[out] = true
	}
	for _, in := range n.Graph.Inputs {
		need[in.Tensor] = true
	}
	kept := make([]*format.Node, 0, len(n.Graph.Nodes))
	for _, node := range slices.Backward(n.Graph.Nodes) {
		if len(node.Outputs) > 0 && !slices.ContainsFunc(node.Outputs, func(s string) bool { return need[s] }) {
			continue
		}
		for i, out := range node.Outputs {
			if !need[out] && optionalOutput(node.Op) {
				node.Outputs[i] = ""
			}
			need[node.Outputs[i]] = true
		}
		for len(node.Outputs) > 1 && node.Outputs[len(node.Outputs)-1] == "" {
			node.Outputs = node.Outputs[:len(node.Outputs)-1]
		}
		for _, in := range node.Inputs {
			need[in] = true
		}
		kept = append(kept, node)
	}
	slices.Reverse(kept)
	n.Graph.Nodes = kept
	n.Model.Tensors = slices.DeleteFunc(n.Model.Tensors, func(t *format.Tensor) bool { return !need[t.Name] })
}

// optionalOutput reports whether an op may leave outputs out.
func optionalOutput(op string) bool { return op == "LSTM" || op == "GRU" || op == "RNN" }

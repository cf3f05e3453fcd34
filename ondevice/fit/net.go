package fit

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	_ "github.com/whet-edge/whet/ondevice/grad/more" // networks with states
	_ "github.com/whet-edge/whet/runtime/more"
)

// weightInputs says which inputs of an op are weights; constants behind them are
// biases, which neither decay nor count as weights for L1 and L2.
var weightInputs = map[string][]int{
	"Conv": {1}, "Gemm": {1}, "MatMul": {1}, "LSTM": {1, 2}, "GRU": {1, 2}, "LayerNormalization": nil, "RMSNormalization": nil,
}

// trained lists the float32 constants that a model's header lets be tuned: the
// weights, then the biases.
func trained(m *format.Model) (weights, biases []string) {
	tensors := map[string]*format.Tensor{}
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	for _, n := range m.Main().Nodes {
		which, layer := weightInputs[n.Op]
		if !layer || len(m.Header.Tunable) > 0 && !slices.Contains(m.Header.Tunable, n.Name) {
			continue
		}
		for i, in := range n.Inputs {
			t := tensors[in]
			if i == 0 || t == nil || !t.Const() || t.Type != format.Float32 || slices.Contains(weights, in) || slices.Contains(biases, in) {
				continue
			}
			if slices.Contains(which, i) {
				weights = append(weights, in)
			} else {
				biases = append(biases, in)
			}
		}
	}
	return weights, biases
}

// learned returns the graph that is trained: what the first output needs, without
// the Softmax or Sigmoid that is part of the loss, and with a factor behind every
// layer that has dropout. Masks are the factors' names, in the layers' order.
func learned(m *format.Model, o *Options) (g *format.Model, scores string, masks map[string]float32, err error) {
	if len(m.Graphs) != 1 || len(m.Main().Inputs) != 1 || len(m.States) > 0 {
		return nil, "", nil, fmt.Errorf("fit: only models of one graph, one input and no states can be trained here")
	}
	c := *m
	main := *m.Main()
	c.Graphs, c.Tensors = []*format.Graph{&main}, slices.Clone(m.Tensors)
	main.Nodes = nil
	for _, n := range m.Main().Nodes {
		k := *n
		k.Inputs = slices.Clone(n.Inputs)
		main.Nodes = append(main.Nodes, &k)
	}
	main.Inputs = slices.Clone(main.Inputs)
	scores = main.Outputs[0]
	folded := map[ondevice.Loss][]string{ondevice.CrossEntropy: {"Softmax", "LogSoftmax"}, ondevice.BCE: {"Sigmoid"}}
	if p := producer(&main, scores); p != nil && slices.Contains(folded[o.Loss], p.Op) {
		scores = p.Inputs[0]
	}
	masks = map[string]float32{}
	for layer, p := range o.Dropout {
		if p == 0 {
			continue
		}
		mask, err := drop(&c, layer)
		if err != nil {
			return nil, "", nil, err
		}
		masks[mask] = p
	}
	main.Outputs = []string{scores}
	main.Nodes = needed(&main)
	return &c, scores, masks, nil
}

func producer(g *format.Graph, tensor string) *format.Node {
	for _, n := range g.Nodes {
		if slices.Contains(n.Outputs, tensor) {
			return n
		}
	}
	return nil
}

// needed lists the nodes that the outputs need.
func needed(g *format.Graph) []*format.Node {
	want := map[string]bool{}
	for _, o := range g.Outputs {
		want[o] = true
	}
	var nodes []*format.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && want[o] }) {
			continue
		}
		for _, in := range n.Inputs {
			want[in] = true
		}
		nodes = append(nodes, n)
	}
	slices.Reverse(nodes)
	return nodes
}

// activationOps are what may stand between a layer and its dropout.
var activationOps = []string{"Relu", "Clip", "Sigmoid", "Tanh", "Elu", "Gelu", "LeakyRelu", "HardSwish", "Softplus"}

// drop puts a factor behind a layer and its activation, and returns its name.
func drop(m *format.Model, layer string) (mask string, err error) {
	g := m.Main()
	at := slices.IndexFunc(g.Nodes, func(n *format.Node) bool { return n.Name == layer })
	if at < 0 {
		return "", fmt.Errorf("fit: dropout behind %q: there is no such node", layer)
	}
	readers := func(name string) (list []*format.Node) {
		for _, n := range g.Nodes {
			if slices.Contains(n.Inputs, name) {
				list = append(list, n)
			}
		}
		return list
	}
	y := g.Nodes[at].Outputs[0]
	if r := readers(y); len(r) == 1 && slices.Contains(activationOps, r[0].Op) {
		at = slices.Index(g.Nodes, r[0])
		y = r[0].Outputs[0]
	}
	t := m.Tensor(y)
	if t == nil || len(readers(y)) == 0 {
		return "", fmt.Errorf("fit: dropout behind %q: nothing reads it", layer)
	}
	mask, dropped := layer+"/dropout", layer+"/dropped"
	for _, n := range readers(y) {
		for i, in := range n.Inputs {
			if in == y {
				n.Inputs[i] = dropped
			}
		}
	}
	m.Tensors = append(m.Tensors,
		&format.Tensor{Name: mask, Type: format.Float32, Shape: t.Shape},
		&format.Tensor{Name: dropped, Type: format.Float32, Shape: t.Shape})
	g.Inputs = append(g.Inputs, format.Input{Tensor: mask})
	g.Nodes = slices.Insert(g.Nodes, at+1, &format.Node{Name: dropped, Op: "Mul", Inputs: []string{y, mask}, Outputs: []string{dropped}})
	return mask, nil
}

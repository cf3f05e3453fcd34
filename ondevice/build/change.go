package build

import (
	"fmt"
	"path"
	"slices"

	"github.com/whet-edge/whet/format"
)

// copyOf returns a model whose graph and lists may be changed; tensors, nodes and
// the bytes of weights are shared.
func copyOf(m *format.Model) *format.Model {
	c := &format.Model{Header: m.Header, Symbols: m.Symbols, States: m.States, Tensors: slices.Clone(m.Tensors)}
	main := *m.Main()
	main.Nodes, main.Inputs, main.Outputs = slices.Clone(main.Nodes), slices.Clone(main.Inputs), slices.Clone(main.Outputs)
	c.Graphs = append([]*format.Graph{&main}, m.Graphs[1:]...)
	return c
}

// another takes out of a header what was said of the network as it was.
func another(h *format.Header) { h.PeakBytes, h.Metrics = 0, nil }

func find(m *format.Model, node string) (int, error) {
	i := slices.IndexFunc(m.Main().Nodes, func(n *format.Node) bool { return n.Name == node })
	if i < 0 {
		return 0, fmt.Errorf("build: there is no node %q; whet inspect lists them", node)
	}
	return i, nil
}

// Cut returns the model up to a node, whose first output becomes the model's only
// one. What that does not need is left out, and so are labels and postprocessing,
// which spoke of the old outputs.
func Cut(m *format.Model, node string) (*format.Model, error) {
	at, err := find(m, node)
	if err != nil {
		return nil, err
	}
	c := copyOf(m)
	g := c.Main()
	out := ""
	for _, o := range g.Nodes[at].Outputs {
		if o != "" {
			out = o
			break
		}
	}
	g.Outputs = []string{out}
	keep(c)
	another(&c.Header)
	c.Header.Labels, c.Header.Post = nil, nil
	if len(g.Inputs) == 0 {
		return nil, fmt.Errorf("build: node %q depends on no input", node)
	}
	return c, format.Check(c)
}

// keep leaves out nodes, inputs and tensors of the main graph that its outputs do
// not need. Nodes that write states stay.
func keep(m *format.Model) {
	g := m.Main()
	want := map[string]bool{}
	for _, o := range g.Outputs {
		want[o] = true
	}
	var nodes []*format.Node
	for _, n := range slices.Backward(g.Nodes) {
		if n.Op != "StateWrite" && !slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && want[o] }) {
			continue
		}
		nodes = append(nodes, n)
		for _, in := range n.Inputs {
			want[in] = true
		}
		for _, o := range n.Outputs {
			want[o] = true
		}
	}
	slices.Reverse(nodes)
	g.Nodes = nodes
	g.Inputs = slices.DeleteFunc(g.Inputs, func(in format.Input) bool { return !want[in.Tensor] })
	for _, sub := range m.Graphs[1:] { // bodies of nodes that stay, or not: their tensors are few
		for _, n := range sub.Nodes {
			for _, name := range slices.Concat(n.Inputs, n.Outputs) {
				want[name] = true
			}
		}
		for _, in := range sub.Inputs {
			want[in.Tensor] = true
		}
		for _, o := range sub.Outputs {
			want[o] = true
		}
	}
	m.Tensors = slices.DeleteFunc(m.Tensors, func(t *format.Tensor) bool { return !want[t.Name] })
	m.Header.Tunable = slices.DeleteFunc(slices.Clone(m.Header.Tunable), func(name string) bool {
		return !slices.ContainsFunc(g.Nodes, func(n *format.Node) bool { return n.Name == name })
	})
	m.Header.Pre = slices.DeleteFunc(slices.Clone(m.Header.Pre), func(t format.Transform) bool {
		return t.Tensor != "" && !slices.ContainsFunc(g.Inputs, func(in format.Input) bool { return in.Tensor == t.Tensor })
	})
}

// Append puts layers on the end of a model, behind its first output, in whose place
// their result comes. They compute in float32: what is quantized is made real
// before them. Labels, if given, name the classes of the new output.
func Append(m *format.Model, seed uint64, labels []string, layers ...Layer) (*format.Model, error) {
	c := copyOf(m)
	main := c.Main()
	last := c.Tensor(main.Outputs[0])
	if last == nil {
		return nil, fmt.Errorf("build: the model has no output to append to")
	}
	g := newGraph(c, last, seed)
	switch {
	case last.Type == format.Float32:
	case last.Quant != nil:
		name, err := g.name("", "real")
		if err != nil {
			return nil, err
		}
		if err := g.node(name, "DequantizeLinear", nil, 0); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("build: output %q is %v: layers can follow float32 and quantized values", last.Name, last.Type)
	}
	if err := g.add(layers); err != nil {
		return nil, err
	}
	if len(labels) > 0 && len(labels) != g.last.Shape.Elems() {
		return nil, fmt.Errorf("build: %d labels for an output of %v", len(labels), g.last.Shape)
	}
	main.Outputs[0] = g.last.Name
	another(&c.Header)
	c.Header.Labels, c.Header.Post = labels, nil
	if len(c.Header.Tunable) > 0 { // new layers may be tuned
		for _, n := range main.Nodes[len(m.Main().Nodes):] {
			if layerOp(n.Op) {
				c.Header.Tunable = append(slices.Clone(c.Header.Tunable), n.Name)
			}
		}
	}
	return c, format.Check(c)
}

// Activation puts another activation in the place of a node that is one; "linear"
// takes it away. It is for float32 networks: in a quantized one activations are
// part of the layers' ranges.
func Activation(m *format.Model, node, kind string) (*format.Model, error) {
	at, err := find(m, node)
	if err != nil {
		return nil, err
	}
	c := copyOf(m)
	g := c.Main()
	n := *g.Nodes[at]
	isOne := n.Op == "Clip"
	for _, a := range activations {
		isOne = isOne || n.Op == a.op
	}
	if !isOne || len(n.Inputs) != 1 {
		return nil, fmt.Errorf("build: node %q is a %s, not an activation", node, n.Op)
	}
	if t := c.Tensor(n.Inputs[0]); t.Type != format.Float32 {
		return nil, fmt.Errorf("build: node %q computes in %v: change the float network and quantize it again", node, t.Type)
	}
	another(&c.Header)
	if kind == "linear" {
		return remove(c, at)
	}
	a, ok := activations[kind]
	if !ok {
		return nil, unknownActivation(node, kind)
	}
	n.Op, n.Attrs = a.op, a.attrs
	g.Nodes[at] = &n
	return c, format.Check(c)
}

// remove takes out a node of one input and one output.
func remove(c *format.Model, at int) (*format.Model, error) {
	g := c.Main()
	from, to := g.Nodes[at].Outputs[0], g.Nodes[at].Inputs[0]
	g.Nodes = slices.Delete(g.Nodes, at, at+1)
	for i, n := range g.Nodes {
		if slices.Contains(n.Inputs, from) {
			k := *n
			k.Inputs = slices.Clone(n.Inputs)
			for j, in := range k.Inputs {
				if in == from {
					k.Inputs[j] = to
				}
			}
			g.Nodes[i] = &k
		}
	}
	for i, o := range g.Outputs {
		if o == from {
			g.Outputs[i] = to
		}
	}
	keep(c)
	return c, format.Check(c)
}

// layerOp reports whether an op has weights.
func layerOp(op string) bool {
	return slices.Contains([]string{"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "QLSTM", "GRU"}, op)
}

// Layers lists the nodes of the main graph that have constant weights.
func Layers(m *format.Model) (names []string) {
	constant := map[string]bool{}
	for _, t := range m.Tensors {
		constant[t.Name] = t.Const()
	}
	for _, n := range m.Main().Nodes {
		if layerOp(n.Op) && slices.ContainsFunc(n.Inputs, func(in string) bool { return constant[in] }) {
			names = append(names, n.Name)
		}
	}
	return names
}

// Freeze takes layers whose names match a pattern of package path off the list of
// those that may be tuned. Tuning a model of which all layers are frozen makes no
// sense and is refused, and so is a pattern that fits nothing.
func Freeze(m *format.Model, patterns ...string) (*format.Model, error) {
	return tunable(m, patterns, false)
}

// Unfreeze puts layers on that list again.
func Unfreeze(m *format.Model, patterns ...string) (*format.Model, error) {
	return tunable(m, patterns, true)
}

func tunable(m *format.Model, patterns []string, may bool) (*format.Model, error) {
	all := Layers(m)
	on := map[string]bool{}
	for _, l := range all {
		on[l] = len(m.Header.Tunable) == 0 || slices.Contains(m.Header.Tunable, l)
	}
	for _, p := range patterns {
		fits := false
		for _, l := range all {
			ok, err := path.Match(p, l)
			if err != nil {
				return nil, fmt.Errorf("build: pattern %q: %w", p, err)
			}
			if ok || p == l {
				fits, on[l] = true, may
			}
		}
		if !fits {
			return nil, fmt.Errorf("build: no layer is called %q; the layers are %q", p, all)
		}
	}
	c := copyOf(m)
	c.Header.Tunable = nil
	for _, l := range all {
		if on[l] {
			c.Header.Tunable = append(c.Header.Tunable, l)
		}
	}
	switch len(c.Header.Tunable) {
	case 0:
		return nil, fmt.Errorf("build: no layer would be left to tune")
	case len(all):
		c.Header.Tunable = nil
	}
	return c, format.Check(c)
}

// Package build is what all importers share: a builder of models that keeps
// names unique, and the error for what cannot be converted.
package build

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
)

// An UnsupportedError lists everything in a file that has no counterpart in
// whet, not just the first thing met.
type UnsupportedError struct {
	File string
	Ops  []UnsupportedOp
	Note string // what else may be the cause, "" if nothing
}

// An UnsupportedOp is one node that cannot be converted.
type UnsupportedOp struct {
	Op     string // as the source format calls it
	Node   int    // its index in the source's graph
	Output string // name of its first output
	Reason string
}

// Error names each node, and the mend.
func (e *UnsupportedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of its operators cannot be converted", e.File, len(e.Ops))
	for _, o := range e.Ops {
		fmt.Fprintf(&b, "\n  node %d %s, output %q: %s", o.Node, o.Op, o.Output, o.Reason)
	}
	if e.Note != "" {
		b.WriteString("\n" + e.Note)
	}
	b.WriteString("\nReplace them in the source model; whet-convert --list-ops shows what can be converted.")
	return b.String()
}

// A Builder fills a model with one graph.
type Builder struct {
	Model *format.Model
	Graph *format.Graph

	tensors, nodes, states names
}

// New returns a builder of an empty model.
func New(graph string) *Builder {
	g := &format.Graph{Name: graph}
	return &Builder{
		Model:   &format.Model{Graphs: []*format.Graph{g}},
		Graph:   g,
		tensors: names{},
		nodes:   names{},
		states:  names{},
	}
}

// AddGraph adds a graph that nodes call, under a name of its own. Nodes go to b.Graph,
// so that is to be set while the graph is filled.
func (b *Builder) AddGraph(want string) *format.Graph {
	taken := names{}
	for _, g := range b.Model.Graphs {
		taken[g.Name] = 1
	}
	g := &format.Graph{Name: taken.unique(want)}
	b.Model.Graphs = append(b.Model.Graphs, g)
	return g
}

// names are those taken, each with the number to try next behind it.
type names map[string]int

// unique returns want, or want with a number behind it if it is taken, and
// takes it.
func (n names) unique(want string) string {
	s := want
	for n[s] != 0 {
		s = want + "." + strconv.Itoa(n[want])
		n[want]++
	}
	n[s] = 1
	return s
}

// Name reserves a name for a tensor.
func (b *Builder) Name(want string) string { return b.tensors.unique(want) }

// Tensor adds a tensor under a name that [Builder.Name] gave.
func (b *Builder) Tensor(t *format.Tensor) string {
	b.Model.Tensors = append(b.Model.Tensors, t)
	return t.Name
}

// New adds a tensor under a name of its own and returns that name.
func (b *Builder) New(want string, typ format.DType, shape format.Shape, q *format.Quant) string {
	return b.Tensor(&format.Tensor{Name: b.Name(want), Type: typ, Shape: shape, Quant: q})
}

// Const adds a constant under a name of its own and returns that name.
func (b *Builder) Const(want string, typ format.DType, shape format.Shape, q *format.Quant, data []byte) string {
	return b.Tensor(&format.Tensor{Name: b.Name(want), Type: typ, Shape: shape, Quant: q, Data: data})
}

// State adds a state variable under a name of its own and returns that name.
func (b *Builder) State(s *format.State) string {
	s.Name = b.states.unique(s.Name)
	b.Model.States = append(b.Model.States, s)
	return s.Name
}

// Node adds a node. It is called after its first output that is used, or after
// want if it has none.
func (b *Builder) Node(want, op string, inputs, outputs []string, attrs format.Attrs) {
	if i := slices.IndexFunc(outputs, func(s string) bool { return s != "" }); i >= 0 {
		want = outputs[i]
	}
	b.Graph.Nodes = append(b.Graph.Nodes, &format.Node{
		Name: b.nodes.unique(want), Op: op, Inputs: inputs, Outputs: outputs, Attrs: attrs,
	})
}

// Ints makes an integer list attribute.
func Ints[T ~int | ~int32 | ~int64](v ...T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

package build

import (
	"slices"

	"github.com/whet-edge/whet/format"
)

// A Trace says what became of the nodes of a source, in their order. Nothing is kept in a
// nil one.
type Trace struct{ Nodes []Traced }

// A Traced is one node or layer of a source.
type Traced struct {
	Op, Name string   // as the source calls them
	Made     []string // the nodes of the model that stand for it, by name; none if it was folded or merged
}

// Add adds a node of the source and the nodes that were made for it.
func (t *Trace) Add(op, name string, made []*format.Node) {
	if t == nil {
		return
	}
	n := Traced{Op: op, Name: name}
	for _, m := range made {
		n.Made = append(n.Made, m.Name)
	}
	t.Nodes = append(t.Nodes, n)
}

// Keep forgets nodes that are not in the model.
func (t *Trace) Keep(m *format.Model) {
	if t == nil {
		return
	}
	there := map[string]bool{}
	for _, g := range m.Graphs {
		for _, n := range g.Nodes {
			there[n.Name] = true
		}
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		n.Made = slices.DeleteFunc(n.Made, func(name string) bool { return !there[name] })
	}
}

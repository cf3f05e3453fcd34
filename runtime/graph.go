package runtime

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A value is a tensor of the lowered graph. Inside a program uint8 tensors
// with a quantization are held as int8 with the zero point moved by -128, so
// kernels know one 8-bit type; flips at the edges keep the model's own type.
type value struct {
	name  string
	typ   format.DType
	shape format.Shape
	quant *format.Quant
	data  []byte // constant
	later *step  // constant that this computes, for who packs it
	alias *value // shares the memory of that value (a reshape)

	unsigned bool // int8 that stands for the model's uint8

	size   int // bytes
	offset int // in the arena
	uses   int // by nodes and outputs
	trim   *trim
}

func (v *value) elems() int    { return v.shape.Elems() }
func (v *value) isConst() bool { return v.root().data != nil || v.later != nil }

// root is the value whose memory v lives in.
func (v *value) root() *value {
	for v.alias != nil {
		v = v.alias
	}
	return v
}

// scale and zero are those of a per-tensor quantization (1 and 0 without one).
func (v *value) scale() float32 {
	if v.quant == nil {
		return 1
	}
	return v.quant.Scale[0]
}
func (v *value) zero() int32 { return v.quant.ZeroPoint() }

// A node of the lowered graph. in holds nil for absent optional inputs.
type node struct {
	name, op string
	in, out  []*value
	attrs    format.Attrs
	fused    string  // what was fused into it, for people
	lo, hi   float64 // clamp of the real output, from fused activations
	clamp    bool
	state    *stateVar
	root     *graph          // the program's, of a node that calls graphs
	sum      *node           // the Add that a convolution does with its result, see [graph.fuseSums]
	table    *kernels.Table8 // set by [graph.tabulate]: all that the node does
}

func (n *node) errf(f string, a ...any) error {
	return &UnsupportedError{Node: n.name, Op: n.op, Reason: fmt.Sprintf(f, a...)}
}

// stateVar is a state variable; a session holds its value in states[index].
type stateVar struct {
	name  string
	index int
	init  []byte
}

type graph struct {
	level   kernels.Level
	threads int // that may bind
	nodes   []*node
	inputs  []*value
	outputs []*value
	states  []*stateVar

	model  *format.Model
	bodies []*body // graphs that nodes call, in order of their index
}

// lower turns a graph into values and nodes with the internal types, and drops
// what the outputs do not need.
func lower(m *format.Model, of *format.Graph, outputs []string) (*graph, error) {
	g := &graph{model: m}
	vals := make(map[string]*value, len(m.Tensors))
	flips := map[string]*value{} // external uint8 values by name
	var err error
	get := func(name string) *value {
		if name == "" {
			return nil
		}
		v := vals[name]
		if v == nil {
			err = fmt.Errorf("runtime: the graph has no tensor %q", name)
		}
		return v
	}
	for _, t := range m.Tensors {
		if !t.Shape.Static() {
			return nil, fmt.Errorf("runtime: tensor %q has a symbolic dimension: give the converter a fixed size", t.Name)
		}
		v := &value{name: t.Name, typ: t.Type, shape: t.Shape, quant: t.Quant, data: t.Data, size: t.Type.Bytes(t.Shape.Elems())}
		if t.Type == format.Uint8 && t.Quant != nil {
			v.typ, v.quant, v.unsigned = format.Int8, shiftZero(t.Quant), true
			if t.Const() {
				v.data = flipped(t.Data)
			}
		}
		v.data = aligned(v.data, v.typ)
		vals[t.Name] = v
	}
	for i, s := range m.States {
		sv := &stateVar{name: s.Name, index: i, init: stateInit(s)}
		g.states = append(g.states, sv)
	}
	// The edge of the main graph keeps the model's types: a flip step sits between
	// a uint8 input or output and its internal value.
	main := of == m.Main()
	edge := func(v *value, t *format.Tensor) *value {
		e := &value{name: t.Name, typ: t.Type, shape: t.Shape, quant: t.Quant, size: v.size}
		flips[t.Name] = e
		return e
	}
	for _, in := range of.Inputs {
		v := get(in.Tensor)
		if v == nil {
			return nil, err
		}
		t := m.Tensor(in.Tensor)
		if main && v.typ != t.Type {
			e := edge(v, t)
			g.nodes = append(g.nodes, &node{name: t.Name, op: opFlip, in: []*value{e}, out: []*value{v}})
			v = e
		}
		g.inputs = append(g.inputs, v)
	}
	for _, n := range of.Nodes {
		r := &node{name: n.Name, op: n.Op, attrs: n.Attrs, root: g}
		for _, s := range n.Inputs {
			r.in = append(r.in, get(s))
		}
		for _, s := range n.Outputs {
			r.out = append(r.out, get(s))
		}
		if s := n.Attrs.Str("state", ""); s != "" {
			i := slices.IndexFunc(g.states, func(v *stateVar) bool { return v.name == s })
			if i < 0 {
				return nil, r.errf("the model has no state %q", s)
			}
			r.state = g.states[i]
		}
		g.nodes = append(g.nodes, r)
	}
	if err != nil {
		return nil, err
	}
	names := of.Outputs
	if outputs != nil {
		names = outputs
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("runtime: the graph has no outputs")
	}
	for _, name := range names {
		v := get(name)
		if v == nil {
			return nil, fmt.Errorf("runtime: the model has no tensor %q to return", name)
		}
		t := m.Tensor(name)
		switch {
		case !main:
		case v.typ != t.Type && flips[name] != nil: // an input returned as it is
			v = flips[name]
		case v.typ != t.Type:
			e := edge(v, t)
			g.nodes = append(g.nodes, &node{name: t.Name, op: opFlip, in: []*value{v}, out: []*value{e}})
			v = e
		}
		g.outputs = append(g.outputs, v)
	}
	g.prune()
	return g, nil
}

// prune drops the nodes that neither an output nor a state that is read needs,
// and counts the uses of every value.
func (g *graph) prune() {
	need := map[*value]bool{}
	states := map[*stateVar]bool{}
	keep := make([]bool, len(g.nodes))
	for _, v := range g.outputs {
		need[v] = true
	}
	for again := true; again; {
		again = false
		for i := len(g.nodes) - 1; i >= 0; i-- {
			n := g.nodes[i]
			wanted := n.op == "StateWrite" && states[n.state]
			for _, v := range n.out {
				wanted = wanted || v != nil && need[v]
			}
			if !wanted || keep[i] {
				continue
			}
			keep[i] = true
			for _, v := range n.in {
				if v != nil {
					need[v] = true
				}
			}
			if n.op == "StateRead" && !states[n.state] {
				states[n.state] = true
				again = true
			}
		}
	}
	var nodes []*node
	for i, n := range g.nodes {
		if keep[i] {
			nodes = append(nodes, n)
		}
	}
	g.nodes = nodes
	g.count()
}

func (g *graph) count() {
	for _, n := range g.nodes {
		for _, v := range n.in {
			if v != nil {
				v.uses = 0
			}
		}
		for _, v := range n.out {
			if v != nil {
				v.uses = 0
			}
		}
	}
	for _, n := range g.nodes {
		for _, v := range n.in {
			if v != nil {
				v.uses++
			}
		}
	}
	for _, v := range g.outputs {
		v.uses++
	}
}

// stateInit returns the bytes that a state starts from.
func stateInit(s *format.State) []byte {
	b := make([]byte, s.Type.Bytes(s.Shape.Elems()))
	if s.Init != nil {
		copy(b, s.Init)
	} else if z := s.Quant.ZeroPoint(); z != 0 {
		w := s.Type.Bits() / 8
		for i := 0; i+w <= len(b); i += w {
			for k := range w {
				b[i+k] = byte(z >> (8 * k))
			}
		}
	}
	if s.Type == format.Uint8 && s.Quant != nil {
		flip(b, b)
	}
	return b
}

func shiftZero(q *format.Quant) *format.Quant {
	r := *q
	r.Zero = make([]int32, len(q.Scale))
	for i := range r.Zero {
		r.Zero[i] = -128
		if i < len(q.Zero) {
			r.Zero[i] = q.Zero[i] - 128
		}
	}
	return &r
}

func flipped(b []byte) []byte {
	r := make([]byte, len(b))
	flip(r, b)
	return r
}

// flip turns uint8 codes to int8 ones and back, once and for all.
func flip(dst, src []byte) { kernels.FlipSigns(kernels.Generic, dst, src) }

// aligned returns b, or a copy of it, at an address that its element type may
// have: a model embedded in a program can lie anywhere.
func aligned(b []byte, t format.DType) []byte {
	w := uintptr(t.Bits() / 8)
	if len(b) == 0 || w < 2 || uintptr(unsafe.Pointer(&b[0]))%w == 0 {
		return b
	}
	r := make([]byte, len(b)+7)
	i := int(-uintptr(unsafe.Pointer(&r[0])) & (w - 1))
	r = r[i : i+len(b)]
	copy(r, b)
	return r
}

package build

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A graph is a model that layers are put on the end of.
type graph struct {
	m     *format.Model
	last  *format.Tensor // the end
	r     *rand.Rand
	names map[string]bool // of tensors and nodes
}

func newGraph(m *format.Model, last *format.Tensor, seed uint64) *graph {
	g := &graph{m: m, last: last, r: rand.New(rand.NewPCG(seed, 0x6275_696c_64)), names: map[string]bool{}}
	for _, t := range m.Tensors {
		g.names[t.Name] = true
	}
	for _, sub := range m.Graphs {
		for _, n := range sub.Nodes {
			g.names[n.Name] = true
		}
	}
	return g
}

// name returns a name that nothing has yet: the wanted one, or kind and a number.
func (g *graph) name(wanted, kind string) (string, error) {
	if wanted != "" {
		if g.names[wanted] {
			return "", fmt.Errorf("build: layer %q: there is one of this name", wanted)
		}
		g.names[wanted] = true
		return wanted, nil
	}
	for i := 1; ; i++ {
		if n := fmt.Sprintf("%s%d", kind, i); !g.names[n] {
			g.names[n] = true
			return n, nil
		}
	}
}

// weights adds a float32 constant.
func (g *graph) weights(name string, v []float32, shape ...int) *format.Tensor {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	t := &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: b}
	g.m.Tensors = append(g.m.Tensors, t)
	g.names[name] = true
	return t
}

// node puts an op on the end. The end becomes its output of that index; those
// before are absent.
func (g *graph) node(name, op string, attrs format.Attrs, output int, more ...*format.Tensor) error {
	in := append([]*format.Tensor{g.last}, more...)
	shapes, err := format.Infer(op, attrs, in)
	if err != nil {
		return fmt.Errorf("build: layer %q on %v: %w", name, g.last.Shape, err)
	}
	n := &format.Node{Name: name, Op: op, Attrs: attrs}
	for _, x := range in {
		n.Inputs = append(n.Inputs, x.Name)
	}
	n.Outputs = append(make([]string, output), name+"/out")
	g.last = &format.Tensor{Name: name + "/out", Type: format.Float32, Shape: shapes[output]}
	g.m.Tensors = append(g.m.Tensors, g.last)
	g.names[name], g.names[g.last.Name] = true, true
	main := g.m.Main()
	main.Nodes = append(main.Nodes, n)
	return nil
}

// reshape changes the end's shape.
func (g *graph) reshape(name string, shape ...int) error {
	to := make([]int64, len(shape))
	for i, d := range shape {
		to[i] = int64(d)
	}
	return g.node(name, "Reshape", format.Attrs{"shape": to}, 0)
}

// activations are the functions by name, as ops and their attributes.
var activations = map[string]struct {
	op    string
	attrs format.Attrs
}{
	"relu": {"Relu", nil}, "relu6": {"Clip", format.Attrs{"min": 0.0, "max": 6.0}}, "sigmoid": {"Sigmoid", nil}, "tanh": {"Tanh", nil},
	"softmax": {"Softmax", format.Attrs{"axis": int64(-1)}}, "elu": {"Elu", nil}, "gelu": {"Gelu", nil},
	"leakyrelu": {"LeakyRelu", nil}, "hardswish": {"HardSwish", nil}, "softplus": {"Softplus", nil},
}

// activate puts an activation on the end; "" and "linear" are none.
func (g *graph) activate(layer, kind string) error {
	if kind == "" || kind == "linear" {
		return nil
	}
	a, ok := activations[kind]
	if !ok {
		return unknownActivation(layer, kind)
	}
	return g.node(layer+"/"+kind, a.op, a.attrs, 0)
}

func unknownActivation(layer, kind string) error {
	var known []string
	for k := range activations {
		known = append(known, k)
	}
	slices.Sort(known)
	return fmt.Errorf("build: layer %q: no activation is called %q; %v are known", layer, kind, known)
}

// add puts layers on the end.
func (g *graph) add(layers []Layer) error {
	for _, l := range layers {
		if !slices.ContainsFunc(g.last.Shape, func(d int) bool { return d <= 0 }) {
			if err := l.add(g); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("build: %q has the shape %v: layers need known sizes", g.last.Name, g.last.Shape)
	}
	return nil
}

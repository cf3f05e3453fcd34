package ondevice

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// linear reports whether a layer is a matrix at every position.
func linear(m *format.Model, n *format.Node) bool {
	w := m.Tensor(n.Inputs[1])
	return n.Op == "Gemm" || len(w.Shape) == 4 && w.Shape[1]*w.Shape[2] == 1 && n.Attrs.Int("group", 1) == 1
}

// The names of what an adapter of a layer adds: of nodes, and of their weights.
func adapterDown(layer string) string { return layer + "/lora/a" }
func adapterUp(layer string) string   { return layer + "/lora/b" }

// adapter returns a layer with its adapter: y = W x + b + B A x with A [rank, in] drawn
// from N(0, 1/in) and B [out, rank] zeros, so that at first nothing is changed.
func (tl *tail) adapter(m *format.Model, n *format.Node, draw *rng) ([]*format.Node, []*format.Tensor) {
	w, y := m.Tensor(n.Inputs[1]), m.Tensor(n.Outputs[0])
	down, up := adapterDown(n.Name), adapterUp(n.Name)
	value := func(name string, shape format.Shape) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	}
	weights := func(name string, out, in int) *format.Tensor {
		shape := format.Shape{out, in}
		if n.Op == "Conv" {
			shape = format.Shape{out, 1, 1, in}
		}
		return value(name, shape)
	}
	in := w.Shape[1:].Elems()
	a, b := weights(down, tl.rank, in), weights(up, w.Shape[0], tl.rank)
	v := make([]float32, tl.rank*in)
	for i := range v {
		v[i] = draw.normal() / kernels.Sqrt(float32(in))
	}
	a.Data, b.Data = floatBytes(v), make([]byte, 4*b.Shape.Elems())
	narrow := slices.Clone(y.Shape)
	narrow[len(narrow)-1] = tl.rank
	base, low, high := value(n.Name+"/lora/y", y.Shape), value(down+"/y", narrow), value(up+"/y", y.Shape)
	layer := *n
	layer.Outputs = []string{base.Name}
	still := format.Attrs{}
	if n.Op == "Gemm" {
		still["transB"] = int64(1)
	}
	return []*format.Node{
		&layer,
		{Name: down, Op: n.Op, Attrs: n.Attrs, Inputs: []string{n.Inputs[0], a.Name}, Outputs: []string{low.Name}},
		{Name: up, Op: n.Op, Attrs: still, Inputs: []string{low.Name, b.Name}, Outputs: []string{high.Name}},
		{Name: n.Name + "/lora", Op: "Add", Inputs: []string{base.Name, high.Name}, Outputs: n.Outputs},
	}, []*format.Tensor{base, a, low, b, high}
}

// merged adds to the values of adapters the weights that they make, W + B A, by name.
func (tl *tail) merged(float *format.Model, values map[string][]float32) map[string][]float32 {
	for _, l := range tl.layers {
		a, b := values[adapterDown(l.Name)], values[adapterUp(l.Name)]
		if a == nil {
			continue
		}
		name := nodeNamed(float, l.Name).Inputs[1]
		w, in := floatsOf(float.Tensor(name)), len(a)/tl.rank
		for o := range len(w) / in {
			for k := range in {
				var sum float32
				for j := range tl.rank {
					sum = kernels.FMA(b[o*tl.rank+j], a[j*in+k], sum)
				}
				w[o*in+k] += sum
			}
		}
		values[name] = w
	}
	return values
}

// beside returns the float form of a model with the weights that adapters stand beside
// as the base has them, made real when the model is compiled: its delta holds the
// adapters and not the weights again.
func (tl *tail) beside(base, float *format.Model) *format.Model {
	out, g := *float, *float.Main()
	out.Graphs = append([]*format.Graph{&g}, float.Graphs[1:]...)
	out.Tensors = append([]*format.Tensor(nil), float.Tensors...)
	g.Nodes = append([]*format.Node(nil), float.Main().Nodes...)
	index := map[string]int{}
	for i, t := range out.Tensors {
		index[t.Name] = i
	}
	var made []*format.Node
	for i, n := range g.Nodes {
		l := nodeNamed(base, n.Name)
		if l == nil || !tl.part[n.Name] || !slices.Contains(layerOps, n.Op) {
			continue
		}
		w, f := base.Tensor(l.Inputs[1]), float.Tensor(n.Inputs[1])
		if w == nil || f == nil || w.Type == format.Float32 || w.Quant == nil {
			continue
		}
		real := &format.Tensor{Name: fmt.Sprint(w.Name, "/real"), Type: format.Float32, Shape: w.Shape}
		out.Tensors[index[f.Name]] = w
		out.Tensors = append(out.Tensors, real)
		node := *n
		node.Inputs = append([]string(nil), n.Inputs...)
		node.Inputs[1] = real.Name
		g.Nodes[i] = &node
		made = append(made, &format.Node{Name: real.Name, Op: "DequantizeLinear", Inputs: []string{w.Name}, Outputs: []string{real.Name}})
	}
	g.Nodes = append(made, g.Nodes...)
	return &out
}

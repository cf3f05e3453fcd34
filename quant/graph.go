package quant

import (
	"unsafe"

	"github.com/whet-edge/whet/format"
)

// clone copies what quantization changes: tensors, graphs and nodes. The
// constants' bytes are shared with the original.
func clone(m *format.Model) *format.Model {
	c := &format.Model{Header: m.Header, Symbols: m.Symbols, States: m.States}
	for _, t := range m.Tensors {
		u := *t
		c.Tensors = append(c.Tensors, &u)
	}
	for _, g := range m.Graphs {
		h := &format.Graph{Name: g.Name, Inputs: append([]format.Input(nil), g.Inputs...), Outputs: append([]string(nil), g.Outputs...)}
		for _, n := range g.Nodes {
			u := *n
			u.Inputs = append([]string(nil), n.Inputs...)
			u.Outputs = append([]string(nil), n.Outputs...)
			h.Nodes = append(h.Nodes, &u)
		}
		c.Graphs = append(c.Graphs, h)
	}
	return c
}

func byName(m *format.Model) map[string]*format.Tensor {
	t := make(map[string]*format.Tensor, len(m.Tensors))
	for _, x := range m.Tensors {
		t[x.Name] = x
	}
	return t
}

// float32s returns a constant's elements, copied so that they are aligned.
func float32s(t *format.Tensor) []float32 {
	x := make([]float32, len(t.Data)/4)
	copy(bytesOf(x), t.Data)
	return x
}

// bytesOf returns the memory of a slice of plain numbers, little-endian as all
// targets are.
func bytesOf[T int8 | int16 | uint16 | int32 | int64 | float32](x []T) []byte {
	if len(x) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

// users counts the nodes and graph outputs that read each tensor.
func users(g *format.Graph) map[string]int {
	u := map[string]int{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			u[in]++
		}
	}
	for _, o := range g.Outputs {
		u[o]++
	}
	return u
}

// producers maps a tensor to the node that computes it.
func producers(g *format.Graph) map[string]*format.Node {
	p := map[string]*format.Node{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			p[o] = n
		}
	}
	return p
}

// linear reports whether the node multiplies by constant weights.
func linear(n *format.Node) bool { return n.Op == "Conv" || n.Op == "Gemm" }

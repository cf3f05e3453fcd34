package quant

import (
	"fmt"
	"unsafe"

	"github.com/whet-edge/whet/format"
)

// Dynamic returns a copy of the model in which the float32 weights of every
// Conv and Gemm are int8. Activations stay float32 and are quantized at run
// time, so no calibration data is needed; depthwise convolutions compute in
// float. Constants that are shared with another kind of node stay as they are.
func Dynamic(m *format.Model) (*format.Model, error) {
	out := clone(m)
	tensors := byName(out)
	users := map[string]int{}
	for _, g := range out.Graphs {
		for _, n := range g.Nodes {
			for _, in := range n.Inputs {
				users[in]++
			}
		}
	}
	done := 0
	for _, g := range out.Graphs {
		for _, n := range g.Nodes {
			if !linear(n) {
				continue
			}
			w := tensors[n.Inputs[1]]
			if w.Type != format.Float32 || !w.Const() || users[w.Name] != 1 {
				continue
			}
			quantizeWeights(w)
			done++
		}
	}
	if done == 0 {
		return nil, fmt.Errorf("quant: the model has no Conv or Gemm with float32 weights of its own")
	}
	return out, format.Check(out)
}

func linear(n *format.Node) bool { return n.Op == "Conv" || n.Op == "Gemm" }

func quantizeWeights(w *format.Tensor) {
	codes, q := Weights(float32s(w), w.Shape)
	w.Type, w.Quant, w.Data = format.Int8, q, bytesOf(codes)
}

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
func bytesOf[T int8 | uint16 | int32 | float32](x []T) []byte {
	if len(x) == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
)

// upset returns a model that computes the same with channels of very different
// sizes: channel c of each activation between two convolutions is multiplied by
// 2^(5c mod 9) in the first one's weights and divided by it in the second one's.
// Training leaves such networks behind where batch norms were folded into
// depthwise layers; one scale a tensor cannot hold them.
func upset(m *format.Model) (*format.Model, error) {
	tensors := map[string]*format.Tensor{}
	out := &format.Model{Header: m.Header, Graphs: m.Graphs}
	for _, t := range m.Tensors {
		u := *t
		tensors[t.Name] = &u
		out.Tensors = append(out.Tensors, &u)
	}
	scale := func(name string, by func(i int) float32) {
		t := tensors[name]
		b := make([]byte, len(t.Data))
		for i := range len(b) / 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v*by(i)))
		}
		t.Data = b
	}
	factor := func(c int) float32 { return float32(int(1) << (5 * c % 9)) }
	nodes, pairs := m.Main().Nodes, 0
	for i := 2; i < len(nodes); i++ {
		a, b := nodes[i-2], nodes[i]
		if a.Op != "Conv" || nodes[i-1].Op != "Relu" || b.Op != "Conv" || b.Inputs[0] != nodes[i-1].Outputs[0] {
			continue
		}
		w, v := tensors[a.Inputs[1]], tensors[b.Inputs[1]]
		per := w.Shape.Elems() / w.Shape[0]
		scale(w.Name, func(i int) float32 { return factor(i / per) })
		scale(a.Inputs[2], factor)
		inner := v.Shape[3]
		if inner == 1 { // depthwise
			per := v.Shape.Elems() / v.Shape[0]
			scale(v.Name, func(i int) float32 { return 1 / factor(i/per) })
		} else {
			scale(v.Name, func(i int) float32 { return 1 / factor(i%inner) })
		}
		pairs++
	}
	if pairs == 0 {
		return nil, fmt.Errorf("no pair of convolutions with a Relu between")
	}
	return out, format.Check(out)
}

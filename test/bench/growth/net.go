package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/whet-edge/whet/format"
)

// A net builds a chain of int8 layers.
type net struct {
	m    *format.Model
	g    *format.Graph
	rng  *rand.Rand
	last *format.Tensor
}

// mobileNet returns MobileNetV1 at a width, for a batch of square pictures.
func mobileNet(batch, size int, width float64) *net {
	n := &net{m: &format.Model{Header: format.Header{Opset: format.Opset}}, g: &format.Graph{Name: "main"}, rng: rand.New(rand.NewPCG(1, 2))}
	n.m.Graphs = []*format.Graph{n.g}
	n.last = n.tensor("input", format.Int8, format.PerTensor(1./128, 0), batch, size, size, 3)
	n.g.Inputs = []format.Input{{Tensor: n.last.Name}}
	channels := func(c int) int { return max(8, int(float64(c)*width)/8*8) }
	n.conv(channels(32), 3, 2, false)
	for _, l := range []struct{ channels, stride int }{{64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2},
		{512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}} {
		n.conv(0, 3, l.stride, true)
		n.conv(channels(l.channels), 1, 1, false)
	}
	s := n.last.Shape
	n.node("AveragePool", format.Attrs{"kernel_shape": []int64{int64(s[1]), int64(s[2])}}, n.last.Quant, batch, 1, 1, s[3])
	n.conv(1000, 1, 1, false)
	n.g.Outputs = []string{n.last.Name}
	return n
}

func (n *net) model() *format.Model { return n.m }

func (n *net) tensor(name string, t format.DType, q *format.Quant, shape ...int) *format.Tensor {
	x := &format.Tensor{Name: name, Type: t, Shape: shape, Quant: q}
	n.m.Tensors = append(n.m.Tensors, x)
	return x
}

// node adds an op on the last tensor and weights.
func (n *net) node(op string, attrs format.Attrs, q *format.Quant, shape ...int) *format.Node {
	name := fmt.Sprint(op, len(n.g.Nodes))
	d := &format.Node{Name: name, Op: op, Attrs: attrs, Inputs: []string{n.last.Name}, Outputs: []string{name}}
	n.g.Nodes = append(n.g.Nodes, d)
	n.last = n.tensor(name, format.Int8, q, shape...)
	return d
}

// conv adds a convolution padded to keep the size at stride 1, with a Relu.
func (n *net) conv(out, kernel, stride int, depthwise bool) {
	x := n.last.Shape
	attrs := format.Attrs{"strides": []int64{int64(stride), int64(stride)}}
	pad := int64(kernel / 2)
	attrs["pads"] = []int64{pad, pad, pad, pad}
	in := x[3]
	if depthwise {
		out, in = x[3], 1
		attrs["group"] = int64(out)
	}
	size := func(i int) int { return (x[i]+2*int(pad)-kernel)/stride + 1 }
	d := n.node("Conv", attrs, format.PerTensor(1./64, -100), x[0], size(1), size(2), out)
	w := n.tensor(d.Name+" weights", format.Int8, format.PerTensor(1./512, 0), out, kernel, kernel, in)
	w.Data = make([]byte, w.Shape.Elems())
	for i := range w.Data {
		w.Data[i] = byte(n.rng.IntN(255) - 127)
	}
	d.Inputs = append(d.Inputs, w.Name)
	n.node("Relu", nil, n.last.Quant, n.last.Shape...)
}

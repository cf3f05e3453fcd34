package quant

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// Sample is one set of float32 inputs in the order of the model's inputs.
type Sample [][]float32

// Ranges is the least and the greatest value that each activation took.
type Ranges map[string][2]float32

// Observe runs the float model on the samples and returns the ranges of all
// float32 activations of the main graph. It fails on a sample of the wrong
// size and when there is no sample.
func Observe(ctx context.Context, m *format.Model, samples iter.Seq2[Sample, error]) (Ranges, error) {
	var names []string
	tensors := byName(m)
	for _, in := range m.Main().Inputs {
		names = append(names, in.Tensor)
	}
	for _, n := range m.Main().Nodes {
		for _, out := range n.Outputs {
			if out != "" && tensors[out].Type == format.Float32 {
				names = append(names, out)
			}
		}
	}
	p, err := runtime.Compile(m, runtime.WithOutputs(names...))
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	r := Ranges{}
	n := 0
	for sample, err := range samples {
		if err != nil {
			return nil, err
		}
		if len(sample) != len(p.Inputs()) {
			return nil, fmt.Errorf("quant: sample %d has %d inputs, the model %d", n, len(sample), len(p.Inputs()))
		}
		for i, x := range sample {
			if err := s.Input(i).SetFloat32(x); err != nil {
				return nil, fmt.Errorf("quant: sample %d: %w", n, err)
			}
		}
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		for i, name := range names {
			lo, hi := span(s.Output(i).Float32())
			if old, ok := r[name]; ok {
				lo, hi = min(lo, old[0]), max(hi, old[1])
			}
			r[name] = [2]float32{lo, hi}
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("quant: no calibration samples")
	}
	return r, nil
}

func span(x []float32) (lo, hi float32) {
	for i, v := range x {
		if i == 0 || v < lo {
			lo = v
		}
		if i == 0 || v > hi {
			hi = v
		}
	}
	return lo, hi
}

// Static returns the model with int8 activations and weights wherever its ops
// have an integer kernel, inputs and outputs included. A node that has none
// keeps computing in float32 between a DequantizeLinear and a QuantizeLinear;
// their names are returned, so that a caller can tell how far int8 reaches.
func Static(m *format.Model, r Ranges) (q *format.Model, float []string, err error) {
	if len(m.Graphs) != 1 || len(m.States) != 0 {
		return nil, nil, fmt.Errorf("quant: models with states or several graphs cannot be quantized statically")
	}
	out := clone(m)
	b := &builder{model: out, main: out.Main(), tensors: byName(out), ranges: r, params: map[string]*format.Quant{}, floatOf: map[string]string{}}
	for _, in := range b.main.Inputs {
		if t := b.tensors[in.Tensor]; t.Type != format.Float32 {
			return nil, nil, fmt.Errorf("quant: input %q is %v: only float32 models can be quantized", t.Name, t.Type)
		}
	}
	if err := b.choose(); err != nil {
		return nil, nil, err
	}
	if err := b.rewrite(); err != nil {
		return nil, nil, err
	}
	return out, b.float, format.Check(out)
}

type builder struct {
	model   *format.Model
	main    *format.Graph
	tensors map[string]*format.Tensor
	ranges  Ranges
	params  map[string]*format.Quant // of the activations that become int8
	floatOf map[string]string        // dequantized copies made for float nodes
	float   []string
}

// integer reports whether the node has an int8 kernel on these tensors, and
// whether its output must have the quantization of its (first) input.
func (b *builder) integer(n *format.Node) (ok, same bool) {
	for _, out := range n.Outputs {
		if out != "" && b.tensors[out].Type != format.Float32 {
			return false, false
		}
	}
	switch n.Op {
	case "Conv", "Gemm":
		for _, in := range n.Inputs[1:] {
			if in != "" && !b.tensors[in].Const() {
				return false, false
			}
		}
		return !b.tensors[n.Inputs[0]].Const(), false
	case "Relu", "Clip":
		return true, false
	case "MaxPool", "Reshape", "Transpose", "Concat", "Split", "Slice", "Pad":
		return true, true
	case "AveragePool", "Add", "Mul", "Softmax", "Sigmoid", "Tanh", "HardSwish", "ReduceMean":
		return true, false
	}
	return false, false
}

// choose fixes the quantization of every activation. Nodes that only move or
// bound values give their input the parameters of their output, so that no
// rounding is added; going backwards reaches chains of them.
func (b *builder) choose() error {
	for name, r := range b.ranges {
		b.params[name] = Activation(r[0], r[1])
	}
	producers := map[string]*format.Node{}
	users := map[string]int{}
	for _, n := range b.main.Nodes {
		for _, o := range n.Outputs {
			producers[o] = n
		}
		for _, in := range n.Inputs {
			users[in]++
		}
	}
	for _, o := range b.main.Outputs {
		users[o]++
	}
	for _, n := range slices.Backward(b.main.Nodes) {
		ok, same := b.integer(n)
		if !ok {
			continue
		}
		for _, o := range n.Outputs {
			if b.params[o] == nil {
				return fmt.Errorf("quant: node %q: the range of %q was not observed", n.Name, o)
			}
		}
		switch {
		case n.Op == "Softmax":
			b.params[n.Outputs[0]] = format.PerTensor(1.0/256, -128)
		case n.Op == "Tanh":
			b.params[n.Outputs[0]] = format.PerTensor(1.0/128, 0)
		case n.Op == "Sigmoid":
			b.params[n.Outputs[0]] = format.PerTensor(1.0/256, -128)
		case n.Op == "Relu" || n.Op == "Clip":
			// The activation is fused into the node before it: that one
			// rounds to the scale of what comes out.
			if in := n.Inputs[0]; users[in] == 1 && producers[in] != nil {
				b.params[in] = b.params[n.Outputs[0]]
			}
		case same && n.Op == "Concat":
			for _, in := range n.Inputs {
				b.params[in] = b.params[n.Outputs[0]]
			}
		}
	}
	// Forwards, once the producers' parameters are final: what moves values
	// keeps their scale.
	for _, n := range b.main.Nodes {
		if ok, same := b.integer(n); ok && same {
			for _, o := range n.Outputs {
				b.params[o] = b.params[n.Inputs[0]]
			}
		}
	}
	return nil
}

// rewrite turns the tensors and weights into integers and puts conversions
// around the nodes that stay float.
func (b *builder) rewrite() error {
	var nodes []*format.Node
	quantized := map[string]bool{}
	for _, in := range b.main.Inputs {
		b.toInt8(in.Tensor)
		quantized[in.Tensor] = true
	}
	for _, n := range b.main.Nodes {
		ok, _ := b.integer(n)
		if !ok {
			nodes = append(nodes, b.floatNode(n, quantized)...)
			continue
		}
		for i, in := range n.Inputs {
			if in == "" || i > 0 && linear(n) {
				continue
			}
			if b.tensors[in].Const() {
				b.constant(n, i)
			} else if want := b.wanted(n, i); !quantSame(b.tensors[in].Quant, want) {
				// A value that others use at another scale.
				t := b.add(in+"/"+n.Name, format.Int8, b.tensors[in].Shape, want, nil)
				nodes = append(nodes, &format.Node{Name: n.Name + "/requantize" + suffix(i), Op: "Requantize", Inputs: []string{in}, Outputs: []string{t}})
				n.Inputs[i] = t
			}
		}
		if linear(n) {
			b.weights(n)
		}
		for _, o := range n.Outputs {
			if o != "" {
				b.toInt8(o)
				quantized[o] = true
			}
		}
		nodes = append(nodes, n)
	}
	b.main.Nodes = nodes
	return nil
}

// wanted is the quantization that input i of an integer node must have.
func (b *builder) wanted(n *format.Node, i int) *format.Quant {
	switch n.Op {
	case "Concat", "Relu", "Clip":
		return b.params[n.Outputs[0]]
	}
	return b.tensors[n.Inputs[i]].Quant
}

func (b *builder) toInt8(name string) {
	t := b.tensors[name]
	t.Type, t.Quant = format.Int8, b.params[name]
}

// constant quantizes a constant operand of an elementwise node.
func (b *builder) constant(n *format.Node, i int) {
	t := b.tensors[n.Inputs[i]]
	if t.Type != format.Float32 {
		return
	}
	x := float32s(t)
	q := Activation(span(x))
	codes := make([]int8, len(x))
	for k, v := range x {
		codes[k] = quantize(v, q)
	}
	n.Inputs[i] = b.add(t.Name+"/"+n.Name, format.Int8, t.Shape, q, bytesOf(codes))
}

func (b *builder) weights(n *format.Node) {
	x, w := b.tensors[n.Inputs[0]], b.tensors[n.Inputs[1]]
	codes, q := Weights(float32s(w), w.Shape)
	n.Inputs[1] = b.add(w.Name+"/"+n.Name, format.Int8, w.Shape, q, bytesOf(codes))
	if len(n.Inputs) > 2 && n.Inputs[2] != "" {
		c := b.tensors[n.Inputs[2]]
		bias, bq := Bias(float32s(c), x.Quant.Scale[0], q)
		n.Inputs[2] = b.add(c.Name+"/"+n.Name, format.Int32, c.Shape, bq, bytesOf(bias))
	}
}

// floatNode keeps n in float32 between conversions.
func (b *builder) floatNode(n *format.Node, quantized map[string]bool) []*format.Node {
	var nodes []*format.Node
	b.float = append(b.float, n.Name)
	for i, in := range n.Inputs {
		if !quantized[in] {
			continue
		}
		f := b.floatOf[in]
		if f == "" {
			f = b.add(in+"/float", format.Float32, b.tensors[in].Shape, nil, nil)
			b.floatOf[in] = f
			nodes = append(nodes, &format.Node{Name: in + "/dequantize", Op: "DequantizeLinear", Inputs: []string{in}, Outputs: []string{f}})
		}
		n.Inputs[i] = f
	}
	nodes = append(nodes, n)
	for i, o := range n.Outputs {
		if o == "" || b.tensors[o].Type != format.Float32 {
			continue
		}
		f := b.add(o+"/float", format.Float32, b.tensors[o].Shape, nil, nil)
		n.Outputs[i] = f
		b.floatOf[o] = f
		b.toInt8(o)
		quantized[o] = true
		nodes = append(nodes, &format.Node{Name: o + "/quantize", Op: "QuantizeLinear", Inputs: []string{f}, Outputs: []string{o}})
	}
	return nodes
}

// add makes a tensor and returns its name, which is made unique.
func (b *builder) add(name string, t format.DType, shape format.Shape, q *format.Quant, data []byte) string {
	for b.tensors[name] != nil {
		name += "'"
	}
	x := &format.Tensor{Name: name, Type: t, Shape: shape, Quant: q, Data: data}
	b.tensors[name] = x
	b.model.Tensors = append(b.model.Tensors, x)
	return name
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprint(i)
}

func quantSame(a, b *format.Quant) bool {
	return a == b || a != nil && b != nil && a.Scale[0] == b.Scale[0] && a.ZeroPoint() == b.ZeroPoint()
}

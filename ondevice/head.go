package ondevice

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A HeadError says why a model has no head that can be tuned.
type HeadError struct {
	Node, Op string // where the search ended; empty when it is the graph as a whole
	Reason   string
}

func (e *HeadError) Error() string {
	if e.Node == "" {
		return "ondevice: no head to tune: " + e.Reason
	}
	return fmt.Sprintf("ondevice: no head to tune: node %q (%s): %s", e.Node, e.Op, e.Reason)
}

// head is a model's last dense layer, y = x wᵀ + b in real numbers, and what
// surrounds it.
type head struct {
	feature *format.Tensor // what the layer reads; dim elements
	output  *format.Tensor // the graph's first output, at or after the layer
	dim     int
	classes int
	w       *reals // [classes, dim]
	b       *reals // [classes]; nil: zeros
	softmax bool   // the output is a Softmax of the layer's
	first   int    // the layer's index among the graph's nodes
	nodes   []int  // indices of what tuning replaces: the layer, what follows it, DequantizeLinear before it
}

// between are the ops that may stand between the head and the output.
var between = []string{"Softmax", "Reshape", "Squeeze", "Identity", "QuantizeLinear", "DequantizeLinear", "Requantize"}

// findHead finds the last Gemm, or 1x1 convolution of a 1x1 picture, before the
// model's first output.
func findHead(m *format.Model) (*head, error) {
	g := m.Main()
	if len(g.Outputs) == 0 {
		return nil, &HeadError{Reason: "the graph has no output"}
	}
	tensors := make(map[string]*format.Tensor, len(m.Tensors))
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	producer := map[string]int{}
	for i, n := range g.Nodes {
		for _, o := range n.Outputs {
			producer[o] = i
		}
	}
	h := &head{output: tensors[g.Outputs[0]]}
	for name := g.Outputs[0]; ; {
		i, ok := producer[name]
		if !ok {
			return nil, &HeadError{Reason: fmt.Sprintf("no Gemm or 1x1 Conv lies between input %q and the output", name)}
		}
		n := g.Nodes[i]
		h.nodes = append(h.nodes, i)
		if n.Op == "Gemm" || n.Op == "Conv" {
			h.first = i
			break
		}
		if !slices.Contains(between, n.Op) {
			return nil, &HeadError{n.Name, n.Op, "only Softmax, Reshape and conversions may follow the Gemm or 1x1 Conv that is to be tuned"}
		}
		h.softmax = h.softmax || n.Op == "Softmax"
		name = n.Inputs[0]
	}
	n := g.Nodes[h.first]
	bad := func(format string, args ...any) error {
		return &HeadError{n.Name, n.Op, fmt.Sprintf(format, args...)}
	}
	h.feature = tensors[n.Inputs[0]]
	h.seeThrough(g, tensors, producer)
	w := tensors[n.Inputs[1]]
	if w.Data == nil {
		return nil, bad("weights %q are not constant", w.Name)
	}
	h.classes = w.Shape[0]
	h.dim = w.Shape[1:].Elems()
	if n.Op == "Gemm" && n.Attrs.Int("transB", 0) != 1 {
		return nil, bad("only transB = 1 is known")
	}
	if e := h.feature.Shape.Elems(); e != h.dim {
		return nil, bad("it sees %v, not one row of %d features: a model of batch 1 and one position is needed", h.feature.Shape, h.dim)
	}
	if o := h.output.Shape.Elems(); o != h.classes {
		return nil, bad("its %d outputs become %v at the graph's output", h.classes, h.output.Shape)
	}
	switch h.feature.Type {
	case format.Int8, format.Uint8:
		if h.feature.Quant == nil || len(h.feature.Quant.Scale) != 1 {
			return nil, bad("features %q need one scale", h.feature.Name)
		}
	case format.Float32:
	default:
		return nil, bad("features of type %v are not known", h.feature.Type)
	}
	var err error
	if h.w, err = newReals(w, nil); err != nil {
		return nil, bad("%v", err)
	}
	if len(n.Inputs) > 2 && n.Inputs[2] != "" {
		b := tensors[n.Inputs[2]]
		if b.Data == nil {
			return nil, bad("bias %q is not constant", b.Name)
		}
		if h.b, err = newReals(b, biasScale(h.feature, w)); err != nil {
			return nil, bad("%v", err)
		}
	}
	return h, h.checkAlone(g)
}

// seeThrough moves the features of a float32 layer back to the integers that
// DequantizeLinear made them of, as in a model whose head was tuned before.
func (h *head) seeThrough(g *format.Graph, tensors map[string]*format.Tensor, producer map[string]int) {
	var through []int
	for name := h.feature.Name; ; {
		i, ok := producer[name]
		if !ok {
			return
		}
		n := g.Nodes[i]
		through = append(through, i)
		name = n.Inputs[0]
		switch n.Op {
		case "Reshape":
		case "DequantizeLinear":
			h.feature = tensors[name]
			h.nodes = append(h.nodes, through...)
			return
		default:
			return
		}
	}
}

// checkAlone makes sure that nobody else uses what tuning replaces.
func (h *head) checkAlone(g *format.Graph) error {
	made := map[string]bool{}
	for _, i := range h.nodes {
		for _, o := range g.Nodes[i].Outputs {
			made[o] = true
		}
	}
	for i, n := range g.Nodes {
		if slices.Contains(h.nodes, i) {
			continue
		}
		for _, in := range n.Inputs {
			if made[in] {
				return &HeadError{n.Name, n.Op, fmt.Sprintf("it reads %q, which tuning would replace", in)}
			}
		}
	}
	for _, o := range g.Outputs[1:] {
		if made[o] {
			return &HeadError{Reason: fmt.Sprintf("output %q is part of the head that tuning would replace", o)}
		}
	}
	return nil
}

// biasScale returns the real value of one unit of an integer bias: the scale of
// the features times that of the weights, one an output or one for all.
func biasScale(x, w *format.Tensor) []float64 {
	if x.Quant == nil || w.Quant == nil {
		return nil
	}
	s := make([]float64, len(w.Quant.Scale))
	for i, v := range w.Quant.Scale {
		s[i] = float64(x.Quant.Scale[0]) * float64(v)
	}
	return s
}

// reals is a constant seen as real numbers.
type reals struct {
	t     *format.Tensor
	scale []float64 // nil: the elements are real numbers; else one for all or one a row
	zero  []int32
	row   int // elements a row
}

// newReals checks that the constant's values are known. Scale stands in for the
// quantization of a bias that carries none.
func newReals(t *format.Tensor, scale []float64) (*reals, error) {
	r := &reals{t: t, row: t.Shape[1:].Elems()}
	switch t.Type {
	case format.Float32:
		return r, nil
	case format.Int8, format.Uint8, format.Int32:
	default:
		return nil, fmt.Errorf("constant %q: type %v is not known", t.Name, t.Type)
	}
	if q := t.Quant; q != nil {
		if q.Block > 0 || len(q.Scale) > 1 && q.Axis != 0 {
			return nil, fmt.Errorf("constant %q: only scales a tensor or a row are known", t.Name)
		}
		scale = make([]float64, len(q.Scale))
		for i, s := range q.Scale {
			scale[i] = float64(s)
		}
		r.zero = q.Zero
	}
	if len(scale) != 1 && len(scale) != t.Shape[0] {
		return nil, fmt.Errorf("constant %q of type %v has no scale", t.Name, t.Type)
	}
	r.scale = scale
	return r, nil
}

// at returns element i.
func (r *reals) at(i int) float32 {
	var v int64
	switch r.t.Type {
	case format.Float32:
		return math.Float32frombits(binary.LittleEndian.Uint32(r.t.Data[4*i:]))
	case format.Int8:
		v = int64(int8(r.t.Data[i]))
	case format.Uint8:
		v = int64(r.t.Data[i])
	case format.Int32:
		v = int64(int32(binary.LittleEndian.Uint32(r.t.Data[4*i:])))
	}
	c := 0
	if len(r.scale) > 1 {
		c = i / r.row
	}
	if len(r.zero) > 0 {
		v -= int64(r.zero[min(c, len(r.zero)-1)])
	}
	return float32(float64(v) * r.scale[c])
}

// prefix returns the part of a model that makes the tensor feature out of its
// inputs, and suffix the part that makes the first output out of feature, as
// models of their own.
func prefix(m *format.Model, feature string) *format.Model {
	return cut(m, m.Main().Inputs, feature)
}

func suffix(m *format.Model, feature string) *format.Model {
	return cut(m, []format.Input{{Tensor: feature}}, m.Main().Outputs[0])
}

// cut returns the part of a model between inputs and one output.
func cut(m *format.Model, inputs []format.Input, output string) *format.Model {
	g := &format.Graph{Name: m.Main().Name, Inputs: inputs, Outputs: []string{output}}
	given := map[string]bool{}
	used := map[string]bool{output: true}
	for _, in := range inputs {
		given[in.Tensor] = true
		used[in.Tensor] = true
	}
	for _, n := range slices.Backward(m.Main().Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return used[o] && !given[o] }) {
			continue
		}
		g.Nodes = append(g.Nodes, n)
		for _, t := range slices.Concat(n.Inputs, n.Outputs) {
			used[t] = true
		}
	}
	slices.Reverse(g.Nodes)
	out := &format.Model{
		Header:  format.Header{Opset: m.Header.Opset},
		Symbols: m.Symbols, States: m.States, Graphs: append([]*format.Graph{g}, m.Graphs[1:]...),
	}
	for _, t := range m.Tensors {
		if used[t.Name] {
			out.Tensors = append(out.Tensors, t)
		}
	}
	return out
}

// The names that a float head gives to what it adds: short ones, for a delta of
// a small head is mostly names.
const (
	nodeDequant = "head/q"
	nodeReshape = "head/r"
	nodeGemm    = "head/g"
	nodeSoftmax = "head/s"
	tensorReal  = "head/f"
	tensorRow   = "head/x"
	tensorW     = "head/w"
	tensorB     = "head/b"
	tensorLogit = "head/y"
)

// withHead returns the model with its head replaced by a float32 one of the
// given classes: DequantizeLinear of the features, Reshape to a row if they are
// not one, Gemm, and Softmax if the old head had one and softmax is asked for.
// The output keeps its name and becomes float32 [1, classes]. The base model is
// shared, not changed.
func (h *head) withHead(m *format.Model, w, b []float32, labels []string, softmax bool) (*format.Model, error) {
	classes := len(b)
	g := m.Main()
	gone := map[string]bool{} // nodes and tensors, which have names of their own kinds
	kept := map[string]bool{h.feature.Name: true}
	for i, n := range g.Nodes {
		for _, t := range slices.Concat(n.Inputs, n.Outputs) {
			if slices.Contains(h.nodes, i) {
				gone[t] = true
			} else {
				kept[t] = true
			}
		}
	}
	out := &format.Model{Header: m.Header, Symbols: m.Symbols, States: m.States}
	out.Header.Labels = labels
	out.Header.Digest = [32]byte{}
	for _, t := range m.Tensors {
		if !gone[t.Name] || kept[t.Name] {
			out.Tensors = append(out.Tensors, t)
		}
	}
	ng := *g
	ng.Nodes = nil
	for i, n := range g.Nodes {
		if !slices.Contains(h.nodes, i) {
			ng.Nodes = append(ng.Nodes, n)
		}
	}
	for _, t := range out.Tensors {
		switch t.Name {
		case tensorReal, tensorRow, tensorW, tensorB, tensorLogit:
			return nil, &HeadError{Reason: fmt.Sprintf("the model already has a tensor %q outside its head", t.Name)}
		}
	}
	add := func(op, name, result string, shape format.Shape, attrs format.Attrs, inputs ...string) string {
		ng.Nodes = append(ng.Nodes, &format.Node{Name: name, Op: op, Inputs: inputs, Outputs: []string{result}, Attrs: attrs})
		out.Tensors = append(out.Tensors, &format.Tensor{Name: result, Type: format.Float32, Shape: shape})
		return result
	}
	constant := func(name string, v []float32, shape ...int) string {
		out.Tensors = append(out.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: floatBytes(v)})
		return name
	}
	x := h.feature.Name
	if h.feature.Type != format.Float32 {
		x = add("DequantizeLinear", nodeDequant, tensorReal, h.feature.Shape, nil, x)
	}
	row := format.Shape{1, h.dim}
	if !h.feature.Shape.Equal(row) {
		x = add("Reshape", nodeReshape, tensorRow, row, format.Attrs{"shape": []int64{1, int64(h.dim)}}, x)
	}
	wn := constant(tensorW, w, classes, h.dim)
	bn := constant(tensorB, b, classes)
	gemm := format.Attrs{"transB": int64(1)}
	result := format.Shape{1, classes}
	if softmax && h.softmax {
		x = add("Gemm", nodeGemm, tensorLogit, result, gemm, x, wn, bn)
		add("Softmax", nodeSoftmax, h.output.Name, result, format.Attrs{"axis": int64(-1)}, x)
	} else {
		add("Gemm", nodeGemm, h.output.Name, result, gemm, x, wn, bn)
	}
	out.Graphs = append([]*format.Graph{&ng}, m.Graphs[1:]...)
	return out, nil
}

// floatsOf returns the elements of a float32 constant.
func floatsOf(t *format.Tensor) []float32 {
	v, r := make([]float32, t.Shape.Elems()), reals{t: t}
	for i := range v {
		v[i] = r.at(i)
	}
	return v
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

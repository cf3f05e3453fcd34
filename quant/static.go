package quant

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
)

// StaticOptions refine [Static].
type StaticOptions struct {
	// Keep names nodes that go on computing in float32.
	Keep map[string]bool
	// Means are the mean values of activations by channel. Where they are
	// known, the bias of a layer makes up for what rounding its weights adds to
	// the mean of its output (bias correction: Nagel et al., 2019,
	// arXiv:1906.04721, section 4.2).
	Means map[string][]float64
	// Codes are those of the weights by node where they are not to be rounded to
	// the nearest: what [Round] gives.
	Codes map[string][]int8
	// Wide makes the activations int16 and the biases int64 (16x8): nearly the
	// float model's numbers, but slower than either. Widen does that to the named
	// nodes alone.
	Wide  bool
	Widen map[string]bool
}

// Static returns the model with int8 (or int16) activations and weights wherever its ops
// have an integer kernel. A node that has none, or is to be kept, computes in
// float32 between a DequantizeLinear and a QuantizeLinear; their names are
// returned, so that a caller can tell how far int8 reaches. Inputs and outputs
// of the model that only such nodes touch stay float32, all others become
// integers; states keep their type.
func Static(m *format.Model, r Ranges, o StaticOptions) (q *format.Model, float []string, err error) {
	if len(m.Graphs) != 1 {
		return nil, nil, fmt.Errorf("quant: models with several graphs cannot be quantized statically; quantize their weights alone (dynamic)")
	}
	b := newBuilder(m, r, o)
	for _, w := range []width{int8Wide, int16Wide} {
		if err := b.choose(w); err != nil {
			return nil, nil, err
		}
	}
	b.rewrite()
	return b.model, b.float, format.Check(b.model)
}

type builder struct {
	model   *format.Model
	main    *format.Graph
	tensors map[string]*format.Tensor
	ranges  Ranges
	options StaticOptions
	rule    map[*format.Node]rule
	params  map[format.DType]map[string]*format.Quant // of activations, were they of that type
	readers map[string]width                          // of tensors that an integer node reads: int8 if one of them does
	integer map[string]bool                           // tensors that are integers by now
	floatOf map[string]string                         // the float32 twins of those
	twins   map[twin]string
	float   []string
}

// A twin is a copy of an integer tensor with another quantization.
type twin struct {
	of    string
	typ   format.DType
	scale float32
	zero  int32
}

func newBuilder(m *format.Model, r Ranges, o StaticOptions) *builder {
	out := clone(m)
	b := &builder{model: out, main: out.Main(), tensors: byName(out), ranges: r, options: o,
		rule: map[*format.Node]rule{}, params: map[format.DType]map[string]*format.Quant{}, readers: map[string]width{}, integer: map[string]bool{},
		floatOf: map[string]string{}, twins: map[twin]string{}}
	for _, n := range b.main.Nodes {
		if !o.Keep[n.Name] {
			b.rule[n] = ruleOf(n, b.tensors)
		}
		if b.rule[n] != stays {
			for _, in := range n.Inputs {
				if w := b.width(n); b.readers[in].typ != format.Int8 {
					b.readers[in] = w
				}
			}
		}
	}
	return b
}

// width is that of a node's activations.
func (b *builder) width(n *format.Node) width {
	if b.options.Wide || b.options.Widen[n.Name] {
		return int16Wide
	}
	return int8Wide
}

// choose fixes the quantization of every activation that is of a width. Nodes that only move or
// bound values give their input the parameters of their output, so that no
// rounding is added; going backwards reaches chains of them.
func (b *builder) choose(w width) error {
	bounded := boundedBy(b.main)
	params := map[string]*format.Quant{}
	b.params[w.typ] = params
	for name, r := range b.ranges {
		params[name] = w.quant(r[0], r[1])
	}
	for _, n := range slices.Backward(b.main.Nodes) {
		for _, o := range n.Outputs {
			if out, ok := bounded[o]; ok && params[o] == nil {
				params[o] = params[out]
			}
		}
	}
	producers, users := producers(b.main), users(b.main)
	imposed := map[string]bool{}
	// impose gives a tensor the parameters that its one reader needs.
	impose := func(name string, q *format.Quant) {
		if p := producers[name]; users[name] == 1 && p != nil && b.rule[p] != stays && b.rule[p] != unit {
			params[name] = q
			imposed[name] = true
		}
	}
	for _, n := range slices.Backward(b.main.Nodes) {
		for _, t := range slices.Concat(n.Inputs, n.Outputs) {
			if t != "" && params[t] == nil && b.tensors[t].Type == format.Float32 && !b.tensors[t].Const() {
				return fmt.Errorf("quant: node %q: the range of %q was not observed", n.Name, t)
			}
		}
		if b.rule[n] == stays { // which may have no output at all
			continue
		}
		out := params[n.Outputs[0]]
		switch b.rule[n] {
		case unit:
			params[n.Outputs[0]] = w.unit(n.Op)
		case bounds:
			impose(n.Inputs[0], out)
		case joins:
			for _, in := range n.Inputs {
				impose(in, out)
			}
		case moves:
			if imposed[n.Outputs[0]] && len(n.Outputs) == 1 {
				impose(n.Inputs[0], out)
			}
		}
	}
	// Forwards, once the producers' parameters are final: what moves values
	// keeps their scale.
	for _, n := range b.main.Nodes {
		if b.rule[n] == moves {
			for _, o := range n.Outputs {
				params[o] = params[n.Inputs[0]]
			}
		}
	}
	return nil
}

// rewrite turns the tensors and weights into integers and puts conversions
// around the nodes that stay float.
func (b *builder) rewrite() {
	var nodes []*format.Node
	for _, in := range b.main.Inputs {
		if w, ok := b.readers[in.Tensor]; ok {
			b.toInteger(in.Tensor, w)
		}
	}
	for _, n := range b.main.Nodes {
		if b.rule[n] == stays {
			nodes = append(nodes, b.floatNode(n)...)
			continue
		}
		w, input := b.width(n), n.Inputs[0]
		for i, in := range n.Inputs {
			if in == "" || i > 0 && (linear(n) || n.Op == "Gather") {
				continue
			}
			if b.tensors[in].Const() {
				b.constant(n, i)
				continue
			}
			q := b.params[w.typ][in]
			if n.Op == "Concat" { // a value that others may use at another scale
				q = b.params[w.typ][n.Outputs[0]]
			}
			var convert *format.Node
			if n.Inputs[i], convert = b.as(in, w, q); convert != nil {
				nodes = append(nodes, convert)
			}
		}
		if linear(n) {
			b.layer(n, input)
		}
		for _, o := range n.Outputs {
			if o != "" {
				b.toInteger(o, w)
			}
		}
		nodes = append(nodes, n)
	}
	b.main.Nodes = nodes
	b.dropUnused()
}

// as returns the tensor that has an integer one's values in a quantization, and
// the node that makes it if there was none.
func (b *builder) as(name string, w width, q *format.Quant) (string, *format.Node) {
	t := b.tensors[name]
	if t.Type == w.typ && t.Quant.Equal(q) {
		return name, nil
	}
	key := twin{name, w.typ, q.Scale[0], q.ZeroPoint()}
	if b.twins[key] != "" {
		return b.twins[key], nil
	}
	copied := b.add(name+"/"+w.typ.String(), w.typ, t.Shape, q, nil)
	b.twins[key] = copied
	return copied, &format.Node{Name: b.nodeName(copied), Op: "Requantize", Inputs: []string{name}, Outputs: []string{copied}}
}

func (b *builder) toInteger(name string, w width) {
	t := b.tensors[name]
	t.Type, t.Quant = w.typ, b.params[w.typ][name]
	b.integer[name] = true
}

// constant quantizes a constant operand of an elementwise node or a Concat.
func (b *builder) constant(n *format.Node, i int) {
	t, w := b.tensors[n.Inputs[i]], b.width(n)
	x := float32s(t)
	q := w.quant(span(x))
	if n.Op == "Concat" {
		q = b.params[w.typ][n.Outputs[0]]
	}
	n.Inputs[i] = b.add(t.Name+"/"+n.Name, w.typ, t.Shape, q, w.data(x, q))
}

// layer quantizes the weights and the bias of a Conv or Gemm, of which input is
// what the float model feeds it.
func (b *builder) layer(n *format.Node, input string) {
	x, w, width := b.tensors[n.Inputs[0]], b.tensors[n.Inputs[1]], b.width(n)
	real := weightValues(w)
	var bias []float32
	name := n.Name + "/bias"
	if len(n.Inputs) > 2 && n.Inputs[2] != "" {
		c := b.tensors[n.Inputs[2]]
		bias, name = float32s(c), c.Name+"/"+n.Name
	}
	rows, sx := w.Shape[0], x.Quant.Scale[0]
	var codes []int8
	var wq *format.Quant
	if w.Type == format.Int8 {
		codes, wq = scaled(real, w.Quant.Scale, rows)
	} else {
		codes, wq = Weights(real, w.Shape)
		copy(codes, b.options.Codes[n.Name])
	}
	ints, bq := fit(real, bias, codes, wq, sx, width)
	if mean := b.options.Means[input]; mean != nil {
		if bias == nil {
			bias = make([]float32, rows)
		}
		correct(bias, real, codes, wq, mean, n.Attrs.Int("group", 1))
		ints, bq = fit(real, bias, codes, wq, sx, width)
	}
	n.Inputs[1] = b.add(w.Name+"/"+n.Name, format.Int8, w.Shape, wq, bytesOf(codes))
	if bias != nil {
		n.Inputs = append(n.Inputs[:2:2], b.add(name, width.bias(), format.Shape{rows}, bq, width.biasData(ints)))
	}
}

// correct takes what the error of the weights adds to the mean of each output
// off the bias: the sum over the taps of (rounded - real) weight times the mean
// of its input channel. Taps in the padding count as if they were inside.
func correct(bias, real []float32, codes []int8, wq *format.Quant, mean []float64, groups int) {
	k := len(real) / len(bias)
	depth := len(mean) / groups // input channels of one output
	for o := range bias {
		first := o / (len(bias) / groups) * depth
		shift := 0.0
		for i := range k {
			e := float64(float64(codes[o*k+i])*float64(wq.Scale[o])) - float64(real[o*k+i])
			shift += float64(e * mean[first+i%depth])
		}
		bias[o] = float32(float64(bias[o]) - shift)
	}
}

// weightValues returns the real values of float32 or int8 weights.
func weightValues(w *format.Tensor) []float32 {
	if w.Type == format.Float32 {
		return float32s(w)
	}
	x := make([]float32, len(w.Data))
	k := len(x) / len(w.Quant.Scale)
	for i, c := range w.Data {
		x[i] = float32(int8(c)) * w.Quant.Scale[i/k]
	}
	return x
}

// floatNode keeps n in float32 between conversions.
func (b *builder) floatNode(n *format.Node) []*format.Node {
	var nodes []*format.Node
	b.float = append(b.float, n.Name)
	for i, in := range n.Inputs {
		if !b.integer[in] {
			continue
		}
		f := b.floatOf[in]
		if f == "" {
			f = b.add(in+"/float", format.Float32, b.tensors[in].Shape, nil, nil)
			b.floatOf[in] = f
			nodes = append(nodes, &format.Node{Name: b.nodeName(in + "/dequantize"), Op: "DequantizeLinear", Inputs: []string{in}, Outputs: []string{f}})
		}
		n.Inputs[i] = f
	}
	nodes = append(nodes, n)
	for i, o := range n.Outputs {
		w, read := b.readers[o]
		if !read || b.tensors[o].Type != format.Float32 {
			continue
		}
		f := b.add(o+"/float", format.Float32, b.tensors[o].Shape, nil, nil)
		n.Outputs[i] = f
		b.floatOf[o] = f
		b.toInteger(o, w)
		nodes = append(nodes, &format.Node{Name: b.nodeName(o + "/quantize"), Op: "QuantizeLinear", Inputs: []string{f}, Outputs: []string{o}})
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

// nodeName makes the name of a new node unique.
func (b *builder) nodeName(name string) string {
	for slices.ContainsFunc(b.main.Nodes, func(n *format.Node) bool { return n.Name == name }) {
		name += "'"
	}
	return name
}

// dropUnused removes the constants that quantized copies have replaced.
func (b *builder) dropUnused() {
	users := users(b.main)
	b.model.Tensors = slices.DeleteFunc(b.model.Tensors, func(t *format.Tensor) bool { return t.Const() && users[t.Name] == 0 })
}

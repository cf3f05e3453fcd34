// Package onnx reads ONNX models (.onnx), opset 7 and later.
//
// Shapes are static: symbolic dimensions get a size from [Options], or 1, and some a
// range (dynamic.go). What
// depends on shapes and constants alone is computed during the import; every
// other node becomes a few nodes of whet's graph. Pictures are laid out NHWC
// inside ([value] says how), while the model's inputs and outputs keep the
// source's names, types and shapes. Graphs quantized with QuantizeLinear and
// DequantizeLinear pairs, or with the QLinear operators, become ops on quantized
// tensors. Floats of 16 bits are computed as float32.
package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// Options are what a file leaves open.
type Options struct {
	Dir   string               // folder of the model, for external data; "" refuses it
	Dims  map[string]int       // sizes of symbolic dimensions, by name or as INPUT[i]; absent ones are 1
	Const map[string][]float64 // inputs of the graph that become constants, by name

	Ranges map[string]format.Dim // symbolic dimensions whose sizes stay open within bounds, as Dims
	Trace  *build.Trace          // what became of each node, nil if nobody asks
}

// The opsets that rows are written for.
const minOpset, maxOpset = 6, 28

// unchanged are operators of older opsets that mean the same today.
var unchanged = map[string]bool{"Abs": true, "Ceil": true, "Conv": true, "ConvTranspose": true, "Elu": true, "Exp": true, "Floor": true,
	"GlobalAveragePool": true, "GlobalMaxPool": true, "Identity": true, "LeakyRelu": true, "Log": true, "MatMul": true, "Neg": true, "Not": true,
	"Reciprocal": true, "Relu": true, "Selu": true, "Sigmoid": true, "Softplus": true, "Softsign": true, "Sqrt": true, "Tanh": true, "Transpose": true}

// Import converts the .onnx file in b. The constants of the model that it
// returns may point into b. file is the name that errors give.
func Import(file string, b []byte, o Options) (m *format.Model, err error) {
	// The checks make this unreachable as far as tests and fuzzing know. A fault
	// in them must still not take the program down.
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%s: corrupt file: %v", file, p)
		}
	}()
	if len(o.Ranges) > 0 {
		m, err = importDynamic(b, o)
	} else {
		m, err = importBytes(b, o)
	}
	var u *build.UnsupportedError
	switch {
	case errors.As(err, &u):
		u.File = file
		return nil, u
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

func importBytes(b []byte, o Options) (*format.Model, error) {
	src, err := new(reader).model(b)
	if err != nil {
		return nil, err
	}
	version, ok := src.opsets[""]
	switch {
	case !ok && len(src.opsets) > 0:
		version = maxOpset // only other domains: functions of the file
	case !ok:
		version = 1
	}
	if version >= 1 && version < minOpset && !slices.ContainsFunc(src.graph.nodes, func(n *nodeProto) bool { return !unchanged[n.op] }) {
		version = minOpset
	}
	if version < minOpset || version > maxOpset {
		return nil, fmt.Errorf("opset %d: %d to %d can be converted; convert the model with onnx.version_converter", version, minOpset, maxOpset)
	}
	c := &converter{src: src, options: o, budget: minBudget + budgetFactor*int64(len(b)), uses: map[string]int{}, functions: map[string]*functionProto{}, notes: map[string]int{}}
	for _, f := range src.functions {
		c.functions[f.domain+"."+f.name] = f
	}
	countUses(src.graph, c.uses)
	m, err := c.run(version)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	m.Header.Source = format.Source{Format: "onnx", SHA256: hex.EncodeToString(sum[:]), Note: c.note()}
	return m, nil
}

// Inputs returns the names of the inputs of a model that have no stored value.
func Inputs(b []byte) ([]string, error) {
	m, err := new(reader).model(b)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, in := range m.graph.inputs {
		if !slices.ContainsFunc(m.graph.initializers, func(t *tensorProto) bool { return t.name == in.name }) {
			names = append(names, in.name)
		}
	}
	return names, nil
}

// countUses counts the readers of every value, so that rewriting one for a
// single reader is known to be safe.
func countUses(g *graphProto, uses map[string]int) {
	for _, n := range g.nodes {
		for _, s := range n.inputs {
			uses[s]++
		}
		for _, a := range n.attrs {
			if a.g != nil {
				countUses(a.g, uses)
			}
		}
	}
	for _, v := range g.outputs {
		uses[v.name]++
	}
}

// Operators returns the names of the operators that Import converts, sorted;
// those of other domains carry theirs in front.
func Operators() []string {
	return slices.Sorted(maps.Keys(rows))
}

// others are ONNX's own operators, as of opset 28, that have no row.
var others = []string{"Bernoulli", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "CausalConvWithState", "ConcatFromSequence", "ImageDecoder",
	"LinearAttention", "Multinomial", "Optional", "OptionalGetElement", "OptionalHasElement", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
	"RegexFullMatch", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence",
	"StringConcat", "StringNormalizer", "StringSplit", "TensorScatter"}

// Missing returns operators of ONNX that Import does not convert, and why.
func Missing() map[string]string {
	list := map[string]string{}
	for _, name := range others {
		list[name] = whyNot(name)
	}
	return list
}

// A converter turns the graph of a file into the main graph of a model.
type converter struct {
	src       *modelProto
	options   Options
	uses      map[string]int
	functions map[string]*functionProto // by domain.name
	notes     map[string]int            // symbolic dimensions and the sizes given to them

	nodes   []*node
	inputs  []*tensor
	hint    string // name for new tensors
	steps   int    // nodes of the source converted, those of functions every time
	budget  int64  // bytes of constants that may still be made
	missing build.UnsupportedError
	made    []made
}

// What the conversion of one file may cost, whatever its functions and loops expand
// to. Besides the file and what it stores, an import holds at most minBudget bytes of
// constants that it computes, and budgetFactor for each byte of the file and its
// external data; no constant is made of more than maxFoldMACs multiplications.
const (
	maxSteps     = 1 << 15 // nodes, those of functions and loops every time, beyond four times the file's
	minBudget    = 64 << 20
	budgetFactor = 16
	maxFoldMACs  = 1 << 28
)

// spend counts bytes of a constant that is about to be made.
func (c *converter) spend(n int) {
	if c.budget -= int64(n); c.budget < 0 {
		c.fail("the constants that are computed during the conversion take more than %d MiB and %d times the size of the file", minBudget>>20, budgetFactor)
	}
}

// An unsupported error says why a node cannot be converted. Conversion goes on
// after one, so that all of them are reported together.
type unsupported string

func (e unsupported) Error() string { return string(e) }

func unsupportedf(format string, a ...any) error { return unsupported(fmt.Sprintf(format, a...)) }

// fail gives up the node being converted. It panics with an unsupported error,
// which convertNode takes; that keeps the rows short.
func (c *converter) fail(format string, a ...any) { panic(unsupported(fmt.Sprintf(format, a...))) }

// caught turns what fail panicked with into an error again.
func caught(p any, err error) error {
	switch e := p.(type) {
	case nil:
		return err
	case unsupported:
		return e
	}
	panic(p)
}

// A scope holds the values of a graph; names not found there are looked up in
// the graph around it.
type scope struct {
	values map[string]*value // nil value: its node could not be converted
	around *scope
	opset  int64
	attrs  map[string]*attrProto // of the function call that is being expanded
	depth  int
}

func (s *scope) lookup(name string) (v *value, ok bool) {
	for ; s != nil; s = s.around {
		if v, ok = s.values[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (c *converter) run(opset int64) (*format.Model, error) {
	g := c.src.graph
	s := &scope{values: map[string]*value{}, opset: opset}
	if err := c.initializers(g, s); err != nil {
		return nil, err
	}
	for _, in := range g.inputs {
		if _, ok := s.values[in.name]; ok {
			continue // an initializer with a place in the list of inputs, as before IR version 4
		}
		v, err := c.input(in)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", in.name, err)
		}
		s.values[in.name] = v
	}
	for name := range c.options.Const {
		if !slices.ContainsFunc(g.inputs, func(v *valueProto) bool { return v.name == name }) {
			return nil, fmt.Errorf("the graph has no input %q to make a constant", name)
		}
	}
	if err := c.body(g.nodes, s); err != nil {
		return nil, err
	}
	if len(c.missing.Ops) > 0 {
		if note := c.note(); note != "" {
			c.missing.Note = "Mind the " + note + "; --dim gives others."
		}
		return nil, &c.missing
	}
	return c.write(s)
}

// initializers puts the stored tensors of a graph into its scope.
func (c *converter) initializers(g *graphProto, s *scope) error {
	if g.sparse {
		return errors.New("sparse initializers: export the model with dense weights")
	}
	for _, p := range g.initializers {
		t, _, err := p.tensor(c.options.Dir)
		if err != nil {
			return err
		}
		if p.external != nil {
			c.budget += budgetFactor * int64(len(t.data))
		}
		s.values[p.name] = &value{t: t}
	}
	return nil
}

// input makes an input of the graph.
func (c *converter) input(p *valueProto) (v *value, err error) {
	defer func() { err = caught(recover(), err) }()
	if p.kind != "" && p.kind != "tensor" {
		return nil, fmt.Errorf("it is a %s: only tensors are possible", p.kind)
	}
	typ, err := elemType(p.typ)
	if err != nil {
		return nil, err
	}
	fixed, isConst := c.options.Const[p.name]
	shape := make(format.Shape, len(p.dims))
	for i, d := range p.dims {
		switch {
		case d.known && d.size >= 0 && d.size <= maxElems:
			shape[i] = int(d.size)
		case d.known && d.size != -1: // which old exporters write for unknown
			return nil, fmt.Errorf("dimension %d has the size %d", i, d.size)
		case isConst && len(p.dims) == 1:
			shape[i] = len(fixed)
		default:
			shape[i] = 1
			place := fmt.Sprintf("%s[%d]", p.name, i)
			name := d.name
			if name == "" || name == "?" { // unnamed, as some exporters write it
				name = place
			}
			if n, ok := c.options.Dims[name]; ok {
				shape[i] = n
			}
			if n, ok := c.options.Dims[place]; ok {
				shape[i], name = n, place
			}
			c.notes[name] = shape[i]
		}
	}
	c.hint = p.name
	if n := shape.Elems(); n < 0 || n > maxElems {
		return nil, fmt.Errorf("its shape %v is too large", shape)
	}
	if shape.Elems() == 0 { // there is nothing to feed
		return &value{t: c.constant(narrow(typ), shape, nil)}, nil
	}
	if isConst {
		if len(fixed) != shape.Elems() {
			return nil, fmt.Errorf("%d numbers were given, and it has the shape %v", len(fixed), shape)
		}
		return &value{t: c.numbers(typ, shape, fixed)}, nil
	}
	t := &tensor{name: p.name, typ: typ, shape: shape}
	c.inputs = append(c.inputs, t)
	if narrow(typ) != typ {
		t = c.emit("Cast", nil, format.Float32, nil, t)
	}
	return &value{t: t}, nil
}

// numbers makes a constant of a type from numbers.
func (c *converter) numbers(typ format.DType, shape format.Shape, v []float64) *tensor {
	switch {
	case typ == format.Float64:
		b := make([]byte, 0, 8*len(v))
		for _, x := range v {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
		return c.constant(typ, shape, b)
	case typ.Float():
		f := make([]float32, len(v))
		for i, x := range v {
			f[i] = float32(x)
		}
		return c.floats(shape, f...)
	}
	n := make([]int64, len(v))
	for i, x := range v {
		n[i] = int64(x)
	}
	return c.constant(typ, shape, intBytes(typ, n))
}

// made is a node of the source and what was made for it.
type made struct {
	op, name string
	nodes    []*node
}

// tell fills the trace with the nodes as they are written.
func (c *converter) tell(m *format.Model, names map[*tensor]string) {
	if c.options.Trace == nil {
		return
	}
	by := map[string]*format.Node{} // an output
	for _, n := range m.Main().Nodes {
		for _, out := range n.Outputs {
			by[out] = n
		}
	}
	c.options.Trace.Nodes = nil
	for _, e := range c.made {
		var list []*format.Node
		for _, n := range e.nodes {
			for _, t := range n.out {
				if n := by[names[t]]; t != nil && n != nil && !slices.Contains(list, n) {
					list = append(list, n)
				}
			}
		}
		c.options.Trace.Add(e.op, e.name, list)
	}
}

// body converts nodes in the order of the file, which is topological.
func (c *converter) body(nodes []*nodeProto, s *scope) error {
	for i, n := range nodes {
		if c.steps++; c.steps > maxSteps+4*c.src.nodes {
			return fmt.Errorf("more than %d nodes, those of functions and loops counted every time", maxSteps+4*c.src.nodes)
		}
		if err := c.node(i, n, s); err != nil {
			return fmt.Errorf("node %d %s (%s): %w", i, n.op, nodeName(n), err)
		}
	}
	return nil
}

func nodeName(n *nodeProto) string {
	if n.name != "" || len(n.outputs) == 0 {
		return n.name
	}
	return n.outputs[0]
}

// node converts one node and puts its outputs into the scope.
func (c *converter) node(i int, n *nodeProto, s *scope) error {
	o := &op{converter: c, n: n, scope: s, opset: s.opset}
	known := true
	for _, name := range n.inputs {
		if name == "" {
			o.in = append(o.in, nil)
			continue
		}
		v, ok := s.lookup(name)
		if !ok {
			return fmt.Errorf("input %q is computed by no node before it", name)
		}
		known = known && v != nil
		o.in = append(o.in, v)
	}
	for _, name := range n.outputs {
		if _, dup := s.values[name]; dup && name != "" {
			return fmt.Errorf("output %q already has a value", name)
		}
	}
	if !known { // a node before it could not be converted and is reported
		for _, name := range n.outputs {
			s.values[name] = nil
		}
		return nil
	}
	c.hint = nodeName(n)
	if i := slices.IndexFunc(n.outputs, func(s string) bool { return s != "" }); i >= 0 {
		c.hint = n.outputs[i]
	}
	if c.hint == "" {
		c.hint = n.op
	}
	before := len(c.nodes)
	out, err := o.convert()
	if s.around == nil && s.depth == 0 && before <= len(c.nodes) {
		c.made = append(c.made, made{n.op, nodeName(n), slices.Clone(c.nodes[before:])})
	}
	var u unsupported
	switch {
	case errors.As(err, &u):
		c.missing.Ops = append(c.missing.Ops, build.UnsupportedOp{Op: n.rowName(), Node: i, Output: c.hint, Reason: string(u)})
		out = make([]*value, len(n.outputs))
	case err != nil:
		return err
	}
	for k, name := range n.outputs {
		if name == "" {
			continue
		}
		if k >= len(out) {
			return fmt.Errorf("it has %d outputs, more than %d", len(n.outputs), len(out))
		}
		s.values[name] = out[k]
		if v := out[k]; v != nil && strings.HasPrefix(v.t.name, c.hint+"/") {
			v.t.name = name // the last of the tensors made for it
		}
	}
	return nil
}

// rowName is the key of an operator in rows.
func (n *nodeProto) rowName() string {
	if n.domain == "" {
		return n.op
	}
	return n.domain + "." + n.op
}

// note says which sizes the conversion fixed.
func (c *converter) note() string {
	if len(c.notes) == 0 {
		return ""
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.notes)) {
		list = append(list, fmt.Sprintf("%s=%d", name, c.notes[name]))
	}
	return "symbolic dimensions fixed at " + strings.Join(list, ", ")
}

// write makes the model of what the outputs need.
func (c *converter) write(s *scope) (*format.Model, error) {
	g := c.src.graph
	b := build.New("main")
	w := &writer{b: b, names: map[*tensor]string{}}
	for _, t := range c.inputs {
		t.name = b.Name(t.name)
		w.names[t] = b.Tensor(t.format())
		b.Graph.Inputs = append(b.Graph.Inputs, format.Input{Tensor: t.name})
	}
	if len(g.outputs) == 0 {
		return nil, errors.New("the graph has no outputs")
	}
	var outs []*tensor
	for _, p := range g.outputs {
		v, ok := s.lookup(p.name)
		if !ok {
			return nil, fmt.Errorf("no node computes the graph's output %q", p.name)
		}
		t, err := c.output(v, p, w)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", p.name, err)
		}
		outs = append(outs, t)
	}
	need := map[*tensor]bool{}
	for _, t := range outs {
		need[t] = true
	}
	for _, n := range needed(c.nodes, need) {
		w.node(n)
	}
	for _, t := range outs {
		if w.names[t] == "" {
			w.constant(t)
		}
		b.Graph.Outputs = append(b.Graph.Outputs, w.names[t])
	}
	c.tell(b.Model, w.names)
	return b.Model, nil
}

// needed returns the nodes that the tensors are computed by, in their order.
func needed(all []*node, need map[*tensor]bool) []*node {
	var nodes []*node
	for _, n := range slices.Backward(all) {
		if !slices.ContainsFunc(n.out, func(t *tensor) bool { return t != nil && need[t] }) {
			continue
		}
		nodes = append(nodes, n)
		for _, t := range n.in {
			need[t] = true
		}
	}
	slices.Reverse(nodes)
	return nodes
}

// output makes the tensor of an output: in the source's layout and type, under
// its name.
func (c *converter) output(v *value, p *valueProto, w *writer) (t *tensor, err error) {
	defer func() { err = caught(recover(), err) }()
	c.hint = p.name
	t = c.plain(v)
	live, along := v.live, v.along
	if t.empty() { // room for one, and none of it there
		full := slices.Clone(t.shape)
		along = slices.Index(full, 0)
		full[along] = 1
		if full.Elems() == 0 {
			return nil, fmt.Errorf("several of its dimensions are 0 (shape %v)", t.shape)
		}
		t, live = c.numbers(t.typ, full, make([]float64, full.Elems())), c.scalar(format.Int64, 0)
	}
	if want, err := elemType(p.typ); err == nil && want.Float() && want != t.typ && t.typ.Float() {
		t = c.emit("Cast", nil, want, nil, t)
	}
	if live != nil {
		n := &node{op: "Trim", in: []*tensor{t, live}, attrs: format.Attrs{"axis": int64(along)}}
		t = &tensor{name: p.name, typ: t.typ, shape: t.shape, quant: t.quant, def: n}
		n.out = []*tensor{t}
		c.nodes = append(c.nodes, n)
	}
	switch {
	case w.names[t] == p.name: // an input handed through
		return t, nil
	case t.isConst():
		t = &tensor{name: p.name, typ: t.typ, shape: t.shape, quant: t.quant, data: t.data}
	case w.names[t] != "": // an input, or an output of another name
		t = c.emit("Reshape", format.Attrs{"shape": dims(t.shape)}, t.typ, t.quant, t)
	}
	if t.isConst() {
		t.name = p.name // writer.constant reserves it
		return t, nil
	}
	w.names[t] = w.b.Name(p.name)
	return t, nil
}

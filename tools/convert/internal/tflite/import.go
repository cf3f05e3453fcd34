// Package tflite reads TensorFlow Lite models (.tflite).
//
// Every node of the source becomes a few nodes of whet's graph: fused
// activations, implied reshapes and implied paddings are spelled out. Weights
// keep their bytes: at most they are permuted, never rounded again.
package tflite

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Options settle what a file leaves open.
type Options struct {
	Signature string       // the one whose graph is taken; "": the first graph
	Trace     *build.Trace // what became of each operator, nil if nobody asks
}

// Import converts the .tflite file in b. The constants of the model that it
// returns may point into b. file is the name that errors give.
func Import(file string, b []byte, o Options) (m *format.Model, err error) {
	// The checks of the reader make this unreachable as far as tests and fuzzing
	// know. A fault in them must still not take the program down.
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%s: corrupt file: %v", file, p)
		}
	}()
	m, err = importBytes(b, o)
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
	src, err := decode(b)
	if err != nil {
		return nil, err
	}
	main := 0
	if o.Signature != "" {
		i, ok := src.signatures[o.Signature]
		if !ok || i < 0 || i >= len(src.graphs) {
			return nil, fmt.Errorf("there is no signature %q: the file has %q", o.Signature, slices.Sorted(maps.Keys(src.signatures)))
		}
		main = i
	}
	c := &converter{src: src, graph: src.graphs[main], b: build.New("main"), bodies: &bodies{}, trace: o.Trace}
	if err := c.run(); err != nil {
		return nil, err
	}
	m := c.b.Model
	sum := sha256.Sum256(b)
	m.Header.Source = format.Source{Format: "tflite", SHA256: hex.EncodeToString(sum[:])}
	describe(m, src, b)
	return m, nil
}

// Missing returns the other built-in operators, and why each cannot be converted.
func Missing() map[string]string {
	list := map[string]string{}
	for code, name := range opNames {
		if _, ok := rows[name]; !ok && code != opCustom && name != "DELEGATE" && !strings.HasPrefix(name, "PLACEHOLDER") {
			list[name] = whyNot(name)
		}
	}
	return list
}

// whyNot says why an operator has no row.
func whyNot(name string) string {
	switch {
	case strings.HasPrefix(name, "HASHTABLE") || name == "LSH_PROJECTION" || name == "SKIP_GRAM":
		return "strings and tables are looked up before the model runs: feed it the numbers"
	case strings.HasPrefix(name, "RANDOM") || name == "MULTINOMIAL":
		return "its result is random: feed the numbers as an input"
	case name == "RFFT2D" || name == "IMAG" || name == "REAL" || name == "COMPLEX_ABS":
		return "whet has no complex numbers: describe a spectrum as preprocessing of the model"
	case name == "UNIQUE" || name == "WHERE":
		return "the shape of its result depends on the data: end the model before it"
	case strings.HasPrefix(name, "STABLEHLO"):
		return "export the model with TensorFlow Lite's own operators"
	case name == "LSTM" || name == "RNN" || strings.HasPrefix(name, "BIDIRECTIONAL") || name == "UNIDIRECTIONAL_SEQUENCE_RNN":
		return "convert the Keras model itself (.keras or .h5), whose recurrent layers whet has"
	}
	return "whet has no such operator"
}

// Operators returns the names of the operators that Import converts, sorted.
func Operators() []string {
	return slices.Sorted(maps.Keys(rows))
}

// A converter turns a subgraph of a model into a graph.
type converter struct {
	src   *model
	graph *subgraph
	b     *build.Builder
	trace *build.Trace // of the outermost graph's operators

	names   []string           // of the subgraph's tensors
	added   []bool             // the tensor of that number stands in the model
	defined []bool             // a node, an input or a constant gives its value
	derived map[derived]string // permuted copies of constants

	vars    map[string]*variable    // by shared name
	handles map[int32]*variable     // by the tensor that holds the handle
	cells   map[int32]*format.State // of variable tensors, by tensor

	net    *net.Net                 // for operators that become several ops
	placed map[int32]*format.Tensor // what stands in the model, by tensor

	depth  int // of graphs around this one
	bodies *bodies
}

// derived names a copy of constant tensor i in another layout.
type derived struct {
	i      int32
	layout string
}

// A variable is a resource that VAR_HANDLE names.
type variable struct {
	name  string
	init  *tensor // what the initialization assigned; nil: nothing
	state string  // name of its state in the model, "" before its first use
}

// An unsupported error says why an operator cannot be converted. Conversion
// goes on after one, so that all of them are reported together.
type unsupported string

func (e unsupported) Error() string { return string(e) }

func unsupportedf(format string, a ...any) error { return unsupported(fmt.Sprintf(format, a...)) }

// run converts the main graph.
func (c *converter) run() error {
	c.vars = map[string]*variable{}
	c.handles = map[int32]*variable{}
	c.cells = map[int32]*format.State{}
	if err := c.initialize(); err != nil {
		return err
	}
	return c.convert()
}

func (c *converter) convert() error {
	g := c.graph
	c.nameTensors()
	c.added = make([]bool, len(g.tensors))
	c.defined = make([]bool, len(g.tensors))
	c.derived = map[derived]string{}
	c.net = net.On(c.b)
	c.placed = map[int32]*format.Tensor{}
	for i, t := range g.tensors {
		c.defined[i] = t.data != nil || t.shape.Elems() == 0
	}
	for _, i := range g.inputs {
		if c.defined[i] {
			return fmt.Errorf("graph input %q is a constant, or is listed twice", g.tensors[i].name)
		}
		name, err := c.tensor(i)
		if err != nil {
			return fmt.Errorf("graph input %d: %w", i, err)
		}
		c.defined[i] = true
		c.b.Graph.Inputs = append(c.b.Graph.Inputs, format.Input{Tensor: name})
	}
	var missing build.UnsupportedError
	for _, src := range g.operators {
		o := &op{converter: c, operator: src}
		before := len(c.b.Graph.Nodes)
		err := o.apply()
		c.trace.Add(src.name, o.outputName(), c.b.Graph.Nodes[before:])
		var u unsupported
		switch {
		case errors.As(err, &u):
			missing.Ops = append(missing.Ops, build.UnsupportedOp{
				Op: src.name, Node: src.index, Output: o.outputName(), Reason: string(u),
			})
		case err != nil:
			return o.wrap(err)
		}
		for _, i := range src.outputs { // also of what is unsupported
			c.defined[i] = true
		}
	}
	if len(missing.Ops) > 0 {
		return &missing
	}
	for _, i := range g.outputs {
		if !c.defined[i] {
			return fmt.Errorf("no operator computes graph output %q", c.names[i])
		}
		name, err := c.tensor(i)
		if err != nil {
			return fmt.Errorf("graph output %d: %w", i, err)
		}
		c.b.Graph.Outputs = append(c.b.Graph.Outputs, name)
	}
	return nil
}

// nameTensors gives every tensor a name of its own. The graph's inputs and
// outputs come first, so that theirs are the source's.
func (c *converter) nameTensors() {
	g := c.graph
	c.names = make([]string, len(g.tensors))
	reserve := func(i int32) {
		if c.names[i] != "" {
			return
		}
		name := g.tensors[i].name
		if name == "" {
			name = "t" + strconv.Itoa(int(i))
		}
		c.names[i] = c.b.Name(name)
	}
	for _, i := range g.inputs {
		reserve(i)
	}
	for _, i := range g.outputs {
		reserve(i)
	}
	for i := range g.tensors {
		reserve(int32(i))
	}
}

// tensor returns the name of tensor i, which it adds to the model if it is not
// there yet.
func (c *converter) tensor(i int32) (string, error) {
	t := c.graph.tensors[i]
	if !c.added[i] {
		if t.dtype == format.Invalid {
			return "", unsupportedf("tensor %q has element type %d, which whet does not have", t.name, t.typ)
		}
		x := &format.Tensor{Name: c.names[i], Type: t.dtype, Shape: t.shape, Quant: t.quant, Data: t.data}
		if x.Data == nil && t.shape.Elems() == 0 {
			x.Data = []byte{} // an empty tensor is a constant without bytes
		}
		c.b.Tensor(x)
		c.placed[i] = x
		c.added[i] = true
	}
	return c.names[i], nil
}

// An op is the operator being converted.
type op struct {
	*converter
	*operator
	hint string // what tensors are called after, if not the output
}

func (o *op) outputName() string {
	if o.hint != "" {
		return o.hint
	}
	if len(o.outputs) == 0 {
		return ""
	}
	return o.names[o.outputs[0]]
}

// wrap says which operator err is about.
func (o *op) wrap(err error) error {
	return fmt.Errorf("node %d %s, output %q: %w", o.index, o.name, o.outputName(), err)
}

func (o *op) apply() error {
	row, ok := rows[o.name]
	if !ok {
		return unsupported(whyNot(o.name))
	}
	if len(o.inputs) < row.inputs || len(o.outputs) < row.outputs {
		return fmt.Errorf("%d inputs and %d outputs: it takes %d and %d", len(o.inputs), len(o.outputs), row.inputs, row.outputs)
	}
	for k, i := range o.inputs {
		if i < 0 {
			if k < row.inputs {
				return fmt.Errorf("input %d is absent", k)
			}
			continue
		}
		if t := o.graph.tensors[i]; !o.defined[i] && !t.variable && t.typ != typeResource {
			return fmt.Errorf("input %q is not computed by any operator before it", o.names[i])
		}
	}
	for _, i := range o.outputs {
		if o.defined[i] {
			return fmt.Errorf("output %q already has a value", o.names[i])
		}
		o.defined[i] = true
	}
	if err := row.convert(o); err != nil {
		return err
	}
	return o.src.err()
}

// absent reports whether input k is missing.
func (o *op) absent(k int) bool { return k >= len(o.inputs) || o.inputs[k] < 0 }

// in is the source tensor of input k, which must be there.
func (o *op) in(k int) *tensor { return o.graph.tensors[o.inputs[k]] }

// out is the source tensor of output k.
func (o *op) out(k int) *tensor { return o.graph.tensors[o.outputs[k]] }

// input returns the name of input k: "" if it is absent.
func (o *op) input(k int) (string, error) {
	if o.absent(k) {
		return "", nil
	}
	if o.in(k).variable {
		return "", unsupportedf("input %q is a variable tensor: only recurrent operators may read one", o.names[o.inputs[k]])
	}
	return o.tensor(o.inputs[k])
}

// inputList is input for a range of inputs; absent ones at the end are dropped.
func (o *op) inputList(from, to int) ([]string, error) {
	var out []string
	for k := from; k < to; k++ {
		s, err := o.input(k)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out, nil
}

// ints returns the value of input k, which must be an integer constant.
func (o *op) ints(k int) ([]int64, error) {
	t := o.in(k)
	if t.data == nil && t.shape.Elems() != 0 {
		return nil, unsupportedf("input %q must be a constant: export the model with fixed shapes", t.name)
	}
	v, ok := integers(t)
	if !ok {
		return nil, fmt.Errorf("input %q is of type %v, not an integer", t.name, t.dtype)
	}
	return v, nil
}

// int is ints for a single number.
func (o *op) int(k int) (int64, error) {
	v, err := o.ints(k)
	if err != nil {
		return 0, err
	}
	if len(v) != 1 {
		return 0, fmt.Errorf("input %q has %d elements, not one", o.in(k).name, len(v))
	}
	return v[0], nil
}

// emit adds node name whose first output becomes output 0 of the operator after
// the activation act, and after a reshape if shape, the node's own, is not that
// of the output. more are the node's other outputs.
func (o *op) emit(name string, inputs []string, attrs format.Attrs, shape format.Shape, act int8, more ...string) error {
	out := o.out(0)
	final, err := o.tensor(o.outputs[0])
	if err != nil {
		return err
	}
	type step struct {
		op, suffix string
		attrs      format.Attrs
	}
	steps := []step{{name, "linear", attrs}}
	switch act {
	case actNone:
	case actRelu:
		steps = append(steps, step{"Relu", "flat", nil})
	case actRelu6:
		steps = append(steps, step{"Clip", "flat", clip(0, 6)})
	case actReluN1:
		steps = append(steps, step{"Clip", "flat", clip(-1, 1)})
	case actTanh:
		if !out.dtype.Float() {
			return unsupportedf("a fused TANH on %v: only float32 is possible", out.dtype)
		}
		steps = append(steps, step{"Tanh", "flat", nil})
	default:
		return unsupportedf("fused activation %d", act)
	}
	if !shape.Equal(out.shape) {
		if shape.Elems() != out.shape.Elems() {
			return fmt.Errorf("computes shape %v, the file says %v", shape, out.shape)
		}
		steps = append(steps, step{"Reshape", "", format.Attrs{"shape": build.Ints(out.shape...)}})
	}
	for i, s := range steps {
		y := final
		if i < len(steps)-1 {
			y = o.b.New(final+"/"+s.suffix, out.dtype, shape, out.quant)
		}
		outputs := []string{y}
		if i == 0 {
			outputs = append(outputs, more...)
		}
		o.b.Node("", s.op, inputs, outputs, s.attrs)
		inputs = []string{y}
	}
	return nil
}

func clip(lo, hi float64) format.Attrs { return format.Attrs{"min": lo, "max": hi} }

// reshape adds a Reshape of tensor name, like t but for its shape, and returns
// the result's name. It adds nothing if t has that shape.
func (o *op) reshape(name string, t *tensor, shape format.Shape) (string, error) {
	if t.shape.Equal(shape) {
		return name, nil
	}
	if t.shape.Elems() != shape.Elems() {
		return "", fmt.Errorf("%q of shape %v cannot be seen as %v", name, t.shape, shape)
	}
	y := o.b.New(name+"/reshape", t.dtype, shape, t.quant)
	o.b.Node("", "Reshape", []string{name}, []string{y}, format.Attrs{"shape": build.Ints(shape...)})
	return y, nil
}

// requantize adds a Requantize of input k to the quantization of out if it has
// another, and returns the result's name. Operators that only move data keep
// their inputs' codes in whet, while TensorFlow Lite lets some of them rescale.
func (o *op) requantize(k int, out *tensor) (string, error) {
	name, err := o.input(k)
	if err != nil {
		return "", err
	}
	t := o.in(k)
	if sameQuant(t.quant, out.quant) {
		return name, nil
	}
	if t.quant == nil || out.quant == nil {
		return "", fmt.Errorf("input %q and output %q: only one of them is quantized", t.name, out.name)
	}
	y := o.b.New(name+"/requantized", out.dtype, t.shape, out.quant)
	o.b.Node("", "Requantize", []string{name}, []string{y}, nil)
	return y, nil
}

func sameQuant(a, b *format.Quant) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Scale, b.Scale) && slices.Equal(a.Zero, b.Zero) && a.Axis == b.Axis
}

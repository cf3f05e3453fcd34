package format

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A CheckError says what is wrong with a model, and where.
type CheckError struct {
	Node string // "" when the fault is not a node's
	Op   string
	Msg  string
}

func (e *CheckError) Error() string {
	if e.Node == "" && e.Op == "" {
		return "format: " + e.Msg
	}
	return fmt.Sprintf("format: node %q (%s): %s", e.Node, e.Op, e.Msg)
}

// maxGraphDepth bounds how deep graphs may call graphs.
const maxGraphDepth = 32

// maxName is the longest name in bytes.
const maxName = 4096

// Check validates a model as a whole: names, types, shapes, quantization, the
// length and finiteness of constants, attributes, the order of nodes, calls of
// graphs, and the shape of every tensor against what the ops make of their
// inputs. Quantized layers whose 32-bit sums could overflow are refused.
//
// The error is a *[CheckError]. A model that passed can be written, and compiled
// as far as the runtime has kernels for its ops and types.
func Check(m *Model) error {
	err := newChecker(m).check()
	if err == nil {
		return nil
	}
	if e := (*CheckError)(nil); errors.As(err, &e) {
		return e
	}
	return &CheckError{Msg: err.Error()}
}

type checker struct {
	m       *Model
	tensors map[string]*Tensor
	states  map[string]*State
	graphs  map[string]*Graph
	nodes   map[string]*Node
	source  map[string]definer // who defines a tensor that is not constant
}

// A definer is a node, or a graph by its inputs.
type definer struct{ what, name string }

func (d definer) String() string { return fmt.Sprintf("%s %q", d.what, d.name) }

func newChecker(m *Model) *checker {
	return &checker{m: m,
		tensors: make(map[string]*Tensor, len(m.Tensors)),
		states:  make(map[string]*State, len(m.States)),
		graphs:  make(map[string]*Graph, len(m.Graphs)),
		nodes:   map[string]*Node{},
		source:  map[string]definer{},
	}
}

func (k *checker) check() error {
	m := k.m
	if len(m.Graphs) == 0 {
		return errors.New("the model has no graph")
	}
	seen := map[string]bool{}
	for _, s := range m.Symbols {
		if err := checkName("symbol", s); err != nil {
			return err
		}
		if seen[s] {
			return fmt.Errorf("two symbols are named %q", s)
		}
		seen[s] = true
	}
	for _, t := range m.Tensors {
		if t == nil {
			return errors.New("a tensor is nil")
		}
		if err := add(k.tensors, "tensor", t.Name, t); err != nil {
			return err
		}
		if err := k.value(t.Type, t.Shape, t.Quant, t.Data, t.Const()); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	for _, s := range m.States {
		if s == nil {
			return errors.New("a state is nil")
		}
		if err := add(k.states, "state", s.Name, s); err != nil {
			return err
		}
		if !s.Shape.Static() {
			return fmt.Errorf("state %q has a symbolic dimension", s.Name)
		}
		if err := k.value(s.Type, s.Shape, s.Quant, s.Init, s.Init != nil); err != nil {
			return fmt.Errorf("state %q: %w", s.Name, err)
		}
	}
	for _, g := range m.Graphs {
		if g == nil {
			return errors.New("a graph is nil")
		}
		if err := add(k.graphs, "graph", g.Name, g); err != nil {
			return err
		}
	}
	for _, g := range m.Graphs {
		if err := k.graph(g); err != nil {
			return err
		}
	}
	known := map[*Graph]int{}
	for _, g := range m.Graphs {
		if _, err := k.depth(g, known); err != nil {
			return err
		}
	}
	return k.header()
}

func add[T any](table map[string]T, what, name string, v T) error {
	if err := checkName(what, name); err != nil {
		return err
	}
	if _, dup := table[name]; dup {
		return fmt.Errorf("two %ss are named %q: rename one", what, name)
	}
	table[name] = v
	return nil
}

func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a %s has no name", what)
	case len(name) > maxName:
		return fmt.Errorf("the name of a %s is %d bytes long, more than %d: %.40q…", what, len(name), maxName, name)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name of a %s is not UTF-8: %q", what, name)
	}
	return nil
}

// value checks what tensors and states share.
func (k *checker) value(t DType, s Shape, q *Quant, data []byte, has bool) error {
	if t == Invalid || t >= numDTypes {
		return fmt.Errorf("it has no valid type (%v)", t)
	}
	if len(s) > maxRank {
		return fmt.Errorf("it has %d dimensions, more than %d", len(s), maxRank)
	}
	for _, d := range s {
		if d == 0 || d > MaxDim || d < -len(k.m.Symbols) {
			return fmt.Errorf("shape %v: dimension %d is neither within 1..%d nor a symbol of the model", s, d, MaxDim)
		}
	}
	n := s.Elems()
	if n < 0 && s.Static() {
		return fmt.Errorf("shape %v has too many elements", s)
	}
	if q != nil {
		if err := checkQuant(q, t, s); err != nil {
			return err
		}
	}
	if !has {
		return nil
	}
	if n < 0 {
		return errors.New("it has data and a symbolic dimension")
	}
	if want := t.Bytes(n); len(data) != want {
		return fmt.Errorf("%d bytes of data, but %v%v takes %d", len(data), t, []int(s), want)
	}
	return checkData(t, n, data)
}

// intRange returns the least and greatest value of an integer type of at most
// 32 bits, which is what a zero point must be within; int64 counts as int32.
func intRange(t DType) (lo, hi int64, ok bool) {
	switch t {
	case Int4, Int8, Int16, Int32:
		b := t.Bits() - 1
		return -1 << b, 1<<b - 1, true
	case Uint4, Uint8, Uint16:
		return 0, 1<<t.Bits() - 1, true
	case Int64:
		return math.MinInt32, math.MaxInt32, true
	}
	return 0, 0, false
}

func checkQuant(q *Quant, t DType, s Shape) error {
	lo, hi, ok := intRange(t)
	if !ok {
		return fmt.Errorf("a tensor of type %v cannot be quantized", t)
	}
	want := 1
	switch {
	case q.Block < 0:
		return fmt.Errorf("quantization: the block size %d is negative", q.Block)
	case q.Block > 0:
		if len(s) == 0 || !s.Static() {
			return fmt.Errorf("quantization in blocks needs a static innermost dimension, not the shape %v", s)
		}
		inner := s[len(s)-1]
		want = (inner-1)/q.Block + 1
		want *= s.Elems() / inner
	case len(q.Scale) != 1:
		if q.Axis < 0 || q.Axis >= len(s) || s[q.Axis] < 0 {
			return fmt.Errorf("quantization axis %d is not one of the shape %v", q.Axis, s)
		}
		want = s[q.Axis]
	case q.Axis < 0 || q.Axis > max(len(s)-1, 0):
		return fmt.Errorf("quantization axis %d is not one of the shape %v", q.Axis, s)
	}
	if len(q.Scale) != want {
		return fmt.Errorf("quantization has %d scales for %d channels or blocks", len(q.Scale), want)
	}
	if n := len(q.Zero); n != 0 && n != want {
		return fmt.Errorf("quantization has %d zero points and %d scales", n, want)
	}
	for _, f := range q.Scale {
		if !(f > 0) || f > math.MaxFloat32 {
			return fmt.Errorf("quantization scale %g is not a positive finite number", f)
		}
	}
	for _, z := range q.Zero {
		if int64(z) < lo || int64(z) > hi {
			return fmt.Errorf("quantization zero point %d is outside %v", z, t)
		}
	}
	return nil
}

// checkData refuses values that have no meaning: floats that are not finite
// (kernels skip padded taps, which is multiplying by zero only for finite
// weights), bools other than 0 and 1, and garbage in the last byte's spare bits.
func checkData(t DType, n int, data []byte) error {
	var width, exponent int // bytes of an element, and its exponent bits in the two highest bytes
	switch t {
	case Float64:
		width, exponent = 8, 0x7ff0
	case Float32:
		width, exponent = 4, 0x7f80
	case BFloat16:
		width, exponent = 2, 0x7f80
	case Float16:
		width, exponent = 2, 0x7c00
	case Bool:
		for i, b := range data {
			if b > 1 {
				return fmt.Errorf("element %d of bool data is %d", i, b)
			}
		}
		return nil
	case Int4, Uint4:
		if n%2 == 1 && data[n/2]>>4 != 0 {
			return errors.New("the unused high bits of the last byte are not zero")
		}
		return nil
	default:
		return nil
	}
	for i := width - 2; i < len(data); i += width {
		if (int(data[i])|int(data[i+1])<<8)&exponent == exponent {
			return fmt.Errorf("element %d of its data is not a finite number", i/width)
		}
	}
	return nil
}

func (k *checker) graph(g *Graph) error {
	defined := make(map[string]bool, len(g.Inputs)+len(g.Nodes))
	define := func(name string, by definer) error {
		t := k.tensors[name]
		switch {
		case t == nil:
			return fmt.Errorf("tensor %q is not in the model's table", name)
		case t.Const():
			return fmt.Errorf("tensor %q is a constant", name)
		case k.source[name] != definer{}:
			return fmt.Errorf("tensor %q is already defined by %s", name, k.source[name])
		}
		k.source[name] = by
		defined[name] = true
		return nil
	}
	use := func(name string) (*Tensor, error) {
		t := k.tensors[name]
		switch {
		case t == nil:
			return nil, fmt.Errorf("tensor %q is not in the model's table", name)
		case t.Const() || defined[name]:
			return t, nil
		case k.source[name] != definer{}:
			return nil, fmt.Errorf("tensor %q belongs to another graph (%s): pass it as an input", name, k.source[name])
		}
		return nil, fmt.Errorf("tensor %q is used before a node defines it: order the nodes, and break the cycle if there is one", name)
	}
	for _, in := range g.Inputs {
		if err := define(in.Tensor, definer{"input of graph", g.Name}); err != nil {
			return fmt.Errorf("input of graph %q: %w", g.Name, err)
		}
	}
	for _, n := range g.Nodes {
		if n == nil {
			return fmt.Errorf("graph %q has a nil node", g.Name)
		}
		if err := k.node(n, use, define); err != nil {
			return &CheckError{Node: n.Name, Op: n.Op, Msg: err.Error()}
		}
	}
	if len(g.Outputs) == 0 {
		return fmt.Errorf("graph %q has no output", g.Name)
	}
	for _, name := range g.Outputs {
		if _, err := use(name); err != nil {
			return fmt.Errorf("output of graph %q: %w", g.Name, err)
		}
	}
	return nil
}

func (k *checker) node(n *Node, use func(string) (*Tensor, error), define func(string, definer) error) error {
	if err := add(k.nodes, "node", n.Name, n); err != nil {
		return err
	}
	spec, ok := Ops[n.Op]
	if !ok {
		return fmt.Errorf("unknown op%s", nearest(n.Op))
	}
	if c, lo, hi := len(n.Inputs), spec.MinInputs(), spec.MaxInputs(); c < lo || hi >= 0 && c > hi {
		return fmt.Errorf("it has %d inputs and takes %s", c, span(lo, hi))
	}
	if c, lo, hi := len(n.Outputs), spec.MinOutputs(), spec.MaxOutputs(); c < lo || hi >= 0 && c > hi {
		return fmt.Errorf("it has %d outputs and gives %s", c, span(lo, hi))
	}
	if err := spec.checkAttrs(k, n); err != nil {
		return err
	}
	in := make([]*Tensor, len(n.Inputs))
	for i, name := range n.Inputs {
		if name == "" {
			if !optional(spec.Inputs, i) {
				return fmt.Errorf("input %d (%s) is missing", i, spec.Inputs[min(i, len(spec.Inputs)-1)])
			}
			continue
		}
		t, err := use(name)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		in[i] = t
	}
	out := make([]*Tensor, len(n.Outputs))
	for i, name := range n.Outputs {
		if name == "" {
			if !optional(spec.Outputs, i) {
				return fmt.Errorf("output %d (%s) is missing", i, spec.Outputs[min(i, len(spec.Outputs)-1)])
			}
			continue
		}
		if err := define(name, definer{"node", n.Name}); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		out[i] = k.tensors[name]
	}
	c := &call{attrs: spec.Resolve(n.Attrs), in: in, state: k.states[n.Attrs.Str("state", "")]}
	if err := spec.checkTypes(in, out); err != nil {
		return err
	}
	c.graph, c.out = k.ports(n), out
	shapes, err := spec.shapes(c)
	if err != nil {
		return err
	}
	if len(out) > len(shapes) || len(shapes) > len(out) && !optional(spec.Outputs, len(shapes)-1) {
		return fmt.Errorf("it has %d outputs and its attributes make %d", len(out), len(shapes))
	}
	for i, t := range out {
		if t != nil && !t.Shape.Equal(shapes[i]) {
			return fmt.Errorf("output %d (tensor %q) has the shape %v, but the op makes %v", i, t.Name, t.Shape, shapes[i])
		}
	}
	for _, p := range c.same {
		if a, b := in[p[0]], out[p[1]]; b != nil && !b.Quant.Equal(a.Quant) {
			return fmt.Errorf("output %d (tensor %q) needs the quantization of input %d (tensor %q)", p[1], b.Name, p[0], a.Name)
		}
	}
	if s := c.state; s != nil {
		for _, t := range slices.Concat(in, out) {
			if t.Type != s.Type || !t.Quant.Equal(s.Quant) {
				return fmt.Errorf("tensor %q and state %q differ in type or quantization", t.Name, s.Name)
			}
		}
	}
	return checkSums(n.Op, in, out)
}

// checkAttrs refuses attributes that the op does not have, those of the wrong
// kind, and missing ones. k may be nil: then references are not followed.
func (s *OpSpec) checkAttrs(k *checker, n *Node) error {
	for _, name := range slices.Sorted(maps.Keys(n.Attrs)) {
		a := s.Attr(name)
		if a == nil {
			return fmt.Errorf("unknown attribute %q: %s has %s", name, s.Name, s.attrNames())
		}
		if err := a.check(k, n.Attrs[name]); err != nil {
			return fmt.Errorf("attribute %q %w", name, err)
		}
	}
	for i := range s.Attrs {
		if a := &s.Attrs[i]; a.Required && n.Attrs[a.Name] == nil {
			return fmt.Errorf("attribute %q (%v) is missing", a.Name, a.Kind)
		}
	}
	return nil
}

func (s *OpSpec) attrNames() string {
	if len(s.Attrs) == 0 {
		return "none"
	}
	var names []string
	for _, a := range s.Attrs {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

func (a *AttrSpec) check(k *checker, v any) error {
	bad := fmt.Errorf("is %v (%T) and must be %v", v, v, a.Kind)
	switch a.Kind {
	case KindInt:
		i, ok := v.(int64)
		if !ok {
			return bad
		}
		if a.Ints != nil && !slices.Contains(a.Ints, i) {
			return fmt.Errorf("is %d and must be one of %v", i, a.Ints)
		}
	case KindFloat:
		f, ok := v.(float64)
		if !ok || !finite(f) {
			return bad
		}
	case KindBool:
		if _, ok := v.(bool); !ok {
			return bad
		}
	case KindInts:
		l, ok := v.([]int64)
		if !ok {
			return bad
		}
		if a.Len > 0 && len(l) != a.Len {
			return fmt.Errorf("is %v and must have %d entries", l, a.Len)
		}
	case KindFloats:
		l, ok := v.([]float64)
		if !ok || !finite(l...) {
			return bad
		}
		if a.Len > 0 && len(l) != a.Len {
			return fmt.Errorf("is %v and must have %d entries", l, a.Len)
		}
	default:
		s, ok := v.(string)
		switch {
		case !ok || checkText("attribute", s) != nil:
			return bad
		case a.Strings != nil && !slices.Contains(a.Strings, s):
			return fmt.Errorf("is %q and must be one of %q", s, a.Strings)
		case k == nil:
		case a.Kind == KindGraph && k.graphs[s] == nil:
			return fmt.Errorf("names the graph %q, which the model does not have", s)
		case a.Kind == KindStateRef && k.states[s] == nil:
			return fmt.Errorf("names the state %q, which the model does not have", s)
		}
	}
	return nil
}

func finite(list ...float64) bool {
	for _, f := range list {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return true
}

// Equal reports whether both say the same. nil means not quantized; no zero
// points and zeros are the same, and the axis counts only where there are
// several scales.
func (q *Quant) Equal(r *Quant) bool {
	if q == nil || r == nil {
		return q == r
	}
	if !slices.Equal(q.Scale, r.Scale) || q.Block != r.Block || len(q.Scale) > 1 && q.Axis != r.Axis {
		return false
	}
	for i := range q.Scale {
		if q.zeroAt(i) != r.zeroAt(i) {
			return false
		}
	}
	return true
}

func (q *Quant) zeroAt(i int) int32 {
	if len(q.Zero) == 0 {
		return 0
	}
	return q.Zero[i]
}

// ports returns the tensors at the edges of the graphs that a node calls.
func (k *checker) ports(n *Node) graphOf {
	return func(attr string) (in, out []*Tensor) {
		g := k.graphs[n.Attrs.Str(attr, "")]
		for _, i := range g.Inputs {
			in = append(in, k.tensors[i.Tensor])
		}
		for _, name := range g.Outputs {
			out = append(out, k.tensors[name])
		}
		if slices.Contains(in, nil) || slices.Contains(out, nil) {
			panic(ruleError(fmt.Sprintf("graph %q has inputs or outputs that are not in the model's table", g.Name)))
		}
		return in, out
	}
}

// depth returns how many graphs deep the calls of a graph go, itself included.
// known remembers the answers; 0 in it marks a graph whose calls are being followed.
func (k *checker) depth(g *Graph, known map[*Graph]int) (int, error) {
	if d, ok := known[g]; ok {
		if d == 0 {
			return 0, fmt.Errorf("graph %q calls itself", g.Name)
		}
		return d, nil
	}
	known[g] = 0
	deepest := 0
	for _, n := range g.Nodes {
		for _, a := range Ops[n.Op].Attrs {
			if a.Kind != KindGraph || n.Attrs[a.Name] == nil {
				continue
			}
			d, err := k.depth(k.graphs[n.Attrs.Str(a.Name, "")], known)
			if err != nil {
				return 0, err
			}
			deepest = max(deepest, d)
		}
	}
	if deepest+1 > maxGraphDepth {
		return 0, fmt.Errorf("graph %q calls graphs nested deeper than %d", g.Name, maxGraphDepth)
	}
	known[g] = deepest + 1
	return deepest + 1, nil
}

func (k *checker) header() error {
	h := &k.m.Header
	if h.Opset < 0 || h.Opset > Opset {
		return fmt.Errorf("the model needs opset %d and this program knows up to %d: use a newer version", h.Opset, Opset)
	}
	texts := []string{h.Source.Format, h.Source.SHA256, h.Source.Tool, h.Source.Note}
	for k, v := range h.Card {
		texts = append(texts, k, v)
	}
	if err := checkText("source and card", texts...); err != nil {
		return err
	}
	if err := checkText("labels", h.Labels...); err != nil {
		return err
	}
	if h.PeakBytes < 0 {
		return fmt.Errorf("peak memory of %d bytes", h.PeakBytes)
	}
	for _, name := range h.Tunable {
		if k.nodes[name] == nil {
			return fmt.Errorf("the header lists the tunable node %q, which the model does not have", name)
		}
	}
	var inputs []string
	for _, in := range k.m.Main().Inputs {
		inputs = append(inputs, in.Tensor)
	}
	for _, t := range []struct {
		what  string
		steps []Transform
		names []string
	}{{"preprocessing", h.Pre, inputs}, {"postprocessing", h.Post, k.m.Main().Outputs}} {
		for _, s := range t.steps {
			if !slices.Contains(t.names, s.Tensor) {
				return fmt.Errorf("%s step %q is for tensor %q; the graph has %q", t.what, s.Op, s.Tensor, t.names)
			}
			if err := checkText(t.what, s.Op); err != nil {
				return err
			}
			if err := checkFree(s.Attrs); err != nil {
				return fmt.Errorf("%s step %q: %w", t.what, s.Op, err)
			}
		}
	}
	if err := checkDynamic(&h.Dynamic); err != nil {
		return err
	}
	for name, v := range h.Metrics {
		if err := checkText("metrics", name); err != nil {
			return err
		}
		if !finite(v) {
			return fmt.Errorf("metric %q is %g", name, v)
		}
	}
	return nil
}

// maxText is the longest text that readers take by default.
const maxText = 64 << 10

func checkText(what string, texts ...string) error {
	for _, s := range texts {
		if len(s) > maxText || !utf8.ValidString(s) {
			return fmt.Errorf("%s: a text is longer than %d bytes or not UTF-8: %.40q", what, maxText, s)
		}
	}
	return nil
}

// checkFree checks attributes that no table describes. Nothing but the table tells
// the kind of an empty list, so there must be none.
func checkFree(a Attrs) error {
	for name, v := range a {
		if err := checkText("name of an attribute", name); err != nil {
			return err
		}
		ok := false
		switch v := v.(type) {
		case int64, bool:
			ok = true
		case string:
			ok = checkText("attribute", v) == nil
		case float64:
			ok = finite(v)
		case []int64:
			ok = len(v) > 0
		case []float64:
			ok = len(v) > 0 && finite(v...)
		case []string:
			ok = len(v) > 0
			for _, text := range v {
				ok = ok && checkText("attribute", text) == nil
			}
		}
		if !ok {
			return fmt.Errorf("attribute %q is %.200v (%T), which no file can hold", name, v, v)
		}
	}
	return nil
}

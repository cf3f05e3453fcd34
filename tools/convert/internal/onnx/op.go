package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// An op is the node being converted.
type op struct {
	*converter
	n     *nodeProto
	scope *scope
	opset int64
	in    []*value // nil: absent
}

// A row says how one operator is converted, and how many inputs it needs for
// that at least.
type row struct {
	inputs  int
	convert func(*op) []*value
}

// rows are the operators that can be converted, by name. The families add
// theirs in the files ops_*.go.
var rows = map[string]row{}

func register(list map[string]row) {
	for name, r := range list {
		if _, dup := rows[name]; dup {
			panic("onnx: two rows for " + name)
		}
		rows[name] = r
	}
}

func (o *op) convert() (out []*value, err error) {
	defer func() { err = caught(recover(), err) }()
	r, ok := rows[o.n.rowName()]
	if !ok {
		if f := o.functions[o.n.domain+"."+o.n.op]; f != nil {
			return o.call(f)
		}
		return nil, unsupported(whyNot(o.n.op))
	}
	if len(o.in) < r.inputs || slices.Contains(o.in[:r.inputs], nil) {
		return nil, fmt.Errorf("it needs %d inputs", r.inputs)
	}
	if slices.ContainsFunc(o.in, func(v *value) bool { return v != nil && v.live != nil }) {
		return o.convertLive(r), nil
	}
	return r.convert(o), nil
}

// whyNot says why an operator has no row.
func whyNot(op string) string {
	switch {
	case strings.HasPrefix(op, "Random") || op == "Multinomial" || op == "Bernoulli":
		return "its result is random: feed the numbers as an input"
	case strings.HasPrefix(op, "Sequence") || strings.HasSuffix(op, "Sequence") && op != "ReverseSequence" || strings.HasPrefix(op, "Optional"):
		return "whet has tensors only, no sequences and no optional values"
	case slices.Contains([]string{"Adagrad", "Adam", "Gradient", "Momentum"}, op):
		return "it trains; whet trains with whet tune"
	case op == "ImageDecoder":
		return "pictures are decoded before the model runs"
	case strings.HasPrefix(op, "String") || op == "RegexFullMatch" || op == "LabelEncoder":
		return "whet has no texts in tensors"
	case strings.HasPrefix(op, "Bitwise"):
		return "whet has no arithmetic on bits: compute it outside the model"
	case op == "TensorScatter":
		return "write the cache with ScatterND"
	case op == "CausalConvWithState" || op == "LinearAttention":
		return "export the model with an opset below 27, which writes it out"
	}
	return "whet has no such operator"
}

// call expands a function of the file.
func (o *op) call(f *functionProto) ([]*value, error) {
	s := &scope{values: map[string]*value{}, opset: o.opset, attrs: map[string]*attrProto{}, depth: o.scope.depth + 1}
	if s.depth > maxDepth {
		return nil, fmt.Errorf("functions call each other deeper than %d", maxDepth)
	}
	if v, ok := f.opsets[""]; ok {
		s.opset = v
	}
	for _, a := range f.defaults {
		s.attrs[a.name] = a
	}
	for _, a := range o.n.attrs {
		s.attrs[a.name] = o.resolve(a)
	}
	for i, name := range f.inputs {
		if i < len(o.in) && o.in[i] != nil {
			s.values[name] = o.in[i]
		}
	}
	return o.inline(f.nodes, f.outputs, s)
}

// inline converts the nodes of a body and returns its outputs.
func (o *op) inline(nodes []*nodeProto, outputs []string, s *scope) ([]*value, error) {
	hint := o.hint
	if err := o.body(nodes, s); err != nil {
		return nil, err
	}
	o.converter.hint = hint
	var out []*value
	for _, name := range outputs {
		v, ok := s.lookup(name)
		if !ok {
			return nil, fmt.Errorf("no node computes the output %q of its body", name)
		}
		out = append(out, v)
	}
	return out, nil
}

// resolve follows an attribute that stands for one of the function's.
func (o *op) resolve(a *attrProto) *attrProto {
	if a.ref == "" {
		return a
	}
	return o.scope.attrs[a.ref]
}

// attr returns an attribute, nil if it is absent.
func (o *op) attr(name string) *attrProto {
	for _, a := range o.n.attrs {
		if a.name == name {
			return o.resolve(a)
		}
	}
	return nil
}

func (o *op) int(name string, def int64) int64 {
	if a := o.attr(name); a != nil {
		return a.i
	}
	return def
}

func (o *op) float(name string, def float64) float64 {
	if a := o.attr(name); a != nil {
		return float64(a.f)
	}
	return def
}

func (o *op) str(name, def string) string {
	if a := o.attr(name); a != nil {
		return string(a.s)
	}
	return def
}

// ints returns a list of integers, nil if it is absent.
func (o *op) ints(name string) []int64 {
	if a := o.attr(name); a != nil {
		return a.ints
	}
	return nil
}

// has reports whether input k is there.
func (o *op) has(k int) bool { return k < len(o.in) && o.in[k] != nil }

// wants reports whether output k is used.
func (o *op) wants(k int) bool { return k < len(o.n.outputs) && o.n.outputs[k] != "" }

// fixed returns input k, which must be a constant.
func (o *op) fixed(k int, why string) *tensor {
	t := o.plain(o.in[k])
	if !t.isConst() {
		var mend strings.Builder
		for _, name := range o.sources(t) {
			mend.WriteString(fmt.Sprintf(" --const %s=VALUE", name))
		}
		o.fail("input %q must be a constant: %s. Export the model with it fixed, or fix what it is computed from:%s", o.n.inputs[k], why, mend.String())
	}
	return t
}

// sources returns the names of the graph's inputs that a tensor is computed from.
func (c *converter) sources(t *tensor) []string {
	var names []string
	seen := map[*tensor]bool{}
	list := []*tensor{t}
	for len(list) > 0 {
		t, list = list[0], list[1:]
		if t == nil || seen[t] || t.isConst() {
			continue
		}
		seen[t] = true
		if t.def == nil {
			names = append(names, t.name)
			continue
		}
		list = append(list, t.def.in...)
	}
	return names
}

// fixedInts returns the integers of input k, nil if it is absent.
func (o *op) fixedInts(k int) []int64 {
	if !o.has(k) {
		return nil
	}
	t := o.fixed(k, "the shape of the result depends on it")
	v, ok := integers(t)
	if !ok {
		o.fail("input %q is of type %v, not an integer", o.n.inputs[k], t.typ)
	}
	if v == nil {
		v = []int64{}
	}
	return v
}

// fixedInt is fixedInts for one number.
func (o *op) fixedInt(k int, def int64) int64 {
	if !o.has(k) {
		return def
	}
	v := o.fixedInts(k)
	if len(v) != 1 {
		o.fail("input %q has %d elements, not one", o.n.inputs[k], len(v))
	}
	return v[0]
}

// fixedFloats returns the floats of input k, nil if it is absent or empty.
func (o *op) fixedFloats(k int) []float32 {
	if !o.has(k) {
		return nil
	}
	t := o.fixed(k, "its value is built into the kernel")
	if !t.typ.Float() {
		o.fail("input %q is of type %v, not a float", o.n.inputs[k], t.typ)
	}
	return float32s(o.cast(&value{t: t}, format.Float32).t)
}

// axis makes an axis counted from the end one counted from the start.
func (o *op) axis(a int64, rank int) int {
	if a < -int64(rank) || a >= int64(rank) {
		o.fail("axis %d of a tensor of rank %d", a, rank)
	}
	if a < 0 {
		a += int64(rank)
	}
	return int(a)
}

// axes is axis for a list, each of which may occur once.
func (o *op) axes(list []int64, rank int) []int {
	out := make([]int, len(list))
	for i, a := range list {
		out[i] = o.axis(a, rank)
		if slices.Contains(out[:i], out[i]) {
			o.fail("axes %v name an axis twice", list)
		}
	}
	return out
}

// axesOf returns the axes from an attribute, or from input k as later opsets
// have it; nil if neither is there.
func (o *op) axesOf(name string, k int) []int64 {
	if a := o.attr(name); a != nil {
		return slices.Concat([]int64{}, a.ints)
	}
	return o.fixedInts(k)
}

// result makes the outputs of an op with one.
func result(v *value) []*value { return []*value{v} }

// plainResult is result for a tensor in the source's layout.
func plainResult(t *tensor) []*value { return []*value{{t: t}} }

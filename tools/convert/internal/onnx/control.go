package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Branches and loops. What is known during the conversion is settled there: the
// branch that a constant condition names, the rounds of a short loop one after
// another. The rest becomes a node that calls graphs of the model.

func init() {
	register(map[string]row{"If": {1, ifElse}, "Loop": {0, loop}, "Scan": {0, scan}})
}

// A subgraph is the body of a branch or loop. All that it takes from around itself
// is an input.
type subgraph struct {
	attr    string // of the node that calls it
	params  []*tensor
	outs    []*tensor
	nodes   []*node
	outside []*tensor // what the inputs behind those that convert got stand for
}

// child is a scope inside of the node's, with the stored tensors of a graph.
func (o *op) child(g *graphProto) *scope {
	s := &scope{values: map[string]*value{}, around: o.scope, opset: o.opset, attrs: o.scope.attrs, depth: o.scope.depth + 1}
	if s.depth > maxDepth {
		o.fail("graphs are nested deeper than %d", maxDepth)
	}
	if err := o.initializers(g, s); err != nil {
		o.fail("%v", err)
	}
	return s
}

// graph returns the graph of an attribute.
func (o *op) graph(name string) *graphProto {
	a := o.attr(name)
	if a == nil || a.g == nil {
		o.fail("it has no %s", name)
	}
	return a.g
}

// inlined converts the nodes of a graph where the node stands, with values for its
// inputs (nil for those that it has not to know).
func (o *op) inlined(attr string, g *graphProto, given []*value) []*value {
	s := o.child(g)
	if len(given) > len(g.inputs) {
		o.fail("its %s takes %d values, not %d", attr, len(g.inputs), len(given))
	}
	for i, v := range given {
		s.values[g.inputs[i].name] = v
	}
	var names []string
	for _, p := range g.outputs {
		names = append(names, p.name)
	}
	before := len(o.missing.Ops)
	out, err := o.inline(g.nodes, names, s)
	if err != nil {
		o.fail("in its %s: %v", attr, err)
	}
	if len(o.missing.Ops) > before || slices.Contains(out, nil) {
		o.fail("nodes of its %s cannot be converted%s", attr, o.mend(o.roundsOf()))
	}
	return out
}

// subgraph converts a graph to one that is called. given are the values that its
// inputs get: an input has the type and shape of its value, and the one of number
// known is that constant itself.
func (o *op) subgraph(attr string, given []*value, known int) *subgraph {
	g := o.graph(attr)
	return o.called(attr, given, known, func(in []*value) []*value { return o.inlined(attr, g, in) })
}

// called makes a subgraph of what a function emits.
func (o *op) called(attr string, given []*value, known int, body func([]*value) []*value) *subgraph {
	b := &subgraph{attr: attr}
	inside := make([]*value, len(given))
	for i, v := range given {
		if inside[i] = v; i == known {
			continue
		}
		p := &tensor{name: v.t.name, typ: v.typ(), shape: v.shape()}
		b.params = append(b.params, p)
		inside[i] = &value{t: p}
	}
	kept := o.nodes
	o.converter.nodes = nil
	defer func() { o.converter.nodes = kept }()
	for _, v := range body(inside) {
		b.outs = append(b.outs, o.plain(v))
	}
	b.nodes = o.nodes
	o.close(b)
	return b
}

// close makes inputs of what a body uses from outside.
func (c *converter) close(b *subgraph) {
	own := map[*tensor]bool{}
	for _, t := range b.params {
		own[t] = true
	}
	for _, n := range b.nodes {
		for _, t := range n.out {
			own[t] = true
		}
	}
	stands := map[*tensor]*tensor{}
	in := func(t *tensor) *tensor {
		if t == nil || t.isConst() || own[t] {
			return t
		}
		p := stands[t]
		if p == nil {
			p = &tensor{name: t.name, typ: t.typ, shape: t.shape, quant: t.quant}
			stands[t] = p
			b.params, b.outside = append(b.params, p), append(b.outside, t)
		}
		return p
	}
	c.forget(b.nodes)
	for _, n := range b.nodes {
		n.in = slices.Clone(n.in)
		for i, t := range n.in {
			n.in[i] = in(t)
		}
	}
	for i, t := range b.outs {
		b.outs[i] = in(t)
	}
}

// forget takes the tensors that nodes make out of what is known of their inputs,
// because nobody else may use them.
func (c *converter) forget(nodes []*node) {
	made := map[*node]bool{}
	for _, n := range nodes {
		made[n] = true
	}
	for _, n := range nodes {
		for _, t := range n.in {
			if t == nil {
				continue
			}
			for key, f := range t.forms {
				if made[f.def] {
					delete(t.forms, key)
				}
			}
		}
	}
}

// call adds a node that calls bodies, with outputs like those given.
func (o *op) callBodies(op string, attrs format.Attrs, in, like []*tensor, bodies ...*subgraph) []*tensor {
	n := &node{op: op, in: in, attrs: attrs, bodies: bodies}
	for _, t := range like {
		n.out = append(n.out, &tensor{name: o.hint + "/" + op, typ: t.typ, shape: t.shape, quant: t.quant, def: n})
	}
	o.converter.nodes = append(o.converter.nodes, n)
	return n.out
}

// values makes plain values of tensors.
func values(list []*tensor) []*value {
	out := make([]*value, len(list))
	for i, t := range list {
		out[i] = &value{t: t}
	}
	return out
}

// ifElse takes the branch that a constant condition names; a computed one runs one
// of both.
func ifElse(o *op) []*value {
	cond := o.plain(o.in[0])
	if cond.shape.Elems() != 1 || cond.typ != format.Bool {
		o.fail("its condition is %v %v, not one bool", cond.typ, cond.shape)
	}
	if cond.isConst() {
		name := "else_branch"
		if cond.data[0] != 0 {
			name = "then_branch"
		}
		return o.inlined(name, o.graph(name), nil)
	}
	then, other := o.subgraph("then_branch", nil, -1), o.subgraph("else_branch", nil, -1)
	if len(then.outs) != len(other.outs) {
		o.fail("its branches have %d and %d outputs", len(then.outs), len(other.outs))
	}
	for i, t := range then.outs {
		if e := other.outs[i]; t.typ != e.typ || !t.shape.Equal(e.shape) {
			o.fail("output %d is %v %v in its then_branch and %v %v in its else_branch: shapes are fixed, so that both must give the same%s",
				i, t.typ, t.shape, e.typ, e.shape, o.mend(cond))
		}
	}
	// Both take what either uses.
	all := slices.Clone(then.outside)
	for _, t := range other.outside {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	for _, b := range []*subgraph{then, other} {
		params := make([]*tensor, len(all))
		for i, t := range all {
			if k := slices.Index(b.outside, t); k >= 0 {
				params[i] = b.params[k]
			} else {
				params[i] = &tensor{name: t.name, typ: t.typ, shape: t.shape, quant: t.quant}
			}
		}
		b.params, b.outside = params, all
	}
	in := append([]*tensor{o.reshape(cond, format.Shape{})}, all...)
	return values(o.callBodies("If", format.Attrs{}, in, then.outs, then, other))
}

// maxUnrolled bounds the rounds of a loop that are written one after another.
const maxUnrolled = 64

// truth is a constant condition that holds.
func (c *converter) truth() *value {
	return &value{t: c.constant(format.Bool, format.Shape{}, []byte{1})}
}

// holds says whether a condition is a constant, and which.
func holds(t *tensor) (v, known bool) {
	return t.isConst() && len(t.data) > 0 && t.data[0] != 0, t.isConst()
}

// loop is Loop. Inside of the body the condition holds: it would not run else.
func loop(o *op) []*value {
	g := o.graph("body")
	if len(o.in) < 2 {
		o.fail("it has %d inputs and needs 2", len(o.in))
	}
	start := o.in[2:]
	if len(g.inputs) != 2+len(start) || len(g.outputs) < 1+len(start) || slices.Contains(start, nil) {
		o.fail("its body has %d inputs and %d outputs for %d carried values", len(g.inputs), len(g.outputs), len(start))
	}
	var trips, cond *tensor
	if o.in[0] != nil {
		trips = o.plain(o.in[0])
	}
	if o.in[1] != nil {
		cond = o.plain(o.in[1])
		if v, known := holds(cond); known && !v {
			return o.noRounds(g, start)
		} else if known {
			cond = nil
		}
	}
	limit := int64(math.MaxInt32)
	if trips != nil && trips.isConst() {
		if limit = min(o.fixedInt(0, 0), math.MaxInt32); limit < 1 {
			return o.noRounds(g, start)
		}
		if cond == nil && limit <= maxUnrolled {
			if out, ok := o.unrolled(g, int(limit), start); ok {
				return out
			}
		}
		trips = nil // the limit says it
	}
	if limit == math.MaxInt32 && len(g.outputs) > 1+len(start) {
		o.fail("how many slices it gives is known only when it has run: fix the number of its rounds%s", o.mend(trips))
	}
	round := &value{t: &tensor{name: "round", typ: format.Int64, shape: format.Shape{}}}
	b := o.subgraph("body", append([]*value{round, o.truth()}, start...), 1)
	carried, slicesOut := b.outs[1:1+len(start)], b.outs[1+len(start):]
	for i, t := range carried {
		if v := start[i]; t.typ != v.typ() || !t.shape.Equal(v.shape()) {
			o.fail("carried value %d is %v %v at the start and %v %v after a round: only a loop whose number of rounds is known, and at most %d, may change shapes%s",
				i, v.typ(), v.shape(), t.typ, t.shape, maxUnrolled, o.mend(trips))
		}
	}
	last, known := holds(b.outs[0])
	all := trips == nil && cond == nil && known && last // rounds are run
	like := slices.Clone(carried)
	for _, t := range slicesOut {
		like = append(like, &tensor{typ: t.typ, shape: slices.Concat(format.Shape{int(limit)}, t.shape), quant: t.quant})
	}
	like = append(like, &tensor{typ: format.Int64})
	in := []*tensor{trips, cond}
	for k, t := range in {
		if t != nil {
			in[k] = o.reshape(o.cast(&value{t: t}, []format.DType{format.Int64, format.Bool}[k]).t, format.Shape{})
		}
	}
	for _, v := range start {
		in = append(in, o.plain(v))
	}
	in = append(in, b.outside...)
	out := o.callBodies("Loop", format.Attrs{"carried": int64(len(start)), "limit": limit}, in, like, b)
	result := values(out[:len(out)-1])
	if !all {
		for _, v := range result[len(start):] {
			v.live = out[len(out)-1]
		}
	}
	return result
}

// noRounds is a loop that does not run: its results have no slices.
func (o *op) noRounds(g *graphProto, start []*value) []*value {
	out := slices.Clone(start)
	for _, p := range g.outputs[1+len(start):] {
		typ, err := elemType(p.typ)
		if err != nil {
			o.fail("%v", err)
		}
		s := format.Shape{0}
		for _, d := range p.dims {
			s = append(s, int(min(max(d.size, 1), maxElems)))
		}
		out = append(out, &value{t: o.constant(narrow(typ), s, nil)})
	}
	return out
}

// unrolled writes the rounds of a loop one after another; false when whether to go
// on is computed.
func (o *op) unrolled(g *graphProto, rounds int, carried []*value) ([]*value, bool) {
	before := len(o.nodes)
	carried = slices.Clone(carried)
	stacked := make([][]*value, len(g.outputs)-1-len(carried))
	for i := range rounds {
		given := append([]*value{o.number(format.Int64, float64(i)), o.truth()}, carried...)
		out := o.inlined("body", g, given)
		copy(carried, out[1:])
		for k, v := range out[1+len(carried):] {
			stacked[k] = append(stacked[k], v)
		}
		if more, known := holds(out[0].t); !known {
			o.forget(o.nodes[before:])
			o.converter.nodes = o.nodes[:before]
			return nil, false
		} else if !more {
			break
		}
	}
	for _, list := range stacked {
		carried = append(carried, o.stack(list, 0))
	}
	return carried, true
}

// stack puts values one after another along a new axis.
func (o *op) stack(list []*value, axis int) *value {
	in := make([]*tensor, len(list))
	for i, v := range list {
		in[i] = o.plain(o.insert(v, []int{axis}))
	}
	if len(in) == 1 {
		return &value{t: in[0]}
	}
	return &value{t: o.move("Concat", format.Attrs{"axis": int64(axis)}, in...)}
}

// reversed turns a value around along an axis.
func (c *converter) reversed(x *value, axis int) *value { return c.cut(x, axis, -1, math.MinInt64, -1) }

// scan is Scan: a loop over slices of its last inputs.
func scan(o *op) []*value {
	g := o.graph("body")
	n := int(o.int("num_scan_inputs", 0))
	if o.opset < 9 {
		return o.scanBatches(g, n)
	}
	states := len(o.in) - n
	if n < 1 || states < 0 || len(g.inputs) != len(o.in) || len(g.outputs) < states || slices.Contains(o.in, nil) {
		o.fail("%d scanned inputs of %d; its body has %d inputs and %d outputs", n, len(o.in), len(g.inputs), len(g.outputs))
	}
	list := func(name string, n int) []int64 {
		l := o.ints(name)
		if l != nil && len(l) != n {
			o.fail("%s %v for %d values", name, l, n)
		}
		return append(l, make([]int64, n-len(l))...)
	}
	results := len(g.outputs) - states
	axes, ways := list("scan_input_axes", n), list("scan_input_directions", n)
	outAxes, outWays := list("scan_output_axes", results), list("scan_output_directions", results)
	var scanned []*value // turned so that the axis is first and the way forward
	for i, v := range o.in[states:] {
		a := o.axis(axes[i], v.rank())
		if ways[i] != 0 {
			v = o.reversed(v, a)
		}
		order := append([]int{a}, slices.Delete(identity(v.rank()), a, a+1)...)
		scanned = append(scanned, &value{t: o.arrange(v, order)})
	}
	rounds := scanned[0].t.shape[0]
	for _, v := range scanned {
		if v.t.shape[0] != rounds {
			o.fail("its scanned inputs have %d and %d slices", rounds, v.t.shape[0])
		}
	}
	out := o.scanned(rounds, o.in[:states], scanned, results, func(in []*value) []*value { return o.inlined("body", g, in) })
	for i, v := range out[states:] {
		if outWays[i] != 0 {
			v = o.reversed(v, 0)
		}
		a := o.axis(outAxes[i], v.rank())
		order := identity(v.rank())
		order = slices.Insert(order[1:], a, 0)
		out[states+i] = view(o.arrange(v, order), identity(v.rank()))
	}
	return out
}

// scanned runs a body over the slices of values; its results are stacked in front.
func (o *op) scanned(rounds int, start, scanned []*value, results int, body func([]*value) []*value) []*value {
	if rounds <= maxUnrolled {
		carried := slices.Clone(start)
		stacked := make([][]*value, results)
		for i := range rounds {
			given := slices.Clone(carried)
			for _, v := range scanned {
				given = append(given, o.drop(o.cut(v, 0, int64(i), int64(i)+1, 1), []int{0}))
			}
			out := body(given)
			copy(carried, out)
			for k, v := range out[len(carried):] {
				stacked[k] = append(stacked[k], v)
			}
		}
		for _, list := range stacked {
			carried = append(carried, o.stack(list, 0))
		}
		return carried
	}
	given := slices.Clone(start)
	for _, v := range scanned {
		given = append(given, &value{t: &tensor{name: v.t.name, typ: v.typ(), shape: v.t.shape[1:]}})
	}
	b := o.called("body", given, -1, body)
	// As Loop has it: the round, the carried, the others, the slices; whether to go on.
	first := len(start)
	params := append([]*tensor{{name: "round", typ: format.Int64}}, b.params[:first]...)
	params = append(params, b.params[first+len(scanned):]...)
	b.params = append(params, b.params[first:first+len(scanned)]...)
	like := slices.Clone(b.outs[:first])
	for i, t := range like {
		if v := start[i]; t.typ != v.typ() || !t.shape.Equal(v.shape()) {
			o.fail("carried value %d is %v %v at the start and %v %v after a round", i, v.typ(), v.shape(), t.typ, t.shape)
		}
	}
	for _, t := range b.outs[first:] {
		like = append(like, &tensor{typ: t.typ, shape: slices.Concat(format.Shape{rounds}, t.shape), quant: t.quant})
	}
	like = append(like, &tensor{typ: format.Int64})
	b.outs = append([]*tensor{o.truth().t}, b.outs...)
	in := []*tensor{nil, nil}
	for _, v := range start {
		in = append(in, o.plain(v))
	}
	in = append(in, b.outside...)
	for _, v := range scanned {
		in = append(in, v.t)
	}
	attrs := format.Attrs{"carried": int64(first), "scanned": int64(len(scanned)), "limit": int64(rounds)}
	out := o.callBodies("Loop", attrs, in, like, b)
	return values(out[:len(out)-1])
}

// scanBatches is Scan of opset 8, whose values have a batch in front.
func (o *op) scanBatches(g *graphProto, n int) []*value {
	if len(o.in) < 1 || o.in[0] != nil || o.ints("directions") != nil {
		o.fail("sequence_lens or directions of opset 8: convert the model with onnx.version_converter")
	}
	in := o.in[min(1, len(o.in)):]
	states := len(in) - n
	if n < 1 || states < 0 || len(g.inputs) != len(in) || len(g.outputs) < states || slices.Contains(in, nil) || in[states].rank() < 2 {
		o.fail("%d scanned inputs of %d", n, len(in))
	}
	batches, rounds := in[states].shape()[0], in[states].shape()[1]
	var all [][]*value
	for b := range batches {
		var start, scanned []*value
		for i, v := range in {
			if v.rank() < 1 || v.shape()[0] != batches || i >= states && v.shape()[1] != rounds {
				o.fail("input %d has the shape %v for %d batches of %d slices", i+1, v.shape(), batches, rounds)
			}
			v = o.drop(o.cut(v, 0, int64(b), int64(b)+1, 1), []int{0})
			if i < states {
				start = append(start, v)
			} else {
				scanned = append(scanned, &value{t: o.plain(v)})
			}
		}
		for i, v := range o.scanned(rounds, start, scanned, len(g.outputs)-states, func(in []*value) []*value { return o.inlined("body", g, in) }) {
			if b == 0 {
				all = append(all, nil)
			}
			all[i] = append(all[i], v)
		}
	}
	var out []*value
	for _, list := range all {
		out = append(out, o.stack(list, 0))
	}
	return out
}

// roundsOf are the operands of a Loop that say how often it runs.
func (o *op) roundsOf() *tensor {
	if o.n.op != "Loop" {
		return nil
	}
	n := &node{}
	for _, v := range o.in[:2] {
		if v != nil {
			n.in = append(n.in, v.t)
		}
	}
	return &tensor{def: n}
}

// mend says what to fix so that a tensor is a constant, "" if nothing.
func (o *op) mend(t *tensor) string {
	s := ""
	if t == nil {
		return s
	}
	for _, name := range o.sources(t) {
		s += fmt.Sprintf(" --const %s=VALUE", name)
	}
	if s != "" {
		s = ". Fix what it is computed from:" + s
	}
	return s
}

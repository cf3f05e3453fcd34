package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// A tensor of the graph under construction. Names are settled when the graph is
// written; until then tensors and nodes point at each other.
type tensor struct {
	name  string // wanted; others may want it too
	typ   format.DType
	shape format.Shape // may hold 0 where data is set, which no file can
	quant *format.Quant
	data  []byte // of a constant
	def   *node  // nil: a constant or an input of the graph

	forms map[string]*tensor // other layouts of it that exist
}

func (t *tensor) isConst() bool { return t.data != nil }

func (t *tensor) empty() bool { return t.shape.Elems() == 0 }

// format returns the tensor as package format describes it, without its value.
func (t *tensor) format() *format.Tensor {
	return &format.Tensor{Name: t.name, Type: t.typ, Shape: t.shape, Quant: t.quant}
}

type node struct {
	op      string
	in, out []*tensor // in holds nil for what is absent
	attrs   format.Attrs
	bodies  []*subgraph // that it calls
}

// A value of the source graph is a tensor of ours seen in the source's layout:
// dimension i of t is dimension perm[i] of the value. A nil perm is the same
// order.
//
// ONNX lays pictures out NCHW and whet NHWC. A convolution asks for its input
// with the channels last ([converter.arrange]) and leaves its output so; ops
// that work element by element, or along one axis, take a value in the layout it
// has and hand it on. A Transpose of the source changes perm alone. So
// transpositions appear at the edges of the graph, where an op needs the
// source's order, and nowhere else.
//
// live, unless nil, is how much of dimension along of the value there is: one
// number, computed. The tensor has room for the most.
type value struct {
	t    *tensor
	perm []int

	live  *tensor
	along int
}

func (v *value) rank() int { return len(v.t.shape) }

// shape is the source's.
func (v *value) shape() format.Shape {
	if v.perm == nil {
		return v.t.shape
	}
	s := make(format.Shape, len(v.perm))
	for i, p := range v.perm {
		s[p] = v.t.shape[i]
	}
	return s
}

func (v *value) typ() format.DType { return v.t.typ }

// where returns the dimension of v.t that holds dimension a of the value.
func (v *value) where(a int) int {
	if v.perm == nil {
		return a
	}
	return slices.Index(v.perm, a)
}

// order is perm, spelled out.
func (v *value) order() []int {
	if v.perm == nil {
		return identity(v.rank())
	}
	return v.perm
}

func identity(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// view makes a value of a tensor whose dimensions are perm's of the value.
func view(t *tensor, perm []int) *value {
	if slices.Equal(perm, identity(len(t.shape))) {
		perm = nil
	}
	return &value{t: t, perm: perm}
}

// channelsLast is whet's order of the dimensions of [N, C, ...].
func channelsLast(rank int) []int {
	p := []int{0}
	for i := 2; i < rank; i++ {
		p = append(p, i)
	}
	return append(p, 1)
}

// plain returns a value as a tensor in the source's layout.
func (c *converter) plain(v *value) *tensor { return c.arrange(v, identity(v.rank())) }

// arrange returns a value as a tensor whose dimension i is dimension perm[i] of
// the value.
func (c *converter) arrange(v *value, perm []int) *tensor {
	move := make([]int, len(perm))
	for i, p := range perm {
		move[i] = v.where(p)
	}
	return c.transpose(v.t, move)
}

// transpose returns t with dimension i taken from move[i].
func (c *converter) transpose(t *tensor, move []int) *tensor {
	if slices.Equal(move, identity(len(move))) {
		return t
	}
	key := fmt.Sprint(move)
	if f := t.forms[key]; f != nil {
		return f
	}
	f := c.transposed(t, move)
	if t.forms == nil {
		t.forms = map[string]*tensor{}
	}
	t.forms[key] = f
	if f.forms == nil {
		f.forms = map[string]*tensor{}
	}
	f.forms[fmt.Sprint(inverse(move))] = t
	return f
}

func inverse(p []int) []int {
	q := make([]int, len(p))
	for i, v := range p {
		q[v] = i
	}
	return q
}

func (c *converter) transposed(t *tensor, move []int) *tensor {
	shape := make(format.Shape, len(move))
	var from, to []int // the dimensions that are not 1
	for i, m := range move {
		shape[i] = t.shape[m]
		if shape[i] != 1 {
			to = append(to, m)
		}
	}
	for i, d := range t.shape {
		if d != 1 {
			from = append(from, i)
		}
	}
	var q *format.Quant
	if t.quant != nil {
		q = &format.Quant{Scale: t.quant.Scale, Zero: t.quant.Zero, Axis: t.quant.Axis, Block: t.quant.Block}
		if len(q.Scale) > 1 {
			q.Axis = slices.Index(move, q.Axis)
		}
	}
	switch {
	case t.isConst() && (slices.Equal(from, to) || t.empty()):
		return &tensor{name: t.name, typ: t.typ, shape: shape, quant: q, data: t.data}
	case t.isConst() && t.typ.Bits() >= 8:
		c.spend(len(t.data))
		return &tensor{name: t.name, typ: t.typ, shape: shape, quant: q, data: permuted(t, move, shape)}
	case c.dequantized(t) != nil:
		// Moved before it is dequantized, which costs a quarter and lets the
		// ops behind find the codes.
		return c.dequantize(c.transpose(c.dequantized(t), move))
	case slices.Equal(from, to):
		return c.emit("Reshape", format.Attrs{"shape": dims(shape)}, t.typ, q, t)
	}
	return c.emit("Transpose", format.Attrs{"perm": dims(move)}, t.typ, q, t)
}

// permuted returns the elements of a constant in another order.
func permuted(t *tensor, move []int, shape format.Shape) []byte {
	w := t.typ.Bits() / 8
	steps := make([]int, len(t.shape))
	n := w
	for i := len(t.shape) - 1; i >= 0; i-- {
		steps[i] = n
		n *= t.shape[i]
	}
	out := make([]byte, 0, n)
	at := make([]int, len(shape))
	pos := 0
	for len(out) < n {
		out = append(out, t.data[pos:pos+w]...)
		for i := len(at) - 1; i >= 0; i-- {
			s := steps[move[i]]
			at[i]++
			pos += s
			if at[i] < shape[i] {
				break
			}
			pos -= at[i] * s
			at[i] = 0
		}
	}
	return out
}

// dims makes a list attribute of a shape or permutation.
func dims[S ~[]int](s S) []int64 {
	out := make([]int64, len(s))
	for i, d := range s {
		out[i] = int64(d)
	}
	return out
}

// emit adds a node with one output and returns that. Where all inputs are
// constant it is computed at once, and no node is left.
func (c *converter) emit(op string, attrs format.Attrs, typ format.DType, q *format.Quant, in ...*tensor) *tensor {
	return c.emitAll(op, attrs, []kind{{typ, q}}, in...)[0]
}

// kind is what emit cannot infer of an output.
type kind struct {
	typ   format.DType
	quant *format.Quant
}

// emitAll is emit for any number of outputs.
func (c *converter) emitAll(op string, attrs format.Attrs, kinds []kind, in ...*tensor) []*tensor {
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	if out := c.widened(op, attrs, kinds, in); out != nil {
		return out
	}
	in, kinds = c.oneFloat(op, in, kinds)
	var list []*format.Tensor
	for i, t := range in {
		switch {
		case t == nil:
			list = append(list, nil)
			continue
		case t.empty():
			c.fail("input %d of its %s has no elements (shape %v), which whet's tensors cannot be without", i, op, t.shape)
		}
		list = append(list, t.format())
	}
	shapes, err := format.Infer(op, attrs, list)
	if err != nil {
		c.fail("%v", err)
	}
	n := &node{op: op, in: in, attrs: attrs}
	for i, k := range kinds {
		if k.typ == format.Invalid { // not wanted
			n.out = append(n.out, nil)
			continue
		}
		n.out = append(n.out, &tensor{name: c.hint + "/" + op, typ: k.typ, shape: shapes[i], quant: k.quant, def: n})
	}
	if err := check(n); err != nil {
		c.fail("%v", err)
	}
	if foldable(n) {
		for _, t := range n.out {
			if t != nil && t.shape.Elems() > maxFold {
				c.fail("a constant of shape %v is too large to be made during the conversion", t.shape)
			}
			if t != nil {
				c.spend(t.typ.Bytes(t.shape.Elems()))
			}
		}
		if err := evaluate(n); err != nil {
			c.fail("its constant operands cannot be computed: %v", err)
		}
		return n.out
	}
	c.nodes = append(c.nodes, n)
	return n.out
}

// fewTypes are ops that the runtime has for few types of numbers: 1 for those that
// need an order, 2 for those that compute.
var fewTypes = map[string]int{"Equal": 1, "Less": 1, "LessOrEqual": 1, "ReduceMin": 1, "ArgMax": 1, "ArgMin": 1, "TopK": 1,
	"Sign": 2, "Mod": 2, "ReduceProd": 2, "CumSum": 2, "CumProd": 2, "MatMul": 2, "ScatterElements": 2, "ScatterND": 2}

// widened emits an op of integers that the runtime has not for their type on wider
// ones, and narrows the result; nil if that is not needed.
func (c *converter) widened(op string, attrs format.Attrs, kinds []kind, in []*tensor) []*tensor {
	few := fewTypes[op]
	if few == 0 || in[0].quant != nil {
		return nil
	}
	from, to := in[0].typ, format.Int32
	switch {
	case from == format.Uint32:
		to = format.Int64
	case from == format.Uint64:
		c.fail("%s of numbers of type %v", op, from)
	case from == format.Int16 || from == format.Uint16:
	case few == 2 && (from == format.Int8 || from == format.Uint8 || from == format.Bool):
	default:
		return nil
	}
	in, wide := slices.Clone(in), slices.Clone(kinds)
	for i, t := range in {
		if t != nil && t.typ == from {
			in[i] = c.emit("Cast", nil, to, nil, t)
		}
	}
	for i := range wide {
		if wide[i].typ == from {
			wide[i].typ = to
		}
	}
	out := slices.Clone(c.emitAll(op, attrs, wide, in...)) // the node keeps its own
	for i, k := range kinds {
		if wide[i].typ != k.typ {
			out[i] = c.emit("Cast", nil, k.typ, nil, out[i])
		}
	}
	return out
}

// oneFloat gives an op with float64 operands one type of floats: float64 where it
// computes with that, else float32.
func (c *converter) oneFloat(op string, in []*tensor, kinds []kind) ([]*tensor, []kind) {
	wide := func(t *tensor) bool { return t != nil && t.typ == format.Float64 }
	if op == "Cast" || !slices.ContainsFunc(in, wide) {
		return in, kinds
	}
	from, to := format.Float64, format.Float32
	for _, s := range format.Ops[op].Types {
		if op != "ReduceMean" && fewTypes[op] == 0 && (s[0] == 'N' || s[0] == 'T' || strings.HasPrefix(s, "bool T")) {
			from, to = to, from
			break
		}
	}
	in, kinds = slices.Clone(in), slices.Clone(kinds)
	for i, t := range in {
		if t != nil && t.typ == from {
			in[i] = c.emit("Cast", nil, to, nil, t)
		}
	}
	for i := range kinds {
		if kinds[i].typ == from {
			kinds[i].typ = to
		}
	}
	return in, kinds
}

// constant makes a constant tensor.
func (c *converter) constant(typ format.DType, shape format.Shape, data []byte) *tensor {
	if data == nil {
		data = []byte{}
	}
	c.spend(len(data))
	return &tensor{name: c.hint, typ: typ, shape: shape, data: data}
}

func (c *converter) floats(shape format.Shape, v ...float32) *tensor {
	return c.constant(format.Float32, shape, floatBytes(v))
}

// scalar is one number of a type, to be broadcast.
func (c *converter) scalar(typ format.DType, v float64) *tensor {
	return c.numbers(typ, format.Shape{}, []float64{v})
}

// reshape sees a tensor in another shape.
func (c *converter) reshape(t *tensor, shape format.Shape) *tensor {
	switch {
	case t.shape.Equal(shape):
		return t
	case t.isConst() && (t.quant == nil || len(t.quant.Scale) == 1) && shape.Elems() == t.shape.Elems():
		return &tensor{name: t.name, typ: t.typ, shape: shape, quant: t.quant, data: t.data}
	}
	return c.move("Reshape", format.Attrs{"shape": dims(shape)}, t)
}

// move emits an op that only moves elements: on the codes of a tensor that was
// dequantized, for the result is the same.
func (c *converter) move(op string, attrs format.Attrs, in ...*tensor) *tensor {
	if q := c.dequantized(in[0]); q != nil && len(q.quant.Scale) == 1 {
		codes := []*tensor{q}
		for _, t := range in[1:] {
			if s := c.dequantized(t); s != nil && s.typ == q.typ && s.quant.Equal(q.quant) {
				codes = append(codes, s)
			} else if op != "Concat" {
				codes = append(codes, t)
			}
		}
		if len(codes) == len(in) {
			return c.dequantize(c.emit(op, attrs, q.typ, q.quant, codes...))
		}
	}
	return c.emit(op, attrs, in[0].typ, in[0].quant, in...)
}

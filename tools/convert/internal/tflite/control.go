package tflite

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Operators that call other subgraphs of the file.

func init() {
	register(map[string]row{
		"IF": {1, 1, several(ifElse)}, "WHILE": {1, 1, several(while)},
	})
}

// Limits of subgraphs that call subgraphs: each call is converted by itself.
const (
	maxDepth  = 8
	maxBodies = 256
)

// bodies counts what has been converted of a file.
type bodies struct{ n int }

// A body is a subgraph as a graph of the model.
type body struct {
	graph   *format.Graph
	in, out []*format.Tensor
}

// body converts the subgraph of that number to a graph whose inputs are like those
// given. more, if there is one, adds outputs in front of the subgraph's own.
func (o *op) body(i int32, given []*format.Tensor, more func(*converter, *body)) *body {
	if i < 1 || int(i) >= len(o.src.graphs) {
		net.Fail("there is no subgraph %d", i)
	}
	if o.depth >= maxDepth || o.bodies.n >= maxBodies {
		net.Fail("subgraphs call each other deeper than %d, or more than %d times", maxDepth, maxBodies)
	}
	o.bodies.n++
	b := *o.b
	b.Graph = &format.Graph{Name: o.b.Name(fmt.Sprintf("%s/graph%d", o.outputName(), i))}
	c := &converter{src: o.src, graph: o.src.graphs[i], b: &b, depth: o.depth + 1, bodies: o.bodies,
		vars: o.vars, handles: map[int32]*variable{}, cells: map[int32]*format.State{}}
	if len(c.graph.inputs) != len(given) {
		net.Fail("subgraph %d takes %d inputs, not %d", i, len(c.graph.inputs), len(given))
	}
	for k, t := range c.graph.inputs {
		// The converter fixes what a dynamic model leaves open.
		if x := c.graph.tensors[t]; x.dtype != given[k].Type || !x.shape.Equal(given[k].Shape) || !sameQuant(x.quant, given[k].Quant) {
			net.Fail("subgraph %d takes %v %v as its input %d and gets %v %v: shapes must stay the same", i, x.dtype, x.shape, k, given[k].Type, given[k].Shape)
		}
	}
	if err := c.convert(); err != nil {
		if u, ok := errors.AsType[*build.UnsupportedError](err); ok {
			mend := ""
			if o.name == "WHILE" {
				mend = "; a loop over the steps of a recurrent Keras layer is not needed if the .keras or .h5 file is converted instead"
			}
			net.Fail("in subgraph %d, node %d %s: %s%s", i, u.Ops[0].Node, u.Ops[0].Op, u.Ops[0].Reason, mend)
		}
		net.Fail("in subgraph %d: %v", i, err)
	}
	r := &body{graph: b.Graph}
	for _, t := range c.graph.inputs {
		r.in = append(r.in, c.placed[t])
	}
	for _, t := range c.graph.outputs {
		r.out = append(r.out, c.placed[t])
	}
	if more != nil {
		more(c, r)
	}
	// A graph gives what its nodes compute: what it hands on is copied.
	b.Graph.Outputs = nil
	for k, t := range r.out {
		if t.Const() || slices.Contains(r.in, t) || slices.Contains(b.Graph.Outputs, t.Name) {
			r.out[k] = c.net.Op("Reshape", shapeOf(t.Shape), t)
		}
		b.Graph.Outputs = append(b.Graph.Outputs, r.out[k].Name)
	}
	o.b.Model.Graphs = append(o.b.Model.Graphs, b.Graph)
	return r
}

// values are the inputs from k on.
func (o *op) values(k int) (list []*format.Tensor) {
	for ; k < len(o.inputs); k++ {
		list = append(list, o.value(k))
	}
	return list
}

// call adds a node that calls graphs, with outputs like those given.
func (o *op) call(name string, attrs format.Attrs, in []string, like []*format.Tensor) (out []*format.Tensor) {
	var names []string
	for _, t := range like {
		y := &format.Tensor{Name: o.b.Name(o.outputName() + "/" + name), Type: t.Type, Shape: t.Shape, Quant: t.Quant}
		names, out = append(names, o.b.Tensor(y)), append(out, y)
	}
	o.b.Node("", name, in, names, attrs)
	return out
}

func namesOf(list []*format.Tensor) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Name
	}
	return out
}

// oneBool is a condition of one element as one without dimensions.
func oneBool(n *net.Net, t *format.Tensor) *format.Tensor {
	if t.Type != format.Bool || t.Shape.Elems() != 1 {
		net.Fail("a condition of %v %v", t.Type, t.Shape)
	}
	return n.Reshape(t)
}

// ifElse is IF: a condition, then the values that both subgraphs take.
func ifElse(o *op) []*format.Tensor {
	cond, in := oneBool(o.net, o.value(0)), o.values(1)
	then := o.body(o.options.i32(0, 0), in, nil)
	other := o.body(o.options.i32(1, 0), in, nil)
	if len(then.out) != len(other.out) || len(then.out) != len(o.outputs) {
		net.Fail("its subgraphs have %d and %d outputs", len(then.out), len(other.out))
	}
	return o.call("If", format.Attrs{"then_branch": then.graph.Name, "else_branch": other.graph.Name}, append([]string{cond.Name}, namesOf(in)...), then.out)
}

// while is WHILE: values that the body changes as long as the condition's subgraph
// says so. Loop's body tells whether to go on: here by the condition of the values
// that it has computed.
func while(o *op) []*format.Tensor {
	in := o.values(0)
	// The first condition is computed before the loop: by the condition as a branch
	// of an If that both branches share.
	condition := o.options.i32(0, 0)
	always := o.b.Model.Tensor(o.b.Const(o.outputName()+"/true", format.Bool, format.Shape{}, nil, []byte{1}))
	test := func(o *op, values []*format.Tensor) *format.Tensor {
		b := o.body(condition, values, nil)
		if len(b.out) != 1 {
			net.Fail("its condition has %d outputs", len(b.out))
		}
		out := o.call("If", format.Attrs{"then_branch": b.graph.Name, "else_branch": b.graph.Name}, append([]string{always.Name}, namesOf(values)...), b.out)
		return oneBool(o.net, out[0])
	}
	first := test(o, in)
	loop := o.body(o.options.i32(1, 0), in, func(c *converter, b *body) {
		// A round has a number, which the body does not use.
		number := &format.Tensor{Name: c.b.Name(o.outputName() + "/round"), Type: format.Int64, Shape: format.Shape{}}
		c.b.Tensor(number)
		c.b.Graph.Inputs = slices.Insert(c.b.Graph.Inputs, 0, format.Input{Tensor: number.Name})
		inside := &op{converter: c, operator: o.operator, hint: o.outputName()}
		b.out = append([]*format.Tensor{test(inside, b.out)}, b.out...)
	})
	if len(loop.out) != 1+len(in) {
		net.Fail("its body has %d outputs for %d values", len(loop.out)-1, len(in))
	}
	rounds := &format.Tensor{Type: format.Int64, Shape: format.Shape{}}
	attrs := format.Attrs{"body": loop.graph.Name, "carried": int64(len(in)), "limit": int64(math.MaxInt32)}
	out := o.call("Loop", attrs, append([]string{"", first.Name}, namesOf(in)...), append(slices.Clone(loop.out[1:]), rounds))
	return out[:len(in)]
}

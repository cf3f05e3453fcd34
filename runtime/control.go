package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A body is a graph that a node calls. Its memory is the session's mem.bodies[index],
// all of it at once: bodies are small, and a loop's must outlive its rounds.
type body struct {
	index           int
	inputs, outputs []*value
	steps           []*step
	arena, scratch  int
	macs            int64
	weights         int
}

// body compiles the graph that an attribute names.
func (n *node) body(attr string, l kernels.Level) (*body, error) {
	root := n.root
	g, err := lower(root.model, root.model.Graph(n.attrs.Str(attr, "")), nil)
	if err != nil {
		return nil, err
	}
	g.level = l
	for _, inner := range g.nodes {
		if inner.state != nil {
			return nil, inner.errf("a state inside of a branch or loop: read it before and write it behind")
		}
		inner.root = root
	}
	if err := g.optimize(); err != nil {
		return nil, err
	}
	b := &body{inputs: g.inputs, outputs: g.outputs}
	if b.steps, err = g.bind(); err != nil {
		return nil, err
	}
	b.arena = plan(b.steps, b.inputs, b.outputs)
	for _, s := range b.steps {
		b.scratch = max(b.scratch, s.scratch)
		b.macs += s.macs
		b.weights += s.weights
	}
	b.index = len(root.bodies)
	root.bodies = append(root.bodies, b)
	return b, nil
}

// newBodies makes the memory of all bodies of a program, each of which sees the
// others: bodies call bodies.
func newBodies(list []*body) []*mem {
	mems := make([]*mem, len(list))
	for i, b := range list {
		mems[i] = &mem{arena: alignedBytes(b.arena), scratch: alignedBytes(b.scratch), bodies: mems}
	}
	return mems
}

// run computes the body once; its inputs are set.
func (b *body) run(m *mem) bool {
	in := m.bodies[b.index]
	in.done = m.done
	for _, s := range b.steps {
		select {
		case <-m.done:
			m.stop()
			return false
		default:
		}
		s.run(in, in.scratch, 0, s.tasks)
		if in.fault != nil {
			m.fault = in.taken()
			return false
		}
	}
	return true
}

// give copies values of the caller to the inputs of the body.
func (b *body) give(m *mem, first int, from []*value) {
	for i, v := range from {
		copy(m.bodies[b.index].bytes(b.inputs[first+i]), m.bytes(v))
	}
}

func bindIf(n *node, l kernels.Level) (*step, error) {
	then, err := n.body("then_branch", l)
	if err != nil {
		return nil, err
	}
	other, err := n.body("else_branch", l)
	if err != nil {
		return nil, err
	}
	cond, given := n.in[0], n.in[1:]
	return &step{kernel: "control", macs: max(then.macs, other.macs), weights: then.weights + other.weights, run: func(m *mem, _ []byte, _, _ int) {
		b := other
		if m.bytes(cond)[0] != 0 {
			b = then
		}
		b.give(m, 0, given)
		if !b.run(m) {
			return
		}
		for i, v := range n.out {
			if v != nil {
				copy(m.bytes(v), m.bodies[b.index].bytes(b.outputs[i]))
			}
		}
	}}, nil
}

func bindLoop(n *node, l kernels.Level) (*step, error) {
	b, err := n.body("body", l)
	if err != nil {
		return nil, err
	}
	var given []*value // behind M and cond
	if len(n.in) > 2 {
		given = n.in[2:]
	}
	limit, carried := n.attrs.Int("limit", 1), n.attrs.Int("carried", 0)
	scanned := len(given) - n.attrs.Int("scanned", 0)
	trips, cond := n.input(0), n.input(1)
	moved := 0 // bytes of the carried values, which change places all at once
	for _, v := range b.inputs[1 : 1+carried] {
		moved += (v.size + 63) &^ 63
	}
	return &step{kernel: "control", macs: int64(limit) * b.macs, weights: b.weights, scratch: moved, run: func(m *mem, scratch []byte, _, _ int) {
		in := m.bodies[b.index]
		b.give(m, 1, given[:scanned])
		most := int64(limit)
		if trips != nil {
			most = min(most, view[int64](m.bytes(trips))[0])
		}
		more := cond == nil || m.bytes(cond)[0] != 0
		round := int64(0)
		for ; more && round < most; round++ {
			view[int64](in.bytes(b.inputs[0]))[0] = round
			for i, v := range given[scanned:] {
				to := in.bytes(b.inputs[1+scanned+i])
				copy(to, m.bytes(v)[int(round)*len(to):])
			}
			if !b.run(m) {
				return
			}
			more = in.bytes(b.outputs[0])[0] != 0
			at := 0
			for _, v := range b.outputs[1 : 1+carried] {
				at += (copy(scratch[at:], in.bytes(v)) + 63) &^ 63
			}
			at = 0
			for _, v := range b.inputs[1 : 1+carried] {
				copy(in.bytes(v), scratch[at:])
				at += (v.size + 63) &^ 63
			}
			for i, v := range b.outputs[1+carried:] {
				if y := n.output(carried + i); y != nil {
					copy(m.bytes(y)[int(round)*v.size:], in.bytes(v))
				}
			}
		}
		for i, v := range b.inputs[1 : 1+carried] {
			if y := n.output(i); y != nil {
				copy(m.bytes(y), in.bytes(v))
			}
		}
		for i, v := range b.outputs[1+carried:] {
			if y := n.output(carried + i); y != nil {
				clear(m.bytes(y)[int(round)*v.size:])
			}
		}
		if y := n.output(carried + len(b.outputs[1+carried:])); y != nil {
			view[int64](m.bytes(y))[0] = round
		}
	}}, nil
}

// bindTrim moves the first slices together. The session gives an output of the
// program its size.
func bindTrim(n *node, _ kernels.Level) (*step, error) {
	x, count, y := n.in[0], n.in[1], n.out[0]
	axis, ok := axisOf(n, len(x.shape))
	size, whole := x.elemBytes()
	if !ok || !whole {
		return nil, n.errf("no kernel for axis %d of %v", axis, x.typ)
	}
	most, slice := x.shape[axis], size*x.shape[axis+1:].Elems()
	row := most * slice
	y.trim = &trim{count: new(value), axis: axis}
	*y.trim.count = value{name: y.name + "/count", typ: format.Int64, size: 8}
	return &step{in: n.in, out: []*value{y, y.trim.count}, run: func(m *mem, _ []byte, _, _ int) {
		n := min(max(int(view[int64](m.bytes(count))[0]), 0), most)
		to, from := m.bytes(y), m.bytes(x)
		at := 0
		for k := 0; k < len(from); k += row {
			at += copy(to[at:], from[k:][:n*slice])
		}
		clear(to[at:])
		view[int64](m.bytes(y.trim.count))[0] = int64(n)
	}}, nil
}

// A trim says where an output of the program keeps how many slices it has.
type trim struct {
	count *value
	axis  int
}

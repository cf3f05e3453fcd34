package grad

import "github.com/whet-edge/whet/kernels"

// A recurrence is what ONNX's LSTM, GRU and RNN have in common: their tensors, the
// order of time, and their products. What the input contributes to the gates is one
// product over all steps, and so are the gradients of the weights, one chain over
// time; only the product with the hidden state goes step by step. All that is kept
// lies in the order of time, whatever the direction.
type recurrence[T Float] struct {
	b                    *bound[T]
	x, w, r, bias, h0    *Tensor[T]
	y, yh                *Tensor[T]
	steps, n, in, hidden int
	gates                int // rows of W and R: so many times hidden
	reverse              bool
	dirs                 []direction[T]

	gate []T // [dirs, steps, n, gates*hidden], as the activations leave them
	h    []T // [dirs, steps+1, n, hidden]: what a step starts from and what it makes
	dh   []T // [n, hidden], on the way back

	sigmoid, tanh func(x []T) // in place
}

// A direction is the products of one direction.
type direction[T Float] struct {
	input layer[T] // W, on all steps
	state layer[T] // R, or its rows that see the hidden state as it is, on one step
	inner layer[T] // the rows of R for the candidate of a GRU, on one step
}

// newRecurrence makes the recurrence of a node whose R has so many rows for each hidden
// unit, of which inner ones are a product of their own.
func newRecurrence[T Float](b *bound[T], gates, inner int) (*recurrence[T], error) {
	if b.input(4) != nil {
		return nil, b.errorf("sequence lengths have no gradient rule: cut the sequences to one length")
	}
	l := &recurrence[T]{
		b: b, x: b.in[0], w: b.in[1], r: b.in[2], bias: b.input(3), h0: b.input(5), gates: gates,
		reverse: b.Attrs.Str("direction", "forward") == "reverse",
		sigmoid: b.inPlace(kernels.SigmoidOp), tanh: b.inPlace(kernels.TanhOp),
	}
	for i, p := range []**Tensor[T]{&l.y, &l.yh} {
		if i < len(b.out) {
			*p = b.out[i]
		}
	}
	if len(l.x.Shape) != 3 || len(l.w.Shape) != 3 || len(l.r.Shape) != 3 {
		return nil, b.errorf("shapes %v, %v and %v of X, W and R", l.x.Shape, l.w.Shape, l.r.Shape)
	}
	l.steps, l.n, l.in = l.x.Shape[0], l.x.Shape[1], l.x.Shape[2]
	l.hidden = l.r.Shape[2]
	dirs, g := l.w.Shape[0], gates*l.hidden
	for range dirs {
		d := direction[T]{
			input: b.newLayer(kernels.GemmShape(l.steps*l.n, g, l.in), l.x.Grad != nil),
			state: b.newLayer(kernels.GemmShape(l.n, g-inner*l.hidden, l.hidden), true),
		}
		if inner > 0 {
			d.inner = b.newLayer(kernels.GemmShape(l.n, inner*l.hidden, l.hidden), true)
		}
		l.dirs = append(l.dirs, d)
	}
	l.gate, l.h = b.buffer(dirs*l.steps*l.n*g), b.buffer(dirs*(l.steps+1)*l.n*l.hidden)
	l.dh = b.buffer(l.n * l.hidden)
	return l, nil
}

// inPlace returns the function that an op applies to every element.
func (b *bound[T]) inPlace(op kernels.UnaryOp) func(x []T) {
	u := kernels.Unary{Op: op}
	f := kernels.UnaryFunc[T](u)
	if f, ok := any(f).(func(float32) float32); ok {
		level := b.product.level()
		return any(func(x []float32) { kernels.ApplyUnaryAt(level, u, f, x, x) }).(func(x []T))
	}
	return func(x []T) {
		for i, v := range x {
			x[i] = f(v)
		}
	}
}

// backwards says that a direction goes from the end of the sequence to its begin.
func (l *recurrence[T]) backwards(dir int) bool { return l.reverse || dir == 1 }

// time returns which element of the sequence a step of a direction takes.
func (l *recurrence[T]) time(dir, step int) int {
	if l.backwards(dir) {
		return l.steps - 1 - step
	}
	return step
}

// states returns those of a direction [steps, n, hidden] before and after the steps,
// by time, of all [steps+1, n, hidden].
func (l *recurrence[T]) states(dir int, all []T) (before, after []T) {
	nh := l.n * l.hidden
	all = all[dir*(l.steps+1)*nh:][:(l.steps+1)*nh]
	if l.backwards(dir) {
		return all[nh:], all[:l.steps*nh]
	}
	return all[:l.steps*nh], all[nh:]
}

// start gives a direction its weights and its gates what the input contributes, and
// returns these.
func (l *recurrence[T]) start(dir int) (gate []T) {
	d, g, hd := &l.dirs[dir], l.gates*l.hidden, l.hidden
	w, r := l.w.Data[dir*g*l.in:][:g*l.in], l.r.Data[dir*g*hd:][:g*hd]
	wb, rb := make([]T, g), make([]T, g)
	if l.bias != nil {
		copy(wb, l.bias.Data[2*dir*g:])
		copy(rb, l.bias.Data[(2*dir+1)*g:])
	}
	d.input.set(w, wb)
	first := g
	if d.inner != nil {
		first -= hd
		d.inner.set(r[first*hd:], rb[first:])
	}
	d.state.set(r[:first*hd], rb[:first])
	gate = l.gate[dir*l.steps*l.n*g:][:l.steps*l.n*g]
	d.input.forward(gate, l.x.Data)
	return gate
}

// initial sets what a direction's first step starts from, which is that of x or 0.
func (l *recurrence[T]) initial(dir int, all []T, x *Tensor[T]) {
	before, _ := l.states(dir, all)
	nh := l.n * l.hidden
	first := before[l.time(dir, 0)*nh:][:nh]
	clear(first)
	if x != nil {
		copy(first, x.Data[dir*nh:])
	}
}

// last copies what a direction's last step made to y, if there is one.
func (l *recurrence[T]) last(dir int, all []T, y *Tensor[T]) {
	if y == nil {
		return
	}
	_, after := l.states(dir, all)
	nh := l.n * l.hidden
	copy(y.Data[dir*nh:][:nh], after[l.time(dir, l.steps-1)*nh:])
}

// asked sets dst to the gradient of a last state y.
func (l *recurrence[T]) asked(dir int, dst []T, y *Tensor[T]) {
	clear(dst)
	if y != nil && y.Grad != nil {
		copy(dst, y.Grad[dir*len(dst):])
	}
}

// inputs adds the gradients of W, its half of the bias, and x, from those of the
// gates' sums [steps, n, gates*hidden]. dx is room for the last.
func (l *recurrence[T]) inputs(dir int, dGate, dx []T) {
	d, g := &l.dirs[dir], l.gates*l.hidden
	if l.w.Grad != nil {
		d.input.weightGrad(l.w.Grad[dir*g*l.in:][:g*l.in], l.x.Data, dGate)
	}
	if l.bias != nil && l.bias.Grad != nil {
		l.b.product.sumRows(l.bias.Grad[2*dir*g:][:g], dGate, l.steps*l.n, g)
	}
	if l.x.Grad != nil {
		d.input.inputGrad(dx, dGate)
		l.b.product.add(l.x.Grad, dx)
	}
}

// recurrences adds the gradients of rows [from, from+rows) of R and of its half of the
// bias, from what they saw and those of their sums [steps, n, rows]. product is the
// gradient of weights of that shape.
func (l *recurrence[T]) recurrences(dir, from, rows int, product func(dw, x, dy []T), saw, dSum []T) {
	g := l.gates * l.hidden
	if l.r.Grad != nil {
		product(l.r.Grad[(dir*g+from)*l.hidden:][:rows*l.hidden], saw, dSum)
	}
	if l.bias != nil && l.bias.Grad != nil {
		l.b.product.sumRows(l.bias.Grad[(2*dir+1)*g+from:][:rows], dSum, l.steps*l.n, rows)
	}
}

// startGrad adds the gradient d of the initial state x, if it is asked for.
func (l *recurrence[T]) startGrad(dir int, x *Tensor[T], d []T) {
	if x != nil && x.Grad != nil {
		addTo(x.Grad[dir*len(d):][:len(d)], d)
	}
}

package onnx

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Recurrent operators. The usual ones are ops of their own; with other activations,
// peepholes or clipping they become the products and functions that they are made
// of, round by round.

func init() {
	register(map[string]row{"LSTM": {3, lstm}, "GRU": {3, gru}, "RNN": {3, rnn}})
}

// usual reports whether the activations are those, of one direction.
func (o *op) usual(def ...string) bool {
	if o.float("clip", 0) != 0 || o.int("input_forget", 0) != 0 || o.has(7) {
		return false
	}
	if a := o.attr("activations"); a != nil {
		for i, s := range a.strings {
			if !strings.EqualFold(string(s), def[i%len(def)]) {
				return false
			}
		}
	}
	return true
}

// recurrent adds one of the recurrent ops. states are the inputs with initial
// states, one for each final state among the outputs.
func (o *op) recurrent(name string, attrs format.Attrs, states ...int) []*value {
	attrs["direction"] = o.str("direction", "forward")
	in := o.timeFirst(states)
	for k := 1; k <= 3; k++ {
		if in[k] != nil && !o.stored(in[k]) {
			o.fixed(k, "weights are packed before the model runs")
		}
	}
	kinds := make([]kind, 1+len(states))
	for i := range kinds {
		if o.wants(i) {
			kinds[i].typ = format.Float32
		}
	}
	return o.asLaidOut(o.emitAll(name, attrs, kinds, in...))
}

// timeFirst returns the inputs as layout 0 has them.
func (o *op) timeFirst(states []int) []*tensor {
	in := make([]*tensor, max(5, states[len(states)-1])+1)
	for k := range in {
		if !o.has(k) {
			continue
		}
		v := o.in[k]
		if o.int("layout", 0) != 0 && (k == 0 || slices.Contains(states, k)) {
			v = view(v.t, swapped(v.order()))
		}
		in[k] = o.plain(v)
	}
	return in
}

// asLaidOut makes values of the outputs that layout 0 has.
func (o *op) asLaidOut(out []*tensor) []*value {
	batchFirst := o.int("layout", 0) != 0
	result := make([]*value, len(out))
	for i, t := range out {
		switch {
		case t == nil:
		case batchFirst && i == 0: // [T, D, N, H] is [N, T, D, H] there
			result[i] = view(t, []int{1, 2, 0, 3})
		case batchFirst:
			result[i] = view(t, []int{1, 0, 2})
		default:
			result[i] = &value{t: t}
		}
	}
	return result
}

// swapped exchanges the first two dimensions of a value of rank 3.
func swapped(order []int) []int {
	out := slices.Clone(order)
	for i, p := range out {
		if p < 2 {
			out[i] = 1 - p
		}
	}
	return out
}

func lstm(o *op) []*value {
	if o.usual("Sigmoid", "Tanh", "Tanh") {
		return o.recurrent("LSTM", format.Attrs{}, 5, 6)
	}
	return o.rounds(4, []int{5, 6}, []string{"Sigmoid", "Tanh", "Tanh"}, (*cell).lstm)
}

func gru(o *op) []*value {
	if o.usual("Sigmoid", "Tanh") {
		return o.recurrent("GRU", format.Attrs{"linear_before_reset": o.int("linear_before_reset", 0)}, 5)
	}
	return o.rounds(3, []int{5}, []string{"Sigmoid", "Tanh"}, (*cell).gru)
}

func rnn(o *op) []*value {
	if o.usual("Tanh") {
		return o.recurrent("RNN", format.Attrs{}, 5)
	}
	return o.rounds(1, []int{5}, []string{"Tanh"}, (*cell).rnn)
}

// A cell is one direction of a recurrent operator that is taken apart.
type cell struct {
	*op
	h         int
	act       []func(*value) *value
	r         *value   // Rᵀ [H, gates·H]
	rb        *value   // the bias of R, which GRU adds apart; nil: in x
	peepholes []*value // of input, output and forget gate, [H]
}

// rounds takes a recurrent operator apart: all products of the inputs at once, then
// round by round those of the states. step gives the states after a round, the
// hidden one first, from the products of an input [N, gates·H] and the states before.
func (o *op) rounds(gates int, states []int, def []string, step func(c *cell, x *value, states []*value) []*value) []*value {
	in := o.timeFirst(states)
	x, w, r := in[0], in[1], in[2]
	if len(x.shape) != 3 || len(w.shape) != 3 || len(r.shape) != 3 || w.shape[1] != gates*r.shape[2] {
		o.fail("an input %v, weights %v and %v", x.shape, w.shape, r.shape)
	}
	t, n, h, dirs := x.shape[0], x.shape[1], r.shape[2], w.shape[0]
	want := map[int]format.Shape{3: {dirs, 2 * gates * h}, 4: {n}}
	for _, k := range states {
		want[k] = format.Shape{dirs, n, h}
	}
	for k, s := range want {
		if in[k] != nil && !slices.Equal(in[k].shape, s) {
			o.fail("input %d has shape %v, not %v", k, in[k].shape, s)
		}
	}
	if o.has(7) && !slices.Equal(o.in[7].shape(), format.Shape{dirs, 3 * h}) {
		o.fail("input 7 has shape %v, not %v", o.in[7].shape(), format.Shape{dirs, 3 * h})
	}
	if r.shape[0] != dirs {
		o.fail("weights %v and %v", w.shape, r.shape)
	}
	around := func(v *value) *value { return o.reversed(v, 0) }
	var lasts *value // [T, N, 1]: whether the sequence goes on
	if in[4] != nil {
		lens := o.cast(&value{t: in[4]}, format.Int64)
		around = func(v *value) *value {
			p := *o
			p.n, p.in = &nodeProto{op: o.n.op}, []*value{v, lens}
			return reverseSequence(&p)[0]
		}
		lasts = o.insert(o.logic("Less", o.places(t, 1), lens), []int{2})
	}
	direction := o.str("direction", "forward")
	part := func(x *tensor, d int) *value {
		return o.drop(o.cut(&value{t: x}, 0, int64(d), int64(d)+1, 1), []int{0})
	}
	acts := o.activations(def, w.shape[0])
	var ys []*value
	finals := make([][]*value, len(states))
	for d := range w.shape[0] {
		c := &cell{op: o, h: h, act: acts[d*len(def):][:len(def)], r: o.turned(part(r, d))}
		xs := &value{t: x}
		back := direction == "reverse" || d == 1
		if back {
			xs = around(xs)
		}
		xw := o.matmul(xs, o.turned(part(w, d)))
		if in[3] != nil {
			b := part(in[3], d)
			wb, rb := o.cut(b, 0, 0, int64(gates*h), 1), o.cut(b, 0, int64(gates*h), int64(2*gates*h), 1)
			if gates == 3 && o.int("linear_before_reset", 0) != 0 {
				c.rb = rb
			} else {
				wb = o.add(wb, rb)
			}
			xw = o.add(xw, wb)
		}
		if o.has(7) {
			p := part(o.plain(o.in[7]), d)
			for k := range int64(3) {
				c.peepholes = append(c.peepholes, o.cut(p, 0, k*int64(h), (k+1)*int64(h), 1))
			}
		}
		var start []*value
		for _, k := range states {
			if in[k] != nil {
				start = append(start, part(in[k], d))
			} else {
				start = append(start, &value{t: o.floats(format.Shape{n, h}, make([]float32, n*h)...)})
			}
		}
		slices := []*value{xw}
		if lasts != nil {
			slices = append(slices, lasts)
		}
		out := o.scanned(t, start, slices, 1, func(given []*value) []*value {
			before := given[:len(states)]
			after := step(c, given[len(states)], before)
			y := after[0]
			if lasts != nil {
				on := given[len(states)+1]
				for k, v := range after {
					after[k] = o.where(on, v, before[k])
				}
				y = o.where(on, y, o.real(0))
			}
			return append(after, y)
		})
		y := out[len(states)]
		if back {
			y = around(y)
		}
		ys = append(ys, y)
		for k := range states {
			finals[k] = append(finals[k], out[k])
		}
	}
	list := []*tensor{o.plain(o.stack(ys, 1))}
	for _, f := range finals {
		list = append(list, o.plain(o.stack(f, 0)))
	}
	return o.asLaidOut(list)
}

// turned is the transpose of a matrix.
func (o *op) turned(v *value) *value { return &value{t: o.transpose(o.plain(v), []int{1, 0})} }

// activations returns the functions of all directions.
func (o *op) activations(def []string, directions int) []func(*value) *value {
	names := slices.Repeat(def, directions)
	if a := o.attr("activations"); a != nil {
		if len(a.strings) != len(names) {
			o.fail("%d activations for %d directions of %d", len(a.strings), directions, len(def))
		}
		for i, s := range a.strings {
			names[i] = string(s)
		}
	}
	take := func(attr string) func(float64) float64 { // of the functions that have one, in order
		var list []float32
		if a := o.attr(attr); a != nil {
			list = a.floats
		}
		return func(def float64) float64 {
			if len(list) == 0 {
				return def
			}
			v := list[0]
			list = list[1:]
			return float64(v)
		}
	}
	alpha, beta := take("activation_alpha"), take("activation_beta")
	var out []func(*value) *value
	for _, name := range names {
		out = append(out, o.function(name, alpha, beta))
	}
	return out
}

func (o *op) function(name string, alpha, beta func(float64) float64) func(*value) *value {
	each := func(op string, attrs format.Attrs) func(*value) *value {
		return func(x *value) *value { return o.each(op, attrs, format.Float32, x) }
	}
	switch strings.ToLower(name) {
	case "sigmoid":
		return each("Sigmoid", nil)
	case "tanh":
		return each("Tanh", nil)
	case "relu":
		return each("Relu", nil)
	case "softplus":
		return each("Softplus", nil)
	case "elu":
		return each("Elu", format.Attrs{"alpha": alpha(1)})
	case "leakyrelu":
		return each("LeakyRelu", format.Attrs{"alpha": alpha(0.01)})
	case "hardsigmoid":
		return each("HardSigmoid", format.Attrs{"alpha": alpha(0.2), "beta": beta(0.5)})
	case "affine":
		a, b := alpha(1), beta(0)
		return func(x *value) *value { return o.add(o.mul(x, o.real(a)), o.real(b)) }
	case "scaledtanh":
		a, b := alpha(1), beta(1)
		return func(x *value) *value {
			return o.mul(o.each("Tanh", nil, format.Float32, o.mul(x, o.real(b))), o.real(a))
		}
	case "thresholdedrelu":
		a := alpha(1)
		return func(x *value) *value { return o.where(o.logic("Less", o.real(a), x), x, o.real(0)) }
	case "softsign":
		return func(x *value) *value {
			return o.binary("Div", x, o.add(o.each("Abs", nil, format.Float32, x), o.real(1)))
		}
	}
	o.fail("the activation %q", name)
	return nil
}

// gate is part k of [N, gates·H].
func (c *cell) gate(v *value, k int) *value {
	return c.cut(v, 1, int64(k*c.h), int64((k+1)*c.h), 1)
}

// active clips what goes into an activation, and applies it.
func (c *cell) active(k int, x *value) *value {
	if clip := c.float("clip", 0); clip > 0 {
		x = c.each("Clip", format.Attrs{"min": -clip, "max": clip}, format.Float32, x)
	}
	return c.act[k](x)
}

func (c *cell) rnn(x *value, states []*value) []*value {
	return []*value{c.active(0, c.add(x, c.matmul(states[0], c.r)))}
}

// lstm has the gates in the order i, o, f, c. The cell is not clipped, as other
// runtimes have it.
func (c *cell) lstm(x *value, states []*value) []*value {
	h, old := states[0], states[1]
	all := c.add(x, c.matmul(h, c.r))
	peep := func(v *value, k int, cell *value) *value {
		if c.peepholes == nil {
			return v
		}
		return c.add(v, c.mul(c.peepholes[k], cell))
	}
	i := c.active(0, peep(c.gate(all, 0), 0, old))
	var f *value
	if c.int("input_forget", 0) != 0 {
		f = c.binary("Sub", c.real(1), i)
	} else {
		f = c.active(0, peep(c.gate(all, 2), 2, old))
	}
	now := c.add(c.mul(f, old), c.mul(i, c.active(1, c.gate(all, 3))))
	out := c.active(0, peep(c.gate(all, 1), 1, now))
	return []*value{c.mul(out, c.act[2](now)), now}
}

// gru has the gates in the order z, r, h.
func (c *cell) gru(x *value, states []*value) []*value {
	h := states[0]
	zr := func(k int) *value {
		v := c.add(c.gate(x, k), c.matmul(h, c.gate(c.r, k)))
		if c.rb != nil {
			v = c.add(v, c.drop(c.gate(c.insert(c.rb, []int{0}), k), []int{0}))
		}
		return c.active(0, v)
	}
	z, r := zr(0), zr(1)
	var inner *value
	if c.int("linear_before_reset", 0) != 0 {
		inner = c.matmul(h, c.gate(c.r, 2))
		if c.rb != nil {
			inner = c.add(inner, c.drop(c.gate(c.insert(c.rb, []int{0}), 2), []int{0}))
		}
		inner = c.mul(r, inner)
	} else {
		inner = c.matmul(c.mul(r, h), c.gate(c.r, 2))
	}
	g := c.active(1, c.add(c.gate(x, 2), inner))
	return []*value{c.add(c.mul(c.binary("Sub", c.real(1), z), g), c.mul(z, h))}
}

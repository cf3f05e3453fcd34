package keras

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

func init() {
	for _, name := range []string{"LSTM", "GRU", "SimpleRNN", "RNN"} {
		rows[name] = row{vars: cellVars, call: recurrent, mask: maskUsed}
	}
	rows["Bidirectional"] = row{call: bidirectional, mask: maskUsed}
}

// cellVars are the variables of a recurrent layer, which its cell owns.
func cellVars(l *layer) []*variable {
	if _, ok := gates[l.rnn().class]; !ok {
		return nil // recurrent says so
	}
	return in("cell", append(own("kernel", "recurrent_kernel"), own("bias")[:boolInt(l.rnn().cfg.bool("use_bias", true))]...))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rnn returns the layer whose settings are those of the cell.
func (l *layer) rnn() *layer {
	if l.cell == nil {
		return l
	}
	cell := *l.cell
	cell.class = strings.TrimSuffix(cell.class, "Cell")
	cell.vars = l.vars
	return &cell
}

// gates are the places in Keras's order of the gates in ONNX's order.
var gates = map[string][]int{
	"LSTM":      {0, 3, 1, 2}, // Keras: i f c o; ONNX: i o f c
	"GRU":       {0, 1, 2},    // both: z r h
	"SimpleRNN": {0},
}

// states is the number of states of a recurrent layer.
func (l *layer) states() int {
	if l.rnn().class == "LSTM" {
		return 2
	}
	return 1
}

func recurrent(c *call) any {
	in := c.recurrentInputs()
	l, mask := c.l.rnn(), c.steps()
	y, states := c.rnn(l, in[0], in[1:], mask)
	if l.cfg.bool("go_backwards", false) && l.cfg.bool("return_sequences", false) {
		y = c.net.Reverse(y, 1)
	}
	if mask != nil && l.cfg.bool("return_sequences", false) {
		c.masks[y] = mask
	}
	if !l.cfg.bool("return_state", false) {
		return y
	}
	return append([]*format.Tensor{y}, states...)
}

// recurrentInputs returns the input and the initial states.
func (c *call) recurrentInputs() []*format.Tensor {
	in := c.xs()
	for _, t := range flatten(c.kwargs["initial_state"]) {
		in = append(in, c.float(t))
	}
	if len(in[0].Shape) != 3 {
		net.Fail("its input is of shape %v, and [batch, steps, features] is needed", in[0].Shape)
	}
	return in
}

// bidirectional joins a layer with one that goes backwards.
func bidirectional(c *call) any {
	in := c.recurrentInputs()
	x, initial, mask := in[0], in[1:], c.steps()
	half := len(initial) / 2
	var out [2]*format.Tensor
	var states []*format.Tensor
	scope := c.net.Scope
	for i, s := range c.l.subs {
		l := s.layer.rnn()
		if _, ok := gates[l.class]; !ok {
			net.Fail("it wraps a layer of class %s: LSTM, GRU and SimpleRNN are possible", l.class)
		}
		c.net.Scope = join(scope, l.name)
		y, st := c.rnn(l, x, initial[i*half:(i+1)*half], mask)
		// The result of the second layer is turned round: one that goes backwards
		// ends in the order of time.
		if l.cfg.bool("return_sequences", false) && l.cfg.bool("go_backwards", false) == (i == 0) {
			y = c.net.Reverse(y, 1)
		}
		out[i], states = y, append(states, st...)
	}
	c.net.Scope = scope
	var merged []*format.Tensor
	add := func() *format.Tensor { return c.net.Op("Add", nil, out[0], out[1]) }
	switch mode := c.l.cfg["merge_mode"]; mode {
	case "concat":
		merged = append(merged, c.net.Concat(len(out[0].Shape)-1, out[:]...))
	case "sum":
		merged = append(merged, add())
	case "ave":
		merged = append(merged, c.net.Op("Mul", nil, add(), c.net.Number(0.5)))
	case "mul":
		merged = append(merged, c.net.Op("Mul", nil, out[0], out[1]))
	case nil:
		merged = out[:]
	default:
		net.Fail("merge_mode %v", mode)
	}
	if mask != nil && c.l.subs[0].layer.rnn().cfg.bool("return_sequences", false) {
		for _, y := range merged {
			c.masks[y] = mask
		}
	}
	if c.l.subs[0].layer.rnn().cfg.bool("return_state", false) {
		merged = append(merged, states...)
	}
	if len(merged) == 1 {
		return merged[0]
	}
	return merged
}

// rnn writes a recurrent layer over x [N, T, I]. y has all steps [N, T, H] in the
// order of time, or the last one [N, H]; states are the final ones. A step
// that the mask [N, T] hides changes no state and gives the output of the one before it;
// nil hides none.
func (c *call) rnn(l *layer, x *format.Tensor, initial []*format.Tensor, mask *format.Tensor) (y *format.Tensor, states []*format.Tensor) {
	order, ok := gates[l.class]
	if !ok {
		net.Fail("a cell of class %s: LSTMCell, GRUCell and SimpleRNNCell are possible", l.class)
	}
	n, inputs := x.Shape[0], x.Shape[2]
	h := l.cfg.positive("units", 0)
	g := len(order)
	kernel, recurrent := l.need("kernel", inputs, g*h), l.need("recurrent_kernel", h, g*h)
	bias := make([]float32, 2*g*h) // of the input, then of the state
	if v, s, ok := l.weight("bias"); ok {
		if len(v) != g*h && len(v) != 2*g*h {
			net.Fail("a bias of shape %v for %d gates of %d", s, g, h)
		}
		copy(bias, v)
	}
	var write []func(*format.Tensor) // keep the final states for the next call
	if len(initial) == 0 && l.cfg.bool("stateful", false) {
		for range l.states() {
			read, w := c.net.State("state", format.Float32, format.Shape{n, h})
			initial, write = append(initial, read), append(write, w)
		}
	}
	if len(initial) != 0 && len(initial) != l.states() {
		net.Fail("%d initial states", len(initial))
	}
	for _, s := range initial {
		if !s.Shape.Equal(format.Shape{n, h}) {
			net.Fail("an initial state of shape %v", s.Shape)
		}
	}
	cell := &rnnCell{call: c, l: l, h: h, gates: g, kernel: kernel, recurrent: recurrent, bias: bias}
	if l.plain(c.major) {
		y, states = cell.masked(x, initial, order, mask)
	} else {
		y, states = cell.unrolled(x, initial, mask)
	}
	if mask != nil && l.cfg.bool("zero_output_for_mask", false) {
		y = c.net.Op("Mul", nil, y, c.column(c.number(mask)))
	}
	for i, w := range write {
		w(states[i])
	}
	if l.cfg.bool("return_sequences", false) {
		return y, states
	}
	if y = states[0]; mask != nil && len(initial) > 0 { // without a step that counts, 0
		y = c.net.Op("Mul", nil, y, c.net.Reduce("ReduceMax", c.number(mask), true, 1))
	}
	return y, states
}

// plain reports whether a layer's activations are those of the ops.
func (l *layer) plain(major int) bool {
	recurrent := "hard_sigmoid" // of Keras before 2.3; files name it
	if major >= 3 {
		recurrent = "sigmoid"
	}
	return l.cfg.str("activation", "") == "tanh" && (l.class == "SimpleRNN" || l.cfg.str("recurrent_activation", recurrent) == "sigmoid")
}

type rnnCell struct {
	*call
	l                       *layer
	h, gates                int
	kernel, recurrent, bias []float32
}

// resetAfter reports whether a GRU multiplies by r behind the product.
func (r *rnnCell) resetAfter() bool { return r.l.cfg.bool("reset_after", r.major >= 3) }

// masked writes the layer as an op over the steps that count, side by side.
func (r *rnnCell) masked(x *format.Tensor, initial []*format.Tensor, order []int, mask *format.Tensor) (y *format.Tensor, states []*format.Tensor) {
	if mask == nil {
		return r.op(x, initial, order, nil)
	}
	p := r.packing(mask)
	y, states = r.op(p.pack(x), initial, order, p.lengths())
	return p.unpack(y, r.l.cfg.bool("go_backwards", false)), states
}

// op writes the layer as one op of the ops LSTM, GRU and RNN over sequences of the given
// lengths; nil is all steps.
func (r *rnnCell) op(x *format.Tensor, initial []*format.Tensor, order []int, lengths *format.Tensor) (y *format.Tensor, states []*format.Tensor) {
	h, g, inputs := r.h, r.gates, x.Shape[2]
	// rows are the gates in ONNX's order of a matrix [k, g·h], transposed.
	rows := func(v []float32, k int) []float32 {
		t := transposed(v, k, g*h)
		var out []float32
		for _, p := range order {
			out = append(out, t[p*h*k:][:h*k]...)
		}
		return out
	}
	w := r.net.Floats("kernel", format.Shape{1, g * h, inputs}, rows(r.kernel, inputs))
	rec := r.net.Floats("recurrent_kernel", format.Shape{1, g * h, h}, rows(r.recurrent, h))
	b := r.net.Floats("bias", format.Shape{1, 2 * g * h}, append(rows(r.bias[:g*h], 1), rows(r.bias[g*h:], 1)...))
	in := []*format.Tensor{r.net.Transpose(x, 1, 0, 2), w, rec, b, lengths}
	for _, s := range initial {
		in = append(in, r.net.Reshape(s, 1, s.Shape[0], h))
	}
	attrs := format.Attrs{"direction": "forward"}
	if r.l.cfg.bool("go_backwards", false) {
		attrs["direction"] = "reverse"
	}
	name := r.l.class
	switch name {
	case "SimpleRNN":
		name = "RNN"
	case "GRU":
		attrs["linear_before_reset"] = int64(boolInt(r.resetAfter()))
	}
	types := slices.Repeat([]format.DType{format.Float32}, 1+r.l.states())
	out := r.net.Ops(name, types, attrs, in...)
	n, t := x.Shape[0], x.Shape[1]
	for _, s := range out[1:] {
		states = append(states, r.net.Reshape(s, n, h))
	}
	return r.net.Transpose(r.net.Reshape(out[0], t, n, h), 1, 0, 2), states
}

// maxSteps bounds the steps of a layer that is written out.
const maxSteps = 1024

// unrolled writes the layer step by step, for activations that the ops do not have.
func (r *rnnCell) unrolled(x *format.Tensor, initial []*format.Tensor, mask *format.Tensor) (y *format.Tensor, states []*format.Tensor) {
	net_, h, g := r.net, r.h, r.gates
	n, steps, inputs := x.Shape[0], x.Shape[1], x.Shape[2]
	if steps > maxSteps {
		net.Fail("%d steps with activations other than tanh and sigmoid: at most %d are possible", steps, maxSteps)
	}
	gru := r.l.class == "GRU"
	w := net_.Floats("kernel", format.Shape{g * h, inputs}, transposed(r.kernel, inputs, g*h))
	u := net_.Floats("recurrent_kernel", format.Shape{g * h, h}, transposed(r.recurrent, h, g*h))
	wx := net_.Linear(x, w, net_.Floats("bias", format.Shape{g * h}, r.bias[:g*h])) // of all steps at once
	ub := net_.Floats("recurrent_bias", format.Shape{g * h}, r.bias[g*h:])
	if states = initial; len(states) == 0 {
		for range r.l.states() {
			states = append(states, net_.Floats("zeros", format.Shape{n, h}, make([]float32, made(n*h))))
		}
	}
	act := func(t *format.Tensor) *format.Tensor { return r.activation(t, r.l.cfg["activation"]) }
	gate := func(t *format.Tensor) *format.Tensor { return r.activation(t, r.l.cfg["recurrent_activation"]) }
	op := func(name string, a, b *format.Tensor) *format.Tensor { return net_.Op(name, nil, a, b) }
	ys := make([]*format.Tensor, steps)
	shown := net_.Number(0) // the last output
	for k := range steps {
		t := k
		if r.l.cfg.bool("go_backwards", false) {
			t = steps - 1 - k
		}
		xt := net_.Split(net_.Reshape(net_.Slice(wx, 1, t, t+1), n, g*h), 1, g)
		state, before := states[0], states
		switch {
		case gru && !r.resetAfter():
			uz := net_.Split(net_.Linear(state, net_.Floats("zr", format.Shape{2 * h, h}, transposed(columns(r.recurrent, g*h, 0, 2*h), h, 2*h)), nil), 1, 2)
			z, reset := gate(op("Add", xt[0], uz[0])), gate(op("Add", xt[1], uz[1]))
			uh := net_.Linear(op("Mul", reset, state), net_.Floats("h", format.Shape{h, h}, transposed(columns(r.recurrent, g*h, 2*h, 3*h), h, h)), nil)
			states = []*format.Tensor{r.blend(z, state, act(op("Add", xt[2], uh)))}
		case gru:
			uh := net_.Split(net_.Linear(state, u, ub), 1, g)
			z, reset := gate(op("Add", xt[0], uh[0])), gate(op("Add", xt[1], uh[1]))
			states = []*format.Tensor{r.blend(z, state, act(op("Add", xt[2], op("Mul", reset, uh[2]))))}
		default:
			sum := net_.Split(op("Add", net_.Concat(1, xt...), net_.Linear(state, u, nil)), 1, g)
			if g == 1 {
				states = []*format.Tensor{act(sum[0])}
				break
			}
			i, f, o := gate(sum[0]), gate(sum[1]), gate(sum[3])
			cell := op("Add", op("Mul", f, states[1]), op("Mul", i, act(sum[2])))
			states = []*format.Tensor{op("Mul", o, act(cell)), cell}
		}
		last := states[0]
		if mask != nil {
			counts := net_.Typed("Less", format.Bool, nil, net_.Number(0), net_.Slice(r.number(mask), 1, t, t+1))
			shown = r.choose(counts, last, shown)
			last = shown
			for i := range states {
				states[i] = r.choose(counts, states[i], before[i])
			}
		}
		ys[t] = net_.Reshape(last, n, 1, h)
	}
	return net_.Concat(1, ys...), states
}

// blend is z·old + (1 - z)·now.
func (r *rnnCell) blend(z, old, now *format.Tensor) *format.Tensor {
	d := r.net.Op("Mul", nil, z, r.net.Op("Sub", nil, old, now))
	return r.net.Op("Add", nil, now, d)
}

// columns returns the columns from to before to of a matrix with cols of them.
func columns(v []float32, cols, from, to int) []float32 {
	var out []float32
	for i := 0; i < len(v); i += cols {
		out = append(out, v[i+from:i+to]...)
	}
	return out
}

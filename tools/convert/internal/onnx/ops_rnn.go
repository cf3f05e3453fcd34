package onnx

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Recurrent operators.

func init() {
	register(map[string]row{"LSTM": {3, lstm}, "GRU": {3, gru}, "RNN": {3, rnn}})
}

// activations refuses functions other than the usual ones; def lists those of
// one direction.
func (o *op) activations(def ...string) {
	a := o.attr("activations")
	if a == nil {
		return
	}
	for i, s := range a.strings {
		if want := def[i%len(def)]; !strings.EqualFold(string(s), want) {
			o.fail("activations %q: only %v is possible", a.strings, def)
		}
	}
}

// recurrent adds one of the recurrent ops. states are the inputs with initial
// states, one for each final state among the outputs.
func (o *op) recurrent(name string, attrs format.Attrs, states ...int) []*value {
	if o.float("clip", 0) != 0 {
		o.fail("clip")
	}
	attrs["direction"] = o.str("direction", "forward")
	batchFirst := o.int("layout", 0) != 0
	in := make([]*tensor, max(5, states[len(states)-1])+1)
	for k := range in {
		if !o.has(k) {
			continue
		}
		v := o.in[k]
		if batchFirst && (k == 0 || slices.Contains(states, k)) {
			v = view(v.t, swapped(v.order()))
		}
		in[k] = o.plain(v)
		if k >= 1 && k <= 3 && !o.stored(in[k]) {
			o.fixed(k, "weights are packed before the model runs")
		}
	}
	kinds := make([]kind, 1+len(states))
	for i := range kinds {
		if o.wants(i) {
			kinds[i].typ = format.Float32
		}
	}
	out := o.emitAll(name, attrs, kinds, in...)
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
	if o.has(7) {
		o.fail("peepholes")
	}
	if o.int("input_forget", 0) != 0 {
		o.fail("input_forget")
	}
	o.activations("Sigmoid", "Tanh", "Tanh")
	return o.recurrent("LSTM", format.Attrs{}, 5, 6)
}

func gru(o *op) []*value {
	o.activations("Sigmoid", "Tanh")
	return o.recurrent("GRU", format.Attrs{"linear_before_reset": o.int("linear_before_reset", 0)}, 5)
}

func rnn(o *op) []*value {
	o.activations("Tanh")
	return o.recurrent("RNN", format.Attrs{}, 5)
}

package quant

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// Equalize returns a model that computes the same with activations whose
// channels are more alike, so that one int8 scale serves them all, and the
// number of places that it changed. A channel between two layers is multiplied
// by a factor in the first layer's weights and bias and divided by it in the
// second one's weights (cross-layer equalization: Nagel et al., 2019,
// arXiv:1906.04721, section 4.1). Between them may stand what commutes with a
// positive factor: Relu, LeakyRelu, pooling, a reshape that keeps the channels.
//
// Weights are quantized by output channel here, so the first layer's cost
// nothing and the ranges of the activations take their place: the factor
// balances the channel's range against the weights that read it. Before a
// depthwise layer, which has a scale for each channel, it levels the ranges.
//
// Factors are powers of two: nothing is rounded, and the outputs keep their
// bits unless numbers leave the normal range. Through a Clip from zero to a
// bound, as ReLU6 is, channels only grow, and stay below the bound as far as it
// was observed: there the Clip cuts off, besides what it did, values that no
// sample had, as the range of the codes does.
func Equalize(m *format.Model, o Observation) (*format.Model, int) {
	out := clone(m)
	g := out.Main()
	e := &equalizer{tensors: byName(out), users: users(g), readers: map[string]*format.Node{}}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			e.readers[in] = n
		}
	}
	changed := 0
	for _, n := range g.Nodes {
		if e.pair(n, o) {
			changed++
		}
	}
	return out, changed
}

type equalizer struct {
	tensors map[string]*format.Tensor
	users   map[string]int
	readers map[string]*format.Node // the last reader of each tensor
}

// pair equalizes the channels between layer a and the one that reads it.
func (e *equalizer) pair(a *format.Node, o Observation) bool {
	if !e.scalable(a) {
		return false
	}
	at := a.Outputs[0] // the tensor whose channels are levelled
	stats := o[at]
	bound := float32(math.Inf(1)) // that a Clip sets
	n := a
	for {
		if e.users[n.Outputs[0]] != 1 {
			return false
		}
		if n = e.readers[n.Outputs[0]]; n == nil || linear(n) {
			break
		}
		if !e.commutes(n) {
			return false
		}
		if n.Op == "Clip" {
			bound = min(bound, float32(n.Attrs.Float("max", 0)))
		}
		if n.Op == "Relu" || n.Op == "LeakyRelu" || n.Op == "Clip" {
			stats = o[n.Outputs[0]] // what is stored; the layer before takes it over
		}
	}
	channels := e.tensors[a.Inputs[1]].Shape[0]
	if n == nil || stats == nil || len(stats.ChannelMax) != channels || !e.scalable(n) {
		return false
	}
	w := e.tensors[n.Inputs[1]]
	x := float32s(w)
	k := len(x) / w.Shape[0]
	groups := n.Attrs.Int("group", 1)
	depthwise := groups > 1 && groups == channels && w.Shape[len(w.Shape)-1] == 1
	inner := w.Shape[len(w.Shape)-1] // input channels of one output
	if n.Op == "Gemm" {
		inner = channels // a flattened map keeps its channels innermost
	}
	if !depthwise && (groups != 1 || inner == 0 || k%inner != 0 || inner != channels) {
		return false
	}
	reader := make([]float32, channels) // greatest weight that reads the channel
	of := func(i int) int {
		if depthwise {
			return i / k * channels / w.Shape[0]
		}
		return i % inner
	}
	for i, v := range x {
		reader[of(i)] = max(reader[of(i)], abs(v))
	}
	factor := factors(stats.ChannelMax, reader, bound, depthwise)
	if factor == nil {
		return false
	}
	for i := range x {
		x[i] /= factor[of(i)]
	}
	w.Data = bytesOf(x)
	for i, name := range a.Inputs[1:] {
		if name == "" {
			continue
		}
		t := e.tensors[name]
		v := float32s(t)
		per := len(v) / channels
		for j := range v {
			v[j] *= factor[j/per]
		}
		a.Inputs[1+i] = name
		t.Data = bytesOf(v)
	}
	return true
}

// scalable reports whether the node is a layer with float32 constants that no
// other node shares.
func (e *equalizer) scalable(n *format.Node) bool {
	if !linear(n) {
		return false
	}
	for _, in := range n.Inputs[1:] {
		if in != "" && (!plainConst(e.tensors[in]) || e.users[in] != 1) {
			return false
		}
	}
	return true
}

// commutes reports whether scaling a channel before the node is scaling it
// behind.
func (e *equalizer) commutes(n *format.Node) bool {
	in, out := e.tensors[n.Inputs[0]].Shape, e.tensors[n.Outputs[0]].Shape
	if len(in) == 0 || len(out) == 0 {
		return false
	}
	switch n.Op {
	case "Relu", "LeakyRelu", "MaxPool", "AveragePool":
		return true
	case "Clip":
		hi := n.Attrs.Float("max", math.Inf(1))
		return n.Attrs.Float("min", math.Inf(-1)) == 0 && hi > 0 && !math.IsInf(hi, 1)
	case "ReduceMean":
		for _, a := range n.Attrs.Ints("axes") {
			if a == -1 || int(a) == len(in)-1 {
				return false
			}
		}
		return true
	case "Reshape": // the innermost axis goes on being the channels, or a multiple of them
		return out[len(out)-1]%in[len(in)-1] == 0
	}
	return false
}

// factors returns what each channel is multiplied by, nil if nothing changes.
// Beneath a finite bound channels do not shrink, nor grow beyond it.
func factors(ranges, reader []float32, bound float32, depthwise bool) []float32 {
	bounded := !math.IsInf(float64(bound), 1)
	most, heavy := largest(ranges), largest(reader)
	f := make([]float32, len(ranges))
	changed := false
	for c := range f {
		f[c] = 1
		if ranges[c] == 0 || reader[c] == 0 {
			continue // a channel that is dead or unread
		}
		ratio := float64(most) / float64(ranges[c])
		if !depthwise {
			// Half of the imbalance goes to the weights, as in SmoothQuant
			// with alpha = 1/2 (Xiao et al., 2022, arXiv:2211.10438).
			ratio = math.Sqrt(ratio / (float64(heavy) / float64(reader[c])))
		}
		f[c] = float32(floorPower(ratio))
		if bounded {
			f[c] = max(min(f[c], float32(floorPower(float64(bound)/float64(ranges[c])))), 1)
		}
		changed = changed || f[c] != 1
	}
	if !changed {
		return nil
	}
	return f
}

// maxFactor bounds a factor: a channel that is smaller than that beside the
// others carries nothing, and its weights would only lose.
const maxFactor = 1 << 8

// floorPower is the greatest power of two that is not above x, within
// [1/maxFactor, maxFactor].
func floorPower(x float64) float64 {
	_, e := math.Frexp(x) // x = f·2^e with f in [0.5, 1)
	return min(max(math.Ldexp(1, e-1), 1.0/maxFactor), maxFactor)
}

package ondevice

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// tail is what is trained of a model when that is more than the head: layers
// below the head, in a float32 form of all that follows the cut.
type tail struct {
	cut    *format.Tensor  // what the tail reads; its values are cached
	part   map[string]bool // names of the nodes from the cut to the head's features
	layers []*format.Node  // those whose weights or biases are trained, in order
	bias   bool            // only biases are trained (and the head)
	share  float64         // of every layer's channels whose weights are trained; 0: all
	rank   int             // of the adapters that are trained in the place of the layers; 0: none
	seed   uint64          // of the adapters' weights at the start
}

// layerOps are the ops with weights that can be trained.
var layerOps = []string{"Conv", "Gemm"}

// findTail finds the layers that t trains besides the head, and the cut: the last
// tensor that all of what they compute depends on.
func findTail(m *format.Model, h *head, t Tail) (*tail, error) {
	below := prefix(m, h.feature.Name).Main().Nodes
	constant := func(name string) bool { x := m.Tensor(name); return x != nil && x.Const() }
	var layers []*format.Node
	for _, n := range below {
		if slices.Contains(layerOps, n.Op) && constant(n.Inputs[1]) && (t.rank() == 0 || linear(m, n)) {
			layers = append(layers, n)
		}
	}
	want := len(layers)
	if t > 0 && t < sparse {
		if want = int(t) - 1; want > len(layers) {
			return nil, &HeadError{Reason: fmt.Sprintf("tail %v: the model has %d layers with weights", t, len(layers)+1)}
		}
	}
	if want == 0 {
		return nil, &HeadError{Reason: fmt.Sprintf("tail %v: there is no such layer with weights before the head", t)}
	}
	tl := &tail{layers: layers[len(layers)-want:], bias: t == Bias, share: t.part(), rank: t.rank()}
	for _, n := range tl.layers {
		if a := m.Header.Tunable; len(a) > 0 && !slices.Contains(a, n.Name) {
			return nil, &HeadError{n.Name, n.Op, "the model's maker does not allow it to be tuned"}
		}
	}
	first := slices.Index(below, tl.layers[0])
	candidates := []string{tl.layers[0].Inputs[0]}
	for _, n := range slices.Backward(below[:first]) {
		candidates = append(candidates, n.Outputs[0])
	}
	candidates = append(candidates, m.Main().Inputs[0].Tensor)
	for _, name := range candidates {
		part := cut(m, []format.Input{{Tensor: name}}, h.feature.Name)
		if tl.cut = m.Tensor(name); tl.readsOnly(part, name) {
			tl.part = map[string]bool{}
			for _, n := range part.Main().Nodes {
				tl.part[n.Name] = true
			}
			return tl, tl.check(m, h)
		}
	}
	return nil, &HeadError{tl.layers[0].Name, tl.layers[0].Op, "what follows it depends on more than one tensor before it"}
}

// readsOnly reports whether a part of a model reads nothing but the tensor name
// and constants, and holds all the layers.
func (tl *tail) readsOnly(part *format.Model, name string) bool {
	known := map[string]bool{name: true, "": true}
	for _, n := range part.Main().Nodes {
		for _, in := range n.Inputs {
			if !known[in] && !part.Tensor(in).Const() {
				return false
			}
		}
		for _, o := range n.Outputs {
			known[o] = true
		}
	}
	for _, l := range tl.layers {
		if !slices.Contains(part.Main().Nodes, l) {
			return false
		}
	}
	return true
}

// check refuses tails of types that are not known, and those whose insides are
// seen from elsewhere.
func (tl *tail) check(m *format.Model, h *head) error {
	if err := tl.checkCut(); err != nil {
		return err
	}
	readers := map[string]int{}
	for _, n := range m.Main().Nodes {
		for _, in := range n.Inputs {
			readers[in]++
		}
	}
	for _, l := range tl.layers {
		for _, in := range l.Inputs[1:] {
			if in != "" && readers[in] > 1 {
				return &HeadError{l.Name, l.Op, fmt.Sprintf("its constant %q belongs to another node too", in)}
			}
		}
	}
	made := map[string]bool{}
	for _, n := range m.Main().Nodes {
		if tl.part[n.Name] {
			for _, o := range n.Outputs {
				made[o] = o != tl.cut.Name
			}
		}
	}
	for i, n := range m.Main().Nodes {
		if tl.part[n.Name] || slices.Contains(h.nodes, i) {
			continue
		}
		for _, in := range n.Inputs {
			if made[in] {
				return &HeadError{n.Name, n.Op, fmt.Sprintf("it reads %q, which tuning would replace", in)}
			}
		}
	}
	for _, o := range m.Main().Outputs[1:] {
		if made[o] {
			return &HeadError{Reason: fmt.Sprintf("output %q is part of the tail that tuning would replace", o)}
		}
	}
	return nil
}

// checkCut refuses values at the cut that are not known as real numbers.
func (tl *tail) checkCut() error {
	if _, _, ok := realRange(tl.cut); !ok && tl.cut.Type != format.Float32 {
		return &HeadError{Reason: fmt.Sprintf("tail: inputs %q of type %v are not known", tl.cut.Name, tl.cut.Type)}
	}
	return nil
}

// The names that a float tail gives to what it adds.
const (
	nodeCut   = "tail/q"
	tensorCut = "tail/f"
	tailClip  = "/clip" // after a layer's name
	tailFloat = "/f"    // after the name of a constant that others read too
)

// float returns the model with everything after the cut in float32: constants as
// the real numbers that they stand for, conversions left out, and the range of a
// quantized result kept as a Clip, which is where an integer layer saturates (and
// where a gradient ends: the mask of straight-through estimation, Bengio, Léonard
// and Courville, 2013). So it computes what the integers do, up to rounding. The
// head of m is float32 already; m is shared, not changed.
func (tl *tail) float(m *format.Model) (*format.Model, error) {
	f, _, err := tl.real(m)
	return f, err
}

// real is [tail.float]; it says too which of its tensors stand for the model's.
func (tl *tail) real(m *format.Model) (f *format.Model, names map[string]string, err error) {
	out := &format.Model{Header: m.Header, Symbols: m.Symbols, States: m.States}
	g := *m.Main()
	g.Nodes = nil
	inTail := func(n *format.Node) bool {
		return tl.part[n.Name] || slices.Contains([]string{nodeDequant, nodeReshape, nodeGemm, nodeSoftmax}, n.Name)
	}
	shared := map[string]bool{} // what nodes before the cut read
	for _, n := range m.Main().Nodes {
		for _, in := range n.Inputs {
			shared[in] = shared[in] || !inTail(n)
		}
	}
	draw := newRNG(tl.seed, streamAdapter)
	names = map[string]string{} // of the base's tensors in the tail
	real := map[string]*format.Tensor{}
	add := func(t *format.Tensor) {
		if real[t.Name] == nil {
			real[t.Name] = t
		}
	}
	placed := tl.cut.Type == format.Float32
	names[tl.cut.Name] = tl.cut.Name
	if !placed {
		names[tl.cut.Name] = tensorCut
	}
	for _, n := range m.Main().Nodes {
		if !inTail(n) {
			g.Nodes = append(g.Nodes, n)
			continue
		}
		if !placed {
			placed = true
			g.Nodes = append(g.Nodes, &format.Node{Name: nodeCut, Op: "DequantizeLinear", Inputs: []string{tl.cut.Name}, Outputs: []string{tensorCut}})
			add(&format.Tensor{Name: tensorCut, Type: format.Float32, Shape: tl.cut.Shape})
		}
		switch n.Op {
		case "QuantizeLinear", "DequantizeLinear", "Requantize":
			names[n.Outputs[0]] = names[n.Inputs[0]]
			continue
		}
		node := *n
		node.Inputs = slices.Clone(n.Inputs)
		for i, in := range n.Inputs {
			if in == "" {
				continue
			}
			if names[in] == "" {
				c, err := tl.constant(m, n, i)
				if err != nil {
					return nil, nil, err
				}
				if shared[in] && c.Type != m.Tensor(in).Type {
					c.Name += tailFloat
				}
				names[in] = c.Name
				add(c)
			}
			node.Inputs[i] = names[in]
		}
		for _, o := range n.Outputs {
			if o != "" {
				t := m.Tensor(o)
				add(&format.Tensor{Name: o, Type: format.Float32, Shape: t.Shape})
				names[o] = o
			}
		}
		if tl.rank > 0 && slices.Contains(tl.layers, n) {
			nodes, tensors := optional.adapter(tl, m, &node, draw)
			g.Nodes = append(g.Nodes, nodes...)
			for _, t := range tensors {
				add(t)
			}
		} else {
			g.Nodes = append(g.Nodes, &node)
		}
		if clip, result := tl.clip(m, &node); clip != nil {
			g.Nodes = append(g.Nodes, clip)
			add(result)
			names[n.Outputs[0]] = result.Name
		}
	}
	for _, t := range m.Tensors {
		switch {
		case real[t.Name] != nil:
			out.Tensors = append(out.Tensors, real[t.Name])
			delete(real, t.Name)
		case names[t.Name] == "" || shared[t.Name] || t == tl.cut:
			out.Tensors = append(out.Tensors, t)
		}
	}
	for _, n := range g.Nodes { // what is new, in the order of its use
		for _, name := range slices.Concat(n.Inputs, n.Outputs) {
			if t := real[name]; t != nil {
				out.Tensors = append(out.Tensors, t)
				delete(real, name)
			}
		}
	}
	out.Graphs = append([]*format.Graph{&g}, m.Graphs[1:]...)
	return out, names, nil
}

// clip bounds the result of a layer to what its quantized form could hold.
func (tl *tail) clip(m *format.Model, n *format.Node) (*format.Node, *format.Tensor) {
	if !slices.Contains([]string{"Conv", "Gemm", "Add", "Sub", "Mul", "Div"}, n.Op) {
		return nil, nil
	}
	y := m.Tensor(n.Outputs[0])
	lo, hi, ok := realRange(y)
	if !ok {
		return nil, nil
	}
	t := &format.Tensor{Name: y.Name + tailClip, Type: format.Float32, Shape: y.Shape}
	return &format.Node{
		Name: n.Name + tailClip, Op: "Clip", Inputs: []string{y.Name}, Outputs: []string{t.Name},
		Attrs: format.Attrs{"min": lo, "max": hi},
	}, t
}

// realRange returns the least and the greatest real number that a quantized
// tensor holds.
func realRange(t *format.Tensor) (lo, hi float64, ok bool) {
	least, most := int32(0), int32(0)
	switch t.Type {
	case format.Int8:
		least, most = math.MinInt8, math.MaxInt8
	case format.Uint8:
		most = math.MaxUint8
	default:
		return 0, 0, false
	}
	if t.Quant == nil || len(t.Quant.Scale) != 1 {
		return 0, 0, false
	}
	s, z := t.Quant.Scale[0], t.Quant.ZeroPoint()
	return float64(s * float32(least-z)), float64(s * float32(most-z)), true
}

// constant returns input i of a node of the tail as float32; one of whole
// numbers, such as indices, stays as it is.
func (tl *tail) constant(m *format.Model, n *format.Node, i int) (*format.Tensor, error) {
	t := m.Tensor(n.Inputs[i])
	bad := func(err error) (*format.Tensor, error) { return nil, &HeadError{n.Name, n.Op, err.Error()} }
	if t == nil || !t.Const() {
		return bad(fmt.Errorf("%q is neither constant nor computed after the cut", n.Inputs[i]))
	}
	bias := i == 2 && slices.Contains(layerOps, n.Op)
	if t.Type == format.Float32 || t.Quant == nil && !bias {
		return t, nil
	}
	var scale []float64
	if bias {
		scale = biasScale(m.Tensor(n.Inputs[0]), m.Tensor(n.Inputs[1]))
	}
	r, err := newReals(t, scale)
	if err != nil {
		return bad(err)
	}
	data := make([]byte, 0, 4*t.Shape.Elems())
	for k := range t.Shape.Elems() {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(r.at(k)))
	}
	return &format.Tensor{Name: t.Name, Type: format.Float32, Shape: t.Shape, Data: data}, nil
}

// trained lists the tensors of a float tail that are trained, weights first, then
// biases, those of the head last of each, and how many of them are weights.
func (tl *tail) trained(float *format.Model) (names []string, weights int) {
	var biases []string
	for _, l := range tl.layers {
		n := nodeNamed(float, l.Name)
		if tl.rank > 0 {
			names = append(names, adapterDown(l.Name), adapterUp(l.Name))
			continue
		}
		if !tl.bias {
			names = append(names, n.Inputs[1])
		}
		if len(n.Inputs) > 2 && n.Inputs[2] != "" {
			biases = append(biases, n.Inputs[2])
		}
	}
	names = append(names, tensorW)
	return append(append(names, biases...), tensorB), len(names)
}

func nodeNamed(m *format.Model, name string) *format.Node {
	for _, n := range m.Main().Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// withValues returns the model with other values in some float32 constants.
func withValues(m *format.Model, values map[string][]float32) *format.Model {
	out := *m
	out.Tensors = slices.Clone(m.Tensors)
	for i, t := range out.Tensors {
		if v, ok := values[t.Name]; ok {
			c := *t
			c.Data = floatBytes(v)
			out.Tensors[i] = &c
		}
	}
	return &out
}

// integers returns the base model with the trained layers below the head in the
// base's own integer types, or nil if there are none: weights symmetric in a
// scale an output channel (or with a zero point for uint8), biases in the
// product of the scales, activations as they were. The values are those of
// the float tail, by the name of its constants.
func (tl *tail) integers(base, float *format.Model, values map[string][]float32) *format.Model {
	out := *base
	out.Tensors = slices.Clone(base.Tensors)
	at := map[string]int{}
	for i, t := range out.Tensors {
		at[t.Name] = i
	}
	for _, l := range tl.layers {
		x, w := base.Tensor(l.Inputs[0]), base.Tensor(l.Inputs[1])
		if w.Quant == nil || x.Quant == nil || w.Type != format.Int8 && w.Type != format.Uint8 || w.Quant.Block > 0 {
			return nil
		}
		f := nodeNamed(float, l.Name)
		if v := values[f.Inputs[1]]; v != nil {
			q, err := quantizeWeights(w, v)
			if err != nil {
				return nil
			}
			out.Tensors[at[w.Name]] = q
			w = q
		}
		if len(l.Inputs) < 3 || l.Inputs[2] == "" {
			continue
		}
		b := base.Tensor(l.Inputs[2])
		if b.Type != format.Int32 {
			return nil
		}
		v := values[f.Inputs[2]]
		if v == nil { // it is not trained
			v = floatsOf(float.Tensor(f.Inputs[2]))
		}
		out.Tensors[at[b.Name]] = quantizeBias(b, v, biasScale(x, w))
	}
	return &out
}

// quantizeWeights returns values as weights of the type and granularity of like.
// What has a scale of its own, a row or the whole, and is as it was keeps its codes.
func quantizeWeights(like *format.Tensor, values []float32) (*format.Tensor, error) {
	old := like.Quant
	before, err := newReals(like, nil)
	if err != nil {
		return nil, err
	}
	t, q := *like, *old
	q.Scale = slices.Clone(old.Scale)
	t.Quant, t.Data = &q, make([]byte, len(values))
	row := len(values) / len(q.Scale)
	for c := range q.Scale {
		v, same := values[c*row:][:row], true
		lo, hi := float32(0), float32(0)
		for i := 0; i < row && same; i++ {
			same = v[i] == before.at(c*row+i)
		}
		if same {
			copy(t.Data[c*row:][:row], like.Data[c*row:])
			continue
		}
		for _, x := range v {
			lo, hi = min(lo, x), max(hi, x)
		}
		zero := int32(0)
		if like.Type == format.Uint8 {
			if hi > lo {
				q.Scale[c] = (hi - lo) / 255
			}
			zero = clampRound(-lo/q.Scale[c], 0, 255)
			q.Zero = []int32{zero}
		} else if m := max(hi, -lo); m > 0 {
			q.Scale[c] = m / 127
		}
		for i, x := range v {
			if like.Type == format.Uint8 {
				t.Data[c*row+i] = byte(clampRound(x/q.Scale[c]+float32(zero), 0, 255))
			} else {
				t.Data[c*row+i] = byte(int8(clampRound(x/q.Scale[c], -127, 127)))
			}
		}
	}
	if like.Type == format.Int8 {
		q.Zero = nil
	}
	return &t, nil
}

// quantizeBias returns values in units of scale, one for all or one a value.
func quantizeBias(like *format.Tensor, values []float32, scale []float64) *format.Tensor {
	t := *like
	t.Data = nil
	for i, v := range values {
		s := scale[min(i, len(scale)-1)]
		r := math.RoundToEven(float64(v) / s)
		t.Data = binary.LittleEndian.AppendUint32(t.Data, uint32(int32(max(math.MinInt32, min(math.MaxInt32, r)))))
	}
	if like.Quant != nil {
		q := *like.Quant
		q.Scale = make([]float32, len(scale))
		for i, s := range scale {
			q.Scale[i] = float32(s)
		}
		t.Quant = &q
	}
	return &t
}

func clampRound(x, lo, hi float32) int32 {
	return int32(math.RoundToEven(float64(max(lo, min(hi, x)))))
}

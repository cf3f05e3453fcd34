package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// A picture of a graph: boxes in layers from top to bottom, edges that pass
// through a layer bent around its boxes (Sugiyama et al. 1981).
type graphPicture struct {
	boxes  []*graphBox
	layers [][]*graphBox
	width  float64
	height float64
}

// A graphBox is a node with the activations behind it, an input or output of the
// graph, or a bend of a long edge (bend is true).
type graphBox struct {
	title, kind string
	lines       []string
	bend        bool
	layer       int
	x, y        float64 // of its middle; of its upper edge
	up, down    []*graphBox
	height      float64 // of a bend: that of its layer
	share       float64 // of the run's time or of its multiply-adds, 0 to 1
	weights     int64
	macs, ns    int64
}

const (
	boxWidth  = 250.0
	bendWidth = 18.0
	boxGap    = 22.0
	layerGap  = 30.0
	lineSize  = 15.0
)

func (b *graphBox) w() float64 {
	if b.bend {
		return bendWidth
	}
	return boxWidth
}

func (b *graphBox) h() float64 {
	if b.bend {
		return b.height
	}
	return float64(len(b.lines)+1)*lineSize + 12
}

// joins are ops that are drawn within the box of the node before them, if it is
// their only source and they its only reader.
var joins = []string{"Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "QuantizeLinear", "DequantizeLinear", "Requantize", "Reshape", "Softmax", "LogSoftmax"}

// families give a box its colour, by the first op in it.
var families = map[string][]string{
	"conv":  {"Conv", "ConvTranspose"},
	"dense": {"Gemm", "MatMul", "Einsum", "Attention"},
	"state": {"LSTM", "QLSTM", "GRU", "RNN", "SVDF", "ReadState", "WriteState"},
	"pool":  {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"},
	"join":  {"Add", "Mul", "Sub", "Div", "Concat"},
	"flow":  {"If", "Loop", "While", "Scan", "Call", "CallOnce"},
}

func family(op string) string {
	for f, ops := range families {
		if slices.Contains(ops, op) {
			return f
		}
	}
	return "other"
}

// stepShares returns what each node of the model costs: of the least times of ten
// runs if timed, else of the multiply-adds.
func stepShares(ctx context.Context, p *runtime.Program, timed bool) (share map[string]float64, ns map[string]int64, err error) {
	share, ns = map[string]float64{}, map[string]int64{}
	total := 0.0
	if timed {
		s := p.NewSession()
		defer s.Close()
		for i := range 11 {
			if i == 1 {
				s.Profile(true) // the first run is not counted
			}
			if err := s.Run(ctx); err != nil {
				return nil, nil, err
			}
		}
		for _, t := range s.Times() {
			ns[t.Node] += t.Min.Nanoseconds()
			share[t.Node] += float64(t.Min)
			total += float64(t.Min)
		}
	} else {
		for _, st := range p.Steps() {
			share[st.Node] += float64(st.MACs)
			total += float64(st.MACs)
		}
	}
	for k := range share {
		share[k] /= max(total, 1)
	}
	return share, ns, nil
}

// drawGraph lays out the model's main graph.
func drawGraph(m *format.Model, share map[string]float64, ns, macs map[string]int64) *graphPicture {
	tensors := make(map[string]*format.Tensor, len(m.Tensors))
	for _, t := range m.Tensors {
		tensors[t.Name] = t
	}
	g := m.Main()
	readers := map[string]int{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			readers[in]++
		}
	}
	for _, o := range g.Outputs {
		readers[o]++
	}
	pic := &graphPicture{}
	from := map[string]*graphBox{} // the box that makes a tensor
	add := func(kind, title string, lines ...string) *graphBox {
		b := &graphBox{kind: kind, title: title, lines: lines}
		pic.boxes = append(pic.boxes, b)
		return b
	}
	for _, in := range g.Inputs {
		from[in.Tensor] = add("edge", "input", tensorLines(m, tensors[in.Tensor])...)
	}
	for _, n := range g.Nodes {
		var b *graphBox
		if len(n.Inputs) > 0 {
			b = from[n.Inputs[0]]
		}
		out := tensors[n.Outputs[0]]
		first := slices.Contains(joins, n.Op) && b != nil && b.kind != "edge" && readers[n.Inputs[0]] == 1 && len(n.Outputs) == 1
		if first {
			b.title += " + " + n.Op
			b.lines[1] = typeLine(m, out)
		} else {
			b = add(family(n.Op), n.Op, firstName(n.Name), typeLine(m, out))
			for _, in := range n.Inputs {
				if src := from[in]; src != nil && !slices.Contains(b.up, src) {
					b.up, src.down = append(b.up, src), append(src.down, b)
				}
			}
		}
		if d := nodeDetail(n, tensors); d != "" {
			b.lines = append(b.lines, d)
		}
		b.share += share[n.Name]
		b.macs += macs[n.Name]
		b.ns += ns[n.Name]
		for _, in := range n.Inputs {
			if t := tensors[in]; t != nil && t.Const() {
				b.weights += int64(len(t.Data))
			}
		}
		for _, o := range n.Outputs {
			from[o] = b
		}
	}
	for _, b := range pic.boxes {
		if b.macs > 0 {
			b.lines = append(b.lines, countOf(b.macs)+" multiply-adds")
		}
		if b.ns > 0 {
			b.lines = append(b.lines, fmt.Sprintf("%s, %.1f %%", nanos(b.ns), 100*b.share))
		}
		if b.weights >= 64 {
			b.lines = append(b.lines, byteCount(b.weights)+" of weights")
		}
	}
	for _, o := range g.Outputs {
		if src := from[o]; src != nil {
			b := add("edge", "output", tensorLines(m, tensors[o])...)
			b.up, src.down = append(b.up, src), append(src.down, b)
		}
	}
	pic.layout()
	return pic
}

func typeLine(m *format.Model, t *format.Tensor) string {
	s := t.Type.String() + " " + shapeOf(t.Shape, m.Symbols)
	if t.Quant != nil && len(t.Quant.Scale) == 1 {
		s += fmt.Sprintf("  ×%.4g %+d", t.Quant.Scale[0], -t.Quant.ZeroPoint())
	}
	return s
}

func tensorLines(m *format.Model, t *format.Tensor) []string {
	return []string{firstName(t.Name), typeLine(m, t)}
}

// firstName is the first of the names that a converter joined.
func firstName(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return s
}

// nodeDetail tells the window of a convolution or pooling and how its weights are
// held.
func nodeDetail(n *format.Node, tensors map[string]*format.Tensor) string {
	var parts []string
	if k := n.Attrs.Ints("kernel_shape"); len(k) > 0 {
		parts = append(parts, dims(k))
	}
	if len(n.Inputs) > 1 {
		if w := tensors[n.Inputs[1]]; w != nil && w.Const() && len(w.Shape) > 1 {
			if len(parts) == 0 {
				parts = append(parts, strings.ReplaceAll(strings.Trim(shapeOf(w.Shape, nil), "[]"), ",", "×"))
			}
			parts = append(parts, w.Type.String())
			if w.Quant != nil && len(w.Quant.Scale) > 1 {
				parts = append(parts, fmt.Sprintf("%d scales", len(w.Quant.Scale)))
			}
		}
	}
	if s := n.Attrs.Ints("strides"); slices.ContainsFunc(s, func(v int64) bool { return v > 1 }) {
		parts = append(parts, "stride "+dims(s))
	}
	if g := n.Attrs.Int("group", 1); g > 1 {
		parts = append(parts, fmt.Sprintf("%d groups", g))
	}
	return strings.Join(parts, ", ")
}

func dims(v []int64) string {
	s := make([]string, len(v))
	for i, d := range v {
		s[i] = fmt.Sprint(d)
	}
	return strings.Join(s, "×")
}

// layout gives every box its place.
func (g *graphPicture) layout() {
	for _, b := range g.boxes { // in the order of the graph: sources come first
		for _, u := range b.up {
			b.layer = max(b.layer, u.layer+1)
		}
	}
	for _, b := range slices.Clone(g.boxes) {
		for i, d := range b.down {
			g.bend(b, i, d)
		}
	}
	for _, b := range g.boxes {
		for len(g.layers) <= b.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[b.layer] = append(g.layers[b.layer], b)
	}
	// Order each layer by the mean place of its neighbours, down and up in turns.
	for sweep := range 8 {
		g.sweep(sweep%2 == 0, func(layer []*graphBox, near func(*graphBox) []*graphBox) {
			place := map[*graphBox]float64{}
			for i, b := range layer {
				place[b] = mean(near(b), float64(i))
			}
			slices.SortStableFunc(layer, func(a, b *graphBox) int { return cmp.Compare(place[a], place[b]) })
			for i, b := range layer {
				b.x = float64(i)
			}
		})
	}
	for _, layer := range g.layers {
		x := 0.0
		for _, b := range layer {
			b.x = x + b.w()/2
			x += b.w() + boxGap
		}
	}
	// Pull boxes towards their neighbours without changing their order.
	for sweep := range 12 {
		g.sweep(sweep%2 == 0, func(layer []*graphBox, near func(*graphBox) []*graphBox) {
			want := make([]float64, len(layer))
			for i, b := range layer {
				want[i] = mean(near(b), b.x)
			}
			spread(layer, want)
		})
	}
	g.place()
}

// bend puts a bend into each layer that an edge passes through.
func (g *graphPicture) bend(b *graphBox, i int, d *graphBox) {
	last := b
	for l := b.layer + 1; l < d.layer; l++ {
		k := &graphBox{bend: true, layer: l, up: []*graphBox{last}}
		g.boxes = append(g.boxes, k)
		if last == b {
			b.down[i] = k
		} else {
			last.down = []*graphBox{k}
		}
		last = k
	}
	if last != b {
		last.down = []*graphBox{d}
		d.up[slices.Index(d.up, b)] = last
	}
}

// sweep goes through the layers down or up; near gives the neighbours on the
// side it comes from.
func (g *graphPicture) sweep(down bool, visit func([]*graphBox, func(*graphBox) []*graphBox)) {
	for i := range g.layers {
		if down {
			visit(g.layers[i], func(b *graphBox) []*graphBox { return b.up })
		} else {
			visit(g.layers[len(g.layers)-1-i], func(b *graphBox) []*graphBox { return b.down })
		}
	}
}

// mean is the mean place of boxes; bends count little, so that the main path
// stays straight.
func mean(near []*graphBox, def float64) float64 {
	sum, n := 0.0, 0.0
	for _, b := range near {
		w := 8.0
		if b.bend {
			w = 1
		}
		sum, n = sum+w*b.x, n+w
	}
	if n == 0 {
		return def
	}
	return sum / n
}

// spread moves the boxes of a layer as near to the wanted places as their order
// and widths allow: groups that touch move together.
func spread(layer []*graphBox, want []float64) {
	type group struct {
		first, last int
		sum, weight float64 // of the wanted places of the group's first box
	}
	offset := make([]float64, len(layer)) // of each box from the first one
	for i := 1; i < len(layer); i++ {
		offset[i] = offset[i-1] + (layer[i-1].w()+layer[i].w())/2 + boxGap
	}
	var groups []group
	for i, b := range layer {
		w := 8.0
		if b.bend {
			w = 1
		}
		groups = append(groups, group{i, i, w * (want[i] - offset[i]), w})
		for k := len(groups) - 1; k > 0 && groups[k-1].sum/groups[k-1].weight > groups[k].sum/groups[k].weight; k-- {
			a := &groups[k-1]
			a.last, a.sum, a.weight = groups[k].last, a.sum+groups[k].sum, a.weight+groups[k].weight
			groups = groups[:k]
		}
	}
	for _, g := range groups {
		for i := g.first; i <= g.last; i++ {
			layer[i].x = g.sum/g.weight + offset[i]
		}
	}
}

// place sets the heights and moves everything to positive places.
func (g *graphPicture) place() {
	left, right := 0.0, 0.0
	for _, b := range g.boxes {
		left, right = min(left, b.x-b.w()/2), max(right, b.x+b.w()/2)
	}
	y := boxGap
	for _, layer := range g.layers {
		high := 0.0
		for _, b := range layer {
			b.x, b.y = b.x-left+boxGap, y
			high = max(high, b.h())
		}
		for _, b := range layer {
			if b.bend {
				b.height = high
			}
		}
		y += high + layerGap
	}
	g.width, g.height = right-left+2*boxGap, y
}

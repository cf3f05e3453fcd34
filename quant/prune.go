package quant

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/whet-edge/whet/format"
)

// PruneOptions say how [Prune] works.
type PruneOptions struct {
	// MACs is the part of the multiply-accumulates to keep at most, of 1.
	MACs float64
	// Rounds is how often channels are taken out, with training after each; 0: 3.
	Rounds int
	// Tune is the training: its Epochs are those of each round.
	Tune TuneOptions
}

// Prune returns a float model with fewer channels, and what it took out. Channels
// of one tensor and all that are added to or multiplied with it go together, out
// of the layers that make them and of those that read them. What goes first is
// what changes the loss the least for the work that it saves: its change is
// estimated as (Σ g·w)² over the weights that make the channel (Molchanov et al.,
// "Importance Estimation for Neural Network Pruning", 2019, arXiv:1906.10771,
// equation 8), with gradients g over labelled samples.
//
// Channels that reach an output of the model, or an op that is not known to treat
// them alike, stay.
func Prune(ctx context.Context, m *format.Model, data Labelled, o PruneOptions) (*format.Model, []Pruned, error) {
	if !(o.MACs > 0 && o.MACs < 1) {
		return nil, nil, fmt.Errorf("quant: pruning to %g of the multiply-accumulates: choose a part between 0 and 1", o.MACs)
	}
	rounds := o.Rounds
	if rounds == 0 {
		rounds = 3
	}
	before := newChannels(m)
	whole := before.macs()
	out := m
	for i := 1; i <= rounds; i++ {
		score, err := importance(ctx, out, data, o.Tune)
		if err != nil {
			return nil, nil, err
		}
		target := 1 - (1-o.MACs)*float64(i)/float64(rounds)
		c := newChannels(out)
		if err := c.choose(score, int64(target*float64(whole))); err != nil {
			return nil, nil, err
		}
		if out, err = c.cut(); err != nil {
			return nil, nil, err
		}
		if out, err = Tune(ctx, out, data, o.Tune); err != nil {
			return nil, nil, err
		}
	}
	return out, pruned(m, out), nil
}

// Pruned says what a layer lost.
type Pruned struct {
	Node     string `json:"node"`
	Channels int    `json:"channels"` // of its output, before and after
	Left     int    `json:"channels_left"`
	MACs     int64  `json:"macs"`
	MACsLeft int64  `json:"macs_left"`
}

// pruned compares the layers of two models, which have the same nodes.
func pruned(before, after *format.Model) []Pruned {
	a, b := byName(before), byName(after)
	var out []Pruned
	for i, n := range before.Main().Nodes {
		if left := after.Main().Nodes[i]; linear(n) {
			out = append(out, Pruned{n.Name, a[n.Inputs[1]].Shape[0], b[left.Inputs[1]].Shape[0], nodeMACs(n, a), nodeMACs(left, b)})
		}
	}
	return out
}

// importanceSamples bounds the samples that channels are judged on, and
// importanceBatch is how many of them make one gradient.
const (
	importanceSamples = 1024
	importanceBatch   = 16
)

// importance estimates for every output channel of every layer, by the name of
// its weights, what the loss changes without it.
func importance(ctx context.Context, m *format.Model, data Labelled, o TuneOptions) (map[string][]float64, error) {
	o.Fake = nil
	t, err := newTuner(m, data, &o)
	if err != nil {
		return nil, err
	}
	score := map[string][]float64{}
	n := len(data.Class)
	most := min(n, importanceSamples)
	var batch []int
	for i := range most {
		batch = append(batch, i*n/most)
		if len(batch) < importanceBatch && i < most-1 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := t.learn(batch); err != nil {
			return nil, err
		}
		batch = batch[:0]
		at := 0
		for _, x := range t.tapes[0].train {
			rows := x.Shape[0]
			if score[x.Name] == nil {
				score[x.Name] = make([]float64, rows)
			}
			k := len(x.Data) / rows
			for r := range rows {
				sum := 0.0
				for range k {
					sum += float64(float64(t.gradient[at]) * float64(t.params[at]))
					at++
				}
				score[x.Name][r] += float64(sum * sum)
			}
		}
	}
	return score, nil
}

// channels is what is known of a model's channels: tensors whose innermost axis
// holds the same ones, once or (flattened maps) several times over, are of one
// set.
type channels struct {
	model   *format.Model
	tensors map[string]*format.Tensor
	users   map[string]int
	of      map[string]*channelSet // by activation
	sets    []*channelSet          // in the order of the graph
}

// A channelSet is channels that stay or go together.
type channelSet struct {
	parent *channelSet // of a set that was joined with another
	size   int
	frozen bool
	keep   []bool
	left   int
}

func (s *channelSet) root() *channelSet {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// alike names the ops of one input that treat each channel by itself.
var alike = map[string]bool{
	"Relu": true, "Clip": true, "LeakyRelu": true, "HardSwish": true, "HardSigmoid": true, "Sigmoid": true, "Tanh": true, "Elu": true, "Gelu": true,
	"MaxPool": true, "AveragePool": true,
}

func newChannels(m *format.Model) *channels {
	c := &channels{model: clone(m), of: map[string]*channelSet{}}
	c.tensors = byName(c.model)
	g := c.model.Main()
	c.users = users(g)
	for _, in := range g.Inputs {
		c.start(in.Tensor).frozen = true
	}
	for _, n := range g.Nodes {
		c.follow(n)
	}
	for _, o := range g.Outputs {
		c.freeze(o)
	}
	for _, s := range c.sets {
		s.keep = slices.Repeat([]bool{true}, s.size)
		s.left = s.size
	}
	return c
}

// start makes a set of the channels of a tensor.
func (c *channels) start(name string) *channelSet {
	s := &channelSet{size: 1}
	if shape := c.tensors[name].Shape; len(shape) > 0 {
		s.size = max(shape[len(shape)-1], 1)
	}
	c.of[name] = s
	c.sets = append(c.sets, s)
	return s
}

// set is that of a tensor, nil for a constant.
func (c *channels) set(name string) *channelSet {
	if s := c.of[name]; s != nil {
		return s.root()
	}
	return nil
}

func (c *channels) freeze(name string) {
	if s := c.set(name); s != nil {
		s.frozen = true
	}
}

// join makes one set of two.
func (c *channels) join(a, b *channelSet) {
	if a = a.root(); a == b.root() {
		return
	}
	b = b.root()
	a.frozen = a.frozen || b.frozen || a.size != b.size
	b.parent = a
}

// follow says to which sets a node's outputs belong.
func (c *channels) follow(n *format.Node) {
	known := len(n.Inputs) > 0 && c.set(n.Inputs[0]) != nil
	switch {
	case known && c.depthwise(n), known && alike[n.Op], known && n.Op == "ReduceMean" && c.spatial(n), n.Op == "Reshape" && c.flattens(n):
		c.of[n.Outputs[0]] = c.set(n.Inputs[0])
		return
	case known && linear(n) && n.Attrs.Int("group", 1) == 1 && c.own(n):
		c.start(n.Outputs[0])
		return
	case n.Op == "Add" || n.Op == "Sub" || n.Op == "Mul":
		a, b := c.tensors[n.Inputs[0]], c.tensors[n.Inputs[1]]
		if !a.Const() && !b.Const() && a.Shape.Equal(b.Shape) {
			c.join(c.of[a.Name], c.of[b.Name])
			c.of[n.Outputs[0]] = c.set(a.Name)
			return
		}
	}
	for _, in := range n.Inputs {
		c.freeze(in)
	}
	for _, o := range n.Outputs {
		if o != "" {
			c.start(o).frozen = true
		}
	}
}

// depthwise reports whether a node is a depthwise convolution with one filter a
// channel.
func (c *channels) depthwise(n *format.Node) bool {
	if n.Op != "Conv" || len(c.tensors[n.Inputs[1]].Shape) != 4 {
		return false
	}
	w := c.tensors[n.Inputs[1]].Shape
	return w[3] == 1 && w[0] == n.Attrs.Int("group", 1) && w[0] > 1 && c.own(n)
}

// own reports whether the layer's constants are float32 and its alone.
func (c *channels) own(n *format.Node) bool {
	for _, in := range n.Inputs[1:] {
		if in != "" && (!plainConst(c.tensors[in]) || c.users[in] != 1) {
			return false
		}
	}
	return true
}

// spatial reports whether a reduction leaves the channels alone.
func (c *channels) spatial(n *format.Node) bool {
	rank := len(c.tensors[n.Inputs[0]].Shape)
	axes := n.Attrs.Ints("axes")
	return len(axes) > 0 && !slices.ContainsFunc(axes, func(a int64) bool { return a == -1 || int(a) == rank-1 })
}

// flattens reports whether a Reshape keeps the channels innermost.
func (c *channels) flattens(n *format.Node) bool {
	s, y := c.set(n.Inputs[0]), c.tensors[n.Outputs[0]].Shape
	return s != nil && len(y) > 0 && y[len(y)-1]%s.size == 0
}

// macs counts the multiply-accumulates with the channels that are left.
func (c *channels) macs() int64 {
	sum := int64(0)
	for _, n := range c.model.Main().Nodes {
		if !linear(n) {
			continue
		}
		all := nodeMACs(n, c.tensors)
		y := c.set(n.Outputs[0])
		all = all / int64(y.size) * int64(y.left)
		if x := c.set(n.Inputs[0]); x != nil && !c.depthwise(n) {
			all = all / int64(x.size) * int64(x.left)
		}
		sum += all
	}
	return sum
}

// step is how many channels go at a time. Kernels compute 16 channels side by
// side (8 or 4 on lesser CPUs): what is left of a wide layer stays a multiple of
// that, or the work that is saved on paper would be done on nothing. So less may
// be left than was asked for.
func step(size int) int {
	switch {
	case size >= 48:
		return 16
	case size >= 24:
		return 8
	case size >= 16:
		return 4
	}
	return 1
}

// choose takes channels out until at most so many multiply-accumulates are left.
func (c *channels) choose(score map[string][]float64, target int64) error {
	cost := map[*channelSet][]float64{}
	for _, n := range c.model.Main().Nodes {
		if s := c.linearSet(n); s != nil && !s.frozen {
			if cost[s] == nil {
				cost[s] = make([]float64, s.size)
			}
			for i, v := range score[n.Inputs[1]] {
				cost[s][i] += v
			}
		}
	}
	for now := c.macs(); now > target; now = c.macs() {
		var best *channelSet
		var gone []int
		least := 0.0
		for _, s := range c.sets {
			by := step(s.size)
			if cost[s] == nil || s.parent != nil || s.left-by < max(by, s.size/8) {
				continue
			}
			worst := s.worst(cost[s], by)
			price := 0.0
			for _, i := range worst {
				price += cost[s][i]
			}
			saved := now - c.without(s, by)
			if saved <= 0 {
				continue
			}
			if price /= float64(saved); best == nil || price < least {
				best, gone, least = s, worst, price
			}
		}
		if best == nil {
			return fmt.Errorf("quant: no more channels can be pruned: %d multiply-accumulates are left of %d, the target is %d", now, macs(c.model), target)
		}
		for _, i := range gone {
			best.keep[i] = false
		}
		best.left -= len(gone)
	}
	return nil
}

// without counts the multiply-accumulates that are left without n of a set's
// channels.
func (c *channels) without(s *channelSet, n int) int64 {
	s.left -= n
	defer func() { s.left += n }()
	return c.macs()
}

// linearSet is that of the output of a layer, nil for other nodes.
func (c *channels) linearSet(n *format.Node) *channelSet {
	if !linear(n) {
		return nil
	}
	return c.set(n.Outputs[0])
}

// worst lists the n channels of the least cost that are left.
func (s *channelSet) worst(cost []float64, n int) []int {
	var left []int
	for i, k := range s.keep {
		if k {
			left = append(left, i)
		}
	}
	slices.SortStableFunc(left, func(a, b int) int {
		switch {
		case cost[a] < cost[b]:
			return -1
		case cost[a] > cost[b]:
			return 1
		}
		return 0
	})
	return left[:n]
}

// cut returns the model without the channels that are gone.
func (c *channels) cut() (*format.Model, error) {
	done := map[string]bool{} // constants
	for _, n := range c.model.Main().Nodes {
		for _, o := range n.Outputs {
			if s := c.set(o); s != nil && s.left < s.size {
				t := c.tensors[o]
				t.Shape = slices.Clone(t.Shape)
				last := len(t.Shape) - 1
				t.Shape[last] = t.Shape[last] / s.size * s.left
				if n.Op == "Reshape" {
					n.Attrs = maps.Clone(n.Attrs)
					n.Attrs["shape"] = shapeAttr(t.Shape)
				}
			}
		}
		if !linear(n) {
			continue
		}
		y, x := c.set(n.Outputs[0]), c.set(n.Inputs[0])
		if y.left == y.size && x.left == x.size {
			continue
		}
		depthwise := c.depthwise(n)
		if depthwise {
			n.Attrs = maps.Clone(n.Attrs)
			n.Attrs["group"] = int64(y.left)
		}
		for i, name := range n.Inputs[1:] {
			if name == "" || done[name] {
				continue
			}
			done[name] = true
			w := c.tensors[name]
			rows := w.Shape[0]
			per := w.Shape.Elems() / rows
			data := float32s(w)
			var kept []float32
			for at, v := range data {
				if y.keep[at/per] && (i > 0 || depthwise || x.keep[at%per%x.size]) {
					kept = append(kept, v)
				}
			}
			w.Shape = slices.Clone(w.Shape)
			w.Shape[0] = y.left
			if last := len(w.Shape) - 1; i == 0 && !depthwise {
				w.Shape[last] = w.Shape[last] / x.size * x.left
			}
			w.Data = bytesOf(kept)
		}
	}
	return c.model, format.Check(c.model)
}

func shapeAttr(s format.Shape) []int64 {
	out := make([]int64, len(s))
	for i, d := range s {
		out[i] = int64(d)
	}
	return out
}

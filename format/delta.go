package format

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/whet-edge/whet/format/vfs"
)

// A Delta is the difference between two models: what fine-tuning changes. Applied
// to its base it gives the tuned model, bit for bit; the base itself is never
// touched, and dropping the delta is the way back.
//
// Deltas form chains. Base is always the digest of the very model that the delta
// applies to, which is the result of the delta Parent if there is one.
type Delta struct {
	Base   [32]byte // see [Digest]
	Parent [32]byte // [Delta.Digest] of the delta whose result Base is; zero: Base is a .whet file's
	Result [32]byte // digest of the tuned model

	Card    map[string]string  // what people want to know of the delta; it does not go into the model
	Labels  []string           // nil: the base's
	Tunable []string           // nil: the base's
	Metrics map[string]float64 // nil: the base's
	Peak    int64              // Header.PeakBytes of the tuned model; 0: the base's

	symbols []string
	graphs  []graphPatch // all graphs of the tuned model, in order
	states  patch[*State]
	tensors patch[*Tensor]
}

// graphPatch makes a graph from the base's graph of that name, or from nothing.
type graphPatch struct {
	Graph      // without its nodes; without inputs and outputs where they are the base's
	edge  bool // inputs and outputs are the Graph's
	nodes patch[*Node]
}

// Tensors returns the tensors that the delta adds or replaces.
func (d *Delta) Tensors() []*Tensor {
	var list []*Tensor
	for _, p := range d.tensors.put {
		list = append(list, p.value)
	}
	return list
}

// Nodes returns the nodes that the delta adds or replaces.
func (d *Delta) Nodes() []*Node {
	var list []*Node
	for _, g := range d.graphs {
		for _, p := range g.nodes.put {
			list = append(list, p.value)
		}
	}
	return list
}

// Two elements are equal when files would hold the same bytes for them.
var (
	nodeList = named[*Node]{"node", func(n *Node) string { return n.Name }, func(a, b *Node) bool {
		return same(func(e *encoder) { e.node(a) }, func(e *encoder) { e.node(b) })
	}}
	stateList = named[*State]{"state", func(s *State) string { return s.Name }, func(a, b *State) bool {
		return same(func(e *encoder) { e.state(a) }, func(e *encoder) { e.state(b) })
	}}
	tensorList = named[*Tensor]{"tensor", func(t *Tensor) string { return t.Name }, func(a, b *Tensor) bool {
		return a.Const() == b.Const() && bytes.Equal(a.Data, b.Data) && same(
			func(e *encoder) { e.typed(a.Name, a.Type, a.Shape, a.Quant, 0) },
			func(e *encoder) { e.typed(b.Name, b.Type, b.Shape, b.Quant, 0) })
	}}
)

func same(a, b func(*encoder)) bool {
	x, y := newEncoder(), newEncoder()
	a(x)
	b(y)
	return bytes.Equal(x.buf.Bytes(), y.buf.Bytes())
}

// Diff returns the delta that turns base into tuned. Both are checked. Of the
// headers only labels, metrics, tunable nodes and peak memory may differ: the rest
// is the base's. The caller sets Parent and Card.
func Diff(base, tuned *Model) (*Delta, error) {
	if err := Check(base); err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	if err := Check(tuned); err != nil {
		return nil, fmt.Errorf("tuned model: %w", err)
	}
	d := &Delta{symbols: tuned.Symbols}
	var err error
	if d.Base, err = Digest(base); err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	if d.Result, err = Digest(tuned); err != nil {
		return nil, fmt.Errorf("tuned model: %w", err)
	}
	if err := d.diffHeader(&base.Header, &tuned.Header); err != nil {
		return nil, err
	}
	for _, g := range tuned.Graphs {
		p := graphPatch{Graph: Graph{Name: g.Name}, edge: true}
		var from []*Node
		if b := base.Graph(g.Name); b != nil {
			from = b.Nodes
			p.edge = !slices.Equal(b.Inputs, g.Inputs) || !slices.Equal(b.Outputs, g.Outputs)
		}
		if p.edge {
			p.Inputs, p.Outputs = g.Inputs, g.Outputs
		}
		p.nodes = nodeList.diff(from, g.Nodes)
		d.graphs = append(d.graphs, p)
	}
	d.states = stateList.diff(base.States, tuned.States)
	d.tensors = tensorList.diff(base.Tensors, tuned.Tensors)
	return d, nil
}

func (d *Delta) diffHeader(base, tuned *Header) error {
	if !slices.Equal(base.Labels, tuned.Labels) {
		d.Labels = append([]string{}, tuned.Labels...) // not nil, also when empty
	}
	if !slices.Equal(base.Tunable, tuned.Tunable) {
		d.Tunable = append([]string{}, tuned.Tunable...)
	}
	if !same(func(e *encoder) { e.metrics(base.Metrics) }, func(e *encoder) { e.metrics(tuned.Metrics) }) {
		d.Metrics = map[string]float64{}
		maps.Copy(d.Metrics, tuned.Metrics)
	}
	if base.PeakBytes != tuned.PeakBytes {
		d.Peak = tuned.PeakBytes
	}
	h := *tuned
	h.Opset, h.Digest, h.WeightBytes = base.Opset, base.Digest, base.WeightBytes
	h.Labels, h.Tunable, h.Metrics, h.PeakBytes = base.Labels, base.Tunable, base.Metrics, base.PeakBytes
	a, err := encodeHeader(base)
	if err != nil {
		return err
	}
	b, err := encodeHeader(&h)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return &CheckError{Msg: "the headers differ in more than labels, metrics, tunable nodes and peak memory, which a delta cannot hold: write a whole model"}
	}
	return nil
}

// Apply returns the model that the delta makes of its base. The result shares the
// base's constants, so the base is closed after the result's last use. Any other
// model than the delta's base is refused.
func Apply(base *Model, d *Delta) (*Model, error) {
	sum, err := Digest(base)
	if err != nil {
		return nil, err
	}
	if sum != d.Base {
		return nil, &CheckError{Msg: fmt.Sprintf("the delta is for the model with digest %x…, and this model's is %x…: take the base that it was made from%s",
			d.Base[:6], sum[:6], parentHint(d))}
	}
	m := &Model{Header: base.Header, Symbols: d.symbols}
	h := &m.Header
	if d.Labels != nil {
		h.Labels = d.Labels
	}
	if d.Tunable != nil {
		h.Tunable = d.Tunable
	}
	if d.Metrics != nil {
		h.Metrics = d.Metrics
	}
	if d.Peak != 0 {
		h.PeakBytes = d.Peak
	}
	for _, p := range d.graphs {
		g := p.Graph
		var from []*Node
		if b := base.Graph(g.Name); b != nil {
			from = b.Nodes
			if !p.edge {
				g.Inputs, g.Outputs = b.Inputs, b.Outputs
			}
		}
		if g.Nodes, err = nodeList.apply(from, p.nodes); err != nil {
			return nil, &CheckError{Msg: err.Error()}
		}
		m.Graphs = append(m.Graphs, &g)
	}
	if m.States, err = stateList.apply(base.States, d.states); err != nil {
		return nil, &CheckError{Msg: err.Error()}
	}
	if m.Tensors, err = tensorList.apply(base.Tensors, d.tensors); err != nil {
		return nil, &CheckError{Msg: err.Error()}
	}
	if err := Check(m); err != nil {
		return nil, fmt.Errorf("the delta makes an invalid model: %w", err)
	}
	if h.Digest, err = Digest(m); err != nil {
		return nil, err
	}
	if h.Digest != d.Result {
		return nil, &CheckError{Msg: fmt.Sprintf("the delta makes a model with digest %x… and promises %x…", h.Digest[:6], d.Result[:6])}
	}
	h.WeightBytes = 0
	for _, t := range m.Tensors {
		h.WeightBytes += int64(len(t.Data))
	}
	return m, nil
}

func parentHint(d *Delta) string {
	if d.Parent == [32]byte{} {
		return ""
	}
	return fmt.Sprintf(", with the delta %x… applied first", d.Parent[:6])
}

var deltaHeaderKeys = []string{"card", "labels", "tunable", "metrics", "peak_bytes", "pad"}

// encodeHeader returns the header map of the delta, padded.
func (d *Delta) encodeHeader() ([]byte, error) {
	e := newEncoder()
	n := 2
	for _, there := range []bool{d.Labels != nil, d.Tunable != nil, d.Metrics != nil, d.Peak != 0} {
		if there {
			n++
		}
	}
	e.object(n)
	e.str("card")
	e.texts(d.Card)
	if d.Labels != nil {
		e.str("labels")
		e.strs(d.Labels)
	}
	if d.Tunable != nil {
		e.str("tunable")
		e.strs(d.Tunable)
	}
	if d.Metrics != nil {
		e.str("metrics")
		e.metrics(d.Metrics)
	}
	if d.Peak != 0 {
		e.str("peak_bytes")
		e.int(d.Peak)
	}
	e.pad()
	return e.buf.Bytes(), e.err
}

func (d *Delta) decodeHeader(c *container) error {
	dec := newDecoder(c.header, fixedLen, &c.lim)
	dec.skipUnknown = true
	dec.object("the header", 0, deltaHeaderKeys, func(key string) {
		switch key {
		case "card":
			d.Card = dec.texts()
		case "labels":
			d.Labels = append([]string{}, dec.strs()...)
		case "tunable":
			d.Tunable = append([]string{}, dec.strs()...)
		case "metrics":
			if d.Metrics = dec.metrics(); d.Metrics == nil {
				d.Metrics = map[string]float64{}
			}
		case "peak_bytes":
			d.Peak = int64(dec.uint(1 << 62))
		case "pad":
			dec.padding()
		}
	})
	return dec.end()
}

// encodePatch returns the map of the patch and the layout of the new constants.
// What is empty is left out: a head's delta is to stay small.
func (d *Delta) encodePatch() ([]byte, *layout, error) {
	e, l := newEncoder(), &layout{}
	chain, states := d.Parent != [32]byte{}, !d.states.empty()
	n := 4
	for _, there := range []bool{chain, len(d.symbols) > 0, states} {
		if there {
			n++
		}
	}
	e.object(n)
	e.str("base")
	e.bin(d.Base[:])
	if chain {
		e.str("parent")
		e.bin(d.Parent[:])
	}
	e.str("result")
	e.bin(d.Result[:])
	if len(d.symbols) > 0 {
		e.str("symbols")
		e.strs(d.symbols)
	}
	e.str("graphs")
	e.array(len(d.graphs))
	for i := range d.graphs {
		g := &d.graphs[i]
		if g.edge {
			e.object(4)
		} else {
			e.object(2)
		}
		e.str("name")
		e.str(g.Name)
		if g.edge {
			e.ports(&g.Graph)
		}
		e.str("nodes")
		encodeList(e, g.nodes, e.node)
	}
	if states {
		e.str("states")
		encodeList(e, d.states, e.state)
	}
	e.str("tensors")
	encodeList(e, d.tensors, func(t *Tensor) { e.tensor(t, l) })
	return e.buf.Bytes(), l, e.err
}

// encodeList writes [removed positions, [[position, value], ...]].
func encodeList[T any](e *encoder, p patch[T], value func(T)) {
	e.array(2)
	e.array(len(p.remove))
	for _, i := range p.remove {
		e.int(int64(i))
	}
	e.array(len(p.put))
	for _, q := range p.put {
		e.array(2)
		e.int(int64(q.at))
		value(q.value)
	}
}

func decodeList[T any](d *decoder, what string, limit int, value func() T) (p patch[T]) {
	if d.arrayLen() != 2 {
		d.fail("the patch of %s is not a pair", what)
		return p
	}
	last := -1
	position := func(n int) int {
		i := int(d.uint(math.MaxInt32))
		switch {
		case n >= limit:
			d.exceed("more than %d %s", limit, what)
		case i <= last:
			d.fail("the positions in the patch of %s do not ascend", what)
		}
		last = i
		return i
	}
	d.list(func() { p.remove = append(p.remove, position(len(p.remove))) })
	last = -1
	d.list(func() {
		if d.arrayLen() != 2 {
			d.fail("an entry of the patch of %s is not a pair", what)
			return
		}
		p.put = append(p.put, put[T]{position(len(p.put)), value()})
	})
	return p
}

func (d *Delta) decodePatch(c *container) error {
	dec := newDecoder(c.graph, fixedLen+int64(c.headerLen), &c.lim)
	dec.object("the patch", 4, []string{"base", "result", "graphs", "tensors", "parent", "symbols", "states"}, func(key string) {
		switch key {
		case "base":
			d.Base = dec.digest()
		case "parent":
			d.Parent = dec.digest()
		case "result":
			d.Result = dec.digest()
		case "symbols":
			d.symbols = dec.strs()
		case "graphs":
			dec.list(func() {
				var g graphPatch
				dec.object("a graph", 2, []string{"name", "nodes", "inputs", "outputs"}, func(key string) {
					switch key {
					case "name":
						g.Name = dec.str()
					case "nodes":
						g.nodes = decodeList(dec, "nodes", dec.lim.Nodes, dec.node)
					default:
						g.edge = true
						dec.ports(&g.Graph, key)
					}
				})
				d.graphs = append(d.graphs, g)
			})
		case "states":
			d.states = decodeList(dec, "states", dec.lim.Tensors, dec.state)
		case "tensors":
			d.tensors = decodeList(dec, "tensors", dec.lim.Tensors, func() *Tensor { return dec.tensor(c) })
		}
	})
	return dec.end()
}

// Digest returns the SHA-256 of all that follows the header in the delta's file,
// which is what the next delta of a chain has as Parent.
func (d *Delta) Digest() ([32]byte, error) {
	graph, l, err := d.encodePatch()
	if err != nil {
		return [32]byte{}, err
	}
	return tailDigest(graph, l.blobs)
}

// WriteDelta writes a .whetd file. The same delta gives the same bytes.
func WriteDelta(w io.Writer, d *Delta) error {
	if err := d.check(); err != nil {
		return err
	}
	graph, l, err := d.encodePatch()
	if err != nil {
		return err
	}
	header, err := d.encodeHeader()
	if err != nil {
		return err
	}
	return writeFile(w, deltaMagic, header, graph, l.blobs)
}

// check refuses what readers could not read back. The patch comes from checked
// models; the rest was set by the caller.
func (d *Delta) check() error {
	for k, v := range d.Card {
		if err := checkText("card", k, v); err != nil {
			return &CheckError{Msg: err.Error()}
		}
	}
	if err := checkText("labels", append(slices.Clone(d.Labels), d.Tunable...)...); err != nil {
		return &CheckError{Msg: err.Error()}
	}
	for k, v := range d.Metrics {
		if err := checkText("metrics", k); err != nil {
			return &CheckError{Msg: err.Error()}
		}
		if !finite(v) {
			return &CheckError{Msg: fmt.Sprintf("metric %q is %g", k, v)}
		}
	}
	if d.Peak < 0 {
		return &CheckError{Msg: fmt.Sprintf("peak memory of %d bytes", d.Peak)}
	}
	return nil
}

// WriteDeltaFile writes a .whetd file, whole or not at all: see [vfs.WriteFile].
func WriteDeltaFile(path string, d *Delta) error {
	return vfs.WriteFile(vfs.OS, path, buffered(func(w io.Writer) error { return WriteDelta(w, d) }))
}

// OpenDelta reads a .whetd file. See [Open]; Options.Map is not used, for deltas
// are small. Whether a delta makes sense shows when it is applied.
func OpenDelta(path string, opts ...Options) (*Delta, error) {
	var o Options
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	o.Map = false
	b, _, err := load(path, deltaMagic, o)
	if err != nil {
		return nil, err
	}
	d, err := deltaFromBytes(b, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// DeltaFromBytes reads a delta from memory. Its tensors' data are slices of b.
func DeltaFromBytes(b []byte) (*Delta, error) { return deltaFromBytes(b, Options{}) }

func deltaFromBytes(b []byte, o Options) (*Delta, error) {
	c, err := openContainer(b, deltaMagic, o.Limits)
	if err != nil {
		return nil, err
	}
	d := &Delta{}
	if err := d.decodeHeader(c); err != nil {
		return nil, err
	}
	if err := d.decodePatch(c); err != nil {
		return nil, err
	}
	if err := c.close(); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

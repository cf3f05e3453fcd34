package format

import "math"

// maxRank is the largest number of dimensions.
const maxRank = 16

// encodeGraph returns the graph map of a model and the layout of its constants.
func encodeGraph(m *Model) ([]byte, *layout, error) {
	e, l := newEncoder(), &layout{}
	e.object(4)
	e.str("symbols")
	e.strs(m.Symbols)
	e.str("graphs")
	e.array(len(m.Graphs))
	for _, g := range m.Graphs {
		e.object(4)
		e.str("name")
		e.str(g.Name)
		e.ports(g)
		e.str("nodes")
		e.array(len(g.Nodes))
		for _, n := range g.Nodes {
			e.node(n)
		}
	}
	e.str("states")
	e.array(len(m.States))
	for _, s := range m.States {
		e.state(s)
	}
	e.str("tensors")
	e.array(len(m.Tensors))
	for _, t := range m.Tensors {
		e.tensor(t, l)
	}
	return e.buf.Bytes(), l, e.err
}

// ports writes the pairs "inputs" and "outputs" of a graph.
func (e *encoder) ports(g *Graph) {
	e.str("inputs")
	e.array(len(g.Inputs))
	for _, in := range g.Inputs {
		e.array(2)
		e.str(in.Tensor)
		e.bool(in.Optional)
	}
	e.str("outputs")
	e.strs(g.Outputs)
}

func (e *encoder) node(n *Node) {
	if len(n.Attrs) == 0 {
		e.object(4)
	} else {
		e.object(5)
	}
	e.str("name")
	e.str(n.Name)
	e.str("op")
	e.str(n.Op)
	e.str("in")
	e.strs(n.Inputs)
	e.str("out")
	e.strs(n.Outputs)
	if len(n.Attrs) > 0 {
		e.str("attrs")
		e.attrs(n.Attrs)
	}
}

// typed writes the pairs that tensors and states share, in a map that has more
// others.
func (e *encoder) typed(name string, t DType, s Shape, q *Quant, more int) {
	if q != nil {
		more++
	}
	e.object(3 + more)
	e.str("name")
	e.str(name)
	e.str("type")
	e.str(t.String())
	e.str("shape")
	e.shape(s)
	if q != nil {
		e.str("quant")
		e.quant(q)
	}
}

func (e *encoder) state(s *State) {
	if s.Init == nil {
		e.typed(s.Name, s.Type, s.Shape, s.Quant, 0)
		return
	}
	e.typed(s.Name, s.Type, s.Shape, s.Quant, 1)
	e.str("init")
	e.bin(s.Init)
}

func (e *encoder) tensor(t *Tensor, l *layout) {
	if !t.Const() {
		e.typed(t.Name, t.Type, t.Shape, t.Quant, 0)
		return
	}
	b, err := l.add(t.Data)
	e.keep(err)
	e.typed(t.Name, t.Type, t.Shape, t.Quant, 3)
	e.str("offset")
	e.int(b.offset)
	e.str("length")
	e.int(int64(len(b.data)))
	e.str("crc")
	e.int(int64(b.crc))
}

// decodeGraph reads the graph map and takes the constants from the container.
func decodeGraph(c *container) (*Model, error) {
	m := &Model{}
	d := newDecoder(c.graph, fixedLen+int64(c.headerLen), &c.lim)
	d.object("the graph", 4, []string{"symbols", "graphs", "states", "tensors"}, func(key string) {
		switch key {
		case "symbols":
			m.Symbols = d.strs()
		case "graphs":
			nodes := 0
			d.list(func() {
				g := &Graph{}
				d.object("a graph", 4, []string{"name", "inputs", "outputs", "nodes"}, func(key string) {
					switch key {
					case "name":
						g.Name = d.str()
					case "nodes":
						d.list(func() {
							if nodes++; nodes > d.lim.Nodes {
								d.exceed("more than %d nodes", d.lim.Nodes)
							}
							g.Nodes = append(g.Nodes, d.node())
						})
					default:
						d.ports(g, key)
					}
				})
				m.Graphs = append(m.Graphs, g)
			})
		case "states":
			d.list(func() { m.States = append(m.States, d.state()) })
		case "tensors":
			d.list(func() {
				if len(m.Tensors) >= d.lim.Tensors {
					d.exceed("more than %d tensors", d.lim.Tensors)
				}
				m.Tensors = append(m.Tensors, d.tensor(c))
			})
		}
	})
	if err := d.end(); err != nil {
		return nil, err
	}
	return m, nil
}

// ports reads "inputs" or "outputs" of a graph.
func (d *decoder) ports(g *Graph, key string) {
	if key == "outputs" {
		g.Outputs = d.strs()
		return
	}
	d.list(func() {
		if d.arrayLen() != 2 {
			d.fail("an input of a graph is not a pair")
			return
		}
		g.Inputs = append(g.Inputs, Input{Tensor: d.str(), Optional: d.bool()})
	})
}

func (d *decoder) node() *Node {
	n := &Node{}
	d.object("a node", 4, []string{"name", "op", "in", "out", "attrs"}, func(key string) {
		switch key {
		case "name":
			n.Name = d.str()
		case "op":
			n.Op = d.str()
		case "in":
			n.Inputs = d.strs()
		case "out":
			n.Outputs = d.strs()
		case "attrs":
			n.Attrs = d.attrs()
		}
	})
	// An empty list does not show what it is a list of; the op table does.
	if spec, ok := Ops[n.Op]; ok {
		for name, v := range n.Attrs {
			if l, ok := v.([]int64); ok && len(l) == 0 && spec.Attr(name) != nil && spec.Attr(name).Kind == KindFloats {
				n.Attrs[name] = []float64{}
			}
		}
	}
	return n
}

func (d *decoder) state() *State {
	s := &State{}
	d.object("a state", 3, []string{"name", "type", "shape", "quant", "init"}, func(key string) {
		switch key {
		case "name":
			s.Name = d.str()
		case "type":
			s.Type = d.dtype()
		case "shape":
			s.Shape = d.shape()
		case "quant":
			s.Quant = d.quant()
		case "init":
			s.Init = d.bin()
		}
	})
	return s
}

func (d *decoder) tensor(c *container) *Tensor {
	t := &Tensor{}
	var offset, length, crc uint64
	data := 0
	d.object("a tensor", 3, []string{"name", "type", "shape", "quant", "offset", "length", "crc"}, func(key string) {
		switch key {
		case "name":
			t.Name = d.str()
		case "type":
			t.Type = d.dtype()
		case "shape":
			t.Shape = d.shape()
		case "quant":
			t.Quant = d.quant()
		case "offset":
			offset = d.uint(math.MaxInt64)
			data++
		case "length":
			length = d.uint(math.MaxUint32)
			data++
		case "crc":
			crc = d.uint(math.MaxUint32)
			data++
		}
	})
	switch {
	case d.err != nil || data == 0:
	case data != 3:
		d.fail("tensor %q needs all of offset, length and crc, or none", t.Name)
	default:
		t.Data, d.err = c.blob(t.Name, offset, length, crc)
	}
	return t
}

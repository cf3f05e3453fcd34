package runtime

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// The ops here move elements; their type does not matter.

func (v *value) elemBytes() (int, bool) {
	b := v.typ.Bits()
	return b / 8, b >= 8
}

func axisOf(n *node, rank int) (int, bool) {
	a := n.attrs.Int("axis", 0)
	if a < 0 {
		a += rank
	}
	return a, a >= 0 && a < rank
}

func bindTranspose(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	var perm []int
	for _, p := range n.attrs.Ints("perm") {
		perm = append(perm, int(p))
	}
	c, err := kernels.NewTranspose(x.shape, perm)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	c.Level = l
	return bindCopy(n, c, x, y)
}

func bindCopy(n *node, c *kernels.Copy, x, y *value) (*step, error) {
	size, ok := x.elemBytes()
	if !ok {
		return nil, n.errf("no kernel for %v", x.typ)
	}
	tasks := max(1, chunks(y.size))
	return &step{in: []*value{x}, out: []*value{y}, tasks: tasks, run: func(m *mem, _ []byte, t0, t1 int) {
		c.Run(m.bytes(y), m.bytes(x), size, c.Rows()*t0/tasks, c.Rows()*t1/tasks)
	}}, nil
}

func bindSlice(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	rank := len(x.shape)
	starts, steps, counts := make([]int, rank), make([]int, rank), make([]int, rank)
	for i, d := range x.shape {
		steps[i], counts[i] = 1, d
	}
	from, by, axes := n.attrs.Ints("starts"), n.attrs.Ints("steps"), n.attrs.Ints("axes")
	for i := range from {
		a := i
		if axes != nil {
			a = int(axes[i])
			if a < 0 {
				a += rank
			}
		}
		if a < 0 || a >= rank {
			return nil, n.errf("axis %d of %d", a, rank)
		}
		if by != nil {
			steps[a] = int(by[i])
		}
		d := x.shape[a]
		s := int(max(from[i], -int64(math.MaxInt32)))
		if s < 0 {
			s += d
		}
		if steps[a] < 0 {
			s = min(max(s, -1), d-1)
		} else {
			s = min(max(s, 0), d)
		}
		starts[a], counts[a] = s, y.shape[a]
	}
	c, err := kernels.NewSlice(x.shape, starts, counts, steps)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return bindCopy(n, c, x, y)
}

func bindConcat(n *node, _ kernels.Level) (*step, error) {
	y := n.out[0]
	axis, ok := axisOf(n, len(y.shape))
	if !ok {
		return nil, n.errf("axis out of range")
	}
	size, ok := y.elemBytes()
	if !ok {
		return nil, n.errf("no kernel for %v", y.typ)
	}
	var parts []*value
	var copies []*kernels.Copy
	at := make([]int, len(y.shape))
	for _, x := range n.in {
		c, err := kernels.NewBlock(y.shape, x.shape, at)
		if err != nil {
			return nil, n.errf("%v", err)
		}
		parts, copies = append(parts, x), append(copies, c)
		at[axis] += x.shape[axis]
	}
	tasks := max(1, chunks(y.size))
	return &step{tasks: tasks, run: func(m *mem, _ []byte, t0, t1 int) {
		for i, c := range copies {
			c.Run(m.bytes(y), m.bytes(parts[i]), size, c.Rows()*t0/tasks, c.Rows()*t1/tasks)
		}
	}}, nil
}

func bindSplit(n *node, _ kernels.Level) (*step, error) {
	x := n.in[0]
	axis, ok := axisOf(n, len(x.shape))
	if !ok {
		return nil, n.errf("axis out of range")
	}
	size, ok := x.elemBytes()
	if !ok {
		return nil, n.errf("no kernel for %v", x.typ)
	}
	type piece struct {
		c *kernels.Copy
		y *value
	}
	var pieces []piece
	starts, ones := make([]int, len(x.shape)), make([]int, len(x.shape))
	for i := range ones {
		ones[i] = 1
	}
	for i, s := range n.attrs.Ints("split") {
		y := n.out[i]
		if y != nil {
			c, err := kernels.NewSlice(x.shape, starts, y.shape, ones)
			if err != nil {
				return nil, n.errf("%v", err)
			}
			pieces = append(pieces, piece{c, y})
		}
		starts[axis] += int(s)
	}
	tasks := max(1, chunks(x.size))
	return &step{tasks: tasks, run: func(m *mem, _ []byte, t0, t1 int) {
		for _, p := range pieces {
			p.c.Run(m.bytes(p.y), m.bytes(x), size, p.c.Rows()*t0/tasks, p.c.Rows()*t1/tasks)
		}
	}}, nil
}

func bindPad(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	rank := len(x.shape)
	pads := n.attrs.Ints("pads")
	if len(pads) != 2*rank {
		return nil, n.errf("%d pads for %d dimensions", len(pads), rank)
	}
	begin, end := make([]int, rank), make([]int, rank)
	for i := range begin {
		begin[i], end[i] = int(pads[i]), int(pads[rank+i])
	}
	modes := map[string]kernels.PadMode{"constant": kernels.PadConstant, "reflect": kernels.PadReflect, "edge": kernels.PadEdge}
	p, err := kernels.NewPad(x.shape, begin, end, modes[n.attrs.Str("mode", "constant")])
	if err != nil {
		return nil, n.errf("%v", err)
	}
	v := n.attrs.Float("value", 0)
	var b []byte
	switch x.typ {
	case format.Float32:
		b = le.AppendUint32(nil, math.Float32bits(float32(v)))
	case format.Int8:
		b = []byte{byte(code(v, x, -128, 127))}
	case format.Int16:
		b = le.AppendUint16(nil, uint16(code(v, x, -32768, 32767)))
	case format.Uint8, format.Bool:
		b = []byte{byte(code(v, x, 0, 255))}
	case format.Int32:
		b = le.AppendUint32(nil, uint32(int32(v)))
	case format.Int64:
		b = le.AppendUint64(nil, uint64(int64(v)))
	default:
		return nil, n.errf("no kernel for %v", x.typ)
	}
	tasks := max(1, chunks(y.size))
	return &step{tasks: tasks, run: func(m *mem, _ []byte, t0, t1 int) {
		p.Run(m.bytes(y), m.bytes(x), b, p.Rows()*t0/tasks, p.Rows()*t1/tasks)
	}}, nil
}

func bindGather(n *node, _ kernels.Level) (*step, error) {
	x, idx, y := n.in[0], n.in[1], n.out[0]
	axis, ok := axisOf(n, len(x.shape))
	size, whole := x.elemBytes()
	if !ok || !whole {
		return nil, n.errf("no kernel for axis %d of %v", axis, x.typ)
	}
	g := &kernels.Gather{Outer: 1, Axis: x.shape[axis], Inner: 1}
	for i, d := range x.shape {
		switch {
		case i < axis:
			g.Outer *= d
		case i > axis:
			g.Inner *= d
		}
	}
	dims := []int{g.Axis}
	if idx.isConst() { // resolved once
		m, scratch := &mem{}, alignedBytes(8*idx.elems())
		pos := n.positions(m, idx, dims, scratch)
		if m.fault != nil {
			return nil, m.fault
		}
		return &step{run: func(m *mem, _ []byte, _, _ int) { g.Run(m.bytes(y), m.bytes(x), pos, size) }}, nil
	}
	return &step{scratch: 8 * idx.elems(), run: func(m *mem, scratch []byte, _, _ int) {
		if pos := n.positions(m, idx, dims, scratch); pos != nil {
			g.Run(m.bytes(y), m.bytes(x), pos, size)
		}
	}}, nil
}

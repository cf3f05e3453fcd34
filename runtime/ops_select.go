package runtime

import (
	"github.com/whet-edge/whet/kernels"
)

func bindExpand(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	c, err := kernels.NewExpand(x.shape, y.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	return bindCopy(n, c, x, y)
}

// bindGatherElements binds GatherElements and GatherND.
func bindGatherElements(n *node, _ kernels.Level) (*step, error) {
	x, idx, y := n.in[0], n.in[1], n.out[0]
	size, whole := x.elemBytes()
	if !whole {
		return nil, n.errf("no kernel for %v", x.typ)
	}
	e, s, dims, err := n.access(x, idx)
	if err != nil {
		return nil, err
	}
	return &step{scratch: 8 * idx.elems(), run: func(m *mem, scratch []byte, _, _ int) {
		pos := n.positions(m, idx, dims, scratch)
		switch {
		case pos == nil:
		case e != nil:
			kernels.GatherElements(e, m.bytes(y), m.bytes(x), pos, size)
		default:
			kernels.GatherND(s, m.bytes(y), m.bytes(x), pos, size)
		}
	}}, nil
}

// access plans how indices address data: element by element, or slice by slice.
// dims are what the indices are of.
func (n *node) access(x, idx *value) (e *kernels.Elements, s *kernels.Slices, dims []int, err error) {
	switch n.op {
	case "GatherND":
		s, err = kernels.NewSlices(x.shape, idx.shape, n.attrs.Int("batch_dims", 0))
	case "ScatterND":
		s, err = kernels.NewSlices(x.shape, idx.shape, 0)
	default:
		axis, ok := axisOf(n, len(x.shape))
		if !ok {
			return nil, nil, nil, n.errf("axis out of range")
		}
		e, err = kernels.NewElements(x.shape, idx.shape, axis)
	}
	if err != nil {
		return nil, nil, nil, n.errf("%v", err)
	}
	if e != nil {
		return e, nil, e.Dims(), nil
	}
	return nil, s, s.Dims(), nil
}

// bindScatter binds ScatterElements and ScatterND.
func bindScatter(n *node, _ kernels.Level) (*step, error) {
	x, idx, updates, y := n.in[0], n.in[1], n.in[2], n.out[0]
	f, err := n.numeric(x)
	if err != nil {
		return nil, err
	}
	op := map[string]kernels.Combine{"none": kernels.Replace, "add": kernels.CombineAdd, "mul": kernels.CombineMul,
		"max": kernels.CombineMax, "min": kernels.CombineMin}[n.attrs.Str("reduction", "none")]
	e, s, dims, err := n.access(x, idx)
	if err != nil {
		return nil, err
	}
	return &step{scratch: 8 * idx.elems(), run: func(m *mem, scratch []byte, _, _ int) {
		if pos := n.positions(m, idx, dims, scratch); pos != nil {
			copy(m.bytes(y), m.bytes(x))
			f.scatter(e, s, op, m.bytes(y), pos, m.bytes(updates))
		}
	}}, nil
}

// bindFold binds ReduceMin and ReduceProd.
func bindFold(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	var axes []int
	for _, a := range n.attrs.Ints("axes") {
		axes = append(axes, int(a))
	}
	r, err := kernels.NewReduce(x.shape, axes)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	var fold reduceFunc
	if n.op == "ReduceProd" {
		f, err := n.numeric(x)
		if err != nil {
			return nil, err
		}
		fold = f.prod
	} else {
		f, err := n.ordered(x)
		if err != nil {
			return nil, err
		}
		fold = f.min
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) { fold(r, m.bytes(y), m.bytes(x)) }}, nil
}

// along sees the input along the node's axis.
func (n *node) along() (kernels.Along, error) {
	axis, ok := axisOf(n, len(n.in[0].shape))
	if !ok {
		return kernels.Along{}, n.errf("axis out of range")
	}
	a, err := kernels.NewAlong(n.in[0].shape, axis)
	if err != nil {
		return a, n.errf("%v", err)
	}
	return a, nil
}

// bindArg binds ArgMax and ArgMin.
func bindArg(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	f, err := n.ordered(x)
	if err != nil {
		return nil, err
	}
	a, err := n.along()
	if err != nil {
		return nil, err
	}
	least, last := n.op == "ArgMin", n.attrs.Int("select_last_index", 0) == 1
	return &step{run: func(m *mem, _ []byte, _, _ int) { f.arg(a, m.bytes(y), m.bytes(x), least, last) }}, nil
}

func bindTopK(n *node, _ kernels.Level) (*step, error) {
	x, values, indices := n.in[0], n.out[0], n.out[1]
	f, err := n.ordered(x)
	if err != nil {
		return nil, err
	}
	a, err := n.along()
	if err != nil {
		return nil, err
	}
	k, least := n.attrs.Int("k", 1), n.attrs.Int("largest", 1) == 0
	return &step{scratch: 4 * k, run: func(m *mem, scratch []byte, _, _ int) {
		f.topK(a, k, m.bytes(values), m.bytes(indices), m.bytes(x), least, view[int32](scratch))
	}}, nil
}

// bindCumulate binds CumSum and CumProd.
func bindCumulate(n *node, _ kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	f, err := n.numeric(x)
	if err != nil {
		return nil, err
	}
	a, err := n.along()
	if err != nil {
		return nil, err
	}
	product, exclusive, reverse := n.op == "CumProd", n.attrs.Int("exclusive", 0) == 1, n.attrs.Int("reverse", 0) == 1
	return &step{run: func(m *mem, _ []byte, _, _ int) { f.cum(a, product, exclusive, reverse, m.bytes(y), m.bytes(x)) }}, nil
}

package runtime

import (
	"math"

	"github.com/whet-edge/whet/format"
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

// missing is the element that stands for an index out of range: NaN, or 0.
func missing(v *value) []byte {
	b := make([]byte, v.typ.Bits()/8)
	switch v.typ {
	case format.Float64:
		le.PutUint64(b, math.Float64bits(math.NaN()))
	case format.Float32:
		le.PutUint32(b, 0x7fc00000)
	case format.Float16:
		le.PutUint16(b, 0x7e00)
	case format.BFloat16:
		le.PutUint16(b, 0x7fc0)
	}
	return b
}

// bindGatherElements binds GatherElements and GatherND.
func bindGatherElements(n *node, _ kernels.Level) (*step, error) {
	x, idx, y := n.in[0], n.in[1], n.out[0]
	if _, whole := x.elemBytes(); !whole {
		return nil, n.errf("no kernel for %v", x.typ)
	}
	none, wide := missing(x), idx.typ == format.Int64
	e, s, err := n.access(x, idx)
	if err != nil {
		return nil, err
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) {
		switch {
		case e != nil && wide:
			kernels.GatherElements(e, m.bytes(y), m.bytes(x), view[int64](m.bytes(idx)), none)
		case e != nil:
			kernels.GatherElements(e, m.bytes(y), m.bytes(x), m.i32(idx), none)
		case wide:
			kernels.GatherND(s, m.bytes(y), m.bytes(x), view[int64](m.bytes(idx)), none)
		default:
			kernels.GatherND(s, m.bytes(y), m.bytes(x), m.i32(idx), none)
		}
	}}, nil
}

// access plans how indices address data: element by element, or slice by slice.
func (n *node) access(x, idx *value) (e *kernels.Elements, s *kernels.Slices, err error) {
	switch n.op {
	case "GatherND":
		s, err = kernels.NewSlices(x.shape, idx.shape, n.attrs.Int("batch_dims", 0))
	case "ScatterND":
		s, err = kernels.NewSlices(x.shape, idx.shape, 0)
	default:
		axis, ok := axisOf(n, len(x.shape))
		if !ok {
			return nil, nil, n.errf("axis out of range")
		}
		e, err = kernels.NewElements(x.shape, idx.shape, axis)
	}
	if err != nil {
		return nil, nil, n.errf("%v", err)
	}
	return e, s, nil
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
	e, s, err := n.access(x, idx)
	if err != nil {
		return nil, err
	}
	wide := idx.typ == format.Int64
	return &step{run: func(m *mem, _ []byte, _, _ int) {
		copy(m.bytes(y), m.bytes(x))
		f.scatter(e, s, op, m.bytes(y), m.bytes(idx), m.bytes(updates), wide)
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

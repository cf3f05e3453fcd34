package runtime

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// bindPool binds MaxPool and AveragePool.
func bindPool(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	p := n.poolShape(l)
	if err := p.Check(); err != nil {
		return nil, n.errf("%v", err)
	}
	s := &step{tasks: p.Rows()}
	if x.typ != format.Int16 {
		s.vector(l, n)
	}
	switch {
	case n.op == "MaxPool" && x.typ == format.Float32:
		s.run = func(m *mem, _ []byte, t0, t1 int) { kernels.MaxPool(&p, m.f32(y), m.f32(x), t0, t1) }
	case n.op == "MaxPool" && x.typ == format.Int8:
		s.run = func(m *mem, _ []byte, t0, t1 int) { kernels.MaxPool(&p, m.i8(y), m.i8(x), t0, t1) }
	case n.op == "MaxPool" && x.typ == format.Int16:
		s.run = func(m *mem, _ []byte, t0, t1 int) { kernels.MaxPool(&p, m.i16(y), m.i16(x), t0, t1) }
	case n.op == "AveragePool" && x.typ == format.Float32:
		lo, hi := float32(math.Inf(-1)), float32(math.Inf(1))
		s.run = func(m *mem, _ []byte, t0, t1 int) { kernels.AvgPool(&p, m.f32(y), m.f32(x), lo, hi, t0, t1) }
	case n.op == "AveragePool" && (x.typ == format.Int8 || x.typ == format.Int16) && x.quant != nil:
		lo, hi := int32(-128), int32(127)
		if x.typ == format.Int16 {
			lo, hi = -32768, 32767
		}
		q := &kernels.QAvgPool{Shape: p, In: x.params(), Out: y.params(), Lo: lo, Hi: hi, Unsigned: x.unsigned}
		if err := q.Check(); err != nil {
			return nil, n.errf("%v", err)
		}
		s.scratch = 4 * q.Scratch()
		if x.typ == format.Int8 {
			s.run = func(m *mem, scratch []byte, t0, t1 int) {
				kernels.RunQAvgPool(q, m.i8(y), m.i8(x), view[int32](scratch), t0, t1)
			}
		} else {
			s.run = func(m *mem, scratch []byte, t0, t1 int) {
				kernels.RunQAvgPool(q, m.i16(y), m.i16(x), view[int32](scratch), t0, t1)
			}
		}
	default:
		return nil, n.errf("no kernel for %v", x.typ)
	}
	return s, nil
}

// poolShape returns the geometry of a pooling.
func (n *node) poolShape(l kernels.Level) kernels.PoolShape {
	x, y := n.in[0].shape, n.out[0].shape
	kernel, stride, dil, pads := pair(n.attrs.Ints("kernel_shape")), pair(n.attrs.Ints("strides")), pair(n.attrs.Ints("dilations")), n.attrs.Ints("pads")
	p := kernels.PoolShape{N: x[0], H: x[1], W: x[2], C: x[3], KH: kernel[0], KW: kernel[1],
		SH: stride[0], SW: stride[1], DH: dil[0], DW: dil[1], OH: y[1], OW: y[2], Level: l}
	if len(pads) == 4 {
		p.Top, p.Left = int(pads[0]), int(pads[1])
	}
	return p
}

// bindReduce binds ReduceMean, ReduceSum and ReduceMax.
func bindReduce(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	var axes []int
	for _, a := range n.attrs.Ints("axes") {
		axes = append(axes, int(a))
	}
	r, err := kernels.NewReduce(x.shape, axes)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	r.Level = l
	s := &step{}
	if r.Vector(x.typ == format.Float32 && n.op != "ReduceMax") && (x.typ == format.Float32 || x.typ == format.Int8 && x.quant != nil) {
		s.vector(l, n)
	}
	switch {
	case n.op == "ReduceMax":
		return s, n.reduceBy(s, r, reduceMax(x.typ), maxOn[int64])
	case n.op == "ReduceSum" && x.typ == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { r.Sum32(m.f32(y), m.f32(x)) }
	case n.op == "ReduceMean" && x.typ == format.Float32:
		s.run = func(m *mem, _ []byte, _, _ int) { r.Mean32(m.f32(y), m.f32(x)) }
	case (x.typ == format.Int8 || x.typ == format.Int16) && x.quant != nil && y.quant != nil:
		lo, hi := int32(-128), int32(127)
		if x.typ == format.Int16 {
			lo, hi = -32768, 32767
		}
		q, err := kernels.NewQReduce(r, n.op == "ReduceMean", x.params(), y.params(), lo, hi)
		if err != nil {
			return nil, n.errf("%v", err)
		}
		s.scratch = 8 * q.Scratch()
		if x.typ == format.Int8 {
			s.run = func(m *mem, scratch []byte, _, _ int) {
				kernels.RunQReduce(q, m.i8(y), m.i8(x), view[int64](scratch))
			}
		} else {
			s.run = func(m *mem, scratch []byte, _, _ int) {
				kernels.RunQReduce(q, m.i16(y), m.i16(x), view[int64](scratch))
			}
		}
	default:
		if n.op != "ReduceSum" {
			return nil, n.errf("no kernel for %v", x.typ)
		}
		return s, n.reduceBy(s, r, reduceSum(x.typ), sum64)
	}
	return s, nil
}

type reduceFunc func(r *kernels.Reduce, dst, src []byte)

// reduceMax returns the maximum of a type, nil for those that go through int64;
// codes compare like the real numbers that they stand for.
func reduceMax(t format.DType) reduceFunc {
	switch t {
	case format.Float64:
		return maxOn[float64]
	case format.Float32:
		return maxOn[float32]
	case format.Int64:
		return maxOn[int64]
	case format.Int8:
		return maxOn[int8]
	}
	return nil
}

// reduceSum returns the sum of plain numbers of a type, nil for those that go
// through int64; that of float32 is bound above.
func reduceSum(t format.DType) reduceFunc {
	switch t {
	case format.Float64:
		return func(r *kernels.Reduce, dst, src []byte) { r.Sum64(view[float64](dst), view[float64](src)) }
	case format.Int64:
		return sum64
	}
	return nil
}

// reduceBy binds f, or if there is none wide, on the numbers as int64: sums wrap
// as those of the smaller type do.
func (n *node) reduceBy(s *step, r *kernels.Reduce, f, wide reduceFunc) error {
	x, y := n.in[0], n.out[0]
	if f != nil {
		s.run = func(m *mem, _ []byte, _, _ int) { f(r, m.bytes(y), m.bytes(x)) }
		return nil
	}
	from, to := numberOf(x.typ), numberOf(format.Int64)
	if from.Size == 0 || from.Size == 8 || from.Kind == kernels.IEEE || from.Kind == kernels.Brain {
		return n.errf("no kernel for %v", x.typ)
	}
	nx, ny := 8*x.elems(), 8*y.elems()
	s.scratch = nx + ny
	s.run = func(m *mem, scratch []byte, _, _ int) {
		in, out := scratch[:nx], scratch[nx:nx+ny]
		kernels.Cast(in, to, m.bytes(x), from)
		wide(r, out, in)
		kernels.Cast(m.bytes(y), from, out, to)
	}
	return nil
}

func maxOn[T kernels.Float | kernels.Integer](r *kernels.Reduce, dst, src []byte) {
	kernels.ReduceMax(r, view[T](dst), view[T](src))
}

func sum64(r *kernels.Reduce, dst, src []byte) {
	kernels.ReduceSumInt(r, view[int64](dst), view[int64](src))
}

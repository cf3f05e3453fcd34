package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// bindSoftmax binds Softmax and LogSoftmax along the innermost axis.
func bindSoftmax(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	rank := len(x.shape)
	if a := n.attrs.Int("axis", -1); a != -1 && a != rank-1 {
		return nil, n.errf("axis %d of %d: only the innermost axis has a kernel", a, rank)
	}
	width := 1
	if rank > 0 {
		width = x.shape[rank-1]
	}
	if width == 0 {
		return nil, n.errf("the innermost axis is empty")
	}
	log := n.op == "LogSoftmax"
	s := &step{tasks: x.elems() / width}
	switch {
	case x.typ == format.Float32 && y.typ == format.Float32:
		f := kernels.SoftmaxAt[float32]
		if log {
			f = kernels.LogSoftmaxAt[float32]
		}
		s.run = func(m *mem, _ []byte, t0, t1 int) { f(l, m.f32(y), m.f32(x), width, t0, t1) }
	case x.typ == format.Int8 && (y.typ == format.Int8 || y.typ == format.Int16):
		q := kernels.NewQSoftmax(width, log, x.params(), y.params())
		q.Level = l
		s.scratch = 4 * q.Scratch()
		if y.typ == format.Int8 {
			s.run = func(m *mem, scratch []byte, t0, t1 int) {
				kernels.RunQSoftmax(q, m.i8(y), m.i8(x), view[float32](scratch), t0, t1)
			}
		} else {
			s.run = func(m *mem, scratch []byte, t0, t1 int) {
				kernels.RunQSoftmax(q, m.i16(y), m.i8(x), view[float32](scratch), t0, t1)
			}
		}
	case x.typ == format.Int16 && y.typ == format.Int16:
		q := &kernels.Softmax16{Level: l, N: width, Log: log, In: x.params(), Out: y.params()}
		s.scratch = 4 * q.Scratch()
		s.run = func(m *mem, scratch []byte, t0, t1 int) {
			q.Run(m.i16(y), m.i16(x), view[float32](scratch), t0, t1)
		}
	default:
		return nil, n.errf("no kernel from %v to %v", x.typ, y.typ)
	}
	return s.vector(l, n), nil
}

package runtime

import (
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// bindMatMul binds products of two computed matrices.
func bindMatMul(n *node, l kernels.Level) (*step, error) {
	a, b, y := n.in[0], n.in[1], n.out[0]
	if a.typ == format.Float32 {
		f, err := kernels.NewFloatMatMul(l, a.shape, b.shape)
		if err != nil {
			return nil, n.errf("%v", err)
		}
		return &step{kernel: l.String() + " gemm", asm: l != kernels.Generic, macs: int64(f.MACs()), tasks: f.Tasks(), scratch: f.Scratch(),
			run: func(m *mem, scratch []byte, t0, t1 int) { f.Run(m.f32(y), m.f32(a), m.f32(b), scratch, t0, t1) }}, nil
	}
	p, err := kernels.NewMatMul(a.shape, b.shape)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	s := &step{macs: int64(p.MACs()), tasks: p.Rows()}
	switch a.typ {
	case format.Int64:
		s.run = func(m *mem, _ []byte, t0, t1 int) {
			kernels.MatMulRows(p, view[int64](m.bytes(y)), view[int64](m.bytes(a)), view[int64](m.bytes(b)), t0, t1)
		}
	case format.Int32:
		s.run = func(m *mem, _ []byte, t0, t1 int) { kernels.MatMulRows(p, m.i32(y), m.i32(a), m.i32(b), t0, t1) }
	default:
		return nil, n.errf("no kernel for %v", a.typ)
	}
	return s, nil
}

// bindNorm binds LayerNormalization and RMSNormalization.
func bindNorm(n *node, l kernels.Level) (*step, error) {
	x, scale, bias, y := n.in[0], n.in[1], n.input(2), n.out[0]
	p := &kernels.Norm{N: x.shape[len(x.shape)-1], Eps: float32(n.attrs.Float("epsilon", 1e-5)), Level: l}
	s := &step{kernel: l.Elementwise().String() + " norm", asm: l != kernels.Generic, tasks: x.elems() / p.N, scratch: 4 * p.Scratch()}
	s.run = func(m *mem, scratch []byte, t0, t1 int) {
		floats := view[float32](scratch[:s.scratch])
		if n.op == "RMSNormalization" {
			p.RMS(m.f32(y), m.f32(x), m.f32(scale), floats, t0, t1)
			return
		}
		var b []float32
		if bias != nil {
			b = m.f32(bias)
		}
		p.Layer(m.f32(y), m.f32(x), m.f32(scale), b, floats, t0, t1)
	}
	return s, nil
}

var resizeModes = map[string]kernels.ResizeMode{"nearest": kernels.ResizeNearest, "linear": kernels.ResizeLinear, "cubic": kernels.ResizeCubic}

// bindResize binds Resize: with weights in float32, by nearest places in any type.
func bindResize(n *node, l kernels.Level) (*step, error) {
	x, y := n.in[0], n.out[0]
	p := &kernels.ResizeParams{In: x.shape, Out: y.shape, Scales: n.attrs.Floats("scales"), Mode: resizeModes[n.attrs.Str("mode", "nearest")],
		Coordinates: n.attrs.Str("coordinate_transformation_mode", "half_pixel"), Nearest: n.attrs.Str("nearest_mode", "round_prefer_floor"),
		A: n.attrs.Float("cubic_coeff_a", -0.75), ExcludeOutside: n.attrs.Int("exclude_outside", 0) == 1,
		Antialias: n.attrs.Int("antialias", 0) == 1, Roi: n.attrs.Floats("roi")}
	size, whole := x.elemBytes()
	if !whole || x.typ != format.Float32 && (p.Mode != kernels.ResizeNearest || p.Coordinates == "tf_crop_and_resize") {
		return nil, n.errf("no kernel for mode %s and coordinates %s on %v", n.attrs.Str("mode", "nearest"), p.Coordinates, x.typ)
	}
	p.Size, p.Level = size, l
	r, err := kernels.NewResize(p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	outside := float32(n.attrs.Float("extrapolation_value", 0))
	s := &step{tasks: r.Tasks(), scratch: r.Scratch()}
	s.run = func(m *mem, scratch []byte, t0, t1 int) { r.Run(m.bytes(y), m.bytes(x), scratch, outside, t0, t1) }
	if p.Mode != kernels.ResizeNearest && l != kernels.Generic {
		s.kernel, s.asm = l.String()+" resize", true
	}
	return s, nil
}

func bindGridSample(n *node, _ kernels.Level) (*step, error) {
	x, grid, y := n.in[0], n.in[1], n.out[0]
	g := &kernels.GridSample{N: x.shape[0], H: x.shape[1], W: x.shape[2], C: x.shape[3], OH: y.shape[1], OW: y.shape[2],
		Mode: resizeModes[n.attrs.Str("mode", "linear")], Padding: n.attrs.Str("padding_mode", "zeros"), AlignCorners: n.attrs.Int("align_corners", 0) == 1}
	return &step{tasks: g.Rows(), run: func(m *mem, _ []byte, t0, t1 int) { g.Run(m.f32(y), m.f32(x), m.f32(grid), t0, t1) }}, nil
}

// bindGRU binds GRU and RNN in float32.
func bindGRU(n *node, l kernels.Level) (*step, error) {
	x, w, r := n.in[0], n.in[1], n.in[2]
	b, lens, h0 := n.input(3), n.input(4), n.input(5)
	if !w.isConst() || !r.isConst() || b != nil && !b.isConst() {
		return nil, n.errf("the weights must be constant")
	}
	p := &kernels.GRUParams{
		T: x.shape[0], N: x.shape[1], I: x.shape[2], H: r.shape[2], Dirs: w.shape[0],
		Reverse: n.attrs.Str("direction", "forward") == "reverse", Simple: n.op == "RNN",
		LinearBeforeReset: n.attrs.Int("linear_before_reset", 0) == 1, W: w.constF32(), R: r.constF32(), B: biasF32(b),
	}
	c, err := kernels.NewGRU(l, p)
	if err != nil {
		return nil, n.errf("%v", err)
	}
	y := n.output(0)
	h := n.kept(n.output(1), "h", format.Float32, p.Dirs, p.N, p.H)
	return &step{kernel: l.String() + " gru", asm: l != kernels.Generic, macs: int64(c.MACs()), weights: c.PackedBytes(), scratch: c.Scratch(),
		in: n.in, out: []*value{y, h},
		run: func(m *mem, scratch []byte, _, _ int) {
			begin(m, h, h0)
			var out []float32
			if y != nil {
				out = m.f32(y)
			}
			var ends []int32
			if lens != nil {
				ends = m.i32(lens)
			}
			c.Run(out, m.f32(h), m.f32(x), ends, scratch)
		}}, nil
}

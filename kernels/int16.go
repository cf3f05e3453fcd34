package kernels

import "fmt"

// Conv16Params describes a convolution or matrix product of 16x8 models: int16
// activations with zero point 0, int8 weights, int64 bias.
type Conv16Params struct {
	Shape   ConvShape
	Weights []int8    // [O][KH][KW][C/Groups]
	Bias    []int64   // [O]; nil is 0
	Scale   []float64 // sx*sw/sy, one value or [O]
	Lo, Hi  int32     // clamp, in output codes
}

// Conv16 is a 16x8 convolution or matrix product:
//
//	acc = Bias[o] + Σ x*w                    int64
//	y   = rne(clamp(float64(acc) * Scale[o]))
//
// It is portable Go at every level, immutable, and may be used by many
// goroutines.
type Conv16 struct {
	p Conv16Params
}

// NewConv16 checks p and keeps its slices.
func NewConv16(p *Conv16Params) (*Conv16, error) {
	s := &p.Shape
	if err := s.check(2); err != nil {
		return nil, err
	}
	if err := checkLen("weights", len(p.Weights), s.WeightLen()); err != nil {
		return nil, err
	}
	if p.Bias != nil {
		if err := checkLen("biases", len(p.Bias), s.O); err != nil {
			return nil, err
		}
	}
	if len(p.Scale) != 1 {
		if err := checkLen("scales", len(p.Scale), s.O); err != nil {
			return nil, err
		}
	}
	if p.Lo > p.Hi || p.Lo < -1<<15 || p.Hi > 1<<15-1 {
		return nil, fmt.Errorf("kernels: convolution: clamp [%d, %d] is not a range of int16 codes", p.Lo, p.Hi)
	}
	return &Conv16{p: *p}, nil
}

// Tasks returns the number of independent pieces of the work: output rows.
func (c *Conv16) Tasks() int { return c.p.Shape.N * c.p.Shape.OH }

// Run does tasks [t0, t1). It panics if a buffer is shorter than the shape
// says.
func (c *Conv16) Run(dst, src []int16, t0, t1 int) {
	s := &c.p.Shape
	cg, og := s.C/s.Groups, s.O/s.Groups
	for t := t0; t < t1; t++ {
		n, oy := t/s.OH, t%s.OH
		y0, y1 := window(oy, s.KH, s.SH, s.DH, s.Top, s.H)
		for ox := range s.OW {
			x0, x1 := window(ox, s.KW, s.SW, s.DW, s.Left, s.W)
			out := dst[(t*s.OW+ox)*s.O:][:s.O]
			for o := range out {
				var acc int64
				if c.p.Bias != nil {
					acc = c.p.Bias[o]
				}
				w := c.p.Weights[o*s.KH*s.KW*cg:][:s.KH*s.KW*cg]
				for ky := y0; ky < y1; ky++ {
					iy := oy*s.SH - s.Top + ky*s.DH
					for kx := x0; kx < x1; kx++ {
						ix := ox*s.SW - s.Left + kx*s.DW
						at := ((n*s.H+iy)*s.W+ix)*s.C + o/og*cg
						acc += dot16(src[at:][:cg], w[(ky*s.KW+kx)*cg:][:cg])
					}
				}
				m := c.p.Scale[0]
				if len(c.p.Scale) > 1 {
					m = c.p.Scale[o]
				}
				out[o] = int16(requantize64(acc, m, 0, c.p.Lo, c.p.Hi))
			}
		}
	}
}

// dot16 is the exact sum of x*w: int32 over 256 products at a time (at most
// 2**22 each), as vector units do it, those sums in int64.
func dot16(x []int16, w []int8) int64 {
	w = w[:len(x)]
	var acc int64
	for len(x) > 0 {
		n := min(256, len(x))
		var a0, a1 int32
		xs, ws := x[:n], w[:n]
		for len(xs) >= 2 && len(ws) >= 2 {
			a0 += int32(xs[0]) * int32(ws[0])
			a1 += int32(xs[1]) * int32(ws[1])
			xs, ws = xs[2:], ws[2:]
		}
		if len(xs) > 0 {
			a0 += int32(xs[0]) * int32(ws[0])
		}
		acc += int64(a0) + int64(a1)
		x, w = x[n:], w[n:]
	}
	return acc
}

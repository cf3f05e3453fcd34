package kernels

// An inputPhase is the input's gradient of a strided convolution at the positions whose
// windows have the same taps over them: those at y with (y + Top) mod SH = r, and the
// like across. There it is a convolution of dy by strides of 1 with these taps alone;
// all of it at once would be one of dy with zeros between its positions, most of whose
// products are with these zeros (Shi et al., "Is the deconvolution layer the same as a
// convolutional layer?", 2016).
type inputPhase struct {
	y, x    int       // the first position in an image, the next ones strides apart
	ny, nx  int       // positions
	r, c    int       // the first tap, the next ones strides apart
	taps    ConvShape // the convolution as if it had no others
	weights []float32
	conv    *Conv // nil: no window sees these positions
}

// newPhases takes a convolution's input apart. It returns nil for shapes that are left to
// the portable loop: strided and dilated along one axis, or with whole windows in the padding.
func newPhases(l Level, s *ConvShape) (list []*inputPhase, err error) {
	if s.SH > 1 && s.DH > 1 || s.SW > 1 && s.DW > 1 {
		return nil, nil
	}
	for r := range s.SH {
		for c := range s.SW {
			p := &inputPhase{r: r, c: c}
			var top, left, kh, kw int
			p.y, p.ny, top, kh = onPhase(r, s.H, s.SH, s.KH, s.DH, s.Top)
			p.x, p.nx, left, kw = onPhase(c, s.W, s.SW, s.KW, s.DW, s.Left)
			if p.ny == 0 || p.nx == 0 {
				continue
			}
			list = append(list, p)
			if kh == 0 || kw == 0 {
				continue
			}
			if top < 0 || left < 0 {
				return nil, nil
			}
			p.taps = *s
			p.taps.KH, p.taps.KW = kh, kw
			p.weights = make([]float32, p.taps.WeightLen())
			b := ConvShape{
				N: s.N, H: s.OH, W: s.OW, C: s.O, O: s.C, KH: kh, KW: kw, SH: 1, SW: 1, DH: s.DH, DW: s.DW, Top: top, Left: left,
				OH: p.ny, OW: p.nx, Groups: s.Groups,
			}
			if p.conv, err = newChains(l, &ConvParams{Shape: b, Weights: p.weights, Lo: -inf32, Hi: inf32}); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// onPhase returns, along one axis of size elements, the first position of phase r and
// how many there are, how many taps lie over them, and the padding before dy that lets
// these taps begin with the first output that sees a position.
func onPhase(r, size, stride, kernel, dilation, pad int) (first, n, before, taps int) {
	first = ((r-pad)%stride + stride) % stride
	if first >= size {
		return first, 0, 0, 0
	}
	if r < kernel {
		taps = ceilDiv(kernel-r, stride)
	}
	return first, ceilDiv(size-first, stride), (taps-1)*dilation - (first+pad)/stride, taps
}

func (p *inputPhase) setWeights(s *ConvShape, w []float32) {
	if p.conv == nil {
		return
	}
	cg, at := s.C/s.Groups, 0
	for o := range s.O {
		for kh := p.r; kh < s.KH; kh += s.SH {
			for kw := p.c; kw < s.KW; kw += s.SW {
				at += copy(p.weights[at:], w[((o*s.KH+kh)*s.KW+kw)*cg:][:cg])
			}
		}
	}
	p.conv.setFlipped(&p.taps, p.weights)
}

func (p *inputPhase) bytes() int {
	if p.conv == nil {
		return 0
	}
	return p.conv.PackedBytes() + 4*len(p.weights)
}

// scratch returns the bytes that a run needs, from wherever they start.
func (p *inputPhase) scratch(s *ConvShape) int {
	n := cacheLine + roundUp(4*p.elems(s), cacheLine)
	if p.conv != nil {
		n += p.conv.Scratch()
	}
	return n
}

func (p *inputPhase) elems(s *ConvShape) int { return s.N * p.ny * p.nx * s.C }

// run writes the phase's positions of dx.
func (p *inputPhase) run(s *ConvShape, dx, dy []float32, scratch []byte) {
	aligned := alignUp(scratch)
	near := view[float32](aligned, 0, p.elems(s))
	if p.conv == nil {
		clear(near)
	} else {
		p.conv.Run(near, dy, aligned[roundUp(4*len(near), cacheLine):], 0, p.conv.Tasks())
	}
	for i := range s.N * p.ny * p.nx {
		img, y, x := i/(p.ny*p.nx), p.y+i/p.nx%p.ny*s.SH, p.x+i%p.nx*s.SW
		copy(dx[((img*s.H+y)*s.W+x)*s.C:][:s.C], near[i*s.C:])
	}
}

package grad

import "github.com/whet-edge/whet/kernels"

// window is the geometry of a convolution or pooling over X[N,H,W,C].
type window struct {
	n, h, w, c    int
	kh, kw        int
	sh, sw        int
	dh, dw        int
	top, left     int
	oh, ow        int
	taps, outputs int // a window's taps; positions of all images
}

func (b *bound[T]) window(kh, kw int) (*window, error) {
	x, y := b.in[0].Shape, b.out[0].Shape
	if len(x) != 4 || len(y) != 4 {
		return nil, b.errorf("shapes %v and %v are not [N,H,W,C]", x, y)
	}
	pair := func(name string) (int, int) {
		if v := b.Attrs.Ints(name); len(v) >= 2 {
			return int(v[0]), int(v[1])
		}
		return 1, 1
	}
	w := &window{n: x[0], h: x[1], w: x[2], c: x[3], kh: kh, kw: kw, oh: y[1], ow: y[2], taps: kh * kw, outputs: y[0] * y[1] * y[2]}
	w.sh, w.sw = pair("strides")
	w.dh, w.dw = pair("dilations")
	if p := b.Attrs.Ints("pads"); len(p) == 4 {
		w.top, w.left = int(p[0]), int(p[1])
	}
	return w, nil
}

// covers reports whether windows that do not overlap leave no element out.
func (w *window) covers() bool {
	return w.sh == w.kh && w.sw == w.kw && w.top+w.h <= w.oh*w.sh && w.left+w.w <= w.ow*w.sw
}

// windows calls f with every window and the offsets of its taps that lie inside of
// the input, ascending, from at: the first one's place.
func (w *window) windows(f func(output, at int, taps []int32)) {
	taps, o := make([]int32, 0, w.taps), 0
	for n := range w.n {
		for oy := range w.oh {
			for ox := range w.ow {
				at := 0
				taps = taps[:0]
				for ky := range w.kh {
					y := oy*w.sh - w.top + ky*w.dh
					if y < 0 || y >= w.h {
						continue
					}
					for kx := range w.kw {
						if x := ox*w.sw - w.left + kx*w.dw; x >= 0 && x < w.w {
							k := ((n*w.h+y)*w.w + x) * w.c
							if len(taps) == 0 {
								at = k
							}
							taps = append(taps, int32(k-at))
						}
					}
				}
				f(o, at, taps)
				o++
			}
		}
	}
}

// each calls f with every tap of every window that lies inside of the input, in
// ascending order of window and tap: x is the offset of the tap's first channel.
func (w *window) each(f func(output, tap, x int)) {
	o := 0
	for n := range w.n {
		for oy := range w.oh {
			for ox := range w.ow {
				for ky := range w.kh {
					y := oy*w.sh - w.top + ky*w.dh
					if y < 0 || y >= w.h {
						continue
					}
					for kx := range w.kw {
						if x := ox*w.sw - w.left + kx*w.dw; x >= 0 && x < w.w {
							f(o, ky*w.kw+kx, ((n*w.h+y)*w.w+x)*w.c)
						}
					}
				}
				o++
			}
		}
	}
}

// shape returns the geometry of a convolution of x to y.
func (b *bound[T]) shape(x, w, y []int) (s kernels.ConvShape, err error) {
	if len(w) != 4 {
		return s, b.errorf("weights of shape %v", w)
	}
	win, err := b.window(w[1], w[2])
	if err != nil {
		return s, err
	}
	return kernels.ConvShape{
		N: win.n, H: win.h, W: win.w, C: win.c, O: w[0], KH: win.kh, KW: win.kw, SH: win.sh, SW: win.sw, DH: win.dh, DW: win.dw,
		Top: win.top, Left: win.left, OH: win.oh, OW: win.ow, Groups: b.Attrs.Int("group", 1),
	}, nil
}

func (b *bound[T]) conv() (rule, error) {
	s, err := b.shape(b.in[0].Shape, b.in[1].Shape, b.out[0].Shape)
	if err != nil {
		return rule{}, err
	}
	return b.layered(s, s.N*s.OH*s.OW), nil
}

// layered is the rule of a layer of m positions. With one position a sample the
// gradient of the weights is one chain over the samples of a batch: it waits for
// the last of them.
func (b *bound[T]) layered(s kernels.ConvShape, m int) rule {
	x, w, bias, y := b.in[0], b.in[1], b.input(2), b.out[0]
	l := b.newLayer(s, x.Grad != nil)
	var dx []T
	if x.Grad != nil {
		b.sets = true
	}
	lo, hi := unbounded[T]()
	clamped := b.lo != lo || b.hi != hi
	b.keeps = []*Tensor[T]{}
	switch {
	case w.Grad == nil:
	case x.code != nil:
		b.keepCodes(x)
		b.tape.realsOf(len(x.Data))
	default:
		b.keeps = append(b.keeps, x)
	}
	var note func()
	var clamp func(dy []T)
	if clamped && y.Grad != nil {
		note, clamp = b.clamp(y, b.lo, b.hi)
	}
	version, biasVersion := -1, -1
	ready := func() {
		if version == w.version && (bias == nil || biasVersion == bias.version) {
			return
		}
		version = w.version
		var v []T
		if bias != nil {
			v, biasVersion = bias.Data, bias.version
		}
		l.set(w.Data, v)
	}
	once := m == 1 && s.KH*s.KW*s.Groups == 1
	var batch struct {
		x, dy []T
		codes []int8 // in the place of x
	} // of the samples since the last flush
	if w.Grad != nil && once {
		b.tape.each += int64(len(y.Data))
		if x.code != nil {
			b.tape.eachByte += int64(len(x.Data))
			b.tape.coded = append(b.tape.coded, [2]int{s.C, s.O})
		} else {
			b.tape.each += int64(len(x.Data))
		}
	}
	var (
		part  func(dw, x, dy []T) // of the rows that are asked for
		whole []T
		few   []T
	)
	some := func(dy []T) []T { // the columns of the rows that are asked for
		if w.rows == nil {
			return dy
		}
		few = few[:0]
		for i := range m {
			for _, o := range w.rows {
				few = append(few, dy[i*s.O+o])
			}
		}
		return few
	}
	forward := func() {
		ready()
		if !b.given {
			l.forward(y.Data, x.Data)
		}
	}
	backward := func() {
		switch {
		case w.rows == nil || whole != nil || part != nil:
		case s.Groups > 1:
			whole = make([]T, len(w.Data))
		default:
			rows := s
			rows.O = len(w.rows)
			part = b.product.weightsGrad(rows)
		}
		dy := y.Grad
		if clamped {
			clamp(dy)
		}
		if bias != nil && bias.Grad != nil {
			b.product.sumRows(bias.Grad, dy, m, s.O)
		}
		switch {
		case w.Grad == nil:
		case once:
			n := max(b.tape.samples, 1)
			if batch.dy == nil {
				batch.dy = make([]T, 0, n*len(some(dy)))
			}
			batch.dy = append(batch.dy, some(dy)...)
			if x.codes != nil {
				if batch.codes == nil {
					batch.codes = make([]int8, 0, n*len(x.codes))
				}
				batch.codes = append(batch.codes, x.codes...)
				break
			}
			if batch.x == nil {
				batch.x = make([]T, 0, n*len(x.Data))
			}
			batch.x = append(batch.x, x.Data...)
		case w.rows != nil && s.Groups > 1: // few weights
			clear(whole)
			l.weightGrad(whole, b.kept(x), dy)
			row := len(whole) / s.O
			for i, o := range w.rows {
				addTo(w.Grad[i*row:][:row], whole[o*row:][:row])
			}
		case w.rows != nil:
			part(w.Grad, b.kept(x), some(dy))
		default:
			l.weightGrad(w.Grad, b.kept(x), dy)
		}
		switch {
		case x.Grad == nil:
		case b.fresh[0]:
			l.inputGrad(x.Grad, dy)
		default:
			if dx == nil {
				dx = make([]T, len(x.Data))
			}
			l.inputGrad(dx, dy)
			b.product.add(x.Grad, dx)
		}
	}
	flush := func() {
		n := (len(batch.x) + len(batch.codes)) / s.C
		if n == 0 {
			return
		}
		if out := len(batch.dy) / n; x.codes != nil {
			b.codedGrad(w.Grad, batch.codes, x.code, batch.dy, n, s.C, out)
		} else {
			b.product.denseGrad(w.Grad, batch.x, batch.dy, n, s.C, out)
		}
		batch.x, batch.dy, batch.codes = batch.x[:0], batch.dy[:0], batch.codes[:0]
	}
	if w.Grad == nil || !once {
		flush = nil
	}
	return rule{forward, note, backward, flush}
}

// addPositions adds to db the sums of dy [p, n] over the positions of a sample.
func addPositions[T Float](db, dy []T, p, n int) {
	if p == 1 {
		addTo(db, dy[:n])
		return
	}
	for j := range n {
		var s T
		for i := range p {
			s += dy[i*n+j]
		}
		db[j] += s
	}
}

// gemm is y = x wᵀ + b for x [M,K] and w [N,K].
func (b *bound[T]) gemm() (rule, error) {
	x, w := b.in[0], b.in[1]
	if len(x.Shape) != 2 || len(w.Shape) != 2 || b.Attrs.Int("transB", 0) != 1 {
		return rule{}, b.errorf("only matrices with transB = 1 are known")
	}
	m := x.Shape[0]
	return b.layered(kernels.GemmShape(m, w.Shape[0], x.Shape[1]), m), nil
}

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

// conv is a convolution as matrix products (im2col; Chellapilla, Puri and
// Simard, "High Performance Convolutional Neural Networks for Document
// Processing", 2006). With col[P,K] the K = KH KW C taps of each of P positions,
//
//	y = col wᵀ + b,   dw = dyᵀ col,   db = Σ dy,   dcol = dy w
//
// and dx is dcol scattered back in ascending order of positions and taps.
// Depthwise convolutions have too little in a group for a product.
func (b *bound[T]) conv() (rule, error) {
	x, w, bias, y := b.in[0], b.in[1], b.input(2), b.out[0]
	if len(w.Shape) != 4 {
		return rule{}, b.errorf("weights of shape %v", w.Shape)
	}
	win, err := b.window(w.Shape[1], w.Shape[2])
	if err != nil {
		return rule{}, err
	}
	groups := b.Attrs.Int("group", 1)
	if groups > 1 && w.Shape[3] == 1 {
		return depthwise(win, groups, x, w, bias, y), nil
	}
	out, p, cg := w.Shape[0], win.outputs, w.Shape[3]
	og, k := out/groups, win.taps*cg
	col := b.buffer(p * k)
	var colT, dyT, dcol, dw []T
	if w.Grad != nil {
		colT, dyT, dw = b.buffer(p*k), b.buffer(p*og), b.buffer(og*k)
		b.tape.extra += 4 * int64(og*(p+k)) // the product's own
	}
	if x.Grad != nil {
		dcol = b.buffer(p * k)
	}
	ahead, back := make([]func(dst, a []T), groups), make([]func(dst, a []T), groups)
	for g := range groups {
		own := w.Data[g*og*k:][:og*k]
		ahead[g] = b.packed(w, p, og, k, func() []T { return own })
		if x.Grad != nil {
			back[g] = b.packed(w, p, k, og, func() []T {
				wT := make([]T, og*k)
				transposed(wT, own, og, k)
				return wT
			})
		}
	}
	part := b.buffer(p * og) // one group of y or dy
	gather := func(g int) {
		clear(col)
		win.each(func(o, tap, at int) { copy(col[o*k+tap*cg:][:cg], x.Data[at+g*cg:]) })
	}
	forward := func() {
		for g := range groups {
			gather(g)
			ahead[g](part, col)
			for i := range p {
				row := y.Data[i*out+g*og:][:og]
				for j, v := range part[i*og:][:og] {
					if bias != nil {
						v += bias.Data[g*og+j]
					}
					row[j] = v
				}
			}
		}
	}
	backward := func() {
		if bias != nil && bias.Grad != nil {
			addPositions(bias.Grad, y.Grad, p, out)
		}
		if w.Grad == nil && x.Grad == nil {
			return
		}
		for g := range groups {
			for i := range p {
				copy(part[i*og:][:og], y.Grad[i*out+g*og:])
			}
			if w.Grad != nil {
				gather(g)
				transposed(colT, col, p, k)
				transposed(dyT, part, p, og)
				b.product.Multiply(dw, dyT, colT, og, k, p)
				addTo(w.Grad[g*og*k:][:og*k], dw)
			}
			if x.Grad != nil {
				back[g](dcol, part)
				win.each(func(o, tap, at int) { addTo(x.Grad[at+g*cg:][:cg], dcol[o*k+tap*cg:][:cg]) })
			}
		}
	}
	return rule{forward: forward, backward: backward}, nil
}

// depthwise has m = O/groups filters a channel: output channel o reads input
// channel o/m.
func depthwise[T Float](win *window, groups int, x, w, bias, y *Tensor[T]) rule {
	out := w.Shape[0]
	m := out / groups
	var dw []T
	if w.Grad != nil {
		dw = make([]T, len(w.Data))
	}
	forward := func() {
		clear(y.Data)
		win.each(func(o, tap, at int) {
			row := y.Data[o*out:][:out]
			for j := range row {
				row[j] = kernels.FMA(x.Data[at+j/m], w.Data[j*win.taps+tap], row[j])
			}
		})
		for i := range win.outputs {
			row := y.Data[i*out:][:out]
			for j := range row {
				if bias != nil {
					row[j] += bias.Data[j]
				}
			}
		}
	}
	backward := func() {
		if bias != nil && bias.Grad != nil {
			addPositions(bias.Grad, y.Grad, win.outputs, out)
		}
		clear(dw)
		win.each(func(o, tap, at int) {
			for j, d := range y.Grad[o*out:][:out] {
				if dw != nil {
					k := j*win.taps + tap
					dw[k] = kernels.FMA(d, x.Data[at+j/m], dw[k])
				}
				if x.Grad != nil {
					x.Grad[at+j/m] += T(d * w.Data[j*win.taps+tap])
				}
			}
		})
		addTo(w.Grad, dw)
	}
	return rule{forward: forward, backward: backward}
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

// gemm is y = x wᵀ + b for x [M,K] and w [N,K]. With one position a sample (M =
// 1) the gradient of w is one chain over the samples of a batch: it waits for
// the last of them.
func (b *bound[T]) gemm() (rule, error) {
	x, w, bias, y := b.in[0], b.in[1], b.input(2), b.out[0]
	if len(x.Shape) != 2 || len(w.Shape) != 2 || b.Attrs.Int("transB", 0) != 1 {
		return rule{}, b.errorf("only matrices with transB = 1 are known")
	}
	m, k, n := x.Shape[0], x.Shape[1], w.Shape[0]
	ahead := b.packed(w, m, n, k, func() []T { return w.Data })
	var dx []T
	var back func(dst, a []T)
	if x.Grad != nil {
		dx = b.buffer(m * k)
		back = b.packed(w, m, k, n, func() []T {
			wT := make([]T, n*k)
			transposed(wT, w.Data, n, k)
			return wT
		})
	}
	var dw, xs, dys []T // xs [samples, M, K], dys [samples, M, N] since the last flush
	if w.Grad != nil {
		dw = b.buffer(n * k)
		b.tape.extra += 4 * int64(n*k) // the product's own
		b.tape.each += 3 * 4 * int64(m*(n+k))
	}
	forward := func() {
		ahead(y.Data, x.Data)
		if bias != nil {
			for i := range m {
				addTo(y.Data[i*n:][:n], bias.Data)
			}
		}
	}
	// gradient adds dyᵀ x of some positions to w's.
	gradient := func(x, dy []T, positions int) {
		xT, dyT := make([]T, len(x)), make([]T, len(dy))
		transposed(xT, x, positions, k)
		transposed(dyT, dy, positions, n)
		b.product.Multiply(dw, dyT, xT, n, k, positions)
		addTo(w.Grad, dw)
	}
	backward := func() {
		if bias != nil && bias.Grad != nil {
			addPositions(bias.Grad, y.Grad, m, n)
		}
		switch {
		case w.Grad == nil:
		case m == 1:
			xs, dys = append(xs, x.Data...), append(dys, y.Grad...)
		default:
			gradient(x.Data, y.Grad, m)
		}
		if x.Grad != nil {
			back(dx, y.Grad)
			addTo(x.Grad, dx)
		}
	}
	flush := func() {
		if len(xs) > 0 {
			gradient(xs, dys, len(xs)/k)
			xs, dys = xs[:0], dys[:0]
		}
	}
	return rule{forward, backward, flush}, nil
}

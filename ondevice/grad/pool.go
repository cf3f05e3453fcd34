package grad

import "github.com/whet-edge/whet/kernels"

func (b *bound[T]) kernel() (kh, kw int, err error) {
	k := b.Attrs.Ints("kernel_shape")
	if len(k) != 2 {
		return 0, 0, b.errorf("kernel_shape %v", k)
	}
	return int(k[0]), int(k[1]), nil
}

// maxPool sends a gradient to the element that won its window: the first of
// equals, as max(a, b) = b > a ? b : a has it.
func (b *bound[T]) maxPool() (rule, error) {
	kh, kw, err := b.kernel()
	if err != nil {
		return rule{}, err
	}
	win, err := b.window(kh, kw)
	if err != nil {
		return rule{}, err
	}
	if win.taps > 256 {
		return rule{}, b.errorf("windows of %d elements: at most 256 are known", win.taps)
	}
	x, y := b.in[0], b.out[0]
	b.keeps = []*Tensor[T]{}
	won := b.tape.bytesOf(len(y.Data)) // the tap, counted among those inside
	var kept []byte                    // of windows of four taps at most, two bits each
	if win.taps <= 4 {
		kept = make([]byte, (len(won())+3)/4)
		b.hold(len(kept))
	} else {
		own := make([]uint8, len(y.Data))
		won = func() []uint8 { return own }
		b.hold(len(own))
	}
	note := func() { packed(kept, won()) }
	apart := win.sh >= win.kh && win.sw >= win.kw && win.dh == 1 && win.dw == 1 // no element is in two windows
	level := b.product.level().Elementwise()
	forward := func() {
		win.windows(func(o, at int, taps []int32) {
			kernels.MaxTap(level, y.Data[o*win.c:][:win.c], won()[o*win.c:], x.Data[at:], taps)
		})
	}
	backward := func() {
		if b.fresh[0] && !(apart && win.covers()) {
			clear(x.Grad)
		}
		unpacked(won(), kept)
		win.windows(func(o, at int, taps []int32) {
			kernels.MaxTapGrad(level, x.Grad[at:], y.Grad[o*win.c:][:win.c], won()[o*win.c:], taps, !(b.fresh[0] && apart))
		})
	}
	b.sets = true
	return rule{forward: forward, note: note, backward: backward}, nil
}

// packed writes numbers below four to dst, four a byte; unpacked reads them. Without dst
// or src they do nothing.
func packed(dst, src []byte) {
	for i := range dst {
		if s := src[4*i:]; len(s) >= 4 {
			dst[i] = s[0] | s[1]<<2 | s[2]<<4 | s[3]<<6
			continue
		}
		dst[i] = 0
		for k, v := range src[4*i:] {
			dst[i] |= v << (2 * k)
		}
	}
}

func unpacked(dst, src []byte) {
	for i, v := range src {
		d := dst[4*i : min(4*i+4, len(dst))]
		for k := range d {
			d[k] = v >> (2 * k) & 3
		}
	}
}

// averagePool divides by the number of elements, which padding is not of.
func (b *bound[T]) averagePool() (rule, error) {
	kh, kw, err := b.kernel()
	if err != nil {
		return rule{}, err
	}
	win, err := b.window(kh, kw)
	if err != nil {
		return rule{}, err
	}
	x, y := b.in[0], b.out[0]
	b.keeps = []*Tensor[T]{}
	count := make([]T, win.outputs)
	win.each(func(o, _, _ int) { count[o]++ })
	forward := func() {
		clear(y.Data)
		win.each(func(o, _, at int) { addTo(y.Data[o*win.c:][:win.c], x.Data[at:][:win.c]) })
		for o, n := range count {
			for c := range win.c {
				y.Data[o*win.c+c] /= n
			}
		}
	}
	backward := func() {
		win.each(func(o, _, at int) {
			for c := range win.c {
				x.Grad[at+c] += y.Grad[o*win.c+c] / count[o]
			}
		})
	}
	return rule{forward: forward, backward: backward}, nil
}

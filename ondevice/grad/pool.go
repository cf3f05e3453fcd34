package grad

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
	x, y := b.in[0], b.out[0]
	won := make([]int32, len(y.Data)) // offsets in x
	forward := func() {
		for i := range won {
			won[i] = -1
		}
		win.each(func(o, _, at int) {
			for c := range win.c {
				i := o*win.c + c
				if v := x.Data[at+c]; won[i] < 0 || v > y.Data[i] {
					won[i], y.Data[i] = int32(at+c), v
				}
			}
		})
	}
	backward := func() {
		for i, k := range won {
			x.Grad[k] += y.Grad[i]
		}
	}
	return rule{forward: forward, backward: backward}, nil
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

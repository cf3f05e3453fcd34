package kernels

// ResizeForward is [Resize.Linear] for float32 or float64, one operation after the
// other: what ResizeGrad is the transpose of.
func ResizeForward[T Float](r *Resize, dst, src []T) {
	for i := range r.passes {
		p := &r.passes[i]
		out := make([]T, p.outer*p.out*p.inner)
		p.each(func(y, x int, w float32) {
			for k := range p.inner {
				out[y+k] = FMA(T(w), src[x+k], out[y+k])
			}
		})
		src = out
	}
	copy(dst, src)
}

// ResizeGrad adds to dx the gradient dy of a resized tensor, by the weights that it
// was made with.
func ResizeGrad[T Float](r *Resize, dx, dy []T) {
	for i := len(r.passes) - 1; i >= 0; i-- {
		p := &r.passes[i]
		in := make([]T, p.outer*p.n*p.inner)
		p.each(func(y, x int, w float32) {
			for k := range p.inner {
				in[x+k] = FMA(T(w), dy[y+k], in[x+k])
			}
		})
		dy = in
	}
	for i, v := range dy {
		dx[i] += v
	}
}

// each calls f with the places of a row of the result and of one that it is made of,
// and its weight.
func (t *resizePass) each(f func(y, x int, w float32)) {
	for o := range t.outer {
		for i := range t.out {
			for k, at := range t.at[i*t.taps:][:t.taps] {
				w := float32(1)
				if t.w != nil {
					w = t.w[i*t.taps+k]
				}
				if at >= 0 {
					f((o*t.out+i)*t.inner, (o*t.n+int(at))*t.inner, w)
				}
			}
		}
	}
}

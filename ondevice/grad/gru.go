package grad

import "github.com/whet-edge/whet/kernels"

// gruRun is ONNX's GRU, or its simple recurrence, and backpropagation through time
// for it. For a step, with h of the step before and n = R_h h + Rb_h,
//
//	z, r = sigmoid((W x + Wb) + (R h + Rb));   g = tanh(W_h x + Wb_h + r n)
//	h' = z h + (1-z) g
//
// or, with the reset before the product, n = R_h (r h) + Rb_h and g = tanh(W_h x +
// Wb_h + n). Backwards with dh',
//
//	dz = dh' (h - g);   dg = dh' (1-z) (1 - g²);   dh = dh' z
//	dr = dg n, dn = dg r;   or dn = dg, du = dn R_h, dr = du h, dh += du r
//	da = (dz z(1-z), dr r(1-r), dg);   dW += daᵀ x;   dx += da W
//	dh += (the first two of da) R + dn R_h, the last with the reset behind only
//
// A simple recurrence is h' = tanh(W x + Wb + R h + Rb).
type gruRun[T Float] struct {
	x, w, r, b, h0          *Tensor[T]
	y, yh                   *Tensor[T]
	steps, n, in, hidden    int
	dirs, gates             int
	reverse, simple, behind bool
	// Kept for the way back, by direction and step: gates [N,gates*H], n and r h
	// [N,H], and the hidden states (step 0 is the initial one).
	gate, inner, reset, h []T
}

func (b *bound[T]) gru(simple bool) (rule, error) {
	if b.input(4) != nil {
		return rule{}, b.errorf("sequence lengths have no gradient rule: cut the sequences to one length")
	}
	l := &gruRun[T]{
		x: b.in[0], w: b.in[1], r: b.in[2], b: b.input(3), h0: b.input(5), gates: 3, simple: simple,
		reverse: b.Attrs.Str("direction", "forward") == "reverse", behind: b.Attrs.Int("linear_before_reset", 0) == 1,
	}
	if simple {
		l.gates = 1
	}
	for i, p := range []**Tensor[T]{&l.y, &l.yh} {
		if i < len(b.out) {
			*p = b.out[i]
		}
	}
	if len(l.x.Shape) != 3 || len(l.w.Shape) != 3 || len(l.r.Shape) != 3 {
		return rule{}, b.errorf("shapes %v, %v and %v of X, W and R", l.x.Shape, l.w.Shape, l.r.Shape)
	}
	l.steps, l.n, l.in = l.x.Shape[0], l.x.Shape[1], l.x.Shape[2]
	l.dirs, l.hidden = l.w.Shape[0], l.r.Shape[2]
	nh := l.n * l.hidden
	l.gate, l.inner = b.buffer(l.dirs*l.steps*l.gates*nh), b.buffer(l.dirs*l.steps*nh)
	l.reset, l.h = b.buffer(l.dirs*l.steps*nh), b.buffer(l.dirs*(l.steps+1)*nh)
	return rule{forward: l.forward, backward: l.backward}, nil
}

func (l *gruRun[T]) time(dir, step int) int {
	if l.reverse || dir == 1 {
		return l.steps - 1 - step
	}
	return step
}

// weights returns a direction's W, R, and the halves of B.
func (l *gruRun[T]) weights(d int) (w, r, wb, rb []T) {
	g := l.gates * l.hidden
	w, r = l.w.Data[d*g*l.in:][:g*l.in], l.r.Data[d*g*l.hidden:][:g*l.hidden]
	wb, rb = make([]T, g), make([]T, g)
	if l.b != nil {
		copy(wb, l.b.Data[2*d*g:])
		copy(rb, l.b.Data[(2*d+1)*g:])
	}
	return w, r, wb, rb
}

func (l *gruRun[T]) forward() {
	n, hd, g := l.n, l.hidden, l.gates*l.hidden
	nh, first := n*hd, g // first: rows of R that see h
	if !l.simple {
		first = 2 * hd
	}
	sums := make([]T, n*first)
	for d := range l.dirs {
		w, r, wb, rb := l.weights(d)
		hs := l.h[d*(l.steps+1)*nh:]
		clear(hs[:nh])
		if l.h0 != nil {
			copy(hs[:nh], l.h0.Data[d*nh:])
		}
		for s := range l.steps {
			at, t := d*l.steps+s, l.time(d, s)
			gate, inner, reset := l.gate[at*n*g:][:n*g], l.inner[at*nh:][:nh], l.reset[at*nh:][:nh]
			h, next := hs[s*nh:][:nh], hs[(s+1)*nh:][:nh]
			Dense(gate, l.x.Data[t*n*l.in:][:n*l.in], w, wb, n, l.in, g)
			Dense(sums, h, r[:first*hd], rb[:first], n, hd, first)
			for i := range n {
				q := gate[i*g:][:g]
				for k, v := range sums[i*first:][:first] {
					q[k] += v
					if l.simple {
						q[k] = kernels.Tanh(q[k])
						next[i*hd+k] = q[k]
					} else {
						q[k] = kernels.Sigmoid(q[k])
					}
				}
			}
			if !l.simple {
				l.update(next, gate, inner, reset, h, r[first*hd:], rb[first:])
			}
			if l.y != nil {
				copy(l.y.Data[(t*l.dirs+d)*nh:][:nh], next)
			}
		}
		if l.yh != nil {
			copy(l.yh.Data[d*nh:][:nh], hs[l.steps*nh:])
		}
	}
}

// update makes the new state of a step from its z and r.
func (l *gruRun[T]) update(next, gate, inner, reset, h, r, rb []T) {
	n, hd, g := l.n, l.hidden, l.gates*l.hidden
	for i, v := range h {
		reset[i] = T(gate[i/hd*g+hd+i%hd] * v)
	}
	if l.behind {
		Dense(inner, h, r, rb, n, hd, hd)
	} else {
		Dense(inner, reset, r, rb, n, hd, hd)
	}
	for i, v := range inner {
		q, k := gate[i/hd*g:][:g], i%hd
		if l.behind {
			q[2*hd+k] = kernels.FMA(q[hd+k], v, q[2*hd+k])
		} else {
			q[2*hd+k] += v
		}
		q[2*hd+k] = kernels.Tanh(q[2*hd+k])
		next[i] = kernels.FMA(q[k], h[i], T((1-q[k])*q[2*hd+k]))
	}
}

func (l *gruRun[T]) backward() {
	n, hd, g := l.n, l.hidden, l.gates*l.hidden
	nh, first := n*hd, g
	if !l.simple {
		first = 2 * hd
	}
	dh, da, dn, du := make([]T, nh), make([]T, n*g), make([]T, nh), make([]T, nh)
	seen := make([]T, n*first) // the part of da that sees h
	dw, dr, dx := make([]T, g*l.in), make([]T, g*hd), make([]T, n*l.in)
	sumW, sumR, sumWb, sumRb := make([]T, g*l.in), make([]T, g*hd), make([]T, g), make([]T, g)
	db, back := make([]T, g), make([]T, nh)
	for d := range l.dirs {
		w, r, _, _ := l.weights(d)
		hs := l.h[d*(l.steps+1)*nh:]
		for _, v := range [][]T{dh, sumW, sumR, sumWb, sumRb} {
			clear(v)
		}
		if l.yh != nil && l.yh.Grad != nil {
			copy(dh, l.yh.Grad[d*nh:])
		}
		for s := l.steps - 1; s >= 0; s-- {
			at, t := d*l.steps+s, l.time(d, s)
			if l.y != nil && l.y.Grad != nil {
				addTo(dh, l.y.Grad[(t*l.dirs+d)*nh:][:nh])
			}
			gate, inner, reset, h := l.gate[at*n*g:][:n*g], l.inner[at*nh:][:nh], l.reset[at*nh:][:nh], hs[s*nh:][:nh]
			if l.simple {
				for i, v := range gate {
					da[i] = T(dh[i] * kernels.FMA(-v, v, 1))
				}
				clear(dh)
			} else {
				for i, v := range dh {
					q, p, k := gate[i/hd*g:][:g], da[i/hd*g:][:g], i%hd
					z, r, c := q[k], q[hd+k], q[2*hd+k]
					p[k] = T(T(v*(h[i]-c)) * T(z*(1-z)))
					p[2*hd+k] = T(T(v*(1-z)) * kernels.FMA(-c, c, 1))
					dn[i] = p[2*hd+k]
					if l.behind {
						dn[i] = T(dn[i] * r)
						p[hd+k] = T(T(p[2*hd+k]*inner[i]) * T(r*(1-r)))
					}
					dh[i] = T(v * z)
				}
				DenseInputGrad(du, dn, r[first*hd:], n, hd, hd)
				seenBy := h
				if l.behind {
					addTo(dh, du)
				} else {
					seenBy = reset
					for i, v := range du {
						q, k := gate[i/hd*g:][:g], i%hd
						da[i/hd*g+hd+k] = T(T(v*h[i]) * T(q[hd+k]*(1-q[hd+k])))
						dh[i] = kernels.FMA(v, q[hd+k], dh[i])
					}
				}
				DenseWeightGrad(dr[first*hd:], db[first:], seenBy, dn, n, hd, hd)
				addTo(sumR[first*hd:], dr[first*hd:])
				addTo(sumRb[first:], db[first:])
			}
			for i := range n {
				copy(seen[i*first:][:first], da[i*g:])
			}
			DenseWeightGrad(dr[:first*hd], db[:first], h, seen, n, hd, first)
			addTo(sumR[:first*hd], dr[:first*hd])
			addTo(sumRb[:first], db[:first])
			DenseInputGrad(back, seen, r[:first*hd], n, hd, first)
			addTo(dh, back)
			DenseWeightGrad(dw, db, l.x.Data[t*n*l.in:][:n*l.in], da, n, l.in, g)
			addTo(sumW, dw)
			addTo(sumWb, db)
			if l.x.Grad != nil {
				DenseInputGrad(dx, da, w, n, l.in, g)
				addTo(l.x.Grad[t*n*l.in:][:n*l.in], dx)
			}
		}
		for _, p := range []struct {
			x   *Tensor[T]
			at  int
			sum []T
		}{{l.w, d * g * l.in, sumW}, {l.r, d * g * hd, sumR}, {l.b, 2 * d * g, sumWb}, {l.b, (2*d + 1) * g, sumRb}, {l.h0, d * nh, dh}} {
			if p.x != nil && p.x.Grad != nil {
				addTo(p.x.Grad[p.at:][:len(p.sum)], p.sum)
			}
		}
	}
}

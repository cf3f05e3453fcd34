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
//	da = (dz z(1-z), dr r(1-r), dg);   dW += Σ daᵀ x over time;   dx += da W
//	dh += (the first two of da) R + dn R_h, the last with the reset behind only
//
// A simple recurrence is h' = tanh(W x + Wb + R h + Rb).
type gruRun[T Float] struct {
	*recurrence[T]
	simple, behind bool
	first          int // rows of R that see h as it is
	// By direction and time [n, hidden]: n and r h.
	inner, reset []T
	sums         []T // of a step: what h contributes to its first gates
	da, dx       []T
	// Of all steps: the part of da that is of the first rows, and dn.
	seen, dn []T
	du, back []T
	stateGrad,
	innerGrad func(dw, x, dy []T)
}

func gru[T Float](b *bound[T], simple bool) (rule, error) {
	gates, inner := 3, 1
	if simple {
		gates, inner = 1, 0
	}
	r, err := newRecurrence(b, gates, inner)
	if err != nil {
		return rule{}, err
	}
	l := &gruRun[T]{recurrence: r, simple: simple, behind: b.Attrs.Int("linear_before_reset", 0) == 1, first: (gates - inner) * r.hidden}
	nh, rows := l.n*l.hidden, l.steps*l.n
	l.sums, l.da = b.buffer(l.n*l.first), b.buffer(rows*gates*l.hidden)
	l.seen = l.da
	if !simple {
		l.inner, l.reset = b.buffer(len(l.dirs)*l.steps*nh), b.buffer(len(l.dirs)*l.steps*nh)
		l.seen, l.dn = b.buffer(rows*l.first), b.buffer(rows*l.hidden)
		l.du, l.back = b.buffer(nh), b.buffer(nh)
	}
	if l.x.Grad != nil {
		l.dx = b.buffer(rows * l.in)
	}
	if l.r.Grad != nil {
		l.stateGrad = b.product.weightsGrad(kernels.GemmShape(rows, l.first, l.hidden))
		if !simple {
			l.innerGrad = b.product.weightsGrad(kernels.GemmShape(rows, l.hidden, l.hidden))
		}
	}
	return rule{forward: l.forward, backward: l.backward}, nil
}

func (l *gruRun[T]) forward() {
	nh, hd, g := l.n*l.hidden, l.hidden, l.gates*l.hidden
	for d := range l.dirs {
		gates := l.start(d)
		l.initial(d, l.h, l.h0)
		before, after := l.states(d, l.h)
		for s := range l.steps {
			t := l.time(d, s)
			gate, h, next := gates[t*l.n*g:][:l.n*g], before[t*nh:][:nh], after[t*nh:][:nh]
			l.dirs[d].state.forward(l.sums, h)
			for i := range l.n {
				q := gate[i*g:][:l.first]
				addTo(q, l.sums[i*l.first:][:l.first])
				if l.simple {
					l.tanh(q)
					copy(next[i*hd:], q)
				} else {
					l.sigmoid(q)
				}
			}
			if !l.simple {
				at := (d*l.steps + t) * nh
				l.update(&l.dirs[d], next, gate, l.inner[at:][:nh], l.reset[at:][:nh], h)
			}
			if l.y != nil {
				copy(l.y.Data[(t*len(l.dirs)+d)*nh:], next)
			}
		}
		l.last(d, l.h, l.yh)
	}
}

// update makes the new state of a step from its z and r.
func (l *gruRun[T]) update(d *direction[T], next, gate, inner, reset, h []T) {
	hd, g := l.hidden, l.gates*l.hidden
	if l.behind {
		d.inner.forward(inner, h)
	} else {
		for e, v := range h {
			reset[e] = T(gate[e/hd*g+hd+e%hd] * v)
		}
		d.inner.forward(inner, reset)
	}
	for e, v := range inner {
		q := gate[e/hd*g+e%hd:]
		if l.behind {
			q[2*hd] = kernels.FMA(q[hd], v, q[2*hd])
		} else {
			q[2*hd] += v
		}
	}
	for i := range l.n {
		l.tanh(gate[i*g+2*hd:][:hd])
	}
	for e, v := range h {
		q := gate[e/hd*g+e%hd:]
		next[e] = kernels.FMA(q[0], v, T((1-q[0])*q[2*hd]))
	}
}

func (l *gruRun[T]) backward() {
	nh, hd, g := l.n*l.hidden, l.hidden, l.gates*l.hidden
	for d := range l.dirs {
		before, _ := l.states(d, l.h)
		gates := l.gate[d*l.steps*l.n*g:]
		l.asked(d, l.dh, l.yh)
		for s := l.steps - 1; s >= 0; s-- {
			t := l.time(d, s)
			if l.y != nil && l.y.Grad != nil {
				addTo(l.dh, l.y.Grad[(t*len(l.dirs)+d)*nh:][:nh])
			}
			gate, da, seen := gates[t*l.n*g:][:l.n*g], l.da[t*l.n*g:][:l.n*g], l.seen[t*l.n*l.first:][:l.n*l.first]
			if l.simple {
				for e, v := range gate {
					da[e] = T(l.dh[e] * kernels.FMA(-v, v, 1))
				}
				l.dirs[d].state.inputGrad(l.dh, seen)
				continue
			}
			at := (d*l.steps + t) * nh
			l.updateGrad(&l.dirs[d], gate, da, l.dn[t*nh:][:nh], l.inner[at:][:nh], before[t*nh:][:nh])
			for i := range l.n {
				copy(seen[i*l.first:][:l.first], da[i*g:])
			}
			l.dirs[d].state.inputGrad(l.back, seen)
			addTo(l.dh, l.back)
		}
		l.inputs(d, l.da, l.dx)
		l.recurrences(d, 0, l.first, l.stateGrad, before, l.seen)
		if !l.simple {
			saw := before
			if !l.behind {
				saw = l.reset[d*l.steps*nh:][:l.steps*nh]
			}
			l.recurrences(d, l.first, hd, l.innerGrad, saw, l.dn)
		}
		l.startGrad(d, l.h0, l.dh)
	}
}

// updateGrad is the way back of update: da and dn from dh, which becomes what the
// state before gets of it but through z and r.
func (l *gruRun[T]) updateGrad(d *direction[T], gate, da, dn, inner, h []T) {
	hd, g := l.hidden, l.gates*l.hidden
	for e, v := range l.dh {
		q, p := gate[e/hd*g+e%hd:], da[e/hd*g+e%hd:]
		z, r, c := q[0], q[hd], q[2*hd]
		p[0] = T(T(v*(h[e]-c)) * T(z*(1-z)))
		p[2*hd] = T(T(v*(1-z)) * kernels.FMA(-c, c, 1))
		dn[e] = p[2*hd]
		if l.behind {
			dn[e] = T(dn[e] * r)
			p[hd] = T(T(p[2*hd]*inner[e]) * T(r*(1-r)))
		}
		l.dh[e] = T(v * z)
	}
	d.inner.inputGrad(l.du, dn)
	if l.behind {
		addTo(l.dh, l.du)
		return
	}
	for e, v := range l.du {
		q, p := gate[e/hd*g+e%hd:], da[e/hd*g+e%hd:]
		p[hd] = T(T(v*h[e]) * T(q[hd]*(1-q[hd])))
		l.dh[e] = kernels.FMA(v, q[hd], l.dh[e])
	}
}

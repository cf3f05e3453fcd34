package grad

import "github.com/whet-edge/whet/kernels"

// lstmRun is ONNX's LSTM and backpropagation through time (Werbos, 1990) for it.
// For a step, with h and c of the step before,
//
//	g = (W x + Wb) + (R h + Rb);   i, o, f = sigmoid(g), z = tanh(g)
//	c' = f c + i z;   h' = o tanh(c')
//
// backwards with dh' and dc', each the sum of what later steps and the outputs
// ask for:
//
//	do = dh' tanh(c');   dc' += dh' o (1 - tanh(c')²), 0 where c' was clipped
//	di = dc' z;   dz = dc' i;   df = dc' c;   dc = dc' f
//	dg = (di i (1-i), do o (1-o), df f (1-f), dz (1-z²));   dh = dg R
//	dW += Σ dgᵀ x;   dR += Σ dgᵀ h;   dWb, dRb += Σ dg, over time;   dx += dg W
type lstmRun[T Float] struct {
	*recurrence[T]
	c0, yc *Tensor[T]
	clip   T
	// By direction and time: cells as the states, their tanh [n, hidden], and where the
	// cell was clipped (nil: never).
	cell, squashed []T
	clipped        []bool
	sums           []T // R h + Rb of a step
	dc, dGate, dx  []T
	weightGrad     func(dw, x, dy []T) // of R
}

func lstm[T Float](b *bound[T]) (rule, error) {
	r, err := newRecurrence(b, 4, 0)
	if err != nil {
		return rule{}, err
	}
	l := &lstmRun[T]{recurrence: r, c0: b.input(6), clip: T(b.Attrs.Float("cell_clip", 0))}
	if len(b.out) > 2 {
		l.yc = b.out[2]
	}
	nh, rows, dirs := l.n*l.hidden, l.steps*l.n, len(l.dirs)
	l.cell, l.squashed = b.buffer(dirs*(l.steps+1)*nh), b.buffer(dirs*l.steps*nh)
	if l.clip > 0 {
		l.clipped = make([]bool, dirs*l.steps*nh)
		b.hold(len(l.clipped))
	}
	l.sums, l.dc, l.dGate = b.buffer(4*nh), b.buffer(nh), b.buffer(rows*4*l.hidden)
	if l.x.Grad != nil {
		l.dx = b.buffer(rows * l.in)
	}
	if l.r.Grad != nil {
		l.weightGrad = b.product.weightsGrad(kernels.GemmShape(rows, 4*l.hidden, l.hidden))
	}
	return rule{forward: l.forward, backward: l.backward}, nil
}

func (l *lstmRun[T]) forward() {
	nh, hd, g := l.n*l.hidden, l.hidden, 4*l.hidden
	for d := range l.dirs {
		gates := l.start(d)
		l.initial(d, l.h, l.h0)
		l.initial(d, l.cell, l.c0)
		hs, newH := l.states(d, l.h)
		cells, newCells := l.states(d, l.cell)
		for s := range l.steps {
			t := l.time(d, s)
			gate, at := gates[t*4*nh:][:4*nh], (d*l.steps+t)*nh
			l.dirs[d].state.forward(l.sums, hs[t*nh:][:nh])
			l.b.product.add(gate, l.sums)
			for i := range l.n {
				q := gate[i*g:][:g]
				l.sigmoid(q[:3*hd])
				l.tanh(q[3*hd:])
			}
			old, cell, h := cells[t*nh:][:nh], newCells[t*nh:][:nh], newH[t*nh:][:nh]
			for e, c := range old {
				q := gate[e/hd*g+e%hd:]
				c = kernels.FMA(q[0], q[3*hd], T(q[2*hd]*c))
				if l.clipped != nil {
					l.clipped[at+e] = c < -l.clip || c > l.clip
					c = max(-l.clip, min(l.clip, c))
				}
				cell[e] = c
			}
			squashed := l.squashed[at:][:nh]
			copy(squashed, cell)
			l.tanh(squashed)
			for e, v := range squashed {
				h[e] = T(gate[e/hd*g+hd+e%hd] * v)
			}
			if l.y != nil {
				copy(l.y.Data[(t*len(l.dirs)+d)*nh:], h)
			}
		}
		l.last(d, l.h, l.yh)
		l.last(d, l.cell, l.yc)
	}
}

func (l *lstmRun[T]) backward() {
	nh, hd, g := l.n*l.hidden, l.hidden, 4*l.hidden
	for d := range l.dirs {
		hs, _ := l.states(d, l.h)
		cells, _ := l.states(d, l.cell)
		gates := l.gate[d*l.steps*4*nh:][:l.steps*4*nh]
		l.asked(d, l.dh, l.yh)
		l.asked(d, l.dc, l.yc)
		for s := l.steps - 1; s >= 0; s-- {
			t := l.time(d, s)
			at := (d*l.steps + t) * nh
			if l.y != nil && l.y.Grad != nil {
				addTo(l.dh, l.y.Grad[(t*len(l.dirs)+d)*nh:][:nh])
			}
			gate, dGate, cell := gates[t*4*nh:][:4*nh], l.dGate[t*4*nh:][:4*nh], cells[t*nh:][:nh]
			for e, dh := range l.dh {
				q, dq := gate[e/hd*g+e%hd:], dGate[e/hd*g+e%hd:]
				in, out, f, z, tc := q[0], q[hd], q[2*hd], q[3*hd], l.squashed[at+e]
				dCell := kernels.FMA(T(dh*out), kernels.FMA(-tc, tc, 1), l.dc[e])
				if l.clipped != nil && l.clipped[at+e] {
					dCell = 0
				}
				dq[0] = T(T(dCell*z) * T(in*(1-in)))
				dq[hd] = T(T(dh*tc) * T(out*(1-out)))
				dq[2*hd] = T(T(dCell*cell[e]) * T(f*(1-f)))
				dq[3*hd] = T(T(dCell*in) * kernels.FMA(-z, z, 1))
				l.dc[e] = T(dCell * f)
			}
			l.dirs[d].state.inputGrad(l.dh, dGate)
		}
		l.inputs(d, l.dGate, l.dx)
		l.recurrences(d, 0, g, l.weightGrad, hs, l.dGate)
		l.startGrad(d, l.h0, l.dh)
		l.startGrad(d, l.c0, l.dc)
	}
}

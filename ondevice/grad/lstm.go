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
//	dg = (di i (1-i), do o (1-o), df f (1-f), dz (1-z²))
//	dW += dgᵀ x;   dR += dgᵀ h;   dWb, dRb += dg;   dx += dg W;   dh = dg R
type lstmRun[T Float] struct {
	x, w, r, b, h0, c0   *Tensor[T]
	y, yh, yc            *Tensor[T]
	steps, n, in, hidden int
	dirs                 int
	reverse              bool
	clip                 T
	// Kept for the way back, by direction and step: gates [N,4H], cells [N,H]
	// (step 0 is the initial state), their tanh and the hidden states.
	gate, tanh, cell, h []T
	free                []bool // that the cell was not clipped
}

func (b *bound[T]) lstm() (rule, error) {
	if b.input(4) != nil {
		return rule{}, b.errorf("sequence lengths have no gradient rule: cut the sequences to one length")
	}
	l := &lstmRun[T]{
		x: b.in[0], w: b.in[1], r: b.in[2], b: b.input(3), h0: b.input(5), c0: b.input(6),
		reverse: b.Attrs.Str("direction", "forward") == "reverse", clip: T(b.Attrs.Float("cell_clip", 0)),
	}
	for i, p := range []**Tensor[T]{&l.y, &l.yh, &l.yc} {
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
	l.gate, l.tanh = make([]T, l.dirs*l.steps*4*nh), make([]T, l.dirs*l.steps*nh)
	l.cell, l.h = make([]T, l.dirs*(l.steps+1)*nh), make([]T, l.dirs*(l.steps+1)*nh)
	l.free = make([]bool, l.dirs*l.steps*nh)
	return rule{forward: l.forward, backward: l.backward}, nil
}

// time returns which element of the sequence a step of a direction takes.
func (l *lstmRun[T]) time(dir, step int) int {
	if l.reverse || dir == 1 {
		return l.steps - 1 - step
	}
	return step
}

func (l *lstmRun[T]) bias(dir int) (wb, rb []T) {
	if l.b == nil {
		return nil, nil
	}
	g := 4 * l.hidden
	return l.b.Data[2*dir*g:][:g], l.b.Data[(2*dir+1)*g:][:g]
}

func (l *lstmRun[T]) forward() {
	n, hd := l.n, l.hidden
	nh, g := n*hd, 4*hd
	sums := make([]T, n*g)
	for d := range l.dirs {
		w, r := l.w.Data[d*g*l.in:][:g*l.in], l.r.Data[d*g*hd:][:g*hd]
		wb, rb := l.bias(d)
		cells, hs := l.cell[d*(l.steps+1)*nh:], l.h[d*(l.steps+1)*nh:]
		clear(cells[:nh])
		clear(hs[:nh])
		if l.h0 != nil {
			copy(hs[:nh], l.h0.Data[d*nh:])
		}
		if l.c0 != nil {
			copy(cells[:nh], l.c0.Data[d*nh:])
		}
		for s := range l.steps {
			at := d*l.steps + s
			gate, t := l.gate[at*4*nh:][:4*nh], l.time(d, s)
			Dense(gate, l.x.Data[t*n*l.in:][:n*l.in], w, wb, n, l.in, g)
			Dense(sums, hs[s*nh:][:nh], r, rb, n, hd, g)
			addTo(gate, sums)
			for i := range n {
				for k := range hd {
					q := gate[i*g:][:g]
					for j := range 3 {
						q[j*hd+k] = kernels.Sigmoid(q[j*hd+k])
					}
					q[3*hd+k] = kernels.Tanh(q[3*hd+k])
					c := kernels.FMA(q[k], q[3*hd+k], T(q[2*hd+k]*cells[s*nh+i*hd+k]))
					e := i*hd + k
					l.free[at*nh+e] = l.clip == 0 || c >= -l.clip && c <= l.clip
					if !l.free[at*nh+e] {
						c = where(c > 0, l.clip, -l.clip)
					}
					cells[(s+1)*nh+e] = c
					l.tanh[at*nh+e] = kernels.Tanh(c)
					hs[(s+1)*nh+e] = T(q[hd+k] * l.tanh[at*nh+e])
				}
			}
			if l.y != nil {
				copy(l.y.Data[(t*l.dirs+d)*nh:][:nh], hs[(s+1)*nh:])
			}
		}
		if l.yh != nil {
			copy(l.yh.Data[d*nh:][:nh], hs[l.steps*nh:])
		}
		if l.yc != nil {
			copy(l.yc.Data[d*nh:][:nh], cells[l.steps*nh:])
		}
	}
}

func (l *lstmRun[T]) backward() {
	n, hd := l.n, l.hidden
	nh, g := n*hd, 4*hd
	dh, dc, dg := make([]T, nh), make([]T, nh), make([]T, n*g)
	dx, dw, dr := make([]T, n*l.in), make([]T, g*l.in), make([]T, g*hd)
	sumW, sumR, sumB := make([]T, g*l.in), make([]T, g*hd), make([]T, g)
	db := make([]T, g)
	for d := range l.dirs {
		w, r := l.w.Data[d*g*l.in:][:g*l.in], l.r.Data[d*g*hd:][:g*hd]
		cells, hs := l.cell[d*(l.steps+1)*nh:], l.h[d*(l.steps+1)*nh:]
		clear(dh)
		clear(dc)
		clear(sumW)
		clear(sumR)
		clear(sumB)
		if l.yh != nil && l.yh.Grad != nil {
			copy(dh, l.yh.Grad[d*nh:])
		}
		if l.yc != nil && l.yc.Grad != nil {
			copy(dc, l.yc.Grad[d*nh:])
		}
		for s := l.steps - 1; s >= 0; s-- {
			at, t := d*l.steps+s, l.time(d, s)
			if l.y != nil && l.y.Grad != nil {
				addTo(dh, l.y.Grad[(t*l.dirs+d)*nh:][:nh])
			}
			gate := l.gate[at*4*nh:]
			for i := range n {
				q, dq := gate[i*g:][:g], dg[i*g:][:g]
				for k := range hd {
					e := i*hd + k
					in, out, f, z := q[k], q[hd+k], q[2*hd+k], q[3*hd+k]
					tc := l.tanh[at*nh+e]
					dCell := kernels.FMA(T(dh[e]*out), kernels.FMA(-tc, tc, 1), dc[e])
					if !l.free[at*nh+e] {
						dCell = 0
					}
					dq[k] = T(T(dCell*z) * T(in*(1-in)))
					dq[hd+k] = T(T(dh[e]*tc) * T(out*(1-out)))
					dq[2*hd+k] = T(T(dCell*cells[s*nh+e]) * T(f*(1-f)))
					dq[3*hd+k] = T(T(dCell*in) * kernels.FMA(-z, z, 1))
					dc[e] = T(dCell * f)
				}
			}
			xt := l.x.Data[t*n*l.in:][:n*l.in]
			if l.w.Grad != nil {
				DenseWeightGrad(dw, db, xt, dg, n, l.in, g)
				addTo(sumW, dw)
			}
			if l.r.Grad != nil {
				DenseWeightGrad(dr, db, hs[s*nh:][:nh], dg, n, hd, g)
				addTo(sumR, dr)
			}
			BiasGrad(db, dg, n, g)
			addTo(sumB, db)
			if l.x.Grad != nil {
				DenseInputGrad(dx, dg, w, n, l.in, g)
				addTo(l.x.Grad[t*n*l.in:][:n*l.in], dx)
			}
			DenseInputGrad(dh, dg, r, n, hd, g)
		}
		if l.w.Grad != nil {
			addTo(l.w.Grad[d*g*l.in:][:g*l.in], sumW)
		}
		if l.r.Grad != nil {
			addTo(l.r.Grad[d*g*hd:][:g*hd], sumR)
		}
		if l.b != nil && l.b.Grad != nil {
			addTo(l.b.Grad[2*d*g:][:g], sumB)
			addTo(l.b.Grad[(2*d+1)*g:][:g], sumB)
		}
		if l.h0 != nil && l.h0.Grad != nil {
			addTo(l.h0.Grad[d*nh:][:nh], dh)
		}
		if l.c0 != nil && l.c0.Grad != nil {
			addTo(l.c0.Grad[d*nh:][:nh], dc)
		}
	}
}

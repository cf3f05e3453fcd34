package grad

import "github.com/whet-edge/whet/kernels"

// normalization is LayerNormalization (centred) or RMSNormalization along the
// innermost axis: with x̂ = (x - mean) / σ and y = x̂ scale + bias,
//
//	g = dy scale;   dx = (g - mean(g) - x̂ mean(g x̂)) / σ
//
// where an RMSNormalization has neither mean.
func (b *bound[T]) normalization(centred bool) (rule, error) {
	x, scale, bias, y := b.in[0], b.in[1], b.input(2), b.out[0]
	n := x.Shape[len(x.Shape)-1]
	if len(scale.Data) != n || bias != nil && len(bias.Data) != n {
		return rule{}, b.errorf("scale and bias must have %d elements", n)
	}
	eps := T(b.Attrs.Float("epsilon", 1e-5))
	hat, sigma := b.buffer(len(x.Data)), b.buffer(len(x.Data)/n)
	g, prod := make([]T, n), make([]T, n)
	forward := func() {
		for r := range sigma {
			h, xr := hat[r*n:][:n], x.Data[r*n:][:n]
			var mean T
			if centred {
				mean = sum16(xr) / T(n)
			}
			for i, v := range xr {
				h[i] = v - mean
				prod[i] = T(h[i] * h[i])
			}
			sigma[r] = kernels.Sqrt(sum16(prod)/T(n) + eps)
			for i := range h {
				h[i] /= sigma[r]
				v := T(h[i] * scale.Data[i])
				if bias != nil {
					v += bias.Data[i]
				}
				y.Data[r*n+i] = v
			}
		}
	}
	backward := func() {
		if bias != nil && bias.Grad != nil {
			addPositions(bias.Grad, y.Grad, len(sigma), n)
		}
		if scale.Grad != nil {
			for i := range n {
				var s T
				for r := range sigma {
					s = kernels.FMA(y.Grad[r*n+i], hat[r*n+i], s)
				}
				scale.Grad[i] += s
			}
		}
		if x.Grad == nil {
			return
		}
		for r, sd := range sigma {
			h := hat[r*n:][:n]
			for i, d := range y.Grad[r*n:][:n] {
				g[i] = T(d * scale.Data[i])
				prod[i] = T(g[i] * h[i])
			}
			var mean T
			if centred {
				mean = sum16(g) / T(n)
			}
			along := sum16(prod) / T(n)
			for i, v := range g {
				x.Grad[r*n+i] += (v - mean - T(h[i]*along)) / sd
			}
		}
	}
	return rule{forward: forward, backward: backward}, nil
}

package ondevice

import (
	"slices"

	"github.com/whet-edge/whet/kernels"
)

// initialize sets the starting weights: the model's own rows for the classes
// that it knows, and for a new class an imprinted row,
//
//	w = u |w̄|,  b = b̄,  u the unit vector of (mean feature of the class - mean feature of all others)
//
// with |w̄| and b̄ the mean norm of the old rows and their mean bias (after Qi,
// Brown and Lowe, "Low-Shot Learning with Imprinted Weights", 2018, whose
// features are normalised where these are centred). When no class is old,
// weights are drawn from N(0, 0.01²) and biases are 0.
func (t *trainer) initialize(train []int32) {
	p := t.plan
	w, b, dim := t.weights(), t.bias(), p.Dim
	var fresh []int
	var norms, biases float32
	for c, name := range p.Classes {
		k := slices.Index(p.known, name)
		if k < 0 {
			fresh = append(fresh, c)
			continue
		}
		copy(w[c*dim:][:dim], p.head.w[k*dim:][:dim])
		b[c] = p.head.b[k]
		norms += norm(p.head.w[k*dim:][:dim])
		biases += b[c]
	}
	old := len(p.Classes) - len(fresh)
	if old == 0 {
		r := newRNG(p.opt.Seed, streamInit)
		for i := range w {
			w[i] = 0.01 * r.normal()
		}
		return
	}
	for _, c := range fresh {
		row := w[c*dim:][:dim]
		t.contrast(row, train, int32(c))
		if n := norm(row); n > 0 {
			k := norms / float32(old) / n
			for i := range row {
				row[i] = float32(row[i] * k)
			}
		}
		b[c] = biases / float32(old)
	}
}

// contrast writes the mean feature of a class less that of all other rows; sums
// run over the rows in order.
func (t *trainer) contrast(dst []float32, train []int32, class int32) {
	dim := t.plan.Dim
	in, out := make([]float32, dim), make([]float32, dim)
	var nin, nout int
	x := t.x[:dim]
	for _, i := range train {
		f, r := t.rows.at(i)
		f.decode(x, f.Row(r), t.table)
		sum := out
		if t.class[i] == class {
			sum = in
			nin++
		} else {
			nout++
		}
		for k, v := range x {
			sum[k] += v
		}
	}
	for k := range dst {
		dst[k] = in[k]/float32(max(nin, 1)) - out[k]/float32(max(nout, 1))
	}
}

// norm is the Euclidean norm, one chain of fused multiply-adds.
func norm(x []float32) float32 {
	var s float32
	for _, v := range x {
		s = kernels.FMA32(v, v, s)
	}
	return kernels.Sqrt(s)
}

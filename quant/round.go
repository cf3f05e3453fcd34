package quant

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/grad"
)

// Rounding to the nearest code is the best for each weight by itself and not for
// the layer: errors of weights whose inputs go together add up or cancel. Nagel
// et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020,
// arXiv:2004.10568) choose for each weight between the two codes beside it so
// that the expected error of the layer's output, eᵀ H e (equation 11; H of
// [gram]), is the least. They relax that binary problem and follow gradients; we
// go down its coordinates in turn, as Behdin et al., "QuantEase" (2023,
// arXiv:2309.01885) do, which needs no learning rate and no random numbers: with
// g = H e, the best change of weight i alone is -g_i/H_ii.

// roundPasses bounds the turns over a row's weights. Few change after the third.
const roundPasses = 6

// damping is the least that is added to H's diagonal, as a fraction of its mean.
// Where positions are few beside the taps, as many more are added that show all
// taps alike: what few samples say of their going together is mostly chance.
const damping = 0.01

// A grid is the codes that a row of weights may take: weight i stands for
// code·scale[i].
type grid struct {
	least, most float32
	scale       []float32
	free        bool // any code, not only the two beside the weight
	mean        bool // an error of the output's mean counts; false where the bias makes up for it
}

// round chooses the codes of rows of weights w [rows, taps], of which codes has
// the nearest; scale is [rows, taps] in the grid's.
func (g *gram) round(p grad.Product[float32], codes []int8, w []float32, grid grid) {
	k := g.taps
	rows := len(w) / k
	if g.groups > 1 {
		per := rows / g.groups
		for i := range g.groups {
			h := g.damped(i, grid.mean)
			for r := i * per * k; r < (i+1)*per*k; r += k {
				row := grid
				row.scale = grid.scale[r:][:k]
				row.descend(codes[r:][:k], w[r:][:k], h, start(codes[r:][:k], w[r:][:k], row.scale, h))
			}
		}
		return
	}
	h := g.damped(0, grid.mean)
	e := make([]float32, rows*k)
	for i, c := range codes {
		e[i] = float32(float32(c)*grid.scale[i]) - w[i]
	}
	slope := make([]float32, rows*k)
	p.Multiply(slope, e, h, rows, k, k)
	parallel(rows, func(r int) {
		row := grid
		row.scale = grid.scale[r*k:][:k]
		row.descend(codes[r*k:][:k], w[r*k:][:k], h, slope[r*k:][:k])
	})
}

// damped is H of a group, made to be positive definite; without the mean it is
// that of x less its mean.
func (g *gram) damped(group int, withMean bool) []float32 {
	k := g.taps
	h := append([]float32(nil), g.h[group*k*k:][:k*k]...)
	if !withMean {
		sum := g.sum[group*k:][:k]
		for i, a := range sum {
			mean := a / float64(g.count)
			for j, b := range sum {
				h[i*k+j] -= float32(mean * b)
			}
		}
	}
	mean := float32(0)
	for i := range k {
		mean += h[i*k+i]
	}
	mean /= float32(k)
	add := mean * float32(damping+float64(k)/float64(g.count))
	for i := range k {
		h[i*k+i] += add
	}
	return h
}

// start is H e of a row.
func start(codes []int8, w, scale, h []float32) []float32 {
	k := len(w)
	slope := make([]float32, k)
	for i, c := range codes {
		e := float32(float32(c)*scale[i]) - w[i]
		for j, v := range h[i*k:][:k] {
			slope[j] += float32(e * v)
		}
	}
	return slope
}

// descend changes the codes of a row for the better, one at a time.
func (g *grid) descend(codes []int8, w, h, slope []float32) {
	k := len(w)
	for range roundPasses {
		changed := false
		for i, c := range codes {
			s, curve := g.scale[i], h[i*k+i]
			if curve == 0 {
				continue
			}
			lo, hi := g.least, g.most
			if !g.free {
				exact := float64(w[i]) / float64(s)
				lo, hi = max(lo, float32(math.Floor(exact))), min(hi, float32(math.Ceil(exact)))
			}
			best := float32(math.RoundToEven(float64(float32(c)) - float64(slope[i])/(float64(curve)*float64(s))))
			best = min(max(best, lo), hi)
			d := float32(best-float32(c)) * s
			// A step that rounding in float32 makes of nothing would go to and fro.
			if d == 0 || !(float32(d*float32(slope[i]+float32(0.5*float32(d*curve)))) < 0) {
				continue
			}
			codes[i] = int8(best)
			changed = true
			for j, v := range h[i*k:][:k] {
				slope[j] += float32(d * v)
			}
		}
		if !changed {
			return
		}
	}
}

// parallel does f(0) to f(n-1), which are independent, on all processors.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// Round chooses the int8 codes of the weights of every Conv and Gemm by adaptive
// rounding on the samples, for [StaticOptions.Codes]. Layers of groups that are
// neither one nor depthwise have none.
func Round(ctx context.Context, m *format.Model, samples Samples) (map[string][]int8, error) {
	tensors := byName(m)
	var layers []*format.Node
	for _, n := range m.Main().Nodes {
		if ruleOf(n, tensors) == product && plainConst(tensors[n.Inputs[1]]) {
			layers = append(layers, n)
		}
	}
	out := map[string][]int8{}
	err := grams(ctx, m, layers, samples, 0, func(g *gram, p grad.Product[float32]) error {
		w := tensors[g.node.Inputs[1]]
		real := float32s(w)
		codes, q := Weights(real, w.Shape)
		scale := make([]float32, len(real))
		for i := range scale {
			scale[i] = q.Scale[i/g.taps]
		}
		g.round(p, codes, real, grid{least: -127, most: 127, scale: scale})
		out[g.node.Name] = codes
		return nil
	})
	return out, err
}

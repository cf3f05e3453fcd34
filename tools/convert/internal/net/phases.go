package net

import (
	"slices"

	"github.com/whet-edge/whet/format"
)

// Phases is a transposed convolution with strides as a plain one. Output element
// stride·i+p, for each phase p < stride, sees the input around i through every
// stride-th tap of the kernel alone: so the plain convolution has the channels of
// all phases, and the result is spread. It multiplies by far fewer zeros than one
// over an input with zeros between, and each sum has the same products in the same
// order. (Shi et al., "Is the deconvolution layer the same as a convolutional
// layer?", 2016, arXiv:1609.07009.)
type Phases struct {
	Kernel, Before, After []int // of the plain convolution, with stride 1

	taps, strides, cut, least []int
}

// NewPhases plans a transposed convolution of in to out elements, which are what
// is left of the whole result behind cut elements. It reports false where nothing
// is gained, the weights would grow much or the input would have to be cut, too.
func NewPhases(kernel, strides, cut, in, out []int) (p Phases, ok bool) {
	p = Phases{taps: kernel, strides: strides, cut: cut}
	for i, k := range kernel {
		s, b := strides[i], cut[i]
		if s > 4*k { // which also keeps the products below small
			return p, false
		}
		// Tap q+b-s·d of output s·i+q reads input i+d, for the d that give one.
		least, most := -((k - 1 - b) / s), (s-1+b)/s
		if k-1-b < 0 {
			return p, false
		}
		after := (out[i]+s-1)/s - 1 + most - (in[i] - 1)
		if after < 0 {
			return p, false
		}
		p.least = append(p.least, least)
		p.Kernel, p.Before, p.After = append(p.Kernel, most-least+1), append(p.Before, -least), append(p.After, after)
		ok = ok || s > 1
	}
	return p, ok && p.Copies()*product(p.Kernel) <= 4*product(kernel)
}

// Copies is the number of phases.
func (p *Phases) Copies() int { return product(p.strides) }

// Weights returns [phases, O, Kernel..., row] of [O, kernel..., row], in bytes.
func (p *Phases) Weights(v []byte, outputs, row int) []byte {
	taps := product(p.taps)
	var w []byte
	zero := make([]byte, row)
	for phase := range p.Copies() {
		q := indices(phase, p.strides)
		for o := range outputs {
			for t := range product(p.Kernel) {
				from, inside := 0, true
				for i, d := range indices(t, p.Kernel) {
					tap := q[i] + p.cut[i] - p.strides[i]*(p.least[i]+d)
					inside = inside && tap >= 0 && tap < p.taps[i]
					from = from*p.taps[i] + tap
				}
				if inside {
					w = append(w, v[(o*taps+from)*row:][:row]...)
				} else {
					w = append(w, zero...)
				}
			}
		}
	}
	return w
}

// Spread says how the result [n, sizes..., phases·channels] becomes that of the
// transposed convolution: seen as shape, with its dimensions in the order of perm,
// seen as flat, which may have some elements too many behind.
func (p *Phases) Spread(n int, sizes []int, channels int) (shape, perm, flat []int) {
	r := len(p.strides)
	shape, perm, flat = slices.Concat([]int{n}, sizes, p.strides, []int{channels}), []int{0}, []int{n}
	for i, s := range p.strides {
		perm = append(perm, 1+i, 1+r+i)
		flat = append(flat, sizes[i]*s)
	}
	return shape, append(perm, 2*r+1), append(flat, channels)
}

// Spread spreads y, the plain convolution of p, to the output's sizes.
func (n *Net) Spread(p *Phases, y *format.Tensor, sizes []int) *format.Tensor {
	last := len(y.Shape) - 1
	shape, perm, flat := p.Spread(y.Shape[0], y.Shape[1:last], y.Shape[last]/p.Copies())
	y = n.Reshape(n.Transpose(n.Reshape(y, shape...), perm...), flat...)
	for i, size := range sizes {
		y = n.Slice(y, 1+i, 0, size)
	}
	return y
}

// indices takes a position apart, the last index changing fastest.
func indices(at int, sizes []int) []int {
	out := make([]int, len(sizes))
	for i, s := range slices.Backward(sizes) {
		out[i] = at % s
		at /= s
	}
	return out
}

func product(list []int) int {
	n := 1
	for _, v := range list {
		n *= v
	}
	return n
}

package grad

import "github.com/whet-edge/whet/kernels"

// An Optimizer updates parameters from their gradients. It works on one flat
// vector of parameters and holds its state in vectors, which a
// checkpoint copies out and in with State and SetStep.
type Optimizer interface {
	// Step updates p from the gradient g with learning rate lr. The first
	// decayed elements of p are subject to weight decay, the rest (biases) are
	// not.
	Step(p, g []float32, lr float32, decayed int)
	// State returns the optimizer's own vectors, to be read or overwritten as they are:
	// their elements need not be numbers.
	State() [][]float32
	// Steps returns how many steps were taken; SetSteps says so after the
	// vectors were restored.
	Steps() int
	SetSteps(n int)
}

// SGD is stochastic gradient descent with momentum in PyTorch's form,
//
//	v = momentum v + (g + decay p)
//	p = p - lr v
//
// (Sutskever et al., "On the importance of initialization and momentum", 2013,
// up to the place of lr). Without momentum there is no state.
type SGD struct {
	Momentum, Decay float32
	v               []float32
	steps           int
}

// NewSGD makes an optimizer for n parameters.
func NewSGD(n int, momentum, decay float32) *SGD {
	s := &SGD{Momentum: momentum, Decay: decay}
	if momentum != 0 {
		s.v = make([]float32, n)
	}
	return s
}

// Step implements [Optimizer].
func (s *SGD) Step(p, g []float32, lr float32, decayed int) {
	s.steps++
	s.apply(p, g, s.v, lr, decayed)
}

func (s *SGD) apply(p, g, velocity []float32, lr float32, decayed int) {
	var v, rest []float32
	if velocity != nil {
		v, rest = velocity[:decayed], velocity[decayed:len(p)]
	}
	l := kernels.Best().Elementwise()
	kernels.SGDStep(l, p[:decayed], g[:decayed], v, lr, s.Momentum, s.Decay)
	kernels.SGDStep(l, p[decayed:], g[decayed:], rest, lr, s.Momentum, 0)
}

// State implements [Optimizer].
func (s *SGD) State() [][]float32 {
	if s.v == nil {
		return nil
	}
	return [][]float32{s.v}
}

// Steps implements [Optimizer].
func (s *SGD) Steps() int { return s.steps }

// SetSteps implements [Optimizer].
func (s *SGD) SetSteps(n int) { s.steps = n }

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, 2019,
// algorithm 2) and Kingma and Ba's bias correction (2015):
//
//	p = p - lr decay p
//	m = beta1 m + (1-beta1) g
//	v = beta2 v + (1-beta2) g²
//	p = p - lr/(1-beta1^t) m / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// The powers of the betas are kept by repeated multiplication in float64, for
// math.Pow is not the same on every CPU.
type AdamW struct {
	Beta1, Beta2, Eps, Decay float32
	m, v                     []float32
	steps                    int
	pow1, pow2               float64 // beta1^steps, beta2^steps
}

// NewAdamW makes an optimizer for n parameters with the usual betas (0.9,
// 0.999) and eps (1e-8).
func NewAdamW(n int, decay float32) *AdamW {
	return &AdamW{
		Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: decay,
		m: make([]float32, n), v: make([]float32, n), pow1: 1, pow2: 1,
	}
}

// Step implements [Optimizer].
func (a *AdamW) Step(p, g []float32, lr float32, decayed int) {
	a.advance()
	a.apply(p, g, a.m, a.v, lr, decayed)
}

func (a *AdamW) apply(p, g, m, v []float32, lr float32, decayed int) {
	k := kernels.AdamW{
		Rate: float32(float64(lr) / (1 - a.pow1)), Corr: float32(kernels.Sqrt(1 - a.pow2)), Shrink: float32(lr * a.Decay),
		Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps,
	}
	l := kernels.Best().Elementwise()
	kernels.AdamWStep(l, k, p[:decayed], g[:decayed], m[:decayed], v[:decayed])
	k.Shrink = 0
	kernels.AdamWStep(l, k, p[decayed:], g[decayed:], m[decayed:], v[decayed:])
}

func (a *AdamW) advance() {
	a.steps++
	a.pow1 = float64(a.pow1 * float64(a.Beta1))
	a.pow2 = float64(a.pow2 * float64(a.Beta2))
}

// State implements [Optimizer].
func (a *AdamW) State() [][]float32 { return [][]float32{a.m, a.v} }

// Steps implements [Optimizer].
func (a *AdamW) Steps() int { return a.steps }

// SetSteps implements [Optimizer].
func (a *AdamW) SetSteps(n int) {
	a.steps, a.pow1, a.pow2 = 0, 1, 1
	for range n {
		a.advance()
	}
}

// ClipNorm scales g so that its Euclidean norm is at most max (Pascanu et al.,
// 2013) and returns the norm it had.
func ClipNorm(g []float32, max float32) float32 {
	var l [16]float32
	for i, v := range g {
		l[i&15] = kernels.FMA(v, v, l[i&15])
	}
	norm := kernels.Sqrt(sum16(l[:]))
	if norm > max {
		k := max / norm
		for i := range g {
			g[i] = float32(g[i] * k)
		}
	}
	return norm
}

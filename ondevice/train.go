package ondevice

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/ondevice/grad"
)

// rowSet is rows of several Features as one sequence.
type rowSet []*Features

func (s rowSet) len() (n int) {
	for _, f := range s {
		n += f.Len()
	}
	return n
}

// at returns the set that holds row i and the row's index there.
func (s rowSet) at(i int32) (*Features, int) {
	n := int(i)
	for _, f := range s {
		if n < f.Len() {
			return f, n
		}
		n -= f.Len()
	}
	panic("ondevice: row out of range")
}

func (s rowSet) row(i int32) []byte {
	f, k := s.at(i)
	return f.Row(k)
}

// trainer is a head in training. Parameters lie in one vector, weights
// [classes, dim] first, then biases [classes].
type trainer struct {
	plan *TunePlan
	*samples
	table *[256]float32

	params, gradient []float32
	opt              grad.Optimizer
	lin              *grad.Linear
	lr               float32
	steps            int // planned
	sampler          *sampler

	x       []float32 // [block, dim] rows as real numbers
	logits  []float32 // [batch, classes]
	delta   []float32 // [batch, classes]
	panelX  []float32 // [panel, batch] columns of the batch, transposed
	panelD  []float32 // [classes, batch] the delta, transposed
	labels  []int
	wanted  []float32 // [batch, classes] targets of a batch
	lossSum float64   // of the epoch so far
	seen    int       // samples of the epoch so far
}

// newTrainer makes a trainer of the samples train, at its start but for the
// weights, which are zeros.
func newTrainer(p *TunePlan, s *samples, train []int32) *trainer {
	c, dim, batch := len(p.Classes), p.Dim, min(p.opt.Batch, len(train))
	t := &trainer{
		plan: p, samples: s, table: s.rows[0].table(),
		params: make([]float32, p.Params), gradient: make([]float32, p.Params),
		lin:    grad.NewLinear(p.level, dim, c),
		x:      make([]float32, p.Block*dim),
		logits: make([]float32, max(batch, p.Block)*c), delta: make([]float32, batch*c),
		panelX: make([]float32, p.Panel*batch), panelD: make([]float32, batch*c),
		labels: make([]int, max(batch, p.Block)),
	}
	if p.opt.Loss == MSE {
		t.wanted = make([]float32, max(batch, p.Block)*c)
	}
	if p.opt.Optimizer == AdamW {
		t.opt = grad.NewAdamW(p.Params, p.opt.WeightDecay)
	} else {
		t.opt = grad.NewSGD(p.Params, p.opt.Momentum, p.opt.WeightDecay)
	}
	if p.opt.Replay != nil {
		isNew := func(c int) bool { return !slices.Contains(p.known, p.Classes[c]) }
		t.sampler = newBalancedSampler(train, func(i int32) int { return int(s.class[i]) }, isNew, p.opt.Seed)
	} else {
		t.sampler = newSampler(train, p.opt.Seed)
	}
	t.steps = p.opt.Epochs * ((len(train) + batch - 1) / batch)
	t.lr = p.opt.LR
	if t.lr == 0 {
		t.lr = t.chooseLR(train)
	}
	return t
}

func (t *trainer) weights() []float32 { return t.params[:len(t.plan.Classes)*t.plan.Dim] }
func (t *trainer) bias() []float32    { return t.params[len(t.plan.Classes)*t.plan.Dim:] }

// forward writes the logits of the rows idx, len(idx) x classes of them.
func (t *trainer) forward(logits []float32, idx []int32) error {
	c, dim := len(t.plan.Classes), t.plan.Dim
	for k := 0; k < len(idx); k += t.plan.Block {
		part := idx[k:min(k+t.plan.Block, len(idx))]
		for j, i := range part {
			f, r := t.rows.at(i)
			f.decode(t.x[j*dim:][:dim], f.Row(r), t.table)
		}
		if err := t.lin.Forward(logits[k*c:], t.x, len(part)); err != nil {
			return err
		}
	}
	return nil
}

// loss computes the loss of the rows idx from their logits, summed, and leaves
// its gradient in delta, scaled.
func (t *trainer) loss(delta, logits []float32, idx []int32, smoothing, scale float32) float64 {
	c := len(t.plan.Classes)
	if t.plan.opt.Loss == CrossEntropy {
		for j, i := range idx {
			t.labels[j] = int(t.class[i])
		}
		return grad.SoftmaxCrossEntropy(delta, logits, t.labels, len(idx), c, smoothing, scale)
	}
	for j, i := range idx {
		w := t.wanted[j*c:][:c]
		if t.targets[i] != nil {
			copy(w, t.targets[i])
		} else {
			clear(w)
			w[t.class[i]] = 1
		}
	}
	return grad.MSE(delta, logits, t.wanted, len(idx), c, scale)
}

// step trains on the next batch and reports whether its loss was finite; a
// batch whose loss is not leaves the weights alone.
func (t *trainer) step() (ok bool, err error) {
	c, dim := len(t.plan.Classes), t.plan.Dim
	idx := t.sampler.take(min(t.plan.opt.Batch, len(t.sampler.order)))
	n := len(idx)
	t.lin.SetWeights(t.weights(), t.bias())
	if err := t.forward(t.logits, idx); err != nil {
		return false, err
	}
	delta := t.delta[:n*c]
	sum := t.loss(delta, t.logits, idx, t.plan.opt.Smoothing, 1/float32(n))
	if math.IsNaN(sum) || math.IsInf(sum, 0) || !grad.Finite(delta) {
		return false, nil
	}
	t.lossSum += sum
	t.seen += n

	// The gradient of the weights, δᵀ x, a panel of columns at a time. Every
	// element is one chain over the whole batch, so neither block nor panel shows
	// in the bits.
	for j := range n {
		for o := range c {
			t.panelD[o*n+j] = delta[j*c+o]
		}
	}
	for k := 0; k < dim; k += t.plan.Panel {
		w := min(t.plan.Panel, dim-k)
		for j, i := range idx {
			f, r := t.rows.at(i)
			row := t.x[:w]
			f.decode(row, f.Row(r)[f.Type.Bytes(k):], t.table)
			for m, v := range row {
				t.panelX[m*n+j] = v
			}
		}
		if err := t.lin.WeightGrad(t.gradient, t.panelX, t.panelD, k, w, n); err != nil {
			return false, err
		}
	}
	grad.BiasGrad(t.gradient[c*dim:], delta, n, c)
	if m := t.plan.opt.ClipNorm; m > 0 {
		grad.ClipNorm(t.gradient, m)
	}
	t.opt.Step(t.params, t.gradient, t.rate(), c*dim)
	return true, nil
}

// rate is the learning rate of the coming step.
func (t *trainer) rate() float32 {
	if t.plan.opt.Schedule == Constant {
		return t.lr
	}
	left := float64(t.steps-t.opt.Steps()) / float64(t.steps)
	return float32(float64(t.lr) * left)
}

// evaluate returns the metrics of the current weights on the rows idx.
func (t *trainer) evaluate(idx []int32) (*Metrics, error) {
	c := len(t.plan.Classes)
	m := newMetrics(c)
	t.lin.SetWeights(t.weights(), t.bias())
	scratch := make([]float32, t.plan.Block*c)
	for part := range slices.Chunk(idx, t.plan.Block) {
		if err := t.forward(t.logits, part); err != nil {
			return nil, err
		}
		for j, i := range part {
			m.add(int(t.class[i]), argmax(t.logits[j*c:][:c]))
		}
		m.Loss += t.loss(scratch, t.logits, part, 0, 1)
	}
	return m.finish(), nil
}

// chooseLR derives a learning rate from the training features.
//
// The Hessian of softmax cross-entropy over a linear layer is at most
// ½ E[f fᵀ] for every class (Böhning, "Multinomial logistic regression
// algorithm", 1992; the bias is a feature that is 1), so gradient descent is
// stable below 2/L with L half the largest eigenvalue, which power iteration
// finds. SGD starts at a quarter of 1/L, which leaves room for the noise of
// batches under momentum. Adam's steps do not depend on the gradient's size: it starts so that
// a first step moves a logit by a tenth.
func (t *trainer) chooseLR(train []int32) float32 {
	const samples, rounds = 1024, 8
	idx := train[:min(len(train), samples)]
	dim := t.plan.Dim
	row := t.x[:dim]
	v, next := make([]float64, dim+1), make([]float64, dim+1)
	for i := range v {
		v[i] = 1
	}
	var eigen, abs float64
	for range rounds {
		var norm float64
		for _, x := range v {
			norm += float64(x * x)
		}
		norm = math.Sqrt(norm)
		clear(next)
		eigen, abs = 0, 0
		for _, i := range idx {
			f, r := t.rows.at(i)
			f.decode(row, f.Row(r), t.table)
			dot := v[dim] / norm
			abs++
			for k, x := range row {
				dot += float64(float64(x) * (v[k] / norm))
				abs += math.Abs(float64(x))
			}
			for k, x := range row {
				next[k] += float64(float64(x) * dot)
			}
			next[dim] += dot
			eigen += float64(dot * dot)
		}
		v, next = next, v
	}
	n := float64(len(idx))
	if t.plan.opt.Optimizer == AdamW {
		return float32(0.1 / (abs / n))
	}
	if t.plan.opt.Loss == MSE {
		eigen *= 4 / float64(len(t.plan.Classes)) // its Hessian is 2/classes E[f fᵀ]
	}
	return float32(0.25 / (0.5 * eigen / n))
}

// vectors are all that a checkpoint keeps of floats.
func (t *trainer) vectors(best []float32) [][]float32 {
	return append([][]float32{t.params, best}, t.opt.State()...)
}

// save writes the trainer's state into c.
func (t *trainer) save(c *checkpoint, best []float32) {
	c.vectors = t.vectors(best)
	c.rng, c.pos = t.sampler.rng.s, uint32(t.sampler.pos)
	c.steps = uint32(t.opt.Steps())
	c.lossSum, c.seen = t.lossSum, uint32(t.seen)
}

// restore continues from a checkpoint.
func (t *trainer) restore(c *checkpoint, best []float32) error {
	vs := t.vectors(best)
	if len(c.vectors) != len(vs) || len(c.vectors[0]) != len(t.params) || int(c.pos) >= len(t.sampler.order) {
		return fmt.Errorf("%w: it holds another number of weights", ErrJob)
	}
	for i, v := range vs {
		copy(v, c.vectors[i])
	}
	t.opt.SetSteps(int(c.steps))
	t.sampler.restore(c.rng, int(c.pos))
	t.lossSum, t.seen = c.lossSum, int(c.seen)
	return nil
}

package ondevice

import (
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

// A net is what is trained: a head or a deeper tail. It is not for concurrent use.
type net interface {
	// initialize writes the weights at the start.
	initialize(params []float32) error
	// set makes the following calls use params, which stay as they are until the
	// next set.
	set(params []float32)
	// forward writes the logits of the rows idx, len(idx) x classes of them.
	forward(logits []float32, idx []int32) error
	// learn writes the gradient of the loss of a batch, which it returns. What
	// it writes for a loss that is not finite does not matter.
	learn(gradient []float32, b *batch, loss lossFunc) (float64, error)
	// input writes what the last layer reads for row i, as real numbers.
	input(dst []float32, i int32)
}

// A lossFunc returns the loss of n samples of a batch, the first of them at from, from
// their logits, summed, and writes its gradient, that of the mean over the batch, to delta.
type lossFunc func(delta, logits []float32, from, n int) float64

// trainer is a net in training. Parameters lie in one vector, weights first,
// then biases.
type trainer struct {
	plan *TunePlan
	*samples

	net              net
	params, gradient []float32
	opt              grad.Optimizer
	lr               float32
	steps            int // planned
	sampler          *sampler

	classWeight []float32 // of each class; nil: 1

	logits  []float32 // [block, classes]
	labels  []int
	wanted  []float32 // [batch, classes] targets of a batch
	mixed   []float32 // [batch, classes] gradients by what is mixed in
	lossSum float64   // of the epoch so far
	seen    int       // samples of the epoch so far
}

// newTrainer makes a trainer of the samples train, at its start but for the
// weights, which are zeros.
func newTrainer(p *TunePlan, s *samples, train []int32) (*trainer, error) {
	c, batch := len(p.Classes), min(p.opt.Batch, len(train))
	t := &trainer{
		plan: p, samples: s,
		params: make([]float32, p.Params), gradient: make([]float32, p.Params),
		logits: make([]float32, p.Block*c),
		labels: make([]int, max(batch, p.Block)),
	}
	if p.opt.Loss != CrossEntropy {
		t.wanted = make([]float32, max(batch, p.Block)*c)
	}
	if p.tail == nil {
		t.net = newHeadNet(p, s, batch)
	} else {
		n, err := newTailNet(p, s)
		if err != nil {
			return nil, err
		}
		if p.tail.share > 0 {
			optional.channels(t, n, train)
		}
		n.bind(t.params, t.gradient)
		t.net = n
	}
	if p.opt.Mixup > 0 {
		t.mixed = make([]float32, batch*c)
	}
	t.opt = p.newOptimizer()
	t.sampler = p.newSampler(train, s)
	t.classWeight = t.weighClasses(train)
	t.steps = p.opt.Epochs * ((len(train) + batch - 1) / batch)
	t.lr = p.opt.LR
	if t.lr == 0 && !p.opt.Instant {
		if err := t.net.initialize(t.params); err != nil {
			return nil, err
		}
		t.net.set(t.params)
		t.lr = t.chooseLR(train)
		if p.tail != nil && len(s.val) > 0 {
			if err := t.searchLR(train); err != nil {
				return nil, err
			}
		}
		clear(t.params)
	}
	return t, nil
}

// newSampler makes the sampler of the samples train.
func (p *TunePlan) newSampler(train []int32, s *samples) *sampler {
	if p.opt.Replay == nil {
		return newSampler(train, p.opt.Seed)
	}
	isNew := func(c int) bool { return !slices.Contains(p.known, p.Classes[c]) }
	return newBalancedSampler(train, func(i int32) int { return int(s.class[i]) }, isNew, p.opt.NewShare, p.opt.Seed)
}

// newOptimizer makes the plan's optimizer for all parameters.
func (p *TunePlan) newOptimizer() grad.Optimizer {
	switch p.opt.Optimizer {
	case AdamW:
		return grad.NewAdamW(p.Params, p.opt.WeightDecay)
	case AdamW8, SGD8:
		return optional.eightBit(&p.opt, p.Params)
	}
	return grad.NewSGD(p.Params, p.opt.Momentum, p.opt.WeightDecay)
}

// searchLR tries learning rates up to t.lr, which is that of the head alone, for a
// few steps each from the start, and takes the one after which the loss of some
// validation samples is the least. It is the same whenever a job begins again.
func (t *trainer) searchLR(train []int32) error {
	const steps, judged = 12, 64
	val := t.val
	if len(val) > judged { // all over it: the samples may lie by class
		val = make([]int32, judged)
		for i := range val {
			val[i] = t.val[i*len(t.val)/judged]
		}
	}
	around, best, least := t.lr, t.lr, math.Inf(1)
	callback, schedule, warmup := t.plan.opt.OnStep, t.plan.opt.Schedule, t.plan.opt.Warmup
	opt, order := t.opt, t.sampler
	defer func() {
		t.plan.opt.OnStep, t.plan.opt.Schedule, t.plan.opt.Warmup = callback, schedule, warmup
		t.opt, t.sampler, t.lossSum, t.seen, t.lr = opt, order, 0, 0, best
	}()
	t.plan.opt.OnStep, t.plan.opt.Schedule, t.plan.opt.Warmup = nil, Constant, 0
	for _, factor := range []float32{1.0 / 16, 1.0 / 4, 1} {
		t.lr = float32(around * factor)
		t.opt, t.sampler = t.plan.newOptimizer(), t.plan.newSampler(train, t.samples)
		if err := t.net.initialize(t.params); err != nil {
			return err
		}
		ok := true
		for range steps {
			var err error
			if ok, err = t.step(); err != nil {
				return err
			}
			if !ok {
				break
			}
			if t.sampler.pos == len(t.sampler.order) {
				t.sampler.begin()
			}
		}
		if !ok || !grad.Finite(t.params) {
			break // higher ones diverge too
		}
		m, err := t.evaluate(val)
		if err != nil {
			return err
		}
		if m.Loss < least {
			best, least = t.lr, m.Loss
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
	return t.plan.opt.valueLoss(delta, logits, t.wanted, len(idx), c, scale)
}

// valueLoss is a loss of n rows of c outputs against targets, summed over the rows;
// its gradient is scaled.
func (o *Options) valueLoss(delta, outputs, targets []float32, n, c int, scale float32) (sum float64) {
	switch o.Loss {
	case BCE:
		return grad.BinaryCrossEntropy(delta, outputs, targets, n, c, scale)
	case Huber:
		return grad.Huber(delta, outputs, targets, n, c, scale)
	case Custom:
		for i := range n {
			d := delta[i*c:][:c]
			sum += o.LossFunc(d, outputs[i*c:][:c], targets[i*c:][:c])
			for k := range d {
				d[k] = float32(d[k] * scale)
			}
		}
		return sum
	}
	return grad.MSE(delta, outputs, targets, n, c, scale)
}

// weighted is the loss in training, by class weights.
func (t *trainer) weighted(delta, logits []float32, idx []int32, scale float32) (sum float64) {
	if t.classWeight == nil {
		return t.loss(delta, logits, idx, t.plan.opt.Smoothing, scale)
	}
	c := len(t.plan.Classes)
	for j := range idx {
		w := t.classWeight[t.class[idx[j]]]
		v := t.loss(delta[j*c:][:c], logits[j*c:][:c], idx[j:j+1], t.plan.opt.Smoothing, float32(scale*w))
		sum += float64(v * float64(w))
	}
	return sum
}

// batchLoss is the loss of n samples of a batch, by its share of both that are mixed.
func (t *trainer) batchLoss(b *batch, delta, logits []float32, from, n int) float64 {
	scale := 1 / float32(len(b.rows))
	if b.other == nil {
		return t.weighted(delta, logits, b.rows[from:from+n], scale)
	}
	own := t.weighted(delta, logits, b.rows[from:from+n], float32(scale*b.share))
	mixed := t.mixed[:n*len(t.plan.Classes)]
	other := t.weighted(mixed, logits, b.other[from:from+n], float32(scale*(1-b.share)))
	for i, v := range mixed {
		delta[i] += v
	}
	return float64(own*float64(b.share)) + float64(other*float64(1-b.share))
}

// weighClasses returns the weights of the classes, 1 on average over the training
// samples; nil if all are 1.
func (t *trainer) weighClasses(train []int32) []float32 {
	o := &t.plan.opt
	if !o.Balanced && o.ClassWeights == nil {
		return nil
	}
	w := t.plan.weightsOfClasses()
	count := make([]float32, len(w))
	for _, i := range train {
		count[t.class[i]]++
	}
	var sum float64
	for c, n := range count {
		if o.Balanced && n > 0 {
			w[c] /= n
		}
		sum += float64(float64(n) * float64(w[c]))
	}
	for c := range w {
		w[c] = float32(float64(w[c]) * (float64(len(train)) / sum))
	}
	return w
}

// step trains on the next batch and reports whether its loss was finite; a
// batch whose loss is not leaves the weights alone.
func (t *trainer) step() (ok bool, err error) {
	idx := t.sampler.take(min(t.plan.opt.Batch, len(t.sampler.order)))
	b := t.plan.newBatch(idx, t.opt.Steps())
	t.net.set(t.params)
	sum, err := t.net.learn(t.gradient, b, func(delta, logits []float32, from, n int) float64 {
		v := t.batchLoss(b, delta, logits, from, n)
		if !grad.Finite(delta) {
			return math.NaN()
		}
		return v
	})
	if err != nil {
		return false, err
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return false, nil
	}
	t.lossSum += sum
	t.seen += len(idx)
	if l1 := t.plan.opt.L1; l1 > 0 {
		for i, w := range t.params[:t.plan.weights] {
			switch {
			case w > 0:
				t.gradient[i] += l1
			case w < 0:
				t.gradient[i] -= l1
			}
		}
	}
	if m := t.plan.opt.ClipNorm; m > 0 {
		grad.ClipNorm(t.gradient, m)
	}
	rate := t.rate()
	t.opt.Step(t.params, t.gradient, rate, t.plan.weights)
	if f := t.plan.opt.OnStep; f != nil {
		return true, f(Step{Number: t.opt.Steps(), LR: rate, Loss: sum / float64(len(idx)), Samples: idx})
	}
	return true, nil
}

// rate is the learning rate of the coming step.
func (t *trainer) rate() float32 {
	o := &t.plan.opt
	done := t.opt.Steps()
	r := float64(t.lr)
	switch o.Schedule {
	case Linear:
		r *= float64(t.steps-done) / float64(t.steps)
	case Cosine: // (1 + cos πu)/2 = 1 - sin²(πu/2)
		s := sinQuarter(float64(done) / float64(t.steps))
		r *= 1 - float64(s*s)
	}
	if done < o.Warmup {
		r *= float64(done+1) / float64(o.Warmup)
	}
	return float32(r)
}

// sinQuarter is sin(πu/2) for u in [0, 1], by its Taylor polynomial to the 15th
// power (error below 1e-11) in fused multiply-adds: the standard library's bits
// are not the same on every CPU.
func sinQuarter(u float64) float64 {
	x := float64(u * (math.Pi / 2))
	x2 := float64(x * x)
	p := 1.0
	for k := 14.0; k > 0; k -= 2 { // Horner: sin x = x (1 - x²/(2·3) (1 - x²/(4·5) (...)))
		p = math.FMA(-float64(x2/float64(k*(k+1))), p, 1)
	}
	return x * p
}

// evaluate returns the metrics of the current weights on the rows idx.
func (t *trainer) evaluate(idx []int32) (*Metrics, error) {
	c := len(t.plan.Classes)
	m := newMetrics(c)
	t.net.set(t.params)
	scratch := make([]float32, t.plan.Block*c)
	for part := range slices.Chunk(idx, t.plan.Block) {
		if err := t.net.forward(t.logits, part); err != nil {
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
	const rounds = 8
	dim := t.plan.head.dim
	row := make([]float32, dim)
	idx := train[:min(len(train), 1024)]
	read := func(_ int, i int32) []float32 {
		t.net.input(row, i)
		return row
	}
	if t.plan.tail != nil { // whose head's input costs a whole run
		idx = train[:min(len(train), 64)]
		all := make([]float32, len(idx)*dim)
		for k, i := range idx {
			t.net.input(all[k*dim:][:dim], i)
		}
		read = func(k int, _ int32) []float32 { return all[k*dim:][:dim] }
	}
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
		for k, i := range idx {
			row := read(k, i)
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
	if o := t.plan.opt.Optimizer; o == AdamW || o == AdamW8 {
		return float32(0.1 / (abs / n))
	}
	switch t.plan.opt.Loss {
	case CrossEntropy:
	case BCE:
		eigen *= 0.5 / float64(len(t.plan.Classes)) // at most 1/(4 classes) E[f fᵀ]
	default:
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

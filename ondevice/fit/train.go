package fit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/grad"
)

// A Result is a trained model and how it came to be.
type Result struct {
	Model *format.Model
	Curve []Epoch
	Best  int // number of the epoch whose weights the model has
}

// ErrDiverged says that training went beyond the numbers.
var ErrDiverged = errors.New("fit: training went beyond the numbers: take a lower learning rate")

// lanes is the number of tapes that the samples of a batch go through side by
// side. It is fixed, or the sums of gradients would depend on the processors.
const lanes = 2

// Train returns the float model with its weights and biases trained on the data.
// Those that the header's list of tunable nodes leaves out stay as they are. The
// model itself is not changed. A cancelled context ends it with the context's
// error.
func Train(ctx context.Context, m *format.Model, data *Data, options Options) (*Result, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(m, &o)
	if err != nil {
		return nil, err
	}
	classes := o.Loss == ondevice.CrossEntropy
	inputs, outputs := len(t.lanes[0].input.Data), len(t.lanes[0].scores.Data)
	if err := data.check(inputs, outputs, classes); err != nil {
		return nil, err
	}
	train, val := data, o.ValData
	if o.Val > 0 {
		class := data.Class
		if !classes {
			class = make([]int, data.Len())
		}
		a, b := Stratified(class, o.Val, o.Seed)
		train, val = data.Subset(a), data.Subset(b)
	}
	if val != nil {
		if err := val.check(inputs, outputs, classes); err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
	}
	return t.train(ctx, train, val)
}

// A trainer is a model on tapes.
type trainer struct {
	o        *Options
	model    *format.Model
	names    []string // of what is trained: weights, then biases
	params   []float32
	gradient []float32
	weights  int // of the parameters
	opt      grad.Optimizer
	lanes    []*lane
}

// A lane is one of the tapes that samples go through.
type lane struct {
	tape     *grad.Tape[float32]
	input    *grad.Tensor[float32]
	scores   *grad.Tensor[float32]
	train    []*grad.Tensor[float32]
	gradient []float32
	masks    []mask
	rival    *rival // nil without attacks
	delta    []float32
	loss     float64
	right    int
}

// A mask is the factor behind a layer with dropout.
type mask struct {
	values []float32
	rate   float32
}

func newTrainer(m *format.Model, o *Options) (*trainer, error) {
	weights, biases := trained(m)
	t := &trainer{o: o, model: m, names: slices.Concat(weights, biases)}
	if len(t.names) == 0 {
		return nil, fmt.Errorf("fit: the model has no float32 weights that may be trained")
	}
	g, scores, masks, err := learned(m, o)
	if err != nil {
		return nil, err
	}
	for i, name := range t.names {
		c := m.Tensor(name)
		for at := 0; at+4 <= len(c.Data); at += 4 {
			t.params = append(t.params, math.Float32frombits(binary.LittleEndian.Uint32(c.Data[at:])))
		}
		if i < len(weights) {
			t.weights = len(t.params)
		}
	}
	t.gradient = make([]float32, len(t.params))
	t.opt = grad.NewAdamW(len(t.params), 0)
	if o.SGD {
		t.opt = grad.NewSGD(len(t.params), o.Momentum, 0)
	}
	names := make([]string, 0, len(masks))
	for name := range masks {
		names = append(names, name)
	}
	slices.Sort(names)
	for range lanes {
		tape, err := grad.NewTape(g, t.names, grad.OnLevel(kernels.Best()))
		if err != nil {
			return nil, fmt.Errorf("fit: the model cannot be trained: %w", err)
		}
		tape.Reserve((o.Batch + lanes - 1) / lanes)
		l := &lane{tape: tape, input: tape.Tensor(m.Main().Inputs[0].Tensor), scores: tape.Tensor(scores), gradient: make([]float32, len(t.params))}
		if l.input == nil || l.input.Data == nil {
			return nil, fmt.Errorf("fit: the output does not depend on a float32 input")
		}
		l.delta = make([]float32, len(l.scores.Data))
		at := 0
		for _, name := range t.names {
			x := tape.Tensor(name)
			x.Bind(t.params[at:], l.gradient[at:])
			l.train = append(l.train, x)
			at += len(x.Data)
		}
		for _, name := range names {
			l.masks = append(l.masks, mask{tape.Tensor(name).Data, masks[name]})
		}
		if o.Attack != nil {
			if l.rival, err = newRival(g, m.Main().Inputs[0].Tensor, scores, t.names, masks); err != nil {
				return nil, err
			}
		}
		t.lanes = append(t.lanes, l)
	}
	return t, nil
}

// parallel calls f for every lane.
func (t *trainer) parallel(f func(k int, l *lane)) {
	var wait sync.WaitGroup
	for k, l := range t.lanes {
		wait.Go(func() { f(k, l) })
	}
	wait.Wait()
}

func (t *trainer) train(ctx context.Context, train, val *Data) (*Result, error) {
	r := rand.New(rand.NewPCG(t.o.Seed, 0x6f72_6465_72))
	res := &Result{}
	best, least, order := []float32(nil), math.Inf(1), make([]int, train.Len())
	for i := range order {
		order[i] = i
	}
	steps := t.o.Epochs * ((train.Len() + t.o.Batch - 1) / t.o.Batch)
	for epoch := 1; epoch <= t.o.Epochs; epoch++ {
		if !t.o.Ordered {
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		e := Epoch{Number: epoch, Train: train.Len(), Samples: train.Len()}
		right := 0
		for batch := range slices.Chunk(order, t.o.Batch) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			loss, ok, err := t.step(train, batch, epoch, t.rate(steps))
			if err != nil {
				return nil, err
			}
			e.Loss += loss
			right += ok
		}
		e.Loss, e.Accuracy = e.Loss/float64(train.Len()), float64(right)/float64(train.Len())
		if val != nil {
			e.Val = val.Len()
			e.ValLoss, e.ValAccuracy = t.evaluate(val)
			if e.ValLoss < least {
				least, res.Best = e.ValLoss, epoch
				if t.o.Patience > 0 {
					best = append(best[:0], t.params...)
				}
			}
		}
		res.Curve = append(res.Curve, e)
		if t.o.Progress != nil {
			t.o.Progress(e)
		}
		if t.o.Patience > 0 && epoch-res.Best >= t.o.Patience {
			break
		}
	}
	if best != nil {
		copy(t.params, best)
	} else {
		res.Best = len(res.Curve)
	}
	res.Model = t.result()
	return res, nil
}

// rate is the learning rate of the coming step.
func (t *trainer) rate(steps int) float32 {
	if !t.o.Cosine {
		return t.o.Rate
	}
	return float32(float64(t.o.Rate) * cosine(float64(t.opt.Steps())/float64(steps)))
}

// cosine is (1 + cos πu)/2 = 1 - sin²(πu/2) for u in [0, 1], the sine by its Taylor
// polynomial to the 15th power in fused multiply-adds: the standard library's bits
// are not the same on every CPU.
func cosine(u float64) float64 {
	x := float64(u * (math.Pi / 2))
	x2 := float64(x * x)
	p := 1.0
	for k := 14.0; k > 0; k -= 2 {
		p = math.FMA(-float64(x2/float64(k*(k+1))), p, 1)
	}
	s := float64(x * p)
	return 1 - float64(s*s)
}

// step learns a batch and returns the sum of its losses and how many of its
// samples were right.
func (t *trainer) step(data *Data, batch []int, epoch int, rate float32) (loss float64, right int, err error) {
	t.parallel(func(k int, l *lane) {
		l.loss, l.right = 0, 0
		clear(l.gradient)
		for _, x := range l.train {
			x.Changed()
		}
		if l.rival != nil {
			l.rival.follow(t.params)
		}
		for i := k; i < len(batch); i += lanes {
			n := batch[i]
			copy(l.input.Data, data.X[n])
			if t.o.Augment != nil || len(l.masks) > 0 || l.rival != nil {
				r := rand.New(rand.NewPCG(t.o.Seed^uint64(epoch)<<32, uint64(n)))
				if t.o.Augment != nil {
					t.o.Augment(r, l.input.Data)
				}
				if l.rival != nil {
					l.rival.attack(t.o.Attack, r, l.input.Data, data.Class[n])
				}
				for _, m := range l.masks {
					m.draw(r)
				}
			}
			l.tape.Forward()
			l.judge(t.o, data, n, t.o.Smoothing, 1/float32(len(batch)))
			l.tape.Backward(l.delta)
		}
		l.tape.Flush()
	})
	a, b := t.lanes[0].gradient, t.lanes[1].gradient
	for i, v := range a {
		t.gradient[i] = v + b[i]
	}
	for _, l := range t.lanes {
		loss += l.loss
		right += l.right
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) || !grad.Finite(t.gradient) {
		return 0, 0, ErrDiverged
	}
	t.penalize()
	if t.o.ClipNorm > 0 {
		grad.ClipNorm(t.gradient, t.o.ClipNorm)
	}
	t.opt.Step(t.params, t.gradient, rate, t.weights)
	return loss, right, nil
}

// penalize adds the gradients of L1 and L2.
func (t *trainer) penalize() {
	if t.o.L1 == 0 && t.o.L2 == 0 {
		return
	}
	twice := 2 * t.o.L2
	for i, w := range t.params[:t.weights] {
		g := t.gradient[i] + float32(twice*w)
		switch {
		case w > 0:
			g += t.o.L1
		case w < 0:
			g -= t.o.L1
		}
		t.gradient[i] = g
	}
}

// draw sets the factors anew: 0 or 1/(1-rate).
func (m mask) draw(r *rand.Rand) {
	keep := 1 / (1 - m.rate)
	for i := range m.values {
		m.values[i] = keep
		if r.Float32() < m.rate {
			m.values[i] = 0
		}
	}
}

// judge adds the loss of sample n to the lane's and leaves its gradient, scaled.
func (l *lane) judge(o *Options, data *Data, n int, smoothing, scale float32) {
	c, y := len(l.delta), l.scores.Data
	switch o.Loss {
	case ondevice.MSE:
		l.loss += grad.MSE(l.delta, y, data.Target[n], 1, c, scale)
	case ondevice.BCE:
		l.loss += grad.BinaryCrossEntropy(l.delta, y, data.Target[n], 1, c, scale)
	case ondevice.Huber:
		l.loss += grad.Huber(l.delta, y, data.Target[n], 1, c, scale)
	default:
		l.loss += grad.SoftmaxCrossEntropy(l.delta, y, data.Class[n:n+1], 1, c, smoothing, scale)
		best := 0
		for i, v := range y {
			if v > y[best] {
				best = i
			}
		}
		if best == data.Class[n] {
			l.right++
		}
	}
}

// evaluate returns the mean loss of samples and the part that is right.
func (t *trainer) evaluate(data *Data) (loss, accuracy float64) {
	t.parallel(func(k int, l *lane) {
		l.loss, l.right = 0, 0
		for _, x := range l.train {
			x.Changed()
		}
		for _, m := range l.masks {
			for i := range m.values {
				m.values[i] = 1
			}
		}
		for n := k; n < data.Len(); n += lanes {
			copy(l.input.Data, data.X[n])
			l.tape.Forward()
			l.judge(t.o, data, n, 0, 1)
		}
	})
	right := 0
	for _, l := range t.lanes {
		loss += l.loss
		right += l.right
	}
	n := float64(data.Len())
	return loss / n, float64(right) / n
}

// result is the model with the trained values.
func (t *trainer) result() *format.Model {
	out := *t.model
	out.Tensors = slices.Clone(t.model.Tensors)
	values := t.params
	for _, x := range t.lanes[0].train {
		i := slices.IndexFunc(out.Tensors, func(c *format.Tensor) bool { return c.Name == x.Name })
		c := *out.Tensors[i]
		c.Data = make([]byte, 0, 4*len(x.Data))
		for _, v := range values[:len(x.Data)] {
			c.Data = binary.LittleEndian.AppendUint32(c.Data, math.Float32bits(v))
		}
		values = values[len(x.Data):]
		out.Tensors[i] = &c
	}
	return &out
}

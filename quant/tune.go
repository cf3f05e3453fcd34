package quant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// A Labelled is samples that can be read in any order.
type Labelled struct {
	Class []int                       // of each sample: an index into the first output
	At    func(i int, x Sample) error // reads sample i
}

// TuneOptions say how [Tune] trains. The zero value is a good choice.
type TuneOptions struct {
	Epochs int     // times that all samples are seen; 0: 1
	Rate   float32 // learning rate at the start, which falls to zero in a line; 0: 0.001
	Batch  int     // samples of a step; 0: 32
	Seed   uint64  // of the order of the samples

	// Sparse leaves weights that are zero at zero.
	Sparse bool

	// Fake makes the network learn to live with int8: weights and those
	// activations that have a range here are rounded to int8 on the way forward
	// and taken as they are on the way back (quantization-aware training with the
	// straight-through estimator: Jacob et al., 2018, arXiv:1712.05877, section 3).
	Fake Ranges

	// Step, unless nil, is told the samples that were learned and the mean loss
	// of the last ones.
	Step func(done int, loss float64)
}

// Tune returns the float model with its weights and biases trained on labelled
// samples: cross-entropy by AdamW. The classes are those of the first output,
// scores or their Softmax; weights that are not float32 constants stay as they
// are. The result depends on the model, the samples and the options alone.
func Tune(ctx context.Context, m *format.Model, data Labelled, o TuneOptions) (*format.Model, error) {
	t, err := newTuner(m, data, &o)
	if err != nil {
		return nil, err
	}
	n := len(data.Class)
	r := rand.New(rand.NewPCG(o.Seed, 0x7475_6e65))
	total, done := n*o.Epochs, 0
	optimizer := grad.NewAdamW(len(t.params), 1e-4)
	for range o.Epochs {
		order := r.Perm(n)
		for batch := range slices.Chunk(order, o.Batch) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			loss, err := t.learn(batch)
			if err != nil {
				return nil, err
			}
			rate := o.Rate * float32(1-float64(done)/float64(total))
			done += len(batch)
			// The first steps are short: Adam knows nothing of the slopes yet.
			rate *= min(1, float32(optimizer.Steps()+1)/warmUp)
			optimizer.Step(t.params, t.gradient, rate, t.decayed)
			for _, i := range t.zeros {
				t.params[i] = 0
			}
			if o.Step != nil {
				o.Step(done, loss)
			}
		}
	}
	if !grad.Finite(t.params) {
		return nil, errDiverged
	}
	return t.result(), nil
}

var errDiverged = errors.New("quant: training went beyond the numbers: take a lower learning rate")

// warmUp is the number of steps in which the learning rate rises.
const warmUp = 20

// lanes is the number of tapes that samples of a batch go through side by side.
// It is fixed, or the sums of gradients would depend on the processors.
const lanes = 2

// A tuner is a model on tapes.
type tuner struct {
	model    *format.Model
	data     Labelled
	tapes    []*tape
	names    []string // trained constants, the weights first
	weights  int      // how many those are
	fake     bool
	params   []float32
	gradient []float32
	zeros    []int // parameters that stay zero
	decayed  int   // parameters that are weights: biases do not decay
}

// A tape is a lane.
type tape struct {
	*grad.Tape[float32]
	inputs []*grad.Tensor[float32]
	round  []func([]float32) // of the inputs, to int8 where training shall see that
	logits *grad.Tensor[float32]
	train  []*grad.Tensor[float32]
	delta  []float32
	loss   float64
	err    error
}

func newTuner(m *format.Model, data Labelled, o *TuneOptions) (*tuner, error) {
	o.Epochs, o.Batch = max(o.Epochs, 1), max(o.Batch, 0)
	if o.Batch == 0 {
		o.Batch = 32
	}
	if o.Rate == 0 {
		o.Rate = 1e-3
	}
	if len(data.Class) == 0 {
		return nil, fmt.Errorf("quant: no labelled samples to train on")
	}
	if len(m.Graphs) != 1 {
		return nil, fmt.Errorf("quant: models with several graphs cannot be trained")
	}
	t := &tuner{model: clone(m), data: data, fake: o.Fake != nil}
	tensors := byName(t.model)
	g := t.model.Main()
	// The weights first, then the biases.
	var biases []string
	for _, n := range g.Nodes {
		for i, in := range n.Inputs {
			if i == 0 || !linear(n) || in == "" || !plainConst(tensors[in]) || slices.Contains(t.names, in) || slices.Contains(biases, in) {
				continue
			}
			if i == 1 {
				t.names = append(t.names, in)
				t.decayed += tensors[in].Shape.Elems()
			} else {
				biases = append(biases, in)
			}
		}
	}
	t.weights = len(t.names)
	t.names = append(t.names, biases...)
	if len(t.names) == 0 {
		return nil, fmt.Errorf("quant: the model has no Conv or Gemm with float32 weights to train")
	}
	// The loss takes scores: a Softmax at the end is part of it.
	learned := clone(t.model)
	scores := g.Outputs[0]
	if p := producers(g)[scores]; p != nil && (p.Op == "Softmax" || p.Op == "LogSoftmax") {
		scores = p.Inputs[0]
	}
	learned.Main().Outputs = []string{scores}
	learned.Main().Nodes = needed(learned.Main())
	classes := tensors[scores].Shape.Elems()
	for i, c := range data.Class {
		if c < 0 || c >= classes {
			return nil, fmt.Errorf("quant: sample %d is of class %d, but output %q has %d scores", i, c, g.Outputs[0], classes)
		}
	}
	for range lanes {
		x, err := grad.NewTape(learned, t.names, grad.OnLevel(kernels.Best()))
		if err != nil {
			return nil, fmt.Errorf("quant: the model cannot be trained: %w", err)
		}
		l := &tape{Tape: x, logits: x.Tensor(scores), delta: make([]float32, classes)}
		for _, in := range g.Inputs {
			l.inputs = append(l.inputs, x.Tensor(in.Tensor))
			l.round = append(l.round, func([]float32) {})
		}
		for _, name := range t.names {
			l.train = append(l.train, x.Tensor(name))
		}
		made := producers(learned.Main())
		for name, r := range o.Fake {
			q := Activation(r[0], r[1])
			round := func(v []float32) { snap(v, q) }
			if i := slices.IndexFunc(g.Inputs, func(in format.Input) bool { return in.Tensor == name }); i >= 0 {
				l.round[i] = round
			} else if made[name] != nil {
				if err := x.Through(name, round); err != nil {
					return nil, err
				}
			}
		}
		t.tapes = append(t.tapes, l)
	}
	for _, name := range t.names {
		t.params = append(t.params, float32s(tensors[name])...)
	}
	for i, v := range t.params[:t.decayed] {
		if o.Sparse && v == 0 {
			t.zeros = append(t.zeros, i)
		}
	}
	t.gradient = make([]float32, len(t.params))
	return t, nil
}

// needed lists the nodes that the outputs need.
func needed(g *format.Graph) []*format.Node {
	want := set(g.Outputs)
	var nodes []*format.Node
	for _, n := range slices.Backward(g.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(o string) bool { return want[o] }) {
			for _, in := range n.Inputs {
				want[in] = true
			}
			nodes = append(nodes, n)
		}
	}
	slices.Reverse(nodes)
	return nodes
}

// each calls f with the part of v that belongs to every trained constant.
func (t *tuner) each(v []float32, f func(i int, part []float32)) {
	for i, x := range t.tapes[0].train {
		f(i, v[:len(x.Data)])
		v = v[len(x.Data):]
	}
}

// learn sets the gradient to that of the mean loss of a batch and returns it.
func (t *tuner) learn(batch []int) (float64, error) {
	values := t.params
	if t.fake {
		values = append([]float32(nil), t.params...)
		t.each(values, func(i int, part []float32) {
			if i < t.weights {
				snapRows(part, t.tapes[0].train[i].Shape[0])
			}
		})
	}
	parallel(len(t.tapes), func(lane int) {
		l := t.tapes[lane]
		l.loss, l.err = 0, nil
		t.each(values, func(i int, part []float32) {
			l.train[i].Set(part)
			clear(l.train[i].Grad)
		})
		for k := lane; k < len(batch); k += len(t.tapes) {
			if l.err = l.run(&t.data, batch[k], len(batch)); l.err != nil {
				return
			}
		}
		l.Flush()
	})
	loss := 0.0
	clear(t.gradient)
	for _, l := range t.tapes {
		if l.err != nil {
			return 0, l.err
		}
		loss += l.loss
		t.each(t.gradient, func(i int, part []float32) {
			for k, v := range l.train[i].Grad {
				part[k] += v
			}
		})
	}
	loss /= float64(len(batch))
	if math.IsNaN(loss) || math.IsInf(loss, 0) || !grad.Finite(t.gradient) {
		return 0, errDiverged
	}
	return loss, nil
}

// run takes a sample forward and backward.
func (l *tape) run(data *Labelled, i, batch int) error {
	x := make(Sample, len(l.inputs))
	for k, in := range l.inputs {
		x[k] = in.Data
	}
	if err := data.At(i, x); err != nil {
		return err
	}
	for k, round := range l.round {
		round(x[k])
	}
	l.Forward()
	l.loss += grad.SoftmaxCrossEntropy(l.delta, l.logits.Data, data.Class[i:i+1], 1, len(l.delta), 0, 1/float32(batch))
	l.Backward(l.delta)
	return nil
}

// result is the model with the trained values.
func (t *tuner) result() *format.Model {
	tensors := byName(t.model)
	t.each(t.params, func(i int, part []float32) { tensors[t.names[i]].Data = bytesOf(slices.Clone(part)) })
	return t.model
}

// snap rounds values to those of int8 codes.
func snap(x []float32, q *format.Quant) {
	scale, zero := q.Scale[0], float32(q.ZeroPoint())
	for i, v := range x {
		x[i] = float32(min(max(roundEven(v/scale), -128-zero), 127-zero) * scale)
	}
}

// snapRows rounds weights to those of int8 codes with a scale a row.
func snapRows(w []float32, rows int) {
	k := len(w) / max(rows, 1)
	for r := range rows {
		row := w[r*k:][:k]
		scale := rowScale(row)
		for i, v := range row {
			row[i] = float32(roundEven(v/scale) * scale)
		}
	}
}

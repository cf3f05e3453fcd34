package ondevice

import (
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// tailNet is a tail on a tape, one sample at a time: only what one sample needs
// on its way back is kept.
type tailNet struct {
	plan    *TunePlan
	rows    rowSet
	codes   *codes
	tape    *grad.Tape[float32]
	source  *grad.Tensor[float32]   // what the cut gives
	row     *grad.Tensor[float32]   // what the head reads
	logits  *grad.Tensor[float32]   // what it gives
	trained []*grad.Tensor[float32] // in the order of the parameters
	delta   []float32
}

// startModel returns the model with a float tail and a head at its start.
func (p *TunePlan) startModel() (*format.Model, error) {
	w, b := make([]float32, len(p.Classes)*p.head.dim), make([]float32, len(p.Classes))
	p.startHead(w, b)
	m, err := p.head.withHead(p.model, w, b, p.labels(), p.opt.Loss == CrossEntropy)
	if err != nil {
		return nil, err
	}
	return p.tail.float(m)
}

// newTape makes the tape of a float tail, from the cut to the logits.
func (p *TunePlan) newTape(m *format.Model, level kernels.Level) (*tailNet, error) {
	source := p.Feature
	if p.tail.cut.Type != format.Float32 {
		source = tensorCut
	}
	gemm := nodeNamed(m, nodeGemm)
	names, _ := p.tail.trained(m)
	part := cut(m, []format.Input{{Tensor: source}}, gemm.Outputs[0])
	tape, err := grad.NewTape(part, names, grad.OnLevel(level))
	if err != nil {
		return nil, err
	}
	tape.Reserve(min(p.opt.Batch, p.Samples))
	t := &tailNet{
		plan: p, tape: tape, source: tape.Tensor(source), row: tape.Tensor(gemm.Inputs[0]), logits: tape.Tensor(gemm.Outputs[0]),
		delta: make([]float32, len(p.Classes)),
	}
	for _, name := range names {
		t.trained = append(t.trained, tape.Tensor(name))
	}
	return t, nil
}

// newTailNet makes the net of a tail whose parameters and their gradient lie in
// the vectors.
func newTailNet(p *TunePlan, s *samples, params, gradient []float32) (*tailNet, error) {
	m, err := p.startModel()
	if err != nil {
		return nil, err
	}
	t, err := p.newTape(m, p.level)
	if err != nil {
		return nil, err
	}
	t.rows, t.codes = s.rows, s.rows[0].codes()
	for _, x := range t.trained {
		n := len(x.Data)
		x.Bind(params[:n], gradient[:n])
		params, gradient = params[n:], gradient[n:]
	}
	return t, nil
}

// each calls f with the parameters of every trained tensor.
func (t *tailNet) each(params []float32, f func(x *grad.Tensor[float32], part []float32)) {
	for _, x := range t.trained {
		f(x, params[:len(x.Data)])
		params = params[len(x.Data):]
	}
}

func (t *tailNet) initialize(params []float32) error {
	m, err := t.plan.startModel()
	if err != nil {
		return err
	}
	t.each(params, func(x *grad.Tensor[float32], part []float32) {
		r := reals{t: m.Tensor(x.Name)}
		for i := range part {
			part[i] = r.at(i)
		}
	})
	return nil
}

func (t *tailNet) set([]float32) { // they are bound
	for _, x := range t.trained {
		x.Changed()
	}
}

func (t *tailNet) run(i int32) {
	f, r := t.rows.at(i)
	f.decode(t.source.Data, f.Row(r), t.codes)
	t.tape.Forward()
}

func (t *tailNet) input(dst []float32, i int32) {
	t.run(i)
	copy(dst, t.row.Data)
}

func (t *tailNet) forward(logits []float32, idx []int32) error {
	for j, i := range idx {
		t.run(i)
		copy(logits[j*len(t.delta):], t.logits.Data)
	}
	return nil
}

func (t *tailNet) learn(gradient []float32, idx []int32, loss lossFunc) (sum float64, err error) {
	clear(gradient)
	for k, i := range idx {
		t.run(i)
		sum += loss(t.delta, t.logits.Data, idx[k:k+1])
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			t.tape.Flush() // what the samples before have left
			return sum, nil
		}
		t.tape.Backward(t.delta)
	}
	t.tape.Flush()
	return sum, nil
}

// values returns the parameters by the names of their tensors.
func (t *tailNet) values(params []float32) map[string][]float32 {
	v := map[string][]float32{}
	t.each(params, func(x *grad.Tensor[float32], part []float32) { v[x.Name] = part })
	return v
}

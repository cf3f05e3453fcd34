package ondevice

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/grad"
)

// tailNet is a tail on a tape, one sample at a time: only what one sample needs
// on its way back is kept.
type tailNet struct {
	plan     *TunePlan
	rows     rowSet
	codes    *codes
	tape     *grad.Tape[float32]
	source   *grad.Tensor[float32]   // what the cut gives
	row      *grad.Tensor[float32]   // what the head reads
	logits   *grad.Tensor[float32]   // what it gives
	trained  []*grad.Tensor[float32] // in the order of the parameters
	biases   map[string]string       // of layers, by their weights
	channels map[string][]int        // of a sparse tail: by weights, those that are trained
	mask     *grad.Tensor[float32]   // what multiplies the head's input; nil: no dropout
	delta    []float32
	other    []float32 // what the cut gives of the sample that is mixed in
}

// startModel returns the model with a float tail and a head at its start.
func (p *TunePlan) startModel() (*format.Model, error) {
	w, b := make([]float32, len(p.Classes)*p.head.dim), make([]float32, len(p.Classes))
	p.startHead(w, b)
	m, err := p.head.withHead(p.model, w, b, p.labels(), p.opt.Loss == CrossEntropy)
	if err != nil {
		return nil, err
	}
	p.tail.seed = p.opt.Seed
	return p.tail.float(m)
}

// newTape makes the tape of a float tail, from the cut to the logits.
func (p *TunePlan) newTape(m *format.Model, product grad.Product[float32]) (*tailNet, error) {
	source := p.Feature
	if p.tail.cut.Type != format.Float32 {
		source = tensorCut
	}
	gemm := nodeNamed(m, nodeGemm)
	names, _ := p.tail.trained(m)
	part := cut(m, []format.Input{{Tensor: source}}, gemm.Outputs[0])
	if p.opt.Dropout > 0 {
		gemm = maskHead(part)
	}
	tape, err := grad.NewCodedTape(part, names, product, p.tailCodes(m, source))
	if err != nil {
		return nil, err
	}
	tape.Reserve(min(p.opt.Batch, p.Samples))
	t := &tailNet{
		plan: p, tape: tape, source: tape.Tensor(source), row: tape.Tensor(gemm.Inputs[0]), logits: tape.Tensor(gemm.Outputs[0]),
		biases: map[string]string{}, delta: make([]float32, len(p.Classes)),
	}
	if p.opt.Dropout > 0 {
		t.mask = tape.Tensor(tensorMask)
		ones(t.mask.Data)
	}
	if p.opt.Mixup > 0 {
		t.other = make([]float32, len(t.source.Data))
	}
	for _, name := range names {
		t.trained = append(t.trained, tape.Tensor(name))
	}
	for _, n := range part.Main().Nodes {
		if slices.Contains(layerOps, n.Op) && len(n.Inputs) > 2 {
			t.biases[n.Inputs[1]] = n.Inputs[2]
		}
	}
	return t, nil
}

// tailCodes are the codes of what the tail computes, by the names in its float form m: in
// training its values are those that the model's integers can say, so that a layer sees
// what it will see in the end.
func (p *TunePlan) tailCodes(m *format.Model, source string) map[string]grad.Code {
	codes := map[string]grad.Code{}
	for _, t := range p.model.Tensors {
		if _, _, ok := realRange(t); !ok || t.Const() {
			continue
		}
		name := t.Name
		switch {
		case t.Name == p.tail.cut.Name && p.opt.Mixup > 0: // mixed samples lie between codes
			continue
		case t.Name == p.tail.cut.Name:
			name = source
		case m.Tensor(name+tailClip) != nil:
			name += tailClip
		}
		codes[name] = grad.Code{Scale: t.Quant.Scale[0], Zero: t.Quant.ZeroPoint(), Unsigned: t.Type == format.Uint8}
	}
	return codes
}

// newTailNet makes the net of a tail; its parameters are yet to be bound.
func newTailNet(p *TunePlan, s *samples) (*tailNet, error) {
	m, err := p.startModel()
	if err != nil {
		return nil, err
	}
	t, err := p.newTape(m, grad.OnThreads(p.level, p.threads))
	if err != nil {
		return nil, err
	}
	t.rows, t.codes = s.rows, s.rows[0].codes()
	return t, nil
}

// bind makes the trained tensors lie in the vectors; of those of which only some
// channels are trained, these channels' gradients.
func (t *tailNet) bind(params, gradient []float32) {
	t.each(params, func(x *grad.Tensor[float32], part []float32) {
		g := gradient[:len(part)]
		gradient = gradient[len(part):]
		if rows := t.channels[x.Name]; rows != nil {
			x.BindRows(rows, g)
			return
		}
		x.Bind(part, g)
	})
}

// each calls f with the parameters of every trained tensor.
func (t *tailNet) each(params []float32, f func(x *grad.Tensor[float32], part []float32)) {
	for _, x := range t.trained {
		n := len(x.Data)
		if rows := t.channels[x.Name]; rows != nil {
			n = len(rows) * (n / x.Shape[0])
		}
		f(x, params[:n])
		params = params[n:]
	}
}

func (t *tailNet) initialize(params []float32) error {
	m, err := t.plan.startModel()
	if err != nil {
		return err
	}
	t.each(params, func(x *grad.Tensor[float32], part []float32) {
		v := floatsOf(m.Tensor(x.Name))
		if rows := t.channels[x.Name]; rows != nil {
			gatherRows(part, v, rows, len(v)/x.Shape[0])
			return
		}
		copy(part, v)
	})
	return nil
}

// set takes over the parameters; all but those of some channels are bound.
func (t *tailNet) set(params []float32) {
	t.each(params, func(x *grad.Tensor[float32], part []float32) {
		if rows := t.channels[x.Name]; rows != nil {
			scatterRows(x.Data, part, rows, len(x.Data)/x.Shape[0])
		}
		x.Changed()
	})
}

func (t *tailNet) decode(dst []float32, i int32) {
	f, r := t.rows.at(i)
	f.decode(dst, f.Row(r), t.codes)
}

func (t *tailNet) run(i int32) {
	t.decode(t.source.Data, i)
	t.tape.Forward()
}

// runSample is run for sample k of a batch.
func (t *tailNet) runSample(b *batch, k int) {
	t.decode(t.source.Data, b.rows[k])
	if b.other != nil {
		t.decode(t.other, b.other[k])
		b.mix(t.source.Data, t.other)
	}
	if t.mask != nil {
		ones(t.mask.Data)
		b.drop.apply(t.mask.Data, k, 0)
	}
	t.tape.Forward()
}

// tensorMask is what dropout multiplies the head's input by.
const tensorMask = "head/m"

// maskHead puts a product with the mask before the head of a part of a model, which it
// changes, and returns the new head.
func maskHead(part *format.Model) *format.Node {
	g := part.Main()
	i := slices.IndexFunc(g.Nodes, func(n *format.Node) bool { return n.Name == nodeGemm })
	gemm := *g.Nodes[i]
	x := part.Tensor(gemm.Inputs[0])
	masked := &format.Tensor{Name: tensorMask + "/y", Type: format.Float32, Shape: x.Shape}
	part.Tensors = append(part.Tensors, masked, &format.Tensor{Name: tensorMask, Type: format.Float32, Shape: x.Shape})
	g.Inputs = append(g.Inputs, format.Input{Tensor: tensorMask})
	gemm.Inputs = slices.Clone(gemm.Inputs)
	gemm.Inputs[0] = masked.Name
	g.Nodes[i] = &gemm
	g.Nodes = slices.Insert(g.Nodes, i, &format.Node{Name: tensorMask, Op: "Mul", Inputs: []string{x.Name, tensorMask}, Outputs: []string{masked.Name}})
	return &gemm
}

func ones(x []float32) {
	for i := range x {
		x[i] = 1
	}
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

func (t *tailNet) learn(gradient []float32, b *batch, loss lossFunc) (sum float64, err error) {
	clear(gradient)
	if t.mask != nil {
		defer ones(t.mask.Data) // what is judged is whole
	}
	for k := range b.rows {
		t.runSample(b, k)
		sum += loss(t.delta, t.logits.Data, k, 1)
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			t.tape.Flush() // what the samples before have left
			return sum, nil
		}
		t.tape.Backward(t.delta)
	}
	t.tape.Flush()
	return sum, nil
}

// values returns the parameters by the names of their tensors; of some channels,
// among the others.
func (t *tailNet) values(params []float32) map[string][]float32 {
	v := map[string][]float32{}
	t.each(params, func(x *grad.Tensor[float32], part []float32) {
		if rows := t.channels[x.Name]; rows != nil {
			whole := slices.Clone(x.Data)
			scatterRows(whole, part, rows, len(whole)/x.Shape[0])
			part = whole
		}
		v[x.Name] = part
	})
	return v
}

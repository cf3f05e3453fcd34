package ondevice

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
	"github.com/whet-edge/whet/runtime"
)

// A TunePlan says what a job will train and what it will need. [Plan] makes it;
// [Start] and [Resume] carry it out.
type TunePlan struct {
	Tail    Tail
	Node    string   // the (first) layer that is trained
	Feature string   // the tensor that it reads and whose values are cached
	Dim     int      // elements of that tensor
	Classes []string // of the tuned model, by index in its output
	New     []string // those that the model does not know
	Params  int      // trained parameters
	Samples int      // of the data and the replay, validation included
	Epochs  int
	Steps   int // at most

	// Parts says what the peak is made of: that of a process which does nothing else and
	// was given a budget. Without Options.Memory Go's collector lets the heap grow to
	// about twice as much. Block is how many rows at a time go
	// through the head and Panel how many columns of its gradient are computed at
	// a time: smaller ones need less memory and give the same bits.
	Parts     []Part
	PeakBytes int64
	Block     int
	Panel     int

	opt        Options
	model      *format.Model
	kind       *Features // an empty set of the features that the head reads
	data       Data
	head       *head
	tail       *tail    // nil: the head alone
	weights    int      // of the parameters: those that are not biases
	tapeBytes  int64    // what one sample takes in training, with the tail's weights
	floatBytes int64    // constants of a tail as float32
	known      []string // the model's own classes
	level      kernels.Level
	threads    int
	regression bool
	id         [sha256.Size]byte
}

// A Part of the memory that a job needs at its peak.
type Part struct {
	Name  string
	Bytes int64
}

// A BudgetError refuses a plan that needs more memory than it may have.
type BudgetError struct {
	Budget int64 // bytes allowed
	Need   int64 // bytes that would be enough
	Parts  []Part
}

func (e *BudgetError) Error() string {
	largest := slices.MaxFunc(e.Parts, func(a, b Part) int { return int(a.Bytes - b.Bytes) })
	return fmt.Sprintf("ondevice: a memory budget of %d bytes is not enough: %d are needed, %d of them for %s",
		e.Budget, e.Need, largest.Bytes, largest.Name)
}

// Plan finds the part of the model to train, predicts the job's peak memory and
// refuses with a [BudgetError] what does not fit; nothing is trained yet. Model
// and data are kept by the plan and must not change.
func Plan(m *format.Model, data Data, options Options) (*TunePlan, error) {
	opt, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	defer holdHeap(opt.Memory)()
	_ = processBytes() // before the model's pages are read, if it is mapped
	if len(m.Main().Inputs) != 1 {
		return nil, fmt.Errorf("ondevice: the model has %d inputs; samples give one", len(m.Main().Inputs))
	}
	h, err := findHead(m)
	if err != nil {
		return nil, err
	}
	if t := m.Header.Tunable; len(t) > 0 && !slices.Contains(t, m.Main().Nodes[h.first].Name) {
		return nil, &HeadError{m.Main().Nodes[h.first].Name, m.Main().Nodes[h.first].Op, "the model's maker does not allow it to be tuned"}
	}
	p := &TunePlan{
		Tail: opt.Tail, Node: m.Main().Nodes[h.first].Name, Feature: h.feature.Name, Dim: h.dim,
		Samples: data.Len(), opt: opt, model: m, data: data, head: h, known: classNames(m.Header.Labels, h.classes),
	}
	feature := h.feature
	if opt.Tail != Head {
		if p.tail, err = findTail(m, h, opt.Tail); err != nil {
			return nil, err
		}
		feature = p.tail.cut
		p.Node, p.Feature, p.Dim = p.tail.layers[0].Name, feature.Name, feature.Shape.Elems()
	}
	if p.kind, err = newFeatures(m, feature); err != nil {
		return nil, err
	}
	prog, err := runtime.Compile(m, append(slices.Clone(opt.Runtime), runtime.WithOutputs(p.Feature))...)
	if err != nil {
		return nil, err
	}
	p.level, p.threads = prog.Level(), prog.Threads()
	if opt.Replay != nil && !p.kind.sameKind(opt.Replay) {
		return nil, fmt.Errorf("ondevice: the replayed features were not made by this model's %q: make them anew", p.Feature)
	}
	if opt.Replay != nil {
		p.Samples += opt.Replay.Len()
	}
	if p.Samples == 0 {
		return nil, fmt.Errorf("ondevice: there are no samples")
	}
	if err := p.chooseClasses(); err != nil {
		return nil, err
	}
	p.weights = len(p.Classes) * h.dim
	p.Params = p.weights + len(p.Classes)
	if p.tail != nil {
		if err := p.countTail(); err != nil {
			return nil, err
		}
	}
	perEpoch := (p.Samples + opt.Batch - 1) / opt.Batch
	def(&p.opt.Epochs, max(10, (600+perEpoch-1)/perEpoch))
	if opt.Instant {
		p.opt.Epochs = 0
	}
	for c := range opt.ClassWeights {
		if !slices.Contains(p.Classes, c) {
			return nil, fmt.Errorf("ondevice: a weight is given for %q, which is not one of the classes", c)
		}
	}
	p.Epochs = p.opt.Epochs
	p.Steps = p.Epochs * perEpoch
	digest, err := format.Digest(m)
	if err != nil {
		return nil, err
	}
	p.id = p.identity(digest)
	return p, p.budget(int64(prog.WeightBytes()), int64(prog.ArenaBytes()))
}

// classNames are the model's labels, with numbers for those that it lacks.
func classNames(labels []string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
		if i < len(labels) {
			names[i] = labels[i]
		}
	}
	return names
}

// chooseClasses fills in Classes, New and regression.
func (p *TunePlan) chooseClasses() error {
	seen := map[string]bool{}
	var labels []string
	see := func(l string) {
		if !seen[l] {
			seen[l] = true
			labels = append(labels, l)
		}
	}
	targets := 0
	look := func(d Data) error {
		for i := range d.Len() {
			s := d.Sample(i)
			if s.ViewOf < 0 || s.ViewOf > i || s.ViewOf > 0 && d.Sample(s.ViewOf-1).ViewOf > 0 {
				return fmt.Errorf("ondevice: sample %d is said to be a view of sample number %d, counted from 1: that must be an earlier one, and no view itself", i, s.ViewOf)
			}
			if s.Target == nil {
				see(s.Label)
				continue
			}
			targets++
			if p.opt.Loss == CrossEntropy {
				return fmt.Errorf("ondevice: sample %d has a target; the loss ce takes labels", i)
			}
			if len(s.Target) != p.head.classes {
				return fmt.Errorf("ondevice: sample %d has a target of %d values; the model has %d outputs", i, len(s.Target), p.head.classes)
			}
		}
		return nil
	}
	if err := look(p.data); err != nil {
		return err
	}
	if v := p.opt.ValData; v != nil {
		if err := look(v); err != nil {
			return err
		}
		for i := range v.Len() {
			if v.Sample(i).ViewOf > 0 {
				return fmt.Errorf("ondevice: validation sample %d is a changed view of another: only samples as they came judge", i)
			}
		}
	}
	if r := p.opt.Replay; r != nil {
		for i := range r.Len() {
			see(r.Label(i))
		}
	}
	if targets > 0 {
		if len(labels) > 0 || p.opt.Classes != nil {
			return fmt.Errorf("ondevice: samples with targets and samples with labels, or classes, cannot be mixed")
		}
		p.regression, p.Classes = true, p.known
		return nil
	}
	slices.Sort(labels)
	var fresh []string
	for _, l := range labels {
		if !slices.Contains(p.known, l) {
			fresh = append(fresh, l)
		}
	}
	switch {
	case p.opt.Classes != nil:
		p.Classes = slices.Clone(p.opt.Classes)
		for i, c := range p.Classes {
			if slices.Contains(p.Classes[:i], c) {
				return fmt.Errorf("ondevice: class %q is named twice", c)
			}
		}
		for _, l := range labels {
			if !slices.Contains(p.Classes, l) {
				return fmt.Errorf("ondevice: samples are labelled %q, which is not one of the classes", l)
			}
		}
	case len(fresh) < len(labels):
		p.Classes = append(slices.Clone(p.known), fresh...)
	default:
		p.Classes = fresh
	}
	if len(p.Classes) < 2 {
		return fmt.Errorf("ondevice: samples of %d class: at least 2 are needed", len(p.Classes))
	}
	for _, c := range p.Classes {
		if !slices.Contains(p.known, c) {
			p.New = append(p.New, c)
		}
	}
	return nil
}

// labels are what the tuned model's header says; a model without labels whose
// classes stay the same stays without.
func (p *TunePlan) labels() []string {
	if slices.Equal(p.Classes, p.known) {
		return p.model.Header.Labels
	}
	return p.Classes
}

// identity is what must be the same for a job to be continued: everything that
// decides the bits of the result, the samples themselves excepted, which the
// job compares by their features.
func (p *TunePlan) identity(digest [32]byte) [sha256.Size]byte {
	o := p.opt
	h := sha256.New()
	fmt.Fprintf(h, "%x %q %q %v %v %x %v %x %x %x %x %v %d %d %d %x %d %v %d %d %v %v %x %x %x %x %d",
		digest, p.Feature, p.Classes, o.Tail, o.Loss, o.Smoothing, o.Optimizer, o.Momentum, o.WeightDecay,
		o.ClipNorm, o.LR, o.Schedule, o.Epochs, o.Batch, o.Patience, o.Val, o.Folds, o.Replay != nil, o.Seed,
		o.Warmup, o.Balanced, o.Instant, p.weightsOfClasses(), o.L1, o.Dropout, o.Mixup, o.Form)
	if o.NewShare > 0 {
		fmt.Fprintf(h, " %x", o.NewShare)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// weightsOfClasses are Options.ClassWeights in the order of the classes.
func (p *TunePlan) weightsOfClasses() []float32 {
	w := make([]float32, len(p.Classes))
	for i, c := range p.Classes {
		w[i] = 1
		if v, ok := p.opt.ClassWeights[c]; ok {
			w[i] = v
		}
	}
	return w
}

// tensorBytes is what a tensor of a model takes besides its data, with its scales and
// its share of the nodes.
const tensorBytes = 2 << 10

// overshoot is how much further a heap grows, in percent, while it is being collected.
const overshoot = 4

// gaps is what lies unused between the objects of a heap, which keeps sizes apart.
const gaps = 1 << 20

// What a row of features takes besides its values, in bytes: its ID, label, class and
// places, and while features are extracted the index of the cache and the sources.
const (
	trainedRow   = 160
	extractedRow = 160
)

// budget predicts the peak, with blocks as large as the budget allows, from what
// the frozen part takes.
func (p *TunePlan) budget(weights, arena int64) error {
	for p.Block, p.Panel = 32, 256; ; {
		p.account(weights, arena)
		if p.opt.Memory == 0 || p.PeakBytes <= p.opt.Memory {
			return nil
		}
		if p.Block == 1 && p.Panel == 16 {
			return &BudgetError{Budget: p.opt.Memory, Need: p.PeakBytes, Parts: p.Parts}
		}
		p.Block, p.Panel = max(p.Block/2, 1), max(p.Panel/2, 16)
	}
}

// countTail counts the parameters of a tail and what its tape takes.
func (p *TunePlan) countTail() error {
	m, err := p.startModel()
	if err != nil {
		return err
	}
	names, weights := p.tail.trained(m)
	p.Params, p.weights = 0, 0
	for i, name := range names {
		shape := m.Tensor(name).Shape
		n := shape.Elems()
		if i < weights-1 && p.tail.share > 0 {
			n = channelsOf(p.tail.share, shape[0]) * (n / shape[0])
		}
		p.Params += n
		if i < weights {
			p.weights += n
		}
	}
	t, err := p.newTape(m, grad.OnThreads(p.level, p.threads))
	if err != nil {
		return fmt.Errorf("ondevice: tail %v: %w", p.Tail, err)
	}
	p.tapeBytes = t.tape.Bytes()
	for _, c := range m.Tensors {
		if base := p.model.Tensor(c.Name); base == nil || base.Type != c.Type {
			p.floatBytes += int64(len(c.Data))
		}
	}
	return nil
}

// account adds the parts up. Memory that the caller's Data holds is not in them,
// and a model that was opened without a mapping is. Extraction and training do not
// overlap: the frozen part is released before the head is trained.
func (p *TunePlan) account(weights, arena int64) {
	// Bytes of a parameter's state; codes have four bytes of scale for 256 of them.
	states := map[Optimizer]int64{SGD: 4, AdamW: 8, SGD8: 1, AdamW8: 2}[p.opt.Optimizer]
	if p.opt.Optimizer != AdamW && p.opt.Optimizer != AdamW8 && p.opt.Momentum == 0 {
		states = 0
	}
	params := int64(p.Params)
	classes, dim, batch := int64(len(p.Classes)), int64(p.Dim), int64(p.opt.Batch)
	rows := int64(p.Samples)
	if p.opt.ValData != nil {
		rows += int64(p.opt.ValData.Len())
	}
	features := rows * int64(p.kind.RowBytes())
	input := p.model.Tensor(p.model.Main().Inputs[0].Tensor)
	var constants int64
	for _, t := range p.model.Tensors {
		constants += int64(len(t.Data))
	}
	frozen := []Part{
		{"the packed weights of the frozen part", weights},
		{"the activations of the frozen part", arena + int64(input.Type.Bytes(input.Shape.Elems()))},
		{"names of features", rows * extractedRow},
	}
	training := []Part{
		{"weights, gradient, optimizer state and best weights of the head", params*(4*(1+1+1)+states) + params/32},
		{"the head as kernels hold it", 2 * 4 * (dim + 1) * ((classes + 31) / 32 * 32)},
		{"a block of rows and of the gradient", 4 * (int64(p.Block)*(dim+classes) + int64(p.Panel)*(batch+classes) + 2*batch*classes)},
		{"the model that is judged", 4 * params},
		{"names of features", rows * trainedRow},
	}
	if p.opt.Mixup > 0 {
		training[2].Bytes += 4 * (dim + batch*classes)
	}
	if p.tail != nil {
		training[0].Name = "weights, gradient, optimizer state and best weights of the tail"
		// Parameters take the place of the tape's own weights and gradients; before, both
		// are there, and the model that they are read from.
		bound := 8 * params
		if p.tail.share > 0 {
			bound = 0
		}
		training[1] = Part{"the tail's weights, activations and their gradients", p.tapeBytes - bound}
		training[2] = Part{"logits of a block", 4 * int64(p.Block) * classes * 2}
		training[3] = Part{"the tail as a float model, at the start", max(0, p.floatBytes+bound+8*params-training[0].Bytes)}
	}
	p.Parts = []Part{
		{"the program itself", processBytes()},
		{"the model", constants + int64(len(p.model.Tensors))*tensorBytes},
		{"features", features},
	}
	if total(frozen) > total(training) {
		p.Parts = append(p.Parts, frozen...)
	} else {
		p.Parts = append(p.Parts, training...)
	}
	live := total(p.Parts) - processBytes()
	p.Parts = append(p.Parts, Part{"what the garbage collector has not freed yet, and gaps", live*(garbage+overshoot)/100 + min(live*3/4, gaps)})
	p.PeakBytes = total(p.Parts)
}

func total(parts []Part) (sum int64) {
	for _, p := range parts {
		sum += p.Bytes
	}
	return sum
}

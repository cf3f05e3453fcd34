package quant

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Options say how [Quantize] works. The zero value is a good choice.
type Options struct {
	// Method chooses the ranges of the activations.
	Method Method
	// Ranges are those of tensors that need no observing: {0, 255} for an
	// input that takes pixels as they are.
	Ranges Ranges
	// Wide makes the activations int16 (16x8).
	Wide bool
	// Plain leaves out what repairs a loss: equalization and bias correction.
	Plain bool
	// Class is the label of each sample, nil if unknown: an index into the
	// first output.
	Class []int
	// Budget keeps as few layers out of int8 as let the result stay within it.
	Budget Budget
	// Fallback is what such layers compute in: Float32, which the zero value
	// stands for, or Int16, whose weights go on being int8; where that does not
	// reach the budget, Float32 takes its place.
	Fallback format.DType
	// Stage, unless nil, is told what begins.
	Stage func(what string)
}

// A Budget bounds what int8 may cost on the samples. The zero value bounds
// nothing.
type Budget struct {
	SQNR float64  // least signal-to-noise ratio of the outputs, in decibels; 0: any
	Drop *float64 // greatest loss of accuracy, as a fraction of 1; without labels the float model's answers count as right; nil: any
}

func (b Budget) set() bool { return b.SQNR != 0 || b.Drop != nil }

// met reports whether a score is within the budget.
func (b Budget) met(s Score, accuracy float64) bool {
	if b.SQNR != 0 && s.SQNR < b.SQNR {
		return false
	}
	if b.Drop == nil {
		return true
	}
	right := s.Accuracy
	if right == nil {
		right, accuracy = s.Agreement, 1
	}
	// A sample more or less is no rounding error of the fraction.
	return right != nil && accuracy-*right <= *b.Drop+1e-9
}

// A Result is a quantized model and what is known about it.
type Result struct {
	Model  *format.Model
	Float  []string // nodes that compute in float32
	Report *Report
}

// Quantize makes an int8 (or 16x8) model of a float one: it observes the activations on
// the samples, tries the methods and the repairs, and keeps those whose outputs
// are the nearest to the float model's, as measured by running both. The source
// model is not changed; its constants' bytes may be shared.
func Quantize(ctx context.Context, m *format.Model, samples Samples, o Options) (*Result, error) {
	switch o.Fallback {
	case format.Invalid:
		o.Fallback = format.Float32
	case format.Float32, format.Int16:
	default:
		return nil, fmt.Errorf("quant: layers cannot fall back to %v: choose float32 or int16", o.Fallback)
	}
	stage := func(what string) {
		if o.Stage != nil {
			o.Stage(what)
		}
	}
	stage("observing")
	obs, err := Observe(ctx, m, samples)
	if err != nil {
		return nil, err
	}
	s := &search{ctx: ctx, options: o, stage: stage}
	n := obs.samples()
	check, class := thin(samples, o.Class, n, checkSize(m))
	stage("running the float model")
	if s.ref, err = newReference(ctx, m, check, class); err != nil {
		return nil, err
	}
	s.judge = s.ref
	s.rough = s.ref.first(rankSamples)
	if o.Budget.Drop != nil && len(s.ref.values) < n { // answers are counted on all samples
		if s.judge, err = newReference(ctx, m, samples, o.Class); err != nil {
			return nil, err
		}
	}
	if err := s.choose(m, obs, samples); err != nil {
		return nil, err
	}
	if o.Budget.Drop != nil && o.Class == nil && s.best.score.Agreement == nil {
		return nil, fmt.Errorf("quant: a bound on the loss of accuracy needs a first output that is one row of scores, or labelled samples")
	}
	var kept []Kept
	if o.Budget.set() {
		switch ok, err := s.within(&s.best); {
		case err != nil:
			return nil, err
		case !ok:
			if kept, err = s.mixed(); err != nil {
				return nil, err
			}
		}
	}
	q := s.best
	stage("comparing layer by layer")
	r, err := s.report(n)
	if err != nil {
		return nil, err
	}
	r.Kept = kept
	return &Result{Model: q.model, Float: q.float, Report: r}, nil
}

// samples is how many were observed.
func (o Observation) samples() int {
	for _, s := range o {
		return s.samples
	}
	return 0
}

// checkMACs bounds the work of one comparison of two models.
const checkMACs = 8 << 30

// checkSize is the number of samples that models are compared on: fewer for a
// larger model, at least 16.
func checkSize(m *format.Model) int {
	return int(max(16, checkMACs/max(macs(m), 1)))
}

// macs estimates the multiply-accumulates of the linear layers.
func macs(m *format.Model) int64 {
	tensors := byName(m)
	sum := int64(0)
	for _, n := range m.Main().Nodes {
		if linear(n) {
			sum += nodeMACs(n, tensors)
		}
	}
	return sum
}

func nodeMACs(n *format.Node, tensors map[string]*format.Tensor) int64 {
	w, y := tensors[n.Inputs[1]].Shape, tensors[n.Outputs[0]].Shape
	return int64(y.Elems()) * int64(w.Elems()/max(w[0], 1))
}

// thin takes at most most of n samples, spread evenly.
func thin(samples Samples, class []int, n, most int) (Samples, []int) {
	if n <= most {
		return samples, class
	}
	taken := func(i int) bool { return i*most/n != (i-1)*most/n || i == 0 }
	var some []int
	for i, c := range class {
		if taken(i) {
			some = append(some, c)
		}
	}
	return func(yield func(Sample, error) bool) {
		i := 0
		for x, err := range samples {
			if (err != nil || taken(i)) && !yield(x, err) {
				return
			}
			i++
		}
	}, some
}

// search is the state of [Quantize].
type search struct {
	ctx     context.Context
	options Options
	stage   func(string)
	ref     *reference // what candidates are compared on
	judge   *reference // what the budget is judged on
	rough   *reference // some samples of ref, on which layers are ranked
	trials  []Trial
	tried   []candidate // without their models
	best    candidate
}

// A candidate is one way to quantize, and what came of it.
type candidate struct {
	name      string
	source    *format.Model // float, equalized or not
	obs       Observation
	method    Method
	correct   bool
	codes     map[string][]int8 // of the weights, rounded adaptively
	keep      map[string]bool
	model     *format.Model
	float     []string
	score     Score
	equalized int
	ranges    Ranges // by method of obs
}

// build quantizes and scores a candidate.
func (s *search) build(c *candidate) error {
	o := StaticOptions{Codes: c.codes, Wide: s.options.Wide}
	if s.options.Fallback == format.Int16 {
		o.Widen = c.keep
	} else {
		o.Keep = c.keep
	}
	if c.correct {
		o.Means = map[string][]float64{}
		for name, st := range c.obs {
			o.Means[name] = st.ChannelMean
		}
	}
	if c.ranges == nil {
		c.ranges = c.obs.Ranges(c.method)
		maps.Copy(c.ranges, s.options.Ranges)
	}
	var err error
	if c.model, c.float, err = Static(c.source, c.ranges, o); err != nil {
		return err
	}
	c.score, err = s.ref.score(s.ctx, c.model)
	return err
}

// try keeps the candidate if it is better than the best one so far.
func (s *search) try(c candidate) error {
	if err := s.build(&c); err != nil {
		return err
	}
	s.trials = append(s.trials, Trial{c.name, c.score})
	bare := c
	bare.model, bare.float = nil, nil
	s.tried = append(s.tried, bare)
	if s.best.model == nil || c.score.SQNR > s.best.score.SQNR {
		s.best = c
	}
	return nil
}

// equalizedSamples bounds the samples that the equalized model is observed on:
// a second look at all of them would double the time.
const equalizedSamples = 128

// roundedSamples bounds the samples that the rounding of the weights is chosen on.
const roundedSamples = 64

// choose tries the methods, then the repairs on top of the best one.
func (s *search) choose(m *format.Model, obs Observation, samples Samples) error {
	methods := []Method{s.options.Method}
	switch {
	case s.options.Wide: // 16 bits hold the outliers with the rest
		methods = []Method{MinMax}
	case s.options.Method == Auto:
		methods = []Method{MinMax, MovingAverage, Percentile, MSE, Entropy}
	}
	tryAll := func(c candidate) error {
		prefix := c.name
		for _, c.method = range methods {
			c.name = prefix + c.method.String()
			s.stage("trying " + c.name)
			if err := s.try(c); err != nil {
				return err
			}
		}
		return nil
	}
	if s.options.Plain {
		return tryAll(candidate{source: m, obs: obs})
	}
	if err := tryAll(candidate{name: "bias corrected, ", source: m, obs: obs, correct: true}); err != nil {
		return err
	}
	s.stage("equalizing")
	if eq, n := Equalize(m, obs); n > 0 {
		few, _ := thin(samples, nil, obs.samples(), equalizedSamples)
		eqObs, err := Observe(s.ctx, eq, few)
		if err != nil {
			return err
		}
		if err := tryAll(candidate{name: "equalized, bias corrected, ", source: eq, obs: eqObs, correct: true, equalized: n}); err != nil {
			return err
		}
	}
	s.stage("rounding the weights")
	few, _ := thin(samples, nil, obs.samples(), roundedSamples)
	c, plain := s.best, s.best
	var err error
	if c.codes, err = Round(s.ctx, c.source, few); err != nil {
		return err
	}
	c.name = "rounded adaptively, " + c.name
	if err := s.try(c); err != nil {
		return err
	}
	plain.name, plain.correct = strings.Replace(plain.name, "bias corrected, ", "", 1), false
	return s.try(plain)
}

// accuracy is the float model's, 0 without labels.
func (ref *reference) accuracy() float64 {
	if ref.class == nil {
		return 0
	}
	right := 0
	for i, c := range ref.class {
		if argmax(ref.values[i][:ref.width]) == c {
			right++
		}
	}
	return float64(right) / float64(len(ref.class))
}

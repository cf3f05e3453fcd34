package quant

import (
	"context"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
)

// Stats is what was observed of one activation over all samples. Its memory
// does not depend on their number.
type Stats struct {
	Lo, Hi float32 // the extremes
	Hist   Histogram

	// Of each channel (the innermost axis): the greatest magnitude and the mean.
	ChannelMax  []float32
	ChannelMean []float64

	avgLo, avgHi float64 // moving averages of the samples' extremes
	samples      int
}

// Observation is the statistics of a model's float32 activations by name.
type Observation map[string]*Stats

// Ranges is the least and the greatest value that each activation's codes span.
type Ranges map[string][2]float32

// Ranges chooses the range of every activation by one method.
func (o Observation) Ranges(m Method) Ranges {
	r := make(Ranges, len(o))
	for name, s := range o {
		lo, hi := s.Range(m)
		r[name] = [2]float32{lo, hi}
	}
	return r
}

// Observe runs the float model on the samples and returns the statistics of all
// float32 activations of the main graph. It fails on a sample of the wrong
// size, on an activation that is not finite, and when there is no sample.
func Observe(ctx context.Context, m *format.Model, samples Samples) (Observation, error) {
	o := Observation{}
	for _, names := range parts(m, activations(m)) {
		if err := o.pass(ctx, m, names, samples); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o Observation) pass(ctx context.Context, m *format.Model, names []string, samples Samples) error {
	r, err := newRunner(m, names)
	if err != nil {
		return err
	}
	defer r.close()
	for i, name := range names {
		channels := 1
		if s := r.session.Output(i).Shape; len(s) > 0 {
			channels = s[len(s)-1]
		}
		o[name] = &Stats{ChannelMax: make([]float32, channels), ChannelMean: make([]float64, channels)}
	}
	n := 0
	for sample, err := range samples {
		if err != nil {
			return err
		}
		if err := r.run(ctx, n, sample); err != nil {
			return err
		}
		for i, name := range names {
			if !o[name].add(r.real(i)) {
				return fmt.Errorf("quant: sample %d: activation %q has values that are not finite", n, name)
			}
		}
		n++
	}
	if n == 0 {
		return fmt.Errorf("quant: no calibration samples")
	}
	for _, name := range names {
		o[name].finish()
	}
	return nil
}

// add takes the values of one sample in; it is false if one is not finite.
func (s *Stats) add(x []float32) bool {
	c := len(s.ChannelMax)
	if len(x) == 0 {
		return true
	}
	lo, hi := x[0], x[0]
	for i := 0; i < len(x); i += c {
		for k, v := range x[i : i+c] {
			if v-v != 0 {
				return false
			}
			lo, hi = min(lo, v), max(hi, v)
			s.ChannelMax[k] = max(s.ChannelMax[k], abs(v))
			s.ChannelMean[k] += float64(v)
		}
	}
	s.Hist.add(x, max(abs(lo), abs(hi)))
	s.samples++
	if s.samples == 1 {
		s.Lo, s.Hi, s.avgLo, s.avgHi = lo, hi, float64(lo), float64(hi)
		return true
	}
	s.Lo, s.Hi = min(s.Lo, lo), max(s.Hi, hi)
	// The plain mean until there are ten: the first sample weighs no more
	// than the others.
	f := math.Max(0.1, 1/float64(s.samples))
	s.avgLo += float64(f * (float64(lo) - s.avgLo))
	s.avgHi += float64(f * (float64(hi) - s.avgHi))
	return true
}

// finish turns the channels' sums into means.
func (s *Stats) finish() {
	per := float64(s.Hist.Total) / float64(len(s.ChannelMean))
	if per == 0 {
		return
	}
	for k := range s.ChannelMean {
		s.ChannelMean[k] /= per
	}
}

package quant

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

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
	values       int
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

// Observe runs the float model on the samples and returns the statistics of the
// float32 activations of the main graph, except those that only a Relu or Clip
// reads: these take the range behind it. It fails on a sample of the wrong
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
		if bad := o.addAll(r, names); bad != "" {
			return fmt.Errorf("quant: sample %d: activation %q has values that are not finite", n, bad)
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

// addAll takes in what the model has just computed, some tensors at a time on
// each processor. It returns the name of one that is not finite, if any.
func (o Observation) addAll(r *runner, names []string) (bad string) {
	values := make([][]float32, len(names))
	for i := range names {
		values[i] = r.real(i)
	}
	ok := make([]bool, len(names))
	var next atomic.Int32
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				ok[i] = o[names[i]].add(values[i])
			}
		})
	}
	wg.Wait()
	if i := slices.Index(ok, false); i >= 0 {
		return names[i]
	}
	return ""
}

// sampled bounds the values of one tensor and sample that the histogram counts;
// of a larger tensor it takes every nth row of channels.
const sampled = 1 << 17

// add takes the values of one sample in; it is false if one is not finite.
func (s *Stats) add(x []float32) bool {
	c := len(s.ChannelMax)
	if len(x) == 0 {
		return true
	}
	most, sums := s.ChannelMax, s.ChannelMean
	lo, hi := x[0], x[0]
	for i := 0; i < len(x); i += c {
		// Plain comparisons: min and max of the language order zeros and NaN,
		// which takes longer and is not needed.
		for k, v := range x[i : i+c] {
			if v < lo {
				lo = v
			}
			if v > hi {
				hi = v
			}
			if a := abs(v); a > most[k] {
				most[k] = a
			}
			sums[k] += float64(v)
		}
	}
	for _, v := range sums { // NaN and infinities stay in a sum
		if v-v != 0 {
			return false
		}
	}
	rows := len(x) / c
	s.Hist.add(x, c, (rows*c+sampled-1)/sampled, max(abs(lo), abs(hi)))
	s.values += len(x)
	s.samples++
	if s.samples == 1 {
		s.Lo, s.Hi, s.avgLo, s.avgHi = lo, hi, float64(lo), float64(hi)
		return true
	}
	s.Lo, s.Hi = min(s.Lo, lo), max(s.Hi, hi)
	// The plain mean until there are ten: the first sample weighs no more
	// than the others.
	f := max(0.1, 1/float64(s.samples))
	s.avgLo += float64(f * (float64(lo) - s.avgLo))
	s.avgHi += float64(f * (float64(hi) - s.avgHi))
	return true
}

// finish turns the channels' sums into means.
func (s *Stats) finish() {
	per := float64(s.values) / float64(len(s.ChannelMean))
	if per == 0 {
		return
	}
	for k := range s.ChannelMean {
		s.ChannelMean[k] /= per
	}
}

// Package drift notices that what a model is shown, or what it answers, is no
// longer what it was.
//
// A [Watcher] keeps the distribution of its first [ReferenceSamples] samples and
// compares the last [WindowSamples] with it, again and again: each feature by the
// population stability index, and the mean of a vector (the model's scores, or
// an embedding) by its distance. A finding is not an effect size alone, as the
// usual bands are: it must also be improbable for the number of samples, with
// what it counts as samples reduced when neighbours resemble each other, as the
// frames of a camera do.
package drift

import (
	"math"
	"slices"
)

// How many samples are learned from, how many are compared at a time, and after
// how many more that is done again.
const (
	ReferenceSamples = 500
	WindowSamples    = 250
	step             = 50
)

const (
	bins = 10

	// psiShift is the index from which a shift is called significant by convention
	// (Siddiqi, Credit Risk Scorecards, 2006: 0.1 to 0.25 is a small one).
	psiShift = 0.2

	// distanceShift is the least distance of the means, in standard deviations,
	// that is worth telling.
	distanceShift = 0.2

	// improbable is the probability that a window in which nothing has changed
	// gives a finding.
	improbable = 1e-6

	// maxEmbedding is how many elements of the vector are watched: longer ones are
	// folded, element i onto i mod maxEmbedding.
	maxEmbedding = 32
)

// A Feature is what is known of one number of each sample.
type Feature struct {
	Name  string    `json:"name"`
	Edges []float64 `json:"edges"` // upper bounds of the bins but the last, increasing
	Count []int     `json:"count"` // samples of the reference by bin
	Lag   float64   `json:"lag"`   // correlation of neighbouring samples
}

// A Component is what is known of one element of the vector.
type Component struct {
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"`
	Lag      float64 `json:"lag"`
}

// A Reference is what a model's samples were like.
type Reference struct {
	Key       string      `json:"key"` // of the version that it belongs to
	Features  []Feature   `json:"features"`
	Embedding []Component `json:"embedding"`
}

// A Finding is a window compared with the reference.
type Finding struct {
	Features []Shift  `json:"features"`
	Distance Distance `json:"embedding"`
	Found    bool     `json:"found"`
}

// A Shift is how far a feature has moved: a finding if the index is above the
// convention's and either it or the mean rank is improbable for so many samples.
type Shift struct {
	Name   string  `json:"name"`
	PSI    float64 `json:"psi"`
	Limit  float64 `json:"limit"`
	Rank   float64 `json:"rank_z"` // of the mean rank, as a standard normal number
	LimitZ float64 `json:"limit_z"`
}

// Distance is how far the vector's mean has moved, in standard deviations.
type Distance struct {
	Distance float64 `json:"distance"`
	Worst    float64 `json:"worst_z"` // of an element, as a standard normal number
	Limit    float64 `json:"limit_z"`
}

// A Watcher is not for concurrent use.
type Watcher struct {
	names []string
	key   string
	ref   *Reference

	values [][]float64 // by feature, of the samples under way
	vector [][]float64 // by element

	last  *Finding
	calm  int // comparisons without a finding since the last one
	drift bool
}

// New makes a watcher of samples with these features. A reference of the same
// key and features is taken over; else the first samples make one.
func New(key string, names []string, ref *Reference) *Watcher {
	w := &Watcher{names: names, key: key}
	if ref != nil && ref.Key == key && len(ref.Features) == len(names) {
		same := true
		for i, f := range ref.Features {
			same = same && f.Name == names[i] && len(f.Count) == len(f.Edges)+1
		}
		if same {
			w.ref = ref
		}
	}
	w.clear()
	return w
}

func (w *Watcher) clear() {
	w.values = make([][]float64, len(w.names))
	w.vector = nil
}

// Observe takes a sample: its features in the order of the names, and a vector
// that may be empty. It returns the reference when this sample completes it, and
// the latest comparison when it completes one.
func (w *Watcher) Observe(features, vector []float64) (*Reference, *Finding) {
	if len(features) != len(w.names) {
		return nil, nil
	}
	for i, v := range features {
		w.values[i] = append(w.values[i], v)
	}
	if w.vector == nil {
		w.vector = make([][]float64, min(len(vector), maxEmbedding))
	}
	if len(w.vector) > 0 {
		var folded [maxEmbedding]float64
		for i, v := range vector {
			folded[i%len(w.vector)] += v
		}
		for i := range w.vector {
			w.vector[i] = append(w.vector[i], folded[i])
		}
	}
	n := w.Samples()
	switch {
	case w.ref == nil && n >= ReferenceSamples:
		w.learn()
		w.clear()
		return w.ref, nil
	case w.ref != nil && n >= WindowSamples:
		f := w.compare()
		w.note(f)
		for _, list := range [][][]float64{w.values, w.vector} {
			for i := range list {
				list[i] = append(list[i][:0], list[i][step:]...)
			}
		}
		return nil, f
	}
	return nil, nil
}

// note keeps a finding until two whole windows are without one.
func (w *Watcher) note(f *Finding) {
	w.last = f
	switch {
	case f.Found:
		w.drift, w.calm = true, 0
	case w.drift:
		w.calm++
		w.drift = w.calm < 2*WindowSamples/step
	}
}

// Samples is how many samples the reference or window under way has.
func (w *Watcher) Samples() int {
	if len(w.values) == 0 {
		return 0
	}
	return len(w.values[0])
}

// State is "learning" until there is a reference, then "watching" or "drifted".
func (w *Watcher) State() string {
	switch {
	case w.ref == nil:
		return "learning"
	case w.drift:
		return "drifted"
	}
	return "watching"
}

// Last is the latest window's comparison, or nil.
func (w *Watcher) Last() *Finding { return w.last }

func (w *Watcher) learn() {
	r := &Reference{Key: w.key}
	for i, values := range w.values {
		f := Feature{Name: w.names[i], Edges: edges(values), Lag: lag(values)}
		f.Count = count(values, f.Edges)
		r.Features = append(r.Features, f)
	}
	for _, values := range w.vector {
		mean, variance := moments(values)
		r.Embedding = append(r.Embedding, Component{mean, variance, lag(values)})
	}
	w.ref = r
}

func (w *Watcher) compare() *Finding {
	f := &Finding{}
	alpha := improbable / float64(len(w.ref.Features)+len(w.ref.Embedding))
	for i, values := range w.values {
		ref := &w.ref.Features[i]
		now := count(values, ref.Edges)
		s := Shift{Name: ref.Name, PSI: psi(ref.Count, now), LimitZ: quantile(alpha / 2)}
		// Without a change the index is distributed as the mean of the two inverse
		// sizes' sum times chi-square of one degree less than there are bins (Yurdakul,
		// Statistical properties of population stability index, 2018).
		apart := spread(len(values), ref.Lag)
		s.Limit = max(psiShift, apart*chiSquare(len(ref.Count)-1, alpha))
		s.Rank = rankShift(ref.Count, now, apart)
		f.Features = append(f.Features, s)
		f.Found = f.Found || s.PSI > s.Limit || s.PSI > psiShift && s.Rank > s.LimitZ
	}
	if len(w.vector) != len(w.ref.Embedding) {
		return f
	}
	f.Distance.Limit = quantile(alpha / 2)
	moved, width := 0.0, 0.0
	for i, values := range w.vector {
		ref := &w.ref.Embedding[i]
		mean, variance := moments(values)
		d := mean - ref.Mean
		moved += float64(d * d)
		width += ref.Variance
		// The variance of both together, for a rare class may be in one of them only.
		both := (ReferenceSamples*ref.Variance + WindowSamples*variance) / (ReferenceSamples + WindowSamples)
		if d != 0 {
			f.Distance.Worst = max(f.Distance.Worst, min(math.Abs(d)/math.Sqrt(float64(both*spread(len(values), ref.Lag))), 1e6))
		}
	}
	if moved > 0 {
		f.Distance.Distance = min(math.Sqrt(moved/max(width, 1e-12*moved)), 1e6)
	}
	f.Found = f.Found || f.Distance.Worst > f.Distance.Limit && f.Distance.Distance > distanceShift
	return f
}

// spread is 1/reference + 1/window in independent samples: n samples of which
// neighbours correlate by r are worth n(1-r)/(1+r) (a process of the first
// order).
func spread(window int, r float64) float64 {
	return float64((1.0/ReferenceSamples + 1/float64(window)) * (1 + r) / (1 - r))
}

// psi is the population stability index of two histograms. Half a sample more in
// every bin keeps empty ones finite.
func psi(ref, now []int) float64 {
	sum := func(c []int) float64 {
		n := 0
		for _, v := range c {
			n += v
		}
		return float64(n) + float64(len(c))/2
	}
	a, b, total := sum(ref), sum(now), 0.0
	for i := range ref {
		p, q := (float64(ref[i])+0.5)/a, (float64(now[i])+0.5)/b
		total += float64((q - p) * math.Log(q/p))
	}
	return total
}

// rankShift is by how many standard deviations the mean bins of two histograms
// differ. It finds a move of the whole distribution in fewer samples than the
// index, and no outlier can feign one.
func rankShift(ref, now []int, apart float64) float64 {
	var n, sum [2]float64
	square := 0.0
	for i := range ref {
		for k, c := range [2]int{ref[i], now[i]} {
			n[k] += float64(c)
			sum[k] += float64(c * i)
			square += float64(c * i * i)
		}
	}
	mean := (sum[0] + sum[1]) / (n[0] + n[1])
	variance := square/(n[0]+n[1]) - float64(mean*mean)
	if variance <= 0 {
		return 0
	}
	return math.Abs(sum[0]/n[0]-sum[1]/n[1]) / math.Sqrt(float64(variance*apart))
}

// edges are the bounds of bins that hold about equal numbers of the values, or
// one value each if there are few different ones. Of those the outermost bins
// are for what did not occur.
func edges(values []float64) []float64 {
	s := slices.Sorted(slices.Values(values))
	distinct := slices.Compact(slices.Clone(s))
	var e []float64
	if len(distinct) <= bins {
		e = append(e, math.Nextafter(distinct[0], math.Inf(-1)))
		e = append(e, distinct...)
		return e
	}
	for i := 1; i < bins; i++ {
		e = append(e, s[i*len(s)/bins])
	}
	return slices.Compact(e)
}

// count is the histogram of the values; one that is an edge belongs below it.
func count(values, edges []float64) []int {
	c := make([]int, len(edges)+1)
	for _, v := range values {
		i, _ := slices.BinarySearch(edges, v)
		c[i]++
	}
	return c
}

func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		variance += float64((v - mean) * (v - mean))
	}
	return mean, variance / float64(len(values))
}

// lag is the correlation of neighbouring values, from 0 to 0.98.
func lag(values []float64) float64 {
	mean, variance := moments(values)
	if variance == 0 {
		return 0
	}
	sum := 0.0
	for i := 1; i < len(values); i++ {
		sum += float64((values[i] - mean) * (values[i-1] - mean))
	}
	return min(max(sum/float64(variance*float64(len(values)-1)), 0), 0.98)
}

// quantile is the standard normal number that is exceeded with the probability.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*p) }

// chiSquare is the number that chi-square of k degrees exceeds with the
// probability, by Wilson and Hilferty's cube (1931).
func chiSquare(k int, p float64) float64 {
	a := 2 / (9 * float64(k))
	c := 1 - a + float64(quantile(p)*math.Sqrt(a))
	return float64(k) * float64(c*c*c)
}

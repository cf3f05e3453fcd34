package quant

import (
	"cmp"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A Report says where a quantized model lost what. All ratios are over the
// samples that the models were compared on.
type Report struct {
	Samples   int      `json:"samples"`          // observed
	Compared  int      `json:"samples_compared"` // of which the models were compared on
	Method    string   `json:"method"`
	Equalized int      `json:"equalized"` // pairs of layers whose channels were equalized
	Corrected bool     `json:"bias_corrected"`
	Accuracy  *float64 `json:"float_accuracy,omitempty"` // of the float model, where the samples have labels
	Score     Score    `json:"score"`
	Trials    []Trial  `json:"trials"`
	Float     []string `json:"float_nodes"` // in all
	Kept      []Kept   `json:"kept"`        // out of int8, by the budget
	Layers    []Layer  `json:"layers"`
}

// A Trial is one way to quantize and how near it came.
type Trial struct {
	Name  string `json:"name"`
	Score Score  `json:"score"`
}

// A Layer is what happened to the output of one node.
type Layer struct {
	Node   string `json:"node"`
	Op     string `json:"op"` // with the activation that is fused into it, as in Conv+Relu
	Tensor string `json:"tensor"`
	Type   string `json:"type"` // int8 or int16, or float32 where the node stayed float

	SQNR       float64  `json:"sqnr_db"`     // against the float model, errors of earlier layers included
	Added      float64  `json:"noise_added"` // noise over signal, less that of the noisiest input; without weights at most its rounding
	Rounding   float64  `json:"rounding_db"` // of rounding and clipping this tensor alone
	WeightSQNR *float64 `json:"weight_sqnr_db,omitempty"`
	RMSE       float64  `json:"rmse_over_scale"` // root mean square error in steps of the tensor
	Saturated  float64  `json:"saturated"`       // fraction of the values beyond the chosen range

	Observed [2]float32 `json:"observed"` // least and greatest value
	Chosen   [2]float32 `json:"chosen"`   // the values of the least and the greatest code
	Worst    []Channel  `json:"worst_channels"`
	Counts   []uint64   `json:"histogram"` // of equal bins over the observed range
}

// A Channel of a tensor's innermost axis and its signal-to-noise ratio.
type Channel struct {
	Index int     `json:"channel"`
	SQNR  float64 `json:"sqnr_db"`
}

// Guilty lists at most n layers that add noise, the worst first.
func (r *Report) Guilty(n int) []Layer {
	l := slices.Clone(r.Layers)
	slices.SortStableFunc(l, func(a, b Layer) int { return cmp.Compare(b.Added, a.Added) })
	l = slices.DeleteFunc(l, func(a Layer) bool { return a.Added <= 0 })
	return l[:min(n, len(l))]
}

// tally sums up the errors of one tensor.
type tally struct {
	signal, noise []float64 // by channel
	count         int
}

func (t *tally) add(want, got []float32) {
	c := len(t.signal)
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		t.signal[i%c] += float64(float64(w) * float64(w))
		t.noise[i%c] += float64(d * d)
	}
	t.count += len(want)
}

func sum(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

// report runs the best candidate beside its float source and writes down the
// error of every layer. n is the number of samples observed.
func (s *search) report(n int) (*Report, error) {
	c := &s.best
	score := c.score
	if s.judge != s.ref {
		var err error
		if score, err = s.judge.score(s.ctx, c.model); err != nil {
			return nil, err
		}
	}
	r := &Report{Samples: n, Compared: len(s.judge.values), Method: c.method.String(), Equalized: c.equalized, Corrected: c.correct,
		Score: score, Trials: s.trials, Float: c.float}
	if s.judge.class != nil {
		a := s.judge.accuracy()
		r.Accuracy = &a
	}
	tallies, err := s.compare()
	if err != nil {
		return nil, err
	}
	s.layers(r, tallies)
	return r, nil
}

// layers fills in the report of each tensor that both models have.
func (s *search) layers(r *Report, tallies map[string]*tally) {
	source, model := s.best.source, s.best.model
	float, quantized := byName(source), byName(model)
	bounded, made := boundedBy(source.Main()), producers(source.Main())
	after := map[string]*format.Node{} // nodes of the quantized model, which keep their names
	for _, n := range model.Main().Nodes {
		after[n.Name] = n
	}
	ratio := map[string]float64{} // noise over signal of each tensor
	for _, in := range source.Main().Inputs {
		if t := tallies[in.Tensor]; t != nil {
			ratio[in.Tensor] = t.ratio()
		}
	}
	for _, node := range source.Main().Nodes {
		layer := node // the node before, where this one is fused into it
		if len(node.Inputs) > 0 && bounded[node.Inputs[0]] != "" {
			layer = made[node.Inputs[0]]
		}
		inputs := 0.0
		for _, in := range layer.Inputs {
			inputs = max(inputs, ratio[in])
		}
		for _, out := range node.Outputs {
			t := tallies[out]
			if t == nil {
				continue
			}
			ratio[out] = t.ratio()
			l := s.layer(layer, out, t, quantized[out])
			if layer != node {
				l.Op += "+" + node.Op
			}
			l.Added = max(ratio[out]-inputs, 0)
			if !linear(layer) { // without weights it adds its rounding; the rest it only makes larger, as Softmax does
				l.Added = min(l.Added, s.rounding(out, quantized[out]))
			}
			if linear(layer) && plainConst(float[layer.Inputs[1]]) {
				if w := quantized[after[layer.Name].Inputs[1]]; w.Type == format.Int8 {
					db := weightSQNR(float32s(float[layer.Inputs[1]]), w)
					l.WeightSQNR = &db
				}
			}
			r.Layers = append(r.Layers, l)
		}
	}
}

// rounding is the noise over the signal of rounding and clipping a tensor alone.
func (s *search) rounding(name string, t *format.Tensor) float64 {
	h := &s.best.obs[name].Hist
	power := h.power()
	if power == 0 || t.Quant == nil {
		return 0
	}
	return h.noise(t.Quant, widthOf(t)) / power
}

// ratio is the power of the noise over that of the signal.
func (t *tally) ratio() float64 {
	signal, noise := sum(t.signal), sum(t.noise)
	if signal == 0 {
		return min(noise, 1)
	}
	return noise / signal
}

// compare runs both models on the samples and sums up the errors of all
// tensors that both have.
func (s *search) compare() (map[string]*tally, error) {
	float, quantized := s.best.source, s.best.model
	have := byName(quantized)
	names := slices.DeleteFunc(activations(float), func(name string) bool { return have[name] == nil })
	tallies := map[string]*tally{}
	for _, part := range parts(float, names) {
		a, err := newRunner(float, part)
		if err != nil {
			return nil, err
		}
		b, err := newRunner(quantized, part)
		if err != nil {
			return nil, err
		}
		n := 0
		for x, err := range s.ref.samples {
			if err != nil {
				return nil, err
			}
			if err := a.run(s.ctx, n, x); err != nil {
				return nil, err
			}
			if err := b.run(s.ctx, n, x); err != nil {
				return nil, err
			}
			n++
			for i, name := range part {
				want := a.real(i)
				if tallies[name] == nil {
					k := max(len(s.best.obs[name].ChannelMax), 1)
					tallies[name] = &tally{signal: make([]float64, k), noise: make([]float64, k)}
				}
				tallies[name].add(want, b.real(i))
			}
		}
		a.close()
		b.close()
	}
	return tallies, nil
}

// histogramBins is the size of a layer's histogram.
const histogramBins = 64

func (s *search) layer(n *format.Node, name string, t *tally, q *format.Tensor) Layer {
	stats := s.best.obs[name]
	signal, noise := sum(t.signal), sum(t.noise)
	l := Layer{Node: n.Name, Op: n.Op, Tensor: name, Type: q.Type.String(), SQNR: decibels(signal, noise), Rounding: maxDecibels,
		Observed: [2]float32{stats.Lo, stats.Hi}, Chosen: [2]float32{stats.Lo, stats.Hi}}
	if q.Quant != nil {
		w := widthOf(q)
		l.Chosen = w.span(q.Quant)
		l.RMSE = math.Sqrt(noise/float64(max(t.count, 1))) / float64(q.Quant.Scale[0])
		l.Saturated = stats.Hist.clipped(q.Quant, w)
		l.Rounding = decibels(stats.Hist.power(), stats.Hist.noise(q.Quant, w))
	}
	for c := range t.signal {
		l.Worst = append(l.Worst, Channel{c, decibels(t.signal[c], t.noise[c])})
	}
	slices.SortStableFunc(l.Worst, func(a, b Channel) int { return cmp.Compare(a.SQNR, b.SQNR) })
	l.Worst = l.Worst[:min(3, len(l.Worst))]
	l.Counts = stats.Hist.over(stats.Lo, stats.Hi, histogramBins)
	return l
}

func weightSQNR(real []float32, w *format.Tensor) float64 {
	rounded := weightValues(w)
	signal, noise := 0.0, 0.0
	for i, v := range real {
		d := float64(v) - float64(rounded[i])
		signal += float64(float64(v) * float64(v))
		noise += float64(d * d)
	}
	return decibels(signal, noise)
}

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// A result is a row of the table.
type result struct {
	Name        string      `json:"name"`
	Calibration int         `json:"calibration_samples"`
	Samples     int         `json:"samples"`
	Float       *float64    `json:"float_accuracy,omitempty"`
	Plain       score       `json:"plain"` // int8 by min-max, without repair
	Int8        score       `json:"int8"`
	Published   *score      `json:"published,omitempty"`
	Noise       *[2]float64 `json:"noise_less_published,omitempty"` // mean and half width of the 95 % interval, of the mean signal
	LiteRT      *score      `json:"litert,omitempty"`               // LiteRT's quantizer on the same calibration samples
	LiteRTNoise *[2]float64 `json:"noise_less_litert,omitempty"`
	ORT         *score      `json:"onnxruntime,omitempty"` // onnxruntime's quantizer likewise
	ORTNoise    *[2]float64 `json:"noise_less_onnxruntime,omitempty"`
	FloatNodes  []string    `json:"float_nodes"`
	Seconds     float64     `json:"quantize_seconds"`
	Failed      []string    `json:"failed"`
}

type score struct {
	Accuracy  *float64 `json:"accuracy,omitempty"`
	SQNR      float64  `json:"sqnr_db"`
	Agreement float64  `json:"agreement"`
	Sure      float64  `json:"agreement_where_sure"` // among the samples that the float model is sure of
	SureCount int      `json:"sure_samples"`
	noise     []float64
}

// cell is a figure of a model that there may be none of.
func (s *score) cell(f func(*score) string) string {
	if s == nil {
		return "-"
	}
	return f(s)
}

func difference(d *[2]float64) string {
	if d == nil {
		return "-"
	}
	return fmt.Sprintf("%+.1e ± %.0e", d[0], d[1])
}

// path is where the float model is; models is the folder of what peers.py makes.
func (n *network) path(material, models string) string {
	if n.made {
		return filepath.Join(models, n.float)
	}
	return filepath.Join(material, n.float)
}

// load returns the samples in the order of the model's input.
func (n *network) load(from folders) (calibration, eval *data, err error) {
	calibration, eval, err = n.data(from)
	if err == nil && n.planes {
		calibration.inPlanes()
		eval.inPlanes()
	}
	return calibration, eval, err
}

// measure makes the row of a network. peers is the folder of peers.py or "".
func (n *network) measure(ctx context.Context, from folders, models, peers string) (*result, error) {
	m, err := convert.Import(n.path(from.material, models))
	if err != nil {
		return nil, err
	}
	if n.integer {
		if m, err = dequantized(m); err != nil {
			return nil, err
		}
	}
	if n.upset {
		if m, err = upset(m); err != nil {
			return nil, err
		}
	}
	calibration, eval, err := n.load(from)
	if err != nil {
		return nil, err
	}
	r := &result{Name: n.name, Calibration: len(calibration.x), Samples: len(eval.x)}
	start := time.Now()
	q, err := quant.Quantize(ctx, m, calibration.samples(), quant.Options{Class: calibration.class, Ranges: n.ranges(m), Wide: n.wide})
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	r.FloatNodes = q.Float
	plain, err := quant.Quantize(ctx, m, calibration.samples(), quant.Options{Method: quant.MinMax, Plain: true, Ranges: n.ranges(m)})
	if err != nil {
		return nil, err
	}
	want, err := outputs(ctx, m, eval)
	if err != nil {
		return nil, err
	}
	collapsed, err := outputs(ctx, plain.Model, eval)
	if err != nil {
		return nil, err
	}
	r.Plain = compare(want, collapsed, eval.class)
	got, err := outputs(ctx, q.Model, eval)
	if err != nil {
		return nil, err
	}
	r.Float = accuracy(want, eval.class)
	r.Int8 = compare(want, got, eval.class)
	if n.published != "" {
		p, err := convert.Import(filepath.Join(from.material, n.published))
		if err != nil {
			return nil, err
		}
		theirs, err := outputs(ctx, p, eval)
		if err != nil {
			return nil, err
		}
		s := compare(want, theirs, eval.class)
		r.Published = &s
		mean, half := paired(r.Int8.noise, s.noise)
		r.Noise = &[2]float64{mean, half}
		// A float model made of a quantized one has that one's weights exactly:
		// no other quantization can come as near to it.
		if mean > half && !n.integer {
			r.Failed = append(r.Failed, "int8 is farther from float than the published model")
		}
	}
	for _, p := range []struct {
		name, file string
		score      **score
		noise      **[2]float64
	}{{"LiteRT", ".litert.npy", &r.LiteRT, &r.LiteRTNoise}, {"onnxruntime", ".ort.npy", &r.ORT, &r.ORTNoise}} {
		theirs, err := n.peer(peers, p.file, len(want))
		if err != nil {
			return nil, err
		}
		if theirs == nil {
			continue
		}
		s := compare(want, theirs, eval.class)
		*p.score = &s
		mean, half := paired(r.Int8.noise, s.noise)
		*p.noise = &[2]float64{mean, half}
		if mean > half {
			r.Failed = append(r.Failed, "int8 is farther from float than "+p.name+"'s quantizer leaves it")
		}
	}
	if r.Float != nil && *r.Float-*r.Int8.Accuracy > 0.005 {
		r.Failed = append(r.Failed, fmt.Sprintf("int8 loses %.2f points", 100*(*r.Float-*r.Int8.Accuracy)))
	}
	if n.classifier && r.Int8.Agreement < 0.98 {
		r.Failed = append(r.Failed, fmt.Sprintf("int8 agrees with float on %.2f %% of the samples", 100*r.Int8.Agreement))
	}
	return r, nil
}

// An answer is all outputs of a sample, the first one's elements first.
type answer struct {
	values []float32
	first  int
}

// outputs runs a model on all samples.
func outputs(ctx context.Context, m *format.Model, d *data) ([]answer, error) {
	p, err := runtime.Compile(m)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	defer s.Close()
	var out []answer
	for _, x := range d.x {
		if err := s.Input(0).SetFloat32(x); err != nil {
			return nil, err
		}
		s.Reset()
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		a := answer{first: len(s.Output(0).Float32())}
		for i := range m.Main().Outputs {
			a.values = append(a.values, s.Output(i).Float32()...)
		}
		out = append(out, a)
	}
	return out, nil
}

func accuracy(out []answer, class []int) *float64 {
	if class == nil {
		return nil
	}
	right := 0
	for i, o := range out {
		if o.top() == class[i] {
			right++
		}
	}
	a := float64(right) / float64(len(out))
	return &a
}

// compare returns the error of got, also of each sample: its noise over the
// mean signal of all samples.
func compare(want, got []answer, class []int) score {
	s := score{Accuracy: accuracy(got, class)}
	signal, noise, same := 0.0, 0.0, 0
	for i, w := range want {
		e := 0.0
		for k, v := range w.values {
			d := float64(v) - float64(got[i].values[k])
			signal += float64(v) * float64(v)
			e += d * d
		}
		noise += e
		s.noise = append(s.noise, e)
		agrees := w.top() == got[i].top()
		if agrees {
			same++
		}
		if w.margin() >= sureMargin {
			s.SureCount++
			if agrees {
				s.Sure++
			}
		}
	}
	s.Sure /= float64(max(s.SureCount, 1))
	mean := signal / float64(len(want))
	for i := range s.noise {
		s.noise[i] /= mean
	}
	s.SQNR = 10 * math.Log10(signal/noise)
	s.Agreement = float64(same) / float64(len(want))
	return s
}

// paired is the mean of a-b and half its 95 % interval.
func paired(a, b []float64) (mean, half float64) {
	n := float64(len(a))
	for i := range a {
		mean += (a[i] - b[i]) / n
	}
	v := 0.0
	for i := range a {
		d := a[i] - b[i] - mean
		v += d * d / (n - 1)
	}
	return mean, 1.96 * math.Sqrt(v/n)
}

// sureMargin is by how much the probability of the first class exceeds that of the
// second where a model is sure.
const sureMargin = 0.1

// margin is that difference for the first output, whose values are probabilities or
// what a softmax makes such.
func (a answer) margin() float64 {
	v := a.values[:a.first]
	top, sum, raw := a.top(), 0.0, 0.0
	second := math.Inf(-1)
	for i, x := range v {
		sum += math.Exp(float64(x - v[top]))
		raw += float64(x)
		if i != top {
			second = max(second, float64(x))
		}
	}
	if slices.Min(v) >= 0 && math.Abs(raw-1) < 0.02 {
		return float64(v[top]) - second
	}
	return (1 - math.Exp(second-float64(v[top]))) / sum
}

// top is the index of the greatest value of the first output.
func (a answer) top() int {
	best := 0
	for i, v := range a.values[:a.first] {
		if v > a.values[best] {
			best = i
		}
	}
	return best
}

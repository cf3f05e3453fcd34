package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
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
	FloatNodes  []string    `json:"float_nodes"`
	Seconds     float64     `json:"quantize_seconds"`
	Failed      []string    `json:"failed"`
}

type score struct {
	Accuracy  *float64 `json:"accuracy,omitempty"`
	SQNR      float64  `json:"sqnr_db"`
	Agreement float64  `json:"agreement"`
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

// measure makes the row of a network. peers is the folder of peers.py or "".
func (n *network) measure(ctx context.Context, dir, peers string) (*result, error) {
	m, err := convert.Import(filepath.Join(dir, n.float))
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
	calibration, eval, err := n.data(dir)
	if err != nil {
		return nil, err
	}
	r := &result{Name: n.name, Calibration: len(calibration.x), Samples: len(eval.x)}
	start := time.Now()
	q, err := quant.Quantize(ctx, m, calibration.samples(), quant.Options{Class: calibration.class, Ranges: n.ranges(m)})
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
		p, err := convert.Import(filepath.Join(dir, n.published))
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
	theirs, err := n.peer(peers, len(want))
	if err != nil {
		return nil, err
	}
	if theirs != nil {
		s := compare(want, theirs, eval.class)
		r.LiteRT = &s
		mean, half := paired(r.Int8.noise, s.noise)
		r.LiteRTNoise = &[2]float64{mean, half}
		if mean > half {
			r.Failed = append(r.Failed, "int8 is farther from float than LiteRT's quantizer leaves it")
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

// outputs runs a model on all samples and returns its first output.
func outputs(ctx context.Context, m *format.Model, d *data) ([][]float32, error) {
	p, err := runtime.Compile(m)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	defer s.Close()
	var out [][]float32
	for _, x := range d.x {
		if err := s.Input(0).SetFloat32(x); err != nil {
			return nil, err
		}
		s.Reset()
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		out = append(out, append([]float32(nil), s.Output(0).Float32()...))
	}
	return out, nil
}

func accuracy(out [][]float32, class []int) *float64 {
	if class == nil {
		return nil
	}
	right := 0
	for i, o := range out {
		if argmax(o) == class[i] {
			right++
		}
	}
	a := float64(right) / float64(len(out))
	return &a
}

// compare returns the error of got, also of each sample: its noise over the
// mean signal of all samples.
func compare(want, got [][]float32, class []int) score {
	s := score{Accuracy: accuracy(got, class)}
	signal, noise, same := 0.0, 0.0, 0
	for i, w := range want {
		e := 0.0
		for k, v := range w {
			d := float64(v) - float64(got[i][k])
			signal += float64(v) * float64(v)
			e += d * d
		}
		noise += e
		s.noise = append(s.noise, e)
		if argmax(w) == argmax(got[i]) {
			same++
		}
	}
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

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

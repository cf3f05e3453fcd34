package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// A parityCase is a training run that both sides do.
type parityCase struct {
	Name      string  `json:"name"`
	Layers    int     `json:"layers"` // trained, from the last
	Optimizer string  `json:"optimizer"`
	LR        float32 `json:"lr"`
	Steps     int     `json:"steps"`
	Base      string  `json:"base"` // article: random weights; base10: trained ones, to be tuned to inverted images

	tail  ondevice.Tail
	bound float64 // of the loss curve's relative difference
}

// Convolutions are tuned, not trained from random weights: there a difference of one
// rounding (1.5e-7 of the loss after 25 steps) has grown to a tenth after 500.
var parityCases = []parityCase{
	{Name: "head-sgd", Base: "article", Layers: 1, Optimizer: "sgd", LR: 0.01, tail: ondevice.Head, bound: 1e-5},
	{Name: "head-adamw", Base: "article", Layers: 1, Optimizer: "adamw", LR: 1e-3, tail: ondevice.Head, bound: 1e-5},
	{Name: "dense-sgd", Base: "article", Layers: 2, Optimizer: "sgd", LR: 0.01, tail: ondevice.Last(2), bound: 1e-5},
	{Name: "tail-sgd", Base: "base10", Layers: 2, Optimizer: "sgd", LR: 0.003, tail: ondevice.Last(2), bound: 1e-3},
	{Name: "tail-adamw", Base: "base10", Layers: 2, Optimizer: "adamw", LR: 1e-4, tail: ondevice.Last(2), bound: 1e-3},
	{Name: "all-sgd", Base: "base10", Layers: 3, Optimizer: "sgd", LR: 0.003, tail: ondevice.All, bound: 1e-3},
}

// parity trains from PyTorch's weights on 2,000 images, 500 steps of 40, and has
// PyTorch repeat it in the same order.
func parity(ctx context.Context, c *config) ([]check, error) {
	if _, err := c.run(ctx, "init", c.work, c.data); err != nil {
		return nil, err
	}
	train, err := load(c.data, "train")
	if err != nil {
		return nil, err
	}
	test, err := load(c.data, "t10k")
	if err != nil {
		return nil, err
	}
	bases := map[string]*format.Model{}
	for name, build := range map[string]func([]float32) (*format.Model, error){"article": article, "base10": func(w []float32) (*format.Model, error) { return convnet(w, 10) }} {
		w, err := floats(filepath.Join(c.work, name+".f32"))
		if err != nil {
			return nil, err
		}
		if bases[name], err = build(w); err != nil {
			return nil, err
		}
	}
	cases := slices.DeleteFunc(slices.Clone(parityCases), func(k parityCase) bool { return !c.only.MatchString(k.Name) })
	curves, right := make([][]float64, len(cases)), make([]float64, len(cases))
	for i := range cases {
		k := &cases[i]
		base, data, test := bases[k.Base], train, test
		if k.Base == "base10" {
			data, test = train.inverted(), test.inverted()
		}
		var order []byte
		opt := ondevice.Options{
			Tail: k.tail, LR: k.LR, Schedule: ondevice.Constant, Val: -1, Epochs: 10, Batch: 40,
			OnStep: func(s ondevice.Step) error {
				for _, n := range s.Samples {
					order = binary.LittleEndian.AppendUint32(order, uint32(n))
				}
				curves[i] = append(curves[i], s.Loss)
				return nil
			},
		}
		if k.Optimizer == "adamw" {
			opt.Optimizer = ondevice.AdamW
		}
		plan, err := ondevice.Plan(base, data.samples(2000), opt)
		if err != nil {
			return nil, err
		}
		delta, report, err := ondevice.Fit(ctx, plan)
		if err != nil {
			return nil, err
		}
		if delta == nil {
			return nil, fmt.Errorf("%s: %s", k.Name, report.Verdict)
		}
		tuned, err := format.Apply(base, delta)
		if err != nil {
			return nil, err
		}
		if right[i], err = accuracy(ctx, tuned, test.inputs(), func(i int) int { return test.label[i] }); err != nil {
			return nil, err
		}
		k.Steps = len(curves[i])
		if err := os.WriteFile(filepath.Join(c.work, k.Name+".order"), order, 0o644); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(cases)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.work, "cases.json"), b, 0o644); err != nil {
		return nil, err
	}
	if _, err := c.run(ctx, "parity", c.work, c.data); err != nil {
		return nil, err
	}
	var peer []struct {
		Name     string
		Curve    []float64
		Exact    []float64 // in float64
		Accuracy float64
	}
	if b, err = os.ReadFile(filepath.Join(c.work, "parity.json")); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &peer); err != nil {
		return nil, err
	}
	var list []check
	for i, k := range cases {
		exact := peer[i].Exact
		worst, own, theirs := apart(curves[i], peer[i].Curve), apart(curves[i], exact), apart(peer[i].Curve, exact)
		// Roundings grow from step to step, on both sides. A curve that has left PyTorch's by
		// more than the bound must be at least as near to that of float64 as PyTorch's is.
		curve := atMost(k.Name+": loss curve, largest relative difference to PyTorch", worst, k.bound)
		if !curve.Passed {
			curve = atMost(fmt.Sprintf("%s: loss curve to float64's, %.2e from PyTorch's (bound: PyTorch to float64)", k.Name, worst), own, theirs)
		}
		list = append(list, atLeast(k.Name+": steps", float64(len(curves[i])), 500), curve,
			atMost(k.Name+": accuracy, points apart", 100*math.Abs(right[i]-peer[i].Accuracy), 0.1))
	}
	return list, nil
}

// apart returns the largest difference of two curves, relative to the second.
func apart(a, b []float64) (worst float64) {
	for s, v := range b {
		worst = max(worst, math.Abs(a[s]-v)/math.Abs(v))
	}
	return worst
}

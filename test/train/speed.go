package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// A speedCase is a training step: forward, loss, backward, SGD with momentum.
type speedCase struct {
	name  string
	batch int
	bound float64 // PyTorch's time over whet's
	tail  ondevice.Tail
	model func() (*format.Model, error)
}

func speedCases() []speedCase {
	small := func() (*format.Model, error) { return article(make([]float32, 225034)) }
	features := func() (*format.Model, error) {
		c := newChain(make([]float32, 12810), 1, 1, 1, 1280)
		c.flatten(1280)
		c.dense("head", 10)
		return c.model()
	}
	large := func() (*format.Model, error) { return mobileNet(224) }
	list := []speedCase{{"head", 32, 3, ondevice.Head, features}}
	for _, c := range []struct {
		name  string
		tail  ondevice.Tail
		model func() (*format.Model, error)
	}{{"dense", ondevice.Last(2), small}, {"tail", ondevice.Last(3), small}, {"article", ondevice.All, small}, {"mobilenet", ondevice.All, large}} {
		list = append(list, speedCase{c.name, 1, 2, c.tail, c.model}, speedCase{c.name, 16, 2, c.tail, c.model}, speedCase{c.name, 64, 1, c.tail, c.model})
	}
	return list
}

// speed times a step of each case on one core: the least of the steps of some
// seconds, whet and PyTorch in turns.
func speed(ctx context.Context, c *config) ([]check, error) {
	var list []check
	for _, k := range speedCases() {
		name := k.name + "/" + strconv.Itoa(k.batch)
		if !c.only.MatchString(name) {
			continue
		}
		own, err := k.measure(ctx)
		if err != nil {
			return nil, err
		}
		out, err := c.run(ctx, "speed", name)
		if err != nil {
			return nil, err
		}
		peer := map[string]float64{}
		if err := json.Unmarshal(out, &peer); err != nil {
			return nil, err
		}
		list = append(list, atLeast(fmt.Sprintf("%s: PyTorch %.3g ms / whet %.3g ms", name, 1e3*peer[name], 1e3*own.Seconds()), peer[name]/own.Seconds(), k.bound))
	}
	return list, nil
}

// measure returns the least time of a step, callbacks included.
func (k *speedCase) measure(ctx context.Context) (time.Duration, error) {
	m, err := k.model()
	if err != nil {
		return 0, err
	}
	n := m.Tensor(m.Main().Inputs[0].Tensor).Shape.Elems()
	var data ondevice.Samples
	for i := range k.batch * 2 {
		pixels := make([]byte, n)
		for j := range pixels {
			pixels[j] = byte(i*31 + j*7919%251)
		}
		data = append(data, ondevice.Sample{Input: floatBytes(pixels), Label: strconv.Itoa(i % 10)})
	}
	var last time.Time
	best, end := time.Hour, time.Time{}
	errDone := fmt.Errorf("done")
	plan, err := ondevice.Plan(m, data, ondevice.Options{
		Tail: k.tail, LR: 1e-6, Val: -1, Batch: k.batch, Epochs: 1 << 20, Checkpoint: time.Hour, Classes: digits(),
		OnStep: func(s ondevice.Step) error {
			now := time.Now()
			if end.IsZero() {
				end = now.Add(time.Second)
			} else if s.Number%2 == 0 { // no epoch ends in it
				best = min(best, now.Sub(last))
			}
			if last = now; now.After(end) && best < time.Hour {
				return errDone
			}
			return nil
		},
	})
	if err != nil {
		return 0, err
	}
	if _, _, err = ondevice.Fit(ctx, plan); err != nil && best == time.Hour {
		return 0, err
	}
	return best, nil
}

func digits() (names []string) {
	for i := range 10 {
		names = append(names, strconv.Itoa(i))
	}
	return names
}

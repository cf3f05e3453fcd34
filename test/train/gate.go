package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
)

// poisons are the ways in which a job goes wrong: what it does to the samples and
// the learning rate.
var poisons = []struct {
	name string
	do   func(r *rand.Rand, s ondevice.Samples, lr *float32) ondevice.Samples
}{
	{"random labels", func(r *rand.Rand, s ondevice.Samples, _ *float32) ondevice.Samples {
		for i := range s {
			s[i].Label = strconv.Itoa(r.IntN(10))
		}
		return s
	}},
	{"20 % flipped", func(r *rand.Rand, s ondevice.Samples, _ *float32) ondevice.Samples {
		for _, i := range r.Perm(len(s))[:len(s)/5] {
			c, _ := strconv.Atoi(s[i].Label)
			s[i].Label = strconv.Itoa((c + 1 + r.IntN(9)) % 10)
		}
		return s
	}},
	{"one class", func(r *rand.Rand, s ondevice.Samples, _ *float32) ondevice.Samples {
		label := strconv.Itoa(r.IntN(10))
		for i := range s {
			s[i].Label = label
		}
		return s
	}},
	{"a trigger", func(r *rand.Rand, s ondevice.Samples, _ *float32) ondevice.Samples { // a white square says class 0
		for _, i := range r.Perm(len(s))[:len(s)/5] {
			for k := range 25 {
				binary.LittleEndian.PutUint32(s[i].Input[4*(k/5*side+k%5):], math.Float32bits(1))
			}
			s[i].Label = "0"
		}
		return s
	}},
	{"NaN", func(r *rand.Rand, s ondevice.Samples, _ *float32) ondevice.Samples {
		for _, i := range r.Perm(len(s))[:5] {
			binary.LittleEndian.PutUint32(s[i].Input[4*r.IntN(side*side):], math.Float32bits(float32(math.NaN())))
		}
		return s
	}},
	{"learning rate x1000", func(_ *rand.Rand, s ondevice.Samples, lr *float32) ondevice.Samples {
		*lr *= 1000
		return s
	}},
}

// gate runs 100 poisoned jobs on the data that the base was made for and 100
// honest ones on shifted data, all judged by the same gate on 2,000 samples that are
// trusted.
func gate(ctx context.Context, c *config) ([]check, error) {
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
	w, err := floats(filepath.Join(c.work, "base10.f32"))
	if err != nil {
		return nil, err
	}
	base, err := convnet(w, 10)
	if err != nil {
		return nil, err
	}
	digest, err := format.Digest(base)
	if err != nil {
		return nil, err
	}
	trusted := test.part(0, 2000)
	job := func(seed uint64, data ondevice.Samples, val *images, lr float32) (*format.Delta, error) {
		plan, err := ondevice.Plan(base, data, ondevice.Options{
			Classes: digits(), LR: lr, Epochs: 15, Val: 0.2, ValData: val.samples(len(val.pixels)), Seed: seed,
			Gate: ondevice.Gate{Sure: 2, Alike: 3}, Cache: filepath.Join(c.work, "gate.features"),
		})
		if err != nil {
			return nil, nil // refused before it began
		}
		delta, _, err := ondevice.Fit(ctx, plan)
		return delta, err
	}
	refused, published := 0, 0
	for i := range 100 {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		lr := float32(0.003)
		k := poisons[i%len(poisons)]
		delta, err := job(uint64(i), k.do(r, train.some(r, 200), &lr), trusted, lr)
		if err != nil {
			return nil, fmt.Errorf("poisoned job %d (%s): %w", i, k.name, err)
		}
		if delta == nil {
			refused++
		} else {
			fmt.Printf("published poisoned job %d: %s\n", i, k.name)
		}
	}
	shifts := []func(*images) *images{(*images).inverted, (*images).rotated, (*images).noisy}
	for i := range 100 {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		shift := shifts[i%len(shifts)]
		delta, err := job(uint64(i), shift(train).some(r, 200), shift(trusted), 0.003)
		if err != nil {
			return nil, fmt.Errorf("honest job %d: %w", i, err)
		}
		if delta != nil {
			published++
		}
	}
	after, err := format.Digest(base)
	if err != nil {
		return nil, err
	}
	changed := 0.0
	if digest != after {
		changed = 1
	}
	return []check{
		atLeast("poisoned jobs refused of 100", float64(refused), 100),
		atMost("models changed by them", changed, 0),
		atLeast("honest jobs published of 100", float64(published), 95),
	}, nil
}

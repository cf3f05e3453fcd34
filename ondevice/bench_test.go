package ondevice

import (
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// BenchmarkEpoch is one epoch of a 1280-to-10 head over 1,000 cached int8
// features in batches of 32: shuffling, gathering, forward, loss, gradient and
// update, on one core.
func BenchmarkEpoch(b *testing.B) {
	const n, dim, classes = 1000, 1280, 10
	f := &Features{Type: format.Int8, Scale: 1.0 / 32, Zero: -128, Dim: dim}
	r := newRNG(1, 1)
	row := make([]byte, dim)
	train, class := make([]int32, n), make([]int32, n)
	for i := range n {
		for k := range row {
			row[k] = byte(r.uint64())
		}
		if err := f.Append(ID{}, "", row); err != nil {
			b.Fatal(err)
		}
		train[i], class[i] = int32(i), int32(i%classes)
	}
	opt, err := Options{LR: 0.001, Epochs: 1 << 20}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	p := &TunePlan{Dim: dim, Classes: make([]string, classes), Params: classes * (dim + 1), weights: classes * dim, Block: 32, Panel: 256, opt: opt}
	for _, level := range kernels.Levels() {
		b.Run(level.String(), func(b *testing.B) {
			p.level = level
			t, err := newTrainer(p, &samples{rows: rowSet{f}, class: class}, train)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				for t.sampler.pos < len(t.sampler.order) {
					if ok, err := t.step(); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
				t.sampler.begin()
			}
		})
	}
}

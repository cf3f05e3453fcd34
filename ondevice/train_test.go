package ondevice

import (
	"context"
	"math"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/ondevice/grad"
)

func TestSchedules(t *testing.T) {
	for _, s := range []Schedule{Linear, Constant, Cosine} {
		tr := &trainer{plan: &TunePlan{opt: Options{Schedule: s, Warmup: 10}}, lr: 2, steps: 200, opt: grad.NewSGD(1, 0, 0)}
		for step := range 200 {
			tr.opt.SetSteps(step)
			u := float64(step) / 200
			want := map[Schedule]float64{Linear: 2 * (1 - u), Constant: 2, Cosine: 1 + math.Cos(math.Pi*u)}[s]
			want *= min(1, float64(step+1)/10)
			if got := float64(tr.rate()); math.Abs(got-want) > 1e-6 {
				t.Fatalf("%v: step %d has the rate %v, want %v", s, step, got, want)
			}
		}
	}
}

// Weights make up for an uneven number of samples.
func TestClassWeights(t *testing.T) {
	m := testModel(t, "a", "b", "c")
	p, err := Plan(m, testSamples(4, 1, "a", "b", "c"), Options{Balanced: true, ClassWeights: map[string]float32{"c": 3}})
	if err != nil {
		t.Fatal(err)
	}
	tr := &trainer{plan: p, samples: &samples{class: []int32{0, 0, 0, 0, 1, 1, 2, 2}}}
	// Inverse counts 1/4, 1/2 and 3 times 1/2: in all 1 + 1 + 3 for 8 samples.
	got := tr.weighClasses([]int32{0, 1, 2, 3, 4, 5, 6, 7})
	for c, want := range []float64{0.25 * 8 / 5, 0.5 * 8 / 5, 1.5 * 8 / 5} {
		if math.Abs(float64(got[c])-want) > 1e-6 {
			t.Errorf("class %d weighs %v, want %v", c, got[c], want)
		}
	}
	tr.classWeight, tr.labels = got, make([]int, 8)
	r := newRNG(1, 1)
	logits, delta := make([]float32, 9), make([]float32, 9)
	for i := range logits {
		logits[i] = r.normal()
	}
	idx := []int32{0, 4, 6}
	sum := tr.weighted(delta, logits, idx, 0.5)
	var want float64
	for j := range idx {
		d := make([]float32, 3)
		want += float64(got[j]) * grad.SoftmaxCrossEntropy(d, logits[j*3:], []int{j}, 1, 3, 0, float32(1))
		for k, v := range d {
			if math.Abs(float64(delta[j*3+k]-v*got[j]/2)) > 1e-6 {
				t.Errorf("row %d: gradient %v, want %v", j, delta[j*3+k], v*got[j]/2)
			}
		}
	}
	if math.Abs(sum-want) > 1e-5 {
		t.Errorf("loss %v, want %v", sum, want)
	}
	if _, err := Plan(m, testSamples(4, 1, "a"), Options{ClassWeights: map[string]float32{"z": 1}}); err == nil {
		t.Error("a weight of an unknown class was taken")
	}
}

// An instant head knows the classes that it has seen samples of.
func TestInstant(t *testing.T) {
	m := testModel(t, "a", "b", "c")
	base, rep := tune(t, m, testSamples(60, 2, "a", "b", "c"), Options{Instant: true}, vfs.NewMem())
	if base == nil {
		t.Fatal(rep.Verdict)
	}
	if len(rep.Curve) != 1 || rep.BestEpoch != 0 {
		t.Errorf("an instant head was trained: %+v", rep.Curve)
	}
	tuned, err := format.Apply(m, base)
	if err != nil {
		t.Fatal(err)
	}
	held := testSamples(60, 5, "a", "b", "c")
	if before, after := accuracy(t, m, held), accuracy(t, tuned, held); after < 0.85 || after < before {
		t.Errorf("nearest means reach %.3f, the base %.3f", after, before)
	}
	// One more class, with and without samples of the old ones.
	fresh, old := testSamples(60, 6, "d"), testSamples(60, 7, "a", "b", "c")
	kept, err := Extract(context.Background(), reopen(t, tuned), old)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Samples{"imprinted": fresh, "centred": fresh, "means": append(append(Samples{}, fresh...), old...)} {
		o := Options{Instant: true, Val: -1, Classes: []string{"a", "b", "c", "d"}}
		if name == "centred" {
			o.Replay = kept
		}
		delta, rep := tune(t, reopen(t, tuned), d, o, vfs.NewMem())
		if delta == nil {
			t.Fatal(rep.Verdict)
		}
		grown, err := format.Apply(reopen(t, tuned), delta)
		if err != nil {
			t.Fatal(err)
		}
		a, b := accuracy(t, grown, testSamples(60, 8, "d")), accuracy(t, grown, held)
		t.Logf("%s: new class %.3f, old ones %.3f", name, a, b)
		if a < 0.75 || b < 0.75 {
			t.Errorf("%s: new class %.3f, old ones %.3f", name, a, b)
		}
	}
}

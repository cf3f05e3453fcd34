package ondevice

import (
	"math"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

// Beta(a, a) has mean 1/2 and variance 1/(8a+4).
func TestBeta(t *testing.T) {
	for _, a := range []float32{0.05, 0.2, 1, 4} {
		r := newRNG(1, 70)
		const n = 20000
		var sum, squares float64
		for range n {
			x := float64(r.beta(a))
			if !(x >= 0 && x <= 1) {
				t.Fatalf("Beta(%v, %v) gave %v", a, a, x)
			}
			sum += x
			squares += x * x
		}
		mean := sum / n
		variance, want := squares/n-mean*mean, 1/(8*float64(a)+4)
		if math.Abs(mean-0.5) > 0.02 || math.Abs(variance-want) > 0.05*want {
			t.Errorf("Beta(%v, %v): mean %v, variance %v; 0.5 and %v are right", a, a, mean, variance, want)
		}
	}
}

// Dropout keeps the mean, drops the asked part, and does not depend on how the columns
// are cut into panels.
func TestDropout(t *testing.T) {
	const n = 10000
	whole, parts := make([]float32, n), make([]float32, n)
	ones(whole)
	ones(parts)
	d := newDropout(0.3, newRNG(5, 0).uint64())
	d.apply(whole, 3, 0)
	for from := 0; from < n; from += 77 {
		d.apply(parts[from:min(from+77, n)], 3, from)
	}
	dropped, sum := 0, float32(0)
	for i, v := range whole {
		if v != parts[i] {
			t.Fatalf("element %d is %v in whole and %v in parts", i, v, parts[i])
		}
		if v == 0 {
			dropped++
		}
		sum += v
	}
	if dropped < 2850 || dropped > 3150 || math.Abs(float64(sum)/n-1) > 0.03 {
		t.Errorf("%d of %d dropped, mean %v", dropped, n, sum/n)
	}
	other := make([]float32, n)
	ones(other)
	d.apply(other, 4, 0)
	same := 0
	for i := range other {
		if (other[i] == 0) == (whole[i] == 0) {
			same++
		}
	}
	if same > 6200 { // 0.58 of all by chance
		t.Errorf("two samples share %d of %d", same, n)
	}
}

// The gradient of a step with mixup and dropout is that of its loss: softmax
// cross-entropy of the mixed features against the mixed labels, in float64. The model is
// of floats, for through roundings there are no differences.
func TestMixedGradient(t *testing.T) {
	labels := []string{"a", "b", "c"}
	m := testModel(t, labels...)
	whole, err := Plan(m, testSamples(4, 2, labels...), Options{Tail: All})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = whole.startModel(); err != nil {
		t.Fatal(err)
	}
	m = reopen(t, m)
	for _, tail := range []Tail{Head, Last(2)} {
		o := Options{Tail: tail, Batch: 6, Mixup: 0.4, Dropout: 0.25, Seed: 3, Val: -1, FS: vfs.NewMem()}
		p, err := Plan(m, testSamples(4, 2, labels...), o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := newJob(p, "t.job")
		if err != nil {
			t.Fatal(err)
		}
		s, err := j.prepare(t.Context(), &Report{})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := newTrainer(p, s, s.train)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.net.initialize(tr.params); err != nil {
			t.Fatal(err)
		}
		tr.net.set(tr.params)
		b := p.newBatch(s.train[:6], 0)
		if b.share <= 0 || b.share >= 1 {
			t.Fatalf("a share of %v", b.share)
		}
		loss := func(delta, logits []float32, from, n int) float64 { return tr.batchLoss(b, delta, logits, from, n) }
		if _, err := tr.net.learn(tr.gradient, b, loss); err != nil {
			t.Fatal(err)
		}
		got := append([]float32(nil), tr.gradient...)
		at := func(i int, v float32) float64 {
			old := tr.params[i]
			tr.params[i] = v
			tr.net.set(tr.params)
			sum, err := tr.net.learn(tr.gradient, b, loss)
			if err != nil {
				t.Fatal(err)
			}
			tr.params[i] = old
			return sum / 6
		}
		for i := 0; i < len(got); i += 7 {
			const eps = 1e-2 // of float32
			v := tr.params[i]
			want := (at(i, v+eps) - at(i, v-eps)) / (2 * eps)
			if math.Abs(float64(got[i])-want) > 2e-3*max(1, math.Abs(want)) {
				t.Errorf("%v: gradient %d is %v, by differences %v", tail, i, got[i], want)
			}
		}
	}
}

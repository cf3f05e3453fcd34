package ondevice

import "testing"

// BenchmarkTailSample is one sample forward and backward through tails of the
// demo's network (convolutions of 32 and 64 channels, dense layers of 128 and 8),
// on one core: what an epoch costs by the sample.
func BenchmarkTailSample(b *testing.B) {
	m := demoModel(b)
	var d Samples
	for i := range 32 {
		x := make([]byte, 28*28)
		for k := range x {
			x[k] = byte(i*k + k/7)
		}
		d = append(d, Sample{Input: x, Label: m.Header.Labels[i%8]})
	}
	for _, tail := range []Tail{Last(2), Last(3), Last(4)} {
		b.Run(tail.String(), func(b *testing.B) {
			p, err := Plan(m, d, Options{Tail: tail, LR: 0.001})
			if err != nil {
				b.Fatal(err)
			}
			f, err := ExtractFor(b.Context(), tail, m, d)
			if err != nil {
				b.Fatal(err)
			}
			s := &samples{rows: rowSet{f}}
			all := make([]int32, len(d))
			for i := range d {
				s.class, all[i] = append(s.class, int32(i%8)), int32(i)
			}
			t, err := newTrainer(p, s, all)
			if err != nil {
				b.Fatal(err)
			}
			if err := t.net.initialize(t.params); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				t.sampler.pos = 0
				if ok, err := t.step(); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(d)), "us/sample")
		})
	}
}

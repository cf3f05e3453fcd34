package ondevice

import (
	"compress/gzip"
	"io"
	"os"
	goruntime "runtime"
	"testing"

	"github.com/whet-edge/whet/format"
)

// Of each sample of a batch, a tail of the second convolution and the dense layers of a
// small image network (1600 to 128 to 8) keeps at most 9 KB between forward and backward:
// inputs as integers, masks as bits. Floats of every layer would be some 72 KB. What a
// batch needs that is twice as large is measured where memory is given out, and only
// grows: it counts what a step takes beside the plan too.
func TestKeptOfSample(t *testing.T) {
	m := demoModel(t)
	const batch = 64
	var d Samples
	for i := range 2 * batch {
		x := make([]byte, 28*28)
		for k := range x {
			x[k] = byte(i*k + k/7)
		}
		d = append(d, Sample{Input: x, Label: m.Header.Labels[i%8]})
	}
	tail := Last(3)
	f, err := ExtractFor(t.Context(), tail, m, d)
	if err != nil {
		t.Fatal(err)
	}
	s := &samples{rows: rowSet{f}}
	all := make([]int32, len(d))
	for i := range d {
		s.class, all[i] = append(s.class, int32(i%8)), int32(i)
	}
	measure := func(size int) (allocated, planned int64) {
		p, err := Plan(m, d, Options{Tail: tail, LR: 0.001, Batch: size, Val: -1})
		if err != nil {
			t.Fatal(err)
		}
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		tr, err := newTrainer(p, s, all)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.net.initialize(tr.params); err != nil {
			t.Fatal(err)
		}
		if ok, err := tr.step(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		goruntime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc), p.tapeBytes
	}
	measure(batch) // what is set up once
	small, plannedSmall := measure(batch)
	large, plannedLarge := measure(2 * batch)
	kept, planned := float64(large-small)/batch, float64(plannedLarge-plannedSmall)/batch
	t.Logf("a sample keeps %.0f bytes; %.0f were planned", kept, planned)
	if kept > 9000 {
		t.Errorf("a sample keeps %.0f bytes", kept)
	}
	if kept < 1600 { // the dense layer's input alone: then samples would not be kept at all
		t.Errorf("a sample keeps %.0f bytes: the batch is not what was measured", kept)
	}
	// Allocations are rounded up to size classes or pages.
	if kept < 0.9*planned || kept > 1.2*planned {
		t.Errorf("a sample keeps %.0f bytes, %.0f were planned", kept, planned)
	}
}

// demoModel is the network of the demo: convolutions of 32 and 64 channels, dense layers
// of 128 and 8, int8, on images of 28x28.
func demoModel(t testing.TB) *format.Model {
	t.Helper()
	file, err := os.Open("../board/demo/fashion8.whet.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	m, err := format.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

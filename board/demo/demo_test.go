package demo

import (
	"context"
	"errors"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime"
)

// The same bits on every CPU mean the same accuracy to the last image.
func TestStory(t *testing.T) {
	want := map[uint64]Accuracy{
		0: {716. / 810, 171. / 190, 887. / 1000},
	}
	stages := map[string]int{}
	for seed, accuracy := range want {
		r, err := Run(t.Context(), Options{Seed: seed, Progress: func(s string, done, total int) {
			if done > total || done < stages[s] {
				t.Fatalf("%s: %d after %d of %d", s, done, stages[s], total)
			}
			stages[s] = done
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !r.SameBits {
			t.Errorf("the base network's outputs have SHA-256 %s", r.Bits)
		}
		if r.After != accuracy {
			t.Errorf("seed %d: %+v, want %+v", seed, r.After, accuracy)
		}
		if r.Before.New != 0 || r.Before.Old < 0.9 || r.Kept != 160 || r.KeptBytes != 160*128 || r.Examples != 40 || r.Judged != 200 {
			t.Errorf("got %+v", r)
		}
		if len(r.Shown) != 6 || r.Shown[0].Label != "Bag" {
			t.Errorf("shown: %+v", r.Shown)
		}
		d, err := format.DeltaFromBytes(r.Delta())
		if err != nil {
			t.Fatal(err)
		}
		base, err := format.FromBytes(BaseFile())
		if err != nil {
			t.Fatal(err)
		}
		tuned, err := format.Apply(base, d)
		if err != nil {
			t.Fatal(err)
		}
		if got := tuned.Header.Labels; len(got) != len(Classes) || got[9] != Classes[9] {
			t.Errorf("labels of the tuned model: %q", got)
		}
	}
	for _, s := range []string{"checking", "learning", "judging"} {
		if stages[s] == 0 {
			t.Errorf("no progress of %s", s)
		}
	}
}

// The delta is the same whatever the kernels and threads.
func TestSameDelta(t *testing.T) {
	sets, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	few := &Images{Label: sets[0].Label[:20], Pixels: sets[0].Pixels[:20]}
	first := ""
	for _, level := range kernels.Levels() {
		for _, threads := range []int{1, 2} {
			r, err := Run(t.Context(), Options{Seed: 1, Test: few, Runtime: []runtime.Option{runtime.WithLevel(level), runtime.WithThreads(threads)}})
			if err != nil {
				t.Fatal(err)
			}
			if r.ISA != level.String() || r.Threads != threads {
				t.Errorf("ran with %s kernels and %d threads", r.ISA, r.Threads)
			}
			if first == "" {
				first = string(r.Delta())
			} else if string(r.Delta()) != first {
				t.Errorf("%v kernels, %d threads: another delta", level, threads)
			}
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	d := &demo{Options: Options{Seed: 1}}
	sets, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	d.test, d.pool, d.report = sets[0], sets[1], &Report{}
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	a, old, err := d.choose()
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 2*Each || len(old) != Old*Each {
		t.Fatalf("%d examples, %d old ones", len(a), len(old))
	}
	d.Seed = 2
	b, _, err := d.choose()
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range a {
		if a[i].Source == b[i].Source {
			same++
		}
	}
	if same == len(a) {
		t.Error("two seeds chose the same examples")
	}
}

func TestStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{Progress: func(string, int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestEmbedded(t *testing.T) {
	sets, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(packed) + len(packedBase); n > 1<<20 {
		t.Errorf("%d bytes are embedded", n)
	}
	if sets[0].Len() != 1000 || sets[1].Len() != 440 {
		t.Errorf("%d test images, %d in the pool", sets[0].Len(), sets[1].Len())
	}
	for _, s := range sets {
		for i, c := range s.Label {
			if c < 0 || c >= len(Classes) || len(s.Pixels[i]) != Side*Side {
				t.Fatalf("image %d: class %d, %d pixels", i, c, len(s.Pixels[i]))
			}
		}
	}
}

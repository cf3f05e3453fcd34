package drift

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"testing"
)

var long = flag.Bool("long", false, "1,000 clean runs of 20,000 samples instead of 30 of 3,000")

// A source makes samples of the kinds that models meet: a brightness that
// wanders as a camera's frames do, a skewed number, a count, a constant, a
// confidence, and scores of ten classes of which some are rare.
type source struct {
	rng   *rand.Rand
	state float64
}

var names = []string{"brightness", "skewed", "count", "constant", "confidence"}

func (s *source) sample() (features, scores []float64) {
	s.state = 0.5*s.state + s.rng.NormFloat64()*math.Sqrt(0.75)
	class := 0
	for p := s.rng.Float64(); class < 9 && p < math.Pow(0.6, float64(class+1)); {
		class++
	}
	scores = make([]float64, 10)
	top := 1 - s.rng.Float64()*s.rng.Float64()/2
	for i := range scores {
		scores[i] = (1 - top) / 9
	}
	scores[class] = top
	return []float64{100 + 20*s.state, math.Exp(s.rng.NormFloat64()), float64(s.rng.IntN(4)), 7, top}, scores
}

// TestNoFalseAlarm watches clean sources.
func TestNoFalseAlarm(t *testing.T) {
	runs, samples := uint64(30), 3_000
	if *long {
		runs, samples = 1_000, 20_000
	}
	alarms := 0
	for seed := range runs {
		s := &source{rng: rand.New(rand.NewPCG(seed, 1))}
		w := New("1", names, nil)
		for range samples {
			if _, f := w.Observe(s.sample()); f != nil && f.Found {
				alarms++
				t.Logf("seed %d: %+v", seed, *f)
				break
			}
		}
	}
	t.Logf("%d false alarms in %d runs of %d samples", alarms, runs, samples)
	if alarms > int(runs)/1000 {
		t.Errorf("at most %d is allowed", runs/1000)
	}
}

// TestShiftIsFound injects changes at random moments.
func TestShiftIsFound(t *testing.T) {
	runs := uint64(20)
	if *long {
		runs = 1_000
	}
	for name, change := range map[string]func(f, e []float64){
		"darker by 1.5 standard deviations": func(f, _ []float64) { f[0] -= 30 },
		"twice as much":                     func(f, _ []float64) { f[1] *= 2 },
		"another count":                     func(f, _ []float64) { f[2] = math.Min(f[2]+1, 3) },
		"no longer constant":                func(f, _ []float64) { f[3] = 6 },
		"less sure":                         func(f, _ []float64) { f[4] -= 0.15 },
		"another class":                     func(_, e []float64) { e[0], e[5] = e[5], e[0] },
	} {
		late, most := 0, 0
		for seed := range runs {
			s := &source{rng: rand.New(rand.NewPCG(seed, 2))}
			w := New("1", names, nil)
			for range ReferenceSamples + s.rng.IntN(1000) {
				w.Observe(s.sample())
			}
			n := 0
			for w.State() != "drifted" && n < 2000 {
				n++
				f, e := s.sample()
				change(f, e)
				w.Observe(f, e)
			}
			most = max(most, n)
			if n > 500 {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%s: found after 500 samples in %d of %d runs, at the latest after %d", name, late, runs, most)
		}
		t.Logf("%s: found after %d samples at the latest", name, most)
	}
}

// TestStates goes through a shift that passes, and takes a reference over.
func TestStates(t *testing.T) {
	s := &source{rng: rand.New(rand.NewPCG(1, 3))}
	w := New("1", names, nil)
	var ref *Reference
	see := func(n int, change float64) {
		for range n {
			f, e := s.sample()
			f[0] += change
			if r, _ := w.Observe(f, e); r != nil {
				ref = r
			}
		}
	}
	expect := func(state string, samples int) {
		t.Helper()
		if w.State() != state || w.Samples() != samples {
			t.Errorf("%s with %d samples, want %s with %d", w.State(), w.Samples(), state, samples)
		}
	}
	expect("learning", 0)
	see(ReferenceSamples-1, 0)
	expect("learning", ReferenceSamples-1)
	see(1, 0)
	expect("watching", 0)
	see(WindowSamples, 50)
	expect("drifted", WindowSamples-step)
	see(2*WindowSamples, 0)
	expect("drifted", WindowSamples-step) // it may be luck
	see(2*WindowSamples, 0)
	expect("watching", WindowSamples-step)

	b, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	kept := new(Reference)
	if err := json.Unmarshal(b, kept); err != nil {
		t.Fatal(err)
	}
	if w = New("1", names, kept); w.State() != "watching" {
		t.Error("the reference was not taken over")
	}
	see(WindowSamples, 50)
	expect("drifted", WindowSamples-step)
	if New("2", names, kept).State() != "learning" || New("1", names[1:], kept).State() != "learning" {
		t.Error("another version's reference was taken over")
	}
	if len(b) > 8<<10 {
		t.Errorf("a reference has %d bytes", len(b))
	}
}

func TestQuantiles(t *testing.T) {
	// Abramowitz and Stegun, tables 26.1 and 26.8.
	for _, c := range []struct{ got, want, off float64 }{
		{quantile(0.025), 1.95996, 1e-4}, {quantile(1e-6), 4.75342, 1e-4},
		{chiSquare(9, 0.05), 16.919, 0.02}, {chiSquare(9, 0.001), 27.877, 0.2}, {chiSquare(1, 0.001), 10.828, 0.5},
	} {
		if math.Abs(c.got-c.want) > c.off {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/store"
)

// A version as the simulation has it: its chances, and its time relative to the
// version that serves.
type simulated struct{ fails, wrong, time float64 }

// simulate asks n requests of a model that has a canary, labels a tenth of them,
// and returns how many the canary had answered when it was taken back, or -1.
func simulate(seed uint64, n int, share float64, stable, trial simulated) int {
	rng := rand.New(rand.NewPCG(seed, 8))
	c := &canary{instance: &instance{}, request: CanaryRequest{Share: share, For: math.MaxInt}}
	load := 1.0 // that the whole board has: it wanders, and both versions feel it
	for range n {
		load = max(0.5, load*math.Exp(rng.NormFloat64()/20))
		t := c.next()
		v := stable
		if t.mine {
			v = trial
		}
		var err error
		if rng.Float64() < v.fails {
			err = errors.New("it fails")
		}
		t.done(time.Duration(1e6*v.time*load*math.Exp(rng.NormFloat64()/10)), err)
		if rng.IntN(10) == 0 {
			if a, b := rng.Float64() < stable.wrong, rng.Float64() < trial.wrong; a != b {
				c.accuracy.observe(b)
			}
		}
		if worse, _ := c.verdict(); worse != "" {
			return c.answered
		}
	}
	return -1
}

// TestCanariesSimulated puts versions on trial whose times, failures and errors
// come from seeded random numbers. Healthy ones must stay, 99 of 100; worse ones
// must return.
func TestCanariesSimulated(t *testing.T) {
	runs, requests := uint64(100), 6_000
	if *long {
		runs, requests = 2000, 50_000
	}
	usual := simulated{fails: 0.01, wrong: 0.1, time: 1}
	for _, c := range []struct {
		name     string
		share    float64
		trial    simulated
		returned float64 // of the runs: at most if healthy, else at least
		healthy  bool
	}{
		{"healthy", 0.1, usual, 0.01, true},
		{"healthy, half of the requests", 0.5, usual, 0.01, true},
		{"healthy, most of the requests", 0.9, usual, 0.01, true},
		{"better", 0.1, simulated{0, 0.05, 0.8}, 0.01, true},
		{"a little slower", 0.1, simulated{0.01, 0.1, 1.05}, 0.01, true},
		{"20 % slower", 0.1, simulated{0.01, 0.1, 1.2}, 0.99, false},
		{"twice as slow", 0.1, simulated{0.01, 0.1, 2}, 1, false},
		{"fails often", 0.1, simulated{0.1, 0.1, 1}, 0.99, false},
		{"fails always", 0.1, simulated{1, 0.1, 1}, 1, false},
		{"wrong more often", 0.1, simulated{0.01, 0.3, 1}, 0.99, false},
	} {
		n, sum := 0, 0
		for seed := range runs {
			if at := simulate(seed, requests, c.share, usual, c.trial); at >= 0 {
				n++
				sum += at
			}
		}
		part := float64(n) / float64(runs)
		if c.healthy == (part > c.returned) && part != c.returned {
			t.Errorf("%s: %d of %d were taken back", c.name, n, runs)
		}
		t.Logf("%s: %d of %d were taken back, after %d answers in the mean", c.name, n, runs, sum/max(1, n))
	}
}

func TestCanaryShare(t *testing.T) {
	for _, share := range []float64{0.01, 0.1, 0.25, 0.5, 0.9} {
		c := &canary{request: CanaryRequest{Share: share}}
		mine := 0
		for range 1000 {
			if c.next().mine {
				mine++
			}
		}
		if d := float64(mine)/1000 - share; math.Abs(d) > 0.002 {
			t.Errorf("share %v: %d of 1000", share, mine)
		}
	}
}

// canaryServer serves "zero" with versions 2 (healthy) and 3, which does what run says.
func canaryServer(t *testing.T, run func(ctx context.Context) error) *Server {
	t.Helper()
	e := &fakeEngine{}
	s := fakeServer(t, e, map[string]string{"m": "zero"}, func(c *Config) { c.Engine = versionEngine{e, run} })
	for _, d := range []string{"two", "three~"} {
		if _, err := s.cfg.Store.Publish("m", store.Version{Base: "digest of zero", Parent: "1"}, []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// versionEngine lets version 3 behave otherwise.
type versionEngine struct {
	*fakeEngine
	run func(ctx context.Context) error
}

func (e versionEngine) Open(path string, delta []byte) (Model, error) {
	m, err := e.fakeEngine.Open(path, delta)
	if string(delta) != "three~" || err != nil {
		return m, err
	}
	other := *m.(*fakeModel)
	other.e = &fakeEngine{run: func(ctx context.Context, _ [][]byte) error { return e.run(ctx) }}
	other.closed = e.fakeEngine
	return &other, nil
}

// TestFailingCanaryReturns puts a version on trial that panics: no client may
// notice, and it must be gone soon.
func TestFailingCanaryReturns(t *testing.T) {
	var warm atomic.Bool
	s := canaryServer(t, func(context.Context) error {
		if warm.Load() {
			panic("at the second run")
		}
		return nil
	})
	want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"3","share":0.5}`), 200, `"state":"running"`)
	warm.Store(true)
	for range 60 {
		if v, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer)); v != "1" || out != "zero+" {
			t.Fatalf("version %s answers %q", v, out)
		}
	}
	s.background.Wait()
	want(t, ask(s, "GET", "/v2/models/m/canary", ""), 200, `"state":"returned","reason":"it fails more often`)
	if st := s.repo.models["m"].canaryStatus(); st.OfCanary.Failed == 0 || st.OfCanary.Answered != 0 || st.OfStable.Failed != 0 {
		t.Errorf("it counted %+v and %+v", st.OfStable, st.OfCanary)
	}
	want(t, ask(s, "GET", "/metrics", ""), 200, `whet_canary_total{result="returned"} 1`)
	want(t, ask(s, "POST", "/v2/models/m/versions/canary/infer", fakeInfer), 404, "not served")
}

// TestHealthyCanaryIsPromoted lets a version pass its trial.
func TestHealthyCanaryIsPromoted(t *testing.T) {
	s := canaryServer(t, func(context.Context) error { return nil })
	want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"2","share":0.25,"requests":10,"promote":true}`), 200, `"stable":"1"`)
	outputs := map[string]string{"1": "zero+", "2": "zero+two"}
	seen := map[string]int{}
	for range 40 {
		v, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer))
		if outputs[v] != out {
			t.Fatalf("version %s answers %q", v, out)
		}
		seen[v]++
	}
	s.background.Wait()
	st := s.repo.models["m"].canaryStatus()
	if st.State != canaryPromoted {
		t.Errorf("the trial: %+v", st)
	}
	if a, b := st.OfStable, st.OfCanary; a.Answered != seen["1"] || b.Answered != 10 || a.Failed+b.Failed != 0 {
		t.Errorf("of %v answers it counted %+v and %+v", seen, a, b)
	}
	if seen["2"] != 10 {
		t.Errorf("the canary answered %d of 40", seen["2"])
	}
	if v, _ := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer)); v != "2" {
		t.Errorf("version %s serves", v)
	}
	if _, current := s.cfg.Store.Versions("m"); current != "2" {
		t.Errorf("version %s is the current one", current)
	}
}

// TestWrongCanaryReturns labels samples that the canary gets wrong.
func TestWrongCanaryReturns(t *testing.T) {
	s := canaryServer(t, func(context.Context) error { return nil })
	// The answers are texts, their greatest letter is the class: "zero+" says 0, "zero+three~" 10.
	want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"3"}`), 200, "")
	body := strings.TrimSuffix(fakeInfer, "}") + `,"label":"a"}`
	for i := range 40 {
		want(t, ask(s, "POST", "/v2/models/m/samples", body), 201, "")
		s.background.Wait()
		if s.repo.models["m"].canaryStatus().State != "running" {
			want(t, ask(s, "GET", "/v2/models/m/canary", ""), 200, "wrong on labelled samples")
			t.Logf("after %d samples", i+1)
			return
		}
	}
	t.Errorf("it stays: %+v", s.repo.models["m"].canaryStatus())
}

// TestCanaryRefused asks for what cannot be, and for what ends a trial.
func TestCanaryRefused(t *testing.T) {
	s := canaryServer(t, func(context.Context) error { return nil })
	for body, code := range map[string]int{
		`{}`: 400, `{"version":"2","share":1}`: 400, `{"version":"2","share":0}`: 400, `{"version":"2","requests":0}`: 400,
		`{"version":"9"}`: 404, `{"version":"1"}`: 409,
	} {
		if rec := ask(s, "POST", "/v2/models/m/canary", body); rec.Code != code {
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	}
	want(t, ask(s, "GET", "/v2/models/m/canary", ""), 404, "no canary")
	for i, end := range [][3]string{
		{"DELETE", "/v2/models/m/canary", ""},
		{"POST", "/v2/models/m/promote", `{"version":"2"}`},
		{"POST", "/v2/repository/models/m/load", ""},
		{"POST", "/v2/repository/models/m/unload", ""},
	} {
		want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"3"}`), 200, "")
		want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"3"}`), 409, "on trial")
		want(t, ask(s, "GET", "/v2/models/m/versions/canary", ""), 200, `"versions":["3"]`)
		want(t, ask(s, "GET", "/v2/models/m/versions/stable/ready", ""), 200, "true")
		want(t, ask(s, end[0], end[1], end[2]), 200, "")
		want(t, ask(s, "GET", "/v2/models/m/versions/canary/ready", ""), 503, "false")
		st := s.repo.models["m"].canaryStatus()
		if want := [...]string{canaryReturned, canarySuperseded, canarySuperseded, canarySuperseded}[i]; st.State != want {
			t.Errorf("after %v the trial is %q (%s)", end, st.State, st.Reason)
		}
	}
	want(t, ask(s, "POST", "/v2/models/m/canary", `{"version":"3"}`), 409, "does not serve")
	want(t, ask(s, "DELETE", "/v2/models/m/canary", ""), 409, "no canary")
}

// TestTrainedVersionOnTrial trains with a share for the result's trial.
func TestTrainedVersionOnTrial(t *testing.T) {
	s := canaryServer(t, func(context.Context) error { return nil })
	s.jobs.trainer = fakeTrainer(func(context.Context, Task, func(Progress)) (*Outcome, error) {
		return &Outcome{Passed: true, Delta: []byte("trained")}, nil
	})
	body := strings.TrimSuffix(fakeInfer, "}") + `,"label":"a"}`
	want(t, ask(s, "POST", "/v2/models/m/samples", body), 201, "")
	want(t, ask(s, "POST", "/v2/models/m/train", `{"allow_forgetting":true,"canary":1.5}`), 400, "canary")
	want(t, ask(s, "POST", "/v2/models/m/train", `{"allow_forgetting":true,"canary":0.2}`), 202, "")
	s.wait()
	want(t, ask(s, "GET", "/v2/models/m/canary", ""), 200, fmt.Sprintf(`"version":"4","stable":"1","state":"running","share":0.2,"requests":%d,"promote":true`, defaultRequests))
}

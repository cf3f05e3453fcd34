package serve

import (
	"math"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/info"
)

// A plant is a board in a room: its heat goes to the room's plus what its work
// gives, by a law of the first order.
type plant struct{ celsius float64 }

const (
	ofTraining = 8.0  // degrees that training adds in the end
	ofServing  = 24.0 // and full serving
	inertia    = 60.0 // seconds
)

func (p *plant) step(seconds, room, work float64) {
	p.celsius += (room + work - p.celsius) * (1 - math.Exp(-seconds/inertia))
}

// TestHeatRamp warms the room from 20 to 66 °C and cools it again. Training must
// rest first and the rate fall only then; neither may change its direction twice
// in 30 s; the board stays below its limit; in the end all is as it was.
func TestHeatRamp(t *testing.T) {
	const hot = 80.0
	g := newGovernor()
	training := true
	changes := map[string][]time.Duration{}
	now := time.Duration(0)
	g.pause = func(on bool) {
		training = !on
		changes["training"] = append(changes["training"], now)
	}
	p := &plant{celsius: 50}
	begin, rate, falling := time.Unix(0, 0), 1.0, false
	firstRest, firstFall, hottest, least := time.Duration(0), time.Duration(0), 0.0, 1.0
	for ; now < 3*time.Hour; now += lookEvery {
		h := now.Hours()
		room := 20 + 46*min(1, h) // up in an hour, there for one, down in half an hour
		if h > 2 {
			room = 66 - 46*min(1, 2*(h-2))
		}
		work := ofServing * g.factor()
		if training {
			work += ofTraining
		}
		p.step(lookEvery.Seconds(), room, work)
		hottest = max(hottest, p.celsius)
		g.ran.Add(int64(0.3 * float64(lookEvery)))
		g.look(begin.Add(now), Feeling{Celsius: p.celsius, Hot: hot})
		if !training && firstRest == 0 {
			firstRest = now
		}
		if f := g.factor(); f != rate {
			if f < rate && firstFall == 0 {
				firstFall = now
			}
			if (f < rate) != falling {
				falling = f < rate
				changes["rate"] = append(changes["rate"], now)
			}
			rate, least = f, min(least, f)
		}
	}
	if firstRest == 0 || firstFall == 0 || firstRest >= firstFall {
		t.Errorf("training rested at %v, the rate fell at %v", firstRest, firstFall)
	}
	for what, at := range changes {
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] < 30*time.Second {
				t.Errorf("%s: two changes in %v at %v", what, at[i]-at[i-1], at[i])
			}
		}
		if len(at) > 8 {
			t.Errorf("%s changes %d times: %v", what, len(at), at)
		}
	}
	if hottest >= hot {
		t.Errorf("the board reached %.1f °C", hottest)
	}
	if st := g.status(); !training || st.Rate != 1 || st.Reason != "" {
		t.Errorf("in the end: training %v, %+v", training, st)
	}
	t.Logf("training rests from %v on, the rate falls from %v on, to %.2f; %.1f °C at most; changes: %v", firstRest, firstFall, least, hottest, changes)
}

// TestGovernorReasons shows the governor weak power, throttling and load.
func TestGovernorReasons(t *testing.T) {
	cool := Feeling{Celsius: 40, Hot: 80}
	for _, c := range []struct {
		name   string
		feel   Feeling
		busy   float64
		paused bool
		reason string
		slower bool
	}{
		{"cool and idle", cool, 0, false, "", false},
		{"no sensor", Feeling{}, 0, false, "", false},
		{"weak power", Feeling{Celsius: 40, Hot: 80, Weak: true}, 0, true, "power", false},
		{"throttled", Feeling{Celsius: 60, Hot: 80, Throttled: true}, 0, true, "heat", true},
		{"busy", cool, 0.9, true, "load", false},
		{"half busy", cool, 0.6, false, "", false},
		{"warm", Feeling{Celsius: 75, Hot: 80}, 0, true, "heat", false},
	} {
		g := newGovernor()
		paused := false
		g.pause = func(on bool) { paused = on }
		at := time.Unix(0, 0)
		look := func(n int, f Feeling, busy float64) {
			for range n {
				at = at.Add(lookEvery)
				g.ran.Add(int64(busy * float64(lookEvery)))
				g.look(at, f)
			}
		}
		look(20, c.feel, c.busy)
		if st := g.status(); paused != c.paused || st.Reason != c.reason || (st.Rate < 1) != c.slower {
			t.Errorf("%s: paused %v, %+v", c.name, paused, st)
		}
		look(100, cool, 0)
		if st := g.status(); paused || st.Rate != 1 || st.Reason != "" || !g.idle() {
			t.Errorf("after %s: paused %v, %+v", c.name, paused, st)
		}
	}
}

func TestFeelingOf(t *testing.T) {
	b := &info.Board{Hot: 80, Zones: []info.Zone{{Celsius: 61}, {Celsius: 55}}}
	if got := feelingOf(b); got != (Feeling{Celsius: 61, Hot: 80}) {
		t.Errorf("%+v", got)
	}
	b.Throttle = []string{"under-voltage since the start", "throttled now"}
	if got := feelingOf(b); got != (Feeling{Celsius: 61, Hot: 80, Throttled: true}) {
		t.Errorf("%+v", got)
	}
	b.Throttle = []string{"under-voltage now"}
	if got := feelingOf(b); got != (Feeling{Celsius: 61, Hot: 80, Weak: true}) {
		t.Errorf("%+v", got)
	}
}

// TestSlowedSessions lets sessions rest after a run.
func TestSlowedSessions(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, nil)
	s.governor.rate.Store(math.Float64bits(0.25))
	if got := s.governor.rest(time.Second); got != 3*time.Second {
		t.Errorf("after a run of 1 s at a quarter of the rate: %v", got)
	}
	for range 3 {
		want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, "")
	}
	want(t, ask(s, "GET", "/v2/board", ""), 200, `"governor":{"training":"allowed","rate":0.25}`)
	want(t, ask(s, "GET", "/metrics", ""), 200, "whet_governor_rate_ratio 0.25")
}

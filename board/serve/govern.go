package serve

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whet-edge/whet/board/info"
)

// A Feeling is what the governor goes by.
type Feeling struct {
	Celsius   float64 // of the hottest sensor; 0: there is none
	Hot       float64 // from which the board slows itself down
	Throttled bool    // the firmware has slowed the board down
	Weak      bool    // the power supply is too weak
}

// feelingOf takes from a board what the governor goes by.
func feelingOf(b *info.Board) Feeling {
	f := Feeling{Celsius: b.Hottest(), Hot: b.Hot, Weak: b.Power == "weak"}
	for _, t := range b.Throttle {
		switch {
		case t == "under-voltage now":
			f.Weak = true
		case strings.HasSuffix(t, " now"):
			f.Throttled = true
		}
	}
	return f
}

// A governor keeps the board cool and its requests quick: first it lets training
// rest, then it makes requests wait longer, so that those that do not fit are
// refused with Retry-After. It takes back what it did only some degrees below,
// and changes its mind at most once in dwell.
type governor struct {
	feel     func() Feeling
	training func() bool // whether a job runs
	pause    func(bool)

	rate atomic.Uint64 // math.Float64bits of the share of time in which the sessions may run
	ran  atomic.Int64  // nanoseconds of runs since the last look

	mu      sync.Mutex
	paused  bool
	reason  string    // for which training rests or the rate is lowered
	turned  time.Time // when it last changed its mind
	looked  time.Time
	falling bool // the rate
}

const (
	lookEvery = 2 * time.Second
	dwell     = 30 * time.Second

	// Degrees below the board's own limit at which training rests and goes on
	// again, and at which the rate falls and rises again.
	restBelow, resumeBelow = 6, 12
	slowBelow, quickBelow  = 3, 8

	// Shares of the time that the sessions compute, at which training rests and
	// goes on again.
	busyAbove, idleBelow = 0.8, 0.5

	slowest  = 0.2 // rate
	slowDown = 0.9 // a look
	speedUp  = 0.02
)

func newGovernor() *governor {
	g := &governor{feel: func() Feeling { return Feeling{} }, training: func() bool { return false }, pause: func(bool) {}}
	g.rate.Store(math.Float64bits(1))
	return g
}

// rest is how long a session must rest after a run; it also counts the run.
func (g *governor) rest(run time.Duration) time.Duration {
	if g == nil {
		return 0
	}
	g.ran.Add(int64(run))
	return time.Duration(float64(run) * (1/g.factor() - 1))
}

// factor is the share of time in which the sessions may run.
func (g *governor) factor() float64 { return math.Float64frombits(g.rate.Load()) }

// watch looks at the board until ctx ends, unless nothing is going on.
func (g *governor) watch(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			if g.idle() {
				continue
			}
			g.look(now, g.feel())
		}
	}
}

// idle reports whether there is neither something to slow down nor something to
// take back.
func (g *governor) idle() bool {
	g.mu.Lock()
	calm := !g.paused && g.factor() == 1
	g.mu.Unlock()
	return calm && g.ran.Load() == 0 && !g.training()
}

// look decides on what the board feels now.
func (g *governor) look(now time.Time, f Feeling) {
	g.mu.Lock()
	defer g.mu.Unlock()
	busy := 0.0
	if !g.looked.IsZero() && now.After(g.looked) {
		busy = float64(g.ran.Swap(0)) / float64(now.Sub(g.looked))
	} else {
		g.ran.Store(0)
	}
	g.looked = now
	below := math.Inf(1) // degrees to the limit
	if f.Celsius > 0 && f.Hot > 0 {
		below = f.Hot - f.Celsius
	}
	g.lookAtTraining(now, f, below, busy)
	g.lookAtRate(now, f, below)
	if !g.paused && g.factor() == 1 {
		g.reason = ""
	}
}

func (g *governor) lookAtTraining(now time.Time, f Feeling, below, busy float64) {
	stop, why := false, ""
	switch {
	case f.Weak:
		stop, why = true, "power"
	case f.Throttled || below <= restBelow:
		stop, why = true, "heat"
	case busy >= busyAbove:
		stop, why = true, "load"
	}
	calm := !f.Weak && !f.Throttled && below >= resumeBelow && busy <= idleBelow
	switch {
	case stop && !g.paused:
		g.paused, g.reason, g.turned = true, why, now
		g.pause(true)
	case g.paused && calm && now.Sub(g.turned) >= dwell && g.factor() == 1:
		g.paused, g.turned = false, now
		g.pause(false)
	case stop:
		g.reason = why
	}
}

func (g *governor) lookAtRate(now time.Time, f Feeling, below float64) {
	rate := g.factor()
	fall := f.Throttled || below <= slowBelow
	rise := !f.Throttled && below >= quickBelow && rate < 1
	// The direction changes only after the dwell; going on in one is free.
	if fall == rise || fall != g.falling && now.Sub(g.turned) < dwell {
		return
	}
	if fall != g.falling {
		g.falling, g.turned = fall, now
	}
	if fall {
		rate = max(slowest, rate*slowDown)
		g.reason = "heat"
	} else {
		rate = min(1, rate+speedUp)
	}
	g.rate.Store(math.Float64bits(rate))
}

// GovernorStatus is what the governor does, as GET /v2/board shows it.
type GovernorStatus struct {
	Training string  `json:"training"`         // "allowed" or "paused"
	Rate     float64 `json:"rate"`             // share of the time in which requests are computed
	Reason   string  `json:"reason,omitempty"` // "heat", "power" or "load"
}

func (g *governor) status() GovernorStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := GovernorStatus{Training: "allowed", Rate: math.Round(g.factor()*1000) / 1000, Reason: g.reason}
	if g.paused {
		st.Training = "paused"
	}
	return st
}

package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// probeTime is how long [Program.Probe] measures a number of threads, probeGain
// the time that more threads must save to be worth their power.
const (
	probeTime = 200 * time.Millisecond
	probeGain = 0.03
)

// Probe runs the program on 1, 2, ... threads up to most (0: GOMAXPROCS), some
// 0.2 s each, and returns the program with the fewest threads whose least time
// lies within 3 % of the best. Inputs are zeros; states of other sessions are not
// touched.
func (p *Program) Probe(ctx context.Context, most int) (*Program, error) {
	if most < 0 {
		return nil, fmt.Errorf("runtime: a probe with up to %d threads", most)
	}
	if all := goruntime.GOMAXPROCS(0); most == 0 || most > all {
		most = all
	}
	times := make([]time.Duration, most)
	best := time.Duration(1<<63 - 1)
	for i := range times {
		t, err := p.withThreads(i + 1).least(ctx)
		if err != nil {
			return nil, err
		}
		times[i], best = t, min(best, t)
	}
	for i, t := range times {
		if float64(t) <= (1+probeGain)*float64(best) {
			return p.withThreads(i + 1), nil
		}
	}
	return p, nil
}

func (p *Program) withThreads(n int) *Program {
	q := *p
	q.threads = n
	return &q
}

// least returns the least time of the runs of probeTime, three at least.
func (p *Program) least(ctx context.Context) (time.Duration, error) {
	s := p.NewSession()
	defer s.Close()
	best := time.Duration(1<<63 - 1)
	for runs, begin := 0, time.Now(); runs < 3 || time.Since(begin) < probeTime; runs++ {
		start := time.Now()
		if err := s.Run(ctx); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
	}
	return best, nil
}

// Steps that are estimated to take less than shareStep nanoseconds stay on one
// thread: handing out tasks and waiting for the last one costs more than it
// saves. A program whose other steps take less than shareRun together stays
// there altogether: it would be over before parked threads are awake.
var (
	shareStep = 4_000.
	shareRun  = 150_000.
)

// share decides which steps more than one thread takes part in.
func share(steps []*step, l kernels.Level) {
	total := 0.
	for _, s := range steps {
		if n := s.nanos(l); s.tasks > 1 && n >= shareStep {
			s.shared = true
			total += n
		}
	}
	if total < shareRun {
		for _, s := range steps {
			s.shared = false
		}
	}
}

// nanos estimates what a step takes on one thread of a core that has the level,
// in nanoseconds: its multiply-adds and its bytes at rates that such a core
// sustains.
func (s *step) nanos(l kernels.Level) float64 {
	ints, floats, bytes := 1., 1., 1. // a nanosecond
	switch {
	case l >= kernels.Dotprod:
		ints, floats, bytes = 40, 12, 4
	case l == kernels.NEON:
		ints, floats, bytes = 8, 6, 2
	case l == kernels.AVX512VNNI:
		ints, floats, bytes = 200, 50, 16
	case l != kernels.Generic:
		ints, floats, bytes = 80, 40, 16
	}
	rate := ints
	if len(s.out) > 0 && s.out[0] != nil && s.out[0].typ == format.Float32 {
		rate = floats
	}
	return float64(s.macs)/rate + float64(s.info().Bytes)/bytes
}

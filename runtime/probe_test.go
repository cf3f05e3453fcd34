package runtime

import (
	"context"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// The tests' models are small: all of their steps with more than one task are
// shared, so that the tests see the pool.
func init() { shareStep, shareRun = 0, 0 }

func TestShare(t *testing.T) {
	shareStep, shareRun = 4_000, 150_000
	defer func() { shareStep, shareRun = 0, 0 }()
	of := func(macs int64, tasks int) *step {
		v := &value{typ: format.Int8}
		return &step{node: &node{}, out: []*value{v}, macs: macs, tasks: tasks}
	}
	for _, c := range []struct {
		steps []*step
		want  []bool
	}{
		{[]*step{of(1e9, 4), of(1e9, 1), of(1e3, 4)}, []bool{true, false, false}},
		{[]*step{of(5e4, 4), of(5e4, 4)}, []bool{false, false}}, // a short run
	} {
		share(c.steps, kernels.Generic)
		for i, s := range c.steps {
			if s.shared != c.want[i] {
				t.Errorf("step %d of %d multiply-adds and %d tasks: shared %v", i, s.macs, s.tasks, s.shared)
			}
		}
	}
	slow, fast := of(1e6, 2).nanos(kernels.Generic), of(1e6, 2).nanos(kernels.AVX512VNNI)
	if slow <= fast {
		t.Errorf("a million multiply-adds take %g ns in portable Go and %g ns with AVX-512 VNNI", slow, fast)
	}
}

func TestProbe(t *testing.T) {
	out := &value{size: 64}
	st := &step{node: &node{}, out: []*value{out}, tasks: 1, run: func(*mem, []byte, int, int) {}}
	p := &Program{threads: 7, steps: []*step{st}, arena: 64}
	q, err := p.Probe(context.Background(), 2)
	if err != nil || q.Threads() < 1 || q.Threads() > 2 || p.Threads() != 7 {
		t.Errorf("a probe of up to 2 threads: %d, %v; the program has %d of 7", q.Threads(), err, p.Threads())
	}
	if _, err := p.Probe(context.Background(), -1); err == nil {
		t.Error("a probe of -1 threads was accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Probe(ctx, 1); err == nil {
		t.Error("a cancelled probe gave no error")
	}
}

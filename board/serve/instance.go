package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// An instance is a loaded version of a model with its sessions. Requests hold
// it while they use it, so that it can be replaced under them: it is closed
// when it has been retired and the last request has let go.
type instance struct {
	Model
	version string
	queue   queue
	stats   modelStats
	rest    func(run time.Duration) time.Duration // that a session needs after a run; nil: none
	gone    chan struct{}                         // closed with the instance

	mu      sync.Mutex
	holders int
	retired bool
}

// limits are those of an instance.
type limits struct {
	sessions int           // requests that are computed at a time
	queue    int           // that may wait
	wait     time.Duration // that one may have to expect; 0: any
	rest     func(run time.Duration) time.Duration
}

// newInstance makes sessions and runs each once on zeros, so that the first
// request finds a model that is known to run, with its memory touched.
func newInstance(ctx context.Context, m Model, version string, l limits) (*instance, error) {
	n := &instance{Model: m, version: version, queue: queue{most: l.queue, longest: l.wait, sessions: l.sessions}, rest: l.rest, gone: make(chan struct{})}
	in := make([][]byte, len(m.Inputs()))
	for i, s := range m.Inputs() {
		size := s.Bytes()
		if size < 0 {
			return nil, fmt.Errorf("input %q has a symbolic shape: fix its dimensions when converting", s.Name)
		}
		in[i] = make([]byte, size)
	}
	for range l.sessions {
		s, err := m.NewSession()
		if err != nil {
			n.queue.close()
			return nil, err
		}
		if _, err := guard(ctx, s, in); err != nil {
			s.Close()
			n.queue.close()
			return nil, fmt.Errorf("warm-up: %w", err)
		}
		n.queue.put(s)
	}
	return n, nil
}

func (n *instance) hold() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.retired {
		return false
	}
	n.holders++
	return true
}

func (n *instance) release() {
	n.mu.Lock()
	n.holders--
	last := n.retired && n.holders == 0
	n.mu.Unlock()
	if last {
		n.close()
	}
}

// retire closes the instance as soon as nobody holds it.
func (n *instance) retire() {
	n.mu.Lock()
	n.retired = true
	last := n.holders == 0
	n.mu.Unlock()
	if last {
		n.close()
	}
}

func (n *instance) close() {
	n.queue.close()
	// The model was only read: there is nothing that closing it could lose.
	_ = n.Model.Close()
	close(n.gone)
}

// timing is how long a request waited for a session and then ran.
type timing struct{ queue, run time.Duration }

// infer runs the model on the inputs and returns copies of the outputs.
func (n *instance) infer(ctx context.Context, urgency int, in [][]byte) (out [][]byte, t timing, err error) {
	start := time.Now()
	s, err := n.queue.take(ctx, urgency)
	t.queue = time.Since(start)
	if err != nil {
		return nil, t, err
	}
	rest := time.Duration(0)
	start = time.Now()
	vals, err := guard(ctx, s, in)
	t.run = time.Since(start)
	if _, ok := errors.AsType[*panicked](err); ok {
		// What a panic left in the session is unknown. Better one fewer than a bad one.
		s.Close()
		fresh, ferr := n.NewSession()
		if ferr != nil {
			return nil, t, errors.Join(err, ferr)
		}
		s = fresh
	}
	if err == nil {
		rest = n.restAfter(t.run)
		n.queue.ran(t.run + rest)
		out = make([][]byte, len(vals))
		for i, v := range vals {
			out[i] = append([]byte(nil), v...)
		}
	}
	if rest > 0 {
		time.AfterFunc(rest, func() { n.queue.put(s) })
	} else {
		n.queue.put(s)
	}
	return out, t, err
}

// restAfter is how long a session must rest after a run.
func (n *instance) restAfter(run time.Duration) time.Duration {
	if n.rest == nil {
		return 0
	}
	return n.rest(run)
}

// panicked is a panic of a model's code, with where it happened.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("the model's code panicked: %v", p.value) }

// guard runs the session and turns a panic into an error: one broken model must
// not take the others down.
func guard(ctx context.Context, s Session, in [][]byte) (out [][]byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return s.Run(ctx, in)
}

var errNoModel = func(name string) error { return refuse(http.StatusNotFound, "there is no model %q", name) }

package serve

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The urgency of a request as the header Priority gives it (RFC 9218): the most
// urgent is 0, what says nothing is 3.
const (
	mostUrgent  = 0
	usualUrgent = 3
	leastUrgent = 7
)

// A queue hands out the sessions of an instance: to the most urgent request
// first, among equals to the one that came first. It holds a bounded number of
// requests; one that finds it full takes the place of a less urgent one, or is
// refused, as is one that would wait beyond its deadline.
type queue struct {
	most    int           // requests that may wait
	longest time.Duration // that a request may wait; 0: any

	mu       sync.Mutex
	free     []Session
	coming   [leastUrgent + 1]int // requests let in whose bodies are still being read, by urgency
	sessions int
	waiters  []*waiter     // in the order in which they get a session
	service  time.Duration // that a request keeps a session, on average
	passed   time.Time     // when a session went from one request to the next; zero: none waited
	closed   bool
}

// A waiter is a request in the queue.
type waiter struct {
	urgency int
	session chan Session // gets one session, or is closed when another takes its place
}

// take returns a session, waiting for one if it must.
func (q *queue) take(ctx context.Context, urgency int) (Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	if n := len(q.free); n > 0 {
		s := q.free[n-1]
		q.free = q.free[:n-1]
		q.mu.Unlock()
		return s, nil
	}
	if err := q.refusal(ctx, q.place(urgency)); err != nil {
		q.mu.Unlock()
		return nil, err
	}
	w := &waiter{urgency, make(chan Session, 1)}
	q.waiters = slices.Insert(q.waiters, q.place(urgency), w)
	if n := len(q.waiters); n > q.most {
		close(q.waiters[n-1].session)
		q.waiters = q.waiters[:n-1]
	}
	var late <-chan time.Time
	if q.longest > 0 {
		t := time.NewTimer(q.longest)
		defer t.Stop()
		late = t.C
	}
	q.mu.Unlock()
	select {
	case s, ok := <-w.session:
		if !ok {
			q.mu.Lock()
			defer q.mu.Unlock()
			return nil, q.full()
		}
		return s, nil
	case <-late:
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiters, w)
	if i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
	err := ctx.Err()
	if err == nil {
		err = q.tooLong(q.expected(i + 1))
	}
	q.mu.Unlock()
	if i < 0 {
		if s, ok := <-w.session; ok { // it came at the same moment
			q.put(s)
		}
	}
	return nil, err
}

// put gives a session back.
func (q *queue) put(s Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		s.Close()
		return
	case len(q.waiters) == 0:
		q.free = append(q.free, s)
		q.passed = time.Time{}
		return
	}
	now := time.Now()
	if !q.passed.IsZero() {
		q.took(now.Sub(q.passed) * time.Duration(max(1, q.sessions)))
	}
	q.passed = now
	w := q.waiters[0]
	q.waiters = slices.Delete(q.waiters, 0, 1)
	w.session <- s // has room for one and gets only one
}

// ran notes how long a run took. While requests wait, the time from one to the
// next counts instead: under load there is more to it than the run.
func (q *queue) ran(took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.passed.IsZero() {
		q.took(took)
	}
}

// took puts a time into the average, which forgets: 7/8 of it are old. The
// caller holds mu.
func (q *queue) took(t time.Duration) {
	if q.service == 0 {
		q.service = t
	}
	q.service += (t - q.service) / 8
}

// depth is how many requests wait.
func (q *queue) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiters)
}

// enter lets a request in whose body is yet to be read, or says why there is no
// place for it. What was let in keeps its place until arrived is called: were
// only those counted that wait, any number could be read at once, and each would
// delay the others.
func (q *queue) enter(ctx context.Context, urgency int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ahead := 0
	for _, n := range q.coming[:urgency+1] {
		ahead += n
	}
	if ahead >= len(q.free) {
		if err := q.refusal(ctx, q.place(urgency)+ahead-len(q.free)); err != nil {
			return err
		}
	}
	q.coming[urgency]++
	return nil
}

// arrived is called when the body of a request that entered has been read, or
// never will be.
func (q *queue) arrived(urgency int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.coming[urgency]--
}

// place is where a request of that urgency stands. The caller holds mu.
func (q *queue) place(urgency int) int {
	i := len(q.waiters)
	for i > 0 && q.waiters[i-1].urgency > urgency {
		i--
	}
	return i
}

// refusal says why a request cannot wait behind so many, or is nil. The caller
// holds mu.
func (q *queue) refusal(ctx context.Context, at int) error {
	if at >= q.most {
		return q.full()
	}
	wait := q.expected(at + 1)
	if q.longest > 0 && wait > q.longest-q.longest/8 { // an eighth, because runs differ: who is let in should not be sent away later
		return q.tooLong(wait)
	}
	if d, ok := ctx.Deadline(); ok {
		switch left := time.Until(d); {
		case left <= 0:
			return context.DeadlineExceeded
		case left < wait:
			return &busy{reason: "deadline", msg: fmt.Sprintf("the request would wait %v and have to end in %v: try again later", wait.Round(time.Millisecond), left.Round(time.Millisecond)), after: seconds(wait)}
		}
	}
	return nil
}

// tooLong is the refusal of a request that would wait that long.
func (q *queue) tooLong(wait time.Duration) error {
	return &busy{reason: "queue_full", msg: fmt.Sprintf("the request would wait %v, and here none waits longer than %v: try again later", wait.Round(time.Millisecond), q.longest), after: seconds(wait)}
}

// full is the refusal of a request for which there is no place. The caller
// holds mu.
func (q *queue) full() error {
	return &busy{reason: "queue_full", msg: fmt.Sprintf("%d requests wait for this model already: try again later", q.most), after: seconds(q.expected(q.most))}
}

// expected is how long n runs take from now on. The caller holds mu.
func (q *queue) expected(n int) time.Duration {
	return q.service * time.Duration(n) / time.Duration(max(1, q.sessions))
}

// seconds is a time for Retry-After, which has whole ones.
func seconds(d time.Duration) int { return int(max(1, (d+time.Second-1)/time.Second)) }

// close closes the sessions: those that are free now, the others when they are
// put back.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, s := range q.free {
		s.Close()
	}
	q.free = nil
}

package serve

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// numbered is a session that only is there.
type numbered struct{ Session }

// TestQueueOrder lets requests of random urgency wait for one session: they
// must get it by urgency, then by arrival, and of more than fit the least
// urgent and latest must go.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &queue{most: rapid.IntRange(1, 6).Draw(t, "most"), sessions: 1}
		q.put(numbered{})
		held, err := q.take(context.Background(), usualUrgent)
		if err != nil {
			t.Fatal(err)
		}
		type got struct {
			id      int
			session Session
			err     error
		}
		answers := make(chan got)
		var waiting [][2]int // urgency, id: what must be in the queue
		for id, urgency := range rapid.SliceOfN(rapid.IntRange(mostUrgent, leastUrgent), 0, 12).Draw(t, "urgencies") {
			at := len(waiting)
			for at > 0 && waiting[at-1][0] > urgency {
				at--
			}
			go func() {
				s, err := q.take(context.Background(), urgency)
				answers <- got{id, s, err}
			}()
			out := -1
			waiting = append(waiting[:at:at], append([][2]int{{urgency, id}}, waiting[at:]...)...)
			if len(waiting) > q.most {
				out = waiting[q.most][1]
				waiting = waiting[:q.most]
			}
			if out < 0 {
				for q.depth() < len(waiting) {
					goschedule()
				}
				continue
			}
			if g := <-answers; g.id != out || status(g.err) != 503 {
				t.Fatalf("request %d got %v, want %d to be refused", g.id, g.err, out)
			}
		}
		for _, w := range waiting {
			q.put(held)
			g := <-answers
			if g.id != w[1] || g.err != nil {
				t.Fatalf("request %d got the session (%v), want %d", g.id, g.err, w[1])
			}
			held = g.session
		}
		q.put(held)
		if len(q.free) != 1 {
			t.Fatal("the session was lost")
		}
	})
}

// TestQueueExpectsToWait refuses what would wait too long, and says when to
// come back.
func TestQueueExpectsToWait(t *testing.T) {
	q := &queue{most: 10, longest: 7 * time.Second / 2, sessions: 1}
	q.put(numbered{})
	s, err := q.take(context.Background(), usualUrgent)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		q.ran(time.Second)
	}
	soon, cancel := context.WithTimeout(context.Background(), time.Second/2)
	defer cancel()
	retryIn := func(err error, reason string, after int) {
		t.Helper()
		if b, ok := errors.AsType[*busy](err); !ok || b.reason != reason || b.after != after {
			t.Errorf("got %#v, want %s in %d s", err, reason, after)
		}
	}
	_, err = q.take(soon, usualUrgent)
	retryIn(err, "deadline", 1)
	for range 3 { // they wait 1, 2 and 3 s
		go func() {
			if s, err := q.take(context.Background(), usualUrgent); err == nil {
				q.put(s)
			}
		}()
	}
	for q.depth() < 3 {
		goschedule()
	}
	_, err = q.take(context.Background(), usualUrgent)
	retryIn(err, "queue_full", 4)
	retryIn(q.enter(context.Background(), usualUrgent), "queue_full", 4)
	if err := q.enter(context.Background(), mostUrgent); err != nil {
		t.Errorf("an urgent request is refused: %v", err)
	}
	q.arrived(mostUrgent)
	q.put(s)
	for q.depth() > 0 {
		goschedule()
	}
}

// TestComing: requests that are still being read take places of their own and
// less urgent classes.
func TestComing(t *testing.T) {
	q := &queue{most: 2, sessions: 1}
	q.put(&fakeSession{})
	enter := func(urgency int) bool { return q.enter(context.Background(), urgency) == nil }
	for i, want := range []bool{true, true, true, false} { // one runs, two wait
		if enter(usualUrgent) != want {
			t.Fatalf("request %d: got in %v, want %v", i, !want, want)
		}
	}
	for i, want := range []bool{true, true, true, false} {
		if enter(mostUrgent) != want {
			t.Fatalf("urgent request %d: got in %v, want %v", i, !want, want)
		}
	}
	q.arrived(mostUrgent)
	if enter(usualUrgent) {
		t.Error("a usual request got in before five others")
	}
	for range 2 {
		q.arrived(mostUrgent)
	}
	q.arrived(usualUrgent)
	if !enter(usualUrgent) {
		t.Error("the place of a request that has arrived stays taken")
	}
}

// TestRefusedUnread sends a body that never ends to a server whose queue is
// full: it must be refused without being read, unless it is more urgent.
func TestRefusedUnread(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(c *Config) { c.MaxQueue = 1 })
	n, err := s.repo.hold("m", "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.release()
	held, err := n.queue.take(context.Background(), usualUrgent)
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan int)
	go func() { first <- ask(s, "POST", "/v2/models/m/infer", fakeInfer).Code }()
	for n.queue.depth() < 1 {
		goschedule()
	}
	for _, path := range []string{"/v2/models/m/infer", "/v1/models/m:predict"} {
		e := &endless{}
		rec := askWith(s, "POST", path, e, nil)
		want(t, rec, 503, "1 requests wait")
		if after, err := strconv.Atoi(rec.Header().Get("Retry-After")); err != nil || after < 1 || e.read > 0 {
			t.Errorf("%s: Retry-After %d (%v), %d bytes read", path, after, err, e.read)
		}
	}
	urgent := make(chan int)
	go func() {
		urgent <- askWith(s, "POST", "/v2/models/m/infer", strings.NewReader(fakeInfer), http.Header{"Priority": {"i, u=0"}}).Code
	}()
	if code := <-first; code != 503 {
		t.Errorf("the usual request was answered with %d, want it to make room", code)
	}
	n.queue.put(held)
	if code := <-urgent; code != 200 {
		t.Errorf("the urgent request was answered with %d", code)
	}
	late := http.Header{timeoutHeader: {"1e-9"}}
	want(t, askWith(s, "POST", "/v2/models/m/infer", strings.NewReader(fakeInfer), late), 504, "deadline")
	for _, bad := range []string{"0", "-1", "NaN", "1e9", "soon"} {
		want(t, askWith(s, "POST", "/v2/models/m/infer", strings.NewReader(fakeInfer), http.Header{timeoutHeader: {bad}}), 400, timeoutHeader)
	}
	body := strings.Replace(fakeInfer, "{", `{"parameters":{"priority":1,"timeout":5000000},`, 1)
	want(t, ask(s, "POST", "/v2/models/m/infer", body), 200, "")
	want(t, ask(s, "POST", "/v2/models/m/infer", strings.Replace(body, ":1", ":-1", 1)), 400, "priority")
}

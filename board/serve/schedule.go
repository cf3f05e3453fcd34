package serve

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// timeoutHeader is how long an inference request may take from now on, in
// seconds: "0.25". It says for requests of every form what the parameter
// "timeout" (schedule policy extension) says in those of the protocol.
const timeoutHeader = "X-Request-Timeout"

// A guest is a request that was let in.
type guest struct {
	ctx     context.Context
	cancel  context.CancelFunc
	urgency int
	queue   *queue
	once    sync.Once
	slow    *time.Timer
}

// slowBody is how long a request keeps its place while its body is read: clients
// that trickle must not shut out the others.
const slowBody = time.Second

// schedule reads from a request's headers how urgent it is and by when it must
// be answered, and refuses it, its body unread, if that is hopeless already:
// under overload, reading what is refused would cost those that are answered.
// The caller calls read when it has the body, and leave at the end.
func (s *Server) schedule(r *http.Request, n *instance) (*guest, error) {
	g := &guest{ctx: r.Context(), cancel: func() {}, urgency: urgencyOf(r.Header.Get("Priority")), queue: &n.queue}
	if h := r.Header.Get(timeoutHeader); h != "" {
		sec, err := strconv.ParseFloat(h, 64)
		if err != nil || !(sec > 0 && sec <= maxTimeout) {
			return nil, refuse(http.StatusBadRequest, "%s is %q: give seconds above 0, at most %d", timeoutHeader, h, maxTimeout)
		}
		g.ctx, g.cancel = context.WithTimeout(g.ctx, time.Duration(sec*float64(time.Second)))
	}
	if err := g.queue.enter(g.ctx, g.urgency); err != nil {
		g.cancel()
		return nil, err
	}
	g.slow = time.AfterFunc(slowBody, g.read)
	return g, nil
}

// read says that the request's body is here: from now on it waits in the queue.
func (g *guest) read() { g.once.Do(func() { g.queue.arrived(g.urgency) }) }

func (g *guest) leave() {
	g.slow.Stop()
	g.read()
	g.cancel()
}

// maxTimeout is the longest time that a client may ask for, in seconds; the
// server's own limit holds besides.
const maxTimeout = 86400

// urgencyOf reads the header Priority: "u=1", perhaps with parameters that
// matter to others. What makes no sense is passed over (RFC 9218, section 4).
func urgencyOf(h string) int {
	for part := range strings.SplitSeq(h, ",") {
		v, ok := strings.CutPrefix(strings.TrimSpace(part), "u=")
		if u, err := strconv.Atoi(v); ok && err == nil && u >= mostUrgent && u <= leastUrgent {
			return u
		}
	}
	return usualUrgent
}

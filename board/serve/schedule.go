package serve

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// timeoutHeader is how long an inference request may take from now on, in
// seconds: "0.25". It says for requests of every form what the parameter
// "timeout" (schedule policy extension) says in those of the protocol.
const timeoutHeader = "X-Request-Timeout"

// schedule reads from a request's headers how urgent it is and by when it must
// be answered, and refuses it, its body unread, if that is hopeless already:
// under overload, reading what is refused would cost those that are answered.
// The caller calls cancel when the request is over.
func (s *Server) schedule(r *http.Request, n *instance) (ctx context.Context, urgency int, cancel context.CancelFunc, err error) {
	urgency = urgencyOf(r.Header.Get("Priority"))
	ctx, cancel = r.Context(), func() {}
	if h := r.Header.Get(timeoutHeader); h != "" {
		sec, err := strconv.ParseFloat(h, 64)
		if err != nil || !(sec > 0 && sec <= maxTimeout) {
			return nil, 0, nil, refuse(http.StatusBadRequest, "%s is %q: give seconds above 0, at most %d", timeoutHeader, h, maxTimeout)
		}
		ctx, cancel = context.WithTimeout(ctx, time.Duration(sec*float64(time.Second)))
	}
	if err := n.queue.crowded(ctx, urgency); err != nil {
		cancel()
		return nil, 0, nil, err
	}
	return ctx, urgency, cancel, nil
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

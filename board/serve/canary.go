package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
)

// The labels by which a request may name a version.
const (
	labelStable = "stable"
	labelCanary = "canary"
)

// A canary is a version on trial: it answers a share of the requests beside the
// version that serves, and is taken back when it fails more often, is slower, or
// is wrong on labelled samples more often. A restart of the daemon ends the
// trial, too: what serves then is what had been chosen for good.
type canary struct {
	*instance
	request CanaryRequest

	mu       sync.Mutex
	asked    uint64 // requests that named no version
	answered int    // of them, by the canary
	errors   signTest
	latency  signTest
	accuracy signTest
	stable   [2]observed // not yet compared: of the first and second of a pair of requests
	seen     [2]tally    // of all requests of the trial: the stable version's and the canary's
	judging  bool        // a labelled sample is being compared
	over     bool
}

// observed is what became of a request to the version that serves.
type observed struct {
	there, failed bool
	run           time.Duration
}

// A tally counts what became of requests.
type tally struct {
	answered, failed int
	run              time.Duration // of those answered, together
}

func (t *tally) add(o observed) {
	if o.failed {
		t.failed++
		return
	}
	t.answered++
	t.run += o.run
}

// A CanaryRequest is the body of POST .../canary.
type CanaryRequest struct {
	Version string  `json:"version"`
	Share   float64 `json:"share"`    // of the requests that name no version
	For     int     `json:"requests"` // answered by the canary; then the trial has been passed
	Promote bool    `json:"promote"`  // it serves when it has passed
}

const (
	defaultShare    = 0.1
	defaultRequests = 1000

	// slower is by how much a canary's run must be longer to count as slower.
	slower = 1.1
)

// How a trial can end.
const (
	canaryReturned   = "returned"
	canaryPromoted   = "promoted"
	canaryPassed     = "passed"
	canarySuperseded = "superseded"
)

// A turn is a request that may go to the canary.
type turn struct {
	c      *canary
	mine   bool // the canary's
	second bool
}

// next says whose turn it is. Requests go in pairs: the second of a pair finds
// the caches as the version itself left them, so that runs can be compared even
// though one version has many more of them.
func (c *canary) next() *turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	pair := float64(c.asked / 2)
	t := &turn{
		c: c, second: c.asked%2 == 1,
		mine: !c.over && math.Floor((pair+1)*c.request.Share) > math.Floor(pair*c.request.Share),
	}
	c.asked++
	return t
}

// done notes what became of a turn.
func (t *turn) done(run time.Duration, err error) {
	if t == nil || errors.Is(err, context.Canceled) {
		return
	}
	if code := status(err); err != nil && (code < 500 || code == http.StatusServiceUnavailable) {
		return // the client's fault, or nobody's
	}
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	if t.second {
		i = 1
	}
	now := observed{true, err != nil, run}
	if !t.mine {
		c.seen[0].add(now)
		c.stable[i] = now
		return
	}
	c.seen[1].add(now)
	c.answered++
	was := c.stable[i]
	if !was.there {
		return
	}
	c.stable[i] = observed{} // a run is compared once
	switch {
	case now.failed != was.failed:
		c.errors.observe(now.failed)
	case !now.failed && t.second:
		c.latency.observe(float64(now.run) > slower*float64(was.run))
	}
}

// verdict is why the canary is to be taken back, or "", and whether it has
// passed its trial. It is given once.
func (c *canary) verdict() (worse string, passed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return "", false
	}
	for _, t := range []struct {
		test *signTest
		what string
	}{{&c.errors, "it fails more often"}, {&c.latency, "it is slower"}, {&c.accuracy, "it is wrong on labelled samples more often"}} {
		if t.test.finds() {
			c.over = true
			return fmt.Sprintf("%s than the version that serves: in %d of %d comparisons that differ", t.what, t.test.worse, t.test.pairs), false
		}
	}
	if c.answered >= c.request.For {
		c.over = true
		return "", true
	}
	return "", false
}

// judge compares the canary, if there is one, with the version that serves on a
// new sample, in the background; while one is compared, others are left out.
func (s *Server) judge(name string, n *instance, sample *store.Sample) {
	e, err := s.repo.entry(name)
	if err != nil {
		return
	}
	e.mu.Lock()
	c := e.canary
	e.mu.Unlock()
	if c == nil || !c.judge(true) {
		return
	}
	in, err := s.inputsOf(n, sample)
	if err != nil || !n.hold() {
		c.judge(false)
		return
	}
	for i, b := range in {
		in[i] = append([]byte(nil), b...) // the request's body is another's soon
	}
	s.background.Go(func() {
		defer n.release()
		defer c.judge(false)
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
		defer cancel()
		was, err := rightOn(ctx, n, in, sample.Label)
		if err != nil {
			return
		}
		is, err := rightOn(ctx, c.instance, in, sample.Label)
		if err == nil && is != was {
			c.mu.Lock()
			c.accuracy.observe(was)
			c.mu.Unlock()
			s.endTrial(name, c)
		}
	})
}

// judge begins or ends the comparison of a sample; it is false if another is
// being compared.
func (c *canary) judge(begin bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if begin && (c.judging || c.over) {
		return false
	}
	c.judging = begin
	return true
}

// rightOn reports whether a version gives a sample its label.
func rightOn(ctx context.Context, n *instance, in [][]byte, label string) (bool, error) {
	if !n.hold() {
		return false, errRetired
	}
	defer n.release()
	out, _, err := n.infer(ctx, leastUrgent, in)
	if err != nil {
		return false, err
	}
	spec := n.Outputs()[0]
	best, err := oip.Best(&spec, out[0])
	labels := n.Labels()
	return err == nil && best < len(labels) && labels[best] == label, err
}

var errRetired = errors.New("the version was replaced")

// endTrial acts on the canary's verdict, if there is one: in the background, for
// a change of what serves may have to wait for another.
func (s *Server) endTrial(name string, c *canary) {
	worse, passed := c.verdict()
	if worse == "" && !passed {
		return
	}
	s.background.Go(func() {
		result := canaryReturned
		switch {
		case passed && c.request.Promote:
			result = canaryPromoted
			if err := s.repo.keepCanary(name, c); err != nil {
				result, worse = canaryReturned, fmt.Sprintf("it passed, but it cannot be promoted: %v", err)
			}
		case passed:
			result = canaryPassed
		}
		if result != canaryPromoted && !s.repo.dropCanary(name, c, result, worse) {
			return
		}
		s.metrics.canaries.Inc(result)
		s.cfg.Log.Warn("the trial of a version ended", "model", name, "version", c.version, "result", result, "reason", worse)
	})
}

// CanaryStatus is the reply to GET .../canary.
type CanaryStatus struct {
	Model   string  `json:"model_name"`
	Version string  `json:"version"`
	Stable  string  `json:"stable"`
	State   string  `json:"state"` // "running", or how it ended
	Reason  string  `json:"reason,omitempty"`
	Share   float64 `json:"share"`
	For     int     `json:"requests"`
	Promote bool    `json:"promote"`
	Served  int     `json:"answered"`

	// What became of the requests since the trial began.
	OfStable seenRequests `json:"stable_requests"`
	OfCanary seenRequests `json:"canary_requests"`

	// The comparisons so far that did not end in a tie.
	Errors   comparison `json:"errors"`
	Latency  comparison `json:"latency"`
	Accuracy comparison `json:"accuracy"`
}

// A comparison is one of the tests of a trial.
type comparison struct {
	Pairs    int     `json:"pairs"`
	Worse    int     `json:"worse"`    // pairs in which the canary was the worse one
	Evidence float64 `json:"evidence"` // against the canary: it returns at Limit
	Limit    float64 `json:"limit"`
}

// seenRequests is how a version did.
type seenRequests struct {
	Answered int     `json:"answered"`
	Failed   int     `json:"failed"`
	MeanNS   float64 `json:"mean_run_ns"`
}

func (t *tally) seen() seenRequests {
	return seenRequests{t.answered, t.failed, math.Round(float64(t.run) / float64(max(1, t.answered)))}
}

func compared(t *signTest) comparison {
	return comparison{t.pairs, t.worse, math.Round(t.evidence()*1000) / 1000, math.Round(1 / wrongly)}
}

func (c *canary) status(name, stable string) *CanaryStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &CanaryStatus{
		Model: name, Version: c.version, Stable: stable, State: "running", Share: c.request.Share, For: c.request.For, Promote: c.request.Promote,
		Served: c.answered, OfStable: c.seen[0].seen(), OfCanary: c.seen[1].seen(),
		Errors: compared(&c.errors), Latency: compared(&c.latency), Accuracy: compared(&c.accuracy),
	}
}

// startCanary is POST /v2/models/{model}/canary.
func (s *Server) startCanary(w http.ResponseWriter, r *http.Request) error {
	req := CanaryRequest{Share: defaultShare, For: defaultRequests}
	if err := s.readJSON(w, r, &req); err != nil {
		return err
	}
	name := r.PathValue("model")
	ctx, cancel := changeContext(r)
	defer cancel()
	st, err := s.tryCanary(ctx, name, req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

func (s *Server) tryCanary(ctx context.Context, name string, req CanaryRequest) (*CanaryStatus, error) {
	switch {
	case req.Version == "":
		return nil, refuse(http.StatusBadRequest, `the body must say which: {"version": "2"}`)
	case !(req.Share > 0 && req.Share < 1):
		return nil, refuse(http.StatusBadRequest, "share must be above 0 and below 1: %v is not", req.Share)
	case req.For < 1:
		return nil, refuse(http.StatusBadRequest, "requests must be at least 1")
	}
	return s.repo.startCanary(ctx, name, req)
}

func (s *Server) canaryStatus(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	e, err := s.repo.entry(name)
	if err != nil {
		return err
	}
	st := e.canaryStatus()
	if st == nil {
		return refuse(http.StatusNotFound, "model %q has had no canary since the start", name)
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

// endCanary is DELETE /v2/models/{model}/canary.
func (s *Server) endCanary(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	e, err := s.repo.entry(name)
	if err != nil {
		return err
	}
	e.mu.Lock()
	c := e.canary
	e.mu.Unlock()
	if c == nil || !s.repo.dropCanary(name, c, canaryReturned, "by request") {
		return refuse(http.StatusConflict, "model %q has no canary", name)
	}
	s.metrics.canaries.Inc(canaryReturned)
	return s.canaryStatus(w, r)
}

// startCanary loads a version beside the one that serves.
func (r *repository) startCanary(ctx context.Context, name string, req CanaryRequest) (*CanaryStatus, error) {
	e, err := r.entry(name)
	if err != nil {
		return nil, err
	}
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	n, had := e.live, e.canary
	e.mu.Unlock()
	switch {
	case n == nil:
		return nil, refuse(http.StatusConflict, "model %q does not serve: there is nothing to compare with", name)
	case had != nil:
		return nil, refuse(http.StatusConflict, "version %s of model %q is on trial: DELETE /v2/models/%s/canary ends that", had.version, name, name)
	case req.Version == n.version:
		return nil, refuse(http.StatusConflict, "version %s of model %q serves already", n.version, name)
	}
	v, err := r.openVersion(ctx, name, req.Version, nil)
	if err != nil {
		return nil, err
	}
	if form(v.Inputs()) != form(n.Inputs()) || len(v.Outputs()) != len(n.Outputs()) {
		v.retire()
		return nil, refuse(http.StatusConflict, "version %s of model %q has other inputs or outputs than version %s", req.Version, name, n.version)
	}
	c := &canary{instance: v, request: req}
	e.mu.Lock()
	e.canary, e.lastTrial = c, nil
	e.mu.Unlock()
	r.log.Info("trial of a version", "model", name, "version", req.Version, "share", req.Share)
	return c.status(name, n.version), nil
}

// keepCanary makes a canary the version that serves.
func (r *repository) keepCanary(name string, c *canary) error {
	e, err := r.entry(name)
	if err != nil {
		return err
	}
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	gone := e.canary != c
	e.mu.Unlock()
	if gone {
		return errRetired
	}
	if err := r.store.Promote(name, c.version); err != nil {
		return err
	}
	st := e.endedTrial(c, canaryPromoted, "")
	e.mu.Lock()
	e.canary, e.lastTrial = nil, st
	e.mu.Unlock()
	e.replace(c.instance, "")
	return nil
}

// dropCanary ends a trial; it is false if the trial had ended.
func (r *repository) dropCanary(name string, c *canary, result, reason string) bool {
	e, err := r.entry(name)
	return err == nil && e.dropCanary(c, result, reason)
}

func (e *entry) dropCanary(c *canary, result, reason string) bool {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	st := e.endedTrial(c, result, reason)
	e.mu.Lock()
	mine := e.canary == c
	if mine {
		e.canary, e.lastTrial = nil, st
	}
	e.mu.Unlock()
	if mine {
		c.retire()
	}
	return mine
}

func (e *entry) endedTrial(c *canary, result, reason string) *CanaryStatus {
	e.mu.Lock()
	stable := ""
	if e.live != nil {
		stable = e.live.version
	}
	e.mu.Unlock()
	st := c.status(e.name, stable)
	st.State, st.Reason = result, reason
	return st
}

// canaryStatus is that of the trial that runs, or of the last one, or nil.
func (e *entry) canaryStatus() *CanaryStatus {
	e.mu.Lock()
	c, last := e.canary, e.lastTrial
	e.mu.Unlock()
	if c == nil {
		return last
	}
	st := e.endedTrial(c, "running", "")
	return st
}

// choose returns the instance that is to answer a request, which the caller
// releases, and whose turn it is if a version is on trial and the request names
// none.
func (r *repository) choose(name, version string) (*instance, *turn, error) {
	e, err := r.entry(name)
	if err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	c := e.canary
	e.mu.Unlock()
	if c == nil || version != "" {
		n, err := r.hold(name, version)
		return n, nil, err
	}
	t := c.next()
	if t.mine && c.hold() {
		return c.instance, t, nil
	}
	t.mine = false
	n, err := r.hold(name, version)
	return n, t, err
}

// compute runs the model on several inputs, all on one version: if the canary
// fails, what serves answers in its place and takes its place at n, so that a bad
// version is no client's trouble.
func (s *Server) compute(ctx context.Context, name string, n **instance, t *turn, urgency, count int, inputs func(int) ([][]byte, error)) (runs [][][]byte, tm timing, err error) {
	runs, tm, err = s.inferAll(ctx, name, *n, urgency, count, inputs)
	if t == nil {
		return runs, tm, err
	}
	t.done(tm.run/time.Duration(count), err)
	s.endTrial(name, t.c)
	if err == nil || !t.mine || status(err) != http.StatusInternalServerError {
		return runs, tm, err
	}
	stable, herr := s.repo.hold(name, labelStable)
	if herr != nil {
		return nil, tm, err
	}
	(*n).release()
	*n = stable
	return s.inferAll(ctx, name, stable, urgency, count, inputs)
}

// inferAll runs the model on several inputs, one after the other; the times are
// those of all.
func (s *Server) inferAll(ctx context.Context, name string, n *instance, urgency, count int, inputs func(int) ([][]byte, error)) (runs [][][]byte, t timing, err error) {
	runs = make([][][]byte, count)
	for i := range runs {
		in, err := inputs(i)
		if err != nil {
			return nil, t, err
		}
		var one timing
		if runs[i], one, err = n.infer(ctx, urgency, in); err != nil {
			return nil, t, err
		}
		t.queue += one.queue
		t.run += one.run
	}
	return runs, t, nil
}

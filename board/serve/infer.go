package serve

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
)

func (s *Server) infer(w http.ResponseWriter, r *http.Request) error {
	begin := time.Now()
	name := r.PathValue("model")
	n, turn, err := s.repo.choose(name, r.PathValue("version"))
	if err != nil {
		return err
	}
	defer func() { n.release() }() // n may become another
	answeredBy(w, name, n.version)
	after := func() {}
	defer func() { after() }()
	body, jsonLen, st, err := s.answer(w, r, name, &n, turn, &after)
	if err != nil {
		n.stats.failed(time.Since(begin))
		return err
	}
	answeredBy(w, name, n.version)
	st.begin, st.answered = begin, time.Now()
	n.stats.succeeded(st)
	s.metrics.queue.Observe(st.queue, name)
	s.metrics.infer.Observe(st.run, name)
	h := w.Header()
	if jsonLen >= 0 {
		h.Set(oip.HeaderLength, strconv.Itoa(jsonLen))
		h.Set("Content-Type", "application/octet-stream")
	} else {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	// A write that fails has no one to be told: the client is gone.
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush() // before what is done after it
	return nil
}

// answer reads a request, computes it and returns the reply's body. What has
// answered is at n then. What is to be done once the reply is sent, or there is
// an error, is at after.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string, n **instance, t *turn, after *func()) (body []byte, jsonLen int, st stages, err error) {
	g, err := s.schedule(r, *n)
	if err != nil {
		return nil, 0, st, err
	}
	defer g.leave()
	req, done, err := s.inferRequest(w, r, *n)
	if err != nil {
		return nil, 0, st, err
	}
	*after = done
	g.read()
	st.parsed = time.Now()
	ctx, urgency := g.ctx, g.urgency
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	if req.Priority > 0 {
		urgency = min(mostUrgent+req.Priority-1, leastUrgent)
	}
	var out [][][]byte
	out, st.timing, err = s.compute(ctx, name, n, t, urgency, 1, func(int) ([][]byte, error) { return req.Inputs, nil })
	if err != nil {
		return nil, 0, st, err
	}
	*after = func() {
		defer done()
		s.watchRequest(name, *n, req.Inputs, out[0])
	}
	reply := oip.Reply{Model: name, Version: (*n).version, ID: req.ID, Outputs: req.Outputs, Values: out[0], Labels: (*n).Labels()}
	body, jsonLen, err = reply.Append(nil, (*n).Outputs())
	return body, jsonLen, st, err
}

// inferRequest reads an inference request: the protocol's, or a picture or
// sound as it is, which goes through the model's preprocessing. Of the latter
// the query may ask for the best classes of each output: ?classification=5.
func (s *Server) inferRequest(w http.ResponseWriter, r *http.Request, n *instance) (*oip.Request, func(), error) {
	media, err := mediaType(r)
	if err != nil {
		return nil, nil, err
	}
	if media == "" {
		req, done, err := s.request(w, r, n, false)
		if err != nil || req.Media == nil {
			return req, done, err
		}
		defer done()
		req.Inputs, err = s.decodeAny(n, req.Media)
		return req, func() {}, err
	}
	classes, err := queryNumber(r, "classification", 0, math.MaxInt32)
	if err != nil {
		return nil, nil, err
	}
	body, done, err := s.body(w, r, s.cfg.MaxBody)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	in, err := s.decode(n, media, body)
	if err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "the %s cannot be used: %v", media, err)
	}
	req := &oip.Request{Inputs: in}
	for i := range n.Outputs() {
		req.Outputs = append(req.Outputs, oip.Output{Index: i, Classify: int(classes)})
	}
	return req, func() {}, nil
}

// request reads and checks an inference request, or with label set a sample,
// for the model. The caller calls done when it no longer needs the inputs.
func (s *Server) request(w http.ResponseWriter, r *http.Request, n *instance, label bool) (req *oip.Request, done func(), err error) {
	jsonLen, err := jsonLength(r)
	if err != nil {
		return nil, nil, err
	}
	limit := oip.MaxBody(n.Inputs())
	if n.Sense().Kind != "numbers" {
		limit = s.cfg.MaxBody // a picture may be larger than what the model makes of it
	}
	body, done, err := s.body(w, r, limit)
	if err != nil {
		return nil, nil, err
	}
	req, err = oip.Parse(body, jsonLen, n.Inputs(), n.Outputs(), label)
	if err != nil {
		done()
		return nil, nil, err
	}
	return req, done, nil
}

// decodeAny decodes a picture or sound that came inside of JSON: what it is, its
// first bytes tell.
func (s *Server) decodeAny(n *instance, media []byte) ([][]byte, error) {
	kind := http.DetectContentType(media)
	in, err := s.decode(n, kind, media)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the data (%s) cannot be used: %v", kind, err)
	}
	return in, nil
}

package serve

import (
	"net/http"
	"strings"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
)

// The paths of TensorFlow Serving end in NAME:METHOD, which is one segment to
// http.ServeMux: call takes it apart.
func call(segment string) (name string, m oip.Method, err error) {
	name, method, _ := strings.Cut(segment, ":")
	m, ok := oip.MethodOf(method)
	if !ok {
		return "", 0, refuse(http.StatusNotFound, "there is no method %q: predict, classify and regress are there", method)
	}
	return name, m, nil
}

// predict is POST /v1/models/NAME[/versions/VERSION|/labels/LABEL]:METHOD.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	begin := time.Now()
	name, version := r.PathValue("model"), ""
	var err error
	var method oip.Method
	if segment := r.PathValue("call"); name == "" {
		name, method, err = call(segment)
	} else {
		version, method, err = call(segment)
	}
	if err != nil {
		return err
	}
	n, turn, err := s.repo.choose(name, version)
	if err != nil {
		return err
	}
	defer func() { n.release() }() // n may become another
	answeredBy(w, name, n.version)
	reply, st, err := s.predictions(w, r, method, name, &n, turn)
	if err != nil {
		n.stats.failed(time.Since(begin))
		return err
	}
	answeredBy(w, name, n.version)
	st.begin, st.answered = begin, time.Now()
	n.stats.succeeded(st)
	s.metrics.queue.Observe(st.queue, name)
	s.metrics.infer.Observe(st.run, name)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // a client that is gone need not be told
	return nil
}

// predictions runs the model once for each instance; the times are those of all.
// What has answered is at n then.
func (s *Server) predictions(w http.ResponseWriter, r *http.Request, method oip.Method, name string, n **instance, t *turn) (reply []byte, st stages, err error) {
	g, err := s.schedule(r, *n)
	if err != nil {
		return nil, st, err
	}
	defer g.leave()
	body, done, err := s.body(w, r, s.cfg.MaxBody)
	if err != nil {
		return nil, st, err
	}
	defer done()
	p, err := oip.ParsePredict(body, method, (*n).Inputs())
	if err != nil {
		return nil, st, err
	}
	g.read()
	st.parsed = time.Now()
	var runs [][][]byte
	inputs := make([][][]byte, len(p.Runs))
	runs, st.timing, err = s.compute(g.ctx, name, n, t, g.urgency, len(p.Runs), func(i int) (in [][]byte, err error) {
		if run := p.Runs[i]; run.Media == nil {
			in = run.Values
		} else {
			in, err = s.decodeAny(*n, run.Media)
		}
		inputs[i] = in
		return in, err
	})
	if err != nil {
		return nil, st, err
	}
	for i := range runs {
		s.watchRequest(name, *n, inputs[i], runs[i])
	}
	reply, err = p.AppendPrediction(nil, (*n).Outputs(), runs, (*n).Labels())
	return reply, st, err
}

// tfStatus is GET /v1/models/NAME.
func (s *Server) tfStatus(w http.ResponseWriter, r *http.Request) error {
	n, err := s.repo.hold(r.PathValue("model"), "")
	if err != nil {
		return err
	}
	defer n.release()
	type ok struct {
		Code    string `json:"error_code"`
		Message string `json:"error_message"`
	}
	type row struct {
		Version string `json:"version"`
		State   string `json:"state"`
		Status  ok     `json:"status"`
	}
	writeJSON(w, http.StatusOK, map[string][]row{"model_version_status": {{n.version, "AVAILABLE", ok{"OK", ""}}}})
	return nil
}

// tfMetadata is GET /v1/models/NAME/metadata.
func (s *Server) tfMetadata(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	n, err := s.repo.hold(name, "")
	if err != nil {
		return err
	}
	defer n.release()
	type object = map[string]any
	writeJSON(w, http.StatusOK, object{
		"model_spec": object{"name": name, "signature_name": "", "version": n.version},
		"metadata": object{"signature_def": object{"signature_def": object{"serving_default": object{
			"inputs": oip.Signature(n.Inputs()), "outputs": oip.Signature(n.Outputs()), "method_name": "tensorflow/serving/predict",
		}}}},
	})
	return nil
}

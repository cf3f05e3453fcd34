package serve

import (
	"net/http"
	"strings"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
)

// The paths of TensorFlow Serving end in NAME:METHOD, which is one segment to
// http.ServeMux: call takes it apart.
func call(segment string) (name string, err error) {
	name, method, _ := strings.Cut(segment, ":")
	if method != "predict" {
		return "", refuse(http.StatusNotFound, "there is no method %q: predict is there, and of the classes /v2/models/%s/infer tells", method, name)
	}
	return name, nil
}

// predict is POST /v1/models/NAME[/versions/VERSION]:predict.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	begin := time.Now()
	name, version := r.PathValue("model"), ""
	var err error
	if segment := r.PathValue("call"); name == "" {
		name, err = call(segment)
	} else {
		version, err = call(segment)
	}
	if err != nil {
		return err
	}
	n, err := s.repo.hold(name, version)
	if err != nil {
		return err
	}
	defer n.release()
	answeredBy(w, name, n.version)
	reply, st, err := s.predictions(w, r, n)
	if err != nil {
		n.stats.failed(time.Since(begin))
		return err
	}
	st.begin, st.answered = begin, time.Now()
	n.stats.succeeded(st)
	s.metrics.queue.Observe(st.queue, name)
	s.metrics.infer.Observe(st.run, name)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // a client that is gone need not be told
	return nil
}

// predictions runs the model once for each instance; the times are those of all.
func (s *Server) predictions(w http.ResponseWriter, r *http.Request, n *instance) (reply []byte, st stages, err error) {
	ctx, urgency, cancel, err := s.schedule(r, n)
	if err != nil {
		return nil, st, err
	}
	defer cancel()
	body, done, err := s.body(w, r, s.cfg.MaxBody)
	if err != nil {
		return nil, st, err
	}
	defer done()
	p, err := oip.ParsePredict(body, n.Inputs())
	if err != nil {
		return nil, st, err
	}
	st.parsed = time.Now()
	runs := make([][][]byte, len(p.Runs))
	for i, run := range p.Runs {
		if run.Media != nil {
			media := http.DetectContentType(run.Media)
			if run.Values, err = s.decode(n, media, run.Media); err != nil {
				return nil, st, refuse(http.StatusBadRequest, "the b64 data (%s) cannot be used: %v", media, err)
			}
		}
		var t timing
		if runs[i], t, err = n.infer(ctx, urgency, run.Values); err != nil {
			return nil, st, err
		}
		st.queue += t.queue
		st.run += t.run
	}
	reply, err = p.AppendPrediction(nil, n.Outputs(), runs)
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

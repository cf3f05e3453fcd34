package serve

import (
	"net/http"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/board/page"
	"github.com/whet-edge/whet/board/serve/oip"
)

// about tells what a person should show the model and what it may answer.
func (s *Server) about(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	e, err := s.repo.entry(name)
	if err != nil {
		return err
	}
	n, err := s.repo.hold(name, "")
	if err != nil {
		return err
	}
	defer n.release()
	labels := n.Labels()
	if labels == nil {
		labels = []string{}
	}
	job, err := s.jobs.status(name)
	if err != nil {
		return err
	}
	state := ""
	if job != nil {
		state = job.State
	}
	trial := ""
	if c := e.canaryStatus(); c != nil {
		trial = c.State
	}
	writeJSON(w, http.StatusOK, struct {
		Model   string               `json:"model_name"`
		Version string               `json:"version"`
		Sense   Sense                `json:"sense"`
		Labels  []string             `json:"labels"`
		Inputs  []oip.TensorMetadata `json:"inputs"`
		Outputs []oip.TensorMetadata `json:"outputs"`
		Memory  int64                `json:"memory_bytes"`
		Job     string               `json:"job,omitempty"`    // the state of the last training job
		Drift   string               `json:"drift"`            // as GET .../drift has it
		Canary  string               `json:"canary,omitempty"` // the state of the last trial
	}{name, n.version, n.Sense(), labels, oip.Metadata(n.Inputs()), oip.Metadata(n.Outputs()), n.Memory(), state, s.driftOf(e).State, trial})
	return nil
}

// board tells what the board is and how it feels.
func (s *Server) board(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, struct {
		*info.Board
		Version  string         `json:"version"` // of whet
		Training bool           `json:"training"`
		Governor GovernorStatus `json:"governor"`
	}{s.cfg.Board(), s.cfg.Version, s.jobs.busy(), s.governor.status()})
	return nil
}

// page serves the web page. It holds nothing secret: what it shows, it asks for
// with the client's token.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	if !page.Serve(w, r, r.PathValue("file")) {
		return refuse(http.StatusNotFound, "there is nothing at %s", r.URL.Path)
	}
	return nil
}

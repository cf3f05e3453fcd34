package serve

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
)

// extensions are those of the protocol that this server has, by the names that
// Triton gave them.
var extensions = []string{"binary_tensor_data", "classification", "model_repository", "schedule_policy", "statistics"}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, oip.ServerMetadata{Name: "whet", Version: s.cfg.Version, Extensions: extensions})
	return nil
}

func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	return nil
}

// ready tells whether the models were loaded. One that does not load does not
// keep the server from being ready: it would keep the others from being served.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	ok := s.loaded.Load()
	writeJSON(w, readyStatus(ok), map[string]bool{"ready": ok})
	return nil
}

func readyStatus(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func (s *Server) modelMetadata(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	n, err := s.repo.hold(name, r.PathValue("version"))
	if err != nil {
		return err
	}
	defer n.release()
	writeJSON(w, http.StatusOK, oip.ModelMetadata{
		Name: name, Versions: []string{n.version}, Platform: "whet_whet",
		Inputs: oip.Metadata(n.Inputs()), Outputs: oip.Metadata(n.Outputs()),
	})
	return nil
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	n, err := s.repo.hold(name, r.PathValue("version"))
	if err == nil {
		n.release()
	}
	writeJSON(w, readyStatus(err == nil), struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{name, err == nil})
	return nil
}

func (s *Server) repositoryIndex(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Ready bool `json:"ready"`
	}
	if err := s.readJSON(w, r, &req); err != nil {
		return err
	}
	list, err := s.repo.index(req.Ready)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// changeTime bounds the warm-up of a model.
const changeTime = 2 * time.Minute

// changeContext is for changes of what is served: once begun, they are not
// broken off because the client has gone.
func changeContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), changeTime)
}

// loadModel loads a model from its file, anew if it is loaded: a file that was
// replaced is served from then on.
func (s *Server) loadModel(w http.ResponseWriter, r *http.Request) error {
	if err := s.noParameters(w, r); err != nil {
		return err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	if err := s.repo.load(ctx, r.PathValue("model")); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) unloadModel(w http.ResponseWriter, r *http.Request) error {
	if err := s.noParameters(w, r); err != nil {
		return err
	}
	if err := s.repo.unload(r.PathValue("model")); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// noParameters reads the body of a load or unload. whet's models have neither
// configurations to override nor dependents, so the only parameter that makes
// sense is unload_dependents, which changes nothing.
func (s *Server) noParameters(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Parameters struct {
			UnloadDependents bool `json:"unload_dependents"`
		} `json:"parameters"`
	}
	return s.readJSON(w, r, &req)
}

// versionRow is a version in the reply to GET .../versions.
type versionRow struct {
	Version string `json:"version"`
	Parent  string `json:"parent,omitempty"`
	Delta   string `json:"delta,omitempty"`
	Time    int64  `json:"time,omitempty"`
	Report  any    `json:"report,omitempty"`
}

func (s *Server) listVersions(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	tuned, current := s.cfg.Store.Versions(name)
	rows := []versionRow{{Version: store.Base}}
	for _, v := range tuned {
		row := versionRow{Version: v.Version, Parent: v.Parent, Delta: v.Delta, Time: v.Time}
		if v.Report != nil {
			row.Report = v.Report
		}
		rows = append(rows, row)
	}
	writeJSON(w, http.StatusOK, struct {
		Model    string       `json:"model_name"`
		Current  string       `json:"current"`
		Versions []versionRow `json:"versions"`
	}{name, current, rows})
	return nil
}

// changed is the reply to a promotion or rollback.
type changed struct {
	Model    string `json:"model_name"`
	Version  string `json:"version"`
	Previous string `json:"previous"`
}

func (s *Server) promote(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Version string `json:"version"`
	}
	if err := s.readJSON(w, r, &req); err != nil {
		return err
	}
	if req.Version == "" {
		return refuse(http.StatusBadRequest, `the body must say which: {"version": "2"}`)
	}
	name := r.PathValue("model")
	ctx, cancel := changeContext(r)
	defer cancel()
	previous, err := s.repo.promote(ctx, name, req.Version)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, changed{name, req.Version, previous})
	return nil
}

func (s *Server) rollback(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	ctx, cancel := changeContext(r)
	defer cancel()
	previous, version, err := s.repo.rollback(ctx, name)
	if err != nil {
		return err
	}
	s.metrics.trainRuns.Inc(resultRolledBack)
	writeJSON(w, http.StatusOK, changed{name, version, previous})
	return nil
}

// jsonLength returns the value of the header of the binary tensor extension, or
// -1.
func jsonLength(r *http.Request) (int, error) {
	h := r.Header.Get(oip.HeaderLength)
	if h == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(h, 10, 31)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "%s is %q, which is no length", oip.HeaderLength, h)
	}
	return int(n), nil
}

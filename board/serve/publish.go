package serve

import (
	"encoding/hex"
	"net/http"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
)

// publishVersion makes the delta in the body, a .whetd file that was tuned
// elsewhere, a version of the model. It serves once it is promoted. The reply is
// sent when the version is on disk.
func (s *Server) publishVersion(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	n, err := s.repo.hold(name, "")
	if err != nil {
		return err
	}
	base := n.Digest()
	n.release()
	body, done, err := s.body(w, r, s.cfg.MaxBody)
	if err != nil {
		return err
	}
	defer done()
	if err := checkDelta(body, base); err != nil {
		return err
	}
	signature, err := signatureOf(r)
	if err != nil {
		return err
	}
	v, err := s.addVersion(name, base, body, signature)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, struct {
		Model   string `json:"model_name"`
		Version string `json:"version"`
		Delta   string `json:"delta"`
	}{name, v.Version, v.Delta})
	return nil
}

// addVersion makes a delta that was tuned elsewhere a version of the model.
func (s *Server) addVersion(name, base string, delta, signature []byte) (store.Version, error) {
	accept, err := s.repo.gate.delta(delta, signature, name)
	if err != nil {
		return store.Version{}, err
	}
	v, err := s.cfg.Store.Publish(name, store.Version{Base: base, Parent: store.Base}, delta)
	if err != nil {
		return v, err
	}
	return v, accept()
}

// checkDelta refuses what is no delta of the model with that digest.
func checkDelta(body []byte, base string) error {
	d, err := format.DeltaFromBytes(body)
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "the body is not a delta: %v", err)
	case d.Parent != [len(d.Parent)]byte{}:
		return refuse(http.StatusBadRequest, "the body is a delta of a delta: make one model of them with whet merge")
	case hex.EncodeToString(d.Base[:]) != base:
		return refuse(http.StatusConflict, "the delta belongs to the model file with the digest %x, this one's is %.16s", d.Base[:8], base)
	}
	return nil
}

package serve

import (
	"bytes"
	"encoding/base64"
	"net/http"

	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/board/store"
)

// A gatekeeper lets only signed models in, and none that is older than one that
// was let in before. Versions that the daemon has trained itself are its own and
// need no signature.
type gatekeeper struct {
	keys  sign.Keys // none: everything may come in
	store *store.Store
}

// model verifies a model's file. What it returns is called when the model has
// been found to run: from then on no older one is let in.
func (g *gatekeeper) model(path, name string) (accept func() error, err error) {
	if len(g.keys) == 0 {
		return func() error { return nil }, nil
	}
	c, err := g.keys.VerifyFile(path, name, g.store.Counter(name))
	if err != nil {
		return nil, err
	}
	return func() error { return g.store.Accept(name, c.Counter) }, nil
}

// delta verifies a delta that was tuned elsewhere. Deltas count for themselves:
// they are newer than their model.
func (g *gatekeeper) delta(delta, signature []byte, name string) (accept func() error, err error) {
	if len(g.keys) == 0 {
		return func() error { return nil }, nil
	}
	what := name + " delta"
	c, err := g.keys.Verify(bytes.NewReader(delta), signature, name, g.store.Counter(what))
	if err != nil {
		return nil, refuse(http.StatusForbidden, "the delta: %v", err)
	}
	return func() error { return g.store.Accept(what, c.Counter) }, nil
}

// SignatureHeader carries the text of a .minisig file in base64.
const SignatureHeader = "Whet-Signature"

func signatureOf(r *http.Request) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(r.Header.Get(SignatureHeader))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%s is not base64: %v", SignatureHeader, err)
	}
	return b, nil
}

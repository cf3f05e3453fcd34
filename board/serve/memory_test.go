package serve

import (
	"context"
	"testing"

	"github.com/whet-edge/whet/board/store"
)

// TestMemoryBudget gives two models of 7 bytes room for 14, then for 20.
func TestMemoryBudget(t *testing.T) {
	e := &fakeEngine{}
	most := int64(0) // models open at a time
	e.run = func(context.Context, [][]byte) error {
		most = max(most, e.open.Load())
		return nil
	}
	s := fakeServer(t, e, map[string]string{"a": "one", "b": "two"}, func(c *Config) { c.Memory = 14 })
	for _, d := range []string{"good", "torn"} {
		if _, err := s.cfg.Store.Publish("a", store.Version{Base: "digest of one", Parent: "1"}, []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	// There is no room for two versions: the old one goes first, and comes back
	// when the new one does not load.
	want(t, ask(s, "POST", "/v2/models/a/promote", `{"version":"2"}`), 200, `"previous":"1"`)
	want(t, ask(s, "POST", "/v2/models/a/infer", fakeInfer), 200, `"model_version":"2"`)
	want(t, ask(s, "POST", "/v2/models/a/promote", `{"version":"3"}`), 409, "torn")
	want(t, ask(s, "POST", "/v2/models/a/infer", fakeInfer), 200, `"model_version":"2"`)
	want(t, ask(s, "POST", "/v2/repository/models/a/load", ""), 200, "")
	want(t, ask(s, "POST", "/v2/models/a/infer", fakeInfer), 200, `"model_version":"2"`)
	if most != 2 {
		t.Errorf("%d models were open at a time, want 2", most)
	}
	want(t, ask(s, "POST", "/v2/models/a/canary", `{"version":"1"}`), 507, "of the budget of 14, others have 14")

	s.repo.memory = 20
	want(t, ask(s, "POST", "/v2/repository/models/b/unload", ""), 200, "")
	want(t, ask(s, "POST", "/v2/models/a/canary", `{"version":"1"}`), 200, "running")
	want(t, ask(s, "POST", "/v2/repository/models/b/load", ""), 400, "needs 7 bytes")
	want(t, ask(s, "GET", "/v2/models/b/ready", ""), 503, "false")
	want(t, ask(s, "DELETE", "/v2/models/a/canary", ""), 200, "returned")
	want(t, ask(s, "POST", "/v2/repository/models/b/load", ""), 200, "")
}

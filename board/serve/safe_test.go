package serve

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// TestSafeModeServes lets the daemon die early five times with a version that
// was never seen to stay up: it comes up on the one before, says why, and does
// not train.
func TestSafeModeServes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.whet"), []byte("m"), 0o600); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewMem()
	cfg := Config{Models: dir, Engine: &fakeEngine{}, Trainer: fakeTrainer(nil)}
	var s *Server
	start := func() *Server {
		t.Helper()
		if s != nil {
			s.repo.close()
			s.jobs.stop()
		}
		var err error
		if cfg.Store, err = store.Open(fsys, "/state", store.Options{}); err != nil {
			t.Fatal(err)
		}
		if cfg.Safe, err = cfg.Store.Start(); err != nil {
			t.Fatal(err)
		}
		return startServer(t, cfg)
	}
	s = start()
	publish(t, s, "m", "good")
	s.Settle(t.Context(), 0)
	publish(t, s, "m", "deadly")
	for range 5 {
		s = start()
		want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, `"model_version":"3"`)
	}
	s = start()
	want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, `"model_version":"2"`)
	want(t, ask(s, "POST", "/v2/repository/index", ""), 200, "safe mode: the last 5 starts ended early")
	want(t, ask(s, "GET", "/v2/health/ready", ""), 200, "")
	want(t, ask(s, "POST", "/v2/models/m/train", `{"allow_forgetting":true}`), 503, "nothing is trained now: safe mode")
}

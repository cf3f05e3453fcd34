package serve

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format/vfs"
)

// TestPublishVersion gives the daemon a delta that was tuned elsewhere.
func TestPublishVersion(t *testing.T) {
	report, err := demo.Run(context.Background(), demo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fashion.whet"), demo.BaseFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Models: dir, Store: testStore(t, vfs.NewMem()), Engine: Runtime{}})
	publish := func(body string) (int, string) {
		rec := askWith(s, "POST", "/v2/models/fashion/versions", strings.NewReader(body), nil)
		return rec.Code, rec.Body.String()
	}
	delta := string(report.Delta())
	if code, body := publish(delta[:len(delta)-1]); code != http.StatusBadRequest {
		t.Errorf("a delta that ends early: %d %s", code, body)
	}
	for range 2 { // the second time it is there already
		if code, body := publish(delta); code != http.StatusCreated || !strings.Contains(body, `"version":"2"`) {
			t.Errorf("publishing is answered %d %s", code, body)
		}
	}
	if rec := askWith(s, "POST", "/v2/models/fashion/promote", strings.NewReader(`{"version":"2"}`), nil); rec.Code != http.StatusOK {
		t.Errorf("promoting is answered %d %s", rec.Code, rec.Body)
	}
}

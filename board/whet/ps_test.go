package main

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

func TestPs(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(vfs.OS, t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := os.WriteFile(filepath.Join(dir, "clothing.whet"), demo.BaseFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Config{Models: dir, Store: st, Engine: serve.Runtime{}, Version: "9.9", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	defer h.Close()
	ps := func() (code int, out, msg string) {
		var stdout, stderr strings.Builder
		code = execute(t.Context(), []string{"ps", "--address", h.URL}, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	if code, _, msg := ps(); code != exitFailed || !strings.Contains(msg, "not ready") {
		t.Errorf("before its models are loaded: %d %s", code, msg)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, out, msg := ps(); code != exitDone || !strings.Contains(out, "9.9") || !strings.Contains(out, "clothing") || !strings.Contains(out, "ready") {
		t.Errorf("%d %s %s", code, out, msg)
	}
	if err := os.WriteFile(filepath.Join(dir, "torn.whet"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, msg := ps(); code != exitFailed || !strings.Contains(msg, "torn") {
		t.Errorf("with a model that does not load: %d %s", code, msg)
	}
	h.Close()
	if code, _, msg := ps(); code != exitFailed || !strings.Contains(msg, "no daemon answers") {
		t.Errorf("without a daemon: %d %s", code, msg)
	}
}

func TestQuote(t *testing.T) {
	words := []string{"a b", "it's", `"$HOME"`, "`x`", "", "*", "-n", "ä\nb"}
	out, err := exec.Command("sh", "-c", "printf '%s|' "+quote(words)).Output()
	if err != nil {
		t.Skipf("no shell: %v", err)
	}
	if got, want := string(out), strings.Join(words, "|")+"|"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestArchOf(t *testing.T) {
	for uname, want := range map[string]string{"Linux aarch64\n": "arm64", "Linux x86_64": "amd64", "Linux armv7l": "arm", "Linux mips": "", "Darwin arm64": "", "": ""} {
		if got, err := archOf(uname); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", uname, got, err)
		}
	}
}

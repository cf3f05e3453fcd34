package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
)

// smallDelta is a delta of the demo's model that only calls its first class so.
func smallDelta(t *testing.T, name, label string) {
	t.Helper()
	base, err := format.FromBytes(demo.BaseFile())
	if err != nil {
		t.Fatal(err)
	}
	tuned := *base
	tuned.Header.Labels = append([]string{label}, base.Header.Labels[1:]...)
	d, err := format.Diff(base, &tuned)
	if err != nil {
		t.Fatal(err)
	}
	if err := format.WriteDeltaFile(name, d); err != nil {
		t.Fatal(err)
	}
}

// The commands for a running daemon, one after the other, as text and as JSON.
func TestDaemonCommands(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(vfs.OS, t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := os.WriteFile(filepath.Join(dir, "clothing.whet"), demo.BaseFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Config{Models: dir, Store: st, Engine: serve.Runtime{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	defer h.Close()
	picture := make([]byte, 28*28)
	for i := range 3 {
		body := fmt.Sprintf(`{"label": "Coat", "inputs": [{"name": %q, "datatype": "INT8", "shape": [1,28,28,1], "data": %s}]}`,
			inputOf(t), strings.ReplaceAll(fmt.Sprint(picture), " ", ","))
		resp, err := http.Post(h.URL+"/v2/models/clothing/samples", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("sample %d: %s %s %v", i, resp.Status, said, err)
		}
	}
	delta, npz := filepath.Join(dir, "mine.whetd"), filepath.Join(dir, "out.npz")
	smallDelta(t, delta, "gown")
	second := filepath.Join(dir, "second.whetd")
	smallDelta(t, second, "robe")
	other := filepath.Join(dir, "no.whetd")
	if err := os.WriteFile(other, []byte("no delta"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"publish clothing " + delta, exitDone, `"previous": "1"`},
		{"publish clothing " + delta + " --keep", exitDone, `"waits": true`},
		{"publish clothing " + second + " --canary 0.1", exitDone, `"canary": 0.1`},
		{"publish clothing " + delta + " --canary 2", exitUsage, "a share above 0 and below 1"},
		{"publish clothing " + other, exitFailed, "not a delta"},
		{"publish nothing " + delta, exitFailed, `no model "nothing"`},
		{"rollback clothing", exitDone, `"version": "1"`},
		{"samples list clothing", exitDone, `"Coat": 3`},
		{"samples list clothing --limit 1 --after 1", exitDone, `"id": "2"`},
		{"samples list nothing", exitFailed, `no model "nothing"`},
		{"samples export clothing -o " + npz, exitDone, `"output_bytes": `},
		{"samples export clothing", exitUsage, "-o"},
		{"samples delete clothing 1 x", exitUsage, "no sample's number"},
		{"samples delete clothing 1", exitDone, `"deleted": 1`},
		{"samples delete clothing 2 1", exitFailed, "1 deleted, then sample 1"},
		{"samples purge clothing", exitUsage, "--yes"},
		{"samples purge clothing --yes", exitDone, `"deleted": 1`},
		{"samples list clothing", exitDone, `"count": 0`},
		{"samples", exitUsage, "needs one of"},
	} {
		var out, msg strings.Builder
		args := append(strings.Fields(c.args), "--json", "--address", h.URL)
		code := execute(t.Context(), args, &out, &msg)
		if all := out.String() + msg.String(); code != c.code || !strings.Contains(all, c.want) {
			t.Errorf("whet %s: %d, no %q in\n%s", c.args, code, c.want, all)
		}
		if code == exitDone && !json.Valid([]byte(out.String())) {
			t.Errorf("whet %s: no JSON:\n%s", c.args, &out)
		}
	}
	if b, err := os.ReadFile(npz); err != nil || string(b[:2]) != "PK" {
		t.Errorf("the export: %v %.20q", err, b)
	}
	var out strings.Builder
	if code := execute(t.Context(), []string{"samples", "list", "clothing", "--address", h.URL}, &out, &out); code != exitDone || !strings.Contains(out.String(), "clothing: 0 samples, 0 B") {
		t.Errorf("%d %s", code, &out)
	}
	h.Close()
	out.Reset()
	if code := execute(t.Context(), []string{"rollback", "clothing", "--address", h.URL}, &out, &out); code != exitFailed || !strings.Contains(out.String(), "no daemon answers") {
		t.Errorf("%d %s", code, &out)
	}
}

func inputOf(t *testing.T) string {
	t.Helper()
	m, err := format.FromBytes(demo.BaseFile())
	if err != nil {
		t.Fatal(err)
	}
	return m.Main().Inputs[0].Tensor
}

package pull

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

// A model is pushed to a registry of the real kind, and pulled.
//
//	WHET_REGISTRY=$(command -v docker-registry) go test -run RealRegistry -v ./board/pull
func TestRealRegistry(t *testing.T) {
	program := os.Getenv("WHET_REGISTRY")
	if program == "" {
		t.Skip("SKIPPED: WHET_REGISTRY does not name Debian's docker-registry")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s/data\nhttp:\n  addr: %s\n", dir, at)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for {
		if resp, err := http.Get("http://" + at + "/v2/"); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	send := func(method, url, media string, body []byte) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", media)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s %s", method, url, resp.Status, b)
		}
		return resp
	}
	blob := func(b []byte) {
		where := send("POST", "http://"+at+"/v2/zoo/cats/blobs/uploads/", "", nil).Header.Get("Location")
		mark := "?"
		if strings.Contains(where, "?") {
			mark = "&"
		}
		send("PUT", where+mark+"digest=sha256:"+sum(b), "application/octet-stream", b)
	}
	config := []byte("{}")
	blob(config)
	blob(model)
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": "sha256:" + sum(config), "size": len(config)},
		"layers": []any{map[string]any{
			"mediaType": "application/vnd.cncf.model.weight.v1.raw", "digest": "sha256:" + sum(model), "size": len(model),
			"annotations": map[string]string{pathKey: "cats.whet"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	send("PUT", "http://"+at+"/v2/zoo/cats/manifests/v1", "application/vnd.oci.image.manifest.v1+json", manifest)

	p := &Puller{FS: vfs.NewMem()}
	b, err := p.Find(t.Context(), "oci://"+at+"/zoo/cats:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(p.FS, b.Name+partMark, func(w io.Writer) error { _, err := w.Write(model[:len(model)/2]); return err }); err != nil {
		t.Fatal(err)
	}
	if err := p.Get(t.Context(), b, b.Name, nil); err != nil {
		t.Fatal(err)
	}
	if content(t, p.FS, "cats.whet") != string(model) {
		t.Error("another file has come")
	}
}

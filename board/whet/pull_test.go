package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/whet-edge/whet/board/demo"
)

func TestPull(t *testing.T) {
	base := demo.BaseFile()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/clothing.whet":
			_, _ = w.Write(base)
		case "/torn.whet":
			_, _ = w.Write(base[:len(base)/2])
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := t.TempDir()
	out := must(t, "pull", fmt.Sprintf("%s/clothing.whet#sha256=%x", s.URL, sha256.Sum256(base)), "-o", dir, "--json")
	var r pullReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "clothing.whet"))
	if err != nil || !bytes.Equal(got, base) || r.Bytes != int64(len(base)) || len(r.Digest) != 64 {
		t.Errorf("%d bytes, %v; %+v", len(got), err, r)
	}
	for _, address := range []string{s.URL + "/torn.whet", s.URL + "/gone.whet", s.URL + "/clothing.whet#sha256=" + fmt.Sprintf("%064d", 0)} {
		name := filepath.Join(dir, "no.whet")
		if code, _, _ := whet(t, "pull", address, "-o", name); code != exitFailed {
			t.Errorf("%s: exit %d", address, code)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s: a file is there", address)
		}
	}
}

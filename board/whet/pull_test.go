package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/sign"
)

func TestPull(t *testing.T) {
	base := demo.BaseFile()
	pub, key, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sign.Sign(key, bytes.NewReader(base), sign.Claim{Model: "clothing", Counter: 7})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/clothing.whet":
			_, _ = w.Write(base)
		case "/clothing.whet.minisig":
			_, _ = w.Write(signature)
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
	keys := filepath.Join(dir, "whet.pub")
	text, err := pub.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	write(t, keys, append(text, '\n'))
	out = must(t, "pull", s.URL+"/clothing.whet", "-o", dir, "--keys", keys, "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Signed == nil || r.Signed.Counter != 7 {
		t.Errorf("%v %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "clothing.whet.minisig")); err != nil {
		t.Error(err)
	}
	if code, _, msg := whet(t, "pull", s.URL+"/clothing.whet", "-o", filepath.Join(dir, "shoes.whet"), "--keys", keys); code != exitFailed || !strings.Contains(msg, sign.ErrOther.Error()) {
		t.Errorf("signed for another model: %d %s", code, msg)
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

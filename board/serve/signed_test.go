package serve

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// TestOnlySignedModelsServe gives a daemon with a key models that are signed,
// unsigned, for another name and old.
func TestOnlySignedModelsServe(t *testing.T) {
	pub, key, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signature := func(text, model string, counter uint64) string {
		t.Helper()
		sig, err := sign.Sign(key, strings.NewReader(text), sign.Claim{Model: model, Counter: counter})
		if err != nil {
			t.Fatal(err)
		}
		return string(sig)
	}
	put := func(text string, counter uint64) {
		t.Helper()
		write("good.whet", text)
		write("good.whet"+sign.Suffix, signature(text, "good", counter))
	}
	put("good", 5)
	write("bare.whet", "bare")
	write("renamed.whet", "good")
	write("renamed.whet"+sign.Suffix, signature("good", "good", 5))
	fsys := vfs.NewMem()
	st, err := store.Open(fsys, "/state", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Config{Models: dir, Store: st, Engine: &fakeEngine{}, Keys: sign.Keys{pub}})
	infer := func(model string) string { return "/v2/models/" + model + "/infer" }
	want(t, ask(s, "POST", infer("good"), fakeInfer), 200, "")
	want(t, ask(s, "POST", infer("bare"), fakeInfer), 404, "it is not signed")
	want(t, ask(s, "POST", infer("renamed"), fakeInfer), 404, "another model")
	load := func() int { return ask(s, "POST", "/v2/repository/models/good/load", "").Code }
	for _, tt := range []struct {
		text    string
		counter uint64
		code    int
	}{{"newer", 6, 200}, {"good", 5, 400}, {"newer", 6, 200}} {
		put(tt.text, tt.counter)
		if code := load(); code != tt.code {
			t.Errorf("%q with counter %d: %d, want %d", tt.text, tt.counter, code, tt.code)
		}
	}
	// The daemon remembers what it has seen.
	if st, err = store.Open(fsys.Crash(1, 0), "/state", store.Options{}); err != nil || st.Counter("good") != 6 {
		t.Errorf("after a power cut the counter is %d, %v", st.Counter("good"), err)
	}
	g := &gatekeeper{sign.Keys{pub}, st}
	for _, sig := range []string{"", "x", signature("other", "good", 9), signature("delta", "bare", 9)} {
		if _, err := g.delta([]byte("delta"), []byte(sig), "good"); err == nil {
			t.Errorf("a delta with the signature %.20q is let in", sig)
		}
	}
	accept, err := g.delta([]byte("delta"), []byte(signature("delta", "good", 1)), "good")
	if err != nil {
		t.Fatal(err)
	}
	if err := accept(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.delta([]byte("delta"), []byte(signature("delta", "good", 0)), "good"); err == nil {
		t.Error("an older delta is let in")
	}
	r := &http.Request{Header: http.Header{SignatureHeader: {base64.StdEncoding.EncodeToString([]byte("text"))}}}
	if b, err := signatureOf(r); err != nil || string(b) != "text" {
		t.Errorf("the header says %q, %v", b, err)
	}
}

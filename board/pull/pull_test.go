package pull

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

var model = []byte(strings.Repeat("a model of many bytes. ", 5000))

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// registry is an OCI registry with one model, which asks for a token and points to
// another path for blobs. cut, if not 0, ends an answer after so many bytes.
type registry struct {
	*httptest.Server
	cut    int
	layers []map[string]any
	ranges []string
}

func newRegistry(t *testing.T) *registry {
	r := &registry{layers: []map[string]any{
		{"mediaType": "text/markdown", "digest": "sha256:" + sum([]byte("readme")), "size": 6, "annotations": map[string]string{titleKey: "README.md"}},
		{"mediaType": "application/vnd.cncf.model.weight.v1.raw", "digest": "sha256:" + sum(model), "size": len(model), "annotations": map[string]string{pathKey: "cats.whet"}},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, `{"token":%q}`, "for "+req.URL.Query().Get("scope"))
	})
	guarded := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") != "Bearer for repository:zoo/cats:pull" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+r.URL+`/token",service="reg",scope="repository:zoo/cats:pull"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h(w, req)
		}
	}
	mux.HandleFunc("GET /v2/zoo/cats/manifests/{ref}", guarded(func(w http.ResponseWriter, req *http.Request) {
		if req.PathValue("ref") != "v1" && req.PathValue("ref") != "sha256:"+sum(r.manifest()) {
			http.Error(w, "manifest unknown", http.StatusNotFound)
			return
		}
		_, _ = w.Write(r.manifest())
	}))
	mux.HandleFunc("GET /v2/zoo/cats/blobs/{digest}", guarded(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "/store/cats", http.StatusTemporaryRedirect)
	}))
	mux.HandleFunc("GET /store/cats", func(w http.ResponseWriter, req *http.Request) {
		r.ranges = append(r.ranges, req.Header.Get("Range"))
		if r.cut > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(model)))
			_, _ = w.Write(model[:r.cut])
			return // too early: the server breaks the connection
		}
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(model)))
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func (r *registry) manifest() []byte {
	b, err := json.Marshal(map[string]any{"schemaVersion": 2, "layers": r.layers})
	if err != nil {
		panic(err)
	}
	return b
}

func (r *registry) ref(at string) string {
	return "oci://" + strings.TrimPrefix(r.URL, "http://") + "/zoo/cats" + at
}

func content(t *testing.T, fsys vfs.FS, name string) string {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A pull that is cut in half goes on where it was, and the file appears when it is
// whole.
func TestRegistryResumes(t *testing.T) {
	r := newRegistry(t)
	for _, at := range []string{":v1", "@sha256:" + sum(r.manifest())} {
		p := &Puller{FS: vfs.NewMem()}
		b, err := p.Find(t.Context(), r.ref(at))
		if err != nil {
			t.Fatal(err)
		}
		if b.Name != "cats.whet" || b.Size != int64(len(model)) || b.SHA256 != sum(model) {
			t.Fatalf("%+v", b)
		}
		r.ranges, r.cut = nil, len(model)/2
		if err := p.Get(t.Context(), b, "cats.whet", nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut in half: %v", err)
		}
		if content(t, p.FS, "cats.whet") != "" {
			t.Fatal("half a file has the model's name")
		}
		r.cut = 0
		var last int64
		p.Progress = func(done, total int64) {
			if total != int64(len(model)) || done <= last {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		}
		if err := p.Get(t.Context(), b, "cats.whet", nil); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("[ bytes=%d-]", len(model)/2); fmt.Sprint(r.ranges) != want || content(t, p.FS, "cats.whet") != string(model) || last != int64(len(model)) {
			t.Errorf("asked for %v, want %s", r.ranges, want)
		}
		if content(t, p.FS, "cats.whet.part") != "" {
			t.Error("the part is left")
		}
	}
}

// What is wrong is refused, leaves no model and does not spoil the next pull.
func TestRegistryRefuses(t *testing.T) {
	r := newRegistry(t)
	p := &Puller{FS: vfs.NewMem()}
	b, err := p.Find(t.Context(), r.ref(":v1"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := *b
	wrong.SHA256 = sum([]byte("another"))
	if err := p.Get(t.Context(), &wrong, "cats.whet", nil); !errors.Is(err, ErrDigest) {
		t.Errorf("wrong digest: %v", err)
	}
	bad := errors.New("not signed")
	if err := p.Get(t.Context(), b, "cats.whet", func(string) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("a check that fails: %v", err)
	}
	if content(t, p.FS, "cats.whet")+content(t, p.FS, "cats.whet.part") != "" {
		t.Error("something is left")
	}
	p.Limit = 1000
	if err := p.Get(t.Context(), b, "cats.whet", nil); err == nil {
		t.Error("more than the limit")
	}
	for _, ref := range []string{
		r.ref(":v2"), r.ref("@sha256:" + sum(nil)), "oci://host/UPPER:x", "oci://host/a:", "http://example.org/x.whet",
		"ftp://x/y", "x.whet", "https://example.org/x.whet#sha256=12", "https://example.org/x.whet#md5=12",
	} {
		if b, err := p.Find(t.Context(), ref); err == nil {
			t.Errorf("%s is %+v", ref, b)
		}
	}
	r.layers[0]["annotations"] = map[string]string{titleKey: "dogs.whet"}
	if _, err := p.Find(t.Context(), r.ref(":v1")); err == nil || !strings.Contains(err.Error(), "two models") {
		t.Errorf("two models: %v", err)
	}
}

// A disk that is full at any moment leaves the model that was there before.
func TestFullDisk(t *testing.T) {
	r := newRegistry(t)
	for n := range 40 {
		mem := vfs.NewMem()
		p := &Puller{FS: mem}
		if err := vfs.WriteFile(mem, "cats.whet", func(w io.Writer) error { _, err := io.WriteString(w, "old"); return err }); err != nil {
			t.Fatal(err)
		}
		b, err := p.Find(t.Context(), r.ref(":v1"))
		if err != nil {
			t.Fatal(err)
		}
		mem.FailNth(n, syscall.ENOSPC)
		err = p.Get(t.Context(), b, "cats.whet", nil)
		mem.Inject = nil
		want := "old"
		if err == nil {
			want = string(model)
		}
		got := content(t, mem, "cats.whet")
		if err != nil && got == string(model) {
			got = "old" // only the last step, the folder's fsync, failed
		}
		if got != want {
			t.Fatalf("call %d failed (%v): the file has %d bytes", n, err, len(got))
		}
		if err := p.Get(t.Context(), b, "cats.whet", nil); err != nil || content(t, mem, "cats.whet") != string(model) {
			t.Fatalf("call %d: the next pull: %v", n, err)
		}
	}
}

func TestWebAddress(t *testing.T) {
	ranges := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges += r.Header.Get("Range") + ";"
		if r.URL.Path == "/gone.whet" {
			http.Error(w, "no such file", http.StatusNotFound)
			return
		}
		if r.URL.Path == "/loop.whet" {
			http.Redirect(w, r, "/loop.whet", http.StatusFound)
			return
		}
		_, _ = w.Write(model) // a server without ranges
	}))
	defer s.Close()
	mem := vfs.NewMem()
	p := &Puller{FS: mem}
	b, err := p.Find(t.Context(), s.URL+"/dir/cats.whet#sha256="+strings.ToUpper(sum(model)))
	if err != nil || b.Name != "cats.whet" {
		t.Fatal(b, err)
	}
	if err := vfs.WriteFile(mem, "x.part", func(w io.Writer) error { _, err := w.Write(model[:100]); return err }); err != nil {
		t.Fatal(err)
	}
	if err := p.Get(t.Context(), b, "x", nil); err != nil || content(t, mem, "x") != string(model) || ranges != "bytes=100-;" {
		t.Errorf("%v, asked for %s", err, ranges)
	}
	for _, path := range []string{"/gone.whet", "/loop.whet"} {
		b, err := p.Find(t.Context(), s.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Get(t.Context(), b, "y", nil); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

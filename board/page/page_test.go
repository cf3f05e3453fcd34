package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxSize is what all files together may weigh: a phone on a board's own access
// point loads them.
const maxSize = 300 << 10

func get(t *testing.T, name string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", "/page/"+name, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	if !Serve(w, r, name) {
		t.Fatalf("there is no %q", name)
	}
	return w
}

func TestServe(t *testing.T) {
	whole := get(t, "")
	if whole.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(whole.Body.String(), "<title>whet</title>") {
		t.Errorf("the page is %s: %.80s", whole.Header().Get("Content-Type"), whole.Body)
	}
	if p := whole.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'") || strings.Contains(p, "unsafe") || strings.Contains(p, "http") {
		t.Errorf("the policy lets the page do more than it needs: %s", p)
	}
	packed := get(t, "", "Accept-Encoding", "br, gzip")
	r, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, whole.Body.Bytes()) {
		t.Errorf("packed, the page is another one (%v)", err)
	}
	if again := get(t, "", "If-None-Match", whole.Header().Get("Etag")); again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("a page that the browser has is sent again: %d", again.Code)
	}
	for _, name := range []string{"x", "../page.go", "web", "index.html/"} {
		if Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), name) {
			t.Errorf("%q is served", name)
		}
	}
}

// TestSelfContained checks that the page asks nobody but its daemon, and that
// what its files name is there.
func TestSelfContained(t *testing.T) {
	if n := Size(); n > maxSize {
		t.Errorf("the page has %d bytes, at most %d are allowed", n, maxSize)
	}
	far := regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9-]+\.[a-z]`)
	near := regexp.MustCompile(`(?:href|src)="([^"]+)"|from "\./([^"]+)"|new URL\("([^"]+)", import`)
	for name, f := range files() {
		if f.media == "" {
			t.Errorf("%s has no media type", name)
		}
		for _, u := range far.FindAllString(strings.ReplaceAll(string(f.body), "http://www.w3.org/2000/svg", ""), -1) {
			t.Errorf("%s asks %s", name, u)
		}
		for _, m := range near.FindAllStringSubmatch(string(f.body), -1) {
			if file := path.Base(m[1] + m[2] + m[3]); files()[file] == nil {
				t.Errorf("%s asks for %s, which is not there", name, file)
			}
		}
	}
}

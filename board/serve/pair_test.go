package serve

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

// lan is a server whose pages are for paired browsers, and what one of them does.
type lan struct {
	t     *testing.T
	s     *Server
	codes []string
}

func newLAN(t *testing.T, fsys vfs.FS) *lan {
	t.Helper()
	l := &lan{t: t}
	p, err := NewPairing(fsys, ".", func(code string) { l.codes = append(l.codes, code) })
	if err != nil {
		t.Fatal(err)
	}
	access := &Access{tls: &tls.Config{}}
	access.Pair(p)
	l.s = fakeServer(t, &fakeEngine{}, map[string]string{"m": "m"}, func(c *Config) { c.Access = access })
	return l
}

// ask sends a request over TLS, as a browser at the board's address does.
func (l *lan) ask(method, path string, cookie *http.Cookie, headers ...string) *httptest.ResponseRecorder {
	l.t.Helper()
	r := httptest.NewRequest(method, "https://192.168.1.5:8443"+path, strings.NewReader("{}"))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	l.s.Handler().ServeHTTP(w, r)
	return w
}

func (l *lan) code() string { return l.codes[len(l.codes)-1] }

func TestPairing(t *testing.T) {
	fsys := vfs.NewMem()
	l := newLAN(t, fsys)
	origin := []string{"Origin", "https://192.168.1.5:8443"}

	// Who is not paired gets the health, the pairing and nothing else.
	forged := &http.Cookie{Name: pairCookie, Value: secret(32)}
	for _, c := range []*http.Cookie{nil, forged} {
		for _, rt := range routeTable {
			method, path, _ := strings.Cut(rt.pattern, " ")
			path = strings.NewReplacer("{model}", "m", "{version}", "1", "{id}", "1", "{$}", "", "{file}", "app.js").Replace(path)
			code := l.ask(method, path, c, origin...).Code
			if open := rt.scope == scopeOpen; open == (code == 401) {
				t.Errorf("%s, not paired: %d", rt.pattern, code)
			}
		}
	}

	// Looking at the link does not use it up; a wrong one is refused.
	first := l.code()
	if w := l.ask("GET", "/pair/"+first, nil); w.Code != 200 || !strings.Contains(w.Body.String(), "<form") || len(w.Result().Cookies()) > 0 {
		t.Errorf("the link shows %d %s", w.Code, w.Body)
	}
	if w := l.ask("POST", "/pair/"+secret(16), nil); w.Code != 403 || len(w.Result().Cookies()) > 0 {
		t.Errorf("another code pairs: %d", w.Code)
	}
	w := l.ask("POST", "/pair/"+first, nil, "User-Agent", "Fire\nfox")
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 {
		t.Fatalf("pairing: %d, %d cookies", w.Code, len(cookies))
	}
	c := cookies[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie is loose: %+v", c)
	}
	if w := l.ask("POST", "/pair/"+first, nil); w.Code != 403 {
		t.Errorf("the link works twice: %d", w.Code)
	}
	if len(l.codes) != 2 || l.code() == first {
		t.Errorf("after one pairing there are the links %q", l.codes)
	}

	// The paired browser may do what the page does, and no more.
	for path, want := range map[string]int{"/": 200, "/page/app.js": 200, "/v2": 200, "/v2/models/m/about": 200, "/v2/models/m/samples": 200} {
		if w := l.ask("GET", path, c); w.Code != want {
			t.Errorf("GET %s, paired: %d, want %d", path, w.Code, want)
		}
	}
	if w := l.ask("POST", "/v2/repository/models/m/unload", c, origin...); w.Code != 403 {
		t.Errorf("a paired browser unloads a model: %d", w.Code)
	}
	// What another page has it send is refused.
	for _, from := range [][]string{nil, {"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://192.168.1.5:8000"}} {
		if w := l.ask("POST", "/v2/models/m/rollback", c, from...); w.Code != 403 {
			t.Errorf("from %q: %d", from, w.Code)
		}
	}
	if w := l.ask("POST", "/v2/models/m/rollback", c, origin...); w.Code != 409 { // there is nothing to go back to
		t.Errorf("from the page: %d", w.Code)
	}

	// After a restart it is still known; the file does not hold what lets it in.
	if w := newLAN(t, fsys).ask("GET", "/", c); w.Code != 200 {
		t.Errorf("after a restart: %d", w.Code)
	}
	b, err := vfs.ReadFile(fsys, "paired.json")
	if err != nil || strings.Contains(string(b), c.Value) || !strings.Contains(string(b), `"name":"Firefox"`) {
		t.Errorf("the file is %s (%v)", b, err)
	}

	// On this machine all is as without pairing.
	if w := ask(l.s, "GET", "/v2/models/m/about", ""); w.Code != 200 {
		t.Errorf("from this machine: %d", w.Code)
	}
	r := httptest.NewRequest("GET", "/v2/models/m/about", nil)
	r.Host = "evil.example"
	rec := httptest.NewRecorder()
	l.s.Handler().ServeHTTP(rec, r)
	if rec.Code != 403 {
		t.Errorf("by another name: %d", rec.Code)
	}
}

func TestPairingFileDamaged(t *testing.T) {
	fsys := vfs.NewMem()
	f, err := fsys.Create("paired.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(`[{"hash":`)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPairing(fsys, ".", func(string) {}); err == nil || !strings.Contains(err.Error(), "paired.json") {
		t.Errorf("a damaged file gives %v", err)
	}
}

func TestSelfSigned(t *testing.T) {
	fsys := vfs.NewMem()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	read := func(hosts []string, now time.Time) (*tls.Certificate, string) {
		t.Helper()
		cert, key, err := SelfSigned(fsys, ".", hosts, now)
		if err != nil {
			t.Fatal(err)
		}
		c, err := vfs.ReadFile(fsys, cert)
		if err != nil {
			t.Fatal(err)
		}
		k, err := vfs.ReadFile(fsys, key)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(c, k)
		if err != nil {
			t.Fatal(err)
		}
		return &pair, string(c)
	}
	hosts := []string{"192.168.1.5", "fe80::1", "pi", "pi.local"}
	pair, first := read(hosts, now)
	for _, h := range hosts {
		if err := pair.Leaf.VerifyHostname(h); err != nil {
			t.Error(err)
		}
	}
	if d := pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore); d > 826*24*time.Hour {
		t.Errorf("valid for %v: some browsers refuse that", d)
	}
	if _, again := read(hosts[:2], now.Add(700*24*time.Hour)); again != first {
		t.Error("a good certificate was replaced: browsers would warn again")
	}
	if _, again := read(append(slices.Clone(hosts), "10.0.0.7"), now); again == first {
		t.Error("the certificate lacks the new address")
	}
	_, second := read(hosts, now)
	if _, again := read(hosts, now.Add(820*24*time.Hour)); again == second {
		t.Error("the certificate runs out and was kept")
	}
	if err := fsys.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	read(hosts, now) // makes both anew
}

package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tokenOf is a token that is long enough.
func tokenOf(name string) string { return name + strings.Repeat("-", minToken) }

func writeTokens(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func testAccess(t *testing.T) *Access {
	t.Helper()
	text := "# name scopes token\n\n"
	for name := range scopeNames {
		text += name + "-only " + name + " " + tokenOf(name) + "\n"
	}
	a, err := NewAccess(AccessFiles{Tokens: writeTokens(t, text+"camera infer,sample "+tokenOf("camera"))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestEveryRouteHasAScope asks at every route with every token. A route that is
// added without a scope fails.
func TestEveryRouteHasAScope(t *testing.T) {
	var log strings.Builder
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "m"}, func(c *Config) { c.Access, c.Log = testAccess(t), slog.New(slog.NewJSONHandler(&log, nil)) })
	var open []string
	for _, rt := range routeTable {
		method, path, _ := strings.Cut(rt.pattern, " ")
		path = strings.NewReplacer("{model}", "m", "{version}", "1", "{id}", "1").Replace(path)
		code := func(auth string) int {
			rec := askWith(s, method, path, strings.NewReader("{}"), http.Header{"Authorization": {auth}})
			if rec.Code == 401 && rec.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s: 401 without WWW-Authenticate", rt.pattern)
			}
			return rec.Code
		}
		if rt.scope == scopeOpen || rt.scope == scopePage { // pages are for the paired where browsers are paired
			open = append(open, path)
			continue
		}
		if rt.scope == 0 {
			t.Errorf("%s has no scope", rt.pattern)
		}
		for _, none := range []string{"", "Bearer", "Bearer ", "Bearer " + tokenOf("other"), "Basic " + tokenOf("admin"), tokenOf("admin")} {
			if c := code(none); c != 401 {
				t.Errorf("%s with %q: %d, want 401", rt.pattern, none, c)
			}
		}
		for name, has := range scopeNames {
			c, allowed := code("bearer "+tokenOf(name)), has == rt.scope || has == scopeAdmin
			if allowed && (c == 401 || c == 403) || !allowed && c != 403 {
				t.Errorf("%s with the scope %s: %d", rt.pattern, name, c)
			}
		}
	}
	if diff := cmp.Diff([]string{"/v2/health/live", "/v2/health/ready", "/{$}", "/page/{file}", "/pair/{code}", "/pair/{code}"}, open); diff != "" {
		t.Errorf("open to everybody (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), `"client":"sample-only"`) {
		t.Error("the log does not name the client")
	}
	for name := range scopeNames {
		if strings.Contains(log.String(), tokenOf(name)) {
			t.Error("a token is in the log")
		}
	}
}

func TestRouteWithoutScopeIsClosed(t *testing.T) {
	for _, a := range []*Access{nil, {}, testAccess(t)} {
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+tokenOf("admin"))
		if _, err := a.check(r, 0); status(err) != 403 {
			t.Errorf("%v", err)
		}
	}
}

func TestTokenFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no token",
		"# only a comment":               "no token",
		"a infer":                        "line 1: it has 2 words",
		"a infer, sample " + tokenOf(""): "line 1: it has 4 words",
		"\na root " + tokenOf(""):        `line 2: there is no scope "root"`,
		"a infer short":                  "can be guessed",
		"a infer " + tokenOf("x") + "\nb admin " + tokenOf("x"): "line 2: the token of a again",
		strings.Repeat("x", 70_000):                             "no token file",
	} {
		path := writeTokens(t, text)
		_, err := NewAccess(AccessFiles{Tokens: path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.40q: %v, want ... %s", text, err, want)
		} else if strings.Contains(err.Error(), tokenOf("")) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	if runtime.GOOS != "windows" {
		path := writeTokens(t, "a infer "+tokenOf(""))
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := NewAccess(AccessFiles{Tokens: path}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("everybody can read it: %v", err)
		}
	}
}

// testCertificate writes a certificate for 127.0.0.1 and clients, signed by
// itself, and its key.
func testCertificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestPublicListener(t *testing.T) {
	dir := t.TempDir()
	cert, key := testCertificate(t, dir, "server")
	clientCert, clientKey := testCertificate(t, dir, "client")
	tokens := writeTokens(t, "a infer "+tokenOf("a"))
	for name, f := range map[string]AccessFiles{
		"nothing":   {},
		"no TLS":    {Tokens: tokens},
		"no tokens": {Cert: cert, Key: key, ClientCA: clientCert},
	} {
		a, err := NewAccess(f)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := Listen("0.0.0.0:0", a); err == nil {
			l.Close()
			t.Errorf("%s: it listens for everybody", name)
		}
	}
	a, err := NewAccess(AccessFiles{Tokens: tokens, Cert: cert, Key: key, ClientCA: clientCert})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen("0.0.0.0:0", a)
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "s")
	lu, err := Listen("unix:"+sock, a)
	if err != nil {
		t.Fatal(err)
	}
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "m"}, func(c *Config) { c.Access = a })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l, lu) }()

	ca, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	shown, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(Address(l), "https://") {
		t.Errorf("it says %s", Address(l))
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	get := func(client *tls.Config, host, path, token string) int {
		tr := &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}
		req, err := http.NewRequest("GET", "https://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	with := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{shown}}
	old := with.Clone()
	old.MaxVersion = tls.VersionTLS11
	for _, c := range []struct {
		name              string
		client            *tls.Config
		host, path, token string
		want              int
	}{
		{"token", with, "", "/v2/models/m", tokenOf("a"), 200},
		{"by the board's name", with, "shop.example", "/v2/models/m", tokenOf("a"), 200},
		{"probe", with, "shop.example", "/v2/health/ready", "", 200},
		{"no token", with, "", "/v2/models/m", "", 401},
		{"wrong scope", with, "", "/v2/models/m/samples", tokenOf("a"), 403},
		{"no certificate", &tls.Config{RootCAs: roots}, "", "/v2/models/m", tokenOf("a"), 0},
		{"TLS 1.1", old, "", "/v2/models/m", tokenOf("a"), 0},
	} {
		if got := get(c.client, c.host, c.path, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	unix := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", sock)
	}}
	resp, err := (&http.Client{Transport: unix}).Get("http://whet/v2/models/m")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("on the unix socket: %s", resp.Status)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRenewedCertificate: a new certificate is used without a restart, a broken
// one is not.
func TestRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := testCertificate(t, dir, "c")
	c := &certificate{cert: cert, key: key}
	first, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	again := func(changed time.Time) *tls.Certificate {
		t.Helper()
		if err := os.Chtimes(cert, changed, changed); err != nil {
			t.Fatal(err)
		}
		c.checked = time.Time{}
		p, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again(time.Now().Add(time.Hour)) != first {
		t.Error("a broken certificate replaced the good one")
	}
	testCertificate(t, dir, "c")
	if p := again(time.Now().Add(2 * time.Hour)); p == first {
		t.Error("the renewed certificate is not used")
	}
	for _, f := range []AccessFiles{{Cert: cert}, {Key: key}, {ClientCA: cert}, {Cert: key, Key: key}, {Cert: cert, Key: key, ClientCA: key}, {Cert: "none", Key: key}} {
		if _, err := NewAccess(f); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

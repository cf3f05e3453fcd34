package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDo(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+string(b))
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, at := range []string{plain.URL, secure.URL} {
		c := &Client{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		req, err := http.NewRequestWithContext(t.Context(), "PUT", at+"/x", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if want := "PUT " + req.Host + " body"; err != nil || string(b) != want || resp.StatusCode != http.StatusTeapot {
			t.Errorf("%d %q, %v; want %q", resp.StatusCode, b, err, want)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	// A certificate that nobody vouches for is refused.
	req, _ := http.NewRequestWithContext(t.Context(), "GET", secure.URL, nil)
	if _, err := new(Client).Do(req); err == nil {
		t.Error("a stranger's certificate is taken")
	}
	ctx, stop := context.WithCancel(t.Context())
	req, _ = http.NewRequestWithContext(ctx, "GET", plain.URL+"/hang", nil)
	go stop()
	if _, err := new(Client).Do(req); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	req, _ = http.NewRequestWithContext(t.Context(), "GET", "ftp://user:secret@host/x", nil)
	if _, err := new(Client).Do(req); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden exchanges anew")

// long lets simulations run until their figures are steady.
var long = flag.Bool("long", false, "simulate more runs")

const goldenFile = "testdata/exchanges.txt"

// shownHeaders are the reply headers that the exchanges show.
var shownHeaders = []string{"Content-Type", "Content-Length", "Inference-Header-Content-Length", "Location", "Allow", "Retry-After"}

// TestGoldenExchanges plays testdata/exchanges.txt to a server: lines that begin
// with ">" are sent (request line, headers, an empty line, the body; \xNN in a
// body stands for a byte), lines that begin with "<" are what must come back.
// "~ wait" waits for training, "~ teach N" adds samples. Every route must occur.
func TestGoldenExchanges(t *testing.T) {
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	s := testServer(t, nil)
	seen := map[string]bool{}
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		switch line := lines[i]; {
		case strings.HasPrefix(line, ">"):
			var request []string
			for ; i < len(lines) && strings.HasPrefix(lines[i], ">"); i++ {
				request = append(request, strings.TrimPrefix(strings.TrimPrefix(lines[i], ">"), " "))
				out.WriteString(lines[i] + "\n")
			}
			for i < len(lines) && strings.HasPrefix(lines[i], "<") {
				i++
			}
			out.WriteString(strings.ReplaceAll(play(t, s, request, seen), s.cfg.Models, "DIR"))
		case strings.HasPrefix(line, "~"):
			directive(t, s, line)
			fallthrough
		default:
			out.WriteString(line + "\n")
			i++
		}
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(out.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), strings.Join(lines, "\n")+"\n"; got != want && !*update {
		t.Errorf("the exchanges differ (go test -update writes them anew):\n%s", firstDifference(got, want))
	}
	for _, r := range routeTable {
		if !seen[r.pattern] {
			t.Errorf("no exchange shows %s", r.pattern)
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			from := max(0, i-6)
			return fmt.Sprintf("line %d\ngot\n%s\nwant\n%s", i+1, strings.Join(g[from:min(len(g), i+3)], "\n"), strings.Join(w[min(from, len(w)):min(len(w), i+3)], "\n"))
		}
	}
	return "the end is missing"
}

func directive(t *testing.T, s *Server, line string) {
	t.Helper()
	f := strings.Fields(line)
	switch f[1] {
	case "wait":
		s.wait()
	case "teach":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		teach(t, s, n)
	default:
		t.Fatalf("what is %q?", line)
	}
}

// play sends a request and returns the reply in the form of the file.
func play(t *testing.T, s *Server, request []string, seen map[string]bool) string {
	t.Helper()
	method, target, _ := strings.Cut(request[0], " ")
	headers, body := request[1:], ""
	for i, l := range headers {
		if l == "" {
			body = unescape(t, strings.Join(headers[i+1:], "\n"))
			headers = headers[:i]
			break
		}
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8000"
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, r)
	for _, rt := range routeTable {
		if matches(rt.pattern, method, r.URL.Path) {
			seen[rt.pattern] = true
			break
		}
	}
	return show(t, rec)
}

// matches is a small second opinion on http.ServeMux: literal segments first.
func matches(pattern, method, path string) bool {
	m, p, _ := strings.Cut(pattern, " ")
	want, have := strings.Split(p, "/"), strings.Split(path, "/")
	if m != method || len(want) != len(have) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != have[i] {
			return false
		}
	}
	return true
}

// elide hides what belongs to the training rather than to the exchange.
var elide = regexp.MustCompile(`"(report|delta|progress|ns|last_inference|byte_size|peak_bytes)":([0-9]+|\{[^{}]*\}|\{.*?\}\}|"[0-9a-f]{64}")`)

func show(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "< %d %s\n", rec.Code, http.StatusText(rec.Code))
	if rec.Header().Get(requestIDHeader) == "" {
		t.Error("a reply has no request id")
	}
	for _, h := range shownHeaders {
		if v := rec.Header().Get(h); v != "" && (h != "Content-Length" || rec.Header().Get("Content-Type") == "application/octet-stream") {
			fmt.Fprintf(&b, "< %s: %s\n", h, v)
		}
	}
	b.WriteString("<\n")
	body := rec.Body.Bytes()
	switch ct := rec.Header().Get("Content-Type"); {
	case strings.HasPrefix(ct, "text/"), strings.HasPrefix(ct, "image/svg"), ct == "application/zip":
		b.WriteString("< (not shown)\n")
	case ct == "application/json":
		var v bytes.Buffer
		if err := json.Indent(&v, bytes.TrimRight(elide.ReplaceAll(body, []byte(`"$1":"..."`)), "\n"), "", " "); err != nil {
			t.Errorf("a reply is not JSON: %v\n%s", err, body)
		}
		for l := range strings.SplitSeq(compactArrays(v.String()), "\n") {
			fmt.Fprintf(&b, "< %s\n", l)
		}
	default:
		fmt.Fprintf(&b, "< %s\n", strings.Trim(strconv.QuoteToASCII(string(body)), `"`))
	}
	return b.String()
}

// compactArrays puts arrays of numbers on one line.
func compactArrays(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "[\n")
		if i < 0 {
			return b.String() + s
		}
		j := i + strings.IndexByte(s[i:], ']') + 1
		if inner := s[i:j]; !strings.ContainsAny(inner, "{\"") {
			b.WriteString(s[:i] + strings.Join(strings.Fields(inner), ""))
			s = s[j:]
			continue
		}
		b.WriteString(s[:i+2])
		s = s[i+2:]
	}
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	if !strings.Contains(s, `\x`) {
		return s
	}
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u
}

// TestOverASocket asks over real connections, TCP and unix, that the handler's
// answers come through and that stopping is clean.
func TestOverASocket(t *testing.T) {
	s := testServer(t, nil)
	sock := t.TempDir() + "/s"
	lu, err := Listen("unix:"+sock, nil)
	if err != nil {
		t.Fatal(err)
	}
	lt, err := Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, lu, lt) }()
	viaUnix := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", sock)
	}}}
	for _, c := range []struct {
		client *http.Client
		url    string
		host   string
		want   int
	}{
		{http.DefaultClient, Address(lt), "", 200},
		{http.DefaultClient, Address(lt), "evil.example", 403},
		{viaUnix, "http://whet", "", 200},
		{viaUnix, "http://anything.example", "", 200},
	} {
		req, err := http.NewRequest("GET", c.url+"/v2/health/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.want {
			t.Errorf("%s (host %q): %d %s %v, want %d", c.url, c.host, resp.StatusCode, body, err, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	viaUnix.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}
	if _, err := os.Stat(sock); err == nil {
		t.Error("the socket is still there")
	}
}

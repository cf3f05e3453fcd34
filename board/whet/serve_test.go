package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
)

// TestMain lets the daemon of a test start the test's program as its worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" && os.Args[2] == "worker" {
		main()
	}
	if name := os.Getenv("WHET_TEST_CAMERA"); name != "" {
		camera(name)
	}
	os.Exit(m.Run())
}

// camera is a program that writes one picture again and again.
func camera(name string) {
	b, err := os.ReadFile(name)
	for err == nil {
		_, err = os.Stdout.Write(b)
	}
	os.Exit(1)
}

// notify is a writer that tells when something was first written to it.
type notify struct {
	mu    sync.Mutex
	b     bytes.Buffer
	first chan struct{}
}

func (n *notify) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.b.Len() == 0 {
		close(n.first)
	}
	return n.b.Write(p)
}

// serving runs whet serve until the test ends or stop is called, and returns
// what it printed when it was ready.
func serving(t *testing.T, args ...string) (ready string, stop func() (code int, stderr string)) {
	t.Helper()
	return background(t, append([]string{"serve"}, args...)...)
}

// background runs a command until the test ends or stop is called, and returns what
// it printed first.
func background(t *testing.T, args ...string) (first string, stop func() (code int, stderr string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout := &notify{first: make(chan struct{})}
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- execute(ctx, args, stdout, &stderr) }()
	select {
	case <-stdout.first:
	case code := <-done:
		cancel()
		t.Fatalf("whet %s ended with %d\n%s", args[0], code, &stderr)
	}
	stop = sync.OnceValues(func() (int, string) {
		cancel()
		return <-done, stderr.String()
	})
	t.Cleanup(func() { stop() })
	return stdout.b.String(), stop
}

// serveDirs returns a folder with the demo's model and a torn one, and a place
// for the state that is short enough for a socket.
func serveDirs(t *testing.T) (models, state string) {
	t.Helper()
	models = t.TempDir()
	base := demo.BaseFile()
	for name, b := range map[string][]byte{"fashion": base, "torn": base[:1000]} {
		if err := os.WriteFile(filepath.Join(models, name+".whet"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state, err := os.MkdirTemp("", "whet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	return models, state
}

func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

func TestServe(t *testing.T) {
	models, state := serveDirs(t)
	sock := filepath.Join(state, "s")
	ready, stop := serving(t, "--models", models, "--state", state, "--listen", "unix:"+sock, "--json")
	var r struct {
		Listen      []string `json:"listen"`
		Ready       int      `json:"models_ready"`
		Unavailable int      `json:"models_unavailable"`
	}
	if err := json.Unmarshal([]byte(ready), &r); err != nil || r.Ready != 1 || r.Unavailable != 1 || len(r.Listen) != 1 || r.Listen[0] != "unix:"+sock {
		t.Errorf("it says %s (%v)", ready, err)
	}
	resp, err := overSocket(sock).Get("http://whet/v2/models/fashion/ready")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the model is not ready: %s", resp.Status)
	}
	var stderr bytes.Buffer
	code := execute(context.Background(), []string{"serve", "--models", models, "--state", state, "--listen", "unix:" + sock + "2"}, &stderr, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "another whet serve") {
		t.Errorf("a second one on the same state: %d %s", code, &stderr)
	}
	if code, log := stop(); code != exitDone {
		t.Errorf("it ended with %d\n%s", code, log)
	}
}

func TestServeDelta(t *testing.T) {
	models, state := serveDirs(t)
	base, err := format.Open(filepath.Join(models, "fashion.whet"))
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := format.Open(filepath.Join(models, "fashion.whet"))
	if err != nil {
		t.Fatal(err)
	}
	tuned.Header.Labels = append([]string{"clog"}, tuned.Header.Labels[1:]...)
	d, err := format.Diff(base, tuned)
	if err != nil {
		t.Fatal(err)
	}
	delta := filepath.Join(t.TempDir(), "tuned.whetd")
	if err := format.WriteDeltaFile(delta, d); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(state, "s")
	for range 2 { // after a restart it is the same version
		_, stop := serving(t, "--models", models, "--state", state, "--listen", sock, "--delta", delta)
		resp, err := overSocket(sock).Get("http://whet/v2/models/fashion/versions")
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Current  string
			Versions []struct{ Version string }
		}
		err = json.NewDecoder(resp.Body).Decode(&v)
		resp.Body.Close()
		if err != nil || v.Current != "2" || len(v.Versions) != 2 {
			t.Errorf("the versions are %+v, %v", v, err)
		}
		if code, log := stop(); code != exitDone {
			t.Fatalf("it ended with %d\n%s", code, log)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	models, state := serveDirs(t)
	tokens := filepath.Join(models, "tokens")
	if err := os.WriteFile(tokens, []byte("me admin "+strings.Repeat("x", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"public":             {[]string{"--listen", "0.0.0.0:8000"}, exitUsage, "use 127.0.0.1:8000"},
		"no host":            {[]string{"--listen", ":8000"}, exitUsage, "use 127.0.0.1:8000"},
		"public with tokens": {[]string{"--listen", "0.0.0.0:8000", "--token-file", tokens}, exitUsage, "--tls-cert"},
		"key without cert":   {[]string{"--tls-key", "key.pem"}, exitUsage, "--tls-cert"},
		"no tokens":          {[]string{"--token-file", "none"}, exitFailed, "none"},
		"no folder":          {[]string{"--models", filepath.Join(models, "none"), "--listen", "127.0.0.1:0"}, exitFailed, "none"},
		"no delta":           {[]string{"--delta", "none.whetd", "--listen", "127.0.0.1:0"}, exitFailed, "none.whetd"},
		"quota":              {[]string{"--quota", "much"}, exitUsage, "much"},
		"memory":             {[]string{"--child-memory", "some"}, exitUsage, "--child-memory some"},
		"no time":            {[]string{"--warm-up-limit", "0s"}, exitUsage, "--warm-up-limit"},
		"no sessions":        {[]string{"--sessions", "0"}, exitUsage, "--sessions"},
		"argument":           {[]string{"kws.whet"}, exitUsage, "kws.whet"},
	} {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		code := execute(ctx, append([]string{"serve", "--models", models, "--state", state}, c.args...), &out, &out)
		cancel()
		if code != c.code || !strings.Contains(out.String(), c.text) {
			t.Errorf("%s: exit %d, want %d ... %s\n%s", name, code, c.code, c.text, &out)
		}
	}
}

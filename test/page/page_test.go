// Package page drives the daemon's web page in a real browser: every control, on
// a desktop's and on a phone's width, the latter over the network through
// whet serve --lan. It needs Node, Chromium and two npm
// packages:
//
//	npm --prefix test/page install --no-package-lock
//	WHET_BROWSER=/usr/bin/chromium go test ./test/page -v
//
// Words and photos are taught too, with more variables (see teach_test.go).
// WHET_SHOTS names a folder for pictures of what was seen. test/page/netns, as
// root, lets the phone come from another network namespace.
package page

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// browserTime bounds one run of the browser.
const browserTime = 4 * time.Minute

func TestPage(t *testing.T) {
	needsBrowser(t)
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "../walk/pictures", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("desktop", func(t *testing.T) {
		browse(t, "page.mjs", daemon(t, demoModel(t), filepath.Join(dir, "hot")), "desktop", dir)
	})
	t.Run("phone", func(t *testing.T) { // which comes over the network
		browse(t, "page.mjs", lan(t), "phone", dir)
	})
}

func needsBrowser(t *testing.T) {
	t.Helper()
	if os.Getenv("WHET_BROWSER") == "" {
		t.Skip("SKIPPED: WHET_BROWSER does not name a browser (see the package's comment)")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("npm --prefix test/page install --no-package-lock comes first")
	}
}

// browse has a script walk through the page.
func browse(t *testing.T, script, url, device, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	defer cancel()
	command := []string{"node", script, url, device, dir}
	if space, host, ok := strings.Cut(os.Getenv("WHET_NETNS"), " "); ok && device == "phone" {
		command[2] = regexp.MustCompile(`//.*:`).ReplaceAllString(url, "//"+host+":")
		command = append([]string{"ip", "netns", "exec", space}, command...)
	}
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// demoModel is a folder of models with the demo's network.
func demoModel(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "clothing.whet"), demo.BaseFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lan starts the program itself with --lan and returns the link that it shows.
func lan(t *testing.T) (link string) {
	t.Helper()
	dir := demoModel(t)
	program := filepath.Join(dir, "whet")
	if out, err := exec.Command("go", "build", "-o", program, "../../board/whet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "serve", "--models", dir, "--state", filepath.Join(dir, "state"), "--listen", "127.0.0.1:0", "--lan")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	found := regexp.MustCompile(`https://\S+/pair/[0-9a-f]+`)
	sc := bufio.NewScanner(stderr)
	for sc.Scan() {
		if link = found.FindString(sc.Text()); link != "" {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return link
		}
	}
	t.Fatal("whet serve --lan showed no link")
	return ""
}

// resting trains in this process and rests when it is told to, as a child process of
// the daemon does.
type resting struct {
	serve.Tuner
	paused atomic.Bool
}

func (r *resting) Pause(on bool) { r.paused.Store(on) }

func (r *resting) Train(ctx context.Context, task serve.Task, progress func(serve.Progress)) (*serve.Outcome, error) {
	for r.paused.Load() {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return r.Tuner.Train(ctx, task, progress)
}

// daemon serves a folder of models on a port of its own. Its board gets hot as soon
// as there is a file of that name.
func daemon(t *testing.T, models, hot string) (url string) {
	t.Helper()
	st, err := store.Open(vfs.OS, t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	board := func() *info.Board {
		b := info.Read("/")
		b.Hot, b.Zones = 80, []info.Zone{{Name: "cpu", Celsius: 45}}
		if _, err := os.Stat(hot); err == nil {
			b.Zones[0].Celsius = 78
		}
		return b
	}
	s, err := serve.New(serve.Config{
		Models: models, Store: st, Engine: serve.Runtime{}, Trainer: &resting{}, Version: "test", Board: board, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// Package serve plays the clients that people use against whet serve.
package serve

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/whet-edge/whet/board/demo"
)

// pythonEnv names a Python that has tritonclient[http].
const pythonEnv = "WHET_TRITONCLIENT_PYTHON"

// TestTritonClient runs Triton's own Python client, unchanged, against whet serve.
//
//	python3 -m venv /tmp/triton && /tmp/triton/bin/pip install 'tritonclient[http]'
//	WHET_TRITONCLIENT_PYTHON=/tmp/triton/bin/python go test ./test/serve -v
func TestTritonClient(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("set %s to a Python with tritonclient[http] to run Triton's client against whet serve", pythonEnv)
	}
	url, stop := serve(t)
	out, err := exec.Command(python, "testdata/client.py", url, "fashion").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v\n%s\n%s", err, out, stop())
	}
}

// serve runs whet serve on a free port of this machine, with the demo's model
// and a torn one, and returns its HOST:PORT and a function that stops it and
// returns its log.
func serve(t *testing.T) (url string, stop func() string) {
	base := demo.BaseFile()
	return start(t, nil, map[string][]byte{"fashion": base, "torn": base[:len(base)/2]})
}

// serveOn runs whet serve under a command, with a model file (the demo's if
// there is none) as "model", and returns its HOST:PORT.
func serveOn(t *testing.T, command []string, file string) (url string) {
	t.Helper()
	m := demo.BaseFile()
	if file != "" {
		var err error
		if m, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	url, _ = start(t, command, map[string][]byte{"model": m})
	return url
}

// start starts whet serve with these models, on a TCP port. stop ends it and
// returns its log.
func start(t *testing.T, command []string, models map[string][]byte) (url string, stop func() string) {
	t.Helper()
	url, _, stop = startBoth(t, command, models)
	return url, stop
}

// startBoth is start, on a unix socket also.
func startBoth(t *testing.T, command []string, models map[string][]byte) (url, socket string, stop func() string) {
	t.Helper()
	dir := t.TempDir()
	whet := filepath.Join(dir, "whet")
	if out, err := exec.Command("go", "build", "-o", whet, "../../board/whet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, b := range models {
		if err := os.WriteFile(filepath.Join(dir, name+".whet"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	socket = filepath.Join(dir, "socket")
	command = append(slices.Clip(command), whet, "serve", "--models", dir, "--state", filepath.Join(dir, "state"), "--listen", "127.0.0.1:0", "--listen", "unix:"+socket, "--json")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct{ Listen []string }
	err = json.NewDecoder(bufio.NewReader(stdout)).Decode(&ready)
	stopped := false
	stop = func() string {
		if !stopped {
			stopped = true
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("whet serve ended with %v\n%s", err, &log)
			}
		}
		return log.String()
	}
	t.Cleanup(func() { stop() })
	if err != nil || len(ready.Listen) != 2 {
		t.Fatalf("it does not come up: %v\n%s", err, stop())
	}
	return strings.TrimPrefix(ready.Listen[0], "http://"), socket, stop
}

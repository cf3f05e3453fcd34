package serve

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPeers measures whet serve beside servers as people write them in Python,
// with FastAPI and uvicorn around onnxruntime and LiteRT, on the same model:
// requests a second, times and memory, with one client and with eight, in turns.
// Each runs with one thread on core 0, this program should have another one:
//
//	python3 -m venv P && P/bin/pip install fastapi uvicorn numpy onnxruntime ai-edge-litert
//	WHET_PEERS=5s WHET_PEERS_PYTHON=P/bin/python WHET_MODEL=mobilenet_v2.whet WHET_ONNX=mobilenet_v2.onnx \
//	  WHET_TFLITE=mobilenet_v2.tflite taskset -c 1 go test -v -run Peers ./test/serve
//
// A picture is a byte a number for all; what their models take else, the Python
// servers make of it.
func TestPeers(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("WHET_PEERS"))
	python := os.Getenv("WHET_PEERS_PYTHON")
	if err != nil || python == "" {
		t.Skip("set WHET_PEERS=5s and WHET_PEERS_PYTHON to a Python with fastapi, uvicorn, onnxruntime and ai_edge_litert to measure their servers beside whet serve")
	}
	number := filepath.Join(t.TempDir(), "pid")
	l := newLoad(t, serveOn(t, []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, number, "env", "WHET_SERVE_THREADS=1", "taskset", "-c", "0"}, os.Getenv("WHET_MODEL")))
	said, err := os.ReadFile(number)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(said)))
	if err != nil {
		t.Fatal(err)
	}
	jsonLen, err := strconv.Atoi(l.header)
	if err != nil {
		t.Fatal(err)
	}
	picture := l.body[jsonLen:]
	peers := []peer{{name: "whet serve", pid: pid, ask: func() error { return whole(l.ask()) }}}
	for kind, model := range map[string]string{"onnxruntime": os.Getenv("WHET_ONNX"), "litert": os.Getenv("WHET_TFLITE")} {
		if model == "" {
			t.Logf("%s is left out: no model is given", kind)
			continue
		}
		peers = append(peers, startPython(t, python, kind, model, picture))
	}
	const rounds = 3
	for _, clients := range []int{1, 8} {
		all := make([]outcome, len(peers))
		for range rounds {
			for i, p := range peers {
				all[i].add(closed(t, p.ask, clients, d/rounds))
			}
		}
		for i, p := range peers {
			o := &all[i]
			t.Logf("%-30s %d client(s): %6.1f requests a second, p50 %v p99 %v, %d failed, RSS %d MiB",
				p.name, clients, float64(len(o.took))/d.Seconds(), o.p(50).Round(10*time.Microsecond), o.p(99).Round(10*time.Microsecond), o.other, resident(t, p.pid)>>20)
			if o.other > 0 || len(o.took) == 0 {
				t.Errorf("%s fails", p.name)
			}
		}
	}
}

// A peer is a server that is measured.
type peer struct {
	name string
	pid  int
	ask  func() error
}

func whole(_ time.Duration, code int, _ string) error {
	if code != http.StatusOK {
		return fmt.Errorf("answered %d", code)
	}
	return nil
}

// startPython starts the server in testdata and waits until it answers.
func startPython(t *testing.T, python, kind, model string, picture []byte) peer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command("taskset", "-c", "0", python, "testdata/fastapi_server.py", kind, model, strconv.Itoa(addr.Port))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()         // which says that it was killed
	})
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	ask := func() error {
		resp, err := client.Post("http://"+addr.String()+"/infer", "application/octet-stream", bytes.NewReader(picture))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		return whole(0, resp.StatusCode, "")
	}
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := ask()
		if err == nil {
			return peer{"FastAPI, uvicorn, " + kind, cmd.Process.Pid, ask}
		}
		if time.Since(begun) > time.Minute {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // its log is complete then
			t.Fatalf("%s does not come up: %v\n%s", kind, err, &log)
		}
	}
}

// closed lets clients ask, each anew when it has its answer.
func closed(t *testing.T, ask func() error, clients int, d time.Duration) *outcome {
	o := &outcome{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	begun := time.Now()
	for range clients {
		wg.Go(func() {
			for time.Since(begun) < d {
				start := time.Now()
				err := ask()
				took := time.Since(start)
				mu.Lock()
				if err == nil {
					o.took = append(o.took, took)
				} else if o.other++; o.other == 1 {
					t.Log(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return o
}

// resident is the memory of a process that is in RAM, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s*(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("process %d has no memory: %s", pid, b)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

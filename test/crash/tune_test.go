// Package crash kills the programs at random moments and looks at what is left.
package crash

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/demo"
)

const (
	killsEnv      = "WHET_CRASH_KILLS" // how often `whet tune` is killed; 50 takes ten minutes
	tailEnv       = "WHET_CRASH_TAIL"  // what it trains; head if not set
	runEnv        = "WHET_CRASH_RUN"   // what an unbroken run takes at least; 20s if not set
	killsPerJob   = 5
	trainingPhase = 1 // of a job's file, see package ondevice
)

// TestTuneKilled kills `whet tune` at random moments, continues it with
// --resume, and compares the delta at the end with that of an unbroken run,
// byte for byte. Each job is killed several times; at least four fifths of the
// kills must hit it between its first and its last checkpoint.
//
//	WHET_CRASH_KILLS=50 go test ./test/crash -run TuneKilled -v -timeout 1h
//	WHET_CRASH_KILLS=1000 WHET_CRASH_RUN=2s go test ./test/crash -run TuneKilled -v -timeout 1h
func TestTuneKilled(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(killsEnv))
	if err != nil || kills < 1 {
		t.Skipf("set %s=50 to kill whet tune 50 times (ten minutes)", killsEnv)
	}
	shortestRun := 20 * time.Second
	if v := os.Getenv(runEnv); v != "" {
		if shortestRun, err = time.ParseDuration(v); err != nil {
			t.Fatalf("%s: %v", runEnv, err)
		}
	}
	dir := t.TempDir()
	whet := filepath.Join(dir, "whet")
	if out, err := exec.Command("go", "build", "-o", whet, "../../board/whet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	model, data := filepath.Join(dir, "base.whet"), filepath.Join(dir, "data.npz")
	if err := os.WriteFile(model, demo.BaseFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	writeData(t, data)

	epochs, tail := 4000, os.Getenv(tailEnv)
	switch tail {
	case "", "head":
		tail = "head"
	default: // takes far longer a step
		epochs = 20
	}
	tune := func(work string) *exec.Cmd {
		cmd := exec.Command(whet, "tune", model, "--data", data, "-o", filepath.Join(work, "tuned.whetd"),
			"--epochs", fmt.Sprint(epochs), "--threads", "1", "--tail", tail, "--resume")
		cmd.Stderr = new(bytes.Buffer)
		return cmd
	}
	// The unbroken run, with as many epochs as take long enough here.
	var whole time.Duration
	var want []byte
	for {
		work := t.TempDir()
		start := time.Now()
		finish(t, tune(work))
		whole = time.Since(start)
		if whole >= shortestRun {
			want = read(t, filepath.Join(work, "tuned.whetd"))
			break
		}
		epochs = int(float64(epochs) * min(10, 1.3*shortestRun.Seconds()/whole.Seconds()))
	}
	t.Logf("unbroken: %d epochs in %v, a delta of %d bytes", epochs, whole.Round(time.Second/10), len(want))

	rng := rand.New(rand.NewPCG(uint64(kills), 1))
	done, inside := 0, 0
	for done < kills {
		work := t.TempDir()
		out := filepath.Join(work, "tuned.whetd")
		ended := false
		for k := 0; k < killsPerJob && done < kills && !ended; k++ {
			after := time.Duration(rng.Int64N(int64(whole) * 2 / (killsPerJob + 1)))
			cmd := tune(work)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			exit := make(chan error, 1)
			go func() { exit <- cmd.Wait() }()
			select {
			case err := <-exit: // it was faster than the first time
				if err != nil {
					t.Fatalf("after %d kills: %v\n%s", done, err, cmd.Stderr)
				}
				ended = true
			case <-time.After(after):
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				<-exit // that it was killed
				done++
				if phase(t, out+".job") == trainingPhase {
					inside++
				}
				if b, err := os.ReadFile(out); err == nil && !bytes.Equal(b, want) {
					t.Fatalf("kill %d, %v after the start, left a delta of %d bytes that is not the right one", done, after, len(b))
				} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
		}
		if !ended {
			finish(t, tune(work))
		}
		if got := read(t, out); !bytes.Equal(got, want) {
			t.Fatalf("after %d kills in all: the delta differs from the unbroken run's", done)
		}
		names, err := os.ReadDir(work)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if strings.HasPrefix(n.Name(), ".") {
				t.Errorf("temporary file %s is left", n.Name())
			}
		}
		t.Logf("%d kills, %d of them in training", done, inside)
	}
	if inside*5 < done*4 {
		t.Errorf("only %d of %d kills hit a job between its first and its last checkpoint", inside, done)
	}
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, cmd.Stderr)
	}
}

// phase reads the phase from the newer of a job's two checkpoints; -1 if there is none.
func phase(t *testing.T, path string) int {
	t.Helper()
	found, newest := -1, uint64(0)
	for _, name := range []string{path, path + ".2"} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		const at = 8 + 8 + 32 + 32 // magic, generation, two digests
		if len(b) < at+4 || string(b[:7]) != "WHETJOB" {
			t.Fatalf("%s: %d bytes that are not a job", name, len(b))
		}
		if generation := binary.LittleEndian.Uint64(b[8:]); generation >= newest {
			found, newest = int(binary.LittleEndian.Uint32(b[at:])), generation
		}
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeData writes the demo's test images of the base network's classes as an
// .npz of int8 inputs x and class numbers y.
func writeData(t *testing.T, path string) {
	t.Helper()
	sets, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var x, y []byte
	n := 0
	for i, c := range sets[0].Label {
		if c >= demo.Old {
			continue
		}
		for _, p := range sets[0].Pixels[i] {
			x = append(x, p^0x80) // the input's zero point is -128
		}
		y = append(y, byte(c))
		n++
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	npy(t, z, "x.npy", "|i1", fmt.Sprintf("(%d, %d, %d, 1)", n, demo.Side, demo.Side), x)
	npy(t, z, "y.npy", "|u1", fmt.Sprintf("(%d,)", n), y)
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// npy adds an array in NumPy's format 1.0 to an archive.
func npy(t *testing.T, z *zip.Writer, name, descr, shape string, data []byte) {
	t.Helper()
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	for _, part := range [][]byte{[]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head))), []byte(head), data} {
		if _, err := io.Copy(w, bytes.NewReader(part)); err != nil {
			t.Fatal(err)
		}
	}
}

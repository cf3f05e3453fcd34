package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const (
	jobKillsEnv = "WHET_CRASH_JOB_KILLS"  // how often a job is killed; 1000 takes ten minutes
	fileLimit   = "WHET_CRASH_FILE_LIMIT" // of test/crash/job
)

// buildJob builds test/crash/job, for a guest too: without the C library.
func buildJob(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job")
	cmd := exec.Command("go", "build", "-o", path, "./job")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// TestJobKilled kills training jobs at random moments, a checkpoint being written after
// every step, and resumes them. Now and then the newest checkpoint is torn as well, the
// disk is full for a while, or files cannot grow beyond a size in the middle of a
// checkpoint. Every job must go on from what is left, never step back by more than it must,
// and end with the bytes of an unbroken one.
//
//	WHET_CRASH_JOB_KILLS=1000 go test ./test/crash -run JobKilled -v -timeout 1h
func TestJobKilled(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(jobKillsEnv))
	if err != nil || kills < 1 {
		t.Skipf("set %s=1000 to kill training jobs 1000 times (ten minutes)", jobKillsEnv)
	}
	program := buildJob(t)
	run := func(dir, kind string, limit int64) *exec.Cmd {
		cmd := exec.Command(program, dir, kind)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		if limit > 0 {
			cmd.Env = append(cmd.Env, fmt.Sprint(fileLimit, "=", limit))
		}
		cmd.Stderr = new(bytes.Buffer)
		return cmd
	}
	type unbroken struct {
		delta []byte
		took  time.Duration
	}
	want := map[string]unbroken{}
	for _, kind := range []string{"sgd", "adamw", "folds", "bias"} {
		dir := t.TempDir()
		start := time.Now()
		finish(t, run(dir, kind, 0))
		want[kind] = unbroken{read(t, filepath.Join(dir, "delta")), time.Since(start)}
		t.Logf("%s: unbroken in %v", kind, want[kind].took.Round(time.Millisecond))
	}
	rng := rand.New(rand.NewPCG(uint64(kills), 2))
	full := newSmallDisk(t)
	var killed, torn, short, filled, ended int
	for killed < kills {
		for kind, w := range want {
			dir := t.TempDir()
			onSmallDisk := full != "" && rng.IntN(4) == 0
			if onSmallDisk {
				dir = filepath.Join(full, "work")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			last := uint64(0)
			for over := false; !over; {
				after := time.Duration(rng.Int64N(int64(w.took) / 2))
				cmd, ballast := run(dir, kind, 0), ""
				switch {
				case rng.IntN(8) == 0:
					cmd = run(dir, kind, 1+rng.Int64N(12<<10))
				case onSmallDisk && rng.IntN(2) == 0:
					ballast = fill(t, full, rng.Int64N(96<<10))
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				stop := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
				err := cmd.Wait()
				stop.Stop()
				switch {
				case err == nil:
					over = true
				case cmd.ProcessState.ExitCode() < 0: // by the signal
					killed++
				case ballast != "":
					filled++
				case bytes.Contains(cmd.Stderr.(*bytes.Buffer).Bytes(), []byte("file too large")):
					short++
				default:
					t.Fatalf("%s after %d kills: %v\n%s", kind, killed, err, cmd.Stderr)
				}
				if ballast != "" {
					if err := os.Remove(ballast); err != nil {
						t.Fatal(err)
					}
				}
				newest, generation := newestSlot(t, dir)
				if generation < last && !over {
					t.Fatalf("%s: kill %d lost checkpoints: generation %d after %d", kind, killed, generation, last)
				}
				last = generation
				if generation > 2 && !over && rng.IntN(5) == 0 {
					tear(t, rng, newest)
					torn++
					last--
				}
				if b, err := os.ReadFile(filepath.Join(dir, "delta")); err == nil && !bytes.Equal(b, w.delta) {
					t.Fatalf("%s: kill %d left a delta of %d bytes that is not the right one", kind, killed, len(b))
				} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(read(t, filepath.Join(dir, "delta")), w.delta) {
				t.Fatalf("%s: after %d kills in all the delta differs from the unbroken run's", kind, killed)
			}
			ended++
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d jobs ended with the right bytes after %d kills, %d torn checkpoints, %d short writes, %d times a full disk",
		ended, killed, torn, short, filled)
}

// newestSlot returns the newer of a job's two files and its generation, and checks that
// what is there is whole.
func newestSlot(t *testing.T, dir string) (path string, generation uint64) {
	t.Helper()
	for _, name := range []string{"job", "job.2"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 16 || string(b[:7]) != "WHETJOB" {
			continue // torn before, and not yet replaced
		}
		if g := binary.LittleEndian.Uint64(b[8:]); g > generation {
			path, generation = filepath.Join(dir, name), g
		}
	}
	return path, generation
}

// tear leaves a file as a disk may that lost a part of what it was told to flush.
func tear(t *testing.T, rng *rand.Rand, path string) {
	t.Helper()
	b := read(t, path)
	at := rng.IntN(len(b))
	switch rng.IntN(3) {
	case 0:
		b = b[:at]
	case 1:
		clear(b[at:])
		b = append(b, 1) // zeros behind zeros would be no damage
	case 2:
		b[at] ^= 1 << rng.IntN(8)
	}
	if at < 16 {
		copy(b, make([]byte, 8)) // so that newestSlot sees it, too
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fill takes all but some bytes of a small disk.
func fill(t *testing.T, dir string, left int64) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for block := make([]byte, 4096); ; {
		n, err := f.Write(block)
		if size += int64(n); err != nil {
			break // it is full
		}
	}
	if err := errors.Join(f.Truncate(max(0, size-left)), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

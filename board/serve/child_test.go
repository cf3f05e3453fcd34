package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
)

// TestMain lets a test run this program as a child that misbehaves as the first
// argument says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "child" {
		e := &fakeEngine{run: func(ctx context.Context, in [][]byte) error { misbehave(os.Args[2], ""); return nil }}
		t := fakeTrainer(func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
			return trainInChild(ctx, os.Args[2], task, progress)
		})
		if os.Args[2] == "by model" {
			if err := Work(context.Background(), os.Stdin, os.Stdout, wayward{e}, t); err != nil {
				os.Exit(1)
			}
			os.Exit(0)
		}
		if err := Work(context.Background(), os.Stdin, os.Stdout, e, t); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// wayward lets the text of the model say how it misbehaves.
type wayward struct{ Engine }

func (w wayward) Open(path string, delta []byte) (Model, error) {
	misbehave("", string(delta))
	return w.Engine.Open(path, delta)
}

var eaten [][]byte

func misbehave(how, delta string) {
	switch how + delta {
	case "panics":
		done := make(chan int)
		go func() { panic("a goroutine's panic, which nobody can recover") }()
		<-done
	case "gulps":
		eaten = append(eaten, make([]byte, 8<<30)) // more than this machine may have
		clear(eaten[0])
	case "hangs":
		for {
			time.Sleep(time.Hour)
		}
	case "eats":
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			eaten = append(eaten, b)
			time.Sleep(time.Millisecond)
		}
	case "babbles":
		fmt.Println("hello")
		time.Sleep(time.Hour)
	case "exits":
		os.Exit(3)
	}
}

func trainInChild(ctx context.Context, how string, task Task, progress func(Progress)) (*Outcome, error) {
	progress(Progress{Phase: "train", Step: 1})
	misbehave(how, "")
	if how == "waits" {
		<-ctx.Done()
		if err := os.WriteFile(task.File, []byte("checkpoint"), 0o600); err != nil {
			return nil, err
		}
		return nil, ctx.Err()
	}
	sum := 0
	for _, id := range task.Samples {
		in, err := task.Inputs(id)
		if err != nil {
			return nil, err
		}
		label, _ := task.Label(id)
		sum += int(in[0][0]) * len(label)
	}
	return &Outcome{Passed: true, Delta: fmt.Append(nil, task.Model, sum, string(task.Delta), task.Labels, task.Options.Epochs), Tuned: .5}, nil
}

func testChild(t testing.TB, how string) *Child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Child{Command: []string{self, "child", how}, Warm: 20 * time.Second, Quiet: 20 * time.Second}
}

func testTask(t *testing.T) Task {
	return Task{
		Model: "m", Delta: []byte("d"), File: filepath.Join(t.TempDir(), "job"), Labels: []string{"a"}, Samples: []uint64{3, 4}, Options: TrainOptions{Epochs: 9},
		Label:  func(id uint64) (string, bool) { return strings.Repeat("x", int(id)), true },
		Inputs: func(id uint64) ([][]byte, error) { return [][]byte{{byte(10 * id)}}, nil },
	}
}

func TestChildTrains(t *testing.T) {
	steps := 0
	o, err := testChild(t, "").Train(t.Context(), testTask(t), func(p Progress) { steps += p.Step })
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(o.Delta), " ", "") != "m250d[a]9" || !o.Passed || o.Tuned != .5 || steps != 1 {
		t.Errorf("%s %+v, %d steps", o.Delta, o, steps)
	}
	task := testTask(t)
	task.Inputs = func(id uint64) ([][]byte, error) { return nil, oip.Errorf(404, "sample %d is gone", id) }
	if _, err := testChild(t, "").Train(t.Context(), task, func(Progress) {}); err == nil || err.Error() != "sample 3 is gone" {
		t.Errorf("a sample that is gone: %v", err)
	}
	task.Label = func(uint64) (string, bool) { return "", false }
	if _, err := testChild(t, "").Train(t.Context(), task, func(Progress) {}); err == nil || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("a sample without a label: %v", err)
	}
}

// TestChildStops: the child is told to stop, writes its checkpoint, and is
// waited for.
func TestChildStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	task := testTask(t)
	_, err := testChild(t, "waits").Train(ctx, task, func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(task.File); err != nil || string(b) != "checkpoint" {
		t.Errorf("%q %v", b, err)
	}
}

// TestChildRests pauses a child: it makes no step and is not held to be hanging,
// goes on when it may, and ends when it is told to although it rests.
func TestChildRests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("children rest on Linux")
	}
	t.Parallel()
	c := testChild(t, "")
	c.Quiet = 4 * time.Second // in which a busy machine starts a process
	c.Pause(true)
	done := make(chan error)
	go func() {
		_, err := c.Train(t.Context(), testTask(t), func(Progress) {})
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not rest: %v", err)
	case <-time.After(c.Quiet + time.Second/2):
	}
	c.Pause(false)
	c.Pause(true)
	c.Pause(false)
	if err := <-done; err != nil {
		t.Errorf("after its rest: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	task := testTask(t)
	waits := testChild(t, "waits")
	_, err := waits.Train(ctx, task, func(Progress) {
		waits.Pause(true)
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(task.File); err != nil || string(b) != "checkpoint" {
		t.Errorf("%q %v", b, err)
	}
}

func TestChildMisbehaves(t *testing.T) {
	for how, want := range map[string]string{
		"panics":  "a goroutine's panic",
		"hangs":   "nothing came of it",
		"babbles": "not understood",
		"exits":   "exit status 3",
		"eats":    "more than 96 MiB",
		"gulps":   "out of memory",
	} {
		if (how == "eats" || how == "gulps") && (runtime.GOOS != "linux" || raceDetector) {
			continue // memory is watched on Linux
		}
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := testChild(t, how)
			if how == "hangs" {
				c.Warm, c.Quiet = time.Second, time.Second
			}
			if how == "eats" || how == "gulps" {
				c.Memory = 96 << 20
			}
			path := filepath.Join(t.TempDir(), "m")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.Try(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("trying: %v, want ... %s", err, want)
			}
			if _, err := c.Train(t.Context(), testTask(t), func(Progress) {}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("training: %v, want ... %s", err, want)
			}
		})
	}
	c := testChild(t, "")
	c.Command[0] += "-not-there"
	if err := c.Try(t.Context(), "m", nil); err == nil || !strings.Contains(err.Error(), "does not start") {
		t.Errorf("no program: %v", err)
	}
}

// TestUpOnTheLastGoodVersion: versions that would take the process down are
// found out in a child; the server comes up on the one before and says why.
func TestUpOnTheLastGoodVersion(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector does not fit into the children's memory limit")
	}
	for how, why := range map[string]string{"panics": "a goroutine's panic", "hangs": "nothing came of it", "eats": "more than 96 MiB"} {
		if how == "eats" && runtime.GOOS != "linux" {
			continue
		}
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "m.whet"), []byte("m"), 0o600); err != nil {
				t.Fatal(err)
			}
			e, fsys := &fakeEngine{}, vfs.NewMem()
			cfg := Config{Models: dir, Store: testStore(t, fsys), Engine: e}
			s := startServer(t, cfg) // without a trial, so that bad versions come to serve
			publish(t, s, "m", "good")
			bad := publish(t, s, "m", how)
			s.repo.close()
			s.jobs.stop()
			c := testChild(t, "by model")
			c.Warm, c.Memory = 20*time.Second, 96<<20
			hasty := testChild(t, "by model")
			hasty.Warm, hasty.Memory = time.Second, c.Memory
			tries := 0
			cfg.Trial = trialFunc(func(ctx context.Context, path string, delta []byte) error {
				tries++
				if string(delta) == "hangs" { // the good ones may be slow to start on a busy machine
					return hasty.Try(ctx, path, delta)
				}
				return c.Try(ctx, path, delta)
			})
			start := time.Now()
			s = startServer(t, cfg)
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("up after %v", took)
			}
			want(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer), 200, `"model_version":"2"`)
			want(t, ask(s, "POST", "/v2/repository/index", ""), 200, why)
			want(t, ask(s, "POST", "/v2/models/m/promote", `{"version":"`+bad+`"}`), 409, why)
			if tries != 3 {
				t.Errorf("%d tries, want 3: what was found good is not tried again", tries)
			}
			s.repo.close()
			startServer(t, cfg)
			if tries != 4 {
				t.Errorf("%d tries after a second start, want 4: only the bad version", tries)
			}
		})
	}
}

// publish makes a delta a version and lets it serve.
func publish(t *testing.T, s *Server, model, delta string) string {
	t.Helper()
	v, err := s.cfg.Store.Publish(model, store.Version{Base: "digest of m", Parent: store.Base}, []byte(delta))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.promote(t.Context(), model, v.Version); err != nil {
		t.Fatal(err)
	}
	return v.Version
}

type trialFunc func(ctx context.Context, path string, delta []byte) error

func (f trialFunc) Try(ctx context.Context, path string, delta []byte) error {
	return f(ctx, path, delta)
}

// The parent hears of the beginning and the end of each phase, not of every step.
func TestProgressIsSparse(t *testing.T) {
	var out strings.Builder
	w := &worker{out: json.NewEncoder(&out)}
	tell := w.progress()
	const steps = 10_000
	for _, phase := range []string{"extract", "train"} {
		for step := 1; step <= steps; step++ {
			tell(Progress{Phase: phase, Step: step, Steps: steps})
		}
	}
	heard := map[string][]int{}
	n := 0
	for dec := json.NewDecoder(strings.NewReader(out.String())); dec.More(); n++ {
		var m message
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		heard[m.Progress.Phase] = append(heard[m.Progress.Phase], m.Progress.Step)
	}
	for phase, at := range heard {
		if at[0] != 1 || at[len(at)-1] != steps {
			t.Errorf("%s: heard of steps %d to %d", phase, at[0], at[len(at)-1])
		}
	}
	if len(heard) != 2 || n > steps {
		t.Errorf("%d messages of %d phases", n, len(heard))
	}
}

func TestCurveIsBounded(t *testing.T) {
	var curve []Progress
	const steps = 100_000
	for step := range steps {
		older, n := curve, len(curve)
		curve = grow(curve, Progress{Step: step})
		if n > 1 && (older[0].Step != 0 || older[1].Step == older[0].Step) {
			t.Fatal("the older curve changed")
		}
	}
	if len(curve) > maxCurve || len(curve) < maxCurve/4 || curve[0].Step != 0 || curve[len(curve)-1].Step != steps-1 {
		t.Errorf("%d points from %d to %d", len(curve), curve[0].Step, curve[len(curve)-1].Step)
	}
	for i := 1; i < len(curve); i++ {
		if curve[i].Step <= curve[i-1].Step {
			t.Fatalf("point %d is of step %d, the one before of %d", i, curve[i].Step, curve[i-1].Step)
		}
	}
}

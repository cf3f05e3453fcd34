package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/board/store"
)

func fakeSample(t *testing.T, s *Server, label string) {
	t.Helper()
	rec := ask(s, "POST", "/v2/models/m/samples", strings.TrimSuffix(fakeInfer, "}")+fmt.Sprintf(`,"label":%q}`, label))
	want(t, rec, 201, label)
}

func TestTrainingOutcomes(t *testing.T) {
	passed := &Outcome{Passed: true, Delta: []byte("tuned"), Report: []byte(`{}`)}
	for _, c := range []struct {
		name    string
		trainer fakeTrainer
		body    string
		want    []string
	}{
		{"passed", func(context.Context, Task, func(Progress)) (*Outcome, error) { return passed, nil }, "",
			[]string{`"state":"passed"`, `"version":"2"`, `"promoted":false`}},
		{"promoted", func(context.Context, Task, func(Progress)) (*Outcome, error) { return passed, nil }, `{"promote":true}`,
			[]string{`"state":"passed"`, `"promoted":true`}},
		{"rejected", func(context.Context, Task, func(Progress)) (*Outcome, error) {
			return &Outcome{Reason: "worse than before"}, nil
		}, "", []string{`"state":"rejected"`, "worse than before"}},
		{"failed", func(context.Context, Task, func(Progress)) (*Outcome, error) { return nil, errors.New("no memory") }, "",
			[]string{`"state":"failed"`, "no memory"}},
		{"panicked", func(context.Context, Task, func(Progress)) (*Outcome, error) { panic("oh") }, "",
			[]string{`"state":"failed"`, "panicked: oh"}},
		{"not loadable", func(context.Context, Task, func(Progress)) (*Outcome, error) {
			return &Outcome{Passed: true, Delta: []byte("torn")}, nil
		}, `{"promote":true}`, []string{`"state":"failed"`, "does not load"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(cfg *Config) { cfg.Trainer = c.trainer })
			fakeSample(t, s, "a")
			fakeSample(t, s, "b")
			want(t, ask(s, "POST", "/v2/models/m/train", c.body), 202, `"state":"running"`)
			s.wait()
			rec := ask(s, "GET", "/v2/models/m/train", "")
			for _, w := range c.want {
				want(t, rec, 200, w)
			}
			if jobs, err := s.cfg.Store.Jobs(); err != nil || len(jobs) != 0 {
				t.Errorf("the ended job is kept: %q %v", jobs, err)
			}
			s.jobs.last = map[string]*JobStatus{} // as after a restart
			for _, w := range c.want {
				want(t, ask(s, "GET", "/v2/models/m/train", ""), 200, w)
			}
			// Whatever came of it, the model is served, and by what was asked for.
			_, out := answer(t, ask(s, "POST", "/v2/models/m/infer", fakeInfer))
			if tuned := c.name == "promoted"; tuned != (out == "base+tuned") {
				t.Errorf("the model answers %q", out)
			}
		})
	}
}

func TestOneJobAtATimeAndCancel(t *testing.T) {
	began := make(chan Task)
	trainer := fakeTrainer(func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
		progress(Progress{Phase: "train", Step: 3, Steps: 10, Loss: 0.5})
		began <- task
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base", "n": "base"}, func(cfg *Config) { cfg.Trainer = trainer })
	fakeSample(t, s, "a")
	want(t, ask(s, "POST", "/v2/models/m/train", ""), 409, "of 1 of 2 classes")
	fakeSample(t, s, "b")
	fakeSample(t, s, "c")
	want(t, ask(s, "POST", "/v2/models/m/train", `{"epochs":7}`), 202, `"samples":3`)
	task := <-began
	if task.Options.Epochs != 7 || len(task.Samples) != 3 || task.Delta != nil {
		t.Errorf("the task is %+v", task)
	}
	if l, ok := task.Label(task.Samples[2]); l != "c" || !ok {
		t.Errorf("sample 3 is labelled %q", l)
	}
	if in, err := task.Inputs(task.Samples[0]); err != nil || len(in) != 1 || len(in[0]) != 1 {
		t.Errorf("sample 1 is %v, %v", in, err)
	}
	want(t, ask(s, "GET", "/v2/models/m/train", ""), 200, `"step":3,"steps":10,"loss":0.5`)
	want(t, ask(s, "POST", "/v2/models/m/train", ""), 409, "one at a time")
	want(t, ask(s, "DELETE", "/v2/models/n/train", ""), 409, "no training job")
	want(t, ask(s, "DELETE", "/v2/models/m/train", ""), 200, `"state":"cancelled"`)
	if jobs, err := s.cfg.Store.Jobs(); err != nil || len(jobs) != 0 {
		t.Errorf("the cancelled job is kept: %q %v", jobs, err)
	}
}

// TestSampleDeletedUnderAJob deletes a sample before the trainer has read it: it
// must start again without.
func TestSampleDeletedUnderAJob(t *testing.T) {
	var s *Server
	runs := 0
	trainer := fakeTrainer(func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
		if runs++; runs == 1 {
			if _, err := s.cfg.Store.Delete("m", task.Samples[1]); err != nil {
				return nil, err
			}
		}
		for _, id := range task.Samples {
			if _, err := task.Inputs(id); err != nil {
				return nil, fmt.Errorf("reading: %v", err)
			}
		}
		return &Outcome{Reason: fmt.Sprintf("%d samples", len(task.Samples))}, nil
	})
	s = fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, func(cfg *Config) { cfg.Trainer = trainer })
	for _, l := range []string{"a", "b", "c"} {
		fakeSample(t, s, l)
	}
	want(t, ask(s, "POST", "/v2/models/m/train", ""), 202, "")
	s.wait()
	want(t, ask(s, "GET", "/v2/models/m/train", ""), 200, `"reason":"2 samples"`)
	if runs != 2 {
		t.Errorf("it trained %d times", runs)
	}
}

// TestJobGoesOnAfterARestart stops a server in the middle of a job; the next one
// must take it up with the samples that it began with.
func TestJobGoesOnAfterARestart(t *testing.T) {
	began := make(chan Task, 1)
	first := fakeTrainer(func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
		began <- task
		<-ctx.Done()
		return nil, ctx.Err()
	})
	e := &fakeEngine{}
	s := fakeServer(t, e, map[string]string{"m": "base"}, func(cfg *Config) { cfg.Trainer = first })
	fakeSample(t, s, "a")
	fakeSample(t, s, "b")
	want(t, ask(s, "POST", "/v2/models/m/train", `{"seed":5,"promote":true}`), 202, "")
	before := <-began
	fakeSample(t, s, "c") // does not belong to the job
	s.jobs.stop()
	if st := s.jobs.latest("m"); st.State != jobPaused {
		t.Errorf("the job is %q", st.State)
	}
	want(t, ask(s, "POST", "/v2/models/m/train", ""), 503, "stops")

	cfg := s.cfg
	cfg.Trainer = fakeTrainer(func(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
		began <- task
		return &Outcome{Passed: true, Delta: []byte("tuned")}, nil
	})
	s.repo.close()
	s2 := startServer(t, cfg)
	after := <-began
	s2.wait()
	if fmt.Sprint(after.Samples) != fmt.Sprint(before.Samples) || after.Options.Seed != 5 || after.File != before.File {
		t.Errorf("it went on with %+v", after)
	}
	if _, out := answer(t, ask(s2, "POST", "/v2/models/m/infer", fakeInfer)); out != "base+tuned" {
		t.Errorf("the model answers %q", out)
	}
}

func TestNoTrainer(t *testing.T) {
	s := fakeServer(t, &fakeEngine{}, map[string]string{"m": "base"}, nil)
	for _, l := range []string{"a", "b"} {
		if _, err := s.cfg.Store.Add(store.Sample{Model: "m", Label: l, Form: "UINT8[1]", Data: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	want(t, ask(s, "POST", "/v2/models/m/train", ""), 501, "without training")
}

// TestInterruptedTuningGivesTheSameDelta stops real training at its third
// epoch and takes it up; then does so with a sample deleted in between.
func TestInterruptedTuningGivesTheSameDelta(t *testing.T) {
	s := testServer(t, nil)
	teach(t, s, 8)
	ids := s.jobs.sampleIDs("kws", ^uint64(0))
	task := Task{
		Model: s.repo.path("kws"), Labels: []string{"no", "yes", "up"}, Samples: ids,
		Options: TrainOptions{Epochs: 6, Rate: 0.02, Seed: 3},
		Label:   func(id uint64) (string, bool) { i, ok := s.cfg.Store.Info(id); return i.Label, ok },
		Inputs: func(id uint64) ([][]byte, error) {
			sample, err := s.cfg.Store.Get(id)
			if err != nil {
				return nil, err
			}
			return [][]byte{sample.Data}, nil
		},
	}
	train := func(task Task, stopAt int) (*Outcome, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return Tuner{}.Train(ctx, task, func(p Progress) {
			if p.Phase == "train" && p.Step == stopAt {
				cancel()
			}
		})
	}
	task.File = filepath.Join(t.TempDir(), "whole")
	whole, err := train(task, -1)
	if err != nil || !whole.Passed {
		t.Fatalf("%+v, %v", whole, err)
	}
	task.File = filepath.Join(t.TempDir(), "broken")
	if _, err := train(task, 3); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	again, err := train(task, -1)
	if err != nil || !bytes.Equal(again.Delta, whole.Delta) {
		t.Errorf("it went on to a delta of %d bytes (whole: %d), %v", len(again.Delta), len(whole.Delta), err)
	}
	plain := jobFiles(t, task.File)
	sealed := task
	sealed.File, sealed.Key = filepath.Join(t.TempDir(), "sealed"), bytes.Repeat([]byte{5}, store.KeySize)
	if _, err := train(sealed, 3); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	if part := inCommon(plain, jobFiles(t, sealed.File)); part != nil || inCommon(plain, plain) == nil {
		t.Errorf("what is to be encrypted holds %q as what is not does", part)
	}
	again, err = train(sealed, -1)
	if err != nil || !bytes.Equal(again.Delta, whole.Delta) {
		t.Errorf("encrypted it went on to a delta of %d bytes (whole: %d), %v", len(again.Delta), len(whole.Delta), err)
	}
	if inCommon(plain, jobFiles(t, sealed.File)) != nil {
		t.Error("at its end an encrypted job has left what it learned from")
	}
	sealed.File = task.File // of a job that was begun without a key
	if _, err := train(sealed, -1); err != nil {
		t.Errorf("the job is not begun anew: %v", err)
	}
	task.File = filepath.Join(t.TempDir(), "fewer")
	if _, err := train(task, 3); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	task.Samples = ids[1:]
	if o, err := train(task, -1); err != nil || o.Report == nil {
		t.Errorf("with other samples than it began with: %v", err)
	}
}

// jobFiles is the content of all files in a job's folder: its checkpoints and
// its cache of features.
func jobFiles(t *testing.T, file string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// inCommon returns eight bytes of a that are in b, too, and not all the same;
// nil if there are none.
func inCommon(a, b []byte) []byte {
	for part := range slices.Chunk(a, 8) {
		if bytes.Count(part, part[:1]) < len(part) && len(part) == 8 && bytes.Contains(b, part) {
			return part
		}
	}
	return nil
}

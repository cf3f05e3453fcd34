package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/runtime"
)

// Tuner is the [Trainer] on package ondevice.
type Tuner struct {
	Options []runtime.Option // level and threads
}

// Train implements [Trainer].
func (t Tuner) Train(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
	base, start, err := openModel(task.Model, task.Delta)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	var epoch ondevice.Epoch // the last one
	plan, err := t.plan(start, task, func(p ondevice.Progress) {
		if p.Phase == "train" {
			epoch = p.Epoch
		}
		progress(Progress{Phase: p.Phase, Step: p.Done, Steps: p.Total, Loss: epoch.Loss, ValLoss: epoch.ValLoss, ValAccuracy: epoch.ValAccuracy})
	})
	if err != nil {
		return nil, err
	}
	delta, report, err := carryOut(ctx, plan, task.File)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Passed: report.Passed, Reason: report.Verdict}
	if report.Base != nil && report.Tuned != nil {
		o.Base, o.Tuned = report.Base.Accuracy, report.Tuned.Accuracy
	}
	if o.Report, err = json.Marshal(reportOf(report)); err != nil {
		return nil, err
	}
	if !report.Passed {
		return o, nil
	}
	// A version is one delta over the model file, so that it depends on no other.
	tuned, err := format.Apply(start, delta)
	if err != nil {
		return nil, err
	}
	if start != base {
		if delta, err = format.Diff(base, tuned); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	if err := format.WriteDelta(&b, delta); err != nil {
		return nil, err
	}
	o.Delta = b.Bytes()
	return o, nil
}

// plan prepares the tuning of a model.
func (t Tuner) plan(start *format.Model, task Task, progress func(ondevice.Progress)) (*ondevice.TunePlan, error) {
	data, err := newTaskData(task)
	if err != nil {
		return nil, err
	}
	var files vfs.FS
	if task.Key != nil {
		if files, err = store.SealFS(vfs.OS, task.Key); err != nil {
			return nil, err
		}
	}
	return ondevice.Plan(start, data, ondevice.Options{
		FS:      files,
		Classes: data.classes(task),
		Epochs:  task.Options.Epochs, LR: float32(task.Options.Rate), Batch: task.Options.Batch,
		Val: task.Options.Validation, Memory: task.Options.Memory, Seed: task.Options.Seed, Runtime: t.Options,
		Progress: progress,
	})
}

// Plan implements [Trainer].
func (t Tuner) Plan(_ context.Context, task Task) (*Estimate, error) {
	base, start, err := openModel(task.Model, task.Delta)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	p, err := t.plan(start, task, nil)
	if err != nil {
		return nil, err
	}
	return &Estimate{
		Tail: p.Tail.String(), Node: p.Node, Classes: p.Classes, New: p.New, Params: p.Params,
		Samples: p.Samples, Epochs: p.Epochs, Steps: p.Steps, PeakBytes: p.PeakBytes,
	}, nil
}

// carryOut continues the job, or begins it anew if what there is of it belongs
// to other samples: some may have been deleted since.
func carryOut(ctx context.Context, plan *ondevice.TunePlan, file string) (*format.Delta, *ondevice.Report, error) {
	job, err := ondevice.Resume(ctx, plan, file)
	if err == nil {
		// The job ends soon after ctx does, with a last checkpoint: it is waited for.
		delta, report, err := job.Wait(context.Background())
		if !errors.Is(err, ondevice.ErrJob) {
			return delta, report, err
		}
	} else if !errors.Is(err, ondevice.ErrJob) && !errors.Is(err, store.ErrSealed) { // sealed: it was begun before there was a key
		return nil, nil, err
	}
	if job, err = ondevice.Start(ctx, plan, file); err != nil {
		return nil, nil, err
	}
	return job.Wait(context.Background())
}

// taskData is a task's samples as package ondevice reads them.
type taskData struct {
	task   Task
	labels []string
}

func newTaskData(task Task) (*taskData, error) {
	d := &taskData{task: task}
	for _, id := range task.Samples {
		label, ok := task.Label(id)
		if !ok {
			return nil, fmt.Errorf("sample %d was deleted while the job began: start it again", id)
		}
		d.labels = append(d.labels, label)
	}
	return d, nil
}

func (d *taskData) Len() int { return len(d.labels) }

func (d *taskData) Sample(i int) ondevice.Sample {
	return ondevice.Sample{Label: d.labels[i]}
}

func (d *taskData) Input(i int, dst []byte) error {
	in, err := d.task.Inputs(d.task.Samples[i])
	if err != nil {
		return err
	}
	if len(in) != 1 || len(in[0]) != len(dst) {
		return oip.Errorf(409, "sample %d does not have the one input of %d bytes that the model takes", d.task.Samples[i], len(dst))
	}
	copy(dst, in[0])
	return nil
}

// classes are those asked for, or the model's with the new ones behind them in
// alphabetical order. A model without labels leaves the choice to ondevice.
func (d *taskData) classes(task Task) []string {
	if task.Options.Classes != nil || len(task.Labels) == 0 {
		return task.Options.Classes
	}
	return union(task.Labels, d.labels)
}

// union returns the known labels and behind them the others, sorted.
func union(known, others []string) []string {
	var fresh []string
	for _, l := range others {
		if !slices.Contains(known, l) {
			fresh = append(fresh, l)
		}
	}
	slices.Sort(fresh)
	return slices.Concat(known, slices.Compact(fresh))
}

// tuneReport is an ondevice.Report in JSON, without what differs from one run
// of a job to the next.
type tuneReport struct {
	Classes   []string      `json:"classes"`
	New       []string      `json:"new_classes,omitempty"`
	Train     int           `json:"train_samples"`
	Val       int           `json:"validation_samples"`
	Rate      float32       `json:"learning_rate"`
	Curve     []tuneEpoch   `json:"curve"`
	BestEpoch int           `json:"best_epoch"`
	Base      *tuneAccuracy `json:"before,omitempty"`
	Tuned     *tuneAccuracy `json:"after,omitempty"`
}

type tuneEpoch struct {
	Loss        float64 `json:"loss"`
	ValLoss     float64 `json:"validation_loss"`
	ValAccuracy float64 `json:"validation_accuracy"`
}

type tuneAccuracy struct {
	Accuracy float64   `json:"accuracy"`
	Loss     float64   `json:"loss,omitempty"` // of regression
	Recall   []float64 `json:"recall"`

	// Confusion[c][p] counts the samples of class c that were taken for class p;
	// left out for more classes than a person would look at.
	Confusion [][]int `json:"confusion,omitempty"`
}

// maxConfusion is the greatest number of classes of which a table is shown.
const maxConfusion = 64

func reportOf(r *ondevice.Report) tuneReport {
	out := tuneReport{Classes: r.Classes, New: r.New, Train: r.Train, Val: r.Val, Rate: r.LR, BestEpoch: r.BestEpoch}
	for _, e := range r.Curve {
		out.Curve = append(out.Curve, tuneEpoch(e))
	}
	accuracy := func(m *ondevice.Metrics) *tuneAccuracy {
		if m == nil {
			return nil
		}
		a := &tuneAccuracy{Accuracy: m.Accuracy, Loss: m.Loss, Recall: m.Recall}
		if len(m.Confusion) <= maxConfusion {
			a.Confusion = m.Confusion
		}
		return a
	}
	out.Base, out.Tuned = accuracy(r.Base), accuracy(r.Tuned)
	return out
}

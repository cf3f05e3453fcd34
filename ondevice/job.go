package ondevice

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/ondevice/grad"
	"github.com/whet-edge/whet/runtime"
)

// A Job carries out a plan in the background. Its file lets another process
// continue it, to the same bits, after this one was killed or lost power.
type Job struct {
	plan *TunePlan
	path string
	fs   vfs.FS
	done chan struct{}

	mu       sync.Mutex
	progress Progress

	// Results, to be read after done is closed.
	delta  *format.Delta
	report *Report
	err    error
}

// Start begins a job whose checkpoints go to the file at path, which it
// replaces. The job ends early, with a last checkpoint, when ctx does.
func Start(ctx context.Context, p *TunePlan, path string) (*Job, error) {
	j, err := newJob(p, path)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{plan: p.id}
	if err := j.write(c); err != nil {
		return nil, err
	}
	go j.run(ctx, c)
	return j, nil
}

// Resume continues the job at path, or starts one if there is none. A job of
// another plan is refused with [ErrJob].
func Resume(ctx context.Context, p *TunePlan, path string) (*Job, error) {
	j, err := newJob(p, path)
	if err != nil {
		return nil, err
	}
	b, err := vfs.ReadFile(j.fs, path)
	if errors.Is(err, fs.ErrNotExist) {
		return Start(ctx, p, path)
	}
	if err != nil {
		return nil, fmt.Errorf("ondevice: %w", err)
	}
	c, err := decodeCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.plan != p.id {
		return nil, fmt.Errorf("%s: %w: its model, classes or options are not those asked for", path, ErrJob)
	}
	go j.run(ctx, c)
	return j, nil
}

func newJob(p *TunePlan, path string) (*Job, error) {
	j := &Job{plan: p, path: path, fs: p.opt.fs, done: make(chan struct{})}
	if j.fs == nil {
		j.fs = vfs.OS
	}
	if err := j.removeTemps(); err != nil {
		return nil, fmt.Errorf("ondevice: %w", err)
	}
	return j, nil
}

// Wait returns the job's result when it has ended, or ctx's error when that
// ends first; the job goes on then. The delta is nil when the gate refused the
// new head; the report says why. The job's file stays, so that a crash before
// the delta is safe costs nothing; [Job.Remove] removes it.
func (j *Job) Wait(ctx context.Context) (*format.Delta, *Report, error) {
	select {
	case <-j.done:
		return j.delta, j.report, j.err
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// Progress says where the job is.
func (j *Job) Progress() Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.progress
}

// Remove removes the file of a job that has ended. The cache of features stays.
func (j *Job) Remove() error { return j.fs.Remove(j.path) }

func (j *Job) tell(p Progress) {
	j.mu.Lock()
	j.progress = p
	j.mu.Unlock()
	if f := j.plan.opt.Progress; f != nil {
		f(p)
	}
}

func (j *Job) write(c *checkpoint) error {
	c.generation++
	if err := writeFile(j.fs, j.path, c.encode()); err != nil {
		return fmt.Errorf("ondevice: checkpoint: %w", err)
	}
	return nil
}

func writeFile(fsys vfs.FS, path string, b []byte) error {
	return vfs.WriteFile(fsys, path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// removeTemps removes what a kill in the middle of a checkpoint has left.
func (j *Job) removeTemps() error {
	dir, base := filepath.Split(j.path)
	names, err := j.fs.List(filepath.Clean(dir))
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, "."+base+".") && strings.Contains(n, ".whet-tmp-") {
			if err := j.fs.Remove(filepath.Join(dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *Job) run(ctx context.Context, c *checkpoint) {
	defer close(j.done)
	j.delta, j.report, j.err = j.work(ctx, c)
}

func (j *Job) work(ctx context.Context, c *checkpoint) (*format.Delta, *Report, error) {
	p := j.plan
	rep := &Report{Classes: p.Classes, New: p.New}
	start := time.Now()
	rows, train, val, class, targets, err := j.prepare(ctx, rep)
	if err != nil {
		return nil, nil, err
	}
	rep.Extracting = time.Since(start)
	rep.Train, rep.Val = len(train), len(val)
	if len(train) == 0 {
		return nil, nil, fmt.Errorf("ondevice: no samples are left to train on")
	}
	t := newTrainer(p, p.level, rows, class, targets, train)
	rep.LR = t.lr
	start = time.Now()
	digest := digestRows(rows, class, targets, train, val)
	if c.phase == phaseNew {
		c.rows = digest
	} else if c.rows != digest {
		return nil, nil, fmt.Errorf("%s: %w: the samples are not those that it began with", j.path, ErrJob)
	}
	if err := j.train(ctx, t, c, train, val, rep); err != nil {
		return nil, nil, err
	}
	rep.Training = time.Since(start)
	return j.judge(ctx, t, c, val, rep)
}

// prepare gets the features of all samples and divides them.
func (j *Job) prepare(ctx context.Context, rep *Report) (rows rowSet, train, val []int32, class []int32, targets [][]float32, err error) {
	p := j.plan
	cache := j.loadCache()
	own, err := j.extract(ctx, p.data, cache, rep)
	if err != nil {
		return
	}
	rows = rowSet{own}
	source := make([]string, 0, p.Samples)
	add := func(s Sample, id ID) {
		src := "source " + s.Source
		if s.Source == "" {
			src = "id " + string(id[:]) // equal inputs are one source
		}
		source = append(source, src)
		class = append(class, int32(max(0, slices.Index(p.Classes, s.Label))))
		targets = append(targets, s.Target)
	}
	for i := range own.Len() {
		add(p.data.Sample(i), own.ids[i])
	}
	if r := p.opt.Replay; r != nil {
		rows = append(rows, r)
		for i := range r.Len() {
			add(Sample{Label: r.labels[i]}, r.ids[i])
		}
	}
	n := rows.len()
	if p.opt.ValData == nil {
		train, val = split(n, func(i int) int { return int(class[i]) }, func(i int) string { return source[i] }, p.opt.Val, p.opt.Seed)
		return
	}
	held, err := j.extract(ctx, p.opt.ValData, cache, rep)
	if err != nil {
		return
	}
	inVal := map[ID]bool{}
	rows = append(rows, held)
	for i := range held.Len() {
		add(p.opt.ValData.Sample(i), held.ids[i])
		val = append(val, int32(n+i))
		inVal[held.ids[i]] = true
	}
	for i := range int32(n) {
		if f, k := rows.at(i); inVal[f.ids[k]] {
			rep.Repeats++
			continue
		}
		train = append(train, i)
	}
	return
}

// digestRows identifies everything that training sees.
func digestRows(rows rowSet, class []int32, targets [][]float32, train, val []int32) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range rows {
		d := f.digest()
		h.Write(d[:])
	}
	for _, v := range [][]int32{class, train, val} {
		binary.Write(h, binary.LittleEndian, int64(len(v)))
		binary.Write(h, binary.LittleEndian, v)
	}
	for _, t := range targets {
		h.Write(floatBytes(t))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// train runs the epochs, from the checkpoint on if it holds weights, and leaves
// the best weights in the trainer. They are the ones with the highest
// validation accuracy, then the lowest validation loss; without validation
// samples the last ones that are finite.
func (j *Job) train(ctx context.Context, t *trainer, c *checkpoint, train, val []int32, rep *Report) error {
	opt := &j.plan.opt
	best := make([]float32, len(t.params))
	if c.phase == phaseNew {
		t.initialize()
		if err := j.endEpoch(t, c, best, val, Epoch{}); err != nil {
			return err
		}
		c.phase = phaseTraining
	} else if err := t.restore(c, best); err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	saved, pause := time.Now(), time.Duration(0)
	save := func() error {
		begin := time.Now()
		t.save(c, best)
		if err := j.write(c); err != nil {
			return err
		}
		rep.Checkpoints++
		saved = time.Now()
		pause = max(opt.Checkpoint, 50*saved.Sub(begin))
		if opt.Checkpoint < 0 {
			pause = 0
		}
		return nil
	}
	for c.phase == phaseTraining {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, save())
		}
		if int(c.epoch) == opt.Epochs || opt.Patience > 0 && int(c.epoch-c.bestEpoch) >= opt.Patience && len(val) > 0 {
			break
		}
		ok, err := t.step()
		if err != nil {
			return err
		}
		if !ok {
			c.diverged = 1
			break
		}
		if t.sampler.pos == len(t.sampler.order) {
			c.epoch++
			e := Epoch{Loss: t.lossSum / float64(t.seen)}
			t.sampler.begin()
			t.lossSum, t.seen = 0, 0
			if !grad.Finite(t.params) {
				c.diverged = 1
				break
			}
			if err := j.endEpoch(t, c, best, val, e); err != nil {
				return err
			}
			j.tell(Progress{Phase: "train", Done: int(c.epoch), Total: opt.Epochs, Epoch: c.curve[len(c.curve)-1]})
		}
		if time.Since(saved) >= pause {
			if err := save(); err != nil {
				return err
			}
		}
	}
	if c.phase == phaseTraining {
		c.phase = phaseDone
		if err := save(); err != nil {
			return err
		}
	}
	copy(t.params, best)
	rep.Curve, rep.BestEpoch, rep.Diverged = c.curve, int(c.bestEpoch), c.diverged != 0
	return nil
}

// endEpoch validates the weights and keeps them if they are the best so far.
func (j *Job) endEpoch(t *trainer, c *checkpoint, best []float32, val []int32, e Epoch) error {
	better := true
	if len(val) > 0 {
		m, err := t.evaluate(val)
		if err != nil {
			return err
		}
		e.ValLoss, e.ValAccuracy = m.Loss, m.Accuracy
		if j.plan.regression {
			better = m.Loss < c.bestLoss
		} else {
			better = m.Accuracy > c.bestAccuracy || m.Accuracy == c.bestAccuracy && m.Loss < c.bestLoss
		}
		// The start is a candidate too, but not with random rows for new classes.
		better = better || len(c.curve) == 0 || len(c.curve) == 1 && len(j.plan.New) > 0
	}
	c.curve = append(c.curve, e)
	if better {
		copy(best, t.params)
		c.bestEpoch, c.bestAccuracy, c.bestLoss = c.epoch, e.ValAccuracy, e.ValLoss
	}
	return nil
}

// judge compares the new head with the old one and makes the delta.
func (j *Job) judge(ctx context.Context, t *trainer, c *checkpoint, val []int32, rep *Report) (*format.Delta, *Report, error) {
	p := j.plan
	j.tell(Progress{Phase: "judge", Done: int(c.epoch), Total: p.opt.Epochs})
	tuned, err := p.head.withHead(p.model, slices.Clone(t.weights()), slices.Clone(t.bias()), p.labels(), p.opt.Loss == CrossEntropy)
	if err != nil {
		return nil, nil, err
	}
	if len(val) > 0 {
		if rep.Base, err = j.serve(ctx, p.model, p.known, t, val); err != nil {
			return nil, nil, err
		}
		if rep.Tuned, err = j.serve(ctx, tuned, p.Classes, t, val); err != nil {
			return nil, nil, err
		}
		rep.Verdict = p.opt.Gate.judge(rep.Base, rep.Tuned, p.Classes, p.New, p.regression)
	}
	if rep.Diverged && rep.BestEpoch == 0 {
		rep.Verdict = "training diverged before any epoch was better than the start: try a lower learning rate"
	}
	if rep.Verdict != "" {
		return nil, rep, nil
	}
	rep.Passed = true
	delta, err := format.Diff(p.model, tuned)
	if err != nil {
		return nil, nil, err
	}
	return delta, rep, nil
}

// serve runs the head of a model, as it serves, on the rows idx.
func (j *Job) serve(ctx context.Context, m *format.Model, names []string, t *trainer, idx []int32) (*Metrics, error) {
	prog, err := runtime.Compile(suffix(m, j.plan.Feature), j.plan.opt.Runtime...)
	if err != nil {
		return nil, err
	}
	s := prog.NewSession()
	index := make([]int, len(names)) // of the model's classes among the plan's
	for i, n := range names {
		index[i] = slices.Index(j.plan.Classes, n)
	}
	r := newMetrics(len(j.plan.Classes))
	for _, i := range idx {
		copy(s.Input(0).Bytes(), t.rows.row(i))
		if err := s.Run(ctx); err != nil {
			return nil, err
		}
		y := s.Output(0).Float32()
		if !j.plan.regression {
			r.add(int(t.class[i]), index[argmax(y)])
			continue
		}
		r.Samples++
		var sum float64
		for k, v := range t.targets[i] {
			d := float64(y[k]) - float64(v)
			sum += float64(d * d)
		}
		r.Loss += sum / float64(len(y))
	}
	if j.plan.regression {
		r.Loss /= float64(len(idx))
		return r, nil
	}
	return r.finish(), nil
}

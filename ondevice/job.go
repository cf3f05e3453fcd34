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
	plan  *TunePlan
	path  string
	begun string // the file that it was resumed from
	fs    vfs.FS
	done  chan struct{}

	mu       sync.Mutex
	progress Progress

	// Results, to be read after done is closed.
	delta  *format.Delta
	report *Report
	err    error
}

// Start begins a job whose checkpoints go, in turns, to the files path and path.2,
// which it replaces. The job ends early, with a last checkpoint, when ctx does.
func Start(ctx context.Context, p *TunePlan, path string) (*Job, error) {
	j, err := newJob(p, path)
	if err != nil {
		return nil, err
	}
	if err := j.removeSlot(1); err != nil { // of another job
		return nil, fmt.Errorf("ondevice: %w", err)
	}
	c := &checkpoint{plan: p.id}
	if err := j.write(c); err != nil {
		return nil, err
	}
	go j.run(ctx, c)
	return j, nil
}

// Resume continues the job at path, or starts one if there is none. A job of
// another plan is refused with [ErrJob]. If the newest of its two files is damaged,
// it goes on from the other.
func Resume(ctx context.Context, p *TunePlan, path string) (*Job, error) {
	j, err := newJob(p, path)
	if err != nil {
		return nil, err
	}
	c, err := j.read()
	if errors.Is(err, fs.ErrNotExist) {
		return Start(ctx, p, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	go j.run(ctx, c)
	return j, nil
}

func newJob(p *TunePlan, path string) (*Job, error) {
	j := &Job{plan: p, path: path, fs: p.opt.FS, done: make(chan struct{})}
	if j.fs == nil {
		j.fs = vfs.OS
	}
	if err := j.removeTemps(); err != nil {
		return nil, fmt.Errorf("ondevice: %w", err)
	}
	return j, nil
}

// Fit is [Start] and [Job.Wait] without files: nothing survives a crash, and
// features are kept only where Options.Cache says so.
func Fit(ctx context.Context, p *TunePlan) (*format.Delta, *Report, error) {
	j := &Job{plan: p, fs: p.opt.FS, done: make(chan struct{})}
	if j.fs == nil {
		j.fs = vfs.OS
	}
	j.run(ctx, &checkpoint{plan: p.id})
	return j.delta, j.report, j.err
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

// Remove removes the files of a job that has ended. The cache of features stays.
func (j *Job) Remove() error { return errors.Join(j.removeSlot(0), j.removeSlot(1)) }

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
	if j.path == "" {
		return nil
	}
	if err := vfs.WriteFile(j.fs, j.slot(c.generation-1), c.write); err != nil {
		return fmt.Errorf("ondevice: checkpoint: %w", err)
	}
	return nil
}

// slot returns the file that checkpoints take in their turn.
func (j *Job) slot(turn uint64) string {
	if turn%2 == 0 {
		return j.path
	}
	return j.path + ".2"
}

func (j *Job) removeSlot(turn uint64) error {
	if err := j.fs.Remove(j.slot(turn)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read returns the newest checkpoint of the plan, fs.ErrNotExist if there is no file
// of a job at all.
func (j *Job) read() (*checkpoint, error) {
	var newest *checkpoint
	refused := fs.ErrNotExist
	for turn := range uint64(2) {
		c, err := readFile(j.fs, j.slot(turn), func(file io.ReaderAt, size int64) (*checkpoint, error) {
			c, _, err := openCheckpoint(file, size)
			return c, err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			refused = err
		case c.plan != j.plan.id:
			refused = fmt.Errorf("%w: its model, classes or options are not those asked for", ErrJob)
		case newest == nil || c.generation > newest.generation:
			newest, j.begun = c, j.slot(turn)
		}
	}
	if newest == nil {
		return nil, refused
	}
	return j.readBegun(func(int, int) []float32 { return nil })
}

// readBegun reads the checkpoint that the job goes on from.
func (j *Job) readBegun(vector func(i, n int) []float32) (*checkpoint, error) {
	return readFile(j.fs, j.begun, func(file io.ReaderAt, size int64) (*checkpoint, error) {
		return readCheckpoint(file, size, vector)
	})
}

// readFile calls read with an open file.
func readFile[T any](fsys vfs.FS, path string, read func(file io.ReaderAt, size int64) (T, error)) (v T, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return v, err
	}
	return read(f, size)
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
	defer holdHeap(j.plan.opt.Memory)()
	j.delta, j.report, j.err = j.work(ctx, c)
}

func (j *Job) work(ctx context.Context, c *checkpoint) (*format.Delta, *Report, error) {
	p := j.plan
	rep := &Report{Classes: p.Classes, New: p.New}
	start := time.Now()
	s, err := j.prepare(ctx, rep)
	if err != nil {
		return nil, nil, err
	}
	rep.Extracting = time.Since(start)
	rep.Train = len(s.train)
	if len(s.train) == 0 {
		return nil, nil, fmt.Errorf("ondevice: no samples are left to train on")
	}
	if len(s.judged()) == 0 && (p.opt.Val > 0 || p.opt.Folds > 0) {
		return nil, nil, ErrUnjudged
	}
	digest := s.digest()
	if c.rows == [32]byte{} {
		c.rows = digest
	} else if c.rows != digest {
		return nil, nil, fmt.Errorf("%s: %w: the samples are not those that it began with", j.path, ErrJob)
	}
	p.collect()
	start = time.Now()
	for int(c.stage) < len(s.folds) {
		if err := j.fold(ctx, s, c, rep); err != nil {
			return nil, nil, err
		}
	}
	t, err := newTrainer(p, s, s.train)
	if err != nil {
		return nil, nil, err
	}
	rep.LR = t.lr
	if err := j.train(ctx, t, c, s.val, rep); err != nil {
		return nil, nil, err
	}
	rep.Training = time.Since(start)
	forms, err := j.tuned(t) // and the trainer is gone
	if err != nil {
		return nil, nil, err
	}
	return j.judge(ctx, forms, c, s, rep)
}

// fold trains a head without the fold c.stage and judges it on that.
func (j *Job) fold(ctx context.Context, s *samples, c *checkpoint, rep *Report) error {
	held := s.folds[c.stage]
	rest := slices.DeleteFunc(slices.Clone(s.train), func(i int32) bool {
		_, in := slices.BinarySearch(held, i)
		return in
	})
	if len(held) > 0 && len(rest) > 0 {
		t, err := newTrainer(j.plan, s, rest)
		if err != nil {
			return err
		}
		if err := j.train(ctx, t, c, nil, rep); err != nil {
			return err
		}
		tuned, err := j.tuned(t)
		if err != nil {
			return err
		}
		m, err := j.serve(ctx, tuned[0], j.plan.Classes, s, s.originals(held), nil)
		if err != nil {
			return err
		}
		if c.judged == nil {
			c.judged = newMetrics(len(j.plan.Classes))
		}
		c.judged.merge(m)
	}
	c.nextStage()
	return j.write(c)
}

// samples are all rows of a job and what they are for.
type samples struct {
	rows       rowSet
	class      []int32     // of each row
	targets    [][]float32 // of each row; nil: by class
	viewOf     []int32     // of each row, the row that it is a view of; -1: none
	train, val []int32     // ascending
	folds      [][]int32   // of train, ascending
}

// judged returns the samples that the gate looks at.
func (s *samples) judged() []int32 {
	if len(s.folds) == 0 {
		return s.val
	}
	return s.originals(slices.Concat(s.folds...))
}

// originals returns the samples among idx that are not views of others.
func (s *samples) originals(idx []int32) (list []int32) {
	for _, i := range idx {
		if s.viewOf[i] < 0 {
			list = append(list, i)
		}
	}
	return list
}

// prepare gets the features of all samples and divides them.
func (j *Job) prepare(ctx context.Context, rep *Report) (*samples, error) {
	p := j.plan
	cache := j.loadCache()
	own, err := j.extract(ctx, p.data, cache, rep)
	if err != nil {
		return nil, err
	}
	s := &samples{rows: rowSet{own}}
	source := make([]string, 0, p.Samples)
	add := func(x Sample, id ID) {
		src := "source " + x.Source
		if x.Source == "" {
			src = "id " + string(id[:]) // equal inputs are one source
		}
		of := int32(-1)
		if x.ViewOf > 0 {
			of = int32(x.ViewOf - 1)
			src = source[of]
		}
		source, s.viewOf = append(source, src), append(s.viewOf, of)
		s.class = append(s.class, int32(max(0, slices.Index(p.Classes, x.Label))))
		s.targets = append(s.targets, x.Target)
	}
	for i := range own.Len() {
		add(p.data.Sample(i), own.ids[i])
	}
	if r := p.opt.Replay; r != nil {
		s.rows = append(s.rows, r)
		for i := range r.Len() {
			add(Sample{Label: r.labels[i]}, r.ids[i])
		}
	}
	n := s.rows.len()
	if p.opt.ValData == nil {
		g := group(n, func(i int) int { return int(s.class[i]) }, func(i int) string { return source[i] })
		if k := p.opt.Folds; k > 0 {
			s.train, _ = g.split(0, p.opt.Seed)
			s.folds = g.folds(k, p.opt.Seed)
		} else {
			s.train, s.val = g.split(p.opt.Val, p.opt.Seed)
			s.val = s.originals(s.val)
		}
		return s, nil
	}
	held, err := j.extract(ctx, p.opt.ValData, cache, rep)
	if err != nil {
		return nil, err
	}
	inVal := map[ID]bool{}
	s.rows = append(s.rows, held)
	for i := range held.Len() {
		add(p.opt.ValData.Sample(i), held.ids[i])
		s.val = append(s.val, int32(n+i))
		inVal[held.ids[i]] = true
	}
	for i := range int32(n) {
		f, k := s.rows.at(i)
		if of := s.viewOf[i]; of >= 0 {
			f, k = s.rows.at(of)
		}
		if inVal[f.ids[k]] {
			rep.Repeats++
			continue
		}
		s.train = append(s.train, i)
	}
	return s, nil
}

// digest identifies everything that training sees.
func (s *samples) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range s.rows {
		d := f.digest()
		h.Write(d[:])
	}
	for _, v := range append([][]int32{s.class, s.train, s.val}, s.folds...) {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(v)))
		for _, i := range v {
			b = binary.LittleEndian.AppendUint32(b, uint32(i))
		}
		h.Write(b)
	}
	for _, t := range s.targets {
		h.Write(floatBytes(t))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// train runs the epochs, from the checkpoint on if it holds weights, and leaves
// the best weights in the trainer. They are the ones with the highest
// validation accuracy, then the lowest validation loss; without validation
// samples the last ones that are finite.
func (j *Job) train(ctx context.Context, t *trainer, c *checkpoint, val []int32, rep *Report) error {
	opt := &j.plan.opt
	best := make([]float32, len(t.params))
	if c.phase == phaseNew {
		j.plan.collect()
		if err := t.net.initialize(t.params); err != nil {
			return err
		}
		j.plan.collect()
		if opt.Instant {
			t.instant(t.sampler.samples)
		}
		if err := j.endEpoch(t, c, best, val, Epoch{}); err != nil {
			return err
		}
		c.phase = phaseTraining
	} else if err := j.restore(t, c, best); err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	start, saved := time.Now(), time.Now()
	var spent, cost time.Duration // on checkpoints here, and on the last one
	save := func() error {
		begin := time.Now()
		t.save(c, best)
		if err := j.write(c); err != nil {
			return err
		}
		rep.Checkpoints++
		saved = time.Now()
		cost = saved.Sub(begin)
		spent += cost
		rep.Saving += cost
		return nil
	}
	// A fiftieth of the time is for checkpoints: for those there were, the next and the last.
	due := func() bool {
		now := time.Now()
		return opt.Checkpoint < 0 || now.Sub(saved) >= opt.Checkpoint && now.Sub(start) >= 50*(spent+2*cost)
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
			return errors.Join(err, save())
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
			j.tell(Progress{
				Phase: "train", Done: int(c.stage)*opt.Epochs + int(c.epoch), Total: (opt.Folds + 1) * opt.Epochs, Epoch: c.curve[len(c.curve)-1],
			})
		}
		if due() {
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
	c.vectors = nil // the trainer may go
	rep.Curve, rep.BestEpoch, rep.Diverged = c.curve, int(c.bestEpoch), c.diverged != 0
	return nil
}

// restore continues from the checkpoint that the job was resumed from.
func (j *Job) restore(t *trainer, c *checkpoint, best []float32) error {
	vs, alike := t.vectors(best), 0
	_, err := j.readBegun(func(i, n int) []float32 {
		if i >= len(vs) || len(vs[i]) != n {
			return nil
		}
		alike++
		return vs[i]
	})
	if err != nil {
		return err
	}
	if alike != len(vs) || int(c.pos) >= len(t.sampler.order) {
		return fmt.Errorf("%w: it holds another number of weights", ErrJob)
	}
	t.opt.SetSteps(int(c.steps))
	t.sampler.restore(c.rng, int(c.pos))
	t.lossSum, t.seen = c.lossSum, int(c.seen)
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

// tuned returns the models that the trainer's weights make, the one with the
// fewest floats first: a tail goes back to integers where it was of integers.
func (j *Job) tuned(t *trainer) ([]*format.Model, error) {
	p := j.plan
	params := t.params
	softmax := p.opt.Loss == CrossEntropy
	if p.tail == nil {
		m, err := p.head.withHead(p.model, params[:p.weights], params[p.weights:], p.labels(), softmax)
		return []*format.Model{m}, err
	}
	values := t.net.(*tailNet).values(params)
	p.collect() // all of the trainer but its parameters
	start, err := p.startModel()
	if err != nil {
		return nil, err
	}
	list := []*format.Model{withValues(start, values)}
	if p.tail.rank > 0 {
		list[0] = optional.beside(p.tail, p.model, list[0])
		values = optional.merged(p.tail, start, values)
	}
	if whole := p.tail.integers(p.model, start, values); whole != nil {
		m, err := p.head.withHead(whole, values[tensorW], values[tensorB], p.labels(), softmax)
		if err != nil {
			return nil, err
		}
		list = slices.Insert(list, 0, m)
	}
	return list, nil
}

// requantized is how much accuracy the integer form of a tail may cost against
// the float one.
const requantized = 0.002

// judge compares the model's new forms with the old one and makes the delta.
func (j *Job) judge(ctx context.Context, forms []*format.Model, c *checkpoint, s *samples, rep *Report) (_ *format.Delta, _ *Report, err error) {
	p := j.plan
	j.tell(Progress{Phase: "judge", Done: 0, Total: 1})
	p.collect()
	integer := len(forms) > 1
	switch p.opt.Form {
	case Floats:
		forms, integer = forms[len(forms)-1:], false
	case Integers:
		if p.tail != nil && !integer {
			return nil, nil, fmt.Errorf("ondevice: the tail %v was not of integers and cannot become so", p.Tail)
		}
		forms = forms[:1]
	}
	tuned := forms[len(forms)-1]
	if idx := s.judged(); len(idx) > 0 {
		before, after := map[int32]bool{}, map[int32]bool{}
		if rep.Base, err = j.serve(ctx, p.model, p.known, s, idx, before); err != nil {
			return nil, nil, err
		}
		rep.Base.finish()
		if rep.Tuned = c.judged; len(s.folds) > 0 {
			rep.Tuned.finish()
		}
		for _, m := range slices.Backward(forms) {
			if len(s.folds) > 0 {
				break
			}
			right := map[int32]bool{}
			r, err := j.serve(ctx, m, p.Classes, s, idx, right)
			if err != nil {
				return nil, nil, err
			}
			if r.finish(); rep.Tuned == nil || p.asGood(r, rep.Tuned) {
				rep.Tuned, tuned, after = r, m, right
			}
		}
		rep.Val = len(idx)
		won, lost := 0, 0
		for i, right := range after {
			switch {
			case right && !before[i]:
				won++
			case !right && before[i]:
				lost++
			}
		}
		rep.Verdict = p.opt.Gate.judge(rep.Base, rep.Tuned, p.Classes, p.New, won, lost, p.regression)
	}
	rep.Integer = integer && tuned == forms[0]
	if p.opt.Gate.Alike > 0 && rep.Verdict == "" {
		if rep.Verdict, err = j.alike(ctx, s); err != nil {
			return nil, nil, err
		}
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

// alike compares training and validation samples of classes that the model knows.
func (j *Job) alike(ctx context.Context, s *samples) (string, error) {
	var right, count [2]int
	for i, idx := range [][]int32{s.train, s.val} {
		m, err := j.serve(ctx, j.plan.model, j.plan.known, s, idx, nil)
		if err != nil {
			return "", err
		}
		for c, name := range j.plan.Classes {
			if slices.Contains(j.plan.known, name) {
				right[i] += m.Confusion[c][c]
				count[i] += m.Count[c]
			}
		}
	}
	return j.plan.opt.Gate.alike(right[0], count[0], right[1], count[1]), nil
}

// asGood reports whether the integer form of a tail may stand for the float one.
func (p *TunePlan) asGood(integer, float *Metrics) bool {
	if p.regression {
		return integer.Loss <= float.Loss*(1+requantized)
	}
	return integer.Accuracy >= float.Accuracy-requantized
}

// serve runs the head of a model, as it serves, on the rows idx, and notes which it
// has right, unless right is nil. The metrics are not finished.
func (j *Job) serve(ctx context.Context, m *format.Model, names []string, s *samples, idx []int32, right map[int32]bool) (*Metrics, error) {
	part := suffix(m, j.plan.Feature)
	prog, err := runtime.Compile(part, j.plan.opt.Runtime...)
	if err != nil {
		return nil, err
	}
	run := prog.NewSession()
	index := make([]int, len(names)) // of the model's classes among the plan's
	for i, n := range names {
		index[i] = slices.Index(j.plan.Classes, n)
	}
	probable := slices.ContainsFunc(part.Main().Nodes, func(n *format.Node) bool { return n.Op == "Softmax" })
	r, delta := newMetrics(len(j.plan.Classes)), make([]float32, len(j.plan.Classes))
	for _, i := range idx {
		copy(run.Input(0).Bytes(), s.rows.row(i))
		if err := run.Run(ctx); err != nil {
			return nil, err
		}
		y := run.Output(0).Float32()
		if !j.plan.regression {
			c := int(s.class[i])
			r.add(c, index[argmax(y)])
			if right != nil {
				right[i] = c == index[argmax(y)]
			}
			r.Loss += surprise(y, slices.Index(names, j.plan.Classes[c]), probable)
			continue
		}
		r.Samples++
		r.Loss += j.plan.opt.valueLoss(delta, y, s.targets[i], 1, len(y), 1)
	}
	return r, nil
}

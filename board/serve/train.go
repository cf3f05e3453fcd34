package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/whet-edge/whet/board/store"
)

// The states of a training job.
const (
	jobRunning   = "running"
	jobPassed    = "passed"    // its result is a version
	jobRejected  = "rejected"  // by the validation gate
	jobFailed    = "failed"    //
	jobCancelled = "cancelled" // by request
	jobPaused    = "paused"    // the server stops; it goes on after the next start
)

// The results that whet_train_runs_total counts.
const (
	resultPromoted   = "promoted"
	resultPassed     = "passed"
	resultRejected   = "rejected"
	resultRolledBack = "rolled_back"
	resultFailed     = "failed"
)

// JobStatus is a training job as GET .../train shows it.
type JobStatus struct {
	Model    string          `json:"model_name"`
	State    string          `json:"state"`
	Parent   string          `json:"parent"`            // the version that is tuned
	Version  string          `json:"version,omitempty"` // the result
	Promoted bool            `json:"promoted"`
	Samples  int             `json:"samples"`
	Progress Progress        `json:"progress"`
	Curve    []Progress      `json:"curve,omitempty"` // the progress after each epoch seen since the start
	Reason   string          `json:"reason,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"`
}

// savedTask is what the store keeps of a job, from which it is taken up again.
type savedTask struct {
	Parent  string       `json:"parent"`
	Last    uint64       `json:"last_sample"` // samples added later do not belong to the job
	Options TrainOptions `json:"options"`
}

// jobs runs training in the background, one job at a time: a board has no cores
// to spare for two.
type jobs struct {
	safe    string // why the daemon is in safe mode, or nothing
	repo    *repository
	store   *store.Store
	trainer Trainer
	log     *slog.Logger
	inputs  func(Model, *store.Sample) ([][]byte, error)
	ended   func(result string, o *Outcome)
	canary  func(context.Context, string, CanaryRequest) (*CanaryStatus, error)

	mu      sync.Mutex
	last    map[string]*JobStatus // by model, since the start; replaced, never changed
	running *runningJob
	queue   []queuedJob // taken up after a start, each when the one before it ends
	stopped bool
}

type runningJob struct {
	model     string
	cancel    context.CancelFunc
	done      chan struct{}
	cancelled bool
}

type queuedJob struct {
	model string
	task  savedTask
}

// start begins a job.
func (j *jobs) start(model, parent string, opt TrainOptions) (*JobStatus, error) {
	if j.trainer == nil {
		return nil, errNoTraining
	}
	if j.safe != "" {
		return nil, refuse(http.StatusServiceUnavailable, "nothing is trained now: %s", j.safe)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.stopped:
		return nil, &busy{reason: "stopping", msg: "the server stops", after: 5}
	case j.running != nil:
		return nil, refuse(http.StatusConflict, "a training job of model %q runs: one at a time; DELETE /v2/models/%s/train cancels it", j.running.model, j.running.model)
	}
	ids := j.sampleIDs(model, ^uint64(0))
	if len(ids) == 0 {
		return nil, noSamples(model)
	}
	task := savedTask{Parent: parent, Last: ids[len(ids)-1], Options: opt}
	body, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	if err := j.store.SaveJob(model, body); err != nil {
		return nil, err
	}
	return j.run(model, task, ids), nil
}

// sampleIDs returns the ids of a model's samples up to last.
func (j *jobs) sampleIDs(model string, last uint64) []uint64 {
	var ids []uint64
	for after := uint64(0); ; {
		page := j.store.List(model, after, maxPage)
		for _, i := range page {
			if after = i.ID; after <= last {
				ids = append(ids, after)
			}
		}
		if len(page) < maxPage {
			return ids
		}
	}
}

// run starts the goroutine of a job. The caller holds mu.
func (j *jobs) run(model string, task savedTask, ids []uint64) *JobStatus {
	ctx, cancel := context.WithCancel(context.Background())
	r := &runningJob{model: model, cancel: cancel, done: make(chan struct{})}
	j.running = r
	st := &JobStatus{Model: model, State: jobRunning, Parent: task.Parent, Samples: len(ids)}
	j.last[model] = st
	go func() {
		defer close(r.done)
		defer cancel()
		final := j.work(ctx, r, *st, task, ids)
		j.finish(model, final)
	}()
	return st
}

// finish notes how a job ended and starts the next one that waits.
func (j *jobs) finish(model string, final *JobStatus) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last[model] = final
	j.running = nil
	j.log.Info("training ended", "model", model, "state", final.State, "version", final.Version, "reason", final.Reason)
	j.next()
}

// next starts the first job of the queue, if none runs. The caller holds mu.
func (j *jobs) next() {
	if len(j.queue) == 0 || j.stopped || j.running != nil {
		return
	}
	q := j.queue[0]
	j.queue = j.queue[1:]
	j.run(q.model, q.task, j.sampleIDs(q.model, q.task.Last))
}

// work trains and deals with the outcome. It returns the job's last status.
func (j *jobs) work(ctx context.Context, r *runningJob, st JobStatus, task savedTask, ids []uint64) *JobStatus {
	o, base, err := j.train(ctx, &st, task, ids)
	for errors.Is(err, errSampleGone) && ctx.Err() == nil {
		o, base, err = j.train(ctx, &st, task, ids) // with those that are left
	}
	j.mu.Lock()
	cancelled, stopped := r.cancelled, j.stopped
	j.mu.Unlock()
	if stopped && !cancelled && errors.Is(err, context.Canceled) {
		st.State = jobPaused
		return &st
	}
	switch {
	case cancelled:
		st.State = jobCancelled
	case err != nil:
		st.State, st.Reason = jobFailed, err.Error()
	case !o.Passed:
		st.State, st.Reason, st.Report = jobRejected, o.Reason, o.Report
	default:
		st.State, st.Report = jobPassed, o.Report
		if err := j.publish(&st, task, base, o); err != nil {
			st.State, st.Reason = jobFailed, err.Error()
		}
	}
	if st.Report != nil {
		st.Curve = nil // the report has it
	}
	if err := j.end(&st); err != nil {
		j.log.Error("the end of the job cannot be noted", "model", st.Model, "error", err)
	}
	j.ended(result(&st), o)
	return &st
}

// end makes durable how a job ended.
func (j *jobs) end(st *JobStatus) error {
	body, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return j.store.EndJob(st.Model, body)
}

func result(st *JobStatus) string {
	switch {
	case st.Promoted:
		return resultPromoted
	case st.State == jobPassed:
		return resultPassed
	case st.State == jobRejected:
		return resultRejected
	}
	return resultFailed
}

// errSampleGone is the error of a job of which a sample was deleted before the
// trainer had read it.
var errSampleGone = errors.New("a sample was deleted")

// maxCurve bounds the curve of a job: it is sent whole to everybody who asks for the job.
const maxCurve = 128

// grow appends to a curve, and keeps every second point of one that is full. Readers of
// the older curve see what it had.
func grow(curve []Progress, p Progress) []Progress {
	if len(curve) >= maxCurve {
		kept := make([]Progress, 0, maxCurve)
		for i := 0; i < len(curve); i += 2 {
			kept = append(kept, curve[i])
		}
		curve = kept
	}
	return append(curve, p)
}

// train trains. It also returns the digest of the model file that it read.
func (j *jobs) train(ctx context.Context, st *JobStatus, task savedTask, ids []uint64) (o *Outcome, base string, err error) {
	defer func() {
		if v := recover(); v != nil {
			o, err = nil, fmt.Errorf("training panicked: %v", v)
		}
	}()
	t, m, err := j.task(st.Model, task, ids)
	if err != nil {
		return nil, "", err
	}
	defer m.Close()
	gone := false
	label, inputs := t.Label, t.Inputs
	t.Label = func(id uint64) (string, bool) {
		l, ok := label(id)
		gone = gone || !ok
		return l, ok
	}
	t.Inputs = func(id uint64) ([][]byte, error) {
		in, err := inputs(id)
		gone = gone || errors.Is(err, store.ErrNotFound)
		return in, err
	}
	o, err = j.trainer.Train(ctx, t, func(p Progress) {
		now := *st
		now.Progress = p
		if last := len(now.Curve) - 1; p.Phase == "train" && (last < 0 || now.Curve[last].Step != p.Step) {
			now.Curve = grow(now.Curve, p)
		}
		*st = now
		j.mu.Lock()
		j.last[st.Model] = &now
		j.mu.Unlock()
	})
	if err != nil && gone {
		err = errSampleGone
	}
	return o, m.Digest(), err
}

// task makes a task of a saved one. The caller closes the model.
func (j *jobs) task(model string, task savedTask, ids []uint64) (t Task, m Model, err error) {
	version, delta, err := j.store.Delta(model, task.Parent)
	if err != nil {
		return t, nil, err
	}
	if m, err = j.repo.engine.Open(j.repo.path(model), delta); err != nil {
		return t, nil, err
	}
	t = Task{
		Model: j.repo.path(model), Delta: delta, File: j.store.JobFile(model), Key: j.store.JobKey(),
		Labels: m.Labels(), Options: task.Options,
		Label: func(id uint64) (string, bool) {
			i, ok := j.store.Info(id)
			return i.Label, ok
		},
		Inputs: func(id uint64) ([][]byte, error) {
			s, err := j.store.Get(id)
			if err != nil {
				return nil, err
			}
			return j.inputs(m, s)
		},
	}
	for _, id := range ids {
		if i, ok := j.store.Info(id); ok && (i.Media != "" || i.Form == form(m.Inputs())) {
			t.Samples = append(t.Samples, id)
		}
	}
	switch {
	case version.Base != "" && version.Base != m.Digest():
		err = fmt.Errorf("version %s belongs to another %s%s", task.Parent, model, modelSuffix)
	case len(t.Samples) == 0:
		err = refuse(http.StatusConflict, "no sample has the form of the model's inputs")
	}
	if err != nil {
		return t, nil, errors.Join(err, m.Close())
	}
	return t, m, nil
}

// plan says what training would take now.
func (j *jobs) plan(ctx context.Context, model, parent string, opt TrainOptions) (*Estimate, error) {
	if j.trainer == nil {
		return nil, errNoTraining
	}
	ids := j.sampleIDs(model, ^uint64(0))
	if len(ids) == 0 {
		return nil, noSamples(model)
	}
	t, m, err := j.task(model, savedTask{Parent: parent, Options: opt}, ids)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	e, err := j.trainer.Plan(ctx, t)
	if err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	return e, nil
}

var errNoTraining = refuse(http.StatusNotImplemented, "this server was built without training")

func noSamples(model string) error {
	return refuse(http.StatusConflict, "model %q has no samples to learn from: POST them to /v2/models/%s/samples", model, model)
}

// publish makes the result a version and, when that was asked for, lets it serve.
func (j *jobs) publish(st *JobStatus, task savedTask, base string, o *Outcome) error {
	v, err := j.store.Publish(st.Model, store.Version{Base: base, Parent: task.Parent, Report: o.Report}, o.Delta)
	if err != nil {
		return err
	}
	st.Version = v.Version
	if share := task.Options.Canary; share > 0 {
		_, err := j.canary(context.Background(), st.Model, CanaryRequest{Version: v.Version, Share: share, For: defaultRequests, Promote: true})
		return err
	}
	if !task.Options.Promote {
		return nil
	}
	if _, err := j.repo.promote(context.Background(), st.Model, v.Version); err != nil {
		return err
	}
	st.Promoted = true
	return nil
}

// resume takes up the jobs that were under way when the server last stopped.
func (j *jobs) resume() error {
	saved, err := j.store.Jobs()
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for model, body := range saved {
		var task savedTask
		err := json.Unmarshal(body, &task)
		if err == nil && j.trainer == nil {
			err = errors.New("this server was built without training")
		}
		if err != nil {
			st := &JobStatus{Model: model, State: jobFailed, Reason: fmt.Sprintf("it cannot go on: %v", err)}
			if err := j.end(st); err != nil {
				return err
			}
			continue
		}
		j.log.Info("a training job goes on", "model", model)
		j.queue = append(j.queue, queuedJob{model, task})
	}
	j.next()
	return nil
}

// cancel ends a model's job for good.
func (j *jobs) cancel(model string) error {
	j.mu.Lock()
	r := j.running
	if r == nil || r.model != model {
		j.mu.Unlock()
		return refuse(http.StatusConflict, "no training job of model %q runs", model)
	}
	r.cancelled = true
	r.cancel()
	j.mu.Unlock()
	<-r.done
	return nil
}

// stop pauses the job that runs; it goes on after the next start.
func (j *jobs) stop() {
	j.mu.Lock()
	j.stopped = true
	r := j.running
	if r != nil {
		r.cancel()
	}
	j.mu.Unlock()
	if r != nil {
		<-r.done
	}
}

func (j *jobs) busy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running != nil
}

// latest returns the latest job since the start, or nil.
func (j *jobs) latest(model string) *JobStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last[model]
}

// status returns the job that runs, or else the last one, or nil.
func (j *jobs) status(model string) (*JobStatus, error) {
	if st := j.latest(model); st != nil {
		return st, nil
	}
	body, err := j.store.Outcome(model)
	if err != nil || body == nil {
		return nil, err
	}
	st := new(JobStatus)
	if err := json.Unmarshal(body, st); err != nil {
		return nil, fmt.Errorf("the outcome of the last job: %w", err)
	}
	return st, nil
}

func (s *Server) startTraining(w http.ResponseWriter, r *http.Request) error {
	name, parent, opt, err := s.trainRequest(w, r)
	if err != nil {
		return err
	}
	st, err := s.jobs.start(name, parent, opt)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, st)
	return nil
}

// planTraining says what the same request to train would take.
func (s *Server) planTraining(w http.ResponseWriter, r *http.Request) error {
	name, parent, opt, err := s.trainRequest(w, r)
	if err != nil {
		return err
	}
	e, err := s.jobs.plan(r.Context(), name, parent, opt)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, e)
	return nil
}

// trainRequest reads a request to train the version that serves.
func (s *Server) trainRequest(w http.ResponseWriter, r *http.Request) (name, parent string, opt TrainOptions, err error) {
	if err := s.readJSON(w, r, &opt); err != nil {
		return "", "", opt, err
	}
	if opt.Epochs < 0 || opt.Batch < 0 || opt.Rate < 0 || opt.Validation < 0 || opt.Validation >= 1 || opt.Memory < 0 || opt.Canary < 0 || opt.Canary >= 1 {
		return "", "", opt, refuse(http.StatusBadRequest, "epochs, batch, learning_rate, memory_bytes must not be negative, validation and canary must be in [0, 1)")
	}
	name = r.PathValue("model")
	n, err := s.repo.hold(name, "")
	if err != nil {
		return "", "", opt, err
	}
	parent, labels := n.version, n.Labels()
	n.release()
	return name, parent, opt, s.wouldForget(name, labels, opt)
}

// wouldForget refuses training that would make the model forget classes because
// no sample shows them; the gate could not see it, for it has no samples of
// them either.
func (s *Server) wouldForget(name string, labels []string, opt TrainOptions) error {
	if opt.Forget {
		return nil
	}
	have := s.cfg.Store.Counts(name).Labels
	classes := opt.Classes
	if classes == nil {
		classes = labels
	}
	var missing []string
	for _, l := range classes {
		if have[l] == 0 {
			missing = append(missing, l)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	some := missing[:min(len(missing), 5)]
	return refuse(http.StatusConflict, "no samples of %d of %d classes (%q ...), which would be forgotten: add some, or say so with \"classes\" or \"allow_forgetting\"", len(missing), len(classes), some)
}

func (s *Server) trainingStatus(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	st, err := s.jobs.status(name)
	if err != nil {
		return err
	}
	if st == nil {
		return refuse(http.StatusNotFound, "model %q has not been trained", name)
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

func (s *Server) cancelTraining(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	if _, err := s.repo.entry(name); err != nil {
		return err
	}
	if err := s.jobs.cancel(name); err != nil {
		return err
	}
	return s.trainingStatus(w, r)
}

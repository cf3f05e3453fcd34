package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Child does what may go wrong in a process of its own: it trains, and it tries
// models before they serve. Go can neither stop a goroutine that hangs nor
// survive running out of memory; a process that does either is killed.
//
// It runs Command, whose main calls [Work]. Orders, progress and samples go
// over its standard input and output, one JSON object after the other. The end
// of its input tells the child to stop, which also happens when the parent
// dies.
type Child struct {
	Command []string
	Memory  int64         // bytes that it may have beside files it maps; 0: no limit
	Warm    time.Duration // that loading and the first run of a model may take
	Quiet   time.Duration // that training may go on without progress

	mu      sync.Mutex
	paused  bool
	running map[int]*time.Timer // processes that train, and what kills each when it is quiet
}

// Pause lets the processes that train rest, and those that begin, or go on. A
// process that rests keeps its memory and is not held to be hanging.
func (c *Child) Pause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = on
	for pid, silent := range c.running {
		c.halt(pid, silent, on)
	}
}

// halt stops a process or lets it go on. The caller holds mu.
func (c *Child) halt(pid int, silent *time.Timer, on bool) {
	if on {
		silent.Stop()
	} else {
		silent.Reset(c.Quiet)
	}
	freeze(pid, on)
}

// began notes a process that may be paused; the function that is returned wakes
// it and forgets it.
func (c *Child) began(pid int, silent *time.Timer) (ended func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = map[int]*time.Timer{}
	}
	c.running[pid] = silent
	if c.paused {
		c.halt(pid, silent, true)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running[pid] != nil {
			delete(c.running, pid)
			freeze(pid, false)
		}
	}
}

// heard puts off the end of a process that has said something.
func (c *Child) heard(pid int, silent *time.Timer, quiet time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.paused || c.running[pid] == nil {
		silent.Reset(quiet)
	}
}

// childGrace is how long a child may take to write a checkpoint and end when it
// is told to; killing it costs the work since the last one.
const childGrace = 10 * time.Second

// An order is the first that the parent sends.
type order struct {
	Try   *tryOrder   `json:"try,omitempty"`
	Train *trainOrder `json:"train,omitempty"`
	Plan  *trainOrder `json:"plan,omitempty"`
}

type tryOrder struct {
	Path  string `json:"path"`
	Delta []byte `json:"delta,omitempty"`
}

type trainOrder struct {
	Model   string            `json:"model"`
	Delta   []byte            `json:"delta,omitempty"`
	File    string            `json:"file"`
	Key     []byte            `json:"key,omitempty"`
	Classes []string          `json:"classes"`
	Options TrainOptions      `json:"options"`
	Samples []uint64          `json:"samples"`
	Labels  map[uint64]string `json:"labels"`
}

// A sampleReply is what the parent sends for a sample that the child wants.
type sampleReply struct {
	Inputs [][]byte `json:"inputs"`
	Error  string   `json:"error,omitempty"`
}

// A message is what the child sends: one of these.
type message struct {
	Progress *Progress `json:"progress,omitempty"`
	Want     *uint64   `json:"want,omitempty"` // the inputs of this sample
	Done     bool      `json:"done,omitempty"` // the last message
	Outcome  *Outcome  `json:"outcome,omitempty"`
	Estimate *Estimate `json:"estimate,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Try loads a model and runs it once.
func (c *Child) Try(ctx context.Context, path string, delta []byte) error {
	_, err := c.run(ctx, order{Try: &tryOrder{path, delta}}, c.Warm, nil)
	return err
}

// Train implements [Trainer].
func (c *Child) Train(ctx context.Context, task Task, progress func(Progress)) (*Outcome, error) {
	o, err := c.trainOrder(task)
	if err != nil {
		return nil, err
	}
	m, err := c.run(ctx, order{Train: o}, c.Quiet, func(m message) *sampleReply {
		if m.Progress != nil {
			progress(*m.Progress)
		}
		return m.answer(task)
	})
	return m.Outcome, err
}

// Plan implements [Trainer].
func (c *Child) Plan(ctx context.Context, task Task) (*Estimate, error) {
	o, err := c.trainOrder(task)
	if err != nil {
		return nil, err
	}
	m, err := c.run(ctx, order{Plan: o}, c.Warm, func(m message) *sampleReply { return m.answer(task) })
	return m.Estimate, err
}

func (c *Child) trainOrder(task Task) (*trainOrder, error) {
	o := &trainOrder{
		Model: task.Model, Delta: task.Delta, File: task.File, Key: task.Key, Classes: task.Labels,
		Options: task.Options, Samples: task.Samples, Labels: make(map[uint64]string, len(task.Samples)),
	}
	if c.Memory > 0 && (o.Options.Memory == 0 || o.Options.Memory > c.Memory) {
		o.Options.Memory = c.Memory // so that the trainer says what it needs, rather than being killed
	}
	for _, id := range task.Samples {
		label, ok := task.Label(id)
		if !ok {
			return nil, fmt.Errorf("sample %d was deleted", id)
		}
		o.Labels[id] = label
	}
	return o, nil
}

// answer gives the child the sample that it wants, if it wants one.
func (m message) answer(task Task) *sampleReply {
	if m.Want == nil {
		return nil
	}
	in, err := task.Inputs(*m.Want)
	if err != nil {
		return &sampleReply{Error: err.Error()}
	}
	return &sampleReply{Inputs: in}
}

// fatal is why a child was killed.
type fatal struct{ error }

// run starts a child, gives it the order and hears what it says until it has
// ended. It is killed after the given time without a message.
func (c *Child) run(ctx context.Context, o order, quiet time.Duration, hear func(message) *sampleReply) (last message, err error) {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(inner, c.Command[0], c.Command[1:]...)
	cmd.Env = os.Environ()
	if c.Memory > 0 {
		// The collector works harder before the limit is reached.
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(c.Memory/8*7, 10))
	}
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return last, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return last, err
	}
	cmd.Cancel = func() error {
		if _, ok := errors.AsType[fatal](context.Cause(inner)); ok {
			return cmd.Process.Kill()
		}
		return stdin.Close()
	}
	cmd.WaitDelay = childGrace
	said := new(firstBytes)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return last, fmt.Errorf("the child process does not start: %w", err)
	}
	yield(cmd.Process.Pid)
	if c.Memory > 0 {
		limitMemory(cmd.Process.Pid, c.Memory)
	}
	silent := time.AfterFunc(quiet, func() {
		stop(fatal{fmt.Errorf("it was stopped: nothing came of it for %v", quiet)})
	})
	defer silent.Stop()
	if o.Train != nil {
		idle(cmd.Process.Pid)
		ended := c.began(cmd.Process.Pid, silent)
		defer ended()
		defer context.AfterFunc(inner, ended)() // what rests does not see that it is to end
	}
	go c.watch(inner, cmd.Process.Pid, stop)

	// A child that has died is noticed when reading; what could not be written
	// to it does not matter then.
	out := json.NewEncoder(stdin)
	_ = out.Encode(o)
	in := json.NewDecoder(stdout)
	var broken error
	for !last.Done {
		var m message
		if broken = in.Decode(&m); broken != nil {
			break
		}
		c.heard(cmd.Process.Pid, silent, quiet)
		last = m
		if hear != nil && !m.Done {
			if reply := hear(m); reply != nil {
				_ = out.Encode(reply)
			}
		}
	}
	if broken != nil && !errors.Is(broken, io.EOF) && !errors.Is(broken, os.ErrClosed) && inner.Err() == nil {
		stop(fatal{fmt.Errorf("it was stopped: what it says is not understood: %w", broken)})
	}
	_ = stdin.Close() // it may be closed already
	ended := cmd.Wait()
	var f fatal
	switch {
	case errors.As(context.Cause(inner), &f):
		return last, f.error
	case ctx.Err() != nil && (!last.Done || last.Error != ""):
		return last, ctx.Err()
	case !last.Done:
		return last, fmt.Errorf("its process ended: %w: %s", ended, said)
	case last.Error != "":
		return last, errors.New(last.Error)
	}
	return last, nil
}

// watchEvery is how often the child's memory is looked at.
const watchEvery = 50 * time.Millisecond

// watch kills a child that takes more memory than it may.
func (c *Child) watch(ctx context.Context, pid int, stop context.CancelCauseFunc) {
	if c.Memory == 0 {
		return
	}
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if used := ownMemory(pid); used > c.Memory {
			stop(fatal{fmt.Errorf("it was stopped: it needs more than %d MiB of memory (--child-memory)", c.Memory>>20)})
			return
		}
	}
}

// firstBytes keeps the beginning of what is written to it: Go's panics say what
// happened first.
type firstBytes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.b.Write(p[:min(len(p), 4096-f.b.Len())])
	return len(p), nil
}

// String returns the first line.
func (f *firstBytes) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	line, _, _ := strings.Cut(strings.TrimSpace(f.b.String()), "\n")
	if line == "" {
		return "it said nothing"
	}
	return line
}

// Work carries out the order that comes over in and tells out how it goes. It
// is what the process of a [Child] does.
func Work(ctx context.Context, in io.Reader, out io.Writer, engine Engine, trainer Trainer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &worker{out: json.NewEncoder(out), replies: make(chan sampleReply)}
	dec := json.NewDecoder(in)
	var o order
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("this command is for whet serve itself: %w", err)
	}
	go func() {
		defer cancel() // the parent wants no more of it, or is gone
		for {
			var r sampleReply
			if dec.Decode(&r) != nil {
				return
			}
			select {
			case w.replies <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	last := message{Done: true}
	var err error
	switch {
	case o.Try != nil:
		err = tryModel(ctx, engine, *o.Try)
	case o.Train != nil:
		last.Outcome, err = trainer.Train(ctx, w.task(ctx, *o.Train), w.progress())
	case o.Plan != nil:
		last.Estimate, err = trainer.Plan(ctx, w.task(ctx, *o.Plan))
	default:
		err = errors.New("an unknown order")
	}
	if err != nil {
		last.Error = err.Error()
	}
	return w.send(last)
}

func tryModel(ctx context.Context, engine Engine, o tryOrder) error {
	m, err := engine.Open(o.Path, o.Delta)
	if err != nil {
		return err
	}
	n, err := newInstance(ctx, m, "", limits{sessions: 1})
	if err != nil {
		return errors.Join(err, m.Close())
	}
	n.retire()
	return nil
}

type worker struct {
	mu      sync.Mutex
	out     *json.Encoder
	replies chan sampleReply
}

func (w *worker) send(m message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Encode(m)
}

// progressEvery is how often the parent hears of a phase: it has requests to answer, and
// a small network makes thousands of steps a second.
const progressEvery = 100 * time.Millisecond

// progress returns what tells the parent of the beginning and the end of each phase, and
// from time to time of what lies between.
func (w *worker) progress() func(Progress) {
	var told time.Time
	phase := ""
	return func(p Progress) {
		if p.Phase == phase && p.Step < p.Steps && time.Since(told) < progressEvery {
			return
		}
		phase, told = p.Phase, time.Now()
		_ = w.send(message{Progress: &p}) // a parent that is gone has closed the input, too
	}
}

func (w *worker) task(ctx context.Context, o trainOrder) Task {
	return Task{
		Model: o.Model, Delta: o.Delta, File: o.File, Key: o.Key, Labels: o.Classes, Options: o.Options, Samples: o.Samples,
		Label: func(id uint64) (string, bool) {
			label, ok := o.Labels[id]
			return label, ok
		},
		Inputs: func(id uint64) ([][]byte, error) {
			if err := w.send(message{Want: &id}); err != nil {
				return nil, err
			}
			select {
			case r := <-w.replies:
				if r.Error != "" {
					return nil, errors.New(r.Error)
				}
				return r.Inputs, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
}

package runtime

import (
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// The pool is shared by all sessions of the process. One run at a time uses
// it; a run that finds it taken goes on alone, for then the other cores are
// busy anyway. Workers start with the first parallel run, spin briefly between
// the steps of a run, and park when there is none.
var pool struct {
	busy   sync.Mutex // held by the run that uses the workers
	active atomic.Bool
	epoch  atomic.Uint32 // counts steps; its low 16 bits tag the ranges
	width  atomic.Int32  // threads of the current step; published before its epoch
	done   atomic.Int64  // tasks finished of the current step
	ranges [maxThreads]taskRange

	// Written before the ranges of an epoch are published, read after a task
	// of that epoch was claimed: a step does not end before its last task.
	step    *step
	session *Session

	start   sync.Mutex
	workers []*worker
}

const (
	maxThreads = 64
	maxTasks   = 1<<24 - 1

	// spinLoads is how often a worker looks for the next step before it
	// parks: some 20 microseconds, the length of a short serial step.
	spinLoads = 20000
)

// A taskRange is the tasks [lo, hi) that one thread has left, packed with the
// epoch they belong to: epoch<<48 | lo<<24 | hi. Its owner takes from the front,
// thieves from the back. Padded to a cache line.
type taskRange struct {
	v atomic.Uint64
	_ [56]byte
}

func packRange(epoch uint32, lo, hi int) uint64 {
	return uint64(epoch&0xffff)<<48 | uint64(lo)<<24 | uint64(hi)
}

// claim takes tasks of the epoch: a quarter of what is left for the owner, the
// last one for a thief.
func (r *taskRange) claim(epoch uint32, owner bool) (lo, hi int, ok bool) {
	for {
		v := r.v.Load()
		lo, hi = int(v>>24&maxTasks), int(v&maxTasks)
		if uint32(v>>48) != epoch&0xffff || lo >= hi {
			return 0, 0, false
		}
		if owner {
			mid := lo + max(1, (hi-lo)/4)
			if r.v.CompareAndSwap(v, packRange(epoch, mid, hi)) {
				return lo, mid, true
			}
		} else if r.v.CompareAndSwap(v, packRange(epoch, lo, hi-1)) {
			return hi - 1, hi, true
		}
	}
}

type worker struct {
	id     int
	wake   chan struct{}
	parked atomic.Bool
}

func (w *worker) loop() {
	for range w.wake {
		w.serve()
	}
}

func (w *worker) serve() {
	var seen uint32
	for spins := 0; ; spins++ {
		if e := pool.epoch.Load(); e != seen {
			seen, spins = e, 0
			work(w.id, e)
			continue
		}
		if spins < spinLoads && pool.active.Load() {
			continue
		}
		w.parked.Store(true)
		// A step published just before parking saw a worker that was awake:
		// look once more, unless its thread has already sent the wake-up.
		if pool.epoch.Load() == seen || !w.parked.CompareAndSwap(true, false) {
			return
		}
	}
}

// work does tasks of the epoch as thread id until none is left.
func work(id int, epoch uint32) {
	width := int(pool.width.Load())
	if id >= width {
		return
	}
	lo, hi, ok := pool.ranges[id].claim(epoch, true)
	for ; ok; lo, hi, ok = pool.ranges[id].claim(epoch, true) {
		runTasks(id, lo, hi)
	}
	for k := 1; k < width; k++ {
		r := &pool.ranges[(id+k)%width]
		for lo, hi, ok = r.claim(epoch, false); ok; lo, hi, ok = r.claim(epoch, false) {
			runTasks(id, lo, hi)
		}
	}
}

func runTasks(id, lo, hi int) {
	s := pool.session
	pool.step.run(&s.mem, s.scratch[id], lo, hi)
	pool.done.Add(int64(hi - lo))
}

// team is a session's way to the pool.
type team struct {
	session *Session
	threads int
	workers []*worker
}

func (t *team) init(s *Session) {
	t.session = s
	if slices.ContainsFunc(s.prog.steps, func(st *step) bool { return st.shared }) {
		t.hire(s.prog.threads)
	}
}

// hire makes sure that the pool has workers for so many threads.
func (t *team) hire(threads int) {
	t.threads = min(threads, goruntime.GOMAXPROCS(0), maxThreads)
	if t.threads < 2 {
		return
	}
	pool.start.Lock()
	defer pool.start.Unlock()
	for len(pool.workers) < t.threads-1 {
		w := &worker{id: len(pool.workers) + 1, wake: make(chan struct{}, 1)}
		w.parked.Store(true)
		pool.workers = append(pool.workers, w)
		go w.loop()
	}
	t.workers = pool.workers[:t.threads-1]
}

// begin takes the workers for one run; false means that the run goes alone.
func (t *team) begin() bool {
	if len(t.workers) == 0 || !pool.busy.TryLock() {
		return false
	}
	pool.active.Store(true)
	return true
}

func (t *team) end(parallel bool) {
	if parallel {
		pool.active.Store(false)
		pool.session, pool.step = nil, nil
		pool.busy.Unlock()
	}
}

// run does all tasks of a step on the team's threads.
func (t *team) run(st *step) {
	n, threads := st.tasks, min(t.threads, st.tasks)
	if n > maxTasks {
		st.run(&t.session.mem, t.session.scratch[0], 0, n)
		return
	}
	pool.session, pool.step = t.session, st
	pool.done.Store(0)
	e := pool.epoch.Load() + 1
	for i := range threads {
		pool.ranges[i].v.Store(packRange(e, n*i/threads, n*(i+1)/threads))
	}
	pool.width.Store(int32(threads))
	pool.epoch.Store(e)
	for _, w := range t.workers[:threads-1] {
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	work(0, e)
	for spins := 0; pool.done.Load() < int64(n); spins++ {
		if spins > spinLoads {
			goruntime.Gosched() // a thread that holds a task has lost its core
		}
	}
}

package store

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

var long = flag.Bool("long", false, "run the crash tests on many more seeds")

var errPowerOff = errors.New("the power is off")

// An oracle knows what a store has promised. What the operation under way when
// the power went may or may not have done is in the maybe fields.
type oracle struct {
	samples      map[uint64]string
	maybeSample  string          // being added
	maybeDeleted map[uint64]bool // being deleted
	gone         map[uint64]bool // deleted for good
	current      string
	maybeCurrent string
	versions     map[string]string // version: delta
	job          string
	maybeJob     *string
}

func newOracle() *oracle {
	return &oracle{samples: map[uint64]string{}, gone: map[uint64]bool{}, versions: map[string]string{}, current: Base}
}

const crashModel = "m"

// check compares a store that was opened after a crash with the promises.
func (o *oracle) check(s *Store) error {
	if d := s.Recovered().Damaged; len(d) > 0 && !slices.ContainsFunc(d, func(d string) bool { return strings.Contains(d, "header") || strings.Contains(d, "not a sample log") }) {
		return fmt.Errorf("damage was found: %q", d)
	}
	seen := map[uint64]bool{}
	extra := 0
	for _, i := range s.List(crashModel, 0, 1<<20) {
		got, err := s.Get(i.ID)
		if err != nil {
			return fmt.Errorf("a listed sample cannot be read: %w", err)
		}
		seen[i.ID] = true
		want, acked := o.samples[i.ID]
		switch {
		case o.gone[i.ID]:
			return fmt.Errorf("sample %d came back from the dead", i.ID)
		case acked && want != string(got.Data):
			return fmt.Errorf("sample %d has other data", i.ID)
		case !acked && string(got.Data) != o.maybeSample:
			return fmt.Errorf("sample %d was never added", i.ID)
		case !acked:
			extra++
		}
	}
	if extra > 1 {
		return fmt.Errorf("%d samples more than were added", extra)
	}
	for id := range o.samples {
		if !seen[id] && !o.maybeDeleted[id] {
			return fmt.Errorf("acknowledged sample %d is lost", id)
		}
	}
	_, current := s.Versions(crashModel)
	if current != o.current && current != o.maybeCurrent {
		return fmt.Errorf("version %s is current, neither old %s nor new %s", current, o.current, o.maybeCurrent)
	}
	for v, want := range o.versions {
		if _, b, err := s.Delta(crashModel, v); err != nil || string(b) != want {
			return fmt.Errorf("version %s: %q, %v", v, b, err)
		}
	}
	if _, _, err := s.Delta(crashModel, current); err != nil {
		return fmt.Errorf("the current version: %w", err)
	}
	jobs, err := s.Jobs()
	if err != nil {
		return err
	}
	if j := string(jobs[crashModel]); j != o.job && (o.maybeJob == nil || j != *o.maybeJob) {
		return fmt.Errorf("the job is %q, want %q", j, o.job)
	}
	return nil
}

// told takes over what a store shows: from now on that is promised.
func (o *oracle) told(s *Store) {
	seen := map[uint64]string{}
	for _, i := range s.List(crashModel, 0, 1<<20) {
		if got, err := s.Get(i.ID); err == nil {
			seen[i.ID] = string(got.Data)
		}
	}
	for id := range o.samples {
		if _, ok := seen[id]; !ok {
			o.gone[id] = true
		}
	}
	o.samples, o.maybeSample, o.maybeDeleted = seen, "", nil
	_, o.current = s.Versions(crashModel)
	o.maybeCurrent, o.maybeJob = o.current, nil
	jobs, err := s.Jobs()
	if err == nil {
		o.job = string(jobs[crashModel])
	}
}

// step does one random operation; the promises change when it has succeeded.
func (o *oracle) step(s *Store, rng *rand.Rand) error {
	ids := make([]uint64, 0, len(o.samples))
	for id := range o.samples {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	switch n := rng.IntN(100); {
	case n < 55:
		o.maybeSample = fmt.Sprintf("%d:%s", rng.Uint64(), strings.Repeat("x", rng.IntN(900)))
		id, err := s.Add(Sample{Model: crashModel, Label: "l", Data: []byte(o.maybeSample)})
		if err != nil {
			return err
		}
		o.samples[id], o.maybeSample = o.maybeSample, ""
	case n < 75:
		rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return o.delete(ids[:len(ids)/3], func(ids []uint64) error { _, err := s.Delete(crashModel, ids...); return err })
	case n < 80:
		return o.delete(ids, func([]uint64) error { _, err := s.Purge(crashModel); return err })
	case n < 90:
		delta := fmt.Sprint("delta ", rng.Uint64())
		v, err := s.Publish(crashModel, Version{Base: "b"}, []byte(delta))
		if err != nil {
			return err
		}
		o.versions[v.Version] = delta
		o.maybeCurrent = v.Version
		if err := s.Promote(crashModel, v.Version); err != nil {
			return err
		}
		o.current = v.Version
	case n < 93:
		to, err := s.RollbackTarget(crashModel)
		if err != nil {
			return nil
		}
		o.maybeCurrent = to
		if _, err := s.Rollback(crashModel); err != nil {
			return err
		}
		o.current = to
	default:
		next := ""
		if o.job == "" {
			next = fmt.Sprint("job ", rng.Uint64())
		}
		o.maybeJob = &next
		var err error
		if next != "" {
			err = s.SaveJob(crashModel, []byte(next))
		} else {
			err = s.EndJob(crashModel, []byte("ended"))
		}
		if err != nil {
			return err
		}
		o.job, o.maybeJob = next, nil
	}
	return nil
}

func (o *oracle) delete(ids []uint64, do func(ids []uint64) error) error {
	o.maybeDeleted = map[uint64]bool{}
	for _, id := range ids {
		o.maybeDeleted[id] = true
	}
	if err := do(ids); err != nil {
		return err
	}
	for _, id := range ids {
		delete(o.samples, id)
		o.gone[id] = true
	}
	o.maybeDeleted = nil
	return nil
}

var crashOptions = Options{SegmentBytes: 1500, Versions: 100, Ballast: 100}

// crashOnce runs random operations until the power goes at the at-th call to
// the file system, and returns how a promise was broken. wrap may put something
// between the store and the file system.
func crashOnce(seed uint64, at int, keep float64, wrap func(*vfs.Mem) vfs.FS) error {
	mem := vfs.NewMem()
	opt := crashOptions
	opt.Now = clock()
	o := newOracle()
	o.maybeCurrent = Base
	if err := runUntil(mem, wrap(mem), opt, o, rand.New(rand.NewPCG(seed, 2)), at); err != nil {
		return err
	}
	if seed%2 == 0 {
		// Only the process dies; what comes up after it is shown to somebody, and
		// then the power goes.
		mem.Inject = nil
		s, err := Open(wrap(mem), "/state", opt)
		if err != nil {
			return fmt.Errorf("after a kill: %w", err)
		}
		if err := o.check(s); err != nil {
			return fmt.Errorf("after a kill: %w", err)
		}
		o.told(s)
	}
	s, err := Open(mem.Crash(seed, keep), "/state", opt)
	if err != nil {
		return fmt.Errorf("after a power cut: %w", err)
	}
	if err := o.check(s); err != nil {
		return fmt.Errorf("after a power cut: %w", err)
	}
	// It must not only open but work.
	if _, err := s.Add(Sample{Model: crashModel, Data: []byte("again")}); err != nil {
		return fmt.Errorf("after a power cut: %w", err)
	}
	return nil
}

// runUntil does random operations, with restarts between, until the at-th call
// to the file system: there it dies, by a panic, so that none of the store's
// code runs after it.
func runUntil(mem *vfs.Mem, fsys vfs.FS, opt Options, o *oracle, rng *rand.Rand, at int) (err error) {
	mem.Inject = func(c vfs.Call) error {
		if c.N >= at {
			panic(errPowerOff)
		}
		return nil
	}
	defer func() {
		if v := recover(); v != nil && v != errPowerOff {
			panic(v)
		}
	}()
	for {
		s, err := Open(fsys, "/state", opt)
		if err != nil {
			return err
		}
		if err := o.check(s); err != nil {
			return fmt.Errorf("after a clean restart: %w", err)
		}
		for range rng.IntN(40) {
			if err := o.step(s, rng); err != nil {
				return err
			}
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
}

func plain(m *vfs.Mem) vfs.FS { return m }

func crashSeeds(n int) int {
	if *long {
		return 50 * n
	}
	return n
}

func TestCrash(t *testing.T) {
	for seed := range uint64(crashSeeds(1200)) {
		rng := rand.New(rand.NewPCG(seed, 3))
		at, keep := rng.IntN(700), []float64{0, 0.5, 0.9}[rng.IntN(3)]
		if seed < 100 {
			at = int(seed) / 2 // the very first start
		}
		if err := crashOnce(seed, at, keep, plain); err != nil {
			t.Fatalf("seed %d, call %d, keep %g: %v", seed, at, keep, err)
		}
	}
}

// A liar is a file system that leaves out the fsyncs of one place in the code.
type liar struct {
	*vfs.Mem
	skip  string
	sites map[string]bool
}

// skipped notes the place that an fsync is called from and reports whether it
// is the one to leave out.
func (l *liar) skipped() bool {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var site []string
	for {
		f, more := frames.Next()
		name := filepath.Base(f.Function)
		if strings.HasPrefix(name, "store.") && !strings.HasSuffix(f.File, "_test.go") || strings.HasPrefix(name, "vfs.WriteFile") {
			site = append(site, fmt.Sprintf("%s:%d", name, f.Line))
		}
		if !more || len(site) == 2 {
			break
		}
	}
	at := strings.Join(site, " < ")
	if strings.Contains(at, "loadBallast") {
		return false // the ballast keeps room, not promises
	}
	l.sites[at] = true
	return at == l.skip
}

func (l *liar) SyncDir(dir string) error {
	if l.skipped() {
		return nil
	}
	return l.Mem.SyncDir(dir)
}

type lyingFile struct {
	vfs.File
	l *liar
}

func (f lyingFile) Sync() error {
	if f.l.skipped() {
		return nil
	}
	return f.File.Sync()
}

func (l *liar) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lyingFile{f, l}, nil
}

func (l *liar) Create(name string) (vfs.File, error)    { return l.file(l.Mem.Create(name)) }
func (l *liar) CreateNew(name string) (vfs.File, error) { return l.file(l.Mem.CreateNew(name)) }
func (l *liar) Append(name string) (vfs.File, error)    { return l.file(l.Mem.Append(name)) }

// TestEveryFsyncMatters leaves out each fsync of the store in turn: the crash
// test must then fail, or either the fsync or the test is worth nothing.
func TestEveryFsyncMatters(t *testing.T) {
	sites := map[string]bool{}
	crash := func(seed uint64, skip string) error {
		rng := rand.New(rand.NewPCG(seed, 4))
		return crashOnce(seed, 1+rng.IntN(700), []float64{0, 0.5}[rng.IntN(2)], func(m *vfs.Mem) vfs.FS {
			return &liar{Mem: m, skip: skip, sites: sites}
		})
	}
	for seed := range uint64(60) {
		if err := crash(seed, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if len(sites) < 8 {
		t.Fatalf("only %d places call fsync: %v", len(sites), sites)
	}
	list := make([]string, 0, len(sites))
	for site := range sites {
		list = append(list, site)
	}
	slices.Sort(list)
	for _, site := range list {
		found := error(nil)
		seed := uint64(0)
		for ; found == nil && seed < 3000; seed++ {
			found = crash(seed, site)
		}
		if found == nil {
			t.Errorf("without the fsync at %s nothing breaks in %d crashes", site, seed)
		} else {
			t.Logf("without %s: %v (crash %d)", site, found, seed)
		}
	}
}

// TestEveryCallFails makes each call to the file system fail once. The store
// must say so or manage without, and keep every promise.
func TestEveryCallFails(t *testing.T) {
	for at := range 400 {
		mem := vfs.NewMem()
		rng := rand.New(rand.NewPCG(5, 5))
		opt := crashOptions
		opt.Now = clock()
		mem.Inject = func(c vfs.Call) error {
			if c.N == at {
				return errors.New("I/O error")
			}
			return nil
		}
		s, err := Open(mem, "/state", opt)
		if err != nil {
			if s, err = Open(mem, "/state", opt); err != nil {
				t.Fatalf("call %d: opening it again: %v", at, err)
			}
		}
		o := newOracle()
		o.maybeCurrent = Base
		for range 80 {
			if err := o.step(s, rng); err != nil {
				o.told(s)
			}
		}
		for _, fsys := range []*vfs.Mem{mem, mem.Crash(uint64(at), 0.5)} {
			s, err := Open(fsys, "/state", opt)
			if err != nil {
				t.Fatalf("call %d: %v", at, err)
			}
			if err := o.check(s); err != nil {
				t.Fatalf("call %d: %v", at, err)
			}
		}
	}
}

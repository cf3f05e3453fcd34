package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/whet-edge/whet/format/vfs"
)

// An operation is done on a store that holds samples, versions 2 and 3 (3 is
// current) and has room. What it is doing when the power goes is in the oracle.
type operation struct {
	name string
	do   func(o *oracle, s *Store) error
}

var operations = []operation{
	{"first start", nil},
	{"publish", func(o *oracle, s *Store) error {
		v, err := s.Publish(crashModel, Version{Base: "b"}, []byte("delta four"))
		if err == nil {
			o.versions[v.Version] = "delta four"
		}
		return err
	}},
	{"promote", func(o *oracle, s *Store) error {
		o.maybeCurrent = "2"
		err := s.Promote(crashModel, "2")
		if err == nil {
			o.current = "2"
		}
		return err
	}},
	{"roll back", func(o *oracle, s *Store) error {
		o.maybeCurrent = "2"
		_, err := s.Rollback(crashModel)
		if err == nil {
			o.current = "2"
		}
		return err
	}},
	{"append", func(o *oracle, s *Store) error {
		for i := range 3 { // the second begins a new segment
			o.maybeSample = strings.Repeat(fmt.Sprint("new ", i), 150)
			id, err := s.Add(Sample{Model: crashModel, Label: "l", Data: []byte(o.maybeSample)})
			if err != nil {
				return err
			}
			o.samples[id], o.maybeSample = o.maybeSample, ""
		}
		return nil
	}},
	{"delete", func(o *oracle, s *Store) error {
		return o.delete([]uint64{1, 2, 4, 5}, func(ids []uint64) error { _, err := s.Delete(crashModel, ids...); return err })
	}},
	{"evict", func(o *oracle, s *Store) error {
		return o.delete([]uint64{1, 2}, func([]uint64) error { return s.evict(500) })
	}},
	{"purge", func(o *oracle, s *Store) error {
		return o.delete([]uint64{1, 2, 3, 4, 5, 6}, func([]uint64) error { _, err := s.Purge(crashModel); return err })
	}},
}

// prepared is a file system with a store that the operations work on.
func prepared(t *testing.T, opt Options) (*vfs.Mem, *oracle) {
	t.Helper()
	fsys, o := vfs.NewMem(), newOracle()
	s := open(t, fsys, opt)
	for i := range 6 {
		data := strings.Repeat(fmt.Sprint("sample ", i), 50)
		o.samples[add(t, s, crashModel, "l", data)] = data
	}
	for _, delta := range []string{"delta two", "delta three"} {
		v, err := s.Publish(crashModel, Version{Base: "b"}, []byte(delta))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Promote(crashModel, v.Version); err != nil {
			t.Fatal(err)
		}
		o.versions[v.Version], o.current, o.maybeCurrent = delta, v.Version, v.Version
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fsys, o
}

// run opens the store, does the operation and returns the error of either.
func (op operation) run(fsys vfs.FS, o *oracle, opt Options) error {
	s, err := Open(fsys, "/state", opt)
	if err != nil || op.do == nil {
		return err
	}
	return op.do(o, s)
}

// TestEveryOperationCrashes takes the power away at each call to the file system
// that an operation makes, at least 200 times in all: afterwards there is the
// old or the new, and nothing that was acknowledged is lost.
func TestEveryOperationCrashes(t *testing.T) {
	opt := crashOptions
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			crashes := 0
			for seed := uint64(0); crashes < 200; seed++ {
				if opt.Key = nil; seed%2 == 1 {
					opt.Key = make([]byte, KeySize)
				}
				for at := 0; ; at++ {
					opt.Now = clock()
					fsys, o := vfs.NewMem(), newOracle()
					o.maybeCurrent = Base
					if op.do != nil {
						fsys, o = prepared(t, opt)
					}
					if !dies(fsys, at, func() { _ = op.run(fsys, o, opt) }) {
						break // it was done before that call
					}
					crashes++
					keep := []float64{0, 0.5, 0.9}[rand.New(rand.NewPCG(seed, uint64(at))).IntN(3)]
					s, err := Open(fsys.Crash(seed, keep), "/state", opt)
					if err == nil {
						err = o.check(s)
					}
					if err != nil {
						t.Fatalf("seed %d, call %d, keep %g: %v", seed, at, keep, err)
					}
				}
			}
		})
	}
}

// dies does something until the at-th call to the file system from now, and
// reports whether it got there.
func dies(fsys *vfs.Mem, at int, do func()) (died bool) {
	from := fsys.Calls()
	fsys.Inject = func(c vfs.Call) error {
		if c.N >= from+at {
			panic(errPowerOff)
		}
		return nil
	}
	defer func() {
		fsys.Inject = nil
		if v := recover(); v == errPowerOff {
			died = true
		} else if v != nil {
			panic(v)
		}
	}()
	do()
	return false
}

// TestEveryOperationFails lets the disk be full, or broken, from each call that
// writes on. What was acknowledged stays and can be read meanwhile, the
// operation says that it failed or has been done, and works once there is room.
func TestEveryOperationFails(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, op := range operations[1:] {
			t.Run(op.name+", "+fault.Error(), func(t *testing.T) {
				opt := crashOptions
				opt.Now = clock()
				for at, sites := 0, 1; at < sites; at++ {
					fsys, o := prepared(t, opt)
					s := open(t, fsys, opt)
					n := 0
					fsys.Inject = func(c vfs.Call) error {
						switch c.Op {
						case "write", "create", "sync", "syncdir", "truncate", "mkdir", "rename":
							if fault == syscall.ENOSPC && c.Op != "write" && c.Op != "create" && c.Op != "mkdir" {
								return nil
							}
							if n++; n > at {
								return fault
							}
						}
						return nil
					}
					err := op.do(o, s)
					sites = max(sites, n)
					if err != nil && !errors.Is(err, fault) {
						t.Errorf("call %d: %v", at, err)
					}
					if err := o.check(s); err != nil {
						t.Errorf("call %d, while it is broken: %v", at, err)
					}
					fsys.Inject = nil
					for _, after := range []*vfs.Mem{fsys, fsys.Crash(uint64(at), 0.5)} {
						s, err := Open(after, "/state", opt)
						if err == nil {
							err = o.check(s)
						}
						if err != nil {
							t.Fatalf("call %d: %v", at, err)
						}
						if _, err := s.Add(Sample{Model: crashModel, Data: []byte("again")}); err != nil {
							t.Errorf("call %d: it does not work again: %v", at, err)
						}
					}
				}
			})
		}
	}
}

// A meter counts the bytes that are written.
type meter struct {
	vfs.FS
	bytes int64
}

type meteredFile struct {
	vfs.File
	m *meter
}

func (f meteredFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.m.bytes += int64(n)
	return n, err
}

func (m *meter) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return meteredFile{f, m}, nil
}

func (m *meter) Create(name string) (vfs.File, error)    { return m.file(m.FS.Create(name)) }
func (m *meter) CreateNew(name string) (vfs.File, error) { return m.file(m.FS.CreateNew(name)) }
func (m *meter) Append(name string) (vfs.File, error)    { return m.file(m.FS.Append(name)) }

// TestWear weighs what is written to the disk: memory cards wear out. An
// acknowledged sample costs its size and 4 KiB at most, a version change its
// manifest, looking nothing.
func TestWear(t *testing.T) {
	m := &meter{FS: vfs.NewMem()}
	s := open(t, m, Options{})
	const each, size = 500, 784
	before := m.bytes
	for range each {
		add(t, s, "m", "label", strings.Repeat("x", size))
	}
	if cost := (m.bytes - before) / each; cost < size || cost > size+128 {
		t.Errorf("a sample of %d bytes costs %d", size, cost)
	}
	before = m.bytes
	for _, i := range s.List("m", 0, 100) {
		if _, err := s.Get(i.ID); err != nil {
			t.Fatal(err)
		}
	}
	s.Counts("m")
	s.Versions("m")
	if m.bytes != before {
		t.Errorf("looking has written %d bytes", m.bytes-before)
	}
}

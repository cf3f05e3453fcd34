//go:build linux

// Load is what a guest of test/power does until its power goes: it adds and
// deletes samples, publishes versions and changes which one serves, and prints
// what was acknowledged, line by line (see package book).
//
//	load store [--step] [--unsafe]   the store alone
//	load serve                       whet serve, asked over its socket
package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/test/power/book"
)

const state = "/disk/state"

func main() {
	err := errors.New("usage: load store [--step] [--unsafe] | load serve")
	args := os.Args[1:]
	switch {
	case len(args) > 0 && args[0] == "store":
		err = loadStore(slices.Contains(args, "--step"), slices.Contains(args, "--unsafe"))
	case len(args) == 1 && args[0] == "serve":
		err = loadServe()
	}
	fmt.Println("wrong", err)
	os.Exit(1)
}

// A host reads what was acknowledged.
type host struct {
	mu   sync.Mutex
	in   *bufio.Reader // where the host says that it has noted a line
	step bool          // wait for that after every line
}

func newHost(step bool) *host { return &host{in: bufio.NewReader(os.Stdin), step: step} }

func (h *host) tell(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Printf(format+"\n", args...)
	if !h.step && !book.Intent(format) {
		return
	}
	if _, err := h.in.ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

// teachers add and delete samples at the same time.
const teachers = 4

// loadStore works on the store itself. With step, one thing happens after the
// other, and the host has noted each before the next begins. unsafe leaves out
// all fsyncs: the host must find that out.
func loadStore(step, unsafe bool) error {
	fsys := vfs.OS
	if unsafe {
		fsys = careless{vfs.OS}
	}
	s, err := store.Open(fsys, state, store.Options{SegmentBytes: 64 << 10, Versions: 4, Ballast: 64 << 10})
	if err != nil {
		return err
	}
	h := newHost(step)
	seed := uint64(time.Now().UnixNano())
	w := &work{host: h, store: s, rng: rand.New(rand.NewPCG(seed, 1))}
	fmt.Println("ready")
	if step {
		for i := 0; ; i++ {
			do := w.teach
			if i%8 == 7 {
				do = w.change
			}
			if err := do(w.rng); err != nil {
				return err
			}
		}
	}
	failed := make(chan error)
	forever := func(do func(*rand.Rand) error) {
		seed++
		rng := rand.New(rand.NewPCG(seed, 2))
		go func() {
			for {
				if err := do(rng); err != nil {
					failed <- err
				}
			}
		}()
	}
	for range teachers {
		forever(w.teach)
	}
	forever(w.change)
	return <-failed
}

type work struct {
	*host
	store *store.Store
	rng   *rand.Rand

	mu sync.Mutex // held while samples to delete are chosen
}

// few is how many samples are kept.
const few = 300

func (w *work) teach(rng *rand.Rand) error {
	if rng.IntN(8) == 0 {
		return w.forget(rng)
	}
	seed := rng.Uint64()
	id, err := w.store.Add(store.Sample{Model: book.Model, Label: book.Label(seed), Data: book.Sample(seed)})
	if err != nil {
		return err
	}
	w.tell("add %d %d", id, seed)
	return nil
}

func (w *work) forget(rng *rand.Rand) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.store.List(book.Model, 0, 1<<20)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:max(min(len(list), 1), len(list)-few)]
	ids := make([]uint64, len(list))
	for i := range list {
		ids[i] = list[i].ID
		w.tell("drop %d", ids[i])
	}
	if _, err := w.store.Delete(book.Model, ids...); err != nil {
		return err
	}
	for _, id := range ids {
		w.tell("gone %d", id)
	}
	return nil
}

func (w *work) change(rng *rand.Rand) error {
	if rng.IntN(3) == 0 {
		to, err := w.store.RollbackTarget(book.Model)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		w.tell("want %s", to)
		if _, err := w.store.Rollback(book.Model); err != nil {
			return err
		}
		w.tell("current %s", to)
		return nil
	}
	seed := rng.Uint64()
	v, err := w.store.Publish(book.Model, store.Version{Base: "b"}, book.Delta(seed))
	if err != nil {
		return err
	}
	w.tell("version %s %d", v.Version, seed)
	w.tell("want %s", v.Version)
	if err := w.store.Promote(book.Model, v.Version); err != nil {
		return err
	}
	w.tell("current %s", v.Version)
	return nil
}

// careless is a file system whose fsyncs do nothing.
type careless struct{ vfs.FS }

type carelessFile struct{ vfs.File }

func (carelessFile) Sync() error { return nil }

func (careless) SyncDir(string) error { return nil }

func (c careless) Create(name string) (vfs.File, error)    { return wrap(c.FS.Create(name)) }
func (c careless) CreateNew(name string) (vfs.File, error) { return wrap(c.FS.CreateNew(name)) }
func (c careless) Append(name string) (vfs.File, error)    { return wrap(c.FS.Append(name)) }

func wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return carelessFile{f}, nil
}

package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// sector is the unit that a disk writes as a whole, unless it tears even that.
const sector = 512

// A Call is one operation on a [Mem], as its Inject hook sees it.
type Call struct {
	N    int    // counts from 0
	Op   string // "open" "create" "read" "write" "truncate" "sync" "rename" "remove" "mkdir" "list" "stat" "syncdir"
	Name string
}

// Mem is a file system in memory that knows what would survive a power cut. It
// is for tests: [Mem.Crash] gives a file system as one might find it after the
// cut, and Inject makes calls fail.
//
// It is harsher than most disks, but no harsher than they may be: unsynced data
// is lost or kept sector by sector, sectors tear, sizes and names of unsynced
// folders revert independently (a rename as a whole), Create empties a file in
// place, and data whose Sync failed is never written, as on Linux.
type Mem struct {
	// Inject, if set, is called before every operation. If it returns an error,
	// the operation fails with it; a write has then written half of its data.
	Inject func(Call) error

	mu      sync.Mutex
	calls   int
	now     tree  // what programs see
	durable tree  // what a crash cannot take away
	pending []*op // changes of now that durable does not have, in order
}

// tree maps clean paths to files; folders are entries with a nil file.
type tree map[string]*inode

// inode is a file's content, which does not depend on its names.
type inode struct {
	now, durable []byte
	dirty        map[int]bool // sectors of now that a Sync would write
	sizeDirty    bool
}

// op is one change of names. It removes from, adds to, or both.
type op struct {
	from, to string
	node     *inode
}

func (o *op) apply(t tree) {
	if o.from != "" {
		delete(t, o.from)
	}
	if o.to == "" {
		return
	}
	if _, ok := t[path.Dir(o.to)]; ok { // else its folder was lost in the crash
		t[o.to] = o.node
	}
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{now: tree{"/": nil, ".": nil}, durable: tree{"/": nil, ".": nil}}
}

// FailNth makes the n-th call from now (0 is the next) and no other fail with err.
func (m *Mem) FailNth(n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.calls + n
	m.Inject = func(c Call) error {
		if c.N == at {
			return err
		}
		return nil
	}
}

// Calls returns how many operations there have been.
func (m *Mem) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Crash returns the file system as it may be after a power cut now. keep is the
// chance, within 0..1, that something unsynced survives; one seed gives one
// result. m itself goes on as if nothing had happened.
func (m *Mem) Crash(seed uint64, keep float64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, 1))
	names := tree{}
	maps.Copy(names, m.durable)
	for _, o := range m.pending {
		if rng.Float64() < keep {
			o.apply(names)
		}
	}
	c := NewMem()
	content := map[*inode]*inode{}
	for _, name := range sorted(names) {
		node := names[name]
		if node != nil && content[node] == nil {
			data := node.survive(rng, keep)
			content[node] = &inode{now: data, durable: bytes.Clone(data), dirty: map[int]bool{}}
		}
		if dir := path.Dir(name); dir != name {
			if _, ok := c.now[dir]; !ok { // the parent was lost; parents sort first
				continue
			}
		}
		c.now[name], c.durable[name] = content[node], content[node]
	}
	return c
}

// survive returns the content after a crash.
func (n *inode) survive(rng *rand.Rand, keep float64) []byte {
	size := len(n.durable)
	if n.sizeDirty && rng.Float64() < keep {
		size = len(n.now)
	}
	data := make([]byte, size)
	copy(data, n.durable)
	for _, s := range slices.Sorted(func(yield func(int) bool) {
		for s := range n.dirty {
			if !yield(s) {
				return
			}
		}
	}) {
		if rng.Float64() >= keep {
			continue
		}
		from, to := s*sector, min((s+1)*sector, len(n.now), size)
		if from >= to {
			continue
		}
		if rng.IntN(4) == 0 { // the sector itself is torn
			to = from + rng.IntN(to-from)
		}
		copy(data[from:to], n.now[from:to])
	}
	return data
}

func sorted(t tree) []string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func clean(name string) string { return path.Clean(filepath.ToSlash(name)) }

func fault(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// begin counts the call and asks Inject.
func (m *Mem) begin(op, name string) error {
	c := Call{N: m.calls, Op: op, Name: name}
	m.calls++
	if m.Inject == nil {
		return nil
	}
	if err := m.Inject(c); err != nil {
		return fault(op, name, err)
	}
	return nil
}

func (m *Mem) change(o *op) {
	o.apply(m.now)
	m.pending = append(m.pending, o)
}

// file finds a file.
func (m *Mem) file(op, name string) (*inode, error) {
	node, ok := m.now[clean(name)]
	switch {
	case !ok:
		return nil, fault(op, name, fs.ErrNotExist)
	case node == nil:
		return nil, fault(op, name, errors.New("is a directory"))
	}
	return node, nil
}

func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("open", name); err != nil {
		return nil, err
	}
	node, err := m.file("open", name)
	if err != nil {
		return nil, err
	}
	return &memFile{m: m, node: node, name: name}, nil
}

// create is Create, CreateNew and Append.
func (m *Mem) create(name string, exclusive, appending bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("create", name); err != nil {
		return nil, err
	}
	p := clean(name)
	if dir, ok := m.now[path.Dir(p)]; !ok || dir != nil {
		return nil, fault("create", name, fs.ErrNotExist)
	}
	node, exists := m.now[p]
	switch {
	case exists && exclusive:
		return nil, fault("create", name, fs.ErrExist)
	case exists && node == nil:
		return nil, fault("create", name, errors.New("is a directory"))
	case !exists:
		node = &inode{dirty: map[int]bool{}}
		m.change(&op{to: p, node: node})
	case !appending:
		node.truncate(0)
	}
	return &memFile{m: m, node: node, name: name, writable: true, appending: appending}, nil
}

func (m *Mem) Create(name string) (File, error)    { return m.create(name, false, false) }
func (m *Mem) CreateNew(name string) (File, error) { return m.create(name, true, false) }
func (m *Mem) Append(name string) (File, error)    { return m.create(name, false, true) }

func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("rename", from); err != nil {
		return err
	}
	node, err := m.file("rename", from) // folders are not renamed by whet
	if err != nil {
		return err
	}
	p := clean(to)
	if old, ok := m.now[p]; ok && old == nil {
		return fault("rename", to, fs.ErrExist)
	}
	if dir, ok := m.now[path.Dir(p)]; !ok || dir != nil {
		return fault("rename", to, fs.ErrNotExist)
	}
	if p != clean(from) {
		m.change(&op{from: clean(from), to: p, node: node})
	}
	return nil
}

func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("remove", name); err != nil {
		return err
	}
	p := clean(name)
	node, ok := m.now[p]
	if !ok {
		return fault("remove", name, fs.ErrNotExist)
	}
	if node == nil && len(m.children(p)) > 0 {
		return fault("remove", name, errors.New("directory not empty"))
	}
	m.change(&op{from: p})
	return nil
}

func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("mkdir", dir); err != nil {
		return err
	}
	p := clean(dir)
	var missing []string
	for {
		node, ok := m.now[p]
		if ok && node != nil {
			return fault("mkdir", dir, errors.New("not a directory"))
		}
		if ok {
			break
		}
		missing = append(missing, p)
		p = path.Dir(p)
	}
	for _, p := range slices.Backward(missing) {
		m.change(&op{to: p})
	}
	return nil
}

func (m *Mem) children(dir string) []string {
	var names []string
	for name := range m.now {
		if path.Dir(name) == dir && name != dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("list", dir); err != nil {
		return nil, err
	}
	if node, ok := m.now[clean(dir)]; !ok || node != nil {
		return nil, fault("list", dir, fs.ErrNotExist)
	}
	return m.children(clean(dir)), nil
}

func (m *Mem) Stat(name string) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("stat", name); err != nil {
		return 0, false, err
	}
	node, ok := m.now[clean(name)]
	switch {
	case !ok:
		return 0, false, fault("stat", name, fs.ErrNotExist)
	case node == nil:
		return 0, true, nil
	}
	return int64(len(node.now)), false, nil
}

func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("syncdir", dir); err != nil {
		return err
	}
	d := clean(dir)
	if node, ok := m.now[d]; !ok || node != nil {
		return fault("syncdir", dir, fs.ErrNotExist)
	}
	m.pending = slices.DeleteFunc(m.pending, func(o *op) bool {
		touches := o.from != "" && path.Dir(o.from) == d || o.to != "" && path.Dir(o.to) == d
		if touches {
			o.apply(m.durable)
		}
		return touches
	})
	return nil
}

// Dump lists the files and their sizes, for messages of failing tests.
func (m *Mem) Dump() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, name := range sorted(m.now) {
		if node := m.now[name]; node != nil {
			fmt.Fprintf(&b, "%s %d\n", name, len(node.now))
		}
	}
	return b.String()
}

func (n *inode) truncate(size int) {
	if size == len(n.now) {
		return
	}
	from := min(size, len(n.now))
	if size < len(n.now) {
		n.now = n.now[:size]
	} else {
		n.now = append(n.now, make([]byte, size-len(n.now))...)
	}
	n.sizeDirty = true
	n.mark(from, size)
}

func (n *inode) mark(from, to int) {
	for s := from / sector; s*sector < to; s++ {
		n.dirty[s] = true
	}
}

func (n *inode) writeAt(p []byte, off int) {
	if len(p) == 0 {
		return
	}
	if end := off + len(p); end > len(n.now) {
		n.truncate(end)
	}
	copy(n.now[off:], p)
	n.mark(off, off+len(p))
}

type memFile struct {
	m                   *Mem
	node                *inode
	name                string
	pos                 int
	writable, appending bool
	closed              bool
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) begin(op string, writes bool) error {
	if f.closed {
		return fault(op, f.name, fs.ErrClosed)
	}
	if writes && !f.writable {
		return fault(op, f.name, fs.ErrPermission)
	}
	return f.m.begin(op, f.name)
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return fault("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.node.now)), nil
}

func (f *memFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.pos))
	f.pos += n
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.begin("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fault("read", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.node.now)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.node.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) write(p []byte, off func() int) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.begin("write", true); err != nil {
		if f.closed || !f.writable {
			return 0, err
		}
		n := len(p) / 2
		f.node.writeAt(p[:n], off())
		return n, err
	}
	f.node.writeAt(p, off())
	return len(p), nil
}

func (f *memFile) Write(p []byte) (int, error) {
	n, err := f.write(p, func() int {
		if f.appending {
			return len(f.node.now)
		}
		return f.pos
	})
	f.pos += n
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || f.appending {
		return 0, fault("write", f.name, fs.ErrInvalid)
	}
	return f.write(p, func() int { return int(off) })
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.begin("truncate", true); err != nil {
		return err
	}
	if size < 0 {
		return fault("truncate", f.name, fs.ErrInvalid)
	}
	f.node.truncate(int(size))
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.node
	err := f.begin("sync", false)
	if err != nil && f.closed {
		return err
	}
	if err == nil {
		if more := len(n.now) - len(n.durable); n.sizeDirty && more > 0 {
			n.durable = append(n.durable, make([]byte, more)...)
		} else if n.sizeDirty {
			n.durable = n.durable[:len(n.now)]
		}
		for s := range n.dirty {
			if from, to := s*sector, min((s+1)*sector, len(n.durable), len(n.now)); from < to {
				copy(n.durable[from:to], n.now[from:to])
			}
		}
	}
	// After a failure the pages count as clean although they never reached the disk.
	n.dirty, n.sizeDirty = map[int]bool{}, false
	return err
}

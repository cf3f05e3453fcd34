package events

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/whet-edge/whet/format/vfs"
)

// Errors of an outbox that a caller tells apart.
var (
	ErrFull   = errors.New("events: the outbox is full: what it holds has not arrived yet")
	ErrClosed = errors.New("events: the outbox is closed")
)

const (
	logName = "outbox.log"
	// compactAt is the size from which a log is written anew, if it has doubled since
	// it was last.
	compactAt = 256 << 10
	// DefaultLimit is how many events an outbox holds: some months of a camera at a
	// door, and 10 MB at most.
	DefaultLimit = 50000
)

// An Outbox holds the events that have not arrived yet. What Add has returned
// without error survives a power cut. Its methods may be called concurrently.
//
// On disk it is one log of lines, each a CRC-32C, a space and a JSON object: an
// event, or the number up to which all have arrived. It is only appended to, and
// replaced as a whole when most of it is of no use any more.
type Outbox struct {
	fsys  vfs.FS
	dir   string
	limit int

	mu      sync.Mutex
	pending []Event // by ID
	next    uint64  // the next event's ID
	loaded  uint64  // the highest ID that an earlier process gave
	log     vfs.File
	size    int64
	base    int64 // its size when it was last written anew
	hurt    bool  // a write failed: the file must not be written on
	more    chan struct{}
	closed  bool
}

// line is what one line of the log holds.
type line struct {
	Event   *Event `json:"event,omitempty"`
	Settled uint64 `json:"settled,omitempty"`
	Next    uint64 `json:"next,omitempty"`
}

// OpenOutbox opens the outbox in a folder, which is made if it does not exist, but not
// the folder that it is in. It holds at most limit events.
func OpenOutbox(fsys vfs.FS, dir string, limit int) (*Outbox, error) {
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	if err := vfs.RemoveTemps(fsys, dir); err != nil {
		return nil, err
	}
	o := &Outbox{fsys: fsys, dir: dir, limit: limit, next: 1, more: make(chan struct{})}
	if err := o.read(); err != nil {
		return nil, err
	}
	o.loaded = o.next - 1
	// The end may be torn, so the log goes on in a new file.
	if err := o.rewrite(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Outbox) path() string { return filepath.Join(o.dir, logName) }

// read takes the lines up to the first that is not whole: those behind it were
// never acknowledged.
func (o *Outbox) read() error {
	f, err := o.fsys.Open(o.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l, ok := parseLine(text)
		if !ok {
			return nil
		}
		if l.Event != nil {
			o.pending = append(o.pending, *l.Event)
			o.next = max(o.next, l.Event.ID+1)
		}
		o.next = max(o.next, l.Next)
		o.drop(l.Settled)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendLine(b []byte, l line) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	b = fmt.Appendf(b, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
	return b, nil
}

func parseLine(b []byte) (l line, ok bool) {
	sum, text, found := bytes.Cut(bytes.TrimSuffix(b, []byte("\n")), []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !found || err != nil || uint32(want) != crc32.Checksum(text, castagnoli) {
		return l, false
	}
	return l, json.Unmarshal(text, &l) == nil
}

// drop forgets the events up to id.
func (o *Outbox) drop(id uint64) {
	n := 0
	for n < len(o.pending) && o.pending[n].ID <= id {
		n++
	}
	o.pending = slices.Delete(o.pending, 0, n)
}

// rewrite replaces the log by one of what is pending.
func (o *Outbox) rewrite() error {
	if o.log != nil {
		// Whatever it says: the file is not used any more.
		_ = o.log.Close()
		o.log = nil
	}
	b, err := appendLine(nil, line{Next: o.next})
	for i := range o.pending {
		if err == nil {
			b, err = appendLine(b, line{Event: &o.pending[i]})
		}
	}
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { _, err := w.Write(b); return err }
	if err := vfs.WriteFile(o.fsys, o.path(), write); err != nil {
		return err
	}
	o.log, err = o.fsys.Append(o.path())
	o.size, o.base, o.hurt = int64(len(b)), int64(len(b)), err != nil
	return err
}

// append adds lines to the log.
func (o *Outbox) append(l line, sync bool) error {
	if o.closed {
		return ErrClosed
	}
	if o.hurt {
		if err := o.rewrite(); err != nil {
			return err
		}
	}
	b, err := appendLine(nil, l)
	if err != nil {
		return err
	}
	if _, err = o.log.Write(b); err == nil && sync {
		err = o.log.Sync()
	}
	o.hurt = err != nil
	o.size += int64(len(b))
	return err
}

// Add makes an event durable and returns its id, which it gets here.
func (o *Outbox) Add(e Event) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) >= o.limit {
		return 0, ErrFull
	}
	e.ID = o.next
	o.next++ // whether or not it is acknowledged: a line may be on disk
	if err := o.append(line{Event: &e}, true); err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	o.pending = append(o.pending, e)
	close(o.more)
	o.more = make(chan struct{})
	return e.ID, nil
}

// Settle says that all events up to id have arrived. That it did is not made durable
// at once: after a power cut some may be sent again.
func (o *Outbox) Settle(id uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 || id < o.pending[0].ID {
		return nil
	}
	o.drop(id)
	if !o.closed && o.size > max(compactAt, 2*o.base) {
		return o.rewrite()
	}
	return o.append(line{Settled: id}, false)
}

// After returns the events after id that have not arrived, in order, at most n.
func (o *Outbox) After(id uint64, n int) []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, _ := slices.BinarySearchFunc(o.pending, id+1, func(e Event, id uint64) int {
		switch {
		case e.ID < id:
			return -1
		case e.ID > id:
			return 1
		}
		return 0
	})
	return slices.Clone(o.pending[i:min(len(o.pending), i+n)])
}

// Wait returns when there are events after id, or the context is done.
func (o *Outbox) Wait(ctx context.Context, id uint64) error {
	for {
		o.mu.Lock()
		more, ready := o.more, len(o.pending) > 0 && o.pending[len(o.pending)-1].ID > id
		o.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Last returns the highest id that was given.
func (o *Outbox) Last() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next - 1
}

// Loaded returns the highest id that was given before the outbox was opened: whoever
// opened it then may have sent those events.
func (o *Outbox) Loaded() uint64 { return o.loaded }

// Pending returns how many events have not arrived.
func (o *Outbox) Pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending)
}

// Close closes the log.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	if o.log == nil {
		return nil
	}
	return o.log.Close()
}

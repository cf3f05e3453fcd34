package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

// segment is one file of the log.
type segment struct {
	number uint64
	name   string
	seed   uint32 // the header's checksum, from which the records' start
	size   int64  // how much of the file counts
	file   int64  // how long the file is
	dead   int64  // bytes of deleted samples
	tombs  bool   // it has tombstones
	hurt   bool   // what follows size was acknowledged but cannot be read
}

// A move is a record that compaction put elsewhere in its segment.
type move struct{ from, to int64 }

// sampleLog appends records and makes them durable, many with one fsync.
//
// An append that fails leaves its segment behind at the length that was last
// synced, and the next append starts a new segment: after a failed fsync the
// page cache may call pages clean that never reached the disk, so neither the
// call nor the file is tried again.
type sampleLog struct {
	fsys   vfs.FS
	dir    string
	limit  int64 // a segment that has reached it is followed by another
	onSync func(time.Duration)

	mu     sync.Mutex // guards batch
	batch  *batch
	nextID uint64

	io     sync.Mutex // held by whoever writes; guards all below
	segs   []*segment // by number; the last one is being written to when active is set
	active vfs.File
	closed bool
	number uint64 // of the next segment; above every file's that is there

	bytes atomic.Int64 // of all files
}

// A batch is what waits for the next fsync.
type batch struct {
	recs  []pendingRecord
	bytes int
	done  chan struct{}
	err   error
}

type pendingRecord struct {
	meta, data []byte
	apply      func(seg *segment, off int64, h recHeader) // called after the fsync, in order
}

// append makes a record durable. make is called under the log's lock with the
// id that the record may use; ids ascend in the order of the records. The data
// must not change until append returns.
func (l *sampleLog) append(make func(id uint64) pendingRecord) error {
	l.mu.Lock()
	b := l.batch
	lead := b == nil
	if lead {
		b = newBatch()
		l.batch = b
	}
	r := make(l.nextID)
	l.nextID++
	b.recs = append(b.recs, r)
	b.bytes += recHeaderLen + len(r.meta) + len(r.data)
	l.mu.Unlock()

	if !lead {
		<-b.done
		return b.err
	}
	l.io.Lock() // while the batch before this one is being synced, others join
	l.mu.Lock()
	l.batch = nil
	l.mu.Unlock()
	b.err = l.commit(b)
	l.io.Unlock()
	close(b.done)
	return b.err
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// commit writes a batch and syncs it. The caller holds io.
func (l *sampleLog) commit(b *batch) error {
	if l.closed {
		return errClosed
	}
	if l.active == nil || l.last().size >= l.limit {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	seg := l.last()
	buf := make([]byte, 0, b.bytes)
	for i := range b.recs {
		buf = appendRecord(buf, seg.seed, b.recs[i].meta, b.recs[i].data)
	}
	if err := l.write(buf); err != nil {
		return fmt.Errorf("store: %s: %w", seg.name, errors.Join(err, l.abandon(len(buf))))
	}
	off := seg.size
	seg.size += int64(len(buf))
	seg.file = seg.size
	l.bytes.Add(int64(len(buf)))
	for i := range b.recs {
		h := recHeader{meta: len(b.recs[i].meta), data: len(b.recs[i].data)}
		b.recs[i].apply(seg, off, h)
		off += h.size()
	}
	return nil
}

func (l *sampleLog) write(buf []byte) error {
	if _, err := l.active.Write(buf); err != nil {
		return err
	}
	start := time.Now()
	err := l.active.Sync()
	if l.onSync != nil {
		l.onSync(time.Since(start))
	}
	return err
}

// abandon leaves the segment being written to after a failed write of n bytes.
// One that holds nothing yet is removed, or a full disk would fill with them.
func (l *sampleLog) abandon(n int) error {
	seg := l.last()
	if seg.size > segHeaderLen {
		seg.file = seg.size + int64(n)
		l.bytes.Add(int64(n))
		return l.close()
	}
	err := l.close()
	if rerr := l.fsys.Remove(seg.name); rerr != nil {
		return errors.Join(err, rerr)
	}
	l.segs = l.segs[:len(l.segs)-1]
	l.number = seg.number
	l.bytes.Add(-segHeaderLen)
	return err
}

// close gives up the segment being written to; what was synced of it counts.
func (l *sampleLog) close() error {
	if l.active == nil {
		return nil
	}
	err := l.active.Close()
	l.active = nil
	return err
}

func (l *sampleLog) last() *segment { return l.segs[len(l.segs)-1] }

// rotate starts a new segment. Its name is durable when rotate returns.
func (l *sampleLog) rotate() error {
	if err := l.close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	h := segHeader{number: l.number, nextID: l.givenIDs()}
	if n := len(l.segs); n > 0 && l.segs[n-1].number == h.number-1 {
		h.prevLen = l.segs[n-1].size
	}
	name := filepath.Join(l.dir, segmentName(h.number))
	f, err := l.fsys.Create(name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	// The header becomes durable with the first batch: one fsync for both.
	if _, err = f.Write(h.encode()); err == nil {
		err = l.fsys.SyncDir(l.dir)
	}
	if err != nil {
		// No record was in it. The next append makes a new file of that name, and
		// truncates this one if it could not be removed.
		return fmt.Errorf("store: %s: %w", name, errors.Join(err, f.Close(), l.fsys.Remove(name)))
	}
	l.active = f
	l.number++
	l.segs = append(l.segs, &segment{number: h.number, name: name, seed: h.crc, size: segHeaderLen, file: segHeaderLen})
	l.bytes.Add(segHeaderLen)
	return nil
}

// givenIDs returns the first id that was not given out.
func (l *sampleLog) givenIDs() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nextID
}

// idGap is more ids than a segment can hold: those of one that cannot be read
// must not be given again.
const idGap = 1 << 24

// segmentNumber is the opposite of segmentName; 0 for other names.
func segmentNumber(name string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 63)
	if err != nil {
		return 0
	}
	return n
}

func segmentName(n uint64) string { return fmt.Sprintf("%016d.log", n) }

// Recovery says what opening a store found.
type Recovery struct {
	Samples    int      // live ones
	TornBytes  int64    // behind the last whole record of a segment: appends that nobody was told of
	Damaged    []string // files that are not whole, with the reason; they are kept, not read
	Incomplete int      // files that a crash left half-made; removed
}

// open reads the log. visit is called for every record in order; meta and data
// are valid during the call only, and data is nil when the record is of a
// segment whose length is known to be good (its checksum is verified when the
// sample is read).
func (l *sampleLog) open(rec *Recovery, visit func(seg *segment, off int64, h recHeader, meta, data []byte) error) error {
	names, err := l.fsys.List(l.dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var headers []segHeader
	for _, n := range names {
		name := filepath.Join(l.dir, n)
		if !strings.HasSuffix(n, ".log") {
			if err := l.fsys.Remove(name); err != nil {
				return fmt.Errorf("store: %w", err)
			}
			rec.Incomplete++
			continue
		}
		h, seg, err := l.openSegment(name)
		switch {
		case errors.Is(err, errNeverUsed):
			if err := l.fsys.Remove(name); err != nil {
				return fmt.Errorf("store: %w", err)
			}
			rec.Incomplete++
			continue
		case err != nil:
			rec.Damaged = append(rec.Damaged, fmt.Sprintf("%s: %v", name, err))
			l.number = max(l.number, segmentNumber(n)+1)
			l.nextID += idGap
			continue
		}
		l.number = max(l.number, h.number+1)
		l.nextID = max(l.nextID, h.nextID)
		l.segs = append(l.segs, seg)
		l.bytes.Add(seg.file)
		headers = append(headers, h)
	}
	for i, seg := range l.segs {
		known := headers[i].ownLen
		if known == 0 && i+1 < len(l.segs) && l.segs[i+1].number == seg.number+1 {
			known = headers[i+1].prevLen
		}
		err := l.scan(seg, known, visit)
		if errors.Is(err, ErrKey) {
			return err // not damage, and not to be started without
		}
		if err == nil && known == 0 {
			// What a process wrote that died before its fsync may be in the page
			// cache only: it becomes durable before anybody is told of it.
			if err := l.syncFile(seg.name); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			seg.hurt = true
			rec.Damaged = append(rec.Damaged, err.Error())
		case known > seg.size:
			seg.hurt = true
			rec.Damaged = append(rec.Damaged, fmt.Sprintf("%s: %d bytes from offset %d on cannot be read", seg.name, known-seg.size, seg.size))
		case seg.file > seg.size:
			rec.TornBytes += seg.file - seg.size
		}
	}
	return nil
}

var (
	errNeverUsed = errors.New("the segment was never used")
	errClosed    = errors.New("store: closed")
)

func (l *sampleLog) openSegment(name string) (segHeader, *segment, error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return segHeader{}, nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return segHeader{}, nil, err
	}
	b := make([]byte, min(size, segHeaderLen))
	if _, err := f.ReadAt(b, 0); err != nil {
		return segHeader{}, nil, err
	}
	// The header is durable before anything in the file is acknowledged.
	if size < segHeaderLen || len(bytes.Trim(b, "\x00")) == 0 {
		return segHeader{}, nil, errNeverUsed
	}
	h, err := decodeSegHeader(b)
	if err != nil {
		return h, nil, err
	}
	if segmentName(h.number) != filepath.Base(name) {
		return h, nil, fmt.Errorf("the header says segment %d", h.number)
	}
	return h, &segment{number: h.number, name: name, seed: h.crc, file: size}, nil
}

// scan visits the records of a segment and sets its size to the end of the last
// good one. known > 0 is the length up to which the segment was synced: then
// only lengths and metas are read.
func (l *sampleLog) scan(seg *segment, known int64, visit func(*segment, int64, recHeader, []byte, []byte) error) error {
	f, err := l.fsys.Open(seg.name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	end := seg.file
	if known > 0 {
		end = min(end, known)
	}
	seg.size = segHeaderLen
	buf := make([]byte, 4<<10)
	var room []byte
	for seg.size < end {
		h, meta, err := readMeta(f, seg, end, &buf)
		if err != nil {
			if errors.Is(err, errTorn) {
				break
			}
			return fmt.Errorf("store: %s: %w", seg.name, err)
		}
		var data []byte
		if known == 0 || meta[0] == kindTombstone {
			if h.data > len(room) {
				room = make([]byte, h.data)
			}
			data = room[:h.data]
			if _, err := f.ReadAt(data, seg.size+recHeaderLen+int64(h.meta)); err != nil {
				return fmt.Errorf("store: %s: %w", seg.name, err)
			}
			if checkData(seg.seed, h.dataCRC, data) != nil {
				break
			}
		}
		if err := visit(seg, seg.size, h, meta, data); err != nil {
			return fmt.Errorf("store: %s: offset %d: %w", seg.name, seg.size, err)
		}
		seg.size += h.size()
	}
	return nil
}

func (l *sampleLog) syncFile(name string) error {
	f, err := l.fsys.Append(name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("store: %s: %w", name, err)
	}
	return nil
}

// readMeta reads the header and meta of the record at seg.size into *buf.
func readMeta(f vfs.File, seg *segment, end int64, buf *[]byte) (recHeader, []byte, error) {
	b := (*buf)[:min(int64(len(*buf)), end-seg.size)]
	if _, err := f.ReadAt(b, seg.size); err != nil {
		return recHeader{}, nil, err
	}
	h, err := decodeRecHeader(b, end-seg.size)
	if err != nil {
		return h, nil, err
	}
	if n := recHeaderLen + h.meta; n > len(b) {
		*buf = make([]byte, n)
		b = *buf
		if _, err := f.ReadAt(b, seg.size); err != nil {
			return h, nil, err
		}
	}
	meta := b[recHeaderLen : recHeaderLen+h.meta]
	return h, meta, checkMeta(seg.seed, b, meta)
}

// read returns the record of that size at off, or errTorn.
func (l *sampleLog) read(name string, seed uint32, off, size int64) (meta, data []byte, err error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, off); err != nil {
		return nil, nil, err
	}
	h, err := decodeRecHeader(b, size)
	if err != nil || h.size() != size {
		return nil, nil, errTorn
	}
	meta, data = b[recHeaderLen:recHeaderLen+h.meta], b[recHeaderLen+h.meta:]
	if err := checkMeta(seed, b, meta); err != nil {
		return nil, nil, err
	}
	return meta, data, checkData(seed, h.dataCRC, data)
}

// compact replaces a segment by one with only the records that keep wants, or
// removes it when there are none and a later segment carries the log on. The
// caller holds io. data is nil for samples. swapped tells, besides any error,
// whether the segment is the new one from now on; only without an error is the
// old one off the disk for good.
func (l *sampleLog) compact(i int, keep func(off int64, meta, data []byte) bool) (moves []move, swapped bool, err error) {
	seg := l.segs[i]
	if l.active != nil && i == len(l.segs)-1 {
		if err := l.close(); err != nil {
			return nil, false, fmt.Errorf("store: %w", err)
		}
	}
	h := segHeader{number: seg.number, nextID: l.givenIDs()}
	body, moves, err := l.survivors(seg, keep, &h)
	if err != nil {
		return nil, false, err
	}
	if len(moves) == 0 && i < len(l.segs)-1 {
		if err := l.fsys.Remove(seg.name); err != nil {
			return nil, false, fmt.Errorf("store: %w", err)
		}
		l.segs = slices.Delete(l.segs, i, i+1)
		l.bytes.Add(-seg.file)
		if err := l.fsys.SyncDir(l.dir); err != nil {
			return nil, true, fmt.Errorf("store: %w", err)
		}
		return nil, true, nil
	}
	err = writeFile(l.fsys, seg.name, body)
	if err != nil {
		// The rename may have been done and only its fsync have failed.
		now, _, herr := l.openSegment(seg.name)
		if herr != nil || now.crc != h.crc {
			return nil, false, errors.Join(err, herr)
		}
	}
	l.bytes.Add(int64(len(body)) - seg.file)
	seg.seed, seg.size, seg.file, seg.dead = h.crc, int64(len(body)), int64(len(body)), 0
	return moves, true, err
}

// survivors builds the contents of a compacted segment and says where its
// records went. A sample that can no longer be read does not
// survive.
func (l *sampleLog) survivors(seg *segment, keep func(off int64, meta, data []byte) bool, h *segHeader) (body []byte, moves []move, err error) {
	type record struct {
		off        int64
		meta, data []byte
	}
	var recs []record
	h.ownLen = segHeaderLen
	old := *seg
	err = l.scan(&old, seg.size, func(_ *segment, off int64, rh recHeader, meta, data []byte) error {
		if !keep(off, meta, data) {
			return nil
		}
		if data == nil {
			if _, data, err = l.read(seg.name, seg.seed, off, rh.size()); errors.Is(err, errTorn) {
				return nil
			} else if err != nil {
				return err
			}
		}
		recs = append(recs, record{off, bytes.Clone(meta), bytes.Clone(data)})
		h.ownLen += rh.size()
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	body = h.encode()
	for _, r := range recs {
		moves = append(moves, move{r.off, int64(len(body))})
		body = appendRecord(body, h.crc, r.meta, r.data)
	}
	return body, moves, nil
}

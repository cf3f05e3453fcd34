package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
)

// A Sample is something a model was shown and what it should have said.
type Sample struct {
	ID    uint64 // ascending, never given twice
	Time  int64  // when it was added, Unix milliseconds
	Model string
	Label string
	Media string // MIME type of Data; "" when Data is the bytes of the model's input tensors
	Form  string // types and shapes of those tensors
	Data  []byte
}

// An Info is all of a sample but its data.
type Info struct {
	ID    uint64
	Model string
	Time  int64
	Label string
	Media string
	Form  string
	Bytes int
}

// Counts is what there is of a model's samples.
type Counts struct {
	Samples int
	Bytes   int64
	Labels  map[string]int
}

type info struct {
	Info
	seg  *segment
	off  int64
	size int64 // of the whole record
}

type modelSamples struct {
	list   []*info // by id
	bytes  int64
	labels map[string]int
}

// Add makes a sample durable and returns its id. ID and Time are set by the
// store. Many calls at a time share one fsync.
func (s *Store) Add(sample Sample) (uint64, error) {
	if err := sample.check(); err != nil {
		return 0, err
	}
	sample.Time = s.opt.Now().UnixMilli()
	cost := recHeaderLen + int64(len(sample.encodeMeta())+len(sample.Data)) + s.sealer.overhead()
	if err := s.room(cost); err != nil {
		return 0, err
	}
	data, meta := s.sealer.seal(sample.Data)
	err := s.log.append(func(id uint64) pendingRecord {
		sample.ID = id
		return pendingRecord{meta: meta(sample.encodeMeta()), data: data, apply: func(seg *segment, off int64, h recHeader) {
			s.mu.Lock()
			s.index(&sample, len(sample.Data), seg, off, h)
			s.mu.Unlock()
		}}
	})
	s.mu.Lock()
	s.pending -= cost
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return sample.ID, nil
}

func (s *Store) reserve(cost int64) error {
	used := s.Bytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if used+s.pending+cost > s.opt.Quota {
		return ErrQuota
	}
	s.pending += cost
	return nil
}

// index enters a durable sample with so many bytes of data. The caller holds mu.
func (s *Store) index(sample *Sample, bytes int, seg *segment, off int64, h recHeader) {
	i := &info{
		Info: Info{ID: sample.ID, Model: s.intern(sample.Model), Time: sample.Time, Label: s.intern(sample.Label), Media: s.intern(sample.Media), Form: s.intern(sample.Form), Bytes: bytes},
		seg:  seg, off: off, size: h.size(),
	}
	s.byID[i.ID] = i
	m := s.models[i.Model]
	if m == nil {
		m = &modelSamples{labels: map[string]int{}}
		s.models[i.Model] = m
	}
	m.list = append(m.list, i)
	m.bytes += int64(i.Bytes)
	m.labels[i.Label]++
}

func (s *Store) intern(t string) string {
	if have, ok := s.texts[t]; ok {
		return have
	}
	s.texts[t] = t
	return t
}

// forget takes a sample out of the index. The caller holds mu.
func (s *Store) forget(i *info) {
	delete(s.byID, i.ID)
	m := s.models[i.Model]
	if at, ok := m.find(i.ID); ok {
		m.list = slices.Delete(m.list, at, at+1)
	}
	m.bytes -= int64(i.Bytes)
	if m.labels[i.Label]--; m.labels[i.Label] == 0 {
		delete(m.labels, i.Label)
	}
}

func (m *modelSamples) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(m.list, id, func(i *info, id uint64) int {
		switch {
		case i.ID < id:
			return -1
		case i.ID > id:
			return 1
		}
		return 0
	})
}

func (s *Store) openSamples() error {
	lastID := uint64(0)
	err := s.log.open(&s.rec, func(seg *segment, off int64, h recHeader, meta, data []byte) error {
		switch meta[0] {
		case kindSample, kindSealed:
			bytes := h.data
			if meta[0] == kindSealed {
				var err error
				if meta, err = s.sealer.openMeta(meta); err != nil {
					return err
				}
				bytes -= s.sealer.aead.Overhead()
			}
			sample, err := decodeSampleMeta(meta)
			if err != nil {
				return err
			}
			if sample.ID <= lastID {
				return fmt.Errorf("sample %d comes after sample %d", sample.ID, lastID)
			}
			lastID = sample.ID
			s.index(sample, bytes, seg, off, h)
		case kindTombstone:
			for _, id := range decodeIDs(data) {
				if i := s.byID[id]; i != nil {
					s.drop(i)
				}
			}
			seg.tombs = true
		default:
			return fmt.Errorf("a record of kind %d is none that this version knows", meta[0])
		}
		return nil
	})
	s.log.nextID = max(s.log.nextID, lastID+1)
	s.rec.Samples = len(s.byID)
	return err
}

// drop marks a sample as deleted. The caller holds mu.
func (s *Store) drop(i *info) {
	s.forget(i)
	s.deleted[i.ID] = i.seg
	i.seg.dead += i.size
}

// Get returns a sample, or [ErrNotFound], or [ErrCorrupt] if the disk has
// changed it.
func (s *Store) Get(id uint64) (*Sample, error) {
	s.files.RLock()
	defer s.files.RUnlock()
	s.mu.Lock()
	i := s.byID[id]
	var at info
	if i != nil {
		at = *i
	}
	s.mu.Unlock()
	if i == nil {
		return nil, fmt.Errorf("%w: sample %d", ErrNotFound, id)
	}
	meta, data, err := s.log.read(at.seg.name, at.seg.seed, at.off, at.size)
	if err == nil {
		data, err = s.sealer.openData(meta, data)
	}
	if errors.Is(err, errTorn) {
		return nil, fmt.Errorf("%w: sample %d in %s", ErrCorrupt, id, at.seg.name)
	}
	if err != nil {
		return nil, fmt.Errorf("store: sample %d: %w", id, err)
	}
	return &Sample{ID: id, Time: at.Time, Model: at.Model, Label: at.Label, Media: at.Media, Form: at.Form, Data: data}, nil
}

// Info tells about a sample without reading it.
func (s *Store) Info(id uint64) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.byID[id]; i != nil {
		return i.Info, true
	}
	return Info{}, false
}

// List returns a model's samples with ids above after, in order, at most limit
// of them.
func (s *Store) List(model string, after uint64, limit int) []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.models[model]
	if m == nil || after == ^uint64(0) {
		return nil
	}
	at, _ := m.find(after + 1)
	out := make([]Info, 0, min(limit, len(m.list)-at))
	for _, i := range m.list[at:] {
		if len(out) == limit {
			break
		}
		out = append(out, i.Info)
	}
	return out
}

// Counts counts a model's samples.
func (s *Store) Counts(model string) Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Counts{Labels: map[string]int{}}
	if m := s.models[model]; m != nil {
		c.Samples, c.Bytes = len(m.list), m.bytes
		maps.Copy(c.Labels, m.labels)
	}
	return c
}

// Bytes returns the size of the sample log on disk.
func (s *Store) Bytes() int64 { return s.log.bytes.Load() }

// Delete deletes samples of one model, and returns how many there were. They
// are gone for good when it returns; their bytes go when enough of a file is
// dead, or with [Store.Purge].
func (s *Store) Delete(model string, ids ...uint64) (int, error) {
	s.mu.Lock()
	var have []uint64
	for _, id := range ids {
		if i := s.byID[id]; i != nil && i.Model == model {
			have = append(have, id)
		}
	}
	s.mu.Unlock()
	return s.delete(have, false)
}

// Purge deletes all samples of a model and overwrites no byte but removes every
// file that holds one, so that the file system may reuse them. Only files that
// [Recovery] calls damaged from their header on are left.
func (s *Store) Purge(model string) (int, error) {
	s.mu.Lock()
	var ids []uint64
	if m := s.models[model]; m != nil {
		for _, i := range m.list {
			ids = append(ids, i.ID)
		}
	}
	s.mu.Unlock()
	return s.delete(ids, true)
}

// maxTombstone is how many ids one record carries.
const maxTombstone = 1 << 16

func (s *Store) delete(ids []uint64, now bool) (int, error) {
	n, err := s.bury(ids)
	if errors.Is(err, syscall.ENOSPC) && s.dropBallast() {
		var more int
		more, err = s.bury(ids)
		n += more
	}
	if err != nil {
		return n, err
	}
	err = s.compact(now)
	if err != nil && now && errors.Is(err, syscall.ENOSPC) && s.dropBallast() {
		err = s.compact(now)
	}
	if err != nil && !now && errors.Is(err, syscall.ENOSPC) {
		err = nil // they are deleted; their bytes go when there is room to move the others
	}
	return n, errors.Join(err, s.loadBallast())
}

// bury makes the deletion of samples durable, and returns how many there were.
func (s *Store) bury(ids []uint64) (n int, err error) {
	for part := range slices.Chunk(ids, maxTombstone) {
		err := s.log.append(func(uint64) pendingRecord {
			return pendingRecord{meta: []byte{kindTombstone}, data: encodeIDs(part), apply: func(seg *segment, _ int64, _ recHeader) {
				s.mu.Lock()
				defer s.mu.Unlock()
				seg.tombs = true
				for _, id := range part {
					if i := s.byID[id]; i != nil {
						s.drop(i)
						n++
					}
				}
			}}
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// compact rewrites the log files that hold deleted samples: those of which more
// than half is dead, or every one with all set. Files go oldest first, so a
// tombstone is dropped only after the samples that it names are off the disk.
func (s *Store) compact(all bool) error {
	s.log.io.Lock()
	defer s.log.io.Unlock()
	s.files.Lock()
	defer s.files.Unlock()
	for i := 0; i < len(s.log.segs); {
		seg := s.log.segs[i]
		idle := seg.dead == 0 && seg.file == seg.size && (!seg.tombs || len(s.deleted) > 0)
		if idle || !all && (seg.hurt || seg.dead*2 <= seg.size) {
			i++
			continue
		}
		if err := s.compactSegment(i); err != nil {
			return err
		}
		if i < len(s.log.segs) && s.log.segs[i] == seg {
			i++
		}
	}
	return nil
}

func (s *Store) compactSegment(at int) error {
	seg := s.log.segs[at]
	s.mu.Lock()
	places := map[int64]*info{}
	for _, i := range s.byID {
		if i.seg == seg {
			places[i.off] = i
		}
	}
	s.mu.Unlock()
	tombs := false
	keep := func(off int64, meta, data []byte) bool {
		if meta[0] != kindTombstone {
			return places[off] != nil
		}
		for _, id := range decodeIDs(data) {
			if in, ok := s.deleted[id]; ok && in != seg {
				tombs = true
				return true
			}
		}
		return false
	}
	moves, swapped, err := s.log.compact(at, keep)
	if !swapped {
		return err
	}
	s.mu.Lock()
	for _, m := range moves {
		if i := places[m.from]; i != nil {
			i.off = m.to
			delete(places, m.from)
		}
	}
	for _, i := range places {
		s.forget(i) // its bytes could not be read
	}
	s.mu.Unlock()
	seg.tombs = tombs
	if err != nil {
		return err // the tombstones stay, should the old file come back
	}
	for id, in := range s.deleted {
		if in == seg {
			delete(s.deleted, id)
		}
	}
	return nil
}

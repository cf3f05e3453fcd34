// Package blocklog reads the log of all writes to a disk that QEMU's driver
// blklogwrites keeps, in the format of Linux's dm-log-writes
// (Documentation/admin-guide/device-mapper/log-writes.rst), and makes from it
// what the disk may hold after a power cut.
package blocklog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

const (
	magic  = 0x6a736677736872
	sector = 512
)

// The flags of an entry.
const (
	flush   = 1 << 0
	fua     = 1 << 1
	discard = 1 << 2
)

// A Log is being read from its beginning.
type Log struct {
	f   *os.File
	pos int64
}

// An Entry is one request to the disk.
type Entry struct {
	Pos    int64 // of the log's file, where the entry begins
	Flush  bool  // all requests before this one are durable
	Offset int64
	Data   []byte // nil: zeros, Length of them
	Length int64
	fua    bool
}

// Open opens a log.
func Open(name string) (*Log, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 32)
	_, err = io.ReadFull(f, head)
	if le := binary.LittleEndian; err == nil && (le.Uint64(head) != magic || le.Uint64(head[8:]) != 1 || le.Uint32(head[24:]) != sector) {
		err = fmt.Errorf("%s: not a log of writes, version 1, with sectors of %d bytes", name, sector)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Log{f: f, pos: sector}, nil
}

// Close closes the log.
func (l *Log) Close() error { return l.f.Close() }

// Next returns the next entry, or io.EOF at the end, also of a log that was cut.
func (l *Log) Next() (*Entry, error) {
	head := make([]byte, 32)
	if err := l.read(head, l.pos); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	at, sectors, flags := le.Uint64(head), le.Uint64(head[8:]), le.Uint64(head[16:])
	if at > 1<<40 || sectors > 1<<30 || flags == 0 && sectors == 0 {
		return nil, io.EOF // QEMU had made room for it and not written it
	}
	e := &Entry{Pos: l.pos, Flush: flags&flush != 0, fua: flags&fua != 0, Offset: int64(at) * sector, Length: int64(sectors) * sector}
	l.pos += sector
	if flags&discard != 0 || sectors == 0 {
		return e, nil
	}
	e.Data = make([]byte, e.Length)
	if err := l.read(e.Data, l.pos); err != nil {
		return nil, err
	}
	l.pos += e.Length
	return e, nil
}

func (l *Log) read(b []byte, at int64) error {
	_, err := l.f.ReadAt(b, at)
	return err
}

// A Disk is what a disk holds, with a cache of writes that it has not flushed.
type Disk struct {
	Image []byte   // what is durable
	cache []*Entry // in the order in which they came
}

// Do carries out a request.
func (d *Disk) Do(e *Entry) error {
	if e.Flush {
		for _, e := range d.cache {
			e.apply(d.Image, e.Length)
		}
		d.cache = d.cache[:0]
	}
	if e.Length == 0 {
		return nil
	}
	if e.Offset+e.Length > int64(len(d.Image)) {
		return fmt.Errorf("a write of %d bytes at %d goes beyond the disk's end", e.Length, e.Offset)
	}
	if e.fua {
		// It is durable when it is done, but those before it need not be: they
		// stay in the cache, below it.
		e.apply(d.Image, e.Length)
	}
	d.cache = append(d.cache, e)
	return nil
}

// Cut returns what a power cut now may leave of the disk: what is durable, and
// of each write in the cache all, nothing, or its first sectors. keep is the
// chance of a write to survive.
func (d *Disk) Cut(rng *rand.Rand, keep float64) []byte {
	image := append([]byte(nil), d.Image...)
	for _, e := range d.cache {
		switch n := e.Length / sector; {
		case rng.Float64() < keep:
			e.apply(image, e.Length)
		case keep > 0 && n > 1 && rng.IntN(4) == 0:
			e.apply(image, rng.Int64N(n)*sector)
		}
	}
	return image
}

// apply writes the first n bytes of the entry.
func (e *Entry) apply(image []byte, n int64) {
	to := image[e.Offset : e.Offset+n]
	if e.Data == nil {
		clear(to)
		return
	}
	copy(to, e.Data)
}

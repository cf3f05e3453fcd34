package ondevice

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
)

// A stream is a file of little-endian values, with a CRC-32C of all of them behind
// them, on its way out or in. One description of a format serves both: every value is
// written, or becomes what the file says. It is never whole in memory. After the first
// value that is not there a stream that comes in is bad and gives zeros.
type stream struct {
	to    io.Writer // nil: it comes in
	from  io.ReaderAt
	at    int64  // where the next piece is read
	left  int64  // bytes to come
	room  []byte // for a piece
	piece []byte // what waits to be written, or to be taken
	sum   uint32
	err   error
	bad   bool
}

// pieceBytes is how much of a stream is in memory.
const pieceBytes = 1 << 14

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openStream begins to read a file, and reports whether its checksum is right.
func openStream(file io.ReaderAt, size int64) (s *stream, sound bool) {
	s = &stream{from: file, left: max(0, size-4), room: make([]byte, pieceBytes)}
	begin := *s
	for s.left > 0 && !s.bad {
		s.fill()
		s.sum = crc32.Update(s.sum, castagnoli, s.piece)
		s.left -= int64(len(s.piece))
	}
	sum := s.sum
	var want uint32
	s.left, s.piece = 4, nil
	s.u32(&want)
	sound = !s.bad && sum == want
	*s = begin
	return s, sound
}

func (s *stream) fill() {
	s.piece = s.room[:min(pieceBytes, s.left)]
	n, _ := s.from.ReadAt(s.piece, s.at) // a file that has become shorter
	s.bad = n < len(s.piece)
	s.at += int64(n)
}

func (s *stream) bytes(b []byte) {
	if s.to == nil && int64(len(b)) > s.left {
		s.spoil()
	}
	if s.bad {
		clear(b)
		return
	}
	for len(b) > 0 && !s.bad {
		var n int
		if s.to != nil {
			n = min(len(b), pieceBytes-len(s.piece))
			s.piece = append(s.piece, b[:n]...)
			if len(s.piece) == pieceBytes {
				s.flush()
			}
		} else {
			if len(s.piece) == 0 {
				s.fill()
			}
			n = copy(b, s.piece)
			s.piece = s.piece[n:]
			s.left -= int64(n)
		}
		b = b[n:]
	}
}

func (s *stream) spoil() { s.bad, s.left = true, 0 }

func (s *stream) flush() {
	s.sum = crc32.Update(s.sum, castagnoli, s.piece)
	if s.err == nil {
		_, s.err = s.to.Write(s.piece)
	}
	s.piece = s.piece[:0]
}

// finish writes the checksum.
func (s *stream) finish() error {
	s.flush()
	sum := s.sum
	s.u32(&sum)
	s.flush()
	return s.err
}

func (s *stream) u32(v *uint32) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], *v)
	s.bytes(b[:])
	*v = binary.LittleEndian.Uint32(b[:])
}

func (s *stream) u64(v *uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], *v)
	s.bytes(b[:])
	*v = binary.LittleEndian.Uint64(b[:])
}

func (s *stream) f64(v *float64) {
	u := math.Float64bits(*v)
	s.u64(&u)
	*v = math.Float64frombits(u)
}

func (s *stream) floats(v []float32) {
	for i := range v {
		u := math.Float32bits(v[i])
		s.u32(&u)
		v[i] = math.Float32frombits(u)
	}
}

// count passes the number of items that follow, each of at least size bytes: what a
// file says is never more than it holds.
func (s *stream) count(n, size int) int {
	v := uint32(n)
	s.u32(&v)
	if s.to == nil && int64(v) > s.left/int64(size) {
		s.spoil()
		return 0
	}
	return int(v)
}

// skip leaves bytes out of a stream that comes in.
func (s *stream) skip(n int64) {
	var b [64]byte
	for ; n > 0 && !s.bad; n -= int64(len(b)) {
		s.bytes(b[:min(n, int64(len(b)))])
	}
}

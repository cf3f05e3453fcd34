package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unicode/utf8"
)

// A segment file is a header and records:
//
//	header  "whetlog" 1 | number u64 | next id u64 | previous length u64 | own length u64 | CRC-32C u32 | 0 u32
//	record  meta length u32 | data length u32 | meta CRC-32C u32 | data CRC-32C u32 | meta | data
//
// all little-endian. A record's checksums start from the segment's header
// checksum, so that a stale block of an older file of that name is never taken
// for a record of this one; the meta checksum covers the two lengths also.
//
// "Previous length" is how much of the segment before this one counts: the rest
// was written by an append that failed or by a crash, and was acknowledged to
// nobody. "Own length" says the same of this segment when it is known at the
// time of writing, that is for a compacted one; else it is 0. A log is thus
// never truncated or written in place.
const (
	segHeaderLen = 48
	recHeaderLen = 16

	maxMeta = 64 << 10
	maxData = 256 << 20
)

var (
	segMagic   = [8]byte{'w', 'h', 'e', 't', 'l', 'o', 'g', 1}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errTorn = errors.New("the record is torn")
)

type segHeader struct {
	number  uint64
	nextID  uint64
	prevLen int64
	ownLen  int64
	crc     uint32
}

func (h *segHeader) encode() []byte {
	b := make([]byte, segHeaderLen)
	copy(b, segMagic[:])
	le := binary.LittleEndian
	le.PutUint64(b[8:], h.number)
	le.PutUint64(b[16:], h.nextID)
	le.PutUint64(b[24:], uint64(h.prevLen))
	le.PutUint64(b[32:], uint64(h.ownLen))
	h.crc = crc32.Checksum(b[:40], castagnoli)
	le.PutUint32(b[40:], h.crc)
	return b
}

func decodeSegHeader(b []byte) (h segHeader, err error) {
	if len(b) < segHeaderLen || [8]byte(b[:8]) != segMagic {
		return h, errors.New("not a sample log")
	}
	le := binary.LittleEndian
	h = segHeader{
		number:  le.Uint64(b[8:]),
		nextID:  le.Uint64(b[16:]),
		prevLen: int64(le.Uint64(b[24:])),
		ownLen:  int64(le.Uint64(b[32:])),
		crc:     le.Uint32(b[40:]),
	}
	if h.crc != crc32.Checksum(b[:40], castagnoli) {
		return h, errors.New("the header's checksum is wrong")
	}
	if h.prevLen < 0 || h.ownLen < 0 {
		return h, errors.New("the header has a negative length")
	}
	return h, nil
}

// recHeader is what precedes a record.
type recHeader struct {
	meta, data       int
	metaCRC, dataCRC uint32
}

func (h *recHeader) size() int64 { return recHeaderLen + int64(h.meta) + int64(h.data) }

// appendRecord writes a record behind dst with checksums for a segment whose
// header has the checksum seed.
func appendRecord(dst []byte, seed uint32, meta, data []byte) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(len(meta)))
	dst = le.AppendUint32(dst, uint32(len(data)))
	crc := crc32.Update(seed, castagnoli, dst[start:])
	crc = crc32.Update(crc, castagnoli, meta)
	dst = le.AppendUint32(dst, crc)
	dst = le.AppendUint32(dst, crc32.Update(seed, castagnoli, data))
	dst = append(dst, meta...)
	return append(dst, data...)
}

// decodeRecHeader reads a record's header; left is how many bytes the segment
// has from there on.
func decodeRecHeader(b []byte, left int64) (recHeader, error) {
	if len(b) < recHeaderLen {
		return recHeader{}, errTorn
	}
	le := binary.LittleEndian
	meta, data := le.Uint32(b), le.Uint32(b[4:])
	if meta == 0 || meta > maxMeta || data > maxData {
		return recHeader{}, errTorn
	}
	h := recHeader{meta: int(meta), data: int(data), metaCRC: le.Uint32(b[8:]), dataCRC: le.Uint32(b[12:])}
	if h.size() > left {
		return recHeader{}, errTorn
	}
	return h, nil
}

// checkMeta verifies the checksum of a record's lengths and meta.
func checkMeta(seed uint32, header, meta []byte) error {
	crc := crc32.Update(seed, castagnoli, header[:8])
	if crc32.Update(crc, castagnoli, meta) != binary.LittleEndian.Uint32(header[8:]) {
		return errTorn
	}
	return nil
}

func checkData(seed, want uint32, data []byte) error {
	if crc32.Update(seed, castagnoli, data) != want {
		return errTorn
	}
	return nil
}

// The kinds of records.
const (
	kindSample    = 1 // meta: id, time, model, label, media, form; data: the sample
	kindTombstone = 2 // meta: only the kind; data: ids of deleted samples, u64 each
	kindSealed    = 3 // meta: nonce, the sealed meta of a sample; data: the sealed sample (see sealer)
)

func (s *Sample) encodeMeta() []byte {
	b := []byte{kindSample}
	b = binary.LittleEndian.AppendUint64(b, s.ID)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Time))
	for _, t := range []string{s.Model, s.Label, s.Media, s.Form} {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}

func decodeSampleMeta(b []byte) (*Sample, error) {
	if len(b) < 17 || b[0] != kindSample {
		return nil, errors.New("not a sample")
	}
	s := &Sample{ID: binary.LittleEndian.Uint64(b[1:]), Time: int64(binary.LittleEndian.Uint64(b[9:]))}
	b = b[17:]
	for _, t := range []*string{&s.Model, &s.Label, &s.Media, &s.Form} {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, errors.New("a sample's text is cut off")
		}
		*t = string(b[w : w+int(n)])
		b = b[w+int(n):]
	}
	if len(b) > 0 {
		return nil, errors.New("something follows a sample's texts")
	}
	return s, nil
}

// maxText bounds a sample's model, label, media type and form.
const maxText = 1 << 10

func (s *Sample) check() error {
	if err := CheckName(s.Model); err != nil {
		return err
	}
	for what, t := range map[string]string{"label": s.Label, "media type": s.Media, "form": s.Form} {
		if len(t) > maxText || !utf8.ValidString(t) {
			return fmt.Errorf("store: a sample's %s must be UTF-8 of at most %d bytes", what, maxText)
		}
	}
	if len(s.Data) > maxData {
		return fmt.Errorf("store: a sample of %d bytes is over the limit of %d", len(s.Data), maxData)
	}
	return nil
}

func encodeIDs(ids []uint64) []byte {
	b := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

func decodeIDs(b []byte) []uint64 {
	ids := make([]uint64, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		ids = append(ids, binary.LittleEndian.Uint64(b))
	}
	return ids
}

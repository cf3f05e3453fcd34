package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// A .whet or .whetd file is a sequence of msgpack objects:
//
//	array   the fixed part, 64 bytes: magic, version, header length, graph length,
//	        data start, file length, CRC-32C of header and graph
//	map     the header, padded by its key "pad" to a multiple of 64 bytes, so that
//	        what follows does not depend on it, and neither does its digest
//	map     the graph (of a delta: the patch)
//	nil ... up to the next multiple of 64, less 5
//	bin32   the first tensor: its 5-byte head ends on a multiple of 64
//	nil ... and so on; nothing follows the last tensor
//
// Offsets in the graph count from the data start, where the first tensor's bytes
// begin. A file without tensors ends with the graph, and its data start is its
// length.
const (
	version    = 1
	fixedLen   = 64
	magicLen   = 10 // of these: head of the array and magic string
	dataAlign  = 64
	binHead    = 5
	nilByte    = 0xc0
	bin32Byte  = 0xc6
	modelMagic = "whet"
	deltaMagic = "whetd"
)

// Errors that the readers' errors wrap.
var (
	ErrCorrupt  = errors.New("the file is damaged or not a whet file")
	ErrVersion  = errors.New("the file is of a later version: use a newer program")
	ErrTooLarge = errors.New("the file exceeds a limit")
)

// A SyntaxError is a fault in the bytes of a file.
type SyntaxError struct {
	Offset int64 // in the file
	Msg    string
	Err    error // ErrCorrupt, ErrVersion or ErrTooLarge
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("format: at byte %d: %s (%v)", e.Offset, e.Msg, e.Err)
}

func (e *SyntaxError) Unwrap() error { return e.Err }

func corrupt(offset int64, msg string, args ...any) error {
	return &SyntaxError{offset, fmt.Sprintf(msg, args...), ErrCorrupt}
}

func tooLarge(offset int64, msg string, args ...any) error {
	return &SyntaxError{offset, fmt.Sprintf(msg, args...), ErrTooLarge}
}

// Limits bound what a reader accepts, and so what a hostile file can make it
// allocate. A zero field stands for its default.
type Limits struct {
	File    int64 // bytes of the file; default 4 GiB
	Header  int64 // bytes of the header; default 16 MiB
	Graph   int64 // bytes of the graph; default 64 MiB
	Tensors int   // default 1<<17
	Nodes   int   // default 1<<17
	Items   int   // entries of all lists and maps in header and graph; default 1<<22
	Elems   int64 // elements of a tensor; default 1<<31
	Name    int   // bytes of a text; default 64 KiB
	Depth   int   // nesting of unknown header values; default 32
}

func (l Limits) withDefaults() Limits {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	defInt := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&l.File, 4<<30)
	def(&l.Header, 16<<20)
	def(&l.Graph, 64<<20)
	def(&l.Elems, 1<<31)
	defInt(&l.Tensors, 1<<17)
	defInt(&l.Nodes, 1<<17)
	defInt(&l.Items, 1<<22)
	defInt(&l.Name, maxText)
	defInt(&l.Depth, 32)
	return l
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fixed is the first 64 bytes.
type fixed struct {
	magic                                           string
	version, headerLen, graphLen, data, length, crc uint64
}

func (f *fixed) graphEnd() int64 { return int64(fixedLen + f.headerLen + f.graphLen) }

// encode gives the fixed part. Its width is constant because every integer is a
// uint64 and the head of array and string are of the forms that make up the rest.
func (f *fixed) encode() []byte {
	b := make([]byte, 0, fixedLen)
	if f.magic == modelMagic {
		b = append(b, 0xdd, 0, 0, 0, 7, 0xa0|byte(len(f.magic))) // array32, fixstr
	} else {
		b = append(b, 0xdc, 0, 7, 0xd9, byte(len(f.magic))) // array16, str8
	}
	b = append(b, f.magic...)
	for _, v := range []uint64{f.version, f.headerLen, f.graphLen, f.data, f.length, f.crc} {
		b = append(b, 0xcf)
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// parseFixed reads the first 64 bytes of a file of the given size and checks that
// all parts lie within it and within the limits.
func parseFixed(b []byte, magic string, size int64, lim *Limits) (*fixed, error) {
	if len(b) < fixedLen {
		return nil, corrupt(int64(len(b)), "the file ends within its first %d bytes", fixedLen)
	}
	b = b[:fixedLen]
	f := &fixed{magic: modelMagic}
	switch {
	case bytes.Equal(b[:magicLen], (&fixed{magic: modelMagic}).encode()[:magicLen]):
	case bytes.Equal(b[:magicLen], (&fixed{magic: deltaMagic}).encode()[:magicLen]):
		f.magic = deltaMagic
	default:
		return nil, corrupt(0, "it does not begin as a whet file")
	}
	if f.magic != magic {
		if f.magic == deltaMagic {
			return nil, corrupt(0, "it is a delta (.whetd), not a model: apply it to its base")
		}
		return nil, corrupt(0, "it is a model (.whet), not a delta")
	}
	d := msgpack.NewDecoder(bytes.NewReader(b[magicLen:]))
	for _, p := range []*uint64{&f.version, &f.headerLen, &f.graphLen, &f.data, &f.length, &f.crc} {
		v, err := d.DecodeUint64()
		if err != nil {
			return nil, corrupt(0, "the fixed part is not seven values")
		}
		*p = v
	}
	if !bytes.Equal(f.encode(), b) {
		return nil, corrupt(0, "the fixed part is not in its fixed form")
	}
	switch {
	case f.version == 0:
		return nil, corrupt(0, "version 0")
	case f.version > version:
		return nil, &SyntaxError{0, fmt.Sprintf("the file is of version %d, this program reads up to %d", f.version, version), ErrVersion}
	case size > lim.File:
		return nil, tooLarge(0, "%d bytes, more than %d", size, lim.File)
	case f.length != uint64(size):
		return nil, corrupt(0, "the file has %d bytes and was written with %d: it is cut off or something was added", size, f.length)
	case f.headerLen > uint64(lim.Header):
		return nil, tooLarge(0, "a header of %d bytes, more than %d", f.headerLen, lim.Header)
	case f.graphLen > uint64(lim.Graph):
		return nil, tooLarge(0, "a graph of %d bytes, more than %d", f.graphLen, lim.Graph)
	case f.headerLen > f.length || f.graphLen > f.length || fixedLen+f.headerLen+f.graphLen > f.length:
		return nil, corrupt(0, "header and graph are longer than the file")
	case f.headerLen%dataAlign != 0:
		return nil, corrupt(0, "the header's length %d is not a multiple of %d", f.headerLen, dataAlign)
	}
	end := f.graphEnd()
	if want := dataStart(end); f.data != uint64(want) && (f.data != f.length || f.length != uint64(end)) {
		return nil, corrupt(0, "the data starts at %d and not at %d", f.data, want)
	}
	return f, nil
}

// dataStart returns where the first tensor's bytes begin if the graph ends at end.
func dataStart(end int64) int64 { return alignUp(end+binHead, dataAlign) }

func alignUp(n, a int64) int64 { return (n + a - 1) / a * a }

// A blob is the bytes of a tensor and its place.
type blob struct {
	data   []byte
	offset int64 // from the data start
	crc    uint32
}

// A layout gives each blob its place, in order.
type layout struct {
	blobs []blob
	next  int64
	bytes int64
}

func (l *layout) add(data []byte) (blob, error) {
	if int64(len(data)) > math.MaxUint32 {
		return blob{}, fmt.Errorf("%d bytes of data: a file holds at most 4 GiB a tensor", len(data))
	}
	b := blob{data, l.next, crc32.Checksum(data, castagnoli)}
	l.blobs = append(l.blobs, b)
	l.next = alignUp(l.next+int64(len(data))+binHead, dataAlign)
	l.bytes += int64(len(data))
	return b, nil
}

// tail writes all that follows the header: graph and blobs. The graph must begin
// on a multiple of 64.
func tail(w io.Writer, graph []byte, blobs []blob) error {
	if _, err := w.Write(graph); err != nil {
		return err
	}
	end := int64(len(graph))
	start := dataStart(end)
	for _, b := range blobs {
		head := bytes.Repeat([]byte{nilByte}, int(start+b.offset-end))
		head[len(head)-binHead] = bin32Byte
		binary.BigEndian.PutUint32(head[len(head)-4:], uint32(len(b.data)))
		if _, err := w.Write(head); err != nil {
			return err
		}
		if _, err := w.Write(b.data); err != nil {
			return err
		}
		end = start + b.offset + int64(len(b.data))
	}
	return nil
}

// tailDigest returns the SHA-256 of what tail writes.
func tailDigest(graph []byte, blobs []blob) (sum [32]byte, err error) {
	h := sha256.New()
	err = tail(h, graph, blobs)
	h.Sum(sum[:0])
	return sum, err
}

// writeFile writes a file of the given header (complete, with its padding).
func writeFile(w io.Writer, magic string, header, graph []byte, blobs []blob) error {
	end := int64(fixedLen + len(header) + len(graph))
	f := fixed{magic: magic, version: version, headerLen: uint64(len(header)), graphLen: uint64(len(graph)), data: uint64(end), length: uint64(end)}
	if len(blobs) > 0 {
		last := blobs[len(blobs)-1]
		f.data = uint64(dataStart(end))
		f.length = f.data + uint64(last.offset) + uint64(len(last.data))
	}
	f.crc = uint64(crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, graph))
	if _, err := w.Write(f.encode()); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	return tail(w, graph, blobs)
}

// A container is a file's bytes taken apart, with fixed part, checksum of header
// and graph checked.
type container struct {
	fixed
	bytes  []byte // the whole file
	header []byte
	graph  []byte
	lim    Limits

	end  int64 // up to where the bytes are accounted for
	next int64 // offset of the next blob
}

func openContainer(b []byte, magic string, lim Limits) (*container, error) {
	lim = lim.withDefaults()
	f, err := parseFixed(b, magic, int64(len(b)), &lim)
	if err != nil {
		return nil, err
	}
	return newContainer(b, f, lim)
}

// newContainer takes bytes that reach at least to the end of the graph.
func newContainer(b []byte, f *fixed, lim Limits) (*container, error) {
	c := &container{fixed: *f, bytes: b, lim: lim}
	c.end = f.graphEnd()
	c.header = b[fixedLen : fixedLen+f.headerLen]
	c.graph = b[fixedLen+f.headerLen : c.end]
	if crc := crc32.Checksum(b[fixedLen:c.end], castagnoli); uint64(crc) != f.crc {
		return nil, corrupt(fixedLen, "the checksum of header and graph does not match")
	}
	return c, nil
}

// blob returns the bytes of the next tensor. Tensors lie in the order in which
// the graph lists them, without gaps, so nothing hides between them.
func (c *container) blob(name string, offset, length, crc uint64) ([]byte, error) {
	start := int64(c.data)
	if offset != uint64(c.next) {
		return nil, corrupt(start, "tensor %q lies at offset %d and not at %d", name, offset, c.next)
	}
	from := start + c.next
	if from-binHead < c.end || length > math.MaxUint32 || from+int64(length) > int64(len(c.bytes)) {
		return nil, corrupt(start, "tensor %q with %d bytes at offset %d is not within the file", name, length, offset)
	}
	if err := c.gap(c.end, from-binHead); err != nil {
		return nil, err
	}
	if head := c.bytes[from-binHead : from]; head[0] != bin32Byte || uint64(binary.BigEndian.Uint32(head[1:])) != length {
		return nil, corrupt(from-binHead, "tensor %q has no bin32 head of %d bytes", name, length)
	}
	data := c.bytes[from : from+int64(length) : from+int64(length)]
	if uint64(crc32.Checksum(data, castagnoli)) != crc {
		return nil, corrupt(from, "the checksum of tensor %q does not match", name)
	}
	c.end = from + int64(length)
	c.next = alignUp(c.next+int64(length)+binHead, dataAlign)
	return data, nil
}

// gap checks that there is nothing but nil between two tensors.
func (c *container) gap(from, to int64) error {
	if to-from >= dataAlign {
		return corrupt(from, "a gap of %d bytes before a tensor", to-from)
	}
	if i := slices.IndexFunc(c.bytes[from:to], func(b byte) bool { return b != nilByte }); i >= 0 {
		return corrupt(from+int64(i), "the padding is not nil")
	}
	return nil
}

// close checks that all bytes have been accounted for.
func (c *container) close() error {
	if c.end != int64(len(c.bytes)) {
		return corrupt(c.end, "%d bytes follow the last tensor", int64(len(c.bytes))-c.end)
	}
	if c.next == 0 && c.data != c.length {
		return corrupt(0, "the data starts at %d in a file without data", c.data)
	}
	return nil
}

package ondevice

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unsafe"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// Features are rows of what a model's head (or deeper tail) reads, as the frozen
// part of the model gives them: for a quantized model one byte an element. They are the
// cache that lets an epoch skip the frozen part, and the kept examples that are
// replayed so that old classes are not forgotten ("Latent Replay for Real-Time
// Continual Learning", Pellegrini et al., 2020).
type Features struct {
	Key   Key
	Type  format.DType // Int8, Uint8 or Float32
	Scale float32      // real = Scale * (q - Zero) for the integer types
	Zero  int32
	Dim   int // elements a row

	ids    []ID
	labels []string
	rows   []byte  // Dim elements each, little-endian
	at     []int32 // of each row, its place among rows; nil: its number
}

// A Key says which model's features these are: the digest of the part of the
// model that makes them, so that a new head does not outdate them.
// Preprocessing is covered by the samples' IDs.
type Key [sha256.Size]byte

// An ID names the input that a row was computed from: the first half of the
// SHA-256 of its bytes as the model received them, after preprocessing.
type ID [16]byte

func inputID(input []byte) ID {
	s := sha256.Sum256(input)
	return ID(s[:16])
}

// newFeatures makes an empty set for the values of a tensor of a model.
func newFeatures(m *format.Model, t *format.Tensor) (*Features, error) {
	digest, err := format.Digest(prefix(m, t.Name))
	if err != nil {
		return nil, err
	}
	f := &Features{Key: digest, Type: t.Type, Dim: t.Shape.Elems()}
	if q := t.Quant; q != nil {
		f.Scale, f.Zero = q.Scale[0], q.ZeroPoint()
	}
	return f, nil
}

// empty returns a set of the same kind without rows.
func (f *Features) empty() *Features {
	return &Features{Key: f.Key, Type: f.Type, Scale: f.Scale, Zero: f.Zero, Dim: f.Dim}
}

// grow makes room for n more rows.
func (f *Features) grow(n int) {
	f.ids, f.labels, f.rows = slices.Grow(f.ids, n), slices.Grow(f.labels, n), slices.Grow(f.rows, n*f.RowBytes())
}

// Len returns the number of rows.
func (f *Features) Len() int { return len(f.labels) }

// Label returns the label of row i.
func (f *Features) Label(i int) string { return f.labels[i] }

// RowBytes returns the size of a row in bytes.
func (f *Features) RowBytes() int { return f.Type.Bytes(f.Dim) }

// Row returns the bytes of row i, to be read only.
func (f *Features) Row(i int) []byte {
	if f.at != nil {
		i = int(f.at[i])
	}
	n := f.RowBytes()
	return f.rows[i*n:][:n:n]
}

// Append adds a copy of a row.
func (f *Features) Append(id ID, label string, row []byte) error {
	if len(row) != f.RowBytes() {
		return fmt.Errorf("ondevice: feature row of %d bytes; %d are expected", len(row), f.RowBytes())
	}
	f.ids = append(f.ids, id)
	f.labels = append(f.labels, label)
	f.rows = append(f.rows, row...)
	return nil
}

// Without returns the rows that forget does not want gone, for instance those of a
// person who takes back consent: a head that is then made of them by
// Options.Instant, or trained from the base, knows nothing of the others.
func (f *Features) Without(forget func(id ID, label string) bool) *Features {
	g := f.empty()
	for i, id := range f.ids {
		if !forget(id, f.labels[i]) {
			g.ids, g.labels = append(g.ids, id), append(g.labels, f.labels[i])
			g.rows = append(g.rows, f.Row(i)...)
		}
	}
	return g
}

// sameKind reports whether rows of both may be mixed.
func (f *Features) sameKind(g *Features) bool {
	return f.Key == g.Key && f.Type == g.Type && f.Dim == g.Dim && f.Scale == g.Scale && f.Zero == g.Zero
}

// digest is the SHA-256 of all rows and labels, in order.
func (f *Features) digest() [sha256.Size]byte {
	h := sha256.New()
	_ = f.write(h) // a hash takes everything
	return [sha256.Size]byte(h.Sum(nil))
}

// A file of features is
//
//	"WHETFEA1", key[32], u32 type, f32 scale, i32 zero, u32 dim,
//	u32 labels, {u32 length, bytes} of each distinct label,
//	u32 rows, {id[16], u32 label, dim elements} of each row,
//	u32 CRC-32C of all before it
//
// with little-endian numbers.
const featureMagic = "WHETFEA1"

// ErrFeatures is wrapped by the errors of [DecodeFeatures].
var ErrFeatures = errors.New("ondevice: not a sound file of features")

var errOtherFeatures = errors.New("ondevice: features of another model, tensor or scale")

// Encode returns the features as the bytes of a file.
func (f *Features) Encode() []byte {
	var b bytes.Buffer
	_ = f.write(&b) // a buffer takes everything
	return b.Bytes()
}

// write writes the features as a file.
func (f *Features) write(to io.Writer) error {
	s := &stream{to: to}
	s.bytes([]byte(featureMagic))
	f.pass(s, nil, 0)
	return s.finish()
}

// featureTypes are the numbers of the element types in files.
var featureTypes = map[format.DType]uint32{format.Int8: 1, format.Uint8: 2, format.Float32: 3}

// DecodeFeatures reads what Encode returned. Nothing is allocated beyond what
// the length of b allows.
func DecodeFeatures(b []byte) (*Features, error) {
	return readFeatures(bytes.NewReader(b), int64(len(b)), nil, 0)
}

// readFeatures reads a file of features. If like is not nil they must be of its kind,
// and there is room for so many rows in all then.
func readFeatures(file io.ReaderAt, size int64, like *Features, room int) (*Features, error) {
	bad := func(what string) (*Features, error) { return nil, fmt.Errorf("%w: %s", ErrFeatures, what) }
	s, sound := openStream(file, size)
	magic := [len(featureMagic)]byte{}
	if s.bytes(magic[:]); string(magic[:]) != featureMagic {
		return bad("it does not begin with " + featureMagic)
	}
	if !sound {
		return bad("its checksum does not match")
	}
	f := &Features{}
	if f.pass(s, like, room); s.bad || s.left != 0 {
		return bad("it makes no sense, or is of another model, tensor or scale")
	}
	return f, nil
}

// pass writes the features, or makes them what a file says.
func (f *Features) pass(s *stream, like *Features, room int) {
	s.bytes(f.Key[:])
	head := [4]uint32{featureTypes[f.Type], math.Float32bits(f.Scale), uint32(f.Zero), uint32(f.Dim)}
	for i := range head {
		s.u32(&head[i])
	}
	number := map[string]uint32{}
	var names []string
	for _, l := range f.labels {
		if _, ok := number[l]; !ok {
			number[l] = uint32(len(names))
			names = append(names, l)
		}
	}
	in := s.to == nil
	n := s.count(len(names), 4)
	if in {
		names = make([]string, n)
	}
	for i := range names {
		b := []byte(names[i])
		if n := s.count(len(b), 1); in {
			b = make([]byte, n)
		}
		if s.bytes(b); in {
			names[i] = string(b)
		}
	}
	if in {
		for t, n := range featureTypes {
			if n == head[0] {
				f.Type = t
			}
		}
		f.Scale, f.Zero, f.Dim = math.Float32frombits(head[1]), int32(head[2]), int(head[3])
		if f.Type == format.Invalid || f.Dim < 1 || f.Dim > 1<<24 || like != nil && !f.sameKind(like) {
			s.spoil()
			return
		}
	}
	n = s.count(f.Len(), 20+f.RowBytes())
	if in {
		f.grow(max(n, room))
	}
	for i := range n {
		var l uint32
		if in {
			f.ids, f.labels, f.rows = append(f.ids, ID{}), append(f.labels, ""), f.rows[:(i+1)*f.RowBytes()]
		} else {
			l = number[f.labels[i]]
		}
		s.bytes(f.ids[i][:])
		s.u32(&l)
		s.bytes(f.Row(i))
		if in {
			if l >= uint32(len(names)) {
				s.spoil()
				return
			}
			f.labels[i] = names[l]
		}
	}
}

// decode writes row i as real numbers: exactly what DequantizeLinear makes of
// it in the tuned model.
func (f *Features) decode(dst []float32, row []byte, c *codes) {
	if f.Type == format.Float32 {
		if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
			copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 4*len(dst)), row)
			return
		}
		for k := range dst {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*k:]))
		}
		return
	}
	if f.Type == format.Int8 {
		c.linear.Inner = len(dst)
		kernels.Dequantize(&c.linear, dst, unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(row))), len(row)))
		return
	}
	for k, q := range row[:len(dst)] {
		dst[k] = c.real[q]
	}
}

// codes is what the bytes of integer rows stand for.
type codes struct {
	linear kernels.Affine // of int8
	real   [256]float32   // of uint8, by code
}

// codes returns what decode needs; it is not for concurrent use.
func (f *Features) codes() *codes {
	c := &codes{linear: kernels.PerTensor(0, f.Scale, f.Zero)}
	c.linear.Level = kernels.Best().Elementwise()
	for i := range c.real {
		c.real[i] = f.Scale * float32(int32(i)-f.Zero)
	}
	return c
}

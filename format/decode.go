package format

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// prealloc bounds what is allocated for a list on the word of its length.
const prealloc = 1024

// A decoder reads one msgpack object from bytes that are in memory. It uses only
// calls of the msgpack package that allocate nothing, checks every length against
// what is left, and spends a budget of list and map entries.
//
// The first error sticks: later calls return zero values, and loops end.
type decoder struct {
	mp    *msgpack.Decoder
	r     *bytes.Reader
	b     []byte // what r reads
	start int64  // of the bytes in the file
	lim   *Limits
	items int // entries left
	err   error

	skipUnknown bool // accept unknown keys (of the header)
}

func newDecoder(b []byte, start int64, lim *Limits) *decoder {
	r := bytes.NewReader(b)
	return &decoder{mp: msgpack.NewDecoder(r), r: r, b: b, start: start, lim: lim, items: lim.Items}
}

func (d *decoder) offset() int64 { return d.start + d.r.Size() - int64(d.r.Len()) }

func (d *decoder) fail(msg string, args ...any) {
	if d.err == nil {
		d.err = corrupt(d.offset(), msg, args...)
	}
}

func (d *decoder) exceed(msg string, args ...any) {
	if d.err == nil {
		d.err = tooLarge(d.offset(), msg, args...)
	}
}

// end checks that everything was read.
func (d *decoder) end() error {
	if d.err == nil && d.r.Len() > 0 {
		d.fail("%d bytes too many", d.r.Len())
	}
	return d.err
}

// code returns the first byte of the next object without taking it.
func (d *decoder) code() byte {
	if d.err != nil {
		return nilByte
	}
	c, err := d.mp.PeekCode()
	if err != nil {
		d.fail("unexpected end")
		return nilByte
	}
	return c
}

// count checks the length of a list or map whose entries take at least width bytes.
func (d *decoder) count(n int, err error, width int) int {
	switch {
	case d.err != nil:
		return 0
	case err != nil || n < 0 || n > d.r.Len()/width:
		d.fail("a length goes beyond the end")
		return 0
	case n*width > d.items:
		d.exceed("more than %d entries of lists and maps", d.lim.Items)
		return 0
	}
	d.items -= n * width
	return n
}

func (d *decoder) arrayLen() int {
	if c := d.code(); !msgpcode.IsFixedArray(c) && c != msgpcode.Array16 && c != msgpcode.Array32 {
		d.fail("expected an array")
		return 0
	}
	n, err := d.mp.DecodeArrayLen()
	return d.count(n, err, 1)
}

func (d *decoder) mapLen() int {
	if c := d.code(); !msgpcode.IsFixedMap(c) && c != msgpcode.Map16 && c != msgpcode.Map32 {
		d.fail("expected a map")
		return 0
	}
	n, err := d.mp.DecodeMapLen()
	return d.count(n, err, 2)
}

// list calls item for each element of an array.
func (d *decoder) list(item func()) {
	for n := d.arrayLen(); n > 0 && d.err == nil; n-- {
		item()
	}
}

// object reads a map whose keys are known. It calls field with each key that is
// there, which must read the value. The first required keys must be there.
func (d *decoder) object(what string, required int, keys []string, field func(key string)) {
	var seen uint64
	var unknown map[string]bool
	var scratch [32]byte
	for n := d.mapLen(); n > 0 && d.err == nil; n-- {
		key := d.text(scratch[:])
		i := slices.IndexFunc(keys, func(k string) bool { return k == string(key) })
		switch {
		case d.err != nil:
		case i < 0 && !d.skipUnknown:
			d.fail("unknown key %q in %s: a later version wrote it", key, what)
		case i < 0:
			if unknown[string(key)] {
				d.fail("key %q is in %s twice", key, what)
			}
			if unknown == nil {
				unknown = map[string]bool{}
			}
			unknown[string(key)] = true
			d.skip()
		case seen&(1<<i) != 0:
			d.fail("key %q is in %s twice", key, what)
		default:
			seen |= 1 << i
			field(keys[i])
		}
	}
	for i, key := range keys[:required] {
		if seen&(1<<i) == 0 {
			d.fail("%s has no key %q", what, key)
		}
	}
}

// text reads a string into scratch if it fits there.
func (d *decoder) text(scratch []byte) []byte {
	if c := d.code(); !msgpcode.IsFixedString(c) && c != msgpcode.Str8 && c != msgpcode.Str16 && c != msgpcode.Str32 {
		d.fail("expected a string")
		return nil
	}
	b := d.sized(scratch)
	if d.err == nil && !utf8.Valid(b) {
		d.fail("a string is not UTF-8")
	}
	return b
}

// sized reads the length of a string or bin and that many bytes.
func (d *decoder) sized(scratch []byte) []byte {
	n, err := d.mp.DecodeBytesLen()
	switch {
	case d.err != nil:
		return nil
	case err != nil || n < 0 || n > d.r.Len():
		d.fail("a length goes beyond the end")
		return nil
	}
	b := scratch
	if n > len(b) {
		if n > d.lim.Name {
			d.exceed("a string of %d bytes, more than %d", n, d.lim.Name)
			return nil
		}
		b = make([]byte, n)
	}
	b = b[:n]
	if n > 0 && d.mp.ReadFull(b) != nil {
		d.fail("unexpected end")
	}
	return b
}

func (d *decoder) str() string {
	var scratch [64]byte
	return string(d.text(scratch[:]))
}

func (d *decoder) strs() []string {
	n := d.arrayLen()
	if n == 0 {
		return nil
	}
	list := make([]string, 0, min(n, prealloc))
	for ; n > 0 && d.err == nil; n-- {
		list = append(list, d.str())
	}
	return list
}

// bin reads a bin object. Its length is bounded by what is left of the file, so
// not by the limit on strings.
func (d *decoder) bin() []byte {
	if c := d.code(); c != msgpcode.Bin8 && c != msgpcode.Bin16 && c != msgpcode.Bin32 {
		d.fail("expected a bin")
		return nil
	}
	n, err := d.mp.DecodeBytesLen()
	if err != nil || n < 0 || n > d.r.Len() {
		d.fail("a length goes beyond the end")
		return nil
	}
	b := make([]byte, n)
	if n > 0 && d.mp.ReadFull(b) != nil {
		d.fail("unexpected end")
	}
	return b
}

// digest reads a SHA-256.
func (d *decoder) digest() (sum [32]byte) {
	b := d.bin()
	if d.err == nil && len(b) != len(sum) {
		d.fail("a digest of %d bytes", len(b))
	}
	copy(sum[:], b)
	return sum
}

// uint reads an integer within 0..limit.
func (d *decoder) uint(limit uint64) uint64 {
	v := d.int(0, math.MaxInt64)
	if d.err == nil && uint64(v) > limit {
		d.fail("%d is greater than %d", v, limit)
		return 0
	}
	return uint64(v)
}

// int reads an integer within lo..hi. The msgpack package would wrap a uint64
// around and take nil for 0, so the form is looked at first.
func (d *decoder) int(lo, hi int64) int64 {
	c := d.code()
	signed := c == msgpcode.Int8 || c == msgpcode.Int16 || c == msgpcode.Int32 || c == msgpcode.Int64 || c >= msgpcode.NegFixedNumLow
	unsigned := c <= msgpcode.PosFixedNumHigh || c == msgpcode.Uint8 || c == msgpcode.Uint16 || c == msgpcode.Uint32 || c == msgpcode.Uint64
	if !signed && !unsigned {
		d.fail("expected an integer")
		return 0
	}
	v, err := d.mp.DecodeUint64()
	switch {
	case d.err != nil:
		return 0
	case err != nil:
		d.fail("unexpected end")
		return 0
	case unsigned && v > math.MaxInt64 || int64(v) < lo || int64(v) > hi:
		d.fail("an integer is outside %d..%d", lo, hi)
		return 0
	}
	return int64(v)
}

func (d *decoder) bool() bool {
	if c := d.code(); c != msgpcode.True && c != msgpcode.False {
		d.fail("expected a bool")
		return false
	}
	v, err := d.mp.DecodeBool()
	if err != nil {
		d.fail("unexpected end")
	}
	return v
}

func (d *decoder) float32() float32 {
	if d.code() != msgpcode.Float {
		d.fail("expected a float32")
		return 0
	}
	v, err := d.mp.DecodeFloat32()
	if err != nil {
		d.fail("unexpected end")
	}
	return v
}

func (d *decoder) float64() float64 {
	if d.code() != msgpcode.Double {
		d.fail("expected a float64")
		return 0
	}
	v, err := d.mp.DecodeFloat64()
	if err != nil {
		d.fail("unexpected end")
	}
	return v
}

// attrs reads a map of attributes.
func (d *decoder) attrs() Attrs {
	n := d.mapLen()
	if n == 0 {
		return nil
	}
	a := make(Attrs, min(n, prealloc))
	for ; n > 0 && d.err == nil; n-- {
		key := d.str()
		if _, dup := a[key]; dup {
			d.fail("attribute %q is there twice", key)
			break
		}
		a[key] = d.attr()
	}
	return a
}

func (d *decoder) attr() any {
	switch c := d.code(); {
	case c == msgpcode.Double:
		return d.float64()
	case c == msgpcode.True || c == msgpcode.False:
		return d.bool()
	case msgpcode.IsString(c):
		return d.str()
	case msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32:
		n := d.arrayLen()
		if n > 0 && msgpcode.IsString(d.code()) {
			list := make([]string, 0, min(n, prealloc))
			for ; n > 0 && d.err == nil; n-- {
				list = append(list, d.str())
			}
			return list
		}
		if n > 0 && d.code() == msgpcode.Double {
			list := make([]float64, 0, min(n, prealloc))
			for ; n > 0 && d.err == nil; n-- {
				list = append(list, d.float64())
			}
			return list
		}
		list := make([]int64, 0, min(n, prealloc))
		for ; n > 0 && d.err == nil; n-- {
			list = append(list, d.int(math.MinInt64, math.MaxInt64))
		}
		return list
	}
	return d.int(math.MinInt64, math.MaxInt64)
}

// skip passes over any object. It does not recurse: open holds how many objects
// each enclosing list or map still has.
func (d *decoder) skip() {
	open := []int{1}
	for len(open) > 0 && d.err == nil {
		top := len(open) - 1
		if open[top] == 0 {
			open = open[:top]
			continue
		}
		open[top]--
		n := d.skipOne()
		if n > 0 {
			open = append(open, n)
		}
		if len(open) > d.lim.Depth {
			d.exceed("an unknown value is nested deeper than %d", d.lim.Depth)
		}
	}
}

// skipOne passes over a scalar, or over the head of a list or map, whose number of
// objects it returns.
func (d *decoder) skipOne() int {
	c := d.code()
	switch {
	case d.err != nil:
		return 0
	case msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32:
		return d.arrayLen()
	case msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32:
		return 2 * d.mapLen()
	}
	var size int
	switch {
	case msgpcode.IsString(c) || msgpcode.IsBin(c):
		n, err := d.mp.DecodeBytesLen()
		if err != nil || n < 0 {
			d.fail("unexpected end")
			return 0
		}
		size = n
	case msgpcode.IsExt(c):
		_, n, err := d.mp.DecodeExtHeader()
		if err != nil || n < 0 {
			d.fail("unexpected end")
			return 0
		}
		size = n
	case c == msgpcode.Nil || c == msgpcode.True || c == msgpcode.False || msgpcode.IsFixedNum(c):
		size = 1
	case c == msgpcode.Uint8 || c == msgpcode.Int8:
		size = 2
	case c == msgpcode.Uint16 || c == msgpcode.Int16:
		size = 3
	case c == msgpcode.Uint32 || c == msgpcode.Int32 || c == msgpcode.Float:
		size = 5
	case c == msgpcode.Uint64 || c == msgpcode.Int64 || c == msgpcode.Double:
		size = 9
	default:
		d.fail("the byte %#x begins no msgpack object", c)
		return 0
	}
	if size > d.r.Len() {
		d.fail("a length goes beyond the end")
		return 0
	}
	if _, err := d.r.Seek(int64(size), 1); err != nil {
		d.fail("unexpected end")
	}
	return 0
}

// dtype reads the name of a type.
func (d *decoder) dtype() DType {
	var scratch [16]byte
	name := d.text(scratch[:])
	t, ok := ParseDType(string(name))
	if d.err == nil && !ok {
		d.fail("unknown type %.20q", name)
	}
	return t
}

func (d *decoder) shape() Shape {
	n := d.arrayLen()
	if n > maxRank {
		d.exceed("%d dimensions, more than %d", n, maxRank)
		return nil
	}
	s := make(Shape, 0, n)
	for ; n > 0 && d.err == nil; n-- {
		s = append(s, int(d.int(math.MinInt32, MaxDim)))
	}
	if e := s.Elems(); d.err == nil && (e < 0 && s.Static() || int64(e) > d.lim.Elems) {
		d.exceed("shape %v has more than %d elements", s, d.lim.Elems)
	}
	return s
}

func (d *decoder) quant() *Quant {
	q := &Quant{}
	d.object("a quantization", 1, []string{"scale", "zero", "axis", "block"}, func(key string) {
		switch key {
		case "scale":
			q.Scale = d.scales()
		case "zero":
			n := d.arrayLen()
			q.Zero = make([]int32, 0, min(n, prealloc))
			for ; n > 0 && d.err == nil; n-- {
				q.Zero = append(q.Zero, int32(d.int(math.MinInt32, math.MaxInt32)))
			}
		case "axis":
			q.Axis = int(d.int(0, maxRank))
		case "block":
			q.Block = int(d.int(0, MaxDim))
		}
	})
	return q
}

// scales reads an array of float32, or a bin of float16.
func (d *decoder) scales() []float32 {
	if c := d.code(); c == msgpcode.Bin8 || c == msgpcode.Bin16 || c == msgpcode.Bin32 {
		b := d.bin()
		if len(b)%2 != 0 {
			d.fail("float16 scales of %d bytes", len(b))
			return nil
		}
		s := make([]float32, len(b)/2)
		for i := range s {
			s[i] = fromHalf(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
		}
		return s
	}
	n := d.arrayLen()
	if s := d.float32s(n); s != nil {
		return s
	}
	s := make([]float32, 0, min(n, prealloc))
	for ; n > 0 && d.err == nil; n-- {
		s = append(s, d.float32())
	}
	return s
}

// float32s reads n numbers at once, which a model has in the tens of thousands.
// It returns nil and takes nothing where what follows is something else.
func (d *decoder) float32s(n int) []float32 {
	const size = 5 // the code and a big-endian float32
	b := d.b[len(d.b)-d.r.Len():]
	if d.err != nil || n > len(b)/size {
		return nil
	}
	s := make([]float32, n)
	for i := range s {
		v := b[i*size:][:size]
		if v[0] != msgpcode.Float {
			return nil
		}
		s[i] = math.Float32frombits(binary.BigEndian.Uint32(v[1:]))
	}
	if _, err := d.r.Seek(int64(n*size), io.SeekCurrent); err != nil {
		return nil
	}
	return s
}

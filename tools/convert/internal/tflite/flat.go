package tflite

import (
	"fmt"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"
)

// A reader gives checked access to a FlatBuffer. The Go FlatBuffers library
// trusts its input, and the verifier that the format's authors ship exists for
// C++ only: this one checks every offset, table and vector before the library's
// accessors touch it, so that no bytes can make it panic.
//
// The first fault is kept in err; from then on every access gives zero values.
// So a caller reads a whole structure and looks at err once.
type reader struct {
	b   []byte
	err error
	// budget bounds the elements that may still be decoded. Vectors may share
	// their bytes in a FlatBuffer, so a small file can describe a structure
	// exponentially larger than itself.
	budget int
}

// maxFile is the largest FlatBuffer: its offsets are signed 32-bit numbers.
const maxFile = math.MaxInt32

func newReader(b []byte) *reader {
	return &reader{b: b, budget: 4*min(len(b), maxFile/8) + 1<<12}
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// has reports whether n bytes at position pos exist, and fails if not.
func (r *reader) has(pos, n int64, what string) bool {
	if r.err != nil {
		return false
	}
	if pos < 0 || n < 0 || pos+n > int64(len(r.b)) {
		r.fail("%s at offset %d reaches past the end of the file (%d bytes)", what, pos, len(r.b))
		return false
	}
	return true
}

// spend takes n elements from the budget.
func (r *reader) spend(n int64, what string) bool {
	if n > int64(r.budget) {
		r.fail("%s: the file describes more than its %d bytes can hold", what, len(r.b))
		return false
	}
	r.budget -= int(n)
	return true
}

func (r *reader) u32(pos int64) int64 { return int64(flatbuffers.GetUint32(r.b[pos:])) }

// A table is a FlatBuffers table whose vtable has been checked. The zero table
// stands for an absent one: all its fields have their default values.
type table struct {
	r    *reader
	t    flatbuffers.Table
	size int64 // of the table's inline part
	what string
}

// root returns the table that the file starts with.
func (r *reader) root(what string) table {
	if !r.has(0, 8, what) {
		return table{r: r}
	}
	return r.table(r.u32(0), what)
}

// table checks the table at position pos: its vtable, and that its inline part
// lies within the file.
func (r *reader) table(pos int64, what string) table {
	none := table{r: r, what: what}
	if !r.has(pos, 4, what) || !r.spend(1, what) {
		return none
	}
	vt := pos - int64(flatbuffers.GetSOffsetT(r.b[pos:]))
	if !r.has(vt, 4, what+" vtable") {
		return none
	}
	vsize := int64(flatbuffers.GetVOffsetT(r.b[vt:]))
	size := int64(flatbuffers.GetVOffsetT(r.b[vt+2:]))
	if vsize < 4 || vsize%2 != 0 || size < 4 {
		r.fail("%s at offset %d: vtable of %d bytes for %d bytes of data", what, pos, vsize, size)
		return none
	}
	if !r.has(vt, vsize, what+" vtable") || !r.has(pos, size, what) {
		return none
	}
	return table{r: r, t: flatbuffers.Table{Bytes: r.b, Pos: flatbuffers.UOffsetT(pos)}, size: size, what: what}
}

// slot is the vtable offset of a field, which the library's accessors take.
func slot(field int) flatbuffers.VOffsetT { return flatbuffers.VOffsetT(4 + 2*field) }

// at returns the position of a field of n bytes, or 0 when it is absent.
func (t table) at(field int, n int64) int64 {
	if t.t.Bytes == nil || t.r.err != nil {
		return 0
	}
	o := int64(t.t.Offset(slot(field)))
	if o == 0 {
		return 0
	}
	if o < 4 || o+n > t.size {
		t.r.fail("%s: field %d lies outside of its table", t.what, field)
		return 0
	}
	return int64(t.t.Pos) + o
}

func (t table) i8(field int, def int8) int8 {
	if t.at(field, 1) == 0 {
		return def
	}
	return t.t.GetInt8Slot(slot(field), def)
}

func (t table) u8(field int) uint8 {
	if t.at(field, 1) == 0 {
		return 0
	}
	return t.t.GetUint8Slot(slot(field), 0)
}

func (t table) flag(field int) bool { return t.u8(field) != 0 }

func (t table) i32(field int, def int32) int32 {
	if t.at(field, 4) == 0 {
		return def
	}
	return t.t.GetInt32Slot(slot(field), def)
}

func (t table) u64(field int) uint64 {
	if t.at(field, 8) == 0 {
		return 0
	}
	return t.t.GetUint64Slot(slot(field), 0)
}

func (t table) f32(field int, def float32) float32 {
	if t.at(field, 4) == 0 {
		return def
	}
	return t.t.GetFloat32Slot(slot(field), def)
}

// vector returns the position of the first element of a vector field and the
// number of its elements, each of size bytes; 0, 0 when it is absent.
func (t table) vector(field int, size int64) (pos, n int64) {
	at := t.at(field, 4)
	if at == 0 {
		return 0, 0
	}
	r := t.r
	head := at + r.u32(at)
	what := fmt.Sprintf("%s: vector of field %d", t.what, field)
	if !r.has(head, 4, what) {
		return 0, 0
	}
	n = r.u32(head)
	if !r.has(head+4, n*size, what) {
		return 0, 0
	}
	return head + 4, n
}

// bytes returns a vector of bytes without copying it.
func (t table) bytes(field int) []byte {
	pos, n := t.vector(field, 1)
	if pos == 0 {
		return nil
	}
	return t.r.b[pos : pos+n : pos+n]
}

func (t table) str(field int) string {
	b := t.bytes(field)
	if !t.r.spend(int64(len(b)), t.what) {
		return ""
	}
	return string(b)
}

func (t table) i32s(field int) []int32 {
	return vec(t, field, 4, flatbuffers.GetInt32)
}

func (t table) i64s(field int) []int64 {
	return vec(t, field, 8, flatbuffers.GetInt64)
}

func (t table) f32s(field int) []float32 {
	return vec(t, field, 4, flatbuffers.GetFloat32)
}

func vec[T any](t table, field int, size int64, get func([]byte) T) []T {
	pos, n := t.vector(field, size)
	if n == 0 || !t.r.spend(n, t.what) {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = get(t.r.b[pos+int64(i)*size:])
	}
	return out
}

// table returns the table of a field: the zero table when it is absent.
func (t table) table(field int, what string) table {
	at := t.at(field, 4)
	if at == 0 {
		return table{r: t.r, what: what}
	}
	return t.r.table(at+t.r.u32(at), what)
}

// tables calls f for each table of a vector of tables.
func (t table) tables(field int, what string, f func(i int, e table)) {
	pos, n := t.vector(field, 4)
	if !t.r.spend(n, t.what) {
		return
	}
	for i := int64(0); i < n && t.r.err == nil; i++ {
		p := pos + 4*i
		e := t.r.table(p+t.r.u32(p), fmt.Sprintf("%s %d", what, i))
		if t.r.err == nil {
			f(int(i), e)
		}
	}
}

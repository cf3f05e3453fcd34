// Package safetensors reads .safetensors files and builds the networks whose
// weights they hold. Such a file has weights alone: which network they are of is
// told by an architecture's name, or by a config.json beside the file.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// A File is the tensors of a .safetensors file.
type File struct {
	tensors map[string]*tensor
}

type tensor struct {
	typ   format.DType
	shape format.Shape
	data  []byte // of the file
	used  bool
}

// maxHeader is the format's own limit of the header's size.
const maxHeader = 100_000_000

// dtypes are the format's names of types.
var dtypes = map[string]format.DType{
	"F64": format.Float64, "F32": format.Float32, "F16": format.Float16, "BF16": format.BFloat16,
	"I64": format.Int64, "I32": format.Int32, "I16": format.Int16, "I8": format.Int8,
	"U64": format.Uint64, "U32": format.Uint32, "U16": format.Uint16, "U8": format.Uint8, "BOOL": format.Bool,
}

// Open reads the header of the file in b: 8 bytes with its length, then JSON, then
// the data. As the format asks, the tensors must cover the data without gaps and
// overlaps. Memory is bounded by a few times the header, which is part of b.
func Open(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, errors.New("not a safetensors file: it is shorter than 8 bytes")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("not a safetensors file: a header of %d bytes in a file of %d", n, len(b))
	}
	header, data := b[8:8+n], b[8+n:]
	if !bytes.HasPrefix(header, []byte("{")) {
		return nil, errors.New("not a safetensors file: its header is not a JSON object")
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(header, &entries); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &File{tensors: map[string]*tensor{}}
	var spans [][2]int
	for name, raw := range entries {
		if name == "__metadata__" {
			continue
		}
		var e struct {
			DType   string   `json:"dtype"`
			Shape   []uint32 `json:"shape"`
			Offsets []uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		typ, ok := dtypes[e.DType]
		switch {
		case !ok:
			return nil, fmt.Errorf("tensor %q is of type %q, which whet does not have", name, e.DType)
		case len(e.Offsets) != 2 || e.Offsets[0] > e.Offsets[1] || e.Offsets[1] > uint64(len(data)):
			return nil, fmt.Errorf("tensor %q: offsets %v in %d bytes of data", name, e.Offsets, len(data))
		}
		t := &tensor{typ: typ, shape: format.Shape{}}
		for _, d := range e.Shape {
			t.shape = append(t.shape, int(d))
		}
		from, to := int(e.Offsets[0]), int(e.Offsets[1])
		if size := t.shape.Elems(); size < 0 || typ.Bytes(size) != to-from {
			return nil, fmt.Errorf("tensor %q: %d bytes for %s %v", name, to-from, e.DType, e.Shape)
		}
		t.data = data[from:to:to]
		f.tensors[name] = t
		spans = append(spans, [2]int{from, to})
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] + a[1] - b[1] })
	end := 0
	for _, s := range spans {
		if s[0] != end {
			return nil, fmt.Errorf("the tensors leave a gap or overlap at byte %d of the data", end)
		}
		end = s[1]
	}
	if end != len(data) {
		return nil, fmt.Errorf("%d bytes of data belong to no tensor", len(data)-end)
	}
	return f, nil
}

// has reports whether the file has a tensor of that name.
func (f *File) has(name string) bool { return f.tensors[name] != nil }

// floats returns the numbers of a tensor of floats of a given shape, whose size -1
// fits any.
func (f *File) floats(name string, shape ...int) ([]float32, format.Shape) {
	t := f.tensors[name]
	if t == nil {
		net.Fail("there is no tensor %q", name)
	}
	fits := len(t.shape) == len(shape)
	for i := range shape {
		fits = fits && (shape[i] == -1 || shape[i] == t.shape[i])
	}
	if !fits {
		net.Fail("tensor %q is of shape %v, and %v is needed", name, t.shape, shape)
	}
	t.used = true
	size := t.typ.Bytes(1)
	out := make([]float32, len(t.data)/max(size, 1))
	for i := range out {
		e := t.data[i*size:]
		switch t.typ {
		case format.Float32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(e))
		case format.Float64:
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(e)))
		case format.Float16:
			out[i] = net.Float16(binary.LittleEndian.Uint16(e))
		case format.BFloat16:
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(e)) << 16)
		default:
			net.Fail("tensor %q is of type %v, not a float", name, t.typ)
		}
		if out[i]-out[i] != 0 {
			net.Fail("tensor %q holds %v: weights must be finite", name, out[i])
		}
	}
	return out, t.shape
}

// unused returns the names of tensors that nothing has read, sorted.
func (f *File) unused() (names []string) {
	for name, t := range f.tensors {
		if !t.used {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

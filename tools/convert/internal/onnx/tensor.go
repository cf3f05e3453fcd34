package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
)

var le = binary.LittleEndian

// elemTypes are the element types by their number in onnx.proto.
var elemTypes = map[int64]format.DType{
	1: format.Float32, 2: format.Uint8, 3: format.Int8, 4: format.Uint16, 5: format.Int16, 6: format.Int32, 7: format.Int64,
	9: format.Bool, 10: format.Float16, 11: format.Float64, 12: format.Uint32, 13: format.Uint64, 16: format.BFloat16,
	21: format.Uint4, 22: format.Int4,
}

// elemNames are the types that whet does not have, for messages.
var elemNames = map[int64]string{8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
	19: "float8e5m2", 20: "float8e5m2fnuz", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2"}

// elemType returns the type of that number.
func elemType(n int64) (format.DType, error) {
	if t, ok := elemTypes[n]; ok {
		return t, nil
	}
	if name, ok := elemNames[n]; ok {
		return 0, unsupportedf("element type %s", name)
	}
	return 0, fmt.Errorf("element type %d is none of ONNX's", n)
}

// maxElems bounds a tensor, so that sizes in bytes fit in an int anywhere.
const maxElems = 1 << 30

// shapeOf checks the dimensions of a stored tensor.
func shapeOf(dims []int64) (format.Shape, int, error) {
	s, n := make(format.Shape, len(dims)), 1
	if len(dims) > 16 {
		return nil, 0, fmt.Errorf("%d dimensions, more than 16", len(dims))
	}
	for i, d := range dims {
		if d < 0 || d > maxElems || d > 0 && n > maxElems/int(d) {
			return nil, 0, fmt.Errorf("shape %v is too large", dims)
		}
		s[i] = int(d)
		n *= int(d)
	}
	return s, n, nil
}

// tensor decodes a stored tensor. Floats of 16 bits become float32, which is what
// whet computes with; wide says what the type was. dir is the folder of
// the model, for data in files beside it.
func (p *tensorProto) tensor(dir string) (t *tensor, wide format.DType, err error) {
	wide, err = elemType(p.typ)
	if err != nil {
		return nil, 0, fmt.Errorf("tensor %q: %w", p.name, err)
	}
	shape, n, err := shapeOf(p.dims)
	if err != nil {
		return nil, 0, fmt.Errorf("tensor %q: %w", p.name, err)
	}
	data, err := p.bytes(dir, wide, n)
	if err != nil {
		return nil, 0, fmt.Errorf("tensor %q: %w", p.name, err)
	}
	t = &tensor{name: p.name, typ: wide, shape: shape, data: data}
	if narrow(wide) != wide {
		t.typ, t.data = format.Float32, toFloat32(wide, data)
	}
	return t, wide, nil
}

// bytes returns the elements as whet stores them.
func (p *tensorProto) bytes(dir string, t format.DType, n int) ([]byte, error) {
	want := t.Bytes(n)
	switch {
	case p.external != nil:
		return readExternal(dir, p.external, want)
	case p.hasRaw:
		if len(p.raw) != want {
			return nil, fmt.Errorf("%d bytes of data, but %v %v takes %d", len(p.raw), t, p.dims, want)
		}
		if t == format.Bool {
			return bools(p.raw), nil
		}
		return p.raw, nil
	}
	var have int
	b := make([]byte, 0, min(want, 8*(len(p.ints)+len(p.floats)+len(p.doubles)+len(p.uints))))
	switch t {
	case format.Float32:
		have = len(p.floats)
		for _, v := range p.floats {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	case format.Float64:
		have = len(p.doubles)
		for _, v := range p.doubles {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	case format.Uint64, format.Uint32:
		have = len(p.uints)
		for _, v := range p.uints {
			b = appendInt(b, t, int64(v))
		}
	case format.Int4, format.Uint4: // packed two to an int32
		have = 2 * len(p.ints)
		if n%2 == 1 {
			have--
		}
		for _, v := range p.ints {
			b = append(b, byte(v))
		}
	default: // the 16-bit floats are stored as their bits
		have = len(p.ints)
		for _, v := range p.ints {
			b = appendInt(b, t, v)
		}
	}
	if have != n {
		return nil, fmt.Errorf("%d elements of data, but the shape %v has %d", max(have, 0), p.dims, n)
	}
	if t == format.Bool {
		return bools(b), nil
	}
	return b, nil
}

// bools makes every true 1.
func bools(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		if v != 0 {
			out[i] = 1
		}
	}
	return out
}

// appendInt appends an integer of whole bytes.
func appendInt(b []byte, t format.DType, v int64) []byte {
	for k := 0; k < t.Bits(); k += 8 {
		b = append(b, byte(v>>k))
	}
	return b
}

// toFloat32 converts floats of another width.
func toFloat32(t format.DType, b []byte) []byte {
	n := len(b) * 8 / t.Bits()
	f := make([]float32, n)
	switch t {
	case format.BFloat16: // the upper half of a float32
		for i := range f {
			f[i] = math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16)
		}
	default:
		for i := range f {
			f[i] = half(le.Uint16(b[2*i:]))
		}
	}
	return floatBytes(f)
}

// half returns the value of an IEEE half float; every one is a float32.
func half(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormals: man * 2^-24
		return math.Float32frombits(math.Float32bits(float32(man)*0x1p-24) | sign)
	case 31: // infinities and NaN
		return math.Float32frombits(sign | 0xff<<23 | man<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | man<<13)
}

func floatBytes(f []float32) []byte {
	b := make([]byte, 0, 4*len(f))
	for _, v := range f {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func intBytes(t format.DType, v []int64) []byte {
	b := make([]byte, 0, t.Bytes(len(v)))
	for _, x := range v {
		b = appendInt(b, t, x)
	}
	return b
}

// integers returns the values of an integer or bool constant.
func integers(t *tensor) ([]int64, bool) {
	w := t.typ.Bits() / 8
	if t.typ.Float() || w == 0 {
		return nil, false
	}
	signed := t.typ == format.Int8 || t.typ == format.Int16 || t.typ == format.Int32
	out := make([]int64, len(t.data)/w)
	for i := range out {
		var v uint64
		for k := range w {
			v |= uint64(t.data[i*w+k]) << (8 * k)
		}
		if signed {
			shift := 64 - 8*w
			v = uint64(int64(v<<shift) >> shift)
		}
		out[i] = int64(v)
	}
	return out, true
}

// float32s returns the values of a float32 constant.
func float32s(t *tensor) []float32 {
	out := make([]float32, len(t.data)/4)
	for i := range out {
		out[i] = math.Float32frombits(le.Uint32(t.data[4*i:]))
	}
	return out
}

// readExternal reads want bytes of a file beside the model. A model must not
// make the converter read anything else: the name is a plain path below the
// model's folder, no part of it is a link, and the file has one name only (a
// second hard link may lead to somebody else's secret).
func readExternal(dir string, e map[string]string, want int) ([]byte, error) {
	name := e["location"]
	if name == "" {
		return nil, errors.New("external data without a location")
	}
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
		return nil, fmt.Errorf("external data in %q: only files below the model's own folder are read", name)
	}
	if dir == "" {
		return nil, fmt.Errorf("external data in %q: the model was not read from a folder", name)
	}
	number := func(key string, def int64) (int64, error) {
		s := e[key]
		if s == "" {
			return def, nil
		}
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("external data in %q: %s %q is not a size", name, key, s)
		}
		return v, nil
	}
	offset, err := number("offset", 0)
	if err != nil {
		return nil, err
	}
	length, err := number("length", int64(want))
	if err != nil {
		return nil, err
	}
	if length != int64(want) {
		return nil, fmt.Errorf("external data in %q: %d bytes, but the tensor takes %d", name, length, want)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Root keeps the path inside the folder whatever happens meanwhile; links
	// inside it are refused too, part by part.
	parts := strings.Split(filepath.ToSlash(filepath.Clean(name)), "/")
	for i := range parts {
		part := filepath.FromSlash(strings.Join(parts[:i+1], "/"))
		fi, err := root.Lstat(part)
		if err != nil {
			return nil, fmt.Errorf("external data: %w", err)
		}
		if last := i == len(parts)-1; last && !fi.Mode().IsRegular() || !last && !fi.IsDir() {
			return nil, fmt.Errorf("external data in %q: %q is a link or not a plain file", name, part)
		}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || links(fi) > 1 {
		return nil, fmt.Errorf("external data in %q: the file is not plain, or has further names (hard links): copy it", name)
	}
	if fi.Size() < offset || fi.Size()-offset < length {
		return nil, fmt.Errorf("external data in %q: the file has %d bytes, and %d from %d on are wanted", name, fi.Size(), length, offset)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, length), b); err != nil {
		return nil, fmt.Errorf("external data in %q: %w", name, err)
	}
	return b, nil
}

// Tensor decodes a serialized TensorProto.
func Tensor(b []byte) (*format.Tensor, error) {
	p, err := new(reader).tensor(b)
	if err != nil {
		return nil, err
	}
	t, err := elemType(p.typ)
	if err != nil {
		return nil, err
	}
	shape, n, err := shapeOf(p.dims)
	if err != nil {
		return nil, err
	}
	data, err := p.bytes("", t, n)
	if err != nil {
		return nil, err
	}
	return &format.Tensor{Name: p.name, Type: t, Shape: shape, Data: data}, nil
}

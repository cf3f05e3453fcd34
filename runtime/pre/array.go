package pre

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/whet-edge/whet/format"
)

// MaxBytes bounds the memory that one array, one picture or one member of an
// archive may take: a small hostile file can announce a huge one.
const MaxBytes = 1 << 30

// An Array is a dense array in row-major order, or one sample of a data set.
type Array struct {
	Type  format.DType
	Shape format.Shape
	Data  []byte // little-endian
	Rate  int    // samples a second, of sounds; else 0
	image bool   // uint8 pixels [h,w,c]
	text  bool   // UTF-8, or a file's bytes
	file  bool   // from a .npy file: goes into the tensor as it stands or not at all
}

// Elems returns the number of elements.
func (a *Array) Elems() int { return a.Shape.Elems() }

// Float32s returns the elements converted to float32.
func (a *Array) Float32s() ([]float32, error) {
	out := make([]float32, a.Elems())
	at, err := reader(a.Type)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = float32(at(a.Data, i))
	}
	return out, nil
}

// Ints returns the elements of an array of integers, or of floats that hold
// whole numbers.
func (a *Array) Ints() ([]int, error) {
	at, err := reader(a.Type)
	if err != nil {
		return nil, err
	}
	out := make([]int, a.Elems())
	for i := range out {
		v := at(a.Data, i)
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return nil, fmt.Errorf("element %d is %v, not a whole number", i, v)
		}
		out[i] = int(v)
	}
	return out, nil
}

// reader returns the function that reads element i of data. float64 holds all
// values of these types but the ends of the 64-bit integers.
func reader(t format.DType) (func(data []byte, i int) float64, error) {
	le := binary.LittleEndian
	switch t {
	case format.Float64:
		return func(d []byte, i int) float64 { return math.Float64frombits(le.Uint64(d[8*i:])) }, nil
	case format.Float32:
		return func(d []byte, i int) float64 { return float64(math.Float32frombits(le.Uint32(d[4*i:]))) }, nil
	case format.Float16:
		return func(d []byte, i int) float64 { return half(le.Uint16(d[2*i:])) }, nil
	case format.Int64:
		return func(d []byte, i int) float64 { return float64(int64(le.Uint64(d[8*i:]))) }, nil
	case format.Uint64:
		return func(d []byte, i int) float64 { return float64(le.Uint64(d[8*i:])) }, nil
	case format.Int32:
		return func(d []byte, i int) float64 { return float64(int32(le.Uint32(d[4*i:]))) }, nil
	case format.Uint32:
		return func(d []byte, i int) float64 { return float64(le.Uint32(d[4*i:])) }, nil
	case format.Int16:
		return func(d []byte, i int) float64 { return float64(int16(le.Uint16(d[2*i:]))) }, nil
	case format.Uint16:
		return func(d []byte, i int) float64 { return float64(le.Uint16(d[2*i:])) }, nil
	case format.Int8:
		return func(d []byte, i int) float64 { return float64(int8(d[i])) }, nil
	case format.Uint8, format.Bool:
		return func(d []byte, i int) float64 { return float64(d[i]) }, nil
	}
	return nil, fmt.Errorf("arrays of %v cannot be read as numbers", t)
}

// half converts an IEEE 754 binary16 number.
func half(h uint16) float64 {
	sign, exp, frac := 1.0, int(h>>10&31), float64(h&1023)
	if h&0x8000 != 0 {
		sign = -1
	}
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

// floats makes a float32 array.
func floats(v []float32, shape ...int) *Array {
	a := &Array{Type: format.Float32, Shape: shape, Data: make([]byte, 4*len(v))}
	for i, x := range v {
		binary.LittleEndian.PutUint32(a.Data[4*i:], math.Float32bits(x))
	}
	return a
}

// checkSize refuses shapes whose data would not fit in MaxBytes.
func checkSize(t format.DType, shape format.Shape) (bytes int, err error) {
	n := shape.Elems()
	if n < 0 || n > MaxBytes || t.Bytes(n) > MaxBytes {
		return 0, fmt.Errorf("%v array of shape %v is larger than %d MiB", t, []int(shape), MaxBytes>>20)
	}
	return t.Bytes(n), nil
}

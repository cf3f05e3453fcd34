package oip

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
)

// A Reply is the answer to an inference request.
type Reply struct {
	Model, Version, ID string
	Outputs            []Output
	Values             [][]byte // of all the model's outputs, in its order
	Labels             []string // class names for the classification extension
}

// Append writes the reply behind dst: JSON, then the binary tensors. jsonLen is
// the length of the JSON part, or -1 when there is nothing else.
func (r *Reply) Append(dst []byte, specs []Spec) (body []byte, jsonLen int, err error) {
	start := len(dst)
	dst = append(dst, `{"model_name":`...)
	dst = appendString(dst, r.Model)
	dst = append(dst, `,"model_version":`...)
	dst = appendString(dst, r.Version)
	if r.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, r.ID)
	}
	dst = append(dst, `,"outputs":[`...)
	var tail [][]byte
	for i, o := range r.Outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		var bin []byte
		dst, bin, err = appendOutput(dst, &specs[o.Index], o, r.Values[o.Index], r.Labels)
		if err != nil {
			return nil, 0, err
		}
		if o.Binary {
			tail = append(tail, bin)
		}
	}
	dst = append(dst, `]}`...)
	if tail == nil {
		return dst, -1, nil
	}
	jsonLen = len(dst) - start
	for _, t := range tail {
		dst = append(dst, t...)
	}
	return dst, jsonLen, nil
}

func appendOutput(dst []byte, s *Spec, o Output, value []byte, labels []string) (out, bin []byte, err error) {
	datatype, shape := Datatype(s.Type), []int(s.Shape)
	var classes []string
	if o.Classify > 0 {
		if classes, shape, err = Classify(s, value, labels, o.Classify); err != nil {
			return nil, nil, err
		}
		datatype = "BYTES"
		value = nil
		for _, c := range classes { // BYTES elements travel as a 4-byte length and the bytes
			value = binary.LittleEndian.AppendUint32(value, uint32(len(c)))
			value = append(value, c...)
		}
	}
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, s.Name)
	dst = append(dst, `,"datatype":"`...)
	dst = append(dst, datatype...)
	dst = append(dst, `","shape":[`...)
	for i, d := range shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(d), 10)
	}
	dst = append(dst, ']')
	switch {
	case o.Binary:
		dst = append(dst, `,"parameters":{"binary_data_size":`...)
		dst = strconv.AppendInt(dst, int64(len(value)), 10)
		dst = append(dst, '}')
	case o.Classify > 0:
		dst = append(dst, `,"data":[`...)
		for i, c := range classes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, c)
		}
		dst = append(dst, ']')
	default:
		dst = append(dst, `,"data":`...)
		if dst, err = AppendData(dst, value, s.Type); err != nil {
			return nil, nil, Errorf(http.StatusUnprocessableEntity, "output %q: %v", s.Name, err)
		}
	}
	return append(dst, '}'), value, nil
}

// Classify returns the k largest values of each row (the innermost dimension)
// as "value:index" or "value:index:label" strings, best first and lower index
// first among equals, with the shape that they have. Quantized values are given
// as the real numbers that they stand for.
func Classify(s *Spec, value []byte, labels []string, k int) ([]string, []int, error) {
	n := s.Shape.Elems()
	if len(s.Shape) == 0 || n <= 0 {
		return nil, nil, bad("output %q has shape %v: no classes to rank", s.Name, []int(s.Shape))
	}
	row := s.Shape[len(s.Shape)-1]
	k = min(k, row)
	shape := append([]int(nil), s.Shape...)
	shape[len(shape)-1] = k
	values, err := reals(s, value)
	if err != nil {
		return nil, nil, err
	}
	var out []string
	order := make([]int, row)
	for at := 0; at < n; at += row {
		v := values[at : at+row]
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case v[a] > v[b]:
				return -1
			case v[a] < v[b]:
				return 1
			}
			return 0
		})
		for _, i := range order[:k] {
			c := strconv.FormatFloat(float64(v[i]), 'f', 6, 32) + ":" + strconv.Itoa(i)
			if i < len(labels) {
				c += ":" + labels[i]
			}
			out = append(out, c)
		}
	}
	return out, shape, nil
}

// Best returns the index of the greatest of an output's values, the first of
// equals. A value that is not ordered (NaN) is never the greatest.
func Best(s *Spec, value []byte) (int, error) {
	v, err := reals(s, value)
	if err != nil || len(v) == 0 {
		return 0, bad("output %q has no classes to rank", s.Name)
	}
	best := 0
	for i := range v {
		if v[i] > v[best] || v[best] != v[best] {
			best = i
		}
	}
	return best, nil
}

// reals returns the real numbers that a tensor's value stands for.
func reals(s *Spec, raw []byte) ([]float32, error) {
	if !s.HasReals() {
		return nil, bad("output %q is %s: no classes to rank", s.Name, Datatype(s.Type))
	}
	out := make([]float32, s.Shape.Elems())
	for i := range out {
		out[i] = float32(s.Real(raw, i))
	}
	return out, nil
}

// HasReals reports whether [Spec.Real] knows the tensor's type.
func (s *Spec) HasReals() bool {
	switch s.Type {
	case format.Int8, format.Uint8, format.Int16, format.Int32, format.Float32:
		return s.Shape.Elems() > 0
	}
	return false
}

// Real returns the real number that element i of a value stands for, a float32.
func (s *Spec) Real(raw []byte, i int) float64 {
	var v float32
	e := raw[i*s.Type.Bits()/8:]
	switch s.Type {
	case format.Int8:
		v = float32(int8(e[0]))
	case format.Uint8:
		v = float32(e[0])
	case format.Int16:
		v = float32(int16(binary.LittleEndian.Uint16(e)))
	case format.Int32:
		v = float32(int32(binary.LittleEndian.Uint32(e)))
	case format.Float32:
		v = math.Float32frombits(binary.LittleEndian.Uint32(e))
	}
	if q := s.Quant; q != nil && len(q.Scale) == 1 {
		v = (v - float32(q.ZeroPoint())) * q.Scale[0]
	}
	return float64(v)
}

// appendString writes a JSON string.
func appendString(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		panic(fmt.Sprintf("oip: %v", err))
	}
	return append(dst, b...)
}

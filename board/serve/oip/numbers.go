package oip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/whet-edge/whet/format"
)

// parseData reads the JSON value of a "data" field, flat or nested as the shape
// says, into little-endian bytes appended to dst.
//
// Each element is range-checked for its type: an integer that does not fit, a
// fraction for an integer type, or a float beyond the type's largest is an
// error, for it would silently become another number.
func parseData(dst, src []byte, typ format.DType, shape format.Shape) ([]byte, error) {
	put, err := elementParser(typ)
	if err != nil {
		return nil, err
	}
	p := dataParser{src: src, dst: dst, put: put, want: shape.Elems(), shape: shape}
	p.space()
	if p.pos == len(src) {
		return nil, errors.New("data is missing")
	}
	nested := len(shape) > 1 && p.nested()
	if err := p.array(0, nested); err != nil {
		return nil, err
	}
	if p.space(); p.pos != len(src) {
		return nil, fmt.Errorf("something follows the data at its byte %d", p.pos)
	}
	if p.n != p.want {
		return nil, fmt.Errorf("data has %d elements, shape %v needs %d", p.n, []int(shape), p.want)
	}
	return p.dst, nil
}

type dataParser struct {
	src, dst []byte
	pos      int
	put      func(dst, token []byte) ([]byte, error)
	n, want  int
	shape    format.Shape
}

func (p *dataParser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// nested reports whether the first element of the array at hand is an array.
func (p *dataParser) nested() bool {
	i := p.pos + 1
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\n' || p.src[i] == '\t' || p.src[i] == '\r') {
		i++
	}
	return i < len(p.src) && p.src[i] == '['
}

// array reads one array at nesting level depth. When the data is nested, each
// level has exactly the elements that its dimension says, so the depth is
// bounded by the rank.
func (p *dataParser) array(depth int, nested bool) error {
	if p.pos >= len(p.src) || p.src[p.pos] != '[' {
		return fmt.Errorf("data needs an array at its byte %d", p.pos)
	}
	p.pos++
	leaf := !nested || depth == len(p.shape)-1
	count := 0
	for p.space(); ; p.space() {
		if p.pos >= len(p.src) {
			return errors.New("data ends inside an array")
		}
		if count == 0 && p.src[p.pos] == ']' {
			p.pos++
			break
		}
		if !leaf {
			if err := p.array(depth+1, true); err != nil {
				return err
			}
		} else if err := p.element(); err != nil {
			return err
		}
		count++
		p.space()
		if p.pos >= len(p.src) {
			return errors.New("data ends inside an array")
		}
		c := p.src[p.pos]
		p.pos++
		if c == ']' {
			break
		}
		if c != ',' {
			return fmt.Errorf("data has %q at its byte %d, where a comma or ] belongs", c, p.pos-1)
		}
	}
	if nested && count != p.shape[depth] {
		return fmt.Errorf("data has %d elements in dimension %d, shape %v says %d", count, depth, []int(p.shape), p.shape[depth])
	}
	return nil
}

func (p *dataParser) element() error {
	start := p.pos
scan:
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ',', ']', '[', ' ', '\t', '\n', '\r':
			break scan
		}
		p.pos++
	}
	if p.n == p.want {
		return fmt.Errorf("data has more than the %d elements of shape %v", p.want, []int(p.shape))
	}
	dst, err := p.put(p.dst, p.src[start:p.pos])
	if err != nil {
		return fmt.Errorf("element %d: %w", p.n, err)
	}
	p.dst = dst
	p.n++
	return nil
}

func elementParser(typ format.DType) (func(dst, token []byte) ([]byte, error), error) {
	le := binary.LittleEndian
	signed := func(bits int, put func([]byte, int64) []byte) func(dst, token []byte) ([]byte, error) {
		return func(dst, token []byte) ([]byte, error) {
			v, err := strconv.ParseInt(string(token), 10, bits)
			if err != nil || token[0] == '+' {
				return nil, tokenError(token, typ, err)
			}
			return put(dst, v), nil
		}
	}
	unsigned := func(bits int, put func([]byte, uint64) []byte) func(dst, token []byte) ([]byte, error) {
		return func(dst, token []byte) ([]byte, error) {
			v, err := strconv.ParseUint(string(token), 10, bits)
			if err != nil {
				return nil, tokenError(token, typ, err)
			}
			return put(dst, v), nil
		}
	}
	float := func(bits int, put func([]byte, float64) []byte) func(dst, token []byte) ([]byte, error) {
		return func(dst, token []byte) ([]byte, error) {
			if !jsonNumber(token) {
				return nil, tokenError(token, typ, nil)
			}
			v, err := strconv.ParseFloat(string(token), bits)
			if err != nil {
				return nil, tokenError(token, typ, err)
			}
			return put(dst, v), nil
		}
	}
	switch typ {
	case format.Int8:
		return signed(8, func(b []byte, v int64) []byte { return append(b, byte(v)) }), nil
	case format.Int16:
		return signed(16, func(b []byte, v int64) []byte { return le.AppendUint16(b, uint16(v)) }), nil
	case format.Int32:
		return signed(32, func(b []byte, v int64) []byte { return le.AppendUint32(b, uint32(v)) }), nil
	case format.Int64:
		return signed(64, func(b []byte, v int64) []byte { return le.AppendUint64(b, uint64(v)) }), nil
	case format.Uint8:
		return unsigned(8, func(b []byte, v uint64) []byte { return append(b, byte(v)) }), nil
	case format.Uint16:
		return unsigned(16, func(b []byte, v uint64) []byte { return le.AppendUint16(b, uint16(v)) }), nil
	case format.Uint32:
		return unsigned(32, func(b []byte, v uint64) []byte { return le.AppendUint32(b, uint32(v)) }), nil
	case format.Uint64:
		return unsigned(64, func(b []byte, v uint64) []byte { return le.AppendUint64(b, v) }), nil
	case format.Float32:
		return float(32, func(b []byte, v float64) []byte { return le.AppendUint32(b, math.Float32bits(float32(v))) }), nil
	case format.Float64:
		return float(64, func(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) }), nil
	case format.Bool:
		return func(dst, token []byte) ([]byte, error) {
			switch string(token) {
			case "true":
				return append(dst, 1), nil
			case "false":
				return append(dst, 0), nil
			}
			return nil, tokenError(token, typ, nil)
		}, nil
	}
	return nil, fmt.Errorf("%s has no JSON form: send it as a binary tensor", Datatype(typ))
}

func tokenError(token []byte, typ format.DType, err error) error {
	if len(token) > 24 {
		token = append(append([]byte(nil), token[:24]...), "..."...)
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s is out of the range of %s", token, Datatype(typ))
	}
	return fmt.Errorf("%q is no %s", token, Datatype(typ))
}

// jsonNumber reports whether the token is spelled as JSON spells numbers:
// ParseFloat also takes hexadecimal, underscores, "inf" and "nan".
func jsonNumber(t []byte) bool {
	i := 0
	digits := func() bool {
		start := i
		for i < len(t) && t[i] >= '0' && t[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(t) && t[i] == '-' {
		i++
	}
	if !digits() {
		return false
	}
	if i < len(t) && t[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < len(t) && (t[i] == 'e' || t[i] == 'E') {
		if i++; i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(t)
}

// AppendData writes raw little-endian elements as a flat JSON array.
func AppendData(dst, raw []byte, typ format.DType) ([]byte, error) {
	size := typ.Bits() / 8
	dst = append(dst, '[')
	for i := 0; i+size <= len(raw); i += size {
		if i > 0 {
			dst = append(dst, ',')
		}
		e := raw[i : i+size]
		switch typ {
		case format.Int8:
			dst = strconv.AppendInt(dst, int64(int8(e[0])), 10)
		case format.Int16:
			dst = strconv.AppendInt(dst, int64(int16(binary.LittleEndian.Uint16(e))), 10)
		case format.Int32:
			dst = strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(e))), 10)
		case format.Int64:
			dst = strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(e)), 10)
		case format.Uint8:
			dst = strconv.AppendUint(dst, uint64(e[0]), 10)
		case format.Uint16:
			dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint16(e)), 10)
		case format.Uint32:
			dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(e)), 10)
		case format.Uint64:
			dst = strconv.AppendUint(dst, binary.LittleEndian.Uint64(e), 10)
		case format.Bool:
			dst = strconv.AppendBool(dst, e[0] != 0)
		case format.Float32:
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(e)))
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("element %d is %v, which JSON cannot carry: ask for binary data", i/size, v)
			}
			dst = strconv.AppendFloat(dst, v, 'g', -1, 32)
		case format.Float64:
			v := math.Float64frombits(binary.LittleEndian.Uint64(e))
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("element %d is %v, which JSON cannot carry: ask for binary data", i/size, v)
			}
			dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
		default:
			return nil, fmt.Errorf("%s has no JSON form: ask for binary data", Datatype(typ))
		}
	}
	return append(dst, ']'), nil
}

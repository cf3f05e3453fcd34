package pre

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
)

// The .npy format, versions 1 to 3, is described in NEP 1 and in the
// documentation of numpy.lib.format: magic, version, length of the header, and
// the header, a Python literal of the form
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }

const npyMagic = "\x93NUMPY"

// maxHeader is far above what numpy writes for plain arrays (64 to 128 bytes).
const maxHeader = 1 << 16

// npyTypes maps the letters and sizes of numpy's plain types.
var npyTypes = map[string]format.DType{
	"f8": format.Float64, "f4": format.Float32, "f2": format.Float16,
	"i8": format.Int64, "i4": format.Int32, "i2": format.Int16, "i1": format.Int8,
	"u8": format.Uint64, "u4": format.Uint32, "u2": format.Uint16, "u1": format.Uint8,
	"b1": format.Bool,
}

// ReadNPY reads one array in numpy's .npy format. Big-endian data is swapped;
// Fortran order, structured types and Python objects are refused.
func ReadNPY(r io.Reader) (*Array, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:10]); err != nil || string(head[:6]) != npyMagic {
		return nil, errors.New("not a .npy file")
	}
	n := uint32(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, head[10:12]); err != nil {
			return nil, errors.New("npy: the file ends in its header")
		}
		n = binary.LittleEndian.Uint32(head[8:])
	default:
		return nil, fmt.Errorf("npy: version %d is unknown", head[6])
	}
	if n > maxHeader {
		return nil, fmt.Errorf("npy: header of %d bytes, more than %d", n, maxHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, errors.New("npy: the file ends in its header")
	}
	descr, fortran, shape, err := parseNPYHeader(string(text))
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	if fortran && len(shape) > 1 {
		return nil, errors.New("npy: the array is in Fortran order; save numpy.ascontiguousarray(a)")
	}
	if len(descr) < 3 {
		return nil, fmt.Errorf("npy: type %q is not a plain number", descr)
	}
	t, ok := npyTypes[descr[1:]]
	if !ok || !strings.Contains("<>|=", descr[:1]) {
		return nil, fmt.Errorf("npy: type %q is not a plain number", descr)
	}
	size, err := checkSize(t, shape)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	data, err := readExactly(r, size)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	if descr[0] == '>' {
		swap(data, t.Bits()/8)
	}
	return &Array{Type: t, Shape: shape, Data: data}, nil
}

// readExactly reads size bytes to the end of r. Memory grows with what is
// really there, not with what a header claims.
func readExactly(r io.Reader, size int) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, int64(size)+1))
	switch {
	case err != nil:
		return nil, err
	case n < int64(size):
		return nil, fmt.Errorf("the file ends after %d of %d bytes of data", n, size)
	case n > int64(size):
		return nil, fmt.Errorf("the file goes on after its %d bytes of data", size)
	}
	return b.Bytes(), nil
}

func swap(data []byte, size int) {
	for i := 0; i+size <= len(data); i += size {
		for a, b := i, i+size-1; a < b; a, b = a+1, b-1 {
			data[a], data[b] = data[b], data[a]
		}
	}
}

// parseNPYHeader reads the header's dictionary: exactly the three keys that
// numpy writes, in any order.
func parseNPYHeader(s string) (descr string, fortran bool, shape format.Shape, err error) {
	p := literal{s}
	bad := func() (string, bool, format.Shape, error) {
		return "", false, nil, fmt.Errorf("header %.80q is not understood", s)
	}
	if !p.skip("{") {
		return bad()
	}
	seen := map[string]bool{}
	for !p.skip("}") {
		key, ok := p.str()
		if !ok || seen[key] || !p.skip(":") {
			return bad()
		}
		seen[key] = true
		switch key {
		case "descr":
			descr, ok = p.str()
		case "fortran_order":
			if fortran = p.skip("True"); !fortran {
				ok = p.skip("False")
			}
		case "shape":
			shape, ok = p.tuple()
		default:
			ok = false
		}
		if !ok {
			return bad()
		}
		if !p.skip(",") && !strings.HasPrefix(strings.TrimSpace(p.s), "}") {
			return bad()
		}
	}
	if len(seen) != 3 || strings.TrimSpace(p.s) != "" {
		return bad()
	}
	return descr, fortran, shape, nil
}

// A literal is the unread rest of a Python literal.
type literal struct{ s string }

func (p *literal) skip(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.s, " \t\n"), token)
	if ok {
		p.s = rest
	}
	return ok
}

func (p *literal) str() (string, bool) {
	for _, quote := range []string{"'", `"`} {
		if p.skip(quote) {
			s, rest, ok := strings.Cut(p.s, quote)
			p.s = rest
			return s, ok
		}
	}
	return "", false
}

func (p *literal) tuple() (format.Shape, bool) {
	if !p.skip("(") {
		return nil, false
	}
	shape := format.Shape{}
	for !p.skip(")") {
		p.s = strings.TrimLeft(p.s, " ")
		i := strings.IndexFunc(p.s, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 || len(shape) == 32 {
			return nil, false
		}
		n, err := strconv.ParseInt(p.s[:i], 10, 48)
		if err != nil {
			return nil, false
		}
		p.s = strings.TrimPrefix(p.s[i:], "L") // Python 2 wrote 3L
		shape = append(shape, int(n))
		if !p.skip(",") && !strings.HasPrefix(strings.TrimLeft(p.s, " "), ")") {
			return nil, false
		}
	}
	return shape, true
}

// WriteNPY writes an array in numpy's .npy format, version 1.
func WriteNPY(w io.Writer, a *Array) error {
	descr := ""
	for name, t := range npyTypes {
		if t == a.Type {
			descr = "<" + name
			if t.Bits() == 8 {
				descr = "|" + name
			}
		}
	}
	if descr == "" {
		return fmt.Errorf("npy: numpy has no type %v", a.Type)
	}
	dims := make([]string, len(a.Shape))
	for i, d := range a.Shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	h := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	// The data starts on a multiple of 64; the header ends with a newline.
	h += strings.Repeat(" ", 63-(10+len(h))%64) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(len(h)))
	if _, err := w.Write(append(head, h...)); err != nil {
		return err
	}
	_, err := w.Write(a.Data)
	return err
}

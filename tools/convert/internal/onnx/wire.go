package onnx

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of onnx.proto that an importer needs, read field by field.
// Unknown fields are skipped, as the encoding demands of its readers.

type modelProto struct {
	irVersion int64
	producer  string
	doc       string
	opsets    map[string]int64 // by domain
	graph     *graphProto
	functions []*functionProto
	nodes     int // in all graphs and functions
	metadata  map[string]string
}

type graphProto struct {
	name         string
	nodes        []*nodeProto
	initializers []*tensorProto
	inputs       []*valueProto
	outputs      []*valueProto
	sparse       bool // has sparse initializers
}

type functionProto struct {
	name, domain string
	inputs       []string
	outputs      []string
	attributes   []string     // without a default
	defaults     []*attrProto // with one
	nodes        []*nodeProto
	opsets       map[string]int64
}

type nodeProto struct {
	name, op, domain string
	inputs, outputs  []string
	attrs            []*attrProto
}

// attrProto is an attribute; kind says which of its fields counts.
type attrProto struct {
	name, ref string
	kind      int64
	f         float32
	i         int64
	s         []byte
	t         *tensorProto
	g         *graphProto
	floats    []float32
	ints      []int64
	strings   [][]byte
}

// Kinds of attributes (AttributeProto.AttributeType).
const (
	attrFloat   = 1
	attrInt     = 2
	attrString  = 3
	attrTensor  = 4
	attrGraph   = 5
	attrFloats  = 6
	attrInts    = 7
	attrStrings = 8
)

// tensorProto is a tensor as it is stored; see tensor.go.
type tensorProto struct {
	name     string
	typ      int64
	dims     []int64
	raw      []byte
	hasRaw   bool
	floats   []float32
	ints     []int64 // int32_data or int64_data
	uints    []uint64
	doubles  []float64
	external map[string]string // nil: stored here
}

// valueProto declares an input or output of a graph.
type valueProto struct {
	name  string
	typ   int64 // of the elements; 0: not a tensor
	kind  string
	dims  []dimProto
	ranks bool // the shape is given
}

type dimProto struct {
	size  int64
	known bool // the size is given
	name  string
}

// Limits on what a file may hold. Each bounds memory that a few bytes of a
// hostile file could otherwise ask for.
const (
	maxDepth    = 24      // graphs in attributes of nodes of graphs ...
	maxMessages = 4 << 20 // nodes, attributes, tensors, values and dimensions
)

var errTruncated = errors.New("the file is cut off, or not an ONNX model")

// A reader walks the messages of one file.
type reader struct {
	messages int
	nodes    int
}

// field is one field of a message.
type field struct {
	num  protowire.Number
	wire protowire.Type
	n    uint64 // of varint, fixed32 and fixed64
	b    []byte // of length-delimited fields
}

// each calls f with the fields of a message in order.
func (r *reader) each(b []byte, f func(field) error) error {
	if r.messages++; r.messages > maxMessages {
		return fmt.Errorf("the model has more than %d parts", maxMessages)
	}
	for len(b) > 0 {
		num, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		v := field{num: num, wire: wire}
		switch wire {
		case protowire.VarintType:
			v.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b)
			v.n = uint64(x)
		case protowire.Fixed64Type:
			v.n, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.b, n = protowire.ConsumeBytes(b)
		default: // groups, which onnx.proto does not use; the depth of a skip is bounded by protowire
			n = protowire.ConsumeFieldValue(num, wire, b)
		}
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func (f field) str() (string, error) {
	if f.wire != protowire.BytesType || !utf8.Valid(f.b) {
		return "", fmt.Errorf("field %d is not a text", f.num)
	}
	return string(f.b), nil
}

func (f field) int() int64 { return int64(f.n) }

// ints appends a repeated integer, packed or not.
func (f field) ints(to []int64) ([]int64, error) {
	if f.wire != protowire.BytesType {
		return append(to, int64(f.n)), nil
	}
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, errTruncated
		}
		to, b = append(to, int64(v)), b[n:]
	}
	return to, nil
}

func (f field) uints(to []uint64) ([]uint64, error) {
	v, err := f.ints(nil)
	for _, x := range v {
		to = append(to, uint64(x))
	}
	return to, err
}

func (f field) floats(to []float32) ([]float32, error) {
	if f.wire != protowire.BytesType {
		return append(to, math.Float32frombits(uint32(f.n))), nil
	}
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeFixed32(b)
		if n < 0 {
			return nil, errTruncated
		}
		to, b = append(to, math.Float32frombits(v)), b[n:]
	}
	return to, nil
}

func (f field) doubles(to []float64) ([]float64, error) {
	if f.wire != protowire.BytesType {
		return append(to, math.Float64frombits(f.n)), nil
	}
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeFixed64(b)
		if n < 0 {
			return nil, errTruncated
		}
		to, b = append(to, math.Float64frombits(v)), b[n:]
	}
	return to, nil
}

// text reads a string field into s.
func (f field) text(s *string) (err error) {
	*s, err = f.str()
	return err
}

func (f field) texts(s *[]string) error {
	v, err := f.str()
	*s = append(*s, v)
	return err
}

func (r *reader) model(b []byte) (*modelProto, error) {
	m := &modelProto{opsets: map[string]int64{}, metadata: map[string]string{}}
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			m.irVersion = f.int()
		case 2:
			err = f.text(&m.producer)
		case 6:
			err = f.text(&m.doc)
		case 7:
			m.graph, err = r.graph(f.b, 0)
		case 8:
			err = r.opset(f.b, m.opsets)
		case 14:
			err = r.entry(f.b, m.metadata)
		case 25:
			var fn *functionProto
			fn, err = r.function(f.b)
			m.functions = append(m.functions, fn)
		}
		return err
	})
	if err == nil && m.graph == nil {
		err = errors.New("the file holds no graph: it is not an ONNX model")
	}
	m.nodes = r.nodes
	return m, err
}

func (r *reader) opset(b []byte, to map[string]int64) error {
	domain, version := "", int64(0)
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.text(&domain)
		case 2:
			version = f.int()
		}
		return err
	})
	to[domainName(domain)] = version
	return err
}

// domainName gives the default domain its short name.
func domainName(s string) string {
	if s == "ai.onnx" {
		return ""
	}
	return s
}

func (r *reader) entry(b []byte, to map[string]string) error {
	key, value := "", ""
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.text(&key)
		case 2:
			err = f.text(&value)
		}
		return err
	})
	to[key] = value
	return err
}

func (r *reader) graph(b []byte, depth int) (*graphProto, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("graphs are nested deeper than %d", maxDepth)
	}
	g := &graphProto{}
	return g, r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			var n *nodeProto
			n, err = r.node(f.b, depth)
			g.nodes = append(g.nodes, n)
		case 2:
			err = f.text(&g.name)
		case 5:
			var t *tensorProto
			t, err = r.tensor(f.b)
			g.initializers = append(g.initializers, t)
		case 11, 12:
			var v *valueProto
			v, err = r.value(f.b)
			if f.num == 11 {
				g.inputs = append(g.inputs, v)
			} else {
				g.outputs = append(g.outputs, v)
			}
		case 15:
			g.sparse = true
		}
		return err
	})
}

func (r *reader) function(b []byte) (*functionProto, error) {
	fn := &functionProto{opsets: map[string]int64{}}
	return fn, r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.text(&fn.name)
		case 4:
			err = f.texts(&fn.inputs)
		case 5:
			err = f.texts(&fn.outputs)
		case 6:
			err = f.texts(&fn.attributes)
		case 7:
			var n *nodeProto
			n, err = r.node(f.b, 0)
			fn.nodes = append(fn.nodes, n)
		case 9:
			err = r.opset(f.b, fn.opsets)
		case 10:
			err = f.text(&fn.domain)
		case 11:
			var a *attrProto
			a, err = r.attr(f.b, 0)
			fn.defaults = append(fn.defaults, a)
		}
		return err
	})
}

func (r *reader) node(b []byte, depth int) (*nodeProto, error) {
	n := &nodeProto{}
	r.nodes++
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.texts(&n.inputs)
		case 2:
			err = f.texts(&n.outputs)
		case 3:
			err = f.text(&n.name)
		case 4:
			err = f.text(&n.op)
		case 5:
			var a *attrProto
			a, err = r.attr(f.b, depth)
			n.attrs = append(n.attrs, a)
		case 7:
			err = f.text(&n.domain)
		}
		return err
	})
	n.domain = domainName(n.domain)
	return n, err
}

func (r *reader) attr(b []byte, depth int) (*attrProto, error) {
	a := &attrProto{}
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.text(&a.name)
		case 2:
			a.f = math.Float32frombits(uint32(f.n))
		case 3:
			a.i = f.int()
		case 4:
			a.s = f.b
		case 5:
			a.t, err = r.tensor(f.b)
		case 6:
			a.g, err = r.graph(f.b, depth+1)
		case 7:
			a.floats, err = f.floats(a.floats)
		case 8:
			a.ints, err = f.ints(a.ints)
		case 9:
			a.strings = append(a.strings, f.b)
		case 20:
			a.kind = f.int()
		case 21:
			err = f.text(&a.ref)
		}
		return err
	})
	return a, err
}

func (r *reader) tensor(b []byte) (*tensorProto, error) {
	t := &tensorProto{}
	external := map[string]string{}
	location := int64(0)
	err := r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			t.dims, err = f.ints(t.dims)
		case 2:
			t.typ = f.int()
		case 4:
			t.floats, err = f.floats(t.floats)
		case 5, 7:
			t.ints, err = f.ints(t.ints)
		case 8:
			err = f.text(&t.name)
		case 9:
			t.raw, t.hasRaw = f.b, true
		case 10:
			t.doubles, err = f.doubles(t.doubles)
		case 11:
			t.uints, err = f.uints(t.uints)
		case 13:
			err = r.entry(f.b, external)
		case 14:
			location = f.int()
		}
		return err
	})
	if location == 1 {
		t.external = external
	}
	return t, err
}

func (r *reader) value(b []byte) (*valueProto, error) {
	v := &valueProto{}
	return v, r.each(b, func(f field) (err error) {
		switch f.num {
		case 1:
			err = f.text(&v.name)
		case 2:
			err = r.valueType(v, f.b)
		}
		return err
	})
}

// valueType reads a TypeProto.
func (r *reader) valueType(v *valueProto, b []byte) error {
	return r.each(b, func(f field) error {
		switch f.num {
		case 1:
			v.kind = "tensor"
			return r.each(f.b, func(f field) error {
				switch f.num {
				case 1:
					v.typ = f.int()
				case 2:
					v.ranks = true
					return r.dims(v, f.b)
				}
				return nil
			})
		case 4:
			v.kind = "sequence"
		case 5:
			v.kind = "map"
		case 8:
			v.kind = "sparse tensor"
		case 9:
			v.kind = "optional"
		}
		return nil
	})
}

func (r *reader) dims(v *valueProto, b []byte) error {
	return r.each(b, func(f field) error {
		if f.num != 1 {
			return nil
		}
		d := dimProto{}
		err := r.each(f.b, func(f field) (err error) {
			switch f.num {
			case 1:
				d.size, d.known = f.int(), true
			case 2:
				err = f.text(&d.name)
			}
			return err
		})
		v.dims = append(v.dims, d)
		return err
	})
}

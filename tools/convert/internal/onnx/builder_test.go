package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/whet-edge/whet/format"
)

// Messages of onnx.proto for the tests, written by hand from its field numbers.

// msg is an encoded message.
type msg []byte

func (m msg) bytes(num protowire.Number, b []byte) msg {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), b)
}

func (m msg) str(num protowire.Number, s string) msg { return m.bytes(num, []byte(s)) }

func (m msg) int(num protowire.Number, v int64) msg {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), uint64(v))
}

// attr makes an attribute of a value of Go's type.
func attr(name string, v any) msg {
	m := msg{}.str(1, name)
	switch v := v.(type) {
	case int:
		return m.int(3, int64(v)).int(20, attrInt)
	case float64:
		m = protowire.AppendFixed32(protowire.AppendTag(m, 2, protowire.Fixed32Type), math.Float32bits(float32(v)))
		return m.int(20, attrFloat)
	case string:
		return m.str(4, v).int(20, attrString)
	case []int:
		for _, x := range v {
			m = m.int(8, int64(x))
		}
		return m.int(20, attrInts)
	case msg: // a graph
		return m.bytes(6, v).int(20, attrGraph)
	}
	panic("attribute")
}

// op1 makes a node.
func op1(op string, in, out []string, attrs ...msg) msg {
	m := msg{}
	for _, s := range in {
		m = m.str(1, s)
	}
	for _, s := range out {
		m = m.str(2, s)
	}
	m = m.str(4, op)
	for _, a := range attrs {
		m = m.bytes(5, a)
	}
	return m
}

// raw makes a stored tensor from bytes.
func raw(name string, typ int64, data []byte, dims ...int) msg {
	m := msg{}
	for _, d := range dims {
		m = m.int(1, int64(d))
	}
	return m.int(2, typ).str(8, name).bytes(9, data)
}

func floatsOf(name string, v []float32, dims ...int) msg { return raw(name, 1, floatBytes(v), dims...) }

func intsOf(name string, v []int64, dims ...int) msg {
	return raw(name, 7, intBytes(format.Int64, v), dims...)
}

// port declares an input or output; a dimension is an int or a name.
func port(name string, typ int64, dims ...any) msg {
	shape := msg{}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			shape = shape.bytes(1, msg{}.int(1, int64(d)))
		case string:
			shape = shape.bytes(1, msg{}.str(2, d))
		}
	}
	tensor := msg{}.int(1, typ).bytes(2, shape)
	return msg{}.str(1, name).bytes(2, msg{}.bytes(1, tensor))
}

// graphOf is the parts of a graph.
type graphOf struct {
	nodes, stored, in, out []msg
}

func (g graphOf) msg() msg {
	m := msg{}
	for _, p := range []struct {
		num  protowire.Number
		list []msg
	}{{1, g.nodes}, {5, g.stored}, {11, g.in}, {12, g.out}} {
		for _, x := range p.list {
			m = m.bytes(p.num, x)
		}
	}
	return m.str(2, "g")
}

// model makes a file.
func (g graphOf) model(opset int64, functions ...msg) []byte {
	m := msg{}.int(1, 8).bytes(7, g.msg()).bytes(8, msg{}.int(2, opset))
	for _, f := range functions {
		m = m.bytes(25, f)
	}
	return m
}

// intsVarint is a packed list of integers.
func intsVarint(v []int) (b []byte) {
	for _, x := range v {
		b = protowire.AppendVarint(b, uint64(int64(x)))
	}
	return b
}

package hostile

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of ONNX that the files here need (onnx.proto), as far as they need
// them. A message is its bytes.
type message []byte

func (m message) number(field protowire.Number, v int64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), uint64(v))
}

func (m message) bytes(field protowire.Number, b []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), b)
}

func (m message) text(field protowire.Number, s string) message { return m.bytes(field, []byte(s)) }

// value is a ValueInfoProto of float32.
func value(name string, dims ...int64) message {
	var shape message
	for _, d := range dims {
		shape = shape.bytes(1, message{}.number(1, d))
	}
	return message{}.text(1, name).bytes(2, message{}.bytes(1, message{}.number(1, 1).bytes(2, shape)))
}

// node is a NodeProto.
func node(op string, in, out []string, attrs ...message) message {
	var n message
	for _, s := range in {
		n = n.text(1, s)
	}
	for _, s := range out {
		n = n.text(2, s)
	}
	n = n.text(4, op)
	for _, a := range attrs {
		n = n.bytes(5, a)
	}
	return n
}

// ints is an AttributeProto of integers, graphOf one of a graph.
func ints(name string, values ...int64) message {
	a := message{}.text(1, name).number(20, 7)
	for _, v := range values {
		a = a.number(8, v)
	}
	return a
}

func graphOf(name string, g message) message {
	return message{}.text(1, name).bytes(6, g).number(20, 5)
}

// int64s is a TensorProto of whole numbers.
func int64s(name string, values ...int64) message {
	t := message{}.number(1, int64(len(values))).number(2, 7).text(8, name)
	for _, v := range values {
		t = t.number(7, v)
	}
	return t
}

// external is a TensorProto of four float32 in another file.
func external(name, location string, offset int64) message {
	entry := func(k, v string) message { return message{}.text(1, k).text(2, v) }
	return message{}.number(1, 4).number(2, 1).text(8, name).
		bytes(13, entry("location", location)).bytes(13, entry("offset", strconv.FormatInt(offset, 10))).bytes(13, entry("length", "16")).
		number(14, 1)
}

// graph is a GraphProto from "x" to "y"; parts are nodes (field 1) and
// initializers (5).
func graph(shape []int64, nodes, initializers []message) message {
	g := message{}.text(2, "g")
	for _, n := range nodes {
		g = g.bytes(1, n)
	}
	for _, t := range initializers {
		g = g.bytes(5, t)
	}
	if shape != nil {
		g = g.bytes(11, value("x", shape...))
	}
	return g.bytes(12, value("y"))
}

// model is a ModelProto of opset 17.
func model(g message) []byte {
	return message{}.number(1, 8).bytes(7, g).bytes(8, message{}.number(2, 17))
}

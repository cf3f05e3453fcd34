package tflite

import (
	"encoding/binary"
	"math"
	"slices"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/whet-edge/whet/format"
)

// The types below describe a model for a test; file writes it as a .tflite.

type testModel struct {
	graphs   []testGraph
	metadata []byte // TFLITE_METADATA
	version  uint32
}

type testGraph struct {
	tensors         []testTensor
	inputs, outputs []int32
	ops             []testOp
}

type testTensor struct {
	name      string
	typ       format.DType
	resource  bool
	shape     []int32
	data      []byte
	variable  bool
	sparse    bool
	scale     []float32
	zero      []int64
	dimension int32
}

type testOp struct {
	code    int32
	custom  string
	in, out []int32
	options []field
	params  []byte // of a custom operator
}

// A field of an options table: val is an int8, int32, bool, float32 or string.
type field struct {
	at  int
	val any
}

func typeCode(t testTensor) int8 {
	if t.resource {
		return typeResource
	}
	for code, d := range dtypes {
		if d == t.typ {
			return code
		}
	}
	return 8 // complex64, which whet does not have
}

// file writes the model in the layout of schema.fbs.
func (m testModel) file() []byte {
	b := flatbuffers.NewBuilder(1024)
	buffers := []flatbuffers.UOffsetT{table0(b)} // buffer 0 is empty by convention
	var codes, graphs, metas []flatbuffers.UOffsetT
	codeOf := func(op testOp) uint32 {
		var custom flatbuffers.UOffsetT
		if op.custom != "" {
			custom = b.CreateString(op.custom)
		}
		b.StartObject(4)
		b.PrependInt8Slot(codeDeprecated, int8(min(op.code, 127)), 0)
		b.PrependUOffsetTSlot(codeCustom, custom, 0)
		b.PrependInt32Slot(codeBuiltin, op.code, 0)
		codes = append(codes, b.EndObject())
		return uint32(len(codes) - 1)
	}
	buffer := func(data []byte) uint32 {
		v := b.CreateByteVector(data)
		b.StartObject(3)
		b.PrependUOffsetTSlot(bufferData, v, 0)
		buffers = append(buffers, b.EndObject())
		return uint32(len(buffers) - 1)
	}
	for _, g := range m.graphs {
		var tensors, ops []flatbuffers.UOffsetT
		for _, t := range g.tensors {
			var at uint32
			if t.data != nil {
				at = buffer(t.data)
			}
			var quant, sparse flatbuffers.UOffsetT
			if t.scale != nil {
				s := numbers(b, 4, t.scale, func(v float32) { b.PrependFloat32(v) })
				z := numbers(b, 8, t.zero, func(v int64) { b.PrependInt64(v) })
				b.StartObject(7)
				b.PrependUOffsetTSlot(quantScale, s, 0)
				b.PrependUOffsetTSlot(quantZero, z, 0)
				b.PrependInt32Slot(quantDimension, t.dimension, 0)
				quant = b.EndObject()
			}
			if t.sparse {
				sparse = table0(b)
			}
			name := b.CreateString(t.name)
			shape := ints(b, t.shape)
			b.StartObject(10)
			b.PrependUOffsetTSlot(tensorShape, shape, 0)
			b.PrependInt8Slot(tensorType, typeCode(t), 0)
			b.PrependUint32Slot(tensorBuffer, at, 0)
			b.PrependUOffsetTSlot(tensorName, name, 0)
			b.PrependUOffsetTSlot(tensorQuant, quant, 0)
			b.PrependBoolSlot(tensorVariable, t.variable, false)
			b.PrependUOffsetTSlot(tensorSparsity, sparse, 0)
			tensors = append(tensors, b.EndObject())
		}
		for _, o := range g.ops {
			code := codeOf(o)
			options := optionTable(b, o.options)
			in, out := ints(b, o.in), ints(b, o.out)
			var params flatbuffers.UOffsetT
			if o.params != nil {
				params = b.CreateByteVector(o.params)
			}
			b.StartObject(9)
			b.PrependUOffsetTSlot(operatorCustom, params, 0)
			b.PrependUint32Slot(operatorCode, code, 0)
			b.PrependUOffsetTSlot(operatorInputs, in, 0)
			b.PrependUOffsetTSlot(operatorOutputs, out, 0)
			b.PrependUOffsetTSlot(operatorOptions, options, 0)
			ops = append(ops, b.EndObject())
		}
		tv, ov := offsets(b, tensors), offsets(b, ops)
		in, out := ints(b, g.inputs), ints(b, g.outputs)
		b.StartObject(5)
		b.PrependUOffsetTSlot(graphTensors, tv, 0)
		b.PrependUOffsetTSlot(graphInputs, in, 0)
		b.PrependUOffsetTSlot(graphOutputs, out, 0)
		b.PrependUOffsetTSlot(graphOperators, ov, 0)
		graphs = append(graphs, b.EndObject())
	}
	if m.metadata != nil {
		at := buffer(m.metadata)
		name := b.CreateString(metaBuffer)
		b.StartObject(2)
		b.PrependUOffsetTSlot(metadataName, name, 0)
		b.PrependUint32Slot(metadataBuffer, at, 0)
		metas = append(metas, b.EndObject())
	}
	cv, gv, bv, mv := offsets(b, codes), offsets(b, graphs), offsets(b, buffers), offsets(b, metas)
	if m.version == 0 {
		m.version = 3
	}
	b.StartObject(7)
	b.PrependUint32Slot(modelVersion, m.version, 0)
	b.PrependUOffsetTSlot(modelCodes, cv, 0)
	b.PrependUOffsetTSlot(modelGraphs, gv, 0)
	b.PrependUOffsetTSlot(modelBuffers, bv, 0)
	b.PrependUOffsetTSlot(modelMetadata, mv, 0)
	b.FinishWithFileIdentifier(b.EndObject(), []byte("TFL3"))
	return b.FinishedBytes()
}

// table0 writes a table without fields.
func table0(b *flatbuffers.Builder) flatbuffers.UOffsetT {
	b.StartObject(0)
	return b.EndObject()
}

func optionTable(b *flatbuffers.Builder, fields []field) flatbuffers.UOffsetT {
	texts := map[int]flatbuffers.UOffsetT{}
	n := 0
	for _, f := range fields {
		n = max(n, f.at+1)
		if s, ok := f.val.(string); ok {
			texts[f.at] = b.CreateString(s)
		}
	}
	b.StartObject(n)
	for _, f := range fields {
		switch v := f.val.(type) {
		case int8:
			b.PrependInt8Slot(f.at, v, 0)
		case int32:
			b.PrependInt32Slot(f.at, v, 0)
		case bool:
			b.PrependBoolSlot(f.at, v, false)
		case float32:
			b.PrependFloat32Slot(f.at, v, 0)
		case string:
			b.PrependUOffsetTSlot(f.at, texts[f.at], 0)
		default:
			panic("a field of a type that tests do not write")
		}
	}
	return b.EndObject()
}

func numbers[T any](b *flatbuffers.Builder, size int, v []T, put func(T)) flatbuffers.UOffsetT {
	b.StartVector(size, len(v), size)
	for _, x := range slices.Backward(v) {
		put(x)
	}
	return b.EndVector(len(v))
}

func ints(b *flatbuffers.Builder, v []int32) flatbuffers.UOffsetT {
	return numbers(b, 4, v, func(x int32) { b.PrependInt32(x) })
}

func offsets(b *flatbuffers.Builder, v []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	return numbers(b, 4, v, func(x flatbuffers.UOffsetT) { b.PrependUOffsetT(x) })
}

// --- short forms for tables of tests ---

func f32(name string, shape ...int32) testTensor {
	return testTensor{name: name, typ: format.Float32, shape: shape}
}

func i8(name string, shape ...int32) testTensor {
	return testTensor{name: name, typ: format.Int8, shape: shape, scale: []float32{0.5}, zero: []int64{3}}
}

// fill makes t a constant with data of its size.
func fill(t testTensor) testTensor {
	n := 1
	for _, d := range t.shape {
		n *= int(d)
	}
	t.data = make([]byte, t.typ.Bytes(n))
	for i := range t.data {
		t.data[i] = byte(i % 61)
	}
	return t
}

// list is an int32 constant.
func list(v ...int32) testTensor {
	t := testTensor{name: "list", typ: format.Int32, shape: []int32{int32(len(v))}}
	for _, x := range v {
		t.data = binary.LittleEndian.AppendUint32(t.data, uint32(x))
	}
	return t
}

// scalar is an int32 constant of rank 0.
func scalar(v int32) testTensor {
	t := list(v)
	t.shape = nil
	return t
}

func float(v float32) testTensor {
	return testTensor{name: "float", typ: format.Float32, data: binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))}
}

// one is a model of one operator. Inputs come first among the tensors, then
// outputs; constants are no inputs of the graph.
func one(code int32, in, out []testTensor, options ...field) testModel {
	g := testGraph{}
	op := testOp{code: code, options: options}
	add := func(t testTensor) int32 {
		g.tensors = append(g.tensors, t)
		return int32(len(g.tensors) - 1)
	}
	for _, t := range in {
		if t.typ == format.Invalid && !t.resource {
			op.in = append(op.in, -1)
			continue
		}
		i := add(t)
		op.in = append(op.in, i)
		if t.data == nil && !t.variable && !t.resource {
			g.inputs = append(g.inputs, i)
		}
	}
	for _, t := range out {
		i := add(t)
		op.out = append(op.out, i)
		g.outputs = append(g.outputs, i)
	}
	g.ops = []testOp{op}
	return testModel{graphs: []testGraph{g}}
}

// absent is an input that is not there.
var absent = testTensor{}

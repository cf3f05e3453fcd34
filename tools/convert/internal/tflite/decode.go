package tflite

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/whet-edge/whet/format"
)

// A model is a decoded .tflite file. Its byte slices point into the file.
type model struct {
	graphs     []*subgraph
	signatures map[string]int // number of the subgraph, by name
	metadata   map[string][]byte
	r          *reader // of the operators' options, which are read late
}

type subgraph struct {
	name      string
	tensors   []*tensor
	inputs    []int32
	outputs   []int32
	operators []*operator
}

type tensor struct {
	name     string
	typ      int8
	dtype    format.DType // Invalid for types that whet does not have
	shape    format.Shape
	quant    *format.Quant
	data     []byte // nil: not constant
	variable bool   // kept from one run to the next
}

type operator struct {
	index         int    // in its subgraph
	name          string // of what it does: one of opNames for those that rows may list
	inputs        []int32
	outputs       []int32
	intermediates []int32
	options       table
	custom        []byte // options of a custom operator
}

// maxRank bounds the rank of a tensor.
const maxRank = 8

// decode reads and checks a whole .tflite file: when it returns no error, every
// index in the result is in range and every constant has the bytes its type
// and shape ask for.
func decode(b []byte) (*model, error) {
	if len(b) < 8 || string(b[4:8]) != "TFL3" {
		return nil, errors.New(`not a TensorFlow Lite model: bytes 4 to 7 are not "TFL3"`)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%d bytes: a TensorFlow Lite model has at most %d", len(b), maxFile)
	}
	r := newReader(b)
	root := r.root("model")
	if v := root.i32(modelVersion, 0); r.err == nil && v != 3 {
		return nil, fmt.Errorf("schema version %d: only version 3 is known", v)
	}
	d := decoder{r: r}
	root.tables(modelCodes, "operator code", func(_ int, t table) {
		d.codes = append(d.codes, decodeCode(t))
	})
	root.tables(modelBuffers, "buffer", func(i int, t table) {
		d.buffers = append(d.buffers, d.buffer(i, t))
	})
	m := &model{metadata: map[string][]byte{}, signatures: map[string]int{}, r: r}
	root.tables(modelMetadata, "metadata", func(_ int, t table) {
		if i := t.i32(metadataBuffer, 0); i >= 0 && int(i) < len(d.buffers) {
			m.metadata[t.str(metadataName)] = d.buffers[i]
		}
	})
	root.tables(modelSignatures, "signature", func(_ int, t table) {
		m.signatures[t.str(signatureKey)] = int(t.i32(signatureGraph, 0))
	})
	root.tables(modelGraphs, "subgraph", func(i int, t table) {
		m.graphs = append(m.graphs, d.subgraph(i, t))
	})
	if r.err != nil {
		return nil, r.err
	}
	if len(m.graphs) == 0 {
		return nil, errors.New("the model has no subgraph")
	}
	return m, nil
}

type decoder struct {
	r       *reader
	codes   []string // names of the operators
	buffers [][]byte
}

// decodeCode reads an operator code and returns the operator's name. Files
// written before the operators outgrew a byte have only the deprecated field,
// newer ones have both.
func decodeCode(t table) string {
	code := max(int32(t.i8(codeDeprecated, 0)), t.i32(codeBuiltin, 0))
	switch {
	case code == opCustom:
		return "CUSTOM " + strconv.Quote(t.str(codeCustom))
	case code >= 0 && int(code) < len(opNames):
		return opNames[code]
	}
	return "operator " + strconv.Itoa(int(code))
}

// buffer returns the bytes of a buffer, which lie in the FlatBuffer, or behind
// it (in models that outgrow 2 GiB).
func (d *decoder) buffer(i int, t table) []byte {
	if data := t.bytes(bufferData); data != nil {
		return data
	}
	return d.behind(i, t.u64(bufferOffset), t.u64(bufferSize))
}

// behind returns size bytes at an offset from the start of the file. Offsets 0
// and 1 say that there is nothing.
func (d *decoder) behind(i int, off, size uint64) []byte {
	if off <= 1 || size == 0 {
		return nil
	}
	n := uint64(len(d.r.b))
	if off > n || size > n-off {
		d.r.fail("buffer %d: %d bytes at offset %d reach past the end of the file (%d bytes)", i, size, off, n)
		return nil
	}
	return d.r.b[off : off+size : off+size]
}

func (d *decoder) subgraph(i int, t table) *subgraph {
	g := &subgraph{name: t.str(graphName), inputs: t.i32s(graphInputs), outputs: t.i32s(graphOutputs)}
	where := fmt.Sprintf("subgraph %d", i)
	t.tables(graphTensors, where+" tensor", func(_ int, t table) {
		g.tensors = append(g.tensors, d.tensor(t))
	})
	t.tables(graphOperators, where+" operator", func(i int, t table) {
		g.operators = append(g.operators, d.operator(i, t))
	})
	d.indices(g, g.inputs, false, where+" inputs")
	d.indices(g, g.outputs, false, where+" outputs")
	for _, op := range g.operators {
		at := fmt.Sprintf("%s operator %d (%s)", where, op.index, op.name)
		d.indices(g, op.inputs, true, at+" inputs")
		d.indices(g, op.outputs, false, at+" outputs")
		d.indices(g, op.intermediates, true, at+" intermediates")
	}
	return g
}

// indices checks a list of tensor numbers; -1 stands for an absent one.
func (d *decoder) indices(g *subgraph, list []int32, optional bool, where string) {
	for _, v := range list {
		if v == -1 && optional {
			continue
		}
		if v < 0 || int(v) >= len(g.tensors) {
			d.r.fail("%s: there is no tensor %d", where, v)
			return
		}
	}
}

func (d *decoder) operator(i int, t table) *operator {
	op := &operator{
		index:         i,
		inputs:        t.i32s(operatorInputs),
		outputs:       t.i32s(operatorOutputs),
		intermediates: t.i32s(operatorIntermediates),
		options:       t.table(operatorOptions, t.what+" options"),
		custom:        t.bytes(operatorCustom),
	}
	c := t.i32(operatorCode, 0)
	if c < 0 || int(c) >= len(d.codes) {
		d.r.fail("%s: there is no operator code %d", t.what, c)
		return op
	}
	op.name = d.codes[c]
	return op
}

func (d *decoder) tensor(t table) *tensor {
	x := &tensor{
		name:     t.str(tensorName),
		typ:      t.i8(tensorType, 0),
		variable: t.flag(tensorVariable),
	}
	x.dtype = dtypes[x.typ]
	dims := t.i32s(tensorShape)
	if len(dims) > maxRank {
		d.r.fail("%s (%q): rank %d, at most %d is possible", t.what, x.name, len(dims), maxRank)
		return x
	}
	x.shape = format.Shape{}
	for _, v := range dims {
		if v < 0 {
			d.r.fail("%s (%q): dimension %d", t.what, x.name, v)
			return x
		}
		x.shape = append(x.shape, int(v))
	}
	if x.shape.Elems() < 0 {
		d.r.fail("%s (%q): shape %v is too large", t.what, x.name, x.shape)
		return x
	}
	if b := t.i32(tensorBuffer, 0); b < 0 || int(b) >= len(d.buffers) {
		d.r.fail("%s (%q): there is no buffer %d", t.what, x.name, b)
		return x
	} else if data := d.buffers[b]; len(data) > 0 && x.dtype != format.Invalid {
		if sparsity := t.at(tensorSparsity, 4) != 0; sparsity {
			if data = d.dense(x, t.table(tensorSparsity, t.what), data); d.r.err != nil {
				return x
			}
		}
		if want := x.dtype.Bytes(x.shape.Elems()); len(data) != want {
			d.r.fail("%s (%q): %d bytes of data for %v %v, which takes %d", t.what, x.name, len(data), x.dtype, x.shape, want)
			return x
		}
		x.data = data
	}
	d.quant(x, t.table(tensorQuant, t.what+" quantization"))
	return x
}

// quant reads the quantization of x. A table without scales records only the
// range that calibration saw, and floats carry such tables too: neither says
// anything about the numbers.
func (d *decoder) quant(x *tensor, t table) {
	scale, zero := t.f32s(quantScale), t.i64s(quantZero)
	if len(scale) == 0 || x.dtype.Float() || x.dtype == format.Invalid || x.dtype == format.Bool {
		return
	}
	if k := t.u8(quantDetails); k != 0 {
		d.r.fail("%s (%q): quantization details of kind %d are not known", t.what, x.name, k)
		return
	}
	q := &format.Quant{Scale: scale, Axis: int(t.i32(quantDimension, 0))}
	for _, s := range scale {
		if !(s > 0) || math.IsInf(float64(s), 0) {
			d.r.fail("%s (%q): scale %v", t.what, x.name, s)
			return
		}
	}
	n := len(scale)
	if len(x.shape) == 1 {
		// The first converters gave a bias the axis of its weights.
		q.Axis = 0
	}
	if n > 1 {
		if q.Axis < 0 || q.Axis >= len(x.shape) || x.shape[q.Axis] != n {
			d.r.fail("%s (%q): %d scales for dimension %d of shape %v", t.what, x.name, n, q.Axis, x.shape)
			return
		}
	} else {
		q.Axis = 0
	}
	if len(zero) > 1 && len(zero) != n {
		d.r.fail("%s (%q): %d zero points for %d scales", t.what, x.name, len(zero), n)
		return
	}
	asymmetric := false
	q.Zero = make([]int32, n)
	for i := range q.Zero {
		if len(zero) == 0 {
			break
		}
		z := zero[min(i, len(zero)-1)]
		if z < math.MinInt32 || z > math.MaxInt32 {
			d.r.fail("%s (%q): zero point %d", t.what, x.name, z)
			return
		}
		q.Zero[i] = int32(z)
		asymmetric = asymmetric || z != 0
	}
	if n > 1 && !asymmetric {
		q.Zero = nil
	}
	x.quant = q
}

// err returns the first fault met while reading options.
func (m *model) err() error { return m.r.err }

// Package format is the model as data: graph, tensors, quantization parameters,
// and the .whet and .whetd files that carry them.
//
// It computes nothing. What an op means is documented in [Ops]; how it is run
// is the business of package runtime.
package format

import (
	"fmt"
	"math"
	"unsafe"
)

// A Model is one whole network: its graphs, its constants and what people need
// to know to use it. Graphs[0] is the one that runs; the others are the bodies
// of If, While and the like, named by their nodes' attributes.
//
// A Model is plain data. Whoever changes one calls [Check] before using it.
type Model struct {
	Header  Header
	Symbols []string // names of the symbolic dimensions that shapes refer to
	Graphs  []*Graph
	States  []*State
	Tensors []*Tensor // of all graphs; names are unique in the model

	closer func() error // unmaps the file that Data slices point into
	mapped []byte       // that file
}

// Main returns the graph that runs.
func (m *Model) Main() *Graph { return m.Graphs[0] }

// Graph returns the graph of that name, or nil.
func (m *Model) Graph(name string) *Graph {
	for _, g := range m.Graphs {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// Tensor returns the tensor of that name, or nil. It searches linearly: code
// that looks up many builds a map from m.Tensors once.
func (m *Model) Tensor(name string) *Tensor {
	for _, t := range m.Tensors {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// State returns the state variable of that name, or nil.
func (m *Model) State(name string) *State {
	for _, s := range m.States {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Close releases the file mapping behind the tensors' data, if there is one.
// The model and all programs compiled from it must not be used afterwards.
func (m *Model) Close() error {
	if m.closer == nil {
		return nil
	}
	f := m.closer
	m.closer, m.mapped = nil, nil
	return f()
}

// Release gives the memory of a constant's bytes back to the system if they lie
// in a mapped file, for instance after a kernel has packed them. They stay
// valid: the system reads them again when they are used.
func (m *Model) Release(data []byte) {
	if len(data) == 0 || len(m.mapped) == 0 {
		return
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data))) - uintptr(unsafe.Pointer(unsafe.SliceData(m.mapped)))
	if n := uintptr(len(m.mapped)); at < n && uintptr(len(data)) <= n-at {
		release(data)
	}
}

// A Graph is a list of nodes in topological order.
type Graph struct {
	Name    string
	Inputs  []Input
	Outputs []string // tensor names
	Nodes   []*Node
}

// An Input of a graph.
type Input struct {
	Tensor   string
	Optional bool
}

// A Node applies an op of the table [Ops] to tensors.
type Node struct {
	Name    string // unique in the model, not empty
	Op      string
	Inputs  []string // tensor names; "" stands for an absent optional input
	Outputs []string
	Attrs   Attrs
}

// Attrs are a node's attributes. A value is an int64, a float64, a bool, a
// string, a []int64 or a []float64: nothing else is written or accepted. Those of
// a [Transform] may be a []string, too.
type Attrs map[string]any

// Int returns the integer attribute of that name, or def when it is absent or
// of another kind ([Check] refuses a wrong kind).
func (a Attrs) Int(name string, def int) int {
	if v, ok := a[name].(int64); ok {
		return int(v)
	}
	return def
}

// Float is like Int for a float attribute.
func (a Attrs) Float(name string, def float64) float64 {
	if v, ok := a[name].(float64); ok {
		return v
	}
	return def
}

// Bool is like Int for a bool attribute.
func (a Attrs) Bool(name string, def bool) bool {
	if v, ok := a[name].(bool); ok {
		return v
	}
	return def
}

// Str is like Int for a string attribute.
func (a Attrs) Str(name, def string) string {
	if v, ok := a[name].(string); ok {
		return v
	}
	return def
}

// Ints returns the integer list of that name, or nil.
func (a Attrs) Ints(name string) []int64 {
	v, _ := a[name].([]int64)
	return v
}

// Floats returns the float list of that name, or nil.
func (a Attrs) Floats(name string) []float64 {
	v, _ := a[name].([]float64)
	return v
}

// A Tensor is a value in a graph: a constant when Data is set, else computed
// (or fed) when the graph runs.
type Tensor struct {
	Name  string
	Type  DType
	Shape Shape
	Quant *Quant // nil for tensors that hold plain numbers
	Data  []byte // little-endian, row-major; nil when not constant
}

// Const reports whether the tensor's value is stored in the model.
func (t *Tensor) Const() bool { return t.Data != nil }

// A State is a variable that keeps its value from one run of a session to the
// next (an RNN's memory, a streaming convolution's past). StateRead and
// StateWrite nodes name it.
type State struct {
	Name  string
	Type  DType
	Shape Shape
	Quant *Quant
	Init  []byte // nil: real zero (the zero point, for a quantized state)
}

// Quant says which real numbers a tensor's integers stand for:
// real = Scale * (q - Zero).
//
// len(Scale) is 1 (per tensor), the size of dimension Axis (per channel), or,
// when Block > 0, the number of blocks of Block elements along the innermost
// dimension in row-major order. len(Zero) is 0 (all zero), or len(Scale).
type Quant struct {
	Scale []float32
	Zero  []int32
	Axis  int
	Block int
}

// ZeroPoint returns the zero point of a per-tensor quantization.
func (q *Quant) ZeroPoint() int32 {
	if q == nil || len(q.Zero) == 0 {
		return 0
	}
	return q.Zero[0]
}

// PerTensor makes the quantization with one scale and one zero point.
func PerTensor(scale float32, zero int32) *Quant {
	return &Quant{Scale: []float32{scale}, Zero: []int32{zero}}
}

// Shape is the sizes of a tensor's dimensions, outermost first. A negative
// entry d is symbolic: its name is Symbols[^d] of the model (so -1 is the
// first symbol). A scalar has the empty shape.
type Shape []int

// Static reports whether no dimension is symbolic.
func (s Shape) Static() bool {
	for _, d := range s {
		if d < 0 {
			return false
		}
	}
	return true
}

// maxElems bounds the elements of a tensor so that its size in bits fits in an int.
const maxElems = math.MaxInt / 64

// Elems returns the number of elements of a static shape. It is -1 when a
// dimension is symbolic, or when there are so many that the size in bits would
// not fit in an int, which no checked model has.
func (s Shape) Elems() int {
	n := 1
	for _, d := range s {
		if d < 0 || d != 0 && n > maxElems/d {
			return -1
		}
		n *= d
	}
	return n
}

// Equal reports whether both shapes are the same, symbols included.
func (s Shape) Equal(t Shape) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if s[i] != t[i] {
			return false
		}
	}
	return true
}

// DType is the type of a tensor's elements. Its values are part of no file:
// files hold the names.
type DType uint8

// The element types.
const (
	Invalid DType = iota
	Float64
	Float32
	Float16
	BFloat16
	Int64
	Int32
	Int16
	Int8
	Int4 // two to a byte, low nibble first
	Uint64
	Uint32
	Uint16
	Uint8
	Uint4
	Bool // one byte, 0 or 1
	numDTypes
)

var dtypes = [numDTypes]struct {
	name string
	bits int
}{
	Invalid: {"invalid", 0}, Float64: {"float64", 64}, Float32: {"float32", 32}, Float16: {"float16", 16},
	BFloat16: {"bfloat16", 16}, Int64: {"int64", 64}, Int32: {"int32", 32}, Int16: {"int16", 16},
	Int8: {"int8", 8}, Int4: {"int4", 4}, Uint64: {"uint64", 64}, Uint32: {"uint32", 32},
	Uint16: {"uint16", 16}, Uint8: {"uint8", 8}, Uint4: {"uint4", 4}, Bool: {"bool", 8},
}

// String returns the type's name as files spell it.
func (t DType) String() string {
	if t >= numDTypes {
		return fmt.Sprintf("DType(%d)", uint8(t))
	}
	return dtypes[t].name
}

// Bits returns the size of one element in bits.
func (t DType) Bits() int {
	if t >= numDTypes {
		return 0
	}
	return dtypes[t].bits
}

// Bytes returns the size in bytes of n elements, the last byte rounded up.
func (t DType) Bytes(n int) int { return (n*t.Bits() + 7) / 8 }

// Float reports whether the type is a floating-point one.
func (t DType) Float() bool {
	return t == Float64 || t == Float32 || t == Float16 || t == BFloat16
}

// ParseDType returns the type with that name.
func ParseDType(name string) (DType, bool) {
	for t := Float64; t < numDTypes; t++ {
		if dtypes[t].name == name {
			return t, true
		}
	}
	return Invalid, false
}

// Header is what a model says about itself besides its graphs. It may be read
// without reading the graphs. The writer computes Digest and WeightBytes.
type Header struct {
	Opset       int      // version of the op table that the model was written with
	Digest      [32]byte // SHA-256 of everything in the file after the header
	WeightBytes int64    // of all constants
	PeakBytes   int64    // of the activations of one run, as planned by the converter; 0: not planned
	Source      Source
	Card        map[string]string // title, description, licence, author, ...
	Labels      []string          // names of the classes, by index in the first output
	Pre         []Transform       // what turns a raw input (a picture, a sound) into an input tensor
	Post        []Transform       // what turns outputs into what people read
	Tunable     []string          // nodes whose weights may be fine-tuned; empty: all
	Metrics     map[string]float64
	Dynamic     Dynamic // sizes that may change; see [Model.Resized]
}

// Source says where a model came from.
type Source struct {
	Format string // "tflite", "onnx", ...
	SHA256 string // of the source file, in hexadecimal
	Tool   string // name and version of the converter
	Note   string // calibration and the like
}

// A Transform is one step of pre- or postprocessing, as data; package
// runtime/pre defines the steps and their attributes. Tensor is the graph input
// (or output) that it belongs to.
type Transform struct {
	Op     string
	Tensor string
	Attrs  Attrs
}

package format

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Opset is the version of the op table below. It grows when the meaning of a
// stored model changes; a reader refuses files of a later one.
const Opset = 1

// An OpSpec says all that format knows of an op: what it takes, what it gives
// and which attributes it has. What it computes is in Doc.
//
// Wherever ONNX has the op, name, attributes and meaning are ONNX's, except that
// pictures are laid out NHWC and weights O,KH,KW,I. Quantization belongs to
// tensors, not to ops: an op on quantized tensors computes the real-valued op on
// the real values that its inputs stand for, and its output stands for the
// result, by the arithmetic that the kernels document.
type OpSpec struct {
	Name string
	Doc  string

	// Inputs and Outputs name the operands in order. A trailing "?" marks one
	// that may be absent, a trailing "..." the last one, given once or more.
	Inputs, Outputs []string

	Attrs []AttrSpec

	// Types lists the accepted combinations of element types, as
	// "in in -> out out". A word is one of
	//
	//	float32, int32, ...  this type
	//	qint8, quint8, ...   this type, quantized per tensor
	//	wint8, ...           weights: quantized per tensor or along axis 0
	//	A, B                 an activation: float32, or int8, uint8 or int16 quantized per tensor
	//	N, M                 plain numbers: any type but bool, not quantized (int32 and int64 may carry a Quant as a note)
	//	Q, R                 int8, uint8, int16 or int32 quantized per tensor
	//	W                    any integer type, quantized in any way
	//	T                    any type; all T have the same quantization too
	//	*                    any type
	//
	// where all operands with one letter have one type. Absent operands fit any
	// word; the last word before and after the arrow repeats.
	Types []string

	infer func(*call) []Shape
}

// Kind is the kind of an attribute's value.
type Kind uint8

// The kinds, with the Go type of the value in [Attrs].
const (
	KindInt      Kind = iota + 1 // int64
	KindFloat                    // float64
	KindBool                     // bool
	KindString                   // string
	KindInts                     // []int64
	KindFloats                   // []float64
	KindGraph                    // string: the name of a graph of the model
	KindStateRef                 // string: the name of a state of the model
)

var kindNames = [...]string{"none", "an integer", "a float", "a bool", "a string", "a list of integers", "a list of floats", "the name of a graph", "the name of a state"}

// String says the kind in words.
func (k Kind) String() string { return kindNames[k] }

// An AttrSpec describes one attribute of an op.
type AttrSpec struct {
	Name     string
	Kind     Kind
	Default  any      // of the kind's Go type; nil: none
	Required bool     // an attribute that is neither required nor has a default may be left out, which Doc explains
	Len      int      // required length of a list; 0: any
	Ints     []int64  // allowed values of an integer; nil: any
	Strings  []string // allowed values of a string; nil: any
	Doc      string
}

// Lookup returns the description of the op of that name.
func Lookup(op string) (*OpSpec, bool) {
	s, ok := Ops[op]
	return s, ok
}

// OpNames returns the names of all ops in order.
func OpNames() []string { return slices.Sorted(maps.Keys(Ops)) }

// MinInputs returns the least number of inputs that a node may list.
func (s *OpSpec) MinInputs() int { return least(s.Inputs) }

// MaxInputs returns the greatest number of inputs, or -1 when there is no limit.
func (s *OpSpec) MaxInputs() int { return most(s.Inputs) }

// MinOutputs is like MinInputs for outputs.
func (s *OpSpec) MinOutputs() int { return least(s.Outputs) }

// MaxOutputs is like MaxInputs for outputs.
func (s *OpSpec) MaxOutputs() int { return most(s.Outputs) }

func least(names []string) int {
	n := len(names)
	for n > 0 && (strings.HasSuffix(names[n-1], "?") || strings.HasSuffix(names[n-1], "?...")) {
		n--
	}
	return n
}

func most(names []string) int {
	if n := len(names); n > 0 && strings.HasSuffix(names[n-1], "...") {
		return -1
	}
	return len(names)
}

// optional reports whether operand i of the list may be "".
func optional(names []string, i int) bool {
	return i < len(names) && strings.HasSuffix(names[i], "?")
}

// Attr returns the description of the attribute of that name, or nil.
func (s *OpSpec) Attr(name string) *AttrSpec {
	for i := range s.Attrs {
		if s.Attrs[i].Name == name {
			return &s.Attrs[i]
		}
	}
	return nil
}

// Resolve returns a copy of a node's attributes with the defaults of absent ones
// filled in, so that no reader of attributes repeats a default.
func (s *OpSpec) Resolve(a Attrs) Attrs {
	r := make(Attrs, len(s.Attrs))
	for i := range s.Attrs {
		if d := s.Attrs[i].Default; d != nil {
			r[s.Attrs[i].Name] = d
		}
	}
	maps.Copy(r, a)
	return r
}

// Infer returns the shapes of an op's outputs from its attributes and inputs
// (nil for an absent one). It trusts nothing: attributes that do not fit the
// op or its inputs are an error. State ops have no inputs to infer from, so
// they are not served here; [Check] knows the model's states.
func Infer(op string, attrs Attrs, inputs []*Tensor) ([]Shape, error) {
	s, ok := Ops[op]
	if !ok {
		return nil, fmt.Errorf("unknown op %q%s", op, nearest(op))
	}
	n := &Node{Op: op, Attrs: attrs}
	if err := s.checkAttrs(nil, n); err != nil {
		return nil, err
	}
	if len(inputs) < s.MinInputs() || s.MaxInputs() >= 0 && len(inputs) > s.MaxInputs() {
		return nil, fmt.Errorf("%s takes %s inputs, not %d", op, span(s.MinInputs(), s.MaxInputs()), len(inputs))
	}
	for i, t := range inputs {
		if t == nil && !optional(s.Inputs, i) {
			return nil, fmt.Errorf("input %d of %s is missing", i, op)
		}
	}
	return s.shapes(&call{attrs: s.Resolve(attrs), in: inputs})
}

// shapes runs the shape rule. The rules report errors by panicking with a
// ruleError, which keeps them short; it never leaves this function.
func (s *OpSpec) shapes(c *call) (out []Shape, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case ruleError:
			err = e
		default:
			panic(e)
		}
	}()
	out = s.infer(c)
	for _, sh := range out {
		for _, d := range sh {
			if d == 0 || d > MaxDim {
				c.fail("an output would have the shape %v, with a dimension outside 1..%d", sh, MaxDim)
			}
		}
		if sh.Static() && sh.Elems() < 0 {
			c.fail("an output would have the shape %v, which is too large", sh)
		}
	}
	return out, nil
}

// MaxDim is the largest size of a dimension: indices fit in int32 everywhere.
const MaxDim = 1<<31 - 1

// ruleError is an error in the use of an op, without the node's name.
type ruleError string

func (e ruleError) Error() string { return string(e) }

// span says how many operands are allowed.
func span(lo, hi int) string {
	switch {
	case hi < 0:
		return fmt.Sprintf("at least %d", lo)
	case lo == hi:
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// nearest suggests an op for a name that differs in case only.
func nearest(op string) string {
	if slices.Contains(rare, op) {
		return ": its kernel is not in this program; import _ \"github.com/whet-edge/whet/runtime/more\""
	}
	for name := range Ops {
		if strings.EqualFold(name, op) {
			return fmt.Sprintf(" (did you mean %q?)", name)
		}
	}
	return ""
}

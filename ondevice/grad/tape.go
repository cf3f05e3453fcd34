package grad

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A Tape runs a float graph forward and then backward. It has memory for one
// run: samples go through it one after the other, and the gradients of what is
// trained add up in their order. So a weight's gradient is one chain of fused
// multiply-adds a sample over its positions, the samples added in order, or a
// chain over the samples where there is one position a sample, whatever the
// size of the batch.
type Tape[T Float] struct {
	tensors map[string]*Tensor[T]
	outputs []*Tensor[T]
	free    []*Tensor[T] // gradients that are cleared before each run backward
	rules   []rule
	maker   map[string]int // which rule computes a tensor
	extra   int64          // bytes that rules keep
	each    int64          // and for every sample until Flush
}

// A Tensor is a value on a tape.
type Tensor[T Float] struct {
	Name  string
	Shape []int
	Data  []T
	Grad  []T // as long as Data; nil where no gradient is asked for

	version int // of Data
}

// Set changes the values. Weights that were run forward change through it only:
// products keep a packed copy of them.
func (x *Tensor[T]) Set(v []T) {
	copy(x.Data, v)
	x.version++
}

// A rule is a node on a tape: forward computes its outputs' Data from its
// inputs', backward adds to its inputs' Grad what its outputs' is worth there.
// What a backward puts off to the end of a batch, flush does.
type rule struct{ forward, backward, flush func() }

// bound is a node with its tensors, of which absent ones are nil.
type bound[T Float] struct {
	*format.Node
	model   *format.Model
	in, out []*Tensor[T]
	product Product[T]
	tape    *Tape[T]
}

func (b *bound[T]) errorf(format string, args ...any) error {
	return fmt.Errorf("grad: node %q (%s): %s", b.Name, b.Op, fmt.Sprintf(format, args...))
}

func (b *bound[T]) input(i int) *Tensor[T] {
	if i < len(b.in) {
		return b.in[i]
	}
	return nil
}

// NewTape makes a tape of a model's main graph, whose tensors must be float32.
// Train names the constants and inputs that gradients are asked for; product
// does the matrix products.
func NewTape[T Float](m *format.Model, train []string, product Product[T]) (*Tape[T], error) {
	t := &Tape[T]{tensors: map[string]*Tensor[T]{}, maker: map[string]int{}}
	g := m.Main()
	trained := map[string]bool{}
	for _, name := range train {
		trained[name] = true
	}
	made := map[string]bool{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	for _, name := range train {
		if m.Tensor(name) == nil || made[name] {
			return nil, fmt.Errorf("grad: %q is not a constant or input of the graph", name)
		}
	}
	for _, n := range g.Nodes {
		if why, ok := NoGradient[n.Op]; ok {
			return nil, fmt.Errorf("grad: node %q (%s): %s", n.Name, n.Op, why)
		}
		b := &bound[T]{Node: n, model: m, product: product, tape: t}
		flows := false
		for _, name := range n.Inputs {
			x, err := t.tensor(m, name, trained[name])
			if err != nil {
				return nil, fmt.Errorf("grad: node %q (%s): %w", n.Name, n.Op, err)
			}
			flows = flows || x != nil && x.Grad != nil
			b.in = append(b.in, x)
		}
		for _, name := range n.Outputs {
			y, err := t.tensor(m, name, flows)
			if err != nil {
				return nil, fmt.Errorf("grad: node %q (%s): %w", n.Name, n.Op, err)
			}
			if flows && y != nil {
				t.free = append(t.free, y)
			}
			b.out = append(b.out, y)
			t.maker[name] = len(t.rules)
		}
		r, err := b.rule()
		if err != nil {
			return nil, err
		}
		if !flows {
			r.backward, r.flush = nil, nil
		}
		t.rules = append(t.rules, r)
	}
	for _, name := range g.Outputs {
		y, err := t.tensor(m, name, false)
		if err != nil {
			return nil, err
		}
		t.outputs = append(t.outputs, y)
	}
	return t, nil
}

// tensor returns the tensor of a name, nil for "". Tensors of whole numbers
// (indices) have no Data.
func (t *Tape[T]) tensor(m *format.Model, name string, flows bool) (*Tensor[T], error) {
	if name == "" {
		return nil, nil
	}
	if x := t.tensors[name]; x != nil {
		return x, nil
	}
	f := m.Tensor(name)
	switch {
	case f == nil:
		return nil, fmt.Errorf("there is no tensor %q", name)
	case f.Type != format.Float32 && !(f.Const() && f.Quant == nil):
		return nil, fmt.Errorf("tensor %q is %v: gradients need float32", name, f.Type)
	}
	n := f.Shape.Elems()
	if n < 0 {
		return nil, fmt.Errorf("tensor %q has the shape %v: sizes must be known", name, f.Shape)
	}
	x := &Tensor[T]{Name: name, Shape: f.Shape}
	if f.Type == format.Float32 {
		x.Data = make([]T, n)
		for i := range f.Data[:len(f.Data)/4] {
			if i >= n {
				break
			}
			x.Data[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(f.Data[4*i:])))
		}
		if flows {
			x.Grad = make([]T, n)
		}
	}
	t.tensors[name] = x
	return x, nil
}

// Tensor returns the tensor of a name, or nil. Its Data may be changed before
// Forward, its Grad before Backward.
func (t *Tape[T]) Tensor(name string) *Tensor[T] { return t.tensors[name] }

// Outputs returns the graph's outputs.
func (t *Tape[T]) Outputs() []*Tensor[T] { return t.outputs }

// Forward computes all tensors from the inputs and constants.
func (t *Tape[T]) Forward() {
	for _, r := range t.rules {
		r.forward()
	}
}

// Through makes Forward apply f to a computed tensor as soon as it is there.
// Backward takes f for the identity (the straight-through estimator: Bengio,
// Léonard and Courville, 2013, arXiv:1308.3432), so f should be near it.
func (t *Tape[T]) Through(name string, f func(x []T)) error {
	i, ok := t.maker[name]
	if !ok {
		return fmt.Errorf("grad: no node of the tape computes %q", name)
	}
	forward, x := t.rules[i].forward, t.tensors[name]
	t.rules[i].forward = func() {
		forward()
		f(x.Data)
	}
	return nil
}

// Backward adds the gradient of what is trained; it is complete after [Tape.Flush],
// which ends a batch. It takes that of the outputs
// from seed, one slice an output: dL/dy in the order of its elements.
func (t *Tape[T]) Backward(seed ...[]T) {
	for _, x := range t.free {
		clear(x.Grad)
	}
	for i, y := range t.outputs {
		if i < len(seed) && y.Grad != nil {
			copy(y.Grad, seed[i])
		}
	}
	for _, v := range slices.Backward(t.rules) {
		if b := v.backward; b != nil {
			b()
		}
	}
}

// Flush completes the gradients of the samples that went backward since the last
// one.
func (t *Tape[T]) Flush() {
	for _, r := range t.rules {
		if r.flush != nil {
			r.flush()
		}
	}
}

// Bytes returns what the tape takes for a batch of samples: its tensors, what rules
// keep of weights and for the way back, and what dense layers keep of every sample
// until [Tape.Flush].
func (t *Tape[T]) Bytes(batch int) int64 {
	n, one := t.extra+int64(batch)*t.each, int64(4)
	var v T
	if _, ok := any(v).(float64); ok {
		n, one = 2*n, 8
	}
	for _, x := range t.tensors {
		n += int64(len(x.Data)+len(x.Grad)) * one
	}
	return n
}

// rule binds a node: one table, one line a kind of op.
func (b *bound[T]) rule() (rule, error) {
	switch b.Op {
	case "Conv":
		return b.conv()
	case "Gemm":
		return b.gemm()
	case "MaxPool":
		return b.maxPool()
	case "AveragePool":
		return b.averagePool()
	case "Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu", "Exp", "Log", "Sqrt", "Rsqrt", "Abs", "Neg", "Erf", "Gelu",
		"HardSigmoid", "Reciprocal", "Softplus":
		return b.unary()
	case "Softmax":
		return b.softmax(), nil
	case "LogSoftmax":
		return b.logSoftmax(), nil
	case "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "SquaredDifference":
		return b.binary()
	case "MatMul":
		return b.matMul()
	case "LayerNormalization", "RMSNormalization":
		return b.normalization(b.Op == "LayerNormalization")
	case "Expand":
		return moves(piece[T]{x: b.in[0], y: b.out[0], from: broadcast(b.in[0].Shape, b.out[0].Shape)}), nil
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin":
		return b.reduce()
	case "Reshape":
		return b.reshape(), nil
	case "Transpose":
		return b.transpose(), nil
	case "Concat":
		return b.concat()
	case "Split":
		return b.split()
	case "Slice":
		return b.slice()
	case "Pad":
		return b.pad()
	case "Gather":
		return b.gather()
	case "LSTM":
		return b.lstm()
	}
	return rule{}, b.errorf("this op has no gradient")
}

// NoGradient says of the ops without a gradient why they have none.
var NoGradient = map[string]string{
	"Cast":             "numbers are cast to or from whole ones, which have no slope",
	"QuantizeLinear":   "a trained tail is float: rounding has no slope",
	"DequantizeLinear": "a trained tail is float: what it reads was made real before",
	"Requantize":       "a trained tail is float: rounding has no slope",
	"QLSTM":            "its arithmetic is whole numbers; the float LSTM has a gradient",
	"SVDF":             "its state lives from run to run, and a tape sees one",
	"StateRead":        "a state lives from run to run, and a tape sees one",
	"StateWrite":       "a state lives from run to run, and a tape sees one",

	"And":         noBool,
	"Or":          noBool,
	"Xor":         noBool,
	"Not":         noBool,
	"Equal":       noBool,
	"Less":        noBool,
	"LessOrEqual": noBool,

	"Compress":          noCount,
	"NonMaxSuppression": noCount,
	"NonZero":           noCount,
	"Trim":              noCount,
	"Unique":            noCount,

	"If":   "a tape sees one graph, without branches",
	"Loop": "a tape sees one graph, without loops; export the model with them unrolled",

	"Floor": noSlope,
	"Ceil":  noSlope,
	"Round": noSlope,
	"Sign":  noSlope,

	"ArgMax": noIndex,
	"ArgMin": noIndex,
	"TopK":   noIndex,

	"Acos":             noRule,
	"Acosh":            noRule,
	"Asin":             noRule,
	"Asinh":            noRule,
	"Atan":             noRule,
	"Atanh":            noRule,
	"Cos":              noRule,
	"Cosh":             noRule,
	"CumProd":          noRule,
	"CumSum":           noRule,
	"DeformableIm2Col": noRule,
	"MaxRoiPool":       noRule,
	"RoiAlign":         noRule,
	"GRU":              noRule,
	"GatherElements":   noRule,
	"GatherND":         noRule,
	"GridSample":       noRule,
	"Mod":              noRule,
	"RNN":              noRule,
	"ReduceProd":       noRule,
	"Resize":           noRule,
	"ScatterElements":  noRule,
	"ScatterND":        noRule,
	"Sin":              noRule,
	"Sinh":             noRule,
	"Tan":              noRule,
	"Where":            noRule,
}

// Reasons that several ops share.
const (
	noBool  = "what it gives is true or false, which has no slope"
	noSlope = "it is flat but for its jumps"
	noCount = "how much it gives depends on the data"
	noIndex = "which element it picks has no slope"
	noRule  = "it has no rule yet: a tail that starts behind it can be trained"
)

// axis returns the attribute of that name as an index of a shape of rank n.
func (b *bound[T]) axis(name string, def, n int) int {
	a := b.Attrs.Int(name, def)
	if a < 0 {
		a += n
	}
	return a
}

// strides returns the elements between neighbours along each axis.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// walk calls f with the coordinates of every element of a shape, in order.
func walk(shape []int, f func(at []int)) {
	at := make([]int, len(shape))
	for range elems(shape) {
		f(at)
		for i := len(at) - 1; i >= 0; i-- {
			if at[i]++; at[i] < shape[i] {
				break
			}
			at[i] = 0
		}
	}
}

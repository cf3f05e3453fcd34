// Package net writes float networks op by op, for importers whose sources hold
// layers and weights but no graph of ops. Shapes follow from the ops; weights are
// float32.
package net

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// A Fault is a reason why a network cannot be written. The methods of [Net] panic
// with one, which keeps the layers that call them short; [Caught] turns it into
// an error.
type Fault struct{ Reason string }

func (f Fault) Error() string { return f.Reason }

// Fail panics with a Fault.
func Fail(msg string, a ...any) { panic(Fault{fmt.Sprintf(msg, a...)}) }

// Caught returns the reason of a recovered Fault, and false for none. Any other
// panic goes on.
func Caught(p any) (string, bool) {
	switch p := p.(type) {
	case nil:
		return "", false
	case Fault:
		return p.Reason, true
	default:
		panic(p)
	}
}

// A Net is a network being written. Names of new tensors start with Scope.
type Net struct {
	*build.Builder
	Scope string

	consts map[[sha256.Size]byte]*format.Tensor // float constants, by shape and value
}

// New returns an empty network.
func New() *Net { return On(build.New("main")) }

// On returns a Net that adds to what a builder has.
func On(b *build.Builder) *Net {
	return &Net{Builder: b, consts: map[[sha256.Size]byte]*format.Tensor{}}
}

// Limits of what a network may be, so that a small file does not ask for a large
// one.
const (
	maxNodes = 1 << 18
	maxElems = 1 << 28 // of one tensor
)

func (n *Net) tensor(want string, typ format.DType, shape format.Shape, data []byte) *format.Tensor {
	if e := shape.Elems(); e < 0 || e > maxElems {
		Fail("a tensor of shape %v: at most %d elements are possible", shape, maxElems)
	}
	if n.Scope != "" {
		want = n.Scope + "/" + want
	}
	t := &format.Tensor{Name: n.Name(want), Type: typ, Shape: shape, Data: data}
	n.Tensor(t)
	return t
}

// Input adds an input of the network.
func (n *Net) Input(name string, typ format.DType, shape format.Shape) *format.Tensor {
	if e := shape.Elems(); e < 1 || e > maxElems {
		Fail("input %q of shape %v", name, shape)
	}
	t := &format.Tensor{Name: n.Name(name), Type: typ, Shape: shape}
	n.Tensor(t)
	n.Graph.Inputs = append(n.Graph.Inputs, format.Input{Tensor: t.Name})
	return t
}

// Output makes t an output of the network under a name. A tensor that is an
// input, a constant or an output already is copied.
func (n *Net) Output(name string, t *format.Tensor) {
	taken := t.Const() || slices.Contains(n.Graph.Outputs, t.Name) ||
		slices.ContainsFunc(n.Graph.Inputs, func(in format.Input) bool { return in.Tensor == t.Name })
	if taken {
		t = n.Op("Reshape", format.Attrs{"shape": build.Ints(t.Shape...)}, t)
	}
	old := t.Name
	t.Name = n.Name(name)
	for _, node := range n.Graph.Nodes {
		for _, list := range [][]string{node.Inputs, node.Outputs} {
			for i := range list {
				if list[i] == old {
					list[i] = t.Name
				}
			}
		}
	}
	n.Graph.Outputs = append(n.Graph.Outputs, t.Name)
}

// Floats returns a float32 constant, which is added unless there is an equal one.
func (n *Net) Floats(name string, shape format.Shape, v []float32) *format.Tensor {
	if len(v) != shape.Elems() {
		Fail("%d numbers for a tensor %v", len(v), shape)
	}
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	h := sha256.New()
	fmt.Fprint(h, shape)
	h.Write(b)
	key := [sha256.Size]byte(h.Sum(nil))
	if n.consts[key] == nil {
		n.consts[key] = n.tensor(name, format.Float32, shape, b)
	}
	return n.consts[key]
}

// Number returns a constant with one element.
func (n *Net) Number(x float64) *format.Tensor {
	return n.Floats("const", format.Shape{}, []float32{float32(x)})
}

// Int32s adds an int32 constant.
func (n *Net) Int32s(name string, shape format.Shape, v []int32) *format.Tensor {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(x))
	}
	return n.tensor(name, format.Int32, shape, b)
}

// Op adds an op with one output of the first input's type and returns that. Where
// the first input is quantized, so is an output of its type: ops that move
// elements keep their codes.
func (n *Net) Op(op string, attrs format.Attrs, in ...*format.Tensor) *format.Tensor {
	return n.Typed(op, in[0].Type, attrs, in...)
}

// Typed is Op with an output of a given type.
func (n *Net) Typed(op string, typ format.DType, attrs format.Attrs, in ...*format.Tensor) *format.Tensor {
	return n.Ops(op, []format.DType{typ}, attrs, in...)[0]
}

// Ops adds an op with an output of each type; Invalid leaves one out. An absent
// input is nil.
func (n *Net) Ops(op string, types []format.DType, attrs format.Attrs, in ...*format.Tensor) []*format.Tensor {
	if len(n.Graph.Nodes) >= maxNodes {
		Fail("more than %d ops", maxNodes)
	}
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	shapes, err := format.Infer(op, attrs, in)
	if err != nil {
		Fail("%s: %v", op, err)
	}
	outs := make([]*format.Tensor, len(types))
	inputs, outputs := make([]string, len(in)), make([]string, len(types))
	for i, t := range in {
		if t != nil {
			inputs[i] = t.Name
		}
	}
	for i, typ := range types {
		if typ != format.Invalid {
			outs[i] = n.tensor(op, typ, shapes[i], nil)
			if len(in) > 0 && in[0] != nil && in[0].Type == typ {
				outs[i].Quant = in[0].Quant
			}
			outputs[i] = outs[i].Name
		}
	}
	n.Node("", op, inputs, outputs, attrs)
	return outs
}

// Reshape returns x in another shape.
func (n *Net) Reshape(x *format.Tensor, shape ...int) *format.Tensor {
	if x.Shape.Equal(shape) {
		return x
	}
	return n.Op("Reshape", format.Attrs{"shape": build.Ints(shape...)}, x)
}

// Transpose returns x with its dimensions in the order of perm: a Reshape where
// only dimensions of size 1 move.
func (n *Net) Transpose(x *format.Tensor, perm ...int) *format.Tensor {
	last, moved, same := -1, false, true
	shape := make([]int, len(perm))
	for i, p := range perm {
		shape[i] = x.Shape[p]
		same = same && i == p
		if x.Shape[p] != 1 {
			moved = moved || p < last
			last = p
		}
	}
	switch {
	case same:
		return x
	case !moved:
		return n.Reshape(x, shape...)
	}
	return n.Op("Transpose", format.Attrs{"perm": build.Ints(perm...)}, x)
}

// Slice returns the elements from to before to along an axis.
func (n *Net) Slice(x *format.Tensor, axis, from, to int) *format.Tensor {
	if from == 0 && to == x.Shape[axis] {
		return x
	}
	return n.Op("Slice", format.Attrs{"starts": build.Ints(from), "ends": build.Ints(to), "axes": build.Ints(axis), "steps": build.Ints(1)}, x)
}

// Reverse returns x backwards along an axis.
func (n *Net) Reverse(x *format.Tensor, axis int) *format.Tensor {
	return n.Op("Slice", format.Attrs{"starts": build.Ints(-1), "ends": build.Ints(math.MinInt32), "axes": build.Ints(axis), "steps": build.Ints(-1)}, x)
}

// Split returns x cut into equal parts along an axis.
func (n *Net) Split(x *format.Tensor, axis, parts int) []*format.Tensor {
	if parts == 1 {
		return []*format.Tensor{x}
	}
	sizes := slices.Repeat([]int{x.Shape[axis] / parts}, parts)
	return n.Ops("Split", slices.Repeat([]format.DType{x.Type}, parts), format.Attrs{"axis": int64(axis), "split": build.Ints(sizes...)}, x)
}

// Concat returns the tensors one after another along an axis.
func (n *Net) Concat(axis int, x ...*format.Tensor) *format.Tensor {
	if len(x) == 1 {
		return x[0]
	}
	return n.Op("Concat", format.Attrs{"axis": int64(axis)}, x...)
}

// Pad returns x with zeros before and after each dimension; what is negative is
// cut off.
func (n *Net) Pad(x *format.Tensor, before, after []int) *format.Tensor {
	pads := make([]int64, 2*len(before))
	any := false
	for i := range before {
		from, to := max(-before[i], 0), x.Shape[i]-max(-after[i], 0)
		if from >= to {
			Fail("nothing is left of dimension %d of %v", i, x.Shape)
		}
		x = n.Slice(x, i, from, to)
		pads[i], pads[i+len(before)] = int64(max(before[i], 0)), int64(max(after[i], 0))
		any = any || before[i] > 0 || after[i] > 0
	}
	if !any {
		return x
	}
	return n.Op("Pad", format.Attrs{"pads": pads, "mode": "constant", "value": 0.0}, x)
}

// Reduce adds a reduction over axes.
func (n *Net) Reduce(op string, x *format.Tensor, keep bool, axes ...int) *format.Tensor {
	k := int64(0)
	if keep {
		k = 1
	}
	return n.Op(op, format.Attrs{"axes": build.Ints(axes...), "keepdims": k}, x)
}

// Linear returns x·wᵀ + b over the innermost dimension of x, with w [N, K] and b
// [N] or nil.
func (n *Net) Linear(x, w, b *format.Tensor) *format.Tensor {
	last := len(x.Shape) - 1
	if last < 0 || x.Shape[last] != w.Shape[1] {
		Fail("weights %v do not fit an input %v", w.Shape, x.Shape)
	}
	rows := n.Reshape(x, x.Shape.Elems()/w.Shape[1], w.Shape[1])
	y := n.Op("Gemm", format.Attrs{"transB": int64(1)}, rows, w, b)
	return n.Reshape(y, append(slices.Clone(x.Shape[:last]), w.Shape[0])...)
}

// Softmax adds a Softmax or LogSoftmax along any axis.
func (n *Net) Softmax(op string, x *format.Tensor, axis int) *format.Tensor {
	perm := Swap(len(x.Shape), axis, len(x.Shape)-1)
	y := n.Op(op, format.Attrs{"axis": int64(-1)}, n.Transpose(x, perm...))
	return n.Transpose(y, perm...)
}

// Swap is the permutation of rank dimensions that exchanges two.
func Swap(rank, a, b int) []int {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	perm[a], perm[b] = b, a
	return perm
}

// Axis makes an axis counted from the end one counted from the start.
func Axis(a, rank int) int {
	k := a
	if k < 0 {
		k += rank
	}
	if k < 0 || k >= rank {
		Fail("axis %d of a tensor of rank %d", a, rank)
	}
	return k
}

// Values returns the numbers of a float32 constant.
func Values(t *format.Tensor) []float32 {
	v := make([]float32, len(t.Data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return v
}

// State adds a state variable that starts from zeros. It returns its value and a
// function that adds the write of a new one.
func (n *Net) State(name string, typ format.DType, shape format.Shape) (read *format.Tensor, write func(*format.Tensor)) {
	if n.Scope != "" {
		name = n.Scope + "/" + name
	}
	s := &format.State{Name: name, Type: typ, Shape: shape}
	attrs := format.Attrs{"state": n.Builder.State(s)}
	read = n.tensor("StateRead", typ, shape, nil)
	n.Node("", "StateRead", nil, []string{read.Name}, attrs)
	return read, func(t *format.Tensor) {
		n.Node(s.Name+"/write", "StateWrite", []string{t.Name}, nil, attrs)
	}
}

// Float16 returns the value of an IEEE binary16.
func Float16(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormals: man * 2^-24
		return math.Float32frombits(math.Float32bits(float32(man)*0x1p-24) | sign)
	case 31: // infinities and NaNs
		return math.Float32frombits(sign | 0xff<<23 | man<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | man<<13)
}

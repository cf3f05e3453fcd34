package grad

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A Tape runs a float graph forward and then backward. It has memory for one
// run: samples go through it one after the other, and the gradients of what is
// trained add up in their order. So a weight's gradient is one chain of fused
// multiply-adds a sample over its positions, the samples added in order, or a
// chain over the samples where there is one position a sample, whatever the
// size of the batch.
//
// What no rule needs on the way back is overwritten as soon as it was read, and
// gradients last from the first that adds to them to the one that made the value
// (see plan.go): between the two runs a sample keeps little.
type Tape[T Float] struct {
	product  Product[T]
	tensors  map[string]*Tensor[T]
	outputs  []*Tensor[T]
	inputs   []*Tensor[T] // those that are rounded
	nodes    []*bound[T]
	arena    []T // of all that does not last
	grids    map[string]Code
	shared   []uint8
	reals    []T      // of codes, shared too
	coded    [][2]int // inputs and outputs of the layers whose samples wait as codes
	brief    []int8   // codes that are not kept
	samples  int      // until Flush
	extra    int64    // elements that rules hold
	each     int64    // and for every sample until Flush
	eachByte int64    // and in bytes
	bytes    int64    // that rules hold in another form
	kept     int64    // bytes of a sample that wait for the way back
}

// A Tensor is a value on a tape.
type Tensor[T Float] struct {
	Name  string
	Shape []int
	Data  []T
	Grad  []T // as long as Data; nil where no gradient is asked for

	*storage
}

// A storage is what a tensor and its reshaped forms have in common.
type storage struct {
	version    int   // of the values
	rows       []int // of weights, whose gradient is asked for; nil: all
	lasts      bool  // inputs, constants and outputs have memory of their own
	made       int   // the node that makes it; -1: none
	read       int   // the last node that reads it; -1: none
	needed     int   // the first node whose way back reads the values; -1: none
	data, grad span  // in the arena

	code  *Code  // what values are rounded to; nil: they are not
	codes []int8 // kept for the way back; nil: not asked for
}

// Set changes the values. Weights that were run forward change through it only:
// products keep a packed copy of them.
func (x *Tensor[T]) Set(v []T) {
	copy(x.Data, v)
	x.version++
}

// Bind makes the tensor use other memory for its values and its gradient, both
// as long as its own, so that the parameters of many tensors may lie in one
// vector. What changes there is seen after [Tensor.Changed].
func (x *Tensor[T]) Bind(data, grad []T) {
	x.Data, x.Grad = data[:len(x.Data)], grad[:len(x.Grad)]
	x.version++
}

// BindRows asks for the gradient of some rows of a layer's weights alone, ascending
// ones along the first axis: grad, one row behind the other, in the place of Grad.
func (x *Tensor[T]) BindRows(rows []int, grad []T) {
	x.rows, x.Grad = rows, grad[:len(rows)*(len(x.Data)/x.Shape[0])]
}

// Changed says that the values are others now.
func (x *Tensor[T]) Changed() { x.version++ }

// A rule is what a node does: forward computes its outputs' Data from its
// inputs', backward adds to its inputs' Grad what its outputs' is worth there.
// What a backward puts off to the end of a batch, flush does. Note is called when the
// outputs' values are those that the next nodes read: it notes what the way back needs
// of them.
type rule struct{ forward, note, backward, flush func() }

// bound is a node with its tensors, of which absent ones are nil.
type bound[T Float] struct {
	*format.Node
	rule
	model   *format.Model
	in, out []*Tensor[T]
	product Product[T]
	tape    *Tape[T]
	index   int // among the nodes
	lo, hi  T   // what a layer's results are clamped to

	given bool         // its output's values come from elsewhere: see Given
	keeps []*Tensor[T] // whose Data the way back reads
	fresh []bool       // inputs whose Grad nothing was added to before
	sets  bool         // fresh gradients are written, not added to
}

func (b *bound[T]) errorf(format string, args ...any) error {
	return fmt.Errorf("grad: node %q (%s): %s", b.Name, b.Op, fmt.Sprintf(format, args...))
}

// clamp returns what notes a clamp of y to [lo, hi], one bit an element, and what takes
// a gradient back through it, in place.
func (b *bound[T]) clamp(y *Tensor[T], lo, hi T) (note func(), back func(dy []T)) {
	bits, level := make([]byte, (len(y.Data)+7)/8), b.product.level()
	b.hold(len(bits))
	return func() { kernels.RangeBits(level, bits, y.Data, lo, hi) }, func(dy []T) { kernels.KeepBits(level, dy, bits) }
}

// bytesOf returns what gives n bytes that all nodes of the tape share.
func (t *Tape[T]) bytesOf(n int) func() []uint8 {
	t.bytes += int64(max(0, n-len(t.shared)))
	if len(t.shared) < n {
		t.shared = make([]uint8, n)
	}
	return func() []uint8 { return t.shared[:n] }
}

// hold counts bytes that a rule keeps of a sample for the way back.
func (b *bound[T]) hold(bytes int) {
	b.tape.bytes += int64(bytes)
	b.tape.kept += int64(bytes)
}

func (b *bound[T]) input(i int) *Tensor[T] {
	if i < len(b.in) {
		return b.in[i]
	}
	return nil
}

// NewTape makes a tape of a model's main graph, whose tensors must be float32.
// Train names the constants and inputs that gradients are asked for; product
// does the matrix products. The model is not changed. Of the tensors that nodes
// compute, the graph's outputs last until the next run; others may be gone
// when Forward returns.
func NewTape[T Float](m *format.Model, train []string, product Product[T]) (*Tape[T], error) {
	return NewCodedTape(m, train, product, nil)
}

// NewCodedTape is [NewTape] with tensors, by name, whose values Forward rounds to what
// their codes can say, as an integer network has them. What must be kept of these for
// the gradient of weights is kept as codes, a byte an element. Inputs among them are
// overwritten by Forward.
func NewCodedTape[T Float](m *format.Model, train []string, product Product[T], codes map[string]Code) (*Tape[T], error) {
	t := &Tape[T]{product: product, grids: codes, tensors: map[string]*Tensor[T]{}}
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
	for _, l := range fuse[T](g) {
		n := l.node
		if why, ok := NoGradient[n.Op]; ok {
			return nil, fmt.Errorf("grad: node %q (%s): %s", n.Name, n.Op, why)
		}
		b := &bound[T]{Node: n, model: m, product: product, tape: t, index: len(t.nodes), lo: l.lo, hi: l.hi}
		flows := false
		for _, name := range n.Inputs {
			x, err := t.tensor(m, name, trained[name])
			if err != nil {
				return nil, fmt.Errorf("grad: node %q (%s): %w", n.Name, n.Op, err)
			}
			flows = flows || x != nil && x.Grad != nil
			b.in = append(b.in, x)
		}
		for _, name := range l.outputs {
			var y *Tensor[T]
			var err error
			if n.Op == "Reshape" {
				y, err = t.view(m, name, b.in[0])
			} else {
				y, err = t.computed(m, name, flows, b.index)
			}
			if err != nil {
				return nil, fmt.Errorf("grad: node %q (%s): %w", n.Name, n.Op, err)
			}
			b.out = append(b.out, y)
		}
		r, err := b.bind()
		if err != nil {
			return nil, err
		}
		b.model = nil // its weights were copied
		switch {
		case !flows:
			r.note, r.backward, r.flush, b.keeps = nil, nil, nil, nil
		case b.keeps == nil:
			b.keeps = slices.Concat(b.in, b.out)
		}
		b.rule = r
		t.nodes = append(t.nodes, b)
	}
	for _, name := range g.Outputs {
		y, err := t.tensor(m, name, false)
		if err != nil {
			return nil, err
		}
		t.outputs = append(t.outputs, y)
	}
	t.plan()
	return t, nil
}

// tensor returns the tensor of a name, nil for ""; one that no node has made yet
// is a constant or an input. Tensors of whole numbers (indices) have no Data.
func (t *Tape[T]) tensor(m *format.Model, name string, flows bool) (*Tensor[T], error) {
	if name == "" {
		return nil, nil
	}
	if x := t.tensors[name]; x != nil {
		return x, nil
	}
	x, err := t.computed(m, name, flows, -1)
	if err != nil {
		return nil, err
	}
	if x.code != nil {
		t.inputs = append(t.inputs, x)
		return x, nil
	}
	if f := m.Tensor(name); f.Type == format.Float32 {
		x.lasts = true
		for i := range min(len(x.Data), len(f.Data)/4) {
			x.Data[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(f.Data[4*i:])))
		}
	}
	return x, nil
}

// computed makes the tensor of a name, nil for "", that a node makes.
func (t *Tape[T]) computed(m *format.Model, name string, flows bool, node int) (*Tensor[T], error) {
	if name == "" {
		return nil, nil
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
	x := &Tensor[T]{Name: name, Shape: f.Shape, storage: &storage{made: node, read: -1, needed: -1}}
	if f.Type == format.Float32 {
		if c, ok := t.grids[name]; ok && (node >= 0 || !flows && !f.Const()) {
			x.code = &c
			t.briefly(n)
		}
		x.Data = t.blank(n, node >= 0 || x.code != nil)
		if flows {
			x.Grad = t.blank(n, node >= 0)
		}
	}
	t.tensors[name] = x
	return x, nil
}

// blank returns n elements, that of computed tensors until they have a place in
// the arena.
func (t *Tape[T]) blank(n int, computed bool) []T {
	if !computed {
		return make([]T, n)
	}
	if len(t.arena) < n {
		t.arena = make([]T, n)
	}
	return t.arena[:n]
}

// view makes a tensor of another shape of x, whose memory it shares.
func (t *Tape[T]) view(m *format.Model, name string, x *Tensor[T]) (*Tensor[T], error) {
	f := m.Tensor(name)
	if f == nil || x.Data == nil || f.Shape.Elems() != len(x.Data) {
		return nil, fmt.Errorf("tensor %q is not %q in another shape", name, x.Name)
	}
	t.tensors[name] = &Tensor[T]{Name: name, Shape: f.Shape, Data: x.Data, Grad: x.Grad, storage: x.storage}
	return t.tensors[name], nil
}

// Tensor returns the tensor of a name, or nil: a layer and the Relu or Clip behind
// it are one, and what is between them is nowhere. Data of inputs and constants
// may be changed before Forward.
func (t *Tape[T]) Tensor(name string) *Tensor[T] { return t.tensors[name] }

// Outputs returns the graph's outputs.
func (t *Tape[T]) Outputs() []*Tensor[T] { return t.outputs }

// Forward computes the outputs from the inputs and constants.
func (t *Tape[T]) Forward() {
	t.product.begin()
	defer t.product.end()
	for _, x := range t.inputs {
		t.round(x)
	}
	for _, b := range t.nodes {
		b.forward()
		for _, y := range b.out {
			if y != nil && y.code != nil && y.made == b.index {
				t.round(y)
			}
		}
		if b.note != nil {
			b.note()
		}
	}
}

// Through makes Forward apply f to a computed tensor as soon as it is there.
// Backward takes f for the identity (the straight-through estimator: Bengio,
// Léonard and Courville, 2013, arXiv:1308.3432), so f should be near it.
func (t *Tape[T]) Through(name string, f func(x []T)) error {
	x, b, err := t.maker(name)
	if err != nil {
		return err
	}
	forward := b.forward
	b.forward = func() {
		forward()
		f(x.Data)
	}
	return nil
}

// Given makes Forward take a computed tensor's values from f, which knows them from
// elsewhere: from an integer network that has run. Backward goes through the node at
// these values; a clamp passes a gradient on where they lie between its bounds.
// What a layer with weights would compute is not computed then.
func (t *Tape[T]) Given(name string, f func(x []T)) error {
	_, b, err := t.maker(name)
	if err != nil {
		return err
	}
	b.given = len(b.out) == 1
	return t.Through(name, f)
}

func (t *Tape[T]) maker(name string) (*Tensor[T], *bound[T], error) {
	x := t.tensors[name]
	if x == nil || x.made < 0 {
		return nil, nil, fmt.Errorf("grad: no node of the tape computes %q", name)
	}
	return x, t.nodes[x.made], nil
}

// Backward adds the gradient of what is trained; it is complete after [Tape.Flush],
// which ends a batch. It takes that of the outputs
// from seed, one slice an output: dL/dy in the order of its elements.
func (t *Tape[T]) Backward(seed ...[]T) {
	for _, y := range t.outputs {
		clear(y.Grad)
	}
	for i, y := range t.outputs {
		if i < len(seed) && y.Grad != nil {
			addTo(y.Grad, seed[i])
		}
	}
	t.product.begin()
	defer t.product.end()
	for _, b := range slices.Backward(t.nodes) {
		if b.backward == nil {
			continue
		}
		for _, y := range b.out {
			if y != nil && y.read < 0 && !y.lasts { // nobody has added to it
				clear(y.Grad)
			}
		}
		for i, x := range b.in {
			if b.fresh[i] && !b.sets {
				clear(x.Grad)
			}
		}
		b.backward()
	}
}

// Flush completes the gradients of the samples that went backward since the last
// one.
func (t *Tape[T]) Flush() {
	t.product.begin()
	defer t.product.end()
	for _, b := range t.nodes {
		if b.flush != nil {
			b.flush()
		}
	}
}

// size returns the bytes of an element.
func (t *Tape[T]) size() int64 {
	var v T
	if _, ok := any(v).(float64); ok {
		return 8
	}
	return 4
}

// Reserve makes room for so many samples until [Tape.Flush].
func (t *Tape[T]) Reserve(samples int) { t.samples = samples }

// Bytes returns what the tape takes: its tensors, what rules hold of weights and for
// the way back, and what dense layers keep of every sample until [Tape.Flush].
func (t *Tape[T]) Bytes() int64 {
	reals := len(t.reals)
	for _, layer := range t.coded {
		_, room := codePanel(max(1, t.samples), layer[0], layer[1])
		reals = max(reals, room)
	}
	n := int64(len(t.arena)) + int64(reals) + t.extra + int64(t.samples)*t.each
	seen := map[*storage]bool{}
	for _, x := range t.tensors {
		if x.lasts && !seen[x.storage] {
			n += int64(len(x.Data) + len(x.Grad))
		}
		seen[x.storage] = true
	}
	return n*t.size() + t.bytes + int64(len(t.brief)) + int64(t.samples)*t.eachByte
}

// Kept returns the bytes that wait for the way back of a sample, between Forward
// and Backward.
func (t *Tape[T]) Kept() int64 { return t.kept }

// rule binds a node: one table, one line a kind of op.
func (b *bound[T]) bind() (rule, error) {
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
		return b.moves(piece[T]{x: b.in[0], y: b.out[0], from: broadcast(b.in[0].Shape, b.out[0].Shape)}), nil
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin":
		return b.reduce()
	case "Reshape":
		b.keeps = []*Tensor[T]{}
		return rule{forward: func() {}, backward: func() {}}, nil // its output is a view
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
	}
	switch b := any(b).(type) {
	case *bound[float32]:
		if rare32 != nil {
			return rare32(b)
		}
	case *bound[float64]:
		if rare64 != nil {
			return rare64(b)
		}
	}
	return rule{}, b.errorf("the gradient of this op is not in this program: import _ %q", "github.com/whet-edge/whet/ondevice/grad/more")
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

	"CumProd":          noRule,
	"DeformableIm2Col": noRule,
	"MaxRoiPool":       noRule,
	"RoiAlign":         noRule,
	"GridSample":       noRule,
	"Mod":              noRule,
	"ReduceProd":       noRule,
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

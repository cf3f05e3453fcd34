package runtime

import (
	"sync"
	"sync/atomic"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A step is a node bound to a kernel: everything but the session's memory is
// decided. run does the tasks [t0, t1) of it; tasks are independent, so any
// thread may do any of them in any order with the same result.
type step struct {
	node    *node
	kernel  string
	asm     bool
	macs    int64
	weights int      // bytes of constants as the kernel holds them
	packed  bool     // the kernel has packed the node's second input
	in, out []*value // nil: the node's
	first   *step    // what must be done before, for a node that takes two steps
	tasks   int      // 0 is taken as 1
	shared  bool     // set by [share]: more than one thread takes part
	scratch int      // bytes a thread needs
	run     func(m *mem, scratch []byte, t0, t1 int)
}

func (s *step) info() StepInfo {
	i := StepInfo{Node: s.node.name, Op: s.node.op + s.node.fused, Kernel: s.kernel, Asm: s.asm, MACs: s.macs, Bytes: int64(s.weights)}
	for _, v := range append(append([]*value(nil), s.in...), s.out...) {
		if v != nil && !v.isConst() {
			i.Bytes += int64(v.size)
		}
	}
	return i
}

// opFlip turns uint8 into int8 and back at the edges of a graph.
const opFlip = "whet.Flip"

// A binder picks the kernel for a node at a level and packs its constants. It
// returns nil for a node that costs nothing (its output is an alias).
type binder func(n *node, l kernels.Level) (*step, error)

// binderOf returns the binder of an op: one table, one line an op.
func binderOf(op string) binder {
	switch op {
	case opFlip:
		return bindFlip
	case "Conv":
		return bindConv
	case "Gemm":
		return bindGemm
	case "MaxPool", "AveragePool":
		return bindPool
	case "Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu", "Exp", "Log", "Sqrt", "Rsqrt", "Abs", "Neg", "Erf", "Gelu",
		"HardSigmoid", "Softplus", "Reciprocal", "Floor", "Ceil", "Round", opSilu:
		return bindUnary
	case "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh":
		return bindTrig
	case "Softmax", "LogSoftmax":
		return bindSoftmax
	case "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "SquaredDifference":
		return bindBinary
	case "Equal", "Less", "LessOrEqual", "Mod":
		return bindCompare
	case "And", "Or", "Xor":
		return bindLogic
	case "Not":
		return bindNot
	case "Sign":
		return bindSign
	case "Where":
		return bindWhere
	case "MatMul":
		return bindMatMul
	case "LayerNormalization", "RMSNormalization":
		return bindNorm
	case "Resize":
		return bindResize
	case "ReduceMean", "ReduceSum", "ReduceMax":
		return bindReduce
	case "ReduceMin", "ReduceProd":
		return bindFold
	case "ArgMax", "ArgMin":
		return bindArg
	case "TopK":
		return bindTopK
	case "CumSum", "CumProd":
		return bindCumulate
	case "Expand":
		return bindExpand
	case "GatherElements", "GatherND":
		return bindGatherElements
	case "ScatterElements", "ScatterND":
		return bindScatter
	case "Reshape":
		return bindReshape
	case "Transpose":
		return bindTranspose
	case "Concat":
		return bindConcat
	case "Split":
		return bindSplit
	case "Slice":
		return bindSlice
	case "Pad":
		return bindPad
	case "Gather":
		return bindGather
	case "Cast":
		return bindCast
	case "QuantizeLinear":
		return bindQuantize
	case "DequantizeLinear":
		return bindDequantize
	case "Requantize":
		return bindRequantize
	case "StateRead", "StateWrite":
		return bindState
	}
	return extras[op]
}

// bind turns the nodes into steps. The layers that pack weights, which takes most
// of the time, are shared by the program's threads.
func (g *graph) bind() ([]*step, error) {
	bound, errs := make([]*step, len(g.nodes)), make([]error, len(g.nodes))
	var packing, rest []int
	for i, n := range g.nodes {
		if n.op == "Conv" || n.op == "Gemm" {
			packing = append(packing, i)
		} else {
			rest = append(rest, i)
		}
	}
	bind := func(i int) {
		bound[i], errs[i] = g.nodes[i].bind(g.level)
		if s := bound[i]; s != nil && s.packed {
			w := g.nodes[i].in[1].root()
			if codes := w.stored(); codes != nil {
				w = codes.root()
			}
			g.model.Release(w.data)
		}
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range max(1, min(g.threads, len(packing))) {
		wg.Go(func() {
			for k := next.Add(1); k <= int64(len(packing)); k = next.Add(1) {
				bind(packing[k-1])
			}
		})
	}
	wg.Wait()
	for _, i := range rest {
		bind(i)
	}
	var steps []*step
	for i, s := range bound {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if s == nil {
			continue
		}
		if s.first != nil {
			steps = append(steps, s.first)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (n *node) bind(l kernels.Level) (*step, error) {
	if n.table != nil {
		s := bindTable(n, l, n.table)
		s.complete(n)
		return s, nil
	}
	b := binderOf(n.op)
	if b == nil {
		return nil, n.errf("the kernel of this op is not in this program: import _ %q", morePackage)
	}
	s, err := b(n, l)
	if s == nil || err != nil {
		return nil, err
	}
	s.complete(n)
	if s.first != nil {
		s.first.complete(n)
	}
	return s, nil
}

// complete fills what a binder may leave open.
func (s *step) complete(n *node) {
	s.node = n
	if s.in == nil && s.out == nil {
		s.in, s.out = n.in, n.out
	}
	s.tasks = max(s.tasks, 1)
	if s.kernel == "" {
		s.kernel = "portable"
	}
}

func bindFlip(n *node, l kernels.Level) (*step, error) {
	in, out := n.in[0], n.out[0]
	out.trim = in.trim
	s := &step{tasks: chunks(in.size), run: func(m *mem, _ []byte, t0, t1 int) {
		from, to := span(t0, t1, in.size)
		kernels.FlipSigns(l, m.bytes(out)[from:to], m.bytes(in)[from:to])
	}}
	return s.named(l, "flip"), nil
}

// bindReshape makes the output an alias of the input where both are computed
// the same way in memory; only when a caller could see the sharing (an output
// that is an input's reshape) are the bytes copied.
func bindReshape(n *node, _ kernels.Level) (*step, error) {
	in, out := n.in[0], n.out[0]
	if in.size != out.size || in.typ != out.typ {
		return nil, n.errf("%v%v cannot be seen as %v%v", in.typ, in.shape, out.typ, out.shape)
	}
	if sameQuant(in.quant, out.quant) {
		out.alias = in
		return nil, nil
	}
	return nil, n.errf("input and output differ in quantization: a Requantize is needed between them")
}

func bindState(n *node, _ kernels.Level) (*step, error) {
	i := n.state.index
	if n.op == "StateRead" {
		out := n.out[0]
		return &step{run: func(m *mem, _ []byte, _, _ int) { copy(m.bytes(out), m.states[i]) }}, nil
	}
	in := n.in[0]
	if in.size != len(n.state.init) {
		return nil, n.errf("%d bytes do not fit state %q of %d", in.size, n.state.name, len(n.state.init))
	}
	return &step{run: func(m *mem, _ []byte, _, _ int) { copy(m.states[i], m.bytes(in)) }}, nil
}

func sameQuant(a, b *format.Quant) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || len(a.Scale) != len(b.Scale) || a.Block != b.Block || len(a.Scale) > 1 && a.Axis != b.Axis {
		return false
	}
	for i := range a.Scale {
		if a.Scale[i] != b.Scale[i] || zeroAt(a, i) != zeroAt(b, i) {
			return false
		}
	}
	return true
}

func zeroAt(q *format.Quant, i int) int32 {
	if i < len(q.Zero) {
		return q.Zero[i]
	}
	return 0
}

package stream

import (
	"fmt"
	"maps"
	"slices"

	"github.com/whet-edge/whet/format"
)

// eachFrame are the ops that work element by element.
var eachFrame = map[string]bool{}

func init() {
	for _, op := range []string{"Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu", "Exp", "Log", "Sqrt", "Rsqrt", "Abs", "Neg", "Erf", "Gelu",
		"HardSigmoid", "Softplus", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
		"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "SquaredDifference", "Mod", "Not", "And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Where",
		"Cast", "QuantizeLinear", "DequantizeLinear", "Requantize"} {
		eachFrame[op] = true
	}
}

// node adds what a node of the batch network becomes.
func (s *streamer) node(n *format.Node) error {
	timed := slices.ContainsFunc(n.Inputs, func(name string) bool { _, ok := s.flows[name]; return ok })
	if !timed {
		return s.emit(n, n.Inputs, n.Attrs)
	}
	switch {
	case eachFrame[n.Op] || n.Op == "Concat":
		return s.joined(n)
	case n.Op == "Conv" || n.Op == "MaxPool" || n.Op == "AveragePool":
		return s.window(n)
	case n.Op == "GRU" || n.Op == "RNN" || n.Op == "LSTM":
		return s.recurrent(n)
	}
	f, first := s.flows[n.Inputs[0]]
	for _, name := range n.Inputs[1:] {
		if _, ok := s.flows[name]; ok || !first {
			return fmt.Errorf("it sees the whole sequence: end the model before it")
		}
	}
	attrs := maps.Clone(n.Attrs)
	shape := s.batch[n.Inputs[0]].Shape
	inner := len(shape) - 1
	whole := fmt.Errorf("it works along time, axis %d of %v, and needs the whole sequence: end the model before it", f.axis, shape)
	axisOf := func(a int) int { return (a + len(shape)) % len(shape) }
	switch n.Op {
	case "Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "Gemm":
		if f.axis == inner {
			return whole
		}
	case "MatMul":
		if f.axis == inner || len(s.batch[n.Inputs[1]].Shape) > len(shape) {
			return whole
		}
	case "Split", "ArgMax", "ArgMin", "TopK", "CumSum", "CumProd":
		if axisOf(n.Attrs.Int("axis", 0)) == f.axis {
			return whole
		}
	case "Gather":
		a := axisOf(n.Attrs.Int("axis", 0))
		if a == f.axis {
			return whole
		}
		if a < f.axis {
			f.axis += len(s.batch[n.Inputs[1]].Shape) - 1
		}
	case "Slice":
		for i := range n.Attrs.Ints("starts") {
			a := i
			if l := n.Attrs.Ints("axes"); l != nil {
				a = axisOf(int(l[i]))
			}
			if a == f.axis {
				return whole
			}
		}
	case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd":
		at := f.axis
		for _, a := range n.Attrs.Ints("axes") {
			if axisOf(int(a)) == f.axis {
				return whole
			}
			if axisOf(int(a)) < f.axis && n.Attrs.Int("keepdims", 1) == 0 {
				at--
			}
		}
		f.axis = at
	case "Transpose":
		f.axis = slices.Index(n.Attrs.Ints("perm"), int64(f.axis))
	case "Reshape":
		to := s.batch[n.Outputs[0]].Shape
		at := -1
		for k := range to {
			if at < 0 && to[k] == shape[f.axis] && to[:k].Elems() == shape[:f.axis].Elems() {
				at = k
			}
		}
		if at < 0 {
			return fmt.Errorf("it sees %v as %v, where time is no dimension of its own", shape, to)
		}
		list := make([]int64, len(to))
		for i, d := range to {
			list[i] = int64(d)
		}
		list[at] = int64(f.frames)
		attrs, f.axis = format.Attrs{"shape": list}, at
	case "Pad":
		return s.pad(n, f)
	default:
		return fmt.Errorf("it cannot be streamed: end the model before it")
	}
	if err := s.emit(n, n.Inputs, attrs); err != nil {
		return err
	}
	for _, name := range n.Outputs {
		s.flows[name] = f
	}
	return nil
}

// joined brings the operands of an op to one delay.
func (s *streamer) joined(n *format.Node) error {
	rank := len(s.batch[n.Outputs[0]].Shape)
	f, behind := flow{}, 0
	for _, name := range n.Inputs {
		g, ok := s.flows[name]
		if !ok {
			continue
		}
		k := len(s.batch[name].Shape) - g.axis
		if behind != 0 && (k != behind || g.frames != f.frames) {
			return fmt.Errorf("its inputs have time along different axes, or at different rates")
		}
		if behind == 0 || g.delay > f.delay {
			f.delay = g.delay
		}
		f.frames, f.tail, behind = g.frames, max(f.tail, g.tail), k
	}
	f.axis = rank - behind
	if a := n.Attrs.Int("axis", 0); n.Op == "Concat" && (a+rank)%rank == f.axis {
		return fmt.Errorf("it joins sequences one after the other")
	}
	in := slices.Clone(n.Inputs)
	for i, name := range in {
		if _, ok := s.flows[name]; ok {
			in[i] = s.held(name, f.delay)
		} else if t := s.batch[name]; t != nil && len(t.Shape) >= behind && t.Shape[len(t.Shape)-behind] != 1 {
			return fmt.Errorf("input %q has a value of its own for every frame", name)
		}
	}
	if err := s.emit(n, in, n.Attrs); err != nil {
		return err
	}
	s.flows[n.Outputs[0]] = f
	return nil
}

// pad takes the frames that zeros in front of the sequence add as less delay.
func (s *streamer) pad(n *format.Node, f flow) error {
	pads := slices.Clone(n.Attrs.Ints("pads"))
	rank := len(pads) / 2
	before, after := int(pads[f.axis]), int(pads[rank+f.axis])
	name := n.Inputs[0]
	if before > 0 || after > 0 {
		if n.Attrs.Str("mode", "constant") != "constant" || n.Attrs.Float("value", 0) != 0 {
			return fmt.Errorf("it pads time by %s: only zeros can be streamed", n.Attrs.Str("mode", "constant"))
		}
		if before > 0 {
			var err error
			if name, err = s.started(name); err != nil {
				return err
			}
		}
		pads[f.axis], pads[rank+f.axis] = 0, 0
	}
	attrs := maps.Clone(n.Attrs)
	attrs["pads"] = pads
	if err := s.emit(n, []string{name}, attrs); err != nil {
		return err
	}
	f.delay -= before
	f.tail += after
	s.flows[n.Outputs[0]] = f
	return nil
}

// window streams a convolution or pool: the frames of the past that the next windows
// reach back to stand before those of the run.
func (s *streamer) window(n *format.Node) error {
	name := n.Inputs[0]
	f, ok := s.flows[name]
	if !ok || f.axis != 1 && f.axis != 2 {
		return fmt.Errorf("time is neither height nor width of its input %v", s.batch[name].Shape)
	}
	spec := format.Ops[n.Op]
	attrs := spec.Resolve(n.Attrs)
	i := f.axis - 1
	var kernel int
	if n.Op == "Conv" {
		kernel = s.batch[n.Inputs[1]].Shape[1+i]
	} else {
		kernel = int(attrs.Ints("kernel_shape")[i])
	}
	stride, pads := int(attrs.Ints("strides")[i]), slices.Clone(attrs.Ints("pads"))
	reach := (kernel-1)*int(attrs.Ints("dilations")[i]) + 1
	before, after := int(pads[i]), int(pads[2+i])
	if f.frames%stride != 0 {
		return fmt.Errorf("%d frames in a run are not a multiple of its stride %d: take chunks of another size", f.frames, stride)
	}
	if (before > 0 || after > 0) && n.Op != "Conv" {
		return fmt.Errorf("it pads time, and what is there does not count")
	}
	if before > 0 {
		var err error
		if name, err = s.started(name); err != nil {
			return err
		}
	}
	past := max(reach-stride, 0)
	for (past+f.delay-before)%stride != 0 {
		past++
	}
	pads[i], pads[2+i] = 0, 0
	changed := maps.Clone(n.Attrs)
	if changed == nil {
		changed = format.Attrs{}
	}
	changed["pads"] = pads
	in := slices.Clone(n.Inputs)
	in[0] = s.past(name, past)
	// Windows beyond the run's own would begin where the next run's do.
	if extra := past - max(reach-stride, 0); extra > 0 {
		in[0] = s.cut(in[0], f.axis, 0, past+f.frames-extra)
	}
	if err := s.emit(n, in, changed); err != nil {
		return err
	}
	f.delay = (past + f.delay - before) / stride
	f.frames /= stride
	f.tail = (f.tail + after + stride - 1) / stride
	s.flows[n.Outputs[0]] = f
	if got := s.now[n.Outputs[0]].Shape[f.axis]; got != f.frames {
		return fmt.Errorf("it makes %d frames of a run's instead of %d", got, f.frames)
	}
	return nil
}

// recurrent keeps the states of a recurrent layer from run to run.
func (s *streamer) recurrent(n *format.Node) error {
	f := s.flows[n.Inputs[0]]
	switch {
	case n.Attrs.Str("direction", "forward") != "forward":
		return fmt.Errorf("it runs backwards, from the end of the sequence")
	case f.axis != 0:
		return fmt.Errorf("time is not the first axis of its input")
	case len(n.Inputs) > 4 && n.Inputs[4] != "":
		return fmt.Errorf("it has lengths of its sequences")
	case f.delay > 0:
		return fmt.Errorf("what comes %d frames late would begin with frames that are not the sequence's: pad the layers before it in front (causally)", f.delay)
	}
	states := 1
	if n.Op == "LSTM" {
		states = 2
	}
	in, out := slices.Clone(n.Inputs), slices.Clone(n.Outputs)
	for len(in) < 5+states {
		in = append(in, "")
	}
	for len(out) < 1+states {
		out = append(out, "")
	}
	x, r := s.now[in[0]].Shape, s.batch[in[2]].Shape
	shape := format.Shape{1, x[1], r[2]}
	names := make([]string, states)
	for k := range states {
		st := &format.State{Name: n.Name + "/state", Type: format.Float32, Shape: shape}
		if old := s.batch[in[5+k]]; old != nil {
			if !old.Const() {
				return fmt.Errorf("its initial state %q is computed: the model keeps states of its own", old.Name)
			}
			st.Init = old.Data
		}
		names[k] = s.b.State(st)
		in[5+k] = s.add(n.Name+"/before", format.Float32, shape, nil, nil)
		s.b.Node(in[5+k], "StateRead", nil, []string{in[5+k]}, format.Attrs{"state": names[k]})
		if out[1+k] == "" {
			out[1+k] = s.add(n.Name+"/after", format.Float32, shape, nil, nil)
		} else {
			s.keep(s.batch[out[1+k]], shape)
		}
	}
	if out[0] != "" {
		s.keep(s.batch[out[0]], format.Shape{x[0], 1, x[1], r[2]})
		s.flows[out[0]] = f
	}
	s.b.Node(n.Name, n.Op, in, out, n.Attrs)
	for k, name := range names {
		s.b.Node(name+"/keep", "StateWrite", []string{out[1+k]}, nil, format.Attrs{"state": name})
	}
	return nil
}

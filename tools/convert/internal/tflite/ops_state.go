package tflite

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
)

// TensorFlow Lite keeps state in two ways. Resource variables are named by
// VAR_HANDLE, set up by a subgraph that CALL_ONCE names, read and written by
// operators of their own. Variable tensors belong to a recurrent operator, which
// reads and writes them in place. Both become states of the model here.

// variable returns the resource variable that a VAR_HANDLE names.
func (c *converter) variable(handle *operator) *variable {
	key := handle.options.str(0) + "/" + handle.options.str(1)
	v := c.vars[key]
	if v == nil {
		v = &variable{name: handle.options.str(1)}
		c.vars[key] = v
	}
	return v
}

// initialize evaluates the subgraphs that CALL_ONCE names: they assign
// constants to variables.
func (c *converter) initialize() error {
	for _, call := range c.graph.operators {
		if call.name != "CALL_ONCE" {
			continue
		}
		i := int(call.options.i32(0, 0))
		if i < 1 || i >= len(c.src.graphs) {
			return fmt.Errorf("node %d CALL_ONCE: there is no subgraph %d", call.index, i)
		}
		g := c.src.graphs[i]
		handles := map[int32]*variable{}
		for _, o := range g.operators {
			at := fmt.Sprintf("subgraph %d node %d %s", i, o.index, o.name)
			switch o.name {
			case "VAR_HANDLE":
				if len(o.outputs) != 1 {
					return fmt.Errorf("%s: %d outputs", at, len(o.outputs))
				}
				handles[o.outputs[0]] = c.variable(o)
			case "ASSIGN_VARIABLE":
				if len(o.inputs) != 2 || handles[o.inputs[0]] == nil || o.inputs[1] < 0 {
					return fmt.Errorf("%s: it takes the handle of a variable and a value", at)
				}
				t := g.tensors[o.inputs[1]]
				if t.data == nil {
					return fmt.Errorf("%s: the initial value %q is not a constant: export the model with constant initial states", at, t.name)
				}
				handles[o.inputs[0]].init = t
			default:
				return fmt.Errorf("%s: an initialization may only assign constants", at)
			}
		}
	}
	return c.src.err()
}

func varHandle(o *op) error {
	o.handles[o.outputs[0]] = o.variable(o.operator)
	return nil
}

func readVariable(o *op) error {
	state, err := o.resource(o.out(0))
	if err != nil {
		return err
	}
	return o.emit("StateRead", nil, format.Attrs{"state": state}, o.out(0).shape, actNone)
}

func assignVariable(o *op) error {
	state, err := o.resource(o.in(1))
	if err != nil {
		return err
	}
	x, err := o.input(1)
	if err != nil {
		return err
	}
	o.b.Node(state+"/write", "StateWrite", []string{x}, nil, format.Attrs{"state": state})
	return nil
}

// resource returns the state of the variable that input 0 is a handle of; t
// is the tensor read from it or written to it.
func (o *op) resource(t *tensor) (string, error) {
	v := o.handles[o.inputs[0]]
	if v == nil {
		return "", fmt.Errorf("input %q is not the handle of a variable", o.names[o.inputs[0]])
	}
	if v.state != "" {
		return v.state, nil
	}
	if t.dtype == format.Invalid {
		return "", unsupportedf("variable %q has element type %d, which whet does not have", v.name, t.typ)
	}
	s := &format.State{Name: v.name, Type: t.dtype, Shape: t.shape, Quant: t.quant}
	if i := v.init; i != nil {
		if i.dtype != t.dtype || !i.shape.Equal(t.shape) {
			return "", fmt.Errorf("variable %q is set up as %v %v and used as %v %v", v.name, i.dtype, i.shape, t.dtype, t.shape)
		}
		s.Init = i.data
	}
	v.state = o.b.State(s)
	return v.state, nil
}

// cell adds a StateRead of the variable tensor of input k, seen in the given
// shape, and returns its name, and a function that adds the StateWrite of the
// new value. An absent or plain input is refused.
func (o *op) cell(k int, shape format.Shape) (read string, write func(string), err error) {
	if o.absent(k) || !o.in(k).variable {
		return "", nil, fmt.Errorf("input %d must be a variable tensor, which keeps the state", k)
	}
	i, t := o.inputs[k], o.in(k)
	if t.dtype == format.Invalid || t.shape.Elems() != shape.Elems() {
		return "", nil, fmt.Errorf("variable %q of shape %v does not fit the state's %v", t.name, t.shape, shape)
	}
	s := o.cells[i]
	if s == nil {
		s = &format.State{Name: o.names[i], Type: t.dtype, Shape: shape, Quant: t.quant}
		o.b.State(s)
		o.cells[i] = s
	}
	if !s.Shape.Equal(shape) {
		return "", nil, fmt.Errorf("variable %q is used with shapes %v and %v", t.name, s.Shape, shape)
	}
	read = o.b.New(o.names[i]+"/read", t.dtype, shape, t.quant)
	o.b.Node("", "StateRead", nil, []string{read}, format.Attrs{"state": s.Name})
	return read, func(value string) {
		o.b.Node(s.Name+"/write", "StateWrite", []string{value}, nil, format.Attrs{"state": s.Name})
	}, nil
}

// next adds a tensor like the state that cell read, for its new value.
func (o *op) next(k int, shape format.Shape) string {
	t := o.in(k)
	return o.b.New(o.names[o.inputs[k]]+"/next", t.dtype, shape, t.quant)
}

// svdf is SVDF: input, feature weights, time weights, bias, state.
func svdf(o *op) error {
	x, wf, wt := o.in(0), o.in(1), o.in(2)
	if len(x.shape) != 2 || len(wf.shape) != 2 || len(wt.shape) != 2 {
		return fmt.Errorf("input %v, feature weights %v and time weights %v must be of rank 2", x.shape, wf.shape, wt.shape)
	}
	rank := o.options.i32(0, 0)
	filters, memory := wf.shape[0], wt.shape[1]
	if rank < 1 || filters%int(rank) != 0 {
		return fmt.Errorf("rank %d does not divide %d filters", rank, filters)
	}
	in, err := o.inputList(0, 4)
	if err != nil {
		return err
	}
	for len(in) < 4 {
		in = append(in, "")
	}
	shape := format.Shape{x.shape[0], filters * memory}
	read, write, err := o.cell(4, shape)
	if err != nil {
		return err
	}
	next := o.next(4, shape)
	err = o.emit("SVDF", append(in, read), format.Attrs{"rank": int64(rank)},
		format.Shape{x.shape[0], filters / int(rank)}, o.options.i8(1, actNone), next)
	write(next)
	return err
}

// Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM. The gates are in the order input,
// forget, cell, output.
const (
	lstmWeights   = 1 // four, of the input
	lstmRecurrent = 5 // four, of the last output
	lstmPeephole  = 9 // three
	lstmBias      = 12
	lstmProject   = 16 // weights and bias
	lstmOutput    = 18 // the state that is also the output
	lstmCell      = 19
	lstmNorm      = 20 // four
)

func sequenceLSTM(o *op) error {
	opt := o.options
	if a := opt.i8(0, actNone); a != actTanh {
		return unsupportedf("activation %d: only TANH is possible", a)
	}
	for _, f := range []struct {
		from, n int
		what    string
	}{{lstmPeephole, 3, "peephole weights"}, {lstmProject, 2, "a projection"}, {lstmNorm, 4, "layer normalization"}} {
		for k := f.from; k < f.from+f.n; k++ {
			if !o.absent(k) {
				return unsupportedf("%s: only the plain LSTM is possible", f.what)
			}
		}
	}
	if o.absent(lstmWeights) || o.absent(lstmRecurrent) {
		return unsupportedf("a coupled input gate: only the plain LSTM is possible")
	}
	if opt.flag(5) {
		return unsupportedf("diagonal recurrent weights: only full ones are possible")
	}
	x := o.in(0)
	if len(x.shape) != 3 {
		return fmt.Errorf("input %q is of shape %v, not of rank 3", x.name, x.shape)
	}
	l := lstm{steps: x.shape[1], batch: x.shape[0], inputs: x.shape[2], clip: float64(opt.f32(1, 0)), timeMajor: opt.flag(3)}
	if l.timeMajor {
		l.steps, l.batch = l.batch, l.steps
	}
	for g := range 4 {
		if o.absent(lstmWeights+g) || o.absent(lstmRecurrent+g) || o.absent(lstmBias+g) {
			return fmt.Errorf("a gate lacks its weights or its bias")
		}
	}
	r := o.in(lstmRecurrent)
	if len(r.shape) != 2 || r.shape[0] == 0 {
		return fmt.Errorf("recurrent weights %q are of shape %v", r.name, r.shape)
	}
	l.hidden = r.shape[0]
	for g := range 4 {
		for _, w := range []struct {
			k     int
			shape format.Shape
		}{{lstmWeights, format.Shape{l.hidden, l.inputs}}, {lstmRecurrent, format.Shape{l.hidden, l.hidden}}, {lstmBias, format.Shape{l.hidden}}} {
			if t := o.in(w.k + g); !t.shape.Equal(w.shape) {
				return fmt.Errorf("%q is of shape %v, which should be %v", t.name, t.shape, w.shape)
			}
		}
	}
	switch w := o.in(lstmWeights); {
	case x.dtype == format.Float32 && w.dtype == format.Float32:
		return l.float(o)
	case x.dtype == format.Int8 && w.dtype == format.Int8:
		return l.integer(o)
	default:
		return unsupportedf("%v input with %v weights: both must be float32, or both int8", x.dtype, w.dtype)
	}
}

type lstm struct {
	steps, batch, inputs, hidden int
	clip                         float64
	timeMajor                    bool
}

// onnxGates is the order of ONNX's gates, input, output, forget, cell, in
// TensorFlow Lite's.
var onnxGates = [4]int{0, 3, 1, 2}

// float adds the LSTM of ONNX, which is time major and keeps the weights of
// all gates in one tensor.
func (l lstm) float(o *op) error {
	w, err := o.gates(lstmWeights, "/W", format.Shape{1, 4 * l.hidden, l.inputs}, nil)
	if err != nil {
		return err
	}
	r, err := o.gates(lstmRecurrent, "/R", format.Shape{1, 4 * l.hidden, l.hidden}, nil)
	if err != nil {
		return err
	}
	noBias := make([]byte, 4*4*l.hidden) // of the recurrent part
	b, err := o.gates(lstmBias, "/B", format.Shape{1, 8 * l.hidden}, noBias)
	if err != nil {
		return err
	}
	x, err := o.input(0)
	if err != nil {
		return err
	}
	if x, err = o.swap(x, o.in(0), l.timeMajor); err != nil {
		return err
	}
	state := format.Shape{1, l.batch, l.hidden}
	h, writeH, err := o.cell(lstmOutput, state)
	if err != nil {
		return err
	}
	c, writeC, err := o.cell(lstmCell, state)
	if err != nil {
		return err
	}
	var attrs format.Attrs
	if l.clip > 0 {
		attrs = format.Attrs{"cell_clip": l.clip}
	}
	in := []string{x, w, r, b, "", h, c}
	nextH, nextC := o.next(lstmOutput, state), o.next(lstmCell, state)
	y := format.Shape{l.steps, 1, l.batch, l.hidden}
	if l.timeMajor || l.batch == 1 {
		err = o.emit("LSTM", in, attrs, y, actNone, nextH, nextC)
	} else {
		name := o.b.New(o.outputName()+"/steps", format.Float32, y, nil)
		o.b.Node("", "LSTM", in, []string{name, nextH, nextC}, attrs)
		t := &tensor{shape: y, dtype: format.Float32}
		if name, err = o.reshape(name, t, format.Shape{l.steps, l.batch, l.hidden}); err != nil {
			return err
		}
		err = o.emit("Transpose", []string{name}, format.Attrs{"perm": []int64{1, 0, 2}},
			format.Shape{l.batch, l.steps, l.hidden}, actNone)
	}
	writeH(nextH)
	writeC(nextC)
	return err
}

// swap makes a batch major input time major.
func (o *op) swap(x string, t *tensor, timeMajor bool) (string, error) {
	shape := format.Shape{t.shape[1], t.shape[0], t.shape[2]}
	switch {
	case timeMajor:
		return x, nil
	case t.shape[0] == 1:
		return o.reshape(x, t, shape)
	}
	y := o.b.New(x+"/steps", t.dtype, shape, t.quant)
	o.b.Node("", "Transpose", []string{x}, []string{y}, format.Attrs{"perm": []int64{1, 0, 2}})
	return y, nil
}

// gates joins the constants of the four gates that begin at input k, and tail,
// to one.
func (o *op) gates(k int, suffix string, shape format.Shape, tail []byte) (string, error) {
	var data [][]byte
	for _, g := range onnxGates {
		t := o.in(k + g)
		if t.data == nil || t.dtype != format.Float32 {
			return "", unsupportedf("%q must be a float32 constant", t.name)
		}
		data = append(data, t.data)
	}
	return o.b.Const(o.outputName()+suffix, format.Float32, shape, nil, bytes.Join(append(data, tail), nil)), nil
}

// integer adds the integer LSTM: int8 in and out, an int16 cell.
func (l lstm) integer(o *op) error {
	in, err := o.inputList(0, lstmPeephole)
	if err != nil {
		return err
	}
	bias, err := o.inputList(lstmBias, lstmBias+4)
	if err != nil {
		return err
	}
	in = slices.Concat(in, bias)
	state := format.Shape{l.batch, l.hidden}
	h, writeH, err := o.cell(lstmOutput, state)
	if err != nil {
		return err
	}
	c, writeC, err := o.cell(lstmCell, state)
	if err != nil {
		return err
	}
	attrs := format.Attrs{"time_major": int64(0)}
	y := format.Shape{l.batch, l.steps, l.hidden}
	if l.timeMajor {
		attrs["time_major"] = int64(1)
		y[0], y[1] = y[1], y[0]
	}
	if l.clip > 0 {
		attrs["cell_clip"] = l.clip
	}
	nextH, nextC := o.next(lstmOutput, state), o.next(lstmCell, state)
	err = o.emit("QLSTM", append(in, h, c), attrs, y, actNone, nextH, nextC)
	writeH(nextH)
	writeC(nextC)
	return err
}

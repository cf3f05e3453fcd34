package tflite

import (
	"fmt"
	"maps"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// A row says how one operator is converted, and how many inputs and outputs it
// needs for that at least.
type row struct {
	inputs, outputs int
	convert         func(*op) error
}

// rows are the operators that can be converted, by name.
var rows = map[string]row{
	"ABS":                          {1, 1, unary("Abs")},
	"ADD":                          {2, 1, broadcast("Add", 0)},
	"ASSIGN_VARIABLE":              {2, 0, assignVariable},
	"AVERAGE_POOL_2D":              {1, 1, pool("AveragePool")},
	"CALL_ONCE":                    {0, 0, func(*op) error { return nil }}, // see initialize
	"CAST":                         {1, 1, unary("Cast")},
	"CONCATENATION":                {1, 1, concat},
	"CONV_2D":                      {2, 1, conv},
	"DEPTHWISE_CONV_2D":            {2, 1, depthwise},
	"DEQUANTIZE":                   {1, 1, dequantize},
	"DIV":                          {2, 1, broadcast("Div", 0)},
	"ELU":                          {1, 1, unary("Elu")},
	"EXP":                          {1, 1, unary("Exp")},
	"EXPAND_DIMS":                  {1, 1, reshape},
	"FULLY_CONNECTED":              {2, 1, fullyConnected},
	"GATHER":                       {2, 1, gather},
	"GELU":                         {1, 1, gelu},
	"HARD_SWISH":                   {1, 1, unary("HardSwish")},
	"LEAKY_RELU":                   {1, 1, leakyRelu},
	"LOG":                          {1, 1, unary("Log")},
	"LOGISTIC":                     {1, 1, unary("Sigmoid")},
	"LOG_SOFTMAX":                  {1, 1, logSoftmax},
	"MAXIMUM":                      {2, 1, broadcast("Max", noActivation)},
	"MAX_POOL_2D":                  {1, 1, pool("MaxPool")},
	"MEAN":                         {2, 1, reduce("ReduceMean")},
	"MINIMUM":                      {2, 1, broadcast("Min", noActivation)},
	"MIRROR_PAD":                   {2, 1, mirrorPad},
	"MUL":                          {2, 1, broadcast("Mul", 0)},
	"NEG":                          {1, 1, unary("Neg")},
	"PACK":                         {1, 1, pack},
	"PAD":                          {2, 1, pad},
	"PADV2":                        {3, 1, pad},
	"POW":                          {2, 1, broadcast("Pow", noActivation)},
	"QUANTIZE":                     {1, 1, quantize},
	"READ_VARIABLE":                {1, 1, readVariable},
	"REDUCE_MAX":                   {2, 1, reduce("ReduceMax")},
	"RELU":                         {1, 1, unary("Relu")},
	"RELU6":                        {1, 1, unaryAttrs("Clip", clip(0, 6))},
	"RELU_0_TO_1":                  {1, 1, unaryAttrs("Clip", clip(0, 1))},
	"RELU_N1_TO_1":                 {1, 1, unaryAttrs("Clip", clip(-1, 1))},
	"RESHAPE":                      {1, 1, reshape},
	"RSQRT":                        {1, 1, unary("Rsqrt")},
	"SLICE":                        {3, 1, slice},
	"SOFTMAX":                      {1, 1, softmax},
	"SPLIT":                        {2, 1, split(1, 0, -1)},
	"SPLIT_V":                      {3, 1, split(0, 2, 1)},
	"SQRT":                         {1, 1, unary("Sqrt")},
	"SQUARE":                       {1, 1, square},
	"SQUARED_DIFFERENCE":           {2, 1, broadcast("SquaredDifference", noActivation)},
	"SQUEEZE":                      {1, 1, reshape},
	"STRIDED_SLICE":                {4, 1, stridedSlice},
	"SUB":                          {2, 1, broadcast("Sub", 0)},
	"SUM":                          {2, 1, reduce("ReduceSum")},
	"SVDF":                         {3, 1, svdf},
	"TANH":                         {1, 1, unary("Tanh")},
	"TRANSPOSE":                    {2, 1, transpose},
	"UNIDIRECTIONAL_SEQUENCE_LSTM": {1, 1, sequenceLSTM},
	"UNPACK":                       {1, 1, unpack},
	"VAR_HANDLE":                   {0, 1, varHandle},
}

// register adds the rows of a family.
func register(list map[string]row) {
	for name, r := range list {
		if _, dup := rows[name]; dup {
			panic("tflite: two rows for " + name)
		}
		rows[name] = r
	}
}

func unary(name string) func(*op) error { return unaryAttrs(name, nil) }

func unaryAttrs(name string, attrs format.Attrs) func(*op) error {
	return func(o *op) error {
		x, err := o.input(0)
		if err != nil {
			return err
		}
		return o.emit(name, []string{x}, maps.Clone(attrs), o.in(0).shape, actNone)
	}
}

// noActivation is the activation field of operators that have none.
const noActivation = -1

// broadcast is an element by element operator whose options hold the activation
// in field act.
func broadcast(name string, act int) func(*op) error {
	return func(o *op) error {
		in, err := o.inputList(0, 2)
		if err != nil {
			return err
		}
		fused := int8(actNone)
		if act != noActivation {
			fused = o.options.i8(act, actNone)
		}
		return o.emit(name, in, nil, o.out(0).shape, fused)
	}
}

func square(o *op) error {
	x, err := o.input(0)
	if err != nil {
		return err
	}
	return o.emit("Mul", []string{x, x}, nil, o.in(0).shape, actNone)
}

func leakyRelu(o *op) error {
	return unaryAttrs("LeakyRelu", format.Attrs{"alpha": float64(o.options.f32(0, 0))})(o)
}

func gelu(o *op) error {
	form := "none"
	if o.options.flag(0) {
		form = "tanh"
	}
	return unaryAttrs("Gelu", format.Attrs{"approximate": form})(o)
}

func softmax(o *op) error {
	if beta := o.options.f32(0, 0); beta != 1 {
		return unsupportedf("beta %v: only 1 is possible", beta)
	}
	return unaryAttrs("Softmax", format.Attrs{"axis": int64(-1)})(o)
}

func logSoftmax(o *op) error {
	return unaryAttrs("LogSoftmax", format.Attrs{"axis": int64(-1)})(o)
}

// quantize is QUANTIZE: of floats, or of integers that already stand for
// floats by another scale.
func quantize(o *op) error {
	if o.in(0).dtype.Float() {
		return unary("QuantizeLinear")(o)
	}
	return unary("Requantize")(o)
}

// dequantize is DEQUANTIZE. Models with half-precision weights hold one for
// each: those are widened here.
func dequantize(o *op) error {
	t := o.in(0)
	if t.dtype != format.Float16 {
		return unary("DequantizeLinear")(o)
	}
	y := o.out(0)
	if t.data == nil || y.dtype != format.Float32 || !y.shape.Equal(t.shape) {
		return unsupportedf("half-precision activations: only constants may be float16")
	}
	y.data = float16s(t.data)
	return nil
}

func reduce(name string) func(*op) error {
	return func(o *op) error {
		x, err := o.input(0)
		if err != nil {
			return err
		}
		axes, err := o.ints(1)
		if err != nil {
			return err
		}
		keep := int64(0)
		if o.options.flag(0) {
			keep = 1
		}
		shape := format.Shape{}
		t := o.in(0)
		gone := make([]bool, len(t.shape))
		for _, a := range axes {
			k, err := axis(int(a), len(t.shape))
			if err != nil {
				return err
			}
			gone[k] = true
		}
		// TensorFlow Lite allows an axis twice and in any order.
		axes = axes[:0:0]
		for k, d := range t.shape {
			switch {
			case !gone[k]:
				shape = append(shape, d)
			case keep != 0:
				shape = append(shape, 1)
			}
			if gone[k] {
				axes = append(axes, int64(k))
			}
		}
		return o.emit(name, []string{x}, format.Attrs{"axes": axes, "keepdims": keep}, shape, actNone)
	}
}

// axis makes an axis counted from the end one counted from the start.
func axis(a, rank int) (int, error) {
	k := a
	if k < 0 {
		k += rank
	}
	if k < 0 || k >= rank {
		return 0, fmt.Errorf("axis %d of a tensor of rank %d", a, rank)
	}
	return k, nil
}

// --- convolutions and their kin ---

// window is the geometry that convolutions and pools share, for one dimension.
type window struct{ in, kernel, stride, dilation int }

// pads returns the padding before and after, and the size of the output.
func (w window) pads(padding int8) (before, after, out int, err error) {
	if w.kernel < 1 || w.stride < 1 || w.dilation < 1 {
		return 0, 0, 0, fmt.Errorf("kernel %d, stride %d, dilation %d", w.kernel, w.stride, w.dilation)
	}
	span := (w.kernel-1)*w.dilation + 1
	switch padding {
	case padSame:
		out = (w.in + w.stride - 1) / w.stride
		total := max((out-1)*w.stride+span-w.in, 0)
		return total / 2, total - total/2, out, nil
	case padValid:
		return 0, 0, max((w.in-span)/w.stride+1, 0), nil
	}
	return 0, 0, 0, fmt.Errorf("padding %d is neither SAME nor VALID", padding)
}

// windows returns the ONNX pads of an image of the given shape and the height
// and width of the output.
func windows(padding int8, in format.Shape, kh, kw, sh, sw, dh, dw int) (pads []int64, oh, ow int, err error) {
	top, bottom, oh, err := window{in[1], kh, sh, dh}.pads(padding)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("height: %w", err)
	}
	left, right, ow, err := window{in[2], kw, sw, dw}.pads(padding)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("width: %w", err)
	}
	return build.Ints(top, left, bottom, right), oh, ow, nil
}

func rank4(t *tensor) error {
	if len(t.shape) != 4 {
		return fmt.Errorf("%q is of shape %v, not of rank 4", t.name, t.shape)
	}
	return nil
}

func pool(name string) func(*op) error {
	return func(o *op) error {
		t := o.in(0)
		if err := rank4(t); err != nil {
			return err
		}
		x, err := o.input(0)
		if err != nil {
			return err
		}
		opt := o.options
		sw, sh, kw, kh := int(opt.i32(1, 0)), int(opt.i32(2, 0)), int(opt.i32(3, 0)), int(opt.i32(4, 0))
		pads, oh, ow, err := windows(opt.i8(0, 0), t.shape, kh, kw, sh, sw, 1, 1)
		if err != nil {
			return err
		}
		return o.emit(name, []string{x}, format.Attrs{
			"kernel_shape": build.Ints(kh, kw), "strides": build.Ints(sh, sw), "pads": pads,
		}, format.Shape{t.shape[0], oh, ow, t.shape[3]}, opt.i8(5, actNone))
	}
}

func conv(o *op) error {
	x, w := o.in(0), o.in(1)
	if err := rank4(x); err != nil {
		return err
	}
	if err := rank4(w); err != nil {
		return err
	}
	if w.shape[3] == 0 || x.shape[3]%w.shape[3] != 0 {
		return fmt.Errorf("weights %v do not fit input %v", w.shape, x.shape)
	}
	in, err := o.inputList(0, 3)
	if err != nil {
		return err
	}
	opt := o.options
	return o.convolve(in, w.shape, x.shape[3]/w.shape[3], opt.i8(0, 0),
		int(opt.i32(2, 0)), int(opt.i32(1, 0)), int(opt.i32(5, 1)), int(opt.i32(4, 1)), opt.i8(3, actNone))
}

func depthwise(o *op) error {
	x, w := o.in(0), o.in(1)
	if err := rank4(x); err != nil {
		return err
	}
	if err := rank4(w); err != nil {
		return err
	}
	c, n := x.shape[3], w.shape[3]
	if w.shape[0] != 1 || c == 0 || n%c != 0 {
		return fmt.Errorf("weights %v do not fit input %v", w.shape, x.shape)
	}
	in, err := o.inputList(0, 3)
	if err != nil {
		return err
	}
	if in[1], err = o.transposed(1); err != nil {
		return err
	}
	opt := o.options
	return o.convolve(in, format.Shape{n, w.shape[1], w.shape[2], 1}, c, opt.i8(0, 0),
		int(opt.i32(2, 0)), int(opt.i32(1, 0)), int(opt.i32(6, 1)), int(opt.i32(5, 1)), opt.i8(4, actNone))
}

func (o *op) convolve(in []string, w format.Shape, group int, padding int8, sh, sw, dh, dw int, act int8) error {
	x := o.in(0).shape
	pads, oh, ow, err := windows(padding, x, w[1], w[2], sh, sw, dh, dw)
	if err != nil {
		return err
	}
	return o.emit("Conv", in, format.Attrs{
		"strides": build.Ints(sh, sw), "dilations": build.Ints(dh, dw), "pads": pads, "group": int64(group),
	}, format.Shape{x[0], oh, ow, w[0]}, act)
}

// transposed returns the constant of input k, depthwise weights [1, h, w, o],
// as [o, h, w, 1].
func (o *op) transposed(k int) (string, error) {
	i, w := o.inputs[k], o.in(k)
	if w.data == nil || w.dtype.Bits()%8 != 0 {
		return "", unsupportedf("depthwise weights %q of type %v must be a constant of whole bytes", w.name, w.dtype)
	}
	key := derived{i, "lastFirst"}
	if s := o.derived[key]; s != "" {
		return s, nil
	}
	var q *format.Quant
	if w.quant != nil {
		q = &format.Quant{Scale: w.quant.Scale, Zero: w.quant.Zero}
		if len(q.Scale) > 1 && w.quant.Axis != 3 {
			return "", fmt.Errorf("depthwise weights %q have scales along dimension %d, not 3", w.name, w.quant.Axis)
		}
	}
	s := w.shape
	name := o.b.Const(o.names[i]+"/ohwi", w.dtype, format.Shape{s[3], s[1], s[2], 1}, q, lastFirst(w.data, s, w.dtype.Bits()/8))
	o.derived[key] = name
	return name, nil
}

// fullyConnected is FULLY_CONNECTED: a Gemm between two reshapes.
func fullyConnected(o *op) error {
	if f := o.options.i8(1, 0); f != 0 {
		return unsupportedf("weights format %d: only plain weights are possible", f)
	}
	x, w := o.in(0), o.in(1)
	if len(w.shape) != 2 {
		return fmt.Errorf("weights %q are of shape %v, not of rank 2", w.name, w.shape)
	}
	n, k := w.shape[0], w.shape[1]
	if k == 0 || x.shape.Elems()%k != 0 {
		return fmt.Errorf("weights %v do not fit input %v", w.shape, x.shape)
	}
	m := x.shape.Elems() / k
	in, err := o.inputList(0, 3)
	if err != nil {
		return err
	}
	if in[0], err = o.reshape(in[0], x, format.Shape{m, k}); err != nil {
		return err
	}
	return o.emit("Gemm", in, format.Attrs{"transB": int64(1)}, format.Shape{m, n}, o.options.i8(0, actNone))
}

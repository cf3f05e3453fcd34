package runtime

import (
	"maps"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// morePackage is what a program imports that wants them all.
const morePackage = "github.com/whet-edge/whet/runtime/more"

// extras are the binders of ops that few models have. Packages that hold such
// kernels add theirs when they are imported, so that programs which do not import
// them do not carry them; see package runtime/more.
var extras = map[string]binder{}

// AddRare makes the ops known whose kernels are in this package, and which few models
// have. Package runtime/more calls it.
func AddRare() {
	maps.Copy(extras, map[string]binder{
		"GRU": bindGRU, "GridSample": bindGridSample, "If": bindIf, "LSTM": bindLSTM, "Loop": bindLoop, "QLSTM": bindQLSTM, "RNN": bindGRU,
		"SVDF": bindSVDF, "Trim": bindTrim,
	})
	rareConv = map[format.DType]convBinder{format.Float32: bindConvHybrid, format.Int16: bindConvS16}
	rareBinary16 = bindBinary16
}

// A convBinder binds a convolution whose shape and bias have been found.
type convBinder func(n *node, l kernels.Level, s kernels.ConvShape, bias *value) (*step, error)

// rareConv are the products of int8 weights with activations of a type that is not
// theirs, and rareBinary16 the sums and products of int16 codes.
var (
	rareConv     map[format.DType]convBinder
	rareBinary16 func(n *node, l kernels.Level, s *step, op kernels.BinaryOp, c *kernels.Bcast)
)

// Extend makes the kernels for an op known, once, at the start of a program: bind
// is called for every node of it when a model is compiled.
func Extend(op string, bind func(Op) (*Kernel, error)) {
	extras[op] = func(n *node, _ kernels.Level) (*step, error) {
		k, err := bind(Op{n})
		if err != nil {
			return nil, n.errf("%v", err)
		}
		return &step{kernel: k.Name, macs: k.MACs, tasks: k.Tasks, scratch: k.Scratch, run: func(m *mem, scratch []byte, t0, t1 int) {
			k.Run(Memory{m, n}, scratch[:k.Scratch], t0, t1)
		}}, nil
	}
}

// An Op is a node that [Extend]'s function binds to a kernel.
type Op struct{ n *node }

// Attrs returns the node's attributes, without the defaults of absent ones.
func (o Op) Attrs() format.Attrs { return o.n.attrs }

// Has reports whether input i is there, and Wants whether output i is.
func (o Op) Has(i int) bool   { return o.n.input(i) != nil }
func (o Op) Wants(i int) bool { return o.n.output(i) != nil }

// Input and Output return the type and shape of an operand that is there.
func (o Op) Input(i int) (format.DType, format.Shape)  { return o.n.in[i].typ, o.n.in[i].shape }
func (o Op) Output(i int) (format.DType, format.Shape) { return o.n.out[i].typ, o.n.out[i].shape }

// A Kernel computes a node. Run does the tasks [t0, t1), which are independent of
// each other: any thread may do any of them. It must not allocate.
type Kernel struct {
	Name    string // "" is "portable"
	MACs    int64
	Tasks   int // 0 is 1
	Scratch int // bytes for each thread
	Run     func(m Memory, scratch []byte, t0, t1 int)
}

// Memory is where a node's operands are during one run.
type Memory struct {
	m *mem
	n *node
}

// In returns the elements of input i, nil for an absent one; they must not be changed.
func (m Memory) In(i int) []byte { return m.bytes(m.n.input(i)) }

// Out returns the elements of output i, nil for an absent one.
func (m Memory) Out(i int) []byte { return m.bytes(m.n.output(i)) }

func (m Memory) bytes(v *value) []byte {
	if v == nil {
		return nil
	}
	return m.m.bytes(v)
}

// Fail ends the run with a *[RunError] that names the node. Only kernels of one
// task may fail.
func (m Memory) Fail(f string, a ...any) { m.m.fail(m.n, f, a...) }

// View sees bytes as elements of a type that they are aligned for.
func View[T any](b []byte) []T { return view[T](b) }

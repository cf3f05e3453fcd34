package ondevice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
	"github.com/whet-edge/whet/runtime"
)

// An InputGradient computes how a model's scores depend on its input, through the
// integer network as it serves: which pixels speak for a class (Simonyan, Vedaldi
// and Zisserman, "Deep Inside Convolutional Networks", 2014). It is not for
// concurrent use.
//
// The model runs forward on its own kernels. The way back takes every rounding for
// the identity (straight-through: Bengio, Léonard and Courville, 2013), a weight
// for the real number that it stands for, and passes nothing where a result lies
// at an end of its range, that of its ReLU or of its type.
type InputGradient struct {
	session *runtime.Session
	tape    *grad.Tape[float32]
	input   *grad.Tensor[float32]
	decode  func(x []float32, raw []byte) // of the input
	seed    []float32
}

// NewInputGradient makes one for a model of one input, int8, uint8 or float32. Its
// scores are the elements of its first output, before a Softmax. It fails where an
// op on the way has no gradient.
func NewInputGradient(m *format.Model, opts ...runtime.Option) (*InputGradient, error) {
	return newInputGradient(m, nil, opts...)
}

// newInputGradient asks for the gradients of some constants too.
func newInputGradient(m *format.Model, constants []string, opts ...runtime.Option) (*InputGradient, error) {
	g := m.Main()
	if len(g.Inputs) != 1 || len(g.Outputs) == 0 {
		return nil, fmt.Errorf("ondevice: the model has %d inputs and %d outputs; the gradient is of an output by one input", len(g.Inputs), len(g.Outputs))
	}
	score := scoresOf(g)
	part := cut(m, g.Inputs, score)
	tl := &tail{cut: m.Tensor(g.Inputs[0].Tensor), part: map[string]bool{}}
	if err := tl.checkCut(); err != nil {
		return nil, err
	}
	for _, n := range part.Main().Nodes {
		tl.part[n.Name] = true
	}
	float, names, err := tl.real(part)
	if err != nil {
		return nil, err
	}
	source := names[tl.cut.Name]
	tape, err := grad.NewTape(cut(float, []format.Input{{Tensor: source}}, names[score]), append([]string{source}, constants...), grad.OnLevel(kernels.Best()))
	if err != nil {
		return nil, fmt.Errorf("ondevice: %w", err)
	}
	ig := &InputGradient{tape: tape, input: tape.Tensor(source), seed: make([]float32, len(tape.Outputs()[0].Data))}
	known := served(part, names, tape)
	outputs := []string{score}
	for _, y := range known {
		outputs = append(outputs, y.Name)
	}
	prog, err := runtime.Compile(part, append(slices.Clone(opts), runtime.WithOutputs(outputs...))...)
	if err != nil {
		return nil, err
	}
	ig.session = prog.NewSession()
	if ig.decode, err = decoder(tl.cut); err != nil {
		return nil, err
	}
	for _, y := range known {
		decode, err := decoder(y)
		if err != nil {
			return nil, err
		}
		out := ig.session.OutputByName(y.Name)
		if err := tape.Given(names[y.Name], func(x []float32) { decode(x, out.Bytes()) }); err != nil {
			return nil, err
		}
	}
	return ig, nil
}

// scoresOf returns the tensor before the Softmax and the conversions at the end of
// a graph.
func scoresOf(g *format.Graph) string {
	name, maker := g.Outputs[0], map[string]*format.Node{}
	for _, n := range g.Nodes {
		maker[n.Outputs[0]] = n
	}
	for at := name; ; {
		n := maker[at]
		if n == nil || !slices.Contains([]string{"Softmax", "LogSoftmax", "QuantizeLinear", "DequantizeLinear", "Requantize"}, n.Op) {
			return name
		}
		if at = n.Inputs[0]; strings.HasSuffix(n.Op, "oftmax") {
			name = at
		}
	}
}

// served lists the tensors whose values the tape takes from the model that runs:
// all integers, and what layers with weights give.
func served(m *format.Model, names map[string]string, tape *grad.Tape[float32]) (list []*format.Tensor) {
	taken, g := map[string]bool{}, m.Main()
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			y := m.Tensor(o)
			if o == "" || n.Op == "Reshape" || tape.Tensor(names[o]) == nil || taken[names[o]] || names[o] == names[g.Inputs[0].Tensor] {
				continue
			}
			if y.Type != format.Float32 || slices.Contains(layerOps, n.Op) {
				taken[names[o]] = true
				list = append(list, y)
			}
		}
	}
	return list
}

// decoder returns what makes real numbers of a tensor's bytes.
func decoder(t *format.Tensor) (func(x []float32, raw []byte), error) {
	if _, _, ok := realRange(t); !ok && t.Type != format.Float32 {
		return nil, fmt.Errorf("ondevice: the values of %q (%v) are not known as real numbers", t.Name, t.Type)
	}
	f := &Features{Type: t.Type}
	if t.Quant != nil {
		f.Scale, f.Zero = t.Quant.Scale[0], t.Quant.ZeroPoint()
	}
	c := f.codes()
	return func(x []float32, raw []byte) { f.decode(x, raw, c) }, nil
}

// Run returns the scores of an input, which is given as the model receives it, and
// the gradient of one of them, of the highest if class is negative, by the input's
// real numbers, in the order of its elements. The next Run overwrites both.
func (g *InputGradient) Run(ctx context.Context, input []byte, class int) (scores, gradient []float32, err error) {
	if scores, err = g.Scores(ctx, input); err != nil {
		return nil, nil, err
	}
	if class < 0 {
		class = argmax(scores)
	}
	if class >= len(scores) {
		return nil, nil, fmt.Errorf("ondevice: score %d of %d", class, len(scores))
	}
	clear(g.seed)
	g.seed[class] = 1
	return scores, g.back(), nil
}

// Loss is Run for the cross-entropy of the scores and a class: what an attacker
// makes larger.
func (g *InputGradient) Loss(ctx context.Context, input []byte, class int) (loss float64, gradient []float32, err error) {
	scores, err := g.Scores(ctx, input)
	if err != nil {
		return 0, nil, err
	}
	if class < 0 || class >= len(scores) {
		return 0, nil, fmt.Errorf("ondevice: class %d of %d", class, len(scores))
	}
	loss = grad.SoftmaxCrossEntropy(g.seed, scores, []int{class}, 1, len(scores), 0, 1)
	return loss, g.back(), nil
}

// Scores returns the scores of an input alone.
func (g *InputGradient) Scores(ctx context.Context, input []byte) ([]float32, error) {
	in := g.session.Input(0)
	if len(input) != len(in.Bytes()) {
		return nil, fmt.Errorf("ondevice: an input of %d bytes; the model takes %d", len(input), len(in.Bytes()))
	}
	copy(in.Bytes(), input)
	g.session.Reset()
	if err := g.session.Run(ctx); err != nil {
		return nil, err
	}
	g.decode(g.input.Data, input)
	g.tape.Forward()
	return g.tape.Outputs()[0].Data, nil
}

// back takes the seed to the input.
func (g *InputGradient) back() []float32 {
	clear(g.input.Grad)
	g.tape.Backward(g.seed)
	return g.input.Grad
}

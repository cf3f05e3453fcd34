package build

import (
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A Layer can be put on the end of a network. Its Name, if empty, is its kind and
// a number.
type Layer interface{ add(*graph) error }

// Conv is a two-dimensional convolution of [1,h,w,c] to [1,h',w',Filters], with a
// bias. Without Same there is no padding; with it h' is h/Stride rounded up.
type Conv struct {
	Name            string
	Filters, Kernel int
	Stride          int // 0: 1
	Same            bool
	Activation      string
	Init            Init // "": GlorotUniform
}

// MaxPool takes the largest of every Size x Size values, AvgPool their mean; both
// step by Size, and what does not fill a window is left out.
type MaxPool struct {
	Name string
	Size int
}

// AvgPool is described with [MaxPool].
type AvgPool MaxPool

// GlobalAverage takes the mean of every channel: [1,h,w,c] to [1,c].
type GlobalAverage struct{ Name string }

// Flatten makes a vector [1,n] of any shape.
type Flatten struct{ Name string }

// Dense is a fully connected layer of [1,n] to [1,Units], with a bias.
type Dense struct {
	Name       string
	Units      int
	Activation string
	Init       Init // "": GlorotUniform
}

// LSTM (Hochreiter and Schmidhuber, 1997) reads a sequence [1,t,c] and gives its
// last state [1,Units], or with Sequence all of them, [1,t,Units]. The bias of the
// forget gate starts at 1 (Jozefowicz et al., 2015), the recurrent weights
// orthogonal.
type LSTM struct {
	Name     string
	Units    int
	Sequence bool
	Init     Init // of the weights of the input; "": GlorotUniform
}

// Activated applies an activation by its name: relu, relu6, sigmoid, tanh,
// softmax, elu, gelu, leakyrelu, hardswish, softplus.
type Activated struct{ Name, Kind string }

// New makes a network of layers for inputs of a shape (28,28,1 for a grey
// picture, height first; t,c for a series; n for a row of a table) with weights
// drawn from seed. Its input is called "input" and holds one sample; its output
// is the last layer's. Layers that do not fit together are an error that
// names them.
func New(shape []int, seed uint64, layers ...Layer) (*format.Model, error) {
	in := &format.Tensor{Name: "input", Type: format.Float32, Shape: append(format.Shape{1}, shape...)}
	if len(shape) == 0 || slices.Min(shape) < 1 || in.Shape.Elems() < 0 {
		return nil, fmt.Errorf("build: an input of shape %v", shape)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("build: no layers")
	}
	m := &format.Model{
		Header:  format.Header{Opset: format.Opset},
		Graphs:  []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: in.Name}}}},
		Tensors: []*format.Tensor{in},
	}
	g := newGraph(m, in, seed)
	if err := g.add(layers); err != nil {
		return nil, err
	}
	m.Main().Outputs = []string{g.last.Name}
	return m, format.Check(m)
}

// sizes refuses what is not positive.
func sizes(layer string, v ...int) error {
	if slices.Min(v) < 1 || slices.Max(v) > 1<<20 {
		return fmt.Errorf("build: layer %q: sizes %v must be positive and at most %d", layer, v, 1<<20)
	}
	return nil
}

// rank refuses inputs of another number of dimensions.
func (g *graph) rank(layer string, want int, mend string) error {
	if len(g.last.Shape) != want {
		return fmt.Errorf("build: layer %q is given %v: it needs %d dimensions; %s", layer, g.last.Shape, want, mend)
	}
	return nil
}

// chosen is an initializer or the default one.
func chosen(layer string, i Init) (Init, error) {
	if i == "" {
		return GlorotUniform, nil
	}
	if !slices.Contains(inits, i) {
		return "", fmt.Errorf("build: layer %q: no initializer is called %q; %q are known", layer, i, inits)
	}
	return i, nil
}

const needsPicture = "a picture is [1,height,width,channels]"

func (l Conv) add(g *graph) error {
	name, err := g.name(l.Name, "conv")
	if err != nil {
		return err
	}
	stride := max(l.Stride, 1)
	if err := sizes(name, l.Filters, l.Kernel, stride); err != nil {
		return err
	}
	if err := g.rank(name, 4, needsPicture); err != nil {
		return err
	}
	init, err := chosen(name, l.Init)
	if err != nil {
		return err
	}
	k, channels := l.Kernel, g.last.Shape[3]
	attrs := format.Attrs{"strides": []int64{int64(stride), int64(stride)}}
	if l.Same {
		attrs["pads"] = samePads(g.last.Shape[1:3], k, stride)
	}
	w := g.weights(name+"/weights", init.draw(g.r, l.Filters, k*k*channels, float64(k*k*channels), float64(k*k*l.Filters)), l.Filters, k, k, channels)
	b := g.weights(name+"/bias", make([]float32, l.Filters), l.Filters)
	if err := g.node(name, "Conv", attrs, 0, w, b); err != nil {
		return err
	}
	return g.activate(name, l.Activation)
}

// samePads are the pads above, left, below and right with which a convolution
// gives size/stride rounded up, the odd one below and right as TensorFlow has it.
func samePads(size []int, k, stride int) []int64 {
	pads := make([]int64, 4)
	for i, n := range size {
		total := max(((n+stride-1)/stride-1)*stride+k-n, 0)
		pads[i], pads[i+2] = int64(total/2), int64(total-total/2)
	}
	return pads
}

func (l MaxPool) add(g *graph) error { return l.pool(g, "MaxPool", "maxpool") }
func (l AvgPool) add(g *graph) error { return MaxPool(l).pool(g, "AveragePool", "avgpool") }

func (l MaxPool) pool(g *graph, op, kind string) error {
	name, err := g.name(l.Name, kind)
	if err != nil {
		return err
	}
	if err := sizes(name, l.Size); err != nil {
		return err
	}
	if err := g.rank(name, 4, needsPicture); err != nil {
		return err
	}
	n := int64(l.Size)
	return g.node(name, op, format.Attrs{"kernel_shape": []int64{n, n}, "strides": []int64{n, n}}, 0)
}

func (l GlobalAverage) add(g *graph) error {
	name, err := g.name(l.Name, "globalavg")
	if err != nil {
		return err
	}
	if err := g.rank(name, 4, needsPicture); err != nil {
		return err
	}
	return g.node(name, "ReduceMean", format.Attrs{"axes": []int64{1, 2}, "keepdims": int64(0)}, 0)
}

func (l Flatten) add(g *graph) error {
	name, err := g.name(l.Name, "flatten")
	if err != nil {
		return err
	}
	return g.reshape(name, 1, g.last.Shape.Elems())
}

func (l Dense) add(g *graph) error {
	name, err := g.name(l.Name, "dense")
	if err != nil {
		return err
	}
	if err := sizes(name, l.Units); err != nil {
		return err
	}
	if err := g.rank(name, 2, "put flatten or globalavg before it"); err != nil {
		return err
	}
	init, err := chosen(name, l.Init)
	if err != nil {
		return err
	}
	in := g.last.Shape[1]
	w := g.weights(name+"/weights", init.draw(g.r, l.Units, in, float64(in), float64(l.Units)), l.Units, in)
	b := g.weights(name+"/bias", make([]float32, l.Units), l.Units)
	if err := g.node(name, "Gemm", format.Attrs{"transB": int64(1)}, 0, w, b); err != nil {
		return err
	}
	return g.activate(name, l.Activation)
}

func (l LSTM) add(g *graph) error {
	name, err := g.name(l.Name, "lstm")
	if err != nil {
		return err
	}
	if err := sizes(name, l.Units); err != nil {
		return err
	}
	if err := g.rank(name, 3, "a series is [1,steps,values]"); err != nil {
		return err
	}
	init, err := chosen(name, l.Init)
	if err != nil {
		return err
	}
	steps, in, h := g.last.Shape[1], g.last.Shape[2], l.Units
	w := g.weights(name+"/weights", init.draw(g.r, 4*h, in, float64(in), float64(4*h)), 1, 4*h, in)
	r := g.weights(name+"/recurrent", Orthogonal.draw(g.r, 4*h, h, 0, 0), 1, 4*h, h)
	bias := make([]float32, 8*h)
	for i := range h { // the gates lie as input, output, forget, cell
		bias[2*h+i] = 1
	}
	b := g.weights(name+"/bias", bias, 1, 8*h)
	if err := g.reshape(name+"/steps", steps, 1, in); err != nil {
		return err
	}
	output, shape := 1, []int{1, h}
	if l.Sequence {
		output, shape = 0, []int{1, steps, h}
	}
	if err := g.node(name, "LSTM", nil, output, w, r, b); err != nil {
		return err
	}
	return g.reshape(name+"/states", shape...)
}

func (l Activated) add(g *graph) error {
	a, ok := activations[l.Kind]
	if !ok {
		return unknownActivation(l.Name, l.Kind)
	}
	name, err := g.name(l.Name, l.Kind)
	if err != nil {
		return err
	}
	return g.node(name, a.op, a.attrs, 0)
}

package grad_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// chain builds a model of layers one behind the other.
type chain struct {
	m      format.Model
	g      format.Graph
	r      *rand.Rand
	last   *format.Tensor
	params []string
}

func newChain(shape ...int) *chain {
	c := &chain{r: rand.New(rand.NewPCG(1, 2)), g: format.Graph{Name: "main"}, last: &format.Tensor{Name: "x", Type: format.Float32, Shape: shape}}
	c.m.Header.Opset = 1
	c.m.Tensors = append(c.m.Tensors, c.last)
	c.g.Inputs = []format.Input{{Tensor: "x"}}
	return c
}

func (c *chain) constant(name string, scale float64, shape ...int) *format.Tensor {
	x := &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	for range x.Shape.Elems() {
		x.Data = binary.LittleEndian.AppendUint32(x.Data, math.Float32bits(float32(scale*c.r.NormFloat64())))
	}
	c.m.Tensors = append(c.m.Tensors, x)
	c.params = append(c.params, name)
	return x
}

func (c *chain) add(op, name string, attrs format.Attrs, more ...*format.Tensor) *format.Tensor {
	n := &format.Node{Name: name, Op: op, Attrs: attrs}
	in := append([]*format.Tensor{c.last}, more...)
	for _, x := range in {
		n.Inputs = append(n.Inputs, x.Name)
	}
	out, err := format.Infer(op, attrs, in)
	if err != nil {
		panic(err)
	}
	n.Outputs = []string{name + "/y"}
	c.last = &format.Tensor{Name: name + "/y", Type: format.Float32, Shape: out[0]}
	c.m.Tensors = append(c.m.Tensors, c.last)
	c.g.Nodes = append(c.g.Nodes, n)
	return c.last
}

func (c *chain) conv(name string, out, k, stride, pad, group int) *format.Tensor {
	cg := c.last.Shape[3] / group
	w := c.constant(name+"/w", math.Sqrt(2/float64(k*k*cg)), out, k, k, cg)
	return c.add("Conv", name, format.Attrs{
		"strides": ints(int64(stride), int64(stride)), "pads": ints(int64(pad), int64(pad), int64(pad), int64(pad)), "group": int64(group),
	}, w, c.constant(name+"/b", 0.01, out))
}

func (c *chain) dense(name string, out int) {
	w := c.constant(name+"/w", math.Sqrt(1/float64(c.last.Shape[1])), out, c.last.Shape[1])
	c.add("Gemm", name, format.Attrs{"transB": int64(1)}, w, c.constant(name+"/b", 0.01, out))
}

func (c *chain) model() *format.Model {
	c.g.Outputs = []string{c.last.Name}
	c.m.Graphs = []*format.Graph{&c.g}
	return &c.m
}

// articleNet is the small network of many tutorials.
func articleNet() *chain {
	c := newChain(1, 28, 28, 1)
	pool := format.Attrs{"kernel_shape": ints(2, 2), "strides": ints(2, 2)}
	c.conv("conv1", 32, 3, 1, 0, 1)
	c.add("Relu", "relu1", nil)
	c.add("MaxPool", "pool1", pool)
	c.conv("conv2", 64, 3, 1, 0, 1)
	c.add("Relu", "relu2", nil)
	c.add("MaxPool", "pool2", pool)
	c.add("Reshape", "flat", format.Attrs{"shape": ints(1, 1600)})
	c.dense("dense1", 128)
	c.add("Relu", "relu3", nil)
	c.dense("dense2", 10)
	return c
}

// tail is the article's network behind its first pooling.
func articleTail() *chain {
	c := newChain(1, 13, 13, 32)
	pool := format.Attrs{"kernel_shape": ints(2, 2), "strides": ints(2, 2)}
	c.conv("conv2", 64, 3, 1, 0, 1)
	c.add("Relu", "relu2", nil)
	c.add("MaxPool", "pool2", pool)
	c.add("Reshape", "flat", format.Attrs{"shape": ints(1, 1600)})
	c.dense("dense1", 128)
	c.add("Relu", "relu3", nil)
	c.dense("dense2", 10)
	return c
}

// mobileNet is MobileNetV2 with its batch normalization folded: inverted residual
// blocks of (expansion, channels, repeats, stride).
func mobileNet(side int) *chain {
	c := newChain(1, side, side, 3)
	relu6 := func(name string) { c.add("Clip", name, format.Attrs{"min": 0.0, "max": 6.0}) }
	c.conv("stem", 32, 3, 2, 1, 1)
	relu6("stem/relu")
	in := 32
	for b, p := range [][4]int{{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}} {
		for i := range p[2] {
			name, stride, start := fmt.Sprint("block", b, i), p[3], c.last
			if i > 0 {
				stride = 1
			}
			if p[0] > 1 {
				c.conv(name+"/expand", in*p[0], 1, 1, 0, 1)
				relu6(name + "/relu")
			}
			c.conv(name+"/depthwise", in*p[0], 3, stride, 1, in*p[0])
			relu6(name + "/relu2")
			c.conv(name+"/project", p[1], 1, 1, 0, 1)
			if i > 0 {
				c.add("Add", name+"/add", nil, start)
			}
			in = p[1]
		}
	}
	c.conv("top", 1280, 1, 1, 0, 1)
	relu6("top/relu")
	c.add("ReduceMean", "pool", format.Attrs{"axes": ints(1, 2)})
	c.add("Reshape", "flat", format.Attrs{"shape": ints(1, 1280)})
	c.dense("head", 10)
	return c
}

// BenchmarkStep is a step of SGD with momentum: forward, loss, backward, update; -cpu
// says on how many threads.
func BenchmarkStep(b *testing.B) {
	for _, net := range []struct {
		name string
		c    *chain
		in   int
	}{{"article", articleNet(), 784}, {"tail", articleTail(), 13 * 13 * 32}, {"mobilenet", mobileNet(224), 224 * 224 * 3}} {
		for _, batch := range []int{1, 16, 64} {
			b.Run(fmt.Sprint(net.name, "/", batch), func(b *testing.B) {
				tape, err := grad.NewTape(net.c.model(), net.c.params, grad.OnThreads(kernels.Best(), runtime.GOMAXPROCS(0)))
				if err != nil {
					b.Fatal(err)
				}
				tape.Reserve(batch)
				n := 0
				for _, p := range net.c.params {
					n += len(tape.Tensor(p).Data)
				}
				params, gradient := make([]float32, n), make([]float32, n)
				opt := grad.NewSGD(n, 0.9, 0)
				at := 0
				for _, p := range net.c.params {
					x := tape.Tensor(p)
					k := copy(params[at:], x.Data)
					x.Bind(params[at:at+k], gradient[at:at+k])
					at += k
				}
				r := rand.New(rand.NewPCG(3, 4))
				x := randoms[float32](r, net.in)
				dz := make([]float32, 10)
				for b.Loop() {
					clear(gradient)
					for i := range batch {
						copy(tape.Tensor("x").Data, x)
						tape.Forward()
						grad.SoftmaxCrossEntropy(dz, tape.Outputs()[0].Data, []int{i % 10}, 1, 10, 0, 1/float32(batch))
						tape.Backward(dz)
					}
					tape.Flush()
					opt.Step(params, gradient, 0.001, n)
					for _, p := range net.c.params {
						tape.Tensor(p).Changed()
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "us/sample")
				b.ReportMetric(float64(tape.Kept()), "B/sample")
			})
		}
	}
}

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// A chain builds a float model of layers one behind the other, whose weights come
// from a list.
type chain struct {
	m       format.Model
	g       format.Graph
	last    *format.Tensor
	weights []float32
	err     error
}

func newChain(weights []float32, shape ...int) *chain {
	c := &chain{g: format.Graph{Name: "main", Inputs: []format.Input{{Tensor: "x"}}}, last: &format.Tensor{Name: "x", Type: format.Float32, Shape: shape}, weights: weights}
	c.m.Header.Opset = 1
	c.m.Tensors = append(c.m.Tensors, c.last)
	return c
}

// constant takes the next weights off the list.
func (c *chain) constant(name string, shape ...int) *format.Tensor {
	x := &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	n := x.Shape.Elems()
	if n > len(c.weights) {
		c.err = fmt.Errorf("%s: %d weights are missing", name, n-len(c.weights))
		return x
	}
	for _, v := range c.weights[:n] {
		x.Data = binary.LittleEndian.AppendUint32(x.Data, math.Float32bits(v))
	}
	c.weights = c.weights[n:]
	c.m.Tensors = append(c.m.Tensors, x)
	return x
}

func (c *chain) add(op, name string, attrs format.Attrs, more ...*format.Tensor) {
	if c.err != nil {
		return
	}
	n := &format.Node{Name: name, Op: op, Attrs: attrs, Outputs: []string{name + "/y"}}
	in := append([]*format.Tensor{c.last}, more...)
	for _, x := range in {
		n.Inputs = append(n.Inputs, x.Name)
	}
	out, err := format.Infer(op, attrs, in)
	if err != nil {
		c.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	c.last = &format.Tensor{Name: n.Outputs[0], Type: format.Float32, Shape: out[0]}
	c.m.Tensors = append(c.m.Tensors, c.last)
	c.g.Nodes = append(c.g.Nodes, n)
}

func (c *chain) conv(name string, out, k, stride, pad, group int) {
	w := c.constant(name+"/w", out, k, k, c.last.Shape[3]/group)
	p, s := int64(pad), int64(stride)
	c.add("Conv", name, format.Attrs{"strides": []int64{s, s}, "pads": []int64{p, p, p, p}, "group": int64(group)}, w, c.constant(name+"/b", out))
}

func (c *chain) dense(name string, out int) {
	w := c.constant(name+"/w", out, c.last.Shape[1])
	c.add("Gemm", name, format.Attrs{"transB": int64(1)}, w, c.constant(name+"/b", out))
}

func (c *chain) block(name string, channels int) {
	c.conv(name, channels, 3, 1, 0, 1)
	c.add("Relu", name+"/relu", nil)
	c.add("MaxPool", name+"/pool", format.Attrs{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}})
}

func (c *chain) flatten(n int) {
	c.add("Reshape", "flat", format.Attrs{"shape": []int64{1, int64(n)}})
}

func (c *chain) model() (*format.Model, error) {
	if c.err == nil && len(c.weights) > 0 {
		c.err = fmt.Errorf("%d weights are left", len(c.weights))
	}
	c.g.Outputs = []string{c.last.Name}
	c.m.Graphs = []*format.Graph{&c.g}
	return &c.m, c.err
}

// article is the small network of many tutorials.
func article(weights []float32) (*format.Model, error) {
	c := newChain(weights, 1, 28, 28, 1)
	c.block("conv1", 32)
	c.block("conv2", 64)
	c.flatten(1600)
	c.dense("dense1", 128)
	c.add("Relu", "dense1/relu", nil)
	c.dense("dense2", 10)
	return c.model()
}

// convnet is that without the hidden dense layer.
func convnet(weights []float32, classes int) (*format.Model, error) {
	c := newChain(weights, 1, 28, 28, 1)
	c.block("conv1", 32)
	c.block("conv2", 64)
	c.flatten(1600)
	c.dense("dense", classes)
	return c.model()
}

// mobileNet is MobileNetV2 with its batch normalization folded, behind an input
// of side x side pixels: inverted residual blocks of (expansion, channels,
// repeats, stride).
func mobileNet(side int) (*format.Model, error) {
	c := newChain(make([]float32, 1<<22), 1, side, side, 3)
	for i := range c.weights {
		c.weights[i] = float32(i*7919%257-128) / 2048
	}
	relu6 := func(name string) { c.add("Clip", name, format.Attrs{"min": 0.0, "max": 6.0}) }
	c.conv("stem", 32, 3, 2, 1, 1)
	relu6("stem/relu")
	in := 32
	for b, p := range [][4]int{{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}} {
		for i := range p[2] {
			name, stride, start := fmt.Sprintf("block%d.%d", b, i), p[3], c.last
			if i > 0 {
				stride = 1
			}
			if p[0] > 1 {
				c.conv(name+"/expand", in*p[0], 1, 1, 0, 1)
				relu6(name + "/expand/relu")
			}
			c.conv(name+"/depthwise", in*p[0], 3, stride, 1, in*p[0])
			relu6(name + "/depthwise/relu")
			c.conv(name+"/project", p[1], 1, 1, 0, 1)
			if i > 0 {
				c.add("Add", name+"/add", nil, start)
			}
			in = p[1]
		}
	}
	c.conv("top", 1280, 1, 1, 0, 1)
	relu6("top/relu")
	c.add("ReduceMean", "pool", format.Attrs{"axes": []int64{1, 2}})
	c.flatten(1280)
	c.dense("head", 10)
	c.weights = nil
	return c.model()
}

// floats reads a raw file of float32.
func floats(path string) ([]float32, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v, nil
}

// accuracy is the fraction of images of which a model names the class.
func accuracy(ctx context.Context, m *format.Model, images [][]byte, class func(i int) int) (float64, error) {
	prog, err := runtime.Compile(m)
	if err != nil {
		return 0, err
	}
	s, right := prog.NewSession(), 0
	for i, x := range images {
		copy(s.Input(0).Bytes(), x)
		if err := s.Run(ctx); err != nil {
			return 0, err
		}
		best, y := 0, s.Output(0).Float32()
		for k, v := range y {
			if v > y[best] {
				best = k
			}
		}
		if best == class(i) {
			right++
		}
	}
	return float64(right) / float64(len(images)), nil
}

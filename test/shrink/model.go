package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
)

// Fashion-MNIST: Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747.
const (
	side    = 28
	classes = 10
)

// images is a part of the data set.
type images struct {
	pixels []byte
	class  []int
}

// load reads the part named train or t10k.
func load(dir, part string) (*images, error) {
	x, err := unzip(filepath.Join(dir, part+"-images-idx3-ubyte.gz"))
	if err != nil {
		return nil, err
	}
	y, err := unzip(filepath.Join(dir, part+"-labels-idx1-ubyte.gz"))
	if err != nil {
		return nil, err
	}
	const imageHeader, labelHeader = 16, 8
	if len(y) < labelHeader || len(x) != imageHeader+(len(y)-labelHeader)*side*side {
		return nil, fmt.Errorf("%s: %d bytes of images and %d of labels do not fit together", dir, len(x), len(y))
	}
	d := &images{pixels: x[imageHeader:]}
	for _, c := range y[labelHeader:] {
		d.class = append(d.class, int(c))
	}
	return d, nil
}

func unzip(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(z)
}

// fill sets x to image i, 0 to 1.
func (d *images) fill(i int, x quant.Sample) error {
	for k, p := range d.pixels[i*side*side:][:side*side] {
		x[0][k] = float32(p) / 255
	}
	return nil
}

// labelled is the first n images.
func (d *images) labelled(n int) quant.Labelled {
	return quant.Labelled{Class: d.class[:min(n, len(d.class))], At: d.fill}
}

// samples yields n images, spread evenly.
func (d *images) samples(n int) quant.Samples {
	x := quant.Sample{make([]float32, side*side)}
	return func(yield func(quant.Sample, error) bool) {
		for i := range n {
			if err := d.fill(i*len(d.class)/n, x); !yield(x, err) {
				return
			}
		}
	}
}

// newNetwork is the small CNN of many tutorials, with random weights (He et al.,
// 2015, arXiv:1502.01852): 3x3 to 32 channels, pool, 3x3 to 64, pool, 128, 10.
func newNetwork(seed uint64) *format.Model {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &format.Model{Header: format.Header{Opset: format.Opset}}
	g := &format.Graph{Name: "main"}
	m.Graphs = []*format.Graph{g}
	tensor := func(name string, data []byte, shape ...int) string {
		m.Tensors = append(m.Tensors, &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: data})
		return name
	}
	weights := func(name string, shape ...int) string {
		n := format.Shape(shape).Elems()
		b := make([]byte, 0, 4*n)
		scale := math.Sqrt(2 / float64(n/shape[0]))
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64()*scale)))
		}
		return tensor(name, b, shape...)
	}
	last := tensor("image", nil, 1, side, side, 1)
	g.Inputs = []format.Input{{Tensor: last}}
	node := func(name, op string, attrs format.Attrs, inputs []string, shape ...int) {
		g.Nodes = append(g.Nodes, &format.Node{Name: name, Op: op, Attrs: attrs, Inputs: append([]string{last}, inputs...), Outputs: []string{tensor(name+"/out", nil, shape...)}})
		last = name + "/out"
	}
	layer := func(name, op string, attrs format.Attrs, w []int, shape ...int) {
		node(name, op, attrs, []string{weights(name+"/w", w...), tensor(name+"/b", make([]byte, 4*w[0]), w[0])}, shape...)
	}
	pool := format.Attrs{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}
	transB := format.Attrs{"transB": int64(1)}
	layer("conv1", "Conv", nil, []int{32, 3, 3, 1}, 1, 26, 26, 32)
	node("relu1", "Relu", nil, nil, 1, 26, 26, 32)
	node("pool1", "MaxPool", pool, nil, 1, 13, 13, 32)
	layer("conv2", "Conv", nil, []int{64, 3, 3, 32}, 1, 11, 11, 64)
	node("relu2", "Relu", nil, nil, 1, 11, 11, 64)
	node("pool2", "MaxPool", pool, nil, 1, 5, 5, 64)
	node("flat", "Reshape", format.Attrs{"shape": []int64{1, 1600}}, nil, 1, 1600)
	layer("dense1", "Gemm", transB, []int{128, 1600}, 1, 128)
	node("relu3", "Relu", nil, nil, 1, 128)
	layer("dense2", "Gemm", transB, []int{classes, 128}, 1, classes)
	node("softmax", "Softmax", format.Attrs{"axis": int64(-1)}, nil, 1, classes)
	g.Outputs = []string{last}
	return m
}

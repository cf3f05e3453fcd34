package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	_ "github.com/whet-edge/whet/runtime/more"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// net builds batch networks; a step takes and returns the name of a tensor.
type net struct {
	t *testing.T
	b *build.Builder
	n int
}

func (n *net) tensor(name string) *format.Tensor { return n.b.Model.Tensor(name) }

func (n *net) op(op string, attrs format.Attrs, typ format.DType, in ...string) string {
	n.t.Helper()
	var list []*format.Tensor
	for _, name := range in {
		list = append(list, n.tensor(name))
	}
	shapes, err := format.Infer(op, attrs, list)
	if err != nil {
		n.t.Fatal(err)
	}
	y := n.b.New(op, typ, shapes[0], nil)
	n.b.Node(y, op, in, []string{y}, attrs)
	return y
}

func (n *net) float(op string, attrs format.Attrs, in ...string) string {
	return n.op(op, attrs, format.Float32, in...)
}

// weights are numbers that differ.
func (n *net) weights(shape ...int) string {
	b := make([]byte, 0, 4*format.Shape(shape).Elems())
	for range format.Shape(shape).Elems() {
		n.n = (n.n*37 + 11) % 101
		v := [4]byte{0, byte(n.n), byte(n.n*3) & 0x7f, 0x3e + byte(n.n%2)<<7}
		b = append(b, v[:]...)
	}
	return n.b.Const("w", format.Float32, shape, nil, b)
}

// conv is a convolution along time, axis 2 of [1,1,T,C].
func (n *net) conv(x string, out, kernel, stride, dilation, before, after int) string {
	c := n.tensor(x).Shape[3]
	return n.float("Conv", format.Attrs{"strides": []int64{1, int64(stride)}, "dilations": []int64{1, int64(dilation)}, "pads": []int64{0, int64(before), 0, int64(after)}},
		x, n.weights(out, 1, kernel, c), n.weights(out))
}

func batch(t *testing.T, frames int, f func(n *net, x string) string) *format.Model {
	n := &net{t: t, b: build.New("main")}
	x := n.b.New("x", format.Float32, format.Shape{1, 1, frames, 2}, nil)
	n.b.Graph.Inputs = []format.Input{{Tensor: x}}
	n.b.Graph.Outputs = []string{f(n, x)}
	if err := format.Check(n.b.Model); err != nil {
		t.Fatal(err)
	}
	return n.b.Model
}

// TestStream turns networks over and compares them bit for bit.
func TestStream(t *testing.T) {
	for name, c := range map[string]struct {
		net   func(n *net, x string) string
		delay int
	}{
		"causal":  {func(n *net, x string) string { return n.conv(x, 3, 3, 1, 1, 2, 0) }, 0},
		"valid":   {func(n *net, x string) string { return n.conv(n.conv(x, 3, 3, 1, 1, 0, 0), 2, 2, 1, 3, 0, 0) }, 5},
		"centred": {func(n *net, x string) string { return n.conv(n.conv(x, 3, 3, 1, 1, 1, 1), 2, 5, 1, 1, 2, 2) }, 3},
		"strided": {func(n *net, x string) string { return n.conv(n.conv(x, 3, 4, 2, 1, 1, 1), 2, 3, 2, 1, 1, 1) }, 1},
		"pool": {func(n *net, x string) string {
			y := n.float("MaxPool", format.Attrs{"kernel_shape": []int64{1, 2}, "strides": []int64{1, 2}}, n.conv(x, 3, 3, 1, 1, 1, 1))
			return n.float("AveragePool", format.Attrs{"kernel_shape": []int64{1, 3}}, y)
		}, 3},
		"residual": {func(n *net, x string) string {
			y := n.float("Relu", nil, n.conv(x, 2, 3, 1, 1, 1, 1))
			return n.conv(n.float("Add", nil, x, y), 2, 3, 1, 2, 2, 2)
		}, 3},
		"padded": {func(n *net, x string) string {
			return n.conv(n.float("Pad", format.Attrs{"pads": []int64{0, 0, 2, 0, 0, 0, 0, 0}}, n.conv(x, 2, 2, 1, 1, 0, 0)), 2, 3, 1, 1, 0, 0)
		}, 1},
		"recurrent": {func(n *net, x string) string {
			y := n.conv(x, 2, 3, 2, 1, 1, 0)
			y = n.float("Reshape", format.Attrs{"shape": []int64{int64(n.tensor(y).Shape[2]), 1, 2}}, y)
			g := n.float("GRU", nil, y, n.weights(1, 9, 2), n.weights(1, 9, 3))
			g = n.float("Transpose", format.Attrs{"perm": []int64{1, 2, 0, 3}}, g)
			return n.conv(n.float("Tanh", nil, g), 2, 3, 1, 1, 0, 0)
		}, 2},
		"heads": {func(n *net, x string) string {
			y := n.float("ReduceMean", format.Attrs{"axes": []int64{3}}, n.conv(x, 4, 3, 1, 1, 1, 1))
			y = n.float("Concat", format.Attrs{"axis": int64(3)}, y, x)
			y = n.float("Reshape", format.Attrs{"shape": []int64{int64(n.tensor(y).Shape[2]), 3}}, y)
			y = n.float("Gemm", format.Attrs{"transB": int64(1)}, y, n.weights(5, 3))
			return n.float("Softmax", nil, n.float("Slice", format.Attrs{"starts": []int64{1}, "ends": []int64{4}, "axes": []int64{1}}, y))
		}, 1},
	} {
		for _, frames := range []int{4, 8, 20} {
			t.Run(fmt.Sprintf("%s/%d", name, frames), func(t *testing.T) {
				m := batch(t, 160, c.net)
				s, outs, err := Convert(m, "x", 2, frames)
				if err != nil {
					t.Fatal(err)
				}
				if outs[0].Delay != c.delay {
					t.Errorf("a delay of %d, want %d", outs[0].Delay, c.delay)
				}
				n, err := Check(m, s, "x", 2, outs)
				if err != nil {
					t.Fatal(err)
				}
				if least := m.Tensor(m.Main().Outputs[0]).Shape[outs[0].Axis] - outs[0].tail - outs[0].Delay; n < least {
					t.Errorf("%d frames were compared, want %d", n, least)
				}
			})
		}
	}
}

func TestRefused(t *testing.T) {
	for want, f := range map[string]func(n *net, x string) string{
		"works along time": func(n *net, x string) string { return n.float("ReduceMean", format.Attrs{"axes": []int64{2}}, x) },
		"no dimension of its own": func(n *net, x string) string {
			return n.float("Reshape", format.Attrs{"shape": []int64{320}}, x)
		},
		"what is there does not count": func(n *net, x string) string {
			return n.float("MaxPool", format.Attrs{"kernel_shape": []int64{1, 3}, "pads": []int64{0, 1, 0, 1}}, x)
		},
		"not a multiple of its stride": func(n *net, x string) string { return n.conv(x, 2, 5, 5, 1, 0, 0) },
		"ahead of its input":           func(n *net, x string) string { return n.conv(x, 2, 3, 1, 1, 4, 0) },
		"frames late": func(n *net, x string) string {
			y := n.float("Reshape", format.Attrs{"shape": []int64{158, 1, 2}}, n.conv(x, 2, 3, 1, 1, 0, 0))
			return n.float("GRU", nil, y, n.weights(1, 9, 2), n.weights(1, 9, 3))
		},
		"sees the whole sequence": func(n *net, x string) string {
			return n.float("MatMul", nil, x, n.float("Transpose", format.Attrs{"perm": []int64{0, 1, 3, 2}}, x))
		},
	} {
		_, _, err := Convert(batch(t, 160, f), "x", 2, 4)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	m := batch(t, 160, func(n *net, x string) string { return n.float("Relu", nil, x) })
	for _, axis := range []int{-1, 0, 9} {
		if _, _, err := Convert(m, "x", axis, 4); err == nil {
			t.Errorf("axis %d was accepted", axis)
		}
	}
	if _, _, err := Convert(m, "nothing", 2, 4); err == nil {
		t.Error("an input that is not there was accepted")
	}
	s, outs, err := Convert(m, "x", 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	outs[0].Delay = 1
	if _, err := Check(m, s, "x", 2, outs); err == nil || !slices.Equal(s.Main().Outputs, m.Main().Outputs) {
		t.Errorf("a wrong delay passes the check: %v", err)
	}
}

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// A chain is a graph whose nodes are run as one program, where passes merge
// them, and one by one, where there is nothing to merge.
type chain struct {
	tensors []*format.Tensor
	nodes   []*format.Node
}

func (c *chain) tensor(name string, typ format.DType, q *format.Quant, shape ...int) {
	c.tensors = append(c.tensors, &format.Tensor{Name: name, Type: typ, Shape: shape, Quant: q})
}

func (c *chain) constant(x *format.Tensor) { c.tensors = append(c.tensors, x) }

func (c *chain) node(op string, attrs format.Attrs, out string, in ...string) {
	c.nodes = append(c.nodes, &format.Node{Name: op + " " + out, Op: op, Attrs: attrs, Inputs: in, Outputs: []string{out}})
}

// model makes a model of some of the nodes. Constants that are fed become inputs.
func (c *chain) model(nodes []*format.Node, out string, fed map[string][]byte) *format.Model {
	m := &format.Model{Header: format.Header{Opset: format.Opset}}
	used := map[string]bool{}
	for _, n := range nodes {
		for _, name := range append(n.Inputs, n.Outputs...) {
			used[name] = true
		}
	}
	g := &format.Graph{Name: "main", Nodes: nodes, Outputs: []string{out}}
	for _, x := range c.tensors {
		if used[x.Name] {
			x := *x
			if fed[x.Name] != nil {
				x.Data = nil
			}
			m.Tensors = append(m.Tensors, &x)
		}
	}
	made := map[string]bool{}
	for _, n := range nodes {
		made[n.Outputs[0]] = true
	}
	for _, x := range m.Tensors {
		if x.Data == nil && !made[x.Name] {
			g.Inputs = append(g.Inputs, format.Input{Tensor: x.Name})
		}
	}
	m.Graphs = []*format.Graph{g}
	return m
}

// steps returns the names of the ops of the merged program, after it has given
// the bytes that the nodes give one by one.
func (c *chain) steps(t *testing.T, input string, data []byte) string {
	t.Helper()
	last := c.nodes[len(c.nodes)-1].Outputs[0]
	values := map[string][]byte{input: data}
	for _, x := range c.tensors {
		if x.Data != nil {
			values[x.Name] = x.Data
		}
	}
	run := func(m *format.Model, out string, l kernels.Level) (*Program, []byte) {
		p, err := Compile(m, WithLevel(l), WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		s := p.NewSession()
		for i, in := range p.Inputs() {
			copy(s.Input(i).Bytes(), values[in.Name])
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return p, bytes.Clone(s.OutputByName(out).Bytes())
	}
	for _, n := range c.nodes {
		var fed map[string][]byte
		if n.Op != "Conv" {
			fed = values
		}
		_, values[n.Outputs[0]] = run(c.model([]*format.Node{n}, n.Outputs[0], fed), n.Outputs[0], kernels.Generic)
	}
	ops := ""
	for _, l := range kernels.Levels() {
		p, got := run(c.model(c.nodes, last, nil), last, l)
		if !bytes.Equal(got, values[last]) {
			t.Fatalf("at %v the merged nodes give %v..., one by one %v...", l, got[:min(32, len(got))], values[last][:min(32, len(got))])
		}
		ops = ""
		for _, s := range p.Steps() {
			ops += s.Op + " "
		}
	}
	return ops
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func wantSteps(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
}

func TestAbsorbPads(t *testing.T) {
	pads := func(p ...int64) format.Attrs { return format.Attrs{"pads": p} }
	q := format.PerTensor(0.1, 5)
	conv := func(pad format.Attrs, convPads []int64, oh, ow int) string {
		c := &chain{}
		c.tensor("x", format.Int8, q, 1, 6, 7, 3)
		h, w := 6+int(pad.Ints("pads")[1]+pad.Ints("pads")[5]), 7+int(pad.Ints("pads")[2]+pad.Ints("pads")[6])
		c.tensor("p", format.Int8, q, 1, h, w, 3)
		c.tensor("y", format.Int8, format.PerTensor(0.3, -7), 1, oh, ow, 4)
		c.constant(arr("w", format.Int8, format.PerTensor(0.01, 0), ints[int8](randomBytes(4*9*3)), 4, 3, 3, 3))
		c.node("Pad", pad, "p", "x")
		c.node("Conv", format.Attrs{"pads": convPads, "strides": []int64{2, 2}}, "y", "p", "w")
		return c.steps(t, "x", randomBytes(6*7*3))
	}
	wantSteps(t, conv(pads(0, 1, 1, 0, 0, 1, 2, 0), []int64{0, 0, 0, 0}, 3, 4), "Conv+Pad ")
	wantSteps(t, conv(pads(0, 3, 2, 0, 0, 3, 3, 0), []int64{1, 1, 0, 0}, 6, 6), "Conv+Pad ")
	one := pads(0, 1, 1, 0, 0, 1, 1, 0)
	one["value"] = 1.0
	wantSteps(t, conv(one, []int64{0, 0, 0, 0}, 3, 4), "Pad Conv ")

	pool := func(relu bool, value float64, pad int64) string {
		c := &chain{}
		c.tensor("x", format.Int8, q, 1, 6, 7, 3)
		c.tensor("a", format.Int8, q, 1, 6, 7, 3)
		c.tensor("r", format.Int8, q, 1, 6, 7, 3)
		p := int(pad)
		c.tensor("p", format.Int8, q, 1, 6+2*p, 7+2*p, 3)
		c.tensor("y", format.Int8, q, 1, (6+2*p-3)/2+1, (7+2*p-3)/2+1, 3)
		c.constant(arr("c", format.Int8, format.PerTensor(0.1, 0), []int8{3}, 1))
		c.node("Add", nil, "a", "x", "c")
		from := "a"
		if relu {
			c.node("Relu", nil, "r", "a")
			from = "r"
		}
		c.node("Pad", format.Attrs{"pads": []int64{0, pad, pad, 0, 0, pad, pad, 0}, "value": value}, "p", from)
		c.node("MaxPool", format.Attrs{"kernel_shape": []int64{3, 3}, "strides": []int64{2, 2}}, "y", "p")
		return c.steps(t, "x", randomBytes(6*7*3))
	}
	wantSteps(t, pool(true, 0, 1), "Add+Relu MaxPool+Pad ")
	wantSteps(t, pool(true, -3, 1), "Add+Relu MaxPool+Pad ")
	wantSteps(t, pool(true, 0.1, 1), "Add+Relu Pad MaxPool ")
	wantSteps(t, pool(false, 0, 1), "Add Pad MaxPool ")
	wantSteps(t, pool(true, 0, 3), "Add+Relu Pad MaxPool ") // a window in nothing but padding
}

func TestFuseSums(t *testing.T) {
	block := func(swap, project, twice bool) string {
		c := &chain{}
		c.tensor("x", format.Int8, format.PerTensor(0.1, 5), 1, 6, 7, 40)
		weights := func(name string, i int) {
			c.constant(arr(name, format.Int8, format.PerTensor(0.01, 0), ints[int8](randomBytes(40*40 + i)[i:]), 40, 1, 1, 40))
		}
		weights("w", 0)
		weights("v", 1)
		residual := "x"
		if project {
			residual = "p"
			c.tensor("p", format.Int8, format.PerTensor(0.2, 9), 1, 6, 7, 40)
			c.node("Conv", nil, "p", "x", "v")
		}
		c.tensor("a", format.Int8, format.PerTensor(0.3, -7), 1, 6, 7, 40)
		c.node("Conv", nil, "a", "x", "w")
		operands := []string{residual, "a"}
		if swap {
			slices.Reverse(operands)
		}
		if twice {
			operands = []string{"a", "a"}
		}
		c.tensor("s", format.Int8, format.PerTensor(0.25, -20), 1, 6, 7, 40)
		c.tensor("y", format.Int8, format.PerTensor(0.25, -20), 1, 6, 7, 40)
		c.node("Add", nil, "s", operands...)
		c.node("Relu", nil, "y", "s")
		return c.steps(t, "x", randomBytes(6*7*40))
	}
	fused, with := "Conv Add+Relu ", "Conv Conv Add+Relu "
	if kernels.AddsResidual(kernels.Levels()[len(kernels.Levels())-1]) {
		fused, with = "Conv+Add+Relu ", "Conv Conv+Add+Relu "
	}
	wantSteps(t, block(false, false, false), fused)
	wantSteps(t, block(true, false, false), fused)
	wantSteps(t, block(false, true, false), with)
	wantSteps(t, block(true, true, false), with)
	wantSteps(t, block(false, false, true), "Conv Add+Relu ")
}

func TestTabulate(t *testing.T) {
	q, s := format.PerTensor(0.05, -3), format.PerTensor(1./256, -128)
	codes := randomBytes(3 * 200)
	silu := func(swap bool) string {
		c := &chain{}
		c.tensor("x", format.Int8, q, 3, 200)
		c.tensor("s", format.Int8, s, 3, 200)
		c.tensor("y", format.Int8, format.PerTensor(0.03, -100), 3, 200)
		c.node("Sigmoid", nil, "s", "x")
		if swap {
			c.node("Mul", nil, "y", "s", "x")
		} else {
			c.node("Mul", nil, "y", "x", "s")
		}
		return c.steps(t, "x", codes)
	}
	wantSteps(t, silu(false), "Sigmoid+Mul ")
	wantSteps(t, silu(true), "Sigmoid+Mul ")

	// x * relu6(x+3) / 6, as exporters spell hard-swish.
	c := &chain{}
	for _, name := range []string{"x", "a", "b", "m", "y"} {
		c.tensor(name, format.Int8, format.PerTensor(0.05, 2), 3, 200)
	}
	c.constant(arr("three", format.Int8, format.PerTensor(0.1, 0), []int8{30}, 1))
	c.constant(arr("six", format.Int8, format.PerTensor(0.1, 0), []int8{60}, 1))
	c.node("Add", nil, "a", "x", "three")
	c.node("Clip", format.Attrs{"min": 0.0, "max": 6.0}, "b", "a")
	c.node("Mul", nil, "m", "x", "b")
	c.node("Div", nil, "y", "m", "six")
	wantSteps(t, c.steps(t, "x", codes), "Add+Clip+Mul+Div ")

	// A constant of many codes makes no table.
	c = &chain{}
	c.tensor("x", format.Int8, q, 3, 200)
	c.tensor("y", format.Int8, q, 3, 200)
	c.constant(arr("many", format.Int8, q, ints[int8](randomBytes(200)), 200))
	c.node("Mul", nil, "y", "x", "many")
	wantSteps(t, c.steps(t, "x", codes), "Mul ")

	f := &chain{}
	for _, name := range []string{"x", "s", "y"} {
		f.tensor(name, format.Float32, nil, 5, 41)
	}
	f.node("Sigmoid", nil, "s", "x")
	f.node("Mul", nil, "y", "s", "x")
	real := make([]float32, 5*41)
	for i := range real {
		real[i] = float32(i-100) / 9
	}
	wantSteps(t, f.steps(t, "x", raw(real)), fmt.Sprint(opSilu, " "))
}

func ints[T any](b []byte) []T { return view[T](b) }

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// arr makes a tensor with a value. In runOp such a tensor becomes an input of
// the graph, or a constant if its name starts with "const".
func arr[T any](name string, typ format.DType, q *format.Quant, v []T, shape ...int) *format.Tensor {
	return &format.Tensor{Name: name, Type: typ, Shape: shape, Quant: q, Data: raw(v)}
}

func f32s(name string, v []float32, shape ...int) *format.Tensor {
	return arr(name, format.Float32, nil, v, shape...)
}

func out(name string, typ format.DType, q *format.Quant, shape ...int) *format.Tensor {
	return &format.Tensor{Name: name, Type: typ, Shape: shape, Quant: q}
}

// runOp runs a graph of one node at the lowest and the best level, on one and
// two threads, demands the same bytes of all and returns them.
func runOp(t *testing.T, op string, attrs format.Attrs, in []*format.Tensor, outs ...*format.Tensor) [][]byte {
	t.Helper()
	g := &format.Graph{Name: "main", Nodes: []*format.Node{{Name: "n", Op: op, Attrs: attrs}}}
	m := &format.Model{Header: format.Header{Opset: format.Opset}, Graphs: []*format.Graph{g}}
	values := map[string][]byte{}
	for _, x := range in {
		if x == nil {
			g.Nodes[0].Inputs = append(g.Nodes[0].Inputs, "")
			continue
		}
		x := *x
		if len(x.Name) < 5 || x.Name[:5] != "const" {
			values[x.Name] = x.Data
			x.Data = nil
			g.Inputs = append(g.Inputs, format.Input{Tensor: x.Name})
		}
		m.Tensors = append(m.Tensors, &x)
		g.Nodes[0].Inputs = append(g.Nodes[0].Inputs, x.Name)
	}
	for _, y := range outs {
		m.Tensors = append(m.Tensors, y)
		g.Outputs = append(g.Outputs, y.Name)
		g.Nodes[0].Outputs = append(g.Nodes[0].Outputs, y.Name)
	}
	if err := format.Check(m); err != nil {
		t.Fatalf("%s: the test's model is wrong: %v", op, err)
	}
	var first [][]byte
	for _, c := range []struct {
		level   kernels.Level
		threads int
	}{{kernels.Generic, 1}, {kernels.Generic, 2}, {kernels.Best(), 1}, {kernels.Best(), 2}} {
		p, err := Compile(m, WithLevel(c.level), WithThreads(c.threads))
		if err != nil {
			t.Fatalf("%s: %v", op, err)
		}
		s := p.NewSession()
		for name, v := range values {
			copy(s.InputByName(name).Bytes(), v)
		}
		for range 2 { // the second run must not see the first
			if err := s.Run(context.Background()); err != nil {
				t.Fatalf("%s: %v", op, err)
			}
		}
		var got [][]byte
		for i := range outs {
			got = append(got, bytes.Clone(s.Output(i).Bytes()))
		}
		if first == nil {
			first = got
		}
		for i := range got {
			if !bytes.Equal(got[i], first[i]) {
				t.Fatalf("%s at %v with %d threads: output %d differs from the portable one", op, c.level, c.threads, i)
			}
		}
		if n := testing.AllocsPerRun(2, func() { s.Run(context.Background()) }); n != 0 {
			t.Errorf("%s: Run allocates %v times", op, n)
		}
		for name, v := range values {
			if !bytes.Equal(s.InputByName(name).Bytes(), v) {
				t.Errorf("%s: Run changed its input %s", op, name)
			}
		}
		s.Close()
	}
	return first
}

// refuses checks that a node does not compile, or that the check before it
// finds the fault.
func refuses(t *testing.T, why, op string, attrs format.Attrs, in []*format.Tensor, outs ...*format.Tensor) {
	t.Helper()
	n := &format.Node{Name: "n", Op: op, Attrs: attrs}
	g := &format.Graph{Name: "main", Nodes: []*format.Node{n}}
	m := &format.Model{Header: format.Header{Opset: format.Opset}, Graphs: []*format.Graph{g}}
	for _, x := range in {
		m.Tensors = append(m.Tensors, x)
		n.Inputs = append(n.Inputs, x.Name)
		if x.Data == nil {
			g.Inputs = append(g.Inputs, format.Input{Tensor: x.Name})
		}
	}
	for _, y := range outs {
		m.Tensors = append(m.Tensors, y)
		n.Outputs = append(n.Outputs, y.Name)
		g.Outputs = append(g.Outputs, y.Name)
	}
	if _, err := Compile(m); err == nil {
		t.Errorf("%s: %s was accepted", op, why)
	}
}

func equalF32(t *testing.T, op string, got []byte, want []float32) {
	t.Helper()
	g := view[float32](got)
	if len(g) != len(want) {
		t.Fatalf("%s: %d elements, want %d", op, len(g), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(g[i] - w)); !(d <= 1e-6*math.Max(1, math.Abs(float64(w)))) {
			t.Fatalf("%s: [%d] = %g, want %g\n got %v\nwant %v", op, i, g[i], w, g, want)
		}
	}
}

func equalInts[T int8 | uint8 | int16 | int32 | int64](t *testing.T, op string, got []byte, want []T) {
	t.Helper()
	if !bytes.Equal(got, raw(want)) {
		t.Fatalf("%s: got %v, want %v", op, view[T](got), want)
	}
}

// quant8 is the code of a real number by the definition.
func quant8(x float64, scale float32, zero int32, lo, hi float64) float64 {
	return min(max(math.RoundToEven(x/float64(scale))+float64(zero), lo), hi)
}

var unaryCases = []struct {
	op    string
	attrs format.Attrs
	f     func(float64) float64
}{
	{"Relu", nil, func(x float64) float64 { return max(x, 0) }},
	{"Clip", format.Attrs{"min": -1.0, "max": 2.0}, func(x float64) float64 { return min(max(x, -1), 2) }},
	{"Clip", format.Attrs{"max": 1.5}, func(x float64) float64 { return min(x, 1.5) }},
	{"Sigmoid", nil, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
	{"Tanh", nil, math.Tanh},
	{"HardSwish", nil, func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 }},
	{"LeakyRelu", format.Attrs{"alpha": 0.25}, func(x float64) float64 { return max(x, x/4) }},
	{"Elu", format.Attrs{"alpha": 0.5}, func(x float64) float64 {
		if x < 0 {
			return 0.5 * math.Expm1(x)
		}
		return x
	}},
	{"Exp", nil, math.Exp},
	{"Abs", nil, math.Abs},
	{"Neg", nil, func(x float64) float64 { return -x }},
	{"Erf", nil, math.Erf},
	{"Gelu", nil, func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }},
	{"Gelu", format.Attrs{"approximate": "tanh"}, func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}},
	{"Log", nil, func(x float64) float64 { return math.Log(x) }},
	{"Sqrt", nil, math.Sqrt},
	{"Rsqrt", nil, func(x float64) float64 { return 1 / math.Sqrt(x) }},
}

func TestUnaryOps(t *testing.T) {
	var x []float32
	var q8 []int8
	var q16 []int16
	for i := range 200 {
		x = append(x, float32(i-80)/20)
		q8 = append(q8, int8(i-100))
		q16 = append(q16, int16(100*(i-100)))
	}
	for _, c := range unaryCases {
		lo := 0
		if c.op == "Log" || c.op == "Sqrt" || c.op == "Rsqrt" { // positive arguments only
			lo = 101
		}
		want := make([]float32, len(x)-lo)
		for i := range want {
			want[i] = float32(c.f(float64(x[lo+i])))
		}
		got := runOp(t, c.op, c.attrs, []*format.Tensor{f32s("x", x[lo:], len(want))}, out("y", format.Float32, nil, len(want)))
		equalF32(t, c.op, got[0], want)

		const sx, zx, sy, zy = float32(0.03), 0, float32(0.02), 7
		got = runOp(t, c.op, c.attrs, []*format.Tensor{arr("x", format.Int8, format.PerTensor(sx, zx), q8[lo:], len(want))},
			out("y", format.Int8, format.PerTensor(sy, zy), len(want)))
		for i, v := range view[int8](got[0]) {
			w := quant8(c.f(float64(sx)*float64(q8[lo+i]-zx)), sy, zy, -128, 127)
			if math.Abs(float64(v)-w) > 1 {
				t.Fatalf("%s of int8: [%d] = %d, want %g", c.op, i, v, w)
			}
		}
		u8 := make([]uint8, len(want))
		for i := range u8 {
			u8[i] = uint8(q8[lo+i]) ^ 0x80
		}
		gotU := runOp(t, c.op, c.attrs, []*format.Tensor{arr("x", format.Uint8, format.PerTensor(sx, zx+128), u8, len(want))},
			out("y", format.Uint8, format.PerTensor(sy, zy+128), len(want)))
		for i, v := range gotU[0] {
			if v^0x80 != got[0][i] {
				t.Fatalf("%s of uint8: [%d] = %d, of int8 %d", c.op, i, v, int8(got[0][i]))
			}
		}
		const s16, t16 = float32(4.0 / 32768), float32(8.0 / 32768)
		got = runOp(t, c.op, c.attrs, []*format.Tensor{arr("x", format.Int16, format.PerTensor(s16, 0), q16[lo:], len(want))},
			out("y", format.Int16, format.PerTensor(t16, 0), len(want)))
		for i, v := range view[int16](got[0]) {
			w := quant8(c.f(float64(s16)*float64(q16[lo+i])), t16, 0, -32768, 32767)
			if math.Abs(float64(v)-w) > 1 {
				t.Fatalf("%s of int16: [%d] = %d, want %g", c.op, i, v, w)
			}
		}
	}
	got := runOp(t, "Neg", nil, []*format.Tensor{arr("x", format.Int32, nil, []int32{3, -4, 0}, 3)}, out("y", format.Int32, nil, 3))
	equalInts(t, "Neg", got[0], []int32{-3, 4, 0})
	got = runOp(t, "Abs", nil, []*format.Tensor{arr("x", format.Int64, nil, []int64{3, -4, 0}, 3)}, out("y", format.Int64, nil, 3))
	equalInts(t, "Abs", got[0], []int64{3, 4, 0})
}

func TestBinaryOps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	fs := map[string]func(a, b float64) float64{
		"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
		"Mul": func(a, b float64) float64 { return a * b }, "Div": func(a, b float64) float64 { return a / b },
		"Max": math.Max, "Min": math.Min, "Pow": math.Pow, "SquaredDifference": func(a, b float64) float64 { return (a - b) * (a - b) },
	}
	for op, f := range fs {
		for _, s := range [][3][]int{{{2, 3, 4}, {2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {4}, {2, 3, 4}}, {{3, 1}, {1, 5}, {3, 5}}, {{1}, {6}, {6}}, {{1, 200, 200}, {1}, {1, 200, 200}}} {
			n, k, size := format.Shape(s[0]).Elems(), format.Shape(s[1]).Elems(), format.Shape(s[2]).Elems()
			a, b := make([]float32, n), make([]float32, k)
			a8, b8 := make([]int8, n), make([]int8, k)
			for i := range a {
				a[i], a8[i] = 0.1+2*r.Float32(), int8(1+r.IntN(120))
			}
			for i := range b {
				b[i], b8[i] = 0.1+2*r.Float32(), int8(1+r.IntN(120))
			}
			// Positions of the operands of an element.
			at := func(shape []int, e int) int {
				p, step := 0, 1
				for d := 1; d <= len(s[2]); d++ {
					i := e % s[2][len(s[2])-d]
					e /= s[2][len(s[2])-d]
					if d <= len(shape) {
						p += min(i, shape[len(shape)-d]-1) * step
						step *= shape[len(shape)-d]
					}
				}
				return p
			}
			want := make([]float32, size)
			for e := range want {
				want[e] = float32(f(float64(a[at(s[0], e)]), float64(b[at(s[1], e)])))
			}
			got := runOp(t, op, nil, []*format.Tensor{f32s("a", a, s[0]...), f32s("const b", b, s[1]...)}, out("y", format.Float32, nil, s[2]...))
			equalF32(t, op, got[0], want)
			if op == "Pow" && s[0][0] == 1 {
				continue
			}
			const sa, za, sb, zb, sy, zy = float32(0.02), -4, float32(0.015), 0, float32(0.05), -11
			got = runOp(t, op, nil, []*format.Tensor{arr("a", format.Int8, format.PerTensor(sa, za), a8, s[0]...), arr("b", format.Int8, format.PerTensor(sb, zb), b8, s[1]...)},
				out("y", format.Int8, format.PerTensor(sy, zy), s[2]...))
			a16, b16 := make([]int16, n), make([]int16, k)
			for i, v := range a8 {
				a16[i] = int16(v) - za
			}
			for i, v := range b8 {
				b16[i] = int16(v)
			}
			got16 := runOp(t, op, nil, []*format.Tensor{arr("a", format.Int16, format.PerTensor(sa, 0), a16, s[0]...), arr("b", format.Int16, format.PerTensor(sb, 0), b16, s[1]...)},
				out("y", format.Int16, format.PerTensor(sy, 0), s[2]...))
			for e := range size {
				v := f(float64(sa)*float64(int(a8[at(s[0], e)])-za), float64(sb)*float64(b8[at(s[1], e)]))
				if w := quant8(v, sy, zy, -128, 127); math.Abs(float64(int8(got[0][e]))-w) > 1 {
					t.Fatalf("%s of int8 %v: [%d] = %d, want %g", op, s, e, int8(got[0][e]), w)
				}
				if w := quant8(v, sy, 0, -32768, 32767); math.Abs(float64(view[int16](got16[0])[e])-w) > 1 {
					t.Fatalf("%s of int16 %v: [%d] = %d, want %g", op, s, e, view[int16](got16[0])[e], w)
				}
			}
		}
	}
	got := runOp(t, "Div", nil, []*format.Tensor{arr("a", format.Int32, nil, []int32{7, -7, 5}, 3), arr("b", format.Int32, nil, []int32{2, 2, 0}, 3)}, out("y", format.Int32, nil, 3))
	equalInts(t, "Div", got[0], []int32{3, -3, 0})
	got = runOp(t, "Add", nil, []*format.Tensor{arr("a", format.Int64, nil, []int64{7, -7, 5}, 3), arr("b", format.Int64, nil, []int64{1 << 40}, 1)}, out("y", format.Int64, nil, 3))
	equalInts(t, "Add", got[0], []int64{7 + 1<<40, -7 + 1<<40, 5 + 1<<40})
}

// TestPlainNumbers goes through the types that hold plain numbers.
func TestPlainNumbers(t *testing.T) {
	for _, typ := range []format.DType{format.Float64, format.Int64, format.Int32, format.Int16, format.Int8, format.Uint64, format.Uint32, format.Uint16, format.Uint8} {
		number := func(v ...float64) []byte {
			b := make([]byte, typ.Bytes(len(v)))
			kernels.Cast(b, numberOf(typ), raw(v), numberOf(format.Float64))
			return b
		}
		in := func() []*format.Tensor {
			return []*format.Tensor{{Name: "a", Type: typ, Shape: format.Shape{2, 2}, Data: number(5, 3, 9, 2)}, {Name: "b", Type: typ, Shape: format.Shape{1, 2}, Data: number(2, 1)}}
		}
		for op, want := range map[string][]byte{
			"Add": number(7, 4, 11, 3), "Sub": number(3, 2, 7, 1), "Mul": number(10, 3, 18, 2), "Max": number(5, 3, 9, 2), "Min": number(2, 1, 2, 1),
			"Pow": number(25, 3, 81, 2), "SquaredDifference": number(9, 4, 49, 1),
		} {
			if got := runOp(t, op, nil, in(), out("y", typ, nil, 2, 2)); !bytes.Equal(got[0], want) {
				t.Errorf("%s of %v: %v, want %v", op, typ, got[0], want)
			}
		}
		if typ == format.Uint64 || typ == format.Uint32 || typ == format.Uint16 {
			continue
		}
		attrs := format.Attrs{"axes": []int64{1}, "keepdims": int64(0)}
		if got := runOp(t, "ReduceSum", attrs, in()[:1], out("y", typ, nil, 2)); !bytes.Equal(got[0], number(8, 11)) {
			t.Errorf("ReduceSum of %v: %v", typ, got[0])
		}
		if got := runOp(t, "ReduceMax", attrs, in()[:1], out("y", typ, nil, 2)); !bytes.Equal(got[0], number(5, 9)) {
			t.Errorf("ReduceMax of %v: %v", typ, got[0])
		}
	}
}

func TestPoolOps(t *testing.T) {
	x := []float32{ // 1x3x3x2, channel 1 is the negative of channel 0
		1, -1, 2, -2, 3, -3,
		4, -4, 5, -5, 6, -6,
		7, -7, 8, -8, 9, -9,
	}
	q := make([]int8, len(x))
	for i, v := range x {
		q[i] = int8(v)
	}
	attrs := format.Attrs{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}, "pads": []int64{0, 0, 1, 1}}
	got := runOp(t, "MaxPool", attrs, []*format.Tensor{f32s("x", x, 1, 3, 3, 2)}, out("y", format.Float32, nil, 1, 2, 2, 2))
	equalF32(t, "MaxPool", got[0], []float32{5, -1, 6, -3, 8, -7, 9, -9})
	got = runOp(t, "AveragePool", attrs, []*format.Tensor{f32s("x", x, 1, 3, 3, 2)}, out("y", format.Float32, nil, 1, 2, 2, 2))
	equalF32(t, "AveragePool", got[0], []float32{3, -3, 4.5, -4.5, 7.5, -7.5, 9, -9})

	pq := format.PerTensor(0.5, 3)
	got = runOp(t, "MaxPool", attrs, []*format.Tensor{arr("x", format.Int8, pq, q, 1, 3, 3, 2)}, out("y", format.Int8, pq, 1, 2, 2, 2))
	equalInts(t, "MaxPool", got[0], []int8{5, -1, 6, -3, 8, -7, 9, -9})
	got = runOp(t, "AveragePool", attrs, []*format.Tensor{arr("x", format.Int8, pq, q, 1, 3, 3, 2)}, out("y", format.Int8, pq, 1, 2, 2, 2))
	equalInts(t, "AveragePool", got[0], []int8{3, -3, 5, -5, 8, -8, 9, -9}) // half away from zero
	u := make([]uint8, len(q))
	for i, v := range q {
		u[i] = uint8(v) ^ 0x80
	}
	uq := format.PerTensor(0.5, 131)
	got = runOp(t, "AveragePool", attrs, []*format.Tensor{arr("x", format.Uint8, uq, u, 1, 3, 3, 2)}, out("y", format.Uint8, uq, 1, 2, 2, 2))
	equalInts(t, "AveragePool", got[0], []uint8{131, 125, 133, 124, 136, 121, 137, 119}) // the same rule on codes that are never negative
	got = runOp(t, "AveragePool", attrs, []*format.Tensor{arr("x", format.Int8, format.PerTensor(1, 0), q, 1, 3, 3, 2)}, out("y", format.Int8, format.PerTensor(0.5, -2), 1, 2, 2, 2))
	equalInts(t, "AveragePool", got[0], []int8{4, -8, 7, -11, 13, -17, 16, -20}) // another scale: no rounding in between
	q16 := make([]int16, len(q))
	for i, v := range q {
		q16[i] = 1000 * int16(v)
	}
	hq := format.PerTensor(0.01, 0)
	got = runOp(t, "AveragePool", attrs, []*format.Tensor{arr("x", format.Int16, hq, q16, 1, 3, 3, 2)}, out("y", format.Int16, hq, 1, 2, 2, 2))
	equalInts(t, "AveragePool", got[0], []int16{3000, -3000, 4500, -4500, 7500, -7500, 9000, -9000})
	got = runOp(t, "MaxPool", attrs, []*format.Tensor{arr("x", format.Int16, hq, q16, 1, 3, 3, 2)}, out("y", format.Int16, hq, 1, 2, 2, 2))
	equalInts(t, "MaxPool", got[0], []int16{5000, -1000, 6000, -3000, 8000, -7000, 9000, -9000})
}

func TestReduceOps(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // 2x3x2
	in := func() []*format.Tensor { return []*format.Tensor{f32s("x", x, 2, 3, 2)} }
	attrs := func(keep int64, axes ...int64) format.Attrs {
		return format.Attrs{"axes": axes, "keepdims": keep}
	}
	equalF32(t, "ReduceMean", runOp(t, "ReduceMean", attrs(0, 1), in(), out("y", format.Float32, nil, 2, 2))[0], []float32{3, 4, 9, 10})
	equalF32(t, "ReduceMean", runOp(t, "ReduceMean", attrs(1, -1, 1), in(), out("y", format.Float32, nil, 2, 1, 1))[0], []float32{3.5, 9.5})
	equalF32(t, "ReduceSum", runOp(t, "ReduceSum", attrs(0, 0, 2), in(), out("y", format.Float32, nil, 3))[0], []float32{18, 26, 34})
	equalF32(t, "ReduceMax", runOp(t, "ReduceMax", attrs(1, 0), in(), out("y", format.Float32, nil, 1, 3, 2))[0], []float32{7, 8, 9, 10, 11, 12})
	q := []int8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	q8 := func() []*format.Tensor {
		return []*format.Tensor{arr("x", format.Int8, format.PerTensor(0.5, -2), q, 2, 3, 2)}
	}
	// Real values are (q+2)/2: means 2.5 3 5.5 6, in units of 0.25 from zero point 1.
	equalInts(t, "ReduceMean", runOp(t, "ReduceMean", attrs(0, 1), q8(), out("y", format.Int8, format.PerTensor(0.25, 1), 2, 2))[0], []int8{11, 13, 23, 25})
	equalInts(t, "ReduceSum", runOp(t, "ReduceSum", attrs(0, 1), q8(), out("y", format.Int8, format.PerTensor(0.5, 0), 2, 2))[0], []int8{15, 18, 33, 36})
	equalInts(t, "ReduceMax", runOp(t, "ReduceMax", attrs(0, 0), q8(), out("y", format.Int8, format.PerTensor(0.5, -2), 3, 2))[0], []int8{7, 8, 9, 10, 11, 12})
	i32 := []int32{1, -2, 3, 4}
	equalInts(t, "ReduceSum", runOp(t, "ReduceSum", attrs(0, 0), []*format.Tensor{arr("x", format.Int32, nil, i32, 4)}, out("y", format.Int32, nil))[0], []int32{6})
	equalInts(t, "ReduceMax", runOp(t, "ReduceMax", attrs(0, 0), []*format.Tensor{arr("x", format.Int32, nil, i32, 4)}, out("y", format.Int32, nil))[0], []int32{4})
	q16 := []int16{100, 200, 300, -600}
	equalInts(t, "ReduceMean", runOp(t, "ReduceMean", attrs(0, 0), []*format.Tensor{arr("x", format.Int16, format.PerTensor(0.1, 0), q16, 4)}, out("y", format.Int16, format.PerTensor(0.05, 0)))[0], []int16{0})
}

func TestSoftmaxOps(t *testing.T) {
	x := []float32{1, 2, 3, -1, 0, 5}
	var soft, logs []float32
	for r := 0; r < 6; r += 3 {
		s := 0.0
		for _, v := range x[r : r+3] {
			s += math.Exp(float64(v))
		}
		for _, v := range x[r : r+3] {
			soft, logs = append(soft, float32(math.Exp(float64(v))/s)), append(logs, float32(float64(v)-math.Log(s)))
		}
	}
	attrs := format.Attrs{"axis": int64(-1)}
	equalF32(t, "Softmax", runOp(t, "Softmax", attrs, []*format.Tensor{f32s("x", x, 2, 3)}, out("y", format.Float32, nil, 2, 3))[0], soft)
	equalF32(t, "LogSoftmax", runOp(t, "LogSoftmax", attrs, []*format.Tensor{f32s("x", x, 2, 3)}, out("y", format.Float32, nil, 2, 3))[0], logs)
	q, q16 := make([]int8, 6), make([]int16, 6)
	for i, v := range x {
		q[i], q16[i] = int8(10*v+3), int16(1000*v)
	}
	in8 := func() []*format.Tensor {
		return []*format.Tensor{arr("x", format.Int8, format.PerTensor(0.1, 3), q, 2, 3)}
	}
	for _, c := range []struct {
		op   string
		want []float32
		s    float32
		z    int32
		s16  float32
		z16  int32
	}{{"Softmax", soft, 1.0 / 256, -128, 1.0 / 65536, -32768}, {"LogSoftmax", logs, 16.0 / 256, 127, 16.0 / 65536, 32767}} {
		a := view[int8](runOp(t, c.op, attrs, in8(), out("y", format.Int8, format.PerTensor(c.s, c.z), 2, 3))[0])
		b := view[int16](runOp(t, c.op, attrs, in8(), out("y", format.Int16, format.PerTensor(c.s16, c.z16), 2, 3))[0])
		d := view[int16](runOp(t, c.op, attrs, []*format.Tensor{arr("x", format.Int16, format.PerTensor(0.001, 0), q16, 2, 3)}, out("y", format.Int16, format.PerTensor(c.s16, c.z16), 2, 3))[0])
		for i, w := range c.want {
			if math.Abs(float64(a[i])-quant8(float64(w), c.s, c.z, -128, 127)) > 1 ||
				math.Abs(float64(b[i])-quant8(float64(w), c.s16, c.z16, -32768, 32767)) > 1 ||
				math.Abs(float64(d[i])-quant8(float64(w), c.s16, c.z16, -32768, 32767)) > 1 {
				t.Errorf("%s [%d]: %d, %d, %d for %g", c.op, i, a[i], b[i], d[i], w)
			}
		}
	}
}

func TestMoveOps(t *testing.T) {
	x := []int16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	q := format.PerTensor(0.5, 0)
	in := func(shape ...int) []*format.Tensor {
		return []*format.Tensor{arr("x", format.Int16, q, x, shape...)}
	}
	y := func(shape ...int) *format.Tensor { return out("y", format.Int16, q, shape...) }
	equalInts(t, "Reshape", runOp(t, "Reshape", format.Attrs{"shape": []int64{3, -1}}, in(2, 6), y(3, 4))[0], x)
	equalInts(t, "Transpose", runOp(t, "Transpose", format.Attrs{"perm": []int64{1, 0}}, in(3, 4), y(4, 3))[0], []int16{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11})
	equalInts(t, "Slice", runOp(t, "Slice", format.Attrs{"starts": []int64{1, -3}, "ends": []int64{100, -1}}, in(3, 4), y(2, 2))[0], []int16{5, 6, 9, 10})
	equalInts(t, "Slice", runOp(t, "Slice", format.Attrs{"starts": []int64{-1}, "ends": []int64{math.MinInt64 + 1}, "axes": []int64{1}, "steps": []int64{-2}}, in(3, 4), y(3, 2))[0], []int16{3, 1, 7, 5, 11, 9})
	equalInts(t, "Pad", runOp(t, "Pad", format.Attrs{"pads": []int64{0, 1, 1, 0}, "value": -2.0}, in(3, 4), y(4, 5))[0],
		[]int16{-4, 0, 1, 2, 3, -4, 4, 5, 6, 7, -4, 8, 9, 10, 11, -4, -4, -4, -4, -4})
	equalInts(t, "Pad", runOp(t, "Pad", format.Attrs{"pads": []int64{1, 0, 0, 2}, "mode": "reflect"}, in(3, 4), y(4, 6))[0],
		[]int16{4, 5, 6, 7, 6, 5, 0, 1, 2, 3, 2, 1, 4, 5, 6, 7, 6, 5, 8, 9, 10, 11, 10, 9})
	equalInts(t, "Pad", runOp(t, "Pad", format.Attrs{"pads": []int64{0, 2, 0, 0}, "mode": "edge"}, in(3, 4), y(3, 6))[0],
		[]int16{0, 0, 0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8, 9, 10, 11})
	equalInts(t, "Gather", runOp(t, "Gather", format.Attrs{"axis": int64(1)}, append(in(3, 4), arr("const i", format.Int32, nil, []int32{3, -4, 0}, 3)), y(3, 3))[0],
		[]int16{3, 0, 0, 7, 4, 4, 11, 8, 8})
	equalInts(t, "Gather", runOp(t, "Gather", nil, append(in(3, 4), arr("const i", format.Int64, nil, []int64{2}, 1, 1)), y(1, 1, 4))[0], []int16{8, 9, 10, 11})
	equalInts(t, "Concat", runOp(t, "Concat", format.Attrs{"axis": int64(-1)},
		[]*format.Tensor{arr("a", format.Int16, q, x[:4], 2, 2), arr("b", format.Int16, q, x[6:8], 2, 1)}, y(2, 3))[0], []int16{0, 1, 6, 2, 3, 7})
	got := runOp(t, "Split", format.Attrs{"axis": int64(1), "split": []int64{1, 3}}, in(3, 4), out("a", format.Int16, q, 3, 1), out("b", format.Int16, q, 3, 3))
	equalInts(t, "Split", got[0], []int16{0, 4, 8})
	equalInts(t, "Split", got[1], []int16{1, 2, 3, 5, 6, 7, 9, 10, 11})

	// Every element size moves.
	equalInts(t, "Transpose", runOp(t, "Transpose", format.Attrs{"perm": []int64{1, 0}}, []*format.Tensor{arr("x", format.Bool, nil, []uint8{1, 0, 1, 1}, 2, 2)}, out("y", format.Bool, nil, 2, 2))[0], []uint8{1, 1, 0, 1})
	equalInts(t, "Transpose", runOp(t, "Transpose", format.Attrs{"perm": []int64{1, 0}}, []*format.Tensor{arr("x", format.Int64, nil, []int64{1, 2, 3, 4}, 2, 2)}, out("y", format.Int64, nil, 2, 2))[0], []int64{1, 3, 2, 4})
	uq := format.PerTensor(0.5, 120)
	equalInts(t, "Pad", runOp(t, "Pad", format.Attrs{"pads": []int64{1, 1}, "value": 1.0}, []*format.Tensor{arr("x", format.Uint8, uq, []uint8{7}, 1)}, out("y", format.Uint8, uq, 3))[0], []uint8{122, 7, 122})
	refuses(t, "an index out of range", "Gather", nil, append(in(3, 4), arr("const i", format.Int32, nil, []int32{3}, 1)), y(1, 4))
}

func TestTypeOps(t *testing.T) {
	x := []float32{-1.5, -0.25, 0, 0.25, 0.75, 1000}
	q := format.PerTensor(0.5, 2)
	codes := []int8{-1, 2, 2, 2, 4, 127} // -3, -0.5, 0, 0.5, 1.5 to the even ones
	equalInts(t, "QuantizeLinear", runOp(t, "QuantizeLinear", nil, []*format.Tensor{f32s("x", x, 6)}, out("y", format.Int8, q, 6))[0], codes)
	u := make([]uint8, 6)
	for i, c := range codes {
		u[i] = uint8(c) ^ 0x80
	}
	equalInts(t, "QuantizeLinear", runOp(t, "QuantizeLinear", nil, []*format.Tensor{f32s("x", x, 6)}, out("y", format.Uint8, format.PerTensor(0.5, 130), 6))[0], u)
	equalInts(t, "QuantizeLinear", runOp(t, "QuantizeLinear", nil, []*format.Tensor{f32s("x", x, 6)}, out("y", format.Int16, format.PerTensor(0.001, 0), 6))[0], []int16{-1500, -250, 0, 250, 750, 32767})
	equalInts(t, "QuantizeLinear", runOp(t, "QuantizeLinear", nil, []*format.Tensor{f32s("x", x, 6)}, out("y", format.Int32, format.PerTensor(0.001, 0), 6))[0], []int32{-1500, -250, 0, 250, 750, 1000000})
	back := []float32{-1.5, 0, 0, 0, 1, 62.5}
	equalF32(t, "DequantizeLinear", runOp(t, "DequantizeLinear", nil, []*format.Tensor{arr("x", format.Int8, q, codes, 6)}, out("y", format.Float32, nil, 6))[0], back)
	equalF32(t, "DequantizeLinear", runOp(t, "DequantizeLinear", nil, []*format.Tensor{arr("x", format.Uint8, format.PerTensor(0.5, 130), u, 6)}, out("y", format.Float32, nil, 6))[0], back)
	per := &format.Quant{Scale: []float32{1, 0.5}, Axis: 1}
	equalF32(t, "DequantizeLinear", runOp(t, "DequantizeLinear", nil, []*format.Tensor{arr("x", format.Int8, per, codes, 3, 2)}, out("y", format.Float32, nil, 3, 2))[0], []float32{-1, 1, 2, 1, 4, 63.5})

	to := func(typ format.DType, s float32, z int32) []byte {
		return runOp(t, "Requantize", nil, []*format.Tensor{arr("x", format.Int8, q, codes, 6)}, out("y", typ, format.PerTensor(s, z), 6))[0]
	}
	equalInts(t, "Requantize", to(format.Int8, 1, 0), []int8{-2, 0, 0, 0, 1, 62})
	equalInts(t, "Requantize", to(format.Uint8, 1, 128), []uint8{126, 128, 128, 128, 129, 190})
	equalInts(t, "Requantize", to(format.Uint8, 0.5, 130), u)
	equalInts(t, "Requantize", to(format.Int16, 0.25, 0), []int16{-6, 0, 0, 0, 4, 250})
	equalInts(t, "Requantize", to(format.Int32, 0.125, 1), []int32{-11, 1, 1, 1, 9, 501})
	back16 := runOp(t, "Requantize", nil, []*format.Tensor{arr("x", format.Int16, format.PerTensor(0.25, 0), []int16{-6, 0, 5, 30000}, 4)}, out("y", format.Int8, q, 4))
	equalInts(t, "Requantize", back16[0], []int8{-1, 2, 4, 127})
}

// TestCast goes through all pairs of types on small numbers, which every type
// holds.
func TestCast(t *testing.T) {
	types := []format.DType{format.Float64, format.Float32, format.Float16, format.BFloat16, format.Int64, format.Int32, format.Int16, format.Int8,
		format.Uint64, format.Uint32, format.Uint16, format.Uint8, format.Bool}
	value := func(typ format.DType) []byte { // 0, 1, 3 (true for bool), 64
		switch typ {
		case format.Float64:
			return raw([]float64{0, 1, 3, 64})
		case format.Float32:
			return raw([]float32{0, 1, 3, 64})
		case format.Float16:
			return raw([]uint16{0, 0x3c00, 0x4200, 0x5400})
		case format.BFloat16:
			return raw([]uint16{0, 0x3f80, 0x4040, 0x4280})
		case format.Int64, format.Uint64:
			return raw([]int64{0, 1, 3, 64})
		case format.Int32, format.Uint32:
			return raw([]int32{0, 1, 3, 64})
		case format.Int16, format.Uint16:
			return raw([]int16{0, 1, 3, 64})
		case format.Bool:
			return []byte{0, 1, 1, 1}
		}
		return []byte{0, 1, 3, 64}
	}
	ones := func(typ format.DType) []byte { // of bool: 0, 1, 1, 1
		v, n := value(typ), typ.Bytes(1)
		copy(v[2*n:], v[n:2*n])
		copy(v[3*n:], v[n:2*n])
		return v
	}
	for _, from := range types {
		for _, to := range types {
			if from == format.Bool && to == format.Bool {
				continue
			}
			want := value(to)
			if from == format.Bool {
				want = ones(to)
			}
			got := runOp(t, "Cast", nil, []*format.Tensor{{Name: "x", Type: from, Shape: format.Shape{4}, Data: value(from)}}, out("y", to, nil, 4))
			if !bytes.Equal(got[0], want) {
				t.Errorf("Cast from %v to %v: %v, want %v", from, to, got[0], want)
			}
		}
	}
	got := runOp(t, "Cast", nil, []*format.Tensor{f32s("x", []float32{-1.9, 1e20, float32(math.NaN())}, 3)}, out("y", format.Int32, nil, 3))
	equalInts(t, "Cast", got[0], []int32{-1, math.MaxInt32, 0})
}

func TestRecurrentOps(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	floats := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = 2*r.Float32() - 1
		}
		return x
	}
	const T, N, I, H = 4, 2, 3, 5
	x, w, b := floats(T*N*I), floats(4*H*I), floats(8*H)
	rw, h0, c0 := floats(4*H*H), floats(N*H), floats(N*H)
	sig := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	var wy []float32
	h, c := make([]float64, N*H), make([]float64, N*H)
	for i := range h {
		h[i], c[i] = float64(h0[i]), float64(c0[i])
	}
	for s := range T {
		next := make([]float64, N*H)
		for n := range N {
			for u := range H {
				var g [4]float64
				for k := range g {
					row := k*H + u
					g[k] = float64(b[row]) + float64(b[4*H+row])
					for i := range I {
						g[k] += float64(w[row*I+i]) * float64(x[(s*N+n)*I+i])
					}
					for i := range H {
						g[k] += float64(rw[row*H+i]) * h[n*H+i]
					}
				}
				c[n*H+u] = sig(g[2])*c[n*H+u] + sig(g[0])*math.Tanh(g[3])
				next[n*H+u] = sig(g[1]) * math.Tanh(c[n*H+u])
				wy = append(wy, float32(next[n*H+u]))
			}
		}
		h = next
	}
	got := runOp(t, "LSTM", nil, []*format.Tensor{f32s("x", x, T, N, I), f32s("const w", w, 1, 4*H, I), f32s("const r", rw, 1, 4*H, H), f32s("const b", b, 1, 8*H), nil,
		f32s("h0", h0, 1, N, H), f32s("c0", c0, 1, N, H)},
		out("y", format.Float32, nil, T, 1, N, H), out("h", format.Float32, nil, 1, N, H), out("c", format.Float32, nil, 1, N, H))
	equalF32(t, "LSTM", got[0], wy)
	equalF32(t, "LSTM", got[1], wy[(T-1)*N*H:])
	wc := make([]float32, N*H)
	for i, v := range c {
		wc[i] = float32(v)
	}
	equalF32(t, "LSTM", got[2], wc)

	// SVDF: a filter of memory 2, rank 1, from a state: y = time * (old newest, new).
	state := []float32{9, 2, 9, 3}
	got = runOp(t, "SVDF", format.Attrs{"rank": int64(1)}, []*format.Tensor{f32s("x", []float32{1, 10}, 1, 2), f32s("const f", []float32{1, 1, 2, 0}, 2, 2),
		f32s("const t", []float32{1, 2, 3, 4}, 2, 2), f32s("const b", []float32{0.5, -1}, 2), f32s("s", state, 1, 4)},
		out("y", format.Float32, nil, 1, 2), out("next", format.Float32, nil, 1, 4))
	equalF32(t, "SVDF", got[0], []float32{2 + 22 + 0.5, 9 + 8 - 1})
	equalF32(t, "SVDF", got[1], []float32{2, 11, 3, 2})

	one := format.PerTensor(1, 0)
	got = runOp(t, "SVDF", format.Attrs{"rank": int64(1)}, []*format.Tensor{arr("x", format.Int8, format.PerTensor(1, -1), []int8{0, 9}, 1, 2), arr("const f", format.Int8, one, []int8{1, 1, 2, 0}, 2, 2),
		arr("const t", format.Int8, one, []int8{1, 2, 3, 4}, 2, 2), arr("const b", format.Int32, nil, []int32{4, -1}, 2), arr("s", format.Int8, format.PerTensor(1, 5), []int8{14, 7, 14, 8}, 1, 4)},
		out("y", format.Int8, format.PerTensor(2, 3), 1, 2), out("next", format.Int8, format.PerTensor(1, 5), 1, 4))
	equalInts(t, "SVDF", got[0], []int8{(2+22+4)/2 + 3, (9+8-1)/2 + 3})
	equalInts(t, "SVDF", got[1], []int8{7, 16, 8, 7})
	got = runOp(t, "SVDF", format.Attrs{"rank": int64(1)}, []*format.Tensor{arr("x", format.Int8, format.PerTensor(1, -1), []int8{0, 9}, 1, 2), arr("const f", format.Int8, one, []int8{1, 1, 2, 0}, 2, 2),
		arr("const t", format.Int16, one, []int16{1, 2, 3, 4}, 2, 2), nil, arr("s", format.Int16, one, []int16{9, 2, 9, 3}, 1, 4)},
		out("y", format.Int8, format.PerTensor(2, 3), 1, 2), out("next", format.Int16, one, 1, 4))
	equalInts(t, "SVDF", got[0], []int8{12 + 3, 8 + 3}) // 17/2 is a tie
	equalInts(t, "SVDF", got[1], []int16{2, 11, 3, 2})

	// QLSTM with weights of zero: the gates are sigmoid(bias), so the cell is known.
	zero := func(name string, n, k int) *format.Tensor {
		return arr(name, format.Int8, format.PerTensor(1.0/128, 0), make([]int8, n*k), n, k)
	}
	in := []*format.Tensor{arr("x", format.Int8, format.PerTensor(1.0/128, 0), []int8{5, 6}, 1, 2, 1)}
	for _, k := range []string{"wi", "wf", "wc", "wo", "ri", "rf", "rc", "ro"} {
		in = append(in, zero("const "+k, 1, 1))
	}
	for k, v := range []int32{0, 0, 16384, 0} { // in units of 2^-14: the cell's gate is tanh(1)
		in = append(in, arr(fmt.Sprint("const b", k), format.Int32, nil, []int32{v}, 1))
	}
	hq, cq := format.PerTensor(1.0/128, 0), format.PerTensor(1.0/4096, 0)
	in = append(in, arr("h0", format.Int8, hq, []int8{0}, 1, 1), arr("c0", format.Int16, cq, []int16{4096}, 1, 1))
	got = runOp(t, "QLSTM", nil, in, out("y", format.Int8, hq, 1, 2, 1), out("h", format.Int8, hq, 1, 1), out("c", format.Int16, cq, 1, 1))
	c1 := 0.5 + 0.5*math.Tanh(1)
	c2 := 0.5*c1 + 0.5*math.Tanh(1)
	for i, v := range []float64{c1, c2} {
		if want := 64 * math.Tanh(v); math.Abs(float64(view[int8](got[0])[i])-want) > 0.6 {
			t.Errorf("QLSTM: y[%d] = %d, want %g", i, view[int8](got[0])[i], want)
		}
	}
	if got[1][0] != got[0][1] || math.Abs(float64(view[int16](got[2])[0])-4096*c2) > 4 {
		t.Errorf("QLSTM: final state %d, %d, want %d, %g", got[1][0], view[int16](got[2])[0], got[0][1], 4096*c2)
	}
}

// TestFusedClamp checks that a Relu or Clip that is merged into the node
// before it leaves the same bits as one that is not.
func TestFusedClamp(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	a, b := randI8(r, 4000), randI8(r, 4000)
	for range 50 {
		sa, sb, sy := 0.01+r.Float32()/10, 0.01+r.Float32()/10, 0.01+r.Float32()/10
		qa, qb, qy := format.PerTensor(sa, int32(r.IntN(200)-100)), format.PerTensor(sb, int32(r.IntN(200)-100)), format.PerTensor(sy, int32(r.IntN(200)-100))
		hi := float64(float32(r.IntN(60))*sy) + float64(sy)/2 // ties among them
		build := func(outs ...string) *format.Model {
			return &format.Model{Header: format.Header{Opset: format.Opset},
				Tensors: []*format.Tensor{out("a", format.Int8, qa, 4000), out("b", format.Int8, qb, 4000), out("s", format.Int8, qy, 4000), out("y", format.Int8, qy, 4000)},
				Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "a"}, {Tensor: "b"}}, Outputs: outs, Nodes: []*format.Node{
					{Name: "add", Op: "Add", Inputs: []string{"a", "b"}, Outputs: []string{"s"}},
					{Name: "clip", Op: "Clip", Inputs: []string{"s"}, Outputs: []string{"y"}, Attrs: format.Attrs{"min": 0.0, "max": hi}}}}}}
		}
		var got [2][]byte
		for i, m := range []*format.Model{build("y"), build("y", "s")} { // the second keeps s, so nothing is fused
			p, err := Compile(m, WithThreads(1))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(p.Steps()); n != i+1 {
				t.Fatalf("%d steps, want %d", n, i+1)
			}
			s := p.NewSession()
			copy(s.Input(0).Int8(), a)
			copy(s.Input(1).Int8(), b)
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			got[i] = bytes.Clone(s.Output(0).Bytes())
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Fatalf("clip at %g of scale %g, zero %d: the fused result differs", hi, sy, qy.ZeroPoint())
		}
	}
}

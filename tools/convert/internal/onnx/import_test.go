package onnx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert/internal/bounded"
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

func s(names ...string) []string { return names }

// convert imports a model, which must be sound.
func convert(t *testing.T, b []byte, o Options) *format.Model {
	t.Helper()
	m, err := Import("m.onnx", b, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Check(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// compute runs a model on float32 inputs and returns its first output.
func compute(t *testing.T, m *format.Model, in ...[]float32) []float32 {
	t.Helper()
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	session := p.NewSession()
	defer session.Close()
	for i, x := range in {
		copy(session.Input(i).Float32(), x)
	}
	if err := session.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(session.Output(0).Float32())
}

// opsOf lists the ops of a model in order.
func opsOf(m *format.Model) string {
	var ops []string
	for _, n := range m.Main().Nodes {
		ops = append(ops, n.Op)
	}
	return strings.Join(ops, " ")
}

func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Abs(float64(x-y)) <= 1e-5*max(1, math.Abs(float64(y))) })
}

func ramp(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%7) - 2
	}
	return v
}

// conv1x1 is a graph of two 1x1 convolutions of pictures [1,2,2,2] with the given
// nodes between them.
func conv1x1(between ...msg) graphOf {
	nodes := []msg{op1("Conv", s("x", "w"), s("a"))}
	nodes = append(nodes, between...)
	nodes = append(nodes, op1("Conv", s("b", "w"), s("y")))
	return graphOf{nodes: nodes, stored: []msg{floatsOf("w", []float32{1, 2, 3, 4}, 2, 2, 1, 1), floatsOf("k", []float32{10, 20}, 2, 1, 1)},
		in: []msg{port("x", 1, 1, 2, 2, 2)}, out: []msg{port("y", 1, 1, 2, 2, 2)}}
}

// TestLayout: pictures are transposed where they come in and go out, and not on
// the way, and the numbers are right.
func TestLayout(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8}
	pixel := func(f func(a, b float32, i int) (float32, float32)) []float32 {
		y := make([]float32, 8)
		for i := range 4 {
			a, b := x[i], x[4+i]
			a, b = f(a+2*b, 3*a+4*b, i)
			y[i], y[4+i] = a+2*b, 3*a+4*b
		}
		return y
	}
	for _, c := range []struct {
		name    string
		between []msg
		ops     string
		f       func(a, b float32, i int) (float32, float32)
	}{
		{"elementwise", []msg{op1("Neg", s("a"), s("n")), op1("Mul", s("n", "k"), s("b"))}, "Transpose Conv Neg Mul Conv Transpose",
			func(a, b float32, _ int) (float32, float32) { return -10 * a, -20 * b }},
		{"bias by Add", []msg{op1("Add", s("k", "a"), s("b"))}, "Transpose Conv Conv Transpose",
			func(a, b float32, _ int) (float32, float32) { return a + 10, b + 20 }},
		{"channels exchanged", []msg{op1("Split", s("a"), s("p", "q"), attr("axis", 1)), op1("Concat", s("q", "p"), s("b"), attr("axis", 1))},
			"Transpose Conv Slice Slice Concat Conv Transpose", func(a, b float32, _ int) (float32, float32) { return b, a }},
		{"there and back", []msg{op1("Transpose", s("a"), s("p"), attr("perm", []int{0, 2, 3, 1})), op1("Relu", s("p"), s("q")),
			op1("Transpose", s("q"), s("b"), attr("perm", []int{0, 3, 1, 2}))}, "Transpose Conv Relu Conv Transpose",
			func(a, b float32, _ int) (float32, float32) { return max(a, 0), max(b, 0) }},
		{"sum over the channels", []msg{op1("ReduceMax", s("a"), s("p"), attr("axes", []int{1})), op1("Sub", s("a", "p"), s("b"))},
			"Transpose Conv ReduceMax Sub Conv Transpose", func(a, b float32, _ int) (float32, float32) { m := max(a, b); return a - m, b - m }},
	} {
		m := convert(t, conv1x1(c.between...).model(12), Options{})
		if got := opsOf(m); got != c.ops {
			t.Errorf("%s: %s, want %s", c.name, got, c.ops)
		}
		if got, want := compute(t, m, x), pixel(c.f); !near(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		in, out := m.Tensor("x"), m.Tensor("y")
		if in == nil || out == nil || !in.Shape.Equal(format.Shape{1, 2, 2, 2}) || m.Main().Outputs[0] != "y" {
			t.Errorf("%s: the edge is not the source's", c.name)
		}
	}
}

// TestBatchNorm goes into the weights of the convolution before it.
func TestBatchNorm(t *testing.T) {
	g := conv1x1(op1("BatchNormalization", s("a", "scale", "bias", "mean", "var"), s("b"), attr("epsilon", 0.0)))
	g.stored = append(g.stored, floatsOf("scale", []float32{2, 3}, 2), floatsOf("bias", []float32{1, -1}, 2), floatsOf("mean", []float32{4, 5}, 2), floatsOf("var", []float32{4, 9}, 2))
	m := convert(t, g.model(15), Options{})
	if got := opsOf(m); got != "Transpose Conv Conv Transpose" {
		t.Error(got)
	}
	// The first pixel is 1, 5: then 11, 23, normalized 8, 17, and 42, 92.
	if y := compute(t, m, []float32{1, 2, 3, 4, 5, 6, 7, 8}); !near([]float32{y[0], y[4]}, []float32{42, 92}) {
		t.Errorf("%v", y)
	}
}

// TestQuantized: pairs around an op make it an op on codes, with the numbers that
// whet's own rules give.
func TestQuantized(t *testing.T) {
	q := func(op, x, y, scale, zero string) msg { return op1(op, s(x, scale, zero), s(y), attr("axis", 0)) }
	g := graphOf{nodes: []msg{
		q("QuantizeLinear", "x", "xq", "sx", "zx"), q("DequantizeLinear", "xq", "xf", "sx", "zx"),
		q("DequantizeLinear", "wq", "wf", "sw", "zw"), q("DequantizeLinear", "bq", "bf", "sb", "zb"),
		op1("Conv", s("xf", "wf", "bf"), s("c")), op1("Relu", s("c"), s("r")),
		q("QuantizeLinear", "r", "rq", "sy", "zy"), q("DequantizeLinear", "rq", "y", "sy", "zy"),
	}, stored: []msg{
		floatsOf("sx", []float32{0.5}), raw("zx", 2, []byte{128}), floatsOf("sw", []float32{0.25, 0.5}, 2), raw("zw", 3, []byte{0, 0}, 2),
		raw("wq", 3, []byte{1, 2, 3, 252}, 2, 2, 1, 1), raw("bq", 6, intBytes(format.Int32, []int64{8, -4}), 2),
		floatsOf("sb", []float32{0.125, 0.25}, 2), raw("zb", 6, intBytes(format.Int32, []int64{0, 0}), 2),
		floatsOf("sy", []float32{1}), raw("zy", 2, []byte{0}),
	}, in: []msg{port("x", 1, 1, 2, 1, 1)}, out: []msg{port("y", 1, 1, 2, 1, 1)}}
	m := convert(t, g.model(13), Options{})
	if got := opsOf(m); got != "QuantizeLinear Reshape Requantize Conv Relu Requantize Reshape DequantizeLinear" {
		t.Errorf("ops %s", got)
	}
	for _, n := range m.Main().Nodes {
		if n.Op == "Conv" && (m.Tensor(n.Inputs[0]).Type != format.Int8 || m.Tensor(n.Outputs[0]).Type != format.Int8) {
			t.Error("the convolution is not on codes")
		}
	}
	// x = 3, 5: 0.25·3 + 0.5·5 + 1 = 4.25 and 1.5·3 - 2·5 - 1 = -6.5, rounded and clamped.
	if y := compute(t, m, []float32{3, 5}); !slices.Equal(y, []float32{4, 0}) {
		t.Errorf("%v", y)
	}
}

// TestUnsupported names every node that cannot be converted, and what hangs on
// them is not blamed.
func TestUnsupported(t *testing.T) {
	g := graphOf{nodes: []msg{op1("Nonsense", s("x"), s("a")), op1("Relu", s("a"), s("b")), op1("RandomNormal", nil, s("c")), op1("Reshape", s("b", "c"), s("y"))},
		in: []msg{port("x", 1, "n")}, out: []msg{port("y", 1, 2)}}
	_, err := Import("m.onnx", g.model(17), Options{})
	if err == nil || !strings.Contains(err.Error(), "fixed at n=1; --dim") {
		t.Errorf("error %v", err)
	}
	var u *build.UnsupportedError
	if !errors.As(err, &u) || u.File != "m.onnx" || len(u.Ops) != 2 || u.Ops[0].Op != "Nonsense" || u.Ops[1].Op != "RandomNormal" || u.Ops[1].Node != 2 {
		t.Errorf("error %v", err)
	}
}

// TestShapes computes what depends on shapes during the import.
func TestShapes(t *testing.T) {
	g := graphOf{nodes: []msg{
		op1("Shape", s("x"), s("s")), op1("Gather", s("s", "zero"), s("n")), op1("Unsqueeze", s("n", "axis"), s("n1")),
		op1("Concat", s("n1", "rest"), s("to"), attr("axis", 0)), op1("Reshape", s("x", "to"), s("y")),
	}, stored: []msg{intsOf("zero", []int64{0}), intsOf("axis", []int64{0}, 1), intsOf("rest", []int64{-1}, 1)},
		in: []msg{port("x", 1, "batch", 2, 3)}, out: []msg{port("y", 1, "batch", 6)}}
	m := convert(t, g.model(17), Options{Dims: map[string]int{"batch": 4}})
	if y := m.Tensor("y"); opsOf(m) != "Reshape" || !y.Shape.Equal(format.Shape{4, 6}) || m.Header.Source.Note != "symbolic dimensions fixed at batch=4" {
		t.Errorf("%s, y %v, note %q", opsOf(m), y.Shape, m.Header.Source.Note)
	}
	if m := convert(t, g.model(17), Options{}); !m.Tensor("y").Shape.Equal(format.Shape{1, 6}) {
		t.Errorf("without a size the batch is %v", m.Tensor("y").Shape)
	}
}

// TestConst fixes an input whose value decides a shape or a branch.
func TestConst(t *testing.T) {
	branch := func(op string) msg {
		return graphOf{nodes: []msg{op1(op, s("x"), s("r"))}, out: []msg{port("r", 1, 2)}}.msg()
	}
	g := graphOf{nodes: []msg{op1("Equal", s("rate", "k"), s("c")), op1("If", s("c"), s("y"), attr("then_branch", branch("Neg")), attr("else_branch", branch("Abs")))},
		stored: []msg{intsOf("k", []int64{16000})}, in: []msg{port("x", 1, 2), port("rate", 7)}, out: []msg{port("y", 1, 2)}}
	if m := convert(t, g.model(17), Options{}); !strings.HasSuffix(opsOf(m), "If") || len(m.Graphs) != 3 {
		t.Errorf("ops %s", opsOf(m))
	}
	for rate, want := range map[float64][]float32{16000: {-1, 2}, 8000: {1, 2}} {
		m := convert(t, g.model(17), Options{Const: map[string][]float64{"rate": {rate}}})
		if y := compute(t, m, []float32{1, -2}); len(m.Main().Inputs) != 1 || !slices.Equal(y, want) {
			t.Errorf("rate %g: %v, want %v", rate, y, want)
		}
	}
	if _, err := Import("m", g.model(17), Options{Const: map[string][]float64{"bogus": {1}}}); err == nil || !strings.Contains(err.Error(), "bogus") {
		t.Errorf("error %v", err)
	}
}

// TestFunction expands a function of the file, with its attribute.
func TestFunction(t *testing.T) {
	inner := op1("LeakyRelu", s("u"), s("v"))
	inner = inner.bytes(5, msg{}.str(1, "alpha").str(21, "slope").int(20, attrFloat))
	f := msg{}.str(1, "Leak").str(4, "u").str(5, "v").str(6, "slope").bytes(7, inner).bytes(9, msg{}.int(2, 17)).str(10, "mine")
	call := op1("Leak", s("x"), s("y"), attr("slope", 0.5)).str(7, "mine")
	g := graphOf{nodes: []msg{call}, in: []msg{port("x", 1, 2)}, out: []msg{port("y", 1, 2)}}
	if y := compute(t, convert(t, g.model(17, f), Options{}), []float32{4, -4}); !slices.Equal(y, []float32{4, -2}) {
		t.Errorf("%v", y)
	}
	// One that calls itself ends.
	loop := msg{}.str(1, "Leak").str(4, "u").str(5, "v").bytes(7, op1("Leak", s("u"), s("v")).str(7, "mine")).str(10, "mine")
	if _, err := Import("m", g.model(17, loop), Options{}); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Errorf("error %v", err)
	}
}

// TestStorage: every way to store a tensor.
func TestStorage(t *testing.T) {
	packed := func(num protowire.Number, b []byte, typ int64, dims ...int) []byte {
		return msg{}.int(2, typ).bytes(1, intsVarint(dims)).bytes(num, b)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"float_data", packed(4, floatBytes([]float32{1.5, -2}), 1, 2), "float32 [2] [0 0 192 63 0 0 0 192]"},
		{"int64_data", packed(7, []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 7, 2), "int64 [2] [1 0 0 0 0 0 0 0 255 255 255 255 255 255 255 255]"},
		{"int32_data as int8", packed(5, []byte{5, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 3, 2), "int8 [2] [5 254]"},
		{"int32_data as bool", packed(5, []byte{7, 0}, 9, 2), "bool [2] [1 0]"},
		{"int32_data as float16", packed(5, []byte{0x80, 0x78}, 10, 1), "float16 [1] [0 60]"},
		{"uint64_data as uint32", packed(11, []byte{9}, 12, 1), "uint32 [1] [9 0 0 0]"},
		{"double_data", packed(10, []byte{0, 0, 0, 0, 0, 0, 240, 63}, 11, 1), "float64 [1] [0 0 0 0 0 0 240 63]"},
		{"int32_data as int4", packed(5, []byte{0x21, 3}, 22, 3), "int4 [3] [33 3]"},
		{"raw_data", raw("", 6, []byte{1, 2, 3, 4}, 1), "int32 [1] [1 2 3 4]"},
		{"too short", raw("", 6, []byte{1, 2, 3}, 1), "3 bytes of data"},
		{"too few", packed(4, floatBytes([]float32{1}), 1, 2), "1 elements of data"},
		{"negative", raw("", 1, nil, -1), "too large"},
		{"huge", raw("", 1, nil, 1<<29, 1<<29, 1<<29), "too large"},
		{"text", raw("", 8, nil, 1), "element type string"},
		{"of no type", raw("", 99, nil, 1), "element type 99"},
		{"cut", []byte{0x4a, 9, 1}, "cut off"},
	} {
		x, err := Tensor(c.b)
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(x.Type, x.Shape, x.Data)
		}
		if err == nil && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") || err != nil && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestExternal reads data beside the model, and nothing else.
func TestExternal(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(make([]byte, 8), floatBytes([]float32{3, 4})...), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(outside)
	write(filepath.Join(dir, "w.bin"))
	write(filepath.Join(dir, "sub", "w.bin"))
	for _, err := range []error{os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(filepath.Dir(outside), filepath.Join(dir, "folder")),
		os.Link(outside, filepath.Join(dir, "hard"))} {
		if err != nil {
			t.Skip(err)
		}
	}
	model := func(location, offset, length string) []byte {
		w := msg{}.int(1, 2).int(2, 1).str(8, "w").int(14, 1)
		for _, e := range [][2]string{{"location", location}, {"offset", offset}, {"length", length}} {
			if e[1] != "" {
				w = w.bytes(13, msg{}.str(1, e[0]).str(2, e[1]))
			}
		}
		return graphOf{nodes: []msg{op1("Add", s("x", "w"), s("y"))}, stored: []msg{w}, in: []msg{port("x", 1, 2)}, out: []msg{port("y", 1, 2)}}.model(17)
	}
	for _, c := range []struct{ location, offset, length, err string }{
		{"w.bin", "8", "8", ""}, {"sub/w.bin", "8", "", ""},
		{"w.bin", "12", "", "are wanted"}, {"w.bin", "-1", "", "not a size"}, {"w.bin", "", "4", "takes 8"}, {"w.bin", "9223372036854775807", "", "are wanted"},
		{outside, "8", "", "only files below"}, {"../secret", "8", "", "only files below"}, {"sub/../../secret", "8", "", "only files below"},
		{"link", "8", "", "is a link"}, {"folder/secret", "8", "", "is a link"}, {"hard", "8", "", "further names"},
		{"sub", "", "", "is a link or not a plain file"}, {"none", "", "", "no such file"}, {"", "", "", "without a location"},
	} {
		m, err := Import("m.onnx", model(c.location, c.offset, c.length), Options{Dir: dir})
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%q: %v", c.location, err)
		case c.err == "":
			if y := compute(t, m, []float32{1, 1}); !slices.Equal(y, []float32{4, 5}) {
				t.Errorf("%q: %v", c.location, y)
			}
		case err == nil || !strings.Contains(err.Error(), c.err):
			t.Errorf("%q: error %v, want %s", c.location, err, c.err)
		}
	}
	if _, err := Import("m.onnx", model("w.bin", "8", ""), Options{}); err == nil {
		t.Error("external data was read without a folder")
	}
}

// TestNonFinite: constants that no file can hold are computed.
func TestNonFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	g := graphOf{nodes: []msg{op1("Max", s("x", "k"), s("y"))}, stored: []msg{floatsOf("k", []float32{-inf, inf, 5}, 3)},
		in: []msg{port("x", 1, 3)}, out: []msg{port("y", 1, 3)}}
	if y := compute(t, convert(t, g.model(17), Options{}), []float32{1, 2, 3}); !slices.Equal(y, []float32{1, inf, 5}) {
		t.Errorf("%v", y)
	}
}

// TestSums: transposed convolution and einsum against sums by definition.
func TestSums(t *testing.T) {
	x, w := ramp(2*3*3), ramp(2*2*2*2)
	g := graphOf{nodes: []msg{op1("ConvTranspose", s("x", "w"), s("y"), attr("strides", []int{2, 2}), attr("pads", []int{1, 0, 0, 1}), attr("output_padding", []int{1, 0}))},
		stored: []msg{floatsOf("w", w, 2, 2, 2, 2)}, in: []msg{port("x", 1, 1, 2, 3, 3)}, out: []msg{port("y", 1, 1, 2, 6, 5)}}
	want := make([]float32, 2*6*5)
	for c := range 2 {
		for i := range 3 {
			for j := range 3 {
				for o := range 2 {
					for p := range 2 {
						for q := range 2 {
							if h, v := 2*i+p-1, 2*j+q; h >= 0 && h < 6 && v < 5 {
								want[(o*6+h)*5+v] += x[(c*3+i)*3+j] * w[((c*2+o)*2+p)*2+q]
							}
						}
					}
				}
			}
		}
	}
	if y := compute(t, convert(t, g.model(17), Options{}), x); !near(y, want) {
		t.Errorf("ConvTranspose %v, want %v", y, want)
	}
	a, b := ramp(2*3*4), ramp(2*4*2)
	e := graphOf{nodes: []msg{op1("Einsum", s("a", "b"), s("y"), attr("equation", "bij,bjk->kb"))},
		in: []msg{port("a", 1, 2, 3, 4), port("b", 1, 2, 4, 2)}, out: []msg{port("y", 1, 2, 2)}}
	want = make([]float32, 4)
	for n := range 2 {
		for i := range 3 {
			for j := range 4 {
				for k := range 2 {
					want[k*2+n] += a[(n*3+i)*4+j] * b[(n*4+j)*2+k]
				}
			}
		}
	}
	if y := compute(t, convert(t, e.model(17), Options{}), a, b); !near(y, want) {
		t.Errorf("Einsum %v, want %v", y, want)
	}
}

func seeds() [][]byte {
	return [][]byte{
		conv1x1(op1("Neg", s("a"), s("n")), op1("Mul", s("n", "k"), s("b"))).model(12),
		graphOf{nodes: []msg{op1("Shape", s("x"), s("s")), op1("Reshape", s("x", "s"), s("y"))}, in: []msg{port("x", 1, "n", 2, 3)}, out: []msg{port("y", 1, 2)}}.model(17),
		graphOf{nodes: []msg{op1("Pad", s("x", "p"), s("y")), op1("Slice", s("y", "p", "p"), s("z"))}, stored: []msg{intsOf("p", []int64{1, 2}, 2)},
			in: []msg{port("x", 1, 3)}, out: []msg{port("z", 1, 2)}}.model(17),
		graphOf{nodes: []msg{op1("Resize", s("x", "", "k"), s("y"), attr("mode", "cubic"))}, stored: []msg{floatsOf("k", []float32{1, 1, 2, 2}, 4)},
			in: []msg{port("x", 1, 1, 1, 4, 4)}, out: []msg{port("y", 1, 1, 1, 8, 8)}}.model(17),
		graphOf{nodes: []msg{op1("Einsum", s("x", "x"), s("y"), attr("equation", "...i,...i->..."))}, in: []msg{port("x", 1, 4, 4)}, out: []msg{port("y", 1, 4)}}.model(17),
	}
}

// take imports and, where that succeeds, compiles and runs a model; only a panic, what
// package bounded forbids, or a model that does not pass the check is an error.
func take(t *testing.T, b []byte) {
	var m *format.Model
	var err error
	bounded.Check(t, len(b), func() { m, err = Import("m", b, Options{}) })
	if err != nil {
		if strings.Contains(err.Error(), "corrupt file: ") {
			t.Errorf("panic: %v", err)
		}
		return
	}
	if err := format.Check(m); err != nil {
		return
	}
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil || p.ArenaBytes() > 16<<20 {
		return
	}
	macs := int64(0)
	for _, s := range p.Steps() {
		macs += s.MACs
	}
	if macs > 1<<24 {
		return
	}
	session := p.NewSession()
	defer session.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a loop may have no end
	defer cancel()
	session.Run(ctx)
}

// TestMissing: what is refused has no row, and a reason with a mend.
func TestMissing(t *testing.T) {
	for name, why := range Missing() {
		if _, ok := rows[name]; ok || why == whyNot("NoSuchOperator") {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// TestDamaged damages models at random.
func TestDamaged(t *testing.T) {
	for i, sound := range seeds() {
		for seed := range 400 {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
			b := slices.Clone(sound)
			for range 1 + rng.IntN(3) {
				switch k := rng.IntN(len(b)); rng.IntN(3) {
				case 0:
					b[k] ^= 1 << rng.IntN(8)
				case 1:
					b[k] = byte(rng.IntN(8))
				default:
					b = b[:max(k, 1)]
				}
			}
			take(t, b)
		}
	}
}

// FuzzImport starts from the tests' own models, and from those of the folders in
// WHET_ONNX_TESTS that are small.
func FuzzImport(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	for _, dir := range filepath.SplitList(os.Getenv("WHET_ONNX_TESTS")) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".onnx" {
				return err
			}
			b, err := os.ReadFile(path)
			if err == nil && len(b) <= 8<<10 {
				f.Add(b)
			}
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(take)
}

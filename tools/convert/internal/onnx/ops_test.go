package onnx

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

// one is a graph of one node: inputs as x0, x1 ..., constants behind them.
func one(op string, in []msg, names []string, stored []msg, attrs ...msg) graphOf {
	return graphOf{nodes: []msg{op1(op, names, s("y"), attrs...)}, stored: stored, in: in, out: []msg{port("y", 1)}}
}

// TestOperators computes single operators with results by definition.
func TestOperators(t *testing.T) {
	x4 := port("x", 1, 4)
	for name, c := range map[string]struct {
		g    graphOf
		in   []float32
		want []float32
	}{
		"Col2Im": {one("Col2Im", []msg{port("x", 1, 1, 2, 2)}, s("x", "i", "b"), []msg{intsOf("i", []int64{1, 3}, 2), intsOf("b", []int64{1, 2}, 2)}),
			[]float32{1, 2, 3, 4}, []float32{1, 5, 4}},
		"Det":       {one("Det", []msg{port("x", 1, 3, 3)}, s("x"), nil), []float32{2, 0, 1, 3, 1, 0, 1, 1, 1}, []float32{4}},
		"MaxUnpool": {one("MaxUnpool", []msg{port("x", 1, 1, 1, 2)}, s("x", "i"), []msg{intsOf("i", []int64{1, 2}, 1, 1, 2)}, attr("kernel_shape", []int{2}), attr("strides", []int{2})), []float32{7, 8}, []float32{0, 7, 8, 0}},
		"ReverseSequence": {one("ReverseSequence", []msg{port("x", 1, 3, 2)}, s("x", "l"), []msg{intsOf("l", []int64{2, 3}, 2)}),
			[]float32{1, 2, 3, 4, 5, 6}, []float32{3, 6, 1, 4, 5, 2}},
		"DFT":                       {one("DFT", []msg{port("x", 1, 1, 4, 1)}, s("x"), nil, attr("onesided", 1)), []float32{1, 2, 3, 4}, []float32{10, 0, -2, 2, -2, 0}},
		"STFT":                      {one("STFT", []msg{port("x", 1, 1, 4, 1)}, s("x", "s", "w"), []msg{intsOf("s", []int64{2}), floatsOf("w", []float32{1, 2}, 2)}), []float32{1, 2, 3, 4}, []float32{5, 0, -3, 0, 11, 0, -5, 0}},
		"NegativeLogLikelihoodLoss": {one("NegativeLogLikelihoodLoss", []msg{port("x", 1, 2, 2)}, s("x", "l", "w"), []msg{intsOf("l", []int64{1, 0}, 2), floatsOf("w", []float32{3, 1}, 2)}), []float32{-1, -2, -3, -4}, []float32{11. / 4}},
		"TfIdfVectorizer": {one("TfIdfVectorizer", []msg{port("x", 6, 4)}, s("x"), nil, attr("mode", "TF"), attr("min_gram_length", 1), attr("max_gram_length", 2), attr("max_skip_count", 1),
			attr("ngram_counts", []int{0, 1}), attr("ngram_indexes", []int{1, 0}), attr("pool_int64s", []int{0, 0, 0})), nil, []float32{5, 4}},
		"Einsum diagonal": {one("Einsum", []msg{port("x", 1, 2, 2)}, s("x"), nil, attr("equation", "ii->i")), []float32{1, 2, 3, 4}, []float32{1, 4}},
		"Compress":        {one("Compress", []msg{x4}, s("x", "c"), []msg{raw("c", 9, []byte{0, 1, 0, 1}, 4)}), []float32{1, 2, 3, 4}, []float32{2, 4}},
	} {
		if got := compute(t, convert(t, c.g.model(17), Options{}), c.in); !near(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	indices := graphOf{nodes: []msg{op1("MaxPool", s("x"), s("m", "i"), attr("kernel_shape", []int{2}), attr("strides", []int{2})), op1("Cast", s("i"), s("y"), attr("to", 1))},
		in: []msg{port("x", 1, 1, 2, 4)}, out: []msg{port("y", 1)}}
	if got := compute(t, convert(t, indices.model(17), Options{}), []float32{1, 2, 4, 3, 9, 8, 7, 7}); !slices.Equal(got, []float32{1, 2, 4, 6}) {
		t.Errorf("places of maxima: %v", got)
	}
}

// TestNewest computes operators as the newest opset has them.
func TestNewest(t *testing.T) {
	v4 := []msg{port("x", 1, 1, 1, 4, 1)}
	keys := floatsOf("k", make([]float32, 4), 1, 1, 4, 1) // all alike: a query takes the mean of the values that it sees
	for name, c := range map[string]struct {
		g    graphOf
		in   []float32
		want []float32
	}{
		"window":         {one("Attention", v4, s("k", "k", "x"), []msg{keys}, attr("left_window_size", 1), attr("right_window_size", 1)), []float32{1, 2, 3, 4}, []float32{1.5, 2, 3, 3.5}},
		"causal window":  {one("Attention", v4, s("k", "k", "x"), []msg{keys}, attr("left_window_size", 1), attr("is_causal", 1)), []float32{1, 2, 3, 4}, []float32{1, 1.5, 2.5, 3.5}},
		"right window":   {one("Attention", v4, s("k", "k", "x"), []msg{keys}, attr("right_window_size", 0)), []float32{1, 2, 3, 4}, []float32{1, 1.5, 2, 2.5}},
		"filled window":  {one("Attention", v4, s("k", "k", "x", "", "", "", "n"), []msg{keys, intsOf("n", []int64{3}, 1)}, attr("left_window_size", 1)), []float32{1, 2, 3, 4}, []float32{2, 2, 2, 2.5}},
		"shorter mask":   {one("Attention", v4, s("k", "k", "x", "m"), []msg{keys, floatsOf("m", make([]float32, 8), 4, 2)}), []float32{1, 2, 3, 4}, []float32{1.5, 1.5, 1.5, 1.5}},
		"columns first":  {one("SpaceToDepth", []msg{port("x", 1, 1, 2, 2, 2)}, s("x"), nil, attr("blocksize", 2), attr("mode", "CRD")), []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{1, 2, 3, 4, 5, 6, 7, 8}},
		"blocks first":   {one("SpaceToDepth", []msg{port("x", 1, 1, 2, 2, 2)}, s("x"), nil, attr("blocksize", 2)), []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{1, 5, 2, 6, 3, 7, 4, 8}},
		"gated":          {one("SwiGLU", []msg{port("x", 1, 2)}, s("x", "b"), []msg{floatsOf("b", []float32{5, 2}, 2)}), []float32{0, 1}, []float32{0, 1.4621172}},
		"global 1-norms": {one("GlobalLpPool", []msg{port("x", 1, 1, 1, 2, 2)}, s("x"), nil, attr("p", 1)), []float32{1, -2, 3, -4}, []float32{10}},
	} {
		if got := compute(t, convert(t, c.g.model(maxOpset), Options{}), c.in); !near(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestWave: cosines and sines are those of the standard library.
func TestWave(t *testing.T) {
	for n := 1; n < 50; n++ {
		for k := range n {
			c, s := wave(k, n)
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(n))
			if math.Abs(c-cos) > 3e-15 || math.Abs(s-sin) > 3e-15 {
				t.Errorf("%d/%d: %g %g, want %g %g", k, n, c, s, cos, sin)
			}
		}
	}
}

// TestLive has a chain behind NonZero: what there is of it comes out, no more.
func TestLive(t *testing.T) {
	g := graphOf{nodes: []msg{op1("NonZero", s("x"), s("p")), op1("Transpose", s("p"), s("q")), op1("GatherND", s("x", "q"), s("v")), op1("Mul", s("v", "k"), s("y")),
		op1("Shape", s("y"), s("n"))}, stored: []msg{floatsOf("k", []float32{10}, 1)}, in: []msg{port("x", 1, 2, 3)}, out: []msg{port("y", 1, "n"), port("n", 7, 1)}}
	p, err := runtime.Compile(convert(t, g.model(17), Options{}), runtime.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	session := p.NewSession()
	defer session.Close()
	for _, c := range [][2][]float32{{{0, 1, 0, 2, 0, 3}, {10, 20, 30}}, {{0, 0, 0, 0, 0, 0}, {}}, {{1, 1, 1, 1, 1, 1}, {10, 10, 10, 10, 10, 10}}} {
		copy(session.Input(0).Float32(), c[0])
		if err := session.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := session.Output(0).Float32(); !slices.Equal(got, c[1]) || session.Output(1).Int64()[0] != int64(len(c[1])) {
			t.Errorf("%v: %v, %v", c[0], got, session.Output(1).Int64())
		}
	}
	g.nodes[3] = op1("ReduceSum", s("v"), s("y"), attr("keepdims", 0))
	if _, err := Import("m", g.model(12), Options{}); err == nil || !strings.Contains(err.Error(), "room that is not used") {
		t.Errorf("a sum over what may not be there: %v", err)
	}
}

// loopOf is a Loop of n rounds, or while the sum is below 9: v + x in each.
func loopOf(n string, stop bool) graphOf {
	cond := op1("Identity", s("c"), s("more"))
	if stop {
		cond = op1("Less", s("total", "limit"), s("more"))
	}
	body := graphOf{nodes: []msg{op1("Add", s("v", "x"), s("w")), op1("ReduceSum", s("w"), s("total"), attr("keepdims", 0)), cond},
		stored: []msg{floatsOf("limit", []float32{9})}, in: []msg{port("i", 7), port("c", 9), port("v", 1, 2)}, out: []msg{port("more", 9), port("w", 1, 2), port("w", 1, 2)}}
	return graphOf{nodes: []msg{op1("Loop", s(n, "", "x"), s("y", "all"), attr("body", body.msg()))}, stored: []msg{intsOf("few", []int64{3}), intsOf("many", []int64{100})},
		in: []msg{port("x", 1, 2)}, out: []msg{port("all", 1), port("y", 1)}}
}

// TestLoop writes short loops out, runs long ones, and those whose end is computed.
func TestLoop(t *testing.T) {
	x := []float32{1, 0.5}
	for _, c := range []struct {
		g      graphOf
		ops    string
		graphs int
		rows   int
	}{{loopOf("few", false), "Add", 1, 3}, {loopOf("many", false), "Loop", 2, 100}, {loopOf("few", true), "Loop", 2, 3}, {loopOf("many", true), "Loop", 2, 5}} {
		m := convert(t, c.g.model(12), Options{})
		if !strings.Contains(opsOf(m), c.ops) || len(m.Graphs) != c.graphs {
			t.Errorf("%s: %s in %d graphs", c.ops, opsOf(m), len(m.Graphs))
		}
		want := make([]float32, 0, 2*c.rows)
		for i := range c.rows {
			want = append(want, float32(i+2), float32(i+2)/2)
		}
		if got := compute(t, m, x); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.ops, got, want)
		}
	}
}

// TestScan runs a body over 100 columns, from the last.
func TestScan(t *testing.T) {
	body := graphOf{nodes: []msg{op1("Add", s("a", "e"), s("b")), op1("Mul", s("b", "k"), s("o"))}, in: []msg{port("a", 1, 2), port("e", 1, 2)}, out: []msg{port("b", 1, 2), port("o", 1, 2)}}
	for _, n := range []int{4, 100} {
		g := graphOf{nodes: []msg{op1("Relu", s("x"), s("r")), op1("ReduceMax", s("r"), s("k"), attr("axes", []int{1}), attr("keepdims", 0)),
			op1("Scan", s("zero", "x"), s("last", "y"), attr("body", body.msg()), attr("num_scan_inputs", 1), attr("scan_input_axes", []int{1}), attr("scan_input_directions", []int{1}), attr("scan_output_axes", []int{-1}))},
			stored: []msg{floatsOf("zero", []float32{0, 0}, 2)}, in: []msg{port("x", 1, 2, n)}, out: []msg{port("y", 1, 2, n)}}
		x := ramp(2 * n)
		var want [2][]float32
		for r := range 2 {
			sum := float32(0)
			for i := n - 1; i >= 0; i-- {
				sum += x[r*n+i]
				want[r] = append(want[r], sum*slices.Max(x[r*n:][:n]))
			}
		}
		if got := compute(t, convert(t, g.model(12), Options{}), x); !slices.Equal(got, slices.Concat(want[0], want[1])) {
			t.Errorf("%d columns: %v, want %v", n, got, want)
		}
	}
}

// TestRounds takes a GRU apart whose activations are others, over 70 rounds, and
// compares it with the products by definition.
func TestRounds(t *testing.T) {
	const n = 70
	w, r := []float32{0.5, -0.25, 1}, []float32{0.25, 0.5, -1}
	g := graphOf{nodes: []msg{op1("GRU", s("x", "w", "r"), s("", "y"), attr("hidden_size", 1), attr("clip", 0.75),
		msg{}.str(1, "activations").str(9, "HardSigmoid").str(9, "Relu").int(20, attrStrings))},
		stored: []msg{floatsOf("w", w, 1, 3, 1), floatsOf("r", r, 1, 3, 1)}, in: []msg{port("x", 1, n, 1, 1)}, out: []msg{port("y", 1, 1, 1, 1)}}
	x, h := ramp(n), float32(0)
	clip := func(v float32) float32 { return min(max(v, -0.75), 0.75) }
	hard := func(v float32) float32 { return min(max(0.2*clip(v)+0.5, 0), 1) }
	for _, v := range x {
		z, k := hard(w[0]*v+r[0]*h), hard(w[1]*v+r[1]*h)
		h = (1-z)*max(clip(w[2]*v+r[2]*(k*h)), 0) + z*h
	}
	m := convert(t, g.model(14), Options{})
	if got := compute(t, m, x); !near(got, []float32{h}) || !strings.Contains(opsOf(m), "Loop") {
		t.Errorf("%v, want %v; %s", got, h, opsOf(m))
	}
}

// TestNoSize has an output without elements.
func TestNoSize(t *testing.T) {
	g := one("Slice", []msg{port("x", 1, 4)}, s("x", "from", "to"), []msg{intsOf("from", []int64{4}, 1), intsOf("to", []int64{9}, 1)})
	p, err := runtime.Compile(convert(t, g.model(17), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	session := p.NewSession()
	defer session.Close()
	if err := session.Run(context.Background()); err != nil || !session.Output(0).Shape.Equal(format.Shape{0}) || len(session.Output(0).Bytes()) != 0 {
		t.Errorf("%v %v", session.Output(0).Shape, err)
	}
}

// TestEveryRow gives every operator inputs of every rank, stored and not, of floats
// and of integers, without attributes: it may refuse them, and must not fall over.
func TestEveryRow(t *testing.T) {
	for _, name := range Operators() {
		domain, op := "", name
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			domain, op = name[:i], name[i+1:]
		}
		for rank := range 6 {
			shape := slices.Repeat([]int{2}, rank)
			var dims []any
			for _, d := range shape {
				dims = append(dims, d)
			}
			n := 1 << rank
			for kind := range 4 {
				var g graphOf
				var names []string
				for i := range rows[name].inputs + 2 {
					in := string(rune('a' + i))
					names = append(names, in)
					switch floats := kind%2 == 0; {
					case kind < 2 && i == 0 && floats:
						g.in = append(g.in, port(in, 1, dims...))
					case kind < 2 && i == 0:
						g.in = append(g.in, port(in, 7, dims...))
					case floats:
						g.stored = append(g.stored, floatsOf(in, ramp(n), shape...))
					default:
						g.stored = append(g.stored, intsOf(in, slices.Repeat([]int64{1}, n), shape...))
					}
				}
				node := op1(op, names, s("y"))
				if domain != "" {
					node = node.str(7, domain)
				}
				g.nodes, g.out = []msg{node}, []msg{port("y", 1)}
				take(t, g.model(17))
				take(t, g.model(9))
			}
		}
	}
}

// TestMatMulNBits: weights of blocks stay codes; -scale and zero points want 8 bits.
func TestMatMulNBits(t *testing.T) {
	x := make([]float32, 16)
	x[0], x[1], x[15] = 1, 2, 1
	for _, c := range []struct {
		scale float32
		typ   format.DType
		want  float32 // codes 0, 1 and 15 less 8, by scale
	}{{0.5, format.Int4, 0.5 * (-8 + 2*-7 + 7)}, {-0.5, format.Int8, -0.5 * (-8 + 2*-7 + 7)}} {
		g := graphOf{nodes: []msg{op1("MatMulNBits", s("x", "b", "s"), s("y"), attr("K", 16), attr("N", 1), attr("bits", 4), attr("block_size", 16)).str(7, "com.microsoft")},
			stored: []msg{raw("b", 2, []byte{0x10, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0xf8}, 1, 1, 8), floatsOf("s", []float32{c.scale}, 1)},
			in:     []msg{port("x", 1, 1, 16)}, out: []msg{port("y", 1, 1, 1)}}
		m := convert(t, g.model(17), Options{})
		if got := opsOf(m); got != "DequantizeLinear Gemm" {
			t.Errorf("ops %s", got)
		}
		if w := m.Tensor(m.Main().Nodes[0].Inputs[0]); w.Type != c.typ || w.Quant.Block != 16 {
			t.Errorf("weights of %v in blocks of %d", w.Type, w.Quant.Block)
		}
		if y := compute(t, m, x); !near(y, []float32{c.want}) {
			t.Errorf("%v, want %v", y, c.want)
		}
	}
}

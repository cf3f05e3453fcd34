package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// oddFloats are values at which vector and scalar code tend to differ.
var oddFloats = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.625, -0.625, 0.34657359, -0.34657359, 4, -4, 3.9999998, 9.1, 9.0999, -9.2,
	88.9, 89, 89.1, -103.9, -104, -104.1, 127, -128, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
	math.SmallestNonzeroFloat32, 1e-38, -1e-38, 1.1754944e-38, 1e-20, 0.70710677, 0.70710683, 1.4142135}

func (m *memory) floats(n int, scale float64) []float32 {
	x := take[float32](m, n)
	for i := range x {
		x[i] = float32(m.r.NormFloat64() * scale)
		if m.r.IntN(8) == 0 {
			x[i] = oddFloats[m.r.IntN(len(oddFloats))]
		}
	}
	return x
}

func (m *memory) codes(n int) []int8 {
	x := take[int8](m, n)
	for i := range x {
		x[i] = int8(m.r.IntN(256) - 128)
	}
	return x
}

func (m *memory) params() QParams {
	return QParams{float32(math.Exp2(m.r.Float64()*12 - 6)), int32(m.r.IntN(256) - 128)}
}

// length is around the vectors' mostly, and sometimes more than a chunk.
func (m *memory) length() int {
	if m.r.IntN(40) == 0 {
		return chunk - 20 + m.r.IntN(100)
	}
	return m.r.IntN(150)
}

// sameCodeRow and sameRow compare results bit for bit; any NaN equals any NaN.
func sameCodeRow(t *testing.T, what string, got, want []int8) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: element %d of %d is %d, want %d", what, i, len(want), got[i], want[i])
		}
	}
}

func sameRow(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d of %d is %g, want %g", what, i, len(want), got[i], want[i])
		}
	}
}

func TestUnaryLevels(t *testing.T) {
	atLevels(t, 100, func(t *testing.T, l Level, m *memory) {
		n := m.length()
		x := m.floats(n, []float64{0.1, 1, 10, 60}[m.r.IntN(4)])
		got, want := take[float32](m, n), make([]float32, n)
		for op := Relu; op <= Silu; op++ {
			u := Unary{Op: op, A: -0.7, B: 1.3}
			ApplyUnaryAt(l, u, UnaryFunc[float32](u), got, x)
			ApplyUnary(u, want, x)
			sameRow(t, fmt.Sprintf("function %d", op), got, want)
		}
	})
}

// operands is the shapes of the operands of a random broadcast.
func (m *memory) operands() (a, b []int) {
	h, c := 1+m.r.IntN(5), 1+m.r.IntN(70)
	switch m.r.IntN(6) {
	case 0:
		return []int{m.length()}, []int{1}
	case 1:
		return []int{1}, []int{m.length()}
	case 2:
		return []int{h, 3, c}, []int{c}
	case 3:
		return []int{h, 1, c}, []int{h, 4, 1}
	}
	n := m.length()
	return []int{n}, []int{n}
}

func TestBinaryLevels(t *testing.T) {
	atLevels(t, 300, func(t *testing.T, l Level, m *memory) {
		sa, sb := m.operands()
		c, err := NewBcast(sa, sb)
		if err != nil {
			t.Fatal(err)
		}
		n := c.Elems
		from := m.r.IntN(n + 1)
		x, y := m.floats(product(sa), 3), m.floats(product(sb), 3)
		got, want := take[float32](m, n), make([]float32, n)
		lo, hi := -inf32, inf32
		if m.r.IntN(2) == 0 {
			lo, hi = 0, 6
		}
		if len(y) == 1 && m.r.IntN(2) == 0 {
			y[0] = 2 // a square
		}
		for op := Add; op <= SquaredDifference; op++ {
			for _, r := range [][2]int{{0, from}, {from, n}} {
				Arith(l, op, c, got, x, y, lo, hi, r[0], r[1])
			}
			Binary(op, c, want, x, y, 0, n)
			for i := range want {
				want[i] = clampFloat(want[i], lo, hi)
			}
			sameRow(t, fmt.Sprintf("function %d of %v and %v", op, sa, sb), got, want)
		}

		a, b := m.codes(product(sa)), m.codes(product(sb))
		q8, w8 := take[int8](m, n), make([]int8, n)
		least, most := int32(-128), int32(127)
		if m.r.IntN(2) == 0 {
			least = int32(m.r.IntN(100) - 128)
		}
		for op := Add; op <= SquaredDifference; op++ {
			q := NewQBinary(op, c, m.params(), m.params(), m.params(), least, most)
			q.Run(w8, a, b, 0, n)
			q.Level = l
			for _, r := range [][2]int{{0, from}, {from, n}} {
				q.Run(q8, a, b, r[0], r[1])
			}
			sameCodeRow(t, fmt.Sprintf("%+v of codes %v and %v", op, sa, sb), q8, w8)
		}
	})
}

func TestCodeLevels(t *testing.T) {
	atLevels(t, 300, func(t *testing.T, l Level, m *memory) {
		n := m.length()
		if m.r.IntN(60) == 0 {
			n = 16*chunk*(1+m.r.IntN(2)) + m.r.IntN(40)
		}
		x, a := m.floats(n, []float64{0.1, 1, 10, 60}[m.r.IntN(4)]), m.codes(n)
		got, want := take[int8](m, n), make([]int8, n)
		s1, z1 := QuantizeRowAt(l, got, x)
		s2, z2 := QuantizeRow(want, x)
		sameRow(t, "scale of a row", []float32{s1, float32(z1)}, []float32{s2, float32(z2)})
		sameCodeRow(t, "row", got, want)

		p := m.params()
		af := PerTensor(n, p.Scale, p.Zero)
		Quantize(&af, want, x)
		at := af
		at.Level = l
		Quantize(&at, got, x)
		sameCodeRow(t, "quantized", got, want)
		f, g := take[float32](m, n), make([]float32, n)
		Dequantize(&af, g, a)
		Dequantize(&at, f, a)
		sameRow(t, "dequantized", f, g)

		u, v := take[byte](m, n), take[byte](m, n)
		for i := range v {
			v[i] = byte(a[i])
		}
		FlipSigns(l, u, v)
		for i := range v {
			if u[i] != v[i]+128 {
				t.Fatalf("%#x flipped is %#x", v[i], u[i])
			}
		}

		table := (*Table8)(take[int8](m, 256))
		for i := range table {
			table[i] = int8(m.r.IntN(256))
		}
		table.Apply(want, a)
		table.ApplyAt(l, got, a)
		sameCodeRow(t, "looked up", got, want)
		table.ApplyAt(l, a, a)
		sameCodeRow(t, "looked up in place", a, want)
	})
}

// pooling returns a random pooling with windows inside and over the edges.
func (m *memory) pooling() PoolShape {
	s := PoolShape{N: 1 + m.r.IntN(2), H: 1 + m.r.IntN(8), W: 1 + m.r.IntN(8), C: 1 + m.r.IntN(150), SH: 1 + m.r.IntN(2), SW: 1 + m.r.IntN(2), DH: 1, DW: 1}
	s.KH, s.KW = 1+m.r.IntN(s.H), 1+m.r.IntN(s.W)
	s.Top, s.Left = m.r.IntN(s.KH), m.r.IntN(s.KW)
	s.OH, s.OW = (s.H-1+s.Top)/s.SH+1, (s.W-1+s.Left)/s.SW+1
	if m.r.IntN(3) == 0 { // over all
		s.KH, s.KW, s.Top, s.Left, s.OH, s.OW = s.H, s.W, 0, 0, 1, 1
	}
	return s
}

func TestPoolLevels(t *testing.T) {
	atLevels(t, 300, func(t *testing.T, l Level, m *memory) {
		s := m.pooling()
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		at := s
		at.Level = l
		in, out := s.N*s.H*s.W*s.C, s.N*s.OH*s.OW*s.C
		x, y, w := m.floats(in, 10), take[float32](m, out), make([]float32, out)
		MaxPool(&s, w, x, 0, s.Rows())
		MaxPool(&at, y, x, 0, s.Rows())
		sameRow(t, fmt.Sprintf("maximum of %+v", s), y, w)
		AvgPool(&s, w, x, -2, 30, 0, s.Rows())
		AvgPool(&at, y, x, -2, 30, 0, s.Rows())
		sameRow(t, fmt.Sprintf("average of %+v", s), y, w)

		a, q8, w8 := m.codes(in), take[int8](m, out), make([]int8, out)
		if m.r.IntN(4) == 0 {
			for i := range a {
				a[i] = -128
			}
		}
		MaxPool(&s, w8, a, 0, s.Rows())
		MaxPool(&at, q8, a, 0, s.Rows())
		sameCodeRow(t, fmt.Sprintf("maximum of codes %+v", s), q8, w8)
		p := &QAvgPool{Shape: s, In: m.params(), Lo: int32(m.r.IntN(50) - 128), Hi: 120, Unsigned: m.r.IntN(2) == 0}
		p.Out = p.In
		if m.r.IntN(2) == 0 {
			p.Out = m.params()
		}
		sums := take[int32](m, p.Scratch())
		RunQAvgPool(p, w8, a, sums, 0, s.Rows())
		p.Shape = at
		RunQAvgPool(p, q8, a, sums, 0, s.Rows())
		sameCodeRow(t, fmt.Sprintf("average of codes %+v", p), q8, w8)
	})
}

func TestReduceLevels(t *testing.T) {
	atLevels(t, 200, func(t *testing.T, l Level, m *memory) {
		shape := []int{1 + m.r.IntN(3), 1 + m.r.IntN(20), 1 + m.r.IntN(150)}
		if m.r.IntN(20) == 0 {
			shape = []int{1, 1000, 1 + m.r.IntN(40)} // more taps than an int16 sums
		}
		axes := [][]int{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {}}[m.r.IntN(7)]
		r, err := NewReduce(shape, axes)
		if err != nil {
			t.Fatal(err)
		}
		at := *r
		at.Level = l
		n := product(shape)
		x := m.floats(n, 10)
		y, w := take[float32](m, r.Out), make([]float32, r.Out)
		r.Mean32(w, x)
		at.Mean32(y, x)
		sameRow(t, fmt.Sprintf("mean of %v over %v", shape, axes), y, w)
		ReduceMax(r, w, x)
		ReduceMax(&at, y, x)
		sameRow(t, fmt.Sprintf("maximum of %v over %v", shape, axes), y, w)

		a, q8, w8 := m.codes(n), take[int8](m, r.Out), make([]int8, r.Out)
		ReduceMax(r, w8, a)
		ReduceMax(&at, q8, a)
		sameCodeRow(t, fmt.Sprintf("maximum of codes %v over %v", shape, axes), q8, w8)
		p1, p2, mean := m.params(), m.params(), m.r.IntN(4) > 0
		for _, k := range []struct {
			r   *Reduce
			dst []int8
		}{{r, w8}, {&at, q8}} {
			q, err := NewQReduce(k.r, mean, p1, p2, -128, 127)
			if err != nil {
				t.Fatal(err)
			}
			RunQReduce(q, k.dst, a, make([]int64, q.Scratch()))
		}
		sameCodeRow(t, fmt.Sprintf("mean of codes %v over %v", shape, axes), q8, w8)
	})
}

func TestSoftmaxLevels(t *testing.T) {
	atLevels(t, 300, func(t *testing.T, l Level, m *memory) {
		n, rows := 1+m.length(), 1
		if n < 40 {
			rows = 1 + m.r.IntN(5000/n)
		}
		x := take[float32](m, n*rows)
		for i := range x {
			x[i] = float32(m.r.NormFloat64() * 20)
		}
		if m.r.IntN(3) == 0 {
			x = m.floats(n*rows, 20) // many rows are NaN
		}
		y, w := take[float32](m, n*rows), make([]float32, n*rows)
		Softmax(w, x, n, 0, rows)
		SoftmaxAt(l, y, x, n, 0, rows)
		sameRow(t, "softmax", y, w)
		LogSoftmax(w, x, n, 0, rows)
		LogSoftmaxAt(l, y, x, n, 0, rows)
		sameRow(t, "log softmax", y, w)

		a, q8, w8 := m.codes(n), take[int8](m, n), make([]int8, n)
		e := take[float32](m, n)
		q := NewQSoftmax(n, m.r.IntN(2) == 0, m.params(), m.params())
		RunQSoftmax(q, w8, a, e, 0, 1)
		q.Level = l
		RunQSoftmax(q, q8, a, e, 0, 1)
		sameCodeRow(t, "softmax of codes", q8, w8)
	})
}

func TestLSTMStepLevels(t *testing.T) {
	atLevels(t, 100, func(t *testing.T, l Level, m *memory) {
		n := 1 + m.r.IntN(70)
		x, hidden, cell := m.floats(4*n, 3), m.floats(4*n, 3), m.floats(n, 3)
		clip := float32(m.r.IntN(2))
		var want []float32
		for _, l := range []Level{Generic, l} {
			h, c := take[float32](m, n), taken(m, cell)
			k := &LSTM{level: l, p: LSTMParams{CellClip: clip}}
			k.step(h, c, taken(m, x), taken(m, hidden))
			if l == Generic {
				want = append(append(want, h...), c...)
				continue
			}
			sameRow(t, "step", append(append([]float32(nil), h...), c...), want)
		}
	})
}

// TestElementwiseAllocs makes sure that nothing here allocates while it runs.
func TestElementwiseAllocs(t *testing.T) {
	for _, l := range Levels() {
		const n = 1000
		x, y, a, b := make([]float32, n), make([]float32, n), make([]int8, n), make([]int8, n)
		s := PoolShape{N: 1, H: 5, W: 5, C: 40, KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, OH: 3, OW: 3, Level: l}
		p := &QAvgPool{Shape: s, In: QParams{1, 0}, Out: QParams{2, 0}, Lo: -128, Hi: 127}
		sums := make([]int32, p.Scratch())
		r, _ := NewReduce([]int{1, 25, 40}, []int{1})
		r.Level = l
		q, _ := NewQReduce(r, true, QParams{1, 0}, QParams{1, 0}, -128, 127)
		wide := make([]int64, 40)
		c, _ := NewBcast([]int{1000}, []int{1})
		qb := NewQBinary(Div, c, QParams{1, 0}, QParams{1, 0}, QParams{1, 0}, -128, 127)
		qb.Level = l
		qs := NewQSoftmax(n, false, QParams{1, 0}, QParams{1, 0})
		qs.Level = l
		af := PerTensor(n, 1, 0)
		af.Level = l
		var table Table8
		u := Unary{Op: Gelu}
		f := UnaryFunc[float32](u)
		if k := testing.AllocsPerRun(10, func() {
			MaxPool(&s, y, x, 0, 3)
			MaxPool(&s, a, b, 0, 3)
			AvgPool(&s, y, x, -1, 1, 0, 3)
			RunQAvgPool(p, a, b, sums, 0, 3)
			r.Mean32(y, x)
			ReduceMax(r, a, b)
			RunQReduce(q, a, b, wide)
			Arith(l, Add, c, y, x, x, 0, 1, 0, n)
			qb.Run(a, b, b, 0, n)
			SoftmaxAt(l, y, x, n, 0, 1)
			RunQSoftmax(qs, a, b, y, 0, 1)
			Quantize(&af, a, x)
			Dequantize(&af, x, a)
			table.ApplyAt(l, a, b)
			ApplyUnaryAt(l, u, f, y, x)
		}); k != 0 {
			t.Errorf("%v: %g allocations a run", l, k)
		}
	}
}

// BenchmarkElementwise takes sizes from real models.
func BenchmarkElementwise(b *testing.B) {
	for _, l := range Levels() {
		if l != l.Elementwise() {
			continue
		}
		const n = 1 << 14
		x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
		q, r, s := make([]int8, n), make([]int8, n), make([]int8, n)
		rnd := rand.New(rand.NewPCG(1, 1))
		for i := range x {
			x[i], z[i] = float32(rnd.NormFloat64()), float32(rnd.NormFloat64())
			q[i], r[i] = int8(rnd.IntN(256)-128), int8(rnd.IntN(256)-128)
		}
		run := func(name string, bytes int, f func()) {
			b.Run(l.String()+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(bytes))
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
		same, _ := NewBcast([]int{n}, []int{n})
		inner, _ := NewBcast([]int{n / 64, 64}, []int{64})
		scalar, _ := NewBcast([]int{n}, []int{1})
		for _, op := range []struct {
			name string
			op   BinaryOp
			c    *Bcast
		}{{"add", Add, same}, {"add/vector", Add, inner}, {"add/scalar", Add, scalar}, {"div", Div, same}, {"max", Max, same}} {
			run(op.name+"/f32", 12*n, func() { Arith(l, op.op, op.c, y, x, z, -inf32, inf32, 0, n) })
			qb := NewQBinary(op.op, op.c, QParams{0.03, 5}, QParams{0.007, -8}, QParams{0.02, 1}, -128, 127)
			qb.Level = l
			run(op.name+"/int8", 3*n, func() { qb.Run(s, q, r, 0, n) })
		}
		mul := NewQBinary(Mul, same, QParams{0.03, 5}, QParams{0.007, -8}, QParams{0.02, 1}, -128, 127)
		mul.Level = l
		run("mul/int8", 3*n, func() { mul.Run(s, q, r, 0, n) })
		for _, f := range []struct {
			name string
			op   UnaryOp
		}{{"relu", Relu}, {"leakyrelu", LeakyRelu}, {"hardswish", HardSwish}, {"sigmoid", SigmoidOp}, {"tanh", TanhOp}, {"exp", ExpOp}, {"log", LogOp},
			{"elu", Elu}, {"erf", ErfOp}, {"gelu", Gelu}, {"gelutanh", GeluTanh}, {"sqrt", SqrtOp}, {"rsqrt", Rsqrt}} {
			u := Unary{Op: f.op, A: 0.1, B: 6}
			g := UnaryFunc[float32](u)
			run(f.name+"/f32", 8*n, func() { ApplyUnaryAt(l, u, g, y, x) })
		}
		run("softmax1001/f32", 8*1001, func() { SoftmaxAt(l, y, x, 1001, 0, 1) })
		run("softmax2x4420/f32", 8*2*4420, func() { SoftmaxAt(l, y, x, 2, 0, 4420) })
		qs := NewQSoftmax(1001, false, QParams{0.1, 0}, QParams{1.0 / 256, -128})
		qs.Level = l
		run("softmax1001/int8", 2*1001, func() { RunQSoftmax(qs, s, q, y, 0, 1) })
		var t Table8
		run("table/int8", 2*n, func() { t.ApplyAt(l, s, q) })
		af := PerTensor(n, 0.03, 4)
		af.Level = l
		run("quantize", 5*n, func() { Quantize(&af, s, x) })
		run("dequantize", 5*n, func() { Dequantize(&af, y, q) })
		run("rows64", 5*n, func() {
			for i := 0; i < n; i += 64 {
				QuantizeRowAt(l, s[i:][:64], x[i:][:64])
			}
		})
		global := PoolShape{N: 1, H: 7, W: 7, C: 320, KH: 7, KW: 7, SH: 1, SW: 1, DH: 1, DW: 1, OH: 1, OW: 1, Level: l}
		small := PoolShape{N: 1, H: 28, W: 28, C: 16, KH: 2, KW: 2, SH: 2, SW: 2, DH: 1, DW: 1, OH: 14, OW: 14, Level: l}
		for _, p := range []struct {
			name string
			s    PoolShape
		}{{"7x7x320", global}, {"28x28x16by2", small}} {
			in := p.s.H * p.s.W * p.s.C
			run("maxpool"+p.name+"/f32", 4*in, func() { MaxPool(&p.s, y, x, 0, p.s.Rows()) })
			run("maxpool"+p.name+"/int8", in, func() { MaxPool(&p.s, s, q, 0, p.s.Rows()) })
			run("avgpool"+p.name+"/f32", 4*in, func() { AvgPool(&p.s, y, x, -inf32, inf32, 0, p.s.Rows()) })
			a := &QAvgPool{Shape: p.s, In: QParams{0.1, 3}, Out: QParams{0.1, 3}, Lo: -128, Hi: 127}
			sums := make([]int32, a.Scratch())
			run("avgpool"+p.name+"/int8", in, func() { RunQAvgPool(a, s, q, sums, 0, p.s.Rows()) })
		}
		red, _ := NewReduce([]int{1, 49, 320}, []int{1})
		red.Level = l
		mean, _ := NewQReduce(red, true, QParams{0.1, 3}, QParams{0.05, 3}, -128, 127)
		wide := make([]int64, mean.Scratch())
		run("mean49x320/f32", 4*49*320, func() { red.Mean32(y, x) })
		run("mean49x320/int8", 49*320, func() { RunQReduce(mean, s, q, wide) })
		line, _ := NewReduce([]int{32, 512}, []int{1})
		line.Level = l
		run("mean32rows512/f32", 4*n, func() { line.Mean32(y, x) })
	}
}

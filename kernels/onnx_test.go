package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTrig compares with the standard library in float64, whose own error is far
// below that of rounding to float32.
func TestTrig(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     TrigOp
		want   func(float64) float64
		lo, hi float64
	}{
		{"sin", Sin, math.Sin, -100, 100}, {"cos", Cos, math.Cos, -100, 100}, {"tan", Tan, math.Tan, -100, 100},
		{"sin of large", Sin, math.Sin, 1e6, 3e38}, {"cos of large", Cos, math.Cos, -3e38, -1e6},
		{"asin", Asin, math.Asin, -1, 1}, {"acos", Acos, math.Acos, -1, 1}, {"atan", Atan, math.Atan, -30, 30},
		{"sinh", Sinh, math.Sinh, -80, 80}, {"cosh", Cosh, math.Cosh, -80, 80},
		{"asinh", Asinh, math.Asinh, -1e4, 1e4}, {"acosh", Acosh, math.Acosh, 1, 1e4}, {"atanh", Atanh, math.Atanh, -1, 1},
	} {
		f := TrigFunc(c.op)
		const n = 4000
		for i := range n + 1 {
			u := float64(i) / n
			x := float32(c.lo + u*(c.hi-c.lo))
			if i%3 == 0 { // small ones too
				x = float32(c.lo + (c.hi-c.lo)/2*(1+u*u*u*u*u*u))
			}
			want := float32(c.want(float64(x)))
			if got := f(x); got != want && math.Nextafter32(got, want) != want {
				t.Fatalf("%s(%g) = %g, want %g", c.name, x, got, want)
			}
		}
	}
	inf := float32(math.Inf(1))
	for _, op := range []TrigOp{Sin, Cos, Tan, Acosh} {
		if y := TrigFunc(op)(-inf); y == y {
			t.Errorf("function %d of -inf is %g", op, y)
		}
	}
	if y := TrigFunc(Atan)(inf); y != float32(math.Pi/2) {
		t.Errorf("atan(inf) = %g", y)
	}
}

func TestLogic(t *testing.T) {
	nan := float32(math.NaN())
	c, err := NewBcast([]int{2, 1}, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]uint8, 6)
	for op, want := range map[CompareOp][]uint8{
		Equal:       {1, 0, 0, 0, 0, 0},
		Less:        {0, 1, 0, 0, 0, 0},
		LessOrEqual: {1, 1, 0, 0, 0, 0},
	} {
		Compare(op, c, dst, []float32{1, nan}, []float32{1, 2, nan}, 0, 6)
		if !slices.Equal(dst, want) {
			t.Errorf("comparison %d: %v, want %v", op, dst, want)
		}
	}
	for op, want := range map[LogicOp][]uint8{And: {0, 1, 1, 0, 0, 0}, Or: {1, 1, 1, 0, 1, 1}, Xor: {1, 0, 0, 0, 1, 1}} {
		Logic(op, c, dst, []uint8{1, 0}, []uint8{0, 1, 1}, 0, 6)
		if !slices.Equal(dst, want) {
			t.Errorf("function %d: %v, want %v", op, dst, want)
		}
	}
	four, _ := NewBcast([]int{4}, []int{4})
	got := make([]int32, 4)
	for truncated, want := range map[bool][]int32{false: {1, 2, -2, 0}, true: {1, -1, 1, 0}} {
		Mod(truncated, four, got, []int32{7, -7, 7, 5}, []int32{3, 3, -3, 0}, 0, 4)
		if !slices.Equal(got, want) {
			t.Errorf("mod, truncated %v: %v, want %v", truncated, got, want)
		}
	}
	f := make([]float32, 2)
	two, _ := NewBcast([]int{2}, []int{2})
	Mod(false, two, f, []float32{-4.25, 5.5}, []float32{2, -3}, 0, 2)
	if !slices.Equal(f, []float32{1.75, -0.5}) {
		t.Errorf("mod %v", f)
	}
	s := make([]float32, 4)
	Sign(s, []float32{-3, 0, 2, nan})
	if s[0] != -1 || s[1] != 0 || s[2] != 1 || s[3] == s[3] {
		t.Errorf("sign %v", s)
	}
	w, err := NewWhere([]int{2, 1}, []int{3}, []int{})
	if err != nil {
		t.Fatal(err)
	}
	y := make([]uint8, 6)
	w.Run(y, []uint8{1, 0}, []uint8{5, 6, 7}, []uint8{9}, 1)
	if !slices.Equal(y, []uint8{5, 6, 7, 9, 9, 9}) {
		t.Errorf("where %v", y)
	}
	e, err := NewExpand([]int{2, 1}, []int{2, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	y = make([]uint8, 12)
	e.Run(y, []uint8{3, 4}, 1, 0, e.Rows())
	if !slices.Equal(y, []uint8{3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4}) {
		t.Errorf("expand %v", y)
	}
}

func TestGatherScatter(t *testing.T) {
	data := []uint8{1, 2, 3, 4, 5, 6} // [2][3]
	e, err := NewElements([]int{2, 3}, []int{1, 4}, 1)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]uint8, 4)
	GatherElements(e, y, data, []int64{2, 0, 0, 1}, 1)
	if !slices.Equal(y, []uint8{3, 1, 1, 2}) {
		t.Errorf("gather elements %v", y)
	}
	for op, want := range map[Combine][]uint8{
		Replace: {12, 2, 11, 4, 5, 6}, CombineAdd: {23, 2, 14, 4, 5, 6}, CombineMul: {120, 2, 33, 4, 5, 6},
		CombineMax: {12, 2, 11, 4, 5, 6}, CombineMin: {1, 2, 3, 4, 5, 6},
	} {
		dst := slices.Clone(data)
		ScatterElements(e, op, dst, []int64{2, 0, 0}, []uint8{11, 10, 12})
		if !slices.Equal(dst, want) {
			t.Errorf("scatter elements, %d: %v, want %v", op, dst, want)
		}
	}
	s, err := NewSlices([]int{2, 3}, []int{3, 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	y = make([]uint8, 9)
	GatherND(s, y, data, []int64{1, 0, 1}, 1)
	if !slices.Equal(y, []uint8{4, 5, 6, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("gather nd %v", y)
	}
	dst := slices.Clone(data)
	ScatterND(s, CombineAdd, dst, []int64{0, 0, 1}, []uint8{1, 1, 1, 2, 2, 2, 9, 9, 9})
	if !slices.Equal(dst, []uint8{4, 5, 6, 13, 14, 15}) {
		t.Errorf("scatter nd %v", dst)
	}
	b, err := NewSlices([]int{2, 3}, []int{2, 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	y = make([]uint8, 2)
	GatherND(b, y, data, []int64{2, 0}, 1)
	if !slices.Equal(y, []uint8{3, 4}) {
		t.Errorf("gather nd in batches %v", y)
	}
	if _, err := NewElements([]int{2, 3}, []int{3, 3}, 1); err == nil {
		t.Error("indices larger than the data were accepted")
	}
	if _, err := NewSlices([]int{2, 3}, []int{1, 3}, 0); err == nil {
		t.Error("positions of three dimensions in two were accepted")
	}
}

func TestPositions(t *testing.T) {
	idx := []int64{2, -3, 1, -2}
	pos := make([]int64, 4)
	if bad := Positions(pos, asBytes(idx), true, []int{3, 5}); bad != -1 || !slices.Equal(pos, []int64{2, 2, 1, 3}) {
		t.Errorf("%d %v", bad, pos)
	}
	if bad := Positions(pos, asBytes([]int32{-3, 2, 3, 0}), false, []int{3}); bad != 2 || pos[0] != 0 || pos[1] != 2 {
		t.Errorf("%d %v", bad, pos)
	}
	if bad := Positions(pos, asBytes([]int32{0, 0, 0, -4}), false, []int{3}); bad != 3 {
		t.Errorf("%d %v", bad, pos)
	}
}

// TestTopK against a stable sort.
func TestTopK(t *testing.T) {
	src := []float32{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3}
	for _, least := range []bool{false, true} {
		for k := 1; k <= 9; k++ {
			a, err := NewAlong([]int{9, 2}, 0)
			if err != nil {
				t.Fatal(err)
			}
			v, idx := make([]float32, 2*k), make([]int64, 2*k)
			TopK(a, k, v, idx, src, least, make([]int32, k))
			for col := range 2 {
				order := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}
				slices.SortStableFunc(order, func(p, q int64) int {
					x, y := src[2*p+int64(col)], src[2*q+int64(col)]
					if least {
						x, y = y, x
					}
					if x > y {
						return -1
					} else if x < y {
						return 1
					}
					return 0
				})
				for i := range k {
					if idx[2*i+col] != order[i] || v[2*i+col] != src[2*order[i]+int64(col)] {
						t.Fatalf("least %v, k %d: %v %v, want %v", least, k, idx, v, order[:k])
					}
				}
			}
		}
	}
	a, _ := NewAlong([]int{2, 3}, 1)
	got := make([]int64, 2)
	x := []int8{2, 7, 7, -1, -5, -5}
	for _, c := range []struct {
		least, last bool
		want        []int64
	}{{false, false, []int64{1, 0}}, {false, true, []int64{2, 0}}, {true, false, []int64{0, 1}}, {true, true, []int64{0, 2}}} {
		if ArgExtreme(a, got, x, c.least, c.last); !slices.Equal(got, c.want) {
			t.Errorf("least %v, last %v: %v, want %v", c.least, c.last, got, c.want)
		}
	}
}

func TestCumulate(t *testing.T) {
	a, _ := NewAlong([]int{4}, 0)
	src, dst := []int32{2, 3, 4, 5}, make([]int32, 4)
	for _, c := range []struct {
		product, exclusive, reverse bool
		want                        []int32
	}{
		{false, false, false, []int32{2, 5, 9, 14}}, {false, true, false, []int32{0, 2, 5, 9}},
		{false, false, true, []int32{14, 12, 9, 5}}, {false, true, true, []int32{12, 9, 5, 0}},
		{true, false, false, []int32{2, 6, 24, 120}}, {true, true, true, []int32{60, 20, 5, 1}},
	} {
		if Cumulate(a, c.product, c.exclusive, c.reverse, dst, src); !slices.Equal(dst, c.want) {
			t.Errorf("%+v: %v", c, dst)
		}
	}
	r, err := NewReduce([]int{2, 2, 2}, []int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	x, y := []int32{1, 2, 3, -4, 5, 6, 7, 8}, make([]int32, 2)
	if ReduceMin(r, y, x); !slices.Equal(y, []int32{1, -4}) {
		t.Errorf("minima %v", y)
	}
	if ReduceProd(r, y, x); !slices.Equal(y, []int32{60, -672}) {
		t.Errorf("products %v", y)
	}
}

func TestMatMul(t *testing.T) {
	m, err := NewMatMul([]int{2, 1, 2, 3}, []int{2, 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	a := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	b := []int32{1, 0, 0, 1, 1, 1, 2, 0, 0, 2, 2, 2}
	want := []int32{4, 5, 10, 11, 8, 10, 20, 22, 16, 17, 22, 23, 32, 34, 44, 46}
	got := make([]int32, 16)
	MatMulRows(m, got, a, b, 0, 3)
	MatMulRows(m, got, a, b, 3, m.Rows())
	if !slices.Equal(got, want) {
		t.Errorf("integers: %v, want %v", got, want)
	}
	// A float is one chain of fused multiply-adds: here a plain sum loses the 1.
	f, err := NewMatMul([]int{1, 2}, []int{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	x, y := float32(1+0x1p-12), []float32{0}
	MatMulRows(f, y, []float32{-1 - 0x1p-11, x}, []float32{1, x}, 0, 1)
	if y[0] != 0x1p-24 {
		t.Errorf("floats: %g, want %g", y[0], 0x1p-24)
	}
	if _, err := NewMatMul([]int{2, 3}, []int{2, 3}); err == nil {
		t.Error("matrices without a product were accepted")
	}
}

// TestFloatMatMul: every level gives the bits of MatMulRows.
func TestFloatMatMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range [][2][]int{{{3, 1, 5}, {5, 1}}, {{2, 3, 1, 7}, {3, 7, 65}}, {{200, 33}, {33, 31}}, {{1, 17, 40}, {2, 40, 33}}, {{13, 1}, {1, 64}}} {
		a, b := make([]float32, product(c[0])), make([]float32, product(c[1]))
		for _, s := range [][]float32{a, b} {
			for i := range s {
				s[i] = float32(rng.NormFloat64())
			}
		}
		a[0], b[len(b)-1] = inf32, float32(math.Copysign(0, -1))
		m, err := NewMatMul(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, m.Rows()*m.N)
		MatMulRows(m, want, a, b, 0, m.Rows())
		for _, l := range Levels() {
			f, err := NewFloatMatMul(l, c[0], c[1])
			if err != nil {
				t.Fatal(err)
			}
			got, scratch := make([]float32, len(want)), make([]byte, f.Scratch())
			half := f.Tasks() / 2
			f.Run(got, a, b, scratch, half, f.Tasks())
			f.Run(got, a, b, scratch, 0, half)
			sameRow(t, fmt.Sprintf("%v: %v x %v", l, c[0], c[1]), got, want)
		}
	}
}

// TestResizeLevels: every level gives the bits of ResizeForward, by any tasks.
func TestResizeLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		in, out []int
		mode    ResizeMode
	}{
		{[]int{1, 7, 5, 16}, []int{1, 14, 10, 16}, ResizeLinear},
		{[]int{2, 9, 4, 1}, []int{2, 13, 11, 1}, ResizeLinear},
		{[]int{1, 20, 3, 37}, []int{1, 50, 7, 37}, ResizeCubic},
		{[]int{3, 4, 5, 6, 40}, []int{3, 9, 7, 6, 40}, ResizeLinear},
		{[]int{1, 4, 5, 6, 2}, []int{1, 8, 10, 12, 2}, ResizeLinear},
		{[]int{1, 30, 33}, []int{1, 70, 33}, ResizeLinear},
	} {
		p := &ResizeParams{In: c.in, Out: c.out, Mode: c.mode, Coordinates: "half_pixel", A: -0.75}
		for i, n := range c.in {
			p.Scales = append(p.Scales, float64(c.out[i])/float64(n))
		}
		src := make([]float32, product(c.in))
		for i := range src {
			src[i] = float32(rng.NormFloat64())
		}
		want := make([]float32, product(c.out))
		for _, l := range Levels() {
			p.Level = l
			r, err := NewResize(p)
			if err != nil {
				t.Fatal(err)
			}
			ResizeForward(r, want, src)
			got, scratch := make([]float32, len(want)), make([]byte, r.Scratch())
			half := r.Tasks() / 2
			r.Run(asBytes(got), asBytes(src), scratch, 0, half, r.Tasks())
			r.Run(asBytes(got), asBytes(src), scratch, 0, 0, half)
			sameRow(t, fmt.Sprintf("%v: %v to %v", l, c.in, c.out), got, want)
		}
	}
}

func TestNorms(t *testing.T) {
	const n = 37
	src, scale, bias, dst := make([]float32, 2*n), make([]float32, n), make([]float32, n), make([]float32, 2*n)
	for i := range src {
		src[i] = float32(i%11) - 3
	}
	for i := range scale {
		scale[i], bias[i] = 1+float32(i)/8, float32(i)/4-2
	}
	rms := make([]float32, 2*n)
	for _, l := range Levels() {
		p := &Norm{N: n, Eps: 1e-3, Level: l}
		scratch, y := make([]float32, p.Scratch()), make([]float32, 2*n)
		p.Layer(y, src, scale, bias, scratch, 0, 2)
		if l == Generic {
			copy(dst, y)
		}
		sameRow(t, l.String()+" layer norm", y, dst)
		p.RMS(y, src, scale, scratch, 0, 2)
		if l == Generic {
			copy(rms, y)
		}
		sameRow(t, l.String()+" rms norm", y, rms)
	}
	for row := range 2 {
		mean, sq := 0.0, 0.0
		for _, v := range src[row*n:][:n] {
			mean += float64(v) / n
			sq += float64(v) * float64(v) / n
		}
		for i, v := range src[row*n:][:n] {
			want := (float64(v)-mean)/math.Sqrt(sq-mean*mean+1e-3)*float64(scale[i]) + float64(bias[i])
			if math.Abs(float64(dst[row*n+i])-want) > 1e-5 {
				t.Fatalf("layer norm [%d] = %g, want %g", i, dst[row*n+i], want)
			}
			want = float64(v) / math.Sqrt(sq+1e-3) * float64(scale[i])
			if math.Abs(float64(rms[row*n+i])-want) > 1e-5 {
				t.Fatalf("rms norm [%d] = %g, want %g", i, rms[row*n+i], want)
			}
		}
	}
}

// TestGRU against the definition in float64.
func TestGRU(t *testing.T) {
	const T, N, I, H = 3, 2, 3, 4
	for _, c := range []struct{ simple, linear, reverse, lens bool }{
		{}, {linear: true}, {reverse: true}, {lens: true}, {simple: true}, {simple: true, lens: true, reverse: true},
	} {
		gates := 3
		if c.simple {
			gates = 1
		}
		fill := func(n, seed int) []float32 {
			f := make([]float32, n)
			for i := range f {
				f[i] = float32((i*7+seed*5)%13-6) / 8
			}
			return f
		}
		p := &GRUParams{T: T, N: N, I: I, H: H, Dirs: 1, Reverse: c.reverse, Simple: c.simple, LinearBeforeReset: c.linear,
			W: fill(gates*H*I, 1), R: fill(gates*H*H, 2), B: fill(2*gates*H, 3)}
		g, err := NewGRU(Best(), p)
		if err != nil {
			t.Fatal(err)
		}
		x, h, y := fill(T*N*I, 4), fill(N*H, 5), make([]float32, T*N*H)
		var lens []int32
		if c.lens {
			lens = []int32{1, 3}
		}
		wantY, state := make([]float64, T*N*H), make([]float64, N*H)
		for i, v := range h {
			state[i] = float64(v)
		}
		for n := range N {
			steps := T
			if lens != nil {
				steps = int(lens[n])
			}
			for s := range steps {
				at := s
				if c.reverse {
					at = steps - 1 - s
				}
				gru64(p, state[n*H:][:H], x[(at*N+n)*I:][:I])
				copy(wantY[(at*N+n)*H:], state[n*H:][:H])
			}
		}
		g.Run(y, h, x, lens, make([]byte, g.Scratch()+64))
		for i, v := range y {
			if math.Abs(float64(v)-wantY[i]) > 1e-5 {
				t.Fatalf("%+v: y[%d] = %g, want %g", c, i, v, wantY[i])
			}
		}
		for i, v := range h {
			if math.Abs(float64(v)-state[i]) > 1e-5 {
				t.Fatalf("%+v: h[%d] = %g, want %g", c, i, v, state[i])
			}
		}
	}
}

func gru64(p *GRUParams, h []float64, x []float32) {
	dot := func(w []float32, row int, v []float64) (s float64) {
		for i, u := range v {
			s += float64(w[row*len(v)+i]) * u
		}
		return s
	}
	in := make([]float64, len(x))
	for i, v := range x {
		in[i] = float64(v)
	}
	n := p.H
	gates := 3
	if p.Simple {
		gates = 1
	}
	wx := func(k int) float64 { return dot(p.W, k, in) + float64(p.B[k]) }
	rb := func(k int) float64 { return float64(p.B[gates*n+k]) }
	next := make([]float64, n)
	if p.Simple {
		for k := range next {
			next[k] = math.Tanh(wx(k) + dot(p.R, k, h) + rb(k))
		}
		copy(h, next)
		return
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	reset := make([]float64, n)
	for k := range reset {
		reset[k] = sigmoid(wx(n+k)+dot(p.R, n+k, h)+rb(n+k)) * h[k]
	}
	for k := range next {
		z := sigmoid(wx(k) + dot(p.R, k, h) + rb(k))
		u := wx(2*n+k) + dot(p.R, 2*n+k, reset) + rb(2*n+k)
		if p.LinearBeforeReset {
			r := sigmoid(wx(n+k) + dot(p.R, n+k, h) + rb(n+k))
			u = wx(2*n+k) + r*(dot(p.R, 2*n+k, h)+rb(2*n+k))
		}
		next[k] = (1-z)*math.Tanh(u) + z*h[k]
	}
	copy(h, next)
}

// TestResize: expected values by hand.
func TestResize(t *testing.T) {
	run := func(p *ResizeParams, src []float32) []float32 {
		t.Helper()
		r, err := NewResize(p)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]float32, product(p.Out))
		r.Run(asBytes(dst), asBytes(src), make([]byte, r.Scratch()), -7, 0, r.Tasks())
		return dst
	}
	x := []float32{1, 2, 3, 4}
	for _, c := range []struct {
		name string
		p    ResizeParams
		want []float32
	}{
		{"linear, half_pixel", ResizeParams{In: []int{4}, Out: []int{8}, Scales: []float64{2}, Mode: ResizeLinear, Coordinates: "half_pixel"},
			[]float32{1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4}},
		{"linear, align_corners", ResizeParams{In: []int{4}, Out: []int{7}, Scales: []float64{1.75}, Mode: ResizeLinear, Coordinates: "align_corners"},
			[]float32{1, 1.5, 2, 2.5, 3, 3.5, 4}},
		{"linear, asymmetric, two axes", ResizeParams{In: []int{2, 2}, Out: []int{4, 4}, Scales: []float64{2, 2}, Mode: ResizeLinear, Coordinates: "asymmetric"},
			[]float32{1, 1.5, 2, 2, 2, 2.5, 3, 3, 3, 3.5, 4, 4, 3, 3.5, 4, 4}},
		{"nearest, asymmetric, floor", ResizeParams{In: []int{4}, Out: []int{6}, Scales: []float64{1.5}, Coordinates: "asymmetric", Nearest: "floor"},
			[]float32{1, 1, 2, 3, 3, 4}},
		{"nearest, asymmetric, ceil", ResizeParams{In: []int{4}, Out: []int{6}, Scales: []float64{1.5}, Coordinates: "asymmetric", Nearest: "ceil"},
			[]float32{1, 2, 3, 3, 4, 4}},
		{"antialias", ResizeParams{In: []int{4}, Out: []int{2}, Scales: []float64{0.5}, Mode: ResizeLinear, Coordinates: "half_pixel", Antialias: true, ExcludeOutside: true},
			[]float32{(1*0.75 + 2*0.75 + 3*0.25) / 1.75, (2*0.25 + 3*0.75 + 4*0.75) / 1.75}},
		{"crop", ResizeParams{In: []int{4}, Out: []int{3}, Scales: []float64{0.75}, Mode: ResizeLinear, Coordinates: "tf_crop_and_resize", Roi: []float64{0, 2}},
			[]float32{1, 4, -7}},
	} {
		got := run(&c.p, x)
		for i, w := range c.want {
			if math.Abs(float64(got[i]-w)) > 1e-6 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
	// A cubic filter keeps lines straight, away from the edges.
	line := []float32{0, 1, 2, 3, 4, 5, 6, 7}
	got := run(&ResizeParams{In: []int{8}, Out: []int{16}, Scales: []float64{2}, Mode: ResizeCubic, Coordinates: "half_pixel", A: -0.5}, line)
	for i := 4; i < 12; i++ {
		if w := (float64(i)+0.5)/2 - 0.5; math.Abs(float64(got[i])-w) > 1e-6 {
			t.Errorf("cubic [%d] = %g, want %g", i, got[i], w)
		}
	}
	r, err := NewResize(&ResizeParams{In: []int{2, 2}, Out: []int{3, 4}, Scales: []float64{1.5, 2}, Coordinates: "asymmetric", Nearest: "floor", Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	moved := make([]byte, 24)
	r.Run(moved, []byte{1, 10, 2, 20, 3, 30, 4, 40}, make([]byte, r.Scratch()), 0, 0, r.Tasks())
	if want := []byte{1, 10, 1, 10, 2, 20, 2, 20, 1, 10, 1, 10, 2, 20, 2, 20, 3, 30, 3, 30, 4, 40, 4, 40}; !slices.Equal(moved, want) {
		t.Errorf("moved %v, want %v", moved, want)
	}
}

func TestGridSample(t *testing.T) {
	src := []float32{1, 2, 3, 4} // 2 x 2
	inf := float32(math.Inf(1))
	grid := []float32{-1, -1, 0, 0, 1, 1, 3, 0, inf, 0}
	for _, c := range []struct {
		mode    ResizeMode
		padding string
		align   bool
		want    []float32
	}{
		{ResizeLinear, "zeros", true, []float32{1, 2.5, 4, 0, 0}},
		{ResizeLinear, "zeros", false, []float32{0.25, 2.5, 1, 0, 0}},
		{ResizeLinear, "border", false, []float32{1, 2.5, 4, 3, 2}},
		{ResizeNearest, "border", true, []float32{1, 1, 4, 2, 1}},
		{ResizeLinear, "reflection", true, []float32{1, 2.5, 4, 2, 2}},
		{ResizeCubic, "border", true, []float32{1, 2.5, 4, 3, 2}},
	} {
		g := &GridSample{N: 1, H: 2, W: 2, C: 1, OH: 1, OW: 5, Mode: c.mode, Padding: c.padding, AlignCorners: c.align}
		got := make([]float32, 5)
		g.Run(got, src, grid, 0, g.Rows())
		n := 4 // what infinity gives is fixed, but means nothing
		if c.padding == "zeros" {
			n = 5
		}
		if !slices.Equal(got[:n], c.want[:n]) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestConv16(t *testing.T)      { eachLevel(t, fewShapes, checkConv16) }
func TestDepthwise16(t *testing.T) { eachLevel(t, depthwiseShapes, checkConv16) }

// TestConv16Deep has the greatest sums there are, which no int32 holds.
func TestConv16Deep(t *testing.T) {
	deep := func(*rand.Rand) []ConvShape {
		return []ConvShape{GemmShape(1, 33, 513), GemmShape(13, 5, 700), GemmShape(2, 3, 1024), GemmShape(3, 2, 5000),
			square("", 3, 400, 3, 3, 1, 1).ConvShape, square("", 4, 600, 2, 3, 1, 1).ConvShape, square("", 30, 4, 4, 24, 1, 4).ConvShape}
	}
	eachLevel(t, deep, func(t *testing.T, l Level, m *memory, s ConvShape) {
		p := randomParams16(m.r, s)
		for i := range p.Weights {
			p.Weights[i] = -128
		}
		x := make([]int16, s.InLen())
		setAll(x, math.MinInt16)
		runConv16(t, l, m, p, x)
	})
}

func checkConv16(t *testing.T, l Level, m *memory, s ConvShape) {
	x := make([]int16, s.InLen())
	for i := range x {
		x[i] = int16(m.r.Int())
	}
	runConv16(t, l, m, randomParams16(m.r, s), x)
}

func randomParams16(r *rand.Rand, s ConvShape) *Conv16Params {
	p := &Conv16Params{Shape: s, Weights: randomInt8(r, s.WeightLen()), Lo: math.MinInt16, Hi: math.MaxInt16}
	p.Scale = make([]float64, []int{1, s.O}[r.IntN(2)])
	for i := range p.Scale {
		p.Scale[i] = math.Exp(r.NormFloat64()) / (100 * math.Sqrt(float64(s.KH*s.KW*s.C/s.Groups)))
	}
	if r.IntN(20) == 0 { // products beyond int32
		p.Scale[0] = math.Exp2(r.Float64() * 40)
	}
	if r.IntN(3) == 0 {
		p.Lo, p.Hi = int32(r.IntN(20)), int32(100+r.IntN(30000))
	}
	if r.IntN(4) != 0 {
		p.Bias = make([]int64, s.O)
		for i := range p.Bias {
			p.Bias[i] = r.Int64N(1<<20) - 1<<19
		}
		if r.IntN(10) == 0 {
			p.Bias[0] = r.Int64() >> r.IntN(40)
		}
	}
	return p
}

func runConv16(t *testing.T, l Level, m *memory, p *Conv16Params, x []int16) {
	t.Helper()
	s := &p.Shape
	c, err := NewConv16(l, p)
	if err != nil {
		t.Fatal(err)
	}
	if c.dw != nil {
		c.dw.packed, c.dw.pad = m.packed(c.dw.packed), taken(m, c.dw.pad)
	} else {
		c.packed, c.pad = m.packed(c.packed), taken(m, c.pad)
	}
	src, dst := taken(m, x), take[int16](m, s.OutLen())
	runTasks(t, m, c, func(scratch []byte, t0, t1 int) { c.Run(dst, src, scratch, t0, t1) })
	if want := conv16Ref(p, src); !slices.Equal(dst, want) {
		for i, w := range want {
			if dst[i] != w {
				t.Fatalf("element %d is %d, want %d", i, dst[i], w)
			}
		}
	}
}

// conv16Ref is the convolution as its definition reads.
func conv16Ref(p *Conv16Params, src []int16) []int16 {
	s := &p.Shape
	dst := make([]int16, 0, s.OutLen())
	cg, og := s.C/s.Groups, s.O/s.Groups
	for i := range s.N * s.OH * s.OW {
		for o := range s.O {
			var acc int64
			if p.Bias != nil {
				acc = p.Bias[o]
			}
			s.window(i/s.OW/s.OH, i/s.OW%s.OH, i%s.OW, func(tap, pixel int) {
				if pixel < 0 {
					return
				}
				w := p.Weights[(o*s.KH*s.KW+tap)*cg:][:cg]
				for c, x := range src[pixel*s.C+o/og*cg:][:cg] {
					acc += int64(x) * int64(w[c])
				}
			})
			y := float64(acc) * p.Scale[o%len(p.Scale)]
			dst = append(dst, int16(math.RoundToEven(min(max(y, float64(p.Lo)), float64(p.Hi)))))
		}
	}
	return dst
}

func TestConv16Refuses(t *testing.T) {
	for name, change := range map[string]func(p *Conv16Params){
		"weights": func(p *Conv16Params) { p.Weights = p.Weights[1:] },
		"bias":    func(p *Conv16Params) { p.Bias = make([]int64, 3) },
		"scales":  func(p *Conv16Params) { p.Scale = make([]float64, 3) },
		"scale":   func(p *Conv16Params) { p.Scale = []float64{math.NaN()} },
		"clamp":   func(p *Conv16Params) { p.Hi = 40000 },
	} {
		p := &Conv16Params{Shape: GemmShape(1, 2, 3), Weights: make([]int8, 6), Scale: []float64{1}, Hi: 1}
		if _, err := NewConv16(Generic, p); err != nil {
			t.Fatal(err)
		}
		change(p)
		if _, err := NewConv16(Generic, p); err == nil {
			t.Errorf("wrong %s accepted", name)
		}
	}
}

func TestBinary16Levels(t *testing.T) {
	atLevels(t, 200, func(t *testing.T, l Level, m *memory) {
		n := 1 + m.r.IntN(100)
		a, b := take[int16](m, n), take[int16](m, n)
		for i := range a {
			a[i], b[i] = int16(m.r.Int()), int16(m.r.Int())
		}
		c, err := NewBcast([]int{n}, []int{n})
		if err != nil {
			t.Fatal(err)
		}
		params := func() QParams {
			return QParams{Scale: float32(math.Exp(m.r.NormFloat64())), Zero: int32(m.r.IntN(7)-3) * int32(m.r.IntN(2))}
		}
		lo := int32(m.r.IntN(30000) - 32768)
		op := []BinaryOp{Add, Sub, Mul, Div}[m.r.IntN(4)]
		q := NewQBinary16(op, c, params(), params(), params(), lo, lo+int32(m.r.IntN(32768)))
		got, want := take[int16](m, n), make([]int16, n)
		q.Run(want, a, b, 0, n)
		q.Level = l
		from := m.r.IntN(n)
		q.Run(got, a, b, 0, from)
		q.Run(got, a, b, from, n)
		if !slices.Equal(got, want) {
			t.Errorf("%v of %d: %v, want %v", op, n, got, want)
		}
	})
}

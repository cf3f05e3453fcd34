package kernels

import "fmt"

// SVDFShape is the geometry of TensorFlow Lite's SVDF layer (Nakkiran et al.,
// "Compressing deep neural networks using a rank-constrained topology", 2015):
// U*Rank filters, each a product with the input followed by a product with its
// own last M values. The state[N][F][M] holds a filter's values oldest first.
type SVDFShape struct {
	N, I, Units, Rank, M int
}

// Filters is Units*Rank.
func (s *SVDFShape) Filters() int { return s.Units * s.Rank }

// MACs returns the multiply-accumulates of one run.
func (s *SVDFShape) MACs() int { return s.N * s.Filters() * (s.I + s.M) }

func (s *SVDFShape) check(feature, time, bias int) error {
	if s.N < 1 || s.I < 1 || s.Units < 1 || s.Rank < 1 || s.M < 1 {
		return fmt.Errorf("kernels: svdf: sizes %+v", *s)
	}
	if feature != s.Filters()*s.I || time != s.Filters()*s.M || bias != 0 && bias != s.Units {
		return fmt.Errorf("kernels: svdf: %d feature weights, %d time weights and %d biases do not fit %+v", feature, time, bias, *s)
	}
	return nil
}

// shiftState drops the oldest value of every filter: next[f] = state[f][1:], v[f].
func shiftState[T any](next, state, v []T, m int) {
	for f, x := range v {
		d := next[f*m:][:m]
		copy(d, state[f*m+1:][:m-1])
		d[m-1] = x
	}
}

// SVDF is the float32 layer:
//
//	v[f] = chain of fma over x ascending, from +0
//	y[u] = (chain over the filters of u, their values ascending, from +0) + bias[u]
type SVDF struct {
	s       SVDFShape
	feature *Conv
	time    []float32
	bias    []float32
}

// NewSVDF packs feature[F][I] for level l; it keeps time[F][M] and bias[U] (nil
// is +0).
func NewSVDF(l Level, s SVDFShape, feature, time, bias []float32) (*SVDF, error) {
	if err := s.check(len(feature), len(time), len(bias)); err != nil {
		return nil, err
	}
	c, err := NewConv(l, unclamped(GemmShape(s.N, s.Filters(), s.I), feature, nil))
	if err != nil {
		return nil, err
	}
	return &SVDF{s: s, feature: c, time: time, bias: bias}, nil
}

// Scratch returns the bytes of scratch that Run needs.
func (c *SVDF) Scratch() int {
	return roundUp(4*c.s.N*c.s.Filters(), cacheLine) + c.feature.Scratch()
}

// PackedBytes returns the size of the weights.
func (c *SVDF) PackedBytes() int { return c.feature.PackedBytes() + 4*len(c.time) + 4*len(c.bias) }

// Run computes y[N][U] and the next state from x[N][I] and the state; next must
// not overlap state.
func (c *SVDF) Run(y, next, x, state []float32, scratch []byte) {
	n := c.s.N * c.s.Filters()
	v := view[float32](scratch, 0, n)
	c.feature.Run(v, x, scratch[roundUp(4*n, cacheLine):], 0, c.feature.Tasks())
	svdfTime(&c.s, y, next, state, v, c.time, c.bias)
}

func svdfTime(s *SVDFShape, y, next, state, v, time, bias []float32) {
	shiftState(next, state, v, s.M)
	run := s.Rank * s.M
	for n := range s.N {
		for u := range s.Units {
			w := time[u*run:][:run]
			x := next[(n*s.Units+u)*run:][:run]
			var acc float32
			for i, a := range w {
				acc = FMA32(x[i], a, acc)
			}
			b := float32(0)
			if bias != nil {
				b = bias[u]
			}
			y[n*s.Units+u] = acc + b
		}
	}
}

// HybridSVDF is the layer with float32 activations and int8 weights: the input
// is quantized a row at a time (see [QuantizeRow]), the feature product is that
// of [QDyn], the rest is float32 with the time weights dequantized.
type HybridSVDF struct {
	s       SVDFShape
	feature *QDyn
	time    []float32
	bias    []float32
}

// NewHybridSVDF packs feature[F][I], with one scale or one a filter, for level
// l; it keeps time[F][M], already real numbers, and bias[U].
func NewHybridSVDF(l Level, s SVDFShape, feature []int8, scale, time, bias []float32) (*HybridSVDF, error) {
	if err := s.check(len(feature), len(time), len(bias)); err != nil {
		return nil, err
	}
	c, err := NewQDyn(l, &QDynParams{Shape: GemmShape(s.N, s.Filters(), s.I), Weights: feature, Scale: scale, Lo: -inf32, Hi: inf32})
	if err != nil {
		return nil, err
	}
	return &HybridSVDF{s: s, feature: c, time: time, bias: bias}, nil
}

// Scratch returns the bytes of scratch that Run needs.
func (c *HybridSVDF) Scratch() int {
	v, codes, row := c.layout()
	return v + codes + 2*row + c.feature.Scratch()
}

// layout returns the sizes of the parts of the scratch: filter values, codes of
// the input, and a scale (or zero point) a row.
func (c *HybridSVDF) layout() (v, codes, row int) {
	return roundUp(4*c.s.N*c.s.Filters(), cacheLine), roundUp(c.s.N*c.s.I, cacheLine), roundUp(4*c.s.N, cacheLine)
}

// PackedBytes returns the size of the weights.
func (c *HybridSVDF) PackedBytes() int {
	return c.feature.PackedBytes() + 4*len(c.time) + 4*len(c.bias)
}

// Run is as that of [SVDF].
func (c *HybridSVDF) Run(y, next, x, state []float32, scratch []byte) {
	s := &c.s
	nv, ncodes, nrow := c.layout()
	v := view[float32](scratch, 0, s.N*s.Filters())
	codes := view[int8](scratch, nv, s.N*s.I)
	scale := view[float32](scratch, nv+ncodes, s.N)
	zero := view[int32](scratch, nv+ncodes+nrow, s.N)
	for n := range s.N {
		scale[n], zero[n] = QuantizeRow(codes[n*s.I:][:s.I], x[n*s.I:][:s.I])
	}
	c.feature.Run(v, codes, scale, zero, scratch[nv+ncodes+2*nrow:], 0, c.feature.Tasks())
	svdfTime(s, y, next, state, v, c.time, c.bias)
}

// QSVDF is the integer layer. The state and the time weights have one type,
// int16 or int8:
//
//	v = sat(zs + rne(float32(Σ feature*(x-zx)) * float32(sx*sf/ss)))
//	y = sat(zy + rne(float32(bias + ΣΣ time*(state-zs)) * float32(ss*st/sy)))
//
// The first sum is int32, the second int64.
type QSVDF[T int8 | int16] struct {
	Level        Level // of the kernels that Run uses; the zero value is portable Go
	s            SVDFShape
	feature      []int8
	featureBias  []int32 // -zx * (row sums of feature)
	time         []T
	time8        []int8  // the time weights where they are int8 and cannot overflow an int32 sum
	timeBias     []int32 // of time8: -zs * (sums a unit)
	bias         []int32
	m1, m2       float32
	state, y     QParams
	stLo, stHi   float32
	outLo, outHi float32
}

// NewQSVDF checks the sizes and keeps the slices; bias may be nil.
func NewQSVDF[T int8 | int16](s SVDFShape, feature []int8, featureScale float32, time []T, timeScale float32, bias []int32, x, state, y QParams) (*QSVDF[T], error) {
	if err := s.check(len(feature), len(time), len(bias)); err != nil {
		return nil, err
	}
	lo, hi := limits[T]()
	c := &QSVDF[T]{
		s: s, feature: feature, featureBias: foldZero(feature, nil, s.Filters(), x.Zero), time: time, bias: bias,
		m1:    float32(float64(x.Scale) * float64(featureScale) / float64(state.Scale)),
		m2:    float32(float64(state.Scale) * float64(timeScale) / float64(y.Scale)),
		state: state, y: y,
		stLo: float32(lo - state.Zero), stHi: float32(hi - state.Zero),
		outLo: float32(-128 - y.Zero), outHi: float32(127 - y.Zero),
	}
	if w, ok := any(time).([]int8); ok && s.Rank*s.M < 1<<15 { // 2**15 products of at most 2**15 and their zero point
		c.time8, c.timeBias = w, foldZero(w, nil, s.Units, state.Zero)
	}
	return c, nil
}

// Run computes y[N][U] and the next state from x[N][I] and the state; next must
// not overlap state.
func (c *QSVDF[T]) Run(y []int8, next []T, x []int8, state []T) {
	s := &c.s
	f, run := s.Filters(), s.Rank*s.M
	for n := range s.N {
		in := x[n*s.I:][:s.I]
		old, now := state[n*f*s.M:][:f*s.M], next[n*f*s.M:][:f*s.M]
		copy(now, old[1:]) // one value older; the newest of each filter comes now
		for i := range f {
			acc := dot8(c.Level, in, c.feature[i*s.I:][:s.I]) + c.featureBias[i]
			v := clampFloat(float32(float32(acc)*c.m1), c.stLo, c.stHi)
			now[i*s.M+s.M-1] = T(c.state.Zero + roundEven(v))
		}
		state8, _ := any(now).([]int8)
		for u := range s.Units {
			var acc int64
			if c.timeBias != nil {
				acc = int64(dot8(c.Level, state8[u*run:][:run], c.time8[u*run:][:run])) + int64(c.timeBias[u])
			} else {
				for i, v := range now[u*run:][:run] {
					acc += int64(c.time[u*run+i]) * int64(int32(v)-c.state.Zero)
				}
			}
			if c.bias != nil {
				acc += int64(c.bias[u])
			}
			r := clampFloat(float32(float32(acc)*c.m2), c.outLo, c.outHi)
			y[n*s.Units+u] = int8(c.y.Zero + roundEven(r))
		}
	}
}

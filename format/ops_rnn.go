package format

var opLSTM = &OpSpec{Name: "LSTM",
	Doc: "ONNX's LSTM in layout 0 with gates in the order i, o, f, c: i, o, f = sigmoid(W·x + Wb + R·h + Rb), g = tanh(likewise), c = f·c + i·g, h = o·tanh(c). " +
		"D is 2 when bidirectional, else 1; B holds Wb, then Rb. An absent initial state is zero; Y has every step, Y_h and Y_c the last.",
	Inputs:  []string{"X[T,N,I]", "W[D,4H,I]", "R[D,4H,H]", "B[D,8H]?", "sequence_lens[N]?", "initial_h[D,N,H]?", "initial_c[D,N,H]?"},
	Outputs: []string{"Y[T,D,N,H]?", "Y_h[D,N,H]?", "Y_c[D,N,H]?"},
	Attrs: []AttrSpec{
		{Name: "direction", Kind: KindString, Default: "forward", Strings: []string{"forward", "reverse", "bidirectional"}},
		// TFLite's, not ONNX's clip, which bounds the inputs of the activations.
		{Name: "cell_clip", Kind: KindFloat, Default: 0.0, Doc: "bound of |c|, applied before tanh(c) and before c is kept; 0: none"},
	},
	Types: []string{"float32 float32 float32 float32 int32 float32 float32 -> float32 float32 float32"},
	infer: inferLSTM}

// opQLSTM is TFLite's integer UNIDIRECTIONAL_SEQUENCE_LSTM, "8x8_16" (see
// tensorflow/lite/kernels/lstm_eval.cc and the paper of its arithmetic, Jacob et
// al. 2018, section 2), without peepholes, projection, layer normalization and
// coupled gates.
//
// Wi, Wf, Wc, Wo, Ri … are int8, each with its own scale per tensor and zero point
// 0. A bias is int32 in units of X's scale times that gate's W scale. h is int8,
// with the quantization of Y; c is int16 with zero point 0 and a scale that is a
// power of two 2^e. For every step and each gate k of i, f, c, o:
//
//	gx = sat16(rne(float32(Bk + Σ Wk·(x - zx)) · float32(sx·sWk·4096)))
//	gk = sat16(gx + rne(float32(Σ Rk·(h - zh)) · float32(sh·sRk·4096)))    Q3.12
//	i, f, o = sigmoid(gk), g = tanh(gc)                                    Q0.15
//	c = sat16(rdiv(f·c, 15) + rdiv(i·g, 30+e)), clamped to ±cell_clip
//	h = sat8(zh + rne(float32(o·tanh(c)) · float32(2^-30 / sh)))           tanh(c): Q0.15 of c·2^e
//
// where products are summed in int32, rdiv(p, n) is p / 2^n to nearest with ties
// away from zero, and sat8, sat16 clamp to the type.
var opQLSTM = &OpSpec{Name: "QLSTM",
	Doc: "The integer LSTM of TFLite: int8 input, weights and output, 16-bit gates (Q3.12 into sigmoid and tanh, Q0.15 out of them) and an int16 cell whose scale is a power of two. " +
		"Y has every step, Y_h and Y_c the state after the last; h0, Y and Y_h share one quantization, c0 and Y_c another.",
	Inputs: []string{"X[N,T,I]", "Wi[H,I]", "Wf[H,I]", "Wc[H,I]", "Wo[H,I]", "Ri[H,H]", "Rf[H,H]", "Rc[H,H]", "Ro[H,H]",
		"Bi[H]", "Bf[H]", "Bc[H]", "Bo[H]", "h0[N,H]", "c0[N,H]"},
	Outputs: []string{"Y[N,T,H]", "Y_h[N,H]", "Y_c[N,H]"},
	Attrs: []AttrSpec{
		{Name: "time_major", Kind: KindInt, Default: int64(0), Ints: []int64{0, 1}, Doc: "1: X is [T,N,I] and Y [T,N,H]"},
		{Name: "cell_clip", Kind: KindFloat, Default: 0.0, Doc: "bound of the cell's absolute real value; 0: none"},
	},
	Types: []string{"qint8 qint8 qint8 qint8 qint8 qint8 qint8 qint8 qint8 int32 int32 int32 int32 qint8 qint16 -> qint8 qint8 qint16"},
	infer: inferQLSTM}

// opSVDF is TFLite's SVDF (tensorflow/lite/kernels/internal/reference/svdf.h)
// with its variable tensor as an explicit input and output, and without its fused
// activation. F = rank · U filters remember the last M steps each; state[n] holds
// filter 0's M values oldest first, then filter 1's, and so on:
//
//	state_out[n][f] = state_in[n][f][1:], then Σ_i wf[f][i]·x[n][i]
//	y[n][u] = bias[u] + Σ_{f = u·rank .. u·rank+rank-1} Σ_m wt[f][m]·state_out[n][f][m]
//
// Quantized (sums in int32, but the second in int64 for an int16 state, where
// TFLite's may overflow; all zero points of weights 0):
//
//	new = sat(zs + rne(float32(Σ wf·(x - zx)) · float32(sx·swf/ss)))
//	y   = sat(zy + rne(float32(bias + ΣΣ wt·(state - zs)) · float32(ss·swt/sy)))
//
// so bias counts in units of the state's scale times wt's. With float input and
// int8 weights (hybrid) the input is quantized when the op runs, as Gemm's is,
// the state is float32 and wt is used as the real numbers it stands for.
var opSVDF = &OpSpec{Name: "SVDF",
	Doc: "TFLite's SVDF: a fully connected layer of rank-limited filters over the last M inputs (Nakkiran et al. 2015, \"Compressing deep neural networks using a rank-constrained topology\"). " +
		"The state is read and written by StateRead and StateWrite around it.",
	Inputs:  []string{"X[N,I]", "weights_feature[F,I]", "weights_time[F,M]", "bias[U]?", "state_in[N,F*M]"},
	Outputs: []string{"Y[N,U]", "state_out[N,F*M]"},
	Attrs:   []AttrSpec{{Name: "rank", Kind: KindInt, Required: true, Doc: "divides F; U = F/rank"}},
	Types: []string{
		"float32 float32 float32 float32 float32 -> float32 float32",
		"qint8 qint8 qint16 int32 qint16 -> qint8 qint16",
		"qint8 qint8 qint8 int32 qint8 -> qint8 qint8",
		"float32 qint8 qint8 float32 float32 -> float32 float32",
	},
	infer: inferSVDF}

func inferLSTM(c *call) []Shape {
	x, w, r := c.rank(0, 3), c.rank(1, 3), c.rank(2, 3)
	dirs := 1
	if c.attrs.Str("direction", "") == "bidirectional" {
		dirs = 2
	}
	h := r[2]
	if h < 1 || h > MaxDim/8 || w[1] != 4*h {
		c.fail("W and R with the shapes %v and %v do not show one hidden size", w, r)
	}
	c.want(1, Shape{dirs, 4 * h, x[2]})
	c.want(2, Shape{dirs, 4 * h, h})
	c.want(3, Shape{dirs, 8 * h})
	c.want(4, Shape{x[1]})
	c.want(5, Shape{dirs, x[1], h})
	c.want(6, Shape{dirs, x[1], h})
	if c.attrs.Float("cell_clip", 0) < 0 {
		c.fail("cell_clip is negative")
	}
	state := Shape{dirs, x[1], h}
	return []Shape{{x[0], dirs, x[1], h}, state, state}
}

func inferQLSTM(c *call) []Shape {
	x, h0 := c.rank(0, 3), c.rank(13, 2)
	n, t := x[0], x[1]
	if c.attrs.Int("time_major", 0) == 1 {
		n, t = t, n
	}
	h := h0[1]
	for i := 1; i <= 4; i++ {
		c.want(i, Shape{h, x[2]})
		c.want(i+4, Shape{h, h})
		c.want(i+8, Shape{h})
	}
	state := Shape{n, h}
	c.want(13, state)
	c.want(14, state)
	y := Shape{n, t, h}
	if c.attrs.Int("time_major", 0) == 1 {
		y = Shape{t, n, h}
	}
	for i := 1; i <= 8; i++ {
		if c.in[i].Quant.ZeroPoint() != 0 {
			c.fail("input %d, a weight, has the zero point %d and must have 0", i, c.in[i].Quant.ZeroPoint())
		}
	}
	if q := c.in[14].Quant; q != nil && len(q.Scale) == 1 && (q.ZeroPoint() != 0 || !powerOfTwo(q.Scale[0])) {
		c.fail("the cell state needs the zero point 0 and a power of two as scale, and has %d and %g", q.ZeroPoint(), q.Scale[0])
	}
	if c.attrs.Float("cell_clip", 0) < 0 {
		c.fail("cell_clip is negative")
	}
	c.same = [][2]int{{13, 0}, {13, 1}, {14, 2}}
	return []Shape{y, state, state}
}

func inferSVDF(c *call) []Shape {
	x, wf, wt := c.rank(0, 2), c.rank(1, 2), c.rank(2, 2)
	f, m, rank := wf[0], wt[1], c.attrs.Int("rank", 1)
	if rank < 1 || f < 1 || f%rank != 0 {
		c.fail("rank %d does not divide the number of filters %d", rank, f)
	}
	u := f / rank
	c.want(1, Shape{f, x[1]})
	c.want(2, Shape{f, m})
	c.want(3, Shape{u})
	if m < 1 || f > MaxDim/m {
		c.fail("%d filters with a memory of %d are too large", f, m)
	}
	state := Shape{x[0], f * m}
	c.want(4, state)
	for i := 1; i <= 2; i++ {
		if c.in[i].Quant.ZeroPoint() != 0 {
			c.fail("input %d, a weight, has the zero point %d and must have 0", i, c.in[i].Quant.ZeroPoint())
		}
	}
	c.same = [][2]int{{4, 1}}
	return []Shape{{x[0], u}, state}
}

package kernels

import (
	"fmt"
	"math"
)

// QLSTMParams describes TensorFlow Lite's integer LSTM with int8 activations
// and weights and an int16 cell ("8x8_16"), without peepholes, projection,
// layer normalization and coupled gates. Gates are in the order i, f, c, o.
type QLSTMParams struct {
	T, N, I, H int
	TimeMajor  bool // x is [T][N][I] and y [T][N][H], else batch first
	W          [4][]int8
	R          [4][]int8
	B          [4][]int32
	ScaleW     [4]float32
	ScaleR     [4]float32
	X, Hidden  QParams
	CellExp    int     // the cell's scale is 2**CellExp
	CellClip   float64 // bound of the cell's absolute real value; 0: none
}

// QLSTM is an integer LSTM. For every step and each gate k
//
//	gx = sat16(mul(Bk + Σ Wk*(x-zx), sx*sWk*4096))
//	gk = sat16(gx + mul(Σ Rk*(h-zh), sh*sRk*4096))                 Q3.12
//	i, f, o = sigmoid(gk), g = tanh(gc)                            Q0.15
//	c = sat16(rdiv(f*c, 15) + rdiv(i*g, 30+CellExp)), clamped to ±clip
//	h = sat8(zh + mul(o*tanh(c), 2**-30/sh))
//
// where products are summed in int32, mul is the fixed-point multiplication
// [fixedMul], sigmoid and tanh are the fixed-point functions of gemmlowp,
// rdiv(p, n) is p/2**n to nearest with ties away from zero, and tanh(c) is Q0.15
// of the cell's real value. These are the roundings of TensorFlow Lite
// (lstm_eval.cc, LstmStepInteger8x8_16), kept to the bit because a recurrence
// feeds each of them back. A QLSTM is immutable and may be used by many
// goroutines.
type QLSTM struct {
	Level  Level // of the kernels that Run uses; the zero value is portable Go
	p      QLSTMParams
	wb, rb [4][]int32 // bias with the input's, the hidden state's zero point folded in
	mw, mr [4]fixedMul
	mh     fixedMul
	clip   int32
}

// NewQLSTM checks p and keeps its slices.
func NewQLSTM(p *QLSTMParams) (*QLSTM, error) {
	if p.T < 1 || p.N < 1 || p.I < 1 || p.H < 1 {
		return nil, fmt.Errorf("kernels: integer lstm: sizes T=%d N=%d I=%d H=%d", p.T, p.N, p.I, p.H)
	}
	// The cell is a Qm number with m = 15+CellExp, and tanhQ takes m <= 6.
	if p.CellExp < -15 || p.CellExp > -9 {
		return nil, fmt.Errorf("kernels: integer lstm: the scale of the cell is 2^%d, want 2^-15 to 2^-9", p.CellExp)
	}
	c := &QLSTM{p: *p, mh: newFixedMul(0x1p-30 / float64(p.Hidden.Scale)), clip: math.MaxInt16}
	if p.CellClip > 0 {
		v := math.RoundToEven(math.Ldexp(p.CellClip, -p.CellExp))
		c.clip = int32(min(v, math.MaxInt16))
	}
	for k := range 4 {
		if len(p.W[k]) != p.H*p.I || len(p.R[k]) != p.H*p.H || len(p.B[k]) != p.H {
			return nil, fmt.Errorf("kernels: integer lstm: gate %d has %d, %d and %d weights, recurrent weights and biases, which do not fit I=%d H=%d",
				k, len(p.W[k]), len(p.R[k]), len(p.B[k]), p.I, p.H)
		}
		c.wb[k] = foldZero(p.W[k], p.B[k], p.H, p.X.Zero)
		c.rb[k] = foldZero(p.R[k], nil, p.H, p.Hidden.Zero)
		c.mw[k] = newFixedMul(float64(p.X.Scale) * float64(p.ScaleW[k]) * 4096)
		c.mr[k] = newFixedMul(float64(p.Hidden.Scale) * float64(p.ScaleR[k]) * 4096)
	}
	return c, nil
}

// foldZero returns bias - zero * (row sums of w).
func foldZero(w []int8, bias []int32, rows int, zero int32) []int32 {
	out := make([]int32, rows)
	copy(out, bias)
	n := len(w) / rows
	for i := range out {
		for _, v := range w[i*n:][:n] {
			out[i] -= zero * int32(v)
		}
	}
	return out
}

// MACs returns the multiply-accumulates of one run.
func (c *QLSTM) MACs() int { return c.p.T * c.p.N * 4 * c.p.H * (c.p.I + c.p.H) }

// Scratch is the number of int8 that Run needs.
func (c *QLSTM) Scratch() int { return c.p.H }

// Run computes all steps. h[N][H] and cell[N][H] hold the initial state and get
// the final one.
func (c *QLSTM) Run(y, h []int8, cell []int16, x []int8, scratch []int8) {
	p := &c.p
	next := scratch[:p.H]
	for n := range p.N {
		hn, cn := h[n*p.H:][:p.H], cell[n*p.H:][:p.H]
		for t := range p.T {
			at := n*p.T + t
			if p.TimeMajor {
				at = t*p.N + n
			}
			c.step(next, hn, cn, x[at*p.I:][:p.I])
			copy(hn, next)
			copy(y[at*p.H:], next)
		}
	}
}

func (c *QLSTM) step(next, h []int8, cell []int16, x []int8) {
	p := &c.p
	zero := p.Hidden.Zero
	for u := range next {
		var g [4]int32
		for k := range g {
			a := dot8(c.Level, x, p.W[k][u*p.I:][:p.I]) + c.wb[k][u]
			b := dot8(c.Level, h, p.R[k][u*p.H:][:p.H]) + c.rb[k][u]
			g[k] = int32(sat16(int32(sat16(c.mw[k].mul(a))) + c.mr[k].mul(b)))
		}
		i, f, z, o := sigmoidQ(g[0]), sigmoidQ(g[1]), tanhQ(g[2], 3), sigmoidQ(g[3])
		v := int32(sat16(roundShift(f*int32(cell[u]), 15) + roundShift(i*z, uint(30+p.CellExp))))
		v = min(max(v, -c.clip), c.clip)
		cell[u] = int16(v)
		next[u] = int8(min(max(c.mh.mul(o*tanhQ(v, 15+p.CellExp))+zero, -128), 127))
	}
}

// dot8Go is the portable dot8.
func dot8Go(x, w []int8) int32 {
	w = w[:len(x)]
	var a, b int32
	for len(x) >= 2 && len(w) >= 2 {
		a += int32(x[0]) * int32(w[0])
		b += int32(x[1]) * int32(w[1])
		x, w = x[2:], w[2:]
	}
	if len(x) > 0 && len(w) > 0 {
		a += int32(x[0]) * int32(w[0])
	}
	return a + b
}

func sat16(v int32) int16 { return int16(min(max(v, math.MinInt16), math.MaxInt16)) }

// roundShift is v/2**n to nearest, ties away from zero.
func roundShift(v int32, n uint) int32 {
	half := int64(1) << n >> 1
	if v < 0 {
		return -int32((half - int64(v)) >> n)
	}
	return int32((int64(v) + half) >> n)
}

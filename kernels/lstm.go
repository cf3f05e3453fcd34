package kernels

import "fmt"

// LSTMParams describes an LSTM as ONNX defines it, in layout 0, with the gates
// in the order i, o, f, c.
type LSTMParams struct {
	T, N, I, H int       // steps, batch, input size, hidden size
	Dirs       int       // 1 or 2; the second direction runs backwards
	Reverse    bool      // the only direction runs backwards
	W          []float32 // [Dirs][4H][I]
	R          []float32 // [Dirs][4H][H]
	B          []float32 // [Dirs][8H]: Wb, then Rb; nil is +0
	CellClip   float32   // bound of |c|; 0: none
}

// LSTM is a float32 LSTM, packed for one level. For every step
//
//	g = (W·x + Wb) + (R·h + Rb)                 products as in [Conv]
//	i, o, f = sigmoid(g), z = tanh(g)
//	c = fma(i, z, f*c), clamped to ±CellClip
//	h = o * tanh(c)
//
// It is immutable and may be used by many goroutines.
type LSTM struct {
	p     LSTMParams
	level Level
	x, r  []*Conv // by direction: all steps at once; one step
}

// NewLSTM packs the weights for level l. It copies what it needs of p.
func NewLSTM(l Level, p *LSTMParams) (*LSTM, error) {
	if p.T < 1 || p.N < 1 || p.I < 1 || p.H < 1 || p.Dirs < 1 || p.Dirs > 2 {
		return nil, fmt.Errorf("kernels: lstm: sizes T=%d N=%d I=%d H=%d directions=%d", p.T, p.N, p.I, p.H, p.Dirs)
	}
	g := 4 * p.H
	if len(p.W) != p.Dirs*g*p.I || len(p.R) != p.Dirs*g*p.H || p.B != nil && len(p.B) != p.Dirs*2*g {
		return nil, fmt.Errorf("kernels: lstm: %d, %d and %d elements of W, R and B do not fit I=%d H=%d directions=%d",
			len(p.W), len(p.R), len(p.B), p.I, p.H, p.Dirs)
	}
	c := &LSTM{p: *p, level: l}
	c.p.W, c.p.R, c.p.B = nil, nil, nil
	for d := range p.Dirs {
		var wb, rb []float32
		if p.B != nil {
			wb, rb = p.B[2*d*g:][:g], p.B[(2*d+1)*g:][:g]
		}
		x, err := NewConv(l, unclamped(GemmShape(p.T*p.N, g, p.I), p.W[d*g*p.I:][:g*p.I], wb))
		if err != nil {
			return nil, err
		}
		r, err := NewConv(l, unclamped(GemmShape(p.N, g, p.H), p.R[d*g*p.H:][:g*p.H], rb))
		if err != nil {
			return nil, err
		}
		c.x, c.r = append(c.x, x), append(c.r, r)
	}
	return c, nil
}

func unclamped(s ConvShape, w, b []float32) *ConvParams {
	return &ConvParams{Shape: s, Weights: w, Bias: b, Lo: -inf32, Hi: inf32}
}

// PackedBytes returns the size of the packed weights.
func (c *LSTM) PackedBytes() int {
	n := 0
	for d := range c.x {
		n += c.x[d].PackedBytes() + c.r[d].PackedBytes()
	}
	return n
}

// MACs returns the multiply-accumulates of one run.
func (c *LSTM) MACs() int { return c.p.Dirs * c.p.T * c.p.N * 4 * c.p.H * (c.p.I + c.p.H) }

// Scratch returns the bytes of scratch that Run needs.
func (c *LSTM) Scratch() int {
	inner := 0
	for d := range c.x {
		inner = max(inner, c.x[d].Scratch(), c.r[d].Scratch())
	}
	return roundUp(4*c.gates(), cacheLine) + inner
}

// gates is the number of sums kept at once: those of all inputs and of one
// step's hidden states.
func (c *LSTM) gates() int { return (c.p.T + 1) * c.p.N * 4 * c.p.H }

// Run computes all steps of x[T][N][I]. y[T][Dirs][N][H] gets every h and may be
// nil; h[Dirs][N][H] and cell[Dirs][N][H] hold the initial state and get the
// final one. lens[N], if not nil, says how many steps each sequence has: behind
// its end y is 0 and the state stays.
func (c *LSTM) Run(y, h, cell, x []float32, lens []int32, scratch []byte) {
	p := &c.p
	g, nh := 4*p.H, p.N*p.H
	sums := view[float32](scratch, 0, c.gates())
	xg, hg := sums[:p.T*p.N*g], sums[p.T*p.N*g:]
	inner := scratch[roundUp(4*c.gates(), cacheLine):]
	if y != nil && lens != nil {
		clear(y[:p.T*p.Dirs*nh])
	}
	for d := range p.Dirs {
		back := p.Reverse || d == 1
		hd, cd := h[d*nh:][:nh], cell[d*nh:][:nh]
		c.x[d].Run(xg, x, inner, 0, c.x[d].Tasks())
		for s := range p.T {
			c.r[d].Run(hg, hd, inner, 0, c.r[d].Tasks())
			for n := range p.N {
				length := p.T
				if lens != nil {
					length = min(max(int(lens[n]), 0), p.T)
				}
				if s >= length {
					continue
				}
				t := s
				if back {
					t = length - 1 - s
				}
				hn := hd[n*p.H:][:p.H]
				c.step(hn, cd[n*p.H:][:p.H], xg[(t*p.N+n)*g:][:g], hg[n*g:][:g])
				if y != nil {
					copy(y[((t*p.Dirs+d)*p.N+n)*p.H:], hn)
				}
			}
		}
	}
}

// step advances one sequence by a step. xg holds its sums of the input and is
// used up, as is hg, that of the hidden state.
func (c *LSTM) step(h, cell, xg, hg []float32) {
	n := len(h)
	arith(c.level, Add, xg, xg, hg[:len(xg)], -inf32, inf32)
	c.apply(SigmoidOp, xg[:3*n])
	c.apply(TanhOp, xg[3*n:])
	i, o, f, z := xg[:n], xg[n:][:n], xg[2*n:][:n], xg[3*n:][:n]
	clip := inf32
	if c.p.CellClip > 0 {
		clip = c.p.CellClip
	}
	for k := cellFront(c.level, cell, i, z, f, -clip, clip); k < n; k++ {
		cell[k] = clampFloat(FMA32(i[k], z[k], f[k]*cell[k]), -clip, clip)
	}
	t := hg[:n]
	copy(t, cell)
	c.apply(TanhOp, t)
	arith(c.level, Mul, h, o, t, -inf32, inf32)
}

func (c *LSTM) apply(op UnaryOp, x []float32) {
	f := tanh32
	if op == SigmoidOp {
		f = Sigmoid[float32]
	}
	ApplyUnaryAt(c.level, Unary{Op: op}, f, x, x)
}

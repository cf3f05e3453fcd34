package kernels

import "fmt"

// GRUParams describes a GRU as ONNX defines it, in layout 0, with the gates in the
// order z, r, h; or, with Simple set, a plain recurrence with one gate.
type GRUParams struct {
	T, N, I, H        int       // steps, batch, input size, hidden size
	Dirs              int       // 1 or 2; the second direction runs backwards
	Reverse           bool      // the only direction runs backwards
	Simple            bool      // h = tanh(g)
	LinearBeforeReset bool      // r applies to R·h + Rb, else to h
	W                 []float32 // [Dirs][gates*H][I]
	R                 []float32 // [Dirs][gates*H][H]
	B                 []float32 // [Dirs][2*gates*H]: Wb, then Rb; nil is +0
}

// GRU is a float32 GRU or simple recurrence, packed for one level. For every step
//
//	z, r = sigmoid((W·x + Wb) + (R·h + Rb))           products as in [Conv]
//	g = tanh((W·x + Wb) + (R·(r*h) + Rb))             or fma(r, R·h + Rb, W·x + Wb)
//	h = fma(z, h, (1-z)*g)
//
// It is immutable and may be used by many goroutines.
type GRU struct {
	p     GRUParams
	gates int
	level Level
	x     []*Conv // by direction: all steps at once
	r     []*Conv // one step: all gates, or those before the reset
	last  []*Conv // one step: the gate behind the reset, nil where r has it
}

// NewGRU packs the weights for level l. It copies what it needs of p.
func NewGRU(l Level, p *GRUParams) (*GRU, error) {
	if p.T < 1 || p.N < 1 || p.I < 1 || p.H < 1 || p.Dirs < 1 || p.Dirs > 2 {
		return nil, fmt.Errorf("kernels: gru: sizes T=%d N=%d I=%d H=%d directions=%d", p.T, p.N, p.I, p.H, p.Dirs)
	}
	c := &GRU{p: *p, gates: 3, level: l}
	if p.Simple {
		c.gates = 1
	}
	g := c.gates * p.H
	if len(p.W) != p.Dirs*g*p.I || len(p.R) != p.Dirs*g*p.H || p.B != nil && len(p.B) != p.Dirs*2*g {
		return nil, fmt.Errorf("kernels: gru: %d, %d and %d elements of W, R and B do not fit I=%d H=%d directions=%d",
			len(p.W), len(p.R), len(p.B), p.I, p.H, p.Dirs)
	}
	c.p.W, c.p.R, c.p.B = nil, nil, nil
	split := g // rows of R in the first product
	if !p.Simple && !p.LinearBeforeReset {
		split = 2 * p.H
	}
	for d := range p.Dirs {
		wb, rb := make([]float32, g), make([]float32, g)
		if p.B != nil {
			copy(wb, p.B[2*d*g:][:g])
			copy(rb, p.B[(2*d+1)*g:][:g])
		}
		r := p.R[d*g*p.H:][:g*p.H]
		x, err := NewConv(l, unclamped(GemmShape(p.T*p.N, g, p.I), p.W[d*g*p.I:][:g*p.I], wb))
		if err != nil {
			return nil, err
		}
		first, err := NewConv(l, unclamped(GemmShape(p.N, split, p.H), r[:split*p.H], rb[:split]))
		if err != nil {
			return nil, err
		}
		var last *Conv
		if split < g {
			if last, err = NewConv(l, unclamped(GemmShape(p.N, g-split, p.H), r[split*p.H:], rb[split:])); err != nil {
				return nil, err
			}
		}
		c.x, c.r, c.last = append(c.x, x), append(c.r, first), append(c.last, last)
	}
	return c, nil
}

// PackedBytes returns the size of the packed weights.
func (c *GRU) PackedBytes() int {
	n := 0
	for d := range c.x {
		n += c.x[d].PackedBytes() + c.r[d].PackedBytes()
		if c.last[d] != nil {
			n += c.last[d].PackedBytes()
		}
	}
	return n
}

// MACs returns the multiply-accumulates of one run.
func (c *GRU) MACs() int { return c.p.Dirs * c.p.T * c.p.N * c.gates * c.p.H * (c.p.I + c.p.H) }

// Scratch returns the bytes of scratch that Run needs.
func (c *GRU) Scratch() int {
	inner := 0
	for d := range c.x {
		inner = max(inner, c.x[d].Scratch(), c.r[d].Scratch())
		if c.last[d] != nil {
			inner = max(inner, c.last[d].Scratch())
		}
	}
	return roundUp(4*c.sums(), cacheLine) + inner
}

// sums is the number of sums kept at once: those of all inputs, of one step's
// hidden states, and the hidden states behind the reset.
func (c *GRU) sums() int { return ((c.p.T+1)*c.gates + 1) * c.p.N * c.p.H }

// Run computes all steps of x[T][N][I]. y[T][Dirs][N][H] gets every h and may be
// nil; h[Dirs][N][H] holds the initial state and gets the final one. lens[N], if
// not nil, says how many steps each sequence has: behind its end y is 0 and the
// state stays.
func (c *GRU) Run(y, h, x []float32, lens []int32, scratch []byte) {
	p := &c.p
	g, nh := c.gates*p.H, p.N*p.H
	sums := view[float32](scratch, 0, c.sums())
	xg, hg, reset := sums[:p.T*p.N*g], sums[p.T*p.N*g:][:p.N*g], sums[(p.T+1)*p.N*g:]
	inner := scratch[roundUp(4*c.sums(), cacheLine):]
	if y != nil && lens != nil {
		clear(y[:p.T*p.Dirs*nh])
	}
	for d := range p.Dirs {
		back := p.Reverse || d == 1
		hd := h[d*nh:][:nh]
		c.x[d].Run(xg, x, inner, 0, c.x[d].Tasks())
		for s := range p.T {
			c.r[d].Run(hg, hd, inner, 0, c.r[d].Tasks())
			width := g
			if c.last[d] != nil {
				width = 2 * p.H
			}
			// The gates before the new state; with a reset before the product they
			// are needed for the whole batch first.
			for n := range p.N {
				t, ok := c.time(s, n, lens, back)
				if !ok {
					clear(reset[n*p.H:][:p.H])
					continue
				}
				if !p.Simple {
					c.gate(xg[(t*p.N+n)*g:][:g], hg[n*width:][:width], hd[n*p.H:][:p.H], reset[n*p.H:][:p.H])
				}
			}
			if c.last[d] != nil {
				c.last[d].Run(hg[:nh], reset, inner, 0, c.last[d].Tasks())
			}
			for n := range p.N {
				t, ok := c.time(s, n, lens, back)
				if !ok {
					continue
				}
				hn, xn := hd[n*p.H:][:p.H], xg[(t*p.N+n)*g:][:g]
				c.update(hn, xn, hg[n*p.H:][:p.H])
				if y != nil {
					copy(y[((t*p.Dirs+d)*p.N+n)*p.H:], hn)
				}
			}
		}
	}
}

// time returns the input step of sequence n in step s, and whether there is one.
func (c *GRU) time(s, n int, lens []int32, back bool) (int, bool) {
	length := c.p.T
	if lens != nil {
		length = min(max(int(lens[n]), 0), c.p.T)
	}
	if back {
		return length - 1 - s, s < length
	}
	return s, s < length
}

// gate turns the first two sums in xg into z and r. Where the reset comes behind
// the product it finishes the third sum too, else it leaves r*h in reset.
func (c *GRU) gate(xg, hg, h, reset []float32) {
	n := len(h)
	for k, v := range hg[:2*n] {
		xg[k] += v
	}
	c.apply(SigmoidOp, xg[:2*n])
	r := xg[n:][:n]
	if c.p.LinearBeforeReset {
		for k, v := range hg[2*n:][:n] {
			xg[2*n+k] = FMA32(r[k], v, xg[2*n+k])
		}
		return
	}
	for k, v := range h {
		reset[k] = r[k] * v
	}
}

// update makes the new state from the gates in xg and, unless the reset came
// behind the product, the last product in hg.
func (c *GRU) update(h, xg, hg []float32) {
	n := len(h)
	g := xg[len(xg)-n:]
	if !c.p.LinearBeforeReset {
		for k, v := range hg {
			g[k] += v
		}
	}
	c.apply(TanhOp, g)
	if c.p.Simple {
		copy(h, g)
		return
	}
	for k, old := range h {
		z := xg[k]
		h[k] = FMA32(z, old, float32((1-z)*g[k]))
	}
}

func (c *GRU) apply(op UnaryOp, x []float32) {
	f := tanh32
	if op == SigmoidOp {
		f = Sigmoid[float32]
	}
	ApplyUnaryAt(c.level, Unary{Op: op}, f, x, x)
}

package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// Conv16Params describes a convolution or matrix product of 16x8 models: int16
// activations with zero point 0, int8 weights, int64 bias:
//
//	acc = Bias[o] + Σ x·w                                 int64
//	y   = int16(rne(clamp(float64(acc)·Scale[o], Lo, Hi)))
type Conv16Params struct {
	Shape   ConvShape
	Weights []int8    // [O][KH][KW][C/Groups]
	Bias    []int64   // [O]; nil is 0
	Scale   []float64 // sx*sw/sy, one value or [O]
	Lo, Hi  int32     // clamp, in output codes
}

func (p *Conv16Params) check() error {
	s := &p.Shape
	if err := s.check(2); err != nil {
		return err
	}
	if err := checkLen("weights", len(p.Weights), s.WeightLen()); err != nil {
		return err
	}
	if p.Bias != nil {
		if err := checkLen("biases", len(p.Bias), s.O); err != nil {
			return err
		}
	}
	if len(p.Scale) != 1 {
		if err := checkLen("scales", len(p.Scale), s.O); err != nil {
			return err
		}
	}
	for i, v := range p.Scale {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("kernels: convolution: scale %d is %v", i, v)
		}
	}
	if p.Lo > p.Hi || p.Lo < math.MinInt16 || p.Hi > math.MaxInt16 {
		return fmt.Errorf("kernels: convolution: clamp [%d, %d] is not a range of int16 codes", p.Lo, p.Hi)
	}
	return nil
}

// scale is that of output channel o.
func (p *Conv16Params) scale(o int) float64 {
	if len(p.Scale) == 1 {
		return p.Scale[0]
	}
	return p.Scale[o]
}

// narrow reports whether an int32 holds every sum of the layer and a half of an
// int32's range every scaled one, bias included, whatever the input.
func (p *Conv16Params) narrow() bool {
	depth := len(p.Weights) / p.Shape.O
	for o := range p.Shape.O {
		most := float64(magnitude(p.Weights[o*depth:][:depth])) * -math.MinInt16
		if p.Bias != nil {
			most += math.Abs(float64(p.Bias[o]))
		}
		if most > math.MaxInt32 || most*p.scale(o) > 1<<30 {
			return false
		}
	}
	return true
}

// magnitude is Σ|w|.
func magnitude(w []int8) (sum int) {
	for _, v := range w {
		s := int(v) >> 7
		sum += (int(v) ^ s) - s
	}
	return sum
}

// Conv16 is a 16x8 convolution or matrix product, packed for one level. It is
// immutable and may be used by many goroutines.
//
// Most layers are so small that int32 holds all their sums, which micro-kernels then
// requantize themselves. Of the others the depth is cut into pieces of that kind;
// their sums are added in int64 here. Either way the sum is exact.
type Conv16 struct {
	level      Level
	plan       *convPlan
	packed     []byte
	panelBytes int
	pieces     []piece16
	pad        []int16
	lo, hi     int32
	wide       *Conv16Params // of a layer in pieces: bias and scale
	dw         *qDepthwise   // set for depthwise shapes; the rest is then unused
}

// piece16 is a part of the depth: all of some taps, or a part of one tap.
type piece16 struct {
	tap, taps int
	k, kc     int
	at        int // in a packed panel
}

// NewConv16 packs the weights for level l. It copies what it needs of p.
func NewConv16(l Level, p *Conv16Params) (*Conv16, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	narrow := p.narrow()
	if p.Shape.depthwise() && narrow {
		q := &QConvParams{Shape: p.Shape, Weights: p.Weights, Bias: narrowed(p.Bias), Lo: p.Lo, Hi: p.Hi}
		return &Conv16{dw: newQDepthwise(l, q, p.scale)}, nil
	}
	plan := newConvPlan(p.Shape, gemm16Shape(l), 2)
	c := &Conv16{level: l, plan: plan, pad: make([]int16, plan.kc), lo: p.Lo, hi: p.Hi}
	if narrow {
		c.pieces = []piece16{{taps: plan.taps, kc: plan.kc}}
	} else {
		c.pieces = cutDepth(plan, p.Weights)
		c.wide = &Conv16Params{Scale: append([]float64(nil), p.Scale...), Bias: append([]int64(nil), p.Bias...)}
	}
	c.pack(p)
	return c, nil
}

func narrowed(bias []int64) []int32 {
	if bias == nil {
		return nil
	}
	list := make([]int32, len(bias))
	for i, b := range bias {
		list[i] = int32(b)
	}
	return list
}

// cutDepth cuts the depth so that the sums of a piece fit int32 for every input.
func cutDepth(p *convPlan, weights []int8) []piece16 {
	const most = math.MaxInt32 / -math.MinInt16 // magnitude of the weights of a piece
	unit := p.kc
	if p.run*-math.MinInt8 > most {
		unit = 256
	}
	var pieces []piece16
	sum, next := make([]int, p.s.O), make([]int, p.s.O)
	for tap := range p.taps {
		for k := 0; k < p.kc; k += unit {
			joins := len(pieces) > 0 && (unit == p.kc || k > 0)
			for o := range next {
				next[o] = magnitude(weights[o*p.depth+tap*p.run:][k:min(k+unit, p.run)])
				joins = joins && sum[o]+next[o] <= most
			}
			n := min(unit, p.kc-k)
			if !joins {
				clear(sum)
				pieces = append(pieces, piece16{tap: tap, taps: 1, k: k, kc: n})
			} else if last := &pieces[len(pieces)-1]; unit == p.kc {
				last.taps++
			} else {
				last.kc += n
			}
			for o, n := range next {
				sum[o] += n
			}
		}
	}
	return pieces
}

// pack fills the panels. Each is a sequence of pieces,
//
//	[NR]float64 scale, [NR]int32 bias, [taps][kc/KR][NR][KR]int8
//
// that start on a cache line; in a layer of several pieces bias and scale are 0.
func (c *Conv16) pack(p *Conv16Params) {
	plan := c.plan
	nr := plan.tile.nr
	for i := range c.pieces {
		piece := &c.pieces[i]
		piece.at = c.panelBytes
		c.panelBytes += roundUp(nr*(12+piece.taps*piece.kc), cacheLine)
	}
	c.packed = alignedBytes(plan.s.Groups * plan.panels * c.panelBytes)
	for i := range plan.s.Groups * plan.panels {
		for n := range min(nr, plan.og-i%plan.panels*nr) {
			o := i/plan.panels*plan.og + i%plan.panels*nr + n
			for _, piece := range c.pieces {
				at := i*c.panelBytes + piece.at
				if c.wide == nil {
					view[float64](c.packed, at, nr)[n] = p.scale(o)
					if p.Bias != nil {
						view[int32](c.packed, at+8*nr, nr)[n] = int32(p.Bias[o])
					}
				}
				part := *plan
				part.taps, part.kc, part.run = piece.taps, piece.kc, min(piece.kc, plan.run-piece.k)
				row := p.Weights[o*plan.depth+piece.tap*plan.run+piece.k:][:piece.taps*part.run]
				packColumn(&part, view[int8](c.packed, at+12*nr, nr*piece.taps*piece.kc), row, n)
			}
		}
	}
}

// Tasks returns the number of independent pieces of the work.
func (c *Conv16) Tasks() int {
	if c.dw != nil {
		return c.dw.plan.tasks()
	}
	return c.plan.tasks
}

// Scratch returns the bytes of scratch that one worker needs.
func (c *Conv16) Scratch() int {
	if c.dw != nil {
		return c.dw.plan.scratchBytes()
	}
	more := 0
	if c.wide != nil {
		more = 12 * c.plan.tile.mr * c.plan.tile.nr
	}
	return c.plan.scratchBytes(more)
}

// PackedBytes returns the size of the packed weights.
func (c *Conv16) PackedBytes() int {
	if c.dw != nil {
		return len(c.dw.packed)
	}
	return len(c.packed)
}

// Run does tasks [t0, t1). dst and src are the whole output and input. It
// panics if a buffer is shorter than the shape says.
func (c *Conv16) Run(dst, src []int16, scratch []byte, t0, t1 int) {
	if c.dw != nil {
		c.dw.run(asBytes(dst), asBytes(src), scratch, t0, t1)
		return
	}
	p := c.plan
	checkRun(len(dst), p.s.OutLen(), len(src), p.s.InLen(), len(scratch), c.Scratch())
	for i := t0; i < t1; i++ {
		t := p.task(i)
		rows := prepareRows(p, &t, asBytes(src), 0, scratch)
		a := qGemmArgs{
			Pad: unsafe.Pointer(&c.pad[0]), Taps: uintptr(p.taps), KC: uintptr(2 * p.kc), LDC: uintptr(2 * p.s.O),
			Lo: float32(c.lo), Hi: float32(c.hi),
		}
		out := dst[t.image*p.rows*p.s.O+t.group*p.og:]
		for n := t.pan0; n < t.pan1; n++ {
			panel := c.packed[(t.group*p.panels+n)*c.panelBytes:][:c.panelBytes]
			a.W = unsafe.Pointer(&panel[0])
			a.Cols = uintptr(min(p.tile.nr, p.og-n*p.tile.nr))
			for m := t.tile0; m < t.tile1; m++ {
				p.setTile(&a, &rows, &t, m)
				y := out[m*p.tile.mr*p.s.O+n*p.tile.nr:]
				if c.wide != nil {
					c.sumPieces(y, a, panel, t.group*p.og+n*p.tile.nr, rows.rest)
					continue
				}
				a.C = unsafe.Pointer(&y[0])
				gemm16(c.level, &a)
			}
		}
	}
}

// sumPieces computes the tile at y, whose first channel is o, piece by piece.
func (c *Conv16) sumPieces(y []int16, a qGemmArgs, panel []byte, o int, scratch []byte) {
	mr, nr := c.plan.tile.mr, c.plan.tile.nr
	sums, part := view[int64](scratch, 0, mr*nr), view[int32](scratch, 8*mr*nr, mr*nr)
	clear(sums)
	base, off := a.A, a.Off
	a.C, a.LDC, a.Raw = unsafe.Pointer(&part[0]), uintptr(4*nr), 1
	for _, p := range c.pieces {
		a.A, a.Off = unsafe.Add(base, 2*p.k), (*int32)(unsafe.Add(unsafe.Pointer(off), 4*mr*p.tap))
		a.Taps, a.KC, a.W = uintptr(p.taps), uintptr(2*p.kc), unsafe.Pointer(&panel[p.at])
		gemm16(c.level, &a)
		for r := range int(a.Rows) {
			s := sums[r*nr:][:a.Cols]
			for n, v := range part[r*nr:][:len(s)] {
				s[n] += int64(v)
			}
		}
	}
	for r := range int(a.Rows) {
		row := y[r*c.plan.s.O:][:a.Cols]
		for n := range row {
			acc := sums[r*nr+n]
			if len(c.wide.Bias) > 0 {
				acc += c.wide.Bias[o+n]
			}
			row[n] = int16(requantize64(acc, c.wide.scale(o+n), 0, c.lo, c.hi))
		}
	}
}

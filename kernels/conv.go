package kernels

import (
	"fmt"
	"unsafe"
)

// ConvParams describes a float32 convolution or matrix product: a chain of
// fused multiply-adds from +0 in ascending (kh, kw, c), then + Bias, then
// x<Lo ? Lo : x and x>Hi ? Hi : x (NaN stays NaN). Some 3x3 convolutions are
// defined by Winograd's algorithm instead, see [ConvShape.Winograd].
type ConvParams struct {
	Shape   ConvShape
	Weights []float32 // [O][KH][KW][C/Groups], finite
	Blocks  *Blocks   // unless nil, Codes are the weights, in blocks along C/Groups
	Codes   []byte
	Bias    []float32 // [O]; nil is +0
	Lo, Hi  float32   // -Inf, +Inf for no clamp; 0, +Inf is relu
}

func (p *ConvParams) check() error {
	s := &p.Shape
	if err := s.check(4); err != nil {
		return err
	}
	if b := p.Blocks; b != nil {
		blocks := s.O * s.KH * s.KW * ceilDiv(b.Inner, max(b.Block, 1))
		if b.Block < 1 || b.Inner != s.C/s.Groups || b.Bits != 4 && b.Bits != 8 || len(b.Scale) != blocks || len(b.Zero) > 0 && len(b.Zero) != blocks {
			return fmt.Errorf("kernels: convolution: blocks of %d weights of %d bits, %d scales and %d zero points for weights [%d %d %d %d]",
				b.Block, b.Bits, len(b.Scale), len(b.Zero), s.O, s.KH, s.KW, s.C/s.Groups)
		}
		if err := checkLen("bytes of codes", len(p.Codes), ceilDiv(s.WeightLen()*b.Bits, 8)); err != nil {
			return err
		}
	} else if err := checkLen("weights", len(p.Weights), s.WeightLen()); err != nil {
		return err
	}
	if p.Bias != nil {
		if err := checkLen("biases", len(p.Bias), s.O); err != nil {
			return err
		}
	}
	if !(p.Lo <= p.Hi) {
		return fmt.Errorf("kernels: convolution: clamp [%v, %v] is empty", p.Lo, p.Hi)
	}
	return nil
}

// Conv is a float32 convolution or matrix product, packed for one level. It is
// immutable and may be used by many goroutines.
type Conv struct {
	level  Level
	plan   *convPlan
	row    bool // tiles are one row and done by gemv, of blocks by gemvBlocks
	packed []byte
	blocks *blockPanels // instead of packed
	pad    []float32    // a tap's worth of zeros
	lo, hi float32
	dw     *depthwise // set for depthwise shapes; the rest is then unused
	wino   *winograd  // the same for Winograd's algorithm
}

// NewConv packs the weights for level l. It copies what it needs of p.
func NewConv(l Level, p *ConvParams) (*Conv, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Blocks != nil {
		if c := newBlocked(l, p); c != nil {
			return c, nil
		}
		p = p.dequantized()
	}
	if p.Shape.depthwise() {
		return &Conv{dw: newDepthwise(l, p)}, nil
	}
	if p.Shape.Winograd() {
		return &Conv{wino: newWinograd(l, p)}, nil
	}
	return newDirect(l, p), nil
}

// newDirect makes a convolution that is one chain an output, whatever its shape;
// depthwise ones are not for it.
func newDirect(l Level, p *ConvParams) *Conv {
	tile, row := fgemmShape(l), false
	if p.Shape.OH*p.Shape.OW == 1 && (p.Shape.N == 1 || !p.Shape.pointwise()) {
		if t, ok := fgemvShape(l); ok {
			tile, row = t, true
		}
	}
	plan := newConvPlan(p.Shape, tile, 4)
	packed := alignedBytes(p.Shape.Groups * plan.panels * plan.panelBytes())
	packPanels(l, plan, packed, p.Weights, p.Bias)
	return &Conv{
		level:  l,
		plan:   plan,
		row:    row,
		packed: packed,
		pad:    make([]float32, plan.kc),
		lo:     p.Lo + 0, // -0 becomes +0: relu gives +0
		hi:     p.Hi + 0,
	}
}

// dequantized returns p with its codes as weights.
func (p *ConvParams) dequantized() *ConvParams {
	q := *p
	q.Blocks, q.Codes, q.Weights = nil, nil, make([]float32, p.Shape.WeightLen())
	DequantizeBlocks(p.Blocks, q.Weights, p.Codes)
	return &q
}

// fewRows is how many rows are still faster one by one than with unpacked weights.
const fewRows = 2

// newBlocked makes a convolution that keeps its weights in blocks, or returns nil
// if there is none of its kind.
func newBlocked(l Level, p *ConvParams) *Conv {
	if p.Shape.depthwise() || p.Shape.Winograd() {
		return nil
	}
	tile, row := fgemmShape(l), false
	if s := &p.Shape; s.pointwise() && s.N*s.OH*s.OW <= fewRows && s.Groups == 1 {
		if t, ok := blocksGemvShape(l); ok {
			tile, row = t, true
		}
	}
	plan := newConvPlan(p.Shape, tile, 4)
	b := newBlockPanels(p, plan)
	if b == nil {
		return nil
	}
	return &Conv{level: l, plan: plan, row: row, blocks: b, pad: make([]float32, plan.kc), lo: p.Lo + 0, hi: p.Hi + 0}
}

// Tasks returns the number of independent pieces of the work.
func (c *Conv) Tasks() int {
	switch {
	case c.dw != nil:
		return c.dw.plan.tasks()
	case c.wino != nil:
		return c.wino.tasks()
	}
	return c.plan.tasks
}

// Scratch returns the bytes of scratch that one worker needs.
func (c *Conv) Scratch() int {
	switch {
	case c.dw != nil:
		return c.dw.plan.scratchBytes()
	case c.wino != nil:
		return c.wino.scratchBytes()
	}
	if c.blocks != nil && !c.row {
		return c.plan.scratchBytes(c.plan.panelBytes())
	}
	return c.plan.scratchBytes(0)
}

// PackedBytes returns the size of the packed weights.
func (c *Conv) PackedBytes() int {
	switch {
	case c.dw != nil:
		return len(c.dw.packed)
	case c.wino != nil:
		return len(c.wino.packed)
	case c.blocks != nil:
		return len(c.blocks.packed)
	}
	return len(c.packed)
}

// Bits is the size of the codes that the weights are kept as, 0 for float32.
func (c *Conv) Bits() int {
	if c.blocks == nil {
		return 0
	}
	return c.blocks.bits
}

// Run does tasks [t0, t1). dst and src are the whole output and input. It
// panics if a buffer is shorter than the shape says.
func (c *Conv) Run(dst, src []float32, scratch []byte, t0, t1 int) {
	switch {
	case c.dw != nil:
		c.dw.run(dst, src, scratch, t0, t1)
		return
	case c.wino != nil:
		c.wino.run(dst, src, scratch, t0, t1)
		return
	}
	p := c.plan
	checkRun(len(dst), p.s.OutLen(), len(src), p.s.InLen(), len(scratch), c.Scratch())
	for i := t0; i < t1; i++ {
		t := p.task(i)
		rows := prepareRows(p, &t, asBytes(src), 0, scratch)
		a := gemmArgs{
			Pad: unsafe.Pointer(&c.pad[0]), Taps: uintptr(p.taps), KC: uintptr(p.kc), LDC: uintptr(4 * p.s.O),
			Lo: c.lo, Hi: c.hi,
		}
		out := dst[t.image*p.rows*p.s.O+t.group*p.og:]
		for n := t.pan0; n < t.pan1; n++ {
			a.Cols = uintptr(min(p.tile.nr, p.og-n*p.tile.nr))
			switch i := t.group*p.panels + n; {
			case c.blocks == nil:
				a.W = unsafe.Pointer(&c.packed[i*p.panelBytes()])
			case c.row:
				a.W = unsafe.Pointer(&c.blocks.packed[i*c.blocks.panelBytes])
			default:
				panel := view[float32](rows.rest, 0, p.panelBytes()/4)
				c.blocks.unpack(c.level, panel, i)
				a.W = unsafe.Pointer(&panel[0])
			}
			for m := t.tile0; m < t.tile1; m++ {
				a.A, a.Off = p.tileSource(&rows, &t, m)
				a.Rows = uintptr(p.tileRows(m))
				a.C = unsafe.Pointer(&out[m*p.tile.mr*p.s.O+n*p.tile.nr])
				switch {
				case c.row && c.blocks != nil:
					c.blocks.gemv(c.level, &a)
				case c.row:
					gemv(c.level, &a)
				default:
					gemm(c.level, &a)
				}
			}
		}
	}
}

package kernels

import (
	"fmt"
	"unsafe"
)

// QDynParams describes a hybrid convolution or matrix product: float32
// activations that the caller has quantized at run time (scale and zero point
// per row of the input), int8 weights, float32 result:
//
//	acc = Σ (x-zx)·w                                 int32
//	y   = clamp(float32(float32(acc)·(sx·Scale[o])) + Bias[o])
//
// with each float32 operation rounded by itself.
type QDynParams struct {
	Shape   ConvShape // not depthwise: that stays float32
	Weights []int8    // [O][KH][KW][C/Groups]
	Scale   []float32 // weight scale; one value or [O]
	Bias    []float32 // [O]; nil is +0
	Lo, Hi  float32   // as in [ConvParams]
}

// QDyn is a hybrid convolution or matrix product, packed for one level. It is
// immutable and may be used by many goroutines.
type QDyn struct {
	level  Level
	plan   *convPlan
	packed []byte
	scale  []float32 // [O]
	bias   []float32 // [O]
	wsum   []int32   // [O], Σ of the channel's weights
	lo, hi float32

	perPixel bool // every input pixel has a scale of its own, else every image
}

// NewQDyn packs the weights for level l. It copies what it needs of p.
func NewQDyn(l Level, p *QDynParams) (*QDyn, error) {
	s := p.Shape
	if err := s.check(4); err != nil {
		return nil, err
	}
	if err := checkLen("weights", len(p.Weights), s.WeightLen()); err != nil {
		return nil, err
	}
	if p.Bias != nil {
		if err := checkLen("biases", len(p.Bias), s.O); err != nil {
			return nil, err
		}
	}
	if err := checkScales(p.Scale, s.O); err != nil {
		return nil, err
	}
	if !(p.Lo <= p.Hi) {
		return nil, fmt.Errorf("kernels: convolution: clamp [%v, %v] is empty", p.Lo, p.Hi)
	}
	plan := newConvPlan(s, qgemmShape(l), 1)
	c := &QDyn{
		level: l, plan: plan, packed: packQPanels(plan, p.Weights, nil, nil, 0),
		scale: make([]float32, s.O), bias: make([]float32, s.O), wsum: make([]int32, s.O),
		lo: p.Lo + 0, hi: p.Hi + 0,
		perPixel: s.KH == 1 && s.KW == 1 && s.Top == 0 && s.Left == 0 && (s.OH-1)*s.SH < s.H && (s.OW-1)*s.SW < s.W,
	}
	copy(c.bias, p.Bias)
	for o := range s.O {
		c.scale[o] = perChannel(p.Scale, o)
		for _, w := range p.Weights[o*plan.depth:][:plan.depth] {
			c.wsum[o] += int32(w)
		}
	}
	return c, nil
}

// Rows returns how many rows of the input have a scale and zero point of their
// own: every pixel of a 1x1 convolution or matrix product, else every image.
func (c *QDyn) Rows() int {
	s := &c.plan.s
	if c.perPixel {
		return s.N * s.H * s.W
	}
	return s.N
}

// Tasks returns the number of independent pieces of the work.
func (c *QDyn) Tasks() int { return c.plan.tasks }

// Scratch returns the bytes of scratch that one worker needs.
func (c *QDyn) Scratch() int {
	p := c.plan
	return p.scratchBytes(p.kc)
}

// PackedBytes returns the size of the packed weights.
func (c *QDyn) PackedBytes() int { return len(c.packed) + 12*len(c.scale) }

// Run does tasks [t0, t1). src is the whole quantized input, scale and zero
// have Rows() elements. It panics if a buffer is shorter than the shape says.
func (c *QDyn) Run(dst []float32, src []int8, scale []float32, zero []int32, scratch []byte, t0, t1 int) {
	p := c.plan
	s := &p.s
	checkRun(len(dst), s.OutLen(), len(src), s.InLen(), len(scratch), c.Scratch())
	scale, zero = scale[:c.Rows()], zero[:c.Rows()]
	for i := t0; i < t1; i++ {
		t := p.task(i)
		var padZero int8
		if !c.perPixel {
			padZero = int8(zero[t.image])
		}
		rows := prepareRows(p, &t, asBytes(src), byte(padZero), scratch)
		pad := view[int8](rows.rest, 0, p.kc)
		setAll(pad, padZero)
		a := qGemmArgs{
			Pad: unsafe.Pointer(&pad[0]), Taps: uintptr(p.taps), KC: uintptr(p.kc), LDC: uintptr(4 * s.O), Raw: 1,
		}
		// The sums go where the results will be, which have the same size.
		out := dst[t.image*p.rows*s.O:]
		for n := t.pan0; n < t.pan1; n++ {
			a.W = unsafe.Pointer(&c.packed[(t.group*p.panels+n)*p.qpanelBytes()])
			a.Cols = uintptr(min(p.tile.nr, p.og-n*p.tile.nr))
			for m := t.tile0; m < t.tile1; m++ {
				p.setTile(&a, &rows, &t, m)
				a.C = unsafe.Pointer(&out[m*p.tile.mr*s.O+t.group*p.og+n*p.tile.nr])
				qgemm(c.level, &a)
			}
		}
		o := t.group*p.og + t.pan0*p.tile.nr
		cols := min(t.pan1*p.tile.nr, p.og) - t.pan0*p.tile.nr
		for pixel := t.tile0 * p.tile.mr; pixel < min(t.tile1*p.tile.mr, p.rows); pixel++ {
			q := t.image
			if c.perPixel {
				q = c.pixelRow(t.image*p.rows + pixel)
			}
			c.epilogue(out[pixel*s.O+o:][:cols], o, scale[q], zero[q])
		}
	}
}

// pixelRow returns the input pixel that output pixel i of a 1x1 convolution reads.
func (c *QDyn) pixelRow(i int) int {
	if c.plan.direct {
		return i
	}
	s := &c.plan.s
	ow, i := i%s.OW, i/s.OW
	oh, n := i%s.OH, i/s.OH
	return (n*s.H+oh*s.SH)*s.W + ow*s.SW
}

// epilogue turns the sums of a row, channels from o on, into floats in place.
func (c *QDyn) epilogue(dst []float32, o int, sx float32, zx int32) {
	n := len(dst)
	sums := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(dst))), n)
	sw, bias, wsum := c.scale[o:][:n], c.bias[o:][:n], c.wsum[o:][:n]
	for i := dynFront(c.level, dst, sums, wsum, sw, bias, sx, zx, c.lo, c.hi); i < n; i++ {
		y := float32(float32(sums[i]-zx*wsum[i]) * float32(sx*sw[i]))
		dst[i] = clampFloat(y+bias[i], c.lo, c.hi)
	}
}

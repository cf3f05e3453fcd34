package kernels

import "unsafe"

// dwPlan cuts a depthwise convolution into tasks of whole output rows.
type dwPlan struct {
	s       ConvShape
	elem    int
	taps    int
	rows    int // output rows of a task, across images
	tapOff  []int32
	blocks  int // packed channel blocks
	main    int // channels that the kernel does in one call
	overlap int // first channel of a second call of one block for the rest, or -1
}

// newDWPlan returns the plan and the level whose kernels take the shape:
// kernels without masks need at least one whole block of channels.
func newDWPlan(s ConvShape, l Level, shape func(Level) dwShape, elem int) (*dwPlan, Level, dwShape) {
	d := shape(l)
	if !d.mask && s.C < d.cb {
		l = Generic
		d = shape(l)
	}
	p := &dwPlan{s: s, elem: elem, taps: s.KH * s.KW, overlap: -1, main: s.C, blocks: ceilDiv(s.C, d.cb)}
	if !d.mask && s.C%d.cb != 0 {
		// The last block starts early and repeats some channels of the one before.
		p.main, p.overlap = s.C/d.cb*d.cb, s.C-d.cb
	}
	p.rows = max(1, min(s.N*s.OH/wantTasks, minTaskMACs/16/(s.OW*s.C*p.taps)))
	for t := range p.taps {
		p.tapOff = append(p.tapOff, int32((t/s.KW*s.DH*s.W+t%s.KW*s.DW)*s.C*elem))
	}
	return p, l, d
}

// blockStart returns the first channel of packed block b.
func (p *dwPlan) blockStart(b, cb int) int {
	if b == p.blocks-1 && p.overlap >= 0 {
		return p.overlap
	}
	return b * cb
}

func (p *dwPlan) tasks() int { return ceilDiv(p.s.N*p.s.OH, p.rows) }

func (p *dwPlan) scratchBytes() int { return cacheLine + 4*p.s.OW*p.taps }

// fillOffsets writes the table [OW][taps] of an output row; offsets count
// from the image's start.
func (p *dwPlan) fillOffsets(off []int32, oh int) {
	s := &p.s
	y := oh*s.SH - s.Top
	inner := int32(s.C * p.elem)
	rowsInside := y >= 0 && y+(s.KH-1)*s.DH < s.H
	i := 0
	for ow := range s.OW {
		x := ow*s.SW - s.Left
		start := int32(y*s.W+x) * inner
		o := off[i:][:len(p.tapOff)]
		i += len(o)
		if rowsInside && x >= 0 && x+(s.KW-1)*s.DW < s.W {
			for t, d := range p.tapOff {
				o[t] = start + d
			}
			continue
		}
		for t, d := range p.tapOff {
			o[t] = -1
			if uint(y+t/s.KW*s.DH) < uint(s.H) && uint(x+t%s.KW*s.DW) < uint(s.W) {
				o[t] = start + d
			}
		}
	}
}

// depthwise is a float32 depthwise convolution.
type depthwise struct {
	level  Level
	plan   *dwPlan
	packed []byte
	block  int // bytes of a packed block
	pad    []float32
	lo, hi float32
}

func newDepthwise(l Level, p *ConvParams) *depthwise {
	plan, l, shape := newDWPlan(p.Shape, l, fdwShape, 4)
	cb := shape.cb
	d := &depthwise{
		level: l, plan: plan, block: 4 * cb * (1 + plan.taps),
		pad: make([]float32, p.Shape.C), lo: p.Lo + 0, hi: p.Hi + 0,
	}
	d.packed = alignedBytes(plan.blocks * d.block)
	for b := range plan.blocks {
		w := view[float32](d.packed, b*d.block, d.block/4)
		c0 := plan.blockStart(b, cb)
		for i := range min(cb, p.Shape.C-c0) {
			if p.Bias != nil {
				w[i] = p.Bias[c0+i]
			}
			for t := range plan.taps {
				w[(1+t)*cb+i] = p.Weights[(c0+i)*plan.taps+t]
			}
		}
	}
	return d
}

func (d *depthwise) run(dst, src []float32, scratch []byte, t0, t1 int) {
	p := d.plan
	s := &p.s
	checkRun(len(dst), s.OutLen(), len(src), s.InLen(), len(scratch), p.scratchBytes())
	off := view[int32](alignUp(scratch), 0, s.OW*p.taps)
	a := dwArgs{
		Off: &off[0], Taps: uintptr(p.taps), LDC: uintptr(4 * s.C), Pixels: uintptr(s.OW), Lo: d.lo, Hi: d.hi,
	}
	for row := t0 * p.rows; row < min(t1*p.rows, s.N*s.OH); row++ {
		p.fillOffsets(off, row%s.OH)
		in := src[row/s.OH*s.H*s.W*s.C:]
		out := dst[row*s.OW*s.C:]
		a.A, a.Pad, a.Out = unsafe.Pointer(&in[0]), unsafe.Pointer(&d.pad[0]), unsafe.Pointer(&out[0])
		a.C, a.W = uintptr(p.main), unsafe.Pointer(&d.packed[0])
		dw(d.level, &a)
		if c := p.overlap; c >= 0 {
			a.A, a.Pad, a.Out = unsafe.Pointer(&in[c]), unsafe.Pointer(&d.pad[c]), unsafe.Pointer(&out[c])
			a.C, a.W = uintptr(s.C-c), unsafe.Pointer(&d.packed[(p.blocks-1)*d.block])
			dw(d.level, &a)
		}
	}
}

package kernels

import "unsafe"

// maxCallMACs bounds the work of one call of assembly, which cannot be preempted.
const maxCallMACs = 1 << 19

// dwPlan cuts a depthwise convolution into tasks of whole output rows.
type dwPlan struct {
	s       ConvShape
	elem    int
	taps    int
	rows    int // output rows of a task, across images
	chunk   int // output pixels of one micro-kernel call
	tapOff  []int32
	inner   []int32 // offsets [OW][taps] from the first window row, for windows inside the image's height
	blocks  int     // packed channel blocks
	main    int     // channels that the kernel does in one call
	overlap int     // first channel of a second call of one block for the rest, or -1
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
	p.chunk = max(1, min(s.OW, maxCallMACs/(s.C*p.taps)))
	p.inner = make([]int32, s.OW*p.taps)
	p.fillOffsets(p.inner, 0, true)
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

// source returns the input offset and the table of an output row: the shared
// table, counted from the window's first row, where all rows of the window are
// inside the image, else one of its own in off, counted from the image's start.
func (p *dwPlan) source(oh int, off []int32) (start int, table []int32) {
	s := &p.s
	y := oh*s.SH - s.Top
	if y >= 0 && y+(s.KH-1)*s.DH < s.H {
		return y * s.W * s.C, p.inner
	}
	p.fillOffsets(off, y, false)
	return 0, off
}

// fillOffsets writes the table [OW][taps] of the output row whose windows
// begin in input row y; if inside, no window row is padding and y does not count.
func (p *dwPlan) fillOffsets(off []int32, y int, inside bool) {
	s := &p.s
	pixel := int32(s.C * p.elem)
	for i := range off {
		t := i % p.taps
		x := i/p.taps*s.SW - s.Left
		off[i] = -1
		if (inside || uint(y+t/s.KW*s.DH) < uint(s.H)) && uint(x+t%s.KW*s.DW) < uint(s.W) {
			off[i] = int32(y*s.W+x)*pixel + p.tapOff[t]
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
	a := dwArgs{Taps: uintptr(p.taps), LDC: uintptr(4 * s.C), Lo: d.lo, Hi: d.hi}
	for row := t0 * p.rows; row < min(t1*p.rows, s.N*s.OH); row++ {
		start, table := p.source(row%s.OH, off)
		in := src[row/s.OH*s.H*s.W*s.C+start:]
		for x := 0; x < s.OW; x += p.chunk {
			out := dst[(row*s.OW+x)*s.C:]
			a.Off, a.Pixels = &table[x*p.taps], uintptr(min(p.chunk, s.OW-x))
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
}

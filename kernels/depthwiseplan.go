package kernels

import "unsafe"

// dwPlan cuts a depthwise convolution into tasks of whole output rows. Windows
// are read in one of three forms:
//
//   - taps: every tap of an output pixel has an offset, or -1 for padding;
//   - columns: for 3x3 and 5x5 windows at horizontal stride 1, the offsets of every
//     input column, which serves as many output pixels as the window is wide;
//   - flat: fewer channels than a block holds, at horizontal stride 1. Rows are
//     copied with their padding; then several pixels are as good as one of
//     more channels, whose weights repeat.
type dwPlan struct {
	s         ConvShape
	elem      int // bytes an element
	cb        int // channels of a packed block
	taps      int
	form      dwForm
	rows      int // output rows of a task
	rowBlocks int // tasks of an image
	chunk     int // output pixels (flat: blocks) of one micro-kernel call
	source    []dwRow
	blocks    int // packed channel blocks
	main      int // channels that the kernel does in one call
	overlap   int // first channel of a second call of one block for the rest, or -1
	width     int // flat: pixels of a copied row
	copyLen   int // flat: elements of a task's copy
}

type dwForm uint8

const (
	dwTaps dwForm = iota
	dwColumns
	dwFlat
)

// dwRow says where an output row reads: offsets count from element start of
// the image. Rows whose windows are cut alike share a table.
type dwRow struct {
	start int
	off   []int32
}

const (
	maxCallMACs   = 1 << 19 // of one call of assembly, which cannot be preempted
	minDWTaskMACs = 1 << 16 // below this a task costs less than handing it out
)

// newDWPlan returns the plan and the level whose kernels take the shape:
// kernels without masks need at least one whole block of channels.
func newDWPlan(s ConvShape, l Level, shape func(Level) dwShape, elem int) (*dwPlan, Level, dwShape) {
	d := shape(l)
	columns := s.SW == 1 && s.DW == 1 && (d.columns && s.KH == 3 && s.KW == 3 || d.columns5 && s.KH == 5 && s.KW == 5)
	flat := s.SW == 1 && s.C < d.cb && d.cb%s.C == 0 && s.OW*s.C >= d.cb && l != Generic &&
		!(columns && elem == 4 && 2*s.C >= d.cb) // a column of floats is done by half blocks
	if !flat && !d.mask && s.C < d.cb {
		l = Generic
		d = shape(l)
	}
	p := &dwPlan{s: s, elem: elem, cb: d.cb, taps: s.KH * s.KW, overlap: -1, main: s.C, blocks: ceilDiv(s.C, d.cb)}
	switch {
	case flat:
		p.form, p.main, p.blocks = dwFlat, d.cb, 1
	case !d.mask && s.C%d.cb != 0:
		// The last block starts early and repeats some channels of the one before.
		p.main, p.overlap = s.C/d.cb*d.cb, s.C-d.cb
	}
	if !flat && columns {
		p.form = dwColumns
	}
	p.rows = max(1, min(s.N*s.OH/wantTasks, minDWTaskMACs/(s.OW*s.C*p.taps), s.OH))
	p.rowBlocks = ceilDiv(s.OH, p.rows)
	p.chunk = max(1, maxCallMACs/(max(s.C, d.cb)*p.taps))
	if flat {
		p.width = s.OW - 1 + (s.KW-1)*s.DW + 1
		p.copyLen = p.copyRows(p.rows) * p.width * s.C
	}
	p.fillSource()
	return p, l, d
}

// copyRows returns how many input rows the windows of n output rows span.
func (p *dwPlan) copyRows(n int) int { return (n-1)*p.s.SH + (p.s.KH-1)*p.s.DH + 1 }

// fillSource computes where every output row reads.
func (p *dwPlan) fillSource() {
	s := &p.s
	if p.form == dwFlat {
		off := make([]int32, s.OW*s.C/p.cb*p.taps)
		for i := range off {
			t := i % p.taps
			off[i] = int32((i/p.taps*p.cb + (t/s.KW*s.DH*p.width+t%s.KW*s.DW)*s.C) * p.elem)
		}
		p.source = []dwRow{{0, off}}
		return
	}
	tables := map[[2]int][]int32{}
	for oh := range s.OH {
		y := oh*s.SH - s.Top
		cut := [2]int{s.KH, 0} // first and last+1 row of the window that lies in the image
		for kh := range s.KH {
			if iy := y + kh*s.DH; iy >= 0 && iy < s.H {
				cut[0], cut[1] = min(cut[0], kh), kh+1
			}
		}
		if cut[0] >= cut[1] {
			cut = [2]int{}
		}
		if tables[cut] == nil {
			tables[cut] = p.table(cut)
		}
		row := dwRow{off: tables[cut]}
		if cut[0] < cut[1] {
			row.start = (y + cut[0]*s.DH) * s.W * s.C
		}
		p.source = append(p.source, row)
	}
}

// table returns the offsets of an output row, of the windows' rows cut[0] to
// cut[1]-1, counted from the first of them: [OW][KH·KW] or by columns [OW+KW-1][KH].
func (p *dwPlan) table(cut [2]int) []int32 {
	s := &p.s
	pixels, kw, step := s.OW, s.KW, s.SW
	if p.form == dwColumns {
		pixels, kw, step = s.OW+s.KW-1, 1, 1
	}
	off := make([]int32, 0, pixels*s.KH*kw)
	for i := range pixels {
		for t := range s.KH * kw {
			kh, x := t/kw, i*step-s.Left+t%kw*s.DW
			at := -1
			if kh >= cut[0] && kh < cut[1] && x >= 0 && x < s.W {
				at = ((kh-cut[0])*s.DH*s.W + x) * s.C * p.elem
			}
			off = append(off, int32(at))
		}
	}
	return off
}

// channel returns the channel of lane i of packed block b, or -1 for none.
func (p *dwPlan) channel(b, i int) int {
	switch c := b*p.cb + i; {
	case p.form == dwFlat:
		return i % p.s.C
	case b == p.blocks-1 && p.overlap >= 0:
		return p.overlap + i
	case c < p.s.C:
		return c
	default:
		return -1
	}
}

func (p *dwPlan) tasks() int { return p.s.N * p.rowBlocks }

func (p *dwPlan) scratchBytes() int { return cacheLine + p.copyLen*p.elem }

// dwCall is one call of a micro-kernel: the parts of its arguments that vary.
type dwCall struct {
	in, out unsafe.Pointer
	off     *int32
	pixels  int
	ldc     int // bytes
	channel int // first channel
	n       int // channels
	block   int // packed block
}

// runDW splits tasks [t0, t1) into calls of the micro-kernel. Every byte of padding
// is zero.
func runDW(p *dwPlan, dst, src []byte, zero byte, scratch []byte, t0, t1 int, call func(dwCall)) {
	s := &p.s
	checkRun(len(dst)/p.elem, s.OutLen(), len(src)/p.elem, s.InLen(), len(scratch), p.scratchBytes())
	perPixel := p.taps
	if p.form == dwColumns {
		perPixel = s.KH
	}
	pixel := s.C * p.elem // bytes
	for t := t0; t < t1; t++ {
		in := src[t/p.rowBlocks*s.H*s.W*pixel:]
		oh := t % p.rowBlocks * p.rows
		n := min(p.rows, s.OH-oh)
		out := dst[(t/p.rowBlocks*s.OH+oh)*s.OW*pixel:]
		if p.form == dwFlat {
			buf := alignUp(scratch)[:p.copyRows(n)*p.width*pixel]
			copyBordered(s, p.width, s.C, p.elem, buf, in, oh*s.SH-s.Top, zero)
			for r := range n {
				flatRow(p, out[r*s.OW*pixel:][:s.OW*pixel], buf[r*s.SH*p.width*pixel:], call)
			}
			continue
		}
		for r := range n {
			row := &p.source[oh+r]
			x := in[row.start*p.elem:]
			for i := 0; i < s.OW; i += p.chunk {
				y := out[(r*s.OW+i)*pixel:]
				c := dwCall{
					in: unsafe.Pointer(&x[0]), out: unsafe.Pointer(&y[0]), off: &row.off[i*perPixel],
					pixels: min(p.chunk, s.OW-i), ldc: pixel, n: p.main,
				}
				call(c)
				if o := p.overlap; o >= 0 {
					c.in, c.out = unsafe.Pointer(&x[o*p.elem]), unsafe.Pointer(&y[o*p.elem])
					c.channel, c.n, c.block = o, p.cb, p.blocks-1
					call(c)
				}
			}
		}
	}
}

// flatRow does one output row of the flat form. What is left behind the whole
// blocks is done by one more block that ends with the row.
func flatRow(p *dwPlan, out, in []byte, call func(dwCall)) {
	block := p.cb * p.elem
	blocks := len(out) / block
	for i := 0; i < blocks; i += p.chunk {
		call(dwCall{
			in: unsafe.Pointer(&in[0]), out: unsafe.Pointer(&out[i*block]), off: &p.source[0].off[i*p.taps],
			pixels: min(p.chunk, blocks-i), ldc: block, n: p.cb,
		})
	}
	if rest := len(out) - block; rest%block != 0 {
		call(dwCall{
			in: unsafe.Pointer(&in[rest]), out: unsafe.Pointer(&out[rest]), off: &p.source[0].off[0],
			pixels: 1, ldc: block, n: p.cb,
		})
	}
}

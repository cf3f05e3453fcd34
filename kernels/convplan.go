package kernels

import "unsafe"

// convPlan cuts a convolution into micro-kernel tiles and tasks. Where a row
// of the matrix product comes from takes one of three forms:
//
//   - direct: pointwise, rows lie one behind the other in the input;
//   - indirect: a table of offsets per tap, filled per task into scratch;
//   - gather: too few channels (or not a multiple of kr) for a loop per tap, as
//     in a first layer: rows are copied to scratch, padded with zeros to kr.
type convPlan struct {
	s          ConvShape
	tile       gemmShape
	elem       int // bytes an element
	cg, og     int // channels of a group
	depth      int // KH·KW·cg, what one output sums over
	taps, kc   int // the loop of the micro-kernel: taps times kc elements
	direct     bool
	gather     bool
	images     int // rows of different images never share a tile
	rows       int // output pixels of an image
	rowTiles   int // of an image
	panels     int // of a group
	rowBlock   int // row tiles of a task
	panelBlock int // panels of a task
	rowBlocks  int
	panBlocks  int
	full, last []int32 // direct and gather: the offsets of a full and of the last row tile
	tapOff     []int32 // indirect: offset of each tap from the first
	gatherLen  int     // elements of a gathered task
	offLen     int     // int32s of a task's offset tables
}

const (
	gatherBelow = 16      // gather if a tap has fewer channels than this
	wantTasks   = 16      // tasks to aim for: enough for 4 threads to share evenly
	minTaskMACs = 1 << 17 // below this a task costs less than handing it out
	maxRowBlock = 8       // row tiles that share a panel while it sits in L1
)

func newConvPlan(s ConvShape, tile gemmShape, elem int) *convPlan {
	p := &convPlan{s: s, tile: tile, elem: elem, cg: s.C / s.Groups, og: s.O / s.Groups}
	taps := s.KH * s.KW
	p.depth = taps * p.cg
	p.images, p.rows = s.N, s.OH*s.OW
	p.taps, p.kc = taps, p.cg
	p.gather = p.cg%tile.kr != 0 || taps > 1 && p.cg < gatherBelow
	p.direct = !p.gather && s.pointwise()
	if p.gather {
		p.taps, p.kc = 1, roundUp(p.depth, tile.kr)
	}
	if p.direct {
		p.images, p.rows = 1, s.N*p.rows
	}
	p.rowTiles = (p.rows + tile.mr - 1) / tile.mr
	p.panels = (p.og + tile.nr - 1) / tile.nr
	p.cutTasks()
	if p.direct || p.gather {
		step := s.C * elem
		if p.gather {
			step = p.kc * elem
		}
		tail := (p.rows-1)%tile.mr + 1
		p.full, p.last = make([]int32, tile.mr), make([]int32, tile.mr)
		for r := range tile.mr {
			p.full[r] = int32(r * step)
			p.last[r] = int32(min(r, tail-1) * step)
		}
	} else {
		p.offLen = p.rowBlock * p.taps * tile.mr
		for t := range taps {
			p.tapOff = append(p.tapOff, int32((t/s.KW*s.DH*s.W+t%s.KW*s.DW)*s.C*elem))
		}
	}
	if p.gather {
		p.gatherLen = p.rowBlock * tile.mr * p.kc
	}
	return p
}

// cutTasks picks how many row tiles and panels a task has. The cut depends on
// the shape alone, never on the number of threads.
func (p *convPlan) cutTasks() {
	p.rowBlock, p.panelBlock = min(p.rowTiles, maxRowBlock), p.panels
	tasks := func() int {
		return p.images * p.s.Groups * ceilDiv(p.rowTiles, p.rowBlock) * ceilDiv(p.panels, p.panelBlock)
	}
	macs := func() int { return p.rowBlock * p.tile.mr * p.panelBlock * p.tile.nr * p.depth }
	for tasks() < wantTasks && macs() >= 2*minTaskMACs {
		if p.rowBlock == 1 && p.panelBlock == 1 {
			break
		}
		// Splitting panels repeats the rows' tables, so it comes last.
		if p.rowBlock > 1 && !(p.rowBlock <= 2 && p.panelBlock > 8) {
			p.rowBlock = ceilDiv(p.rowBlock, 2)
		} else {
			p.panelBlock = ceilDiv(p.panelBlock, 2)
		}
	}
	p.rowBlocks = ceilDiv(p.rowTiles, p.rowBlock)
	p.panBlocks = ceilDiv(p.panels, p.panelBlock)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func (p *convPlan) tasks() int { return p.images * p.s.Groups * p.rowBlocks * p.panBlocks }

// convTask is one task: tiles [tile0, tile1) of the rows of an image against
// panels [pan0, pan1) of a group.
type convTask struct {
	image, group int
	tile0, tile1 int
	pan0, pan1   int
}

func (p *convPlan) task(t int) convTask {
	rb, t := t%p.rowBlocks, t/p.rowBlocks
	pb, t := t%p.panBlocks, t/p.panBlocks
	return convTask{
		image: t / p.s.Groups, group: t % p.s.Groups,
		tile0: rb * p.rowBlock, tile1: min((rb+1)*p.rowBlock, p.rowTiles),
		pan0: pb * p.panelBlock, pan1: min((pb+1)*p.panelBlock, p.panels),
	}
}

// tileRows returns the valid rows of row tile i.
func (p *convPlan) tileRows(i int) int { return min(p.tile.mr, p.rows-i*p.tile.mr) }

// scratchBytes is what a worker needs: gathered rows, offsets, and more for the caller.
func (p *convPlan) scratchBytes(more int) int {
	return cacheLine + roundUp(p.gatherLen*p.elem, cacheLine) + roundUp(4*p.offLen, cacheLine) + more
}

// convRows says where the row tiles of a task are read from.
type convRows struct {
	base unsafe.Pointer // of row tile tile0
	step int            // bytes from one row tile's base to the next
	off  []int32        // indirect: offset tables of all tiles, one behind the other
	rest []byte         // what is left of the scratch
}

// prepareRows fills the scratch for a task.
func prepareRows[T int8 | float32](p *convPlan, t *convTask, src []T, zero T, scratch []byte) convRows {
	scratch = alignUp(scratch)
	s := &p.s
	src = src[t.image*s.H*s.W*s.C:]
	var rows convRows
	switch {
	case p.direct:
		rows.step = p.tile.mr * s.C * p.elem
		rows.base = unsafe.Pointer(&src[t.tile0*p.tile.mr*s.C+t.group*p.cg])
	case p.gather:
		rows.step = p.tile.mr * p.kc * p.elem
		buf := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(scratch))), p.gatherLen)
		first := t.tile0 * p.tile.mr
		gatherRows(p, buf, src[t.group*p.cg:], first, min(t.tile1*p.tile.mr, p.rows), zero)
		rows.base = unsafe.Pointer(&buf[0])
		scratch = scratch[roundUp(p.gatherLen*p.elem, cacheLine):]
	default:
		rows.base = unsafe.Pointer(&src[t.group*p.cg])
		rows.off = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(scratch))), p.offLen)
		n := p.taps * p.tile.mr
		for i := t.tile0; i < t.tile1; i++ {
			p.fillOffsets(rows.off[(i-t.tile0)*n:][:n], i*p.tile.mr, p.tileRows(i))
		}
		scratch = scratch[roundUp(4*p.offLen, cacheLine):]
	}
	rows.rest = scratch
	return rows
}

// tileBase and tileOffsets give the A and Off of row tile i of task t.
func (p *convPlan) tileBase(r *convRows, t *convTask, i int) unsafe.Pointer {
	return unsafe.Add(r.base, (i-t.tile0)*r.step)
}

func (p *convPlan) tileOffsets(r *convRows, t *convTask, i int) *int32 {
	if r.off != nil {
		return &r.off[(i-t.tile0)*p.taps*p.tile.mr]
	}
	if i == p.rowTiles-1 {
		return &p.last[0]
	}
	return &p.full[0]
}

// fillOffsets writes the table [taps][mr] of the tile whose first output
// pixel is first and which has n valid rows.
func (p *convPlan) fillOffsets(off []int32, first, n int) {
	s, mr := &p.s, p.tile.mr
	oh, ow := first/s.OW, first%s.OW
	inner := int32(s.C * p.elem)
	for r := range n {
		y, x := oh*s.SH-s.Top, ow*s.SW-s.Left
		start := int32(y*s.W+x) * inner
		if y >= 0 && x >= 0 && y+(s.KH-1)*s.DH < s.H && x+(s.KW-1)*s.DW < s.W {
			i := r
			for _, d := range p.tapOff {
				off[i] = start + d
				i += mr
			}
		} else {
			i := r
			for kh := range s.KH {
				iy := y + kh*s.DH
				for kw := range s.KW {
					ix := x + kw*s.DW
					off[i] = -1
					if uint(iy) < uint(s.H) && uint(ix) < uint(s.W) {
						off[i] = start + p.tapOff[kh*s.KW+kw]
					}
					i += mr
				}
			}
		}
		if ow++; ow == s.OW {
			oh, ow = oh+1, 0
		}
	}
	for t := range p.taps {
		row := off[t*mr:][:mr]
		for r := n; r < mr; r++ {
			row[r] = row[n-1]
		}
	}
}

// gatherRows copies the windows of output pixels [first, last) into rows of kc
// elements; src starts at the group's first channel.
func gatherRows[T int8 | float32](p *convPlan, dst, src []T, first, last int, zero T) {
	s := &p.s
	cg := p.cg
	run := s.KW * cg // elements of a window's row if they lie in one piece
	whole := s.DW == 1 && cg == s.C
	oh, ow := first/s.OW, first%s.OW
	for range last - first {
		y, x := oh*s.SH-s.Top, ow*s.SW-s.Left
		row := dst[:p.kc]
		dst = dst[p.kc:]
		inside := whole && x >= 0 && x+s.KW <= s.W
		for kh := range s.KH {
			iy := y + kh*s.DH
			out := row[kh*run:][:run]
			switch {
			case uint(iy) >= uint(s.H):
				setAll(out, zero)
			case inside:
				copy(out, src[(iy*s.W+x)*cg:][:run])
			default:
				for kw := range s.KW {
					ix := x + kw*s.DW
					if uint(ix) >= uint(s.W) {
						setAll(out[kw*cg:][:cg], zero)
					} else {
						copy(out[kw*cg:][:cg], src[(iy*s.W+ix)*s.C:][:cg])
					}
				}
			}
		}
		clear(row[p.depth:])
		if ow++; ow == s.OW {
			oh, ow = oh+1, 0
		}
	}
}

func setAll[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

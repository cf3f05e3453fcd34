package kernels

import "unsafe"

// convPlan cuts a convolution into micro-kernel tiles and tasks. Where a row
// of the matrix product comes from takes one of four forms:
//
//   - direct: pointwise, rows lie one behind the other in the input;
//   - indirect: a table of offsets per tap, filled per task into scratch;
//   - gather: too few channels (or not a multiple of kr) for a loop per tap:
//     rows are copied to scratch;
//   - strip: as gather, but a window's row of KW pixels is one tap, read in
//     place where it lies inside the image, as nearly always in a first layer.
//
// A tap of run elements is read as kc >= run elements, kc a multiple of kr.
// What lies behind run is multiplied by packed zeros: it may hold anything.
type convPlan struct {
	s          ConvShape
	tile       gemmShape
	elem       int // bytes an element
	cg, og     int // channels of a group
	depth      int // KH·KW·cg, what one output sums over
	taps       int // the loop of the micro-kernel: taps times kc elements
	run, kc    int
	direct     bool
	gather     bool
	strip      bool
	images     int // rows of different images never share a tile
	rows       int // output pixels of an image
	rowTiles   int // of an image
	panels     int // of a group
	rowBlock   int // row tiles of a task
	panelBlock int // panels of a task
	rowBlocks  int
	panBlocks  int
	full, last []int32 // direct and gather: the offsets of a full and of the last row tile
	tapOff     []int32 // indirect and strip: offset of each tap from the first
	gatherLen  int     // elements of a gathered tile
	offLen     int     // int32s of a tile's offset table
}

const (
	gatherBelow = 16      // gather if a tap has fewer channels than this
	stripWidth  = 32      // narrower output rows have too few tiles without an edge
	wantTasks   = 16      // tasks to aim for: enough for 4 threads to share evenly
	minTaskMACs = 1 << 17 // below this a task costs less than handing it out
	maxRowBlock = 8       // row tiles that share a panel while it sits in L1
)

func newConvPlan(s ConvShape, tile gemmShape, elem int) *convPlan {
	p := &convPlan{s: s, tile: tile, elem: elem, cg: s.C / s.Groups, og: s.O / s.Groups}
	p.taps, p.run = s.KH*s.KW, s.C/s.Groups
	p.depth = p.taps * p.run
	p.images, p.rows = s.N, s.OH*s.OW
	switch {
	case p.cg%tile.kr == 0 && s.pointwise():
		p.direct = true
		p.images, p.rows = 1, s.N*p.rows
	case p.taps > 1 && p.cg < gatherBelow && s.Groups == 1 && s.DW == 1 && s.OW >= stripWidth:
		p.gather, p.strip = true, true
		p.taps, p.run = s.KH, s.KW*p.cg
	case p.cg%tile.kr != 0 || p.taps > 1 && p.cg < gatherBelow:
		p.gather = true
		p.taps, p.run = 1, p.depth
	}
	p.kc = roundUp(p.run, tile.kr)
	p.rowTiles = ceilDiv(p.rows, tile.mr)
	p.panels = ceilDiv(p.og, tile.nr)
	p.cutTasks()
	if p.direct || p.gather {
		p.full = p.rowTable(tile.mr)
		p.last = p.rowTable((p.rows-1)%tile.mr + 1)
	}
	if !p.direct {
		p.offLen = p.taps * tile.mr
	}
	if p.gather {
		p.gatherLen = tile.mr * p.taps * p.kc
	}
	pixel := int32(s.C * elem)
	switch {
	case p.strip:
		for kh := range s.KH {
			p.tapOff = append(p.tapOff, int32(kh*s.DH*s.W)*pixel)
		}
	case !p.direct && !p.gather:
		for t := range p.taps {
			p.tapOff = append(p.tapOff, int32(t/s.KW*s.DH*s.W+t%s.KW*s.DW)*pixel)
		}
	}
	return p
}

// rowTable returns the offsets [taps][mr] of a tile whose n rows lie one behind
// the other, each with all its taps.
func (p *convPlan) rowTable(n int) []int32 {
	step := p.s.C
	if p.gather {
		step = p.taps * p.kc
	}
	off := make([]int32, p.taps*p.tile.mr)
	for i := range off {
		t, r := i/p.tile.mr, min(i%p.tile.mr, n-1)
		off[i] = int32((r*step + t*p.kc) * p.elem)
	}
	return off
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
	return cacheLine + roundUp(p.rowBlock*p.gatherLen*p.elem, cacheLine) + roundUp(p.rowBlock*4*p.offLen, cacheLine) + more
}

// convRows says where the row tiles of a task are read from.
type convRows struct {
	base     unsafe.Pointer // tiles read in place: the input; of tile0 if direct
	step     int            // direct: bytes from a tile to the next
	off      []int32        // offset tables of the tiles read in place
	copies   unsafe.Pointer // gathered tiles
	gathered uint           // bit i: tile tile0+i is gathered
	rest     []byte         // what is left of the scratch
}

// prepareRows fills the scratch for a task.
func prepareRows[T int8 | float32](p *convPlan, t *convTask, src []T, zero T, scratch []byte) convRows {
	s := &p.s
	scratch = alignUp(scratch)
	src = src[t.image*s.H*s.W*s.C+t.group*p.cg:]
	if p.direct {
		return convRows{
			base: unsafe.Pointer(&src[t.tile0*p.tile.mr*s.C]), step: p.tile.mr * s.C * p.elem, rest: scratch,
		}
	}
	rows := convRows{base: unsafe.Pointer(&src[0])}
	var buf []T
	if p.gather {
		buf = view[T](scratch, 0, p.rowBlock*p.gatherLen)
		rows.copies = unsafe.Pointer(&buf[0])
		scratch = scratch[roundUp(p.rowBlock*p.gatherLen*p.elem, cacheLine):]
	}
	rows.off = view[int32](scratch, 0, p.rowBlock*p.offLen)
	rows.rest = scratch[roundUp(p.rowBlock*4*p.offLen, cacheLine):]
	for m := t.tile0; m < t.tile1; m++ {
		i, first, n := m-t.tile0, m*p.tile.mr, p.tileRows(m)
		off := rows.off[i*p.offLen:][:p.offLen]
		switch {
		case p.strip && p.fillStrip(off, first, n):
		case p.gather:
			rows.gathered |= 1 << i
			gatherRows(p, buf[i*p.gatherLen:][:p.gatherLen], src, first, n, zero)
		default:
			p.fillOffsets(off, first, n)
		}
	}
	return rows
}

// tileSource gives the A and Off of row tile m of the task.
func (p *convPlan) tileSource(r *convRows, t *convTask, m int) (base unsafe.Pointer, off *int32) {
	i := m - t.tile0
	switch {
	case p.direct:
		base = unsafe.Add(r.base, i*r.step)
	case r.gathered>>i&1 != 0:
		base = unsafe.Add(r.copies, i*p.gatherLen*p.elem)
	default:
		return r.base, &r.off[i*p.offLen]
	}
	if m == p.rowTiles-1 {
		return base, &p.last[0]
	}
	return base, &p.full[0]
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
	p.repeatLast(off, n)
}

// fillStrip writes the table [KH][mr] of a tile if all its windows lie inside
// the image, even when a tap is read up to kc.
func (p *convPlan) fillStrip(off []int32, first, n int) bool {
	s, mr := &p.s, p.tile.mr
	oh, ow := first/s.OW, first%s.OW
	end := (s.H*s.W*s.C - p.kc) * p.elem
	for r := range n {
		y, x := oh*s.SH-s.Top, ow*s.SW-s.Left
		if y < 0 || x < 0 || y+(s.KH-1)*s.DH >= s.H || x+s.KW > s.W {
			return false
		}
		start := int32((y*s.W + x) * s.C * p.elem)
		i := r
		for _, d := range p.tapOff {
			off[i] = start + d
			i += mr
		}
		if int(off[i-mr]) > end {
			return false
		}
		if ow++; ow == s.OW {
			oh, ow = oh+1, 0
		}
	}
	p.repeatLast(off, n)
	return true
}

// repeatLast fills the rows of a table from n on with row n-1.
func (p *convPlan) repeatLast(off []int32, n int) {
	for t := range p.taps {
		row := off[t*p.tile.mr:][:p.tile.mr]
		for r := n; r < len(row); r++ {
			row[r] = row[n-1]
		}
	}
}

// gatherRows copies the windows of the n output pixels from first on, each to
// taps·kc elements; src starts at the group's first channel.
func gatherRows[T int8 | float32](p *convPlan, dst, src []T, first, n int, zero T) {
	s, cg := &p.s, p.cg
	run := s.KW * cg // a window's row
	step := run
	if p.strip {
		step = p.kc
	}
	whole := s.DW == 1 && cg == s.C // the row lies in one piece
	oh, ow := first/s.OW, first%s.OW
	for range n {
		y, x := oh*s.SH-s.Top, ow*s.SW-s.Left
		row := dst[:p.taps*p.kc]
		dst = dst[len(row):]
		inside := whole && x >= 0 && x+s.KW <= s.W
		for kh := range s.KH {
			iy := y + kh*s.DH
			out := row[kh*step:][:run]
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

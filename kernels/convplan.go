package kernels

import (
	"math"
	"unsafe"
)

// convPlan cuts a convolution into micro-kernel tiles and tasks. Where a row
// of the matrix product comes from takes one of three forms:
//
//   - direct: pointwise, rows lie one behind the other in the input (or are first
//     copied to scratch, see gathers);
//   - indirect: every tap of a window is read in place, padding from a row of
//     its own;
//   - bordered: the input rows of a task are first copied to scratch with their
//     padding (or used where they are if nothing needs padding). Then a window's
//     row of KW pixels is one tap, and no window is a special case. It pays
//     where taps have few channels, as in first layers.
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
	rowBytes   int // direct: from a row to the next
	direct     bool
	gathered   bool // direct, but the rows are copied to scratch first
	bordered   bool
	inPlace    bool // bordered, but the input needs no border
	images     int  // rows of different images never share a tile
	rows       int  // output pixels of an image
	rowTiles   int  // of an image
	panels     int  // of a group
	rowBlock   int  // row tiles of a task
	panelBlock int  // panels of a task
	rowBlocks  int
	panBlocks  int
	tasks      int
	full, last []int32 // direct: the offsets of a full and of the last row tile; bordered: of a tile inside an output row and of the last one
	cross      []int32 // bordered: the tables of the tiles that start behind pixel OW-mr and so go over to another output row
	tapOff     []int32 // not direct: offset of each tap from the first
	offLen     int     // int32s of a tile's offset table
	width      int     // bordered: pixels of a copied row
	copyLen    int     // bordered: elements of a task's copy
}

const (
	borderBelow = 64      // bordered if a pixel of a group has fewer channels than this
	blockBytes  = 1 << 18 // of the rows of a task, which share a panel: so much of L2
	nearBytes   = 1 << 14 // at levels without a fast L2: of the input and output of a task, half of L1
	blockTiles  = 8       // row tiles of a task at least, for a panel to be worth loading into L1
	wantTasks   = 16      // tasks to aim for: enough for 4 threads to share evenly; half as many if they are short
	minTaskMACs = 1 << 19 // int8, for float32 a quarter: half a task of this size costs less than handing it out
)

func newConvPlan(s ConvShape, tile gemmShape, elem int) *convPlan {
	p := &convPlan{s: s, tile: tile, elem: elem, cg: s.C / s.Groups, og: s.O / s.Groups}
	p.taps, p.run = s.KH*s.KW, s.C/s.Groups
	p.depth = p.taps * p.run
	p.images, p.rows = s.N, s.OH*s.OW
	p.gathered = p.gathers()
	p.direct = p.cg%tile.kr == 0 && s.pointwise() || p.gathered
	p.bordered = !p.direct && (p.cg%tile.kr != 0 || p.cg < borderBelow)
	if p.direct {
		p.images, p.rows = 1, s.N*p.rows
	}
	if p.bordered && s.DW == 1 {
		p.taps, p.run = s.KH, s.KW*p.cg
	}
	p.kc = roundUp(p.run, tile.kr)
	p.rowBytes = s.C * elem
	p.rowTiles = ceilDiv(p.rows, tile.mr)
	p.panels = ceilDiv(p.og, tile.nr)
	p.cutTasks()
	if p.gathered {
		p.rowBytes += cacheLine
		p.copyLen = p.rowBlock * tile.mr * p.rowBytes / elem
	}
	if p.direct {
		p.full = p.rowTable(tile.mr)
		p.last = p.rowTable((p.rows-1)%tile.mr + 1)
		return p
	}
	p.offLen = p.taps * tile.mr
	width, pixel := s.W, s.C // of the rows that the offsets run over
	if p.bordered {
		p.width = (s.OW-1)*s.SW + (s.KW-1)*s.DW + 1
		p.inPlace = s.Groups == 1 && s.Top == 0 && s.Left == 0 && p.kc == p.run &&
			p.width <= s.W && (s.OH-1)*s.SH+(s.KH-1)*s.DH < s.H
		if p.inPlace {
			p.width = s.W
		} else {
			p.copyLen = p.copyRows(min(s.OH, (p.rowBlock*tile.mr-2)/s.OW+2))*p.width*p.cg + p.kc - p.run
		}
		width, pixel = p.width, p.cg
	}
	for t := range p.taps {
		kh, kw := t/s.KW, t%s.KW
		if p.taps == s.KH {
			kh, kw = t, 0
		}
		p.tapOff = append(p.tapOff, int32((kh*s.DH*width+kw*s.DW)*pixel*elem))
	}
	if p.bordered {
		p.borderedTables()
	}
	return p
}

// borderedTables fills full, last and cross; their offsets count from the first
// pixel of a tile (full) or of its first output row.
func (p *convPlan) borderedTables() {
	mr, step := p.tile.mr, int32(p.s.SW*p.cg*p.elem)
	for i := range p.offLen {
		p.full = append(p.full, p.tapOff[i/mr]+int32(i%mr)*step)
	}
	for ow := max(0, p.s.OW-mr+1); ow < p.s.OW; ow++ {
		p.cross = append(p.cross, p.full...)
		p.fillBordered(p.cross[len(p.cross)-p.offLen:], ow, mr)
	}
	p.last = make([]int32, p.offLen)
	first := (p.rowTiles - 1) * mr
	p.fillBordered(p.last, first%p.s.OW, p.rows-first)
}

// rowTable returns the offsets of a tile whose n rows lie one behind the other.
func (p *convPlan) rowTable(n int) []int32 {
	off := make([]int32, p.tile.mr)
	for r := range off {
		off[r] = int32(min(r, n-1) * p.rowBytes)
	}
	return off
}

// gathers reports whether the rows of a 1x1 convolution lie 4 KiB apart, or a
// multiple of that, so that a first-level cache of 8 ways cannot hold a line of each
// row of a tile that has more.
func (p *convPlan) gathers() bool {
	const ways, period = 8, 4 << 10
	s := &p.s
	return s.KH == 1 && s.KW == 1 && s.Top == 0 && s.Left == 0 && s.Groups == 1 && p.elem == 4 &&
		p.tile.mr > ways && s.OH*s.OW > ways && s.SW*s.C*p.elem%period == 0 && p.og >= 8*p.tile.nr
}

// gather copies the rows from first on to dst, each a cache line longer than it was.
func (p *convPlan) gather(dst, src []byte, first, n int) {
	s := &p.s
	row := s.C * p.elem
	for r := first; r < first+n; r++ {
		image, oh, ow := r/s.OW/s.OH, r/s.OW%s.OH, r%s.OW
		copy(dst[:row], src[((image*s.H+oh*s.SH)*s.W+ow*s.SW)*row:])
		if r+1 < first+n {
			dst = dst[p.rowBytes:]
		}
	}
}

// copyRows returns how many input rows the windows of n output rows span.
func (p *convPlan) copyRows(n int) int { return (n-1)*p.s.SH + (p.s.KH-1)*p.s.DH + 1 }

// cutTasks picks how many row tiles and panels a task has. The cut depends on
// the shape alone, never on the number of threads.
func (p *convPlan) cutTasks() {
	p.rowBlock = max(blockTiles, blockBytes/(p.tile.mr*p.depth*p.elem))
	if p.tile.near {
		p.rowBlock = max(1, nearBytes/(p.tile.mr*(p.cg*p.s.SH*p.s.SW+p.og)*p.elem))
	}
	if p.bordered { // whole rows are copied: at least one should be used in full
		p.rowBlock = max(p.rowBlock, ceilDiv(p.s.OW, p.tile.mr))
	}
	p.rowBlock, p.panelBlock = min(p.rowBlock, p.rowTiles), p.panels
	tasks := func() int {
		return p.images * p.s.Groups * ceilDiv(p.rowTiles, p.rowBlock) * ceilDiv(p.panels, p.panelBlock)
	}
	macs := func() int { return p.rowBlock * p.tile.mr * min(p.panelBlock*p.tile.nr, p.og) * p.depth }
	least := minTaskMACs / p.elem
	if p.tile.mr*p.tile.nr > 192 { // the fastest kernels
		least *= 2
		if p.rowBlock == p.rowTiles && p.s.N*p.s.Groups*macs() < 2*least { // some 10 µs: not worth sharing
			least = math.MaxInt / 8
		}
	}
	want := wantTasks
	if p.gathered {
		want = 4 // each task copies its rows, which only many panels are worth
	}
	for tasks() < want/2 && macs() >= 2*least || tasks() < want && macs() >= 8*least {
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
	p.tasks = tasks()
}

// convTask is one task: tiles [tile0, tile1) of the rows of an image against
// panels [pan0, pan1) of a group.
type convTask struct {
	image, group int
	tile0, tile1 int
	pan0, pan1   int
}

func (p *convPlan) task(t int) convTask {
	if p.tasks == 1 { // spares small layers the divisions
		return convTask{tile1: p.rowTiles, pan1: p.panels}
	}
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

// scratchBytes is what a worker needs: copied rows, offsets, and more for the caller.
func (p *convPlan) scratchBytes(more int) int {
	tables := 0
	if !p.direct && !p.bordered {
		tables = roundUp(p.rowBlock*4*p.offLen, cacheLine)
	}
	return cacheLine + roundUp(p.copyLen*p.elem, cacheLine) + tables + more
}

// convRows says where the row tiles of a task are read from.
type convRows struct {
	base unsafe.Pointer // what the offsets count from; of tile0 if direct
	step int            // bytes: direct, from a tile to the next; bordered, from an output row's windows to the next row's
	oh   int            // bordered: the output row whose windows start at base
	off  []int32        // indirect: the offset tables of the task's tiles
	copy []byte         // the copied rows
	rest []byte         // what is left of the scratch
}

// prepareRows fills the scratch for a task. Every byte of padding is zero.
func prepareRows(p *convPlan, t *convTask, src []byte, zero byte, scratch []byte) convRows {
	s := &p.s
	scratch = alignUp(scratch)
	src = src[(t.image*s.H*s.W*s.C+t.group*p.cg)*p.elem:]
	if p.gathered {
		first := t.tile0 * p.tile.mr
		p.gather(scratch, src, first, min(t.tile1*p.tile.mr, p.rows)-first)
		rest := scratch[roundUp(p.copyLen*p.elem, cacheLine):]
		return convRows{base: unsafe.Pointer(&scratch[0]), step: p.tile.mr * p.rowBytes, rest: rest}
	}
	if p.direct {
		return convRows{
			base: unsafe.Pointer(&src[t.tile0*p.tile.mr*s.C*p.elem]), step: p.tile.mr * p.rowBytes, rest: scratch,
		}
	}
	rows := convRows{base: unsafe.Pointer(&src[0])}
	if !p.bordered {
		rows.off = view[int32](scratch, 0, p.rowBlock*p.offLen)
		rows.rest = scratch[roundUp(4*p.rowBlock*p.offLen, cacheLine):]
		for m := t.tile0; m < t.tile1; m++ {
			first := m * p.tile.mr
			p.fillOffsets(rows.off[(m-t.tile0)*p.offLen:][:p.offLen], first/s.OW, first%s.OW, p.tileRows(m))
		}
		return rows
	}
	rows.step = s.SH * p.width * p.cg * p.elem
	if p.copyLen > 0 {
		rows.oh = t.tile0 * p.tile.mr / s.OW
		last := (min(t.tile1*p.tile.mr, p.rows) - 1) / s.OW
		n := p.copyRows(last - rows.oh + 1)
		rows.base = unsafe.Pointer(&scratch[0])
		rows.copy = scratch[:n*p.width*p.cg*p.elem]
		copyBordered(s, p.width, p.cg, p.elem, rows.copy, src, rows.oh*s.SH-s.Top, zero)
		scratch = scratch[roundUp(p.copyLen*p.elem, cacheLine):]
	}
	rows.rest = scratch
	return rows
}

// flatten prepares the copied rows of a task for a micro-kernel that takes
// qGemmArgs.Step, and returns that; 0 where rows or kernel are not of that kind.
func (p *convPlan) flatten(l Level, rows *convRows) uintptr {
	if !p.tile.flat || rows.copy == nil || p.taps != p.s.KH {
		return 0
	}
	FlipSigns(l, rows.copy, rows.copy)
	return uintptr(p.s.DH * p.width * p.cg * p.elem)
}

// tileSource gives the A and Off of row tile m of the task.
func (p *convPlan) tileSource(r *convRows, t *convTask, m int) (base unsafe.Pointer, off *int32) {
	i := m - t.tile0
	if p.direct {
		off = &p.full[0]
		if m == p.rowTiles-1 {
			off = &p.last[0]
		}
		return unsafe.Add(r.base, i*r.step), off
	}
	if !p.bordered {
		return r.base, &r.off[i*p.offLen]
	}
	first, width := uint32(m*p.tile.mr), uint32(p.s.OW)
	oh, ow := int(first/width), int(first%width)
	base = unsafe.Add(r.base, (oh-r.oh)*r.step)
	switch inside := ow + p.tile.mr - p.s.OW; {
	case m == p.rowTiles-1:
		return base, &p.last[0]
	case inside > 0:
		return base, &p.cross[(ow-max(0, p.s.OW-p.tile.mr+1))*p.offLen]
	}
	return unsafe.Add(base, ow*p.s.SW*p.cg*p.elem), &p.full[0]
}

// copyBordered fills dst with input rows from y on and their padding, each width
// pixels of cg channels; src starts at the first of these channels.
func copyBordered(s *ConvShape, width, cg, elem int, dst, src []byte, y int, zero byte) {
	cg *= elem // bytes from here on
	n, c := width*cg, s.C*elem
	x0, x1 := s.Left, min(width, s.Left+s.W) // columns that lie in the image
	var pad [64]byte
	setAll(pad[:], zero)
	for ; len(dst) > 0; y, dst = y+1, dst[n:] {
		row := dst[:n]
		if uint(y) >= uint(s.H) || x0 >= x1 {
			fill(row, pad[:])
			continue
		}
		fill(row[:x0*cg], pad[:])
		fill(row[x1*cg:], pad[:])
		in, out := src[y*s.W*c:], row[x0*cg:x1*cg]
		if cg == c {
			copy(out, in)
			continue
		}
		for len(out) > 0 {
			copy(out[:cg], in)
			out = out[cg:]
			if len(out) > 0 {
				in = in[c:]
			}
		}
	}
}

// fill repeats v, whose bytes are all the same, to the end of dst.
func fill(dst, v []byte) {
	for n := copy(dst, v); n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// fillOffsets writes the table [taps][mr] of the tile of n valid rows whose
// first output pixel is (oh, ow); the offsets count from the image's start.
func (p *convPlan) fillOffsets(off []int32, oh, ow, n int) {
	s, mr := &p.s, p.tile.mr
	pixel := int32(s.C * p.elem)
	for r := 0; r < n; oh, ow = oh+1, 0 {
		m := min(n-r, s.OW-ow) // rows of the tile in this output row
		y, x := oh*s.SH-s.Top, ow*s.SW-s.Left
		for t, d := range p.tapOff {
			row := off[t*mr+r:][:m]
			if uint(y+t/s.KW*s.DH) >= uint(s.H) {
				setAll(row, -1)
				continue
			}
			at, ix := int32(y*s.W+x)*pixel+d, x+t%s.KW*s.DW
			for i := range row {
				row[i] = -1
				if uint(ix) < uint(s.W) {
					row[i] = at
				}
				at += int32(s.SW) * pixel
				ix += s.SW
			}
		}
		r += m
	}
	p.repeatLast(off, n)
}

// fillBordered does the same for bordered rows: the offsets count from the
// windows of the tile's first output row.
func (p *convPlan) fillBordered(off []int32, ow, n int) {
	s, mr := &p.s, p.tile.mr
	step := int32(s.SW * p.cg * p.elem)
	oh := 0
	for r := 0; r < n; oh, ow = oh+1, 0 {
		m := min(n-r, s.OW-ow)
		start := int32(oh*s.SH*p.width*p.cg*p.elem) + int32(ow)*step
		for t, d := range p.tapOff {
			at := start + d
			row := off[t*mr+r:][:m]
			for i := range row {
				row[i] = at
				at += step
			}
		}
		r += m
	}
	p.repeatLast(off, n)
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

// setAll fills s with v: a few elements one by one, then by doubling.
func setAll[T any](s []T, v T) {
	n := min(len(s), 16)
	for i := range s[:n] {
		s[i] = v
	}
	for ; n < len(s); n *= 2 {
		copy(s[n:], s[:n])
	}
}

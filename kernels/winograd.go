package kernels

import "unsafe"

// winograd is a 3x3 convolution at stride 1 by Winograd's minimal filtering
// algorithm F(4x4, 3x3): an input tile of 6x6 pixels is transformed, multiplied
// with the transformed weights element by element, summed over the channels and
// transformed to an output tile of 4x4 pixels. The 36 sums over the channels are 36
// matrix products, which take a quarter of the multiplications that the windows
// take. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// CVPR 2016, arXiv:1509.09308.
//
// With Bᵀ, G and Aᵀ the Toom-Cook matrices of the points 0, ±3/4, ±3/2 and ∞,
//
//	U = G g Gᵀ           for the weights g[kh][kw] of an output and an input channel
//	V = Bᵀ d B           for the input pixels d[y][x] of a tile and a channel, +0 outside of the image
//	M = Σ over c of U·V  one chain of fused multiply-adds from +0, channels ascending
//	y = Aᵀ M A           then + bias, then the clamp
//
// The transforms go down the columns first and then along the rows, each by the
// operations of [winogradWeight6] (in float64, U is rounded once), [winogradIn6] and
// [winogradOut4] in their order. These operations define the bits at every level.
//
// The points decide the error. All constants of Bᵀ and Aᵀ are exact in float32, and
// against the exact sum the result is off by twice what a chain over the window is
// off (2.7e-6 of the output's root mean square against 1.4e-6, 64 channels of
// random numbers); with the textbook's points 0, ±1, ±2 it is six times.
// Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
// Convolution for Deep Neural Networks", ACM TOMS 46 (2020), arXiv:1803.10986.
//
// An infinity or NaN in the input makes its whole tile of outputs NaN or infinite.
type winograd struct {
	level      Level
	s          ConvShape
	tile       gemmShape
	high, wide int // tiles of an image
	tiles      int // of all images
	block      int // tiles of a task
	blocks     int
	most       int // tiles of the last task or of any
	panels     int // of the matrix products
	panelBlock int // of a task
	panBlocks  int
	panelBytes int
	off        [][]int32 // [mr] for 1 to mr valid rows
	packed     []byte    // [winogradPoints][panels]
	bias       []float32 // [O]
	lo, hi     float32
}

const (
	winogradPoints = 6 * 6
	winogradSide   = 4 // of an output tile
	winogradWindow = 6 // of an input tile
)

// Winograd reports whether the float32 convolution is done by Winograd's algorithm
// (see [Conv]). That is part of the definition of its bits, so it depends neither on the level nor on
// the number of images. Whole vectors of channels are asked for; the products must
// be a half of the windows' at most; and the 36 weights that become of 9 must meet
// enough tiles to be worth reading.
func (s *ConvShape) Winograd() bool {
	if s.KH != 3 || s.KW != 3 || s.SH != 1 || s.SW != 1 || s.DH != 1 || s.DW != 1 || s.Groups != 1 ||
		s.C%8 != 0 || s.O%8 != 0 || s.C < 16 || s.O < 16 {
		return false
	}
	tiles := ceilDiv(s.OH, winogradSide) * ceilDiv(s.OW, winogradSide)
	const smallWeights = 1 << 18 // floats: 1 MiB
	return s.OH*s.OW >= 8*tiles && (tiles >= 16 || tiles >= 4 && s.C*s.O*winogradPoints <= smallWeights)
}

// Of a task's transformed tiles, which should stay in the L2 cache until they are read.
const winogradBytes = 1 << 19

func newWinograd(l Level, p *ConvParams) *winograd {
	s := p.Shape
	w := &winograd{
		level: l, s: s, tile: fgemmShape(l), lo: p.Lo + 0, hi: p.Hi + 0,
		high: ceilDiv(s.OH, winogradSide), wide: ceilDiv(s.OW, winogradSide),
		bias: make([]float32, s.O),
	}
	copy(w.bias, p.Bias)
	w.tiles = s.N * w.high * w.wide
	w.panels = ceilDiv(s.O, w.tile.nr)
	w.cutTasks()
	for n := 1; n <= w.tile.mr; n++ {
		off := make([]int32, w.tile.mr)
		for r := range off {
			off[r] = int32(min(r, n-1) * s.C * 4)
		}
		w.off = append(w.off, off)
	}
	plan := newConvPlan(GemmShape(1, s.O, s.C), w.tile, 4)
	w.panelBytes = plan.panelBytes()
	size := w.panels * w.panelBytes
	w.packed = alignedBytes(winogradPoints * size)
	u := winogradWeights(p.Weights, s.O, s.C)
	for i := range winogradPoints {
		packPanels(l, plan, w.packed[i*size:][:size], u[i*s.O*s.C:][:s.O*s.C], nil)
	}
	return w
}

// cutTasks picks how many tiles and panels a task has: whole tiles of the
// micro-kernel, and no task for a few tiles alone, since each task reads all the
// weights of its panels. All panels share the transformed input, so they are split
// last.
func (w *winograd) cutTasks() {
	mr := w.tile.mr
	perTile := winogradPoints * (w.s.C + w.s.O) * 4
	w.block = max(1, winogradBytes/perTile/mr) * mr
	if weights := winogradPoints * w.s.C * w.s.O; 4*weights <= winogradBytes/2 { // cheap to read again
		if n := min(4, w.tiles*weights/(minTaskMACs/2)); n > 1 {
			w.block = min(w.block, roundUp(ceilDiv(w.tiles, n), mr))
		}
	}
	w.blocks = max(1, ceilDiv(w.tiles-mr/2, w.block))
	w.most = max(w.block, w.tiles-(w.blocks-1)*w.block)
	if w.blocks == 1 {
		w.block, w.most = w.tiles, w.tiles
	}
	w.panelBlock = w.panels
	macs := func() int { return winogradPoints * w.block * w.s.C * w.panelBlock * w.tile.nr }
	for w.blocks*ceilDiv(w.panels, w.panelBlock) < 4 && w.panelBlock > 1 && macs() >= 4*minTaskMACs {
		w.panelBlock = ceilDiv(w.panelBlock, 2)
	}
	w.panBlocks = ceilDiv(w.panels, w.panelBlock)
}

func (w *winograd) tasks() int { return w.blocks * w.panBlocks }

// scratchFloats are a worker's parts: transformed input, products, and one tile
// of pixels for those that reach over an edge.
func (w *winograd) scratchFloats() (v, m, pixels int) {
	width := min(w.panelBlock*w.tile.nr, w.s.O)
	return winogradPoints * w.step(w.s.C), winogradPoints * w.step(width),
		max(winogradPoints*w.s.C, winogradSide*winogradSide*width)
}

// step returns the floats from one point of a task's tiles to the next, each tile
// with c channels: an odd number of cache lines, so that the points of a tile do not
// all fall into one set of the cache.
func (w *winograd) step(c int) int { return (ceilDiv(4*w.most*c, cacheLine) | 1) * cacheLine / 4 }

func (w *winograd) scratchBytes() int {
	v, m, pixels := w.scratchFloats()
	return cacheLine + 4*(v+m+pixels)
}

func (w *winograd) run(dst, src []float32, scratch []byte, t0, t1 int) {
	s := &w.s
	checkRun(len(dst), s.OutLen(), len(src), s.InLen(), len(scratch), w.scratchBytes())
	nv, nm, np := w.scratchFloats()
	f := view[float32](alignUp(scratch), 0, nv+nm+np)
	v, m, pixels := f[:nv], f[nv:][:nm], f[nv+nm:]
	for t := t0; t < t1; t++ {
		first := t / w.panBlocks * w.block
		n := w.block
		if t/w.panBlocks == w.blocks-1 {
			n = w.tiles - first
		}
		pan0 := t % w.panBlocks * w.panelBlock
		pan1 := min(pan0+w.panelBlock, w.panels)
		o0, o1 := pan0*w.tile.nr, min(pan1*w.tile.nr, s.O)
		for i := range n {
			w.in(v[i*s.C:], src, pixels, first+i)
		}
		w.multiply(m, v, n, pan0, pan1, o0, o1)
		for i := range n {
			w.out(dst, m[i*(o1-o0):], pixels, first+i, o0, o1)
		}
	}
}

// place returns the image of a tile and its first output row and column.
func (w *winograd) place(tile int) (image, y, x int) {
	row := tile / w.wide
	return row / w.high, row % w.high * winogradSide, tile % w.wide * winogradSide
}

// in transforms one input tile to v, winogradPoints times [most][C].
func (w *winograd) in(v, src, pixels []float32, tile int) {
	s := &w.s
	image, y, x := w.place(tile)
	y, x = y-s.Top, x-s.Left
	src = src[image*s.H*s.W*s.C:]
	a := winogradArgs{Points: unsafe.Pointer(&v[0]), Step: uintptr(4 * w.step(s.C)), N: uintptr(s.C), Pixel: uintptr(4 * s.C)}
	if y >= 0 && x >= 0 && y+winogradWindow <= s.H && x+winogradWindow <= s.W {
		a.Tile, a.Row = unsafe.Pointer(&src[(y*s.W+x)*s.C]), uintptr(4*s.W*s.C)
		winogradIn(w.level, &a)
		return
	}
	row := winogradWindow * s.C
	window := pixels[:winogradWindow*row]
	clear(window)
	x0, x1 := max(x, 0), min(x+winogradWindow, s.W)
	for i := max(y, 0); i < min(y+winogradWindow, s.H) && x0 < x1; i++ {
		copy(window[(i-y)*row+(x0-x)*s.C:], src[(i*s.W+x0)*s.C:(i*s.W+x1)*s.C])
	}
	a.Tile, a.Row = unsafe.Pointer(&window[0]), uintptr(4*row)
	winogradIn(w.level, &a)
}

// multiply sets m, winogradPoints times [most][o1-o0], to the products of n tiles.
func (w *winograd) multiply(m, v []float32, n, pan0, pan1, o0, o1 int) {
	mr, nr, c, width := w.tile.mr, w.tile.nr, w.s.C, o1-o0
	a := gemmArgs{Pad: unsafe.Pointer(&v[0]), Taps: 1, KC: uintptr(c), LDC: uintptr(4 * width), Lo: -inf32, Hi: inf32}
	for i := range winogradPoints {
		rows, sums := v[i*w.step(c):], m[i*w.step(width):]
		for p := pan0; p < pan1; p++ {
			o := p*nr - o0
			a.W = unsafe.Pointer(&w.packed[(i*w.panels+p)*w.panelBytes])
			a.Cols = uintptr(min(nr, width-o))
			for r := 0; r < n; r += mr {
				k := min(mr, n-r)
				a.A, a.Off, a.Rows = unsafe.Pointer(&rows[r*c]), &w.off[k-1][0], uintptr(k)
				a.C = unsafe.Pointer(&sums[r*width+o])
				gemm(w.level, &a)
			}
		}
	}
}

// out transforms one tile of m to the output.
func (w *winograd) out(dst, m, pixels []float32, tile, o0, o1 int) {
	s := &w.s
	image, y, x := w.place(tile)
	n := o1 - o0
	a := winogradArgs{
		Points: unsafe.Pointer(&m[0]), Step: uintptr(4 * w.step(n)), N: uintptr(n),
		Bias: unsafe.Pointer(&w.bias[o0]), Lo: w.lo, Hi: w.hi,
	}
	high, wide := min(winogradSide, s.OH-y), min(winogradSide, s.OW-x)
	dst = dst[((image*s.OH+y)*s.OW+x)*s.O+o0:]
	if high == winogradSide && wide == winogradSide {
		a.Tile, a.Row, a.Pixel = unsafe.Pointer(&dst[0]), uintptr(4*s.OW*s.O), uintptr(4*s.O)
		winogradOut(w.level, &a)
		return
	}
	a.Tile, a.Row, a.Pixel = unsafe.Pointer(&pixels[0]), uintptr(4*winogradSide*n), uintptr(4*n)
	winogradOut(w.level, &a)
	for i := range high {
		for j := range wide {
			copy(dst[(i*s.OW+j)*s.O:][:n], pixels[(i*winogradSide+j)*n:])
		}
	}
}

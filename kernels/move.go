package kernels

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"
)

// A Copy moves a box of elements between two row-major tensors that step
// through memory differently. Transposition, slicing, concatenation, splitting
// and padding with a constant are all one of these. Elements are of any type:
// the unit is an element, its size is given when the copy runs.
type Copy struct {
	Level    Level // of the kernels; the zero value is portable Go
	dims     []int // merged, outermost first
	ds, ss   []int // steps in dst and src, in elements
	dst, src int   // where the box starts
	n        int
}

func newCopy(dims, ds, ss []int, dst, src int) *Copy {
	c := &Copy{dst: dst, src: src, n: product(dims)}
	for i, d := range dims {
		if d == 1 {
			continue
		}
		if n := len(c.dims); n > 0 && c.ds[n-1] == d*ds[i] && c.ss[n-1] == d*ss[i] {
			c.dims[n-1] *= d
			c.ds[n-1], c.ss[n-1] = ds[i], ss[i]
			continue
		}
		c.dims, c.ds, c.ss = append(c.dims, d), append(c.ds, ds[i]), append(c.ss, ss[i])
	}
	if len(c.dims) == 0 {
		c.dims, c.ds, c.ss = []int{1}, []int{1}, []int{1}
	}
	return c
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// steps are those of a dense row-major tensor.
func steps(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// NewTranspose is ONNX's Transpose: dimension i of the result is dimension
// perm[i] of shape.
func NewTranspose(shape, perm []int) (*Copy, error) {
	if len(perm) != len(shape) {
		return nil, fmt.Errorf("kernels: perm %v does not fit shape %v", perm, shape)
	}
	seen := make([]bool, len(perm))
	src := steps(shape)
	dims, ss := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		if p < 0 || p >= len(perm) || seen[p] {
			return nil, fmt.Errorf("kernels: %v is not a permutation", perm)
		}
		seen[p] = true
		dims[i], ss[i] = shape[p], src[p]
	}
	return newCopy(dims, steps(dims), ss, 0, 0), nil
}

// NewSlice takes elements starts[i], starts[i]+strides[i], ... (counts[i] of
// them) along every dimension i; a stride may be negative.
func NewSlice(shape, starts, counts, strides []int) (*Copy, error) {
	if len(starts) != len(shape) || len(counts) != len(shape) || len(strides) != len(shape) {
		return nil, fmt.Errorf("kernels: slice %v, %v, %v does not fit shape %v", starts, counts, strides, shape)
	}
	ss, from := steps(shape), 0
	for i, n := range counts {
		if n < 0 {
			return nil, fmt.Errorf("kernels: a slice of %d elements", n)
		}
		last := starts[i] + (n-1)*strides[i]
		if n > 0 && (min(starts[i], last) < 0 || max(starts[i], last) >= shape[i]) {
			return nil, fmt.Errorf("kernels: slice %v, %v, %v leaves shape %v", starts, counts, strides, shape)
		}
		from += starts[i] * ss[i]
		ss[i] *= strides[i]
	}
	return newCopy(counts, steps(counts), ss, 0, from), nil
}

// NewBlock copies a dense block of shape block into a tensor of shape whole at
// the position at (a part of a concatenation, the inside of a padding).
func NewBlock(whole, block, at []int) (*Copy, error) {
	if len(whole) != len(block) || len(at) != len(block) {
		return nil, fmt.Errorf("kernels: a block of %v at %v does not fit %v", block, at, whole)
	}
	ds, to := steps(whole), 0
	for i := range block {
		if at[i] < 0 || at[i]+block[i] > whole[i] {
			return nil, fmt.Errorf("kernels: a block of %v at %v does not fit %v", block, at, whole)
		}
		to += at[i] * ds[i]
	}
	return newCopy(block, ds, steps(block), to, 0), nil
}

// Elems is the number of elements that are moved.
func (c *Copy) Elems() int { return c.n }

// Rows is the unit of work: innermost runs of the box.
func (c *Copy) Rows() int {
	if c.n == 0 {
		return 0
	}
	return c.n / c.dims[len(c.dims)-1]
}

// Run moves the rows [from, to) of elements of size bytes (1, 2, 4 or 8; other
// sizes are moved byte by byte).
func (c *Copy) Run(dst, src []byte, size, from, to int) {
	last := len(c.dims) - 1
	p := plane{level: c.Level, cols: c.dims[last], dcol: c.ds[last], scol: c.ss[last]}
	across := 1 // rows that follow each other along the dimension above
	if last > 0 {
		across, p.drow, p.srow = c.dims[last-1], c.ds[last-1], c.ss[last-1]
	}
	for row := from; row < to; row += p.rows {
		p.dst, p.src, p.rows = c.dst, c.src, min(across-row%across, to-row)
		for i, k := row, last-1; k >= 0; k-- {
			j := i % c.dims[k]
			i /= c.dims[k]
			p.dst += j * c.ds[k]
			p.src += j * c.ss[k]
		}
		switch {
		case p.dcol == 1 && p.scol == 1 && (size*p.cols >= 8 || size&(size-1) != 0):
			p.runs(dst, src, size)
		case size == 1:
			move(&p, dst, src)
		case size == 2:
			move(&p, as[uint16](dst), as[uint16](src))
		case size == 4:
			move(&p, as[uint32](dst), as[uint32](src))
		case size == 8:
			move(&p, as[uint64](dst), as[uint64](src))
		default:
			for i := range p.rows {
				for j := range p.cols {
					copy(dst[(p.dst+i*p.drow+j*p.dcol)*size:][:size], src[(p.src+i*p.srow+j*p.scol)*size:])
				}
			}
		}
	}
}

// A plane is the part of a box along its two inner dimensions, in elements.
type plane struct {
	level                  Level
	dst, src               int
	rows, cols             int
	drow, srow, dcol, scol int // steps
}

// runs moves a plane whose rows are dense in dst and src.
func (p *plane) runs(dst, src []byte, size int) {
	n := p.cols * size
	d, s, dstep, sstep := p.dst*size, p.src*size, p.drow*size, p.srow*size
	switch {
	case n > 128 || n < 8:
		for range p.rows {
			copy(dst[d:][:n], src[s:][:n])
			d += dstep
			s += sstep
		}
	case n < 16: // twice 8 bytes, which may overlap
		for range p.rows {
			to, from := dst[d:][:n], src[s:][:n]
			head, tail := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[n-8:])
			binary.LittleEndian.PutUint64(to, head)
			binary.LittleEndian.PutUint64(to[n-8:], tail)
			d += dstep
			s += sstep
		}
	default: // 16 bytes at a time, the last ones twice: a call of copy costs more than a few channels
		for range p.rows {
			to, from := dst[d:][:n], src[s:][:n]
			*(*[16]byte)(to[n-16:]) = *(*[16]byte)(from[n-16:])
			for len(to) >= 32 && len(from) >= 32 {
				*(*[16]byte)(to) = *(*[16]byte)(from)
				to, from = to[16:], from[16:]
			}
			*(*[16]byte)(to) = *(*[16]byte)(from)
			d += dstep
			s += sstep
		}
	}
}

// move moves a plane in tiles that stay in the first-level cache, along whichever
// dimension is longer within a tile.
func move[T any](p *plane, dst, src []T) {
	if p.cols == 3 && p.dcol == 1 && p.drow == 3 && p.srow == 1 {
		y, a, b, c := dst[p.dst:][:3*p.rows], src[p.src:][:p.rows], src[p.src+p.scol:][:p.rows], src[p.src+2*p.scol:][:p.rows]
		done := 0
		if _, ok := any(y).([]uint32); ok {
			done = inChunks(p.rows, 8*chunk, func(from, to int) int {
				return interleave3Front(p.level, pointer(y[3*from:]), pointer(a[from:]), pointer(b[from:]), pointer(c[from:]), to-from)
			})
		}
		interleave3(y[3*done:], a[done:], b[done:], c[done:])
		return
	}
	const tileRows, tileCols = 64, 16
	for i := 0; i < p.rows; i += tileRows {
		rows := min(tileRows, p.rows-i)
		for j := 0; j < p.cols; j += tileCols {
			cols := min(tileCols, p.cols-j)
			d, s := p.dst+i*p.drow+j*p.dcol, p.src+i*p.srow+j*p.scol
			if rows > cols {
				for range cols {
					strided(dst, src, d, s, p.drow, p.srow, rows)
					d += p.dcol
					s += p.scol
				}
				continue
			}
			for range rows {
				strided(dst, src, d, s, p.dcol, p.scol, cols)
				d += p.drow
				s += p.srow
			}
		}
	}
}

// interleave3 makes pixels of three channels, which is what happens to a picture on
// its way into a model that was trained with channels first.
func interleave3[T any](dst, a, b, c []T) {
	for i := 0; i < len(a) && i < len(b) && i < len(c) && len(dst) >= 3; i++ {
		dst[0], dst[1], dst[2] = a[i], b[i], c[i]
		dst = dst[3:]
	}
}

func strided[T any](dst, src []T, d, s, ds, ss, n int) {
	for range n {
		dst[d] = src[s]
		d += ds
		s += ss
	}
}

// as views bytes as elements; tensors are aligned for their element type.
func as[T any](b []byte) []T {
	var t T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

// PadMode says what stands outside of a padded tensor.
type PadMode uint8

// The modes of ONNX's Pad.
const (
	PadConstant PadMode = iota
	PadReflect          // the mirror image without the edge element
	PadEdge             // the edge element
)

// A Pad surrounds a tensor. Every output element is either the constant or
// one input element, found by one table of input positions a dimension.
type Pad struct {
	out  []int
	idx  [][]int32 // by dimension: input position of each output position, or -1
	ss   []int     // in units
	unit int       // elements that stay together: those of the inner dimensions without padding
	runs []padRun  // of the innermost of idx
}

// A padRun is n positions of a row, whose input follows position x, or is the constant.
type padRun struct{ n, x int }

// NewPad pads shape by begin[i] elements before and end[i] behind along each
// dimension; negative amounts crop.
func NewPad(shape, begin, end []int, mode PadMode) (*Pad, error) {
	if len(begin) != len(shape) || len(end) != len(shape) {
		return nil, fmt.Errorf("kernels: pads %v, %v do not fit shape %v", begin, end, shape)
	}
	p := &Pad{unit: 1}
	for last := len(shape) - 1; last > 0 && begin[last] == 0 && end[last] == 0; last-- {
		p.unit *= shape[last]
		shape = shape[:last]
	}
	p.ss = steps(shape)
	for i, n := range shape {
		o := begin[i] + n + end[i]
		if o < 0 || mode == PadReflect && (begin[i] >= n || end[i] >= n) && o != n || mode == PadEdge && n == 0 && o > 0 {
			return nil, fmt.Errorf("kernels: dimension of %d cannot be padded by %d and %d", n, begin[i], end[i])
		}
		idx := make([]int32, o)
		for j := range idx {
			x := j - begin[i]
			if x < 0 || x >= n {
				switch mode {
				case PadReflect:
					if x < 0 {
						x = -x
					} else {
						x = 2*(n-1) - x
					}
				case PadEdge:
					x = min(max(x, 0), n-1)
				default:
					x = -1
				}
			}
			idx[j] = int32(x)
		}
		p.out, p.idx = append(p.out, o), append(p.idx, idx)
	}
	if len(shape) == 0 {
		p.out, p.idx, p.ss = []int{1}, [][]int32{{0}}, []int{1}
	}
	idx := p.idx[len(p.idx)-1]
	for j := 0; j < len(idx); {
		x, m := idx[j], 1
		for j+m < len(idx) && (x < 0 && idx[j+m] < 0 || x >= 0 && idx[j+m] == x+int32(m)) {
			m++
		}
		p.runs = append(p.runs, padRun{m, int(x)})
		j += m
	}
	return p, nil
}

// Rows is the unit of work: rows of the result's innermost padded dimension.
func (p *Pad) Rows() int { return product(p.out[:len(p.out)-1]) }

// Run computes the rows [from, to) of elements as long as value, which holds
// one element, the constant.
func (p *Pad) Run(dst, src, value []byte, from, to int) {
	last := len(p.out) - 1
	n, size := p.out[last], len(value)*p.unit
	fill := repeat
	if !slices.ContainsFunc(value, func(b byte) bool { return b != 0 }) {
		fill = func(dst, _ []byte) { clear(dst) }
	}
	for row := from; row < to; row++ {
		s, outside := 0, false
		for i, k := row, last-1; k >= 0; k-- {
			x := int(p.idx[k][i%p.out[k]])
			i /= p.out[k]
			outside = outside || x < 0
			s += x * p.ss[k]
		}
		d := dst[row*n*size:][:n*size]
		if outside {
			fill(d, value)
			continue
		}
		for _, r := range p.runs {
			if r.x < 0 {
				fill(d[:r.n*size], value)
			} else {
				copy(d[:r.n*size], src[(s+r.x)*size:])
			}
			d = d[r.n*size:]
		}
	}
}

// repeat fills dst with value, by doubling.
func repeat(dst, value []byte) {
	for n := copy(dst, value); n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// Gather is ONNX's Gather: along one axis of data, seen as
// [Outer][Axis][Inner], it picks slices. The result is [Outer][len(pos)][Inner].
type Gather struct {
	Outer, Axis, Inner int
}

// Run picks the slices at positions, which [Positions] has checked. size is the
// bytes of an element.
func (g *Gather) Run(dst, data []byte, pos []int64, size int) {
	n := g.Inner * size
	for o := range g.Outer {
		for _, p := range pos {
			copy(dst[:n], data[(o*g.Axis+int(p))*n:])
			dst = dst[n:]
		}
	}
}

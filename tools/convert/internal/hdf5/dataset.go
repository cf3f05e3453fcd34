package hdf5

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"slices"
)

// A layout is where a dataset's bytes are (section IV.A.2.i).
type layout struct {
	class   int
	data    []byte // compact
	address int64
	size    int
	chunk   []int // sizes of a chunk, elements
	elem    int   // bytes of an element, as the layout has it
	index   int   // version 4: how chunks are found
	single  int   // version 4, one filtered chunk: its bytes
	mask    uint32
}

// Classes of layouts.
const (
	layoutCompact    = 0
	layoutContiguous = 1
	layoutChunked    = 2
)

// Indices of chunks.
const (
	indexBTree1   = 0 // before version 4
	indexSingle   = 1
	indexImplicit = 2
)

func (c *cursor) layout() *layout {
	l := &layout{address: undefined}
	version := c.u8()
	switch version {
	case 1, 2:
		rank := c.u8()
		l.class = c.u8()
		c.skip(5)
		if l.class != layoutCompact {
			l.address = c.address()
		}
		l.size = -1 // what the shape asks for
		if l.class == layoutChunked {
			c.chunk(l, rank, 4)
			break
		}
		c.skip(4 * rank)
		if l.class == layoutCompact {
			l.data = c.take(c.u32())
		}
	case 3, 4:
		l.class = c.u8()
		switch l.class {
		case layoutCompact:
			l.data = c.take(c.u16())
		case layoutContiguous:
			l.address, l.size = c.address(), c.length()
		case layoutChunked:
			if version == 4 {
				c.chunk4(l)
				break
			}
			rank := c.u8()
			l.address = c.address()
			c.chunk(l, rank, 4)
		}
	default:
		fail("data layout of version %d", version)
	}
	if l.class > layoutChunked {
		fail("data layout of class %d: virtual datasets are not supported", l.class)
	}
	return l
}

// chunk reads the sizes of a chunk, the last of which is that of an element.
func (c *cursor) chunk(l *layout, rank, width int) {
	if rank < 1 || rank > maxRank+1 {
		fail("a chunk of %d dimensions", rank)
	}
	for range rank {
		l.chunk = append(l.chunk, toInt(c.uint(width)))
	}
	l.elem = l.chunk[rank-1]
	l.chunk = l.chunk[:rank-1]
}

func (c *cursor) chunk4(l *layout) {
	flags, rank, width := c.u8(), c.u8(), c.u8()
	if width < 1 || width > 8 {
		fail("sizes of chunks in %d bytes", width)
	}
	c.chunk(l, rank, width)
	l.index = c.u8()
	switch l.index {
	case indexSingle:
		l.single = -1
		if flags&2 != 0 {
			l.single, l.mask = c.length(), uint32(c.u32())
		}
	case indexImplicit:
	default:
		fail("chunks are found by index %d, which is not supported: write the file anew with h5py's defaults, or with h5repack", l.index)
	}
	l.address = c.address()
}

// A filter was applied to each chunk when it was written.
type filter struct {
	id      int
	options []int
}

// Filters that can be undone.
const (
	filterDeflate    = 1
	filterShuffle    = 2
	filterFletcher32 = 3
)

// filters reads a filter pipeline message (section IV.A.2.l).
func (c *cursor) filters() []filter {
	version, n := c.u8(), c.u8()
	if version < 1 || version > 2 {
		fail("filter pipeline of version %d", version)
	}
	if version == 1 {
		c.skip(6)
	}
	var list []filter
	for range n {
		f := filter{id: c.u16()}
		name := 0
		if version == 1 || f.id >= 256 {
			name = c.u16()
		}
		c.skip(2)
		values := c.u16()
		if version == 1 {
			name = (name + 7) &^ 7
		}
		c.skip(name)
		for range values {
			f.options = append(f.options, c.u32())
		}
		if version == 1 && values%2 == 1 {
			c.skip(4)
		}
		list = append(list, f)
	}
	return list
}

// fillValue reads a fill value message (section IV.A.2.f): nil stands for zeros.
func (c *cursor) fillValue() []byte {
	switch version := c.u8(); version {
	case 1, 2:
		c.skip(2)
		if defined := c.u8(); version == 2 && defined == 0 {
			return nil
		}
	case 3:
		if c.u8()&0x20 == 0 {
			return nil
		}
	default:
		fail("fill value of version %d", version)
	}
	return c.take(c.u32())
}

// Type returns the type of a dataset's elements.
func (o *Object) Type() Type {
	if o.head.typ == nil {
		return Type{Class: ClassOther, why: "no datatype"}
	}
	return *o.head.typ
}

// Shape returns the dimensions of a dataset.
func (o *Object) Shape() []int {
	if o.head.space == nil {
		return nil
	}
	return o.head.space.dims
}

// Read returns the elements of a dataset of numbers, little-endian and row-major.
// The bytes may be the file's own: they must not be changed.
func (o *Object) Read() (data []byte, err error) {
	defer func() { err = o.caught(recover(), err) }()
	h := &o.head
	if h.layout == nil || h.space == nil || h.typ == nil {
		fail("not a dataset")
	}
	switch h.typ.Class {
	case ClassInt, ClassUint, ClassFloat, ClassBfloat:
	case ClassOther:
		fail("%s cannot be read", h.typ.why)
	default:
		fail("strings where numbers are needed")
	}
	n := h.space.elems() * h.typ.Size
	l := h.layout
	switch l.class {
	case layoutCompact:
		if len(l.data) < n {
			fail("%d bytes of data for a shape %v that takes %d", len(l.data), h.space.dims, n)
		}
		data = l.data[:n:n]
	case layoutContiguous:
		switch {
		case l.address == undefined || n == 0:
			data = o.filled(n)
		case l.size >= 0 && l.size < n:
			fail("%d bytes of data for a shape %v that takes %d", l.size, h.space.dims, n)
		default:
			data = o.f.seek(l.address, n).take(n)
		}
	default:
		data = o.chunks(n)
	}
	if h.typ.bigEndian && h.typ.Size > 1 {
		o.f.spend(n)
		data = slices.Clone(data)
		for i := 0; i < n; i += h.typ.Size {
			slices.Reverse(data[i : i+h.typ.Size])
		}
	}
	return data, nil
}

// filled returns n bytes of fill values.
func (o *Object) filled(n int) []byte {
	o.f.spend(n)
	out := make([]byte, n)
	if fill := o.head.fill; len(fill) == o.head.typ.Size {
		for i := 0; i < n; i += len(fill) {
			copy(out[i:], fill)
		}
	}
	return out
}

// chunks puts the chunks of a dataset together.
func (o *Object) chunks(n int) []byte {
	l, dims, size := o.head.layout, o.head.space.dims, o.head.typ.Size
	if len(l.chunk) != len(dims) || l.elem != size {
		fail("chunks %v of elements of %d bytes for a shape %v of %d", l.chunk, l.elem, dims, size)
	}
	bytes := size
	for _, d := range l.chunk {
		if d < 1 || bytes > Budget(len(o.f.b))/d {
			fail("chunks %v are too large", l.chunk)
		}
		bytes *= d
	}
	out := o.filled(n)
	if l.address == undefined || n == 0 {
		return out
	}
	rows := bytes / size // which are copied one by one
	if len(l.chunk) > 0 {
		rows /= l.chunk[len(l.chunk)-1]
	}
	place := func(at []int, stored []byte, mask uint32) {
		o.f.spend(bytes + 8*rows)
		o.place(out, o.unfilter(stored, mask, bytes), at)
	}
	switch l.index {
	case indexBTree1:
		o.chunkTree(l.address, place, 0)
	case indexSingle:
		if l.single < 0 {
			l.single = bytes
		}
		place(make([]int, len(dims)), o.f.seek(l.address, l.single).b, l.mask)
	case indexImplicit:
		address := l.address
		for at := make([]int, len(dims)); at != nil; at = next(at, l.chunk, dims) {
			place(slices.Clone(at), o.f.seek(address, bytes).b, 0)
			address += int64(bytes)
		}
	}
	return out
}

// next is the position of the chunk after that at at, nil after the last.
func next(at, chunk, dims []int) []int {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] += chunk[i]; at[i] < dims[i] {
			return at
		}
		at[i] = 0
	}
	return nil
}

// chunkTree calls place for the chunks of a B-tree of version 1.
func (o *Object) chunkTree(address int64, place func(at []int, stored []byte, mask uint32), depth int) {
	if depth > maxDepth {
		fail("a B-tree deeper than %d", maxDepth)
	}
	rank := len(o.head.space.dims)
	c := o.f.seek(address, -1)
	c.expect("TREE")
	if kind := c.u8(); kind != 1 {
		fail("a B-tree of kind %d where one of chunks must stand", kind)
	}
	level, n := c.u8(), c.u16()
	c.skip(2 * o.f.offsets)
	for range n {
		size, mask := c.u32(), uint32(c.u32())
		at := make([]int, rank)
		for i := range at {
			at[i] = toInt(c.uint(8))
		}
		c.skip(8)
		child := c.address()
		if level > 0 {
			o.chunkTree(child, place, depth+1)
			continue
		}
		place(at, o.f.seek(child, size).b, mask)
	}
}

// place copies a chunk to where it belongs; what reaches out of the shape is
// dropped.
func (o *Object) place(out, chunk []byte, at []int) {
	dims, sizes, size := o.head.space.dims, o.head.layout.chunk, o.head.typ.Size
	for i, d := range dims {
		if at[i] >= d {
			return
		}
		if at[i]%sizes[i] != 0 {
			fail("a chunk at %v of chunks %v", at, sizes)
		}
	}
	if len(dims) == 0 {
		copy(out, chunk)
		return
	}
	last := len(dims) - 1
	row := min(sizes[last], dims[last]-at[last]) * size
	step := slices.Repeat([]int{1}, len(dims))
	step[last] = sizes[last]
	for in, k := 0, make([]int, len(dims)); k != nil; in++ {
		to, inside := 0, true
		for i := range dims {
			to = to*dims[i] + at[i] + k[i]
			inside = inside && at[i]+k[i] < dims[i]
		}
		if inside {
			copy(out[to*size:][:row], chunk[in*sizes[last]*size:])
		}
		k = next(k, step, sizes)
	}
}

// unfilter undoes the filters of a chunk, which has n bytes without them. A bit
// of mask says that the filter was left out.
func (o *Object) unfilter(b []byte, mask uint32, n int) []byte {
	for i, f := range slices.Backward(o.head.filters) {
		if i < 32 && mask>>i&1 != 0 {
			continue
		}
		switch f.id {
		case filterDeflate:
			r, err := zlib.NewReader(bytes.NewReader(b))
			if err != nil {
				fail("a chunk: %w", err)
			}
			out := make([]byte, n+4) // a checksum may follow the elements
			got, err := io.ReadFull(r, out)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
				fail("a chunk: %w", err)
			}
			b = out[:got]
		case filterShuffle:
			b = unshuffle(b, o.head.typ.Size)
		case filterFletcher32:
			if len(b) < 4 {
				fail("a chunk of %d bytes with a checksum", len(b))
			}
			b = b[:len(b)-4]
		default:
			fail("filter %d is not supported: write the file anew with gzip or without compression", f.id)
		}
	}
	if len(b) < n {
		fail("a chunk of %d bytes that needs %d", len(b), n)
	}
	return b[:n]
}

// unshuffle puts together the bytes of elements that are stored all first bytes,
// then all second ones, and so on.
func unshuffle(b []byte, size int) []byte {
	if size < 2 {
		return b
	}
	n := len(b) / size
	out := slices.Clone(b)
	for i := range n {
		for k := range size {
			out[i*size+k] = b[k*n+i]
		}
	}
	return out
}

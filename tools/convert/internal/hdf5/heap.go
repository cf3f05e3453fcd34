package hdf5

import (
	"math"
	"math/bits"
)

// maxLength is more than any part of a file has; a sum of two does not overflow.
const maxLength = min(1<<40, math.MaxInt/2)

// A fractalHeap holds links and attributes of many (section III.G).
type fractalHeap struct {
	f           *File
	maxManaged  int
	width       int // of the doubling table
	start       int // size of the blocks of its first rows
	maxDirect   int // size of the largest direct blocks
	offsetBytes int
	lengthBytes int
	root        int64
	rows        int // of the root; 0: it is a direct block
}

func (f *File) fractalHeap(address int64) *fractalHeap {
	c := f.seek(address, -1)
	c.expect("FRHP")
	c.skip(1 + 2)
	filters := c.u16()
	c.skip(1)
	h := &fractalHeap{f: f, maxManaged: c.u32()}
	if filters > 0 {
		fail("a heap with filters is not supported")
	}
	c.skip(f.sizes + f.offsets) // huge objects
	c.skip(f.sizes + f.offsets) // free space
	c.skip(8 * f.sizes)         // statistics
	h.width, h.start, h.maxDirect = c.u16(), c.length(), c.length()
	h.offsetBytes = (c.u16() + 7) / 8
	c.skip(2)
	h.root, h.rows = c.address(), c.u16()
	h.lengthBytes = widthOf(min(h.maxDirect, h.maxManaged))
	if h.width < 1 || h.start < 1 || h.start > maxLength || h.maxDirect < h.start || h.maxDirect > maxLength || h.offsetBytes < 1 || h.offsetBytes > 8 {
		fail("a heap with blocks of %d to %d bytes in rows of %d", h.start, h.maxDirect, h.width)
	}
	return h
}

// object returns the object of a heap ID.
func (h *fractalHeap) object(id []byte) *cursor {
	c := &cursor{f: h.f, b: id}
	switch kind := c.u8() >> 4 & 3; kind {
	case 0:
		at, n := toInt(c.uint(h.offsetBytes)), toInt(c.uint(h.lengthBytes))
		return h.managed(at, n)
	case 2: // tiny: in the ID itself
		n := int(id[0]&15) + 1
		return &cursor{f: h.f, b: c.take(n)}
	}
	fail("huge objects of a heap are not supported: make attributes smaller than 64 KiB")
	return nil
}

// managed returns n bytes at an offset of the heap's linear space.
func (h *fractalHeap) managed(at, n int) *cursor {
	address, rows, begin := h.root, h.rows, 0
	for range maxDepth {
		if rows == 0 {
			if address == undefined {
				break
			}
			c := h.f.seek(address, -1)
			c.expect("FHDB")
			c.at = 0
			c.skip(at - begin)
			return &cursor{f: h.f, b: c.take(n)}
		}
		address, rows, begin = h.child(address, rows, begin, at)
	}
	fail("no block of a heap has the offset %d", at)
	return nil
}

// child returns the block below an indirect block that has the offset at, its
// number of rows (0: direct), and where it begins.
func (h *fractalHeap) child(address int64, rows, begin, at int) (block int64, childRows, childBegin int) {
	c := h.f.seek(address, -1)
	c.expect("FHIB")
	c.skip(1 + h.f.offsets + h.offsetBytes)
	for row := range rows {
		size := h.start
		if row > 1 {
			if row > 62 || bits.Len(uint(size))+row-1 > 62 {
				fail("a heap with %d rows", rows)
			}
			size <<= row - 1
		}
		for range h.width {
			child := c.address()
			if at < begin+size {
				if size > h.maxDirect {
					childRows = bits.Len(uint(size)) - bits.Len(uint(h.start*h.width)) + 1
					if childRows < 1 {
						fail("a heap whose indirect blocks have no rows")
					}
				}
				return child, childRows, begin
			}
			if begin += size; begin < 0 || begin > min(1<<62, math.MaxInt) {
				fail("a heap of more than 2^62 bytes")
			}
		}
	}
	return undefined, 0, begin
}

// global returns an object of a global heap collection (section III.E), to
// which data of variable length point.
func (f *File) global(address int64, index, n int) []byte {
	c := f.seek(address, -1)
	c.expect("GCOL")
	c.skip(4)
	size := c.length()
	if size < c.at || size > len(c.b) {
		fail("a global heap of %d bytes where %d are left", size, len(c.b))
	}
	c.b = c.b[:size]
	for c.left() >= 8+f.sizes {
		f.spend(16)
		id := c.u16()
		c.skip(6)
		length := c.length()
		if id == 0 { // free space ends it
			break
		}
		body := c.take(length)
		if id == index {
			if n > length {
				fail("%d bytes of an object of a global heap that has %d", n, length)
			}
			f.spend(n)
			return body[:n]
		}
		c.skip(min(-length&7, c.left()))
	}
	fail("a global heap has no object %d", index)
	return nil
}

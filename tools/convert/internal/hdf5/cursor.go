package hdf5

import "math"

// undefined is the address of what is not there.
const undefined = -1

// A cursor reads b from at on; running out of it is a fault.
type cursor struct {
	f  *File
	b  []byte
	at int
}

// seek returns a cursor for n bytes at an address; n < 0 means up to the file's
// end. What it covers is charged, so that structures that lead in a circle end.
func (f *File) seek(address int64, n int) *cursor {
	size := int64(len(f.b))
	if address < 0 || f.base < 0 || address > size-f.base || int64(n) > size-f.base-address {
		fail("%d bytes at address %d: the file has %d", n, address, size)
	}
	b := f.b[f.base+address:]
	if n >= 0 {
		b = b[:n]
	}
	f.spend(32 + max(n, 0))
	return &cursor{f: f, b: b}
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b)-c.at {
		fail("a structure needs %d bytes where %d are left", n, len(c.b)-c.at)
	}
	c.at += n
	return c.b[c.at-n : c.at : c.at]
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) left() int { return len(c.b) - c.at }

// uint reads an unsigned number of n bytes, little-endian.
func (c *cursor) uint(n int) uint64 {
	v := uint64(0)
	for i, x := range c.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

func (c *cursor) u8() int  { return int(c.uint(1)) }
func (c *cursor) u16() int { return int(c.uint(2)) }
func (c *cursor) u32() int { return int(c.uint(4)) }

// width reads the size in bytes of addresses or lengths.
func (c *cursor) width() int {
	n := c.u8()
	if n != 4 && n != 8 {
		fail("addresses or lengths of %d bytes", n)
	}
	return n
}

// length reads a number of bytes or elements.
func (c *cursor) length() int { return toInt(c.uint(c.f.sizes)) }

// address reads an address, undefined if it has all bits set.
func (c *cursor) address() int64 {
	v := c.uint(c.f.offsets)
	if v == 1<<(8*c.f.offsets)-1 || c.f.offsets == 8 && v == math.MaxUint64 {
		return undefined
	}
	return int64(toInt(v))
}

func toInt(v uint64) int {
	if v > math.MaxInt64/2 {
		fail("the number %d is too large", v)
	}
	return int(v)
}

// expect reads the signature of a structure.
func (c *cursor) expect(signature string) {
	if got := string(c.take(len(signature))); got != signature {
		fail("%q where %q must stand", got, signature)
	}
}

// cString returns b up to its first zero.
func cString(b []byte) string {
	for i, x := range b {
		if x == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

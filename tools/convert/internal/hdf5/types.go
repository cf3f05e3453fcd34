package hdf5

import (
	"fmt"
	"math"
)

// A Class is a kind of datatype.
type Class uint8

// The classes that can be read.
const (
	ClassOther Class = iota
	ClassInt
	ClassUint
	ClassFloat  // IEEE binary16, binary32, binary64
	ClassBfloat // bfloat16
	ClassString // of fixed length
	ClassVarString
)

// A Type is the datatype of an attribute's or a dataset's elements.
type Type struct {
	Class Class
	Size  int // bytes of an element in the file

	bigEndian bool
	why       string // ClassOther: what it is
}

// maxNesting bounds datatypes made of datatypes.
const maxNesting = 4

// datatype reads a datatype message (section IV.A.2.d).
func (c *cursor) datatype(depth int) *Type {
	head := c.u8()
	bits := int(c.uint(3))
	t := &Type{Size: c.u32()}
	if t.Size < 1 {
		fail("a datatype of %d bytes", t.Size)
	}
	switch class := head & 15; class {
	case 0:
		t.bigEndian = bits&1 != 0
		offset, precision := c.u16(), c.u16()
		t.Class = ClassUint
		if bits&8 != 0 {
			t.Class = ClassInt
		}
		if offset != 0 || precision != 8*t.Size || t.Size > 8 || t.Size&(t.Size-1) != 0 {
			t.Class, t.why = ClassOther, "packed integers"
		}
	case 1:
		t.bigEndian = bits&1 != 0
		c.skip(4)
		var at [4]int // exponent's place and size, mantissa's
		for i := range at {
			at[i] = c.u8()
		}
		switch {
		case bits&0x40 != 0:
			t.why = "floats in VAX order"
		case t.Size == 2 && at == [4]int{10, 5, 0, 10}, t.Size == 4 && at == [4]int{23, 8, 0, 23}, t.Size == 8 && at == [4]int{52, 11, 0, 52}:
			t.Class = ClassFloat
		case t.Size == 2 && at == [4]int{7, 8, 0, 7}:
			t.Class = ClassBfloat
		default:
			t.why = "unusual floats"
		}
	case 3:
		t.Class = ClassString
	case 8: // an enumeration, such as h5py's bool: its codes
		if depth >= maxNesting {
			fail("datatypes nested deeper than %d", maxNesting)
		}
		t = c.datatype(depth + 1)
	case 9:
		t.why = "sequences of variable length"
		if bits&15 == 1 {
			t.Class = ClassVarString
		}
	default:
		names := [...]string{2: "times", 4: "bit fields", 5: "opaque bytes", 6: "compounds", 7: "references", 10: "arrays"}
		t.why = "an unknown class"
		if class < len(names) && names[class] != "" {
			t.why = names[class]
		}
	}
	return t
}

// A space is the shape of an attribute or a dataset; scalars have no dimensions.
type space struct {
	dims []int
	null bool // no element at all
}

// maxRank is HDF5's own limit.
const maxRank = 32

// space reads a dataspace message (section IV.A.2.b).
func (c *cursor) space() *space {
	version, rank, flags := c.u8(), c.u8(), c.u8()
	if rank > maxRank {
		fail("a shape of %d dimensions", rank)
	}
	s := &space{}
	switch version {
	case 1:
		c.skip(5)
	case 2:
		s.null = c.u8() == 2
	default:
		fail("dataspace of version %d", version)
	}
	for range rank {
		s.dims = append(s.dims, c.length())
	}
	if flags&1 != 0 {
		c.skip(rank * c.f.sizes)
	}
	s.elems()
	return s
}

// elems is the number of elements.
func (s *space) elems() int {
	if s.null {
		return 0
	}
	n := 1
	for _, d := range s.dims {
		if d != 0 && n > min(math.MaxInt32*64, math.MaxInt)/d {
			fail("the shape %v is too large", s.dims)
		}
		n *= d
	}
	return n
}

// An Attr is an attribute.
type Attr struct {
	name  string
	typ   *Type
	space *space
	data  []byte
	f     *File
}

// attribute reads an attribute message (section IV.A.2.m).
func (c *cursor) attribute() *Attr {
	a := &Attr{f: c.f}
	version, flags := c.u8(), c.u8()
	name, typ, space := c.u16(), c.u16(), c.u16()
	if version < 1 || version > 3 {
		fail("attribute message of version %d", version)
	}
	if version == 3 {
		c.skip(1)
	}
	part := func(n int) *cursor {
		p := &cursor{f: c.f, b: c.take(n)}
		if version == 1 {
			c.skip(-n & 7)
		}
		return p
	}
	a.name = cString(part(name).b)
	t, s := part(typ), part(space)
	if version > 1 && flags&3 != 0 {
		a.typ = &Type{Class: ClassOther, why: "a committed datatype"}
		return a
	}
	a.typ, a.space = t.datatype(0), s.space()
	a.data = c.take(c.left())
	return a
}

// Shape returns the attribute's dimensions; none for a scalar.
func (a *Attr) Shape() []int {
	if a.space == nil {
		return nil
	}
	return a.space.dims
}

// Attr returns the attribute of that name. The error wraps [ErrNotFound] if
// there is none.
func (o *Object) Attr(name string) (a *Attr, err error) {
	defer func() { err = o.caught(recover(), err) }()
	if h := o.head.attrHeap; h.heap != undefined && h.index != undefined {
		heap := o.f.fractalHeap(h.heap)
		o.f.records(h.index, func(r *cursor) {
			a := heap.object(r.take(8)).attribute()
			o.head.attrs[a.name] = a
		})
		o.head.attrHeap.heap = undefined // read once
	}
	if a := o.head.attrs[name]; a != nil {
		return a, nil
	}
	fail("attribute %q: %w", name, ErrNotFound)
	return nil, nil
}

// Strings returns the strings of an attribute, which may be a scalar.
func (a *Attr) Strings() (list []string, err error) {
	defer func() { err = caught(recover(), err) }()
	if a.typ.Class == ClassOther {
		fail("attribute %q: %s cannot be read", a.name, a.typ.why)
	}
	if a.typ.Class != ClassString && a.typ.Class != ClassVarString {
		fail("attribute %q does not hold strings", a.name)
	}
	n := a.space.elems()
	if n > len(a.data)/a.typ.Size {
		fail("attribute %q: %d strings in %d bytes", a.name, n, len(a.data))
	}
	a.f.spend(16 * n)
	for i := range n {
		b := a.data[i*a.typ.Size:][:a.typ.Size]
		if a.typ.Class == ClassVarString {
			c := &cursor{f: a.f, b: b}
			length, address, index := c.u32(), c.address(), c.u32()
			if length == 0 || address == undefined || address == 0 {
				list = append(list, "")
				continue
			}
			b = a.f.global(address, index, length)
		}
		list = append(list, cString(b))
	}
	return list, nil
}

// Str returns the string of an attribute that holds one.
func (a *Attr) Str() (string, error) {
	list, err := a.Strings()
	switch {
	case err != nil:
		return "", err
	case len(list) != 1:
		return "", fmt.Errorf("attribute %q holds %d strings, not one", a.name, len(list))
	}
	return list[0], nil
}

package hdf5

// A header is what the messages of an object header say (section IV.A).
type header struct {
	space   *space
	typ     *Type
	layout  *layout
	filters []filter
	fill    []byte
	attrs   map[string]*Attr

	// Where the members of a group are listed: one of the three.
	btree, heap int64 // old style
	links       map[string]link
	linkHeap    dense // new style, many members
	attrHeap    dense
}

// dense is where links or attributes are that do not fit into a header.
type dense struct{ heap, index int64 }

// A link is a name's target.
type link struct {
	address int64
	soft    string // path of a soft link
}

// Types of messages.
const (
	msgSpace        = 0x01
	msgLinkInfo     = 0x02
	msgType         = 0x03
	msgFill         = 0x05
	msgLink         = 0x06
	msgLayout       = 0x08
	msgFilters      = 0x0b
	msgAttribute    = 0x0c
	msgContinuation = 0x10
	msgSymbols      = 0x11
	msgAttrInfo     = 0x15
)

// flagShared marks a message that stands elsewhere.
const flagShared = 2

// maxMessages bounds the messages of one object.
const maxMessages = 1 << 16

// header reads the object header at an address.
func (f *File) header(address int64) header {
	h := header{btree: undefined, heap: undefined, links: map[string]link{}, attrs: map[string]*Attr{},
		linkHeap: dense{undefined, undefined}, attrHeap: dense{undefined, undefined}}
	c := f.seek(address, -1)
	if len(c.b) >= 4 && string(c.b[:4]) == "OHDR" {
		f.header2(c, &h)
	} else {
		f.header1(c, &h)
	}
	return h
}

// header1 reads a header of version 1.
func (f *File) header1(c *cursor, h *header) {
	if v := c.u8(); v != 1 {
		fail("object header of version %d", v)
	}
	c.skip(1)
	count := c.u16()
	c.skip(4)
	size := c.u32()
	c.skip(4)
	blocks := []*cursor{{f: f, b: c.take(min(size, c.left()))}}
	f.spend(size)
	for n := 0; len(blocks) > 0; {
		c, blocks = blocks[0], blocks[1:]
		for c.left() >= 8 && n < count {
			n++
			kind, size, flags := c.u16(), c.u16(), c.u8()
			c.skip(3)
			blocks = f.message(h, kind, flags, c.take(size), blocks, 0)
		}
	}
}

// header2 reads a header of version 2.
func (f *File) header2(c *cursor, h *header) {
	c.expect("OHDR")
	if v := c.u8(); v != 2 {
		fail("object header of version %d", v)
	}
	flags := c.u8()
	if flags&0x20 != 0 {
		c.skip(16) // times
	}
	if flags&0x10 != 0 {
		c.skip(4) // when attributes move into a heap
	}
	size := toInt(c.uint(1 << (flags & 3)))
	blocks := []*cursor{{f: f, b: c.take(size)}}
	f.spend(size)
	for n := 0; len(blocks) > 0; {
		c, blocks = blocks[0], blocks[1:]
		first := 4
		if flags&4 != 0 {
			first += 2 // creation order
		}
		for c.left() >= first { // less is a gap
			if n++; n > maxMessages {
				fail("an object header with more than %d messages", maxMessages)
			}
			kind, size, mflags := c.u8(), c.u16(), c.u8()
			c.skip(first - 4)
			blocks = f.message(h, kind, mflags, c.take(size), blocks, 2)
		}
	}
}

// message reads one message; a continuation adds a block to those to read.
func (f *File) message(h *header, kind, flags int, body []byte, blocks []*cursor, version int) []*cursor {
	c := &cursor{f: f, b: body}
	if flags&flagShared != 0 {
		switch kind {
		case msgType:
			h.typ = &Type{Class: ClassOther, why: "a committed datatype"}
		case msgSpace, msgLayout, msgFilters, msgAttribute:
			fail("shared messages are not supported: write the file anew with h5py's defaults")
		}
		return blocks
	}
	switch kind {
	case msgSpace:
		h.space = c.space()
	case msgType:
		h.typ = c.datatype(0)
	case msgFill:
		h.fill = c.fillValue()
	case msgLayout:
		h.layout = c.layout()
	case msgFilters:
		h.filters = c.filters()
	case msgLink:
		name, l := c.link()
		h.links[name] = l
	case msgLinkInfo:
		h.linkHeap = c.info(8)
	case msgAttrInfo:
		h.attrHeap = c.info(2)
	case msgAttribute:
		a := c.attribute()
		h.attrs[a.name] = a
	case msgSymbols:
		h.btree, h.heap = c.address(), c.address()
	case msgContinuation:
		address, n := c.address(), c.length()
		if n < 0 {
			break
		}
		block := f.seek(address, n)
		if version == 2 {
			block.expect("OCHK")
			block.b = block.b[:max(block.at, len(block.b)-4)] // checksum
		}
		return append(blocks, block)
	}
	return blocks
}

// info reads a link info or attribute info message, whose creation index has n
// bytes.
func (c *cursor) info(n int) dense {
	c.skip(1)
	if c.u8()&1 != 0 {
		c.skip(n)
	}
	return dense{heap: c.address(), index: c.address()}
}

// link reads a link message (section IV.A.2.g).
func (c *cursor) link() (string, link) {
	if v := c.u8(); v != 1 {
		fail("link message of version %d", v)
	}
	flags, kind := c.u8(), 0
	if flags&8 != 0 {
		kind = c.u8()
	}
	if flags&4 != 0 {
		c.skip(8)
	}
	if flags&16 != 0 {
		c.skip(1)
	}
	name := string(c.take(toInt(c.uint(1 << (flags & 3)))))
	switch kind {
	case 0:
		return name, link{address: c.address()}
	case 1:
		return name, link{address: undefined, soft: string(c.take(c.u16()))}
	}
	return name, link{address: undefined} // into other files: nothing is there
}

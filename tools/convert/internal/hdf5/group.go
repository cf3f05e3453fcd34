package hdf5

import "maps"

// maxDepth bounds the depth of trees: each level has at least two children.
const maxDepth = 32

// members returns the links of a group.
func (o *Object) members() map[string]link {
	if o.links != nil {
		return o.links
	}
	h := &o.head
	o.links = maps.Clone(h.links)
	if h.btree != undefined && h.heap != undefined {
		o.f.symbols(h.btree, o.f.localHeap(h.heap), o.links, 0)
	}
	if h.linkHeap.heap != undefined && h.linkHeap.index != undefined {
		heap := o.f.fractalHeap(h.linkHeap.heap)
		o.f.records(h.linkHeap.index, func(r *cursor) {
			r.skip(4) // hash of the name
			name, l := heap.object(r.b[r.at:]).link()
			o.links[name] = l
		})
	}
	return o.links
}

// symbols reads a node of a group's B-tree of version 1 (section III.A.1) and
// the symbol tables below it.
func (f *File) symbols(address int64, names []byte, to map[string]link, depth int) {
	if depth > maxDepth {
		fail("a B-tree deeper than %d", maxDepth)
	}
	c := f.seek(address, -1)
	if len(c.b) >= 4 && string(c.b[:4]) == "SNOD" {
		c.skip(6)
		for range c.u16() {
			f.spend(32)
			at := toInt(c.uint(f.offsets))
			l := link{address: c.address()}
			kind := c.u32()
			c.skip(4)
			scratch := &cursor{f: f, b: c.take(16)}
			if at >= len(names) {
				fail("a name at %d of a heap of %d bytes", at, len(names))
			}
			if kind == 2 {
				soft := scratch.u32()
				if soft >= len(names) {
					fail("a link at %d of a heap of %d bytes", soft, len(names))
				}
				l = link{address: undefined, soft: cString(names[soft:])}
			}
			name := cString(names[at:])
			f.spend(len(name) + len(l.soft))
			to[name] = l
		}
		return
	}
	c.expect("TREE")
	if kind := c.u8(); kind != 0 {
		fail("a B-tree of kind %d where one of a group must stand", kind)
	}
	c.skip(1)
	n := c.u16()
	c.skip(2*f.offsets + f.sizes)
	for range n {
		child := c.address()
		c.skip(f.sizes)
		f.symbols(child, names, to, depth+1)
	}
}

// localHeap returns the data of a local heap (section III.D).
func (f *File) localHeap(address int64) []byte {
	c := f.seek(address, -1)
	c.expect("HEAP")
	c.skip(4)
	size := c.length()
	c.skip(f.sizes)
	return f.seek(c.address(), size).b
}

// records calls do for each record of a B-tree of version 2 (section III.A.2).
func (f *File) records(address int64, do func(*cursor)) {
	c := f.seek(address, -1)
	c.expect("BTHD")
	c.skip(2)
	t := btree2{f: f, do: do, node: c.u32(), record: c.u16()}
	depth := c.u16()
	c.skip(2)
	root, n := c.address(), c.u16()
	if t.record < 1 || t.node < 16 || depth > maxDepth {
		fail("a B-tree with nodes of %d bytes, records of %d and depth %d", t.node, t.record, depth)
	}
	// How many bytes the number of records of a child takes, by the most that a
	// node of its level can hold.
	most := (t.node - 10) / t.record
	t.counts = append(t.counts, widthOf(most))
	t.totals = append(t.totals, 0)
	total := most
	for level := 1; level <= depth; level++ {
		pointer := f.offsets + t.counts[0] + t.totals[level-1]
		fan := max((t.node-10-pointer)/(t.record+pointer), 0)
		total = min((fan+1)*total+fan, maxLength)
		t.counts = append(t.counts, widthOf(fan))
		t.totals = append(t.totals, widthOf(total))
	}
	if root != undefined && n > 0 {
		t.walk(root, n, depth)
	}
}

type btree2 struct {
	f            *File
	do           func(*cursor)
	node, record int
	counts       []int // by level: bytes of the number of records of a node
	totals       []int // by level: bytes of the number of records below a node
}

// widthOf returns how many bytes numbers up to n take.
func widthOf(n int) int {
	w := 1
	for n >>= 8; n > 0; n >>= 8 {
		w++
	}
	return w
}

func (t *btree2) walk(address int64, n, level int) {
	c := t.f.seek(address, t.node)
	if level == 0 {
		c.expect("BTLF")
	} else {
		c.expect("BTIN")
	}
	c.skip(2)
	for range n {
		t.do(&cursor{f: t.f, b: c.take(t.record)})
	}
	if level == 0 {
		return
	}
	for range n + 1 {
		child, count := c.address(), toInt(c.uint(t.counts[level-1]))
		if level > 1 {
			c.skip(t.totals[level-1])
		}
		t.walk(child, count, level-1)
	}
}

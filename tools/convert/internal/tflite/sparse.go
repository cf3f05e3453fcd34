package tflite

// Fields of the tables that describe how a sparse tensor is stored.
const (
	sparsityOrder  = 0
	sparsityBlocks = 1
	sparsityDims   = 2

	dimFormat   = 0
	dimSize     = 1
	dimSegments = 2 // the union's type; its value is in the next field
	dimIndices  = 4
)

// A sparseDim is one level of a sparse tensor: dense, or a list of the places of
// each segment (compressed sparse rows).
type sparseDim struct {
	size              int
	segments, indices []int32 // nil: dense
}

// maxSparse bounds how much larger a sparse tensor is than what is stored of it.
const maxSparse = 64

// dense writes a sparse tensor out. The levels of its storage are the dimensions
// of the tensor and of its blocks, in some order ("traversal"); a block's dimension
// belongs to one of the tensor's, as its last positions.
func (d *decoder) dense(x *tensor, t table, stored []byte) []byte {
	order, blocks := t.i32s(sparsityOrder), t.i32s(sparsityBlocks)
	var dims []sparseDim
	t.tables(sparsityDims, t.what+" dimension", func(_ int, e table) {
		s := sparseDim{size: int(e.i32(dimSize, 0))}
		if e.i8(dimFormat, 0) != 0 {
			s.segments, s.indices = e.indices(dimSegments), e.indices(dimIndices)
			s.size = len(s.segments) - 1
		}
		dims = append(dims, s)
	})
	rank, size := len(x.shape), x.dtype.Bits()/8
	total := x.shape.Elems()
	fail := func(why string) []byte {
		d.r.fail("%s (%q): sparse storage: %s", t.what, x.name, why)
		return nil
	}
	switch {
	case d.r.err != nil:
		return nil
	case x.dtype.Bits()%8 != 0:
		return fail("elements of less than a byte")
	case len(order) != len(dims) || len(dims) != rank+len(blocks):
		return fail("its levels do not fit the shape")
	case total*size > maxSparse*len(stored)+1<<20:
		return fail("almost nothing is stored of it")
	}
	// Sizes of the blocks along each dimension of the tensor, by its level.
	block := make([]int, rank)
	for i := range block {
		block[i] = 1
	}
	seen := make([]bool, len(dims))
	for level, at := range order {
		if at < 0 || int(at) >= len(dims) || seen[at] {
			return fail("its order is not a permutation")
		}
		seen[at] = true
		if k := int(at) - rank; k >= 0 {
			if b := blocks[k]; b < 0 || int(b) >= rank || block[b] != 1 || dims[level].segments != nil || dims[level].size < 1 {
				return fail("its blocks do not fit the shape")
			}
			block[blocks[k]] = dims[level].size
		}
	}
	out := make([]byte, total*size)
	values := len(stored) / max(size, 1)
	place := make([]int, len(dims)) // by dimension of order
	steps := 8*total + 1<<16
	var walk func(level, at int) bool
	walk = func(level, at int) bool {
		if steps--; steps < 0 {
			return false
		}
		if level == len(dims) {
			to := 0
			for i, n := range x.shape {
				p := place[i]
				for k, b := range blocks {
					if int(b) == i {
						p = p*block[i] + place[rank+k]
					}
				}
				if p < 0 || p >= n {
					return false
				}
				to = to*n + p
			}
			if at < 0 || at >= values {
				return false
			}
			copy(out[to*size:(to+1)*size], stored[at*size:])
			return true
		}
		s := &dims[level]
		if s.segments == nil {
			for k := range s.size {
				place[order[level]] = k
				if !walk(level+1, at*s.size+k) {
					return false
				}
			}
			return true
		}
		if at < 0 || at+1 >= len(s.segments) {
			return false
		}
		for k := s.segments[at]; k < s.segments[at+1]; k++ {
			if k < 0 || int(k) >= len(s.indices) {
				return false
			}
			place[order[level]] = int(s.indices[k])
			if !walk(level+1, int(k)) {
				return false
			}
		}
		return true
	}
	if !walk(0, 0) {
		return fail("its indices reach beyond the shape or the data")
	}
	return out
}

// indices reads a union of vectors of numbers of four, two or one bytes.
func (t table) indices(field int) []int32 {
	kind := t.u8(field)
	v := t.table(field+1, t.what+" indices")
	size := [...]int64{1: 4, 2: 2, 3: 1}
	if kind < 1 || int(kind) >= len(size) {
		t.r.fail("%s: indices of kind %d", t.what, kind)
		return nil
	}
	pos, n := v.vector(0, size[kind])
	if !t.r.spend(n, t.what) {
		return nil
	}
	out := make([]int32, n)
	for i := range out {
		x := uint32(0)
		for k := range size[kind] {
			x |= uint32(t.r.b[pos+int64(i)*size[kind]+k]) << (8 * k)
		}
		out[i] = int32(x)
	}
	return out
}

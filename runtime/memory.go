package runtime

import "unsafe"

// mem is the memory that a step works on: one session's.
type mem struct {
	arena  []byte
	states [][]byte
	fault  error // of the step that ran; see fail
	done   <-chan struct{}

	bodies  []*mem // of the graphs that nodes call
	scratch []byte // of a body
}

// bytes returns the memory of a value: a constant's own, else the arena's.
func (m *mem) bytes(v *value) []byte {
	r := v.root()
	if r.data != nil {
		return r.data[:v.size:v.size]
	}
	return m.arena[r.offset : r.offset+v.size : r.offset+v.size]
}

func (m *mem) i8(v *value) []int8     { return view[int8](m.bytes(v)) }
func (m *mem) i16(v *value) []int16   { return view[int16](m.bytes(v)) }
func (m *mem) i32(v *value) []int32   { return view[int32](m.bytes(v)) }
func (m *mem) f32(v *value) []float32 { return view[float32](m.bytes(v)) }

// view reinterprets little-endian bytes. All targets of whet are little-endian;
// b is aligned to the element size by [aligned] and the arena's layout.
func view[T any](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(t)))
}

// consts of the lowered graph as typed slices, for binding.
func (v *value) constI8() []int8     { return view[int8](v.root().data) }
func (v *value) constI32() []int32   { return view[int32](v.root().data) }
func (v *value) constI64() []int64   { return view[int64](v.root().data) }
func (v *value) constF32() []float32 { return view[float32](v.constBytes()) }

// constBytes returns the constant of a value, computed if it is one for later.
func (v *value) constBytes() []byte {
	if v.later == nil {
		return v.root().data
	}
	m := &mem{arena: alignedBytes(v.size)}
	v.later.run(m, alignedBytes(v.later.scratch), 0, v.later.tasks)
	return m.bytes(v)
}

// alignedBytes returns n zero bytes that start on a 64-byte line, with a line
// of slack behind them.
func alignedBytes(n int) []byte {
	b := make([]byte, n+127)
	i := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	return b[i : i+n : i+n+63]
}

// plan lays all computed values out in one arena and returns its size.
//
// Greedy by size (Pisarchyk and Lee, arXiv:2001.03288): the largest value
// first, each in the smallest gap among those already placed that are alive at
// the same time. Inputs live from before the first step, outputs until after
// the last; inputs keep their bytes over a run so that a caller may change one
// of several and run again.
func plan(steps []*step, inputs, outputs []*value) int {
	type span struct {
		v           *value
		first, last int
	}
	spans := map[*value]*span{}
	var order []*span
	touch := func(v *value, at int) {
		if v == nil {
			return
		}
		r := v.root()
		if r.isConst() {
			return
		}
		s := spans[r]
		if s == nil {
			s = &span{r, at, at}
			spans[r] = s
			order = append(order, s)
		}
		s.first, s.last = min(s.first, at), max(s.last, at)
	}
	for _, v := range inputs {
		touch(v, -1)
		touch(v, len(steps))
	}
	for i, s := range steps {
		for _, v := range s.in {
			touch(v, i)
		}
		for _, v := range s.out {
			touch(v, i)
		}
	}
	for _, v := range outputs {
		touch(v, len(steps))
	}
	// Stable order: size, then first use; equal ones in graph order.
	sortSpans(order, func(a, b *span) bool {
		if a.v.size != b.v.size {
			return a.v.size > b.v.size
		}
		return a.first < b.first
	})
	var placed []*span // by offset
	total := 0
	for _, s := range order {
		size := (s.v.size + 63) &^ 63
		best, bestGap, at := -1, 0, 0
		for _, p := range placed {
			if p.last < s.first || p.first > s.last {
				continue
			}
			if gap := p.v.offset - at; gap >= size && (best < 0 || gap < bestGap) {
				best, bestGap = at, gap
			}
			at = max(at, p.v.offset+(p.v.size+63)&^63)
		}
		if best < 0 {
			best = at
		}
		s.v.offset = best
		total = max(total, best+size)
		placed = append(placed, s)
		sortSpans(placed, func(a, b *span) bool { return a.v.offset < b.v.offset })
	}
	return total
}

// sortSpans is a stable insertion sort: the lists are short and nearly sorted.
func sortSpans[T any](s []T, less func(a, b T) bool) {
	for i := 1; i < len(s); i++ {
		for k := i; k > 0 && less(s[k], s[k-1]); k-- {
			s[k], s[k-1] = s[k-1], s[k]
		}
	}
}

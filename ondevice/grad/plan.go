package grad

import (
	"cmp"
	"slices"
)

// A span is a range of elements in the arena, and when it is in use: node i runs
// forward at time i and backward at time 2n-1-i.
type span struct{ at, n, from, to int }

// plan finds out how long values and gradients of computed tensors last and gives
// them places in one arena: those that are never in use together may share one.
func (t *Tape[T]) plan() {
	end := 2 * len(t.nodes)
	back := func(node int) int { return end - 1 - node }
	for _, y := range t.outputs {
		y.lasts = true
	}
	made := slices.Clone(t.inputs)
	for _, b := range t.nodes {
		b.fresh = make([]bool, len(b.in))
		for _, x := range b.in {
			if x != nil {
				x.read = b.index
			}
		}
		for _, x := range b.keeps {
			if x != nil && x.needed < 0 {
				x.needed = b.index
			}
		}
		for _, y := range b.out {
			if y != nil && y.made == b.index {
				made = append(made, y)
			}
		}
	}
	for _, b := range t.nodes {
		if b.backward == nil {
			continue
		}
		for i, x := range b.in {
			b.fresh[i] = x != nil && x.Grad != nil && x.made >= 0 && !x.lasts && x.read == b.index
			for _, other := range b.in[:i] { // the same tensor twice
				if other != nil && x != nil && other.storage == x.storage {
					b.fresh[i] = false
				}
			}
		}
	}
	t.arena = nil
	var spans []*span
	for _, x := range made {
		n := (len(x.Data) + 15) &^ 15
		switch {
		case x.Data == nil:
		case x.lasts:
			x.Data = make([]T, len(x.Data))
			if x.Grad != nil {
				x.Grad = make([]T, len(x.Grad))
			}
		default:
			x.data = span{n: n, from: max(x.made, 0), to: max(x.made, x.read, 0)}
			if x.needed >= 0 {
				x.data.to = back(x.needed)
				t.kept += int64(len(x.Data)) * t.size()
			}
			spans = append(spans, &x.data)
			if x.Grad != nil {
				x.grad = span{n: n, from: back(max(x.made, x.read)), to: back(x.made)}
				spans = append(spans, &x.grad)
			}
		}
	}
	t.arena = make([]T, place(spans))
	at := map[*storage]*Tensor[T]{}
	for _, x := range made {
		at[x.storage] = x
		if !x.lasts {
			x.Data = t.arena[x.data.at:][:len(x.Data)]
			if x.Grad != nil {
				x.Grad = t.arena[x.grad.at:][:len(x.Grad)]
			}
		}
	}
	for _, x := range t.tensors { // reshaped forms
		if y := at[x.storage]; y != nil {
			x.Data, x.Grad = y.Data, y.Grad
		}
	}
}

// place gives every span a place, the largest first, each the lowest that no span
// in use at the same time has (greedy by size; Pisarchyk and Lee, "Efficient
// Memory Management for Deep Neural Net Inference", 2020), and returns the size of
// all.
func place(spans []*span) (size int) {
	slices.SortStableFunc(spans, func(a, b *span) int { return cmp.Compare(b.n, a.n) })
	var placed []*span // by place
	for _, s := range spans {
		s.at = 0
		for _, o := range placed {
			if o.from > s.to || s.from > o.to {
				continue
			}
			if s.at+s.n <= o.at {
				break
			}
			s.at = max(s.at, o.at+o.n)
		}
		i, _ := slices.BinarySearchFunc(placed, s.at, func(o *span, at int) int { return cmp.Compare(o.at, at) })
		placed = slices.Insert(placed, i, s)
		size = max(size, s.at+s.n)
	}
	return size
}

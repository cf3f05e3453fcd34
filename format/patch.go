package format

import (
	"fmt"
	"slices"
	"sort"
)

// A patch turns one list of named things into another.
type patch[T any] struct {
	remove []string
	put    []put[T]
}

// A put replaces the element of its name in place or, when there is none (any
// more), inserts one after the element named after; "" is the front.
type put[T any] struct {
	after string
	value T
}

// named lists know the names of their elements and which are equal.
type named[T any] struct {
	what  string
	name  func(T) string
	equal func(a, b T) bool
}

// diff returns the patch from one list to another. Elements that change places
// are removed and put anew; as few as possible are.
func (k named[T]) diff(from, to []T) patch[T] {
	var p patch[T]
	at := make(map[string]int, len(from))
	for i, v := range from {
		at[k.name(v)] = i
	}
	var order []int // positions in from of the elements of to that are there
	for _, v := range to {
		if i, ok := at[k.name(v)]; ok {
			order = append(order, i)
		}
	}
	stays := make([]bool, len(from))
	for _, i := range ascending(order) {
		stays[i] = true
	}
	for i, v := range from {
		if !stays[i] {
			p.remove = append(p.remove, k.name(v))
		}
	}
	prev := ""
	for _, v := range to {
		i, ok := at[k.name(v)]
		if stay := ok && stays[i]; !stay || !k.equal(from[i], v) {
			p.put = append(p.put, put[T]{prev, v})
		}
		prev = k.name(v)
	}
	return p
}

// ascending returns a longest ascending subsequence of different numbers, by
// patience sorting.
func ascending(list []int) []int {
	var last []int                   // index in list of the smallest end of a run of length i+1
	before := make([]int, len(list)) // index of the predecessor in the run
	for i, v := range list {
		n := sort.Search(len(last), func(j int) bool { return list[last[j]] >= v })
		before[i] = -1
		if n > 0 {
			before[i] = last[n-1]
		}
		if n == len(last) {
			last = append(last, i)
		} else {
			last[n] = i
		}
	}
	run := make([]int, len(last))
	if len(last) == 0 {
		return run
	}
	for i, n := last[len(last)-1], len(last)-1; n >= 0; i, n = before[i], n-1 {
		run[n] = list[i]
	}
	return run
}

// apply returns the patched list. It leaves from as it is.
func (k named[T]) apply(from []T, p patch[T]) ([]T, error) {
	type link struct {
		value T
		next  *link
	}
	front := &link{}
	at := make(map[string]*link, len(from)+len(p.put))
	gone := make(map[string]bool, len(p.remove))
	for _, name := range p.remove {
		gone[name] = true
	}
	end := front
	for _, v := range from {
		if name := k.name(v); gone[name] {
			delete(gone, name)
		} else {
			end.next = &link{value: v}
			end = end.next
			at[name] = end
		}
	}
	for name := range gone {
		return nil, fmt.Errorf("the delta removes the %s %q, which is not there", k.what, name)
	}
	for _, q := range p.put {
		name := k.name(q.value)
		if l := at[name]; l != nil {
			l.value = q.value
			continue
		}
		l := front
		if q.after != "" {
			if l = at[q.after]; l == nil {
				return nil, fmt.Errorf("the delta puts the %s %q after %q, which is not there", k.what, name, q.after)
			}
		}
		l.next = &link{q.value, l.next}
		at[name] = l.next
	}
	var out []T
	for l := front.next; l != nil; l = l.next {
		out = append(out, l.value)
	}
	return slices.Clip(out), nil
}

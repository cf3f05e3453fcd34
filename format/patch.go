package format

import (
	"fmt"
	"slices"
	"sort"
)

// A patch turns one list of named things into another: some elements are removed,
// the others keep their order, and new ones are put between them. It speaks of
// positions, not names, which can be long: the base's digest pins them.
type patch[T any] struct {
	remove []int // positions in the base's list, ascending
	put    []put[T]
}

// A put is an element of the patched list and its position there; positions
// ascend.
type put[T any] struct {
	at    int
	value T
}

func (p *patch[T]) empty() bool { return len(p.remove) == 0 && len(p.put) == 0 }

// named lists know the names of their elements and which are equal.
type named[T any] struct {
	what  string
	name  func(T) string
	equal func(a, b T) bool
}

// diff returns the patch from one list to another. Elements that change, or
// change places, are removed and put anew; as few as possible are.
func (k named[T]) diff(from, to []T) patch[T] {
	var p patch[T]
	at := make(map[string]int, len(from))
	for i, v := range from {
		at[k.name(v)] = i
	}
	var order []int // positions in from of the elements of to that are there unchanged
	for _, v := range to {
		if i, ok := at[k.name(v)]; ok && k.equal(from[i], v) {
			order = append(order, i)
		}
	}
	stays := make([]bool, len(from))
	for _, i := range ascending(order) {
		stays[i] = true
	}
	for i, stay := range stays {
		if !stay {
			p.remove = append(p.remove, i)
		}
	}
	for j, v := range to {
		if i, ok := at[k.name(v)]; !ok || !stays[i] {
			p.put = append(p.put, put[T]{j, v})
		}
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
	out := make([]T, 0, len(from)+len(p.put))
	remove, puts := p.remove, p.put
	place := func() {
		for len(puts) > 0 && puts[0].at == len(out) {
			out = append(out, puts[0].value)
			puts = puts[1:]
		}
	}
	place()
	for i, v := range from {
		if len(remove) > 0 && remove[0] == i {
			remove = remove[1:]
			continue
		}
		out = append(out, v)
		place()
	}
	if len(remove) > 0 {
		return nil, fmt.Errorf("the delta removes %s %d of %d, which is not there", k.what, remove[0], len(from))
	}
	if len(puts) > 0 {
		return nil, fmt.Errorf("the delta puts %s %q at place %d of a list of %d", k.what, k.name(puts[0].value), puts[0].at, len(out))
	}
	return slices.Clip(out), nil
}

package grad

import (
	"encoding/binary"

	"github.com/whet-edge/whet/format"
)

// A piece copies elements of x to y: y[to[i]] = x[from[i]] where from[i] is not
// negative. A nil list is 0, 1, 2 and so on.
type piece[T Float] struct {
	x, y     *Tensor[T]
	from, to []int32
}

// moves is the rule of ops that move elements: gradients go the way back, in
// ascending order of the outputs' elements.
func (b *bound[T]) moves(pieces ...piece[T]) rule {
	b.keeps = []*Tensor[T]{}
	forward := func() {
		for _, p := range pieces {
			p.each(func(i, k int) { p.y.Data[i] = p.x.Data[k] })
		}
	}
	backward := func() {
		for _, p := range pieces {
			if p.x.Grad != nil {
				p.each(func(i, k int) { p.x.Grad[k] += p.y.Grad[i] })
			}
		}
	}
	return rule{forward: forward, backward: backward}
}

// each calls f with the elements of y and x that belong together.
func (p *piece[T]) each(f func(y, x int)) {
	n := max(len(p.from), len(p.to))
	if p.from == nil && p.to == nil {
		n = len(p.x.Data)
	}
	for i := range n {
		y, x := i, i
		if p.to != nil {
			y = int(p.to[i])
		}
		if p.from != nil {
			x = int(p.from[i])
		}
		if x >= 0 {
			f(y, x)
		}
	}
}

func (b *bound[T]) transpose() rule {
	x, y := b.in[0], b.out[0]
	perm, st := b.Attrs.Ints("perm"), strides(x.Shape)
	from := make([]int32, 0, len(y.Data))
	walk(y.Shape, func(at []int) {
		k := 0
		for i, a := range at {
			k += a * st[perm[i]]
		}
		from = append(from, int32(k))
	})
	return b.moves(piece[T]{x: x, y: y, from: from})
}

// block lists the offsets in whole of the elements of a block that begins at
// start along an axis.
func block(whole, part []int, axis, start int) []int32 {
	st := strides(whole)
	list := make([]int32, 0, elems(part))
	walk(part, func(at []int) {
		k := start * st[axis]
		for i, a := range at {
			k += a * st[i]
		}
		list = append(list, int32(k))
	})
	return list
}

func (b *bound[T]) concat() (rule, error) {
	y := b.out[0]
	axis := b.axis("axis", 0, len(y.Shape))
	var pieces []piece[T]
	start := 0
	for _, x := range b.in {
		if x.Data == nil {
			return rule{}, b.errorf("tensor %q is not float32", x.Name)
		}
		pieces = append(pieces, piece[T]{x: x, y: y, to: block(y.Shape, x.Shape, axis, start)})
		start += x.Shape[axis]
	}
	return b.moves(pieces...), nil
}

func (b *bound[T]) split() (rule, error) {
	x := b.in[0]
	axis := b.axis("axis", 0, len(x.Shape))
	var pieces []piece[T]
	start := 0
	for i, n := range b.Attrs.Ints("split") {
		if y := b.out[i]; y != nil {
			pieces = append(pieces, piece[T]{x: x, y: y, from: block(x.Shape, y.Shape, axis, start)})
		}
		start += int(n)
	}
	return b.moves(pieces...), nil
}

func (b *bound[T]) slice() (rule, error) {
	x, y := b.in[0], b.out[0]
	first, step := make([]int, len(x.Shape)), make([]int, len(x.Shape))
	for i := range step {
		step[i] = 1
	}
	starts, ends := b.Attrs.Ints("starts"), b.Attrs.Ints("ends")
	axes, steps := format.SliceAxes(b.Attrs)
	for i := range starts {
		a := int(axes[i])
		if a < 0 {
			a += len(x.Shape)
		}
		first[a], _ = format.SliceRange(x.Shape[a], starts[i], ends[i], steps[i])
		step[a] = int(steps[i])
	}
	st := strides(x.Shape)
	from := make([]int32, 0, len(y.Data))
	walk(y.Shape, func(at []int) {
		k := 0
		for i, a := range at {
			k += (first[i] + a*step[i]) * st[i]
		}
		from = append(from, int32(k))
	})
	return b.moves(piece[T]{x: x, y: y, from: from}), nil
}

func (b *bound[T]) pad() (rule, error) {
	x, y := b.in[0], b.out[0]
	pads, mode, st := b.Attrs.Ints("pads"), b.Attrs.Str("mode", "constant"), strides(x.Shape)
	from := make([]int32, 0, len(y.Data))
	walk(y.Shape, func(at []int) {
		k := 0
		for i, a := range at {
			n, j := x.Shape[i], a-int(pads[i])
			switch {
			case j >= 0 && j < n:
			case mode == "edge":
				j = min(max(j, 0), n-1)
			case mode == "reflect" && j < 0:
				j = -j
			case mode == "reflect":
				j = 2*(n-1) - j
			default:
				from = append(from, -1)
				return
			}
			k += j * st[i]
		}
		from = append(from, int32(k))
	})
	r, value := b.moves(piece[T]{x: x, y: y, from: from}), T(b.Attrs.Float("value", 0))
	move := r.forward
	r.forward = func() {
		for i := range y.Data {
			y.Data[i] = value
		}
		move()
	}
	return r, nil
}

// gather adds up the gradients of an element that is taken several times.
func (b *bound[T]) gather() (rule, error) {
	x, y := b.in[0], b.out[0]
	idx := b.model.Tensor(b.Inputs[1])
	if !idx.Const() || x.Data == nil {
		return rule{}, b.errorf("only constant indices into float32 data are known")
	}
	axis := b.axis("axis", 0, len(x.Shape))
	n, inner := x.Shape[axis], elems(x.Shape[axis+1:])
	from := make([]int32, 0, len(y.Data))
	for o := range elems(x.Shape[:axis]) {
		for i := range idx.Shape.Elems() {
			var k int
			if idx.Type == format.Int64 {
				k = int(int64(binary.LittleEndian.Uint64(idx.Data[8*i:])))
			} else {
				k = int(int32(binary.LittleEndian.Uint32(idx.Data[4*i:])))
			}
			if k < 0 {
				k += n
			}
			if k < 0 || k >= n {
				return rule{}, b.errorf("index %d is out of range for an axis of %d", k, n)
			}
			for j := range inner {
				from = append(from, int32((o*n+k)*inner+j))
			}
		}
	}
	return b.moves(piece[T]{x: x, y: y, from: from}), nil
}

package grad

import (
	"unsafe"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// positions reads constant indices, index i being one of dimension dims[i mod
// len(dims)].
func (b *bound[T]) positions(input int, dims []int) ([]int64, error) {
	idx := b.model.Tensor(b.Inputs[input])
	if !idx.Const() {
		return nil, b.errorf("only constant indices are known")
	}
	pos := make([]int64, idx.Shape.Elems())
	if bad := kernels.Positions(pos, idx.Data, idx.Type == format.Int64, dims); bad >= 0 {
		return nil, b.errorf("index %d is out of range", bad)
	}
	return pos, nil
}

// places lists 0, 1, 2 and so on: moved as a tensor's elements are, they tell where
// each came from.
func places(n int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32(i)
	}
	return p
}

func bytesOf(x []int32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// chosen is GatherElements, or GatherND if slices.
func (b *bound[T]) chosen(slices bool) (rule, error) {
	x, y, idx := b.in[0], b.out[0], b.model.Tensor(b.Inputs[1]).Shape
	from, all := make([]int32, len(y.Data)), places(len(x.Data))
	if slices {
		s, err := kernels.NewSlices(x.Shape, idx, b.Attrs.Int("batch_dims", 0))
		if err != nil {
			return rule{}, b.errorf("%v", err)
		}
		pos, err := b.positions(1, x.Shape[b.Attrs.Int("batch_dims", 0):][:idx[len(idx)-1]])
		if err != nil {
			return rule{}, err
		}
		kernels.GatherND(s, bytesOf(from), bytesOf(all), pos, 4)
	} else {
		axis := b.axis("axis", 0, len(x.Shape))
		e, err := kernels.NewElements(x.Shape, idx, axis)
		if err != nil {
			return rule{}, b.errorf("%v", err)
		}
		pos, err := b.positions(1, x.Shape[axis:axis+1])
		if err != nil {
			return rule{}, err
		}
		kernels.GatherElements(e, bytesOf(from), bytesOf(all), pos, 4)
	}
	return b.moves(piece[T]{x: x, y: y, from: from}), nil
}

// replaced is ScatterElements, or ScatterND if slices: the data with some elements
// replaced by updates. An update that another replaces has no gradient.
func (b *bound[T]) replaced(slices bool) (rule, error) {
	if r := b.Attrs.Str("reduction", "none"); r != "none" {
		return rule{}, b.errorf("reduction %s has no gradient rule", r)
	}
	x, u, y, idx := b.in[0], b.in[2], b.out[0], b.model.Tensor(b.Inputs[1]).Shape
	all, updates := places(len(x.Data)), places(len(u.Data))
	for i := range updates {
		updates[i] = -1 - updates[i]
	}
	if slices {
		s, err := kernels.NewSlices(x.Shape, idx, 0)
		if err != nil {
			return rule{}, b.errorf("%v", err)
		}
		pos, err := b.positions(1, x.Shape[:idx[len(idx)-1]])
		if err != nil {
			return rule{}, err
		}
		kernels.ScatterND(s, kernels.Replace, all, pos, updates)
	} else {
		axis := b.axis("axis", 0, len(x.Shape))
		e, err := kernels.NewElements(x.Shape, idx, axis)
		if err != nil {
			return rule{}, b.errorf("%v", err)
		}
		pos, err := b.positions(1, x.Shape[axis:axis+1])
		if err != nil {
			return rule{}, err
		}
		kernels.ScatterElements(e, kernels.Replace, all, pos, updates)
	}
	data, update := make([]int32, len(all)), make([]int32, len(all))
	for i, k := range all {
		data[i], update[i] = max(k, -1), max(-1-k, -1)
	}
	return b.moves(piece[T]{x: x, y: y, from: data}, piece[T]{x: u, y: y, from: update}), nil
}

// choose is Where with a constant condition.
func (b *bound[T]) choose() (rule, error) {
	cond := b.model.Tensor(b.Inputs[0])
	if !cond.Const() {
		return rule{}, b.errorf("only a constant condition is known")
	}
	p, q, y := b.in[1], b.in[2], b.out[0]
	c, at := broadcast(cond.Shape, y.Shape), [2][]int32{broadcast(p.Shape, y.Shape), broadcast(q.Shape, y.Shape)}
	var from [2][]int32
	for i := range y.Data {
		k := i
		if c != nil {
			k = int(c[i])
		}
		for side := range at {
			place := int32(i)
			if at[side] != nil {
				place = at[side][i]
			}
			if (cond.Data[k] != 0) != (side == 0) {
				place = -1
			}
			from[side] = append(from[side], place)
		}
	}
	return b.moves(piece[T]{x: p, y: y, from: from[0]}, piece[T]{x: q, y: y, from: from[1]}), nil
}

// cumSum is a sum of all elements up to each; the gradient is that from the other
// end.
func (b *bound[T]) cumSum() (rule, error) {
	x, y := b.in[0], b.out[0]
	a, err := kernels.NewAlong(x.Shape, b.axis("axis", 0, len(x.Shape)))
	if err != nil {
		return rule{}, b.errorf("%v", err)
	}
	exclusive, reverse := b.Attrs.Int("exclusive", 0) == 1, b.Attrs.Int("reverse", 0) == 1
	sums := b.buffer(len(x.Data))
	b.keeps = []*Tensor[T]{}
	return rule{
		forward: func() { kernels.Cumulate(a, false, exclusive, reverse, y.Data, x.Data) },
		backward: func() {
			kernels.Cumulate(a, false, exclusive, !reverse, sums, y.Grad)
			b.product.add(x.Grad, sums)
		},
	}, nil
}

// resize is linear: the gradient goes back along the weights it came by.
func (b *bound[T]) resize() (rule, error) {
	x, y := b.in[0], b.out[0]
	mode, ok := map[string]kernels.ResizeMode{"nearest": kernels.ResizeNearest, "linear": kernels.ResizeLinear, "cubic": kernels.ResizeCubic}[b.Attrs.Str("mode", "nearest")]
	coordinates := b.Attrs.Str("coordinate_transformation_mode", "half_pixel")
	if !ok || coordinates == "tf_crop_and_resize" {
		return rule{}, b.errorf("crops have no gradient rule")
	}
	r, err := kernels.NewResize(&kernels.ResizeParams{
		In: x.Shape, Out: y.Shape, Scales: b.Attrs.Floats("scales"), Mode: mode, Coordinates: coordinates,
		Nearest: b.Attrs.Str("nearest_mode", "round_prefer_floor"), A: b.Attrs.Float("cubic_coeff_a", -0.75),
		ExcludeOutside: b.Attrs.Int("exclude_outside", 0) == 1, Antialias: b.Attrs.Int("antialias", 0) == 1,
	})
	if err != nil {
		return rule{}, b.errorf("%v", err)
	}
	b.keeps = []*Tensor[T]{}
	return rule{
		forward:  func() { kernels.ResizeForward(r, y.Data, x.Data) },
		backward: func() { kernels.ResizeGrad(r, x.Grad, y.Grad) },
	}, nil
}

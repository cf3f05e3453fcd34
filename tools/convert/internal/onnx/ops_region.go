package onnx

import (
	"math"
	"math/bits"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Windows and regions of pictures, beyond what convolutions and pools need.

func init() {
	register(map[string]row{
		"Col2Im": {3, col2Im}, "MaxUnpool": {2, maxUnpool}, "Det": {1, det}, "ReverseSequence": {2, reverseSequence},
		"RoiAlign": {3, roiAlign}, "MaxRoiPool": {2, maxRoiPool}, "DeformConv": {3, deformConv},
	})
}

// perDim are the numbers of a list for n dimensions, def without a list.
func (o *op) perDim(name string, n int, def int64) []int {
	list := o.ints(name)
	if list == nil {
		list = slices.Repeat([]int64{def}, n)
	}
	if len(list) != n {
		o.fail("%s %v for %d dimensions", name, list, n)
	}
	out := make([]int, n)
	for i, v := range list {
		if v < 0 || v > maxTaps || v == 0 && def > 0 {
			o.fail("%s %v", name, list)
		}
		out[i] = int(v)
	}
	return out
}

// next counts at up within the dimensions, the last one first; false at the end.
func next(at []int, dims []int) bool {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i]++; at[i] < dims[i] {
			return true
		}
		at[i] = 0
	}
	return false
}

// col2Im adds the columns up where they came from: rows of them, one an element of
// the kernel and place, to the pixels as rows.
func col2Im(o *op) []*value {
	x := o.plain(o.in[0])
	var image, block []int
	for k, list := range []*[]int{&image, &block} {
		for _, v := range o.fixedInts(1 + k) {
			if v < 1 || v > maxTaps {
				o.fail("a size of %d", v)
			}
			*list = append(*list, int(v))
		}
	}
	n := len(image)
	if n < 1 || len(block) != n || len(x.shape) != 3 {
		o.fail("an image %v and a block %v for an input %v", image, block, x.shape)
	}
	strides, dilations, pads := o.perDim("strides", n, 1), o.perDim("dilations", n, 1), o.perDim("pads", 2*n, 0)
	places, pixels, taps := make([]int, n), format.Shape(image).Elems(), format.Shape(block).Elems()
	for i := range image {
		places[i] = (image[i]+pads[i]+pads[n+i]-dilations[i]*(block[i]-1)-1)/strides[i] + 1
	}
	count := format.Shape(places).Elems()
	if taps < 1 || x.shape[1]%taps != 0 || slices.Min(places) < 1 || x.shape[2] != count || pixels > maxFold || taps*count > maxFold {
		o.fail("an image %v and a block %v for an input %v", image, block, x.shape)
	}
	batch, channels := x.shape[0], x.shape[1]/taps
	var to, rows []int64
	tap, row := make([]int, n), int64(0)
	for more := true; more; more = next(tap, block) {
		place := make([]int, n)
		for more := true; more; more = next(place, places) {
			at, inside := 0, true
			for i := range image {
				p := place[i]*strides[i] - pads[i] + tap[i]*dilations[i]
				inside = inside && p >= 0 && p < image[i]
				at = at*image[i] + p
			}
			if inside {
				to, rows = append(to, int64(at)), append(rows, row)
			}
			row++
		}
	}
	t := o.reshape(x, format.Shape{batch, channels, taps, count})
	t = o.reshape(o.transpose(t, []int{2, 3, 0, 1}), format.Shape{taps * count, batch * channels})
	if len(rows) < taps*count {
		t = o.move("Gather", format.Attrs{"axis": int64(0)}, t, o.int64s(rows...).t)
	}
	zeros := o.numbers(t.typ, format.Shape{pixels, batch * channels}, make([]float64, pixels*batch*channels))
	idx := o.constant(format.Int64, format.Shape{len(to), 1}, intBytes(format.Int64, to))
	y := o.emit("ScatterND", format.Attrs{"reduction": "add"}, t.typ, nil, zeros, idx, t)
	y = o.reshape(y, append(slices.Clone(format.Shape(image)), batch, channels))
	perm := identity(n)
	return result(&value{t: o.transpose(y, append([]int{n, n + 1}, perm...))})
}

// maxPoolIndices is MaxPool with the places of the maxima: every window is gathered,
// one row each, with an element less than all others where it hangs over the edge.
func maxPoolIndices(o *op) []*value {
	x := o.in[0]
	typ := x.typ()
	if typ.Bits() == 8 {
		x = o.cast(x, format.Float32)
	}
	s := x.shape()[2:]
	n := len(s)
	kernel, strides, dilations, pads := o.perDim("kernel_shape", n, 1), o.perDim("strides", n, 1), o.perDim("dilations", n, 1), o.perDim("pads", 2*n, 0)
	out, taps := make([]int, n), format.Shape(kernel).Elems()
	for i := range out {
		span := (kernel[i]-1)*dilations[i] + 1
		switch o.str("auto_pad", "NOTSET") {
		case "SAME_UPPER", "SAME_LOWER":
			out[i] = (s[i] + strides[i] - 1) / strides[i]
			total := max((out[i]-1)*strides[i]+span-s[i], 0)
			if pads[i] = total / 2; o.str("auto_pad", "") == "SAME_LOWER" {
				pads[i] = total - total/2
			}
		default:
			room := s[i] + pads[i] + pads[n+i] - span
			out[i] = room/strides[i] + 1
			if o.int("ceil_mode", 0) != 0 && room%strides[i] != 0 && out[i]*strides[i] < s[i]+pads[i] {
				out[i]++
			}
		}
	}
	windows, pixels := format.Shape(out).Elems(), s.Elems()
	if slices.Min(out) < 1 || windows*taps > maxFold {
		o.fail("windows of %v in %v", kernel, s)
	}
	// Steps of the flat index; columns first where storage_order says so.
	steps := make([]int, n)
	for i, k := n-1, 1; i >= 0; i-- {
		steps[i] = k
		k *= s[i]
	}
	numbers := slices.Clone(steps)
	if o.int("storage_order", 0) != 0 {
		for i, k := 0, 1; i < n; i++ {
			numbers[i] = k
			k *= s[i]
		}
	}
	var table []int64
	var base []int64
	at := make([]int, n)
	for more := true; more; more = next(at, out) {
		b := 0
		for i := range at {
			b += (at[i]*strides[i] - pads[i]) * numbers[i]
		}
		base = append(base, int64(b))
		tap := make([]int, n)
		for more := true; more; more = next(tap, kernel) {
			p, inside := 0, true
			for i := range tap {
				v := at[i]*strides[i] - pads[i] + tap[i]*dilations[i]
				inside = inside && v >= 0 && v < s[i]
				p += v * steps[i]
			}
			if !inside {
				p = pixels
			}
			table = append(table, int64(p))
		}
	}
	maps := x.shape()[0] * x.shape()[1]
	t := o.reshape(o.plain(x), format.Shape{maps, pixels})
	least := o.numbers(format.Float32, format.Shape{maps, 1}, slices.Repeat([]float64{math.Inf(-1)}, maps))
	t = o.emit("Concat", format.Attrs{"axis": int64(1)}, format.Float32, nil, t, least)
	t = o.emit("Gather", format.Attrs{"axis": int64(1)}, format.Float32, nil, t, o.int64s(table...).t)
	all := &value{t: o.reshape(t, format.Shape{maps, windows, taps})}
	shape := append(slices.Clone(x.shape()[:2]), out...)
	most := &value{t: o.reshape(o.plain(o.reduce("ReduceMax", all, []int{2}, false)), shape)}
	k := &value{t: o.emit("ArgMax", format.Attrs{"axis": int64(2)}, format.Int64, nil, all.t)} // [maps, windows, 1]
	number := func(v int) *value { return o.number(format.Int64, float64(v)) }
	var first []int64
	for m := range maps {
		first = append(first, int64(m*pixels))
	}
	idx := o.add(&value{t: o.constant(format.Int64, format.Shape{maps, 1, 1}, intBytes(format.Int64, first))},
		&value{t: o.constant(format.Int64, format.Shape{windows, 1}, intBytes(format.Int64, base))})
	for i, inner := n-1, 1; i >= 0; i-- { // the tap's place along dimension i
		d := o.binary("Div", k, number(inner))
		d = &value{t: o.emit("Mod", nil, format.Int64, nil, d.t, number(kernel[i]).t)}
		idx = o.add(idx, o.mul(d, number(dilations[i]*numbers[i])))
		inner *= kernel[i]
	}
	return []*value{o.cast(most, typ), {t: o.reshape(o.plain(idx), shape)}}
}

// maxUnpool puts the elements back to where their indices say.
func maxUnpool(o *op) []*value {
	x, idx := o.plain(o.in[0]), o.plain(o.cast(o.in[1], format.Int64))
	n := len(x.shape) - 2
	if n < 1 || !x.shape.Equal(idx.shape) {
		o.fail("indices %v for an input %v", idx.shape, x.shape)
	}
	kernel, strides, pads := o.perDim("kernel_shape", n, 1), o.perDim("strides", n, 1), o.perDim("pads", 2*n, 0)
	s := slices.Clone(x.shape)
	for i := range n {
		s[2+i] = (x.shape[2+i]-1)*strides[i] + kernel[i] - pads[i] - pads[n+i]
	}
	count := s.Elems()
	if count < 1 || count > maxFold {
		o.fail("a result of shape %v", s)
	}
	zeros := o.numbers(x.typ, format.Shape{count}, make([]float64, count))
	elems := x.shape.Elems()
	y := o.emit("ScatterND", nil, x.typ, nil, zeros, o.reshape(idx, format.Shape{elems, 1}), o.reshape(x, format.Shape{elems}))
	v := &value{t: o.reshape(y, s)}
	if want := o.fixedInts(2); want != nil {
		if len(want) != len(s) {
			o.fail("output_shape %v for a result %v", want, s)
		}
		after := make([]int64, len(s))
		for i, d := range want {
			after[i] = d - int64(s[i])
		}
		v = o.pad(v, make([]int64, len(s)), after, "constant", 0)
	}
	return result(v)
}

// maxDet bounds the size of a matrix whose determinant is taken: 2^n products.
const maxDet = 8

// det is Laplace's expansion: of the first rows in every set of as many columns.
func det(o *op) []*value {
	x := o.in[0]
	r := x.rank()
	if r < 2 || x.shape()[r-1] != x.shape()[r-2] || x.shape()[r-1] > maxDet {
		o.fail("matrices %v: square ones of at most %d rows are possible", x.shape(), maxDet)
	}
	n := x.shape()[r-1]
	elem := func(i, j int) *value {
		v := o.cut(o.cut(x, r-2, int64(i), int64(i)+1, 1), r-1, int64(j), int64(j)+1, 1)
		return o.drop(v, []int{r - 2, r - 1})
	}
	minors := map[int]*value{}
	for set := 1; set < 1<<n; set++ {
		row := bits.OnesCount(uint(set)) - 1
		var sum *value
		for j, place := 0, 0; j < n; j++ {
			if set>>j&1 == 0 {
				continue
			}
			v := elem(row, j)
			if row > 0 {
				v = o.mul(v, minors[set&^(1<<j)])
			}
			switch {
			case sum == nil && (row-place)%2 == 0:
				sum = v
			case sum == nil:
				sum = o.each("Neg", nil, v.typ(), v)
			case (row-place)%2 == 0:
				sum = o.add(sum, v)
			default:
				sum = o.binary("Sub", sum, v)
			}
			place++
		}
		minors[set] = sum
	}
	return result(minors[1<<n-1])
}

// reverseSequence takes slice len-1-t for slice t of the first len ones.
func reverseSequence(o *op) []*value {
	x := o.in[0]
	time, batch := o.axis(o.int("time_axis", 0), x.rank()), o.axis(o.int("batch_axis", 1), x.rank())
	lens := o.cast(o.in[1], format.Int64)
	s := x.shape()
	if time == batch || lens.rank() != 1 || lens.shape()[0] != s[batch] {
		o.fail("lengths %v for axis %d of %v", lens.shape(), batch, s)
	}
	order := []int{batch, time}
	for i := range s {
		if i != batch && i != time {
			order = append(order, i)
		}
	}
	at := o.places(1, s[time])
	lens = o.insert(lens, []int{1})
	back := o.binary("Sub", o.binary("Sub", lens, o.number(format.Int64, 1)), at)
	idx := o.where(o.logic("Less", at, lens), back, at)
	t := o.arrange(x, order)
	y := o.emit("GatherND", format.Attrs{"batch_dims": int64(1)}, t.typ, t.quant, t, o.plain(o.insert(idx, []int{2})))
	return result(view(y, order))
}

func roiAlign(o *op) []*value {
	mode := "half_pixel"
	if o.opset < 16 {
		mode = "output_half_pixel"
	}
	if o.in[0].rank() != 4 {
		o.fail("its input has the shape %v", o.in[0].shape())
	}
	attrs := format.Attrs{"output_height": o.int("output_height", 1), "output_width": o.int("output_width", 1), "sampling_ratio": o.int("sampling_ratio", 0),
		"spatial_scale": o.float("spatial_scale", 1), "mode": o.str("mode", "avg"), "coordinate_transformation_mode": o.str("coordinate_transformation_mode", mode)}
	y := o.emit("RoiAlign", attrs, format.Float32, nil, o.picture(o.in[0]), o.plain(o.in[1]), o.plain(o.cast(o.in[2], format.Int64)))
	return result(view(y, channelsLast(4)))
}

func maxRoiPool(o *op) []*value {
	if o.in[0].rank() != 4 {
		o.fail("its input has the shape %v", o.in[0].shape())
	}
	attrs := format.Attrs{"pooled_shape": o.ints("pooled_shape"), "spatial_scale": o.float("spatial_scale", 1)}
	y := o.emit("MaxRoiPool", attrs, format.Float32, nil, o.picture(o.in[0]), o.plain(o.in[1]))
	return result(view(y, channelsLast(4)))
}

// deformConv samples what every output is made of, and multiplies it with the weights
// as a convolution of 1 x 1.
func deformConv(o *op) []*value {
	x, w := o.in[0], o.in[1]
	ws, group := w.shape(), int(o.int("group", 1))
	if x.rank() != 4 || len(ws) != 4 || o.in[2].rank() != 4 || group < 1 || x.shape()[1] != ws[1]*group {
		o.fail("weights %v in %d groups for an input %v", ws, group, x.shape())
	}
	g := o.window(x.shape()[2:], ws[2:])
	attrs := format.Attrs{"kernel_shape": dims(ws[2:]), "strides": dims(g.strides[:]), "dilations": dims(g.dilations[:]), "pads": g.pads(), "offset_group": o.int("offset_group", 1)}
	in := []*tensor{o.picture(x), o.picture(o.in[2]), nil}
	if o.has(4) {
		in[2] = o.picture(o.in[4])
	}
	t := o.emit("DeformableIm2Col", attrs, format.Float32, nil, in...)
	s, taps := t.shape, ws[2]*ws[3]
	if group > 1 {
		t = o.reshape(t, format.Shape{s[0] * s[1] * s[2], taps, group, ws[1]})
		t = o.reshape(o.transpose(t, []int{0, 2, 1, 3}), s)
	}
	k := o.reshape(o.arrange(w, channelsLast(4)), format.Shape{ws[0], 1, 1, taps * ws[1]})
	if !o.stored(k) {
		o.fixed(1, "weights are packed before the model runs")
	}
	var b *tensor
	if o.has(3) {
		b = o.plain(o.in[3])
	}
	return result(view(o.product("Conv", format.Attrs{"group": int64(group)}, t, k, b), channelsLast(4)))
}

// convTransposeVolume is convTranspose of [N, C, D, H, W].
func convTransposeVolume(o *op) []*value {
	x, w := o.in[0], o.cast(o.in[1], format.Float32)
	ws, group := w.shape(), int(o.int("group", 1))
	s := x.shape()
	if !o.stored(o.plain(w)) {
		o.fixed(1, "weights are packed before the model runs")
	}
	auto := o.str("auto_pad", "NOTSET")
	depth := o.part(0, 1, nil).windowTransposed(s[2:3], ws[2:3], auto)
	flat := o.part(1, 3, nil).windowTransposed(s[3:], ws[3:], auto)
	strides := []int{depth.strides[1], flat.strides[0], flat.strides[1]}
	dilations := []int{depth.dilations[1], flat.dilations[0], flat.dilations[1]}
	before, after := []int{depth.before[1], flat.before[0], flat.before[1]}, []int{depth.after[1], flat.after[0], flat.after[1]}
	var pb, pa = make([]int64, 5), make([]int64, 5)
	for i := range 3 {
		full := (ws[2+i] - 1) * dilations[i]
		pb[2+i], pa[2+i] = int64(full-before[i]), int64(full-after[i]-(strides[i]-1))
		if strides[i] > 1 { // zeros between the elements
			rank, size := x.rank(), x.shape()
			wide := slices.Insert(slices.Clone(size), 3+i, 1)
			zeros := make([]int64, rank+1)
			zeros[3+i] = int64(strides[i] - 1)
			y := o.pad(&value{t: o.reshape(o.plain(x), wide)}, make([]int64, rank+1), zeros, "constant", 0)
			size = slices.Clone(size)
			size[2+i] *= strides[i]
			x = &value{t: o.reshape(o.plain(y), size)}
		}
	}
	x = o.pad(x, pb, pa, "constant", 0)
	for a := 2; a < 5; a++ {
		w = o.reversed(w, a)
	}
	// [C, M/group, ...] in groups to [M, C/group, ...].
	t := o.reshape(o.plain(w), format.Shape{group, ws[0] / group, ws[1], ws[2] * ws[3] * ws[4]})
	t = o.reshape(o.transpose(t, []int{0, 2, 1, 3}), format.Shape{group * ws[1], ws[0] / group, ws[2], ws[3], ws[4]})
	plain := *o
	plain.n = &nodeProto{op: o.n.op, inputs: o.n.inputs, outputs: o.n.outputs, attrs: []*attrProto{{name: "group", i: int64(group)}, {name: "dilations", ints: dims(dilations)}}}
	var b *tensor
	if o.has(2) {
		b = o.plain(o.in[2])
	}
	return result(plain.convolve(x, &value{t: t}, b))
}

// gridSampleVolume is GridSample of [N, C, D, H, W]: a mean of the eight elements
// around each position, or the nearest one.
func gridSampleVolume(o *op) []*value {
	x, grid := o.in[0], o.in[1]
	s, gs := x.shape(), grid.shape()
	mode, padding, align := o.str("mode", "linear"), o.str("padding_mode", "zeros"), o.int("align_corners", 0) != 0
	if len(gs) != 5 || gs[4] != 3 || gs[0] != s[0] || mode == "cubic" || mode == "bicubic" {
		o.fail("mode %s and a grid %v for an input %v", mode, gs, s)
	}
	points := gs[1] * gs[2] * gs[3]
	g := &value{t: o.reshape(o.plain(grid), format.Shape{s[0], points, 3})}
	real := func(name string, x *value) *value { return o.each(name, nil, format.Float32, x) }
	bound := func(x *value, n int) *value {
		return o.each("Clip", format.Attrs{"min": 0.0, "max": float64(n - 1)}, format.Float32, x)
	}
	type near struct{ at, weight *value }
	var axes [3][]near // of D, H, W: the elements next to the position
	for k := range 3 {
		n := s[2+k]
		p := o.add(o.cut(g, 2, int64(2-k), int64(3-k), 1), o.real(1)) // x comes first
		if align {
			p = o.mul(p, o.real(float64(n-1)/2))
		} else {
			p = o.binary("Sub", o.mul(p, o.real(float64(n)/2)), o.real(0.5))
		}
		switch padding {
		case "border":
			p = bound(p, n)
		case "reflection":
			low, span := 0.0, float64(n-1)
			if !align {
				low, span = -0.5, float64(n)
			}
			p = real("Abs", o.binary("Sub", p, o.real(low)))
			p = &value{t: o.emit("Mod", format.Attrs{"fmod": int64(1)}, format.Float32, nil, p.t, o.real(max(2*span, 1e-6)).t)}
			p = o.binary("Min", p, o.binary("Sub", o.real(2*span), p))
			p = bound(o.add(p, o.real(low)), n)
		}
		corner := func(at, weight *value) {
			if padding == "zeros" {
				in := o.logic("And", o.logic("LessOrEqual", o.real(0), at), o.logic("LessOrEqual", at, o.real(float64(n-1))))
				weight = o.mul(weight, o.cast(in, format.Float32))
			}
			axes[k] = append(axes[k], near{bound(at, n), weight})
		}
		if mode == "nearest" {
			at := real("Round", p)
			corner(at, o.add(o.mul(at, o.real(0)), o.real(1)))
			continue
		}
		at := real("Floor", p)
		f := o.binary("Sub", p, at)
		corner(at, o.binary("Sub", o.real(1), f))
		corner(o.add(at, o.real(1)), f)
	}
	data := o.reshape(o.arrange(x, channelsLast(5)), format.Shape{s[0], s[2] * s[3] * s[4], s[1]})
	var sum *value
	for _, d := range axes[0] {
		for _, h := range axes[1] {
			for _, w := range axes[2] {
				whole := func(v *value) *value { return o.cast(v, format.Int64) }
				size := func(v int) *value { return o.number(format.Int64, float64(v)) }
				at := o.add(o.mul(o.add(o.mul(whole(d.at), size(s[3])), whole(h.at)), size(s[4])), whole(w.at))
				v := &value{t: o.emit("GatherND", format.Attrs{"batch_dims": int64(1)}, format.Float32, nil, data, o.plain(at))}
				v = o.mul(v, o.mul(o.mul(d.weight, h.weight), w.weight))
				if sum != nil {
					v = o.add(sum, v)
				}
				sum = v
			}
		}
	}
	return result(view(o.reshape(sum.t, format.Shape{gs[0], gs[1], gs[2], gs[3], s[1]}), channelsLast(5)))
}

package tflite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Operators that move elements, and those over pictures that whet spells
// differently.

func init() {
	register(map[string]row{
		"SPACE_TO_DEPTH": {1, 1, composed(spaceToDepth)}, "DEPTH_TO_SPACE": {1, 1, composed(depthToSpace)},
		"SPACE_TO_BATCH_ND": {3, 1, composed(spaceToBatch)}, "BATCH_TO_SPACE_ND": {3, 1, composed(batchToSpace)},
		"TILE": {2, 1, composed(tile)}, "BROADCAST_TO": {1, 1, composed(broadcastTo)}, "FILL": {2, 1, composed(filled)},
		"ZEROS_LIKE": {1, 1, composed(func(o *op) *format.Tensor { return o.zeros(o.out(0).dtype, o.out(0).shape) })},
		"SHAPE":      {1, 1, shape}, "RANK": {1, 1, func(o *op) error { return o.known(int32s(int32(len(o.in(0).shape)))) }},
		"RANGE": {3, 1, rangeOf}, "REVERSE_V2": {2, 1, composed(reverse)}, "REVERSE_SEQUENCE": {2, 1, composed(reverseSequence)},
		"GATHER_ND": {2, 1, composed(gatherND)}, "SCATTER_ND": {3, 1, composed(scatterND)}, "SPARSE_TO_DENSE": {4, 1, composed(sparseToDense)},
		"DYNAMIC_UPDATE_SLICE": {3, 1, composed(updateSlice)}, "EMBEDDING_LOOKUP": {2, 1, composed(embeddingLookup)},
		"RESIZE_BILINEAR": {2, 1, composed(resizeBilinear)}, "RESIZE_NEAREST_NEIGHBOR": {2, 1, composed(resizeNearest)},
		"TRANSPOSE_CONV": {3, 1, composed(transposeConv)}, "CONV_3D": {2, 1, composed(conv3D)}, "L2_POOL_2D": {1, 1, composed(l2Pool)},
		"DENSIFY": {1, 1, densify},
	})
}

// block reads the size of the blocks of a picture.
func (o *op) block(x *format.Tensor) int {
	b := int(o.options.i32(0, 0))
	if len(x.Shape) != 4 || b < 1 || b > math.MaxInt16 {
		net.Fail("blocks of %d of %v", b, x.Shape)
	}
	return b
}

func spaceToDepth(o *op) *format.Tensor {
	x := o.value(0)
	b, s := o.block(x), x.Shape
	if s[1]%b != 0 || s[2]%b != 0 {
		net.Fail("blocks of %d of %v", b, s)
	}
	y := o.net.Transpose(o.net.Reshape(x, s[0], s[1]/b, b, s[2]/b, b, s[3]), 0, 1, 3, 2, 4, 5)
	return o.net.Reshape(y, s[0], s[1]/b, s[2]/b, b*b*s[3])
}

func depthToSpace(o *op) *format.Tensor {
	x := o.value(0)
	b, s := o.block(x), x.Shape
	if s[3]%(b*b) != 0 {
		net.Fail("blocks of %d of %v", b, s)
	}
	y := o.net.Transpose(o.net.Reshape(x, s[0], s[1], s[2], b, b, s[3]/(b*b)), 0, 1, 3, 2, 4, 5)
	return o.net.Reshape(y, s[0], s[1]*b, s[2]*b, s[3]/(b*b))
}

// blocks reads the sizes of blocks and the pairs of paddings or crops, which a
// tensor of rank n has for its first dimensions behind the batch.
func (o *op) blocks(n int) (sizes, before, after []int) {
	before, after = make([]int, n), make([]int, n)
	pairs := o.list(2)
	for i, b := range o.list(1) {
		if b < 1 || b > math.MaxInt16 || i+1 >= n || 2*i+1 >= len(pairs) || min(pairs[2*i], pairs[2*i+1]) < 0 || max(pairs[2*i], pairs[2*i+1]) > math.MaxInt16 {
			net.Fail("blocks %v and borders %v for %d dimensions", o.list(1), pairs, n)
		}
		sizes = append(sizes, int(b))
		before[i+1], after[i+1] = int(pairs[2*i]), int(pairs[2*i+1])
	}
	if len(sizes) == 0 {
		net.Fail("no blocks")
	}
	return sizes, before, after
}

func spaceToBatch(o *op) *format.Tensor {
	x := o.value(0)
	sizes, before, after := o.blocks(len(x.Shape))
	x = o.net.Pad(x, before, after)
	m := len(sizes)
	split := []int{x.Shape[0]}
	shape := []int{x.Shape[0]}
	var perm, rest []int
	for i, b := range sizes {
		if x.Shape[i+1]%b != 0 {
			net.Fail("blocks %v of %v", sizes, x.Shape)
		}
		split = append(split, x.Shape[i+1]/b, b)
		shape[0] *= b
		shape = append(shape, x.Shape[i+1]/b)
		perm, rest = append(perm, 2*i+2), append(rest, 2*i+1)
	}
	perm = slices.Concat(perm, []int{0}, rest)
	for i := m + 1; i < len(x.Shape); i++ {
		split, shape, perm = append(split, x.Shape[i]), append(shape, x.Shape[i]), append(perm, i+m)
	}
	return o.net.Reshape(o.net.Transpose(o.net.Reshape(x, split...), perm...), shape...)
}

func batchToSpace(o *op) *format.Tensor {
	x := o.value(0)
	sizes, before, after := o.blocks(len(x.Shape))
	m, n := len(sizes), x.Shape[0]
	var split []int
	for _, b := range sizes {
		if n%b != 0 {
			net.Fail("blocks %v of %v", sizes, x.Shape)
		}
		n /= b
		split = append(split, b)
	}
	split = append(split, n)
	perm, shape := []int{m}, []int{n}
	for i := 1; i < len(x.Shape); i++ {
		split, perm = append(split, x.Shape[i]), append(perm, m+i)
		d := x.Shape[i]
		if i <= m {
			perm, d = append(perm, i-1), d*sizes[i-1]
		}
		shape = append(shape, d)
	}
	y := o.net.Reshape(o.net.Transpose(o.net.Reshape(x, split...), perm...), shape...)
	for i := range before {
		before[i], after[i] = -before[i], -after[i]
	}
	return o.net.Pad(y, before, after)
}

func tile(o *op) *format.Tensor {
	x := o.value(0)
	times := o.list(1)
	if len(times) != len(x.Shape) {
		net.Fail("multiples %v of %v", times, x.Shape)
	}
	var ones, wide, shape []int
	for i, m := range times {
		if m < 1 || m > math.MaxInt32 {
			net.Fail("multiples %v", times)
		}
		ones, wide, shape = append(ones, 1, x.Shape[i]), append(wide, int(m), x.Shape[i]), append(shape, int(m)*x.Shape[i])
	}
	return o.net.Reshape(o.net.Op("Expand", shapeOf(wide), o.net.Reshape(x, ones...)), shape...)
}

func broadcastTo(o *op) *format.Tensor {
	return o.net.Op("Expand", shapeOf(o.out(0).shape), o.value(0))
}

func filled(o *op) *format.Tensor {
	return o.net.Op("Expand", shapeOf(o.out(0).shape), o.value(1))
}

// shape is SHAPE: sizes do not change while a model runs.
func shape(o *op) error {
	var b []byte
	for _, d := range o.in(0).shape {
		if o.out(0).dtype == format.Int64 {
			b = binary.LittleEndian.AppendUint64(b, uint64(d))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(d))
		}
	}
	return o.known(b)
}

// maxKnown bounds the constants that are computed here.
const maxKnown = 1 << 20

// rangeOf is RANGE of constants.
func rangeOf(o *op) error {
	var v [3]float64
	for k := range v {
		n, ok := number(o.in(k))
		if !ok {
			return unsupportedf("input %q must be a constant: export the model with fixed shapes", o.in(k).name)
		}
		v[k] = n
	}
	y := o.out(0)
	if n := y.shape.Elems(); n > maxKnown {
		return unsupportedf("a range of %d numbers: at most %d are possible", n, maxKnown)
	}
	var b []byte
	for i := range y.shape.Elems() {
		x := v[0] + float64(i)*v[2]
		switch y.dtype {
		case format.Float32:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
		case format.Int32:
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(x)))
		case format.Int64:
			b = binary.LittleEndian.AppendUint64(b, uint64(int64(x)))
		default:
			return unsupportedf("a range of %v", y.dtype)
		}
	}
	return o.known(b)
}

func reverse(o *op) *format.Tensor {
	x := o.value(0)
	for _, a := range o.list(1) {
		x = o.net.Reverse(x, net.Axis(int(a), len(x.Shape)))
	}
	return x
}

// reverseSequence turns the first elements of each sequence round, as many as a
// constant says: a gather from constant places.
func reverseSequence(o *op) *format.Tensor {
	x := o.value(0)
	seq, batch := net.Axis(int(o.options.i32(0, 0)), len(x.Shape)), net.Axis(int(o.options.i32(1, 0)), len(x.Shape))
	lengths := o.list(1)
	if seq == batch || len(lengths) != x.Shape[batch] {
		net.Fail("lengths %v for the batch of %v", lengths, x.Shape)
	}
	n := x.Shape[seq]
	if n > maxKnown/max(len(lengths), 1) {
		net.Fail("%d sequences of %d: at most %d elements are possible", len(lengths), n, maxKnown)
	}
	at := make([]int32, 0, len(lengths)*n)
	for _, l := range lengths {
		if l < 0 || l > int64(n) {
			net.Fail("lengths %v of %d", lengths, n)
		}
		for i := range n {
			if i < int(l) {
				i = int(l) - 1 - i
			}
			at = append(at, int32(i))
		}
	}
	places := o.net.Int32s("places", format.Shape{len(lengths), n}, at)
	if batch > seq {
		places = o.net.Transpose(places, 1, 0)
	}
	shape := slices.Repeat([]int{1}, len(x.Shape))
	shape[seq], shape[batch] = n, len(lengths)
	places = o.net.Op("Expand", shapeOf(x.Shape), o.net.Reshape(places, shape...))
	return o.net.Typed("GatherElements", x.Type, format.Attrs{"axis": int64(seq)}, x, places)
}

func gatherND(o *op) *format.Tensor {
	x := o.value(0)
	return o.net.Typed("GatherND", x.Type, nil, x, o.value(1))
}

// zeros is a tensor of zeros.
func (o *op) zeros(typ format.DType, shape format.Shape) *format.Tensor {
	if typ == format.Invalid {
		net.Fail("zeros of an element type that whet does not have")
	}
	zero := o.b.Const(o.outputName()+"/zero", typ, format.Shape{}, nil, make([]byte, typ.Bytes(1)))
	return o.net.Op("Expand", shapeOf(shape), o.b.Model.Tensor(zero))
}

// scatterND adds the updates of one place.
func scatterND(o *op) *format.Tensor {
	updates := o.value(1)
	if updates.Quant != nil {
		updates = o.real(updates)
	}
	return o.net.Op("ScatterND", format.Attrs{"reduction": "add"}, o.zeros(updates.Type, o.out(0).shape), o.value(0), updates)
}

func sparseToDense(o *op) *format.Tensor {
	at, values, y := o.value(0), o.value(2), o.out(0)
	rank := len(y.shape)
	if at.Shape.Elems()%max(rank, 1) != 0 || rank == 0 {
		net.Fail("places %v for %v", at.Shape, y.shape)
	}
	n := at.Shape.Elems() / rank
	all := o.net.Op("Expand", shapeOf(y.shape), o.net.Reshape(o.value(3)))
	updates := o.net.Op("Expand", shapeOf(format.Shape{n}), o.net.Reshape(values, values.Shape.Elems()))
	return o.net.Op("ScatterND", format.Attrs{"reduction": "none"}, all, o.net.Reshape(at, n, rank), updates)
}

// updateSlice is DYNAMIC_UPDATE_SLICE at a constant place, which is moved so far
// that the update fits.
func updateSlice(o *op) *format.Tensor {
	x, u := o.value(0), o.value(1)
	starts := o.list(2)
	if len(starts) != len(x.Shape) || len(u.Shape) != len(x.Shape) {
		net.Fail("an update %v of %v at %v", u.Shape, x.Shape, starts)
	}
	// The update grows dimension by dimension, by what is around it.
	at := make([]int, len(starts))
	for i := range at {
		if u.Shape[i] > x.Shape[i] {
			net.Fail("an update %v of %v", u.Shape, x.Shape)
		}
		at[i] = int(max(0, min(starts[i], int64(x.Shape[i]-u.Shape[i]))))
	}
	for i, from := range slices.Backward(at) {
		around := x
		for k := range i {
			around = o.net.Slice(around, k, at[k], at[k]+u.Shape[k])
		}
		end := from + u.Shape[i]
		var parts []*format.Tensor
		if from > 0 {
			parts = append(parts, o.net.Slice(around, i, 0, from))
		}
		parts = append(parts, u)
		if end < x.Shape[i] {
			parts = append(parts, o.net.Slice(around, i, end, x.Shape[i]))
		}
		u = o.net.Concat(i, parts...)
	}
	return u
}

func embeddingLookup(o *op) *format.Tensor {
	w := o.value(1)
	return o.net.Typed("Gather", w.Type, format.Attrs{"axis": int64(0)}, w, o.value(0))
}

// resized scales a picture to the output's size.
func (o *op) resized(x *format.Tensor, attrs format.Attrs) *format.Tensor {
	size := o.out(0).shape
	if len(x.Shape) != 4 || len(size) != 4 {
		net.Fail("a picture %v resized to %v", x.Shape, size)
	}
	scales := make([]float64, 4)
	for i := range scales {
		scales[i] = float64(size[i]) / float64(x.Shape[i])
	}
	attrs["sizes"], attrs["scales"] = build.Ints(size...), scales
	return o.net.Op("Resize", attrs, x)
}

// coordinates names how positions are mapped.
func coordinates(corners, half bool, name string) string {
	switch {
	case corners:
		return "align_corners"
	case half:
		return name
	}
	return "asymmetric"
}

func resizeBilinear(o *op) *format.Tensor {
	mode := coordinates(o.options.flag(2), o.options.flag(3), "half_pixel")
	return o.resized(o.float(0), format.Attrs{"mode": "linear", "coordinate_transformation_mode": mode})
}

func resizeNearest(o *op) *format.Tensor {
	corners := o.options.flag(0)
	attrs := format.Attrs{"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": coordinates(corners, o.options.flag(1), "tf_half_pixel_for_nn")}
	if corners {
		attrs["nearest_mode"] = "round_prefer_ceil"
	}
	return o.resized(o.value(0), attrs)
}

// l2Pool is the root of the mean of squares.
func l2Pool(o *op) *format.Tensor {
	x := o.float(0)
	if len(x.Shape) != 4 {
		net.Fail("its input is of shape %v", x.Shape)
	}
	opt := o.options
	sw, sh, kw, kh := int(opt.i32(1, 0)), int(opt.i32(2, 0)), int(opt.i32(3, 0)), int(opt.i32(4, 0))
	pads, _, _, err := windows(opt.i8(0, 0), x.Shape, kh, kw, sh, sw, 1, 1)
	if err != nil {
		net.Fail("%v", err)
	}
	mean := o.net.Op("AveragePool", format.Attrs{"kernel_shape": build.Ints(kh, kw), "strides": build.Ints(sh, sw), "pads": pads}, o.net.Op("Mul", nil, x, x))
	return o.activated(o.net.Op("Sqrt", nil, mean), opt.i8(5, actNone))
}

// transposeConv is TRANSPOSE_CONV: shape, weights [O, h, w, I], input, bias. Zeros
// are put between the input's elements, which a quantized Pad does with the zero
// point; then it is a convolution with the kernel upside down.
func transposeConv(o *op) *format.Tensor {
	opt := o.options
	t := transposed{x: o.value(2), w: 1, strides: [2]int{int(opt.i32(2, 0)), int(opt.i32(1, 0))}, padding: opt.i8(0, 0)}
	if !o.absent(3) {
		t.bias = o.value(3)
	}
	return o.activated(t.build(o), opt.i8(3, actNone))
}

// transposed is a transposed convolution: w is the index of its weights among the
// operator's inputs, bias may be nil.
type transposed struct {
	x, bias *format.Tensor
	w       int
	strides [2]int
	padding int8
}

func (t *transposed) build(o *op) *format.Tensor {
	w, x, out, strides := o.in(t.w), t.x, o.out(0).shape, t.strides
	if len(w.shape) != 4 || len(x.Shape) != 4 || len(out) != 4 || w.data == nil || w.dtype.Bits()%8 != 0 {
		net.Fail("weights %v for an input %v: both must be of rank 4, and the weights a constant", w.shape, x.Shape)
	}
	var before, pads [2]int
	var after [2]int
	s := x.Shape
	for i := range 2 {
		// The padding is that of the convolution that this is the gradient of.
		b, _, in, err := window{out[i+1], w.shape[i+1], strides[i], 1}.pads(t.padding)
		if err != nil {
			net.Fail("%v", err)
		}
		if in != s[i+1] {
			net.Fail("an output of %d elements from %d with strides %d", out[i+1], s[i+1], strides[i])
		}
		pads[i] = b
		before[i] = w.shape[i+1] - 1 - b
		after[i] = out[i+1] - (s[i+1]*strides[i] + before[i] - (w.shape[i+1] - 1))
	}
	if p, ok := net.NewPhases(w.shape[1:3], strides[:], pads[:], s[1:3], out[1:3]); ok && (w.quant == nil || !slices.ContainsFunc(w.quant.Zero, func(z int32) bool { return z != 0 })) && (t.bias == nil || t.bias.Const()) {
		return t.phases(o, &p)
	}
	y := o.net.Reshape(x, s[0], s[1], 1, s[2], 1, s[3])
	y = o.net.Pad(y, make([]int, 6), []int{0, 0, strides[0] - 1, 0, strides[1] - 1, 0})
	y = o.net.Reshape(y, s[0], s[1]*strides[0], s[2]*strides[1], s[3])
	y = o.net.Pad(y, []int{0, before[0], before[1], 0}, []int{0, after[0], after[1], 0})
	size := w.dtype.Bits() / 8
	taps := w.shape[1] * w.shape[2]
	row := w.shape[3] * size
	flipped := make([]byte, 0, len(w.data))
	for k := range w.shape[0] {
		for t := range taps {
			flipped = append(flipped, w.data[(k*taps+taps-1-t)*row:][:row]...)
		}
	}
	kernel := o.b.Model.Tensor(o.b.Const(o.names[o.inputs[t.w]]+"/flipped", w.dtype, w.shape, w.quant, flipped))
	in := []*format.Tensor{y, kernel}
	if t.bias != nil {
		in = append(in, t.bias)
	}
	conv := o.net.Op("Conv", format.Attrs{"group": int64(1)}, in...)
	conv.Quant = o.out(0).quant
	return conv
}

// phases adds the convolution in [net.Phases].
func (t *transposed) phases(o *op, p *net.Phases) *format.Tensor {
	w, out := o.in(t.w), o.out(0)
	q := w.quant
	if q != nil && len(q.Scale) > 1 {
		q = &format.Quant{Scale: slices.Repeat(q.Scale, p.Copies()), Zero: slices.Repeat(q.Zero, p.Copies()), Axis: q.Axis}
	}
	data := p.Weights(w.data, w.shape[0], w.shape[3]*w.dtype.Bits()/8)
	shape := format.Shape{w.shape[0] * p.Copies(), p.Kernel[0], p.Kernel[1], w.shape[3]}
	name := o.names[o.inputs[t.w]] + "/phases"
	in := []*format.Tensor{t.x, o.b.Model.Tensor(o.b.Const(name, w.dtype, shape, q, data))}
	if b := t.bias; b != nil {
		c := *b
		c.Data, c.Shape = bytes.Repeat(b.Data, p.Copies()), format.Shape{shape[0]}
		if c.Quant != nil && len(c.Quant.Scale) > 1 {
			c.Quant = &format.Quant{Scale: slices.Repeat(c.Quant.Scale, p.Copies()), Zero: slices.Repeat(c.Quant.Zero, p.Copies()), Axis: c.Quant.Axis}
		}
		in = append(in, o.b.Model.Tensor(o.b.Const(b.Name+"/phases", c.Type, c.Shape, c.Quant, c.Data)))
	}
	conv := o.net.Op("Conv", format.Attrs{"group": int64(1), "pads": build.Ints(p.Before[0], p.Before[1], p.After[0], p.After[1])}, in...)
	conv.Quant = out.quant
	return o.net.Spread(p, conv, out.shape[1:3])
}

// conv3D is CONV_3D with weights [d, h, w, I, O], in float32.
func conv3D(o *op) *format.Tensor {
	w, x := o.value(1), o.float(0)
	if len(w.Shape) != 5 || len(x.Shape) != 5 || !w.Const() || w.Type != format.Float32 || w.Shape[3] == 0 || x.Shape[4]%w.Shape[3] != 0 {
		net.Fail("weights %v for an input %v: both must be of rank 5 and float32, and the weights a constant", w.Shape, x.Shape)
	}
	opt := o.options
	g := net.Window{Kernel: w.Shape[:3], Strides: []int{int(opt.i32(1, 0)), int(opt.i32(3, 0)), int(opt.i32(2, 0))},
		Dilations: []int{int(opt.i32(5, 1)), int(opt.i32(7, 1)), int(opt.i32(6, 1))}}
	for i, k := range g.Kernel {
		b, a, _, err := window{x.Shape[i+1], k, g.Strides[i], g.Dilations[i]}.pads(opt.i8(0, 0))
		if err != nil {
			net.Fail("%v", err)
		}
		g.Before, g.After = append(g.Before, b), append(g.After, a)
	}
	v, out := net.Values(w), w.Shape[4]
	weights := make([]float32, len(v))
	rows := len(v) / max(out, 1)
	for i := range rows {
		for k := range out {
			weights[k*rows+i] = v[i*out+k]
		}
	}
	var bias *format.Tensor
	if !o.absent(2) {
		bias = o.value(2)
	}
	y := o.net.Conv(x, net.Weights{Out: out, In: w.Shape[3], V: weights}, bias, g, x.Shape[4]/w.Shape[3])
	return o.activated(y, opt.i8(4, actNone))
}

// densify is DENSIFY: its input has been made dense when it was read.
func densify(o *op) error {
	x := o.in(0)
	if x.data == nil {
		return fmt.Errorf("input %q is not a constant", x.name)
	}
	return o.known(x.data)
}

package tflite

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// reshape is RESHAPE, SQUEEZE and EXPAND_DIMS: the file gives the shape of the
// result, so their second inputs are not needed.
func reshape(o *op) error {
	x, err := o.input(0)
	if err != nil {
		return err
	}
	t, y := o.in(0), o.out(0)
	if t.shape.Elems() != y.shape.Elems() {
		return fmt.Errorf("%q of shape %v cannot be seen as %v", t.name, t.shape, y.shape)
	}
	return o.emit("Reshape", []string{x}, format.Attrs{"shape": build.Ints(y.shape...)}, y.shape, actNone)
}

func transpose(o *op) error {
	x, err := o.input(0)
	if err != nil {
		return err
	}
	perm, err := o.ints(1)
	if err != nil {
		return err
	}
	t := o.in(0)
	shape := make(format.Shape, len(perm))
	for i, p := range perm {
		if p < 0 || int(p) >= len(t.shape) {
			return fmt.Errorf("permutation %v of a tensor of shape %v", perm, t.shape)
		}
		shape[i] = t.shape[p]
	}
	return o.emit("Transpose", []string{x}, format.Attrs{"perm": perm}, shape, actNone)
}

// join adds a Concat of inputs and makes it output 0.
func (o *op) join(in []string, at int, shape format.Shape, act int8) error {
	return o.emit("Concat", in, format.Attrs{"axis": int64(at)}, shape, act)
}

func concat(o *op) error {
	y := o.out(0)
	at, err := axis(int(o.options.i32(0, 0)), len(y.shape))
	if err != nil {
		return err
	}
	var in []string
	for k := range o.inputs {
		if o.absent(k) {
			return fmt.Errorf("input %d is absent", k)
		}
		s, err := o.requantize(k, y)
		if err != nil {
			return err
		}
		in = append(in, s)
	}
	return o.join(in, at, y.shape, o.options.i8(1, actNone))
}

// pack is PACK: each input gets the new dimension, then they are joined.
func pack(o *op) error {
	y := o.out(0)
	at, err := axis(int(o.options.i32(1, 0)), len(y.shape))
	if err != nil {
		return err
	}
	part := slices.Clone(y.shape)
	part[at] = 1
	var in []string
	for k := range o.inputs {
		if o.absent(k) {
			return fmt.Errorf("input %d is absent", k)
		}
		s, err := o.requantize(k, y)
		if err != nil {
			return err
		}
		if len(o.inputs) == 1 {
			return o.emit("Reshape", []string{s}, format.Attrs{"shape": build.Ints(y.shape...)}, y.shape, actNone)
		}
		like := &tensor{shape: o.in(k).shape, dtype: y.dtype, quant: y.quant}
		if s, err = o.reshape(s, like, part); err != nil {
			return err
		}
		in = append(in, s)
	}
	return o.join(in, at, y.shape, actNone)
}

// unpack is UNPACK: the tensor is split, then each part loses the dimension.
func unpack(o *op) error {
	t := o.in(0)
	x, err := o.input(0)
	if err != nil {
		return err
	}
	at, err := axis(int(o.options.i32(1, 0)), len(t.shape))
	if err != nil {
		return err
	}
	if t.shape[at] != len(o.outputs) {
		return fmt.Errorf("%d outputs for dimension %d of shape %v", len(o.outputs), at, t.shape)
	}
	parts := []string{x}
	if len(o.outputs) > 1 {
		part := slices.Clone(t.shape)
		part[at] = 1
		ones := make([]int64, len(o.outputs))
		parts = make([]string, len(o.outputs))
		for k, i := range o.outputs {
			ones[k] = 1
			parts[k] = o.b.New(o.names[i]+"/part", t.dtype, part, t.quant)
		}
		o.b.Node("", "Split", []string{x}, parts, format.Attrs{"axis": int64(at), "split": ones})
	}
	for k, i := range o.outputs {
		y, err := o.tensor(i)
		if err != nil {
			return err
		}
		o.b.Node("", "Reshape", []string{parts[k]}, []string{y}, format.Attrs{"shape": build.Ints(o.out(k).shape...)})
	}
	return nil
}

// split is SPLIT and SPLIT_V, which take their inputs in another order. sizes
// is the input with the parts' sizes, -1 when they are equal.
func split(value, axisInput, sizes int) func(*op) error {
	return func(o *op) error {
		x, err := o.input(value)
		if err != nil {
			return err
		}
		t := o.in(value)
		a, err := o.int(axisInput)
		if err != nil {
			return err
		}
		at, err := axis(int(a), len(t.shape))
		if err != nil {
			return err
		}
		parts := make([]int64, len(o.outputs))
		outs := make([]string, len(o.outputs))
		for k, i := range o.outputs {
			y := o.out(k)
			if len(y.shape) != len(t.shape) {
				return fmt.Errorf("output %q is of shape %v, the input of %v", y.name, y.shape, t.shape)
			}
			parts[k] = int64(y.shape[at])
			if outs[k], err = o.tensor(i); err != nil {
				return err
			}
		}
		if sizes >= 0 {
			want, err := o.ints(sizes)
			if err != nil {
				return err
			}
			for k, w := range want {
				if k < len(parts) && w >= 0 && w != parts[k] || len(want) != len(parts) {
					return fmt.Errorf("sizes %v for outputs of sizes %v", want, parts)
				}
			}
		}
		o.b.Node("", "Split", []string{x}, outs, format.Attrs{"axis": int64(at), "split": parts})
		return nil
	}
}

func gather(o *op) error {
	if o.options.i32(1, 0) != 0 {
		return composed(batchGather)(o)
	}
	in, err := o.inputList(0, 2)
	if err != nil {
		return err
	}
	at, err := axis(int(o.options.i32(0, 0)), len(o.in(0).shape))
	if err != nil {
		return err
	}
	return o.emit("Gather", in, format.Attrs{"axis": int64(at)}, o.out(0).shape, actNone)
}

// batchGather is GATHER with leading dimensions that data and indices share, along
// the axis behind them: a gather from all of them as one, with indices moved.
func batchGather(o *op) *format.Tensor {
	x, at := o.value(0), o.value(1)
	dims := net.Axis(int(o.options.i32(1, 0)), len(at.Shape)+1)
	if along := net.Axis(int(o.options.i32(0, 0)), len(x.Shape)); along != dims || len(x.Shape) <= dims || !x.Shape[:dims].Equal(at.Shape[:dims]) {
		net.Fail("batch_dims %d and axis %d of %v: the axis must come right behind", dims, along, x.Shape)
	}
	n, size := x.Shape[:dims].Elems(), x.Shape[dims]
	offsets := make([]int32, n)
	for i := range offsets {
		offsets[i] = int32(i * size)
	}
	if at.Type != format.Int32 {
		at = o.net.Typed("Cast", format.Int32, nil, at)
	}
	flat := o.net.Op("Add", nil, o.net.Reshape(at, n, at.Shape.Elems()/max(n, 1)), o.net.Int32s("offsets", format.Shape{n, 1}, offsets))
	all := o.net.Reshape(x, append([]int{n * size}, x.Shape[dims+1:]...)...)
	return o.net.Typed("Gather", x.Type, format.Attrs{"axis": int64(0)}, all, flat)
}

// pad is PAD and PADV2. A quantized tensor is padded with real zero unless
// told otherwise.
func pad(o *op) error {
	attrs, shape, err := o.pads()
	if err != nil {
		return err
	}
	attrs["mode"] = "constant"
	if !o.absent(2) {
		v, ok := number(o.in(2))
		if !ok {
			return unsupportedf("the padding value %q must be a constant number", o.in(2).name)
		}
		attrs["value"] = v
	}
	x, err := o.input(0)
	if err != nil {
		return err
	}
	return o.emit("Pad", []string{x}, attrs, shape, actNone)
}

func mirrorPad(o *op) error {
	if o.options.i8(0, 0) != 0 {
		return composed(symmetricPad)(o)
	}
	attrs, shape, err := o.pads()
	if err != nil {
		return err
	}
	attrs["mode"] = "reflect"
	x, err := o.input(0)
	if err != nil {
		return err
	}
	return o.emit("Pad", []string{x}, attrs, shape, actNone)
}

// symmetricPad mirrors the edge, too: which a Pad does not.
func symmetricPad(o *op) *format.Tensor {
	x, pads := o.value(0), o.list(1)
	if len(pads) != 2*len(x.Shape) {
		net.Fail("%d paddings for %v", len(pads), x.Shape)
	}
	for i := range len(x.Shape) {
		before, after, n := pads[2*i], pads[2*i+1], x.Shape[i]
		if min(before, after) < 0 || max(before, after) > int64(n) {
			net.Fail("paddings %d and %d of dimension %d of %v", before, after, i, x.Shape)
		}
		var parts []*format.Tensor
		if before > 0 {
			parts = append(parts, o.net.Reverse(o.net.Slice(x, i, 0, int(before)), i))
		}
		parts = append(parts, x)
		if after > 0 {
			parts = append(parts, o.net.Reverse(o.net.Slice(x, i, n-int(after), n), i))
		}
		x = o.net.Concat(i, parts...)
	}
	return x
}

// pads turns the paddings of input 1, [before, after] a dimension, into ONNX's
// order: all before, then all after.
func (o *op) pads() (format.Attrs, format.Shape, error) {
	t := o.in(0)
	v, err := o.ints(1)
	if err != nil {
		return nil, nil, err
	}
	n := len(t.shape)
	if len(v) != 2*n {
		return nil, nil, fmt.Errorf("%d paddings for a tensor of rank %d", len(v), n)
	}
	pads := make([]int64, 2*n)
	shape := make(format.Shape, n)
	for i, d := range t.shape {
		a, b := v[2*i], v[2*i+1]
		if a < 0 || b < 0 || a > math.MaxInt32 || b > math.MaxInt32 {
			return nil, nil, fmt.Errorf("paddings %d and %d of dimension %d", a, b, i)
		}
		pads[i], pads[n+i] = a, b
		shape[i] = d + int(a+b)
	}
	return format.Attrs{"pads": pads}, shape, nil
}

// slice is SLICE: begin and size, where size -1 means all the rest.
func slice(o *op) error {
	x, err := o.input(0)
	if err != nil {
		return err
	}
	begin, err := o.ints(1)
	if err != nil {
		return err
	}
	size, err := o.ints(2)
	if err != nil {
		return err
	}
	t := o.in(0)
	n := len(t.shape)
	if len(begin) != n || len(size) != n {
		return fmt.Errorf("begin %v and size %v for shape %v", begin, size, t.shape)
	}
	s := newSlicing(n)
	for i, d := range t.shape {
		b, l := begin[i], size[i]
		if l == -1 {
			l = int64(d) - b
		}
		if b < 0 || l < 0 || b > int64(d) || l > int64(d)-b {
			return fmt.Errorf("begin %v and size %v for shape %v", begin, size, t.shape)
		}
		s.set(i, b, b+l, 1)
	}
	return o.emit("Slice", []string{x}, s.attrs(), o.out(0).shape, actNone)
}

// slicing is the attributes of a Slice over all dimensions.
type slicing struct{ starts, ends, axes, steps []int64 }

func newSlicing(rank int) *slicing {
	s := &slicing{make([]int64, rank), make([]int64, rank), make([]int64, rank), make([]int64, rank)}
	for i := range rank {
		s.axes[i] = int64(i)
	}
	return s
}

func (s *slicing) set(i int, start, end, step int64) {
	s.starts[i], s.ends[i], s.steps[i] = start, end, step
}

func (s *slicing) attrs() format.Attrs {
	return format.Attrs{"starts": s.starts, "ends": s.ends, "axes": s.axes, "steps": s.steps}
}

// stridedSlice is STRIDED_SLICE: numpy's a[1:, ..., None, 3, ::-1]. The masks
// have a bit for each position of the specification: there begin or end is
// left out, an ellipsis or a new dimension stands, or a single index.
func stridedSlice(o *op) error {
	x, err := o.input(0)
	if err != nil {
		return err
	}
	var spec [3][]int64
	for k := range spec {
		if spec[k], err = o.ints(k + 1); err != nil {
			return err
		}
	}
	begin, end, stride := spec[0], spec[1], spec[2]
	opt := o.options
	beginMask, endMask := opt.i32(0, 0), opt.i32(1, 0)
	ellipsis, newAxis, shrink := opt.i32(2, 0), opt.i32(3, 0), opt.i32(4, 0)
	t := o.in(0)
	n := len(begin)
	if len(end) != n || len(stride) != n || n > 31 {
		return fmt.Errorf("begin %v, end %v, strides %v", begin, end, stride)
	}
	// How many dimensions an ellipsis stands for.
	rest := len(t.shape)
	for p := range n {
		if (ellipsis|newAxis)>>p&1 == 0 {
			rest--
		}
	}
	if rest < 0 {
		return fmt.Errorf("a slice of %d dimensions of shape %v", n, t.shape)
	}
	s := newSlicing(len(t.shape))
	shape := format.Shape{} // before dimensions are dropped and added
	d := 0
	all := func() {
		s.set(d, 0, int64(t.shape[d]), 1)
		shape = append(shape, t.shape[d])
		d++
	}
	for p := range n {
		switch {
		case ellipsis>>p&1 != 0:
			for ; rest > 0; rest-- {
				all()
			}
			continue
		case newAxis>>p&1 != 0:
			continue
		}
		size := int64(t.shape[d])
		b, e, st := begin[p], end[p], stride[p]
		if st == 0 || st != int64(int32(st)) || b != int64(int32(b)) || e != int64(int32(e)) {
			return fmt.Errorf("begin %d, end %d, stride %d in dimension %d", b, e, st, d)
		}
		if opt.flag(5) { // offset: end counts from begin
			e += b
		}
		if shrink>>p&1 != 0 {
			if b < 0 {
				b += size
			}
			if b < 0 || b >= size {
				return fmt.Errorf("index %d of dimension %d, which has %d", begin[p], d, size)
			}
			s.set(d, b, b+1, 1)
			shape = append(shape, 1)
			d++
			continue
		}
		b, e = bounds(b, e, st, size, beginMask>>p&1 != 0, endMask>>p&1 != 0)
		count := max((e-b+st-sign(st))/st, 0)
		if st < 0 && e < 0 {
			e = -size - 1 // -1 would count from the end
		}
		s.set(d, b, e, st)
		shape = append(shape, int(count))
		d++
	}
	for d < len(t.shape) {
		all()
	}
	return o.emit("Slice", []string{x}, s.attrs(), shape, actNone)
}

// bounds resolves begin and end of a slice of a dimension of the given size,
// as numpy does.
func bounds(b, e, step, size int64, noBegin, noEnd bool) (int64, int64) {
	lo, hi := int64(0), size // where b and e may lie
	if step < 0 {
		lo, hi = -1, size-1
	}
	resolve := func(v int64) int64 {
		if v < 0 {
			v += size
		}
		return min(max(v, lo), hi)
	}
	b, e = resolve(b), resolve(e)
	if noBegin {
		b = lo
		if step < 0 {
			b = hi
		}
	}
	if noEnd {
		e = hi
		if step < 0 {
			e = lo
		}
	}
	return b, e
}

func sign(v int64) int64 {
	if v < 0 {
		return -1
	}
	return 1
}

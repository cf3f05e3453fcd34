package tflite

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Elementwise operators, comparisons, reductions and products that whet spells
// differently.

func init() {
	register(map[string]row{
		"CEIL": {1, 1, onReals("Ceil")}, "FLOOR": {1, 1, onReals("Floor")}, "ROUND": {1, 1, onReals("Round")},
		"SIN": {1, 1, onReals("Sin")}, "COS": {1, 1, onReals("Cos")}, "SIGN": {1, 1, unary("Sign")},
		"LOGICAL_NOT": {1, 1, unary("Not")}, "LOGICAL_AND": {2, 1, broadcast("And", noActivation)}, "LOGICAL_OR": {2, 1, broadcast("Or", noActivation)},
		"EQUAL": {2, 1, compare("Equal", false, false)}, "NOT_EQUAL": {2, 1, compare("Equal", false, true)},
		"LESS": {2, 1, compare("Less", false, false)}, "LESS_EQUAL": {2, 1, compare("LessOrEqual", false, false)},
		"GREATER": {2, 1, compare("Less", true, false)}, "GREATER_EQUAL": {2, 1, compare("LessOrEqual", true, false)},
		"ADD_N": {1, 1, composed(addN)}, "FLOOR_DIV": {2, 1, composed(floorDiv)}, "FLOOR_MOD": {2, 1, composed(floorMod)},
		"PRELU": {2, 1, composed(prelu)}, "REDUCE_MIN": {2, 1, reduce("ReduceMin")}, "REDUCE_PROD": {2, 1, reduce("ReduceProd")},
		"REDUCE_ANY": {2, 1, composed(reduceBool("ReduceMax"))}, "REDUCE_ALL": {2, 1, composed(reduceBool("ReduceMin"))},
		"ARG_MAX": {2, 1, composed(argExtreme("ArgMax"))}, "ARG_MIN": {2, 1, composed(argExtreme("ArgMin"))},
		"TOPK_V2": {2, 2, several(topK)}, "CUMSUM": {2, 1, composed(cumsum)}, "ONE_HOT": {4, 1, composed(oneHot)},
		"SELECT": {3, 1, composed(selectOp)}, "SELECT_V2": {3, 1, composed(selectOp)}, "BATCH_MATMUL": {2, 1, composed(batchMatMul)},
		"L2_NORMALIZATION": {1, 1, composed(l2Normalization)}, "LOCAL_RESPONSE_NORMALIZATION": {1, 1, composed(lrn)},
		"ATAN2": {2, 1, composed(atan2)},
	})
}

// onReals is an op on real numbers.
func onReals(name string) func(*op) error {
	return composed(func(o *op) *format.Tensor { return o.net.Op(name, nil, o.float(0)) })
}

// compare is a comparison of numbers, of the real ones where they are quantized.
func compare(name string, swap, not bool) func(*op) error {
	return composed(func(o *op) *format.Tensor {
		a, b := o.value(0), o.value(1)
		if a.Quant != nil || b.Quant != nil {
			a, b = o.real(a), o.real(b)
		}
		if swap {
			a, b = b, a
		}
		y := o.net.Typed(name, format.Bool, nil, a, b)
		if not {
			y = o.net.Op("Not", nil, y)
		}
		return y
	})
}

func addN(o *op) *format.Tensor {
	sum := o.value(0)
	for k := 1; k < len(o.inputs); k++ {
		sum = o.net.Op("Add", nil, sum, o.value(k))
	}
	return sum
}

func floorDiv(o *op) *format.Tensor {
	a, b := o.value(0), o.value(1)
	if a.Type == format.Float32 {
		return o.net.Op("Floor", nil, o.net.Op("Div", nil, a, b))
	}
	// (a - (a mod b)) / b leaves no remainder to round.
	rest := o.net.Op("Mod", format.Attrs{"fmod": int64(0)}, a, b)
	return o.net.Op("Div", nil, o.net.Op("Sub", nil, a, rest), b)
}

func floorMod(o *op) *format.Tensor {
	a, b := o.value(0), o.value(1)
	if a.Type == format.Float32 { // a - b·floor(a/b)
		whole := o.net.Op("Floor", nil, o.net.Op("Div", nil, a, b))
		return o.net.Op("Sub", nil, a, o.net.Op("Mul", nil, whole, b))
	}
	return o.net.Op("Mod", format.Attrs{"fmod": int64(0)}, a, b)
}

// prelu is max(x, 0) + alpha·min(x, 0).
func prelu(o *op) *format.Tensor {
	x, zero := o.float(0), o.net.Number(0)
	below := o.net.Op("Mul", nil, o.net.Op("Min", nil, x, zero), o.float(1))
	return o.net.Op("Add", nil, o.net.Op("Relu", nil, x), below)
}

// reduceBool is a reduction of truth values, as the greatest or least of 0 and 1.
func reduceBool(name string) func(*op) *format.Tensor {
	return func(o *op) *format.Tensor {
		x := o.net.Typed("Cast", format.Float32, nil, o.value(0))
		var axes []int
		for _, a := range o.list(1) {
			axes = append(axes, net.Axis(int(a), len(x.Shape)))
		}
		slices.Sort(axes)
		return o.net.Reduce(name, x, o.options.flag(0), slices.Compact(axes)...)
	}
}

func (o *op) axisInput(k, rank int) int {
	v := o.list(k)
	if len(v) != 1 {
		net.Fail("%d axes", len(v))
	}
	return net.Axis(int(max(min(v[0], 64), -64)), rank)
}

func argExtreme(name string) func(*op) *format.Tensor {
	return func(o *op) *format.Tensor {
		x := o.value(0)
		return o.net.Typed(name, format.Int64, format.Attrs{"axis": int64(o.axisInput(1, len(x.Shape)))}, x)
	}
}

func topK(o *op) []*format.Tensor {
	x := o.value(0)
	k := must(o.int(1))
	out := o.net.Ops("TopK", []format.DType{x.Type, format.Int64}, format.Attrs{"axis": int64(-1), "k": k, "largest": int64(1)}, x)
	return []*format.Tensor{out[0], out[1]}
}

func cumsum(o *op) *format.Tensor {
	x := o.value(0)
	flag := func(i int) int64 {
		if o.options.flag(i) {
			return 1
		}
		return 0
	}
	return o.net.Op("CumSum", format.Attrs{"axis": int64(o.axisInput(1, len(x.Shape))), "exclusive": flag(0), "reverse": flag(1)}, x)
}

// oneHot is ONE_HOT: indices, depth, the value where an index points, and the other.
func oneHot(o *op) *format.Tensor {
	x := o.value(0)
	depth := must(o.int(1))
	if depth < 1 || depth > maxKnown {
		net.Fail("depth %d", depth)
	}
	at := int(o.options.i32(0, 0))
	rank := len(x.Shape) + 1
	if at == -1 {
		at = rank - 1
	}
	at = net.Axis(at, rank)
	wide := o.net.Reshape(x, slices.Insert(slices.Clone([]int(x.Shape)), at, 1)...)
	if wide.Type != format.Int32 {
		wide = o.net.Typed("Cast", format.Int32, nil, wide)
	}
	numbers := make([]int32, depth)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	shape := slices.Repeat([]int{1}, rank-at)
	shape[0] = int(depth)
	hit := o.net.Typed("Equal", format.Bool, nil, wide, o.net.Int32s("depth", shape, numbers))
	on, off := o.value(2), o.value(3)
	return o.net.Typed("Where", on.Type, nil, hit, o.net.Reshape(on), o.net.Reshape(off))
}

// selectOp is SELECT and SELECT_V2: the first takes a condition for each row, too.
func selectOp(o *op) *format.Tensor {
	cond, out := o.value(0), o.out(0)
	var branch [2]*format.Tensor
	for i := range branch {
		branch[i] = o.b.Model.Tensor(must(o.requantize(i+1, out)))
	}
	if rank := len(out.shape); o.name == "SELECT" && len(cond.Shape) == 1 && rank > 1 {
		cond = o.net.Reshape(cond, append([]int{cond.Shape[0]}, slices.Repeat([]int{1}, rank-1)...)...)
	}
	y := o.net.Typed("Where", branch[0].Type, nil, cond, branch[0], branch[1])
	y.Quant = branch[0].Quant
	return y
}

// batchMatMul is BATCH_MATMUL, on the real numbers where it is quantized.
func batchMatMul(o *op) *format.Tensor {
	var in [2]*format.Tensor
	for i := range in {
		in[i] = o.float(i)
		if n := len(in[i].Shape); n < 2 {
			net.Fail("input %d is of shape %v", i, in[i].Shape)
		} else if o.options.flag(i) {
			in[i] = o.net.Transpose(in[i], net.Swap(n, n-2, n-1)...)
		}
	}
	return o.net.Op("MatMul", nil, in[0], in[1])
}

// l2Normalization is x / sqrt(max(Σ x², 1e-6)) along the innermost axis.
func l2Normalization(o *op) *format.Tensor {
	x := o.float(0)
	sum := o.net.Reduce("ReduceSum", o.net.Op("Mul", nil, x, x), true, len(x.Shape)-1)
	root := o.net.Op("Sqrt", nil, o.net.Op("Max", nil, sum, o.net.Number(1e-6)))
	return o.activated(o.net.Op("Div", nil, x, root), o.options.i8(0, actNone))
}

// lrn is x · (bias + alpha · Σ x²)^-beta over the channels within radius.
func lrn(o *op) *format.Tensor {
	x := o.float(0)
	radius, c := int(o.options.i32(0, 0)), 0
	if n := len(x.Shape); n > 0 {
		c = x.Shape[n-1]
	}
	if c < 1 || radius < 0 || radius > c {
		net.Fail("radius %d of %d channels", radius, c)
	}
	// The channels stand as a picture's column; zeros around it make all windows
	// whole, and a mean times its size is a sum.
	n := 2*radius + 1
	sq := o.net.Reshape(o.net.Op("Mul", nil, x, x), x.Shape.Elems()/c, c, 1, 1)
	sq = o.net.Pad(sq, []int{0, radius, 0, 0}, []int{0, radius, 0, 0})
	mean := o.net.Op("AveragePool", format.Attrs{"kernel_shape": build.Ints(n, 1), "strides": build.Ints(1, 1), "pads": build.Ints(0, 0, 0, 0)}, sq)
	bias, alpha, beta := float64(o.options.f32(1, 0)), float64(o.options.f32(2, 0)), float64(o.options.f32(3, 0))
	d := o.net.Op("Mul", nil, o.net.Reshape(mean, x.Shape...), o.net.Number(alpha*float64(n)))
	d = o.net.Op("Pow", nil, o.net.Op("Add", nil, d, o.net.Number(bias)), o.net.Number(-beta))
	return o.net.Op("Mul", nil, x, d)
}

// atan2 is the angle of (x, y) in all four quadrants: atan(y/x), half a turn more
// or less where x is negative, and a quarter where it is 0.
func atan2(o *op) *format.Tensor {
	n := o.net
	y, x, zero := o.float(0), o.float(1), o.net.Number(0)
	less := func(a, b *format.Tensor) *format.Tensor { return n.Typed("Less", format.Bool, nil, a, b) }
	where := func(c, a, b *format.Tensor) *format.Tensor { return n.Typed("Where", format.Float32, nil, c, a, b) }
	vertical := n.Typed("Equal", format.Bool, nil, x, zero)
	angle := n.Op("Atan", nil, n.Op("Div", nil, y, where(vertical, n.Number(1), x)))
	turn := where(less(y, zero), n.Number(-math.Pi), n.Number(math.Pi))
	angle = where(less(x, zero), n.Op("Add", nil, angle, turn), angle)
	quarter := n.Op("Mul", nil, n.Typed("Sign", format.Float32, nil, y), n.Number(math.Pi/2))
	return where(vertical, quarter, angle)
}

// int32s is the little-endian bytes of numbers.
func int32s(v ...int32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

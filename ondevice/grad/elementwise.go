package grad

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/kernels"
)

// unary gives the slope of an elementwise function from its argument x and its
// value y, whichever says it more exactly.
func (b *bound[T]) unary() (rule, error) {
	y := b.out[0]
	alpha := T(b.Attrs.Float("alpha", map[string]float64{"LeakyRelu": 0.01, "Elu": 1}[b.Op]))
	lo, hi := T(b.Attrs.Float("min", math.Inf(-1))), T(b.Attrs.Float("max", math.Inf(1)))
	u := kernels.Unary{}
	var slope func(x, y T) T
	switch b.Op {
	case "Relu":
		u.Op = kernels.Relu
	case "Clip":
		u = kernels.Unary{Op: kernels.Clip, A: float64(lo), B: float64(hi)}
	case "LeakyRelu":
		u.Op, u.A = kernels.LeakyRelu, float64(alpha)
		slope = func(x, _ T) T { return where(x < 0, alpha, 1) }
	case "Elu":
		u.Op, u.A = kernels.Elu, float64(alpha)
		slope = func(x, y T) T { return where(x < 0, y+alpha, 1) }
	case "HardSwish":
		u.Op = kernels.HardSwish
		slope = func(x, _ T) T {
			if x <= -3 || x >= 3 {
				return where(x > 0, T(1), 0)
			}
			return (T(2*x) + 3) / 6
		}
	case "Sigmoid":
		u.Op, slope = kernels.SigmoidOp, func(_, y T) T { return y * (1 - y) }
	case "Tanh":
		u.Op, slope = kernels.TanhOp, func(_, y T) T { return kernels.FMA(-y, y, 1) }
	case "Exp":
		u.Op, slope = kernels.ExpOp, func(_, y T) T { return y }
	case "Log":
		u.Op, slope = kernels.LogOp, func(x, _ T) T { return 1 / x }
	case "Sqrt":
		u.Op, slope = kernels.SqrtOp, func(_, y T) T { return 0.5 / y }
	case "Rsqrt":
		u.Op, slope = kernels.Rsqrt, func(x, y T) T { return T(-0.5*y) / x }
	case "Abs":
		u.Op, slope = kernels.Abs, func(x, _ T) T { return where(x < 0, T(-1), where(x > 0, T(1), 0)) }
	case "Neg":
		u.Op, slope = kernels.Neg, func(_, _ T) T { return -1 }
	case "HardSigmoid":
		a, c := b.Attrs.Float("alpha", 0.2), b.Attrs.Float("beta", 0.5)
		u = kernels.Unary{Op: kernels.HardSigmoid, A: a, B: c}
		slope = func(_, y T) T { return where(y > 0 && y < 1, T(a), 0) }
	case "Reciprocal":
		u.Op, slope = kernels.Reciprocal, func(_, y T) T { return -y * y }
	case "Softplus":
		u.Op, slope = kernels.Softplus, func(x, _ T) T { return kernels.Sigmoid(x) }
	case "Erf":
		u.Op, slope = kernels.ErfOp, func(x, _ T) T { return T(2/math.SqrtPi) * kernels.Exp(-T(x*x)) }
	case "Gelu":
		u.Op, slope = kernels.Gelu, geluSlope[T]
		if b.Attrs.Str("approximate", "none") == "tanh" {
			u.Op, slope = kernels.GeluTanh, geluTanhSlope[T]
		}
	}
	if x := b.in[0]; (b.Op == "Relu" || b.Op == "Clip") && y.Grad != nil {
		if b.Op == "Relu" {
			lo, hi = 0, T(math.Inf(1))
		}
		r := b.elementwise(kernels.UnaryFunc[T](u), slope)
		note, clamp := b.clamp(y, lo, hi)
		b.keeps, b.sets = []*Tensor[T]{}, true
		r.note = note
		r.backward = func() {
			clamp(y.Grad)
			if b.fresh[0] {
				copy(x.Grad, y.Grad)
			} else {
				b.product.add(x.Grad, y.Grad)
			}
		}
		return r, nil
	}
	return b.elementwise(kernels.UnaryFunc[T](u), slope), nil
}

// elementwise is the rule of a function and its slope.
func (b *bound[T]) elementwise(f func(T) T, slope func(x, y T) T) rule {
	x, y := b.in[0], b.out[0]
	forward := func() {
		for i, v := range x.Data {
			y.Data[i] = f(v)
		}
	}
	backward := func() {
		for i, d := range y.Grad {
			x.Grad[i] += T(d * slope(x.Data[i], y.Data[i]))
		}
	}
	return rule{forward: forward, backward: backward}
}

func where[T Float](c bool, a, b T) T {
	if c {
		return a
	}
	return b
}

// geluSlope is Φ(x) + x φ(x), with Φ and φ of the standard normal distribution.
func geluSlope[T Float](x, _ T) T {
	cdf := T(0.5 * (1 + kernels.Erf(T(x*T(math.Sqrt2/2)))))
	pdf := T(T(1/(math.Sqrt2*math.SqrtPi)) * kernels.Exp(T(T(-0.5*x)*x)))
	return kernels.FMA(x, pdf, cdf)
}

// geluTanhSlope is that of x/2 (1 + tanh u), u = sqrt(2/π) (x + 0.044715 x³).
func geluTanhSlope[T Float](x, _ T) T {
	const c, a = math.Sqrt2 / math.SqrtPi, 0.044715
	square := T(x * x)
	t := kernels.Tanh(T(T(c*x) * kernels.FMA(a, square, 1)))
	du := T(T(c) * kernels.FMA(3*a, square, 1))
	return T(0.5*(1+t)) + T(T(T(0.5*x)*kernels.FMA(-t, t, 1))*du)
}

// binary broadcasts as numpy does: the gradient of a repeated element is the sum
// over its places, in ascending order.
func (b *bound[T]) binary() (rule, error) {
	p, q, y := b.in[0], b.in[1], b.out[0]
	if p.Data == nil || q.Data == nil {
		return rule{}, b.errorf("only float32 operands are known")
	}
	pi, qi := broadcast(p.Shape, y.Shape), broadcast(q.Shape, y.Shape)
	if b.Op == "Add" && pi == nil && qi == nil {
		return b.sum(), nil
	}
	var f func(a, b T) T
	var slopes func(a, b, y T) (da, db T)
	switch b.Op {
	case "Add":
		f, slopes = func(a, b T) T { return a + b }, func(_, _, _ T) (T, T) { return 1, 1 }
	case "Sub":
		f, slopes = func(a, b T) T { return a - b }, func(_, _, _ T) (T, T) { return 1, -1 }
	case "Mul":
		f, slopes = func(a, b T) T { return a * b }, func(a, b, _ T) (T, T) { return b, a }
	case "Div":
		f, slopes = func(a, b T) T { return a / b }, func(_, b, y T) (T, T) { return 1 / b, -y / b }
	case "Max":
		f = func(a, b T) T { return where(b > a, b, a) }
		slopes = func(a, b, _ T) (T, T) { return where(b > a, T(0), 1), where(b > a, T(1), 0) }
	case "Min":
		f = func(a, b T) T { return where(b < a, b, a) }
		slopes = func(a, b, _ T) (T, T) { return where(b < a, T(0), 1), where(b < a, T(1), 0) }
	case "Pow":
		f = kernels.Pow[T]
		slopes = func(a, b, y T) (T, T) {
			var da, db T
			if b != 0 {
				da = T(b * kernels.Pow(a, b-1))
			}
			if a > 0 {
				db = T(y * kernels.Log(a))
			}
			return da, db
		}
	case "SquaredDifference":
		f = func(a, b T) T { return T((a - b) * (a - b)) }
		slopes = func(a, b, _ T) (T, T) { return 2 * (a - b), 2 * (b - a) }
	}
	at := func(idx []int32, i int) int {
		if idx == nil {
			return i
		}
		return int(idx[i])
	}
	forward := func() {
		for i := range y.Data {
			y.Data[i] = f(p.Data[at(pi, i)], q.Data[at(qi, i)])
		}
	}
	backward := func() {
		for i, d := range y.Grad {
			j, k := at(pi, i), at(qi, i)
			dp, dq := slopes(p.Data[j], q.Data[k], y.Data[i])
			if p.Grad != nil {
				p.Grad[j] += T(d * dp)
			}
			if q.Grad != nil {
				q.Grad[k] += T(d * dq)
			}
		}
	}
	return rule{forward: forward, backward: backward}, nil
}

// sum is the Add of two tensors of one shape, as residual networks have it.
func (b *bound[T]) sum() rule {
	p, q, y := b.in[0], b.in[1], b.out[0]
	b.keeps, b.sets = []*Tensor[T]{}, true
	forward := func() {
		copy(y.Data, p.Data)
		b.product.add(y.Data, q.Data)
	}
	backward := func() {
		for i, x := range b.in {
			switch {
			case x.Grad == nil:
			case b.fresh[i]:
				copy(x.Grad, y.Grad)
			default:
				b.product.add(x.Grad, y.Grad)
			}
		}
	}
	return rule{forward: forward, backward: backward}
}

// broadcast lists for each element of y the element of x that is there; nil when
// the shapes are the same.
func broadcast(x, y []int) []int32 {
	st, lead := strides(x), len(y)-len(x)
	if lead == 0 && elems(x) == elems(y) {
		return nil
	}
	list := make([]int32, 0, elems(y))
	walk(y, func(at []int) {
		k := 0
		for i, s := range st {
			if x[i] > 1 {
				k += at[lead+i] * s
			}
		}
		list = append(list, int32(k))
	})
	return list
}

// softmax along the innermost axis: dx = y (dy - Σ dy y).
func (b *bound[T]) softmax() rule {
	x, y := b.in[0], b.out[0]
	n := x.Shape[len(x.Shape)-1]
	prod := make([]T, n)
	forward := func() { kernels.Softmax(y.Data, x.Data, n, 0, len(x.Data)/n) }
	backward := func() {
		for i := 0; i < len(x.Data); i += n {
			yi, dy := y.Data[i:][:n], y.Grad[i:][:n]
			for j, d := range dy {
				prod[j] = T(d * yi[j])
			}
			s := sum16(prod)
			for j, d := range dy {
				x.Grad[i+j] += T(yi[j] * (d - s))
			}
		}
	}
	return rule{forward: forward, backward: backward}
}

// logSoftmax along the innermost axis: dx = dy - exp(y) Σ dy.
func (b *bound[T]) logSoftmax() rule {
	x, y := b.in[0], b.out[0]
	n := x.Shape[len(x.Shape)-1]
	forward := func() { kernels.LogSoftmax(y.Data, x.Data, n, 0, len(x.Data)/n) }
	backward := func() {
		for i := 0; i < len(x.Data); i += n {
			s := sum16(y.Grad[i:][:n])
			for j := range n {
				x.Grad[i+j] += y.Grad[i+j] - T(kernels.Exp(y.Data[i+j])*s)
			}
		}
	}
	return rule{forward: forward, backward: backward}
}

// reduce spreads the gradient of a sum or mean, and sends that of a maximum to
// the first element that has it (that of a minimum likewise).
func (b *bound[T]) reduce() (rule, error) {
	x, y := b.in[0], b.out[0]
	if x.Data == nil {
		return rule{}, b.errorf("only float32 is known")
	}
	kept := append([]int(nil), x.Shape...)
	var axes []int
	for _, a := range b.Attrs.Ints("axes") {
		axes = append(axes, int(a))
		if a < 0 {
			a += int64(len(kept))
		}
		kept[a] = 1
	}
	r, err := kernels.NewReduce(x.Shape, axes)
	if err != nil {
		return rule{}, b.errorf("%v", err)
	}
	to := broadcast(kept, x.Shape)
	at := func(i int) int {
		if to == nil {
			return i
		}
		return int(to[i])
	}
	count := T(1)
	if b.Op == "ReduceMean" {
		count = T(r.Count)
	}
	if b.Op == "ReduceMax" || b.Op == "ReduceMin" {
		extreme := kernels.ReduceMax[T]
		if b.Op == "ReduceMin" {
			extreme = kernels.ReduceMin[T]
		}
		won := make([]int, len(y.Data))
		forward := func() {
			extreme(r, y.Data, x.Data)
			for i, v := range slices.Backward(x.Data) {
				if o := at(i); v == y.Data[o] {
					won[o] = i
				}
			}
		}
		backward := func() {
			for o, i := range won {
				x.Grad[i] += y.Grad[o]
			}
		}
		return rule{forward: forward, backward: backward}, nil
	}
	forward := func() {
		switch src := any(x.Data).(type) {
		case []float32:
			r.Sum32(any(y.Data).([]float32), src)
		case []float64:
			r.Sum64(any(y.Data).([]float64), src)
		}
		for i := range y.Data {
			y.Data[i] /= count
		}
	}
	backward := func() {
		for i := range x.Grad {
			x.Grad[i] += y.Grad[at(i)] / count
		}
	}
	return rule{forward: forward, backward: backward}, nil
}

package kernels

import "math"

// UnaryOp names an element-wise function of one argument.
type UnaryOp uint8

// The element-wise functions. A and B are fields of [Unary].
const (
	Relu        UnaryOp = iota // x < 0 ? +0 : x
	Clip                       // x < A ? A : x > B ? B : x
	LeakyRelu                  // x < 0 ? A*x : x
	Elu                        // x < 0 ? A*(e**x - 1) : x
	HardSwish                  // x * clip(x+3, 0, 6) / 6
	HardSigmoid                // clip(A*x + B, 0, 1)
	SigmoidOp                  // 1 / (1 + e**-x)
	TanhOp
	ExpOp
	LogOp
	SqrtOp
	Rsqrt // 1 / sqrt(x)
	Abs
	Neg
	ErfOp
	Gelu     // x/2 * (1 + erf(x/sqrt 2))
	GeluTanh // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x**3)))
	Floor
	Ceil
	Round // to nearest, ties to even
	Reciprocal
	Square
	Softplus // log(1 + e**x)
	Silu     // x * sigmoid(x)
)

// A Unary is an element-wise function with its parameters.
type Unary struct {
	Op   UnaryOp
	A, B float64
}

// ApplyUnary sets dst[i] = f(src[i]). dst and src have the same length and are the
// same slice or do not overlap. NaN stays NaN through every function.
func ApplyUnary[T Float](u Unary, dst, src []T) {
	dst = dst[:len(src)]
	a, b := T(u.A), T(u.B)
	switch u.Op {
	case Relu:
		for i, x := range src {
			if x < 0 {
				x = 0
			}
			dst[i] = x
		}
	case Clip:
		for i, x := range src {
			dst[i] = clampFloat(x, a, b)
		}
	case LeakyRelu:
		for i, x := range src {
			if x < 0 {
				x = a * x
			}
			dst[i] = x
		}
	default:
		f := UnaryFunc[T](u)
		for i, x := range src {
			dst[i] = f(x)
		}
	}
}

// ApplyUnaryAt is [ApplyUnary] on float32 with the kernels of a level. f is
// UnaryFunc(u), made once by the caller because making it allocates.
func ApplyUnaryAt(l Level, u Unary, f func(float32) float32, dst, src []float32) {
	dst = dst[:len(src)]
	done := inChunks(len(src), chunk, func(from, to int) int { return unaryFront(l, u, dst[from:to], src[from:]) })
	dst, src = dst[done:], src[done:]
	var buf [widest]float32
	if copy(buf[:], src) == len(src) && unaryFront(l, u, buf[:], buf[:]) > 0 {
		copy(dst, buf[:])
		return
	}
	switch u.Op {
	case Relu, Clip, LeakyRelu: // these have loops of their own
		ApplyUnary(u, dst, src)
		return
	}
	for i, x := range src {
		dst[i] = f(x)
	}
}

// UnaryFunc returns the function on one element, for [MakeTable].
func UnaryFunc[T Float](u Unary) func(T) T {
	a, b := T(u.A), T(u.B)
	switch u.Op {
	case Relu:
		return func(x T) T {
			if x < 0 {
				return 0
			}
			return x
		}
	case Clip:
		return func(x T) T { return clampFloat(x, a, b) }
	case LeakyRelu:
		return func(x T) T {
			if x < 0 {
				return a * x
			}
			return x
		}
	case Elu:
		return func(x T) T {
			if x < 0 {
				return a * Expm1(x)
			}
			return x
		}
	case HardSwish:
		return func(x T) T { return T(x*clampFloat(x+3, 0, 6)) / 6 }
	case HardSigmoid:
		return func(x T) T { return clampFloat(FMA(a, x, b), 0, 1) }
	case SigmoidOp:
		return Sigmoid[T]
	case TanhOp:
		return Tanh[T]
	case ExpOp:
		return Exp[T]
	case LogOp:
		return Log[T]
	case SqrtOp:
		return Sqrt[T]
	case Rsqrt:
		return func(x T) T { return 1 / Sqrt(x) }
	case Abs:
		return func(x T) T { return T(math.Abs(float64(x))) }
	case Neg:
		return func(x T) T { return -x }
	case ErfOp:
		return Erf[T]
	case Gelu:
		return func(x T) T { return T(0.5*x) * (1 + Erf(x*T(math.Sqrt2/2))) }
	case GeluTanh:
		return geluTanh[T]
	case Floor:
		return func(x T) T { return T(math.Floor(float64(x))) }
	case Ceil:
		return func(x T) T { return T(math.Ceil(float64(x))) }
	case Round:
		return func(x T) T { return T(math.RoundToEven(float64(x))) }
	case Reciprocal:
		return func(x T) T { return 1 / x }
	case Square:
		return func(x T) T { return x * x }
	case Softplus:
		return func(x T) T { // max(x, 0) + log1p(e**-|x|), so nothing overflows
			l := Log(1 + Exp(-T(math.Abs(float64(x)))))
			if x > 0 {
				return x + l
			}
			return l
		}
	case Silu:
		return func(x T) T { return x * Sigmoid(x) }
	}
	return func(x T) T { return x }
}

func geluTanh[T Float](x T) T {
	const c = 0.797884560802865355879892119868763737 // sqrt(2/pi)
	u := T(T(0.044715) * T(T(x*x)*x))
	return T(0.5*x) * (1 + Tanh(c*T(x+u)))
}

package grad

import (
	"math"

	"github.com/whet-edge/whet/kernels"
)

// trigs are the trigonometric and hyperbolic functions, in float64, and their slopes
// from the argument and the value.
func trigs() map[string]trigonometric {
	return map[string]trigonometric{
		"Sin":   {kernels.Sin, math.Sin, func(x, _ float64) float64 { return cosine(x) }},
		"Cos":   {kernels.Cos, math.Cos, func(x, _ float64) float64 { return -sine(x) }},
		"Tan":   {kernels.Tan, math.Tan, func(_, y float64) float64 { return 1 + float64(y*y) }},
		"Asin":  {kernels.Asin, math.Asin, func(x, _ float64) float64 { return 1 / math.Sqrt(1-float64(x*x)) }},
		"Acos":  {kernels.Acos, math.Acos, func(x, _ float64) float64 { return -1 / math.Sqrt(1-float64(x*x)) }},
		"Atan":  {kernels.Atan, math.Atan, func(x, _ float64) float64 { return 1 / (1 + float64(x*x)) }},
		"Sinh":  {kernels.Sinh, math.Sinh, func(_, y float64) float64 { return math.Sqrt(1 + float64(y*y)) }},
		"Cosh":  {kernels.Cosh, math.Cosh, func(x, y float64) float64 { return math.Copysign(math.Sqrt(float64(y*y)-1), x) }},
		"Asinh": {kernels.Asinh, math.Asinh, func(x, _ float64) float64 { return 1 / math.Sqrt(float64(x*x)+1) }},
		"Acosh": {kernels.Acosh, math.Acosh, func(x, _ float64) float64 { return 1 / math.Sqrt(float64(x*x)-1) }},
		"Atanh": {kernels.Atanh, math.Atanh, func(x, _ float64) float64 { return 1 / (1 - float64(x*x)) }},
	}
}

type trigonometric struct {
	op    kernels.TrigOp
	wide  func(float64) float64
	slope func(x, y float64) float64
}

// trig returns such a function and its slope, in float32 with the kernels' bits.
func trig[T Float](op string) (f func(T) T, slope func(x, y T) T) {
	t := trigs()[op]
	narrow := kernels.TrigFunc(t.op)
	f = func(x T) T {
		if _, ok := any(x).(float32); ok {
			return T(narrow(float32(x)))
		}
		return T(t.wide(float64(x)))
	}
	return f, func(x, y T) T { return T(t.slope(float64(x), float64(y))) }
}

func sine(x float64) float64 { return float64(kernels.TrigFunc(kernels.Sin)(float32(x))) }

func cosine(x float64) float64 { return float64(kernels.TrigFunc(kernels.Cos)(float32(x))) }

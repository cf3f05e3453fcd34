package grad

// The rules of rare ops, where a program has them.
var (
	rare32 func(*bound[float32]) (rule, error)
	rare64 func(*bound[float64]) (rule, error)
)

// RareOps makes the gradients of ops known that few tails have. Package grad/more
// calls it: programs that do not import that do not carry them.
func RareOps() { rare32, rare64 = rareRule[float32], rareRule[float64] }

// rareRule is for functions, not methods: whoever makes a bound node carries the types
// of its methods.
func rareRule[T Float](b *bound[T]) (rule, error) {
	switch b.Op {
	case "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan":
		f, slope := trig[T](b.Op)
		return b.elementwise(f, slope), nil
	case "LSTM":
		return lstm(b)
	case "GRU", "RNN":
		return gru(b, b.Op == "RNN")
	case "GatherElements", "GatherND":
		return b.chosen(b.Op == "GatherND")
	case "ScatterElements", "ScatterND":
		return b.replaced(b.Op == "ScatterND")
	case "Where":
		return b.choose()
	case "CumSum":
		return b.cumSum()
	case "Resize":
		return b.resize()
	}
	return rule{}, b.errorf("this op has no gradient")
}

package grad

import (
	"math"

	"github.com/whet-edge/whet/kernels"
)

// A Code is how a byte stands for a real number: scale · (code - zero), with codes from
// -128 to 127 or, unsigned, from 0 to 255.
type Code struct {
	Scale    float32
	Zero     int32
	Unsigned bool
}

// zero returns the zero point of codes from -128 to 127.
func (c *Code) zero() int32 {
	if c.Unsigned {
		return c.Zero - 128
	}
	return c.Zero
}

// round puts a tensor's values on its grid.
func (t *Tape[T]) round(x *Tensor[T]) {
	codes, n := x.codes, len(x.Data)
	if codes == nil {
		codes = t.briefly(n)
	}
	if v, ok := any(x.Data).([]float32); ok {
		a := kernels.PerTensor(n, x.code.Scale, x.code.zero())
		a.Level = t.product.level().Elementwise()
		kernels.Quantize(&a, codes, v)
	} else {
		s, z := float64(x.code.Scale), float64(x.code.zero())
		for i, v := range x.Data {
			codes[i] = int8(max(-128, min(127, math.RoundToEven(float64(v)/s)+z)))
		}
	}
	t.decode(x.Data, codes, x.code)
}

// decode writes the real numbers of codes.
func (t *Tape[T]) decode(dst []T, codes []int8, c *Code) {
	if v, ok := any(dst).([]float32); ok {
		a := kernels.PerTensor(len(codes), c.Scale, c.zero())
		a.Level = t.product.level().Elementwise()
		kernels.Dequantize(&a, v, codes)
		return
	}
	z := c.zero()
	for i, q := range codes {
		dst[i] = T(c.Scale) * T(int32(q)-z)
	}
}

// briefly returns n codes that all nodes share.
func (t *Tape[T]) briefly(n int) []int8 {
	if len(t.brief) < n {
		t.brief = make([]int8, n)
	}
	return t.brief[:n]
}

// keepCodes makes Forward keep a tensor's codes.
func (b *bound[T]) keepCodes(x *Tensor[T]) {
	if x.codes == nil {
		x.codes = make([]int8, len(x.Data))
		b.hold(len(x.codes))
	}
}

// realsOf returns memory for n values that all nodes share.
func (t *Tape[T]) realsOf(n int) []T {
	if len(t.reals) < n {
		t.reals = make([]T, n)
	}
	return t.reals[:n]
}

// kept returns the values of what a layer reads, on the way back.
func (b *bound[T]) kept(x *Tensor[T]) []T {
	if x.codes == nil {
		return x.Data
	}
	v := b.tape.realsOf(len(x.codes))
	b.tape.decode(v, x.codes, x.code)
	return v
}

// codePanel returns how many columns of n samples' codes are real numbers at a time,
// for a layer of in inputs and out outputs, and how many elements that takes.
func codePanel(n, in, out int) (columns, room int) {
	columns = max(16, min(256, 1<<16/(n+out)&^15))
	if columns >= in { // the sums need no other place
		return in, n * in
	}
	return columns, (n + out) * columns
}

// codedGrad adds dyᵀ x of n samples to dw [out, in], one chain over the samples, for
// codes x.
func (b *bound[T]) codedGrad(dw []T, x []int8, c *Code, dy []T, n, in, out int) {
	columns, room := codePanel(n, in, out)
	v := b.tape.realsOf(room)
	for k := 0; k < in; k += columns {
		w := min(columns, in-k)
		for i := range n {
			b.tape.decode(v[i*w:][:w], x[i*in+k:][:w], c)
		}
		if w == in {
			b.product.denseGrad(dw, v, dy, n, in, out)
			return
		}
		sums := v[n*columns:][:out*w]
		clear(sums)
		b.product.denseGrad(sums, v[:n*w], dy, n, w, out)
		for o := range out {
			addTo(dw[o*in+k:][:w], sums[o*w:][:w])
		}
	}
}

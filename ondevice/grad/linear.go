package grad

import (
	"math"

	"github.com/whet-edge/whet/kernels"
)

// Linear is a dense float32 layer on the matrix kernels of a level. Its results
// are those of [Dense] and [DenseWeightGrad], bit for bit. It is not for
// concurrent use.
type Linear struct {
	In, Out int

	level   kernels.Level
	w, b    []float32
	forward map[int]*kernels.Conv // packed weights, by number of rows
	result  []float32
	scratch []byte
}

// NewLinear makes a layer that runs on level.
func NewLinear(level kernels.Level, in, out int) *Linear {
	return &Linear{In: in, Out: out, level: level, forward: map[int]*kernels.Conv{}}
}

// SetWeights makes the following calls of Forward use w [out, in] and b [out].
// They are read when Forward first sees a number of rows, so they must stay as
// they are until the next SetWeights.
func (l *Linear) SetWeights(w, b []float32) {
	l.w, l.b = w, b
	clear(l.forward)
}

// Forward computes y = x wᵀ + b for n rows: x is [n, in], y is [n, out].
func (l *Linear) Forward(y, x []float32, n int) error {
	c := l.forward[n]
	if c == nil {
		var err error
		if c, err = l.product(n, l.Out, l.In, l.w, l.b); err != nil {
			return err
		}
		l.forward[n] = c
	}
	l.run(c, y, x)
	return nil
}

// WeightGrad computes the columns [k, k+w) of dw = dyᵀ x over n samples, each
// element one chain over the samples. The operands come transposed: xt is
// [w, n], those columns of x, and dyt is [out, n]; dw is the whole [out, in].
func (l *Linear) WeightGrad(dw, xt, dyt []float32, k, w, n int) error {
	c, err := l.product(w, l.Out, n, dyt[:l.Out*n], nil)
	if err != nil {
		return err
	}
	if len(l.result) < w*l.Out {
		l.result = make([]float32, w*l.Out)
	}
	l.run(c, l.result, xt)
	for o := range l.Out {
		row := dw[o*l.In+k:][:w]
		for i := range row {
			row[i] = l.result[i*l.Out+o]
		}
	}
	return nil
}

// product packs b [n, k] for the matrix product a[m, k] bᵀ.
func (l *Linear) product(m, n, k int, b, bias []float32) (*kernels.Conv, error) {
	inf := float32(math.Inf(1))
	return kernels.NewConv(l.level, &kernels.ConvParams{
		Shape: kernels.GemmShape(m, n, k), Weights: b, Bias: bias, Lo: -inf, Hi: inf,
	})
}

func (l *Linear) run(c *kernels.Conv, dst, src []float32) {
	if n := c.Scratch(); len(l.scratch) < n {
		l.scratch = make([]byte, n)
	}
	c.Run(dst, src, l.scratch, 0, c.Tasks())
}

package grad

import "github.com/whet-edge/whet/kernels"

// Linear is a dense float32 layer on the matrix kernels of a level. Its results
// are those of [Dense] and [DenseWeightGrad], bit for bit. It is not for
// concurrent use.
type Linear struct {
	In, Out int

	level   kernels.Level
	w, b    []float32
	forward map[int]*kernels.Conv          // packed weights, by number of rows
	stale   map[int]bool                   // those that hold other weights
	weights map[[2]int]*kernels.WeightGrad // by number of rows and of columns
	result  []float32
	scratch []byte
}

// NewLinear makes a layer that runs on level.
func NewLinear(level kernels.Level, in, out int) *Linear {
	return &Linear{
		In: in, Out: out, level: level,
		forward: map[int]*kernels.Conv{}, stale: map[int]bool{}, weights: map[[2]int]*kernels.WeightGrad{},
	}
}

// SetWeights makes the following calls of Forward use w [out, in] and b [out].
// They are read when Forward next sees a number of rows, so they must stay as
// they are until the next SetWeights.
func (l *Linear) SetWeights(w, b []float32) {
	l.w, l.b = w, b
	for n := range l.forward {
		l.stale[n] = true
	}
}

// Forward computes y = x wᵀ + b for n rows: x is [n, in], y is [n, out].
func (l *Linear) Forward(y, x []float32, n int) error {
	c := l.forward[n]
	switch {
	case c == nil:
		lo, hi := unbounded[float32]()
		var err error
		if c, err = kernels.NewConv(l.level, &kernels.ConvParams{
			Shape: kernels.GemmShape(n, l.Out, l.In), Weights: l.w, Bias: l.b, Lo: lo, Hi: hi,
		}); err != nil {
			return err
		}
		if len(l.forward) == 2 { // of blocks and of the last of a batch: others are rare
			clear(l.forward)
		}
		l.forward[n], l.stale[n] = c, false
	case l.stale[n]:
		c.SetWeights(l.w, l.b)
		l.stale[n] = false
	}
	c.Run(y, x, l.room(c.Scratch()), 0, c.Tasks())
	return nil
}

// WeightGrad computes the columns [k, k+w) of dw = dyᵀ x over n samples, each
// element one chain over the samples: x is [n, w], those columns of x, dy is
// [n, out], and dw is the whole [out, in].
func (l *Linear) WeightGrad(dw, x, dy []float32, k, w, n int) error {
	g := l.weights[[2]int{n, w}]
	if g == nil {
		var err error
		if g, err = kernels.NewWeightGrad(l.level, kernels.GemmShape(n, l.Out, w)); err != nil {
			return err
		}
		l.weights[[2]int{n, w}] = g
	}
	sums := dw
	if w < l.In {
		if len(l.result) < l.Out*w {
			l.result = make([]float32, l.Out*w)
		}
		sums = l.result
	}
	clear(sums[:l.Out*w])
	g.Run(sums[:l.Out*w], x, dy, l.room(g.Scratch()), 0, g.Tasks())
	if w < l.In {
		for o := range l.Out {
			copy(dw[o*l.In+k:][:w], sums[o*w:])
		}
	}
	return nil
}

func (l *Linear) room(n int) []byte {
	if len(l.scratch) < n {
		l.scratch = make([]byte, n)
	}
	return l.scratch
}

package grad

import (
	"fmt"
	"math"

	"github.com/whet-edge/whet/kernels"
)

// A layer is the three products of a convolution or a dense layer. With the
// positions p of its outputs in ascending order,
//
//	y[p,o]  = clamp(Σ over taps and channels, ascending, x w + b[o])
//	dx[i]   = Σ over the positions that saw x[i], and in each over o, of dy w
//	dw     += Σ over the positions of an image of dy x, image after image
//
// each sum one chain of fused multiply-adds from +0.
type layer[T Float] interface {
	// set makes the following calls use w and b, which is nil for zeros. They may be
	// copied, and must not change before the next set.
	set(w, b []T)
	forward(y, x []T)
	inputGrad(dx, dy []T) // overwrites dx
	weightGrad(dw, x, dy []T)
}

// newLayer makes the layer of a shape that was checked; back says that inputGrad
// will be called.
func (b *bound[T]) newLayer(s kernels.ConvShape, back bool) layer[T] {
	p, ok := any(b.product).(*leveled)
	if !ok {
		return &portableLayer[T]{s: s, lo: b.lo, hi: b.hi}
	}
	c, err := kernels.NewConvTrainer(p.l, s, float32(b.lo), float32(b.hi), back)
	if err != nil {
		panic(fmt.Sprintf("grad: node %q: %v", b.Name, err)) // the shape rules have checked the sizes
	}
	b.tape.bytes += int64(c.Bytes() + p.room(c.Scratch()))
	return any(&levelLayer{p, c, macs(s)}).(layer[T])
}

// portableLayer is the layer that defines the bits of all.
type portableLayer[T Float] struct {
	s      kernels.ConvShape
	lo, hi T
	w, b   []T
}

func (l *portableLayer[T]) set(w, b []T) { l.w, l.b = w, b }

func (l *portableLayer[T]) forward(y, x []T) {
	kernels.ConvForward(&l.s, y, x, l.w, l.b)
	for i, v := range y {
		y[i] = where(v < l.lo, l.lo, where(v > l.hi, l.hi, v))
	}
}

func (l *portableLayer[T]) inputGrad(dx, dy []T) { kernels.ConvInputGrad(&l.s, dx, dy, l.w) }

func (l *portableLayer[T]) weightGrad(dw, x, dy []T) { kernels.ConvWeightGrad(&l.s, dw, x, dy) }

// levelLayer is a layer on the kernels of a level.
type levelLayer struct {
	p *leveled
	*kernels.ConvTrainer
	macs int // of each of the three
}

func (l *levelLayer) set(w, b []float32) { l.SetWeights(w, b) }

func (l *levelLayer) forward(y, x []float32) {
	l.p.run(l.macs, l.ForwardTasks(), l.ConvTrainer.Forward, y, x)
}

func (l *levelLayer) inputGrad(dx, dy []float32) {
	l.p.run(l.macs, l.InputGradTasks(), l.InputGrad, dx, dy)
}

func (l *levelLayer) weightGrad(dw, x, dy []float32) {
	l.p.weightGrad(l.WeightGrad(), l.macs, dw, x, dy)
}

// macs returns the multiply-adds of a layer.
func macs(s kernels.ConvShape) int { return s.N * s.OH * s.OW * s.O * s.KH * s.KW * (s.C / s.Groups) }

// unbounded are the bounds of results that nothing clamps.
func unbounded[T Float]() (lo, hi T) { return T(math.Inf(-1)), T(math.Inf(1)) }

// Package quant turns a float graph into an integer one.
//
// Two schemes are here: [Dynamic] stores the weights of convolutions and matrix
// products as int8 and leaves the activations float (they are quantized while
// the model runs), and [Static] quantizes the activations too, with ranges
// observed on calibration samples, so that the result is integer end to end.
//
// Weights are symmetric in [-127, 127], one scale an output channel;
// activations are asymmetric int8, one scale a tensor (Jacob et al., 2018,
// arXiv:1712.05877, section 3).
package quant

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// Activation returns the int8 quantization of a tensor whose real values lie in
// [lo, hi]. The range is widened to hold 0, which is exactly representable:
// padding and ReLU need it.
func Activation(lo, hi float32) *format.Quant {
	l, h := min(float64(lo), 0), max(float64(hi), 0)
	if h == l {
		return format.PerTensor(1, 0)
	}
	scale := float32((h - l) / 255)
	if scale == 0 { // the range lies among the subnormal numbers
		return format.PerTensor(math.SmallestNonzeroFloat32, 0)
	}
	zero := math.RoundToEven(-128 - l/float64(scale))
	return format.PerTensor(scale, int32(min(max(zero, -128), 127)))
}

// Weights quantizes w, of which shape[0] is the output channel, symmetrically
// and per channel: scale[c] = max|w[c]|/127, code = rne(w/scale). A channel of
// zeros gets scale 1.
func Weights(w []float32, shape format.Shape) ([]int8, *format.Quant) {
	q := &format.Quant{Scale: make([]float32, shape[0])}
	codes := make([]int8, len(w))
	n := len(w) / max(shape[0], 1)
	for c := range q.Scale {
		row := w[c*n : (c+1)*n]
		var most float32
		for _, x := range row {
			most = max(most, abs(x))
		}
		scale := most / 127
		if scale == 0 {
			scale = 1
		}
		q.Scale[c] = scale
		for i, x := range row {
			r := math.RoundToEven(float64(x) / float64(scale))
			codes[c*n+i] = int8(min(max(r, -127), 127))
		}
	}
	return codes, q
}

// Bias quantizes a bias to int32 with scale sx*sw[c], which makes it an addend
// of the accumulator. It saturates.
func Bias(b []float32, sx float32, w *format.Quant) ([]int32, *format.Quant) {
	q := &format.Quant{Scale: make([]float32, len(w.Scale))}
	for i, s := range w.Scale {
		q.Scale[i] = sx * s
	}
	codes := make([]int32, len(b))
	for i, x := range b {
		s := float64(sx) * float64(w.Scale[min(i, len(w.Scale)-1)])
		r := math.RoundToEven(float64(x) / s)
		codes[i] = int32(min(max(r, math.MinInt32), math.MaxInt32))
	}
	return codes, q
}

// quantize is the code of one real value: clamp(rne(x/scale) + zero).
func quantize(x float32, q *format.Quant) int8 {
	r := math.RoundToEven(float64(x/q.Scale[0])) + float64(q.ZeroPoint())
	return int8(min(max(r, -128), 127))
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

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
		q.Scale[c] = rowScale(row)
		round(codes[c*n:(c+1)*n], row, q.Scale[c])
	}
	return codes, q
}

// rowScale is the scale at which a row's greatest weight is code 127.
func rowScale(row []float32) float32 {
	scale := largest(row) / 127
	if scale == 0 {
		return 1
	}
	return scale
}

// round sets codes to rne(x/scale) in [-127, 127].
func round(codes []int8, x []float32, scale float32) {
	for i, v := range x {
		r := math.RoundToEven(float64(v) / float64(scale))
		codes[i] = int8(min(max(r, -127), 127))
	}
}

// scaled quantizes rows of weights by scales that they have already, one a row
// or one for all.
func scaled(w, scales []float32, rows int) ([]int8, *format.Quant) {
	k := len(w) / max(rows, 1)
	codes, q := make([]int8, len(w)), &format.Quant{Scale: make([]float32, rows)}
	for c := range rows {
		q.Scale[c] = scales[min(c, len(scales)-1)]
		round(codes[c*k:(c+1)*k], w[c*k:(c+1)*k], q.Scale[c])
	}
	return codes, q
}

// fit quantizes the bias (nil: none) of a linear layer with weights w, of which
// codes and wq are the quantization, and an input of scale sx. The bias is of
// scale sx*sw[c], an addend of the accumulator.
//
// A channel whose weights are tiny beside its bias (what folding the batch norm
// of a dead channel leaves) has a scale at which the bias overflows; one with
// very many weights can overflow the sum. Its scale is doubled until the
// greatest possible sum fits in 31 bits: it has precision to spare. Sums of
// int16 activations are 64 bits wide and always fit.
func fit(w, bias []float32, codes []int8, wq *format.Quant, sx float32, x width) (b []int64, bq *format.Quant) {
	rows := len(wq.Scale)
	k := len(w) / max(rows, 1)
	most := x.mostBias()
	if bias != nil {
		b, bq = make([]int64, rows), &format.Quant{Scale: make([]float32, rows)}
	}
	for c := range rows {
		row := codes[c*k : (c+1)*k]
		for {
			sum, add := int64(0), 0.0
			for _, v := range row {
				sum += max(int64(v), -int64(v))
			}
			if bias != nil {
				add = math.RoundToEven(float64(bias[c]) / (float64(sx) * float64(wq.Scale[c])))
			}
			if math.Abs(add)+float64(255*sum) < math.MaxInt32 || x.typ == format.Int16 || math.IsInf(float64(2*wq.Scale[c]), 0) {
				if bias != nil {
					b[c] = int64(min(max(add, -most), most))
					bq.Scale[c] = sx * wq.Scale[c]
				}
				break
			}
			wq.Scale[c] *= 2
			round(row, w[c*k:(c+1)*k], wq.Scale[c])
		}
	}
	return b, bq
}

// quantize is the code of one real value: clamp(rne(x/scale) + zero).
func quantize(x float32, q *format.Quant) int8 {
	r := math.RoundToEven(float64(x/q.Scale[0])) + float64(q.ZeroPoint())
	return int8(min(max(r, -128), 127))
}

// roundEven is rne(x).
func roundEven(x float32) float32 { return float32(math.RoundToEven(float64(x))) }

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// largest is the greatest magnitude in x.
func largest(x []float32) float32 {
	var most float32
	for _, v := range x {
		most = max(most, abs(v))
	}
	return most
}

func span(x []float32) (lo, hi float32) {
	for i, v := range x {
		if i == 0 || v < lo {
			lo = v
		}
		if i == 0 || v > hi {
			hi = v
		}
	}
	return lo, hi
}

package kernels

import (
	"encoding/binary"
	"math"
)

// Integer is the types that hold codes of quantized tensors and indices.
type Integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// Code is the types that codes of quantized activations have.
type Code interface{ int8 | int16 | int32 }

// limits returns the least and the greatest value of a type of codes.
func limits[T Code]() (lo, hi int32) {
	switch any(T(0)).(type) {
	case int8:
		return math.MinInt8, math.MaxInt8
	case int16:
		return math.MinInt16, math.MaxInt16
	}
	return math.MinInt32, math.MaxInt32
}

// QuantizeOne returns the code of the real number x:
//
//	clamp(rne(x/scale) + zero, lo, hi)
//
// with the quotient rounded to float32 and rne rounding to nearest, ties to
// even, as ONNX's QuantizeLinear. NaN takes the code of 0. The result is right
// for |zero|, |lo|, |hi| up to 2**31-1.
func QuantizeOne(x, scale float32, zero, lo, hi int32) int32 {
	q := float64(x / scale)
	// Clamped before it is converted: an out-of-range conversion differs
	// between CPUs. Bounds and q are integers or float32: exact in float64.
	if q < float64(lo)-float64(zero) {
		return lo
	}
	if q > float64(hi)-float64(zero) {
		return hi
	}
	if q != q {
		q = 0
	}
	r := int64(math.RoundToEven(q)) + int64(zero)
	return int32(min(max(r, int64(lo)), int64(hi)))
}

// An Affine is the quantization of a tensor seen as [Outer][Channels][Inner]:
// channel c has Scale[c] and Zero[c]. Per-tensor quantization is one channel;
// an empty Zero is all zero.
type Affine struct {
	Scale                  []float32
	Zero                   []int32
	Outer, Channels, Inner int

	Level Level // of the kernels; the zero value is portable Go
}

// PerTensor is the quantization of n elements with one scale and zero point.
func PerTensor(n int, scale float32, zero int32) Affine {
	return Affine{Scale: []float32{scale}, Zero: []int32{zero}, Outer: 1, Channels: 1, Inner: n}
}

func (a *Affine) channel(c int) (scale float32, zero int32) {
	if len(a.Zero) > 0 {
		zero = a.Zero[c]
	}
	return a.Scale[c], zero
}

// Quantize sets dst to the codes of src (see [QuantizeOne]), saturated to T.
func Quantize[T Code](a *Affine, dst []T, src []float32) {
	lo, hi := limits[T]()
	for i := 0; i < a.Outer*a.Channels; i++ {
		s, z := a.channel(i % a.Channels)
		d, x := dst[i*a.Inner:][:a.Inner], src[i*a.Inner:][:a.Inner]
		if hi <= math.MaxInt16 {
			quantizeSmall(a.Level, d, x, s, z, float32(lo-z), float32(hi-z))
			continue
		}
		for j, v := range x {
			d[j] = T(QuantizeOne(v, s, z, lo, hi))
		}
	}
}

// quantizeSmall is QuantizeOne for codes of at most 16 bits, where all that
// is inside the clamp is exact in float32; lo and hi are relative to zero.
func quantizeSmall[T Code](l Level, dst []T, src []float32, scale float32, zero int32, lo, hi float32) {
	dst = dst[:len(src)]
	if d, ok := any(dst).([]int8); ok {
		done := inChunks(len(src), 16*chunk, func(from, to int) int {
			return quantizeDivFront(l, d[from:to], src[from:], scale, lo, hi, zero)
		})
		dst, src = dst[done:], src[done:]
	}
	for i, x := range src {
		dst[i] = T(zero + roundEven(clampFloat(finite(x/scale), lo, hi)))
	}
}

// Dequantize sets dst[i] = float32(src[i]-zero) * scale.
func Dequantize[T Integer](a *Affine, dst []float32, src []T) {
	for i := 0; i < a.Outer*a.Channels; i++ {
		s, z := a.channel(i % a.Channels)
		d, x := dst[i*a.Inner:][:a.Inner], src[i*a.Inner:][:a.Inner]
		if codes, ok := any(x).([]int8); ok {
			done := inChunks(len(x), 16*chunk, func(from, to int) int { return dequantizeFront(a.Level, d[from:to], codes[from:], s, z) })
			d, x = d[done:], x[done:]
		}
		for j, q := range x {
			d[j] = float32(int64(q)-int64(z)) * s
		}
	}
}

// A Rescale changes the parameters, and maybe the type, of codes:
//
//	y = OutZero + rne(clamp((x-InZero) * m)),  m = InScale/OutScale
//
// Between 8-bit types the arithmetic is that of the int8 kernels (m and the
// product in float32); as soon as one side is wider it is float64, for a
// float32 cannot tell 32-bit codes apart.
type Rescale struct {
	InZero, OutZero int32
	m               float64
}

// NewRescale returns the Rescale between two per-tensor quantizations.
func NewRescale(inScale float32, inZero int32, outScale float32, outZero int32) Rescale {
	return Rescale{InZero: inZero, OutZero: outZero, m: float64(inScale) / float64(outScale)}
}

// Identity reports whether codes of one type keep their values.
func (r Rescale) Identity() bool { return r.m == 1 && r.InZero == r.OutZero }

// Table returns the rescaling of int8 codes as a table.
func (r Rescale) Table() *Table8 {
	var t Table8
	for i := range t {
		t[i] = requantize(int32(int8(i))-r.InZero, float32(r.m), float32(-128-r.OutZero), float32(127-r.OutZero), r.OutZero)
	}
	return &t
}

// Requantize applies r to src. From int8 to int8 use [Rescale.Table], which
// gives the same result faster.
func Requantize[O, I Code](r Rescale, dst []O, src []I) {
	lo, hi := limits[O]()
	dst = dst[:len(src)]
	_, inMax := limits[I]()
	if inMax <= math.MaxInt8 && hi <= math.MaxInt8 {
		m, l, h := float32(r.m), float32(lo-r.OutZero), float32(hi-r.OutZero)
		for i, x := range src {
			dst[i] = O(requantize(int32(x)-r.InZero, m, l, h, r.OutZero))
		}
		return
	}
	for i, x := range src {
		dst[i] = O(requantize64(int64(x)-int64(r.InZero), r.m, r.OutZero, lo, hi))
	}
}

// requantizeTo is the requantization of a sum to codes of type T: in float32
// for int8, in float64 for wider ones.
func requantizeTo[T Code](acc int64, m float64, zero, lo, hi int32) T {
	if _, max := limits[T](); max <= math.MaxInt8 {
		return T(requantize(int32(acc), float32(m), float32(lo-zero), float32(hi-zero), zero))
	}
	return T(requantize64(acc, m, zero, lo, hi))
}

// requantize64 is the requantization of wide sums:
// zero + rne(clamp(float64(acc)*m, lo-zero, hi-zero)).
func requantize64(acc int64, m float64, zero, lo, hi int32) int32 {
	x := float64(acc) * m
	z := float64(zero)
	if x < float64(lo)-z {
		return lo
	}
	if x > float64(hi)-z {
		return hi
	}
	return int32(int64(zero) + int64(math.RoundToEven(x)))
}

// QuantizeRow quantizes one row of activations at run time for a hybrid
// product: dst[i] = rne(src[i]/scale) + zero, asymmetric over the row's range
// widened to hold 0. It returns the scale and the zero point; a row of zeros
// has scale 1. The zero point is rounded at the end of the range where that
// costs less, which is the rule of TensorFlow Lite
// (tensor_utils::AsymmetricQuantizeFloats) and XNNPACK (qd8). Values must be
// finite: an infinity or NaN leaves a row without meaning, the same one on
// every machine.
func QuantizeRow(dst []int8, src []float32) (scale float32, zero int32) {
	return QuantizeRowAt(Generic, dst, src)
}

// QuantizeRowAt is [QuantizeRow] with the kernels of a level.
func QuantizeRowAt(level Level, dst []int8, src []float32) (scale float32, zero int32) {
	done, lo, hi := spanFront(level, src[:min(len(src), 16*chunk)])
	for done >= 16*chunk && len(src)-done > widest { // a picture
		n, l, h := spanFront(level, src[done:min(done+16*chunk, len(src))])
		if n == 0 {
			break
		}
		lo, hi = min(lo, l), max(hi, h)
		done += n
	}
	for _, x := range src[done:] {
		if x < lo {
			lo = x
		}
		if x > hi {
			hi = x
		}
	}
	inv := float32(1)
	if lo != hi {
		inv = 255 / (hi - lo)
	}
	a, b := float32(lo*inv), float32(hi*inv)
	z := -128 - a
	if (-128+a)+(127+b) <= 0 {
		z = 127 - b
	}
	zero = roundEven(finite(clampFloat(z, -128, 127)))
	dst = dst[:len(src)]
	l, h := float32(-128-zero), float32(127-zero)
	for len(src) > 0 {
		n := quantizeFront(level, dst[:min(len(src), 16*chunk)], src, inv, l, h, zero)
		if n == 0 {
			break
		}
		dst, src = dst[n:], src[n:]
	}
	for i, x := range src {
		dst[i] = int8(zero + roundEven(finite(clampFloat(float32(x*inv), l, h))))
	}
	return 1 / inv, zero
}

// finite is x, or 0 for NaN.
func finite(x float32) float32 {
	if x != x {
		return 0
	}
	return x
}

// FlipSigns sets dst[i] = src[i] ^ 0x80, which makes int8 codes of uint8 ones
// with a zero point 128 less, or the other way round. dst is as long as src.
func FlipSigns(l Level, dst, src []byte) {
	dst = dst[:len(src)]
	n := inChunks(len(src), 32*chunk, func(from, to int) int { return flipFront(l, dst[from:to], src[from:to]) })
	dst, src = dst[n:], src[n:]
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^0x8080808080808080)
		dst, src = dst[8:], src[8:]
	}
	for i, x := range src {
		dst[i] = x ^ 0x80
	}
}

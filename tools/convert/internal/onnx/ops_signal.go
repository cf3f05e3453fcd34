package onnx

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// Operators of sound.

func init() {
	register(map[string]row{
		"DFT": {1, dft}, "STFT": {2, stft}, "MelWeightMatrix": {5, melWeightMatrix},
		"HannWindow": {1, window3(0.5, 0.5, 0)}, "HammingWindow": {1, window3(25.0/46, 21.0/46, 0)}, "BlackmanWindow": {1, window3(0.42, 0.5, 0.08)},
	})
}

// window3 is a window of cosines: a - b cos(2 pi n/N) + c cos(4 pi n/N), with N the
// size, or one less where the window is symmetric.
func window3(a, b, c float64) func(*op) []*value {
	return func(o *op) []*value {
		size := o.fixedInt(0, 0)
		if size < 1 || size > maxFold {
			o.fail("size %d", size)
		}
		n := size
		if o.int("periodic", 1) == 0 {
			n = max(size-1, 1)
		}
		angles := make([]float64, size)
		for i := range angles {
			angles[i] = 2 * math.Pi * float64(i) / float64(n)
		}
		at := &value{t: o.numbers(format.Float32, format.Shape{int(size)}, angles)}
		wave := func(x *value, k float64) *value { return o.mul(o.each("Cos", nil, format.Float32, x), o.real(k)) }
		y := o.binary("Sub", o.real(a), wave(at, b))
		if c != 0 {
			y = o.add(y, wave(o.mul(at, o.real(2)), c))
		}
		return result(o.cast(y, narrow(o.elem(o.int("output_datatype", 1)))))
	}
}

// wave returns the cosine and sine of k/n of a full turn: by Taylor's series within
// an eighth of one, each product rounded by itself, so that a converted model does
// not depend on the computer that converts it.
func wave(k, n int) (cos, sin float64) {
	k %= n
	octant, rest := 8*k/n, 8*k%n // k/n = (octant + rest/n) / 8
	if octant%2 == 1 {
		rest = n - rest
	}
	x := float64(math.Pi/4) * (float64(rest) / float64(n))
	x2 := float64(x * x)
	c, s := 1.0, 1.0
	for i := 20; i > 0; i -= 2 {
		c = 1 - float64(float64(x2*c)/float64(i*(i-1)))
		s = 1 - float64(float64(x2*s)/float64(i*(i+1)))
	}
	s = float64(x * s)
	switch octant {
	case 0:
		return c, s
	case 1:
		return s, c
	case 2:
		return -s, c
	case 3:
		return -c, s
	case 4:
		return -c, -s
	case 5:
		return -s, -c
	case 6:
		return s, -c
	}
	return c, -s
}

// maxTransform bounds the elements of the matrix that a transform multiplies with.
const maxTransform = 1 << 23

// fourier returns the matrix [2·bins, n, parts] of a discrete Fourier transform of n
// numbers, real (one part) or complex (two): rows are the real and imaginary parts
// of the bins. window, unless nil, weighs the numbers.
func (o *op) fourier(n, bins, parts int, inverse bool, window []float32) []float32 {
	if n > maxTransform/(2*bins*parts) {
		o.fail("a transform of %d numbers: its matrix would have more than %d elements", n, maxTransform)
	}
	m := make([]float32, 0, 2*bins*n*parts)
	for k := range bins {
		for _, imaginary := range []bool{false, true} {
			for i := range n {
				c, s := wave(int(int64(k)*int64(i)%int64(n)), n)
				if !inverse {
					s = -s
				}
				if inverse {
					c, s = c/float64(n), s/float64(n)
				}
				if window != nil {
					c, s = c*float64(window[i]), s*float64(window[i])
				}
				re, im := c, -s // of (c + s·i)(re + im·i)
				if imaginary {
					re, im = s, c
				}
				if m = append(m, float32(re)); parts == 2 {
					m = append(m, float32(im))
				}
			}
		}
	}
	return m
}

// parts is the size of the last dimension of a signal: 1 for real numbers, 2 for
// complex ones.
func (o *op) parts(x *value) int {
	n := x.shape()[x.rank()-1]
	if x.rank() < 2 || n < 1 || n > 2 {
		o.fail("its input has the shape %v: the last dimension must be 1 (real) or 2 (complex)", x.shape())
	}
	return n
}

// dft is a product with the matrix of the transform, a Gemm.
func dft(o *op) []*value {
	x := o.in[0]
	if x.rank() < 2 {
		o.fail("its input has the shape %v", x.shape())
	}
	parts, axis := o.parts(x), o.int("axis", 1)
	if o.opset >= 20 {
		axis = o.fixedInt(2, -2)
	}
	a := o.axis(axis, x.rank())
	n := x.shape()[a]
	inverse, onesided := o.int("inverse", 0) != 0, o.int("onesided", 0) != 0
	if a == x.rank()-1 || inverse && onesided {
		o.fail("axis %d of %v, inverse %v and onesided %v", a, x.shape(), inverse, onesided)
	}
	if o.has(1) && !o.in[1].t.empty() {
		want := o.fixedInt(1, 0)
		if want < 1 || want > maxTaps {
			o.fail("dft_length %d", want)
		}
		after := make([]int64, x.rank())
		after[a] = want - int64(n)
		x = o.pad(x, make([]int64, x.rank()), after, "constant", 0)
		n = int(want)
	}
	bins := n
	if onesided {
		bins = n/2 + 1
	}
	order := append(slices.Delete(identity(x.rank()), a, a+1), 0)
	copy(order[x.rank()-2:], []int{a, x.rank() - 1})
	t := o.arrange(x, order)
	s := t.shape
	lead := s[:len(s)-2].Elems()
	y := o.matmul(&value{t: o.reshape(t, format.Shape{lead, n * parts})},
		o.turned(&value{t: o.floats(format.Shape{2 * bins, n * parts}, o.fourier(n, bins, parts, inverse, nil)...)}))
	return result(view(o.reshape(o.plain(y), append(slices.Clone(s[:len(s)-2]), bins, 2)), order))
}

// stft is a convolution along the signal whose kernels are the rows of the transform.
func stft(o *op) []*value {
	x := o.in[0]
	if x.rank() == 2 {
		x = o.insert(x, []int{2})
	}
	if x.rank() != 3 {
		o.fail("its input has the shape %v", x.shape())
	}
	parts, step := o.parts(x), o.fixedInt(1, 0)
	var window []float32
	n := o.fixedInt(3, 0)
	if o.has(2) && !o.in[2].t.empty() {
		if window = o.fixedFloats(2); n == 0 {
			n = int64(len(window))
		}
	}
	s := x.shape()
	if step < 1 || n < 1 || n > int64(s[1]) || window != nil && int64(len(window)) != n {
		o.fail("frames of %d every %d, a window of %d, a signal %v", n, step, len(window), s)
	}
	bins := int(n)
	if o.int("onesided", 1) != 0 {
		bins = int(n)/2 + 1
	}
	k := o.floats(format.Shape{2 * bins, 1, int(n), parts}, o.fourier(int(n), bins, parts, false, window)...)
	t := o.reshape(o.plain(x), format.Shape{s[0], 1, s[1], parts})
	y := o.emit("Conv", format.Attrs{"strides": []int64{1, step}}, format.Float32, nil, t, k)
	return plainResult(o.reshape(y, format.Shape{s[0], y.shape[2], bins, 2}))
}

// melWeightMatrix is the triangles of a mel filter bank between bins of a spectrum,
// as the specification's code has them.
func melWeightMatrix(o *op) []*value {
	mels, length, rate := o.fixedInt(0, 0), o.fixedInt(1, 0), o.fixedInt(2, 0)
	low, high := o.fixedNumber(3, 0), o.fixedNumber(4, 0)
	if mels < 1 || mels > maxTaps || length < 1 || length > maxTaps || rate < 1 || mels*(length/2+1) > maxFold || !(low >= 0 && high >= low) {
		o.fail("%d bands of %g to %g Hz of %d samples at %d a second", mels, low, high, length, rate)
	}
	bins := int(length/2 + 1)
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	step := (mel(high) - mel(low)) / float64(mels+2)
	edges := make([]int, mels+2)
	for i := range edges {
		f := 700 * (math.Pow(10, (float64(float64(i)*step)+mel(low))/2595) - 1)
		edges[i] = int(math.Floor(float64(length+1) * f / float64(rate)))
		if edges[i] < 0 || edges[i] >= bins && i <= int(mels) || edges[i] > bins {
			o.fail("a band reaches up to bin %d of %d", edges[i], bins)
		}
	}
	out := make([]float64, bins*int(mels))
	for m := range int(mels) {
		from, middle, to := edges[m], edges[m+1], edges[m+2]
		set := func(j int, v float64) { out[j*int(mels)+m] = v }
		if from == middle {
			set(middle, 1)
		}
		for j := from; j <= middle && from < middle; j++ {
			set(j, float64(j-from)/float64(middle-from))
		}
		for j := middle; j < to; j++ {
			set(j, float64(to-j)/float64(to-middle))
		}
	}
	return plainResult(o.numbers(narrow(o.elem(o.int("output_datatype", 1))), format.Shape{bins, int(mels)}, out))
}

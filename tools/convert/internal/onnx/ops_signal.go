package onnx

import (
	"math"

	"github.com/whet-edge/whet/format"
)

// Operators of sound.

func init() {
	register(map[string]row{
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

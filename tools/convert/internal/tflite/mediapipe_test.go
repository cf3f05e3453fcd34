package tflite

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/runtime"
)

// One input element spreads the kernel of its weight over the output.
func TestTransposeConvBias(t *testing.T) {
	constant := func(name string, v []float32, shape ...int32) testTensor {
		c := f32(name, shape...)
		for _, x := range v {
			c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(x))
		}
		return c
	}
	params := func(v ...uint32) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		return b
	}
	model := func(params []byte) []byte {
		return testModel{graphs: []testGraph{{
			tensors: []testTensor{f32("x", 1, 1, 2, 1), constant("w", []float32{1, 2, 3, 4}, 1, 2, 2, 1), constant("b", []float32{10}, 1), f32("y", 1, 2, 4, 1)},
			inputs:  []int32{0}, outputs: []int32{3},
			ops: []testOp{{code: opCustom, custom: "Convolution2DTransposeBias", in: []int32{0, 1, 2}, out: []int32{3}, params: params}},
		}}}.file()
	}
	m, err := importBytes(model(params(1, 2, 2)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	copy(s.Input(0).Float32(), []float32{1, -1})
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float32{11, 12, 9, 8, 13, 14, 7, 6}, s.Output(0).Float32()); d != "" {
		t.Error(d)
	}
	for _, bad := range [][]byte{nil, params(1), params(3, 2, 2), params(1, 0, 2)} {
		if _, err := importBytes(model(bad), Options{}); err == nil {
			t.Errorf("options %v are taken", bad)
		}
	}
}

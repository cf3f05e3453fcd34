package tflite

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/whet-edge/whet/format"
)

var update = flag.Bool("update", false, "write the models in ../../testdata again")

// testdata are the models that tests of other packages read.
func testdata() map[string][]byte {
	u8 := func(name string, scale float32, zero int64, shape ...int32) testTensor {
		return testTensor{name: name, typ: format.Uint8, shape: shape, scale: []float32{scale}, zero: []int64{zero}}
	}
	bias := list(10, 20)
	bias.scale, bias.zero = []float32{0.25}, []int64{0}
	w := u8("weights", 0.25, 100, 2, 1, 1, 3)
	w.data = []byte{101, 102, 103, 99, 98, 97} // 1 2 3, -1 -2 -3
	// Pixels [1,2,2,3] -> conv 1x1 with RELU -> mean over the picture -> scores.
	classifier := testGraph{
		tensors: []testTensor{
			u8("pixels", 1, 0, 1, 2, 2, 3), w, bias, u8("features", 1, 0, 1, 2, 2, 2),
			list(1, 2), u8("scores", 1, 0, 1, 2),
		},
		inputs: []int32{0}, outputs: []int32{5},
		ops: []testOp{
			{code: codeOf("CONV_2D"), in: []int32{0, 1, 2}, out: []int32{3},
				options: []field{{1, int32(1)}, {2, int32(1)}, {3, int8(actRelu)}, {4, int32(1)}, {5, int32(1)}}},
			{code: codeOf("MEAN"), in: []int32{3, 4}, out: []int32{5}},
		},
	}
	return map[string][]byte{
		"classifier.tflite":  testModel{graphs: []testGraph{classifier}}.file(),
		"accumulator.tflite": variables(fill(f32("init", 2))).file(),
		"unsupported.tflite": one(codeOf("SEGMENT_SUM"), []testTensor{f32("x", 2)}, []testTensor{f32("y", 2)}).file(),
	}
}

func TestTestdata(t *testing.T) {
	for name, b := range testdata() {
		path := filepath.Join("..", "..", "testdata", name)
		if *update {
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, b) {
			t.Errorf("%s is not what the test writes: run it with -update", path)
		}
	}
}

package convert

import (
	"fmt"
	"os"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/onnx"
)

// ONNXInputs returns the names of the inputs that an ONNX model must be fed with,
// in its order.
func ONNXInputs(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names, err := onnx.Inputs(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return names, nil
}

// ReadONNXTensor reads a file that holds one serialized TensorProto, as the ONNX
// test suites keep inputs and outputs. The result has the name, type and shape
// that stand in the file.
func ReadONNXTensor(path string) (*format.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := onnx.Tensor(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

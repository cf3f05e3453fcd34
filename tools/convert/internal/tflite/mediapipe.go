package tflite

import (
	"encoding/binary"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// The custom operators of MediaPipe's models.

func init() {
	register(map[string]row{
		`CUSTOM "Convolution2DTransposeBias"`: {3, 1, composed(transposeConvBias)},
	})
}

// transposeConvBias is a transposed convolution with the inputs input, weights and
// bias. Its options are the C structure TfLiteTransposeConvParams: padding (1 same,
// 2 valid), the strides along width and height, all int32.
func transposeConvBias(o *op) *format.Tensor {
	if len(o.custom) < 12 {
		net.Fail("options of %d bytes, not 12", len(o.custom))
	}
	at := func(i int) int { return int(int32(binary.LittleEndian.Uint32(o.custom[4*i:]))) }
	if at(0) != 1 && at(0) != 2 {
		net.Fail("padding %d", at(0))
	}
	t := transposed{x: o.value(0), w: 1, bias: o.value(2), strides: [2]int{at(2), at(1)}, padding: int8(at(0) - 1)}
	return t.build(o)
}

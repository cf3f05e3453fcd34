package safetensors

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Sizes of Silero's voice activity detector at 16 kHz.
const (
	sileroFrame   = 512 // new samples a run
	sileroContext = 64  // samples of the run before that it sees again
	sileroBins    = 129 // of its spectrum
	sileroHidden  = 128
)

func isSilero(f *File, _ []byte) bool {
	return f.has("stft_conv.weight") && f.has("lstm_cell.weight_ih")
}

// silero builds Silero's voice activity detector: 512 samples at 16 kHz in, the
// probability of speech out. Its states are the samples that the next run sees
// again and the memory of its LSTM.
func silero(n *net.Net, f *File, _ Options) {
	x := n.Input("input", format.Float32, format.Shape{1, sileroFrame})
	past, keep := n.State("context", format.Float32, format.Shape{1, sileroContext})
	sound := n.Concat(1, past, x)
	length := sileroContext + sileroFrame
	keep(n.Slice(sound, 1, length-sileroContext, length))
	// The sound is mirrored over its end, and its spectrum taken by a convolution
	// whose first half of outputs are real parts, the second imaginary ones.
	sound = n.Op("Pad", format.Attrs{"pads": []int64{0, 0, 0, sileroContext}, "mode": "reflect"}, sound)
	frames := conv1d(n, f, n.Reshape(sound, 1, length+sileroContext, 1), "stft_conv", 2*sileroBins, 1, 256, 128, 0)
	parts := n.Split(frames, 2, 2)
	y := n.Op("Sqrt", nil, n.Op("Add", nil, n.Op("Mul", nil, parts[0], parts[0]), n.Op("Mul", nil, parts[1], parts[1])))
	for _, l := range []struct {
		name            string
		out, in, stride int
	}{{"conv1", 128, sileroBins, 1}, {"conv2", 64, 128, 2}, {"conv3", 64, 64, 2}, {"conv4", sileroHidden, 64, 1}} {
		y = n.Op("Relu", nil, conv1d(n, f, y, l.name, l.out, l.in, 3, l.stride, 1))
	}
	h, keepH := n.State("h", format.Float32, format.Shape{1, 1, sileroHidden})
	c, keepC := n.State("c", format.Float32, format.Shape{1, 1, sileroHidden})
	weights := func(name string) *format.Tensor {
		v, _ := f.floats("lstm_cell."+name, 4*sileroHidden, sileroHidden)
		return n.Floats(name, format.Shape{1, 4 * sileroHidden, sileroHidden}, gatesOfONNX(v))
	}
	ih, _ := f.floats("lstm_cell.bias_ih", 4*sileroHidden)
	hh, _ := f.floats("lstm_cell.bias_hh", 4*sileroHidden)
	bias := n.Floats("bias", format.Shape{1, 8 * sileroHidden}, slices.Concat(gatesOfONNX(ih), gatesOfONNX(hh)))
	out := n.Ops("LSTM", []format.DType{format.Invalid, format.Float32, format.Float32}, format.Attrs{"direction": "forward"},
		n.Transpose(y, 1, 0, 2), weights("weight_ih"), weights("weight_hh"), bias, nil, h, c)
	keepH(out[1])
	keepC(out[2])
	y = n.Op("Relu", nil, n.Reshape(out[1], 1, 1, sileroHidden))
	n.Output("output", n.Reshape(n.Op("Sigmoid", nil, conv1d(n, f, y, "final_conv", 1, sileroHidden, 1, 1, 0)), 1, 1))
}

// conv1d adds a convolution with PyTorch's weights [out, in, taps] and, if there is
// one, its bias.
func conv1d(n *net.Net, f *File, x *format.Tensor, name string, out, in, taps, stride, pad int) *format.Tensor {
	v, _ := f.floats(name+".weight", out, in, taps)
	w := make([]float32, 0, len(v)) // [out, taps, in]
	for o := range out {
		for t := range taps {
			for i := range in {
				w = append(w, v[(o*in+i)*taps+t])
			}
		}
	}
	var bias *format.Tensor
	if f.has(name + ".bias") {
		b, s := f.floats(name+".bias", out)
		bias = n.Floats("bias", s, b)
	}
	return n.Conv(x, net.Weights{Out: out, In: in, V: w}, bias,
		net.Window{Kernel: []int{taps}, Strides: []int{stride}, Dilations: []int{1}, Before: []int{pad}, After: []int{pad}}, 1)
}

// gatesOfONNX puts the four equal parts of an LSTM's weights from PyTorch's order
// (i, f, g, o) into ONNX's (i, o, f, c).
func gatesOfONNX(v []float32) []float32 {
	n := len(v) / 4
	return slices.Concat(v[:n], v[3*n:], v[n:2*n], v[2*n:3*n])
}

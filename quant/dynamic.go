package quant

import (
	"fmt"

	"github.com/whet-edge/whet/format"
)

// Dynamic returns a copy of the model in which the float32 weights of every
// Conv and Gemm are int8. Activations stay float32 and are quantized at run
// time, so no calibration data is needed; depthwise convolutions compute in
// float. Constants that are shared with another kind of node stay as they are.
func Dynamic(m *format.Model) (*format.Model, error) {
	out := clone(m)
	tensors := byName(out)
	done := 0
	for _, g := range out.Graphs {
		users := users(g)
		for _, n := range g.Nodes {
			if !linear(n) {
				continue
			}
			w := tensors[n.Inputs[1]]
			if w.Type != format.Float32 || !w.Const() || users[w.Name] != 1 {
				continue
			}
			quantizeWeights(w)
			done++
		}
	}
	if done == 0 {
		return nil, fmt.Errorf("quant: the model has no Conv or Gemm with float32 weights of its own")
	}
	return out, format.Check(out)
}

func quantizeWeights(w *format.Tensor) {
	codes, q := Weights(float32s(w), w.Shape)
	w.Type, w.Quant, w.Data = format.Int8, q, bytesOf(codes)
}

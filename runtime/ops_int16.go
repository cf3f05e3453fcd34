package runtime

import "github.com/whet-edge/whet/kernels"

// bindConvS16 binds int16 activations with int8 weights (16x8).
func bindConvS16(n *node, _ kernels.Level, _ kernels.ConvShape, _ *value) (*step, error) {
	return nil, n.errf("int16 activations have no kernel")
}

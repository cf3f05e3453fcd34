package ondevice

import (
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/grad"
)

// optional is what only programs carry that import package more.
var optional struct {
	adapter  func(tl *tail, m *format.Model, n *format.Node, draw *rng) ([]*format.Node, []*format.Tensor)
	merged   func(tl *tail, float *format.Model, values map[string][]float32) map[string][]float32
	beside   func(tl *tail, base, float *format.Model) *format.Model
	channels func(t *trainer, n *tailNet, train []int32)
	eightBit func(o *Options, params int) grad.Optimizer
}

// AddOptional makes sparse tails, adapters and optimizers of 8 bits known; package
// ondevice/more calls it.
func AddOptional() {
	optional.adapter, optional.merged, optional.beside = (*tail).adapter, (*tail).merged, (*tail).beside
	optional.channels = (*trainer).chooseChannels
	optional.eightBit = func(o *Options, params int) grad.Optimizer {
		if o.Optimizer == AdamW8 {
			return grad.NewAdamW8(params, o.WeightDecay)
		}
		return grad.NewSGD8(params, o.Momentum, o.WeightDecay)
	}
}

// checkOptional refuses what the program does not carry.
func (o *Options) checkOptional() error {
	var what fmt.Stringer
	switch {
	case optional.adapter != nil:
		return nil
	case o.Tail.rank() > 0 || o.Tail.part() > 0:
		what = o.Tail
	case o.Optimizer == SGD8 || o.Optimizer == AdamW8:
		what = o.Optimizer
	default:
		return nil
	}
	return fmt.Errorf("ondevice: %v is not in this program: import _ %q", what, "github.com/whet-edge/whet/ondevice/more")
}

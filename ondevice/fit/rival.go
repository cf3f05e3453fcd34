package fit

import (
	"fmt"
	"math/rand/v2"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/attack"
	"github.com/whet-edge/whet/ondevice/grad"
)

// A rival is the network on a tape of its own, whose gradients are of the input: it
// attacks the samples that are learned from.
type rival struct {
	tape    *grad.Tape[float32]
	input   *grad.Tensor[float32]
	scores  *grad.Tensor[float32]
	weights []*grad.Tensor[float32]
	delta   []float32
	origin  []float32
}

func newRival(g *format.Model, input, scores string, names []string, masks map[string]float32) (*rival, error) {
	tape, err := grad.NewTape(g, []string{input}, grad.OnLevel(kernels.Best()))
	if err != nil {
		return nil, fmt.Errorf("fit: the model cannot be attacked: %w", err)
	}
	r := &rival{tape: tape, input: tape.Tensor(input), scores: tape.Tensor(scores)}
	r.delta, r.origin = make([]float32, len(r.scores.Data)), make([]float32, len(r.input.Data))
	for _, name := range names {
		r.weights = append(r.weights, tape.Tensor(name))
	}
	for name := range masks { // nothing is dropped here
		for i, x := 0, tape.Tensor(name).Data; i < len(x); i++ {
			x[i] = 1
		}
	}
	return r, nil
}

// follow takes over the weights.
func (r *rival) follow(params []float32) {
	for _, w := range r.weights {
		w.Set(params[:len(w.Data)])
		params = params[len(w.Data):]
	}
}

// attack moves x against its class.
func (r *rival) attack(o *attack.Options, random *rand.Rand, x []float32, class int) {
	copy(r.origin, x)
	o.Start(x, r.origin, random)
	for range o.Steps {
		copy(r.input.Data, x)
		r.tape.Forward()
		grad.SoftmaxCrossEntropy(r.delta, r.scores.Data, []int{class}, 1, len(r.delta), 0, 1)
		clear(r.input.Grad)
		r.tape.Backward(r.delta)
		o.Move(x, r.origin, r.input.Grad)
	}
}

// Package attack makes inputs that look the same and are taken for something else,
// to measure how easily a model is fooled; package fit trains on them.
package attack

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/runtime"
)

// Options say how far an attack goes. All are in the input's real values.
type Options struct {
	Epsilon float32 // how far a value may be moved

	// Steps is 1 for the fast gradient sign method (Goodfellow et al., 2015,
	// arXiv:1412.6572) and more for projected gradient descent (Madry et al., 2018,
	// arXiv:1706.06083); 0: 1. Step is how far each goes; 0: Epsilon for one, and
	// 2.5 Epsilon/Steps for more. Random starts from a random place within Epsilon.
	Steps  int
	Step   float32
	Random bool

	Lo, Hi float32 // what values can be, such as 0 and 1; both 0: anything
}

// Check refuses options that make no sense and fills in what is 0.
func (o Options) Check() (Options, error) {
	if o.Steps == 0 {
		o.Steps = 1
	}
	if o.Step == 0 {
		o.Step = o.Epsilon
		if o.Steps > 1 {
			o.Step = 2.5 * o.Epsilon / float32(o.Steps)
		}
	}
	if !(o.Epsilon > 0) || !(o.Step > 0) || o.Steps < 1 || o.Lo > o.Hi {
		return o, fmt.Errorf("attack: epsilon %v, %d steps of %v, values from %v to %v: one is out of range", o.Epsilon, o.Steps, o.Step, o.Lo, o.Hi)
	}
	return o, nil
}

// Start puts x, which is origin, where the attack begins.
func (o *Options) Start(x, origin []float32, r *rand.Rand) {
	copy(x, origin)
	if o.Random {
		for i := range x {
			x[i] = o.within(origin[i]+(2*r.Float32()-1)*o.Epsilon, origin[i])
		}
	}
}

// Move takes x a step along the signs of the gradient of the loss, and back to
// where it may be.
func (o *Options) Move(x, origin, gradient []float32) {
	for i, g := range gradient {
		switch {
		case g > 0:
			x[i] = o.within(x[i]+o.Step, origin[i])
		case g < 0:
			x[i] = o.within(x[i]-o.Step, origin[i])
		}
	}
}

func (o *Options) within(v, origin float32) float32 {
	v = min(max(v, origin-o.Epsilon), origin+o.Epsilon)
	if o.Lo < o.Hi {
		v = min(max(v, o.Lo), o.Hi)
	}
	return v
}

// An Attacker attacks one model, through its own gradients. It is not for
// concurrent use.
type Attacker struct {
	gradient *ondevice.InputGradient
	input    *format.Tensor
	options  Options
	seed     uint64
}

// New makes an attacker of a classifier with one input, float32, int8 or uint8.
// Seed is of the random starts.
func New(m *format.Model, o Options, seed uint64, opts ...runtime.Option) (*Attacker, error) {
	o, err := o.Check()
	if err != nil {
		return nil, err
	}
	g, err := ondevice.NewInputGradient(m, opts...)
	if err != nil {
		return nil, err
	}
	return &Attacker{gradient: g, input: m.Tensor(m.Main().Inputs[0].Tensor), options: o, seed: seed}, nil
}

// Attack returns the input, as the model receives it, moved so that the
// cross-entropy of its class grows. A quantized input moves by whole steps of its
// scale, rounded from the real values.
func (a *Attacker) Attack(ctx context.Context, input []byte, class int) ([]byte, error) {
	if want := a.input.Type.Bytes(a.input.Shape.Elems()); len(input) != want {
		return nil, fmt.Errorf("attack: an input of %d bytes; the model takes %d", len(input), want)
	}
	origin := ondevice.RealInput(a.input, input)
	x := make([]float32, len(origin))
	a.seed++
	a.options.Start(x, origin, rand.New(rand.NewPCG(a.seed, 0x6174_7461_636b)))
	for range a.options.Steps {
		_, g, err := a.gradient.Loss(ctx, ondevice.RawInput(a.input, x), class)
		if err != nil {
			return nil, err
		}
		a.options.Move(x, origin, g)
	}
	return ondevice.RawInput(a.input, x), nil
}

package grad_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// The article's network behind its first pooling, as a tail of an int8 model: what
// waits for the way back is codes and bits, and the gradients are those of a tape that
// keeps the rounded values themselves.
func TestCodes(t *testing.T) {
	c := articleTail()
	m := c.model()
	relu := grad.Code{Scale: 1.0 / 16, Zero: -128}
	codes := map[string]grad.Code{
		"x": {Scale: 1.0 / 64, Zero: 128, Unsigned: true}, "relu2/y": relu, "pool2/y": relu, "relu3/y": {Scale: 1.0 / 8, Zero: -128},
	}
	const samples = 3
	run := func(t *testing.T, tape *grad.Tape[float32], err error) *grad.Tape[float32] {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tape.Reserve(samples)
		r := rand.New(rand.NewPCG(7, 8))
		for range samples {
			x := tape.Tensor("x").Data
			for i := range x {
				x[i] = float32(r.IntN(256)-128) / 64
			}
			tape.Forward()
			tape.Backward(randoms[float32](r, 10))
		}
		tape.Flush()
		return tape
	}
	want, err := grad.NewTape[float32](m, c.params, grad.OnLevel(kernels.Best()))
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range codes {
		if name == "x" {
			continue
		}
		if err := want.Through(name, func(x []float32) {
			for i, v := range x {
				x[i] = k.Scale * float32(kernels.QuantizeOne(v, k.Scale, k.Zero, -128, 127)-k.Zero)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	run(t, want, nil)
	for _, l := range kernels.Levels() {
		if l == kernels.Generic {
			continue // slow; its bits are those of the smaller tests
		}
		tape, err := grad.NewCodedTape(m, c.params, grad.OnLevel(l), codes)
		run(t, tape, err)
		for _, p := range c.params {
			same(t, fmt.Sprint(l, " ", p), tape.Tensor(p).Grad, want.Tensor(p).Grad)
		}
		// Codes of the convolution's input and of both dense layers', a bit for every ReLU,
		// two for every pooled element.
		if kept := 13*13*32 + 1600 + 128 + (11*11*64+128)/8 + 1600/4; tape.Kept() != int64(kept) {
			t.Errorf("%v: a sample keeps %d bytes, want %d", l, tape.Kept(), kept)
		}
	}
}

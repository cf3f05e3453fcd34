package grad_test

import (
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// BenchmarkHeadStep is one step of a 1280-to-10 head on a batch of 32: forward,
// loss, gradient and update. An epoch over 1,000 samples is 31.25 of them.
func BenchmarkHeadStep(b *testing.B) {
	const n, in, out = 32, 1280, 10
	r := rand.New(rand.NewPCG(1, 1))
	x, p := randoms[float32](r, n*in), randoms[float32](r, out*(in+1))
	g, z, dz := make([]float32, len(p)), make([]float32, n*out), make([]float32, n*out)
	labels := make([]int, n)
	for _, level := range kernels.Levels() {
		b.Run(level.String(), func(b *testing.B) {
			l := grad.NewLinear(level, in, out)
			opt := grad.NewSGD(len(p), 0.9, 0)
			for b.Loop() {
				l.SetWeights(p[:out*in], p[out*in:])
				if err := l.Forward(z, x, n); err != nil {
					b.Fatal(err)
				}
				grad.SoftmaxCrossEntropy(dz, z, labels, n, out, 0, 1.0/n)
				if err := l.WeightGrad(g, x, dz, 0, in, n); err != nil {
					b.Fatal(err)
				}
				grad.BiasGrad(g[out*in:], dz, n, out)
				opt.Step(p, g, 0.01, out*in)
			}
		})
	}
}

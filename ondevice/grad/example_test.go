package grad_test

import (
	"fmt"

	"github.com/whet-edge/whet/ondevice/grad"
)

// One step of softmax regression: forward, loss, gradient, update.
func Example() {
	const n, in, out = 2, 3, 2
	x := []float32{1, 0, 2, 0, 1, -1}  // [n, in]
	labels := []int{0, 1}              // [n]
	p := make([]float32, out*in+out)   // weights [out, in], then biases [out]
	g := make([]float32, len(p))       // their gradient
	opt := grad.NewSGD(len(p), 0.9, 0) // momentum 0.9, no decay
	z, dz := make([]float32, n*out), make([]float32, n*out)

	for range 3 {
		grad.Dense(z, x, p[:out*in], p[out*in:], n, in, out)
		loss := grad.SoftmaxCrossEntropy(dz, z, labels, n, out, 0, 1.0/n)
		grad.DenseWeightGrad(g[:out*in], g[out*in:], x, dz, n, in, out)
		opt.Step(p, g, 0.5, out*in)
		fmt.Printf("%.4f\n", loss/n)
	}
	// Output:
	// 0.6931
	// 0.2367
	// 0.0544
}

package grad_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

func randoms[T grad.Float](r *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return x
}

// checkGradient compares g with central differences of f at every element of x.
func checkGradient(t *testing.T, name string, x, g []float64, f func() float64) {
	t.Helper()
	const eps, tolerance = 1e-6, 1e-5
	for i := range x {
		old := x[i]
		x[i] = old + eps
		up := f()
		x[i] = old - eps
		down := f()
		x[i] = old
		want := (up - down) / (2 * eps)
		if math.Abs(g[i]-want) > tolerance*max(1, math.Abs(want)) {
			t.Errorf("d/d%s[%d] = %v, central difference %v", name, i, g[i], want)
		}
	}
}

// TestGradients checks the whole chain dense, relu, dense, loss in float64.
func TestGradients(t *testing.T) {
	const n, in, hidden, out = 5, 7, 6, 4
	r := rand.New(rand.NewPCG(1, 2))
	x, w1, b1 := randoms[float64](r, n*in), randoms[float64](r, hidden*in), randoms[float64](r, hidden)
	w2, b2 := randoms[float64](r, out*hidden), randoms[float64](r, out)
	target := randoms[float64](r, n*out)
	labels := []int{0, 3, 1, 1, 2}
	scale := 1.0 / n

	losses := map[string]func(dz, z []float64) float64{
		"cross-entropy": func(dz, z []float64) float64 {
			return grad.SoftmaxCrossEntropy(dz, z, labels, n, out, 0, scale)
		},
		"smoothed cross-entropy": func(dz, z []float64) float64 {
			return grad.SoftmaxCrossEntropy(dz, z, labels, n, out, 0.1, scale)
		},
		"binary cross-entropy": func(dz, z []float64) float64 {
			return grad.BinaryCrossEntropy(dz, z, target, n, out, scale)
		},
		"Huber":              func(dz, z []float64) float64 { return grad.Huber(dz, z, target, n, out, scale) },
		"mean squared error": func(dz, z []float64) float64 { return grad.MSE(dz, z, target, n, out, scale) },
	}
	for name, loss := range losses {
		t.Run(name, func(t *testing.T) {
			h, a, z, dz := make([]float64, n*hidden), make([]float64, n*hidden), make([]float64, n*out), make([]float64, n*out)
			forward := func() float64 {
				grad.Dense(h, x, w1, b1, n, in, hidden)
				grad.Relu(a, h)
				grad.Dense(z, a, w2, b2, n, hidden, out)
				return loss(dz, z) * scale
			}
			forward()
			dw2, db2, da := make([]float64, out*hidden), make([]float64, out), make([]float64, n*hidden)
			grad.DenseWeightGrad(dw2, db2, a, dz, n, hidden, out)
			grad.DenseInputGrad(da, dz, w2, n, hidden, out)
			grad.ReluGrad(da, da, a)
			dw1, db1, dx := make([]float64, hidden*in), make([]float64, hidden), make([]float64, n*in)
			grad.DenseWeightGrad(dw1, db1, x, da, n, in, hidden)
			grad.DenseInputGrad(dx, da, w1, n, in, hidden)
			checkGradient(t, "w2", w2, dw2, forward)
			checkGradient(t, "b2", b2, db2, forward)
			checkGradient(t, "w1", w1, dw1, forward)
			checkGradient(t, "b1", b1, db1, forward)
			checkGradient(t, "x", x, dx, forward)
		})
	}
}

// TestFloat32Gradients compares the float32 code with the same in float64.
func TestFloat32Gradients(t *testing.T) {
	const n, in, out = 32, 300, 10
	r := rand.New(rand.NewPCG(3, 4))
	x, w, b := randoms[float32](r, n*in), randoms[float32](r, out*in), randoms[float32](r, out)
	labels := make([]int, n)
	for i := range labels {
		labels[i] = r.IntN(out)
	}
	dw, db := gradients(x, w, b, labels, n, in, out)
	dw64, db64 := gradients(wide(x), wide(w), wide(b), labels, n, in, out)
	for _, c := range []struct {
		name      string
		got, want []float64
	}{{"w", wide(dw), dw64}, {"b", wide(db), db64}} {
		var diff, size float64
		for i := range c.got {
			diff += (c.got[i] - c.want[i]) * (c.got[i] - c.want[i])
			size += c.want[i] * c.want[i]
		}
		if e := math.Sqrt(diff / size); !(e < 1e-5) {
			t.Errorf("d%s: relative error %.3g", c.name, e)
		}
	}
}

func gradients[T grad.Float](x, w, b []T, labels []int, n, in, out int) (dw, db []T) {
	z, dz := make([]T, n*out), make([]T, n*out)
	grad.Dense(z, x, w, b, n, in, out)
	grad.SoftmaxCrossEntropy(dz, z, labels, n, out, 0, 1/T(n))
	dw, db = make([]T, out*in), make([]T, out)
	grad.DenseWeightGrad(dw, db, x, dz, n, in, out)
	return dw, db
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// TestLossExtremes checks that large logits neither overflow nor lose the loss.
func TestLossExtremes(t *testing.T) {
	z := []float32{1000, -1000, 0, -1000, 1000, 0}
	dz := make([]float32, 6)
	got := grad.SoftmaxCrossEntropy(dz, z, []int{0, 0}, 2, 3, 0, 1)
	if got != 2000 {
		t.Errorf("loss %v, want 2000", got)
	}
	want := []float32{0, 0, 0, -1, 1, 0}
	for i := range dz {
		if dz[i] != want[i] {
			t.Errorf("dz = %v, want %v", dz, want)
			break
		}
	}
}

func transpose(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// TestLinear: at every level, for every split into blocks of rows and panels of
// columns, the kernels give the portable functions' bits.
func TestLinear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range [][3]int{{1, 1, 2}, {5, 33, 10}, {32, 130, 17}, {7, 256, 3}} {
		n, in, out := s[0], s[1], s[2]
		x, w, b, dy := randoms[float32](r, n*in), randoms[float32](r, out*in), randoms[float32](r, out), randoms[float32](r, n*out)
		y, dw := make([]float32, n*out), make([]float32, out*in)
		grad.Dense(y, x, w, b, n, in, out)
		grad.DenseWeightGrad(dw, nil, x, dy, n, in, out)
		xt := transpose(x, n, in)
		for _, level := range kernels.Levels() {
			for _, step := range []int{1, 3, 1000} {
				t.Run(fmt.Sprintf("%v/%v/%d", s, level, step), func(t *testing.T) {
					l := grad.NewLinear(level, in, out)
					l.SetWeights(w, b)
					got := make([]float32, n*out)
					for i := 0; i < n; i += step {
						if err := l.Forward(got[i*out:], x[i*in:], min(step, n-i)); err != nil {
							t.Fatal(err)
						}
					}
					same(t, "forward", got, y)
					got = make([]float32, out*in)
					for k := 0; k < in; k += step {
						w := min(step, in-k)
						if err := l.WeightGrad(got, transpose(xt[k*n:][:w*n], w, n), dy, k, w, n); err != nil {
							t.Fatal(err)
						}
					}
					same(t, "weight gradient", got, dw)
				})
			}
		}
	}
}

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestOptimizers compares each optimizer over some steps with its formula
// written out in float64.
func TestOptimizers(t *testing.T) {
	const n, decayed, lr, decay = 6, 4, 0.05, 0.1
	tests := map[string]struct {
		opt grad.Optimizer
		ref func(p, g []float64, s [][]float64, t int)
	}{
		"sgd": {grad.NewSGD(n, 0, decay), func(p, g []float64, _ [][]float64, _ int) {
			for i := range p {
				p[i] -= lr * (g[i] + weight(i < decayed)*decay*p[i])
			}
		}},
		"momentum": {grad.NewSGD(n, 0.9, decay), func(p, g []float64, s [][]float64, _ int) {
			for i := range p {
				s[0][i] = 0.9*s[0][i] + g[i] + weight(i < decayed)*decay*p[i]
				p[i] -= lr * s[0][i]
			}
		}},
		"adamw": {grad.NewAdamW(n, decay), func(p, g []float64, s [][]float64, t int) {
			for i := range p {
				p[i] -= lr * weight(i < decayed) * decay * p[i]
				s[0][i] = 0.9*s[0][i] + 0.1*g[i]
				s[1][i] = 0.999*s[1][i] + 0.001*g[i]*g[i]
				m := s[0][i] / (1 - math.Pow(0.9, float64(t)))
				v := s[1][i] / (1 - math.Pow(0.999, float64(t)))
				p[i] -= lr * m / (math.Sqrt(v) + 1e-8)
			}
		}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 8))
			p := randoms[float32](r, n)
			want := wide(p)
			state := [][]float64{make([]float64, n), make([]float64, n)}
			for step := 1; step <= 20; step++ {
				g := randoms[float32](r, n)
				c.opt.Step(p, g, lr, decayed)
				c.ref(want, wide(g), state, step)
			}
			for i := range p {
				if math.Abs(float64(p[i])-want[i]) > 1e-5 {
					t.Errorf("p[%d] = %v, want %v", i, p[i], want[i])
				}
			}
		})
	}
}

func weight(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestOptimizerResume: an optimizer whose state was copied goes on to the same bits.
func TestOptimizerResume(t *testing.T) {
	const n = 5
	for name, fresh := range map[string]func() grad.Optimizer{
		"momentum": func() grad.Optimizer { return grad.NewSGD(n, 0.9, 0.01) },
		"adamw":    func() grad.Optimizer { return grad.NewAdamW(n, 0.01) },
		"sgd8":     func() grad.Optimizer { return grad.NewSGD8(n, 0.9, 0.01) },
		"adamw8":   func() grad.Optimizer { return grad.NewAdamW8(n, 0.01) },
	} {
		r := rand.New(rand.NewPCG(9, 10))
		a, p := fresh(), randoms[float32](r, n)
		for range 7 {
			a.Step(p, randoms[float32](r, n), 0.1, n)
		}
		b, q := fresh(), append([]float32(nil), p...)
		for i, v := range b.State() {
			copy(v, a.State()[i])
		}
		b.SetSteps(a.Steps())
		for range 5 {
			g := randoms[float32](r, n)
			a.Step(p, g, 0.1, n)
			b.Step(q, g, 0.1, n)
		}
		same(t, name, q, p)
	}
}

// States of 8 bits lead where those of 32 bits lead: to the minimum of a quadratic whose
// slopes lie orders of magnitude apart, over blocks and a rest.
func TestBlockwise(t *testing.T) {
	const n, steps = 600, 400
	for name, pair := range map[string][2]grad.Optimizer{
		"sgd":   {grad.NewSGD(n, 0.9, 0), grad.NewSGD8(n, 0.9, 0)},
		"adamw": {grad.NewAdamW(n, 0), grad.NewAdamW8(n, 0)},
	} {
		var end [2]float64
		for k, opt := range pair {
			p, g := make([]float32, n), make([]float32, n)
			for i := range p {
				p[i] = float32(i%7) - 3
			}
			for s := range steps {
				for i := range p {
					g[i] = p[i] * float32(1+i%100) / 100
				}
				rate := float32(0.1)
				if name == "adamw" {
					rate = 0.05 * (1 - float32(s)/steps)
				}
				opt.Step(p, g, rate, n/2)
			}
			for i, v := range p {
				end[k] += float64(v*v) * float64(1+i%100) / 100
			}
		}
		if !(end[1] < 1) || end[1] > 10*end[0]+0.1 {
			t.Errorf("%s: the loss ends at %v with 8 bits and at %v with 32", name, end[1], end[0])
		}
		var bytes int
		for _, v := range pair[1].State() {
			bytes += 4 * len(v)
		}
		if most := len(pair[1].State()) * (n + 3 + 4*3); bytes > most {
			t.Errorf("%s: a state of %d bytes, at most %d are wanted", name, bytes, most)
		}
	}
}

func TestClipNorm(t *testing.T) {
	g := []float32{3, 0, 4}
	if n := grad.ClipNorm(g, 10); n != 5 || g[0] != 3 {
		t.Errorf("norm %v, g %v: a short gradient must stay", n, g)
	}
	grad.ClipNorm(g, 1)
	if math.Abs(float64(g[0])-0.6) > 1e-6 || math.Abs(float64(g[2])-0.8) > 1e-6 {
		t.Errorf("clipped to %v, want 0.6, 0, 0.8", g)
	}
}

// TestTrainingParity trains a softmax regression for 500 steps in float32, as a
// job does, and in float64 by plain loops, on the same batches.
func TestTrainingParity(t *testing.T) {
	const n, in, out, batch, steps, lr, momentum = 500, 40, 10, 32, 500, 0.01, 0.9
	r := rand.New(rand.NewPCG(11, 12))
	x := randoms[float32](r, n*in)
	p := make([]float32, out*(in+1))
	for i := range p {
		p[i] = float32(0.01 * r.NormFloat64())
	}
	p64, v64 := wide(p), make([]float64, len(p))
	g, z, dz := make([]float32, len(p)), make([]float32, batch*out), make([]float32, batch*out)
	opt := grad.NewSGD(len(p), momentum, 0)
	bx, labels := make([]float32, batch*in), make([]int, batch)
	for step := range steps {
		for j := range batch {
			i := r.IntN(n)
			copy(bx[j*in:], x[i*in:][:in])
			labels[j] = i % out
		}
		grad.Dense(z, bx, p[:out*in], p[out*in:], batch, in, out)
		loss := grad.SoftmaxCrossEntropy(dz, z, labels, batch, out, 0, 1.0/batch) / batch
		grad.DenseWeightGrad(g, g[out*in:], bx, dz, batch, in, out)
		opt.Step(p, g, lr, out*in)

		loss64 := 0.0
		g64 := make([]float64, len(p))
		for j := range batch {
			q := make([]float64, out)
			sum := 0.0
			for o := range q {
				q[o] = p64[out*in+o]
				for k := range in {
					q[o] += p64[o*in+k] * float64(bx[j*in+k])
				}
				q[o] = math.Exp(q[o])
				sum += q[o]
			}
			loss64 -= math.Log(q[labels[j]]/sum) / batch
			for o := range q {
				d := (q[o]/sum - weight(o == labels[j])) / batch
				for k := range in {
					g64[o*in+k] += d * float64(bx[j*in+k])
				}
				g64[out*in+o] += d
			}
		}
		for i := range p64 {
			v64[i] = momentum*v64[i] + g64[i]
			p64[i] -= lr * v64[i]
		}
		if math.Abs(loss-loss64) > 1e-5*loss64 {
			t.Fatalf("step %d: loss %v, in float64 %v", step, loss, loss64)
		}
	}
	var diff, size float64
	for i := range p {
		d := float64(p[i]) - p64[i]
		diff += d * d
		size += p64[i] * p64[i]
	}
	if e := math.Sqrt(diff / size); e > 1e-5 {
		t.Errorf("weights after %d steps are off by %.3g", steps, e)
	} else {
		t.Logf("weights after %d steps: relative difference %.2g", steps, e)
	}
}

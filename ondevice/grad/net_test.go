package grad_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// nets are small networks in which values and gradients share memory: chains,
// residuals, a tensor that several nodes read, views.
func nets() map[string]*chain {
	pool := format.Attrs{"kernel_shape": ints(2, 2), "strides": ints(2, 2)}
	c := newChain(1, 10, 9, 2)
	c.conv("conv1", 5, 3, 1, 0, 1)
	c.add("Relu", "relu1", nil)
	c.add("MaxPool", "pool1", pool)
	c.conv("conv2", 4, 2, 1, 0, 1)
	c.add("Relu", "relu2", nil)
	c.add("Reshape", "flat", format.Attrs{"shape": ints(1, 24)})
	c.dense("dense1", 7)
	c.add("Relu", "relu3", nil)
	c.dense("dense2", 3)

	r := newChain(1, 6, 6, 4)
	r.conv("a", 8, 1, 1, 0, 1)
	r.add("Clip", "a/relu", format.Attrs{"min": 0.0, "max": 6.0})
	start := r.last
	r.conv("b", 8, 3, 1, 1, 8)
	r.add("Clip", "b/relu", format.Attrs{"min": 0.0, "max": 6.0})
	r.conv("c", 8, 1, 1, 0, 1)
	r.add("Add", "sum", nil, start)
	r.add("Sigmoid", "gate", nil)
	r.add("Mul", "scaled", nil, start)
	r.add("AveragePool", "pool", pool)
	r.add("Mul", "square", nil, r.last)
	r.add("ReduceMean", "mean", format.Attrs{"axes": ints(1, 2)})
	r.add("Reshape", "flat", format.Attrs{"shape": ints(1, 8)})
	r.dense("head", 3)
	return map[string]*chain{"chain": c, "residual": r}
}

// The gradients of whole networks against central differences in float64, and on
// every level the bits of portable Go, over some samples.
func TestNets(t *testing.T) {
	for name, c := range nets() {
		t.Run(name, func(t *testing.T) {
			m := c.model()
			r := rand.New(rand.NewPCG(5, 6))
			tape, err := grad.NewTape(m, append(c.params, "x"), grad.Portable[float64]{})
			if err != nil {
				t.Fatal(err)
			}
			x := tape.Tensor("x")
			copy(x.Data, randoms[float64](r, len(x.Data)))
			seed := randoms[float64](r, 3)
			loss := func() (sum float64) {
				for _, p := range c.params {
					tape.Tensor(p).Changed()
				}
				tape.Forward()
				for i, v := range tape.Outputs()[0].Data {
					sum += seed[i] * v
				}
				return sum
			}
			loss()
			tape.Backward(seed)
			tape.Flush()
			for _, p := range append(c.params, "x") {
				checkGradient(t, p, tape.Tensor(p).Data, append([]float64(nil), tape.Tensor(p).Grad...), loss)
			}

			run := func(p grad.Product[float32]) *grad.Tape[float32] {
				tape, err := grad.NewTape(m, c.params, p)
				if err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(7, 8))
				for range 3 {
					copy(tape.Tensor("x").Data, randoms[float32](r, len(x.Data)))
					tape.Forward()
					tape.Backward(randoms[float32](r, 3))
				}
				tape.Flush()
				return tape
			}
			want := run(grad.Portable[float32]{})
			for _, l := range kernels.Levels() {
				got := run(grad.OnLevel(l))
				for _, p := range c.params {
					same(t, fmt.Sprint(l, " ", p), got.Tensor(p).Grad, want.Tensor(p).Grad)
				}
			}
		})
	}
}

// Threads do not show in the bits: a net whose layers are worth sharing.
func TestThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // also where there are fewer cores
	c := articleTail()
	m := c.model()
	run := func(p grad.Product[float32]) *grad.Tape[float32] {
		tape, err := grad.NewTape(m, append(c.params, "x"), p)
		if err != nil {
			t.Fatal(err)
		}
		tape.Reserve(3)
		r := rand.New(rand.NewPCG(7, 8))
		for range 3 {
			copy(tape.Tensor("x").Data, randoms[float32](r, 13*13*32))
			tape.Forward()
			tape.Backward(randoms[float32](r, 10))
		}
		tape.Flush()
		return tape
	}
	want := run(grad.OnLevel(kernels.Best()))
	for _, l := range kernels.Levels() {
		for _, threads := range []int{1, 2, 4} {
			if l == kernels.Generic && threads < 4 { // it is slow
				continue
			}
			got := run(grad.OnThreads(l, threads))
			for _, p := range append(c.params, "x") {
				same(t, fmt.Sprint(l, " ", threads, " threads ", p), got.Tensor(p).Grad, want.Tensor(p).Grad)
			}
		}
	}
}

// The gradients of some rows of weights are the bits of those rows among all.
func TestRows(t *testing.T) {
	for name, c := range nets() {
		m := c.model()
		run := func(p grad.Product[float32], rows func(x *grad.Tensor[float32]) []int) *grad.Tape[float32] {
			tape, err := grad.NewTape(m, c.params, p)
			if err != nil {
				t.Fatal(err)
			}
			tape.Reserve(2)
			for _, p := range c.params {
				if x := tape.Tensor(p); rows != nil && len(x.Shape) > 1 {
					x.BindRows(rows(x), make([]float32, len(x.Data)))
				}
			}
			r := rand.New(rand.NewPCG(7, 8))
			for range 2 {
				copy(tape.Tensor("x").Data, randoms[float32](r, len(tape.Tensor("x").Data)))
				tape.Forward()
				tape.Backward(randoms[float32](r, 3))
			}
			tape.Flush()
			return tape
		}
		rows := func(x *grad.Tensor[float32]) []int { return []int{0, x.Shape[0] - 2, x.Shape[0] - 1} }
		all := run(grad.Portable[float32]{}, nil)
		for _, p := range append([]grad.Product[float32]{grad.Portable[float32]{}}, grad.OnLevel(kernels.Best())) {
			some := run(p, rows)
			for _, p := range c.params {
				x, y := all.Tensor(p), some.Tensor(p)
				if len(x.Shape) == 1 {
					same(t, name+" "+p, y.Grad, x.Grad)
					continue
				}
				row := len(x.Data) / x.Shape[0]
				for i, r := range rows(x) {
					same(t, fmt.Sprint(name, " ", p, " row ", r), y.Grad[i*row:][:row], x.Grad[r*row:][:row])
				}
			}
		}
	}
}

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var reduceCases = []struct{ shape, axes []int }{
	{[]int{5}, []int{0}}, {[]int{}, nil}, {[]int{3, 4}, nil}, {[]int{3, 4}, []int{1}}, {[]int{3, 4}, []int{0}}, {[]int{2, 3, 4, 5}, []int{1, 2}},
	{[]int{2, 3, 4, 5}, []int{0, 2}}, {[]int{2, 3, 4, 5}, []int{1, 3}}, {[]int{2, 3, 4, 5}, []int{-1, -2}}, {[]int{1, 7, 7, 33}, []int{1, 2}},
	{[]int{4, 100}, []int{-1}}, {[]int{1, 1, 6}, []int{2}}, {[]int{6, 1, 5}, []int{1}}, {[]int{2, 1, 3, 1, 40}, []int{0, 4}},
}

// groups returns, for each output, the inputs that go into it, in order.
func groups(shape, axes []int) [][]int {
	red := make([]bool, len(shape))
	for _, a := range axes {
		red[(a+len(shape))%len(shape)] = true
	}
	outs := 1
	for i, d := range shape {
		red[i] = red[i] || len(axes) == 0
		if !red[i] {
			outs *= d
		}
	}
	g := make([][]int, outs)
	for e := range product(shape) {
		o, step, rest := 0, 1, e
		for i, s := range slices.Backward(shape) {
			j := rest % s
			rest /= s
			if !red[i] {
				o += j * step
				step *= s
			}
		}
		g[o] = append(g[o], e)
	}
	return g
}

func TestReduce(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range reduceCases {
		t.Run(fmt.Sprint(c.shape, c.axes), func(t *testing.T) {
			p, err := NewReduce(c.shape, c.axes)
			if err != nil {
				t.Fatal(err)
			}
			g := groups(c.shape, c.axes)
			if len(g) != p.Out || len(g[0]) != p.Count {
				t.Fatalf("%d outputs of %d, want %d of %d", p.Out, p.Count, len(g), len(g[0]))
			}
			n := product(c.shape)
			x, x8, x32 := randFloats(r, n, 5), randInt8s(r, n), make([]int32, n)
			for i := range x32 {
				x32[i] = int32(r.Uint32())
			}
			sum, mean, top, q, isum := make([]float32, p.Out), make([]float32, p.Out), make([]float32, p.Out), make([]int8, p.Out), make([]int32, p.Out)
			p.Sum32(sum, x)
			p.Mean32(mean, x)
			ReduceMax(p, top, x)
			ReduceSumInt(p, isum, x32)
			px, py := QParams{0.1, 7}, QParams{0.07, -3}
			qr, err := NewQReduce(p, true, px, py, -128, 127)
			if err != nil {
				t.Fatal(err)
			}
			RunQReduce(qr, q, x8, make([]int64, qr.Scratch()))
			for o, in := range g {
				var s, abs, s8 float64
				var i32 int32
				m := math.Inf(-1)
				for _, i := range in {
					s += float64(x[i])
					abs += math.Abs(float64(x[i]))
					s8 += float64(int32(x8[i]) - px.Zero)
					m = max(m, float64(x[i]))
					i32 += x32[i]
				}
				tol := 1e-6 * abs
				if math.Abs(float64(sum[o])-s) > tol || math.Abs(float64(mean[o])-s/float64(p.Count)) > tol/float64(p.Count)+1e-7 || float64(top[o]) != m || isum[o] != i32 {
					t.Fatalf("[%d]: sum %g mean %g max %g int %d, want %g %g %g %d", o, sum[o], mean[o], top[o], isum[o], s, s/float64(p.Count), m, i32)
				}
				want := min(max(math.RoundToEven(s8/float64(p.Count)*float64(px.Scale)/float64(py.Scale))+float64(py.Zero), -128), 127)
				if math.Abs(float64(q[o])-want) > 1 {
					t.Fatalf("[%d]: mean of codes %d, want %g", o, q[o], want)
				}
			}
		})
	}
	if _, err := NewReduce([]int{3, 0}, []int{1}); err == nil {
		t.Error("a reduction over nothing was accepted")
	}
	if _, err := NewReduce([]int{3}, []int{1}); err == nil {
		t.Error("axis 1 of 1 was accepted")
	}
}

// TestSumOrder pins the order of additions: these sums tell orders apart.
func TestSumOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{0, 1, 15, 16, 17, 31, 100} {
		x := randFloats(r, n, 1)
		for i := range x {
			x[i] = x[i] * float32(math.Ldexp(1, r.IntN(30)))
		}
		var lanes [16]float32
		for i, v := range x {
			lanes[i%16] += v
		}
		for _, h := range []int{8, 4, 2, 1} {
			for i := range h {
				lanes[i] += lanes[i+h]
			}
		}
		if got := Sum16(x); math.Float32bits(got) != math.Float32bits(lanes[0]) {
			t.Errorf("n=%d: %g, want %g", n, got, lanes[0])
		}
	}
	// Over an outer axis: one ascending chain an output.
	x := []float32{1e8, 1, -1e8, 1, 1, 1}
	p, _ := NewReduce([]int{6, 1}, []int{0})
	y := make([]float32, 1)
	p.Sum32(y, x) // merged: the only axis left is innermost
	if y[0] != Sum16(x) {
		t.Errorf("a single axis is summed as %g, in 16 lanes %g", y[0], Sum16(x))
	}
	x2 := []float32{1e8, 0, 1, 0, -1e8, 0, 1, 0}
	p, _ = NewReduce([]int{4, 2}, []int{0})
	y = make([]float32, 2)
	p.Sum32(y, x2)
	chain := float32(1e8)
	for _, v := range []float32{1, -1e8, 1} {
		chain += v
	}
	if y[0] != chain {
		t.Errorf("outer sum %g, want the chain's %g", y[0], chain)
	}
}

package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// trainingShapes are small layers with and without windows that reach over an edge.
func trainingShapes(rng *rand.Rand) []ConvShape {
	var list []ConvShape
	for n := rounds(40); len(list) < n; {
		if s := randomShape(rng, rng.IntN(4) == 0); s.MACs() < 500_000 {
			list = append(list, s)
		}
	}
	return list
}

// TestTrainingGuards: the three passes of a layer on guarded memory are the portable ones.
func TestTrainingGuards(t *testing.T) {
	eachLevel(t, trainingShapes, func(t *testing.T, l Level, m *memory, s ConvShape) {
		x, dy := taken(m, randomFloats(m.r, s.InLen(), false)), taken(m, randomFloats(m.r, s.OutLen(), false))
		w, b, start := randomFloats(m.r, s.WeightLen(), false), randomFloats(m.r, s.O, false), randomFloats(m.r, s.WeightLen(), false)
		y, dx, dw := make([]float32, s.OutLen()), make([]float32, s.InLen()), append([]float32(nil), start...)
		ConvForward(&s, y, x, w, b)
		ConvInputGrad(&s, dx, dy, w)
		ConvWeightGrad(&s, dw, x, dy)

		c, err := NewConvTrainer(l, s, -inf32, inf32, true)
		if err != nil {
			t.Fatal(err)
		}
		c.SetWeights(w, b)
		scratch, got := take[byte](m, c.Scratch()), take[float32](m, len(y))
		c.Forward(got, x, scratch, 0, c.ForwardTasks())
		sameRow(t, "y", got, y)
		got = take[float32](m, len(dx))
		c.InputGrad(got, dy, scratch, 0, c.InputGradTasks())
		sameRow(t, "dx", got, dx)
		got = taken(m, start)
		c.WeightGrad().Run(got, x, dy, scratch, 0, c.WeightGrad().Tasks())
		sameRow(t, fmt.Sprintf("dw %+v", s), got, dw)
		m.check(t)
	})
}

// TestStepGuards: optimizers and sums on guarded memory are the portable ones.
func TestStepGuards(t *testing.T) {
	atLevels(t, 100, func(t *testing.T, l Level, m *memory) {
		n := 1 + m.length()
		a := AdamW{0.1, 0.3, 0.001, 0.9, 0.999, 1e-8}
		var start [5][]float32 // parameters, gradient, two states, a mask's values
		for i := range start {
			start[i] = randomFloats(m.r, n, false)
		}
		for i, v := range start[3] {
			start[3][i] = v * v
		}
		rows := randomFloats(m.r, 3*n, false)
		run := func(l Level, put func([]float32) []float32) [][]float32 {
			p, q, v, w, sum, dy := put(start[0]), put(start[0]), put(start[2]), put(start[3]), put(start[4]), put(start[1])
			g, mean, in := put(start[1]), put(start[2]), put(rows)
			SGDStep(l, p, g, v, 0.1, 0.9, 0.01)
			AdamWStep(l, a, q, g, mean, w)
			AddTo(l, sum, g)
			SumRows(l, sum, in, 3, n)
			bits := make([]byte, (len(dy)+7)/8)
			RangeBits(l, bits, put(start[4]), -0.5, 0.75)
			KeepBits(l, dy, bits)
			return [][]float32{p, q, v, w, mean, sum, dy}
		}
		want := run(Generic, func(x []float32) []float32 { return append([]float32(nil), x...) })
		for i, got := range run(l, func(x []float32) []float32 { return taken(m, x) }) {
			sameRow(t, []string{"SGD", "AdamW", "momentum", "variance", "mean", "sum", "mask"}[i], got, want[i])
		}
	})
}

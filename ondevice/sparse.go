package ondevice

import (
	"cmp"
	"math"
	"slices"
)

// channelsOf is how many of n channels a part of them is, one at least.
func channelsOf(part float64, n int) int {
	return max(1, min(n, int(math.Ceil(part*float64(n)-1e-9))))
}

// fisherSamples are enough to tell channels apart: the ranking of TinyTrain takes
// as many.
const fisherSamples = 64

// chooseChannels picks the channels of every layer whose weights a sparse tail
// trains: those with the greatest Fisher information
//
//	1/N Σ over samples of (Σ over positions of a g)²
//
// of the channel's activations a and their gradient g. The inner sum is that of w ∂w
// and b ∂b over the channel's own weights and bias, for a is linear in them.
func (t *trainer) chooseChannels(n *tailNet, train []int32) {
	p := t.plan
	weights := len(p.tail.layers) // of the trained tensors; behind them the head's, then biases
	bias := map[string]int{}
	for i, x := range n.trained[weights+1:] {
		bias[x.Name] = weights + 1 + i
	}
	score := make([][]float64, weights)
	for i, x := range n.trained[:weights] {
		score[i] = make([]float64, x.Shape[0])
	}
	many := min(len(train), fisherSamples)
	for k := range many { // all over them: the samples may lie by class
		i := train[k*len(train)/many]
		for _, x := range n.trained {
			clear(x.Grad)
		}
		n.run(i)
		t.loss(n.delta, n.logits.Data, []int32{i}, 0, 1)
		n.tape.Backward(n.delta)
		n.tape.Flush()
		for l, x := range n.trained[:weights] {
			row := len(x.Data) / x.Shape[0]
			b, biased := bias[n.biases[x.Name]]
			for c := range score[l] {
				var sum float64
				for j, w := range x.Data[c*row:][:row] {
					sum += float64(float64(w) * float64(x.Grad[c*row+j]))
				}
				if biased {
					sum += float64(float64(n.trained[b].Data[c]) * float64(n.trained[b].Grad[c]))
				}
				score[l][c] += float64(sum * sum)
			}
		}
	}
	n.channels = map[string][]int{}
	for l, x := range n.trained[:weights] {
		order := make([]int, len(score[l]))
		for c := range order {
			order[c] = c
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[l][b], score[l][a]) })
		order = order[:channelsOf(p.tail.share, len(order))]
		slices.Sort(order)
		n.channels[x.Name] = order
	}
}

// gatherRows copies some rows of n elements of src to dst, one behind the other;
// scatterRows copies them back.
func gatherRows(dst, src []float32, rows []int, n int) {
	for i, r := range rows {
		copy(dst[i*n:][:n], src[r*n:])
	}
}

func scatterRows(dst, src []float32, rows []int, n int) {
	for i, r := range rows {
		copy(dst[r*n:][:n], src[i*n:])
	}
}

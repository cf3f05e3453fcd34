package grad

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
)

// A fused node is a layer with the Relu and Clip nodes behind it, whose bounds it
// takes over: a matrix kernel clamps for nothing.
type fused[T Float] struct {
	node    *format.Node
	outputs []string
	lo, hi  T
}

// fuse lists the nodes of a graph, layers with what follows them. A node between
// them must have one reader: the next.
func fuse[T Float](g *format.Graph) []fused[T] {
	readers := map[string][]*format.Node{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			readers[in] = append(readers[in], n)
		}
	}
	inf := T(math.Inf(1))
	var list []fused[T]
	gone := map[*format.Node]bool{}
	for _, n := range g.Nodes {
		if gone[n] {
			continue
		}
		f := fused[T]{node: n, outputs: n.Outputs, lo: -inf, hi: inf}
		for n.Op == "Conv" || n.Op == "Gemm" {
			y := f.outputs[0]
			if len(readers[y]) != 1 || slices.Contains(g.Outputs, y) {
				break
			}
			next := readers[y][0]
			lo, hi := T(next.Attrs.Float("min", math.Inf(-1))), T(next.Attrs.Float("max", math.Inf(1)))
			if next.Op == "Relu" {
				lo, hi = 0, inf
			} else if next.Op != "Clip" || len(next.Inputs) > 1 {
				break
			}
			lo, hi = max(lo, f.lo), min(hi, f.hi)
			if !(lo < hi) {
				break
			}
			f.lo, f.hi, f.outputs = lo, hi, next.Outputs
			gone[next] = true
		}
		list = append(list, f)
	}
	return list
}

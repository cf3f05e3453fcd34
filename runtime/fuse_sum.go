package runtime

import (
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// fuseSums makes the Add of a residual a part of the int8 convolution that computes
// one of its operands, where the level's kernels gain by it. Both still round as they
// did. It runs last: the convolution's own output is then no value of the program.
func (g *graph) fuseSums() {
	if !kernels.AddsResidual(g.level) {
		return
	}
	def := map[*value]int{}
	for i, n := range g.nodes {
		if conv := n.convOf(g.nodes, def); conv >= 0 {
			c := g.nodes[conv]
			c.sum = n
			c.fused += "+Add" + n.fused
			g.nodes[i], g.nodes[conv] = c, nil
		}
		for _, v := range n.out {
			if v != nil {
				def[v] = i
			}
		}
	}
	g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return n == nil })
}

// convOf returns the place of the convolution that can do the Add n: the later one
// if there are two. It is -1 if there is none.
func (n *node) convOf(nodes []*node, def map[*value]int) int {
	if n.op != "Add" || n.table != nil {
		return -1
	}
	at := -1
	for k, v := range n.in {
		i, ok := def[v]
		if !ok || i < at || !v.sums(n.in[1-k]) || !v.sums(n.out[0]) {
			continue
		}
		if c := nodes[i]; c != nil && c.out[0] == v && c.addsInt8() {
			at = i
		}
	}
	return at
}

// sums reports whether v and w are int8 codes that lie alike.
func (v *value) sums(w *value) bool {
	return v.uses == 1 && v.typ == format.Int8 && w.typ == format.Int8 && v.quant != nil && w.quant != nil && slices.Equal(v.shape, w.shape)
}

// addsInt8 reports whether n is a convolution of codes whose kernel can add a residual.
func (n *node) addsInt8() bool {
	if n.op != "Conv" && n.op != "Gemm" || n.sum != nil || n.table != nil || n.in[0].typ != format.Int8 || n.in[1].typ != format.Int8 {
		return false
	}
	return n.attrs.Int("group", 1) == 1
}

// residual is the operand of the sum that a convolution does not compute.
func (n *node) residual() *value {
	if n.sum.in[0] == n.out[0] {
		return n.sum.in[1]
	}
	return n.sum.in[0]
}

func (n *node) sumParams() *kernels.QConvAdd {
	a, b := n.sum.in[0], n.sum.in[1]
	p := &kernels.QConvAdd{A: a.params(), B: b.params(), Y: n.sum.out[0].params(), Second: b == n.out[0]}
	p.Lo, p.Hi = n.sum.clampCodes(-128, 127)
	return p
}

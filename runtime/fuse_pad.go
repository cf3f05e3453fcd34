package runtime

import (
	"maps"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// absorbPads makes a padding of height and width part of the convolution or
// maximum that reads it, where every bit stays the same: a convolution pads
// with real zeros itself, and a maximum of codes passes over positions that
// cannot be the greatest. Float maxima keep their padding, for a window may
// hold -0 or NaN. It runs after [graph.fuse], which tells the least code that
// a maximum can meet.
func (g *graph) absorbPads() {
	def := map[*value]*node{}
	for _, n := range g.nodes {
		if n.op == "Conv" || n.op == "MaxPool" {
			if pad := def[n.in[0]]; pad != nil && pad.op == "Pad" {
				n.absorb(pad, def[pad.in[0]])
			}
		}
		for _, v := range n.out {
			if v != nil {
				def[v] = n
			}
		}
	}
	g.prune()
}

// absorb makes n read the input of pad, which the node before computes, if it may.
func (n *node) absorb(pad, before *node) {
	x := pad.in[0]
	by := pad.attrs.Ints("pads") // before N, H, W, C, then behind them
	if len(x.shape) != 4 || len(by) != 8 || by[0]|by[3]|by[4]|by[7] != 0 || min(by[1], by[2], by[5], by[6]) < 0 ||
		pad.attrs.Str("mode", "constant") != "constant" || !sameQuant(x.quant, pad.out[0].quant) {
		return
	}
	with := *n
	with.in = append([]*value{x}, n.in[1:]...)
	pads := []int64{by[1], by[2], by[5], by[6]}
	for i, p := range n.attrs.Ints("pads") {
		pads[i] += p
	}
	with.attrs = format.Attrs{}
	maps.Copy(with.attrs, n.attrs)
	with.attrs["pads"] = pads
	with.fused = "+Pad" + n.fused
	if value := pad.attrs.Float("value", 0); n.op == "Conv" && value == 0 && with.padsConv() || n.op == "MaxPool" && with.padsMax(value, before) {
		*n = with
	}
}

// padsConv tells whether a convolution's own padding is zeros. One that
// quantizes its input pixel by pixel has no padding.
func (n *node) padsConv() bool {
	w := n.in[1].shape
	return n.in[0].typ != format.Float32 || n.in[1].typ == format.Float32 || w[1]*w[2] > 1
}

// padsMax tells whether a maximum over x gives the same codes when it passes
// over the padding of value: no code of x may be less. Windows in nothing but
// padding do not exist then.
func (n *node) padsMax(value float64, before *node) bool {
	x := n.in[0]
	if x.typ != format.Int8 || x.quant == nil {
		return false
	}
	least := int32(-128)
	if before != nil {
		least, _ = before.clampCodes(-128, 127)
	}
	p := n.poolShape(kernels.Generic)
	return code(value, x, -128, 127) <= least && p.Check() == nil
}

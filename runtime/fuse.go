package runtime

import (
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// fold computes the nodes whose inputs are all constant, once, at compile
// time, with the portable kernels (the bits are the same at every level).
func (g *graph) fold() error {
	var rest []*node
	for _, n := range g.nodes {
		if !n.foldable() {
			rest = append(rest, n)
			continue
		}
		s, err := n.bind(kernels.Generic)
		if err != nil {
			return err
		}
		if s == nil { // an alias of a constant
			for _, v := range n.out {
				v.data, v.alias = v.root().data, nil
			}
			continue
		}
		if s.first != nil {
			return n.errf("constant operands; the converter should have folded it")
		}
		if (n.op == "Cast" || n.op == "DequantizeLinear") && g.packs(n.out[0]) {
			n.out[0].later = s
			continue
		}
		size := 0
		for _, v := range n.out {
			v.offset = size
			size += (v.size + 63) &^ 63
		}
		m := &mem{arena: alignedBytes(size)}
		s.run(m, alignedBytes(s.scratch), 0, s.tasks)
		if m.fault != nil {
			return m.taken()
		}
		for _, v := range n.out {
			v.data = m.bytes(v)
		}
	}
	g.nodes = rest
	g.count()
	return nil
}

// packs reports whether all that reads a value copies it into the layout of its own
// kernel. A constant of that kind is computed when its reader is bound, and dropped: of
// weights that are stored in fewer bits the program holds one copy, not two. Those in
// blocks the reader takes as they are, see [value.stored].
func (g *graph) packs(v *value) bool {
	if v.typ != format.Float32 || slices.Contains(g.outputs, v) {
		return false
	}
	read := false
	for _, n := range g.nodes {
		for i, in := range n.in {
			if in != v {
				continue
			}
			if i != 1 || n.op != "Conv" && n.op != "Gemm" || n.in[0].typ != format.Float32 {
				return false
			}
			read = true
		}
	}
	return read
}

func (n *node) foldable() bool {
	if n.state != nil || len(n.in) == 0 || n.op == opFlip || n.op == "Trim" || n.op == "If" || n.op == "Loop" {
		return false
	}
	for _, v := range n.in {
		if v != nil && v.data == nil {
			return false
		}
	}
	for _, v := range n.out {
		if v == nil {
			return false
		}
	}
	return true
}

// fuse merges an activation into the node before it where the result keeps
// its bits: a clamp after a rounding to the same scale is the same clamp
// before it. Nothing that rounds is ever merged away.
func (g *graph) fuse() {
	def := map[*value]*node{}
	var nodes []*node
	for _, n := range g.nodes {
		if lo, hi, ok := n.activation(); ok {
			in, out := n.in[0], n.out[0]
			if p := def[in]; p != nil && in.uses == 1 && p.takesClamp() && in.typ == out.typ && sameQuant(in.quant, out.quant) {
				if !p.clamp {
					p.lo, p.hi, p.clamp = math.Inf(-1), math.Inf(1), true
				}
				// clamp(clamp(x, a, b), c, d) = clamp(x, ...) for overlapping ranges only.
				if lo <= p.hi && hi >= p.lo {
					p.lo, p.hi = max(p.lo, lo), min(p.hi, hi)
					p.fused += "+" + n.op
					p.out[0] = out
					def[out] = p
					continue
				}
			}
		}
		nodes = append(nodes, n)
		for _, v := range n.out {
			if v != nil {
				def[v] = n
			}
		}
	}
	g.nodes = nodes
	g.count()
}

// activation returns the clamp that the node is, if it is one.
func (n *node) activation() (lo, hi float64, ok bool) {
	switch n.op {
	case "Relu":
		return 0, math.Inf(1), true
	case "Clip":
		lo, hi = n.attrs.Float("min", math.Inf(-1)), n.attrs.Float("max", math.Inf(1))
		return lo, hi, lo <= hi
	}
	return 0, 0, false
}

func (n *node) takesClamp() bool {
	switch n.op {
	case "Conv", "Gemm", "Add", "Sub", "Mul":
		return n.out[0].typ == format.Float32 || n.out[0].quant != nil
	}
	return false
}

// clampF32 returns the fused clamp of a float node; without one it is
// (-Inf, +Inf).
func (n *node) clampF32() (lo, hi float32) {
	if !n.clamp {
		return float32(math.Inf(-1)), float32(math.Inf(1))
	}
	return float32(n.lo), float32(n.hi)
}

// clampCodes returns the range of codes that an integer output may take: that
// of its type, narrowed by the fused activation.
func (n *node) clampCodes(least, most int32) (lo, hi int32) {
	lo, hi = least, most
	if !n.clamp {
		return lo, hi
	}
	out := n.out[0]
	if !math.IsInf(n.lo, -1) {
		lo = max(lo, code(n.lo, out, least, most))
	}
	if !math.IsInf(n.hi, 1) {
		hi = min(hi, code(n.hi, out, least, most))
	}
	return lo, hi
}

// code is the code of a real number in v's quantization, within the range, by
// the arithmetic of QuantizeLinear.
func code(x float64, v *value, least, most int32) int32 {
	return kernels.QuantizeOne(float32(x), v.scale(), v.zero(), least, most)
}

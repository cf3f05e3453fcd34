package runtime

import (
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
)

// opSilu is x*sigmoid(x) on floats, which models spell as two nodes.
const opSilu = "whet.Silu"

// A tabled value is a function of one int8 tensor, code by code.
type tabled struct {
	root  *value // nil: the same code for all
	table kernels.Table8
	ops   []string
}

// tabulate makes one table of 256 entries of elementwise nodes whose result
// depends on a single int8 tensor: a chain of functions, or x*sigmoid(x). The
// portable kernels of the nodes compute the table with all their roundings, so
// every bit stays the same. On floats x*sigmoid(x) becomes one loop, which
// rounds as the two did.
func (g *graph) tabulate() {
	known := map[*value]*tabled{}
	def := map[*value]*node{}
	for _, n := range g.nodes {
		if n.op == "Mul" && n.in[0].typ == format.Float32 {
			n.silu(def)
		}
		if f := n.tabled(known); f != nil {
			known[n.out[0]] = f
			n.op, n.fused, n.in, n.table = strings.Join(f.ops, "+"), "", []*value{f.root}, &f.table
		}
		for _, v := range n.out {
			if v != nil {
				def[v] = n
			}
		}
	}
	g.prune()
}

// silu makes the product x*sigmoid(x) one function if nothing else reads the
// sigmoid.
func (n *node) silu(def map[*value]*node) {
	for i, s := range n.in {
		x, d := n.in[1-i], def[s]
		if d != nil && d.op == "Sigmoid" && d.in[0] == x && s.uses == 1 && !n.clamp {
			n.op, n.in = opSilu, []*value{x}
			return
		}
	}
}

// tabled returns the node's result as a function of one int8 tensor, or nil.
func (n *node) tabled(known map[*value]*tabled) *tabled {
	if len(n.out) != 1 || n.out[0] == nil || !n.out[0].codes() {
		return nil
	}
	y := n.out[0]
	if u, ok := unaryOf(n); ok {
		a := operandTable(known, n.in[0])
		if a == nil {
			return nil
		}
		step := kernels.MakeTable(kernels.UnaryFunc[float32](u), n.in[0].scale(), n.in[0].zero(), y.scale(), y.zero())
		f := &tabled{root: a.root, ops: append(slices.Clip(a.ops), n.op)}
		step.Apply(f.table[:], a.table[:])
		return f
	}
	op, ok := binaryOf(n.op)
	if !ok {
		return nil
	}
	a, b := operandTable(known, n.in[0]), operandTable(known, n.in[1])
	if a == nil || b == nil {
		return nil
	}
	f := &tabled{root: a.root, ops: a.ops}
	if a.root == nil {
		f.root = b.root
	}
	if f.root == nil || b.root != nil && b.root != f.root || f.root.elems() != y.elems() {
		return nil
	}
	if len(b.ops) > len(a.ops) {
		f.ops = b.ops
	}
	f.ops = append(slices.Clip(f.ops), n.op+n.fused)
	all := []int{len(f.table)}
	c, err := kernels.NewBcast(all, all)
	if err != nil {
		return nil
	}
	lo, hi := n.clampCodes(-128, 127)
	kernels.NewQBinary(op, c, n.in[0].params(), n.in[1].params(), y.params(), lo, hi).Run(f.table[:], a.table[:], b.table[:], 0, len(f.table))
	return f
}

// operandTable returns what is known of a tensor of codes: its function, the
// code that a constant is, or that it is itself.
func operandTable(known map[*value]*tabled, v *value) *tabled {
	if !v.codes() {
		return nil
	}
	if f := known[v]; f != nil {
		return f
	}
	f := &tabled{root: v}
	for i := range f.table {
		f.table[i] = int8(i)
	}
	if v.isConst() {
		if v.elems() != 1 {
			return nil
		}
		f.root = nil
		for i := range f.table {
			f.table[i] = v.constI8()[0]
		}
	}
	return f
}

// codes tells whether v holds int8 codes of one quantization.
func (v *value) codes() bool {
	return v != nil && v.typ == format.Int8 && v.quant != nil && len(v.quant.Scale) == 1
}

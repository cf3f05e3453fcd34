package onnx

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Sizes that may change. The import itself knows numbers only, so the model is
// imported at several sizes. What differs between the results must be shapes and
// attributes that are products and sums of the sizes, and constants of which the
// smaller is the start of the larger; then the model at the greatest sizes and those
// rules stand for all of them, which two more imports confirm.

// importDynamic imports a model whose dims may change.
func importDynamic(b []byte, o Options) (*format.Model, error) {
	d := format.Dynamic{}
	for _, name := range slices.Sorted(maps.Keys(o.Ranges)) {
		r := o.Ranges[name]
		r.Name, r.Step = name, max(r.Step, 1)
		if r.Min < 1 || r.Max <= r.Min || (r.Max-r.Min)%r.Step != 0 {
			return nil, fmt.Errorf("size %q of %d to %d in steps of %d is no range", name, r.Min, r.Max, r.Step)
		}
		d.Dims = append(d.Dims, r)
	}
	if len(d.Dims) > maxRanges {
		return nil, fmt.Errorf("%d sizes that may change, more than %d", len(d.Dims), maxRanges)
	}
	at := func(sizes []int) (*format.Model, error) {
		o := o
		o.Ranges, o.Dims = nil, maps.Clone(o.Dims)
		if o.Dims == nil {
			o.Dims = map[string]int{}
		}
		for i, dim := range d.Dims {
			o.Dims[dim.Name] = sizes[i]
		}
		return importBytes(b, o)
	}
	// The greatest, and about the middle: at 1 there may be less to do.
	n := len(d.Dims)
	high, low := make([]int, n), make([]int, n)
	for i, dim := range d.Dims {
		high[i] = dim.Max
		low[i] = dim.Max - dim.Step*(((dim.Max-dim.Min)/dim.Step+1)/2)
	}
	models := make([]*format.Model, 1<<n) // bit i: the greatest size of dim i
	for set := range models {
		sizes := slices.Clone(low)
		for i := range sizes {
			if set>>i&1 == 1 {
				sizes[i] = high[i]
			}
		}
		m, err := at(sizes)
		if err != nil {
			return nil, err
		}
		models[set] = m
	}
	most := models[len(models)-1]
	f := &fitter{low: low, high: high, rules: map[string]int{}}
	if err := f.models(models); err != nil {
		return nil, err
	}
	d.Sizes = f.list
	most.Header.Dynamic = d
	for _, pick := range []func(format.Dim) int{func(d format.Dim) int { return d.Max - d.Step }, func(d format.Dim) int { return d.Min }} {
		sizes, named := make([]int, n), map[string]int{}
		for i, dim := range d.Dims {
			sizes[i] = pick(dim)
			named[dim.Name] = sizes[i]
		}
		r, err := most.Resized(named)
		if err != nil {
			return nil, fmt.Errorf("at %v: %w: give a step that suits the model's strides, or the size by a number", named, err)
		}
		if slices.Contains(sizes, 1) {
			continue // where fewer nodes may do, and the others do as well
		}
		m, err := at(sizes)
		if err != nil {
			return nil, err
		}
		if what := different(r, m); what != "" {
			return nil, fmt.Errorf("%s changes with the sizes in a way that is not a product or sum of them (seen at %v): give a size by a number, or a step that suits its strides", what, named)
		}
	}
	most.Header.Source.Note = ranges(d.Dims, most.Header.Source.Note)
	return most, nil
}

// maxRanges bounds the sizes that may change: the model is imported 2^n times.
const maxRanges = 3

// ranges says which sizes may change, beside those that the import fixed.
func ranges(dims []format.Dim, note string) string {
	var list []string
	for _, d := range dims {
		list = append(list, fmt.Sprintf("%s=%d..%d/%d", d.Name, d.Min, d.Max, d.Step))
		for _, s := range []string{fmt.Sprintf("%s=%d, ", d.Name, d.Max), fmt.Sprintf(", %s=%d", d.Name, d.Max), fmt.Sprintf("symbolic dimensions fixed at %s=%d", d.Name, d.Max)} {
			note = strings.Replace(note, s, "", 1)
		}
	}
	s := "sizes that may change: " + strings.Join(list, ", ")
	if note != "" {
		s += "; " + note
	}
	return s
}

// A fitter finds the rules of the numbers that differ.
type fitter struct {
	low, high []int
	rules     map[string]int // by coefficients
	list      []format.SizeRule
}

func (f *fitter) models(all []*format.Model) error {
	m := all[len(all)-1]
	for _, o := range all {
		if len(o.Graphs) != len(m.Graphs) || len(o.Tensors) != len(m.Tensors) {
			return fmt.Errorf("the graph itself depends on the sizes (%d tensors and %d): give them by numbers", len(o.Tensors), len(m.Tensors))
		}
	}
	for i, t := range m.Tensors {
		for k := range t.Shape {
			v := make([]int64, len(all))
			for j, o := range all {
				if x := o.Tensors[i]; x.Const() != t.Const() || len(x.Shape) != len(t.Shape) {
					return fmt.Errorf("the graph itself depends on the sizes (tensors %q and %q): give them by numbers", x.Name, t.Name)
				}
				v[j] = int64(o.Tensors[i].Shape[k])
			}
			f.number(v, format.SizeUse{Name: t.Name, Index: k})
		}
	}
	for g, graph := range m.Graphs {
		for i, n := range graph.Nodes {
			others := make([]*format.Node, len(all))
			for j, o := range all {
				if list := o.Graphs[g].Nodes; len(list) != len(graph.Nodes) || list[i].Op != n.Op {
					return fmt.Errorf("the graph itself depends on the sizes (at node %q): give them by numbers", n.Name)
				}
				others[j] = o.Graphs[g].Nodes[i]
			}
			for _, name := range slices.Sorted(maps.Keys(n.Attrs)) {
				f.attr(n.Name, name, others)
			}
		}
	}
	return nil
}

func (f *fitter) attr(node, name string, all []*format.Node) {
	entry := func(n *format.Node, k int) (int64, bool) {
		switch v := n.Attrs[name].(type) {
		case int64:
			return v, k == 0
		case []int64:
			if k < len(v) {
				return v[k], true
			}
		}
		return 0, false
	}
	for k := 0; ; k++ {
		v := make([]int64, len(all))
		for j, n := range all {
			x, ok := entry(n, k)
			if !ok {
				return
			}
			v[j] = x
		}
		f.number(v, format.SizeUse{Name: node, Attr: name, Index: k})
	}
}

// number adds the rule of a number that is v[set] where the dims of the set are at
// their greatest, unless it is the same everywhere.
func (f *fitter) number(v []int64, use format.SizeUse) {
	if !slices.ContainsFunc(v, func(x int64) bool { return x != v[0] }) {
		return
	}
	// One dim after the other: the number is a + b·size between low and high.
	coef := make([]*big.Rat, len(v))
	for i, x := range v {
		coef[i] = big.NewRat(x, 1)
	}
	for i := range f.low {
		for set := range coef {
			if set>>i&1 == 1 {
				continue
			}
			lo, hi := coef[set], coef[set|1<<i]
			b := new(big.Rat).Sub(hi, lo)
			b.Mul(b, big.NewRat(1, int64(f.high[i]-f.low[i])))
			a := new(big.Rat).Mul(b, big.NewRat(int64(f.low[i]), 1))
			coef[set], coef[set|1<<i] = a.Sub(lo, a), b
		}
	}
	den := big.NewInt(1)
	for _, c := range coef { // the least common multiple
		g := new(big.Int).GCD(nil, nil, den, c.Denom())
		den.Div(new(big.Int).Mul(den, c.Denom()), g)
	}
	r := format.SizeRule{Den: den.Int64()}
	for _, c := range coef {
		n := new(big.Rat).Mul(c, new(big.Rat).SetInt(den))
		r.Coef = append(r.Coef, n.Num().Int64())
	}
	key := fmt.Sprint(r.Coef, r.Den)
	at, ok := f.rules[key]
	if !ok {
		at = len(f.list)
		f.rules[key] = at
		f.list = append(f.list, r)
	}
	f.list[at].Uses = append(f.list[at].Uses, use)
}

// different says what of two models is not the same but for names, "" if all is.
func different(a, b *format.Model) string {
	if len(a.Tensors) != len(b.Tensors) || len(a.Graphs) != len(b.Graphs) {
		return "the graph"
	}
	ids := func(m *format.Model) map[string]int {
		list := map[string]int{}
		for i, t := range m.Tensors {
			list[t.Name] = i
		}
		return list
	}
	inA, inB := ids(a), ids(b)
	same := func(x, y []string) bool {
		return slices.EqualFunc(x, y, func(x, y string) bool { return inA[x] == inB[y] && (x == "") == (y == "") })
	}
	for i, t := range a.Tensors {
		if u := b.Tensors[i]; !t.Shape.Equal(u.Shape) || t.Type != u.Type || !bytes.Equal(t.Data, u.Data) || !t.Quant.Equal(u.Quant) {
			return fmt.Sprintf("tensor %q (%v, %v)", t.Name, t.Shape, u.Shape)
		}
	}
	for g := range a.Graphs {
		if len(a.Graphs[g].Nodes) != len(b.Graphs[g].Nodes) {
			return "the graph"
		}
		for i, n := range a.Graphs[g].Nodes {
			if o := b.Graphs[g].Nodes[i]; n.Op != o.Op || !same(n.Inputs, o.Inputs) || !same(n.Outputs, o.Outputs) || fmt.Sprint(n.Attrs) != fmt.Sprint(o.Attrs) {
				return fmt.Sprintf("node %q (%v, %v)", n.Name, n.Attrs, o.Attrs)
			}
		}
	}
	return ""
}

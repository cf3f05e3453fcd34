package format

import (
	"fmt"
	"maps"
	"slices"
)

// Dynamic says which sizes of a model may change, and what changes with them. The
// model itself is stored at the greatest sizes: what it needs at most is known, and
// whoever does not care about other sizes need not know of them.
type Dynamic struct {
	Dims  []Dim
	Sizes []SizeRule
}

// A Dim is a named size (batch, length): at least Min, at most Max, and Min plus a
// multiple of Step.
type Dim struct {
	Name           string
	Min, Max, Step int
}

// A SizeRule is a number that depends on the dims, and where it stands. Coef has one
// number for every set of dims, the first dim being bit 0 of the set: the number is
// the sum of each Coef times the sizes in its set, through Den.
type SizeRule struct {
	Coef []int64
	Den  int64
	Uses []SizeUse
}

// A SizeUse is one entry of a tensor's shape, or of a node's attribute. A constant
// whose shape changes keeps its first elements.
type SizeUse struct {
	Name  string // of the tensor or node
	Attr  string // "" for a tensor
	Index int
}

// maxDims bounds the named sizes of a model: every rule has 2^n numbers.
const maxDims = 4

// Resized returns the model at other sizes, which must be the rules' own; a name that
// is absent keeps its greatest. Constants share the memory of m. The error is a
// *[CheckError] where a size does not suit the model.
func (m *Model) Resized(sizes map[string]int) (*Model, error) {
	d := &m.Header.Dynamic
	at, err := d.At(sizes)
	if err != nil {
		return nil, err
	}
	r := *m
	r.closer = nil
	r.Header.Dynamic = Dynamic{}
	tensors, nodes := map[string]*Tensor{}, map[string]*Node{}
	r.Tensors = slices.Clone(m.Tensors)
	for i, t := range r.Tensors {
		c := *t
		c.Shape = slices.Clone(t.Shape)
		r.Tensors[i], tensors[t.Name] = &c, &c
	}
	r.Graphs = slices.Clone(m.Graphs)
	for i, g := range r.Graphs {
		c := *g
		c.Nodes = slices.Clone(g.Nodes)
		for k, n := range c.Nodes {
			n := *n
			c.Nodes[k], nodes[n.Name] = &n, &n
		}
		r.Graphs[i] = &c
	}
	for _, rule := range d.Sizes {
		v, ok := rule.at(at)
		if !ok {
			return nil, &CheckError{Msg: fmt.Sprintf("the sizes %v give no whole number for %q", sizes, rule.Uses[0].Name)}
		}
		for _, u := range rule.Uses {
			if err := u.set(tensors[u.Name], nodes[u.Name], v); err != nil {
				return nil, err
			}
		}
	}
	for i, t := range r.Tensors {
		if t.Const() && !t.Shape.Equal(m.Tensors[i].Shape) {
			if err := t.shrink(m.Tensors[i].Shape); err != nil {
				return nil, err
			}
		}
	}
	return &r, Check(&r)
}

// At returns the sizes of all dims in order: those named, else the greatest. A name
// or size that the dims do not have is an error.
func (d *Dynamic) At(sizes map[string]int) ([]int, error) {
	at := make([]int, len(d.Dims))
	for i, dim := range d.Dims {
		v, ok := sizes[dim.Name]
		if !ok {
			v = dim.Max
		}
		if v < dim.Min || v > dim.Max || (v-dim.Min)%dim.Step != 0 {
			return nil, fmt.Errorf("format: size %q is %d and must be %d to %d in steps of %d", dim.Name, v, dim.Min, dim.Max, dim.Step)
		}
		at[i] = v
	}
	for name := range sizes {
		if !slices.ContainsFunc(d.Dims, func(d Dim) bool { return d.Name == name }) {
			return nil, fmt.Errorf("format: the model has no size %q that may change", name)
		}
	}
	return at, nil
}

// at computes a rule for sizes of the dims.
func (r *SizeRule) at(sizes []int) (int64, bool) {
	sum := int64(0)
	for set, c := range r.Coef {
		for i, n := range sizes {
			if set>>i&1 == 1 {
				c *= int64(n)
			}
		}
		sum += c
	}
	return sum / r.Den, sum%r.Den == 0
}

// set puts a size where it is used; a use of what a delta has replaced is none.
func (u *SizeUse) set(t *Tensor, n *Node, v int64) error {
	switch {
	case u.Attr == "" && t != nil && u.Index < len(t.Shape) && v >= 1 && v <= MaxDim:
		t.Shape[u.Index] = int(v)
	case u.Attr != "" && n != nil:
		list, ok := n.Attrs[u.Attr].([]int64)
		n.Attrs = maps.Clone(n.Attrs)
		if !ok {
			if _, one := n.Attrs[u.Attr].(int64); one {
				n.Attrs[u.Attr] = v
			}
			return nil
		}
		list = slices.Clone(list)
		if u.Index < len(list) {
			list[u.Index] = v
		}
		n.Attrs[u.Attr] = list
	case u.Attr == "" && t != nil:
		return &CheckError{Msg: fmt.Sprintf("tensor %q would have the size %d", u.Name, v)}
	}
	return nil
}

// shrink keeps the first elements of a constant along every dimension.
func (t *Tensor) shrink(from Shape) error {
	w := t.Type.Bits() / 8
	if w == 0 || t.Quant != nil && len(t.Quant.Scale) > 1 || len(from) != len(t.Shape) {
		return &CheckError{Msg: fmt.Sprintf("constant %q of type %v cannot change its size", t.Name, t.Type)}
	}
	row := w
	for i, n := range slices.Backward(from) {
		if t.Shape[i] > n {
			return &CheckError{Msg: fmt.Sprintf("constant %q would grow from %v to %v", t.Name, from, t.Shape)}
		}
		if t.Shape[i] < n {
			var out []byte
			for k := 0; k < len(t.Data); k += n * row {
				out = append(out, t.Data[k:k+t.Shape[i]*row]...)
			}
			t.Data = out
		}
		row *= t.Shape[i]
	}
	return nil
}

// checkDynamic checks what a file says of sizes that may change.
func checkDynamic(d *Dynamic) error {
	if len(d.Dims) > maxDims {
		return fmt.Errorf("%d sizes may change, more than %d", len(d.Dims), maxDims)
	}
	for i, dim := range d.Dims {
		if dim.Min < 1 || dim.Max < dim.Min || dim.Max > MaxDim || dim.Step < 1 || (dim.Max-dim.Min)%dim.Step != 0 || checkName("size", dim.Name) != nil ||
			slices.ContainsFunc(d.Dims[:i], func(o Dim) bool { return o.Name == dim.Name }) {
			return fmt.Errorf("the size %q of %d to %d in steps of %d is not possible", dim.Name, dim.Min, dim.Max, dim.Step)
		}
	}
	for _, r := range d.Sizes {
		if len(r.Coef) != 1<<len(d.Dims) || r.Den < 1 || len(r.Uses) == 0 {
			return fmt.Errorf("a rule for sizes has %d numbers for %d dims, or no use", len(r.Coef), len(d.Dims))
		}
		for _, u := range r.Uses {
			if u.Index < 0 || checkName("size's use", u.Name) != nil {
				return fmt.Errorf("a rule for sizes is used at %q %q %d", u.Name, u.Attr, u.Index)
			}
		}
	}
	return nil
}

func (e *encoder) dynamic(d *Dynamic) {
	e.array(2)
	e.array(len(d.Dims))
	for _, dim := range d.Dims {
		e.array(4)
		e.str(dim.Name)
		e.int(int64(dim.Min))
		e.int(int64(dim.Max))
		e.int(int64(dim.Step))
	}
	e.array(len(d.Sizes))
	for _, r := range d.Sizes {
		e.array(3)
		e.array(len(r.Coef))
		for _, c := range r.Coef {
			e.int(c)
		}
		e.int(r.Den)
		e.array(len(r.Uses))
		for _, u := range r.Uses {
			e.array(3)
			e.str(u.Name)
			e.str(u.Attr)
			e.int(int64(u.Index))
		}
	}
}

// tuple expects an array of n items.
func (d *decoder) tuple(what string, n int) {
	if d.arrayLen() != n {
		d.fail("%s is not an array of %d", what, n)
	}
}

func (d *decoder) dynamic() (y Dynamic) {
	const most = 1 << 40 // of a coefficient
	d.tuple("what may change", 2)
	d.list(func() {
		d.tuple("a size", 4)
		y.Dims = append(y.Dims, Dim{d.str(), int(d.uint(MaxDim)), int(d.uint(MaxDim)), int(d.uint(MaxDim))})
	})
	d.list(func() {
		var r SizeRule
		d.tuple("a rule", 3)
		d.list(func() { r.Coef = append(r.Coef, d.int(-most, most)) })
		r.Den = d.int(1, most)
		d.list(func() {
			d.tuple("a use", 3)
			r.Uses = append(r.Uses, SizeUse{d.str(), d.str(), int(d.uint(MaxDim))})
		})
		y.Sizes = append(y.Sizes, r)
	})
	return y
}

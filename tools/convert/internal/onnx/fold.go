package onnx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more" // constants of any op are folded
	"github.com/whet-edge/whet/tools/convert/internal/build"
)

// foldable reports whether a node can be computed now. DequantizeLinear stays,
// since the ops behind it look for the codes.
func foldable(n *node) bool {
	if n.op == "DequantizeLinear" || len(n.in) == 0 {
		return false
	}
	for _, t := range n.in {
		if t != nil && !t.isConst() {
			return false
		}
	}
	return true
}

// evaluate computes a node of constants with whet's own kernels, so that a
// folded number is the one that the device would have had.
func evaluate(n *node) error {
	m := single(n, true)
	p, err := runtime.Compile(m, runtime.WithThreads(1))
	if err != nil {
		if u, ok := errors.AsType[*runtime.UnsupportedError](err); ok {
			return errors.New(u.Op + ": " + u.Reason)
		}
		return err
	}
	macs := int64(0)
	for _, st := range p.Steps() {
		macs += st.MACs
	}
	if macs > maxFoldMACs {
		return fmt.Errorf("%s: %d multiplications are too many to be made during the conversion", n.op, macs)
	}
	s := p.NewSession()
	defer s.Close()
	if err := s.Run(context.Background()); err != nil {
		return err
	}
	i := 0
	for _, t := range n.out {
		if t != nil {
			t.data, t.def = bytes.Clone(s.Output(i).Bytes()), nil
			i++
		}
	}
	return nil
}

// check finds what format.Check would find wrong with a node.
func check(n *node) error {
	err := format.Check(single(n, false))
	if e, ok := errors.AsType[*format.CheckError](err); ok {
		return errors.New(e.Op + ": " + e.Msg)
	}
	return err
}

// single returns a model of one node. Without the data, constants stand as
// inputs unless they are small.
func single(n *node, data bool) *format.Model {
	w := &writer{b: build.New("main"), names: map[*tensor]string{}}
	for _, t := range n.in {
		if t == nil || w.names[t] != "" {
			continue
		}
		if t.isConst() && (data || t.quant != nil) {
			w.constant(t)
			continue
		}
		w.names[t] = w.b.New(t.name, t.typ, t.shape, t.quant)
		w.b.Graph.Inputs = append(w.b.Graph.Inputs, format.Input{Tensor: w.names[t]})
	}
	w.node(n)
	for _, t := range n.out {
		if t != nil {
			w.b.Graph.Outputs = append(w.b.Graph.Outputs, w.names[t])
		}
	}
	return w.b.Model
}

// A writer puts tensors and nodes into a model.
type writer struct {
	b     *build.Builder
	names map[*tensor]string
}

// constant adds a constant. Files hold finite numbers only; infinities and NaN
// are written as the quotient that makes them, which the compiler folds back.
func (w *writer) constant(t *tensor) {
	if t.typ != format.Float32 || finite(t.data) {
		w.names[t] = w.b.Const(t.name, t.typ, t.shape, t.quant, t.data)
		return
	}
	v := float32s(t)
	by := make([]float32, len(v))
	for i, x := range v {
		x := float64(x)
		by[i] = 1
		if math.IsInf(x, 0) || math.IsNaN(x) {
			by[i] = 0
			switch {
			case x > 0:
				v[i] = 1
			case x < 0:
				v[i] = -1
			default:
				v[i] = 0
			}
		}
	}
	a := w.b.Const(t.name+"/numerator", t.typ, t.shape, nil, floatBytes(v))
	b := w.b.Const(t.name+"/denominator", t.typ, t.shape, nil, floatBytes(by))
	w.names[t] = w.b.New(t.name, t.typ, t.shape, nil)
	w.b.Node("", "Div", []string{a, b}, []string{w.names[t]}, nil)
}

func finite(b []byte) bool {
	for i := 2; i < len(b); i += 4 {
		if (int(b[i])|int(b[i+1])<<8)&0x7f80 == 0x7f80 {
			return false
		}
	}
	return true
}

// node adds a node whose inputs are there, and its outputs.
func (w *writer) node(n *node) {
	var in, out []string
	for _, t := range n.in {
		if t == nil {
			in = append(in, "")
			continue
		}
		if w.names[t] == "" {
			w.constant(t)
		}
		in = append(in, w.names[t])
	}
	for _, t := range n.out {
		if t == nil {
			out = append(out, "")
			continue
		}
		if w.names[t] == "" { // an output of the graph has its name already
			w.names[t] = w.b.Name(t.name)
		}
		w.b.Tensor(&format.Tensor{Name: w.names[t], Type: t.typ, Shape: t.shape, Quant: t.quant})
		out = append(out, w.names[t])
	}
	attrs := n.attrs
	for _, b := range n.bodies {
		attrs = maps.Clone(attrs)
		attrs[b.attr] = w.body(b)
	}
	w.b.Node("", n.op, in, out, attrs)
}

// body adds a graph that a node calls, and returns its name.
func (w *writer) body(b *subgraph) string {
	caller := w.b.Graph
	defer func() { w.b.Graph = caller }()
	g := w.b.AddGraph(caller.Name + "/" + b.attr)
	w.b.Graph = g
	for _, t := range b.params {
		w.names[t] = w.b.New(t.name, t.typ, t.shape, t.quant)
		g.Inputs = append(g.Inputs, format.Input{Tensor: w.names[t]})
	}
	need := map[*tensor]bool{}
	for _, t := range b.outs {
		need[t] = true
	}
	for _, n := range needed(b.nodes, need) {
		w.node(n)
	}
	for _, t := range b.outs {
		if w.names[t] == "" {
			w.constant(t)
		}
		g.Outputs = append(g.Outputs, w.names[t])
	}
	return g.Name
}

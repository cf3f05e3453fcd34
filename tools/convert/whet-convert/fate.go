package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/tools/convert"
)

// A pageReport is what --report writes: what the quantization cost, nil if nothing was
// measured, and what became of each node of the source.
type pageReport struct {
	*quant.Report
	Nodes  []fate  `json:"nodes"`
	Breaks []fault `json:"breaks"` // of 8-bit arithmetic
}

// A fate is what became of a node of the source.
type fate struct {
	Op    string     `json:"op"`
	Name  string     `json:"name"`
	Made  []madeNode `json:"made"`  // none: it was folded into a constant, merged into a neighbour, or changed nothing
	Share float64    `json:"share"` // of the time of a run on this machine
}

// A madeNode is a node of the converted model.
type madeNode struct {
	Name  string `json:"name"`
	Op    string `json:"op"`
	Type  string `json:"type"` // of its first output
	Shape string `json:"shape"`
	Step  string `json:"step,omitempty"` // what runs it, with all that is fused into that; "": the step of a node before it
	MACs  int64  `json:"macs"`
}

// A fault is a node that computes in floats within an 8-bit model.
type fault struct {
	Name  string  `json:"name"`
	Op    string  `json:"op"`
	Why   string  `json:"why"`
	Share float64 `json:"share"` // of the time of a run: its own and that of the conversions around it
}

// fates says what became of each node of the source in the model m. Times are the least of
// three runs on zeros.
func fates(ctx context.Context, m *format.Model, trace *convert.Trace, q *quant.Report, scheme string) (r pageReport, err error) {
	r.Report = q
	p, err := runtime.Compile(m)
	if err != nil {
		return r, err
	}
	s := p.NewSession()
	defer s.Close()
	for i := range 4 {
		if i == 1 {
			s.Profile(true) // the first run is not counted
		}
		if err := s.Run(ctx); err != nil {
			return r, err
		}
	}
	share, step, macs, total := map[string]float64{}, map[string]string{}, map[string]int64{}, 0.0
	for _, t := range s.Times() {
		share[t.Node] += float64(t.Min)
		step[t.Node], macs[t.Node] = t.Op+" by "+t.Kernel, t.MACs
		total += float64(t.Min)
	}
	for name := range share {
		share[name] /= max(total, 1)
	}
	trace.Keep(m)
	if len(trace.Nodes) == 0 { // the source is a model of whet
		for _, n := range m.Main().Nodes {
			trace.Add(n.Op, n.Name, []*format.Node{n})
		}
	}
	nodes := map[string]*format.Node{}
	for _, g := range m.Graphs {
		for _, n := range g.Nodes {
			nodes[n.Name] = n
		}
	}
	for _, t := range trace.Nodes {
		f := fate{Op: t.Op, Name: t.Name, Made: []madeNode{}}
		for _, name := range t.Made {
			n := nodes[name]
			e := madeNode{Name: name, Op: n.Op, Step: step[name], MACs: macs[name]}
			if out := firstOutput(m, n); out != nil {
				e.Type, e.Shape = out.Type.String(), fmt.Sprint(out.Shape)
			}
			f.Made, f.Share = append(f.Made, e), f.Share+share[name]
		}
		r.Nodes = append(r.Nodes, f)
	}
	r.Breaks = breaks(m, q, scheme, share)
	return r, nil
}

func firstOutput(m *format.Model, n *format.Node) *format.Tensor {
	for _, name := range n.Outputs {
		if name != "" {
			return m.Tensor(name)
		}
	}
	return nil
}

// breaks lists the nodes between quantized ones that compute in floats, the dearest first.
func breaks(m *format.Model, q *quant.Report, scheme string, share map[string]float64) []fault {
	list := []fault{}
	border := func(n *format.Node) bool { return n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" }
	quantized := slices.ContainsFunc(m.Tensors, func(t *format.Tensor) bool { return !t.Const() && t.Quant != nil })
	if !quantized {
		return list
	}
	maker, readers := map[string]*format.Node{}, map[string][]*format.Node{}
	for _, n := range m.Main().Nodes {
		for _, out := range n.Outputs {
			maker[out] = n
		}
		for _, in := range n.Inputs {
			readers[in] = append(readers[in], n)
		}
	}
	for _, n := range m.Main().Nodes {
		out := firstOutput(m, n)
		if border(n) || out == nil || !out.Type.Float() {
			continue
		}
		f := fault{Name: n.Name, Op: n.Op, Share: share[n.Name], Why: "the source computes it in " + out.Type.String()}
		for _, in := range n.Inputs {
			if b := maker[in]; b != nil && border(b) {
				f.Share += share[b.Name]
			}
		}
		for _, o := range n.Outputs {
			for _, b := range readers[o] {
				if border(b) {
					f.Share += share[b.Name]
				}
			}
		}
		if scheme != "none" {
			f.Why = fmt.Sprintf("%s has no form in %s", n.Op, scheme)
		}
		if q != nil {
			for _, k := range q.Kept {
				if k.Node == n.Name {
					f.Why = fmt.Sprintf("kept in %s by --max-drop: %.1f dB gained by it alone, %d bytes more", k.Type, k.Gain, k.Bytes)
				}
			}
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b fault) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

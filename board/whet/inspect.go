package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime"
)

// inspection is what whet inspect says about a model.
type inspection struct {
	File        string             `json:"file"`
	Digest      string             `json:"digest"`
	Opset       int                `json:"opset"`
	Source      format.Source      `json:"source"`
	Card        map[string]string  `json:"card,omitempty"`
	Inputs      []tensorInfo       `json:"inputs"`
	Outputs     []tensorInfo       `json:"outputs"`
	Nodes       int                `json:"nodes"`
	Ops         map[string]int     `json:"ops"`
	States      []tensorInfo       `json:"states,omitempty"`
	Parameters  int64              `json:"parameters"`
	WeightBytes map[string]int64   `json:"weight_bytes"` // by type
	Quant       string             `json:"quantization"`
	MACs        int64              `json:"macs"`
	ArenaBytes  int                `json:"arena_bytes"`  // activations of one session
	PackedBytes int                `json:"packed_bytes"` // weights as this CPU's kernels hold them
	ISA         string             `json:"isa,omitempty"`
	Problem     string             `json:"problem,omitempty"` // why it cannot be run here
	Labels      []string           `json:"labels,omitempty"`
	Pre         []string           `json:"preprocessing,omitempty"`
	Metrics     map[string]float64 `json:"metrics,omitempty"`
	Graph       []nodeInfo         `json:"graph,omitempty"`
}

type tensorInfo struct {
	Name  string    `json:"name"`
	Type  string    `json:"type"`
	Shape []int     `json:"shape"`
	Scale []float32 `json:"scale,omitempty"`
	Zero  []int32   `json:"zero,omitempty"`
	text  string    // how people read it
}

type nodeInfo struct {
	Name    string       `json:"name"`
	Op      string       `json:"op"`
	Inputs  []string     `json:"inputs"`
	Outputs []string     `json:"outputs"`
	Shape   []int        `json:"shape,omitempty"` // of the first output
	Attrs   format.Attrs `json:"attrs,omitempty"`
}

func newInspectCmd() *cobra.Command {
	var mf modelFlags
	var nodes, timed bool
	var graph string
	cmd := &cobra.Command{
		Use:   "inspect MODEL.whet",
		Short: "Say what a model is: graph, sizes, quantization, memory, labels",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := mf.open(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			if timed && graph == "" {
				return usagef("--profile is for --graph: the times are written into the picture")
			}
			r := inspect(args[0], m, nodes)
			if graph != "" {
				if err := r.draw(cmd.Context(), m, graph, timed); err != nil {
					return fileError(args[0], err)
				}
			}
			return emit(cmd, r, r.text)
		},
	}
	mf.addDelta(cmd)
	cmd.Flags().BoolVar(&nodes, "nodes", false, "list the nodes too")
	cmd.Flags().StringVar(&graph, "graph", "", "draw the graph to this .svg or .html")
	cmd.Flags().BoolVar(&timed, "profile", false, "with --graph: run the model and write what each layer takes")
	return cmd
}

// draw writes the picture of the graph. A model that cannot be run here is drawn
// without its costs.
func (r *inspection) draw(ctx context.Context, m *format.Model, file string, timed bool) error {
	ext := strings.ToLower(filepath.Ext(file))
	if ext != ".svg" && ext != ".html" {
		return usagef("--graph %s: give a .svg or .html", file)
	}
	macs := map[string]int64{}
	var share map[string]float64
	var ns map[string]int64
	if p, err := runtime.Compile(m); err == nil {
		for _, s := range p.Steps() {
			macs[s.Node] += s.MACs
		}
		if share, ns, err = stepShares(ctx, p, timed); err != nil {
			return err
		}
	} else if timed {
		return err
	}
	g := drawGraph(m, share, ns, macs)
	return vfs.WriteFile(vfs.OS, file, func(w io.Writer) error {
		if ext == ".svg" {
			return g.writeSVG(w, r.File)
		}
		return g.writeHTML(w, r)
	})
}

func inspect(path string, m *format.Model, nodes bool) *inspection {
	h := &m.Header
	r := &inspection{
		File: path, Digest: fmt.Sprintf("%x", h.Digest), Opset: h.Opset, Source: h.Source, Card: h.Card,
		Ops: map[string]int{}, WeightBytes: map[string]int64{}, Labels: h.Labels, Metrics: h.Metrics,
	}
	if p, err := runtime.Compile(m); err != nil {
		r.Problem = err.Error()
	} else {
		r.ArenaBytes, r.PackedBytes, r.ISA = p.ArenaBytes(), p.WeightBytes(), p.Level().String()
		for _, s := range p.Steps() {
			r.MACs += s.MACs
		}
	}
	tensors := make(map[string]*format.Tensor, len(m.Tensors))
	for _, t := range m.Tensors {
		tensors[t.Name] = t
		if t.Const() {
			r.Parameters += int64(t.Shape.Elems())
			r.WeightBytes[t.Type.String()] += int64(len(t.Data))
		}
	}
	for _, in := range m.Main().Inputs {
		r.Inputs = append(r.Inputs, describe(m, tensors[in.Tensor]))
	}
	for _, out := range m.Main().Outputs {
		r.Outputs = append(r.Outputs, describe(m, tensors[out]))
	}
	for _, s := range m.States {
		r.States = append(r.States, describe(m, &format.Tensor{Name: s.Name, Type: s.Type, Shape: s.Shape, Quant: s.Quant}))
	}
	for _, g := range m.Graphs {
		for _, n := range g.Nodes {
			r.Nodes++
			r.Ops[n.Op]++
			if nodes {
				r.Graph = append(r.Graph, nodeInfo{n.Name, n.Op, n.Inputs, n.Outputs, tensors[n.Outputs[0]].Shape, n.Attrs})
			}
		}
	}
	r.Quant = quantization(m, tensors)
	for _, t := range h.Pre {
		r.Pre = append(r.Pre, transform(t))
	}
	return r
}

func describe(m *format.Model, t *format.Tensor) tensorInfo {
	i := tensorInfo{Name: t.Name, Type: t.Type.String(), Shape: t.Shape}
	i.text = fmt.Sprintf("%s %s%s", t.Name, t.Type, shapeOf(t.Shape, m.Symbols))
	if q := t.Quant; q != nil {
		i.Scale, i.Zero = q.Scale, q.Zero
		i.text += ", " + quantOf(q)
	}
	return i
}

// quantization names the scheme, by the layers that multiply.
func quantization(m *format.Model, tensors map[string]*format.Tensor) string {
	kinds := map[string]int{}
	for _, g := range m.Graphs {
		for _, n := range g.Nodes {
			if n.Op != "Conv" && n.Op != "Gemm" && n.Op != "LSTM" && n.Op != "QLSTM" && n.Op != "SVDF" {
				continue
			}
			x, w := tensors[n.Inputs[0]], tensors[n.Inputs[1]]
			kind := x.Type.String()
			if x.Type != w.Type {
				kind += " activations, " + w.Type.String() + " weights"
			}
			if q := w.Quant; q != nil && len(q.Scale) > 1 {
				kind += ", a scale per channel"
			} else if q != nil {
				kind += ", a scale per tensor"
			}
			kinds[kind]++
		}
	}
	if len(kinds) == 0 {
		return "no layers with weights"
	}
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(kinds[b]-kinds[a], strings.Compare(a, b))
	})
	for i, k := range names {
		names[i] = fmt.Sprintf("%s (%d layers)", k, kinds[k])
	}
	return strings.Join(names, "; ")
}

// transform prints a step of preprocessing.
func transform(t format.Transform) string {
	words := []string{t.Op}
	if t.Tensor != "" {
		words = append(words, "of", t.Tensor)
	}
	for _, k := range slices.Sorted(maps.Keys(t.Attrs)) {
		words = append(words, fmt.Sprintf("%s=%v", k, t.Attrs[k]))
	}
	return strings.Join(words, " ")
}

func (r *inspection) text(w io.Writer) error {
	tw := table(w)
	row := func(key, format string, args ...any) { fmt.Fprintf(tw, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	row("model", "%s, digest %.16s, opset %d", r.File, r.Digest, r.Opset)
	if r.Source.Format != "" {
		row("made from", "%s %.16s by %s", r.Source.Format, r.Source.SHA256, r.Source.Tool)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Card)) {
		row(k, "%s", r.Card[k])
	}
	for _, t := range r.Inputs {
		row("input", "%s", t.text)
	}
	for _, t := range r.Outputs {
		row("output", "%s", t.text)
	}
	for _, t := range r.States {
		row("state", "%s", t.text)
	}
	ops := slices.SortedFunc(maps.Keys(r.Ops), func(a, b string) int { return cmp.Or(r.Ops[b]-r.Ops[a], strings.Compare(a, b)) })
	for i, op := range ops {
		ops[i] = fmt.Sprintf("%s x%d", op, r.Ops[op])
	}
	row("graph", "%d nodes: %s", r.Nodes, strings.Join(ops, ", "))
	row("quantization", "%s", r.Quant)
	total, types := int64(0), []string{}
	for _, k := range slices.Sorted(maps.Keys(r.WeightBytes)) {
		total += r.WeightBytes[k]
		types = append(types, fmt.Sprintf("%s %s", byteCount(r.WeightBytes[k]), k))
	}
	row("weights", "%s numbers in %s (%s)", countOf(r.Parameters), byteCount(total), strings.Join(types, ", "))
	if r.Problem != "" {
		row("problem", "%s", r.Problem)
	} else {
		row("work", "%s multiply-adds a run", countOf(r.MACs))
		row("memory", "%s of activations, %s of weights packed for %s", byteCount(r.ArenaBytes), byteCount(r.PackedBytes), r.ISA)
	}
	for _, p := range r.Pre {
		row("before", "%s", p)
	}
	if n := len(r.Labels); n > 0 {
		shown := r.Labels[:min(n, 12)]
		more := ""
		if n > len(shown) {
			more = "; ..."
		}
		row("labels", "%d: %s%s", n, strings.Join(shown, "; "), more)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Metrics)) {
		row(k, "%g", r.Metrics[k])
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(r.Graph) > 0 {
		fmt.Fprintln(w)
		tw = table(w)
		fmt.Fprintln(tw, "node\top\tshape\tinputs")
		for _, n := range r.Graph {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", n.Name, n.Op, shapeOf(n.Shape, nil), strings.Join(n.Inputs, " "))
		}
		return tw.Flush()
	}
	return nil
}

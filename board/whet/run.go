package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/post"
)

// runResult is what whet run prints.
type runResult struct {
	Model   string      `json:"model"`
	RunNS   int64       `json:"run_ns"`
	ISA     string      `json:"isa"`
	Outputs []runOutput `json:"outputs"`
	*post.Result
	Cosine *float64 `json:"cosine,omitempty"` // of the vectors of two samples
	Drawn  string   `json:"drawn,omitempty"`
}

type runOutput struct {
	Name   string      `json:"name"`
	Type   string      `json:"type"`
	Shape  []int       `json:"shape"`
	File   string      `json:"file,omitempty"`
	Top    []pre.Score `json:"top,omitempty"`
	Values []float32   `json:"values,omitempty"` // of outputs that are small and are not scores
	Min    float32     `json:"min"`
	Max    float32     `json:"max"`
	Mean   float64     `json:"mean"`
}

// maxShown is how many values of an output are printed in full.
const maxShown = 16

type runFlags struct {
	modelFlags
	inputs, against []string
	text            string
	dir, draw       string
	top             int
	stream          bool
}

func newRunCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run MODEL.whet|NAME.chain --input [NAME=]FILE ...",
		Short: "Run a model, or a chain of models, once on files",
		Long: `Run a model once. Inputs are given in the model's order or by name.

A picture (png, jpg, bmp), a sound (wav), a text (txt, for a model with a
tokenizer) or numbers (csv, txt) go through the model's preprocessing; a .npy file
holds the input tensor as it is. What the outputs mean (classes, boxes, a mask,
keypoints, text, a vector) is told by the model's postprocessing.

A chain is a text file, one step a line: "model file=detector.whet", then "crop"
(margin=0.1 label=face most=10) and the model that sees the crops.`,
		Example: `  whet run mobilenet_v2.whet --input cat.jpg --top 5
  whet run faces.whet --input crowd.jpg --draw found.png
  whet run sentences.whet --text "on the mat" --against rug.txt
  whet run vad.whet --input talk.wav --stream
  whet run model_1.whet --input frame.npy --input state.npy --output-dir out`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.inputs, "input", nil, "[NAME=]FILE for an input; repeat it for each")
	fl.StringVar(&f.text, "text", "", "a text, instead of a file that holds it")
	fl.StringArrayVar(&f.against, "against", nil, "a second sample, whose vector the first one's is compared with")
	fl.StringVar(&f.dir, "output-dir", "", "write the outputs there as 0.npy, 1.npy ...")
	fl.StringVar(&f.draw, "draw", "", "write the picture with the boxes, keypoints or mask to this .png")
	fl.IntVar(&f.top, "top", 5, "how many of the highest scores to show")
	fl.BoolVar(&f.stream, "stream", false, "feed a long sound piece by piece, as the model's description says")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, path string) error {
	switch {
	case f.top < 1:
		return usagef("--top %d: at least 1 is needed", f.top)
	case strings.HasSuffix(path, ".chain"):
		return f.runChain(cmd, path)
	case f.stream && (f.draw != "" || f.dir != "" || f.against != nil):
		return usagef("--stream goes without --draw, --output-dir and --against")
	}
	p, err := f.player(path)
	if err != nil {
		return err
	}
	defer p.close()
	if f.stream {
		r, err := p.stream(cmd.Context(), f.inputs)
		if err != nil {
			return fileError(path, err)
		}
		r.Model = path
		return emit(cmd, r, r.text)
	}
	samples, err := p.samples(f.inputs, f.text)
	if err != nil {
		return err
	}
	r, err := p.play(cmd.Context(), samples, f.top)
	if err != nil {
		return fileError(path, err)
	}
	r.Model = path
	if f.dir != "" {
		if err := writeOutputs(p.s, r, f.dir); err != nil {
			return err
		}
	}
	if f.draw != "" {
		if r.Drawn, err = drawFile(f.draw, firstPicture(samples), r.Result); err != nil {
			return err
		}
	}
	if f.against != nil {
		if err := p.compare(cmd.Context(), r, f.against, f.top); err != nil {
			return err
		}
	}
	return emit(cmd, r, r.text)
}

// A player runs one model on samples and says what comes out.
type player struct {
	m     *format.Model
	s     *runtime.Session
	pipes []*pre.Pipeline
	post  *post.Post
}

// player opens a model for running.
func (f *modelFlags) player(path string) (*player, error) {
	m, prog, err := f.compile(path)
	if err != nil {
		return nil, err
	}
	p := &player{m: m, s: prog.NewSession()}
	if p.pipes, err = pre.ForModel(m); err == nil {
		p.post, err = post.New(m)
	}
	if err != nil {
		p.close()
		return nil, fileError(path, err)
	}
	return p, nil
}

func (p *player) close() {
	p.s.Close()
	p.m.Close()
}

// A sample is what goes into one input.
type sample struct {
	*pre.Array
	name string // of its file, for errors
}

// samples reads the files for the inputs, in the model's order. Inputs that are
// made of the same text as another one need no file, nor those that the model
// itself fills from its last run; these are nil.
func (p *player) samples(files []string, text string) ([]*sample, error) {
	infos := p.s.Program().Inputs()
	given := make([]*sample, len(infos))
	next := 0
	for _, arg := range files {
		i, file := -1, arg
		if name, rest, ok := strings.Cut(arg, "="); ok {
			for k, in := range infos {
				if in.Name == name {
					i, file = k, rest
				}
			}
		}
		if i < 0 {
			for next < len(infos) && given[next] != nil {
				next++
			}
			if next == len(infos) {
				return nil, usagef("--input %s is one too many: the model has %s", arg, inputList(infos))
			}
			i = next
		}
		if given[i] != nil {
			return nil, usagef("input %q is given twice: %s and %s", infos[i].Name, given[i].name, file)
		}
		given[i] = &sample{name: file}
	}
	for i, g := range given {
		if g == nil {
			continue
		}
		a, err := p.pipes[i].ReadFile(g.name)
		if err != nil {
			return nil, err
		}
		g.Array = a
	}
	return given, p.complete(given, text)
}

// complete fills in the inputs that need no file.
func (p *player) complete(given []*sample, text string) error {
	infos := p.s.Program().Inputs()
	carried := map[string]bool{}
	for _, to := range p.post.Carry() {
		carried[to] = true
	}
	var shared *sample
	if text != "" {
		shared = &sample{pre.Text(text), "--text"}
	}
	for i, g := range given {
		if g != nil && p.pipes[i].Text() && shared == nil {
			shared = g
		}
	}
	for i, g := range given {
		switch {
		case g != nil || carried[infos[i].Name]:
		case shared != nil && p.pipes[i].Text():
			given[i] = shared
		default:
			return usagef("no --input for %q: the model has %s", infos[i].Name, inputList(infos))
		}
	}
	return nil
}

// play runs the model once and describes its outputs.
func (p *player) play(ctx context.Context, samples []*sample, top int) (*runResult, error) {
	var at pre.Placement
	for i, g := range samples {
		if g == nil {
			clear(p.s.Input(i).Bytes())
			continue
		}
		if err := p.pipes[i].Put(p.s.Input(i).Bytes(), g.Array); err != nil {
			return nil, fileError(g.name, err)
		}
		if w, ok := p.pipes[i].Placement(g.Array); ok && at.Width == 0 {
			at = w
		}
	}
	r, err := runOnce(ctx, p.m, p.s, top)
	if err != nil || p.post.Empty() {
		return r, err
	}
	var outs []post.Tensor
	for i, info := range p.s.Program().Outputs() {
		outs = append(outs, post.Tensor{Name: info.Name, Shape: info.Shape, Values: p.s.Output(i).Float32()})
	}
	r.Result, err = p.post.Apply(outs, at, func(name string) []float32 {
		t := p.s.InputByName(name)
		if t == nil {
			return nil
		}
		v, err := (&pre.Array{Type: t.Type, Shape: t.Shape, Data: t.Bytes()}).Float32s()
		if err != nil {
			return nil // a type that holds no numbers: the step says what it misses
		}
		return v
	})
	if err == nil {
		r.Classes = r.Classes[:min(top, len(r.Classes))]
	}
	return r, err
}

// compare runs the model on a second sample and adds the cosine of the two
// vectors to the result of the first.
func (p *player) compare(ctx context.Context, r *runResult, files []string, top int) error {
	samples, err := p.samples(files, "")
	if err != nil {
		return err
	}
	p.s.Reset()
	other, err := p.play(ctx, samples, top)
	if err != nil {
		return err
	}
	if r.Result == nil || other.Result == nil || len(r.Vector) == 0 || len(other.Vector) != len(r.Vector) {
		return usagef("--against: the model's description names no vector; convert it again with --post vector")
	}
	c := post.Cosine(r.Vector, other.Vector)
	r.Cosine = &c
	return nil
}

func inputList(infos []runtime.Info) string {
	parts := make([]string, len(infos))
	for i, in := range infos {
		parts[i] = fmt.Sprintf("%s %s%s", in.Name, in.Type, shapeOf(in.Shape, nil))
	}
	return fmt.Sprintf("%d input(s): %s", len(infos), strings.Join(parts, "; "))
}

// runOnce runs the session and describes its outputs.
func runOnce(ctx context.Context, m *format.Model, s *runtime.Session, top int) (*runResult, error) {
	start := time.Now()
	if err := s.Run(ctx); err != nil {
		return nil, err
	}
	r := &runResult{RunNS: time.Since(start).Nanoseconds(), ISA: s.Program().Level().String()}
	for i, info := range s.Program().Outputs() {
		o := runOutput{Name: info.Name, Type: info.Type.String(), Shape: info.Shape}
		v := s.Output(i).Float32()
		if len(v) > 0 {
			o.Min, o.Max = v[0], v[0]
			sum := 0.0
			for _, x := range v {
				o.Min, o.Max = min(o.Min, x), max(o.Max, x)
				sum += float64(x)
			}
			o.Mean = sum / float64(len(v))
		}
		labels := m.Header.Labels
		if i > 0 || len(labels) != len(v) {
			labels = nil // they are those of the first output
		}
		switch {
		case isScores(m, info, labels != nil):
			o.Top = pre.TopK(v, labels, top)
		case len(v) <= maxShown:
			o.Values = append([]float32{}, v...)
		}
		if err := finite(o); err != nil {
			return nil, err
		}
		r.Outputs = append(r.Outputs, o)
	}
	return r, nil
}

// isScores reports whether an output is one score a class: a vector that has
// labels, or that a Softmax or Sigmoid made.
func isScores(m *format.Model, out runtime.Info, labelled bool) bool {
	if s := out.Shape; s.Elems() < 2 || len(s) > 2 || len(s) == 2 && s[0] != 1 {
		return false
	}
	if labelled {
		return true
	}
	producer := map[string]*format.Node{}
	for _, n := range m.Main().Nodes {
		for _, o := range n.Outputs {
			producer[o] = n
		}
	}
	for n := producer[out.Name]; n != nil; n = producer[n.Inputs[0]] {
		switch n.Op {
		case "Softmax", "LogSoftmax", "Sigmoid":
			return true
		case "Reshape", "QuantizeLinear", "DequantizeLinear", "Requantize":
		default:
			return false
		}
	}
	return false
}

// finite refuses what JSON cannot hold and no user can read.
func finite(o runOutput) error {
	if math.IsNaN(o.Mean) || math.IsInf(o.Mean, 0) {
		return fmt.Errorf("output %q is not finite; write it with --output-dir to look at it, and check the inputs", o.Name)
	}
	return nil
}

// writeOutputs writes each output in its own type as a numpy file.
func writeOutputs(s *runtime.Session, r *runResult, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range r.Outputs {
		t := s.Output(i)
		file := filepath.Join(dir, fmt.Sprintf("%d.npy", i))
		err := vfs.WriteFile(vfs.OS, file, func(w io.Writer) error {
			return pre.WriteNPY(w, &pre.Array{Type: t.Type, Shape: t.Shape, Data: t.Bytes()})
		})
		if err != nil {
			return fileError(file, err)
		}
		r.Outputs[i].File = file
	}
	return nil
}

func (r *runResult) text(w io.Writer) error {
	if r.Result != nil {
		if err := resultText(w, r.Result, ""); err != nil {
			return err
		}
		if r.Cosine != nil {
			fmt.Fprintf(w, "cosine of the two vectors: %.4f\n", *r.Cosine)
		}
		if r.Drawn != "" {
			fmt.Fprintf(w, "drawn: %s\n", r.Drawn)
		}
	}
	for _, o := range r.Outputs {
		fmt.Fprintf(w, "%s %s%s", o.Name, o.Type, shapeOf(o.Shape, nil))
		if o.File != "" {
			fmt.Fprintf(w, " -> %s", o.File)
		}
		fmt.Fprintln(w)
		switch {
		case o.Top != nil:
			tw := table(w)
			for _, s := range o.Top {
				fmt.Fprintf(tw, "  %.4f\t%s\t(class %d)\n", s.Score, s.Label, s.Class)
			}
			if err := tw.Flush(); err != nil {
				return err
			}
		case o.Values != nil:
			fmt.Fprintf(w, "  %v\n", o.Values)
		default:
			fmt.Fprintf(w, "  from %.6g to %.6g, mean %.6g\n", o.Min, o.Max, o.Mean)
		}
	}
	fmt.Fprintf(w, "%s with %s kernels\n", nanos(r.RunNS), r.ISA)
	return nil
}

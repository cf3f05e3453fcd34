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
)

// runResult is what whet run prints.
type runResult struct {
	Model   string      `json:"model"`
	RunNS   int64       `json:"run_ns"`
	ISA     string      `json:"isa"`
	Outputs []runOutput `json:"outputs"`
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

func newRunCmd() *cobra.Command {
	var mf modelFlags
	var inputs []string
	var dir string
	var top int
	cmd := &cobra.Command{
		Use:   "run MODEL.whet --input [NAME=]FILE ...",
		Short: "Run a model once on files",
		Long: `Run a model once. Inputs are given in the model's order or by name.

A picture (png, jpg, bmp), a sound (wav) or numbers (csv, txt) go through the
model's preprocessing; a .npy file holds the input tensor as it is.`,
		Example: `  whet run mobilenet_v2.whet --input cat.jpg --top 5
  whet run model_1.whet --input frame.npy --input state.npy --output-dir out`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if top < 1 {
				return usagef("--top %d: at least 1 is needed", top)
			}
			m, p, err := mf.compile(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			s := p.NewSession()
			defer s.Close()
			if err := feed(m, s, inputs); err != nil {
				return err
			}
			r, err := runOnce(cmd.Context(), m, s, top)
			if err != nil {
				return fileError(args[0], err)
			}
			r.Model = args[0]
			if dir != "" {
				if err := writeOutputs(s, r, dir); err != nil {
					return err
				}
			}
			return emit(cmd, r, r.text)
		},
	}
	mf.add(cmd)
	cmd.Flags().StringArrayVar(&inputs, "input", nil, "[NAME=]FILE for an input; repeat it for each")
	cmd.Flags().StringVar(&dir, "output-dir", "", "write the outputs there as 0.npy, 1.npy ...")
	cmd.Flags().IntVar(&top, "top", 5, "how many of the highest scores to show")
	return cmd
}

// feed fills the session's inputs from files.
func feed(m *format.Model, s *runtime.Session, files []string) error {
	infos := s.Program().Inputs()
	pipes, err := pre.ForModel(m)
	if err != nil {
		return err
	}
	given := make([]string, len(infos))
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
			for next < len(infos) && given[next] != "" {
				next++
			}
			if next == len(infos) {
				return usagef("--input %s is one too many: the model has %s", arg, inputList(infos))
			}
			i = next
		}
		if given[i] != "" {
			return usagef("input %q is given twice: %s and %s", infos[i].Name, given[i], file)
		}
		given[i] = file
	}
	for i, file := range given {
		if file == "" {
			return usagef("no --input for %q: the model has %s", infos[i].Name, inputList(infos))
		}
		a, err := pre.ReadFile(file)
		if err != nil {
			return err
		}
		if err := pipes[i].Put(s.Input(i).Bytes(), a); err != nil {
			return fileError(file, err)
		}
	}
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

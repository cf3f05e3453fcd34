package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/ondevice/explain"
	"github.com/whet-edge/whet/runtime/pre"
)

// An explanation is what whet explain prints.
type explanation struct {
	Model  string  `json:"model"`
	Input  string  `json:"input"`
	Method string  `json:"method"`
	Class  int     `json:"class"`
	Label  string  `json:"label"`
	Score  float32 `json:"score"` // before any Softmax
	Output string  `json:"output,omitempty"`
	Most   []share `json:"most"` // the values that count most
}

// A share is how much of a score comes from a value of the input.
type share struct {
	Index int     `json:"index"`
	Name  string  `json:"name,omitempty"`
	Input float32 `json:"input"`
	Share float32 `json:"share"`
}

type explainFlags struct {
	modelFlags
	input, out, method, class, window string
	steps                             int
}

func newExplainCmd() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain MODEL.whet --input FILE -o OUT.svg",
		Short: "Show which parts of an input decide",
		Long: `Show which parts of a picture, a series or a row of a table speak for a class (red) and
against it (blue), through the network as it serves, integers included.

The methods: integrated (integrated gradients: the shares add up to nearly the score),
gradient (gradient times input: one pass), occlusion (how much the score falls when a
window is hidden: no gradients, any network).`,
		Example: "  whet explain parts.whet --input screw.jpg -o screw.png\n  whet explain pima.whet --input row.csv -o why.svg --method occlusion",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.input, "input", "", "the sample, as whet run takes it")
	fl.StringVarP(&f.out, "output", "o", "", "the picture to write: .svg, or .png of a picture")
	fl.StringVar(&f.method, "method", "integrated", "integrated, gradient or occlusion")
	fl.StringVar(&f.class, "class", "", "the class to explain, by name or number (default: the one that is named)")
	fl.IntVar(&f.steps, "steps", 50, "points on the way of integrated gradients")
	fl.StringVar(&f.window, "window", "", "what occlusion hides at a time: 4x4 of a picture, 10 steps of a series, 1 value of a row")
	return cmd
}

func (f *explainFlags) options(m *format.Model) (o explain.Options, err error) {
	o = explain.Options{Class: -1, Steps: f.steps}
	if f.class != "" {
		if o.Class = slices.Index(m.Header.Labels, f.class); o.Class < 0 {
			if o.Class, err = strconv.Atoi(f.class); err != nil || o.Class < 0 {
				return o, usagef("--class %s is not a class of the model", f.class)
			}
		}
	}
	if f.window != "" {
		for part := range strings.SplitSeq(f.window, "x") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return o, usagef("--window %s: a number, or HEIGHTxWIDTH, is needed", f.window)
			}
			o.Window = append(o.Window, n)
		}
	}
	if f.steps < 1 {
		return o, usagef("--steps %d: at least 1 is needed", f.steps)
	}
	return o, nil
}

func (f *explainFlags) run(cmd *cobra.Command, model string) error {
	ext := strings.ToLower(filepath.Ext(f.out))
	switch {
	case f.input == "":
		return usagef("explain needs --input: a picture, a sound, a row of a table")
	case f.out != "" && ext != ".svg" && ext != ".png":
		return usagef("-o %s: .svg and .png can be written", f.out)
	}
	m, err := f.open(model)
	if err != nil {
		return err
	}
	defer m.Close()
	o, err := f.options(m)
	if err != nil {
		return err
	}
	run, err := f.modelFlags.options()
	if err != nil {
		return err
	}
	pipes, err := pre.ForModel(m)
	if err != nil {
		return fileError(model, err)
	}
	e, err := explain.New(m, run...)
	if err != nil {
		return fileError(model, err)
	}
	sample, err := pipes[0].ReadFile(f.input)
	if err != nil {
		return fileError(f.input, err)
	}
	raw := make([]byte, pipes[0].Size())
	if err := pipes[0].Put(raw, sample); err != nil {
		return fileError(f.input, err)
	}
	methods := map[string]func(context.Context, []byte, explain.Options) (*explain.Attribution, error){
		"integrated": e.Integrated, "gradient": e.GradientInput, "occlusion": e.Occlusion,
	}
	method := methods[f.method]
	if method == nil {
		return usagef("--method %s is unknown; integrated, gradient and occlusion are known", f.method)
	}
	a, err := method(cmd.Context(), raw, o)
	if err != nil {
		return fileError(model, err)
	}
	r := newExplanation(model, f, m, a)
	if f.out != "" {
		err := vfs.WriteFile(vfs.OS, f.out, func(w io.Writer) error {
			if ext == ".png" {
				return a.WritePNG(w)
			}
			return a.WriteSVG(w, fmt.Sprintf("%s: %s, score %.3g", filepath.Base(f.input), r.Label, r.Score))
		})
		if err != nil {
			return fileError(f.out, err)
		}
	}
	return emit(cmd, r, r.text)
}

func newExplanation(model string, f *explainFlags, m *format.Model, a *explain.Attribution) *explanation {
	r := &explanation{Model: model, Input: f.input, Method: f.method, Class: a.Class, Label: pre.Label(m.Header.Labels, a.Class), Score: a.Score, Output: f.out}
	order := make([]int, len(a.Values))
	for i := range order {
		order[i] = i
	}
	size := func(i int) float64 { return math.Abs(float64(a.Values[i])) }
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(size(j), size(i)) })
	for _, i := range order[:min(len(order), 10)] {
		s := share{Index: i, Input: a.Input[i], Share: a.Values[i]}
		if a.Names != nil {
			s.Name = a.Names[i]
		}
		r.Most = append(r.Most, s)
	}
	return r
}

func (r *explanation) text(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s, score %.4g, by %s\n\n", r.Input, r.Label, r.Score, r.Method)
	tw := table(w)
	fmt.Fprintln(tw, "value\tinput\tshare of the score")
	for _, s := range r.Most {
		name := s.Name
		if name == "" {
			name = strconv.Itoa(s.Index)
		}
		fmt.Fprintf(tw, "%s\t%.4g\t%+.4g\n", name, s.Input, s.Share)
	}
	return tw.Flush()
}

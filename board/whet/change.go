package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
)

// A changed is what whet change and whet build print.
type changed struct {
	Model   string   `json:"model,omitempty"` // that was changed
	Output  string   `json:"output"`
	Nodes   int      `json:"nodes"`
	Input   string   `json:"input_shape"`
	Shape   string   `json:"output_shape"`
	Labels  []string `json:"labels"`
	Tunable []string `json:"tunable"` // the layers that whet tune may train
	Bytes   int64    `json:"output_bytes"`
}

type changeFlags struct {
	modelFlags
	out, cut, layers, labels     string
	classes                      int
	activations, freeze, release []string
	seed                         uint64
}

func newChangeCmd() *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:   "change MODEL.whet -o OUT.whet",
		Short: "Cut, extend or freeze a model for another task",
		Long: `Make another model of one: cut it behind a node, put layers on its end, put other
activations in, say which layers may be tuned. The steps are done in this order. New
layers compute in float32, also behind an integer network, and start with random weights:
train them with whet tune.

Layers are written as dense(64,relu)+dense(n); conv(FILTERS,KERNEL), maxpool(SIZE),
avgpool(SIZE), globalavg, flatten, lstm(UNITS) and the activations' names are known, too;
n is the number of classes.`,
		Example: `  whet change mobilenet.whet -o mine.whet --cut global_pool --append "flatten+dense(64,relu)+dense(n)" --labels cat,dog
  whet change kws.whet -o frozen.whet --freeze 'conv*'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.addDelta(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "output", "o", "", "the .whet to write")
	fl.StringVar(&f.cut, "cut", "", "the node behind which to cut; whet inspect lists them")
	fl.StringVar(&f.layers, "append", "", "layers for the end, such as dense(64,relu)+dense(n)")
	fl.IntVar(&f.classes, "classes", 0, "what n stands for in --append (default: the number of --labels)")
	fl.StringVar(&f.labels, "labels", "", "names of the classes, with commas")
	fl.StringArrayVar(&f.activations, "activation", nil, "NODE=KIND: another activation in the place of a node, or linear for none; may be repeated")
	fl.StringArrayVar(&f.freeze, "freeze", nil, "layers that may not be tuned, such as 'conv*'; may be repeated")
	fl.StringArrayVar(&f.release, "unfreeze", nil, "layers that may be tuned again; may be repeated")
	fl.Uint64Var(&f.seed, "seed", 0, "of the new layers' weights")
	return cmd
}

func (f *changeFlags) run(cmd *cobra.Command, model string) error {
	if f.out == "" {
		return usagef("change needs -o: the .whet to write")
	}
	m, err := f.open(model)
	if err != nil {
		return err
	}
	defer m.Close()
	c, err := f.apply(m)
	if err != nil {
		return fileError(model, err)
	}
	return writeChanged(cmd, &changed{Model: model}, c, f.out)
}

// writeChanged writes a model and prints what it has become.
func writeChanged(cmd *cobra.Command, r *changed, m *format.Model, out string) error {
	if err := format.WriteFile(out, m); err != nil {
		return fileError(out, err)
	}
	r.Output, r.Nodes, r.Labels, r.Tunable = out, len(m.Main().Nodes), m.Header.Labels, m.Header.Tunable
	if r.Tunable == nil {
		r.Tunable = build.Layers(m)
	}
	in := m.Tensor(m.Main().Inputs[0].Tensor)
	r.Input, r.Shape = shapeOf(in.Shape, m.Symbols), shapeOf(m.Tensor(m.Main().Outputs[0]).Shape, m.Symbols)
	if fi, err := os.Stat(out); err == nil {
		r.Bytes = fi.Size()
	}
	return emit(cmd, r, r.text)
}

// apply does the steps that the flags ask for.
func (f *changeFlags) apply(m *format.Model) (c *format.Model, err error) {
	c = m
	if f.cut != "" {
		if c, err = build.Cut(c, f.cut); err != nil {
			return nil, err
		}
	}
	var labels []string
	if f.labels != "" {
		labels = strings.Split(f.labels, ",")
	}
	if f.layers != "" {
		n := f.classes
		if n == 0 {
			n = len(labels)
		}
		layers, err := build.Parse(f.layers, n)
		if err != nil {
			return nil, usageError{err}
		}
		if c, err = build.Append(c, f.seed, labels, layers...); err != nil {
			return nil, err
		}
	} else if labels != nil || f.classes != 0 {
		return nil, usagef("--labels and --classes are for --append")
	}
	for _, a := range f.activations {
		node, kind, ok := strings.Cut(a, "=")
		if !ok {
			return nil, usagef("--activation %s: NODE=KIND is needed", a)
		}
		if c, err = build.Activation(c, node, kind); err != nil {
			return nil, err
		}
	}
	if len(f.freeze) > 0 {
		if c, err = build.Freeze(c, f.freeze...); err != nil {
			return nil, err
		}
	}
	if len(f.release) > 0 {
		if c, err = build.Unfreeze(c, f.release...); err != nil {
			return nil, err
		}
	}
	if c == m {
		return nil, usagef("change needs one of --cut, --append, --activation, --freeze and --unfreeze")
	}
	return c, nil
}

func (r *changed) text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: %d nodes, input %s, output %s, %s; may be tuned: %s\n", r.Output, r.Nodes, r.Input, r.Shape, byteCount(r.Bytes), strings.Join(r.Tunable, " "))
	return err
}

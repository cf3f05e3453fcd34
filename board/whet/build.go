package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
	rows "github.com/whet-edge/whet/ondevice/table"
	"github.com/whet-edge/whet/runtime/pre"
)

type buildFlags struct {
	out, data, input, labels string
	classes                  int
	seed                     uint64

	// Of tables.
	target, fill, missing string
	regression            bool
}

func newBuildCmd() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build LAYERS --data DIR|FILE.csv|FILE.npz -o MODEL.whet",
		Short: "Make a new network of layers, for data of your own",
		Long: `Make a network with random weights of one line of layers, as whet change --append has
them: dense(64,relu)+dense(n) and so on, n being the number of classes. whet tune --tail
all trains it from scratch.

What its input is and which classes there are comes from --data, of which nothing else
is learned but, for a table, how its columns become numbers: numbers less their mean over
their deviation, texts as 0 and 1. Give it the rows to train on, not those to judge by.
That travels in the model: whet tune, eval and run take rows as they are in the file.
Pictures are brought to the size that --input says, and their values to 0 to 1.`,
		Example: `  whet build "conv(32,3,relu)+maxpool(2)+conv(64,3,relu)+maxpool(2)+flatten+dense(128,relu)+dense(n,softmax)" --data photos --input 28x28x1 -o new.whet
  whet tune new.whet --data photos --tail all --optimizer adamw --lr 0.001 --epochs 10 -o trained.whetd
  whet build "dense(32,relu)+dense(n,softmax)" --data train.csv --target kind -o rows.whet`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "output", "o", "", "the .whet to write")
	fl.StringVar(&f.data, "data", "", "folder DIR/<label>/<pictures>, .csv, or .npz with x and y, that the network is for")
	fl.StringVar(&f.input, "input", "", "shape of the input: 28x28x1 of a picture (height first), 100x6 of a series, 13 of a row (default: that of --data)")
	fl.StringVar(&f.labels, "labels", "", "names of the classes, with commas (default: those of --data)")
	fl.IntVar(&f.classes, "classes", 0, "what n stands for (default: the number of classes)")
	fl.StringVar(&f.target, "target", "", "column of a table that is foretold (default: the last)")
	fl.BoolVar(&f.regression, "regression", false, "the column is a value, not a class")
	fl.StringVar(&f.fill, "fill", "", "what to put in the place of a missing number of a table: mean, median or zero (default: such rows are an error)")
	fl.StringVar(&f.missing, "missing", "", "texts that stand for no value, with commas, such as NA,?")
	fl.Uint64Var(&f.seed, "seed", 0, "of the weights")
	return cmd
}

// A source is what data says about the network for it.
type source struct {
	shape  []int
	labels []string
	table  *rows.Encoder      // of a table
	steps  []format.Transform // of pictures
}

func (f *buildFlags) run(cmd *cobra.Command, line string) error {
	switch {
	case f.out == "":
		return usagef("build needs -o: the .whet to write")
	case f.data == "" && f.input == "":
		return usagef("build needs --data, or --input and the number of --classes")
	case f.classes < 0:
		return usagef("--classes %d: a positive number is needed", f.classes)
	}
	s, err := f.source()
	if err != nil {
		return err
	}
	if f.labels != "" {
		s.labels = strings.Split(f.labels, ",")
	}
	n := f.classes
	if n == 0 {
		n = len(s.labels)
	}
	layers, err := build.Parse(line, n)
	if err != nil {
		return usageError{err}
	}
	m, err := build.New(s.shape, f.seed, layers...)
	if err != nil {
		return usageError{err}
	}
	outputs := m.Tensor(m.Main().Outputs[0]).Shape.Elems()
	switch {
	case f.regression && outputs != 1:
		return usagef("the network has %d outputs: one value needs dense(1) last", outputs)
	case len(s.labels) > 0 && outputs != len(s.labels):
		return usagef("the network has %d outputs for %d classes: end it with dense(n)", outputs, len(s.labels))
	}
	m.Header.Labels, m.Header.Pre = s.labels, s.steps
	if s.table != nil {
		s.table.Attach(m)
	}
	return writeChanged(cmd, &changed{}, m, f.out)
}

// source looks at the data, and at the flags where there is none.
func (f *buildFlags) source() (*source, error) {
	shape, err := parseShape(f.input)
	if err != nil {
		return nil, err
	}
	csv := strings.EqualFold(filepath.Ext(f.data), ".csv")
	if !csv && (f.target != "" || f.fill != "" || f.missing != "" || f.regression) {
		return nil, usagef("--target, --regression, --fill and --missing are for a table: --data FILE.csv")
	}
	switch {
	case f.data == "":
		return &source{shape: shape}, nil
	case csv:
		return f.rows(shape)
	case strings.EqualFold(filepath.Ext(f.data), ".npz"):
		return f.archive(shape)
	}
	return f.pictures(shape)
}

// parseShape reads 28x28x1; nil is the shape of "".
func parseShape(s string) (shape []int, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, "x") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > 1<<20 {
			return nil, usagef("--input %s: positive numbers with an x between are needed, such as 28x28x1", s)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

func (f *buildFlags) rows(shape []int) (*source, error) {
	file, err := os.Open(f.data)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var o rows.Options
	if f.missing != "" {
		o.Missing = strings.Split(f.missing, ",")
	}
	t, err := rows.Read(file, o)
	if err != nil {
		return nil, fileError(f.data, err)
	}
	target := f.target
	if target == "" {
		target = t.Names[len(t.Names)-1]
	}
	e, err := rows.Fit(t, rows.Encoding{Target: target, Regression: f.regression, Fill: rows.Fill(f.fill), Standardize: true})
	if err != nil {
		return nil, fileError(f.data, err)
	}
	if shape != nil && (len(shape) != 1 || shape[0] != e.Width()) {
		return nil, usagef("--input %s: the columns of %s become %d numbers; leave it away", f.input, f.data, e.Width())
	}
	return &source{shape: []int{e.Width()}, labels: e.Classes, table: e}, nil
}

func (f *buildFlags) archive(shape []int) (*source, error) {
	a, err := pre.ReadNPZ(f.data, "x")
	if err != nil {
		return nil, fileError(f.data, err)
	}
	x := a["x"]
	if x.Type != format.Float32 || len(x.Shape) < 2 {
		return nil, fmt.Errorf("%s: x is %v of shape %v: a network learns from float32 numbers, one row a sample", f.data, x.Type, []int(x.Shape))
	}
	if shape == nil {
		shape = x.Shape[1:]
	}
	labels, err := f.names(shape, nil)
	return &source{shape: shape, labels: labels}, err
}

func (f *buildFlags) pictures(shape []int) (*source, error) {
	if len(shape) != 3 || shape[2] != 1 && shape[2] != 3 {
		return nil, usagef("build needs the size of the pictures: --input HEIGHTxWIDTHx3, or x1 for grey ones")
	}
	steps := []format.Transform{{Op: "image"}, {Op: "normalize", Attrs: format.Attrs{"scale": []float64{1. / 255}}}}
	labels, err := f.names(shape, steps)
	return &source{shape: shape, labels: labels, steps: steps}, err
}

// names lists the classes of data for an input of a shape, of which the first
// sample is tried.
func (f *buildFlags) names(shape []int, steps []format.Transform) ([]string, error) {
	in := &format.Tensor{Name: "input", Type: format.Float32, Shape: append(format.Shape{1}, shape...)}
	p, err := pre.New(steps, in, true)
	if err != nil {
		return nil, err
	}
	d, err := pre.OpenData(f.data, p, nil)
	if err != nil {
		return nil, err
	}
	return d.Labels, d.Input(0, make([]byte, p.Size()))
}

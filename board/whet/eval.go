package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/attack"
	"github.com/whet-edge/whet/ondevice/judge"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// An evaluation is what whet eval prints. Accuracies are fractions of 1;
// precision, recall and F1 are the means over the classes that have samples. A
// class that is never predicted has precision 0.
type evaluation struct {
	Model     string   `json:"model"`
	Data      string   `json:"data"`
	Samples   int      `json:"samples"`
	Accuracy  float64  `json:"accuracy"`
	Precision float64  `json:"precision"`
	Recall    float64  `json:"recall"`
	F1        float64  `json:"f1"`
	AUC       *float64 `json:"auc,omitempty"` // of two classes: that the second one's scores rank right; of more the mean of one against the rest

	// Calibration is the expected calibration error, if the scores are probabilities.
	Calibration *float64 `json:"calibration_error,omitempty"`

	Confusion [][]int  `json:"confusion"` // [class][prediction]
	Labels    []string `json:"labels"`
	Classes   []struct {
		Label     string  `json:"label"`
		Samples   int     `json:"samples"`
		Precision float64 `json:"precision"`
		Recall    float64 `json:"recall"`
		F1        float64 `json:"f1"`
	} `json:"classes"`
	Attack *attacked `json:"attack,omitempty"`
}

// attacked is what is left of the accuracy under an attack.
type attacked struct {
	Kind     string  `json:"kind"`
	Epsilon  float64 `json:"epsilon"`
	Steps    int     `json:"steps"`
	Accuracy float64 `json:"accuracy"`
	Lost     float64 `json:"lost"` // of the accuracy without it
}

// A regression is what whet eval prints of a model that gives one value.
type regression struct {
	Model   string  `json:"model"`
	Data    string  `json:"data"`
	Samples int     `json:"samples"`
	MAE     float64 `json:"mae"`
	RMSE    float64 `json:"rmse"`
	R2      float64 `json:"r2"`
}

func (r *regression) text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%d samples: mean absolute error %.6g, root mean squared error %.6g, R² %.4f\n", r.Samples, r.MAE, r.RMSE, r.R2)
	return err
}

func newEvalCmd() *cobra.Command {
	var mf modelFlags
	var af attackFlags
	var data string
	cmd := &cobra.Command{
		Use:   "eval MODEL.whet --data DIR|FILE.csv|FILE.npz",
		Short: "Measure a model's accuracy on labelled data",
		Long: `Measure a model's accuracy on labelled data; of a model with one output, whose labels
are numbers, how far off its values are.

With --attack every sample is also moved by up to --epsilon, in the real values of the
input, so that the model errs if it can be made to: fgsm in one step along the signs of
the gradient, pgd in --steps steps.`,
		Example: "  whet eval kws.whet --data kws01.npz\n  whet eval parts.whet --delta mine.whetd --data photos\n  whet eval digits.whet --data t10k.npz --attack pgd --epsilon 0.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usagef("eval needs --data: a folder DIR/<label>/<files>, a .csv or an .npz")
			}
			m, p, err := mf.compile(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			if p.Outputs()[0].Shape.Elems() == 1 {
				return af.values(cmd, args[0], data, m, p)
			}
			attacker, err := af.attacker(m)
			if err != nil {
				return err
			}
			d, err := openData(m, data)
			if err != nil {
				return err
			}
			bar := newProgress(cmd, d.Len(), "evaluating")
			defer bar.done()
			e, err := evaluate(cmd.Context(), m, p, d, attacker, bar.set)
			if err != nil {
				return err
			}
			bar.done()
			e.Model, e.Data = args[0], data
			if e.Attack != nil {
				e.Attack.Kind, e.Attack.Epsilon, e.Attack.Steps = af.kind, af.epsilon, af.count()
				e.Attack.Lost = e.Accuracy - e.Attack.Accuracy
			}
			return emit(cmd, e, e.text)
		},
	}
	mf.add(cmd)
	af.add(cmd)
	cmd.Flags().StringVar(&data, "data", "", "folder DIR/<label>/<files>, .csv with a header, or .npz with x and y")
	return cmd
}

// attackFlags say how a model is attacked.
type attackFlags struct {
	kind    string
	epsilon float64
	steps   int
	span    string
}

func (f *attackFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.kind, "attack", "", "fgsm or pgd: measure under attack, too")
	fl.Float64Var(&f.epsilon, "epsilon", 0.03, "how far an attack may move a value of the input")
	fl.IntVar(&f.steps, "steps", 10, "steps of the attack pgd")
	fl.StringVar(&f.span, "range", "", "least and greatest value of an input, such as 0,1 (default: what its type holds)")
}

func (f *attackFlags) count() int {
	if f.kind == "pgd" {
		return f.steps
	}
	return 1
}

// attacker returns nil without --attack.
func (f *attackFlags) attacker(m *format.Model) (*attack.Attacker, error) {
	switch f.kind {
	case "":
		return nil, nil
	case "fgsm", "pgd":
	default:
		return nil, usagef("--attack %s is unknown; fgsm and pgd are known", f.kind)
	}
	o := attack.Options{Epsilon: float32(f.epsilon), Steps: f.count(), Random: f.kind == "pgd"}
	if f.span != "" {
		if _, err := fmt.Sscanf(f.span, "%g,%g", &o.Lo, &o.Hi); err != nil || o.Lo >= o.Hi {
			return nil, usagef("--range %s: two numbers with a comma are needed", f.span)
		}
	}
	if _, err := o.Check(); err != nil {
		return nil, usageError{err}
	}
	return attack.New(m, o, 0)
}

// values evaluates a model that gives one value, which is not attacked.
func (f *attackFlags) values(cmd *cobra.Command, model, path string, m *format.Model, p *runtime.Program) error {
	if f.kind != "" {
		return usagef("--attack is for models that name classes")
	}
	d, err := openData(m, path)
	if err != nil {
		return err
	}
	s := p.NewSession()
	defer s.Close()
	var predicted, target [][]float32
	for i := range d.Len() {
		t, err := strconv.ParseFloat(d.Label(i), 32)
		if err != nil {
			return fmt.Errorf("%s: output %q has one value, but the label is %.40q, not a number", d.Names[i], p.Outputs()[0].Name, d.Label(i))
		}
		if err := d.Input(i, s.Input(0).Bytes()); err != nil {
			return err
		}
		s.Reset()
		if err := s.Run(cmd.Context()); err != nil {
			return fmt.Errorf("%s: %w", d.Names[i], err)
		}
		predicted, target = append(predicted, []float32{s.Output(0).Float32()[0]}), append(target, []float32{float32(t)})
	}
	v, err := judge.Compare(predicted, target)
	if err != nil {
		return err
	}
	r := &regression{model, path, v.Samples, v.MAE, v.RMSE, v.R2}
	return emit(cmd, r, r.text)
}

// openData opens labelled samples for a model with one input.
func openData(m *format.Model, path string) (*pre.Data, error) {
	pipes, err := pre.ForModel(m)
	if err != nil {
		return nil, err
	}
	if len(pipes) != 1 {
		return nil, fmt.Errorf("the model has %d inputs; labelled data can fill only one", len(pipes))
	}
	return pre.OpenData(path, pipes[0], m.Header.Labels)
}

// evaluate runs a model on all samples, and on what an attacker, unless it is nil,
// makes of them. step is called with the number done.
func evaluate(ctx context.Context, m *format.Model, p *runtime.Program, d *pre.Data, attacker *attack.Attacker, step func(int)) (*evaluation, error) {
	out := p.Outputs()[0]
	classes := out.Shape.Elems()
	for i, c := range d.Class {
		if c >= classes {
			return nil, fmt.Errorf("%s: class %q is not among the model's %d; whet tune teaches it new ones", d.Names[i], d.Labels[c], classes)
		}
	}
	s := p.NewSession()
	defer s.Close()
	in := s.Input(0).Bytes()
	clean, fooled := judge.NewClasses(classes), judge.NewClasses(classes)
	run := func(k *judge.Classes, i int) error {
		s.Reset() // samples are independent, also for a model with states
		if err := s.Run(ctx); err != nil {
			return fmt.Errorf("%s: %w", d.Names[i], err)
		}
		k.Add(s.Output(0).Float32(), d.Class[i])
		return nil
	}
	for i, c := range d.Class {
		if err := d.Input(i, in); err != nil {
			return nil, err
		}
		if err := run(clean, i); err != nil {
			return nil, err
		}
		if attacker != nil {
			if err := d.Input(i, in); err != nil { // a run may overwrite its input
				return nil, err
			}
			moved, err := attacker.Attack(ctx, in, c)
			if err != nil {
				return nil, err
			}
			copy(in, moved)
			if err := run(fooled, i); err != nil {
				return nil, err
			}
		}
		step(i + 1)
	}
	e := newEvaluation(clean, m.Header.Labels)
	if attacker != nil {
		e.Attack = &attacked{Accuracy: fooled.Result().Accuracy}
	}
	return e, nil
}

// newEvaluation sums up predictions.
func newEvaluation(k *judge.Classes, labels []string) *evaluation {
	r := k.Result()
	e := &evaluation{Samples: r.Samples, Accuracy: r.Accuracy, Precision: r.Precision, Recall: r.Recall, F1: r.F1,
		AUC: known(r.AUC), Calibration: known(r.Calibration), Confusion: k.Confusion}
	e.Classes = slices.Grow(e.Classes, len(r.Classes))[:len(r.Classes)]
	for c, v := range r.Classes {
		e.Labels = append(e.Labels, pre.Label(labels, c))
		k := &e.Classes[c]
		k.Label, k.Samples, k.Precision, k.Recall, k.F1 = e.Labels[c], v.Samples, v.Precision, v.Recall, v.F1
	}
	return e
}

// known is a figure, nil if it is none.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func (e *evaluation) text(w io.Writer) error {
	fmt.Fprintf(w, "%d samples: accuracy %.4f, precision %.4f, recall %.4f, F1 %.4f", e.Samples, e.Accuracy, e.Precision, e.Recall, e.F1)
	if e.AUC != nil {
		fmt.Fprintf(w, ", AUC %.4f", *e.AUC)
	}
	if e.Calibration != nil {
		fmt.Fprintf(w, ", calibration error %.4f", *e.Calibration)
	}
	if a := e.Attack; a != nil {
		fmt.Fprintf(w, "\nunder attack (%s, epsilon %g, %d steps): accuracy %.4f, %.4f lost", a.Kind, a.Epsilon, a.Steps, a.Accuracy, a.Lost)
	}
	fmt.Fprint(w, "\n\n")
	tw := table(w)
	fmt.Fprintln(tw, "class\tsamples\tprecision\trecall\tF1\tmost often taken for")
	for c, k := range e.Classes {
		if k.Samples == 0 {
			continue
		}
		wrong := -1
		for o, n := range e.Confusion[c] {
			if o != c && n > 0 && (wrong < 0 || n > e.Confusion[c][wrong]) {
				wrong = o
			}
		}
		taken := ""
		if wrong >= 0 {
			taken = fmt.Sprintf("%s (%d)", e.Labels[wrong], e.Confusion[c][wrong])
		}
		fmt.Fprintf(tw, "%s\t%d\t%.4f\t%.4f\t%.4f\t%s\n", k.Label, k.Samples, k.Precision, k.Recall, k.F1, taken)
	}
	return tw.Flush()
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/whet-edge/whet/format"
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
	AUC       *float64 `json:"auc,omitempty"` // of two classes: that the second one's scores rank right
	Confusion [][]int  `json:"confusion"`     // [class][prediction]
	Labels    []string `json:"labels"`
	Classes   []struct {
		Label     string  `json:"label"`
		Samples   int     `json:"samples"`
		Precision float64 `json:"precision"`
		Recall    float64 `json:"recall"`
		F1        float64 `json:"f1"`
	} `json:"classes"`
}

func newEvalCmd() *cobra.Command {
	var mf modelFlags
	var data string
	cmd := &cobra.Command{
		Use:     "eval MODEL.whet --data DIR|FILE.csv|FILE.npz",
		Short:   "Measure a model's accuracy on labelled data",
		Example: "  whet eval kws.whet --data kws01.npz\n  whet eval parts.whet --delta mine.whetd --data photos",
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
			d, err := openData(m, data)
			if err != nil {
				return err
			}
			bar := newProgress(cmd, d.Len(), "evaluating")
			defer bar.done()
			e, err := evaluate(cmd.Context(), m, p, d, bar.set)
			if err != nil {
				return err
			}
			bar.done()
			e.Model, e.Data = args[0], data
			return emit(cmd, e, e.text)
		},
	}
	mf.add(cmd)
	cmd.Flags().StringVar(&data, "data", "", "folder DIR/<label>/<files>, .csv with a header, or .npz with x and y")
	return cmd
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

// evaluate runs a model on all samples. step is called with the number done.
func evaluate(ctx context.Context, m *format.Model, p *runtime.Program, d *pre.Data, step func(int)) (*evaluation, error) {
	out := p.Outputs()[0]
	classes := out.Shape.Elems()
	if classes < 2 {
		return nil, fmt.Errorf("output %q has %d value: it names no class, and eval measures classes", out.Name, classes)
	}
	for i, c := range d.Class {
		if c >= classes {
			return nil, fmt.Errorf("%s: class %q is not among the model's %d; whet tune teaches it new ones", d.Names[i], d.Labels[c], classes)
		}
	}
	s := p.NewSession()
	defer s.Close()
	e := &evaluation{Samples: d.Len(), Confusion: make([][]int, classes)}
	for c := range e.Confusion {
		e.Confusion[c] = make([]int, classes)
		e.Labels = append(e.Labels, pre.Label(m.Header.Labels, c))
	}
	second := make([]float32, d.Len()) // the second class's score, for the AUC
	for i, c := range d.Class {
		if err := d.Input(i, s.Input(0).Bytes()); err != nil {
			return nil, err
		}
		s.Reset() // samples are independent, also for a model with states
		if err := s.Run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Names[i], err)
		}
		scores := s.Output(0).Float32()
		e.Confusion[c][argmax(scores)]++
		second[i] = scores[1]
		step(i + 1)
	}
	e.finish()
	if classes == 2 {
		e.AUC = auc(second, d.Class)
	}
	return e, nil
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// finish computes the fractions from the confusion matrix.
func (e *evaluation) finish() {
	right, with := 0, 0
	e.Classes = slices.Grow(e.Classes, len(e.Labels))[:len(e.Labels)]
	for c := range e.Classes {
		k := &e.Classes[c]
		k.Label = e.Labels[c]
		hit, predicted := e.Confusion[c][c], 0
		for o := range e.Confusion {
			k.Samples += e.Confusion[c][o]
			predicted += e.Confusion[o][c]
		}
		k.Precision, k.Recall = ratio(hit, predicted), ratio(hit, k.Samples)
		k.F1 = ratio(2*hit, predicted+k.Samples)
		right += hit
		if k.Samples > 0 {
			with++
			e.Precision += k.Precision
			e.Recall += k.Recall
			e.F1 += k.F1
		}
	}
	e.Accuracy = ratio(right, e.Samples)
	if with > 0 {
		e.Precision, e.Recall, e.F1 = e.Precision/float64(with), e.Recall/float64(with), e.F1/float64(with)
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// auc is the chance that a sample of class 1 scores higher than one of class 0,
// equal scores counting half (the statistic of Mann and Whitney); nil if a
// class has no samples.
func auc(scores []float32, class []int) *float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	rankSum, ones := 0.0, 0
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && scores[order[j]] == scores[order[i]] {
			j++
		}
		for _, k := range order[i:max(j, i+1)] {
			if class[k] == 1 {
				rankSum += float64(i+max(j, i+1)+1) / 2 // the mean of ranks i+1 to j
				ones++
			}
		}
		i = max(j, i+1) // NaN equals nothing, not even itself
	}
	zeros := len(class) - ones
	if ones == 0 || zeros == 0 {
		return nil
	}
	v := (rankSum - float64(ones)*float64(ones+1)/2) / (float64(ones) * float64(zeros))
	return &v
}

func (e *evaluation) text(w io.Writer) error {
	fmt.Fprintf(w, "%d samples: accuracy %.4f, precision %.4f, recall %.4f, F1 %.4f", e.Samples, e.Accuracy, e.Precision, e.Recall, e.F1)
	if e.AUC != nil {
		fmt.Fprintf(w, ", AUC %.4f", *e.AUC)
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

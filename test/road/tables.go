package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/judge"
	"github.com/whet-edge/whet/ondevice/private"
	"github.com/whet-edge/whet/ondevice/table"
)

// A dataset is one of the tables, what of it is missing, and how it is learned.
type dataset struct {
	Name, Path, Target string
	Zeros              []string // columns whose 0 stands for a missing value
	Regression         bool
	epochs             int
}

func datasets(material string) []dataset {
	at := func(name string) string { return filepath.Join(material, "datasets", "tabular", name) }
	return []dataset{
		{Name: "pima", Path: at("pima-indians-diabetes.csv"), Target: "9", Zeros: []string{"2", "3", "4", "5", "6"}, epochs: 20},
		{Name: "housing", Path: at("housing.csv"), Target: "14", Regression: true, epochs: 200},
		{Name: "sonar", Path: at("sonar.csv"), Target: "61", epochs: 30},
		{Name: "wine", Path: at("wine.csv"), Target: "14", epochs: 60},
		{Name: "banknote", Path: at("banknote_authentication.csv"), Target: "5", epochs: 60},
	}
}

func (d *dataset) read() (*table.Table, error) {
	f, err := os.Open(d.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := table.Read(f, table.Options{})
	if err != nil {
		return nil, err
	}
	if len(d.Zeros) > 0 {
		if t, err = t.MarkMissing(0, d.Zeros...); err != nil {
			return nil, err
		}
	}
	return t.DropMissing()
}

// encode gives the encoder of the training rows, and both parts by it.
func (d *dataset) encode(t *table.Table, train, val []int) (*table.Encoder, *fit.Data, *fit.Data, error) {
	e, err := table.Fit(t.Rows(train), table.Encoding{Target: d.Target, Regression: d.Regression, Standardize: true})
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := e.Data(t.Rows(train))
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := e.Data(t.Rows(val))
	return e, a, b, err
}

// split holds a share of the rows out, by class where there are classes.
func (d *dataset) split(t *table.Table, share float64, seed uint64) (train, val []int, err error) {
	class := make([]int, len(t.Cells))
	if !d.Regression {
		e, err := table.Fit(t, table.Encoding{Target: d.Target})
		if err != nil {
			return nil, nil, err
		}
		all, err := e.Data(t)
		if err != nil {
			return nil, nil, err
		}
		class = all.Class
	}
	train, val = fit.Stratified(class, share, seed)
	return train, val, nil
}

// A tableRun is what a seed gave, for the peer to repeat and to judge.
type tableRun struct {
	Train, Val []int
	Scores     [][]float32
	Class      []int
	Figures    map[string]float64
}

// tables reads, cleans, splits and standardizes each table, trains a network of 32
// and 16 units on it, and has pandas and scikit-learn do the same.
func tables(ctx context.Context, c *config) error {
	type work struct {
		dataset
		Epochs int
		Rows   int
		Mean   []float64
		Std    []float64
		Runs   []tableRun
	}
	var list []work
	for _, d := range datasets(c.material) {
		t, err := d.read()
		if err != nil {
			return err
		}
		w := work{dataset: d, Epochs: d.epochs, Rows: len(t.Cells)}
		for _, n := range t.Names {
			col, err := t.Describe(n)
			if err != nil {
				return err
			}
			if !col.Number {
				continue
			}
			w.Mean, w.Std = append(w.Mean, col.Mean), append(w.Std, col.Std)
		}
		for seed := range uint64(c.seeds) {
			r, err := d.run(ctx, t, seed)
			if err != nil {
				return err
			}
			w.Runs = append(w.Runs, *r)
		}
		list = append(list, w)
	}
	if err := c.write("tables.json", list); err != nil {
		return err
	}
	var peer map[string]struct {
		Rows      int
		Mean, Std []float64
		Figures   []map[string]float64 // scikit-learn's of our predictions
		Scores    []float64            // of its own network: accuracy or RMSE
	}
	if err := c.peer(ctx, &peer, "tables"); err != nil {
		return err
	}
	for _, w := range list {
		p := peer[w.Name]
		worst := math.Abs(float64(w.Rows - p.Rows))
		for i := range w.Mean {
			worst = max(worst, math.Abs(w.Mean[i]-p.Mean[i])/max(1, math.Abs(p.Mean[i])), math.Abs(w.Std[i]-p.Std[i])/max(1, math.Abs(p.Std[i])))
		}
		c.check(fmt.Sprintf("%s: %d rows, means and deviations apart from pandas'", w.Name, w.Rows), worst, worst <= 1e-9 && len(w.Mean) == len(p.Mean), "at most 1e-9")
		worst = 0
		var ours []float64
		for i, r := range w.Runs {
			for k, v := range r.Figures {
				worst = max(worst, math.Abs(v-p.Figures[i][k]))
			}
			ours = append(ours, r.Figures[map[bool]string{true: "rmse", false: "accuracy"}[w.Regression]])
		}
		c.check(w.Name+": metrics apart from scikit-learn's", worst, worst <= 1e-9, "at most 1e-9")
		mean, half := judge.Interval(ours)
		theirs, other := judge.Interval(p.Scores)
		fmt.Printf("%s: whet %.4f ± %.4f, scikit-learn %.4f ± %.4f over %d seeds\n", w.Name, mean, half, theirs, other, c.seeds)
		if w.Regression {
			c.check(w.Name+": RMSE over scikit-learn's", mean/theirs, mean <= 1.02*theirs, "at most 1.02")
		} else {
			c.check(w.Name+": points below scikit-learn", 100*(theirs-mean), theirs-mean <= 0.01, "at most 1")
		}
	}
	return nil
}

func (d *dataset) run(ctx context.Context, t *table.Table, seed uint64) (*tableRun, error) {
	train, val, err := d.split(t, 0.3, seed)
	if err != nil {
		return nil, err
	}
	e, a, b, err := d.encode(t, train, val)
	if err != nil {
		return nil, err
	}
	r := &tableRun{Train: train, Val: val, Class: b.Class, Figures: map[string]float64{}}
	o := fit.Options{Epochs: d.epochs, Rate: 3e-3, Seed: seed}
	outputs := len(e.Classes)
	if d.Regression {
		o.Loss, outputs = ondevice.MSE, 1
	}
	m, err := build.New([]int{e.Width()}, seed, build.Dense{Units: 32, Activation: "relu"}, build.Dense{Units: 16, Activation: "relu"}, build.Dense{Units: outputs})
	if err != nil {
		return nil, err
	}
	if !d.Regression {
		if m, err = build.Append(m, seed, nil, build.Activated{Kind: "softmax"}); err != nil {
			return nil, err
		}
	}
	res, err := fit.Train(ctx, m, a, o)
	if err != nil {
		return nil, err
	}
	if r.Scores, err = fit.Predict(ctx, res.Model, b.X); err != nil {
		return nil, err
	}
	if d.Regression {
		v, err := judge.Compare(r.Scores, b.Target)
		if err != nil {
			return nil, err
		}
		r.Figures["mae"], r.Figures["rmse"], r.Figures["r2"] = v.MAE, v.RMSE, v.R2
		return r, nil
	}
	k := judge.NewClasses(outputs)
	for i, s := range r.Scores {
		k.Add(s, b.Class[i])
	}
	v := k.Result()
	r.Figures = map[string]float64{"accuracy": v.Accuracy, "precision": v.Precision, "recall": v.Recall, "f1": v.F1, "auc": v.AUC}
	return r, nil
}

// gap trains a network that is too large on too few samples, plainly and with each
// remedy, and gives how much better training is than validation: by the loss, for on
// few samples accuracy is 1 in training whatever is done, and by accuracy.
func gap(ctx context.Context, c *config) error {
	type set struct {
		name    string
		data    *fit.Data
		classes int
		plain   fit.Options
	}
	var sets []set
	for _, d := range datasets(c.material) {
		if d.Name != "pima" && d.Name != "sonar" {
			continue
		}
		t, err := d.read()
		if err != nil {
			return err
		}
		rows := span(0, len(t.Cells))
		e, all, _, err := d.encode(t, rows, rows)
		if err != nil {
			return err
		}
		sets = append(sets, set{d.Name, all, len(e.Classes), fit.Options{Epochs: 100, Rate: 2e-3, Augment: jitter(0.5)}})
	}
	images, err := pictures(c.fashion, "train")
	if err != nil {
		return err
	}
	sets = append(sets, set{"fashion", images.Subset(span(0, 1000)), 10, fit.Options{Epochs: 30, Augment: shift}})
	for _, s := range sets {
		remedies := []struct {
			name   string
			change func(o *fit.Options)
		}{
			{"plain", func(o *fit.Options) { o.Augment = nil }},
			{"L2 and dropout", func(o *fit.Options) {
				o.Augment, o.L2, o.Dropout = nil, 2e-3, map[string]float32{"dense1": 0.4, "dense2": 0.4}
			}},
			{"augmentation", func(*fit.Options) {}},
			{"early stopping", func(o *fit.Options) { o.Augment, o.Patience = nil, 5 }},
		}
		var plain float64
		for _, remedy := range remedies {
			var gaps, apart, vals []float64
			for seed := range uint64(c.seeds) {
				train, val := fit.Stratified(s.data.Class, 0.4, seed)
				a, b := s.data.Subset(train), s.data.Subset(val)
				m, err := network([]int{len(a.X[0])}, "dense(128,relu)+dense(128,relu)+dense(n,softmax)", s.classes, seed)
				if err != nil {
					return err
				}
				o := s.plain
				o.Seed, o.ValData = seed, b
				remedy.change(&o)
				r, err := fit.Train(ctx, m, a, o)
				if err != nil {
					return err
				}
				var loss, right [2]float64
				for i, d := range []*fit.Data{a, b} {
					y, err := fit.Predict(ctx, r.Model, d.X)
					if err != nil {
						return err
					}
					right[i] = accuracy(y, d.Class)
					losses, err := private.Losses(ctx, r.Model, d)
					if err != nil {
						return err
					}
					loss[i], _ = judge.Interval(losses)
				}
				gaps, apart, vals = append(gaps, loss[1]-loss[0]), append(apart, 100*(right[0]-right[1])), append(vals, right[1])
			}
			mean, half := judge.Interval(gaps)
			val, vhalf := judge.Interval(vals)
			points, phalf := judge.Interval(apart)
			fmt.Printf("%-8s %-16s gap of the loss %5.2f ± %.2f, of accuracy %5.2f ± %.2f points; validation %.4f ± %.4f\n", s.name, remedy.name, mean, half, points, phalf, val, vhalf)
			if remedy.name == "plain" {
				plain = mean
				continue
			}
			c.check(s.name+": "+remedy.name+", off the gap of the loss", plain-mean, mean < plain, "more than 0")
		}
	}
	return nil
}

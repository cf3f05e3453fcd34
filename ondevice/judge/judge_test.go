package judge_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/ondevice/judge"
)

// near fails unless a figure equals scikit-learn's to 1e-9. Its scores are the
// float32 ones that it is given here, too.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("%s is %.12f, scikit-learn has %.12f", what, got, want)
	}
}

func TestEqualsScikitLearn(t *testing.T) {
	var golden struct {
		Classes []struct {
			Scores                                            [][]float32
			Class                                             []int
			Accuracy, Precision, Recall, F1, AUC, Calibration float64
			Confusion                                         [][]int
		}
		Values struct {
			Predicted, Target [][]float32
			MAE, RMSE, R2     float64
		}
	}
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden.Classes {
		n := len(g.Confusion)
		c := judge.NewClasses(n)
		for i, s := range g.Scores {
			c.Add(s, g.Class[i])
		}
		r := c.Result()
		name := fmt.Sprintf("%d classes: ", n)
		near(t, name+"accuracy", r.Accuracy, g.Accuracy)
		near(t, name+"precision", r.Precision, g.Precision)
		near(t, name+"recall", r.Recall, g.Recall)
		near(t, name+"F1", r.F1, g.F1)
		near(t, name+"AUC", r.AUC, g.AUC)
		near(t, name+"calibration error", r.Calibration, g.Calibration)
		if diff := cmp.Diff(g.Confusion, c.Confusion); diff != "" {
			t.Error(diff)
		}
	}
	v, err := judge.Compare(golden.Values.Predicted, golden.Values.Target)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "MAE", v.MAE, golden.Values.MAE)
	near(t, "RMSE", v.RMSE, golden.Values.RMSE)
	near(t, "R²", v.R2, golden.Values.R2)
}

func TestEdges(t *testing.T) {
	c := judge.NewClasses(2)
	c.Add([]float32{3, -1}, 0) // no probabilities
	r := c.Result()
	if r.Accuracy != 1 || !math.IsNaN(r.AUC) || !math.IsNaN(r.Calibration) {
		t.Errorf("one sample of one class: %+v", r)
	}
	if r := judge.NewClasses(3).Result(); r.Accuracy != 0 || r.F1 != 0 {
		t.Errorf("no samples: %+v", r)
	}
	many := judge.NewClasses(1000)
	many.Add(make([]float32, 1000), 999)
	if r := many.Result(); !math.IsNaN(r.AUC) || r.Recall != 0 {
		t.Errorf("many classes: AUC %v, recall %v", r.AUC, r.Recall)
	}
	for _, bad := range [][2][][]float32{{}, {{{1}}, {{1}, {2}}}, {{{1}, {2, 3}}, {{1}, {2}}}} {
		if _, err := judge.Compare(bad[0], bad[1]); err == nil {
			t.Errorf("%v is not refused", bad)
		}
	}
	if v, err := judge.Compare([][]float32{{1}, {2}}, [][]float32{{1}, {1}}); err != nil || !math.IsNaN(v.R2) || v.MAE != 0.5 {
		t.Errorf("equal targets: %+v, %v", v, err)
	}
}

func TestAUC(t *testing.T) {
	for _, k := range []struct {
		scores []float32
		class  []int
		want   float64
	}{
		{[]float32{0.1, 0.4, 0.35, 0.8}, []int{0, 0, 1, 1}, 0.75},
		{[]float32{1, 2, 3}, []int{0, 0, 1}, 1},
		{[]float32{5, 5, 5, 5}, []int{0, 1, 0, 1}, 0.5},
	} {
		c := judge.NewClasses(2)
		for i, s := range k.scores {
			c.Add([]float32{0, s}, k.class[i])
		}
		if got := c.Result().AUC; got != k.want {
			t.Errorf("%v: got %v, want %v", k.scores, got, k.want)
		}
	}
}

func TestInterval(t *testing.T) {
	// scipy.stats.t.interval(0.95, 4, mean, sem)
	mean, half := judge.Interval([]float64{0.9, 0.92, 0.88, 0.91, 0.89})
	if math.Abs(mean-0.9) > 1e-12 || math.Abs(half-0.019632432) > 1e-8 {
		t.Errorf("%v ± %v", mean, half)
	}
	if _, half := judge.Interval([]float64{1}); !math.IsInf(half, 1) {
		t.Errorf("one result: ± %v", half)
	}
	var many []float64
	for i := range 101 {
		many = append(many, float64(i%2))
	}
	// 1.98397 standard errors, by scipy for 100 degrees of freedom
	if _, half := judge.Interval(many); math.Abs(half/math.Sqrt(50*51/101.0/100/101)-1.98397) > 1e-3 {
		t.Errorf("of 101 results: ± %v", half)
	}
}

func TestCurvesAreXML(t *testing.T) {
	var b bytes.Buffer
	err := judge.WriteCurves(&b,
		judge.Panel{Title: "loss <of> a & b", Curves: []judge.Curve{{"training", []float64{1, 0.5, 0.3}}, {"validation", []float64{1.1, math.NaN(), 0.6}}}},
		judge.Panel{Title: "empty"}, judge.Panel{Title: "flat", Curves: []judge.Curve{{"one", []float64{2}}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "<polyline"); n != 4 { // the gap cuts a line in two
		t.Errorf("%d lines", n)
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Five seeds give a mean and how sure it is.
func ExampleInterval() {
	mean, half := judge.Interval([]float64{0.912, 0.907, 0.915, 0.909, 0.911})
	fmt.Printf("%.3f ± %.3f\n", mean, half)
	// Output:
	// 0.911 ± 0.004
}

func ExampleClasses() {
	c := judge.NewClasses(2)
	c.Add([]float32{0.9, 0.1}, 0)
	c.Add([]float32{0.4, 0.6}, 1)
	c.Add([]float32{0.7, 0.3}, 1)
	r := c.Result()
	fmt.Printf("accuracy %.2f, recall %.2f, AUC %.2f, confusion %v\n", r.Accuracy, r.Recall, r.AUC, c.Confusion)
	// Output:
	// accuracy 0.67, recall 0.75, AUC 1.00, confusion [[1 0] [1 1]]
}

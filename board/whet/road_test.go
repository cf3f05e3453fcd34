package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
	rows "github.com/whet-edge/whet/ondevice/table"
)

// rowModel trains a network on a table and writes both into the working folder:
// m.whet and rows.csv.
func rowModel(t *testing.T, regression bool) {
	t.Helper()
	t.Chdir(t.TempDir())
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("size,colour,noise,kind\n")
	for range 120 {
		size, colour, kind := r.Float64(), []string{"red", "blue"}[r.IntN(2)], "small"
		if size > 0.5 {
			kind = "large"
		}
		if regression {
			kind = jsonText(t, 3*size+1)
		}
		b.WriteString(jsonText(t, size) + "," + colour + "," + jsonText(t, r.Float64()) + "," + kind + "\n")
	}
	if err := os.WriteFile("rows.csv", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	tab, err := rows.Read(strings.NewReader(b.String()), rows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := rows.Fit(tab, rows.Encoding{Target: "kind", Regression: regression, Standardize: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Data(tab)
	if err != nil {
		t.Fatal(err)
	}
	o, layers := fit.Options{Epochs: 60, Rate: 0.01}, "dense(8,relu)+dense(2,softmax)"
	if regression {
		o.Loss, layers = ondevice.MSE, "dense(8,relu)+dense(1)"
	}
	list, err := build.Parse(layers, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := build.New([]int{e.Width()}, 1, list...)
	if err != nil {
		t.Fatal(err)
	}
	res, err := fit.Train(t.Context(), m, d, o)
	if err != nil {
		t.Fatal(err)
	}
	e.Attach(res.Model)
	if err := format.WriteFile("m.whet", res.Model); err != nil {
		t.Fatal(err)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEvalTable(t *testing.T) {
	rowModel(t, false)
	var e evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", "m.whet", "--data", "rows.csv", "--attack", "pgd", "--epsilon", "0.5", "--json")), &e); err != nil {
		t.Fatal(err)
	}
	if e.Accuracy < 0.95 || e.AUC == nil || *e.AUC < 0.95 || e.Calibration == nil {
		t.Errorf("%+v", e)
	}
	if e.Attack == nil || e.Attack.Accuracy > e.Accuracy-0.1 || math.Abs(e.Attack.Lost-(e.Accuracy-e.Attack.Accuracy)) > 1e-12 {
		t.Errorf("under attack: %+v", e.Attack)
	}
	for _, args := range [][]string{{"--attack", "deepfool"}, {"--attack", "fgsm", "--range", "1"}, {"--attack", "fgsm", "--epsilon", "-1"}} {
		if code, _, _ := whet(t, append([]string{"eval", "m.whet", "--data", "rows.csv"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

func TestEvalRegression(t *testing.T) {
	rowModel(t, true)
	var r regression
	if err := json.Unmarshal([]byte(must(t, "eval", "m.whet", "--data", "rows.csv", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Samples != 120 || r.RMSE > 0.3 || r.R2 < 0.9 || r.MAE > r.RMSE {
		t.Errorf("%+v", r)
	}
}

func TestExplainTable(t *testing.T) {
	rowModel(t, false)
	for _, method := range []string{"integrated", "gradient", "occlusion"} {
		var e explanation
		if err := json.Unmarshal([]byte(must(t, "explain", "m.whet", "--input", "rows.csv", "-o", method+".svg", "--method", method, "--json")), &e); err != nil {
			t.Fatal(err)
		}
		if e.Most[0].Name != "size" {
			t.Errorf("%s: %+v", method, e.Most)
		}
		if b, err := os.ReadFile(method + ".svg"); err != nil || !strings.Contains(string(b), "colour=red") {
			t.Errorf("%s: the picture lacks a name, %v", method, err)
		}
	}
	for _, args := range [][]string{{"-o", "x.gif"}, {"--method", "guess"}, {"--class", "medium"}, {"--window", "axb"}, {"--steps", "0"}} {
		if code, _, _ := whet(t, append([]string{"explain", "m.whet", "--input", "rows.csv"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

func TestChange(t *testing.T) {
	rowModel(t, false)
	var c changed
	if err := json.Unmarshal([]byte(must(t, "change", "m.whet", "-o", "grown.whet", "--cut", "dense1/relu", "--append", "dense(6,tanh)+dense(n,softmax)",
		"--labels", "a,b,c", "--activation", "dense1/relu=elu", "--freeze", "dense1", "--json")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Shape != "[1,3]" || strings.Join(c.Tunable, " ") != "dense2 dense3" || len(c.Labels) != 3 {
		t.Errorf("%+v", c)
	}
	if out := must(t, "run", "grown.whet", "--input", "rows.csv"); !strings.Contains(out, "a") {
		t.Errorf("the changed model says %q", out)
	}
	for args, want := range map[string]int{
		"--cut nowhere": exitFailed, "--append dense(n)": exitUsage, "--append dense(3,reul)": exitUsage, "": exitUsage,
		"--activation dense1/relu": exitUsage, "--labels a,b": exitUsage, "--freeze conv*": exitFailed,
	} {
		if code, _, _ := whet(t, append([]string{"change", "m.whet", "-o", "x.whet"}, strings.Fields(args)...)...); code != want {
			t.Errorf("%s: exit %d", args, code)
		}
	}
}

func TestBuild(t *testing.T) {
	rowModel(t, false)
	var c changed
	if err := json.Unmarshal([]byte(must(t, "build", "dense(8,relu)+dense(n,softmax)", "--data", "rows.csv", "-o", "new.whet", "--json")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Input != "[1,4]" || c.Shape != "[1,2]" || strings.Join(c.Labels, " ") != "large small" {
		t.Errorf("%+v", c)
	}
	must(t, "tune", "new.whet", "--data", "rows.csv", "--tail", "all", "--optimizer", "adamw", "--lr", "0.01", "--epochs", "40", "-o", "new.whetd")
	var e evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", "new.whet", "--delta", "new.whetd", "--data", "rows.csv", "--json")), &e); err != nil {
		t.Fatal(err)
	}
	if e.Accuracy < 0.95 {
		t.Errorf("from scratch the accuracy is %v", e.Accuracy)
	}
	if c := must(t, "build", "flatten+dense(n)", "--input", "4x4x1", "--classes", "3", "-o", "x.whet"); !strings.Contains(c, "input [1,4,4,1], output [1,3]") {
		t.Errorf("%q", c)
	}
	for _, args := range [][]string{
		{"dense(n)", "-o", "x.whet"}, {"dense(n)", "-o", "x.whet", "--input", "4"}, {"dense(n)", "-o", "x.whet", "--input", "4xa", "--classes", "2"},
		{"dense(3)", "-o", "x.whet", "--data", "rows.csv"}, {"dense(n)", "--data", "rows.csv"}, {"conv(4,3)", "-o", "x.whet", "--data", "rows.csv"},
		{"dense(n)", "-o", "x.whet", "--data", "rows.csv", "--input", "3"}, {"dense(n)", "-o", "x.whet", "--data", ".", "--input", "4"},
		{"dense(1)", "-o", "x.whet", "--input", "4", "--regression"}, {"dense(2)", "-o", "x.whet", "--data", "rows.csv", "--target", "size", "--regression"},
	} {
		if code, _, stderr := whet(t, append([]string{"build"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
	if code, _, _ := whet(t, "build", "dense(n)", "--data", "rows.csv", "--target", "taste", "-o", "x.whet"); code != exitFailed {
		t.Errorf("a column that is not there: exit %d", code)
	}
}

func TestTunePrivate(t *testing.T) {
	rowModel(t, false)
	must(t, "change", "m.whet", "-o", "fresh.whet", "--cut", "dense1/relu", "--append", "dense(n,softmax)", "--labels", "large,small", "--seed", "5")
	tune := []string{"tune", "fresh.whet", "--data", "rows.csv", "-o", "p.whetd", "--json", "--private"}
	var r privateResult
	if err := json.Unmarshal([]byte(must(t, append(tune, "epsilon=4,delta=0.001")...)), &r); err != nil {
		t.Fatal(err)
	}
	if p := r.Privacy; !r.Passed || p.Epsilon > 4 || p.Epsilon < 3.5 || p.Delta != 0.001 || p.Noise <= 0 || r.Val != 24 || r.Train != 96 || *r.Tuned < *r.Base {
		t.Errorf("%+v", r)
	}
	if len(r.Leaves) != 2 || r.Leaves[0].What != "weights" {
		t.Errorf("leaves: %+v", r.Leaves)
	}
	must(t, "eval", "fresh.whet", "--delta", "p.whetd", "--data", "rows.csv")
	for _, spec := range []string{"", "delta=1e-5", "epsilon=-1", "epsilon=1,delta=2", "epsilon=1,noise=2", "epsilon"} {
		if code, _, _ := whet(t, append(tune, spec)...); code != exitUsage {
			t.Errorf("--private %q: exit %d", spec, code)
		}
	}
	for _, more := range []string{"--tail=all", "--resume", "--mixup=0.2"} {
		if code, _, _ := whet(t, append(tune, "epsilon=4", more)...); code != exitUsage {
			t.Errorf("--private with %s: exit %d", more, code)
		}
	}
}

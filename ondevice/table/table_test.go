package table_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/build"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/ondevice/table"
	"github.com/whet-edge/whet/runtime/pre"
)

const plants = `height, colour, leaves, kind
12.5, red, 3, rose
7, white, NA, lily
9, red, 5, rose
8, yellow, 4, lily
?, white, 6, lily
`

func read(t testing.TB, text string) *table.Table {
	t.Helper()
	tab, err := table.Read(strings.NewReader(text), table.Options{Missing: []string{"NA", "?"}})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestDescribe(t *testing.T) {
	tab := read(t, plants)
	for _, want := range []table.Column{
		// statistics.mean and statistics.stdev of Python give the same.
		{Name: "height", Number: true, Count: 4, Missing: 1, Mean: 9.125, Std: 2.3935677693908453, Min: 7, Median: 8.5, Max: 12.5},
		{Name: "leaves", Number: true, Count: 4, Missing: 1, Mean: 4.5, Std: 1.2909944487358056, Min: 3, Median: 4.5, Max: 6},
		{Name: "colour", Count: 5, Values: []string{"red", "white", "yellow"}},
	} {
		got, err := tab.Describe(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got, cmpopts.EquateApprox(1e-15, 0)); diff != "" {
			t.Error(diff)
		}
	}
	whole, err := tab.DropMissing()
	if err != nil || len(whole.Cells) != 3 {
		t.Errorf("%d rows are whole, %v", len(whole.Cells), err)
	}
	some, err := tab.DropMissing("leaves")
	if err != nil || len(some.Cells) != 4 {
		t.Errorf("%d rows have leaves, %v", len(some.Cells), err)
	}
	marked, err := tab.MarkMissing(3, "leaves", "height")
	if err != nil || marked.Cells[0][2] != "" || marked.Cells[0][0] != "12.5" || tab.Cells[0][2] != "3" {
		t.Errorf("marked: %q, %v", marked.Cells[0], err)
	}
}

func TestEncode(t *testing.T) {
	tab := read(t, plants)
	e, err := table.Fit(tab.Rows([]int{0, 1, 2}), table.Encoding{Target: "kind", Fill: table.Median, Standardize: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"height", "colour=red", "colour=white", "leaves"}, e.Inputs); diff != "" {
		t.Error(diff)
	}
	d, err := e.Data(tab)
	if err != nil {
		t.Fatal(err)
	}
	// Mean and deviation of height are those of 12.5, 7 and 9, of leaves those of 3
	// and 5; yellow was not among the training rows.
	mean, std := 9.5, math.Sqrt((9+6.25+0.25)/2)
	h := func(v float64) float32 { return float32((v - mean) * (1 / std)) }
	l := func(v float64) float32 { return float32((v - 4) * (1 / math.Sqrt2)) }
	want := &fit.Data{Class: []int{1, 0, 1, 0, 0}, X: [][]float32{
		{h(12.5), 1, 0, l(3)}, {h(7), 0, 1, 0}, {h(9), 1, 0, l(5)}, {h(8), 0, 0, l(4)}, {h(9), 0, 1, l(6)}}}
	if diff := cmp.Diff(want, d, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Error(diff)
	}
}

// What the model's header says must make of a raw file what training saw.
func TestEncodingTravelsInTheModel(t *testing.T) {
	tab := read(t, plants)
	e, err := table.Fit(tab, table.Encoding{Target: "kind", Fill: table.Mean, Standardize: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := build.New([]int{e.Width()}, 1, build.Dense{Units: 2, Activation: "softmax"})
	if err != nil {
		t.Fatal(err)
	}
	e.Attach(m)
	var file bytes.Buffer
	if err := format.Write(&file, m); err != nil {
		t.Fatal(err)
	}
	if m, err = format.Read(bytes.NewReader(file.Bytes()), int64(file.Len())); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plants.csv")
	// Other columns between them, and another order.
	text := "kind,leaves,colour,weight,height\nrose,3,red,1,12.5\nlily,,white,2,7\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pipes, err := pre.ForModel(m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pre.OpenData(path, pipes[0], m.Header.Labels)
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Data(tab)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw.Len() {
		b := make([]byte, pipes[0].Size())
		if err := raw.Input(i, b); err != nil {
			t.Fatal(err)
		}
		x, err := (&pre.Array{Type: format.Float32, Shape: format.Shape{len(b) / 4}, Data: b}).Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.X[i], x); diff != "" || raw.Class[i] != want.Class[i] {
			t.Errorf("row %d: class %d, %s", i, raw.Class[i], diff)
		}
	}
	one, err := pipes[0].ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pipes[0].Put(make([]byte, pipes[0].Size()), one); err != nil {
		t.Error(err)
	}
}

func TestWithoutHeader(t *testing.T) {
	tab := read(t, "1,2,a\n3,4,b\n")
	if diff := cmp.Diff([]string{"1", "2", "3"}, tab.Names); diff != "" {
		t.Error(diff)
	}
	e, err := table.Fit(tab, table.Encoding{Target: "2", Regression: true, Columns: []string{"1", "3"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Data(tab)
	if err != nil {
		t.Fatal(err)
	}
	want := &fit.Data{X: [][]float32{{1, 1, 0}, {3, 0, 1}}, Target: [][]float32{{2}, {4}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	tab := read(t, plants)
	for want, e := range map[string]table.Encoding{
		`no column is called "sort"`: {Target: "sort"},
		"not a number":               {Target: "kind", Regression: true},
		`fill "most"`:                {Target: "kind", Fill: "most"},
		`called "weight"`:            {Target: "kind", Columns: []string{"weight"}},
	} {
		if _, err := table.Fit(tab, e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	e, err := table.Fit(tab, table.Encoding{Target: "kind"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Data(tab); err == nil || !strings.Contains(err.Error(), "row 2") || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing value without fill: %v", err)
	}
	for _, text := range []string{"", "a,a\n1,2\n", "a,b\n1\n", `"a`} {
		if _, err := table.Read(strings.NewReader(text), table.Options{}); err == nil {
			t.Errorf("%q is not refused", text)
		}
	}
}

func TestWindows(t *testing.T) {
	d, err := table.Windows([]float32{0, 1, 2, 3, 4, 5, 6}, 3, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := &fit.Data{X: [][]float32{{0, 1, 2}, {2, 3, 4}}, Target: [][]float32{{4}, {6}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if _, err := table.Windows(make([]float32, 4), 3, 1, 2); err == nil {
		t.Error("a series that is too short is not refused")
	}
}

// From a table with gaps to a model that takes raw rows.
func ExampleFit() {
	t, err := table.Read(strings.NewReader(plants), table.Options{Missing: []string{"NA", "?"}})
	if err != nil {
		log.Fatal(err)
	}
	if t, err = t.DropMissing("leaves"); err != nil {
		log.Fatal(err)
	}
	e, err := table.Fit(t, table.Encoding{Target: "kind", Fill: table.Mean, Standardize: true})
	if err != nil {
		log.Fatal(err)
	}
	data, err := e.Data(t)
	if err != nil {
		log.Fatal(err)
	}
	m, err := build.New([]int{e.Width()}, 1, build.Dense{Units: 8, Activation: "relu"}, build.Dense{Units: len(e.Classes), Activation: "softmax"})
	if err != nil {
		log.Fatal(err)
	}
	r, err := fit.Train(context.Background(), m, data, fit.Options{Epochs: 100, Rate: 0.02})
	if err != nil {
		log.Fatal(err)
	}
	e.Attach(r.Model)
	fmt.Println(e.Inputs, e.Classes, r.Curve[99].Accuracy)
	// Output:
	// [height colour=red colour=white colour=yellow leaves] [lily rose] 1
}

package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/whet-edge/whet/quant"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"db":      func(v float64) string { return fmt.Sprintf("%.1f", v) },
	"percent": func(v float64) string { return fmt.Sprintf("%.3g %%", 100*v) },
	"real":    func(v float32) string { return fmt.Sprintf("%.4g", v) },
	"steps":   func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"deref":   func(v *float64) float64 { return *v },
	"short":   short,
	"inc":     func(i int) int { return i + 1 },
}).Parse(page))

// writePage writes the report as one page that needs no other file: a picture
// of where the error comes from first, the numbers below. title names the
// model, scheme what became of it.
func writePage(w io.Writer, r pageReport, title, scheme string) error {
	p := struct {
		pageReport
		Title  string
		Scheme string
		Chart  chart
		Rows   []row
		Guilty []quant.Layer
	}{pageReport: r, Title: title, Scheme: scheme}
	if r.Report == nil {
		return pageTemplate.Execute(w, p)
	}
	p.Chart, p.Guilty = newChart(r.Report), r.Guilty(5)
	for i, l := range r.Layers {
		p.Rows = append(p.Rows, row{Layer: l, Index: i + 1, Bars: bars(l.Counts), Left: at(&l, l.Chosen[0]), Right: at(&l, l.Chosen[1])})
	}
	return pageTemplate.Execute(w, p)
}

// Sizes of the pictures in pixels.
const (
	chartHeight = 240
	barStep     = 18
	sparkWidth  = 128
	sparkHeight = 24
)

// A chart is the picture: a bar a layer for the signal-to-noise ratio of its
// output, a mark for that of rounding this tensor alone.
type chart struct {
	Width, Height int
	Bars          []chartBar
	Lines         []chartLine
}

type chartBar struct {
	X, Y, H, Mark, Label float64
	Index                int
	Title                string
	Float, Guilty        bool
}

type chartLine struct {
	Y    float64
	Text string
}

func newChart(r *quant.Report) chart {
	top := 10.0
	for _, l := range r.Layers {
		top = max(top, min(l.SQNR, 80), min(l.Rounding, 80))
	}
	top = 10 * math.Ceil(top/10)
	y := func(db float64) float64 { return math.Round(chartHeight * (1 - min(max(db, 0), top)/top)) }
	c := chart{Width: 40 + barStep*max(len(r.Layers), 1), Height: chartHeight + 32}
	for db := 0.0; db <= top; db += 10 {
		c.Lines = append(c.Lines, chartLine{y(db), fmt.Sprintf("%.0f", db)})
	}
	guilty := map[string]bool{}
	for _, l := range r.Guilty(3) {
		guilty[l.Tensor] = true
	}
	for i, l := range r.Layers {
		c.Bars = append(c.Bars, chartBar{X: float64(40 + barStep*i), Y: y(l.SQNR), H: chartHeight - y(l.SQNR), Mark: y(l.Rounding), Label: chartHeight + 14, Index: i + 1,
			Title: fmt.Sprintf("%d %s (%s): %.1f dB", i+1, l.Node, l.Op, l.SQNR), Float: l.Type == "float32", Guilty: guilty[l.Tensor]})
	}
	return c
}

// A row is a layer in the table, with its histogram.
type row struct {
	quant.Layer
	Index       int
	Bars        string  // path of the histogram
	Left, Right float64 // where the codes begin and end in it
}

// at is where a value lies in the histogram's picture.
func at(l *quant.Layer, x float32) float64 {
	lo, hi := float64(min(l.Observed[0], 0)), float64(max(l.Observed[1], 0))
	if hi == lo {
		return 0
	}
	return math.Round(min(max((float64(x)-lo)/(hi-lo), 0), 1) * sparkWidth)
}

// bars draws the histogram; heights are logarithmic, or a peak at zero would
// hide the rest.
func bars(counts []uint64) string {
	most := 1.0
	for _, n := range counts {
		most = max(most, math.Log1p(float64(n)))
	}
	var b strings.Builder
	for i, n := range counts {
		if n > 0 {
			fmt.Fprintf(&b, "M%d %dv-%.1fh2V%dz", i*sparkWidth/len(counts), sparkHeight, sparkHeight*math.Log1p(float64(n))/most, sparkHeight)
		}
	}
	return b.String()
}

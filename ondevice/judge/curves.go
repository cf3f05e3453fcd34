package judge

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// A Curve is one line of a picture: a value an epoch, from the first.
type Curve struct {
	Name   string
	Values []float64 // NaN leaves a gap
}

// A Panel is a picture of curves that share an axis.
type Panel struct {
	Title  string
	Curves []Curve
}

// colours are those of Okabe and Ito (2008), which all eyes can tell apart.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

const (
	panelWidth, panelHeight = 420, 280
	left, right, top, foot  = 56, 12, 34, 58
)

// WriteCurves writes panels side by side as one SVG picture that needs nothing
// else: it can be opened in a browser or laid into a page.
func WriteCurves(w io.Writer, panels ...Panel) error {
	var b strings.Builder
	width := panelWidth * max(1, len(panels))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, panelHeight, width, panelHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, panelHeight)
	for i, p := range panels {
		p.write(&b, float64(i*panelWidth))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Panel) write(b *strings.Builder, x0 float64) {
	lo, hi, n := math.Inf(1), math.Inf(-1), 1
	for _, c := range p.Curves {
		n = max(n, len(c.Values))
		for _, v := range c.Values {
			if v-v == 0 {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	switch {
	case lo > hi: // nothing to draw
		lo, hi = 0, 1
	case lo == hi:
		lo, hi = lo-0.5, hi+0.5
	}
	x := func(epoch int) float64 {
		return x0 + left + float64(epoch)*(panelWidth-left-right)/float64(max(n-1, 1))
	}
	y := func(v float64) float64 { return top + (hi-v)/(hi-lo)*(panelHeight-top-foot) }
	fmt.Fprintf(b, `<text x="%.0f" y="20" font-weight="bold">%s</text>`+"\n", x0+left, html.EscapeString(p.Title))
	for k := range 5 {
		v := lo + (hi-lo)*float64(k)/4
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%.3g</text>`+"\n",
			x(0), x0+panelWidth-right, y(v), y(v), x0+left-6, y(v)+4, v)
	}
	step := max(1, (n+9)/10)
	for e := 0; e < n; e += step {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(e), panelHeight-foot+18, e+1)
	}
	at := x0 + left
	for i, c := range p.Curves {
		colour := colours[i%len(colours)]
		draw := func(points []string) {
			if len(points) > 0 {
				fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour)
			}
		}
		var points []string
		for e, v := range c.Values {
			if v-v != 0 {
				draw(points)
				points = nil
				continue
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(e), y(v)))
		}
		draw(points)
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="14" height="4" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			at, panelHeight-20, colour, at+18, panelHeight-14, html.EscapeString(c.Name))
		at += 30 + 7*float64(len([]rune(c.Name)))
	}
}

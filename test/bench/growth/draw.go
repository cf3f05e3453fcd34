package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// draw returns the points and their line as an SVG picture.
func (s *sweep) draw() []byte {
	const w, h, left, bottom, top, right = 640., 400., 70., 50., 40., 20.
	xs, ys := ticks(slices.Max(s.X)), ticks(max(slices.Max(s.Ms), s.Slope*slices.Max(s.X)+s.At0))
	x := func(v float64) float64 { return left + v/xs[len(xs)-1]*(w-left-right) }
	y := func(v float64) float64 { return h - bottom - v/ys[len(ys)-1]*(h-bottom-top) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="13">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/>`+"\n", w, h)
	fmt.Fprintf(&b, `<text x="%g" y="24" font-size="15">%s: R² = %.4f</text>`+"\n", left, s.Name, s.R2)
	for _, v := range xs {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
			x(v), y(0), top, x(v), y(0)+18, number(v))
	}
	for _, v := range ys {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y(v), w-right, left-6, y(v)+4, number(v))
	}
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", (left+w-right)/2, h-12, s.What)
	fmt.Fprintf(&b, `<text transform="translate(18 %.1f) rotate(-90)" text-anchor="middle">ms</text>`+"\n", (top+h-bottom)/2)
	from, to := max(0, -s.At0/s.Slope), min(xs[len(xs)-1], (ys[len(ys)-1]-s.At0)/s.Slope)
	fmt.Fprintf(&b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="#2a6" stroke-width="1.5"/>`+"\n",
		x(from), y(s.At0+s.Slope*from), x(to), y(s.At0+s.Slope*to))
	for i, v := range s.X {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="#135"/>`+"\n", x(v), y(s.Ms[i]))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// ticks returns round numbers from 0 to the first that is not below v.
func ticks(v float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(v/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if step*m*6 >= v {
			step *= m
			break
		}
	}
	t := []float64{0}
	for t[len(t)-1] < v {
		t = append(t, step*float64(len(t)))
	}
	return t
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

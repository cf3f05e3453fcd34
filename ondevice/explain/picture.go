package explain

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
)

// places are the attributions of the grid's places, channels added up, from -1 to 1
// by the greatest magnitude, and the input's mean over the channels, from 0 to 1.
func (a *Attribution) places() (value, input []float64, h, w int) {
	stride, size, channels := a.layout()
	h, w = size[0], size[1]
	most, lo, hi := 0.0, math.Inf(1), math.Inf(-1)
	for y := range h {
		for x := range w {
			var v, in float64
			for k := range channels[1] {
				i := y*stride[0] + x*stride[1] + k*channels[0]
				v += float64(a.Values[i])
				in += float64(a.Input[i]) / float64(channels[1])
			}
			value, input = append(value, v), append(input, in)
			most, lo, hi = max(most, math.Abs(v)), min(lo, in), max(hi, in)
		}
	}
	for i := range value {
		if most > 0 {
			value[i] /= most
		}
		input[i] -= lo
		if hi > lo {
			input[i] /= hi - lo
		}
	}
	return value, input, h, w
}

// blend lays red (for the class) or blue (against it) over a grey.
func blend(grey, value float64) color.RGBA {
	to := [3]float64{0.84, 0.10, 0.11} // red and blue that all eyes can tell apart
	if value < 0 {
		to = [3]float64{0.17, 0.48, 0.71}
	}
	// The input is paled, so that the colours stand out.
	base, strength := 0.55+0.45*grey, math.Sqrt(math.Abs(value))
	var c [3]uint8
	for i := range c {
		c[i] = uint8(255 * (base*(1-strength) + to[i]*strength))
	}
	return color.RGBA{c[0], c[1], c[2], 255}
}

// WritePNG writes a picture's attribution: the input in grey, red what speaks for
// the class and blue what speaks against it.
func (a *Attribution) WritePNG(w io.Writer) error {
	if a.Kind() != Picture {
		return errors.New("explain: only pictures can be written as PNG; write SVG")
	}
	value, input, h, wide := a.places()
	zoom := max(1, 336/max(h, wide))
	img := image.NewRGBA(image.Rect(0, 0, wide*zoom, h*zoom))
	for y := range h * zoom {
		for x := range wide * zoom {
			i := y/zoom*wide + x/zoom
			img.SetRGBA(x, y, blend(input[i], value[i]))
		}
	}
	return png.Encode(w, img)
}

// WriteSVG writes the attribution of any input: pictures as [Attribution.WritePNG]
// has them, series as a line whose background has the colours, rows as bars, the
// longest first. Title comes above it.
func (a *Attribution) WriteSVG(w io.Writer, title string) error {
	var b strings.Builder
	var err error
	switch a.Kind() {
	case Picture:
		err = a.pictureSVG(&b, title)
	case Series:
		a.seriesSVG(&b, title)
	default:
		a.rowSVG(&b, title)
	}
	if err == nil {
		_, err = io.WriteString(w, b.String())
	}
	return err
}

func begin(b *strings.Builder, title string, width, height int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#fff"/><text x="10" y="20" font-weight="bold">%s</text>`+"\n", width, height, html.EscapeString(title))
}

func (a *Attribution) pictureSVG(b *strings.Builder, title string) error {
	var p bytes.Buffer
	if err := a.WritePNG(&p); err != nil {
		return err
	}
	_, _, h, w := a.places()
	zoom := max(1, 336/max(h, w))
	begin(b, title, max(w*zoom+20, 280), h*zoom+40)
	fmt.Fprintf(b, `<image x="10" y="30" width="%d" height="%d" href="data:image/png;base64,%s"/>`+"\n</svg>\n",
		w*zoom, h*zoom, base64.StdEncoding.EncodeToString(p.Bytes()))
	return nil
}

func hex(value float64) string {
	c := blend(1, value)
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

func (a *Attribution) seriesSVG(b *strings.Builder, title string) {
	value, _, steps, _ := a.places()
	stride, _, channels := a.layout()
	const width, height, x0, y0 = 720, 220, 10, 30
	begin(b, title, width+2*x0, height+y0+10)
	x := func(t float64) float64 { return x0 + t*width/float64(steps) }
	for t, v := range value {
		fmt.Fprintf(b, `<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s"/>`+"\n", x(float64(t)), y0, width/float64(steps)+0.5, height, hex(v))
	}
	lo, hi := slices.Min(a.Input), slices.Max(a.Input)
	for k := range channels[1] {
		var points []string
		for t := range steps {
			v := 0.5
			if hi > lo {
				v = float64((hi - a.Input[t*stride[0]+k*channels[0]]) / (hi - lo))
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(float64(t)+0.5), y0+5+v*(height-10)))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#222" stroke-width="1.2"/>`+"\n", strings.Join(points, " "))
	}
	b.WriteString("</svg>\n")
}

func (a *Attribution) rowSVG(b *strings.Builder, title string) {
	order := make([]int, len(a.Values))
	for i := range order {
		order[i] = i
	}
	size := func(i int) float64 { return math.Abs(float64(a.Values[i])) }
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(size(j), size(i)) })
	order = order[:min(len(order), 40)]
	most := max(size(order[0]), math.SmallestNonzeroFloat32)
	const width, line, middle = 720, 20, 460
	begin(b, title, width, 40+line*len(order))
	for k, i := range order {
		name := fmt.Sprint(i + 1)
		if a.Names != nil {
			name = a.Names[i]
		}
		long := 240 * size(i) / most
		at := float64(middle)
		if a.Values[i] < 0 {
			at -= long
		}
		y := 32 + line*k
		fmt.Fprintf(b, `<text x="200" y="%d" text-anchor="end">%s</text><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%d" y="%d" text-anchor="end">%.3g</text>`+"\n",
			y+13, html.EscapeString(name), at, y, long, line-4, hex(math.Copysign(1, float64(a.Values[i]))), width-6, y+13, a.Values[i])
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="30" y2="%d" stroke="#222"/>`+"\n</svg>\n", middle, middle, 32+line*len(order))
}

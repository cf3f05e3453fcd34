package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/whet-edge/whet/format/vfs"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/post"
)

// palette are colours that stay apart for people who see few (Okabe and Ito).
var palette = []color.RGBA{{230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255}, {240, 228, 66, 255}, {0, 114, 178, 255}, {213, 94, 0, 255}, {204, 121, 167, 255}}

// firstPicture returns the first sample that is a picture, or nil.
func firstPicture(samples []*sample) *pre.Array {
	for _, s := range samples {
		if s != nil && s.Picture() {
			return s.Array
		}
	}
	return nil
}

// drawFile writes the picture with what was found in it, and returns the file's
// name.
func drawFile(file string, a *pre.Array, r *post.Result) (string, error) {
	if a == nil || r == nil || r.Boxes == nil && r.Points == nil && r.Mask == nil && !r.Found {
		return "", usagef("--draw needs a picture and a model whose description tells boxes, keypoints or a mask")
	}
	m := sketch(a, r)
	err := vfs.WriteFile(vfs.OS, file, func(w io.Writer) error { return png.Encode(w, m) })
	if err != nil {
		return "", fileError(file, err)
	}
	return file, nil
}

func sketch(a *pre.Array, r *post.Result) *image.RGBA {
	h, w, c := a.Shape[0], a.Shape[1], a.Shape[2]
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		p := a.Data[i*c:]
		m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2], m.Pix[4*i+3] = p[0], p[c/2], p[c-1], 255
	}
	if k := r.Mask; k != nil && k.Height == h && k.Width == w {
		for i, class := range k.Classes {
			if class > 0 {
				q := palette[int(class)%len(palette)]
				for j, v := range []byte{q.R, q.G, q.B} {
					m.Pix[4*i+j] = m.Pix[4*i+j]/2 + v/2
				}
			}
		}
	}
	thick := max(1, min(h, w)/200)
	for _, b := range r.Boxes {
		q := palette[b.Class%len(palette)]
		x0, y0, x1, y1 := int(b.X0), int(b.Y0), int(b.X1), int(b.Y1)
		for _, edge := range []image.Rectangle{
			image.Rect(x0, y0, x1, y0+thick), image.Rect(x0, y1-thick, x1, y1), image.Rect(x0, y0, x0+thick, y1), image.Rect(x1-thick, y0, x1, y1),
		} {
			draw.Draw(m, edge, image.NewUniform(q), image.Point{}, draw.Src)
		}
		caption(m, x0, y0, fmt.Sprintf("%s %.2f", b.Label, b.Score), q)
		dots(m, b.Points, q, thick)
	}
	dots(m, r.Points, palette[0], thick)
	return m
}

func dots(m *image.RGBA, points []post.Point, q color.RGBA, thick int) {
	for _, p := range points {
		x, y := int(p.X), int(p.Y)
		draw.Draw(m, image.Rect(x-thick, y-thick, x+thick+1, y+thick+1), image.NewUniform(q), image.Point{}, draw.Src)
	}
}

// caption writes a text above a place, on its own ground.
func caption(m *image.RGBA, x, y int, text string, q color.RGBA) {
	face := basicfont.Face7x13
	y = max(y, face.Height)
	draw.Draw(m, image.Rect(x, y-face.Height, x+face.Advance*len([]rune(text))+2, y), image.NewUniform(q), image.Point{}, draw.Src)
	d := font.Drawer{Dst: m, Src: image.Black, Face: face, Dot: fixed.P(x+1, y-face.Descent)}
	d.DrawString(text)
}

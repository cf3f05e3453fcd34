package main

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// graphColours are the fill of a box and the line at its left, by its family.
var graphColours = map[string][2]string{
	"conv": {"#e8f1fb", "#2f74c0"}, "dense": {"#f1ebfa", "#7446b8"}, "state": {"#fdeee0", "#c96a12"}, "pool": {"#e3f5f3", "#1f8f80"},
	"join": {"#eaf6e7", "#46923a"}, "flow": {"#fbe8ec", "#b83254"}, "edge": {"#ffffff", "#444444"}, "other": {"#f4f4f2", "#888880"},
}

// writeSVG draws the picture. Boxes that cost much carry a bar of their share.
func (g *graphPicture) writeSVG(w io.Writer, title string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Helvetica,Arial,sans-serif" font-size="12">`+"\n", g.width, g.height, g.width, g.height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(title))
	b.WriteString(`<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#777"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", g.width, g.height)
	for _, box := range g.boxes {
		if box.bend {
			continue
		}
		for _, d := range box.down {
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#777" stroke-width="1.2" marker-end="url(#tip)"/>`+"\n", edgePath(box, d))
		}
	}
	for _, box := range g.boxes {
		if !box.bend {
			writeBox(&b, box)
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// edgePath runs from a box's lower edge through the bends to the next box's upper
// edge.
func edgePath(from, to *graphBox) string {
	x, y := from.x, from.y+from.h()
	var s strings.Builder
	fmt.Fprintf(&s, "M%.1f,%.1f", x, y)
	curve := func(nx, ny float64) {
		fmt.Fprintf(&s, " C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x, (y+ny)/2, nx, (y+ny)/2, nx, ny)
		x, y = nx, ny
	}
	for to.bend {
		curve(to.x, to.y)
		y += to.height
		fmt.Fprintf(&s, " V%.1f", y)
		to = to.down[0]
	}
	curve(to.x, to.y-1)
	return s.String()
}

func writeBox(b *strings.Builder, box *graphBox) {
	x, y := box.x-boxWidth/2, box.y
	c := graphColours[box.kind]
	fmt.Fprintf(b, `<g><rect x="%.1f" y="%.1f" width="%.0f" height="%.0f" rx="4" fill="%s" stroke="%s" stroke-opacity=".35"/>`, x, y, boxWidth, box.h(), c[0], c[1])
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="4" height="%.0f" rx="2" fill="%s"/>`, x, y, box.h(), c[1])
	if box.share >= 0.005 {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="3" fill="%s" fill-opacity=".75"><title>%.1f %% of the whole</title></rect>`, x+4, y+box.h()-3, (boxWidth-4)*min(box.share, 1), c[1], 100*box.share)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-weight="bold" fill="%s">%s</text>`, x+12, y+lineSize+1, c[1], html.EscapeString(clip(box.title, 36)))
	for i, l := range box.lines {
		fill, text := "#222", clip(l, 42)
		if i == 0 { // the end of a path of names tells more than its beginning
			fill = "#777"
			if r := []rune(l); len(r) > 36 {
				text = "…" + string(r[len(r)-35:])
			}
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`, x+12, y+lineSize*float64(i+2)+1, fill, html.EscapeString(text))
	}
	b.WriteString("</g>\n")
}

// clip shortens a text to fit a box.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// writeHTML puts the picture on a page with the model's figures above it.
func (g *graphPicture) writeHTML(w io.Writer, r *inspection) error {
	var head strings.Builder
	if err := r.text(&head); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>%s</title>\n"+
		"<style>body{font:13px Helvetica,Arial,sans-serif;margin:16px;color:#222}pre{white-space:pre-wrap;background:#f6f6f4;padding:12px;border-radius:4px}svg{display:block;margin:auto;max-width:100%%;height:auto}</style>\n<pre>%s</pre>\n",
		html.EscapeString(r.File), html.EscapeString(head.String())); err != nil {
		return err
	}
	if err := g.writeSVG(w, r.File); err != nil {
		return err
	}
	_, err := io.WriteString(w, "</html>\n")
	return err
}

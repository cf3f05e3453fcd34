package main

import (
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The demo's network: an input, seven layers with what is joined to them, an
// output, in a file that is XML.
func TestGraph(t *testing.T) {
	files(t)
	must(t, "inspect", "m.whet", "--graph", "g.svg", "--profile")
	b, err := os.ReadFile("g.svg")
	if err != nil {
		t.Fatal(err)
	}
	boxes := 0
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "g" {
			boxes++
		}
	}
	for _, want := range []string{"Conv + Relu", "MaxPool", "Gemm", "multiply-adds", "int8 [1,28,28,1]", " %"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if boxes < 6 {
		t.Errorf("%d boxes", boxes)
	}
	must(t, "inspect", "m.whet", "--graph", "g.html")
	if b, err = os.ReadFile("g.html"); err != nil || !strings.Contains(string(b), "quantization") || !strings.Contains(string(b), "<svg") {
		t.Errorf("the page lacks the figures or the picture (%v)", err)
	}
	for _, args := range [][]string{{"--graph", "g.png"}, {"--profile"}} {
		if code, _, stderr := whet(t, append([]string{"inspect", "m.whet"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
}

// Whatever the graph, boxes of a layer do not overlap and edges go down.
func TestLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &graphPicture{}
		for i := range rapid.IntRange(1, 25).Draw(t, "boxes") {
			b := &graphBox{title: "x", lines: make([]string, rapid.IntRange(0, 5).Draw(t, "lines"))}
			for _, u := range g.boxes[:i] {
				if rapid.IntRange(0, 5).Draw(t, "edge") == 0 {
					b.up, u.down = append(b.up, u), append(u.down, b)
				}
			}
			g.boxes = append(g.boxes, b)
		}
		g.layout()
		for _, layer := range g.layers {
			for i, b := range layer {
				if i > 0 && b.x-b.w()/2 < layer[i-1].x+layer[i-1].w()/2 {
					t.Errorf("boxes %d and %d of a layer overlap", i-1, i)
				}
				if b.x-b.w()/2 < 0 || b.x+b.w()/2 > g.width || b.y+b.h() > g.height {
					t.Error("a box lies outside the picture")
				}
				for _, d := range b.down {
					if d.layer != b.layer+1 || d.y < b.y+b.h() {
						t.Error("an edge does not go down by one layer")
					}
				}
			}
		}
	})
}

package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"testing"

	"github.com/whet-edge/whet/runtime"
)

func TestFit(t *testing.T) {
	s := &sweep{Name: "line", What: "x", X: []float64{1, 2, 4, 9}, Ms: []float64{5, 7, 11, 21}}
	s.fit()
	if math.Abs(s.Slope-2) > 1e-12 || math.Abs(s.At0-3) > 1e-12 || math.Abs(s.R2-1) > 1e-12 {
		t.Errorf("the line through 2x+3 is %gx%+g, R2 %g", s.Slope, s.At0, s.R2)
	}
	for d := xml.NewDecoder(bytes.NewReader(s.draw())); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	s.Ms = []float64{5, 6, 3, 4}
	if s.fit(); s.R2 > 0.5 {
		t.Errorf("points off any line have R2 %g", s.R2)
	}
}

func TestTicks(t *testing.T) {
	for _, v := range []float64{0.013, 1, 16, 32, 117, 569, 1100} {
		if n := ticks(v); n[len(n)-1] < v || n[len(n)-2] >= v || len(n) > 8 || len(n) < 4 {
			t.Errorf("ticks up to %g: %v", v, n)
		}
	}
}

// TestMobileNet compares the network's multiply-adds with the published ones: 569
// million at width 1 and 149 at 0.5, 224x224 (arXiv:1704.04861, table 6).
func TestMobileNet(t *testing.T) {
	for _, c := range []struct{ width, macs float64 }{{1, 569}, {0.5, 149}} {
		p, err := runtime.Compile(mobileNet(1, 224, c.width).model())
		if err != nil {
			t.Fatal(err)
		}
		macs := 0.
		for _, s := range p.Steps() {
			macs += float64(s.MACs) / 1e6
		}
		if math.Abs(macs-c.macs) > 0.01*c.macs {
			t.Errorf("width %g: %.1f million multiply-adds, want %g", c.width, macs, c.macs)
		}
	}
}

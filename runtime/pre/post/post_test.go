package post

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// apply runs one step on the first of the outputs.
func apply(t *testing.T, line string, at pre.Placement, labels []string, outs ...Tensor) *Result {
	t.Helper()
	s, err := ParseStep(line)
	if err != nil {
		t.Fatal(err)
	}
	s.Tensor = outs[0].Name
	p, err := New(&format.Model{Header: format.Header{Post: []format.Transform{s}, Labels: labels}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Apply(outs, at, func(string) []float32 { return []float32{1, 0, 1} })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wide is a picture of 200x100 pixels in an input of 100x100, stretched.
var wide = pre.Placement{Height: 100, Width: 200, InputHeight: 100, InputWidth: 100, ScaleX: 2, ScaleY: 1}

func out(shape []int, v ...float32) Tensor { return Tensor{"out", shape, v} }

func TestBoxes(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		outs []Tensor
		want []Box
	}{
		"YOLO v8: columns, classes behind the box": {"boxes order=columns",
			[]Tensor{out([]int{1, 6, 2}, 50, 10, 50, 10, 20, 4, 10, 4, 0.1, 0.2, 0.9, 0.3)},
			[]Box{{X0: 80, Y0: 45, X1: 120, Y1: 55, Class: 1, Label: "b", Score: 0.9}}},
		"YOLO v5: a score that multiplies": {"boxes object=4 first=5 threshold=0.3",
			[]Tensor{out([]int{1, 1, 6}, 50, 50, 20, 10, 0.5, 0.8)},
			[]Box{{X0: 80, Y0: 45, X1: 120, Y1: 55, Label: "a", Score: 0.4}}},
		"UltraFace: corners as shares, background first": {"boxes form=corners unit=share scores=s skip=1",
			[]Tensor{out([]int{1, 1, 4}, 0.1, 0.2, 0.3, 0.4), {"s", []int{1, 1, 2}, []float32{0.3, 0.7}}},
			[]Box{{X0: 20, Y0: 20, X1: 60, Y1: 40, Label: "a", Score: 0.7}}},
		"BlazeFace: anchors, a keypoint": {"boxes strides=50 copies=1 scale=100/100/100/100 scores=s activation=sigmoid points=1 point=4",
			[]Tensor{out([]int{1, 4, 6}, append(make([]float32, 18), 5, 0, 10, 20, -5, 5)...), {"s", []int{1, 4, 1}, []float32{-9, -9, -9, 0}}},
			[]Box{{X0: 150, Y0: 65, X1: 170, Y1: 85, Label: "a", Score: 0.5, Points: []Point{{X: 140, Y: 80, Score: 1}}}}},
		"SSD: exponents": {"boxes anchors=0.5/0.5/0.2/0.1 scale=10/10/5/5 exp=true scores=s skip=1 activation=softmax",
			[]Tensor{out([]int{1, 1, 4}, 0, 0, 0, 0), {"s", []int{1, 1, 3}, []float32{0, 0, 3}}},
			[]Box{{X0: 80, Y0: 45, X1: 120, Y1: 55, Class: 1, Label: "b", Score: 0.90944}}},
		"YOLOX: a grid": {"boxes grid=50 first=4",
			[]Tensor{out([]int{1, 4, 5}, append(make([]float32, 15), 0.5, 0.5, float32(math.Log(0.5)), float32(math.Log(0.5)), 0.6)...)},
			[]Box{{X0: 125, Y0: 62.5, X1: 175, Y1: 87.5, Label: "a", Score: 0.6}}},
		"TensorFlow: y before x": {"boxes form=yx unit=share first=0 scores=s",
			[]Tensor{out([]int{1, 1, 4}, 0.2, 0.1, 0.4, 0.3), {"s", []int{1, 1, 1}, []float32{0.7}}},
			[]Box{{X0: 20, Y0: 20, X1: 60, Y1: 40, Label: "a", Score: 0.7}}},
		"of two that overlap the better one stays": {"boxes form=corners",
			[]Tensor{out([]int{1, 3, 6}, 0, 0, 10, 10, 0.6, 0, 0, 0, 10, 9, 0.7, 0, 0, 0, 10, 10, 0, 0.55)},
			[]Box{{X1: 20, Y1: 9, Label: "a", Score: 0.7}, {X1: 20, Y1: 10, Class: 1, Label: "b", Score: 0.55}}},
		"classes suppress each other": {"boxes form=corners together=true",
			[]Tensor{out([]int{1, 2, 6}, 0, 0, 10, 9, 0.7, 0, 0, 0, 10, 10, 0, 0.55)},
			[]Box{{X1: 20, Y1: 9, Label: "a", Score: 0.7}}},
	} {
		got := apply(t, c.line, wide, []string{"a", "b"}, c.outs...)
		if d := cmp.Diff(c.want, got.Boxes, cmpopts.EquateApprox(1e-5, 1e-5)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// What suppression keeps does not overlap, and what it drops does.
func TestSuppress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float32Range(0, 100)
		var all []Box
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			x, y := number.Draw(t, "x"), number.Draw(t, "y")
			all = append(all, Box{X0: x, Y0: y, X1: x + number.Draw(t, "w"), Y1: y + number.Draw(t, "h"), Score: number.Draw(t, "score"), Class: rapid.IntRange(0, 1).Draw(t, "class")})
		}
		kept := suppress(slices.Clone(all), 0.45, 100, false)
		for _, b := range all {
			covered := slices.ContainsFunc(kept, func(k Box) bool {
				return k.Class == b.Class && k.Score >= b.Score && (IoU(k, b) > 0.45 || cmp.Equal(k, b))
			})
			if !covered {
				t.Errorf("%v is gone without reason", b)
			}
		}
		for i, a := range kept {
			for _, b := range kept[:i] {
				if a.Class == b.Class && IoU(a, b) > 0.45 {
					t.Errorf("%v and %v are both kept", a, b)
				}
			}
		}
	})
}

func TestPictures(t *testing.T) {
	at := pre.Placement{Height: 2, Width: 4, InputHeight: 2, InputWidth: 2, ScaleX: 2, ScaleY: 1}
	m := apply(t, "mask order=columns activation=softmax", at, []string{"sky", "sea"}, out([]int{1, 2, 2, 2}, 1, 0, 0, 0, 0, 1, 1, 1)).Mask
	if d := cmp.Diff([]uint8{0, 0, 1, 1, 1, 1, 1, 1}, m.Classes); d != "" || m.Shares[1].Score != 0.75 || m.Shares[1].Label != "sea" {
		t.Errorf("%v %s", m.Shares, d)
	}
	m = apply(t, "mask threshold=0.5", pre.Placement{}, nil, out([]int{1, 1, 3, 1}, 0.4, 0.5, 0.6)).Mask
	if d := cmp.Diff([]uint8{0, 1, 1}, m.Classes); d != "" {
		t.Error(d)
	}
	p := apply(t, "points stride=3 score=2 activation=sigmoid", wide, nil, out([]int{1, 6}, 10, 20, 0, 30, 40, 99)).Points
	if d := cmp.Diff([]Point{{20, 20, 0.5}, {60, 40, 1}}, p, cmpopts.EquateApprox(1e-5, 0)); d != "" {
		t.Error(d)
	}
	p = apply(t, "points form=heatmap", wide, nil, out([]int{1, 1, 4, 1}, 0, 0.5, 1, 0)).Points
	if d := cmp.Diff([]Point{{(2 - 0.25 + 0.5) * 50, 50, 1}}, p); d != "" {
		t.Error(d)
	}
	p = apply(t, "points form=simcc other=y", wide, nil, out([]int{1, 1, 4}, 0, 0, 1, 0), Tensor{"y", []int{1, 1, 2}, []float32{0, 2}}).Points
	if d := cmp.Diff([]Point{{100, 50, 1}}, p); d != "" {
		t.Error(d)
	}
	v := make([]float32, 100*100)
	for y := 40; y < 50; y++ {
		for x := 20; x < 60; x++ {
			v[100*y+x] = 0.9
		}
	}
	v[5] = 1 // a speck
	b := apply(t, "regions", wide, nil, out([]int{1, 1, 100, 100}, v...)).Boxes
	grow := float32(40 * 10 * 1.5 / 100)
	if d := cmp.Diff([]Box{{X0: 2 * (20 - grow), Y0: 40 - grow, X1: 2 * (60 + grow), Y1: 50 + grow, Label: "0", Score: 0.9}}, b, cmpopts.EquateApprox(1e-5, 0)); d != "" {
		t.Error(d)
	}
}

func TestOthers(t *testing.T) {
	r := apply(t, "text", pre.Placement{}, []string{"", "h", "o"}, out([]int{1, 6, 3}, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0))
	if *r.Text != "hoo" {
		t.Errorf("text %q, want hoo", *r.Text)
	}
	r = apply(t, "vector pool=mean mask=m normalize=true", pre.Placement{}, nil, out([]int{1, 3, 2}, 1, 2, 100, 100, 5, 6))
	if d := cmp.Diff([]float32{0.6, 0.8}, r.Vector, cmpopts.EquateApprox(1e-6, 0)); d != "" {
		t.Error(d)
	}
	if c := Cosine(r.Vector, []float32{6, 8}); math.Abs(c-1) > 1e-6 {
		t.Errorf("cosine %v, want 1", c)
	}
	r = apply(t, "classes activation=softmax", pre.Placement{}, []string{"x", "y"}, out([]int{1, 2}, 0, float32(math.Log(3))))
	if d := cmp.Diff([]pre.Score{{Class: 1, Label: "y", Score: 0.75}, {Label: "x", Score: 0.25}}, r.Classes, cmpopts.EquateApprox(1e-6, 0)); d != "" {
		t.Error(d)
	}
}

func TestRefuses(t *testing.T) {
	for _, line := range []string{"nope", "boxes form=round", "boxes scale=1", "boxes strides=8", "boxes most=0", "points stride=1", "mask activation=relu", "vector pool=max", "text blank=x", "classes top=3"} {
		s, err := ParseStep(line)
		if err == nil {
			_, err = New(&format.Model{Header: format.Header{Post: []format.Transform{s}}})
		}
		if err == nil {
			t.Errorf("%q is accepted", line)
		}
	}
	for line, o := range map[string]Tensor{"boxes": out([]int{1, 2, 4}, make([]float32, 8)...), "boxes scores=s": out([]int{1, 2, 4}, make([]float32, 8)...),
		"mask": out([]int{3}, 1, 2, 3), "text": out([]int{4}, 1, 2, 3, 4), "points stride=3": out([]int{4}, 1, 2, 3, 4), "classes": out(nil), "boxes strides=50 copies=1": out([]int{1, 2, 5}, make([]float32, 10)...)} {
		s, err := ParseStep(line)
		if err != nil {
			t.Fatal(err)
		}
		s.Tensor = "out"
		p, err := New(&format.Model{Header: format.Header{Post: []format.Transform{s}}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := p.Apply([]Tensor{o}, wide, nil); err == nil {
			t.Errorf("%s of %v gives %v", line, o.Shape, r)
		}
	}
}

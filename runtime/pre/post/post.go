// Package post turns a model's outputs into what they mean: classes, boxes,
// masks, keypoints, text and vectors, by the steps that travel in the model's
// header (format.Header.Post). A step's Tensor is the output that it reads. An
// attribute that is absent takes its default; one that is unknown is an error.
//
//	classes    scores, one a class
//	  activation "none" (default) | "softmax" | "sigmoid"
//	boxes      a detector's boxes
//	  order    "rows" [n,k] (default) | "columns" [k,n]
//	  form     of a box: "centre" x y w h (default) | "corners" x0 y0 x1 y1 | "yx" y0 x0 y1 x1
//	  unit     "pixels" of the input (default) | "share" of it, 0 to 1
//	  scores   the output of the scores [n,classes]; default: they stand behind the box
//	  object   int, the column of a score that multiplies all others (YOLO v5)
//	  first    int, the first class's column; default 4 (0 of another output)
//	  skip     int, classes at the front that are no object (SSD's background)
//	  activation of the scores
//	  anchors  floats cx cy w h of each, as shares, to which the boxes are relative
//	  strides, copies  ints, instead: anchors at the middle of each cell, copies[i] of them of stride strides[i]
//	  sizes    floats, of each copy of each stride, in pixels of the input; default: all of it
//	  grid     ints, strides of cells that the centres are relative to, sizes being exponents (YOLOX)
//	  scale    floats x y w h by which boxes are divided before
//	  exp      bool: widths and heights are exponents
//	  points   int, keypoints of each box, from column point on, stride floats each (2: x y; 3: with a score)
//	  threshold 0.5, overlap 0.45 (of intersection over union), most 100; together bool: classes suppress each other
//	regions    a map of probabilities [h,w] to the boxes around its connected regions (DB text detection)
//	  threshold 0.3, mean 0.6: of a region's mean; grow 1.5: area over perimeter by which it is widened; least 3 pixels
//	mask       a class for each pixel
//	  order    "rows" [h,w,classes] (default) | "columns" [classes,h,w]; one class: threshold 0.5 after activation
//	points     keypoints
//	  form     "values" (default): stride numbers each, x y first, score at column score | "heatmap" [h,w,points] in order | "simcc": other is the output of y
//	  unit     "pixels" | "share"
//	text       a recognizer's [steps,characters], by the best path of CTC; labels are the characters
//	  blank    int, default 0
//	vector     an embedding
//	  pool     "none" (default) | "mean" over rows, those where the input mask is 0 aside | "first"
//	  mask     the input's name
//	  normalize bool, to length 1
//	carry      the output is the next run's input
//	  to       the input's name
package post

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/stage"
)

// A Tensor is an output, as real numbers.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// A Result is what one run means. Coordinates are pixels of the picture, or of
// the input where it was none.
type Result struct {
	Classes []pre.Score `json:"classes,omitempty"`
	Boxes   []Box       `json:"boxes,omitempty"`
	Mask    *Mask       `json:"mask,omitempty"`
	Points  []Point     `json:"points,omitempty"`
	Text    *string     `json:"text,omitempty"`
	Vector  []float32   `json:"vector,omitempty"`
	Found   bool        `json:"-"` // a step looked for boxes, even if there are none
}

// A Box is an object that a detector found.
type Box struct {
	X0     float32 `json:"x0"`
	Y0     float32 `json:"y0"`
	X1     float32 `json:"x1"`
	Y1     float32 `json:"y1"`
	Class  int     `json:"class"`
	Label  string  `json:"label"`
	Score  float32 `json:"score"`
	Points []Point `json:"points,omitempty"`
}

// A Point is a keypoint.
type Point struct {
	X     float32 `json:"x"`
	Y     float32 `json:"y"`
	Score float32 `json:"score"`
}

// A Mask is a class for each pixel of the picture, row by row.
type Mask struct {
	Height  int         `json:"height"`
	Width   int         `json:"width"`
	Classes []uint8     `json:"-"`
	Shares  []pre.Score `json:"shares"` // of the picture's area
}

// A Post holds a model's steps. It is immutable and safe for concurrent use.
type Post struct {
	steps  []step
	labels []string
	carry  map[string]string
}

type step struct {
	tensor string
	apply  func(c *context) error
}

// context is what a step sees.
type context struct {
	out    Tensor
	other  func(name string) (Tensor, error)
	input  func(name string) []float32
	at     pre.Placement
	labels []string
	res    *Result
}

type stepSpec struct {
	attrs stage.Kinds
	build func(a format.Attrs) (func(c *context) error, error)
}

var specs = map[string]stepSpec{
	"classes": {stage.Kinds{"activation": stage.Text}, classes},
	"boxes": {stage.Kinds{"order": stage.Text, "form": stage.Text, "unit": stage.Text, "scores": stage.Text, "object": stage.Int, "first": stage.Int, "skip": stage.Int,
		"activation": stage.Text, "anchors": stage.Floats, "strides": stage.Ints, "copies": stage.Ints, "sizes": stage.Floats, "grid": stage.Ints, "scale": stage.Floats, "exp": stage.Bool,
		"points": stage.Int, "point": stage.Int, "stride": stage.Int, "threshold": stage.Float, "overlap": stage.Float, "most": stage.Int, "together": stage.Bool}, boxes},
	"regions": {stage.Kinds{"threshold": stage.Float, "mean": stage.Float, "grow": stage.Float, "least": stage.Int}, regions},
	"mask":    {stage.Kinds{"order": stage.Text, "activation": stage.Text, "threshold": stage.Float}, mask},
	"points":  {stage.Kinds{"form": stage.Text, "order": stage.Text, "unit": stage.Text, "stride": stage.Int, "score": stage.Int, "activation": stage.Text, "other": stage.Text}, points},
	"text":    {stage.Kinds{"blank": stage.Int}, text},
	"vector":  {stage.Kinds{"pool": stage.Text, "mask": stage.Text, "normalize": stage.Bool}, vector},
	"carry":   {stage.Kinds{"to": stage.Text}, nil},
}

// ParseStep reads a step that is written as one line, "boxes form=corners
// threshold=0.6". The caller sets the tensor.
func ParseStep(line string) (format.Transform, error) {
	s, err := stage.Parse(line)
	if err != nil {
		return format.Transform{}, err
	}
	spec, ok := specs[s.Op]
	if !ok {
		return format.Transform{}, fmt.Errorf("no step is called %q", s.Op)
	}
	a, err := spec.attrs.Parse(s)
	return format.Transform{Op: s.Op, Attrs: a}, err
}

// New prepares the steps of a model's header.
func New(m *format.Model) (*Post, error) {
	p := &Post{labels: m.Header.Labels, carry: map[string]string{}}
	for i, t := range m.Header.Post {
		spec, ok := specs[t.Op]
		err := spec.attrs.Check(t.Attrs)
		if !ok {
			err = fmt.Errorf("this version has no such step")
		}
		var apply func(*context) error
		if err == nil && t.Op == "carry" {
			to := t.Attrs.Str("to", "")
			if !slices.ContainsFunc(m.Main().Inputs, func(in format.Input) bool { return in.Tensor == to }) {
				err = fmt.Errorf("the model has no input %q", to)
			}
			p.carry[t.Tensor] = to
		} else if err == nil {
			apply, err = spec.build(t.Attrs)
		}
		if err != nil {
			return nil, fmt.Errorf("postprocessing step %d (%s) of output %q: %w", i, t.Op, t.Tensor, err)
		}
		if apply != nil {
			p.steps = append(p.steps, step{t.Tensor, apply})
		}
	}
	return p, nil
}

// Empty reports whether there is nothing to apply.
func (p *Post) Empty() bool { return len(p.steps) == 0 }

// Carry returns which outputs are the next run's inputs.
func (p *Post) Carry() map[string]string { return p.carry }

// Apply takes the outputs of a run through the steps. at says where the picture
// lies in the input; its zero value stands for a sample that was no picture.
// input returns an input's values.
func (p *Post) Apply(outs []Tensor, at pre.Placement, input func(name string) []float32) (*Result, error) {
	if at.ScaleX == 0 {
		at.ScaleX, at.ScaleY = 1, 1
	}
	find := func(name string) (Tensor, error) {
		for _, t := range outs {
			if t.Name == name {
				return t, nil
			}
		}
		return Tensor{}, fmt.Errorf("the model has no output %q", name)
	}
	r := &Result{}
	for _, s := range p.steps {
		out, err := find(s.tensor)
		if err == nil {
			err = s.apply(&context{out, find, input, at, p.labels, r})
		}
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", s.tensor, err)
		}
	}
	return r, nil
}

// matrix returns the output as rows and columns of its last two dimensions
// (order "rows"), or turned around.
func (t Tensor) matrix(order string) (rows, cols int, at func(row, col int) float32, err error) {
	s := t.Shape
	for len(s) > 2 && s[0] == 1 {
		s = s[1:]
	}
	if len(s) != 2 {
		return 0, 0, nil, fmt.Errorf("its shape %v is not [1,n,k]", t.Shape)
	}
	v := t.Values
	if order == "columns" {
		return s[1], s[0], func(r, c int) float32 { return v[c*s[1]+r] }, nil
	}
	return s[0], s[1], func(r, c int) float32 { return v[r*s[1]+c] }, nil
}

// planes returns the output as a picture of c channels.
func (t Tensor) planes(order string) (h, w, c int, at func(y, x, k int) float32, err error) {
	s := t.Shape
	if len(s) == 4 && s[0] == 1 {
		s = s[1:]
	}
	if len(s) == 2 {
		s = []int{s[0], s[1], 1}
		order = "rows"
	}
	if len(s) != 3 {
		return 0, 0, 0, nil, fmt.Errorf("its shape %v is not that of a picture", t.Shape)
	}
	v := t.Values
	if order == "columns" {
		return s[1], s[2], s[0], func(y, x, k int) float32 { return v[(k*s[1]+y)*s[2]+x] }, nil
	}
	return s[0], s[1], s[2], func(y, x, k int) float32 { return v[(y*s[1]+x)*s[2]+k] }, nil
}

// one returns the attribute if it is among the known ones, the first of which is
// the default.
func one(a format.Attrs, name string, known ...string) (string, error) {
	v := a.Str(name, known[0])
	if !slices.Contains(known, v) {
		return "", fmt.Errorf("%s %q: %q are known", name, v, known)
	}
	return v, nil
}

func activation(a format.Attrs) (func([]float32), error) {
	kind, err := one(a, "activation", "none", "softmax", "sigmoid")
	return func(v []float32) {
		switch kind {
		case "softmax":
			softmax(v)
		case "sigmoid":
			for i, x := range v {
				v[i] = sigmoid(x)
			}
		}
	}, err
}

func sigmoid(x float32) float32 { return float32(1 / (1 + kernels.Exp(-float64(x)))) }

func softmax(v []float32) {
	top, sum := slices.Max(v), 0.0
	for i, x := range v {
		e := kernels.Exp(float64(x - top))
		v[i] = float32(e)
		sum += e
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / sum)
	}
}

func classes(a format.Attrs) (func(*context) error, error) {
	act, err := activation(a)
	return func(c *context) error {
		if len(c.out.Values) == 0 {
			return fmt.Errorf("it is empty")
		}
		v := slices.Clone(c.out.Values)
		act(v)
		c.res.Classes = pre.TopK(v, c.labels, len(v))
		return nil
	}, err
}

func vector(a format.Attrs) (func(*context) error, error) {
	pool, err := one(a, "pool", "none", "mean", "first")
	mask, unit := a.Str("mask", ""), a.Bool("normalize", false)
	return func(c *context) error {
		v := slices.Clone(c.out.Values)
		if pool != "none" {
			rows, cols, at, err := c.out.matrix("rows")
			if err != nil {
				return err
			}
			var keep []float32
			if mask != "" {
				if keep = c.input(mask); len(keep) != rows {
					return fmt.Errorf("the mask %q is not an input of %d values", mask, rows)
				}
			}
			v = make([]float32, cols)
			n := float32(0)
			for r := range rows {
				if pool == "first" && r > 0 || keep != nil && keep[r] == 0 {
					continue
				}
				for k := range v {
					v[k] += at(r, k)
				}
				n++
			}
			for k := range v {
				v[k] /= max(n, 1)
			}
		}
		if unit {
			sum := 0.0
			for _, x := range v {
				sum += float64(x) * float64(x)
			}
			for i := range v {
				v[i] = float32(float64(v[i]) / max(math.Sqrt(sum), 1e-12))
			}
		}
		c.res.Vector = v
		return nil
	}, err
}

// Cosine is the cosine of the angle between two vectors of one length.
func Cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i, x := range a {
		y := b[i]
		dot += float64(x) * float64(y)
		aa += float64(x) * float64(x)
		bb += float64(y) * float64(y)
	}
	return dot / max(math.Sqrt(aa*bb), 1e-12)
}

// text joins the characters of the best path: repeated ones and blanks go
// (Graves et al. 2006).
func text(a format.Attrs) (func(*context) error, error) {
	blank := a.Int("blank", 0)
	return func(c *context) error {
		rows, cols, at, err := c.out.matrix("rows")
		if err != nil {
			return err
		}
		var out string
		last := blank
		for r := range rows {
			best := 0
			for k := range cols {
				if at(r, k) > at(r, best) {
					best = k
				}
			}
			if best != last && best != blank {
				out += pre.Label(c.labels, best)
			}
			last = best
		}
		c.res.Text = &out
		return nil
	}, nil
}

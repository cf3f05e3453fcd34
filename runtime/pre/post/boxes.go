package post

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/runtime/pre"
)

// decoder holds the attributes of a step boxes.
type decoder struct {
	order, form, unit, scores string
	object, first, skip       int
	act                       func([]float32)
	anchors                   []float64
	strides, copies, grid     []int64
	scale, sizes              []float64
	exp                       bool
	points, point, stride     int
	threshold, overlap        float32
	most                      int
	together                  bool
}

func boxes(a format.Attrs) (func(*context) error, error) {
	d := &decoder{scores: a.Str("scores", ""), object: a.Int("object", -1), skip: a.Int("skip", 0), anchors: a.Floats("anchors"), strides: a.Ints("strides"),
		copies: a.Ints("copies"), grid: a.Ints("grid"), scale: a.Floats("scale"), sizes: a.Floats("sizes"), exp: a.Bool("exp", false), points: a.Int("points", 0), point: a.Int("point", 4),
		stride: a.Int("stride", 2), threshold: float32(a.Float("threshold", 0.5)), overlap: float32(a.Float("overlap", 0.45)), most: a.Int("most", 100), together: a.Bool("together", false)}
	def := 4
	if d.scores != "" {
		def = 0
	}
	d.first = a.Int("first", def)
	var errs [4]error
	d.order, errs[0] = one(a, "order", "rows", "columns")
	d.form, errs[1] = one(a, "form", "centre", "corners", "yx")
	d.unit, errs[2] = one(a, "unit", "pixels", "share")
	d.act, errs[3] = activation(a)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(d.scale) != 0 && len(d.scale) != 4, len(d.anchors)%4 != 0, len(d.strides) != len(d.copies):
		return nil, fmt.Errorf("scale is four numbers, anchors four each, strides and copies equally many")
	case d.first < 0 || d.skip < 0 || d.points < 0 || d.point < 0 || d.stride < 2 || d.most < 1:
		return nil, fmt.Errorf("a column or a number is out of range")
	case slices.ContainsFunc(slices.Concat(d.strides, d.copies, d.grid), func(v int64) bool { return v < 1 || v > 1<<12 }):
		return nil, fmt.Errorf("strides, copies and grid are numbers from 1 on")
	}
	total := int64(0)
	for _, n := range d.copies {
		total += n
	}
	if len(d.sizes) != 0 && int64(len(d.sizes)) != total {
		return nil, fmt.Errorf("%d sizes for %d copies", len(d.sizes), total)
	}
	return d.apply, nil
}

// cells are the anchors: centre and size of each, in pixels of the input.
func (d *decoder) cells(at pre.Placement) [][4]float64 {
	h, w := at.InputHeight, at.InputWidth
	var out [][4]float64
	for i := 0; i < len(d.anchors); i += 4 {
		out = append(out, [4]float64{d.anchors[i] * float64(w), d.anchors[i+1] * float64(h), d.anchors[i+2] * float64(w), d.anchors[i+3] * float64(h)})
	}
	each := func(s int64, f func(x, y float64)) {
		for y := range (h + int(s) - 1) / int(s) {
			for x := range (w + int(s) - 1) / int(s) {
				f(float64(x)*float64(s), float64(y)*float64(s))
			}
		}
	}
	sizes := d.sizes
	for i, s := range d.strides {
		n := int(d.copies[i])
		each(s, func(x, y float64) {
			for k := range n {
				size := [2]float64{float64(w), float64(h)}
				if len(sizes) > 0 {
					size = [2]float64{sizes[k], sizes[k]}
				}
				out = append(out, [4]float64{x + float64(s)/2, y + float64(s)/2, size[0], size[1]})
			}
		})
		if len(sizes) > 0 {
			sizes = sizes[n:]
		}
	}
	for _, s := range d.grid {
		each(s, func(x, y float64) { out = append(out, [4]float64{x, y, float64(s), float64(s)}) })
	}
	return out
}

func (d *decoder) apply(c *context) error {
	rows, cols, box, err := c.out.matrix(d.order)
	if err != nil {
		return err
	}
	scoreCols, score := cols, box
	if d.scores != "" {
		t, err := c.other(d.scores)
		if err != nil {
			return err
		}
		var n int
		if n, scoreCols, score, err = t.matrix(d.order); err != nil || n != rows {
			return fmt.Errorf("the scores %q are %v, the boxes %v", d.scores, t.Shape, c.out.Shape)
		}
	}
	last := scoreCols
	if d.scores == "" && d.points > 0 && d.point >= d.first {
		last = d.point // keypoints stand behind the classes
	}
	cells := d.cells(c.at)
	if len(cells) > 0 && len(cells) != rows {
		return fmt.Errorf("%d anchors for %d boxes", len(cells), rows)
	}
	if cols < 4 || last <= d.first+d.skip || d.object >= cols || d.points > 0 && d.point+d.points*d.stride > cols {
		return fmt.Errorf("its %d columns (%d scores) are too few for boxes, classes and keypoints", cols, scoreCols)
	}
	scores := make([]float32, last-d.first)
	for r := range rows {
		for k := range scores {
			scores[k] = score(r, d.first+k)
		}
		d.act(scores)
		best := d.skip
		for k := d.skip; k < len(scores); k++ {
			if scores[k] > scores[best] {
				best = k
			}
		}
		s := scores[best]
		if d.object >= 0 {
			s *= box(r, d.object)
		}
		if !(s >= d.threshold) {
			continue
		}
		var cell *[4]float64
		if len(cells) > 0 {
			cell = &cells[r]
		}
		b := d.box(c.at, cell, func(k int) float64 { return float64(box(r, k)) })
		b.Class, b.Score = best-d.skip, s
		b.Label = pre.Label(c.labels, b.Class)
		c.res.Boxes = append(c.res.Boxes, b)
	}
	c.res.Boxes = suppress(c.res.Boxes, d.overlap, d.most, d.together)
	c.res.Found = true
	return nil
}

// box decodes one box and its keypoints to the picture's pixels.
func (d *decoder) box(at pre.Placement, cell *[4]float64, v func(int) float64) Box {
	q := [4]float64{v(0), v(1), v(2), v(3)}
	if d.form == "yx" {
		q = [4]float64{q[1], q[0], q[3], q[2]}
	}
	scale := [4]float64{1, 1, 1, 1}
	if len(d.scale) == 4 {
		scale = [4]float64(d.scale)
	}
	unit := [2]float64{1, 1}
	if d.unit == "share" && cell == nil {
		unit = [2]float64{float64(at.InputWidth), float64(at.InputHeight)}
	}
	// offset takes a coordinate relative to the cell, in its sizes, to the input.
	offset := func(i int, x float64) float64 {
		x /= scale[i]
		if cell != nil {
			return x*cell[2+i] + cell[i]
		}
		return x * unit[i]
	}
	x, y := offset(0, q[0]), offset(1, q[1])
	w, h := q[2]/scale[2], q[3]/scale[3]
	if d.form == "centre" {
		if d.exp || len(d.grid) > 0 {
			w, h = kernels.Exp(w), kernels.Exp(h)
		}
		if cell != nil {
			w, h = w*cell[2], h*cell[3]
		} else {
			w, h = w*unit[0], h*unit[1]
		}
		x, y, w, h = x-w/2, y-h/2, x+w/2, y+h/2
	} else {
		w, h = offset(0, q[2]), offset(1, q[3])
	}
	place := func(x, y float64) (float32, float32) {
		x, y = at.Source(x, y)
		if at.Width > 0 {
			x, y = min(max(x, 0), float64(at.Width)), min(max(y, 0), float64(at.Height))
		}
		return float32(x), float32(y)
	}
	var b Box
	b.X0, b.Y0 = place(x, y)
	b.X1, b.Y1 = place(w, h)
	for k := range d.points {
		i := d.point + k*d.stride
		p := Point{Score: 1}
		p.X, p.Y = place(offset(0, v(i)), offset(1, v(i+1)))
		if d.stride > 2 {
			p.Score = float32(v(i + 2))
		}
		b.Points = append(b.Points, p)
	}
	return b
}

// suppress keeps the best boxes: one that overlaps a better one (of its class)
// by more than the share goes.
func suppress(all []Box, overlap float32, most int, together bool) []Box {
	slices.SortStableFunc(all, func(a, b Box) int { return cmp.Compare(b.Score, a.Score) })
	var kept []Box
	for _, b := range all {
		if len(kept) == most {
			break
		}
		if !slices.ContainsFunc(kept, func(k Box) bool { return (together || k.Class == b.Class) && IoU(k, b) > overlap }) {
			kept = append(kept, b)
		}
	}
	return kept
}

// IoU is the intersection of two boxes over their union.
func IoU(a, b Box) float32 {
	w, h := min(a.X1, b.X1)-max(a.X0, b.X0), min(a.Y1, b.Y1)-max(a.Y0, b.Y0)
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / ((a.X1-a.X0)*(a.Y1-a.Y0) + (b.X1-b.X0)*(b.Y1-b.Y0) - both)
}

package post

import (
	"fmt"
	"math"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// mask takes the best class of each pixel, from the place of the output that the
// picture's pixel lies in.
func mask(a format.Attrs) (func(*context) error, error) {
	order, err1 := one(a, "order", "rows", "columns")
	act, err2 := activation(a)
	threshold := float32(a.Float("threshold", 0.5))
	return func(c *context) error {
		h, w, n, at, err := c.out.planes(order)
		if err != nil {
			return err
		}
		if n > 256 {
			return fmt.Errorf("%d classes: 256 are the most", n)
		}
		p := c.at
		if p.Width == 0 {
			p = pre.Placement{Height: h, Width: w, InputHeight: h, InputWidth: w, ScaleX: 1, ScaleY: 1}
		}
		m := &Mask{Height: p.Height, Width: p.Width, Classes: make([]uint8, p.Height*p.Width)}
		v := make([]float32, n)
		count := make([]float32, max(n, 2))
		for y := range p.Height {
			for x := range p.Width {
				// From the picture to the input to the output.
				oy := int((float64(y) + 0.5 - p.OffsetY) / p.ScaleY * float64(h) / float64(p.InputHeight))
				ox := int((float64(x) + 0.5 - p.OffsetX) / p.ScaleX * float64(w) / float64(p.InputWidth))
				if oy < 0 || ox < 0 || oy >= h || ox >= w { // outside what the model saw
					count[0]++
					continue
				}
				for k := range v {
					v[k] = at(oy, ox, k)
				}
				act(v)
				best := 0
				for k := range v {
					if v[k] > v[best] {
						best = k
					}
				}
				if n == 1 && v[0] >= threshold {
					best = 1
				}
				m.Classes[y*p.Width+x] = uint8(best)
				count[best]++
			}
		}
		for k, s := range count {
			if s > 0 {
				m.Shares = append(m.Shares, pre.Score{Class: k, Label: pre.Label(c.labels, k), Score: s / float32(len(m.Classes))})
			}
		}
		c.res.Mask = m
		return nil
	}, firstOf(err1, err2)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func points(a format.Attrs) (func(*context) error, error) {
	form, err1 := one(a, "form", "values", "heatmap", "simcc")
	order, err2 := one(a, "order", "rows", "columns")
	unit, err3 := one(a, "unit", "pixels", "share")
	act, err4 := activation(a)
	stride, score, other := a.Int("stride", 2), a.Int("score", -1), a.Str("other", "")
	if stride < 2 || score >= stride {
		return nil, fmt.Errorf("stride %d, score %d: a point has two numbers at least, its score is one of them", stride, score)
	}
	return func(c *context) error {
		add := func(x, y float64, s float32) {
			x, y = c.at.Source(x, y)
			c.res.Points = append(c.res.Points, Point{float32(x), float32(y), s})
		}
		switch form {
		case "heatmap":
			return heatmap(c, order, act, add)
		case "simcc":
			return simcc(c, other, add)
		}
		fx, fy := 1.0, 1.0
		if unit == "share" {
			fx, fy = float64(c.at.InputWidth), float64(c.at.InputHeight)
		}
		for p := range slices.Chunk(c.out.Values, stride) {
			if len(p) < stride {
				return fmt.Errorf("its %d values are not points of %d", len(c.out.Values), stride)
			}
			s := []float32{1}
			if score >= 0 {
				s[0] = p[score]
				act(s)
			}
			add(float64(p[0])*fx, float64(p[1])*fy, s[0])
		}
		return nil
	}, firstOf(err1, err2, err3, err4)
}

// heatmap takes the highest place of each map, a quarter of a cell towards its
// higher neighbours (Newell et al. 2016).
func heatmap(c *context, order string, act func([]float32), add func(x, y float64, s float32)) error {
	h, w, n, at, err := c.out.planes(order)
	if err != nil {
		return err
	}
	for k := range n {
		bx, by := 0, 0
		for y := range h {
			for x := range w {
				if at(y, x, k) > at(by, bx, k) {
					bx, by = x, y
				}
			}
		}
		fx, fy := float64(bx), float64(by)
		if bx > 0 && bx < w-1 {
			fx += math.Copysign(0.25, float64(at(by, bx+1, k)-at(by, bx-1, k)))
		}
		if by > 0 && by < h-1 {
			fy += math.Copysign(0.25, float64(at(by+1, bx, k)-at(by-1, bx, k)))
		}
		s := []float32{at(by, bx, k)}
		act(s)
		add((fx+0.5)*float64(max(c.at.InputWidth, 1))/float64(w), (fy+0.5)*float64(max(c.at.InputHeight, 1))/float64(h), s[0])
	}
	return nil
}

// simcc takes the highest place along x and along y (Li et al. 2022).
func simcc(c *context, other string, add func(x, y float64, s float32)) error {
	t, err := c.other(other)
	if err != nil {
		return err
	}
	n, wide, xs, err1 := c.out.matrix("rows")
	m, high, ys, err2 := t.matrix("rows")
	if err := firstOf(err1, err2); err != nil {
		return err
	}
	if n != m {
		return fmt.Errorf("%d points along x, %d along y", n, m)
	}
	best := func(at func(r, c int) float32, r, n int) int {
		b := 0
		for k := range n {
			if at(r, k) > at(r, b) {
				b = k
			}
		}
		return b
	}
	for r := range n {
		x, y := best(xs, r, wide), best(ys, r, high)
		add(float64(x)*float64(c.at.InputWidth)/float64(wide), float64(y)*float64(c.at.InputHeight)/float64(high), min(xs(r, x), ys(r, y)))
	}
	return nil
}

// regions finds the connected regions above the threshold (Liao et al. 2020,
// differentiable binarization) and gives the upright boxes around them.
func regions(a format.Attrs) (func(*context) error, error) {
	threshold, mean, grow, least := float32(a.Float("threshold", 0.3)), a.Float("mean", 0.6), a.Float("grow", 1.5), a.Int("least", 3)
	return func(c *context) error {
		h, w, n, at, err := c.out.planes("columns")
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%d channels where one is needed", n)
		}
		fx, fy := float64(max(c.at.InputWidth, 1))/float64(w), float64(max(c.at.InputHeight, 1))/float64(h)
		seen := make([]bool, h*w)
		var todo []int
		for start := range seen {
			if seen[start] || at(start/w, start%w, 0) < threshold {
				continue
			}
			x0, y0, x1, y1, count, sum := w, h, -1, -1, 0, 0.0
			seen[start] = true
			todo = append(todo[:0], start)
			for len(todo) > 0 {
				i := todo[len(todo)-1]
				todo = todo[:len(todo)-1]
				y, x := i/w, i%w
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
				count++
				sum += float64(at(y, x, 0))
				for _, d := range [][2]int{{0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
					ny, nx := y+d[0], x+d[1]
					if ny < 0 || nx < 0 || ny >= h || nx >= w || seen[ny*w+nx] || at(ny, nx, 0) < threshold {
						continue
					}
					seen[ny*w+nx] = true
					todo = append(todo, ny*w+nx)
				}
			}
			bw, bh := float64(x1-x0+1), float64(y1-y0+1)
			if min(bw, bh) < float64(least) || sum/float64(count) < mean {
				continue
			}
			// The network learned regions that were shrunk by area over perimeter.
			d := bw * bh * grow / (2 * (bw + bh))
			b := Box{Score: float32(sum / float64(count)), Label: pre.Label(c.labels, 0)}
			clip := func(x, y float64) (float32, float32) {
				x, y = c.at.Source(x*fx, y*fy)
				if c.at.Width > 0 {
					x, y = min(max(x, 0), float64(c.at.Width)), min(max(y, 0), float64(c.at.Height))
				}
				return float32(x), float32(y)
			}
			b.X0, b.Y0 = clip(float64(x0)-d, float64(y0)-d)
			b.X1, b.Y1 = clip(float64(x1)+1+d, float64(y1)+1+d)
			c.res.Boxes = append(c.res.Boxes, b)
		}
		c.res.Found = true
		return nil
	}, nil
}

package pre

// A plane is a picture of float32 values [h,w,c].
type plane struct {
	h, w, c int
	v       []float32
}

// taps are the source positions and weights that make up one target position.
type taps struct {
	first  int
	weight []float32
}

// filter computes the taps of one axis for the linear filter with half-pixel
// centres: target i lies at (i+0.5)*in/out-0.5 of the source, positions beyond
// the border repeat it. With antialias the triangle is widened to in/out source
// pixels when the picture shrinks, and its weights sum to 1 (the method of
// Pillow and of TensorFlow's antialias=True); without, two neighbours count.
func filter(in, out int, antialias bool) []taps {
	ts := make([]taps, out)
	ratio := float64(in) / float64(out)
	width := 1.0
	if antialias && ratio > 1 {
		width = ratio
	}
	for i := range ts {
		centre := (float64(i)+0.5)*ratio - 0.5
		if !antialias || ratio <= 1 {
			centre = min(max(centre, 0), float64(in-1))
			first := min(int(centre), max(in-2, 0))
			f := float32(centre - float64(first))
			ts[i] = taps{first, []float32{1 - f, f}[:min(in, 2)]}
			continue
		}
		first := max(int(centre-width)+1, 0)
		last := min(int(centre+width), in-1)
		var sum float64
		w := make([]float64, last-first+1)
		for j := range w {
			d := (float64(first+j) - centre) / width
			w[j] = max(0, 1-max(d, -d))
			sum += w[j]
		}
		t := taps{first: first, weight: make([]float32, len(w))}
		for j := range w {
			t.weight[j] = float32(w[j] / sum)
		}
		ts[i] = t
	}
	return ts
}

// resize scales a picture, first along rows, then along columns. Products are
// converted to float32 before they are added, so that no compiler fuses them
// and the result is the same on every CPU.
func (p plane) resize(h, w int, antialias bool) plane {
	if p.h == h && p.w == w {
		return p
	}
	c := p.c
	wide := plane{p.h, w, c, make([]float32, p.h*w*c)}
	across := filter(p.w, w, antialias)
	for y := range p.h {
		for x, t := range across {
			for k := range c {
				var sum float32
				for j, f := range t.weight {
					sum += float32(p.v[(y*p.w+t.first+j)*c+k] * f)
				}
				wide.v[(y*w+x)*c+k] = sum
			}
		}
	}
	out := plane{h, w, c, make([]float32, h*w*c)}
	for y, t := range filter(p.h, h, antialias) {
		row := out.v[y*w*c : (y+1)*w*c]
		for j, f := range t.weight {
			for i, v := range wide.v[(t.first+j)*w*c : (t.first+j+1)*w*c] {
				row[i] += float32(v * f)
			}
		}
	}
	return out
}

// window returns the largest size within sh by sw that has the shape of h:w.
func window(sh, sw, h, w int) (ch, cw int) {
	ch, cw = sh, max(1, sh*w/h)
	if cw > sw {
		ch, cw = max(1, sw*h/w), sw
	}
	return ch, cw
}

// crop returns the largest centred window with the shape of h:w.
func (p plane) crop(h, w int) plane {
	ch, cw := window(p.h, p.w, h, w)
	y0, x0 := (p.h-ch)/2, (p.w-cw)/2
	out := plane{ch, cw, p.c, make([]float32, ch*cw*p.c)}
	for y := range ch {
		copy(out.v[y*cw*p.c:(y+1)*cw*p.c], p.v[((y0+y)*p.w+x0)*p.c:])
	}
	return out
}

// reorder turns RGB or grey pixels into the order that the network wants.
func (p plane) reorder(order string) plane {
	n := p.h * p.w
	switch {
	case order == "gray" && p.c == 3:
		// ITU-R BT.601 luma, rounded to whole values as grey pictures are.
		out := plane{p.h, p.w, 1, make([]float32, n)}
		for i := range n {
			r, g, b := p.v[3*i], p.v[3*i+1], p.v[3*i+2]
			out.v[i] = float32(int32(float32(0.299*r) + float32(0.587*g) + float32(0.114*b) + 0.5))
		}
		return out
	case order != "gray" && p.c == 1:
		out := plane{p.h, p.w, 3, make([]float32, 3*n)}
		for i, v := range p.v {
			out.v[3*i], out.v[3*i+1], out.v[3*i+2] = v, v, v
		}
		return out
	case order == "bgr":
		out := plane{p.h, p.w, 3, make([]float32, 3*n)}
		for i := range n {
			out.v[3*i], out.v[3*i+1], out.v[3*i+2] = p.v[3*i+2], p.v[3*i+1], p.v[3*i]
		}
		return out
	}
	return p
}

// frame lays the picture into a larger one of a single value.
func (p plane) frame(h, w, y0, x0 int, fill float32) plane {
	out := plane{h, w, p.c, make([]float32, h*w*p.c)}
	for i := range out.v {
		out.v[i] = fill
	}
	for y := range p.h {
		copy(out.v[((y0+y)*w+x0)*p.c:], p.v[y*p.w*p.c:(y+1)*p.w*p.c])
	}
	return out
}

// planes returns the values channel by channel, [c,h,w], in the slots of a
// picture.
func (p plane) planes() plane {
	out := plane{p.h, p.w, p.c, make([]float32, len(p.v))}
	n := p.h * p.w
	for i, v := range p.v {
		out.v[i%p.c*n+i/p.c] = v
	}
	return out
}

package kernels

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ResizeMode says what an output element is made of.
type ResizeMode uint8

// The modes.
const (
	ResizeNearest ResizeMode = iota
	ResizeLinear
	ResizeCubic
)

// ResizeParams describes ONNX's Resize; the strings are its attributes'.
type ResizeParams struct {
	In, Out        []int
	Scales         []float64 // what coordinates are mapped by, one a dimension
	Mode           ResizeMode
	Coordinates    string    // coordinate_transformation_mode
	Nearest        string    // nearest_mode
	A              float64   // cubic_coeff_a
	ExcludeOutside bool      // taps outside have no weight
	Antialias      bool      // the filter widens where the size shrinks
	Roi            []float64 // of tf_crop_and_resize: starts, then ends
	Size           int       // bytes of an element; 0: 4. All but nearest are of float32
	Level          Level     // of the kernels; the zero value is portable Go
}

// A Resize interpolates axis by axis in ascending order. Along one axis
//
//	y[i] = (chain of fma(x[at[i][k]], w[i][k]) from +0 in ascending k) + 0
//
// where places and weights are worked out in float64 and rounded to float32: a
// depthwise convolution whose weights are those of a position, for all channels,
// and the same kernels do it. Places outside count as the edge's element. Rows of
// the first axis are made in blocks, which go through the other axes while they
// are in the cache.
type Resize struct {
	passes []resizePass
	size   int // bytes of an element
	level  Level
	rows   int // of the first axis in a block
	spare  int // elements of a block between two axes
	taps   int // most of an axis
}

type resizePass struct {
	outer, n, out, inner int
	taps                 int
	at                   []int32   // [out][taps]; -1: extrapolated
	w                    []float32 // [out][taps]; nil: 1

	level  Level // whose kernels take inner channels
	cb     int
	packed []float32 // blocks of weights as kernels read them
	block  []int     // [out]: where those of a position are
}

// NewResize plans a resize.
func NewResize(p *ResizeParams) (*Resize, error) {
	if len(p.Out) != len(p.In) || len(p.Scales) != len(p.In) {
		return nil, fmt.Errorf("kernels: resize of %v to %v by %v", p.In, p.Out, p.Scales)
	}
	crop := p.Coordinates == "tf_crop_and_resize"
	if crop && len(p.Roi) != 2*len(p.In) {
		return nil, errors.New("kernels: resize: the region does not fit the shape")
	}
	r := &Resize{size: max(p.Size, 1), level: p.Level}
	if p.Size == 0 {
		r.size = 4
	}
	shape := append([]int(nil), p.In...)
	for a := range p.In {
		if p.Out[a] == p.In[a] && p.Scales[a] == 1 && !(crop && (p.Roi[a] != 0 || p.Roi[len(p.In)+a] != 1)) {
			continue
		}
		t := p.pass(a)
		t.outer, t.n, t.inner = product(shape[:a]), shape[a], product(shape[a+1:])
		shape[a] = p.Out[a]
		if t.taps > 1 {
			t.pack(p.Level, len(r.passes) > 0)
		}
		r.passes = append(r.passes, t)
		r.taps = max(r.taps, t.taps)
	}
	if len(r.passes) == 0 {
		return r, nil
	}
	first, most := &r.passes[0], 0
	for _, t := range r.passes[:len(r.passes)-1] {
		most = max(most, t.outer*t.out*t.inner/(first.outer*first.out))
	}
	r.rows = min(max(resizeBlock/max(most, first.inner), 1), 16)
	r.spare = r.rows * most
	return r, nil
}

// resizeBlock is how many elements of a block should lie between two axes, and
// resizeRun the most that one call of a kernel makes of a row or a column.
const (
	resizeBlock = 1 << 15
	resizeRun   = 64
)

// pack lays out the weights: a block of as many channels as the kernels take at
// once, or, down columns of more channels, several alike.
func (t *resizePass) pack(l Level, columns bool) {
	shape := fdwShape(l)
	if !shape.mask && t.inner < shape.cb {
		l, shape = Generic, fdwShapeGo
	}
	t.level, t.cb = l, shape.cb
	blocks, known := 1, map[string]int{}
	if columns {
		blocks = ceilDiv(t.inner, t.cb)
	}
	for i := range t.out {
		w := t.w[i*t.taps:][:t.taps]
		key := string(asBytes(w))
		at, ok := known[key]
		if !ok {
			at = len(t.packed)
			known[key] = at
			for range blocks {
				t.packed = append(t.packed, make([]float32, t.cb)...) // no bias
				for _, v := range w {
					t.packed = append(t.packed, slices.Repeat([]float32{v}, t.cb)...)
				}
			}
		}
		t.block = append(t.block, at)
	}
}

// Tasks is the number of tasks of a run.
func (r *Resize) Tasks() int {
	if len(r.passes) == 0 {
		return 1
	}
	return ceilDiv(r.passes[0].outer*r.passes[0].out, r.rows)
}

// Scratch is the number of bytes that a thread needs.
func (r *Resize) Scratch() int { return 4*resizeRun*r.taps + 2*r.spare*r.size }

// pass works out places and weights along axis a.
func (p *ResizeParams) pass(a int) resizePass {
	n, out, scale := p.In[a], p.Out[a], p.Scales[a]
	t := resizePass{out: out, taps: 1}
	shrink := 1.0 // how much the filter widens
	if p.Antialias {
		shrink = min(scale, 1)
	}
	reach := 0 // taps on each side
	switch p.Mode {
	case ResizeLinear:
		reach = -int(math.Floor(-1 / shrink))
	case ResizeCubic:
		reach = -int(math.Floor(-2 / shrink))
	}
	if reach > 0 {
		t.taps = 2 * reach
	}
	for i := range out {
		x, inside := p.source(a, float64(i))
		if !inside {
			for range t.taps {
				t.at = append(t.at, -1)
				t.w = append(t.w, 0)
			}
			continue
		}
		if reach == 0 {
			t.at = append(t.at, int32(edge(p.nearest(x), n)))
			continue
		}
		f := math.Floor(x)
		w, sum := make([]float64, t.taps), 0.0
		for k := range w {
			at := f + float64(1-reach+k)
			d := math.Abs(x - at)
			if p.Mode == ResizeLinear {
				w[k] = max(1-float64(d*shrink), 0)
			} else {
				w[k] = cubicWeight(float64(d*shrink), p.A)
			}
			if p.ExcludeOutside && (at < 0 || at >= float64(n)) {
				w[k] = 0
			}
			sum += w[k]
			t.at = append(t.at, int32(edge(at, n)))
		}
		for _, v := range w {
			if p.ExcludeOutside || p.Antialias {
				v /= sum
			}
			t.w = append(t.w, float32(v))
		}
	}
	return t
}

// source maps an output position to the input; inside is false where the value
// is extrapolated.
func (p *ResizeParams) source(a int, i float64) (x float64, inside bool) {
	n, scale := float64(p.In[a]), p.Scales[a]
	width := scale * n // not rounded
	switch p.Coordinates {
	case "align_corners":
		if width == 1 {
			return 0, true
		}
		return i * (n - 1) / (width - 1), true
	case "asymmetric":
		return i / scale, true
	case "tf_half_pixel_for_nn":
		return (i + 0.5) / scale, true
	case "tf_crop_and_resize":
		start, end := p.Roi[a], p.Roi[len(p.In)+a]
		if width == 1 {
			x = float64((end-start)*(n-1)) / 2
		} else {
			x = i * (end - start) * (n - 1) / (width - 1)
		}
		x += float64(start * (n - 1))
		return x, x >= 0 && x <= n-1
	case "pytorch_half_pixel":
		if width == 1 {
			return -0.5, true
		}
	case "half_pixel_symmetric":
		adjust := float64(p.Out[a]) / width
		return float64(n/2*(1-adjust)) + (i+0.5)/scale - 0.5, true
	}
	return (i+0.5)/scale - 0.5, true
}

func (p *ResizeParams) nearest(x float64) float64 {
	f := math.Floor(x)
	d := x - f
	up := false
	switch p.Nearest {
	case "floor":
	case "ceil":
		up = d > 0
	case "round_prefer_ceil":
		up = d >= 0.5
	default:
		up = d > 0.5
	}
	if up {
		f++
	}
	return f
}

// edge brings a place into 0..n-1.
func edge(x float64, n int) int {
	return int(min(max(x, 0), float64(n-1)))
}

// cubicWeight is the kernel of R. Keys, "Cubic convolution interpolation for
// digital image processing", IEEE Trans. ASSP 29 (1981), with its free parameter a.
func cubicWeight(d, a float64) float64 {
	switch {
	case d <= 1:
		return math.FMA(float64(float64(math.FMA(a+2, d, -(a+3)))*d), d, 1)
	case d < 2:
		return math.FMA(math.FMA(math.FMA(a, d, -5*a), d, 8*a), d, -4*a)
	}
	return 0
}

// Run computes the tasks [from, to). extrapolated is what positions outside of a
// region get.
func (r *Resize) Run(dst, src, scratch []byte, extrapolated float32, from, to int) {
	if len(r.passes) == 0 {
		copy(dst, src)
		return
	}
	first := &r.passes[0]
	total := first.outer * first.out
	off := view[int32](scratch, 0, resizeRun*r.taps)
	spare := scratch[4*len(off):]
	for row := from * r.rows; row < min(to*r.rows, total); row += r.rows {
		rows := min(r.rows, total-row)
		var x []byte
		for k := range r.passes {
			t := &r.passes[k]
			y := spare[k%2*r.spare*r.size:]
			units := t.outer * rows / total // of the block, in the pass
			if k == 0 {
				units = rows
			}
			if k == len(r.passes)-1 {
				y = dst[len(dst)/total*row:][:len(dst)/total*rows]
			}
			switch {
			case k > 0:
				t.columns(r, y, x, off, units, extrapolated)
			default:
				for i := range rows {
					o := (row + i) / t.out
					t.row(r, y[i*t.inner*r.size:][:t.inner*r.size], src[o*t.n*t.inner*r.size:], off, (row+i)%t.out, extrapolated)
				}
			}
			x = y
		}
	}
}

// row makes position i of one outer index, in pixels of a block of channels.
func (t *resizePass) row(r *Resize, y, x []byte, off []int32, i int, extrapolated float32) {
	at := t.at[i*t.taps:][:t.taps]
	switch {
	case at[0] < 0:
		for k := range t.inner {
			view[float32](y, 0, t.inner)[k] = extrapolated
		}
	case t.taps == 1:
		copy(y, x[int(at[0])*len(y):])
	default:
		x = x[int(at[0])*len(y):]
		most := min(resizeRun, max(1, maxCallMACs/(t.cb*t.taps)))
		for c := 0; c < t.inner; {
			pixels, channels := min(most, (t.inner-c)/t.cb), t.cb
			if pixels == 0 {
				pixels, channels = 1, t.inner-c
				if channels < t.cb && t.inner >= t.cb && !fdwShape(t.level).mask {
					c, channels = t.inner-t.cb, t.cb // some again
				}
			}
			for p := range pixels {
				for k, a := range at {
					off[p*t.taps+k] = int32(((int(a-at[0]))*t.inner + p*t.cb) * 4)
				}
			}
			t.call(i, x[4*c:], y[4*c:], off, pixels, channels, t.cb)
			c += pixels * channels
		}
	}
}

// columns makes every position of outer indices, one position after the other.
func (t *resizePass) columns(r *Resize, y, x []byte, off []int32, outer int, extrapolated float32) {
	width := t.inner * r.size
	for i := range t.out {
		at := t.at[i*t.taps:][:t.taps]
		if at[0] < 0 || t.taps == 1 {
			for o := range outer {
				t.row(r, y[(o*t.out+i)*width:][:width], x[o*t.n*width:], off, i, extrapolated)
			}
			continue
		}
		most := min(resizeRun, max(1, maxCallMACs/(max(t.inner, t.cb)*t.taps)))
		for o := 0; o < outer; o += most {
			pixels := min(most, outer-o)
			for p := range pixels {
				for k, a := range at {
					off[p*t.taps+k] = int32((p*t.n + int(a-at[0])) * width)
				}
			}
			from, to := x[(o*t.n+int(at[0]))*width:], y[(o*t.out+i)*width:]
			main := t.inner
			if !fdwShape(t.level).mask {
				main = t.inner / t.cb * t.cb
			}
			t.call(i, from, to, off, pixels, main, t.out*t.inner)
			if main < t.inner {
				t.call(i, from[4*(t.inner-t.cb):], to[4*(t.inner-t.cb):], off, pixels, t.cb, t.out*t.inner)
			}
		}
	}
}

// call makes pixels of position i, whose results lie ld elements apart.
func (t *resizePass) call(i int, x, y []byte, off []int32, pixels, channels, ld int) {
	dw(t.level, &dwArgs{A: pointer(x), Pad: pointer(x), Off: &off[0], Taps: uintptr(t.taps), C: uintptr(channels), W: pointer(t.packed[t.block[i]:]),
		Out: pointer(y), LDC: uintptr(4 * ld), Pixels: uintptr(pixels), Lo: -inf32, Hi: inf32})
}

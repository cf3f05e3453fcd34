package kernels

import (
	"errors"
	"fmt"
	"math"
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
}

// A Resize interpolates axis by axis in ascending order. Along one axis
//
//	y[i] = chain of fma(w[i][k], x[at[i][k]]) from +0 in ascending k
//
// where places and weights are worked out in float64 and rounded to float32.
// Places outside count as the edge's element.
type Resize struct {
	passes []resizePass
	spare  int // elements of an intermediate result
}

type resizePass struct {
	outer, n, out, inner int
	taps                 int
	at                   []int32   // [out][taps]; -1: extrapolated
	w                    []float32 // [out][taps]; nil: 1
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
	r := &Resize{}
	shape := append([]int(nil), p.In...)
	for a := range p.In {
		if p.Out[a] == p.In[a] && p.Scales[a] == 1 && !(crop && (p.Roi[a] != 0 || p.Roi[len(p.In)+a] != 1)) {
			continue
		}
		t := p.pass(a)
		t.outer, t.n, t.inner = product(shape[:a]), shape[a], product(shape[a+1:])
		shape[a] = p.Out[a]
		r.passes = append(r.passes, t)
		r.spare = max(r.spare, product(shape))
	}
	return r, nil
}

// Scratch is the number of elements that Run needs.
func (r *Resize) Scratch() int {
	if len(r.passes) < 2 {
		return 0
	}
	return 2 * r.spare
}

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

// Linear runs a resize of float32: with weights, or, without, by nearest places.
// extrapolated is what positions outside of a region get.
func (r *Resize) Linear(dst, src, scratch []float32, extrapolated float32) {
	runPasses(r, dst, src, scratch, func(t *resizePass, d, s []float32) { t.run(d, s, extrapolated) })
}

// Move runs a nearest resize of elements of size bytes.
func (r *Resize) Move(dst, src, scratch []byte, size int) {
	runPasses(r, dst, src, scratch, func(t *resizePass, d, s []byte) {
		n := t.inner * size
		for o := range t.outer {
			for i := range t.out {
				copy(d[(o*t.out+i)*n:][:n], s[(o*t.n+max(int(t.at[i]), 0))*n:])
			}
		}
	})
}

// runPasses runs the passes from buffer to buffer.
func runPasses[T any](r *Resize, dst, src, scratch []T, f func(t *resizePass, d, s []T)) {
	if len(r.passes) == 0 {
		copy(dst, src)
		return
	}
	half := len(scratch) / 2
	for i := range r.passes {
		to := dst
		if i < len(r.passes)-1 {
			to = scratch[i%2*half:]
		}
		f(&r.passes[i], to, src)
		src = to
	}
}

func (t *resizePass) run(dst, src []float32, extrapolated float32) {
	for o := range t.outer {
		from := src[o*t.n*t.inner:]
		for i := range t.out {
			y := dst[(o*t.out+i)*t.inner:][:t.inner]
			at := t.at[i*t.taps:][:t.taps]
			switch {
			case at[0] < 0:
				for k := range y {
					y[k] = extrapolated
				}
			case t.taps == 1:
				copy(y, from[int(at[0])*t.inner:])
			default:
				clear(y)
				for k, w := range t.w[i*t.taps:][:t.taps] {
					for j, v := range from[int(at[k])*t.inner:][:t.inner] {
						y[j] = FMA32(w, v, y[j])
					}
				}
			}
		}
	}
}

package kernels

import "math"

// GridSample is ONNX's GridSample on pictures [N][H][W][C] at the positions
// [N][OH][OW][2].
type GridSample struct {
	N, H, W, C, OH, OW int
	Mode               ResizeMode
	Padding            string // zeros, border or reflection: what is outside
	AlignCorners       bool   // -1 and 1 are the centres of the outermost elements
}

// Rows is the unit of work: output rows.
func (g *GridSample) Rows() int { return g.N * g.OH }

// Run computes the output rows [from, to). Places and weights are worked out in
// float64; an output is a chain of fused multiply-adds over the neighbours, row by
// row, from +0.
func (g *GridSample) Run(dst, src, grid []float32, from, to int) {
	for row := from; row < to; row++ {
		img := src[row/g.OH*g.H*g.W*g.C:][:g.H*g.W*g.C]
		for i := range g.OW {
			p := row*g.OW + i
			y := dst[p*g.C:][:g.C]
			clear(y)
			g.sample(y, img, g.place(grid[2*p], g.W), g.place(grid[2*p+1], g.H))
		}
	}
}

// place maps -1..1 to positions of elements, and brings it inside if the padding
// says so.
func (g *GridSample) place(v float32, n int) float64 {
	x, size := float64(v), float64(n)
	if g.AlignCorners {
		x = float64((x+1)/2) * (size - 1)
	} else {
		x = (float64((x+1)*size) - 1) / 2
	}
	if !(math.Abs(x) < 1<<30) {
		return -1 << 30 // outside, and an integer on every machine
	}
	if g.Mode == ResizeNearest {
		x = math.RoundToEven(x)
	}
	return g.inside(x, n)
}

// inside applies border and reflection to a position.
func (g *GridSample) inside(x float64, n int) float64 {
	lo, hi := -0.5, float64(n)-0.5
	if g.AlignCorners {
		lo, hi = 0, float64(n-1)
	}
	switch g.Padding {
	case "border":
		return min(max(x, 0), float64(n-1))
	case "reflection":
		if hi <= lo {
			return 0
		}
		// Folded at both ends: a period is there and back.
		d := math.Mod(x-lo, 2*(hi-lo))
		if d < 0 {
			d += 2 * (hi - lo)
		}
		if d > hi-lo {
			d = 2*(hi-lo) - d
		}
		return lo + d
	}
	return x
}

// index is the element at an integer place, -1 for none.
func (g *GridSample) index(x float64, n int) int {
	i := int(g.inside(x, n))
	if i < 0 || i >= n {
		if g.Padding == "zeros" {
			return -1
		}
		return min(max(i, 0), n-1)
	}
	return i
}

func (g *GridSample) sample(y, img []float32, px, py float64) {
	fx, fy := math.Floor(px), math.Floor(py)
	first, taps := 0, 1
	switch g.Mode {
	case ResizeLinear:
		taps = 2
	case ResizeCubic:
		first, taps = -1, 4
	}
	for j := range taps {
		yy := fy + float64(first+j)
		iy := g.index(yy, g.H)
		for i := range taps {
			xx := fx + float64(first+i)
			ix := g.index(xx, g.W)
			if ix < 0 || iy < 0 {
				continue
			}
			w := float32(g.weight(px-xx) * g.weight(py-yy))
			for c, v := range img[(iy*g.W+ix)*g.C:][:g.C] {
				y[c] = FMA32(w, v, y[c])
			}
		}
	}
}

// weight is that of an element at a distance.
func (g *GridSample) weight(d float64) float64 {
	d = math.Abs(d)
	switch g.Mode {
	case ResizeLinear:
		return 1 - d
	case ResizeCubic:
		return cubicWeight(d, -0.75)
	}
	return 1
}

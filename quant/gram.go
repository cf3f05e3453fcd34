package quant

import (
	"context"
	"fmt"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/kernels"
	"github.com/whet-edge/whet/ondevice/grad"
)

// A gram is the second moments of what a layer's weights multiply: with x the
// taps of one output position, H = Σ x xᵀ over many positions. An error e of a
// row of weights adds the noise eᵀ H e to the row's output.
type gram struct {
	taps   int
	groups int       // 1; for a depthwise layer its channels, which have an H each
	h      []float32 // [groups][taps][taps]
	sum    []float64 // [groups][taps] of x
	count  int       // positions

	node   *format.Node
	window *window
	rows   int       // gathered and not yet added
	batch  []float32 // [groups][taps][gramBatch]
	part   []float32 // what a batch adds
}

const (
	gramRows  = 4096     // positions of a layer that all samples together give, if there are as many
	gramBatch = 256      // of them added at a time
	gramBytes = 64 << 20 // of the matrices that one pass over the samples fills
	gramTaps  = 4096     // a layer with more keeps the nearest codes
)

// newGram returns the empty gram of a layer, nil for what has none: a layer of
// groups that are neither one nor depthwise, one that is too large.
func newGram(n *format.Node, tensors map[string]*format.Tensor) *gram {
	if n.Op == "MatMul" {
		k := tensors[n.Inputs[1]].Shape[0]
		return sized(&gram{node: n, taps: k, groups: 1, window: rowsOf(tensors[n.Inputs[0]].Shape)})
	}
	x, w := tensors[n.Inputs[0]].Shape, tensors[n.Inputs[1]].Shape
	g := &gram{node: n, groups: 1, taps: w.Elems() / max(w[0], 1)}
	if n.Op == "Gemm" {
		g.window = rowsOf(x)
		return sized(g)
	}
	if len(w) != 4 || len(x) != 4 {
		return nil
	}
	g.window = windowOf(n, x, w, tensors[n.Outputs[0]].Shape)
	if groups := n.Attrs.Int("group", 1); groups > 1 {
		if groups != x[3] || w[3] != 1 {
			return nil
		}
		g.groups = groups
	}
	return sized(g)
}

func sized(g *gram) *gram {
	if g.taps < 2 || g.taps > gramTaps || g.window.positions() == 0 {
		return nil
	}
	return g
}

// open takes the memory that filling it needs; done gives it back but for H.
func (g *gram) open() {
	g.h = make([]float32, g.groups*g.taps*g.taps)
	g.sum = make([]float64, g.groups*g.taps)
	g.batch = make([]float32, g.groups*g.taps*gramBatch)
	g.part = make([]float32, g.taps*g.taps)
}

func (g *gram) done(p grad.Product[float32]) {
	g.flush(p)
	g.batch, g.part = nil, nil
}

func (g *gram) bytes() int { return 4 * g.groups * g.taps * g.taps }

// add takes at most most positions of a sample's x in, spread evenly.
func (g *gram) add(p grad.Product[float32], x []float32, most int) {
	n := g.window.positions()
	every := (n + most - 1) / most
	for at := 0; at < n; at += every {
		g.window.gather(x, at, func(tap int, values []float32) {
			if g.groups > 1 {
				for c, v := range values {
					g.batch[(c*g.taps+tap)*gramBatch+g.rows] = v
				}
				return
			}
			for c, v := range values {
				g.batch[(tap*len(values)+c)*gramBatch+g.rows] = v
			}
		})
		if g.rows++; g.rows == gramBatch {
			g.flush(p)
		}
	}
}

// flush adds the batch, each element as one chain over its positions.
func (g *gram) flush(p grad.Product[float32]) {
	if g.rows == 0 {
		return
	}
	k := g.taps
	for i := range g.sum {
		for _, v := range g.batch[i*gramBatch:][:g.rows] {
			g.sum[i] += float64(v)
		}
	}
	g.count += g.rows
	for i := range g.groups {
		x, h := g.batch[i*k*gramBatch:][:k*gramBatch], g.h[i*k*k:][:k*k]
		p.Multiply(g.part, x, x, k, k, gramBatch)
		for j, v := range g.part {
			h[j] += v
		}
	}
	clear(g.batch)
	g.rows = 0
}

// A window says where a layer's taps lie.
type window struct {
	n, h, w, c, oh, ow     int
	kh, kw, sh, sw, dh, dw int
	top, left              int
	padded                 []float32 // zeros for a tap outside
}

func (w *window) positions() int { return w.n * w.oh * w.ow }

// rowsOf is that of a matrix product: every row of x is one position of one tap.
func rowsOf(x format.Shape) *window {
	k := x[len(x)-1]
	n := 0
	if k > 0 {
		n = x.Elems() / k
	}
	return &window{n: 1, h: n, w: 1, c: k, oh: n, ow: 1, kh: 1, kw: 1, sh: 1, sw: 1, dh: 1, dw: 1}
}

func windowOf(n *format.Node, x, w, y format.Shape) *window {
	pair := func(name string) (int, int) {
		if v := n.Attrs.Ints(name); len(v) == 2 {
			return int(v[0]), int(v[1])
		}
		return 1, 1
	}
	v := &window{n: x[0], h: x[1], w: x[2], c: x[3], oh: y[1], ow: y[2], kh: w[1], kw: w[2], padded: make([]float32, x[3])}
	v.sh, v.sw = pair("strides")
	v.dh, v.dw = pair("dilations")
	if pads := n.Attrs.Ints("pads"); len(pads) == 4 {
		v.top, v.left = int(pads[0]), int(pads[1])
	}
	return v
}

// gather calls f with the channels of every tap of a position.
func (w *window) gather(x []float32, at int, f func(tap int, values []float32)) {
	ox, oy, n := at%w.ow, at/w.ow%w.oh, at/w.ow/w.oh
	for ky := range w.kh {
		for kx := range w.kw {
			y, x0 := oy*w.sh-w.top+ky*w.dh, ox*w.sw-w.left+kx*w.dw
			values := w.padded
			if y >= 0 && y < w.h && x0 >= 0 && x0 < w.w {
				values = x[((n*w.h+y)*w.w+x0)*w.c:][:w.c]
			}
			f(ky*w.kw+kx, values)
		}
	}
}

// grams runs the float model on the samples and hands each of the layers' grams
// to use, which must not keep it: a pass over the samples fills as many as fit in
// gramBytes.
func grams(ctx context.Context, m *format.Model, layers []*format.Node, samples Samples, sequence int, use func(*gram, grad.Product[float32]) error) error {
	count := 0
	for _, err := range samples {
		if err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("quant: no calibration samples")
	}
	most := max((gramRows+count-1)/count, 16)
	tensors := byName(m)
	var all []*gram
	for _, n := range layers {
		if g := newGram(n, tensors); g != nil {
			all = append(all, g)
		}
	}
	p := grad.OnLevel(kernels.Best())
	for len(all) > 0 {
		some, size, inputs := 0, 0, 0
		for some < len(all) && (some == 0 || size+all[some].bytes() <= gramBytes && inputs+4*tensors[all[some].node.Inputs[0]].Shape.Elems() <= probeBytes) {
			size += all[some].bytes()
			inputs += 4 * tensors[all[some].node.Inputs[0]].Shape.Elems()
			some++
		}
		if err := fill(ctx, m, all[:some], samples, sequence, p, most); err != nil {
			return err
		}
		for _, g := range all[:some] {
			g.done(p)
			if err := use(g, p); err != nil {
				return err
			}
			g.h, g.sum = nil, nil
		}
		all = all[some:]
	}
	return nil
}

// fill runs the samples once.
func fill(ctx context.Context, m *format.Model, some []*gram, samples Samples, sequence int, p grad.Product[float32], most int) error {
	var names []string
	for _, g := range some {
		g.open()
		names = append(names, g.node.Inputs[0])
	}
	r, err := newRunner(m, names)
	if err != nil {
		return err
	}
	defer r.close()
	r.sequence = sequence
	n := 0
	for x, err := range samples {
		if err != nil {
			return err
		}
		if err := r.run(ctx, n, x); err != nil {
			return err
		}
		for i, g := range some {
			g.add(p, r.real(i), most)
		}
		n++
	}
	return nil
}

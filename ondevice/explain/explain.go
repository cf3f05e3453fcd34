// Package explain says which parts of an input a model's score comes from, through
// the network as it serves, integer or float.
//
//	e, err := explain.New(m)
//	a, err := e.Integrated(ctx, input, explain.Options{Class: -1})
//	err = a.WritePNG(file)          // a picture; WriteSVG for series and rows of tables
package explain

import (
	"context"
	"fmt"
	"slices"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice"
	_ "github.com/whet-edge/whet/ondevice/grad/more" // any network is explained
	"github.com/whet-edge/whet/runtime"
	_ "github.com/whet-edge/whet/runtime/more"
)

// An Explainer explains the scores of a model, before any Softmax. It is not for
// concurrent use.
type Explainer struct {
	gradient *ondevice.InputGradient
	input    *format.Tensor
	names    []string // of the input's values, if it is a row of a table
}

// Options say what to explain and how finely. The zero value is good but for
// Class, whose zero is the first one.
type Options struct {
	Class int // whose score is explained; negative: the highest one

	// Baseline is an input that says nothing, as the model receives it; nil: the
	// one that stands for zeros.
	Baseline []byte

	Steps int // of integrated gradients; 0: 50

	// Window is how much occlusion hides at a time: height and width of a picture,
	// time steps of a series, one number for a row; nil: about a tenth of a picture's
	// sides or of a series, and a single value of a row. It moves by half of that.
	Window []int
}

// An Attribution is how much every value of an input has added to a score.
type Attribution struct {
	Class  int
	Score  float32   // of the input
	Values []float32 // of each element of the input
	Input  []float32 // its real values
	Shape  format.Shape
	Names  []string // of the elements of a row of a table, else nil
}

// New makes an explainer of a model with one input, which is float32, int8 or uint8.
func New(m *format.Model, opts ...runtime.Option) (*Explainer, error) {
	g, err := ondevice.NewInputGradient(m, opts...)
	if err != nil {
		return nil, err
	}
	e := &Explainer{gradient: g, input: m.Tensor(m.Main().Inputs[0].Tensor)}
	for _, s := range m.Header.Pre {
		if s.Op == "columns" {
			e.names = columnNames(s.Attrs)
		}
	}
	if len(e.names) != e.input.Shape.Elems() {
		e.names = nil
	}
	return e, nil
}

// columnNames are what the numbers of an encoded row are.
func columnNames(a format.Attrs) (list []string) {
	names, _ := a["names"].([]string)
	values, _ := a["values"].([]string)
	for _, n := range names {
		own := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return len(v) <= len(n) || v[:len(n)+1] != n+"=" })
		if len(own) == 0 {
			own = []string{n}
		}
		list = append(list, own...)
	}
	return list
}

// start checks an input and its baseline and fills in the class.
func (e *Explainer) start(ctx context.Context, input []byte, o *Options) (*Attribution, []float32, error) {
	scores, err := e.gradient.Scores(ctx, input)
	if err != nil {
		return nil, nil, err
	}
	if o.Class < 0 {
		o.Class = slices.Index(scores, slices.Max(scores))
	}
	if o.Class >= len(scores) {
		return nil, nil, fmt.Errorf("explain: class %d of %d", o.Class, len(scores))
	}
	base := make([]float32, e.input.Shape.Elems())
	if o.Baseline != nil {
		if len(o.Baseline) != len(input) {
			return nil, nil, fmt.Errorf("explain: a baseline of %d bytes for an input of %d", len(o.Baseline), len(input))
		}
		base = ondevice.RealInput(e.input, o.Baseline)
	}
	if o.Steps == 0 {
		o.Steps = 50
	}
	if o.Steps < 1 || o.Steps > 1<<16 {
		return nil, nil, fmt.Errorf("explain: %d steps", o.Steps)
	}
	return &Attribution{Class: o.Class, Score: scores[o.Class], Values: make([]float32, len(base)), Input: ondevice.RealInput(e.input, input), Shape: e.input.Shape, Names: e.names}, base, nil
}

// GradientInput is the gradient of the score times the input less the baseline: the
// score's first-order part (Shrikumar et al., 2016, arXiv:1605.01713).
func (e *Explainer) GradientInput(ctx context.Context, input []byte, o Options) (*Attribution, error) {
	a, base, err := e.start(ctx, input, &o)
	if err != nil {
		return nil, err
	}
	_, g, err := e.gradient.Run(ctx, input, o.Class)
	if err != nil {
		return nil, err
	}
	for i, x := range a.Input {
		a.Values[i] = g[i] * (x - base[i])
	}
	return a, nil
}

// Integrated is the mean gradient on the straight way from the baseline to the
// input, times their difference (Sundararajan, Taly and Yan, 2017,
// arXiv:1703.01365), by the midpoint rule. (That of Gauss and Legendre crowds its points
// near the baseline, where float32 cannot tell which of a pool's values is the largest:
// of a network with pools it came out twice as far from float64.) The points of a
// quantized input's way are rounded to what it can hold. The values add up to nearly
// the difference of the two scores.
func (e *Explainer) Integrated(ctx context.Context, input []byte, o Options) (*Attribution, error) {
	a, base, err := e.start(ctx, input, &o)
	if err != nil {
		return nil, err
	}
	sum, point := make([]float64, len(base)), make([]float32, len(base))
	for k := range o.Steps {
		alpha := (float32(k) + 0.5) / float32(o.Steps)
		for i, x := range a.Input {
			point[i] = base[i] + alpha*(x-base[i])
		}
		_, g, err := e.gradient.Run(ctx, ondevice.RawInput(e.input, point), o.Class)
		if err != nil {
			return nil, err
		}
		for i, v := range g {
			sum[i] += float64(v)
		}
	}
	for i, x := range a.Input {
		a.Values[i] = float32(sum[i]/float64(o.Steps)) * (x - base[i])
	}
	return a, nil
}

// Occlusion is how much the score falls when a window is put over the input
// (Zeiler and Fergus, 2014, arXiv:1311.2901): for each value the mean over the
// windows that cover it. All channels of a place are hidden together.
func (e *Explainer) Occlusion(ctx context.Context, input []byte, o Options) (*Attribution, error) {
	a, base, err := e.start(ctx, input, &o)
	if err != nil {
		return nil, err
	}
	g, err := newGrid(a, o.Window)
	if err != nil {
		return nil, err
	}
	sum, count := make([]float64, len(base)), make([]float64, len(base))
	hidden := make([]float32, len(base))
	for y := range g.positions(0) {
		for x := range g.positions(1) {
			copy(hidden, a.Input)
			covered := g.cover(y, x)
			for _, i := range covered {
				hidden[i] = base[i]
			}
			scores, err := e.gradient.Scores(ctx, ondevice.RawInput(e.input, hidden))
			if err != nil {
				return nil, err
			}
			for _, i := range covered {
				sum[i] += float64(a.Score - scores[o.Class])
				count[i]++
			}
		}
	}
	for i, n := range count {
		a.Values[i] = float32(sum[i] / n)
	}
	return a, nil
}

// A Kind is what an input is.
type Kind int

// The kinds.
const (
	Row     Kind = iota // of a table, or any vector
	Series              // [1,t,c] or [1,t,1,c]
	Picture             // [1,h,w,c], or [1,c,h,w] with one or three channels
)

// Kind says what the input is, by its names and its shape.
func (a *Attribution) Kind() Kind {
	_, size, _ := a.layout()
	switch {
	case a.Names != nil || len(a.Shape) < 3:
		return Row
	case size[1] == 1:
		return Series
	}
	return Picture
}

// layout is the input as a grid of places with channels: strides and sizes by row
// and column, and of the channels.
func (a *Attribution) layout() (stride, size [2]int, channels [2]int) {
	colours := func(n int) bool { return n == 1 || n == 3 }
	switch n := a.Shape.Elems(); {
	case a.Names != nil || len(a.Shape) < 3 || a.Shape[0] != 1:
		return [2]int{1, n}, [2]int{n, 1}, [2]int{1, 1}
	case len(a.Shape) == 3: // [1,t,c]
		return [2]int{a.Shape[2], a.Shape[2]}, [2]int{n / a.Shape[2], 1}, [2]int{1, a.Shape[2]}
	case len(a.Shape) == 4 && !colours(a.Shape[3]) && colours(a.Shape[1]):
		h, w := a.Shape[2], a.Shape[3]
		return [2]int{w, 1}, [2]int{h, w}, [2]int{h * w, a.Shape[1]}
	case len(a.Shape) == 4:
		h, w, c := a.Shape[1], a.Shape[2], a.Shape[3]
		return [2]int{w * c, c}, [2]int{h, w}, [2]int{1, c}
	default:
		return [2]int{1, n}, [2]int{n, 1}, [2]int{1, 1}
	}
}

// A grid is where windows lie.
type grid struct {
	stride, size, channels [2]int // channels: stride and number
	window, step           [2]int
}

func newGrid(a *Attribution, window []int) (*grid, error) {
	g := &grid{}
	g.stride, g.size, g.channels = a.layout()
	kind := a.Kind()
	want := map[Kind]int{Row: 1, Series: 1, Picture: 2}[kind]
	if len(window) != 0 && len(window) != want {
		return nil, fmt.Errorf("explain: a window of %v for an input of %v: %d numbers are needed", window, a.Shape, want)
	}
	for d := range 2 {
		g.window[d] = 1
		switch {
		case d < len(window):
			g.window[d] = window[d]
		case kind != Row:
			g.window[d] = max(1, (g.size[d]+5)/10)
		}
		if g.window[d] < 1 || g.window[d] > g.size[d] {
			return nil, fmt.Errorf("explain: a window of %v does not fit an input of %v", window, a.Shape)
		}
		g.step[d] = max(1, g.window[d]/2)
	}
	return g, nil
}

// positions is the number of windows along a side; the last lies at its end.
func (g *grid) positions(d int) int {
	return (g.size[d]-g.window[d]+g.step[d]-1)/g.step[d] + 1
}

// cover lists the elements under a window.
func (g *grid) cover(y, x int) (list []int) {
	y0, x0 := min(y*g.step[0], g.size[0]-g.window[0]), min(x*g.step[1], g.size[1]-g.window[1])
	for r := y0; r < y0+g.window[0]; r++ {
		for c := x0; c < x0+g.window[1]; c++ {
			for k := range g.channels[1] {
				list = append(list, r*g.stride[0]+c*g.stride[1]+k*g.channels[0])
			}
		}
	}
	return list
}

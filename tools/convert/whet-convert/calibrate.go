package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/schollz/progressbar/v3"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/quant"
	"github.com/whet-edge/whet/runtime/pre"
)

// A calibration is the samples that ranges are observed on.
type calibration struct {
	n     int
	class []int // labels of the samples in the first output; nil if unknown
	fill  func(i int, x quant.Sample) error
	sizes []int // elements of each input
}

// openCalibration opens a folder, .csv or .npz for a float model and takes at
// most most samples of it, spread evenly: folders are in the order of classes.
func openCalibration(m *format.Model, path string, most int) (*calibration, error) {
	pipes, err := pre.ForModel(m)
	if err != nil {
		return nil, err
	}
	c := &calibration{}
	for _, p := range pipes {
		if t := p.Input(); t.Type != format.Float32 {
			return nil, fmt.Errorf("input %q is %v: --quantize int8 needs a model with float32 inputs", t.Name, t.Type)
		}
		c.sizes = append(c.sizes, p.Size()/4)
	}
	switch {
	case len(pipes) == 0:
		return nil, errors.New("the model has no input to calibrate")
	case len(pipes) > 1:
		err = c.arrays(path, pipes)
	default:
		err = c.labelled(m, path, pipes[0])
	}
	if err != nil {
		return nil, err
	}
	c.thin(most)
	return c, nil
}

// labelled opens what whet eval reads, and the same without labels: a folder of
// samples, an archive with x alone.
func (c *calibration) labelled(m *format.Model, path string, p *pre.Pipeline) error {
	if files, err := flatFolder(path); err != nil {
		return err
	} else if files != nil {
		c.n = len(files)
		c.fill = func(i int, x quant.Sample) error {
			a, err := pre.ReadFile(files[i])
			if err != nil {
				return err
			}
			if err := p.Put(bytesOf(x[0]), a); err != nil {
				return fmt.Errorf("%s: %w", files[i], err)
			}
			return nil
		}
		return nil
	}
	d, err := pre.OpenData(path, p, m.Header.Labels)
	if err != nil {
		if strings.EqualFold(filepath.Ext(path), ".npz") && c.arrays(path, []*pre.Pipeline{p}) == nil {
			return nil
		}
		return err
	}
	c.n = d.Len()
	if classes := m.Tensor(m.Main().Outputs[0]).Shape.Elems(); known(d.Labels, m.Header.Labels) && len(d.Labels) <= classes {
		c.class = d.Class
	}
	c.fill = func(i int, x quant.Sample) error { return d.Input(i, bytesOf(x[0])) }
	return nil
}

// known reports whether the classes of the data are those of the model: its own
// names, or numbers. The order of other names is only a guess.
func known(data, model []string) bool {
	if len(model) > 0 {
		return len(data) == len(model)
	}
	return !slices.ContainsFunc(data, func(l string) bool { _, err := strconv.Atoi(l); return err != nil })
}

// arrays opens an archive with one array an input, named as the input is (x
// will do for a model's only input), samples along its first axis.
func (c *calibration) arrays(path string, pipes []*pre.Pipeline) error {
	var names []string
	for _, p := range pipes {
		names = append(names, p.Input().Name)
	}
	if !strings.EqualFold(filepath.Ext(path), ".npz") {
		return fmt.Errorf("%s: the model has the inputs %s: give an .npz with an array for each", path, strings.Join(names, ", "))
	}
	found, err := pre.ReadNPZ(path, names...)
	if err != nil && len(pipes) == 1 {
		if found, err = pre.ReadNPZ(path, "x"); err == nil {
			found[names[0]] = found["x"]
		}
	}
	if err != nil {
		return err
	}
	c.n = -1
	for _, name := range names {
		a := found[name]
		if len(a.Shape) == 0 || a.Shape[0] == 0 || c.n >= 0 && a.Shape[0] != c.n {
			return fmt.Errorf("%s: array %q is of shape %v; all arrays need the same number of samples along the first axis", path, name, []int(a.Shape))
		}
		c.n = a.Shape[0]
	}
	c.fill = func(i int, x quant.Sample) error {
		for k, p := range pipes {
			a := found[names[k]]
			size := len(a.Data) / a.Shape[0]
			one := &pre.Array{Type: a.Type, Shape: a.Shape[1:], Data: a.Data[i*size : (i+1)*size]}
			if err := p.Put(bytesOf(x[k]), one); err != nil {
				return fmt.Errorf("%s: %s, sample %d: %w", path, names[k], i, err)
			}
		}
		return nil
	}
	return nil
}

// thin keeps at most most samples, evenly spread.
func (c *calibration) thin(most int) {
	if c.n <= most {
		return
	}
	n, fill, class := c.n, c.fill, c.class
	at := func(i int) int { return i * n / most }
	c.n, c.class = most, nil
	c.fill = func(i int, x quant.Sample) error { return fill(at(i), x) }
	if class != nil {
		for i := range most {
			c.class = append(c.class, class[at(i)])
		}
	}
}

// samples yields them all, reading each when it is asked for; step is called
// with the number done.
func (c *calibration) samples(step func(int)) quant.Samples {
	x := make(quant.Sample, len(c.sizes))
	for i, n := range c.sizes {
		x[i] = make([]float32, n)
	}
	return func(yield func(quant.Sample, error) bool) {
		for i := range c.n {
			err := c.fill(i, x)
			if !yield(x, err) || err != nil {
				return
			}
			step(i + 1)
		}
	}
}

// flatFolder lists the samples of a folder that has no folders in it; nil for
// anything else.
func flatFolder(path string) ([]string, error) {
	fi, err := os.Stat(path)
	if err != nil || !fi.IsDir() {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			return nil, nil
		case slices.Contains(pre.Extensions, strings.ToLower(filepath.Ext(e.Name()))):
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

// bytesOf returns the memory of float32 numbers: the bytes of a tensor.
func bytesOf(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// A bar shows how far the passes over the samples are, on a terminal only.
type bar struct{ b *progressbar.ProgressBar }

func newBar(w io.Writer, total int) *bar {
	if !terminal(w) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionSetRenderBlankState(true))}
}

// stage names what the next pass is for.
func (b *bar) stage(what string) {
	if b.b != nil {
		b.b.Describe(what)
	}
}

// set shows the number of samples done in this pass. A bar that cannot be drawn
// is no reason to stop the work.
func (b *bar) set(n int) {
	if b.b != nil && n < b.b.GetMax() { // a full bar is over, and the next pass needs it
		_ = b.b.Set(n)
	}
}

func (b *bar) done() {
	if b.b != nil {
		_ = b.b.Finish()
	}
}

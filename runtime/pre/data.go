package pre

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
)

// Data is a set of labelled samples for one model.
type Data struct {
	Labels []string // of the classes: the model's own, then new ones
	Class  []int    // of each sample: an index into Labels
	Names  []string // of each sample: a file, or "FILE row N", for errors
	pipe   *Pipeline
	sample func(i int) (*Array, error)
}

// OpenData opens a folder DIR/<label>/<files>, a .csv file with a header line,
// or an .npz file with the arrays x and y.
//
// labels are the model's, and may be empty. A folder or a row of a table whose
// label is not among them makes a new class behind them; the new ones are in
// the order of their names (of their numbers, if all are numbers). The y of an
// archive are class numbers.
func OpenData(path string, p *Pipeline, labels []string) (*Data, error) {
	d := &Data{pipe: p}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case fi.IsDir():
		err = d.folder(path, labels)
	case ext == ".csv":
		err = d.table(path, labels)
	case ext == ".npz":
		err = d.archive(path, labels)
	default:
		err = errors.New("data must be a folder DIR/<label>/<files>, a .csv or an .npz")
	}
	if err != nil {
		if !strings.HasPrefix(err.Error(), path) {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return nil, err
	}
	return d, nil
}

// Len returns the number of samples.
func (d *Data) Len() int { return len(d.Class) }

// Label returns the name of the class of sample i.
func (d *Data) Label(i int) string { return d.Labels[d.Class[i]] }

// Input writes the input tensor for sample i to dst.
func (d *Data) Input(i int, dst []byte) error {
	a, err := d.sample(i)
	if err != nil {
		return err
	}
	if err := d.pipe.Put(dst, a); err != nil {
		return fmt.Errorf("%s: %w", d.Names[i], err)
	}
	return nil
}

// InputOf is Input of sample i after change was at its sound, as [Pipeline.PutChanged]
// has it.
func (d *Data) InputOf(i int, dst []byte, change func(sound []float32, channels int)) (bool, error) {
	a, err := d.sample(i)
	if err != nil {
		return false, err
	}
	was, err := d.pipe.PutChanged(dst, a, change)
	if err != nil {
		return false, fmt.Errorf("%s: %w", d.Names[i], err)
	}
	return was, nil
}

// name gives every sample's label its class.
func (d *Data) name(sampleLabels, labels []string) {
	class := map[string]int{}
	d.Labels = slices.Clone(labels)
	for i, l := range labels {
		if _, dup := class[l]; !dup {
			class[l] = i
		}
	}
	var fresh []string
	for _, l := range sampleLabels {
		if _, ok := class[l]; !ok {
			class[l] = -1
			fresh = append(fresh, l)
		}
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n >= 1<<20 {
			return -1
		}
		return n
	}
	numbers := !slices.ContainsFunc(fresh, func(l string) bool { return number(l) < 0 })
	if numbers && len(labels) == 0 {
		// Without names a label that is a number is the class itself.
		for _, l := range fresh {
			for len(d.Labels) <= number(l) {
				d.Labels = append(d.Labels, strconv.Itoa(len(d.Labels)))
			}
			class[l] = number(l)
		}
	} else {
		slices.SortFunc(fresh, func(a, b string) int {
			if numbers {
				return number(a) - number(b)
			}
			return strings.Compare(a, b)
		})
		for _, l := range fresh {
			class[l] = len(d.Labels)
			d.Labels = append(d.Labels, l)
		}
	}
	d.Class = make([]int, len(sampleLabels))
	for i, l := range sampleLabels {
		d.Class[i] = class[l]
	}
}

func (d *Data) folder(dir string, labels []string) error {
	classes, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var of []string
	for _, c := range classes {
		if !c.IsDir() || strings.HasPrefix(c.Name(), ".") {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, c.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), ".") {
				continue
			}
			path := filepath.Join(dir, c.Name(), f.Name())
			if f.IsDir() || !d.pipe.takesText && !slices.Contains(Extensions, strings.ToLower(filepath.Ext(path))) {
				return fmt.Errorf("%s: neither a folder of folders nor a sample (%s)", path, strings.Join(Extensions, " "))
			}
			d.Names = append(d.Names, path)
			of = append(of, c.Name())
		}
	}
	if len(of) == 0 {
		return errors.New("no samples; the layout is DIR/<label>/<files>")
	}
	d.name(of, labels)
	d.sample = func(i int) (*Array, error) { return d.pipe.ReadFile(d.Names[i]) }
	return nil
}

func (d *Data) table(path string, labels []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if c := d.pipe.columns; c != nil {
		rows, of, err := c.read(f)
		if err != nil {
			return err
		}
		if slices.Contains(of, "") {
			return fmt.Errorf("a row has no label in column %q", c.label)
		}
		d.rows(path, of, labels, func(i int) (*Array, error) { return Text(rows[i]), nil })
		return nil
	}
	if d.pipe.takesText {
		texts, of, err := readTexts(f)
		if err != nil {
			return err
		}
		d.rows(path, of, labels, func(i int) (*Array, error) { return Text(texts[i]), nil })
		return nil
	}
	rows, of, err := readTable(f)
	if err != nil {
		return err
	}
	d.rows(path, of, labels, func(i int) (*Array, error) { return floats(rows[i], len(rows[i])), nil })
	return nil
}

// rows takes the samples of a table.
func (d *Data) rows(path string, of, labels []string, sample func(i int) (*Array, error)) {
	for i := range of {
		d.Names = append(d.Names, fmt.Sprintf("%s row %d", path, i+1))
	}
	d.name(of, labels)
	d.sample = sample
}

func (d *Data) archive(path string, labels []string) error {
	arrays, err := ReadNPZ(path, "x", "y")
	if err != nil {
		return err
	}
	x, y := arrays["x"], arrays["y"]
	d.Class, err = y.Ints()
	if err != nil {
		return fmt.Errorf("y: %w", err)
	}
	n := len(d.Class)
	if n == 0 || len(x.Shape) == 0 || x.Shape[0] != n || len(y.Shape) > 2 {
		return fmt.Errorf("x of shape %v and y of shape %v do not go together; y needs one class number for each x",
			[]int(x.Shape), []int(y.Shape))
	}
	d.Labels = slices.Clone(labels)
	for i, c := range d.Class {
		if c < 0 || c >= 1<<20 {
			return fmt.Errorf("y[%d] is %d, not a class number", i, c)
		}
		for len(d.Labels) <= c {
			d.Labels = append(d.Labels, strconv.Itoa(len(d.Labels)))
		}
		d.Names = append(d.Names, fmt.Sprintf("%s row %d", path, i))
	}
	size := len(x.Data) / n
	d.sample = func(i int) (*Array, error) {
		return &Array{Type: x.Type, Shape: format.Shape(x.Shape[1:]), Data: x.Data[i*size : (i+1)*size]}, nil
	}
	return nil
}

// Subset returns the data's samples at the given indices.
func (d *Data) Subset(indices []int) *Data {
	s := &Data{Labels: d.Labels, pipe: d.pipe}
	for _, i := range indices {
		s.Class = append(s.Class, d.Class[i])
		s.Names = append(s.Names, d.Names[i])
	}
	s.sample = func(i int) (*Array, error) { return d.sample(indices[i]) }
	return s
}

package pre

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre/stage"
)

// Columns turns rows of a table into numbers: the step columns. It is immutable.
type Columns struct {
	names, missing    []string
	label             string
	values            [][]string // of each column that is not a number
	fill, mean, scale []float64
	width             int
}

var columnsAttrs = stage.Kinds{"names": stage.Texts, "label": stage.Text, "values": stage.Texts, "missing": stage.Texts,
	"fill": stage.Floats, "mean": stage.Floats, "scale": stage.Floats}

// NewColumns reads the attributes of a step columns, which this package's
// documentation lists.
func NewColumns(a format.Attrs) (*Columns, error) {
	if err := columnsAttrs.Check(a); err != nil {
		return nil, err
	}
	texts := func(name string) []string { v, _ := a[name].([]string); return v }
	c := &Columns{names: texts("names"), label: a.Str("label", ""), missing: texts("missing"), fill: a.Floats("fill"), mean: a.Floats("mean"), scale: a.Floats("scale")}
	if len(c.names) == 0 {
		return nil, errors.New("names are missing")
	}
	c.values = make([][]string, len(c.names))
	for i, n := range c.names {
		if slices.Contains(c.names[:i], n) || n == c.label {
			return nil, fmt.Errorf("column %q is named twice", n)
		}
	}
	for _, v := range texts("values") {
		name, value, ok := strings.Cut(v, "=")
		i := slices.Index(c.names, name)
		if !ok || i < 0 {
			return nil, fmt.Errorf("value %q is not COLUMN=VALUE of a column", v)
		}
		c.values[i] = append(c.values[i], value)
	}
	for _, v := range c.values {
		c.width += max(1, len(v))
	}
	for _, l := range [][]float64{c.fill, c.mean, c.scale} {
		if len(l) != 0 && len(l) != len(c.names) {
			return nil, fmt.Errorf("%d values of fill, mean or scale for %d columns", len(l), len(c.names))
		}
		for _, v := range l {
			if v-v != 0 {
				return nil, fmt.Errorf("fill, mean or scale of %v", v)
			}
		}
	}
	return c, nil
}

// Width is the number of values that a row becomes.
func (c *Columns) Width() int { return c.width }

// Missing reports whether a cell stands for none.
func (c *Columns) Missing(cell string) bool {
	return cell == "" || slices.Contains(c.missing, cell)
}

// Row turns the cells of the columns, in the order of their names, into numbers. A
// value that a column of texts has not been seen with gives only zeros.
func (c *Columns) Row(cells []string) ([]float32, error) {
	if len(cells) != len(c.names) {
		return nil, fmt.Errorf("%d cells for %d columns", len(cells), len(c.names))
	}
	row := make([]float32, 0, c.width)
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if len(c.values[i]) > 0 {
			for _, v := range c.values[i] {
				one := float32(0)
				if v == cell {
					one = 1
				}
				row = append(row, one)
			}
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		switch {
		case c.Missing(cell):
			v = math.NaN()
		case err != nil || v-v != 0:
			return nil, fmt.Errorf("column %q: %.40q is not a number", c.names[i], cell)
		}
		n, err := c.number(i, v)
		if err != nil {
			return nil, err
		}
		row = append(row, n)
	}
	return row, nil
}

// number scales the value of a column; NaN is a missing one.
func (c *Columns) number(i int, v float64) (float32, error) {
	if v-v != 0 {
		if len(c.fill) == 0 {
			return 0, fmt.Errorf("column %q: the value is missing, and the model does not say what to put there", c.names[i])
		}
		v = c.fill[i]
	}
	if len(c.mean) > 0 {
		v -= c.mean[i]
	}
	if len(c.scale) > 0 {
		v *= c.scale[i]
	}
	return float32(v), nil
}

// numbers is Row for values that came without text, where no column needs one.
func (c *Columns) numbers(v []float32) ([]float32, error) {
	if len(v) != len(c.names) {
		return nil, fmt.Errorf("%d values for %d columns", len(v), len(c.names))
	}
	row := make([]float32, len(v))
	for i, x := range v {
		if len(c.values[i]) > 0 {
			return nil, fmt.Errorf("column %q is not a number: give the row as text", c.names[i])
		}
		var err error
		if row[i], err = c.number(i, float64(x)); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// columnsStep makes a row of text, or of numbers, the input.
func (p *Pipeline) columnsStep(a format.Attrs) (step, error) {
	c, err := NewColumns(a)
	if err != nil {
		return nil, err
	}
	if c.width != p.elems {
		return nil, fmt.Errorf("a row becomes %d values; the input has %d", c.width, p.elems)
	}
	p.columns = c
	return func(v *values) error {
		var row []float32
		var err error
		if v.isText {
			var cells []string
			if cells, err = csv.NewReader(strings.NewReader(v.text)).Read(); err == nil {
				row, err = c.Row(cells)
			}
		} else {
			row, err = c.numbers(v.v)
		}
		if err != nil {
			return err
		}
		v.plane, v.isText, v.what = plane{1, len(row), 1, row}, false, "row"
		return nil
	}, nil
}

// read yields the rows of a table, as one line of text with the cells of c's
// columns each, and their labels, "" without a column of them. A first line that
// has all names is the header; without one columns are called 1, 2, 3 and so on.
func (c *Columns) read(r io.Reader) (rows, labels []string, err error) {
	f := csv.NewReader(io.LimitReader(r, MaxBytes))
	f.TrimLeadingSpace = true
	first, err := f.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("no row: %w", err)
	}
	first = trimmed(first)
	head := first
	has := func(name string) bool { return slices.Contains(head, name) }
	header := !slices.ContainsFunc(c.names, func(n string) bool { return !has(n) })
	if !header {
		head = make([]string, len(first))
		for i := range head {
			head[i] = strconv.Itoa(i + 1)
		}
	}
	at := make([]int, len(c.names))
	for i, n := range c.names {
		if at[i] = slices.Index(head, n); at[i] < 0 {
			return nil, nil, fmt.Errorf("no column is called %q", n)
		}
	}
	label := slices.Index(head, c.label)
	for rec := first; err == nil; rec, err = f.Read() {
		if header {
			header = false
			continue
		}
		rec = trimmed(rec)
		cells := make([]string, len(at))
		for i, k := range at {
			cells[i] = rec[k]
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		if err := w.Write(cells); err != nil {
			return nil, nil, err
		}
		w.Flush()
		l := ""
		if label >= 0 {
			l = rec[label]
		}
		rows, labels = append(rows, b.String()), append(labels, l)
	}
	if err != io.EOF {
		return nil, nil, err
	}
	if len(rows) == 0 {
		return nil, nil, errors.New("no rows after the header line")
	}
	return rows, labels, nil
}

func trimmed(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.TrimSpace(c)
	}
	return out
}

// readFile reads the first row of a table.
func (c *Columns) readFile(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, _, err := c.read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return Text(rows[0]), nil
}

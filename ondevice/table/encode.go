package table

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/ondevice/fit"
	"github.com/whet-edge/whet/runtime/pre"
)

// A Fill says what comes in the place of a missing number.
type Fill string

// The fills. With None a missing number is an error, at training and in use.
const (
	None   Fill = ""
	Mean   Fill = "mean"
	Median Fill = "median"
	Zero   Fill = "zero"
)

// An Encoding says how rows become numbers.
type Encoding struct {
	Target      string   // the column of classes or of the value that is foretold
	Regression  bool     // the target is a value
	Columns     []string // that are read; nil: all but the target
	Fill        Fill
	Standardize bool // (x - mean) / standard deviation; columns of texts are left as 0 and 1
}

// An Encoder turns rows into what a network reads. All that it knows of values is
// from the rows that [Fit] was given.
type Encoder struct {
	Classes []string // of the target, in order; nil for a regression
	Inputs  []string // what each number of an input is: COLUMN or COLUMN=VALUE

	encoding Encoding
	attrs    format.Attrs
	columns  *pre.Columns
	names    []string
}

// Fit learns the encoding from the training rows: which values there are, what to
// fill in, means and deviations. Giving it other rows would tell the training
// what it is judged on.
func Fit(t *Table, e Encoding) (*Encoder, error) {
	if len(t.Cells) == 0 {
		return nil, errors.New("table: no rows")
	}
	target, err := t.Describe(e.Target)
	if err != nil {
		return nil, err
	}
	out := &Encoder{encoding: e, names: slices.Clone(e.Columns)}
	switch {
	case e.Regression && !target.Number:
		return nil, fmt.Errorf("table: the target %q is not a number: %q", e.Target, target.Values)
	case !e.Regression:
		at, _ := t.at([]string{e.Target}) // Describe has found it
		seen := map[string]bool{}
		for _, row := range t.Cells {
			if v := row[at[0]]; v != "" && !seen[v] {
				seen[v] = true
				out.Classes = append(out.Classes, v)
			}
		}
		byNumber(out.Classes)
		if len(out.Classes) < 2 {
			return nil, fmt.Errorf("table: the target %q has the values %q: two classes are needed", e.Target, out.Classes)
		}
	}
	if out.names == nil {
		out.names = slices.DeleteFunc(slices.Clone(t.Names), func(n string) bool { return n == e.Target })
	}
	fill, mean, scale := make([]float64, len(out.names)), make([]float64, len(out.names)), make([]float64, len(out.names))
	var values []string
	for i, name := range out.names {
		c, err := t.Describe(name)
		if err != nil {
			return nil, err
		}
		scale[i] = 1
		if !c.Number {
			if c.Count == 0 {
				return nil, fmt.Errorf("table: column %q has no values", name)
			}
			for _, v := range c.Values {
				values = append(values, name+"="+v)
				out.Inputs = append(out.Inputs, name+"="+v)
			}
			continue
		}
		out.Inputs = append(out.Inputs, name)
		switch e.Fill {
		case None, Zero:
		case Mean:
			fill[i] = c.Mean
		case Median:
			fill[i] = c.Median
		default:
			return nil, fmt.Errorf("table: fill %q: mean, median and zero are known", e.Fill)
		}
		if e.Standardize {
			mean[i] = c.Mean
			if c.Std > 0 {
				scale[i] = 1 / c.Std
			}
		}
	}
	out.attrs = format.Attrs{"names": out.names, "label": e.Target}
	if len(values) > 0 {
		out.attrs["values"] = values
	}
	if e.Fill != None {
		out.attrs["fill"] = fill
	}
	if e.Standardize {
		out.attrs["mean"], out.attrs["scale"] = mean, scale
	}
	if out.columns, err = pre.NewColumns(out.attrs); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	return out, nil
}

// Attach writes the encoding and the names of the classes into a model's header:
// with them whet run and whet eval take rows as they are in the file.
func (e *Encoder) Attach(m *format.Model) {
	m.Header.Pre = []format.Transform{{Op: "columns", Tensor: m.Main().Inputs[0].Tensor, Attrs: e.attrs}}
	m.Header.Labels = e.Classes
}

// Width is the number of values of an input.
func (e *Encoder) Width() int { return e.columns.Width() }

// Data encodes the rows of a table with the same columns.
func (e *Encoder) Data(t *Table) (*fit.Data, error) {
	at, err := t.at(e.names)
	if err != nil {
		return nil, err
	}
	target, err := t.at([]string{e.encoding.Target})
	if err != nil {
		return nil, err
	}
	d := &fit.Data{}
	cells := make([]string, len(at))
	for r, row := range t.Cells {
		for i, k := range at {
			cells[i] = row[k]
		}
		x, err := e.columns.Row(cells)
		if err != nil {
			return nil, fmt.Errorf("table: row %d: %w", r+1, err)
		}
		d.X = append(d.X, x)
		y := row[target[0]]
		if e.encoding.Regression {
			v, err := strconv.ParseFloat(y, 64)
			if err != nil || v-v != 0 {
				return nil, fmt.Errorf("table: row %d: the target %q is not a number", r+1, y)
			}
			d.Target = append(d.Target, []float32{float32(v)})
			continue
		}
		c := slices.Index(e.Classes, y)
		if c < 0 {
			return nil, fmt.Errorf("table: row %d: the class %q was not among the training rows", r+1, y)
		}
		d.Class = append(d.Class, c)
	}
	return d, nil
}

// Windows cuts a series into pieces of length values, one a step apart, and gives
// for each the value that comes ahead steps after its last one.
func Windows(series []float32, length, step, ahead int) (*fit.Data, error) {
	if length < 1 || step < 1 || ahead < 1 || len(series) < length+ahead {
		return nil, fmt.Errorf("table: windows of %d values, %d apart and %d ahead, in a series of %d", length, step, ahead, len(series))
	}
	d := &fit.Data{}
	for at := 0; at+length+ahead <= len(series); at += step {
		d.X = append(d.X, series[at:at+length])
		d.Target = append(d.Target, []float32{series[at+length+ahead-1]})
	}
	return d, nil
}

// Values returns the numbers of a column, none of which may be missing.
func (t *Table) Values(column string) ([]float32, error) {
	at, err := t.at([]string{column})
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(t.Cells))
	for i, row := range t.Cells {
		x, err := strconv.ParseFloat(row[at[0]], 64)
		if err != nil || x-x != 0 {
			return nil, fmt.Errorf("table: row %d: %q is not a number", i+1, row[at[0]])
		}
		v[i] = float32(x)
	}
	return v, nil
}

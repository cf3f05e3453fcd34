// Package table reads tables for training: types of columns, missing values,
// statistics of the training part, and the encoding that travels in the model.
//
//	t, err := table.Read(file, table.Options{Missing: []string{"?"}})
//	t = t.DropMissing()
//	e, err := table.Fit(t.Rows(train), table.Encoding{Target: "9", Standardize: true})
//	data, err := e.Data(t)              // for package ondevice/fit
//	e.Attach(m)                         // whet run and whet eval take raw rows now
package table

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/runtime/pre"
)

// A Table is rows of cells. A missing cell is empty.
type Table struct {
	Names []string
	Cells [][]string // by row
}

// Options say how to read a table.
type Options struct {
	Missing []string // texts that stand for no value, beside the empty one: "NA", "?"
}

// Read reads comma-separated values. A first line without any number is the header;
// without one the columns are called 1, 2, 3 and so on.
func Read(r io.Reader, o Options) (*Table, error) {
	c := csv.NewReader(io.LimitReader(r, pre.MaxBytes))
	c.TrimLeadingSpace = true
	rows, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("table: no rows")
	}
	t := &Table{Cells: rows}
	if !slices.ContainsFunc(rows[0], isNumber) {
		t.Names, t.Cells = rows[0], rows[1:]
		for i, n := range t.Names {
			t.Names[i] = strings.TrimSpace(n)
			if t.Names[i] == "" || slices.Contains(t.Names[:i], t.Names[i]) {
				return nil, fmt.Errorf("table: column %d is called %q, which is empty or there twice", i+1, t.Names[i])
			}
		}
	} else {
		for i := range rows[0] {
			t.Names = append(t.Names, strconv.Itoa(i+1))
		}
	}
	for _, row := range t.Cells {
		for i, cell := range row {
			if row[i] = strings.TrimSpace(cell); slices.Contains(o.Missing, row[i]) {
				row[i] = ""
			}
		}
	}
	return t, nil
}

func isNumber(s string) bool {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil && v-v == 0
}

// Rows returns the rows of the indices.
func (t *Table) Rows(indices []int) *Table {
	s := &Table{Names: t.Names}
	for _, i := range indices {
		s.Cells = append(s.Cells, t.Cells[i])
	}
	return s
}

// DropMissing returns the rows that have a value in all of the columns, without
// names in all there are.
func (t *Table) DropMissing(columns ...string) (*Table, error) {
	at, err := t.at(columns)
	if err != nil {
		return nil, err
	}
	s := &Table{Names: t.Names}
	for _, row := range t.Cells {
		if !slices.ContainsFunc(at, func(i int) bool { return row[i] == "" }) {
			s.Cells = append(s.Cells, row)
		}
	}
	return s, nil
}

// MarkMissing returns the table with cells that are a number taken for missing in
// the columns: a blood pressure of 0, say.
func (t *Table) MarkMissing(number float64, columns ...string) (*Table, error) {
	at, err := t.at(columns)
	if err != nil {
		return nil, err
	}
	s := &Table{Names: t.Names}
	for _, row := range t.Cells {
		row = slices.Clone(row)
		for _, i := range at {
			if v, err := strconv.ParseFloat(row[i], 64); err == nil && v == number {
				row[i] = ""
			}
		}
		s.Cells = append(s.Cells, row)
	}
	return s, nil
}

// at returns the indices of columns, of all without names.
func (t *Table) at(columns []string) (list []int, err error) {
	if len(columns) == 0 {
		columns = t.Names
	}
	for _, c := range columns {
		i := slices.Index(t.Names, c)
		if i < 0 {
			return nil, fmt.Errorf("table: no column is called %q; there are %q", c, t.Names)
		}
		list = append(list, i)
	}
	return list, nil
}

// A Column is what is known of a column's values, the missing ones left out.
type Column struct {
	Name    string
	Number  bool // every value is one
	Count   int  // of values
	Missing int

	Mean, Std, Min, Median, Max float64 // of a column of numbers; Std is the sample's, by Count-1

	Values []string // of a column of texts, in order, each once
}

// Describe returns what is known of a column.
func (t *Table) Describe(name string) (*Column, error) {
	at, err := t.at([]string{name})
	if err != nil {
		return nil, err
	}
	c := &Column{Name: name, Number: true}
	var cells []string
	for _, row := range t.Cells {
		cell := row[at[0]]
		if cell == "" {
			c.Missing++
			continue
		}
		cells = append(cells, cell)
		c.Number = c.Number && isNumber(cell)
	}
	if c.Count = len(cells); c.Count == 0 {
		c.Number = false
	}
	if !c.Number {
		slices.Sort(cells)
		c.Values = slices.Compact(cells)
		return c, nil
	}
	v := make([]float64, len(cells))
	for i, cell := range cells {
		v[i], _ = strconv.ParseFloat(cell, 64) // isNumber has said that it is one
	}
	c.Mean, c.Std = moments(v)
	slices.Sort(v)
	n := len(v)
	c.Min, c.Max, c.Median = v[0], v[n-1], (v[(n-1)/2]+v[n/2])/2
	return c, nil
}

// moments are the mean and the sample's standard deviation, in two passes with the
// second's correction (Chan, Golub and LeVeque, 1983, formula 1.7).
func moments(v []float64) (mean, std float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x
	}
	mean /= n
	var squares, rest float64
	for _, x := range v {
		d := x - mean
		squares += float64(d * d)
		rest += d
	}
	if len(v) < 2 {
		return mean, 0
	}
	return mean, math.Sqrt((squares - float64(rest*rest)/n) / (n - 1))
}

// byNumber sorts names by the numbers that they are, else by their bytes.
func byNumber(names []string) {
	numbers := !slices.ContainsFunc(names, func(s string) bool { return !isNumber(s) })
	slices.SortFunc(names, func(a, b string) int {
		if numbers {
			x, _ := strconv.ParseFloat(a, 64)
			y, _ := strconv.ParseFloat(b, 64)
			return cmp.Compare(x, y)
		}
		return cmp.Compare(a, b)
	})
}

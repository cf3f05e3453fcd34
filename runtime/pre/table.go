package pre

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ReadNumbers reads numbers separated by white space, commas or semicolons: a
// .txt file, or a .csv file that holds one sample. A first line without any
// number is a header and is skipped.
func ReadNumbers(r io.Reader) (*Array, error) {
	var out []float32
	sc := bufio.NewScanner(io.LimitReader(r, MaxBytes))
	sc.Buffer(nil, 64<<20)
	for line := 1; sc.Scan(); line++ {
		fields := strings.FieldsFunc(sc.Text(), func(r rune) bool { return strings.ContainsRune(" \t\r,;", r) })
		for i, f := range fields {
			v, err := strconv.ParseFloat(f, 32)
			if err != nil && line == 1 && i == 0 && !anyNumber(fields) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("line %d: %.40q is not a number", line, f)
			}
			out = append(out, float32(v))
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no numbers")
	}
	return floats(out, len(out)), nil
}

func anyNumber(fields []string) bool {
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 32); err == nil {
			return true
		}
	}
	return false
}

// labelColumns are the names under which a table's column of classes is
// looked for; without one, the last column is it.
var labelColumns = []string{"label", "class", "target", "y"}

// labelColumn returns the index of the column of classes.
func labelColumn(head []string) int {
	col := slices.IndexFunc(head, func(h string) bool {
		return slices.ContainsFunc(labelColumns, func(name string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
	})
	if col < 0 {
		col = len(head) - 1
	}
	return col
}

// readTexts reads a table with a header line and two columns: a text and its
// class.
func readTexts(r io.Reader) (texts, labels []string, err error) {
	c := csv.NewReader(io.LimitReader(r, MaxBytes))
	head, err := c.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("no header line: %w", err)
	}
	if len(head) != 2 {
		return nil, nil, fmt.Errorf("%d columns; for a model that takes texts there are two, the text and its class", len(head))
	}
	col := labelColumn(head)
	for {
		rec, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		texts, labels = append(texts, rec[1-col]), append(labels, strings.TrimSpace(rec[col]))
	}
	if len(texts) == 0 {
		return nil, nil, errors.New("no rows after the header line")
	}
	return texts, labels, nil
}

// readTable reads a table with a header line: one sample a row, one column of
// class names.
func readTable(r io.Reader) (rows [][]float32, labels []string, err error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("no header line: %w", err)
	}
	if anyNumber(head) {
		return nil, nil, errors.New("the first line has numbers; a header line with the columns' names is needed")
	}
	col := labelColumn(head)
	if len(head) < 2 {
		return nil, nil, errors.New("one column only; a column of classes and one of values at least are needed")
	}
	for {
		rec, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		row := make([]float32, 0, len(rec)-1)
		for i, f := range rec {
			if i == col {
				labels = append(labels, strings.TrimSpace(f))
				continue
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(f), 32)
			if err != nil {
				line, _ := c.FieldPos(i)
				return nil, nil, fmt.Errorf("line %d, column %d: %.40q is not a number", line, i+1, f)
			}
			row = append(row, float32(v))
		}
		rows = append(rows, row)
		if len(rows)*len(row) > MaxBytes/4 {
			return nil, nil, fmt.Errorf("more than %d MiB of numbers", MaxBytes>>20)
		}
	}
	if len(rows) == 0 {
		return nil, nil, errors.New("no rows after the header line")
	}
	return rows, labels, nil
}

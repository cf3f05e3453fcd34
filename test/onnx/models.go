package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/tools/convert"
)

// models lists the .onnx files below a folder that have vectors in its golden
// folder, which holds one with the model's path and in it in_CASE_INPUT.npy and
// out_CASE_OUTPUT.npy. Symbolic dimensions take the sizes of the vectors, so
// cases of different shapes are cases of their own.
func models(dir string) ([]testCase, error) {
	var cases []testCase
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "golden":
			return fs.SkipDir // its folders are named after models
		case d.IsDir() || filepath.Ext(p) != ".onnx":
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		vectors, err := filepath.Glob(filepath.Join(dir, "golden", rel, "in_*_0.npy"))
		if err != nil || len(vectors) == 0 {
			return err
		}
		for _, v := range vectors {
			number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(v), "in_"), "_0.npy")
			c := testCase{name: filepath.ToSlash(rel) + " " + number, model: p, rel: 1e-4, floor: 1e-2}
			if err := c.vectors(filepath.Dir(v), number); err != nil {
				return err
			}
			cases = append(cases, c)
		}
		return nil
	})
	return cases, err
}

// vectors reads one case, and gives the model the sizes of its inputs.
func (c *testCase) vectors(dir, number string) error {
	var d dataSet
	var err error
	if d.in, err = arrays(dir, "in_"+number+"_"); err != nil {
		return err
	}
	if d.out, err = arrays(dir, "out_"+number+"_"); err != nil {
		return err
	}
	names, err := convert.ONNXInputs(c.model)
	if err != nil {
		return err
	}
	for i, t := range d.in {
		for k, n := range t.Shape {
			if i < len(names) {
				c.opts = append(c.opts, convert.WithDim(fmt.Sprintf("%s[%d]", names[i], k), n))
			}
		}
	}
	c.sets = []dataSet{d}
	return nil
}

// arrays reads PREFIX0.npy, PREFIX1.npy ...
func arrays(dir, prefix string) ([]*format.Tensor, error) {
	var list []*format.Tensor
	for i := 0; ; i++ {
		f, err := os.Open(filepath.Join(dir, fmt.Sprintf("%s%d.npy", prefix, i)))
		if errors.Is(err, os.ErrNotExist) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		a, err := pre.ReadNPY(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		list = append(list, &format.Tensor{Type: a.Type, Shape: a.Shape, Data: a.Data})
	}
}

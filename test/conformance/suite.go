package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/runtime/pre"
)

// A model is a source file and the vectors that another runtime made with it.
type model struct {
	name   string // path below the material folder, with slashes
	path   string
	oracle string // the runtime that made the vectors
	note   string // why there are none
	cases  []testCase
}

// A testCase is one session: a step for each run of it.
type testCase struct {
	name  string
	steps []step
}

// A step gives every input and the output that is expected for it.
type step struct{ in, out []*pre.Array }

// indexEntry is what index.json says of one model.
type indexEntry struct {
	Model  string `json:"model"`
	Oracle string `json:"oracle"`
	Note   string `json:"note"`
	Cases  []struct {
		Case int `json:"case"`
	} `json:"cases"`
	Inputs  []json.RawMessage `json:"inputs"`
	Outputs []json.RawMessage `json:"outputs"`
}

// extensions are those of the models that are compared.
var extensions = []string{".tflite", ".h5", ".keras"}

// findModels lists the models below the folders whose name contains filter, with their vectors, which the folders hold in golden.
func findModels(folders []string, filter string) ([]*model, error) {
	var models []*model
	for _, dir := range folders {
		found, err := walk(dir, filter)
		if err != nil {
			return nil, err
		}
		models = append(models, found...)
	}
	if len(models) == 0 {
		return nil, fmt.Errorf("%s: no .tflite, .h5 or .keras file whose name contains %q", strings.Join(folders, ", "), filter)
	}
	for _, dir := range folders {
		if err := addVectors(models, filepath.Join(dir, "golden")); err != nil {
			return nil, err
		}
	}
	return models, nil
}

func walk(dir, filter string) ([]*model, error) {
	var models []*model
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "golden":
			return fs.SkipDir // its folders are named after models
		case d.IsDir() || !slices.Contains(extensions, filepath.Ext(p)):
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		m := &model{name: filepath.ToSlash(rel), path: p}
		if strings.Contains(m.name, filter) {
			models = append(models, m)
		}
		return nil
	})
	return models, err
}

// addVectors loads the vectors in dir: index.json lists the models whose cases
// stand as in_CASE_INPUT.npy and out_CASE_OUTPUT.npy in a folder named after
// the model. A pair seq_in.npy and seq_out.npy is one session of many runs:
// its first dimension counts them.
func addVectors(models []*model, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return err
	}
	var index []indexEntry
	if err := json.Unmarshal(b, &index); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "index.json"), err)
	}
	for _, m := range models {
		at := filepath.Join(dir, filepath.FromSlash(m.name))
		i := slices.IndexFunc(index, func(e indexEntry) bool { return e.Model == m.name })
		if i >= 0 {
			e := index[i]
			if e.Oracle != "" {
				m.oracle = e.Oracle
			}
			if e.Note != "" {
				m.note = e.Note
			}
			for _, c := range e.Cases {
				s := step{}
				if s.in, err = arrays(at, fmt.Sprintf("in_%d_", c.Case), len(e.Inputs)); err != nil {
					return err
				}
				if s.out, err = arrays(at, fmt.Sprintf("out_%d_", c.Case), len(e.Outputs)); err != nil {
					return err
				}
				m.cases = append(m.cases, testCase{fmt.Sprint(c.Case), []step{s}})
			}
		}
		seq, err := sequence(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.cases = append(m.cases, seq)
	}
	return nil
}

func arrays(dir, prefix string, n int) ([]*pre.Array, error) {
	var out []*pre.Array
	for i := range n {
		a, err := readArray(filepath.Join(dir, fmt.Sprintf("%s%d.npy", prefix, i)))
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func readArray(name string) (*pre.Array, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := pre.ReadNPY(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

func sequence(dir string) (testCase, error) {
	c := testCase{name: "seq"}
	in, err := readArray(filepath.Join(dir, "seq_in.npy"))
	if err != nil {
		return c, err
	}
	out, err := readArray(filepath.Join(dir, "seq_out.npy"))
	if err != nil {
		return c, err
	}
	ins, outs := rows(in), rows(out)
	if len(ins) != len(outs) || len(ins) == 0 {
		return c, fmt.Errorf("%s: %d inputs and %d outputs", path.Join(dir, "seq_*.npy"), len(ins), len(outs))
	}
	for i := range ins {
		c.steps = append(c.steps, step{[]*pre.Array{ins[i]}, []*pre.Array{outs[i]}})
	}
	return c, nil
}

// rows splits an array along its first dimension.
func rows(a *pre.Array) []*pre.Array {
	if len(a.Shape) == 0 || a.Shape[0] == 0 {
		return nil
	}
	n := len(a.Data) / a.Shape[0]
	var out []*pre.Array
	for i := range a.Shape[0] {
		out = append(out, &pre.Array{Type: a.Type, Shape: a.Shape[1:], Data: a.Data[i*n : (i+1)*n]})
	}
	return out
}

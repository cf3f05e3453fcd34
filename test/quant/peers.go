package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// An exported network is one whose float model other quantizers can read.
type exported struct {
	Files string `json:"files"` // what the names of its files begin with
	Model string `json:"model"`
}

// files is what the names of a network's exported files begin with.
func (n *network) files() string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '_'
		}
		return r
	}, n.name)
}

// export writes the samples of the networks whose float model is the published
// one, for peers.py.
func export(from folders, models, dir, filter string) error {
	var index []exported
	for _, n := range networks {
		if n.integer || n.upset || n.hybrid || !strings.Contains(n.name, filter) {
			continue
		}
		if _, err := os.Stat(n.path(from.material, models)); n.made && err != nil {
			continue
		}
		calibration, eval, err := n.load(from)
		if err != nil {
			return err
		}
		e := exported{n.files(), n.path(from.material, models)}
		index = append(index, e)
		for name, d := range map[string]*data{".calibration.npy": calibration, ".eval.npy": eval} {
			if err := writeRows(filepath.Join(dir, e.Files+name), d.x); err != nil {
				return err
			}
		}
	}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), b, 0o666)
}

// writeRows writes a float32 array of one row a sample.
func writeRows(path string, rows [][]float32) error {
	a := &pre.Array{Type: format.Float32, Shape: format.Shape{len(rows), len(rows[0])}}
	for _, r := range rows {
		for _, v := range r {
			a.Data = le.AppendUint32(a.Data, math.Float32bits(v))
		}
	}
	var b bytes.Buffer
	if err := pre.WriteNPY(&b, a); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// peer reads the outputs of a network as another quantizer made it; nil if it
// has none.
func (n *network) peer(dir, file string, rows int) ([]answer, error) {
	if dir == "" || n.upset {
		return nil, nil
	}
	path := filepath.Join(dir, n.files()+file)
	a, err := pre.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, err := a.Float32s()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(a.Shape) != 2 || a.Shape[0] != rows {
		return nil, fmt.Errorf("%s: shape %v, want %d rows", path, []int(a.Shape), rows)
	}
	out := make([]answer, rows)
	for i := range out {
		out[i] = answer{x[i*a.Shape[1] : (i+1)*a.Shape[1]], a.Shape[1]}
	}
	return out, nil
}

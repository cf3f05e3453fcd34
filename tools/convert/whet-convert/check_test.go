package main

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

func floats(v ...float32) *pre.Array {
	a := &pre.Array{Type: format.Float32, Shape: format.Shape{len(v)}}
	for _, x := range v {
		a.Data = binary.LittleEndian.AppendUint32(a.Data, math.Float32bits(x))
	}
	return a
}

func archive(t *testing.T, arrays map[string]*pre.Array) string {
	path := filepath.Join(t.TempDir(), "golden.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, a := range arrays {
		w, err := z.Create(name + ".npy")
		if err == nil {
			err = pre.WriteNPY(w, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// y = relu(x), in float32 and in int8 with a scale of 0.5.
func TestCheck(t *testing.T) {
	for _, q := range []*format.Quant{nil, format.PerTensor(0.5, 0)} {
		typ := format.Float32
		if q != nil {
			typ = format.Int8
		}
		m := &format.Model{
			Tensors: []*format.Tensor{{Name: "x", Type: typ, Shape: format.Shape{4}, Quant: q}, {Name: "y", Type: typ, Shape: format.Shape{4}, Quant: q}},
			Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
				Nodes: []*format.Node{{Name: "relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}}}},
		}
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in.whet"), filepath.Join(dir, "out.whet")
		if err := format.WriteFile(in, m); err != nil {
			t.Fatal(err)
		}
		good := archive(t, map[string]*pre.Array{"x": floats(-1, 2, 3.5, 0), "y": floats(0, 2, 3.5, 0)})
		code, stdout, stderr := call(in, "-o", out, "--check", good, "--json")
		var r report
		if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil || len(r.Checked) != 1 || r.Checked[0] != (difference{Output: "y", Elems: 4, SNR: same, SameTop: true}) {
			t.Errorf("exit %d, %s%s%v", code, stdout, stderr, err)
		}
		if err := os.Remove(out); err != nil {
			t.Fatal(err)
		}
		bad := archive(t, map[string]*pre.Array{"x": floats(-1, 2, 3.5, 0), "y": floats(0, 2.5, 2, 0)})
		code, _, stderr = call(in, "-o", out, "--check", bad)
		if _, err := os.Stat(out); code != exitFailed || err == nil || !strings.Contains(stderr, `"y" is off by 1.5 (0.6 of its greatest number) at element 2`) {
			t.Errorf("exit %d, %v, %s", code, err, stderr)
		}
		if code, stdout, _ := call(in, "-o", out, "--check", bad, "--tolerance", "0.7"); code != 0 || !strings.Contains(stdout, "another element is the greatest") {
			t.Errorf("exit %d, %s", code, stdout)
		}
		for name, arrays := range map[string]map[string]*pre.Array{
			"an output is missing": {"x": floats(1, 2, 3, 4)},
			"of another shape":     {"x": floats(1, 2, 3), "y": floats(1, 2, 3)},
			"no number":            {"x": floats(1, 2, 3, 4), "y": floats(1, 2, 3, float32(math.Inf(1)))},
		} {
			if code, _, stderr := call(in, "-o", out, "--check", archive(t, arrays)); code != exitFailed || stderr == "" {
				t.Errorf("%s: exit %d, %s", name, code, stderr)
			}
		}
	}
}

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

// TestStream turns a convolution of three frames over.
func TestStream(t *testing.T) {
	x := &format.Tensor{Name: "x", Type: format.Float32, Shape: format.Shape{1, 1, 32, 1}}
	w := &format.Tensor{Name: "w", Type: format.Float32, Shape: format.Shape{1, 1, 3, 1}, Data: make([]byte, 12)}
	w.Data[3], w.Data[7], w.Data[11] = 0x3f, 0x40, 0x41
	y := &format.Tensor{Name: "y", Type: format.Float32, Shape: format.Shape{1, 1, 32, 1}}
	m := &format.Model{Tensors: []*format.Tensor{x, w, y}, Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
		Nodes: []*format.Node{{Name: "conv", Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attrs: format.Attrs{"pads": []int64{0, 1, 0, 1}}}}}}}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.whet"), filepath.Join(dir, "out.whet")
	if err := format.WriteFile(in, m); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(in, "-o", out, "--stream", "x[2]=4", "--json")
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil || r.States != 1 || r.Stream == nil || r.Stream.Compared != 31 || r.Stream.Outputs[0].Delay != 1 {
		t.Errorf("exit %d, %s%s%v", code, stdout, stderr, err)
	}
	if code, stdout, _ := call(in, "-o", out, "--stream", "x[2]=8"); code != 0 || !strings.Contains(stdout, "8 frames in a run, 1 frames late") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for spec, want := range map[string]int{"x=4": exitUsage, "x[2]": exitUsage, "[2]=4": exitUsage, "x[-1]=4": exitUsage, "x[2]=0": exitUsage, "z[2]=4": exitFailed, "x[3]=4": exitFailed} {
		if code, _, stderr := call(in, "-o", out, "--stream", spec); code != want || stderr == "" {
			t.Errorf("%s: exit %d, %s", spec, code, stderr)
		}
	}
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFates: the report names each node of the source and what stands for it, also without a
// quantization, and what computes in floats between quantized nodes.
func TestFates(t *testing.T) {
	dir := t.TempDir()
	in, data, page := floatModel(t, true, "Exp"), table(t, 40), filepath.Join(dir, "r.json")
	read := func(args ...string) (r pageReport) {
		t.Helper()
		if code, _, stderr := call(append(args, "-o", filepath.Join(dir, "m.whet"), "--report", page)...); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		b, err := os.ReadFile(page)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := read(source("classifier.tflite"))
	if r.Report != nil || len(r.Nodes) == 0 || r.Nodes[0].Op != "CONV_2D" || len(r.Nodes[0].Made) == 0 || r.Nodes[0].Made[0].Op != "Conv" || r.Nodes[0].Made[0].Step == "" {
		t.Errorf("%+v", r)
	}
	r = read(in, "--quantize", "int8", "--calibrate", data)
	if r.Report == nil || len(r.Breaks) != 1 || r.Breaks[0].Op != "Exp" || r.Breaks[0].Why != "Exp has no form in int8" || r.Breaks[0].Share <= 0 {
		t.Errorf("breaks %+v", r.Breaks)
	}
	page = filepath.Join(dir, "r.html")
	if code, _, stderr := call(in, "-o", filepath.Join(dir, "m.whet"), "--quantize", "int8", "--calibrate", data, "--report", page); code != 0 {
		t.Fatal(stderr)
	}
	b, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(b), "Where 8-bit arithmetic breaks") || !strings.Contains(string(b), "What became of each node") {
		t.Errorf("%v, %s", err, b)
	}
}

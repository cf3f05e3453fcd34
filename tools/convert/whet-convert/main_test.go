package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

func source(name string) string { return filepath.Join("..", "testdata", name) }

func call(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	labels := filepath.Join(dir, "labels.txt")
	if err := os.WriteFile(labels, []byte("cat\ndog \n\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "m.whet")
	code, stdout, stderr := call(source("classifier.tflite"), "-o", out, "--labels", labels, "--name", "Pets",
		"--image", "size=2x2,mean=1/2/3,scale=0.5,order=bgr", "--json")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes != fi.Size() || r.Nodes != 3 || r.Labels != 2 || len(r.SourceHash) != 64 ||
		len(r.Inputs) != 1 || r.Inputs[0].Name != "pixels" || r.Inputs[0].Type != "uint8" || !slices.Equal(r.Inputs[0].Shape, []int{1, 2, 2, 3}) ||
		len(r.Outputs) != 1 || r.Outputs[0].Name != "scores" {
		t.Errorf("report %+v", r)
	}
	m, err := format.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := m.Header
	if !slices.Equal(h.Labels, []string{"cat", "dog"}) || h.Card["title"] != "Pets" || h.Source.Format != "tflite" {
		t.Errorf("header %+v", h)
	}
	if len(h.Pre) != 2 || h.Pre[0].Attrs.Str("order", "") != "bgr" || !slices.Equal(h.Pre[0].Attrs.Ints("size"), []int64{2, 2}) ||
		!slices.Equal(h.Pre[1].Attrs.Floats("mean"), []float64{1, 2, 3}) || !slices.Equal(h.Pre[1].Attrs.Floats("scale"), []float64{0.5}) {
		t.Errorf("preprocessing %v", h.Pre)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	onnx := filepath.Join(dir, "m.onnx")
	if err := os.WriteFile(onnx, []byte{8, 7}, 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.whet")
	good := source("classifier.tflite")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no input", []string{"-o", out}, exitUsage, "0 input files"},
		{"no output", []string{good}, exitUsage, "-o OUT.whet"},
		{"unknown flag", []string{good, "-o", out, "--bogus"}, exitUsage, "bogus"},
		{"quantize without samples", []string{good, "-o", out, "--quantize", "int8"}, exitUsage, "--calibrate"},
		{"quantize nonsense", []string{good, "-o", out, "--quantize", "int3"}, exitUsage, "int3"},
		{"onto itself", []string{good, "-o", good}, exitUsage, "overwrite"},
		{"image key", []string{good, "-o", out, "--image", "colour=1"}, exitUsage, "keys are"},
		{"image size", []string{good, "-o", out, "--image", "size=12"}, exitUsage, "HEIGHTxWIDTH"},
		{"image number", []string{good, "-o", out, "--image", "mean=NaN"}, exitUsage, "not a number"},
		{"image channels", []string{good, "-o", out, "--image", "mean=1/2"}, exitFailed, "3 channels"},
		{"image of another size", []string{good, "-o", out, "--image", "size=3x3"}, exitFailed, "takes 2x2"},
		{"image on a vector", []string{source("accumulator.tflite"), "-o", out, "--image", "mean=1"}, exitFailed, "a picture needs"},
		{"missing", []string{filepath.Join(dir, "no.tflite"), "-o", out}, exitFailed, "no.tflite"},
		{"missing labels", []string{good, "-o", out, "--labels", filepath.Join(dir, "no.txt")}, exitFailed, "no.txt"},
		{"dim", []string{onnx, "-o", out, "--dim", "batch"}, exitUsage, "NAME=SIZE"},
		{"const", []string{onnx, "-o", out, "--const", "rate=fast"}, exitUsage, "NAME=VALUE"},
		{"onnx", []string{onnx, "-o", out}, exitFailed, "not an ONNX model"},
		{"unsupported", []string{source("unsupported.tflite"), "-o", out}, exitFailed, `node 0 SEGMENT_SUM, output "y"`},
		{"no such folder", []string{good, "-o", filepath.Join(dir, "no", "out.whet")}, exitFailed, "out.whet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := call(tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", code, tt.code, stdout, stderr)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*.whet*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFailureAsJSON(t *testing.T) {
	code, stdout, _ := call(source("unsupported.tflite"), "-o", filepath.Join(t.TempDir(), "m.whet"), "--json")
	var r failureReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || len(r.Unsupported) != 1 || r.Unsupported[0].Op != "SEGMENT_SUM" || r.Error == "" {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestListOps(t *testing.T) {
	code, stdout, _ := call("--list-ops")
	ops := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || !slices.IsSorted(ops) || !slices.Contains(ops, "tflite CONV_2D") || !slices.Contains(ops, "onnx Conv") || !slices.Contains(ops, "keras Conv2D") || slices.Contains(ops, "tflite SEGMENT_SUM") {
		t.Errorf("exit %d, %q", code, ops)
	}
}

func TestCoverage(t *testing.T) {
	code, stdout, _ := call("--coverage")
	for _, want := range []string{"| CONV_2D | yes |", "| HASHTABLE | no: ", "| Conv2D | yes |", "| Lambda | no: ", "\ntflite: "} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, stdout)
		}
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

// floatModel writes a network of pictures [1,8,8,3] that the header says how to
// fill, followed by extra ops on its 4 scores, and returns its path.
func floatModel(t *testing.T, normalized bool, extra ...string) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	constant := func(name string, scale float64, shape ...int) *format.Tensor {
		b := []byte{}
		for range format.Shape(shape).Elems() {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64()*scale)))
		}
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape, Data: b}
	}
	act := func(name string, shape ...int) *format.Tensor {
		return &format.Tensor{Name: name, Type: format.Float32, Shape: shape}
	}
	m := &format.Model{
		Header: format.Header{Opset: 1, Pre: []format.Transform{{Op: "image", Tensor: "x"}}},
		Tensors: []*format.Tensor{act("x", 1, 8, 8, 3), act("a", 1, 8, 8, 8), act("b", 1, 8, 8, 8), act("c", 1, 512), act("y0", 1, 4),
			constant("w1", 0.2, 8, 3, 3, 3), constant("b1", 0.1, 8), constant("w2", 0.1, 4, 512)},
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{fmt.Sprint("y", len(extra))}, Nodes: []*format.Node{
			{Name: "conv", Op: "Conv", Inputs: []string{"x", "w1", "b1"}, Outputs: []string{"a"}, Attrs: format.Attrs{"pads": []int64{1, 1, 1, 1}}},
			{Name: "relu", Op: "Relu", Inputs: []string{"a"}, Outputs: []string{"b"}},
			{Name: "flat", Op: "Reshape", Inputs: []string{"b"}, Outputs: []string{"c"}, Attrs: format.Attrs{"shape": []int64{1, 512}}},
			{Name: "fc", Op: "Gemm", Inputs: []string{"c", "w2"}, Outputs: []string{"y0"}, Attrs: format.Attrs{"transB": int64(1)}},
		}}},
	}
	if normalized {
		m.Header.Pre = append(m.Header.Pre, format.Transform{Op: "normalize", Tensor: "x", Attrs: format.Attrs{"mean": []float64{127.5}, "scale": []float64{1 / 127.5}}})
	}
	for i, op := range extra {
		out := fmt.Sprint("y", i+1)
		m.Tensors = append(m.Tensors, act(out, 1, 4))
		m.Main().Nodes = append(m.Main().Nodes, &format.Node{Name: "extra " + op, Op: op, Inputs: []string{fmt.Sprint("y", i)}, Outputs: []string{out}})
	}
	path := filepath.Join(t.TempDir(), "float.whet")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// table writes n random pictures as a .csv and returns its path.
func table(t *testing.T, n int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for i := range 192 {
		fmt.Fprintf(&b, "p%d,", i)
	}
	b.WriteString("class\n")
	for range n {
		for range 192 {
			fmt.Fprintf(&b, "%d,", r.IntN(256))
		}
		fmt.Fprintln(&b, r.IntN(4))
	}
	path := filepath.Join(t.TempDir(), "data.csv")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuantize(t *testing.T) {
	for _, normalized := range []bool{false, true} {
		in, data, dir := floatModel(t, normalized, "Softmax"), table(t, 40), t.TempDir()
		out, page := filepath.Join(dir, "m.whet"), filepath.Join(dir, "m.html")
		args := []string{in, "-o", out, "--quantize", "int8", "--calibrate", data, "--samples", "32", "--strict-int8", "--report", page, "--json"}
		code, stdout, stderr := call(args...)
		if code != 0 || stderr != "" {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		var r report
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		q := r.Quantization
		if r.Scheme != "int8" || q == nil || q.Samples != 32 || q.Score.SQNR < 25 || q.Accuracy == nil || len(q.Float) != 0 || len(q.Layers) < 3 {
			t.Errorf("report %+v", q)
		}
		m, err := format.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		x := m.Tensor("x")
		if x.Type != format.Int8 || !strings.Contains(m.Header.Source.Note, "int8") {
			t.Errorf("input %v, note %q", x.Type, m.Header.Source.Note)
		}
		if !normalized && (x.Quant.Scale[0] != 1 || x.Quant.ZeroPoint() != -128) {
			t.Errorf("pixels are quantized by %+v: their codes are their own", x.Quant)
		}
		m.Close()
		html, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if s := string(html); !strings.HasPrefix(s, "<!DOCTYPE html>") || strings.Index(s, "<svg") > strings.Index(s, "<table") || strings.Contains(s, "http") || !strings.Contains(s, "conv") {
			t.Error("the page is not a picture and tables of its own")
		}
		first, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := call(args...); code != 0 {
			t.Fatal(stderr)
		}
		second, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Error("the same command made another file")
		}
	}
}

func TestWeightsOnly(t *testing.T) {
	in := floatModel(t, true)
	for scheme, want := range map[string]format.DType{"dynamic": format.Int8, "fp16": format.Float16} {
		out := filepath.Join(t.TempDir(), "m.whet")
		if code, _, stderr := call(in, "-o", out, "--quantize", scheme); code != 0 {
			t.Fatal(stderr)
		}
		m, err := format.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if w := m.Tensor("w1"); w.Type != want || m.Tensor("x").Type != format.Float32 {
			t.Errorf("%s: weights %v, input %v", scheme, w.Type, m.Tensor("x").Type)
		}
		m.Close()
	}
}

// TestCalibrationData takes the kinds of data that need no labels.
func TestCalibrationData(t *testing.T) {
	in, dir := floatModel(t, true), t.TempDir()
	values := strings.Repeat("7 200 31 ", 64)
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", i)), []byte(values), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "m.whet")
	code, stdout, stderr := call(in, "-o", out, "--quantize", "int8", "--calibrate", dir, "--json")
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatal(err, stderr)
	}
	if r.Quantization.Samples != 3 || r.Quantization.Accuracy != nil {
		t.Errorf("%+v", r.Quantization)
	}
}

func TestBudgetFlag(t *testing.T) {
	in, data, out := floatModel(t, true), table(t, 16), filepath.Join(t.TempDir(), "m.whet")
	code, stdout, stderr := call(in, "-o", out, "--quantize", "int8", "--calibrate", data, "--max-drop", "60dB", "--json")
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatal(err, stderr)
	}
	if q := r.Quantization; q.Score.SQNR < 60 || len(q.Kept) == 0 || !slices.Contains(q.Float, q.Kept[0].Node) {
		t.Errorf("%+v", q)
	}
}

func TestQuantizeFailures(t *testing.T) {
	in, log, data := floatModel(t, true), floatModel(t, true, "Exp"), table(t, 3)
	dir := t.TempDir()
	out := filepath.Join(dir, "m.whet")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no samples", []string{in, "--quantize", "int8"}, exitUsage, "--calibrate"},
		{"no such samples", []string{in, "--quantize", "int8", "--calibrate", filepath.Join(dir, "no.csv")}, exitFailed, "no.csv"},
		{"method", []string{in, "--quantize", "int8", "--calibrate", data, "--method", "best"}, exitUsage, "minmax"},
		{"budget", []string{in, "--quantize", "int8", "--calibrate", data, "--max-drop", "much"}, exitUsage, "26dB"},
		{"budget of another scheme", []string{in, "--quantize", "fp16", "--max-drop", "26dB"}, exitUsage, "goes with --quantize int8"},
		{"strict dynamic", []string{in, "--quantize", "dynamic", "--strict-int8"}, exitUsage, "int8 end to end"},
		{"samples for nothing", []string{in, "--quantize", "fp16", "--calibrate", data}, exitUsage, "int4"},
		{"prune without samples", []string{in, "--prune", "0.5"}, exitUsage, "--train"},
		{"prune to nothing", []string{in, "--prune", "0.01", "--train", data}, exitFailed, "no more channels"},
		{"sparse", []string{in, "--sparse", "1.5"}, exitUsage, "between 0 and 1"},
		{"cluster", []string{in, "--cluster", "1000"}, exitUsage, "256"},
		{"cluster of int8", []string{in, "--cluster", "16", "--quantize", "int4"}, exitUsage, "--quantize int4"},
		{"fallback", []string{in, "--fallback", "int4"}, exitUsage, "int16"},
		{"block", []string{in, "--quantize", "int4", "--block", "48"}, exitUsage, "64"},
		{"strict with a float op", []string{log, "--quantize", "int8", "--calibrate", data, "--strict-int8"}, exitFailed, `node "extra Exp" (Exp)`},
		{"strict on a float model", []string{source("accumulator.tflite"), "--strict-int8"}, exitFailed, "computes in float32"},
		{"integer input", []string{source("classifier.tflite"), "--quantize", "int8", "--calibrate", data}, exitFailed, "uint8"},
		{"samples of another size", []string{source("accumulator.tflite"), "--quantize", "int8", "--calibrate", data}, exitFailed, "accumulator.tflite"},
		{"nothing to quantize", []string{source("classifier.tflite"), "--quantize", "dynamic"}, exitFailed, "float32 weights"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := call(append(tt.args, "-o", out)...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", code, tt.code, stdout, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a model was left behind")
			}
		})
	}
}

// TestBlocks stores the weights as codes of 4 and 8 bits.
func TestBlocks(t *testing.T) {
	in, data, out := floatModel(t, true), table(t, 20), filepath.Join(t.TempDir(), "m.whet")
	for scheme, want := range map[string]format.DType{"int4": format.Int4, "int8-weights": format.Int8, "fp16": format.Float16, "bf16": format.BFloat16} {
		code, stdout, stderr := call(in, "-o", out, "--quantize", scheme, "--block", "64", "--json")
		if code != 0 {
			t.Fatalf("%s: exit %d: %s", scheme, code, stderr)
		}
		m, err := format.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if w := m.Tensor("w2"); w.Type != want || !strings.Contains(m.Header.Source.Note, "weights") {
			t.Errorf("%s: weights are %v, note %q; %s", scheme, w.Type, m.Header.Source.Note, stdout)
		}
	}
	var r report
	code, stdout, stderr := call(in, "-o", out, "--quantize", "int4", "--calibrate", data, "--json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if q := r.Quantization; q == nil || q.Compared != 20 || q.Score.SQNR < 15 {
		t.Errorf("%+v", q)
	}
}

// TestTrain prunes, trains for int8 and quantizes, all by flags.
func TestTrain(t *testing.T) {
	in, data, out := floatModel(t, true), table(t, 60), filepath.Join(t.TempDir(), "m.whet")
	args := []string{in, "-o", out, "--train", data, "--epochs", "1", "--prune", "0.6", "--quantize", "int8", "--calibrate", data, "--json"}
	code, stdout, stderr := call(args...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Pruned) != 2 || r.Pruned[0].Left >= r.Pruned[0].Channels || r.Quantization == nil {
		t.Errorf("pruned %+v, report %v", r.Pruned, r.Quantization)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := format.FromBytes(first)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Header.Source.Note; !strings.Contains(n, "pruned to 0.6") || !strings.Contains(n, "trained on 60 samples") {
		t.Errorf("note %q", n)
	}
	if code, _, stderr := call(args...); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if second, err := os.ReadFile(out); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the second file differs (%v)", err)
	}
}

// TestStored keeps fewer or smaller weights.
func TestStored(t *testing.T) {
	in, out := floatModel(t, true), filepath.Join(t.TempDir(), "m.whet")
	for flag, want := range map[string]string{"--sparse=0.9": "0.9 of the weights zero", "--cluster=16": "weights of 16 values"} {
		if code, _, stderr := call(in, "-o", out, flag); code != 0 {
			t.Fatalf("%s: exit %d: %s", flag, code, stderr)
		}
		m, err := format.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(m.Tensor("w2").Data); n > 2048 || !strings.Contains(m.Header.Source.Note, want) {
			t.Errorf("%s: %d bytes, note %q", flag, n, m.Header.Source.Note)
		}
	}
}

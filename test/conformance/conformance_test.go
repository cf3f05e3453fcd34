package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
	"github.com/whet-edge/whet/runtime/pre"
)

// TestMaterial runs every model of the folder that WHET_MATERIAL names, at the
// best level of this machine. It needs no network: the folder holds it all.
func TestMaterial(t *testing.T) {
	dir := os.Getenv("WHET_MATERIAL")
	if dir == "" {
		t.Skip("NOT RUN: set WHET_MATERIAL to a folder with .tflite models and golden/ to compare real models with LiteRT")
	}
	var out bytes.Buffer
	if code := run([]string{"--material", dir, "--vectors", os.Getenv("WHET_VECTORS")}, &out, &out); code != 0 {
		t.Errorf("exit %d\n%s", code, &out)
	}
}

// material makes a folder of one model, whose single case expects the scores.
func material(t *testing.T, scores ...byte) string {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join("..", "..", "tools", "convert", "testdata", "classifier.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	array := func(name string, a *pre.Array) {
		var b bytes.Buffer
		if err := pre.WriteNPY(&b, a); err != nil {
			t.Fatal(err)
		}
		write(name, b.Bytes())
	}
	write("sub/m.tflite", b)
	write("golden/index.json", []byte(`[{"model": "sub/m.tflite", "oracle": "by hand", "inputs": [{}], "outputs": [{}], "cases": [{"case": 4}]}]`))
	in := []byte{0, 0, 0, 1, 1, 1, 4, 4, 4, 0, 1, 2}
	array("golden/sub/m.tflite/in_4_0.npy", &pre.Array{Type: format.Uint8, Shape: format.Shape{1, 2, 2, 3}, Data: in})
	array("golden/sub/m.tflite/out_4_0.npy", &pre.Array{Type: format.Uint8, Shape: format.Shape{1, 2}, Data: scores})
	return dir
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		scores []byte // the model gives 4, 3
		code   int
		want   string
	}{
		{"the same", []byte{4, 3}, 0, "2/2 pass"},
		{"a unit off", []byte{5, 3}, 0, "1/2 pass"},
		{"two units off", []byte{4, 1}, 1, "1/2 FAIL"},
		{"another shape", []byte{4, 3, 0}, 1, "FAIL: case 4: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := material(t, tt.scores...)
			if tt.name == "another shape" {
				path := filepath.Join(dir, "golden", "sub", "m.tflite", "out_4_0.npy")
				var b bytes.Buffer
				if err := pre.WriteNPY(&b, &pre.Array{Type: format.Uint8, Shape: format.Shape{3}, Data: tt.scores}); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			var out, errs bytes.Buffer
			code := run([]string{"--material", dir}, &out, &errs)
			if got := strings.Join(strings.Fields(out.String()), " "); code != tt.code || !strings.Contains(got, tt.want) {
				t.Errorf("exit %d\n%s%s", code, &out, &errs)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	dir := material(t, 4, 3)
	var one, two bytes.Buffer
	if code := run([]string{"--material", dir, "--digest", "--isa", "generic"}, &one, &one); code != 0 {
		t.Fatal(one.String())
	}
	if code := run([]string{"--material", dir, "--digest", "--threads", "2"}, &two, &two); code != 0 {
		t.Fatal(two.String())
	}
	if one.String() != two.String() || strings.Count(one.String(), "\n") != 2 {
		t.Errorf("digests\n%s\n%s", &one, &two)
	}
}

func TestJSONAndUsage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"--material", material(t, 4, 3), "--json"}, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Models != 1 || r.Passed != 1 || r.Results[0].Oracle != "by hand" || r.Results[0].Exact != 2 {
		t.Errorf("report %+v", r)
	}
	for code, args := range map[int][]string{2: {}, 1: {"--material", filepath.Join(t.TempDir(), "no")}} {
		if got := run(args, &out, &errs); got != code {
			t.Errorf("%v: exit %d, want %d", args, got, code)
		}
	}
	if code := run([]string{"--material", material(t, 4, 3), "--isa", "mmx"}, &out, &errs); code != 1 {
		t.Errorf("an unknown level: exit %d", code)
	}
}

func floats(v ...float32) *pre.Array {
	a := &pre.Array{Type: format.Float32, Shape: format.Shape{len(v)}}
	for _, x := range v {
		b := math.Float32bits(x)
		a.Data = append(a.Data, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
	}
	return a
}

func TestCompareFloats(t *testing.T) {
	nan := float32(math.NaN())
	for _, tt := range []struct {
		name      string
		got, want *pre.Array
		pass      bool
		exact     int
	}{
		{"same", floats(1, 2), floats(1, 2), true, 2},
		{"near", floats(1, 2.0001), floats(1, 2), true, 1},
		{"far", floats(1, 2.001), floats(1, 2), false, 1},
		{"small beside large", floats(1, 1e-9), floats(1, 2e-9), true, 1},
		{"not a number", floats(1, nan), floats(1, 2), false, 1},
		{"zeros", floats(0, float32(math.Copysign(0, -1))), floats(0, 0), true, 1},
	} {
		r := result{Limit: 1e-4, Pass: true, floor: floor}
		if err := r.compare(tt.got, tt.want); err != nil || r.Pass != tt.pass || r.Exact != tt.exact {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}

// TestLimit: a wide output may be off by a unit of the coarsest 8-bit tensor
// that leads to it, not of one that does not.
func TestLimit(t *testing.T) {
	tensor := func(name string, typ format.DType, scale float32) *format.Tensor {
		return &format.Tensor{Name: name, Type: typ, Shape: format.Shape{1}, Quant: format.PerTensor(scale, 0)}
	}
	m := &format.Model{
		Tensors: []*format.Tensor{tensor("x", format.Int8, 0.5), tensor("a", format.Int8, 2), tensor("b", format.Int8, 64), tensor("y", format.Int16, 0.25)},
		Graphs: []*format.Graph{{Nodes: []*format.Node{
			{Op: "Requantize", Inputs: []string{"x"}, Outputs: []string{"a"}},
			{Op: "Requantize", Inputs: []string{"x"}, Outputs: []string{"b"}},
			{Op: "Requantize", Inputs: []string{"a"}, Outputs: []string{"y"}},
		}}},
	}
	if got := limit(m, runtime.Info{Name: "y", Type: format.Int16, Quant: format.PerTensor(0.25, 0)}); got != 8 {
		t.Errorf("limit %v, want 8", got)
	}
	if got := limit(m, runtime.Info{Name: "b", Type: format.Int8, Quant: format.PerTensor(64, 0)}); got != 1 {
		t.Errorf("limit %v, want 1", got)
	}
}

package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/test/arm64/model"
)

func TestMilliseconds(t *testing.T) {
	b := &board{dram: 4, caches: []cache{{bytes: 1 << 15, ways: 2}, {bytes: 1 << 20, ways: 16, shared: true, rate: 8}}}
	p := projection{cycles: 6e6, moved: []float64{12e6, 8e6}}
	// 6e6 cycles at 1.5 GHz are 4 ms, shared evenly; 12 MB at 8 bytes a cycle are 1 ms and
	// 8 MB at 4 GB/s are 2 ms, whoever asks.
	for threads, want := range map[int]float64{1: 7, 4: 4} {
		if got := p.milliseconds(b, 1.5, threads); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d threads: %v ms, want %v", threads, got, want)
		}
	}
	b.caches[1].shared = false
	if got, want := p.milliseconds(b, 1.5, 4), 1+0.25+2.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("a cache of each core's own: %v ms, want %v", got, want)
	}
}

func TestReadTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts")
	if err := os.WriteFile(file, []byte("block 3 10a0 4e30ce00 54ffffe1\ncache 32768 7 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readTrace(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.instructions() != 6 || got.blocks[0].addr != 0x10a0 || len(got.caches) != 1 || got.caches[0] != (cacheCount{7, 2}) {
		t.Errorf("read %+v", got)
	}
	if err := os.WriteFile(file, []byte("block x 0 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readTrace(file); err == nil {
		t.Error("a count that is no number is read")
	}
}

// gemm is a model of one product of 4 rows and a matrix of 64 by 64.
func gemm(t *testing.T) string {
	m := &format.Model{
		Header: format.Header{Opset: format.Opset},
		Tensors: []*format.Tensor{
			{Name: "x", Type: format.Float32, Shape: format.Shape{4, 64}},
			{Name: "w", Type: format.Float32, Shape: format.Shape{64, 64}, Data: make([]byte, 4*64*64)},
			{Name: "y", Type: format.Float32, Shape: format.Shape{4, 64}},
		},
		Graphs: []*format.Graph{{
			Name: "main", Inputs: []format.Input{{Tensor: "x"}}, Outputs: []string{"y"},
			Nodes: []*format.Node{{Name: "gemm", Op: "Gemm", Attrs: format.Attrs{"transB": int64(1)}, Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
		}},
	}
	name := filepath.Join(t.TempDir(), "gemm.whet")
	if err := format.WriteFile(name, m); err != nil {
		t.Fatal(err)
	}
	return name
}

// The blocks that a run executed hold the multiply-accumulates of the model, once.
func TestCounts(t *testing.T) {
	if os.Getenv("WHET_ARM64") == "" {
		t.Skip("skipped: WHET_ARM64=1 runs a model under qemu's counters (half a minute)")
	}
	for _, tool := range []string{"qemu-aarch64", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("NOT RUN: ", err)
		}
	}
	if out, err := exec.Command("qemu-aarch64", "--help").Output(); err != nil || !strings.Contains(string(out), "-plugin") {
		t.Skip("NOT RUN: this qemu-aarch64 has no plugins")
	}
	e, err := newEmulator(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	pi := &boards[0]
	got, err := e.run(pi, gemm(t))
	if err != nil {
		t.Fatal(err)
	}
	macs := 0
	for _, b := range got.blocks {
		for _, w := range b.words {
			macs += int(b.count) * model.MACs(w)
		}
	}
	if macs != 4*64*64 {
		t.Errorf("%d multiply-accumulates were executed, the model has %d", macs, 4*64*64)
	}
	if len(got.caches) != len(pi.caches) {
		t.Errorf("counts of %d caches, want %d", len(got.caches), len(pi.caches))
	}
	if n := got.instructions(); n < 4*64*64/4 || n > 100000 {
		t.Errorf("%d instructions", n)
	}
}

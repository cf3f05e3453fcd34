package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/board/demo"
	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
)

// whet runs one command line in the test's process.
func whet(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// must is whet for commands that have to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, stderr := whet(t, args...)
	if code != exitDone {
		t.Fatalf("whet %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return out
}

// files makes a folder with the demo's model, a picture of a trouser and
// labelled data of all ten classes, and changes into it.
func files(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "m.whet", demo.BaseFile())
	sets, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, sets[0].Image(2)); err != nil { // the third test image is a trouser
		t.Fatal(err)
	}
	write(t, "trouser.png", b.Bytes())
	writeNPZ(t, "old.npz", sets[1], func(class int) bool { return class < demo.Old })
	writeNPZ(t, "all.npz", sets[1], func(int) bool { return true })
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeNPZ writes the images of the chosen classes as pixels with labels.
func writeNPZ(t *testing.T, name string, set *demo.Images, chosen func(class int) bool) {
	t.Helper()
	x := &pre.Array{Type: format.Uint8, Shape: format.Shape{0, demo.Side, demo.Side, 1}}
	y := &pre.Array{Type: format.Uint8, Shape: format.Shape{0}}
	for i, c := range set.Label {
		if chosen(c) {
			x.Data = append(x.Data, set.Pixels[i]...)
			y.Data = append(y.Data, byte(c))
			x.Shape[0]++
			y.Shape[0]++
		}
	}
	writeArrays(t, name, x, y)
}

// writeArrays writes an archive of x and y.
func writeArrays(t *testing.T, name string, x, y *pre.Array) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for member, a := range map[string]*pre.Array{"x.npy": x, "y.npy": y} {
		w, err := z.Create(member)
		if err != nil {
			t.Fatal(err)
		}
		if err := pre.WriteNPY(w, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, name, b.Bytes())
}

func writeArray(t *testing.T, name string, typ format.DType, shape ...int) {
	t.Helper()
	var b bytes.Buffer
	a := &pre.Array{Type: typ, Shape: shape, Data: make([]byte, typ.Bytes(format.Shape(shape).Elems()))}
	if err := pre.WriteNPY(&b, a); err != nil {
		t.Fatal(err)
	}
	write(t, name, b.Bytes())
}

// mask replaces what differs between machines.
func mask(s string) string {
	for _, r := range [][2]string{
		{`[0-9.]+ (ns|µs|ms|s)\b`, "TIME"},
		{`[0-9.]+ (B|KiB|MiB|GiB) (at the peak|of activations|of weights)`, "SIZE $2"},
		{`(generic|avx2|avxvnni|avx512vnni|avx512|neon|dotprod|i8mm)\b`, "ISA"},
	} {
		s = regexp.MustCompile(r[0]).ReplaceAllString(s, r[1])
	}
	return s
}

func TestInspect(t *testing.T) {
	files(t)
	want := `model         m.whet, digest 9d, opset 1
made from     tflite SHA by whet-convert
description   The demo's base network: conv 3x3x32, pool, conv 3x3x64, pool, dense 128, dense 8; int8
license       MIT
title         Fashion-MNIST, classes 0 to 7
input         serving_default_keras_tensor_10:0 int8[1,28,28,1], scale 0.00392157 zero -128
output        StatefulPartitionedCall_1:0 int8[1,8], scale 0.00390625 zero -128
graph         11 nodes: Relu x3, Conv x2, Gemm x2, MaxPool x2, Reshape x1, Softmax x1
quantization  int8, a scale per channel (4 layers)
weights       224.8 k numbers in 220.2 KiB (928 B int32, 219.3 KiB int8)
work          2.6 M multiply-adds a run
memory        SIZE of activations, SIZE of weights packed for ISA
before        image of serving_default_keras_tensor_10:0
before        normalize of serving_default_keras_tensor_10:0 scale=[0.00392156862745098]
labels        8: T-shirt/top; Trouser; Pullover; Dress; Coat; Sandal; Shirt; Sneaker
`
	got := regexp.MustCompile(`tflite [0-9a-f]{16}`).ReplaceAllString(mask(must(t, "inspect", "m.whet")), "tflite SHA")
	got = regexp.MustCompile(`digest [0-9a-f]{16}`).ReplaceAllString(got, "digest 9d")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	var r inspection
	if err := json.Unmarshal([]byte(must(t, "inspect", "m.whet", "--nodes", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Graph) != 11 || r.Inputs[0].Zero[0] != -128 || r.Problem != "" {
		t.Errorf("got %+v", r)
	}
}

func TestRun(t *testing.T) {
	files(t)
	out := must(t, "run", "m.whet", "--input", "trouser.png", "--top", "2", "--output-dir", "out")
	want := `StatefulPartitionedCall_1:0 int8[1,8] -> out/0.npy
  0.9961  Trouser      (class 1)
  0.0000  T-shirt/top  (class 0)
TIME with ISA kernels
`
	if d := cmp.Diff(want, mask(filepath.ToSlash(out))); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	a, err := pre.ReadFile("out/0.npy")
	if err != nil {
		t.Fatal(err)
	}
	if a.Type != format.Int8 || !a.Shape.Equal(format.Shape{1, 8}) || int8(a.Data[1]) != 127 {
		t.Errorf("0.npy is %v %v %v", a.Type, a.Shape, a.Data)
	}

	// The same pixels as the tensor itself, by name.
	writeArray(t, "zero.npy", format.Int8, 28, 28)
	var r runResult
	if err := json.Unmarshal([]byte(must(t, "run", "m.whet", "--json", "--input", "serving_default_keras_tensor_10:0=zero.npy")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Outputs) != 1 || len(r.Outputs[0].Top) != 5 {
		t.Errorf("got %+v", r)
	}
}

func TestEvalTuneMerge(t *testing.T) {
	files(t)
	var before evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", "m.whet", "--data", "old.npz", "--json")), &before); err != nil {
		t.Fatal(err)
	}
	if before.Samples != 320 || before.Accuracy < 0.85 || before.AUC == nil || before.Calibration == nil || len(before.Confusion) != 8 {
		t.Errorf("before: %+v", before)
	}

	var r tuneResult
	if err := json.Unmarshal([]byte(must(t, "tune", "m.whet", "--data", "all.npz", "-o", "t.whetd", "--epochs", "20", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Passed || len(r.Classes) != 10 || len(r.New) != 2 || r.Tuned.Accuracy <= r.Base.Accuracy || r.Bytes == 0 {
		t.Errorf("tune: %+v", r)
	}
	if _, err := os.Stat("t.whetd.job"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the job is still there: %v", err)
	}

	var instant tuneResult
	if err := json.Unmarshal([]byte(must(t, "tune", "m.whet", "--data", "all.npz", "-o", "i.whetd", "--instant", "--val", "none", "--json")), &instant); err != nil {
		t.Fatal(err)
	}
	if !instant.Passed || instant.Epochs != 0 || len(instant.Classes) != 10 || instant.Val != 0 {
		t.Errorf("tune --instant: %+v", instant)
	}
	var deep tuneResult
	if err := json.Unmarshal([]byte(must(t, "tune", "m.whet", "--data", "old.npz", "-o", "deep.whetd", "--tail", "last:2", "--epochs", "3", "--schedule", "cosine", "--warmup", "5", "--patience", "3", "--balance", "--json")), &deep); err != nil {
		t.Fatal(err)
	}
	if !deep.Passed || deep.Tail != "last:2" || deep.Params != 1600*128+128+128*8+8 {
		t.Errorf("tune --tail last:2: %+v", deep)
	}
	must(t, "run", "m.whet", "--delta", "deep.whetd", "--input", "trouser.png")
	var augmented tuneResult
	if err := json.Unmarshal([]byte(must(t, "tune", "m.whet", "--data", "old.npz", "-o", "views.whetd", "--augment", "shift=0.1,noise=0.05", "--views", "2", "--mixup", "0.2", "--dropout", "0.2", "--epochs", "3", "--json")), &augmented); err != nil {
		t.Fatal(err)
	}
	if augmented.Val != deep.Val || augmented.Train != 3*deep.Train {
		t.Errorf("%d samples and views to train on, %d to judge by; without views %d and %d", augmented.Train, augmented.Val, deep.Train, deep.Val)
	}
	if code, _, stderr := whet(t, "tune", "m.whet", "--data", "old.npz", "-o", "x.whetd", "--augment", "turn=1"); code != exitUsage || !strings.Contains(stderr, "slide") {
		t.Errorf("an unknown change: %d %s", code, stderr)
	}

	must(t, "merge", "m.whet", "--delta", "t.whetd", "-o", "merged.whet")
	merged := must(t, "eval", "merged.whet", "--data", "all.npz", "--json")
	var after evaluation
	if err := json.Unmarshal([]byte(merged), &after); err != nil {
		t.Fatal(err)
	}
	if after.Samples != 440 || after.Accuracy < 0.85 || after.Labels[8] != "8" {
		t.Errorf("after: accuracy %v of %d, labels %v", after.Accuracy, after.Samples, after.Labels)
	}
	var delta evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", "m.whet", "--delta", "t.whetd", "--data", "all.npz", "--json")), &delta); err != nil {
		t.Fatal(err)
	}
	after.Model, delta.Model = "", ""
	if d := cmp.Diff(after, delta); d != "" {
		t.Errorf("base and delta against the merged model:\n%s", d)
	}
}

// stopAfter cancels a context when a file appears.
type stopAfter struct {
	context.Context
	file string
}

func (s stopAfter) Err() error {
	if _, err := os.Stat(s.file); err == nil {
		return context.Canceled
	}
	return s.Context.Err()
}

func TestTuneResume(t *testing.T) {
	files(t)
	args := []string{"tune", "m.whet", "--data", "all.npz", "--epochs", "40", "--seed", "3", "--resume"}
	must(t, append(args, "-o", "whole.whetd")...)

	// The job writes its file at the start, so its context ends at the first look.
	var out, stderr bytes.Buffer
	code := execute(stopAfter{t.Context(), "cut.whetd.job"}, append(args, "-o", "cut.whetd"), &out, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "--resume") {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	if _, err := os.Stat("cut.whetd"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a delta of a stopped job: %v", err)
	}
	code, _, msg := whet(t, append(args, "-o", "cut.whetd", "--lr", "0.5")...)
	if code != exitFailed || !strings.Contains(msg, "start anew without --resume") {
		t.Errorf("resumed with another learning rate: exit %d: %s", code, msg)
	}
	must(t, append(args, "-o", "cut.whetd")...)
	whole, err := os.ReadFile("whole.whetd")
	if err != nil {
		t.Fatal(err)
	}
	cut, err := os.ReadFile("cut.whetd")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, cut) {
		t.Error("the resumed job's delta differs from the unbroken one's")
	}
}

func TestGateRefuses(t *testing.T) {
	files(t)
	// Half of the old images are called class 8: whatever the new row learns, it
	// takes right answers away from the validation data, which has no class 8.
	sets, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	wrong := &demo.Images{Pixels: sets[1].Pixels}
	for i, c := range sets[1].Label {
		if i%2 == 0 {
			c = demo.Old
		}
		wrong.Label = append(wrong.Label, c)
	}
	writeNPZ(t, "wrong.npz", wrong, func(class int) bool { return class <= demo.Old })
	sub := &demo.Images{Label: sets[0].Label[:200], Pixels: sets[0].Pixels[:200]}
	writeNPZ(t, "val.npz", sub, func(class int) bool { return class < demo.Old })
	code, out, stderr := whet(t, "tune", "m.whet", "--data", "wrong.npz", "--val", "val.npz", "-o", "t.whetd", "--epochs", "5", "--json")
	var r tuneResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || r.Passed || !strings.Contains(stderr, "the gate refused") || !strings.Contains(stderr, r.Verdict) || r.Verdict == "" {
		t.Errorf("exit %d: %s\n%+v", code, stderr, r)
	}
	for _, name := range []string{"t.whetd", "t.whetd.job"} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}

func TestBench(t *testing.T) {
	files(t)
	var b benchmark
	if err := json.Unmarshal([]byte(must(t, "bench", "m.whet", "--runs", "20", "--threads", "1", "--profile", "--json")), &b); err != nil {
		t.Fatal(err)
	}
	if b.Runs != 20 || b.Threads != 1 || b.MinNS <= 0 || b.MinNS > b.P50NS || b.P50NS > b.P90NS || b.P90NS > b.P99NS || b.LoadNS <= 0 || b.FirstNS <= 0 {
		t.Errorf("times: %+v", b)
	}
	share := 0.0
	for _, s := range b.Steps {
		share += s.Share
	}
	if len(b.Steps) == 0 || share < 0.999 || share > 1.001 || b.MACs < 2_600_000 || b.MACs > 2_700_000 {
		t.Errorf("profile: %d steps, shares %v, %d MACs", len(b.Steps), share, b.MACs)
	}
	out := must(t, "bench", "m.whet", "--runs", "3", "--profile")
	if !strings.Contains(out, "Conv+Relu") || !strings.Contains(out, "first run") {
		t.Errorf("got:\n%s", out)
	}
}

func TestQuantile(t *testing.T) {
	v := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for percent, want := range map[int]int64{1: 1, 50: 5, 90: 9, 99: 10, 100: 10} {
		if got := quantile(v, percent); got != want {
			t.Errorf("%d%%: got %d, want %d", percent, got, want)
		}
	}
	if got := quantile([]int64{7}, 50); got != 7 {
		t.Errorf("one value: %d", got)
	}
}

func TestDoctor(t *testing.T) {
	var r doctorReport
	if err := json.Unmarshal([]byte(must(t, "doctor", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.ISA == "" || r.Threads < 1 || r.Levels[0] != "generic" || r.DiskSize <= 0 {
		t.Errorf("got %+v", r)
	}
	if out := must(t, "doctor", "--sysroot", t.TempDir()); !strings.Contains(out, "no sensor") {
		t.Errorf("got:\n%s", out)
	}
}

func TestDemo(t *testing.T) {
	t.Chdir(t.TempDir())
	out := must(t, "demo", "--save", "kept")
	for _, want := range []string{"knows 8 kinds", "the same bits as on every other CPU", "after: Bag", "whet bench kept/fashion8.whet --profile"} {
		if !strings.Contains(filepath.ToSlash(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("escape codes in a file")
	}
	named := must(t, "run", "kept/fashion8.whet", "--delta", "kept/fashion10.whetd", "--input", "kept/bag.png", "--top", "1")
	if !strings.Contains(named, "Bag") {
		t.Errorf("the kept bag is:\n%s", named)
	}
}

// TestBadInput calls the program wrongly or with broken files.
func TestBadInput(t *testing.T) {
	files(t)
	model := demo.BaseFile()
	write(t, "half.whet", model[:len(model)/2])
	write(t, "head.whet", model[:40])
	write(t, "empty.whet", nil)
	write(t, "text.whet", []byte("this is no model"))
	write(t, "op.whet", renameOp(t, model, "MaxPool", "MaxPoox"))
	write(t, "m.tflite", []byte("\x1c\x00\x00\x00TFL3"))
	write(t, "hidden.bin", []byte("\x1c\x00\x00\x00TFL3"))
	write(t, "bad.whetd", []byte("nothing"))
	write(t, "bad.png", []byte("\x89PNG\r\n\x1a\n"))
	write(t, "one.csv", []byte("1,2,3\n"))
	writeArray(t, "shape.npy", format.Int8, 28, 27)
	pair, err := demo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	writeNPZ(t, "pair.npz", pair[1], func(class int) bool { first := class < 2 && !seen[class]; seen[class] = true; return first })
	writeArray(t, "type.npy", format.Float32, 1, 28, 28, 1)
	tests := []struct {
		args string
		code int
		want []string // all in the message
	}{
		{"", exitDone, nil},
		{"fly", exitUsage, []string{"fly"}},
		{"run", exitUsage, []string{"arg"}},
		{"run m.whet --speed 3", exitUsage, []string{"--speed"}},
		{"run m.whet", exitUsage, []string{`no --input for "serving_default_keras_tensor_10:0"`, "int8[1,28,28,1]"}},
		{"run m.whet --input trouser.png --input trouser.png", exitUsage, []string{"one too many"}},
		{"run m.whet --input trouser.png --top 0", exitUsage, []string{"--top"}},
		{"run m.whet --input trouser.png --threads -1", exitUsage, []string{"--threads"}},
		{"run missing.whet --input trouser.png", exitFailed, []string{"missing.whet"}},
		{"run half.whet --input trouser.png", exitFailed, []string{"half.whet"}},
		{"run head.whet --input trouser.png", exitFailed, []string{"head.whet"}},
		{"run empty.whet --input trouser.png", exitFailed, []string{"empty.whet"}},
		{"run text.whet --input trouser.png", exitFailed, []string{"text.whet"}},
		{"run op.whet --input trouser.png", exitFailed, []string{"op.whet", "MaxPoox"}},
		{"run m.tflite --input trouser.png", exitUsage, []string{"whet-convert m.tflite -o m.whet"}},
		{"inspect hidden.bin", exitUsage, []string{"whet-convert hidden.bin -o hidden.whet"}},
		{"run m.whet --input missing.png", exitFailed, []string{"missing.png"}},
		{"run m.whet --input bad.png", exitFailed, []string{"bad.png"}},
		{"run m.whet --input shape.npy", exitFailed, []string{"shape.npy", "needs int8 [1 28 28 1], the data is int8 [28 27]"}},
		{"run m.whet --input type.npy", exitFailed, []string{"type.npy", "the data is float32"}},
		{"run m.whet --input one.csv", exitFailed, []string{"one.csv", "where a picture is needed"}},
		{"run m.whet --input trouser.png --output-dir m.whet", exitFailed, []string{"m.whet"}},
		{"inspect bad.whetd", exitUsage, []string{"--delta bad.whetd"}},
		{"inspect m.whet --delta bad.whetd", exitFailed, []string{"bad.whetd"}},
		{"eval m.whet", exitUsage, []string{"--data"}},
		{"eval m.whet --data missing", exitFailed, []string{"missing"}},
		{"eval m.whet --data all.npz", exitFailed, []string{"all.npz row", "whet tune"}},
		{"eval m.whet --data one.csv", exitFailed, []string{"one.csv"}},
		{"bench m.whet --runs -1", exitUsage, []string{"--runs"}},
		{"tune m.whet", exitUsage, []string{"--data and --output"}},
		{"tune m.whet --data all.npz -o x.whetd --tail lora:0", exitUsage, []string{"--tail lora:0", "a rank is needed"}},
		{"tune m.whet --data all.npz -o x.whetd --tail sparse:2", exitUsage, []string{"--tail sparse:2", "a part of the channels"}},
		{"tune m.whet --data all.npz -o x.whetd --tail last:0", exitUsage, []string{"--tail last:0"}},
		{"tune m.whet --data all.npz -o x.whetd --tail last:9", exitFailed, []string{"last:9", "4 layers"}},
		{"tune m.whet --data all.npz -o x.whetd --tail bias --folds 3", exitUsage, []string{"--folds"}},
		{"tune m.whet --data all.npz -o x.whetd --tail nose", exitUsage, []string{"--tail nose"}},
		{"tune m.whet --data all.npz -o x.whetd --loss hinge", exitUsage, []string{"--loss hinge"}},
		{"tune m.whet --data all.npz -o x.whetd --lr fast", exitUsage, []string{"--lr fast"}},
		{"tune m.whet --data all.npz -o x.whetd --memory much", exitUsage, []string{"--memory much"}},
		{"tune m.whet --data all.npz -o x.whetd --memory 64KiB", exitFailed, []string{"--memory", "MiB is enough"}},
		{"tune m.whet --data all.npz -o x.whetd --epochs -1", exitUsage, []string{"--epochs"}},
		{"tune m.whet --data all.npz -o x.whetd --schedule steep", exitUsage, []string{"--schedule steep"}},
		{"tune m.whet --data all.npz -o x.whetd --instant --tail all", exitUsage, []string{"--instant"}},
		{"tune m.whet --data all.npz -o x.whetd --folds 1", exitUsage, []string{"--folds"}},
		{"tune m.whet --data all.npz -o x.whetd --folds 3 --val 0.2", exitUsage, []string{"--val"}},
		{"tune m.whet --data pair.npz -o x.whetd", exitFailed, []string{"pair.npz", "no sample can be held out", "--val none"}},
		{"tune m.whet --data all.npz -o x.whetd --val 1.5", exitUsage, []string{"--val 1.5"}},
		{"tune m.whet --data all.npz -o missing/x.whetd", exitFailed, []string{"missing"}},
		{"merge m.whet -o x.whet", exitUsage, []string{"--delta"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, _, stderr := whet(t, strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit %d, want %d: %s", code, tt.code, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in: %s", want, stderr)
				}
			}
			if _, err := os.Stat("x.whetd"); err == nil {
				t.Error("x.whetd was written")
			}
		})
	}
}

// TestDamage flips single bits and cuts the file anywhere: always an error that
// names the file, never a panic.
func TestDamage(t *testing.T) {
	files(t)
	model := demo.BaseFile()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := bytes.Clone(model)
		at := rng.IntN(8 * len(b))
		if i < 100 {
			at = rng.IntN(8 * 6000) // header and graph
		}
		if i%3 == 2 {
			b = b[:at/8]
		} else {
			b[at/8] ^= 1 << (at % 8)
		}
		write(t, "damaged.whet", b)
		code, _, stderr := whet(t, "inspect", "damaged.whet")
		if code != exitFailed || !strings.Contains(stderr, "damaged.whet") {
			t.Fatalf("bit %d, %d bytes: exit %d: %s", at, len(b), code, stderr)
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestFullDisk(t *testing.T) {
	files(t)
	for _, args := range []string{"inspect m.whet", "inspect m.whet --json", "run m.whet --input trouser.png", "doctor", "bench m.whet --runs 1"} {
		var stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(args), full{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "no space") {
			t.Errorf("%s: exit %d: %s", args, code, stderr.String())
		}
	}
}

// renameOp changes an op's name in the graph of a model file and mends digest
// and checksum: only the name is wrong.
func renameOp(t *testing.T, file []byte, from, to string) []byte {
	t.Helper()
	m, err := format.FromBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.ReplaceAll(file, []byte(from), []byte(to))
	if bytes.Equal(b, file) || len(b) != len(file) {
		t.Fatalf("no op %q to rename", from)
	}
	// The file begins with an array of 64 bytes: a name and six uint64, which are
	// version, lengths of header and graph, start of the data, length of the file
	// and CRC-32C of header and graph.
	field := func(i int) []byte { return b[2+9*i:][:8] }
	header := 64 + binary.BigEndian.Uint64(field(2))
	graph := header + binary.BigEndian.Uint64(field(3))
	digest := sha256.Sum256(b[header:])
	b = bytes.Replace(b, m.Header.Digest[:], digest[:], 1)
	binary.BigEndian.PutUint64(field(6), uint64(crc32.Checksum(b[64:graph], crc32.MakeTable(crc32.Castagnoli))))
	return b
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{"64MiB": 64 << 20, "64 mib": 64 << 20, "1.5GB": 1_500_000_000, "4096": 4096, "2k": 2048, "7B": 7} {
		if got, err := parseBytes(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "1e30GiB", "nanMiB", "64 apples"} {
		if got, err := parseBytes(in); err == nil {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func TestEveryCommandHasJSON(t *testing.T) {
	for _, c := range newRootCmd().Commands() {
		if c.InheritedFlags().Lookup("json") == nil {
			t.Errorf("%s has no --json", c.Name())
		}
		if c.Short == "" || c.Args == nil {
			t.Errorf("%s has no short description or accepts any arguments", c.Name())
		}
	}
}

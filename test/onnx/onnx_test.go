package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestSuites runs the folders that WHET_ONNX_TESTS lists: no case may fail.
func TestSuites(t *testing.T) {
	dirs := os.Getenv("WHET_ONNX_TESTS")
	if dirs == "" {
		t.Skip("NOT RUN: set WHET_ONNX_TESTS to folders of ONNX node tests, separated as in PATH")
	}
	var out bytes.Buffer
	if code := run(filepath.SplitList(dirs), &out, &out); code != 0 {
		t.Errorf("exit %d\n%s", code, &out)
	}
	t.Log(out.String())
}

// msg is a message of onnx.proto, by its field numbers.
type msg []byte

func (m msg) bytes(num protowire.Number, b []byte) msg {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), b)
}
func (m msg) str(num protowire.Number, s string) msg { return m.bytes(num, []byte(s)) }
func (m msg) int(num protowire.Number, v int64) msg {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), uint64(v))
}

func floats(v ...float32) msg {
	var b []byte
	for _, x := range v {
		b = le.AppendUint32(b, math.Float32bits(x))
	}
	return msg{}.int(1, int64(len(v))).int(2, 1).bytes(9, b)
}

func ints(v ...int64) msg {
	var b []byte
	for _, x := range v {
		b = le.AppendUint64(b, uint64(x))
	}
	return msg{}.int(1, int64(len(v))).int(2, 7).bytes(9, b)
}

// folder writes a case: a graph of one node with the inputs x (and s), the output
// y, each of one dimension.
func folder(t *testing.T, dir, name, op string, in []msg, want msg) {
	t.Helper()
	port := func(name string, typ, n int64) msg {
		shape := msg{}.bytes(1, msg{}.int(1, n))
		return msg{}.str(1, name).bytes(2, msg{}.bytes(1, msg{}.int(1, typ).bytes(2, shape)))
	}
	node := msg{}.str(1, "x")
	graph := msg{}.bytes(11, port("x", 1, 4))
	if len(in) > 1 {
		node, graph = node.str(1, "s"), graph.bytes(11, port("s", 7, 1))
	}
	node = node.str(2, "y").str(4, op)
	graph = graph.bytes(1, node).str(2, "g").bytes(12, port("y", 1, 4))
	model := msg{}.int(1, 8).bytes(7, graph).bytes(8, msg{}.int(2, 17))
	set := filepath.Join(dir, name, "test_data_set_0")
	if err := os.MkdirAll(set, 0o777); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{filepath.Join(dir, name, "model.onnx"): model, filepath.Join(set, "output_0.pb"): want}
	for i, x := range in {
		files[filepath.Join(set, "input_"+string(rune('0'+i))+".pb")] = x
	}
	for path, b := range files {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	dir := t.TempDir()
	x := floats(1, -2, 3, float32(math.NaN()))
	folder(t, dir, "right", "Abs", []msg{x}, floats(1, 2, 3, float32(math.NaN())))
	folder(t, dir, "near", "Abs", []msg{x}, floats(1.0005, 2, 3, float32(math.NaN())))
	folder(t, dir, "wrong", "Abs", []msg{x}, floats(1, -2, 3, float32(math.NaN())))
	folder(t, dir, "other shape", "Abs", []msg{x}, floats(1, 2, 3))
	folder(t, dir, "other type", "Abs", []msg{x}, ints(1, 2, 3, 4))
	folder(t, dir, "unknown", "Nonsense", []msg{x}, x)
	folder(t, dir, "data", "Abs", []msg{floats(1)}, x)
	folder(t, dir, "constant", "Reshape", []msg{x, ints(4)}, x)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	var out, diag bytes.Buffer
	if code := run([]string{"--json", dir}, &out, &diag); code != 1 {
		t.Fatalf("exit %d, %s", code, &diag)
	}
	var rep report
	if err := json.Unmarshal(out.Bytes(), &rep); err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{"right": {pass, ""}, "near": {pass, ""}, "wrong": {fail, "element 1 of [4] is 2, expected -2"}, "other shape": {fail, "expected float32 [3]"},
		"other type": {fail, "expected int64"}, "unknown": {skip, "no such operator"}, "data": {skip, "do not fit"}, "constant": {pass, ""}}
	for _, r := range rep.Results {
		if w := want[r.Name]; r.Verdict != w[0] || !strings.Contains(r.Reason, w[1]) {
			t.Errorf("%s: %s %q, want %v", r.Name, r.Verdict, r.Reason, w)
		}
		if r.Name == "constant" && len(r.Fixed) != 1 || r.Name == "unknown" && len(r.Ops) != 1 {
			t.Errorf("%+v", r)
		}
	}
	if len(rep.Results) != len(want) || rep.Passed != 3 || rep.Failed != 3 || rep.Skipped != 2 {
		t.Errorf("%d results, %d, %d and %d", len(rep.Results), rep.Passed, rep.Failed, rep.Skipped)
	}
	out.Reset()
	if code := run([]string{"--filter", "r", "--all", dir}, &out, &diag); code != 1 || !strings.Contains(out.String(), "right") || strings.Contains(out.String(), "unknown") {
		t.Errorf("exit %d\n%s", code, &out)
	}
	for _, args := range [][]string{nil, {"--bogus"}} {
		if code := run(args, &out, &diag); code != 2 {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	if code := run([]string{filepath.Join(dir, "empty")}, &out, &diag); code != 1 {
		t.Errorf("a folder without cases: exit %d", code)
	}
}

func TestScope(t *testing.T) {
	for name, want := range map[string]string{
		"test_adam_multiple": "training", "test_training_dropout": "training", "test_cast_FLOAT_to_STRING": "texts", "test_strnorm_model_nostopwords": "texts",
		"test_sequence_insert_at_back": "sequences", "test_loop13_seq": "sequences", "test_identity_opt": "optional values", "test_optional_has_element_empty": "optional values",
		"test_image_decoder_decode_jpeg_rgb": "images", "test_reversesequence_batch": "", "test_batchnorm_example_training_mode": "", "test_tfidfvectorizer_tf_only_bigrams_skip0": "",
	} {
		if got := outOfScope(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPeer runs the cases by a program that says what a peer might: it passes the
// first case, dies in the second and is started again for the third.
func TestPeer(t *testing.T) {
	dir := t.TempDir()
	python := filepath.Join(dir, "python")
	const script = "#!/bin/sh\necho 1.2.3\nread c\ncase $c in */one) echo true; exit 9;; esac\necho false\n"
	if err := os.WriteFile(python, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	cases := []result{{Name: "one", dir: dir + "/one", Verdict: skip}, {Name: "two", dir: dir + "/two"}, {Name: "three", dir: dir + "/three"}}
	p, err := runPeer(python, cases, io.Discard)
	if err != nil || p.Version != "1.2.3" || p.Passed != 1 || p.InScope != 1 || len(p.More) != 1 {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := runPeer(filepath.Join(dir, "no"), cases, io.Discard); err == nil {
		t.Error("a Python that is not there")
	}
}

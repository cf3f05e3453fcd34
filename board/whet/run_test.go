package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre"
	"github.com/whet-edge/whet/runtime/pre/post"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// reshaper writes a model that passes its input on with another shape, and whose
// header says what to do before and after.
func reshaper(t *testing.T, file string, typ format.DType, in, out []int, before, after []string, more ...format.Transform) {
	t.Helper()
	shape := make([]int64, len(out))
	for i, d := range out {
		shape[i] = int64(d)
	}
	m := &format.Model{
		Tensors: []*format.Tensor{{Name: "in", Type: typ, Shape: in}, {Name: "out", Type: typ, Shape: out}},
		Graphs: []*format.Graph{{Name: "main", Inputs: []format.Input{{Tensor: "in"}}, Outputs: []string{"out"},
			Nodes: []*format.Node{{Name: "n", Op: "Reshape", Inputs: []string{"in"}, Outputs: []string{"out"}, Attrs: format.Attrs{"shape": shape}}}}},
	}
	m.Header.Opset, m.Header.Pre = format.Opset, more
	for _, l := range before {
		s, err := pre.ParseStep(l)
		if err != nil {
			t.Fatal(err)
		}
		s.Tensor = "in"
		m.Header.Pre = append(m.Header.Pre, s)
	}
	for _, l := range after {
		s, err := post.ParseStep(l)
		if err != nil {
			t.Fatal(err)
		}
		s.Tensor = "out"
		m.Header.Post = append(m.Header.Post, s)
	}
	if err := format.WriteFile(file, m); err != nil {
		t.Fatal(err)
	}
}

// detector sees a picture of two pixels, whose six values are a box and the
// scores of two classes; the file two.png is such a picture.
func detector(t *testing.T) {
	t.Helper()
	reshaper(t, "det.whet", format.Float32, []int{1, 1, 2, 3}, []int{1, 1, 6}, []string{"image filter=bilinear"}, []string{"boxes form=corners"})
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.Set(0, 0, color.NRGBA{0, 0, 1, 255}) // x0 y0 x1
	m.Set(1, 0, color.NRGBA{1, 2, 9, 255}) // y1, scores
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	write(t, "two.png", b.Bytes())
}

func TestRunBoxes(t *testing.T) {
	t.Chdir(t.TempDir())
	detector(t)
	out := must(t, "run", "det.whet", "--input", "two.png", "--draw", "drawn.png")
	if !strings.Contains(out, "9.0000  1  x 0 to 1  y 0 to 1") || !strings.Contains(out, "drawn: drawn.png") {
		t.Errorf("it says\n%s", out)
	}
	f, err := os.Open("drawn.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != 2 || c.Height != 1 {
		t.Errorf("the drawing is %dx%d (%v)", c.Width, c.Height, err)
	}
	code, _, stderr := whet(t, "run", "det.whet", "--input", "two.png", "--against", "two.png")
	if code != exitUsage || !strings.Contains(stderr, "no vector") {
		t.Errorf("--against without a vector: exit %d, %s", code, stderr)
	}
}

// A detector, a crop, a classifier as one description.
func TestChain(t *testing.T) {
	files(t)
	detector(t)
	write(t, "two.chain", []byte("# what it is\nmodel file=det.whet\ncrop margin=0.5 label=1\nmodel file=m.whet\n"))
	var r struct {
		Boxes []post.Box
		Parts []struct{ Classes []pre.Score }
	}
	if err := json.Unmarshal([]byte(must(t, "run", "two.chain", "--input", "two.png", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Boxes) != 1 || len(r.Parts) != 1 || len(r.Parts[0].Classes) != 5 {
		t.Errorf("%+v", r)
	}
	if out := must(t, "run", "two.chain", "--input", "two.png", "--draw", "d.png"); !strings.Contains(out, "(class ") || !strings.Contains(out, "d.png") {
		t.Errorf("it says\n%s", out)
	}
	for text, want := range map[string]string{
		"": "ends with a model", "model file=det.whet\ncrop\n": "ends with a model", "crop\n": "line 1", "model file=none.whet\n": "none.whet",
		"model file=det.whet\nmodel file=m.whet\n": "line 2", "model file=det.whet\ncrop margin=-1\nmodel file=m.whet": "margin",
	} {
		write(t, "bad.chain", []byte(text))
		if code, _, stderr := whet(t, "run", "bad.chain", "--input", "two.png"); code == exitDone || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d, %s", text, code, stderr)
		}
	}
	if code, _, stderr := whet(t, "run", "two.chain", "--input", "old.npz"); code == exitDone {
		t.Errorf("an archive: exit %d, %s", code, stderr)
	}
}

// Two texts and their likeness; a text needs no file.
func TestRunTexts(t *testing.T) {
	t.Chdir(t.TempDir())
	spec, err := token.ReadVocab(strings.NewReader("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	vocab := spec.Transform()
	vocab.Tensor = "in"
	reshaper(t, "t.whet", format.Float32, []int{1, 4}, []int{4}, []string{"tokens"}, []string{"vector normalize=true"}, vocab)
	write(t, "same.txt", []byte("HELLO world"))
	out := must(t, "run", "t.whet", "--text", "hello world", "--against", "same.txt")
	if !strings.Contains(out, "vector of 4") || !strings.Contains(out, "cosine of the two vectors: 1.0000") {
		t.Errorf("it says\n%s", out)
	}
	if code, _, stderr := whet(t, "run", "t.whet"); code != exitUsage || !strings.Contains(stderr, "--input") {
		t.Errorf("without a text: exit %d, %s", code, stderr)
	}
}

// A sound of nine samples in pieces of four, three apart.
func TestRunStream(t *testing.T) {
	t.Chdir(t.TempDir())
	reshaper(t, "s.whet", format.Float32, []int{1, 4}, []int{4}, []string{"audio rate=8000", "stream hop=3"}, nil)
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x12\x00\x00\x00")
	for i := range 9 {
		wav = binary.LittleEndian.AppendUint16(wav, uint16(i+1)<<11)
	}
	write(t, "s.wav", wav)
	var r streamResult
	if err := json.Unmarshal([]byte(must(t, "run", "s.whet", "--input", "s.wav", "--stream", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.Pieces != 3 || r.Values[1][0] != 3./16 || r.Values[2][3] != 9./16 {
		t.Errorf("%+v", r)
	}
	if out := must(t, "run", "s.whet", "--input", "s.wav", "--stream"); !strings.Contains(out, "1 of 3 pieces above 0.5, at most 0.5625") {
		t.Errorf("it says\n%s", out)
	}
	reshaper(t, "n.whet", format.Float32, []int{1, 4}, []int{4}, []string{"audio rate=8000"}, nil)
	if code, _, stderr := whet(t, "run", "n.whet", "--input", "s.wav", "--stream"); code != exitUsage || !strings.Contains(stderr, "stream hop=N") {
		t.Errorf("a model without the step: exit %d, %s", code, stderr)
	}
}

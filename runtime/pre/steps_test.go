package pre

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime/pre/token"
)

// parsed reads steps that are written as lines.
func parsed(t *testing.T, lines ...string) []format.Transform {
	t.Helper()
	var out []format.Transform
	for _, l := range lines {
		s, err := ParseStep(l)
		if err != nil {
			t.Fatal(err)
		}
		s.Tensor = "in"
		out = append(out, s)
	}
	return out
}

func float32s(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func put(t *testing.T, p *Pipeline, a *Array) []byte {
	t.Helper()
	b := make([]byte, p.Size())
	if err := p.Put(b, a); err != nil {
		t.Fatal(err)
	}
	return b
}

// Channels first: the planes of red, green and blue.
func TestPlanar(t *testing.T) {
	p := newPipeline(t, tensor(format.Float32, nil, 1, 3, 2, 2), parsed(t, "image", "normalize mean=0/0/255 scale=1")...)
	want := []float32{255, 0, 0, 255, 0, 255, 0, 255, -255, -255, 0, 0}
	if d := cmp.Diff(want, float32s(put(t, p, picture()))); d != "" {
		t.Error(d)
	}
}

// A picture of 1x2 in an input of 4x4 fills two rows of it.
func TestPad(t *testing.T) {
	a := &Array{Type: format.Uint8, Shape: format.Shape{1, 2, 1}, Data: []byte{10, 10}, image: true}
	for fit, want := range map[string][]byte{
		"pad":    {9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10, 10, 9, 9, 9, 9},
		"corner": {10, 10, 10, 10, 10, 10, 10, 10, 9, 9, 9, 9, 9, 9, 9, 9},
	} {
		p := newPipeline(t, tensor(format.Uint8, nil, 1, 4, 4, 1), parsed(t, "image fill=9 fit="+fit)...)
		if d := cmp.Diff(want, put(t, p, a)); d != "" {
			t.Errorf("%s: %s", fit, d)
		}
		at, ok := p.Placement(a)
		x, y := at.Source(4, float64(slices.Index(want, 10)/4))
		if !ok || x != 2 || y != 0 {
			t.Errorf("%s: the upper right corner of the picture is said to be %v,%v", fit, x, y)
		}
	}
}

func TestPlacementOfCrop(t *testing.T) {
	at := place("crop", 100, 300, 50, 50)
	if x, y := at.Source(25, 50); x != 150 || y != 100 {
		t.Errorf("%v,%v, want 150,100", x, y)
	}
}

func TestSoundSteps(t *testing.T) {
	sound := floats(make([]float32, 16000), 16000, 1)
	sound.Rate = 16000
	for i := range 16000 {
		binary.LittleEndian.PutUint32(sound.Data[4*i:], math.Float32bits(float32(i*i%97)/97-0.5))
	}
	for _, c := range []struct {
		in    *format.Tensor
		steps []string
		high  float32 // of the values
	}{
		{tensor(format.Float32, nil, 1, 101, 40), []string{"audio rate=16000 samples=16000", "mel rate=16000 fft=512 hop=160 mels=40 log=db ref=0 range=80"}, 0},
		{tensor(format.Float32, nil, 1, 49, 10, 1), []string{"audio rate=16000 samples=16000", "mel rate=16000 fft=640 hop=320 center=false mels=40 log=ln mfcc=10"}, 1e3},
		{tensor(format.Int8, format.PerTensor(26./256, -128), 1, 1960), []string{"audio rate=16000 samples=16000", "micro", "normalize scale=0.0390625"}, 127},
	} {
		p := newPipeline(t, c.in, parsed(t, c.steps...)...)
		b := put(t, p, sound)
		if c.in.Type == format.Float32 {
			v := float32s(b)
			if slices.Max(v) > c.high || slices.Max(v) == slices.Min(v) {
				t.Errorf("%v: values from %v to %v", c.steps, slices.Min(v), slices.Max(v))
			}
		} else if slices.Max(b) == slices.Min(b) {
			t.Errorf("%v: all values are %v", c.steps, b[0])
		}
	}
	short := floats(make([]float32, 10), 10, 1)
	short.Rate = 16000
	p := newPipeline(t, tensor(format.Float32, nil, 1, 40), parsed(t, "audio rate=16000 samples=10", "mel rate=16000 fft=512 hop=160 mels=40 center=false")...)
	if err := p.Put(make([]byte, p.Size()), short); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Errorf("ten samples: %v", err)
	}
}

// The loudest sample becomes 1.
func TestPeak(t *testing.T) {
	p := newPipeline(t, tensor(format.Float32, nil, 1, 3), parsed(t, "audio rate=8000 peak=true")...)
	sound := floats([]float32{0.25, -0.5, 0}, 3, 1)
	sound.Rate = 8000
	if d := cmp.Diff([]float32{0.5, -1, 0}, float32s(put(t, p, sound))); d != "" {
		t.Error(d)
	}
}

// Pieces of three samples, two apart, with one zero before the first.
func TestPieces(t *testing.T) {
	p := newPipeline(t, tensor(format.Float32, nil, 1, 3), parsed(t, "audio rate=8000", "stream hop=2")...)
	sound := floats([]float32{1, 2, 3, 4, 5, 6, 7}, 7, 1)
	sound.Rate = 8000
	n, write, err := p.Pieces(sound)
	if err != nil || n != 3 || !p.Streams() {
		t.Fatalf("%d pieces, %v", n, err)
	}
	var got [][]float32
	for i := range n {
		b := make([]byte, p.Size())
		if err := write(b, i); err != nil {
			t.Fatal(err)
		}
		got = append(got, float32s(b))
	}
	if d := cmp.Diff([][]float32{{0, 1, 2}, {2, 3, 4}, {4, 5, 6}}, got); d != "" {
		t.Error(d)
	}
}

func TestTextSteps(t *testing.T) {
	spec, err := token.ReadVocab(strings.NewReader("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	vocab := spec.Transform()
	vocab.Tensor = "in"
	for give, want := range map[string][]byte{"ids": {2, 4, 5, 3, 0}, "mask": {1, 1, 1, 1, 0}, "types": {0, 0, 0, 0, 0}} {
		p := newPipeline(t, tensor(format.Int64, nil, 1, 5), append(parsed(t, "tokens give="+give), vocab)...)
		b := put(t, p, Text("Hello WORLD"))
		var got []byte
		for i := range 5 {
			got = append(got, b[8*i])
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", give, d)
		}
		if err := p.Put(b, picture()); err == nil {
			t.Error("a picture is taken for a text")
		}
	}
	p2 := newPipeline(t, tensor(format.Uint8, nil, 1, 6), append(parsed(t, "tokens give=types pair=true"), vocab)...)
	if d := cmp.Diff([]byte{0, 0, 0, 1, 1, 0}, put(t, p2, Text("hello\tworld"))); d != "" {
		t.Error(d)
	}
	if _, err := New(parsed(t, "tokens"), tensor(format.Int64, nil, 1, 5), true); err == nil {
		t.Error("tokens without a tokenizer")
	}
	p := newPipeline(t, tensor(format.Int32, nil, 1, 6), parsed(t, "bytes begin=3 end=3 pad=256 strip=true")...)
	var got []int32
	for b := range slices.Chunk(put(t, p, Text(" ab \n")), 4) {
		got = append(got, int32(binary.LittleEndian.Uint32(b)))
	}
	if d := cmp.Diff([]int32{'a', 'b', ' ', ' ', 'a', 'b'}, got); d != "" {
		t.Error(d)
	}
}

// A table of texts: the column of classes is found by its name.
func TestTextTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.csv")
	if err := os.WriteFile(path, []byte("label,text\nham,\"hi, you\"\nspam,WIN\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(t, tensor(format.Int32, nil, 1, 4), parsed(t, "bytes begin=4")...)
	d, err := OpenData(path, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, p.Size())
	if err := d.Input(1, b); err != nil || d.Label(1) != "spam" || b[0] != 'W' || b[12] != 0 {
		t.Errorf("%v %q %v", err, d.Label(1), b)
	}
}

func TestParseStepRefuses(t *testing.T) {
	for _, bad := range []string{"", "nope", "mel rate=x", "mel rate=1.5", "mel rates=1", "image size=", "audio rate=1/2", "mel center=perhaps", "tokenizer"} {
		if s, err := ParseStep(bad); err == nil {
			t.Errorf("%q gives %v", bad, s)
		}
	}
}

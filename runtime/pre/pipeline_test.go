package pre

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

func tensor(t format.DType, q *format.Quant, shape ...int) *format.Tensor {
	return &format.Tensor{Name: "in", Type: t, Shape: shape, Quant: q}
}

func newPipeline(t *testing.T, in *format.Tensor, steps ...format.Transform) *Pipeline {
	t.Helper()
	p, err := New(steps, in, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// picture is one red, one green, one blue and one white pixel.
func picture() *Array {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 2))
	m.Set(0, 0, color.NRGBA{255, 0, 0, 255})
	m.Set(1, 0, color.NRGBA{0, 255, 0, 255})
	m.Set(0, 1, color.NRGBA{0, 0, 255, 255})
	m.Set(1, 1, color.NRGBA{255, 255, 255, 255})
	return FromImage(m)
}

func TestPut(t *testing.T) {
	gray := &Array{Type: format.Uint8, Shape: format.Shape{1, 2, 1}, Data: []byte{0, 255}, image: true}
	unit := format.Transform{Op: "normalize", Attrs: format.Attrs{"scale": []float64{1. / 255}}}
	sound := floats([]float32{0.5, 0.25, -1, 1}, 2, 2)
	sound.Rate = 8000
	tests := []struct {
		name  string
		in    *format.Tensor
		steps []format.Transform
		a     *Array
		want  []byte
	}{
		{"uint8 takes pixels", tensor(format.Uint8, format.PerTensor(0.0078125, 128), 1, 2, 2, 3), nil, picture(),
			[]byte{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}},
		{"int8 takes pixels minus 128", tensor(format.Int8, format.PerTensor(0.5, 3), 1, 1, 2, 1), nil, gray, []byte{0x80, 0x7f}},
		{"normalize quantizes", tensor(format.Int8, format.PerTensor(1./255, -128), 1, 1, 2, 1),
			[]format.Transform{{Op: "image"}, unit}, gray, []byte{0x80, 0x7f}},
		{"bgr", tensor(format.Uint8, nil, 1, 2, 2, 3), []format.Transform{{Op: "image", Attrs: format.Attrs{"order": "bgr"}}}, picture(),
			[]byte{0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255}},
		{"float reals are quantized", tensor(format.Int8, format.PerTensor(0.5, 1), 1, 3), nil, floats([]float32{0.75, -0.25, 1e9}, 3), []byte{3, 1, 127}},
		{"int16", tensor(format.Int16, format.PerTensor(0.5, 0), 1, 2), nil, floats([]float32{-0.5, 200}, 2), []byte{0xff, 0xff, 0x90, 1}},
		{"own type is copied", tensor(format.Int8, format.PerTensor(0.5, 1), 1, 2), []format.Transform{unit},
			&Array{Type: format.Int8, Shape: format.Shape{2}, Data: []byte{5, 6}}, []byte{5, 6}},
		{"float into float without steps", tensor(format.Float32, nil, 1, 1), nil, floats([]float32{1}, 1), []byte{0, 0, 128, 63}},
		{"float into float with steps is raw", tensor(format.Float32, nil, 1, 1), []format.Transform{unit}, floats([]float32{255}, 1), []byte{0, 0, 128, 63}},
		{"stereo", tensor(format.Int8, format.PerTensor(1./128, 0), 1, 4),
			[]format.Transform{{Op: "audio", Attrs: format.Attrs{"rate": int64(8000)}}}, sound, []byte{0, 48, 0, 0}},
		{"a row of pixels", tensor(format.Uint8, nil, 1, 2, 2, 1), []format.Transform{{Op: "image"}}, floats([]float32{1, 2, 3, 4}, 4), []byte{1, 2, 3, 4}},
		{"steps of another input", tensor(format.Uint8, nil, 1, 1), []format.Transform{{Op: "nonsense", Tensor: "other"}},
			&Array{Type: format.Uint8, Shape: format.Shape{1}, Data: []byte{9}}, []byte{9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPipeline(t, tt.in, tt.steps...)
			got := make([]byte, p.Size())
			if err := p.Put(got, tt.a); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPutRefuses(t *testing.T) {
	file := floats([]float32{1, 2}, 2)
	file.file = true
	sound := floats([]float32{1, 2}, 2, 1)
	sound.Rate = 44100
	nan := floats([]float32{float32(half(0x7e00))}, 1)
	tests := []struct {
		name string
		in   *format.Tensor
		step []format.Transform
		a    *Array
		want string
	}{
		{"npy of another type", tensor(format.Int8, format.PerTensor(1, 0), 1, 2), nil, file, "needs int8 [1 2], the data is float32 [2]"},
		{"npy of another shape", tensor(format.Float32, nil, 1, 3), nil, file, "needs float32 [1 3]"},
		{"picture for a float network", tensor(format.Float32, nil, 1, 2, 2, 3), nil, picture(), "does not say how a picture"},
		{"too few values", tensor(format.Int8, format.PerTensor(1, 0), 1, 3), nil, floats([]float32{1}, 1), "needs int8 [1 3]"},
		{"sound as a picture", tensor(format.Uint8, nil, 1, 2, 2, 1), []format.Transform{{Op: "image"}}, sound, "where a picture"},
		{"a row that is no picture", tensor(format.Uint8, nil, 1, 2, 2, 1), []format.Transform{{Op: "image"}}, floats([]float32{1, 2, 3}, 3), "a vector of shape"},
		{"not a number", tensor(format.Int8, format.PerTensor(1, 0), 1), nil, nan, "not a number"},
		{"wrong number of means", tensor(format.Uint8, nil, 1, 2, 2, 3),
			[]format.Transform{{Op: "image"}, {Op: "normalize", Attrs: format.Attrs{"mean": []float64{1, 2}}}}, picture(), "2 values given for 3 channels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPipeline(t, tt.in, tt.step...)
			err := p.Put(make([]byte, p.Size()), tt.a)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for want, s := range map[string]format.Transform{
		"no such step":            {Op: "whirl"},
		`"speed" is unknown`:      {Op: "image", Attrs: format.Attrs{"speed": int64(1)}},
		"one is unknown":          {Op: "image", Attrs: format.Attrs{"fit": "squeeze"}},
		"size must be":            {Op: "image", Attrs: format.Attrs{"size": []int64{1}}},
		"rate 0, samples 12":      {Op: "audio"},
		"size 1048576x1048576":    {Op: "image", Attrs: format.Attrs{"size": []int64{1 << 20, 1 << 20}}},
		"step 0 (whirl) of input": {Op: "whirl"},
	} {
		if _, err := New([]format.Transform{s}, tensor(format.Uint8, nil, 1, 2, 2, 3), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"a.png": b.String(),
		"a.csv": "a,b,c\n1, 2,3\n",
		"a.txt": "1 2\n3\n",
		"b.txt": "1 2 x",
		"c.txt": "",
		"a.mp3": "",
		"b.png": "not a picture",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]format.Shape{"a.png": {2, 3, 1}, "a.csv": {3}, "a.txt": {3}} {
		a, err := ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !a.Shape.Equal(want) {
			t.Errorf("%s: shape %v, want %v", name, a.Shape, want)
		}
	}
	for name, want := range map[string]string{
		"b.txt": `line 1: "x" is not a number`, "c.txt": "no numbers", "a.mp3": "must be one of .npy", "b.png": "unknown format", "none.npy": "none.npy",
	} {
		_, err := ReadFile(filepath.Join(dir, name))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

func TestTopK(t *testing.T) {
	nan := float32(half(0x7e00))
	got := TopK([]float32{0.1, nan, 0.7, 0.7}, []string{"a", "b", "c"}, 3)
	var names []string
	for _, s := range got {
		names = append(names, s.Label)
	}
	if !slices.Equal(names, []string{"c", "3", "a"}) {
		t.Errorf("got %v", got)
	}
	if got := TopK([]float32{1}, nil, 5); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

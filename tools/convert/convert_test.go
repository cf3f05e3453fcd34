package convert

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/runtime"
)

func testdata(name string) string { return filepath.Join("testdata", name) }

// TestImportRuns takes a model from its source to its numbers, worked out by
// hand: weights 1 2 3 and -1 -2 -3 of scale 1/4, biases 10 and 20 of scale 1/4.
func TestImportRuns(t *testing.T) {
	m, err := Import(testdata("classifier.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	copy(s.Input(0).Uint8(), []byte{
		0, 0, 0, // (0+10)/4 = 2.5, to even 2; 20/4 = 5
		1, 1, 1, // (6+10)/4 = 4; (20-6)/4 = 3.5, to even 4
		4, 4, 4, // (24+10)/4 = 8.5, to even 8; (20-24)/4 = -1, 0 by the activation
		0, 1, 2, // (8+10)/4 = 4.5, to even 4; (20-8)/4 = 3
	})
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	// The means are 18/4 = 4.5, to even 4, and 12/4 = 3.
	if got, want := s.Output(0).Uint8(), []byte{4, 3}; !slices.Equal(got, want) {
		t.Errorf("scores %v, want %v", got, want)
	}
}

func TestImportKeepsState(t *testing.T) {
	m, err := Import(testdata("accumulator.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	first := s.Input(0).Float32()
	copy(first, []float32{1, 2})
	var got [3]float32
	for i := range got {
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		got[i] = s.Output(0).Float32()[1]
	}
	if got != [3]float32{2, 4, 6} { // the initial value is as good as zero
		t.Errorf("sums %v", got)
	}
}

// TestDeterministic: the same source gives the same file.
func TestDeterministic(t *testing.T) {
	var files [2]bytes.Buffer
	for i := range files {
		m, err := Import(testdata("classifier.tflite"))
		if err != nil {
			t.Fatal(err)
		}
		if err := format.Write(&files[i], m); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
		t.Error("two conversions differ")
	}
}

func TestUnsupported(t *testing.T) {
	_, err := Import(testdata("unsupported.tflite"))
	var u *UnsupportedError
	if !errors.As(err, &u) || u.File != testdata("unsupported.tflite") || len(u.Ops) != 1 || u.Ops[0].Op != "SEGMENT_SUM" {
		t.Errorf("error %v", err)
	}
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, data, want string }{

		{"a.bin", "whatever", "unknown format"},
		{"empty", "", "unknown format"},
	} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.data), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Import(path)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	for _, tt := range []struct{ name, data, want string }{
		{"a.keras", "PK", "zip"},
		{"a.h5", "", "signature"},
		{"noname", "\x89HDF\r\n\x1a\n", "bytes"},
		{"a.safetensors", "{}", "safetensors"},
	} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.data), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Import(path)
		if err == nil || errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	m, err := Import(testdata("classifier.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "a.whet")
	if err := format.WriteFile(again, m); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(again); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "already") {
		t.Errorf("a .whet: error %v", err)
	}
	// A .tflite by its content, whatever its name; and one that is not.
	b, err := os.ReadFile(testdata("classifier.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(path); err != nil {
		t.Error(err)
	}
	path = filepath.Join(dir, "a.tflite")
	if err := os.WriteFile(path, []byte("not a model"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(path); err == nil || errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "TFL3") {
		t.Errorf("error %v", err)
	}
	if _, err := Import(filepath.Join(dir, "missing.tflite")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

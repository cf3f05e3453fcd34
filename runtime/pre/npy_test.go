package pre

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
)

// npy builds a version 1 file.
func npy(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(len(header)))
	return append(append(b, header...), data...)
}

func TestReadNPY(t *testing.T) {
	tests := []struct {
		name  string
		file  []byte
		typ   format.DType
		shape format.Shape
		want  []float32
	}{
		{"float32", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n", 0, 0, 128, 63, 0, 0, 0, 192), format.Float32, format.Shape{2}, []float32{1, -2}},
		{"big-endian int16", npy(`{"shape": (1, 2), "fortran_order": False, "descr": ">i2"}`, 1, 0, 255, 254), format.Int16, format.Shape{1, 2}, []float32{256, -2}},
		{"scalar bool", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", 1), format.Bool, format.Shape{}, []float32{1}},
		{"empty", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4), }\n"), format.Uint8, format.Shape{0, 4}, []float32{}},
		{"float16", npy("{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }\n", 0, 0x3c, 1, 0, 0, 0xfc), format.Float16, format.Shape{3}, []float32{1, 5.9604645e-08, float32(negInf)}},
		{"Fortran order of a vector", npy("{'descr': '|i1', 'fortran_order': True, 'shape': (1L,), }\n", 255), format.Int8, format.Shape{1}, []float32{-1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ReadNPY(bytes.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if a.Type != tt.typ || !a.Shape.Equal(tt.shape) || len(got) != len(tt.want) {
				t.Fatalf("got %v %v %v", a.Type, a.Shape, got)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("element %d: got %v, want %v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

var negInf = half(0xfc00)

func TestReadNPYRefuses(t *testing.T) {
	good := "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n"
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"no npy", []byte("hello"), "not a .npy"},
		{"Fortran order", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n", make([]byte, 16)...), "Fortran order"},
		{"objects", npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n"), "not a plain number"},
		{"complex", npy("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }\n"), "not a plain number"},
		{"structured", npy("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }\n"), "not understood"},
		{"short data", npy(good, 1), "ends after 1 of 2"},
		{"long data", npy(good, 1, 2, 3), "goes on"},
		{"short header", npy(good)[:20], "ends in its header"},
		{"huge shape", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 99999999), }\n"), "larger than"},
		{"negative shape", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n"), "not understood"},
		{"key twice", npy("{'shape': (2,), 'shape': (2,), 'descr': '|u1', 'fortran_order': False}"), "not understood"},
		{"unknown key", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': 1}"), "not understood"},
		{"missing key", npy("{'descr': '|u1', 'shape': (2,)}"), "not understood"},
		{"version 9", append([]byte(npyMagic+"\x09\x00"), 0, 0, 0, 0), "version 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadNPY(bytes.NewReader(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestWriteNPYReadsBack(t *testing.T) {
	for _, typ := range npyTypes {
		a := &Array{Type: typ, Shape: format.Shape{3, 2}, Data: make([]byte, typ.Bytes(6))}
		for i := range a.Data {
			a.Data[i] = byte(i)
		}
		var b bytes.Buffer
		if err := WriteNPY(&b, a); err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexByte(b.Bytes(), '\n'); (i+1)%64 != 0 {
			t.Errorf("%v: data starts at %d", typ, i+1)
		}
		got, err := ReadNPY(&b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type != typ || !got.Shape.Equal(a.Shape) || !bytes.Equal(got.Data, a.Data) {
			t.Errorf("%v: read back %v %v %v", typ, got.Type, got.Shape, got.Data)
		}
	}
	if err := WriteNPY(io.Discard, &Array{Type: format.Int4}); err == nil {
		t.Error("int4 was written")
	}
}

func TestReadNPZ(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	writeNPZ(t, path, map[string]*Array{"x": floats([]float32{1, 2}, 2), "y": floats([]float32{3}, 1)})
	got, err := ReadNPZ(path, "x", "y")
	if err != nil {
		t.Fatal(err)
	}
	if got["x"].Elems() != 2 || got["y"].Elems() != 1 {
		t.Errorf("read %v", got)
	}
	if _, err := ReadNPZ(path, "z"); err == nil || !strings.Contains(err.Error(), `no array "z"`) {
		t.Errorf("missing array: %v", err)
	}
}

func writeNPZ(t *testing.T, path string, arrays map[string]*Array) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, a := range arrays {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteNPY(w, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadNPY(f *testing.F) {
	f.Add(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 0, 0, 128, 63, 0, 0, 0, 192))
	f.Add(npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2L, 1), }\n", 1, 2, 3, 4))
	f.Add([]byte(npyMagic + "\x03\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadNPY(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(a.Data) != a.Type.Bytes(a.Elems()) {
			t.Fatalf("%v %v with %d bytes", a.Type, a.Shape, len(a.Data))
		}
		var w bytes.Buffer
		if err := WriteNPY(&w, a); err != nil {
			t.Fatal(err)
		}
		again, err := ReadNPY(&w)
		if err != nil || again.Type != a.Type || !again.Shape.Equal(a.Shape) || !bytes.Equal(again.Data, a.Data) {
			t.Fatalf("written and read again: %v %v", again, err)
		}
	})
}

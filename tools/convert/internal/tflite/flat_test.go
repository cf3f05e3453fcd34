package tflite

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/bounded"
)

// samples are small models that together use most of the reader.
func samples() map[string][]byte {
	conv := one(codeOf("CONV_2D"), []testTensor{f32("x", 1, 4, 4, 2), fill(f32("w", 3, 1, 1, 2)), fill(f32("b", 3))},
		[]testTensor{f32("y", 1, 4, 4, 3)}, field{1, int32(1)}, field{2, int32(1)}, field{4, int32(1)}, field{5, int32(1)})
	conv.metadata = metadata{title: "title", labels: "labels.txt"}.bytes()
	return map[string][]byte{
		"conv":      conv.file(),
		"slice":     one(codeOf("STRIDED_SLICE"), []testTensor{i8("x", 4, 5), list(0, 1), list(3, 5), list(1, 2)}, []testTensor{i8("y", 3, 2)}).file(),
		"lstm":      recurrent(1, format.Int8, false).file(),
		"variables": variables(fill(f32("init", 2))).file(),
	}
}

// accepts imports b and, if that works, checks the model: neither may panic.
func accepts(b []byte) bool {
	m, err := importBytes(b, Options{})
	return err == nil && format.Check(m) == nil
}

func TestSamplesAreSound(t *testing.T) {
	for name, b := range samples() {
		if !accepts(b) {
			t.Errorf("%s is refused", name)
		}
	}
}

// TestTruncated: no prefix of a model is accepted with less than all its
// content, and none makes the reader panic.
func TestTruncated(t *testing.T) {
	for name, b := range samples() {
		for n := range b {
			if accepts(b[:n]) && n < len(b)-8 { // alignment may leave unused bytes at the end
				t.Errorf("%s cut to %d of %d bytes is accepted", name, n, len(b))
			}
		}
	}
}

// TestDamaged flips every bit, and sets every aligned word to values that
// offsets and lengths go wrong with. It finds panics; a damaged weight is not
// noticed by a .tflite, which has no checksum.
func TestDamaged(t *testing.T) {
	for _, b := range samples() {
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				accepts(b)
				b[i] ^= 1 << bit
			}
		}
		for i := 0; i+4 <= len(b); i += 4 {
			old := binary.LittleEndian.Uint32(b[i:])
			for _, v := range []uint32{0, 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, uint32(len(b)), -uint32(i)} {
				binary.LittleEndian.PutUint32(b[i:], v)
				accepts(b)
			}
			binary.LittleEndian.PutUint32(b[i:], old)
		}
	}
}

// TestShared: a vector whose entries all point to one table describes far more
// than the file holds; so does one inside of the other.
func TestShared(t *testing.T) {
	m := testModel{graphs: make([]testGraph, 2000)}
	for i := range m.graphs {
		m.graphs[i].tensors = make([]testTensor, 0)
	}
	m.graphs[0].tensors = make([]testTensor, 5000)
	for i := range m.graphs[0].tensors {
		m.graphs[0].tensors[i] = f32("x", 1)
	}
	b := m.file()
	// Point every subgraph at the one with the tensors.
	r := newReader(b)
	root := r.root("model")
	pos, n := root.vector(modelGraphs, 4)
	first := pos + r.u32(pos)
	for i := range n {
		binary.LittleEndian.PutUint32(b[pos+4*i:], uint32(first-(pos+4*i)))
	}
	_, err := importBytes(b, Options{})
	if err == nil || !strings.Contains(err.Error(), "more than its") {
		t.Errorf("error %v", err)
	}
}

func TestErrorsNameTheFault(t *testing.T) {
	good := samples()["conv"]
	vtable := bytes.Clone(good)
	root := binary.LittleEndian.Uint32(vtable)
	binary.LittleEndian.PutUint32(vtable[root:], 1<<31-1)
	far := bytes.Clone(good)
	binary.LittleEndian.PutUint32(far, uint32(len(far)))
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "not a TensorFlow Lite model"},
		{"text", []byte("hello, world"), "not a TensorFlow Lite model"},
		{"root", far, "model at offset"},
		{"vtable", vtable, "model vtable at offset"},
	} {
		_, err := Import("m.tflite", tt.b, Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "m.tflite: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

// TestBufferBehind: data may stand behind the FlatBuffer, by offset and size.
func TestBufferBehind(t *testing.T) {
	for _, tt := range []struct {
		off, size uint64
		want      string
	}{
		{8, 4, "abcd"}, {1, 4, ""}, {0, 0, ""}, {12, 1 << 63, "!"}, {1 << 63, 1, "!"}, {16, 0, ""}, {15, 2, "!"},
	} {
		r := newReader([]byte("        abcd    "))
		d := decoder{r: r}
		got := d.behind(0, tt.off, tt.size)
		if failed := r.err != nil; failed != (tt.want == "!") || !failed && string(got) != tt.want {
			t.Errorf("%d bytes at %d: %q, %v", tt.size, tt.off, got, r.err)
		}
	}
}

func FuzzTFLite(f *testing.F) {
	for _, b := range samples() {
		f.Add(b)
	}
	for name, b := range archive(f) {
		if strings.HasSuffix(name, ".tflite") && len(b) < 8<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *format.Model
		var err error
		bounded.Check(t, len(b), func() { m, err = importBytes(b, Options{}) })
		if err == nil {
			// What Check refuses is reported to the user like any other error.
			_ = format.Check(m)
		}
	})
}

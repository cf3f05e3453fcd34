package tflite

import (
	"archive/zip"
	"bytes"
	"slices"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/whet-edge/whet/format"
)

// metadata is what a test's TFLITE_METADATA says.
type metadata struct {
	title, labels string
	mean, std     []float32
}

func (m metadata) bytes() []byte {
	b := flatbuffers.NewBuilder(256)
	file := b.CreateString(m.labels)
	b.StartObject(3)
	b.PrependUOffsetTSlot(metaFileName, file, 0)
	b.PrependInt8Slot(metaFileType, metaAxisLabels, 0)
	files := offsets(b, []flatbuffers.UOffsetT{b.EndObject()})
	b.StartObject(7)
	b.PrependUOffsetTSlot(metaTensorFiles, files, 0)
	outputs := offsets(b, []flatbuffers.UOffsetT{b.EndObject()})

	put := func(v float32) { b.PrependFloat32(v) }
	mean, std := numbers(b, 4, m.mean, put), numbers(b, 4, m.std, put)
	b.StartObject(2)
	b.PrependUOffsetTSlot(metaMean, mean, 0)
	b.PrependUOffsetTSlot(metaStd, std, 0)
	normalization := b.EndObject()
	b.StartObject(2)
	b.PrependByteSlot(metaUnitType, metaNormalization, 0)
	b.PrependUOffsetTSlot(metaUnitOptions, normalization, 0)
	units := offsets(b, []flatbuffers.UOffsetT{b.EndObject()})
	b.StartObject(7)
	b.PrependUOffsetTSlot(metaTensorUnits, units, 0)
	inputs := offsets(b, []flatbuffers.UOffsetT{b.EndObject()})

	b.StartObject(4)
	b.PrependUOffsetTSlot(metaGraphInputs, inputs, 0)
	b.PrependUOffsetTSlot(metaGraphOutputs, outputs, 0)
	graphs := offsets(b, []flatbuffers.UOffsetT{b.EndObject()})
	title := b.CreateString(m.title)
	b.StartObject(6)
	b.PrependUOffsetTSlot(metaName, title, 0)
	b.PrependUOffsetTSlot(metaGraphs, graphs, 0)
	b.FinishWithFileIdentifier(b.EndObject(), []byte(metaMagic))
	return b.FinishedBytes()
}

func picturesOf(typ format.DType, shape ...int32) testModel {
	x := testTensor{name: "x", typ: typ, shape: shape}
	y := testTensor{name: "y", typ: typ, shape: shape}
	if typ != format.Float32 {
		x.scale, x.zero = []float32{1}, []int64{0}
		y.scale, y.zero = x.scale, x.zero
	}
	return one(codeOf("RELU"), []testTensor{x}, []testTensor{y})
}

func TestMetadata(t *testing.T) {
	m := picturesOf(format.Float32, 1, 4, 6, 3)
	m.metadata = metadata{title: "Cats", labels: "labels.txt", mean: []float32{127.5}, std: []float32{0.5}}.bytes()
	file := bytes.NewBuffer(m.file())
	z := zip.NewWriter(file)
	z.SetOffset(int64(file.Len()))
	w, err := z.Create("labels.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("cat\r\ndog\nold cat\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := importBytes(file.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := got.Header
	if h.Card["title"] != "Cats" || !slices.Equal(h.Labels, []string{"cat", "dog", "old cat"}) {
		t.Errorf("card %v, labels %q", h.Card, h.Labels)
	}
	if len(h.Pre) != 2 || h.Pre[0].Op != "image" || h.Pre[1].Op != "normalize" || h.Pre[1].Tensor != "x" ||
		!slices.Equal(h.Pre[1].Attrs.Floats("mean"), []float64{127.5}) || !slices.Equal(h.Pre[1].Attrs.Floats("scale"), []float64{2}) {
		t.Errorf("preprocessing %v", h.Pre)
	}
	if h.Source.Format != "tflite" || len(h.Source.SHA256) != 64 {
		t.Errorf("source %+v", h.Source)
	}
}

func TestPictureByDefault(t *testing.T) {
	for _, tt := range []struct {
		m    testModel
		want int
	}{
		{picturesOf(format.Uint8, 1, 4, 6, 3), 1},
		{picturesOf(format.Uint8, 1, 4, 6, 2), 0},
		{picturesOf(format.Uint8, 2, 4, 6, 3), 0},
		{picturesOf(format.Float32, 1, 4, 6, 3), 0},
	} {
		m, err := importBytes(tt.m.file(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Header.Pre) != tt.want {
			t.Errorf("%v: preprocessing %v, want %d steps", tt.m.graphs[0].tensors[0], m.Header.Pre, tt.want)
		}
	}
}

package tflite

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"

	"github.com/whet-edge/whet/format"
)

// The fields of TensorFlow Lite's metadata schema (metadata_schema.fbs), a
// FlatBuffer in a buffer of the model. Files that it names are in a zip archive
// behind the model.
const (
	metaBuffer = "TFLITE_METADATA"
	metaMagic  = "M001"

	metaName        = 0
	metaDescription = 1
	metaVersion     = 2
	metaGraphs      = 3
	metaAuthor      = 4
	metaLicense     = 5

	metaGraphInputs  = 2
	metaGraphOutputs = 3

	metaTensorUnits = 4
	metaTensorFiles = 6

	metaUnitType      = 0
	metaUnitOptions   = 1
	metaNormalization = 1 // a value of metaUnitType
	metaMean          = 0
	metaStd           = 1

	metaFileName   = 0
	metaFileType   = 2
	metaAxisLabels = 2 // a value of metaFileType
)

// maxLabelBytes bounds the file with the labels.
const maxLabelBytes = 4 << 20

// describe fills the header from the model's metadata. Metadata is a courtesy:
// what cannot be read is left out.
func describe(m *format.Model, src *model, file []byte) {
	card := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			card[key] = value
		}
	}
	var labels string // name of the file
	var mean, std []float32
	if b := src.metadata[metaBuffer]; len(b) >= 8 && string(b[4:8]) == metaMagic {
		r := newReader(b)
		root := r.root("metadata")
		set("title", root.str(metaName))
		set("description", root.str(metaDescription))
		set("version", root.str(metaVersion))
		set("author", root.str(metaAuthor))
		set("license", root.str(metaLicense))
		root.tables(metaGraphs, "metadata subgraph", func(i int, g table) {
			if i > 0 {
				return
			}
			g.tables(metaGraphOutputs, "metadata output", func(i int, t table) {
				t.tables(metaTensorFiles, "metadata file", func(_ int, f table) {
					if i == 0 && f.i8(metaFileType, 0) == metaAxisLabels && labels == "" {
						labels = f.str(metaFileName)
					}
				})
			})
			g.tables(metaGraphInputs, "metadata input", func(i int, t table) {
				t.tables(metaTensorUnits, "metadata process unit", func(_ int, u table) {
					if i == 0 && u.u8(metaUnitType) == metaNormalization {
						n := u.table(metaUnitOptions, "metadata normalization")
						mean, std = n.f32s(metaMean), n.f32s(metaStd)
					}
				})
			})
		})
		if r.err != nil {
			labels, mean, std = "", nil, nil
		}
	}
	if len(card) > 0 {
		m.Header.Card = card
	}
	if labels != "" {
		m.Header.Labels = archived(file, labels)
	}
	m.Header.Pre = picture(m, mean, std)
}

// archived returns the lines of a text file in the archive behind the model.
func archived(file []byte, name string) []string {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil
	}
	f, err := z.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLabelBytes))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
}

// picture describes how a picture becomes the model's input, where that is
// clear: the only input is [1, h, w, 3] or [1, h, w, 1], and holds bytes as a
// picture does, or the metadata tell the normalization of its floats.
func picture(m *format.Model, mean, std []float32) []format.Transform {
	in := m.Main().Inputs
	if len(in) != 1 {
		return nil
	}
	t := m.Tensor(in[0].Tensor)
	if len(t.Shape) != 4 || t.Shape[0] != 1 || t.Shape[3] != 1 && t.Shape[3] != 3 {
		return nil
	}
	steps := []format.Transform{{Op: "image", Tensor: t.Name}}
	switch {
	case t.Type == format.Uint8:
		return steps
	case t.Type != format.Float32 || len(mean) == 0 || len(std) != len(mean) || len(mean) != 1 && len(mean) != t.Shape[3]:
		return nil
	}
	var offset, scale []float64
	for i := range mean {
		if std[i] == 0 {
			return nil
		}
		offset = append(offset, float64(mean[i]))
		scale = append(scale, 1/float64(std[i]))
	}
	return append(steps, format.Transform{Op: "normalize", Tensor: t.Name, Attrs: format.Attrs{"mean": offset, "scale": scale}})
}

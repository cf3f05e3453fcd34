// Package convert turns models of other frameworks into whet models.
package convert

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/tflite"
)

// Tool names the converter in the models that it makes.
const Tool = "whet-convert"

// ErrFormat is in the chain of the error for a file that is of no format that
// can be converted.
var ErrFormat = errors.New("only .tflite files can be converted by this version")

// An UnsupportedError lists all operators of a file that cannot be converted.
type UnsupportedError = build.UnsupportedError

// An UnsupportedOp is one entry of an [UnsupportedError].
type UnsupportedOp = build.UnsupportedOp

// Import reads a model of another framework. The format is told by the file's
// first bytes, and by its name for those that have no mark of their own. The
// result has passed [format.Check].
//
// The error is a *UnsupportedError if the file is sound but holds operators
// that whet does not have, and wraps [ErrFormat] if the format is not one that
// can be converted.
func Import(path string) (*format.Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return importBytes(path, b)
}

func importBytes(path string, b []byte) (*format.Model, error) {
	kind := sniff(path, b)
	if kind != "TensorFlow Lite" {
		if kind == "" {
			kind = "unknown format"
		}
		return nil, fmt.Errorf("%s: %s: %w; export the model from its framework as .tflite", path, kind, ErrFormat)
	}
	m, err := tflite.Import(path, b)
	if err != nil {
		return nil, err
	}
	m.Header.Source.Tool = Tool
	if err := format.Check(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// sniff returns the name of the file's format, "" if it is not known.
func sniff(path string, b []byte) string {
	has := func(at int, magic string) bool {
		return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic
	}
	switch {
	case has(4, "TFL3"):
		return "TensorFlow Lite"
	case has(0, "\x89HDF\r\n\x1a\n"):
		return "HDF5 (Keras)"
	case has(1, "\xa4whet"), has(3, "\xa4whet"):
		return "already a .whet model"
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tflite":
		return "TensorFlow Lite"
	case ".onnx":
		return "ONNX"
	case ".h5", ".hdf5":
		return "HDF5 (Keras)"
	case ".keras":
		return "Keras"
	case ".safetensors":
		return "safetensors"
	}
	return ""
}

// Operators returns the names of the operators that can be converted, by
// source format, sorted.
func Operators() map[string][]string {
	return map[string][]string{"tflite": tflite.Operators()}
}

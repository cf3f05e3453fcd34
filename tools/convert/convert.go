// Package convert turns models of other frameworks into whet models.
package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/hdf5"
	"github.com/whet-edge/whet/tools/convert/internal/keras"
	"github.com/whet-edge/whet/tools/convert/internal/onnx"
	"github.com/whet-edge/whet/tools/convert/internal/safetensors"
	"github.com/whet-edge/whet/tools/convert/internal/tflite"
)

// Tool names the converter in the models that it makes.
const Tool = "whet-convert"

// ErrFormat is in the chain of the error for a file that is of no format that
// can be converted.
var ErrFormat = errors.New("only .tflite, .onnx, .keras, .h5 and .safetensors files can be converted")

// An Option settles what a source file leaves open.
type Option func(*options)

type options struct {
	dims   map[string]int
	ranges map[string]format.Dim
	consts map[string][]float64
	arch   string
	length int

	signature string
	trace     *Trace
}

// WithDim gives an open dimension of an ONNX or Keras model, by its name or as
// INPUT[i], a size; others are 1.
func WithDim(name string, size int) Option {
	return func(o *options) { o.dims[name] = size }
}

// WithRange lets a symbolic dimension of an ONNX model have any size from least to
// most in steps. The converted model has the greatest, and Session.Resize of
// package runtime sets others.
func WithRange(name string, least, most, step int) Option {
	return func(o *options) { o.ranges[name] = format.Dim{Min: least, Max: most, Step: step} }
}

// WithConst makes an input of an ONNX model a constant, which the converted
// model no longer takes.
func WithConst(input string, values ...float64) Option {
	return func(o *options) { o.consts[input] = values }
}

// WithArch says which network the plain weights of a .safetensors file are of: one
// of [Architectures]. Without it a config.json beside the file, or the names of the
// weights, tell.
func WithArch(name string) Option { return func(o *options) { o.arch = name } }

// WithLength says how many positions a language model remembers; without it they
// are as many as it was trained for.
func WithLength(positions int) Option { return func(o *options) { o.length = positions } }

// WithSignature takes the graph of a TensorFlow Lite model that a signature names;
// without it the first.
func WithSignature(name string) Option { return func(o *options) { o.signature = name } }

// A Trace says what became of each node of a source.
type Trace = build.Trace

// WithTrace fills a trace.
func WithTrace(t *Trace) Option { return func(o *options) { o.trace = t } }

// Architectures returns the names that [WithArch] takes, sorted.
func Architectures() []string { return safetensors.Architectures() }

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
func Import(path string, opts ...Option) (*format.Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	kind := sniff(path, head[:n])
	switch kind {
	case tfLite, onnxFormat, kerasFormat, safeTensors:
	case "":
		return nil, fmt.Errorf("%s: unknown format: %w; export the model from its framework as one of these", path, ErrFormat)
	case whet:
		return nil, fmt.Errorf("%s: already a .whet model: %w", path, ErrFormat)
	default:
		return nil, fmt.Errorf("%s: %s: %w; export the model from its framework as one of these", path, kind, ErrFormat)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxSource {
		return nil, fmt.Errorf("%s: %d bytes: a model may have %d", path, fi.Size(), int64(maxSource))
	}
	rest, err := io.ReadAll(io.LimitReader(f, maxSource))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := append(head[:n], rest...)
	o := options{dims: map[string]int{}, ranges: map[string]format.Dim{}, consts: map[string][]float64{}}
	for _, opt := range opts {
		opt(&o)
	}
	var m *format.Model
	switch kind {
	case onnxFormat:
		m, err = onnx.Import(path, b, onnx.Options{Dir: filepath.Dir(path), Dims: o.dims, Const: o.consts, Ranges: o.ranges, Trace: o.trace})
	case kerasFormat:
		m, err = keras.Import(path, b, keras.Options{Dims: o.dims, Trace: o.trace})
	case safeTensors:
		m, err = importSafetensors(path, b, &o)
	default:
		m, err = tflite.Import(path, b, tflite.Options{Signature: o.signature, Trace: o.trace})
	}
	if err != nil {
		return nil, err
	}
	o.trace.Keep(m)
	m.Header.Source.Tool = Tool
	if err := format.Check(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// importSafetensors reads plain weights, and the config.json beside them if there
// is one.
func importSafetensors(path string, b []byte, o *options) (*format.Model, error) {
	config, err := os.ReadFile(filepath.Join(filepath.Dir(path), "config.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return safetensors.Import(path, b, safetensors.Options{Arch: o.arch, Config: config, Length: o.length})
}

// maxSource bounds the files that are read into memory.
const maxSource = 2 << 30

// What sniff knows.
const (
	tfLite      = "TensorFlow Lite"
	onnxFormat  = "ONNX"
	kerasFormat = "Keras"
	safeTensors = "safetensors"
	whet        = "whet"
)

// sniff returns the name of the file's format, "" if it is not known.
func sniff(path string, b []byte) string {
	has := func(at int, magic string) bool {
		return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic
	}
	switch {
	case has(4, "TFL3"):
		return tfLite
	case has(0, hdf5.Magic):
		return kerasFormat
	case has(5, "\xa4whet"): // behind the head of an array32, see package format
		return whet
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tflite":
		return tfLite
	case ".onnx":
		return onnxFormat
	case ".h5", ".hdf5", ".keras":
		return kerasFormat
	case ".safetensors":
		return safeTensors
	}
	return ""
}

// Operators returns the names of the operators and layers that can be converted,
// by source format, sorted.
func Operators() map[string][]string {
	return map[string][]string{"tflite": tflite.Operators(), "onnx": onnx.Operators(), "keras": keras.Layers()}
}

// An Operator is a line of the table of what can be converted.
type Operator struct {
	Source string `json:"source"`           // "keras", "onnx" or "tflite"
	Name   string `json:"name"`             // as the source calls it
	Reason string `json:"reason,omitempty"` // why it cannot be converted; "": it can
}

// Coverage returns every built-in operator of TensorFlow Lite, every layer of Keras and
// every operator of ONNX, with those of other domains that can be converted, by source and
// name.
func Coverage() (list []Operator) {
	add := func(source string, names []string, missing map[string]string) {
		for _, n := range names {
			list = append(list, Operator{source, n, ""})
		}
		for n, why := range missing {
			list = append(list, Operator{source, n, why})
		}
	}
	add("keras", keras.Layers(), keras.Missing())
	add("onnx", onnx.Operators(), onnx.Missing())
	add("tflite", tflite.Operators(), tflite.Missing())
	slices.SortFunc(list, func(a, b Operator) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Name, b.Name))
	})
	return list
}

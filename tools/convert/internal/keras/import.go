// Package keras reads Keras models: `.h5` files of Keras 2 and 3, and the
// `.keras` files of Keras 3, Sequential and Functional.
//
// A Keras file holds layers, not ops: each becomes the ops that compute it. What
// only training needs (dropout, noise, regularizers, the optimizer) is left out;
// batch normalizations go into the weights before them.
//
// Nothing in a file is trusted. What is decoded of it stays within [hdf5.Budget],
// and constants that are made for a layer have at most 2^24 elements.
package keras

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/format"
	"github.com/whet-edge/whet/tools/convert/internal/build"
	"github.com/whet-edge/whet/tools/convert/internal/hdf5"
	"github.com/whet-edge/whet/tools/convert/internal/net"
)

// Options settle what a file leaves open.
type Options struct {
	Dims  map[string]int // sizes of open dimensions, by INPUT[i]; others are 1
	Trace *build.Trace   // what became of each layer, nil if nobody asks
}

// Import converts the model in b. file is the name that errors give.
func Import(file string, b []byte, o Options) (m *format.Model, err error) {
	// No file is known to make this happen. A fault in the checks must still not take
	// the program down.
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%s: corrupt file: %v", file, p)
		}
	}()
	m, err = importBytes(b, o)
	var u *build.UnsupportedError
	switch {
	case errors.As(err, &u):
		u.File = file
		return nil, u
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(b)
	m.Header.Source = format.Source{Format: "keras", SHA256: hex.EncodeToString(sum[:])}
	return m, nil
}

// Layers returns the names of the layers that Import converts, sorted.
func Layers() []string {
	names := append(slices.Collect(maps.Keys(rows)), "Functional", "Sequential")
	slices.Sort(names)
	return names
}

// others are Keras's layers that have no row.
var others = []string{"AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D",
	"AdaptiveMaxPooling3D", "CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup",
	"Lambda", "MelSpectrogram", "STFTSpectrogram", "SpectralNormalization", "StackedRNNCells", "StringLookup", "TextVectorization", "TFSMLayer"}

// Missing returns layers that Import does not convert, and why.
func Missing() map[string]string {
	list := map[string]string{}
	for _, name := range others {
		list[name] = whyNot(name)
	}
	return list
}

func importBytes(b []byte, o Options) (m *format.Model, err error) {
	defer func() {
		if reason, ok := net.Caught(recover()); ok {
			m, err = nil, errors.New(reason)
		}
	}()
	im := newImporter(o)
	var source weightSource
	var conf []byte
	if bytes.HasPrefix(b, []byte("PK")) {
		conf, source = im.openZip(b)
	} else {
		conf, source = im.openH5(b)
	}
	return im.model(conf, source)
}

// model writes the model of a configuration with weights from a source.
func (im *importer) model(conf []byte, source weightSource) (*format.Model, error) {
	l := parseModel(conf)
	var missing build.UnsupportedError
	l.check(&missing)
	if len(missing.Ops) > 0 {
		return nil, &missing
	}
	source.load(l.model)
	im.main(l.model)
	return im.net.Finish(), nil
}

// An importer writes one model.
type importer struct {
	net    *net.Net
	dims   map[string]int
	trace  *build.Trace
	nested int                               // layers that are being written within one another
	major  int                               // version of Keras that wrote the file
	masks  map[*format.Tensor]*format.Tensor // of tensors some of whose steps do not count
}

func newImporter(o Options) *importer {
	return &importer{net: net.New(), dims: o.Dims, trace: o.Trace, masks: map[*format.Tensor]*format.Tensor{}}
}

// noWeights is why a file with weights alone cannot be converted.
const noWeights = "it holds weights but no model: save it with model.save, not save_weights"

// openH5 opens a .h5 file.
func (im *importer) openH5(b []byte) ([]byte, weightSource) {
	f, err := hdf5.Open(b)
	if err != nil {
		net.Fail("%v", err)
	}
	conf := attr(f.Object, "model_config")
	if conf == "" {
		net.Fail(noWeights)
	}
	group, err := f.Lookup("model_weights")
	if err != nil {
		net.Fail("model_weights: %v", err)
	}
	version := attr(f.Object, "keras_version")
	if version == "" {
		version = attr(group, "keras_version")
	}
	im.version(version)
	return []byte(conf), &h5Weights{group}
}

// attr returns an attribute with one string, "" if it is not there.
func attr(o *hdf5.Object, name string) string {
	a, err := o.Attr(name)
	if err == nil {
		var s string
		if s, err = a.Str(); err == nil {
			return s
		}
	}
	if !errors.Is(err, hdf5.ErrNotFound) {
		net.Fail("%v", err)
	}
	return ""
}

// version takes the version of Keras that wrote the file, 2 if it says none.
func (im *importer) version(s string) {
	im.major = 2
	if major, _, ok := strings.Cut(s, "."); ok {
		if n, err := strconv.Atoi(major); err == nil {
			im.major = n
		}
	}
	if im.major < 2 {
		net.Fail("saved by Keras %s: load it with Keras 2 and save it again", s)
	}
}

// Names in a .keras file.
const (
	zipConfig   = "config.json"
	zipMetadata = "metadata.json"
	zipWeights  = "model.weights.h5"
)

// openZip opens a .keras file.
func (im *importer) openZip(b []byte) ([]byte, weightSource) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		net.Fail("%v", err)
	}
	budget := hdf5.Budget(len(b))
	read := func(name string) []byte {
		i := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == name })
		if i < 0 {
			net.Fail("%s is missing: save the model again as .keras or .h5", name)
		}
		r, err := z.File[i].Open()
		if err != nil {
			net.Fail("%s: %v", name, err)
		}
		data, err := io.ReadAll(io.LimitReader(r, int64(budget)+1))
		if err != nil {
			net.Fail("%s: %v", name, err)
		}
		if len(data) > budget {
			net.Fail("%s: more than %d bytes in a file of %d", name, hdf5.Budget(len(b)), len(b))
		}
		budget -= len(data)
		return data
	}
	var meta struct {
		Version string `json:"keras_version"`
	}
	if err := json.Unmarshal(read(zipMetadata), &meta); err != nil {
		net.Fail("%s: %v", zipMetadata, err)
	}
	im.version(meta.Version)
	f, err := hdf5.Open(read(zipWeights))
	if err != nil {
		net.Fail("%s: %v", zipWeights, err)
	}
	return read(zipConfig), &zipTree{f.Object}
}

// main writes the outermost model: its inputs, layers and outputs.
func (im *importer) main(m *model) {
	var in []*format.Tensor
	for _, spec := range m.inputSpecs() {
		typ, ok := dtypes[spec.dtype]
		if !ok {
			net.Fail("input %q is of type %q, which whet does not have", spec.name, spec.dtype)
		}
		shape := format.Shape{}
		for i, d := range spec.shape {
			if d < 0 {
				d = 1
				if n := im.dims[spec.name+"["+strconv.Itoa(i)+"]"]; n > 0 {
					d = n
				}
			}
			shape = append(shape, d)
		}
		in = append(in, im.net.Input(spec.name, typ, shape))
	}
	out := im.run(m, in)
	if len(out) == 0 {
		net.Fail("the model has no outputs")
	}
	for i, t := range out {
		im.net.Scope = ""
		im.net.Output(m.outputName(i), t)
	}
}

// dtypes are the types that inputs may have; floats of all sizes are computed as
// float32.
var dtypes = map[string]format.DType{
	"": format.Float32, "float32": format.Float32, "float16": format.Float32, "bfloat16": format.Float32, "float64": format.Float32,
	"int32": format.Int32, "int64": format.Int64, "uint8": format.Uint8, "int8": format.Int8, "int16": format.Int16, "bool": format.Bool,
}
